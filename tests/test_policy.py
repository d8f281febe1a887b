"""Composition of a policy: ages, member months, who is charged, family tiers, age curves, rating areas."""

import calendar
import dataclasses
import random
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

import data_specs
from data_specs import _policy as policy
from data_specs.errors import SettingRefused, TableMissing, TableRefused

SELF, SPOUSE, CHILD, OTHER, UNKNOWN = range(5)
EPOCH = date(1970, 1, 1).toordinal()


def days(*dates):
    return np.array([d.toordinal() - EPOCH for d in dates], np.int64)


def numbers(*values):
    return np.array(values, np.int64)


# ---------------------------------------------------------------------------------------------------- ages


@pytest.mark.parametrize(
    ("birth", "on", "march", "february"),
    [
        (date(1996, 3, 2), date(2026, 3, 1), 29, 29),  # the 30th birthday is the day after the effective date
        (date(1996, 3, 2), date(2026, 3, 2), 30, 30),
        (date(2004, 2, 29), date(2025, 2, 27), 20, 20),
        (date(2004, 2, 29), date(2025, 2, 28), 20, 21),
        (date(2004, 2, 29), date(2025, 3, 1), 21, 21),
        (date(2004, 2, 29), date(2024, 2, 28), 19, 19),  # a leap year has the day itself
        (date(2004, 2, 29), date(2024, 2, 29), 20, 20),
        (date(2000, 2, 29), date(2100, 2, 28), 99, 100),  # 2100 is no leap year
        (date(2025, 1, 1), date(2025, 1, 1), 0, 0),
        (date(2025, 6, 1), date(2025, 1, 1), -1, -1),  # before birth
        (date(1900, 12, 31), date(2025, 1, 1), 124, 124),
    ],
)
def test_completed_years(birth, on, march, february):
    found = [policy.completed_years(days(birth), days(on), rule).item() for rule in policy.LEAP_BIRTHDAYS]
    assert found == [march, february]


def test_completed_years_of_many_dates_agree_with_counting_birthdays():
    draw = random.Random(5)
    births = [date(1910, 1, 1) + timedelta(draw.randrange(42_000)) for _ in range(2000)]
    births += [date(year, 2, 29) for year in range(1912, 2024, 4)] * 10
    on = [date(2025, 1, 1) + timedelta(draw.randrange(-1500, 1000)) for _ in births]
    expected = [o.year - b.year - ((o.month, o.day) < (b.month, b.day)) for b, o in zip(births, on, strict=True)]
    assert policy.completed_years(days(*births), days(*on)).tolist() == expected


def test_an_unknown_choice_is_refused():
    one = numbers(1)
    with pytest.raises(SettingRefused, match=r"leap_birthday cannot be 'sometimes'.*choose one of"):
        policy.completed_years(one, one, "sometimes")
    with pytest.raises(SettingRefused, match=r"month_rule cannot be 'sometimes'.*choose one of"):
        policy.covered_thirtieths(one, one, one, "sometimes")


# ---------------------------------------------------------------------------------------------------- member months


@pytest.mark.parametrize(
    ("start", "end", "by_days", "by_months"),
    [
        (date(2025, 1, 1), date(2025, 12, 31), 365, 360),
        (date(2024, 1, 1), date(2024, 12, 31), 366, 360),
        (date(2025, 1, 1), date(2025, 1, 31), 31, 30),
        (date(2025, 2, 1), date(2025, 2, 28), 28, 30),
        (date(2024, 2, 1), date(2024, 2, 28), 28, 28),  # not in full in a leap year
        (date(2024, 2, 1), date(2024, 2, 29), 29, 30),
        (date(2025, 1, 1), date(2025, 1, 30), 30, 30),  # 30 of 31 days: at most 30
        (date(2025, 1, 2), date(2025, 1, 31), 30, 30),
        (date(2025, 1, 15), date(2025, 3, 15), 17 + 28 + 15, 17 + 30 + 15),
        (date(2025, 4, 30), date(2025, 4, 30), 1, 1),
        (date(2025, 4, 30), date(2025, 5, 1), 2, 2),
    ],
)
def test_covered_thirtieths(start, end, by_days, by_months):
    first, last = days(start), days(end)
    found = [policy.covered_thirtieths(first, last, first, rule).item() for rule in policy.MONTH_RULES]
    assert found == [by_days, by_months]


@pytest.mark.parametrize("month_rule", policy.MONTH_RULES)
def test_cutting_a_span_never_changes_its_months(month_rule):
    draw = random.Random(11)
    for _ in range(300):
        start = date(2024, 1, 1) + timedelta(draw.randrange(500))
        length = draw.randrange(1, 400)
        cuts = sorted({0, length, *(draw.randrange(length) for _ in range(draw.randrange(6)))})
        origin = days(start)
        starts = origin + np.array(cuts[:-1])
        ends = origin + np.array(cuts[1:]) - 1
        pieces = policy.covered_thirtieths(starts, ends, np.repeat(origin, len(starts)), month_rule)
        whole = policy.covered_thirtieths(origin, origin + length - 1, origin, month_rule).item()
        assert pieces.sum() == whole
        assert (pieces >= 0).all()
        covered = [start + timedelta(d) for d in range(length)]
        by_month = {(d.year, d.month): 0 for d in covered}
        for d in covered:
            by_month[d.year, d.month] += 1
        in_full = [(n, calendar.monthrange(*month)[1]) for month, n in by_month.items()]
        months = sum(30 if n == size else min(n, 30) for n, size in in_full)
        assert whole == (length if month_rule == "days_over_30" else months)


def test_run_starts_break_at_gaps_and_between_members():
    member = numbers(0, 0, 0, 1, 1)
    starts, ends = numbers(5, 11, 20, 21, 25), numbers(10, 18, 30, 24, 26)
    assert policy.run_starts(member, starts, ends).tolist() == [5, 5, 20, 21, 21]
    assert policy.run_starts(numbers(), numbers(), numbers()).tolist() == []


def test_stretches_hold_the_same_members_every_day():
    draw = random.Random(3)
    for _ in range(60):
        size = draw.randrange(1, 9)
        group = np.array([draw.randrange(3) for _ in range(size)])
        starts = np.array([draw.randrange(-20, 40) for _ in range(size)])
        ends = starts + np.array([draw.randrange(0, 30) for _ in range(size)])
        row, stretch, begin, end = policy.stretches(group, starts, ends)
        of_day = {}
        for r, s, low, high in zip(row.tolist(), stretch.tolist(), begin.tolist(), end.tolist(), strict=True):
            for day in range(low, high + 1):
                of_day.setdefault((int(group[r]), day), set()).add((s, r))
        members = {key: {r for _, r in pairs} for key, pairs in of_day.items()}
        for (g, day), present in members.items():
            assert present == {i for i in range(size) if group[i] == g and starts[i] <= day <= ends[i]}
        assert all(len({s for s, _ in pairs}) == 1 for pairs in of_day.values())
        assert sum(map(len, members.values())) == int((ends - starts + 1).sum())
    assert [len(a) for a in policy.stretches(numbers(), numbers(), numbers())] == [0, 0, 0, 0]


# ---------------------------------------------------------------------------------------------------- charged by age


def charged(ages, births=None, tie=None, group=None, most=3):
    ages = np.array(ages)
    births = -365 * ages if births is None else np.array(births)
    tie = np.arange(len(ages)) if tie is None else np.array(tie)
    group = np.zeros(len(ages), np.int64) if group is None else np.array(group)
    return policy.charged_by_age(group, ages, births, tie, child_below_age=21, most_children=most).tolist()


@pytest.mark.parametrize(
    ("ages", "free"),
    [
        ([45, 44, 22, 19, 17, 12, 8], [6]),  # the 22-year-old is an adult and none of the three
        ([45, 18, 15, 10], []),
        ([45, 18, 15, 10, 2, 1], [4, 5]),
        ([14, 15, 16], []),
        ([17, 16, 15, 14], [3]),  # only children: the subscriber is one of them
        ([20, 20, 20, 21, 20], [4]),
        ([70, 69], []),
    ],
)
def test_the_three_oldest_children_are_charged(ages, free):
    assert [i for i, is_charged in enumerate(charged(ages)) if not is_charged] == free


def test_an_issuer_may_charge_fewer_children():
    assert charged([40, 10, 5, 1], most=1) == [True, True, False, False]
    assert charged([40, 10], most=0) == [True, False]


def test_ties_go_by_birth_date_and_then_by_id_in_any_order_of_rows():
    ages, births, tie = [12, 12, 12, 12, 12], [100, 90, 100, 100, 101], [4, 9, 2, 3, 0]
    expected = {9: True, 2: True, 3: True, 4: False, 0: False}
    for seed in range(20):
        order = random.Random(seed).sample(range(5), 5)
        found = charged([ages[i] for i in order], [births[i] for i in order], [tie[i] for i in order])
        assert dict(zip([tie[i] for i in order], found, strict=True)) == expected


def test_policies_side_by_side_are_judged_alone():
    group = [2, 0, 2, 0, 2, 0, 2, 0, 2]
    ages = [5, 40, 6, 4, 7, 3, 8, 2, 50]
    assert charged(ages, group=group) == [False, True, True, True, True, True, True, True, True]
    assert charged([]) == []


# ---------------------------------------------------------------------------------------------------- family tiers


def family(state, members, market="individual", year=2025, counted=1, **rules):
    """Tier, multiplier, charged members and use of the option of one policy; members are (relationship, age)."""
    relationship, ages = (np.array(c) for c in zip(*members, strict=True))
    tiers = policy.family_tiers(state, market, year)
    size = len(ages)
    found = policy.family_charges(
        np.zeros(size, np.int64),
        relationship,
        ages,
        -365 * ages,
        np.arange(size),
        tiers=tiers,
        rules=dataclasses.replace(policy.rating_rules(), **rules),
        children_counted=counted,
    )
    assert len(set(found.millionths.tolist())) == len(set(found.sharers.tolist())) == len(set(found.tier.tolist())) == 1
    if found.millionths[0]:
        assert found.charged.sum() == found.sharers[0] or not found.charged.any()
    return (
        policy.TIERS[found.tier[0]],
        Fraction(int(found.millionths[0]), 1_000_000),
        found.charged.tolist(),
        found.uses_option[0],
    )


@pytest.mark.parametrize(
    ("state", "members", "tier", "multiplier", "is_charged"),
    [
        ("NY", [(SELF, 30)], "one_adult", "1", [1]),
        ("VT", [(SELF, 64), (SPOUSE, 20)], "two_adults", "2", [1, 1]),
        ("NY", [(SELF, 40), (CHILD, 3), (CHILD, 9)], "one_adult_children", "1.7", [1, 0, 1]),
        ("VT", [(SELF, 40), (CHILD, 10), (CHILD, 8)], "one_adult_children", "1.93", [1, 1, 0]),
        ("NY", [(SELF, 35), (SPOUSE, 32), (CHILD, 5)], "two_adults_children", "2.85", [1, 1, 1]),
        ("VT", [(SELF, 35), (SPOUSE, 32), (CHILD, 25)], "two_adults_children", "2.81", [1, 1, 1]),
        ("NY", [(SELF, 12), (CHILD, 9)], "child_only", "0.412", [1, 0]),
        ("NY", [(SELF, 20)], "child_only", "0.412", [1]),
        ("NY", [(SELF, 20), (SPOUSE, 20)], "two_adults", "2", [1, 1]),
        ("NY", [(SELF, 20), (SPOUSE, 20), (CHILD, 1)], "two_adults_children", "2.85", [1, 1, 1]),
        # a grandmother is one more adult, unloaded
        ("NY", [(SELF, 40), (SPOUSE, 39), (CHILD, 9), (OTHER, 70)], "two_adults_children", "3.85", [1, 1, 1, 1]),
        ("VT", [(SELF, 40), (CHILD, 9), (OTHER, 70)], "one_adult_children", "2.93", [1, 1, 1]),
        ("VT", [(SELF, 40), (SPOUSE, 40), (OTHER, 8)], "two_adults", "3", [1, 1, 1]),
        # in Vermont a child of 26 is one more adult
        ("VT", [(SELF, 50), (CHILD, 26)], "one_adult", "2", [1, 1]),
        ("VT", [(SELF, 50), (SPOUSE, 50), (CHILD, 26), (CHILD, 3)], "two_adults_children", "3.81", [1, 1, 1, 1]),
        # beyond New York's option too
        ("NY", [(SELF, 50), (CHILD, 30)], "one_adult", "2", [1, 1]),
        # a relationship that is not known: by age
        ("NY", [(UNKNOWN, 45), (UNKNOWN, 44), (UNKNOWN, 12)], "two_adults_children", "2.85", [1, 1, 1]),
        ("NY", [(UNKNOWN, 45), (UNKNOWN, 44), (UNKNOWN, 30)], "two_adults", "3", [1, 1, 1]),
        ("NY", [(UNKNOWN, 23), (UNKNOWN, 2)], "one_adult_children", "1.7", [1, 1]),
        # a grown child whose parents have left
        ("VT", [(CHILD, 22), (CHILD, 8)], "one_adult_children", "1.93", [1, 1]),
        ("VT", [(CHILD, 27)], "one_adult", "1", [1]),
        ("VT", [(OTHER, 66), (OTHER, 64)], "one_adult", "2", [1, 1]),
    ],
)
def test_family_tiers(state, members, tier, multiplier, is_charged):
    found = family(state, members)
    assert found[:3] == (tier, Fraction(multiplier), [bool(c) for c in is_charged])


def test_the_option_for_young_adults_loads_the_tier_only():
    members = [(SELF, 50), (SPOUSE, 50), (CHILD, 27), (OTHER, 70)]
    assert family("NY", members) == ("two_adults_children", Fraction("2.85") * Fraction("1.05") + 1, [True] * 4, True)
    # no multiplier is held before 2023: there the child of 27 is one more adult
    assert family("NY", members, year=2022) == ("two_adults", Fraction(4), [True] * 4, False)
    assert not family("NY", [(SELF, 50), (CHILD, 25)])[3]


def test_a_child_only_policy_has_no_tier_in_vermont():
    tier, multiplier, _, _ = family("VT", [(SELF, 10), (CHILD, 8)])
    assert (tier, multiplier) == ("child_only", 0)


@pytest.mark.parametrize(
    ("state", "members", "from_age", "found"),
    [
        ("VT", [(SELF, 19)], 18, ("one_adult", "1", [1])),
        ("VT", [(SELF, 19)], None, ("child_only", "0", [1])),
        ("VT", [(SELF, 17)], 18, ("child_only", "0", [1])),
        ("VT", [(SELF, 18), (CHILD, 1), (CHILD, 2)], 18, ("one_adult_children", "1.93", [1, 0, 1])),
        ("VT", [(CHILD, 19)], 18, ("child_only", "0", [1])),
        ("NY", [(SELF, 19)], 18, ("child_only", "0.412", [1])),  # New York has a tier for it
    ],
)
def test_young_subscribers_where_there_is_no_child_only_tier(state, members, from_age, found):
    tier, multiplier, is_charged = found
    expected = (tier, Fraction(multiplier), [bool(c) for c in is_charged])
    assert family(state, members, adult_subscriber_age=from_age)[:3] == expected


@pytest.mark.parametrize(("counted", "is_charged"), [(0, [1, 0, 0]), (1, [1, 1, 0]), (2, [1, 1, 1])])
def test_children_counted_in_a_tier(counted, is_charged):
    assert family("NY", [(SELF, 40), (CHILD, 9), (CHILD, 3)], counted=counted)[2] == [bool(c) for c in is_charged]


def test_families_side_by_side_in_any_order():
    members = [
        (0, SELF, 40),
        (0, CHILD, 9),
        (1, SELF, 12),
        (2, SELF, 50),
        (2, SPOUSE, 20),
        (2, CHILD, 3),
        (2, CHILD, 1),
    ]
    tiers, rules = policy.family_tiers("NY", "individual", 2025), policy.rating_rules()
    seen = set()
    for seed in range(10):
        order = random.Random(seed).sample(range(7), 7)
        group, relationship, ages = (np.array([members[i][c] for i in order]) for c in range(3))
        found = policy.family_charges(
            group, relationship, ages, -365 * ages, np.array(order), tiers=tiers, rules=rules, children_counted=1
        )
        columns = (found.charged, found.tier, found.millionths, found.sharers)
        seen.add(tuple(sorted(zip(order, *(c.tolist() for c in columns), strict=True))))
    assert len(seen) == 1


# ---------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("state", "market", "year", "curve_id", "by_age"),
    [
        ("TX", "individual", 2017, "FED_2014", {0: "0.635", 20: "0.635", 21: "1", 64: "3"}),
        ("TX", "individual", 2018, "FED_2018", {0: "0.765", 14: "0.765", 15: "0.833", 20: "0.97", 21: "1", 65: "3"}),
        ("DC", "individual", 2025, "DC_2018", {21: "0.727"}),
        ("MA", "small_group", 2025, "MA_2018", {21: "1.183"}),
        ("NJ", "small_group", 2025, "NJ_SG_2014", {21: "1.25"}),
        ("NY", "individual", 2025, "NY_FLAT", {0: "1", 64: "1"}),
    ],
)
def test_age_curves(state, market, year, curve_id, by_age):
    curve = policy.age_curve(state, market, year)
    assert curve.curve_id == curve_id
    assert [Fraction(int(f), 1_000_000) for f in curve.at(np.array(list(by_age)))] == [*map(Fraction, by_age.values())]
    assert curve.at(numbers(64, 65, 120)).tolist() == [curve.millionths[-1]] * 3
    assert curve.is_uncertain == (curve_id == "NJ_SG_2014")


def test_every_state_and_market_has_a_curve_in_every_year_from_2014():
    assigned = data_specs.table("rating/age_curve_assignment", year=2014).select("state", "market").rows()
    assert len(assigned) == 102
    for year in (2014, 2026):
        assert {len(policy.age_curve(s, m, year).millionths) for s, m in assigned[:: 1 + 10 * (year != 2014)]} == {65}


@pytest.mark.parametrize(("state", "year"), [("PR", 2025), ("TX", 2013), ("tx", 2025)])
def test_a_market_without_a_curve_is_an_error(state, year):
    with pytest.raises(TableMissing, match="To do"):
        policy.age_curve(state, "individual", year)


def overlay(tmp_path, name, change):
    frame = data_specs.table(f"rating/{name}").cast(pl.String).with_columns(pl.lit(None, pl.String).alias("_"))
    (tmp_path / "rating").mkdir(parents=True, exist_ok=True)
    change(frame.drop("_")).write_csv(tmp_path / "rating" / f"{name}.csv")
    return data_specs.use(tmp_path)


def with_value(column, key, value):
    """A change of the rows that have `key` somewhere."""

    def change(frame):
        has_key = pl.any_horizontal(pl.all() == key)
        return frame.with_columns(pl.when(has_key).then(pl.lit(value)).otherwise(pl.col(column)).alias(column))

    return change


def test_rules_come_from_the_tables(tmp_path):
    with overlay(tmp_path, "rating_rules", with_value("value", "children_charged_per_policy_max", "5")):
        assert policy.rating_rules().most_children == 5
    rules = policy.rating_rules()
    fields = ("child_below_age", "most_children", "tier_child_below_age", "option_child_below_age")
    assert [getattr(rules, name) for name in fields] == [21, 3, 26, 30]
    assert "option_child_below_age" in rules.uncertain


def test_figures_are_remembered_for_the_tables_in_use_only(tmp_path):
    def figures():
        tiers = policy.family_tiers("VT", "individual", 2025)
        return policy.rating_rules().most_children, tiers.millionths[1].item(), policy.rating_rules()

    children, two_adults, rules = figures()
    with overlay(tmp_path / "rules", "rating_rules", with_value("value", "children_charged_per_policy_max", "5")):
        assert figures()[:2] == (5, two_adults)
        with overlay(tmp_path / "tiers", "family_tiers", with_value("multiplier", "two_adults", "2.5")):
            assert figures()[:2] == (5, 2_500_000)
        assert figures()[:2] == (5, two_adults)
    assert figures()[:2] == (children, two_adults)
    assert figures()[2] is rules
    with pytest.raises(ValueError, match="read-only"):
        policy.age_curve("TX", "individual", 2026).millionths[0] = 1


def test_the_age_of_adult_subscribers_is_read_where_there_is_a_row(tmp_path):
    def with_row(frame):
        row = frame.head(1).with_columns(
            rule=pl.lit("family_tier_adult_subscriber_age"), value=pl.lit("18"), unit=pl.lit("years")
        )
        return pl.concat([frame.filter(pl.col("rule") != "family_tier_adult_subscriber_age"), row])

    without = lambda frame: frame.filter(pl.col("rule") != "family_tier_adult_subscriber_age")  # noqa: E731
    with overlay(tmp_path, "rating_rules", with_row):
        assert policy.rating_rules().adult_subscriber_age == 18
    with overlay(tmp_path, "rating_rules", without):
        assert policy.rating_rules().adult_subscriber_age is None


def test_a_rule_without_a_row_or_with_a_fraction_is_refused(tmp_path):
    without = lambda frame: frame.filter(pl.col("rule") != "child_rating_below_age")  # noqa: E731
    with overlay(tmp_path, "rating_rules", without), pytest.raises(TableMissing, match="child_rating_below_age"):
        policy.rating_rules()
    half = with_value("value", "child_rating_below_age", "20.5")
    with overlay(tmp_path, "rating_rules", half), pytest.raises(TableRefused, match=r"row 5, column value.*whole"):
        policy.rating_rules()


def test_a_curve_with_a_hole_or_too_many_decimals_is_refused(tmp_path):
    hole = lambda f: f.filter((pl.col("curve_id") != "FED_2018") | (pl.col("age") != "30"))  # noqa: E731
    with overlay(tmp_path, "age_curves", hole), pytest.raises(TableRefused, match="every age from 0"):
        policy.age_curve("TX", "individual", 2025)
    fine = with_value("factor", "FED_2018", "1.1234567")
    with overlay(tmp_path, "age_curves", fine), pytest.raises(TableRefused, match="six decimals"):
        policy.age_curve("TX", "individual", 2025)


def test_tiers_that_cannot_be_used_are_refused(tmp_path):
    without = lambda frame: frame.filter(pl.col("tier") != "one_adult")  # noqa: E731
    with overlay(tmp_path, "family_tiers", without), pytest.raises(TableRefused, match="one adult is missing"):
        policy.family_tiers("NY", "individual", 2025)
    fine = with_value("multiplier", "age29_rider_multiplier", "1.05001")
    with overlay(tmp_path, "family_tiers", fine), pytest.raises(TableRefused, match="more decimals"):
        policy.family_tiers("NY", "individual", 2025)


# ---------------------------------------------------------------------------------------------------- rating areas


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("R-NY004", "R-NY004"),
        ("Rating Area 4", "R-NY004"),
        ("rating area 12", "R-NY012"),
        ("004", "R-NY004"),
        (" 4 ", "R-NY004"),
        ("RNY4", "R-NY004"),
        ("R-NY-004", "R-NY004"),
        ("ny-4", None),
        ("R-NJ004", None),
        ("0", None),
        ("R-NY000", None),
        ("4a", None),
        ("", None),
        (None, None),
        ("1000", None),
    ],
)
def test_canonical_rating_areas(text, area):
    texts, states = pl.Series([text, "7"], dtype=pl.String), pl.Series(["NY", "VT"])
    assert policy.canonical_rating_areas(texts, states).to_list() == [area, "R-VT007"]
