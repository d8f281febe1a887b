"""What stands beside the template in a workbook of ours, read back; and the rating areas of worksheet 3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from data_specs._policy import canonical_rating_areas
from rating.filing._filing import AS_FILED
from rating.filing._filing_settings import FilingSettings
from rating.filing._ledger import Entry
from rating.filing._workbook_cells import TEXT, Sheet
from rating.filing._workbook_layout import (
    KINDS,
    MARKET_SHEET,
    MIX_COLUMNS,
    MIX_SHEET,
    PLAN_LABELS,
    PLAN_SHEET,
    VARIANT_SHEET,
    level_of_place,
    place_of_level,
)
from rating.filing._workbook_notes import HEADER_TABLE, NOTES_SHEET, SETTINGS_TABLE
from rating.filing._workbook_text import label_key, number_of, text_of

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._formulas import Formulas
    from rating.filing._model import FilingModel

__all__ = ["Support", "area_rows", "read_support"]

Place = tuple[int, int]
_IN_FORCE = " in force"
_PLAN_ID = re.compile(r"[0-9]{5}[A-Z]{2}[0-9]{7}")


@dataclass
class Support:
    """What the sheets beside the template hold; nothing, where there are none.

    Attributes
    ----------
    settings, in_force : dict
        Settings of the filing that differ from the default, and what stood in for a rule of choice.
    settings_lines : list of tuple
        ``setting``, ``value``, ``source``, ``basis``, all of them.
    header : dict
        Entries of the header that worksheet 1 has no line for.
    plan_texts : dict of str to dict
        Name -> plan -> text.
    numbers : list of (name, place, grain, Sheet, (row, column))
        Cells of quantities.
    levels : list of (kind, place)
        Of the calibration mix, in their order.
    variants : list of Entry
        Projected member months by variant.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    in_force: dict[str, str] = field(default_factory=dict)
    settings_lines: list[tuple[str, ...]] = field(default_factory=list)
    header: dict[str, Any] = field(default_factory=dict)
    plan_texts: dict[str, dict[str, str | None]] = field(default_factory=dict)
    numbers: list[tuple[str, str, str, Sheet, Place]] = field(default_factory=list)
    levels: list[tuple[str, str]] = field(default_factory=list)
    variants: list[Entry] = field(default_factory=list)

    def settings_frame(self, chosen: FilingSettings) -> pl.DataFrame:
        """Return the settings as the workbook says them, those chosen now in their place."""
        import polars as pl

        frame = chosen.frame()
        rest = [line for line in self.settings_lines if line[0] not in set(frame["setting"])]
        return pl.concat([frame, pl.DataFrame(rest, schema=frame.schema, orient="row")])

    def mix_frame(self, model: FilingModel) -> pl.DataFrame:
        """Return the calibration mix as :class:`rating.filing.Filing` has it."""
        import polars as pl

        lines = []
        for kind, place in self.levels:
            values = (model.value(f"{kind}_{column}", place) for column in MIX_COLUMNS)
            lines.append((kind, *level_of_place(place), *(None if v is None else float(v) for v in values)))
        texts = dict.fromkeys(("kind", "level", "billable"), pl.String)
        return pl.DataFrame(lines, schema={**texts, **dict.fromkeys(MIX_COLUMNS, pl.Float64)}, orient="row")

    def variants_frame(self) -> pl.DataFrame:
        """Return projected membership by variant as :class:`rating.filing.Filing` has it."""
        import polars as pl

        lines = [(*e.place.split(" "), None if e.value is None else float(e.value)) for e in self.variants]
        schema = {"plan_id": pl.String, "csr_variant": pl.String, "member_months": pl.Float64}
        return pl.DataFrame(lines, schema=schema, orient="row").sort("plan_id", "csr_variant")


def read_support(sheets: list[Sheet], formulas: Formulas) -> Support:
    """Return what the sheets beside the template hold."""
    by_name = {sheet.name: sheet for sheet in sheets}
    found = Support()
    if NOTES_SHEET in by_name:
        _read_notes(by_name[NOTES_SHEET], found)
    if MIX_SHEET in by_name:
        _read_mix(by_name[MIX_SHEET], found)
    if PLAN_SHEET in by_name:
        _read_plans(by_name[PLAN_SHEET], found, formulas)
    if MARKET_SHEET in by_name:
        for row, columns in _below(by_name[MARKET_SHEET], ("name", "value")):
            name = text_of(by_name[MARKET_SHEET].get(row, columns[0]))
            if formulas.quantity(name, "market") is not None:
                found.numbers.append((name, "", "market", by_name[MARKET_SHEET], (row, columns[1])))
    if VARIANT_SHEET in by_name:
        found.variants = list(_variants(by_name[VARIANT_SHEET]))
    return found


def _below(sheet: Sheet, headings: tuple[str, ...]) -> Iterator[tuple[int, list[int]]]:
    """Yield the rows under a line of headings, and the columns of these; nothing where there is no such line."""
    columns: list[int] | None = None
    for row, cells in sheet.rows.items():
        if columns is not None:
            yield row, columns
            continue
        keys = {label_key(cell.text): column for column, cell in cells.items() if cell.kind == TEXT}
        if all(heading in keys for heading in headings):
            columns = [keys[heading] for heading in headings]


def _read_mix(sheet: Sheet, found: Support) -> None:
    headings = ("kind", "level", "billable", *(column.replace("_", " ") for column in MIX_COLUMNS))
    for row, columns in _below(sheet, headings):
        kind, level, billable = (text_of(sheet.get(row, column)) for column in columns[:3])
        if kind not in KINDS:
            continue
        place = place_of_level(kind, level, billable)
        found.levels.append((kind, place))
        for name, column in zip(MIX_COLUMNS, columns[3:], strict=True):
            if name != "contract_months" or kind == "tier":
                found.numbers.append((f"{kind}_{name}", place, kind, sheet, (row, column)))


def _read_plans(sheet: Sheet, found: Support, formulas: Formulas) -> None:
    plans: dict[int, str] = {}
    for row, cells in sheet.rows.items():
        texts = {column: text_of(cell) for column, cell in cells.items()}
        name = texts.get(PLAN_LABELS, "")
        if not plans:  # until the line of headings
            plans = {column: text for column, text in texts.items() if _PLAN_ID.fullmatch(text)}
        elif formulas.quantity(name, "plan") is not None:
            found.numbers += [(name, plan, "plan", sheet, (row, column)) for column, plan in plans.items()]
        elif name:
            found.plan_texts[name] = {plan: texts.get(column) or None for column, plan in plans.items()}


def _variants(sheet: Sheet) -> Iterator[Entry]:
    for row, columns in _below(sheet, ("plan id", "csr variant", "member months")):
        plan, variant = (text_of(sheet.get(row, column)) for column in columns[:2])
        cell = sheet.get(row, columns[2])
        value = None if cell is None else number_of(cell)[0]
        source = f"{AS_FILED}: {sheet.at(row, columns[2])}"
        yield Entry("variant_member_months", f"{plan} {variant}", value, "member_months", source=source)


def _read_notes(sheet: Sheet, found: Support) -> None:
    """Read the tables of settings and of further entries of the header, each under its title."""
    table = ""
    for cells in sheet.rows.values():
        texts = [text_of(cells.get(column)) for column in range(1, 5)]
        if texts[0] in (SETTINGS_TABLE, HEADER_TABLE) and not any(texts[1:]):
            table = texts[0]
        elif not any(texts[1:]):
            table = ""
        elif table == SETTINGS_TABLE and texts[0] != "setting":
            found.settings_lines.append(tuple(texts))
            _take_setting(texts[0], texts[1], texts[2], found)
        elif table == HEADER_TABLE and texts[0] != "name":
            found.header[texts[0]] = _of_header(texts[1])


def _take_setting(name: str, text: str, source: str, found: Support) -> None:
    if name.endswith(_IN_FORCE):
        found.in_force[name.removesuffix(_IN_FORCE)] = text
    elif name in FilingSettings.names() and source != "default":
        value: Any = None if text == "None" else int(text) if text.isdigit() else text
        found.settings[name] = value


def _of_header(text: str) -> Any:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return int(text) if text.isdigit() else text


# ------------------------------------------------------------------------------------------------ worksheet 3


def area_rows(sheet: Sheet, state: str) -> list[tuple[str, str, Place]]:
    """Return plan ("" where factors hold for all), rating area, and row and column of the factor.

    Areas are written ``Rating Area 1`` or ``R-TX001``; mere numbers count under the heading "Rating Area".
    """
    import polars as pl

    heading = next(
        (c for cells in sheet.rows.values() for c, x in cells.items() if label_key(x.text) == "rating area"), -1
    )
    at: list[tuple[int, int, str]] = []
    for row, cells in sheet.rows.items():
        for column, cell in cells.items():
            text = text_of(cell)
            if re.match(r"(?i)(rating area|r-)\s*[a-z0-9]", text) or (column == heading and text.isdigit()):
                at.append((row, column, text))
                break
    if not at:
        return []
    texts = pl.Series([text for *_, text in at], dtype=pl.String)
    areas = canonical_rating_areas(texts, pl.Series([state] * len(at))).to_list()
    found: list[tuple[str, str, Place]] = []
    for (row, column, _), area in zip(at, areas, strict=True):
        if area is None:
            continue
        plan = next((t for c, x in sheet.rows[row].items() if c < column and _PLAN_ID.fullmatch(t := text_of(x))), "")
        value = next((c for c in sheet.rows[row] if c > column), column + 1)
        found.append((plan, area, (row, value)))
    return found
