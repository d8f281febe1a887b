"""The calculator of one plan year: its continuance tables as arrays, its algorithm, the numbers in its steps."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs._remembered import remembered
from data_specs.errors import TableRefused
from rating._av_columns import MAX_COUNT, SERVICES, TABLE_METALS

if TYPE_CHECKING:
    import polars as pl

    from rating._continuance import Continuance
    from rating._figures import Figures

__all__ = ["COMBINED", "DOMAINS", "DRUG", "MEDICAL", "Calculator", "calculator", "place_in", "value_at"]

Floats = NDArray[np.float64]

DOMAINS = ("medical", "drug", "combined")
MEDICAL, DRUG, COMBINED = range(3)
TABLES = ("av/continuance", "av/table_sets", "av/calculator_rules", "av/service_columns", "av/service_lines")
_CONTINUANCE = TABLES[0]
_OLDER = ("2015", "2016")
_OLDER_NUMBERS = (
    "floor_step",
    "floor_leap",
    "gold_above",
    "platinum_above",
    "silver_above",
    "unclassified_drug_cost",
)
_NUMBERS = (
    "copay_share_decimals",
    "damping_passes",
    "highest_step",
    "lowest_step",
    "most_passes",
    "tolerance",
)


def _layout() -> tuple[tuple[str, str, str], ...]:
    """Return service, part and charge of each line, in the order of the kernel."""
    lines = [("emergency_room", "all", "per_visit"), ("inpatient", "all", "per_stay"), ("inpatient", "all", "per_day")]
    lines += [("inpatient", "all", f"per_day_max_{days}") for days in range(1, MAX_COUNT + 1)]
    lines += [("primary_care", "all", "per_visit")]
    lines += [("primary_care", "all", f"beyond_{visits}") for visits in range(1, MAX_COUNT + 1)]
    lines += [("specialist", "all", "per_visit")]
    split = ("mental_health_outpatient", "imaging", "speech_therapy", "occupational_physical_therapy")
    lines += [(service, part, "per_visit") for service in split for part in ("facility", "professional")]
    lines += [("preventive", "all", "per_visit")]
    lines += [("laboratory", part, "per_visit") for part in ("facility", "professional")]
    lines += [("xray", part, "per_visit") for part in ("all", "primary_care", "specialist", "rest")]
    lines += [("skilled_nursing", "all", "per_stay"), ("skilled_nursing", "all", "per_day")]
    lines += [(service, "all", "per_visit") for service in ("outpatient_facility", "outpatient_surgery_professional")]
    return (*lines, *((service, "all", "per_script") for service in SERVICES[-4:]))


LAYOUT = _layout()
_PRIMARY_CARE = LAYOUT.index(("primary_care", "all", "per_visit"))


@dataclass(frozen=True)
class Calculator:
    """One year's calculator.

    Attributes
    ----------
    plan_year, algorithm : int, str
        The year, and the calculator whose steps are followed.
    is_draft : bool
        The tables are those of a draft.
    printed_decimals : int, optional
        Decimals to which the calculator prints an AV.
    numbers : mapping
        The numbers in its steps, by name.
    spend : float64, rows
        Annual spend at which each enrollee is capped; the last is infinite.
    means : float64, domain x metal x rows
        Mean cost of all enrollees so capped.
    preventive, drugs : float64, domain x metal x rows
        Parts of that mean, where the columns of services are such parts (2015, 2016); elsewhere empty.
    kernel : Continuance, optional
        The tables as the compiled loops read them (2026).
    """

    plan_year: int
    algorithm: str
    is_draft: bool
    printed_decimals: int | None
    numbers: Mapping[str, float]
    spend: Floats
    means: Floats
    preventive: Floats
    drugs: Floats
    kernel: Continuance | None


def calculator(plan_year: int, figures: Figures) -> Calculator:
    """Return the calculator of a plan year, from the tables in use now.

    Raises
    ------
    TableMissing, NotYetPublished
        No tables of that year are held; the message names the years that are.
    TableRefused
        Tables that do not fit each other: rows or columns missing, an algorithm without its numbers.

    Examples
    --------
    >>> from rating._figures import Figures
    >>> tables = calculator(2026, Figures())
    >>> tables.algorithm, tables.means.shape, round(tables.means[COMBINED, TABLE_METALS.index("bronze"), -1], 2)
    ('2026', (3, 4, 166), np.float64(5190.48))
    """
    by_year = tuple(figures.rows(name, plan_year) for name in TABLES[:2])
    tables = (*by_year, *(figures.rows(name) for name in TABLES[2:]))
    return _calculator(_same_frames(tables, plan_year), plan_year)


# Frames by the digests of their tables: a year that a user supplies is another frame each time it is asked for.
_frames: OrderedDict[tuple[Any, ...], tuple[pl.DataFrame, ...]] = OrderedDict()
_MOST_YEARS = 8


def _same_frames(tables: tuple[pl.DataFrame, ...], plan_year: int) -> tuple[pl.DataFrame, ...]:
    """Return the frames that were used before where tables of the same digests are in use."""
    lines = _registry.provenance(list(TABLES))
    key = (plan_year, *(tuple(sorted(line.items())) for line in lines))
    kept = _frames.setdefault(key, tables)
    _frames.move_to_end(key)
    while len(_frames) > _MOST_YEARS:
        _frames.popitem(last=False)
    return kept


@remembered
def _calculator(tables: tuple[pl.DataFrame, ...], plan_year: int) -> Calculator:
    continuance, sets, rules, columns, services = tables
    algorithm = str(sets["algorithm"][0])
    is_older = algorithm in _OLDER
    of_algorithm = rules.filter(rules["algorithm"] == algorithm)
    numbers = dict(zip(of_algorithm["rule"].to_list(), of_algorithm["number"].to_list(), strict=True))
    for name in _OLDER_NUMBERS if is_older else _NUMBERS:
        if name not in numbers:
            raise _refused("av/calculator_rules", f"rule {name!r} of algorithm {algorithm} is missing")
    grids = _grids(continuance)
    spend = _spend(grids)
    means = _stacked(grids, "maxd_cost")
    empty = np.zeros((0, 0, 0))
    is_sum = is_older
    drugs = columns.filter(columns["service"].is_in(SERVICES[-4:]))["cost_column"].to_list()
    return Calculator(
        plan_year=plan_year,
        algorithm=algorithm,
        is_draft=sets["release"][0] == "draft",
        printed_decimals=sets["printed_decimals"][0],
        numbers=numbers,
        spend=spend,
        means=means,
        preventive=_stacked(grids, "prev_cost", skip=DRUG) if is_sum else empty,
        drugs=sum((_stacked(grids, c, skip=MEDICAL) for c in drugs), np.zeros(means.shape)) if is_sum else empty,
        kernel=None if is_older else _kernel(grids, spend, means, columns, services, numbers),
    )


_Grids = list[list["pl.DataFrame"]]


def _grids(continuance: pl.DataFrame) -> _Grids:
    """Return the rows of each domain and metal, in their order."""
    grids = [
        [
            continuance.filter((continuance["table"] == domain) & (continuance["metal"] == metal)).sort("row")
            for metal in TABLE_METALS
        ]
        for domain in DOMAINS
    ]
    height = grids[0][0].height
    for domain, row in zip(DOMAINS, grids, strict=True):
        for metal, grid in zip(TABLE_METALS, row, strict=True):
            if height < 3 or grid["row"].to_list() != list(range(height)):
                raise _refused(_CONTINUANCE, f"table {metal} {domain} has not the rows 0 to {height - 1}", continuance)
    return grids


def _spend(grids: _Grids) -> Floats:
    first = grids[0][0]
    spend = first["spend_limit"].fill_null(np.inf).to_numpy()
    is_unlimited = [False] * (first.height - 1) + [True]
    for grid in (grid for row in grids for grid in row):
        own = grid["spend_limit"].fill_null(np.inf).to_numpy()
        if grid["is_unlimited"].to_list() != is_unlimited or not np.array_equal(own, spend):
            raise _refused(_CONTINUANCE, "spend limits differ between tables, or the last row is limited", grid)
    if spend[0] != 0 or not np.all(np.diff(spend) > 0) or not np.isinf(spend[-1]):
        raise _refused(_CONTINUANCE, "spend limits do not rise from 0 to the row without a limit", first)
    return np.ascontiguousarray(spend, np.float64)


def _stacked(grids: _Grids, column: str, skip: int | None = None) -> Floats:
    """Return a column as domain x metal x rows; zeros for a domain that cannot have it."""
    stacked = np.zeros((len(DOMAINS), len(TABLE_METALS), grids[0][0].height))
    for domain, row in enumerate(grids):
        if domain == skip:
            continue
        for metal, grid in enumerate(row):
            if grid[column].null_count():
                what = f"column {column!r} has blanks in table {TABLE_METALS[metal]} {DOMAINS[domain]}"
                raise _refused(_CONTINUANCE, what, grid)
            stacked[domain, metal] = grid[column].to_numpy()
    if column == "maxd_cost" and not (np.diff(stacked, axis=-1) >= 0).all():
        raise _refused(_CONTINUANCE, "maxd_cost falls from a row to the next", grids[0][0])
    return stacked


def _kernel(
    grids: _Grids,
    spend: Floats,
    means: Floats,
    columns: pl.DataFrame,
    services: pl.DataFrame,
    numbers: Mapping[str, float],
) -> Continuance:
    from rating._continuance import Continuance

    named = {(s, p, c): pair for s, p, c, *pair in columns.select(*_COLUMN_KEY, *_COLUMN_NAMES).rows()}
    domain_of = dict(services.select("service", "domain").rows())
    if tuple(services.sort("position")["service"].to_list()) != SERVICES:
        raise _refused("av/service_lines", "the services are not those that a design can have")
    cells = np.zeros((*means.shape, len(LAYOUT) + MAX_COUNT, 2))
    for line, key in enumerate(LAYOUT):
        if key not in named:
            raise _refused("av/service_columns", "no columns for " + ", ".join(key))
        skip = MEDICAL if domain_of[key[0]] == "drug" else DRUG
        for place, column in enumerate(named[key]):
            cells[..., line, place] = _stacked(grids, column, skip)
    for visits in range(1, MAX_COUNT + 1):
        first = cells[..., _PRIMARY_CARE, :] - cells[..., _PRIMARY_CARE + visits, :]
        cells[..., len(LAYOUT) + visits - 1, :] = first
    even = int(np.argmin(np.append(spend == np.arange(len(spend)) * spend[1], False)))
    return Continuance(
        spend=spend,
        means=means,
        cells=cells.reshape(*means.shape, -1),
        damping=np.array([math.exp(-i / numbers["damping_passes"]) for i in range(int(numbers["most_passes"]))]),
        tolerance=numbers["tolerance"],
        lowest_step=numbers["lowest_step"],
        highest_step=numbers["highest_step"],
        share_power=10.0 ** numbers["copay_share_decimals"],
        even_rows=even,
    )


_COLUMN_KEY = ("service", "part", "charged")
_COLUMN_NAMES = ("cost_column", "frequency_column")


def place_in(ascending: Floats, amounts: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Return the row at or below each amount and the fraction toward the next; beyond the last limit: the last row.

    Examples
    --------
    >>> rows, parts = place_in(np.array([0.0, 100.0, 200.0, np.inf]), np.array([25.0, 100.0, 201.0]))
    >>> rows.tolist(), parts.tolist()
    ([0, 1, 3], [0.25, 0.0, 0.0])
    """
    last = len(ascending) - 1
    low = np.clip(np.searchsorted(ascending, amounts, side="right") - 1, 0, last - 1)
    width = ascending[low + 1] - ascending[low]
    part = np.where(amounts > ascending[low], (amounts - ascending[low]) / np.where(width > 0, width, 1.0), 0.0)
    beyond = amounts > ascending[last - 1]
    return np.where(beyond, last, low), np.where(beyond, 0.0, part)


def value_at(column: Floats, place: tuple[NDArray[np.intp], Floats]) -> Floats:
    """Return the values of a column at some places of a table."""
    low, part = place
    high = np.minimum(low + 1, len(column) - 1)
    return np.asarray(column[low] + part * (column[high] - column[low]))


def _refused(table: str, what: str, grid: pl.DataFrame | None = None) -> TableRefused:
    where = table if grid is None or grid.height == 0 else str(grid["_file"][0])
    return TableRefused(
        what,
        where=where,
        rule=_registry.contracts()[table].title,
        remedy="supply complete tables of the year (data_specs.use(folder), --tables DIR, POOLWISE_TABLES)",
    )
