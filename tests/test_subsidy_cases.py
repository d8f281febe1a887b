"""Benchmarks, credits and reconciliations against results worked without this code; see cases/rating/subsidies."""

import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from cases.rating.subsidies import reading

import data_specs
import rating
from data_specs._policy import age_curve
from rating._areas import rating_area
from rating._assistance import cost_sharing_variant
from rating._benchmark import second_lowest_cost_silver
from rating._contribution import contribution_dollars
from rating._credit import premium_tax_credit
from rating._credit_amounts import annual_credit
from rating._reconcile import reconcile
from rating._silver_rates import amounts_at_ages
from riskadjust._findings import rule_texts

RELATIONSHIPS = {"adult": "spouse", "dependent": "child"}
NO_PLAN = 10**12


def named(case):
    return case["id"]


def by_kind(*kinds):
    cases = [case for kind in kinds for case in reading.of_kind(kind)]
    assert cases
    return pytest.mark.parametrize("case", cases, ids=named)


def close(found, case):
    assert abs(Decimal(str(found)) - Decimal(case["expected"])) <= Decimal(case.get("tolerance", "0.005"))


def with_ratio(case):
    """One person with the income of a poverty ratio."""
    rows = data_specs.table("rating/federal_poverty_guidelines", year=case["plan_year"] - 1)
    line = rows.filter(region="contiguous", household_size=1)["annual_amount"].item()
    return pl.DataFrame(
        {
            "household_id": ["h"],
            "annual_income": [str(Decimal(case["poverty_ratio"]) * line)],
            "tax_household_size": [1],
            "region": ["contiguous"],
            "benchmark_monthly": ["500"],
        }
    )


@by_kind("contribution_pct")
def test_contribution_percentage(case):
    found = premium_tax_credit(with_ratio(case), tax_year=case["plan_year"]).households["applicable_pct"].item()
    if case["expected"] == "none":
        assert found is None
    else:
        close(found, case)


@by_kind("credit_from_parts", "credit_cap_at_plan")
def test_credit_from_parts(case):
    """The percentage is given with the case, so the parts are put together here."""
    assert case["eligible"]
    income, hundredths = 100 * int(case["annual_income"]), round(100 * float(case["contribution_pct"]))
    contribution = contribution_dollars(np.array([income]), np.array([hundredths]))
    benchmark = np.array([100 * int(case["benchmark_annual"])])
    plan = NO_PLAN
    if "plan_to_benchmark_ratio" in case:
        plan = int(benchmark.item() * Decimal(case["plan_to_benchmark_ratio"]))
    unlimited, found = (annual_credit(benchmark, contribution, limit).item() for limit in (NO_PLAN, plan))
    if not case.get("files_return", True):
        household = with_ratio({"plan_year": case["plan_year"], "poverty_ratio": "2"})
        rows = premium_tax_credit(household.with_columns(files_return=False), tax_year=case["plan_year"]).households
        assert rows.select("annual_credit", "reason").row(0) == (Decimal("0.00"), "no_tax_return")
        found = 0
    close(Decimal(found if case["output"] == "annual_credit" else unlimited - found) / 100, case)


@by_kind("net_premium")
def test_net_premium(case):
    household = with_ratio({"plan_year": case["plan_year"], "poverty_ratio": "2"}).with_columns(
        premium_monthly=pl.lit(str(Decimal(case["plan_premium_annual"]) / 12)), advance_monthly=pl.lit("0")
    )
    rows = premium_tax_credit(household, tax_year=case["plan_year"]).households
    close(12 * rows["net_premium_monthly"].item(), case)


@by_kind("age_rated_benchmark")
def test_amount_at_an_age(case):
    curve = age_curve(case["state"], "individual", case["plan_year"])
    amounts = amounts_at_ages(np.array([round(100 * float(case["benchmark_base_monthly"]))]), curve)
    (age,) = case["member_ages"]
    close(Decimal(amounts[0, age].item()) / 100, case)


@by_kind("benchmark_lookup")
def test_published_benchmark(case):
    name = case["output"].removesuffix("_monthly")
    rows = data_specs.table("rating/benchmark_premiums", year=case["plan_year"], state=case["state"])
    row = rows.filter(benchmark=name, rating_area=int(case["rating_area"]))
    close(row["monthly_premium"].item(), case)
    if name == "lowest_bronze":
        return  # must not be turned into premiums
    # The amount is that of age 0 (of one adult where tiers price).
    is_tier = row["reference_member"].item() == "adult"
    member = pl.DataFrame(
        {
            "household_id": ["h"],
            "age": [30 if is_tier else 0],
            "state": [case["state"]],
            "rating_area_id": [case["rating_area"]],
        }
    )
    found = second_lowest_cost_silver(member, plan_year=case["plan_year"]).households
    close(found["benchmark_monthly"].item(), case)
    assert found["source"].item() == "rating/benchmark_premiums"


@by_kind("zip3_rating_area")
def test_rating_area_by_zip(case):
    assert case["county"] == "Los Angeles County"
    address = pl.DataFrame({"state": [case["state"]], "county_fips": ["06037"], "zip_code": [case["zip3"]]})
    found = rating_area(address, plan_year=case["plan_year"], area_map=2023)
    assert found["rating_area_id"].item() == f"R-{case['state']}{int(case['expected']):03d}"


@by_kind("family_tier")
def test_family_tier(case):
    amount = case.get("benchmark_base_monthly", "1000")
    roles = ["self", *(RELATIONSHIPS[role] for role in case["member_roles"][1:])]
    members = pl.DataFrame({"age": case["member_ages"], "relationship": roles}).with_columns(
        household_id=pl.lit("h"), state=pl.lit(case["state"]), rating_area_id=pl.lit("1")
    )
    rates = pl.DataFrame({"plan_id": ["a", "b"], "individual_rate": [amount, amount]}).with_columns(
        state=pl.lit(case["state"]), rating_area_id=pl.lit("1"), age_band=pl.lit("family"), metal_level=pl.lit("silver")
    )
    found = second_lowest_cost_silver(members, rates, plan_year=case["plan_year"]).households
    premium = found["benchmark_monthly"].item()
    close(premium / Decimal(amount) if case["output"] == "tier_multiplier" else premium, case)


@by_kind("csr_level")
def test_variant(case):
    homes = with_ratio(case).with_columns(
        metal_level=pl.lit(case["metal_level"]), is_credit_eligible=pl.lit(case["eligible"])
    )
    found = cost_sharing_variant(homes, plan_year=case["plan_year"]).households
    close(found["target_av_pct"].item(), case)


@by_kind("household_credit")
def test_household_credit(case):
    home = pl.DataFrame(
        {
            "household_id": ["h"],
            "annual_income": [case["annual_income"]],
            "tax_household_size": [int(case["tax_household_size"])],
            "state": [case["state"]],
        }
    )
    year = case["plan_year"]
    if "benchmark_annual" in case:
        returns = home.with_columns(filing=pl.lit("single"), annual_benchmark=pl.lit(case["benchmark_annual"]))
        close(reconcile(returns, tax_year=year).households["annual_credit"].item(), case)
    counted = case.get("benchmark_member_ages", [])
    eligible = [age in counted for age in case["member_ages"]]
    members = pl.DataFrame({"age": case["member_ages"], "credit_eligible": eligible}).with_columns(
        pl.int_range(pl.len()).cast(pl.String).alias("member_id"), household_id=pl.lit("h"), state=pl.lit(case["state"])
    )
    area = case.get("rating_area", "1")
    members = members.with_columns(rating_area_id=pl.lit(area))
    found = second_lowest_cost_silver(members, plan_year=year).households
    other = pl.when("credit_eligible").then(pl.lit("none")).otherwise(pl.lit("other"))
    if case.get("condition") == "medicare_eligible":
        other = pl.lit("medicare")
    persons = members.select("household_id", "member_id", other_coverage=other)
    home = home.join(found.select("household_id", "benchmark_monthly"), on="household_id")
    result = premium_tax_credit(home, persons, tax_year=year).households
    if "benchmark_annual" not in case:
        close(result["annual_credit"].item(), case)
    if not counted:
        assert result["reason"].item() == "no_eligible_member"


@pytest.mark.parametrize("case", reading.reconciliations(), ids=named)
def test_reconciliation(case):
    result = reconcile(reading.tax_return(case), reading.months(case), tax_year=case["tax_year"])
    row = result.households.row(0, named=True)
    expected = dict(case["expected"])
    if "applicable_figure" in expected:
        assert row["applicable_pct"] == 100 * Decimal(expected.pop("applicable_figure"))
    if "income_pct_of_poverty" in expected:
        assert row["income_pct_of_poverty"] == int(expected.pop("income_pct_of_poverty"))
    for name in ("reason", "repayment_reason", "basis"):
        if name in expected:
            assert row[name] == expected.pop(name)
    for name, text in expected.items():
        assert row[{"cap_usd": "repayment_cap"}.get(name, name)] == Decimal(text), name
    if "net_credit" in case["expected"] and "repayment" in case["expected"]:
        effects = result.notices["effect"].sum() or Decimal(0)
        assert effects == row["net_credit"] - row["repayment"]


def test_a_brief_without_advance_has_no_net_amount():
    case = next(case for case in reading.reconciliations() if case["id"] == "recon-17")
    row = reconcile(reading.tax_return(case), tax_year=2014).households.row(0, named=True)
    assert [row[name] for name in ("net_credit", "repayment", "annual_advance", "annual_premium")] == [None] * 4


@pytest.mark.parametrize("case", reading.blocks("worked_credits"), ids=named)
def test_credit_at_the_edges_of_bands(case):
    columns = list(zip(*case["rows"], strict=True))
    homes = pl.DataFrame({"annual_income": columns[0]}).with_columns(
        household_id=pl.int_range(pl.len()).cast(pl.String).str.zfill(3),
        tax_household_size=1,
        state=pl.lit("TX"),
        benchmark_monthly=pl.lit("600.00"),
    )
    found = premium_tax_credit(homes, tax_year=case["tax_year"]).households
    names = ("applicable_pct", "annual_contribution", "monthly_contribution", "annual_credit", "monthly_credit")
    for name, texts in zip(names, columns[2:], strict=True):
        assert found[name].to_list() == [Decimal(text) if text else None for text in texts], name
    assert found["income_pct_of_poverty"].to_list() == [int(text) for text in columns[1]]


def test_every_rule_that_code_names_has_a_text():
    sources = [path.read_text(encoding="utf-8") for path in Path(rating.__file__).parent.glob("_*.py")]
    named = {rule for source in sources for rule in re.findall(r"SUB-[0-9]{3}", source)}
    known = set(rule_texts()["rule_id"].to_list())
    assert named == {rule for rule in known if rule.startswith("SUB-")}
