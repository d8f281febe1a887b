"""Made-up markets of any size, for demonstrations, tests and benchmarks.

Nobody in them exists. Ages, households, coverage, illness, base rates and costs are drawn from assumptions that only
have to look right; they are no figures of any state and show no market behavior: nobody reacts to a price. What is real
comes from the tables of the benefit year: codes of payment conditions and drug classes, age curves, family tiers, the
number of rating areas.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from data_specs._synthetic_care import draw_diagnoses, draw_drugs, draw_health, draw_proneness, draw_visits
from data_specs._synthetic_codes import DiagnosisCodes, DrugCodes
from data_specs._synthetic_costs import draw_costs
from data_specs._synthetic_draws import Draws
from data_specs._synthetic_frames import Drawn, market_frames
from data_specs._synthetic_offers import Offers
from data_specs._synthetic_people import Calendar, draw_coverage, draw_households, draw_people
from data_specs._synthetic_plan_assumptions import MARKETS
from data_specs._synthetic_premiums import Rating, policy_premiums
from data_specs.errors import InputRefused

__all__ = ["synthetic_market"]

MOST_ENROLLEES = 99_999_999  # ids have eight digits
_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO "
    "MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
STATES = frozenset(_STATES.split())
_WHERE = "synthetic_market"


def synthetic_market(
    state: str, *, enrollees: int, seed: int, benefit_year: int = 2025, markets: Sequence[str] = ("individual",)
) -> dict[str, pl.DataFrame]:
    """Return the input tables of a made-up market that pass validation.

    The same arguments give the same tables on every platform, for any number of threads. The same seed in another
    benefit year gives the same households of the same ages, coded and rated with that year's tables.

    Parameters
    ----------
    state : str
        Two capital letters of one of the 50 states or DC. It stands in the plan ids, takes part in the draws and
        brings in the state's age curve or family tiers and its number of rating areas (the first six); no other figure
        of that state.
    enrollees : int
        Number of people in each market, 1 to 99,999,999 in all.
    seed : int
        Not negative.
    benefit_year : int
        A year for which the crosswalk, both drug lists and an age curve are held.
    markets : sequence of str
        ``"individual"``, ``"small_group"`` or both. The individual market is the same, row for row, with and without
        the other one. Small employers buy no catastrophic plans and no variants; their employees' policies start when
        individual ones do.

    Returns
    -------
    dict of DataFrame
        ``enrollees`` : enrollee_id, birth_date, sex (M, F); a row per person, in order of enrollee_id.
        ``spans`` : enrollee_id, plan_id (14 characters), csr_variant, metal_level, span_start, span_end (included),
        policy_id, subscriber_id (null for the subscriber), relationship (self, spouse, child), market, issuer_id,
        rating_area_id (R-XX999), premium_monthly (dollars of the whole policy on the subscriber's row, null on the
        others); in order of enrollee_id and span_start. Spans of a person lie in the benefit year, do not overlap, and
        stay with one issuer and one area. A birth begins a new span for everybody on the policy.
        ``plans`` : plan_id, issuer_id, state, market, metal_level, base_premium_monthly (dollars at area and age factor
        1.000); in order of plan_id. Six issuers sell forty plans in the individual market. Issuer ids start with zeros,
        so that they are nobody's.
        ``area_factors`` : issuer_id, rating_area_id, area_factor (to three decimals); a row where an issuer sells.
        ``diagnoses`` : enrollee_id, diagnosis_code (no point), service_date (a covered day); in order of enrollee_id,
        service_date, diagnosis_code, without repeats. Most codes lead to no payment condition.
        ``drugs`` : enrollee_id, code_type (hcpcs, ndc), code, service_date; in order of enrollee_id, service_date,
        code_type, code. NDCs of labeler 00000 are made up and stand for drugs without a drug class.
        ``costs`` : enrollee_id, plan_id, csr_variant, allowed, plan_paid (dollars in the year); a row per enrollee,
        plan and variant held, zeros included, in that order.

    Raises
    ------
    InputRefused
        When an argument is of the wrong type or out of its range.
    TableMissing
        When a table has no rows for the benefit year.

    Notes
    -----
    The premium of a policy is the sum of ``base premium x area factor x age factor`` over everybody of 21 and more and
    the oldest three of the younger ones, each rounded half up to cents; age is that on the first covered day of the
    policy in the year. In New York and Vermont it is ``base premium x area factor x multiplier of the family tier``.
    Age factors: ``rating/age_curves`` as ``rating/age_curve_assignment`` says; multipliers: ``rating/family_tiers``;
    ages and numbers of children: ``rating/rating_rules``.

    Examples
    --------
    >>> market = synthetic_market("NY", enrollees=10, seed=1)
    >>> sorted(market)
    ['area_factors', 'costs', 'diagnoses', 'drugs', 'enrollees', 'plans', 'spans']
    >>> market["enrollees"].height, market["enrollees"]["enrollee_id"][0]
    (10, 'SYN-00000001')
    """
    _check_arguments(state, enrollees, seed, benefit_year)
    _check_markets(markets, enrollees)
    codes = DiagnosisCodes(benefit_year), DrugCodes(benefit_year)
    parts, policies = [], 0
    for place, name in enumerate(sorted(markets)):
        drawn = _draw_market(state, name, enrollees, seed, benefit_year, *codes)
        parts.append(market_frames(drawn, state, *codes, enrollees_before=place * enrollees, policies_before=policies))
        policies += len(drawn.households.first)
    if len(parts) == 1:
        return parts[0]
    together = {name: pl.concat([part[name] for part in parts]) for name in parts[0]}
    together["plans"] = together["plans"].sort("plan_id")
    together["area_factors"] = parts[0]["area_factors"]  # the same in every market
    return together


def _draw_market(
    state: str,
    name: str,
    enrollees: int,
    seed: int,
    benefit_year: int,
    diagnosis_codes: DiagnosisCodes,
    drug_codes: DrugCodes,
) -> Drawn:
    draws = Draws(seed, state if name == "individual" else f"{state}/{name}")
    calendar = Calendar.of(benefit_year)
    rating = Rating.of(state, name, benefit_year)
    offers = Offers.of(state, MARKETS[name], rating.curve, benefit_year)
    households = draw_households(draws, enrollees)
    proneness = draw_proneness(draws, enrollees)
    coverage = draw_coverage(draws, households, calendar, offers, proneness)
    people = draw_people(draws, households, coverage, calendar)
    metal = offers.metal[coverage.offer[:, 0]]
    health = draw_health(draws, households, people, proneness, metal, diagnosis_codes)
    visits = draw_visits(draws, people, health)
    return Drawn(
        calendar,
        offers,
        households,
        coverage,
        people,
        policy_premiums(rating, offers.base, households, coverage, people, calendar),
        draw_diagnoses(draws, households, people, health, visits, diagnosis_codes, calendar),
        draw_drugs(draws, people, health, drug_codes),
        draw_costs(draws, households, coverage, people, health, visits, offers, benefit_year),
    )


def _check_arguments(state: object, enrollees: object, seed: object, benefit_year: object) -> None:
    if not isinstance(state, str) or state not in STATES:
        raise InputRefused(
            f"state {state!r} is not known",
            where=_WHERE,
            rule="one of the 50 states or DC",
            remedy='write two capital letters, such as "NY"',
        )
    bounds = {
        "enrollees": (enrollees, 1, MOST_ENROLLEES),
        "seed": (seed, 0, 2**63 - 1),
        "benefit_year": (benefit_year, 2014, 9999),
    }
    for name, (value, low, high) in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise InputRefused(f"{name} is of type {type(value).__name__}", where=_WHERE, remedy="give a whole number")
        if not low <= value <= high:
            raise InputRefused(
                f"{name} {value} is out of range",
                where=_WHERE,
                rule=f"from {low} to {high}",
                remedy="choose another number",
            )


def _check_markets(markets: object, enrollees: int) -> None:
    names = list(markets) if isinstance(markets, Sequence) and not isinstance(markets, str) else []
    if not names or not set(map(str, names)) <= set(MARKETS) or len(set(names)) < len(names):
        raise InputRefused(
            f"markets {markets!r} are not known",
            where=_WHERE,
            rule=f"one or more of {', '.join(MARKETS)}, each once",
            remedy='write a list, such as ("individual",)',
        )
    if len(names) * enrollees > MOST_ENROLLEES:
        raise InputRefused(
            f"{len(names)} markets of {enrollees} enrollees are too many",
            where=_WHERE,
            rule=f"at most {MOST_ENROLLEES} in all",
            remedy="choose a smaller number",
        )
