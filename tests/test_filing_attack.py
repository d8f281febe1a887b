"""Inputs that once broke a filing, or went through it without a word; and walks back to the last claim."""

import random
from datetime import date
from decimal import Decimal
from fractions import Fraction

import filing_g1
import filing_made_up
import polars as pl
import pytest

from data_specs.errors import InputRefused, SettingRefused
from rating.filing import completion, seasonality, trend_study
from rating.review import run

SILVER = "12345XX0010002"
CATEGORIES = (
    "inpatient_hospital",
    "outpatient_hospital",
    "professional",
    "other_medical",
    "capitation",
    "prescription_drug",
)
PAID_SHARES = ("0.31", "0.30", "0.20", "0.10", "0.05", "0.04")  # of a month's claims, by lag: the first is below 0.6


def without(names, /, **more):
    return {name: value for name, value in filing_g1.assumptions().items() if not name.startswith(names)} | more


def of_plans(**columns):
    return filing_g1.plans().with_columns(pl.lit(value).alias(name) for name, value in columns.items())


# ------------------------------------------------------------------------------------------------ divisions by zero


RETENTION_OF_ONE = {"pct_admin": "0.95", "pct_taxes_fees": "0.03", "pct_profit_risk": "0.02"}


def no_weights(**columns):
    weights = ("current_enrollment", "current_premium_pmpm", "exp_premium", "cumulative_rate_change")
    return of_plans(**columns).drop(weights, strict=False)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plans": no_weights(**RETENTION_OF_ONE)}, "PRC-020"),
        (
            {
                "plans": no_weights(**RETENTION_OF_ONE, current_calibrated_rate="400"),
                "settings": {"rate_change_definition": "calibrated_rate"},
            },
            "PRC-020",
        ),
        (
            {
                "assumptions": without("exchange_fee")
                | {"published_exchange_fee_pct": 1, "on_exchange_premium_share": 1}
            },
            "PRC-014.*one or more|one or more.*PRC-014",
        ),
        (
            {"mix": pl.DataFrame({"kind": ["age"], "level": ["10"], "billable": ["N"], "member_months": [5]})},
            "calib_geo",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(changes, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(**changes)


def test_a_mix_of_children_who_are_not_charged():
    mix = filing_g1.mix().filter((pl.col("kind") != "age") | (pl.col("billable") == "N"))
    with pytest.raises(InputRefused, match="mean_age_factor is not positive"):
        filing_g1.g1(mix=mix)


@pytest.mark.slow
@pytest.mark.parametrize(("share", "message"), [("0", "do not add to one"), ("0.5", "do not add to one")])
def test_shares_of_quarters(share, message):
    assumptions = filing_g1.assumptions() | {"quarterly_trend": "1.02"}
    assumptions |= {f"quarter_share_{quarter}": share for quarter in "1234"}
    settings = {"quarterly_rate_basis": "year_average"}
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(market="small_group", assumptions=assumptions, settings=settings)


@pytest.mark.parametrize("trend", [-1, "-1.5"])
def test_no_season_after_a_trend_that_leaves_nothing(trend):
    year = pl.DataFrame(
        {"incurred_month": [date(2025, m, 1) for m in range(1, 13)], "member_months": 1, "allowed": 100}
    )
    with pytest.raises(SettingRefused, match="no trend above -1"):
        seasonality(year, annual_trend=trend)


# ------------------------------------------------------------------------------------------------ units and signs


@pytest.mark.slow
def test_a_trend_where_a_factor_belongs():
    assumptions = filing_g1.assumptions() | {"quarterly_trend": "0.02"}
    with pytest.raises(InputRefused, match=r"PRC-025.*1\.02, not 0\.02"):
        filing_g1.g1(market="small_group", assumptions=assumptions)
    found = filing_g1.g1(assumptions=filing_g1.assumptions() | {"trend_y1_cost_professional": "0.03"})
    assert found.findings.filter(rule_id="PRC-027")["where"].to_list() == ["assumptions, trend_y1_cost_professional"]
    assert filing_g1.usual().findings.filter(rule_id="PRC-027").height == 0


@pytest.mark.slow
def test_no_rate_of_zero_cents():
    with pytest.raises(InputRefused, match=r"rounds to 0\.00"):
        filing_g1.g1(assumptions=filing_g1.assumptions() | {"credibility": 0, "manual_ehb": "24.601"})


@pytest.mark.slow
def test_a_ratio_below_zero_turns_no_sign():
    of_plan = {"proj_allowed": "100", "proj_member_cost_sharing": "200"}
    with pytest.raises(InputRefused, match="paid_to_allowed_ratio is not above 0 and at most 1"):
        filing_g1.g1(plans=of_plans(**of_plan), assumptions=without("proj_risk", proj_risk_adjustment_paid="20"))


@pytest.mark.slow
def test_a_ratio_below_zero_that_no_rate_rests_on_is_said():
    found = filing_g1.g1(plans=of_plans(proj_allowed="100", proj_member_cost_sharing="200"))
    assert found.findings.filter(rule_id="PRC-028")["where"].str.starts_with("paid_to_allowed_ratio").any()
    assert found.rates.equals(filing_g1.usual().rates)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"plans": of_plans(pct_profit_risk="-2")}, "pct_profit_risk is not above -1"),
        ({"assumptions": without("proj_reins", proj_reinsurance="-5")}, "proj_reinsurance is negative"),
        ({"plans": of_plans(plan_category="terminated")}, "every plan is terminated"),
        ({"triangle": pl.DataFrame({"paid_amount": [1]})}, "a triangle is given and no frame of experience"),
        ({"header": ["2027-01-01"]}, "`header` is a list"),
        ({"prior": "last year"}, "`prior` is a str"),
        ({"assumptions": filing_g1.assumptions() | {"exchange_type": "state"}}, "exchange_type is not known"),
    ],
)
def test_refusals_that_say_what_to_do(changes, message):
    with pytest.raises(InputRefused, match=message):
        filing_g1.g1(**changes)


# ------------------------------------------------------------------------------------------------ without a word


@pytest.mark.slow
@pytest.mark.parametrize("further", [{"published_exchange_fee_pct": "0.025"}, {"exchange_type": "FFE"}])
def test_a_fee_that_is_given_twice(further):
    found = filing_g1.g1(assumptions=filing_g1.assumptions() | further)
    assert "the published fee is not used" in found.findings.filter(rule_id="PRC-015")["message"].item()
    assert found.rates.equals(filing_g1.usual().rates)


def test_a_band_of_ages_with_several_factors_needs_its_own():
    level = pl.when(pl.col("level") == "34").then(pl.lit("30-39")).otherwise("level").alias("level")
    mix = filing_g1.mix().with_columns(level)
    no_factor = pl.when(pl.col("level") != "30-39").then("factor").alias("factor")
    with pytest.raises(InputRefused, match="age 30-39: no factor"):
        filing_g1.g1(mix=mix.with_columns(no_factor))
    with pytest.raises(InputRefused, match="no whole number or band"):
        filing_g1.g1(mix=mix.with_columns(pl.col("level").replace("30-39", "39-30")))


@pytest.mark.slow
def test_a_band_of_ages_with_one_factor_needs_none():
    # 21 to 24 are 1.000 on the federal curve
    level = pl.when(pl.col("level") == "26").then(pl.lit("21-24")).otherwise("level").alias("level")
    mix = filing_g1.mix().with_columns(level)
    no_factor = pl.when(pl.col("level") != "21-24").then("factor").alias("factor")
    found = filing_g1.g1(mix=mix.with_columns(no_factor))
    assert found.value("age_factor", "age 21-24 Y") == 1


@pytest.mark.slow
def test_a_tobacco_factor_that_is_not_that_of_the_rates():
    factor = pl.when(pl.col("level") == "N").then(pl.lit("1.3")).otherwise("factor").alias("factor")
    found = filing_g1.g1(mix=filing_g1.mix().with_columns(factor))
    assert found.findings.filter(rule_id="PRC-007")["where"].to_list() == ["tobacco N"]


@pytest.mark.slow
def test_the_declared_standard_gives_the_credibility():
    settings = {"full_credibility_member_months": 480000}  # G1 has 120,000
    found = filing_g1.g1(assumptions=without("credibility", manual_ehb="500"), settings=settings)
    assert found.value("credibility") == Decimal("0.5")
    assert "full_credibility_member_months" in str(found.trace("credibility"))
    given = filing_g1.g1(settings=settings)
    assert given.value("credibility") == 1
    assert "gives 0.5" in given.ledger.get("credibility").note


@pytest.mark.slow
def test_numbers_of_32_bits_are_those_that_are_written():
    factor = pl.Series("adj_network", [0.95] * 4, dtype=pl.Float32)
    found = filing_g1.g1(plans=filing_g1.plans().with_columns(factor))
    assert found.value("adj_network", SILVER) == Decimal("0.95")


@pytest.mark.slow
def test_an_exact_fit_has_no_residuals():
    months = [date(2022 + m // 12, m % 12 + 1, 1) for m in range(36)]
    series = pl.DataFrame({"incurred_month": months, "member_months": 100, "allowed": 1000})
    row = trend_study(series, day_basis="none").trends.filter(view="monthly").row(0, named=True)
    assert row["annual_trend"] == pytest.approx(0, abs=1e-12)
    assert (row["r_squared"], row["durbin_watson"]) == (1.0, 2.0)


def test_a_review_of_numbers_beyond_all_measure():
    filing = filing_g1.usual()
    found = run(filing.as_filed({("proj_premium", SILVER): "1e90"}))
    assert found.findings["check_id"].to_list() == ["RV-011"]


# ------------------------------------------------------------------------------------------------ low completion


def month(number):
    return date(2025 + number // 12, number % 12 + 1, 1)


def slow_claims(seed):
    """A triangle of 2025 paid through December, of which the last month is complete to 0.3, and its experience."""
    draw = random.Random(seed)
    paid, experience = [], []
    for category in CATEGORIES:
        for incurred in range(12):
            full = Decimal(draw.randint(200_000, 400_000))
            parts = [
                (full * Decimal(share)).quantize(Decimal("0.01"))
                for share in (*PAID_SHARES, *("0",) * 12)[: 12 - incurred]
            ]
            paid += [(month(incurred), month(incurred + lag), category, str(part)) for lag, part in enumerate(parts)]
            total = sum(parts)
            experience += [
                (
                    month(incurred),
                    category,
                    True,
                    plan,
                    months,
                    str(share),
                    str((share * 3 / 4).quantize(Decimal("0.01"))),
                )
                for plan, months, share in (
                    (SILVER, 600 + incurred, total - 10_000),
                    ("12345XX0010001", 400, Decimal(10_000)),
                )
            ]
    columns = ["incurred_month", "paid_month", "benefit_category", "paid_amount"]
    names = ["incurred_month", "benefit_category", "is_ehb", "plan_id", "member_months"]
    names += ["allowed_paid_to_date", "incurred_paid_to_date"]
    return (
        pl.DataFrame(paid, schema=columns, orient="row"),
        pl.DataFrame(experience, schema=names, orient="row"),
    )


def studied(triangle, experience, **changes):
    plans = filing_g1.plans()
    plans = plans.drop([name for name in plans.columns if name.startswith("exp_")])
    assumptions = without(("exp_", "ep_")) | changes.pop("assumptions", {})
    return filing_g1.g1(
        experience=experience, triangle=triangle, plans=plans, assumptions=assumptions, header={}, **changes
    )


@pytest.mark.slow
def test_months_of_low_completion_take_the_trend_of_year_1():
    triangle, experience = slow_claims(1)
    filing = studied(triangle, experience)
    category = "professional"
    trend = Fraction("1.030") * Fraction("1.012") - 1  # of G1's assumptions
    entry = filing.ledger.get("experience_annual_trend", category)
    assert Fraction(entry.value) == trend
    assert entry.inputs == ((f"trend_y1_cost_{category}", ""), (f"trend_y1_util_{category}", ""))
    # The same by hand: claims of the complete months, each carried to December, per member month of these months.
    found = completion(triangle, low_completion=0)
    shares = found.ultimates.filter(benefit_category=category).sort("incurred_month")
    complete = [i for i, share in enumerate(shares["completion"].to_list()) if share >= 0.6]
    assert 0 < len(complete) < 12
    members = [1000 + i for i in range(12)]
    for low in set(range(12)) - set(complete):
        moved = sum(
            float(found.selected[category, month(i)]) * (1 + float(trend)) ** ((low - i) / 12) for i in complete
        )
        expected = moved / sum(members[i] for i in complete) * members[low]
        value = filing.value("ehb_allowed", f"{category} 2025-{low + 1:02}")
        assert float(value) == pytest.approx(expected, rel=1e-12)
    assert filing.findings.filter(rule_id="TRI-004").height == 6  # one for each category
    assert run(filing).findings.height == 0


@pytest.mark.slow
def test_a_rate_walks_back_to_the_cells_of_the_triangle():
    filing = studied(*slow_claims(2))
    names = set(filing.trace("rate", SILVER, "R-XX001", 40).frame["name"])
    assert {"cumulative_claims", "tail_factor", "ehb_allowed_paid_to_date", "member_months", "area_factor"} <= names
    keys = {entry.key for entry in filing.ledger}
    for entry in filing.ledger:
        assert keys.issuperset(entry.inputs)
        assert entry.formula if entry.role == "computed" else entry.source
        assert filing.value(entry.name, entry.place or None) == entry.value


@pytest.mark.slow
def test_no_trend_for_a_month_of_low_completion():
    triangle, experience = slow_claims(3)
    with pytest.raises(SettingRefused, match="trend_y1_cost and trend_y1_util"):
        studied(triangle, experience, assumptions={"trend_y1_cost_professional": None})
    turned_off = studied(triangle, experience, settings={"low_completion": 0})
    assert turned_off.findings.filter(rule_id="TRI-004").height == 0


# ------------------------------------------------------------------------------------------------ traces of all rates


def rate_column(row, tobacco):
    return "individual_tobacco_rate" if tobacco and row["tobacco"] == "split" else "individual_rate"


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 60, 15))
def test_every_cell_of_a_rate_table_can_be_walked_back(start):
    for seed in range(start, start + 15):
        try:
            filing = filing_made_up.filing_of(filing_made_up.random_case(seed))
        except InputRefused:
            continue
        draw = random.Random(seed)
        for row in draw.sample(filing.rates.to_dicts(), min(4, filing.rates.height)):
            age = int(row["age_band"].split("-")[0].strip("+ andover")) if row["age_band"] != "family" else None
            quarter, tobacco = row["effective_date"].month // 3 + 1, draw.random() < 0.5
            found = filing.trace(
                "rate", row["plan_id"], row["rating_area_id"], age, tobacco=tobacco, quarter=quarter
            ).frame
            product = 1.0
            for value in found.filter(depth=1)["value"]:
                product *= value
            assert found["value"][0] == float(row[rate_column(row, tobacco)])
            assert abs(product - found["value"][0]) < 0.00501


def test_a_later_quarter_can_be_walked_back():
    assumptions = filing_g1.assumptions() | {"quarterly_trend": "1.02"}
    mix = filing_g1.mix().filter(pl.col("kind") != "tobacco")
    filing = filing_g1.g1(market="small_group", assumptions=assumptions, mix=mix)
    row = filing.rates.filter(plan_id=SILVER, rating_area_id="R-XX001", age_band="40").sort("effective_date")
    found = filing.trace("rate", SILVER, "R-XX001", 40, quarter=3)
    assert found.frame["value"][0] == float(row["individual_rate"][2])
    assert "third quarter" in str(found)
    assert "quarter_factor_3 = 1.0404 factor = quarterly_trend * quarterly_trend" in str(found)
    with pytest.raises(InputRefused, match="in quarter 5"):
        filing.trace("rate", SILVER, "R-XX001", 40, quarter=5)


@pytest.mark.slow
def test_tiers_of_families_can_be_walked_back():
    cases = (filing_made_up.random_case(seed) for seed in range(40))
    case = next(case for case in cases if case["state"] == "NY" and not case["settings"].get("csr_load"))
    filing = filing_made_up.filing_of(case)
    row = filing.rates.row(0, named=True)
    found = filing.trace("rate", row["plan_id"], row["rating_area_id"], tier="two_adults_children")
    assert found.frame["value"][0] == float(row["couple_two_dependents"])
    with pytest.raises(InputRefused, match="there is no tier 'family'"):
        filing.trace("rate", row["plan_id"], row["rating_area_id"], tier="family")


@pytest.mark.slow
def test_a_trace_says_how_rates_are_rounded():
    filing = filing_g1.g1(settings={"rounding_direction": "up", "rounding_point": "nontobacco"})
    text = str(filing.trace("rate", SILVER, "R-XX001", 40, tobacco=True))
    assert "rounded up to the cent; the rate without tobacco is rounded to the cent before" in text


def test_percentages_where_shares_belong():
    """A paid-to-allowed ratio of 80.91 would take risk adjustment off nearly a hundredfold too small."""
    with pytest.raises(InputRefused, match="paid_to_allowed_ratio is not above 0 and at most 1"):
        filing_g1.g1(assumptions=filing_g1.assumptions() | {"paid_to_allowed_ratio": "80.91"})
    variants = pl.DataFrame({"plan_id": [filing_g1.plans()["plan_id"][0]], "csr_variant": ["01"], "share": ["1"]})
    with pytest.raises(InputRefused, match="not above 0 and at most 1"):
        filing_g1.g1(variants=variants.with_columns(paid_to_allowed=pl.lit("70"), induced_demand=pl.lit("1")))
