"""How far a rate moves when one assumption does: every change of ``filing/sensitivities`` evaluated again."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, DivisionByZero, InvalidOperation
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs.errors import InputRefused
from rating.filing._expressions import PLACEHOLDER
from rating.filing._filing_input import is_within
from rating.filing._formulas import CATEGORIES
from rating.filing._inputs_model import ended_plans, inputs_model
from rating.filing._ledger import MARKET, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import CONTEXT, exact

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["sensitivity"]

_TABLE = "filing/sensitivities"
_LOADED, _TIMES = "loaded", "times"


def sensitivity(filing: Filing, *, target: str = "mean_premium_pmpm", plan: str | None = None) -> pl.DataFrame:
    """Return how a rate moves with each assumption, one at a time, up and down.

    ``effect = f(inputs with the assumption changed) - f(inputs)``, f by ``filing/urrt_formulas``; all else stays.

    Parameters
    ----------
    filing : Filing
        Developed, or read from a workbook.
    target : str
        The rate, a quantity of ``filing/urrt_formulas``.
    plan : str, optional
        Plan whose rate it is; without, of the market.

    Returns
    -------
    DataFrame
        A row per assumption of ``filing/sensitivities`` that the filing has, in that order: ``assumption``, ``label``,
        ``change`` (in words), ``value`` (the assumption as it is, where it is one number), ``effect_down``,
        ``effect_up`` (in the unit of the target; null where the changed number is outside its limits or gives no rate),
        ``ratio_down``, ``ratio_up`` (effects over the rate; null where that is zero).

    Raises
    ------
    InputRefused
        The filing has no value for the target.

    Notes
    -----
    Sources: ASOP 56, section on sensitivity, and 45 CFR 154.301(a)(4) for the assumptions. Effects of several changes
    at once are not their sum. What a study found before the chain (completion, trend fit) does not move.

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
    >>> found = sensitivity(filing).filter(pl.col("assumption").is_in(["manual_rate", "risk_adjustment"]))
    >>> found.select("assumption", "change", "effect_down", "effect_up").rows()
    [('manual_rate', '1 percent', -5.0, 5.0), ('risk_adjustment', '$5 PMPM', 5.0, -5.0)]
    """
    import polars as pl

    model = inputs_model(filing)
    place = MARKET if plan is None else plan
    rate = model.value(target, place)
    if rate is None:
        raise InputRefused(
            f"the filing has no value of {target!r}" + (f" of plan {plan}" if plan else ""),
            where="sensitivity",
            rule="names of filing/urrt_formulas; a plan's quantities need `plan`",
            remedy="choose a quantity that the filing has, such as mean_premium_pmpm",
        )
    lines = []
    for change in _changes():
        keys = change.keys(model, ended_plans(filing))
        if not keys:
            continue
        numbers = {model.value(*key) for key in keys}
        effects = [_effect(model, change, keys, sign, (target, place), rate) for sign in (-1, 1)]
        ratios = [None if effect is None or not rate else CONTEXT.divide(effect, rate) for effect in effects]
        own = float(numbers.pop() or 0) if len(numbers) == 1 else None
        found = [None if number is None else float(number) for number in (*effects, *ratios)]
        lines.append((change.assumption, change.label, change.words, own, *found))
    texts = dict.fromkeys(("assumption", "label", "change"), pl.String)
    numbers_of = ("value", "effect_down", "effect_up", "ratio_down", "ratio_up")
    return pl.DataFrame(lines, schema={**texts, **dict.fromkeys(numbers_of, pl.Float64)}, orient="row")


@dataclass(frozen=True, slots=True)
class _Change:
    """One row of ``filing/sensitivities``."""

    assumption: str
    label: str
    words: str
    names: tuple[str, ...]
    way: str
    amount: Decimal
    is_of_loaded: bool
    needs: str | None

    def keys(self, model: FilingModel, ended: frozenset[str]) -> list[Key]:
        """Return the numbers that change: those that the filing has, of offered plans."""
        found: list[Key] = []
        if self.needs and not model.value(self.needs):
            return found
        for name in self.names:
            grain = "market" if model.formulas.quantity(name, "market") is not None else "plan"
            for at in model.places.of(grain):
                value = None if at in ended else model.value(name, at)
                if value is not None and not (self.is_of_loaded and value == 1):
                    found.append((name, at))
        return found

    def changed(self, value: Decimal, sign: int) -> Decimal:
        """Return a number changed up (sign 1) or down (-1)."""
        step = CONTEXT.multiply(self.amount, Decimal(sign))
        return CONTEXT.add(value, CONTEXT.multiply(value, step) if self.way == _TIMES else step)


def _changes() -> list[_Change]:
    columns = ("assumption", "label", "change", "names", "way", "amount", "applies_to", "needs")
    found: list[_Change] = []
    for row in _registry.table(_TABLE).sort("position").select(columns).rows():
        assumption, label, words, names, way, amount, to, needs = row
        each = [
            name.replace(PLACEHOLDER, category)
            for name in names.split()
            for category in (CATEGORIES if PLACEHOLDER in name else ("",))
        ]
        found.append(_Change(assumption, label, words, tuple(each), way, exact(amount, "amount"), to == _LOADED, needs))
    return found


def _effect(
    model: FilingModel, change: _Change, keys: list[Key], sign: int, target: Key, rate: Decimal
) -> Decimal | None:
    changes: dict[Key, Any] = {}
    for name, place in keys:
        value = model.value(name, place)
        assert value is not None
        changes[name, place] = change.changed(value, sign)
        if not _is_within(model, (name, place), changes[name, place]):
            return None
    try:
        after = model.changed(changes).value(*target)
    except (DivisionByZero, InvalidOperation):
        return None
    return None if after is None else CONTEXT.subtract(after, rate)


def _is_within(model: FilingModel, key: Key, value: Decimal) -> bool:
    quantity = model.formulas.quantity(key[0], model.places.grain(key[1]))
    return quantity is None or is_within(quantity.limits, value)
