"""The transfer formula in exact fractions: for amounts so near half a cent that a float cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from riskadjust._cents import exact, exact_on_grid
from riskadjust._transfer_formula import PlanArrays, Settlement

__all__ = ["ExactPool", "ExactPools", "settle_near_zero", "slack"]

_MONTH_PARTS = 30  # months are days / 30
_PREMIUM_PARTS = 3000  # cents of a month, by thirtieths
_UNITS = 64.0  # twice what the roundings of the formula and of its inputs can add up to, in units of the last place


@dataclass(frozen=True)
class ExactPool:
    """One risk pool in fractions: months b, b L of each plan, amount T of each plan; average premium P."""

    months: list[Fraction]
    risk_months: list[Fraction]
    amounts: list[Fraction]
    average_premium: Fraction


@dataclass
class ExactPools:
    """Risk pools in fractions, each worked out when it is first asked for.

    Parameters
    ----------
    plans : PlanArrays
        With the risk scores as given, before any error rate.
    error_rates : list
        Error rate of each row, or None.
    admin_cost_reduction, state_reduction : list of Fraction
        k and q of each pool.
    """

    plans: PlanArrays
    error_rates: Sequence[Fraction | None]
    admin_cost_reduction: Sequence[Fraction]
    state_reduction: Sequence[Fraction]
    _known: dict[int, ExactPool] = field(default_factory=dict)

    def pool(self, number: int) -> ExactPool:
        """Return one risk pool."""
        if number not in self._known:
            self._known[number] = self._settled(number)
        return self._known[number]

    def amount(self, row: int) -> Fraction:
        """Return the transfer of a plan row."""
        number = int(np.searchsorted(self.plans.first, row, side="right")) - 1
        return self.pool(number).amounts[row - int(self.plans.first[number])]

    def _settled(self, number: int) -> ExactPool:
        p, rows = self.plans, range(int(self.plans.first[number]), int(self.plans.first[number + 1]))
        nothing = Fraction(0)
        months = [exact_on_grid(p.months[i], _MONTH_PARTS) for i in rows]
        risk: list[Fraction] = []
        allowable: list[Fraction] = []
        premium: list[Fraction] = []
        for i, b in zip(rows, months, strict=True):
            if b == 0:
                for values in (risk, allowable, premium):
                    values.append(nothing)
                continue
            demand_and_area = exact(p.idf[i]) * exact(p.gcf[i])
            risk.append(exact(p.plrs[i]) * (1 - (self.error_rates[i] or nothing)) * demand_and_area)
            allowable.append(exact(p.av[i]) * exact(p.arf[i]) * demand_and_area)
            premium.append(exact_on_grid(p.premium[i], _PREMIUM_PARTS))
        total = sum(months, nothing)
        risk_months = [b * x for b, x in zip(months, risk, strict=True)]
        mean_risk = sum(risk_months, nothing) / total
        mean_allowable = sum((b * x for b, x in zip(months, allowable, strict=True)), nothing) / total
        average = sum(premium, nothing) / total
        kept = average * (1 - self.admin_cost_reduction[number]) * (1 - self.state_reduction[number])
        amounts = [
            (x / mean_risk - y / mean_allowable) * kept * b for b, x, y in zip(months, risk, allowable, strict=True)
        ]
        return ExactPool(months, risk_months, amounts, average)


def slack(
    plans: PlanArrays,
    settled: Settlement,
    admin_cost_reduction: NDArray[np.float64],
    state_reduction: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how far the amount of each plan row may lie from the exact one, in dollars.

    The two terms of the difference are what the roundings act on, so they set the measure, not their difference. A cut
    near the whole leaves a remainder with fewer sure digits.
    """
    counts = np.diff(plans.first)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        risk = settled.risk / np.repeat(settled.mean_risk, counts)
        allowable = settled.allowable / np.repeat(settled.mean_allowable, counts)
        cuts = 1.0 / (1.0 - admin_cost_reduction) + 1.0 / (1.0 - state_reduction)
        kept = settled.net_premium * (1.0 - state_reduction)
        scale = np.where(kept > 0, kept * cuts, 0.0)
    measure = (risk + allowable) * np.repeat(scale, counts) * plans.months
    return np.where(plans.months > 0, measure * (_UNITS * 2.0**-53), 0.0)


def settle_near_zero(settlement: Settlement, near: NDArray[np.float64], exact: ExactPools) -> None:
    """Put the exact amount where the formula cannot tell it from zero, as for a plan that is its whole pool.

    Parameters
    ----------
    settlement : Settlement
        Its amounts are changed in place.
    near : array of float
        How far each amount may lie from the exact one, see :func:`slack`.
    exact : ExactPools
        The same pools in fractions.
    """
    months = exact.plans.months
    for row in np.flatnonzero((np.abs(settlement.amount) <= near) & (settlement.amount != 0)).tolist():
        settlement.amount[row] = float(exact.amount(row))
        settlement.per_member_month[row] = settlement.amount[row] / months[row]
