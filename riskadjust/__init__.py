"""Risk scores of enrollees, and the money that follows them between issuers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riskadjust._diy import DiyTables, read_diy, score_diy
    from riskadjust._explain import explain
    from riskadjust._score import Scores, score
    from riskadjust._settings import ScoringSettings

__all__ = ["DiyTables", "Scores", "ScoringSettings", "explain", "read_diy", "score", "score_diy"]

_HOMES = {
    "DiyTables": "riskadjust._diy",
    "Scores": "riskadjust._score",
    "ScoringSettings": "riskadjust._settings",
    "explain": "riskadjust._explain",
    "read_diy": "riskadjust._diy",
    "score": "riskadjust._score",
    "score_diy": "riskadjust._diy",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars or numpy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
