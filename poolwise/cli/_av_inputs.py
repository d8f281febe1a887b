"""What ``poolwise av`` reads: designs as JSON mappings, design tables, or public Plans & Benefits files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs.errors import ExtraMissing, InputRefused
from data_specs.formats.folder import unreadable

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DesignFile", "is_benefits", "is_plan_attributes", "named", "read_designs"]

_JSON, _TABLES = (".json",), (".csv", ".parquet", ".xlsx")
_LISTS = ("designs", "cases", "plans")  # under which a document keeps its designs
_IDS = ("design_id", "id", "name")
_YEARS = ("plan_year", "av_year")
_KIND, _DESIRED = "deductible_type", "desired_metal"
_METALS = (_DESIRED, "table_metal")
_RULE = (
    "a design file is JSON (a mapping, a list of them, or a document with designs, cases or plans), a design table "
    "(.csv, .parquet, .xlsx), or Plans & Benefits files"
)


@dataclass(frozen=True)
class DesignFile:
    """The designs of one file.

    Attributes
    ----------
    place : path
        The file.
    designs : DataFrame
        As :func:`rating.actuarial_value` reads them, or one of the public use files.
    left_out : int
        Designs of another year.
    """

    place: Path
    designs: pl.DataFrame
    left_out: int = 0


def read_designs(place: Path, *, plan_year: int, metal: str | None = None) -> DesignFile:
    """Return the designs of a file.

    Parameters
    ----------
    place : path
        A file of any of the forms.
    plan_year : int
        Designs that say they are of another year are left out and counted.
    metal : str, optional
        Metal level that is desired of designs which name none.

    Raises
    ------
    InputRefused
        The file is missing, is none of the forms, or holds no design of that year; the message names it.
    ExtraMissing
        A workbook, without the extra ``excel``.
    """
    with named(place):
        suffix = place.suffix.lower()
        if not place.is_file():
            raise InputRefused("there is no such file", rule=_RULE, remedy="name a file of designs")
        if suffix not in (*_JSON, *_TABLES):
            raise InputRefused(f"a file {suffix!r} is not read", rule=_RULE, remedy="write one of these")
        if suffix in _TABLES:
            return DesignFile(place, _with_metal(_table(place), metal))
        return _of_document(_document(place), place, plan_year, metal)


def is_plan_attributes(file: DesignFile) -> bool:
    """Return whether a file is the Plan Attributes public use file."""
    return _has(file, "planid", "uniqueplandesign")


def is_benefits(file: DesignFile) -> bool:
    """Return whether a file is the Benefits and Cost Sharing public use file."""
    return _has(file, "planid", "benefitname")


def _has(file: DesignFile, *names: str) -> bool:
    held = {"".join(letter for letter in column if letter.isalnum()) for column in file.designs.columns}
    return held.issuperset(names)


@contextmanager
def named(place: Path) -> Iterator[None]:
    """Say in a refusal which file it is about."""
    try:
        yield
    except InputRefused as error:
        where = str(place) if not error.where or str(place) in error.where else f"{place}: {error.where}"
        raise InputRefused(error.what, where=where, rule=error.rule, remedy=error.remedy) from None


# ------------------------------------------------------------------------------------------------ JSON


def _document(place: Path) -> Any:
    """Return a JSON document; a key twice, or a number that is none, is refused."""
    try:
        text = place.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputRefused(f"the file cannot be read: {reason}", remedy="check the file and its permissions") from None
    except UnicodeDecodeError as error:
        raise unreadable(place, type(error).__name__) from None
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise InputRefused("the document is nested too deeply", remedy="write the designs as a list") from None
    except json.JSONDecodeError as error:
        raise InputRefused(
            f"the file is no JSON: {error.msg.lower()}",
            where=f"line {error.lineno}, column {error.colno}",
            rule="RFC 8259",
            remedy="mend the file there",
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise InputRefused(f"key {key!r} stands twice in one object", remedy="keep one of the two")
        found[key] = value
    return found


def _no_number(word: str) -> Any:
    raise InputRefused(f"{word} is no number of JSON", rule="RFC 8259", remedy="write a number, or leave the key out")


def _of_document(document: Any, place: Path, plan_year: int, metal: str | None) -> DesignFile:
    """Return the designs of a document, each with a name, those of other years left out."""
    import polars as pl

    names: list[str | None] = []
    plans: list[str] = []
    left_out = 0
    for number, (name, entry) in enumerate(_entries(document, place), 1):
        if not isinstance(entry, Mapping):
            what = f"a {type(entry).__name__} stands where a design belongs"
            raise InputRefused(what, where=f"design {number}", rule=_RULE, remedy="write a mapping")
        year = next((entry[key] for key in _YEARS if key in entry), plan_year)
        if year != plan_year:
            left_out += 1
            continue
        own = name or next((str(entry[key]) for key in _IDS if entry.get(key) is not None), "")
        plan = entry["plan"] if isinstance(entry.get("plan"), Mapping) else entry
        plain = {key: value for key, value in plan.items() if key not in (*_IDS, *_YEARS)}
        if metal is not None and not set(plain) & set(_METALS):
            plain[_DESIRED] = metal
        # A plan id is a name already, and tells the variant besides.
        names.append(own or (None if "plan_id" in plain else f"{place.stem} {number}"))
        plans.append(json.dumps(plain))
    if not plans:
        raise InputRefused(
            f"no design is of plan year {plan_year}" if left_out else "there is no design",
            rule=_RULE,
            remedy="name the year of the designs: --plan-year" if left_out else "add designs",
        )
    # As text: what a design holds is told design by design where it is read.
    frame = pl.DataFrame({"design_id": names, "plan": plans}, schema={"design_id": pl.String, "plan": pl.String})
    return DesignFile(place, frame, left_out)


def _entries(document: Any, place: Path) -> list[tuple[str, Any]]:
    """Return the designs of a document with their names, where it names them by keys."""
    if isinstance(document, list):
        return [("", entry) for entry in document]
    if not isinstance(document, Mapping):
        raise InputRefused(
            f"the document is a {type(document).__name__}", rule=_RULE, remedy="write a mapping or a list"
        )
    if _KIND in document or isinstance(document.get("plan"), Mapping):
        name = next((str(document[key]) for key in _IDS if document.get(key) is not None), place.stem)
        return [(name, document)]
    for key in _LISTS:
        if key in document:
            return _entries(document[key], place)
    if document and all(
        isinstance(entry, Mapping) and (_KIND in entry or "plan" in entry) for entry in document.values()
    ):
        return list(document.items())
    raise InputRefused(
        "the document holds no design that can be told", rule=_RULE, remedy=f"a design begins with {_KIND!r}"
    )


# ------------------------------------------------------------------------------------------------ tables


def _table(place: Path) -> pl.DataFrame:
    """Return a table as text, Parquet as it is, with lower-case names."""
    import polars as pl

    try:
        if place.suffix.lower() == ".parquet":
            frame = pl.read_parquet(place)
        elif place.suffix.lower() == ".csv":
            frame = pl.read_csv(place, infer_schema=False)
        else:
            frame = _sheet(place)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputRefused(f"the file cannot be read: {reason}", remedy="check the file and its permissions") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise unreadable(place, type(error).__name__) from None
    names = {c: c.strip().lstrip("\ufeff").lower() for c in frame.columns}
    given = list(names.values())
    twice = next((name for name in given if given.count(name) > 1), None)
    if twice is not None:
        raise InputRefused(f"column {twice!r} stands twice", where=str(place), remedy="keep one of the two")
    return frame.rename(names)


def _sheet(place: Path) -> pl.DataFrame:
    """Return the first sheet of a workbook."""
    import polars as pl

    try:
        import fastexcel
    except ImportError:
        raise ExtraMissing(
            "a workbook needs fastexcel, which is not installed", remedy="pip install 'poolwise[excel]'"
        ) from None
    try:
        return pl.read_excel(place, sheet_id=1, infer_schema_length=0, drop_empty_rows=True)
    except fastexcel.FastExcelError as error:
        raise unreadable(place, type(error).__name__) from None


def _with_metal(frame: pl.DataFrame, metal: str | None) -> pl.DataFrame:
    """Return a design table in which designs that name no metal desire one; the first row of a design may say it."""
    import polars as pl

    key = next((name for name in ("design_id", "plan_id") if name in frame.columns), None)
    if metal is None or key is None:
        return frame
    said = [
        pl.col(name).cast(pl.String).str.strip_chars().replace("", None) for name in _METALS if name in frame.columns
    ]
    names_one = pl.any_horizontal(*[one.is_not_null().any().over(key) for one in said]) if said else pl.lit(False)
    own = said[0] if _DESIRED in frame.columns else pl.lit(None, dtype=pl.String)
    return frame.with_columns(pl.when(names_one).then(own).otherwise(pl.lit(metal)).alias(_DESIRED))
