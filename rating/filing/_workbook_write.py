"""A filing as a workbook in the shape of the Unified Rate Review Template, with live formulas where it computes.

Worksheets 1 to 3 have the template's lines; what its formulas need beside them stands on sheets of its own. Each
formula is the expression of ``filing/urrt_formulas`` with cells for names, and the cell holds our value until a
program recalculates it.
"""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rating.filing._ledger import MARKET, Key
from rating.filing._numbers import CONTEXT
from rating.filing._workbook_book import COMPUTED_STYLE, COPY, ENTRY, INPUT_STYLE, NAME, Book, open_book
from rating.filing._workbook_cells import cell_name
from rating.filing._workbook_content import Content, Contents
from rating.filing._workbook_layout import (
    ALL_PLANS,
    BROADCAST,
    FIRST,
    FIRST_MIX,
    FIRST_PLAN,
    LABELS,
    MARKET_SHEET,
    MIX_COLUMNS,
    MIX_SHEET,
    MONTHS,
    NUMBERS,
    PLAN_LABELS,
    PLAN_SHEET,
    SHEETS,
    TOP,
    TOTALS,
    VARIANT_SHEET,
    VERSION,
    Field,
    Layout,
    Line,
    level_of_place,
)
from rating.filing._workbook_notes import write_notes, write_sources

if TYPE_CHECKING:
    from rating.filing._filing import Filing

__all__ = ["write_workbook"]

_PLANS_A_PAGE = 8
_ROW, _LETTERS, _MOST_LINES = 15, 15, 5  # height of a line of text, its letters in a plan's column, lines of a cell
_SAID = {
    1: "Market experience and projections. Shaded cells are entered, the others follow from them.",
    2: "A column for each plan. Shaded cells are entered; 3.2 comes from worksheet 1, 3.12 to 3.14 hold for all plans.",
    3: "Rating areas and their factors.",
}


def write_workbook(filing: Filing, path: str | os.PathLike[str]) -> Path:
    """Write the workbook of a filing, and return where it stands.

    Parameters
    ----------
    filing : Filing
        Developed or read.
    path : path
        The file, ending in .xlsx.

    Returns
    -------
    Path
        The file. Sheets: the template's three; ``Calibration mix``, ``Plan support`` and ``Market support`` with what
        its formulas need beside them; ``Notes`` (conventions, settings, findings, uncertain figures) and ``Sources``
        (every number with cell, formula, source and note).

    Raises
    ------
    ExtraMissing
        The package of the extra ``excel`` is not installed.
    OutputRefused
        The file does not end in .xlsx, or cannot be written.

    Notes
    -----
    A computed cell is a formula where the formula gives the number: in a filing that was read, a number that does not
    follow from the others stands as it was filed. A blank is an empty cell, or a formula that shows nothing. Consumer
    rates are written by :meth:`Filing.write_rates_template`. Source: URR template, OMB 0938-1141.
    """
    layout = Layout(filing)
    with open_book(path, _title(filing)) as book:
        writer = _Writer(book, layout)
        writer.market_sheet()
        writer.plan_sheet()
        writer.area_sheet()
        if layout.levels:
            writer.mix_sheet()
        if filing.variants.height:
            writer.variant_sheet()
        writer.further_plan_sheet()
        writer.further_market_sheet()
        write_notes(book, filing)
        write_sources(book, filing, layout)
    return Path(path)


def _title(filing: Filing) -> str:
    header = filing.header
    whose = [str(header[name]) for name in ("company_legal_name", "issuer_id", "state", "market") if header.get(name)]
    return ", ".join(["Rate filing", *whose, str(header.get("plan_year", ""))]).replace("_", " ")


class _Writer:
    """The sheets with numbers."""

    def __init__(self, book: Book, layout: Layout) -> None:
        self.book, self.layout = book, layout
        self.filing, self.model, self.contents = layout.filing, layout.model, Contents(layout)

    # -------------------------------------------------------------------------------------------- worksheet 1

    def market_sheet(self) -> None:
        """Write worksheet 1."""
        sheet = self._begin(SHEETS[1], f"Unified Rate Review v{VERSION}", _SAID[1])
        sheet.set_column(LABELS, LABELS, 46)
        sheet.set_column(FIRST, FIRST + 5, 17)
        for section in self.layout.columns:
            self._headings(sheet, section)
        for line in self.layout.market:
            if not line.cells:
                for column in range(LABELS, FIRST + 6):
                    sheet.write_blank(line.row, column, None, self._words("band"))
                sheet.write_string(line.row, LABELS, line.label, self._words("band"))
                continue
            sheet.write_string(line.row, LABELS, line.label, self._words("label"))
            for column, field in line.cells:
                self._market_cell(sheet, line.row, column, field)
            if line.cells[-1][1].column == "end":
                sheet.write_string(line.row, FIRST + 1, "to", self._words("center"))
        sheet.freeze_panes(TOP, FIRST)

    def _market_cell(self, sheet: Any, row: int, column: int, field: Field) -> None:
        if field.is_text:
            value = self.filing.header.get(field.name)
            text = value.replace("_", " ").title() if field.name == "market" and isinstance(value, str) else value
            self.book.put(sheet, row, column, text, field.unit, ENTRY)
            return
        content = self.contents.of((field.name, MARKET), SHEETS[1], is_computed=field.is_computed)
        self.book.put(sheet, row, column, content.value, field.unit, content.style, content.formula)

    def _headings(self, sheet: Any, section: str) -> None:
        """Write the headings of a section's columns; those that begin alike share a heading above them."""
        columns, row = self.layout.columns[section], self.layout.heading_rows[section]
        heads = [_split(column, columns) for column in columns]
        if any(over for over, _ in heads):
            sheet.set_row(row, 45)
            sheet.write_string(row - 1, LABELS, "", self._words("head"))
            sheet.write_string(row, LABELS, "Benefit Category", self._words("head"))
            done: set[str] = set()
            for i, (over, own) in enumerate(heads):
                last = max(j for j, (other, _) in enumerate(heads) if other == over) if over else i
                if over and over not in done:
                    sheet.merge_range(row - 1, FIRST + i, row - 1, FIRST + last, over, self._words("head_center"))
                    done.add(over)
                elif not over:
                    sheet.write_string(row - 1, FIRST + i, "", self._words("head"))
                sheet.write_string(row, FIRST + i, own, self._words("head_right"))
            return
        sheet.write_string(row, LABELS, "", self._words("head"))
        for i, (_, own) in enumerate(heads):
            sheet.write_string(row, FIRST + i, own[:1].upper() + own[1:], self._words("head_right"))

    # -------------------------------------------------------------------------------------------- worksheet 2

    def plan_sheet(self) -> None:
        """Write worksheet 2."""
        plans = self.layout.plans
        pages = max(-(-len(plans) // _PLANS_A_PAGE), 1)
        sheet = self._begin(SHEETS[2], "Product-Plan Data", _SAID[2], pages=(pages, 1))
        self._plan_columns(sheet)
        texts = {row["plan_id"]: row for row in self.filing.plans.to_dicts()}
        freeze = TOP
        for line in self.layout.plan_lines:
            if not line.cells:
                self._heading_of_plans(sheet, line)
                continue
            field = line.cells[0][1]
            if field.unit == "text":  # names of products and plans may be long
                longest = max(len(str(row.get(field.name) or "")) for row in texts.values())
                sheet.set_row(line.row, _ROW * min(max(-(-longest // _LETTERS), 1), _MOST_LINES))
            sheet.write_string(line.row, NUMBERS, line.number, self._words("number_of_line"))
            sheet.write_string(line.row, PLAN_LABELS, line.label, self._words("label"))
            for column, plan in enumerate(plans, FIRST_PLAN):
                self._plan_cell(sheet, line.row, column, field, plan, texts[plan])
            self._all_plans(sheet, line.row, field)
            if field.name == "plan_id":
                freeze = line.row + 1
        sheet.freeze_panes(freeze, FIRST_PLAN)
        sheet.repeat_rows(TOP, freeze - 1)
        sheet.repeat_columns(NUMBERS, PLAN_LABELS)

    def _plan_columns(self, sheet: Any) -> None:
        sheet.set_column(NUMBERS, NUMBERS, 9)
        sheet.set_column(PLAN_LABELS, PLAN_LABELS, 48)
        sheet.set_column(ALL_PLANS, FIRST_PLAN + len(self.layout.plans) - 1, 17)

    def _heading_of_plans(self, sheet: Any, line: Line) -> None:
        last = FIRST_PLAN + len(self.layout.plans)
        if line.label.startswith("Section"):
            for column in range(NUMBERS, last):
                sheet.write_blank(line.row, column, None, self._words("band"))
            sheet.write_string(line.row, NUMBERS, line.label, self._words("band"))
            if line.has_totals:
                sheet.write_string(line.row, ALL_PLANS, "All plans", self._words("band_right"))
            return
        for column in range(NUMBERS, last):
            sheet.write_blank(line.row, column, None, self._words("block"))
        sheet.write_string(line.row, NUMBERS, line.number, self._words("block"))
        sheet.write_string(line.row, PLAN_LABELS, line.label, self._words("block"))

    def _plan_cell(self, sheet: Any, row: int, column: int, field: Field, plan: str, texts: dict[str, Any]) -> None:
        name = field.name
        if field.is_text:
            value = texts.get(name)
            if name in ("metal_level", "plan_category") and isinstance(value, str):
                value = value.replace("_", " ").title()
            self.book.put(sheet, row, column, value, field.unit, NAME if field.unit == "text" else INPUT_STYLE)
            return
        if name in TOTALS and field.grain == "filing":
            return  # stands once, under all plans
        spot = self.layout.copies.get((name, plan))
        key: Key = (name, plan)
        if spot is not None:
            key = self.model.key(name, MARKET if name in BROADCAST else plan)
            if self.layout.spots.get(key) != spot:
                content = self.contents.copied(name, plan, SHEETS[2])
                self.book.put(sheet, row, column, content.value, field.unit, content.style, content.formula)
                return
        content = self.contents.of(key, SHEETS[2], is_computed=field.is_computed)
        self.book.put(sheet, row, column, content.value, field.unit, content.style, content.formula)

    def _all_plans(self, sheet: Any, row: int, field: Field) -> None:
        """Write the column of all plans: a quantity that the filing has, a sum, or a sum over member months."""
        name = TOTALS.get(field.name, "")
        if name and (name, MARKET) in self.filing.ledger:
            content = self.contents.of((name, MARKET), SHEETS[2], is_computed=True)
            self.book.put(sheet, row, ALL_PLANS, content.value, field.unit, content.style, content.formula)
            return
        months = MONTHS.get(field.section, "")
        if not self.layout.plans or not (field.unit in ("usd", "member_months", "members") or field.is_pmpm):
            return
        if not field.is_pmpm:
            cells = self.layout.range_of(field.name, "plan", MARKET, SHEETS[2])
            total = self._sum(field.name)
            formula = f'=IF(COUNT({cells})=0,"",SUM({cells}))' if total is None else f"=SUM({cells})"
            self.book.put(sheet, row, ALL_PLANS, total, field.unit, COMPUTED_STYLE, formula)
            return
        plan = self.layout.plans[0]
        rows = (self.layout.spots[n, plan].row for n in (field.name.removesuffix("_pmpm"), months))
        over, under = (cell_name(at, ALL_PLANS) for at in rows)
        above, below = self._sum(field.name.removesuffix("_pmpm")), self._sum(months)
        value = None if above is None or not below else CONTEXT.divide(above, below)
        formula = f'=IF(N({under})=0,"",{over}/{under})'
        if above is None:
            formula = f'=IF(COUNT({over},{under})<2,"",{over}/{under})'
        self.book.put(sheet, row, ALL_PLANS, value, field.unit, COMPUTED_STYLE, formula)

    def _sum(self, name: str) -> Decimal | None:
        """Return the sum of a quantity over the plans that have it."""
        values = [v for v in (self.model.value(name, plan) for plan in self.layout.plans) if v is not None]
        return sum(values, Decimal(0)) if values else None

    # -------------------------------------------------------------------------------------------- worksheet 3

    def area_sheet(self) -> None:
        """Write worksheet 3."""
        sheet = self._begin(SHEETS[3], "Rating Areas", _SAID[3])
        by_plan = "plan_id" in self.filing.areas.columns
        heads = ["Plan ID"] * by_plan + ["Rating Area", "Rating Factor"]
        sheet.set_column(LABELS, LABELS + len(heads) - 1, 20)
        for i, head in enumerate(heads):
            sheet.write_string(TOP, LABELS + i, head, self._words("head_right" if i == len(heads) - 1 else "head"))
        for row, (plan, area) in enumerate(self.layout.areas, TOP + 1):
            key = ("plan_area_factor", f"{plan} {area}") if by_plan else ("area_factor", area)
            if by_plan:
                sheet.write_string(row, LABELS, plan, self._words("label"))
            number = area.rpartition("-")[2][-3:].lstrip("0")
            label = f"Rating Area {number}" if number.isdigit() else area
            sheet.write_string(row, LABELS + by_plan, label, self._words("label"))
            value = self.filing.ledger.value(*key)
            self.book.put(sheet, row, LABELS + 1 + by_plan, value, "factor", INPUT_STYLE)
        sheet.freeze_panes(TOP + 1, 0)

    # -------------------------------------------------------------------------------------------- further sheets

    def mix_sheet(self) -> None:
        """Write the membership that the calibration rests on."""
        said = "Projected member months by what rates differ by. 3.12 to 3.14 are one over the mean factors of these."
        sheet = self._begin(MIX_SHEET, "Calibration mix", said)
        sheet.set_column(LABELS, FIRST_MIX + 2, 16)
        for i, head in enumerate(("Kind", "Level", "Billable", "Member months", "Factor", "Contract months")):
            sheet.write_string(TOP, LABELS + i, head, self._words("head_right" if i > 2 else "head"))
        for row, (kind, place) in enumerate(self.layout.levels, TOP + 1):
            level, billable = level_of_place(place)
            for i, text in enumerate((kind, level, billable)):
                sheet.write_string(row, LABELS + i, text, self._words("label"))
            for i, column in enumerate(MIX_COLUMNS):
                key = (f"{kind}_{column}", place)
                spot = self.layout.spots.get(key)
                unit = "factor" if column == "factor" else column
                if spot is not None and spot.sheet == MIX_SHEET:
                    self.book.put(sheet, row, FIRST_MIX + i, self.model.value(*key), unit, INPUT_STYLE)
                elif spot is not None:  # the factor of an area stands on worksheet 3
                    value, formula = self.model.value(*key), f"={spot.seen_from(MIX_SHEET)}"
                    self.book.put(sheet, row, FIRST_MIX + i, value, unit, COPY, formula)
        sheet.freeze_panes(TOP + 1, 0)

    def variant_sheet(self) -> None:
        """Write the projected membership of plans by variant."""
        said = "Projected member months by plan and cost-sharing variant."
        sheet = self._begin(VARIANT_SHEET, "Membership by variant", said)
        sheet.set_column(LABELS, LABELS + 2, 18)
        for i, head in enumerate(("Plan ID", "CSR variant", "Member months")):
            sheet.write_string(TOP, LABELS + i, head, self._words("head_right" if i > 1 else "head"))
        for row, (plan, variant, _) in enumerate(self.filing.variants.rows(), TOP + 1):
            sheet.write_string(row, LABELS, plan, self._words("label"))
            sheet.write_string(row, LABELS + 1, variant, self._words("label"))
            months = self.filing.ledger.value("variant_member_months", f"{plan} {variant}")
            self.book.put(sheet, row, LABELS + 2, months, "member_months", COMPUTED_STYLE)
        sheet.freeze_panes(TOP + 1, 0)

    def further_plan_sheet(self) -> None:
        """Write quantities of plans that worksheet 2 has no line for, over the same columns."""
        said = "Quantities of plans that the template has no line for; its formulas refer to them. Columns as there."
        pages = max(-(-len(self.layout.plans) // _PLANS_A_PAGE), 1)
        sheet = self._begin(PLAN_SHEET, "Further quantities of plans", said, pages=(pages, 1))
        self._plan_columns(sheet)
        for column, head in ((NUMBERS, "Unit"), (PLAN_LABELS, "Name"), (ALL_PLANS, "")):
            sheet.write_string(TOP, column, head, self._words("head"))
        rows = {row["plan_id"]: row for row in self.filing.plans.to_dicts()}
        names = [(name, True) for name in self.layout.further_texts]
        names += [(name, False) for name in self.layout.further_of_plans]
        for row, (name, is_text) in enumerate(names, TOP + 1):
            quantity = None if is_text else self.model.formulas.quantity(name, "plan")
            unit = quantity.unit if quantity else "text"
            sheet.write_string(row, NUMBERS, "" if is_text else unit.replace("_", " "), self._words("number_of_line"))
            sheet.write_string(row, PLAN_LABELS, name, self._words("label"))
            for column, plan in enumerate(self.layout.plans, FIRST_PLAN):
                content = Content(rows[plan][name])
                if not is_text:
                    content = self.contents.of((name, plan), PLAN_SHEET)
                value = content.value if not is_text or content.value is None else str(content.value)
                self.book.put(sheet, row, column, value, unit, content.style, content.formula)
        for column, plan in enumerate(self.layout.plans, FIRST_PLAN):
            sheet.write_string(TOP, column, plan, self._words("head_right"))
        sheet.freeze_panes(TOP + 1, FIRST_PLAN)

    def further_market_sheet(self) -> None:
        """Write quantities of the market that worksheet 1 has no line for."""
        said = "Quantities of the market that the template has no line for; its formulas refer to them."
        sheet = self._begin(MARKET_SHEET, "Further quantities of the market", said)
        for column, width in enumerate((34, 18, 16, 70), LABELS):
            sheet.set_column(column, column, width)
        for i, head in enumerate(("Name", "Value", "Unit", "Formula or source")):
            sheet.write_string(TOP, LABELS + i, head, self._words("head_right" if i == 1 else "head"))
        for row, name in enumerate(self.layout.further, TOP + 1):
            quantity, entry = self.model.formulas.quantity(name, "market"), self.filing.ledger.get(name)
            assert quantity is not None
            assert entry is not None
            content = self.contents.of((name, MARKET), MARKET_SHEET)
            sheet.write_string(row, LABELS, name, self._words("label"))
            self.book.put(sheet, row, LABELS + 1, content.value, quantity.unit, content.style, content.formula)
            sheet.write_string(row, LABELS + 2, quantity.unit.replace("_", " "), self._words("unit"))
            sheet.write_string(row, LABELS + 3, entry.formula or entry.source, self._words("remark"))
        sheet.freeze_panes(TOP + 1, 0)

    # -------------------------------------------------------------------------------------------- small things

    def _begin(self, name: str, title: str, said: str, *, pages: tuple[int, int] = (1, 0)) -> Any:
        sheet = self.book.sheet(name, pages=pages)
        sheet.set_column(0, 0, 2)
        sheet.write_string(0, LABELS, title, self._words("title"))
        sheet.write_string(1, LABELS, said, self._words("remark"))
        return sheet

    def _words(self, style: str) -> Any:
        return self.book.words(style)


def _split(column: str, columns: list[str]) -> tuple[str, str]:
    """Return the words that a heading shares with another one, and its own.

    Examples
    --------
    >>> _split("Year 1 Trend Cost", ["Year 1 Trend Cost", "Year 1 Trend Utilization", "Other"])
    ('Year 1 Trend', 'Cost')
    """
    over, _, own = column.rpartition(" ")
    others = [other for other in columns if other != column and other.rpartition(" ")[0] == over]
    return (over, own) if others else ("", column)
