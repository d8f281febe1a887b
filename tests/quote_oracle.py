"""A household's quote the slow and obvious way: one household, one plan, one figure at a time, in fractions."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from math import floor

from data_specs import table

HALF = Fraction(1, 2)


def cents(dollars):
    """Whole cents, half a cent up."""
    return floor(dollars * 100 + HALF)


def whole(value):
    return floor(value + HALF)


def years_between(born, on):
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def value_of(rule):
    rows = table("rating/rating_rules").filter(table("rating/rating_rules")["rule"] == rule)
    return Fraction(rows["value"][0])


class Place:
    """The published figures of one state, market and year."""

    def __init__(self, state, market, year):
        assigned = table("rating/age_curve_assignment", year=year).rows(named=True)
        curve = next(r["curve_id"] for r in assigned if (r["state"], r["market"]) == (state, market))
        rows = [r for r in table("rating/age_curves").rows(named=True) if r["curve_id"] == curve]
        self.factor = {r["age"]: Fraction(repr(r["factor"])) for r in rows}
        tiers = table("rating/family_tiers").rows(named=True)
        self.tiers = {
            r["tier"]: Fraction(repr(r["multiplier"]))
            for r in tiers
            if (r["state"], r["market"]) == (state, market)
            and r["first_plan_year"] <= year <= (r["last_plan_year"] or year)
        }
        limit = table("rating/tobacco_limits").rows(named=True)
        self.ceiling = next(
            Fraction(repr(r["max_ratio"])) for r in limit if (r["state"], r["market"]) == (state, market)
        )
        self.state, self.market, self.year = state, market, year


def rate(place, plan, member, *, tobacco, quarter=1):
    """One enrollee's rate in cents, from base factors or a filed table."""
    age = min(member["age"], 64)
    smokes = tobacco and member["tobacco"] and place.ceiling > 1 and member["age"] >= (21 if place.year >= 2020 else 18)
    if "filed" in plan:
        return plan["filed"][age, smokes]
    product = Fraction(plan["base_rate"]) * Fraction(plan.get("area_factor", "1")) * place.factor[age]
    if place.market == "small_group":
        product *= Fraction(plan[f"trend_q{quarter}"])
    return cents(product * (Fraction(plan.get("tobacco_ratio", "1")) if smokes else 1))


def charged(members, most):
    """Adults, and the oldest children below 21; ties by id."""
    adults = [m for m in members if m["age"] >= 21]
    children = sorted((m for m in members if m["age"] < 21), key=lambda m: (m["born"], m["member_id"]))
    return adults + children[: min(most, 3)]


def tier_multiplier(place, members):
    """Multiplier of a policy with its further adults, and that of the tier alone; None where none is published."""
    option = place.tiers.get("age29_rider_multiplier")
    limit = 30 if option else 26
    grown = [m for m in members if m["relationship"] == "spouse" or m["age"] >= 21]
    if "child_only" not in place.tiers:
        grown += [m for m in members if m["relationship"] == "self" and m["age"] >= 18 and m not in grown]
    if not grown:
        tier = place.tiers.get("child_only")
        return tier, "child_only", 0, len(members), False
    children = [m for m in members if m["relationship"] == "child" and m["age"] < limit]
    if len(children) == len(members):
        oldest = min(children, key=lambda m: (m["born"], m["member_id"]))
        children.remove(oldest)
    adults = [m for m in members if m not in children]
    core = [m for m in adults if m["relationship"] in ("self", "spouse")]
    number = min(max(len(core), 1), 2)
    name = ("one_adult", "two_adults")[number - 1] + ("_children" if children else "")
    uses = any(m["age"] >= 26 for m in children)
    further = len(adults) - number
    multiplier = place.tiers[name] * (option if uses else 1) + further * place.tiers["one_adult"]
    return multiplier, name, further, len(children), uses


def premium(place, plan, members, *, tobacco=True, quarter=1):
    """A policy's premium in cents; None where it has none."""
    if place.tiers:
        multiplier, name, further, _, uses = tier_multiplier(place, members)
        if multiplier is None:
            return None
        if "filed_tiers" in plan:
            one = plan["filed_tiers"]["one_adult"]
            if uses or name == "one_adult":
                return whole(one * multiplier)
            return plan["filed_tiers"][name] + further * one
        return cents(Fraction(plan["base_rate"]) * Fraction(plan.get("area_factor", "1")) * multiplier)
    paying = charged(members, plan.get("children_charged_max", 3))
    rates = [rate(place, plan, m, tobacco=tobacco, quarter=quarter) for m in paying]
    return None if any(r is None for r in rates) else sum(rates)


def ehb(plan, amount):
    return whole(amount * Fraction(plan.get("ehb_pct_premium", "1")))


def benchmark(place, plans, members, tie="plans"):
    """Second-lowest silver premium in cents (the only one where there is one), or None."""
    found = []
    for plan in sorted(plans, key=lambda p: p["plan_id"]):
        if plan["metal_level"] == "silver" and plan.get("on_exchange", True):
            amount = premium(place, plan, members, tobacco=False)
            if amount is not None:
                found.append(ehb(plan, amount))
    if tie == "premiums":
        found = sorted(set(found))
    found.sort()
    return (found[1] if len(found) > 1 else found[0]) if found else None


def contribution(place, income_cents, size):
    """Percent of the poverty line, monthly contribution in dollars (None above the limits), and whether too poor."""
    region = {"AK": "alaska", "HI": "hawaii"}.get(place.state, "contiguous")
    lines = table("rating/federal_poverty_guidelines", year=place.year - 1).rows(named=True)
    steps = table("rating/federal_poverty_increments", year=place.year - 1).rows(named=True)
    step = next(r["each_additional"] for r in steps if r["region"] == region)
    line = {r["household_size"]: r["annual_amount"] for r in lines if r["region"] == region}
    line = line[min(size, 8)] + max(size - 8, 0) * step
    income = max(income_cents, 0)
    percent = 401 if income > 400 * line else floor(Fraction(income, line))
    limits = table("rating/ptc_income_limits", year=place.year).row(0, named=True)
    if percent < limits["lower_fpl_pct"] or (limits["upper_fpl_pct"] is not None and percent > limits["upper_fpl_pct"]):
        return percent, None
    for row in table("rating/ptc_applicable_percentages", year=place.year).rows(named=True):
        low, high = row["fpl_pct_from"], row["fpl_pct_to"]
        inside = percent >= low and (
            high is None or percent < high or (percent == high and row["upper_bound_inclusive"])
        )
        if inside:
            first, last = Fraction(repr(row["initial_pct"])), Fraction(repr(row["final_pct"]))
            at = first if high is None else first + (last - first) * Fraction(percent - low, high - low)
            annual = whole(Fraction(income, 100) * Fraction(whole(at * 100), 10_000))
            return percent, whole(Fraction(annual, 12))
    return percent, None


def variant(percent, plan, *, has_credit, tribal):
    if not plan.get("on_exchange", True):
        return "00"
    if plan["metal_level"] == "catastrophic":
        return "01"
    if tribal:
        return "02" if percent <= 300 and (percent >= 100 or has_credit) else "03"
    if has_credit and plan["metal_level"] == "silver" and percent <= 250:
        return "06" if percent <= 150 else "05" if percent <= 200 else "04"
    return "01"


def quoted(place, household, plans, tie="plans"):
    """Rows of one household by plan_id: premium, benchmark, contribution, credit, net (cents or None), variant."""
    members = [m for m in household["members"] if m["seeks"]]
    on = household["effective"]
    for m in members:
        m["age"] = years_between(m["born"], on)
    own = [m for m in members if m["eligible"]]
    rest = [m for m in members if not m["eligible"]]
    base = benchmark(place, plans, own, tie) if own else None
    # 0: there are no others; None: theirs is not known
    others = benchmark(place, plans, rest, tie) if own and rest else 0
    percent = monthly = None
    if household["income"] is not None:
        percent, monthly = contribution(place, household["income"], household["size"])
    young = all(years_between(m["born"], date(place.year, 1, 1)) < 30 for m in members)
    helped = percent is not None and monthly is not None
    hardship = place.year >= 2026 and percent is not None and (not helped or percent > 250)
    rows = {}
    for plan in plans:
        gross = premium(place, plan, members)
        if gross is None or (plan["metal_level"] == "catastrophic" and not young and not hardship):
            continue
        credit = credit_of(plan, gross, base, others, household, own, monthly)
        who = helped and own and not rest
        csr = None
        if percent is not None or plan["metal_level"] == "catastrophic" or not plan.get("on_exchange", True):
            csr = variant(percent, plan, has_credit=bool(who), tribal=household["tribal"])
        rows[plan["plan_id"]] = {
            "premium": gross,
            "benchmark": base,
            "credit": credit,
            "net": None if credit is None else gross - credit,
            "variant": csr,
        }
    return rows


def credit_of(plan, gross, base, others, household, own, monthly):
    if plan["metal_level"] == "catastrophic" or not plan.get("on_exchange", True):
        return 0
    if household["income"] is None:
        return None
    if not own or monthly is None:
        return 0
    if base is None:
        return None
    if base <= 100 * monthly:
        return 0
    if others is None:
        return None
    limit = ehb(plan, gross)
    if others:
        limit = whole(Fraction(limit * base, base + others))
    return min(limit, base - 100 * monthly)
