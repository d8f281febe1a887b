"""A slow, plain reader of workbooks that works their formulas out anew: what a spreadsheet program would show."""

import math
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
LINK = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
HEADINGS = 5  # the line of the headings, as a spreadsheet counts
REFERENCE = re.compile(r"(?:'([^']+)'!)?\$?([A-Z]+)\$?(\d+)(?::\$?([A-Z]+)\$?(\d+))?(?![A-Z0-9(])")


@dataclass(frozen=True)
class Cell:
    """What a cell holds: a formula or none, and a number or text or nothing."""

    formula: str | None
    value: float | str | None

    @property
    def number(self):
        """The number, None where there is text or nothing."""
        return self.value if isinstance(self.value, float) else None


def read(path):
    """Return the cells of every sheet, by sheet and place."""
    with zipfile.ZipFile(path) as packed:
        shared = []
        if "xl/sharedStrings.xml" in packed.namelist():
            items = ElementTree.fromstring(packed.read("xl/sharedStrings.xml")).iter(f"{MAIN}si")
            shared = ["".join(t.text or "" for t in item.iter(f"{MAIN}t")) for item in items]
        links = ElementTree.fromstring(packed.read("xl/_rels/workbook.xml.rels"))
        files = {link.get("Id"): link.get("Target") for link in links}
        sheets = ElementTree.fromstring(packed.read("xl/workbook.xml")).iter(f"{MAIN}sheet")
        return {s.get("name"): _cells(packed, files[s.get(LINK)], shared) for s in sheets}


def _cells(packed, target, shared):
    root = ElementTree.fromstring(packed.read("xl/" + target.removeprefix("/xl/")))
    cells = {}
    for cell in root.iter(f"{MAIN}c"):
        formula, value = cell.find(f"{MAIN}f"), cell.find(f"{MAIN}v")
        text = None if value is None else value.text
        kind = cell.get("t", "n")
        if text is not None and kind == "s":
            text = shared[int(text)]
        elif text is not None and kind in ("n", "b"):
            text = float(text)
        cells[cell.get("r")] = Cell(None if formula is None else formula.text, None if text == "" else text)
    return cells


def places(book, sheet, heading):
    """Return the places of the column under a heading, from its first row."""
    head = next(p for p, c in book[sheet].items() if c.value == heading and _row(p) == HEADINGS)
    letters = head.rstrip("0123456789")
    found = [p for p in book[sheet] if p.rstrip("0123456789") == letters and _row(p) > HEADINGS]
    return sorted(found, key=_row)


def place(book, sheet, heading, *, row):
    """Return the place of one row of a column."""
    return places(book, sheet, heading)[row]


def column(book, sheet, heading):
    """Return what the cells under a heading show."""
    return [book[sheet][p].value for p in places(book, sheet, heading)]


def _row(place):
    return int(place.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))


def evaluate(book, sheet, place, known=None):
    """Return what the formula of a cell gives, worked out from cells without a formula."""
    known = {} if known is None else known
    if (sheet, place) in known:
        return known[sheet, place]
    cell = book[sheet].get(place, Cell(None, None))
    if cell.formula is None:
        return cell.value
    known[sheet, place] = _worked_out(book, sheet, cell.formula, known)
    return known[sheet, place]


def _worked_out(book, sheet, formula, known):
    whole = re.fullmatch(r"IF\((.*)\)", formula)
    if whole:
        # Only the branch that is taken: the other one may divide by nothing.
        condition, then, otherwise = _arguments(whole[1])
        return _worked_out(book, sheet, then if _worked_out(book, sheet, condition, known) else otherwise, known)
    values = []

    def put(match):
        other, letters, row, last_letters, last_row = match.groups()
        where = other or sheet
        if last_row is None:
            values.append(evaluate(book, where, letters + row, known))
        else:
            columns = range(_position(letters), _position(last_letters) + 1)
            rows = range(int(row), int(last_row) + 1)
            values.append([evaluate(book, where, f"{_letters(c)}{r}", known) for c in columns for r in rows])
        return f"v[{len(values) - 1}]"

    def count(match):
        REFERENCE.sub(put, match[1])
        cells = [c for value in values for c in (value if isinstance(value, list) else [value])]
        values.clear()
        return str(len(_numbers(cells)))

    # A blank cell counts as zero where a number is wanted, and not at all where numbers are counted.
    text = REFERENCE.sub(put, re.sub(r"COUNT\(([^()]*)\)", count, formula))
    text = re.sub(r"(?<![<>=])=", "==", text)
    numbers = [0.0 if v is None else v for v in values]
    return eval(text, {"__builtins__": {}, "v": numbers, **FUNCTIONS})  # our own formulas only


def _position(letters):
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _letters(position):
    letters = ""
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _arguments(text):
    parts, depth, start = [], 0, 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


def _numbers(cells):
    return [c for c in cells if isinstance(c, float)]


def _sum_if(tested, condition, summed=None):
    assert condition == ">0"
    pairs = zip(tested, tested if summed is None else summed, strict=True)
    return math.fsum(b for a, b in pairs if isinstance(a, float) and a > 0 and isinstance(b, float))


def _round(number, digits):
    # As the programs do: halves away from zero, of the number as it shows in fifteen digits.
    shown = Decimal(f"{number:.15g}")
    return float(shown.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP))


FUNCTIONS = {
    "ABS": abs,
    "MAX": max,
    "MIN": min,
    "N": lambda cell: cell if isinstance(cell, float) else 0.0,
    "OR": lambda *tests: any(tests),
    "SUM": lambda cells: math.fsum(_numbers(cells)),
    "SUMIF": _sum_if,
    "SUMPRODUCT": lambda a, b: math.fsum(
        x * y for x, y in zip(a, b, strict=True) if isinstance(x, float) and isinstance(y, float)
    ),
    "ROUND": _round,
}
