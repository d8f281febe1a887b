"""Frames of the experience side as they arrive: months, dollars and member months as exact whole numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused, SettingRefused
from rating._money import read_money
from rating.filing._findings import refuse_rows
from rating.filing._numbers import CONTEXT, exact

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "PARTS",
    "by_category",
    "collected",
    "days_of_month",
    "decimal_of",
    "dollars",
    "fractions_of",
    "growth",
    "month_date",
    "month_text",
    "months_column",
    "quantities",
    "run_of_months",
    "whole_setting",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

PARTS = 10**9  # member months, indices and scores are read to nine decimals
_LARGEST = 10**9
_MONTHS = 12
_NUMBERS = r"^[+-]?[0-9]{1,10}(?:\.[0-9]{0,30})?$"


def collected(frame: Any, table: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return a frame that has the columns and at least one row, collected if it was lazy.

    Raises
    ------
    InputRefused
        Not a Polars frame, a column is missing, or there is no row.
    """
    from riskadjust._refusals import collected as read

    return read(frame, table, tuple(columns))


def months_column(frame: pl.DataFrame, table: str, column: str, rule_id: str) -> Integers:
    """Return a column of months as months since year 0; a month is written as its first day.

    Raises
    ------
    InputRefused
        A cell is no date, or not the first of a month.
    """
    import polars as pl

    day = _frames.date_column(frame, table, column)
    broken = (day.is_null() | (day.dt.day() != 1).fill_null(True)).to_numpy()
    remedy = "write each month as its first day, for example 2025-03-01"
    refuse_rows(rule_id, table, column, broken, f"{column} is not the first day of a month", remedy)
    month = day.dt.year().cast(pl.Int64) * _MONTHS + day.dt.month().cast(pl.Int64) - 1
    return np.asarray(month.to_numpy(), np.int64)


def month_date(month: int) -> date:
    """Return the first day of a month.

    Examples
    --------
    >>> month_date(2025 * 12 + 2)
    datetime.date(2025, 3, 1)
    """
    return date(month // _MONTHS, month % _MONTHS + 1, 1)


def month_text(month: int) -> str:
    """Return a month as text: ``2025-03``."""
    return f"{month // _MONTHS:04d}-{month % _MONTHS + 1:02d}"


def days_of_month(months: Integers) -> Integers:
    """Return the days of months; 29 for February of a leap year.

    Examples
    --------
    >>> days_of_month(np.array([2023 * 12 + 1, 2024 * 12 + 1, 2024 * 12 + 11])).tolist()
    [28, 29, 31]
    """
    first = (months - 1970 * _MONTHS).astype("datetime64[M]")
    return np.asarray(((first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")).astype(np.int64))


def run_of_months(months: Sequence[int]) -> str:
    """Return months as text with runs joined.

    Examples
    --------
    >>> run_of_months([2025 * 12, 2025 * 12 + 1, 2025 * 12 + 4])
    '2025-01 to 2025-02, 2025-05'
    """
    runs: list[list[int]] = []
    for month in sorted(months):
        if runs and runs[-1][-1] == month - 1:
            runs[-1].append(month)
        else:
            runs.append([month])
    return ", ".join(month_text(r[0]) + (f" to {month_text(r[-1])}" if len(r) > 1 else "") for r in runs)


def dollars(
    frame: pl.DataFrame, table: str, column: str, rule_id: str, *, required: bool = True
) -> tuple[Integers, Flags]:
    """Return a column of dollars as whole cents, and which cells are given.

    Raises
    ------
    InputRefused
        A cell is no amount, or blank where it is required.
    """
    found = read_money(frame, table, column)
    remedy = "write dollars as numbers or decimal text; an amount that is nothing is written 0.00"
    broken = found.is_unreadable | (~found.is_given if required else False)
    refuse_rows(rule_id, table, column, broken, f"{column} is blank or no amount", remedy)
    return found.cents, found.is_given


def quantities(frame: pl.DataFrame, table: str, column: str, rule_id: str, *, above_zero: bool = False) -> Integers:
    """Return a column of numbers, zero or more, in parts of :data:`PARTS`; a float by the decimal it stands for.

    Raises
    ------
    InputRefused
        A cell is blank, no number, below zero (or zero, with `above_zero`), or beyond a thousand million.
    """
    import polars as pl

    series = frame[column]
    if not (series.dtype.is_numeric() or series.dtype in (pl.String, pl.Null)):
        raise InputRefused(
            f"column {column!r} is {series.dtype}, not a number",
            where=f"{table}, column {column}",
            rule="FILE-002: a required column has its declared type",
            remedy="use numbers or decimal text",
        )
    if series.dtype.is_float():
        number = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        fits = np.isfinite(number) & (number <= _LARGEST)
        parts = np.rint(np.where(fits, number, 0.0) * PARTS).astype(np.int64)
    else:
        if series.dtype == pl.String:
            text = series.str.strip_chars()
            series = text.set(~text.str.contains(_NUMBERS).fill_null(False), None)
        read = series.cast(pl.Decimal(38, 9), strict=False).to_physical().cast(pl.Int64, strict=False)
        fits = read.is_between(-_LARGEST * PARTS, _LARGEST * PARTS).fill_null(False).to_numpy()
        parts = np.where(fits, read.fill_null(0).to_numpy(), 0)
    kind = "above zero" if above_zero else "zero or more"
    broken = ~fits | ((parts <= 0) if above_zero else (parts < 0))
    refuse_rows(rule_id, table, column, broken, f"{column} is not a number, {kind}", "mend these cells")
    return np.asarray(parts, np.int64)


def fractions_of(keys: Integers, parts: Integers, units: int = PARTS) -> dict[int, Fraction]:
    """Return the sum of whole parts by key, as exact fractions of so many units, in the order of the keys.

    Examples
    --------
    >>> fractions_of(np.array([2, 1, 2]), np.array([50, 10, 25]), 100)
    {1: Fraction(1, 10), 2: Fraction(3, 4)}
    """
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    first = np.flatnonzero(np.append(True, sorted_keys[1:] != sorted_keys[:-1])) if len(keys) else order
    sums = np.add.reduceat(parts[order], first) if len(keys) else parts
    return {int(k): Fraction(int(s), units) for k, s in zip(sorted_keys[first], sums, strict=True)}


def decimal_of(number: Fraction | int) -> Decimal:
    """Return a fraction as a decimal of 34 digits, rounded once.

    Examples
    --------
    >>> decimal_of(Fraction(5, 4)), decimal_of(Fraction(1, 3))
    (Decimal('1.25'), Decimal('0.3333333333333333333333333333333333'))
    """
    fraction = Fraction(number)
    return CONTEXT.divide(Decimal(fraction.numerator), Decimal(fraction.denominator))


def growth(annual_trend: Decimal, months: int | Fraction) -> Decimal:
    """Return ``(1 + annual trend)^(months / 12)``.

    Examples
    --------
    >>> growth(Decimal("0.1"), 24), growth(Decimal("0.21"), 6)
    (Decimal('1.21'), Decimal('1.1'))
    """
    power = CONTEXT.divide(decimal_of(months), Decimal(_MONTHS))
    return CONTEXT.power(CONTEXT.add(Decimal(1), annual_trend), power).normalize(CONTEXT)


def by_category(given: Any, name: str, categories: Sequence[str]) -> dict[str, Decimal | None]:
    """Return a number by benefit category: one for all, or a mapping; None where none is given.

    Raises
    ------
    SettingRefused
        A key of the mapping is no category.
    InputRefused
        A value is no number.
    """
    if not isinstance(given, Mapping):
        one = None if given is None else exact(given, name)
        return dict.fromkeys(categories, one)
    unknown = sorted(str(key) for key in given if key not in categories)
    if unknown:
        raise SettingRefused(
            f"{name} is given for " + ", ".join(map(repr, unknown)),
            rule="one number for all, or a number by benefit category",
            remedy="categories: " + ", ".join(categories),
        )
    return {c: None if given.get(c) is None else exact(given[c], f"{name}, {c}") for c in categories}


def whole_setting(name: str, value: Any, lowest: int) -> int:
    """Return a setting that is a whole number.

    Raises
    ------
    SettingRefused
        It is none, or below the lowest.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__") or int(value) < lowest:
        raise SettingRefused(
            f"setting {name!r} cannot be {value!r}", rule=f"a whole number from {lowest}", remedy="write one"
        )
    return int(value)
