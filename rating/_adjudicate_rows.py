"""Claims while their columns are read: rows that cannot be adjudicated are counted by rule and set aside."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._av_columns import SERVICES
from rating._frame_rows import wrong_type
from rating._money import read_money
from riskadjust._distinct import distinct_texts
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CLAIMS", "ClaimRows", "is_of_stay"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CLAIMS = "claims"
MOST_UNITS = 100_000
LARGEST = 10**11  # cents a line, not reached: a share of it in millionths fits 64 bits
FIRST_DAY, LAST_DAY = ((day - date(1970, 1, 1)).days for day in (date(1, 1, 1), date(9998, 12, 31)))
_MOST_IN_ALL = 4.0e18
_SLICE = 1 << 20
_WORD = 2**62
_STAYS = ("inpatient", "skilled_nursing")
_OF_STAYS = ("stay_id", "days")
_MISSING, _SERVICE, _DATE, _ALLOWED, _COUNT, _TIER, _YEAR, _TWICE, _DIFFERS = (f"ADJ-{n:03d}" for n in range(1, 10))


def is_of_stay(services: NDArray[np.uint8]) -> Flags:
    """Return which lines are of an inpatient or nursing stay.

    Examples
    --------
    >>> is_of_stay(np.array([SERVICES.index("inpatient"), SERVICES.index("xray")], np.uint8)).tolist()
    [True, False]
    """
    first, second = (SERVICES.index(name) for name in _STAYS)
    return np.asarray((services == first) | (services == second))


class ClaimRows:
    """The claims while their columns are read; a row that breaks several rules counts with the first."""

    def __init__(self, frame: pl.DataFrame, findings: Findings) -> None:
        self.frame = frame
        self._findings = findings
        self._out = np.zeros(frame.height, bool)
        self._group: NDArray[Any] | None = None

    def refuse(self, rule_id: str, broken: Flags) -> None:
        import polars as pl

        fresh = broken & ~self._out
        if fresh.any():
            self._findings.refuse(rule_id, CLAIMS, self.frame.filter(pl.Series(fresh)))
            self._out |= fresh

    def kept(self) -> Integers:
        return np.flatnonzero(~self._out)

    def persons(self, names: list[str]) -> tuple[NDArray[Any], pl.DataFrame]:
        """Return each row's person, and the persons: numbered in the order of their keys."""
        import polars as pl

        missing = np.zeros(self.frame.height, bool)
        codes, texts = [], []
        for name in names:
            distinct, number = distinct_texts(_frames.text_column(self.frame, CLAIMS, name))
            blank = (distinct.is_null() | (distinct.str.strip_chars() == "").fill_null(True)).to_numpy()
            in_order = distinct.fill_null("").arg_sort().to_numpy()
            rank = np.empty(len(distinct), np.int32)
            rank[in_order] = np.arange(len(distinct), dtype=np.int32)
            if blank.any():
                missing |= blank[number]
            codes.append(rank[number])
            texts.append(distinct.gather(in_order))
        self.refuse(_MISSING, missing)
        if len(names) == 1:
            return codes[0], pl.DataFrame([texts[0].alias(names[0])])
        code = codes[0].astype(np.int64)
        for part, text in zip(codes[1:], texts[1:], strict=True):
            self._group = code  # of all columns but the enrollee, which comes last
            if int(code.max(initial=0)) >= _WORD // max(len(text), 1):
                code = pl.Series(code).rank("dense").to_numpy().astype(np.int64)
            code = code * max(len(text), 1) + part
        found = _sorted_distinct(code)  # a grouping makes many more combinations than there are persons
        person = np.searchsorted(found, code)
        row = np.zeros(len(found), np.int64)
        row[person] = np.arange(len(person))  # any row of the person: all have the same texts
        columns = [text.gather(part[row]).alias(name) for name, text, part in zip(names, texts, codes, strict=True)]
        return person, pl.DataFrame(columns)

    def services(self) -> NDArray[np.uint8]:
        distinct, number = distinct_texts(_frames.text_column(self.frame, CLAIMS, "service"))
        known = dict(zip(SERVICES, range(len(SERVICES)), strict=True))
        word = distinct.str.strip_chars().str.to_lowercase().to_list()
        code = np.array([known.get(text or "", 255) for text in word], np.uint8)
        found = code[number] if len(code) else np.zeros(0, np.uint8)
        self.refuse(_SERVICE, found == 255)
        return np.asarray(found)

    def days_of(self, plan_year: int | None, keep_outside: bool) -> NDArray[np.int32]:
        import polars as pl

        dates = _frames.date_column(self.frame, CLAIMS, "service_date")
        day = dates.cast(pl.Int32).fill_null(0).to_numpy()
        self.refuse(_DATE, dates.is_null().to_numpy() | (day < FIRST_DAY) | (day > LAST_DAY))
        if plan_year is None:
            return np.asarray(day)
        low, high = ((date(plan_year, *of) - date(1970, 1, 1)).days for of in ((1, 1), (12, 31)))
        outside = ((day < low) | (day > high)) & ~self._out
        if keep_outside:
            self._findings.note(_YEAR, CLAIMS, int(outside.sum()), "keep_flag")
        else:
            self.refuse(_YEAR, outside)
        return np.asarray(day)

    def allowed(self) -> Integers:
        """Return the allowed amounts in cents; read in slices, because decimals of 128 bits take room."""
        cents = np.zeros(self.frame.height, np.int64)
        broken = np.zeros(self.frame.height, bool)
        for start in range(0, max(self.frame.height, 1), _SLICE):
            part = slice(start, start + _SLICE)
            money = read_money(self.frame[part], CLAIMS, "allowed", largest=LARGEST - 1)
            cents[part] = money.cents
            broken[part] = ~money.is_given | (money.cents < 0)
        self.refuse(_ALLOWED, broken)
        cents[broken] = 0
        if float(cents.sum(dtype=np.float64)) > _MOST_IN_ALL:
            raise InputRefused(
                "the allowed amounts are too large together",
                where=f"{CLAIMS}, column allowed",
                rule="sums of cents fit 64 bits",
                remedy="check that amounts are dollars",
            )
        return cents

    def count(self, column: str) -> NDArray[np.int32]:
        """Return units or days; a blank, and a missing column, are 1."""
        import polars as pl

        if column not in self.frame.columns:
            return np.broadcast_to(np.int32(1), self.frame.height)
        series = self.frame[column]
        if not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise wrong_type(self.frame, CLAIMS, column, "a whole number", "cast it to Int64")
        blank = series.is_null().to_numpy()
        number = series.cast(pl.Int64 if series.dtype.is_integer() else pl.Float64, strict=False)
        fits = number.is_between(0, MOST_UNITS)
        if not series.dtype.is_integer():
            fits &= number == number.floor()
        fit = fits.fill_null(False).to_numpy()
        self.refuse(_COUNT, ~(fit | blank))
        return np.asarray(number.set(~pl.Series(fit), None).cast(pl.Int32).fill_null(1).to_numpy())

    def tiers(self) -> NDArray[np.uint8]:
        """Return network tiers from 0; a blank, and a missing column, are the first."""
        import polars as pl

        if "network_tier" not in self.frame.columns:
            return np.broadcast_to(np.uint8(0), self.frame.height)
        series = self.frame["network_tier"]
        if series.dtype.is_numeric() or series.dtype == pl.Null:
            number = series.cast(pl.Float64).fill_null(1.0).to_numpy()
            self.refuse(_TIER, ~((number == 1) | (number == 2)))
            return np.asarray(number == 2).astype(np.uint8)
        distinct, number = distinct_texts(self._texts("network_tier", "1 or 2", "cast it to Int64"))
        known = {None: 0, "1": 0, "2": 1, "1.0": 0, "2.0": 1}
        code = np.array([known.get(text, 255) for text in distinct.to_list()], np.uint8)
        found = np.asarray(code[number]) if len(code) else np.zeros(0, np.uint8)
        self.refuse(_TIER, found == 255)
        return np.where(found == 255, np.uint8(0), found)

    def stay_codes(self) -> NDArray[np.int32]:
        """Return the stay of each row, numbered in the order of the texts; 0 where it names none."""
        if "stay_id" not in self.frame.columns:
            return np.broadcast_to(np.int32(0), self.frame.height)
        distinct, number = distinct_texts(self._texts("stay_id", "text", "cast it to String"))
        text = distinct.fill_null("")
        rank = text.rank("dense").to_numpy().astype(np.int32)
        rank -= int((text == "").any())  # the empty one comes first; without it ranks begin at 1
        return np.asarray(rank[number]) if len(rank) else np.zeros(0, np.int32)

    def line_ids(self) -> pl.DataFrame:
        """Return claim_id and line_number of each row, blanks as null; a column that is missing is blank.

        Numbers of lines that are text are numbers where all of them are: line 10 comes after line 9.
        """
        import polars as pl

        ids = []
        for name in ("claim_id", "line_number"):
            if name not in self.frame.columns:
                ids.append(pl.Series(name, [None], dtype=pl.Null).new_from_index(0, self.frame.height))
                continue
            column = self.frame[name]
            if not column.dtype.is_numeric():
                column = self._texts(name, "text or a whole number", "cast it to String")
            if name == "line_number" and column.dtype == pl.String:
                number = column.cast(pl.Int64, strict=False)
                column = number if number.null_count() == column.null_count() else column
            ids.append(column.alias(name))
        return pl.DataFrame(ids)

    def repeated(self, ids: pl.DataFrame) -> None:
        """Set aside lines that a claim has twice: all but one of the same content, all of different content.

        A line that another rule keeps out counts too: a line and its reversal are not the line. Claims of several
        groups are apart, as their enrollees are.
        """
        import polars as pl

        named = ids.select(pl.all_horizontal(pl.all().is_not_null())).to_series().to_numpy()
        rows = np.flatnonzero(named)
        key = ids[rows]
        if self._group is not None:
            key = key.with_columns(pl.Series("_group", self._group[rows]))
        rows, key = _of_repeated(rows, key)
        if len(rows) == 0:
            return
        compared = [name for name, kind in self.frame.schema.items() if kind != pl.Object]
        is_first = self.frame[rows].select(pl.struct(compared).is_first_distinct()).to_series()
        again, differs = np.zeros(self.frame.height, bool), np.zeros(self.frame.height, bool)
        again[rows[~is_first.to_numpy()]] = True
        firsts = key.filter(is_first)
        differs[rows[is_first.to_numpy()][firsts.is_duplicated().to_numpy()]] = True
        self.refuse(_TWICE, again)
        self.refuse(_DIFFERS, differs)

    def has(self, services: NDArray[np.uint8]) -> frozenset[str]:
        """Return the optional columns that a design may ask for and that say something on every such line."""
        import polars as pl

        found = {name for name in ("network_tier", "stay_id", "days") if name in self.frame.columns}
        of_stay = pl.Series(is_of_stay(services) & ~self._out)
        for name in sorted(found):
            asked = self.frame[name].filter(of_stay if name in _OF_STAYS else pl.Series(~self._out))
            blank = asked.is_null()
            if asked.dtype == pl.String:
                blank |= (asked.str.strip_chars() == "").fill_null(False)
            if blank.any():
                found.remove(name)
        return frozenset(found)

    def _texts(self, name: str, wanted: str, remedy: str) -> pl.Series:
        """Return a column of ids as stripped text, blanks as null; ids may be whole numbers."""
        import polars as pl

        series = self.frame[name]
        is_text = series.dtype in (pl.String, pl.Categorical, pl.Null) or isinstance(series.dtype, pl.Enum)
        if not (is_text or series.dtype.is_numeric()):
            raise wrong_type(self.frame, CLAIMS, name, wanted, remedy)
        text = series.cast(pl.String).str.strip_chars()
        return text.set((text == "").fill_null(False), None)


def _of_repeated(rows: Integers, key: pl.DataFrame) -> tuple[Integers, pl.DataFrame]:
    """Return the rows whose key stands several times; sorting hashes first takes a fraction of time and memory."""
    import polars as pl

    hashes = key.hash_rows()
    ordered = np.sort(hashes.to_numpy())
    again = pl.Series(ordered[1:][ordered[1:] == ordered[:-1]], dtype=pl.UInt64)
    if again.len() == 0:
        return rows[:0], key.clear()
    likely = hashes.is_in(again.implode())
    rows, key = rows[likely.to_numpy()], key.filter(likely)
    double = key.is_duplicated()
    return rows[double.to_numpy()], key.filter(double)


def _sorted_distinct(code: Integers) -> Integers:
    """Return the distinct numbers in ascending order; sorting is faster than what numpy does."""
    ordered = np.sort(code)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered
