"""Sums of plan rows under mixes -> settled pools: the transfer formula once for a block of mixes, and its cents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from riskadjust._mix_split import Position
from riskadjust._mix_sums import RowSums
from riskadjust._transfer_amounts import Amounts, Rounding
from riskadjust._transfer_exact import ExactPools, settle_near_zero, slack
from riskadjust._transfer_formula import PlanArrays, Settlement, settle
from riskadjust._transfer_settings import Parameters, PoolName

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Block", "Market", "market"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Pools:
    """What rounding asks of a table of plan rows: here the pools of several mixes one after the other."""

    arrays: PlanArrays
    pools: list[PoolName]
    issuer_first: Integers
    issuer_pool: Integers


@dataclass(frozen=True)
class Market:
    """The plan rows of all mixes, their pools and issuers, and the parameters of the settlement.

    Attributes
    ----------
    frame : DataFrame
        state, market, risk_pool, issuer_id, plan_id, rating_area_id, metal_level, av, idf; in order.
    in_base : array of bool
        Rows that have lines in the base.
    pools : list of PoolName
        The risk pools; `first` has the first row of each, and the number of rows.
    issuers : DataFrame
        state, risk_pool, issuer_id; `issuer_first` has the first row of each, `issuer_pool` its pool.
    cuts, state_cuts : list of Fraction
        Administrative cost reduction and state reduction of each pool.
    """

    frame: pl.DataFrame
    in_base: Flags
    pools: list[PoolName]
    first: Integers
    issuers: pl.DataFrame
    issuer_first: Integers
    issuer_pool: Integers
    cuts: list[Fraction]
    state_cuts: list[Fraction]
    rounds_plans: bool
    is_balanced: bool

    def settled(self, sums: Sequence[RowSums], factors: Sequence[Floats]) -> Block:
        """Return a block of mixes settled: each pool of each mix is a pool of its own."""
        mixes = len(sums)
        av, idf = (self.frame[c].to_numpy() for c in ("av", "idf"))
        arrays = PlanArrays(
            months=np.concatenate([s.months for s in sums]),
            premium=np.concatenate([s.premium for s in sums]),
            plrs=np.concatenate([s.plrs for s in sums]),
            arf=np.concatenate([s.arf for s in sums]),
            av=np.tile(av, mixes),
            idf=np.tile(idf, mixes),
            gcf=np.concatenate(list(factors)),
            first=_tiled_edges(self.first, mixes),
        )
        cuts, state_cuts = self.cuts * mixes, self.state_cuts * mixes
        k, q = np.array([float(c) for c in cuts]), np.array([float(c) for c in state_cuts])
        settlement = settle(arrays, k, q)
        is_settled = np.ones(len(k), bool)
        for figure in (
            settlement.pool_months,
            settlement.average_premium,
            settlement.mean_risk,
            settlement.mean_allowable,
        ):
            is_settled &= figure > 0
        pools: Any = _Pools(
            arrays,
            self.pools * mixes,
            _tiled_edges(self.issuer_first, mixes),
            np.concatenate([self.issuer_pool + i * len(self.pools) for i in range(mixes)]),
        )
        exact = ExactPools(arrays, [None] * len(arrays.months), cuts, state_cuts)
        of_row = np.repeat(is_settled, np.diff(arrays.first))
        margin = np.where(of_row, slack(arrays, settlement, k, q), 0.0)
        settle_near_zero(settlement, margin, exact)
        plans = np.where(of_row, settlement.amount, 0.0)
        rounding = Rounding(pools, self.rounds_plans, self.is_balanced)
        return Block(self, arrays, settlement, rounding.transfers(plans, margin, exact), is_settled, q)


@dataclass(frozen=True)
class Block:
    """Some mixes, settled; arrays hold one mix after the other."""

    market: Market
    arrays: PlanArrays
    settlement: Settlement
    amounts: Amounts
    is_settled: Flags
    state_reduction: Floats

    def position(self) -> Position:
        """Return where every issuer stands, mixes x issuers; NaN where its pool is not settled."""
        a, s = self.arrays, self.settlement
        present = a.months > 0
        first = _tiled_edges(self.market.issuer_first, self._mixes)[:-1]
        demand = np.where(present, a.months * a.idf, 0.0)
        area = np.where(present, demand * a.gcf, 0.0)
        risk, rating = np.where(present, area * a.plrs, 0.0), np.where(present, area * a.av * a.arf, 0.0)
        shape = (self._mixes, -1)
        sums = [np.add.reduceat(v, first).reshape(shape) for v in (a.months, demand, area, risk, rating)]
        net = np.where(self.is_settled, s.net_premium * (1.0 - self.state_reduction), np.nan)
        pools = tuple(v.reshape(shape)[:, self.market.issuer_pool] for v in (s.mean_risk, s.mean_allowable, net))
        return Position.of_sums(sums[0], sums[1], sums[2], sums[3], sums[4], (pools[0], pools[1], pools[2]))

    @property
    def _mixes(self) -> int:
        return len(self.is_settled) // len(self.market.pools)


def _tiled_edges(first: Integers, times: int) -> Integers:
    """Return the edges of runs repeated one after the other."""
    edges = (first[:-1] + np.arange(times)[:, None] * first[-1]).ravel()
    return np.append(edges, times * first[-1])


def market(frame: pl.DataFrame, in_base: Flags, parameters: Parameters) -> Market:
    """Return pools, issuers and parameters of plan rows that stand in order."""
    import polars as pl

    def starts(*columns: str) -> Integers:
        runs = frame.select(pl.struct(columns).rle_id()).to_series().to_numpy()
        return np.searchsorted(runs, np.arange(int(runs[-1]) + 2)).astype(np.int64)

    first, issuer_first = starts("state", "risk_pool"), starts("state", "risk_pool", "issuer_id")
    of_pool = frame.group_by("state", "risk_pool", maintain_order=True).agg(pl.col("market").unique())
    pools = [
        PoolName(state, pool, markets[0] if len(markets) == 1 else "merged") for state, pool, markets in of_pool.rows()
    ]
    return Market(
        frame=frame,
        in_base=in_base,
        pools=pools,
        first=first,
        issuers=frame.select("state", "risk_pool", "issuer_id")[issuer_first[:-1]],
        issuer_first=issuer_first,
        issuer_pool=np.searchsorted(first, issuer_first[:-1], side="right") - 1,
        cuts=[k or Fraction(0) for k in parameters.by_pool("admin_cost_reduction", pools)],
        state_cuts=parameters.state_reductions(pools),
        rounds_plans=parameters.choice("issuer_rounding") == "rounded_plans",
        is_balanced=parameters.choice("cents_balance") == "largest_remainder",
    )
