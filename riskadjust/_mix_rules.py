"""Mixes as they are handed in: rows read into rules, checked as far as they can be without the enrollees."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust._plan_table import PLAN_14

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BASE", "MIX_COLUMNS", "OPERATORS", "Condition", "Rule", "collected", "read_mixes"]

BASE = "base"  # the enrollment as it is; no mix of the user's may have this name
MIX_COLUMNS = ("mix", "column", "operator", "value", "action", "factor", "to_plan_id")
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", "between", "contains", "not contains", "is null", "all")
ACTIONS = ("scale", "move")
_WITHOUT_VALUE = ("is null", "all")
_TABLE = "mixes"


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of a column; `row` is the row of the mixes frame, counted from 1."""

    column: str
    operator: str
    value: str
    row: int

    def __str__(self) -> str:
        if self.operator == "all":
            return "all"
        return " ".join(filter(None, (self.column, self.operator, self.value)))


@dataclass(frozen=True, slots=True)
class Rule:
    """What one rule of a mix does: its conditions must all hold; `rows` are rows of the mixes frame, from 1."""

    mix: str
    number: int
    conditions: tuple[Condition, ...]
    action: str
    factor: float
    to_plan_id: str
    rows: tuple[int, ...]

    def __str__(self) -> str:
        what = f"scale {self.factor:g}" if self.action == "scale" else f"move {self.factor:g} to {self.to_plan_id}"
        return " and ".join(str(c) for c in self.conditions) + f": {what}"


def read_mixes(frame: pl.DataFrame | pl.LazyFrame) -> dict[str, list[Rule]]:
    """Return the rules of every mix in the order they apply; mixes in alphabetical order.

    Raises
    ------
    InputRefused
        A column is missing or of a wrong type; a row without mix, column, operator, action or factor; an unknown
        operator or action; a factor below zero, or above one for a move; a move without a plan, a scale with one; rows
        of one rule that disagree; rule numbers in some rows of a mix only; a mix called base.
    """
    frame = collected(frame, _TABLE, MIX_COLUMNS)
    texts = {c: _texts(frame, c) for c in ("mix", "column", "operator", "value", "action", "to_plan_id")}
    numbers = _rule_numbers(frame)
    factors = _factors(frame)
    mixes: dict[str, dict[int, list[Rule]]] = {}
    for i in range(frame.height):
        row = {c: column[i] for c, column in texts.items()}
        rule = _rule_of_row(row, factors[i], numbers[i], i + 1)
        # A row without a number is a rule of its own, in the order of the rows.
        mixes.setdefault(rule.mix, {}).setdefault(rule.number or i, []).append(rule)
    return {mix: _joined(mix, mixes[mix]) for mix in sorted(mixes)}


def collected(frame: Any, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return a frame, collected if it was lazy, with the columns that are needed."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        remedy = "hand in a polars DataFrame or LazyFrame"
        raise InputRefused(f"{table} is a {type(frame).__name__}", where=table, remedy=remedy)
    _frames.need_columns(frame, table, columns)
    return frame


def _joined(mix: str, rows_by_number: dict[int, list[Rule]]) -> list[Rule]:
    """Return the rules of one mix, rows of one number joined, numbered from 1 where the rows have no number."""
    numbered = {rule.number > 0 for rules in rows_by_number.values() for rule in rules}
    if len(numbered) == 2:
        row = min(r.rows[0] for rules in rows_by_number.values() for r in rules if not r.number)
        raise _refused("rule is blank in some rows of the mix", row, "rule", "number all rows of a mix, or none")
    joined = []
    for position, number in enumerate(sorted(rows_by_number), 1):
        parts = rows_by_number[number]
        first = parts[0]
        for other in parts[1:]:
            for column in ("action", "factor", "to_plan_id"):
                if getattr(other, column) != getattr(first, column):
                    raise _refused(
                        f"rows of one rule have two values of {column}",
                        other.rows[0],
                        column,
                        "rows with the same mix and rule are conditions of one action: repeat action, factor and plan",
                    )
        # The order of the conditions of a rule does not matter, so it must not show either.
        conditions = sorted((p.conditions[0] for p in parts), key=lambda c: (c.column, c.operator, c.value))
        rows = tuple(sorted(p.rows[0] for p in parts))
        joined.append(
            Rule(mix, first.number or position, tuple(conditions), first.action, first.factor, first.to_plan_id, rows)
        )
    return joined


def _rule_of_row(row: dict[str, str], factor: float | None, number: int | None, position: int) -> Rule:
    """Return the rule that one row of the frame makes on its own."""
    if not row["mix"]:
        raise _refused("the row names no mix", position, "mix", "give the mix a name")
    if row["mix"].lower() == BASE:
        raise _refused(f"a mix is called {BASE}", position, "mix", "that name is the enrollment as it is")
    operator = re.sub(r"\s+", " ", row["operator"].lower())
    _need_choice(operator, OPERATORS, "operator", position)
    if operator != "all" and not row["column"]:
        raise _refused("the row names no column", position, "column", 'name one, or use the operator "all"')
    if (operator in _WITHOUT_VALUE) == bool(row["value"]):
        wanted = "takes no value" if operator in _WITHOUT_VALUE else "needs a value"
        raise _refused(f"operator {operator!r} {wanted}", position, "value", "mend the value or the operator")
    action = row["action"].lower()
    _need_choice(action, ACTIONS, "action", position)
    if factor is None or not math.isfinite(factor) or factor < 0:
        raise _refused("factor is blank, below zero or no number", position, "factor", "give 0 or more")
    if action == "move" and factor > 1:
        raise _refused("a move has a factor above 1", position, "factor", "it is the share of the months that moves")
    if (action == "move") != bool(row["to_plan_id"]):
        what = "a move names no plan" if action == "move" else "a scale names a plan"
        raise _refused(what, position, "to_plan_id", "a move has a to_plan_id, a scale has none")
    # Plan ids of 16 and 17 characters carry a variant; enrollees move to the plan.
    plan = re.sub(PLAN_14, r"\1", row["to_plan_id"])
    condition = Condition("" if operator == "all" else row["column"], operator, row["value"], position)
    return Rule(row["mix"], number or 0, (condition,), action, factor, plan, (position,))


def _need_choice(given: str, choices: tuple[str, ...], column: str, row: int) -> None:
    if given not in choices:
        raise _refused(f"{column} {given!r} is not known", row, column, f"use one of: {', '.join(choices)}")


def _texts(frame: pl.DataFrame, column: str) -> list[str]:
    """Return a column as stripped texts, blank as the empty text. Values may be numbers: they are read as text."""
    import polars as pl

    series = frame[column]
    if column != "value":
        series = _frames.text_column(frame, _TABLE, column)
    elif isinstance(series.dtype, pl.List | pl.Struct | pl.Array | pl.Object | pl.Binary):
        raise InputRefused(
            f"column 'value' is {series.dtype}",
            where=f"{_TABLE}, column value",
            rule="FILE-002: a required column has its declared type",
            remedy="write values as text; the values of `in` stand between bars: a|b",
        )
    if series.dtype == pl.Boolean:
        return [{True: "true", False: "false"}.get(v, "") for v in series.to_list()]
    return [(v or "").strip() for v in series.cast(pl.String).to_list()]


def _rule_numbers(frame: pl.DataFrame) -> list[int | None]:
    if "rule" not in frame.columns:
        return [None] * frame.height
    numbers = _whole_numbers(frame)
    for i, number in enumerate(numbers):
        if number is not None and number < 1:
            raise _refused("rule is below 1", i + 1, "rule", "number the rules of a mix from 1")
    return numbers


def _whole_numbers(frame: pl.DataFrame) -> list[int | None]:
    import polars as pl

    series = frame["rule"]
    if series.dtype == pl.Null or series.dtype.is_integer():
        return list(series.cast(pl.Int64).to_list())
    raise InputRefused(
        f"column 'rule' is {series.dtype}, not a whole number",
        where=f"{_TABLE}, column rule",
        rule="FILE-002: a required column has its declared type",
        remedy="number the rules 1, 2, 3",
    )


def _factors(frame: pl.DataFrame) -> list[float | None]:
    import polars as pl

    series = frame["factor"]
    if series.dtype.is_numeric() or series.dtype == pl.Null:
        given: list[Any] = series.to_list()
        return [None if v is None else float(v) for v in given]
    raise InputRefused(
        f"column 'factor' is {series.dtype}, not a number",
        where=f"{_TABLE}, column factor",
        rule="FILE-002: a required column has its declared type",
        remedy="write numbers",
    )


def _refused(what: str, row: int, column: str, remedy: str) -> InputRefused:
    return InputRefused(what, where=f"{_TABLE}, row {row}, column {column}", remedy=remedy)
