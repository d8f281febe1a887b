"""Reinsurance and risk corridors worked plainly, one person and one issuer at a time, in exact fractions."""

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any


def cents(dollars: Fraction) -> Decimal:
    """Dollars rounded to cents, halves away from zero."""
    whole = int(abs(dollars) * 100 + Fraction(1, 2))
    return Decimal(whole if dollars >= 0 else -whole) / 100


def layered(claims: Fraction, layers: list[tuple[Any, Any, Any]]) -> Fraction:
    """What layers pay of one person's claims, counted dollar range by dollar range."""
    paid = Fraction(0)
    for low, high, share in layers:
        top = claims if high is None else min(claims, Fraction(high))
        if top > Fraction(low):
            paid += Fraction(share) * (top - Fraction(low))
    return paid


def reinsured(
    claims: list[tuple[str, str, str, Fraction]],
    layers: dict[str, list[tuple[Any, Any, Any]]],
    *,
    budget: Fraction | None = None,
    factor: Fraction = Fraction(1),
    high_cost: tuple[Fraction, Fraction] | None = None,
    eligible: set[str] | None = None,
) -> dict[str, Any]:
    """Payments by (issuer, enrollee), by issuer, total and scale; rows are issuer, enrollee, area, plan_paid."""
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    area_of = {}
    for issuer, person, area, amount in claims:
        sums[issuer, person] += amount
        area_of[issuer, person] = area
    before = {}
    for key, amount in sums.items():
        net = amount
        if high_cost is not None and amount > high_cost[0]:
            net = amount - high_cost[1] * (amount - high_cost[0])
        is_in = eligible is None or key[1] in eligible
        before[key] = factor * layered(net, layers[area_of[key]]) if is_in else Fraction(0)
    asked = sum(before.values(), Fraction(0))
    scale = budget / asked if budget is not None and asked > budget else Fraction(1)
    of_issuer: dict[str, Fraction] = defaultdict(Fraction)
    for (issuer, _), amount in before.items():
        of_issuer[issuer] += amount * scale
    return {
        "enrollees": {key: cents(amount * scale) for key, amount in before.items()},
        "issuers": {issuer: cents(amount) for issuer, amount in of_issuer.items()},
        "total": cents(asked * scale),
        "scale": scale,
    }


def corridor(row: dict[str, Fraction], e: Fraction, *, least: Fraction | None) -> dict[str, Fraction]:
    """One issuer's corridor, line by line as 45 CFR 153.500 to 153.530 has them."""
    after_tax = row["premium"] - row["taxes_and_fees"]
    costs = row["incurred_claims"] + row["quality_improvement"] + row.get("health_information_technology", Fraction(0))
    costs = costs - row["net_risk_adjustment_received"] - row["reinsurance_received"] - row["csr_received"]
    costs -= row.get("reserve_overstatement", Fraction(0))
    if least is not None and costs < least * after_tax:
        e = Fraction(0)
    admin = row["admin_costs_excl_taxes"]
    profits = max((Fraction(3, 100) + e) * after_tax, row["premium"] - costs - admin - row["taxes_and_fees"])
    allowed = min(admin + profits, (Fraction(1, 5) + e) * after_tax) + row["taxes_and_fees"]
    target = row["premium"] - allowed
    ratio = costs / target
    amount = Fraction(0)
    if ratio > Fraction(108, 100):
        amount = Fraction(25, 1000) * target + Fraction(4, 5) * (costs - Fraction(108, 100) * target)
    elif ratio > Fraction(103, 100):
        amount = (costs - Fraction(103, 100) * target) / 2
    elif ratio < Fraction(92, 100):
        amount = -(Fraction(25, 1000) * target + Fraction(4, 5) * (Fraction(92, 100) * target - costs))
    elif ratio < Fraction(97, 100):
        amount = -(Fraction(97, 100) * target - costs) / 2
    return {
        "after_tax_premium": after_tax,
        "allowable_costs": costs,
        "profits": profits,
        "allowable_admin": allowed,
        "target_amount": target,
        "corridor": amount,
    }
