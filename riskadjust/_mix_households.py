"""Who of a policy is billable, and at which factor, once some of its members are gone or have moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import (
    RELATIONSHIPS,
    FamilyTiers,
    RatingRules,
    charged_by_age,
    covered_thirtieths,
    family_charges,
    family_tiers,
    rating_rules,
    run_starts,
    stretches,
)
from riskadjust._distinct import distinct_texts

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._member_lines import MemberLines

__all__ = ["Households", "dense_ranks", "households", "totals"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Households:
    """Member lines cut into pieces wherever the set of covered members of their policy changes.

    Attributes
    ----------
    line : array of int
        The line of each piece; pieces stand in the order of lines and days.
    first : array of int
        Position of the first piece of each line, and the number of pieces.
    policy : array of int
        The policy within a plan, by line.
    stretch : array of int
        Pieces of one stretch belong to one policy and cover the same days, by piece.
    thirtieths : array of float
        Member months x 30, by piece (whole numbers).
    charged, factor : array
        Who is billable in the base, and the rating factor x 1,000,000 of one who is, by piece.
    depends : array of bool
        Whether the piece's charge can change when another member of the stretch is not there, by piece.
    members : array of int
        How many pieces of the stretch depend on each other, by stretch.
    """

    line: Integers
    first: Integers
    policy: Integers
    stretch: Integers
    thirtieths: Floats
    charged: Flags
    factor: Floats
    depends: Flags
    members: Integers
    age: Integers
    birth: Integers
    tie: Integers
    relationship: Integers
    tiers: Integers
    tier_tables: tuple[FamilyTiers, ...]
    rules: RatingRules
    most_children: int
    children_of_tier: int

    def charges(self, pieces: Integers, group: Integers) -> tuple[Flags, Floats]:
        """Return who of some pieces is billable, and at which factor x 1,000,000; those of a group are a household.

        A factor of 0 stands where no family tier is published for such a household.
        """
        charged, factor = self.charged[pieces].copy(), self.factor[pieces].copy()
        by_age = np.flatnonzero(self.tiers[pieces] < 0)
        if len(by_age):
            own = pieces[by_age]
            charged[by_age] = charged_by_age(
                _dense(group[by_age]),
                self.age[own],
                self.birth[own],
                self.tie[own],
                child_below_age=self.rules.child_below_age,
                most_children=self.most_children,
            )
        for number, tiers in enumerate(self.tier_tables):
            rows = np.flatnonzero(self.tiers[pieces] == number)
            if not len(rows):
                continue
            own = pieces[rows]
            family = family_charges(
                _dense(group[rows]),
                self.relationship[own],
                self.age[own],
                self.birth[own],
                self.tie[own],
                tiers=tiers,
                rules=self.rules,
                children_counted=self.children_of_tier,
            )
            charged[rows] = family.charged
            factor[rows] = family.millionths / np.maximum(family.sharers, 1)
        return charged, factor


def _dense(group: Integers) -> Integers:
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def totals(number: Integers, values: Floats, count: int) -> Floats:
    """Return the sum of the values of each number, in the order of the rows."""
    return np.asarray(np.bincount(number, values, count), dtype=np.float64)


def dense_ranks(texts: pl.Series) -> Integers:
    """Return the position of each row's text among the sorted distinct ones; null comes first."""
    distinct, number = distinct_texts(texts)
    order = distinct.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    ranks = np.unique(order, return_inverse=True)[1].astype(np.int64)
    return np.asarray(ranks[number], dtype=np.int64)


def households(member: MemberLines, births: Integers, tie: Integers, most_children: int) -> Households:
    """Return the pieces of all lines.

    Parameters
    ----------
    member : MemberLines
        The lines of the base.
    births, tie : array of int
        Birth day (days since 1970-01-01) and position of the enrollee_id among sorted ids, by line.
    most_children : int
        How many children under 21 of a policy are billable where members are rated one by one.
    """
    lines = member.lines
    starts, ends = (lines[c].to_physical().to_numpy().astype(np.int64) for c in ("span_start", "span_end"))
    plan = dense_ranks(lines["plan_id"])
    policy = dense_ranks(lines["policy_id"]) * (int(plan.max(initial=0)) + 1) + plan
    policy = np.unique(policy, return_inverse=True)[1].astype(np.int64)
    line, stretch, begin, end = stretches(policy, starts, ends)
    run = _first_days(tie * (int(plan.max(initial=0)) + 1) + plan, starts, ends)
    months = covered_thirtieths(begin, end, run[line], member.settings.month_rule)
    words = {word: i for i, word in enumerate(RELATIONSHIPS)}
    relationship = lines["relationship"].fill_null("unknown").replace_strict(words).to_numpy().astype(np.int64)
    age = lines["rating_age"].to_numpy().astype(np.int64)
    rules = rating_rules()
    tiers, tables = _tiers_of_lines(lines, member.benefit_year)
    shared = lines["rating_factor_shared_by"].to_numpy()
    factor = lines["rating_factor_millionths"].to_numpy() / shared
    number = int(stretch.max(initial=-1)) + 1
    is_child = (age < rules.child_below_age)[line]
    is_tiered = (tiers >= 0)[line]
    crowded = np.bincount(stretch[is_child & ~is_tiered], minlength=number) > most_children
    depends = is_tiered | (is_child & crowded[stretch])
    return Households(
        line=line,
        first=np.searchsorted(line, np.arange(len(starts) + 1)),
        policy=policy,
        stretch=stretch,
        thirtieths=months.astype(np.float64),
        charged=lines["billable"].to_numpy()[line],
        factor=factor[line],
        depends=depends,
        members=np.bincount(stretch[depends], minlength=number),
        age=age[line],
        birth=births[line],
        tie=tie[line],
        relationship=relationship[line],
        tiers=tiers[line],
        tier_tables=tables,
        rules=rules,
        most_children=most_children,
        children_of_tier=member.settings.family_tier_billable_children,
    )


def _first_days(of_member: Integers, starts: Integers, ends: Integers) -> Integers:
    """Return the first day of each line's unbroken cover of its enrollee in a plan."""
    order = np.lexsort((starts, of_member))
    first = np.empty(len(starts), np.int64)
    first[order] = run_starts(of_member[order], starts[order], ends[order])
    return first


def _tiers_of_lines(lines: pl.DataFrame, benefit_year: int) -> tuple[Integers, tuple[FamilyTiers, ...]]:
    """Return which family tiers hold for each line (-1: members are rated one by one), and the tiers."""
    import polars as pl

    markets = lines.select("state", "market").unique().sort("state", "market")
    numbers: list[int] = []
    tables: list[FamilyTiers] = []
    for state, market in markets.rows():
        tiers = family_tiers(state, market, benefit_year)
        numbers.append(-1 if tiers is None else len(tables))
        tables += [] if tiers is None else [tiers]
    numbered = markets.with_columns(pl.Series("tiers", numbers, pl.Int64))
    found = lines.join(numbered, on=["state", "market"], how="left", maintain_order="left", validate="m:1")["tiers"]
    return found.to_numpy(), tuple(tables)
