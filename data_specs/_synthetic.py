"""Made-up markets of any size, for demonstrations, tests and benchmarks.

Nobody in them exists. Ages, households, coverage and illness are drawn from assumptions that only have to look right;
they are no figures of any state and show no market behavior. The codes of payment conditions and drug classes are real:
they come from the benefit year's own tables.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from data_specs import _synthetic_assumptions as assumed
from data_specs._synthetic_care import Records, draw_diagnoses, draw_drugs, draw_health, draw_visits
from data_specs._synthetic_codes import DiagnosisCodes, DrugCodes
from data_specs._synthetic_draws import Draws, Integers
from data_specs._synthetic_people import (
    SELF,
    Calendar,
    Coverage,
    Households,
    People,
    draw_coverage,
    draw_households,
    draw_people,
    offers,
)
from data_specs.errors import InputRefused

__all__ = ["synthetic_market"]

MOST_ENROLLEES = 99_999_999  # ids have eight digits
_STATES = (
    "AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO "
    "MT NE NV NH NJ NM NY NC ND OH OK OR PA RI SC SD TN TX UT VT VA WA WV WI WY"
)
STATES = frozenset(_STATES.split())
_RELATIONSHIPS = ("self", "spouse", "child")
_MARKET = "individual"


def synthetic_market(state: str, *, enrollees: int, seed: int, benefit_year: int = 2025) -> dict[str, pl.DataFrame]:
    """Return the input tables of a made-up individual market that pass validation.

    The same arguments give the same tables on every platform, for any number of threads. The same seed in another
    benefit year gives the same households of the same ages, coded with that year's tables.

    Parameters
    ----------
    state : str
        Two capital letters of one of the 50 states or DC. It stands in the plan ids and takes part in the draws; it
        brings in no figure of that state.
    enrollees : int
        Number of people, 1 to 99,999,999.
    seed : int
        Not negative.
    benefit_year : int
        A year for which the crosswalk and both drug lists are held.

    Returns
    -------
    dict of DataFrame
        ``enrollees`` : enrollee_id, birth_date, sex (M, F); a row per person, in order of enrollee_id.
        ``spans`` : enrollee_id, plan_id (14 characters), csr_variant, metal_level, span_start, span_end (included),
        policy_id, subscriber_id (null for the subscriber), relationship (self, spouse, child), market, issuer_id; in
        order of enrollee_id and span_start. Spans of a person lie in the benefit year, do not overlap, and stay with
        one issuer.
        ``plans`` : plan_id, issuer_id, state, market, metal_level; in order of plan_id. Issuer ids start with zeros, so
        that they are nobody's.
        ``diagnoses`` : enrollee_id, diagnosis_code (no point), service_date (a covered day); in order of enrollee_id,
        service_date, diagnosis_code, without repeats. Most codes lead to no payment condition.
        ``drugs`` : enrollee_id, code_type (hcpcs, ndc), code, service_date; in order of enrollee_id, service_date,
        code_type, code. NDCs of labeler 00000 are made up and stand for drugs without a drug class.

    Raises
    ------
    InputRefused
        When an argument is of the wrong type or out of its range.
    TableMissing
        When a table has no rows for the benefit year.

    Examples
    --------
    >>> market = synthetic_market("NY", enrollees=10, seed=1)
    >>> sorted(market)
    ['diagnoses', 'drugs', 'enrollees', 'plans', 'spans']
    >>> market["enrollees"].height, market["enrollees"]["enrollee_id"][0]
    (10, 'SYN-00000001')
    """
    _check_arguments(state, enrollees, seed, benefit_year)
    diagnosis_codes = DiagnosisCodes(benefit_year)
    drug_codes = DrugCodes(benefit_year)
    draws = Draws(seed, state)
    calendar = Calendar.of(benefit_year)
    households = draw_households(draws, enrollees)
    coverage = draw_coverage(draws, households, calendar, state)
    people = draw_people(draws, households, coverage, calendar)
    health = draw_health(draws, households, coverage, people, diagnosis_codes, state)
    visits = draw_visits(draws, people, health)
    diagnoses = draw_diagnoses(draws, households, people, health, visits, diagnosis_codes, calendar)
    drugs = draw_drugs(draws, people, health, drug_codes)

    ids = _numbered("SYN-", enrollees)
    return {
        "enrollees": _enrollee_frame(ids, households, people),
        "spans": _span_frame(ids, households, coverage, people, calendar, state),
        "plans": _plan_frame(state),
        "diagnoses": _diagnosis_frame(ids, diagnoses, diagnosis_codes, calendar),
        "drugs": _drug_frame(ids, drugs, drug_codes, calendar),
    }


def _check_arguments(state: object, enrollees: object, seed: object, benefit_year: object) -> None:
    where = "synthetic_market"
    if not isinstance(state, str) or state not in STATES:
        raise InputRefused(
            f"state {state!r} is not known",
            where=where,
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
            raise InputRefused(f"{name} is of type {type(value).__name__}", where=where, remedy="give a whole number")
        if not low <= value <= high:
            raise InputRefused(
                f"{name} {value} is out of range",
                where=where,
                rule=f"from {low} to {high}",
                remedy="choose another number",
            )


def _numbered(prefix: str, count: int) -> pl.Series:
    # Twelve characters in all: Polars keeps texts of that length inside the column, without a separate buffer.
    numbers = pl.int_range(1, count + 1, eager=True).cast(pl.String).str.zfill(8)
    return numbers.to_frame("number").select(pl.concat_str(pl.lit(prefix), "number").alias("id"))["id"]


def _taken(values: pl.Series, places: Integers, name: str) -> pl.Series:
    return values.gather(pl.Series(places.astype(np.uint32))).alias(name)


def _dates(days: Integers, name: str) -> pl.Series:
    return pl.Series(name, days.astype(np.int32)).cast(pl.Date)


def _enrollee_frame(ids: pl.Series, households: Households, people: People) -> pl.DataFrame:
    sexes = pl.Series(["M", "F"])
    return pl.DataFrame(
        [ids.alias("enrollee_id"), _dates(people.birth, "birth_date"), _taken(sexes, households.sex, "sex")]
    )


def _span_frame(
    ids: pl.Series, households: Households, coverage: Coverage, people: People, calendar: Calendar, state: str
) -> pl.DataFrame:
    person, stretch = (people.length > 0).nonzero()
    policy = households.policy[person]
    offer = coverage.offer[policy, stretch]
    start = calendar.first + people.start[person, stretch]
    plans = _plan_frame(state)
    subscriber = _taken(ids, households.first[policy], "subscriber_id")
    is_self = pl.Series(households.relationship[person] == SELF)
    return pl.DataFrame(
        [
            _taken(ids, person, "enrollee_id"),
            _taken(plans["plan_id"], offer, "plan_id"),
            _taken(pl.Series(assumed.VARIANTS), coverage.variant[policy, stretch], "csr_variant"),
            _taken(plans["metal_level"], offer, "metal_level"),
            _dates(start, "span_start"),
            _dates(start + people.length[person, stretch] - 1, "span_end"),
            _taken(_numbered("POL-", len(households.first)), policy, "policy_id"),
            subscriber.set(is_self, None),
            _taken(pl.Series(_RELATIONSHIPS), households.relationship[person], "relationship"),
            pl.repeat(_MARKET, len(person), eager=True).alias("market"),
            _taken(plans["issuer_id"], offer, "issuer_id"),
        ]
    )


def _plan_frame(state: str) -> pl.DataFrame:
    columns = {"plan_id": pl.String, "issuer_id": pl.String, "metal_level": pl.String}
    frame = pl.DataFrame(offers(state), schema=columns, orient="row")
    return frame.select("plan_id", "issuer_id", state=pl.lit(state), market=pl.lit(_MARKET), metal_level="metal_level")


def _diagnosis_frame(ids: pl.Series, records: Records, codes: DiagnosisCodes, calendar: Calendar) -> pl.DataFrame:
    return pl.DataFrame(
        [
            _taken(ids, records.person, "enrollee_id"),
            _taken(codes.names, records.code, "diagnosis_code"),
            _dates(calendar.first + records.day, "service_date"),
        ]
    )


def _drug_frame(ids: pl.Series, records: Records, codes: DrugCodes, calendar: Calendar) -> pl.DataFrame:
    return pl.DataFrame(
        [
            _taken(ids, records.person, "enrollee_id"),
            _taken(codes.types, records.code, "code_type"),
            _taken(codes.names, records.code, "code"),
            _dates(calendar.first + records.day, "service_date"),
        ]
    )
