"""Claims as the adjudication kernel reads them: bad rows set aside, the rest in the order of adjudication."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._av_columns import SERVICES
from rating._frame_rows import collected, wrong_type
from rating._money import read_money
from riskadjust._distinct import distinct_texts
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CLAIMS", "ClaimLines", "read_claims"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

CLAIMS = "claims"
MOST_UNITS = 100_000
LARGEST = 10**11  # cents a line, not reached: a share of it in millionths fits 64 bits
_MOST_IN_ALL = 4.0e18
_SLICE = 1 << 20
_WORD = 2**62
_INPATIENT, _NURSING = SERVICES.index("inpatient"), SERVICES.index("skilled_nursing")
_DAY_ORDER = ("services", "tiers", "stays", "allowed", "units", "days")
_OTHER_NAMES = {"service": "service_line", "service_date": "service_from", "allowed": "allowed_amount"}
_MISSING, _SERVICE, _DATE, _ALLOWED, _COUNT, _TIER, _YEAR, _TWICE, _DIFFERS, _ALIKE = (
    f"ADJ-{number:03d}" for number in range(1, 11)
)


@dataclass(frozen=True)
class ClaimLines:
    """Lines of claims by enrollee, each enrollee's in the order of adjudication.

    Attributes
    ----------
    enrollees : DataFrame
        The grouping columns and enrollee_id, sorted by them.
    groups : DataFrame
        The grouping columns, a row per group, in the same order; no column where lines are not grouped.
    first : int64, enrollees + 1
        The first line of each enrollee.
    group : int32
        Enrollee -> group.
    services, allowed, units, days, tiers, stays
        As the kernel takes them: allowed in cents, tiers from 0, stays numbered from 0 within their enrollee.
    claim_row : uint32
        Row of the claims as handed in, from 0.
    day : int32
        Days since 1970.
    most_stays : int
        Most stays of one enrollee.
    has : frozenset of str
        Optional columns that the claims have.
    """

    enrollees: pl.DataFrame
    groups: pl.DataFrame
    first: Integers
    group: NDArray[np.int32]
    services: NDArray[np.uint8]
    allowed: Integers
    units: NDArray[np.int32]
    days: NDArray[np.int32]
    tiers: NDArray[np.uint8]
    stays: NDArray[np.int32]
    claim_row: NDArray[np.uint32]
    day: NDArray[np.int32]
    most_stays: int
    has: frozenset[str]

    @property
    def group_count(self) -> int:
        """The number of groups: one where lines are not grouped."""
        return self.groups.height if self.groups.width else 1

    def of_enrollees(self, places: NDArray[np.integer]) -> ClaimLines:
        """Return the lines of some enrollees, by their places in ascending order; the groups stay as they are."""
        lengths = np.diff(self.first)[places]
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        rows = np.arange(first[-1]) + np.repeat(self.first[:-1][places] - first[:-1], lengths)
        of_lines = ("services", "allowed", "units", "days", "tiers", "stays", "claim_row", "day")
        arrays: dict[str, Any] = {name: getattr(self, name)[rows] for name in of_lines}
        return replace(self, enrollees=self.enrollees[places], first=first, group=self.group[places], **arrays)


def read_claims(
    claims: Any, by: Sequence[str], plan_year: int | None, keep_outside: bool, findings: Findings
) -> ClaimLines:
    """Return the lines that can be adjudicated; the others are counted by rule and kept in the findings.

    Raises
    ------
    InputRefused
        A column is missing or of another kind; `plan_year` is not said and the lines do not lie within twelve months.
    """
    frame = _named(collected(claims, CLAIMS, ("enrollee_id",)))
    _frames.need_columns(frame, CLAIMS, ("enrollee_id", *_OTHER_NAMES, *by))
    findings.table(CLAIMS, frame.height)
    rows = _Rows(frame, findings)
    person, people = rows.persons([*by, "enrollee_id"])
    columns: dict[str, NDArray[Any]] = {"services": rows.services()}
    day = rows.days_of(plan_year, keep_outside)
    columns["allowed"] = rows.allowed()
    columns["units"], columns["days"] = rows.count("units"), rows.count("days")
    columns["tiers"] = rows.tiers()
    rows.repeated()
    kept = rows.kept()
    columns["stays"] = rows.stay_codes()
    if len(kept) < frame.height:
        person, day = person[kept], day[kept]
        columns = {name: column if column.strides == (0,) else column[kept] for name, column in columns.items()}
        frame = frame[kept]
    if plan_year is None:
        _need_one_year(day)
    order = _order(frame, person, day, columns, findings)
    claim_row = order if len(kept) == len(rows.frame) else kept[order]
    return _arranged(people, list(by), order, claim_row, {"person": person, "day": day, **columns}, rows.has)


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the claims under the names of ``av/adjudication_columns``."""
    for name, other in _OTHER_NAMES.items():
        if name not in frame.columns and other in frame.columns:
            frame = frame.rename({other: name})
    return frame


class _Rows:
    """The claims while their columns are read; a row that breaks several rules counts with the first."""

    def __init__(self, frame: pl.DataFrame, findings: Findings) -> None:
        self.frame = frame
        self._findings = findings
        self._out = np.zeros(frame.height, bool)
        optional = ("units", "days", "network_tier", "stay_id", "claim_id", "line_number")
        self.has = frozenset(name for name in optional if name in frame.columns)

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
        code = np.zeros(self.frame.height, np.int64)
        for part, text in zip(codes, texts, strict=True):
            code = code * max(len(text), 1) + part
        found = np.unique(code)  # a grouping makes many more combinations than there are persons
        columns, rest = [], found
        for text, name in zip(texts[::-1], names[::-1], strict=True):
            rest, place = np.divmod(rest, max(len(text), 1))
            columns.append(text.gather(place).alias(name))
        return np.searchsorted(found, code), pl.DataFrame(columns[::-1])

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
        self.refuse(_DATE, dates.is_null().to_numpy())
        day = dates.cast(pl.Int32).fill_null(0).to_numpy()
        if plan_year is None:
            return np.asarray(day)
        low, high = ((date(year, 1, 1) - date(1970, 1, 1)).days for year in (plan_year, plan_year + 1))
        outside = ((day < low) | (day >= high)) & ~self._out
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

        if column not in self.has:
            return np.broadcast_to(np.int32(1), self.frame.height)
        series = self.frame[column]
        if not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise wrong_type(self.frame, CLAIMS, column, "a whole number", "cast it to Int64")
        fits = series.is_between(1, MOST_UNITS)
        if not series.dtype.is_integer():
            fits &= series.cast(pl.Float64) == series.cast(pl.Float64).floor()
        blank = series.is_null().to_numpy()
        fit = fits.fill_null(False).to_numpy()
        self.refuse(_COUNT, ~(fit | blank))
        return np.asarray(series.set(~pl.Series(fit), None).cast(pl.Int32).fill_null(1).to_numpy())

    def tiers(self) -> NDArray[np.uint8]:
        """Return network tiers from 0; a blank, and a missing column, are the first."""
        import polars as pl

        if "network_tier" not in self.has:
            return np.broadcast_to(np.uint8(0), self.frame.height)
        series = self.frame["network_tier"]
        if series.dtype.is_integer():
            tier = np.asarray(series.fill_null(1).is_in([1, 2]).to_numpy())
            self.refuse(_TIER, ~tier)
            return np.asarray((series.fill_null(1) == 2).to_numpy()).astype(np.uint8)
        distinct, number = distinct_texts(series.cast(pl.String))
        known = {None: 0, "": 0, "1": 0, "2": 1, "1.0": 0, "2.0": 1}
        code = np.array([known.get(text, 255) for text in distinct.str.strip_chars().to_list()], np.uint8)
        found = np.asarray(code[number]) if len(code) else np.zeros(0, np.uint8)
        self.refuse(_TIER, found == 255)
        return np.where(found == 255, np.uint8(0), found)

    def repeated(self) -> None:
        """Set aside lines that a claim has twice: all but one of the same content, all of different content."""
        import polars as pl

        key = ["claim_id", "line_number"]
        if not self.has.issuperset(key):
            return
        named = self.frame.select(pl.all_horizontal(pl.col(key).is_not_null())).to_series().to_numpy()
        rows = np.flatnonzero(named & ~self._out)
        double = self.frame.select(key)[rows].is_duplicated().to_numpy()
        if not double.any():
            return
        rows = rows[double]
        repeated = self.frame[rows]
        position = pl.Series("_row", rows)
        first = repeated.with_columns(position).unique(repeated.columns, keep="first", maintain_order=True)
        again = np.zeros(self.frame.height, bool)
        again[rows] = True
        again[first["_row"].to_numpy()] = False
        self.refuse(_TWICE, again)
        differs = np.zeros(self.frame.height, bool)
        differs[first["_row"].to_numpy()[first.select(key).is_duplicated().to_numpy()]] = True
        self.refuse(_DIFFERS, differs)

    def stay_codes(self) -> NDArray[np.int32]:
        """Return the stay of each row, numbered in the order of the texts; 0 where it names none."""
        import polars as pl

        if "stay_id" not in self.has:
            return np.broadcast_to(np.int32(0), self.frame.height)
        series = self.frame["stay_id"]
        given = series if series.dtype == pl.String else series.cast(pl.String)
        distinct, number = distinct_texts(given)
        text = distinct.str.strip_chars().fill_null("")
        rank = text.rank("dense").to_numpy().astype(np.int32)
        rank -= int((text == "").any())  # the empty one comes first; without it ranks begin at 1
        return np.asarray(rank[number]) if len(rank) else np.zeros(0, np.int32)


def _need_one_year(day: NDArray[np.int32]) -> None:
    if len(day) == 0:
        return
    first = date.fromordinal(date(1970, 1, 1).toordinal() + int(day.min()))
    is_leap_day = (first.month, first.day) == (2, 29)
    later = date(first.year + 1, 3 if is_leap_day else first.month, 1 if is_leap_day else first.day)
    if int(day.max()) >= (later - date(1970, 1, 1)).days:
        raise InputRefused(
            "service dates do not lie within twelve months",
            where=f"{CLAIMS}, column service_date",
            rule="accumulators begin anew with the plan year",
            remedy="name the plan_year, or hand in one plan year at a time",
        )


def _order(
    frame: pl.DataFrame,
    person: NDArray[Any],
    day: NDArray[np.int32],
    columns: dict[str, NDArray[Any]],
    findings: Findings,
) -> Integers:
    """Return the order of adjudication.

    By enrollee and date; lines of one day by claim_id, line_number, then service in the order of ``av/service_lines``,
    network tier, stay, allowed, units, days, so that the order of the file decides nothing.
    """
    import polars as pl

    order, same = _by_person_and_day(person, day)
    tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
    if len(order) == 0 or len(tied) == 0:
        return order
    at = order[tied]
    names = [name for name in ("claim_id", "line_number") if name in frame.columns]
    ties = [pl.Series("_person", person[at]), pl.Series("_day", day[at])]
    ties += [frame[name].gather(at).alias(f"_{name}") for name in names]
    ties += [pl.Series(name, columns[name][at]) for name in _DAY_ORDER]
    lines = pl.DataFrame(ties)
    # Alike lines are taken in the order of the file: they are charged the same whichever comes first.
    order[tied] = at[lines.select(pl.arg_sort_by(lines.columns, maintain_order=True)).to_series().to_numpy()]
    if len(names) < 2:
        findings.note(_ALIKE, CLAIMS, int(lines.is_duplicated().sum()))
    return order


def _by_person_and_day(person: NDArray[Any], day: NDArray[np.int32]) -> tuple[Integers, Flags]:
    """Return the rows in order of person and day, equal ones as they stand, and which equal the row before them."""
    if len(person) == 0:
        return np.zeros(0, np.int64), np.zeros(0, bool)
    low, bits = int(day.min()), len(person).bit_length()
    span = int(day.max()) - low + 1
    if (int(person.max()) + 1) * span << bits > _WORD:
        order = np.lexsort((day, person))
        return order, (person[order[1:]] == person[order[:-1]]) & (day[order[1:]] == day[order[:-1]])
    # Person, day and row in one word: whole numbers are sorted faster than positions.
    word = person.astype(np.int64)
    word *= span
    word += day
    word -= low
    word <<= bits
    word += np.arange(len(word))
    word.sort()
    order = word & ((1 << bits) - 1)
    word >>= bits
    return order, word[1:] == word[:-1]


def _arranged(
    people: pl.DataFrame,
    by: list[str],
    order: Integers,
    claim_row: Integers,
    columns: dict[str, NDArray[Any]],
    has: frozenset[str],
) -> ClaimLines:
    import polars as pl

    for name in list(columns):  # one at a time, so that there is one column twice at most
        column = columns.pop(name)
        columns[name] = column if column.strides == (0,) else column[order]
    person = columns.pop("person")
    starts = np.flatnonzero(np.concatenate([[True], person[1:] != person[:-1]])) if len(person) else np.zeros(0, int)
    enrollees = people[person[starts]]
    stays, most = _stays_within(person, columns["services"], columns.pop("stays"))
    groups, group = pl.DataFrame(), np.zeros(len(starts), np.int32)
    if by:
        changed = enrollees.select(pl.struct(by).rle_id()).to_series()
        group = changed.to_numpy().astype(np.int32)
        groups = enrollees.select(by).unique(maintain_order=True)
    return ClaimLines(
        enrollees=enrollees,
        groups=groups,
        first=np.concatenate([starts, [len(person)]]).astype(np.int64),
        group=group,
        stays=stays,
        claim_row=claim_row.astype(np.uint32),
        most_stays=most,
        has=has,
        **{name: np.ascontiguousarray(column) for name, column in columns.items()},
    )


def _stays_within(
    person: NDArray[Any], services: NDArray[np.uint8], stay: NDArray[Any]
) -> tuple[NDArray[np.int32], int]:
    """Return the number of each line's stay within its enrollee, and the most of one; other lines have 0.

    A stay is of one service; a line that names none is one of its own.
    """
    import polars as pl

    number = np.zeros(len(person), np.int32)
    rows = np.flatnonzero((services == _INPATIENT) | (services == _NURSING))
    if len(rows) == 0:
        return number, 1
    people = person[rows]
    before = np.searchsorted(people, people)  # rows of earlier enrollees
    fresh = np.ones(len(rows), bool)  # whether the row is the first of its stay
    stays, first = stay[rows], np.arange(len(rows))
    named = np.flatnonzero(stays)
    if len(named):
        lines = pl.DataFrame([pl.Series("person", people[named]), pl.Series("service", services[rows[named]])])
        lines = lines.with_columns(pl.Series("stay", stays[named]), pl.Series("row", named))
        first[named] = lines.select(pl.col("row").first().over("person", "service", "stay")).to_series().to_numpy()
        fresh[named] = first[named] == named
    count = np.cumsum(fresh) - 1  # stays so far, of all enrollees
    within = count - count[before]
    number[rows] = within[first]
    return number, int(number.max()) + 1
