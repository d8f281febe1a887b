"""The years that the rows of a table hold for: one year each, or a first and a last one, where blank is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

    from data_specs._contract import Contract

__all__ = ["overlapping_rows", "rows_of_year", "year_ranges", "years_held"]

_OPEN = 9999  # later than any year of a table


def rows_of_year(frame: pl.DataFrame, contract: Contract, year: int) -> pl.DataFrame:
    """Return the rows that hold for a year; all of them when the table is not by year."""
    import polars as pl

    if not contract.is_by_year:
        return frame
    if year.bit_length() >= 64:  # cannot be compared with a column, and is no year
        return frame.clear()
    if contract.year_column:
        return frame.filter(pl.col(contract.year_column) == year)
    last = pl.col(contract.last_year_column)
    return frame.filter(pl.col(contract.first_year_column) <= year, (last >= year) | last.is_null())


def years_held(frame: pl.DataFrame, contract: Contract) -> str:
    """Return the years of a table as text: ``2018-2019, 2021``, ``2014 and later``, or "" when it is not by year."""
    if contract.year_column:
        return year_ranges(frame[contract.year_column].drop_nulls().unique().to_list())
    if not contract.first_year_column:
        return ""
    first, last = contract.first_year_column, contract.last_year_column
    spans = frame.select(first, last).drop_nulls(first).unique().rows()
    closed = {year for start, end in spans if end is not None for year in range(start, end + 1)}
    open_from = min((start for start, end in spans if end is None), default=None)
    if open_from is None:
        return year_ranges(sorted(closed))
    while open_from - 1 in closed:
        open_from -= 1
    earlier = year_ranges([year for year in closed if year < open_from])
    return f"{earlier}, {open_from} and later" if earlier else f"{open_from} and later"


def year_ranges(years: list[int]) -> str:
    """Return years as text with runs joined.

    Examples
    --------
    >>> year_ranges([2021, 2019, 2018, 2022])
    '2018-2019, 2021-2022'
    """
    runs: list[list[int]] = []
    for year in sorted(years):
        if runs and runs[-1][-1] == year - 1:
            runs[-1].append(year)
        else:
            runs.append([year])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def overlapping_rows(typed: pl.DataFrame, contract: Contract) -> list[tuple[int, str, str]]:
    """Return position, column and rule of rows that end before they begin, or whose key has two rows in one year."""
    import polars as pl

    if not contract.first_year_column:
        return []
    first, last = contract.first_year_column, contract.last_year_column
    rows = typed.with_row_index("_row").with_columns(pl.col(last).fill_null(_OPEN))
    backward = rows.filter(pl.col(last) < pl.col(first))["_row"].head(50).to_list()
    found = [(row, last, f"not before {first}") for row in backward]
    rest = [name for name in contract.key if name not in (first, last)]
    if first not in contract.key or not rest:
        return found
    # In the order of first years, a row overlaps an earlier one when it begins before all of those have ended.
    ends = pl.col(last).cum_max().shift(1).over(rest)
    double = rows.sort(first, maintain_order=True).filter(pl.col(first) <= ends)["_row"].sort().head(50).to_list()
    rule = "a year has one row of (" + ", ".join(rest) + ")"
    return found + [(row, first, rule) for row in double]
