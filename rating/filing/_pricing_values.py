"""From re-adjudicated claims to a filing: pricing values of plans, utilization they induce, changes of benefits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Entry, Ledger
from rating.filing._numbers import rounded

if TYPE_CHECKING:
    import polars as pl

    from rating._adjudicate import Adjudication
    from rating.filing._filing import Filing

__all__ = ["PricingValues", "pricing_values"]

_PLANS, _LIABILITY, _CURVE = "plans", "plan_liability", "transfers/metal_av_idf"
_PARTING = re.compile("[ -]+")
_WEIGHT = "proj_member_months_plan"
_WAYS = ("metal", "continuous")
_CURRENT = ("current_design_id", "current_metal_level", "current_av_metal")
_SAME = Fraction(1, 10**12)  # of two numbers that differ by the digits of a float
_FEWEST_DECIMALS = 3  # of a rounded factor
_RULE = "45 CFR 156.80(d)(2)(i): actuarial value and cost-sharing design of the plan, on the single risk pool"
_ON_POOL = "claims of the single risk pool, re-adjudicated (rating.adjudicate)"


@dataclass(frozen=True)
class PricingValues:
    """What plans pay of the pool's claims, and the utilization they induce; see :func:`pricing_values`.

    Attributes
    ----------
    plans : DataFrame
        By plan_id: plan_id, design_id, metal_level, proj_member_months_plan, av_pricing (paid over allowed),
        induced_demand (mean 1 over member months), adj_av_cost_sharing (their product). With `current_design_id` also
        paid_change, utilization_change and benefit_change (factors, new over current; 1 of a new plan).
    ledger : Ledger
        Every number with its formula, inputs and source, down to what each design pays of the pool.
    paid_to_allowed : Decimal
        Of all plans, weighted by member months and induced demand.
    plan_design_change : Decimal or None
        Utilization that the new designs induce over that of the current ones; None without current designs.
    """

    plans: pl.DataFrame
    ledger: Ledger
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

    def explained(self, filing: Filing) -> Filing:
        """Return a filing that took these values, with a ledger (and traces) that go on to the claims behind them.

        A number of the filing that is not the one from here, as after a change by hand, is left as it is.

        Parameters
        ----------
        filing : Filing
            What :func:`rating.filing.develop` made with :meth:`plan_inputs` and :meth:`assumptions`.
        """
        from rating.filing._filing_frames import with_values

        ledger = Ledger(filing.ledger)
        for entry in self.ledger:
            known = filing.ledger.get(*entry.key)
            if known is None:
                ledger.put(entry)
            elif known.role == INPUT and entry.role == COMPUTED and _is_same(known.value, entry.value):
                rounded_from = None if known.value == entry.value else entry.value
                source = "; ".join(dict.fromkeys(part for part in (known.source, _ON_POOL) if part))
                ledger.put(replace(entry, value=known.value, unit=known.unit, source=source, replaced=rounded_from))
        return with_values(replace(filing, ledger=ledger))


@dataclass(frozen=True)
class _Side:
    """One design of each plan: its name, what it pays of the pool, the utilization that it induces.

    `curve` has the metal AV of each plan where the factor is read off the curve.
    """

    designs: list[str]
    ratio: list[Fraction]
    induced: list[Fraction]
    curve: list[Fraction] | None = None


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
        a new plan, whose benefits do not change), current_metal_level (default: metal_level). For `continuous`
        av_metal, and current_av_metal (default: av_metal).
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
        A design was not adjudicated, a plan has no id or stands twice, a metal level is not known, no member months,
        claims without allowed dollars, or a design that pays more than they are.
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
    [(0.8, 1.023697), (0.7, 0.976303)]
    """
    import polars as pl

    year = whole_year(plan_year, "plan_year")
    way = check_choice("induced_demand", induced_demand, _WAYS)
    frame = collected(plans, _PLANS, ("plan_id", "metal_level", _WEIGHT))
    frame = frame.with_columns(pl.Series("plan_id", _texts(frame, "plan_id"), dtype=pl.String)).sort("plan_id")
    ids = frame["plan_id"].to_list()
    if not all(ids) or not ids:
        raise _refused("a plan has no id" if ids else "there is no plan", "plan_id", "hand in one row for each plan")
    if len(set(ids)) < len(ids):
        raise _refused("a plan stands twice", "plan_id", "hand in one row for each plan")
    weights = [Fraction(_needed(value, _WEIGHT)) for value in read_numbers(frame[_WEIGHT], _PLANS, "not_negative")]
    if sum(weights) == 0:
        raise _refused("there are no member months", _WEIGHT, "hand in projected member months")
    has_current = _CURRENT[0] in frame.columns
    alone = [name for name in _CURRENT[1:] if name in frame.columns and not has_current]
    if alone:
        raise _refused("it is of a current design, and none is named", alone[0], f"add {_CURRENT[0]}")
    paid, factors = _paid(adjudication), _factors(year)
    new = _side(frame, "", ids, paid, factors, way)
    current = _side(frame, "current_", ids, paid, factors, way) if has_current else None
    if current is not None:
        current = _as_new(current, new, _texts(frame, _CURRENT[0]))
    return _values(frame, weights, new, current, paid)


# ------------------------------------------------------------------------------------------------ reading


def _paid(adjudication: Any) -> dict[str, tuple[Fraction, Fraction]]:
    """Return design -> plan_paid and allowed."""
    given = adjudication if not hasattr(adjudication, "plan_liability") else adjudication.plan_liability
    frame = collected(given, _LIABILITY, ("design_id", "plan_paid", "allowed"))
    ids = _texts(frame, "design_id", _LIABILITY)
    if not all(ids) or len(set(ids)) < len(ids):
        what = "a design has several rows" if all(ids) else "a design has no name"
        remedy = "adjudicate the claims of the whole pool, without `by`"
        raise _refused(what, "design_id", remedy, _LIABILITY)
    amounts = [read_numbers(frame[name], _LIABILITY, "not_negative") for name in ("plan_paid", "allowed")]
    found = {
        design: (
            Fraction(_needed(paid, "plan_paid", _LIABILITY)),
            Fraction(_needed(allowed, "allowed", _LIABILITY)),
        )
        for design, paid, allowed in zip(ids, *amounts, strict=True)
    }
    if not all(allowed for _, allowed in found.values()):
        remedy = "adjudicate claims of the pool: a pricing value is paid over allowed"
        raise _refused("nothing is allowed", "allowed", remedy, _LIABILITY)
    if any(paid > allowed for paid, allowed in found.values()):
        raise _refused("a design pays more than is allowed", "plan_paid", "hand in dollars of one year", _LIABILITY)
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
    """Return what the plans' designs pay and induce; where a current one is blank, the new one stands."""
    designs = [*ids]
    for column in ("design_id", f"{prefix}design_id"):
        if column in frame.columns:
            given = _frames.text_column(frame, _PLANS, column).str.strip_chars().to_list()
            designs = [own or before for own, before in zip(given, designs, strict=True)]
    unknown = sorted(set(designs) - set(paid))
    values: list[Fraction] | None = None
    if unknown:
        raise _refused(
            f"design {unknown[0]!r} was not adjudicated", f"{prefix}design_id", "use a design_id of plan_liability"
        )
    if way == "continuous":
        values = [Fraction(_needed(value, "av_metal")) for value in _blanks_from(frame, prefix, "av_metal")]
        curve = [(av, factor) for metal, av, factor in factors if metal != "catastrophic"]
        induced = [_on_curve(curve, value) for value in values]
    else:
        of_metal = {metal: factor for metal, _, factor in factors}
        of_metal["expanded_bronze"] = of_metal["bronze"]
        metals = [_PARTING.sub("_", str(metal).lower()) for metal in _blanks_from(frame, prefix, "metal_level")]
        loose = sorted(set(metals) - set(METALS))
        if loose:
            raise _refused(f"{loose[0]!r} is no metal level", "metal_level", "one of " + ", ".join(METALS))
        induced = [of_metal[metal] for metal in metals]
    return _Side(designs, [paid[design][0] / paid[design][1] for design in designs], induced, values)


def _as_new(current: _Side, new: _Side, named: list[Any]) -> _Side:
    """Return the current designs, those of plans that name none as the new ones: nothing changes there."""
    stands = [bool(name) for name in named]

    def either(own: list[Any], other: list[Any]) -> list[Any]:
        return [mine if named else new for named, mine, new in zip(stands, own, other, strict=True)]

    return _Side(
        either(current.designs, new.designs),
        either(current.ratio, new.ratio),
        either(current.induced, new.induced),
        None if current.curve is None or new.curve is None else either(current.curve, new.curve),
    )


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


def _texts(frame: pl.DataFrame, column: str, table: str = _PLANS) -> list[Any]:
    return _frames.text_column(frame, table, column).str.strip_chars().to_list()


def _needed(value: Decimal | None, column: str, table: str = _PLANS) -> Decimal:
    if value is None:
        raise _refused("a value is missing", column, "absent is not zero: write the number", table)
    return value


def _is_same(known: Decimal | None, value: Decimal | None) -> bool:
    """Whether a filing's number is the one from here, but for the digits of a float or for rounding."""
    if known is None or value is None:
        return False
    decimals = -int(known.as_tuple().exponent)
    half = Fraction(1, 2 * 10**decimals) if decimals >= _FEWEST_DECIMALS else Fraction(0)
    return abs(Fraction(known) - Fraction(value)) <= max(half, _SAME * abs(Fraction(value)))


def _refused(what: str, column: str, remedy: str, table: str = _PLANS) -> InputRefused:
    return InputRefused(what, where=f"{table}, column {column}", rule=_RULE, remedy=remedy)


# ------------------------------------------------------------------------------------------------ results


def _values(
    frame: pl.DataFrame,
    weights: list[Fraction],
    new: _Side,
    current: _Side | None,
    paid: dict[str, tuple[Fraction, Fraction]],
) -> PricingValues:
    import polars as pl

    mean = _dot(weights, new.induced) / sum(weights)
    normal = [factor / mean for factor in new.induced]
    columns: dict[str, list[Fraction]] = {
        "av_pricing": new.ratio,
        "induced_demand": normal,
        "adj_av_cost_sharing": [a * b for a, b in zip(new.ratio, normal, strict=True)],
    }
    market = {
        "mean_induced_demand_factor": mean,
        "paid_to_allowed_ratio": _dot([w * i for w, i in zip(weights, normal, strict=True)], new.ratio) / sum(weights),
    }
    if current is not None:
        if not all(current.ratio):
            raise _refused("a current design pays nothing", "current_design_id", "leave it blank")
        columns["paid_change"] = [a / b for a, b in zip(new.ratio, current.ratio, strict=True)]
        columns["utilization_change"] = [a / b for a, b in zip(new.induced, current.induced, strict=True)]
        both = zip(columns["paid_change"], columns["utilization_change"], strict=True)
        columns["benefit_change"] = [a * b for a, b in both]
        market["adj_plan_design"] = _dot(weights, new.induced) / _dot(weights, current.induced)
    ids = frame["plan_id"].to_list()
    change = market.get("adj_plan_design")
    return PricingValues(
        plans=pl.DataFrame(
            [
                pl.Series("plan_id", ids, dtype=pl.String),
                pl.Series("design_id", new.designs, dtype=pl.String),
                frame["metal_level"].cast(pl.String).alias("metal_level"),
                pl.Series(_WEIGHT, [float(w) for w in weights]),
                *(pl.Series(name, [float(v) for v in values]) for name, values in columns.items()),
            ]
        ),
        ledger=_ledger(ids, weights, (new, current), columns, market, paid),
        paid_to_allowed=decimal_of(market["paid_to_allowed_ratio"]),
        plan_design_change=None if change is None else decimal_of(change),
    )


def _dot(left: Sequence[Fraction], right: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(left, right, strict=True)), Fraction(0))


_FACTOR = "induced_demand_factor"
# Numbers of a plan: the formula, and the numbers of the plan that are in it.
_OF_PLAN = {
    "induced_demand": ("induced_demand_factor / mean_induced_demand_factor", (_FACTOR,)),
    "adj_av_cost_sharing": ("av_pricing * induced_demand", ("av_pricing", "induced_demand")),
    "paid_change": ("av_pricing / current_av_pricing", ("av_pricing", "current_av_pricing")),
    "utilization_change": (
        "induced_demand_factor / current_induced_demand_factor",
        (_FACTOR, f"current_{_FACTOR}"),
    ),
    "benefit_change": ("paid_change * utilization_change", ("paid_change", "utilization_change")),
}
# Numbers of the market: the formula, and the numbers of every plan that are in it.
_OF_MARKET = {
    "mean_induced_demand_factor": ("mean of induced_demand_factor over member months", (_WEIGHT, _FACTOR)),
    "paid_to_allowed_ratio": (
        "mean of av_pricing over member months x induced_demand_factor",
        (_WEIGHT, _FACTOR, "av_pricing"),
    ),
    "adj_plan_design": (
        "mean of induced_demand_factor / mean of current_induced_demand_factor, both over member months",
        (_WEIGHT, _FACTOR, f"current_{_FACTOR}"),
    ),
}


def _ledger(
    ids: list[str],
    weights: list[Fraction],
    sides: tuple[_Side, _Side | None],
    columns: dict[str, list[Fraction]],
    market: dict[str, Fraction],
    paid: dict[str, tuple[Fraction, Fraction]],
) -> Ledger:
    """Return the numbers with their formulas and inputs; the inputs first."""
    ledger = Ledger()
    used = {design for side in sides if side is not None for design in side.designs}
    for design in sorted(used):
        for name, dollars in zip(("plan_paid", "allowed"), paid[design], strict=True):
            ledger.add(Entry(name, design, decimal_of(dollars), "usd", source=_ON_POOL))
    for place, plan in enumerate(ids):
        ledger.add(Entry(_WEIGHT, plan, decimal_of(weights[place]), "member_months", source=_PLANS))
        for side, prefix in zip(sides, ("", "current_"), strict=True):
            if side is not None:
                for entry in _of_design(side, place, plan, prefix):
                    ledger.add(entry)
        for name, (formula, parts) in _OF_PLAN.items():
            if name in columns:
                inputs = tuple((part, plan) for part in parts)
                inputs += ((f"mean_{_FACTOR}", MARKET),) if name == "induced_demand" else ()
                ledger.add(Entry(name, plan, decimal_of(columns[name][place]), "factor", COMPUTED, formula, inputs))
    for name, value in market.items():
        formula, parts = _OF_MARKET[name]
        every = tuple((part, plan) for plan in ids for part in parts)
        ledger.add(Entry(name, MARKET, decimal_of(value), "factor", COMPUTED, formula, every, _ON_POOL))
    return ledger


def _of_design(side: _Side, place: int, plan: str, prefix: str) -> list[Entry]:
    """Return what a plan's design pays of the pool and the utilization it induces."""
    design = side.designs[place]
    parts = (("plan_paid", design), ("allowed", design))
    value = decimal_of(side.ratio[place])
    name, note = f"{prefix}av_pricing", f"design {design}"
    entries = [Entry(name, plan, value, "factor", COMPUTED, "plan_paid / allowed", parts, _ON_POOL, note)]
    factor = decimal_of(side.induced[place])
    if side.curve is None:
        return [*entries, Entry(prefix + _FACTOR, plan, factor, "factor", source=_CURVE)]
    key = (f"{prefix}av_metal", plan)
    entries.append(Entry(*key, decimal_of(side.curve[place]), "ratio", source=_PLANS))
    formula = f"curve through the factors of the metals, at {prefix}av_metal"
    return [*entries, Entry(prefix + _FACTOR, plan, factor, "factor", COMPUTED, formula, (key,), _CURVE)]
