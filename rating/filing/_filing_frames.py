"""The frames of a filing, and its ledger, from the model that holds its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rating.filing._filing import Filing
from rating.filing._formulas import category_of
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Entry, Key, Ledger
from rating.filing._model import FilingModel
from rating.filing._numbers import number_text

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing_settings import FilingSettings

__all__ = ["assembled", "filled_ledger", "with_values"]

_BEFORE = "av_pricing"  # worksheet 2 has the market's rate (3.2) before the plan's factors
_MARKET_RATE = "market_adjusted_index_rate"
_LAST_DIGITS = Decimal("1e-28")


def filled_ledger(model: FilingModel, given: Mapping[Key, Entry], further: Iterable[Entry] = ()) -> Ledger:
    """Return the ledger of a model: what is given, and everything that follows from it.

    A computed quantity of which no part is there is left out; one of which some part is blank is a blank, and so are
    those parts. A given quantity that has a formula says what that would give, where it differs.
    """
    ledger = Ledger()
    grains = ("market", "product", "plan", "age", "area", "tobacco", "tier")
    for key in model.keys(grains):
        if key in given:
            ledger.put(_beside_formula(model, given[key]))
            continue
        formula = model.formula(*key)
        if formula is None:
            continue
        value, inputs = model.value(*key), model.inputs(*key)
        if value is None and all(model.value(*part) is None for part in inputs):
            continue
        note = f"{formula.setting} ({formula.status})" if formula.setting else ""
        ledger.put(Entry(*key, value, formula.unit, COMPUTED, formula.expression, inputs, formula.rule, note))
    for entry in (*given.values(), *further):
        if entry.key not in ledger:
            ledger.put(entry)
    for entry in list(ledger):
        for name, place in entry.inputs:
            if (name, place) not in ledger:
                quantity = model.formulas.quantity(name, model.places.grain(place))
                ledger.put(Entry(name, place, None, quantity.unit if quantity else entry.unit, source="blank"))
    return ledger


def _beside_formula(model: FilingModel, entry: Entry) -> Entry:
    follows = model.computed(*entry.key)
    if entry.role != INPUT or follows is None or entry.replaced is not None or _is_same(follows, entry.value):
        return entry
    note = "; ".join(part for part in (entry.note, f"given; its formula gives {number_text(follows)}") if part)
    return replace(entry, note=note, replaced=follows)


def _is_same(one: Decimal, other: Decimal | None) -> bool:
    """Whether two numbers differ by no more than the last digits that arithmetic of 34 digits leaves."""
    return other is not None and abs(one - other) <= _LAST_DIGITS * abs(other)


def assembled(
    *,
    header: dict[str, Any],
    model: FilingModel,
    ledger: Ledger,
    texts: pl.DataFrame,
    chosen: FilingSettings,
    settings: pl.DataFrame,
    findings: pl.DataFrame,
    uncertain: pl.DataFrame,
    areas: pl.DataFrame,
    rates: pl.DataFrame,
    mix: pl.DataFrame,
    variants: pl.DataFrame,
    cells: pl.DataFrame | None = None,
) -> Filing:
    """Return a filing whose worksheets are read off its model.

    Parameters
    ----------
    header, model, ledger, chosen, settings, findings, uncertain, rates, mix, variants, cells
        As :class:`rating.filing.Filing` has them.
    texts : DataFrame
        A row per plan: ``plan_id``, ``product_id`` and whatever else is no number; in the order of the plans.
    areas : DataFrame
        ``rating_area_id``, ``area_factor`` (Float64), ``plan_id`` where factors differ by plan.
    """
    import polars as pl

    empty = pl.DataFrame()
    filing = Filing(
        header,
        empty,
        texts,
        empty,
        areas,
        rates,
        mix,
        variants,
        ledger,
        findings,
        settings,
        uncertain,
        chosen,
        model,
        cells,
    )
    return with_values(filing)


def with_values(filing: Filing) -> Filing:
    """Return a filing with the frames of its worksheets read off its model and ledger anew."""
    return replace(
        filing, market=_market(filing), plans=_plans(filing), products=_products(filing), areas=_areas(filing)
    )


def _market(filing: Filing) -> pl.DataFrame:
    import polars as pl

    lines = [
        (e.name, category_of(e.name), _float(e.value), e.unit, e.formula, e.role, e.source, e.note)
        for e in filing.ledger
        if e.place == MARKET
    ]
    columns = ("name", "category", "value", "unit", "formula", "role", "source", "note")
    schema = {column: pl.Float64 if column == "value" else pl.String for column in columns}
    return pl.DataFrame(lines, schema=schema, orient="row")


def _plans(filing: Filing) -> pl.DataFrame:
    import polars as pl

    model = filing.model
    names = list(dict.fromkeys(model.formulas.names("plan")))
    if _MARKET_RATE not in names:
        names.insert(names.index(_BEFORE), _MARKET_RATE)
    texts = filing.plans.select(c for c in filing.plans.columns if c not in names)
    plans = texts["plan_id"].to_list()
    columns = [pl.Series(n, [_float(model.value(n, plan)) for plan in plans], dtype=pl.Float64) for n in names]
    first = [c for c in texts.columns if c in _FIRST]
    rest = [c for c in texts.columns if c not in _FIRST]
    return texts.select(first).with_columns(columns).with_columns(texts.select(rest))


_FIRST = (
    "plan_id",
    "plan_name",
    "product_id",
    "product_name",
    "metal_level",
    "plan_category",
    "plan_type",
    "on_exchange",
    "network_id",
    "plan_effective_date",
    "crosswalk_plan_id",
)


def _products(filing: Filing) -> pl.DataFrame:
    import polars as pl

    ids = filing.model.places.of("product")
    named = filing.plans.select("product_id", *(c for c in ("product_name",) if c in filing.plans.columns))
    names = (
        dict(named.unique("product_id", keep="first", maintain_order=True).select(named.columns[:2]).rows())
        if (named.width == 2)
        else {}
    )
    changes = [_float(filing.model.value("product_rate_increase", product)) for product in ids]
    return pl.DataFrame(
        {
            "product_id": pl.Series(ids, dtype=pl.String),
            "product_name": pl.Series([names.get(product) for product in ids], dtype=pl.String),
            "product_rate_increase": pl.Series(changes, dtype=pl.Float64),
        }
    )


def _areas(filing: Filing) -> pl.DataFrame:
    import polars as pl

    if "plan_id" in filing.areas.columns or filing.areas.height == 0:
        return filing.areas
    factors = [_float(filing.model.value("area_factor", area)) for area in filing.areas["rating_area_id"].to_list()]
    return filing.areas.with_columns(pl.Series("area_factor", factors, dtype=pl.Float64))


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
