"""The actuarial value of plan designs, by the calculator of their plan year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating import _av_kernel as kernel
from rating._av_2015 import is_beyond_older, older_values
from rating._av_columns import INTEGRATED, METAL_LEVELS, NOT_SAID, SERVICES, TABLE_METALS, DesignColumns
from rating._av_doubts import doubts, has_cost_sharing
from rating._av_inputs import ReadDesigns, read_designs
from rating._av_settings import ActuarialValueSettings
from rating._av_tables import Calculator, calculator
from rating._av_windows import WINDOWS, Windows, windows
from rating._figures import Figures, whole_year
from rating._frame_rows import word_series
from rating._metal import CATASTROPHIC, Standing, close_variants, standing, table_of_level
from rating._outcome import Outcome, outcome_of
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

    from rating._av_designs import Design

    OneDesign = Mapping[str, Any] | Design

__all__ = ["ActuarialValues", "actuarial_value"]

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

_RULES, _VARIANTS = "av/design_rules", "av/variant_tables"
_STAYS = [SERVICES.index(name) for name in ("inpatient", "skilled_nursing")]
_PREVENTIVE, _FIRST_DRUG = SERVICES.index("preventive"), SERVICES.index("generic")
_NO_TABLE = "none"
_NOT_CONVERGED = ("unsettled", "bisected", "passes_used_up")
# Words by their code; the last, for those that have none, is blank.
_LEVEL_WORDS: tuple[Any, ...] = (*METAL_LEVELS, None)
_METAL_WORDS: tuple[Any, ...] = (*TABLE_METALS, None)
_WINDOW_WORDS: tuple[Any, ...] = (*WINDOWS, None)
_VARIANT_WORDS: tuple[Any, ...] = (*(f"{code:02d}" for code in range(100)), None)
_STATUSES = ("recomputed", "flagged", "filed")
_RECOMPUTED, _FLAGGED, _FILED = range(3)
_REPORT = "report"  # action of rules that say nothing against the value itself


@dataclass(frozen=True, kw_only=True)
class ActuarialValues(Outcome):
    """Actuarial values of designs, and what was noticed.

    Attributes
    ----------
    designs : DataFrame
        A row per design, in the order given: design_id (its name, or its plan id, or its number from 1), av (share of
        the cost of the standard population that the plan pays: the filed one where one is filed, else ours; blank:
        none), av_printed (rounded as that year's calculator prints it, where it rounds), metal_level (blank: outside
        the window it is held to), table_metal (of the tables used), in_range, distance_to_window (av less the nearest
        end of the window of the table's metal; 0 within), av_status (filed: a filed value that ours confirms;
        recomputed: ours; flagged: no value, a filed value that ours does not confirm, or ours with a flag that speaks
        against it, one of ``av/design_rules`` whose severity is not info and whose action is not report), iterations
        (passes of all loops on all tables tried), converged (ours was worked out, and no loop used up its passes),
        flags (words of ``av/design_rules``, sorted), window (that the design is held to, as in
        ``rating/metal_av_ranges``), legal_state (of the windows), av_recomputed (ours), filed_av, filed_difference
        (filed less ours), filed_source, plan_id, csr_variant.
    av, metal_level, in_range, av_status, iterations : Series
        These columns of ``designs``.
    """

    designs: pl.DataFrame

    @property
    def av(self) -> pl.Series:
        """The column of ``designs``."""
        return self.designs["av"]

    @property
    def metal_level(self) -> pl.Series:
        """The column of ``designs``."""
        return self.designs["metal_level"]

    @property
    def in_range(self) -> pl.Series:
        """The column of ``designs``."""
        return self.designs["in_range"]

    @property
    def av_status(self) -> pl.Series:
        """The column of ``designs``."""
        return self.designs["av_status"]

    @property
    def iterations(self) -> pl.Series:
        """The column of ``designs``."""
        return self.designs["iterations"]


def actuarial_value(
    designs: Mapping[str, Any]
    | Design
    | Sequence[Mapping[str, Any] | Design]
    | pl.DataFrame
    | pl.LazyFrame
    | DesignColumns,
    *,
    plan_year: int,
    settings: Mapping[str, Any] | ActuarialValueSettings | None = None,
) -> ActuarialValues:
    """Return the actuarial value of each design.

    The calculator of the plan year is followed step by step on its continuance tables. It is not the federal
    calculator: a filing attaches the output of that one.

    Parameters
    ----------
    designs : mapping, Design, sequence of these, DataFrame, LazyFrame or DesignColumns
        One design, or several. A mapping has ``deductible_type`` (integrated, separate_deductible_combined_moop,
        separate_deductible_separate_moop), ``deductible``, ``plan_coinsurance``, ``moop`` (with ``_medical`` and
        ``_drug`` where there are two), ``services`` (name: ``subject_to_deductible``, ``subject_to_coinsurance``,
        ``copay``, ``plan_coinsurance``, ``copay_after_deductible``), ``options``, ``tier1_utilization`` with ``tier2``.
        Dollars are self-only and in network; coinsurance is the plan's share; blank is never 0.

        Of the plan it may say: ``table_metal`` (the tables that are used, whatever comes out); or ``desired_metal`` (a
        metal level: its tables are used first, and those of another metal once where the value lies in the window of
        that one); ``name``, ``plan_id``, ``csr_variant``, ``market`` (individual, small_group), ``is_hdhp``,
        ``filed_av`` with ``filed_source``.

        A frame has a design in the column ``plan`` (struct or JSON text, with ``design_id`` where it has one; other
        columns are not read; Polars makes a struct of the keys of the first rows and drops others, which JSON text and
        lists of mappings keep), or the keys of the mapping as columns, or a row per plan and service: ``design_id``,
        the keys and options of the plan on its first row or on each, ``service`` with its terms (its own coinsurance
        is ``service_coinsurance``), and ``tier`` where there are two.
    plan_year : int
        The year whose tables, algorithm and windows are used.
    settings : mapping, optional
        ``separate_moop_rule``, ``unsettled``, ``legal_state``, ``coinsurance_is``, ``filed_tolerance``, see
        :class:`rating.ActuarialValueSettings`.

    Returns
    -------
    ActuarialValues
        ``designs``, and what was noticed. Of several designs, one that cannot have a value (an unknown key, a missing
        amount, an out-of-pocket limit below the deductible) has a row without one, with its flag; ``refused`` says
        what is wrong and what to do.

    Raises
    ------
    InputRefused
        A single design that cannot have a value, or a table that cannot be read as a whole.
    TableMissing, NotYetPublished
        No tables of that year; the message names the years that are held.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Where a design names no metal, tables are tried from platinum to bronze, and the first whose value lies
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
    tables = calculator(year, figures)
    held = windows(year, chosen.legal_state, figures)
    read = read_designs(designs, coinsurance_is=chosen.coinsurance_is)
    findings.table("designs", read.columns.height)
    found = _valued(read, tables, held, chosen, figures)
    _note(read, found, tables, findings, figures)
    frame = _frame(read, found, chosen, figures)
    return ActuarialValues(designs=frame, **outcome_of(findings, figures, chosen.frame()).parts())


@dataclass
class _Valued:
    """What was worked out of each design; `flags` by the words of ``av/design_rules``."""

    av: Floats
    own: Floats
    metal: Codes
    passes: NDArray[np.int32]
    printed: Floats
    differs: Flags
    standing: Standing
    flags: dict[str, Flags]


def _valued(
    read: ReadDesigns, tables: Calculator, held: Windows, settings: ActuarialValueSettings, figures: Figures
) -> _Valued:
    designs = read.columns
    named, has_none = _named_tables(designs, figures)
    is_older = tables.kernel is None
    codes = held.codes(designs)
    low, high = held.ends(codes)
    found = _older(designs, named, tables) if is_older else _current(designs, named, tables, low, high, settings)
    own, metal, passes, flags = found
    flags["draft_calculator"] = np.full(designs.height, tables.is_draft)
    own[has_none], passes[has_none], metal[has_none] = 1.0, 0, NOT_SAID
    flags = {word: rows & ~has_none for word, rows in flags.items()}
    asked = doubts(designs, plan_year=held.plan_year, figures=figures)
    if settings.coinsurance_is != "not_said":
        del asked["share_below_half"]
    if has_none.any():
        asked["variant_has_cost_sharing"] = has_none & has_cost_sharing(designs)
    refused = np.array([problem.row for problem in read.problems], np.intp)
    own[refused], passes[refused], metal[refused], has_none[refused] = np.nan, 0, NOT_SAID, False
    has_filed = ~np.isnan(designs.filed_av)
    has_filed[refused] = False
    av = np.where(has_filed, designs.filed_av, own)
    differs = has_filed & ~(np.abs(designs.filed_av - own) <= settings.filed_tolerance)
    stands = standing(designs, av, metal, has_none, codes, held, figures)
    flags |= asked | stands.flags | {"filed_av_differs": differs}
    if read.filed_sources is not None and has_filed.any():
        flags["filed_av_without_source"] = has_filed & np.array([not source for source in read.filed_sources], bool)
    if read.plan_ids is not None:
        flags["variant_too_close"] = close_variants(read.plan_ids, designs.csr_variant, av, figures)
    if len(refused):
        for rows in flags.values():
            rows[refused] = False
    printed = np.full(designs.height, np.nan) if tables.printed_decimals is None else av.round(tables.printed_decimals)
    return _Valued(av, own, metal, passes, printed, differs, stands, flags)


def _named_tables(designs: DesignColumns, figures: Figures) -> tuple[Codes, Flags]:
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


_Found = tuple[Floats, Codes, NDArray[np.int32], dict[str, Flags]]


def _older(designs: DesignColumns, named: Codes, tables: Calculator) -> _Found:
    beyond = is_beyond_older(designs)
    rows = np.flatnonzero(~beyond)
    av, metal = np.full(designs.height, np.nan), named
    passes = np.zeros(designs.height, np.int32)
    chosen = designs.with_changes(table_metal=named).take(rows)
    av[rows], passes[rows], metal[rows] = older_values(chosen, tables)
    is_nested = (designs.deductible_type != INTEGRATED) & (designs.deductible.sum(axis=1) > designs.moop[:, 0])
    return av, metal, passes, {"older_calculator_terms": beyond, "nested_deductibles": is_nested & ~beyond}


def _current(
    designs: DesignColumns,
    named: Codes,
    tables: Calculator,
    low: Floats,
    high: Floats,
    settings: ActuarialValueSettings,
) -> _Found:
    """Work the designs of the current algorithm; those that name no metal on one table after the other."""
    rules = {"bisect": settings.unsettled == "bisect", "scale_nested": settings.separate_moop_rule != "as_2017"}
    n = designs.height
    av, metal = np.full(n, np.nan), named.copy()
    passes, state = np.zeros(n, np.int32), np.zeros(n, np.uint8)
    gap = np.full(n, np.inf)

    def work(rows: NDArray[np.intp], own: Codes) -> None:
        chosen = designs if len(rows) == n else designs.take(rows)
        found = kernel.design_values(chosen, own, tables, **rules)
        passes[rows] += found.passes
        distance = np.abs(_distance(found.av, low[rows, own], high[rows, own]))
        is_nearer = (distance < gap[rows]) | (np.isnan(found.av) & np.isinf(gap[rows]))
        kept = rows[is_nearer]
        av[kept], state[kept], metal[kept] = found.av[is_nearer], found.state[is_nearer], own[is_nearer]
        gap[kept] = np.where(np.isnan(distance), np.inf, distance)[is_nearer]

    desired = np.where(named == NOT_SAID, table_of_level(designs.desired_metal), NOT_SAID).astype(np.int8)
    named = np.where(desired == NOT_SAID, named, desired)
    first = np.flatnonzero(named != NOT_SAID)
    if len(first):
        work(first, named[first])
    # The calculator asks whether to work once more on the tables of the metal in whose window the value lies; the
    # value on these then stands, wherever it lies.
    other = np.zeros(n, bool)
    may_move = (desired != NOT_SAID) & (designs.desired_metal != CATASTROPHIC) & (gap > 0) & ~np.isnan(av)
    inside = (av[:, None] >= low) & (av[:, None] <= high) & may_move[:, None]
    rows = np.flatnonzero(inside.any(axis=1))
    if len(rows):
        gap[rows], other[rows] = np.inf, True
        work(rows, inside[rows].argmax(axis=1).astype(np.int8))
    open_rows = np.flatnonzero(named == NOT_SAID)
    for code in range(len(TABLE_METALS)):
        if len(open_rows):
            work(open_rows, np.full(len(open_rows), code, np.int8))
        open_rows = open_rows[gap[open_rows] > 0]
    return av, metal, passes, {**_flags(designs, state, np.isnan(av)), "other_metal_tables": other}


def _flags(designs: DesignColumns, state: NDArray[np.uint8], is_blank: Flags) -> dict[str, Flags]:
    def has(code: int) -> Flags:
        return (state & code) > 0

    is_separate, only_stays = _of_two_deductibles(designs)
    if designs.tier2 is not None:
        for rows, of_tier2 in zip((is_separate, only_stays), _of_two_deductibles(designs.tier2), strict=True):
            rows |= of_tier2 & (designs.tier1_share < 1)
    has_older = (designs.inpatient_per_day | designs.skilled_nursing_per_day | designs.first_visits_free) > 0
    has_older |= (designs.first_visits_copay > 0) | ~np.isnan(designs.specialty_cap)
    has_older |= (designs.employer_money > 0) | (designs.tier1_share < 1)
    return {
        # Of two tiers or domains one may have been bisected and the other not have settled that way either.
        "unsettled": is_blank,
        "bisected": has(kernel.BISECTED) & ~is_blank,
        "deductible_counts_nothing": has(kernel.COUNTS_NOTHING),
        "moop_within_deductible": has(kernel.COLLAPSED),
        "separate_deductibles": is_separate,
        "nested_deductibles": has(kernel.NESTED),
        "inpatient_deductible_only": only_stays,
        "passes_used_up": has(kernel.PASSES_USED),
        "older_reading": has_older,
    }


def _of_two_deductibles(designs: DesignColumns) -> tuple[Flags, Flags]:
    """Return which designs have two deductibles, and whose medical one touches inpatient and skilled nursing only."""
    is_separate = designs.deductible_type != INTEGRATED
    counts = (designs.subject_to_deductible | designs.copay_after_deductible).astype(bool)[:, :_FIRST_DRUG]
    counts[:, _PREVENTIVE] = False
    stays = counts[:, _STAYS].any(axis=1)
    counts[:, _STAYS] = False
    return is_separate, is_separate & (designs.deductible[:, 0] > 0) & stays & ~counts.any(axis=1)


def _distance(av: Floats, low: Floats, high: Floats) -> Floats:
    """Return how far a value lies above (below: negative) its window; 0 within."""
    return np.where(av < low, av - low, np.where(av > high, av - high, 0.0 * av))


def _frame(read: ReadDesigns, found: _Valued, settings: ActuarialValueSettings, figures: Figures) -> pl.DataFrame:
    import polars as pl

    n, designs, stands = len(read.ids), read.columns, found.standing
    not_converged = np.zeros(n, bool)
    for word in _NOT_CONVERGED:
        if word in found.flags:
            not_converged |= found.flags[word]
    words = {problem.row: word for problem, word in zip(read.problems, _words_of(read, figures), strict=True)}

    def numbers(name: str, values: Floats) -> pl.Series:
        return pl.Series(name, values, nan_to_null=True)

    def texts(name: str, values: Sequence[str | None] | None) -> pl.Series:
        return _same(name, None, n) if values is None else pl.Series(name, values, dtype=pl.String)

    return pl.DataFrame(
        [
            pl.Series("design_id", read.ids, dtype=pl.String),
            numbers("av", found.av),
            numbers("av_printed", found.printed),
            word_series("metal_level", _LEVEL_WORDS, _or_last(stands.level, len(METAL_LEVELS))),
            word_series("table_metal", _METAL_WORDS, _or_last(found.metal, len(TABLE_METALS))),
            pl.Series("in_range", stands.in_range),
            numbers("distance_to_window", stands.distance),
            word_series("av_status", _STATUSES, _statuses(read, found, figures)),
            pl.Series("iterations", found.passes.astype(np.int64)),
            pl.Series("converged", ~not_converged & ~np.isnan(found.own)),
            _listed(found.flags, n, words),
            word_series("window", _WINDOW_WORDS, _or_last(stands.window, len(WINDOWS))),
            _same("legal_state", settings.legal_state, n),
            numbers("av_recomputed", found.own),
            numbers("filed_av", designs.filed_av),
            numbers("filed_difference", designs.filed_av - found.own),
            texts("filed_source", read.filed_sources),
            texts("plan_id", read.plan_ids),
            word_series("csr_variant", _VARIANT_WORDS, _or_last(designs.csr_variant, len(_VARIANT_WORDS) - 1)),
        ]
    )


def _same(name: str, word: str | None, number: int) -> pl.Series:
    import polars as pl

    return pl.Series(name, [word], dtype=pl.String).new_from_index(0, number)


def _or_last(codes: NDArray[Any], last: int) -> NDArray[np.int64]:
    """Return codes with the last place, which is blank, for those that are not said."""
    return np.where(codes == NOT_SAID, last, codes).astype(np.int64)


def _is_refused(read: ReadDesigns) -> Flags:
    refused = np.zeros(len(read.ids), bool)
    refused[[problem.row for problem in read.problems]] = True
    return refused


def _words_of(read: ReadDesigns, figures: Figures) -> list[str]:
    """Return the flag of each problem."""
    flags = dict(figures.rows(_RULES).select("rule_id", "flag").rows())
    return [flags[problem.rule_id] for problem in read.problems]


def _listed(flags: dict[str, Flags], number: int, alone: dict[int, str]) -> pl.Series:
    """Return the words of each design, `alone` that of a refused one; those with the same words share one list."""
    import polars as pl

    words = sorted(word for word, rows in flags.items() if rows.any())
    sets = np.zeros(number, np.int64)
    for place, word in enumerate(words):
        sets |= flags[word].astype(np.int64) << place
    kinds, kind = np.unique(sets, return_inverse=True)
    lists = [[word for place, word in enumerate(words) if code >> place & 1] for code in kinds.tolist()]
    places = {word: len(lists) + place for place, word in enumerate(sorted(set(alone.values())))}
    for row, word in alone.items():
        kind[row] = places[word]
    lists += [[word] for word in places]
    return pl.Series("flags", lists, dtype=pl.List(pl.String)).gather(pl.Series(kind))


def _statuses(read: ReadDesigns, found: _Valued, figures: Figures) -> NDArray[np.int64]:
    """Return which values are filed, ours, or rest on something that nothing published confirms, or are none."""
    rules = figures.rows(_RULES).select("flag", "severity", "action").rows()
    silent = {word for word, severity, action in rules if severity == "info" or action == _REPORT}
    doubtful = np.isnan(found.own)
    for word, rows in found.flags.items():
        if word not in silent:
            doubtful |= rows
    status = np.where(doubtful, _FLAGGED, _RECOMPUTED)
    is_filed = ~np.isnan(read.columns.filed_av) & ~_is_refused(read)
    return np.where(is_filed, np.where(found.differs, _FLAGGED, _FILED), status)


def _note(read: ReadDesigns, found: _Valued, tables: Calculator, findings: Findings, figures: Figures) -> None:
    import polars as pl

    counts = {word: int(np.count_nonzero(rows)) for word, rows in found.flags.items()}
    for rule_id, word in figures.rows(_RULES).select("rule_id", "flag").rows():
        findings.note(rule_id, "designs", counts.get(word, 0))
    refused: dict[str, list[tuple[str, ...]]] = {}
    for problem in read.problems:
        error = problem.error
        line = (read.ids[problem.row], error.what, error.where, error.rule, error.remedy)
        refused.setdefault(problem.rule_id, []).append(line)
    for rule_id, lines in refused.items():
        schema = dict.fromkeys(("design_id", "what", "where", "rule", "remedy"), pl.String)
        findings.refuse(rule_id, "designs", pl.DataFrame(lines, schema=schema, orient="row"))
    if tables.is_draft:
        what = f"calculator of {tables.plan_year} known as a draft only"
        figures.put_down("av/table_sets", what, "av", len(found.av))
    figures.put_down(
        "av/calculator_rules",
        "two deductibles: no published value confirms the reading",
        "av",
        counts.get("separate_deductibles", 0),
    )
