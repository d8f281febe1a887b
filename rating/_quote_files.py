"""Quotes of Parquet files of any size in bounded memory: one batch of households at a time, parts of Parquet out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused, OutputRefused, SettingRefused
from rating._quote import Prepared, Quotes
from rating._quote_settings import QuoteSettings

if TYPE_CHECKING:
    import os

    import polars as pl

__all__ = ["QuoteFiles", "quote_files"]

_BATCH_CELLS = 1_500_000  # members x plans of the area with most of them
_MOST_ROWS = 120_000
_KEY = "household_id"


@dataclass(frozen=True)
class QuoteFiles:
    """What a run over files left behind.

    Attributes
    ----------
    folder : Path
        Holds ``quotes/part-00000.parquet`` and on, together sorted like :class:`rating.Quotes`; ``members/`` where
        asked for; ``rejected/households-00000.parquet`` where rows took no part.
    rows : int
        Lines of quotes.
    findings, counts, settings, uncertain : DataFrame
        As in :class:`rating.Quotes`, over all batches.
    tables : list of str
        The tables of published figures that were used.
    plan_year : int
        The plan year.
    """

    folder: Path
    rows: int
    findings: pl.DataFrame
    counts: pl.DataFrame
    settings: pl.DataFrame
    uncertain: pl.DataFrame
    tables: list[str]
    plan_year: int


def quote_files(
    households: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    base_rates: pl.DataFrame | pl.LazyFrame | None = None,
    plan_year: int,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    with_members: bool = False,
    settings: Mapping[str, Any] | QuoteSettings | None = None,
    batch_rows: int | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> QuoteFiles:
    """Return the quotes of a Parquet file of households, written as parts into a folder.

    The same results as :func:`rating.quote`, whatever the batch size. Memory depends on the batch, not on the file.

    Parameters
    ----------
    households : path
        Parquet, sorted by household_id; columns as in :func:`rating.quote`.
    folder : path
        Where the parts are written: new or empty.
    rates, base_rates, plan_year, plans, areas, service_areas, with_members, settings
        As in :func:`rating.quote`; members are left out unless asked for.
    batch_rows : int
        Rows of members in memory at a time (a household is never split); by default so many that they and their plans
        stay within about half a gigabyte.
    on_batch : callable, optional
        Called with the rows done and their total after each batch.

    Raises
    ------
    InputRefused
        The file is missing or not sorted by household_id, and as in :func:`rating.quote`.
    OutputRefused
        The folder is not empty.
    SettingRefused
        `batch_rows` below 1, and as in :func:`rating.quote`.
    """
    if batch_rows is not None and (isinstance(batch_rows, bool) or not hasattr(batch_rows, "__index__")):
        raise SettingRefused(f"batch_rows is a {type(batch_rows).__name__}", remedy="use a whole number, 1 or more")
    if batch_rows is not None and batch_rows < 1:
        raise SettingRefused("batch_rows is below 1", remedy="use 1 or more")
    source = Path(households)
    total = _rows_of(source)
    target = _empty_folder(Path(folder))
    prepared = Prepared.of(
        rates, base_rates, plans, plan_year=plan_year, areas=areas, service_areas=service_areas, settings=settings
    )
    most_plans = int(np.diff(prepared.sale.first).max(initial=1))
    size = batch_rows or min(max(_BATCH_CELLS // most_plans, 1), _MOST_ROWS)
    parts: list[Quotes] = []
    rows = done = 0
    for number, frame in enumerate(_batches(source, total, size)):
        found = prepared.quoted(frame, with_members=with_members, with_rates=number == 0)
        _write(found.households, target / "quotes" / f"part-{number:05d}.parquet")
        if found.members is not None:
            _write(found.members, target / "members" / f"part-{number:05d}.parquet")
        for table, refused in sorted(found.refused.items()):
            _write(refused, target / "rejected" / f"{table}-{number:05d}.parquet")
        rows += found.households.height
        done += frame.height
        parts.append(_counts_only(found))
        if on_batch is not None:
            on_batch(done, total)
    return _added_up(target, rows, parts)


def _empty_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError as error:
        raise OutputRefused(
            "the folder cannot be used", where=str(folder), rule=type(error).__name__, remedy="name another folder"
        ) from None
    if not is_empty:
        raise OutputRefused(
            "the folder is not empty",
            where=str(folder),
            rule="parts of two runs in one folder would be read as one result",
            remedy="name a new or empty folder",
        )
    return folder


def _rows_of(path: Path) -> int:
    import polars as pl

    if not path.is_file() or path.suffix != ".parquet":
        raise InputRefused("not a Parquet file", where=str(path), remedy="name a .parquet file")
    try:
        scan = pl.scan_parquet(path)
        columns = scan.collect_schema().names()
        rows = int(scan.select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputRefused(
            "the file cannot be read", where=str(path), rule=type(error).__name__, remedy="write it again as Parquet"
        ) from None
    if _KEY not in columns:
        raise InputRefused(f"missing column {_KEY!r}", where=str(path), rule="FILE-002", remedy="add the column")
    if rows == 0:
        raise InputRefused("the table has no rows", where=str(path), rule="FILE-002", remedy="check the file")
    return rows


def _batches(path: Path, total: int, batch_rows: int) -> Iterator[pl.DataFrame]:
    """Yield whole households, some at a time; rows without an id go with the batch at hand."""
    import polars as pl

    scan = pl.scan_parquet(path)
    held: pl.DataFrame | None = None
    last: str | None = None
    for start in range(0, total, batch_rows):
        frame = scan.slice(start, batch_rows).collect()
        frame = frame.with_columns(_frames.text_column(frame, "households", _KEY))
        ids = frame[_KEY].drop_nulls()
        if len(ids) and (not ids.is_sorted() or (last is not None and ids[0] < last)):
            raise InputRefused(
                "the rows are not sorted by household_id",
                where=f"{path}, near row {start + frame.height}",
                rule="quoting in batches reads each household's rows together",
                remedy="sort the file by household_id, or quote it in memory with rating.quote",
            )
        last = ids[-1] if len(ids) else last
        if held is not None:
            frame = pl.concat([held, frame])
        held = None
        if start + batch_rows < total and last is not None:
            # The rows of the last household wait for the next batch.
            waits = frame[_KEY].eq_missing(pl.Series([last], dtype=pl.String))
            held, frame = frame.filter(waits), frame.filter(~waits)
        if frame.height:
            yield frame
    if held is not None and held.height:
        yield held


def _counts_only(found: Quotes) -> Quotes:
    """Return a batch without its rows: only counts are kept while the run goes on."""
    return replace(found, households=found.households.clear(), members=None, refused={})


def _added_up(folder: Path, rows: int, parts: list[Quotes]) -> QuoteFiles:
    import polars as pl

    def summed(name: str, keys: list[str], numbers: list[str]) -> pl.DataFrame:
        whole = pl.concat(getattr(part, name) for part in parts)
        others = [c for c in whole.columns if c not in (*keys, *numbers)]
        added: pl.DataFrame = whole.group_by(keys, maintain_order=True).agg(
            pl.col(numbers).sum(), pl.col(others).first()
        )
        return added.select(whole.columns).sort(keys)

    return QuoteFiles(
        folder,
        rows,
        summed("findings", ["rule_id", "table"], ["rows"]),
        summed("counts", ["table"], ["input", "accepted", "rejected"]),
        parts[0].settings,
        summed("uncertain", ["table", "what", "moved"], ["rows"]),
        sorted({table for part in parts for table in part.tables}),
        parts[0].plan_year,
    )


def _write(frame: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    beside = path.with_suffix(".new")
    try:
        frame.write_parquet(beside)
        beside.replace(path)
    except OSError as error:
        raise OutputRefused(
            "a part cannot be written", where=str(path), rule=type(error).__name__, remedy="check space and rights"
        ) from None
