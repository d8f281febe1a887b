"""The face of the project: the ``poolwise`` command, its pages, and the public names of the packages behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_specs import catalog, synthetic_market, table, use
    from rating import (
        check_rates,
        cost_sharing_variant,
        credit_eligibility,
        medicaid_outcome,
        member_rate,
        premium_tax_credit,
        quote,
        quote_files,
        rate_basis,
        rate_table,
        rating_area,
        reconcile,
        second_lowest_cost_silver,
        shared_responsibility_payment,
        shop,
    )
    from riskadjust import explain, high_cost_risk_pool, plan_risk, read_diy, score, score_diy, transfers

__all__ = [
    "catalog",
    "check_rates",
    "cost_sharing_variant",
    "credit_eligibility",
    "explain",
    "high_cost_risk_pool",
    "medicaid_outcome",
    "member_rate",
    "plan_risk",
    "premium_tax_credit",
    "quote",
    "quote_files",
    "rate_basis",
    "rate_table",
    "rating_area",
    "read_diy",
    "reconcile",
    "score",
    "score_diy",
    "second_lowest_cost_silver",
    "shared_responsibility_payment",
    "shop",
    "synthetic_market",
    "table",
    "transfers",
    "use",
]

_HOMES = {
    "catalog": "data_specs",
    "check_rates": "rating",
    "cost_sharing_variant": "rating",
    "credit_eligibility": "rating",
    "explain": "riskadjust",
    "high_cost_risk_pool": "riskadjust",
    "medicaid_outcome": "rating",
    "member_rate": "rating",
    "plan_risk": "riskadjust",
    "premium_tax_credit": "rating",
    "quote": "rating",
    "quote_files": "rating",
    "rate_basis": "rating",
    "rate_table": "rating",
    "rating_area": "rating",
    "read_diy": "riskadjust",
    "reconcile": "rating",
    "score": "riskadjust",
    "score_diy": "riskadjust",
    "second_lowest_cost_silver": "rating",
    "shared_responsibility_payment": "rating",
    "shop": "rating",
    "synthetic_market": "data_specs",
    "table": "data_specs",
    "transfers": "riskadjust",
    "use": "data_specs",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: `poolwise --help` must not wait for polars.
    from importlib import import_module

    if name == "__version__":
        return import_module("data_specs._manifest").product_version()
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
