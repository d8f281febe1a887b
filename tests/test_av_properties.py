"""What the calculator's own algorithm keeps whatever the design, and where it does not (docs of actuarial value).

Slack: the loops stop at 1e-4, which moves a value by up to 2e-5. A rule that the published algorithm breaks is tested
only on the kind of design for which it holds; that it is broken elsewhere is tested as well, so that nobody mends it.
"""

import random

import numpy as np
import pytest
from av_designs import CHARGED, KINDS, OFFICE, designs
from av_oracle import SERVICES

from rating import actuarial_value

FEW, MANY = 30, 2_000
HOW_MANY = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]
SLACK, STOP = 1e-5, 2e-5
HIGHEST = 10_600.0  # the limit of 2026
every_count = pytest.mark.parametrize("count", HOW_MANY)
WITHOUT_COPAYS = ("coinsurance_only", "exempt_coinsurance")
WITH_COPAYS = ("exempt_copays", "copays_with_deductible", "copays_after_deductible", "anything", "with_options")


def values(plans, **settings):
    """AV of each design; NaN where there is none."""
    found = actuarial_value(plans, plan_year=2026, settings=settings or None).designs
    return found["av"].fill_null(np.nan).to_numpy()


def change(plans, others):
    """How AV moves from one list of designs to the other, of those that have both."""
    moved = values(others) - values(plans)
    assert np.isfinite(moved).mean() > 0.9
    return moved[np.isfinite(moved)]


def drawn(kind, count):
    return random.Random(f"levers of {kind}"), designs(kind, count, seed=4)


def dearer_deductible(rng, plan):
    return {**plan, "deductible": plan["deductible"] + rng.random() * (plan["moop"] - plan["deductible"])}


def dearer_limit(rng, plan):
    return {**plan, "moop": plan["moop"] + rng.random() * max(0.0, HIGHEST - plan["moop"])}


def own_shares(plan):
    return {terms["plan_coinsurance"] for terms in plan["services"].values() if "plan_coinsurance" in terms}


def richer_shares(rng, plans):
    """Designs with a higher general coinsurance, where neither it nor the old one is a service's own."""
    pairs = [(plan, {**plan, "plan_coinsurance": plan["plan_coinsurance"] + rng.random() / 25}) for plan in plans]
    kept = [pair for pair in pairs if not own_shares(pair[0]) & {p["plan_coinsurance"] for p in pair}]
    return [list(side) for side in zip(*kept, strict=True)]


@every_count
def test_a_higher_deductible_never_raises_av_of_coinsurance_under_the_deductible(count):
    rng, plans = drawn("coinsurance_only", count)
    moved = change(plans, [dearer_deductible(rng, plan) for plan in plans])
    assert moved.max() <= SLACK
    assert moved.min() < -0.05  # and it does move


@every_count
def test_a_higher_limit_never_raises_av_of_one_coinsurance_under_the_deductible(count):
    rng, plans = drawn("coinsurance_only", count)
    plans = [{**plan, "services": {}} for plan in plans]
    moved = change(plans, [dearer_limit(rng, plan) for plan in plans])
    assert moved.max() <= SLACK
    assert moved.min() < -0.01


# The shares of the range come from conditional means: where lines differ in coinsurance they move with the limit, as
# they do with copays, though less.
@pytest.mark.parametrize("kind", [*WITHOUT_COPAYS, *WITH_COPAYS])
@every_count
def test_a_higher_limit_hardly_raises_av(kind, count):
    rng, plans = drawn(kind, count)
    moved = change(plans, [dearer_limit(rng, plan) for plan in plans])
    assert moved.max() <= (2e-4 if kind in WITHOUT_COPAYS else 7e-4)
    assert np.median(moved) < 0


def test_a_higher_limit_raises_av_of_two_coinsurances_by_a_hundredth_of_a_point():
    services = {"mental_health_outpatient": {"plan_coinsurance": 0.453}, "generic": {"plan_coinsurance": 0.603}}
    plan = {"deductible_type": "integrated", "deductible": 50, "plan_coinsurance": 0.95, "table_metal": "bronze"}
    low, high = values([{**plan, "services": services, "moop": limit} for limit in (9112.34, 9909.75)])
    assert high - low == pytest.approx(1.13e-4, abs=STOP)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("separate", "mostly_exempt_copays")])
@every_count
def test_a_higher_general_coinsurance_never_lowers_av(kind, count):
    rng, plans = drawn(kind, count)
    moved = change(*richer_shares(rng, plans))
    assert moved.min() >= -SLACK
    assert moved.max() > 0.001


def test_a_higher_deductible_raises_av_where_coinsurance_is_exempt():
    # What is exempt is paid in full below the deductible, so that a higher deductible can be worth 11 points.
    exempt = ("specialist", "outpatient_surgery_professional", "primary_care", "laboratory", "outpatient_facility")
    services = {name: {"subject_to_deductible": False} for name in (*exempt, "emergency_room", "nonpreferred_brand")}
    plan = {"deductible_type": "integrated", "moop": 6500, "plan_coinsurance": 0.4, "table_metal": "bronze"}
    none, high = values([{**plan, "services": services, "deductible": amount} for amount in (0, 5577)])
    assert none == pytest.approx(0.7485, abs=5e-5)
    assert high == pytest.approx(0.8607, abs=5e-5)


def test_av_jumps_down_where_the_general_coinsurance_reaches_an_entered_one():
    # At 0.6 these services have no terms of their own any more, and their facility part takes the poorer ones of
    # outpatient facility: only values decide.
    parted = ("laboratory", "imaging", "occupational_physical_therapy", "mental_health_outpatient")
    services = {name: {"plan_coinsurance": 0.6} for name in parted} | {"outpatient_facility": {"plan_coinsurance": 0.2}}
    plan = {"deductible_type": "integrated", "deductible": 500, "moop": 9000, "table_metal": "bronze"}
    below, at, above = values(
        [{**plan, "services": services, "plan_coinsurance": share} for share in (0.599, 0.6, 0.601)]
    )
    assert at < below - 0.002
    assert at < above - 0.002
    assert above - below == pytest.approx(0.0005, abs=0.0005)


@every_count
def test_full_cover_is_worth_all(count):
    _, plans = drawn("coinsurance_only", count)
    full = [{**plan, "deductible": 0, "plan_coinsurance": 1.0, "services": {}} for plan in plans]
    assert (values(full) == 1).all()


@every_count
def test_general_coinsurance_is_without_effect_where_deductible_and_limit_are_equal(count):
    rng = random.Random(5)
    for kind in (*WITHOUT_COPAYS, *WITH_COPAYS):
        plans = [{**plan, "deductible": plan["moop"]} for plan in designs(kind, max(count // 5, 5), seed=5)]
        moved = change(*richer_shares(rng, plans))
        assert (moved == 0).all(), kind


@every_count
def test_two_equal_tiers_are_one(count):
    for kind in KINDS:
        plans = designs(kind, count // 10, seed=6)
        plans = [plan for plan in plans if "tier2" not in plan]
        equal = [{**plan, "tier1_utilization": 0.7, "tier2": {}} for plan in plans]
        np.testing.assert_allclose(values(equal), values(plans), rtol=0, atol=1e-15)


@every_count
def test_order_and_listed_defaults_are_without_effect(count):
    rng = random.Random(7)
    default = {"subject_to_deductible": True, "subject_to_coinsurance": True, "copay_after_deductible": False}
    for kind in KINDS:
        plans, others = designs(kind, count // 10, seed=7), []
        for plan in plans:
            listed = rng.sample(SERVICES, len(SERVICES))
            services = {name: {**default, "copay": 0, **plan["services"].get(name, {})} for name in listed}
            others.append({**plan, "services": services})
        np.testing.assert_array_equal(values(others), values(plans))


@every_count
def test_a_design_is_valued_alone_as_among_others(count):
    plans = [plan for kind in KINDS for plan in designs(kind, count // 10, seed=8)]
    turned = values(plans[::-1])[::-1]
    np.testing.assert_array_equal(values(plans), turned)
    apart = np.concatenate([values(plans[start : start + 7]) for start in range(0, len(plans), 7)])
    np.testing.assert_array_equal(apart, turned)


@every_count
def test_an_inpatient_copay_of_nothing_per_stay_is_the_same_per_day(count):
    for kind in ("coinsurance_only", "exempt_copays"):
        for exempt in (True, False):
            terms = {"copay": 0, "subject_to_deductible": not exempt, "subject_to_coinsurance": False}
            plans = [
                {**plan, "services": {**plan["services"], "inpatient": terms}}
                for plan in designs(kind, count // 2, seed=9)
            ]
            for option in ({}, {"inpatient_copay_max_days": 3}):
                per_day = [{**plan, "options": {"inpatient_copay_per_day": True, **option}} for plan in plans]
                np.testing.assert_array_equal(values(per_day), values(plans))


@every_count
def test_a_cap_that_nobody_reaches_is_without_effect(count):
    plans = designs("coinsurance_only", count, seed=10)
    capped = [{**plan, "options": {"specialty_drug_coinsurance_max_per_script": 1e6}} for plan in plans]
    np.testing.assert_array_equal(values(capped), values(plans))


@every_count
def test_a_cap_never_lowers_av(count):
    for kind in (*WITHOUT_COPAYS, *WITH_COPAYS):
        plans = designs(kind, count // 5, seed=11)
        plans = [{**plan, "options": {}} for plan in plans]
        capped = [{**plan, "options": {"specialty_drug_coinsurance_max_per_script": 50.0}} for plan in plans]
        moved = change(plans, capped)
        assert moved.min() >= -STOP
        if kind == "coinsurance_only":
            assert moved.max() > 1e-4


@every_count
def test_an_employer_that_pays_the_deductible_leaves_only_copays(count):
    def funded(kind):
        plans = [{**plan, "deductible": plan["moop"]} for plan in designs(kind, count, seed=12)]
        return values([{**plan, "options": {"employer_hsa_hra": plan["deductible"] + 100}} for plan in plans])

    np.testing.assert_allclose(funded("coinsurance_only"), 1.0, rtol=0, atol=1e-7)
    with_copays = funded("exempt_copays")
    assert np.nanmin(with_copays) < 0.999
    assert np.nanmax(with_copays) <= 1


@every_count
def test_a_deductible_that_applies_to_nothing_is_reported(count):
    rng, plans = drawn("coinsurance_only", count)
    exempt = {name: {"subject_to_deductible": False} for name in CHARGED}
    plans = [{**plan, "services": exempt, "deductible": plan["moop"] * rng.uniform(0.1, 0.9)} for plan in plans]
    found = actuarial_value(plans, plan_year=2026).designs
    assert (found["av"] == 1).all()
    assert found["flags"].list.contains("deductible_counts_nothing").all()
    # Without the deductible the range works, and coinsurance counts again.
    plain = values([{**plan, "deductible": 0} for plan in plans])
    assert plain.max() < 1
    charged = rng.choice(OFFICE)
    for plan in plans:
        plan["services"] = {**exempt, "specialist": {"copay": charged, "subject_to_deductible": False}}
    found = actuarial_value(plans, plan_year=2026).designs
    assert found["flags"].list.contains("deductible_counts_nothing").all()


@every_count
def test_av_is_flat_in_the_deductible_once_the_limit_is_reached_within_it(count):
    rng, plans = drawn("exempt_copays", count * 3)
    found = actuarial_value(plans, plan_year=2026).designs
    within = found["flags"].list.contains("moop_within_deductible")
    plans = [plan for plan, flat, av in zip(plans, within, found["av"], strict=True) if flat and av is not None]
    assert plans
    assert np.abs(change(plans, [dearer_deductible(rng, plan) for plan in plans])).max() < STOP


@every_count
def test_a_search_that_does_not_settle_has_no_value_or_one_of_our_own(count):
    plans = designs("mostly_exempt_copays", count * 2, seed=13)
    found = actuarial_value(plans, plan_year=2026).designs
    open_ones = found["av"].is_null()
    assert open_ones.any()
    assert (open_ones == ~found["converged"]).all()
    assert (open_ones == found["flags"].list.contains("unsettled")).all()
    assert set(found.filter(open_ones)["av_status"]) == {"flagged"}
    halved = actuarial_value(plans, plan_year=2026, settings={"unsettled": "bisect"}).designs
    bisected = halved["flags"].list.contains("bisected")
    assert (bisected | halved["av"].is_null() == open_ones).all()
    assert (halved.filter(~open_ones)["av"] == found.filter(~open_ones)["av"]).all()
    assert halved.filter(bisected)["av"].is_between(0, 1, closed="none").all()
