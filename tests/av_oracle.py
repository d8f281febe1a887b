"""The slow, obvious twin of the actuarial value: one design at a time, in plain floats, a function per paragraph.

Written from the description of the calculator and the published tables alone; it shares no code with the product.
A design is the plain mapping of ``tests/cases/av``. Amounts are dollars, coinsurance is what the plan pays.
"""

import functools
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import data_specs

METALS = ("platinum", "gold", "silver", "bronze")
PASSES, CLOSE = 200, 1e-4
MEDICAL = {  # service: stems of its cost and frequency columns
    "emergency_room": "er",
    "inpatient": "ip",
    "primary_care": "pc",
    "specialist": "sp",
    "mental_health_outpatient": "mhsud",
    "imaging": "img",
    "speech_therapy": "st",
    "occupational_physical_therapy": "otpt",
    "preventive": "prev",
    "laboratory": "lab",
    "xray": "xray",
    "skilled_nursing": "snf",
    "outpatient_facility": "uncl_opfac",
    "outpatient_surgery_professional": "uncl_opprof",
}
DRUG = {
    "generic": "rx_generic",
    "preferred_brand": "rx_pref",
    "nonpreferred_brand": "rx_nonpref",
    "specialty_drug": "rx_specialty",
}
SERVICES = (*MEDICAL, *DRUG)
IN_TWO_PARTS = (
    "mental_health_outpatient",
    "imaging",
    "speech_therapy",
    "occupational_physical_therapy",
    "laboratory",
)
Plan = Mapping[str, Any]


class Unsettled(Exception):
    """The search for the spend at which the limit is reached within the deductible does not end."""


class Terms(NamedTuple):
    """How a service is shared: under the deductible, under coinsurance, copay, plan's share, copay only afterwards."""

    deductible: bool
    coinsurance: bool
    copay: float
    plan_share: float
    after: bool


FREE = Terms(deductible=False, coinsurance=False, copay=0.0, plan_share=1.0, after=False)


class Line(NamedTuple):
    """A cost and a frequency by row of a table, and their terms; a cap per script of the coinsurance, if any."""

    cost: list[float]
    frequency: list[float]
    terms: Terms
    cap: float | None = None


class Value(NamedTuple):
    """What the calculator gives: no value where its search does not settle."""

    av: float | None
    collapsed: bool = False
    bisected: bool = False
    nested: bool = False


# ---- section 3: tables


class Table:
    """The rows of one metal and domain."""

    def __init__(self, year: int, metal: str, domain: str) -> None:
        frame = _year(year)[metal, domain].sort("row")
        self.limits: list[float] = frame["spend_limit"].to_list()[:-1]
        self.columns = {name: frame[name].to_list() for name in frame.columns}
        self.capped: list[float] = self.columns["maxd_cost"]

    @property
    def whole(self) -> float:
        return self.capped[-1]

    def row(self, amount: float) -> tuple[int, float]:
        """The row at or below an amount, and the way to the next; the last row above the largest limit."""
        if amount > self.limits[-1]:
            return len(self.limits), 0.0
        below = bisect_right(self.limits, amount) - 1
        if self.limits[below] == amount:
            return below, 0.0
        lower, upper = self.limits[below], self.limits[below + 1]
        return below, (amount - lower) / (upper - lower)

    def mean(self, amount: float) -> float:
        """T: what all enrollees cost on average when each is capped at an amount."""
        return between(self.capped, self.row(amount))

    def read(self, column: str, amount: float) -> float:
        return between(self.columns[column], self.row(amount))

    def spend(self, mean: float) -> float:
        """The inverse of T."""
        below = bisect_right(self.capped, mean) - 1
        if below >= len(self.limits) - 1:
            return self.limits[-1] if self.capped[below] == mean else math.inf
        lower, upper = self.capped[below], self.capped[below + 1]
        way = (mean - lower) / (upper - lower)
        return self.limits[below] + way * (self.limits[below + 1] - self.limits[below])


def between(column: list[float], place: tuple[int, float]) -> float:
    row, way = place
    return column[row] if way == 0.0 else column[row] + way * (column[row + 1] - column[row])


@functools.cache
def _year(year: int) -> dict[Any, Any]:
    return data_specs.table("av/continuance", year=year).partition_by("metal", "table", as_dict=True)


@functools.cache
def table(year: int, metal: str, domain: str) -> Table:
    return Table(year, metal, domain)


# ---- sections 2 and 4: which terms a line has


def general(plan: Plan, service: str) -> float:
    """The plan's coinsurance of a service that has none of its own."""
    if "plan_coinsurance" in plan:
        return plan["plan_coinsurance"]
    return plan["plan_coinsurance_drug" if service in DRUG else "plan_coinsurance_medical"]


def terms_of(plan: Plan, service: str) -> Terms:
    if service == "preventive":
        return FREE
    entered = plan.get("services", {}).get(service, {})
    share = entered.get("plan_coinsurance")
    return Terms(
        entered.get("subject_to_deductible", True),
        entered.get("subject_to_coinsurance", True),
        entered.get("copay") or 0.0,
        general(plan, service) if share is None else share,
        entered.get("copay_after_deductible", False),
    )


def is_special(plan: Plan, service: str) -> bool:
    own = terms_of(plan, service)
    plain = own.deductible and own.coinsurance and own.copay == 0 and own.plan_share == general(plan, service)
    return not plain


def lines(plan: Plan, rows: Table, domain: str, *, below: bool) -> list[Line]:
    """Every line of a domain, with the terms below the deductible or those of the coinsurance range."""
    found: list[Line] = []
    if domain != "drug":
        for service in MEDICAL:
            found += medical_lines(plan, rows, service, below=below)
    if domain != "medical":
        cap = plan.get("options", {}).get("specialty_drug_coinsurance_max_per_script")
        for service, stem in DRUG.items():
            own = terms_of(plan, service)
            line = line_of(rows, f"{stem}_cost", f"{stem}_scripts", own)
            found.append(line._replace(cap=cap) if service == "specialty_drug" and own.coinsurance else line)
    return found


def line_of(rows: Table, cost: str, frequency: str, terms: Terms) -> Line:
    return Line(rows.columns[cost], rows.columns[frequency], terms)


def medical_lines(plan: Plan, rows: Table, service: str, *, below: bool) -> list[Line]:
    own, stem = terms_of(plan, service), MEDICAL[service]
    options = plan.get("options", {})
    if service == "inpatient":
        return [line_of(rows, "ip_cost", inpatient_frequency(options), own)]
    if service == "skilled_nursing":
        return [line_of(rows, "snf_cost", "snf_days" if options.get("snf_copay_per_day") else "snf_stays", own)]
    if service == "primary_care":
        return primary_care_lines(plan, rows, below=below)
    if service == "xray":
        return xray_lines(plan, rows, below=below)
    if service not in IN_TWO_PARTS:
        return [line_of(rows, f"{stem}_cost", f"{stem}_freq", own)]
    parts = {"opfac": "outpatient_facility", "opprof": "outpatient_surgery_professional"}
    return [
        line_of(rows, f"{stem}_{part}_cost", f"{stem}_{part}_freq", part_terms(plan, service, other))
        for part, other in parts.items()
    ]


def part_terms(plan: Plan, service: str, other: str) -> Terms:
    takes_others = is_special(plan, other) and not is_special(plan, service)
    return terms_of(plan, other if takes_others else service)


def inpatient_frequency(options: Plan) -> str:
    if not options.get("inpatient_copay_per_day"):
        return "ip_admits"
    days = options.get("inpatient_copay_max_days")
    return "ip_days" if days is None else f"ip_days_max{days}"


def first_visits(plan: Plan) -> tuple[int, float] | None:
    """How many first visits have terms of their own, and their copay (section 5.6)."""
    options = plan.get("options", {})
    free = options.get("primary_care_first_n_visits_free")
    if free is not None:
        return free, 0.0
    copays = options.get("primary_care_first_n_visits_copay_then_deductible")
    return None if copays is None else (copays, terms_of(plan, "primary_care").copay)


def primary_care_lines(plan: Plan, rows: Table, *, below: bool) -> list[Line]:
    own, first = terms_of(plan, "primary_care"), first_visits(plan)
    if first is None:
        return [line_of(rows, "pc_cost", "pc_freq", own)]
    visits, copay = first
    later = line_of(rows, f"pc_gt{visits}_cost", f"pc_gt{visits}_freq", own)
    free = "primary_care_first_n_visits_free" in plan["options"]
    if below and not free:
        later = later._replace(terms=own._replace(copay=0.0))
    cost = [whole - rest for whole, rest in zip(rows.columns["pc_cost"], later.cost, strict=True)]
    frequency = [whole - rest for whole, rest in zip(rows.columns["pc_freq"], later.frequency, strict=True)]
    return [Line(cost, frequency, FREE._replace(copay=copay)), later]


def xray_lines(plan: Plan, rows: Table, *, below: bool) -> list[Line]:
    own = terms_of(plan, "xray")
    if is_special(plan, "xray"):
        return [line_of(rows, "xray_cost", "xray_freq", own)]
    primary, first = terms_of(plan, "primary_care"), first_visits(plan)
    if first is not None and below:
        primary = FREE._replace(copay=first[1])
    return [
        line_of(rows, "xray_pc_cost", "xray_pc_freq", primary),
        line_of(rows, "xray_sp_cost", "xray_sp_freq", terms_of(plan, "specialist")),
        line_of(rows, "xray_uncl_cost", "xray_uncl_freq", own),
    ]


# ---- section 5.1 to 5.4: below the deductible


class Below(NamedTuple):
    """Spend at the deductible and what of it counts, the plan pays and copays take (in the table's own dollars)."""

    spend: float
    counts: float
    plan: float
    copays: float

    @property
    def whole(self) -> float:
        return self.counts + self.plan + self.copays

    def part(self, amount: float, empty: float = 0.0) -> float:
        return amount / self.whole if self.whole else empty

    @property
    def enrollee(self) -> float:
        """B: what the enrollee pays below the deductible."""
        return self.spend * (1.0 - self.part(self.plan))


def below_deductible(rows: Table, own: list[Line], spend: float) -> Below:
    """Section 5.1."""
    place = rows.row(spend)
    counts = plan = copays = 0.0
    for line in own:
        cost, frequency = between(line.cost, place), between(line.frequency, place)
        if line.terms.after:
            counts += cost
            continue
        copay = frequency * line.terms.copay
        copays += min(cost, copay)
        if line.terms.deductible:
            counts += max(0.0, cost - copay)
        else:
            plan += max(0.0, cost - copay)
    return Below(spend, counts, plan, copays)


def damped(passes: int, old: float, new: float) -> float:
    weight = math.exp(-passes / 5)
    return new * weight + (old + new) / 2 * (1 - weight)


def meet_deductible(rows: Table, own: list[Line], target: float) -> Below:
    """Section 5.2: the spend at which so much counts toward the deductible."""
    ratio, spend = 1.0, target
    for passes in range(PASSES):
        spend = target / ratio if ratio else spend
        found = below_deductible(rows, own, spend)
        new = found.part(found.counts, empty=1.0)
        if abs(ratio - new) < CLOSE:
            break
        ratio = damped(passes, ratio, new)
    return found


class Met(NamedTuple):
    """The spend at the deductible, whether the limit is reached by then, and whose search found it."""

    below: Below
    collapsed: bool = False
    bisected: bool = False
    pays_all: bool = False


def meet_limit_within(rows: Table, own: list[Line], deductible: float, limit: float, unsettled: str) -> Met:
    """Section 5.3."""
    found = meet_deductible(rows, own, deductible)
    nothing_counts = found.spend > 0 and found.part(found.counts, empty=1.0) == 0
    if not (deductible == limit or found.enrollee > limit or nothing_counts):
        return Met(found)
    target, first_above = deductible, None
    for passes in range(PASSES + 1):
        if found.whole > 0 and found.counts + found.copays == 0:
            return Met(found, collapsed=True, pays_all=True)
        if abs(found.enrollee - limit) < CLOSE or target == 0:
            return Met(found, collapsed=True)
        if first_above is None and found.enrollee >= limit:
            first_above = target
        if passes < PASSES:
            target *= min(2.0, max(0.25, 1 + (limit - found.enrollee) / (2 * target)))
            found = meet_deductible(rows, own, target)
    if unsettled == "bisect" and first_above is not None:
        return bisect_limit(lambda amount: meet_deductible(rows, own, amount), first_above, limit)
    raise Unsettled


def bisect_limit(search: Callable[[float], Below], above: float, limit: float) -> Met:
    lower, upper = 0.0, above
    for _ in range(PASSES):
        middle = (lower + upper) / 2
        found = search(middle)
        if abs(found.enrollee - limit) < CLOSE:
            return Met(found, collapsed=True, bisected=True)
        lower, upper = (middle, upper) if found.enrollee < limit else (lower, middle)
    raise Unsettled


# ---- section 5.5: the coinsurance range


def starting_share(domains: list[tuple[Table, list[Line]]]) -> float:
    """e_0: the plan's share of all spend, at the last rows."""
    paid = 0.0
    for _, own in domains:
        for line in own:
            cost, frequency = line.cost[-1], line.frequency[-1]
            if line.terms.coinsurance:
                paid += cost * line.terms.plan_share
            else:
                paid += max(0.0, cost - frequency * line.terms.copay)
    return min(1.0, paid / sum(rows.whole for rows, _ in domains))


def paid_at(line: Line, place: tuple[int, float]) -> tuple[float, float]:
    """What plan and enrollee pay of a line in the range, at a row."""
    cost, frequency = between(line.cost, place), between(line.frequency, place)
    if not line.terms.coinsurance:
        copay = frequency * line.terms.copay
        return max(0.0, cost - copay), min(cost, copay)
    plan = line.terms.plan_share * cost
    if line.cap is not None:
        plan = max(plan, cost - line.cap * frequency)
    return plan, cost - plan


def range_value(rows: Table, own: list[Line], spend: float, counted: float, limit: float, share: float) -> float:
    """What the plan pays above the deductible: its share of the range, and everything beyond it."""
    lower, upper, previous = rows.row(spend), spend, share
    start = [paid_at(line, lower) for line in own]
    if limit == spend:
        return rows.whole - rows.mean(spend)
    for passes in range(PASSES):
        upper = spend if share == 1 else spend + (limit - counted) / (1 - share)
        end = [paid_at(line, rows.row(upper)) for line in own]
        plan = sum(after[0] - before[0] for before, after in zip(start, end, strict=True))
        enrollee = sum(after[1] - before[1] for before, after in zip(start, end, strict=True))
        new = plan / (plan + enrollee) if plan + enrollee else 1.0
        previous, share = share, damped(passes, share, new)
        if abs(previous - new) < CLOSE:
            break
    else:
        share = min(previous, share)
    return share * (rows.mean(upper) - rows.mean(spend)) + rows.whole - rows.mean(upper)


class Paid(NamedTuple):
    """What the plan pays in dollars per enrollee, of how much, and how the deductible was met."""

    plan: float
    whole: float
    met: Met


def one_deductible(
    plan: Plan, rows: Table, domain: str, deductible: float, limit: float, unsettled: str = "null"
) -> Paid:
    """Sections 5.1 to 5.5 on one table."""
    below, above = (lines(plan, rows, domain, below=way) for way in (True, False))
    met = meet_limit_within(rows, below, deductible, limit, unsettled)
    if met.pays_all:
        return Paid(rows.whole, rows.whole, met)
    at = met.below
    first = rows.mean(at.spend) * at.part(at.plan)
    if met.collapsed:
        return Paid(first + rows.whole - rows.mean(at.spend), rows.whole, met)
    left = max(deductible, limit - at.spend * round(at.part(at.copays), 5))
    share = starting_share([(rows, above)])
    return Paid(first + range_value(rows, above, at.spend, deductible, left, share), rows.whole, met)


# ---- section 6: separate deductibles


class Two(NamedTuple):
    """Both deductibles met: each domain's place, the spend of both and of the entered amounts, the limit left."""

    parts: list[tuple[Table, Below]]
    spend: float
    counted: float
    left: float

    @property
    def paid(self) -> float:
        return sum(rows.mean(at.spend) * at.part(at.plan) for rows, at in self.parts)


def meet_both(plan: Plan, year: int, metal: str, scale: float) -> Two:
    both, parts, entered = table(year, metal, "combined"), [], 0.0
    for domain in ("medical", "drug"):
        rows = table(year, metal, domain)
        deductible = scale * plan[f"deductible_{domain}"]
        parts.append((rows, meet_deductible(rows, lines(plan, rows, domain, below=True), deductible)))
        entered += rows.mean(deductible)
    spend = both.spend(sum(rows.mean(at.spend) for rows, at in parts))
    copays = sum(at.spend * at.part(at.copays) for _, at in parts)
    return Two(parts, spend, both.spend(entered), plan["moop"] - copays)


def one_limit(plan: Plan, year: int, metal: str, rule: str = "scale_until_met") -> Value:
    """Two deductibles, one limit."""
    both = table(year, metal, "combined")
    met = meet_both(plan, year, metal, 1.0)
    nested = met.left < met.counted
    if nested and rule == "scale_until_met":
        lower, upper = 0.0, 1.0
        for _ in range(60):
            middle = (lower + upper) / 2
            met = meet_both(plan, year, metal, middle)
            lower, upper = (middle, upper) if met.left >= met.counted else (lower, middle)
        met = meet_both(plan, year, metal, lower)
        plan_pays = met.paid + both.whole - sum(rows.mean(at.spend) for rows, at in met.parts)
        return Value(min(1.0, plan_pays / both.whole), nested=True)
    counted = met.left if nested else met.counted
    domains = [(table(year, metal, d), lines(plan, table(year, metal, d), d, below=False)) for d in ("medical", "drug")]
    above = lines(plan, both, "combined", below=False)
    plan_pays = met.paid + range_value(both, above, met.spend, counted, met.left, starting_share(domains))
    return Value(min(1.0, plan_pays / both.whole), nested=nested)


def two_limits(plan: Plan, year: int, metal: str, unsettled: str = "null") -> Value:
    """Two deductibles, two limits."""
    found = [
        one_deductible(plan, table(year, metal, d), d, plan[f"deductible_{d}"], plan[f"moop_{d}"], unsettled)
        for d in ("medical", "drug")
    ]
    av = sum(p.plan for p in found) / sum(p.whole for p in found)
    return Value(min(1.0, av), bisected=any(p.met.bisected for p in found))


# ---- sections 5.7, 5.8: tiers and the employer's money; one value on the tables of one metal


def one_tier(plan: Plan, year: int, metal: str, *, unsettled: str, rule: str) -> tuple[Value, Below | None]:
    kind = plan["deductible_type"]
    if kind == "separate_deductible_combined_moop":
        return one_limit(plan, year, metal, rule), None
    if kind == "separate_deductible_separate_moop":
        return two_limits(plan, year, metal, unsettled), None
    rows = table(year, metal, "combined")
    paid = one_deductible(plan, rows, "combined", plan["deductible"], plan["moop"], unsettled)
    return Value(min(1.0, paid.plan / paid.whole), paid.met.collapsed, paid.met.bisected), paid.met.below


def employer_money(plan: Plan, rows: Table, at: Below, av: float) -> float:
    """Section 5.7: AV with the employer's contribution."""
    amount = min(plan["options"]["employer_hsa_hra"], plan["deductible"])
    counts = at.part(at.counts, empty=1.0)
    if counts == 0:
        return av
    worth = rows.mean(amount / counts) * counts
    return av + min((1 - av) * rows.whole, worth) / rows.whole


def value_on(plan: Plan, year: int, metal: str, *, unsettled: str = "null", rule: str = "scale_until_met") -> Value:
    """A design of the calculator of 2026 on the tables of one metal."""
    try:
        value, at = one_tier(plan, year, metal, unsettled=unsettled, rule=rule)
        if "tier2" in plan:
            second = {**plan, **plan["tier2"]}
            other, _ = one_tier(second, year, metal, unsettled=unsettled, rule=rule)
            use = plan["tier1_utilization"]
            blend = use * value.av + (1 - use) * other.av
            value = value._replace(av=blend, bisected=value.bisected or other.bisected)
    except Unsettled:
        return Value(None)
    if plan.get("options", {}).get("employer_hsa_hra") and at is not None:
        value = value._replace(av=employer_money(plan, table(year, metal, "combined"), at, value.av))
    return value


# ---- section 7: the tables of which metal


def choose(values: Mapping[str, float], windows: Mapping[str, tuple[float, float]]) -> tuple[str, bool]:
    """The metal whose tables are used, and whether its value lies in its own window."""
    missed = {}
    for metal in METALS:
        low, high = windows[metal]
        missed[metal] = max(low - values[metal], values[metal] - high, 0.0)
        if missed[metal] == 0.0:
            return metal, True
    return min(METALS, key=lambda metal: missed[metal]), False
