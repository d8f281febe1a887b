"""Frames that are settled as a whole or not at all: every row that breaks a rule is named first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._frames import need_columns
from data_specs.errors import InputRefused
from riskadjust._findings import rule_texts

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LARGEST", "Refusals", "collected", "number_columns", "rule_text"]

LARGEST = 1e15  # dollars or months; a larger number is a mistake, and its cents would not be exact
_SHOWN = 5

Mask = NDArray[np.bool_]


class Refusals:
    """The rows of one frame that break rules, collected so that one message names them all.

    Examples
    --------
    >>> refusals = Refusals("plan_rows")
    >>> refusals.add("TRF-007", "arf", np.array([False, True, True]))
    >>> try:
    ...     refusals.check()
    ... except InputRefused as refused:
    ...     print(refused.where)
    plan_rows (first row is 1): column arf, rows 2, 3
    """

    def __init__(self, table: str, row_numbers: NDArray[np.int64] | None = None) -> None:
        self._table = table
        self._numbers = row_numbers
        self._found: list[tuple[str, str, list[int], str]] = []

    def add(self, rule_id: str, column: str, broken: Mask, about: str = "") -> None:
        """Put down the rows where a rule is broken; `about` says more, never a value of a person."""
        rows = np.flatnonzero(broken)
        if len(rows):
            numbers = rows if self._numbers is None else self._numbers[rows]
            self._found.append((rule_id, column, sorted((numbers + 1).tolist()), about))

    def check(self) -> None:
        """Refuse the frame if any row was put down.

        Raises
        ------
        InputRefused
            With the number of rows, their first numbers and columns, and the rules.
        """
        if not self._found:
            return
        rows = {number for _, _, numbers, _ in self._found for number in numbers}
        places = [f"column {column}, {_listed(numbers)}{about}" for _, column, numbers, about in self._found]
        raise InputRefused(
            f"{len(rows)} row{'s' if len(rows) > 1 else ''} of {self._table} cannot be settled",
            where=f"{self._table} (first row is 1): " + "; ".join(places),
            rule="; ".join(rule_text(rule_id) for rule_id in dict.fromkeys(rule for rule, *_ in self._found)),
            remedy="mend these rows: the money of a risk pool depends on all of its rows, so none is left out",
        )


def _listed(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    word = "row" if len(numbers) == 1 else "rows"
    return f"{word} {shown}" + (f" ... ({len(numbers)} rows)" if len(numbers) > _SHOWN else "")


def rule_text(rule_id: str) -> str:
    """Return a rule as ``id: text (basis)``."""
    import polars as pl

    found = rule_texts().filter(pl.col("rule_id") == rule_id).select("condition", "basis").rows()
    if not found:
        return rule_id
    condition, basis = found[0]
    return f"{rule_id}: {condition}" + (f" ({basis})" if basis and basis != "-" else "")


def collected(frame: Any, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return a frame, collected if it was lazy, that has the columns.

    Raises
    ------
    InputRefused
        Not a Polars frame, a column is missing, or there is no row.
    """
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        raise InputRefused(
            f"{table} is a {type(frame).__name__}", where=table, remedy="hand in a polars DataFrame or LazyFrame"
        )
    need_columns(frame, table, columns)
    if frame.height == 0:
        raise InputRefused("the table has no rows", where=table, rule="FILE-002", remedy="check the file or query")
    return frame


def number_columns(frame: pl.DataFrame, table: str, columns: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return columns of numbers as floats, missing ones as NaN.

    Raises
    ------
    InputRefused
        When a column holds text, dates or anything else that is no number.
    """
    import polars as pl

    for column in columns:
        dtype = frame.schema[column]
        if not (dtype.is_numeric() or dtype == pl.Null):
            raise InputRefused(
                f"column {column!r} is {dtype}, not a number",
                where=f"{table}, column {column}",
                rule="FILE-002: a required column has its declared type",
                remedy="cast it to Float64 or Decimal",
            )
    floats = frame.select(pl.col(columns).cast(pl.Float64).fill_null(float("nan")))
    return {column: floats[column].to_numpy() for column in columns}
