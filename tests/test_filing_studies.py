"""Seasons, calendar, large claims, credibility, morbidity and manual rates of a filing."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import filing_experience_oracle as oracle
import numpy as np
import polars as pl
import pytest

import data_specs
import riskadjust
from data_specs.errors import InputRefused, SettingRefused, TableRefused
from rating.filing._credibility import blended, checked_credibility, credibility, full_credibility_claims
from rating.filing._large_claims import pooled_claims
from rating.filing._ledger import Ledger
from rating.filing._manual import manual_rate
from rating.filing._morbidity import morbidity_change, movement_change
from rating.filing._reinsurance_recovery import claims_of_the_plan_year, reinsurance_pmpm
from rating.filing._seasonality import seasonality
from rating.filing._series import calendar_pmpm
from riskadjust._mlr_credibility import life_years, mlr_credibility

CASES = Path(__file__).parent / "cases" / "filing"


def cases(name):
    with (CASES / name).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def months(first, count):
    start = oracle.month(first)
    return [oracle.day(start + i) for i in range(count)]


def days(day):
    return (oracle.day(oracle.month(day) + 1) - day).days


# ------------------------------------------------------------------------------------------------ calendar, seasons


def test_even_calendar_takes_the_days_of_the_month_out():
    """Ten dollars a day and enrollee are the same PMPM in every month, leap February among them."""
    span = months(date(2023, 11, 1), 18)
    frame = pl.DataFrame({"incurred_month": span, "member_months": [50] * 18, "allowed": [500 * days(d) for d in span]})
    found = calendar_pmpm(frame)
    assert found["normalized_pmpm"].to_list() == pytest.approx([10 * 365.25 / 12] * 18, rel=1e-14)
    assert found.filter(incurred_month=date(2024, 2, 1))["pmpm"].item() == 290
    as_it_is = calendar_pmpm(frame, day_basis="none")
    assert as_it_is["pmpm"].to_list() == as_it_is["normalized_pmpm"].to_list()


def test_working_days_counted_and_given():
    span = months(date(2024, 1, 1), 12)
    counted = [sum((d + timedelta(i)).weekday() < 5 for i in range(days(d))) for d in span]
    frame = pl.DataFrame({"incurred_month": span, "member_months": [1] * 12, "allowed": counted})
    even = calendar_pmpm(frame, day_basis="weekdays")["normalized_pmpm"].to_list()
    assert even == pytest.approx([365.25 / 12 * 5 / 7] * 12, rel=1e-14)
    given = frame.with_columns(working_days=pl.col("allowed"))
    mean = sum(counted) / 12
    assert calendar_pmpm(given, day_basis="given")["normalized_pmpm"].to_list() == pytest.approx([mean] * 12, rel=1e-14)
    with pytest.raises(SettingRefused, match="working days"):
        calendar_pmpm(frame, day_basis="given")
    with pytest.raises(SettingRefused, match="calendar"):
        calendar_pmpm(frame, day_basis="lunar")


def test_month_without_enrollees_is_blank_and_never_nan():
    frame = pl.DataFrame({"incurred_month": months(date(2025, 1, 1), 2), "member_months": [0, 4], "allowed": [5, 8]})
    assert calendar_pmpm(frame)["pmpm"].to_list() == [None, 2]
    with pytest.raises(InputRefused, match="SER-001"):
        calendar_pmpm(frame.with_columns(member_months=pl.Series([float("nan"), 1.0])))
    with pytest.raises(InputRefused, match="SER-001"):
        calendar_pmpm(pl.concat([frame, frame]))


def test_known_seasons_come_back_exactly():
    season = [Fraction(n, 100) for n in (80, 90, 95, 100, 105, 110, 100, 95, 100, 105, 105, 115)]
    span = months(date(2023, 1, 1), 36)
    claims = [Decimal(int(season[d.month - 1] * 100)) * Decimal("1.5") ** (d.year - 2023) for d in span]
    frame = pl.DataFrame({"incurred_month": span, "member_months": [1] * 36, "allowed": claims})
    flat = seasonality(frame, annual_trend=0, day_basis="none")
    assert flat.exact["all"] == {m: Decimal(int(season[m - 1] * 100)).scaleb(-2) for m in range(1, 13)}
    rising = seasonality(frame, annual_trend="0.5", day_basis="none")
    months_to_december = [Decimal(12 - m) / 12 for m in range(1, 13)]
    detrended = [Decimal(int(s * 100)) * Decimal("1.5") ** t for s, t in zip(season, months_to_december, strict=True)]
    for m in range(12):
        assert abs(rising.exact["all"][m + 1] - detrended[m] * 12 / sum(detrended)) < Decimal("1e-25")
    assert rising.factors["years"].unique().to_list() == [3]


def test_seasons_have_mean_one_and_need_whole_years():
    draw = np.random.default_rng(2)
    span = months(date(2023, 4, 1), 29)
    frame = pl.DataFrame(
        {"incurred_month": span, "member_months": draw.uniform(5, 9, 29), "allowed": draw.uniform(1, 9, 29)}
    )
    found = seasonality(frame, annual_trend=0.04)
    assert abs(sum(found.exact["all"].values()) - 12) < Decimal("1e-31")
    assert found.findings["rule_id"].to_list() == ["SER-004"]
    assert found.months.height == 24
    with pytest.raises(InputRefused, match="SER-003"):
        seasonality(frame.head(11), annual_trend=0)
    with pytest.raises(InputRefused, match=r"SER-002.*"):
        seasonality(frame.filter(pl.int_range(pl.len()) != 6), annual_trend=0)
    with pytest.raises(InputRefused, match="SER-002"):
        seasonality(frame.with_columns(allowed=pl.lit(0.0)), annual_trend=0)
    with pytest.raises(SettingRefused, match="no trend"):
        seasonality(frame, annual_trend=None)


# ------------------------------------------------------------------------------------------------ large claims


def random_claims(seed, rows=400):
    draw = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "enrollee_id": [f"E{n}" for n in draw.integers(0, 60, rows)],
            "incurred_month": [date(2025, m, 1) for m in draw.integers(1, 13, rows).tolist()],
            "benefit_category": [("professional", "inpatient_hospital")[i] for i in draw.integers(0, 2, rows)],
            "allowed": [Decimal(int(a * 100)).scaleb(-2) for a in draw.lognormal(8, 1.5, rows)],
        }
    )


def test_pooling_against_the_slow_twin():
    claims = random_claims(3)
    lines = claims.select("enrollee_id", "allowed", pl.struct("benefit_category", "incurred_month")).rows()
    claimed, excess = oracle.pooled([(e, a, tuple(c.values())) for e, a, c in lines], 100_000)
    assert sum(excess.values()) > 0
    found = pooled_claims(claims, large_claim_threshold=100_000, expected_excess_share="0.05")
    for category, month, *_, total, out, rest, charge, pooled in found.months.rows():
        cell = (category, month)
        assert (total, out) == (float(claimed[cell]), float(excess[cell]))
        assert rest == pytest.approx(total - out, rel=1e-12)
        assert (charge, pooled) == pytest.approx((0.05 * rest, 1.05 * rest), rel=1e-12)
    total = sum(claimed.values())
    expected = (total - sum(excess.values())) * Fraction(105, 100) / total
    assert abs(Fraction(found.adjustment) - expected) < Fraction(1, 10**30)
    assert found.months.equals(
        pooled_claims(claims.reverse(), large_claim_threshold=100_000, expected_excess_share="0.05").months
    )


def test_pooling_is_by_calendar_year():
    claims = pl.DataFrame(
        {"enrollee_id": ["a", "a"], "incurred_month": [date(2024, 12, 1), date(2025, 1, 1)], "allowed": [80, 80]}
    )
    apart = pooled_claims(claims, large_claim_threshold=100, expected_excess_share=0)
    together = pooled_claims(claims.drop("incurred_month"), large_claim_threshold=100, expected_excess_share=0)
    assert (apart.totals["excess"].item(), together.totals["excess"].item()) == (0, 60)
    assert together.totals["enrollees_above"].item() == 1
    broken = apart.findings.filter(rule_id="LCL-006")
    assert broken["where"].to_list() == ["claims, 2024", "claims, 2025"]
    assert together.findings["rule_id"].to_list() == ["LCL-004"]


def test_charge_per_member_month_is_spread_as_truncated_claims_are():
    claims = pl.DataFrame(
        {
            "enrollee_id": ["a", "a", "b"],
            "incurred_month": [date(2025, 1, 1)] * 3,
            "benefit_category": ["inpatient_hospital", "professional", "professional"],
            "allowed": [900, 300, 100],
        }
    )
    members = pl.DataFrame({"incurred_month": [date(2025, 1, 1)], "member_months": [50]})
    found = pooled_claims(claims, large_claim_threshold=600, pooling_charge_pmpm=7, member_months=members)
    # 600 of 1,200 dollars go: half of each row. Truncated 450 and 250; charge 350.
    assert found.months["truncated"].to_list() == [450, 250]
    assert found.months["pooling_charge"].to_list() == [225, 125]
    assert found.totals["pooled"].item() == 1050
    with pytest.raises(SettingRefused, match="member months"):
        pooled_claims(claims, large_claim_threshold=600, pooling_charge_pmpm=7)
    later = members.with_columns(incurred_month=date(2025, 2, 1))
    with pytest.raises(InputRefused, match="LCL-001"):
        pooled_claims(claims, large_claim_threshold=600, pooling_charge_pmpm=7, member_months=later)


def test_pooling_needs_a_threshold_and_one_expectation():
    claims = random_claims(4, 30)
    for settings in (
        {"large_claim_threshold": 0, "expected_excess_share": 0},
        {"large_claim_threshold": 1},
        {"large_claim_threshold": 1, "expected_excess_share": 0, "pooling_charge_pmpm": 1},
        {"large_claim_threshold": 1, "expected_excess_share": -1},
    ):
        with pytest.raises(SettingRefused):
            pooled_claims(claims, **settings)
    with pytest.raises(InputRefused, match="LCL-001"):
        pooled_claims(claims.with_columns(enrollee_id=pl.lit("")), large_claim_threshold=1, expected_excess_share=0)
    odd = pooled_claims(claims, large_claim_threshold=1000, expected_excess_share=0)
    assert odd.findings["rule_id"].to_list() == ["LCL-004", "LCL-006"]


def reinsured(people, **terms):
    claims = pl.DataFrame({"enrollee_id": list(people), "plan_paid": [str(v) for v in people.values()]})
    return riskadjust.reinsurance(
        claims_of_the_plan_year(claims, issuer_id="12345"), benefit_year=2025, program="state", state="OH", **terms
    )


@pytest.mark.parametrize("case", cases("reinsurance_layers.csv"), ids=lambda case: case["claims"])
def test_reinsurance_layer(case):
    layer = [(int(case["attachment"]), int(case["cap"]), case["coinsurance"])]
    found = reinsurance_pmpm(reinsured({"x": case["claims"], "y": 1}, layers=layer), member_months=24)
    assert abs(found["value"] - Decimal(case["expected_recovery"]) / 24) < Decimal("1e-20")
    assert found["source"] == f"state reinsurance of OH, terms of 2025: {Decimal(case['expected_recovery']):.2f} USD"


def test_reinsurance_says_what_it_rests_on():
    """(150,000 - 50,000) x 0.5 = 50,000 dollars, of which the budget pays 30,000, over 600 months."""
    paid = reinsured({"x": 150_000, "y": 1}, layers=[(50_000, None, "0.5")], budget=30_000)
    found = reinsurance_pmpm(paid, member_months=600, issuer_id="12345", seed=7, draws=50)
    assert found["value"] == 50
    scaled, interval = found["note"].split("; ")[1:]
    assert scaled == "payments scaled to the budget by 0.600000"
    assert interval == "0.00 to 50.00 in nine of ten draws of as many people (seed 7, 50 draws)"
    with pytest.raises(InputRefused, match="no claims of the issuer"):
        reinsurance_pmpm(paid, member_months=600, issuer_id="99999")
    with pytest.raises(InputRefused, match="no member months"):
        reinsurance_pmpm(paid, member_months=0)


def test_claims_are_brought_to_the_plan_year():
    claims = pl.DataFrame(
        {"enrollee_id": ["a", "b"], "plan_paid": ["100.005", "-0.10"], "rating_area_id": ["R-OH003", "R-OH004"]}
    )
    found = claims_of_the_plan_year(claims, issuer_id="12345", factor="1.05")
    assert found.select("plan_paid", "issuer_id", "rating_area_id").rows() == [
        (Decimal("105.01"), "12345", "R-OH003"),
        (Decimal("-0.11"), "12345", "R-OH004"),
    ]
    for change, says in (
        ({"plan_paid": ["1", None]}, "blank or no amount"),
        ({"plan_paid": ["1", "$2"]}, "blank or no amount"),
    ):
        with pytest.raises(InputRefused, match=says):
            claims_of_the_plan_year(claims.with_columns(**{k: pl.Series(v) for k, v in change.items()}), issuer_id="1")
    for factor in (0, -1, "1e9"):
        with pytest.raises(InputRefused, match="factor is not above zero"):
            claims_of_the_plan_year(claims, issuer_id="12345", factor=factor)


# ------------------------------------------------------------------------------------------------ credibility


@pytest.mark.parametrize("case", cases("credibility.csv"), ids=lambda case: case["member_months"])
def test_credibility_cases(case):
    found = credibility(case["member_months"], full_standard=case["full_standard"])
    assert abs(found.z - Decimal(case["expected_z"])) < Decimal("1e-10")
    assert found.findings.height == (case["member_months"] == "0")
    assert found.assumption()["value"] == found.z


def test_standard_in_claims():
    assert full_credibility_claims(normal_quantile="1.645", k="0.05") == Decimal("1082.41")
    assert full_credibility_claims(normal_quantile="1.645", k="0.05", severity_cv=3) == Decimal("10824.1")
    for broken in ({"k": 0}, {"normal_quantile": 0}, {"severity_cv": -1}):
        with pytest.raises(InputRefused, match="CRD-002"):
            full_credibility_claims(**{"normal_quantile": 1.645, "k": 0.05} | broken)


def test_undeclared_standard_and_credibility_outside_0_to_1():
    for full in (None, 0, -24_000):
        with pytest.raises(InputRefused, match="CRD-002"):
            credibility(12_000, full_standard=full)
    with pytest.raises(InputRefused, match="below zero"):
        credibility(-1, full_standard=10)
    for z in (1.01, -0.01, 85):
        with pytest.raises(InputRefused, match="CRD-001"):
            checked_credibility(z)
        with pytest.raises(InputRefused, match="CRD-001"):
            blended(100, 100, z)
    with pytest.raises(InputRefused, match="absent"):
        blended(100, None, 0.5)
    assert blended(100, None, 1) == 100


# ------------------------------------------------------------------------------------------------ loss ratio


@pytest.mark.parametrize("case", cases("mlr_credibility.csv"), ids=lambda case: case["life_years"])
def test_loss_ratio_credibility_cases(case):
    found = mlr_credibility(case["life_years"], average_deductible=1000)
    assert abs(found.base_factor - Fraction(case["expected_base_factor"])) < Fraction(1, 10**10)
    status = {"non-credible": "not_credible", "full": "fully_credible", "": "partly_credible"}[case["note"]]
    assert found.status == status
    assert found.addition == found.base_factor


@pytest.mark.parametrize(
    ("deductible", "factor"),
    [(0, "1"), (2499.99, "1"), (2500, "1.164"), (3750, "1.283"), (7500, "1.569"), (10_000, "1.736"), (50_000, "1.736")],
)
def test_deductible_factor(deductible, factor):
    found = mlr_credibility(5000, average_deductible=deductible)
    assert found.deductible_factor == Fraction(factor)
    assert found.addition == Fraction("0.037") * Fraction(factor)
    assert bool(found.uncertain) == (factor != "1")
    if deductible == 3750:
        assert found.uncertain == ("deductible_factor 2500", "deductible_factor 5000")


def test_loss_ratio_credibility_without_a_deductible_and_other_tables():
    assert mlr_credibility(5000).addition is None
    assert mlr_credibility(life_years(60_000)).base_factor == Fraction("0.037")
    for value in (-1, float("nan"), "many", None, True, "1e99999999"):
        with pytest.raises(InputRefused):
            mlr_credibility(value)
    figures = data_specs.table("transfers/mlr_tables")
    changed = figures.with_columns(
        value=pl.when((pl.col("table") == "base_credibility") & (pl.col("key") == "1000"))
        .then(pl.lit("0.090"))
        .otherwise("value")
    )
    assert mlr_credibility(1000, figures=changed).base_factor == Fraction("0.09")
    broken = figures.filter(pl.col("key") != "<1000")
    with pytest.raises(TableRefused, match="rising keys"):
        mlr_credibility(1000, figures=broken)


# ------------------------------------------------------------------------------------------------ morbidity


def population(rows):
    columns = ("enrollee_id", "member_months", "score_silver", "demographic_factor")
    return pl.DataFrame(rows, schema=columns, orient="row")


def test_parts_of_morbidity_multiply_to_the_total():
    before = population([("a", 12, 1.0, 1.0), ("b", 12, 3.0, 1.5), ("c", 6, 0.5, 0.8)])
    after = population([("b", 6, 3.2, 1.6), ("c", 12, 0.6, 0.8), ("d", 3, 2.0, 2.0)])
    found = morbidity_change(before, after)
    old, new = Fraction(12 + 36 + 3, 30), (Fraction("19.2") + Fraction("7.2") + 6) / 21
    assert found.relative_risk == pytest.approx(Decimal(float(new / old)), rel=Decimal("1e-14"))
    ages = (Fraction("9.6") + Fraction("9.6") + 6) / 21 / (Fraction(12 + 18) + Fraction("4.8")) * 30
    assert float(found.demographic) == pytest.approx(float(ages), rel=1e-14)
    assert found.morbidity == pytest.approx(found.relative_risk / found.demographic, rel=Decimal("1e-25"))
    parts = found.parts.filter(pl.col("part") != "total")
    assert parts["part"].to_list() == ["exits", "stayers", "entries"]
    for column in ("risk", "demographic", "morbidity"):
        assert parts[column].product() == pytest.approx(found.parts.filter(part="total")[column].item(), rel=1e-14)
    assert found.parts["member_months_before"].to_list() == [30, 18, 18, 30]
    given = found.assumptions()
    assert given["adj_morbidity"]["value"] * 10**4 % 1 == 0
    assert abs(given["adj_morbidity"]["value"] - found.morbidity) <= Decimal("0.00005")


def test_same_population_changes_nothing_and_scores_of_part_1_can_be_handed_in():
    scores = pl.DataFrame(
        {"enrollee_id": ["a", "b"], "enrollment_days": [365, 90], "age_last": [30, 60], "score_silver": [0.8, 2.1]}
    )
    same = morbidity_change(scores, scores, age_factors={30: "1.135", 60: "2.714"})
    assert (same.relative_risk, same.demographic, same.morbidity) == (1, 1, 1)
    gross = morbidity_change(scores, scores.filter(enrollee_id="b"))
    assert gross.findings["rule_id"].to_list() == ["MOR-005"]
    assert gross.morbidity == gross.relative_risk > 1
    with pytest.raises(InputRefused, match="MOR-001"):
        morbidity_change(scores, scores, age_factors={30: 1})


def test_groups_without_names_have_a_total_only():
    before = population([("a", 12, 1.0, 1.0)]).drop("enrollee_id")
    found = morbidity_change(before, before)
    assert found.findings["rule_id"].to_list() == ["MOR-003"]
    assert found.parts["part"].to_list() == ["total"]
    strangers = morbidity_change(population([("a", 1, 1.0, 1.0)]), population([("b", 1, 2.0, 1.0)]))
    assert (strangers.findings["rule_id"].to_list(), strangers.morbidity) == (["MOR-003"], 2)


def test_population_without_weight_or_risk_is_refused():
    good = population([("a", 12, 1.0, 1.0)])
    for broken in ([("a", 0, 1.0, 1.0)], [("a", 12, 0.0, 1.0)], [("a", 12, 1.0, 0.0)]):
        with pytest.raises(InputRefused, match="MOR-002"):
            morbidity_change(good, population(broken))
    with pytest.raises(InputRefused, match="MOR-001"):
        morbidity_change(good, population([("a", 12, float("nan"), 1.0)]))
    with pytest.raises(InputRefused, match="only one population"):
        morbidity_change(good, good.drop("demographic_factor"))


@pytest.mark.slow
def test_means_are_exact_for_many_rows_and_any_order():
    draw = np.random.default_rng(8)
    frame = pl.DataFrame({"member_months": draw.uniform(0, 12, 5000), "score_silver": draw.uniform(0, 9, 5000)})
    other = frame.with_columns(score_silver=pl.col("score_silver") * 2)
    one, two = morbidity_change(frame, other), morbidity_change(frame.reverse(), other.reverse())
    assert one.relative_risk == two.relative_risk
    assert float(one.relative_risk) == pytest.approx(2, rel=1e-8)
    weights = [Fraction(round(w * 10**9), 10**9) for w in frame["member_months"]]
    risks = [Fraction(round(r * 10**9), 10**9) for r in frame["score_silver"]]
    doubled = [Fraction(round(r * 10**9), 10**9) for r in other["score_silver"]]
    exact = sum(w * r for w, r in zip(weights, doubled, strict=True)) / sum(
        w * r for w, r in zip(weights, risks, strict=True)
    )
    assert abs(Fraction(one.relative_risk) - exact) < Fraction(1, 10**32)


def test_movements_of_groups():
    moves = pl.DataFrame(
        {
            "group": ["subsidy ends", "Medicaid returns"],
            "kind": ["exit", "entry"],
            "member_months": [200, 100],
            "relative_claims": [0.7, 1.3],
            "relative_demographic": [0.9, 1.1],
        }
    )
    found = movement_change(1000, moves)
    assert found.relative_risk == pytest.approx(Decimal(1000 - 140 + 130) / 900)
    assert found.demographic == pytest.approx(Decimal(1000 - 180 + 110) / 900)
    assert found.parts["part"].to_list() == ["subsidy ends", "Medicaid returns", "total"]
    assert found.parts["morbidity"][:2].product() == pytest.approx(float(found.morbidity), rel=1e-14)
    with pytest.raises(InputRefused, match="MOR-004"):
        movement_change(200, moves)
    with pytest.raises(InputRefused, match="MOR-001"):
        movement_change(1000, moves.with_columns(kind=pl.lit("stay")))


# ------------------------------------------------------------------------------------------------ manual rate


BASIS = {"area": ("1.05", "0.98"), "age": ("1.6", "1.5"), "benefit": 1, "morbidity": "1.1"}


def test_manual_rate_by_hand_and_its_ledger():
    source = pl.DataFrame({"benefit_category": ["professional", "prescription_drug"], "allowed_pmpm": ["150", "100.5"]})
    found = manual_rate(
        source, basis=BASIS, annual_trend={"professional": "0.05", "prescription_drug": "0.1"}, trend_months=24,
        source="market study", experience_rate=250,
    )  # fmt: skip
    ratio = Fraction("1.05") / Fraction("0.98") * Fraction("1.6") / Fraction("1.5") * Fraction("1.1")
    expected = ratio * (150 * Fraction("1.05") ** 2 + Fraction("100.5") * Fraction("1.21"))
    assert abs(Fraction(found.value) - expected) < Fraction(1, 10**28)
    ledger = Ledger(found.entries)
    assert [key for entry in ledger for key in entry.inputs if key not in ledger] == []
    assert ledger.value("manual_ehb") == found.value == found.assumption()["value"]
    assert found.steps.filter(step="total")["pmpm"].item() == float(found.value)
    assert found.findings["rule_id"].to_list() == ["MAN-003"]


def test_every_basis_of_a_manual_rate_is_said():
    source = pl.DataFrame({"benefit_category": ["professional"], "allowed_pmpm": [150]})

    def ask(**changes):
        terms = {"basis": BASIS, "annual_trend": 0, "trend_months": 24, "source": "study"} | changes
        return manual_rate(source, **terms)

    for basis in ({k: v for k, v in BASIS.items() if k != "morbidity"}, {**BASIS, "weather": 1}, {**BASIS, "age": 0}):
        with pytest.raises(InputRefused, match="MAN-001"):
            ask(basis=basis)
    with pytest.raises(InputRefused, match="MAN-001"):
        ask(source="")
    with pytest.raises(SettingRefused, match="trend"):
        ask(annual_trend=None)
    for broken in (["dental"], [None]):
        with pytest.raises(InputRefused, match="MAN-002"):
            manual_rate(
                source.with_columns(benefit_category=pl.Series(broken, dtype=pl.String)),
                basis=BASIS, annual_trend=0, trend_months=24, source="study",
            )  # fmt: skip
