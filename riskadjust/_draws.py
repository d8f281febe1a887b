"""Draws of whole policies with replacement, each settled by the transfer formula: a seed gives the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from riskadjust._policy_sums import PlanSums, PolicySums
from riskadjust._transfer_formula import PlanArrays, settle

__all__ = ["DrawResults", "Pools", "Strata", "settle_draws"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DRAWS_AT_ONCE = 16  # never depends on the number of threads, so neither does any result


@dataclass(frozen=True, slots=True)
class Strata:
    """From which policies each slot of a draw is taken: so many slots as policies, stratum by stratum.

    Attributes
    ----------
    first : array
        Position of the first policy of the slot's stratum, one entry per slot.
    size : array of float
        Number of policies of the slot's stratum.
    """

    first: Integers
    size: Floats

    @classmethod
    def of_starts(cls, starts: Integers) -> Strata:
        """Return strata from the position of the first policy of each, and the number of policies."""
        sizes = np.diff(starts)
        return cls(np.repeat(starts[:-1], sizes), np.repeat(sizes, sizes).astype(np.float64))

    def times(self, seed: int, draw: int) -> Integers:
        """Return how often each policy is in a draw.

        The 52 high bits of a Philox number, keyed by (seed, draw), times the size of the stratum, cut off: the raw
        stream of Philox is fixed for all versions of numpy, unlike that of the methods built on it.
        """
        bits = np.random.Philox(np.random.SeedSequence(seed, spawn_key=(draw,)))
        uniform = (bits.random_raw(len(self.first)) >> np.uint64(12)).astype(np.float64)
        chosen = (uniform * (self.size * 2.0**-52)).astype(np.int64)
        return np.bincount(self.first + chosen, minlength=len(self.first))


@dataclass(frozen=True, slots=True)
class Pools:
    """What stays as it is in every draw. Row arrays have one entry per plan row, pool arrays one per pool.

    Attributes
    ----------
    av, idf, gcf : array
        Of the rows; gcf as it is without a draw.
    first : array
        Position of the first row of each pool, and the number of rows.
    issuer_first : array
        Position of the first row of each issuer in a pool, and the number of rows.
    admin_cost_reduction, state_reduction : array
        k and q of the pools.
    area, sets_gcf : array
        Rating area of the row, numbered over all pools, and whether its premium sets the geographic cost factor.
    area_pool : array
        The pool of each area.
    is_held : array of bool
        Rows whose geographic cost factor stays as it is; that of the others is computed again in every draw.
    """

    av: Floats
    idf: Floats
    gcf: Floats
    first: Integers
    issuer_first: Integers
    admin_cost_reduction: Floats
    state_reduction: Floats
    area: Integers
    sets_gcf: NDArray[np.bool_]
    area_pool: Integers
    is_held: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DrawResults:
    """One row per draw.

    Attributes
    ----------
    issuer_transfer, issuer_months : array, draws x issuers
        Dollars; billable member months.
    pool_moved, pool_premium, pool_risk, pool_allowable : array, draws x pools
        Sum of what issuers receive, average premium, Lbar, Rbar. NaN where the pool of a draw cannot be settled.
    areas_without_plan : array of int, draws
        Areas in which the draw has no plan that sets the factor: they keep the factor they have without a draw.
    """

    issuer_transfer: Floats
    issuer_months: Floats
    pool_moved: Floats
    pool_premium: Floats
    pool_risk: Floats
    pool_allowable: Floats
    areas_without_plan: Integers


def settle_draws(policies: PolicySums, strata: Strata, pools: Pools, *, seed: int, draws: int) -> DrawResults:
    """Return the settlement of every draw."""
    issuers, number = len(pools.issuer_first) - 1, len(pools.first) - 1
    results = DrawResults(
        issuer_transfer=np.empty((draws, issuers)),
        issuer_months=np.empty((draws, issuers)),
        pool_moved=np.empty((draws, number)),
        pool_premium=np.empty((draws, number)),
        pool_risk=np.empty((draws, number)),
        pool_allowable=np.empty((draws, number)),
        areas_without_plan=np.zeros(draws, np.int64),
    )
    pool_of_issuer = np.searchsorted(pools.first, pools.issuer_first[:-1], side="right") - 1

    def run(start: int) -> None:
        stop = min(start + DRAWS_AT_ONCE, draws)
        sums = np.stack([policies.sums(strata.times(seed, draw)) for draw in range(start, stop)])
        _settle_some(PlanSums.of_integers(sums), pools, pool_of_issuer, results, slice(start, stop))

    map_chunks(run, range(0, draws, DRAWS_AT_ONCE))
    return results


def _settle_some(plans: PlanSums, pools: Pools, pool_of_issuer: Integers, results: DrawResults, at: slice) -> None:
    """Settle draws side by side: a pool of a draw is one pool of the formula."""
    draws, rows = plans.months.shape
    gcf = np.broadcast_to(pools.gcf, plans.months.shape)
    if not pools.is_held.all():
        gcf, results.areas_without_plan[at] = factors_of_draws(plans, pools)
    starts = (np.arange(draws)[:, None] * rows + pools.first[:-1][None, :]).ravel()
    arrays = PlanArrays(
        months=plans.months.ravel(),
        premium=plans.premium.ravel(),
        plrs=plans.plrs.ravel(),
        arf=plans.arf.ravel(),
        av=np.tile(pools.av, draws),
        idf=np.tile(pools.idf, draws),
        gcf=gcf.ravel(),
        first=np.append(starts, draws * rows),
    )
    settled = settle(arrays, np.tile(pools.admin_cost_reduction, draws), np.tile(pools.state_reduction, draws))
    amount = settled.amount.reshape(draws, rows)
    transfer = np.add.reduceat(amount, pools.issuer_first[:-1], axis=1)
    months = np.add.reduceat(plans.months, pools.issuer_first[:-1], axis=1)
    first_issuer = np.searchsorted(pool_of_issuer, np.arange(len(pools.first) - 1))
    # An issuer alone in its pool pays to itself: exactly nothing, whatever the last digit of the sum.
    alone = np.add.reduceat((months > 0).astype(np.int64), first_issuer, axis=1) == 1
    transfer[alone[:, pool_of_issuer] & np.isfinite(transfer)] = 0.0
    results.issuer_transfer[at] = transfer
    results.issuer_months[at] = months
    results.pool_moved[at] = np.add.reduceat(np.maximum(transfer, 0.0), first_issuer, axis=1)
    results.pool_premium[at] = settled.average_premium.reshape(draws, -1)
    results.pool_risk[at] = settled.mean_risk.reshape(draws, -1)
    results.pool_allowable[at] = settled.mean_allowable.reshape(draws, -1)


def factors_of_draws(plans: PlanSums, pools: Pools) -> tuple[Floats, Integers]:
    """Return the geographic cost factor of every row of every draw, and in how many areas the draw has none.

    ``U_k = sum PREM / f`` over ``sum b`` of the plans of area k that set it, against the same of the pool. An area
    without such a plan in the draw keeps the factor that it has without a draw.
    """
    sets = pools.sets_gcf & (plans.months > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        standard = np.where(sets, plans.premium / plans.arf, 0.0)
        order = np.argsort(pools.area, kind="stable")
        starts = np.searchsorted(pools.area[order], np.arange(len(pools.area_pool)))
        area_premium = np.add.reduceat(standard[:, order], starts, axis=1)
        area_months = np.add.reduceat(np.where(sets, plans.months, 0.0)[:, order], starts, axis=1)
        pool_starts = np.searchsorted(pools.area_pool, np.arange(len(pools.first) - 1))
        pool_premium = np.add.reduceat(area_premium, pool_starts, axis=1)[:, pools.area_pool]
        pool_months = np.add.reduceat(area_months, pool_starts, axis=1)[:, pools.area_pool]
        factor = (area_premium / area_months) / (pool_premium / pool_months)
    usable = np.isfinite(factor) & (factor > 0)
    moving = (plans.months > 0) & ~pools.is_held
    present = np.logical_or.reduceat(moving[:, order], starts, axis=1)
    computed = np.where(usable, factor, np.nan)[:, pools.area]
    gcf = np.where(np.isnan(computed) | pools.is_held, pools.gcf[None, :], computed)
    return gcf, np.sum(~usable & present, axis=1).astype(np.int64)
