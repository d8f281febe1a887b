"""Rows of members grouped by household: cells that must agree, rules broken by rows or households, rows kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from rating._frame_rows import with_text_ids, wrong_type
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HomeRows"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class HomeRows:
    """The rows of one frame in the order of household_id and member_id, and the households they make up.

    Attributes
    ----------
    frame : DataFrame
        The rows that have a key, sorted by it.
    height, homes : int
        Rows; households.
    home : array of int
        Household of each row, from 0.
    starts : array of int
        First row of each household.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"household_id": ["b", "a", "a"], "member_id": ["1", "2", "1"]})
    >>> frame = frame.with_columns(pl.Series("state", ["TX", None, "NM"]))
    >>> rows = HomeRows(frame, "households", Findings(), unkeyed="QTE-001")
    >>> rows.home.tolist(), rows.of_home(rows.frame["state"], "QTE-007").to_list()
    ([0, 0, 1], ['NM', 'TX'])
    """

    def __init__(self, frame: pl.DataFrame, table: str, findings: Findings, *, unkeyed: str) -> None:
        self._table, self._findings = table, findings
        self._broken: list[tuple[str, Flags]] = []
        self._shown: list[pl.Series] = []
        findings.table(table, frame.height)
        keys = ["household_id", "member_id"]
        frame = with_text_ids(frame)
        for key in keys:
            _frames.text_column(frame, table, key)
        without = frame[keys[0]].is_null()
        self._without, self._unkeyed = frame.filter(without), unkeyed
        if without.any():
            frame = frame.filter(~without)
        if not frame[keys[0]].is_sorted() or frame[keys[1]].null_count() or not _in_key_order(frame):
            frame = frame.sort(keys, nulls_last=True, maintain_order=True)
        self.frame, self.height = frame, frame.height
        ids = frame[keys[0]]
        begins = (ids != ids.shift(1)).fill_null(True).to_numpy()
        self.starts = np.flatnonzero(begins)
        self.homes = len(self.starts)
        self.home = np.cumsum(begins) - 1
        double = np.zeros(self.height, bool)
        same = (~begins & (frame[keys[1]] == frame[keys[1]].shift(1)).fill_null(False).to_numpy())[1:]
        double[1:] |= same
        double[:-1] |= same
        self.broken(unkeyed, double | frame[keys[1]].is_null().to_numpy())

    def per_home(self, rows: Flags) -> Integers:
        """Return how many of some rows each household has."""
        return np.bincount(self.home[rows], minlength=self.homes)

    def broken(self, rule_id: str, rows: Flags) -> None:
        """Put down rows that break a rule."""
        self._broken.append((rule_id, rows))

    def broken_home(self, rule_id: str, homes: Flags) -> None:
        """Put down households that break a rule: all of their rows do."""
        self._broken.append((rule_id, np.asarray(homes)[self.home]))

    def note_homes(self, rule_id: str, homes: Flags) -> None:
        """Count households that a rule noticed."""
        self._findings.note(rule_id, self._table, int(np.count_nonzero(homes)))

    def show(self, column: str, of_home: pl.Series) -> None:
        """Show a column of households beside refused rows."""
        self._shown.append(of_home.gather(self.home).alias(column))

    def of_home(self, cells: pl.Series, rule_id: str) -> pl.Series:
        """Return the cell of each household: the one that its rows share, blank rows left out of account.

        Rows that say something else break the rule.
        """
        import polars as pl

        if self.homes == 0:
            return cells.clear()
        given = cells.is_not_null().to_numpy()
        if given.all() and self.homes == self.height:
            return cells
        place = np.where(given, np.arange(self.height), self.height)
        lead = np.minimum.reduceat(place, self.starts)
        found = cells.gather(pl.Series(lead).set(pl.Series(lead == self.height), None))
        self.broken(rule_id, (cells != found.gather(self.home)).fill_null(False).to_numpy())
        return found

    def text_of_home(self, column: str, rule_id: str) -> pl.Series:
        """Return a column of text by household."""
        return self.of_home(_frames.text_column(self.frame, self._table, column), rule_id)

    def flag(self, column: str, default: bool) -> Flags:
        """Return a column of true or false; blanks, and a missing column, are `default`."""
        import polars as pl

        if column not in self.frame.columns:
            return np.full(self.height, default)
        series = self.frame[column]
        if series.dtype not in (pl.Boolean, pl.Null):
            raise wrong_type(self.frame, self._table, column, "true or false", "cast it to Boolean")
        return np.asarray(series.cast(pl.Boolean).fill_null(default).to_numpy(), bool)

    def flag_of_home(self, column: str) -> Flags:
        """Return a column of true or false by household: true where every row that says something says so."""
        import polars as pl

        if column not in self.frame.columns:
            return np.zeros(self.homes, bool)
        is_no = ~self.flag(column, True)
        given = self.frame[column].cast(pl.Boolean).is_not_null().to_numpy()
        return np.asarray((self.per_home(is_no) == 0) & (self.per_home(given) > 0))

    def word(self, column: str, words: Sequence[str], default: str, rule_id: str) -> Integers:
        """Return the position of each word; blanks, and a missing column, are `default`."""
        import polars as pl

        if column not in self.frame.columns:
            return np.full(self.height, words.index(default), np.int64)
        text = _frames.text_column(self.frame, self._table, column).str.strip_chars().str.to_lowercase()
        codes = text.replace_strict(list(words), list(range(len(words))), default=None, return_dtype=pl.Int64)
        self.broken(rule_id, (codes.is_null() & text.is_not_null()).to_numpy())
        return codes.fill_null(words.index(default)).to_numpy()

    def days(self, column: str, rule_id: str) -> tuple[Integers, Flags]:
        """Return days since 1970-01-01 (0 where none), and which are given; what is no date breaks the rule."""
        import polars as pl

        dates = _frames.date_column(self.frame, self._table, column)
        self.broken(rule_id, (dates.is_null() & self.frame[column].is_not_null()).to_numpy())
        days = dates.cast(pl.Int32).cast(pl.Int64).fill_null(0).to_numpy()
        return days, dates.is_not_null().to_numpy()

    def whole_of_home(self, column: str, high: int, rule_id: str, *, needed: Flags) -> Integers:
        """Return a column of whole numbers from 1 by household; blank is 1 where not needed, and broken where it is."""
        import polars as pl

        if column not in self.frame.columns:
            self.broken_home(rule_id, needed)
            return np.ones(self.homes, np.int64)
        series = self.frame[column]
        if not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise wrong_type(self.frame, self._table, column, "a whole number", "cast it to Int64")
        number = self.of_home(series.cast(pl.Float64).fill_nan(-1.0), rule_id)
        fits = (number.is_between(1, high) & (number == number.floor())).fill_null(False).to_numpy()
        blank = number.is_null().to_numpy()
        self.broken_home(rule_id, ~fits & (~blank | needed))
        return np.where(fits, number.fill_null(1.0).to_numpy(), 1.0).astype(np.int64)

    def keep(self, other_row: str, wanted: Flags) -> tuple[Flags, Integers]:
        """Return which households are kept, and the wanted rows of these; the rest is set aside and counted.

        A row that breaks several rules counts with the first; the other rows of its household with `other_row`.
        """
        import polars as pl

        out = np.zeros(self.height, bool)
        for _, rows in self._broken:
            out |= rows
        bad = self.per_home(out) > 0
        frame = self.frame.with_columns(self._shown)
        blanks = [pl.lit(None, dtype=column.dtype).alias(column.name) for column in self._shown]
        self._findings.refuse(self._unkeyed, self._table, self._without.with_columns(blanks))
        done = np.zeros(self.height, bool)
        for rule_id, rows in [*self._broken, (other_row, bad[self.home])]:
            fresh = rows & ~done
            if fresh.any():
                self._findings.refuse(rule_id, self._table, frame.filter(pl.Series(fresh)))
                done |= fresh
        return ~bad, np.flatnonzero(~bad[self.home] & wanted)

    def set_aside(self, rule_id: str, homes: Flags) -> None:
        """Set households aside later, when their prices are known."""
        import polars as pl

        if homes.any():
            frame = self.frame.with_columns(self._shown)
            self._findings.refuse(rule_id, self._table, frame.filter(pl.Series(homes[self.home])))


def _in_key_order(frame: pl.DataFrame) -> bool:
    first, second = frame["household_id"], frame["member_id"]
    return bool(((first != first.shift(1)) | (second >= second.shift(1))).fill_null(True).all())
