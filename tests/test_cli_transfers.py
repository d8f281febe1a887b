"""The command `poolwise transfers` as its users meet it: folders it understands, files it leaves, what it refuses."""

import json
import sys

import polars as pl
import pytest
from commands import refused, run

import data_specs
import riskadjust
from data_specs import _registry
from data_specs._manifest import describe_run, write_manifest
from poolwise.cli._transfer_inputs import read_inputs, read_table

PLAN_ROWS = """risk_pool,issuer_id,plan_id,rating_area_id,metal_level,billable_member_months,premium,plrs,arf,gcf
individual,11111,A,1,silver,12000,4800000,1.20,1.50,1
individual,22222,B,1,silver,8000,3200000,0.90,1.50,1
individual,22222,C,1,gold,0,0,,,1
"""
SHORT = ("enrollees", "spans", "plans", "costs")

pytestmark = pytest.mark.usefixtures("plain_terminal", "undrawn_charts")


@pytest.fixture
def ready(tmp_path):
    """A folder of ready plan rows; by hand: P = 400, PMPM = (1.20 / 1.08 - 1) 400 = 44.44."""
    folder = tmp_path / "ready"
    folder.mkdir()
    (folder / "plan_rows.csv").write_text(PLAN_ROWS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def market():
    return data_specs.synthetic_market("OH", enrollees=400, seed=4)


@pytest.fixture(scope="module")
def scores(market):
    frames = [market[t] for t in ("enrollees", "spans", "diagnoses", "drugs")]
    return riskadjust.score(*frames, benefit_year=2025, explain=True).scores


@pytest.fixture(scope="module")
def expected(market, scores):
    rows = riskadjust.plan_risk(scores, *(market[t] for t in SHORT[:3]), benefit_year=2025)
    return riskadjust.transfers(rows, benefit_year=2025)


@pytest.fixture
def enrolled(tmp_path, market, scores):
    """A folder of scores and enrollment."""
    folder = tmp_path / "enrolled"
    folder.mkdir()
    scores.write_parquet(folder / "scores.parquet")
    for table in SHORT:
        market[table].write_parquet(folder / f"{table}.parquet")
    return folder


def issuers(folder):
    return pl.read_parquet(folder / "issuer_transfers.parquet")


# ------------------------------------------------------------------------------------------------ plan rows


def test_plan_rows_by_hand(ready, tmp_path):
    out = tmp_path / "out"
    said = run("transfers", ready, "--benefit-year", 2016, "--out", out)
    assert issuers(out).select("issuer_id", pl.col("transfer").cast(pl.String)).rows() == [
        ("11111", "533333.33"),
        ("22222", "-533333.33"),
    ]
    assert {p.name for p in out.iterdir()} == {
        "plan_transfers.parquet",
        "issuer_transfers.parquet",
        "risk_pools.parquet",
        "zero_month_plans.parquet",
        "findings.csv",
        "counts.csv",
        "settings.csv",
        "uncertain.csv",
        "transfers.xlsx",
        "transfers.html",
        "manifest.json",
    }
    assert said.stderr == ""
    assert said.stdout.splitlines()[-1] == f"Results: {out}"
    assert "533,333.33" in said.stdout
    assert "−533,333.33" in said.stdout
    assert "TRF-020" in said.stdout


@pytest.mark.usefixtures("without_pages")
def test_csv_holds_the_same(ready, tmp_path):
    run("transfers", ready, "--benefit-year", 2016, "--out", tmp_path / "a")
    run("transfers", ready, "--benefit-year", 2016, "--out", tmp_path / "b", "--format", "csv")
    parquet = issuers(tmp_path / "a")
    text = pl.read_csv(tmp_path / "b" / "issuer_transfers.csv", schema=parquet.schema)
    assert text.equals(parquet)


def test_manifest_of_a_settlement(ready, tmp_path):
    out = tmp_path / "out"
    setting = ("--setting", "admin_cost_reduction=0.14", "--setting", "state_reduction@individual=0.5")
    run("transfers", ready, "--benefit-year", 2016, "--out", out, *setting)
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["command"], manifest["benefit_year"]) == ("transfers", 2016)
    assert manifest["settings"]["admin_cost_reduction"] == "0.14"
    assert manifest["settings"]["state_reduction (individual)"] == "0.5"
    assert [i["name"] for i in manifest["inputs"]] == ["plan_rows.csv"]
    for output in manifest["outputs"]:
        path = out / output["name"]
        assert (output["bytes"], output["digest"]) == (path.stat().st_size, _registry.digest_of(path))
    assert str(issuers(out)["transfer"][0]) == "229333.33"  # 533,333.33... x 0.86 x 0.5


def test_json_is_one_document(ready):
    said = run("transfers", ready, "--benefit-year", 2016, "--json")
    document = json.loads(said.stdout)
    assert said.stderr == ""
    assert [i["transfer"] for i in document["issuers"]] == ["533333.33", "-533333.33"]  # text: no digit is lost
    assert document["risk_pools"][0]["residual"] == "0.00"
    assert (document["exit_code"], document["mixes"], document["high_cost"]) == (0, None, None)
    assert document["counts"] == [{"table": "plan_rows", "input": 3, "accepted": 3, "rejected": 0}]


@pytest.mark.slow
def test_equal_runs_leave_equal_bytes(ready, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("one", "other"):
        run("transfers", ready, "--benefit-year", 2016, "--out", tmp_path / name)
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "other"))
    assert set(one) == set(other)
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.usefixtures("without_pages")
def test_inputs_beside_plan_rows_take_part(ready, tmp_path):
    (ready / "radv_error_rates.csv").write_text("issuer_id,error_rate\n11111,0.25\n")
    (ready / "default_charges.csv").write_text(
        "risk_pool,issuer_id,billable_member_months,charge_pmpm,takes_premium_share\nindividual,33333,100,50,no\n"
    )
    (ready / "high_cost_claims.csv").write_text("enrollee_id,plan_id,plan_paid\nE1,A,1500000\nE2,Z,9000000\n")
    parts = refused("transfers", ready, "--benefit-year", 2022)
    assert "premium of 1 issuer with a default charge" in parts["what"]
    (ready / "default_charges.csv").write_text(
        "risk_pool,issuer_id,billable_member_months,premium,charge_pmpm,takes_premium_share\n"
        "individual,33333,100,40000,50,no\n"
    )
    (ready / "gcf.csv").write_text("risk_pool,rating_area_id,gcf\nindividual,1,2\n")
    out = tmp_path / "out"
    said = run("transfers", ready, "--benefit-year", 2022, "--out", out).stdout
    amounts = {i: (t, c) for i, t, c in issuers(out).select("issuer_id", "transfer", "default_charge").rows()}
    assert str(amounts["33333"][1]) == "-5000.00"
    # 1.20 less a quarter is 0.90: all alike, and nobody pays but the issuer that is charged.
    assert [str(amounts[i][0]) for i in ("11111", "22222")] == ["0.00", "0.00"]
    paid = pl.read_parquet(out / "high_cost_issuers.parquet").select("issuer_id", "payment").rows()
    assert [(i, str(p)) for i, p in paid] == [("11111", "300000.00"), ("22222", "0.00"), ("33333", "0.00")]
    assert "claims of plans that were not settled, left out of the high-cost risk pool: 1" in said
    assert "gcf.csv was not read" in said
    inputs = {i["name"] for i in json.loads((out / "manifest.json").read_text())["inputs"]}
    assert inputs == {"plan_rows.csv", "radv_error_rates.csv", "default_charges.csv", "high_cost_claims.csv"}


@pytest.mark.parametrize("benefit_year", [2016, 2019])
def test_years_without_a_high_cost_risk_pool(ready, benefit_year):
    (ready / "costs.csv").write_text("enrollee_id,plan_id,csr_variant,plan_paid\nE1,A,01,1500000\n")
    document = json.loads(run("transfers", ready, "--benefit-year", benefit_year, "--json").stdout)
    assert document["high_cost"] is None
    assert document["notes"] == [
        f"no high-cost risk pool is held for benefit year {benefit_year}: claims were not used"
    ]


@pytest.mark.usefixtures("without_pages")
def test_a_result_can_be_settled_again(enrolled, tmp_path, expected):
    run("transfers", enrolled, "--benefit-year", 2025, "--out", tmp_path / "one", "--format", "csv")
    run("transfers", tmp_path / "one", "--benefit-year", 2025, "--out", tmp_path / "other")
    again = issuers(tmp_path / "other").select("risk_pool", "issuer_id", "transfer")
    assert again.equals(expected.issuers.select("risk_pool", "issuer_id", "transfer"))


def test_many_pools_are_shown_by_their_totals(ready):
    header, *rows = PLAN_ROWS.splitlines()
    pools = [row.replace("individual", f"pool {n}") for n in range(9) for row in rows]
    (ready / "plan_rows.csv").write_text("\n".join([header, *pools]) + "\n")
    said = run("transfers", ready, "--benefit-year", 2016).stdout
    assert "Risk pools (their issuers are in the files and in --json)" in said
    assert "pool 8" in said
    assert "Risk pool pool 8:" not in said


# ------------------------------------------------------------------------------------------------ scores and enrollment


@pytest.mark.usefixtures("without_pages")
def test_scores_and_enrollment(enrolled, tmp_path, expected):
    out = tmp_path / "out"
    run("transfers", enrolled, "--benefit-year", 2025, "--out", out)
    assert issuers(out).equals(expected.issuers)
    assert pl.read_parquet(out / "plan_transfers.parquet").equals(expected.plans)
    names = {p.name for p in out.iterdir()}
    assert {"plan_rows.parquet", "area_factors.parquet", "high_cost_issuers.parquet"} <= names
    assert "mix_issuers.parquet" not in names


@pytest.mark.slow
def test_text_files_give_the_same(tmp_path, market, scores, expected):
    folder = tmp_path / "text"
    folder.mkdir()
    market["spans"].write_csv(folder / "Enrollment_Spans.CSV")
    for table in ("enrollees", "plans", "costs"):
        market[table].write_csv(folder / f"{table}.csv")
    lists = [pl.col(c).list.join(" ") for c in ("hccs", "rxcs", "variables")]
    scores.with_columns(lists).write_csv(folder / "scores.csv")
    mix = ("--mix", "issuer_attracts_condition:issuer_id=00101,growth=2", "--mix", "mandate_repeal")
    document = json.loads(run("transfers", folder, "--benefit-year", 2025, *mix, "--json").stdout)
    assert [i["transfer"] for i in document["issuers"]] == [str(t) for t in expected.issuers["transfer"]]
    rules = pl.concat(
        [
            riskadjust.named_mix("issuer_attracts_condition", issuer_id="00101", growth="2"),
            riskadjust.named_mix("mandate_repeal"),
        ],
        how="diagonal_relaxed",
    )
    frames = [market[t] for t in SHORT[:3]]
    mixed = riskadjust.mix(scores, *frames, rules, benefit_year=2025, costs=market["costs"])
    assert [i["transfer"] for i in document["mixes"]["issuers"]] == [
        None if t is None else str(t) for t in mixed.issuers["transfer"]
    ]


def test_a_scored_folder_finds_what_was_scored(tmp_path, market, expected):
    year, scored = tmp_path / "year", tmp_path / "scored"
    year.mkdir()
    for table in ("enrollees", "spans", "plans", "diagnoses", "drugs"):
        market[table].write_parquet(year / f"{table}.parquet")
    run("score", year, "--benefit-year", 2025, "--out", scored)
    document = json.loads(run("transfers", scored, "--benefit-year", 2025, "--json").stdout)
    assert [i["transfer"] for i in document["issuers"]] == [str(t) for t in expected.issuers["transfer"]]
    assert document["notes"] == [f"the enrollment was read from {year}, the folder that was scored"]
    # Replacing the result would delete what is read.
    assert "holds the input" in refused("transfers", scored, "--benefit-year", 2025, "--out", tmp_path)["what"]
    market["spans"].head(200).write_parquet(year / "spans.parquet")
    parts = refused("transfers", scored, "--benefit-year", 2025)
    assert parts["what"] == "the spans table has changed since it was scored"
    assert "score it again" in parts["to do"]
    (year / "spans.parquet").unlink()
    assert refused("transfers", scored, "--benefit-year", 2025)["what"] == "the spans table is missing"


@pytest.mark.slow
def test_inputs_of_a_scored_folder_are_not_replaced(tmp_path, market):
    """The folder that was scored lies in a result of ours, which --out would replace as a whole."""
    result = tmp_path / "result"
    (result / "inputs").mkdir(parents=True)
    for table in ("enrollees", "spans", "plans", "diagnoses"):
        market[table].write_parquet(result / "inputs" / f"{table}.parquet")
    write_manifest(result, describe_run("demo", {}))
    run("score", result / "inputs", "--benefit-year", 2025, "--out", tmp_path / "scored")
    parts = refused("transfers", tmp_path / "scored", "--benefit-year", 2025, "--out", result)
    assert "holds the input" in parts["what"]
    assert (result / "inputs" / "spans.parquet").exists()


@pytest.mark.usefixtures("without_pages")
def test_rejected_rows_are_counted_and_written(enrolled, tmp_path, market):
    bad = market["spans"].with_columns(pl.col("rating_area_id").str.replace("R-OH001", "nowhere"))
    bad.write_parquet(enrolled / "spans.parquet")
    out = tmp_path / "out"
    said = run("transfers", enrolled, "--benefit-year", 2025, "--out", out, code=1).stdout
    counts = {t: numbers for t, *numbers in pl.read_csv(out / "counts.csv").rows()}
    assert all(accepted + rejected == given for given, accepted, rejected in counts.values())
    rejected = pl.read_csv(out / "rejected_enrollment_spans.csv", infer_schema=False)
    assert rejected.height == counts["enrollment_spans"][2] > 0
    assert rejected["rule_id"][0] in said


@pytest.mark.usefixtures("without_pages")
def test_given_factors_are_used(enrolled, tmp_path, expected):
    given = expected.plans.select("state", "risk_pool", "rating_area_id").unique().with_columns(gcf=pl.lit(1.0))
    given.write_csv(tmp_path / "factors.csv")
    out = tmp_path / "out"
    run("transfers", enrolled, "--benefit-year", 2025, "--out", out, "--gcf", tmp_path / "factors.csv")
    assert pl.read_parquet(out / "plan_rows.parquet")["gcf"].unique().to_list() == [1.0]
    names = {i["name"] for i in json.loads((out / "manifest.json").read_text())["inputs"]}
    assert "factors.csv" in names


def test_published_factors_of_a_year_without_any_are_refused(enrolled):
    parts = refused("transfers", enrolled, "--benefit-year", 2025, "--gcf", "published")
    assert "transfers/geographic_cost_factors" in parts["what"]


def test_published_factors_are_the_final_ones():
    from poolwise.cli._transfers import _published_factors

    factors = _published_factors(2022)
    everything = data_specs.table("transfers/geographic_cost_factors", year=2022)
    assert factors.height == everything.select("state", "risk_pool", "rating_area").n_unique()
    assert not factors.select("state", "risk_pool", "rating_area_id").is_duplicated().any()
    one = everything.filter(pl.col("state") == "OH", pl.col("risk_pool") == "individual", pl.col("rating_area") == 4)
    best = one.sort("release")["gcf"][0]
    found = factors.filter(pl.col("state") == "OH", pl.col("risk_pool") == "individual", rating_area_id="4")
    assert found["gcf"].to_list() == [best]


def test_settings_go_to_the_step_that_knows_them(enrolled):
    names = ("month_rule=full_month_one", "admin_cost_reduction=0", "hcrp_threshold=50000", "gcf_rule=held")
    settings = [part for name in names for part in ("--setting", name)]
    document = json.loads(
        run("transfers", enrolled, "--benefit-year", 2025, "--json", "--mix", "mandate_repeal", *settings).stdout
    )
    used = {(s["setting"], s["applies_to"]): s["value"] for s in document["settings"]}
    assert used["month_rule", "all"] == "full_month_one"
    assert used["admin_cost_reduction", "all"] == "0"
    assert used["gcf_rule", "all"] == "held"
    assert used["hcrp_threshold", "all"] == "50000"
    months = sum(p["billable_member_months"] for p in document["risk_pools"])
    plain = json.loads(run("transfers", enrolled, "--benefit-year", 2025, "--json").stdout)
    assert months < sum(p["billable_member_months"] for p in plain["risk_pools"])
    pool = document["risk_pools"][0]
    assert pool["average_premium"] == pool["net_average_premium"]
    assert sum(p["enrollees_above"] for p in document["high_cost"]["pools"]) > 10


# ------------------------------------------------------------------------------------------------ mixes


@pytest.mark.parametrize("with_page", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_mixes_of_a_file(enrolled, tmp_path, with_page, request):
    if not with_page:
        request.getfixturevalue("without_pages")
    (tmp_path / "mixes.csv").write_text(
        "mix,rule,column,operator,value,action,factor,to_plan_id\n"
        "fewer young,1,age_last,<=,34,scale,0.5,\n"
        "fewer young,1,sex,=,M,scale,0.5,\n"
        "one leaves,1,issuer_id,=,00101,scale,0,\n"
    )
    out = tmp_path / "out"
    said = run("transfers", enrolled, "--benefit-year", 2025, "--out", out, "--mix", tmp_path / "mixes.csv").stdout
    mixed = pl.read_parquet(out / "mix_issuers.parquet")
    assert mixed["mix"].unique(maintain_order=True).to_list() == ["base", "fewer young", "one leaves"]
    gone = mixed.filter(
        pl.col("mix") == "one leaves", pl.col("issuer_id") == "00101", pl.col("risk_pool") == "individual"
    )
    assert gone["billable_member_months"].to_list() == [0.0]
    assert "fewer young" in said
    assert {"mix_plans.parquet", "mix_pools.parquet", "mix_enrollment.parquet"} <= {p.name for p in out.iterdir()}
    assert "mixes.csv" in {i["name"] for i in json.loads((out / "manifest.json").read_text())["inputs"]}
    if with_page:
        page = (out / "transfers.html").read_text(encoding="utf-8")
        assert "Enrollee mixes side by side" in page
        assert "one leaves" in page


@pytest.mark.slow
def test_mixes_leave_error_rates_out_and_say_so(enrolled):
    (enrolled / "radv_error_rates.csv").write_text("issuer_id,error_rate\n00101,0.05\n")
    document = json.loads(
        run("transfers", enrolled, "--benefit-year", 2025, "--mix", "mandate_repeal", "--json").stdout
    )
    assert any("mixes are settled without error rates" in note for note in document["notes"])


@pytest.mark.slow
def test_mixes_that_cannot_be(enrolled, ready, tmp_path):
    def mix(*texts, folder=enrolled):
        return refused("transfers", folder, "--benefit-year", 2025, *(a for t in texts for a in ("--mix", t)))

    assert "no mix is called 'nothing'" in mix("nothing")["what"]
    assert "healthy_young_leave" in mix("nothing")["to do"]
    assert "needs a value of 'issuer_id'" in mix("issuer_exits")["what"]
    assert "has no value" in mix("issuer_exits:issuer_id")["what"]
    assert mix("no.csv")["what"] == "the file of --mix does not exist"
    assert "plan rows do not tell who is enrolled" in mix("mandate_repeal", folder=ready)["what"]
    (tmp_path / "bad.csv").write_text("mix,column,operator,value,action,factor,to_plan_id\na,,all,,scale,much,\n")
    parts = mix(str(tmp_path / "bad.csv"))
    assert parts["what"] == "1 cell(s) of column 'factor' are not a number"
    assert "line 2" in parts["where"]


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("missing", [("spans",), ("plans",), ("enrollees", "plans")])
def test_missing_tables_are_named(enrolled, missing):
    for table in missing:
        (enrolled / f"{table}.parquet").unlink()
    parts = refused("transfers", enrolled, "--benefit-year", 2025)
    assert all(table in parts["what"] for table in missing)
    assert parts["what"].endswith("is missing" if len(missing) == 1 else "are missing")
    assert parts["rule"] == "a folder holds plan_rows, or scores, enrollees, spans and plans, each as .csv or .parquet"


def test_a_folder_that_was_not_scored_is_told_how(enrolled):
    (enrolled / "scores.parquet").unlink()
    parts = refused("transfers", enrolled, "--benefit-year", 2025)
    assert parts["what"] == "the scores table is missing"
    assert f"poolwise score {enrolled}" in parts["to do"]


def test_folders_that_hold_nothing_to_settle(tmp_path, enrolled):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for name, what in (
        ("empty", "the folder holds nothing to settle"),
        ("no", "the folder does not exist"),
        ("file", "a file is named where a folder is meant"),
    ):
        assert refused("transfers", tmp_path / name, "--benefit-year", 2025)["what"] == what
    (enrolled / "plan_rows.csv").write_text(PLAN_ROWS)
    assert "could be settled from either" in refused("transfers", enrolled, "--benefit-year", 2025)["what"]
    (enrolled / "plan_rows.csv").unlink()
    (enrolled / "enrollment_spans.csv").write_text("enrollee_id\n")
    assert refused("transfers", enrolled, "--benefit-year", 2025)["what"] == "two files hold the spans table"


BAD_ROWS = [
    (PLAN_ROWS.replace("4800000", "4.8 million"), "are not a number", "line 2, column premium"),
    (PLAN_ROWS.replace(",arf", ",plrs"), "'plrs' stands twice", "plan_rows.csv"),
    (
        PLAN_ROWS.replace("silver,12000", "tin,12000"),
        "1 row of plan_rows cannot be settled",
        "column metal_level, row 1",
    ),
    (PLAN_ROWS.replace("1.20,1.50,1", "1.20,1.50,"), "1 row of plan_rows cannot be settled", "column gcf, row 1"),
    ("", "the file cannot be read as a table", "plan_rows.csv"),
    (PLAN_ROWS.splitlines()[0] + "\n", "the table has no rows", "plan_rows"),
]


@pytest.mark.parametrize(("text", "what", "where"), BAD_ROWS)
def test_bad_plan_rows_are_refused(ready, text, what, where):
    (ready / "plan_rows.csv").write_text(text)
    parts = refused("transfers", ready, "--benefit-year", 2025)
    assert what in parts["what"]
    assert where in parts["where"]
    assert parts["rule"]


def test_a_file_that_is_no_table_is_refused(ready):
    (ready / "plan_rows.csv").rename(ready / "plan_rows.parquet")
    assert refused("transfers", ready, "--benefit-year", 2025)["what"] == "the file is not a Parquet file"


def test_no_value_of_a_person_stands_in_a_refusal(enrolled, market):
    market["spans"].with_columns(pl.lit("SECRET").alias("premium_monthly")).write_csv(enrolled / "spans.csv")
    (enrolled / "spans.parquet").unlink()
    said = run("transfers", enrolled, "--benefit-year", 2025, code=2).stderr
    assert "column 'premium_monthly' are not a number" in said
    assert "SECRET" not in said
    assert "SYN-" not in said


def test_settings_are_checked(ready, enrolled):
    def setting(*texts, folder=ready):
        return refused("transfers", folder, "--benefit-year", 2025, *(a for t in texts for a in ("--setting", t)))

    assert setting("nothing=1")["what"] == "no setting is called 'nothing'"
    assert "cannot be 'never'" in setting("issuer_rounding=never")["what"]
    assert "for all and for one place" in setting("state_reduction=0.1", "state_reduction@OH=0.2")["what"]
    assert "for all and for one place" in setting("state_reduction@OH=0.2", "state_reduction=0.1")["what"]
    assert "names no risk pool" in setting("state_reduction@ZZ=0.2")["what"]
    assert "they are made" in setting("leap_birthday=march_1")["what"]
    assert "cannot be 'sometimes'" in setting("month_rule=sometimes", folder=enrolled)["what"]
    assert "cannot be 'many'" in setting("max_billable_children_under_21_per_family=many", folder=enrolled)["what"]
    assert "they are made" in refused("transfers", ready, "--benefit-year", 2025, "--gcf", "published")["what"]


@pytest.mark.usefixtures("without_pages")
def test_refused_run_leaves_the_earlier_result(ready, tmp_path):
    out = tmp_path / "out"
    run("transfers", ready, "--benefit-year", 2016, "--out", out)
    before = {p.name: p.read_bytes() for p in out.iterdir()}
    (ready / "plan_rows.csv").write_text(PLAN_ROWS.replace("silver,8000", "silver,-8000"))
    refused("transfers", ready, "--benefit-year", 2016, "--out", out)
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out", "ready"]


def test_without_the_extras_the_tables_are_written(ready, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    out = tmp_path / "out"
    said = run("transfers", ready, "--benefit-year", 2016, "--out", out).stdout
    assert "poolwise[reports]" in said
    assert "poolwise[excel]" in said
    names = {p.name for p in out.iterdir()}
    assert "issuer_transfers.parquet" in names
    assert not {"transfers.html", "transfers.xlsx"} & names


def test_usage_errors_are_refused(ready):
    for arguments in (
        ["transfers"],
        ["transfers", ready],
        ["transfers", ready, "--benefit-year", "2025", "--format", "xls"],
    ):
        result = run(*arguments, code=2)
        assert "Usage" in result.output
        assert "Traceback" not in result.output


# ------------------------------------------------------------------------------------------------ reading


def test_names_of_the_sources_are_understood(ready):
    names = {"issuer_id": "HIOS_Issuer_Id", "metal_level": " Metal", "billable_member_months": "BMM"}
    text = PLAN_ROWS
    for ours, theirs in names.items():
        text = text.replace(ours, theirs)
    (ready / "plan_rows.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    frame = read_inputs(ready, benefit_year=2025).frames["plan_rows"]
    assert frame.columns == PLAN_ROWS.splitlines()[0].split(",")
    assert frame["billable_member_months"].to_list() == [12000.0, 8000.0, 0.0]
    assert frame["plrs"].to_list() == [1.2, 0.9, None]
    assert frame["issuer_id"].to_list() == ["11111", "22222", "22222"]


def test_flags_lists_and_whole_numbers_of_text_files(tmp_path):
    (tmp_path / "plans.csv").write_text(
        "plan_id,metal_level,plan_year,ra_covered\nA,gold,2025,Yes\nB,gold,,0\nC,gold,2025,\n"
    )
    plans = read_table(tmp_path / "plans.csv", "plans")
    assert plans.select("plan_year", "ra_covered").rows() == [(2025, True), (None, False), (2025, None)]
    (tmp_path / "scores.csv").write_text("enrollee_id,age_last,risk_score,hccs\n007,41,0.336,019 020\n008,2,1,\n")
    scores = read_table(tmp_path / "scores.csv", "scores")
    assert scores.rows() == [("007", 41, 0.336, ["019", "020"]), ("008", 2, 1.0, [])]
    (tmp_path / "plans.csv").write_text("plan_id,metal_level,ra_covered\nA,gold,maybe\n")
    with pytest.raises(data_specs.errors.InputRefused, match="not true or false"):
        read_table(tmp_path / "plans.csv", "plans")
