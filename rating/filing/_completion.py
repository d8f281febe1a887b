"""Completion of claims by chain ladder, per benefit category, with the rule for months of low completion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rating.filing._chain_ladder import ChainLadder, chain_ladder
from rating.filing._experience_input import (
    collected,
    decimal_of,
    fractions_of,
    month_date,
    month_text,
    months_column,
    quantities,
    run_of_months,
)
from rating.filing._findings import FilingFindings
from rating.filing._low_completion import CHAIN_LADDER, PAID, TRENDED, LowCompletion
from rating.filing._numbers import CONTEXT
from rating.filing._triangle import TRIANGLE

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Completion", "completion"]

MONTHS_TABLE = "member_months"


@dataclass(frozen=True)
class Completion:
    """Completion factors and ultimate claims; see :func:`completion`.

    Attributes
    ----------
    factors : DataFrame
        benefit_category, lag_months, cumulative_next, cumulative (dollars), months_used, age_to_age, to_ultimate,
        completion.
    ultimates : DataFrame
        benefit_category, incurred_month, lag_months, paid, completion, chain_ladder, selected, method
        (``chain_ladder``, ``trended_pmpm``, or ``paid_to_date`` where a month of low completion has no enrollees), and
        with member months member_months and selected_pmpm.
    findings : DataFrame
        rule_id, severity, where, message.
    settings : DataFrame
        setting, applies_to, value.
    paid_through : date
        First day of the last paid month.
    ladder : ChainLadder
        The exact chain ladders.
    selected : dict of Decimal
        The selected ultimate claims by benefit category and month, in dollars, to 34 digits.
    """

    factors: pl.DataFrame
    ultimates: pl.DataFrame
    findings: pl.DataFrame
    settings: pl.DataFrame
    paid_through: date
    ladder: ChainLadder = field(repr=False)
    selected: dict[tuple[str, date], Decimal] = field(repr=False)

    def completion_factor(self, benefit_category: str, incurred_month: date) -> Decimal:
        """Return the exact completion factor of an incurred month, to 34 digits; 0 where nothing is paid that early."""
        return self.ladder.completion(benefit_category, incurred_month.year * 12 + incurred_month.month - 1)


def completion(
    triangle: pl.DataFrame | pl.LazyFrame,
    *,
    paid_through: date | None = None,
    member_months: pl.DataFrame | pl.LazyFrame | None = None,
    annual_trend: Any = None,
    month_factors: Mapping[int, Any] | None = None,
    development_months: int | None = None,
    tail_factor: Any = 1,
    low_completion: Any = "0.6",
    absent_cells: str = "refuse",
) -> Completion:
    """Return completion factors and ultimate claims of incurred months by chain ladder, per benefit category.

    ``f_k = sum C(i, k+1) / sum C(i, k)``: cumulative claims at lags k + 1 and k months of the last n incurred months i
    that have reached lag k + 1. ``completion(k) = 1 / (f_k f_(k+1) ... x tail)``; ``ultimate = paid / completion``.
    Where completion is below `low_completion` the month takes the trended PMPM of the complete months (those that are
    not below) in place of the chain ladder: ``M(m) x sum U(j) (1 + g)^((m - j) / 12) / sum M(j)``, M member months, U
    ultimate claims, g annual trend; with month factors s, ``U(j) / s(j)`` and the result times ``s(m)``.

    Parameters
    ----------
    triangle : DataFrame
        incurred_month, paid_month (first days of months), benefit_category (text), paid_amount (dollars paid in that
        month, not cumulative).
    paid_through : date, optional
        Payments of later months are left out, and counted; by default the last paid month of the triangle.
    member_months : DataFrame, optional
        incurred_month, member_months (rows of one month are added); needed where a month is of low completion.
    annual_trend : number or mapping, optional
        g, for all or by category (0.06 is 6 percent a year); needed where a month is of low completion.
    month_factors : mapping, optional
        Seasonality with mean 1: 1 (January) to 12 -> factor; see :func:`rating.filing.seasonality`.
    development_months : int, optional
        n; by default all months.
    tail_factor : number or mapping
        Development after the last lag, for all or by category.
    low_completion : number
        0 to below 1 (0.6; 0.5 to 0.7 are in use); 0 turns the rule off.
    absent_cells : {"refuse", "zero"}
        Cells between the first incurred month and the last paid month without a row: refused, or taken as nothing paid
        and counted.

    Returns
    -------
    Completion
        Both estimates side by side. Arithmetic is exact in fractions; results have 34 digits, frames are floats.

    Raises
    ------
    InputRefused
        A row cannot be read (TRI-001), a cell stands twice (TRI-002), the triangle has holes (TRI-003), cumulative
        claims fall to zero or below (TRI-005), nothing paid yet and the rule for low completion is off (TRI-007).
    SettingRefused
        A setting cannot have its value, or the trend of a month of low completion is not given.

    Notes
    -----
    Sources: the method of 45 CFR 154.301(a)(3)(i) reviews (completion of experience claims); ASOP 5 and 23. The
    weighting (volume, last n months of each lag) and the rule for low completion are declared settings.

    Examples
    --------
    Two lags known of January, one of February: f_0 = 150 / 100, so February's 120 becomes 180.

    >>> import polars as pl
    >>> from datetime import date
    >>> triangle = pl.DataFrame({"incurred_month": [date(2025, 1, 1)] * 2 + [date(2025, 2, 1)],
    ...     "paid_month": [date(2025, 1, 1), date(2025, 2, 1), date(2025, 2, 1)],
    ...     "benefit_category": ["professional"] * 3, "paid_amount": [100, 50, 120]})
    >>> found = completion(triangle)
    >>> found.ultimates.select("paid", "completion", "chain_ladder", "selected").rows()
    [(150.0, 1.0, 150.0, 150.0), (120.0, 0.6666666666666666, 180.0, 180.0)]
    >>> found.completion_factor("professional", date(2025, 2, 1))
    Decimal('0.6666666666666666666666666666666667')
    """
    findings = FilingFindings()
    ladder = chain_ladder(
        triangle,
        paid_through=paid_through,
        development_months=development_months,
        tail_factor=tail_factor,
        absent_cells=absent_cells,
        findings=findings,
    )
    rule = LowCompletion.of(low_completion, annual_trend, month_factors, ladder.triangle.categories)
    months = None if member_months is None else _member_months(member_months)
    lines = [
        line for category in ladder.triangle.categories for line in _ultimates(category, ladder, rule, months, findings)
    ]
    return Completion(
        factors=ladder.factors,
        ultimates=_ultimate_frame(lines, months),
        findings=findings.frame(),
        settings=_settings(ladder, rule, development_months, absent_cells),
        paid_through=month_date(ladder.triangle.last_paid),
        ladder=ladder,
        selected={(line.category, month_date(line.month)): line.selected for line in lines},
    )


def _member_months(given: Any) -> dict[int, Fraction]:
    frame = collected(given, MONTHS_TABLE, ("incurred_month", "member_months"))
    months = months_column(frame, MONTHS_TABLE, "incurred_month", "TRI-001")
    return fractions_of(months, quantities(frame, MONTHS_TABLE, "member_months", "TRI-001"))


@dataclass(frozen=True)
class _Line:
    """One incurred month of one category."""

    category: str
    month: int
    lag: int
    paid: Fraction
    completion: Fraction
    chain_ladder: Fraction | None
    selected: Decimal
    method: str


def _ultimates(
    category: str,
    ladder: ChainLadder,
    rule: LowCompletion,
    months: dict[int, Fraction] | None,
    findings: FilingFindings,
) -> list[_Line]:
    """Return the months of one category with both estimates."""
    developed = ladder.developments[category]
    known: dict[int, tuple[int, Fraction, Fraction, Fraction | None]] = {}
    for month in ladder.triangle.months:
        lag, paid = ladder.lag(category, month), ladder.paid(category, month)
        assert paid is not None
        to_ultimate = developed.to_ultimate[lag]
        known[month] = (lag, paid, developed.completion(lag), None if to_ultimate is None else paid * to_ultimate)
        if paid == 0 and to_ultimate is not None and any(developed.numerators):
            where = f"{TRIANGLE}, {category}, {month_text(month)}"
            findings.add("TRI-008", where, "nothing was paid for this month yet")
    complete = {m: u for m, (_, _, share, u) in known.items() if u is not None and not rule.holds(share, u)}
    low = [m for m in known if m not in complete]
    replaced: dict[int, Decimal | None] = {}
    if low:
        replaced = rule.estimates(category, low, complete, months, TRIANGLE)
        said = f"trended PMPM in place of the chain ladder: {run_of_months(low)}"
        findings.add("TRI-004", f"{TRIANGLE}, {category}", said)
    lines = []
    for month, (lag, paid, share, ultimate) in known.items():
        selected, method = decimal_of(paid if ultimate is None else ultimate), CHAIN_LADDER
        if month in replaced:
            estimate = replaced[month]
            selected, method = (decimal_of(paid), PAID) if estimate is None else (estimate, TRENDED)
        lines.append(_Line(category, month, lag, paid, share, ultimate, selected, method))
    return lines


def _settings(ladder: ChainLadder, rule: LowCompletion, last: int | None, absent_cells: str) -> pl.DataFrame:
    import polars as pl

    lines = [("absent_cells", "all", absent_cells), ("low_completion", "all", str(rule.below))]
    lines.append(("development_months", "all", "all" if last is None else str(last)))
    lines += [("tail_factor", c, str(decimal_of(d.tail))) for c, d in ladder.developments.items()]
    lines += [("annual_trend", c, str(trend)) for c, trend in rule.trend.items() if trend is not None]
    columns = dict.fromkeys(("setting", "applies_to", "value"), pl.String)
    return pl.DataFrame(lines, schema=columns, orient="row").sort("setting", "applies_to", maintain_order=True)


def _ultimate_frame(lines: list[_Line], months: dict[int, Fraction] | None) -> pl.DataFrame:
    import polars as pl

    rows = [
        (
            x.category,
            month_date(x.month),
            x.lag,
            float(x.paid),
            float(x.completion),
            None if x.chain_ladder is None else float(x.chain_ladder),
            float(x.selected),
            x.method,
        )
        for x in lines
    ]
    schema: dict[str, Any] = {"benefit_category": pl.String, "incurred_month": pl.Date, "lag_months": pl.Int64}
    schema |= dict.fromkeys(("paid", "completion", "chain_ladder", "selected"), pl.Float64) | {"method": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    if months is None:
        return frame
    found = [months.get(x.month) for x in lines]
    per = [float(CONTEXT.divide(x.selected, decimal_of(n))) if n else None for x, n in zip(lines, found, strict=True)]
    return frame.with_columns(
        pl.Series("member_months", [None if n is None else float(n) for n in found], dtype=pl.Float64),
        pl.Series("selected_pmpm", per, dtype=pl.Float64),
    )
