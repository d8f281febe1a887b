"""Plan rows as they arrive -> checked, sorted by key, side by side as arrays; or one refusal that names all faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._registry import rows_in_force
from data_specs.errors import TableMissing
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns
from riskadjust._transfer_formula import PlanArrays
from riskadjust._transfer_settings import PoolName

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings

__all__ = [
    "METAL_TABLE",
    "PLAN_COLUMNS",
    "PLAN_KEYS",
    "PlanTable",
    "clean_keys",
    "key_columns",
    "plan_table",
    "read_plan_rows",
]

TABLE = "plan_rows"
METAL_TABLE = "transfers/metal_av_idf"
MERGED_TABLE = "transfers/merged_markets"
PLAN_KEYS = ("risk_pool", "issuer_id", "plan_id", "rating_area_id")
PLAN_COLUMNS = (*PLAN_KEYS, "metal_level", "billable_member_months", "premium", "plrs", "arf", "gcf")
CATASTROPHIC = "catastrophic"
_SETTLES_AS = {"expanded_bronze": "bronze"}
_MARKETS = {"individual": "individual", "catastrophic": "individual", "small_group": "small_group", "merged": "merged"}

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class PlanTable:
    """Checked plan rows, sorted by key.

    Attributes
    ----------
    frame : DataFrame
        All columns given, rows sorted by [state,] risk_pool, issuer_id, plan_id, rating_area_id.
    row : array of int
        Where each row stood in the input, from 0.
    arrays : PlanArrays
        The factors of the formula; av and idf as used; plrs as given.
    pools : list of PoolName
        The risk pools, sorted.
    issuers : DataFrame
        [state,] risk_pool, issuer_id, in the order of the rows.
    issuer_first, issuer_pool : array of int
        Position of the first row of each issuer within its risk pool (and the number of rows); the pool of each.
    uncertain_metals : dict
        Metal level -> rows with months that took a figure of it that is marked uncertain.
    """

    frame: pl.DataFrame
    row: Rows
    arrays: PlanArrays
    pools: list[PoolName]
    issuers: pl.DataFrame
    issuer_first: Rows
    issuer_pool: Rows
    uncertain_metals: dict[str, int]

    @property
    def has_months(self) -> Mask:
        """Which rows have billable member months."""
        return np.asarray(self.arrays.months > 0)


def key_columns(frame: pl.DataFrame) -> list[str]:
    """Return the columns that name a risk pool: risk_pool, and state where the rows have it."""
    return [c for c in ("state", "risk_pool") if c in frame.columns]


def plan_table(frame: pl.DataFrame, row: Rows, benefit_year: int, findings: Findings) -> PlanTable:
    """Return checked plan rows; `row` says where each stood in the input, from 0.

    Raises
    ------
    InputRefused
        A column is missing or of a wrong type, or rows break rules TRF-001 to TRF-010 and TRF-013; all are named.
    TableMissing
        No figures of the metal levels are held for the year.
    """
    keys = [*[c for c in ("state",) if c in frame.columns], *PLAN_KEYS]
    metals = _MetalFigures.of(benefit_year)
    order = _order_by_key(frame, keys)
    frame, row = frame[order], row[order]
    refusals = Refusals(TABLE, row)
    seen = _seen(frame, keys, metals.codes)
    for column in keys:
        refusals.add("TRF-001", column, seen[f"blank {column}"].to_numpy())
    again = seen["again"].to_numpy()
    refusals.add("TRF-002", " + ".join(keys), again | np.append(again[1:], False))
    code = seen["metal"].to_numpy()
    refusals.add("TRF-003", "metal_level", code < 0)
    numbers = _numbers(frame, code, metals, refusals, findings)
    first, issuer_first = _starts(seen["pool starts"]), _starts(seen["issuer starts"])
    is_catastrophic = code == metals.codes.get(CATASTROPHIC, -1)
    _check_one_kind(is_catastrophic, first, refusals)
    market = _market(seen, frame, first, refusals)
    refusals.check()
    pools = _pool_names(frame, first, market)
    _note_pools(pools, first, is_catastrophic, benefit_year, findings)
    return PlanTable(
        frame=frame,
        row=row,
        arrays=PlanArrays(**numbers, first=first),
        pools=pools,
        issuers=frame[issuer_first[:-1], [*key_columns(frame), "issuer_id"]],
        issuer_first=issuer_first,
        issuer_pool=np.searchsorted(first, issuer_first[:-1], side="right") - 1,
        uncertain_metals=_uncertain_rows(frame, code, metals, numbers["months"] > 0),
    )


def read_plan_rows(given: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Return plan rows collected, with their columns present, keys as clean text (see :func:`clean_keys`)."""
    frame = collected(given, TABLE, PLAN_COLUMNS)
    optional = [c for c in ("state", "market") if c in frame.columns]
    texts = [_frames.text_column(frame, TABLE, c) for c in (*PLAN_KEYS, "metal_level", *optional)]
    frame = frame.with_columns([s for s in texts if s.dtype != frame.schema[s.name]])
    return frame.with_columns(clean_keys(frame, PLAN_KEYS))


def clean_keys(frame: pl.DataFrame, columns: Sequence[str]) -> list[pl.Expr]:
    """Return key columns, and state where the frame has it, so that one thing has one name.

    Blanks around an id are cut off, states are in capitals, and the four risk pools are named in one way ("Small Group"
    is small_group). Other names of risk pools stay as they are.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"state": ["oh "], "risk_pool": ["Small Group"], "plan_id": [" a"]})
    >>> rows.with_columns(clean_keys(rows, ["risk_pool", "plan_id"])).row(0)
    ('OH', 'small_group', 'a')
    """
    import polars as pl

    cleaned = [pl.col(c).str.strip_chars() for c in columns if c not in ("state", "risk_pool")]
    if "risk_pool" in columns:
        # The few names of pools are read one by one, which is quicker than row by row.
        given = frame["risk_pool"].unique().drop_nulls()
        words = given.to_frame().select(_words("risk_pool")).to_series().to_list()
        names = given.str.strip_chars().to_list()
        spelled = zip(given.to_list(), words, names, strict=True)
        other = {g: word if word in _MARKETS else name for g, word, name in spelled}
        if any(g != name for g, name in other.items()):
            cleaned.append(pl.col("risk_pool").replace(other))
    if "state" in frame.columns:
        cleaned.append(pl.col("state").str.strip_chars().str.to_uppercase())
    return cleaned


def _words(column: str) -> pl.Expr:
    """Return a declared word as the tables write it: no capitals, blanks and hyphens as underscores."""
    import polars as pl

    return pl.col(column).str.strip_chars().str.to_lowercase().str.replace_all(r"[ -]", "_")


def _order_by_key(frame: pl.DataFrame, keys: list[str]) -> Rows:
    import polars as pl

    order = frame.select(pl.arg_sort_by(keys, nulls_last=True, maintain_order=True)).to_series().to_numpy()
    return np.asarray(order, dtype=np.int64)


def _seen(frame: pl.DataFrame, keys: list[str], codes: dict[str, int]) -> pl.DataFrame:
    """Return what the texts of the sorted rows say, in one pass over them."""
    import polars as pl

    def starts(columns: list[str]) -> pl.Expr:
        return ~pl.all_horizontal([pl.col(c).eq_missing(pl.col(c).shift(1)) for c in columns])

    pool = key_columns(frame)
    return frame.select(
        *[
            (pl.col(c).is_null() | (pl.col(c).str.strip_chars() == "")).fill_null(True).alias(f"blank {c}")
            for c in keys
        ],
        # Sorted: a row that repeats a key follows it at once.
        again=pl.all_horizontal([pl.col(k) == pl.col(k).shift(1) for k in keys]).fill_null(False),
        metal=_words("metal_level").replace_strict(codes, default=-1, return_dtype=pl.Int64).fill_null(-1),
        market=_words("market") if "market" in frame.columns else pl.lit(None, dtype=pl.String),
        **{"pool starts": starts(pool), "issuer starts": starts([*pool, "issuer_id"])},
    )


def _uncertain_rows(frame: pl.DataFrame, code: Rows, metals: _MetalFigures, present: Mask) -> dict[str, int]:
    took = np.zeros(frame.height, dtype=bool)
    for column in ("av", "idf"):
        took |= frame[column].is_null().to_numpy() if column in frame.columns else True
    counts = {
        level: int(np.count_nonzero((code == metals.codes[level]) & took & present)) for level in metals.uncertain
    }
    return {level: n for level, n in counts.items() if n}


@dataclass(frozen=True)
class _MetalFigures:
    """Metal level -> code, the figures of each code, and the levels whose figures are uncertain."""

    codes: dict[str, int]
    uncertain: list[str]
    av: NDArray[np.float64]
    idf: NDArray[np.float64]

    @classmethod
    def of(cls, benefit_year: int) -> _MetalFigures:
        rows = rows_in_force(METAL_TABLE, benefit_year)
        if rows.height == 0:
            raise TableMissing(
                f"no actuarial values and induced demand factors are held for benefit year {benefit_year}",
                where=METAL_TABLE,
                rule="a year is settled only with its own published figures",
                remedy="choose a held year, or supply the table (data_specs.use(folder), --tables, POOLWISE_TABLES)",
            )
        codes = {level: i for i, level in enumerate(rows["metal_level"].to_list())}
        codes |= {level: codes[base] for level, base in _SETTLES_AS.items() if base in codes and level not in codes}
        av, idf = (rows[c].to_numpy() for c in ("transfer_av", "induced_demand_factor"))
        return cls(codes, rows.filter(verification="uncertain")["metal_level"].to_list(), av, idf)


def _numbers(
    frame: pl.DataFrame, code: Rows, metals: _MetalFigures, refusals: Refusals, findings: Findings
) -> dict[str, NDArray[np.float64]]:
    """Return months, premium, plrs, arf, av, idf, gcf; what a row without months may lack is NaN."""
    own = [c for c in ("av", "idf") if c in frame.columns]
    n = number_columns(frame, TABLE, [*PLAN_COLUMNS[-5:], *own])
    months, premium = n["billable_member_months"], n["premium"]
    refusals.add("TRF-004", "billable_member_months", ~((months >= 0) & (months < LARGEST)))
    refusals.add("TRF-005", "premium", ~((premium >= 0) & (premium < LARGEST)))
    without = months == 0
    missing = without & np.isnan(n["plrs"])
    refusals.add("TRF-006", "plrs", ~((n["plrs"] >= 0) & (n["plrs"] < LARGEST)) & ~missing)
    for rule_id, column in (("TRF-007", "arf"), ("TRF-008", "gcf")):
        refusals.add(rule_id, column, ~((n[column] > 0) & (n[column] < LARGEST)) & ~(without & np.isnan(n[column])))
    figures = {"av": metals.av[code], "idf": metals.idf[code]}
    differs = np.zeros(frame.height, dtype=bool)
    for column in own:
        is_given = frame[column].is_not_null().to_numpy()
        refusals.add("TRF-009", column, is_given & ~((n[column] > 0) & (n[column] < LARGEST)))
        differs |= is_given & (n[column] != figures[column])
        figures[column] = np.where(is_given, n[column], figures[column])
    findings.note("TRF-020", TABLE, int(np.count_nonzero(without)))
    findings.note("TRF-021", TABLE, int(np.count_nonzero((months > 0) & (premium == 0))))
    findings.note("TRF-022", TABLE, int(np.count_nonzero(differs)))
    return {"months": months, "premium": premium, **{c: n[c] for c in ("plrs", "arf", "gcf")}, **figures}


def _starts(is_start: pl.Series) -> Rows:
    """Return where runs of rows begin, and the number of rows."""
    starts = is_start.to_numpy().copy()
    starts[0] = True
    return np.append(np.flatnonzero(starts), len(starts)).astype(np.int64)


def _check_one_kind(is_catastrophic: Mask, first: Rows, refusals: Refusals) -> None:
    counts = np.diff(first)
    catastrophic = np.add.reduceat(is_catastrophic.astype(np.int64), first[:-1])
    is_mixed = np.repeat((catastrophic > 0) & (catastrophic < counts), counts)
    refusals.add("TRF-010", "metal_level", is_mixed & is_catastrophic)


def _market(seen: pl.DataFrame, frame: pl.DataFrame, first: Rows, refusals: Refusals) -> list[str | None]:
    """Return the market of each pool: that of its rows, else what the name of the pool says, else None."""
    if "market" not in frame.columns:
        return [_MARKETS.get(name) for name in frame["risk_pool"][first[:-1]].to_list()]
    words = seen["market"].to_list()
    refusals.add("TRF-013", "market", np.array([word is not None and word not in _MARKETS for word in words]))
    found: list[str | None] = []
    for a, b in pairwise(first.tolist()):
        own = {_MARKETS.get(word or "") for word in words[a:b]}
        found.append(own.pop() if len(own) == 1 else None if None in own else "merged")
    return found


def _pool_names(frame: pl.DataFrame, first: Rows, market: list[str | None]) -> list[PoolName]:
    names = frame["risk_pool"][first[:-1]].to_list()
    states = frame["state"][first[:-1]].to_list() if "state" in frame.columns else [None] * len(names)
    return [PoolName(*pool) for pool in zip(states, names, market, strict=True)]


def _note_pools(
    pools: list[PoolName], first: Rows, is_catastrophic: Mask, benefit_year: int, findings: Findings
) -> None:
    merged = set(rows_in_force(MERGED_TABLE, benefit_year)["state"])
    sizes = np.diff(first).tolist()
    unknown = other = misnamed = 0
    for pool, size, kind in zip(pools, sizes, is_catastrophic[first[:-1]].tolist(), strict=True):
        unknown += size if pool.state is None or pool.market is None else 0
        if pool.risk_pool in _MARKETS:
            misnamed += size if kind != (pool.risk_pool == CATASTROPHIC) else 0
            if pool.state is not None and pool.risk_pool != CATASTROPHIC:
                other += size if (pool.risk_pool == "merged") != (pool.state in merged) else 0
    findings.note("TRF-023", TABLE, unknown)
    findings.note("TRF-024", TABLE, other)
    findings.note("TRF-025", TABLE, misnamed)
