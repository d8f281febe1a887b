"""Prices: member rates, rate tables, household quotes, subsidies and their reconciliation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rating._actuarial_value import ActuarialValues, actuarial_value
    from rating._adjudicate import Adjudication, adjudicate
    from rating._adjudicate_settings import AdjudicationSettings
    from rating._areas import rating_area
    from rating._assistance import Assistance, cost_sharing_variant, medicaid_outcome
    from rating._av_designs import Design, ServiceTerms
    from rating._av_settings import ActuarialValueSettings
    from rating._benchmark import Benchmarks, second_lowest_cost_silver
    from rating._composite import Composites, composite_premiums
    from rating._credit import Credits, premium_tax_credit
    from rating._eligibility import CreditEligibility, credit_eligibility
    from rating._factors import rate_basis
    from rating._lever import SolvedLevers, levers_into_window, solve_lever
    from rating._lever_settings import LeverSettings
    from rating._member_rate import member_rate
    from rating._metal import metal_level
    from rating._outcome import Outcome
    from rating._penalty import Penalties, shared_responsibility_payment
    from rating._plan_benefits import PlanBenefitDesigns, designs_of_plan_benefits
    from rating._quote import Quotes, quote
    from rating._quote_files import QuoteFiles, quote_files
    from rating._quote_settings import QuoteSettings
    from rating._rate_check import check_rates
    from rating._rate_settings import RateSettings
    from rating._rate_table import rate_table
    from rating._reconcile import Reconciliations, reconcile
    from rating._shopping import Shopping, shop
    from rating._subsidy_settings import (
        BenchmarkSettings,
        CreditSettings,
        MedicaidSettings,
        PenaltySettings,
        ReconcileSettings,
    )

__all__ = [
    "ActuarialValueSettings",
    "ActuarialValues",
    "Adjudication",
    "AdjudicationSettings",
    "Assistance",
    "BenchmarkSettings",
    "Benchmarks",
    "Composites",
    "CreditEligibility",
    "CreditSettings",
    "Credits",
    "Design",
    "LeverSettings",
    "MedicaidSettings",
    "Outcome",
    "Penalties",
    "PenaltySettings",
    "PlanBenefitDesigns",
    "QuoteFiles",
    "QuoteSettings",
    "Quotes",
    "RateSettings",
    "ReconcileSettings",
    "Reconciliations",
    "ServiceTerms",
    "Shopping",
    "SolvedLevers",
    "actuarial_value",
    "adjudicate",
    "check_rates",
    "composite_premiums",
    "cost_sharing_variant",
    "credit_eligibility",
    "designs_of_plan_benefits",
    "levers_into_window",
    "medicaid_outcome",
    "member_rate",
    "metal_level",
    "premium_tax_credit",
    "quote",
    "quote_files",
    "rate_basis",
    "rate_table",
    "rating_area",
    "reconcile",
    "second_lowest_cost_silver",
    "shared_responsibility_payment",
    "shop",
    "solve_lever",
]

_HOMES = {
    "ActuarialValueSettings": "rating._av_settings",
    "ActuarialValues": "rating._actuarial_value",
    "Adjudication": "rating._adjudicate",
    "AdjudicationSettings": "rating._adjudicate_settings",
    "Assistance": "rating._assistance",
    "BenchmarkSettings": "rating._subsidy_settings",
    "Benchmarks": "rating._benchmark",
    "Composites": "rating._composite",
    "CreditEligibility": "rating._eligibility",
    "CreditSettings": "rating._subsidy_settings",
    "Credits": "rating._credit",
    "Design": "rating._av_designs",
    "LeverSettings": "rating._lever_settings",
    "MedicaidSettings": "rating._subsidy_settings",
    "Outcome": "rating._outcome",
    "Penalties": "rating._penalty",
    "PenaltySettings": "rating._subsidy_settings",
    "PlanBenefitDesigns": "rating._plan_benefits",
    "QuoteFiles": "rating._quote_files",
    "QuoteSettings": "rating._quote_settings",
    "Quotes": "rating._quote",
    "RateSettings": "rating._rate_settings",
    "ReconcileSettings": "rating._subsidy_settings",
    "Reconciliations": "rating._reconcile",
    "ServiceTerms": "rating._av_designs",
    "Shopping": "rating._shopping",
    "SolvedLevers": "rating._lever",
    "actuarial_value": "rating._actuarial_value",
    "adjudicate": "rating._adjudicate",
    "check_rates": "rating._rate_check",
    "composite_premiums": "rating._composite",
    "cost_sharing_variant": "rating._assistance",
    "credit_eligibility": "rating._eligibility",
    "designs_of_plan_benefits": "rating._plan_benefits",
    "levers_into_window": "rating._lever",
    "medicaid_outcome": "rating._assistance",
    "member_rate": "rating._member_rate",
    "metal_level": "rating._metal",
    "premium_tax_credit": "rating._credit",
    "quote": "rating._quote",
    "quote_files": "rating._quote_files",
    "rate_basis": "rating._factors",
    "rate_table": "rating._rate_table",
    "rating_area": "rating._areas",
    "reconcile": "rating._reconcile",
    "second_lowest_cost_silver": "rating._benchmark",
    "shared_responsibility_payment": "rating._penalty",
    "shop": "rating._shopping",
    "solve_lever": "rating._lever",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars or numpy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
