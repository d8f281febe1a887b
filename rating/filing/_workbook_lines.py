"""The lines of the template in a workbook: found by their numbers and labels, wherever they stand.

Versions of the template differ in rows, and in numbers where a line was put in between: within its section the label
decides which line it is, the number where the label is worded otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from rating.filing._findings import FilingFindings, listed, refusal
from rating.filing._workbook_cells import BOOLEAN, NUMBER, TEXT, Cell, Sheet, cell_name
from rating.filing._workbook_layout import Field
from rating.filing._workbook_text import label_key, number_of, text_of, words_alike

__all__ = ["MarketLines", "PlanLines", "find_sheets", "find_version", "market_lines", "plan_lines"]

_NAMED = re.compile(r"w(?:or)?ksh(?:ee)?t?\.?\s*([123])\b", re.IGNORECASE)
_SECTION = re.compile(r"section\s+(i{1,3}|iv)\b", re.IGNORECASE)
_NUMBER = re.compile(r"[1-9]\.[0-9]{1,2}(?:-[1-9]\.[0-9]{1,2})?")
_PLAN_ID = re.compile(r"([0-9]{5}[A-Z]{2}[0-9]{7})(?:-?[0-9]{2})?")
_VERSION = re.compile(r"unified rate review(?: template)?\s*v?\s*([0-9]+(?:\.[0-9]+)?)", re.IGNORECASE)
_SECTION_OF = {"1": "I", "2": "II", "3": "III", "4": "IV"}
_NEAR = 3  # columns from a label to its value, where cells are merged
_BLOCK = "per member per month"
_PLAN_ID_LABEL = "plan id"


def find_version(sheets: Iterable[Sheet]) -> str:
    """Return the version that a workbook says the template is of; "" where it does not say it."""
    for sheet in sheets:
        for cells in sheet.rows.values():
            for cell in cells.values():
                found = _VERSION.search(cell.text) if cell.kind == TEXT else None
                if found is not None:
                    return found[1]
    return ""


def find_sheets(sheets: list[Sheet], fields: list[Field], where: str) -> dict[int, Sheet]:
    """Return worksheets 1 to 3 by their tab, or by their labels where a tab is called otherwise.

    Raises
    ------
    InputRefused
        Worksheet 1 or 2 is not in the workbook.
    """
    found: dict[int, Sheet] = {}
    for sheet in sheets:
        named = _NAMED.match(sheet.name)
        if named is not None:
            found.setdefault(int(named[1]), sheet)
    for worksheet in (1, 2, 3):
        if worksheet in found:
            continue
        labels = {label_key(f.label) for f in fields if f.worksheet == worksheet}
        rest = [sheet for sheet in sheets if sheet not in found.values()]
        best = max(rest, key=lambda sheet: _held(sheet, labels), default=None)
        needed = 1 if worksheet == 3 else len(labels) // 2
        if best is not None and _held(best, labels) >= needed:
            found[worksheet] = best
    missing = [str(worksheet) for worksheet in (1, 2) if worksheet not in found]
    if missing:
        tabs = listed([sheet.name for sheet in sheets])
        raise refusal(
            "WBK-002", f"worksheet {listed(missing)} is not in the workbook", f"{where}: {tabs}", "hand in the template"
        )
    return found


def _held(sheet: Sheet, labels: set[str]) -> int:
    texts = {label_key(cell.text) for cells in sheet.rows.values() for cell in cells.values() if cell.kind == TEXT}
    areas = {"rating area" for text in texts if text.startswith("rating area ")}  # with its number
    return len(labels & (texts | areas))


# ------------------------------------------------------------------------------------------------ worksheet 1


@dataclass(frozen=True, slots=True)
class MarketLines:
    """Where the quantities and texts of worksheet 1 stand.

    Attributes
    ----------
    cells : dict of str to (row, column)
        By the name of the field; a blank cell is among them where its line is there.
    missing : list of Field
        Those without a line.
    """

    cells: dict[str, tuple[int, int]]
    missing: list[Field]


def market_lines(sheet: Sheet, fields: list[Field], findings: FilingFindings) -> MarketLines:
    """Return where everything on worksheet 1 stands.

    Raises
    ------
    InputRefused
        Several lines of a section answer to the same label, and hold different values.
    """
    rows = _by_section(sheet)
    cells: dict[str, tuple[int, int]] = {}
    for f in (f for f in fields if f.section == "general"):
        at = _beside_label(sheet, rows.get("general", []) or list(sheet.rows), f, fields)
        if at is not None:
            cells[f.name] = at
    for section in ("I", "II"):
        of_section = [f for f in fields if f.section == section]
        labels = {row: _first_text(sheet, row) for row in rows.get(section, [])}
        found = _matched(sheet, {row: text for row, (_, text) in labels.items() if text}, of_section, findings)
        columns = _heading_columns(sheet, rows.get(section, []), of_section, found)
        for f in of_section:
            row, is_alone = found.get(f.label), False
            if row is None:
                row, is_alone = _row_of_total(labels, f), True
            if row is None:
                continue
            place = _place_in_line(sheet, row, labels[row][0], f, {} if is_alone else columns)
            if place is not None:
                cells[f.name] = (row, place)
    return MarketLines(cells, [f for f in fields if f.name not in cells])


def _by_section(sheet: Sheet) -> dict[str, list[int]]:
    """Return the rows of each section, from its heading to the next one."""
    sections: dict[str, list[int]] = {}
    now = "general"
    for row, cells in sheet.rows.items():
        heading = next((m for c in cells.values() if c.kind == TEXT and (m := _SECTION.match(text_of(c)))), None)
        if heading is not None:
            now = heading[1].upper()
        else:
            sections.setdefault(now, []).append(row)
    return sections


def _first_text(sheet: Sheet, row: int) -> tuple[int, str]:
    """Return column and text of the first text of a row that is no number of a line; -1 and "" where there is none."""
    for column, cell in sheet.rows[row].items():
        if cell.kind == TEXT and not _NUMBER.fullmatch(text_of(cell)):
            return column, text_of(cell)
    return -1, ""


def _beside_label(sheet: Sheet, rows: list[int], f: Field, fields: list[Field]) -> tuple[int, int] | None:
    """Return the cell after a label, which may stand anywhere in its row; the next label ends the search."""
    labels = {label_key(other.label) for other in fields if other.section == "general"}
    wanted = label_key(f.label)
    for row in rows:
        columns = list(sheet.rows[row])
        for i, column in enumerate(columns):
            cell = sheet.rows[row][column]
            if cell.kind != TEXT or label_key(cell.text) != wanted:
                continue
            following = columns[i + 1] if i + 1 < len(columns) else None
            if following is None or following > column + _NEAR:
                return row, column + 1
            is_label = label_key(sheet.rows[row][following].text) in labels
            return row, column + 1 if is_label else following
    return None


def _matched(sheet: Sheet, labels: dict[int, str], fields: list[Field], findings: FilingFindings) -> dict[str, int]:
    """Return the row of each label: the same label, or else the only one that may be meant."""
    found: dict[str, int] = {}
    for row, text in labels.items():
        f = next((f for f in fields if label_key(f.label) == label_key(text)), None)
        if f is None:
            continue
        if f.label in found:
            _same_or_refused(sheet, found[f.label], row, f.label)
        found.setdefault(f.label, row)
    rest = {row: text for row, text in labels.items() if row not in found.values()}
    for label in dict.fromkeys(f.label for f in fields if f.label not in found):
        rows = [row for row, text in rest.items() if _may_mean(text, label) and row not in found.values()]
        if len(rows) == 1:
            found[label] = rows[0]
            findings.add("WBK-012", f"{sheet.name}, row {rows[0] + 1}", f"{rest[rows[0]]!r} is read as {label!r}")
    return found


def _may_mean(text: str, label: str) -> bool:
    """Return whether a label worded otherwise may be meant; one word alone says too little."""
    shared = set(label_key(text).split()) & set(label_key(label).split())
    return len(shared) > 1 and words_alike(text, label)


def _same_or_refused(sheet: Sheet, first: int, second: int, label: str) -> None:
    values = [[c.text for c in sheet.rows[row].values() if c.kind != TEXT] for row in (first, second)]
    if values[1] and values[0] != values[1]:
        raise refusal(
            "WBK-013",
            f"{label!r} stands twice with different values",
            f"{sheet.name}, rows {first + 1} and {second + 1}",
            "leave one of the lines",
        )


def _heading_columns(sheet: Sheet, rows: list[int], fields: list[Field], found: dict[str, int]) -> dict[str, int]:
    """Return the column of each heading of a section; headings may stand in two rows, the upper one over several."""
    several = {f.label for f in fields if f.column and not f.is_text}
    first = min((row for label, row in found.items() if label in several), default=None)
    if first is None:
        return {}
    known = set(found.values())
    above = [row for row in rows if row < first and row not in known][-2:]
    columns: dict[str, int] = {}
    for heading in dict.fromkeys(f.column for f in fields if f.column and not f.is_text):
        wanted = label_key(heading)
        for column, texts in _stacked(sheet, above).items():
            if wanted in texts:
                columns.setdefault(heading, column)
    return columns


def _stacked(sheet: Sheet, rows: list[int]) -> dict[int, set[str]]:
    """Return what may be read over each column: the text of one row, or that of the upper and the lower one."""
    last = max((column for row in rows for column in sheet.rows[row]), default=-1)
    found: dict[int, set[str]] = {column: set() for column in range(last + 1)}
    upper = ""
    for column in range(last + 1):
        texts = [text_of(sheet.get(row, column)) for row in rows]
        found[column] |= {label_key(text) for text in texts if text}
        if len(rows) == 2:
            upper = texts[0] or upper
            found[column].add(label_key(f"{upper} {texts[1]}"))
    return found


def _row_of_total(labels: dict[int, tuple[int, str]], f: Field) -> int | None:
    """Return the row of a total that has a label of its own: ``Total Experience Period Index Rate``."""
    wanted = label_key(f"{f.label} {f.column}").removesuffix(" pmpm")
    if f.label != "Total":
        return None
    return next((row for row, (_, text) in labels.items() if label_key(text).removesuffix(" pmpm") == wanted), None)


def _place_in_line(sheet: Sheet, row: int, label_column: int, f: Field, columns: dict[str, int]) -> int | None:
    """Return the column of a value: under its heading; the first value of the line where it has one only."""
    if f.column and f.column in columns:
        return columns[f.column]
    after = {column: cell for column, cell in sheet.rows[row].items() if column > label_column}
    if f.is_text:  # first and last day
        days = [column for column, cell in after.items() if any(letter.isdigit() for letter in cell.text)]
        place = 1 if f.column == "end" else 0
        return days[place] if len(days) > place else label_column + 1 + 2 * place
    if f.column and columns:
        return None
    values = [column for column, cell in after.items() if cell.kind != TEXT or number_of(cell)[1]]
    return values[0] if values else label_column + 1


# ------------------------------------------------------------------------------------------------ worksheet 2


@dataclass(slots=True)
class PlanLines:
    """Where the quantities and texts of worksheet 2 stand.

    Attributes
    ----------
    plans : dict of int to str
        Column -> plan id of 14 characters.
    rows : dict of str to int
        Name of the field -> its row.
    totals : range
        Columns between the labels and the first plan.
    missing : list of Field
        Fields without a line.
    """

    plans: dict[int, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    totals: range = range(0)
    missing: list[Field] = field(default_factory=list)


def plan_lines(sheet: Sheet, fields: list[Field], findings: FilingFindings) -> PlanLines:
    """Return where everything on worksheet 2 stands.

    Raises
    ------
    InputRefused
        There is no line of plan ids, no plan on it, or one twice; several lines answer to the same field and differ.
    """
    found = PlanLines()
    label_column = _find_plans(sheet, found)
    first = min(found.plans)
    found.totals = range(label_column + 1, first)
    section, is_block = "", False
    unread: list[str] = []
    renumbered: list[str] = []
    for row, cells in sheet.rows.items():
        leading = {column: cell for column, cell in cells.items() if column < first}
        heading = next((m for c in leading.values() if c.kind == TEXT and (m := _SECTION.match(text_of(c)))), None)
        if heading is not None:
            section, is_block = heading[1].upper(), False
            continue
        number, label = _number_and_label(leading)
        if number:
            section = _SECTION_OF.get(number[0], section)
        if label_key(label) in (_BLOCK, "pmpm"):
            is_block = True
            continue
        f = _field_of(number, label, [f for f in fields if f.section == section], found, is_block)
        if f is None:
            if number and any(column in found.plans for column in cells):
                unread.append(f"{number} {label}".strip())
            continue
        if f.name in found.rows:
            _same_or_refused(sheet, found.rows[f.name], row, label)
            continue
        found.rows[f.name] = row
        if number and f.number and not _is_number(number, f):
            renumbered.append(f"{number} {label!r} is {f.number} in the version known")
    for rule, lines in (("WBK-012", renumbered), ("WBK-020", unread)):
        if lines:
            findings.add(rule, sheet.name, listed(lines))
    found.missing = [f for f in fields if f.name not in found.rows]
    _report_columns(sheet, found, findings)
    return found


def _find_plans(sheet: Sheet, found: PlanLines) -> int:
    """Put down the columns of plans; return the column of the labels."""
    remedy = "plans run across columns, with their 14-character ids in line 1.4"
    for row, cells in sheet.rows.items():
        label = next(
            (c for c, cell in cells.items() if cell.kind == TEXT and label_key(cell.text) == _PLAN_ID_LABEL), None
        )
        if label is None:
            continue
        double = []
        for column, cell in cells.items():
            plan = _PLAN_ID.fullmatch(text_of(cell).upper()) if column > label else None
            if plan is not None:
                double += [plan[1]] if plan[1] in found.plans.values() else []
                found.plans[column] = plan[1]
        if double:
            raise refusal(
                "WBK-008", f"{listed(double)} stands twice", f"{sheet.name}, row {row + 1}", "leave one column"
            )
        if found.plans:
            return label
    raise refusal("WBK-008", "no plan id is on the worksheet", sheet.name, remedy)


def _number_and_label(leading: dict[int, Cell]) -> tuple[str, str]:
    """Return number and label of a line; "" for what it has not."""
    number = label = ""
    for cell in leading.values():
        text = text_of(cell)
        if not number and not label and cell.kind in (TEXT, NUMBER) and _NUMBER.fullmatch(text):
            number = text
        elif not label and cell.kind == TEXT:
            label = text
    return number, label


def _field_of(number: str, label: str, fields: list[Field], found: PlanLines, is_block: bool) -> Field | None:
    """Return the field that a line is of: by its label, or by its number where the label is worded otherwise."""
    key = label_key(label)
    in_block = is_block or any(f.is_pmpm and number and _is_number(number, f) for f in fields)
    exact = next((f for f in fields if label_key(f.label) == key), None)
    # The lines per member per month repeat the labels above them.
    twin = next((f for f in fields if f.is_pmpm and label_key(f.label).removesuffix(" pmpm") == key), None)
    if twin is not None and (in_block or (exact is not None and exact.name in found.rows)):
        return twin
    if exact is not None or not number:
        return exact
    return next(
        (f for f in fields if not f.is_pmpm and _is_number(number, f) and (not label or words_alike(label, f.label))),
        None,
    )


def _is_number(number: str, f: Field) -> bool:
    """Return whether a number is that of a field, or within its numbers; 1.1 may stand for 1.10 in a number cell."""
    first, _, last = f.number.partition("-")
    if not last:
        return number == first or (number + "0" == first)
    at = [tuple(map(int, text.split("."))) for text in (first, number.partition("-")[0], last)]
    return at[0] <= at[1] <= at[2]


def _report_columns(sheet: Sheet, found: PlanLines, findings: FilingFindings) -> None:
    """Put down columns with values to the right of the first plan that are of no plan."""
    first, loose = min(found.plans), set()
    for name, row in found.rows.items():
        for column, cell in sheet.rows[row].items():
            if column > first and column not in found.plans and cell.kind != BOOLEAN and name != "plan_name":
                loose.add(column)
    if loose:
        letters = [cell_name(0, column)[:-1] for column in sorted(loose)]
        findings.add("WBK-009", f"{sheet.name}, columns {listed(letters)}", "values without a plan id, left out")
