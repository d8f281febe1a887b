"""A filing from its workbook: ours, or one that was filed, with errors, currency text and blanks where they stand.

Nothing is worked out that stands in the workbook: a number is what the cell holds, and where it does not follow from
the others the review says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._declared import given_settings
from rating.filing._filing import AS_FILED, Filing
from rating.filing._filing_frames import assembled, filled_ledger
from rating.filing._filing_input import METALS, NEW, PLAN_TEXTS, RENEWING, TERMINATED
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import FilingFindings, listed, refusal
from rating.filing._formulas import Formulas
from rating.filing._ledger import MARKET, Entry, Key
from rating.filing._model import FilingModel, Places
from rating.filing._rates_template import empty_rates
from rating.filing._workbook_cells import ERROR, Cell, Sheet, cell_name, read_sheets
from rating.filing._workbook_layout import BROADCAST, INDEX_RATE, KINDS, TOTALS, VERSION, Field, template_fields
from rating.filing._workbook_lines import PlanLines, find_sheets, find_version, market_lines, plan_lines
from rating.filing._workbook_support import Support, area_rows, read_support
from rating.filing._workbook_text import date_of, flag_of, label_key, number_of, text_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_workbook"]

_CELL_COLUMNS = ("name", "place", "sheet", "cell", "text", "state")
_NEEDED_OF_MARKET = (INDEX_RATE, "projected_index_rate")
_NEEDED_OF_PLANS = ("metal_level", "plan_category", "plan_adjusted_index_rate", "calibrated_plan_adjusted_index_rate")
_MARKETS = {"individual": "individual", "small group": "small_group", "combined": "combined"}
_NOISE = Decimal("1e-12")  # between a value and a copy of it, of the value
_PRODUCT = 10  # characters of a plan id that name its product


def read_workbook(path: str | os.PathLike[str], *, settings: Mapping[str, Any] | None = None) -> Filing:
    """Return the filing that a workbook of the Unified Rate Review Template holds.

    Lines are found by their numbers and labels, plans by their ids; rows and columns may be others than in the version
    known (8.2), hidden or in between.

    Parameters
    ----------
    path : path
        The workbook: .xlsx or .xlsm, as :meth:`Filing.write_workbook` writes it or as it was filed.
    settings : mapping, optional
        See :class:`rating.filing.FilingSettings`. A filed workbook does not say under which settings it was made; one
        of ours does, and `settings` stand before what it says.

    Returns
    -------
    Filing
        All numbers as they stand in the workbook, whether they follow from each other or not; ``ledger`` names the cell
        of each as its source, ``cells`` has all cells of quantities with their state: ``number``, ``missing``,
        ``error_in_source`` (an error text, or a text that is no number). Numbers that the template has no line for are
        worked out, or taken from the sheets that our workbook has for them. Consumer rates are in another file:
        :func:`rating.filing.read_rates_template`.

    Raises
    ------
    InputRefused
        The file is no workbook; a worksheet is missing, or lines that a filing cannot do without (another version);
        no plan can be told, or one stands twice; issuer, state, market or year cannot be told; 3.12 to 3.14, or other
        values that there are once, differ between plans.
    SettingRefused
        A setting has no such name or value.

    Notes
    -----
    Source: URR template (OMB 0938-1141), v8.2 for numbers; filed workbooks for what they are like: computed cells saved
    as ``#VALUE!``, 3.11 and 3.15 as ``$723.88``, dates as day numbers (46388 is 1 January 2027), 3.12 to 3.14 in the
    first plan's column only, no line 3.4 in older versions.
    """
    where = Path(path).name
    sheets = read_sheets(path)
    fields = template_fields()
    reader = _Reader(where, FilingFindings(), Formulas.of({}))
    found = find_sheets(sheets, fields, where)
    support = read_support(sheets, reader.formulas)
    chosen = FilingSettings.of({**support.settings, **given_settings(settings)})
    reader.formulas = Formulas.of({**chosen.as_dict(), **support.in_force})
    reader.check_version(find_version(sheets))
    header = reader.market(found[1], [f for f in fields if f.worksheet == 1])
    texts = reader.plans(found[2], [f for f in fields if f.worksheet == 2], support)
    header = reader.checked_header({**header, **support.header}, texts)
    areas = reader.areas(found.get(3), header["state"])
    reader.take(support)
    return _filing(reader, support, header, texts, areas, chosen)


@dataclass
class _Reader:
    """What was read so far."""

    where: str
    findings: FilingFindings
    formulas: Formulas
    entries: dict[Key, Entry] = field(default_factory=dict)
    cells: list[tuple[str, ...]] = field(default_factory=list)
    product_of: dict[str, str] = field(default_factory=dict)
    as_text: dict[str, list[str]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, list[str]] = field(default_factory=dict)

    # -------------------------------------------------------------------------------------------- numbers

    def check_version(self, version: str) -> None:
        """Put down a version that is not the one known line by line."""
        if version.partition(".")[0] != VERSION.partition(".")[0]:
            said = f"the workbook is of version {version}" if version else "the workbook does not say its version"
            self.findings.add("WBK-004", self.where, f"{said}; lines are those of {VERSION}")

    def number(self, name: str, place: str, sheet: Sheet, at: tuple[int, int]) -> tuple[Decimal | None, str]:
        """Return number and state of a cell, and put the cell down."""
        cell = sheet.get(*at)
        value, state = self._read(name, cell, sheet.at(*at))
        self.cells.append((name, place, sheet.name, cell_name(*at), text_of(cell), state))
        return value, state

    def _read(self, name: str, cell: Cell | None, at: str) -> tuple[Decimal | None, str]:
        if cell is None:
            return None, "missing"
        if cell.kind == ERROR:
            self.errors.setdefault(name, []).append(at)
            return None, "error_in_source"
        value, is_readable = number_of(cell)
        if not is_readable:
            self.unread.setdefault(name, []).append(at)
            return None, "error_in_source"
        if value is not None and cell.kind != "number":
            self.as_text.setdefault(name, []).append(at)
        return value, "missing" if value is None else "number"

    def enter(self, name: str, place: str, grain: str, value: Decimal | None, at: str, note: str = "") -> None:
        """Enter a number as filed; None is a blank."""
        quantity = self.formulas.quantity(name, grain)
        unit = quantity.unit if quantity else "factor"
        source = f"{AS_FILED}: {at}" if at else AS_FILED
        self.entries[name, place] = Entry(name, place, value, unit, source=source, note=note)

    # -------------------------------------------------------------------------------------------- worksheet 1

    def market(self, sheet: Sheet, fields: list[Field]) -> dict[str, Any]:
        """Read worksheet 1; return its texts and dates."""
        lines = market_lines(sheet, fields, self.findings)
        self._check_lines(sheet, [n for n in _NEEDED_OF_MARKET if n not in lines.cells], lines.missing)
        header: dict[str, Any] = {}
        for f in fields:
            at = lines.cells.get(f.name)
            if f.is_text:
                header[f.name] = None if at is None else self._text(f, sheet, at)
            elif at is not None:
                value, _ = self.number(f.name, MARKET, sheet, at)
                self.enter(f.name, MARKET, "market", value, sheet.at(*at))
        return header

    def _check_lines(self, sheet: Sheet, needed: list[str], missing: list[Field]) -> None:
        if needed:
            raise refusal(
                "WBK-003",
                f"no line for {listed(needed)}",
                f"{self.where}, {sheet.name}",
                "hand in a workbook of version 5 or later of the template, or mend the labels of these lines",
            )
        absent = [f.name for f in missing]
        if absent:
            self.findings.add("WBK-010", sheet.name, f"no line for {listed(absent)}")

    def _text(self, f: Field, sheet: Sheet, at: tuple[int, int]) -> Any:
        """Return a text, date or yes and no; None where it is blank, an error, or not to be read."""
        cell = sheet.get(*at)
        if cell is None or cell.kind == ERROR:
            if cell is not None:
                self.errors.setdefault(f.name, []).append(sheet.at(*at))
            return None
        text = text_of(cell)
        if f.unit == "date":
            day = date_of(cell, starts_1904=sheet.starts_1904)
            if day is None and text != "0":
                self.unread.setdefault(f.name, []).append(sheet.at(*at))
            return day
        if f.unit == "id5":
            return text.partition(".")[0].zfill(5) if text.replace(".", "").isdigit() else text
        return text

    # -------------------------------------------------------------------------------------------- worksheet 2

    def plans(self, sheet: Sheet, fields: list[Field], support: Support) -> pl.DataFrame:
        """Read worksheet 2; return the texts of the plans, a row for each."""
        import polars as pl

        lines = plan_lines(sheet, fields, self.findings)
        no_csr_load = "adj_csr_load" not in lines.rows and "adj_av_cost_sharing" in lines.rows
        missing = [f for f in lines.missing if not (no_csr_load and f.name == "adj_csr_load")]
        self._check_lines(sheet, [n for n in _NEEDED_OF_PLANS if n not in lines.rows], missing)
        texts = self._texts_of_plans(sheet, fields, lines)
        self.product_of = {row["plan_id"]: row["product_id"] for row in texts}
        for f in (f for f in fields if not f.is_text and f.name in lines.rows):
            self._line(f, sheet, lines)
        if no_csr_load:
            self.findings.add("WBK-011", sheet.name, "adj_csr_load is taken as 1")
            for plan in lines.plans.values():
                self.enter("adj_csr_load", plan, "plan", Decimal(1), "", "no line 3.4: within 3.3")
        self._catastrophic(sheet, texts)
        for row in texts:
            row.update({name: of_plan.get(row["plan_id"]) for name, of_plan in support.plan_texts.items()})
        dates, flags = ("plan_effective_date",), ("on_exchange",)
        schema = {name: pl.Date if name in dates else pl.Boolean if name in flags else pl.String for name in texts[0]}
        return pl.DataFrame(texts, schema=schema)

    def _texts_of_plans(self, sheet: Sheet, fields: list[Field], lines: PlanLines) -> list[dict[str, Any]]:
        known = {f.name: f for f in fields if f.is_text and f.name in lines.rows}
        rows: list[dict[str, Any]] = []
        for column, plan in lines.plans.items():
            row: dict[str, Any] = dict.fromkeys(PLAN_TEXTS)
            for name, f in known.items():
                row[name] = self._text(f, sheet, (lines.rows[name], column))
            row["plan_id"] = plan
            row["product_id"] = row["product_id"] or plan[:_PRODUCT]
            row["metal_level"] = self._word("metal_level", row["metal_level"], METALS, plan)
            row["plan_category"] = self._word("plan_category", row["plan_category"], (NEW, RENEWING, TERMINATED), plan)
            row["on_exchange"] = self._flag(row["on_exchange"], plan)
            rows.append(row)
        names = {row["product_id"]: row["product_name"] for row in reversed(rows) if row["product_name"]}
        for row in rows:  # a product's name may stand over its first plan only
            row["product_name"] = row["product_name"] or names.get(row["product_id"])
        return rows

    def _word(self, name: str, text: str | None, words: tuple[str, ...], plan: str) -> str | None:
        """Return a word of a list as we write it; one that is not known stays as it is, and is put down."""
        word = label_key(text or "").replace(" ", "_")
        if word in words:
            return word
        self.findings.add("WBK-019", f"plan {plan}", f"{name} is {text!r}" if text else f"{name} is blank")
        return text.strip().lower() if text else None

    def _flag(self, text: str | None, plan: str) -> bool | None:
        if text is None:
            return None
        flag = flag_of(Cell("text", text))
        if flag is None:
            self.findings.add("WBK-019", f"plan {plan}", f"on_exchange is {text!r}")
        return flag

    def _line(self, f: Field, sheet: Sheet, lines: PlanLines) -> None:
        """Read a line of worksheet 2: a value for each plan, for each product, or once."""
        row = lines.rows[f.name]
        if f.grain == "plan" and f.name != INDEX_RATE:
            for column, plan in lines.plans.items():
                value, _ = self.number(f.name, plan, sheet, (row, column))
                self.enter(f.name, plan, "plan", value, sheet.at(row, column))
        elif f.name == INDEX_RATE:
            for column, plan in lines.plans.items():
                value, _ = self.number(f.name, plan, sheet, (row, column))
                if value is not None:  # where it is not readable, the market's stands for it
                    self.enter(f.name, plan, "market", value, sheet.at(row, column))
        elif f.grain == "product":
            for product in dict.fromkeys(self.product_of.values()):
                columns = [c for c, plan in lines.plans.items() if self.product_of[plan] == product]
                self._once(f.name, product, "product", sheet, row, columns)
        else:
            before = [] if f.name in BROADCAST else list(lines.totals)
            self._once(f.name, MARKET, "market", sheet, row, [*before, *lines.plans])
        total = TOTALS.get(f.name, "")
        if total and f.grain != "filing" and any(sheet.get(row, column) for column in lines.totals):
            self._once(total, MARKET, "market", sheet, row, list(lines.totals))

    def _once(self, name: str, place: str, grain: str, sheet: Sheet, row: int, columns: list[int]) -> None:
        """Read a value that there is once, and that may stand in one or all of some columns.

        Raises
        ------
        InputRefused
            It differs between them.
        """
        held = [column for column in columns if sheet.get(row, column) is not None] or columns[:1]
        read = [(column, *self._read(name, sheet.get(row, column), sheet.at(row, column))) for column in held]
        values = [value for _, value, _ in read if value is not None]
        if any(abs(value - values[0]) > _NOISE * abs(values[0]) for value in values):
            raise refusal(
                "WBK-007",
                f"{name} differs between columns: {listed(sorted({f'{v:f}' for v in values}))}",
                f"{self.where}, {sheet.name}, row {row + 1}",
                "it holds for all plans" if not place else f"it holds for all plans of {place}",
            )
        column, value, state = next((r for r in read if r[2] == "number"), read[0])
        text = text_of(sheet.get(row, column))
        self.cells.append((name, place, sheet.name, cell_name(row, column), text, state))
        self.enter(name, place, grain, value, sheet.at(row, column))

    def _catastrophic(self, sheet: Sheet, texts: list[dict[str, Any]]) -> None:
        """Take a blank adjustment of plans that are not catastrophic as 1: it is not theirs."""
        name = "adj_catastrophic"
        states = {cell[1]: cell[5] for cell in self.cells if cell[0] == name}
        plans = [
            row["plan_id"]
            for row in texts
            if states.get(row["plan_id"], "missing") == "missing"
            and row["metal_level"] not in (None, "catastrophic")
            and row["plan_category"] != TERMINATED
        ]
        for plan in plans:
            self.enter(name, plan, "plan", Decimal(1), "", "blank: not a catastrophic plan, 45 CFR 156.80(d)(2)(v)")
        if plans:
            self.findings.add("WBK-016", sheet.name, f"{name} of {listed(plans)}")

    # -------------------------------------------------------------------------------------------- header, areas, rest

    def checked_header(self, header: dict[str, Any], texts: pl.DataFrame) -> dict[str, Any]:
        """Return the header with the plan year; refuse one that does not say whose filing it is.

        Raises
        ------
        InputRefused
            Issuer, state, market or effective date is absent, or is none.
        """
        day = header.get("effective_date") or next((d for d in texts["plan_effective_date"] if d is not None), None)
        market = _MARKETS.get(label_key(header.get("market") or ""))
        issuer, state = header.get("issuer_id") or "", (header.get("state") or "").upper()
        broken = []
        broken += [] if len(issuer) == 5 and issuer.isdigit() else ["HIOS Issuer ID"]
        broken += [] if len(state) == 2 and state.isalpha() else ["State"]
        broken += [] if market else ["Market (individual, small group, combined)"]
        broken += [] if isinstance(day, date) else ["Effective Date of Rate Change(s)"]
        if broken:
            remedy = "fill it in: the template has it above section I"
            raise refusal("WBK-015", f"{listed(broken)} cannot be told", f"{self.where}, worksheet 1", remedy)
        assert day is not None
        for plan, product in self.product_of.items():
            if plan[:5] != issuer or plan[5:7] != state or not plan.startswith(product[:_PRODUCT]):
                said = f"its ids do not belong to issuer {issuer}, state {state} and each other: product {product}"
                self.findings.add("WBK-017", f"plan {plan}", said)
        return {
            **header,
            "issuer_id": issuer,
            "state": state,
            "market": market,
            "effective_date": day,
            "plan_year": int(header.get("plan_year") or day.year),
        }

    def areas(self, sheet: Sheet | None, state: str) -> pl.DataFrame:
        """Read worksheet 3; return area, factor, and plan where factors differ by plan.

        Raises
        ------
        InputRefused
            An area stands twice.
        """
        import polars as pl

        rows = [] if sheet is None else area_rows(sheet, state)
        by_plan = any(plan for plan, *_ in rows)
        lines: list[tuple[str, float, str]] = []
        for plan, area, at in rows:
            assert sheet is not None
            name, place = ("plan_area_factor", f"{plan} {area}") if by_plan else ("area_factor", area)
            if (name, place) in self.entries:
                remedy = "leave one of the lines"
                raise refusal("WBK-018", f"{area} stands twice", sheet.at(*at), remedy)
            value, state_of_cell = self.number(name, place, sheet, at)
            if state_of_cell == "missing":
                continue  # the template lists areas where nothing is sold
            self.enter(name, place, "area", value, sheet.at(*at))
            if value is not None:
                lines.append((area, float(value), plan))
        schema = {"rating_area_id": pl.String, "area_factor": pl.Float64, "plan_id": pl.String}
        frame = pl.DataFrame(lines, schema=schema, orient="row").sort("plan_id", "rating_area_id")
        return frame if by_plan else frame.drop("plan_id")

    def take(self, support: Support) -> None:
        """Enter what the sheets beside the template hold, where the template has no line for it."""
        for name, place, grain, sheet, at in support.numbers:
            if (name, place) in self.entries:
                continue
            value, _ = self.number(name, place, sheet, at)
            self.enter(name, place, grain, value, sheet.at(*at))

    def report(self) -> None:
        """Put down errors, texts read as numbers, and texts that could not be read, by name."""
        for rule, found, said in (
            ("WBK-005", self.errors, "an error text"),
            ("WBK-006", self.unread, "a text that cannot be read"),
        ):
            for name, places in found.items():
                at = [place.partition("!")[2] for place in places]
                number = "1 cell holds" if len(at) == 1 else f"{len(at)} cells hold"
                where = f"{places[0].partition('!')[0]}!{listed(at)}"
                self.findings.add(rule, where, f"{name}: {number} {said}")
        by_sheet: dict[str, list[str]] = {}
        for name, places in self.as_text.items():
            by_sheet.setdefault(places[0].partition("!")[0], []).append(name)
        for sheet, names in by_sheet.items():
            self.findings.add("WBK-014", sheet, f"numbers read from a text: {listed(names)}")


def _filing(
    reader: _Reader,
    support: Support,
    header: dict[str, Any],
    texts: pl.DataFrame,
    areas: pl.DataFrame,
    chosen: FilingSettings,
) -> Filing:
    """Return the filing of what was read."""
    import polars as pl

    from rating._figures import Figures

    reader.report()
    ids = areas["rating_area_id"].unique().sort().to_list()
    kinds = {kind: tuple(p for k, p in support.levels if k == kind) for kind in KINDS}
    areas_held = tuple(dict.fromkeys([*ids, *kinds["area"]]))
    places = Places(reader.product_of, areas_held, kinds["age"], kinds["tobacco"], kinds["tier"])
    model = FilingModel(reader.formulas, {key: e.value for key, e in reader.entries.items()}, places)
    header.setdefault("rules_of_state", chosen.rules_of_state or header["state"])
    header.setdefault("claims_paid_through", None)
    return assembled(
        header=header,
        model=model,
        ledger=filled_ledger(model, reader.entries, support.variants),
        texts=texts,
        chosen=chosen,
        settings=support.settings_frame(chosen),
        findings=reader.findings.frame(),
        uncertain=Figures().uncertain(),
        areas=areas,
        rates=empty_rates(),
        mix=support.mix_frame(model),
        variants=support.variants_frame(),
        cells=pl.DataFrame(reader.cells, schema=dict.fromkeys(_CELL_COLUMNS, pl.String), orient="row"),
    )
