"""What a reviewer's check is: its row of ``filing/reviewer_checks``, its thresholds, and the result of looking once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from data_specs import _registry
from data_specs.errors import TableMissing
from rating.filing._numbers import exact
from rating.review._review_input import ReviewInput

__all__ = [
    "FINDING",
    "NOT_APPLICABLE",
    "NOT_EVALUATED",
    "PASS",
    "RESULTS",
    "Check",
    "CheckFunction",
    "Result",
    "all_checks",
]

# Looked and found nothing; found something; looked and declined; could not look, because an input is absent.
PASS, FINDING, NOT_APPLICABLE, NOT_EVALUATED = "pass", "finding", "not_applicable", "not_evaluated"
RESULTS = (PASS, FINDING, NOT_APPLICABLE, NOT_EVALUATED)
_CHECKS, _RULES = "filing/reviewer_checks", "filing/review_check_rules"
_DIFFERENCE = "difference"


@dataclass(frozen=True, slots=True)
class Result:
    """What one check says about one number of a filing.

    Attributes
    ----------
    result : str
        One of :data:`RESULTS`.
    name, place : str
        The number, as in the filing's ledger; both "" where a check found nothing to look at.
    message : str
        What is wrong, why it was not looked at, or under what it holds.
    filed, recomputed : Decimal or None
        The number as filed, and what the rule gives.
    threshold : Decimal or None
        How far they may be apart (roundings included), or the bound that was crossed.
    """

    result: str
    name: str = ""
    place: str = ""
    message: str = ""
    filed: Decimal | None = None
    recomputed: Decimal | None = None
    threshold: Decimal | None = None


CheckFunction = Callable[[ReviewInput, "Check"], Iterator[Result]]


@dataclass(frozen=True, slots=True)
class Check:
    """One row of ``filing/reviewer_checks`` with its thresholds of ``filing/review_check_rules``."""

    check_id: str
    group: str
    what_is_checked: str
    outcome: str
    basis: str
    cause_order: int
    thresholds: Mapping[tuple[str, str], Decimal]

    def allowed(self, recomputed: Decimal) -> Decimal:
        """Return by how much a filed number may differ from the recomputed one, roundings aside.

        Raises
        ------
        TableMissing
            The check has no threshold of a difference.
        """
        if (_DIFFERENCE, "abs") in self.thresholds:
            return self.thresholds[_DIFFERENCE, "abs"]
        if (_DIFFERENCE, "rel") in self.thresholds:
            return self.thresholds[_DIFFERENCE, "rel"] * abs(recomputed)
        raise self._without(_DIFFERENCE)

    def bounds(self, measure: str) -> tuple[Decimal | None, Decimal | None]:
        """Return the lowest and highest value a measure may have; None: no bound on that side.

        Raises
        ------
        TableMissing
            The check has no bound for it.
        """
        low, high = (self.thresholds.get((measure, kind)) for kind in ("min", "max"))
        if low is None and high is None:
            raise self._without(measure)
        return low, high

    def _without(self, measure: str) -> TableMissing:
        return TableMissing(
            f"{self.check_id} has no threshold for {measure!r}",
            where=_RULES,
            rule="thresholds of the checks are figures of a table",
            remedy="add the row to the table supplied",
        )


def all_checks() -> dict[str, Check]:
    """Return every check of the tables in use, by id.

    Examples
    --------
    >>> check = all_checks()["RV-008"]
    >>> check.what_is_checked, check.allowed(Decimal("722.90"))
    ('calibrated rate reproduces', Decimal('0.0361450'))
    """
    thresholds: dict[str, dict[tuple[str, str], Decimal]] = {}
    for check_id, measure, kind, value in _registry.table(_RULES).select("check_id", "measure", "kind", "value").rows():
        thresholds.setdefault(check_id, {})[measure, kind] = exact(value, f"threshold of {check_id}")
    columns = ("check_id", "group", "what_is_checked", "outcome", "basis", "cause_order")
    return {
        check_id: Check(check_id, group, what, outcome, basis, order, thresholds.get(check_id, {}))
        for check_id, group, what, outcome, basis, order in _registry.table(_CHECKS).select(columns).rows()
    }
