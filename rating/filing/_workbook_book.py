"""A workbook being written: opened beside its place and put there when it is complete; formats by unit and role."""

from __future__ import annotations

import datetime
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from data_specs._manifest import writing
from data_specs.errors import ExtraMissing, OutputRefused
from rating.filing._workbook_text import day_number

__all__ = ["COMPUTED_STYLE", "COPY", "ENTRY", "GIVEN", "INPUT_STYLE", "NAME", "Book", "beside", "open_book"]

COMPUTED_STYLE, INPUT_STYLE, GIVEN, COPY = "computed", "input", "given", "copy"
ENTRY, NAME = "entry", "name"  # texts of the header, and names over the figures of a column
_LONGEST_TEXT = 32_767  # of a cell of the file format
_NUMBER_FORMATS = {
    "usd": "$#,##0;[Red]-$#,##0",
    "usd_pmpm": "$#,##0.00;[Red]-$#,##0.00",
    "rate": "0.00",
    "factor": "0.0000",
    "ratio": "0.00%;[Red]-0.00%",
    "member_months": "#,##0",
    "years": "0",
    "date": "m/d/yyyy",
    "text": "@",  # so that an id stays text when somebody edits it
    "number": "General",
}
_SAME_AS = {
    "ratio_0_1": "ratio",
    "ratio_of_premium": "ratio",
    "contract_months": "member_months",
    "members": "member_months",
    "enrollees": "member_months",
}
_INPUT = {"bg_color": "#FFF8DC", "border": 1, "border_color": "#E3DCC2"}
_FILLS: dict[str, dict[str, Any]] = {
    COMPUTED_STYLE: {},
    INPUT_STYLE: _INPUT,
    ENTRY: {**_INPUT, "align": "left"},
    NAME: {**_INPUT, "text_wrap": True, "valign": "top"},
    GIVEN: {"bg_color": "#FCE4D6", "border": 1, "border_color": "#E8C9B5"},
    COPY: {"font_color": "#7B8794"},
}
_BAND = {"bold": True, "bg_color": "#22405C", "font_color": "#FFFFFF"}
_HEAD = {"bold": True, "bg_color": "#E8EDF2", "bottom": 1, "border_color": "#9AA5B1", "text_wrap": True}
_WORDS: dict[str, dict[str, Any]] = {
    "title": {"bold": True, "font_size": 14},
    "remark": {"font_color": "#616E7C"},
    "band": _BAND,
    "band_right": {**_BAND, "align": "right"},
    "head": {**_HEAD, "valign": "vcenter"},
    "head_center": {**_HEAD, "align": "center", "valign": "vcenter"},
    "head_right": {**_HEAD, "align": "right", "valign": "vcenter"},
    "block": {"bold": True, "font_color": "#22405C", "top": 1, "border_color": "#9AA5B1"},
    "label": {"valign": "top"},
    "bold": {"bold": True, "valign": "top"},
    "center": {"font_color": "#616E7C", "align": "center"},
    "unit": {"font_color": "#616E7C", "indent": 1},
    "number_of_line": {"font_color": "#616E7C", "num_format": "@", "valign": "top"},
    "wrapped": {"text_wrap": True, "valign": "top", "num_format": "@"},
}


@contextmanager
def beside(path: str | os.PathLike[str], *suffixes: str) -> Iterator[tuple[Path, Path]]:
    """Yield where a file shall be, and a place beside it to write; it is put there when the block ends well.

    Raises
    ------
    OutputRefused
        The name ends otherwise than in one of the suffixes, or the file cannot be written. What stood there before
        stands there still.
    """
    target = Path(path).expanduser().resolve()
    if target.suffix.lower() not in suffixes:
        raise OutputRefused(
            f"the file cannot end in {target.suffix or 'no suffix'!r}",
            where=str(target),
            rule="the suffix says how the file is written",
            remedy="name it " + " or ".join(f"*{suffix}" for suffix in suffixes),
        )
    staging = target.with_name(f".{target.stem}.{secrets.token_hex(4)}{target.suffix}")
    with writing(target):
        try:
            yield target, staging
            staging.replace(target)
        finally:
            staging.unlink(missing_ok=True)


@contextmanager
def open_book(path: str | os.PathLike[str], title: str) -> Iterator[Book]:
    """Yield a workbook to write; when the block ends well the file stands at its place.

    Raises
    ------
    ExtraMissing
        The package of the extra ``excel`` is not installed.
    OutputRefused
        The file does not end in .xlsx, or cannot be written.
    """
    with beside(path, ".xlsx") as (_, staging):
        book = Book(staging, title)
        try:
            yield book
        finally:
            book.close()  # also after a failure: the half of a file is thrown away


class Book:
    """The sheets and formats of a workbook.

    Parameters
    ----------
    path : Path
        The file.
    title : str
        In the properties of the file and at the foot of printed pages.
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

        # Text is never taken for a formula, a number or an address; no file but the one that is asked for.
        how = {"strings_to_formulas": False, "strings_to_numbers": False, "strings_to_urls": False, "in_memory": True}
        self._book, self._sheet_class, self.title = xlsxwriter.Workbook(str(path), how), PlainFormulas, title
        # Without a time, so that equal filings give equal files.
        created = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
        self._book.set_properties({"title": title, "author": "poolwise", "created": created})
        self._formats: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        """Write the file."""
        from xlsxwriter.exceptions import FileCreateError

        try:
            self._book.close()
        except FileCreateError as error:  # it holds what the operating system said
            raise error.args[0] if isinstance(error.args[0], OSError) else error from None

    def sheet(self, name: str, *, pages: tuple[int, int] = (1, 0)) -> Any:
        """Return a new sheet, to be printed in landscape on so many pages side by side and below each other."""
        sheet = self._book.add_worksheet(name, self._sheet_class)
        sheet.set_landscape()
        sheet.set_paper(1)  # letter
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        sheet.fit_to_pages(*pages)
        sheet.hide_gridlines(2)
        title = self.title.replace("&", "&&")[:120]  # a single & starts a code of the footer
        sheet.set_footer(f"&L{title}&C&A&RPage &P of &N")
        return sheet

    def words(self, style: str) -> Any:
        """Return the format of a text: ``title``, ``band``, ``head`` ..."""
        return self._format("words", style, _WORDS[style])

    def numbers(self, unit: str, style: str) -> Any:
        """Return the format of a value by its unit and role."""
        kind = _SAME_AS.get(unit, unit)
        is_text = unit in ("code", "bool") or unit.startswith("id")
        known = kind if kind in _NUMBER_FORMATS else "text" if is_text else "number"
        properties: dict[str, Any] = {"num_format": _NUMBER_FORMATS[known], **_FILLS[style]}
        if known == "text":
            properties.setdefault("align", "right")  # over the figures of its column
        return self._format(known, style, properties)

    def _format(self, kind: str, style: str, properties: dict[str, Any]) -> Any:
        if (kind, style) not in self._formats:
            self._formats[kind, style] = self._book.add_format(properties)
        return self._formats[kind, style]

    def put(self, sheet: Any, row: int, column: int, value: Any, unit: str, style: str, formula: str = "") -> None:
        """Write a value, or a formula with the value it has until it is recalculated; None is a blank cell."""
        form = self.numbers(unit, style)
        if formula:
            known = "" if value is None else float(value)
            sheet.write_formula(row, column, formula, form, known)
        elif value is None:
            sheet.write_blank(row, column, None, form)
        elif isinstance(value, bool):
            sheet.write_string(row, column, "Yes" if value else "No", form)
        elif isinstance(value, datetime.date):
            sheet.write_number(row, column, day_number(value), form)
        elif isinstance(value, Decimal | int | float):
            sheet.write_number(row, column, _AllDigits(value), form)
        else:
            sheet.write_string(row, column, str(value)[:_LONGEST_TEXT], form)


class _AllDigits(float):
    """A number that is written with all its digits: the package that writes the file leaves the last one out."""

    def __format__(self, spec: str) -> str:
        return repr(float(self))
