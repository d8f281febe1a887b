"""Risk scores of enrollees, and the money that follows them between issuers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riskadjust._bootstrap import Interval, bootstrap_transfers
    from riskadjust._claims import ClaimSettings, Selection, select_claims
    from riskadjust._corridors import RiskCorridors, risk_corridors
    from riskadjust._diy import DiyTables, read_diy, score_diy
    from riskadjust._estimates import Estimate, estimate_transfers
    from riskadjust._explain import explain, explain_diy
    from riskadjust._high_cost import HighCostRiskPool, high_cost_risk_pool
    from riskadjust._loss_ratio import LossRatios, medical_loss_ratio
    from riskadjust._marginal import marginal_revenue, marginal_transfers
    from riskadjust._mix import mix
    from riskadjust._mix_run import Mixes
    from riskadjust._named_mix import named_mix, named_mixes
    from riskadjust._plan_risk import PlanRisk, PlanRiskWarning, plan_risk, plan_risk_report
    from riskadjust._plan_risk_settings import PlanRiskSettings
    from riskadjust._published_transfers import published_residuals
    from riskadjust._radv import RadvAdjustment, radv_adjustment
    from riskadjust._radv_confidence import RadvConfidence
    from riskadjust._reinsurance import Reinsurance, reinsurance
    from riskadjust._score import Scores, score
    from riskadjust._settings import ScoringSettings
    from riskadjust._settled import Settled
    from riskadjust._stream import StreamResult, score_files
    from riskadjust._transfers import Transfers, transfers

__all__ = [
    "ClaimSettings",
    "DiyTables",
    "Estimate",
    "HighCostRiskPool",
    "Interval",
    "LossRatios",
    "Mixes",
    "PlanRisk",
    "PlanRiskSettings",
    "PlanRiskWarning",
    "RadvAdjustment",
    "RadvConfidence",
    "Reinsurance",
    "RiskCorridors",
    "Scores",
    "ScoringSettings",
    "Selection",
    "Settled",
    "StreamResult",
    "Transfers",
    "bootstrap_transfers",
    "estimate_transfers",
    "explain",
    "explain_diy",
    "high_cost_risk_pool",
    "marginal_revenue",
    "marginal_transfers",
    "medical_loss_ratio",
    "mix",
    "named_mix",
    "named_mixes",
    "plan_risk",
    "plan_risk_report",
    "published_residuals",
    "radv_adjustment",
    "read_diy",
    "reinsurance",
    "risk_corridors",
    "score",
    "score_diy",
    "score_files",
    "select_claims",
    "transfers",
]

_HOMES = {
    "ClaimSettings": "riskadjust._claims",
    "DiyTables": "riskadjust._diy",
    "Estimate": "riskadjust._estimates",
    "HighCostRiskPool": "riskadjust._high_cost",
    "Interval": "riskadjust._bootstrap",
    "LossRatios": "riskadjust._loss_ratio",
    "Mixes": "riskadjust._mix_run",
    "PlanRisk": "riskadjust._plan_risk",
    "PlanRiskSettings": "riskadjust._plan_risk_settings",
    "PlanRiskWarning": "riskadjust._plan_risk",
    "RadvAdjustment": "riskadjust._radv",
    "RadvConfidence": "riskadjust._radv_confidence",
    "Reinsurance": "riskadjust._reinsurance",
    "RiskCorridors": "riskadjust._corridors",
    "Scores": "riskadjust._score",
    "ScoringSettings": "riskadjust._settings",
    "Selection": "riskadjust._claims",
    "Settled": "riskadjust._settled",
    "StreamResult": "riskadjust._stream",
    "Transfers": "riskadjust._transfers",
    "bootstrap_transfers": "riskadjust._bootstrap",
    "estimate_transfers": "riskadjust._estimates",
    "explain": "riskadjust._explain",
    "explain_diy": "riskadjust._explain",
    "high_cost_risk_pool": "riskadjust._high_cost",
    "marginal_revenue": "riskadjust._marginal",
    "marginal_transfers": "riskadjust._marginal",
    "medical_loss_ratio": "riskadjust._loss_ratio",
    "mix": "riskadjust._mix",
    "named_mix": "riskadjust._named_mix",
    "named_mixes": "riskadjust._named_mix",
    "plan_risk": "riskadjust._plan_risk",
    "plan_risk_report": "riskadjust._plan_risk",
    "published_residuals": "riskadjust._published_transfers",
    "radv_adjustment": "riskadjust._radv",
    "read_diy": "riskadjust._diy",
    "reinsurance": "riskadjust._reinsurance",
    "risk_corridors": "riskadjust._corridors",
    "score": "riskadjust._score",
    "score_diy": "riskadjust._diy",
    "score_files": "riskadjust._stream",
    "select_claims": "riskadjust._claims",
    "transfers": "riskadjust._transfers",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars or numpy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
