"""The sheets of words in a filing's workbook: how to read it, settings, findings, sources of every number."""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Any

from rating.filing._ledger import MARKET
from rating.filing._workbook_book import COMPUTED_STYLE, Book
from rating.filing._workbook_cells import cell_name
from rating.filing._workbook_layout import LABELS, TOP, Layout, template_fields

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["HEADER_TABLE", "NOTES_SHEET", "SETTINGS_TABLE", "SOURCES_SHEET", "write_notes", "write_sources"]

NOTES_SHEET, SOURCES_SHEET = "Notes", "Sources"
SETTINGS_TABLE, HEADER_TABLE = "Settings", "Further entries of the header"
_MOST_ROWS = 1_000_000  # of the ledger on a sheet
_LONGEST = 32_767  # letters of a cell of the file format
_LETTERS = 88  # of a line in the last column
_HOW = (
    ("Shape", "Worksheets 1 to 3 have the lines, numbers and labels of the Unified Rate Review Template (OMB "
     "0938-1141), version 8.2 where they are known. It is not the template itself, with its macros and checks."),
    ("Shading", "Yellow: entered. Orange: entered where the template computes. White: follows from other cells. Gray: "
     "repeats a cell."),
    ("Formulas", "A computed cell holds the formula, and our value until the program recalculates. We compute with 34 "
     "digits and round nothing before the consumer rate; a program may differ in the last of its 15 digits."),
    ("Blanks", "A blank is absent, not zero: amounts per member per month without member months, the past of a new "
     "plan, the projection of a terminated one."),
    ("Signs", "Receipts of risk adjustment are positive and lower the rate; charges are negative."),
    ("Fractions", "Credibility, fees and retention are fractions of one, shown as percent; trends are factors."),
    ("Consumer rates", "They are a file of their own, in the layout of the Rates Table."),
)  # fmt: skip


def write_notes(book: Book, filing: Filing) -> None:
    """Write how the workbook is read, the conventions and settings, findings and uncertain figures."""
    sheet = book.sheet(NOTES_SHEET)
    sheet.set_column(0, 0, 2)
    for column, width in enumerate((34, 26, 22, 80), LABELS):
        sheet.set_column(column, column, width)
    sheet.write_string(0, LABELS, "Notes", book.words("title"))
    row = 2
    for what, text in _HOW:
        sheet.write_string(row, LABELS, what, book.words("bold"))
        sheet.merge_range(row, LABELS + 1, row, LABELS + 3, text, book.words("wrapped"))
        sheet.set_row(row, 15 * max(math.ceil(len(text) / (_LETTERS + 44)), 1))
        row += 1
    row = _header(book, sheet, row + 1, filing)
    for title, frame in (
        (SETTINGS_TABLE, filing.settings),
        ("Findings", filing.findings),
        ("Uncertain published figures that took part", filing.uncertain),
    ):
        row = _table(book, sheet, row + 1, title, frame)


def _header(book: Book, sheet: Any, row: int, filing: Filing) -> int:
    """Write what the header holds beside worksheet 1; return the row after it."""
    import polars as pl

    known = {field.name for field in template_fields()}
    lines = [(name, _plain(value)) for name, value in filing.header.items() if name not in known and value is not None]
    return _table(book, sheet, row, HEADER_TABLE, pl.DataFrame(lines, schema=["name", "value"], orient="row"))


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime.date) else str(value)


def _table(book: Book, sheet: Any, row: int, title: str, frame: pl.DataFrame) -> int:
    """Write a frame of four columns at most under a title; return the row after it."""
    sheet.write_string(row, LABELS, title, book.words("band"))
    for column in range(LABELS + 1, LABELS + 4):
        sheet.write_string(row, column, "", book.words("band"))
    if frame.height == 0:
        sheet.write_string(row + 1, LABELS, "none", book.words("remark"))
        return row + 3
    for column, name in enumerate(frame.columns, LABELS):
        sheet.write_string(row + 1, column, name.replace("_", " "), book.words("head"))
    for number, values in enumerate(frame.rows(), row + 2):
        texts = ["" if value is None else _plain(value) for value in values]
        for column, text in enumerate(texts, LABELS):
            sheet.write_string(number, column, text, book.words("wrapped"))
        widths = (34, 26, 22, _LETTERS)
        lines = max(math.ceil(len(text) / width) for text, width in zip(texts, widths, strict=False))
        sheet.set_row(number, 15 * max(lines, 1))
    return row + 2 + frame.height + 1


def write_sources(book: Book, filing: Filing, layout: Layout) -> None:
    """Write every number of the ledger with its cell, value, formula, source and note."""
    sheet = book.sheet(SOURCES_SHEET, pages=(2, 0))
    heads = ("Quantity", "Of", "Cell", "Value", "Unit", "Role", "Formula", "Source", "Note")
    widths = (38, 22, 30, 20, 16, 11, 60, 44, 44)
    sheet.set_column(0, 0, 2)
    sheet.write_string(0, LABELS, "Sources", book.words("title"))
    said = "Every number as it was worked out or entered, with its source. Values here do not follow changes elsewhere."
    sheet.write_string(1, LABELS, said, book.words("remark"))
    for i, (head, width) in enumerate(zip(heads, widths, strict=True)):
        sheet.set_column(LABELS + i, LABELS + i, width)
        sheet.write_string(TOP, LABELS + i, head, book.words("head_right" if head == "Value" else "head"))
    row = TOP
    for entry in list(filing.ledger)[:_MOST_ROWS]:
        row += 1
        spot = layout.spots.get(entry.key)
        at = "" if spot is None else f"{spot.sheet}!{cell_name(spot.row, spot.column)}"
        unit, place = entry.unit.replace("_", " "), "market" if entry.place == MARKET else entry.place
        for column, text in ((0, entry.name), (1, place), (2, at), (5, entry.role)):
            sheet.write_string(row, LABELS + column, text, book.words("label"))
        sheet.write_string(row, LABELS + 4, unit, book.words("unit"))
        book.put(sheet, row, LABELS + 3, entry.value, entry.unit, COMPUTED_STYLE)
        for column, text in ((6, entry.formula), (7, entry.source), (8, entry.note)):
            sheet.write_string(row, LABELS + column, text[:_LONGEST], book.words("label"))
    sheet.freeze_panes(TOP + 1, LABELS + 1)
    sheet.repeat_rows(TOP)
    sheet.repeat_columns(LABELS)
    sheet.autofilter(TOP, LABELS, row, LABELS + len(heads) - 1)
