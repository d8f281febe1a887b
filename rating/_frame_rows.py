"""Frames of households, members or months as they arrive: columns read, bad rows counted by rule and set aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._money import LARGEST_ANNUAL, LARGEST_MONTHLY, Money, read_money
from rating._poverty import REGIONS, regions_of_states
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OTHER_ROW", "WHOLE_SHARE", "FrameRows", "collected", "with_text_ids", "word_series", "wrong_type"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_IDS = ("household_id", "member_id", "policy_id")
WHOLE_SHARE = 10**9  # shares are read to nine decimals
MISSING_KEY, BAD_INCOME, BAD_SIZE, NO_REGION, NEGATIVE_INCOME = "SUB-001", "SUB-002", "SUB-003", "SUB-004", "SUB-005"
BAD_AMOUNT, BAD_SHARE, BAD_COUNT, UNKNOWN_WORD, OTHER_ROW = "SUB-006", "SUB-007", "SUB-008", "SUB-009", "SUB-013"


def collected(frame: Any, table: str, columns: Sequence[str]) -> pl.DataFrame:
    """Return a frame, collected if it was lazy, that has the columns.

    Raises
    ------
    InputRefused
        Not a Polars frame, or a column is missing.
    """
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        raise InputRefused(
            f"{table} is a {type(frame).__name__}", where=table, remedy="hand in a polars DataFrame or LazyFrame"
        )
    _frames.need_columns(frame, table, tuple(columns))
    return frame


def with_text_ids(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a frame whose ids of households, members and policies are plain text; blanks alone are no id.

    A column of anything else than text is left as it is, to be refused where it is the key.

    Examples
    --------
    >>> import polars as pl
    >>> ids = pl.DataFrame({"household_id": pl.Series(["a", " "], dtype=pl.Categorical)})
    >>> with_text_ids(ids)["household_id"].to_list()
    ['a', None]
    """
    import polars as pl

    def is_text(kind: pl.DataType) -> bool:
        return kind in (pl.String, pl.Categorical, pl.Null) or isinstance(kind, pl.Enum)

    ids = [pl.col(c).cast(pl.String) for c in _IDS if c in frame.columns and is_text(frame.schema[c])]
    return frame.with_columns(pl.when(of.str.strip_chars() != "").then(of) for of in ids)


def word_series(name: str, words: Sequence[str], positions: Integers) -> pl.Series:
    """Return words by their position.

    Examples
    --------
    >>> word_series("reason", ("credit", "no_benchmark"), np.array([1, 0])).to_list()
    ['no_benchmark', 'credit']
    """
    import polars as pl

    return pl.Series(name, list(words), dtype=pl.String).gather(pl.Series(positions))


class FrameRows:
    """One input frame while it is read; :meth:`keep` says which rows may be used, in the order of their key.

    Examples
    --------
    >>> import polars as pl
    >>> findings = Findings()
    >>> frame = pl.DataFrame({"household_id": ["b", "a", None], "tax_household_size": [2, 0, 1]})
    >>> rows = FrameRows(frame, "households", findings)
    >>> rows.key(["household_id"]), rows.whole("tax_household_size", 1, 99, rule_id="SUB-003").tolist()
    (None, [2, 1, 1])
    >>> rows.keep(["household_id"]).tolist(), findings.frame().select("rule_id", "rows").rows()
    ([0], [('SUB-001', 1), ('SUB-003', 1)])
    """

    def __init__(self, frame: pl.DataFrame, table: str, findings: Findings) -> None:
        self.frame = with_text_ids(frame)
        self.height = frame.height
        self._table = table
        self._findings = findings
        self._broken: list[tuple[str, Flags]] = []
        findings.table(table, frame.height)

    def _has(self, column: str) -> bool:
        return column in self.frame.columns

    def broken(self, rule_id: str, rows: Flags) -> None:
        """Put down rows that a rule keeps out."""
        self._broken.append((rule_id, rows))

    @property
    def rules_broken(self) -> list[str]:
        """The rules that some row broke."""
        return sorted({rule_id for rule_id, rows in self._broken if rows.any()})

    def note(self, rule_id: str, rows: Flags) -> None:
        """Count rows that a rule noticed and that are used."""
        self._findings.note(rule_id, self._table, int(np.count_nonzero(rows)))

    def key(self, columns: Sequence[str]) -> None:
        """Put down rows whose key is missing or stands in several rows."""
        for column in columns:
            if column.endswith("_id"):
                _frames.text_column(self.frame, self._table, column)
        missing = np.zeros(self.height, bool)
        for column in columns:
            missing |= self.frame[column].is_null().to_numpy()
        double = self.frame.select(columns).is_duplicated().to_numpy()
        self.broken(MISSING_KEY, missing | double)

    def money(
        self,
        column: str,
        *,
        required: bool = False,
        monthly: bool = False,
        negative: bool = False,
        rule_id: str = BAD_AMOUNT,
    ) -> Money:
        """Return a column of dollars; a missing column is one of blanks."""
        if not self._has(column):
            nothing = np.zeros(self.height, bool)
            return Money(np.zeros(self.height, np.int64), nothing, nothing)
        found = read_money(self.frame, self._table, column, largest=LARGEST_MONTHLY if monthly else LARGEST_ANNUAL)
        broken = found.is_unreadable | (found.cents < 0 if not negative else False)
        self.broken(rule_id, broken | ~found.is_given if required else broken)
        return found

    def income(self, column: str, *, required: bool = True) -> Money:
        """Return household incomes, negative ones counted and taken as zero."""
        found = self.money(column, required=required, negative=True, rule_id=BAD_INCOME)
        self.note(NEGATIVE_INCOME, found.cents < 0)
        return Money(np.maximum(found.cents, 0), found.is_given, found.is_unreadable)

    def whole(
        self, column: str, low: int, high: int, *, rule_id: str = BAD_COUNT, default: int | None = None
    ) -> Integers:
        """Return a column of whole numbers; blanks are `default`, or broken without one. Broken cells become `low`."""
        import polars as pl

        if not self._has(column):
            if default is None:
                _frames.need_columns(self.frame, self._table, (column,))
            return np.full(self.height, default, np.int64)
        series = self.frame[column]
        if not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise wrong_type(self.frame, self._table, column, "a whole number", "cast it to Int64")
        number = series.cast(pl.Float64)
        fits = (number.is_between(low, high) & (number == number.floor())).fill_null(False).to_numpy()
        blank = series.is_null().to_numpy()
        self.broken(rule_id, ~fits if default is None else ~(fits | blank))
        whole = number.fill_null(low if default is None else default).fill_nan(low).to_numpy()
        return np.where(fits | blank, np.clip(whole, low, high), low).astype(np.int64)

    def flag(self, column: str, default: bool) -> Flags:
        """Return a column of true or false; blanks, and a missing column, are `default`."""
        import polars as pl

        if not self._has(column):
            return np.full(self.height, default)
        series = self.frame[column]
        if series.dtype not in (pl.Boolean, pl.Null):
            raise wrong_type(self.frame, self._table, column, "true or false", "cast it to Boolean")
        return np.asarray(series.cast(pl.Boolean).fill_null(default).to_numpy(), bool)

    def choice(self, column: str, words: Sequence[str], default: str | None) -> Integers:
        """Return the position of each word; blanks, and a missing column, are `default` (broken where None)."""
        import polars as pl

        fallback = 0 if default is None else words.index(default)
        if not self._has(column):
            if default is None:
                _frames.need_columns(self.frame, self._table, (column,))
            return np.full(self.height, fallback, np.int64)
        text = _frames.text_column(self.frame, self._table, column).str.strip_chars().str.to_lowercase()
        codes = text.replace_strict(list(words), list(range(len(words))), default=None, return_dtype=pl.Int64)
        allowed = codes.is_not_null() | (text.is_null() if default is not None else False)
        self.broken(UNKNOWN_WORD, ~allowed.to_numpy())
        return codes.fill_null(fallback).to_numpy()

    def share(self, column: str) -> tuple[Integers, Flags]:
        """Return shares 0 to 1 in parts of :data:`WHOLE_SHARE`, and which are given; blank is the whole."""
        import polars as pl

        if not self._has(column):
            return np.full(self.height, WHOLE_SHARE, np.int64), np.zeros(self.height, bool)
        series = self.frame[column]
        if not (series.dtype.is_numeric() or series.dtype in (pl.Null, pl.String)):
            raise wrong_type(self.frame, self._table, column, "a share", "use numbers from 0 to 1")
        number = series.cast(pl.Float64, strict=False)
        fits = number.is_between(0, 1).fill_null(False).to_numpy()
        blank = series.is_null().to_numpy()
        self.broken(BAD_SHARE, ~fits & ~blank)
        exact = np.where(fits, number.fill_null(1.0).fill_nan(1.0).to_numpy(), 1.0)
        # Shares have few decimals: the nearest ninth one is the decimal that was written.
        return np.rint(exact * WHOLE_SHARE).astype(np.int64), fits

    def region(self, *, required: bool = True) -> Integers:
        """Return the poverty region, of the column `region` or else of `state`."""
        import polars as pl

        if not (self._has("region") or self._has("state")):
            _frames.need_columns(self.frame, self._table, ("state",))
        codes = pl.Series([None] * self.height, dtype=pl.Int64)
        if self._has("region"):
            text = _frames.text_column(self.frame, self._table, "region").str.strip_chars().str.to_lowercase()
            codes = text.replace_strict(list(REGIONS), range(len(REGIONS)), default=None, return_dtype=pl.Int64)
        if self._has("state"):
            states = _frames.text_column(self.frame, self._table, "state").str.strip_chars()
            of_state = regions_of_states(states)
            codes = of_state if not self._has("region") else codes.fill_null(of_state)
        if required:
            self.broken(NO_REGION, codes.is_null().to_numpy())
        return codes.fill_null(0).to_numpy()

    def is_out(self) -> pl.Series:
        """Return which rows a rule keeps out so far."""
        import polars as pl

        out = np.zeros(self.height, bool)
        for _, rows in self._broken:
            out |= rows
        return pl.Series(out)

    def broken_households(self) -> pl.Series:
        """Return the households of rows that a rule keeps out so far."""
        return self.frame["household_id"].filter(self.is_out()).drop_nulls().unique()

    def broken_with(self, ids: pl.Series) -> None:
        """Put down the rows of some households: a row that belongs to them cannot be used."""
        if len(ids):
            self.broken(OTHER_ROW, self.frame["household_id"].is_in(ids.implode()).fill_null(False).to_numpy())

    def keep(self, order_by: Sequence[str]) -> Integers:
        """Return the positions of rows that broke no rule, in the order of their key; the others are set aside.

        A row that breaks several rules counts with the first.
        """
        import polars as pl

        out = np.zeros(self.height, bool)
        for rule_id, rows in self._broken:
            fresh = rows & ~out
            if fresh.any():
                self._findings.refuse(rule_id, self._table, self.frame.filter(pl.Series(fresh)))
                out |= fresh
        order = self.frame.select(pl.arg_sort_by(list(order_by), nulls_last=True, maintain_order=True))
        position = order.to_series().to_numpy().astype(np.int64)
        return np.asarray(position[~out[position]], np.int64)


def wrong_type(frame: pl.DataFrame, table: str, column: str, wanted: str, remedy: str) -> InputRefused:
    """Return the refusal of a column that holds something else than what is wanted."""
    return InputRefused(
        f"column {column!r} is {frame[column].dtype}, not {wanted}",
        where=f"{table}, column {column}",
        rule="FILE-002: a required column has its declared type",
        remedy=remedy,
    )
