"""Made-up households and plans for quotes: as frames for the product, as plain values for the slow twin."""

from __future__ import annotations

import random
from datetime import date, timedelta

import polars as pl

from rating._quote import quote

STATES = ("TX", "AR", "MN", "CA", "NY", "VT")
METALS = ("silver", "silver", "silver", "bronze", "gold", "catastrophic", "silver")


def born_at(age, on):
    """The latest birth date of someone of that age."""
    return date(on.year - age, on.month, on.day)


def member(household_id, member_id, **cells):
    row = {
        "household_id": household_id,
        "member_id": member_id,
        "relationship": None,
        "birth_date": date(1986, 1, 1),
        "tobacco_use": False,
        "seeks_coverage": True,
        "credit_eligible": True,
        "rating_area_id": "R-TX001",
        "annual_income": None,
        "tax_household_size": None,
        "effective_date": date(2026, 1, 1),
        "is_tribal": False,
    }
    return row | cells


def frame(rows):
    schema = {
        "household_id": pl.String,
        "member_id": pl.String,
        "relationship": pl.String,
        "birth_date": pl.Date,
        "tobacco_use": pl.Boolean,
        "seeks_coverage": pl.Boolean,
        "credit_eligible": pl.Boolean,
        "rating_area_id": pl.String,
        "annual_income": pl.String,
        "tax_household_size": pl.Int64,
        "effective_date": pl.Date,
        "is_tribal": pl.Boolean,
    }
    more = {c: pl.String for row in rows for c in row if c not in schema}
    return pl.DataFrame(rows, schema=schema | more, orient="row")


def family(*ages, household_id="h", on=date(2026, 1, 1), **cells):
    """One household with members of these ages; the first is its subscriber."""
    return [
        member(
            household_id,
            f"{i:02d}",
            birth_date=born_at(age, on),
            effective_date=on,
            relationship="self" if i == 0 else "spouse" if i == 1 and age >= 26 else "child",
            **cells,
        )
        for i, age in enumerate(ages)
    ]


def plan(plan_id, base_rate="300.00", area="R-TX001", **cells):
    return {
        "plan_id": plan_id,
        "rating_area_id": area,
        "base_rate": base_rate,
        "metal_level": "silver",
        "area_factor": "1",
        "ehb_pct_premium": "1",
        "on_exchange": True,
        "children_charged_max": 3,
    } | cells


def random_offers(draw: random.Random, states=STATES, areas=2):
    """Plans of some states, as rows."""
    rows = []
    for state in states:
        may_load = state in ("TX", "AR", "MN")
        for area in range(1, areas + 1):
            for nth in range(draw.randint(0, 9)):
                ratio = draw.choice(["1", "1.1", "1.2"]) if may_load else "1"
                rows.append(
                    plan(
                        f"{10000 + nth}{state}{nth:07d}",
                        f"{draw.randint(20000, 60000) / 100:.2f}" + draw.choice(["", "37", "125"]),
                        f"R-{state}{area:03d}",
                        metal_level=METALS[nth % len(METALS)],
                        area_factor=draw.choice(["1", "0.972", "1.0833"]),
                        ehb_pct_premium=["1", "0.987", "1", "0.9"][nth % 4],
                        on_exchange=nth % 5 != 4,
                        children_charged_max=[3, 3, 1][nth % 3],
                        tobacco_ratio=ratio,
                    )
                )
    return rows


def random_households(draw: random.Random, number, year, states=STATES, areas=2):
    """Households as member rows."""
    rows = []
    for h in range(number):
        state = draw.choice(states)
        on = date(year, draw.randint(1, 12), draw.randint(1, 28))
        size = draw.choice([1, 1, 2, 3, 4, 5, 7])
        income = draw.choice([None, draw.randint(0, 15_000_000) / 100, draw.randint(15_000, 60_000)])
        household = {
            "rating_area_id": f"R-{state}{draw.randint(1, areas):03d}",
            "annual_income": None if income is None else f"{income:.2f}",
            "tax_household_size": None if income is None else size + draw.choice([0, 0, 1]),
            "effective_date": on,
            "is_tribal": draw.random() < 0.1,
        }
        roles = ["self", draw.choice(["spouse", "child", "other"]), *draw.choices(["child", "child", "other"], k=9)]
        for m in range(size):
            adult = m == 0 or roles[m] in ("spouse", "other")
            age_days = draw.randint(17 * 365, 70 * 365) if adult else draw.randint(0, 31 * 365)
            if draw.random() < 0.2:
                birth = born_at(draw.choice([0, 14, 15, 20, 21, 25, 26, 64, 65]), on) + timedelta(draw.choice([0, 1]))
                birth = min(birth, on)
            else:
                birth = on - timedelta(age_days)
            rows.append(
                member(
                    f"h{h:05d}",
                    f"{m}",
                    relationship=roles[m],
                    birth_date=birth,
                    tobacco_use=draw.random() < 0.3,
                    seeks_coverage=m == 0 or draw.random() < 0.9,
                    credit_eligible=draw.random() < 0.85,
                    **household,
                )
            )
    return rows


def as_twin(rows):
    """Member rows as the households of the slow twin."""
    homes = {}
    for row in rows:
        home = homes.setdefault(
            row["household_id"],
            {
                "area": row["rating_area_id"],
                "effective": row["effective_date"],
                "income": None if row["annual_income"] is None else int(row["annual_income"].replace(".", "")),
                "size": row["tax_household_size"],
                "tribal": row["is_tribal"],
                "members": [],
            },
        )
        home["members"].append(
            {
                "member_id": row["member_id"],
                "born": row["birth_date"],
                "relationship": row["relationship"],
                "tobacco": row["tobacco_use"],
                "seeks": row["seeks_coverage"],
                "eligible": row["credit_eligible"],
            }
        )
    return homes


def quoted(rows, offers, **options):
    options = {"plan_year": 2026, "base_rates": pl.DataFrame(offers)} | options
    return quote(rows if isinstance(rows, pl.DataFrame) else frame(rows), **options)


def amounts(result, column="premium_monthly"):
    return [str(value) if value is not None else None for value in result.households[column]]


def fired(result):
    return dict(result.findings.select("rule_id", "rows").rows())
