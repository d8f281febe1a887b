"""The one way to a published figure: catalog -> checked, cached frame, with user overlays on top.

An overlay is a folder of the reader's own tables. Its rows replace all installed rows of the same table and year,
so a new benefit year, or a corrected one, needs no change of code.
"""

from __future__ import annotations

import hashlib
import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._contract import Contract, check_table, contract_from_entry, read_text, typed_table
from data_specs.errors import TableMissing, TableRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Overlay", "catalog", "contracts", "provenance", "rows", "table", "use"]

INSTALLED = Path(__file__).parent
_used: list[Path] = []


class Overlay:
    """A folder of tables in use; leaving the ``with`` block, or ``close()``, takes it out again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> Overlay:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop using the folder."""
        if self.folder in _used:
            _used.remove(self.folder)


def use(folder: str | os.PathLike[str]) -> Overlay:
    """Return a handle on a folder whose tables now add to, or supersede, the installed ones.

    Parameters
    ----------
    folder : path
        Holds ``<family>/<table>.csv`` or ``.parquet``, or ``tables/<family>/...``, or the tables themselves when their
        names are unique in the catalog. A table the catalog does not know needs ``catalog/<family>.toml`` there.

    Raises
    ------
    TableMissing
        When the folder does not exist or holds no table.
    TableRefused
        When a table has no contract, or breaks it.
    """
    path = Path(folder).expanduser().resolve()
    found = _overlay_tables(path)
    for family, name in sorted(found):
        _overlay_rows(path, f"{family}/{name}")
    if path in _used:
        _used.remove(path)
    _used.append(path)
    return Overlay(path)


def overlays() -> list[Path]:
    """Return the overlay folders in use, weakest first: ``POOLWISE_TABLES``, then those of :func:`use`."""
    named = [Path(p).expanduser().resolve() for p in os.environ.get("POOLWISE_TABLES", "").split(os.pathsep) if p]
    return [p for p in named if p not in _used] + _used


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
        Only the rows of that year (in the table's own year column) or state.
    revision : str, optional
        An earlier revision by its id, for example ``"r1"``; the newest one is the default. Overlays are then ignored.

    Returns
    -------
    DataFrame
        Columns and units as in the catalog, rows in published order.

    Raises
    ------
    TableMissing
        Unknown table or revision, or no row of that year or state.
    TableRefused
        A file that breaks its contract or differs from its recorded digest.

    Examples
    --------
    >>> table("hhs_hcc/enrollment_duration_months", year=2025).row(0)
    (2025, 1, 1, 31, 'verified')
    """
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
    import polars as pl

    contract = _contract(name)
    frame = _installed_rows(name, revision)
    layers = [] if revision else [f for f in overlays() if tuple(name.split("/")) in _overlay_tables(f)]
    for folder in layers:
        added = _overlay_rows(folder, name)
        if frame is None or not contract.year_column:
            frame = added
            continue
        replaced = added[contract.year_column].unique().implode()
        frame = pl.concat([frame.filter(~pl.col(contract.year_column).is_in(replaced)), added])
    if frame is None:
        raise TableMissing(f"table {name!r} is described but holds no rows", remedy="add it with `poolwise tables add`")
    if year is None:
        return frame
    if not contract.year_column:
        return frame
    chosen = frame.filter(pl.col(contract.year_column) == year)
    if chosen.height == 0:
        held = sorted(frame[contract.year_column].unique().to_list())
        raise TableMissing(
            f"table {name!r} has no rows for {year}",
            where=contract.title,
            rule="a year is used only with its own published figures; held: " + ", ".join(map(str, held)),
            remedy="choose a held year, or supply the table (data_specs.use(folder), --tables DIR, POOLWISE_TABLES)",
        )
    return chosen


def provenance(names: list[str]) -> list[dict[str, str]]:
    """Return name, revision, digest and supplier of each table as it is used now, for manifests."""
    return [{"table": name, **source} for name in names for source in _sources(name)]


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
    for name, contract in sorted(contracts().items()):
        for source in _sources(name):
            if source["supplied_by"] == "poolwise":
                frame = _installed_rows(name, None)
            else:
                frame = _overlay_rows(Path(source["folder"]), name)
            assert frame is not None
            years = frame[contract.year_column].unique().to_list() if contract.year_column else []
            lines.append(
                {
                    "name": name,
                    "title": contract.title,
                    "source": contract.source,
                    "years": year_ranges(years),
                    "rows": frame.height,
                    "verification": _marks(frame),
                    "revision": source["revision"],
                    "digest": source["digest"],
                    "supplied_by": source["supplied_by"],
                }
            )
    return pl.DataFrame(lines)


def year_ranges(years: list[int]) -> str:
    """Return years as text with runs joined.

    Examples
    --------
    >>> year_ranges([2021, 2019, 2018, 2022])
    '2018-2019, 2021-2022'
    """
    runs: list[list[int]] = []
    for year in sorted(years):
        if runs and runs[-1][-1] == year - 1:
            runs[-1].append(year)
        else:
            runs.append([year])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in runs)


def _marks(frame: pl.DataFrame) -> str:
    if "verification" not in frame.columns:
        return ""
    counts = frame["verification"].value_counts().sort("verification").rows()
    return ", ".join(f"{mark} {number}" for mark, number in counts)


def _contract(name: str) -> Contract:
    known = contracts()
    if name in known:
        return known[name]
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise TableMissing(f"no table is called {name!r}", remedy=f"{hint}data_specs.catalog() lists all tables")


@lru_cache(maxsize=32)
def _catalog_of(root: Path) -> dict[str, Contract]:
    folder = root / "catalog"
    files = sorted(folder.glob("*.toml")) if folder.is_dir() else []
    found: dict[str, Contract] = {}
    for file in files:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise TableRefused(f"a catalog is not valid TOML ({error})", where=str(file)) from None
        family = str(document.get("family", file.stem))
        for entry in document.get("table", ()):
            contract = contract_from_entry(family, entry, str(file))
            found[contract.full_name] = contract
    return found


@lru_cache(maxsize=256)
def _installed_rows(name: str, revision: str | None) -> pl.DataFrame | None:
    contract = _catalog_of(INSTALLED).get(name)
    if contract is None or not contract.revisions:
        if revision:
            raise TableMissing(f"table {name!r} has no revision {revision!r}", remedy="leave out `revision`")
        return None
    entry = _revision(contract, revision)
    path = INSTALLED / "tables" / contract.family / entry["file"]
    if digest_of(path) != entry["digest"]:
        raise TableRefused(
            "the file differs from the digest in the catalog",
            where=str(path),
            rule="an installed table is changed only by adding a revision",
            remedy="install poolwise again, or add your own table as an overlay",
        )
    # The digest is that of the file as it was checked when it came in: no need to check every cell again.
    return _with_origin(typed_table(read_text(path), contract), path)


def _revision(contract: Contract, revision: str | None) -> dict[str, Any]:
    if revision is None:
        return contract.revisions[-1]
    for entry in contract.revisions:
        if entry["id"] == revision:
            return entry
    held = ", ".join(str(e["id"]) for e in contract.revisions)
    raise TableMissing(f"table {contract.full_name!r} has no revision {revision!r}", remedy=f"held: {held}")


def _overlay_tables(folder: Path) -> dict[tuple[str, str], Path]:
    if not folder.is_dir():
        raise TableMissing("the overlay folder does not exist", where=str(folder), remedy="check the path")
    known = {**_catalog_of(INSTALLED), **_catalog_of(folder)}
    families = {c.family for c in known.values()}
    found: dict[tuple[str, str], Path] = {}
    for file in sorted([*folder.rglob("*.csv"), *folder.rglob("*.parquet")], key=_revision_order):
        parts = file.relative_to(folder).parts
        parts = parts[1:] if parts[0] == "tables" else parts
        if len(parts) == 2 and parts[0] in families:
            found[(parts[0], _stem(file))] = file
        elif len(parts) == 1:
            owners = [c.family for c in known.values() if c.name == _stem(file)]
            if len(owners) != 1:
                raise _uncataloged(file, "no table" if not owners else "more than one table")
            found[(owners[0], _stem(file))] = file
    if not found:
        raise TableMissing(
            "the overlay folder holds no table",
            where=str(folder),
            rule="tables stand in <family>/<table>.csv or .parquet",
            remedy="name the family folder, for example hhs_hcc/coefficients.csv",
        )
    return found


def _revision_order(file: Path) -> tuple[str, int, str]:
    """Return what sorts a table's files by revision: x.csv, x.r2.csv, x.r10.csv."""
    number = file.name.split(".")[1].removeprefix("r")
    return _stem(file), int(number) if number.isdigit() else 1, str(file)


def _stem(file: Path) -> str:
    return file.name.split(".")[0]


def _uncataloged(file: Path, number: str) -> TableRefused:
    return TableRefused(
        f"{number} of the catalog has this file's name",
        where=str(file),
        rule="every table has a catalog entry",
        remedy="put the file into a folder named for its family, and describe a new table in catalog/<family>.toml",
    )


def _overlay_rows(folder: Path, name: str) -> pl.DataFrame:
    family, short = name.split("/")
    path = _overlay_tables(folder)[(family, short)]
    stamp = path.stat()
    return _overlay_file(folder, name, path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=256)
def _overlay_file(folder: Path, name: str, path: Path, _mtime: int, _size: int) -> pl.DataFrame:
    contract = _catalog_of(INSTALLED).get(name) or _catalog_of(folder).get(name)
    if contract is None:
        raise _uncataloged(path, "no table")
    return _with_origin(check_table(read_text(path), contract, path), path)


def _with_origin(frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    import polars as pl

    first = 2 if path.suffix == ".csv" else 1
    origin = pl.lit(str(path), dtype=pl.String).alias("_file"), pl.int_range(first, pl.len() + first).alias("_row")
    return frame.with_columns(*origin)


def _sources(name: str) -> list[dict[str, str]]:
    lines = []
    contract = _catalog_of(INSTALLED).get(name)
    if contract is not None and contract.revisions:
        newest = contract.revisions[-1]
        lines.append({"revision": str(newest["id"]), "digest": str(newest["digest"]), "supplied_by": "poolwise"})
    for folder in overlays():
        family, _, short = name.partition("/")
        path = _overlay_tables(folder).get((family, short))
        if path is not None:
            source = {"revision": "overlay", "digest": digest_of(path), "supplied_by": "user", "folder": str(folder)}
            lines.append(source)
    return lines


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as ``sha256:<hex>``."""
    with path.open("rb") as stream:
        return "sha256:" + hashlib.file_digest(stream, "sha256").hexdigest()
