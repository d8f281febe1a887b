"""A sheet that calculates: columns by name, each a value or a formula over the cells of its own row and of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from poolwise.report._sheets import FIRST_ROW, Column, Formula, Sheet, cell

__all__ = ["Cell", "Grid"]

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """A column of a grid.

    Attributes
    ----------
    name : str
        By which formulas point at it.
    column : Column
        Heading, kind, meaning.
    formula : str or function
        With names within braces for cells of the same row; a function of the row's number and row gives it row by row,
        None where the cell holds the value. Empty: the value always.
    value : str or function
        The column of the row that holds the value computed here, or a function of the row; empty: `name`.
    """

    name: str
    column: Column
    formula: str | Callable[[int, Row], str | None] = ""
    value: str | Callable[[Row], Any] = ""


class Grid:
    """Rows of one sheet, with cells that other sheets can point at.

    Examples
    --------
    >>> cells = [Cell("a", Column("A", "count")), Cell("b", Column("B", "count"), "2*{a}")]
    >>> grid = Grid("Twice", cells, [{"a": 2, "b": 4}])
    >>> grid.rows()
    [[2, Formula(text='=2*A6', value=4)]]
    >>> grid.at("b", 0), grid.run("a", 0, 1)
    ("'Twice'!B6", "'Twice'!A6:A6")
    """

    def __init__(self, sheet: str, cells: Sequence[Cell], rows: Sequence[Row]) -> None:
        self.sheet, self._cells, self._rows = sheet, list(cells), list(rows)
        self._place = {c.name: place for place, c in enumerate(self._cells)}

    def at(self, name: str, row: int) -> str:
        """Return the place of a cell, as another sheet names it."""
        return cell(FIRST_ROW + row, self._place[name], self.sheet)

    def run(self, name: str, first: int, stop: int) -> str:
        """Return the cells of a column from one row to before another, as another sheet names them."""
        return f"{self.at(name, first)}:{cell(FIRST_ROW + stop - 1, self._place[name])}"

    def rows(self) -> list[list[Any]]:
        """Return values and formulas, row by row."""
        return [[self._shown(c, number, row) for c in self._cells] for number, row in enumerate(self._rows)]

    def _shown(self, known: Cell, number: int, row: Row) -> Any:
        value = known.value(row) if callable(known.value) else row[known.value or known.name]
        text = known.formula(number, row) if callable(known.formula) else known.formula
        if not text or value is None:
            return value
        places = {name: cell(FIRST_ROW + number, place) for name, place in self._place.items()}
        return Formula("=" + text.format_map(places), value)

    def write(self, sheet: Sheet, title: str, explanation: str, *, keys: int = 1, total: Sequence[str] = ()) -> None:
        """Write the grid; `total`: names of columns whose sum stands below."""
        columns = [c.column for c in self._cells]
        last: list[Any] = []
        if total and self._rows:
            last = [self._total(c, number == 0, c.name in total) for number, c in enumerate(self._cells)]
        sheet.table(title, explanation, columns, self.rows(), keys=keys, total=last)

    def _total(self, known: Cell, is_first: bool, is_summed: bool) -> Any:
        if not is_summed:
            return "all" if is_first else None
        values = [known.value(row) if callable(known.value) else row[known.value or known.name] for row in self._rows]
        place = self._place[known.name]
        cells = f"{cell(FIRST_ROW, place)}:{cell(FIRST_ROW + len(self._rows) - 1, place)}"
        return Formula(f"=SUM({cells})", sum(v for v in values if v is not None))
