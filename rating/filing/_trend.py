"""Trend by regression: the logarithm of a monthly series on time and on the month of the year."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from rating.filing._experience_input import month_date, run_of_months, whole_setting
from rating.filing._findings import FilingFindings, refusal
from rating.filing._formulas import CATEGORIES
from rating.filing._numbers import CONTEXT, exact, rounded
from rating.filing._series import SERIES, MonthlySeries, day_factors, read_series
from rating.filing._trend_fit import Fit, columns_of, fitted

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ESTIMATORS", "TrendStudy", "trend_study"]

Floats = NDArray[np.float64]

ESTIMATORS = ("ols", "hac", "huber")
MEASURES = ("pmpm", "utilization", "unit_cost")
MONTHLY, ROLLING = "monthly", "rolling_12"
_YEAR = 12
_PER_THOUSAND_YEARS = 12_000
_LEAST_ROLLING = 3
_CORRELATED = 1.0  # Durbin-Watson statistic; 2 is none
# What each index changes: who is covered and what is covered change use, an area's prices change unit cost.
_INDEXED = {
    "pmpm": ("demographic_index", "area_index", "benefit_index"),
    "utilization": ("demographic_index", "benefit_index"),
    "unit_cost": ("area_index",),
}


@dataclass(frozen=True)
class TrendStudy:
    """Trends by benefit category; see :func:`trend_study`.

    Attributes
    ----------
    trends : DataFrame
        benefit_category, measure (pmpm, utilization, unit_cost), view (monthly, rolling_12), annual_trend, low, high
        (null for rolling_12), confidence, estimator, months_used, months_needed, residual_df, r_squared, durbin_watson.
        A row without a trend has its reason among the findings.
    months : DataFrame
        benefit_category, measure, incurred_month, value (as it is), normalized, fitted, residual (of the logarithm),
        rolling_12, rolling_12_change (over the twelve months before).
    month_effects : DataFrame
        benefit_category, measure, calendar_month, factor (mean 1).
    findings : DataFrame
        rule_id, severity, where, message.
    settings : DataFrame
        setting, value.
    """

    trends: pl.DataFrame
    months: pl.DataFrame
    month_effects: pl.DataFrame
    findings: pl.DataFrame
    settings: pl.DataFrame

    def annual_trend(self, benefit_category: str = "all", measure: str = "pmpm", view: str = MONTHLY) -> float | None:
        """Return one annual trend (0.06 is 6 percent); None where there is none.

        Raises
        ------
        SettingRefused
            The study has no such category, measure or view.
        """
        row = self.trends.filter(benefit_category=benefit_category, measure=measure, view=view)
        if row.height == 0:
            raise SettingRefused(
                f"the study has no trend {benefit_category!r}, {measure!r}, {view!r}",
                remedy="see benefit_category, measure and view of `trends`",
            )
        found = row["annual_trend"].item()
        return None if found is None else float(found)

    def assumptions(self, *, factor_decimals: int = 4) -> dict[str, dict[str, Any]]:
        """Return the trend factors of worksheet 1, for both years, rounded, each with its source and exact value.

        ``trend_y1_cost_*`` and ``trend_y2_cost_*`` are 1 + trend of unit cost, ``*_util_*`` of utilization; categories
        without a trend are left out, for the actuary to judge.

        Raises
        ------
        SettingRefused
            The series had no services: the template takes cost and utilization apart.
        """
        if "services" not in self.settings.filter(setting="columns")["value"].item():
            raise SettingRefused(
                "the trend is not split into cost and utilization",
                where=f"{SERIES}, column services",
                rule="worksheet 1 takes a cost and a utilization factor per year and category",
                remedy="add the number of services to the series, or split the trend and hand the factors in",
            )
        rows = (
            self.trends.filter(view=MONTHLY).select("benefit_category", "measure", "annual_trend", "low", "high").rows()
        )
        found: dict[str, dict[str, Any]] = {}
        for category, measure, trend, low, high in rows:
            kind = {"unit_cost": "cost", "utilization": "util"}.get(measure)
            if kind is None or trend is None or category not in CATEGORIES:
                continue
            factor = rounded(CONTEXT.add(Decimal(1), exact(trend, "trend")), factor_decimals)
            note = f"annual trend {trend:.6f}, {low:.4f} to {high:.4f}; rounded to {factor_decimals} decimals"
            for year in ("y1", "y2"):
                given = {"value": factor, "source": f"trend study, {measure} of {category}", "note": note}
                found[f"trend_{year}_{kind}_{category}"] = given
        return found


def trend_study(
    series: pl.DataFrame | pl.LazyFrame,
    *,
    claims: str = "allowed",
    estimator: str = "ols",
    confidence: float = 0.95,
    months_needed: int = 24,
    month_effects: bool = True,
    day_basis: str = "calendar",
    hac_lags: int | None = None,
) -> TrendStudy:
    """Return the annual trend of claims by regression, by benefit category, with its interval.

    ``ln y_t = a + b t / 12 + c_m(t) + e_t``, t months, c effects of the month of the year; trend ``exp(b) - 1``,
    interval ``exp(b +/- q s_b) - 1``. y is PMPM on an even calendar (:func:`rating.filing.calendar_pmpm`), divided by
    the indices that the series has; with `services` also utilization (services per 1,000 enrollee years, by demographic
    and benefit index) and unit cost (by area index), whose b add up to that of PMPM under least squares. The same
    regression without month effects on PMPM of rolling twelve months is shown beside it, without an interval: its
    windows overlap.

    Parameters
    ----------
    series : DataFrame
        incurred_month (first day), member_months, the column of claims: completed, allowed, and pooled (large claims
        taken out and the pooling charge put in, see :func:`rating.filing.pooled_claims`). Optional: benefit_category;
        services; demographic_index, area_index, benefit_index (above zero, relative to any base); working_days.
    claims : str
        Column of claims.
    estimator : {"ols", "hac", "huber"}
        Least squares; least squares with Newey-West standard errors, for residuals that follow each other; Huber's M
        estimator (robust linear model, tuning 1.345, normal quantile), for months that stand out.
    confidence : float
        Of the interval, above 0 and below 1.
    months_needed : int
        Fewer usable months give no trend. Two years tell month effects from trend.
    month_effects : bool
        False leaves c out, for series that were deseasonalized.
    day_basis : str
        As in :func:`rating.filing.calendar_pmpm`.
    hac_lags : int, optional
        Lags of ``hac``; by default floor(4 (n / 100)^(2/9)).

    Returns
    -------
    TrendStudy
        Months without enrollees or claims are left out and counted.

    Raises
    ------
    InputRefused
        Rule SER-001; no category has enough months (TRD-001) or month effects that can be told from the trend
        (TRD-004): the message says how many months are needed.
    SettingRefused
        A setting cannot have its value.

    Notes
    -----
    Sources: 45 CFR 154.301(a)(3)(i) and (4)(i)-(ii) (cost and utilization trend by service category); Newey and West
    1987; Huber 1964. Computed with statsmodels.

    Examples
    --------
    Claims that grow by 6 percent a year, with days of the month:

    >>> import polars as pl
    >>> from datetime import date
    >>> months = [date(2023 + m // 12, m % 12 + 1, 1) for m in range(36)]
    >>> days = [(date(d.year + d.month // 12, d.month % 12 + 1, 1) - d).days for d in months]
    >>> grown = [1000 * 1.06 ** (t / 12) * n for t, n in enumerate(days)]
    >>> study = trend_study(pl.DataFrame({"incurred_month": months, "member_months": [100] * 36, "allowed": grown}))
    >>> round(study.annual_trend(), 6)
    0.06
    """
    rules = _Rules.of(estimator, confidence, months_needed, month_effects, day_basis, hac_lags)
    findings = FilingFindings()
    several = read_series(series, claims)
    studies = [_study(one, rules, findings) for one in several]
    if not any(study.fits for study in studies):
        what = "; ".join(f"{s.series.category}: {len(s.months)} usable, {s.needed} needed" for s in studies)
        rule = "TRD-004" if any(len(s.months) >= rules.months_needed for s in studies) else "TRD-001"
        raise refusal(
            rule, f"too few months for a trend ({what})", SERIES,
            "hand in a longer series, or lower months_needed; month_effects=False if the series has no season",
        )  # fmt: skip
    return TrendStudy(
        trends=_trend_frame(studies, rules),
        months=_month_frame(studies),
        month_effects=_effect_frame(studies),
        findings=findings.frame(),
        settings=_settings(rules, several[0], claims),
    )


@dataclass(frozen=True)
class _Rules:
    estimator: str
    confidence: float
    months_needed: int
    month_effects: bool
    day_basis: str
    hac_lags: int | None

    @classmethod
    def of(cls, estimator: str, confidence: Any, needed: Any, effects: Any, basis: str, lags: Any) -> _Rules:
        if estimator not in ESTIMATORS:
            raise SettingRefused(
                f"setting 'estimator' cannot be {estimator!r}",
                remedy="choose one of " + ", ".join(repr(e) for e in ESTIMATORS),
            )
        share = float(exact(confidence, "confidence"))
        if not 0 < share < 1:
            raise SettingRefused("setting 'confidence' is not above 0 and below 1", remedy="write 0.95, say")
        if not isinstance(effects, bool):
            raise SettingRefused("setting 'month_effects' is not True or False", remedy="write one of them")
        least = whole_setting("months_needed", needed, 3)
        return cls(
            estimator, share, least, effects, basis, None if lags is None else whole_setting("hac_lags", lags, 0)
        )


@dataclass(frozen=True)
class _Study:
    """One category: what was fitted, and what was not."""

    series: MonthlySeries
    months: list[int]
    weights: dict[str, list[float]]
    raw: dict[str, list[float]]
    normalized: dict[str, list[float]]
    fits: dict[str, Fit]
    needed: int


def _study(one: MonthlySeries, rules: _Rules, findings: FilingFindings) -> _Study:
    where = f"{SERIES}, {one.category}"
    kept = _usable(one)
    out = sorted(set(range(len(one.months))) - set(kept))
    if out:
        findings.add("TRD-002", where, f"left out: {run_of_months([one.months[i] for i in out])}")
    months = [one.months[i] for i in kept]
    holes = sorted(set(range(months[0], months[-1] + 1)) - set(months)) if months else []
    if holes:
        findings.add("TRD-003", where, f"no usable month: {run_of_months(holes)}")
    raw, normalized, weights = _values(one, kept, rules.day_basis)
    needed = max(rules.months_needed, columns_of(months, rules.month_effects) + 1)
    if len(months) < needed:
        # Enough months as such, but each of them alone in its calendar month: the effects take all there is.
        rule = "TRD-004" if len(months) >= rules.months_needed else "TRD-001"
        findings.add(rule, where, f"{len(months)} usable months, and {needed} are needed")
        return _Study(one, months, weights, raw, normalized, {}, needed)
    fits = {
        measure: fitted(months, values, rules.month_effects, rules.estimator, rules.confidence, rules.hac_lags)
        for measure, values in normalized.items()
    }
    for measure, fit in fits.items():
        if fit.is_exact and rules.estimator != "ols":
            findings.add("TRD-005", f"{where}, {measure}", "no residuals: least squares")
        if rules.estimator == "ols" and not fit.is_exact and fit.durbin_watson < _CORRELATED:
            said = f"Durbin-Watson {fit.durbin_watson:.2f}: consider estimator='hac'"
            findings.add("TRD-006", f"{where}, {measure}", said)
    return _Study(one, months, weights, raw, normalized, fits, needed)


def _usable(one: MonthlySeries) -> list[int]:
    """Return the places of the months that have a logarithm in every measure."""
    services = one.services or [Fraction(1)] * len(one.months)
    rows = enumerate(zip(one.member_months, one.claims, services, strict=True))
    return [i for i, (n, c, s) in rows if n > 0 and c > 0 and s > 0]


def _values(
    one: MonthlySeries, kept: Sequence[int], day_basis: str
) -> tuple[dict[str, list[float]], dict[str, list[float]], dict[str, list[float]]]:
    """Return each measure as it is and normalized, and what its months weigh in a mean."""
    days = day_factors(one, day_basis)
    raw: dict[str, list[Any]] = {"pmpm": [one.claims[i] / one.member_months[i] for i in kept]}
    weights: dict[str, list[Any]] = {"pmpm": [one.member_months[i] for i in kept]}
    if one.services is not None:
        raw["utilization"] = [one.services[i] * _PER_THOUSAND_YEARS / one.member_months[i] for i in kept]
        raw["unit_cost"] = [one.claims[i] / one.services[i] for i in kept]
        weights |= {"utilization": weights["pmpm"], "unit_cost": [one.services[i] for i in kept]}
    normalized = {}
    for measure, values in raw.items():
        even = []
        for i, value in zip(kept, values, strict=True):
            number = value if measure == "unit_cost" else value * days[i]
            for index in _INDEXED[measure]:
                if index in one.indices:
                    number = number / one.indices[index][i]
            even.append(float(number))
        normalized[measure] = even
    return _floats(raw), normalized, _floats(weights)


def _floats(values: Mapping[str, Sequence[Any]]) -> dict[str, list[float]]:
    return {name: [float(v) for v in of] for name, of in values.items()}


def _rolling(study: _Study, measure: str) -> dict[int, float]:
    """Return the mean of each twelve months without a hole, by the last of them."""
    by_month = dict(zip(study.months, zip(study.normalized[measure], study.weights[measure], strict=True), strict=True))
    found = {}
    for last in study.months:
        window = [by_month.get(m) for m in range(last - _YEAR + 1, last + 1)]
        held = [pair for pair in window if pair is not None]
        if len(held) == _YEAR:
            found[last] = math.fsum(v * w for v, w in held) / math.fsum(w for _, w in held)
    return found


def _trend_frame(studies: Sequence[_Study], rules: _Rules) -> pl.DataFrame:
    import polars as pl

    lines: list[tuple[Any, ...]] = []
    for study in studies:
        for measure in study.normalized:
            fit = study.fits.get(measure)
            tail = (rules.confidence, rules.estimator, len(study.months), study.needed)
            about = (None, None, None) if fit is None else (fit.residual_df, fit.r_squared, fit.durbin_watson)
            trend = (None, None, None) if fit is None else (fit.trend, fit.low, fit.high)
            lines.append((study.series.category, measure, MONTHLY, *trend, *tail, *about))
            rolling = _rolling(study, measure)
            if fit is not None and len(rolling) >= _LEAST_ROLLING:
                over = fitted(list(rolling), list(rolling.values()), False, "ols", rules.confidence, None)
                more = (over.residual_df, over.r_squared, over.durbin_watson)
                shown = (rules.confidence, "ols", len(rolling), _LEAST_ROLLING)
                lines.append((study.series.category, measure, ROLLING, over.trend, None, None, *shown, *more))
    schema: dict[str, Any] = dict.fromkeys(("benefit_category", "measure", "view"), pl.String)
    schema |= dict.fromkeys(("annual_trend", "low", "high", "confidence"), pl.Float64) | {"estimator": pl.String}
    schema |= dict.fromkeys(("months_used", "months_needed", "residual_df"), pl.Int64)
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(("r_squared", "durbin_watson"), pl.Float64), orient="row")


def _month_frame(studies: Sequence[_Study]) -> pl.DataFrame:
    import polars as pl

    lines: list[tuple[Any, ...]] = []
    for study in studies:
        for measure, values in study.normalized.items():
            fit, rolling = study.fits.get(measure), _rolling(study, measure)
            for i, month in enumerate(study.months):
                of_fit = (None, None) if fit is None else (fit.fitted[i], fit.residuals[i])
                before = rolling.get(month - _YEAR)
                change = rolling[month] / before - 1 if month in rolling and before else None
                row = (study.raw[measure][i], values[i], *of_fit, rolling.get(month), change)
                lines.append((study.series.category, measure, month_date(month), *row))
    names = ("value", "normalized", "fitted", "residual", "rolling_12", "rolling_12_change")
    schema = {"benefit_category": pl.String, "measure": pl.String, "incurred_month": pl.Date}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(names, pl.Float64), orient="row")


def _effect_frame(studies: Sequence[_Study]) -> pl.DataFrame:
    import polars as pl

    lines = [
        (study.series.category, measure, month, factor)
        for study in studies
        for measure, fit in study.fits.items()
        for month, factor in sorted(fit.month_effects.items())
    ]
    names = ("benefit_category", "measure", "calendar_month", "factor")
    schema = dict(zip(names, (pl.String, pl.String, pl.Int64, pl.Float64), strict=True))
    return pl.DataFrame(lines, schema=schema, orient="row")


def _settings(rules: _Rules, one: MonthlySeries, claims: str) -> pl.DataFrame:
    import polars as pl

    columns = [claims, *one.indices, *(["services"] if one.services is not None else [])]
    lines = [(name, str(value)) for name, value in vars(rules).items()]
    return pl.DataFrame(
        [*lines, ("columns", ", ".join(columns))], schema=dict.fromkeys(("setting", "value"), pl.String), orient="row"
    )
