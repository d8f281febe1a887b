"""Enrollee mixes: the base, households, moves, area factors, the split of changes, claims, what a result says."""

import itertools
from datetime import date
from decimal import Decimal

import mix_markets
import numpy as np
import polars as pl
import pytest
from mix_markets import GIVEN, PAIR, YEAR, mixes_of, of_mix, one, person, plan_id, plan_row, small

import riskadjust
from data_specs.errors import InputRefused
from riskadjust._mix import mix
from riskadjust._mix_split import CAUSES, Position, split_change


@pytest.fixture(scope="module")
def made():
    maker = mix_markets.Maker(5, "TX", 12)
    rows = [row for i in range(4) for row in maker.mix(f"m{i}")]
    return maker.frames(), mix_markets.frame("mixes", rows), mix_markets.frame("costs", maker.rows["costs"])


# ------------------------------------------------------------------------------------------------ the base


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"month_rule": "full_month_one", "gcf_decimals": 3},
        {"issuer_rounding": "rounded_plans", "cents_balance": "largest_remainder", "state_reduction": "0.5"},
    ],
)
def test_the_base_is_what_transfers_says(made, settings):
    frames, rows, _ = made
    result = mix(*frames, rows, benefit_year=YEAR, settings=settings)
    own = {k: v for k, v in settings.items() if k in ("month_rule", "gcf_decimals")}
    plans = riskadjust.plan_risk(*frames, benefit_year=YEAR, settings=own)
    expected = riskadjust.transfers(plans, benefit_year=YEAR, settings=settings)
    base = of_mix(result.plans, "base")
    for column in base.columns[1:]:
        assert base[column].equals(expected.plans[column]), column
    issuers = of_mix(result.issuers, "base")
    for column in ("state", "risk_pool", "issuer_id", "transfer", "transfer_unrounded"):
        assert issuers[column].equals(expected.issuers[column]), column
    pools = of_mix(result.pools, "base")
    pairs = {"mean_risk": "mean_risk", "net_average_premium": "net_average_premium", "residual": "residual"}
    for own_name, name in pairs.items():
        assert pools[own_name].equals(expected.pools[name])


def test_no_mix_leaves_the_base_alone(made):
    frames, rows, _ = made
    result = mix(*frames, rows.clear(), benefit_year=YEAR)
    assert set(result.issuers["mix"]) == {"base"}
    assert result.enrollment.select("mix", "rule").rows() == [("base", 0)]


def test_a_mix_that_changes_nothing_changes_nothing(made):
    frames, _, _ = made
    mixes = pl.concat([one(None, "all", None, 1.0), one("age_last", ">", "200", 0.0, name="y")])
    result = mix(*frames, mixes, benefit_year=YEAR)
    base = of_mix(result.plans, "base").drop("mix")
    for name in ("x", "y"):
        assert of_mix(result.plans, name).drop("mix").equals(base)
        changes = of_mix(result.issuers, name).select(pl.selectors.starts_with("change"))
        assert all(value == 0 for row in changes.rows() for value in row)
    assert result.noticed.rows() == [("y", 1, "MIX-001", 1)]


def test_any_order_of_rows_gives_the_same_bytes(made):
    frames, rows, costs = made
    first = mix(*frames, rows, benefit_year=YEAR, costs=costs)
    again = mix(
        *(f.sample(fraction=1, shuffle=True, seed=i) for i, f in enumerate(frames)),
        rows.sample(fraction=1, shuffle=True, seed=9),
        benefit_year=YEAR,
        costs=costs.sample(fraction=1, shuffle=True, seed=8),
    )
    for name in ("issuers", "plans", "pools", "enrollment", "noticed", "findings"):
        assert getattr(first, name).equals(getattr(again, name)), name


# ------------------------------------------------------------------------------------------------ households


def family(*children, **more):
    kin = [person("P", "1S", 1.0, 1980, policy="F", premium=1000.0, **more)]
    kin += [person(f"K{i}", "1S", 0.5, born, policy="F", kin="child") for i, born in enumerate(children)]
    return [*kin, person("Z", "2S", 1.0, 1970)]


def test_a_fourth_child_becomes_billable_when_an_older_one_is_gone():
    frames = small(*family(2006, 2008, 2010, 2012))
    mixes = pl.concat(
        [
            one("enrollee_id", "=", "K0", 0.0),
            one("enrollee_id", "=", "K0", 0.5, name="y"),
            one("enrollee_id", "=", "K3", 0.0, name="z"),
        ]
    )
    result = mix(*frames, mixes, benefit_year=YEAR)
    rows = {name: plan_row(result, "1S", name) for name in ("base", "x", "y", "z")}
    assert [rows[n]["billable_member_months"] for n in ("base", "x", "y", "z")] == [48.0, 48.0, 42.0, 48.0]
    assert [rows[n]["total_member_months"] for n in ("base", "x", "y", "z")] == [60.0, 48.0, 54.0, 48.0]
    curve = {19: 0.941, 17: 0.885, 15: 0.833, 13: 0.765, 45: 1.444}
    base = curve[45] + curve[19] + curve[17] + curve[15]
    remaining = base - curve[19] + curve[13]
    assert rows["base"]["arf"] == pytest.approx(base / 4, rel=1e-14)
    assert rows["x"]["arf"] == pytest.approx(remaining / 4, rel=1e-14)
    # The premium per unit of the rating factors stays.
    assert rows["x"]["premium"] == pytest.approx(12000 * remaining / base, rel=1e-14)
    assert rows["z"]["premium"] == rows["base"]["premium"] == 12000.0
    assert rows["y"]["premium"] == pytest.approx(12000 * (base - curve[19] / 2) / base, rel=1e-14)


def test_a_family_tier_follows_who_remains():
    frames = small(
        person("P", "1S", 1.0, 1980, policy="F", premium=2850.0),
        person("Q", "1S", 1.0, 1981, policy="F", kin="spouse"),
        person("K", "1S", 0.5, 2015, policy="F", kin="child"),
        person("Z", "2S", 1.0, 1970),
        state="NY",
    )
    mixes = pl.concat([one("relationship", "=", k, 0.0, name=k) for k in ("child", "spouse", "self")])
    result = mix(*frames, mixes, benefit_year=YEAR)
    rows = result.plans.filter(pl.col("issuer_id") == "11111").select("mix", "arf", "premium").rows()
    # Two adults with children 2.85, two adults 2, one adult with children 1.7: each over the members that share it.
    expected = {"base": (0.95, 34200.0), "child": (1.0, 24000.0), "spouse": (0.85, 20400.0), "self": (0.85, 20400.0)}
    assert {name: (pytest.approx(arf), pytest.approx(premium)) for name, arf, premium in rows} == expected


def test_a_policy_without_a_published_tier_takes_no_part():
    frames = small(
        person("P", "1S", 1.0, 1980, policy="F", premium=900.0),
        person("K", "1S", 0.5, 2015, policy="F", kin="child"),
        person("Y", "1S", 1.0, 1970),
        person("Z", "2S", 1.0, 1970),
        state="VT",
    )
    result = mix(*frames, one("enrollee_id", "=", "P", 0.0), benefit_year=YEAR)
    assert of_mix(result.plans)["total_member_months"].to_list() == [12.0, 12.0]
    assert result.noticed.rows() == [("x", 0, "MIX-012", 1)]


# ------------------------------------------------------------------------------------------------ moves


def test_a_move_takes_score_metal_area_and_premium_level():
    people = (
        person("A", "1S", 1.0, 2000, premium=300.0, variant="05"),
        person("B", "1S", 1.0, 1985, premium=360.0),
        person("C", "2B", 1.0, 2000, premium=200.0),
        person("D", "2S", 1.0, 2000, premium=500.0),
    )
    frames = small(*people)
    result = mix(*frames, one("enrollee_id", "=", "A", 1.0, "move", plan_id("2B")), benefit_year=YEAR)
    row, left = plan_row(result, "2B"), plan_row(result, "1S")
    assert (row["billable_member_months"], left["billable_member_months"]) == (24.0, 12.0)
    # A's score on bronze is 1.3, and a bronze plan has no variant 05.
    assert row["plrs"] == pytest.approx((1.3 + 1.0) / 2)
    curve = {25: 1.004, 40: 1.278}
    level = (300 + 360) / (curve[25] + curve[40])
    assert row["premium"] == pytest.approx(12 * (200 + 300 / level * 200 / curve[25]))
    assert left["premium"] == 12 * 360.0
    kept = mix(
        *frames,
        one("enrollee_id", "=", "A", 1.0, "move", plan_id("2B")),
        benefit_year=YEAR,
        settings={"csr_after_move": "kept"},
    )
    assert plan_row(kept, "2B")["plrs"] == pytest.approx((1.3 * 1.12 + 1.0) / 2)
    moved = of_mix(result.enrollment, rule=1).row(0, named=True)
    assert (moved["enrollees_before"], moved["member_months_before"], moved["member_months_moved"]) == (1, 12.0, 12.0)


def test_later_rules_see_where_months_are():
    frames = small(*PAIR, person("C", "2B"), person("D", "1S", variant="06"))
    mixes = mixes_of(
        ("x", "plan_id", "=", plan_id("1S"), "move", 0.5, plan_id("2B")),
        ("x", "metal_level", "=", "bronze", "scale", 2.0, None),
        ("x", "csr_variant", "=", "06", "scale", 0.0, None),
        ("y", "plan_id", "=", plan_id("1S"), "move", 0.5, plan_id("2B")),
        ("y", "plan_id", "=", plan_id("2B"), "move", 1.0, plan_id("1S") + "-04"),
    )
    result = mix(*frames, mixes, benefit_year=YEAR)
    # Half of A and D go to bronze, which doubles: 6 + 6 + 12. D on bronze is not of variant 06 any more.
    assert plan_row(result, "2B")["total_member_months"] == 48.0
    assert plan_row(result, "1S")["total_member_months"] == 6.0
    # There and back: the base again, C being with them now, at its silver score.
    assert plan_row(result, "1S", "y")["total_member_months"] == 36.0
    assert plan_row(result, "2B", "y")["total_member_months"] == 0.0
    assert plan_row(result, "1S", "y")["plrs"] == pytest.approx((0.5 + 1.12 + 1.2) / 3)


@pytest.mark.slow
def test_a_plan_new_to_an_area_takes_its_level_from_its_other_areas():
    frames = small(
        person("A", "1S", premium=300.0),
        person("B", "1S", premium=450.0, area=2),
        person("C", "2S", premium=400.0),
        person("D", "3S", premium=500.0, area=2),
    )
    result = mix(*frames, one("enrollee_id", "=", "D", 1.0, "move", plan_id("2S")), benefit_year=YEAR)
    new = plan_row(result, "2S", area=2)
    # 400 in area 1, where the pool pays (300 + 400) / 2; in area 2 the pool pays (450 + 500) / 2.
    assert new["premium"] == pytest.approx(12 * 400 * 475 / 350)
    assert result.noticed.rows() == [("x", 0, "MIX-004", 1)]
    assert of_mix(result.plans, "base", plan_id=plan_id("2S")).height == 1


@pytest.mark.slow
def test_a_move_to_a_plan_without_any_premium_is_not_settled():
    frames = small(*PAIR, more_plans=["2B"])
    mixes = pl.concat([one("enrollee_id", "=", "A", 1.0, "move", plan_id("2B")), one(None, "all", None, 2.0, name="y")])
    result = mix(*frames, mixes, benefit_year=YEAR)
    assert set(result.issuers["mix"]) == {"base", "y"}
    assert result.rejected["mixes"]["rule_id"].to_list() == ["MIX-005"]
    assert result.counts.filter(table="mixes").row(0) == ("mixes", 2, 1, 1)
    assert result.findings.filter(rule_id="MIX-005")["rows"].to_list() == [1]


@pytest.mark.slow
def test_whoever_comes_from_a_plan_without_premium_pays_what_the_others_pay():
    elsewhere = (person("E", "1B", premium=300.0, area=2), person("F", "1S", area=2))
    people = (person("C", "1B", premium=0.0), person("D", "2B", premium=240.0, born=1961))
    frames = small(*PAIR, *people, *elsewhere)
    result = mix(*frames, one("enrollee_id", "=", "C", 0.5, "move", plan_id("2B")), benefit_year=YEAR)
    curve = {40: 1.278, 64: 3.0}
    assert plan_row(result, "2B")["premium"] == pytest.approx(12 * 240 * (1 + curve[40] / 2 / curve[64]))
    assert plan_row(result, "1B")["premium"] == 0.0


@pytest.mark.slow
def test_months_that_come_by_two_ways_are_one_enrollee():
    plans = {name: plan_id(name, "NY") for name in ("1S", "1B", "1G", "2S")}
    frames = small(
        person("P", "1S", 1.0, 1980, policy="F", premium=1700.0),
        person("K", "1S", 0.5, 2015, policy="F", kin="child"),
        *(person(name, plan) for name, plan in (("X", "1B"), ("Y", "1G"), ("Z", "2S"))),
        state="NY",
    )
    mixes = mixes_of(
        ("alone", "enrollee_id", "=", "P", "move", 0.5, plans["1B"]),
        ("alone", "enrollee_id", "=", "P", "move", 1.0, plans["1G"]),
        ("back", "enrollee_id", "=", "P", "move", 0.5, plans["1B"]),
        ("back", "plan_id", "=", plans["1S"], "move", 0.5, plans["1G"]),
        ("back", "policy_id", "=", "F", "move", 1.0, plans["1S"]),
    )
    result = mix(*frames, mixes, benefit_year=YEAR)
    gold = of_mix(result.plans, "alone", plan_id=plans["1G"]).row(0, named=True)
    assert (gold["billable_member_months"], gold["arf"]) == (24.0, 1.0)
    rows = [of_mix(result.plans, name).drop("mix") for name in ("base", "back")]
    assert rows[0].equals(rows[1])


@pytest.mark.slow
def test_a_household_that_no_tier_fits_on_some_day_takes_no_part_where_it_moves():
    plans = {name: plan_id(name, "VT") for name in ("1S", "2S")}
    frames = small(
        person("P", "1S", 1.0, 1980, policy="F", premium=2810.0),
        person("Q", "1S", 1.0, 1981, policy="F", kin="spouse", start=date(YEAR, 7, 1)),
        person("K", "1S", 0.5, 2015, policy="F", kin="child"),
        person("Z", "2S"),
        state="VT",
    )
    rows = one("relationship", "!=", "self", 1.0, "move", plans["2S"])
    result = mix(*frames, pl.concat([rows, one("enrollee_id", "=", "Z", 2.0, name="y")]), benefit_year=YEAR)
    # The child alone until June has no tier: nobody of the policy takes part in plan 2. Z, a self, stays.
    assert of_mix(result.plans, plan_id=plans["2S"])["total_member_months"].to_list() == [12.0]
    assert of_mix(result.plans, plan_id=plans["1S"])["total_member_months"].to_list() == [12.0]
    # P's line is one, Q's is one, K's is two: before and after Q came.
    assert result.noticed.rows() == [("x", 0, "MIX-012", 3)]


@pytest.mark.slow
def test_a_move_without_a_score_on_the_metal_level_is_not_settled():
    scores, *others = small(*PAIR, person("C", "2B"))
    rows = one("enrollee_id", "=", "A", 1.0, "move", plan_id("2B"))
    blank = scores.with_columns(pl.lit(None, pl.Float64).alias("score_bronze"))
    result = mix(blank, *others, rows, benefit_year=YEAR)
    assert result.rejected["mixes"]["rule_id"].to_list() == ["MIX-008"]
    assert result.noticed.rows() == [("x", 0, "MIX-008", 1)]


@pytest.mark.slow
def test_a_premium_that_nobody_billable_carries_follows_the_months():
    people = (person("A", "1S"), person("B", "2S", premium=500.0), person("K", "1S", born=2015, premium=100.0))
    settings = {"max_billable_children_under_21_per_family": 0}
    mixes = pl.concat(
        [one("enrollee_id", "=", "K", 0.5), one("enrollee_id", "=", "K", 1.0, "move", plan_id("2S"), name="y")]
    )
    result = mix(*small(*people), mixes, benefit_year=YEAR, settings=settings)
    premiums = [plan_row(result, "1S", n)["premium"] for n in ("base", "x", "y")]
    assert premiums == [6000.0, 5400.0, 4800.0]
    # The premium level of plan 1 counts all of its premium: 500 for A's months.
    assert plan_row(result, "2S", "y")["premium"] == pytest.approx(6000 + 1200 * 500 / 500)
    assert result.findings.filter(rule_id="MIX-007")["rows"].to_list() == [1]


@pytest.mark.slow
def test_a_catastrophic_plan_has_no_variant_02():
    frames = small(*PAIR, person("C", "1S", variant="02"), person("D", "2C"))
    result = mix(*frames, one("enrollee_id", "=", "C", 1.0, "move", plan_id("2C")), benefit_year=YEAR)
    row = plan_row(result, "2C")
    assert row["plrs"] == pytest.approx((1.4 + 1.0) / 2)
    assert (row["risk_pool"], row["gcf"]) == ("catastrophic", 1.0)


# ------------------------------------------------------------------------------------------------ area factors


def two_areas():
    return small(
        person("A", "1S", premium=300.0),
        person("B", "1S", premium=450.0, area=2),
        person("C", "2G", premium=400.0),
        person("D", "2G", premium=500.0, area=2),
        person("E", "2S", premium=350.0),
    )


def factors(result, name="x"):
    return dict(
        of_mix(result.plans, name).group_by("rating_area_id").agg(pl.col("gcf").max()).sort("rating_area_id").rows()
    )


def test_area_factors_follow_silver_premiums_unless_held():
    frames = two_areas()
    rows = one("enrollee_id", "=", "E", 0.0)
    follows = mix(*frames, rows, benefit_year=YEAR)
    held = mix(*frames, rows, benefit_year=YEAR, settings={"gcf_rule": "held"})
    given = mix(*frames, rows, benefit_year=YEAR, gcf=GIVEN)
    base = {"R-TX001": pytest.approx(325 * 3 / 1100), "R-TX002": pytest.approx(450 * 3 / 1100)}
    assert factors(follows, "base") == factors(held) == base
    assert factors(follows) == {"R-TX001": pytest.approx(300 * 2 / 750), "R-TX002": pytest.approx(450 * 2 / 750)}
    assert factors(given) == factors(given, "base") == {"R-TX001": 1.01, "R-TX002": 0.98}


@pytest.mark.slow
def test_an_area_that_loses_its_silver_keeps_its_factor():
    result = mix(*two_areas(), one("enrollee_id", "=", "B", 0.0), benefit_year=YEAR)
    assert factors(result)["R-TX002"] == factors(result, "base")["R-TX002"]
    assert factors(result)["R-TX001"] == 1.0
    assert result.noticed.rows() == [("x", 0, "MIX-003", 1)]


@pytest.mark.slow
def test_a_risk_pool_that_has_nobody_in_an_area_says_no_premium_there():
    people = (*PAIR, person("C", "1C"), person("D", "2C", area=2), person("E", "1S", area=3))
    rows = one("enrollee_id", "=", "E", 1.0, "move", plan_id("1C"))
    result = mix(*small(*people), rows, benefit_year=YEAR)
    assert result.rejected["mixes"]["rule_id"].to_list() == ["MIX-005"]
    result = mix(*small(*people, person("F", "2C", area=3)), rows, benefit_year=YEAR)
    assert result.rejected == {}


# ------------------------------------------------------------------------------------------------ what changed


def position(draw, shape):
    return Position(*(draw.uniform(0.5, 2.0, shape) for _ in range(8)))


def amount(position, sides):
    """The transfer with some parts of a position replaced."""
    at = {name: getattr(sides.get(name, position), name) for name in Position.__dataclass_fields__}
    own = at["risk"] / at["mean_risk"] - at["rating"] / at["mean_allowable"]
    return at["months"] * at["demand"] * at["geography"] * own * at["net_premium"]


def test_the_split_is_the_mean_over_all_orders():
    draw = np.random.default_rng(1)
    before, after = position(draw, 5), position(draw, 5)
    owned = {
        "volume": ["months"],
        "risk": ["risk"],
        "rating_factors": ["demand", "rating"],
        "geography": ["geography"],
        "pool_averages": ["mean_risk", "mean_allowable"],
        "premium": ["net_premium"],
    }
    total = dict.fromkeys(CAUSES, 0.0)
    for order in itertools.permutations(CAUSES):
        sides = {}
        for cause in order:
            was = amount(before, sides)
            sides.update(dict.fromkeys(owned[cause], after))
            total[cause] = total[cause] + (amount(before, sides) - was)
    found = split_change(before, after)
    for cause in CAUSES:
        assert found[cause] == pytest.approx(total[cause] / 720, rel=1e-12)
    assert sum(found.values()) == pytest.approx(amount(after, {}) - amount(before, {}), rel=1e-12)


def test_changes_add_up_and_are_told_apart(made):
    frames, rows, _ = made
    rows = pl.concat([rows.drop("rule"), one(None, "all", None, 3.0, name="thrice")])
    result = mix(*frames, rows, benefit_year=YEAR)
    settled = result.issuers.filter(pl.col("change").is_not_null())
    parts = settled.select(f"change_from_{cause}" for cause in CAUSES)
    largest = settled["transfer_unrounded"].abs().max()
    assert (parts.sum_horizontal() - settled["change_unrounded"]).abs().max() <= 1e-13 * largest
    # All grow alike: the whole change is volume.
    thrice = of_mix(settled, "thrice")
    assert (thrice["change_from_volume"] - thrice["change_unrounded"]).abs().max() <= 1e-13 * largest
    assert thrice["change_unrounded"].to_list() == pytest.approx(
        (2 * of_mix(settled, "base")["transfer_unrounded"]).to_list()
    )


def test_an_issuer_that_leaves_changes_by_volume_and_averages(made):
    frames, _, _ = made
    result = mix(*frames, one("issuer_id", "=", "00002", 0.0), benefit_year=YEAR)
    gone = of_mix(result.issuers, issuer_id="00002", risk_pool="individual").row(0, named=True)
    base = of_mix(result.issuers, "base", issuer_id="00002", risk_pool="individual").row(0, named=True)
    assert gone["transfer"] == Decimal("0.00")
    assert (gone["plrs"], gone["transfer_pmpm"]) == (None, None)
    whole, rule = of_mix(result.enrollment).sort("rule").to_dicts()
    assert rule["enrollees_before"] == whole["enrollees_before"] - whole["enrollees_after"] > 0
    assert rule["enrollees_after"] == rule["member_months_after"] == 0
    assert whole["member_months_before"] - whole["member_months_after"] == pytest.approx(rule["member_months_before"])
    assert gone["change"] == -base["transfer"]
    assert gone["change_from_risk"] == gone["change_from_rating_factors"] == gone["change_from_geography"] == 0
    pools = of_mix(result.issuers, risk_pool="individual")["transfer_unrounded"].sum()
    assert abs(pools) < 1e-6


def test_an_emptied_pool_has_no_amounts(made):
    frames, _, _ = made
    result = mix(*frames, one("risk_pool", "=", "catastrophic", 0.0), benefit_year=YEAR)
    rows = of_mix(result.issuers, risk_pool="catastrophic")
    assert rows["transfer"].null_count() == rows["change_from_volume"].null_count() == rows.height > 0
    pool = of_mix(result.pools, risk_pool="catastrophic").row(0, named=True)
    assert (pool["billable_member_months"], pool["mean_risk"], pool["residual"]) == (0.0, None, None)
    assert of_mix(result.issuers, risk_pool="individual")["transfer"].null_count() == 0
    assert result.noticed.rows() == [("x", 0, "MIX-002", 1)]
    assert result.findings.filter(rule_id="MIX-002")["rows"].to_list() == [1]


# ------------------------------------------------------------------------------------------------ claims


def costs_of(*rows):
    return mix_markets.frame("costs", [dict(zip(mix_markets.SCHEMAS["costs"], row, strict=True)) for row in rows])


def test_required_premium_is_claims_less_transfer_and_the_fee():
    frames = small(*PAIR, person("C", "1B"))
    costs = costs_of(
        ("A", plan_id("1S"), "01", 1000.0),
        ("A", plan_id("1S") + "01", "01", 200.0),
        ("B", plan_id("2S"), "01", 5000.0),
        ("Nobody", plan_id("2S"), "01", 1.0),
        ("B", plan_id("2S"), "01", -1.0),
        ("B", plan_id("2S"), "01", None),
    )
    rows = one("plan_id", "=", plan_id("1S"), 0.5, "move", plan_id("1B"))
    result = mix(*frames, rows, benefit_year=YEAR, costs=costs, settings={"retention_share": "0.2"})
    own = of_mix(result.issuers, "base", issuer_id="11111").row(0, named=True)
    assert own["plan_paid"] == 1200.0
    wanted = ((1200.0 - own["transfer_unrounded"]) / 24 + own["user_fee_pmpm"]) / 0.8
    assert own["required_premium_pmpm"] == pytest.approx(wanted, rel=1e-14)
    assert result.counts.filter(table="costs").row(0) == ("costs", 6, 3, 3)
    assert result.rejected["costs"]["rule_id"].sort().to_list() == ["MIX-009", "MIX-010", "MIX-010"]
    # Silver to bronze: 0.60 x 1.00 / (0.70 x 1.03) of the claims.
    moved = of_mix(result.issuers, issuer_id="11111")["plan_paid"].item()
    assert moved == pytest.approx(600 + 600 * 0.6 / 0.721, rel=1e-14)
    kept = mix(*frames, rows, benefit_year=YEAR, costs=costs, settings={"moved_claims": "kept"})
    assert of_mix(kept.issuers, issuer_id="11111")["plan_paid"].item() == pytest.approx(1200.0, rel=1e-14)
    uncertain = result.uncertain.filter(pl.col("what").str.contains("ra_user_fee_pmpm"))
    assert uncertain["moved"].to_list() == ["required premium of issuers"]


def test_without_costs_no_premium_is_required():
    result = mix(*small(*PAIR), one(None, "all", None), benefit_year=YEAR)
    assert not {"plan_paid", "required_premium_pmpm"} & set(result.issuers.columns)


def test_a_base_that_cannot_be_settled_is_refused():
    frames = small(person("A", "1S", 0.0), person("B", "2S", 0.0))
    with pytest.raises(InputRefused, match=r"TX individual.*MIX-002"):
        mix(*frames, one(None, "all", None), benefit_year=YEAR)


def test_the_result_says_what_it_used():
    settings = {"admin_cost_reduction": "0.1", "gcf_rule": "held", "family_tier_billable_children": 2}
    result = mix(*small(*PAIR), one(None, "all", None), benefit_year=YEAR, settings=settings)
    used = dict(result.settings.select("setting", "value").rows())
    assert (used["admin_cost_reduction"], used["gcf_rule"], used["csr_after_move"]) == ("0.1", "held", "by_metal")
    assert used["family_tier_billable_children"] == "2"
    assert {"rating/age_curves", "transfers/program_parameters"} <= set(result.tables)
    assert repr(result).startswith("Mixes(benefit_year=2025, mixes=1,")
