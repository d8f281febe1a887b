"""Silver plans with their rates, by rating area and age: what a benchmark is chosen from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import TIERS, AgeCurve, FamilyTiers, age_curve, canonical_rating_areas, family_tiers
from data_specs.errors import InputRefused
from rating._figures import Figures
from rating._frame_rows import WHOLE_SHARE, FrameRows, collected
from rating._money import LARGEST_MONTHLY, Money, half_up, read_money
from rating._rate_input import in_force, of_market_and_year, refuse_rows
from rating._second_lowest import NOT_OFFERED
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "AGES",
    "FILED_TIERS",
    "SilverRates",
    "amounts_at_ages",
    "area_ids",
    "benchmark_rates",
    "rate_grids",
    "silver_rates",
    "tobacco_grid",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

AGES = 66  # 0 to 65; 65 stands for older, which files of the first years rate apart from 64
# The columns of a filed family-tier row, by tier and by how many children there are.
FILED_TIERS = (
    ("individual_rate",) * 4,
    ("couple",) * 4,
    (
        "subscriber_one_dependent",
        "subscriber_one_dependent",
        "subscriber_two_dependents",
        "subscriber_three_dependents",
    ),
    ("couple_one_dependent", "couple_one_dependent", "couple_two_dependents", "couple_three_dependents"),
    ("child_only",) * 4,
)
_BENCHMARKS = "rating/benchmark_premiums"
_BAND = r"^(?<low>[0-9]{1,2})(?:-(?<high>[0-9]{1,2})|(?<open>\+| and (?:over|older)))?$"
UNKNOWN_PLAN = "SUB-047"


@dataclass(frozen=True)
class SilverRates:
    """Plans that may be the benchmark, in the order of rating area and plan_id.

    Attributes
    ----------
    area_ids : Series
        Their rating areas, sorted.
    first : array of int
        Where each area's plans begin; one entry more than areas.
    plan_ids : Series
        Plan of each offer.
    ehb_share : array of int
        Share for essential health benefits in parts of 1,000,000,000.
    most_children : array of int
        How many children of a policy the plan charges.
    cents : array of int, offers x ages
        Monthly rate by age 0 to 65 (and older), non-tobacco; :data:`NOT_OFFERED` where there is none.
    tier_cents : dict of array of int
        Rates of family-tier rows by column name, where the frame has them; ``individual_rate`` is one adult's.
    by_member : bool
        Whether every household is one reference member (rates without ages).
    source : str
        ``rates``, or the table.
    """

    area_ids: pl.Series
    first: Integers
    plan_ids: pl.Series
    ehb_share: Integers
    most_children: Integers
    cents: Integers
    tier_cents: dict[str, Integers]
    by_member: bool
    source: str


def silver_rates(
    rates: Any, plans: Any, *, plan_year: int, most_children: int, needs_ages: bool, findings: Findings
) -> SilverRates:
    """Return the rates of silver plans sold on the exchange.

    Raises
    ------
    InputRefused
        A column is missing, an area or age band cannot be read, two rates hold for one plan, area and age, or rates
        without ages meet households with ages.
    """
    import polars as pl

    frame = collected(rates, "rates", ("plan_id", "rating_area_id", "individual_rate"))
    listed = _silver_plans(frame if plans is None else plans, "rates" if plans is None else "plans", most_children)
    frame = in_force(of_market_and_year(frame, "rates", plan_year, "individual"), pl.date(plan_year, 1, 1))
    frame = frame.with_columns(_frames.text_column(frame, "rates", "plan_id").str.strip_chars().alias("plan_id"))
    if plans is not None:
        known = pl.col("plan_id").is_in(_all_ids(plans).implode())
        unknown = frame.filter(~known)
        findings.note(UNKNOWN_PLAN, "rates", unknown.height)
    frame = frame.join(listed, on="plan_id", how="inner", validate="m:1", maintain_order="left")
    frame = frame.with_columns(area_ids(frame).alias("rating_area_id"))
    by_age = "age_band" in frame.columns
    if by_age != needs_ages:
        raise _ages_refused(by_age)
    offers = frame.select("rating_area_id", "plan_id", "_share", "_children").unique().sort("rating_area_id", "plan_id")
    offer = frame.join(
        offers.select("rating_area_id", "plan_id").with_row_index("_offer"),
        on=["rating_area_id", "plan_id"],
        how="left",
        maintain_order="left",
        validate="m:1",
    )["_offer"].to_numpy()
    cents, tiers = rate_grids(frame, offer.astype(np.int64), offers.height, by_age)
    return _arranged(offers, cents, tiers, by_member=not by_age, source="rates")


def _all_ids(plans: Any) -> pl.Series:
    frame = collected(plans, "plans", ("plan_id", "metal_level"))
    return _frames.text_column(frame, "plans", "plan_id").str.strip_chars()


def _ages_refused(by_age: bool) -> InputRefused:
    what = "rates have age bands, households no ages" if by_age else "rates have no age bands, households have ages"
    return InputRefused(
        what,
        where="rates, column age_band; households, column age or birth_date",
        rule="a family's premium is the sum of its members' rates; a rate without ages prices one reference member",
        remedy="hand in both with ages, or both without",
    )


def _silver_plans(plans: Any, table: str, most_children: int) -> pl.DataFrame:
    """Return plan_id, share of essential health benefits and children charged of the silver plans on the exchange."""
    import polars as pl

    frame = collected(plans, table, ("plan_id", "metal_level"))
    rows = FrameRows(frame, table, Findings())
    share = rows.share("ehb_pct_premium")[0]
    children = rows.whole("children_charged_max", 1, 99, default=most_children)
    sold = rows.flag("on_exchange", True)
    if rows.rules_broken:
        raise InputRefused(
            f"{table} has cells that cannot be used",
            where=f"{table}, column ehb_pct_premium or children_charged_max",
            rule="ehb_pct_premium is a ratio from 0 to 1; an issuer charges at least one child",
            remedy="mend these cells",
        )
    metal = _frames.text_column(frame, table, "metal_level").str.strip_chars().str.to_lowercase()
    listed = frame.select(_frames.text_column(frame, table, "plan_id").str.strip_chars().alias("plan_id"))
    listed = listed.with_columns(pl.Series("_share", share), pl.Series("_children", children))
    silver = listed.filter((metal == "silver") & pl.Series(sold)).unique(maintain_order=True)
    refuse_rows(table, "plan_id", silver["plan_id"].is_duplicated(), "a plan has one share and one child rule")
    return silver


def area_ids(frame: pl.DataFrame) -> pl.Series:
    """Return rating areas as R-XX999; the state is that of the row, or characters 6-7 of the plan id."""
    import polars as pl

    given = frame["rating_area_id"]
    texts = given.cast(pl.String) if given.dtype.is_integer() else _frames.text_column(frame, "rates", given.name)
    if "state" in frame.columns:
        states = _frames.text_column(frame, "rates", "state").str.strip_chars().str.to_uppercase()
    else:
        of_plan = frame["plan_id"].str.extract(r"^[0-9]{5}([A-Z]{2})[0-9]{7}")
        states = of_plan.fill_null(texts.str.extract(r"(?i)^R-?([A-Z]{2})").str.to_uppercase())
    areas = canonical_rating_areas(texts, states)
    refuse_rows("rates", "rating_area_id", areas.is_null(), "RATE-008: an area is a number of its state, never 0")
    return areas


def rate_grids(frame: pl.DataFrame, offer: Integers, number: int, by_age: bool) -> tuple[Integers, dict[str, Integers]]:
    """Return filed rates (cents a month) by offer and age, and those of family tiers by column and offer.

    Parameters
    ----------
    frame : DataFrame
        ``individual_rate``, ``age_band``, and the columns of family tiers where rows of the band family have them.
    offer : array of int
        The offer of each row, from 0.
    number : int
        How many offers there are.
    by_age : bool
        False: a row is the rate at every age, and bands are not read.

    Raises
    ------
    InputRefused
        A rate or an age band that cannot be, or two rates of one offer and age.
    """
    cents = np.full((number, AGES), NOT_OFFERED, np.int64)
    money = _positive(frame, "individual_rate", is_needed=True)
    if not by_age:
        _fill(cents, offer, money.cents, np.zeros(len(offer), np.int64), np.full(len(offer), AGES - 1))
        return cents, {}
    low, high, family = _band_ages(frame)
    single = ~family
    _fill(cents, offer[single], money.cents[single], low[single], high[single])
    columns = sorted({c for columns in FILED_TIERS for c in columns if c in frame.columns}) if family.any() else []
    return cents, {column: _tier_column(frame, column, offer, family, number) for column in columns}


def tobacco_grid(frame: pl.DataFrame, offer: Integers, plain: Integers) -> Integers:
    """Return filed rates with tobacco (cents a month) by offer and age; where one is blank, the rate without.

    Raises
    ------
    InputRefused
        A rate that is no amount above zero.
    """
    cents = np.full_like(plain, NOT_OFFERED)
    money = _positive(frame, "individual_tobacco_rate")
    low, high, family = _band_ages(frame)
    filed = ~family & money.is_given
    _fill(cents, offer[filed], money.cents[filed], low[filed], high[filed])
    return np.where(cents == NOT_OFFERED, plain, cents)


def _positive(frame: pl.DataFrame, column: str, *, is_needed: bool = False, among: Flags | None = None) -> Money:
    """Return rates; one (of the rows `among`) that is no amount above zero, or blank where needed, is refused."""
    import polars as pl

    money = read_money(frame, "rates", column, largest=LARGEST_MONTHLY)
    bad = money.is_unreadable | (money.is_given & (money.cents <= 0)) | (is_needed & ~money.is_given)
    bad = bad if among is None else bad & among
    refuse_rows("rates", column, pl.Series(bad), "RATE-003: a rate is above zero; absent is not zero")
    return money


def _band_ages(frame: pl.DataFrame) -> tuple[Integers, Integers, Flags]:
    """Return the first and last age of each row's band, and which rows are of the band family."""
    import polars as pl

    given = frame["age_band"]
    texts = given.cast(pl.String) if given.dtype.is_integer() else _frames.text_column(frame, "rates", given.name)
    bands = texts.str.strip_chars().str.to_lowercase()
    family = (bands == "family").fill_null(False).to_numpy()
    parts = bands.str.extract_groups(_BAND).struct
    low, high = parts.field("low").cast(pl.Int64), parts.field("high").cast(pl.Int64)
    is_none = (low.is_null() | (high < low).fill_null(False)) & ~pl.Series(family)
    refuse_rows("rates", "age_band", is_none, "an age band is 0-14, 15, ... 64+ or family")
    is_open = parts.field("open").is_not_null().to_numpy()
    first = np.minimum(low.fill_null(0).to_numpy(), AGES - 1)
    last = np.where(is_open, AGES - 1, np.minimum(high.fill_null(low).fill_null(0).to_numpy(), AGES - 1))
    return first, last, family


def _tier_column(frame: pl.DataFrame, column: str, offer: Integers, family: Flags, number: int) -> Integers:
    found = _positive(frame, column, among=family)
    usable = family & found.is_given
    at = offer[usable]
    if len(np.unique(at)) < len(at):
        raise _double_rate()
    cents = np.full(number, NOT_OFFERED, np.int64)
    cents[at] = found.cents[usable]
    return cents


def _fill(cents: Integers, offer: Integers, rate: Integers, low: Integers, high: Integers) -> None:
    """Write each rate to the ages of its band; where the last band is 64, it holds for older people too."""
    for age in range(AGES):
        at = (low <= age) & (age <= high)
        places = offer[at]
        if len(places) and np.bincount(places).max() > 1:
            raise _double_rate()
        cents[places, age] = rate[at]
    oldest = cents[:, AGES - 1]
    oldest[oldest == NOT_OFFERED] = cents[oldest == NOT_OFFERED, AGES - 2]


def _double_rate() -> InputRefused:
    return InputRefused(
        "two rates hold for one plan, rating area and age",
        where="rates, column age_band",
        rule="RATE-002: a plan has one rate for each rating area and age",
        remedy="keep the one in force; give effective_date and expiration_date where rates change",
    )


def _arranged(
    offers: pl.DataFrame, cents: Integers, tiers: dict[str, Integers], *, by_member: bool, source: str
) -> SilverRates:
    areas = offers["rating_area_id"].unique().sort()
    starts = offers["rating_area_id"].search_sorted(areas)
    first = np.append(np.asarray(starts, np.int64), offers.height)
    return SilverRates(
        areas,
        first,
        offers["plan_id"],
        offers["_share"].to_numpy(),
        offers["_children"].to_numpy(),
        cents,
        tiers,
        by_member,
        source,
    )


# ------------------------------------------------------------------------------------------------ without plan rates


def amounts_at_ages(amount_cents: Integers, curve: AgeCurve) -> Integers:
    """Return what amounts at age 0 are at every age 0 to 65: amounts x ages, in cents, half up.

    ``rate = amount x factor(age) / factor(0)``: the plan base rate, amount / factor(0), is not rounded.

    Examples
    --------
    Minnesota 2023, 252 dollars at age 0 (factor 0.890): 252 x 1.278 / 0.890 = 361.8607 at age 40.

    >>> amounts_at_ages(np.array([25200]), age_curve("MN", "individual", 2023))[0, 40].item()
    36186
    """
    factors = curve.at(np.arange(AGES))
    return half_up(amount_cents[:, None] * factors[None, :], int(factors[0]))


def benchmark_rates(figures: Figures, plan_year: int, states: list[str], most_children: int) -> SilverRates:
    """Return ``rating/benchmark_premiums`` of a year as one plan for each rating area of some states.

    Whole dollars at age 0 (one adult in family-tier states), so up to about two dollars off at age 64.

    Raises
    ------
    NotYetPublished, TableMissing
        The table does not hold the year (it begins in 2018).
    """
    import polars as pl

    rows = figures.rows(_BENCHMARKS, plan_year)
    rows = rows.filter(pl.col("benchmark") == "second_lowest_silver", pl.col("state").is_in(states))
    area = pl.concat_str(pl.lit("R-"), "state", pl.col("rating_area").cast(pl.String).str.zfill(3))
    rows = rows.with_columns(area.alias("rating_area_id")).sort("rating_area_id")
    amounts = read_money(rows, _BENCHMARKS, "monthly_premium", largest=LARGEST_MONTHLY).cents
    cents = np.full((rows.height, AGES), NOT_OFFERED, np.int64)
    one_adult = np.full(rows.height, NOT_OFFERED, np.int64)
    for state in rows["state"].unique().to_list():
        at = (rows["state"] == state).to_numpy()
        if tiers_of(state, plan_year) is not None:
            one_adult[at] = amounts[at]
            continue
        curve = age_curve(state, "individual", plan_year)
        cents[at] = amounts_at_ages(amounts[at], curve)
        if curve.is_uncertain:
            figures.put_down(
                "rating/age_curves", f"curve {curve.curve_id} of {state}", "benchmark_monthly", int(at.sum())
            )
    offers = rows.select(
        "rating_area_id",
        plan_id=pl.lit("second_lowest_silver"),
        _share=pl.lit(WHOLE_SHARE, dtype=pl.Int64),
        _children=pl.lit(most_children, dtype=pl.Int64),
    )
    figures.took_part(
        _BENCHMARKS,
        rows,
        ["benchmark", "state", "rating_area", "plan_year"],
        np.ones(rows.height, np.int64),
        "benchmark_monthly",
    )
    return _arranged(offers, cents, {"individual_rate": one_adult}, by_member=False, source=_BENCHMARKS)


def tiers_of(state: str, plan_year: int) -> FamilyTiers | None:
    """Return the family tiers of the individual market of a state, or None where members are rated by age."""
    return family_tiers(state, "individual", plan_year)


assert len(FILED_TIERS) == len(TIERS)
