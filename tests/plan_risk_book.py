"""A few lines to write down a small market for plan risk, person by person."""

from datetime import date
from typing import Any

import polars as pl
from plan_risk_markets import SCHEMAS

import riskadjust

FACTORS = {"00": 1.0, "01": 1.0, "02": 1.0, "03": 1.0, "04": 1.0, "05": 1.12, "06": 1.12}
SILVER = "12345TX0010001"


class Book:
    """Rows of the four input tables; `run` settles them."""

    def __init__(self, year: int = 2025) -> None:
        self.year = year
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}

    def day(self, month: int, day: int) -> date:
        return date(self.year, month, day)

    def plan(self, plan_id: str = SILVER, metal: str = "silver", market: str = "individual", **other: Any) -> "Book":
        row = {"plan_id": plan_id, "issuer_id": plan_id[:5], "state": plan_id[5:7], "market": market}
        self.rows["plans"].append({**row, "metal_level": metal, **other})
        return self

    def person(self, enrollee: str, age: int | date, score: float | None, variant: str = "01", **other: Any) -> "Book":
        """An enrollee of that age on 1 January, with a score in the plan of `other` (or the silver plan)."""
        birth = age if isinstance(age, date) else date(self.year - age, 1, 1)
        self.rows["enrollees"].append({"enrollee_id": enrollee, "birth_date": birth, "sex": "F"})
        if score is not None:
            self.score(enrollee, score, variant, **other)
        return self

    def score(
        self, enrollee: str, score: float, variant: str = "01", plan_id: str = SILVER, metal: str = "silver"
    ) -> "Book":
        factor = FACTORS[variant]
        row = {"enrollee_id": enrollee, "plan_id": plan_id, "csr_variant": variant, "metal_level": metal}
        adjusted = round(score * 1000) * round(factor * 100) / 100_000
        row |= {"risk_score": score, "csr_factor": factor, "csr_adjusted_score": adjusted}
        self.rows["scores"].append(row)
        return self

    def span(
        self,
        enrollee: str,
        policy: str | None = "P",
        relationship: str | None = "self",
        *,
        days: Any = None,
        plan_id: str = SILVER,
        metal: str = "silver",
        variant: str | None = "01",
        premium: float | None = None,
        area: str | None = None,
        **other: Any,
    ) -> "Book":
        start, end = days or (self.day(1, 1), self.day(12, 31))
        row = {"enrollee_id": enrollee, "plan_id": plan_id, "csr_variant": variant, "metal_level": metal}
        row |= {"span_start": start, "span_end": end, "policy_id": policy, "relationship": relationship}
        self.rows["spans"].append({**row, "premium_monthly": premium, "rating_area_id": area, **other})
        return self

    def alone(
        self, enrollee: str, age: int | date, score: float, premium: float, area: str = "1", **other: Any
    ) -> "Book":
        """A policy of one adult for the whole year."""
        place = {k: other[k] for k in ("plan_id", "metal") if k in other}
        self.person(enrollee, age, score, **place)
        return self.span(enrollee, f"policy {enrollee}", premium=premium, area=area, **other)

    def frames(self) -> list[pl.DataFrame]:
        """The frames in the order of the arguments; columns that no row has are left out."""
        made = []
        for name, schema in SCHEMAS.items():
            rows = self.rows[name]
            used = {c for row in rows for c in row}
            types = {c: t for c, t in schema.items() if c in used or not rows}
            made.append(pl.DataFrame(rows, schema_overrides=types) if rows else pl.DataFrame(schema=types))
        return made

    def run(self, settings: dict[str, Any] | None = None, gcf: Any = None) -> riskadjust.PlanRisk:
        return riskadjust.plan_risk_report(*self.frames(), benefit_year=self.year, settings=settings, gcf=gcf)

    def row(self, settings: dict[str, Any] | None = None) -> dict[str, Any]:
        """The one row of the result."""
        (row,) = self.run(settings).plan_rows.to_dicts()
        return row


def noticed(report: riskadjust.PlanRisk) -> dict[str, int]:
    """Rows by rule."""
    assert report.findings.null_count().select("severity", "action", "condition").row(0) == (0, 0, 0)
    return dict(report.findings.select("rule_id", "rows").rows())
