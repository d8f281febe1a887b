"""What moved a rate from one filing to another: steps that sum exactly to the change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs._declared import check_choice
from data_specs.errors import InputRefused
from rating.filing._bridge_sides import Hybrids, Side, sides_of
from rating.filing._ledger import MARKET

if TYPE_CHECKING:
    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["ORDERS", "Bridge", "bridge"]

ORDERS = ("chain", "symmetric")
AS_FILED = "as_filed"
_DECIMALS = Decimal(1).scaleb(-18)  # of each evaluated value; from there on every sum is exact
_WIDE = Context(prec=60, rounding=ROUND_HALF_EVEN)
_HOW = {
    "chain": "Inputs of the newer filing take the place of the older one's step by step, in the order shown; what two "
    "steps move together stands with the later one.",
    "symmetric": "Each step is the mean of two chains, one in the order shown and one in the reverse order, so that "
    "what two steps move together is shared between them.",
}


@dataclass(frozen=True)
class Bridge:
    """What moved a rate; see :func:`bridge`.

    Attributes
    ----------
    steps : DataFrame
        A row per step of ``filing/bridge_steps``, in its order, those that moved nothing too: ``step``, ``label``,
        ``amount``, ``cumulative`` (the rate after the step), ``ratio_to_old`` (amount over the older rate; null where
        that is zero), ``inputs_changed`` (how many numbers and formulas differ), ``exact`` (the amount as text).
    target, place, unit : str
        The quantity that moved, where ("" for the market, or the plan), and its unit.
    order : str
        ``chain`` or ``symmetric``; :attr:`note` says it in a sentence.
    old, new, change : Decimal
        Of the two filings, to 18 decimals, and their difference; the exact amounts of the steps add up to it.
    entering, leaving : tuple of str
        Plans offered in one filing only.
    note : str
        How the steps were taken, and which of them could not be told apart.
    """

    steps: pl.DataFrame
    target: str
    place: str
    unit: str
    order: str
    old: Decimal
    new: Decimal
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    note: str = field(repr=False)

    def __repr__(self) -> str:
        moving = self.steps.filter(self.steps["amount"] != 0).height
        return f"<Bridge of {self.target}: {self.old:.6f} to {self.new:.6f} in {moving} steps, {self.order}>"

    @property
    def change(self) -> Decimal:
        """New less old."""
        return _WIDE.subtract(self.new, self.old)

    def amount(self, step: str) -> Decimal:
        """Return the amount of one step, exact.

        Raises
        ------
        InputRefused
            There is no such step.
        """
        exact = dict(zip(self.steps["step"], self.steps["exact"], strict=True))
        if step not in exact:
            remedy = f"one of {', '.join(exact)}"
            raise InputRefused(f"a bridge has no step {step!r}", rule="filing/bridge_steps", remedy=remedy)
        return Decimal(exact[step])


def bridge(
    old: Filing,
    new: Filing,
    *,
    target: str = "mean_premium_pmpm",
    plan: str | None = None,
    order: str | None = None,
) -> Bridge:
    """Return what moved a rate from one filing to another, as steps that add up to the change.

    The rate is evaluated by ``filing/urrt_formulas``, first with all inputs of `old`, then with those of `new` in more
    and more steps: ``amount_k = f(new in steps 1..k, old elsewhere) - f(new in steps 1..k-1, old elsewhere)``. Which
    quantity belongs to which step is ``filing/bridge_groups``. A formula that a setting chooses moves with its step.

    Parameters
    ----------
    old, new : Filing
        Developed, or read from workbooks: of those, what their formulas give is left aside, and the difference between
        the two is the step ``as_filed``.
    target : str
        Any quantity of ``filing/urrt_formulas``: ``mean_premium_pmpm`` (the plan adjusted index rates, weighted by
        projected member months), ``market_adjusted_index_rate`` ...; with `plan` ``plan_adjusted_index_rate``,
        ``calibrated_plan_adjusted_index_rate`` ...
    plan : str, optional
        Plan whose rate is taken apart; it is offered in both filings.
    order : {"chain", "symmetric"}, optional
        One chain in the order of the table, or the mean of that chain and its reverse. Default: the setting
        ``bridge_order`` of `new`.

    Returns
    -------
    Bridge

    Raises
    ------
    InputRefused
        A filing has no value for the target, not even with inputs of the other where it has none; the plan is not
        offered in both.
    SettingRefused
        The order is not known.

    Notes
    -----
    Plans offered in one filing only weigh nothing in the other; their step is ``plans``. An input that one filing lacks
    is taken from the other on both sides, and moves nothing. Source: 45 CFR 154.301(a)(4), the factors a reviewer asks
    about; the method is ours.

    Examples
    --------
    >>> import polars as pl
    >>> from rating.filing import develop
    >>> market = {"exp_member_months": 0, "manual_ehb": 500, "exchange_fee_pct": 0, "calib_age": 1, "calib_geo": 1}
    >>> market |= {"calib_tobacco": 1, "proj_reinsurance": 0, "proj_risk_adjustment": 0}
    >>> plans = {"plan_id": "12345TX0010001", "metal_level": "silver", "plan_category": "new", "pct_admin": "0.2"}
    >>> plans |= {"adj_av_cost_sharing": "0.8", "proj_member_months_plan": 12, "pct_taxes_fees": 0}
    >>> plans |= {"adj_csr_load": 1, "adj_network": 1, "adj_non_ehb": 1, "pct_profit_risk": 0}
    >>> further = {"plan_year": 2026, "state": "TX", "market": "individual", "issuer_id": "12345"}
    >>> further["areas"] = pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1"]})
    >>> old = develop(None, market, pl.DataFrame([plans]), **further)
    >>> new = develop(None, market | {"manual_ehb": 520}, pl.DataFrame([plans | {"pct_admin": "0.36"}]), **further)
    >>> steps = bridge(old, new).steps
    >>> steps.filter(pl.col("amount") != 0).select("step", "amount", "cumulative").rows()
    [('credibility', 20.0, 520.0), ('admin', 130.0, 650.0)]
    """
    sides = sides_of(old, new)
    chosen = check_choice("order", order or new.chosen.bridge_order, ORDERS)
    place = MARKET if plan is None else plan
    _check_target(sides, target, place)
    labels = dict(_registry.table("filing/bridge_steps").sort("position").select("step", "label").rows())
    hybrids = Hybrids(sides, [step for step in labels if step != AS_FILED])
    ends = [_rounded(side.as_it_is.value(target, place)) for side in sides]
    forward = _chain(hybrids, hybrids.steps, target, place)
    amounts, together = _differences(hybrids.steps, forward.values), forward.together
    if chosen == "symmetric":
        backward = _chain(hybrids, hybrids.steps[::-1], target, place)
        reverse, together = _differences(hybrids.steps[::-1], backward.values), together | backward.together
        amounts = {step: _WIDE.divide(_WIDE.add(amounts[step], reverse[step]), Decimal(2)) for step in amounts}
    before, after = _WIDE.subtract(ends[0], forward.values[0]), _WIDE.subtract(ends[1], forward.values[-1])
    amounts[AS_FILED] = _WIDE.subtract(after, before)
    changed = {step: hybrids.changed(step) for step in hybrids.steps}
    changed[AS_FILED] = sum(side.beside for side in sides)
    quantity = new.model.formulas.quantity(target, new.model.places.grain(place))
    return Bridge(
        steps=_frame(labels, amounts, changed, ends[0]),
        target=target,
        place=place,
        unit="" if quantity is None else quantity.unit,
        order=chosen,
        old=ends[0],
        new=ends[1],
        entering=tuple(p for p in sides[1].offered if p not in sides[0].offered),
        leaving=tuple(p for p in sides[0].offered if p not in sides[1].offered),
        note=_HOW[chosen] + _said(labels, together),
    )


def _check_target(sides: Sequence[Side], target: str, place: str) -> None:
    for side, which in zip(sides, ("older", "newer"), strict=True):
        if place and place not in side.offered:
            raise InputRefused(
                f"the {which} filing does not offer plan {place}",
                where="bridge",
                rule="a plan that is new or ends has no rate to come from or to go to",
                remedy="leave `plan` out: the market's bridge has a step for such plans",
            )
        if side.as_it_is.value(target, place) is None:
            of = f" of plan {place}" if place else ""
            raise InputRefused(
                f"the {which} filing has no value of {target!r}{of}",
                where="bridge",
                rule="names of filing/urrt_formulas; a plan's quantities need `plan`",
                remedy="choose a quantity that both filings have, such as mean_premium_pmpm",
            )


@dataclass(frozen=True)
class _Chain:
    """The rate before the first step and after each; steps after which it had no value, and kept the one before."""

    values: list[Decimal]
    together: set[str]


def _chain(hybrids: Hybrids, steps: Sequence[str], target: str, place: str) -> _Chain:
    taken: set[str] = set()
    value = first = _value(hybrids, taken, target, place)
    values, together = [first], set()
    for step in steps:
        taken.add(step)
        # Where nothing of the step differs the rate is the one before, to the last digit.
        if hybrids.differs(step):
            value = _value(hybrids, taken, target, place)
            if value is None:
                together.add(step)
        values.append(values[-1] if value is None else value)
    if first is None or value is None:
        raise InputRefused(
            f"{target} has no value by the inputs of each filing alone",
            where="bridge",
            rule="a bridge begins and ends with a rate that its inputs give",
            remedy="choose another target, or complete the filing that lacks inputs",
        )
    return _Chain([value for value in values if value is not None], together)


def _value(hybrids: Hybrids, taken: Collection[str], target: str, place: str) -> Decimal | None:
    """Return the rate with newer inputs in some steps; None where such a mixture has none (no member months, say)."""
    try:
        value = hybrids.model(taken).value(target, place)
    except (DivisionByZero, InvalidOperation):
        return None
    return None if value is None else _rounded(value)


def _rounded(value: Decimal | None) -> Decimal:
    assert value is not None
    return value.quantize(_DECIMALS, context=_WIDE)


def _said(labels: Mapping[str, str], together: Collection[str]) -> str:
    if not together:
        return ""
    named = ", ".join(label for step, label in labels.items() if step in together)
    return f" The rate has no value between some steps: what these moved stands with the step after them: {named}."


def _differences(steps: Iterable[str], values: Sequence[Decimal]) -> dict[str, Decimal]:
    return {step: _WIDE.subtract(b, a) for step, (a, b) in zip(steps, pairwise(values), strict=True)}


def _frame(
    labels: Mapping[str, str], amounts: Mapping[str, Decimal], changed: Mapping[str, int], start: Decimal
) -> pl.DataFrame:
    import polars as pl

    lines, so_far = [], start
    for step, label in labels.items():
        amount = amounts[step]
        so_far = _WIDE.add(so_far, amount)
        ratio = float(_WIDE.divide(amount, start)) if start else None
        lines.append((step, label, float(amount), float(so_far), ratio, changed[step], f"{amount:f}"))
    schema: dict[str, Any] = {"step": pl.String, "label": pl.String, "amount": pl.Float64, "cumulative": pl.Float64}
    schema |= {"ratio_to_old": pl.Float64, "inputs_changed": pl.Int64, "exact": pl.String}
    return pl.DataFrame(lines, schema=schema, orient="row")
