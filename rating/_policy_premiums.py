"""Premiums of policies under every plan of a rating area: sums of member rates, or a family tier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import TIERS, FamilyTiers, RatingRules, charged_by_age, family_charges
from rating._credit_amounts import ehb_part
from rating._frame_rows import WHOLE_SHARE
from rating._money import portion
from rating._second_lowest import NOT_OFFERED
from rating._silver_rates import AGES, FILED_TIERS, SilverRates

__all__ = ["CELLS", "Covered", "area_premiums", "ehb_premiums", "member_premiums", "tier_premiums"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CELLS = 1 << 21  # policies x plans worked on at a time; results do not depend on it
_MILLION = 1_000_000
_MOST_CHILDREN_FILED = 3


@dataclass(frozen=True, slots=True)
class Covered:
    """The covered members of policies, in the order of their policy; one entry per member.

    Attributes
    ----------
    policy : array of int
        Policy, from 0, rising.
    ages, births : array of int
        Completed years on the effective date; birth days (days since 1970-01-01).
    ties : array of int
        Place of the member among sorted ids: decides between children of one birthday.
    relationship : array of int
        Position in ``data_specs._policy.RELATIONSHIPS``.
    """

    policy: Integers
    ages: Integers
    births: Integers
    ties: Integers
    relationship: Integers

    def part(self, start: int, stop: int) -> Covered:
        """Return the members of policies `start` to `stop`, renumbered from 0."""
        a, b = np.searchsorted(self.policy, [start, stop])
        return Covered(
            self.policy[a:b] - start,
            self.ages[a:b],
            self.births[a:b],
            self.ties[a:b],
            self.relationship[a:b],
        )

    def charged(self, most_children: int, rules: RatingRules) -> Flags:
        """Return who is charged where a plan charges at most so many children, or fewer as the rules say."""
        return charged_by_age(
            self.policy,
            self.ages,
            self.births,
            self.ties,
            child_below_age=rules.child_below_age,
            most_children=min(most_children, rules.most_children),
        )


def member_premiums(
    cents: Integers, most_children: Integers, covered: Covered, rules: RatingRules, number: int
) -> Integers:
    """Return the sum of the rates of charged members, policies x plans, in cents.

    Everyone of 21 and more is charged, and of the children below it the oldest three, or fewer where the issuer says
    so (`most_children` by plan). Rates are those of the members, to the cent; nothing is rounded here.

    Parameters
    ----------
    cents : array of int, plans x ages
        Member rates; :data:`NOT_OFFERED` where a plan has none.

    Examples
    --------
    A parent of 45 and four children at 300 and 100 dollars; the second plan charges one child only.

    >>> cents = np.where(np.arange(66) < 21, 10000, 30000) * np.ones((2, 1), int)
    >>> ages = np.array([45, 12, 9, 7, 2])
    >>> family = Covered(np.zeros(5, int), ages, -365 * ages, np.arange(5), np.full(5, 4))
    >>> from data_specs._policy import rating_rules
    >>> member_premiums(cents, np.array([3, 1]), family, rating_rules(), 1).tolist()
    [[60000, 40000]]
    """
    result = np.empty((number, len(cents)), np.int64)
    by_age = np.ascontiguousarray(np.minimum(cents, NOT_OFFERED).T)
    at_age = np.minimum(covered.ages, AGES - 1)
    for most in np.unique(most_children).tolist():
        charged = covered.charged(most, rules)
        plans = np.flatnonzero(most_children == most)
        rows = np.flatnonzero(charged)
        starts = np.searchsorted(covered.policy[rows], np.arange(number))
        result[:, plans] = np.add.reduceat(by_age[:, plans][at_age[rows]], starts, axis=0)
    return result


def tier_premiums(
    tier_cents: dict[str, Integers], covered: Covered, tiers: FamilyTiers, rules: RatingRules, number: int
) -> tuple[Integers, Flags, Flags]:
    """Return premiums of policies where family tiers price them, policies x plans.

    A filed rate of the tier is looked up where the plan has one; else ``one adult x multiplier``, rounded to cents
    once. Every adult beyond those of the tier adds the rate of one adult.

    Returns
    -------
    premiums : array of int
        Cents.
    has_tier : array of bool
        Whether the policy's tier is published (a child-only policy in Vermont has none).
    uses_option : array of bool
        Whether the policy has a child covered by the state's option for young adults.
    """
    family = family_charges(
        covered.policy,
        covered.relationship,
        covered.ages,
        covered.births,
        covered.ties,
        tiers=tiers,
        rules=rules,
        children_counted=1,
    )
    last = np.searchsorted(covered.policy, np.arange(number), "right") - 1
    tier, multiplier, uses_option = family.tier[last], family.millionths[last], family.uses_option[last]
    of_tier = np.where(uses_option, tiers.with_option[tier], tiers.millionths[tier])
    one = tiers.millionths[TIERS.index("one_adult")]
    further = np.where(multiplier > 0, (multiplier - of_tier) // one, 0)
    members = np.bincount(covered.policy, minlength=number)
    adults = np.where(tier == TIERS.index("child_only"), 0, 1 + tier % 2) + further
    children = np.minimum(members - adults, _MOST_CHILDREN_FILED)
    one_adult = np.minimum(tier_cents["individual_rate"], NOT_OFFERED)
    offered = one_adult < NOT_OFFERED
    price = np.where(offered, one_adult, 0)
    premiums = portion(price[None, :], multiplier[:, None], _MILLION)
    for position, columns in enumerate(FILED_TIERS):
        for count, column in enumerate(columns):
            rows = np.flatnonzero((tier == position) & (children == count) & ~uses_option)
            if column not in tier_cents or column == "individual_rate" or len(rows) == 0:
                continue
            filed = tier_cents[column]
            looked_up = filed[None, :] + further[rows, None] * price[None, :]
            premiums[rows] = np.where(filed[None, :] < NOT_OFFERED, looked_up, premiums[rows])
    premiums[:, ~offered] = NOT_OFFERED
    return premiums, multiplier > 0, uses_option


def ehb_premiums(premiums: Integers, share: Integers) -> Integers:
    """Return the part of premiums for essential health benefits, policies x plans, rounded to cents once."""
    if (share == WHOLE_SHARE).all():
        return np.minimum(premiums, NOT_OFFERED)
    offered = premiums < NOT_OFFERED
    part = ehb_part(np.where(offered, premiums, 0), np.broadcast_to(share[None, :], premiums.shape))
    return np.where(offered, part, NOT_OFFERED)


def area_premiums(
    rates: SilverRates, offers: Integers, covered: Covered, number: int, rules: RatingRules, tiers: FamilyTiers | None
) -> Iterator[tuple[int, Integers, Flags, Flags]]:
    """Yield premiums for essential health benefits of an area's policies, some policies at a time.

    Parameters
    ----------
    rates : SilverRates
        Plans and rates.
    offers : array of int
        The rows of `rates` that these policies can choose from.
    covered : Covered
        Members of the policies, which are numbered from 0.
    number : int
        How many policies.
    rules, tiers
        Who is a child; the family tiers of the state, or None.

    Yields
    ------
    first : int
        First policy of this part.
    premiums : array of int, policies x plans
        Cents; :data:`NOT_OFFERED` where a plan has none.
    has_tier, uses_option : array of bool
        See :func:`tier_premiums`; all true and all false where members are rated by age.
    """
    step = max(CELLS // max(len(offers), 1), 1)
    for first in range(0, number, step):
        stop = min(first + step, number)
        part = covered.part(first, stop)
        size = stop - first
        if tiers is None or rates.by_member:
            premiums = member_premiums(rates.cents[offers], rates.most_children[offers], part, rules, size)
            has_tier, uses_option = np.ones(size, bool), np.zeros(size, bool)
        else:
            tier_cents = {name: column[offers] for name, column in rates.tier_cents.items()}
            tier_cents.setdefault("individual_rate", np.full(len(offers), NOT_OFFERED, np.int64))
            premiums, has_tier, uses_option = tier_premiums(tier_cents, part, tiers, rules, size)
        yield first, ehb_premiums(premiums, rates.ehb_share[offers]), has_tier, uses_option
