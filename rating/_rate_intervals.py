"""The interval test of filed rates, in whole numbers: which base rates give every filed rate when rounded once.

A rate ``r`` rounded to units of ``u`` at factor ``f`` says that the unrounded base lies in
``[(r - u/2) / f, (r + u/2) / f)``; cut off, in ``[r / f, (r + u) / f)``; rounded up, in ``((r - u) / f, r / f]``. The
rates of one plan and area have one base when all of these intervals share a point. Ends are compared as fractions,
never in binary floating point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ABSENT", "Ends", "best_covered", "directed", "nearest_rates", "shared"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

ABSENT = -1  # no rate in this cell


@dataclass(frozen=True, slots=True)
class Ends:
    """The largest lower and the smallest upper end of each group's intervals, as fractions.

    The intervals of a group share a point when the lower end is below the upper one. All ends are doubled, so that half
    a unit is a whole number.
    """

    low: Integers
    low_factor: Integers
    high: Integers
    high_factor: Integers

    @property
    def share_a_point(self) -> Flags:
        """Whether each group's intervals share a point."""
        return np.asarray(self.low * self.high_factor < self.high * self.low_factor)


def directed(rates: Integers, unit: Integers, direction: str) -> tuple[Integers, Integers]:
    """Return doubled lower and upper ends (before division by the factor) of rates, groups by cells.

    Examples
    --------
    >>> rate, cent = np.array([[39934]]), np.array([[1]])
    >>> [tuple(end.item() for end in directed(rate, cent, way)) for way in ("nearest", "down", "up")]
    [(79867, 79869), (79868, 79870), (79866, 79868)]
    """
    below, above = {"nearest": (1, 1), "down": (0, 2), "up": (2, 0)}[direction]
    return 2 * rates - below * unit, 2 * rates + above * unit


def shared(low: Integers, high: Integers, factors: Integers, present: Flags) -> Ends:
    """Return the ends of what the intervals of each group (row) share.

    Parameters
    ----------
    low, high : array of int
        Doubled ends, groups by cells.
    factors : array of int
        Factor of each cell, for all groups or by group.
    present : array of bool
        Cells that count; at least one in each group.

    Examples
    --------
    Rates 312.47 and 399.34 at factors 1.000 and 1.278:

    >>> low, high = directed(np.array([[31247, 39934]]), np.array([[1]]), "nearest")
    >>> shared(low, high, np.array([[1000, 1278]]), np.ones((1, 2), bool)).share_a_point.item()
    True
    """
    groups, cells = low.shape
    by_group = np.broadcast_to(factors, low.shape)
    best_low, low_factor = np.full(groups, ABSENT, np.int64), np.ones(groups, np.int64)
    best_high, high_factor = np.full(groups, ABSENT, np.int64), np.ones(groups, np.int64)
    is_first = np.ones(groups, bool)
    for cell in range(cells):
        here, factor = present[:, cell], by_group[:, cell]
        raises = here & (is_first | (low[:, cell] * low_factor > best_low * factor))
        lowers = here & (is_first | (high[:, cell] * high_factor < best_high * factor))
        best_low, low_factor = np.where(raises, low[:, cell], best_low), np.where(raises, factor, low_factor)
        best_high, high_factor = np.where(lowers, high[:, cell], best_high), np.where(lowers, factor, high_factor)
        is_first &= ~here
    return Ends(best_low, low_factor, best_high, high_factor)


def best_covered(low: Integers, high: Integers, factors: Integers, present: Flags) -> tuple[Flags, Ends]:
    """Return the cells of each group whose intervals hold the point that most of them share, and the ends of those.

    The intervals are closed below and open above, so such a point is one of the lower ends; of several, the one of the
    first cell.
    """
    groups, cells = low.shape
    by_group = np.broadcast_to(factors, low.shape)
    most = np.zeros(groups, np.int64)
    covered = np.zeros(low.shape, bool)
    for cell in range(cells):
        point, factor = low[:, cell, None], by_group[:, cell, None]
        holds = present & (low * factor <= point * by_group) & (point * by_group < high * factor)
        count = np.where(present[:, cell], holds.sum(axis=1), 0)
        better = count > most
        most = np.where(better, count, most)
        covered = np.where(better[:, None], holds, covered)
    return covered, shared(low, high, factors, covered)


def nearest_rates(doubled: Integers, divisor: Integers, factors: Integers, unit: Integers) -> Integers:
    """Return the rates of a base ``doubled / (2 x divisor)`` at some factors, to the nearest unit, halves up.

    Examples
    --------
    >>> nearest_rates(np.array([[62494]]), np.array([[1000]]), np.array([[1278]]), np.array([[1]])).item()
    39934
    """
    return np.asarray((doubled * factors + unit * divisor) // (2 * unit * divisor) * unit)
