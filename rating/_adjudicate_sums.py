"""Claims through the adjudication kernel: enrollees in chunks over the threads, sums and frames of what they pay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from rating._adjudicate_claims import ClaimLines
from rating._adjudicate_terms import Terms
from rating._adjudication import adjudicate_enrollees
from rating._av_columns import SERVICES
from rating._frame_rows import word_series
from rating._money import money_frame

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Charges", "charged", "enrollee_frame", "liability_frame", "line_frame"]

Integers = NDArray[np.int64]

_CHUNK = 4096  # enrollees a call: a tenth of a second and less
_KINDS = ("copay", "deductible", "coinsurance")
_SUMS = (*_KINDS, "employer_paid", "enrollees_reaching_deductible", "enrollees_reaching_moop")
_MONEY = ("allowed", "plan_paid", "enrollee_paid", *_KINDS)


@dataclass(frozen=True)
class Charges:
    """What enrollees pay, in cents.

    Attributes
    ----------
    sums : int64
        group, design -> copay, deductible, coinsurance, employer_paid, enrollees who reach a deductible, a limit.
    people : int64
        enrollee, design -> copay, deductible, coinsurance; no enrollee unless asked for.
    lines : int64
        line, design -> the same; no line unless asked for.
    """

    sums: Integers
    people: Integers
    lines: Integers


def charged(claims: ClaimLines, terms: Terms, *, by_enrollee: bool = False, by_line: bool = False) -> Charges:
    """Return what enrollees pay of their claims under each design."""
    people, designs = len(claims.group), len(terms.ids)
    found = Charges(
        np.zeros((claims.group_count, designs, len(_SUMS)), np.int64),
        np.zeros((people if by_enrollee else 0, designs, len(_KINDS)), np.int64),
        np.zeros((len(claims.allowed) if by_line else 0, designs, len(_KINDS)), np.int64),
    )
    of_lines = (claims.services, claims.allowed, claims.units, claims.days, claims.tiers, claims.stays)
    parts: dict[int, Integers] = {}

    def run(start: int) -> None:
        stop = min(start + _CHUNK, people)
        low, high = (int(claims.group[place]) for place in (start, stop - 1))
        a, b = (int(claims.first[place]) for place in (start, stop))
        parts[start] = np.zeros((high - low + 1, designs, len(_SUMS)), np.int64)
        arrays: list[Any] = [claims.first[start : stop + 1] - a, claims.group[start:stop] - np.int32(low)]
        arrays += [*(column[a:b] for column in of_lines), *terms.arrays, terms.rules]
        arrays += [np.empty(claims.most_stays, np.int64), np.empty(claims.most_stays, np.int64), parts[start]]
        arrays.append(found.people[start:stop] if by_enrollee else found.people)
        arrays.append(found.lines[a:b] if by_line else found.lines)
        adjudicate_enrollees(*arrays)

    map_chunks(run, range(0, people, _CHUNK))
    for start, part in parts.items():
        low = int(claims.group[start])
        found.sums[low : low + len(part)] += part
    return found


def liability_frame(claims: ClaimLines, terms: Terms, found: Charges) -> pl.DataFrame:
    """Return the frame ``plan_liability``: a row per design and group."""
    import polars as pl

    designs, groups = len(terms.ids), claims.group_count
    sizes = np.bincount(claims.group, minlength=groups)
    lengths = np.diff(claims.first)
    lines, allowed = np.zeros(groups, np.int64), np.zeros(groups, np.int64)
    if len(sizes) and len(claims.group):
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        lines = np.add.reduceat(lengths, starts)
        allowed = np.add.reduceat(claims.allowed, claims.first[:-1][starts])
    design, group = np.divmod(np.arange(designs * groups), max(groups, 1))
    of_row = found.sums[group, design]
    frame = pl.DataFrame(
        [
            word_series("design_id", terms.ids, design),
            *(claims.groups[name].gather(group) for name in claims.groups.columns),
            pl.Series("enrollees", sizes.astype(np.int64)[group]),
            pl.Series("lines", lines[group]),
            *_money_columns(allowed[group], of_row),
            *(pl.Series(name, of_row[:, place]) for place, name in enumerate(_SUMS) if place >= len(_KINDS)),
        ]
    )
    ratio = [int(p) / int(a) if a else None for p, a in frame.select("plan_paid", "allowed").rows()]
    frame = frame.with_columns(pl.Series("paid_to_allowed", ratio, dtype=pl.Float64))
    last = _SUMS[len(_KINDS) + 1 :]
    order = ["design_id", *claims.groups.columns, "enrollees", "lines", *_MONEY, "employer_paid", "paid_to_allowed"]
    return money_frame(frame, [*_MONEY, "employer_paid"]).select(*order, *last)


def enrollee_frame(claims: ClaimLines, terms: Terms, found: Charges) -> pl.DataFrame:
    """Return the frame ``enrollees``: a row per design and enrollee."""
    people = len(claims.group)
    design, person = np.divmod(np.arange(len(terms.ids) * people), max(people, 1))
    allowed = np.add.reduceat(claims.allowed, claims.first[:-1]) if people else np.zeros(0, np.int64)
    columns = [claims.enrollees[name].gather(person) for name in claims.enrollees.columns]
    return _money_of(terms, design, columns, _money_columns(allowed[person], found.people[person, design]))


def line_frame(claims: ClaimLines, terms: Terms, found: Charges) -> pl.DataFrame:
    """Return the frame ``lines``: a row per design and line, in the order of adjudication."""
    import polars as pl

    number = len(claims.allowed)
    design, line = np.divmod(np.arange(len(terms.ids) * number), max(number, 1))
    person = np.repeat(np.arange(len(claims.group)), np.diff(claims.first))
    columns = [claims.enrollees[name].gather(person[line]) for name in claims.enrollees.columns]
    columns += [
        pl.Series("line", (np.arange(number) - claims.first[:-1][person] + 1)[line]),
        pl.Series("claim_row", claims.claim_row[line].astype(np.int64) + 1),
        word_series("service", SERVICES, claims.services[line].astype(np.int64)),
        pl.Series("service_date", claims.day[line]).cast(pl.Date),
    ]
    paid = found.lines[line, design]
    so_far = np.cumsum(found.lines, axis=0)
    before = np.concatenate([np.zeros((1, *so_far.shape[1:]), np.int64), so_far])[claims.first[:-1]]
    run_up = (so_far - before[person])[line, design] if number else paid
    last = [
        pl.Series("deductible_so_far", run_up[:, 1]),
        pl.Series("enrollee_paid_so_far", run_up.sum(axis=1)),
    ]
    return _money_of(terms, design, columns, [*_money_columns(claims.allowed[line], paid), *last])


def _money_columns(allowed: Integers, paid: Integers) -> list[pl.Series]:
    """Return :data:`_MONEY` in cents; the plan pays what the enrollee does not."""
    import polars as pl

    kinds = paid[:, : len(_KINDS)]
    enrollee = kinds.sum(axis=1)
    amounts = (allowed, allowed - enrollee, enrollee, *kinds.T)
    return [pl.Series(name, np.ascontiguousarray(cents)) for name, cents in zip(_MONEY, amounts, strict=True)]


def _money_of(terms: Terms, design: Integers, keys: Sequence[Any], money: Sequence[Any]) -> pl.DataFrame:
    import polars as pl

    frame = pl.DataFrame([word_series("design_id", terms.ids, design), *keys, *money])
    return money_frame(frame, [series.name for series in money])
