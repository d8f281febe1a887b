"""Quotes as frames: arrays of households by plan become named columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._policy import FamilyCharges, family_charges
from rating._assistance import METAL_LEVELS
from rating._exact_columns import cents_series
from rating._quote_credit import NO_VARIANT, NOTES
from rating._silver_rates import AGES

if TYPE_CHECKING:
    import polars as pl

    from rating._quote_work import Work

__all__ = ["MemberPlaces", "household_frame", "member_frame", "member_places", "policy_tiers", "words"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def _in_rank_order(work: Work) -> Integers:
    """Return the households in the order of their ids."""
    return np.argsort(work.homes.frame["rank"].to_numpy(), kind="stable")


def _money(name: str, cents: Integers, is_given: Flags | None = None) -> pl.Series:
    import polars as pl

    if is_given is None or is_given.all():
        return cents_series(cents, name)
    series = cents_series(np.where(is_given, cents, 0), name)
    return series.to_frame().select(pl.when(pl.Series(is_given)).then(pl.col(name)).alias(name)).to_series()


def words(name: str, words: list[str] | tuple[str, ...], codes: NDArray) -> pl.Series:
    """Return words by code; a negative code is blank."""
    import polars as pl

    places = pl.Series(codes)
    if len(codes) and codes.min() < 0:
        places = places.to_frame("c").select(pl.when(pl.col("c") >= 0).then("c")).to_series()
    return pl.Series(name, list(words), dtype=pl.String).gather(places)


def household_frame(work: Work) -> pl.DataFrame:
    """Return the quotes, sorted by household_id and plan_id."""
    import polars as pl

    sale, homes, by_credit = work.sale, work.homes, work.by_credit
    ordered = _in_rank_order(work)
    home = np.repeat(ordered, work.count[ordered])
    all_kept = bool(work.keep.all())

    def kept(values: NDArray) -> NDArray:
        return values if all_kept else values[work.keep]

    home, offer = kept(home), kept(work.offer)
    premium, credit = kept(work.premium), kept(work.credit)
    is_known = credit >= 0
    classes = work.class_of_offer[offer]
    variant = by_credit.variant[classes, home]
    used = np.bincount(variant[variant >= 0], minlength=by_credit.rules.rows.height)
    if work.settings.market == "individual":
        work.figures.took_part("rating/csr_bands", by_credit.rules.rows, ["basis", "hios_variant"], used, "csr_variant")
    has_percent, has_contribution = by_credit.percent >= 0, by_credit.monthly >= 0
    by_home = [
        homes.frame["household_id"],
        homes.frame["area"].alias("rating_area_id"),
        _money("benchmark_monthly", work.benchmark, work.benchmark >= 0),
        words("benchmark_plan_id", sale.plan_ids.to_list(), work.benchmark_offer),
        pl.Series("income_pct_of_poverty", by_credit.percent).set(~pl.Series(has_percent), None),
        _money("applicable_pct", by_credit.hundredths, has_contribution).cast(pl.Decimal(5, 2)),
        _money("monthly_contribution", 100 * by_credit.monthly, has_contribution),
    ]
    repeated = pl.DataFrame(by_home)[home]
    frame = repeated.with_columns(
        sale.plan_ids.gather(offer).alias("plan_id"),
        words("metal_level", METAL_LEVELS, sale.metal[offer]),
        _money("premium_monthly", premium),
        _money("monthly_credit", credit, is_known),
        _money("net_premium_monthly", premium - np.maximum(credit, 0), is_known),
        words("csr_variant", by_credit.rules.rows["hios_variant"].to_list(), variant),
        words("notes", NOTES, kept(work.note_codes)),
    )
    return frame.select(
        "household_id",
        "plan_id",
        "metal_level",
        "rating_area_id",
        "premium_monthly",
        "benchmark_monthly",
        "benchmark_plan_id",
        "income_pct_of_poverty",
        "applicable_pct",
        "monthly_contribution",
        "monthly_credit",
        "net_premium_monthly",
        "csr_variant",
        "notes",
    )


assert NO_VARIANT < 0


@dataclass(frozen=True, slots=True)
class MemberPlaces:
    """Members by plan, in the order of household_id, member_id and plan_id; one entry each.

    Attributes
    ----------
    member, place : array of int
        Member; household x plan.
    charged, by_tier : array of bool
        Whether the member is charged, and whether a family tier prices the policy.
    """

    member: Integers
    place: Integers
    charged: Flags
    by_tier: Flags


def member_places(work: Work) -> MemberPlaces:
    """Return who is charged under which plan, for the plans that are quoted."""
    covered = work.homes.covered
    rank = work.homes.frame["rank"].to_numpy()
    members = np.argsort(rank[covered.policy], kind="stable")
    plans = work.count[covered.policy[members]]
    member = np.repeat(members, plans)
    nth = np.arange(len(member)) - np.repeat(np.cumsum(plans) - plans, plans)
    place = work.offset[covered.policy[member]] + nth
    is_kept = work.keep[place]
    member, place = member[is_kept], place[is_kept]
    child_rules = sorted(work.group.charged)
    charged_by_rule = np.stack([work.group.charged[most] for most in child_rules]) if child_rules else np.zeros((1, 0))
    of_rule = np.searchsorted(child_rules, work.sale.most_children[work.offer[place]])
    charged = charged_by_rule[of_rule, member].astype(bool)
    by_tier, tier_charged = _tier_members(work)
    charged = np.where(by_tier[member], tier_charged[member], charged)
    return MemberPlaces(member, place, charged, by_tier[member])


def member_frame(work: Work) -> pl.DataFrame:
    """Return members by plan, sorted by household_id, member_id and plan_id."""
    import polars as pl

    sale, homes, covered = work.sale, work.homes, work.homes.covered
    found = member_places(work)
    member, offer = found.member, work.offer[found.place]
    cents = np.where(found.charged & ~found.by_tier, sale.cents[offer, work.codes[member]], 0)
    by_member = pl.DataFrame(
        [
            homes.frame["household_id"].gather(covered.policy),
            homes.member_ids.alias("member_id"),
            pl.Series("age", covered.ages),
        ]
    )
    loaded = (work.codes // AGES) % 2 == 1
    frame: pl.DataFrame = (
        by_member[member]
        .with_columns(
            sale.plan_ids.gather(offer).alias("plan_id"),
            pl.Series("is_charged", found.charged),
            pl.Series("is_tobacco_rated", loaded[member]),
            _money("rate_monthly", cents, ~found.by_tier),
        )
        .select("household_id", "member_id", "plan_id", "age", "is_charged", "is_tobacco_rated", "rate_monthly")
    )
    return frame


def _tier_members(work: Work) -> tuple[Flags, Flags]:
    """Return whose policy a family tier prices, and who of them is charged."""
    number = len(work.homes.covered.policy)
    by_tier, charged = np.zeros(number, bool), np.zeros(number, bool)
    for here, family in _families(work):
        by_tier[here], charged[here] = True, family.charged
    return by_tier, charged


def policy_tiers(work: Work) -> tuple[Integers, Integers]:
    """Return the tier of each household (-1: rated member by member) and its multiplier in millionths."""
    policy = work.homes.covered.policy
    tier, millionths = np.full(work.number, -1, np.int64), np.zeros(work.number, np.int64)
    for here, family in _families(work):
        tier[policy[here]], millionths[policy[here]] = family.tier, family.millionths
    return tier, millionths


def _families(work: Work) -> Iterator[tuple[Integers, FamilyCharges]]:
    """Yield members (by place) of each state with family tiers, and how they are charged."""
    covered = work.homes.covered
    states = work.homes.frame["area"].str.slice(2, 2)
    for state, factors in work.sale.factors.items():
        here = np.flatnonzero((states == state).to_numpy()[covered.policy])
        if factors.tiers is None or len(here) == 0:
            continue
        policy = np.unique(covered.policy[here], return_inverse=True)[1]
        ages, births, ties, relationship = (
            getattr(covered, name)[here] for name in ("ages", "births", "ties", "relationship")
        )
        yield (
            here,
            family_charges(
                policy, relationship, ages, births, ties, tiers=factors.tiers, rules=work.rules, children_counted=1
            ),
        )
