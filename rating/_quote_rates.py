"""What is on sale: plans by rating area with the rate of every age, filed or worked out from base rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._assistance import METAL_LEVELS
from rating._exact_columns import ExactColumn, exact_column
from rating._factors import RatingFactors, rating_factors
from rating._frame_rows import FrameRows, collected
from rating._member_rate import rate_cents
from rating._money import LARGEST_MONTHLY
from rating._quote_settings import QuoteSettings
from rating._rate_input import QUARTERS, in_force, of_market_and_year, refuse_rows, without_blanks
from rating._second_lowest import NOT_OFFERED
from rating._silver_rates import AGES, area_ids, rate_grids, tobacco_grid
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["NO_METAL", "OnSale", "on_sale"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NO_METAL = -1
UNLISTED_PLAN = "QTE-026"
_WHOLE_DOLLAR = 100
_MILLIONTHS_DECIMALS = 6


@dataclass(frozen=True)
class Bases:
    """Unrounded base rates of offers, area factors, trend by quarter and tobacco ratios."""

    base: ExactColumn
    area_factor: ExactColumn
    trend: list[ExactColumn]
    ratio: ExactColumn


@dataclass(frozen=True)
class OnSale:
    """Plans where they are sold, in the order of rating area and plan_id; one entry per offer.

    Attributes
    ----------
    area_ids : list of str
        Rating areas, sorted.
    first : array of int
        Where the offers of each area begin; one entry more than areas.
    plan_ids : Series
        Plan of each offer; `plan` numbers them among `plans` (sorted).
    metal : array of int
        Position in METAL_LEVELS; :data:`NO_METAL` where none is known.
    ehb_share : array of int
        Share for essential health benefits in parts of 1,000,000,000.
    most_children : array of int
        How many children of a policy the plan charges.
    on_exchange : array of bool
        Whether it is sold on the exchange.
    cents : array of int, offers x (quarter, tobacco, age)
        Monthly rate; :data:`NOT_OFFERED` where there is none.
    tier_cents : list of dict
        Rates of family tiers by column name, one dict a quarter (filed rates).
    bases : Bases or None
        Where base rates were handed in.
    factors : dict of str to RatingFactors
        By state.
    """

    area_ids: list[str]
    first: Integers
    plan_ids: pl.Series
    plans: pl.Series
    plan: Integers
    metal: Integers
    ehb_share: Integers
    most_children: Integers
    on_exchange: Flags
    cents: Integers
    tier_cents: list[dict[str, Integers]]
    bases: Bases | None
    factors: dict[str, RatingFactors]

    @property
    def quarters(self) -> int:
        """How many quarters have rates of their own."""
        return int(self.cents.shape[1]) // (2 * AGES)


def on_sale(
    rates: Any | None,
    base_rates: Any | None,
    plans: Any | None,
    *,
    plan_year: int,
    most_children: int,
    settings: QuoteSettings,
    findings: Findings,
) -> OnSale:
    """Return the offers of one of the two frames.

    Raises
    ------
    InputRefused
        Both or neither is given; a column is missing; an area, band, rate or ratio cannot be used; two rates hold for
        one plan, area and age; a tobacco rate is above the state's ceiling.
    TableMissing
        No curve or ceiling is held for a state, market and year.
    """
    if (rates is None) == (base_rates is None):
        raise InputRefused(
            "exactly one of `rates` and `base_rates` prices a household",
            rule="filed rates are looked up, base rates are multiplied; the two can differ by a cent",
            remedy="hand in one of them",
        )
    table = "rates" if base_rates is None else "base_rates"
    needed = ("plan_id", "rating_area_id", *(("individual_rate", "age_band") if base_rates is None else ("base_rate",)))
    frame = collected(rates if base_rates is None else base_rates, table, needed)
    frame = of_market_and_year(frame, table, plan_year, settings.market)
    frame = frame.with_columns(_frames.text_column(frame, table, "plan_id").str.strip_chars())
    frame = _with_plans(frame, table, plans, most_children, settings.market, findings)
    frame = frame.with_columns(area_ids(frame).alias("rating_area_id"))
    states = frame["rating_area_id"].str.slice(2, 2).unique().sort().to_list()
    factors = {s: rating_factors(s, settings.market, plan_year, settings.rates) for s in states}
    offers = frame.select("rating_area_id", "plan_id", *_PLAN_COLUMNS).unique().sort("rating_area_id", "plan_id")
    if base_rates is None:
        cents, tiers = _filed(frame, offers, factors, plan_year, settings.market)
        bases = None
    else:
        cents, bases = _from_bases(frame, offers, factors, settings)
        tiers = []
    return _arranged(offers, cents, tiers, bases, factors)


_PLAN_COLUMNS = ("_metal", "_share", "_children", "_sold")


def _with_plans(
    frame: pl.DataFrame, table: str, plans: Any | None, most_children: int, market: str, findings: Findings
) -> pl.DataFrame:
    """Return the rates with metal, share, child rule and exchange of their plan; those of no plan are counted."""
    import polars as pl

    listed = _plans(frame if plans is None else collected(plans, "plans", ("plan_id",)), plans is None, most_children)
    if plans is not None and "market" in plans.collect_schema().names():
        listed = listed.filter(pl.col("_market").is_null() | (pl.col("_market") == market))
    joined = frame.join(listed.drop("_market"), on="plan_id", how="left", validate="m:1", maintain_order="left")
    unlisted = joined["_children"].is_null()
    findings.note(UNLISTED_PLAN, table, int(unlisted.sum()))
    return joined.filter(~unlisted)


def _plans(frame: pl.DataFrame, is_rates: bool, most_children: int) -> pl.DataFrame:
    import polars as pl

    table = "rates" if is_rates else "plans"
    rows = FrameRows(frame, table, Findings())
    columns: dict[str, Any] = {
        "_share": rows.share("ehb_pct_premium")[0],
        "_children": rows.whole("children_charged_max", 1, 99, default=most_children),
        "_sold": rows.flag("on_exchange", True),
        "_metal": np.full(frame.height, NO_METAL, np.int64),
    }
    if "metal_level" in frame.columns:
        columns["_metal"] = rows.choice("metal_level", METAL_LEVELS, None)
    if rows.rules_broken:
        raise InputRefused(
            f"{table} has cells that cannot be used",
            where=f"{table}, columns metal_level, ehb_pct_premium, children_charged_max",
            rule="a metal level is " + ", ".join(METAL_LEVELS) + "; a share is 0 to 1; at least one child is charged",
            remedy="mend these cells",
        )
    listed = frame.select(_frames.text_column(frame, table, "plan_id").str.strip_chars().alias("plan_id"))
    market = _frames.text_column(frame, table, "market").str.strip_chars() if "market" in frame.columns else None
    listed = listed.with_columns(
        *(pl.Series(name, values) for name, values in columns.items()),
        pl.lit(None, dtype=pl.String).alias("_market") if market is None else market.alias("_market"),
    ).unique(maintain_order=True)
    refuse_rows(table, "plan_id", listed["plan_id"].is_null(), "a plan has an id")
    refuse_rows(table, "plan_id", listed["plan_id"].is_duplicated(), "a plan has one metal level, share and child rule")
    return listed


# ---------------------------------------------------------------------------------------------------- filed rates


def _filed(
    frame: pl.DataFrame, offers: pl.DataFrame, factors: dict[str, RatingFactors], plan_year: int, market: str
) -> tuple[Integers, list[dict[str, Integers]]]:
    """Return rates by offer, quarter, tobacco and age, and by family tier."""
    import polars as pl

    quarters = 4 if market == "small_group" else 1
    grids, tiers = [], []
    has_tobacco = "individual_tobacco_rate" in frame.columns
    for quarter in range(quarters):
        part = in_force(frame, pl.date(plan_year, 3 * quarter + 1, 1))
        offer = _offer_of(part, offers)
        plain, by_tier = rate_grids(part, offer, offers.height, True)
        loaded = plain
        if has_tobacco:
            loaded = tobacco_grid(part, offer, plain)
            _check_tobacco(plain, loaded, offers, factors)
        grids += [plain, loaded]
        tiers.append(by_tier)
    return np.concatenate(grids, axis=1), tiers


def _offer_of(frame: pl.DataFrame, offers: pl.DataFrame) -> Integers:
    keys = ["rating_area_id", "plan_id"]
    numbered = offers.select(keys).with_row_index("_offer")
    joined = frame.select(keys).join(numbered, on=keys, how="left", validate="m:1", maintain_order="left")
    return joined["_offer"].to_numpy().astype(np.int64)


def _check_tobacco(plain: Integers, loaded: Integers, offers: pl.DataFrame, factors: dict[str, RatingFactors]) -> None:
    """Refuse tobacco rates below the rate without, or above the ceiling by more than rounding explains."""
    states = offers["rating_area_id"].str.slice(2, 2).to_list()
    ceilings = [factors[state].tobacco_ceiling for state in states]
    most, parts = (np.array([getattr(c, name) for c in ceilings])[:, None] for name in ("numerator", "denominator"))
    whole = ((plain % _WHOLE_DOLLAR) == 0) & ((loaded % _WHOLE_DOLLAR) == 0)
    step = np.where(whole, _WHOLE_DOLLAR, 1)
    offered = (plain < NOT_OFFERED) & (loaded < NOT_OFFERED)
    # Both are rounded: the exact rates lie within half a step of the filed ones.
    above = offered & ((2 * loaded - step) * parts > most * (2 * plain + step)) & (loaded > plain)
    broken = above | (offered & (loaded < plain))
    if broken.any():
        state = states[int(np.flatnonzero(broken.any(axis=1))[0])]
        raise InputRefused(
            f"{int(broken.sum())} tobacco rates (by plan, area and age) are out of range",
            where=f"rates, column individual_tobacco_rate, {state} first",
            rule=f"RATE-006: between the rate without tobacco and {float(factors[state].tobacco_ceiling):g} times it "
            "(45 CFR 147.102(a)(1)(iv); rating/tobacco_limits)",
            remedy="mend these rates, or leave the column out to quote without tobacco loads",
        )


# ---------------------------------------------------------------------------------------------------- base rates


def _from_bases(
    frame: pl.DataFrame, offers: pl.DataFrame, factors: dict[str, RatingFactors], settings: QuoteSettings
) -> tuple[Integers, Bases]:
    """Return rates by offer, quarter, tobacco and age: ``round(base x trend x area x age x tobacco)``."""
    import polars as pl

    double = frame.select("rating_area_id", "plan_id").is_duplicated()
    refuse_rows("base_rates", "plan_id", double, "RATE-002: a plan has one base rate in a rating area")
    frame = frame.sort("rating_area_id", "plan_id")
    trends = [name for name in QUARTERS if name in frame.columns]
    if settings.market == "individual" and trends:
        raise InputRefused(
            "quarterly trend in the individual market",
            where="base_rates, column " + ", ".join(trends),
            rule="individual rates are annual (45 CFR 156.80(d))",
            remedy="leave these columns out",
        )
    one = ExactColumn.single(1, 0)
    area = exact_column(frame["area_factor"], "base_rates, area_factor") if "area_factor" in frame.columns else one
    ratio = one
    if "tobacco_ratio" in frame.columns and frame["tobacco_ratio"].dtype != pl.Null:
        ratio = exact_column(without_blanks(frame["tobacco_ratio"]), "base_rates, tobacco_ratio")
        _check_ratios(ratio, frame, factors)
    quarters = QUARTERS if settings.market == "small_group" else QUARTERS[:1]
    trend = [exact_column(frame[n], f"base_rates, {n}") if n in trends else one for n in quarters]
    bases = Bases(exact_column(frame["base_rate"], "base_rates, base_rate"), area, trend, ratio)
    return _grid(bases, offers, factors, settings), bases


def _grid(bases: Bases, offers: pl.DataFrame, factors: dict[str, RatingFactors], settings: QuoteSettings) -> Integers:
    import polars as pl

    states = sorted(factors)
    curves = [(n, _MILLIONTHS_DECIMALS) for s in states for n in factors[s].curve.at(np.arange(AGES)).tolist()]
    names = offers["rating_area_id"].str.slice(2, 2)
    of_state = names.replace_strict(states, range(len(states)), return_dtype=pl.Int64)
    codes = (of_state.to_numpy()[:, None] * AGES + np.arange(AGES)).ravel().astype(np.uint32)
    offer = np.repeat(np.arange(offers.height), AGES)
    columns = {
        "base": bases.base.taken(offer),
        "area_factor": bases.area_factor.taken(offer),
        "age_factor": ExactColumn.of_codes(curves, codes),
    }
    grids = []
    for trend in bases.trend:
        for load in (ExactColumn.single(1, 0), bases.ratio):
            columns |= {"trend_factor": trend.taken(offer), "tobacco_factor": load.taken(offer)}
            cents = rate_cents(
                columns,
                rounding_point=settings.rounding_point,
                rounding_direction=settings.rounding_direction,
            )
            grids.append(cents.reshape(offers.height, AGES))
    grid = np.concatenate(grids, axis=1)
    if int(grid.max()) > LARGEST_MONTHLY:
        raise InputRefused(
            "a rate is too large",
            where="base_rates, columns base_rate, area_factor",
            rule=f"a member's rate is at most {LARGEST_MONTHLY // 100:,} dollars a month",
            remedy="check the decimal point of base rates and factors",
        )
    # Offers of states with family tiers have no rate of a member.
    has_tiers = np.array([factors[s].tiers is not None for s in states])[of_state.to_numpy()]
    grid[has_tiers] = NOT_OFFERED
    return grid


def _check_ratios(ratio: ExactColumn, frame: pl.DataFrame, factors: dict[str, RatingFactors]) -> None:
    import polars as pl

    one, found = 10**ratio.decimals, ratio.by_place()
    ceilings = [factors[s].tobacco_ceiling for s in frame["rating_area_id"].str.slice(2, 2).to_list()]
    pairs = list(zip(found, ceilings, strict=True))
    is_out = pl.Series([n < one or n * c.denominator > c.numerator * one for n, c in pairs], dtype=pl.Boolean)
    rule = "RATE-006: between 1 and the state's ceiling (45 CFR 147.102(a)(1)(iv); rating/tobacco_limits)"
    refuse_rows("base_rates", "tobacco_ratio", is_out, rule)


def tier_base_cents(
    sale: OnSale, offers: Integers, quarter: int, millionths: Integers, settings: QuoteSettings
) -> Integers:
    """Return ``round(base x trend x area x multiplier)`` in cents, multipliers x offers."""
    assert sale.bases is not None
    offer = np.tile(offers, len(millionths))
    codes = np.repeat(np.arange(len(millionths), dtype=np.uint32), len(offers))
    columns = {
        "base": sale.bases.base.taken(offer),
        "area_factor": sale.bases.area_factor.taken(offer),
        "trend_factor": sale.bases.trend[quarter].taken(offer),
        "age_factor": ExactColumn.of_codes([(n, _MILLIONTHS_DECIMALS) for n in millionths.tolist()], codes),
        "tobacco_factor": ExactColumn.single(1, 0),
    }
    cents = rate_cents(columns, rounding_point=settings.rounding_point, rounding_direction=settings.rounding_direction)
    return np.asarray(cents).reshape(len(millionths), len(offers))


def _arranged(
    offers: pl.DataFrame,
    cents: Integers,
    tiers: list[dict[str, Integers]],
    bases: Bases | None,
    factors: dict[str, RatingFactors],
) -> OnSale:
    areas = offers["rating_area_id"].unique().sort()
    starts = np.asarray(offers["rating_area_id"].search_sorted(areas), np.int64)
    plans = offers["plan_id"].unique().sort()
    return OnSale(
        areas.to_list(),
        np.append(starts, offers.height),
        offers["plan_id"],
        plans,
        np.asarray(plans.search_sorted(offers["plan_id"]), np.int64),
        offers["_metal"].to_numpy(),
        offers["_share"].to_numpy(),
        offers["_children"].to_numpy(),
        offers["_sold"].to_numpy(),
        np.minimum(cents, NOT_OFFERED),
        tiers,
        bases,
        factors,
    )
