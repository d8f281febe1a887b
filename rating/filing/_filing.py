"""A rate filing as one object: its frames for readers, and the ledger and model behind every number of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating.filing._formulas import CATEGORIES
from rating.filing._ledger import MARKET, Entry, Key, Ledger
from rating.filing._model import FilingModel

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from rating.filing._filing_settings import FilingSettings
    from rating.filing._trace import Trace

__all__ = ["AS_FILED", "Filing"]

AS_FILED = "as filed"


@dataclass(frozen=True, slots=True)
class Filing:
    """A rate filing: worksheet 1, worksheet 2, areas and consumer rates, each number with where it comes from.

    Made by :func:`rating.filing.develop` from experience and assumptions, or by :func:`rating.filing.read_workbook`.

    Attributes
    ----------
    header : dict
        ``company_legal_name``, ``issuer_id``, ``state``, ``market``, ``plan_year``, ``effective_date``,
        ``exp_period_start``, ``exp_period_end``, ``claims_paid_through`` ... (None where not given).
    market : DataFrame
        Worksheet 1 and what else there is once: ``name``, ``category`` (benefit category, or null), ``value``
        (Float64), ``unit``, ``formula``, ``role`` (input, computed), ``source``, ``note``.
    plans : DataFrame
        Worksheet 2, a row per plan: texts (``plan_id``, ``product_id``, ``metal_level``, ``plan_category`` ...), then
        every quantity of a plan by its name in ``filing/urrt_formulas`` (Float64, null: blank), and the market's
        ``market_adjusted_index_rate``.
    products : DataFrame
        ``product_id``, ``product_name`` (null where not given), ``product_rate_increase``.
    areas : DataFrame
        Worksheet 3: ``rating_area_id``, ``area_factor`` (Float64), and ``plan_id`` where factors differ by plan.
    rates : DataFrame
        Consumer rates, as :func:`rating.rate_table` returns them; no rows where there are none.
    mix : DataFrame
        Mix the calibration rests on: ``kind`` (age, area, tobacco, tier), ``level``, ``billable``, ``member_months``,
        ``factor``; ``contract_months`` for tiers.
    variants : DataFrame
        Projected membership: ``plan_id``, ``csr_variant``, ``member_months``; no rows where no variants were given.
    ledger : Ledger
        Every number by name and place, exact, with formula, inputs, source and note.
    findings : DataFrame
        ``rule_id``, ``severity`` (error, warning, info), ``where``, ``message``.
    settings : DataFrame
        ``setting``, ``value``, ``source``, ``basis``.
    uncertain : DataFrame
        ``table``, ``what``, ``moved``, ``rows``: uncertain published figures that took part.
    chosen : FilingSettings
        The settings as an object.
    model : FilingModel
        The arithmetic: inputs and formulas; works out any quantity again with other inputs.
    cells : DataFrame or None
        Of a workbook that was read: ``name``, ``place``, ``sheet``, ``cell``, ``text``, ``state`` (number, missing,
        error_in_source).
    """

    header: dict[str, Any]
    market: pl.DataFrame
    plans: pl.DataFrame
    products: pl.DataFrame
    areas: pl.DataFrame
    rates: pl.DataFrame
    mix: pl.DataFrame
    variants: pl.DataFrame
    ledger: Ledger
    findings: pl.DataFrame
    settings: pl.DataFrame
    uncertain: pl.DataFrame
    chosen: FilingSettings
    model: FilingModel
    cells: pl.DataFrame | None = None

    def __repr__(self) -> str:
        at = ", ".join(str(self.header.get(key)) for key in ("issuer_id", "state", "market", "plan_year"))
        return f"<Filing {at}: {self.plans.height} plans, {self.findings.height} findings>"

    def value(self, name: str, plan: str | None = None, category: str | None = None) -> Decimal | None:
        """Return one number, exact; None where it is blank.

        Parameters
        ----------
        name : str
            Name of ``filing/urrt_formulas``; ``"rate"`` is asked of :meth:`trace` or found in :attr:`rates`.
        plan : str, optional
            Plan (or product, area, level of the mix) where it is wanted; the market's without.
        category : str, optional
            Benefit category: ``value("trended_ehb", category="professional")``.

        Raises
        ------
        InputRefused
            The filing has no such quantity, plan or category.
        """
        key = self.key(name, plan, category)
        value = self.model.value(*key)
        return self.ledger.value(*key) if value is None else value  # studies stand in the ledger alone

    def key(self, name: str, plan: str | None = None, category: str | None = None) -> Key:
        """Return name and place under which a number stands in the ledger.

        Raises
        ------
        InputRefused
            There is none.
        """
        full = name if category is None else f"{name}_{category}"
        if category is not None and category not in CATEGORIES:
            raise _unknown(f"benefit category {category!r}", "one of " + ", ".join(CATEGORIES))
        place = MARKET if plan is None else plan
        if place != MARKET and not self.model.places.grain(place) and not self.ledger.places(full).count(place):
            raise _unknown(f"plan or place {place!r}", "plans of the filing: column plan_id of `plans`")
        key = self.model.key(full, place)
        grain = self.model.places.grain(key[1])
        if key not in self.ledger and self.model.formulas.quantity(full, grain) is None:
            raise _unknown(f"{full!r}" + (f" of {place}" if place else " of the market"), "see `ledger.frame()`")
        return key

    def trace(
        self,
        name: str,
        plan: str | None = None,
        area: str | None = None,
        age: int | None = None,
        tobacco: bool = False,
        category: str | None = None,
        quarter: int = 1,
        tier: str = "one_adult",
    ) -> Trace:
        """Return how a number came about, down to what was handed in.

        Parameters
        ----------
        name : str
            As for :meth:`value`; ``"rate"``: the consumer rate of `plan` in `area` at `age`.
        plan, category : str, optional
            As for :meth:`value`.
        area, age, tobacco, quarter, tier : optional
            Of a consumer rate; the quarter (1 to 4) where rates change by quarter, the tier where families are rated.

        Returns
        -------
        Trace
            ``.frame``: ``depth``, ``name``, ``place``, ``value``, ``unit``, ``formula``, ``with_numbers``, ``source``,
            ``note``; as text an indented list.
        """
        from rating.filing._trace import rate_trace, traced

        if name == "rate":
            return rate_trace(self, plan, area, age, tobacco, quarter, tier)
        return traced(self, self.key(name, plan, category))

    def as_filed(
        self,
        changes: Mapping[Key, Any] | None = None,
        *,
        header: Mapping[str, Any] | None = None,
        rates: pl.DataFrame | None = None,
    ) -> Filing:
        """Return the filing with every number as it stands, some of them changed, and nothing worked out again.

        What a filing looks like to a reviewer: whether a computed number follows from the others is then a question
        (``model.computed`` against ``model.value``), not a matter of course.

        Parameters
        ----------
        changes : mapping of (name, place) to a number or None, optional
            Place ``""`` is the market.
        header, rates : optional
            Replace entries of the header, or the consumer rates.
        """
        from rating.filing._filing_frames import with_values
        from rating.filing._numbers import exact_or_blank

        read = {key: exact_or_blank(value, key[0]) for key, value in (changes or {}).items()}
        ledger = Ledger(
            replace(entry, value=read.get(entry.key, entry.value), role="input", inputs=(), source=AS_FILED)
            for entry in self.ledger
        )
        for (name, place), value in read.items():
            if (name, place) not in ledger:
                ledger.add(Entry(name, place, value, "", source=AS_FILED))
        model = FilingModel(self.model.formulas, {e.key: e.value for e in ledger}, self.model.places)
        changed = replace(self, header={**self.header, **(header or {})}, ledger=ledger, model=model)
        return with_values(changed if rates is None else replace(changed, rates=rates))

    def write_workbook(self, path: str | os.PathLike[str]) -> Path:
        """Write the template's three worksheets, with live formulas where the template computes; return the path."""
        from rating.filing._workbook_write import write_workbook

        return write_workbook(self, path)

    def write_rates_template(self, path: str | os.PathLike[str]) -> Path:
        """Write the consumer rates in the layout of the exchange's Rates Table, CSV or workbook; return the path."""
        from rating.filing._rates_template import write_rates_template

        return write_rates_template(self, path)


def _unknown(what: str, remedy: str) -> InputRefused:
    return InputRefused(f"the filing has no {what}", rule="names of filing/urrt_formulas", remedy=remedy)
