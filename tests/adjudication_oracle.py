"""The slow, obvious twin of re-adjudication: one enrollee, one design, line after line, in plain whole numbers.

Made from the written definition (the notes of ``rating.adjudicate``) before the kernel; it shares no code with the
product. A design is the plain mapping of ``tests/cases/av``; money in claims is cents, shares are exact fractions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

SERVICES = (
    *("emergency_room", "inpatient", "primary_care", "specialist", "mental_health_outpatient", "imaging"),
    *("speech_therapy", "occupational_physical_therapy", "preventive", "laboratory", "xray", "skilled_nursing"),
    *("outpatient_facility", "outpatient_surgery_professional"),
    *("generic", "preferred_brand", "nonpreferred_brand", "specialty_drug"),
)
DRUGS = SERVICES[-4:]
PER_DAY = {"inpatient": "inpatient_copay_per_day", "skilled_nursing": "snf_copay_per_day"}
FREE, AT_COPAY = "primary_care_first_n_visits_free", "primary_care_first_n_visits_copay_then_deductible"
DEFAULTS = {
    "exempt_coinsurance": "from_first_dollar",
    "copay_with_coinsurance": "below_deductible",
    "tier_accumulators": "shared",
}
Plan = Mapping[str, Any]


@dataclass
class Line:
    """One claim line; money in cents."""

    service: str
    day: int
    allowed: int
    units: int = 1
    days: int = 1
    tier: int = 1
    stay: str | None = None


@dataclass
class Charge:
    """What the enrollee pays of a line, in cents."""

    copay: int = 0
    deductible: int = 0
    coinsurance: int = 0

    @property
    def total(self) -> int:
        return self.copay + self.deductible + self.coinsurance


@dataclass
class Year:
    """What one enrollee has run up under one design; money by tier and domain, where tiers are kept apart."""

    counted: dict[tuple[int, str], int] = field(default_factory=dict)
    paid: dict[tuple[int, str], int] = field(default_factory=dict)
    visits: int = 0
    uncollected: dict[Any, int] = field(default_factory=dict)
    days_charged: dict[Any, int] = field(default_factory=dict)
    charged: set[Any] = field(default_factory=set)


def cents(dollars: Any) -> int:
    return int((Decimal(str(dollars)) * 100).to_integral_value("ROUND_HALF_UP"))


def half_up(amount: Fraction) -> int:
    return int(amount + Fraction(1, 2))  # never negative


def domain(service: str) -> str:
    return "drug" if service in DRUGS else "medical"


def terms_of_tier(plan: Plan, tier: int) -> Plan:
    if tier == 1 or "tier2" not in plan or plan["tier1_utilization"] == 1:
        return plan
    return {**plan, **plan["tier2"]}


def limit(terms: Plan, name: str, service: str, is_one: bool) -> int:
    return cents(terms[name] if is_one else terms[f"{name}_{domain(service)}"])


def has_one(terms: Plan, name: str) -> bool:
    kind = terms["deductible_type"]
    return kind == "integrated" or (name == "moop" and kind == "separate_deductible_combined_moop")


def room(terms: Plan, name: str, service: str, run_up: Mapping[tuple[int, str], int], tier: int) -> int:
    """What is left of a deductible or limit; where there is one for both domains, both count."""
    is_one = has_one(terms, name)
    domains = ("medical", "drug") if is_one else (domain(service),)
    done = sum(run_up.get((tier, of), 0) for of in domains)
    return max(0, limit(terms, name, service, is_one) - done)


def plan_share(terms: Plan, service: str) -> Fraction:
    own = terms.get("services", {}).get(service, {}).get("plan_coinsurance")
    if own is None:
        one = terms["deductible_type"] == "integrated"
        own = terms["plan_coinsurance" if one else f"plan_coinsurance_{domain(service)}"]
    return Fraction(Decimal(str(own)))


def copay_due(terms: Plan, own: Plan, line: Line, units: int, year: Year, person_stay: Any) -> int:
    """What the copay asks of a line: per visit or script, or what a stay owes and has not yet paid."""
    copay = cents(own.get("copay") or 0)
    if line.service not in PER_DAY:
        return copay * units
    options = terms.get("options", {})
    if options.get(PER_DAY[line.service]):
        days = line.days
        most = options.get("inpatient_copay_max_days") if line.service == "inpatient" else None
        if most is not None:
            days = min(days, most - year.days_charged.get(person_stay, 0))
        days = max(days, 0)
        year.days_charged[person_stay] = year.days_charged.get(person_stay, 0) + days
        fresh = copay * days
    else:
        fresh = 0 if person_stay in year.charged else copay
        year.charged.add(person_stay)
    return year.uncollected.get(person_stay, 0) + fresh


def shared(
    terms: Plan, own: Plan, line: Line, allowed: int, units: int, year: Year, left: int, rules: Plan, stay: Any
) -> Charge:
    """Steps 1 to 3 of the definition, for a line or a part of one: copay, deductible, coinsurance; no limit yet."""
    after = own.get("copay_after_deductible", False)
    under = own.get("subject_to_deductible", True) or after
    coinsured = own.get("subject_to_coinsurance", True)
    always = rules["copay_with_coinsurance"] == "always"
    has_copay = cents(own.get("copay") or 0) > 0

    def copay_on(amount: int) -> int:
        if not has_copay:
            return 0
        due = copay_due(terms, own, line, units, year, stay)
        taken = min(amount, due)
        if line.service in PER_DAY:
            year.uncollected[stay] = due - taken
        return taken

    def coinsurance_on(amount: int) -> int:
        found = half_up(amount * (1 - plan_share(terms, line.service)))
        cap = terms.get("options", {}).get("specialty_drug_coinsurance_max_per_script")
        if line.service == "specialty_drug" and cap is not None:
            found = min(found, cents(cap) * units)
        return found

    if not under:
        if not coinsured:
            return Charge(copay=copay_on(allowed))
        if has_copay and (left > 0 or always):
            copay = copay_on(allowed)
            return Charge(copay=copay, coinsurance=coinsurance_on(allowed - copay) if always else 0)
        if left > 0 and rules["exempt_coinsurance"] == "after_deductible":
            return Charge()
        return Charge(coinsurance=coinsurance_on(allowed))
    if after:
        deductible = min(allowed, left)
        beyond = allowed - deductible
        copay = copay_on(beyond) if always or not coinsured else 0
        return Charge(copay, deductible, coinsurance_on(beyond - copay) if coinsured else 0)
    copay = copay_on(allowed) if left > 0 or always or not coinsured else 0
    deductible = min(allowed - copay, left)
    beyond = allowed - copay - deductible
    return Charge(copay, deductible, coinsurance_on(beyond) if coinsured else 0)


def within(charge: Charge, most: int, deductible_first: bool) -> Charge:
    """Step 4: what has been charged first is kept first."""
    order = ("deductible", "copay", "coinsurance") if deductible_first else ("copay", "deductible", "coinsurance")
    kept = Charge()
    for name in order:
        amount = min(getattr(charge, name), most)
        setattr(kept, name, amount)
        most -= amount
    return kept


def adjudicate_line(line: Line, plan: Plan, year: Year, rules: Plan, stay: Any) -> Charge:
    terms = terms_of_tier(plan, line.tier)
    tier = line.tier if rules["tier_accumulators"] == "separate" and terms is not plan else 1
    if line.service == "preventive":
        return Charge()
    own = dict(terms.get("services", {}).get(line.service, {}))
    options = terms.get("options", {})
    total = Charge()

    def charge(of: Plan, allowed: int, units: int) -> None:
        left = room(terms, "deductible", line.service, year.counted, tier)
        asked = shared(terms, of, line, allowed, units, year, left, rules, stay)
        kept = within(
            asked, room(terms, "moop", line.service, year.paid, tier), of.get("copay_after_deductible", False)
        )
        key = (tier, domain(line.service))
        year.counted[key] = year.counted.get(key, 0) + kept.deductible
        year.paid[key] = year.paid.get(key, 0) + kept.total
        for name in ("copay", "deductible", "coinsurance"):
            setattr(total, name, getattr(total, name) + getattr(kept, name))

    if line.service != "primary_care":
        charge(own, line.allowed, line.units)
        return total
    most = options.get(FREE) or options.get(AT_COPAY) or 0
    if line.units == 0 and most:  # a further line of the visit before it, at which a first copay was charged
        if year.visits <= most:
            return total
        first, part = 0, 0
    else:
        first = min(line.units, max(0, most - year.visits))
        part = half_up(Fraction(line.allowed * first, line.units or 1))
    year.visits += line.units
    if first and options.get(AT_COPAY):
        flags = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible")
        charge({**own, **dict.fromkeys(flags, False)}, part, first)
    rest = own
    if options.get(AT_COPAY):
        under = own.get("subject_to_deductible", True) or own.get("copay_after_deductible", False)
        if under:
            rest = {**own, "copay_after_deductible": True}
        elif own.get("subject_to_coinsurance", True):
            rest = {**own, "copay": 0}
    if line.units > first or line.units == 0:
        charge(rest, line.allowed - part, line.units - first)
    return total


def in_order(lines: Sequence[Line]) -> list[Line]:
    """By day; lines of one day by service, tier, stay, those of 0 units or days last, allowed, units, days."""
    return sorted(
        lines,
        key=lambda x: (
            *(x.day, SERVICES.index(x.service), x.tier, x.stay or "", 0 in (x.units, x.days)),
            *(x.allowed, x.units, x.days),
        ),
    )


def adjudicate_enrollee(lines: Sequence[Line], plan: Plan, **settings: str) -> list[tuple[Line, Charge]]:
    """Return the lines of one enrollee in the order of adjudication, each with what the enrollee pays of it."""
    rules, year = {**DEFAULTS, **settings}, Year()
    return [
        (line, adjudicate_line(line, plan, year, rules, (line.service, line.stay if line.stay else ("own", number))))
        for number, line in enumerate(in_order(lines))
    ]
