"""Seasonality: a factor for each calendar month, with mean 1."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import SettingRefused
from rating.filing._experience_input import by_category, decimal_of, growth, month_date, month_text, run_of_months
from rating.filing._findings import FilingFindings, refusal
from rating.filing._numbers import CONTEXT
from rating.filing._series import SERIES, MonthlySeries, day_factors, read_series

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Seasonality", "seasonality"]

_YEAR = 12


@dataclass(frozen=True)
class Seasonality:
    """Month factors; see :func:`seasonality`.

    Attributes
    ----------
    factors : DataFrame
        benefit_category, calendar_month (1 to 12), factor, years.
    months : DataFrame
        benefit_category, incurred_month, normalized_pmpm, trended_pmpm (on the level of the last month), factor,
        deseasonalized_pmpm.
    findings : DataFrame
        rule_id, severity, where, message.
    exact : dict
        benefit_category -> calendar month -> factor, to 34 digits.
    """

    factors: pl.DataFrame
    months: pl.DataFrame
    findings: pl.DataFrame
    exact: dict[str, dict[int, Decimal]] = field(repr=False)


def seasonality(
    series: pl.DataFrame | pl.LazyFrame,
    *,
    annual_trend: Any,
    claims: str = "allowed",
    day_basis: str = "calendar",
) -> Seasonality:
    """Return a factor for each calendar month, with mean 1, by benefit category.

    ``x_t = PMPM_t (1 + g)^((T - t) / 12)`` puts every month on the level of the last one, T; within each whole year of
    twelve months ``x_t`` over the mean of that year; a month's factor is the mean of these over the years.

    Parameters
    ----------
    series : DataFrame
        As in :func:`rating.filing.calendar_pmpm`; months without a hole, of one whole year or more. Months before the
        first whole year, counted back from the last, take no part.
    annual_trend : number or mapping
        g, for all or by category: that of a trend study (0 for none).
    claims : str
        Column of claims; allowed, not paid: deductibles give paid claims a season of their own.
    day_basis : str
        As in :func:`rating.filing.calendar_pmpm`. With ``none`` the factors hold the days of the month too, as the
        estimate of an incomplete month needs them.

    Returns
    -------
    Seasonality

    Raises
    ------
    InputRefused
        Rules SER-001, SER-002 (a hole, or a month without enrollees), SER-003 (less than a year).
    SettingRefused
        No such basis, or no trend for a category.

    Notes
    -----
    Source: actuarial practice; ratio to the mean of the year after detrending.

    Examples
    --------
    Every month 100, December 220: the mean is 110.

    >>> import polars as pl
    >>> from datetime import date
    >>> year = pl.DataFrame({"incurred_month": [date(2025, m, 1) for m in range(1, 13)], "member_months": [1] * 12,
    ...     "allowed": [100] * 11 + [220]})
    >>> found = seasonality(year, annual_trend=0, day_basis="none")
    >>> found.exact["all"][12], round(found.factors["factor"].mean(), 12)
    (Decimal('2'), 1.0)
    """
    import polars as pl

    findings = FilingFindings()
    several = read_series(series, claims)
    trends = by_category(annual_trend, "annual_trend", [one.category for one in several])
    exact: dict[str, dict[int, Decimal]] = {}
    lines: list[tuple[Any, ...]] = []
    years: list[tuple[Any, ...]] = []
    for one in several:
        trend = trends[one.category]
        if trend is None or trend <= -1:
            raise SettingRefused(
                f"no trend above -1 is given for {one.category}",
                where="annual_trend",
                rule="seasons are told apart from trend",
                remedy="give a number, 0 for no trend",
            )
        even, level = _levels(one, trend, day_basis, findings)
        factors = _factors(level)
        exact[one.category] = factors
        count = len(level) // _YEAR
        years += [(one.category, month, float(factors[month]), count) for month in sorted(factors)]
        for month in sorted(level):
            factor = factors[month % _YEAR + 1]
            off = CONTEXT.divide(even[month], factor) if factor else None
            shown = None if off is None else float(off)
            row = (float(even[month]), float(level[month]), float(factor), shown)
            lines.append((one.category, month_date(month), *row))
    named: dict[str, Any] = {"benefit_category": pl.String}
    counted = {"calendar_month": pl.Int64, "factor": pl.Float64, "years": pl.Int64}
    numbers = ("normalized_pmpm", "trended_pmpm", "factor", "deseasonalized_pmpm")
    schema = named | {"incurred_month": pl.Date} | dict.fromkeys(numbers, pl.Float64)
    return Seasonality(
        factors=pl.DataFrame(years, schema=named | counted, orient="row"),
        months=pl.DataFrame(lines, schema=schema, orient="row"),
        findings=findings.frame(),
        exact=exact,
    )


def _levels(
    one: MonthlySeries, trend: Decimal, day_basis: str, findings: FilingFindings
) -> tuple[dict[int, Decimal], dict[int, Decimal]]:
    """Return the even PMPM of the months of whole years, and the same on the level of the last month."""
    where = f"{SERIES}, {one.category}"
    broken = [*one.holes(), *(m for m, n in zip(one.months, one.member_months, strict=True) if not n)]
    if broken:
        raise refusal(
            "SER-002", f"no enrollees or no row in {run_of_months(broken)}", where, "hand in whole years without holes"
        )
    spare = len(one.months) % _YEAR
    if len(one.months) < _YEAR:
        raise refusal("SER-003", f"{len(one.months)} months; 12 are needed", where, "hand in at least one whole year")
    if spare:
        findings.add("SER-004", where, f"{spare} months before {month_text(one.months[spare])} take no part")
    days = day_factors(one, day_basis)
    pmpm = {
        m: decimal_of(c / n * d)
        for m, n, c, d in zip(
            one.months[spare:], one.member_months[spare:], one.claims[spare:], days[spare:], strict=True
        )
    }
    last = one.months[-1]
    return pmpm, {m: CONTEXT.multiply(p, growth(trend, last - m)) for m, p in pmpm.items()}


def _factors(level: dict[int, Decimal]) -> dict[int, Decimal]:
    """Return the factor of each calendar month, 1 to 12."""
    months = sorted(level)
    shares: dict[int, list[Fraction]] = {month: [] for month in range(1, _YEAR + 1)}
    for start in range(0, len(months), _YEAR):
        year = months[start : start + _YEAR]
        total = sum((Fraction(level[m]) for m in year), Fraction(0))
        if total <= 0:
            raise refusal(
                "SER-002", f"no claims in the year to {month_text(year[-1])}", SERIES, "hand in years with claims"
            )
        for m in year:
            shares[m % _YEAR + 1].append(Fraction(level[m]) * _YEAR / total)
    return {month: decimal_of(sum(of, Fraction(0)) / len(of)) for month, of in shares.items()}
