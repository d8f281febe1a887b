"""A filing's document: the same filing as without it, each study by itself, and what only the document can say."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import filing_g1
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from rating.filing._config import read_config
from rating.filing._config_changes import read_changes, with_changes
from rating.filing._config_run import run_config
from rating.filing._formulas import CATEGORIES

HEADER = """
[filing]
issuer_id = "12345"
state = "XX"
market = "individual"
plan_year = 2027
{header}
[inputs]
plans = "plans.csv"
areas = "areas.csv"
mix = "mix.csv"
{inputs}
[settings]
rules_of_state = "TX"
{settings}
[assumptions]
{assumptions}
"""
PLAN = "12345XX0010001"
YEAR = 2025


def written(folder, *, header="", inputs="", settings="", assumptions=(), tables=None, sections=""):
    """Write a document with G1's tables, and others, and return it as it is read."""
    frames = {"plans": filing_g1.plans(), "areas": filing_g1.areas(), "mix": filing_g1.mix(), **(tables or {})}
    for name, frame in frames.items():
        frame.write_csv(folder / f"{name}.csv")
    lines = "\n".join(f"{name} = {value}" for name, value in dict(assumptions).items())
    text = HEADER.format(header=header, inputs=inputs, settings=settings, assumptions=lines)
    (folder / "filing.toml").write_text(text + sections, encoding="utf-8")
    return read_config(folder)


def a_year(**columns):
    """A year of experience of one category, complete: 1,000 member months and 400,000 dollars each month."""
    months = [date(YEAR, m, 1) for m in range(1, 13)]
    base = {
        "incurred_month": months,
        "benefit_category": "inpatient_hospital",
        "is_ehb": "yes",
        "member_months": 1000,
        "allowed_paid_to_date": "400000.00",
        "incurred_paid_to_date": "320000.00",
        "completion_factor": 1,
    }
    return pl.DataFrame({**base, **columns})


def without_experience(*names):
    """G1's assumptions without what a year of experience gives, and without some of the others."""
    left = {n: v for n, v in filing_g1.assumptions().items() if not n.startswith(("exp_", "ep_index_rate_"))}
    return {name: value for name, value in left.items() if name not in names}


# ------------------------------------------------------------------------------------------------ the same filing


@pytest.fixture(scope="module")
def g1(tmp_path_factory):
    return written(tmp_path_factory.mktemp("g1"), assumptions=filing_g1.assumptions())


@pytest.fixture(scope="module")
def worked(g1):
    return run_config(g1)


def test_g1_from_its_document_has_its_31_quantities_and_112_rates(worked):
    filing = worked.filing
    for name, plan, convention, value in filing_g1.expected():
        if convention in ("", "gross_up"):
            assert abs(filing.value(name, plan or None) - value) <= Decimal("1e-9"), (name, plan)
    assert filing.rates.equals(filing_g1.usual().rates)
    assert filing.findings.filter(severity="error").height == 0
    assert (worked.studies.experience, worked.studies.trend, worked.prior) == (None, None, None)


@pytest.mark.slow
def test_what_if_on_a_category_without_claims(g1, worked):
    """A trend of all categories leaves those alone that have no trend."""
    blank = replace(g1, sections={**g1.sections, "assumptions": dict(g1.section("assumptions"))})
    for name in list(blank.section("assumptions")):
        if name.startswith("trend_") and name.endswith("capitation"):
            del blank.section("assumptions")[name]
    blank.section("assumptions")["ep_index_rate_capitation"] = 0
    filing = run_config(blank).filing
    changed = with_changes(blank, filing, read_changes(["trend=0.05"]))
    given = {name for name in changed.section("assumptions") if name.startswith("trend_")}
    assert given == {f"trend_{y}_{k}_{c}" for y in ("y1", "y2") for k in ("cost", "util") for c in CATEGORIES} - {
        f"trend_{y}_{k}_capitation" for y in ("y1", "y2") for k in ("cost", "util")
    }
    found = run_config(changed).filing
    assert found.value("trended_ehb_total") == pytest.approx(filing.value("ep_index_rate_total") * Decimal("1.1025"))
    # The document itself is as it was.
    assert run_config(g1).filing.value("mean_premium_pmpm") == worked.filing.value("mean_premium_pmpm")


def test_nothing_to_trend_is_refused(g1, worked):
    filing = replace(worked.filing, model=worked.filing.model.changed({}))
    no_trend = filing.as_filed(
        {(f"trend_{y}_{k}_{c}", ""): None for y in ("y1", "y2") for k in ("cost", "util") for c in CATEGORIES}
    )
    with pytest.raises(SettingRefused, match="no trend to change"):
        with_changes(g1, no_trend, read_changes(["trend=0.05"]))


# ------------------------------------------------------------------------------------------------ studies


def test_experience_of_one_category(tmp_path):
    tables = {"experience": a_year()}
    config = written(tmp_path, inputs='experience = "experience.csv"', assumptions=without_experience(), tables=tables)
    found = run_config(config)
    assert found.filing.value("ep_index_rate_inpatient_hospital") == 400
    assert found.filing.header["exp_period_end"] == date(YEAR, 12, 31)
    # Findings of the experience and of the rates stand together: five categories have no rows.
    assert found.filing.findings.filter(rule_id="EXP-006").height == 5
    assert found.filing.findings.height == found.filing.findings.unique().height


LARGE = pl.DataFrame(
    {
        "enrollee_id": ["a", "a", "b", "c"],
        "incurred_month": [date(YEAR, 2, 1), date(YEAR, 5, 1), date(YEAR, 7, 1), date(YEAR - 1, 7, 1)],
        "benefit_category": ["inpatient_hospital"] * 4,
        "allowed": ["150000.00", "50000.00", "130000.00", "999999.00"],
    }
)


@pytest.mark.parametrize(
    ("charge", "expected"),
    [
        # Taken out 100,000 and 30,000 of 4,800,000; put in 9 dollars for each of 12,000 member months.
        ("pooling_charge_pmpm = 9", Fraction(4_800_000 - 130_000 + 108_000, 4_800_000)),
        ("expected_excess_share = 0.03", Fraction(4_670_000 * 103, 480_000_000)),
    ],
)
@pytest.mark.parametrize("has_months", [True, False])
def test_large_claims_become_the_other_adjustment(tmp_path, charge, expected, has_months):
    listed = LARGE if has_months else LARGE.filter(pl.col("enrollee_id") != "c").drop("incurred_month")
    config = written(
        tmp_path,
        inputs='experience = "experience.csv"',
        assumptions=without_experience("adj_other"),
        tables={"experience": a_year(), "large": listed},
        sections=f'[large_claims]\nclaims = "large.csv"\nthreshold = 100_000\n{charge}\n',
    )
    filing = run_config(config).filing
    entry = filing.ledger.get("adj_other", "")
    assert abs(Fraction(entry.replaced) - expected) < Fraction(1, 10**25)
    assert entry.value == entry.replaced.quantize(Decimal("0.0001"))
    assert filing.value("adj_other") == entry.value
    assert filing.ledger.value("large_claim_excess") == 130_000
    names = filing.trace("adj_other").frame["name"].to_list()
    assert {"large_claim_excess", "pooling_charge", "exp_ehb_allowed_total"} <= set(names)


@pytest.mark.slow
def test_a_charge_far_from_the_excess_is_found(tmp_path):
    config = written(
        tmp_path,
        inputs='experience = "experience.csv"',
        assumptions=without_experience("adj_other"),
        tables={"experience": a_year(), "large": LARGE},
        sections='[large_claims]\nclaims = "large.csv"\nthreshold = 100_000\npooling_charge_pmpm = 1\n',
    )
    found = run_config(config).filing.findings.filter(rule_id="LCL-004")
    assert found["message"].to_list() == ["charge 12000.00, excess 130000.00 dollars"]


def test_credibility_by_the_declared_standard(tmp_path):
    config = written(
        tmp_path,
        inputs='experience = "experience.csv"',
        assumptions={**without_experience("credibility"), "manual_ehb": 500},
        tables={"experience": a_year()},
        sections='[credibility]\nfull_standard = 48_000\nsource = "own"\n',
    )
    filing = run_config(config).filing
    assert filing.value("credibility") == Decimal("0.5")  # 12,000 of 48,000
    assert filing.ledger.get("credibility", "").source == "own"


def test_manual_rate_on_its_basis(tmp_path):
    source = pl.DataFrame({"benefit_category": ["professional"], "allowed_pmpm": ["200"]})
    config = written(
        tmp_path,
        assumptions={**filing_g1.assumptions(), "credibility": "0.5"},
        tables={"market": source},
        sections='[manual]\nsource_pmpm = "market.csv"\nsource = "a study"\nannual_trend = 0.1\ntrend_months = 24\n'
        "area = 1.05\nage = 1\nbenefit = 1\nmorbidity = 1\n",
    )
    given = config.section("assumptions")
    given.pop("manual_ehb", None)
    filing = run_config(config).filing
    assert filing.value("manual_ehb") == Decimal("254.1")  # 200 x 1.05 x 1.1 x 1.1
    assert filing.ledger.get("manual_ehb", "").source == "a study"
    given["manual_ehb"] = 300
    assert run_config(config).filing.value("manual_ehb") == 300


def test_morbidity_of_two_populations(tmp_path):
    before = pl.DataFrame(
        {"enrollee_id": ["a", "b"], "member_months": [12, 12], "score_silver": [0.5, 1.5], "age_last": [30, 60]}
    )
    after = before.filter(enrollee_id="b")
    ages = pl.DataFrame({"age_last": [30, 60], "factor": ["0.8", "1.6"]})
    config = written(
        tmp_path,
        assumptions={n: v for n, v in filing_g1.assumptions().items() if n not in ("adj_morbidity", "adj_demographic")},
        tables={"before": before, "after": after, "ages": ages},
        sections='[morbidity]\nexperience = "before.csv"\nprojected = "after.csv"\nage_factors = "ages.csv"\n',
    )
    found = run_config(config)
    # Risk 1.0 -> 1.5; mean age factor 1.2 -> 1.6.
    assert found.filing.value("adj_morbidity") == Decimal("1.1250")
    assert found.filing.value("adj_demographic") == Decimal("1.3333")
    assert found.studies.morbidity.relative_risk == Decimal("1.5")


def history():
    """Three years of 1,000 member months a month, price and use rising by 0.4 and 0.2 percent a month."""
    months = [date(YEAR - 2 + m // 12, m % 12 + 1, 1) for m in range(36)]
    days = [(date(d.year + d.month // 12, d.month % 12 + 1, 1) - d).days for d in months]
    use = [1000 * 1.002**t * n / 30 for t, n in enumerate(days)]
    cost = [400 * 1.004**t for t in range(36)]
    claims = [f"{u * c:.2f}" for u, c in zip(use, cost, strict=True)]
    return pl.DataFrame(
        {
            "incurred_month": months,
            "benefit_category": "inpatient_hospital",
            "member_months": 1000,
            "services": [f"{u:.6f}" for u in use],
            "allowed": claims,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["completed", "to date"])
def test_trend_of_a_series(tmp_path, kind):
    series = history()
    if kind == "to date":
        half = (pl.col("allowed").cast(pl.Float64) / 2).round(6).cast(pl.String)
        series = series.with_columns(allowed_paid_to_date=half, completion_factor=pl.lit("0.5")).drop("allowed")
    assumptions = {n: v for n, v in without_experience().items() if not n.startswith("trend_")}
    config = written(
        tmp_path,
        inputs='experience = "experience.csv"',
        assumptions=assumptions,
        tables={"experience": a_year(), "series": series},
        sections='[trend.study]\nseries = "series.csv"\n',
    )
    filing = run_config(config).filing
    for name, monthly in (("cost", 1.004), ("util", 1.002)):
        found = filing.value(f"trend_y1_{name}_inpatient_hospital")
        assert found == Decimal(repr(monthly**12)).quantize(Decimal("0.0001"))
        assert filing.value(f"trend_y2_{name}_inpatient_hospital") == found


def test_a_series_that_nothing_completes_is_refused(tmp_path):
    series = history()
    tables = {"experience": a_year(), "series": series.rename({"allowed": "allowed_paid_to_date"})}
    config = written(
        tmp_path,
        inputs='experience = "experience.csv"',
        assumptions=without_experience(),
        tables=tables,
        sections='[trend.study]\nseries = "series.csv"\n',
    )
    with pytest.raises(InputRefused, match="claims of inpatient_hospital have no completion"):
        run_config(config)
    tables["series"].drop("allowed_paid_to_date").write_csv(tmp_path / "series.csv")
    with pytest.raises(InputRefused, match="neither allowed nor allowed_paid_to_date"):
        run_config(config)


TRANSFERS = pl.DataFrame(
    {
        "state": ["XX", "XX", "XX", "XX", "TX"],
        "risk_pool": ["individual", "catastrophic", "small_group", "individual", "individual"],
        "issuer_id": ["12345", "12345", "12345", "99999", "12345"],
        "transfer": ["-120000.00", "24000.00", "700000.00", "96000.00", "5000000.00"],
        "user_fee": ["-6000.00", "-6000.00", "-1.00", "-1.00", "-1.00"],
    }
)


@pytest.mark.parametrize(
    ("keys", "pmpm"),
    [
        ("member_months = 12_000", "-8"),
        ("member_months = 12_000\nfactor = 1.25", "-10"),
        ("member_months = 12_000\nnet_of_user_fee = true", "-9"),
    ],
)
def test_transfers_of_the_filing_are_taken(tmp_path, keys, pmpm):
    """Of the issuer, in its state, of the pools of its market: -120,000 and 24,000 dollars."""
    assumptions = {n: v for n, v in filing_g1.assumptions().items() if n != "proj_risk_adjustment"}
    config = written(
        tmp_path,
        assumptions={**assumptions, "paid_to_allowed_ratio": "0.8"},
        tables={"transfers": TRANSFERS},
        sections=f'[risk_adjustment]\ntransfers = "transfers.csv"\nbenefit_year = 2025\n{keys}\n',
    )
    filing = run_config(config).filing
    assert filing.value("proj_risk_adjustment_paid") == Decimal(pmpm)
    assert filing.value("proj_risk_adjustment") == Decimal(pmpm) / Decimal("0.8")


def test_transfers_without_the_issuer_or_amounts_are_refused(tmp_path):
    section = '[risk_adjustment]\ntransfers = "transfers.csv"\nbenefit_year = 2025\n'
    others = {"transfers": TRANSFERS.filter(pl.col("issuer_id") != "12345")}
    config = written(tmp_path, assumptions=filing_g1.assumptions(), tables=others, sections=section)
    with pytest.raises(InputRefused, match="member months that the amount is spread over are not known"):
        run_config(config)
    months = section + "member_months = 12_000\n"
    config = written(tmp_path, assumptions=filing_g1.assumptions(), tables=others, sections=months)
    with pytest.raises(InputRefused, match="no transfer"):
        run_config(config)
    words = {"transfers": TRANSFERS.with_columns(transfer=pl.lit("much"))}
    config = written(tmp_path, assumptions=filing_g1.assumptions(), tables=words, sections=months)
    with pytest.raises(InputRefused, match="no amounts"):
        run_config(config)


CLAIMS = pl.DataFrame({"enrollee_id": ["a", "a", "b"], "plan_paid": ["60000", "40000.00", "500000"]})


def with_reinsurance(tmp_path, keys, **changes):
    assumptions = {n: v for n, v in filing_g1.assumptions().items() if n != "proj_reinsurance"}
    section = f'[reinsurance]\nclaims = "claims.csv"\nterms_of_year = 2024\n{keys}\n'
    assumptions = {**assumptions, "paid_to_allowed_ratio": "0.8"}
    return written(tmp_path, assumptions=assumptions, tables={"claims": CLAIMS}, sections=section, **changes)


def test_reinsurance_of_a_claim_list(tmp_path):
    """A layer of one's own, claims up by a tenth: (110,000 - 50,000 + 200,000) x 0.5 over 10,000 months."""
    layer = "attachment = 50_000\ncap = 250_000\ncoinsurance = 0.5\nfactor = 1.1\nmember_months = 10_000"
    filing = run_config(with_reinsurance(tmp_path, layer)).filing
    assert filing.value("proj_reinsurance_paid") == 13
    assert filing.value("proj_reinsurance") == Decimal("16.25")
    trace = str(filing.trace("proj_reinsurance_paid"))
    assert "claims times 1.1, to the plan year; layer as of 2024" in trace


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("attachment = 50_000\nmember_months = 10", "lacks its attachment or its coinsurance"),
        ("cap = 50_000\nmember_months = 10", "lacks its attachment or its coinsurance"),
        ("attachment = 50_000\ncap = 40_000\ncoinsurance = 0.5\nmember_months = 10", "layer"),
        ("attachment = 50_000\ncoinsurance = 1.5\nmember_months = 10", "share"),
        ("attachment = 50_000\ncoinsurance = 0.5", "member months that the amount is spread over"),
    ],
)
def test_reinsurance_that_cannot_be(tmp_path, keys, says):
    with pytest.raises((InputRefused, SettingRefused), match=says):
        run_config(with_reinsurance(tmp_path, keys))


# Two claims of 1,000 dollars, up by a tenth: a plan that pays half beyond 1,000 pays 50 of each 1,100.
POOL = pl.DataFrame(
    {"enrollee_id": ["a", "b"], "service": "specialist", "service_date": "2024-03-01", "allowed": ["1000", "1000.00"]}
)
DESIGNS = pl.DataFrame(
    {"design_id": ["rich", "poor"], "deductible": [100, 1000], "plan_coinsurance": [1.0, 0.5], "moop": [9000, 9000]}
)
_LAST = Decimal("1e-15")  # of a double
PRICED = ("adj_av_cost_sharing",)


def with_pricing(tmp_path, keys="", plans=None, **changes):
    assumptions = {n: v for n, v in filing_g1.assumptions().items() if n not in ("adj_plan_design", "proj_reinsurance")}
    section = f'[pricing]\nclaims = "pool.csv"\ndesigns = "designs.csv"\nclaims_year = 2024\nfactor = 1.1\n{keys}\n'
    own = filing_g1.plans().drop(PRICED) if plans is None else plans
    designs = ["poor", "rich", "rich", "poor"]
    tables = {"pool": POOL, "designs": DESIGNS, "plans": own.with_columns(pl.Series("design_id", designs))}
    assumptions = {**assumptions, "adj_plan_design": 1, "proj_reinsurance": 0}
    return written(tmp_path, assumptions=assumptions, tables={**tables, **changes}, sections=section)


def test_plans_are_priced_on_the_claims_of_the_pool(tmp_path):
    """The rich design pays 1,000 of 1,100; induced demand is 1.00, 1.03, 1.08 and 1.00 over its mean."""
    run = run_config(with_pricing(tmp_path))
    bronze, silver, gold, catastrophic = filing_g1.plans()["plan_id"]
    filing = run.filing
    assert abs(filing.value("av_pricing", bronze) - Decimal(50) / Decimal(1100)) < _LAST
    assert abs(filing.value("av_pricing", silver) - Decimal(1000) / Decimal(1100)) < _LAST
    months = {bronze: 30000, silver: 60000, gold: 32000, catastrophic: 4000}
    factors = {bronze: "1.00", silver: "1.03", gold: "1.08", catastrophic: "1.00"}
    mean = sum(months[p] * Decimal(factors[p]) for p in months) / sum(months.values())
    for plan in (bronze, silver, gold):
        assert abs(filing.value("induced_demand", plan) - Decimal(factors[plan]) / mean) < _LAST
    trace = str(filing.trace("adj_av_cost_sharing", plan=silver))
    assert "plan_paid" in trace
    assert "2,200" in trace or "2200" in trace


def test_what_plans_say_wins_over_the_claims(tmp_path):
    plans = filing_g1.plans()
    filing = run_config(with_pricing(tmp_path, plans=plans)).filing
    usual = {plan: Decimal(value) for plan, value in plans.select("plan_id", "adj_av_cost_sharing").rows()}
    assert {plan: filing.value("adj_av_cost_sharing", plan) for plan in usual} == usual


@pytest.mark.parametrize(
    ("keys", "changes", "says"),
    [
        ("", {"plans": filing_g1.plans().drop("proj_member_months_plan")}, "proj_member_months_plan"),
        ("", {"designs": DESIGNS.head(1)}, "poor|design"),
        ("", {"pool": POOL.drop("allowed")}, "allowed"),
        ('induced_demand = "much"', {}, "induced_demand"),
    ],
)
def test_pricing_that_cannot_be(tmp_path, keys, changes, says):
    with pytest.raises((InputRefused, SettingRefused), match=says):
        run_config(with_pricing(tmp_path, keys, **changes))


# ------------------------------------------------------------------------------------------------ earlier filings


@pytest.mark.slow
def test_rates_of_an_earlier_year_are_the_current_ones(g1, worked):
    earlier = replace(worked.filing, header={**worked.filing.header, "plan_year": 2026})
    config = g1.changed("settings", "rate_change_definition", "calibrated_rate")
    config = config.changed("assumptions", "adj_morbidity", Decimal("1.1"))
    renewing = worked.filing.plans.filter(plan_category="renewing")["plan_id"].to_list()
    filing = run_config(config, prior=earlier).filing
    rate = "calibrated_plan_adjusted_index_rate"
    for plan in renewing:
        held = filing.value("current_calibrated_rate", plan)
        assert held == worked.filing.value(rate, plan)
    # An earlier state of the same year's filing is no rate in force.
    again = run_config(config, prior=worked.filing).filing
    assert again.value("current_calibrated_rate", renewing[0]) is None
