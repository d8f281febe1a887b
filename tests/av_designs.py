"""Random designs for the tests of actuarial value, by what kind of sharing they have.

A design is the plain mapping of ``tests/cases/av``. The same random numbers give the same designs on every machine.
"""

import random
from collections.abc import Callable
from typing import Any

from av_oracle import METALS, SERVICES

Plan = dict[str, Any]
CHARGED = tuple(service for service in SERVICES if service != "preventive")
SHARES = tuple(hundredths / 100 for hundredths in range(40, 100, 5))
# A coinsurance of a service's own that no design has as its general one: where the two meet, terms change (section 4).
OWN_SHARES = tuple(hundredths / 1000 for hundredths in range(403, 1000, 50))
COPAYS = {
    "emergency_room": (150, 300, 500, 750),
    "inpatient": (250, 500, 1000, 1500),
    "skilled_nursing": (150, 300, 500),
    "outpatient_facility": (100, 250, 400),
    "imaging": (75, 150, 300),
    "generic": (3, 5, 10, 20, 25),
    "preferred_brand": (30, 45, 60),
    "nonpreferred_brand": (70, 100, 150),
    "specialty_drug": (150, 250, 500),
}
OFFICE = (10, 20, 30, 45, 60, 80)


def copay_of(rng: random.Random, service: str) -> float:
    return float(rng.choice(COPAYS.get(service, OFFICE)))


def amounts(rng: random.Random) -> tuple[float, float]:
    """A deductible and a limit: the limit above it, or, one time in eight, equal to it."""
    limit = rng.randrange(500, 10_600, 50) + rng.choice((0.0, 0.0, 12.34))
    drawn = rng.random()
    deductible = limit if drawn < 0.125 else 0.0 if drawn < 0.175 else float(rng.randrange(0, int(limit), 50))
    return deductible, limit


def frame(rng: random.Random) -> Plan:
    """One deductible, one limit and a general coinsurance, on the tables of some metal."""
    deductible, limit = amounts(rng)
    return {
        "deductible_type": "integrated",
        "deductible": deductible,
        "moop": limit,
        "plan_coinsurance": rng.choice(SHARES),
        "table_metal": rng.choice(METALS),
        "services": {},
    }


def some(rng: random.Random, services: tuple[str, ...] = CHARGED) -> list[str]:
    return rng.sample(services, rng.randrange(1, min(9, len(services) + 1)))


def coinsurance_only(rng: random.Random) -> Plan:
    """The first kind of section 9: every service under the deductible, coinsurance general or own."""
    plan = frame(rng)
    if rng.random() < 0.7:
        plan["services"] = {s: {"plan_coinsurance": rng.choice(OWN_SHARES)} for s in some(rng)}
    return plan


def exempt_coinsurance(rng: random.Random) -> Plan:
    """Some services exempt from the deductible, without copays."""
    plan = coinsurance_only(rng)
    for service in some(rng):
        plan["services"].setdefault(service, {})["subject_to_deductible"] = False
    return plan


def copays(rng: random.Random, *, exempt: bool | None = None, after: bool | None = None) -> Plan:
    """Some services with a copay: exempt, with the deductible, after it, or, where not said, one or other."""
    plan = coinsurance_only(rng)
    for service in some(rng):
        is_exempt = rng.random() < 0.5 if exempt is None else exempt
        terms = plan["services"].setdefault(service, {})
        terms["copay"] = copay_of(rng, service)
        terms["subject_to_deductible"] = not is_exempt
        terms["subject_to_coinsurance"] = rng.random() < 0.15
        terms["copay_after_deductible"] = not is_exempt and (rng.random() < 0.5 if after is None else after)
    return plan


def exempt_copays(rng: random.Random) -> Plan:
    return copays(rng, exempt=True)


def mostly_exempt_copays(rng: random.Random) -> Plan:
    """Nearly every service exempt at a copay: little counts toward the deductible, and searches may not settle."""
    plan = frame(rng)
    for service in rng.sample(CHARGED, rng.randrange(11, 17)):
        terms = {"copay": copay_of(rng, service) * rng.choice((0.5, 1.0, 2.0, 4.0)), "subject_to_deductible": False}
        plan["services"][service] = {**terms, "subject_to_coinsurance": False}
    return plan


def copays_with_deductible(rng: random.Random) -> Plan:
    return copays(rng, exempt=False, after=False)


def copays_after_deductible(rng: random.Random) -> Plan:
    return copays(rng, exempt=False, after=True)


def anything(rng: random.Random) -> Plan:
    """Every combination of flags, also odd ones: copays that coinsurance replaces, a coinsurance of 0 or 1."""
    plan = frame(rng)
    for service in some(rng, SERVICES):
        plan["services"][service] = {
            "subject_to_deductible": rng.random() < 0.5,
            "subject_to_coinsurance": rng.random() < 0.5,
            "copay": copay_of(rng, service) if rng.random() < 0.6 else 0.0,
            "copay_after_deductible": rng.random() < 0.3,
        }
        if rng.random() < 0.4:
            plan["services"][service]["plan_coinsurance"] = rng.choice((0.0, 1.0, *OWN_SHARES, *SHARES))
    return plan


def with_options(rng: random.Random) -> Plan:
    """Copays with some of the options: days, first visits, a cap, employer's money."""
    plan = copays(rng)
    options: Plan = {}
    if rng.random() < 0.4:
        exempt = rng.random() < 0.5
        plan["services"]["inpatient"] = {
            "copay": copay_of(rng, "inpatient"),
            "subject_to_deductible": not exempt,
            "subject_to_coinsurance": False,
            "copay_after_deductible": not exempt,
        }
        options["inpatient_copay_per_day"] = True
        if rng.random() < 0.7:
            options["inpatient_copay_max_days"] = rng.randrange(1, 11)
    if rng.random() < 0.3:
        options["snf_copay_per_day"] = True
    if rng.random() < 0.4:
        options["specialty_drug_coinsurance_max_per_script"] = float(rng.choice((50, 150, 250, 500)))
    first = rng.random()
    if first < 0.5:
        options[
            "primary_care_first_n_visits_free" if first < 0.25 else "primary_care_first_n_visits_copay_then_deductible"
        ] = rng.randrange(1, 11)
        if first >= 0.25:
            plan["services"]["primary_care"] = {
                "copay": copay_of(rng, "primary_care"),
                "subject_to_deductible": True,
            }
    if rng.random() < 0.3:
        options["employer_hsa_hra"] = float(rng.choice((250, 500, 1000, 2000)))
    return {**plan, "options": options}


def two_tiers(rng: random.Random) -> Plan:
    """Two network tiers, the second dearer."""
    plan, other = with_options(rng), copays(rng)
    second = {key: other[key] for key in ("deductible", "moop", "plan_coinsurance", "services")}
    return {**plan, "tier1_utilization": rng.choice((0.5, 0.8, 0.9)), "tier2": second}


def separate(rng: random.Random, kind: Callable[[random.Random], Plan] | None = None) -> Plan:
    """Two deductibles and two coinsurances in place of one; one limit, or two."""
    plan = (kind or rng.choice((coinsurance_only, copays, anything)))(rng)
    limit, first, share = (plan.pop(key) for key in ("moop", "deductible", "plan_coinsurance"))
    drug = float(rng.randrange(0, int(limit - min(first, limit)) + 50, 50))
    plan |= {
        "deductible_medical": first,
        "deductible_drug": min(drug, limit - first),
        "plan_coinsurance_medical": share,
        "plan_coinsurance_drug": rng.choice(SHARES),
    }
    if rng.random() < 0.5:
        return {**plan, "deductible_type": "separate_deductible_combined_moop", "moop": limit}
    drug_limit = plan["deductible_drug"] + rng.randrange(100, 3000, 50)
    limits = {"moop_medical": max(limit, first), "moop_drug": float(drug_limit)}
    return {**plan, "deductible_type": "separate_deductible_separate_moop", **limits}


def early(rng: random.Random) -> Plan:
    """What the calculators of 2015 and 2016 know: amounts and general coinsurances."""
    plan = coinsurance_only(rng) if rng.random() < 0.5 else separate(rng, coinsurance_only)
    if plan["deductible_type"] == "separate_deductible_separate_moop":
        limit = plan.pop("moop_medical") + plan.pop("moop_drug")
        plan |= {"deductible_type": "separate_deductible_combined_moop", "moop": limit}
    return {key: value for key, value in plan.items() if key not in ("services", "table_metal")}


KINDS: dict[str, Callable[[random.Random], Plan]] = {
    "coinsurance_only": coinsurance_only,
    "exempt_coinsurance": exempt_coinsurance,
    "exempt_copays": exempt_copays,
    "mostly_exempt_copays": mostly_exempt_copays,
    "copays_with_deductible": copays_with_deductible,
    "copays_after_deductible": copays_after_deductible,
    "anything": anything,
    "with_options": with_options,
    "two_tiers": two_tiers,
    "separate": separate,
}


def designs(kind: str, count: int, seed: int = 1) -> list[Plan]:
    """So many designs of a kind."""
    rng = random.Random(f"{kind} {seed}")
    make = early if kind == "early" else KINDS[kind]
    return [make(rng) for _ in range(count)]
