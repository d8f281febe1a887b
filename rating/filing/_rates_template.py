"""Consumer rates in the layout of the exchange's Rates Table: written and read, as a workbook or as CSV.

In the workbook a sheet holds the rates of one effective date: a header (issuer, dates, rating method), then a row per
plan, rating area and age. The CSV repeats the header's entries in every row.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._policy import canonical_rating_areas
from data_specs.errors import OutputRefused
from rating._rate_table import FAMILY_BAND, TIER_COLUMNS
from rating.filing._findings import listed, refusal
from rating.filing._workbook_book import COMPUTED_STYLE, Book, beside, open_book
from rating.filing._workbook_cells import ERROR, NUMBER, TEXT, Cell, Sheet, read_sheets
from rating.filing._workbook_text import date_of, label_key, number_of, text_of

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["empty_rates", "read_rates_template", "write_rates_template"]

_HEADER = ("HIOS Issuer ID", "Rate Effective Date", "Rate Expiration Date", "Rating Method")
_KEYS = ("Plan ID", "Rating Area ID", "Tobacco", "Age")
_AGE_BASED, _FAMILY_TIER = "Age-Based Rates", "Family-Tier Rates"
# Our column -> heading. The last one is ours: the template has no column for it.
_RATES = {
    "individual_rate": "Individual Rate",
    "individual_tobacco_rate": "Individual Tobacco Rate",
    "couple": "Couple",
    "subscriber_one_dependent": "Primary Subscriber and One Dependent",
    "subscriber_two_dependents": "Primary Subscriber and Two Dependents",
    "subscriber_three_dependents": "Primary Subscriber and Three or More Dependents",
    "couple_one_dependent": "Couple and One Dependent",
    "couple_two_dependents": "Couple and Two Dependents",
    "couple_three_dependents": "Couple and Three or More Dependents",
    "child_only": "Child Only",
}
_TOBACCO = {"no_preference": "No Preference", "split": "Tobacco User/Non-Tobacco User"}
_TOBACCO_OF = {label_key(word): ours for ours, word in _TOBACCO.items()}
_FAMILY, _AND_OVER = "Family Option", " and over"
_ORDER = ("plan_id", "rating_area_id", "effective_date")
_TOO_MUCH = 10**8  # dollars: a rate table holds eight digits before the point
_MOST_ROWS = 1_048_500  # of a sheet


def empty_rates() -> pl.DataFrame:
    """Return consumer rates without rows, in the columns of :func:`rating.rate_table`."""
    import polars as pl

    texts, days, money = pl.String, pl.Date, pl.Decimal(10, 2)
    schema: dict[str, Any] = {"plan_year": pl.Int16, "plan_id": texts, "rating_area_id": texts}
    schema |= {"effective_date": days, "expiration_date": days, "age_band": texts, "tobacco": texts}
    amounts = ("individual_rate", "individual_tobacco_rate", *(c for c in TIER_COLUMNS if c != "individual_rate"))
    return pl.DataFrame(schema={**schema, **dict.fromkeys(amounts, money)})


# ------------------------------------------------------------------------------------------------ writing


def write_rates_template(filing: Filing, path: str | os.PathLike[str]) -> Path:
    """Write the consumer rates of a filing, and return where they stand.

    Parameters
    ----------
    filing : Filing
        With rates.
    path : path
        Ending in .xlsx (a sheet for each effective date) or .csv (all in one table).

    Returns
    -------
    Path
        The file. Headings: ``Plan ID``, ``Rating Area ID``, ``Tobacco``, ``Age``, ``Individual Rate``; ``Individual
        Tobacco Rate`` where a plan rates tobacco; the family tiers from ``Couple`` on in states that rate by them.

    Raises
    ------
    ExtraMissing
        A workbook is wanted, and the package of the extra ``excel`` is not installed.
    InputRefused
        The filing has no rates.
    OutputRefused
        The file ends otherwise, cannot be written, or cannot hold so many rows.

    Notes
    -----
    Source: Rates Table template of the federal exchange. It has no column for policies of children alone: ``Child
    Only`` is added where a state rates them (New York).
    """
    if filing.rates.height == 0:
        raise refusal("RTT-001", "the filing has no rates", "rates", "develop it, or read the rates and hand them in")
    columns = [name for name in _RATES if filing.rates[name].is_not_null().any() or name == "individual_rate"]
    issuer = str(filing.header["issuer_id"])
    if Path(path).suffix.lower() == ".csv":
        with beside(path, ".csv", ".xlsx") as (_, staging):
            _write_csv(staging, filing.rates, columns, issuer)
        return Path(path)
    title = f"Rates of issuer {issuer}, {filing.header.get('plan_year')}"
    with open_book(path, title) as book:
        for (start,), rates in filing.rates.partition_by("effective_date", as_dict=True, maintain_order=True).items():
            _write_sheet(book, rates, columns, issuer, start)
    return Path(path)


def _lines(rates: pl.DataFrame, columns: list[str]) -> Iterator[tuple[list[str], list[Decimal | None]]]:
    """Yield the words and amounts of each row, as the template has them."""
    keys = ("plan_id", "rating_area_id", "tobacco", "age_band")
    for plan, area, tobacco, age, *amounts in rates.select(*keys, *columns).rows():
        number = area.rpartition("-")[2][-3:].lstrip("0")
        band = _FAMILY if age == FAMILY_BAND else age.replace("+", _AND_OVER)
        yield [plan, f"Rating Area {number}", _TOBACCO[tobacco], band], amounts


def _method(rates: pl.DataFrame) -> str:
    return _FAMILY_TIER if (rates["age_band"] == FAMILY_BAND).any() else _AGE_BASED


def _write_csv(path: Path, rates: pl.DataFrame, columns: list[str], issuer: str) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_HEADER, *_KEYS, *(_RATES[name] for name in columns)])
        method, dates = _method(rates), rates.select("effective_date", "expiration_date").rows()
        for (start, end), (words, amounts) in zip(dates, _lines(rates, columns), strict=True):
            texts = ["" if amount is None else f"{amount:f}" for amount in amounts]
            writer.writerow([issuer, start.isoformat(), end.isoformat(), method, *words, *texts])


def _write_sheet(book: Book, rates: pl.DataFrame, columns: list[str], issuer: str, start: date) -> None:
    if rates.height > _MOST_ROWS:
        raise OutputRefused(
            f"a sheet cannot hold {rates.height:,} rates", rule="the file format has 1,048,576 rows", remedy="write CSV"
        )
    sheet = book.sheet(f"Rates {start.isoformat()}")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, len(_KEYS) + len(columns) - 1, 20)
    sheet.set_column(2, 2, 30)
    sheet.write_string(0, 0, "Rates Table", book.words("title"))
    values: list[tuple[Any, str]] = [(issuer, "id5"), (start, "date"), (rates["expiration_date"][0], "date")]
    values.append((_method(rates), "text"))
    for row, (label, (value, unit)) in enumerate(zip(_HEADER, values, strict=True), 1):
        sheet.write_string(row, 0, f"{label}*", book.words("bold"))
        book.put(sheet, row, 1, value, unit, COMPUTED_STYLE)
    head = len(_HEADER) + 2
    sheet.set_row(head, 45)
    headings = [*(f"{key}*" for key in _KEYS), *(_RATES[name] for name in columns)]
    headings[len(_KEYS)] += "*"
    for column, heading in enumerate(headings):
        sheet.write_string(head, column, heading, book.words("head_right" if column >= len(_KEYS) else "head"))
    words_format, rate_format = book.words("label"), book.numbers("rate", COMPUTED_STYLE)
    for row, (words, amounts) in enumerate(_lines(rates, columns), head + 1):
        for column, text in enumerate(words):
            sheet.write_string(row, column, text, words_format)
        for column, amount in enumerate(amounts, len(words)):
            if amount is not None:
                sheet.write_number(row, column, float(amount), rate_format)
    sheet.freeze_panes(head + 1, 1)
    sheet.repeat_rows(head)


# ------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True, slots=True)
class _Head:
    """The header of a sheet, or of a row of the CSV."""

    issuer: str
    start: date
    end: date


def read_rates_template(path: str | os.PathLike[str]) -> pl.DataFrame:
    """Return the rates of a Rates Table, workbook or CSV.

    Headings are found by their words, in any order; amounts may be written with a dollar sign; one row may name several
    rating areas, separated by commas. The plan year is that of the effective date.

    Returns
    -------
    DataFrame
        As :func:`rating.rate_table`: ``plan_year``, ``plan_id``, ``rating_area_id``, ``effective_date``,
        ``expiration_date``, ``age_band``, ``tobacco`` and the rates, Decimal(10, 2), USD a month; sorted by plan, area
        and date.

    Raises
    ------
    InputRefused
        It is no such file; an entry of the header is absent; a row is unreadable, double, of another issuer, or has
        rates that do not go with its tobacco word.

    Notes
    -----
    Source: Rates Table template of the federal exchange; ``Rate`` public use file for the words of ages and tobacco.
    """
    import polars as pl

    place = Path(path)
    lines: list[dict[str, Any]] = []
    tables = _csv_tables(place) if place.suffix.lower() == ".csv" else read_sheets(place)
    for sheet in tables:
        lines += _read_table(sheet)
    if not lines:
        raise refusal(
            "RTT-001",
            "there is no table of rates",
            place.name,
            "headings are " + ", ".join((*_KEYS, "Individual Rate")),
        )
    frame = pl.DataFrame(lines, schema=empty_rates().schema)
    double = frame.select("plan_id", "rating_area_id", "effective_date", "age_band").is_duplicated()
    if double.any():
        row = frame.filter(double).row(0, named=True)
        where = f"{place.name}: plan {row['plan_id']}, {row['rating_area_id']}, age {row['age_band']}"
        raise refusal("RTT-004", "a rate stands twice", where, "leave one of the rows")
    return frame.sort(*_ORDER, maintain_order=True)


def _csv_tables(path: Path) -> list[Sheet]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.reader(file))
    except OSError as error:
        raise refusal("RTT-001", f"the file cannot be read: {error.strerror}", str(path), "check its name") from None
    except (UnicodeDecodeError, csv.Error):
        raise refusal("RTT-001", "the file is no CSV in UTF-8", str(path), "save it as CSV UTF-8") from None
    rows = {
        i: {j: Cell(TEXT, text.strip()) for j, text in enumerate(line) if text.strip()} for i, line in enumerate(lines)
    }
    return [Sheet(path.name, {i: cells for i, cells in rows.items() if cells})]


def _read_table(sheet: Sheet) -> list[dict[str, Any]]:
    """Return the rows of a sheet; none where it has no such headings."""
    heading, columns = _headings(sheet)
    if heading < 0:
        return []
    common = None if set(_HEADER[:3]) <= columns.keys() else _head_of_sheet(sheet, heading)
    found: list[dict[str, Any]] = []
    for row, cells in sheet.rows.items():
        if row <= heading or _is_instruction(cells, columns):
            continue
        head = common or _head_of_row(sheet, row, columns)
        found += _rows_of(sheet, row, cells, columns, head)
    return found


def _headings(sheet: Sheet) -> tuple[int, dict[str, int]]:
    """Return the row of the headings, and heading -> column; -1 where there is none."""
    wanted = {label_key(heading): heading for heading in (*_HEADER, *_KEYS, *_RATES.values())}
    for row, cells in sheet.rows.items():
        found = {wanted[k]: c for c, cell in cells.items() if (k := label_key(cell.text)) in wanted}
        if {*_KEYS, _RATES["individual_rate"]} <= found.keys():
            return row, found
    return -1, {}


def _is_instruction(cells: dict[int, Cell], columns: dict[str, int]) -> bool:
    """Return whether a row below the headings holds no rates: the template explains its columns there."""
    texts = [text_of(cells.get(columns[key])) for key in _KEYS]
    return not any(texts) or texts[0].lower().startswith("required")


def _head_of_sheet(sheet: Sheet, heading: int) -> _Head:
    held: dict[str, Cell] = {}
    for row, cells in sheet.rows.items():
        for column, cell in cells.items() if row < heading else ():
            label = next((name for name in _HEADER if label_key(name) == label_key(cell.text)), None)
            beside_it = sheet.get(row, column + 1)
            if label is not None and beside_it is not None:
                held[label] = beside_it
    return _head(held, sheet, f"{sheet.name}, above row {heading + 1}")


def _head_of_row(sheet: Sheet, row: int, columns: dict[str, int]) -> _Head:
    cells = {name: cell for name in _HEADER if name in columns and (cell := sheet.get(row, columns[name]))}
    return _head(cells, sheet, f"{sheet.name}, row {row + 1}")


def _head(held: dict[str, Cell], sheet: Sheet, where: str) -> _Head:
    issuer = text_of(held.get(_HEADER[0])).partition(".")[0].zfill(5)
    days = [
        None if (c := held.get(name)) is None else date_of(c, starts_1904=sheet.starts_1904) for name in _HEADER[1:3]
    ]
    broken = [] if len(issuer) == 5 and issuer.isdigit() and int(issuer) else [_HEADER[0]]
    broken += [name for name, day in zip(_HEADER[1:3], days, strict=True) if day is None]
    if broken:
        raise refusal("RTT-002", f"{listed(broken)}: absent or unreadable", where, "fill it in: YYYY-MM-DD for dates")
    start, end = days
    assert start is not None
    assert end is not None
    if end < start:
        raise refusal("RTT-002", "the rates expire before they take effect", where, "check both dates")
    return _Head(issuer, start, end)


def _rows_of(
    sheet: Sheet, row: int, cells: dict[int, Cell], columns: dict[str, int], head: _Head
) -> list[dict[str, Any]]:
    """Return the rates of a row, once for each of its rating areas."""
    where = f"{sheet.name}, row {row + 1}"
    plan, areas_text, tobacco_text, age_text = (text_of(cells.get(columns[key])) for key in _KEYS)
    broken = []
    if len(plan) != 14 or not plan[:5].isdigit() or not plan[5:7].isalpha() or not plan[7:].isdigit():
        broken.append(_KEYS[0])
    areas = () if broken else _areas(areas_text, plan[5:7].upper())
    broken += [] if areas or broken else [_KEYS[1]]
    tobacco = _TOBACCO_OF.get(label_key(tobacco_text))
    broken += [] if tobacco else [_KEYS[2]]
    age = _age(age_text)
    broken += [] if age else [_KEYS[3]]
    rates: dict[str, Decimal | None] = {}
    for name, heading in _RATES.items():
        cell = cells.get(columns[heading]) if heading in columns else None
        amount, is_readable = (None, True) if cell is None else _amount(cell)
        rates[name] = amount
        broken += [] if is_readable else [heading]
    if rates["individual_rate"] is None and not broken:
        broken.append(_RATES["individual_rate"])
    if broken:
        raise refusal("RTT-003", f"{listed(broken)}: not readable", where, "rates are dollars and cents above zero")
    if plan[:5] != head.issuer:
        raise refusal("RTT-006", f"the plan is not of issuer {head.issuer}", where, "one issuer to a table")
    if (rates["individual_tobacco_rate"] is not None) != (tobacco == "split"):
        remedy = "two rates with Tobacco User/Non-Tobacco User, one with No Preference"
        raise refusal("RTT-005", "tobacco and rates do not go together", where, remedy)
    of_row = {"effective_date": head.start, "expiration_date": head.end, "age_band": age, "tobacco": tobacco, **rates}
    return [{"plan_year": head.start.year, "plan_id": plan.upper(), "rating_area_id": area, **of_row} for area in areas]


@lru_cache(maxsize=1024)
def _areas(text: str, state: str) -> tuple[str, ...]:
    """Return the rating areas that a cell names; none where one of them is none."""
    import polars as pl

    words = [word.strip() for word in text.split(",")]
    areas = canonical_rating_areas(pl.Series(words, dtype=pl.String), pl.Series([state] * len(words))).to_list()
    return () if None in areas else tuple(areas)


@lru_cache(maxsize=1024)
def _age(text: str) -> str | None:
    """Return a band as the rate table names it.

    Examples
    --------
    >>> _age("64 and over"), _age("0-14"), _age("21.0"), _age("Family Option"), _age("old")
    ('64+', '0-14', '21', 'family', None)
    """
    key = text.lower().removesuffix(".0")
    if key == _FAMILY.lower():
        return FAMILY_BAND
    band = key.replace(_AND_OVER, "+").replace(" ", "")
    numbers: Sequence[str] = band.removesuffix("+").split("-")
    return band if 1 <= len(numbers) <= 2 and all(number.isdigit() for number in numbers) else None


def _amount(cell: Cell) -> tuple[Decimal | None, bool]:
    """Return an amount of dollars and cents, and whether the cell can be read."""
    if cell.kind == ERROR:
        return None, False
    amount, is_readable = number_of(cell)
    if amount is None:
        return None, is_readable and cell.kind != NUMBER
    if not 0 < amount < _TOO_MUCH:
        return None, False
    cents = amount.quantize(Decimal("0.01"))
    return cents, cents == amount
