"""The second-lowest of the premiums of each policy, under both readings of a tie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["NOT_OFFERED", "SecondLowest", "second_lowest"]

Integers = NDArray[np.int64]

NOT_OFFERED = 2**44  # above any sum of real premiums in cents; a sum that holds one is not offered
_NO_PLAN = -1


@dataclass(frozen=True, slots=True)
class SecondLowest:
    """For each policy; amounts are :data:`NOT_OFFERED` and plans -1 where there is none.

    Attributes
    ----------
    lowest, lowest_plan : array of int
        The lowest premium in cents, and the column of its plan (the first of those tied).
    by_plans, by_plans_plan : array of int
        The second plan in order of premium: of two plans tied at the lowest premium, the other one.
    by_premiums, by_premiums_plan : array of int
        The second premium when equal premiums count once.
    offered : array of int
        How many plans have a premium for the policy.
    """

    lowest: Integers
    lowest_plan: Integers
    by_plans: Integers
    by_plans_plan: Integers
    by_premiums: Integers
    by_premiums_plan: Integers
    offered: Integers


def second_lowest(premiums: Integers) -> SecondLowest:
    """Return the lowest and second-lowest premium of each row.

    Parameters
    ----------
    premiums : array of int, policies x plans
        Cents; :data:`NOT_OFFERED` or more where a plan has none. Plans stand in the order of their ids: a tie goes to
        the first.

    Examples
    --------
    Two plans tied at the lowest premium:

    >>> found = second_lowest(np.array([[30000, 28000, 28000, 31000]]))
    >>> found.by_plans.item(), found.by_plans_plan.item(), found.by_premiums.item(), found.by_premiums_plan.item()
    (28000, 2, 30000, 0)
    """
    rows, plans = premiums.shape
    if plans == 0:
        none, nothing = np.full(rows, _NO_PLAN, np.int64), np.full(rows, NOT_OFFERED, np.int64)
        return SecondLowest(nothing, none, nothing, none, nothing, none, np.zeros(rows, np.int64))
    capped = np.minimum(premiums, NOT_OFFERED)
    offered = np.full(rows, plans, np.int64)
    if rows and capped.max() == NOT_OFFERED:
        offered = np.count_nonzero(capped < NOT_OFFERED, axis=1)
    # Premium and column in one number: the smallest one is the first of the plans tied at the lowest premium.
    keys = capped * plans + np.arange(plans)
    nothing_key = NOT_OFFERED * plans
    if plans == 1:
        first, second = keys[:, 0], np.full(rows, nothing_key, np.int64)
    else:
        first, second = np.partition(keys, 1, axis=1)[:, :2].T
    other = second.copy()
    tied = np.flatnonzero(second // plans == first // plans)
    if len(tied):
        above = (first[tied] // plans + 1) * plans
        other[tied] = np.where(keys[tied] >= above[:, None], keys[tied], nothing_key).min(axis=1)
    amounts = [np.minimum(key // plans, NOT_OFFERED) for key in (first, second, other)]
    places = [
        np.where(amount < NOT_OFFERED, key % plans, _NO_PLAN)
        for amount, key in zip(amounts, (first, second, other), strict=True)
    ]
    return SecondLowest(amounts[0], places[0], amounts[1], places[1], amounts[2], places[2], offered)
