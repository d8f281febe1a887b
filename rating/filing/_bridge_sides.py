"""The two sides of a bridge: the inputs of each filing, what stands in where one has none, and models in between."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING

from data_specs import _registry
from data_specs.errors import InputRefused
from rating.filing._expressions import PLACEHOLDER
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._inputs_model import ended_plans, inputs_model
from rating.filing._ledger import Key
from rating.filing._model import FilingModel, Places

if TYPE_CHECKING:
    from rating.filing._filing import Filing

__all__ = ["Hybrids", "Side", "sides_of"]

PLANS, OTHER = "plans", "other"  # steps that filing/bridge_groups does not name
# A plan, area or level that a filing does not have weighs nothing there.
_WEIGHTS = ("usd", "member_months", "contract_months", "enrollees")
_DIGITS_OF_A_CELL = Decimal("1e-12")  # a worksheet keeps some fifteen digits
_LEVELS = ("age", "area", "tobacco", "tier")


class _No(Enum):
    """Why a filing gives no number for a quantity."""

    FORMULA = "its formula gives it"
    BLANK = "it has none"
    PLACE = "it has no such plan, area or level"


@dataclass(frozen=True, slots=True)
class Side:
    """One filing of a bridge.

    Attributes
    ----------
    as_it_is : FilingModel
        The filing's own numbers.
    model : FilingModel
        Its inputs alone, and offered plans only.
    offered : tuple of str
        Plans it offers.
    beside : int
        Numbers of a workbook that are not what its formulas give.
    """

    as_it_is: FilingModel
    model: FilingModel
    offered: tuple[str, ...]
    beside: int

    def has(self, grain: str, place: str) -> bool:
        """Whether the filing has a plan, area or level."""
        return grain in ("market", "product") or place in self.model.places.of(grain)

    def number(self, key: Key, grain: str) -> Decimal | _No:
        """Return what the filing gives for a quantity, or why it gives nothing."""
        if not self.has(grain, key[1]):
            return _No.PLACE
        given = self.model.given.get(key)
        if given is not None:
            return given
        return _No.BLANK if self.model.value(*key) is None else _No.FORMULA


def sides_of(old: Filing, new: Filing) -> tuple[Side, Side]:
    """Return both filings as sides of a bridge.

    Raises
    ------
    InputRefused
        One is no filing.
    """
    for filing, which in ((old, "old"), (new, "new")):
        if not hasattr(filing, "model") or not hasattr(filing, "ledger"):
            raise InputRefused(
                f"`{which}` is a {type(filing).__name__}, not a filing",
                where="bridge",
                remedy="hand in what rating.filing.develop or read_workbook returns",
            )
    return _side(old), _side(new)


def _side(filing: Filing) -> Side:
    inputs = inputs_model(filing)
    ended = ended_plans(filing)
    products = {plan: product for plan, product in inputs.places.product_of.items() if plan not in ended}
    places = replace(inputs.places, product_of=products)
    given = {key: value for key, value in inputs.given.items() if value is not None and places.grain(key[1])}
    alone = FilingModel(inputs.formulas, given, places)
    filed = {key: value for key, value in filing.model.given.items() if value is not None and key not in given}
    beside = sum(places.grain(key[1]) != "" and _is_apart(value, alone.value(*key)) for key, value in filed.items())
    return Side(filing.model, alone, tuple(products), beside)


def _is_apart(filed: Decimal, follows: Decimal | None) -> bool:
    return follows is not None and abs(filed - follows) > _DIGITS_OF_A_CELL * max(abs(filed), abs(follows))


# ------------------------------------------------------------------------------------------------ in between


class Hybrids:
    """Filings between two: the inputs of the newer in some steps, those of the older in the others.

    Parameters
    ----------
    sides : (Side, Side)
        Older and newer filing.
    steps : list of str
        Names of the steps, in their order.
    """

    def __init__(self, sides: tuple[Side, Side], steps: Sequence[str]) -> None:
        self.sides, self.steps = sides, list(steps)
        self._step_of_name = _steps_by_name()
        self.places = _all_places(sides)
        formulas = [side.model.formulas for side in sides]
        self._quantities = {**formulas[0].quantities, **formulas[1].quantities}
        self._inputs = [self._read(key) for key in dict.fromkeys([*sides[0].model.given, *sides[1].model.given])]
        self._formulas = {
            key: (formulas[0].formulas.get(key), formulas[1].formulas.get(key))
            for key in dict.fromkeys([*formulas[0].formulas, *formulas[1].formulas])
        }
        self._differing = self._differences()

    def differs(self, step: str) -> bool:
        """Whether anything of a step differs between the filings: a number, what gives it, or a formula."""
        return step in self._differing

    def changed(self, step: str) -> int:
        """Return how many numbers and formulas of a step differ; one that is given here and follows there may not."""
        found = 0
        for key, numbers in self._differing.get(step, []):
            found += numbers is None or self._shown(0, key, numbers[0]) != self._shown(1, key, numbers[1])
        return found

    def _shown(self, side: int, key: Key, number: Decimal | _No) -> Decimal | None:
        return number if isinstance(number, Decimal) else self.sides[side].model.value(*key)

    def _differences(self) -> dict[str, list[tuple[Key, tuple[Decimal | _No, Decimal | _No] | None]]]:
        """Return what differs by step: inputs with their numbers, formulas without."""
        found: dict[str, list[tuple[Key, tuple[Decimal | _No, Decimal | _No] | None]]] = {}
        for key, step, before, after in self._inputs:
            if before != after:
                found.setdefault(step, []).append((key, (before, after)))
        for key, (old, new) in self._formulas.items():
            if old != new:
                found.setdefault(self._step(key[0]), []).append((key, None))
        return found

    def model(self, taken: Collection[str]) -> FilingModel:
        """Return the filing that has the newer inputs in the steps `taken`."""
        given: dict[Key, Decimal | None] = {}
        for key, step, before, after in self._inputs:
            value = after if step in taken else before
            if isinstance(value, Decimal):
                given[key] = value
        chosen = {}
        for name_and_grain, pair in self._formulas.items():
            formula = pair[self._step(name_and_grain[0]) in taken]
            if formula is not None:
                chosen[name_and_grain] = formula
        return FilingModel(Formulas(self._quantities, chosen), given, self.places)

    def _step(self, name: str) -> str:
        step = self._step_of_name.get(name, OTHER)
        return step if step in self.steps else OTHER

    def _read(self, key: Key) -> tuple[Key, str, Decimal | _No, Decimal | _No]:
        """Return an input with its step and its number on both sides; a side without one takes the other's."""
        grain = self.places.grain(key[1])
        before, after = (side.number(key, grain) for side in self.sides)
        step = PLANS if grain == "plan" and _No.PLACE in (before, after) else self._step(key[0])
        quantity = self._quantities.get((key[0], grain))
        nothing = Decimal(0) if quantity is not None and quantity.unit in _WEIGHTS else None
        if before in (_No.BLANK, _No.PLACE):
            before = nothing if before is _No.PLACE and nothing is not None else after
        elif after in (_No.BLANK, _No.PLACE):
            after = nothing if after is _No.PLACE and nothing is not None else before
        return key, step, before, after


def _steps_by_name() -> dict[str, str]:
    """Return the step of every quantity of ``filing/bridge_groups``."""
    found: dict[str, str] = {}
    for name, step in _registry.table("filing/bridge_groups").select("name", "step").rows():
        for category in CATEGORIES if PLACEHOLDER in name else ("",):
            found[name.replace(PLACEHOLDER, category)] = step
    return found


def _all_places(sides: tuple[Side, Side]) -> Places:
    """Return plans and levels of both filings, those of the newer first."""
    newer, older = sides[1].model.places, sides[0].model.places
    levels = [tuple(dict.fromkeys([*newer.of(grain), *older.of(grain)])) for grain in _LEVELS]
    by_grain = dict(zip(_LEVELS, levels, strict=True))
    return Places(
        {**older.product_of, **newer.product_of},
        areas=by_grain["area"],
        ages=by_grain["age"],
        tobacco=by_grain["tobacco"],
        tiers=by_grain["tier"],
    )
