"""Months of cover of tax households: premium, benchmark and advance by month, shared policies divided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._credit_amounts import ehb_part
from rating._frame_rows import OTHER_ROW, WHOLE_SHARE, FrameRows, collected
from rating._money import Money, portion
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MONTHS", "CoverMonths", "Statements", "annual_totals", "cover_months", "read_statements"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MONTHS = 12
UNKNOWN_HOUSEHOLD, DIFFERENT_BENCHMARKS = "SUB-010", "SUB-060"
_TABLE = "months"


@dataclass(frozen=True)
class CoverMonths:
    """What each household had in each month: households x 12, amounts in cents.

    Attributes
    ----------
    is_covered, is_eligible : array of bool
        Whether there was cover, and whether the members could have the credit.
    premium, has_premium : array
        Premium for essential health benefits; without one no plan limits the credit.
    benchmark, has_benchmark : array
        Benchmark of the coverage family.
    advance, has_advance : array
        Advance payments.
    """

    is_covered: Flags
    is_eligible: Flags
    premium: Integers
    has_premium: Flags
    benchmark: Integers
    has_benchmark: Flags
    advance: Integers
    has_advance: Flags

    @property
    def are_alike(self) -> Flags:
        """Whether all twelve months are covered, eligible, and of one premium and benchmark."""
        same: Flags = np.asarray((self.is_covered & self.is_eligible).all(axis=1), bool)
        for amounts, given in ((self.premium, self.has_premium), (self.benchmark, self.has_benchmark)):
            same = same & (amounts == amounts[:, :1]).all(axis=1) & (given == given[:, :1]).all(axis=1)
        return np.asarray(same)


def annual_totals(months: CoverMonths) -> dict[str, tuple[Integers, Flags]]:
    """Return premium, benchmark and advance of the year, and where each is known for every covered month."""
    found = {}
    for name in ("premium", "benchmark", "advance"):
        amounts, given = getattr(months, name), getattr(months, f"has_{name}")
        known = months.is_covered.any(axis=1) & (given | ~months.is_covered).all(axis=1)
        found[name] = (amounts.sum(axis=1), known)
    return found


@dataclass(frozen=True)
class Statements:
    """Statements of cover as they arrived, and whose they are.

    Attributes
    ----------
    rows : FrameRows
        One statement of one month in each row.
    month : array of int
        0 to 11.
    amounts, expected : dict of Money
        Premium, benchmark and advance; premium and benchmark that the exchange reckoned with.
    share : array of int
        Share of the premium for essential health benefits.
    is_eligible : array of bool
        Whether the members could have the credit.
    parts : DataFrame
        household_id, _row, _share: a shared policy has several households.
    """

    rows: FrameRows
    month: Integers
    amounts: dict[str, Money]
    expected: dict[str, Money]
    share: Integers
    is_eligible: Flags
    parts: pl.DataFrame

    @property
    def broken_households(self) -> pl.Series:
        """The households of statements that cannot be used: their year is not settled without these."""
        out = self.parts.filter(self.rows.is_out().gather(self.parts["_row"]))
        return out["household_id"].drop_nulls().unique()


def _key(frame: pl.DataFrame) -> list[str]:
    """Return the columns that name a statement."""
    return [c for c in ("household_id", "policy_id", "month") if c in frame.columns]


def read_statements(months: Any, allocations: Any | None, findings: Findings) -> Statements:
    """Return the statements of cover.

    Raises
    ------
    InputRefused
        A column is missing or of another type; the allocations of a policy add up to more than the whole.
    """
    columns = ("household_id", "month", "premium_monthly", "benchmark_monthly", "advance_monthly")
    rows = FrameRows(collected(months, _TABLE, columns), _TABLE, findings)
    for column in ("household_id", "policy_id"):
        if column in rows.frame.columns:
            _frames.text_column(rows.frame, _TABLE, column)
    rows.broken("SUB-001", rows.frame.select(_key(rows.frame)).is_duplicated().to_numpy())
    month = rows.whole("month", 1, MONTHS) - 1
    return Statements(
        rows,
        month,
        {name: rows.money(f"{name}_monthly", monthly=True) for name in ("premium", "benchmark", "advance")},
        {name: rows.money(f"estimated_{name}_monthly", monthly=True) for name in ("premium", "benchmark")},
        rows.share("ehb_pct_premium")[0],
        rows.flag("is_eligible", True),
        _parts(rows.frame, month, allocations, findings),
    )


def cover_months(
    statements: Statements, households: pl.DataFrame, several_benchmarks: str, findings: Findings
) -> tuple[CoverMonths, CoverMonths | None]:
    """Return the months of households (rows of `households`, by household_id), and those the advance was based on."""
    import polars as pl

    rows, amounts, share = statements.rows, statements.amounts, statements.share
    homes = households.select("household_id").with_row_index("_home")
    parts = statements.parts.join(homes, on="household_id", how="left", maintain_order="left", validate="m:1")
    of_broken = parts["household_id"].is_in(statements.broken_households.implode()).fill_null(False)
    homeless, set_aside = np.ones(rows.height, bool), np.zeros(rows.height, bool)
    homeless[parts.filter(pl.col("_home").is_not_null())["_row"].to_numpy()] = False
    set_aside[parts.filter(of_broken)["_row"].to_numpy()] = True
    rows.broken(OTHER_ROW, homeless & set_aside)
    rows.broken(UNKNOWN_HOUSEHOLD, homeless)
    kept = np.zeros(rows.height, bool)
    kept[rows.keep(_key(rows.frame))] = True
    parts = parts.filter(pl.col("_home").is_not_null() & pl.Series(kept).gather(parts["_row"]))
    line = parts["_row"].to_numpy().astype(np.int64)
    cell = parts["_home"].to_numpy().astype(np.int64) * MONTHS + statements.month[line]
    work = _Cells(cell, households.height, parts["_share"].to_numpy(), line)
    can_have = work.any(statements.is_eligible)
    # Beside a statement of members who could have the credit, that of others counts for its advance alone.
    counts = statements.is_eligible[line] | ~can_have.ravel()[cell]
    counted = _Cells(cell[counts], households.height, parts["_share"].to_numpy()[counts], line[counts])
    premium = counted.added(amounts["premium"], lambda cents: ehb_part(cents, share))
    benchmark = counted.benchmarks(amounts["benchmark"], several_benchmarks, findings)
    advance = work.added(amounts["advance"])
    actual = CoverMonths(work.any(np.ones(rows.height, bool)), can_have, *premium, *benchmark, *advance)
    if not any(f"estimated_{name}_monthly" in rows.frame.columns for name in statements.expected):
        return actual, None
    # What the exchange did not estimate otherwise is as it was.
    both = {
        name: Money(
            np.where(e.is_given, e.cents, amounts[name].cents), e.is_given | amounts[name].is_given, e.is_unreadable
        )
        for name, e in statements.expected.items()
    }
    estimated = replace(
        actual,
        is_eligible=actual.is_covered,
        **_named("premium", work.added(both["premium"], lambda cents: ehb_part(cents, share))),
        **_named("benchmark", work.benchmarks(both["benchmark"], several_benchmarks, Findings())),
    )
    return actual, estimated


def _named(name: str, found: tuple[Integers, Flags]) -> dict[str, Any]:
    return {name: found[0], f"has_{name}": found[1]}


class _Cells:
    """Adds up statements by household and month."""

    def __init__(self, cell: Integers, households: int, share: Integers, line: Integers) -> None:
        self._cell = cell
        self._shape = (households, MONTHS)
        self._share = share
        self._line = line
        self._is_single = len(cell) == 0 or int(np.bincount(cell).max()) <= 1

    def any(self, rows: Flags) -> Flags:
        """Return the months with such a statement."""
        found = np.zeros(self._shape[0] * MONTHS, bool)
        found[self._cell[rows[self._line]]] = True
        return found.reshape(self._shape)

    def added(self, money: Money, part: Any = None) -> tuple[Integers, Flags]:
        """Return amounts added up, and the months in which every statement has one."""
        cents = money.cents if part is None else part(money.cents)
        total = np.zeros(self._shape[0] * MONTHS, np.int64)
        np.add.at(total, self._cell, self._shared(cents))
        return total.reshape(self._shape), self.any(money.is_given) & ~self.any(~money.is_given)

    def _shared(self, cents: Integers) -> Integers:
        mine = cents[self._line]
        return mine if (self._share == WHOLE_SHARE).all() else portion(mine, self._share, WHOLE_SHARE)

    def benchmarks(self, money: Money, several: str, findings: Findings) -> tuple[Integers, Flags]:
        """Return benchmarks of the months, and where one is given; a blank beside another statement's adds nothing."""
        given = self.any(money.is_given)
        if several == "sum" or self._is_single:
            return self.added(money)[0], given
        cents = self._shared(money.cents)
        has = money.is_given[self._line]
        highest = np.zeros(self._shape[0] * MONTHS, np.int64)
        np.maximum.at(highest, self._cell[has], cents[has])
        differs = has & (cents != highest[self._cell])
        findings.note(DIFFERENT_BENCHMARKS, _TABLE, int(differs.sum()))
        unclear = np.zeros(len(highest), bool)
        unclear[self._cell[differs]] = True
        return highest.reshape(self._shape), given & ~unclear.reshape(self._shape)


def _parts(frame: pl.DataFrame, month: Integers, allocations: Any | None, findings: Findings) -> pl.DataFrame:
    """Return whose each statement is: its row, household and share; a shared policy has several households."""
    import polars as pl

    statements = frame.select("household_id").with_columns(
        pl.int_range(pl.len(), dtype=pl.Int64).alias("_row"), pl.lit(WHOLE_SHARE, dtype=pl.Int64).alias("_share")
    )
    if allocations is None:
        return statements
    if "policy_id" not in frame.columns:
        _frames.need_columns(frame, _TABLE, ("policy_id",))
    shares = _allocations(allocations, findings)
    statements = statements.with_columns(frame["policy_id"], pl.Series("_month", month + 1))
    divided = statements.drop("household_id", "_share").join(shares, on="policy_id", how="inner")
    divided = divided.filter(pl.col("_month").is_between(pl.col("_first"), pl.col("_last")))
    whole = statements.join(divided.select("_row").unique(), on="_row", how="anti", maintain_order="left")
    columns = ["household_id", "_row", "_share"]
    return pl.concat([whole.select(columns), divided.select(columns)]).sort("_row", "household_id")


def _allocations(allocations: Any, findings: Findings) -> pl.DataFrame:
    """Return policy_id, household_id, _share, _first, _last of agreed allocations.

    Raises
    ------
    InputRefused
        A policy is allocated to more than the whole in some month, or a row is unusable: nothing is settled by halves.
    """
    import polars as pl

    table = "allocations"
    columns = ("policy_id", "household_id", "allocation_share")
    rows = FrameRows(collected(allocations, table, columns), table, findings)
    first, last = rows.whole("first_month", 1, MONTHS, default=1), rows.whole("last_month", 1, MONTHS, default=MONTHS)
    share, is_given = rows.share("allocation_share")
    rows.key(["policy_id", "household_id"] + [c for c in ("first_month",) if c in rows.frame.columns])
    rows.broken("SUB-007", ~is_given)
    rows.broken("SUB-008", last < first)
    found = rows.frame.select("policy_id", "household_id").with_columns(
        pl.Series("_share", share), pl.Series("_first", first), pl.Series("_last", last)
    )
    too_much = False
    for month in range(1, MONTHS + 1):
        of_month = found.filter(pl.lit(month).is_between(pl.col("_first"), pl.col("_last")))
        total = of_month.group_by("policy_id").agg(pl.col("_share").sum())
        # A third three times is less than the whole by the ninth decimal; never more.
        too_much |= bool((total["_share"] > WHOLE_SHARE + MONTHS).any())
    if too_much or rows.rules_broken:
        raise InputRefused(
            "the allocations of a policy add up to more than the whole, or a row cannot be used",
            where=f"{table}, column allocation_share" + "".join(f"; rule {r}" for r in rows.rules_broken),
            rule="agreed percentages divide premium, benchmark and advance alike (26 CFR 1.36B-4(a)(1)(ii))",
            remedy="mend the allocations; a policy is never settled in part",
        )
    return found
