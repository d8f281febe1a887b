"""The metal level of a design: which window its value is held to, and whether it lies in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from rating._av_columns import (
    INTEGRATED,
    MARKETS,
    METAL_LEVELS,
    NOT_SAID,
    SEPARATE_MOOP,
    SERVICES,
    TABLE_METALS,
    DesignColumns,
    plain_columns,
)
from rating._av_settings import ActuarialValueSettings
from rating._av_windows import CSR_VARIANTS, EXPANDED, ON_EXCHANGE, WINDOWS, Windows, before_deductible, windows
from rating._figures import Figures, whole_year

__all__ = ["CATASTROPHIC", "EXPANDED_BRONZE", "Standing", "close_variants", "metal_level", "standing", "table_of_level"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]

_RANGES, _LIMITS, _HDHP_LIMITS = "rating/metal_av_ranges", "rating/annual_cost_sharing_limits", "rating/hsa_hdhp_limits"
_RULES, _SERVICE_LINES = "av/metal_rules", "av/service_lines"
EXPANDED_BRONZE, CATASTROPHIC = METAL_LEVELS.index("expanded_bronze"), METAL_LEVELS.index("catastrophic")
_SILVER, _BRONZE = TABLE_METALS.index("silver"), TABLE_METALS.index("bronze")
_STANDARD, _SMALL_GROUP = WINDOWS.index("standard"), MARKETS.index("small_group")
_PRIMARY_CARE = SERVICES.index("primary_care")
_CSR_73 = next(code for code, name in CSR_VARIANTS.items() if name == "csr_73")
# A silver plan may be listed as it stands on the exchange, off it, or without a variant: the first of these is taken.
_BASE_VARIANTS = (1, 0, NOT_SAID)
_EXACT = 1e-12  # of a difference of two shares


@dataclass(frozen=True)
class Standing:
    """How designs stand to the windows.

    Attributes
    ----------
    level : int64
        Position in :data:`METAL_LEVELS`, or :data:`NOT_SAID`: in no window, or no level of its own.
    window : int64
        Position in :data:`WINDOWS` of the window a design is held to, or :data:`NOT_SAID`: none.
    in_range : bool
        The value lies in it; without a window: the conditions of the level are met.
    distance : float64
        Value less the nearest end of the window; 0 within, NaN without a window or a value.
    flags : dict
        Words of ``av/design_rules`` by design.
    """

    level: NDArray[np.int64]
    window: NDArray[np.int64]
    in_range: Flags
    distance: Floats
    flags: dict[str, Flags]


def table_of_level(level: NDArray[np.integer]) -> Codes:
    """Return the metal of the tables for a level: those of bronze for its expanded form and for catastrophic plans.

    Examples
    --------
    >>> table_of_level(np.array([METAL_LEVELS.index("gold"), EXPANDED_BRONZE, NOT_SAID])).tolist()
    [1, 3, -1]
    """
    return np.where(level > _BRONZE, _BRONZE, level).astype(np.int8)


def standing(
    designs: DesignColumns,
    av: Floats,
    metal: Codes,
    has_none: Flags,
    codes: Codes,
    held: Windows,
    figures: Figures,
) -> Standing:
    """Return how designs stand whose values were worked on the tables of a metal.

    Parameters
    ----------
    designs : DesignColumns
        Checked.
    av : float64
        Values; NaN: none.
    metal : int8
        Position in ``TABLE_METALS`` of the tables used; :data:`NOT_SAID`: none.
    has_none : bool
        Variants without cost sharing: their value is 1 and needs no window.
    codes : int8, n x 4
        Window of each design at each metal's tables, as :meth:`Windows.codes` returns them.
    held : Windows
        Of the year.
    figures : Figures
        Is told of the uncertain windows and limits that took part.
    """
    at = np.arange(designs.height), np.maximum(metal, 0)
    low, high = (ends[at] for ends in held.ends(codes))
    code = codes[at].astype(np.int64)
    is_catastrophic = designs.desired_metal == CATASTROPHIC
    has_window = ~np.isnan(av) & ~has_none & ~is_catastrophic & (metal != NOT_SAID)
    in_range = has_window & (av >= low) & (av <= high)
    # A bronze plan that may be expanded is an ordinary one as long as its value is.
    plain = in_range & (code == EXPANDED) & held.is_in(av, "bronze", WINDOWS[_STANDARD])
    code[plain] = _STANDARD
    level = np.where(code == EXPANDED, EXPANDED_BRONZE, metal).astype(np.int64)
    level[np.isin(designs.csr_variant, list(CSR_VARIANTS))] = _SILVER
    level = np.where(in_range, level, NOT_SAID)
    level[has_none] = table_of_level(designs.desired_metal)[has_none]
    flags = {"no_matching_metal": has_window & ~in_range}
    flags |= _window_flags(designs, av, metal, code, held, has_window)
    if is_catastrophic.any():
        is_met = is_catastrophic & ~np.isnan(av) & _is_catastrophic(designs, held.plan_year, figures)
        level[is_met] = CATASTROPHIC
        flags["not_catastrophic"] = is_catastrophic & ~is_met & ~np.isnan(av)
        flags["catastrophic_on_bronze_tables"] = is_catastrophic & ~np.isnan(av)
        in_range |= is_met
    if designs.is_hdhp.any():
        flags["hdhp_conditions"] = (designs.is_hdhp == 1) & ~_is_hdhp(designs, held.plan_year, figures)
    said = (designs.desired_metal != NOT_SAID) & ~is_catastrophic & ~np.isnan(av)
    flags["desired_metal_missed"] = said & (table_of_level(level) != table_of_level(designs.desired_metal))
    distance = np.where(av < low, av - low, np.where(av > high, av - high, 0.0))
    _put_down(designs, metal, level, code, has_window, held, figures)
    return Standing(
        level=level,
        window=np.where(has_window, code, NOT_SAID),
        in_range=in_range | (has_none & ~np.isnan(av)),
        distance=np.where(has_window, distance, np.nan),
        flags=flags,
    )


def _window_flags(
    designs: DesignColumns, av: Floats, metal: Codes, code: NDArray[np.int64], held: Windows, has_window: Flags
) -> dict[str, Flags]:
    is_standard = has_window & (code == _STANDARD)
    is_bronze, is_silver = is_standard & (metal == _BRONZE), is_standard & (metal == _SILVER)
    wider_only = held.is_in(av, "bronze", WINDOWS[EXPANDED]) & ~held.is_in(av, "bronze", WINDOWS[_STANDARD])
    flags = {"expanded_bronze_not_met": is_bronze & wider_only}
    if ("silver", WINDOWS[ON_EXCHANGE]) in held.bounds:
        was_not_said = (designs.csr_variant == NOT_SAID) & (designs.market != _SMALL_GROUP)
        off_only = held.is_in(av, "silver", WINDOWS[_STANDARD]) & ~held.is_in(av, "silver", WINDOWS[ON_EXCHANGE])
        flags["off_exchange_silver_only"] = is_silver & was_not_said & off_only
    return flags


def _put_down(
    designs: DesignColumns,
    metal: Codes,
    level: NDArray[np.int64],
    code: NDArray[np.int64],
    has_window: Flags,
    held: Windows,
    figures: Figures,
) -> None:
    """Put down the uncertain windows, and the list of major services where it decides."""
    of_metal = np.where(np.isin(designs.csr_variant, list(CSR_VARIANTS)), _SILVER, metal)
    for (name, window), what in held.uncertain.items():
        rows = has_window & (of_metal == TABLE_METALS.index(name)) & (code == WINDOWS.index(window))
        figures.put_down(_RANGES, what, "in_range", int(np.count_nonzero(rows)))
    by_service = (level == EXPANDED_BRONZE) & (designs.is_hdhp == 0)
    what = "which services are major, and how many visits: recalled"
    figures.put_down(_SERVICE_LINES, what, "metal_level", int(np.count_nonzero(by_service)))


def _is_catastrophic(designs: DesignColumns, plan_year: int, figures: Figures) -> Flags:
    """Return which designs cover nothing but preventive care and some visits before the year's limit is spent."""
    rows = figures.rows(_LIMITS, plan_year)
    limit = float(rows.filter(rows["limit"] == "standard")["self_only_usd"][0])
    used = np.where(rows["limit"] == "standard", np.count_nonzero(designs.desired_metal == CATASTROPHIC), 0)
    figures.took_part(_LIMITS, rows, ["plan_year", "limit"], used.astype(np.int64), "metal_level")
    rules = dict(figures.rows(_RULES).select("rule", "number").rows())
    before = before_deductible(designs, int(rules["catastrophic_primary_care_visits"]))
    has_visits = before[:, _PRIMARY_CARE].copy()
    before[:, _PRIMARY_CARE] = False
    is_all = (designs.deductible == limit).all(axis=1) & (designs.moop == limit).all(axis=1)
    return np.asarray(is_all & has_visits & ~before.any(axis=1) & (designs.deductible_type == INTEGRATED))


def _is_hdhp(designs: DesignColumns, plan_year: int, figures: Figures) -> Flags:
    """Return which designs have the amounts of a high-deductible health plan and nothing covered before them."""
    rows = figures.rows(_HDHP_LIMITS, plan_year)
    own = rows.filter(rows["coverage"] == "self_only")
    held = dict(own.select("measure", "usd").rows())
    count = np.full(own.height, np.count_nonzero(designs.is_hdhp), np.int64)
    count[(own["measure"] == "hsa_contribution_limit").to_numpy()] = 0
    figures.took_part(_HDHP_LIMITS, own, ["calendar_year", "measure"], count, "flags")
    two_limits = designs.deductible_type == SEPARATE_MOOP
    most = np.where(two_limits, designs.moop.sum(axis=1), designs.moop[:, 0])
    is_met = (designs.deductible.min(axis=1) >= held["hdhp_min_deductible"]) & (most <= held["hdhp_max_out_of_pocket"])
    return np.asarray(is_met & ~before_deductible(designs, 1).any(axis=1))


def close_variants(plan_ids: Sequence[str | None], variants: Codes, av: Floats, figures: Figures) -> Flags:
    """Return which 73 percent variants lie less than the required gap above their silver plan of the same call.

    Examples
    --------
    >>> close_variants(["A", "A", "B"], np.array([1, 4, 4], np.int8), np.array([0.715, 0.73, 0.73]), Figures()).tolist()
    [False, True, False]
    """
    close = np.zeros(len(av), bool)
    reduced = np.flatnonzero((variants == _CSR_73) & ~np.isnan(av))
    if not len(reduced):
        return close
    rules = figures.rows(_RULES)
    gap = dict(rules.select("rule", "number").rows())["variant_gap"]
    base: dict[str, float] = {}
    for variant in reversed(_BASE_VARIANTS):
        for row in np.flatnonzero((variants == variant) & ~np.isnan(av)).tolist():
            plan_id = plan_ids[row]
            if plan_id is not None:
                base[plan_id] = float(av[row])
    compared = 0
    for row in reduced.tolist():
        of_plan = base.get(plan_ids[row] or "")
        if of_plan is not None:
            compared += 1
            close[row] = av[row] - of_plan < gap - _EXACT
    figures.put_down(_RULES, "variant_gap: not read again", "flags", compared)
    return close


def metal_level(
    av: float,
    *,
    plan_year: int,
    csr_variant: str | None = None,
    market: str | None = None,
    is_expanded: bool = False,
    settings: Mapping[str, Any] | ActuarialValueSettings | None = None,
) -> str | None:
    """Return the metal level of an actuarial value, or None where it lies in no window.

    Parameters
    ----------
    av : float
        Share of 1, not rounded.
    plan_year : int
        The year of the windows.
    csr_variant : str, optional
        Two digits; 04, 05 and 06 have windows of their own, and 01 and 03 that of the exchange.
    market : {"individual", "small_group"}, optional
        The narrower window on the exchange is that of the individual market; not said: individual.
    is_expanded : bool
        The plan covers a major service before the deductible, or is a high-deductible health plan.
    settings : mapping, optional
        ``legal_state``, see :class:`rating.ActuarialValueSettings`.

    Returns
    -------
    str or None
        platinum, gold, silver, bronze, expanded_bronze.

    Raises
    ------
    InputRefused
        A value that is no share, a variant or market that is not known.
    TableMissing, NotYetPublished, SettingRefused
        No windows of that year or legal state.

    Notes
    -----
    Source: 45 CFR 156.140(c) and 156.400; ``rating/metal_av_ranges``.

    Examples
    --------
    >>> metal_level(0.641, plan_year=2026), metal_level(0.641, plan_year=2026, is_expanded=True)
    (None, 'expanded_bronze')
    >>> metal_level(0.69, plan_year=2026), metal_level(0.69, plan_year=2026, csr_variant="01")
    ('silver', None)
    """
    chosen = ActuarialValueSettings.of(settings)
    held = windows(whole_year(plan_year, "plan_year"), chosen.legal_state, Figures())
    if isinstance(av, bool) or not isinstance(av, int | float | np.number) or not 0 <= av <= 1:
        raise _refused("av", "no share of 1", "write 0.70 for seventy percent")
    if market is not None and market not in MARKETS:
        raise _refused("market", "not known", "one of " + ", ".join(MARKETS))
    if csr_variant is not None and not (
        isinstance(csr_variant, str) and csr_variant.isdigit() and len(csr_variant) == 2
    ):
        raise _refused("csr_variant", "not known", 'write two digits, "04" say')
    one = plain_columns(1, deductible=1.0, moop=1.0)
    one.csr_variant[:] = NOT_SAID if csr_variant is None else int(csr_variant)
    one.market[:] = NOT_SAID if market is None else MARKETS.index(market)
    one.is_hdhp[:] = is_expanded
    low, high = held.of_designs(one)
    inside = np.flatnonzero((av >= low[0]) & (av <= high[0]))
    if not len(inside):
        return None
    if one.csr_variant[0] in CSR_VARIANTS:
        return TABLE_METALS[_SILVER]
    is_beyond = inside[0] == _BRONZE and not held.is_in(np.array([av]), "bronze", WINDOWS[_STANDARD])[0]
    return METAL_LEVELS[EXPANDED_BRONZE if is_beyond else inside[0]]


def _refused(name: str, what: str, remedy: str) -> InputRefused:
    return InputRefused(f"`{name}` is {what}", where="metal_level", remedy=remedy)
