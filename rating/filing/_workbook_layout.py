"""Where the quantities of a filing stand in its workbook: the lines of the template, and the places that follow.

The template's lines, their numbers, labels and order are rows of ``filing/urrt_fields``; every address here follows
from that order and from the plans, areas and levels of the filing. Three further sheets hold what the template has no
line for, so that its formulas find it: the calibration mix, further quantities of plans over the same columns, and
those of the market.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from data_specs import _registry
from rating.filing._expressions import OVER_CATEGORIES, OVER_MARKET, PLACEHOLDER
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._ledger import MARKET, Key
from rating.filing._workbook_cells import cell_name
from rating.filing._workbook_text import parts_of_label

if TYPE_CHECKING:
    from rating.filing._filing import Filing

__all__ = [
    "ALL_PLANS",
    "BROADCAST",
    "FIELD_TABLE",
    "FIRST",
    "FIRST_MIX",
    "FIRST_PLAN",
    "INDEX_RATE",
    "KINDS",
    "LABELS",
    "MARKET_SHEET",
    "MIX_COLUMNS",
    "MIX_SHEET",
    "MONTHS",
    "NUMBERS",
    "PLAN_LABELS",
    "PLAN_SHEET",
    "SECTIONS",
    "SHEETS",
    "TOP",
    "TOTALS",
    "VARIANT_SHEET",
    "VERSION",
    "Field",
    "Layout",
    "Line",
    "Spot",
    "level_of_place",
    "place_of_level",
    "printed_label",
    "template_fields",
]

FIELD_TABLE = "filing/urrt_fields"
VERSION = "8.2"  # whose numbers and labels the table has
SHEETS = {1: "Wksh 1 - Market Experience", 2: "Wksh 2 - Plan Product Info", 3: "Wksh 3 - Rating Areas"}
PLAN_SHEET, MARKET_SHEET, MIX_SHEET, VARIANT_SHEET = "Plan support", "Market support", "Calibration mix", "Variants"
SECTIONS = {
    (1, "general"): "",
    (1, "I"): "Section I: Experience Period Data",
    (1, "II"): "Section II: Projections",
    (2, "I"): "Section I: General Product and Plan Information",
    (2, "II"): "Section II: Experience Period and Current Plan Information",
    (2, "III"): "Section III: Plan Adjustment Factors",
    (2, "IV"): "Section IV: Projected Plan Information",
}
INDEX_RATE = "market_adjusted_index_rate"
# Entered once for all plans, though worksheet 2 has a cell for each.
BROADCAST = ("calib_age", "calib_geo", "calib_tobacco")
# What the column of all plans holds on a line of worksheet 2, where the filing has a name for it.
TOTALS = {
    "exp_loss_ratio": "exp_loss_ratio",
    "proj_loss_ratio": "proj_loss_ratio",
    "proj_premium": "proj_premium_total",
    "proj_premium_pmpm": "mean_premium_pmpm",
    "submission_rate_increase": "submission_rate_increase",
}
MONTHS = {"II": "exp_member_months_plan", "IV": "proj_member_months_plan"}  # of the lines per member per month
KINDS = ("age", "area", "tobacco", "tier")
MIX_COLUMNS = ("member_months", "factor", "contract_months")
_LONGEST_REMARK = 45  # letters of what may stand in parentheses behind a printed label


# ------------------------------------------------------------------------------------------------ lines of the template


@dataclass(frozen=True, slots=True)
class Field:
    """A line of the template, or one cell of a line that has several.

    Attributes
    ----------
    worksheet : int
        1, 2 or 3.
    section : str
        ``general``, ``I`` to ``IV``, ``areas``.
    number, label : str
        Of the line; the number is "" where none is known, and of a line per member per month that of its block.
    column : str
        Heading over the cell, where a line has several: ``PMPM``, ``Year 1 Trend Cost``; "" for one.
    name : str
        The quantity, or a text of the header or of a plan.
    grain, unit, role : str
        As in ``filing/urrt_fields``.
    is_pmpm : bool
        Whether it is one of the lines per member per month of worksheet 2, which repeat those above them.
    """

    worksheet: int
    section: str
    number: str
    label: str
    column: str
    name: str
    grain: str
    unit: str
    role: str
    is_pmpm: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the cell holds a text, code, date or yes and no, and no quantity."""
        return self.unit in ("text", "code", "date", "bool") or self.unit.startswith("id")

    @property
    def is_computed(self) -> bool:
        """Whether the template computes the cell."""
        return self.role != "input"


def template_fields() -> list[Field]:
    """Return the lines of the template in their order; a line that stands for one per measure as these lines.

    Examples
    --------
    >>> next(field.label for field in template_fields() if field.number == "3.15")
    'Calibrated Plan Adjusted Index Rate'
    """
    names = Formulas.of({}).names("plan")
    fields: list[Field] = []
    for row in _registry.table(FIELD_TABLE).to_dicts():
        line, column = parts_of_label(row["field_name"])
        section = row["section"].partition(" ")[0] if row["worksheet"] < 3 else "areas"
        of_line = (row["worksheet"], section, row["field_no"] or "", line, column)
        found = Field(*of_line, *(row[c] for c in ("our_column", "grain", "unit", "role")))
        fields += _expanded(found, fields, names) if "*" in found.name else [_of_several(found, fields)]
    return fields


def _of_several(found: Field, before: list[Field]) -> Field:
    """Return a line as one cell of a line that has several: first and last day, sums under the headings above them."""
    words, _, end = found.label.rpartition(" ")
    if found.unit == "date" and end in ("start", "end"):
        return replace(found, label=words, column=end)
    total, _, words = found.label.partition(" ")
    heading = next((f.column for f in before if f.column and total == "Total" and f.column.startswith(words)), None)
    return found if heading is None else replace(found, label=total, column=heading)


def _expanded(found: Field, before: list[Field], names: list[str]) -> Iterator[Field]:
    """Return a line for each quantity that a name with a star stands for, labeled as the line of its total."""
    labels = {f.name: f.label for f in before}
    for name in names:
        total = name.removesuffix("_pmpm")
        if fnmatchcase(name, found.name) and total in labels:
            yield replace(found, label=f"{labels[total]} PMPM", name=name, is_pmpm=True)


def printed_label(label: str) -> str:
    """Return a label as it is written on a sheet: without the longer remarks of the table.

    Examples
    --------
    >>> printed_label("Plan ID (Standard Component ID)")
    'Plan ID (Standard Component ID)'
    >>> printed_label("CSR Load (separate line in recent versions; inside 3.3 in older ones)")
    'CSR Load'
    """
    return re.sub(rf"\s*\([^()]{{{_LONGEST_REMARK},}}\)", "", label).strip()


def level_of_place(place: str) -> tuple[str, str]:
    """Return level and Y or N (charged) of a place of the calibration mix.

    Examples
    --------
    >>> level_of_place("age 0-14 N"), level_of_place("tobacco Y"), level_of_place("R-TX001")
    (('0-14', 'N'), ('Y', 'Y'), ('R-TX001', 'Y'))
    """
    words = place.split(" ")
    if len(words) == 1:
        return place, "Y"
    return words[1], words[2] if len(words) > 2 else "Y"


def place_of_level(kind: str, level: str, billable: str) -> str:
    """Return the place of a level of the calibration mix.

    Examples
    --------
    >>> place_of_level("age", "0-14", "N"), place_of_level("area", "R-TX001", "Y")
    ('age 0-14 N', 'R-TX001')
    """
    if kind == "area":
        return level
    return f"{kind} {level} {billable}" if kind == "age" else f"{kind} {level}"


# ------------------------------------------------------------------------------------------------ places on sheets


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell: its sheet, and row and column counted from 0."""

    sheet: str
    row: int
    column: int

    def seen_from(self, sheet: str) -> str:
        """Return the cell as a formula on a sheet names it."""
        name = cell_name(self.row, self.column)
        return name if sheet == self.sheet else f"'{self.sheet}'!{name}"

    def to(self, last: Spot, sheet: str) -> str:
        """Return the range from here to another cell of the same sheet, as a formula on a sheet names it."""
        return f"{self.seen_from(sheet)}:{cell_name(last.row, last.column)}"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of worksheet 1 or 2.

    Attributes
    ----------
    row : int
        Counted from 0.
    label, number : str
        As printed; a line without cells is a heading.
    cells : tuple of (int, Field)
        Worksheet 1: column and what stands there. Worksheet 2: one field, over all its columns.
    has_totals : bool
        Of the heading of a section: whether its lines have a value for all plans.
    """

    row: int
    label: str
    number: str = ""
    cells: tuple[tuple[int, Field], ...] = ()
    has_totals: bool = False


# Worksheet 1: labels in B, values from C on. Worksheet 2 and the sheet of further quantities of plans: numbers in B,
# labels in C, all plans in D, then a column for each plan. Rows start below a title.
LABELS, FIRST = 1, 2
NUMBERS, PLAN_LABELS, ALL_PLANS, FIRST_PLAN = 1, 2, 3, 4
TOP, FIRST_MIX = 3, 4


class Layout:
    """Where everything in the workbook of a filing stands.

    Attributes
    ----------
    market : list of Line
        Worksheet 1.
    columns : dict of str to list of str
        Section of worksheet 1 -> headings of its columns from :data:`FIRST` on.
    heading_rows : dict of str to int
        Section of worksheet 1 -> the (last) row of these headings.
    plan_lines : list of Line
        Worksheet 2.
    plans : list of str
        In the order of their columns: product by product.
    areas : list of (plan or "", area)
        Lines of worksheet 3.
    levels : list of (kind, place)
        Lines of the calibration mix.
    further_of_plans, further_texts : list of str
        Quantities and texts of plans that worksheet 2 has no line for.
    further : list of str
        Quantities of the market that worksheet 1 has no line for.
    spots : dict of Key to Spot
        Where a quantity stands.
    copies : dict of Key to Spot
        Cells that repeat a quantity of the market or product in the column of a plan.
    """

    def __init__(self, filing: Filing) -> None:
        self.filing, self.model = filing, filing.model
        products = self.model.places.of("product")
        self.plans = [plan for product in products for plan in self.model.places.of("plan", product)]
        self.spots: dict[Key, Spot] = {}
        self.copies: dict[Key, Spot] = {}
        self.columns: dict[str, list[str]] = {}
        self.heading_rows: dict[str, int] = {}
        fields = template_fields()
        self.market = self._lines_of_market([f for f in fields if f.worksheet == 1])
        self.plan_lines = self._lines_of_plans([f for f in fields if f.worksheet == 2])
        self.areas = self._lines_of_areas()
        self.levels = self._lines_of_mix()
        self.further_of_plans, self.further_texts = self._further_of_plans(fields)
        self.further = self._further_of_market()

    # -------------------------------------------------------------------------------------------- the template

    def _lines_of_market(self, fields: list[Field]) -> list[Line]:
        lines: list[Line] = []
        row = TOP
        for section in dict.fromkeys(f.section for f in fields):
            of_section = [f for f in fields if f.section == section]
            columns = list(dict.fromkeys(f.column for f in of_section if f.column and not f.is_text))
            if SECTIONS[1, section]:
                lines.append(Line(row + 1, SECTIONS[1, section]))
                row += 2
            for label in dict.fromkeys(f.label for f in of_section):
                cells = tuple((_column_of(f, columns), f) for f in of_section if f.label == label)
                if columns and section not in self.heading_rows and not cells[0][1].is_text:
                    row += 2 if _is_in_two_rows(columns) else 1
                    self.columns[section], self.heading_rows[section] = columns, row - 1
                lines.append(Line(row, printed_label(label), cells=cells))
                self.spots.update({(f.name, MARKET): Spot(SHEETS[1], row, column) for column, f in cells})
                row += 1
        return lines

    def _lines_of_plans(self, fields: list[Field]) -> list[Line]:
        lines: list[Line] = []
        row = TOP
        for section in dict.fromkeys(f.section for f in fields):
            has_totals = section in MONTHS or any(f.name in TOTALS for f in fields if f.section == section)
            lines.append(Line(row, SECTIONS[2, section], has_totals=has_totals))
            row += 1
            is_pmpm = False
            for f in (f for f in fields if f.section == section):
                if f.is_pmpm and not is_pmpm:
                    lines.append(Line(row, "Per Member Per Month", f.number))
                    row, is_pmpm = row + 1, True
                lines.append(Line(row, printed_label(f.label), "" if f.is_pmpm else f.number, ((FIRST_PLAN, f),)))
                self._put_line(f, row)
                row += 1
            row += 1
        return lines

    def _put_line(self, field: Field, row: int) -> None:
        """Say where the quantity of a line stands: for each plan, once for its product, or once in all."""
        sheet, name = SHEETS[2], field.name
        spots = {plan: Spot(sheet, row, FIRST_PLAN + i) for i, plan in enumerate(self.plans)}
        if name in TOTALS:
            self.spots.setdefault((TOTALS[name], MARKET), Spot(sheet, row, ALL_PLANS))
        if field.is_text:
            return
        if field.grain == "plan" and name != INDEX_RATE:
            self.spots.update({(name, plan): spot for plan, spot in spots.items()})
        elif field.grain == "product":
            for plan, spot in spots.items():
                self.spots.setdefault((name, self.model.places.product_of[plan]), spot)
            self.copies.update({(name, plan): spot for plan, spot in spots.items()})
        elif name == INDEX_RATE or name in BROADCAST:
            self.copies.update({(name, plan): spot for plan, spot in spots.items()})
            if name in BROADCAST and self.plans:
                self.spots[name, MARKET] = spots[self.plans[0]]

    def _lines_of_areas(self) -> list[tuple[str, str]]:
        frame = self.filing.areas
        by_plan = "plan_id" in frame.columns
        plans = frame["plan_id"].to_list() if by_plan else [MARKET] * frame.height
        lines = list(zip(plans, frame["rating_area_id"].to_list(), strict=True))
        for i, (plan, area) in enumerate(lines):
            key = ("plan_area_factor", f"{plan} {area}") if by_plan else ("area_factor", area)
            self.spots[key] = Spot(SHEETS[3], TOP + 1 + i, LABELS + (2 if by_plan else 1))
        return lines

    # -------------------------------------------------------------------------------------------- further sheets

    def _lines_of_mix(self) -> list[tuple[str, str]]:
        lines: list[tuple[str, str]] = []
        for kind in KINDS:
            places = self.model.places.of(kind)
            if any((f"{kind}_member_months", place) in self.filing.ledger for place in places):
                lines += [(kind, place) for place in places]
        for i, (kind, place) in enumerate(lines):
            for j, column in enumerate(MIX_COLUMNS):
                key = (f"{kind}_{column}", place)
                if self.model.formulas.quantity(key[0], kind) is not None:
                    self.spots.setdefault(key, Spot(MIX_SHEET, TOP + 1 + i, FIRST_MIX + j))
        return lines

    def _further_of_plans(self, fields: list[Field]) -> tuple[list[str], list[str]]:
        known = set(self.plans)
        held = {entry.name for entry in self.filing.ledger if entry.place in known}
        on_sheet = {f.name for f in fields if f.worksheet == 2}
        names = [n for n in dict.fromkeys(self.model.formulas.names("plan")) if n in held - on_sheet]
        quantities = set(self.model.formulas.names("plan")) | {INDEX_RATE}
        texts = [c for c in self.filing.plans.columns if c not in on_sheet | quantities]
        for i, name in enumerate(names):
            row = TOP + 1 + len(texts) + i
            for j, plan in enumerate(self.plans):
                self.spots[name, plan] = Spot(PLAN_SHEET, row, FIRST_PLAN + j)
        return names, texts

    def _further_of_market(self) -> list[str]:
        names = self.model.formulas.names("market")
        held = [n for n in names if (n, MARKET) in self.filing.ledger and (n, MARKET) not in self.spots]
        self.spots.update({(n, MARKET): Spot(MARKET_SHEET, TOP + 1 + i, LABELS + 1) for i, n in enumerate(held)})
        return held

    # -------------------------------------------------------------------------------------------- for formulas

    def resolver(self, sheet: str, place: str, *, blanks_count: bool = True) -> Callable[[str, str], str]:
        """Return how a formula on a sheet, of a quantity at a place, names the cells it is worked out from.

        Parameters
        ----------
        sheet, place : str
            Where the formula stands, and what it is of.
        blanks_count : bool
            Name a part that is blank so that it counts as zero, as in our arithmetic, where it is multiplied by zero.

        Raises
        ------
        KeyError
            The call of what is returned, for a part that stands nowhere.
        """

        def resolve(name: str, over: str) -> str:
            if over not in ("", OVER_MARKET):
                return self.range_of(name, over, place, sheet)
            key = self.model.key(name, MARKET if over else place)
            copy = None if over else self.copies.get((name, place))
            cell = (copy or self.spots[key]).seen_from(sheet)
            return f"N({cell})" if blanks_count and self.model.value(*key) is None else cell

        return resolve

    def keys_of(self, name: str, over: str, place: str) -> list[Key]:
        """Return the quantities that a sum runs over."""
        if over == OVER_CATEGORIES:
            return [(name.replace(PLACEHOLDER, category), place) for category in CATEGORIES]
        return [(name, at) for at in self.model.places.of(over, place)]

    def range_of(self, name: str, over: str, place: str, sheet: str) -> str:
        """Return the cells that a sum runs over; they stand next to each other."""
        spots = sorted((self.spots[key] for key in self.keys_of(name, over, place)), key=lambda s: (s.row, s.column))
        return spots[0].to(spots[-1], sheet)


def _column_of(field: Field, columns: list[str]) -> int:
    """Return the column of a cell of worksheet 1; a single value stands where the arithmetic runs down."""
    if field.is_text:
        return FIRST + (2 if field.column == "end" else 0)
    if field.column:
        return FIRST + columns.index(field.column)
    return FIRST + (len(columns) - 1 if _is_in_two_rows(columns) else 0)


def _is_in_two_rows(columns: list[str]) -> bool:
    return any(len(column.split()) > 2 for column in columns)
