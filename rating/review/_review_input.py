"""What the checks look at: the numbers of a filing as filed, and what is absent or could not be read there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs.errors import InputRefused
from rating._frame_rows import collected
from rating.filing import Filing
from rating.filing._filing_input import NEW, TERMINATED
from rating.filing._formulas import Formulas
from rating.filing._ledger import MARKET, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import CONTEXT

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ReviewInput", "review_input"]

_FIELDS, _PRINTED = "filing/urrt_fields", "filing/printed_decimals"
_CHANGES = ("cumulative_rate_change", "rate_change_weight", "renewal_premium_pmpm")
_PAST, _TO_COME = ("exp_", "current_", *_CHANGES), ("proj_", *_CHANGES)
_NONE = Decimal(0)


@dataclass(frozen=True)
class ReviewInput:
    """A filing as its reviewer has it.

    Attributes
    ----------
    filing : Filing
        The filing itself: header, areas, rates, settings.
    model : FilingModel
        Its numbers, none of them worked out: ``value`` is the number as filed, ``computed`` what the formula gives from
        the other numbers as filed.
    unreadable : frozenset of (name, place)
        Cells of a workbook that hold an error text instead of a number.
    new, terminated, catastrophic : frozenset of str
        Plans of these categories and of this metal level.
    plans, rates, prior, market
        What :func:`rating.review.run` was given beside the filing.
    """

    filing: Filing
    model: FilingModel
    unreadable: frozenset[Key]
    new: frozenset[str]
    terminated: frozenset[str]
    catastrophic: frozenset[str]
    plans: pl.DataFrame | None = None
    rates: pl.DataFrame | None = None
    prior: Filing | None = None
    market: pl.DataFrame | None = None
    _decimals: Mapping[str, int] = field(default_factory=dict, repr=False)
    _rounded_names: re.Pattern[str] = field(default_factory=lambda: re.compile("(?!)"), repr=False)

    @property
    def is_read(self) -> bool:
        """Whether the filing was read from a workbook, which does not say under what settings it was made."""
        return self.filing.cells is not None

    def places(self, grain: str) -> tuple[str, ...]:
        """Return the places of a grain: the plans, the products ..., in their order."""
        return self.model.places.of(grain)

    def may_be_blank(self, key: Key) -> bool:
        """Whether a blank is as it should be: what is past of a new plan, or to come of a terminated one."""
        name, place = key
        if place in self.new:
            return name.startswith(_PAST)
        return place in self.terminated and name.startswith(_TO_COME)

    def rounding(self, key: Key, value: Decimal) -> Decimal:
        """Return by how much a filed number may be off because it was rounded where it was computed.

        Half a unit of the last decimal that filed workbooks print, for a number that the template computes and that
        has no more decimals than these; numbers that are entered are taken as they stand.
        """
        quantity = self.model.formulas.quantity(key[0], self.model.places.grain(key[1]))
        decimals = self._decimals.get(quantity.unit) if quantity else None
        if decimals is None or not self._rounded_names.fullmatch(key[0]):
            return _NONE
        # A remainder would do, but for numbers so large that it has no whole quotient of 34 digits.
        exponent = value.normalize(CONTEXT).as_tuple().exponent
        is_printed = isinstance(exponent, int) and exponent >= -decimals
        return Decimal(1).scaleb(-decimals) / 2 if is_printed else _NONE

    def under(self, settings: Mapping[str, Any], name: str, grain: str) -> FilingModel | None:
        """Return the numbers with the formula that a quantity has under other settings; None: it has none there."""
        formula = Formulas.of(settings).get(name, grain)
        if formula is None:
            return None
        formulas = Formulas(self.model.formulas.quantities, {**self.model.formulas.formulas, (name, grain): formula})
        return FilingModel(formulas, self.model.given, self.model.places)


def review_input(
    filing: Filing,
    *,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    prior: Filing | None = None,
    market: pl.DataFrame | pl.LazyFrame | None = None,
) -> ReviewInput:
    """Return what the checks look at.

    Raises
    ------
    InputRefused
        `filing` or `prior` is no filing; another argument is no frame, or lacks its key.
    """
    for what, given in (("filing", filing), ("prior", prior)):
        if not isinstance(given, Filing) and (what == "filing" or given is not None):
            raise InputRefused(
                f"`{what}` is a {type(given).__name__}",
                where="rating.review.run",
                rule="a filing made by rating.filing.develop or rating.filing.read_workbook",
                remedy="read or develop the filing first",
            )
    fields = _registry.table(_FIELDS)
    return ReviewInput(
        filing=filing,
        model=_as_filed(filing, fields),
        unreadable=_unreadable(filing),
        new=_plans_with(filing, "plan_category", NEW),
        terminated=_plans_with(filing, "plan_category", TERMINATED),
        catastrophic=_plans_with(filing, "metal_level", "catastrophic"),
        plans=None if plans is None else collected(plans, "plans", ("plan_id",)),
        rates=None if rates is None else collected(rates, "rates", ("plan_id",)),
        prior=prior,
        market=None if market is None else collected(market, "market", ()),
        _decimals=dict(_registry.table(_PRINTED).select("unit", "decimals").rows()),
        _rounded_names=_computed_names(fields),
    )


def _as_filed(filing: Filing, fields: pl.DataFrame) -> FilingModel:
    """Return the filing's numbers, each taken as filed; a line of the template that is not there is blank."""
    model = filing.model
    given: dict[Key, Decimal | None] = {}
    for name in fields["our_column"].to_list():
        for grain in ("market", "product", "plan"):
            if model.formulas.quantity(name, grain) is not None:
                given.update(((name, place), None) for place in model.places.of(grain))
    given.update((entry.key, entry.value) for entry in filing.ledger)
    return FilingModel(model.formulas, given, model.places)


def _unreadable(filing: Filing) -> frozenset[Key]:
    import polars as pl

    if filing.cells is None:
        return frozenset()
    broken = filing.cells.filter(pl.col("state") == "error_in_source")
    keys = ((name, place or MARKET) for name, place in broken.select("name", "place").rows())
    return frozenset(key for key in keys if filing.ledger.value(*key) is None)


def _plans_with(filing: Filing, column: str, word: str) -> frozenset[str]:
    texts = dict(filing.plans.select("plan_id", column).rows())
    return frozenset(plan for plan, text in texts.items() if (text or "").strip().lower() == word)


def _computed_names(fields: pl.DataFrame) -> re.Pattern[str]:
    """Return a pattern of the names that the template computes; a star in a name stands for any measure."""
    import polars as pl

    names = fields.filter(pl.col("role") != "input")["our_column"].unique().sort().to_list()
    return re.compile("|".join(re.escape(name).replace(r"\*", "[a-z0-9_]+") for name in names))
