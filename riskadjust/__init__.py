"""Risk scores of enrollees, and the money that follows them between issuers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from riskadjust._claims import ClaimSettings, Selection, select_claims
    from riskadjust._diy import DiyTables, read_diy, score_diy
    from riskadjust._explain import explain, explain_diy
    from riskadjust._score import Scores, score
    from riskadjust._settings import ScoringSettings
    from riskadjust._stream import StreamResult, score_files

__all__ = [
    "ClaimSettings",
    "DiyTables",
    "Scores",
    "ScoringSettings",
    "Selection",
    "StreamResult",
    "explain",
    "explain_diy",
    "read_diy",
    "score",
    "score_diy",
    "score_files",
    "select_claims",
]

_HOMES = {
    "ClaimSettings": "riskadjust._claims",
    "DiyTables": "riskadjust._diy",
    "Scores": "riskadjust._score",
    "ScoringSettings": "riskadjust._settings",
    "Selection": "riskadjust._claims",
    "StreamResult": "riskadjust._stream",
    "explain": "riskadjust._explain",
    "explain_diy": "riskadjust._explain",
    "read_diy": "riskadjust._diy",
    "score": "riskadjust._score",
    "score_diy": "riskadjust._diy",
    "score_files": "riskadjust._stream",
    "select_claims": "riskadjust._claims",
}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars or numpy.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
