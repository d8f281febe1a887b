"""The command `poolwise filing` as its users meet it: documents and tables in, results out, and what it refuses."""

import json
import re
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from commands import refused, run
from made_up import market_of

from data_specs import _registry
from poolwise.cli._demo_filing import filing_inputs, write_filing
from poolwise.cli._filing_results import FilingOutcome
from rating.filing import FilingSettings, read_workbook
from rating.filing._config import SECTIONS, read_config
from rating.filing._config_run import run_config
from rating.filing._formulas import CATEGORIES

DOCS = Path(__file__).resolve().parent.parent / "docs"
SILVER = "00101OH0010004"
STUDY = '[trend.study]\nseries = "claim_history.csv"\nestimator = "ols"\n'
DECLARED = '[trend]\ncost = 0.045\nutilization = 0.02\nsource = "judgment"\n'

pytestmark = pytest.mark.usefixtures("plain_terminal")


@pytest.fixture(scope="module")
def made():
    """Tables and document of a filing of a small made-up issuer; with a trend that is declared, not studied."""
    market = market_of(4_000)
    is_catastrophic = pl.col("metal_level") == "catastrophic"
    transfers = market["plans"].select(
        "issuer_id",
        "state",
        "plan_id",
        risk_pool=pl.when(is_catastrophic).then(pl.lit("catastrophic")).otherwise(pl.lit("individual")),
        transfer=pl.lit("-15000.25").cast(pl.Decimal(18, 2)),
    )
    tables, document = filing_inputs(market, transfers, seed=3)
    assert STUDY in document
    return tables, document.replace(STUDY, DECLARED)


@pytest.fixture(scope="module")
def home(made, tmp_path_factory):
    """The folder of that filing; nobody writes into it."""
    folder = tmp_path_factory.mktemp("filing") / "input"
    write_filing(folder, *made)
    return folder


@pytest.fixture(scope="module")
def worked(home):
    """The same filing, worked out without the command."""
    return run_config(read_config(home))


@pytest.fixture
def folder(made, tmp_path):
    """A folder of its own, to be spoiled."""
    place = tmp_path / "input"
    write_filing(place, *made)
    return place


@pytest.fixture
def undrawn(monkeypatch):
    """Pages and workbooks of exhibits are left out: drawing them takes longer than all the rest."""
    monkeypatch.setattr(FilingOutcome, "draw", lambda *_, **__: [])


def edit(folder, old, new):
    """Change the document; what is changed must stand there."""
    path = folder / "filing.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change(folder, table, **columns):
    """Change columns of a table."""
    path = folder / f"{table}.csv"
    frame = pl.read_csv(path, infer_schema=False).with_columns(**columns)
    frame.write_csv(path)


def document_of(*arguments, code=0):
    return json.loads(run("filing", *arguments, "--json", code=code).stdout)


def rules(document):
    return {finding["rule_id"] for finding in document["findings"]}


def of_market(document):
    return {row["name"]: row["value"] for row in document["market"]}


# ------------------------------------------------------------------------------------------------ results


@pytest.fixture(scope="module")
def result(home, tmp_path_factory):
    """A result folder of the filing, with changes and a trace, and what was said; pages are left out."""
    out = tmp_path_factory.mktemp("result") / "out"
    asked = ("--what-if", "pct_admin=0.2", "--what-if", "trend=0.07", "--trace", f"rate,{SILVER},1,45")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilingOutcome, "draw", lambda *_, **__: [])
        return out, run("filing", home, "--out", out, *asked)


def test_results_are_written(result, worked):
    out, said = result
    assert said.stderr == ""
    assert said.stdout.splitlines()[-1] == f"Results: {out}"
    assert {p.name for p in out.iterdir()} == {
        *(f"{name}.parquet" for name in ("rates", "ledger", "what_if_rates")),
        *(f"{name}.csv" for name in ("market", "plans", "products", "membership", "completion", "findings")),
        *(f"{name}.csv" for name in ("checks", "check_findings", "settings", "uncertain", "trace_1")),
        *(f"{name}.csv" for name in ("what_if_market", "what_if_plans", "bridge_what_if")),
        *("urrt.xlsx", "rates_template.csv", "rates_template.xlsx", "manifest.json"),
    }
    assert pl.read_parquet(out / "rates.parquet").equals(worked.filing.rates)
    ledger = pl.read_parquet(out / "ledger.parquet")
    assert ledger.equals(worked.filing.ledger.frame())
    read = read_workbook(out / "urrt.xlsx")
    for name in ("market_adjusted_index_rate", "mean_premium_pmpm"):
        assert float(read.value(name)) == pytest.approx(float(worked.filing.value(name)), rel=1e-12)


def test_what_if_is_written_beside_the_filing(result, worked):
    out, said = result
    assert "What if pct_admin=0.2, trend=0.07" in said.stdout
    changed = pl.read_parquet(out / "what_if_rates.parquet")
    assert changed.height == worked.filing.rates.height
    assert not changed.equals(worked.filing.rates)
    plans = pl.read_csv(out / "what_if_plans.csv")
    assert plans["pct_admin"].unique().to_list() == [0.2]
    steps = pl.read_csv(out / "bridge_what_if.csv").filter(pl.col("amount") != 0)
    assert steps["step"].to_list() == ["trend", "admin"]


def test_manifest_knows_every_file(result, home):
    out, _ = result
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert (manifest["command"], manifest["benefit_year"]) == ("filing", 2027)
    assert manifest["options"]["what_if"] == ["pct_admin=0.2", "trend=0.07"]
    assert manifest["settings"]["csr_load"] == "on_exchange_silver"
    names = {i["name"]: i["digest"] for i in manifest["inputs"]}
    # The history is for a trend study, which this document does not ask for.
    assert set(names) == {p.name for p in home.iterdir()} - {"claim_history.csv"}
    assert all(_registry.digest_of(home / name) == digest for name, digest in names.items())
    used = {t["table"] for t in manifest["tables"]}
    assert {"filing/exchange_user_fees", "rating/age_curves", "filing/urrt_formulas"} <= used
    for output in manifest["outputs"]:
        path = out / output["name"]
        assert (output["bytes"], output["digest"]) == (path.stat().st_size, _registry.digest_of(path))


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_equal_runs_leave_equal_bytes(home, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    for name in ("one", "other"):
        run("filing", home, "--out", tmp_path / name, "--what-if", "pct_admin=0.1", "--format", "csv")
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "other"))
    assert set(one) == set(other)
    assert {"filing.html", "reliance.html", "exhibits.xlsx", "rates.csv", "bridge_what_if.csv"} <= set(one)
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_pages_are_drawn(home, tmp_path):
    out = tmp_path / "out"
    run("filing", home, "--out", out)
    filing, reliance = ((out / name).read_text(encoding="utf-8") for name in ("filing.html", "reliance.html"))
    assert "Rate filing of issuer 00101, OH, plan year 2027" in filing
    assert 'href="reliance.html"' in filing
    assert 'href="filing.html"' in reliance
    assert "not a certification" in reliance
    for text in (filing, reliance):
        assert not re.search(r"\bnan\b", re.sub(r"<svg.*?</svg>|<style.*?</style>", "", text, flags=re.S), re.I)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_without_the_extra_for_workbooks_the_rest_is_written(home, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xlsxwriter", None)
    out = tmp_path / "out"
    said = run("filing", home, "--out", out).stdout
    assert "no workbook was written" in said
    assert "poolwise[excel]" in said
    assert {"rates.parquet", "rates_template.csv"} <= {p.name for p in out.iterdir()}
    assert not (out / "urrt.xlsx").exists()


@pytest.fixture(scope="module")
def said(home):
    """What a person reads, with a rate walked back a little."""
    return run("filing", home, "--trace", f"rate,{SILVER},R-OH002,64+,tobacco", "--depth", 2).stdout


def test_an_actuary_reads_it_on_the_screen(said, worked):
    filing = worked.filing
    assert "Issuer 00101, OH individual market, plan year 2027" in said
    for name in ("ep_index_rate_total", "manual_ehb", "projected_index_rate", "market_adjusted_index_rate"):
        assert f"{filing.value(name):,.2f}" in said
    for plan, rate in filing.plans.select("plan_id", "calibrated_plan_adjusted_index_rate").rows():
        (line,) = (row for row in said.splitlines() if row.startswith(plan))
        assert f"{rate:,.2f}" in line
    assert "3,060 consumer rates: 10 plans, 6 rating areas" in said
    assert "Checks of a reviewer: 13 run" in said
    assert "Setting: csr_load = on_exchange_silver" in said
    assert not re.search(r"\bnan\b|\bNone\b", said)


@pytest.mark.slow
def test_json_is_one_document(home, worked):
    said = run("filing", home, "--json", "--trace", "market_adjusted_index_rate")
    document = json.loads(said.stdout)
    assert said.stderr == ""
    assert document["header"]["plan_year"] == 2027
    rate = float(worked.filing.value("market_adjusted_index_rate"))
    assert of_market(document)["market_adjusted_index_rate"] == rate
    assert document["traces"]["market_adjusted_index_rate"][0]["value"] == rate
    assert (document["rates"], document["what_if"], document["bridges"]) == (3060, None, {})
    assert document["check_findings"] == []
    assert "NaN" not in said.stdout


# ------------------------------------------------------------------------------------------------ what it rests on


def test_the_ledger_goes_back_to_the_files(worked):
    filing = worked.filing
    trace = filing.trace("rate", SILVER, "R-OH001", 45)
    held = trace.frame.filter(pl.col("source").str.starts_with("triangle"))
    assert held.height > 100
    names = set(trace.frame["name"])
    assert {"large_claim_excess", "pooling_charge", "full_credibility_member_months", "manual_source_pmpm"} & names
    assert filing.value("credibility") == (filing.value("exp_member_months") / 120_000).sqrt().quantize(
        Decimal("0.0001")
    )


def test_large_claims_are_pooled(worked, made):
    listed = made[0]["large_claims"].filter(pl.col("plan_id").is_not_null())
    excess = sum((amount - 250_000 for amount in listed["allowed"]), Decimal(0))
    ledger, filing = worked.filing.ledger, worked.filing
    assert ledger.value("large_claim_excess") == excess > 0
    claims, months = (worked.studies.experience.value(n) for n in ("exp_ehb_allowed_total", "exp_member_months"))
    expected = (claims - excess + 25 * months) / claims
    assert filing.value("adj_other") == expected.quantize(Decimal("0.0001"))


def test_risk_adjustment_is_that_of_the_transfers(worked):
    """Ten plans of 15,000.25 dollars each, over the member months of the experience, nine percent on top."""
    months = worked.studies.experience.value("exp_member_months")
    paid = worked.filing.value("proj_risk_adjustment_paid")
    assert float(paid) == pytest.approx(-10 * 15000.25 / float(months) * 1.09, rel=1e-12)
    assert (
        "settled transfers of 2025: -150002.50 USD" in worked.filing.ledger.get("proj_risk_adjustment_paid", "").source
    )


@pytest.mark.slow
def test_a_given_assumption_wins_over_a_study(folder):
    edit(folder, "exchange_type =", "credibility = 0.5\nexchange_type =")
    filing = run_config(read_config(folder)).filing
    assert filing.value("credibility") == Decimal("0.5")
    assert (
        "given; limited fluctuation" in filing.ledger.get("credibility", "").note
        or "given" in filing.ledger.get("credibility", "").note
    )


@pytest.mark.slow
def test_the_trend_study_of_the_document(made, tmp_path):
    write_filing(tmp_path / "input", made[0], made[1].replace(DECLARED, STUDY))
    run_of_study = run_config(read_config(tmp_path / "input"))
    filing, study = run_of_study.filing, run_of_study.studies.trend
    for category in ("outpatient_hospital", "professional", "prescription_drug"):
        for kind, measure in (("cost", "unit_cost"), ("util", "utilization")):
            found = Decimal(repr(1 + study.annual_trend(category, measure)))
            assert abs(filing.value(f"trend_y1_{kind}", category=category) - found) <= Decimal("0.00005")
    # What the document declares wins, and says what the study gave.
    assert filing.value("trend_y2_cost_inpatient_hospital") == Decimal("1.050")
    assert (
        "trend study, unit_cost of inpatient_hospital gives"
        in filing.ledger.get("trend_y2_cost_inpatient_hospital", "").note
    )


@pytest.mark.slow
def test_tables_may_be_parquet(made, worked, tmp_path):
    tables, document = made
    folder = tmp_path / "input"
    folder.mkdir()
    for name, frame in tables.items():
        frame.write_parquet(folder / f"{name}.parquet")
    (folder / "filing.toml").write_text(document.replace('.csv"', '.parquet"'), encoding="utf-8")
    again = run_config(read_config(folder)).filing
    assert again.rates.equals(worked.filing.rates)
    assert again.plans.equals(worked.filing.plans)


# ------------------------------------------------------------------------------------------------ what if


@pytest.mark.slow
@pytest.mark.slow
def test_what_if_moves_the_trend(home, worked):
    document = document_of(home, "--what-if", "trend=0.07")
    bridge = document["bridges"]["what_if"]
    assert Decimal(bridge["new"]) - Decimal(bridge["old"]) == Decimal(bridge["change"])
    moved = {step["step"]: Decimal(step["exact"]) for step in bridge["steps"]}
    assert sum(moved.values()) == Decimal(bridge["change"])
    assert {step for step, amount in moved.items() if amount} == {"trend"}
    before = worked.filing.value("trended_ehb_total")
    # Declared are 4.5 and 2 percent; hospital stays have their own.
    filing = worked.filing
    expected = filing.value("ep_index_rate_total") * Decimal("1.07") ** 2
    change = (expected - before) / before
    part = filing.value("credibility") * filing.value("adjusted_trended_ehb") / filing.value("projected_index_rate")
    claims = filing.value("projected_index_rate") - filing.value("proj_risk_adjustment")
    share = part * filing.value("projected_index_rate") / claims
    assert float(bridge["change"]) == pytest.approx(float(change * share * Decimal(bridge["old"])), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "step"),
    [
        ("adj_morbidity=1.03", "morbidity"),
        ("pct_admin=0.10", "admin"),
        (f"pct_profit_risk@{SILVER}=0.03", "profit_risk"),
        ("credibility.full_standard=60000", "credibility"),
        ("user_fee_convention=add_on", "exchange_fee"),
        ("csr_load=1.2", "csr_load"),
        ("csr_load=none", "csr_load"),
        ("risk_adjustment.factor=2", "risk_adjustment"),
        ("trend.professional=0.01", "trend"),
        ("on_exchange_premium_share=1", "exchange_fee"),
    ],
)
def test_what_if_moves_one_thing(home, worked, asked, step):
    document = document_of(home, "--what-if", asked)
    moved = {s["step"] for s in document["bridges"]["what_if"]["steps"] if s["amount"]}
    assert moved == {step}
    assert document["what_if"] == asked
    assert of_market(document)["mean_premium_pmpm"] == float(worked.filing.value("mean_premium_pmpm"))


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("trend", "has no value"),
        ("trend=7%", "no plain number"),
        ("trend=-1", "above -1"),
        ("adj_morbidty=1.03", "did you mean 'adj_morbidity'"),
        ("pct_admin@00101OH0010099=0.1", "offers no plan"),
        (f"adj_morbidity@{SILVER}=1.03", "no quantity of a plan"),
        ("user_fee_convention=none_at_all", "user_fee_convention"),
        ("trend.study.estimator=hac", "nothing is called"),
        ("credibility.ful_standard=1", "did you mean 'full_standard'"),
        ("filing.plan_year=next", "not a whole number"),
    ],
)
def test_what_cannot_be_changed_is_refused(home, asked, words):
    parts = refused("filing", home, "--what-if", asked)
    assert words in " ".join(parts.values())


def test_the_same_change_twice_is_refused(home):
    parts = refused("filing", home, "--what-if", "trend=0.07", "--what-if", "trend=0.08")
    assert "given twice" in parts["what"]


# ------------------------------------------------------------------------------------------------ earlier filings


@pytest.mark.slow
@pytest.mark.parametrize("form", ["folder", "workbook"])
def test_what_moved_since_an_earlier_filing(folder, result, form):
    change(folder, "plans", pct_admin=pl.lit("0.10"))
    out, _ = result
    document = document_of(folder, "--prior", out if form == "folder" else out / "urrt.xlsx")
    steps = {s["step"]: Decimal(s["exact"]) for s in document["bridges"]["prior"]["steps"]}
    assert sum(steps.values()) == Decimal(document["bridges"]["prior"]["change"])
    assert steps["admin"] < -10
    # A workbook holds fifteen digits.
    assert all(abs(amount) < Decimal("1e-6") for step, amount in steps.items() if step != "admin")


@pytest.mark.slow
@pytest.mark.slow
def test_the_document_may_name_the_earlier_filing(folder, result):
    edit(folder, "[inputs]", f'[inputs]\nprior = "{(result[0] / "urrt.xlsx").as_posix()}"')
    change(folder, "plans", pct_admin=pl.lit("0.10"))
    said = run("filing", folder).stdout
    assert "What moved since the earlier filing" in said
    assert "Administrative expense" in said
    assert "Figures filed beside their formulas" not in said  # nothing that shows in cents


def test_earlier_filings_that_are_none(home, folder, tmp_path):
    assert "is not there" in refused("filing", home, "--prior", tmp_path / "nowhere")["what"]
    assert "no result of poolwise filing" in refused("filing", home, "--prior", home)["what"]
    (tmp_path / "text.xlsx").write_text("not a workbook", encoding="utf-8")
    refused("filing", home, "--prior", tmp_path / "text.xlsx")


def test_a_workbook_of_another_kind_is_refused(home, tmp_path):
    pl.DataFrame({"a": [1]}).write_excel(tmp_path / "other.xlsx")
    parts = refused("filing", home, "--prior", tmp_path / "other.xlsx")
    assert "other.xlsx" in parts["where"]


# ------------------------------------------------------------------------------------------------ traces


def test_a_rate_is_walked_back_to_claims(said, worked):
    band = pl.col("age_band") == "64+"
    row = worked.filing.rates.filter(band, plan_id=SILVER, rating_area_id="R-OH002").to_dicts()[0]
    assert f"rate [{SILVER}, R-OH002, age 64+, tobacco] = {row['individual_tobacco_rate']} usd" in said
    assert "  calibrated_plan_adjusted_index_rate" in said
    assert re.search(r"\(\d[\d,]* lines deeper, down to the claims", said)


@pytest.mark.parametrize(
    "text", ["rate", f"rate,{SILVER},1", f"rate,{SILVER},1,old", f"rate,{SILVER},1,45,smoker", ",", "a,b,c"]
)
def test_traces_that_name_no_number_are_refused(home, text):
    assert "names no number" in refused("filing", home, "--trace", text)["what"]


@pytest.mark.parametrize("text", ["nothing_like_it", f"rate,{SILVER},R-OH099,45", "rate,00101OH0010099,1,45"])
def test_traces_of_what_the_filing_has_not_are_refused(home, text):
    refused("filing", home, "--trace", text)


# ------------------------------------------------------------------------------------------------ the document


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[inputs]", "[inputs", "no TOML document"),
        ("[manual]", "[manuel]", "did you mean 'manual'"),
        ("full_standard", "ful_standard", "did you mean 'full_standard'"),
        ("[settings]", "[settings]\ncsr_lod = 1", "did you mean 'csr_load'"),
        ("adj_morbidity", "adj_morbidty", "did you mean 'adj_morbidity'"),
        ("issuer_id = ", "issuer = ", "did you mean 'issuer_id'"),
        ('issuer_id = "00101"', "issuer_id = 101", "not a text"),
        ("plan_year = 2027", 'plan_year = "2027"', "not a whole number"),
        ("effective_date = 2027-01-01", 'effective_date = "2027-01-01"', "not a date"),
        ("trend_months = 24", 'trend_months = "24"', "not a number"),
        ("trend_months = 24", "trend_months = nan", "not a number"),
        ('"plans.csv"', '"plan.csv"', "did you mean 'plans.csv'"),
        ('"plans.csv"', '"filing.toml"', "neither .csv nor .parquet"),
        ('"plans.csv"', "1", "not the path of a file"),
        ('plans = "plans.csv"\n', "", "plans is missing"),
        ('experience = "experience.csv"\n', "", "triangle is named and experience is not"),
        ("value = 1.012, ", "", "value is missing"),
        ('note = "healthy', 'nota = "healthy', "did you mean 'note'"),
        ("[assumptions]", "assumptions = 1\n[assumption]", "no TOML|no table"),
        ("cost = 0.045\n", "", "not given together"),
        ("pooling_charge_pmpm = 25.00", "# nothing", "not given once"),
        ('rate_change_definition = "calibrated_rate"', "rate_change_definition = [1]", "not a setting"),
        ('csr_load = "on_exchange_silver"', 'csr_load = "sometimes"', "csr_load"),
    ],
)  # fmt: skip
def test_documents_that_are_refused(folder, old, new, words):
    edit(folder, old, new)
    parts = refused("filing", folder)
    assert re.search(words, " ".join(parts.values())), parts
    assert "filing.toml" in parts.get("where", "filing.toml")


def test_documents_that_are_not_there(tmp_path):
    assert "cannot be read" in refused("filing", tmp_path / "nowhere.toml")["what"]
    assert "cannot be read" in refused("filing", tmp_path)["what"]
    (tmp_path / "filing.toml").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused("filing", tmp_path)["what"]
    (tmp_path / "filing.toml").write_text("", encoding="utf-8")
    assert "[filing] is missing" in refused("filing", tmp_path)["what"]


def test_nothing_is_left_of_a_refused_run(folder, tmp_path):
    edit(folder, "plan_year = 2027", "plan_year = 1999")
    refused("filing", folder, "--out", tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["input"]


def test_results_do_not_replace_what_is_read(folder):
    parts = refused("filing", folder, "--out", folder)
    assert "holds the input" in parts["what"]
    assert (folder / "plans.csv").exists()


@pytest.mark.skipif(not DOCS.is_dir(), reason="a source distribution has no docs folder")
def test_every_key_of_the_document_is_described():
    page = (DOCS / "filing" / "document.md").read_text(encoding="utf-8")
    keys = {key for section in SECTIONS.values() for key in section} | {f"[{name}]" for name in SECTIONS}
    others = {f"[trend.{name}]" for name in CATEGORIES} - {"[trend.professional]"}
    assert [key for key in sorted(keys - others) if f"`{key}`" not in page] == []
    for field in fields(FilingSettings):
        values = FilingSettings.CHOICES.get(field.name, (field.default,))
        row = next((line for line in page.splitlines() if line.startswith(f"| `{field.name}` |")), "")
        places = [row.find(f"`{value}`") for value in values]
        assert -1 not in places, field.name
        assert places == sorted(places), field.name


# ------------------------------------------------------------------------------------------------ bad input


def drop_cell(folder):
    path = folder / "claim_triangle.csv"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:500] + lines[501:]), encoding="utf-8")


def fall(folder):
    """All that was ever paid of professional claims is taken back in the next month."""
    path = folder / "claim_triangle.csv"
    triangle = pl.read_csv(path, infer_schema=False)
    lag = pl.col("paid_month").str.to_date() != pl.col("incurred_month").str.to_date()
    is_next = (pl.col("benefit_category") == "professional") & lag
    triangle.with_columns(
        pl.when(is_next).then(pl.lit("-9999999.00")).otherwise("paid_amount").alias("paid_amount")
    ).write_csv(path)


def shorten(folder):
    edit(folder, DECLARED, STUDY + "month_effects = true\n")
    path = folder / "claim_history.csv"
    pl.read_csv(path, infer_schema=False).filter(pl.col("incurred_month") >= "2024-09-01").write_csv(path)


def retain_everything(folder):
    change(folder, "plans", pct_admin=pl.lit("0.95"))


def lose_an_area(folder):
    change(
        folder, "areas", area_factor=pl.when(pl.col("rating_area_id") == "R-OH002").then(None).otherwise("area_factor")
    )


def lose_a_mix_area(folder):
    path = folder / "areas.csv"
    pl.read_csv(path, infer_schema=False).filter(pl.col("rating_area_id") != "R-OH002").write_csv(path)


def believe_too_much(folder):
    edit(folder, "exchange_type =", "credibility = 1.2\nexchange_type =")


def believe_in_percent(folder):
    edit(folder, "full_standard = 120_000", "full_standard = 0")


def pay_before(folder):
    change(folder, "claim_triangle", paid_month=pl.lit("2022-01-01"))


def terminate_with_members(folder):
    silver = pl.col("plan_id") == SILVER
    change(
        folder, "plans", plan_category=pl.when(silver).then(pl.lit("terminated")).otherwise("plan_category"),
        proj_member_months_plan=pl.when(silver).then(pl.lit("12")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (drop_cell, "TRI-003"),
        (fall, "TRI-005"),
        (shorten, "TRD-001"),
        (pay_before, "TRI-001"),
        (retain_everything, "PRC-020"),
        (lose_an_area, "PRC-005"),
        (lose_a_mix_area, "PRC-005"),
        (believe_too_much, "PRC-002|CRD-001"),
        (believe_in_percent, "CRD-002"),
        (terminate_with_members, "PRC-019"),
    ],
)
def test_bad_input_is_refused(folder, spoil, words):
    spoil(folder)
    parts = refused("filing", folder)
    assert re.search(words, parts["rule"]), parts
    assert parts["where"]


def no_nan(document):
    assert "NaN" not in json.dumps(document)
    assert document["rates"] > 0


@pytest.mark.slow
def test_payments_that_fall_are_found(folder):
    change(
        folder,
        "claim_triangle",
        paid_amount=pl.when(pl.int_range(pl.len()) == 40).then(pl.lit("-100.00")).otherwise("paid_amount"),
    )
    document = document_of(folder)
    assert "TRI-013" in rules(document)
    no_nan(document)


@pytest.mark.slow
@pytest.mark.slow
def test_a_plan_without_members_still_has_its_rates(folder):
    gone = pl.col("plan_id") == SILVER
    change(folder, "current", current_enrollment=pl.when(gone).then(pl.lit("0")).otherwise("current_enrollment"))
    path = folder / "variants.csv"
    pl.read_csv(path, infer_schema=False).filter(~gone).write_csv(path)
    edit(folder, 'csr_load = "on_exchange_silver"', 'csr_load = "none"')
    document = document_of(folder)
    assert {"PRC-021", "PRC-008"} <= rules(document)  # the mix still has these people
    (plan,) = (p for p in document["plans"] if p["plan_id"] == SILVER)
    assert plan["calibrated_plan_adjusted_index_rate"] > 0
    assert document["rates"] == 3060
    no_nan(document)


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_a_terminated_plan_has_no_rates(folder, tmp_path):
    gone = pl.col("plan_id") == SILVER
    change(
        folder,
        "plans",
        plan_category=pl.when(gone).then(pl.lit("terminated")).otherwise("plan_category"),
        crosswalk_plan_id=pl.when(gone).then(pl.lit("00101OH0010005")),
    )
    path = folder / "variants.csv"
    pl.read_csv(path, infer_schema=False).filter(~gone).write_csv(path)
    out = tmp_path / "out"
    said = run("filing", folder, "--out", out).stdout
    (line,) = (row for row in said.splitlines() if row.startswith(SILVER))
    assert line.endswith("terminated")
    rates = pl.read_parquet(out / "rates.parquet")
    assert SILVER not in set(rates["plan_id"])
    plans = pl.read_csv(out / "plans.csv").filter(gone)
    assert plans.select("plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate").row(0) == (0, 0)
    # Its people are projected where they move to, so that the mix still agrees.
    assert "PRC-008" not in pl.read_csv(out / "findings.csv")["rule_id"].to_list()


@pytest.mark.slow
def test_a_mix_that_does_not_match_is_found(folder):
    change(
        folder, "mix", member_months=pl.when(pl.col("level") == "30").then(pl.lit("99999")).otherwise("member_months")
    )
    document = document_of(folder)
    assert "PRC-008" in rules(document)
    no_nan(document)


@pytest.mark.slow
@pytest.mark.slow
def test_an_experience_without_members_stays_blank(folder):
    """A new issuer: zero member months leave the PMPM blank, and the manual rate is the index rate."""
    edit(folder, 'experience = "experience.csv"\ntriangle = "claim_triangle.csv"\n', "")
    edit(folder, '[large_claims]\nclaims = "large_claims.csv"\nthreshold = 250_000\n', "")
    edit(folder, "pooling_charge_pmpm = 25.00 # three years' average\n", "")
    edit(folder, "[credibility]\nfull_standard = 120_000\n", "")
    edit(folder, 'source = "member months; the issuer\'s own standard"\n', "")
    edit(folder, "[risk_adjustment]\n", "[risk_adjustment]\nmember_months = 12_000\n")
    edit(folder, "exchange_type =", "exp_member_months = 0\nexchange_type =")
    document = document_of(folder)
    values = of_market(document)
    assert values["exp_allowed_claims_pmpm"] is None
    assert values["projected_index_rate"] == values["manual_ehb"]
    no_nan(document)


@pytest.mark.slow
def test_an_experience_with_zero_members_is_no_nan(folder):
    change(folder, "experience", member_months=pl.lit("0"))
    result = run("filing", folder, "--json", code=2)
    assert "poolwise:" in result.stderr
    assert "fault" not in result.stderr


@pytest.mark.slow
def test_a_failing_check_is_a_finding(folder):
    """An assumption in percent where a share of one belongs: the chain takes it, the reviewer does not."""
    change(folder, "current", current_calibrated_rate=pl.lit("1.00"))
    document = document_of(folder, code=1)
    assert {f["check_id"] for f in document["check_findings"]} == {"RV-013"}
    assert document["exit_code"] == 1


# ------------------------------------------------------------------------------------------------ the demo


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_the_demo_files(tmp_path):
    out = tmp_path / "demo"
    said = run("demo", "--out", out, "--enrollees", 1000, "--seed", 5).stdout
    (line,) = (row for row in said.splitlines() if "poolwise filing" in row)
    assert line.split()[:3] == ["poolwise", "filing", str(out / "filing")]
    run("filing", out / "filing", "--what-if", "trend=0.09", "--out", tmp_path / "again")
    assert "filing.html" in {p.name for p in (tmp_path / "again").iterdir()}
    rates = [pl.read_parquet(place / "rates.parquet") for place in (out / "filed", tmp_path / "again")]
    assert rates[0].height == 3060
    assert rates[0].equals(rates[1])
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert {"filing/filing.toml", "filed/urrt.xlsx"} <= {o["name"] for o in manifest["outputs"]}
    document = json.loads(run("demo", "--out", out, "--enrollees", 1000, "--seed", 5, "--json").stdout)
    assert document["filing"]["rates"] == 3060


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn_charts")
def test_a_demo_too_small_to_file_says_so(tmp_path):
    said = run("demo", "--out", tmp_path / "demo", "--enrollees", 3, "--seed", 5).stdout
    assert "the largest issuer is too small to file" in said
    assert not (tmp_path / "demo" / "filed").exists()
