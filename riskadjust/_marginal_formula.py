"""The derivative of every issuer's transfer in the size of its pool, on arrays: one pool at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import sums
from riskadjust._transfer_formula import PlanArrays

__all__ = ["Added", "Moves", "PoolShares", "moves", "pool_shares"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PoolShares:
    """What one pool's marginal transfers depend on.

    Attributes
    ----------
    scale : float
        ``S = (1 - k) (1 - q) x total premium``, dollars: the money that shares are shares of.
    premium : float
        Total premium of the pool, dollars.
    risk, allowable : float
        ``sum b L`` and ``sum b R``.
    risk_share, allowable_share : array
        ``alpha_I`` and ``gamma_I``: each issuer's share of the two sums.
    area_risk, area_allowable : array, issuers x areas
        The same shares, of an issuer in an area.
    standard_premium, standard_months : array
        By area: ``sum PREM / f`` and ``sum b`` of the plans that set the geographic cost factor.
    """

    scale: float
    premium: float
    risk: float
    allowable: float
    risk_share: Floats
    allowable_share: Floats
    area_risk: Floats
    area_allowable: Floats
    standard_premium: Floats
    standard_months: Floats


@dataclass(frozen=True, slots=True)
class Added:
    """One added member month of each segment, as arrays of one length.

    Attributes
    ----------
    issuer, area : array of int
        Issuer and rating area of the segment's plan, as positions among those of the pool.
    risk : array
        ``score x d g`` of the plan.
    allowable : array
        ``a x rating factor x d g`` of the plan; 0 when the month is not billable.
    premium : array
        Dollars.
    standard_premium, standard_months : array
        By how much the sums of :class:`PoolShares` grow; 0 for plans that do not set the geographic cost factor.
    """

    issuer: Integers
    area: Integers
    risk: Floats
    allowable: Floats
    premium: Floats
    standard_premium: Floats
    standard_months: Floats


@dataclass(frozen=True, slots=True)
class Moves:
    """Dollars per added member month, segments x issuers, by cause; see :func:`moves`."""

    premium: Floats
    risk: Floats
    rating: Floats
    geography: Floats


def pool_shares(
    plans: PlanArrays, issuer: Integers, area: Integers, sets_gcf: NDArray[np.bool_], kept_share: float
) -> PoolShares:
    """Return the sums and shares of one pool.

    Parameters
    ----------
    plans : PlanArrays
        The rows of one pool.
    issuer, area : array of int
        Issuer and rating area of each row, numbered from 0.
    sets_gcf : array of bool
        The rows whose premium sets the geographic cost factor (silver plans; catastrophic ones in their own pool).
    kept_share : float
        ``(1 - k) (1 - q)``.
    """
    present = plans.months > 0
    common = np.where(present, plans.idf * plans.gcf, 0.0)
    risk = np.where(present, plans.months * plans.plrs, 0.0) * common
    allowable = np.where(present, plans.months * plans.av * plans.arf, 0.0) * common
    premium = math.fsum(plans.premium[present])
    total_risk, total_allowable = np.float64(math.fsum(risk)), np.float64(math.fsum(allowable))
    issuers, areas = int(issuer.max()) + 1, int(area.max()) + 1
    cell = issuer * areas + area
    # A pool without risk has no shares: its sums of zero tell the caller to refuse it.
    with np.errstate(divide="ignore", invalid="ignore"):
        risk_share = _exact_sums(risk, issuer, issuers) / total_risk
        allowable_share = _exact_sums(allowable, issuer, issuers) / total_allowable
        area_risk = _exact_sums(risk, cell, issuers * areas).reshape(issuers, areas) / total_risk
        area_allowable = _exact_sums(allowable, cell, issuers * areas).reshape(issuers, areas) / total_allowable
    setting = sets_gcf & present
    standard = np.zeros(len(risk))
    standard[setting] = plans.premium[setting] / plans.arf[setting]
    return PoolShares(
        scale=kept_share * premium,
        premium=premium,
        risk=float(total_risk),
        allowable=float(total_allowable),
        risk_share=risk_share,
        allowable_share=allowable_share,
        area_risk=area_risk,
        area_allowable=area_allowable,
        standard_premium=_exact_sums(standard, area, areas),
        standard_months=_exact_sums(np.where(setting, plans.months, 0.0), area, areas),
    )


def moves(pool: PoolShares, added: Added, *, gcf_moves: bool) -> Moves:
    """Return the derivative of every issuer's transfer in each added member month, by cause.

    With ``A = b L`` and ``C = b R`` of a plan row, ``P' B = (1 - k) x total premium`` and the pool's months cancel:
    ``T_I = S (alpha_I - gamma_I)``, ``S = (1 - k) (1 - q) sum PREM``, ``alpha_I = A_I / sum A``,
    ``gamma_I = C_I / sum C``. One added month of issuer J brings ``dPREM``, ``dA``, ``dC``, so that

    - premium: ``S (dPREM / sum PREM) (alpha_I - gamma_I)``
    - risk: ``S (dA / sum A) ([I = J] - alpha_I)``
    - rating: ``-S (dC / sum C) ([I = J] - gamma_I)``
    - geography: ``S e ((alpha_Ik - alpha_I alpha_k) - (gamma_Ik - gamma_I gamma_k))``, where ``e`` is the relative
      change of the factor of the month's area k against all others; 0 when the factors are held.
    """
    own = added.issuer[:, None] == np.arange(len(pool.risk_share))[None, :]
    alpha, gamma = pool.risk_share[None, :], pool.allowable_share[None, :]
    premium = (pool.scale * added.premium / pool.premium)[:, None] * (alpha - gamma)
    risk = (pool.scale * added.risk / pool.risk)[:, None] * (own - alpha)
    rating = -(pool.scale * added.allowable / pool.allowable)[:, None] * (own - gamma)
    if not gcf_moves:
        return Moves(premium, risk, rating, np.zeros_like(risk))
    change = np.zeros(len(added.area))
    moving = (added.standard_premium != 0) | (added.standard_months != 0)
    k = added.area[moving]
    change[moving] = added.standard_premium[moving] / pool.standard_premium[k]
    change[moving] -= added.standard_months[moving] / pool.standard_months[k]
    of_area_risk = pool.area_risk.sum(axis=0)[added.area][:, None]
    of_area_allowable = pool.area_allowable.sum(axis=0)[added.area][:, None]
    spread = (pool.area_risk.T[added.area] - alpha * of_area_risk) - (
        pool.area_allowable.T[added.area] - gamma * of_area_allowable
    )
    return Moves(premium, risk, rating, (pool.scale * change)[:, None] * spread)


def _exact_sums(values: Floats, group: Integers, groups: int) -> Floats:
    """Return the correctly rounded sum of each group, whatever the order of rows."""
    order = np.argsort(group, kind="stable")
    return sums(values[order], np.searchsorted(group[order], np.arange(groups + 1)).astype(np.int64))
