"""What a run over households says beside its rows: what was noticed, what was counted, what it rests on."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

    from rating._figures import Figures
    from riskadjust._findings import Findings

__all__ = ["Outcome", "outcome_of"]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What every run over households hands over beside its own rows.

    Attributes
    ----------
    findings : DataFrame
        rule_id, table, severity, action, rows, condition, basis: one row per rule that fired.
    counts : DataFrame
        table, input, accepted, rejected (rows).
    settings : DataFrame
        setting, value, source (default or given), basis: every setting used.
    uncertain : DataFrame
        table, what, moved, rows: figures marked uncertain that took part.
    refused : dict of DataFrame
        Rows that took no part, with their rule_id.
    tables : list of str
        The tables of published figures that were used.
    """

    findings: pl.DataFrame
    counts: pl.DataFrame
    settings: pl.DataFrame
    uncertain: pl.DataFrame
    refused: dict[str, pl.DataFrame]
    tables: list[str]

    def parts(self) -> dict[str, Any]:
        """Return these attributes by name, without those that a kind of result adds: for a result of the same run."""
        return {part.name: getattr(self, part.name) for part in fields(Outcome)}


def outcome_of(findings: Findings, figures: Figures, settings: pl.DataFrame) -> Outcome:
    """Return what a run noticed, the figures that it asked for, and its settings."""
    return Outcome(
        findings=findings.frame(),
        counts=findings.counts(),
        settings=settings,
        uncertain=figures.uncertain(),
        refused=findings.refused(),
        tables=figures.tables,
    )
