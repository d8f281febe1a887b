"""What the files of an overlay folder are: the tables of the catalog, each in one file, or a refusal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from data_specs._contract import Contract
from data_specs.errors import TableMissing, TableRefused

__all__ = ["files_of", "in_order", "is_table", "table_name", "tables_among"]

_READ_SUFFIXES = (".csv", ".parquet")
# Other forms a table comes in: left unread under the name of a table, its figures would seem to be in use.
_OTHER_SUFFIXES = (".arrow", ".feather", ".gz", ".json", ".ods", ".tsv", ".xls", ".xlsx", ".zip")
_REVISION = re.compile(r"r[1-9][0-9]*")
_LAYOUT = "tables stand in <family>/<table>.csv or .parquet"


def files_of(folder: Path) -> tuple[str, ...]:
    """Return the files of a folder that may be tables, relative to it and sorted; hidden ones are left out."""
    return tuple(sorted(_files_within(str(folder), "", set())))


def _files_within(folder: str, within: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    place = Path(folder, within).stat()
    if (place.st_dev, place.st_ino) in seen:  # a link that leads back
        return
    seen.add((place.st_dev, place.st_ino))
    with os.scandir(f"{folder}/{within}") as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                yield from _files_within(folder, f"{within}{entry.name}/", seen)
            elif entry.name.lower().endswith((*_READ_SUFFIXES, *_OTHER_SUFFIXES)):
                yield within + entry.name


def tables_among(folder: Path, files: tuple[str, ...], known: Mapping[str, Contract]) -> dict[str, Path]:
    """Return the file that counts of each table, by ``family/name``: of several revisions, the last.

    Raises
    ------
    TableMissing
        No file is a table.
    TableRefused
        A table has no contract, stands in no family's folder, has a form that is not read, or has two files.
    """
    names: dict[Path, str] = {}
    for file in (folder / f for f in files):
        if is_table(file):
            names[file] = _full_name(file, folder, known)
        elif any(c.name == table_name(file) for c in known.values()):
            raise TableRefused(
                "a table has a form that is not read",
                where=str(file),
                rule=_LAYOUT,
                remedy="save it as CSV (UTF-8) or Parquet, or take it out of the folder",
            )
    if not names:
        raise TableMissing(
            "the overlay folder holds no table",
            where=str(folder),
            rule=_LAYOUT,
            remedy="name the family folder, for example hhs_hcc/coefficients.csv",
        )
    return {names[file]: file for file in in_order(names)}


def _full_name(file: Path, folder: Path, known: Mapping[str, Contract]) -> str:
    """Return ``family/name`` of a file, or refuse a file that is no table of the catalog."""
    parts = file.relative_to(folder).parts
    parts = parts[1:] if parts[0] == "tables" else parts
    short = table_name(file)
    if len(parts) == 1:
        owners = [c.family for c in known.values() if c.name == short]
        if len(owners) != 1:
            raise _uncataloged(file, "more than one table" if owners else "no table")
        return f"{owners[0]}/{short}"
    families = sorted({c.family for c in known.values()})
    if len(parts) > 2 or parts[0] not in families:
        raise TableRefused(
            f"a table stands in the folder {'/'.join(parts[:-1])!r}, which is no family of the catalog",
            where=str(file),
            rule=f"every table has a catalog entry; {_LAYOUT}; families: {', '.join(families)}",
            remedy="correct the folder's name, describe a new family in catalog/<family>.toml, or move the file away",
        )
    name = f"{parts[0]}/{short}"
    if name not in known:
        raise _uncataloged(file, "no table")
    return name


def _uncataloged(file: Path, number: str) -> TableRefused:
    return TableRefused(
        f"{number} of the catalog has this file's name",
        where=str(file),
        rule="every table has a catalog entry",
        remedy="put the file into a folder named for its family, and describe a new table in catalog/<family>.toml",
    )


def is_table(file: Path) -> bool:
    """Return whether a file is read as a table: CSV or Parquet, in upper or lower case, and not hidden."""
    return file.suffix.lower() in _READ_SUFFIXES and not file.name.startswith(".")


def table_name(file: Path) -> str:
    """Return the table's name in a file's name: ``x`` of x.csv and x.r2.csv."""
    return file.name.split(".")[0]


def in_order(names: Mapping[Path, str]) -> list[Path]:
    """Return files, given with their tables' names, by table and revision: x.csv, x.r2.csv, x.r10.csv.

    Raises
    ------
    TableRefused
        Two files hold one revision of a table, or its revisions stand in two folders; or a name is neither
        ``<table>.csv`` nor ``<table>.r<number>.csv``.
    """
    ordered = sorted(names, key=lambda file: (names[file], _revision_number(file), str(file)))
    for one, other in pairwise(ordered):
        if names[one] != names[other]:
            continue
        if _revision_number(one) == _revision_number(other) or one.parent != other.parent:
            raise TableRefused(
                f"two files hold the table {names[one]}",
                where=f"{one} and {other}",
                rule="one file holds a table; later revisions stand beside it as <table>.r2.csv",
                remedy="keep one of the two files",
            )
    return ordered


def _revision_number(file: Path) -> int:
    between = file.name.split(".")[1:-1]
    if not between:
        return 1
    if len(between) == 1 and _REVISION.fullmatch(between[0]):
        return int(between[0][1:])
    raise TableRefused(
        f"{'.'.join(between)!r} in the name of a table is no revision",
        where=str(file),
        rule="a file is called <table>.csv, or <table>.r2.csv for its second revision (or .parquet)",
        remedy="rename the file, or take it out of the folder",
    )
