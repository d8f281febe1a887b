"""Dollars to whole cents: halves away from zero as the decimal says, and the balancing of a pool to the cent."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._units import half_up_div

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Cents", "as_money", "balanced", "cents_of", "exact", "exact_on_grid", "month_sums", "rounded_cents", "sums"]

Cents = NDArray[np.int64]
Floats = NDArray[np.float64]
_EPSILON = float(np.finfo(np.float64).eps)
_SURE_DIGITS = 15  # a decimal of so many digits comes back unchanged from a double


def exact(number: float) -> Fraction:
    """Return the decimal that a float stands for: the shortest text that reads back as it.

    Examples
    --------
    >>> exact(0.14), exact(1.005) * 100
    (Fraction(7, 50), Fraction(201, 2))
    """
    return Fraction(repr(float(number)))


def exact_on_grid(number: float, parts: int) -> Fraction:
    """Return the exact number behind a float that may be a whole number of `parts`, as months are of 30.

    A short decimal is that decimal. A longer one whose nearest fraction n / `parts` is stored as this very float is
    that fraction; otherwise the shortest text counts.

    Examples
    --------
    >>> exact_on_grid(1 / 3, 30), exact_on_grid(12.125, 30)
    (Fraction(1, 3), Fraction(97, 8))
    """
    text = repr(float(number))
    decimal = Fraction(text)
    if sum(c.isdigit() for c in text.split("e")[0].strip("0.")) <= _SURE_DIGITS:
        return decimal
    fraction = Fraction(round(decimal * parts), parts)
    return fraction if float(fraction) == number else decimal


def cents_of(dollars: Fraction) -> int:
    """Return exact dollars as whole cents, halves away from zero.

    Examples
    --------
    >>> cents_of(Fraction("1.005")), cents_of(Fraction("-1.005")), cents_of(Fraction("-1.0049"))
    (101, -101, -100)
    """
    return half_up_div((dollars * 100).numerator, (dollars * 100).denominator)


def rounded_cents(dollars: Floats, slack: Floats, exactly: Callable[[int], Fraction]) -> Cents:
    """Return dollars as whole cents, halves away from zero.

    Parameters
    ----------
    dollars : array of float
        Computed amounts.
    slack : array of float
        How far each may lie from the exact amount.
    exactly : function
        Position -> the exact amount; asked only where half a cent lies within the slack.
    """
    scaled = np.abs(dollars) * 100.0
    whole = np.floor(scaled)
    rest = scaled - whole
    near = np.abs(rest - 0.5) <= slack * 100.0 + 4.0 * _EPSILON * scaled
    near |= scaled > 2.0**52  # no cents left in the double
    safe = np.where(near, 0.0, whole + (rest >= 0.5))
    cents: Cents = (np.sign(dollars) * safe).astype(np.int64)
    for position in np.flatnonzero(near).tolist():
        cents[position] = cents_of(exactly(position))
    return cents


def balanced(
    cents: Sequence[int], dollars: Sequence[float], slack: float, exactly: Callable[[], list[Fraction]], total: int = 0
) -> list[int]:
    """Return the cents of the issuers of a pool so that they sum to `total`, in the order given.

    The missing cents go, one each, to those whose rounding moved them furthest the other way; ties in the order given
    (issuer id). When more cents are missing than there are issuers, all get one, and so on.

    Parameters
    ----------
    cents : list of int
        Rounded amounts.
    dollars : list of float
        The amounts before rounding.
    slack : float
        How far each of `dollars` may lie from the exact amount.
    exactly : function
        -> the exact amounts; asked only when `dollars` do not decide who is next.
    total : int
        What they must sum to, in cents.

    Examples
    --------
    >>> amounts = [Fraction("0.004"), Fraction("0.004"), Fraction("-0.008")]
    >>> balanced([0, 0, -1], [float(a) for a in amounts], 1e-15, lambda: amounts)
    [1, 0, -1]
    """
    missing = total - sum(cents)
    if missing == 0:
        return list(cents)
    sign = 1 if missing > 0 else -1
    rounds, extra = divmod(abs(missing), len(cents))
    # What the rounding moved, in cents, counted in the direction that is missing: the smallest is served first.
    moved: list[float] = [sign * (c - d * 100.0) for c, d in zip(cents, dollars, strict=True)]
    order = sorted(range(len(cents)), key=moved.__getitem__)
    if extra and moved[order[extra]] - moved[order[extra - 1]] <= 400.0 * slack + 8.0 * _EPSILON * max(map(abs, cents)):
        true = [sign * (c - f * 100) for c, f in zip(cents, exactly(), strict=True)]
        order = sorted(range(len(cents)), key=true.__getitem__)
    served = [c + sign * rounds for c in cents]
    for position in order[:extra]:
        served[position] += sign
    return served


def sums(values: NDArray[np.float64], first: NDArray[np.int64]) -> Floats:
    """Return the correctly rounded sum of each run of rows; the order within a run changes nothing."""
    flat, edges = values.tolist(), first.tolist()
    return np.array([math.fsum(flat[a:b]) for a, b in pairwise(edges)], dtype=np.float64)


def month_sums(months: Floats, first: NDArray[np.int64]) -> Floats:
    """Return the sum of each run of member months; of thirtieths the sum of the thirtieths, correctly rounded.

    Examples
    --------
    >>> month_sums(np.array([1 / 30] * 9 + [0.125]), np.array([0, 9, 10])).tolist() == [9 / 30, 0.125]
    True
    """
    thirtieths = np.rint(months * 30.0)
    on_grid = np.logical_and.reduceat((thirtieths / 30.0 == months) & (months < 1e10), first[:-1])
    whole = np.add.reduceat(thirtieths.astype(np.int64), first[:-1]) / 30.0
    return whole if on_grid.all() else np.where(on_grid, whole, sums(months, first))


def as_money(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Return a frame whose columns of whole cents are Decimal(18, 2) dollars.

    Examples
    --------
    >>> import polars as pl
    >>> as_money(pl.DataFrame({"transfer": [-47296643, None]}), "transfer")["transfer"].to_list()
    [Decimal('-472966.43'), None]
    """
    import polars as pl

    return frame.with_columns(
        (pl.col(c).cast(pl.Int64).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2)) for c in columns
    )
