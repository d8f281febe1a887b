"""The federal medical loss ratio that a filing projects: worked by hand, every branch, and what is refused."""

from decimal import Decimal
from fractions import Fraction

import filing_g1
import polars as pl
import pytest
from loss_ratio_oracle import credibility, rounded

from data_specs.errors import InputRefused
from rating.filing import develop, what_if

PLAN = "12345TX0010001"
ASSUMPTIONS = {
    "exp_member_months": 0,
    "manual_ehb": 500,
    "proj_reinsurance": 10,
    "proj_risk_adjustment": 5,
    "exchange_fee_pct": "0.025",
    "calib_age": "0.6",
    "calib_geo": 1,
    "calib_tobacco": 1,
}
DEDUCTIBLE = {"mlr_average_deductible": 3000}
QUALITY = {"quality_improvement_pct": "0.01"}
PRIOR = {
    f"mlr_prior_{n}_{part}": value
    for n, values in ((1, (4_000_000, 5_000_000, 24_000)), (2, (3_900_000, 4_800_000, 24_000)))
    for part, value in zip(("numerator", "denominator", "member_months"), values, strict=True)
}
# Of one plan: 485 / 0.975 x 0.7 / 0.8 of premium in 12,000 months; 490 x 0.7 of claims, 5 x 0.7 received.
PREMIUM = Fraction(485) / Fraction("0.975") * Fraction("0.7") / Fraction("0.8") * 12_000
NUMERATOR = Fraction(490 - 5) * Fraction("0.7") * 12_000 + PREMIUM / 100
DENOMINATOR = PREMIUM * (1 - Fraction("0.03") - Fraction("0.025"))


def filing(*, months=12_000, market="individual", state="TX", settings=None, **assumptions):
    plans = pl.DataFrame(
        {
            "plan_id": [PLAN.replace("TX", state)],
            "metal_level": ["silver"],
            "plan_category": ["new"],
            "adj_av_cost_sharing": ["0.7"],
            "adj_csr_load": [1],
            "adj_network": [1],
            "adj_non_ehb": [1],
            "pct_admin": ["0.15"],
            "pct_taxes_fees": ["0.03"],
            "pct_profit_risk": ["0.02"],
            "proj_member_months_plan": [months],
        }
    )
    areas = pl.DataFrame({"rating_area_id": [f"R-{state}001"], "area_factor": [1]})
    found = {**ASSUMPTIONS, **assumptions}
    if (settings or {}).get("user_fee_convention") == "amount":
        del found["exchange_fee_pct"]
    return develop(
        None,
        found,
        plans,
        plan_year=2026,
        state=state,
        market=market,
        issuer_id="12345",
        areas=areas,
        settings=settings,
    )


def near(value, expected):
    return abs(Fraction(value) - expected) < Fraction(1, 10**24) * abs(expected)


@pytest.fixture(scope="module")
def one_year():
    return filing(**QUALITY, **DEDUCTIBLE)


def test_the_ratio_of_the_plan_year(one_year):
    """1,000 life-years: 0.083, at 3,000 dollars times 1.2116."""
    assert near(one_year.value("federal_mlr_numerator"), NUMERATOR)
    assert near(one_year.value("federal_mlr_denominator"), DENOMINATOR)
    ratio = NUMERATOR / DENOMINATOR
    assert near(one_year.value("federal_mlr_before_credibility"), ratio)
    assert one_year.value("federal_mlr_life_years") == 1000
    addition = Fraction("0.083") * Fraction("1.2116")
    assert near(one_year.value("federal_mlr_credibility"), addition)
    assert Fraction(one_year.value("projected_federal_mlr")) == rounded(ratio + addition, 3)
    entry = one_year.ledger.get("projected_federal_mlr")
    assert near(entry.replaced, ratio + addition)
    assert entry.note == "rounded to 3 decimals; standard 0.8 met"


def test_it_stands_in_the_ledger_with_formula_and_source(one_year):
    lines = one_year.market.filter(pl.col("name").str.contains("federal_mlr"))
    assert lines.height == 14
    assert lines.filter(pl.col("formula") == "").height == 0
    assert lines["source"].str.contains("45 CFR 158").all()
    traced = one_year.trace("projected_federal_mlr").frame
    names = set(traced["name"])
    assert {"priced_incurred", "proj_reinsurance", "quality_improvement_pct", "pct_taxes_fees"} <= names
    assert traced.filter(pl.col("depth") <= 2, pl.col("value").is_null()).height == 0
    template = one_year.value("priced_loss_ratio")
    assert template != one_year.value("projected_federal_mlr")
    moved = one_year.uncertain.filter(pl.col("moved") == "projected_federal_mlr")["what"].str.join("; ")[0]
    assert "deductible_factor 2500" in moved
    assert "ratio_decimals" in moved


def test_parts_of_the_numerator(one_year):
    parts = {
        "federal_mlr_reinsurance": Fraction(7) * 12_000,
        "federal_mlr_claims": Fraction(350) * 12_000,
        "federal_mlr_risk_adjustment": Fraction("3.5") * 12_000,
        "proj_quality_improvement": PREMIUM / 100,
        "federal_mlr_taxes_fees": PREMIUM * Fraction("0.03"),
        "federal_mlr_exchange_fees": PREMIUM * Fraction("0.025"),
    }
    for name, expected in parts.items():
        assert near(one_year.value(name), expected), name


def test_quality_in_dollars_and_a_fee_in_dollars():
    found = filing(proj_quality_improvement=50_000, **DEDUCTIBLE)
    assert near(found.value("federal_mlr_numerator"), NUMERATOR - PREMIUM / 100 + 50_000)
    in_dollars = filing(settings={"user_fee_convention": "amount"}, exchange_fee_pmpm=12, **QUALITY, **DEDUCTIBLE)
    assert in_dollars.value("federal_mlr_exchange_fees") == 144_000
    premium = Fraction(497) * Fraction("0.7") / Fraction("0.8") * 12_000
    assert near(in_dollars.value("federal_mlr_denominator"), premium * Fraction("0.97") - 144_000)


def test_with_the_two_years_before():
    found = filing(**QUALITY, **DEDUCTIBLE, **PRIOR)
    ratio = (NUMERATOR + 7_900_000) / (DENOMINATOR + 9_800_000)
    base, factor = credibility(Fraction(5_000), Fraction(3_000))
    assert found.value("federal_mlr_life_years") == 5_000
    assert near(found.value("federal_mlr_before_credibility"), ratio)
    assert Fraction(found.value("projected_federal_mlr")) == rounded(ratio + base * factor, 3)
    assert found.ledger.get("federal_mlr_before_credibility").note == ""


def test_what_is_not_given_is_not_reported():
    plain = filing()
    assert not plain.market["name"].str.contains("mlr|quality").any()
    with pytest.raises(InputRefused, match="projected_federal_mlr"):
        plain.value("projected_federal_mlr")
    without = filing(**QUALITY)
    assert ("projected_federal_mlr", "") not in without.ledger
    assert "needs mlr_average_deductible" in without.ledger.get("federal_mlr_before_credibility").note
    assert near(without.value("federal_mlr_before_credibility"), NUMERATOR / DENOMINATOR)
    assert ("federal_mlr_numerator", "") not in filing(months=0, **QUALITY, **DEDUCTIBLE).ledger


def test_small_and_large_filings_need_no_deductible():
    small, large = filing(months=11_999, **QUALITY), filing(months=900_000, **QUALITY)
    for found in (small, large):
        assert found.value("federal_mlr_credibility") == 0
        assert Fraction(found.value("projected_federal_mlr")) == rounded(NUMERATOR / DENOMINATOR, 3)
    assert "presumed met: not credible" in small.ledger.get("projected_federal_mlr").note
    assert "standard 0.8 met" in large.ledger.get("projected_federal_mlr").note


def test_standards_and_merged_markets():
    settings = {"rules_of_state": "TX"}
    assert filing(state="NY", settings=settings, **QUALITY).value("federal_mlr_standard") == Decimal("0.82")
    merged = filing(state="MA", settings=settings, **QUALITY).ledger.get("federal_mlr_standard")
    assert "merges its markets" in merged.note


def test_half_of_what_is_needed_is_refused():
    with pytest.raises(InputRefused, match="proj_quality_improvement"):
        filing(**DEDUCTIBLE)
    with pytest.raises(InputRefused, match="mlr_prior_2_numerator"):
        filing(**QUALITY, **{name: value for name, value in PRIOR.items() if "_1_" in name})
    with pytest.raises(InputRefused, match="both given"):
        filing(**QUALITY, proj_quality_improvement=1)
    for name, value in (("quality_improvement_pct", 2), ("mlr_average_deductible", -1), ("mlr_prior_1_numerator", "x")):
        with pytest.raises(InputRefused, match=name):
            filing(**{**QUALITY, **PRIOR, name: value})


def test_the_addition_says_that_three_low_years_may_forbid_it():
    """What the two years before reported as their ratios is not known to a filing."""
    low = PRIOR | {"mlr_prior_1_numerator": 1_000_000, "mlr_prior_2_numerator": 1_000_000}
    notes = [
        filing(**QUALITY, **DEDUCTIBLE, **prior).ledger.get("federal_mlr_credibility").note
        for prior in (low, PRIOR | {"mlr_prior_1_numerator": 9_000_000}, {})
    ]
    assert ["three reporting years" in note for note in notes] == [True, False, False]


def test_years_before_are_whole_or_empty():
    for missing, rule_id in (("denominator", "MLR-005"), ("member_months", "MLR-003")):
        with pytest.raises(InputRefused, match=f"mlr_prior_2.*{rule_id}: "):
            filing(**QUALITY, **DEDUCTIBLE, **PRIOR | {f"mlr_prior_2_{missing}": 0})
    none = {f"mlr_prior_2_{part}": 0 for part in ("numerator", "denominator", "member_months")}
    assert filing(**QUALITY, **DEDUCTIBLE, **PRIOR | none).value("federal_mlr_life_years") == 3000


def test_premium_that_is_all_fees_is_refused():
    """A fee of 100,000 a month is in the index rate, and only 0.875 of it in the premium of a plan of 0.7."""
    with pytest.raises(InputRefused, match=r"not above taxes and fees.*MLR-005: "):
        filing(settings={"user_fee_convention": "amount"}, exchange_fee_pmpm=100_000, **QUALITY, **DEDUCTIBLE)


def test_of_a_filing_with_several_plans():
    """G1: the sums over plans are worked out here from worksheet 2."""
    given = filing_g1.assumptions() | {"proj_quality_improvement": "1000000", "mlr_average_deductible": "4200"}
    found = develop(**filing_g1.arguments(assumptions=given))
    plans = [p for p in found.plans["plan_id"] if found.value("proj_premium", p)]

    def whole(*names):
        total = Fraction(0)
        for plan in plans:
            product = Fraction(1)
            for name in names:
                product *= Fraction(found.value(name, plan))
            total += product
        return total

    premium = whole("proj_premium")
    top = whole("priced_incurred") - whole("priced_risk_adjustment") + 1_000_000
    fee = Fraction(found.value("exchange_fee_pct"))
    ratio = top / (premium * (1 - fee) - whole("pct_taxes_fees", "proj_premium"))
    base, factor = credibility(Fraction(found.value("proj_member_months")) / 12, Fraction(4_200))
    assert near(found.value("federal_mlr_before_credibility"), ratio)
    assert Fraction(found.value("projected_federal_mlr")) == rounded(ratio + base * factor, 3)
    plain = develop(**filing_g1.arguments())
    assert found.rates.equals(plain.rates)
    assert found.findings.equals(plain.findings)


@pytest.mark.parametrize("how", ["developed", "as_filed"])
def test_a_what_if_works_it_out_again(one_year, how):
    before = one_year if how == "developed" else one_year.as_filed()
    found = what_if(before, pct_taxes_fees="0.01", quality_improvement_pct="0.02")
    premium = Fraction(485) / Fraction("0.975") * Fraction("0.7") / Fraction("0.82") * 12_000
    ratio = (Fraction("339.5") * 12_000 + premium / 50) / (premium * Fraction("0.965"))
    assert near(found.value("federal_mlr_before_credibility"), ratio)
    assert near(found.value("proj_quality_improvement"), premium / 50)
    addition = Fraction("0.083") * Fraction("1.2116")
    assert Fraction(found.value("projected_federal_mlr")) == rounded(ratio + addition, 3)
    assert not what_if(filing(), manual_ehb=520).market["name"].str.contains("mlr").any()
