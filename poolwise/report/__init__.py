"""Pages and charts of results; the results themselves know nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolwise.report._page import summary_page

__all__ = ["summary_page"]


def __getattr__(name: str) -> object:
    # Loaded on first use: the summary figures need none of what draws the page.
    if name != "summary_page":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("poolwise.report._page"), name)
