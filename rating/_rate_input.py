"""What a rate table is made of: plans with their base rates, where they are sold, trend and tobacco ratios; checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import canonical_rating_areas
from data_specs.errors import InputRefused
from rating._exact_columns import ExactColumn, exact_column
from rating._frame_rows import collected

if TYPE_CHECKING:
    import polars as pl

    from rating._factors import RatingFactors

__all__ = [
    "QUARTERS",
    "Offers",
    "TobaccoLoads",
    "area_names",
    "checked_offers",
    "checked_plans",
    "in_force",
    "of_market_and_year",
    "refuse_rows",
    "tobacco_loads",
    "trends",
    "without_blanks",
]

Integers = NDArray[np.int64]

QUARTERS = ("trend_q1", "trend_q2", "trend_q3", "trend_q4")
_LIKE_A_PLAN_ID = r"^[0-9]{5}([A-Z]{2})[0-9]{7}$"
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Offers:
    """Plans where they are sold, in the order of plan id and area.

    Attributes
    ----------
    plan, area : array of int
        Position among `plan_ids` (as handed in) and `area_ids` (sorted).
    plan_ids, area_ids : Series
        The ids.
    factor : ExactColumn
        Area factor of each offer.
    """

    plan: Integers
    area: Integers
    plan_ids: pl.Series
    area_ids: pl.Series
    factor: ExactColumn


@dataclass(frozen=True, slots=True)
class TobaccoLoads:
    """Tobacco ratios of plans by age band.

    Attributes
    ----------
    ratio : ExactColumn
        A row per plan and band, bands next to each other; 1 where nothing is loaded.
    is_split : array of bool
        Whether a plan has a ratio above 1.
    """

    ratio: ExactColumn
    is_split: NDArray[np.bool_]


def refuse_rows(table: str, column: str, broken: pl.Series, rule: str) -> None:
    """Refuse a table some of whose rows break a rule."""
    rows = np.flatnonzero(broken.fill_null(False).to_numpy()) + 1
    if len(rows) == 0:
        return
    more = f" ... ({len(rows)} rows)" if len(rows) > _SHOWN else ""
    raise InputRefused(
        f"{len(rows)} row{'s' if len(rows) > 1 else ''} of {table} cannot be used",
        where=f"{table} (first row is 1): column {column}, row {', '.join(map(str, rows[:_SHOWN].tolist()))}{more}",
        rule=rule,
        remedy="mend these rows",
    )


def _some(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    if frame.height == 0:
        raise InputRefused("the table has no rows", where=table, rule="FILE-002", remedy="check the file or query")
    return frame


def checked_plans(frame: Any, factors: RatingFactors) -> pl.DataFrame:
    """Return the plans.

    Raises
    ------
    InputRefused
        There is none; an id is missing, double or of another state; a quarterly trend in the individual market.
    """
    plans = _some(collected(frame, "plans", ("plan_id", "base_rate")), "plans")
    ids = _frames.text_column(plans, "plans", "plan_id").str.strip_chars()
    refuse_rows("plans", "plan_id", ids.is_null() | (ids == ""), "a plan has an id")
    refuse_rows("plans", "plan_id", ids.is_duplicated(), "RATE-002: a plan has one base rate")
    of_state = ids.str.extract(_LIKE_A_PLAN_ID)
    rule = f"these rates are of {factors.state}; characters 6-7 of a plan id are its state"
    refuse_rows("plans", "plan_id", of_state.is_not_null() & (of_state != factors.state), rule)
    trend = [name for name in QUARTERS if name in plans.columns]
    if trend and factors.market == "individual":
        raise InputRefused(
            "quarterly trend in the individual market",
            where="plans, column " + ", ".join(trend),
            rule="individual rates are annual (45 CFR 156.80(d)); RATE-007: they take effect on 1 January",
            remedy="leave these columns out",
        )
    return plans.with_columns(ids.alias("plan_id"))


def area_names(frame: pl.DataFrame, table: str, factors: RatingFactors) -> pl.Series:
    """Return the canonical rating areas of a frame's rows.

    Raises
    ------
    InputRefused
        A row names none of the state.
    """
    import polars as pl

    given = frame["rating_area_id"]
    texts = given.cast(pl.String) if given.dtype.is_integer() else _frames.text_column(frame, table, given.name)
    distinct = texts.unique()
    names = canonical_rating_areas(distinct, pl.Series([factors.state] * len(distinct), dtype=pl.String))
    known = pl.DataFrame({"text": distinct, "area": names})
    rows = texts.alias("text").to_frame()
    areas = rows.join(known, on="text", how="left", maintain_order="left", nulls_equal=True, validate="m:1")["area"]
    rule = f"RATE-008: areas of {factors.state} are R-{factors.state}001 and so on; there is no area 0"
    refuse_rows(table, "rating_area_id", areas.is_null(), rule)
    return areas


def checked_offers(plans: pl.DataFrame, areas: Any, factors: RatingFactors) -> Offers:
    """Return where each plan is sold, with the area factors.

    Raises
    ------
    InputRefused
        An area is none of the state, stands twice, or names an unknown plan; a plan is sold nowhere.
    """
    import polars as pl

    frame = _some(collected(areas, "areas", ("rating_area_id", "area_factor")), "areas")
    names = area_names(frame, "areas", factors)
    lines = pl.DataFrame({"area": names}).with_row_index("line")
    known = plans.select("plan_id").with_row_index("plan")
    if "plan_id" in frame.columns:
        ids = _frames.text_column(frame, "areas", "plan_id").str.strip_chars().alias("plan_id")
        lines = lines.with_columns(ids).join(known, on="plan_id", how="left", maintain_order="left", validate="m:1")
        refuse_rows("areas", "plan_id", lines["plan"].is_null(), "an area names one of the plans")
    else:
        lines = lines.join(known, how="cross", maintain_order="left_right")
    double = lines.filter(lines.select("plan", "area").is_duplicated())["line"].unique().implode()
    is_double = pl.int_range(frame.height, eager=True).is_in(double)
    refuse_rows("areas", "rating_area_id", is_double, "RATE-002: an area has one factor (of a plan)")
    is_sold = known["plan"].is_in(lines["plan"].unique().implode())
    refuse_rows("plans", "plan_id", ~is_sold, "RATE-001: a plan has at least one rating area")
    lines = lines.sort("plan_id", "area")
    area_ids = names.unique().sort()
    place = lines.join(area_ids.to_frame("area").with_row_index("place"), on="area", how="left", maintain_order="left")
    factor = exact_column(frame["area_factor"], "areas, area_factor").taken(lines["line"].to_numpy())
    plan, area = (column.cast(pl.Int64).to_numpy() for column in (lines["plan"], place["place"]))
    return Offers(plan, area, plans["plan_id"], area_ids, factor)


def of_market_and_year(frame: pl.DataFrame, table: str, plan_year: int, market: str) -> pl.DataFrame:
    """Return the rates of one market and plan year, where columns say which a row is of.

    Raises
    ------
    InputRefused
        A row does not say it, or none is of that market and year.
    """
    import polars as pl

    if "market" in frame.columns:
        markets = _frames.text_column(frame, table, "market").str.strip_chars().str.to_lowercase()
        refuse_rows(table, "market", markets.is_null(), "a rate is of one market")
        frame = frame.filter(markets == market)
    if "plan_year" in frame.columns:
        given = frame["plan_year"]
        if given.dtype != pl.String and not given.dtype.is_numeric():
            raise InputRefused(
                f"column 'plan_year' is {given.dtype}, not a year",
                where=f"{table}, column plan_year",
                rule="FILE-002: a required column has its declared type",
                remedy="cast it to Int64",
            )
        years = given.cast(pl.Int64, strict=False)
        refuse_rows(table, "plan_year", years.is_null(), "RATE-007: a rate is of one plan year")
        frame = frame.filter(years == plan_year)
    if frame.height == 0:
        raise InputRefused(
            f"no row is of the {market} market and plan year {plan_year}",
            where=f"{table}, columns market, plan_year",
            rule="rates are those of one market and plan year",
            remedy="hand in the rates of that year, or choose another plan year or setting `market`",
        )
    return frame


def in_force(rates: pl.DataFrame, day: pl.Expr) -> pl.DataFrame:
    """Return the rates that hold on a day; without a date a rate holds from, or to, any day.

    Raises
    ------
    InputRefused
        An effective_date or expiration_date is no date.
    """
    import polars as pl

    for column, holds in (("effective_date", pl.Expr.le), ("expiration_date", pl.Expr.ge)):
        if column in rates.columns:
            dates = _frames.date_column(rates, "rates", column)
            refuse_rows("rates", column, dates.is_null() & rates[column].is_not_null(), "a date")
            rates = rates.with_columns(dates.alias(column))
            rates = rates.filter(pl.col(column).is_null() | holds(pl.col(column), day))
    return rates


def trends(plans: pl.DataFrame) -> tuple[list[str], ExactColumn]:
    """Return the quarters that have a trend, and the trend by plan and quarter, quarters next to each other."""
    quarters = [name for name in QUARTERS if name in plans.columns]
    if not quarters:
        return [], ExactColumn.single(1, 0)
    columns = [exact_column(plans[name], f"plans, {name}") for name in quarters]
    numbers = [[(number, column.decimals) for number in column.by_place()] for column in columns]
    by_plan = [pair for row in zip(*numbers, strict=True) for pair in row]
    return quarters, ExactColumn.of_codes(by_plan, np.arange(len(by_plan), dtype=np.uint32))


def tobacco_loads(plans: pl.DataFrame, ratios: Any, factors: RatingFactors) -> TobaccoLoads:
    """Return the tobacco ratio of each plan and age band.

    Raises
    ------
    InputRefused
        A ratio is below 1 or above the ceiling of the state and market, stands below the legal age, or twice; a plan
        has ratios in both places.
    """
    import polars as pl

    ages = factors.bands.ages
    pairs: list[tuple[int, int]] = [(1, 0)]
    codes = np.zeros((plans.height, len(ages)), np.uint32)
    is_adult = ages >= factors.tobacco_age
    if "tobacco_ratio" in plans.columns and plans["tobacco_ratio"].dtype != pl.Null:
        given = plans["tobacco_ratio"]
        found = _ratios(without_blanks(given), "plans", factors)
        codes[:] = np.where(is_adult, np.arange(1, len(found) + 1)[:, None], 0)
        pairs += found
    if ratios is not None:
        frame = collected(ratios, "tobacco_ratios", ("plan_id", "age_from", "tobacco_ratio"))
        known = plans.select("plan_id").with_row_index("plan")
        ids = _frames.text_column(frame, "tobacco_ratios", "plan_id").str.strip_chars()
        frame = frame.with_columns(ids.alias("plan_id")).with_row_index("line")
        frame = frame.join(known, on="plan_id", how="left", maintain_order="left", validate="m:1")
        refuse_rows("tobacco_ratios", "plan_id", frame["plan"].is_null(), "a ratio belongs to one of the plans")
        _check_ages(frame)
        is_loaded = np.asarray(_above_one(pairs)[codes].any(axis=1))
        is_twice = pl.Series(is_loaded[frame["plan"].to_numpy()], dtype=pl.Boolean)
        rule = "a plan's ratios stand in `plans` or in `tobacco_ratios`"
        refuse_rows("tobacco_ratios", "plan_id", is_twice, rule)
        found = _ratios(frame["tobacco_ratio"], "tobacco_ratios", factors)
        loads = pl.Series([number > 10**decimals for number, decimals in found], dtype=pl.Boolean)
        rule = f"nobody below {factors.tobacco_age} is charged a tobacco ratio (45 CFR 147.102(a)(1)(iv))"
        refuse_rows("tobacco_ratios", "age_from", loads & (frame["age_from"] < factors.tobacco_age), rule)
        for plan, age, line in frame.sort("plan", "age_from").select("plan", "age_from", "line").rows():
            codes[plan, ages >= age] = len(pairs) + line
        pairs += found
    is_split = np.asarray(_above_one(pairs)[codes].any(axis=1))
    return TobaccoLoads(ExactColumn.of_codes(pairs, codes.ravel()), is_split)


def without_blanks(ratios: pl.Series) -> pl.Series:
    """Return tobacco ratios with 1 for blanks: nothing is loaded. What is no column of numbers stays as it is."""
    import polars as pl

    if ratios.dtype == pl.Categorical or isinstance(ratios.dtype, pl.Enum):
        ratios = ratios.cast(pl.String)
    if ratios.dtype == pl.String:
        return ratios.fill_null("1")
    return ratios.fill_null(1) if ratios.dtype.is_numeric() else ratios


def _above_one(ratios: list[tuple[int, int]]) -> NDArray[np.bool_]:
    return np.array([number > 10**decimals for number, decimals in ratios])


def _check_ages(frame: pl.DataFrame) -> None:
    ages = frame["age_from"]
    if not ages.dtype.is_integer():
        raise InputRefused(
            f"column 'age_from' is {ages.dtype}, not whole years",
            where="tobacco_ratios, column age_from",
            rule="FILE-002: a required column has its declared type",
            remedy="cast it to Int64",
        )
    refuse_rows("tobacco_ratios", "age_from", ages.is_null() | (ages < 0), "an age in completed years")
    double = frame.select("plan", "age_from").is_duplicated()
    refuse_rows("tobacco_ratios", "age_from", double, "RATE-002: a plan has one ratio from an age on")


def _ratios(values: pl.Series, table: str, factors: RatingFactors) -> list[tuple[int, int]]:
    """Return ratios as whole numbers and their decimals, none below 1 or above the ceiling."""
    import polars as pl

    column = exact_column(values, f"{table}, tobacco_ratio")
    one, ceiling = 10**column.decimals, factors.tobacco_ceiling
    found = column.by_place()
    is_below = pl.Series([number < one for number in found], dtype=pl.Boolean)
    rule = "RATE-006: a tobacco user's rate is no lower than the rate without"
    refuse_rows(table, "tobacco_ratio", is_below, rule)
    is_above = pl.Series([n * ceiling.denominator > ceiling.numerator * one for n in found], dtype=pl.Boolean)
    rule = f"at most {float(ceiling):g} (45 CFR 147.102(a)(1)(iv); rating/tobacco_limits)"
    if ceiling == 1:
        rule = "tobacco may not be rated (rating/tobacco_limits)"
    refuse_rows(table, "tobacco_ratio", is_above, f"RATE-006: {factors.state}, {factors.market}: {rule}")
    return [(number, column.decimals) for number in found]
