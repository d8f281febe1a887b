"""The actuarial value of plan designs, by the calculator of their plan year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from rating import _av_kernel as kernel
from rating._av_2015 import is_beyond_older, older_values
from rating._av_columns import INTEGRATED, NOT_SAID, SERVICES, TABLE_METALS, DesignColumns
from rating._av_mapping import columns_of_mappings
from rating._av_settings import ActuarialValueSettings
from rating._av_tables import Calculator, calculator
from rating._av_windows import CSR_VARIANTS, Windows, windows
from rating._figures import Figures, whole_year
from rating._frame_rows import word_series
from rating._outcome import Outcome, outcome_of
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ActuarialValues", "actuarial_value"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_RULES, _VARIANTS, _RANGES = "av/design_rules", "av/variant_tables", "rating/metal_av_ranges"
_STAYS = [SERVICES.index(name) for name in ("inpatient", "skilled_nursing")]
_PREVENTIVE, _FIRST_DRUG = SERVICES.index("preventive"), SERVICES.index("generic")
_NO_METAL, _NO_TABLE = "no_matching_metal", "none"
_NOT_CONVERGED = ("unsettled", "bisected", "passes_used_up")
_LEVELS: tuple[Any, ...] = (*TABLE_METALS, "expanded_bronze", None)
_SILVER, _BRONZE = TABLE_METALS.index("silver"), TABLE_METALS.index("bronze")
_EXPANDED, _NO_LEVEL = len(TABLE_METALS), len(TABLE_METALS) + 1


@dataclass(frozen=True, kw_only=True)
class ActuarialValues(Outcome):
    """Actuarial values of designs, and what was noticed.

    Attributes
    ----------
    designs : DataFrame
        A row per design, in the order given: design_id (its name, or its number from 1), av (share of the cost of the
        standard population that the plan pays; blank: none), av_printed (rounded as that year's calculator prints it,
        where it rounds), metal_level (blank: in no window), table_metal (of the tables used), in_range,
        distance_to_window (av less the nearest end of the window of the table's metal; 0 within), av_status
        (recomputed, or flagged: a reading that no published value confirms), iterations (passes of all loops),
        converged, flags (words of ``av/design_rules``, sorted).
    """

    designs: pl.DataFrame


def actuarial_value(
    designs: Mapping[str, Any] | Sequence[Mapping[str, Any]] | DesignColumns,
    *,
    plan_year: int,
    settings: Mapping[str, Any] | ActuarialValueSettings | None = None,
) -> ActuarialValues:
    """Return the actuarial value of each design.

    The calculator of the plan year is followed step by step on its continuance tables. It is not the federal
    calculator: a filing attaches the output of that one.

    Parameters
    ----------
    designs : mapping, sequence of mappings or DesignColumns
        One design, or several. A mapping has ``deductible_type`` (integrated, separate_deductible_combined_moop,
        separate_deductible_separate_moop), ``deductible``, ``plan_coinsurance``, ``moop`` (with ``_medical`` and
        ``_drug`` where there are two), ``table_metal``, ``services`` (name: ``subject_to_deductible``,
        ``subject_to_coinsurance``, ``copay``, ``plan_coinsurance``, ``copay_after_deductible``), ``options``,
        ``tier1_utilization`` with ``tier2``. Dollars are self-only and in network; coinsurance is the plan's share.
    plan_year : int
        The year whose tables, algorithm and windows are used.
    settings : mapping, optional
        ``separate_moop_rule``, ``unsettled``, ``legal_state``, see :class:`rating.ActuarialValueSettings`.

    Returns
    -------
    ActuarialValues
        ``designs``, and what was noticed.

    Raises
    ------
    InputRefused
        A design cannot be read: an unknown key, a missing amount, a value out of range.
    TableMissing, NotYetPublished
        No tables of that year; the message names the years that are held.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Where a design names no ``table_metal``, tables are tried from platinum to bronze, and the first whose value lies
    in its own window stands; without one, that nearest to its window. Verified to nine digits for one deductible and
    one limit; two deductibles are flagged. Source: CMS, Actuarial Value Calculator of the year, as ported.

    Examples
    --------
    A bronze plan whose deductible is its out-of-pocket limit:

    >>> plan = {"deductible_type": "integrated", "deductible": 7000, "plan_coinsurance": 1.0, "moop": 7000,
    ...     "table_metal": "bronze"}
    >>> found = actuarial_value(plan, plan_year=2026).designs
    >>> found.select("av", "metal_level", "in_range", "flags").row(0)
    (0.65192..., None, False, ['moop_within_deductible', 'no_matching_metal'])
    """
    year, chosen = whole_year(plan_year, "plan_year"), ActuarialValueSettings.of(settings)
    figures, findings = Figures(), Findings()
    ids, columns = _read(designs)
    tables = calculator(year, figures)
    held = windows(year, chosen.legal_state, figures)
    findings.table("designs", columns.height)
    found = _valued(columns.checked(), tables, held, chosen, figures)
    frame = _frame(ids, found, held, figures)
    _note(found, tables, findings, figures)
    return ActuarialValues(designs=frame, **outcome_of(findings, figures, chosen.frame()).parts())


def _read(designs: Any) -> tuple[list[str], DesignColumns]:
    """Return the designs as columns, each with its name, or its number from 1."""
    if isinstance(designs, DesignColumns):
        return [str(number + 1) for number in range(designs.height)], designs
    if isinstance(designs, Mapping):
        designs = [designs]
    if not isinstance(designs, Sequence) or not all(isinstance(plan, Mapping) for plan in designs):
        raise InputRefused(
            f"designs cannot be read from a {type(designs).__name__}",
            where="designs",
            remedy="hand in a mapping, a list of mappings or DesignColumns",
        )
    return [str(plan.get("name", row + 1)) for row, plan in enumerate(designs)], columns_of_mappings(designs)


@dataclass
class _Valued:
    """What was worked out of each design; `flags` by the words of ``av/design_rules``."""

    designs: DesignColumns
    av: Floats
    metal: NDArray[np.int8]
    passes: NDArray[np.int32]
    printed: Floats
    low: Floats
    high: Floats
    flags: dict[str, Flags]


def _valued(
    designs: DesignColumns, tables: Calculator, held: Windows, settings: ActuarialValueSettings, figures: Figures
) -> _Valued:
    named, has_none = _named_tables(designs, figures)
    designs = designs.with_changes(table_metal=named)
    low, high = held.of_designs(designs)
    is_older = tables.kernel is None
    found = _older(designs, tables) if is_older else _current(designs, tables, low, high, settings)
    av, metal, passes, flags = found
    av[has_none], passes[has_none], metal[has_none] = 1.0, 0, NOT_SAID
    for word, rows in flags.items():
        flags[word] = rows & ~has_none
    flags["draft_calculator"] = np.full(designs.height, tables.is_draft) & ~has_none
    at = np.arange(designs.height), np.maximum(metal, 0)
    low, high = low[at], high[at]
    flags[_NO_METAL] = ~has_none & ~np.isnan(av) & ~((av >= low) & (av <= high))
    printed = np.full(designs.height, np.nan) if tables.printed_decimals is None else av.round(tables.printed_decimals)
    return _Valued(designs, av, metal, passes, printed, low, high, flags)


def _named_tables(designs: DesignColumns, figures: Figures) -> tuple[NDArray[np.int8], Flags]:
    """Return the metal of the tables that a design or its variant names, and which variants need no table."""
    metal, has_none = designs.table_metal.copy(), np.zeros(designs.height, bool)
    if (designs.csr_variant == NOT_SAID).all():
        return metal, has_none
    for variant, name in figures.rows(_VARIANTS).select("csr_variant", "table_metal").rows():
        rows = designs.csr_variant == int(variant)
        if name == _NO_TABLE:
            has_none |= rows
        elif name in TABLE_METALS:
            metal[rows & (metal == NOT_SAID)] = TABLE_METALS.index(name)
    return metal, has_none


_Found = tuple[Floats, NDArray[np.int8], NDArray[np.int32], dict[str, Flags]]


def _older(designs: DesignColumns, tables: Calculator) -> _Found:
    beyond = is_beyond_older(designs)
    rows = np.flatnonzero(~beyond)
    av, metal = np.full(designs.height, np.nan), designs.table_metal.copy()
    passes = np.zeros(designs.height, np.int32)
    av[rows], passes[rows], metal[rows] = older_values(designs.take(rows), tables)
    return av, metal, passes, {"older_calculator_terms": beyond}


def _current(
    designs: DesignColumns, tables: Calculator, low: Floats, high: Floats, settings: ActuarialValueSettings
) -> _Found:
    """Work the designs of the current algorithm; those without a named table on one after the other."""
    rules = {"bisect": settings.unsettled == "bisect", "scale_nested": settings.separate_moop_rule != "as_2017"}
    n = designs.height
    av, metal = np.full(n, np.nan), designs.table_metal.copy()
    passes, state = np.zeros(n, np.int32), np.zeros(n, np.uint8)
    gap = np.full(n, np.inf)

    def work(rows: NDArray[np.intp], own: NDArray[np.int8]) -> None:
        chosen = designs if len(rows) == n else designs.take(rows)
        found = kernel.design_values(chosen, own, tables, **rules)
        passes[rows] += found.passes
        distance = np.abs(_distance(found.av, low[rows, own], high[rows, own]))
        is_nearer = (distance < gap[rows]) | (np.isnan(found.av) & np.isinf(gap[rows]))
        kept = rows[is_nearer]
        av[kept], state[kept], metal[kept] = found.av[is_nearer], found.state[is_nearer], own[is_nearer]
        gap[kept] = np.where(np.isnan(distance), np.inf, distance)[is_nearer]

    named = np.flatnonzero(metal != NOT_SAID)
    if len(named):
        work(named, metal[named])
    open_rows = np.flatnonzero(metal == NOT_SAID)
    for code in range(len(TABLE_METALS)):
        if len(open_rows):
            work(open_rows, np.full(len(open_rows), code, np.int8))
        open_rows = open_rows[gap[open_rows] > 0]
    return av, metal, passes, _flags(designs, state)


def _flags(designs: DesignColumns, state: NDArray[np.uint8]) -> dict[str, Flags]:
    def has(code: int) -> Flags:
        return (state & code) > 0

    is_separate = designs.deductible_type != INTEGRATED
    counts = (designs.subject_to_deductible | designs.copay_after_deductible).astype(bool)[:, :_FIRST_DRUG]
    counts[:, _PREVENTIVE] = False
    stays = counts[:, _STAYS].any(axis=1)
    counts[:, _STAYS] = False
    only_stays = is_separate & (designs.deductible[:, 0] > 0) & stays & ~counts.any(axis=1)
    has_older = (designs.inpatient_per_day | designs.skilled_nursing_per_day | designs.first_visits_free) > 0
    has_older |= (designs.first_visits_copay > 0) | ~np.isnan(designs.specialty_cap)
    has_older |= (designs.employer_money > 0) | (designs.tier1_share < 1)
    return {
        "unsettled": has(kernel.UNSETTLED) & ~has(kernel.BISECTED),
        "bisected": has(kernel.BISECTED),
        "deductible_counts_nothing": has(kernel.COUNTS_NOTHING),
        "moop_within_deductible": has(kernel.COLLAPSED),
        "separate_deductibles": is_separate,
        "nested_deductibles": has(kernel.NESTED),
        "inpatient_deductible_only": only_stays,
        "passes_used_up": has(kernel.PASSES_USED),
        "older_reading": has_older,
    }


def _distance(av: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far a value lies above (below: negative) its window; 0 within."""
    return np.where(av < low, av - low, np.where(av > high, av - high, 0.0 * av))


def _frame(ids: list[str], found: _Valued, held: Windows, figures: Figures) -> pl.DataFrame:
    import polars as pl

    no_value, nobody = np.isnan(found.av), np.zeros(len(ids), bool)
    is_out = found.flags[_NO_METAL] | no_value
    distance = _distance(found.av, found.low, found.high)
    distance[found.metal == NOT_SAID] = np.nan
    not_converged = nobody.copy()
    for word in _NOT_CONVERGED:
        not_converged |= found.flags.get(word, nobody)
    level = np.where(is_out | (found.metal == NOT_SAID), _NO_LEVEL, _levels(found, held, figures))
    return pl.DataFrame(
        [
            pl.Series("design_id", ids, dtype=pl.String),
            pl.Series("av", found.av).fill_nan(None),
            pl.Series("av_printed", found.printed).fill_nan(None),
            word_series("metal_level", _LEVELS, level),
            word_series("table_metal", _LEVELS, np.where(found.metal == NOT_SAID, _NO_LEVEL, found.metal)),
            pl.Series("in_range", ~is_out),
            pl.Series("distance_to_window", distance).fill_nan(None),
            word_series("av_status", ("recomputed", "flagged"), _is_doubtful(found, figures).astype(np.int64)),
            pl.Series("iterations", found.passes.astype(np.int64)),
            pl.Series("converged", ~not_converged),
            _listed(found.flags, len(ids)),
        ]
    )


def _listed(flags: dict[str, Flags], number: int) -> pl.Series:
    """Return the words of each design; designs with the same words share one list until they are laid out."""
    import polars as pl

    words = sorted(flags)
    sets = np.zeros(number, np.int64)
    for place, word in enumerate(words):
        sets |= flags[word].astype(np.int64) << place
    kinds, kind = np.unique(sets, return_inverse=True)
    lists = [[word for place, word in enumerate(words) if code >> place & 1] for code in kinds.tolist()]
    return pl.Series("flags", lists, dtype=pl.List(pl.String)).gather(pl.Series(kind))


def _is_doubtful(found: _Valued, figures: Figures) -> Flags:
    """Return which values rest on something that no published value confirms, or are none."""
    rules = figures.rows(_RULES)
    severity = dict(zip(rules["flag"].to_list(), rules["severity"].to_list(), strict=True))
    doubtful = np.isnan(found.av)
    for word, rows in found.flags.items():
        if severity[word] != "info" and word != _NO_METAL:
            doubtful |= rows
    return doubtful


def _levels(found: _Valued, held: Windows, figures: Figures) -> NDArray[np.int64]:
    """Return the metal level of the window that each design is held to; note the windows marked uncertain."""
    level = found.metal.astype(np.int64)
    window = np.full(len(level), "standard", dtype="U30")
    expanded = (level == _BRONZE) & ~held.is_in(found.av, "bronze", "standard")
    expanded &= held.is_in(found.av, "bronze", "expanded_bronze")
    window[expanded] = "expanded_bronze"
    for code, name in CSR_VARIANTS.items():
        rows = found.designs.csr_variant == code
        window[rows], level[rows], expanded[rows] = name, _SILVER, False
    for (metal, name), what in held.uncertain.items():
        rows = (level == TABLE_METALS.index(metal)) & (window == name) & ~np.isnan(found.av)
        figures.put_down(_RANGES, what, "in_range", int(rows.sum()))
    return np.where(expanded, _EXPANDED, level)


def _note(found: _Valued, tables: Calculator, findings: Findings, figures: Figures) -> None:
    counts = {word: int(np.count_nonzero(rows)) for word, rows in found.flags.items()}
    for rule_id, word in figures.rows(_RULES).select("rule_id", "flag").rows():
        findings.note(rule_id, "designs", counts.get(word, 0))
    if tables.is_draft:
        what = f"calculator of {tables.plan_year} known as a draft only"
        figures.put_down("av/table_sets", what, "av", len(found.av))
    figures.put_down(
        "av/calculator_rules",
        "two deductibles: no published value confirms the reading",
        "av",
        counts.get("separate_deductibles", 0),
    )
