"""Frames as they arrive: collected, their columns present and of a usable type, or one clear refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["INPUT_COLUMNS", "as_frame", "date_column", "need_columns", "text_column"]

# The columns scoring reads; full tables with keys and constraints stand in the catalog of input tables.
INPUT_COLUMNS: dict[str, tuple[str, ...]] = {
    "enrollees": ("enrollee_id", "birth_date", "sex"),
    "enrollment_spans": ("enrollee_id", "plan_id", "csr_variant", "metal_level", "span_start", "span_end"),
    "diagnoses": ("enrollee_id", "diagnosis_code", "service_date"),
    "drugs": ("enrollee_id", "code_type", "code", "service_date"),
}
_DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d")


def as_frame(frame: pl.DataFrame | pl.LazyFrame, table: str) -> pl.DataFrame:
    """Return a frame, collected if it was lazy, with the columns that `table` needs.

    Raises
    ------
    InputRefused
        Not a Polars frame, or a column is missing (rule FILE-002).
    """
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        raise InputRefused(
            f"{table} is a {type(frame).__name__}", where=table, remedy="hand in a polars DataFrame or LazyFrame"
        )
    need_columns(frame, table, INPUT_COLUMNS[table])
    return frame


def need_columns(frame: pl.DataFrame, table: str, columns: tuple[str, ...], where: str = "") -> None:
    """Refuse a frame that lacks a column."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputRefused(
            "missing column " + ", ".join(repr(c) for c in missing),
            where=where or table,
            rule=f"FILE-002: {table} has the columns {', '.join(columns)}",
            remedy="rename or add the column",
        )


def text_column(frame: pl.DataFrame, table: str, column: str) -> pl.Series:
    """Return a column of codes or ids as text; numbers are refused, because leading zeros count."""
    import polars as pl

    series = frame[column]
    if series.dtype == pl.String:
        return series
    if series.dtype in (pl.Categorical, pl.Null) or isinstance(series.dtype, pl.Enum):
        return series.cast(pl.String)
    raise _wrong_type(table, column, series.dtype, "text", "read the column as text: leading zeros count")


def date_column(frame: pl.DataFrame, table: str, column: str) -> pl.Series:
    """Return a column as Date. Text is read as YYYY-MM-DD or YYYYMMDD; what is no date becomes null, to be counted.

    Examples
    --------
    A time with a zone is a day in that zone.

    >>> from datetime import datetime
    >>> import polars as pl
    >>> late = pl.Series("day", [datetime(2026, 12, 31, 23, 30)]).dt.replace_time_zone("America/New_York")
    >>> date_column(late.to_frame(), "claims", "day").to_list()
    [datetime.date(2026, 12, 31)]
    """
    import polars as pl

    series = frame[column]
    if series.dtype == pl.Date:
        return series
    if isinstance(series.dtype, pl.Datetime):
        return series.dt.date()  # where a time zone is said, the day there: a cast would take the day in Greenwich
    if series.dtype == pl.Null:
        return series.cast(pl.Date)
    if series.dtype == pl.String:
        parsed = pl.coalesce(pl.col(column).str.strip_chars().str.to_date(f, strict=False) for f in _DATE_FORMATS)
        return frame.select(parsed).to_series()
    raise _wrong_type(table, column, series.dtype, "a date", "use dates, or text YYYY-MM-DD or YYYYMMDD")


def _wrong_type(table: str, column: str, dtype: object, wanted: str, remedy: str) -> InputRefused:
    return InputRefused(
        f"column {column!r} is {dtype}, not {wanted}",
        where=f"{table}, column {column}",
        rule="FILE-002: a required column has its declared type",
        remedy=remedy,
    )
