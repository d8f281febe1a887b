"""The person, diagnosis, NDC and HCPCS files of the HHS-HCC DIY software."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DiyTables", "diy_files", "is_diy_folder", "read_diy"]

_STEMS = {
    "person": ("person",),
    "diagnosis": ("diag", "diagnosis", "diagnoses"),
    "ndc": ("ndc",),
    "hcpcs": ("hcpcs",),
}
_COLUMNS = {
    "person": ("ENROLID", "SEX", "DOB", "AGE_LAST", "METAL", "CSR_INDICATOR", "ENROLDURATION"),
    "diagnosis": ("ENROLID", "DIAG", "DIAGNOSIS_SERVICE_DATE"),
    "ndc": ("ENROLID", "NDC"),
    "hcpcs": ("ENROLID", "HCPCS"),
}
_OPTIONAL = ("AGE_AT_DIAGNOSIS",)
_NUMBERS = ("SEX", "AGE_LAST", "CSR_INDICATOR", "ENROLDURATION", "AGE_AT_DIAGNOSIS")
_REQUIRED = ("person", "diagnosis")


@dataclass(frozen=True)
class DiyTables:
    """The four tables of the DIY input, every column as text.

    Attributes
    ----------
    person : DataFrame
        ENROLID, SEX (1 male, 2 female), DOB (YYYYMMDD), AGE_LAST (years), METAL, CSR_INDICATOR (code of the benefit
        year), ENROLDURATION (months).
    diagnosis : DataFrame
        ENROLID, DIAG (ICD-10-CM), DIAGNOSIS_SERVICE_DATE (YYYYMMDD), AGE_AT_DIAGNOSIS (years; optional).
    ndc, hcpcs : DataFrame or None
        ENROLID and NDC (11 digits), ENROLID and HCPCS (5 characters).
    """

    person: pl.DataFrame
    diagnosis: pl.DataFrame
    ndc: pl.DataFrame | None = None
    hcpcs: pl.DataFrame | None = None

    @classmethod
    def of(cls, tables: DiyTables | Mapping[str, Any]) -> DiyTables:
        """Return tables from a mapping with the keys person, diagnosis, ndc, hcpcs (or the names of the files)."""
        import polars as pl

        given: Mapping[str, Any] = tables.__dict__ if isinstance(tables, DiyTables) else tables
        found: dict[str, pl.DataFrame] = {}
        for name, frame in given.items():
            table = _table_of(str(name))
            if table is None:
                raise InputRefused(f"no DIY table is called {name!r}", remedy="use person, diagnosis, ndc, hcpcs")
            if frame is None and table not in _REQUIRED:
                continue
            if table in found:
                raise InputRefused(f"the {table} table is given twice", where=str(name), remedy="give it once")
            if isinstance(frame, pl.LazyFrame):
                frame = frame.collect()
            if not isinstance(frame, pl.DataFrame):
                raise InputRefused(f"{name} is a {type(frame).__name__}", remedy="hand in polars frames")
            found[table] = _checked(frame, table, str(name))
        _need_tables(found, "the mapping")
        return cls(**found)

    def only(self, enrollee_ids: list[str]) -> DiyTables:
        """Return the rows of some persons."""
        import polars as pl

        def chosen(frame: pl.DataFrame | None) -> pl.DataFrame | None:
            return None if frame is None else frame.filter(pl.col("ENROLID").is_in(enrollee_ids))

        return DiyTables(
            self.person.filter(pl.col("ENROLID").is_in(enrollee_ids)),
            self.diagnosis.filter(pl.col("ENROLID").is_in(enrollee_ids)),
            chosen(self.ndc),
            chosen(self.hcpcs),
        )


def _table_of(stem: str) -> str | None:
    low = stem.lower()
    return next((table for table, stems in _STEMS.items() if low in stems), None)


def diy_files(folder: Path) -> dict[str, Path]:
    """Return the file of each table of the DIY layout that a folder holds.

    Raises
    ------
    InputRefused
        Two files hold the same table.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        table = _table_of(path.stem) if path.suffix.lower() in (".csv", ".parquet") else None
        if table is None:
            continue
        if table in found:
            raise InputRefused(
                f"two files hold the {table} table",
                where=f"{found[table].name}, {path.name}",
                remedy="keep one of them",
            )
        found[table] = path
    return found


def is_diy_folder(folder: Path) -> bool:
    """Return whether a folder holds a person file of the DIY layout."""
    return folder.is_dir() and "person" in diy_files(folder)


def read_diy(folder: str | PathLike[str]) -> DiyTables:
    """Return the tables of a folder in the published DIY layout.

    Parameters
    ----------
    folder : path
        Holds PERSON.csv, DIAG.csv and, where there are any, NDC.csv and HCPCS.csv (any case; Parquet too). Every column
        is read as text, so that leading zeros stay.

    Raises
    ------
    InputRefused
        A missing folder, file or column, an empty file, or one that is no table.
    """
    if not isinstance(folder, str | PathLike):
        raise InputRefused(f"a {type(folder).__name__} is no folder", remedy="name a folder, or hand in DIY tables")
    path = Path(folder)
    if not path.is_dir():
        raise InputRefused("the folder does not exist", where=str(path), remedy="check the path")
    files = diy_files(path)
    _need_tables(files, str(path))
    return DiyTables(**{table: _read(file, table) for table, file in files.items()})


def _need_tables(found: Mapping[str, object], where: str) -> None:
    missing = [t for t in _REQUIRED if t not in found]
    if missing:
        names = {"person": "PERSON.csv", "diagnosis": "DIAG.csv"}
        raise InputRefused(
            f"the {missing[0]} table is missing",
            where=where,
            rule="DIY layout: PERSON and DIAG are required, NDC and HCPCS optional",
            remedy=f"add {names[missing[0]]}",
        )


def _read(path: Path, table: str) -> pl.DataFrame:
    import polars as pl

    if path.stat().st_size == 0:
        raise InputRefused("the file is empty", where=str(path), rule="FILE-002", remedy="add the header and rows")
    try:
        is_parquet = path.suffix.lower() == ".parquet"
        frame = pl.read_parquet(path) if is_parquet else pl.read_csv(path, infer_schema=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputRefused(
            "the file cannot be read as a table",
            where=str(path),
            rule=f"FILE-002, FILE-007: {type(error).__name__}",
            remedy="save it again as CSV (UTF-8, one header line) or Parquet",
        ) from None
    checked = _checked(frame, table, str(path))
    if not is_parquet and _holds_nul(path):
        raise InputRefused("a NUL stands in the text", where=str(path), rule="FILE-007", remedy="save it again as text")
    return checked


def _holds_nul(path: Path) -> bool:
    with path.open("rb") as stream:
        while block := stream.read(1 << 22):
            if b"\0" in block:
                return True
    return False


def _checked(frame: pl.DataFrame, table: str, where: str) -> pl.DataFrame:
    """Return the columns of the layout as text under their names; refuse a frame that lacks one or has it twice."""
    names = [c.strip().upper() for c in frame.columns]
    missing = [c for c in _COLUMNS[table] if c not in names]
    twice = [c for c in (*_COLUMNS[table], *_OPTIONAL) if names.count(c) > 1]
    if missing or twice:
        what = "missing column " + ", ".join(missing) if missing else f"column {twice[0]} stands twice"
        raise InputRefused(
            what,
            where=where,
            rule=f"FILE-002: the {table} table has the columns {', '.join(_COLUMNS[table])}",
            remedy="rename, add or drop columns",
        )
    kept = [(c, n) for c, n in zip(frame.columns, names, strict=True) if n in (*_COLUMNS[table], *_OPTIONAL)]
    return frame.select(_as_text(c, n, frame.schema[c], where) for c, n in kept)


def _as_text(column: str, name: str, dtype: pl.DataType, where: str) -> pl.Expr:
    import polars as pl

    text = pl.col(column)
    if isinstance(dtype, pl.Date | pl.Datetime):
        return text.dt.strftime("%Y%m%d").alias(name)
    plain = dtype in (pl.String, pl.Categorical, pl.Null) or dtype.is_integer() or isinstance(dtype, pl.Enum)
    if plain or (dtype.is_float() and name in _NUMBERS):
        return text.cast(pl.String).str.strip_chars().alias(name)
    raise InputRefused(
        f"column {name} is {dtype}",
        where=where,
        rule="FILE-002: a required column has its declared type",
        remedy="read the column as text: leading zeros count",
    )
