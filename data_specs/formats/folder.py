"""A folder of input tables, one CSV or Parquet file each: the layout of poolwise's own tables."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from data_specs._frames import INPUT_COLUMNS, need_columns
from data_specs.errors import InputRefused
from data_specs.formats.diy import is_diy_folder

if TYPE_CHECKING:
    import os

    import polars as pl

__all__ = [
    "InputTables",
    "complete_spans",
    "is_diy_folder",
    "read_cells",
    "read_folder",
    "read_table_file",
    "table_files",
    "unreadable",
]

_STEMS = {
    "enrollees": ("enrollees",),
    "spans": ("enrollment_spans", "spans"),
    "diagnoses": ("diagnoses",),
    "drugs": ("drugs",),
    "plans": ("plans",),
}
_REQUIRED = ("enrollees", "spans", "diagnoses")
_SUFFIXES = (".csv", ".parquet")

# Names the sources use (EDGE server elements, exchange public use files, published case files); ours win over them.
_ALIASES: dict[str, dict[str, str]] = {
    "enrollees": {
        "insuredmemberidentifier": "enrollee_id",
        "insuredmemberbirthdate": "birth_date",
        "insuredmembergendercode": "sex",
    },
    "spans": {
        "insuredmemberidentifier": "enrollee_id",
        "insuranceplanidentifier": "plan_id",
        "planid": "plan_id",
        "coveragestartdate": "span_start",
        "start_date": "span_start",
        "coverageenddate": "span_end",
        "end_date": "span_end",
        "metallevel": "metal_level",
        "metal": "metal_level",
        "ratingareaid": "rating_area_id",
        "rateareaidentifier": "rating_area_id",
    },
    "diagnoses": {
        "insuredmemberidentifier": "enrollee_id",
        "diagnosiscode": "diagnosis_code",
        "supplementaldiagnosiscode": "diagnosis_code",
        "icd10": "diagnosis_code",
        "servicefromdate": "service_date",
        "claimidentifier": "claim_id",
    },
    "drugs": {
        "insuredmemberidentifier": "enrollee_id",
        "prescriptionfilldate": "service_date",
        "fill_date": "service_date",
        "claimidentifier": "claim_id",
    },
    "plans": {
        "businessyear": "plan_year",
        "standardcomponentid": "plan_id",
        "insuranceplanidentifier": "plan_id",
        "issuerid": "issuer_id",
        "statecode": "state",
        "marketcoverage": "market",
        "metallevel": "metal_level",
        "metal": "metal_level",
    },
}
_OUR_COLUMNS = {
    "enrollees": INPUT_COLUMNS["enrollees"],
    "spans": INPUT_COLUMNS["enrollment_spans"],
    "diagnoses": INPUT_COLUMNS["diagnoses"],
    "drugs": INPUT_COLUMNS["drugs"],
    "plans": ("plan_id", "metal_level"),
}
_FROM_ELSEWHERE = {"spans": ("csr_variant", "metal_level")}  # may stand elsewhere: in the plan id, in the plans table
_COMPONENT_LENGTH = 14
_SECOND = re.compile(r"_duplicated_\d+$")


@dataclass(frozen=True)
class InputTables:
    """The input tables of a folder.

    Attributes
    ----------
    enrollees, spans, diagnoses : DataFrame
        As :func:`riskadjust.score` takes them. Columns of a CSV file are text.
    drugs, plans : DataFrame or None
        Where the folder has them.
    files : dict of path
        The file of each table.
    not_read : tuple of str
        Names of further CSV and Parquet files of the folder; they are no input table.
    """

    enrollees: pl.DataFrame
    spans: pl.DataFrame
    diagnoses: pl.DataFrame
    drugs: pl.DataFrame | None
    plans: pl.DataFrame | None
    files: dict[str, Path]
    not_read: tuple[str, ...]


def read_folder(
    folder: str | os.PathLike[str], *, benefit_year: int | None = None, on_table: Callable[[str], None] | None = None
) -> InputTables:
    """Return the input tables of a folder.

    Parameters
    ----------
    folder : path
        Holds enrollees, spans (or enrollment_spans), diagnoses and, where there are any, drugs and plans, each as .csv
        (UTF-8, one header line; read as text) or .parquet, in any case. Column names in any case; those of EDGE server
        files and exchange public use files are understood. Spans may lack csr_variant when their plan_id has 16 or 17
        characters, and metal_level when plans has it.
    benefit_year : int, optional
        Rows of plans for other plan years are left out.
    on_table : function, optional
        Called with the name of each table before it is read.

    Raises
    ------
    InputRefused
        A missing folder, file or column, an empty file, one that is no table, or a plan with two metal levels.
    """
    path = Path(folder)
    files, not_read = table_files(path)
    missing = [t for t in _REQUIRED if t not in files]
    if missing:
        raise _file_missing(path, missing[0], not_read)
    frames: dict[str, pl.DataFrame] = {}
    for table in _STEMS:
        if table in files:
            if on_table is not None:
                on_table(table)
            frames[table] = read_table_file(files[table], table)
    frames["spans"] = complete_spans(frames["spans"], frames.get("plans"), files, benefit_year)
    return InputTables(
        enrollees=frames["enrollees"],
        spans=frames["spans"],
        diagnoses=frames["diagnoses"],
        drugs=frames.get("drugs"),
        plans=frames.get("plans"),
        files=files,
        not_read=not_read,
    )


def table_files(folder: Path) -> tuple[dict[str, Path], tuple[str, ...]]:
    """Return the file of each input table of a folder, and the names of other CSV and Parquet files.

    Raises
    ------
    InputRefused
        No such folder, or two files of one table.
    """
    if not folder.is_dir():
        what = "a file is named where a folder is meant" if folder.exists() else "the folder does not exist"
        raise InputRefused(what, where=str(folder), remedy="name the folder that holds the input tables")
    found: dict[str, Path] = {}
    others = []
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() not in _SUFFIXES:
            continue
        table = next((t for t, stems in _STEMS.items() if file.stem.lower() in stems), None)
        if table is None:
            others.append(file.name)
            continue
        if table in found:
            raise InputRefused(
                f"two files hold the {table} table",
                where=f"{folder}: {found[table].name}, {file.name}",
                remedy="keep one of them",
            )
        found[table] = file
    return found, tuple(others)


def _file_missing(folder: Path, table: str, not_read: tuple[str, ...]) -> InputRefused:
    names = " or ".join(f"{stem}.csv" for stem in _STEMS[table])
    there = f"; found under other names: {', '.join(not_read[:5])}" if not_read else ""
    return InputRefused(
        f"the {table} table is missing",
        where=str(folder),
        rule="FILE-002: a folder holds enrollees, spans and diagnoses (drugs and plans optional), or PERSON and DIAG "
        "of the DIY layout",
        remedy=f"add {names} (or .parquet){there}",
    )


def read_table_file(path: Path, table: str) -> pl.DataFrame:
    """Return one table of the folder layout from its file, with our column names; cells of CSV files are text.

    Raises
    ------
    InputRefused
        The file cannot be read as a table, or a required column is missing.
    """
    return _with_our_names(read_cells(path), path, table)


def read_cells(path: Path) -> pl.DataFrame:
    """Return the rows of a CSV or Parquet file under the names that the file has; cells of CSV files are text.

    Raises
    ------
    InputRefused
        The file cannot be read as a table.
    """
    import polars as pl

    try:
        with path.open("rb") as stream:
            start = stream.read(65_536)
        if not start.strip():
            raise InputRefused("the file is empty", where=str(path), rule="FILE-002", remedy="add the header and rows")
        if path.suffix.lower() == ".parquet":
            return pl.read_parquet(path)
        if b"\0" in start:
            raise _not_utf8(path, "the file holds NUL bytes")
        return pl.read_csv(path, infer_schema=False)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputRefused(
            f"the file cannot be read: {reason}", where=str(path), remedy="check the file and its permissions"
        ) from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise unreadable(path, type(error).__name__) from None


def _not_utf8(path: Path, what: str, row: int | None = None) -> InputRefused:
    return InputRefused(
        what,
        where=str(path) + (f", line {row}" if row else ""),
        rule="FILE-007: text is UTF-8",
        remedy="save it again as CSV in UTF-8 (Excel: 'CSV UTF-8'), or as Parquet",
    )


def unreadable(path: Path, kind: str) -> InputRefused:
    """Return why a file is no table, with the line where that shows; never with the content of a line."""
    if path.suffix.lower() == ".parquet":
        return InputRefused(
            "the file is not a Parquet file", where=str(path), rule=f"FILE-002: {kind}", remedy="write it again"
        )
    import csv

    header = 0
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            for row in reader:
                header = header or len(row)
                if row and len(row) > header:
                    return InputRefused(
                        f"a line has {len(row)} fields, the header has {header}",
                        where=f"{path}, line {reader.line_num}",
                        rule="FILE-002",
                        remedy="put text that holds a comma into double quotes",
                    )
    except UnicodeDecodeError:
        return _not_utf8(path, "the file is not UTF-8 text", _line_not_utf8(path))
    except csv.Error:
        pass
    return InputRefused(
        "the file cannot be read as a table",
        where=str(path),
        rule=f"FILE-002: {kind}",
        remedy="save it again as CSV (UTF-8, one header line, double quotes closed) or as Parquet",
    )


def _line_not_utf8(path: Path) -> int | None:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return None


def _with_our_names(frame: pl.DataFrame, path: Path, table: str) -> pl.DataFrame:
    """Return a frame whose columns have our names, all required ones present."""
    names: dict[str, str] = {}
    ours = _OUR_COLUMNS[table]
    lowered = {c: c.strip().lstrip("\ufeff").lower() for c in frame.columns}
    taken = {low for low in lowered.values() if low not in _ALIASES[table]}
    for column, low in lowered.items():
        name = _ALIASES[table].get(low, low)
        if name != low and name in taken:
            name = low
        taken.add(name)
        names[column] = name
    # Polars calls the second of two columns of one name `name_duplicated_0`.
    first = [_SECOND.sub("", low) for low in lowered.values() if _SECOND.search(low)]
    named = [*names.values(), *(_ALIASES[table].get(low, low) for low in first if low in lowered.values())]
    twice = [c for c in ours if named.count(c) > 1]
    if twice:
        raise InputRefused(
            f"column {twice[0]!r} stands twice", where=str(path), rule="FILE-002", remedy="keep one of the two"
        )
    frame = frame.rename(names)
    if len(frame.columns) == 1 and (mark := next((m for m in ";\t|" if m in frame.columns[0]), "")):
        raise InputRefused(
            f"the columns are separated by {mark!r}",
            where=str(path),
            rule="FILE-002: a CSV file is separated by commas",
            remedy="save it again with commas, or as Parquet",
        )
    need_columns(frame, table, tuple(c for c in ours if c not in _FROM_ELSEWHERE.get(table, ())), where=str(path))
    return frame


def complete_spans(
    spans: pl.DataFrame, plans: pl.DataFrame | None, files: dict[str, Path], benefit_year: int | None
) -> pl.DataFrame:
    """Return spans with csr_variant and metal_level: blank variants are read from the plan id, metals from plans."""
    import polars as pl

    if "csr_variant" not in spans.columns:
        spans = spans.with_columns(pl.lit(None, dtype=pl.String).alias("csr_variant"))
    if "metal_level" in spans.columns:
        return spans
    if plans is None:
        raise InputRefused(
            "missing column 'metal_level'",
            where=str(files["spans"]),
            rule="FILE-002: spans have metal_level, or their plans have it",
            remedy="add the column, or a plans table with plan_id and metal_level",
        )
    metals = _metal_of_plan(plans, str(files["plans"]), benefit_year)
    component = pl.col("plan_id").cast(pl.String).str.strip_chars().str.slice(0, _COMPONENT_LENGTH)
    return (
        spans.with_columns(component.alias("_component"))
        .join(metals, on="_component", how="left", maintain_order="left", validate="m:1")
        .drop("_component")
    )


def _metal_of_plan(plans: pl.DataFrame, where: str, benefit_year: int | None) -> pl.DataFrame:
    import polars as pl

    if benefit_year is not None and "plan_year" in plans.columns:
        plans = plans.filter(pl.col("plan_year").cast(pl.String).str.strip_chars() == str(benefit_year))
    component = pl.col("plan_id").cast(pl.String).str.strip_chars().str.slice(0, _COMPONENT_LENGTH)
    metals = plans.select(component.alias("_component"), pl.col("metal_level").cast(pl.String)).unique()
    twice = metals.filter(pl.col("_component").is_duplicated())["_component"].n_unique()
    if twice:
        raise InputRefused(
            f"{twice} plan(s) have more than one metal level",
            where=where,
            rule="PLAN-001: a plan stands once within a plan year",
            remedy="keep one row per plan, or add the column plan_year",
        )
    return metals
