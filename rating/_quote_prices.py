"""Premiums of groups of members under the plans of a place: sums of member rates, or family tiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import RatingRules, family_charges
from rating._households import Homes
from rating._policy_premiums import Covered, tier_premiums
from rating._quote_rates import OnSale, tier_base_cents
from rating._quote_settings import QuoteSettings
from rating._second_lowest import NOT_OFFERED
from rating._silver_rates import AGES

__all__ = ["Group", "Priced", "Pricing", "member_codes"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def member_codes(homes: Homes, sale: OnSale, *, with_tobacco: bool) -> tuple[Integers, Flags, Flags]:
    """Return the column of each member's rate in ``OnSale.cents``, and which tobacco users are not loaded.

    Returns
    -------
    codes : array of int
        ``(quarter x 2 + tobacco) x 65 + age``.
    not_rated, under_age : array of bool
        Tobacco users in states that do not rate tobacco; users below the age from which a ratio may be charged.
    """
    covered = homes.covered
    rated = [state for state, factors in sale.factors.items() if factors.tobacco_ceiling > 1]
    rates_tobacco = homes.frame["area"].str.slice(2, 2).is_in(rated).to_numpy()[covered.policy]
    legal = next(iter(sale.factors.values())).tobacco_age if sale.factors else 0
    of_age = covered.ages >= legal
    users = homes.uses_tobacco
    loaded = users & rates_tobacco & of_age if with_tobacco else np.zeros(len(users), bool)
    quarter = np.minimum(homes.quarter, sale.quarters - 1)[covered.policy]
    codes = (2 * quarter + loaded) * AGES + np.minimum(covered.ages, AGES - 1)
    return codes, users & ~rates_tobacco, users & rates_tobacco & ~of_age


@dataclass(frozen=True, slots=True)
class Priced:
    """Premiums of the households that have members in a group.

    Attributes
    ----------
    homes : array of int
        Those households, counted from the first one asked for.
    cents : array of int, households x plans
        Premiums; :data:`NOT_OFFERED` or more where a plan has none.
    has_tier, uses_option : array of bool
        See ``rating._policy_premiums.tier_premiums``.
    """

    homes: Integers
    cents: Integers
    has_tier: Flags
    uses_option: Flags


class Group:
    """Some of the covered members, priced together household by household.

    Parameters
    ----------
    covered : Covered
        Members in the order of their household (`policy`).
    codes : array of int
        Their columns in ``OnSale.cents``.
    child_rules : list of int
        The numbers of children that plans on sale charge at most.
    """

    def __init__(self, covered: Covered, codes: Integers, child_rules: list[int], rules: RatingRules) -> None:
        self.covered, self.codes = covered, codes
        self.charged = {most: covered.charged(most, rules) for most in child_rules}

    @classmethod
    def of_members(
        cls, covered: Covered, codes: Integers, members: Flags, child_rules: list[int], rules: RatingRules
    ) -> Group:
        """Return the group of some members."""
        if members.all():
            return cls(covered, codes, child_rules, rules)
        part = Covered(
            *(getattr(covered, name)[members] for name in ("policy", "ages", "births", "ties", "relationship"))
        )
        return cls(part, codes[members], child_rules, rules)


@dataclass(frozen=True)
class Pricing:
    """What prices groups: the offers, who is a child, the settings."""

    sale: OnSale
    rules: RatingRules
    settings: QuoteSettings
    quarter: Integers

    def premiums(self, group: Group, start: int, stop: int, offers: Integers, state: str) -> Priced:
        """Return the premiums of households `start` to `stop` under some offers of their state."""
        policy = group.covered.policy
        a, b = np.searchsorted(policy, [start, stop])
        own = policy[a:b] - start
        present = np.flatnonzero(np.bincount(own, minlength=stop - start))
        if self.sale.factors[state].tiers is not None:
            return self._tiers(group, a, b, present, start, offers, state)
        cents = np.empty((len(present), len(offers)), np.int64)
        most_children = self.sale.most_children[offers]
        for most in np.unique(most_children).tolist():
            plans = np.flatnonzero(most_children == most)
            charged = np.flatnonzero(group.charged[most][a:b])
            by_code = np.ascontiguousarray(self.sale.cents[offers[plans]].T)
            starts = np.searchsorted(own[charged], present)
            sums = by_code[group.codes[a:b][charged]]
            if len(starts) < len(sums):
                sums = np.add.reduceat(sums, starts, axis=0)
            if len(plans) == len(offers):
                cents = sums
            else:
                cents[:, plans] = sums
        none = np.zeros(len(present), bool)
        return Priced(present, cents, ~none, none)

    def _tiers(
        self, group: Group, a: int, b: int, present: Integers, start: int, offers: Integers, state: str
    ) -> Priced:
        tiers = self.sale.factors[state].tiers
        assert tiers is not None
        covered, number = group.covered, len(present)
        renumbered = np.searchsorted(present, covered.policy[a:b] - start)
        part = Covered(renumbered, covered.ages[a:b], covered.births[a:b], covered.ties[a:b], covered.relationship[a:b])
        quarter = np.minimum(self.quarter[start + present], self.sale.quarters - 1)
        cents = np.full((number, len(offers)), NOT_OFFERED, np.int64)
        family = family_charges(
            part.policy, part.relationship, part.ages, part.births, part.ties,
            tiers=tiers, rules=self.rules, children_counted=1,
        )  # fmt: skip
        last = np.searchsorted(part.policy, np.arange(number), "right") - 1
        multiplier, uses_option = family.millionths[last], family.uses_option[last]
        for place in np.unique(quarter).tolist():
            at = quarter == place
            if self.sale.bases is None:
                by_name = {name: column[offers] for name, column in self.sale.tier_cents[place].items()}
                if "individual_rate" in by_name:
                    cents[at] = tier_premiums(by_name, part, tiers, self.rules, number)[0][at]
                continue
            known, which = np.unique(multiplier[at], return_inverse=True)
            priced = known > 0
            grid = np.full((len(known), len(offers)), NOT_OFFERED, np.int64)
            if priced.any():
                grid[priced] = tier_base_cents(self.sale, offers, place, known[priced], self.settings)
            cents[at] = grid[which.ravel()]
        has_tier = multiplier > 0
        cents[~has_tier] = NOT_OFFERED
        return Priced(present, cents, has_tier, uses_option)
