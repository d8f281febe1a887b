"""What the page of a quote draws: the household, its plans, premiums by age, net premiums by income; all quoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import InputRefused
from poolwise.report._quote_home import Home, born
from poolwise.report._quote_incomes import Incomes, Jump, Zone
from rating._assistance import METAL_LEVELS
from rating._quote import Prepared

if TYPE_CHECKING:
    from rating import Quotes, QuoteSettings, Shopping

__all__ = ["BENCHMARK", "CHEAPEST", "OF_METAL", "WITH_CREDIT", "QuoteCurves", "ShownPlan", "quote_curves"]

CHEAPEST, WITH_CREDIT, BENCHMARK = "cheapest", "cheapest with credit", "benchmark"
OF_METAL = "cheapest of its metal"
_NEVER_WITH_CREDIT = ("catastrophic", "off_exchange")  # notes of a quote
_MOST_PLANS = 4  # more lines cannot be told apart
_AGES = range(65)  # the last one stands for everybody older
_TOBACCO = {False: "without", True: "with"}
_PEOPLE = {
    "one adult": ("self",),
    "two adults": ("self", "spouse"),
    "one adult with children": ("self", "child"),
    "two adults with children": ("self", "spouse", "child"),
    "children only": ("child",),
}
_AGE_OF = {"self": 40, "spouse": 40, "child": 10}  # in a state of family tiers any adult and any child


@dataclass(frozen=True)
class ShownPlan:
    """A plan that is drawn, and why.

    `CHEAPEST`, `WITH_CREDIT` (the cheapest of those that a credit can be used for), `BENCHMARK`, several of these, or
    else `OF_METAL` (the cheapest of its metal level).
    """

    plan_id: str
    metal_level: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class QuoteCurves:
    """The household of a page, and the lines drawn for it.

    Attributes
    ----------
    plans : list of ShownPlan
        Cheapest plans and benchmark first, then the cheapest of other metal levels.
    members : DataFrame
        member_id, age (completed years), tobacco_use, credit_eligible; the covered ones, oldest first.
    members_in_all : int
        Of the household, covered or not.
    effective_date : date
        From which the policy holds.
    income : Decimal or None
        Dollars a year, as given.
    tax_household_size : int
        As given, or the number of members; `is_size_given` tells.
    poverty_line : Decimal or None
        Dollars a year; None where none is published for the year.
    ages : DataFrame
        plan_id, age (0 to 64), rate_monthly, tobacco_rate_monthly (null where it is the same); no rows in states of
        family tiers.
    tiers : DataFrame
        plan_id, tier, premium_monthly; no rows elsewhere.
    incomes : DataFrame
        plan_id, annual_income (whole dollars), income_pct_of_poverty, net_premium_monthly, notes, segment (a number for
        each stretch without a jump); of the plans `WITH_CREDIT` and `BENCHMARK`. No rows where no credit is worked out.
    jumps : list of Jump
        Changes of more than 10 dollars a month between two incomes one dollar apart, and every end at a limit.
    zones : list of Zone
        Incomes at which adults have Medicaid, and those below the limit of the credit.
    outcome : str or None
        What `rating.medicaid_outcome` says of the household's own income.
    is_medicaid_known : bool
        Whether the limit of adults' Medicaid is held for the state and the year.
    uncertain : DataFrame
        table, what, moved: uncertain figures that took part in the lines.
    tables : list of str
        Tables of published figures that were used.
    """

    plans: list[ShownPlan]
    members: pl.DataFrame
    members_in_all: int
    effective_date: date
    income: Decimal | None
    tax_household_size: int
    is_size_given: bool
    poverty_line: Decimal | None
    ages: pl.DataFrame
    tiers: pl.DataFrame
    incomes: pl.DataFrame
    jumps: list[Jump]
    zones: list[Zone]
    outcome: str | None
    is_medicaid_known: bool
    uncertain: pl.DataFrame
    tables: list[str]


def quote_curves(
    households: pl.DataFrame | pl.LazyFrame,
    shopping: Shopping,
    *,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    base_rates: pl.DataFrame | pl.LazyFrame | None = None,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | QuoteSettings | None = None,
) -> QuoteCurves:
    """Return what the page of one household draws; every point is a quote of `rating`.

    Parameters
    ----------
    households, rates, base_rates, plans, areas, service_areas, settings
        What `shopping` came of. Other households in the frame take no part.
    shopping : Shopping
        Of one household (its offers hold one household_id).

    Raises
    ------
    InputRefused
        `shopping` offers plans to no household or to several.
    """
    ids = shopping.offers["household_id"].unique()
    if len(ids) != 1:
        raise InputRefused(
            f"the page of a quote shows one household, not {len(ids)}",
            where="shopping.offers, column household_id",
            rule="lines by age and income are drawn for one household",
            remedy="draw one page for each, or the page of many households (quotes_page)",
        )
    home = Home.of(households, ids[0], shopping)
    prepared = Prepared.of(
        rates,
        base_rates,
        plans,
        plan_year=shopping.plan_year,
        areas=areas,
        service_areas=service_areas,
        settings=settings,
    )
    shown = _shown_plans(shopping.offers)
    quoted = prepared.quoted(home.frame, with_members=True)
    assert quoted.members is not None
    members = quoted.members.select("member_id", "age").unique().join(home.answers(), on="member_id", how="left")
    members = members.sort("age", "member_id", descending=[True, False])
    is_tiered = bool(quoted.members["rate_monthly"].is_null().all())
    chosen = [p.plan_id for p in shown]
    by_age = None if is_tiered else prepared.quoted(_people_by_age(home), with_members=True)
    by_tier = prepared.quoted(_people_by_tier(home), with_members=False) if is_tiered else None
    incomes = Incomes.of(home, prepared, [p.plan_id for p in shown if WITH_CREDIT in p.roles or BENCHMARK in p.roles])
    parts = [q for q in (by_age, by_tier, incomes.quotes) if q is not None]
    return QuoteCurves(
        plans=shown,
        members=members,
        members_in_all=home.frame.height,
        effective_date=home.effective_date,
        income=home.income,
        tax_household_size=home.size,
        is_size_given=home.is_size_given,
        poverty_line=incomes.poverty_line,
        ages=_ages(by_age, chosen),
        tiers=_tiers(by_tier, chosen),
        incomes=incomes.frame,
        jumps=incomes.jumps,
        zones=incomes.zones,
        outcome=incomes.outcome,
        is_medicaid_known=incomes.is_medicaid_known,
        uncertain=_together([*(p.uncertain for p in parts), *incomes.uncertain]),
        tables=sorted({table for part in parts for table in part.tables} | set(incomes.tables)),
    )


def _together(uncertain: list[pl.DataFrame]) -> pl.DataFrame:
    keys = ["table", "what", "moved"]
    parts = [pl.DataFrame(schema=dict.fromkeys(keys, pl.String)), *(frame.select(keys) for frame in uncertain)]
    return pl.concat(parts).unique().sort(keys)


# ------------------------------------------------------------------------------------------------ the plans drawn


def _shown_plans(offers: pl.DataFrame) -> list[ShownPlan]:
    """Return the cheapest plan, the cheapest that a credit can be used for, the benchmark, and one of other levels."""
    metals = dict(offers.select("plan_id", "metal_level").rows())
    roles: dict[str, list[str]] = {offers["plan_id"][0]: [CHEAPEST]}
    with_credit = offers.filter(~pl.col("notes").is_in(_NEVER_WITH_CREDIT))["plan_id"]
    if len(with_credit):
        roles.setdefault(with_credit[0], []).append(WITH_CREDIT)
    benchmark = offers["benchmark_plan_id"][0]
    if benchmark is not None:
        roles.setdefault(benchmark, []).append(BENCHMARK)
    metals.setdefault(benchmark, "silver")  # a household that asks for one plan is offered that one only
    taken = {metals[plan_id] for plan_id in roles}
    for level in METAL_LEVELS:
        of_level = offers.filter(pl.col("metal_level") == level)
        if level not in taken and of_level.height and len(roles) < _MOST_PLANS:
            roles[of_level["plan_id"][0]] = [OF_METAL]
    return [ShownPlan(plan_id, metals[plan_id], tuple(found)) for plan_id, found in roles.items()]


# ------------------------------------------------------------------------------------------------ by age


def _people_by_age(home: Home) -> pl.DataFrame:
    """Return single people of every age, with and without tobacco."""
    rows = [
        {
            "household_id": f"{age:02d} {_TOBACCO[uses]}",
            "member_id": "1",
            "birth_date": born(age, home.effective_date),
            "tobacco_use": uses,
            "effective_date": home.effective_date,
            "catastrophic_exempt": True,  # so that a catastrophic plan has a rate at every age
        }
        for age in _AGES
        for uses in _TOBACCO
    ]
    return home.copies(pl.DataFrame(rows))


def _ages(quotes: Quotes | None, chosen: list[str]) -> pl.DataFrame:
    if quotes is None:
        money = pl.Decimal(18, 2)
        schema: dict[str, Any] = {
            "plan_id": pl.String,
            "age": pl.Int64,
            "rate_monthly": money,
            "tobacco_rate_monthly": money,
        }
        return pl.DataFrame(schema=schema)
    assert quotes.members is not None
    rates = quotes.members.filter(pl.col("plan_id").is_in(chosen)).select(
        "plan_id",
        pl.col("age").cast(pl.Int64),
        pl.col("household_id").str.ends_with(_TOBACCO[True]).alias("uses_tobacco"),
        "rate_monthly",
    )
    plain, loaded = (rates.filter(pl.col("uses_tobacco") == uses).drop("uses_tobacco") for uses in (False, True))
    loaded = loaded.rename({"rate_monthly": "tobacco_rate_monthly"})
    both = plain.join(loaded, on=["plan_id", "age"], how="left", validate="1:1", maintain_order="left")
    # A plan is split where some rate differs; below the legal age and without a split there is one rate.
    is_split = (pl.col("tobacco_rate_monthly") != pl.col("rate_monthly")).any().over("plan_id")
    return both.with_columns(pl.when(is_split).then("tobacco_rate_monthly").alias("tobacco_rate_monthly")).sort(
        "plan_id", "age"
    )


def _people_by_tier(home: Home) -> pl.DataFrame:
    """Return families of every tier."""
    rows = [
        {
            "household_id": tier,
            "member_id": str(number),
            "relationship": who,
            "birth_date": born(_AGE_OF[who], home.effective_date),
            "effective_date": home.effective_date,
            "catastrophic_exempt": True,
        }
        for tier, people in _PEOPLE.items()
        for number, who in enumerate(people)
    ]
    return home.copies(pl.DataFrame(rows))


def _tiers(quotes: Quotes | None, chosen: list[str]) -> pl.DataFrame:
    money = pl.Decimal(18, 2)
    if quotes is None:
        return pl.DataFrame(schema={"plan_id": pl.String, "tier": pl.String, "premium_monthly": money})
    found = quotes.households.filter(pl.col("plan_id").is_in(chosen))
    order = {tier: number for number, tier in enumerate(_PEOPLE)}
    return (
        found.select("plan_id", pl.col("household_id").alias("tier"), "premium_monthly")
        .with_columns(pl.col("tier").replace_strict(order, return_dtype=pl.Int64).alias("order"))
        .sort("plan_id", "order")
        .drop("order")
    )
