"""The numbers of a filing worked out on demand: inputs, the formulas of its settings, and the places they hold for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from rating.filing._expressions import OVER_CATEGORIES, OVER_MARKET, PLACEHOLDER, evaluate, render_numbers
from rating.filing._formulas import CATEGORIES, Formula, Formulas
from rating.filing._ledger import MARKET, Key

__all__ = ["FilingModel", "Places"]


@dataclass(frozen=True, slots=True)
class Places:
    """What a filing has several of, each by its ids in their order.

    Attributes
    ----------
    product_of : dict of str to str
        Plan -> its product. Plans are in the order of this mapping; terminated ones are among them.
    areas : tuple of str
        Rating areas.
    ages, tobacco, tiers : tuple of str
        Levels of the calibration mix: ``"age 10 Y"`` (Y: billable), ``"tobacco N"``, ``"tier one_adult"``.
    """

    product_of: Mapping[str, str]
    areas: tuple[str, ...] = ()
    ages: tuple[str, ...] = ()
    tobacco: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    _grains: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        grains: dict[str, str] = {MARKET: "market"}
        for grain in ("tier", "tobacco", "age", "area", "product", "plan"):
            grains.update(dict.fromkeys(self.of(grain), grain))
        object.__setattr__(self, "_grains", grains)

    def of(self, grain: str, within: str = MARKET) -> tuple[str, ...]:
        """Return the places of a grain; the plans of a product where `within` is one."""
        if grain == "plan":
            return tuple(p for p, product in self.product_of.items() if within in (MARKET, product))
        if grain == "product":
            return tuple(dict.fromkeys(self.product_of.values()))
        if grain == "market":
            return (MARKET,)
        return {"age": self.ages, "area": self.areas, "tobacco": self.tobacco, "tier": self.tiers}[grain]

    def grain(self, place: str) -> str:
        """Return what a place is: ``market``, ``product``, ``plan``, ``age``, ``area``, ``tobacco`` or ``tier``."""
        return self._grains.get(place, "")

    def around(self, place: str) -> tuple[str, ...]:
        """Return where a name is looked for from a place: there, in the plan's product, in the market."""
        if place in self.product_of:
            return place, self.product_of[place], MARKET
        return (place, MARKET) if place else (MARKET,)


class FilingModel:
    """Every quantity of a filing, from its inputs and the formulas in force.

    A given value wins over the computed one. Nothing is rounded. Values are worked out when they are asked for, once.

    Parameters
    ----------
    formulas : Formulas
        Of the settings chosen.
    given : mapping of (name, place) to Decimal or None
        Inputs, and whatever else is given: all numbers of a filing that was read. None: known to be blank, even where
        a formula would give a number.
    places : Places
        Plans, products and areas, levels of the mix.

    Examples
    --------
    >>> formulas = Formulas.of({"user_fee_convention": "gross_up"})
    >>> numbers = {"projected_index_rate": "611.34", "proj_reinsurance": "0", "proj_risk_adjustment": "24.60"}
    >>> given = {(name, ""): Decimal(text) for name, text in (numbers | {"exchange_fee_pct": "0.025"}).items()}
    >>> model = FilingModel(formulas, given, Places({}))
    >>> round(model.value("market_adjusted_index_rate"), 6)
    Decimal('601.784615')
    >>> round(model.changed({("exchange_fee_pct", ""): Decimal(0)}).value("market_adjusted_index_rate"), 6)
    Decimal('586.740000')
    """

    def __init__(self, formulas: Formulas, given: Mapping[Key, Decimal | None], places: Places) -> None:
        self.formulas, self.places = formulas, places
        self.given = dict(given)
        self._known: dict[Key, Decimal | None] = {}
        self._busy: set[Key] = set()
        self._keys: dict[Key, Key] = {}

    def changed(self, changes: Mapping[Key, Decimal | None]) -> FilingModel:
        """Return a model with other inputs; what is not named keeps its value."""
        return FilingModel(self.formulas, {**self.given, **changes}, self.places)

    def value(self, name: str, place: str = MARKET) -> Decimal | None:
        """Return a quantity: the given value, or the computed one; None: blank."""
        key = self.key(name, place)
        if key in self.given:
            return self.given[key]
        if key not in self._known:
            self._known[key] = self.computed(*key)
        return self._known[key]

    def computed(self, name: str, place: str = MARKET) -> Decimal | None:
        """Return what the formula of a quantity gives, from the values of its parts; a given value is left aside.

        None: it has no formula, or a part is blank.
        """
        key = self.key(name, place)
        formula = self.formula(*key)
        if formula is None or key in self._busy:  # allowed and paid basis define each other: one of them is given
            return None
        self._busy.add(key)
        try:
            return evaluate(formula.tree, _At(self, key[1]))
        finally:
            self._busy.discard(key)

    def formula(self, name: str, place: str = MARKET) -> Formula | None:
        """Return the formula of a quantity at a place, or None."""
        return self.formulas.get(name, self.places.grain(place))

    def key(self, name: str, place: str = MARKET) -> Key:
        """Return name and place under which a name stands when it is used at a place.

        ``market_adjusted_index_rate`` in the formula of a plan is that of the market, unless the plan has one.
        """
        found = self._keys.get((name, place))
        if found is None:
            found = self._keys[name, place] = self._stands(name, place)
        return found

    def _stands(self, name: str, place: str) -> Key:
        for at in self.places.around(place):
            if (name, at) in self.given or self.formulas.get(name, self.places.grain(at)) is not None:
                return name, at
        for at in self.places.around(place):
            if self.formulas.quantity(name, self.places.grain(at)) is not None:
                return name, at
        return name, place

    def with_numbers(self, name: str, place: str = MARKET) -> str:
        """Return the formula of a quantity with its numbers in the place of names; "" where it has none."""
        key = self.key(name, place)
        formula = self.formula(*key)
        return "" if formula is None else render_numbers(formula.tree, _At(self, key[1]))

    def inputs(self, name: str, place: str = MARKET) -> tuple[Key, ...]:
        """Return what the formula of a quantity is worked out from: name and place of each part, none twice."""
        key = self.key(name, place)
        formula = self.formula(*key)
        if formula is None:
            return ()
        found: dict[Key, None] = {}
        for part, over in formula.parts:
            if over == "":
                found.setdefault(self.key(part, key[1]))
            elif over == OVER_MARKET:
                found.setdefault(self.key(part, MARKET))
            elif over == OVER_CATEGORIES:
                found.update(dict.fromkeys(self.key(n, key[1]) for n in of_categories(part)))
            else:
                found.update(dict.fromkeys(self.key(part, at) for at in self.places.of(over, key[1])))
        return tuple(found)

    def keys(self, grains: Iterable[str]) -> list[Key]:
        """Return all quantities of some grains at all their places, in the order of the table."""
        return [
            (name, place) for grain in grains for name in self.formulas.names(grain) for place in self.places.of(grain)
        ]


def of_categories(name: str) -> tuple[str, ...]:
    """Return a name with ``{category}`` for each benefit category.

    Examples
    --------
    >>> of_categories("trended_ehb_{category}")[0]
    'trended_ehb_inpatient_hospital'
    """
    return tuple(name.replace(PLACEHOLDER, category) for category in CATEGORIES)


@dataclass(frozen=True, slots=True)
class _At:
    """The numbers of a model as an expression sees them at one place."""

    model: FilingModel
    place: str

    def one(self, name: str, over: str) -> Decimal | None:
        return self.model.value(name, MARKET if over == OVER_MARKET else self.place)

    def several(self, names: tuple[str, ...], over: str) -> list[list[Decimal | None]]:
        if over == OVER_CATEGORIES:
            columns = [[self.model.value(n, self.place) for n in of_categories(name)] for name in names]
            return [list(row) for row in zip(*columns, strict=True)]
        return [[self.model.value(name, place) for name in names] for place in self.model.places.of(over, self.place)]
