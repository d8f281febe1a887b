"""One log-linear regression of a monthly series; statsmodels is loaded here, when the first one is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Fit", "columns_of", "fitted"]

Floats = NDArray[np.float64]

_YEAR = 12
_EXACT = 1e-13  # residuals below this share of the logarithms are those of the arithmetic


@dataclass(frozen=True)
class Fit:
    """A fitted series.

    Attributes
    ----------
    trend, low, high : float
        ``exp(b) - 1``, and its interval.
    residual_df : int
        Months less coefficients.
    r_squared, durbin_watson : float
        Of the logarithms; Durbin-Watson is 2 where residuals do not follow each other.
    fitted : list of float
        Of each month, on the scale of the series.
    residuals : list of float
        Of the logarithms.
    month_effects : dict of int to float
        Calendar month, 1 to 12, -> factor, with mean 1; empty without month effects.
    is_exact : bool
        Whether the fit leaves no residuals.
    """

    trend: float
    low: float
    high: float
    residual_df: int
    r_squared: float
    durbin_watson: float
    fitted: list[float]
    residuals: list[float]
    month_effects: dict[int, float]
    is_exact: bool


def _design(months: Sequence[int], month_effects: bool) -> tuple[Floats, list[int]]:
    """Return the columns 1, t / 12 and one for each calendar month but the first, and those calendar months."""
    number = np.array(months, np.int64)
    time = (number - number.mean()) / _YEAR
    present = sorted({m % _YEAR for m in months})[1:] if month_effects else []
    effects = [(number % _YEAR == month).astype(np.float64) for month in present]
    return np.column_stack([np.ones(len(number)), time, *effects]), present


def columns_of(months: Iterable[int], month_effects: bool) -> int:
    """Return how many coefficients a fit has: level, trend, and a month effect for all but one calendar month.

    With one month more than that, some calendar month stands twice, and tells its effect from the trend.

    Examples
    --------
    >>> columns_of(range(12), True), columns_of(range(24), True), columns_of(range(24), False)
    (13, 13, 2)
    """
    return 2 + (len({m % _YEAR for m in months}) - 1 if month_effects else 0)


def fitted(
    months: Sequence[int],
    values: Sequence[float],
    month_effects: bool,
    estimator: str,
    confidence: float,
    hac_lags: int | None,
) -> Fit:
    """Return the fit of ``ln y = a + b t / 12 + month effects``; months and values in order, values above zero."""
    from statsmodels.regression.linear_model import OLS

    design, present = _design(months, month_effects)
    logs = np.log(np.array(values, np.float64))
    model = OLS(logs, design)
    least = model.fit()
    residuals = logs - design @ least.params
    is_exact = bool(np.abs(residuals).max() <= _EXACT * max(1.0, float(np.abs(logs).max())))
    result = least
    if not is_exact and estimator == "hac":
        lags = math.floor(4 * (len(logs) / 100) ** (2 / 9)) if hac_lags is None else hac_lags
        kinds = {"maxlags": min(lags, len(logs) - 1), "use_correction": True}
        result = model.fit(cov_type="HAC", cov_kwds=kinds, use_t=True)
    if not is_exact and estimator == "huber":
        from statsmodels.robust.norms import HuberT
        from statsmodels.robust.robust_linear_model import RLM

        result = RLM(logs, design, M=HuberT()).fit()
        residuals = logs - design @ result.params
    low, high = result.conf_int(1 - confidence)[1]
    spread = float(((logs - logs.mean()) ** 2).sum())
    left = 0.0 if is_exact else float((residuals**2).sum())  # of an exact fit only roundings are left
    return Fit(
        trend=math.expm1(float(result.params[1])),
        low=math.expm1(float(low)),
        high=math.expm1(float(high)),
        residual_df=len(logs) - design.shape[1],
        r_squared=1 - left / spread if spread > 0 else 1.0,
        durbin_watson=float((np.diff(residuals) ** 2).sum()) / left if left > 0 else 2.0,
        fitted=np.exp(design @ result.params).tolist(),
        residuals=residuals.tolist(),
        month_effects=_month_factors(result.params[2:], present, months) if month_effects else {},
        is_exact=is_exact,
    )


def _month_factors(effects: Floats, present: Sequence[int], months: Sequence[int]) -> dict[int, float]:
    """Return the factor of each calendar month that occurs; their mean is 1."""
    first = min(m % _YEAR for m in months)
    raw = {first: 1.0} | {m: math.exp(float(c)) for m, c in zip(present, effects, strict=True)}
    mean = math.fsum(raw.values()) / len(raw)
    return {m + 1: value / mean for m, value in raw.items()}
