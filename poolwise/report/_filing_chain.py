"""The steps from the index rate of the experience to the mean premium, for table and chart."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from rating.filing._numbers import CONTEXT

if TYPE_CHECKING:
    from poolwise.report._filing_exhibits import FilingExhibits

__all__ = ["ChainStep", "chain_steps"]


@dataclass(frozen=True)
class ChainStep:
    """One step from the experience to the mean premium: its factor, and the PMPM after it."""

    step: str
    label: str
    factor: Decimal | None
    pmpm: Decimal | None


def chain_steps(given: FilingExhibits) -> list[ChainStep]:
    """Return the steps from the index rate of the experience to the mean premium; PMPM after each."""
    rate = given.number("ep_index_rate_total")
    steps = [ChainStep("2", "Index rate of the experience", None, rate)]

    def follow(step: str, label: str, after: Decimal | None) -> None:
        before = steps[-1].pmpm
        ratio = CONTEXT.divide(after, before) if after is not None and before else None
        steps.append(ChainStep(step, label, ratio, after))

    def plus(amount: Decimal | None) -> Decimal | None:
        before = steps[-1].pmpm
        return before if amount is None or before is None else CONTEXT.subtract(before, amount)

    follow("3", "Trend", given.number("trended_ehb_total"))
    names = {"morbidity": "Morbidity", "demographic": "Demographic shift", "plan_design": "Plan design"}
    for name, label in {**names, "other": "Other adjustments"}.items():
        factor, before = given.number(f"adj_{name}"), steps[-1].pmpm
        after = before if factor is None or before is None else CONTEXT.multiply(before, factor)
        steps.append(ChainStep("4", label, factor, after))
    follow("5", "Manual rate and credibility", given.number("projected_index_rate"))
    follow("6", "Reinsurance", plus(given.number("proj_reinsurance")))
    follow("6", "Risk adjustment", plus(given.number("proj_risk_adjustment")))
    follow("6", "Exchange user fee", given.number("market_adjusted_index_rate"))
    follow("7", "Plan factors", _before_retention(given))
    follow("7", "Retention", given.number("mean_premium_pmpm"))
    return steps


def _before_retention(given: FilingExhibits) -> Decimal | None:
    """Return the market's rate times the mean of the plans' factors, before retention."""
    weights, products = Decimal(0), Decimal(0)
    for plan in given.offered["plan_id"].to_list():
        months, factor = given.number("proj_member_months_plan", plan), given.number("plan_factor", plan)
        if months and factor is not None:
            weights = CONTEXT.add(weights, months)
            products = CONTEXT.add(products, CONTEXT.multiply(months, factor))
    rate = given.number("market_adjusted_index_rate")
    return CONTEXT.divide(CONTEXT.multiply(rate, products), weights) if weights and rate is not None else None
