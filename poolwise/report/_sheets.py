"""Sheets of a workbook: headings, number formats, print setup; text stays text, whatever it begins with."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_specs.errors import ExtraMissing

__all__ = ["FIRST_ROW", "MOST_ROWS", "Column", "Formula", "Sheet", "Workbook", "cell"]

# Title, explanation, a blank line, what each column means, headings: rows are counted from 0 here.
_TITLE, _EXPLANATION, _MEANINGS, _HEADINGS, FIRST_ROW = 0, 1, 3, 4, 5
MOST_ROWS = 1_048_576 - FIRST_ROW  # of the file format
_LONGEST_TEXT = 32_767  # of a cell of the file format
_LETTERS_OF_A_PAGE = 240  # what can still be read when it is printed on one sheet of paper
_NUMBER_FORMATS = {
    "text": "@",  # so that an id stays text when somebody edits it
    "count": "#,##0",
    "months": "#,##0.00",
    "dollars": "#,##0.00;[Red]-#,##0.00",
    "unrounded": "#,##0.000000;[Red]-#,##0.000000",
    "factor": "0.0000",
    "mean": "0.000000",
    "percent": "0.00%",
}
_WIDTHS = {
    "text": 12,
    "count": 10,
    "months": 14,
    "dollars": 17,
    "unrounded": 20,
    "factor": 10,
    "mean": 12,
    "percent": 9,
}


@dataclass(frozen=True)
class Formula:
    """A formula and the value that was computed without it, which stands in the cell until it is recalculated."""

    text: str
    value: Any


@dataclass(frozen=True)
class Column:
    """A column of a sheet: its heading, what it means, and how its cells are shown."""

    heading: str
    kind: str = "text"
    meaning: str = ""
    width: int = 0


class Workbook:
    """A workbook being written; a context that closes the file.

    Parameters
    ----------
    path : Path
        The file, ending in .xlsx.
    title : str
        In the properties of the file and at the foot of printed pages.

    Raises
    ------
    ExtraMissing
        When the package of the extra ``excel`` is not installed.
    """

    def __init__(self, path: Path, title: str) -> None:
        try:
            import xlsxwriter
        except ImportError:
            raise ExtraMissing(
                "the workbook needs xlsxwriter, which is not installed", remedy="pip install 'poolwise[excel]'"
            ) from None

        class PlainFormulas(xlsxwriter.worksheet.Worksheet):
            """A sheet whose formulas use old functions only: looking for new ones takes most of the time else."""

            def _prepare_formula(self, formula: str, expand_future_functions: bool = False) -> str:  # noqa: ARG002
                return formula.removeprefix("=")

        self._sheet_class = PlainFormulas
        # Text is never taken for a formula, a number or an address.
        never = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False}
        self._book = xlsxwriter.Workbook(str(path), never)
        # Without a time, so that equal runs give equal files.
        self._book.set_properties(
            {"title": title, "author": "poolwise", "created": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)}
        )
        self.title = title
        wrapped = {"text_wrap": True, "valign": "top"}
        self.formats = {kind: self._book.add_format({"num_format": f}) for kind, f in _NUMBER_FORMATS.items()}
        self.bold = {
            kind: self._book.add_format({"num_format": f, "bold": True, "top": 1})
            for kind, f in _NUMBER_FORMATS.items()
        }
        head = {"bold": True, "bottom": 1, "bg_color": "#E8EDF2", "border_color": "#9AA5B1", "text_wrap": True}
        mean = {"italic": True, "font_color": "#616E7C", "font_size": 9, "text_wrap": True, "valign": "bottom"}
        # Headings stand over their figures.
        self.headings = [self._book.add_format(head | {"align": side}) for side in ("left", "right")]
        self.meanings = [self._book.add_format(mean | {"align": side}) for side in ("left", "right")]
        self.title_format = self._book.add_format({"bold": True, "font_size": 14})
        self.explanation = self._book.add_format({"font_color": "#616E7C"})
        self.wrapped = self._book.add_format({"num_format": "@", **wrapped})

    def __enter__(self) -> Workbook:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # Also after a failure: the file is open, and the folder it lies in is thrown away.
        self._book.close()

    def sheet(self, name: str) -> Sheet:
        """Return a new sheet, after those there are."""
        return Sheet(self, self._book.add_worksheet(name, self._sheet_class), name)


class Sheet:
    """One sheet of a workbook."""

    def __init__(self, book: Workbook, sheet: Any, name: str) -> None:
        self._book, self._sheet, self.name = book, sheet, name
        sheet.set_landscape()
        sheet.set_paper(1)  # letter
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(1, 0)
        title = book.title.replace("&", "&&")[:180]  # a single & starts a code of the footer
        sheet.set_footer(f"&L{title}&C{name}&RPage &P of &N")

    def table(
        self,
        title: str,
        explanation: str,
        columns: Sequence[Column],
        rows: Iterable[Sequence[Any]],
        *,
        keys: int = 1,
        total: Sequence[Any] = (),
    ) -> None:
        """Write a table; the headings and the first `keys` columns stay in view, `total` is a last row set apart."""
        sheet, book = self._sheet, self._book
        sheet.write_string(_TITLE, 0, title, book.title_format)
        sheet.write_string(_EXPLANATION, 0, explanation, book.explanation)
        sheet.set_row(_HEADINGS, 45)
        if any(c.meaning for c in columns):
            sheet.set_row(_MEANINGS, 38)
        widths = [column.width or _WIDTHS[column.kind] for column in columns]
        for place, column in enumerate(columns):
            side = column.kind != "text"
            sheet.set_column(place, place, widths[place])
            sheet.write_string(_HEADINGS, place, column.heading, book.headings[side])
            sheet.write_string(_MEANINGS, place, column.meaning, book.meanings[side])
        formats = [book.formats[c.kind] for c in columns]
        number = FIRST_ROW
        for row in rows:
            self._row(number, row, formats)
            number += 1
        if number > FIRST_ROW:
            sheet.autofilter(_HEADINGS, 0, number - 1, len(columns) - 1)
        if total:
            self._row(number, total, [book.bold[c.kind] for c in columns])
        sheet.freeze_panes(FIRST_ROW, keys)
        sheet.repeat_rows(_MEANINGS, _HEADINGS)
        pages = math.ceil(sum(widths) / _LETTERS_OF_A_PAGE)
        sheet.fit_to_pages(pages, 0)
        if pages > 1:
            sheet.repeat_columns(0, keys - 1)

    def text(self, title: str, lines: Iterable[tuple[str, str]]) -> None:
        """Write a sheet of text: what, and the text that belongs to it; a line without text is a heading."""
        sheet, book = self._sheet, self._book
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 1, 110)
        sheet.write_string(_TITLE, 0, title, book.title_format)
        for number, (what, text) in enumerate(lines, _TITLE + 2):
            form = book.wrapped if text or not what else book.headings[0]
            sheet.set_row(number, 15 * max(math.ceil(len(text) / 100), 1))
            sheet.write_string(number, 0, what[:_LONGEST_TEXT], form)
            sheet.write_string(number, 1, text[:_LONGEST_TEXT], form)

    def _row(self, number: int, row: Sequence[Any], formats: Sequence[Any]) -> None:
        sheet = self._sheet
        for place, (value, form) in enumerate(zip(row, formats, strict=True)):
            if isinstance(value, Formula):
                known = _plain(value.value)
                sheet.write_formula(number, place, value.text, form, "" if known is None else known)
                continue
            known = _plain(value)
            if known is None:
                sheet.write_blank(number, place, None, form)
            elif isinstance(known, str):
                sheet.write_string(number, place, known[:_LONGEST_TEXT], form)
            else:
                sheet.write_number(number, place, known, form)


def cell(row: int, column: int, sheet: str = "", *, fixed: bool = False) -> str:
    """Return the name of a cell from its row and column, counted from 0.

    Examples
    --------
    >>> cell(5, 0), cell(5, 27, "Pools"), cell(5, 2, fixed=True)
    ('A6', "'Pools'!AB6", '$C$6')
    """
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    mark = "$" if fixed else ""
    place = f"{mark}{letters}{mark}{row + 1}"
    return f"'{sheet}'!{place}" if sheet else place


def _plain(value: Any) -> str | int | float | None:
    """Return a value as text or number; None for what has no cell: absent, not a number, infinite."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int | float):
        return value if math.isfinite(value) else None
    return str(value)
