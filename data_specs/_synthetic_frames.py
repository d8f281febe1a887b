"""The frames of a made-up market, from the arrays it was drawn as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from data_specs import _synthetic_plan_assumptions as assumed_plans
from data_specs._synthetic_care import Records
from data_specs._synthetic_codes import DiagnosisCodes, DrugCodes
from data_specs._synthetic_costs import Costs
from data_specs._synthetic_draws import Integers
from data_specs._synthetic_offers import Offers
from data_specs._synthetic_people import SELF, Calendar, Coverage, Households, People

__all__ = ["Drawn", "dollars", "market_frames"]

_RELATIONSHIPS = ("self", "spouse", "child")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One market as it was drawn."""

    calendar: Calendar
    offers: Offers
    households: Households
    coverage: Coverage
    people: People
    premiums: Integers  # cents a month: policies x stretches x before and from a birth
    diagnoses: Records
    drugs: Records
    costs: Costs


def market_frames(
    drawn: Drawn,
    state: str,
    diagnosis_codes: DiagnosisCodes,
    drug_codes: DrugCodes,
    *,
    enrollees_before: int = 0,
    policies_before: int = 0,
) -> dict[str, pl.DataFrame]:
    """Return the input tables of one market; its ids follow those of the enrollees and policies before it."""
    ids = _numbered("SYN-", enrollees_before, len(drawn.people.birth))
    policy_ids = _numbered("POL-", policies_before, len(drawn.households.first))
    sex = _taken(pl.Series(["M", "F"]), drawn.households.sex, "sex")
    return {
        "enrollees": pl.DataFrame([ids.alias("enrollee_id"), _dates(drawn.people.birth, "birth_date"), sex]),
        "spans": _span_frame(ids, policy_ids, drawn),
        "plans": _plan_frame(drawn.offers, state),
        "area_factors": _area_frame(drawn.offers),
        "diagnoses": _diagnosis_frame(ids, drawn.diagnoses, diagnosis_codes, drawn.calendar),
        "drugs": _drug_frame(ids, drawn.drugs, drug_codes, drawn.calendar),
        "costs": _cost_frame(ids, drawn.costs, drawn.offers),
    }


def _numbered(prefix: str, before: int, count: int) -> pl.Series:
    # Twelve characters in all: Polars keeps texts of that length inside the column, without a separate buffer.
    numbers = pl.int_range(before + 1, before + count + 1, eager=True).cast(pl.String).str.zfill(8)
    return numbers.to_frame("number").select(pl.concat_str(pl.lit(prefix), "number").alias("id"))["id"]


def _taken(values: pl.Series, places: Integers, name: str) -> pl.Series:
    return values.gather(pl.Series(places.astype(np.uint32))).alias(name)


def _dates(days: Integers, name: str) -> pl.Series:
    return pl.Series(name, days.astype(np.int32)).cast(pl.Date)


def dollars(cents: Integers, name: str, digits: int) -> pl.Series:
    """Return cents as a column of dollars of so many digits."""
    return (pl.Series(name, cents, dtype=pl.Int64).cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(digits, 2))


def _repeated(value: str, count: int, name: str) -> pl.Series:
    return pl.repeat(value, count, eager=True).alias(name)


def _span_frame(ids: pl.Series, policy_ids: pl.Series, drawn: Drawn) -> pl.DataFrame:
    households, coverage, offers = drawn.households, drawn.coverage, drawn.offers
    person, stretch, start, end, born = _span_rows(drawn)
    policy = households.policy[person]
    offer = coverage.offer[policy, stretch]
    is_self = pl.Series(households.relationship[person] == SELF)
    plans = _plan_frame(offers, "")
    premium = dollars(drawn.premiums[policy, stretch, born], "premium_monthly", 10)
    return pl.DataFrame(
        [
            _taken(ids, person, "enrollee_id"),
            _taken(pl.Series(offers.plan_ids), offer, "plan_id"),
            _taken(pl.Series(assumed_plans.VARIANTS), coverage.variant[policy, stretch], "csr_variant"),
            _taken(plans["metal_level"], offer, "metal_level"),
            _dates(drawn.calendar.first + start, "span_start"),
            _dates(drawn.calendar.first + end, "span_end"),
            _taken(policy_ids, policy, "policy_id"),
            _taken(ids, households.first[policy], "subscriber_id").set(is_self, None),
            _taken(pl.Series(_RELATIONSHIPS), households.relationship[person], "relationship"),
            _repeated(offers.market.name, len(person), "market"),
            _taken(plans["issuer_id"], offer, "issuer_id"),
            _taken(pl.Series(offers.areas), coverage.area[policy], "rating_area_id"),
            premium.set(~is_self, None),
        ]
    )


def _span_rows(drawn: Drawn) -> tuple[Integers, Integers, Integers, Integers, Integers]:
    """Return person, stretch, first and last day of the year, and 1 from a birth in the policy on, else 0.

    A birth changes the premium: the spans of the whole policy are cut there.
    """
    people = drawn.people
    person, stretch = (people.length > 0).nonzero()
    start = people.start[person, stretch]
    end = start + people.length[person, stretch] - 1
    birth_day = np.full(len(drawn.households.first), drawn.calendar.days)
    newborn = people.newborn.nonzero()[0]
    birth_day[drawn.households.policy[newborn]] = people.birth[newborn] - drawn.calendar.first
    birth = birth_day[drawn.households.policy[person]]
    is_cut = (start < birth) & (birth <= end)
    row = np.repeat(np.arange(len(person)), 1 + is_cut)
    second = np.zeros(len(row), dtype=bool)
    second[1:] = row[1:] == row[:-1]
    start = np.where(second, birth[row], start[row])
    end = np.where(is_cut[row] & ~second, birth[row] - 1, end[row])
    return person[row], stretch[row], start, end, (start >= birth[row]).astype(np.int64)


def _plan_frame(offers: Offers, state: str) -> pl.DataFrame:
    issuers = pl.Series([issuer.issuer_id for issuer in assumed_plans.ISSUERS])
    number = len(offers.plan_ids)
    return pl.DataFrame(
        [
            pl.Series("plan_id", offers.plan_ids, dtype=pl.String),
            _taken(issuers, offers.issuer, "issuer_id"),
            _repeated(state, number, "state"),
            _repeated(offers.market.name, number, "market"),
            _taken(pl.Series(assumed_plans.METALS), offers.metal, "metal_level"),
            dollars(offers.base, "base_premium_monthly", 10),
        ]
    )


def _area_frame(offers: Offers) -> pl.DataFrame:
    issuer, area = (offers.area_factors > 0).nonzero()
    issuers = pl.Series([issuer.issuer_id for issuer in assumed_plans.ISSUERS])
    return pl.DataFrame(
        [
            _taken(issuers, issuer, "issuer_id"),
            _taken(pl.Series(offers.areas), area, "rating_area_id"),
            pl.Series("area_factor", offers.area_factors[issuer, area] / 1000),
        ]
    )


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


def _cost_frame(ids: pl.Series, costs: Costs, offers: Offers) -> pl.DataFrame:
    return pl.DataFrame(
        [
            _taken(ids, costs.person, "enrollee_id"),
            _taken(pl.Series(offers.plan_ids), costs.offer, "plan_id"),
            _taken(pl.Series(assumed_plans.VARIANTS), costs.variant, "csr_variant"),
            dollars(costs.allowed, "allowed", 12),
            dollars(costs.plan_paid, "plan_paid", 12),
        ]
    )
