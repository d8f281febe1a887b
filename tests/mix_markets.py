"""Small clean markets and random mixes over them, from a seed: families at the edges that a mix can break."""

import random
from datetime import date, timedelta
from typing import Any

import polars as pl

Row = dict[str, Any]
YEAR = 2025
FIRST, LAST = date(YEAR, 1, 1), date(YEAR, 12, 31)
METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")
CSR = {"00": 1.0, "01": 1.0, "04": 1.0, "05": 1.12, "06": 1.12}
# The cost-sharing factors of zero and limited cost sharing hold on every metal level but catastrophic.
NATIVE = {"02": {"platinum": 1.31, "gold": 1.39, "silver": 1.46, "bronze": 1.51}}
CHILDREN = (0, 3, 9, 14, 18, 20, 20, 21, 24, 25)
SCORE_COLUMNS = [f"score_{m}" for m in METALS]
SCHEMAS: dict[str, dict[str, Any]] = {
    "scores": {
        "enrollee_id": pl.String,
        "plan_id": pl.String,
        "csr_variant": pl.String,
        "metal_level": pl.String,
        "model": pl.String,
        "age_last": pl.Int64,
        **dict.fromkeys(SCORE_COLUMNS, pl.Float64),
        "risk_score": pl.Float64,
        "csr_factor": pl.Float64,
        "csr_adjusted_score": pl.Float64,
        "hccs": pl.List(pl.String),
    },
    "enrollees": {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String, "county": pl.String},
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
        "channel": pl.String,
    },
    "plans": {
        "plan_id": pl.String,
        "issuer_id": pl.String,
        "state": pl.String,
        "market": pl.String,
        "metal_level": pl.String,
        "network": pl.String,
    },
    "costs": {"enrollee_id": pl.String, "plan_id": pl.String, "csr_variant": pl.String, "plan_paid": pl.Float64},
    "mixes": {
        "mix": pl.String,
        "rule": pl.Int64,
        "column": pl.String,
        "operator": pl.String,
        "value": pl.String,
        "action": pl.String,
        "factor": pl.Float64,
        "to_plan_id": pl.String,
    },
}


def frame(name: str, rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMAS[name], orient="row")


def mixes_of(*rows: tuple[Any, ...]) -> pl.DataFrame:
    """Mixes from rows of mix, column, operator, value, action, factor and to_plan_id; each row is a rule."""
    columns = [c for c in SCHEMAS["mixes"] if c != "rule"]
    return pl.DataFrame(rows, schema={c: SCHEMAS["mixes"][c] for c in columns}, orient="row")


class Maker:
    """Draws one market: issuers with a plan of every metal level or so, families in two rating areas."""

    def __init__(self, seed: int, state: str, families: int, markets: tuple[str, ...] = ("individual",)) -> None:
        self.draw = random.Random(seed)
        self.state = state
        self.rows: dict[str, list[Row]] = {name: [] for name in SCHEMAS}
        self.numbers = self.draw.sample(range(10_000, 99_999), 40 * families + 100)
        for number in range(1, 4):
            for market in markets:
                self.issuer(f"{number:05d}", market)
        for number in range(families):
            self.family(f"P{number}")
        # Every area has silver and catastrophic members, so that the base can be settled.
        for plan in self.rows["plans"]:
            for area in (1, 2) if plan["metal_level"] in ("silver", "catastrophic") else ():
                self.member(plan, f"S{plan['plan_id']}{area}", "self", self.birth(27), (FIRST, LAST), area, "01", 310.0)

    def frames(self) -> list[pl.DataFrame]:
        """scores, enrollees, spans and plans."""
        return [frame(name, self.rows[name]) for name in ("scores", "enrollees", "spans", "plans")]

    def issuer(self, issuer: str, market: str) -> None:
        draw = self.draw
        metals = draw.sample(METALS[:4], draw.choice((2, 3, 4)))
        metals += ["catastrophic"] if market == "individual" and draw.random() < 0.5 else []
        metals += ["silver"] if issuer == "00001" else []
        metals += ["catastrophic"] if issuer == "00001" and market == "individual" else []
        for number, metal in enumerate(dict.fromkeys(metals), start=1 if market == "individual" else 100):
            level = "expanded_bronze" if metal == "bronze" and draw.random() < 0.4 else metal
            plan = {"plan_id": f"{issuer}{self.state}{number:07d}", "issuer_id": issuer, "state": self.state}
            self.rows["plans"].append(
                {**plan, "market": market, "metal_level": level, "network": draw.choice(("wide", "narrow", None))}
            )

    def family(self, policy: str) -> None:
        draw = self.draw
        plan = draw.choice(self.rows["plans"])
        area = draw.choice((1, 2)) if plan["metal_level"] != "platinum" else 1
        kin = [("self", draw.choice((19, 22, 30, 45, 63, 66)))]
        if draw.random() < 0.5:
            kin.append(("spouse", draw.choice((20, 29, 50))))
        kin += [("child", age) for age in draw.choices(CHILDREN, k=draw.choice((0, 0, 1, 2, 3, 4, 5, 6)))]
        if draw.random() < 0.1:
            kin.append(("other", draw.choice((30, 66))))
        days = self.days()
        variant = self.variant(plan)
        rate = draw.randint(200, 500)
        for place, (relationship, age) in enumerate(kin):
            own = self.part(days) if place and draw.random() < 0.3 else days
            said = None if relationship == "child" and draw.random() < 0.05 else relationship
            birth = self.birth(age)
            premium = round(rate * (1 + 0.7 * (len(kin) - 1)), 2) if place == 0 else None
            self.member(plan, policy, said, birth, own, area, variant, premium)

    def member(
        self,
        plan: Row,
        policy: str,
        relationship: str | None,
        birth: date,
        days: tuple[date, date],
        area: int,
        variant: str,
        premium: float | None,
    ) -> None:
        draw = self.draw
        who = f"E{self.numbers.pop()}"
        person = {"enrollee_id": who, "birth_date": birth, "sex": draw.choice("MF"), "county": draw.choice("ABC")}
        self.rows["enrollees"].append(person)
        age = YEAR - birth.year
        milli = [draw.choice((119, 350, draw.randint(100, 30_000))) for _ in METALS]
        scores = {column: m / 1000 for column, m in zip(SCORE_COLUMNS, milli, strict=True)}
        metal = "bronze" if plan["metal_level"] == "expanded_bronze" else plan["metal_level"]
        hccs = sorted(draw.sample(("008", "019", "020", "130", "161_1"), draw.choice((0, 0, 1, 2))))
        pieces = [days]
        if (days[1] - days[0]).days > 60 and draw.random() < 0.2:
            middle = days[0] + timedelta(days=draw.randint(5, 50))
            pieces = [(days[0], middle), (middle + timedelta(days=draw.choice((1, 4))), days[1])]
        scored = set()
        for number, (start, end) in enumerate(pieces):
            if number and draw.random() < 0.5:
                variant = self.variant(plan)
            key = {"enrollee_id": who, "plan_id": plan["plan_id"], "csr_variant": variant}
            key["metal_level"] = plan["metal_level"]
            days_of = {"span_start": start, "span_end": end}
            self.rows["spans"].append(
                {
                    **key,
                    **days_of,
                    "policy_id": policy,
                    "relationship": relationship,
                    "rating_area_id": f"R-{self.state}{area:03d}",
                    "premium_monthly": premium,
                    "channel": draw.choice(("web", "agent", None)),
                }
            )
            if variant in scored:
                continue
            scored.add(variant)
            factor = NATIVE[variant][metal] if variant in NATIVE else CSR[variant]
            own = milli[METALS.index(metal)]
            figures = {"risk_score": own / 1000, "csr_factor": factor}
            figures["csr_adjusted_score"] = own * round(factor * 100) / 100_000
            model = "adult" if age >= 21 else "child" if age >= 2 else "infant"
            self.rows["scores"].append({**key, "model": model, "age_last": age, **scores, **figures, "hccs": hccs})
            self.rows["costs"].append(
                {
                    "enrollee_id": who,
                    "plan_id": plan["plan_id"],
                    "csr_variant": variant,
                    "plan_paid": draw.randint(0, 10**6) / 100,
                }
            )

    def variant(self, plan: Row) -> str:
        if plan["metal_level"] == "catastrophic":
            return "01"
        if self.draw.random() < 0.1:
            return "02"
        return self.draw.choice(list(CSR)) if plan["metal_level"] == "silver" else self.draw.choice(("00", "01"))

    def days(self) -> tuple[date, date]:
        if self.draw.random() < 0.6:
            return FIRST, LAST
        low, high = sorted(self.draw.sample(range(365), 2))
        return FIRST + timedelta(days=low), FIRST + timedelta(days=high)

    def part(self, days: tuple[date, date]) -> tuple[date, date]:
        length = (days[1] - days[0]).days
        low, high = sorted((self.draw.randint(0, length), self.draw.randint(0, length)))
        return days[0] + timedelta(days=low), days[0] + timedelta(days=high)

    def birth(self, age: int) -> date:
        return date(YEAR - age, 1, 1) + timedelta(days=self.draw.choice((0, 1, 59, 150, 364)))

    def mix(self, name: str) -> list[Row]:
        """One mix of one to three rules; some of them have two conditions."""
        draw = self.draw
        rows = []
        for rule in range(1, draw.choice((2, 2, 3, 4))):
            action, factor, plan = "scale", draw.choice((0.0, 0.0, 0.5, 0.7, 2.0, 3.0)), None
            if draw.random() < 0.45:
                action, factor = "move", draw.choice((0.25, 0.5, 1.0, 1.0))
                plan = draw.choice(self.rows["plans"])["plan_id"]
            for condition in self.conditions():
                what = dict(zip(("column", "operator", "value"), condition, strict=True))
                rows.append({"mix": name, "rule": rule, **what, "action": action, "factor": factor, "to_plan_id": plan})
        return rows

    def conditions(self) -> list[tuple[str | None, str, str | None]]:
        draw = self.draw
        plan = draw.choice(self.rows["plans"])
        choices: list[tuple[str | None, str, str | None]] = [
            (None, "all", None),
            ("age_last", "between", f"{draw.randint(0, 19)}..{draw.randint(20, 50)}"),
            ("age_last", draw.choice((">", ">=", "<", "<=")), str(draw.choice((18, 20, 21, 30)))),
            ("relationship", "=", draw.choice(("self", "child", "spouse"))),
            ("relationship", "is null", None),
            ("sex", "!=", "F"),
            ("metal_level", "in", "|".join(draw.sample(("silver", "bronze", "expanded_bronze", "gold"), 2))),
            ("metal_level", "=", "silver"),
            ("csr_variant", draw.choice(("in", "not in")), "04|05|06"),
            ("issuer_id", "=", plan["issuer_id"]),
            ("plan_id", draw.choice(("=", "!=")), plan["plan_id"]),
            ("rating_area_id", "=", f"R-{self.state}001"),
            ("risk_score", ">", str(draw.choice((0.35, 2, 15.5)))),
            ("risk_decile", draw.choice(("<=", ">=")), str(draw.randint(2, 9))),
            ("hccs", draw.choice(("contains", "not contains")), draw.choice(("019|020", "130", "999"))),
            ("county", "in", "A|B"),
            ("channel", draw.choice(("=", "!=")), "web"),
            ("network", draw.choice(("=", "!=")), "wide"),
            ("network", "is null", None),
            ("span_start", "<=", "2025-02-01"),
        ]
        return draw.sample(choices, draw.choice((1, 1, 2)))


# ------------------------------------------------------------------------------------------------ a handful of people

TWELVE_MONTHS = date(YEAR, 12, 26)  # the 360th day


def small(*people, state="TX", **columns):
    """Frames of a handful of enrollees.

    Each has name, plan (issuer digit and metal letter), score, birth year; and as needed policy, kin, premium, area,
    variant.
    """
    metals = {"P": "platinum", "G": "gold", "S": "silver", "B": "bronze", "C": "catastrophic"}
    rows = {name: [] for name in ("scores", "enrollees", "spans", "plans")}
    plans = sorted({p["plan"] for p in people} | set(columns.pop("more_plans", ())))
    for plan in plans:
        issuer = plan[0] * 5
        row = {"plan_id": plan_id(plan, state), "issuer_id": issuer, "state": state, "market": "individual"}
        rows["plans"].append({**row, "metal_level": metals[plan[1]], "network": None})
    for person in people:
        metal, variant = metals[person["plan"][1]], person.get("variant", "01")
        key = {"enrollee_id": person["name"], "plan_id": plan_id(person["plan"], state), "csr_variant": variant}
        key["metal_level"] = metal
        factor = CSR.get(variant, 1.0)
        scores = {f"score_{m}": person["score"] + step / 10 for step, m in enumerate(METALS)}
        scores[f"score_{metal}"] = person["score"]
        figures = {"risk_score": person["score"], "csr_factor": factor}
        figures["csr_adjusted_score"] = round(person["score"] * 1000) * round(factor * 100) / 100_000
        age = YEAR - person["born"]
        rows["scores"].append(
            {**key, "model": "adult", "age_last": age, **scores, **figures, "hccs": person.get("hccs", [])}
        )
        birth = {
            "birth_date": date(person["born"], 1, 1),
            "sex": person.get("sex", "F"),
            "county": person.get("county"),
        }
        rows["enrollees"].append({"enrollee_id": person["name"], **birth})
        days = {"span_start": person.get("start", FIRST), "span_end": TWELVE_MONTHS, "channel": None}
        rows["spans"].append(
            {
                **key,
                **days,
                "policy_id": person.get("policy", person["name"]),
                "relationship": person.get("kin", "self"),
                "rating_area_id": f"R-{state}{person.get('area', 1):03d}",
                "premium_monthly": person.get("premium", 400.0 if person.get("kin", "self") == "self" else None),
            }
        )
    return [frame(name, rows[name]) for name in ("scores", "enrollees", "spans", "plans")]


def plan_id(plan, state="TX"):
    return f"{plan[0] * 5}{state}{'PGSBC'.index(plan[1]):07d}"


def person(name, plan, score=1.0, born=1985, **more):
    return {"name": name, "plan": plan, "score": score, "born": born, **more}


PAIR = (person("A", "1S", 0.5), person("B", "2S", 2.0))


def of_mix(frame, name="x", **where):
    return frame.filter(pl.col("mix") == name, *(pl.col(c) == v for c, v in where.items()))


def plan_row(result, plan, name="x", area=1):
    rows = of_mix(result.plans, name, plan_id=plan_id(plan), rating_area_id=f"R-TX{area:03d}")
    return rows.row(0, named=True)


def one(column, operator, value, factor=0.5, action="scale", plan=None, name="x"):
    return mixes_of((name, column, operator, value, action, factor, plan))


CROWD = small(
    person("A", "1S", 0.5, 1960, sex="M", county="X", hccs=["019", "130"], variant="06"),
    person("B", "1S", 1.5, 1990, sex="F", county=None, hccs=["020"]),
    person("C", "2G", 2.0, 2000, sex="F", county="Y", start=date(YEAR, 3, 1)),
    person("D", "2S", 3.0, 2004, sex="M", county="Y", area=2),
    person("E", "1S", 4.0, 2004, sex="M", county="Z", area=2),
)

GIVEN = pl.DataFrame(
    {
        "state": ["TX"] * 3,
        "risk_pool": ["individual"] * 3,
        "rating_area_id": ["R-TX001", "R-TX002", "R-TX003"],
        "gcf": [1.01, 0.98, 1.0],
    }
)
