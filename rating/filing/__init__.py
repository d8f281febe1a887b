"""The rate filing: from experience to plan rates, the template's workbook, and where every number comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rating.filing._bridge import Bridge, bridge
    from rating.filing._changed_filing import what_if
    from rating.filing._completion import Completion, completion
    from rating.filing._credibility import Credibility, blended, credibility, full_credibility_claims
    from rating.filing._develop import develop
    from rating.filing._experience import Experience, experience
    from rating.filing._filing import Filing
    from rating.filing._filing_settings import FilingSettings
    from rating.filing._large_claims import PooledClaims, pooled_claims
    from rating.filing._manual import ManualRate, manual_rate
    from rating.filing._morbidity import MorbidityChange, morbidity_change, movement_change
    from rating.filing._pricing_values import PricingValues, pricing_values
    from rating.filing._rates_template import read_rates_template
    from rating.filing._reinsurance_recovery import reinsurance_pmpm
    from rating.filing._risk_adjustment import risk_adjustment_pmpm
    from rating.filing._seasonality import Seasonality, seasonality
    from rating.filing._sensitivity import sensitivity
    from rating.filing._series import calendar_pmpm
    from rating.filing._trace import Trace
    from rating.filing._trend import TrendStudy, trend_study
    from rating.filing._workbook_read import read_workbook

__all__ = [
    "Bridge",
    "Completion",
    "Credibility",
    "Experience",
    "Filing",
    "FilingSettings",
    "ManualRate",
    "MorbidityChange",
    "PooledClaims",
    "PricingValues",
    "Seasonality",
    "Trace",
    "TrendStudy",
    "blended",
    "bridge",
    "calendar_pmpm",
    "completion",
    "credibility",
    "develop",
    "experience",
    "full_credibility_claims",
    "manual_rate",
    "morbidity_change",
    "movement_change",
    "pooled_claims",
    "pricing_values",
    "read_rates_template",
    "read_workbook",
    "reinsurance_pmpm",
    "risk_adjustment_pmpm",
    "seasonality",
    "sensitivity",
    "trend_study",
    "what_if",
]

_HOMES = {
    "Bridge": "rating.filing._bridge",
    "Completion": "rating.filing._completion",
    "Credibility": "rating.filing._credibility",
    "Experience": "rating.filing._experience",
    "Filing": "rating.filing._filing",
    "FilingSettings": "rating.filing._filing_settings",
    "ManualRate": "rating.filing._manual",
    "MorbidityChange": "rating.filing._morbidity",
    "PooledClaims": "rating.filing._large_claims",
    "PricingValues": "rating.filing._pricing_values",
    "Seasonality": "rating.filing._seasonality",
    "Trace": "rating.filing._trace",
    "TrendStudy": "rating.filing._trend",
    "blended": "rating.filing._credibility",
    "bridge": "rating.filing._bridge",
    "calendar_pmpm": "rating.filing._series",
    "completion": "rating.filing._completion",
    "credibility": "rating.filing._credibility",
    "develop": "rating.filing._develop",
    "experience": "rating.filing._experience",
    "full_credibility_claims": "rating.filing._credibility",
    "manual_rate": "rating.filing._manual",
    "morbidity_change": "rating.filing._morbidity",
    "movement_change": "rating.filing._morbidity",
    "pooled_claims": "rating.filing._large_claims",
    "pricing_values": "rating.filing._pricing_values",
    "read_rates_template": "rating.filing._rates_template",
    "read_workbook": "rating.filing._workbook_read",
    "reinsurance_pmpm": "rating.filing._reinsurance_recovery",
    "risk_adjustment_pmpm": "rating.filing._risk_adjustment",
    "seasonality": "rating.filing._seasonality",
    "sensitivity": "rating.filing._sensitivity",
    "trend_study": "rating.filing._trend",
    "what_if": "rating.filing._changed_filing",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars or numpy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
