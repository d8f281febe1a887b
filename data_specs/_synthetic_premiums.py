"""What the policies of a made-up market pay: the published rating rules on made-up base rates.

Money is held in whole cents, area factors in thousandths and other factors in millionths, so that every rounding is the
rounding of a decimal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs._policy import (
    MILLIONTHS,
    RELATIONSHIPS,
    TIERS,
    AgeCurve,
    FamilyTiers,
    RatingRules,
    age_curve,
    charged_by_age,
    completed_years,
    family_charges,
    family_tiers,
    rating_rules,
)
from data_specs._synthetic_draws import Flags, Integers
from data_specs._synthetic_people import CHILD, SELF, SPOUSE, Calendar, Coverage, Households, People

__all__ = ["Rating", "policy_premiums"]

_THOUSAND = 1_000
_RELATIONSHIP = {SELF: "self", SPOUSE: "spouse", CHILD: "child"}


@dataclass(frozen=True, slots=True)
class Rating:
    """How a state rates people or families in a year and market."""

    curve: AgeCurve
    tiers: FamilyTiers | None
    rules: RatingRules

    @classmethod
    def of(cls, state: str, market: str, year: int) -> Rating:
        """Return the rules of a state, from the rating tables."""
        return cls(age_curve(state, market, year), family_tiers(state, market, year), rating_rules())


def policy_premiums(
    rating: Rating, base: Integers, households: Households, coverage: Coverage, people: People, calendar: Calendar
) -> Integers:
    """Return the monthly premium of every policy in cents.

    A person costs ``base rate x area factor x age factor``, rounded half up to cents. A policy is charged for everybody
    of 21 and more and for the oldest three of the younger ones. In a state with family tiers it costs ``base rate x
    area factor x multiplier of the tier``, rounded once. Ages are those on the first covered day of the policy in the
    year; someone born later enters at age 0, with the day of birth.

    Parameters
    ----------
    rating : Rating
    base : array
        Base rates of the plans on sale, in cents.
    households, coverage, people, calendar
        The market so far.

    Returns
    -------
    array
        Policies x stretches of coverage x 2: before a birth in the year, and from it on.
    """
    policy = households.policy
    age = np.maximum(completed_years(people.birth, calendar.first + coverage.start[policy, 0]), 0)
    rate = base[coverage.offer] * coverage.area_factor[:, None]
    phases = ~people.newborn, np.ones(len(policy), dtype=bool)
    if rating.tiers is not None:
        factors = [_family_factor(rating.rules, rating.tiers, households, people.birth, age, who) for who in phases]
        return np.stack([_cents(rate * factor[:, None]) for factor in factors], axis=2)

    charged = charged_by_age(
        policy,
        age,
        people.birth,
        np.arange(len(policy)),
        child_below_age=rating.rules.child_below_age,
        most_children=rating.rules.most_children,
    )
    each = _cents(rate[policy] * rating.curve.at(age)[:, None])
    sums = [np.add.reduceat(each * (charged & who)[:, None], households.first, axis=0) for who in phases]
    return np.stack(sums, axis=2)


def _family_factor(
    rules: RatingRules, tiers: FamilyTiers, households: Households, births: Integers, age: Integers, who: Flags
) -> Integers:
    """Return the multiplier of each policy in millionths, counting the people in `who`."""
    policy, relationship = households.policy[who], households.relationship[who]
    names = np.array([RELATIONSHIPS.index(_RELATIONSHIP[kind]) for kind in sorted(_RELATIONSHIP)])
    family = family_charges(
        policy,
        names[relationship],
        age[who],
        births[who],
        np.arange(len(policy)),
        tiers=tiers,
        rules=rules,
        children_counted=1,
    )
    factor = np.zeros(len(households.first), dtype=np.int64)
    factor[policy] = family.millionths
    # Without a child-only tier a subscriber under 21 buys as an adult.
    has_child = np.bincount(policy[relationship == CHILD], minlength=len(factor)) > 0
    alone, parent = (tiers.millionths[TIERS.index(name)] for name in ("one_adult", "one_adult_children"))
    return np.where(factor > 0, factor, np.where(has_child, parent, alone))


def _cents(scaled: Integers) -> Integers:
    """Return amounts in cents x thousandths x millionths as cents, half up."""
    unit = _THOUSAND * MILLIONTHS
    return (scaled + unit // 2) // unit
