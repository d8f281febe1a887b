"""Composite premiums of small groups: average amounts for adults and for children, fixed for the plan year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating._frame_rows import collected
from rating._households import COLUMNS, TABLE
from rating._money import half_up, money_frame
from rating._outcome import Outcome
from rating._quote import Prepared
from rating._quote_frames import member_places
from rating._quote_prices import member_codes
from rating._quote_settings import QuoteSettings

if TYPE_CHECKING:
    import polars as pl

    from rating._quote_work import Work
    from riskadjust._findings import Findings

__all__ = ["Composites", "composite_premiums"]

Integers = NDArray[np.int64]

NO_GROUP, NOT_WHOLE, SCATTERED, NO_AVERAGE = "QTE-033", "QTE-034", "QTE-036", "QTE-035"
_GROUP = "group_id"
_STATES = "rating/state_market_rules"
_COUNTS = ("adults", "children", "children_charged")


@dataclass(frozen=True)
class Composites(Outcome):
    """The composite premiums of small groups.

    Attributes
    ----------
    groups, households : DataFrame
        See :func:`composite_premiums`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    plan_year : int
        The plan year.
    """

    groups: pl.DataFrame
    households: pl.DataFrame
    plan_year: int


def composite_premiums(
    households: pl.DataFrame | pl.LazyFrame,
    *,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    base_rates: pl.DataFrame | pl.LazyFrame | None = None,
    plan_year: int,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | QuoteSettings | None = None,
) -> Composites:
    """Return the average premiums of small groups for each plan, and what each household of the group is charged.

    The rates of the members enrolled at the start of the plan year, without tobacco, are added up: ``adult = sum of
    those of 21 and more / their number`` and ``child = sum of the charged children's / number of charged children``,
    each to the cent, half up, once. A household pays ``adults x adult + charged children x child + tobacco loads``; the
    averages do not change with the group's membership in the year, and loads stay those of the member.

    Parameters
    ----------
    households : DataFrame
        A row per member as in :func:`rating.quote`, with ``group_id`` (text): the employer. The place is that of the
        employer's principal business address.
    rates, base_rates, plan_year, plans, areas, service_areas, settings
        As in :func:`rating.quote`; the market is ``small_group``.

    Returns
    -------
    Composites
        ``groups``, sorted by group_id and plan_id: adults, children, children_charged (persons), total_by_member
        (without loads), adult_monthly, child_monthly (blank: nobody of that kind), total_by_average, tobacco_loads,
        is_required (whether the state requires average premiums). ``households``, sorted by household_id and plan_id:
        group_id, adults, children_charged, tobacco_load, premium_monthly. Amounts Decimal(18, 2). A group is worked out
        whole or not at all, and for plans that have a rate for all of its members.

    Raises
    ------
    InputRefused, TableMissing
        As in :func:`rating.quote`; no column ``group_id``.
    SettingRefused
        As in :func:`rating.quote`; another market than ``small_group``.

    Notes
    -----
    Source: 45 CFR 147.102(c)(3). That the children's average is one of the children who are charged, so that averages
    add up to the total but for rounding, is general knowledge. States may have a method of their own; those that the
    table of 2016 flags are named among the uncertain figures. In states with family tiers the tier is the premium.

    Examples
    --------
    Two employees of 40 and 50 and a child, at 300 dollars: (383.40 + 535.80) / 2, and 300 x 0.765.

    >>> import polars as pl
    >>> homes = pl.DataFrame({"group_id": ["g"] * 3, "household_id": ["a", "a", "b"], "member_id": ["1", "2", "1"],
    ...     "birth_date": ["1985-06-30", "2015-06-30", "1975-06-30"], "rating_area_id": ["R-TX001"] * 3})
    >>> base = pl.DataFrame({"plan_id": ["p"], "rating_area_id": ["R-TX001"], "base_rate": ["300"]})
    >>> found = composite_premiums(homes, base_rates=base, plan_year=2026)
    >>> [str(amount) for amount in found.groups.select("adult_monthly", "child_monthly").row(0)]
    ['459.60', '229.50']
    >>> [str(amount) for amount in found.households["premium_monthly"]]
    ['689.10', '459.60']
    """
    import polars as pl

    if settings is None or isinstance(settings, Mapping):
        settings = {"market": _MARKET, **(settings or {})}
    chosen = QuoteSettings.of(settings)
    if chosen.market != _MARKET:
        raise SettingRefused(
            f"setting 'market' cannot be {chosen.market!r}",
            rule="average premiums are offered to small groups (45 CFR 147.102(c)(3))",
            remedy="leave the setting out",
        )
    frame = collected(households, TABLE, (*COLUMNS, _GROUP))
    groups = _frames.text_column(frame, TABLE, _GROUP).str.strip_chars()
    frame = frame.with_columns(groups)
    prepared = Prepared.of(
        rates, base_rates, plans, plan_year=plan_year, areas=areas, service_areas=service_areas, settings=chosen
    )
    work, findings = prepared.worked(frame)
    members = _members(work)
    members = _of_whole_groups(members, work, findings)
    averages = _averages(members)
    _put_down(averages, work)
    outcome = prepared.as_quotes(work, findings, with_members=False)
    shown = pl.col("state").replace_strict(_required(), default=None, return_dtype=pl.Boolean).alias("is_required")
    money = ["total_by_member", "adult_monthly", "child_monthly", "total_by_average", "tobacco_loads"]
    columns = ["group_id", "plan_id", *_COUNTS, *money, shown]
    return Composites(
        money_frame(averages, money).select(columns).sort("group_id", "plan_id"),
        _of_households(members, averages),
        outcome.plan_year,
        **outcome.parts(),
    )


_MARKET = "small_group"


def _members(work: Work) -> pl.DataFrame:
    """Return members by plan: ids, state, is_child, is_charged, plain and load (cents; null: a family tier)."""
    import polars as pl

    found, homes = member_places(work), work.homes
    offer = work.offer[found.place]
    home = homes.covered.policy[found.member]
    plain = work.sale.cents[offer, member_codes(homes, work.sale, with_tobacco=False)[0][found.member]]
    loaded = work.sale.cents[offer, work.codes[found.member]]
    is_adult = homes.covered.ages[found.member] >= work.rules.child_below_age
    by_home = homes.frame.select("household_id", "group_id", state=pl.col("area").str.slice(2, 2))
    return by_home[home].with_columns(
        work.sale.plan_ids.gather(offer).alias("plan_id"),
        pl.Series("is_adult", is_adult),
        pl.Series("is_charged", found.charged),
        pl.Series("plain", plain).set(pl.Series(found.by_tier), None),
        pl.Series("load", loaded - plain),
    )


def _of_whole_groups(members: pl.DataFrame, work: Work, findings: Findings) -> pl.DataFrame:
    """Return the members of groups that are whole, under the plans that have a rate for every one of them."""
    import polars as pl

    group = work.homes.frame["group_id"]
    out = findings.refused().get(TABLE)
    broken = pl.Series([], dtype=pl.String) if out is None else out["group_id"].drop_nulls().unique()
    places = work.homes.frame.group_by("group_id").agg(pl.col("area").n_unique())
    scattered = places.filter(pl.col("area") > 1)["group_id"].drop_nulls()
    left = work.kept > 0
    for rule_id, homes in (
        (NO_GROUP, group.is_null()),
        (NOT_WHOLE, group.is_in(broken.implode())),
        (SCATTERED, group.is_in(scattered.implode())),
    ):
        found = left & homes.fill_null(False).to_numpy()
        aside = np.zeros(work.homes.rows.homes, bool)
        aside[work.homes.source[found]] = True
        work.homes.rows.set_aside(rule_id, aside)
        left &= ~found
    keys = ["group_id", "plan_id"]
    whole = pl.DataFrame([group]).filter(pl.Series(left)).group_by("group_id").agg(pl.len().alias("_homes"))
    asked = (
        members.join(whole, on="group_id", how="inner", validate="m:1")
        .group_by(keys)
        .agg(
            pl.col("_homes").first(),
            pl.col("household_id").n_unique().alias("_priced"),
            pl.col("plain").is_not_null().all().alias("_rated"),
        )
    )
    fits = asked.filter((pl.col("_priced") == pl.col("_homes")) & pl.col("_rated")).select(keys)
    findings.note(NO_AVERAGE, _CELLS, asked.height - fits.height)
    return members.join(fits, on=keys, how="semi", maintain_order="left")


_CELLS = "groups x plans"


def _averages(members: pl.DataFrame) -> pl.DataFrame:
    """Return counts, totals and averages (cents) of each group and plan."""
    import polars as pl

    adult, charged = pl.col("is_adult"), pl.col("is_charged")
    totals = members.group_by("group_id", "plan_id").agg(
        pl.col("state").first(),
        adult.sum().cast(pl.Int64).alias("adults"),
        (~adult).sum().cast(pl.Int64).alias("children"),
        (~adult & charged).sum().cast(pl.Int64).alias("children_charged"),
        pl.col("plain").filter(adult).sum().alias("_adult"),
        pl.col("plain").filter(~adult & charged).sum().alias("_child"),
        pl.col("load").filter(charged).sum().alias("tobacco_loads"),
    )

    def average(total: str, count: str) -> pl.Series:
        number = totals[count].to_numpy()
        cents = half_up(totals[total].to_numpy(), np.maximum(number, 1))
        return pl.Series(cents).set(pl.Series(number == 0), None)

    totals = totals.with_columns(
        average("_adult", "adults").alias("adult_monthly"),
        average("_child", "children_charged").alias("child_monthly"),
        (pl.col("_adult") + pl.col("_child")).alias("total_by_member"),
    )
    return totals.with_columns(_at_average("adults", "children_charged").alias("total_by_average"))


def _at_average(adults: str, children: str) -> pl.Expr:
    """Return what so many adults and charged children are charged at the averages."""
    import polars as pl

    adult, child = (pl.col(name).fill_null(0) for name in ("adult_monthly", "child_monthly"))
    return pl.col(adults) * adult + pl.col(children) * child


def _of_households(members: pl.DataFrame, averages: pl.DataFrame) -> pl.DataFrame:
    """Return what each household is charged under each plan."""
    import polars as pl

    adult, charged = pl.col("is_adult"), pl.col("is_charged")
    lines = members.group_by("household_id", "group_id", "plan_id").agg(
        adult.sum().cast(pl.Int64).alias("adults"),
        (~adult & charged).sum().cast(pl.Int64).alias("children_charged"),
        pl.col("load").filter(charged).sum().alias("tobacco_load"),
    )
    prices = averages.select("group_id", "plan_id", "adult_monthly", "child_monthly")
    lines = lines.join(prices, on=["group_id", "plan_id"], validate="m:1")
    premium = _at_average("adults", "children_charged") + pl.col("tobacco_load")
    lines = money_frame(lines.with_columns(premium.alias("premium_monthly")), ["tobacco_load", "premium_monthly"])
    columns = ("household_id", "plan_id", "group_id", "adults", "children_charged", "tobacco_load", "premium_monthly")
    return lines.select(columns).sort("household_id", "plan_id")


def _state_rules() -> pl.DataFrame:
    from data_specs import _registry

    rows = _registry.rows(_STATES)
    return rows.filter(rows["market"] == _MARKET)


def _required() -> dict[str, bool | None]:
    """Return whether each state requires average premiums, as the table was read."""
    return dict(_state_rules().select("state", "requires_average_enrollee_premium").rows())


def _put_down(averages: pl.DataFrame, work: Work) -> None:
    """Put down the states whose method may be their own, or was read in another year than the plan year."""
    rules = _state_rules()
    for state, groups in averages.group_by("state").len().sort("state").rows():
        row = rules.filter(rules["state"] == state).to_dicts()[0]
        if row["as_of_year"] == work.plan_year and not row["state_composite_method_flag"]:
            continue
        said = ", flagged: the state may have its own method" if row["state_composite_method_flag"] else ""
        work.figures.put_down(_STATES, f"method of {state} as of {row['as_of_year']}{said}", "premium_monthly", groups)
