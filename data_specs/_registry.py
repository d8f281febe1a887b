"""The one way to a published figure: catalog -> checked, cached frame, with user overlays on top.

An overlay is a folder of the reader's own tables. Its rows replace all installed rows of the same table and year,
so a new benefit year, or a corrected one, needs no change of code. A table whose rows hold for no year, or from a first
to a last one, is replaced as a whole.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._contract import Contract, check_table, contract_from_entry, first_row, read_text, typed_table
from data_specs._overlay_files import files_of, tables_among
from data_specs._years import rows_of_year, year_ranges, years_held
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Overlay", "catalog", "contracts", "provenance", "rows", "rows_in_force", "table", "use", "year_ranges"]

INSTALLED = Path(__file__).parent
_used: list[Overlay] = []


class Overlay:
    """One use of a folder of tables; leaving the ``with`` block, or ``close()``, ends it, and no other use of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Overlay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End this use of the folder; a second time does nothing."""
        if self in _used:
            _used.remove(self)


def use(folder: str | os.PathLike[str]) -> Overlay:
    """Return a handle on a folder whose tables now add to, or supersede, the installed ones.

    Parameters
    ----------
    folder : path
        Holds ``<family>/<table>.csv`` or ``.parquet``, or ``tables/<family>/...``, or the tables themselves when their
        names are unique in the catalog. A table the catalog does not know needs ``catalog/<family>.toml`` there.
        ``<table>.r2.csv`` beside ``<table>.csv`` is a later revision of it, and used. Hidden files and files that are
        no tables (notes, catalogs) are left alone.

    Raises
    ------
    InputRefused
        When `folder` is not a path.
    TableMissing
        When the folder does not exist or holds no table.
    TableRefused
        When a table has no contract or breaks it, stands in no family's folder, or two files hold it.
    """
    path = folder_path(folder)
    for name in sorted(_overlay_tables(path)):
        _overlay_rows(path, name)
    overlay = Overlay(path)
    _used.append(overlay)
    return overlay


def folder_path(folder: object) -> Path:
    """Return the absolute path of a folder that a user names, or refuse what is no path."""
    try:
        return Path(folder).expanduser().resolve()  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # no text; a NUL in it; the home of nobody
        raise InputRefused(
            f"a folder of tables cannot be a {type(folder).__name__} like this",
            rule="a folder is named by its path",
            remedy="hand in the path of the folder as text, or as a pathlib.Path",
        ) from None


def overlays() -> list[Path]:
    """Return the overlay folders in use, weakest first: ``POOLWISE_TABLES``, then those of :func:`use`."""
    named = [folder_path(p) for p in os.environ.get("POOLWISE_TABLES", "").split(os.pathsep) if p]
    newest_first = dict.fromkeys([*(o.folder for o in reversed(_used)), *reversed(named)])
    return list(newest_first)[::-1]


def contracts() -> dict[str, Contract]:
    """Return every known contract by ``family/name``: the installed ones, then those that overlays add."""
    known = dict(_catalog_of(INSTALLED))
    for folder in overlays():
        for name, contract in _catalog_of(folder).items():
            known.setdefault(name, contract)
    return known


def table(name: str, *, year: int | None = None, state: str | None = None, revision: str | None = None) -> pl.DataFrame:
    """Return a table of published figures.

    Parameters
    ----------
    name : str
        ``family/table``, for example ``"hhs_hcc/coefficients"``; :func:`catalog` lists them.
    year, state : optional
        Only the rows that hold for that year (by the table's own year column, or its first and last years) or state.
    revision : str, optional
        One kept revision by its id, for example ``"r1"``, and nothing else. The newest supplier that keeps a revision
        of this id is asked: overlays with a catalog of their own (made by ``poolwise tables add``), the one used last
        first, then poolwise. The default is the newest revision, with the rows of overlays on top.

    Returns
    -------
    DataFrame
        Columns and units as in the catalog, rows in published order.

    Raises
    ------
    SettingRefused
        `name`, `state` or `revision` is not text, or `year` not a whole number.
    TableMissing
        Unknown table or revision, or no row of that year or state.
    TableRefused
        A file that breaks its contract or differs from its recorded digest.

    Examples
    --------
    >>> table("hhs_hcc/enrollment_duration_months", year=2025).row(0)
    (2025, 1, 1, 31, 'verified')
    """
    _need_text(name=name, **({} if state is None else {"state": state}))
    frame = rows(name, year=year, revision=revision).drop("_file", "_row")
    if state is None:
        return frame
    contract = _contract(name)
    if not contract.state_column:
        raise TableMissing(f"table {name!r} has no state column", remedy="leave out `state`")
    import polars as pl

    frame = frame.filter(pl.col(contract.state_column) == state)
    if frame.height == 0:
        raise TableMissing(f"table {name!r} has no row for state {state!r}", remedy="see the table without `state`")
    return frame


def rows(name: str, *, year: int | None = None, revision: str | None = None) -> pl.DataFrame:
    """Return :func:`table` with two more columns, ``_file`` and ``_row``: where each row stands."""
    _need_text(name=name, **({} if revision is None else {"revision": revision}))
    contract = _contract(name)
    if year is None:
        return _rows_in_use(contract) if revision is None else _rows_kept(name, revision)
    if revision is None:
        chosen = rows_in_force(name, year)
    else:
        _need_year(year)
        chosen = rows_of_year(_rows_kept(name, revision), contract, int(year))
    if chosen.height == 0:
        frame = _rows_in_use(contract) if revision is None else _rows_kept(name, revision)
        raise TableMissing(
            f"table {name!r} has no rows for {year}",
            where=contract.title,
            rule="a year is used only with its own published figures; held: " + years_held(frame, contract),
            remedy="choose a held year, or supply the table (data_specs.use(folder), --tables DIR, POOLWISE_TABLES)",
        )
    return chosen


def rows_in_force(name: str, year: int) -> pl.DataFrame:
    """Return :func:`rows` of a year, empty where no row holds for it: for figures that a year may be without.

    Examples
    --------
    >>> rows_in_force("transfers/merged_markets", 2025)["state"].to_list()
    ['MA', 'ME']
    >>> rows_in_force("transfers/merged_markets", 1999).height
    0
    """
    _need_text(name=name)
    _need_year(year)
    return _year_in_use(_contract(name), int(year))


def _need_year(year: object) -> None:
    if isinstance(year, bool) or not hasattr(year, "__index__"):
        raise _setting_refused("year", year, "a whole number", "2025")


def _need_text(**values: object) -> None:
    for setting, value in values.items():
        if not isinstance(value, str):
            example = {"name": '"hhs_hcc/coefficients"', "state": '"NY"'}.get(setting, '"r1"')
            raise _setting_refused(setting, value, "text", example)


def _setting_refused(setting: str, value: object, kind: str, example: str) -> SettingRefused:
    return SettingRefused(
        f"`{setting}` is a {type(value).__name__}",
        where="data_specs.table",
        rule=f"`{setting}` is {kind}, for example {example}",
        remedy=f"hand in {kind}",
    )


def _rows_in_use(contract: Contract) -> pl.DataFrame:
    """Return the newest installed revision with the rows of every overlay on top."""
    import polars as pl

    name, year = contract.full_name, contract.year_column
    frame = _installed_rows(name, None)
    for folder in overlays():
        added = _overlay_rows(folder, name)
        if added is None:
            continue
        if frame is None or not year:
            frame = added
            continue
        replaced = added[year].unique().implode()
        frame = pl.concat([frame.filter(~pl.col(year).is_in(replaced)), added])
    if frame is None:
        raise TableMissing(f"table {name!r} is described but holds no rows", remedy="add it with `poolwise tables add`")
    return frame


def _year_in_use(contract: Contract, year: int) -> pl.DataFrame:
    """Return the rows of one year of :func:`_rows_in_use`: those of one supplier, no other year is looked at."""
    name = contract.full_name
    for folder in reversed(overlays()):
        added = _overlay_rows(folder, name)
        if added is not None:
            chosen = rows_of_year(added, contract, year)
            if chosen.height or not contract.year_column:
                return chosen
    if _installed_rows(name, None) is not None:
        return _installed_year(name, year)
    return rows_of_year(_rows_in_use(contract), contract, year)


def _rows_kept(name: str, revision: str) -> pl.DataFrame:
    """Return one revision, from the newest supplier whose catalog lists it."""
    held: dict[str, None] = {}
    for root in [*reversed(overlays()), INSTALLED]:
        contract = _catalog_of(root).get(name)
        for entry in contract.revisions if contract else ():
            if entry.get("id") != revision:
                held[str(entry.get("id"))] = None
                continue
            frame = _installed_rows(name, revision) if root == INSTALLED else _overlay_revision(root, name, entry)
            assert frame is not None
            return frame
    remedy = "held: " + ", ".join(sorted(held)) if held else "leave out `revision`"
    raise TableMissing(f"table {name!r} has no revision {revision!r}", remedy=remedy)


def provenance(names: list[str]) -> list[dict[str, str]]:
    """Return name, revision, digest and supplier of each table as it is used now, for manifests."""
    held = _overlays_held()
    return [{"table": name, **source} for name in names for source in _sources(name, held)]


def _overlays_held() -> list[tuple[Path, dict[str, Path]]]:
    return [(folder, _overlay_tables(folder)) for folder in overlays()]


def catalog() -> pl.DataFrame:
    """Return one row per table and supplier.

    Returns
    -------
    DataFrame
        name, title, source, years (text such as ``2018-2019, 2021``), rows, verification (counts by mark), revision,
        digest (sha256), supplied_by (``poolwise`` or ``user``). Sorted by name.

    Examples
    --------
    >>> "hhs_hcc/coefficients" in catalog()["name"].to_list()
    True
    """
    import polars as pl

    lines = []
    held = _overlays_held()
    for name, contract in sorted(contracts().items()):
        for source in _sources(name, held):
            if source["supplied_by"] == "poolwise":
                frame = _installed_rows(name, None)
            else:
                frame = _overlay_rows(Path(source["folder"]), name)
            assert frame is not None
            lines.append(
                {
                    "name": name,
                    "title": contract.title,
                    "source": contract.source,
                    "years": years_held(frame, contract),
                    "rows": frame.height,
                    "verification": _marks(frame),
                    "revision": source["revision"],
                    "digest": source["digest"],
                    "supplied_by": source["supplied_by"],
                }
            )
    return pl.DataFrame(lines)


def _marks(frame: pl.DataFrame) -> str:
    if "verification" not in frame.columns:
        return ""
    counts = frame["verification"].value_counts().sort("verification").rows()
    return ", ".join(f"{mark} {number}" for mark, number in counts)


def _contract(name: str) -> Contract:
    installed = _catalog_of(INSTALLED).get(name)
    if installed is not None:
        return installed
    known = contracts()
    if name in known:
        return known[name]
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise TableMissing(f"no table is called {name!r}", remedy=f"{hint}data_specs.catalog() lists all tables")


# Name, time, size and number of each catalog file: what tells an edited catalog from the one that was read.
_Stamp = tuple[tuple[str, int, int, int], ...]


def _catalog_stamp(root: Path) -> _Stamp:
    folder = root / "catalog"
    if not folder.is_dir():
        return ()
    with os.scandir(folder) as entries:
        files = [(e.name, e.stat()) for e in entries if e.name.endswith(".toml") and e.name[0] != "."]
    return tuple(sorted((name, s.st_mtime_ns, s.st_size, s.st_ino) for name, s in files))


def _catalog_of(root: Path) -> dict[str, Contract]:
    return _installed_catalog() if root == INSTALLED else _read_catalog(root, _catalog_stamp(root))


@lru_cache(maxsize=1)
def _installed_catalog() -> dict[str, Contract]:
    # Not looked at again: it changes only when a table is added to it, and then it is forgotten.
    return _read_catalog(INSTALLED, _catalog_stamp(INSTALLED))


@lru_cache(maxsize=32)
def _read_catalog(root: Path, stamp: _Stamp) -> dict[str, Contract]:
    found: dict[str, Contract] = {}
    for file in (root / "catalog" / name for name, *_ in stamp):
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TableRefused(f"a catalog is not valid TOML ({error})", where=str(file)) from None
        family = str(document.get("family", file.stem))
        for entry in document.get("table", ()):
            contract = contract_from_entry(family, entry, str(file))
            found[contract.full_name] = contract
    return found


def forget_files(written: Path = INSTALLED) -> None:
    """Forget the files that were read, after poolwise wrote tables into a folder itself.

    The installed tables are read anew only when it was theirs: that takes longer than adding a table.
    """
    of_overlays = (_read_catalog, _tables_among, _overlay_file, _digest_of)
    of_installed = (_installed_catalog, _installed_rows, _installed_year)
    for cache in of_overlays + of_installed if written.resolve() == INSTALLED.resolve() else of_overlays:
        cache.cache_clear()


@lru_cache(maxsize=256)
def _installed_rows(name: str, revision: str | None) -> pl.DataFrame | None:
    contract = _catalog_of(INSTALLED).get(name)
    if contract is None or not contract.revisions:
        return None
    entry = next((r for r in contract.revisions if r.get("id") == revision), contract.revisions[-1])
    path = _kept_file(INSTALLED, contract.family, entry)
    # The digest is that of the file as it was checked when it came in: no need to check every cell again.
    return _with_origin(typed_table(read_text(path), contract), path)


@lru_cache(maxsize=512)
def _installed_year(name: str, year: int) -> pl.DataFrame:
    frame, contract = _installed_rows(name, None), _catalog_of(INSTALLED)[name]
    assert frame is not None
    return rows_of_year(frame, contract, year)


def _overlay_revision(folder: Path, name: str, entry: dict[str, Any]) -> pl.DataFrame:
    path = _kept_file(folder, name.split("/")[0], entry)
    return _checked_rows(folder, name, path)


def _kept_file(root: Path, family: str, entry: dict[str, Any]) -> Path:
    """Return the file of a revision, which must be the one that its catalog recorded."""
    path = root / "tables" / family / str(entry.get("file"))
    if path.is_file() and digest_of(path) == entry.get("digest"):
        return path
    again = "install poolwise again, or add your own table as an overlay"
    raise TableRefused(
        "the file differs from the digest in the catalog" if path.is_file() else "the file of a revision is gone",
        where=str(path),
        rule="an installed table is changed only by adding a revision",
        remedy=again if root == INSTALLED else "put the file back, and add what changed with `poolwise tables add`",
    )


def _overlay_tables(folder: Path) -> dict[str, Path]:
    """Return the file that counts of each table in an overlay folder, by ``family/name``."""
    if not folder.is_dir():
        raise TableMissing("the overlay folder does not exist", where=str(folder), remedy="check the path")
    # The folder is listed anew each time, so that a new file is noticed; what the list means is kept.
    try:
        files, stamp = files_of(folder), _catalog_stamp(folder)
    except OSError as error:
        raise TableMissing("the overlay folder cannot be read", where=str(folder), remedy=f"see {error}") from error
    return _tables_among(folder, files, stamp)


@lru_cache(maxsize=64)
def _tables_among(folder: Path, files: tuple[str, ...], _stamp: _Stamp) -> dict[str, Path]:
    return tables_among(folder, files, {**_catalog_of(INSTALLED), **_catalog_of(folder)})


def _overlay_rows(folder: Path, name: str) -> pl.DataFrame | None:
    path = _overlay_tables(folder).get(name)
    return None if path is None else _checked_rows(folder, name, path)


def _checked_rows(folder: Path, name: str, path: Path) -> pl.DataFrame:
    contract = _catalog_of(INSTALLED).get(name) or _catalog_of(folder)[name]
    return _overlay_file(contract, path, _file_stamp(path))


def _file_stamp(path: Path) -> tuple[int, int, int]:
    try:
        stamp = path.stat()
    except OSError as error:  # a link to nothing, or gone since the folder was listed
        raise TableRefused("the file cannot be read", where=str(path), remedy="put the file in its place") from error
    return stamp.st_mtime_ns, stamp.st_size, stamp.st_ino


@lru_cache(maxsize=256)
def _overlay_file(contract: Contract, path: Path, _stamp: tuple[int, int, int]) -> pl.DataFrame:
    return _with_origin(check_table(read_text(path), contract, path), path)


def _with_origin(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    import polars as pl

    first = first_row(path)
    origin = pl.lit(str(path), dtype=pl.String).alias("_file"), pl.int_range(first, pl.len() + first).alias("_row")
    return frame.with_columns(*origin)


def _sources(name: str, held: list[tuple[Path, dict[str, Path]]]) -> list[dict[str, str]]:
    lines = []
    contract = _catalog_of(INSTALLED).get(name)
    if contract is not None and contract.revisions:
        newest = contract.revisions[-1]
        lines.append({"revision": str(newest["id"]), "digest": str(newest["digest"]), "supplied_by": "poolwise"})
    for folder, tables in held:
        if name in tables:
            digest = _digest_of(tables[name], _file_stamp(tables[name]))
            lines.append({"revision": "overlay", "digest": digest, "supplied_by": "user", "folder": str(folder)})
    return lines


@lru_cache(maxsize=256)
def _digest_of(path: Path, _stamp: tuple[int, int, int]) -> str:
    return digest_of(path)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as ``sha256:<hex>``."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
