"""Geographic cost factors under mixes: from the silver premiums of each, or those of the base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskadjust._geographic import geographic_cost_factors, pool_factors
from riskadjust._mix_households import totals
from riskadjust._mix_sums import Rows, RowSums

if TYPE_CHECKING:
    import polars as pl

__all__ = ["AreaFactors", "Factors"]

Floats = NDArray[np.float64]
_Area = tuple[str, str, str]


@dataclass(frozen=True)
class Factors:
    """The factor of every plan row (NaN where nobody is), and the number of areas where the base's was kept."""

    of_rows: Floats
    kept: int


class AreaFactors:
    """The factors of the base, and how those of a mix follow from them.

    Parameters
    ----------
    rows : Rows
        The plan rows.
    frame : DataFrame
        state, risk_pool, rating_area_id, metal_level of the plan rows.
    base : RowSums
        The sums of the base.
    given : dict
        Factors handed in, by state, risk_pool and rating area.
    decimals : int or None
        Decimals of a computed factor.
    is_held : bool
        Whether the base's factors hold under every mix.

    Raises
    ------
    InputRefused
        Areas of the base without silver premium for which no factor is given.
    """

    def __init__(
        self,
        rows: Rows,
        frame: pl.DataFrame,
        base: RowSums,
        given: dict[_Area, float],
        decimals: int | None,
        is_held: bool,
    ) -> None:
        import polars as pl

        self._given, self._decimals, self._is_held = given, decimals, is_held
        names = frame.select("state", "risk_pool", "rating_area_id").rows()
        self._areas = sorted(set(names))
        number = {name: i for i, name in enumerate(self._areas)}
        self._place = np.array([number[name] for name in names], np.int64)
        self._by_pool: dict[tuple[str, str], list[int]] = {}
        for i, (state, pool, _) in enumerate(self._areas):
            self._by_pool.setdefault((state, pool), []).append(i)
        standard = (
            pl.when(pl.col("risk_pool") == "catastrophic").then(pl.lit("catastrophic")).otherwise(pl.lit("silver"))
        )
        is_standard = frame.select(pl.col("metal_level") == standard).to_series().to_numpy()
        self._standard = np.flatnonzero(is_standard)
        self._standard_place = self._place[self._standard].tolist()
        figures = {"billable_member_months": base.months, "premium": base.premium, "arf": base.arf}
        held = frame.with_columns(pl.Series(n, v, nan_to_null=True) for n, v in figures.items()).filter(rows.in_base)
        areas = geographic_cost_factors(held, given, decimals)
        known = {row[:3]: row[3] for row in areas.select("state", "risk_pool", "rating_area_id", "gcf").rows()}
        self._base = np.array([known.get(a) or given.get(a) or np.nan for a in self._areas])

    def of(self, sums: RowSums) -> Factors:
        """Return the factors under one mix."""
        months = totals(self._place, sums.months, len(self._areas))
        found = self._base if self._is_held else self._computed(sums, months)
        if self._is_held:
            return Factors(found[self._place], 0)
        # Whoever moves to an area needs a premium level there, so that the base has a factor for it.
        is_lacking = np.isnan(found) & (months > 0)
        return Factors(np.where(is_lacking, self._base, found)[self._place], int(is_lacking.sum()))

    def _computed(self, sums: RowSums, months: Floats) -> Floats:
        """Return the factor of every area; NaN where nobody is, or where no silver premium says one."""
        plans: list[list[Any]] = [[] for _ in self._areas]
        rows = self._standard
        figures = (sums.months[rows].tolist(), sums.premium[rows].tolist(), sums.arf[rows].tolist())
        for place, billable, premium, arf in zip(self._standard_place, *figures, strict=True):
            if billable > 0:
                plans[place].append((billable, premium, premium / arf))
        totals = months.tolist()
        found = np.full(len(self._areas), np.nan)
        for (state, pool), places in self._by_pool.items():
            names = {i: self._areas[i][2] for i in places}
            own = {n: g for i in places if (g := self._given.get((state, pool, n := names[i]))) is not None}
            parts = pool_factors(
                {names[i]: plans[i] for i in places}, {names[i]: totals[i] for i in places}, own, self._decimals
            )
            for i in places:
                factor = parts[names[i]][0]
                if factor is not None:
                    found[i] = factor
        return found
