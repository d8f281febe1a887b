"""Designs that no plan can have, which are refused, and designs that are probably not meant, which are asked about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from rating._av_columns import SEPARATE_MOOP, SERVICES, DesignColumns
from rating._figures import Figures

__all__ = ["doubts", "doubts_of_shares", "refuse_impossible"]

Flags = NDArray[np.bool_]

_LIMITS, _STANDARD = "rating/annual_cost_sharing_limits", "standard"
_LIMIT_OF_VARIANT = {4: "csr_73", 5: "csr_94_87", 6: "csr_94_87"}
_INPATIENT = SERVICES.index("inpatient")
_RULE = "actuarial value calculator of the year, input checks"
# A plan that pays less than half beyond the deductible is rare; an enrollee's share written as the plan's is not.
_HALF = 0.5


def refuse_impossible(designs: DesignColumns, ids: Sequence[str]) -> None:
    """Refuse designs whose parts contradict each other.

    Raises
    ------
    InputRefused
        An out-of-pocket limit below a deductible; a copay per day where none is entered; a number of days without a
        copay per day; two options for the first visits. The message names the design.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> refuse_impossible(plain_columns(1, deductible=500.0, moop=400.0), ["A"])
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: the out-of-pocket limit is below the deductible [design A, moop]. ...
    """
    per_day = designs.inpatient_per_day > 0
    found = (
        (
            (designs.deductible > designs.moop).any(axis=1),
            "the out-of-pocket limit is below the deductible",
            "moop",
            "raise the limit or lower the deductible; what counts toward one counts toward the other",
        ),
        (
            per_day & np.isnan(designs.copay[:, _INPATIENT]),
            "the inpatient copay is per day, and none is entered",
            "inpatient_copay_per_day",
            "enter the copay per day; 0 where there is none",
        ),
        (
            (designs.inpatient_max_days > 0) & ~per_day,
            "a number of days is charged, and the inpatient copay is not per day",
            "inpatient_copay_max_days",
            "set inpatient_copay_per_day, or leave the days out",
        ),
        (
            (designs.first_visits_free > 0) & (designs.first_visits_copay > 0),
            "first visits are free and at the copay",
            "primary_care_first_n_visits_free",
            "keep one of the two options",
        ),
    )
    for broken, what, column, remedy in found:
        if broken.any():
            design = ids[int(np.flatnonzero(broken)[0])]
            raise InputRefused(what, where=f"design {design}, {column}", rule=_RULE, remedy=remedy)
    if designs.tier2 is not None:
        used = np.flatnonzero(designs.tier1_share < 1)
        refuse_impossible(designs.tier2.take(used), [f"{ids[row]}, tier 2" for row in used.tolist()])


def doubts(designs: DesignColumns, *, plan_year: int, figures: Figures) -> dict[str, Flags]:
    """Return which designs are probably not what was meant, by a word for the doubt.

    Returns
    -------
    dict
        moop_above_limit (of ``rating/annual_cost_sharing_limits``; two limits: their sum), copay_above_moop (a copay
        that can never be charged in full), share_below_half (a general coinsurance that may be the enrollee's),
        copay_without_flags (a copay beside coinsurance and deductible: it works below the deductible only).

    Raises
    ------
    TableMissing, NotYetPublished
        The year has no limits.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> asked = doubts(plain_columns(1, plan_coinsurance=0.2, moop=11_000.0), plan_year=2026, figures=Figures())
    >>> sorted(word for word, rows in asked.items() if rows[0])
    ['moop_above_limit', 'share_below_half']
    """
    copay = np.nan_to_num(designs.copay)
    under_all = (designs.subject_to_deductible & designs.subject_to_coinsurance).astype(bool)
    is_separate = designs.deductible_type == SEPARATE_MOOP
    limit_of_both = np.where(is_separate, designs.moop.sum(axis=1), designs.moop[:, 0])
    return {
        "moop_above_limit": limit_of_both > _limits(designs, plan_year, figures),
        "copay_above_moop": copay.max(axis=1) > limit_of_both,
        "share_below_half": doubts_of_shares(designs),
        "copay_without_flags": ((copay > 0) & under_all & (designs.copay_after_deductible == 0)).any(axis=1),
    }


def doubts_of_shares(designs: DesignColumns) -> Flags:
    """Return which designs have a general coinsurance below one half: the enrollee's share, perhaps.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> doubts_of_shares(plain_columns(1, plan_coinsurance=0.2)).tolist()
    [True]
    """
    return np.asarray((designs.plan_coinsurance < _HALF).any(axis=1))


def _limits(designs: DesignColumns, plan_year: int, figures: Figures) -> NDArray[np.float64]:
    rows = figures.rows(_LIMITS, plan_year)
    held = dict(rows.select("limit", "self_only_usd").rows())
    limits = np.full(designs.height, float(held[_STANDARD]))
    for variant, name in _LIMIT_OF_VARIANT.items():
        if name in held:
            limits[designs.csr_variant == variant] = float(held[name])
    return limits
