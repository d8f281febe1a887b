"""The command as its users meet it: what it prints, writes and returns, and what it says of bad input."""

import csv
import importlib.metadata
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from commands import invoke, refused, run

import data_specs
import riskadjust
from data_specs import _registry
from data_specs.formats.folder import read_folder

ENROLLEES = """enrollee_id,birth_date,sex
A,1980-03-10,M
B,1979-07-01,F
C,2025-02-01,f
"""
SPANS = """enrollee_id,plan_id,csr_variant,metal_level,span_start,span_end
A,12345XX0010001,03,silver,2025-01-01,2025-12-31
B,12345XX0010001,01,silver,2025-01-01,2025-06-30
B,12345XX0010002,01,Expanded Bronze,2025-07-01,2025-12-31
C,12345XX0010001,00,silver,20250201,20251231
"""
DIAGNOSES = """enrollee_id,diagnosis_code,service_date
A,E11.69,2025-06-15
B,G35,2025-06-15
C,P0703,2025-02-02
"""
DRUGS = """enrollee_id,code_type,code,service_date
B,ndc,00078056751,2025-05-01
"""
PLANS = """plan_year,plan_id,metal_level
2025,12345XX0010001,Silver
2025,12345XX0010002,Expanded Bronze
2024,12345XX0010001,Gold
"""
PERSON = """ENROLID,SEX,DOB,AGE_LAST,METAL,CSR_INDICATOR,ENROLDURATION
1001,1,19880615,37,silver,1,12
1002,2,19870120,38,silver,3,12
"""
DIAG = """ENROLID,DIAG,DIAGNOSIS_SERVICE_DATE,AGE_AT_DIAGNOSIS
1002,E119,20250310,38
"""
# By hand, 2025 coefficients: silver 0.164 (man of 45-49) + 0.172 (G01), times 1.15; silver and bronze 0.277 and 0.200
# (woman of 45-49) + 2.042 and 1.944 (HHS_HCC118); infant, extremely immature, severity 1.
EXPECTED = [
    ("A", "12345XX0010001", "03", "silver", 0.336, 0.3864),
    ("B", "12345XX0010001", "01", "silver", 2.319, 2.319),
    ("B", "12345XX0010002", "01", "expanded_bronze", 2.144, 2.144),
    ("C", "12345XX0010001", "00", "silver", 31.251, 31.251),
]


pytestmark = pytest.mark.usefixtures("plain_terminal")


@pytest.fixture
def year(tmp_path):
    """A folder of three enrollees."""
    folder = tmp_path / "year"
    folder.mkdir()
    tables = {"enrollees": ENROLLEES, "spans": SPANS, "diagnoses": DIAGNOSES, "drugs": DRUGS}
    for table, text in tables.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def diy(tmp_path):
    """A folder of two persons in the DIY layout."""
    folder = tmp_path / "diy"
    folder.mkdir()
    tables = {"PERSON": PERSON, "DIAG": DIAG, "NDC": "ENROLID,NDC\n", "HCPCS": "ENROLID,HCPCS\n"}
    for table, text in tables.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8")
    return folder


def scores_of(folder):
    columns = ["enrollee_id", "plan_id", "csr_variant", "metal_level", "risk_score", "csr_adjusted_score"]
    return pl.read_parquet(folder / "scores.parquet").select(columns).rows()


# ------------------------------------------------------------------------------------------------ score


def test_score_writes_its_tables(year, tmp_path):
    out = tmp_path / "out"
    said = run("score", year, "--benefit-year", 2025, "--out", out)
    assert [(*r[:4], r[4], round(r[5], 9)) for r in scores_of(out)] == EXPECTED
    assert {p.name for p in out.iterdir()} == {
        "scores.parquet",
        "findings.csv",
        "counts.csv",
        "summary.csv",
        "manifest.json",
    }
    assert not {"hccs", "variables"} & set(pl.read_parquet_schema(out / "scores.parquet"))
    assert said.stdout.splitlines()[-1] == f"Results: {out}"
    assert said.stderr == ""  # no progress where nobody watches
    summary = pl.read_csv(out / "summary.csv").select("model", "metal_level", "people", "mean_risk_score").rows()
    assert summary == [
        ("adult", "silver", 2, 1.3275),
        ("adult", "expanded_bronze", 1, 2.144),
        ("infant", "silver", 1, 31.251),
    ]
    counts = pl.read_csv(out / "counts.csv")
    assert counts["table"].to_list() == ["enrollees", "enrollment_spans", "diagnoses", "drugs"]
    assert counts["rejected"].sum() == 0


def test_manifest_of_a_run(year, tmp_path):
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", "--setting", "duration_scope=plan")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["command"], manifest["benefit_year"]) == ("score", 2025)
    assert manifest["options"]["setting"] == ["duration_scope=plan"]
    assert manifest["settings"]["duration_scope"] == "plan"
    assert manifest["settings"]["leap_birthday"] == "march_1"
    assert [i["name"] for i in manifest["inputs"]] == ["diagnoses.csv", "drugs.csv", "enrollees.csv", "spans.csv"]
    for output in manifest["outputs"]:
        path = tmp_path / "out" / output["name"]
        assert (output["bytes"], output["digest"]) == (path.stat().st_size, _registry.digest_of(path))
    assert "hhs_hcc/coefficients" in [t["table"] for t in manifest["tables"]]


@pytest.mark.usefixtures("undrawn_charts")
def test_equal_runs_leave_equal_bytes(year, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("one", "other"):
        run("score", year, "--benefit-year", 2025, "--out", tmp_path / name, "--explain", "--page")
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "other"))
    assert set(one) == set(other) >= {"scores.parquet", "explanation.parquet", "summary.html", "manifest.json"}
    assert [name for name in one if one[name] != other[name]] == []


def test_explanation_adds_up(year, tmp_path):
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", "--explain")
    explanation = pl.read_parquet(tmp_path / "out" / "explanation.parquet")
    keys = ["enrollee_id", "plan_id", "csr_variant", "metal_level"]
    sums = explanation.group_by(keys).agg(pl.col("coefficient").sum().round(3)).sort(keys)
    assert sums["coefficient"].to_list() == [e[4] for e in EXPECTED]
    assert pl.read_parquet(tmp_path / "out" / "scores.parquet")["variables"].to_list()[0] == ["G01", "MAGE_LAST_45_49"]


@pytest.mark.slow
def test_csv_holds_the_same(year, tmp_path):
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "a", "--explain")
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "b", "--explain", "--format", "csv")
    parquet = pl.read_parquet(tmp_path / "a" / "scores.parquet")
    lists = {c: pl.col(c).list.join(" ").replace("", None) for c in ("hccs", "rxcs", "variables")}
    types = {c: pl.String if c in lists else t for c, t in parquet.schema.items()}
    text = pl.read_csv(tmp_path / "b" / "scores.csv", schema=types)
    assert text.with_columns(pl.col(c).replace("", None) for c in lists).equals(parquet.with_columns(**lists))
    with (tmp_path / "b" / "explanation.csv").open(encoding="utf-8", newline="") as stream:
        evidence = {(r["enrollee_id"], r["variable"]): r["evidence"] for r in csv.DictReader(stream)}
    assert evidence["A", "G01"] == "E11.69 2025-06-15"
    assert evidence["A", "MAGE_LAST_45_49"] == ""


def test_explained_on_the_screen(year):
    said = run("score", year, "--benefit-year", 2025, "--id", "A").stdout
    assert "A  12345XX0010001  03  silver" in said
    assert "E11.69 2025-06-15" in said
    assert "P0703" not in said


def test_an_id_without_a_score_makes_the_run_partial(year):
    said = run("score", year, "--benefit-year", 2025, "--id", "A", "--id", "Q", code=3).stdout
    assert "ids to explain that have no score: 1 of 2" in said


def test_json_is_one_document(year, tmp_path):
    said = run("score", year, "--benefit-year", 2025, "--json", "--id", "A", "--out", tmp_path / "out")
    document = json.loads(said.stdout)
    assert said.stderr == ""
    assert document["total"]["people"] == 3
    assert document["counts"][0] == {"table": "enrollees", "input": 3, "accepted": 3, "rejected": 0}
    assert {e["enrollee_id"] for e in document["explanation"]} == {"A"}
    assert (document["exit_code"], document["out"]) == (0, str(tmp_path / "out"))


def test_rejected_rows_are_counted_and_written(year, tmp_path):
    with (year / "enrollees.csv").open("a") as stream:
        stream.write("D,1990-01-01,X\nE,2030-01-01,M\nF,1985-05-05,U\n")
    with (year / "diagnoses.csv").open("a") as stream:
        stream.write("B,G3?5,2025-06-15\nZ,G35,2025-06-15\nA,G35,2024-06-15\n")
    out = tmp_path / "out"
    said = run("score", year, "--benefit-year", 2025, "--out", out, code=1)
    assert [(*r[:4], r[4], round(r[5], 9)) for r in scores_of(out)] == EXPECTED
    counts = {t: numbers for t, *numbers in pl.read_csv(out / "counts.csv").rows()}
    assert all(accepted + rejected == given for given, accepted, rejected in counts.values())
    assert (counts["enrollees"], counts["diagnoses"]) == ([6, 3, 3], [6, 3, 3])
    rejected = pl.read_csv(out / "rejected_diagnoses.csv")
    assert rejected.select("enrollee_id", "diagnosis_code", "rule_id").sort("rule_id").rows() == [
        ("Z", "G35", "HCC-014"),
        ("B", "G3?5", "MED-013"),
        ("A", "G35", "MED-028"),
    ]
    assert pl.read_csv(out / "rejected_enrollees.csv").height == 3
    assert not (out / "rejected_drugs.csv").exists()
    assert "MEM-006" in said.stdout


@pytest.mark.slow
def test_rejected_rows_with_nested_columns_are_written(year, tmp_path):
    tables = read_folder(year)
    nested = tables.diagnoses.with_columns(
        pl.lit("malformed!").alias("diagnosis_code"),
        pl.concat_list(pl.lit("25"), pl.lit("59")).alias("modifiers"),
        pl.struct(a=pl.lit(1), b=pl.lit("x")).alias("origin"),
    )
    (year / "diagnoses.csv").unlink()
    nested.write_parquet(year / "diagnoses.parquet")
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", code=1)
    row = pl.read_csv(tmp_path / "out" / "rejected_diagnoses.csv").row(0, named=True)
    assert row["modifiers"] == "25 59"
    assert json.loads(row["origin"]) == {"origin": {"a": 1, "b": "x"}}


@pytest.mark.slow
def test_nobody_scored_is_no_success(year):
    said = run("score", year, "--benefit-year", 2022, code=1).stdout
    assert "nobody was scored" in said


def test_warnings_alone_are_fine(year):
    text = SPANS.replace("12345XX0010001,00,", "12345XX0010001,,")
    (year / "spans.csv").write_text(text)
    assert "HCC-003" in run("score", year, "--benefit-year", 2025).stdout


def test_page_of_a_run(year, tmp_path):
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", "--page")
    page = (tmp_path / "out" / "summary.html").read_text(encoding="utf-8")
    assert "benefit year 2025" in page
    assert "Too few people" in page  # three
    outputs = json.loads((tmp_path / "out" / "manifest.json").read_text())["outputs"]
    assert "summary.html" in [o["name"] for o in outputs]


@pytest.mark.slow
def test_earlier_result_is_replaced(year, tmp_path):
    out = tmp_path / "out"
    run("score", year, "--benefit-year", 2025, "--out", out, "--explain")
    assert (out / "explanation.parquet").exists()
    run("score", year, "--benefit-year", 2025, "--out", out)
    assert not (out / "explanation.parquet").exists()


def test_refused_run_leaves_the_earlier_result(year, tmp_path):
    out = tmp_path / "out"
    run("score", year, "--benefit-year", 2025, "--out", out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    (year / "diagnoses.csv").write_text("")
    refused("score", year, "--benefit-year", 2025, "--out", out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "year"]


# ------------------------------------------------------------------------------------------------ DIY layout


def test_diy_folder(diy, tmp_path):
    run("score", diy, "--benefit-year", 2025, "--out", tmp_path / "out", "--explain")
    scores = pl.read_parquet(tmp_path / "out" / "scores.parquet")
    found = scores.select("enrollee_id", "risk_score", pl.col("csr_adjusted_score").round(6)).rows()
    assert found == [("1001", 0.119, 0.119), ("1002", 0.411, 0.46032)]  # 0.239 + 0.172, times 1.12
    explanation = pl.read_parquet(tmp_path / "out" / "explanation.parquet")
    assert explanation.select("enrollee_id", "variable", "coefficient").rows() == [
        ("1001", "MAGE_LAST_35_39", 0.119),
        ("1002", "FAGE_LAST_35_39", 0.239),
        ("1002", "G01", 0.172),
    ]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [i["name"] for i in manifest["inputs"]] == ["DIAG.csv", "HCPCS.csv", "NDC.csv", "PERSON.csv"]


@pytest.mark.slow
def test_diy_explained_on_the_screen(diy):
    said = run("score", diy, "--benefit-year", 2025, "--id", "1002").stdout
    assert "0.411" in said
    assert "1001" not in said


def test_diy_with_a_bad_person(diy):
    with (diy / "PERSON.csv").open("a") as stream:
        stream.write("1003,3,19870120,38,silver,3,12\n")
    assert "MEM-006" in run("score", diy, "--benefit-year", 2025, code=1).stdout


def test_diy_without_drugs_says_so(diy):
    for name in ("NDC.csv", "HCPCS.csv"):
        (diy / name).unlink()
    assert "no NDC or HCPCS table" in run("score", diy, "--benefit-year", 2025).stdout


def test_survey_derived_sample(tmp_path):
    samples = os.environ.get("POOLWISE_SAMPLES")
    if not samples:
        pytest.skip("POOLWISE_SAMPLES does not name the folder of public sample files")
    out = tmp_path / "meps"
    run("score", Path(samples) / "meps_by2025", "--benefit-year", 2025, "--out", out, "--explain")
    scores = pl.read_parquet(out / "scores.parquet")
    assert scores.height == 34_832
    explanation = pl.read_parquet(out / "explanation.parquet")
    milli = (pl.col("coefficient") * 1000).round().cast(pl.Int64).sum()
    sums = explanation.group_by("enrollee_id").agg(milli.alias("sum")).sort("enrollee_id")
    scored = scores.select("enrollee_id", (pl.col("risk_score") * 1000).round().cast(pl.Int64).alias("sum"))
    assert sums.equals(scored.sort("enrollee_id"))


# ------------------------------------------------------------------------------------------------ folders of tables


@pytest.mark.slow
def test_variant_from_the_plan_id_and_metal_from_plans(year, tmp_path):
    lines = [line.split(",") for line in SPANS.splitlines()[1:]]
    for long_id, name in ((lambda p, v: p + v, "sixteen"), (lambda p, v: f"{p}-{v}", "seventeen")):
        rows = [",".join([e, long_id(p, v), start, end]) for e, p, v, _, start, end in lines]
        (year / "spans.csv").unlink(missing_ok=True)
        text = "\n".join(["enrollee_id,plan_id,span_start,span_end", *rows]) + "\n"
        (year / "Enrollment_Spans.CSV").write_text(text)
        (year / "plans.csv").write_text(PLANS)
        run("score", year, "--benefit-year", 2025, "--out", tmp_path / name)
        assert [(*r[:4], r[4], round(r[5], 9)) for r in scores_of(tmp_path / name)] == EXPECTED


def test_names_of_the_sources_are_understood(year):
    (year / "enrollees.csv").write_text(
        ENROLLEES.replace(
            "enrollee_id,birth_date,sex", "insuredMemberIdentifier,insuredMemberBirthDate,insuredMemberGenderCode"
        )
    )
    (year / "spans.csv").write_text(
        SPANS.replace("plan_id", "insurancePlanIdentifier")
        .replace("span_start,span_end", " coverageStartDate , coverageEndDate")
        .replace("metal_level", "METAL")
    )
    (year / "diagnoses.csv").write_text(DIAGNOSES.replace("diagnosis_code", "icd10"))
    tables = read_folder(year)
    assert tables.enrollees.columns == ["enrollee_id", "birth_date", "sex"]
    assert tables.spans.columns == ["enrollee_id", "plan_id", "csr_variant", "metal_level", "span_start", "span_end"]
    assert tables.diagnoses.columns == ["enrollee_id", "diagnosis_code", "service_date"]


def test_our_name_wins_over_a_source_name(year):
    (year / "diagnoses.csv").write_text("enrollee_id,icd10,diagnosis_code,service_date\nA,G35,E1169,2025-06-15\n")
    assert read_folder(year).diagnoses["diagnosis_code"].to_list() == ["E1169"]


def test_text_keeps_its_zeros(year):
    (year / "drugs.csv").write_text("enrollee_id,code_type,code,service_date\n007,ndc,00078056751,2025-05-01\n")
    assert read_folder(year).drugs.row(0) == ("007", "ndc", "00078056751", "2025-05-01")


def test_byte_order_mark_is_no_part_of_a_name(year):
    (year / "diagnoses.csv").write_bytes(b"\xef\xbb\xbf" + DIAGNOSES.encode())
    assert read_folder(year).diagnoses.columns[0] == "enrollee_id"


def test_parquet_and_lines_of_windows_are_read_alike(year, tmp_path):
    frames = read_folder(year)
    (year / "diagnoses.csv").write_bytes(DIAGNOSES.replace("\n", "\r\n").encode())
    assert read_folder(year).diagnoses.equals(frames.diagnoses)
    (year / "diagnoses.csv").unlink()
    frames.diagnoses.write_parquet(year / "DIAGNOSES.parquet")
    assert read_folder(year).diagnoses.equals(frames.diagnoses)


def test_unknown_files_and_missing_drugs_are_named(year):
    (year / "drugs.csv").rename(year / "drug.csv")
    said = run("score", year, "--benefit-year", 2025).stdout
    assert "no drugs table" in said
    assert "drug.csv" in said


# ------------------------------------------------------------------------------------------------ bad input


def without_column(text, column):
    rows = [line.split(",") for line in text.splitlines()]
    place = rows[0].index(column)
    return "\n".join(",".join(r[:place] + r[place + 1 :]) for r in rows) + "\n"


BAD_FILES = [
    ("enrollees.csv", without_column(ENROLLEES, "sex").encode(), "missing column 'sex'", "enrollees.csv"),
    ("spans.csv", without_column(SPANS, "span_end").encode(), "missing column 'span_end'", "spans.csv"),
    ("spans.csv", without_column(SPANS, "metal_level").encode(), "missing column 'metal_level'", "spans.csv"),
    ("diagnoses.csv", b"", "the file is empty", "diagnoses.csv"),
    ("diagnoses.csv", b" \r\n\n", "the file is empty", "diagnoses.csv"),
    ("enrollees.csv", ENROLLEES.splitlines()[0].encode(), "the table has no rows", "enrollees"),
    ("enrollees.csv", (ENROLLEES + "A,1980-03-10,M\n").encode(), "2 rows share an enrollee_id", "enrollees"),
    ("diagnoses.csv", DIAGNOSES.encode() + b"J\xe9,G35,2025-06-15\n", "the file is not UTF-8 text", "line 5"),
    ("diagnoses.csv", DIAGNOSES.encode("utf-16"), "the file holds NUL bytes", "diagnoses.csv"),
    ("diagnoses.csv", DIAGNOSES.replace(",", ";").encode(), "the columns are separated by ';'", "diagnoses.csv"),
    (
        "diagnoses.csv",
        DIAGNOSES.encode() + b"A,G35,2025-06-15,x,y\n",
        "a line has 5 fields, the header has 3",
        "line 5",
    ),
    ("diagnoses.csv", DIAGNOSES.encode() + b'"A,G35,2025-06-15\n', "cannot be read as a table", "diagnoses.csv"),
    ("diagnoses.csv", b"enrollee_id,icd10,icd10,service_date\n", "'diagnosis_code' stands twice", "diagnoses.csv"),
    ("diagnoses.csv", b"service_date,enrollee_id,service_date,icd10\n", "'service_date' stands twice", "diagnoses.csv"),
]


@pytest.mark.parametrize(("name", "content", "what", "where"), BAD_FILES)
def test_bad_file_is_refused(year, name, content, what, where):
    (year / name).write_bytes(content)
    parts = refused("score", year, "--benefit-year", 2025)
    assert what in parts["what"]
    assert where in parts["where"]
    assert parts["rule"]


def test_no_value_of_a_person_stands_in_a_refusal(year):
    for name, content, *_ in BAD_FILES:
        kept = (year / name).read_bytes()
        (year / name).write_bytes(content)
        said = run("score", year, "--benefit-year", 2025, code=2).stderr
        (year / name).write_bytes(kept)
        for value in ("1980-03-10", "G35", "2025-06-15", "E11.69"):
            assert value not in said


def test_missing_table_is_refused(year):
    (year / "diagnoses.csv").rename(year / "diagnosis.csv")
    parts = refused("score", year, "--benefit-year", 2025)
    assert parts["what"] == "the diagnoses table is missing"
    assert "diagnosis.csv" in parts["to do"]


def test_two_files_of_a_table_are_refused(year):
    (year / "Spans.parquet").write_bytes(b"")
    parts = refused("score", year, "--benefit-year", 2025)
    assert parts["what"] == "two files hold the spans table"


def test_broken_parquet_is_refused(year):
    (year / "spans.csv").rename(year / "spans.parquet")
    assert refused("score", year, "--benefit-year", 2025)["what"] == "the file is not a Parquet file"


def test_folder_with_the_name_of_a_table_is_refused(year):
    (year / "drugs.csv").unlink()
    (year / "drugs.csv").mkdir()
    assert "cannot be read" in refused("score", year, "--benefit-year", 2025)["what"]


def test_number_where_text_belongs_is_refused(year):
    (year / "enrollees.csv").unlink()
    frame = pl.DataFrame({"enrollee_id": [1, 2], "birth_date": ["1980-03-10"] * 2, "sex": ["M", "F"]})
    frame.write_parquet(year / "enrollees.parquet")
    parts = refused("score", year, "--benefit-year", 2025)
    assert parts["what"] == "column 'enrollee_id' is Int64, not text"


def test_plan_with_two_metals_is_refused(year):
    (year / "spans.csv").write_text(without_column(SPANS, "metal_level"))
    (year / "plans.csv").write_text(PLANS + "2025,12345XX0010001,gold\n")
    parts = refused("score", year, "--benefit-year", 2025)
    assert parts["what"] == "1 plan(s) have more than one metal level"


def test_missing_folder_is_refused(tmp_path):
    assert refused("score", tmp_path / "no", "--benefit-year", 2025)["what"] == "the folder does not exist"
    (tmp_path / "file").touch()
    assert "a file is named" in refused("score", tmp_path / "file", "--benefit-year", 2025)["what"]
    (tmp_path / "empty").mkdir()
    assert refused("score", tmp_path / "empty", "--benefit-year", 2025)["what"] == "the enrollees table is missing"


@pytest.mark.parametrize(("benefit_year", "table"), [(2014, "hhs_hcc/coefficients"), (2020, "hhs_hcc/icd10_to_cc")])
def test_year_without_tables_is_refused(year, benefit_year, table):
    parts = refused("score", year, "--benefit-year", benefit_year)
    assert table in parts["what"]
    assert "2018-2019, 2021-2026" in parts["to do"]


@pytest.mark.slow
def test_proposed_year_is_scored_knowingly_only(year, tmp_path):
    assert "proposed rule" in refused("score", year, "--benefit-year", 2027)["what"]
    for table in ("enrollees", "spans", "diagnoses", "drugs"):
        path = year / f"{table}.csv"
        path.write_text(path.read_text().replace("2025", "2027"))
    out = tmp_path / "out"
    said = run("score", year, "--benefit-year", 2027, "--allow-proposed", "--out", out).stdout
    assert "coefficients of a proposed rule" in said
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["settings"]["allow_proposed"] is True
    assert "coefficients of a proposed rule" in [u["what"] for u in manifest["uncertain"]]


def test_settings_are_checked(year):
    def setting(*texts):
        return refused("score", year, "--benefit-year", 2025, *(a for t in texts for a in ("--setting", t)))

    assert setting("nothing=1")["what"] == "no setting is called 'nothing'"
    assert setting("duration_scope=never")["what"] == "setting 'duration_scope' cannot be 'never'"
    assert setting("duration_scope")["what"] == "setting 'duration_scope' has no value"
    assert "given twice" in setting("duration_scope=plan", "duration_scope=plan")["what"]


def test_a_setting_moves_the_result(year):
    said = run("score", year, "--benefit-year", 2025, "--setting", "duration_scope=plan", "--json").stdout
    months = {(s["model"], s["metal_level"]): s["mean_enrollment_months"] for s in json.loads(said)["summary"]}
    assert months["adult", "expanded_bronze"] == 6  # 184 days, where the whole year counts otherwise


def test_refused_places(year, tmp_path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.txt").touch()
    assert "something else" in refused("score", year, "--benefit-year", 2025, "--out", foreign)["what"]
    assert "holds the input" in refused("score", year, "--benefit-year", 2025, "--out", year)["what"]
    assert "holds the input" in refused("score", year, "--benefit-year", 2025, "--out", tmp_path)["what"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["foreign", "year"]


def test_read_only_place_is_refused(year, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    parts = refused("score", year, "--benefit-year", 2025, "--out", tmp_path / "out")
    assert parts["what"] == "the results cannot be written: permission denied"


@pytest.mark.parametrize(
    "arguments",
    [
        ["score"],
        ["score", "folder"],
        ["score", "folder", "--benefit-year", "soon"],
        ["score", "folder", "--benefit-year", "2025", "--explain"],
        ["score", "folder", "--benefit-year", "2025", "--page"],
        ["score", "folder", "--benefit-year", "2025", "--format", "xls"],
        ["nonsense"],
        [],
    ],
)
def test_usage_errors_are_refused(arguments):
    result = run(*arguments, code=2)
    assert "Traceback" not in result.output
    assert "Usage" in result.output


# ------------------------------------------------------------------------------------------------ faults


def test_fault_is_one_line_and_quotes_no_data(year, tmp_path, monkeypatch):
    secret = "".join(["SECRET", "-7"])  # the line of the program may be quoted, its values may not

    def fail(*_, **__):
        raise ValueError(secret)

    monkeypatch.setattr("riskadjust._model.compile_year", fail)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("score", year, "--benefit-year", 2025, code=2)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "fault of poolwise" in result.stderr
    (details,) = tmp_path.glob("poolwise-fault-*.txt")
    assert str(details) in result.stderr
    text = details.read_text(encoding="utf-8")
    assert "ValueError" in text
    assert "_score_folder" in text
    assert secret not in text + result.stderr


def test_fault_is_raised_for_developers(year, monkeypatch):
    def fail(*_, **__):
        raise ValueError("whole story")

    monkeypatch.setattr("riskadjust._model.compile_year", fail)
    monkeypatch.setenv("POOLWISE_DEBUG", "1")
    result = invoke("score", year, "--benefit-year", 2025)
    assert isinstance(result.exception, ValueError)


def test_interruption_leaves_nothing(year, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("riskadjust._model.compile_year", interrupt)
    result = run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", code=130)
    assert "interrupted" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["year"]


# ------------------------------------------------------------------------------------------------ tables


def test_list_of_tables():
    said = run("tables").stdout
    assert "hhs_hcc/coefficients" in said
    assert "2018-2019, 2021-2026" in said
    listed = json.loads(run("tables", "--json").stdout)["tables"]
    assert [t["name"] for t in listed] == data_specs.catalog()["name"].to_list()


def test_show_of_a_table():
    said = run("tables", "show", "hhs_hcc/enrollment_duration_months", "--year", 2025, "--rows", 2).stdout
    assert "10 more" in said
    shown = json.loads(run("tables", "show", "hhs_hcc/enrollment_duration_months", "--year", 2025, "--json").stdout)
    assert len(shown["rows"]) == 12
    assert shown["columns"][0]["name"] == "benefit_year"


def test_unknown_table_is_refused():
    parts = refused("tables", "show", "hhs_hcc/coefficient")
    assert "did you mean 'hhs_hcc/coefficients'?" in parts["to do"]
    assert "has no rows for 1999" in refused("tables", "show", "hhs_hcc/coefficients", "--year", 1999)["what"]


def one_table(folder, name, frame):
    folder.mkdir()
    frame.write_csv(folder / f"{name}.csv")


def test_added_table_is_used(year, tmp_path):
    factors = data_specs.table("hhs_hcc/csr_factors", year=2025)
    is_silver_03 = (pl.col("hios_variant") == "03") & (pl.col("metal") == "silver")
    one_table(
        tmp_path / "own",
        "csr_factors",
        factors.with_columns(pl.when(is_silver_03).then(2.0).otherwise("factor").alias("factor")),
    )
    to = tmp_path / "tables"
    document = json.loads(run("tables", "add", tmp_path / "own", "--family", "hhs_hcc", "--to", to, "--json").stdout)
    assert [a["action"] for a in document["added"]] == ["added"]
    status = {y["benefit_year"]: y["status"] for y in document["years"]}
    assert status == {2024: "scores", 2025: "scores"}  # of the years before and after nothing has changed
    run("score", year, "--benefit-year", 2025, "--out", tmp_path / "out", "--tables", to)
    assert scores_of(tmp_path / "out")[0][4:] == (0.336, 0.672)
    used = json.loads((tmp_path / "out" / "manifest.json").read_text())["tables"]
    assert [t["table"] for t in used if t["supplied_by"] == "user"] == ["hhs_hcc/csr_factors"]
    assert data_specs.table("hhs_hcc/csr_factors", year=2025).equals(factors)  # out of use after the run


@pytest.mark.slow
def test_listed_with_own_tables(tmp_path):
    one_table(tmp_path / "own", "csr_factors", data_specs.table("hhs_hcc/csr_factors", year=2025))
    listed = json.loads(run("tables", "--tables", tmp_path / "own", "--json").stdout)["tables"]
    assert [t["name"] for t in listed if t["supplied_by"] == "user"] == ["hhs_hcc/csr_factors"]
    assert data_specs.catalog()["supplied_by"].unique().to_list() == ["poolwise"]


@pytest.mark.slow
def test_tables_that_contradict_each_other_are_a_finding(tmp_path):
    bands = data_specs.table("hhs_hcc/demographic_bands", year=2025)
    one_table(tmp_path / "own", "demographic_bands", bands.filter(~pl.col("variable").str.contains("35_39")))
    arguments = ["tables", "add", tmp_path / "own", "--family", "hhs_hcc", "--to", tmp_path / "tables"]
    said = run(*arguments, code=1).stdout
    assert "contradictory" in said
    assert "can be scored with them: 2024" in said


@pytest.mark.slow
def test_years_of_added_tables_are_told_apart(tmp_path):
    is_told = pl.col("benefit_year").is_in([2020, 2027])
    one_table(tmp_path / "own", "csr_factors", data_specs.table("hhs_hcc/csr_factors").filter(is_told))
    arguments = ["tables", "add", tmp_path / "own", "--family", "hhs_hcc", "--to", tmp_path / "tables"]
    years = {y["benefit_year"]: y for y in json.loads(run(*arguments, "--json").stdout)["years"]}
    assert {y: years[y]["status"] for y in (2020, 2027)} == {2020: "incomplete", 2027: "proposed"}
    assert "hhs_hcc/icd10_to_cc" in years[2020]["what"]


@pytest.mark.slow
def test_tables_added_twice_are_unchanged(tmp_path):
    one_table(tmp_path / "own", "csr_factors", data_specs.table("hhs_hcc/csr_factors", year=2025))
    arguments = ["tables", "add", tmp_path / "own", "--family", "hhs_hcc", "--to", tmp_path / "tables"]
    assert "unchanged" not in run(*arguments).stdout
    assert "unchanged" in run(*arguments).stdout


def test_bad_table_is_refused_and_nothing_added(tmp_path):
    factors = data_specs.table("hhs_hcc/csr_factors", year=2025)
    one_table(tmp_path / "own", "csr_factors", factors.with_columns(pl.lit("much").alias("factor")))
    refused("tables", "add", tmp_path / "own", "--family", "hhs_hcc", "--to", tmp_path / "tables")
    refused("tables", "add", tmp_path / "nowhere", "--family", "hhs_hcc", "--to", tmp_path / "tables")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["own"]


# ------------------------------------------------------------------------------------------------ demo


@pytest.mark.usefixtures("undrawn_charts")
def test_demo(tmp_path, monkeypatch):
    monkeypatch.setattr("poolwise.cli._demo._filed", lambda *_: None)  # looked at in test_cli_filing
    out = tmp_path / "demo"
    said = run("demo", "--out", out, "--enrollees", 300, "--seed", 5).stdout
    pages = [out / "summary.html", out / "transfers.html"]
    assert said.splitlines()[-2:] == [f"Page:    {page}" for page in pages]
    for page in pages:
        assert "made-up market" in page.read_text(encoding="utf-8")
    assert {p.name for p in out.iterdir()} >= {"inputs", "scores.parquet", "explanation.parquet", "manifest.json"}
    market = data_specs.synthetic_market("OH", enrollees=300, seed=5)
    frames = (market["enrollees"], market["spans"], market["diagnoses"], market["drugs"])
    expected = riskadjust.score(*frames, benefit_year=2025, explain=True).scores
    assert pl.read_parquet(out / "scores.parquet").equals(expected)
    explained = pl.read_parquet(out / "explanation.parquet")["enrollee_id"].n_unique()
    assert 1 <= explained <= 6


@pytest.mark.slow
@pytest.mark.usefixtures("without_pages")
def test_what_the_demo_suggests_works(tmp_path):
    out = tmp_path / "demo"
    run("demo", "--out", out, "--enrollees", 300, "--seed", 5)
    expected = pl.read_parquet(out / "scores.parquet")
    run("score", out / "inputs", "--benefit-year", 2025, "--out", tmp_path / "again", "--explain")
    assert pl.read_parquet(tmp_path / "again" / "scores.parquet").equals(expected)
    run("transfers", out, "--benefit-year", 2025, "--out", tmp_path / "settled")
    issuers = [pl.read_parquet(p / "issuer_transfers.parquet") for p in (out / "transfers", tmp_path / "settled")]
    assert issuers[0].height >= 2
    assert issuers[0].equals(issuers[1])


@pytest.mark.slow
def test_demo_without_the_extra_writes_its_tables(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "altair", None)
    document = json.loads(run("demo", "--out", tmp_path / "demo", "--enrollees", 300, "--json").stdout)
    assert document["pages"] == []
    assert "poolwise[reports]" in json.dumps(document)
    assert (tmp_path / "demo" / "scores.parquet").exists()
    assert not (tmp_path / "demo" / "summary.html").exists()


def test_demo_refuses_what_it_cannot_make(tmp_path):
    assert "out of range" in refused("demo", "--out", tmp_path / "demo", "--enrollees", 0)["what"]
    assert sorted(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ the process


def process(*arguments, **environment):
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


def test_version():
    assert run("--version").stdout.split() == ["poolwise", importlib.metadata.version("poolwise")]


@pytest.mark.slow
@pytest.mark.parametrize("year", ["soon", "2014"])
def test_module_ends_with_the_exit_code_of_the_command(tmp_path, year):
    said = process("-m", "poolwise", "score", tmp_path / "nowhere", "--benefit-year", year)
    assert (said.returncode, said.stdout) == (2, "")
    assert "Traceback" not in said.stderr


def test_help_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['poolwise', '--help']\n"
        "from poolwise.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n"
        "    heavy = {'polars', 'numpy', 'altair', 'jinja2', 'pyarrow', 'rich'} & set(sys.modules)\n"
        "    sys.exit(f'{stop.code} {sorted(heavy)}')"
    )
    said = process("-c", code)
    assert said.stderr.strip() == "0 []"
    assert "score" in said.stdout


@pytest.mark.slow
def test_reader_that_goes_away_is_no_fault():
    code = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-m', 'poolwise', 'tables', 'show', "
    code += "'hhs_hcc/coefficients', '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE); p.stdout.read(10); "
    code += "p.stdout.close(); print(p.stderr.read().decode(), p.wait())"
    assert process("-c", code).stdout.split() == ["0"]


@pytest.mark.parametrize(("width", "lines"), [(200, 3), (60, 4)])
def test_a_long_name_pushes_no_column_off_the_screen(width, lines):
    from rich.console import Console

    from poolwise.cli._screen import show_table

    console = Console(width=width, record=True, file=io.StringIO())
    name = "a figure whose name goes on and on, beyond half of the screen"
    show_table(console, "", [("figure", "left"), ("moved", "left"), ("rows", "right")], [[name, "transfer", "222"]])
    shown = console.export_text().rstrip().splitlines()
    assert len(shown) == lines
    assert "transfer" in shown[2]
    assert "222" in shown[2]
