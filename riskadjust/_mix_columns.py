"""Columns that conditions of mixes may name: found in the frames, coded once, tested on their distinct values."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._mix_rules import Condition

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CodedColumn", "ListColumn", "coded", "risk_deciles"]

Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]

_ORDER = ("<", "<=", ">", ">=", "between")
_LISTS = ("contains", "not contains")
_COMPARE = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


@dataclass(frozen=True)
class CodedColumn:
    """A column as numbers that point into its distinct values; blank is the number after the last of them."""

    name: str
    values: NDArray[Any]
    codes: Codes
    kind: str  # number, text, date or flag

    def flags_of_values(self, condition: Condition) -> Flags:
        """Return for every distinct value, and last for blank, whether a condition holds."""
        operator = condition.operator
        if operator == "is null":
            return np.append(np.zeros(len(self.values), bool), True)
        if operator in _LISTS or (operator in _ORDER and self.kind in ("text", "flag")):
            wanted = "a list" if operator in _LISTS else "numbers or dates"
            raise _refused(f"operator {operator!r} needs {wanted}", condition, f"the column holds a {self.kind} a row")
        if operator == "between":
            low, high = (self._parsed(t, condition) for t in _ends(condition))
            holds = (self.values >= low) & (self.values <= high)
        elif operator in ("in", "not in"):
            given = [self._parsed(t, condition) for t in _parts(condition)]
            found = np.isin(self.values, np.array(given, dtype=self.values.dtype))
            holds = found if operator == "in" else ~found
        else:
            holds = _COMPARE[operator](self.values, self._parsed(condition.value, condition))
        # Blank is no value: it meets no comparison, not even "not equal".
        return np.append(holds, False)

    def mask(self, condition: Condition) -> Flags:
        """Return for every row whether a condition holds."""
        flags: Flags = self.flags_of_values(condition)[self.codes]
        return flags

    def _parsed(self, text: str, condition: Condition) -> Any:
        try:
            if self.kind == "number":
                number = float(text)
                if np.isfinite(number):
                    return number
            elif self.kind == "date":
                return np.datetime64(datetime.date.fromisoformat(text), "D")
            elif self.kind == "flag":
                return {"true": True, "false": False}[text.lower()]
            else:
                return text
        except (ValueError, KeyError):
            pass
        shape = {"number": "a number", "date": "a date YYYY-MM-DD", "flag": "true or false"}[self.kind]
        raise _refused(f"value {text!r} is not {shape}", condition, f"column {self.name!r} holds such values")


@dataclass(frozen=True)
class ListColumn:
    """A column of lists as an index: for every value that occurs the rows that hold it."""

    name: str
    values: list[str]
    first: Codes
    rows: Codes
    blank: Flags

    def mask(self, condition: Condition) -> Flags:
        """Return for every row whether a condition holds."""
        if condition.operator == "is null":
            return self.blank
        if condition.operator not in _LISTS:
            raise _refused(f"operator {condition.operator!r} needs one value a row", condition, "use contains")
        held = np.zeros(len(self.blank), bool)
        for text in _parts(condition):
            position = int(np.searchsorted(self.values, text)) if self.values else 0
            if position < len(self.values) and self.values[position] == text:
                held[self.rows[self.first[position] : self.first[position + 1]]] = True
        return held if condition.operator == "contains" else ~held & ~self.blank


def _parts(condition: Condition) -> list[str]:
    parts = [p.strip() for p in condition.value.split("|")]
    if not all(parts):
        raise _refused("a value between bars is blank", condition, "write a|b|c")
    return parts


def _ends(condition: Condition) -> list[str]:
    ends = [p.strip() for p in condition.value.split("..")]
    if len(ends) != 2 or not all(ends):
        raise _refused("the value of between is not a..b", condition, "write the two ends, both included: 18..34")
    return ends


def coded(series: pl.Series, where: Codes) -> CodedColumn | ListColumn:
    """Return a column of some frame for lines: row i of the lines is row ``where[i]`` of the frame, -1 none.

    Raises
    ------
    InputRefused
        The column holds something that has no order and no text, such as a struct.
    """
    import polars as pl

    if isinstance(series.dtype, pl.List):
        return _listed(series, where)
    kind, values, codes = _distinct(series)
    codes = np.append(codes, len(values))  # row -1 is blank
    return CodedColumn(series.name, values, codes[where], kind)


def _distinct(series: pl.Series) -> tuple[str, NDArray[Any], Codes]:
    """Return the kind, the sorted distinct values, and the number of each row's value (their count for blank)."""
    import polars as pl

    dtype, absent = series.dtype, series.is_null().to_numpy()
    if dtype in (pl.String, pl.Categorical, pl.Null) or isinstance(dtype, pl.Enum):
        texts = series.cast(pl.String)
        distinct = texts.drop_nulls().unique().sort()
        numbered = pl.DataFrame({"value": distinct}).with_row_index("code")
        found = pl.DataFrame({"value": texts}).join(numbered, on="value", how="left", maintain_order="left")["code"]
        codes = found.cast(pl.Int64).fill_null(len(distinct)).to_numpy()
        return "text", np.array(distinct.to_list(), dtype=np.str_), codes
    if isinstance(dtype, pl.Decimal):
        # By the text of the decimal: the double nearest to it is the one a condition's value is read as.
        kind, dense = "number", series.cast(pl.String).cast(pl.Float64).fill_null(0).to_numpy()
    elif dtype == pl.Boolean:
        kind, dense = "flag", series.fill_null(False).to_numpy()
    elif dtype == pl.Date or isinstance(dtype, pl.Datetime):
        kind, dense = "date", series.cast(pl.Date).fill_null(datetime.date(1970, 1, 1)).to_numpy()
    elif dtype.is_numeric():
        dense = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
        kind, absent = "number", absent | np.isnan(dense)
    else:
        raise InputRefused(f"column {series.name!r} is {dtype}", where="mixes", remedy="name another column")
    values = np.unique(dense[~absent])
    codes = np.where(absent, len(values), np.searchsorted(values, dense))
    return kind, values, codes


def _listed(series: pl.Series, where: Codes) -> ListColumn:
    import polars as pl

    # The rows of the frame, then of the lines: a line's row may stand for several lines.
    texts = series.cast(pl.List(pl.String))
    pairs = pl.DataFrame({"row": pl.int_range(len(texts), eager=True), "value": texts}).explode("value")
    lines = pl.DataFrame({"row": where, "line": np.arange(len(where))})
    held = pairs.drop_nulls("value").join(lines, on="row", how="inner").select("value", "line").unique()
    held = held.sort("value", "line")
    runs = held["value"].rle().struct.unnest() if held.height else pl.DataFrame({"len": [], "value": []})
    first = np.concatenate([[0], np.cumsum(runs["len"].to_numpy().astype(np.int64))])
    absent = np.append(series.is_null().to_numpy(), True)
    return ListColumn(series.name, runs["value"].to_list(), first, held["line"].to_numpy(), absent[where])


def risk_deciles(pool: Codes, score: Codes, thirtieths: Codes) -> Codes:
    """Return the risk decile of every line within its pool, 1 (lowest scores) to 10.

    Lines in order of their score; with W the member months of the pool, B those of lower scores and E those of the same
    score, ``decile = 1 + floor(10 (B + E / 2) / W)``: lines of one score share a decile. In integers throughout.
    """
    deciles = np.ones(len(pool), np.int64)
    order = np.lexsort((score, pool))
    ordered_pool, ordered_score = pool[order], score[order]
    months = np.cumsum(thirtieths[order])
    new_pool = np.append(True, ordered_pool[1:] != ordered_pool[:-1])[: len(order)]
    new_score = new_pool | np.append(True, ordered_score[1:] != ordered_score[:-1])[: len(order)]
    begins = np.flatnonzero(new_score)
    if len(begins) == 0:
        return deciles
    run = np.cumsum(new_score) - 1
    before = np.append(0, months)[begins]  # months of all lines before each run of one score
    after = months[np.append(begins[1:], len(order)) - 1]
    pool_of_run = (np.cumsum(new_pool) - 1)[begins]
    pool_begins = np.flatnonzero(new_pool)
    pool_start = np.append(0, months)[pool_begins][pool_of_run]
    pool_end = months[np.append(pool_begins[1:], len(order)) - 1][pool_of_run]
    whole = np.maximum(2 * (pool_end - pool_start), 1)
    twice_middle = (before - pool_start) + (after - pool_start)
    deciles[order] = np.minimum(1 + 10 * twice_middle // whole, 10)[run]
    return deciles


def _refused(what: str, condition: Condition, remedy: str) -> InputRefused:
    where = f"mixes, row {condition.row}, column {condition.column}"
    return InputRefused(what, where=where, remedy=remedy)
