"""The inverse question: does one unrounded base rate explain a filed rate table, and if not, what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rating._exact_columns import cents_series
from rating._factors import RatingFactors, rating_factors
from rating._rate_cells import BASE_DECIMALS, FiledRates, filed_rates
from rating._rate_intervals import ABSENT, Ends, best_covered, directed, nearest_rates, shared
from rating._rate_roundings import plan_roundings, roundings, tobacco_roundings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_rates"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_DIRECTIONS = ("nearest", "down", "up")
_REFERENCE_AGE = 21


def check_rates(rates: pl.DataFrame | pl.LazyFrame, *, state: str, market: str, plan_year: int) -> pl.DataFrame:
    """Return for each plan and rating area whether one unrounded base rate explains the filed rate of every age.

    A rate ``r`` at age factor ``f``, rounded to cents, says that the base lies in ``[(r - 0.005)/f, (r + 0.005)/f)``.
    The rates follow the curve when these intervals of all ages share a point. ``r = round(r21 x f)`` is too strict a
    test: the age-21 rate is itself rounded. In New York and Vermont the family tiers stand for the ages.

    Parameters
    ----------
    rates : frame
        ``plan_id``, ``rating_area_id``, ``age_band``, ``individual_rate`` (USD a month) and, where filed,
        ``individual_tobacco_rate``, ``effective_date``, the tier columns of :func:`rating.rate_table`, and
        ``area_factor`` (the plan's factor of the area).
    state, market, plan_year
        They decide age curve, age bands, family tiers and ceilings.

    Returns
    -------
    DataFrame
        A row per plan, area (and effective date), sorted:

        * ``filed_rates`` (count), ``missing_age_bands`` (RATE-001)
        * ``whole_dollar``: every rate is in whole dollars, and is judged to the dollar
        * ``explained``: one unrounded base, rounded once to the nearest cent (RATE-004)
        * ``direction``: ``nearest``, ``down`` or ``up``, the first under which one base explains every rate, or null
        * ``base_low``, ``base_high``: largest lower and smallest upper end of the intervals of that direction (else
          nearest), of base x area factor; where nothing explains, the first is not below the second
        * ``breaking_age_bands``: without a direction, the bands to leave out so that the others have a base
        * ``largest_difference``: how far these lie from the rate of the others' base, USD
        * ``rounding``: ``member`` (one rounding), or an intermediate rounding that explains the rates: ``area_last``
          (to cents before the area factor; needs `area_factor`), ``rebased_curve`` (factors divided by that of another
          age, three decimals), ``second_rounding`` (what a rounding to cents before a last factor near 1 can do); null:
          none of these
        * ``plan_rounding``: with `area_factor`, ``member`` (one base explains all areas of the plan), ``base`` (base x
          area rounded to cents first does), or null
        * ``tobacco_rounding``: with tobacco rates, ``member``, ``nontobacco`` (the rounded rate is loaded), or null:
          neither with one ratio for all loaded ages
        * ``compared_rates``, ``equal_rates``, ``rates_within_one_cent``: against ``round(r21 x f)`` from the age-21
          rate (else the youngest adult's, else the first)
        * ``age_ratio_allowed``: oldest over age 21 within the state's ratio, as far as rounding lets one tell
        * ``tobacco_ratio_allowed``: every tobacco rate is within the ceiling, and no lower than the rate without
          (RATE-006)

    Raises
    ------
    InputRefused
        A column is missing; an age band or area is unknown; a rate is missing, not positive or stands twice.

    Notes
    -----
    Source: 45 CFR 147.102; the test was tried on rates filed for 2014 to 2017. Intervals are compared as fractions.

    Examples
    --------
    >>> import polars as pl
    >>> rates = pl.DataFrame({"plan_id": ["A"] * 3, "rating_area_id": ["1"] * 3, "age_band": ["21", "40", "50"],
    ...     "individual_rate": ["312.47", "399.34", "558.07"]})
    >>> found = check_rates(rates, state="TX", market="individual", plan_year=2026)
    >>> found.select("explained", "base_low", "base_high", "equal_rates").row(0)
    (True, Decimal('312.46870110'), Decimal('312.47200447'), 2)
    """
    import polars as pl

    factors = rating_factors(state, market, plan_year)
    filed = filed_rates(rates, factors)
    unit, whole_dollar = _units(filed)
    ends = {way: shared(*directed(filed.rates, unit, way), filed.factors, filed.present) for way in _DIRECTIONS}
    fits = {way: found.share_a_point for way, found in ends.items()}
    direction = np.select([fits[way] for way in _DIRECTIONS], range(len(_DIRECTIONS)), -1)
    low, high = _base_ends(ends, direction, filed)
    breaking, difference = _breaking(filed, unit, direction < 0)
    compared, equal, within = _against_reference(filed, unit, factors)
    names = pl.Series([*_DIRECTIONS, None], dtype=pl.String)
    labels = pl.Series(filed.labels, dtype=pl.String)
    in_dollars = 10 ** (filed.decimals - 2)
    return filed.groups.with_columns(
        pl.Series("filed_rates", filed.present.sum(axis=1)),
        _lists(~filed.present, labels, "missing_age_bands"),
        pl.Series("whole_dollar", whole_dollar),
        pl.Series("explained", fits["nearest"]),
        names.gather(direction % len(names)).alias("direction"),
        cents_series(low, "base_low", BASE_DECIMALS),
        cents_series(high, "base_high", BASE_DECIMALS),
        _lists(breaking, labels, "breaking_age_bands"),
        cents_series(-(-difference // in_dollars), "largest_difference").cast(pl.Decimal(10, 2)),
        roundings(filed, unit, direction),
        plan_roundings(filed, ends["nearest"], unit),
        tobacco_roundings(filed, unit),
        pl.Series("compared_rates", compared),
        pl.Series("equal_rates", equal),
        pl.Series("rates_within_one_cent", within),
        _age_ratio(filed, unit, factors),
        _tobacco_ratio(filed, unit, factors),
    )


def _units(filed: FiledRates) -> tuple[Integers, Flags]:
    """Return the unit of each group's rates (a column), and which groups are in whole dollars.

    A cent; the last decimal that a group's rates use where that is finer; a dollar where every rate, of at least two,
    is a whole dollar.
    """
    counted = np.where(filed.present, filed.rates, 0)
    unit = np.full(len(counted), 10 ** (filed.decimals - 2), np.int64)
    for finer in range(filed.decimals - 3, -1, -1):
        unit = np.where((counted % (10 ** (finer + 1)) != 0).any(axis=1) & (unit > 10**finer), 10**finer, unit)
    dollar = 10**filed.decimals
    whole = (counted % dollar == 0).all(axis=1) & (filed.present.sum(axis=1) > 1)
    return np.where(whole, dollar, unit)[:, None], whole


def _base_ends(ends: dict[str, Ends], direction: Integers, filed: FiledRates) -> tuple[Integers, Integers]:
    """Return lower ends rounded up and upper ends rounded down, in units of 1e-8 dollars."""
    scale = 10 ** (BASE_DECIMALS - filed.decimals) * filed.factor_scale
    low, high = np.zeros(len(direction), np.int64), np.zeros(len(direction), np.int64)
    for place, way in ((-1, "nearest"), *enumerate(_DIRECTIONS)):
        here = direction == place
        low[here] = -(-ends[way].low[here] * scale // (2 * ends[way].low_factor[here]))
        high[here] = ends[way].high[here] * scale // (2 * ends[way].high_factor[here])
    return low, high


def _breaking(filed: FiledRates, unit: Integers, unexplained: Flags) -> tuple[Flags, Integers]:
    """Return the cells that break an unexplained group, and how far the farthest lies from the others' base."""
    breaking = np.zeros(filed.rates.shape, bool)
    difference = np.zeros(len(filed.rates), np.int64)
    if not unexplained.any():
        return breaking, difference
    rates, present, units = filed.rates[unexplained], filed.present[unexplained], unit[unexplained]
    covered, ends = best_covered(*directed(rates, units, "nearest"), filed.factors, present)
    breaking[unexplained] = present & ~covered
    expected = nearest_rates(ends.low[:, None], ends.low_factor[:, None], filed.factors, units)
    difference[unexplained] = np.where(present & ~covered, np.abs(rates - expected), 0).max(axis=1)
    return breaking, difference


def _against_reference(
    filed: FiledRates, unit: Integers, factors: RatingFactors
) -> tuple[Integers, Integers, Integers]:
    """Return how many rates are compared with those of the reference rate, equal it, and lie within a cent."""
    groups = np.arange(len(filed.rates))
    adult = 0 if factors.tiers is not None else int(np.searchsorted(factors.bands.ages, _REFERENCE_AGE))
    order = np.r_[adult : len(filed.labels), 0:adult]
    reference = order[np.argmax(filed.present[:, order], axis=1)]
    rate, factor = filed.rates[groups, reference][:, None], filed.factors[reference][:, None]
    expected = nearest_rates(2 * rate, factor, filed.factors, unit)
    counts = filed.present.copy()
    counts[groups, reference] = False
    distance = np.abs(expected - filed.rates)
    cent = 10 ** (filed.decimals - 2)
    return counts.sum(axis=1), (counts & (distance == 0)).sum(axis=1), (counts & (distance <= cent)).sum(axis=1)


def _lists(cells: Flags, labels: pl.Series, name: str) -> pl.Series:
    """Return the labels of each group's cells."""
    import polars as pl

    row, cell = np.nonzero(cells)
    found = pl.DataFrame({"row": row, "label": labels.gather(cell)})
    listed = found.group_by("row", maintain_order=True).agg("label")
    every = pl.DataFrame({"row": np.arange(len(cells))}).join(listed, on="row", how="left", maintain_order="left")
    empty = pl.lit([], dtype=pl.List(pl.String))
    return every.select(pl.col("label").fill_null(empty).alias(name)).to_series()


def _age_ratio(filed: FiledRates, unit: Integers, factors: RatingFactors) -> pl.Series:
    """Return whether the oldest band's rate can be within the ratio to that of age 21; null where one is absent."""
    import polars as pl

    name = "age_ratio_allowed"
    if factors.tiers is not None:
        return pl.Series(name, [None] * len(filed.rates), dtype=pl.Boolean)
    limit, adult = factors.age_ratio_limit, int(np.searchsorted(factors.bands.ages, _REFERENCE_AGE))
    oldest, reference, half = filed.rates[:, -1], filed.rates[:, adult], unit[:, 0]
    allowed = (2 * oldest - half) * limit.denominator <= limit.numerator * (2 * reference + half)
    known = (oldest != ABSENT) & (reference != ABSENT)
    return pl.Series(name, allowed).set(pl.Series(~known), None)


def _tobacco_ratio(filed: FiledRates, unit: Integers, factors: RatingFactors) -> pl.Series:
    """Return whether every tobacco rate can be within the ceiling; null where none is filed."""
    import polars as pl

    ceiling, split = factors.tobacco_ceiling, filed.tobacco_rates != ABSENT
    highest = (2 * filed.tobacco_rates - unit) * ceiling.denominator <= ceiling.numerator * (2 * filed.rates + unit)
    allowed = (highest & (filed.tobacco_rates >= filed.rates)) | ~split
    return pl.Series("tobacco_ratio_allowed", allowed.all(axis=1)).set(pl.Series(~split.any(axis=1)), None)
