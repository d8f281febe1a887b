"""Settled blocks of mixes -> the named columns of plans, issuers and risk pools."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import as_money
from riskadjust._mix_money import Block
from riskadjust._mix_split import CAUSES, Position, split_change
from riskadjust._mix_sums import RowSums

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RequiredPremium", "issuer_frame", "plan_frame", "pool_frame"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


class RequiredPremium:
    """What the premium must bring: claims less transfer, and the user fee, by issuer and month.

    ``required = ((C - T) / b + u) / (1 - e)`` dollars per billable member month: C claims, T transfer received, b
    billable member months, u user fee, e retention as a share of the premium.

    Parameters
    ----------
    user_fee : array of float
        u of each pool, dollars per billable member month; NaN where none is held.
    retention_share : float
        e.
    """

    def __init__(self, user_fee: Floats, retention_share: float) -> None:
        self._user_fee, self._retention_share = user_fee, retention_share

    def columns(self, paid: Floats, transfer: Floats, months: Floats, pool: Integers) -> list[pl.Series]:
        """Return plan_paid, user_fee_pmpm and required_premium_pmpm of issuers."""
        fee = self._user_fee[pool]
        with np.errstate(divide="ignore", invalid="ignore"):
            required = ((paid - transfer) / months + np.nan_to_num(fee)) / (1.0 - self._retention_share)
        required = np.where(months > 0, required, np.nan)
        return [_floats("plan_paid", paid), _floats("user_fee_pmpm", fee), _floats("required_premium_pmpm", required)]


def plan_frame(block: Block, names: Sequence[str], sums: Sequence[RowSums]) -> pl.DataFrame:
    """Return the plan rows of each mix: those of the base, and those that somebody moved to."""
    import polars as pl

    market, a = block.market, block.arrays
    total = np.concatenate([s.total_months for s in sums])
    shown = np.flatnonzero(np.tile(market.in_base, len(names)) | (total > 0))
    frame = market.frame[shown % market.frame.height]
    of_row = np.repeat(block.is_settled, np.diff(a.first))[shown]
    present = (a.months > 0)[shown]

    def seen(name: str, values: Floats, where: Flags | bool = True) -> pl.Series:
        return _floats(name, np.where(where, values[shown], np.nan))

    keys = ("state", "market", "risk_pool", "issuer_id", "plan_id", "rating_area_id", "metal_level")
    plans = pl.DataFrame(
        [
            _names(names, shown // market.frame.height),
            *(frame[c] for c in keys),
            seen("billable_member_months", a.months),
            seen("total_member_months", total),
            seen("premium", a.premium),
            seen("plrs", a.plrs),
            seen("arf", a.arf),
            frame["av"],
            frame["idf"],
            seen("gcf", a.gcf),
            seen("transfer_pmpm", block.settlement.per_member_month, of_row & present),
            seen("transfer_unrounded", block.amounts.plans, of_row),
            _cents("transfer", block.amounts.plan_cents[shown], of_row),
        ]
    )
    return as_money(plans, "transfer")


def issuer_frame(
    block: Block,
    names: Sequence[str],
    sums: Sequence[RowSums],
    base: Position,
    base_amounts: tuple[Floats, Integers],
    required: RequiredPremium | None,
) -> pl.DataFrame:
    """Return the issuers of each mix with their transfer, its change against the base, and what brought the change."""
    import polars as pl

    market, a = block.market, block.arrays
    issuers, mixes = market.issuers.height, len(names)
    first = market.issuer_first[:-1]

    def by_issuer(values: Floats) -> Floats:
        return np.add.reduceat(values.reshape(mixes, -1), first, axis=1).ravel()

    total = by_issuer(np.concatenate([s.total_months for s in sums]))
    in_base = np.add.reduceat(market.in_base.astype(np.int64), first) > 0
    shown = np.flatnonzero(np.tile(in_base, mixes) | (total > 0))
    issuer = shown % issuers
    months, present = by_issuer(a.months), a.months > 0
    weighed = [by_issuer(np.where(present, a.months * v, 0.0)) for v in (a.plrs, a.arf)]
    is_settled = block.is_settled.reshape(mixes, -1)[:, market.issuer_pool].ravel()
    unrounded, cents = block.amounts.issuers, block.amounts.issuer_cents
    change = unrounded - np.tile(base_amounts[0], mixes)
    causes = split_change(base, block.position())
    compared = is_settled & ~np.isnan(causes["premium"].ravel())
    with np.errstate(divide="ignore", invalid="ignore"):
        averages = [np.where(months > 0, w / months, np.nan) for w in weighed]
        rate = np.where(is_settled & (months > 0), unrounded / months, np.nan)

    def seen(name: str, values: Floats, where: Flags | bool = True) -> pl.Series:
        return _floats(name, np.where(where, values, np.nan)[shown])

    columns = [
        _names(names, shown // issuers),
        *(market.issuers[issuer][c] for c in ("state", "risk_pool", "issuer_id")),
        seen("billable_member_months", months),
        seen("total_member_months", total),
        seen("premium", by_issuer(a.premium)),
        seen("plrs", averages[0]),
        seen("arf", averages[1]),
        _cents("transfer", cents[shown], is_settled[shown]),
        seen("transfer_pmpm", rate),
        seen("transfer_unrounded", unrounded, is_settled),
        _cents("change", (cents - np.tile(base_amounts[1], mixes))[shown], compared[shown]),
        seen("change_unrounded", change, compared),
        *(seen(f"change_from_{cause}", causes[cause].ravel(), compared) for cause in CAUSES),
    ]
    if required is not None:
        paid = by_issuer(np.concatenate([s.paid for s in sums]))
        transfer = np.where(is_settled, unrounded, np.nan)
        columns += required.columns(paid[shown], transfer[shown], months[shown], market.issuer_pool[issuer])
    return as_money(pl.DataFrame(columns), "transfer", "change")


def pool_frame(block: Block, names: Sequence[str]) -> pl.DataFrame:
    """Return the risk pools of each mix: means of the formula, what changes hands, and what rounding leaves."""
    import polars as pl

    market, s, settled = block.market, block.settlement, block.is_settled
    mixes = len(names)
    premium = np.add.reduceat(block.arrays.premium, block.arrays.first[:-1])
    in_base = np.tile(np.add.reduceat(market.in_base.astype(np.int64), market.first[:-1]) > 0, mixes)
    shown = np.flatnonzero(in_base | (s.pool_months > 0))
    pool = shown % len(market.pools)
    edges = np.searchsorted(market.issuer_pool, np.arange(len(market.pools)))
    cents = block.amounts.issuer_cents.reshape(mixes, -1)
    received = np.add.reduceat(np.maximum(cents, 0), edges, axis=1).ravel()
    residual = np.add.reduceat(cents, edges, axis=1).ravel()

    def seen(name: str, values: Floats, where: Flags | bool = True) -> pl.Series:
        return _floats(name, np.where(where, values, np.nan)[shown])

    pools = pl.DataFrame(
        [
            _names(names, shown // len(market.pools)),
            pl.Series("state", [market.pools[i].state for i in pool.tolist()], dtype=pl.String),
            pl.Series("risk_pool", [market.pools[i].risk_pool for i in pool.tolist()], dtype=pl.String),
            pl.Series("market", [market.pools[i].market for i in pool.tolist()], dtype=pl.String),
            seen("billable_member_months", s.pool_months),
            seen("premium", premium),
            seen("average_premium", s.average_premium, settled),
            seen("net_average_premium", s.net_premium, settled),
            seen("mean_risk", s.mean_risk, settled),
            seen("mean_allowable", s.mean_allowable, settled),
            _cents("received", received[shown], settled[shown]),
            _cents("residual", residual[shown], settled[shown]),
        ]
    )
    return as_money(pools, "received", "residual")


def _names(names: Sequence[str], number: Integers) -> pl.Series:
    import polars as pl

    return pl.Series("mix", list(names), dtype=pl.String).gather(number)


def _floats(name: str, values: Floats) -> pl.Series:
    import polars as pl

    return pl.Series(name, values, nan_to_null=True)


def _cents(name: str, cents: Integers, where: Flags) -> pl.Series:
    """Return whole cents, blank where they are no amount."""
    import polars as pl

    series = pl.Series(name, cents)
    return series if where.all() else series.set(pl.Series(~where), None)
