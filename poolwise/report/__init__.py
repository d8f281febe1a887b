"""Pages and charts of results; the results themselves know nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poolwise.report._av_page import av_page
    from poolwise.report._failsafes_page import failsafes_page
    from poolwise.report._failsafes_sheets import write_failsafes_sheets
    from poolwise.report._failsafes_year import Failsafes
    from poolwise.report._filing_exhibits import FilingExhibits
    from poolwise.report._filing_page import filing_page
    from poolwise.report._filing_sheets import write_filing_sheets
    from poolwise.report._page import summary_page
    from poolwise.report._quote_page import quote_page
    from poolwise.report._quotes_page import quotes_page
    from poolwise.report._reliance import reliance_page
    from poolwise.report._settlement import Settlement
    from poolwise.report._transfer_page import transfers_page
    from poolwise.report._workbook import write_workbook

__all__ = [
    "Failsafes",
    "FilingExhibits",
    "Settlement",
    "av_page",
    "failsafes_page",
    "filing_page",
    "quote_page",
    "quotes_page",
    "reliance_page",
    "summary_page",
    "transfers_page",
    "write_failsafes_sheets",
    "write_filing_sheets",
    "write_workbook",
]

_HOMES = {
    "Failsafes": "poolwise.report._failsafes_year",
    "FilingExhibits": "poolwise.report._filing_exhibits",
    "Settlement": "poolwise.report._settlement",
    "av_page": "poolwise.report._av_page",
    "failsafes_page": "poolwise.report._failsafes_page",
    "filing_page": "poolwise.report._filing_page",
    "quote_page": "poolwise.report._quote_page",
    "quotes_page": "poolwise.report._quotes_page",
    "reliance_page": "poolwise.report._reliance",
    "summary_page": "poolwise.report._page",
    "transfers_page": "poolwise.report._transfer_page",
    "write_failsafes_sheets": "poolwise.report._failsafes_sheets",
    "write_filing_sheets": "poolwise.report._filing_sheets",
    "write_workbook": "poolwise.report._workbook",
}


def __getattr__(name: str) -> object:
    # Loaded on first use: the summary figures need none of what draws the page.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
