"""What is on sale in a made-up market: issuers, plans, base rates and rating areas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_specs import _synthetic_plan_assumptions as assumed
from data_specs._policy import AgeCurve
from data_specs._registry import table
from data_specs._synthetic_draws import Draws, Integers
from data_specs._units import half_up_div

__all__ = ["Choices", "Offers", "draw_choices", "price_level"]


@dataclass(frozen=True, slots=True)
class Offers:
    """The plans of one market, one entry each in order of plan id, and the areas where issuers sell them."""

    market: assumed.Market
    plan_ids: tuple[str, ...]
    issuer: Integers  # position in assumed.ISSUERS
    metal: Integers  # position in assumed.METALS
    base: Integers  # base rate, cents a month at factor 1.000
    areas: tuple[str, ...]  # rating area ids
    area_factors: Integers  # thousandths, a row per issuer and a column per area; 0 where it does not sell

    @classmethod
    def of(cls, state: str, market: assumed.Market, curve: AgeCurve, year: int) -> Offers:
        """Return the offers of a state and year.

        Examples
        --------
        >>> from data_specs._policy import age_curve
        >>> offers = Offers.of("OH", assumed.MARKETS["individual"], age_curve("OH", "individual", 2025), 2025)
        >>> len(offers.plan_ids), offers.plan_ids[0], offers.areas[0]
        (40, '00101OH0010001', 'R-OH001')
        """
        names, issuers, metals, bases = [], [], [], []
        for place, issuer in enumerate(assumed.ISSUERS):
            number = 0
            for metal in range(len(assumed.METALS)):
                if not any(weights[metal] for weights in market.metal_weights):
                    continue
                for nth in range(issuer.plans[metal]):
                    number += 1
                    names.append(f"{issuer.issuer_id}{state}{market.plan_block:03d}{number:04d}")
                    issuers.append(place)
                    metals.append(metal)
                    bases.append(_base_rate(issuer, metal, nth, curve, year))
        areas = min(_area_count(state, year), len(assumed.AREA_WEIGHTS))
        factors = np.array([(*issuer.areas, *[0] * areas)[:areas] for issuer in assumed.ISSUERS])
        return cls(
            market,
            tuple(names),
            np.array(issuers),
            np.array(metals),
            np.array(bases),
            tuple(f"R-{state}{area:03d}" for area in range(1, areas + 1)),
            factors,
        )


def price_level(year: int) -> int:
    """Return the prices of a year, in thousandths of those of the price year."""
    return max(1000 + assumed.YEARLY_RISE * (year - assumed.PRICE_YEAR), 100)


def _base_rate(issuer: assumed.Issuer, metal: int, nth: int, curve: AgeCurve, year: int) -> int:
    """Return a base rate in cents such that adults pay the assumed price on average over their ages."""
    adults = curve.at(np.arange(*assumed.PRICE_AGES))
    thousandths = issuer.price * assumed.PLAN_PRICES[nth] * price_level(year)
    cents = 100 * assumed.METAL_PRICES[metal] * len(adults)
    return half_up_div(cents * thousandths, 1000 * int(adults.sum()))


def _area_count(state: str, year: int) -> int:
    """Return how many rating areas a state has: by the last snapshot up to the year, or else the first one."""
    counts = table("rating/rating_area_counts", state=state).sort("snapshot_year")
    held = counts.filter(pl.col("snapshot_year") <= year)
    return int(held["areas"][-1] if held.height else counts["areas"][0])


@dataclass(frozen=True, slots=True)
class Choices:
    """The plans that policies take, as arrays with an entry per policy."""

    area: Integers  # position in Offers.areas
    first: Integers  # position in Offers.plan_ids
    second: Integers  # the plan of the same issuer that takes its place, if there is a change
    area_factor: Integers  # thousandths


def draw_choices(draws: Draws, offers: Offers, age: Integers, proneness: Integers, all_young: Integers) -> Choices:
    """Return the area, issuer and plans of every policy.

    Parameters
    ----------
    draws : Draws
    offers : Offers
    age, proneness : array
        The subscriber's age in years and level of proneness to illness: issuers differ in whom they attract.
    all_young : array
        1 where a policy may take catastrophic coverage, else 0.
    """
    policies = len(age)
    area = draws.stream("areas").pick(assumed.AREA_WEIGHTS[: len(offers.areas)], policies)
    by_age = np.searchsorted(assumed.CHOICE_AGES, age, side="right")
    weights = _issuer_weights(offers)
    _, ages, levels, issuers = weights.shape
    rows = (area * ages + by_age) * levels + proneness
    issuer = draws.stream("issuers").pick_by(rows, weights.reshape(-1, issuers))
    plans = [_draw_plans(draws, f"plans/{turn}", offers, issuer, all_young) for turn in ("first", "second")]
    return Choices(area, plans[0], plans[1], offers.area_factors[issuer, area])


def _issuer_weights(offers: Offers) -> Integers:
    """Return the weights of the issuers by area, age group and proneness."""
    sells = (offers.area_factors > 0).T[:, None, None, :]
    share = np.array([issuer.share for issuer in assumed.ISSUERS])
    by_age = np.array([issuer.by_age for issuer in assumed.ISSUERS]).T[None, :, None, :]
    by_proneness = np.array([issuer.by_proneness for issuer in assumed.ISSUERS]).T[None, None, :, :]
    return np.asarray(sells * share * by_age * by_proneness)


def _draw_plans(draws: Draws, step: str, offers: Offers, issuer: Integers, all_young: Integers) -> Integers:
    """Return a plan per policy: the level by weight, then one of the issuer's plans of that level."""
    issuers, metals = len(assumed.ISSUERS), len(assumed.METALS)
    on_sale = np.zeros((issuers, metals), dtype=np.int64)
    np.add.at(on_sale, (offers.issuer, offers.metal), 1)
    leaning = np.array([issuer.leaning for issuer in assumed.ISSUERS]) * (on_sale > 0)
    weights = leaning[:, None, :] * np.array(offers.market.metal_weights)
    stream = draws.stream(step)
    metal = stream.pick_by(issuer * 2 + all_young, weights.reshape(issuers * 2, metals))
    by_place = np.array(assumed.PLAN_WEIGHTS) * (np.arange(len(assumed.PLAN_WEIGHTS)) < on_sale.reshape(-1, 1))
    cell = issuer * metals + metal
    before = np.cumsum(on_sale.ravel()) - on_sale.ravel()  # plans stand in order of issuer and level
    return np.asarray(before[cell] + stream.pick_by(cell, by_place))
