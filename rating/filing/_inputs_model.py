"""The inputs of a filing alone: what it rests on, so that other inputs can be tried."""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import TYPE_CHECKING

from rating.filing._filing_input import TERMINATED
from rating.filing._ledger import Key
from rating.filing._model import FilingModel

if TYPE_CHECKING:
    from rating.filing._filing import Filing

__all__ = ["ended_plans", "inputs_model", "is_as_filed"]


def ended_plans(filing: Filing) -> frozenset[str]:
    """Return the plans that a filing terminates."""
    if "plan_category" not in filing.plans.columns:
        return frozenset()
    return frozenset(filing.plans.filter(filing.plans["plan_category"] == TERMINATED)["plan_id"])


def is_as_filed(filing: Filing) -> bool:
    """Whether every number of a filing is given, computed ones too, as in a workbook that was read."""
    return filing.cells is not None or all(entry.key in filing.model.given for entry in filing.ledger)


def inputs_model(filing: Filing) -> FilingModel:
    """Return the model of a filing on its inputs alone, so that a change of one goes through to the rate.

    A developed filing has such a model. Of a workbook, what its formulas give from its other figures is left aside; a
    figure that nothing else gives stays, computed or not. Terminated plans keep what is filed.
    """
    if not is_as_filed(filing):
        return filing.model
    return _without_computed(filing.model, ended_plans(filing))


def _without_computed(model: FilingModel, kept: Collection[str]) -> FilingModel:
    # From the last name to the first, so that of two that give each other the one further down is left aside. What is
    # left aside can be worked out from what stays at that time, and so can whatever is left aside later.
    given: dict[Key, Decimal | None] = {key: value for key, value in model.given.items() if value is not None}
    computed = dict.fromkeys(name for name, _ in model.formulas.formulas)
    for name in reversed(computed):
        own = {key: value for key, value in given.items() if key[0] == name and key[1] not in kept}
        if not own:
            continue
        rest = {key: value for key, value in given.items() if key not in own}
        trial = FilingModel(model.formulas, rest, model.places)
        given = rest | {key: value for key, value in own.items() if trial.value(*key) is None}
    return FilingModel(model.formulas, given, model.places)
