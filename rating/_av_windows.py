"""The windows of the metals: within which value a design counts as platinum, gold, silver or bronze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from rating._av_columns import SERVICES, TABLE_METALS, DesignColumns
from rating._figures import Figures

__all__ = ["CSR_VARIANTS", "Windows", "has_major_service", "windows"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_RANGES = "rating/metal_av_ranges"
_EXPANDED = "expanded_bronze"
# Variants of the silver plan by their two digits, as the table names their windows.
CSR_VARIANTS = {4: "csr_73", 5: "csr_87", 6: "csr_94"}
_BRONZE, _PREVENTIVE = TABLE_METALS.index("bronze"), SERVICES.index("preventive")


@dataclass(frozen=True)
class Windows:
    """Windows of one plan year: shares of 1, both ends allowed.

    Attributes
    ----------
    plan_year, legal_state : int, str
        What they are of.
    bounds : mapping
        (metal, window) -> lowest, highest; the window is a `variant` of ``rating/metal_av_ranges``.
    uncertain : mapping
        The windows marked uncertain, with the row they stand in.
    """

    plan_year: int
    legal_state: str
    bounds: dict[tuple[str, str], tuple[float, float]]
    uncertain: dict[tuple[str, str], str]

    def of_designs(self, designs: DesignColumns) -> tuple[Floats, Floats]:
        """Return the lowest and the highest value of each design at each metal's tables, designs x 4.

        A variant of the silver plan has its own window at any table; a bronze plan that pays for a major service before
        the deductible has the wider one.
        """
        low, high = (
            np.tile([self.bounds[metal, "standard"][end] for metal in TABLE_METALS], (designs.height, 1))
            for end in (0, 1)
        )
        if ("bronze", _EXPANDED) in self.bounds:
            wider = has_major_service(designs)
            low[wider, _BRONZE], high[wider, _BRONZE] = self.bounds["bronze", _EXPANDED]
        for code, name in CSR_VARIANTS.items():
            rows = designs.csr_variant == code
            if rows.any():
                low[rows], high[rows] = self.bounds["silver", name]
        return low, high

    def is_in(self, av: Floats, metal: str, window: str) -> Flags:
        """Return which values lie in a window; a year without it has none in it."""
        low, high = self.bounds.get((metal, window), (np.inf, -np.inf))
        return np.asarray((av >= low) & (av <= high))


def windows(plan_year: int, legal_state: str, figures: Figures) -> Windows:
    """Return the windows of a plan year.

    Raises
    ------
    SettingRefused
        The year has no windows of that legal state.
    TableMissing, NotYetPublished
        The year has none at all.

    Examples
    --------
    >>> windows(2026, "in_force", Figures()).bounds["bronze", "expanded_bronze"]
    (0.58, 0.65)
    """
    frame = figures.rows(_RANGES, plan_year)
    chosen = frame.filter(frame["legal_state"] == legal_state)
    if chosen.height == 0:
        raise SettingRefused(
            f"setting 'legal_state' cannot be {legal_state!r}",
            where=f"{_RANGES}, {plan_year}",
            remedy="choose one of " + ", ".join(frame["legal_state"].unique().sort().to_list()),
        )
    keys = chosen.select("metal_level", "variant").rows()
    ends = [
        ((target + below) / 100, (target + above) / 100)
        for target, below, above in chosen.select("target_av_pct", "de_minimis_low", "de_minimis_high").rows()
    ]
    marks = zip(keys, chosen.select("_row", "verification").rows(), strict=True)
    uncertain = {key: f"row {row}: {key[0]} {key[1]}" for key, (row, mark) in marks if mark == "uncertain"}
    return Windows(plan_year, legal_state, dict(zip(keys, ends, strict=True)), uncertain)


def has_major_service(designs: DesignColumns) -> Flags:
    """Return which designs cover a service other than preventive care before the deductible.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> has_major_service(plain_columns(1, deductible=7000.0)).tolist()
    [False]
    """
    before = (designs.subject_to_deductible == 0) & (designs.copay_after_deductible == 0)
    before[:, _PREVENTIVE] = False
    return np.asarray(before.any(axis=1))
