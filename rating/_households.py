"""Households that ask for a quote: rows checked, bad ones counted by rule, places and ages found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import RELATIONSHIPS, completed_years
from data_specs.errors import InputRefused
from rating._areas import rating_area
from rating._figures import Figures
from rating._frame_rows import collected
from rating._home_rows import HomeRows
from rating._money import LARGEST_ANNUAL, LARGEST_MONTHLY, read_money
from rating._places import AMBIGUOUS, PLACE_COLUMNS, PLACED, UNKNOWN, rating_areas_of
from rating._policy_premiums import Covered
from rating._poverty import LARGEST_SIZE, regions_of_states
from rating._quote_settings import QuoteSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["COLUMNS", "TABLE", "Homes", "read_households"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

TABLE = "households"
COLUMNS = ("household_id", "member_id", "birth_date")
OLDEST = 120  # completed years; MEM-005 of the data-quality rules
NO_KEY, OTHER_ROW, NOBODY, BAD_AGE, BAD_DATE, BAD_RELATION, CONFLICT = (f"QTE-00{n}" for n in range(1, 8))
UNKNOWN_PLACE, SEVERAL_AREAS, NEGATIVE_INCOME, BAD_AMOUNT, BAD_SIZE = (f"QTE-0{n:02d}" for n in range(8, 13))
NO_TOBACCO_ANSWER, NO_INCOME, SMALL_SIZE, NO_CREDIT_ANSWER = "QTE-016", "QTE-024", "QTE-025", "QTE-029"
IN_PROGRAM = "QTE-032"
_SELF, _SPOUSE, _CHILD, _OTHER, _UNKNOWN = range(len(RELATIONSHIPS))
_MONTHS_HELD = 12  # a small group's rates hold for twelve months from the start of its plan year


@dataclass(frozen=True)
class Homes:
    """The households that can be quoted, in the order of place and household_id; one entry each.

    Attributes
    ----------
    frame : DataFrame
        household_id, area (R-XX999), county_fips, zip_code, how, plan_id (asked for; null: all), group_id (of the
        employer; null: none), rank (place among sorted household ids).
    rows, source : HomeRows, array of int
        Where they come from: the rows read, and the place of each household among those.
    income : array of int
        Cents a year, 0 where negative; `has_income` says where one is given.
    proxy : array of int
        Cents a month: the benchmark that the exchange determined where no silver plan is offered; `has_proxy` likewise.
    size, region : array of int
        Persons of the tax household; position of the poverty region.
    quarter : array of int
        0 to 3: in which the policy takes effect.
    is_tribal, has_status_exception, is_exempt : array of bool
        All are members of federally recognized tribes; Medicaid refuses them for their status; an exemption opens
        catastrophic plans.
    is_young : array of bool
        All covered members are below the age of catastrophic plans at the start of the plan year.
    covered : Covered
        Members who seek coverage, in the order of households; their policy is the household's place here.
    member_ids : Series
        Their ids.
    uses_tobacco, is_eligible : array of bool
        Whether they use tobacco (and do not avoid the load by a cessation program), and can have the credit.
    """

    frame: pl.DataFrame
    rows: HomeRows
    source: Integers
    income: Integers
    has_income: Flags
    proxy: Integers
    has_proxy: Flags
    size: Integers
    region: Integers
    quarter: Integers
    is_tribal: Flags
    has_status_exception: Flags
    is_exempt: Flags
    is_young: Flags
    covered: Covered
    member_ids: pl.Series
    uses_tobacco: Flags
    is_eligible: Flags


def read_households(
    households: Any,
    areas: Any | None,
    plan_year: int,
    settings: QuoteSettings,
    findings: Findings,
    figures: Figures,
) -> Homes:
    """Return the households that can be quoted; the others are counted and kept among the refused rows.

    A household is quoted whole or not at all: where a row breaks a rule, the other rows of its household are set aside
    with it.

    Raises
    ------
    InputRefused
        A column is missing or of another type.
    TableMissing
        No map of rating areas holds for the plan year, and none is named or handed in.
    """
    frame = collected(households, TABLE, COLUMNS)
    _need_a_place(frame, areas)
    rows = HomeRows(frame, TABLE, findings, unkeyed=NO_KEY)
    on, effective = _effective_days(rows, plan_year, settings)
    births, ages = _ages(rows, on)
    relationship = rows.word("relationship", RELATIONSHIPS, "unknown", BAD_RELATION)
    seeks = rows.flag("seeks_coverage", True)
    for single in (_SELF, _SPOUSE):
        rows.broken(BAD_RELATION, (relationship == single) & (rows.per_home(relationship == single) > 1)[rows.home])
    places = _places(rows, areas, plan_year, settings, figures)
    income, has_income = _incomes(rows)
    proxy, has_proxy = _dollars(rows, "proxy_benchmark_monthly", LARGEST_MONTHLY)
    rows.broken_home(BAD_AMOUNT, proxy < 0)
    size = rows.whole_of_home("tax_household_size", LARGEST_SIZE, BAD_SIZE, needed=has_income)
    region = regions_of_states(places["area"].str.slice(2, 2))
    rows.broken_home(UNKNOWN_PLACE, (region.is_null() & (places["how"] == PLACED)).to_numpy())
    rows.broken_home(NOBODY, rows.per_home(seeks) == 0)
    kept, at = rows.keep(OTHER_ROW, seeks)
    homes = _in_order(places.with_row_index("_home"), kept)
    order = homes["_home"].to_numpy().astype(np.int64)
    where = np.full(rows.homes, -1, np.int64)
    where[order] = np.arange(len(order))
    at = at[np.argsort(where[rows.home[at]], kind="stable")]
    policy = where[rows.home[at]]
    eligible = rows.flag("credit_eligible", True)
    # In a small group joining a program to stop saves the load.
    in_program = rows.flag("in_cessation_program", False) & (settings.market == "small_group")
    limit = np.full(len(at), _day(plan_year, 1, 1))
    young = completed_years(births[at], limit) < settings.catastrophic_below_age
    old = np.bincount(policy[~young], minlength=len(order))
    result = Homes(
        homes.drop("_home"),
        rows,
        order,
        income[order],
        has_income[order],
        proxy[order],
        has_proxy[order],
        size[order],
        region.fill_null(0).to_numpy()[order],
        ((effective[order].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12) // 3),
        rows.flag_of_home("is_tribal")[order],
        rows.flag_of_home("has_status_exception")[order],
        rows.flag_of_home("catastrophic_exempt")[order],
        old == 0,
        Covered(policy, ages[at], births[at], np.arange(len(at)), relationship[at]),
        rows.frame["member_id"].gather(at),
        (rows.flag("tobacco_use", False) & ~in_program)[at],
        eligible[at],
    )
    _note(rows, result, at, findings, has_credits=settings.market == "individual")
    findings.note(IN_PROGRAM, TABLE, int(np.count_nonzero((rows.flag("tobacco_use", False) & in_program)[at])))
    return result


def _need_a_place(frame: pl.DataFrame, areas: Any | None) -> None:
    columns = ("rating_area_id", "county_fips", "zip_code")
    if areas is None and not any(c in frame.columns for c in columns):
        raise InputRefused(
            "households have no place",
            where="households, columns state, county_fips, zip_code",
            rule="FILE-002: a quote is for the policyholder's residence (45 CFR 147.102(b))",
            remedy="add state and county_fips (and zip_code where areas go by ZIP), or rating_area_id",
        )


def _day(year: int, month: int, day: int) -> int:
    return int(np.datetime64(f"{year:04d}-{month:02d}-{day:02d}", "D").astype(np.int64))


def _effective_days(rows: HomeRows, year: int, settings: QuoteSettings) -> tuple[Integers, Integers]:
    """Return the day on which each member's age is taken, and the day on which each policy takes effect.

    A blank is the policy's day; without any the first day of the plan year counts only where the column is missing.
    """
    first, after = _day(year, 1, 1), _day(year + 1, 1, 1)
    if "effective_date" not in rows.frame.columns:
        return np.full(rows.height, first), np.full(rows.homes, first)
    days, is_given = rows.days("effective_date", BAD_DATE)
    effective = np.minimum.reduceat(np.where(is_given, days, after), rows.starts) if rows.homes else days[:0]
    on = np.where(is_given, days, effective[rows.home])
    rows.broken_home(BAD_DATE, (effective < first) | (effective >= after))
    last = np.full(rows.homes, after)
    if settings.market == "small_group":
        months = effective.astype("datetime64[D]").astype("datetime64[M]")
        within = effective - months.astype("datetime64[D]").astype(np.int64)
        last = (months + _MONTHS_HELD).astype("datetime64[D]").astype(np.int64) + within
    rows.broken(BAD_DATE, on >= last[rows.home])
    return on, effective


def _ages(rows: HomeRows, on: Integers) -> tuple[Integers, Integers]:
    """Return birth days, and ages in completed years on the effective date."""
    births, is_given = rows.days("birth_date", BAD_AGE)
    births = np.where(is_given, births, on)
    ages = completed_years(births, on)
    rows.broken(BAD_AGE, ~is_given | (ages < 0) | (ages > OLDEST))
    return births, np.clip(ages, 0, OLDEST)


def _dollars(rows: HomeRows, column: str, largest: int) -> tuple[Integers, Flags]:
    """Return amounts by household in cents (0 where none), and where one is given; no amount of dollars is broken."""
    import polars as pl

    if column not in rows.frame.columns:
        return np.zeros(rows.homes, np.int64), np.zeros(rows.homes, bool)
    found = read_money(rows.frame, TABLE, column, largest=largest)
    rows.broken(BAD_AMOUNT, found.is_unreadable)
    cents = pl.Series(column, found.cents).set(~pl.Series(found.is_given), None)
    of_home = rows.of_home(cents, CONFLICT)
    return of_home.fill_null(0).to_numpy(), of_home.is_not_null().to_numpy()


def _incomes(rows: HomeRows) -> tuple[Integers, Flags]:
    """Return incomes by household (cents, negative ones counted and taken as zero), and where one is given."""
    income, is_given = _dollars(rows, "annual_income", LARGEST_ANNUAL)
    rows.note_homes(NEGATIVE_INCOME, income < 0)
    return np.maximum(income, 0), is_given


def _places(
    rows: HomeRows, areas: Any | None, plan_year: int, settings: QuoteSettings, figures: Figures
) -> pl.DataFrame:
    """Return household_id, area, county_fips, zip_code, how, plan_id, group_id of each household."""
    import polars as pl

    columns = [rows.text_of_home("household_id", NO_KEY)]
    for name in ("state", "county_fips", "zip_code", "rating_area_id", "plan_id", "group_id"):
        if name not in rows.frame.columns:
            continue
        series = rows.frame[name]
        if name == "rating_area_id" and series.dtype.is_integer():
            series = series.cast(pl.String)
        columns.append(rows.of_home(_stripped(rows.frame.with_columns(series), name), CONFLICT))
    homes = pl.DataFrame(columns)
    if "state" in homes.columns:
        homes = homes.with_columns(pl.col("state").str.to_uppercase())
    found = _areas_of(homes, areas, plan_year, settings, figures)
    rows.broken_home(UNKNOWN_PLACE, ((found["how"] != PLACED) & (found["how"] != AMBIGUOUS)).to_numpy())
    rows.broken_home(SEVERAL_AREAS, (found["how"] == AMBIGUOUS).to_numpy())
    rows.show("possible_areas", found["possible_areas"].list.join(", "))
    empty = pl.lit(None, dtype=pl.String)
    return homes.select(
        "household_id",
        found["area"],
        *(pl.col(c).fill_null("") if c in homes.columns else pl.lit("").alias(c) for c in ("county_fips", "zip_code")),
        found["how"],
        *(pl.col(c) if c in homes.columns else empty.alias(c) for c in ("plan_id", "group_id")),
    )


def _stripped(frame: pl.DataFrame, name: str) -> pl.Series:
    """Return a column of text without blanks around it; an empty text is no text."""
    import polars as pl

    text = _frames.text_column(frame, TABLE, name).str.strip_chars()
    return text.to_frame(name).select(pl.when(pl.col(name) != "").then(pl.col(name))).to_series()


def _areas_of(
    homes: pl.DataFrame, areas: Any | None, plan_year: int, settings: QuoteSettings, figures: Figures
) -> pl.DataFrame:
    """Return area, possible_areas, how; by the area given, the map handed in, or the published map."""
    import polars as pl

    given = homes["rating_area_id"] if "rating_area_id" in homes.columns else pl.Series([None] * homes.height)
    if areas is not None or given.null_count() == 0:
        return rating_areas_of(homes, areas)
    asked = homes.select(c for c in PLACE_COLUMNS if c in homes.columns)
    if "state" not in asked.columns:
        asked = asked.with_columns(pl.lit(None, dtype=pl.String).alias("state"))
    # Few places, many households: each place is looked up once.
    known = asked.unique(maintain_order=True)
    found = rating_area(known, plan_year=plan_year, area_map=settings.area_map)
    found = asked.join(found, on=asked.columns, how="left", nulls_equal=True, maintain_order="left", validate="m:1")
    by_map = found.select(
        area="rating_area_id",
        possible_areas=pl.when(pl.col("possible_rating_areas").list.len() > 1).then("possible_rating_areas"),
        how=pl.when(pl.col("rating_area_id").is_not_null())
        .then(PLACED)
        .when(pl.col("reason") == "ambiguous")
        .then(AMBIGUOUS)
        .otherwise(UNKNOWN)
        .cast(pl.Int64),
    )
    uses_map = given.is_null()
    figures.rows("rating/rating_area_map")  # noted as used
    if found["is_uncertain"].any():
        what = f"map of {found['area_map_year'][0]} for {plan_year}"
        figures.put_down("rating/rating_area_map", what, "rating_area_id", int(uses_map.sum()))
    if uses_map.all():
        return by_map
    own = rating_areas_of(homes, None)
    return own.select(
        pl.when(uses_map).then(by_map[c]).otherwise(own[c]).alias(c) for c in ("area", "possible_areas", "how")
    )


def _in_order(places: pl.DataFrame, kept: Flags) -> pl.DataFrame:
    """Return the households kept, by place and id; rank is the place among sorted ids."""
    import polars as pl

    homes = places.filter(pl.Series(kept))
    homes = homes.with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("rank"))
    return homes.sort("area", "county_fips", "zip_code", "rank")


def _note(rows: HomeRows, homes: Homes, at: Integers, findings: Findings, *, has_credits: bool) -> None:
    """Count what was noticed on rows that are used."""

    def blanks(column: str) -> int:
        if column not in rows.frame.columns:
            return 0
        return int(np.count_nonzero(rows.frame[column].is_null().to_numpy()[at]))

    findings.note(NO_TOBACCO_ANSWER, TABLE, blanks("tobacco_use"))
    if not has_credits:
        return
    findings.note(NO_CREDIT_ANSWER, TABLE, blanks("credit_eligible"))
    findings.note(NO_INCOME, TABLE, int((~homes.has_income).sum()))
    persons = np.bincount(homes.covered.policy[homes.is_eligible], minlength=len(homes.income))
    findings.note(SMALL_SIZE, TABLE, int((homes.has_income & (persons > homes.size)).sum()))
