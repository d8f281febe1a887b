"""The face of the project: the ``poolwise`` command, its pages, and the public names of the packages behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_specs import catalog, synthetic_market, table, use
    from riskadjust import explain, high_cost_risk_pool, plan_risk, read_diy, score, score_diy, transfers

__all__ = [
    "catalog",
    "explain",
    "high_cost_risk_pool",
    "plan_risk",
    "read_diy",
    "score",
    "score_diy",
    "synthetic_market",
    "table",
    "transfers",
    "use",
]

_HOMES = {
    "catalog": "data_specs",
    "explain": "riskadjust",
    "high_cost_risk_pool": "riskadjust",
    "plan_risk": "riskadjust",
    "read_diy": "riskadjust",
    "score": "riskadjust",
    "score_diy": "riskadjust",
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
