"""Designs as the adjudication kernel reads them: whole cents and millionths, by design, network tier and service."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from rating._adjudicate_settings import AdjudicationSettings
from rating._av_columns import INTEGRATED, SEPARATE_MOOP, SERVICES, DesignColumns
from rating._av_doubts import doubts_of_shares
from rating._av_inputs import read_designs
from rating._figures import Figures
from rating._money import read_money

__all__ = ["PARTS", "Terms", "named_designs", "terms_of"]

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PARTS = 10**6  # shares are read to the nearest millionth, as the kernel counts them
# What the terms of a service say; the kernel adds them up in the same way.
_DEDUCTIBLE, _AFTER, _COINSURED, _FULL, _STAY, _DAY, _FIRST_FREE, _FIRST_COPAY = (1 << i for i in range(8))
_FREE_BELOW, _ALWAYS = 1, 2
_NO_CAP = -1
_INPATIENT, _NURSING = SERVICES.index("inpatient"), SERVICES.index("skilled_nursing")
_PREVENTIVE, _PRIMARY_CARE = SERVICES.index("preventive"), SERVICES.index("primary_care")
_SPECIALTY = SERVICES.index("specialty_drug")


@dataclass(frozen=True)
class Terms:
    """Designs in the arrays of ``_ext/adjudication.pyx``, where their meaning is written.

    Attributes
    ----------
    ids : list of str
        The name of each design.
    arrays : tuple
        flags, amounts, counts, limits, joined, apart, employer, domains.
    rules : int
        The settings that the kernel follows.
    has_tiers, has_stays, has_days, copay_never_charged, share_below_half : int
        How many designs have two network tiers; charge by the stay or its days; charge days; have a copay that no line
        is charged after the deductible; have a coinsurance that may be the enrollee's, and nobody said whose it is.
    """

    ids: list[str]
    arrays: tuple[NDArray[Any], ...]
    rules: int
    has_tiers: int
    has_stays: int
    has_days: int
    copay_never_charged: int
    share_below_half: int


def named_designs(designs: Any, *, coinsurance_is: str = "not_said") -> tuple[list[str], DesignColumns]:
    """Return designs of any form as columns, each with a name of its own.

    Raises
    ------
    InputRefused
        They cannot be read, there is none, one cannot be a plan's, or two have the same name.

    Examples
    --------
    >>> plan = {"deductible_type": "integrated", "deductible": 0, "plan_coinsurance": 1, "moop": 0}
    >>> named_designs([plan, {**plan, "name": "free"}])[0]
    ['1', 'free']
    """
    read = read_designs(designs, coinsurance_is=coinsurance_is)
    for problem in read.problems:
        raise problem.error
    twice = [name for name, times in sorted(Counter(read.ids).items()) if times > 1]
    if twice or not read.ids:
        raise InputRefused(
            f"two designs are called {twice[0]!r}" if twice else "there is no design",
            where="designs",
            rule="results are by the name of the design",
            remedy="give each design a `name` of its own" if twice else "hand in at least one",
        )
    return read.ids, read.columns


def terms_of(ids: list[str], designs: DesignColumns, settings: AdjudicationSettings, figures: Figures) -> Terms:
    """Return the terms of designs; a design without network tiers has its terms in both places.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> terms = terms_of(["a"], plain_columns(1, moop=100.0), AdjudicationSettings(), Figures())
    >>> terms.arrays[3].tolist(), terms.has_tiers
    ([[[0, 0, 10000, 10000], [0, 0, 10000, 10000]]], 0)
    """
    lines = figures.rows("av/service_lines").sort("position")
    domains = (lines["domain"] == "drug").cast(int).to_numpy().astype(np.uint8)
    has_tiers = np.zeros(designs.height, bool)
    tiers = [designs, designs]
    if designs.tier2 is not None:
        has_tiers = designs.tier1_share < 1
        tiers[1] = designs.tier2
    always = settings.copay_with_coinsurance == "always"
    made = [_tier(tier, domains) for tier in tiers]
    arrays = []
    for first, second in zip(*made, strict=True):
        second[~has_tiers] = first[~has_tiers]
        arrays.append(np.ascontiguousarray(np.stack([first, second], axis=1)))
    flags, amounts, _, limits, _ = arrays
    apart = (has_tiers & (settings.tier_accumulators == "separate")).astype(np.uint8)
    charges = amounts[..., 0] > 0
    # Beside coinsurance, a copay stands before the deductible is met; with first visits at the copay, on these.
    is_late = ((flags & _AFTER) > 0) | (limits[..., domains] == 0)
    is_never = charges & ((flags & (_COINSURED | _FULL | _FIRST_COPAY)) == _COINSURED) & is_late
    # A copay per stay of 0 is no charge by the stay.
    stays, days = charges & ((flags & (_STAY | _DAY)) > 0), charges & ((flags & _DAY) > 0)
    return Terms(
        ids=ids,
        arrays=(*arrays, apart, _cents(designs.employer_money), domains),
        rules=_FREE_BELOW * (settings.exempt_coinsurance == "after_deductible") + _ALWAYS * always,
        has_tiers=int(has_tiers.sum()),
        has_stays=int(stays.any(axis=(1, 2)).sum()),
        has_days=int(days.any(axis=(1, 2)).sum()),
        copay_never_charged=0 if always else int(is_never.any(axis=(1, 2)).sum()),
        share_below_half=_doubtful(designs, has_tiers) if settings.coinsurance_is == "not_said" else 0,
    )


def _doubtful(designs: DesignColumns, has_tiers: Flags) -> int:
    """Return how many designs have a coinsurance that may be the enrollee's, in one of their tiers."""
    found = doubts_of_shares(designs)
    if designs.tier2 is not None:
        found |= has_tiers & doubts_of_shares(designs.tier2)
    return int(found.sum())


def _tier(designs: DesignColumns, domains: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
    """Return flags, amounts, counts, limits and joined of one tier."""
    n, services = designs.height, len(SERVICES)
    flags = np.zeros((n, services), np.uint8)
    under = (designs.subject_to_deductible | designs.copay_after_deductible) > 0
    flags[under] |= _DEDUCTIBLE
    flags[designs.copay_after_deductible > 0] |= _AFTER
    flags[designs.subject_to_coinsurance > 0] |= _COINSURED
    flags[:, _PREVENTIVE] = _FULL
    for service, per_day in (
        (_INPATIENT, designs.inpatient_per_day),
        (_NURSING, designs.skilled_nursing_per_day),
    ):
        flags[:, service] |= np.where(per_day > 0, _DAY, _STAY).astype(np.uint8)
    flags[designs.first_visits_free > 0, _PRIMARY_CARE] |= _FIRST_FREE
    flags[designs.first_visits_copay > 0, _PRIMARY_CARE] |= _FIRST_COPAY
    share = np.where(np.isnan(designs.coinsurance), designs.plan_coinsurance[:, domains], designs.coinsurance)
    amounts = np.full((n, services, 3), _NO_CAP, np.int64)
    amounts[..., 0] = _cents(np.nan_to_num(designs.copay))
    amounts[..., 1] = PARTS - np.rint(share * PARTS).astype(np.int64)
    has_cap = ~np.isnan(designs.specialty_cap)
    amounts[has_cap, _SPECIALTY, 2] = _cents(designs.specialty_cap[has_cap])
    counts = np.zeros((n, services, 2), np.int32)
    counts[:, _INPATIENT, 0] = designs.inpatient_max_days
    counts[:, _PRIMARY_CARE, 1] = np.maximum(designs.first_visits_free, designs.first_visits_copay)
    limits = np.hstack([_cents(designs.deductible), _cents(designs.moop)])
    joined = np.column_stack([designs.deductible_type == INTEGRATED, designs.deductible_type != SEPARATE_MOOP])
    return flags, amounts, counts, limits, joined.astype(np.uint8)


def _cents(dollars: Floats) -> Integers:
    """Return dollars in whole cents, halves up."""
    import polars as pl

    frame = pl.DataFrame({"dollars": np.ascontiguousarray(dollars).ravel()})
    return read_money(frame, "designs", "dollars").cents.reshape(dollars.shape)
