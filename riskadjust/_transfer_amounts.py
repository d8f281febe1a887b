"""Unrounded transfers -> cents of plans and issuers: each rounded once, a pool balanced where that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import Cents, balanced, cents_of, exact_on_grid, rounded_cents, sums
from riskadjust._transfer_exact import ExactPools
from riskadjust._transfer_rows import PlanTable

__all__ = ["Amounts", "Rounding", "fees", "shared_charges", "withheld_cents"]

Floats = NDArray[np.float64]
_MICRO, _WORD = 1_000_000, 2**63
_EXACT_MONTHS = 1e9  # below it a float with six decimals has at most fifteen digits, and is told by them


@dataclass(frozen=True)
class Amounts:
    """One kind of amount, of plan rows and of issuers, unrounded and in cents."""

    plans: Floats
    plan_cents: Cents
    issuers: Floats
    issuer_cents: Cents


@dataclass(frozen=True)
class Rounding:
    """How the amounts of the issuers of a pool are made from those of its plans.

    Attributes
    ----------
    table : PlanTable
        The plan rows, for their risk pools and issuers.
    of_plans : bool
        Issuers are sums of rounded plans (``issuer_rounding = rounded_plans``), not of unrounded ones.
    is_balanced : bool
        ``cents_balance = largest_remainder``.
    """

    table: PlanTable
    of_plans: bool
    is_balanced: bool

    @property
    def lone(self) -> NDArray[np.bool_]:
        """Which pools have a single issuer with months: what it receives it pays itself."""
        months = sums(self.table.arrays.months, self.table.issuer_first)
        present = np.add.reduceat((months > 0).astype(np.int64), self.issuer_edges[:-1])
        return np.asarray(present == 1)

    @property
    def issuer_edges(self) -> NDArray[np.int64]:
        """Return the position of the first issuer of each pool, and the number of issuers."""
        edges = np.searchsorted(self.table.issuer_pool, np.arange(len(self.table.pools) + 1))
        return np.asarray(edges, dtype=np.int64)

    def transfers(self, plans: Floats, slack: Floats, pools: ExactPools) -> Amounts:
        """Return the transfers in cents."""
        first = self.table.issuer_first
        plan_cents = rounded_cents(plans, slack, pools.amount)
        issuers, issuer_slack = sums(plans, first), sums(slack, first)
        is_lone = self.lone[self.table.issuer_pool]
        issuers[is_lone] = 0.0

        def exactly(issuer: int) -> Fraction:
            rows = range(int(first[issuer]), int(first[issuer + 1]))
            return sum((pools.amount(row) for row in rows), Fraction(0))

        if self.of_plans:
            issuer_cents = np.add.reduceat(plan_cents, first[:-1])
        else:
            issuer_cents = rounded_cents(issuers, np.where(is_lone, 0.0, issuer_slack), exactly)
        issuer_cents[is_lone] = 0
        if self.is_balanced:
            self._balance(issuer_cents, issuers, issuer_slack, exactly)
        return Amounts(plans, plan_cents, issuers + 0.0, issuer_cents)

    def _balance(self, cents: Cents, dollars: Floats, slack: Floats, exactly: Callable[[int], Fraction]) -> None:
        months = sums(self.table.arrays.months, self.table.issuer_first)
        edges = self.issuer_edges.tolist()
        for a, b in pairwise(edges):
            if not cents[a:b].sum():
                continue
            who = [i for i in range(a, b) if months[i] > 0]
            cents[who] = balanced(
                cents[who].tolist(), dollars[who].tolist(), float(slack[a:b].max()), _each(exactly, who)
            )


def _each(exactly: Callable[[int], Fraction], who: list[int]) -> Callable[[], list[Fraction]]:
    return lambda: [exactly(i) for i in who]


def shared_charges(
    rounding: Rounding, transfers: Amounts, pools: ExactPools, pool_cents: dict[int, int]
) -> tuple[Amounts, Amounts]:
    """Return each plan's share of the default charges of its pool, and transfer and share together.

    ``share_i = charge x b_i L_i / sum b_j L_j`` over the plans of the other issuers; transfer plus share is rounded
    once, from the unrounded sum. All of it in exact fractions: few pools have a charge.
    """
    table = rounding.table
    share = Amounts(*(np.zeros_like(a) for a in vars(transfers).values()))
    both = Amounts(*(a.copy() for a in vars(transfers).values()))
    edges = rounding.issuer_edges
    for number, cents in pool_cents.items():
        pool, start = pools.pool(number), int(table.arrays.first[number])
        total = sum(pool.risk_months, Fraction(0))
        shares = [Fraction(cents, 100) * x / total for x in pool.risk_months]
        issuers = range(int(edges[number]), int(edges[number + 1]))
        runs = [(int(table.issuer_first[i]) - start, int(table.issuer_first[i + 1]) - start) for i in issuers]
        who = [i for i, (a, b) in zip(issuers, runs, strict=True) if any(pool.months[a:b])]
        present = [(a, b) for a, b in runs if any(pool.months[a:b])]
        for amounts, exact_ones in (
            (share, shares),
            (both, [t + s for t, s in zip(pool.amounts, shares, strict=True)]),
        ):
            _put(amounts, exact_ones, start, issuers, runs, rounding.of_plans and len(present) > 1)
            if rounding.is_balanced:
                own = [sum(exact_ones[a:b], Fraction(0)) for a, b in present]
                amounts.issuer_cents[who] = balanced(
                    amounts.issuer_cents[who].tolist(), [float(x) for x in own], 1.0, own.copy, cents
                )
    return share, both


def _put(
    amounts: Amounts,
    values: Sequence[Fraction],
    start: int,
    issuers: range,
    runs: list[tuple[int, int]],
    of_plans: bool,
) -> None:
    rows = slice(start, start + len(values))
    amounts.plans[rows] = [float(v) for v in values]
    amounts.plan_cents[rows] = [cents_of(v) for v in values]
    for issuer, (a, b) in zip(issuers, runs, strict=True):
        own = sum(values[a:b], Fraction(0))
        amounts.issuers[issuer] = float(own)
        rounded = int(amounts.plan_cents[start + a : start + b].sum())
        # The transfers of a lone issuer cancel, which only its unrounded plans do to the cent.
        amounts.issuer_cents[issuer] = rounded if of_plans else cents_of(own)


def fees(months: Floats, pool: NDArray[np.int64], rates: Sequence[Fraction | None]) -> Sequence[int | None]:
    """Return the user fee in cents, below zero because it is paid; None where no rate is held.

    ``fee = rate x b`` for each, rounded to cents, halves away from zero. Months are thirtieths, so half a cent is met
    often: those are worked in whole numbers.

    Parameters
    ----------
    months : array of float
        Billable member months b.
    pool : array of int
        The risk pool of each.
    rates : list of Fraction
        The rate of each risk pool, dollars per member month.
    """
    found = np.zeros(len(months), dtype=np.int64)
    distinct = list(dict.fromkeys(rates))
    which = np.array([distinct.index(rate) for rate in rates], dtype=np.int64)[pool]
    grids = _grids(months)
    for number, rate in enumerate(distinct):
        if rate is None:
            continue
        left = which == number
        for parts, counts, is_on in grids:
            per_part = rate * 100 / parts  # cents
            n, d = per_part.numerator, per_part.denominator
            rows = left & is_on
            if rows.any() and 2 * n * int(counts[rows].max()) + d < _WORD:
                found[rows] = (counts[rows] * (2 * n) + d) // (2 * d)
                left &= ~rows
        for position in np.flatnonzero(left).tolist():
            found[position] = cents_of(rate * exact_on_grid(months[position], 30))
    if None not in distinct:
        return [-fee for fee in found.tolist()]
    return [None if rates[i] is None else -fee for i, fee in zip(pool.tolist(), found.tolist(), strict=True)]


def _grids(months: Floats) -> list[tuple[int, NDArray[np.int64], NDArray[np.bool_]]]:
    """Return parts of a month, how many of them each number is, and which numbers are exactly that many.

    Thirtieths come first. A decimal of six places and at most fifteen digits is the shortest text of its float.
    """
    found = []
    for parts in (30, _MICRO):
        counts = np.rint(np.minimum(months, _EXACT_MONTHS) * parts).astype(np.int64)
        found.append((parts, counts, (counts / parts == months) & (months < _EXACT_MONTHS)))
    return found


def withheld_cents(cents: Sequence[int], rate: Fraction) -> list[int | None]:
    """Return what of each payment is held back until the next fiscal year; None where nothing is paid out.

    Examples
    --------
    >>> withheld_cents([100_00, -100_00, 0], Fraction("0.057"))
    [570, None, None]
    """
    return [cents_of(Fraction(amount, 100) * rate) if amount > 0 else None for amount in cents]
