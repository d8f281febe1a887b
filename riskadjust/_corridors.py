"""Risk corridors 2014-2016: gains and losses beyond 3 percent of an issuer's target, shared with the government."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _registry
from data_specs._declared import Declared
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from riskadjust._cents import as_money, cents_of, exact
from riskadjust._corridor_plans import ISSUER_KEYS, ISSUERS, Owed, keyed_frame, plan_frame
from riskadjust._findings import Findings
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns, rule_text
from riskadjust._settled import Settled
from riskadjust._stabilizer_figures import UsedFigures, whole_year
from riskadjust._transfer_settings import exact_number

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CorridorTerms", "RiskCorridors", "corridor_amount", "risk_corridors"]

TABLE, TERMS_TABLE = "transfers/risk_corridors", "transfers/stabilizer_terms"
_POSITIVE = (
    "premium",
    "taxes_and_fees",
    "incurred_claims",
    "quality_improvement",
    "admin_costs_excl_taxes",
    "reinsurance_received",
    "csr_received",
)
_NET = "net_risk_adjustment_received"
_HEALTH_IT, _OVERSTATEMENT, _PERCENTAGE = (
    "health_information_technology",
    "reserve_overstatement",
    "adjustment_percentage",
)
_LEAST_SHARE = "adjustment_least_cost_share"
_PAYOUT = "payout_rate"
_MARKETS = ["individual", "small_group", "merged"]
_TERMS = (
    "inner_threshold",
    "outer_threshold",
    "inner_share",
    "outer_share",
    "outer_fixed",
    "admin_cap",
    "profit_floor",
)


@dataclass(frozen=True)
class CorridorSettings(Declared):
    """``payout_rate``: None (default: what is owed is paid), ``published``, or a share of what is to be received."""

    payout_rate: Any = None

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if value is None or (isinstance(value, str) and value in ("none", "published")):
            return None if value == "none" else value
        number = exact_number(value, name)
        if not 0 <= number <= 1:
            raise SettingRefused(
                f"setting {name!r} cannot be {value!r}", rule="a share, 0 to 1", remedy="12.6 percent is 0.126"
            )
        return number


@dataclass(frozen=True, kw_only=True)
class RiskCorridors(Settled):
    """Risk corridors of one benefit year. Positive: the issuer receives; negative: it pays.

    Attributes
    ----------
    issuers, plans, totals : DataFrame
        See :func:`risk_corridors`.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year : int
        The year that was settled.
    """

    issuers: pl.DataFrame
    plans: pl.DataFrame
    totals: pl.DataFrame
    benefit_year: int

    def __repr__(self) -> str:
        return (
            f"RiskCorridors(benefit_year={self.benefit_year}, issuers={self.issuers.height}, "
            f"findings={self.findings.height}, uncertain={self.uncertain.height})"
        )


@dataclass(frozen=True)
class CorridorTerms:
    """The terms of a benefit year, as shares of the target amount or of after-tax premium."""

    inner_threshold: Fraction
    outer_threshold: Fraction
    inner_share: Fraction
    outer_share: Fraction
    outer_fixed: Fraction
    admin_cap: Fraction
    profit_floor: Fraction


def corridor_amount(costs: Fraction, target: Fraction, terms: CorridorTerms) -> Fraction:
    """Return what an issuer receives (positive) or pays (negative) at allowable costs C and target amount G.

    With ``x = |C - G|``: 0 up to ``inner_threshold G``; ``inner_share (x - inner_threshold G)`` up to
    ``outer_threshold G``; beyond, ``outer_fixed G + outer_share (x - outer_threshold G)``; of the sign of C - G.

    Notes
    -----
    Source: 42 USC 18062(b); 45 CFR 153.510. The statute names 50 percent "of the target amount in excess of 103
    percent": read as costs in excess of it.

    Examples
    --------
    >>> terms = CorridorTerms(*map(Fraction, ("0.03", "0.08", "0.5", "0.8", "0.025", "0.2", "0.03")))
    >>> [int(corridor_amount(Fraction(c), Fraction(1000), terms)) for c in (1030, 1080, 1180, 920)]
    [0, 25, 105, -25]
    """
    away = abs(costs - target)
    if away <= terms.inner_threshold * target:
        return Fraction(0)
    if away <= terms.outer_threshold * target:
        amount = terms.inner_share * (away - terms.inner_threshold * target)
    else:
        amount = terms.outer_fixed * target + terms.outer_share * (away - terms.outer_threshold * target)
    return amount if costs > target else -amount


def risk_corridors(
    issuers: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | None = None,
) -> RiskCorridors:
    """Return what every issuer receives from or pays to the risk corridors of 2014, 2015 or 2016, to the cent.

    ``N = premium - taxes``; ``C = claims + quality + health IT - net risk adjustment received - reinsurance received -
    cost-sharing reductions received [- over-statement of reserves]``; ``Q = max((3% + e) N, premium - C - admin -
    taxes)``; ``M = min(admin + Q, (20% + e) N) + taxes``; ``G = premium - M``. Receive when C lies above 103 percent of
    G: half of what lies between 103 and 108 percent, 0.025 G + 80 percent of what lies above; pay the same below 97 and
    92 percent. Each amount is rounded once, halves away from zero.

    Parameters
    ----------
    issuers : DataFrame
        A row per issuer_id (and state, market where those columns are given: individual, small_group or merged):
        premium, taxes_and_fees, incurred_claims, quality_improvement, admin_costs_excl_taxes,
        net_risk_adjustment_received (negative: paid), reinsurance_received, csr_received, in dollars. Optional:
        health_information_technology; reserve_overstatement (2015 and 2016: by how much the prior year's reserves were
        too high); adjustment_percentage e (blank: the table's; where that holds none, 0, with a finding for issuers
        that might have one).
    benefit_year : int
        2014, 2015 or 2016.
    plans : DataFrame, optional
        plan_id, premium and the key columns of `issuers`: the amount of an issuer is shared by premium.
    settings : mapping, optional
        ``payout_rate``: None (default), a share, or ``published`` (2014: 0.126): multiplies what an issuer is to
        receive, never what it pays.

    Returns
    -------
    RiskCorridors
        ``.issuers``, sorted by key: after_tax_premium N, allowable_costs C, adjustment_percentage e, profits Q,
        allowable_admin M, target_amount G (Decimal), ratio C / G, band (receives_80, receives_50, none, pays_50,
        pays_80), corridor (owed), corridor_paid (after the payout rate), corridor_unrounded. ``.plans``: key, plan_id,
        premium, corridor, corridor_paid; the plans of an issuer add to it to the cent (largest remainder).
        ``.totals``: issuers, receivable, payable, receivable_paid, residual (paid out plus paid in).

    Raises
    ------
    InputRefused
        Rows that break a rule COR-001 to COR-008; a year without corridors.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Sources: 42 USC 18062; 45 CFR 153.500 to 153.540. e is 2 percent in 2015 for all; in 2014 and 2016 it was set for
    issuers whose allowable costs reach 80 percent of after-tax premium only.

    Examples
    --------
    N = 9.7 million; M = min(1.7 + 0.291, 1.94) + 0.3 million; G = 7.76 million; 0.5 (8.3 - 1.03 G) = 153,600.

    >>> import polars as pl, riskadjust
    >>> issuers = pl.DataFrame({"issuer_id": ["11111"], "premium": [10_000_000], "taxes_and_fees": [300_000],
    ...     "incurred_claims": [8_900_000], "quality_improvement": [100_000], "admin_costs_excl_taxes": [1_700_000],
    ...     "net_risk_adjustment_received": [200_000], "reinsurance_received": [500_000], "csr_received": [0]})
    >>> settings = {"payout_rate": "0.126"}
    >>> found = riskadjust.risk_corridors(issuers, benefit_year=2014, settings=settings).issuers
    >>> [str(found[c][0]) for c in ("target_amount", "corridor", "corridor_paid")]
    ['7760000.00', '153600.00', '19353.60']
    """
    year, findings, used = whole_year(benefit_year), Findings(), UsedFigures()
    chosen = CorridorSettings.of(settings)
    figures = _Figures(year, used)
    payout = _payout(chosen, figures, used, given=_PAYOUT in (settings or {}))
    frame, amounts = _read_issuers(issuers)
    findings.table(ISSUERS, frame.height)
    lines = _worked(frame, amounts, figures, findings)
    paid = [line.amount * (payout if payout is not None and line.amount > 0 else 1) for line in lines]
    made = _issuer_frame(frame, lines, paid, figures.terms)
    shared = plan_frame(plans, frame, Owed([line.amount for line in lines], paid, amounts["premium"]), findings)
    if payout is not None:
        used.moved(_PAYOUT, "corridor_paid of issuers", sum(line.amount > 0 for line in lines))
    return RiskCorridors(
        issuers=made,
        plans=shared,
        totals=_totals(made),
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        settings=used.frame(),
        uncertain=used.uncertain(),
        tables=used.tables(),
        benefit_year=year,
    )


# ------------------------------------------------------------------------------------------------ figures


class _Figures:
    """The rows of the year: terms, adjustment percentage, and from which share of costs it may be set."""

    def __init__(self, year: int, used: UsedFigures) -> None:
        self.year, self.used = year, used
        rows = [row for row in _registry.rows(TABLE).to_dicts() if _holds(row["benefit_year"], year)]
        self.rows = {row["parameter"]: row for row in rows}
        if not set(_TERMS) <= set(self.rows):
            raise InputRefused(
                f"there were no risk corridors in benefit year {year}",
                where="benefit_year",
                rule=rule_text("COR-005"),
                remedy="settle 2014, 2015 or 2016",
            )
        self.first_year = min(int(row["benefit_year"][:4]) for row in rows)
        self.terms = CorridorTerms(**{name: self.of(name) for name in _TERMS})
        further = _registry.rows_in_force(TERMS_TABLE, year).to_dicts()
        self.least = next((row for row in further if row["parameter"] == _LEAST_SHARE), None)

    def of(self, name: str) -> Fraction:
        row = self.rows[name]
        value = Fraction(row["value"])
        self.used.of_row(name, value, TABLE, row, row["verification"])
        return value

    def percentage(self) -> Fraction | None:
        """Return the adjustment percentage of all issuers of the year; None where it was set for some only."""
        row = self.rows.get(_PERCENTAGE)
        if row is None or not row["value"].replace(".", "").isdigit():
            return None
        return self.of(_PERCENTAGE)

    def least_share(self) -> Fraction | None:
        """Return the share of after-tax premium that costs must reach for a percentage; None: all may have one."""
        if self.least is None:
            return None
        value = Fraction(repr(self.least["value"]))
        self.used.of_row(_LEAST_SHARE, value, TERMS_TABLE, self.least, self.least["verification"])
        return value


def _holds(years: str, year: int) -> bool:
    first, _, last = years.partition("-")
    return int(first) <= year <= int(last or first)


def _payout(chosen: CorridorSettings, figures: _Figures, used: UsedFigures, *, given: bool) -> Fraction | None:
    if chosen.payout_rate != "published":
        (used.given if given else used.default)(_PAYOUT, "none" if chosen.payout_rate is None else chosen.payout_rate)
        return None if chosen.payout_rate is None else Fraction(chosen.payout_rate)
    row = figures.rows.get("payout_rate_initial")
    if row is None:
        raise TableMissing(
            f"no payout rate is held for benefit year {figures.year}",
            where=TABLE,
            remedy='give it knowingly as settings={"payout_rate": ...}',
        )
    used.of_row(_PAYOUT, Fraction(row["value"]), TABLE, row, row["verification"])
    return Fraction(row["value"])


# ------------------------------------------------------------------------------------------------ reading


def _read_issuers(given: Any) -> tuple[pl.DataFrame, dict[str, list[Fraction | None]]]:
    """Return the issuers sorted by key, and their amounts exactly; None: an optional one that is not given."""
    import polars as pl

    frame = collected(given, ISSUERS, ("issuer_id", *_POSITIVE, _NET))
    keys = tuple(c for c in ISSUER_KEYS if c in frame.columns)
    frame = keyed_frame(frame, ISSUERS, (*_POSITIVE, _NET), keys, "COR-001").with_row_index("_row").sort(keys)
    row = frame["_row"].cast(pl.Int64).to_numpy()
    refusals = Refusals(ISSUERS, row)
    if "market" in keys:
        refusals.add("COR-001", "market", ~frame["market"].is_in(_MARKETS).to_numpy())
    optional = [c for c in (_HEALTH_IT, _OVERSTATEMENT, _PERCENTAGE) if c in frame.columns]
    numbers = number_columns(frame, ISSUERS, [*_POSITIVE, _NET, *optional])
    for column, values in numbers.items():
        is_blank = frame[column].is_null().to_numpy() if column in optional else np.zeros(len(values), bool)
        refusals.add("COR-002", column, ~is_blank & ~(np.abs(values) < LARGEST))
        if column == _PERCENTAGE:
            refusals.add("COR-006", column, (values < 0) | (values > 1))
        elif column != _NET:
            refusals.add("COR-003", column, values < 0)
    refusals.add("COR-004", "premium", numbers["premium"] <= numbers["taxes_and_fees"])
    refusals.check()
    amounts: dict[str, list[Fraction | None]] = {
        c: [None if np.isnan(v) else exact(v) for v in values.tolist()] for c, values in numbers.items()
    }
    for column in (_HEALTH_IT, _OVERSTATEMENT, _PERCENTAGE):
        amounts.setdefault(column, [None] * frame.height)
    return frame, amounts


# ------------------------------------------------------------------------------------------------ the work


@dataclass(frozen=True)
class _Line:
    premium: Fraction
    costs: Fraction
    percentage: Fraction
    profits: Fraction
    admin: Fraction
    target: Fraction
    amount: Fraction
    rests_on_floor: bool


def _worked(
    frame: pl.DataFrame, amounts: dict[str, list[Fraction | None]], figures: _Figures, findings: Findings
) -> list[_Line]:
    published, least = figures.percentage(), figures.least_share()
    is_first_year = figures.year == figures.first_year
    counts = dict.fromkeys(("COR-020", "COR-021", "COR-022", "COR-025"), 0)
    lines = []
    for i in range(frame.height):
        row = {c: values[i] for c, values in amounts.items()}
        over = row[_OVERSTATEMENT]
        counts["COR-022"] += over is None and not is_first_year
        counts["COR-025"] += bool(over) and is_first_year
        row[_OVERSTATEMENT] = Fraction(0) if over is None or is_first_year else over
        lines.append(_line(row, published, least, figures.terms, counts))
    refusals = Refusals(ISSUERS, frame["_row"].to_numpy().astype(np.int64))
    refusals.add("COR-006", _PERCENTAGE, np.array([line.target <= 0 for line in lines]))
    refusals.check()
    for rule_id, rows in counts.items():
        findings.note(rule_id, ISSUERS, rows)
    moved = sum(bool(line.amount) for line in lines)
    for name in (*_TERMS, _PERCENTAGE):
        rows = sum(line.rests_on_floor and bool(line.amount) for line in lines) if name == "profit_floor" else moved
        figures.used.moved(name, "corridor of issuers", rows)
    return lines


def _line(
    row: dict[str, Any],
    published: Fraction | None,
    least: Fraction | None,
    terms: CorridorTerms,
    counts: dict[str, int],
) -> _Line:
    taxes, admin = row["taxes_and_fees"], row["admin_costs_excl_taxes"]
    premium = row["premium"] - taxes
    costs = row["incurred_claims"] + row["quality_improvement"] + (row[_HEALTH_IT] or 0) - row[_NET]
    costs -= row["reinsurance_received"] + row["csr_received"] + row[_OVERSTATEMENT]
    percentage = _percentage(row[_PERCENTAGE], published, least is None or costs >= least * premium, counts)
    floor, left = (terms.profit_floor + percentage) * premium, row["premium"] - costs - admin - taxes
    profits, cap = max(floor, left), (terms.admin_cap + percentage) * premium
    allowed = min(admin + profits, cap) + taxes
    target = row["premium"] - allowed
    amount = corridor_amount(costs, target, terms) if target > 0 else Fraction(0)
    return _Line(premium, costs, percentage, profits, allowed, target, amount, floor > left and admin + left < cap)


def _percentage(
    given: Fraction | None, published: Fraction | None, may_have_one: bool, counts: dict[str, int]
) -> Fraction:
    if not may_have_one:
        counts["COR-021"] += bool(given)
        return Fraction(0)
    if given is not None:
        return given
    counts["COR-020"] += published is None
    return published or Fraction(0)


# ------------------------------------------------------------------------------------------------ frames


def _band(line: _Line, terms: CorridorTerms) -> str:
    away = abs(line.costs - line.target)
    if away <= terms.inner_threshold * line.target:
        return "none"
    size = "50" if away <= terms.outer_threshold * line.target else "80"
    return ("receives_" if line.costs > line.target else "pays_") + size


def _issuer_frame(frame: pl.DataFrame, lines: list[_Line], paid: list[Fraction], terms: CorridorTerms) -> pl.DataFrame:
    import polars as pl

    money = {
        "after_tax_premium": [line.premium for line in lines],
        "allowable_costs": [line.costs for line in lines],
        "profits": [line.profits for line in lines],
        "allowable_admin": [line.admin for line in lines],
        "target_amount": [line.target for line in lines],
        "corridor": [line.amount for line in lines],
        "corridor_paid": paid,
    }
    made = frame.select(c for c in ISSUER_KEYS if c in frame.columns).with_columns(
        *[pl.Series(name, [cents_of(v) for v in values], dtype=pl.Int64) for name, values in money.items()],
        pl.Series(_PERCENTAGE, [float(line.percentage) for line in lines]),
        pl.Series("ratio", [float(line.costs / line.target) for line in lines]),
        pl.Series("band", [_band(line, terms) for line in lines], dtype=pl.String),
        pl.Series("corridor_unrounded", [float(line.amount) for line in lines]),
    )
    return as_money(made, *money)


def _totals(issuers: pl.DataFrame) -> pl.DataFrame:
    """Return one row: what issuers are to receive, what they pay, what is paid, and what that leaves."""
    import polars as pl

    cents = {c: (issuers[c] * 100).cast(pl.Int64).to_numpy() for c in ("corridor", "corridor_paid")}
    received, paid = np.maximum(cents["corridor"], 0), np.maximum(cents["corridor_paid"], 0)
    owed = np.minimum(cents["corridor"], 0)
    sums = {"receivable": received, "payable": owed, "receivable_paid": paid, "residual": paid + owed}
    frame = pl.DataFrame({"issuers": [issuers.height]} | {c: [int(v.sum())] for c, v in sums.items()})
    return as_money(frame, *sums)
