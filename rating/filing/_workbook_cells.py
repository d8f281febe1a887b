"""The cells of a workbook as its file holds them: digits as they were written, errors apart from blanks.

A filed template is looked at as it was saved, nothing is worked out. The file is read here and not by a table reader,
because such a reader gives a blank for an error, a date for a number that merely looks like one, and other digits.
"""

from __future__ import annotations

import os
import re
import xml.etree.ElementTree as ElementTree
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rating.filing._findings import refusal

__all__ = ["BOOLEAN", "ERROR", "NUMBER", "TEXT", "Cell", "Sheet", "cell_name", "read_sheets"]

NUMBER, TEXT, ERROR, BOOLEAN = "number", "text", "error", "boolean"
_LARGEST = 300_000_000  # bytes of a part once unpacked: no filing comes near, a hostile archive goes beyond
_KINDS = {"n": NUMBER, "e": ERROR, "b": BOOLEAN}
_DIGITS = 15  # that every program keeps; a seventeenth is noise of the binary number
_ERROR_TEXT = re.compile(r"#(?:VALUE!|REF!|DIV/0!|N/A|NAME\?|NULL!|NUM!|SPILL!|CALC!|GETTING_DATA)", re.IGNORECASE)
_PLACE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
# What reading a damaged file ends in, or one that needs a password.
_BROKEN = (zipfile.BadZipFile, zlib.error, ElementTree.ParseError, LookupError, ValueError, RuntimeError, EOFError)
_RELATIONS = "xl/_rels/workbook.xml.rels"


class Cell(NamedTuple):
    """What one cell shows: ``number``, ``text``, ``error`` or ``boolean``, and its text."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One worksheet.

    Attributes
    ----------
    name : str
        On its tab.
    rows : dict of int to dict of int to Cell
        Row -> column -> cell, both counted from 0 and in order; blank cells are left out.
    starts_1904 : bool
        Whether days are counted from 1904 and not from 1900.
    """

    name: str
    rows: dict[int, dict[int, Cell]]
    starts_1904: bool = False

    def get(self, row: int, column: int) -> Cell | None:
        """Return a cell, or None where it is blank."""
        return self.rows.get(row, {}).get(column)

    def at(self, row: int, column: int) -> str:
        """Return where a cell is, for a reader: ``Wksh 1!C8``."""
        return f"{self.name}!{cell_name(row, column)}"


def cell_name(row: int, column: int) -> str:
    """Return the name of a cell from its row and column, counted from 0.

    Examples
    --------
    >>> cell_name(5, 0), cell_name(5, 27)
    ('A6', 'AB6')
    """
    letters, number = "", column + 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"


def read_sheets(path: str | os.PathLike[str]) -> list[Sheet]:
    """Return the worksheets of a workbook, hidden ones too, in the order of their tabs.

    Raises
    ------
    InputRefused
        There is no such file, or it is no workbook of the kind .xlsx or .xlsm.
    """
    place = Path(path)
    try:
        with zipfile.ZipFile(place) as packed:
            return list(_sheets(packed))
    except OSError as error:
        raise refusal("WBK-001", f"the file cannot be read: {error.strerror}", str(place), "check its name") from None
    except _BROKEN:
        remedy = "open it in a spreadsheet program and save it as an Excel workbook (.xlsx), without a password"
        raise refusal("WBK-001", "the file is no workbook of the kind .xlsx or .xlsm", str(place), remedy) from None


def _sheets(packed: zipfile.ZipFile) -> Iterator[Sheet]:
    book = _part(packed, "xl/workbook.xml")
    shared = _shared_texts(packed)
    properties = next(_each(book, "workbookPr"), None)
    starts_1904 = properties is not None and properties.get("date1904") in ("1", "true")
    targets = {link.get("Id"): str(link.get("Target")) for link in _part(packed, _RELATIONS)}
    for sheet in _each(book, "sheet"):
        link = next(value for key, value in sheet.items() if key.endswith("}id"))
        target = targets[link]
        part = target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
        if "worksheets/" in part:  # charts and macro sheets hold no cells
            yield Sheet(str(sheet.get("name")), _rows(_part(packed, part), shared), starts_1904)


def _part(packed: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """Return a part of the file as a tree; a declaration of entities has no place in it."""
    if packed.getinfo(name).file_size > _LARGEST:
        raise ValueError("too large")
    content = packed.read(name)
    if b"<!DOCTYPE" in content[:4096]:
        raise ValueError("not of a workbook")
    return ElementTree.fromstring(content)


def _each(tree: ElementTree.Element, tag: str) -> Iterator[ElementTree.Element]:
    # Two namespaces are in use for the same format: the tag alone decides.
    return (element for element in tree.iter() if _tag(element) == tag)


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _shared_texts(packed: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in packed.namelist():
        return []
    return [_text(item) for item in _part(packed, "xl/sharedStrings.xml")]


def _text(item: ElementTree.Element) -> str:
    """Return the text of an item, its differently formatted parts together, without its reading aid."""
    parts = []
    for child in item:
        if _tag(child) == "t":
            parts.append(child.text or "")
        elif _tag(child) == "r":
            parts += [part.text or "" for part in child if _tag(part) == "t"]
    return "".join(parts)


def _rows(tree: ElementTree.Element, shared: list[str]) -> dict[int, dict[int, Cell]]:
    rows: dict[int, dict[int, Cell]] = {}
    number = -1
    for row in _each(tree, "row"):
        number = int(row.get("r", number + 2)) - 1
        column, cells = -1, {}
        for element in row:
            name = element.get("r")
            column = column + 1 if name is None else _column(name)
            cell = _cell(element, shared)
            if cell is not None:
                cells[column] = cell
        if cells:
            rows[number] = cells
    return rows


@lru_cache(maxsize=4096)
def _column_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _column(name: str) -> int:
    found = _PLACE.fullmatch(name)
    if found is None:
        raise ValueError("no place")
    return _column_of(found[1])


def _cell(element: ElementTree.Element, shared: list[str]) -> Cell | None:
    kind = element.get("t", "n")
    text: str | None = None
    for child in element:
        tag = _tag(child)
        if tag == "v":
            text = child.text
        elif tag == "is":
            text = _text(child)
    if text is None:
        return None
    if kind == "s":
        text = shared[int(text)]
    stripped = text.replace("\u00a0", " ").strip()
    if not stripped:
        return None
    if kind == "n":
        return Cell(NUMBER, _plain_number(stripped))
    if _ERROR_TEXT.fullmatch(stripped):  # also where a copy of values has turned the error into a text
        return Cell(ERROR, stripped)
    return Cell(_KINDS.get(kind, TEXT), stripped)


def _plain_number(text: str) -> str:
    """Return a number as it was typed: a file may hold 0.11519999999999999 for 0.1152."""
    digits = text.lower().partition("e")[0].strip("+-").replace(".", "").strip("0")
    if len(digits) <= _DIGITS:
        return text
    return f"{Decimal(repr(float(text))):f}"
