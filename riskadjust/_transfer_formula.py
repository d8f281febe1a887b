"""The state payment transfer formula on arrays: one entry per plan row, plan rows of one risk pool side by side.

Everything that settles or re-settles a pool (transfers, mixes, estimates, intervals) goes through :func:`settle`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import sums

__all__ = ["PlanArrays", "Settlement", "settle"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlanArrays:
    """Plan rows as arrays of one length, sorted by pool.

    Attributes
    ----------
    months : array of float
        Billable member months, b.
    premium : array of float
        Premium earned, dollars.
    plrs, arf, av, idf, gcf : array of float
        Plan liability risk score r, allowable rating factor f, metal value a, induced demand factor d, geographic cost
        factor g. Those of a row without months may be NaN.
    first : array of int
        Position of the first row of each pool, and the number of rows.
    """

    months: Floats
    premium: Floats
    plrs: Floats
    arf: Floats
    av: Floats
    idf: Floats
    gcf: Floats
    first: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What the formula gives; see :func:`settle`. Pool arrays have one entry per pool, plan arrays one per row."""

    pool_months: Floats
    average_premium: Floats
    net_premium: Floats
    mean_risk: Floats
    mean_allowable: Floats
    risk: Floats
    allowable: Floats
    per_member_month: Floats
    amount: Floats


def settle(
    plans: PlanArrays, admin_cost_reduction: float | Floats, state_reduction: float | Floats = 0.0
) -> Settlement:
    """Return the unrounded transfer of every plan row, with every intermediate.

    ``P = sum PREM / sum b``; ``P' = P (1 - k)``; ``L = r d g``; ``R = a f d g``; ``Lbar = sum b L / sum b``;
    ``Rbar`` alike; ``t = (L / Lbar - R / Rbar) P' (1 - q)`` dollars per billable member month; ``T = t b`` dollars.

    Parameters
    ----------
    plans : PlanArrays
        Checked: months and premium not negative, factors positive where there are months.
    admin_cost_reduction : float or array
        k, for all pools or for each.
    state_reduction : float or array
        q, for all pools or for each.

    Returns
    -------
    Settlement
        pool_months B, average_premium P, net_premium P', mean_risk Lbar, mean_allowable Rbar; risk L, allowable R,
        per_member_month t, amount T. A row without months has L, R and t of NaN and an amount of 0. A pool without
        months, or with a mean of zero, has NaN throughout: the caller refuses it.

    Notes
    -----
    Sources: 78 FR 15409 (2014 payment notice) and 81 FR 94058 (2018 payment notice, the 14 percent). Sums are correctly
    rounded (`math.fsum`), so the order of rows changes nothing.
    """
    counts = np.diff(plans.first)
    present = plans.months > 0
    risk = np.where(present, plans.plrs * plans.idf * plans.gcf, np.nan)
    allowable = np.where(present, plans.av * plans.arf * plans.idf * plans.gcf, np.nan)
    months = sums(plans.months, plans.first)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        average = sums(np.where(present, plans.premium, 0.0), plans.first) / months
        mean_risk = sums(np.where(present, plans.months * risk, 0.0), plans.first) / months
        mean_allowable = sums(np.where(present, plans.months * allowable, 0.0), plans.first) / months
        net = average * (1.0 - np.asarray(admin_cost_reduction, dtype=np.float64))
        kept = np.broadcast_to(1.0 - np.asarray(state_reduction, dtype=np.float64), months.shape)
        difference = risk / np.repeat(mean_risk, counts) - allowable / np.repeat(mean_allowable, counts)
    rate = difference * np.repeat(net, counts) * np.repeat(kept, counts)
    usable = np.repeat((mean_risk > 0) & (mean_allowable > 0), counts)
    amount = np.where(usable, np.where(present, rate * plans.months, 0.0), np.nan)
    return Settlement(months, average, net, mean_risk, mean_allowable, risk, allowable, rate, amount)
