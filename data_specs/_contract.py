"""What a table of published figures must look like, and the check that holds it to that.

A contract is a catalog entry (``catalog/<family>.toml``): columns with type, unit and limits, the key, the
column that carries the year. A file is read as text, checked cell by cell, and only then becomes a typed frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs._years import overlapping_rows
from data_specs.errors import TableRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Column", "Contract", "check_table", "contract_from_entry", "first_row", "read_text", "typed_table"]

_TYPES = ("text", "int", "number", "flag", "date")
_SHOWN_BREACHES = 5
# One spelling per integer: with "+7" or "007" beside "7", two rows of text would be one row of figures.
_INTEGER = r"^(?:0|-?[1-9][0-9]{0,17})$"
_NUMBER = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"  # tabs and line breaks may stand in a note


@dataclass(frozen=True)
class Column:
    """One column of a table: its type and what its cells may hold."""

    name: str
    type: str
    unit: str = ""
    nullable: bool = False
    values: tuple[str, ...] = ()
    pattern: str = ""
    min: float | None = None
    max: float | None = None
    references: str = ""
    about: str = ""


@dataclass(frozen=True)
class Contract:
    """The catalog's description of one table."""

    family: str
    name: str
    title: str
    source: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    year_column: str = ""
    first_year_column: str = ""
    last_year_column: str = ""
    state_column: str = ""
    note: str = ""
    revisions: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    @property
    def full_name(self) -> str:
        """Return ``family/name``."""
        return f"{self.family}/{self.name}"

    @property
    def is_by_year(self) -> bool:
        """Whether rows hold for a year, or from a first to a last one."""
        return bool(self.year_column or self.first_year_column)


def contract_from_entry(family: str, entry: dict[str, Any], where: str) -> Contract:
    """Return the contract of one ``[[table]]`` entry of a catalog file."""
    try:
        columns = tuple(_column(c) for c in entry["column"])
        contract = Contract(
            family=family,
            name=entry["name"],
            title=entry["title"],
            source=entry["source"],
            key=tuple(entry["key"]),
            columns=columns,
            year_column=entry.get("year_column", ""),
            first_year_column=entry.get("first_year_column", ""),
            last_year_column=entry.get("last_year_column", ""),
            state_column=entry.get("state_column", ""),
            note=entry.get("note", ""),
            revisions=tuple(dict(r) for r in entry.get("revision", ())),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise TableRefused(
            f"a catalog entry cannot be read ({error})",
            where=where,
            rule="an entry has name, title, source, key and columns with name and type",
            remedy="complete the entry; `poolwise tables` prints the installed ones as a pattern",
        ) from None
    names = {c.name for c in columns}
    years = (contract.year_column, contract.first_year_column, contract.last_year_column)
    loose = [k for k in (*contract.key, *years, contract.state_column) if k and k not in names]
    if loose:
        raise TableRefused(
            f"entry {contract.name!r} names the key column {loose[0]!r}, which it does not describe",
            where=where,
            remedy="describe every key column under [[table.column]]",
        )
    _check_years(contract, where)
    return contract


def _check_years(contract: Contract, where: str) -> None:
    """Refuse an entry that leaves open which years its rows hold for."""
    single, first, last = contract.year_column, contract.first_year_column, contract.last_year_column
    if bool(first) != bool(last) or (first and single):
        raise TableRefused(
            f"entry {contract.name!r} does not say clearly which years its rows hold for",
            where=where,
            rule="either year_column, or first_year_column with last_year_column (blank in a row: still open), or none",
            remedy="name the columns that the table has",
        )
    wrong = [
        c.name
        for c in contract.columns
        if c.name in (single, first, last) and (c.type != "int" or (c.nullable and c.name != last))
    ]
    if wrong:
        raise TableRefused(
            f"entry {contract.name!r} has years in column {wrong[0]!r}, which may hold something else",
            where=where,
            rule="a year column has the type int, and only the last year of a span may be blank",
            remedy="mend the type of the column, or leave out `nullable`",
        )


def _column(entry: dict[str, Any]) -> Column:
    column = Column(**{**entry, "values": tuple(entry.get("values", ()))})
    if column.type not in _TYPES:
        raise ValueError(f"column type {column.type!r} is none of {', '.join(_TYPES)}")
    return column


def read_text(path: Path) -> pl.DataFrame:
    """Return a CSV or Parquet file with every cell as text; blank cells are null."""
    import polars as pl

    is_parquet = path.suffix.lower() == ".parquet"
    try:
        frame = pl.read_parquet(path) if is_parquet else pl.read_csv(path, infer_schema=False)
    except Exception as error:  # the reader's own classes differ by version
        raise TableRefused(
            "the file cannot be read as a table",
            where=str(path),
            rule=f"{path.suffix.lstrip('.').upper()} with a header ({type(error).__name__})",
            remedy="save it again as CSV (UTF-8) or Parquet",
        ) from error
    for name, dtype in frame.schema.items():
        if not _is_plain(dtype):
            raise TableRefused(
                f"column {name!r} is {dtype}",
                where=f"{path}, column {name}",
                rule="a cell holds one text, number, flag or date",
                remedy="save the column as text, numbers, flags or dates",
            )
    frame = frame.with_columns(_as_text(c, frame.schema[c]) for c in frame.columns)
    return frame.with_columns(pl.when(pl.all().str.len_bytes() > 0).then(pl.all()))


def first_row(path: Path) -> int:
    """Return the number of the first row: a line of a CSV, whose header is line 1, or a row of a Parquet file."""
    return 2 if path.suffix.lower() == ".csv" else 1


def _is_plain(dtype: pl.DataType) -> bool:
    import polars as pl

    return dtype.is_numeric() or dtype in (pl.String, pl.Boolean, pl.Date, pl.Null, pl.Categorical, pl.Enum)


def _as_text(name: str, dtype: pl.DataType) -> pl.Expr:
    import polars as pl

    column = pl.col(name)
    if dtype == pl.Boolean:
        return pl.when(column).then(pl.lit("true")).when(~column).then(pl.lit("false")).alias(name)
    return column.cast(pl.String)


def check_table(text: pl.DataFrame, contract: Contract, path: Path) -> pl.DataFrame:
    """Return the typed frame of a table, or refuse it with file, row, column and rule.

    Parameters
    ----------
    text : DataFrame
        Every cell as text, as :func:`read_text` returns it.
    contract : Contract
        What the table must look like.
    path : Path
        The file, for messages. Rows are counted as lines of a CSV (the header is line 1) or rows of a Parquet file.

    Raises
    ------
    TableRefused
        With the first breaches and their number.
    """
    _check_header(text, contract, path)
    first_line = first_row(path)
    if text.height == 0:
        raise TableRefused("the table has no rows", where=str(path), rule=contract.full_name, remedy="add the rows")
    breaches = _cell_breaches(text, contract, first_line)
    if breaches:
        raise _refusal(breaches, contract, path)
    typed = typed_table(text, contract)
    breaches = _key_breaches(typed, contract, first_line)
    breaches += [(row + first_line, column, rule) for row, column, rule in overlapping_rows(typed, contract)]
    if breaches:
        raise _refusal(breaches, contract, path)
    return typed


def typed_table(text: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """Return the typed frame of a table that has been checked before (its digest says so)."""
    return text.select(_typed(c) for c in contract.columns)


def _check_header(text: pl.DataFrame, contract: Contract, path: Path) -> None:
    wanted = [c.name for c in contract.columns]
    missing = [n for n in wanted if n not in text.columns]
    extra = [n for n in text.columns if n not in wanted]
    if not missing and not extra:
        return
    what = f"column {missing[0]!r} is missing" if missing else f"column {extra[0]!r} is not in the contract"
    raise TableRefused(
        what,
        where=f"{path}, header",
        rule=f"{contract.full_name} has the columns {', '.join(wanted)}",
        remedy="rename, add or drop columns so that the header matches",
    )


def _cell_breaches(text: pl.DataFrame, contract: Contract, first_line: int) -> list[tuple[int, str, str]]:
    """Return the cells that break a rule of their column, each with the first rule, up to 50 of a column."""
    import polars as pl

    tests = {column.name: _cell_tests(column) for column in contract.columns}
    firsts = {n: pl.coalesce(pl.when(t).then(i) for i, (t, _) in enumerate(own)) for n, own in tests.items()}
    broken = text.select(first.alias(name) for name, first in firsts.items())
    found: list[tuple[int, str, str]] = []
    for first in broken:
        if first.null_count() < text.height:
            rows = first.is_not_null().arg_true().head(50)
            found += [(r + first_line, first.name, tests[first.name][first[r]][1]) for r in rows.to_list()]
    return found


def _cell_tests(column: Column) -> list[tuple[pl.Expr, str]]:
    """Return what is wrong with a cell of a column, and the rule it breaks; every column has some test."""
    import polars as pl

    cell = pl.col(column.name)
    tests: list[tuple[pl.Expr, str]] = []
    if not column.nullable:
        tests.append((cell.is_null(), "a value is required"))
    if column.type == "text":
        tests.append((cell.str.strip_chars() != cell, "no blanks before or after the text"))
        tests.append((cell.str.contains(_CONTROL), "no control characters (such as NUL)"))
    shape = {"int": _INTEGER, "number": _NUMBER, "flag": "^(?:true|false)$"}.get(column.type)
    if shape:
        spelling = " (no plus sign, no leading zeros)" if column.type == "int" else ""
        tests.append((~cell.str.contains(shape), f"the type is {column.type}{spelling}"))
    if column.type == "date":
        tests.append((cell.str.to_date("%Y-%m-%d", strict=False).is_null() & cell.is_not_null(), "YYYY-MM-DD"))
    if column.values:
        tests.append((~cell.is_in(list(column.values)), "one of " + ", ".join(column.values)))
    if column.pattern:
        tests.append((~cell.str.contains(column.pattern), f"must match {column.pattern}"))
    number = cell.cast(pl.Float64, strict=False)
    if column.min is not None:
        tests.append((number < column.min, f"at least {column.min:g}"))
    if column.max is not None:
        tests.append((number > column.max, f"at most {column.max:g}"))
    return tests


def _key_breaches(typed: pl.DataFrame, contract: Contract, first_line: int) -> list[tuple[int, str, str]]:
    """Return the rows that repeat a key; values are compared, because one value can be spelled in several ways."""
    import polars as pl

    rows = typed.with_row_index("_row").filter(~pl.struct(list(contract.key)).is_first_distinct())
    rule = "the key (" + ", ".join(contract.key) + ") occurs once"
    return [(row + first_line, contract.key[-1], rule) for row in rows["_row"].head(50).to_list()]


def _refusal(breaches: list[tuple[int, str, str]], contract: Contract, path: Path) -> TableRefused:
    breaches.sort()
    shown = "; ".join(f"row {r}, column {c}: {rule}" for r, c, rule in breaches[:_SHOWN_BREACHES])
    more = "" if len(breaches) <= _SHOWN_BREACHES else " and more"
    return TableRefused(
        "the table breaks its contract",
        where=str(path),
        rule=f"{shown}{more} ({contract.full_name})",
        remedy="mend these rows; figures are never guessed",
    )


def _typed(column: Column) -> pl.Expr:
    import polars as pl

    cell = pl.col(column.name)
    if column.type == "int":
        return cell.cast(pl.Int64)
    if column.type == "number":
        return cell.cast(pl.Float64)
    if column.type == "flag":
        return (cell == "true").alias(column.name)
    if column.type == "date":
        return cell.str.to_date("%Y-%m-%d")
    return cell
