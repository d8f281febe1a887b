"""The amounts of the premium tax credit on plain columns of whole cents and dollars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rating._contribution import NO_PERCENTAGE
from rating._frame_rows import WHOLE_SHARE
from rating._money import portion

__all__ = ["annual_credit", "apportioned", "ehb_part", "monthly_credit"]

Integers = NDArray[np.int64]


def ehb_part(premium_cents: Integers, share: Integers) -> Integers:
    """Return the part of premiums that is for essential health benefits, in cents, half up.

    ``E = premium x share``; the credit may pay no more than this part.

    Parameters
    ----------
    premium_cents : array of int
        Gross premiums in cents.
    share : array of int
        Share of the premium in parts of 1,000,000,000.

    Notes
    -----
    Source: 26 U.S.C. 36B(b)(3)(D); 26 CFR 1.36B-3(j).

    Examples
    --------
    98.7 percent of 500.00 dollars:

    >>> ehb_part(np.array([50_000]), np.array([987_000_000])).tolist()
    [49350]
    """
    if (share == WHOLE_SHARE).all():
        return premium_cents
    return portion(premium_cents, share, WHOLE_SHARE)


def apportioned(premium_cents: Integers, own_benchmark: Integers, others_benchmark: Integers) -> Integers:
    """Return the eligible members' part of premiums that cover others too, in cents, half up.

    ``premium x own / (own + others)``: in proportion to each group's own benchmark. Without a benchmark of others, or
    where both are zero, the premium is theirs.

    Notes
    -----
    Source: 26 CFR 1.36B-3(h).

    Examples
    --------
    >>> apportioned(np.array([90_000, 90_000]), np.array([40_000] * 2), np.array([20_000, 0])).tolist()
    [60000, 90000]
    """
    is_split = (others_benchmark > 0) & (own_benchmark + others_benchmark > 0)
    if not is_split.any():
        return premium_cents
    whole = np.where(is_split, own_benchmark + others_benchmark, 1)
    return np.where(is_split, portion(premium_cents, own_benchmark, whole), premium_cents)


def monthly_credit(
    benchmark_cents: Integers, contribution_dollars: Integers, premium_cents: Integers | int
) -> Integers:
    """Return ``min(premium, max(0, benchmark - contribution))`` of one month in cents; 0 without a percentage.

    Parameters
    ----------
    benchmark_cents : array of int
        Second-lowest-cost silver premium of the coverage family.
    contribution_dollars : array of int
        Monthly contribution in whole dollars; -1 where the year has no percentage for the income.
    premium_cents : array of int
        Premium of the plan for essential health benefits; a very large number where no plan limits the credit.

    Notes
    -----
    Source: 26 U.S.C. 36B(b)(2); 26 CFR 1.36B-3(d).

    Examples
    --------
    >>> monthly_credit(np.array([45500, 45500, 4000]), np.array([55, -1, 55]), np.array([42000] * 3)).tolist()
    [40000, 0, 0]
    """
    gap = np.maximum(benchmark_cents - 100 * contribution_dollars, 0)
    return np.where(contribution_dollars == NO_PERCENTAGE, 0, np.minimum(premium_cents, gap))


def annual_credit(benchmark_cents: Integers, contribution_dollars: Integers, premium_cents: Integers | int) -> Integers:
    """Return the same for twelve months that are alike, from the amounts of the whole year.

    The rounding of the monthly contribution never enters.

    Examples
    --------
    >>> annual_credit(np.array([1_176_000]), np.array([1676]), np.array([1_080_000])).tolist()
    [1008400]
    """
    return monthly_credit(benchmark_cents, contribution_dollars, premium_cents)
