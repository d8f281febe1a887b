"""What a filing noticed: findings by rule, and refusals that name the rule, the place and the remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RULE_TABLES", "FilingFindings", "listed", "refusal", "refuse_rows", "rule_text"]

RULE_TABLES = ("filing/experience_rules", "filing/pricing_rules", "filing/workbook_rules")
COLUMNS = ("rule_id", "severity", "where", "message")
_SHOWN = 5


class FilingFindings:
    """Findings of one run; those of experience and pricing come together in one frame.

    Examples
    --------
    >>> findings = FilingFindings()
    >>> findings.add("PRC-021", "plan 12345TX0010001", "rate only: no enrollee is projected")
    >>> findings.frame().row(0)
    ('PRC-021', 'info', 'plan 12345TX0010001', 'rate only: no enrollee is projected')
    """

    def __init__(self) -> None:
        self._found: list[tuple[str, str, str, str]] = []
        self._rules: dict[str, tuple[str, str, str]] = {}

    def add(self, rule_id: str, where: str, message: str) -> None:
        """Put down one finding."""
        self._rules = self._rules or _rules()
        self._found.append((rule_id, self._rules[rule_id][0], where, message))

    def extend(self, other: FilingFindings | pl.DataFrame) -> None:
        """Take over the findings of a part of the run."""
        self._found += other._found if isinstance(other, FilingFindings) else other.select(COLUMNS).rows()

    def frame(self) -> pl.DataFrame:
        """Return rule_id, severity (error, warning, info), where, message: one row per finding, sorted."""
        import polars as pl

        return pl.DataFrame(sorted(set(self._found)), schema=dict.fromkeys(COLUMNS, pl.String), orient="row")


def rule_text(rule_id: str) -> str:
    """Return a rule as ``id: text (basis)``."""
    _, condition, basis = _rules()[rule_id]
    return f"{rule_id}: {condition} ({basis})"


def refusal(rule_id: str, what: str, where: str, remedy: str) -> InputRefused:
    """Return the refusal of an input by a rule."""
    return InputRefused(what, where=where, rule=rule_text(rule_id), remedy=remedy)


def refuse_rows(rule_id: str, table: str, column: str, broken: NDArray[np.bool_], what: str, remedy: str) -> None:
    """Refuse a frame of which some rows break a rule; their numbers are said, never their values.

    Raises
    ------
    InputRefused
        At least one row is broken.
    """
    rows = np.flatnonzero(broken)
    if len(rows):
        shown = listed([str(row + 1) for row in rows.tolist()])
        raise refusal(rule_id, what, f"{table}, column {column}, row {shown} (first row is 1)", remedy)


def listed(words: Sequence[str]) -> str:
    """Return words as a list for a reader, the first few of many.

    Examples
    --------
    >>> listed(["1", "2"]), listed(list("abcdefg"))
    ('1, 2', 'a, b, c, d, e ... (7 in all)')
    """
    shown = ", ".join(words[:_SHOWN])
    return shown if len(words) <= _SHOWN else f"{shown} ... ({len(words)} in all)"


def _rules() -> dict[str, tuple[str, str, str]]:
    """Return severity, condition and basis of every rule by its id."""
    known = _registry.contracts()
    columns = ("rule_id", "severity", "failing_condition", "basis")
    rows = [row for name in RULE_TABLES if name in known for row in _registry.table(name).select(columns).rows()]
    return {rule_id: (severity, text, basis) for rule_id, severity, text, basis in rows}
