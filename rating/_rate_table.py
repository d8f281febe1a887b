"""The rate table of plans: every age band, rating area and quarter, from unrounded base rates."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import TIERS
from data_specs.errors import InputRefused
from rating._exact_columns import ExactColumn, cents_series, exact_column
from rating._factors import RatingFactors, rating_factors
from rating._member_rate import rate_cents
from rating._rate_input import Offers, TobaccoLoads, checked_offers, checked_plans, tobacco_loads, trends
from rating._rate_settings import RateSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

__all__ = ["FAMILY_BAND", "TIER_COLUMNS", "rate_table"]

Integers = NDArray[np.int64]

FAMILY_BAND = "family"
# The columns of the federal rates template by family tier; the number of children does not matter.
TIER_COLUMNS = {
    "individual_rate": "one_adult",
    "couple": "two_adults",
    "subscriber_one_dependent": "one_adult_children",
    "subscriber_two_dependents": "one_adult_children",
    "subscriber_three_dependents": "one_adult_children",
    "couple_one_dependent": "two_adults_children",
    "couple_two_dependents": "two_adults_children",
    "couple_three_dependents": "two_adults_children",
    "child_only": "child_only",
}
_LARGEST = 10**10  # cents of Decimal(10, 2)
_FACTOR_DECIMALS = 6  # published factors are kept in millionths


def rate_table(
    plans: pl.DataFrame | pl.LazyFrame,
    areas: pl.DataFrame | pl.LazyFrame,
    *,
    state: str,
    market: str,
    plan_year: int,
    tobacco_ratios: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | RateSettings | None = None,
) -> pl.DataFrame:
    """Return the monthly rates of plans by rating area and age, as they are filed.

    ``rate = round(base_rate x trend x area_factor x age_factor x tobacco_ratio)`` to cents, half a cent up, once. In
    New York and Vermont ``round(base_rate x trend x area_factor x tier multiplier)``.

    Parameters
    ----------
    plans : frame
        ``plan_id``; ``base_rate`` (USD a month, unrounded: the rate at age factor 1.000 and area factor 1.000 without
        tobacco); optional ``tobacco_ratio`` (charged from the legal age on); small group only, optional ``trend_q1``
        to ``trend_q4`` (factor of the quarter in which a group's plan year starts; a column left out: no such quarter).
    areas : frame
        ``rating_area_id``, ``area_factor``; with ``plan_id`` the areas and factors of each plan, otherwise every plan
        is sold in every area.
    state, market, plan_year
        ``individual`` or ``small_group``; they decide age curve, age bands, family tiers and ceilings.
    tobacco_ratios : frame, optional
        ``plan_id``, ``age_from``, ``tobacco_ratio``: ratios that differ by age; each holds up to the plan's next
        ``age_from``, and below the first one is 1.
    settings : mapping, optional
        See :class:`RateSettings`.

    Returns
    -------
    DataFrame
        ``plan_year``, ``plan_id``, ``rating_area_id``, ``effective_date``, ``expiration_date``, ``age_band`` (sorted
        by these); ``tobacco`` (``no_preference``, or ``split`` for a plan with a ratio above 1); ``individual_rate``,
        ``individual_tobacco_rate`` (null without split); for the age band ``family`` the tiers ``couple`` to
        ``couple_three_dependents``, and ``child_only`` (null where the state publishes none: Vermont). Decimal(10, 2),
        USD a month. A quarter's rates may be taken up from its ``effective_date`` to its ``expiration_date``, and then
        hold for the group's twelve months. What the rates rest on is said by :func:`rating.rate_basis`.

    Raises
    ------
    InputRefused
        A row is absent, double or out of range; a tobacco ratio is above the ceiling of the state, or given where
        tobacco may not be rated; a quarterly trend in the individual market.
    TableMissing, TableRefused
        No curve, ceiling or ratio is held for the state, market and year, or the curve breaks the state's age ratio.

    Notes
    -----
    Source: 45 CFR 147.102, 156.80; rates template of the federal exchange.

    Examples
    --------
    >>> import polars as pl
    >>> plans = pl.DataFrame({"plan_id": ["12345TX0010001"], "base_rate": ["312.47"], "tobacco_ratio": ["1.5"]})
    >>> areas = pl.DataFrame({"rating_area_id": ["R-TX001"], "area_factor": ["1.000"]})
    >>> table = rate_table(plans, areas, state="TX", market="individual", plan_year=2026)
    >>> shown = table.select("age_band", "individual_rate", "individual_tobacco_rate")
    >>> shown.filter(pl.col("age_band").is_in(["0-14", "40"])).rows()
    [('0-14', Decimal('239.04'), Decimal('239.04')), ('40', Decimal('399.34'), Decimal('599.00'))]
    """
    chosen = RateSettings.of(settings)
    factors = rating_factors(state, market, plan_year, chosen)
    plan_rows = checked_plans(plans, factors)
    offers = checked_offers(plan_rows, areas, factors)
    loads = tobacco_loads(plan_rows, tobacco_ratios, factors)
    quarters, trend = trends(plan_rows)
    periods = max(len(quarters), 1)
    bands = 1 if factors.tiers is not None else len(factors.bands.labels)
    row = np.arange(len(offers.plan) * periods * bands)
    offer, period, band = row // (periods * bands), row // bands % periods, row % bands
    plan = offers.plan[offer]
    columns = {
        "base": exact_column(plan_rows["base_rate"], "plans, base_rate").taken(plan),
        "area_factor": offers.factor.taken(offer),
        "trend_factor": trend.taken(plan * periods + period),
    }
    if factors.tiers is None:
        rates = _age_rates(columns, factors, loads, plan, band, chosen)
    else:
        rates = _tier_rates(columns, factors, chosen)
    return _table(factors, offers, (offer, period, band), quarters, rates, loads.is_split[plan])


def _age_rates(
    columns: dict[str, ExactColumn],
    factors: RatingFactors,
    loads: TobaccoLoads,
    plan: Integers,
    band: Integers,
    chosen: RateSettings,
) -> dict[str, Integers]:
    """Return cents of the rates without and with the tobacco ratio."""
    rounding = {"rounding_point": chosen.rounding_point, "rounding_direction": chosen.rounding_direction}
    pairs = [(number, _FACTOR_DECIMALS) for number in factors.band_millionths.tolist()]
    columns["age_factor"] = ExactColumn.of_codes(pairs, np.arange(len(pairs), dtype=np.uint32)).taken(band)
    columns["tobacco_factor"] = ExactColumn.single(1, 0)
    plain = rate_cents(columns, **rounding)
    if not loads.is_split.any():
        return {"individual_rate": plain}
    columns["tobacco_factor"] = loads.ratio.taken(plan * len(pairs) + band)
    return {"individual_rate": plain, "individual_tobacco_rate": rate_cents(columns, **rounding)}


def _tier_rates(columns: dict[str, ExactColumn], factors: RatingFactors, chosen: RateSettings) -> dict[str, Integers]:
    """Return cents by tier column, for the tiers that the state publishes."""
    assert factors.tiers is not None
    columns["tobacco_factor"] = ExactColumn.single(1, 0)
    by_tier: dict[str, Integers] = {}
    for tier, multiplier in zip(TIERS, factors.tiers.millionths.tolist(), strict=True):
        if multiplier:
            columns["age_factor"] = ExactColumn.single(multiplier, _FACTOR_DECIMALS)
            by_tier[tier] = rate_cents(
                columns, rounding_point=chosen.rounding_point, rounding_direction=chosen.rounding_direction
            )
    return {column: by_tier[tier] for column, tier in TIER_COLUMNS.items() if tier in by_tier}


def _table(
    factors: RatingFactors,
    offers: Offers,
    places: tuple[Integers, Integers, Integers],
    quarters: list[str],
    rates: dict[str, Integers],
    is_split: NDArray[np.bool_],
) -> pl.DataFrame:
    import polars as pl

    offer, period, band = places
    rows = len(offer)
    labels = (FAMILY_BAND,) if factors.tiers is not None else factors.bands.labels
    starts, ends = _periods(factors.plan_year, quarters)
    money = pl.Decimal(10, 2)
    largest = max(int(cents.max()) for cents in rates.values())
    if largest >= _LARGEST:
        raise InputRefused(
            "a rate is too large",
            where="plans, column base_rate",
            rule="a rate table holds eight digits before the point",
            remedy="check the decimal point of base rates and factors",
        )
    frame = pl.DataFrame(
        {
            "plan_year": pl.repeat(factors.plan_year, rows, dtype=pl.Int16, eager=True),
            "plan_id": offers.plan_ids.gather(offers.plan[offer]),
            "rating_area_id": offers.area_ids.gather(offers.area[offer]),
            "effective_date": pl.Series(starts, dtype=pl.Date).gather(period),
            "expiration_date": pl.Series(ends, dtype=pl.Date).gather(period),
            "age_band": pl.Series(labels, dtype=pl.String).gather(band),
            "tobacco": pl.Series(["no_preference", "split"]).gather(is_split.astype(np.int64)),
        }
    )
    split = pl.Series(is_split)
    none = pl.lit(None, dtype=money)
    amounts = [
        cents_series(rates[name], name).cast(money) if name in rates else none.alias(name)
        for name in ("individual_rate", "individual_tobacco_rate", *(n for n in TIER_COLUMNS if n != "individual_rate"))
    ]
    frame = frame.with_columns(amounts)
    return frame.with_columns(pl.when(split).then("individual_tobacco_rate").alias("individual_tobacco_rate"))


def _periods(year: int, quarters: list[str]) -> tuple[list[date], list[date]]:
    """Return first and last day on which the rates of each period may be taken up."""
    if not quarters:
        return [date(year, 1, 1)], [date(year, 12, 31)]
    starts = [date(year, 3 * int(name[-1]) - 2, 1) for name in quarters]
    after = [date(day.year, day.month + 3, 1) if day.month < 10 else date(year + 1, 1, 1) for day in starts]
    return starts, [day - timedelta(days=1) for day in after]
