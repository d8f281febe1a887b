"""Weights of lines -> sums of plan rows: months, risk, rating factors, premium and claims under a mix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import MILLIONTHS
from riskadjust._member_scores import ADJUSTED_DIGITS
from riskadjust._mix_base import MixBase
from riskadjust._mix_households import totals
from riskadjust._mix_weights import Weights

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RowSums", "Rows", "Summing", "summing"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_THIRTY = 30
_CENTS = 100


@dataclass(frozen=True)
class Rows:
    """Plan rows (plan x rating area), sorted by state, risk_pool, issuer_id, plan_id, rating_area_id.

    Attributes
    ----------
    plan, area : array of int
        Position among the plans and areas.
    at : array of int
        The row of each plan and area, -1 none.
    in_base : array of bool
        Whether the row has lines in the base; the others are only moved to.
    """

    plan: Integers
    area: Integers
    at: Integers
    in_base: Flags

    @classmethod
    def of(cls, base: MixBase, targets: set[int]) -> Rows:
        """Return the rows of the lines, and of every plan that is moved to in every area of its state."""
        shape = (base.member.plans.height, len(base.areas))
        held = np.zeros(shape, bool)
        held[base.plan, base.area] = True
        wanted = held.copy()
        for target in targets:
            wanted[target, base.area[base.place[base.plan] == base.place[target]]] = True
        plan, area = np.nonzero(wanted)
        at = np.full(shape, -1, np.int64)
        at[plan, area] = np.arange(len(plan))
        return cls(plan, area, at, held[plan, area])


@dataclass(frozen=True)
class RowSums:
    """Sums of plan rows under one mix, and what stands in its way.

    Attributes
    ----------
    months, total_months : array
        Billable, and all, member months.
    plrs, arf : array
        NaN in rows without billable months.
    premium, paid : array
        Dollars; paid is 0 without costs.
    unpriced, unscored : array of int
        Rows that members move to although no premium level of theirs, or no cost-sharing factor, is known.
    estimated : array of int
        Rows that members move to whose premium level is taken from the plan's other areas.
    tierless : int
        Lines left out because no family tier is published for those who remain of their policy.
    """

    months: Floats
    total_months: Floats
    premium: Floats
    plrs: Floats
    arf: Floats
    paid: Floats
    unpriced: Integers
    unscored: Integers
    estimated: Integers
    tierless: int


@dataclass
class Summing:
    """What the sums of all mixes have in common.

    Attributes
    ----------
    base : MixBase
        The lines.
    rows : Rows
        The plan rows.
    line_row : array of int
        Plan row of each line in the base.
    unit, unit_row : array of int
        Pieces whose premium is one sum (a stretch of a policy in a plan row), by piece; the row of each such unit,
        units standing by row.
    unit_premium, unit_spread : array of float
        Premium in cents x thirtieths, and what it is spread over, by unit: rating factors x 1,000,000 x thirtieths, or
        thirtieths where nobody is billable.
    by_months : array of bool
        Whether the premium is spread over months, by unit.
    level : array of float
        Cents x thirtieths of premium per thirtieth and millionth of a rating factor, by plan row.
    is_estimated : array of bool
        Whether `level` comes from the plan's other areas.
    paid : array of float
        Claims of each line, dollars.
    metal_value : array of float
        Metal value x induced demand factor by plan: claims that move are scaled by it. All 1: they are not.
    """

    base: MixBase
    rows: Rows
    line_row: Integers
    unit: Integers
    unit_row: Integers
    unit_premium: Floats
    unit_spread: Floats
    by_months: Flags
    level: Floats
    is_estimated: Flags
    paid: Floats
    metal_value: Floats

    def __post_init__(self) -> None:
        houses, line = self.base.houses, self.base.houses.line
        # Pieces side by side by plan row and unit: sums of runs are several times faster than sums by number.
        self._order = np.argsort(self.unit, kind="stable")
        self._line = line[self._order]
        self._thirtieths = houses.thirtieths[self._order]
        self._charged, self._factor = houses.charged[self._order], houses.factor[self._order]
        self._billable = self._thirtieths * self._charged
        self._rated = self._billable * self._factor
        self._risk = self._thirtieths * self.base.risk[self._line]
        self._by_months = np.flatnonzero(self.by_months[self.unit[self._order]])
        row = self.unit_row[self.unit[self._order]]
        self._held = np.flatnonzero(self.rows.in_base)
        self._row_first = np.searchsorted(row, self._held)
        self._row_of_line_first = np.searchsorted(self.line_row, self._held)
        self._unit_first = np.searchsorted(self.unit[self._order], np.arange(len(self.unit_row)))
        self._row_of_unit_first = np.searchsorted(self.unit_row, self._held)
        self._row = row
        self._safe_spread = np.where(self.unit_spread > 0, self.unit_spread, 1.0)
        self._per_spread = self.unit_premium / self._safe_spread
        self._dependent = np.flatnonzero(houses.depends)

    def _by_row(self, values: Floats, first: Integers) -> Floats:
        """Return sums of runs by plan row; rows that are only moved to have none."""
        found = np.zeros(len(self.rows.plan))
        found[self._held] = np.add.reduceat(values, first)
        return found

    def of(self, weights: Weights) -> RowSums:
        """Return the sums under the weights of one mix."""
        own, changed, tierless = self._composition(weights.own)
        piece = own[self._line]
        if changed is None:
            charged, billable, rated = self._charged, piece * self._billable, piece * self._rated
        else:
            charged = changed[0][self._order]
            billable = piece * self._thirtieths * charged
            rated = billable * changed[1][self._order]
        spread = rated
        if len(self._by_months):
            spread = rated.copy()
            spread[self._by_months] = (piece * self._thirtieths)[self._by_months]
        share = np.add.reduceat(spread, self._unit_first)
        # The premium times a ratio that is exactly 1 where nothing changes: the base stays as it is, to the last bit.
        premium = self.unit_premium * (share / self._safe_spread)
        free = np.flatnonzero(~charged)
        unbilled = totals(self._row[free], piece[free] * self._thirtieths[free], len(self.rows.plan))
        first = self._row_first
        months = self._by_row(billable, first)
        sums = [months, months + unbilled, self._by_row(piece * self._risk, first), self._by_row(rated, first)]
        sums.append(self._by_row(premium, self._row_of_unit_first))
        claims = np.zeros(len(self.rows.plan))
        sums.append(self._by_row(own * self.paid, self._row_of_line_first) if len(self.paid) else claims)
        unpriced = unscored = estimated = np.zeros(0, np.int64)
        if len(weights.line):
            moved, unpriced, unscored, estimated, left_out = self._moved(weights)
            sums = [a + b for a, b in zip(sums, moved, strict=True)]
            tierless += left_out
        return self._named(sums, unpriced, unscored, estimated, tierless)

    def _named(
        self, sums: list[Floats], unpriced: Integers, unscored: Integers, estimated: Integers, tierless: int
    ) -> RowSums:
        billable, months, risk, rated, premium, paid = sums
        with np.errstate(divide="ignore", invalid="ignore"):
            plrs = np.where(billable > 0, risk / (10**ADJUSTED_DIGITS * billable), np.nan)
            arf = np.where(billable > 0, rated / (MILLIONTHS * billable), np.nan)
        return RowSums(
            months=billable / _THIRTY,
            total_months=months / _THIRTY,
            premium=premium / (_THIRTY * _CENTS),
            plrs=plrs,
            arf=arf,
            paid=paid,
            unpriced=unpriced,
            unscored=unscored,
            estimated=estimated,
            tierless=tierless,
        )

    def _composition(self, own: Floats) -> tuple[Floats, tuple[Flags, Floats] | None, int]:
        """Return weights of lines, and who is billable at which factor where those who remain say so anew."""
        houses, pieces = self.base.houses, self._dependent
        if len(pieces) == 0:
            return own, None, 0
        is_gone = own[houses.line[pieces]] == 0
        if not is_gone.any():
            return own, None, 0
        touched = np.zeros(len(houses.members), bool)
        touched[houses.stretch[pieces[is_gone]]] = True
        remain = pieces[~is_gone & touched[houses.stretch[pieces]]]
        charged, factor = houses.charged.copy(), houses.factor.copy()
        charged[remain], factor[remain] = houses.charges(remain, houses.stretch[remain])
        lacking = remain[factor[remain] == 0]
        if len(lacking) == 0:
            return own, (charged, factor), 0
        # As plan risk sets aside the whole policy that no tier fits.
        policies = np.zeros(int(houses.policy.max()) + 1, bool)
        policies[houses.policy[houses.line[lacking]]] = True
        out = policies[houses.policy] & (own > 0)
        return np.where(out, 0.0, own), (charged, factor), int(out.sum())

    def _moved(self, weights: Weights) -> tuple[list[Floats], Integers, Integers, Integers, int]:
        """Return the sums of those who are on other plans than in the base."""
        base, houses = self.base, self.base.houses
        line, plan, weight = weights.line, weights.plan, weights.weight
        cell, piece = self._pieces_of(line)
        charged, factor = self._moved_composition(piece, plan[cell])
        lacking = charged & (factor == 0)
        if lacking.any():
            homes = houses.policy[line] * len(base.place) + plan
            out = np.isin(homes, homes[cell[lacking]])
            kept = Weights(weights.own, line[~out], plan[~out], weight[~out], [])
            sums, unpriced, unscored, estimated, left_out = self._moved(kept)
            return sums, unpriced, unscored, estimated, left_out + int(out.sum())
        target, source = self.rows.at[plan, base.area[line]], self.line_row[line]
        rows = target[cell]
        risk = base.moved_risk(line, plan)
        months = weight[cell] * houses.thirtieths[piece]
        billable = months * charged
        rated = billable * factor
        unit = self.unit[piece]
        spread = np.where(self.by_months[unit], months, rated)
        # A plan without premium of its own has no ratio to another: its members pay what the plan they join asks.
        has_own = np.isfinite(self.level[source]) & ~self.is_estimated[source]
        ratio = np.where(has_own, self.level[target] / np.where(has_own, self.level[source], 1.0), np.nan)[cell]
        premium = np.where(has_own[cell], spread * self._per_spread[unit] * ratio, rated * self.level[rows])
        premium = np.where(spread > 0, premium, 0.0)
        count = len(self.rows.plan)
        sums = [totals(rows, v, count) for v in (billable, months, months * risk[cell], rated, premium)]
        claims = np.zeros(count)
        if len(self.paid):
            value = self.metal_value[plan] / self.metal_value[base.plan[line]]
            claims = totals(target, weight * self.paid[line] * value, count)
        unpriced, unscored = np.unique(rows[np.isnan(premium)]), np.unique(target[np.isnan(risk)])
        estimated = np.unique(rows[(spread > 0) & self.is_estimated[rows]])
        return [*sums, claims], unpriced, unscored, estimated, 0

    def _pieces_of(self, line: Integers) -> tuple[Integers, Integers]:
        """Return the pieces of some lines, and which of the lines each is of."""
        first = self.base.houses.first
        counts = first[line + 1] - first[line]
        cell = np.repeat(np.arange(len(line)), counts)
        return cell, first[line][cell] + np.arange(len(cell)) - np.repeat(np.cumsum(counts) - counts, counts)

    def _moved_composition(self, piece: Integers, plan: Integers) -> tuple[Flags, Floats]:
        """Return who is billable at which factor among those of a stretch who moved to the same plan."""
        houses = self.base.houses
        charged, factor = houses.charged[piece].copy(), houses.factor[piece].copy()
        dependent = np.flatnonzero(houses.depends[piece])
        if len(dependent) == 0:
            return charged, factor
        stretch = houses.stretch[piece[dependent]]
        group = stretch * len(self.base.place) + plan[dependent]
        _, number, present = np.unique(group, return_inverse=True, return_counts=True)
        is_part = present[number] < houses.members[stretch]
        chosen = dependent[is_part]
        if len(chosen):
            charged[chosen], factor[chosen] = houses.charges(piece[chosen], group[is_part])
        return charged, factor


def summing(base: MixBase, rows: Rows, paid: Floats, plans: pl.DataFrame, *, scales_claims: bool) -> Summing:
    """Return what all sums have in common: premium by stretch, premium levels by plan row."""
    houses = base.houses
    line_row = rows.at[base.plan, base.area]
    piece_row = line_row[houses.line]
    number = len(houses.members)
    keys, unit = np.unique(piece_row * number + houses.stretch, return_inverse=True)
    unit_row = keys // number
    cents = base.member.lines["premium_cents"].to_numpy().astype(np.float64)
    premium = totals(unit, cents[houses.line] * houses.thirtieths, len(keys))
    rated = houses.thirtieths * houses.charged * houses.factor
    factor = totals(unit, rated, len(keys))
    by_months = (factor == 0) & (premium > 0)
    if by_months.any():
        factor = np.where(by_months, totals(unit, houses.thirtieths, len(keys)), factor)
    row_premium = totals(unit_row, premium, len(rows.plan))
    row_factor = totals(piece_row, rated, len(rows.plan))
    pool = _pool_of_plan(plans)[rows.plan]
    level, is_estimated = _levels(rows, pool, row_premium, row_factor)
    value = (plans["av"] * plans["idf"]).to_numpy() if scales_claims else np.ones(plans.height)
    return Summing(base, rows, line_row, unit, unit_row, premium, factor, by_months, level, is_estimated, paid, value)


def _pool_of_plan(plans: pl.DataFrame) -> Integers:
    import polars as pl

    return plans.select(pl.struct("state", "risk_pool").rle_id()).to_series().to_numpy().astype(np.int64)


def _levels(rows: Rows, pool: Integers, premium: Floats, factor: Floats) -> tuple[Floats, Flags]:
    """Return the premium per rating unit of every plan row, and which are taken from the plan's other areas.

    ``v_tk = (sum_j PREM_tj / sum_j F_tj) x c_k / (sum_j F_tj c_j / sum_j F_tj)`` where plan t has no premium in area k;
    F rating units, c_j the premium per rating unit of all plans of the risk pool in area j. NaN where it is not known.
    """
    plans, areas = int(rows.at.shape[0]), int(rows.at.shape[1])
    place = pool * areas + rows.area
    places = int(pool.max(initial=-1) + 1) * areas
    with np.errstate(divide="ignore", invalid="ignore"):
        own = premium / factor
        of_place = totals(place, premium, places) / totals(place, factor, places)
        relation = of_place[place]
        is_usable = (factor > 0) & np.isfinite(relation)
        weight = np.where(is_usable, factor, 0.0)
        total = totals(rows.plan, weight, plans)
        mean = totals(rows.plan, weight * np.where(is_usable, relation, 0.0), plans) / total
        of_plan = totals(rows.plan, premium, plans) / totals(rows.plan, factor, plans)
        estimate = of_plan[rows.plan] * relation / mean[rows.plan]
    is_own = (factor > 0) & (premium > 0)
    estimate = np.where(np.isfinite(estimate) & (estimate > 0), estimate, np.nan)
    return np.where(is_own, own, estimate), ~is_own & np.isfinite(estimate)
