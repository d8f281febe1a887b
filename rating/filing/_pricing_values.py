"""From re-adjudicated claims to a filing: pricing values of plans, utilization they induce, changes of benefits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs import _frames
from data_specs._declared import check_choice
from data_specs.errors import InputRefused
from rating._figures import Figures, whole_year
from rating._frame_rows import collected
from rating.filing._experience_input import decimal_of
from rating.filing._filing_input import METALS, read_numbers
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key, Ledger
from rating.filing._numbers import rounded

if TYPE_CHECKING:
    import polars as pl

    from rating._adjudicate import Adjudication

__all__ = ["PricingValues", "pricing_values"]

_PLANS, _LIABILITY, _CURVE = "plans", "plan_liability", "transfers/metal_av_idf"
_WEIGHT = "proj_member_months_plan"
_WAYS = ("metal", "continuous")
_RULE = "45 CFR 156.80(d)(2)(i): actuarial value and cost-sharing design of the plan, on the single risk pool"
_ON_POOL = "claims of the single risk pool, re-adjudicated (rating.adjudicate)"


@dataclass(frozen=True)
class PricingValues:
    """What plans pay of the pool's claims, and the utilization they induce; see :func:`pricing_values`.

    Attributes
    ----------
    plans : DataFrame
        plan_id, design_id, metal_level, proj_member_months_plan, av_pricing (paid over allowed), induced_demand (mean 1
        over member months), adj_av_cost_sharing (their product). With `current_design_id` also paid_change,
        utilization_change and benefit_change (factors, new over current).
    ledger : DataFrame
        Every number with its formula, inputs and source, in the columns of a filing's ledger.
    paid_to_allowed : Decimal
        Of all plans, weighted by member months and induced demand.
    plan_design_change : Decimal or None
        Utilization that the new designs induce over that of the current ones; None without current designs.
    """

    plans: pl.DataFrame
    ledger: pl.DataFrame
    paid_to_allowed: Decimal
    plan_design_change: Decimal | None

    def plan_inputs(self) -> pl.DataFrame:
        """Return plan_id, av_pricing, induced_demand: columns for the plans of :func:`rating.filing.develop`."""
        return self.plans.select("plan_id", "av_pricing", "induced_demand")

    def assumptions(self, *, factor_decimals: int = 4) -> dict[str, dict[str, Any]]:
        """Return ``paid_to_allowed_ratio``, and ``adj_plan_design`` where designs change, as ``develop`` takes them."""
        found: dict[str, dict[str, Any]] = {}
        for name, value in (
            ("paid_to_allowed_ratio", self.paid_to_allowed),
            ("adj_plan_design", self.plan_design_change),
        ):
            if value is not None:
                note = f"{value:.10f}, rounded to {factor_decimals} decimals"
                found[name] = {"value": rounded(value, factor_decimals), "source": _ON_POOL, "note": note}
        return found


@dataclass(frozen=True)
class _Side:
    """One design of each plan: its name, what it pays of the pool, the utilization that it induces."""

    designs: list[str]
    ratio: list[Fraction]
    induced: list[Fraction]


def pricing_values(
    adjudication: Adjudication | pl.DataFrame,
    plans: pl.DataFrame | pl.LazyFrame,
    *,
    plan_year: int,
    induced_demand: str = "metal",
) -> PricingValues:
    """Return the pricing value of each plan, from claims of the single risk pool under its design.

    ``av_pricing = plan_paid / allowed`` of the design; ``induced_demand = i / (sum w i / sum w)``, i induced demand
    factor, w member months; ``adj_av_cost_sharing = av_pricing x induced_demand``. Of a plan whose design changes:
    ``paid_change = av_pricing / that of the current design``, ``utilization_change = i / that of the current design``,
    ``benefit_change`` their product; over the market ``adj_plan_design = sum w i / sum w i_current``.

    Parameters
    ----------
    adjudication : Adjudication or DataFrame
        What :func:`rating.adjudicate` returns, or its plan_liability; not split by groups: a plan is priced on the
        whole pool and not on its own enrollees.
    plans : DataFrame
        plan_id, metal_level, proj_member_months_plan; optional design_id (default: plan_id), current_design_id (blank:
        a new plan), current_metal_level (default: metal_level). For `continuous` av_metal, and current_av_metal
        (default: av_metal).
    plan_year : int
        Whose induced demand factors are taken.
    induced_demand : {"metal", "continuous"}
        ``metal``: the factor of the metal level. ``continuous``: the curve through the factors of bronze to platinum
        (AV^2 - AV + 1.24), at the plan's metal AV.

    Returns
    -------
    PricingValues

    Raises
    ------
    InputRefused
        A design was not adjudicated, a plan stands twice, a metal level is not known, no member months, claims without
        allowed dollars.
    SettingRefused
        `induced_demand` is something else.

    Notes
    -----
    Source: 45 CFR 156.80(d)(2)(i); factors of the transfer formula, ``transfers/metal_av_idf``. Neither the value nor
    the factor reflects the health of a plan's own enrollees.

    Examples
    --------
    Half of the member months in each metal: 1.03 and 1.08 over their mean.

    >>> import polars as pl
    >>> paid = pl.DataFrame({"design_id": ["S", "G"], "allowed": [1000, 1000], "plan_paid": [700, 800]})
    >>> plans = pl.DataFrame({"plan_id": ["S", "G"], "metal_level": ["silver", "gold"],
    ...     "proj_member_months_plan": [600, 600]})
    >>> found = pricing_values(paid, plans, plan_year=2026)
    >>> found.plans.select(pl.col("av_pricing", "induced_demand").round(6)).rows()
    [(0.7, 0.976303), (0.8, 1.023697)]
    """
    year = whole_year(plan_year, "plan_year")
    way = check_choice("induced_demand", induced_demand, _WAYS)
    frame = collected(plans, _PLANS, ("plan_id", "metal_level", _WEIGHT))
    ids = _texts(frame, "plan_id")
    if len(set(ids)) < len(ids) or not ids:
        raise _refused("a plan stands twice" if ids else "there is no plan", "plan_id", "hand in one row for each plan")
    weights = [Fraction(_needed(value, _WEIGHT)) for value in read_numbers(frame[_WEIGHT], _PLANS, "not_negative")]
    if sum(weights) == 0:
        raise _refused("there are no member months", _WEIGHT, "hand in projected member months")
    paid, factors = _paid(adjudication), _factors(year)
    new = _side(frame, "", ids, paid, factors, way)
    current = _side(frame, "current_", ids, paid, factors, way) if "current_design_id" in frame.columns else None
    return _values(ids, frame["metal_level"], weights, new, current)


# ------------------------------------------------------------------------------------------------ reading


def _paid(adjudication: Any) -> dict[str, tuple[Fraction, Fraction]]:
    """Return design -> plan_paid and allowed."""
    given = adjudication if not hasattr(adjudication, "plan_liability") else adjudication.plan_liability
    frame = collected(given, _LIABILITY, ("design_id", "plan_paid", "allowed"))
    ids = _texts(frame, "design_id")
    if len(set(ids)) < len(ids):
        raise InputRefused(
            "a design has several rows",
            where=_LIABILITY,
            rule=_RULE,
            remedy="adjudicate the claims of the whole pool, without `by`",
        )
    amounts = [read_numbers(frame[name], _LIABILITY, "not_negative") for name in ("plan_paid", "allowed")]
    found = {
        design: (Fraction(_needed(paid, "plan_paid")), Fraction(_needed(allowed, "allowed")))
        for design, paid, allowed in zip(ids, *amounts, strict=True)
    }
    if not all(allowed for _, allowed in found.values()):
        raise InputRefused(
            "nothing is allowed",
            where=f"{_LIABILITY}, column allowed",
            rule="a pricing value is paid over allowed",
            remedy="adjudicate claims of the pool",
        )
    return found


def _factors(year: int) -> list[tuple[str, Fraction, Fraction]]:
    """Return metal level, AV and induced demand factor, as published."""
    rows = Figures().rows(_CURVE, year).select("metal_level", "transfer_av", "induced_demand_factor")
    return [(metal, Fraction(str(av)), Fraction(str(factor))) for metal, av, factor in rows.rows()]


def _side(
    frame: pl.DataFrame,
    prefix: str,
    ids: list[str],
    paid: dict[str, tuple[Fraction, Fraction]],
    factors: list[tuple[str, Fraction, Fraction]],
    way: str,
) -> _Side:
    """Return what the plans' designs pay and induce; a blank current design is that of a new plan: no change."""
    designs = [*ids]
    for column in ("design_id", f"{prefix}design_id"):
        if column in frame.columns:
            given = _frames.text_column(frame, _PLANS, column).str.strip_chars().to_list()
            designs = [own or before for own, before in zip(given, designs, strict=True)]
    unknown = sorted(set(designs) - set(paid))
    if unknown:
        raise _refused(
            f"design {unknown[0]!r} was not adjudicated", f"{prefix}design_id", "use a design_id of plan_liability"
        )
    if way == "continuous":
        values = _blanks_from(frame, prefix, "av_metal")
        curve = [(av, factor) for metal, av, factor in factors if metal != "catastrophic"]
        induced = [_on_curve(curve, Fraction(_needed(value, "av_metal"))) for value in values]
    else:
        of_metal = {metal: factor for metal, _, factor in factors}
        of_metal["expanded_bronze"] = of_metal["bronze"]
        metals = [str(metal).lower() for metal in _blanks_from(frame, prefix, "metal_level")]
        loose = sorted(set(metals) - set(METALS))
        if loose:
            raise _refused(f"{loose[0]!r} is no metal level", "metal_level", "one of " + ", ".join(METALS))
        induced = [of_metal[metal] for metal in metals]
    return _Side(designs, [paid[design][0] / paid[design][1] for design in designs], induced)


def _blanks_from(frame: pl.DataFrame, prefix: str, column: str) -> list[Any]:
    """Return a column of the current design, blanks from that of the new one; text as words, numbers exact."""
    _frames.need_columns(frame, _PLANS, (column,))
    found: list[Any] = [None] * frame.height
    for name in dict.fromkeys((prefix + column, column)):
        if name in frame.columns:
            own = read_numbers(frame[name], _PLANS, "ratio_0_1") if column == "av_metal" else _texts(frame, name)
            found = [before if before is not None else value for before, value in zip(found, own, strict=True)]
    return found


def _on_curve(points: list[tuple[Fraction, Fraction]], x: Fraction) -> Fraction:
    """Return the polynomial through the points, at x."""
    total = Fraction(0)
    for place, (at, value) in enumerate(points):
        part = value
        for other, (elsewhere, _) in enumerate(points):
            if other != place:
                part *= (x - elsewhere) / (at - elsewhere)
        total += part
    return total


def _texts(frame: pl.DataFrame, column: str) -> list[Any]:
    return _frames.text_column(frame, _PLANS, column).str.strip_chars().to_list()


def _needed(value: Decimal | None, column: str) -> Decimal:
    if value is None:
        raise _refused("a value is missing", column, "absent is not zero: write the number")
    return value


def _refused(what: str, column: str, remedy: str) -> InputRefused:
    return InputRefused(what, where=f"{_PLANS}, column {column}", rule=_RULE, remedy=remedy)


# ------------------------------------------------------------------------------------------------ results


def _values(
    ids: list[str], metals: pl.Series, weights: list[Fraction], new: _Side, current: _Side | None
) -> PricingValues:
    import polars as pl

    total = sum(weights)
    weighted = _dot(weights, new.induced)
    normal = [factor * total / weighted for factor in new.induced]
    columns: dict[str, Sequence[Fraction]] = {
        "av_pricing": new.ratio,
        "induced_demand": normal,
        "adj_av_cost_sharing": [a * b for a, b in zip(new.ratio, normal, strict=True)],
    }
    change = None
    if current is not None:
        if not all(current.ratio):
            raise _refused("a current design pays nothing", "current_design_id", "leave it blank")
        columns["paid_change"] = [a / b for a, b in zip(new.ratio, current.ratio, strict=True)]
        columns["utilization_change"] = [a / b for a, b in zip(new.induced, current.induced, strict=True)]
        both = zip(columns["paid_change"], columns["utilization_change"], strict=True)
        columns["benefit_change"] = [a * b for a, b in both]
        change = weighted / _dot(weights, current.induced)
    of_all = _dot([w * i for w, i in zip(weights, new.induced, strict=True)], new.ratio) / weighted
    frame = pl.DataFrame(
        [
            pl.Series("plan_id", ids, dtype=pl.String),
            pl.Series("design_id", new.designs, dtype=pl.String),
            metals.cast(pl.String).alias("metal_level"),
            pl.Series(_WEIGHT, [float(w) for w in weights]),
            *(pl.Series(name, [float(v) for v in values]) for name, values in columns.items()),
        ]
    )
    ledger = _ledger(ids, weights, new, columns, {"paid_to_allowed_ratio": of_all, "adj_plan_design": change})
    return PricingValues(
        plans=frame,
        ledger=ledger.frame(),
        paid_to_allowed=decimal_of(of_all),
        plan_design_change=None if change is None else decimal_of(change),
    )


def _dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


_FORMULAS = {
    "av_pricing": "plan_paid / allowed of the design",
    "induced_demand": "induced_demand_factor / its mean over member months",
    "adj_av_cost_sharing": "av_pricing * induced_demand",
    "paid_change": "av_pricing / that of the current design",
    "utilization_change": "induced_demand_factor / that of the current design",
    "benefit_change": "paid_change * utilization_change",
    "paid_to_allowed_ratio": "mean of av_pricing over member months x induced_demand",
    "adj_plan_design": "mean induced_demand_factor / that of the current designs, over member months",
}


def _ledger(
    ids: list[str],
    weights: list[Fraction],
    new: _Side,
    columns: dict[str, Sequence[Fraction]],
    market: dict[str, Fraction | None],
) -> Ledger:
    """Return the numbers with their formulas and inputs; the inputs first."""
    ledger = Ledger()
    inputs: dict[str, tuple[Key, ...]] = {}
    for place, weight, factor, design in zip(ids, weights, new.induced, new.designs, strict=True):
        ledger.add(Entry(_WEIGHT, place, decimal_of(weight), "member_months", source=_PLANS))
        ledger.add(Entry("induced_demand_factor", place, decimal_of(factor), "factor", source=_CURVE))
        inputs[place] = ((_WEIGHT, place), ("induced_demand_factor", place))
        note = f"{_ON_POOL}, design {design}"
        for name, values in columns.items():
            value = decimal_of(values[ids.index(place)])
            of = () if name in ("av_pricing", "paid_change") else inputs[place]
            ledger.add(Entry(name, place, value, "factor", COMPUTED, _FORMULAS[name], of, note=note))
    every = tuple(key for keys in inputs.values() for key in keys)
    for name, found in market.items():
        if found is not None:
            ledger.add(Entry(name, MARKET, decimal_of(found), "factor", COMPUTED, _FORMULAS[name], every, _ON_POOL))
    return ledger
