"""The chain ladder: age-to-age factors of a triangle and what they make of claims paid to date, exactly."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import SettingRefused
from rating.filing._experience_input import by_category, decimal_of, month_text, whole_setting
from rating.filing._findings import FilingFindings, refusal
from rating.filing._triangle import TRIANGLE, Triangle, read_triangle

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ChainLadder", "Development", "chain_ladder"]

_STILL_DEVELOPING = Fraction(1, 200)  # rule TRI-009
_CENT = 100


@dataclass(frozen=True)
class Development:
    """The chain ladder of one benefit category; places are lags in months, from 0.

    Attributes
    ----------
    numerators, denominators : list of int
        Cents: cumulative claims at lag k + 1, and at lag k, of the incurred months used for factor k.
    months_used : list of range
        Those incurred months, counted from year 0.
    tail : Fraction
        Tail factor.
    to_ultimate : list of Fraction or None
        Product of the factors from lag k on and the tail; None where it has no bound, because nothing had been paid by
        lag k and something was later.
    """

    numerators: list[int]
    denominators: list[int]
    months_used: list[range]
    tail: Fraction
    to_ultimate: list[Fraction | None]

    @property
    def last_lag(self) -> int:
        """Return the last lag of the triangle."""
        return len(self.to_ultimate) - 1

    def age_to_age(self, lag: int) -> Fraction | None:
        """Return the factor from a lag to the next; None: no bound. 1 where nothing was paid by either."""
        top, bottom = self.numerators[lag], self.denominators[lag]
        if bottom == 0:
            return None if top else Fraction(1)
        return Fraction(top, bottom)

    def completion(self, lag: int) -> Fraction:
        """Return the share of ultimate claims paid by a lag; after the last lag there is the tail alone."""
        to_ultimate = self.to_ultimate[min(lag, self.last_lag)]
        return Fraction(0) if to_ultimate is None else 1 / to_ultimate


@dataclass(frozen=True)
class ChainLadder:
    """The chain ladders of a triangle; see :func:`chain_ladder`.

    Attributes
    ----------
    factors : DataFrame
        benefit_category, lag_months, cumulative_next, cumulative (dollars), months_used, age_to_age, to_ultimate,
        completion.
    developments : dict of Development
        By benefit category.
    triangle : Triangle
        Cumulative claims.
    """

    factors: pl.DataFrame
    developments: dict[str, Development] = field(repr=False)
    triangle: Triangle = field(repr=False)

    def lag(self, category: str, month: int) -> int:
        """Return the lag of an incurred month at the last paid one.

        Raises
        ------
        InputRefused
            The triangle has no such category, or the month is later (TRI-010).
        """
        lag = self.triangle.last_paid - month
        if category not in self.developments or lag < 0:
            raise refusal(
                "TRI-010",
                f"no completion of {category} claims of {month_text(month)}",
                TRIANGLE,
                "hand in the triangle that belongs to these claims",
            )
        return lag

    def completion(self, category: str, month: int) -> Decimal:
        """Return the completion of an incurred month to 34 digits; 0 where nothing is paid that early."""
        return decimal_of(self.developments[category].completion(self.lag(category, month)))

    def to_ultimate(self, category: str, month: int) -> Decimal | None:
        """Return ultimate over paid claims of an incurred month to 34 digits; None: no bound."""
        developed = self.developments[category]
        found = developed.to_ultimate[min(self.lag(category, month), developed.last_lag)]
        return None if found is None else decimal_of(found)

    def paid(self, category: str, month: int) -> Fraction | None:
        """Return dollars paid to date for an incurred month; None where it is not in the triangle."""
        if category not in self.developments or month not in self.triangle.months:
            return None
        place, row = self.triangle.categories.index(category), self.triangle.months.index(month)
        return Fraction(int(self.triangle.cumulative[place, row, self.triangle.last_paid - month]), _CENT)


def chain_ladder(
    triangle: Any,
    *,
    paid_through: date | None,
    development_months: int | None,
    tail_factor: Any,
    absent_cells: str,
    findings: FilingFindings,
) -> ChainLadder:
    """Return the chain ladders of a triangle; parameters as in :func:`rating.filing.completion`."""
    last = None if development_months is None else whole_setting("development_months", development_months, 1)
    cells = read_triangle(triangle, paid_through, absent_cells, findings)
    tails = by_category(tail_factor, "tail_factor", cells.categories)
    tail_of = {c: Fraction(1) if t is None else Fraction(t) for c, t in tails.items()}
    if min(tail_of.values()) <= 0:
        raise SettingRefused("setting 'tail_factor' is not above zero", remedy="write 1 for no development after")
    developments = {
        category: _developed(cells, place, tail_of[category], last, findings)
        for place, category in enumerate(cells.categories)
    }
    return ChainLadder(_factor_frame(developments), developments, cells)


def _developed(cells: Triangle, place: int, tail: Fraction, last: int | None, findings: FilingFindings) -> Development:
    """Return the chain ladder of one category."""
    category = cells.categories[place]
    is_empty = not cells.cumulative[place].any()
    if is_empty:
        findings.add("TRI-015", f"{TRIANGLE}, {category}", "no payment at all: nothing to develop")
    tops: list[int] = []
    bottoms: list[int] = []
    used: list[range] = []
    for lag in range(cells.lags - 1):
        rows = cells.reached(lag + 1)
        rows = rows if last is None else rows[-last:]
        tops.append(int(cells.cumulative[place, rows, lag + 1].sum()))
        bottoms.append(int(cells.cumulative[place, rows, lag].sum()))
        used.append(cells.months[rows.start : rows.stop])
        if not is_empty:
            _check_step(category, lag, tops[-1], bottoms[-1], findings)
    to_ultimate: list[Fraction | None] = [tail]
    for top, bottom in zip(reversed(tops), reversed(bottoms), strict=True):
        later = to_ultimate[0]
        has_no_bound = later is None or (bottom == 0 and top > 0)
        factor = Fraction(top, bottom) if bottom else Fraction(1)
        to_ultimate.insert(0, None if has_no_bound or later is None else later * factor)
    if tops and bottoms[-1] and tail == 1 and abs(Fraction(tops[-1], bottoms[-1]) - 1) > _STILL_DEVELOPING:
        said = f"the last factor, to lag {cells.lags - 1}, is {tops[-1] / bottoms[-1]:.4f}"
        findings.add("TRI-009", f"{TRIANGLE}, {category}", said)
    return Development(tops, bottoms, used, tail, to_ultimate)


def _check_step(category: str, lag: int, top: int, bottom: int, findings: FilingFindings) -> None:
    where = f"{TRIANGLE}, {category}, lag {lag} to {lag + 1}"
    if bottom < 0 or top < 0 or (bottom > 0 and top == 0):
        raise refusal(
            "TRI-005",
            "cumulative claims of the months used are zero or below after payments",
            where,
            "check the reversals; put them into the months of the payments they undo, or use more development_months",
        )
    if 0 < top < bottom:
        findings.add("TRI-006", where, f"the age-to-age factor is {top / bottom:.6f}")
    if bottom == 0:
        what = "nothing was paid by either lag: the factor is taken as 1"
        findings.add("TRI-007", where, what if top == 0 else "nothing was paid by then: completion is 0 up to this lag")


def _factor_frame(developments: dict[str, Development]) -> pl.DataFrame:
    import polars as pl

    lines: list[tuple[Any, ...]] = []
    for category, d in developments.items():
        for lag, to_ultimate in enumerate(d.to_ultimate):
            step = None if lag == d.last_lag else d.age_to_age(lag)
            of_step: tuple[Any, ...] = (None, None, None)
            if lag < d.last_lag:
                of_step = (d.numerators[lag] / _CENT, d.denominators[lag] / _CENT, len(d.months_used[lag]))
            factors = (step, to_ultimate, d.completion(lag))
            lines.append((category, lag, *of_step, *(None if f is None else float(f) for f in factors)))
    whole = {"lag_months": pl.Int64, "months_used": pl.Int64}
    names = "benefit_category lag_months cumulative_next cumulative months_used age_to_age to_ultimate completion"
    schema = {c: pl.String if c == "benefit_category" else whole.get(c, pl.Float64) for c in names.split()}
    return pl.DataFrame(lines, schema=schema, orient="row")
