"""Actuarial values against the slow twin of `av_oracle`, and the twin against the worked cases."""

import json
from pathlib import Path

import av_oracle as slow
import pytest
from av_designs import KINDS, designs
from av_early_oracle import early_value

from rating import actuarial_value

CASES = json.loads((Path(__file__).parent / "cases" / "av" / "av_cases.json").read_text(encoding="utf-8"))["cases"]
FEW, MANY = 4, 500
FEWER = {"mostly_exempt_copays": 120}  # whose searches are long
LAST_BITS = 1e-12
HALVED = 2e-8  # where a factor is found by halving an interval, whose last step leaves as much


def twin_of_case(case):
    plan, year = case["plan"], case["av_year"]
    if year == 2026:
        return slow.value_on(plan, year, plan["table_metal"]).av
    return early_value(plan, year)[0]


@pytest.mark.every_case
@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_twin_reproduces_the_cases(case):
    expected = case["expected"]
    assert twin_of_case(case) == pytest.approx(expected["av"], abs=expected["abs_tol"])


def compare(plans, *, unsettled="null", rule="scale_until_met"):
    """Assert that product and twin agree on plans that name their tables."""
    settings = {"unsettled": unsettled, "separate_moop_rule": rule}
    found = actuarial_value(plans, plan_year=2026, settings=settings).designs
    for plan, row in zip(plans, found.iter_rows(named=True), strict=True):
        wanted = slow.value_on(plan, 2026, plan["table_metal"], unsettled=unsettled, rule=rule)
        if wanted.av is None:
            assert row["av"] is None, plan
            assert "unsettled" in row["flags"], plan
            assert not row["converged"], plan
            continue
        close = HALVED if wanted.nested or wanted.bisected else LAST_BITS
        assert row["av"] == pytest.approx(wanted.av, rel=0, abs=close), plan
        assert ("bisected" in row["flags"]) == wanted.bisected, plan
        if plan["deductible_type"] == "integrated" and "tier2" not in plan:
            assert ("moop_within_deductible" in row["flags"]) == wanted.collapsed, plan
        if plan["deductible_type"] == "separate_deductible_combined_moop":
            assert ("nested_deductibles" in row["flags"]) == wanted.nested, plan
        assert row["table_metal"] == plan["table_metal"], plan


def test_a_few_designs_of_every_kind():
    compare([plan for kind in KINDS for plan in designs(kind, FEW)])


def test_a_few_designs_with_the_other_settings():
    kinds = ("mostly_exempt_copays", "separate")
    compare([plan for kind in kinds for plan in designs(kind, FEW)], unsettled="bisect", rule="as_2017")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_designs_of_a_kind(kind):
    compare(designs(kind, FEWER.get(kind, MANY), seed=2))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mostly_exempt_copays", "two_tiers", "separate"])
def test_many_designs_with_the_other_settings(kind):
    compare(designs(kind, FEWER.get(kind, MANY), seed=3), unsettled="bisect", rule="as_2017")


def compare_early(plans, year):
    found = actuarial_value(plans, plan_year=year).designs
    for plan, av, metal in zip(plans, found["av"], found["table_metal"], strict=True):
        wanted, wanted_metal = early_value(plan, year)
        assert (av, metal) == (pytest.approx(wanted, rel=0, abs=LAST_BITS), wanted_metal), plan


@pytest.mark.every_case
@pytest.mark.parametrize("year", [2015, 2016])
def test_a_few_designs_of_the_early_calculators(year):
    compare_early(designs("early", FEW), year)


@pytest.mark.slow
@pytest.mark.parametrize("year", [2015, 2016])
def test_many_designs_of_the_early_calculators(year):
    compare_early(designs("early", MANY, seed=2), year)
    compare_early([{**plan, "table_metal": "silver"} for plan in designs("early", MANY, seed=3)], year)


# In force in 2026: 45 CFR 156.140 as of the payment notice of 2023. Bronze that pays for a major service before the
# deductible, or has none, has the wider window.
WINDOWS = {"platinum": (0.88, 0.92), "gold": (0.78, 0.82), "silver": (0.68, 0.72), "bronze": (0.58, 0.62)}
WIDER = (0.58, 0.65)
MAJOR = ("primary_care", "specialist", "inpatient", "emergency_room", "generic", "preferred_brand", "specialty_drug")


def compare_tables_chosen(plans):
    open_plans = [{key: value for key, value in plan.items() if key != "table_metal"} for plan in plans]
    found = actuarial_value(open_plans, plan_year=2026).designs
    for plan, row in zip(open_plans, found.iter_rows(named=True), strict=True):
        values = {metal: slow.value_on(plan, 2026, metal).av for metal in slow.METALS}
        major = [terms for service, terms in plan["services"].items() if service in MAJOR]
        wider = plan["deductible"] == 0 or any(not terms.get("subject_to_deductible", True) for terms in major)
        metal, in_range = slow.choose(values, {**WINDOWS, "bronze": WIDER} if wider else WINDOWS)
        assert (row["table_metal"], row["in_range"]) == (metal, in_range), plan
        assert row["av"] == pytest.approx(values[metal], rel=0, abs=LAST_BITS)
        assert ("no_matching_metal" in row["flags"]) == (not in_range)


def test_tables_are_chosen_for_a_few_designs():
    compare_tables_chosen(designs("exempt_coinsurance", FEW) + designs("coinsurance_only", FEW))


@pytest.mark.slow
def test_tables_are_chosen_for_many_designs():
    compare_tables_chosen(designs("exempt_coinsurance", MANY, seed=2) + designs("coinsurance_only", MANY, seed=2))
