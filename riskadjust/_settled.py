"""What every settlement says beside its own rows: what was noticed, what was counted, what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Settled"]


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What every settlement hands over beside its own rows.

    Attributes
    ----------
    findings : DataFrame
        rule_id, table, severity, action, rows, condition, basis: one row per rule that fired.
    rejected : dict of DataFrame
        Rows that took no part, with their rule_id.
    counts : DataFrame
        table, input, accepted, rejected (rows).
    settings : DataFrame
        setting, applies_to, value, source (given, table, default), table_row, verification: all that was used.
    uncertain : DataFrame
        table, what, moved, rows: figures marked uncertain that moved the result, and how many rows of it.
    tables : list of str
        The tables of published figures that were used.
    """

    findings: pl.DataFrame
    rejected: dict[str, pl.DataFrame]
    counts: pl.DataFrame
    settings: pl.DataFrame
    uncertain: pl.DataFrame
    tables: list[str]
