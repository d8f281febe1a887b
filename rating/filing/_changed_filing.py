"""A filing with some of its inputs changed, worked out again from there on."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating._factors import rating_factors
from rating._rate_settings import RateSettings
from rating.filing import _index_rate, _plan_rates
from rating.filing._calibration import Areas
from rating.filing._draft import Draft, Identity
from rating.filing._filing_frames import assembled, filled_ledger
from rating.filing._filing_input import PLAN_TEXTS, Plans, read_numbers
from rating.filing._formulas import CATEGORIES
from rating.filing._inputs_model import ended_plans, inputs_model, is_as_filed
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Entry, Key, Ledger
from rating.filing._model import FilingModel
from rating.filing._numbers import CONTEXT, exact
from rating.filing._projected_loss_ratio import is_projected, projected_loss_ratio, without_projected

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["TREND", "what_if"]

TREND = "trend"  # one annual trend instead of cost and utilization by category
_YEARS = ("y1", "y2")
# Rules that look at results: looked at again, so that no finding speaks of the filing before the change.
_LOOKED_AT_AGAIN = ("PRC-016", "PRC-017", "PRC-018", "PRC-021", "PRC-022", "PRC-023")


def what_if(filing: Filing, **changes: Any) -> Filing:
    """Return the filing with some inputs changed, everything that follows from them worked out again.

    Parameters
    ----------
    filing : Filing
        Developed, or read from a workbook: of that, what its formulas give is worked out from its inputs first.
    **changes
        Quantities of ``filing/urrt_formulas`` by name: ``adj_morbidity=1.03``. A quantity of a plan is that of all
        offered plans, ``pct_admin=0.11``, or a mapping, ``pct_admin={"12345TX0010001": 0.11}``. ``trend=0.07``: claims
        of every category grow by 7 percent a year in both years; cost changes, utilization stays. A computed quantity
        may be given as well; the given value wins.

    Returns
    -------
    Filing
        With its consumer rates, checks and ledger; the source of what changed is ``what-if``.

    Raises
    ------
    InputRefused
        A name or plan is not known; a value is no number or outside its limits; the rate is not above zero; something
        was worked out from the changed input before the chain (a calibration that is rounded, a load from variants, a
        study of the experience): that needs :func:`rating.filing.develop` again.

    Notes
    -----
    :func:`rating.filing.bridge` of the filing and the result says what moved.

    Examples
    --------
    >>> import polars as pl
    >>> from rating.filing import develop
    >>> market = {"exp_member_months": 0, "manual_ehb": 500, "exchange_fee_pct": 0, "calib_age": 1, "calib_geo": 1}
    >>> market |= {"calib_tobacco": 1, "proj_reinsurance": 0, "proj_risk_adjustment": 0}
    >>> plan = {"plan_id": "12345TX0010001", "metal_level": "silver", "plan_category": "new", "pct_admin": "0.2"}
    >>> plan |= {"adj_av_cost_sharing": "0.8", "proj_member_months_plan": 12, "pct_taxes_fees": 0}
    >>> plan |= {"adj_csr_load": 1, "adj_network": 1, "adj_non_ehb": 1, "pct_profit_risk": 0}
    >>> areas = pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1"]})
    >>> filing = develop(None, market, pl.DataFrame([plan]), areas=areas, plan_year=2026, state="TX",
    ...     market="individual", issuer_id="12345")
    >>> what_if(filing, manual_ehb=520).value("mean_premium_pmpm"), filing.value("mean_premium_pmpm")
    (Decimal('520'), Decimal('500'))
    """
    model = without_projected(inputs_model(filing))
    changed = _read(filing, model, changes)
    if not is_as_filed(filing):
        _check_worked_out_before(filing, changed)
    model = model.changed(changed)
    given = {key: _entry(filing, model, key, changed) for key in model.given}
    draft = Draft(filing.chosen, _identity(filing))
    draft.entries = given
    plans = _plans(filing)
    _plan_rates.check_retention(model, plans)
    _index_rate.check_index_rate(draft, model)
    _plan_rates.check_plans(draft, model, plans)
    draft.findings.extend(filing.findings.filter(~filing.findings["rule_id"].is_in(_LOOKED_AT_AGAIN)))
    return assembled(
        header=filing.header,
        model=model,
        ledger=filled_ledger(model, given, (*_others(filing, model), *projected_loss_ratio(draft, model, plans))),
        texts=plans.texts,
        chosen=filing.chosen,
        settings=filing.settings,
        findings=draft.findings.frame(),
        uncertain=filing.uncertain,
        areas=filing.areas,
        rates=_rates(filing, draft, model, plans) if filing.rates.height else filing.rates,
        mix=filing.mix,
        variants=filing.variants,
    )


# ------------------------------------------------------------------------------------------------ what changes


def _read(filing: Filing, model: FilingModel, changes: Mapping[str, Any]) -> dict[Key, Decimal | None]:
    """Return what changes, by name and place."""
    offered = [plan for plan in model.places.of("plan") if plan not in ended_plans(filing)]
    found: dict[Key, Decimal | None] = {}
    for name, value in changes.items():
        if name == TREND:
            found |= _trend(model, exact(value, TREND))
        elif model.formulas.quantity(name, "market") is not None:
            found |= _numbers(model, name, "market", {MARKET: value})
        elif model.formulas.quantity(name, "plan") is not None:
            by_plan = value if isinstance(value, Mapping) else dict.fromkeys(offered, value)
            unknown = sorted(set(by_plan) - set(offered))
            if unknown:
                raise _refused(f"plan {unknown[0]!r} is not offered", "plans of the filing: column plan_id of `plans`")
            found |= _numbers(model, name, "plan", by_plan)
        else:
            known = [TREND, *model.formulas.names("market"), *model.formulas.names("plan")]
            near = difflib.get_close_matches(name, known, n=3)
            remedy = f"use {' or '.join(near)}" if near else "names are those of filing/urrt_formulas, or trend"
            raise _refused(f"no quantity is called {name!r}", remedy)
    return found


def _numbers(model: FilingModel, name: str, grain: str, values: Mapping[str, Any]) -> dict[Key, Decimal | None]:
    """Return values by place as they were written, within the limits of the quantity."""
    import polars as pl

    quantity = model.formulas.quantity(name, grain)
    texts = pl.Series(name, [str(value) for value in values.values()], dtype=pl.String)
    read = read_numbers(texts, "what-if", "" if quantity is None else quantity.limits)
    return {(name, place): number for place, number in zip(values, read, strict=True)}


def _trend(model: FilingModel, annual: Decimal) -> dict[Key, Decimal | None]:
    """Return the cost factors with which cost times utilization is one annual trend, where there are claims."""
    grown = CONTEXT.add(Decimal(1), annual)
    found: dict[Key, Decimal | None] = {}
    for category in CATEGORIES:
        for year in _YEARS:
            use = model.value(f"trend_{year}_util_{category}")
            if use:
                found[f"trend_{year}_cost_{category}", MARKET] = CONTEXT.divide(grown, use)
    if grown <= 0 or not found:
        what = "the filing has no trend to change" if grown > 0 else "a trend of -100 percent or less leaves no claims"
        raise _refused(what, "write 0.07 for 7 percent a year")
    return found


def _check_worked_out_before(filing: Filing, changed: Mapping[Key, Any]) -> None:
    """Refuse a change of what something given was worked out from: it would not follow."""
    for entry in filing.ledger:
        if entry.role != COMPUTED or entry.key not in filing.model.given or entry.key in changed:
            continue
        for key in _upstream(filing.ledger, entry):
            if key in changed:
                raise _refused(
                    f"{entry.name} was worked out from {key[0]} before the chain",
                    f"change {key[0]} where the filing is developed, or change {entry.name} itself",
                )


def _upstream(ledger: Ledger, entry: Entry) -> set[Key]:
    """Return everything that an entry was worked out from."""
    found: set[Key] = set()
    waiting = list(entry.inputs)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            part = ledger.get(*key)
            waiting += [] if part is None else part.inputs
    return found


def _refused(what: str, remedy: str) -> InputRefused:
    return InputRefused(what, where="what-if", rule="one change of an input, all else as it is", remedy=remedy)


# ------------------------------------------------------------------------------------------------ putting together


def _entry(filing: Filing, model: FilingModel, key: Key, changed: Mapping[Key, Any]) -> Entry:
    """Return the ledger's entry of a given number."""
    known = filing.ledger.get(*key)
    if key not in changed:
        assert known is not None
        return known
    quantity = model.formulas.quantity(key[0], model.places.grain(key[1]))
    unit = "factor" if quantity is None else quantity.unit
    before = None if known is None else known.value
    return Entry(*key, changed[key], unit, INPUT, source="what-if", note="changed", replaced=before)


def _others(filing: Filing, model: FilingModel) -> list[Entry]:
    """Return the ledger's entries of what is no quantity of the template: studies, variants."""
    known, grain = model.formulas, model.places.grain
    return [e for e in filing.ledger if known.quantity(e.name, grain(e.place)) is None and not is_projected(e.name)]


def _identity(filing: Filing) -> Identity:
    header = filing.header
    whose, market, year = _rules_of(filing), str(header["market"]), int(header["plan_year"])
    factors = rating_factors(whose, market, year, _rate_settings(filing))
    return Identity(str(header["issuer_id"]), str(header["state"]), market, year, factors)


def _rules_of(filing: Filing) -> str:
    return str(filing.header.get("rules_of_state") or filing.chosen.rules_of_state or filing.header["state"])


def _rate_settings(filing: Filing) -> RateSettings:
    """Return the settings of rates that a filing was developed with, from their table."""
    of_rates: dict[str, Any] = {}
    for name, value in filing.settings.select("setting", "value").rows():
        if name in RateSettings.CHOICES:
            of_rates[name] = value
        elif name in (*RateSettings.NUMBERS, *RateSettings.YEARS):
            of_rates[name] = None if value == "None" else int(value)
    return RateSettings.of(of_rates)


def _plans(filing: Filing) -> Plans:
    import polars as pl

    frame = filing.plans
    computed = {name for name in frame.columns if frame.schema[name] == pl.Float64}
    missing = [pl.lit(None, dtype=pl.String).alias(name) for name in PLAN_TEXTS if name not in frame.columns]
    texts = frame.with_columns(missing)
    texts = texts.select(*PLAN_TEXTS, *(c for c in frame.columns if c not in computed and c not in PLAN_TEXTS))
    ids = texts["plan_id"].to_list()
    by_plan = {name: dict(zip(ids, texts[name].to_list(), strict=True)) for name in PLAN_TEXTS}
    sold = {plan: value if isinstance(value, bool) else None for plan, value in by_plan["on_exchange"].items()}
    return Plans(texts, by_plan["plan_category"], by_plan["product_id"], by_plan["metal_level"], sold)


def _rates(filing: Filing, draft: Draft, model: FilingModel, plans: Plans) -> pl.DataFrame:
    """Return the consumer rates of the changed filing."""
    factor_of: dict[tuple[str, str], Decimal] = {}
    for entry in filing.ledger:
        if entry.value is None or entry.name not in ("area_factor", "plan_area_factor"):
            continue
        owner, _, area = entry.place.rpartition(" ")
        factor_of[owner, area] = entry.value if owner else model.value("area_factor", area) or entry.value
    areas = Areas(tuple(sorted({area for _, area in factor_of})), factor_of)
    return _plan_rates.consumer_rates(draft, model, plans, areas, _rate_settings(filing), _rules_of(filing))
