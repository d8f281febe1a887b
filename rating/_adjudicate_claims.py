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
from rating._adjudicate_rows import CLAIMS, ClaimRows, is_of_stay
from rating._frame_rows import collected
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ClaimLines", "read_claims"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_WORD = 2**62
_DAY_ORDER = ("services", "tiers", "stays", "is_further", "allowed", "units", "days")
_OTHER_NAMES = {"service": "service_line", "service_date": "service_from", "allowed": "allowed_amount"}
_ALIKE = "ADJ-010"


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
        Optional columns that the claims have, without a blank on a line where a design may ask for them.
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
    rows = ClaimRows(frame, findings)
    person, people = rows.persons([*by, "enrollee_id"])
    columns: dict[str, NDArray[Any]] = {"services": rows.services()}
    day = rows.days_of(plan_year, keep_outside)
    columns["allowed"] = rows.allowed()
    columns["units"], columns["days"] = rows.count("units"), rows.count("days")
    columns["tiers"] = rows.tiers()
    columns["stays"] = rows.stay_codes()
    ids = rows.line_ids()
    rows.repeated(ids)
    kept = rows.kept()
    has = rows.has(columns["services"])
    if len(kept) < frame.height:
        person, day = person[kept], day[kept]
        columns = {name: column if column.strides == (0,) else column[kept] for name, column in columns.items()}
        ids = ids[kept]
    if plan_year is None:
        _need_one_year(day)
    order = _order(ids, person, day, columns, findings)
    claim_row = order if len(kept) == frame.height else kept[order]
    return _arranged(people, list(by), order, claim_row, {"person": person, "day": day, **columns}, has)


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the claims under the names of ``av/adjudication_columns``."""
    for name, other in _OTHER_NAMES.items():
        if name not in frame.columns and other in frame.columns:
            frame = frame.rename({other: name})
    return frame


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
    ids: pl.DataFrame,
    person: NDArray[Any],
    day: NDArray[np.int32],
    columns: dict[str, NDArray[Any]],
    findings: Findings,
) -> Integers:
    """Return the order of adjudication.

    By enrollee and date; lines of one day by claim_id, line_number, then service in the order of ``av/service_lines``,
    network tier, stay, further lines (of 0 units or days) last, allowed, units, days, so that the order of the file
    decides nothing.
    """
    import polars as pl

    order, same = _by_person_and_day(person, day)
    tied = np.flatnonzero(np.concatenate([same, [False]]) | np.concatenate([[False], same]))
    if len(order) == 0 or len(tied) == 0:
        return order
    at = order[tied]
    ties = [pl.Series("person", person[at]), pl.Series("day", day[at])]
    ties += [ids[name].gather(at) for name in ids.columns]
    own = {name: column[at] for name, column in columns.items()}
    own["is_further"] = (own["units"] == 0) | (own["days"] == 0)
    ties += [pl.Series(name, own[name]) for name in _DAY_ORDER]
    lines = pl.DataFrame(ties)
    # Alike lines are taken in the order of the file: they are charged the same whichever comes first.
    order[tied] = at[lines.select(pl.arg_sort_by(lines.columns, maintain_order=True)).to_series().to_numpy()]
    loose = lines.filter(pl.any_horizontal(pl.col(ids.columns).is_null()))
    findings.note(_ALIKE, CLAIMS, int(loose.is_duplicated().sum()))
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
    rows = np.flatnonzero(is_of_stay(services))
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
