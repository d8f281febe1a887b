"""What care costs the plans of a made-up market: visits, conditions and births, less each plan's cost sharing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_specs import _synthetic_assumptions as assumed
from data_specs import _synthetic_plan_assumptions as assumed_plans
from data_specs._synthetic_care import Health, Visits
from data_specs._synthetic_draws import Draws, Integers, Stream
from data_specs._synthetic_offers import Offers, price_level
from data_specs._synthetic_people import Coverage, Households, People

__all__ = ["Costs", "draw_costs", "enrollee_share"]

_CENTS = 100
_YEAR = 365


@dataclass(frozen=True, slots=True)
class Costs:
    """A row per person, plan and variant held in the year, in that order."""

    person: Integers
    offer: Integers
    variant: Integers
    allowed: Integers  # cents
    plan_paid: Integers  # cents


def draw_costs(
    draws: Draws,
    households: Households,
    coverage: Coverage,
    people: People,
    health: Health,
    visits: Visits,
    offers: Offers,
    year: int,
) -> Costs:
    """Return what each enrollee's care cost in the year, and what plans paid of it.

    The cost of a year is spread over the covered days, so that each plan held bears its part; cost sharing starts anew
    with every plan and variant.
    """
    dollars = _year_of_care(draws, households, people, health, visits)
    allowed = dollars * (_CENTS * assumed_plans.COST_LEVEL * price_level(year)) // 1_000_000
    covered = people.covered
    first = allowed * people.length[:, 0] // covered
    parts = np.column_stack([first, allowed - first])

    person, stretch = (people.length > 0).nonzero()
    policy = households.policy[person]
    offer, variant = coverage.offer[policy, stretch], coverage.variant[policy, stretch]
    variants = len(assumed_plans.VARIANTS)
    key = (person * len(offers.plan_ids) + offer) * variants + variant
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    amount = np.add.reduceat(parts[person, stretch][order], starts)
    rows = order[starts]
    paid = amount - enrollee_share(amount, offers.metal[offer[rows]], variant[rows], price_level(year))
    return Costs(person[rows], offer[rows], variant[rows], amount, paid)


def _year_of_care(draws: Draws, households: Households, people: People, health: Health, visits: Visits) -> Integers:
    """Return the allowed cost of each enrollee in dollars of the price year."""
    dollars = visits.counts * assumed_plans.VISIT_COST
    covered = np.minimum(people.covered, _YEAR)
    for condition, who in zip(assumed.CONDITIONS, health.holders, strict=True):
        cost = _cases(draws.stream(f"cost/{condition.name}"), 1000 * condition.cost, len(who))
        dollars[who] += cost * covered[who] // _YEAR if condition.lasting else cost
    newborn = people.newborn.nonzero()[0]
    dollars[newborn] += _cases(draws.stream("cost/newborn"), assumed_plans.NEWBORN_COST, len(newborn))
    gave_birth = np.zeros(len(dollars), dtype=bool)
    gave_birth[households.mother[newborn]] = True
    dollars[gave_birth] += assumed_plans.DELIVERY_COST
    return dollars


def _cases(stream: Stream, mean: int, count: int) -> Integers:
    severity = np.array(assumed_plans.SEVERITIES)[stream.pick(assumed_plans.SEVERITY_WEIGHTS, count)]
    return mean * severity // 100


def enrollee_share(amount: Integers, metal: Integers, variant: Integers, level: int) -> Integers:
    """Return what enrollees pay themselves of the amounts, by the cost sharing of their plan and variant.

    Parameters
    ----------
    amount : array
        Cents of care in a year.
    metal, variant : array
        Positions in METALS and VARIANTS of the plan assumptions.
    level : int
        Prices of the year, see :func:`data_specs._synthetic_offers.price_level`.
    """
    designs = np.array(assumed_plans.COST_SHARING)[:, None, :].repeat(len(assumed_plans.VARIANTS), axis=1)
    for name, design in assumed_plans.VARIANT_COST_SHARING.items():
        designs[:, assumed_plans.VARIANTS.index(name)] = design
    deductible, limit = (designs * _CENTS * level // 1000)[metal, variant].T
    below = np.minimum(amount, deductible)
    share = (below * assumed_plans.SHARE_BELOW + (amount - below) * assumed_plans.SHARE_ABOVE) // 100
    return np.asarray(np.minimum(share, limit))
