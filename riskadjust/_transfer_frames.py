"""A settlement between the arrays -> the named columns of plans, issuers and risk pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import as_money, month_sums, sums
from riskadjust._default_charge import DefaultCharges
from riskadjust._transfer_amounts import Amounts, Rounding, fees, withheld_cents
from riskadjust._transfer_exact import ExactPools
from riskadjust._transfer_formula import Settlement
from riskadjust._transfer_rows import PlanTable, key_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Shared", "Work", "issuer_frame", "plan_frame", "pool_frame"]

Floats = NDArray[np.float64]
Rates = Sequence[Fraction | None]


@dataclass(frozen=True)
class Work:
    """One settlement between the arrays; `exact` knows each pool in fractions where that is needed."""

    table: PlanTable
    error_rates: list[Fraction | None]
    adjusted_risk: Floats
    settlement: Settlement
    exact: ExactPools
    rounding: Rounding
    amounts: Amounts
    admin_cost_reduction: Floats
    state_reduction: Floats


@dataclass(frozen=True)
class Shared:
    """Default charges as the other issuers of a pool receive them: alone, and together with the transfers."""

    charges: DefaultCharges
    shares: Amounts
    both: Amounts


def plan_frame(work: Work, shared: Shared | None, fee_rates: Rates) -> pl.DataFrame:
    """Return the plan rows with every step of the formula and their amounts."""
    import polars as pl

    table, settled = work.table, work.settlement
    counts = np.diff(table.arrays.first)

    def per_row(values: Floats) -> Floats:
        return np.repeat(values, counts)

    rates = [None if e is None else float(e) for e in work.error_rates]
    mean_risk, mean_allowable = per_row(settled.mean_risk), per_row(settled.mean_allowable)
    floats = {
        "plrs_adjusted": work.adjusted_risk,
        "risk": settled.risk,
        "allowable": settled.allowable,
        "mean_risk": mean_risk,
        "mean_allowable": mean_allowable,
        "average_premium": per_row(settled.average_premium),
        "net_average_premium": per_row(settled.net_premium),
        "risk_term": settled.risk / mean_risk,
        "allowable_term": settled.allowable / mean_allowable,
        "state_reduction": per_row(work.state_reduction),
        "transfer_pmpm": settled.per_member_month,
        "transfer_unrounded": work.amounts.plans + 0.0,
    }
    cents: dict[str, Any] = {"transfer": work.amounts.plan_cents}
    if shared is not None:
        floats["default_charge_share_unrounded"] = shared.shares.plans
        cents["default_charge_share"] = shared.shares.plan_cents
        cents["transfer_and_share"] = shared.both.plan_cents
    cents["user_fee"] = fees(table.arrays.months, np.repeat(np.arange(len(counts)), counts), fee_rates)
    columns = [
        pl.Series("radv_error_rate", rates, dtype=pl.Float64),
        *[pl.Series(name, values) for name, values in floats.items()],
        *[pl.Series(name, values, dtype=pl.Int64) for name, values in cents.items()],
    ]
    used = [pl.Series("av", table.arrays.av), pl.Series("idf", table.arrays.idf)]
    given = table.frame.drop([c.name for c in columns], strict=False)
    frame = given.with_columns([*used, *columns]).with_columns(pl.col(list(floats)).fill_nan(None))
    return as_money(frame, *cents)


def issuer_frame(work: Work, shared: Shared | None, fee_rates: Rates, withheld: Fraction | None) -> pl.DataFrame:
    """Return a row per issuer and risk pool: months, premium and amounts."""
    import polars as pl

    table, first = work.table, work.table.issuer_first
    months = month_sums(table.arrays.months, first)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(months > 0, work.amounts.issuers / months, np.nan)
    cents: dict[str, Any] = {"transfer": work.amounts.issuer_cents}
    final = work.amounts.issuer_cents
    if shared is not None:
        cents["default_charge"] = [None] * len(final)
        cents["default_charge_share"] = shared.shares.issuer_cents
        cents["transfer_and_share"] = final = shared.both.issuer_cents
    if withheld is not None:
        back = withheld_cents(final.tolist(), withheld)
        cents["payable_now"] = [None if b is None else paid - b for paid, b in zip(final.tolist(), back, strict=True)]
        cents["withheld"] = back
    settled = table.issuers.with_columns(
        pl.Series("plan_rows", np.diff(first)),
        pl.Series("billable_member_months", months),
        pl.Series("premium", sums(_premium_used(table), first)),
        *[pl.Series(name, values, dtype=pl.Int64) for name, values in cents.items()],
        pl.Series("transfer_pmpm", rate),
        pl.Series("transfer_unrounded", work.amounts.issuers),
        pl.Series("_pool", table.issuer_pool),
    )
    settled = as_money(settled.with_columns(pl.col("transfer_pmpm").fill_nan(None)), *cents)
    if shared is not None:
        settled = pl.concat([settled, _charged(shared.charges)], how="diagonal").sort(table.issuers.columns)
    owed = fees(settled["billable_member_months"].to_numpy(), settled["_pool"].to_numpy(), fee_rates)
    return as_money(settled.drop("_pool").with_columns(pl.Series("user_fee", owed, dtype=pl.Int64)), "user_fee")


def _premium_used(table: PlanTable) -> Floats:
    return np.where(table.has_months, table.arrays.premium, 0.0)


def _charged(charges: DefaultCharges) -> pl.DataFrame:
    import polars as pl

    return charges.frame.drop("average_premium", "share_of_average_premium", "charge_pmpm", "basis").with_columns(
        pl.Series("plan_rows", [0] * charges.frame.height, dtype=pl.Int64), pl.Series("_pool", charges.pools)
    )


def pool_frame(work: Work, shared: Shared | None) -> pl.DataFrame:
    """Return a row per risk pool: averages, both denominators, and what the issuers sum to."""
    import polars as pl

    table, settled = work.table, work.settlement
    first, pools = table.arrays.first, table.pools
    edges = work.rounding.issuer_edges
    cents = work.amounts.issuer_cents
    names: dict[str, list[str | None]] = {
        "state": [p.state for p in pools],
        "risk_pool": [*(p.risk_pool for p in pools)],
        "market": [p.market for p in pools],
    }
    keys = [*key_columns(table.frame), "market"]
    frame = pl.DataFrame([pl.Series(k, names[k], dtype=pl.String) for k in keys]).with_columns(
        pl.Series("issuers", np.diff(edges)),
        pl.Series("plan_rows", np.diff(first)),
        pl.Series("billable_member_months", month_sums(table.arrays.months, first)),
        pl.Series("premium", sums(_premium_used(table), first)),
        pl.Series("average_premium", settled.average_premium),
        pl.Series("admin_cost_reduction", work.admin_cost_reduction),
        pl.Series("net_average_premium", settled.net_premium),
        pl.Series("mean_risk", settled.mean_risk),
        pl.Series("mean_allowable", settled.mean_allowable),
        pl.Series("state_reduction", work.state_reduction),
        pl.Series("transfers_unrounded", sums(work.amounts.plans, first) + 0.0),
        pl.Series("received", np.add.reduceat(np.maximum(cents, 0), edges[:-1])),
        pl.Series("residual", np.add.reduceat(cents, edges[:-1])),
    )
    if shared is None:
        return as_money(frame, "received", "residual")
    charged = [shared.charges.pool_cents.get(number, 0) for number in range(len(pools))]
    left = np.add.reduceat(shared.both.issuer_cents, edges[:-1]) - np.array(charged)
    frame = frame.with_columns(
        pl.Series("default_charges", [-c for c in charged], dtype=pl.Int64), pl.Series("residual_with_shares", left)
    )
    return as_money(frame, "received", "residual", "default_charges", "residual_with_shares")
