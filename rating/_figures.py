"""The published figures of one run: asked for by year, and those marked uncertain that took part, put down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs._years import years_held
from data_specs.errors import NotYetPublished, SettingRefused, TableMissing

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Figures", "whole_year"]

Integers = NDArray[np.int64]

_LAST_YEAR = 9999  # the last that a date can be of


def whole_year(year: object, name: str) -> int:
    """Return a year as a whole number.

    Raises
    ------
    SettingRefused
        It is none, or no year of the calendar.

    Examples
    --------
    >>> whole_year(2026, "tax_year")
    2026
    """
    if isinstance(year, bool) or not hasattr(year, "__index__"):
        raise SettingRefused(f"`{name}` is a {type(year).__name__}", rule="a whole number", remedy="write 2026, say")
    number = int(year.__index__())
    if not 1 <= number <= _LAST_YEAR:
        raise SettingRefused(f"`{name}` cannot be {number}", rule="a year of the calendar", remedy="write 2026, say")
    return number


class Figures:
    """The tables that one run asked for, and its uncertain figures.

    Examples
    --------
    >>> figures = Figures()
    >>> figures.rows("rating/ptc_income_limits", 2026).height, figures.tables
    (1, ['rating/ptc_income_limits'])
    >>> figures.rows("rating/ptc_applicable_percentages", 2027)
    Traceback (most recent call last):
        ...
    data_specs.errors.NotYetPublished: rating/ptc_applicable_percentages of 2027 is not published, ...
    """

    def __init__(self) -> None:
        self._tables: set[str] = set()
        self._moved: dict[tuple[str, str, str], int] = {}

    @property
    def tables(self) -> list[str]:
        """The tables of published figures that were used, sorted."""
        return sorted(self._tables)

    def rows(self, name: str, year: int | None = None) -> pl.DataFrame:
        """Return the rows of a table that hold for a year, with ``_file`` and ``_row``.

        Raises
        ------
        NotYetPublished
            The table ends before that year.
        TableMissing
            The table does not hold that year.
        """
        self._tables.add(name)
        if year is None:
            return _registry.rows(name)
        try:
            return _registry.rows(name, year=year)
        except TableMissing as missing:
            last = last_year(name)
            if last is None or year <= last:
                raise
            raise NotYetPublished(
                f"{name} of {year} is not published, or not held",
                where=missing.where,
                rule=missing.rule,
                remedy=missing.remedy,
            ) from None

    def put_down(self, table: str, what: str, moved: str, rows: int) -> None:
        """Put down that an uncertain figure moved so many rows of a result."""
        if rows:
            key = (table, what, moved)
            self._moved[key] = self._moved.get(key, 0) + int(rows)

    def took_part(self, table: str, frame: pl.DataFrame, key: list[str], used: Integers, moved: str) -> None:
        """Put down those of a table's rows that are marked uncertain and were used.

        Parameters
        ----------
        table : str
            Name of the table.
        frame : DataFrame
            Its rows, with ``verification`` and ``_row``.
        key : list of str
            The columns that name a row.
        used : array of int
            How many rows of the result used each row of `frame`.
        moved : str
            The column of the result.
        """
        import polars as pl

        if frame.height == 0:
            return
        lines = frame.with_columns(pl.Series("_used", used[: frame.height]))
        lines = lines.filter((pl.col("verification") == "uncertain") & (pl.col("_used") > 0))
        for line in lines.to_dicts():
            named = ", ".join(f"{c} {line[c]}" for c in key)
            self.put_down(table, f"row {line['_row']}: {named}", moved, line["_used"])

    def uncertain(self) -> pl.DataFrame:
        """Return table, what, moved, rows: the uncertain figures that took part, and how many rows of the result."""
        import polars as pl

        lines = [(*key, rows) for key, rows in sorted(self._moved.items())]
        schema = {"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64}
        return pl.DataFrame(lines, schema=schema, orient="row")


def last_year(name: str) -> int | None:
    """Return the last year that a table holds; None where it has no end or is not by year."""
    contract = _registry.contracts()[name]
    frame = _registry.rows(name)
    column = contract.year_column or contract.last_year_column
    if not column or not years_held(frame, contract):
        return None
    years = frame[column]
    return None if years.null_count() else int(years.max())  # type: ignore[arg-type]
