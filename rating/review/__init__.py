"""The review of a rate filing: checks with rule and threshold as data, and four results, all counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rating.review._run import Review, run

__all__ = ["Review", "run"]

_HOMES = {"Review": "rating.review._run", "run": "rating.review._run"}


def __getattr__(name: str) -> object:
    # Loaded on first use, so that importing the package costs no import of polars.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
