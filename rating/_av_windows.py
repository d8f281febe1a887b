"""The windows of the metals: within which value a design counts as platinum, gold, silver or bronze."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import SettingRefused
from rating._av_columns import MARKETS, SERVICES, TABLE_METALS, DesignColumns
from rating._figures import Figures

__all__ = [
    "CSR_VARIANTS",
    "EXPANDED",
    "ON_EXCHANGE",
    "WINDOWS",
    "Windows",
    "before_deductible",
    "has_major_service",
    "windows",
]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

_RANGES, _SERVICE_LINES, _METAL_RULES = "rating/metal_av_ranges", "av/service_lines", "av/metal_rules"
# Variants of the silver plan by their two digits, as the table names their windows.
CSR_VARIANTS = {4: "csr_73", 5: "csr_87", 6: "csr_94"}
WINDOWS = ("standard", "expanded_bronze", "on_exchange_individual_silver", *CSR_VARIANTS.values())
EXPANDED, ON_EXCHANGE = 1, 2
_SILVER, _BRONZE = TABLE_METALS.index("silver"), TABLE_METALS.index("bronze")
_PREVENTIVE, _FIRST_DRUG = SERVICES.index("preventive"), SERVICES.index("generic")
_PRIMARY_CARE = SERVICES.index("primary_care")
_SMALL_GROUP = MARKETS.index("small_group")
_SOLD_ON_EXCHANGE = (1, 3)  # variants 01 and 03: a plan as it stands on the exchange, without reduced cost sharing


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
    major_services : bool, 18
        Which services make a bronze plan an expanded one when they are covered before the deductible.
    major_visits : int
        Primary care visits before the deductible that do so.
    """

    plan_year: int
    legal_state: str
    bounds: dict[tuple[str, str], tuple[float, float]]
    uncertain: dict[tuple[str, str], str]
    major_services: Flags
    major_visits: int

    def of_designs(self, designs: DesignColumns) -> tuple[Floats, Floats]:
        """Return the lowest and the highest value of each design at each metal's tables, designs x 4.

        A variant of the silver plan has its own window at any table; a bronze plan that pays for a major service before
        the deductible, or is a high-deductible health plan, has the wider one; a silver plan of the individual market
        on the exchange the narrower one.
        """
        return self.ends(self.codes(designs))

    def codes(self, designs: DesignColumns) -> Codes:
        """Return the window of each design at each metal's tables, designs x 4, as position in :data:`WINDOWS`."""
        code = np.zeros((designs.height, len(TABLE_METALS)), np.int8)
        if ("bronze", WINDOWS[EXPANDED]) in self.bounds:
            code[self.is_expanded(designs), _BRONZE] = EXPANDED
        if ("silver", WINDOWS[ON_EXCHANGE]) in self.bounds:
            on_exchange = np.isin(designs.csr_variant, _SOLD_ON_EXCHANGE) & (designs.market != _SMALL_GROUP)
            code[on_exchange, _SILVER] = ON_EXCHANGE
        for variant, name in CSR_VARIANTS.items():
            code[designs.csr_variant == variant] = WINDOWS.index(name)
        return code

    def ends(self, code: Codes) -> tuple[Floats, Floats]:
        """Return the lowest and the highest value of windows, designs x 4."""
        nothing = (np.inf, -np.inf)
        held = np.array(
            [
                [
                    self.bounds.get(("silver" if name.startswith("csr") else metal, name), nothing)
                    for metal in TABLE_METALS
                ]
                for name in WINDOWS
            ]
        )
        place = (code * len(TABLE_METALS) + np.arange(len(TABLE_METALS))).astype(np.intp)
        return np.take(held[..., 0].ravel(), place), np.take(held[..., 1].ravel(), place)

    def is_expanded(self, designs: DesignColumns) -> Flags:
        """Return which designs meet the conditions of an expanded bronze plan."""
        has_major = has_major_service(designs, self.major_services, self.major_visits)
        return np.asarray(has_major | (designs.is_hdhp == 1))

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
    major = dict(figures.rows(_SERVICE_LINES).select("service", "is_major").rows())
    rules = dict(figures.rows(_METAL_RULES).select("rule", "number").rows())
    return Windows(
        plan_year,
        legal_state,
        dict(zip(keys, ends, strict=True)),
        uncertain,
        np.array([major[service] for service in SERVICES]),
        int(rules["major_service_primary_care_visits"]),
    )


def has_major_service(designs: DesignColumns, services: Flags, visits: int) -> Flags:
    """Return which designs cover one of some services before the deductible; primary care also by so many visits.

    A service that has no deductible above it is covered before the deductible: one that is exempt, and every service
    where the deductible is 0. A service of which the plan pays nothing is not covered.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> every = np.ones(len(SERVICES), bool)
    >>> [has_major_service(plain_columns(1, deductible=amount), every, 3).item() for amount in (7000.0, 0.0)]
    [False, True]
    """
    return np.asarray((before_deductible(designs, visits) & services).any(axis=1))


def before_deductible(designs: DesignColumns, visits: int) -> Flags:
    """Return which services other than preventive care are covered before the deductible, designs x 18."""
    drugs = (_FIRST_DRUG, len(SERVICES) - _FIRST_DRUG)
    is_exempt = (designs.subject_to_deductible == 0) & (designs.copay_after_deductible == 0)
    before = is_exempt | np.repeat(designs.deductible == 0, drugs, axis=1)
    visits_free = np.maximum(designs.first_visits_free, designs.first_visits_copay)
    before[:, _PRIMARY_CARE] |= visits_free >= visits
    before[:, _PREVENTIVE] = False
    # Where nothing else says so the plan pays the coinsurance of the service's domain.
    by_coinsurance = np.isnan(designs.coinsurance) & np.repeat(designs.plan_coinsurance == 0, drugs, axis=1)
    by_coinsurance |= designs.coinsurance == 0
    pays_nothing = (designs.subject_to_coinsurance == 1) & by_coinsurance
    pays_nothing[:, _PRIMARY_CARE] &= visits_free < visits
    return np.asarray(before & ~pays_nothing)
