"""Published figures as checked tables, and what an input must look like."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_specs._import import add_tables
    from data_specs._registry import catalog, table, use
    from data_specs._synthetic import synthetic_market

__all__ = ["add_tables", "catalog", "synthetic_market", "table", "use"]

_HOMES = {
    "add_tables": "data_specs._import",
    "catalog": "data_specs._registry",
    "synthetic_market": "data_specs._synthetic",
    "table": "data_specs._registry",
    "use": "data_specs._registry",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
