"""A benefit year that nobody published, made of a folder of tables alone, scores as its tables say.

The year starts from the rows of 2026 and changes a figure or a rule of every kind. No code knows a year, so none
has to change. Expected results are worked by hand, with the arithmetic beside them; the slow twin, which reads the same
folder, is asked as well.
"""

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import commands
import oracle
import polars as pl
import pytest
from cases.bad_tables import year_tables

import data_specs
import riskadjust
from data_specs.errors import TableMissing

YEAR = year_tables.BENEFIT_YEAR
SOURCE_YEAR = 2026
METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")

# What the year publishes anew: (model, variable, published name): the five metals, in thousandths here.
COEFFICIENTS = {
    ("adult", "AGE_M_50_54", "MAGE_LAST_50_54"): (410, 320, 240, 180, 170),
    ("adult", "AGE_F_60_64", "FAGE_LAST_60_64"): (500, 400, 300, 200, 190),
    ("adult", "AGE_F_65_PLUS", "FAGE_LAST_65_GT"): (700, 600, 500, 400, 390),
    ("adult", "AGE_M_60_64", "MAGE_LAST_60_64"): (510, 410, 310, 210, 200),
    ("adult", "AGE_M_65_PLUS", "MAGE_LAST_65_GT"): (710, 610, 510, 410, 400),
    ("adult", "HCC002", "HHS_HCC002"): (9100, 8900, 8800, 8700, 8600),
    ("adult", "HCC300", "HHS_HCC300"): (0, 0, 0, 0, 0),
    ("adult", "HCC301", "HHS_HCC301"): (0, 0, 0, 0, 0),
    ("adult", "G30", "G30"): (3300, 3200, 3100, 3000, 2900),
    ("adult", "RXC_11", "RXC_11"): (1150, 1140, 1130, 1120, 1110),
    ("adult", "RXC_11_X_HCC300", "RXC_11_x_HCC300"): (-250, -240, -230, -220, -210),
    ("adult", "SEVERE_COUNT_1", "SEVERE_HCC_COUNT1"): (-610, -620, -630, -640, -650),
    ("adult", "HCC_ED_3", "HCC_ED3"): (3300, 2900, 2500, 2200, 2100),
    ("adult", "ACF_PREP", "ACF_PrEP"): (450, 440, 430, 420, 410),
    ("adult", "AGE_M_40_44", "MAGE_LAST_40_44"): (290, 210, 150, 100, 90),
    ("child", "AGE_M_10_14", "MAGE_LAST_10_14"): (220, 150, 110, 90, 80),
    ("child", "HCC300", "HHS_HCC300"): (7700, 7600, 7500, 7400, 7300),
    ("child", "HCC301", "HHS_HCC301"): (1700, 1600, 1500, 1400, 1300),
    **{
        ("infant", f"{maturity}_X_SEVERITY6", f"{maturity}_X_SEVERITY6"): tuple(
            range(silver + 2000, silver - 3000, -1000)
        )
        for maturity, silver in (
            ("EXTREMELY_IMMATURE", 298000),
            ("IMMATURE", 248000),
            ("PREMATURE_MULTIPLES", 198000),
            ("TERM", 148000),
            ("AGE1", 98000),
        )
    },
    ("infant", "AGE1_X_SEVERITY1", "AGE1_X_SEVERITY1"): (600, 500, 430, 400, 390),
    ("infant", "AGE_M_1", "AGE1_MALE"): (90, 80, 70, 60, 50),
}  # fmt: skip
MONTHS = {m: (30 * m - 29, 30 * m) for m in range(1, 12)} | {12: (331, 366)}  # month 3: days 61-90; before: 63-92


def rows_like(frame: pl.DataFrame, where: dict[str, str], *changes: dict[str, Any]) -> pl.DataFrame:
    """The table with copies of one of its rows added, each with some cells changed."""
    (pattern,) = frame.filter(**where).head(1).to_dicts()
    return pl.concat([frame, pl.DataFrame([pattern | change for change in changes], schema=frame.schema)])


def with_coefficients(frame: pl.DataFrame) -> pl.DataFrame:
    gone = frame.filter(pl.col("variable").is_in(["AGE_M_60_PLUS", "AGE_F_60_PLUS"]), model="adult")
    frame = frame.join(gone, on=["model", "variable"], how="anti")
    replaced = pl.DataFrame([{"model": m, "variable": v} for m, v, _ in COEFFICIENTS])
    new = [
        {"model": model, "variable": variable, "cms_variable": name}
        | {metal: str(milli / 1000) for metal, milli in zip(METALS, figures, strict=True)}
        for (model, variable, name), figures in COEFFICIENTS.items()
    ]
    kept = frame.join(replaced, on=["model", "variable"], how="anti")
    return rows_like(kept, {"model": "adult", "variable": "G01"}, *new)


def with_bands(frame: pl.DataFrame) -> pl.DataFrame:
    """The band of 60 and over, split at 65."""
    frame = frame.filter(~pl.col("variable").str.ends_with("60_PLUS"))
    ends = [("60_64", "60", "64"), ("65_PLUS", "65", None)]
    new = [
        {
            "variable": f"AGE_{sex}_{end}",
            "cms_variable": f"{sex}AGE_LAST_{end}",
            "sex": sex,
            "age_min": low,
            "age_max": top,
        }
        for sex in "MF"
        for end, low, top in ends
    ]
    return rows_like(frame, {"model": "adult", "variable": "AGE_M_55_59"}, *new)


def with_rules(frame: pl.DataFrame) -> pl.DataFrame:
    """A group and an interaction more, and another list of severe conditions."""
    is_sepsis_severe = (pl.col("variable") == "SEVERE") & (pl.col("member") == "HCC002") & (pl.col("model") == "adult")
    frame = frame.filter(~is_sepsis_severe)
    frame = rows_like(frame, {"model": "adult", "variable": "SEVERE", "member": "HCC003"}, {"member": "G30"})
    frame = rows_like(
        frame,
        {"model": "adult", "variable": "G01"},
        {"variable": "G30", "member": "HCC300"},
        {"variable": "G30", "member": "HCC301"},
    )
    frame = rows_like(frame, {"model": "adult", "variable": "RXC_01"}, {"variable": "RXC_11"})
    new = {"variable": "RXC_11_X_HCC300"}
    return rows_like(
        frame,
        {"model": "adult", "variable": "RXC_01_X_HCC001", "clause": "1"},
        new | {"member": "RXC_11"},
        new | {"member": "HCC300", "clause": "2"},
    )


def with_infant_levels(frame: pl.DataFrame) -> pl.DataFrame:
    """A sixth and strongest severity, held by HCC300; sepsis moves to the weakest."""
    is_severity = pl.col("kind").str.starts_with("severity")
    frame = frame.with_columns(
        pl.when(is_severity).then((pl.col("rank").cast(pl.Int64) + 1).cast(pl.String)).otherwise("rank").alias("rank")
    )
    weakest = frame.filter(kind="severity_member", variable="SEVERITY1")["rank"][0]
    is_sepsis = is_severity & (pl.col("member") == "HCC002")
    frame = frame.with_columns(
        pl.when(is_sepsis).then(pl.lit("SEVERITY1")).otherwise("variable").alias("variable"),
        pl.when(is_sepsis).then(pl.lit(weakest)).otherwise("rank").alias("rank"),
    )
    new = {"variable": "SEVERITY6", "member": "HCC300", "rank": "1"}
    frame = rows_like(frame, {"kind": "severity_member", "variable": "SEVERITY5"}, new)
    levels = ("EXTREMELY_IMMATURE", "IMMATURE", "PREMATURE_MULTIPLES", "TERM", "AGE1")
    combinations = [
        {"variable": f"{m}_X_SEVERITY6", "member": f"{m} and SEVERITY6", "maturity": m, "severity": "SEVERITY6"}
        for m in levels
    ]
    return rows_like(frame, {"kind": "combination"}, *combinations)


def made_up_tables() -> dict[str, pl.DataFrame]:
    tables = year_tables.year_set(SOURCE_YEAR)
    tables["coefficients"] = with_coefficients(tables["coefficients"])
    tables["demographic_bands"] = with_bands(tables["demographic_bands"])
    tables["model_variables"] = with_rules(tables["model_variables"])
    tables["infant_model"] = with_infant_levels(tables["infant_model"])
    tables["hcc_label"] = rows_like(
        tables["hcc_label"],
        {"hcc": "HCC001"},
        {"hcc": "HCC300", "label": "A condition nobody has, severe"},
        {"hcc": "HCC301", "label": "A condition nobody has", "infant_payment": "false"},
    )
    tables["hcc_hierarchy"] = rows_like(
        tables["hcc_hierarchy"], {"hcc": "HCC019"}, {"hcc": "HCC300", "drops_hcc": "HCC301"}
    )
    tables["icd10_to_cc"] = rows_like(
        tables["icd10_to_cc"], {"icd10": "B20"}, {"icd10": "X990", "cc": "300"}, {"icd10": "X991", "cc": "301"}
    )
    tables["rxc_hierarchy"] = rows_like(
        tables["rxc_hierarchy"],
        {"rxc": "RXC_01"},
        {"rxc": "RXC_11", "label": "A drug nobody takes", "drops_rxc": "RXC_08"},
    )
    tables["ndc_to_rxc"] = rows_like(tables["ndc_to_rxc"], {"rxc": "RXC_01"}, {"ndc11": "99999000101", "rxc": "RXC_11"})
    tables["hcpcs_to_rxc"] = rows_like(tables["hcpcs_to_rxc"], {}, {"hcpcs": "J9998", "rxc": "RXC_11"})
    tables["acf_code_map"] = rows_like(tables["acf_code_map"], {"model": "adult"}, {"code": "99999000202"})
    days = pl.DataFrame([(str(m), str(low), str(high)) for m, (low, high) in MONTHS.items()], orient="row")
    tables["enrollment_duration_months"] = tables["enrollment_duration_months"].with_columns(
        days["column_0"].alias("enroll_months"), days["column_1"].alias("days_min"), days["column_2"].alias("days_max")
    )
    is_94 = pl.col("hios_variant") == "06"
    tables["csr_factors"] = tables["csr_factors"].with_columns(
        pl.when(is_94).then(pl.lit("1.3")).otherwise("factor").alias("factor"),
        pl.when(is_94).then(pl.lit("12")).otherwise("csr_indicator").alias("csr_indicator"),
    )
    return tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return year_tables.write_set(tmp_path_factory.mktemp("made_up_year"), made_up_tables())


def person(
    birth: tuple[int, int, int], sex: str, *codes: str, drugs=(), variant="01", metal="silver", days=365
) -> dict:
    start = datetime.date(YEAR, 1, 1)
    end = start + datetime.timedelta(days=days - 1)
    span = {"plan_id": "12345XX0010001", "csr_variant": variant, "metal_level": metal}
    day = {"service_date": start}
    return {
        "birth_date": datetime.date(*birth),
        "sex": sex,
        "spans": [span | {"span_start": start, "span_end": end}],
        "diagnoses": [{"diagnosis_code": code} | day for code in codes],
        "drugs": [{"code_type": kind, "code": code} | day for kind, code in drugs],
    }


PEOPLE = {
    # 300 drops 301; RXC 11 drops RXC 8; 300 counts for the interaction before group 30 takes it in; group 30 is severe.
    "man_of_51": person((1980, 1, 1), "M", "X99.0", "X99.1", "B20", drugs=[("ndc", "99999000101"), ("ndc", "RXC_08")]),
    "man_of_51_without_hiv": person((1980, 1, 1), "M", "X990", "X991", drugs=[("hcpcs", "J9998"), ("ndc", "RXC_08")]),
    # 62 days are month 3 now (month 2 in 2026), and sepsis is no longer on the severe list.
    "woman_of_66": person((1965, 1, 1), "F", "A41.9", days=62),
    "woman_of_64": person((1967, 1, 1), "F"),
    # A drug of the cost factor that no year has.
    "man_of_41": person((1990, 1, 1), "M", drugs=[("ndc", "99999000202")], metal="gold"),
    # The child model has no group 30: HCC300 counts itself.
    "boy_of_12": person((2019, 1, 1), "M", "X990", "X991", metal="bronze"),
    # HCC300 is stronger than every severity there was; the 94% variant has a factor of its own.
    "newborn_girl": person((2031, 1, 1), "F", "P07.01", "X990", variant="06"),
    # Sepsis is now the weakest severity.
    "boy_of_one": person((2030, 1, 1), "M", "A419", metal="gold"),
}

# variables, thousandths of the own metal, factor. The arithmetic is the sum of COEFFICIENTS, nothing else.
EXPECTED = {
    "man_of_51_without_hiv": (
        ["G30", "MAGE_LAST_50_54", "RXC_11", "RXC_11_X_HCC300", "SEVERE_HCC_COUNT1"],
        240 + 3100 + 1130 - 230 - 630,  # = 3.610
        1.0,
    ),
    "woman_of_66": (["FAGE_LAST_65_GT", "HCC_ED3", "HHS_HCC002"], 500 + 2500 + 8800, 1.0),  # = 11.800
    "woman_of_64": (["FAGE_LAST_60_64"], 300, 1.0),
    "man_of_41": (["ACF_PREP", "MAGE_LAST_40_44"], 210 + 440, 1.0),  # = 0.650
    "boy_of_12": (["HHS_HCC300", "MAGE_LAST_10_14"], 90 + 7400, 1.0),  # = 7.490
    "newborn_girl": (["EXTREMELY_IMMATURE_X_SEVERITY6"], 298000, 1.3),
    "boy_of_one": (["AGE1_MALE", "AGE1_X_SEVERITY1"], 500 + 80, 1.0),  # = 0.580
}


def people(ndc_of_rxc_08: str) -> dict[str, dict]:
    """The people, with a published drug code of category 8 in place of its name."""
    found = {}
    for name, one in PEOPLE.items():
        drugs = [d | {"code": ndc_of_rxc_08} if d["code"] == "RXC_08" else d for d in one["drugs"]]
        found[name] = one | {"drugs": drugs}
    return found


@pytest.fixture(scope="module")
def population() -> dict[str, dict]:
    drugs = year_tables.rows_of("ndc_to_rxc", SOURCE_YEAR)
    return people(drugs.filter(rxc="RXC_08")["ndc11"][0])


def frames_of(population: dict[str, dict]) -> dict[str, pl.DataFrame]:
    def rows(kind: str) -> list[dict]:
        return [{"enrollee_id": name} | row for name, one in population.items() for row in one[kind]]

    facts = [{"enrollee_id": name, "birth_date": p["birth_date"], "sex": p["sex"]} for name, p in population.items()]
    found = {"enrollees": facts, "spans": rows("spans"), "diagnoses": rows("diagnoses"), "drugs": rows("drugs")}
    return {name: pl.DataFrame(lines) for name, lines in found.items()}


def score(population: dict[str, dict]) -> riskadjust.Scores:
    frames = frames_of(population)
    return riskadjust.score(*frames.values(), benefit_year=YEAR, explain=True)


def check_by_hand(scores: pl.DataFrame) -> None:
    found = {row["enrollee_id"]: row for row in scores.to_dicts()}
    for name, (variables, milli, factor) in EXPECTED.items():
        row = found[name]
        assert row["variables"] == sorted(variables), name
        assert round(row["risk_score"] * 1000) == milli, name
        assert row["csr_factor"] == factor, name
        assert row["csr_adjusted_score"] == milli * round(factor * 10) / 10_000, name


def test_the_year_is_not_held_without_the_folder(population):
    with pytest.raises(TableMissing, match=f"{YEAR}.*hhs_hcc/coefficients"):
        score(population)


def test_by_hand(folder, population):
    with data_specs.use(folder):
        result = score(population)
    check_by_hand(result.scores)
    months = dict(result.scores.select("enrollee_id", "enrollment_months").rows())
    assert months["woman_of_66"] == 3
    assert result.counts["rejected"].sum() == 0


def test_every_metal_by_hand(folder, population):
    with data_specs.use(folder):
        row = score(population).scores.filter(enrollee_id="man_of_51_without_hiv").row(0, named=True)
    parts = ("AGE_M_50_54", "G30", "RXC_11", "RXC_11_X_HCC300", "SEVERE_COUNT_1")
    for number, metal in enumerate(METALS):
        milli = sum(figures[number] for (_, variable, _), figures in COEFFICIENTS.items() if variable in parts)
        assert round(row[f"score_{metal}"] * 1000) == milli
    assert row["hccs"] == ["300"]
    assert row["rxcs"] == ["11"]
    assert row["hcc_count"] == 1


def test_the_slow_twin_agrees(folder, population):
    tables = oracle.load_tables(YEAR, folder / "hhs_hcc")
    with data_specs.use(folder):
        found = {row["enrollee_id"]: row for row in score(population).scores.to_dicts()}
    for name, one in population.items():
        (expected,) = oracle.score_person(tables, **one)
        assert found[name]["variables"] == expected["variables"], name
        assert round(found[name]["risk_score"] * 1000) == expected["risk_milli"], name
        assert found[name]["model"] == expected["model"], name


def test_every_scored_point_is_explained(folder, population):
    frames = frames_of(population)
    with data_specs.use(folder):
        lines = riskadjust.explain(*frames.values(), benefit_year=YEAR)
    totals = lines.group_by("enrollee_id").agg((pl.col("coefficient") * 1000).round().cast(pl.Int64).sum())
    assert {name: milli for name, milli in totals.rows() if name in EXPECTED} == {n: e[1] for n, e in EXPECTED.items()}
    group = lines.filter(enrollee_id="man_of_51_without_hiv", variable="G30")
    assert [e["code"] for e in group["evidence"].item()] == ["X990"]


def test_through_the_environment_variable(folder, population, monkeypatch):
    monkeypatch.setenv("POOLWISE_TABLES", str(folder))
    check_by_hand(score(population).scores)


def test_the_result_of_an_installed_year_does_not_change(folder, population):
    frames = {
        name: frame.with_columns(
            pl.when(pl.col(c).dt.year() == YEAR)
            .then(pl.col(c).dt.offset_by(f"{SOURCE_YEAR - YEAR}y"))
            .otherwise(c)
            .alias(c)
            for c in frame.columns
            if frame.schema[c] == pl.Date and c != "birth_date"
        )
        for name, frame in frames_of(population).items()
    }
    before = riskadjust.score(*frames.values(), benefit_year=SOURCE_YEAR).scores
    with data_specs.use(folder):
        assert riskadjust.score(*frames.values(), benefit_year=SOURCE_YEAR).scores.equals(before)


def test_the_folder_holds_tables_and_nothing_else(folder):
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".csv"}
    package = Path(data_specs.__file__).parent
    assert package not in folder.parents


def run_command(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "poolwise", "score", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)


@pytest.mark.parametrize("way", ["option", pytest.param("environment", marks=pytest.mark.slow)])
def test_through_the_command(folder, population, tmp_path, way):
    for name, frame in frames_of(population).items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    arguments = [str(tmp_path), "--benefit-year", str(YEAR), "--explain", "--out", str(tmp_path / "out"), "--json"]
    if way == "option":
        done = commands.run("score", *arguments, "--tables", folder)
    else:
        done = run_command(arguments, {"POOLWISE_TABLES": str(folder)})
    assert json.loads(done.stdout)["command"] == "score"
    (path,) = (tmp_path / "out").rglob("scores.parquet")
    check_by_hand(pl.read_parquet(path))
    manifest = (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")
    assert '"user"' in manifest
    assert "sha256:" in manifest
