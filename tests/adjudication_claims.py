"""Made-up claim lines and designs for re-adjudication, by a seed; nobody's data."""

import random
from datetime import date, timedelta
from typing import Any

import polars as pl
from adjudication_oracle import SERVICES, Line

FIRST_DAY = date(2026, 1, 1)
COMMON = ("primary_care", "specialist", "generic", "laboratory")
STAYS = ("inpatient", "skilled_nursing")
KINDS = ("integrated", "separate_deductible_combined_moop", "separate_deductible_separate_moop")


def made_up_lines(rng: random.Random) -> list[Line]:
    """A year of one enrollee: few lines or many, some of one day, some of one stay, some that cost nothing."""
    lines = []
    for _ in range(rng.choice((1, 2, 5, 10, 25))):
        service = rng.choice(COMMON if rng.random() < 0.5 else SERVICES)
        day = rng.randrange(365)
        units = rng.choice((1, 1, 1, 2, 3, 0))
        cents = rng.choice((0, 1, 999, rng.randrange(1, 30_000), rng.randrange(1, 400_000)))
        if service not in STAYS:
            lines.append(Line(service, day, cents, units, 1, rng.choice((1, 1, 2))))
            continue
        stay = rng.choice((None, f"S{rng.randrange(3)}"))
        for later in range(rng.choice((1, 2, 4))):
            cents = rng.randrange(0, 2_500_000) if rng.random() < 0.7 else rng.randrange(0, 20_000)
            place = min(day + rng.choice((0, later)), 364)
            lines.append(Line(service, place, cents, units, rng.choice((1, 2, 7, 0)), rng.choice((1, 1, 2)), stay))
    return lines


def made_up_terms(rng: random.Random) -> dict[str, Any]:
    """The services of a design, of every kind of sharing, whether it makes sense or not."""
    found = {}
    for service in rng.sample(SERVICES, rng.randrange(len(SERVICES) + 1)):
        terms: dict[str, Any] = {
            flag: rng.random() < share
            for flag, share in (
                ("subject_to_deductible", 0.5),
                ("subject_to_coinsurance", 0.5),
                ("copay_after_deductible", 0.25),
            )
        }
        if rng.random() < 0.7:
            terms["copay"] = rng.choice((0, 5, 30, 75.5, 250, 1500))
        if rng.random() < 0.3:
            terms["plan_coinsurance"] = rng.choice((0, 0.5, 0.333333, 0.85, 1))
        found[service] = terms
    return found


def made_up_amounts(rng: random.Random, kind: str) -> dict[str, Any]:
    """Deductibles below their limits, and general coinsurances."""
    found: dict[str, Any] = {"deductible_type": kind}
    limits = {end: rng.choice((0, 500, 2000, 4000.01, 9100)) for end in ("", "_medical", "_drug")}
    names = ("",) if kind == KINDS[0] else ("_medical", "_drug")
    if kind == KINDS[1]:
        limits = dict.fromkeys(limits, limits[""])
    for end in ("",) if kind != KINDS[2] else names:
        found[f"moop{end}"] = limits[end]
    for end in names:
        found[f"deductible{end}"] = rng.choice((0, 0, 0.25, 0.5, 1)) * limits[end]
        found[f"plan_coinsurance{end}"] = rng.choice((0.6, 0.8, 0.85, 1))
    return found


def made_up_options(rng: random.Random, services: dict[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "copay" in services.get("inpatient", {}) and rng.random() < 0.6:
        options["inpatient_copay_per_day"] = True
        if rng.random() < 0.6:
            options["inpatient_copay_max_days"] = rng.randrange(1, 8)
    if rng.random() < 0.5:
        options["snf_copay_per_day"] = True
    if rng.random() < 0.5:
        options["specialty_drug_coinsurance_max_per_script"] = rng.choice((0, 50, 250))
    first = rng.choice((None, "free", "copay_then_deductible"))
    if first:
        options[f"primary_care_first_n_visits_{first}"] = rng.randrange(1, 5)
    if rng.random() < 0.3:
        options["employer_hsa_hra"] = rng.choice((300, 1000))
    return options


def made_up_design(rng: random.Random, name: str) -> dict[str, Any]:
    """A design of any kind, one in four with two network tiers."""
    kind = rng.choice(KINDS)
    services = made_up_terms(rng)
    plan = {**made_up_amounts(rng, kind), "name": name, "services": services}
    plan["options"] = made_up_options(rng, services)
    if rng.random() < 0.25:
        second = made_up_terms(rng)
        plan["tier1_utilization"] = 0.7
        options = {key: given for key, given in made_up_options(rng, second).items() if key != "employer_hsa_hra"}
        plan["tier2"] = {**made_up_amounts(rng, kind), "services": second, "options": options}  # money is of the plan
    return plan


def claims_of(lines_of: dict[str, list[Line]]) -> pl.DataFrame:
    """Claims with every optional column that is not an id of the line."""
    rows = [(enrollee, line) for enrollee, lines in lines_of.items() for line in lines]
    cents = pl.Series("allowed", [line.allowed for _, line in rows], dtype=pl.Int64)
    return pl.DataFrame(
        {
            "enrollee_id": [enrollee for enrollee, _ in rows],
            "service": [line.service for _, line in rows],
            "service_date": [FIRST_DAY + timedelta(line.day) for _, line in rows],
            "units": [line.units for _, line in rows],
            "days": [line.days for _, line in rows],
            "network_tier": [line.tier for _, line in rows],
            "stay_id": pl.Series([line.stay for _, line in rows], dtype=pl.String),
        }
    ).with_columns((cents.cast(pl.Decimal(38, 2)) / 100).cast(pl.Decimal(18, 2)))
