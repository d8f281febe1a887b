"""What a policy is: ages on its effective date, who is charged, family tiers, age curves, member months.

Written once, for the risk of plans and for household quotes. Everything works on whole columns: one entry per covered
member (or span), policies as numbers from 0, days as days since 1970-01-01.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._policy_figures import (
    MILLIONTHS,
    TIERS,
    AgeCurve,
    FamilyTiers,
    RatingRules,
    age_curve,
    family_tiers,
    rating_rules,
)
from data_specs.errors import SettingRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "LEAP_BIRTHDAYS",
    "MILLIONTHS",
    "MONTH_RULES",
    "RELATIONSHIPS",
    "TIERS",
    "AgeCurve",
    "FamilyCharges",
    "FamilyTiers",
    "RatingRules",
    "age_curve",
    "canonical_rating_areas",
    "charged_by_age",
    "completed_years",
    "covered_thirtieths",
    "family_charges",
    "family_tiers",
    "oldest_first",
    "rating_rules",
    "run_starts",
    "stretches",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MONTH_RULES = ("days_over_30", "full_month_one")
LEAP_BIRTHDAYS = ("march_1", "february_28")
RELATIONSHIPS = ("self", "spouse", "child", "other", "unknown")
SELF, SPOUSE, CHILD, OTHER, UNKNOWN = range(len(RELATIONSHIPS))
_THIRTY = 30


# ---------------------------------------------------------------------------------------------------- ages


def completed_years(births: NDArray[np.integer], on: NDArray[np.integer], leap_birthday: str = "march_1") -> Integers:
    """Return ages in completed years on given days; negative before birth.

    Age for rating is the age on the policy's effective date in the plan year, or on the day a member is added later; a
    birthday within the year changes nothing until renewal (45 CFR 147.102(a)(1)(iii)).

    Parameters
    ----------
    births, on : array of int
        Days since 1970-01-01.
    leap_birthday : str
        When someone born on 29 February has a birthday in a common year: ``march_1`` or ``february_28``.

    Examples
    --------
    >>> day = lambda text: np.array([text], "datetime64[D]").astype(int)
    >>> completed_years(day("1996-03-02"), day("2026-03-01")).item()
    29
    >>> completed_years(day("2000-02-29"), day("2021-02-28"), "february_28").item()
    21
    """
    if leap_birthday not in LEAP_BIRTHDAYS:
        raise _choice_refused("leap_birthday", leap_birthday, LEAP_BIRTHDAYS)
    born_year, born_day = _year_and_day(births)
    on_year, on_day = _year_and_day(on)
    if leap_birthday == "february_28":
        # 229 is 29 February; where the year of `on` has no such day, the 28th counts as it.
        is_early = (born_day == 229) & (on_day == 228) & ~_is_leap(on_year)
        on_day = on_day + is_early
    return np.asarray(on_year - born_year - (on_day < born_day))


def _year_and_day(days: NDArray[np.integer]) -> tuple[Integers, Integers]:
    """Return year, and month x 100 + day of month."""
    dates = days.astype("datetime64[D]")
    months = dates.astype("datetime64[M]")
    number = months.astype(np.int64)
    day = (dates - months.astype("datetime64[D]")).astype(np.int64) + 1
    return number // 12 + 1970, (number % 12 + 1) * 100 + day


def _is_leap(years: Integers) -> Flags:
    return np.asarray((years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0)))


def _choice_refused(name: str, value: object, choices: tuple[str, ...]) -> SettingRefused:
    shown = ", ".join(repr(c) for c in choices)
    return SettingRefused(f"{name} cannot be {value!r}", remedy=f"choose one of {shown}")


# ---------------------------------------------------------------------------------------------------- time


def run_starts(member: Integers, starts: Integers, ends: Integers) -> Integers:
    """Return for each span the first day of the unbroken cover it belongs to.

    Parameters
    ----------
    member : array of int
        Whose span it is (in which policy or plan). Rows of one member stand together, by first day, without overlap.
    starts, ends : array of int
        First and last covered day.

    Examples
    --------
    >>> run_starts(np.array([1, 1, 1]), np.array([0, 10, 25]), np.array([9, 19, 30])).tolist()
    [0, 0, 25]
    """
    if len(member) == 0:
        return starts
    begins = np.append(True, (member[1:] != member[:-1]) | (starts[1:] > ends[:-1] + 1))
    return np.asarray(starts[begins][np.cumsum(begins) - 1])


def stretches(policy: Integers, starts: Integers, ends: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Return spans cut where the set of covered members of their policy changes.

    Returns
    -------
    row : array of int
        The span that a piece is part of, in order of spans and then of days.
    stretch : array of int
        Number of the stretch of the policy; pieces of one stretch cover the same days.
    start, end : array of int
        First and last day of the piece.

    Examples
    --------
    Two members; the second is there from day 5 to day 9.

    >>> [a.tolist() for a in stretches(np.array([0, 0]), np.array([0, 5]), np.array([14, 9]))]
    [[0, 0, 0, 1], [0, 1, 2, 1], [0, 5, 10, 5], [4, 9, 14, 9]]
    """
    if len(policy) == 0:
        nothing = np.zeros(0, np.int64)
        return nothing, nothing, nothing, nothing
    low = int(starts.min())
    width = int(ends.max()) - low + 2
    first = policy * width + (starts - low)
    after = policy * width + (ends - low) + 1
    cuts = np.unique(np.concatenate([first, after]))
    begin, stop = np.searchsorted(cuts, first), np.searchsorted(cuts, after)
    pieces = stop - begin
    row = np.repeat(np.arange(len(policy)), pieces)
    stretch = np.repeat(begin - np.append(0, np.cumsum(pieces)[:-1]), pieces) + np.arange(len(row))
    origin = policy[row] * width - low
    return row, stretch, cuts[stretch] - origin, cuts[stretch + 1] - 1 - origin


def covered_thirtieths(starts: Integers, ends: Integers, run_first: Integers, month_rule: str) -> Integers:
    """Return member months x 30 of stretches of cover, in whole numbers.

    ``days_over_30``: covered days (a month is 30 days). ``full_month_one``: a calendar month covered in full counts 30,
    a partial one its days and at most 30. A month that several stretches of one member cover in full gives each its
    days, and the difference to 30 to the last of them, so that cutting a span never changes the sum.

    Parameters
    ----------
    starts, ends : array of int
        First and last day, days since 1970-01-01.
    run_first : array of int
        First day of the unbroken cover in the plan, see :func:`run_starts`.
    month_rule : str
        One of :data:`MONTH_RULES`. Which one HHS uses is not published.

    Examples
    --------
    January and February 2025 in full, and 1-15 March.

    >>> days = np.array(["2025-01-01", "2025-03-15"], "datetime64[D]").astype(int)
    >>> [covered_thirtieths(days[:1], days[1:], days[:1], rule).item() for rule in MONTH_RULES]
    [74, 75]
    """
    if month_rule not in MONTH_RULES:
        raise _choice_refused("month_rule", month_rule, MONTH_RULES)
    days = np.asarray(ends - starts + 1, dtype=np.int64)
    if month_rule == "days_over_30" or len(days) == 0:
        return days
    # Months covered in full end within the stretch and begin no earlier than the unbroken cover.
    first = np.maximum(_month(starts), _month(run_first - 1) + 1)
    beyond = np.maximum(_month(ends + 1), first)
    low, high = int(first.min()), int(beyond.max())
    edges = np.arange(low, high + 2).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    gained = np.append(0, np.cumsum(_THIRTY - np.diff(edges)))
    return np.asarray(days + gained[beyond - low] - gained[first - low])


def _month(days: NDArray[np.integer]) -> Integers:
    return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))


# ---------------------------------------------------------------------------------------------------- who is charged


def oldest_first(policy: Integers, births: Integers, tie: Integers) -> tuple[Integers, Integers]:
    """Return the order of members by policy, birth date and tie-breaker, and each member's place in the policy from 0.

    The second array belongs to the ordered members. The tie-breaker is the position of the enrollee_id among sorted
    ids: the choice among children of one birthday then does not depend on the order of rows.
    """
    order = np.lexsort((tie, births, policy))
    ordered = policy[order]
    begins = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    first = np.flatnonzero(begins)
    place = np.arange(len(ordered)) - first[np.cumsum(begins) - 1] if len(ordered) else ordered
    return order, place


def charged_by_age(
    policy: Integers, ages: Integers, births: Integers, tie: Integers, *, child_below_age: int, most_children: int
) -> Flags:
    """Return who is charged (billable) where members are rated one by one.

    Everyone who has reached `child_below_age`, and the `most_children` oldest of the covered children below it. A child
    of 21 to 25 is an adult here. Everybody below the age counts as a child whatever the relationship, as the enrollment
    files of the federal servers carry none; so does the subscriber of a policy that covers only children.

    Source: 45 CFR 147.102(c)(1).

    Examples
    --------
    A parent, a child of 22 and four of 18, 15, 10 and 2: the youngest is not charged.

    >>> ages = np.array([45, 22, 18, 15, 10, 2])
    >>> charged_by_age(np.zeros(6, int), ages, -365 * ages, np.arange(6), child_below_age=21, most_children=3).tolist()
    [True, True, True, True, True, False]
    """
    charged = np.ones(len(policy), bool)
    children = np.flatnonzero(ages < child_below_age)
    if len(children) == 0:
        return charged
    counts = np.bincount(policy[children])
    crowded = children[counts[policy[children]] > most_children]
    order, place = oldest_first(policy[crowded], births[crowded], tie[crowded])
    charged[crowded[order[place >= most_children]]] = False
    return charged


@dataclass(frozen=True, slots=True)
class FamilyCharges:
    """Who is charged in a family-tier state; one entry per member.

    Attributes
    ----------
    charged : array of bool
        Adults, and the oldest children that are counted.
    tier : array of int
        Position of the policy's tier in :data:`TIERS`.
    millionths : array of int
        The policy's multiplier x 1,000,000, further adults included; 0 where the tier is not published.
    sharers : array of int
        Members of the policy who are charged: each carries ``millionths / sharers``.
    uses_option : array of bool
        Whether a child of the policy is covered by the state's option for young adults.
    """

    charged: Flags
    tier: Integers
    millionths: Integers
    sharers: Integers
    uses_option: Flags


def family_charges(
    policy: Integers,
    relationship: Integers,
    ages: Integers,
    births: Integers,
    tie: Integers,
    *,
    tiers: FamilyTiers,
    rules: RatingRules,
    children_counted: int,
) -> FamilyCharges:
    """Return tier, multiplier and charged members of policies in a family-tier state.

    ``multiplier = tier (x option) + further adults x one_adult``. Subscriber and spouse make the tier's adults. A child
    is below 26, with New York's option below 30 (which loads the tier only). Anyone else, by age or relation, is one
    further adult. Without a spouse or anyone of 21 or more only children are covered (``child_only``); where a state
    has no such tier, a subscriber of ``rules.adult_subscriber_age`` is an adult. An unknown relationship is judged by
    age; a policy that then has no adult has its oldest member as one.

    Parameters
    ----------
    policy, relationship, ages, births, tie : array of int
        Policy from 0, position in :data:`RELATIONSHIPS`, rating age, birth day, tie-breaker; one entry per member.
    tiers : FamilyTiers
        Of the state, market and year.
    rules : RatingRules
        The ages below which a member is a child.
    children_counted : int
        How many children of a policy are charged (one).

    Examples
    --------
    New York 2025: two adults, two children and a grandmother: (2.850 + 1.000) / 4 for each charged member.

    >>> ages = np.array([40, 39, 10, 8, 70])
    >>> family = family_charges(np.zeros(5, int), np.array([0, 1, 2, 2, 3]), ages, -365 * ages, np.arange(5),
    ...     tiers=family_tiers("NY", "individual", 2025), rules=rating_rules(), children_counted=1)
    >>> family.charged.tolist(), family.millionths[0].item(), family.sharers[0].item(), TIERS[family.tier[0]]
    ([True, True, True, False, True], 3850000, 4, 'two_adults_children')
    """
    number = int(policy.max(initial=-1)) + 1

    def per_policy(members: Flags) -> Integers:
        return np.bincount(policy[members], minlength=number)

    order, place = oldest_first(policy, births, tie)
    is_oldest = np.zeros(len(policy), bool)
    is_oldest[order[place == 0]] = True
    is_grown = (relationship == SPOUSE) | (ages >= rules.child_below_age)
    if rules.adult_subscriber_age is not None and not tiers.millionths[TIERS.index("child_only")]:
        is_grown |= (relationship == SELF) & (ages >= rules.adult_subscriber_age)
    only_children = per_policy(is_grown) == 0
    limit = rules.option_child_below_age if tiers.has_option else rules.tier_child_below_age
    is_child = (relationship == CHILD) & (ages < limit)
    is_child |= (relationship == UNKNOWN) & (ages < rules.tier_child_below_age)
    leaderless = (per_policy(~is_child) == 0) & ~only_children
    is_child = (is_child & ~(is_oldest & leaderless[policy])) | only_children[policy]
    adults, children = per_policy(~is_child), per_policy(is_child)
    is_core = ~is_child & (relationship != OTHER) & (relationship != CHILD)
    core = np.clip(per_policy(is_core), 1, 2)
    tier = np.where(only_children, TIERS.index("child_only"), core - 1 + 2 * (children > 0))
    uses_option = per_policy(is_child & (relationship == CHILD) & (ages >= rules.tier_child_below_age)) > 0
    by_tier = np.where(uses_option, tiers.with_option[tier], tiers.millionths[tier])
    further = np.where(only_children, 0, np.maximum(adults - core, 0))
    millionths = np.where(by_tier > 0, by_tier + further * tiers.millionths[TIERS.index("one_adult")], 0)
    charged = ~is_child
    child_order = order[is_child[order]]
    _, child_place = oldest_first(policy[child_order], births[child_order], tie[child_order])
    charged[child_order[child_place < children_counted]] = True
    sharers = adults + np.minimum(children, children_counted)
    return FamilyCharges(charged, tier[policy], millionths[policy], sharers[policy], uses_option[policy])


# ---------------------------------------------------------------------------------------------------- rating areas


def canonical_rating_areas(texts: pl.Series, states: pl.Series) -> pl.Series:
    """Return rating areas as ``R-XX999``; null where a text names none, area 0, or the area of another state.

    Accepted are ``R-NY004``, ``Rating Area 4``, ``004`` and ``4``.

    Examples
    --------
    >>> import polars as pl
    >>> areas = pl.Series(["Rating Area 4", "004", "R-NY004", "R-NJ004", "0"])
    >>> canonical_rating_areas(areas, pl.Series(["NY"] * 5)).to_list()
    ['R-NY004', 'R-NY004', 'R-NY004', None, None]
    """
    import polars as pl

    frame = pl.DataFrame({"text": texts.cast(pl.String), "state": states})
    shape = r"(?i)^(?:R-?(?<of>[A-Z]{2})-?|rating area)?\s*0*(?<number>[1-9][0-9]{0,2})$"
    parts = pl.col("text").str.strip_chars().str.extract_groups(shape)
    number, of = parts.struct.field("number"), parts.struct.field("of").str.to_uppercase()
    fits = number.is_not_null() & (of.is_null() | (of == pl.col("state")))
    canonical = pl.concat_str(pl.lit("R-"), pl.col("state"), number.str.zfill(3))
    return frame.select(pl.when(fits).then(canonical).alias("rating_area_id")).to_series()
