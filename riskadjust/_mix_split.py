"""The change of an issuer's transfer, split by what caused it, to the last cent."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

__all__ = ["CAUSES", "Position", "split_change"]

Floats = NDArray[np.float64]

CAUSES = ("volume", "risk", "rating_factors", "geography", "pool_averages", "premium")


@dataclass(frozen=True, slots=True)
class Position:
    """Where issuers stand in their pools, as arrays of one shape: all that an issuer's transfer depends on.

    With b billable member months, r risk score, a metal value, f allowable rating factor, d induced demand factor, g
    geographic cost factor of the issuer's plan rows, the transfer is exactly
    ``T = B D G (r* / Lbar - h* / Rbar) P' (1 - q)``.

    Attributes
    ----------
    months : array
        ``B = sum b``.
    demand : array
        ``D = sum b d / sum b``.
    geography : array
        ``G = sum b d g / sum b d``.
    risk : array
        ``r* = sum b r d g / sum b d g``.
    rating : array
        ``h* = sum b a f d g / sum b d g``.
    mean_risk, mean_allowable : array
        Lbar and Rbar of the pool.
    net_premium : array
        ``P' (1 - q)`` of the pool, dollars per billable member month.
    """

    months: Floats
    demand: Floats
    geography: Floats
    risk: Floats
    rating: Floats
    mean_risk: Floats
    mean_allowable: Floats
    net_premium: Floats

    @classmethod
    def of_sums(
        cls, b: Floats, bd: Floats, bdg: Floats, brdg: Floats, bafdg: Floats, pools: tuple[Floats, Floats, Floats]
    ) -> Position:
        """Return positions from the sums over an issuer's rows, and Lbar, Rbar, P'(1 - q) of the pool."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return cls(b, bd / b, bdg / bd, brdg / bdg, bafdg / bdg, *pools)


# The causes and what belongs to each of them.
_OWNED = {
    "volume": ("months",),
    "risk": ("risk",),
    "rating_factors": ("demand", "rating"),
    "geography": ("geography",),
    "pool_averages": ("mean_risk", "mean_allowable"),
    "premium": ("net_premium",),
}
_OWN_AVERAGES = ("demand", "geography", "risk", "rating")


def split_change(before: Position, after: Position) -> dict[str, Floats]:
    """Return the change of the transfer that each cause brought, in dollars; the six sum to the change.

    The causes move together, so what one of them brought depends on which went before it. Each gets its mean over the
    720 orders in which the six can go from before to after (the Shapley value), which favors none and leaves no rest:
    ``c_i = sum over S without i of |S|! (5 - |S|)! / 6! x (T(S and i) - T(S))``.

    Parameters
    ----------
    before, after : Position
        Arrays that broadcast against each other.

    Returns
    -------
    dict of array
        By cause: ``volume`` B; ``risk`` r*; ``rating_factors`` h* and D (age factors, metal values, induced demand);
        ``geography`` G; ``pool_averages`` Lbar and Rbar; ``premium`` P'. NaN where a side is not settled.

    Notes
    -----
    An issuer without months on one side has no averages of its own there: those of the other side stand in, so that
    what its leaving or coming brought counts as volume.
    Source: L. S. Shapley, A value for n-person games, 1953.
    """
    before, after = _completed(before, after), _completed(after, before)
    values = _values(before, after)
    size = len(CAUSES)
    shares = {}
    for i, cause in enumerate(CAUSES):
        total: Floats = np.zeros(())
        for chosen in range(1 << size):
            if chosen >> i & 1:
                continue
            others = chosen.bit_count()
            weight = math.factorial(others) * math.factorial(size - 1 - others) / math.factorial(size)
            total = total + weight * (values[chosen | 1 << i] - values[chosen])
        shares[cause] = total
    return shares


def _completed(own: Position, other: Position) -> Position:
    """Return a position whose missing averages are those of the other side; zero where neither has any."""
    filled = {}
    for field in fields(Position):
        value = getattr(own, field.name)
        if field.name in _OWN_AVERAGES:
            value = np.where(own.months > 0, value, np.where(other.months > 0, getattr(other, field.name), 0.0))
        filled[field.name] = value
    return Position(**filled)


def _values(before: Position, after: Position) -> list[Floats]:
    """Return the transfer for each set of causes that have gone over to after; bit i stands for cause i."""
    values = []
    for chosen in range(1 << len(CAUSES)):
        at = {}
        for i, cause in enumerate(CAUSES):
            side = after if chosen >> i & 1 else before
            at.update({name: getattr(side, name) for name in _OWNED[cause]})
        difference = at["risk"] / at["mean_risk"] - at["rating"] / at["mean_allowable"]
        values.append(at["months"] * at["demand"] * at["geography"] * difference * at["net_premium"])
    return values
