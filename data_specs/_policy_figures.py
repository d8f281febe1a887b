"""The published figures that a policy's composition needs: who is a child, age curves, family tiers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs._remembered import remembered
from data_specs.errors import TableMissing, TableRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MILLIONTHS", "TIERS", "AgeCurve", "FamilyTiers", "RatingRules", "age_curve", "family_tiers", "rating_rules"]

Integers = NDArray[np.int64]

MILLIONTHS = 1_000_000
TIERS = ("one_adult", "two_adults", "one_adult_children", "two_adults_children", "child_only")
_TIER_WITH_OPTION = "age29_rider_multiplier"


@dataclass(frozen=True, slots=True)
class RatingRules:
    """The figures of ``rating/rating_rules`` that say who is a child, and how many children are charged.

    Attributes
    ----------
    child_below_age : int
        Below this age in completed years a member is rated as a child (21).
    most_children : int
        How many children of a policy are charged where members are rated one by one (3, the oldest).
    tier_child_below_age : int
        Below this age a child stays a child of a family tier (26).
    option_child_below_age : int
        The same where a state's option for young adults is in force (30, New York).
    adult_subscriber_age : int or None
        From this age a subscriber counts as an adult where a state publishes no child-only tier; None: no such row, and
        nobody below `child_below_age` does.
    uncertain : frozenset of str
        The fields whose row is marked uncertain.
    """

    child_below_age: int
    most_children: int
    tier_child_below_age: int
    option_child_below_age: int
    adult_subscriber_age: int | None = None
    uncertain: frozenset[str] = frozenset()


_RULE_NAMES = {
    "child_below_age": "child_rating_below_age",
    "most_children": "children_charged_per_policy_max",
    "tier_child_below_age": "family_tier_child_below_age",
    "option_child_below_age": "ny_age29_option_below_age",
    "adult_subscriber_age": "family_tier_adult_subscriber_age",
}
_MAY_BE_ABSENT = ("adult_subscriber_age",)


def rating_rules() -> RatingRules:
    """Return who is rated as a child, from ``rating/rating_rules`` (45 CFR 147.102).

    Raises
    ------
    TableMissing
        A rule has no row.
    TableRefused
        A rule is no whole number.

    Examples
    --------
    >>> rating_rules().child_below_age, rating_rules().most_children
    (21, 3)
    """
    return _rules_of((_registry.rows("rating/rating_rules"),))


@remembered
def _rules_of(tables: tuple[pl.DataFrame]) -> RatingRules:
    (frame,) = tables
    found: dict[str, int] = {}
    uncertain = set()
    for field, rule in _RULE_NAMES.items():
        rows = frame.filter(frame["rule"] == rule)
        if rows.height == 0 and field in _MAY_BE_ABSENT:
            continue
        if rows.height == 0:
            raise TableMissing(
                f"rating/rating_rules has no row for {rule}",
                rule="who is charged follows from published figures, never from a default",
                remedy="add the row",
            )
        if not rows["value"][0].isdigit():
            raise _refused(rows, 0, "value", f"{rule} is no whole number", "ages and counts are whole numbers")
        found[field] = int(rows["value"][0])
        if rows["verification"][0] == "uncertain":
            uncertain.add(field)
    return RatingRules(**found, uncertain=frozenset(uncertain))


@dataclass(frozen=True, slots=True)
class AgeCurve:
    """The age factors of one state, market and year.

    Attributes
    ----------
    curve_id : str
        Its name in ``rating/age_curves``.
    millionths : array of int
        Factor x 1,000,000 by completed years, from age 0; the last entry stands for that age and older.
    is_uncertain : bool
        Whether the assignment or a factor of the curve is marked uncertain.
    """

    curve_id: str
    millionths: Integers
    is_uncertain: bool

    def at(self, ages: Integers) -> Integers:
        """Return the factors (millionths) of ages; older than the last age of the curve counts as that age."""
        return np.asarray(self.millionths[np.clip(ages, 0, len(self.millionths) - 1)])


def age_curve(state: str, market: str, year: int) -> AgeCurve:
    """Return the age curve that prices members in a state and market in a plan (or benefit) year.

    Which curve holds is said by ``rating/age_curve_assignment`` alone. Source: CMS, State Specific Age Curve Variations
    (2013, 2017); 45 CFR 147.102(d), (e).

    Raises
    ------
    TableMissing
        No curve is assigned to that state, market and year.
    TableRefused
        The curve leaves out an age.

    Examples
    --------
    >>> curve = age_curve("TX", "individual", 2026)
    >>> curve.curve_id, curve.at(np.array([14, 21, 64, 90])).tolist()
    ('FED_2018', [765000, 1000000, 3000000, 3000000])
    """
    assigned = _registry.rows("rating/age_curve_assignment", year=year)
    return _curve_of((assigned, _registry.rows("rating/age_curves")), state, market, year)


@remembered
def _curve_of(tables: tuple[pl.DataFrame, pl.DataFrame], state: str, market: str, year: int) -> AgeCurve:
    assigned, frame = tables
    assigned = assigned.filter((assigned["state"] == state) & (assigned["market"] == market))
    if assigned.height == 0:
        raise TableMissing(
            f"no age curve is assigned to {state}, {market}, {year}",
            where="rating/age_curve_assignment",
            remedy="choose a state, market and year of the table, or supply the rows",
        )
    curve_id = assigned["curve_id"][0]
    frame = frame.filter(frame["curve_id"] == curve_id).sort("age", "_row")
    if frame["age"].to_list() != list(range(frame.height)) or frame.height == 0:
        raise TableRefused(
            f"curve {curve_id} does not have a factor for every age from 0",
            where="rating/age_curves, column age",
            rule="a curve has one factor for each completed year up to its last age",
            remedy="add the missing ages",
        )
    marks = {assigned["verification"][0], *frame["verification"].to_list()}
    return AgeCurve(curve_id, _fixed(_millionths(frame, "factor")), "uncertain" in marks)


@dataclass(frozen=True, slots=True)
class FamilyTiers:
    """The family tiers of one state, market and year.

    Attributes
    ----------
    millionths : array of int
        Multiplier x 1,000,000 by position in :data:`TIERS`; 0 where none is published.
    with_option : array of int
        The same for a policy with a child who is covered by the state's option for young adults; 0 where none.
    has_option : bool
        Whether such an option is in force.
    uncertain : tuple of str
        Tiers (or the option) marked uncertain.
    """

    millionths: Integers
    with_option: Integers
    has_option: bool
    uncertain: tuple[str, ...]


def family_tiers(state: str, market: str, year: int) -> FamilyTiers | None:
    """Return the family tiers of a state and market in a year, or None where members are rated one by one by age.

    Source: CMS, state rating requirements, table of 26 February 2016 (``rating/family_tiers``).

    Examples
    --------
    >>> family_tiers("VT", "individual", 2025).millionths.tolist()
    [1000000, 2000000, 1930000, 2810000, 0]
    >>> family_tiers("TX", "individual", 2025) is None
    True
    """
    return _tiers_of((_registry.rows_in_force("rating/family_tiers", year),), state, market)


@remembered
def _tiers_of(tables: tuple[pl.DataFrame], state: str, market: str) -> FamilyTiers | None:
    (frame,) = tables
    of_state = frame.filter((frame["state"] == state) & (frame["market"] == market))
    if of_state.height == 0:
        return None
    by_tier = dict(zip(of_state["tier"].to_list(), _millionths(of_state, "multiplier"), strict=True))
    plain = _fixed([by_tier.get(tier, 0) for tier in TIERS])
    if "one_adult" not in by_tier:
        raise _refused(of_state, 0, "tier", "the tier of one adult is missing", "further adults are charged as one")
    option = by_tier.get(_TIER_WITH_OPTION)
    products = [Fraction(int(m) * (option or 0), MILLIONTHS) for m in plain]
    if any(p.denominator != 1 for p in products):
        raise _refused(of_state, 0, "multiplier", "a tier with its option needs more decimals", "at most six decimals")
    marks = of_state.filter(of_state["verification"] == "uncertain")["tier"].sort().to_list()
    return FamilyTiers(plain, _fixed([int(p) for p in products]), option is not None, tuple(marks))


def _fixed(numbers: list[int]) -> Integers:
    # Many calls share it, so that nobody may write into it.
    array = np.array(numbers, np.int64)
    array.flags.writeable = False
    return array


def _millionths(frame: pl.DataFrame, column: str) -> list[int]:
    scaled = [Fraction(repr(value)) * MILLIONTHS for value in frame[column].to_list()]
    for row, value in enumerate(scaled):
        if value.denominator != 1:
            raise _refused(frame, row, column, "a factor has more than six decimals", "factors are published to three")
    return [int(value) for value in scaled]


def _refused(frame: pl.DataFrame, row: int, column: str, what: str, rule: str) -> TableRefused:
    where = f"{frame['_file'][row]}, row {frame['_row'][row]}, column {column}"
    return TableRefused(what, where=where, rule=rule, remedy="mend the row; figures are never guessed")
