"""Tables of the page of failsafes, as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from poolwise.report._page_parts import HIDDEN
from poolwise.report._suppression import SMALLEST_SHOWN

__all__ = ["FEW", "MOST_ISSUERS", "Table", "chosen_rows", "row_name", "text_table"]

MOST_ISSUERS = 40
FEW = f"{HIDDEN} stands for what would tell of fewer than {SMALLEST_SHOWN} people, by itself or by subtraction."
Table = dict[str, Any]


def text_table(
    title: str, headings: Sequence[str], rows: Sequence[Sequence[str]], note: str = "", *, words: int = 1
) -> Table:
    """Return a table of text; its first `words` columns are words, the others numbers."""
    return {"title": title, "headings": list(headings), "rows": [list(r) for r in rows], "note": note, "words": words}


def row_name(row: dict[str, Any]) -> str:
    """Return the name of an issuer with its state, market or risk pool where the row has them.

    Examples
    --------
    >>> row_name({"state": "OH", "market": "small_group", "issuer_id": "11111", "rebate": 0})
    'OH small group 11111'
    """
    return " ".join(str(row[c]).replace("_", " ") for c in ("state", "market", "risk_pool", "issuer_id") if c in row)


def chosen_rows(rows: list[dict[str, Any]], issuer: str) -> list[dict[str, Any]]:
    """Return the rows that are shown: all, or of very many the first ones after those of the issuer itself."""
    if len(rows) <= MOST_ISSUERS:
        return rows
    own = [row for row in rows if row["issuer_id"] == issuer]
    return own + [row for row in rows if row["issuer_id"] != issuer][: MOST_ISSUERS - len(own)]
