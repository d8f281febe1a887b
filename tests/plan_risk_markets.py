"""Small made-up markets for plan risk, from a seed: families at every edge that decides who is billable.

Children of 20, 21, 25, 26, 29 and 30, twins, four and more children who come and go, births on 29 February, policies
without a subscriber, areas that change, months covered in full and in part, spans that reach over the year.
"""

import calendar
import random
from datetime import date, timedelta
from typing import Any

import polars as pl

Row = dict[str, Any]
STATES = ("TX", "NY", "VT", "MA", "ME", "UT", "NJ", "AL")
METALS = ("silver", "silver", "silver", "gold", "bronze", "expanded_bronze", "platinum", "catastrophic")
SCHEMAS = {
    "scores": {
        "enrollee_id": pl.String,
        "plan_id": pl.String,
        "csr_variant": pl.String,
        "metal_level": pl.String,
        "risk_score": pl.Float64,
        "csr_factor": pl.Float64,
        "csr_adjusted_score": pl.Float64,
    },
    "enrollees": {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String},
    "spans": {
        "enrollee_id": pl.String,
        "plan_id": pl.String,
        "csr_variant": pl.String,
        "metal_level": pl.String,
        "span_start": pl.Date,
        "span_end": pl.Date,
        "policy_id": pl.String,
        "relationship": pl.String,
        "rating_area_id": pl.String,
        "premium_monthly": pl.Float64,
        "effective_date": pl.Date,
    },
    "plans": {
        "plan_id": pl.String,
        "issuer_id": pl.String,
        "state": pl.String,
        "market": pl.String,
        "metal_level": pl.String,
    },
}
FACTORS = {"00": 1.0, "01": 1.0, "04": 1.0, "05": 1.12, "06": 1.12}


def frames(market: dict[str, list[Row]]) -> list[pl.DataFrame]:
    """The four frames, in the order of the arguments of plan_risk."""
    return [pl.DataFrame(market[name], schema=schema, orient="row") for name, schema in SCHEMAS.items()]


class Maker:
    """Draws markets; ids are numbered through, so that several markets can stand in one set of tables."""

    def __init__(self, seed: int, year: int) -> None:
        self.draw = random.Random(seed)
        self.year = year
        self.rows: dict[str, list[Row]] = {name: [] for name in SCHEMAS}
        self.first, self.last = date(year, 1, 1), date(year, 12, 31)
        self.numbers = list(range(100_000, 999_999))
        self.issuers = 0

    def issuer(self, policies: int) -> None:
        """One issuer in one state with a few plans and policies."""
        self.issuers += 1
        state = self.draw.choice(STATES)
        issuer = f"{self.issuers:05d}"
        plans = []
        for number in range(1, 4):
            market = self.draw.choice(("individual", "individual", "small_group"))
            metal = self.draw.choice(METALS)
            if metal == "catastrophic":
                market = "individual"
            plan = {"plan_id": f"{issuer}{state}{number:07d}", "issuer_id": issuer, "state": state, "market": market}
            plans.append({**plan, "metal_level": metal})
        self.rows["plans"] += plans
        for number in range(policies):
            self.policy(self.draw.choice(plans), f"{issuer}-{number}")

    def policy(self, plan: Row, policy_id: str) -> None:
        """One family: a subscriber, perhaps a spouse, children around the age limits, perhaps others."""
        draw = self.draw
        adult = draw.choice((19, 20, 21, 24, 28, 33, 45, 63, 64, 70))
        family = [("self", adult)] if draw.random() < 0.85 else [("self", draw.choice((3, 12, 17, 20)))]
        if draw.random() < 0.5:
            family.append(("spouse", draw.choice((20, 21, 30, 50))))
        ages = draw.choices((0, 1, 5, 10, 14, 15, 19, 20, 21, 25, 26, 29, 30), k=draw.choice((0, 0, 1, 2, 3, 4, 5, 6)))
        family += [("child", age) for age in ages]
        if draw.random() < 0.15:
            family.append(("other", draw.choice((8, 30, 66))))
        start, end = self.stretch()
        leader_leaves = draw.random() < 0.1
        twins = self.birth(draw.choice((2, 9, 20)))
        area = draw.randint(1, 3)
        moves = draw.random() < 0.15
        for place, (relationship, age) in enumerate(family):
            birth = twins if relationship == "child" and draw.random() < 0.3 else self.birth(age)
            own = (start, end)
            if place and draw.random() < 0.35:
                own = self.stretch()
            if not place and leader_leaves:
                own = (start, start + (end - start) / 2)
            said = None if draw.random() < 0.04 else relationship
            self.member(plan, policy_id, said, birth, own, area if not place or draw.random() < 0.3 else None, moves)

    def member(
        self, plan: Row, policy_id: str, relationship: str | None, birth: date, days: Any, area: int | None, moves: bool
    ) -> None:
        draw = self.draw
        enrollee = f"E{self.numbers.pop(draw.randrange(len(self.numbers)))}"
        self.rows["enrollees"].append({"enrollee_id": enrollee, "birth_date": birth, "sex": draw.choice("MF")})
        is_leader = relationship == "self"
        variant = draw.choice(list(FACTORS)) if plan["metal_level"] == "silver" else "01"
        scored = set()
        for number, (start, end) in enumerate(self.spans(*days)):
            if number and draw.random() < 0.3 and plan["metal_level"] == "silver":
                variant = draw.choice(list(FACTORS))
            key = {"enrollee_id": enrollee, "plan_id": plan["plan_id"], "csr_variant": variant}
            key["metal_level"] = plan["metal_level"]
            premium = round(draw.uniform(150, 900), 2) if is_leader or draw.random() < 0.05 else None
            if draw.random() < 0.01:
                premium = -1.0
            here = None if area is None else (area + (number if moves and is_leader else 0))
            text = None if here is None else draw.choice((f"{here}", f"{here:03d}", f"Rating Area {here}"))
            if is_leader and draw.random() < 0.02:
                text = None
            if not is_leader and draw.random() < 0.02:
                text = "9"
            span = {**key, "span_start": start, "span_end": end, "policy_id": policy_id, "relationship": relationship}
            self.rows["spans"].append({**span, "rating_area_id": text, "premium_monthly": premium})
            self.rows["spans"][-1]["effective_date"] = self.priced(start, plan)
            if variant not in scored and draw.random() > 0.02:
                score = draw.choice((0.0, 0.119, draw.randint(1, 40_000) / 1000))
                factor = FACTORS[variant]
                scored.add(variant)
                figures = {"risk_score": score, "csr_factor": factor}
                figures["csr_adjusted_score"] = round(score * 1000) * round(factor * 100) / 100_000
                self.rows["scores"].append({**key, **figures})

    def priced(self, start: date, plan: Row) -> date | None:
        if plan["market"] == "individual" or self.draw.random() < 0.5:
            return None
        return max(start, self.first) - timedelta(days=self.draw.choice((0, 1, 100, 364, 366, 367, 900)))

    def stretch(self) -> tuple[date, date]:
        """Days of cover: often the year, often whole months, sometimes any days, sometimes over the year's edges."""
        draw = self.draw
        kind = draw.random()
        if kind < 0.35:
            return self.first, self.last
        if kind < 0.7:
            low, high = sorted((draw.randint(1, 12), draw.randint(1, 12)))
            return date(self.year, low, 1), date(self.year, high, calendar.monthrange(self.year, high)[1])
        if kind < 0.75:
            return self.first - timedelta(days=draw.randint(1, 200)), self.last + timedelta(days=draw.randint(0, 40))
        low, high = sorted((draw.randint(0, 364), draw.randint(0, 364)))
        return self.first + timedelta(days=low), self.first + timedelta(days=high)

    def spans(self, start: date, end: date) -> list[tuple[date, date]]:
        """The days in one to three pieces, with or without a gap."""
        pieces = [(start, end)]
        for _ in range(self.draw.choice((0, 0, 0, 1, 2))):
            low, high = pieces.pop()
            days = (high - low).days
            if days < 2:
                return [*pieces, (low, high)]
            cut = low + timedelta(days=self.draw.randint(0, days - 2))
            pieces += [(low, cut), (cut + timedelta(days=self.draw.choice((1, 1, 1, 2))), high)]
        return [(low, high) for low, high in pieces if low <= high and low <= self.last and high >= self.first]

    def birth(self, age: int) -> date:
        """A birth date that makes somebody about so old in the year, often at an edge."""
        year = self.year - age
        kind = self.draw.random()
        if kind < 0.1:
            while not calendar.isleap(year):
                year -= 1
            return date(year, 2, 29)
        if kind < 0.3:
            return date(year, 1, self.draw.choice((1, 2)))
        return date(year, 1, 1) + timedelta(days=self.draw.randint(0, 364))
