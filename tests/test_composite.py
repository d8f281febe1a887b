"""Composite premiums of small groups: averages against member rates added up by hand, and what takes no part."""

import random
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import polars as pl
import pytest
import quote_frames as made
from quote_frames import fired
from rating_oracle import curve, member_rate

import rating
from data_specs.errors import InputRefused, SettingRefused

YEAR = 2026
PLANS = [made.plan("a", "301.37", tobacco_ratio="1.5"), made.plan("b", "355.021", children_charged_max=1)]


def composites(rows, plans=PLANS, **options):
    frame = made.frame(rows) if isinstance(rows, list) else rows
    return rating.composite_premiums(frame, base_rates=pl.DataFrame(plans), plan_year=YEAR, **options)


def employees(group, *families, **cells):
    """Households of one employer, each given by the ages of its members."""
    rows = []
    for nth, ages in enumerate(families):
        rows += made.family(*ages, household_id=f"{group}{nth:03d}", group_id=group, **cells)
    return rows


def cent(amount):
    return amount.quantize(Decimal("0.01"), ROUND_HALF_UP)


def by_hand(rows, plan):
    """Averages of one group, and what each household pays."""
    factors, most = curve("TX", "small_group", YEAR), min(plan["children_charged_max"], 3)
    homes = {}
    for row in rows:
        homes.setdefault(row["household_id"], []).append(row)
    adults, children, loads, counted = [], [], {}, {}
    for home, members in homes.items():
        ages = [(YEAR - m["birth_date"].year, m) for m in members]
        kids = sorted((a for a in ages if a[0] < 21), key=lambda a: a[1]["birth_date"])[:most]
        grown = [a for a in ages if a[0] >= 21]
        loads[home] = Decimal(0)
        for age, m in [*grown, *kids]:
            plain = member_rate(plan["base_rate"], factors[min(age, 64)], 1)
            (adults if age >= 21 else children).append(plain)
            if m["tobacco_use"] and age >= 21:
                loads[home] += member_rate(plan["base_rate"], factors[min(age, 64)], 1, plan.get("tobacco_ratio", 1))
                loads[home] -= plain
        counted[home] = (len(grown), len(kids))
    adult = cent(sum(adults) / len(adults)) if adults else None
    child = cent(sum(children) / len(children)) if children else None
    paid = {h: a * (adult or 0) + c * (child or 0) + loads[h] for h, (a, c) in counted.items()}
    return adult, child, paid


def test_averages_by_hand():
    draw = random.Random(8)
    groups = {}
    for g in range(12):
        families = [
            [draw.choice([22, 30, 45, 64, 70]), *draw.choices([0, 14, 15, 20, 21, 25, 33], k=draw.randint(0, 5))]
            for _ in range(draw.randint(1, 7))
        ]
        rows = employees(f"g{g:02d}", *families)
        groups[f"g{g:02d}"] = [row | {"tobacco_use": draw.random() < 0.3} for row in rows]
    result = composites([row for rows in groups.values() for row in rows])
    assert result.groups.height == len(groups) * len(PLANS)
    paid = {(h, p): amount for h, p, amount in result.households.select(
        "household_id", "plan_id", "premium_monthly").rows()}  # fmt: skip
    for line in result.groups.rows(named=True):
        plan = next(p for p in PLANS if p["plan_id"] == line["plan_id"])
        adult, child, expected = by_hand(groups[line["group_id"]], plan)
        assert (line["adult_monthly"], line["child_monthly"]) == (adult, child)
        assert {h: paid[h, line["plan_id"]] for h in expected} == expected
        # Averages add up to the total but for half a cent a head.
        heads = line["adults"] + line["children_charged"]
        assert abs(line["total_by_average"] - line["total_by_member"]) <= Decimal("0.005") * heads
        assert sum(expected.values()) == line["total_by_average"] + line["tobacco_loads"]
    assert result.counts.select("accepted", "rejected").row(0) == (sum(map(len, groups.values())), 0)


def test_the_premium_of_the_group_is_the_sum_of_quotes_without_averages():
    rows = employees("g", [40, 38, 12, 9, 6, 2], [64], [23, 20])
    result = composites(rows)
    quotes = rating.quote(
        made.frame(rows).drop("group_id"),
        base_rates=pl.DataFrame(PLANS),
        plan_year=YEAR,
        settings={"market": "small_group"},
    )
    totals = quotes.households.group_by("plan_id").agg(pl.col("premium_monthly").sum()).sort("plan_id")
    assert result.groups["total_by_member"].to_list() == totals["premium_monthly"].to_list()
    assert result.groups.select("children", "children_charged").rows() == [(5, 4), (5, 2)]


def test_adults_only_and_children_only():
    result = composites([*employees("g", [40]), *employees("k", [12])])
    assert result.groups.select("group_id", "plan_id", "adults", "children").rows() == [
        ("g", "a", 1, 0),
        ("g", "b", 1, 0),
        ("k", "a", 0, 1),
        ("k", "b", 0, 1),
    ]
    assert result.groups["child_monthly"].is_null().to_list() == [True, True, False, False]
    assert result.groups["adult_monthly"].is_null().to_list() == [False, False, True, True]
    assert result.households["premium_monthly"].null_count() == 0


def test_the_quarter_of_the_plan_year_decides():
    plan = made.plan("a", "300", trend_q1="1", trend_q3="1.1")
    rows = employees("g", [40], on=date(YEAR, 8, 1))
    assert composites(rows, [plan]).groups["adult_monthly"].to_list() == [Decimal("421.74")]


def test_a_group_is_worked_out_whole_or_not_at_all():
    good, bad = employees("good", [40], [30, 2]), employees("bad", [40], [30])
    bad[1]["birth_date"] = None
    alone = made.family(50, household_id="alone")
    apart = employees("apart", [40], [41])
    apart[1]["rating_area_id"] = "R-TX002"
    plans = [*PLANS, made.plan("a", "301.37", area="R-TX002")]
    result = composites([*good, *bad, *alone, *apart], plans)
    assert result.groups["group_id"].unique().to_list() == ["good"]
    assert result.households["group_id"].unique().to_list() == ["good"]
    assert fired(result) == {"QTE-004": 1, "QTE-033": 1, "QTE-034": 1, "QTE-036": 2}
    assert result.counts.select("input", "accepted", "rejected").row(0) == (8, 3, 5)


def test_a_plan_that_lacks_a_rate_for_somebody_has_no_average():
    plans = pl.DataFrame({"plan_id": ["a", "a", "b"], "rating_area_id": ["R-TX001"] * 3,
                          "age_band": ["40", "41", "40"], "individual_rate": [400, 410, 420]})  # fmt: skip
    result = rating.composite_premiums(made.frame(employees("g", [40], [41])), rates=plans, plan_year=YEAR)
    assert result.groups.select("plan_id", "adult_monthly").rows() == [("a", Decimal("405.00"))]
    assert fired(result)["QTE-035"] == 1


def test_family_tiers_have_no_average():
    rows = employees("g", [40, 38], rating_area_id="R-VT001")
    result = composites(rows, [made.plan("a", area="R-VT001")])
    assert result.groups.is_empty()
    assert result.households.is_empty()
    assert fired(result) == {"QTE-035": 1}


def test_states_with_a_method_of_their_own_are_named():
    texas = composites(employees("g", [40]))
    assert texas.groups["is_required"].to_list() == [False, False]
    assert texas.uncertain.filter(table="rating/state_market_rules")["what"].to_list() == [
        "method of TX as of 2016, flagged: the state may have its own method"
    ]
    oregon = composites(employees("g", [40], rating_area_id="R-OR001"), [made.plan("a", area="R-OR001")])
    assert oregon.groups["is_required"].to_list() == [True]


def test_row_order_changes_nothing():
    rows = [*employees("g", [40, 12, 12, 12, 12], [33]), *employees("k", [64, 60], [22])]
    one = composites(rows)
    random.Random(3).shuffle(rows)
    two = composites(made.frame(rows).lazy())
    for name in ("groups", "households", "findings", "counts", "uncertain"):
        assert getattr(one, name).equals(getattr(two, name)), name


def test_what_cannot_be_asked():
    rows = employees("g", [40])
    with pytest.raises(SettingRefused, match="small groups"):
        composites(rows, settings={"market": "individual"})
    with pytest.raises(SettingRefused, match="no setting"):
        composites(rows, settings={"averages": 2})
    with pytest.raises(InputRefused, match="group_id"):
        composites(made.frame(rows).drop("group_id"))
    with pytest.raises(InputRefused, match="group_id"):
        composites(made.frame(rows).with_columns(group_id=pl.lit(1)))
