"""Whole markets in bounded memory: sorted Parquet in, parts of Parquet out, one batch of enrollees at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs.errors import InputRefused, OutputRefused, SettingRefused
from riskadjust._findings import rule_texts
from riskadjust._model import compile_year
from riskadjust._score import Scores, score
from riskadjust._settings import ScoringSettings

if TYPE_CHECKING:
    import os

    import polars as pl

__all__ = ["StreamResult", "score_files", "sorted_by_enrollee"]

_BATCH_ENROLLEES = 250_000
_SLICE_ROWS = 1_000_000
_TABLES = ("spans", "diagnoses", "drugs")
_PROGRESS = "progress.json"


@dataclass(frozen=True)
class StreamResult:
    """What a run over files left behind.

    Attributes
    ----------
    folder : Path
        Holds ``scores/part-00000.parquet`` and on, together sorted like :class:`riskadjust.Scores`, and
        ``rejected/<table>-00000.parquet`` where rows took no part.
    rows : int
        Lines of scores.
    findings, counts, uncertain : DataFrame
        As in :class:`riskadjust.Scores`, over all batches.
    settings, tables
        As in :class:`riskadjust.Scores`.
    """

    folder: Path
    rows: int
    findings: pl.DataFrame
    counts: pl.DataFrame
    uncertain: pl.DataFrame
    settings: dict[str, Any]
    tables: list[str]


def score_files(
    files: Mapping[str, str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    benefit_year: int,
    explain: bool = False,
    settings: Mapping[str, Any] | None = None,
    batch_enrollees: int = _BATCH_ENROLLEES,
    on_batch: Callable[[int, int], None] | None = None,
) -> StreamResult:
    """Return the scores of Parquet files of any size, written as parts into a folder.

    The same results as :func:`riskadjust.score`, whatever the batch size. Memory depends on the batch, not on the
    files. A run that was cut short goes on where it stopped when it is called again with the same files and options.

    Parameters
    ----------
    files : mapping of path
        enrollees, spans, diagnoses and, optionally, drugs: Parquet files, each sorted by enrollee_id.
    folder : path
        Where the parts are written; made if absent. Parts of another such run in it are removed.
    benefit_year, explain, settings
        As in :func:`riskadjust.score`.
    batch_enrollees : int
        Enrollees in memory at a time.
    on_batch : callable, optional
        Called with the enrollees done and their total after each batch.

    Raises
    ------
    InputRefused
        A file is missing or not sorted by enrollee_id, and as in :func:`riskadjust.score`.
    OutputRefused
        The folder holds files that are not of such a run.
    SettingRefused
        `batch_enrollees` below 1, and as in :func:`riskadjust.score`.
    """
    if batch_enrollees < 1:
        raise SettingRefused("batch_enrollees is below 1", remedy="use 1 or more")
    paths = _checked_files(files)
    chosen = ScoringSettings.of(settings)
    model = compile_year(benefit_year, chosen)
    target = Path(folder)
    identity = _identity(paths, benefit_year, explain, chosen, batch_enrollees)
    progress = _Progress.open(target, identity)
    readers = {name: _SortedReader(path, name) for name, path in paths.items()}
    total = readers["enrollees"].rows
    for number, frames in enumerate(_batches(readers, batch_enrollees, total)):
        if number >= len(progress.batches):
            result = score(
                frames["enrollees"],
                frames["spans"],
                frames["diagnoses"],
                frames.get("drugs"),
                benefit_year=benefit_year,
                explain=explain,
                settings=chosen.as_dict(),
            )
            progress.store(number, result)
        if on_batch is not None:
            on_batch(min((number + 1) * batch_enrollees, total), total)
    return progress.result(chosen, list(model.tables_used))


def sorted_by_enrollee(path: str | os.PathLike[str]) -> bool:
    """Return whether a Parquet file's rows stand in order of enrollee_id, reading that column only."""
    import polars as pl

    last: str | None = None
    scan = pl.scan_parquet(Path(path)).select("enrollee_id")
    rows = scan.select(pl.len()).collect().item()
    for start in range(0, rows, 8 * _SLICE_ROWS):
        ids = scan.slice(start, 8 * _SLICE_ROWS).collect()["enrollee_id"].drop_nulls()
        if len(ids) == 0:
            continue
        if not ids.is_sorted() or (last is not None and ids[0] < last):
            return False
        last = ids[-1]
    return True


def _checked_files(files: Mapping[str, Any]) -> dict[str, Path]:
    paths = {name: Path(path) for name, path in files.items() if path is not None}
    unknown = [n for n in paths if n not in ("enrollees", *_TABLES)]
    missing = [n for n in ("enrollees", "spans", "diagnoses") if n not in paths]
    if unknown or missing:
        what = f"no input is called {unknown[0]!r}" if unknown else f"the {missing[0]} file is missing"
        raise InputRefused(what, rule="enrollees, spans, diagnoses and optionally drugs", remedy="name these files")
    for path in paths.values():
        if not path.is_file() or path.suffix != ".parquet":
            raise InputRefused("not a Parquet file", where=str(path), remedy="name a .parquet file")
    return paths


def _identity(
    paths: dict[str, Path], benefit_year: int, explain: bool, settings: ScoringSettings, batch: int
) -> dict[str, Any]:
    """Return what makes two runs the same: files as they are now, options, tables of figures."""
    inputs = {n: [str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns] for n, p in sorted(paths.items())}
    figures = [n for n in sorted(_registry.contracts()) if n.startswith(("hhs_hcc/", "filing/"))]
    return {
        "inputs": inputs,
        "benefit_year": benefit_year,
        "explain": explain,
        "settings": settings.as_dict(),
        "batch_enrollees": batch,
        "tables": [p["digest"] for p in _registry.provenance(figures)],
    }


class _SortedReader:
    """Rows of a sorted Parquet file, taken up to an enrollee at a time."""

    def __init__(self, path: Path, table: str) -> None:
        import polars as pl

        self.path, self.table = path, table
        self.scan = pl.scan_parquet(path)
        try:
            self.rows = int(self.scan.select(pl.len()).collect().item())
            columns = self.scan.collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputRefused(
                "the file cannot be read",
                where=str(path),
                rule=type(error).__name__,
                remedy="write it again as Parquet",
            ) from None
        if "enrollee_id" not in columns:
            raise InputRefused(
                "missing column 'enrollee_id'", where=str(path), rule="FILE-002", remedy="add the column"
            )
        self.position = 0
        self.last: str | None = None
        self.buffer = self.scan.head(0).collect()

    def take(self, rows: int) -> pl.DataFrame:
        """Return the next rows."""
        frame = self.scan.slice(self.position, rows).collect()
        self.position += frame.height
        ids = frame["enrollee_id"].drop_nulls()
        if len(ids) and (not ids.is_sorted() or (self.last is not None and ids[0] < self.last)):
            raise InputRefused(
                "the rows are not sorted by enrollee_id",
                where=f"{self.path}, near row {self.position}",
                rule="scoring in batches reads each enrollee's rows together",
                remedy="sort the file by enrollee_id, or score it in memory with riskadjust.score",
            )
        self.last = ids[-1] if len(ids) else self.last
        return frame

    def take_through(self, last_id: str | None) -> pl.DataFrame:
        """Return the rows of enrollees up to `last_id` that were not taken yet; of all of them when it is None."""
        import polars as pl

        parts = [self.buffer]
        while self.position < self.rows and (last_id is None or self.last is None or self.last <= last_id):
            parts.append(self.take(_SLICE_ROWS))
        joined = pl.concat(parts) if len(parts) > 1 else self.buffer
        if last_id is None:
            self.buffer = joined.clear()
            return joined
        # A row without an id belongs to nobody: it goes with the batch at hand, where it is counted out.
        later = joined["enrollee_id"] > last_id
        cut = joined.height - int(later.sum())
        if later.null_count():
            kept = (~later).fill_null(True)
            self.buffer = joined.filter(~kept)
            return joined.filter(kept)
        self.buffer = joined.slice(cut).rechunk()
        return joined.slice(0, cut)


def _batches(readers: dict[str, _SortedReader], batch: int, total: int) -> Iterator[dict[str, pl.DataFrame]]:
    """Yield the frames of one batch of enrollees after the other; the last one takes all rows that are left."""
    import polars as pl

    enrollees = readers["enrollees"]
    if total == 0:
        raise InputRefused("the table has no rows", where=str(enrollees.path), rule="FILE-002", remedy="check the file")
    held = enrollees.buffer
    while enrollees.position < total:
        frame = pl.concat([held, enrollees.take(batch)])
        last_id = None
        if enrollees.position < total:
            # The rows of the last enrollee wait for the next batch, so that a repeated id is seen.
            waits = frame["enrollee_id"].eq_missing(pl.Series([enrollees.last], dtype=pl.String))
            waiting, ready = frame.filter(waits), frame.filter(~waits)
            ids = ready["enrollee_id"].drop_nulls().to_list()[-1:]
            if not ids:
                held = frame
                continue
            held, frame, last_id = waiting, ready, str(ids[0])
        yield {
            "enrollees": frame,
            **{name: readers[name].take_through(last_id) for name in _TABLES if name in readers},
        }


@dataclass
class _Progress:
    """The batches that are done, kept beside the parts so that a run can go on."""

    folder: Path
    identity: dict[str, Any]
    batches: list[dict[str, Any]]

    @classmethod
    def open(cls, folder: Path, identity: dict[str, Any]) -> _Progress:
        """Return the progress of the same run, or a fresh one with the parts of any other run removed."""
        import shutil

        file = folder / _PROGRESS
        if file.is_file():
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["identity"] == identity:
                return cls(folder, identity, kept["batches"])
        elif folder.is_dir() and any(folder.iterdir()):
            raise OutputRefused(
                "the folder holds files that are not of such a run",
                where=str(folder),
                rule="only a folder with the progress file of an earlier run is used again",
                remedy="name a new or empty folder",
            )
        for name in ("scores", "rejected"):
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
        fresh = cls(folder, identity, [])
        fresh.keep()
        return fresh

    def store(self, number: int, result: Scores) -> None:
        """Write the parts of a batch, then note that it is done."""
        _write(result.scores, self.folder / "scores" / f"part-{number:05d}.parquet")
        for table, rows in sorted(result.rejected.items()):
            _write(rows, self.folder / "rejected" / f"{table}-{number:05d}.parquet")
        self.batches.append(
            {
                "rows": result.scores.height,
                "findings": result.findings.select("rule_id", "table", "action", "rows").rows(),
                "counts": result.counts.rows(),
                "uncertain": result.uncertain.rows(),
            }
        )
        self.keep()

    def keep(self) -> None:
        """Write down which batches are done."""
        beside = self.folder / (_PROGRESS + ".new")
        beside.write_text(json.dumps({"identity": self.identity, "batches": self.batches}), encoding="utf-8")
        beside.replace(self.folder / _PROGRESS)

    def result(self, settings: ScoringSettings, tables: list[str]) -> StreamResult:
        """Return the whole run, with the counts of its batches added up."""
        import polars as pl

        findings = _added_up(
            self.batches, "findings", {"rule_id": pl.String, "table": pl.String, "action": pl.String}, ["rows"]
        )
        counts = _added_up(self.batches, "counts", {"table": pl.String}, ["input", "accepted", "rejected"])
        uncertain = _added_up(self.batches, "uncertain", {"table": pl.String, "what": pl.String}, ["enrollees"])
        texts = rule_texts().drop("action")
        findings = findings.join(texts, on="rule_id", how="left", maintain_order="left").select(
            "rule_id", "table", "severity", "action", "rows", "condition", "basis"
        )
        return StreamResult(
            folder=self.folder,
            rows=sum(b["rows"] for b in self.batches),
            findings=findings,
            counts=counts,
            uncertain=uncertain,
            settings=settings.as_dict(),
            tables=tables,
        )


def _added_up(batches: list[dict[str, Any]], name: str, keys: dict[str, Any], sums: list[str]) -> pl.DataFrame:
    import polars as pl

    schema = {**keys, **dict.fromkeys(sums, pl.Int64)}
    rows = [tuple(row) for batch in batches for row in batch[name]]
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.group_by(list(keys), maintain_order=True).agg(pl.col(sums).sum()).sort(list(keys))


def _write(frame: pl.DataFrame, path: Path) -> None:
    beside = path.with_suffix(".new")
    frame.write_parquet(beside)
    beside.replace(path)
