"""The slow, obvious twin of enrollee mixes: every span, rule and family by itself, in fractions.

It shares the figures and the family rules with the twin of plan risk (:mod:`plan_risk_oracle`) and no code of the
product. Frames are clean lists of rows, as :mod:`mix_markets` makes them.
"""

import functools
from collections import defaultdict
from collections.abc import Callable
from datetime import date
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

import plan_risk_oracle as plain
from plan_risk_oracle import ONE_DAY, Row, Span

CUT = Fraction(14, 100)
Key = tuple[str, str, str, str]
Parts = dict[str, Fraction]
# Which variants have a factor of their own on which metal levels, and which; the others have none (factor 1).
SILVER = {"04": Fraction(1), "05": Fraction(112, 100), "06": Fraction(112, 100)}
NATIVE = {m: Fraction(f, 100) for m, f in (("platinum", 131), ("gold", 139), ("silver", 146), ("bronze", 151))}
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda own, value: own == value,
    "!=": lambda own, value: own != value,
    "<": lambda own, value: own < value,
    "<=": lambda own, value: own <= value,
    ">": lambda own, value: own > value,
    ">=": lambda own, value: own >= value,
}


class Settled(NamedTuple):
    """One mix: plan rows by key with their transfer, issuers' transfers, and what each issuer's members cost."""

    rows: dict[Key, Row]
    issuers: dict[tuple[str, str, str], Fraction | None]
    paid: dict[tuple[str, str, str], Fraction]


class Market:
    """The base: spans with their people, plans and scores."""

    def __init__(self, rows: dict[str, list[Row]], year: int) -> None:
        self.year = year
        self.known_charges: dict[tuple[int, ...], dict[int, Fraction] | None] = {}
        self.plans = {p["plan_id"]: p for p in rows["plans"]}
        people = {p["enrollee_id"]: p for p in rows["enrollees"]}
        scores = {(s["enrollee_id"], s["plan_id"], s["csr_variant"]): s for s in rows["scores"]}
        self.spans = [Span(r, self.plans[r["plan_id"]], people[r["enrollee_id"]], year) for r in rows["spans"]]
        self.scores = {id(s): scores[s.row["enrollee_id"], s.plan["plan_id"], s.row["csr_variant"]] for s in self.spans}
        self.families: dict[Any, list[Span]] = defaultdict(list)
        for span in self.spans:
            self.families[span.policy].append(span)
        # Policies that no family tier fits are refused by plan risk, and take no part in any mix.
        self.families = {name: own for name, own in self.families.items() if plain.tiers_fit(own, year, plain.DEFAULTS)}
        self.spans = [s for s in self.spans if s.policy in self.families]
        self.deciles = self.risk_deciles()
        self.claims = self.claims_of_spans(rows["costs"])
        self.levels = self.premium_levels()
        self.base = self.settled(self.as_is(), None)

    # ---- whom a rule picks out

    def risk_deciles(self) -> dict[int, int]:
        """Deciles of months within a pool, by score."""
        pools = defaultdict(list)
        for span in self.spans:
            pools[plain.pool_of(span.plan, self.year)].append(
                (self.scores[id(span)]["risk_score"], len(span.days()), span)
            )
        found = {}
        for members in pools.values():
            total = sum(days for _, days, _ in members)
            for score, _, span in members:
                lower = sum(days for other, days, _ in members if other < score)
                same = sum(days for other, days, _ in members if other == score)
                found[id(span)] = 1 + int(10 * (lower + Fraction(same, 2)) / total)
        return found

    def value(self, span: Span, plan: Row, column: str) -> Any:
        """What a column says of a span whose months are in a plan."""
        if column == "csr_variant":
            return self.variant(span, plan)
        if column in plan:
            return plan[column]
        if column == "risk_decile":
            return self.deciles[id(span)]
        if column == "rating_area_id":
            return span.area
        for row in (span.row, self.scores[id(span)], span.person):
            if column in row:
                return row[column]
        raise AssertionError(column)

    def holds(self, span: Span, plan: Row, condition: Row) -> bool:
        operator, text = condition["operator"], condition["value"]
        if operator == "all":
            return True
        own = self.value(span, plan, condition["column"])
        if operator == "is null":
            return own is None
        if own is None:
            return False
        if operator in ("contains", "not contains"):
            return any(part in own for part in text.split("|")) == (operator == "contains")
        kind = type(own) if not isinstance(own, date) else date.fromisoformat
        if operator in ("in", "not in"):
            return (own in [kind(part) for part in text.split("|")]) == (operator == "in")
        if operator == "between":
            low, high = text.split("..")
            return kind(low) <= own <= kind(high)
        return TESTS[operator](own, kind(text))

    def weights(self, rows: list[Row]) -> dict[int, Parts]:
        """What of each span is where after the rules, in order."""
        parts = {id(s): {s.plan["plan_id"]: Fraction(1)} for s in self.spans}
        for number in sorted({r["rule"] for r in rows}):
            rule = [r for r in rows if r["rule"] == number]
            factor = Fraction(str(rule[0]["factor"]))
            for span in self.spans:
                own = parts[id(span)]
                chosen = [p for p in own if own[p] and all(self.holds(span, self.plans[p], c) for c in rule)]
                target = rule[0]["to_plan_id"]
                for plan in chosen:
                    if target is None:
                        own[plan] *= factor
                    elif plan != target:
                        own[target] = own.get(target, Fraction(0)) + own[plan] * factor
                        own[plan] *= 1 - factor
        return parts

    # ---- what a move changes

    def variant(self, span: Span, plan: Row) -> str:
        own, metal = span.row["csr_variant"], settles_as(plan)
        if plan["plan_id"] == span.plan["plan_id"] or own in ("00", "01"):
            return own
        fits = metal == "silver" if own in SILVER else metal in NATIVE
        return own if fits else "01"

    def score(self, span: Span, plan: Row) -> Fraction:
        """The adjusted score on a plan."""
        metal, variant = settles_as(plan), self.variant(span, plan)
        factor = NATIVE[metal] if variant == "02" else SILVER.get(variant, Fraction(1))
        return Fraction(str(self.scores[id(span)][f"score_{metal}"])) * factor

    def charges(self, family: list[Span], present: list[Span]) -> dict[int, Fraction] | None:
        names = tuple(id(s) for s in present)
        if names not in self.known_charges:
            self.known_charges[names] = self.charges_of(family, present)
        return self.known_charges[names]

    def charges_of(self, family: list[Span], present: list[Span]) -> dict[int, Fraction] | None:
        plan = family[0].plan
        tier = plain.tiers(plan["state"], plan["market"], self.year)
        ages = plain.ages_of(family, plain.DEFAULTS)
        if tier:
            return plain.charges_by_tier(present, ages, tier, 1)
        factors = plain.curve(plan["state"], plan["market"], self.year)
        return plain.charges_by_age(present, ages, factors, plain.most_children(self.year))

    def premium_levels(self) -> dict[tuple[str, str], Fraction]:
        """Premium per unit of rating factor and month, by plan and area."""
        self.premiums, self.units = defaultdict(Fraction), defaultdict(Fraction)
        for span, _, months, _, charged in self.every_stretch(self.as_is()):
            key = (span.plan["plan_id"], span.area)
            self.premiums[key] += months * Fraction(str(span.row["premium_monthly"] or 0))
            self.units[key] += months * charged.get(id(span), Fraction(0))
        return {key: p / self.units[key] for key, p in self.premiums.items() if p and self.units[key]}

    def as_is(self) -> dict[int, Parts]:
        return {id(s): {s.plan["plan_id"]: Fraction(1)} for s in self.spans}

    def level(self, plan: Row, area: str) -> Fraction:
        """The premium level of a plan in an area; from its other areas where it has none there."""
        key = (plan["plan_id"], area)
        if key in self.levels:
            return self.levels[key]
        pool = plain.pool_of(plan, self.year)

        def of_area(name: str) -> Fraction:
            held = [k for k in self.premiums if k[1] == name and plain.pool_of(self.plans[k[0]], self.year) == pool]
            return sum(self.premiums[k] for k in held) / sum(self.units[k] for k in held)

        own = [k for k in self.premiums if k[0] == plan["plan_id"]]
        if not own:
            raise LookupError("no premium")
        units = sum(self.units[k] for k in own)
        mean = sum(self.units[k] * of_area(k[1]) for k in own) / units
        return sum(self.premiums[k] for k in own) / units * of_area(area) / mean

    # ---- sums

    def every_stretch(self, parts: dict[int, Parts]) -> Any:
        """Yield every span that has weight in a plan, by stretches of days in which the same people are covered.

        With the first day of the stretch, its months, the plan, and who of the household there is charged.
        """
        for family in self.families.values():
            days = sorted({d for s in family for d in (s.first, s.last + ONE_DAY)})
            for plan in sorted({p for s in family for p, w in parts[id(s)].items() if w}):
                stretches = []
                for day, after in pairwise(days):
                    present = [s for s in family if s.covers(day) and parts[id(s)].get(plan)]
                    if present:
                        months = Fraction((after - day).days, 30)
                        stretches.append((day, months, present, self.charges(family, present)))
                # No family tier fits on some day: the policy takes no part in that plan.
                if any(charged is None for *_, charged in stretches):
                    continue
                for day, months, present, charged in stretches:
                    for span in present:
                        yield span, day, months, plan, charged

    def settled(self, parts: dict[int, Parts], base: Settled | None) -> Settled:
        sums: dict[Key, Row] = defaultdict(lambda: defaultdict(Fraction))
        paid: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        for span, day, months, name, charged in self.every_stretch(parts):
            plan, weight = self.plans[name], parts[id(span)][name] * months
            pool = plain.pool_of(plan, self.year)
            total = sums[plan["state"], pool, name, span.area]
            total["total"] += weight
            total["risk"] += weight * self.score(span, plan)
            factor = charged.get(id(span))
            if factor is not None:
                total["billable"] += weight
                total["factor"] += weight * factor
                total["premium"] += weight * factor * self.rate(span, plan, day)
            scale = metal_value(plan, self.year) / metal_value(span.plan, self.year)
            paid[plan["state"], pool, plan["issuer_id"]] += weight * self.claims[id(span)] * scale
        for span in self.spans:
            sums[span.plan["state"], plain.pool_of(span.plan, self.year), span.plan["plan_id"], span.area]
        rows = plain.finished(sums, self.plans, self.year, plain.DEFAULTS)
        for key, row in rows.items():
            if row["gcf"] == "lacking":
                place = (key[0], key[1], key[3])
                row["gcf"] = next(r["gcf"] for k, r in base.rows.items() if (k[0], k[1], k[3]) == place)
        return Settled(rows, self.transfers(rows), paid)

    @functools.cached_property
    def daily_rates(self) -> dict[tuple[Any, date], Fraction]:
        """Monthly premium per unit of rating factor of every policy and stretch of the base."""
        premium, units = defaultdict(Fraction), defaultdict(Fraction)
        for span, day, _, _, charged in self.every_stretch(self.as_is()):
            premium[span.policy, day] += Fraction(str(span.row["premium_monthly"] or 0))
            units[span.policy, day] += charged.get(id(span), Fraction(0))
        return {key: premium[key] / units[key] for key in units}

    def rate(self, span: Span, plan: Row, day: date) -> Fraction:
        """Premium per unit of rating factor that a member pays in a plan."""
        own = self.daily_rates[span.policy, day]
        if plan["plan_id"] == span.plan["plan_id"]:
            return own
        home = self.levels.get((span.plan["plan_id"], span.area))
        return own * self.level(plan, span.area) / home if home else self.level(plan, span.area)

    def claims_of_spans(self, costs: list[Row]) -> dict[int, Fraction]:
        """Claims of each span a month."""
        days: dict[Any, int] = defaultdict(int)
        key = {id(s): (s.row["enrollee_id"], s.plan["plan_id"], s.row["csr_variant"]) for s in self.spans}
        for span in self.spans:
            days[key[id(span)]] += len(span.days())
        paid = {(c["enrollee_id"], c["plan_id"], c["csr_variant"]): Fraction(str(c["plan_paid"])) for c in costs}
        return {name: paid.get(k, Fraction(0)) * 30 / days[k] for name, k in key.items()}

    def transfers(self, rows: dict[Key, Row]) -> dict[tuple[str, str, str], Fraction | None]:
        """The transfer of every issuer by state and pool; None where the pool has no months."""
        found: dict[tuple[str, str, str], Fraction | None] = {}
        for state, pool in {k[:2] for k in rows}:
            own = {k: r for k, r in rows.items() if k[:2] == (state, pool)}
            issuers = {(state, pool, self.plans[k[2]]["issuer_id"]) for k in own}
            live = {k: r for k, r in own.items() if r["billable_member_months"]}
            months = sum(r["billable_member_months"] for r in live.values())
            if not months:
                found.update(dict.fromkeys(issuers))
                continue
            risk = {k: r["plrs"] * r["idf"] * r["gcf"] for k, r in live.items()}
            fair = {k: r["av"] * r["arf"] * r["idf"] * r["gcf"] for k, r in live.items()}
            mean_risk = sum(live[k]["billable_member_months"] * risk[k] for k in live) / months
            mean_fair = sum(live[k]["billable_member_months"] * fair[k] for k in live) / months
            net = sum(r["premium"] for r in live.values()) / months * (1 - CUT)
            found.update(dict.fromkeys(issuers, Fraction(0)))
            for key, row in live.items():
                amount = (risk[key] / mean_risk - fair[key] / mean_fair) * net * row["billable_member_months"]
                found[state, pool, self.plans[key[2]]["issuer_id"]] += amount
        return found


def settles_as(plan: Row) -> str:
    return "bronze" if plan["metal_level"] == "expanded_bronze" else plan["metal_level"]


def metal_value(plan: Row, year: int) -> Fraction:
    av, idf = plain.metal_figures(plan["metal_level"], year)
    return av * idf
