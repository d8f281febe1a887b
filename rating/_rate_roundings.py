"""Intermediate roundings that explain filed rates where one rounding of one base does not."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rating._rate_intervals import Ends, directed, shared

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from rating._rate_cells import FiledRates

__all__ = ["plan_roundings", "roundings", "tobacco_roundings"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_THOUSANDTHS = 1000  # curve factors are published to three decimals


def roundings(filed: FiledRates, unit: Integers, direction: Integers) -> pl.Series:
    """Return which rounding explains the rates of each group, as text; null where none that is known does.

    Parameters
    ----------
    filed : FiledRates
    unit : array of int
        Unit of each group's rates, a column.
    direction : array of int
        -1 where no single rounding explains the group.
    """
    import polars as pl

    found: list[str | None] = ["member" if place >= 0 else None for place in direction.tolist()]
    models: dict[str, Callable[[Integers], Flags]] = {
        "area_last": lambda rows: _area_last(filed, unit, rows),
        "rebased_curve": lambda rows: _rebased(filed, unit, rows),
        "second_rounding": lambda rows: _second(filed, unit, rows),
    }
    for name, fits in models.items():
        rows = np.array([row for row, text in enumerate(found) if text is None], np.int64)
        if len(rows):
            for row in rows[fits(rows)].tolist():
                found[row] = name
    return pl.Series("rounding", found, dtype=pl.String)


def _area_last(filed: FiledRates, unit: Integers, rows: Integers) -> Flags:
    """Whether rates rounded to cents before the area factor, and again after it, explain the groups.

    A rate r comes from whole cents n with ``(r - u/2)/A <= n < (r + u/2)/A``; these n, from first to last, must come
    from one base.
    """
    if filed.area_factors is None:
        return np.zeros(len(rows), bool)
    numbers = [filed.area_factors[row] for row in rows.tolist()]
    area = np.array([number for number, _ in numbers], np.int64)[:, None]
    one = np.array([10**decimals for _, decimals in numbers], np.int64)[:, None]
    step, rates, present = unit[rows], filed.rates[rows], filed.present[rows]
    if int(rates.max()) * 2 * int(one.max()) >= 2**62:
        return np.zeros(len(rows), bool)
    first = -(-(2 * rates - step) * one // (2 * area * step))
    last = -(-(2 * rates + step) * one // (2 * area * step)) - 1
    exists = (first <= last) | ~present
    ends = shared((2 * first - 1) * step, (2 * last + 1) * step, filed.factors, present)
    return np.asarray(exists.all(axis=1) & ends.share_a_point)


def _rebased(filed: FiledRates, unit: Integers, rows: Integers) -> Flags:
    """Whether factors divided by that of some age, rounded to three decimals, explain the groups.

    Rates in whole dollars are too coarse to tell one such curve from another.
    """
    fits = np.zeros(len(rows), bool)
    ends, present = directed(filed.rates[rows], unit[rows], "nearest"), filed.present[rows]
    for by in sorted(set(filed.factors.tolist())):
        rebased = (2 * filed.factors * _THOUSANDTHS + by) // (2 * by)
        fits |= shared(*ends, rebased, present).share_a_point
    return np.asarray(fits & (unit[rows, 0] < 10**filed.decimals))


def _second(filed: FiledRates, unit: Integers, rows: Integers) -> Flags:
    """Whether the rates lie within one unit of those of one base, as two roundings in a row leave them."""
    rates, step = filed.rates[rows], unit[rows]
    return shared(2 * (rates - step), 2 * (rates + step), filed.factors, filed.present[rows]).share_a_point


def plan_roundings(filed: FiledRates, ends: Ends, unit: Integers) -> pl.Series:
    """Return how one plan base explains all areas of a plan: ``member``, ``base`` or null.

    ``member``: the intervals of base x area factor, divided by the factors, share a point. ``base``: there are whole
    cents in each of them that one base gives when base x area factor is rounded to cents.
    """
    import polars as pl

    if filed.area_factors is None:
        return pl.Series("plan_rounding", [None] * filed.groups.height, dtype=pl.String)
    keys = [name for name in filed.groups.columns if name != "rating_area_id"]
    plan = filed.groups.select(pl.struct(keys).rank("dense")).to_series().to_numpy() - 1
    number = int(plan.max()) + 1
    single, rounded = _Narrowing(number), _Narrowing(number)
    scale = filed.factor_scale
    columns = (ends.low, ends.low_factor, ends.high, ends.high_factor, unit[:, 0], plan)
    for place, (low, low_factor, high, high_factor, step, of) in enumerate(
        zip(*(c.tolist() for c in columns), strict=True)
    ):
        digits, decimals = filed.area_factors[place]
        area = Fraction(digits, 10**decimals)
        from_, to = Fraction(low * scale, 2 * low_factor), Fraction(high * scale, 2 * high_factor)
        single.narrow(of, from_ / area, to / area)
        first, last = ceil(from_ / step), ceil(to / step) - 1
        half = Fraction(1, 2)
        rounded.narrow(of, (first - half) * step / area, (max(last, first - 1) + half) * step / area)
    texts = ["member" if single.is_open(of) else "base" if rounded.is_open(of) else None for of in plan.tolist()]
    return pl.Series("plan_rounding", texts, dtype=pl.String)


class _Narrowing:
    """The bases that are left for each plan, as an interval."""

    def __init__(self, number: int) -> None:
        self._low = [Fraction(0)] * number
        self._high: list[Fraction | None] = [None] * number

    def narrow(self, plan: int, low: Fraction, high: Fraction) -> None:
        self._low[plan] = max(self._low[plan], low)
        before = self._high[plan]
        self._high[plan] = high if before is None else min(before, high)

    def is_open(self, plan: int) -> bool:
        high = self._high[plan]
        return high is not None and self._low[plan] < high


def tobacco_roundings(filed: FiledRates, unit: Integers) -> pl.Series:
    """Return how tobacco rates were rounded, if the ratio is the same for all loaded ages.

    ``member``: base x ratio explains them as one unrounded figure. ``nontobacco``: one ratio of the rounded rate does.
    """
    import polars as pl

    loaded = filed.tobacco_rates > filed.rates
    rows = np.flatnonzero(loaded.any(axis=1))
    found: list[str | None] = [None] * len(loaded)
    if len(rows):
        rates, ends = filed.rates[rows], directed(filed.tobacco_rates[rows], unit[rows], "nearest")
        of_base = shared(*ends, filed.factors, loaded[rows]).share_a_point
        of_rate = shared(*ends, rates, loaded[rows]).share_a_point
        for row, one, two in zip(rows.tolist(), of_base.tolist(), of_rate.tolist(), strict=True):
            found[row] = "member" if one else "nontobacco" if two else None
    return pl.Series("tobacco_rounding", found, dtype=pl.String)
