"""The slow, obvious twin of plan risk: every policy day by day, in fractions, from the published tables alone.

It imports no code of the product. Each covered day of each person is looked at on its own: who else of the policy is
covered that day, who of them is billable, in which rating area the policy is, and what the day is worth in member
months. Input is clean but for what the tests spoil on purpose: people without a score, rows without an area, unknown
plans, negative premiums, policies that no family tier fits.
"""

import calendar
import csv
import functools
import importlib.resources
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

DEFAULTS: dict[str, Any] = {
    "family_tier_billable_children": 1,
    "gcf_decimals": None,
    "leap_birthday": "march_1",
    "max_billable_children_under_21_per_family": None,
    "month_rule": "days_over_30",
}
ONE_DAY = timedelta(days=1)
Row = dict[str, Any]


@functools.cache
def table(family: str, name: str) -> list[dict[str, str]]:
    """All rows of an installed table, as text."""
    path = Path(str(importlib.resources.files("data_specs") / "tables" / family / f"{name}.csv"))
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def holds(row: dict[str, str], year: int) -> bool:
    """Whether a row with first and last years holds for a year."""
    first = row.get("first_benefit_year") or row["first_plan_year"]
    last = row.get("last_benefit_year") or row.get("last_plan_year") or "9999"
    return int(first) <= year <= int(last)


def rule(name: str, absent: int | None = None) -> int:
    """A figure of the rating rules; one that need not be there has a stand-in."""
    found = [int(r["value"]) for r in table("rating", "rating_rules") if r["rule"] == name]
    return found[0] if found or absent is None else absent


@functools.cache
def curve(state: str, market: str, year: int) -> dict[int, Fraction]:
    assigned = [
        r["curve_id"]
        for r in table("rating", "age_curve_assignment")
        if (r["state"], r["market"]) == (state, market) and holds(r, year)
    ]
    return {int(r["age"]): Fraction(r["factor"]) for r in table("rating", "age_curves") if r["curve_id"] == assigned[0]}


@functools.cache
def tiers(state: str, market: str, year: int) -> dict[str, Fraction]:
    return {
        r["tier"]: Fraction(r["multiplier"])
        for r in table("rating", "family_tiers")
        if (r["state"], r["market"]) == (state, market) and holds(r, year)
    }


@functools.cache
def most_children(year: int) -> int:
    name = "max_billable_children_under_21_per_family"
    return next(
        int(r["value"]) for r in table("transfers", "program_parameters") if r["parameter"] == name and holds(r, year)
    )


def pool_of(plan: Row, year: int) -> str:
    if plan["metal_level"] == "catastrophic":
        return "catastrophic"
    merged = {r["state"] for r in table("transfers", "merged_markets") if holds(r, year)}
    return "merged" if plan["state"] in merged else plan["market"]


def metal_figures(metal: str, year: int) -> tuple[Fraction, Fraction]:
    name = "bronze" if metal == "expanded_bronze" else metal
    found = next(r for r in table("transfers", "metal_av_idf") if r["metal_level"] == name and holds(r, year))
    return Fraction(found["transfer_av"]), Fraction(found["induced_demand_factor"])


def age_on(birth: date, day: date, leap_birthday: str) -> int:
    """Completed years: birthdays counted one by one."""
    years = 0
    while True:
        year = birth.year + years + 1
        if birth.month == 2 and birth.day == 29 and not calendar.isleap(year):
            birthday = date(year, 3, 1) if leap_birthday == "march_1" else date(year, 2, 28)
        else:
            birthday = birth.replace(year=year)
        if birthday > day:
            return years
        years += 1


def area_text(text: Any, state: str) -> str | None:
    """Canonical area of the few spellings that the tests use."""
    if text is None or str(text).strip() == "":
        return None
    digits = str(text).strip().removeprefix("Rating Area ").removeprefix(f"R-{state}")
    return f"R-{state}{int(digits):03d}" if digits.isdigit() and int(digits) else None


class Span:
    """One usable span: days within the year, and the row it came from."""

    def __init__(self, row: Row, plan: Row, person: Row, year: int) -> None:
        self.row, self.plan, self.person = row, plan, person
        self.first = max(row["span_start"], date(year, 1, 1))
        self.last = min(row["span_end"], date(year, 12, 31))
        policy = row.get("policy_id") or row.get("subscriber_id") or row["enrollee_id"]
        self.policy = (bool(row.get("policy_id")), policy, plan["plan_id"])
        self.policy_id = policy
        self.relationship = row.get("relationship")
        self.is_subscriber = self.relationship == "self"
        self.area = area_text(row["rating_area_id"], plan["state"])

    def days(self) -> list[date]:
        return [self.first + timedelta(days=i) for i in range((self.last - self.first).days + 1)]

    def covers(self, day: date) -> bool:
        return self.first <= day <= self.last


def rating_age(span: Span, family: list[Span], leap_birthday: str) -> int:
    mine = {d for s in family if s.person is span.person for d in s.days()}
    day = span.first
    while day - ONE_DAY in mine:
        day -= ONE_DAY
    priced = span.row.get("effective_date")
    if priced is not None and span.first - timedelta(days=366) <= priced <= span.first:
        day = priced
    return max(0, age_on(span.person["birth_date"], day, leap_birthday))


def charges_by_age(members: list[Span], ages: dict[int, int], factors: dict[int, Fraction], most: int) -> Any:
    """Billable factor by id(span); a span that is not billable is left out."""
    adult_age = rule("child_rating_below_age")
    children = [s for s in members if ages[id(s)] < adult_age]
    children.sort(key=lambda s: (s.person["birth_date"], s.person["enrollee_id"]))
    billable = [s for s in members if ages[id(s)] >= adult_age] + children[:most]
    return {id(s): factors[min(ages[id(s)], max(factors))] for s in billable}


def charges_by_tier(members: list[Span], ages: dict[int, int], tier: dict[str, Fraction], counted: int) -> Any:
    """The same in a family-tier state; None where no tier is published."""
    members = sorted(members, key=lambda s: (s.person["birth_date"], s.person["enrollee_id"]))
    limit = rule("family_tier_child_below_age")
    rider = tier.get("age29_rider_multiplier")
    top = rule("ny_age29_option_below_age") if rider else limit
    adult_age = rule("child_rating_below_age")
    alone_from = adult_age if "child_only" in tier else rule("family_tier_adult_subscriber_age", absent=adult_age)
    needed = {id(s): alone_from if s.relationship == "self" else adult_age for s in members}
    if not any(s.relationship == "spouse" or ages[id(s)] >= needed[id(s)] for s in members):
        adults, children = [], members
    else:
        children = [
            s
            for s in members
            if (s.relationship == "child" and ages[id(s)] < top) or (s.relationship is None and ages[id(s)] < limit)
        ]
        adults = [s for s in members if s not in children]
        if not adults:
            adults, children = [members[0]], members[1:]
    heads = min(2, max(1, sum(s.relationship in ("self", "spouse", None) for s in adults)))
    name = ["one_adult", "two_adults"][heads - 1] + ("_children" if children else "") if adults else "child_only"
    if name not in tier:
        return None
    total = tier[name]
    if rider and any(s.relationship == "child" and ages[id(s)] >= limit for s in children):
        total *= rider
    if adults:
        total += (len(adults) - heads) * tier["one_adult"]
    billable = adults + children[:counted]
    return {id(s): total / len(billable) for s in billable}


def area_on(day: date, span: Span, family: list[Span]) -> str | None:
    donors = [s for s in family if s.is_subscriber and s.area]
    if not donors:
        if span.area:
            return span.area
        donors = [s for s in family if s.area]
    donors.sort(key=lambda s: (s.first, s.area))
    before = [s for s in donors if s.first <= day]
    if before:
        return before[-1].area
    return donors[0].area if donors else None


def plan_rows(
    scores: list[Row], enrollees: list[Row], spans: list[Row], plans: list[Row], year: int, settings: Row
) -> dict[tuple[str, str, str, str], Row]:
    """Return by state, pool, plan and area: months, premium, plrs, arf, av, idf, gcf as fractions (None: undefined)."""
    chosen = {**DEFAULTS, **settings}
    people = {p["enrollee_id"]: p for p in enrollees}
    known = {p["plan_id"]: p for p in plans}
    usable = [
        Span(r, known[r["plan_id"]], people[r["enrollee_id"]], year)
        for r in spans
        if r["plan_id"] in known and r["enrollee_id"] in people
    ]
    score = {(s["enrollee_id"], s["plan_id"], s["csr_variant"], s["metal_level"]): s for s in scores}
    families = defaultdict(list)
    for span in usable:
        families[span.policy].append(span)
    sums: dict[tuple[str, str, str, str], Row] = defaultdict(lambda: defaultdict(Fraction))
    for family in families.values():
        if tiers_fit(family, year, chosen):
            add_family(family, score, sums, year, chosen)
    return finished(sums, known, year, chosen)


def ages_of(family: list[Span], chosen: Row) -> dict[int, int]:
    return {id(s): rating_age(s, family, chosen["leap_birthday"]) for s in family}


def tiers_fit(family: list[Span], year: int, chosen: Row) -> bool:
    plan = family[0].plan
    tier = tiers(plan["state"], plan["market"], year)
    if not tier:
        return True
    ages = ages_of(family, chosen)
    days = {d for s in family for d in (s.first, s.last + ONE_DAY)}
    present = [[s for s in family if s.covers(d)] for d in days]
    counted = chosen["family_tier_billable_children"]
    return all(charges_by_tier(m, ages, tier, counted) is not None for m in present if m)


def worth(day: date, mine: set[date], month_rule: str) -> int:
    """Thirtieths of a month for one covered day; in a month covered in full the last day makes it thirty."""
    if month_rule == "days_over_30" or (day + ONE_DAY).day != 1:
        return 1
    is_full = all(day.replace(day=d) in mine for d in range(1, day.day))
    return 31 - day.day if is_full else 1


def add_family(family: list[Span], score: Any, sums: Any, year: int, chosen: Row) -> None:
    """Go through the days of a family; what counts is added up as whole thirtieths of a month first."""
    plan = family[0].plan
    factors = curve(plan["state"], plan["market"], year)
    tier = tiers(plan["state"], plan["market"], year)
    most = chosen["max_billable_children_under_21_per_family"]
    most = most_children(year) if most is None else most
    ages = ages_of(family, chosen)
    days_of = {s.person["enrollee_id"]: set() for s in family}
    for span in family:
        days_of[span.person["enrollee_id"]].update(span.days())
    tally: dict[tuple[Span, str, Fraction | None], int] = defaultdict(int)
    members: list[Span] = []
    charged: dict[int, Fraction] = {}
    areas: dict[Span, str | None] = {}
    for day in sorted(set().union(*days_of.values())):
        today = [s for s in family if s.covers(day)]
        if today != members:
            members = today
            if tier:
                charged = charges_by_tier(members, ages, tier, chosen["family_tier_billable_children"])
            else:
                charged = charges_by_age(members, ages, factors, most)
            areas = {s: area_on(day, s, family) for s in members}
        for span in members:
            thirtieths = worth(day, days_of[span.person["enrollee_id"]], chosen["month_rule"])
            tally[span, areas[span], charged.get(id(span))] += thirtieths
    for (span, area, factor), thirtieths in tally.items():
        row, months = span.row, Fraction(thirtieths, 30)
        found = score.get((row["enrollee_id"], row["plan_id"], row["csr_variant"], row["metal_level"]))
        premium = row.get("premium_monthly")
        if found is None or area is None or (premium is not None and premium < 0):
            continue
        total = sums[plan["state"], pool_of(plan, year), plan["plan_id"], area]
        total["total"] += months
        total["risk"] += months * Fraction(str(found["risk_score"])) * Fraction(str(found["csr_factor"]))
        total["premium"] += months * Fraction(str(premium or 0))
        if factor is not None:
            total["billable"] += months
            total["factor"] += months * factor


def finished(sums: Any, plans: dict[str, Row], year: int, chosen: Row) -> dict[tuple[str, str, str, str], Row]:
    out = {}
    for key, total in sums.items():
        av, idf = metal_figures(plans[key[2]]["metal_level"], year)
        billable = total["billable"]
        out[key] = {
            "billable_member_months": billable,
            "total_member_months": total["total"],
            "premium": total["premium"],
            "plrs": total["risk"] / billable if billable else None,
            "arf": total["factor"] / billable if billable else None,
            "av": av,
            "idf": idf,
        }
    for state, pool in {key[:2] for key in out}:
        rows = {k: r for k, r in out.items() if k[:2] == (state, pool)}
        wanted = "catastrophic" if pool == "catastrophic" else "silver"
        areas = {k[3] for k, r in rows.items() if r["billable_member_months"]}
        basis = [
            (k[3], r["billable_member_months"], r["premium"] / r["arf"])
            for k, r in rows.items()
            if plans[k[2]]["metal_level"] == wanted and r["billable_member_months"]
        ]
        for key, row in rows.items():
            here = [(b, u) for area, b, u in basis if area == key[3]]
            if key[3] not in areas:
                row["gcf"] = None
            elif len(areas) == 1:
                row["gcf"] = Fraction(1)
            elif here:
                local = sum(u for _, u in here) / sum(b for b, _ in here)
                whole = sum(u for _, _, u in basis) / sum(b for _, b, _ in basis)
                row["gcf"] = local / whole if local else "lacking"
            else:
                row["gcf"] = "lacking"
    return out
