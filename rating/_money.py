"""Dollars in frames: read as whole cents by the decimal that is written, written back as Decimal(18, 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "LARGEST_ANNUAL",
    "LARGEST_MONTHLY",
    "Money",
    "half_up",
    "money_frame",
    "money_series",
    "portion",
    "read_money",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Cents. Above them a product with a percentage or a share would not fit 64 bits; nothing real comes near.
LARGEST_ANNUAL = 10**14
LARGEST_MONTHLY = 10**9
_DECIMALS = 12  # most decimals that are read
_PLAIN = r"^[+-]?[0-9]{1,13}(?:\.[0-9]{0,12})?$"
_SURE = 2**50
_WORD = 2**62


@dataclass(frozen=True, slots=True)
class Money:
    """One column of dollars.

    Attributes
    ----------
    cents : array of int
        Whole cents, halves away from zero; 0 where there is none.
    is_given : array of bool
        Whether the cell holds a usable amount.
    is_unreadable : array of bool
        Whether the cell holds something that is no amount, or one that is too large.
    """

    cents: Integers
    is_given: Flags
    is_unreadable: Flags


def half_up(numerator: Integers, denominator: Integers | int) -> Integers:
    """Return whole quotients, halves away from zero; the denominator is positive.

    Examples
    --------
    >>> half_up(np.array([5, -5, 4]), 2).tolist(), half_up(np.array([4]), 3).tolist()
    ([3, -3, 2], [1])
    """
    quotient, rest = np.divmod(np.abs(numerator), denominator)
    # The rest against what is missing to the denominator: twice the rest might not fit 64 bits.
    quotient += rest >= denominator - rest
    return np.where(numerator < 0, -quotient, quotient)


def portion(amounts: Integers, numerator: Integers, denominator: Integers | int) -> Integers:
    """Return ``amounts x numerator / denominator`` in whole numbers, halves away from zero, whatever their size.

    Examples
    --------
    30 billion dollars in cents, of which 99 percent: the product does not fit 64 bits.

    >>> portion(np.array([3 * 10**12, 50]), np.array([990_000_000]), 10**9).tolist()
    [2970000000000, 50]
    """
    most = int(np.max(np.abs(amounts), initial=0)) * int(np.max(np.abs(numerator), initial=0))
    if most < _WORD:
        return half_up(amounts * numerator, denominator)
    product = amounts.astype(object) * numerator  # whole numbers of any length
    size = (2 * np.abs(product) + denominator) // (2 * denominator)
    return np.where(product < 0, -size, size).astype(np.int64)


def read_money(frame: pl.DataFrame, table: str, column: str, *, largest: int = LARGEST_ANNUAL) -> Money:
    """Return a column of dollars as whole cents.

    Text, Decimal and whole numbers are read as they are written, a float as the shortest decimal that reads back as
    it: 1.005 is half a cent above one dollar and becomes 1.01. More than two decimals are rounded once, halves away
    from zero. Text with other signs than digits, a sign and one point, infinities and amounts above `largest` cents
    are unreadable.

    Raises
    ------
    InputRefused
        The column holds dates, flags or anything else that is no amount.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"usd": [1.005, -2.675, None, float("inf")], "text": ["1.005", "12", "1,000", None]})
    >>> read_money(frame, "households", "usd").cents.tolist()
    [101, -268, 0, 0]
    >>> text = read_money(frame, "households", "text")
    >>> text.cents.tolist(), text.is_given.tolist(), text.is_unreadable.tolist()
    ([101, 1200, 0, 0], [True, True, False, False], [False, False, True, False])
    """
    import polars as pl

    series = frame[column]
    given = series.is_not_null().to_numpy()
    if series.dtype == pl.Null:
        return Money(np.zeros(len(series), np.int64), given, np.zeros(len(series), bool))
    if series.dtype.is_float():
        cents, readable = _from_floats(series, largest)
    elif series.dtype == pl.String or series.dtype.is_decimal() or series.dtype.is_integer():
        cents, readable = _from_decimals(series, largest)
    else:
        raise InputRefused(
            f"column {column!r} is {series.dtype}, not an amount of dollars",
            where=f"{table}, column {column}",
            rule="FILE-002: a required column has its declared type",
            remedy="use Decimal, whole numbers, floats or decimal text",
        )
    return Money(cents, given & readable, given & ~readable)


def _from_floats(series: pl.Series, largest: int) -> tuple[Integers, Flags]:
    import polars as pl

    dollars = series.cast(pl.Float64).fill_null(0.0).to_numpy()
    readable = np.isfinite(dollars) & (np.abs(dollars) * 100.0 <= largest)
    size = np.abs(np.where(readable, dollars, 0.0)) * 100.0
    whole = np.floor(size)
    rest = size - whole
    near = (np.abs(rest - 0.5) <= 4.0 * np.spacing(size)) | (size > _SURE)
    cents = (whole + (rest >= 0.5)).astype(np.int64)
    for position in np.flatnonzero(near).tolist():
        cents[position] = int((abs(Decimal(repr(float(dollars[position])))) * 100).to_integral_value(ROUND_HALF_UP))
    return np.where(dollars < 0, -cents, cents), readable


def _from_decimals(series: pl.Series, largest: int) -> tuple[Integers, Flags]:
    import polars as pl

    if series.dtype == pl.String:
        text = series.str.strip_chars()
        series = text.set(~text.str.contains(_PLAIN).fill_null(False), None)
    fine = series.cast(pl.Decimal(38, _DECIMALS), strict=False).to_physical()
    unit = 10 ** (_DECIMALS - 2)
    size = pl.col("x").abs()
    frame = fine.to_frame("x").select(
        cents=((size + unit // 2) // unit * pl.col("x").sign()).cast(pl.Int64, strict=False)
    )
    cents = frame["cents"]
    readable = cents.is_between(-largest, largest).fill_null(False).to_numpy()
    return np.where(readable, cents.fill_null(0).to_numpy(), 0), readable


def money_series(name: str, cents: Integers, is_given: Flags | None = None) -> pl.Series:
    """Return whole cents as Decimal(18, 2) dollars, null where not given.

    Examples
    --------
    >>> money_series("credit", np.array([4932, 0]), np.array([True, False])).to_list()
    [Decimal('49.32'), None]
    """
    import polars as pl

    series = pl.Series(name, np.ascontiguousarray(cents, dtype=np.int64))
    if is_given is not None:
        series = series.set(~pl.Series(is_given), None)
    return money_frame(series.to_frame(), [name])[name]


def money_frame(frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    """Return a frame whose columns of whole cents are Decimal(18, 2) dollars."""
    import polars as pl

    return frame.with_columns((pl.col(c).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2)) for c in columns)
