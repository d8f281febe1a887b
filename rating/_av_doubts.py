"""Designs that no plan can have, which are refused, and designs that are probably not meant, which are asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs._remembered import remembered
from data_specs.errors import InputRefused
from rating._av_columns import INTEGRATED, SEPARATE_MOOP, SERVICES, TABLE_METALS, DesignColumns
from rating._figures import Figures

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Problem", "doubts", "doubts_of_shares", "has_cost_sharing", "problems_of", "refuse_impossible"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LIMITS, _METAL_RULES, _STANDARD = "rating/annual_cost_sharing_limits", "av/metal_rules", "standard"
_CONTINUANCE, _COLUMNS, _SETS = "av/continuance", "av/service_columns", "av/table_sets"
_OLDER = ("2015", "2016")
_LIMIT_OF_VARIANT = {4: "csr_73", 5: "csr_94_87", 6: "csr_94_87"}
_INPATIENT, _PRIMARY_CARE = SERVICES.index("inpatient"), SERVICES.index("primary_care")
_PREVENTIVE = SERVICES.index("preventive")
_DOMAINS = (SERVICES.index("generic"), len(SERVICES) - SERVICES.index("generic"))  # services of each
# A plan that pays less than half beyond the deductible is rare; an enrollee's share written as the plan's is not.
_HALF = 0.5


@dataclass(frozen=True)
class Problem:
    """Why a design has no value: its row, and the refusal that it would be alone; the rule's id opens the rule's text.

    Examples
    --------
    >>> Problem(0, InputRefused("limit below deductible", rule="AVC-020: input checks")).rule_id
    'AVC-020'
    """

    row: int
    error: InputRefused

    @property
    def rule_id(self) -> str:
        """The rule of ``av/design_rules``."""
        return self.error.rule.partition(":")[0]


def problems_of(designs: DesignColumns, ids: Sequence[str], tier: str = "") -> list[Problem]:
    """Return what no plan can have: a row may have several problems.

    An out-of-pocket limit below a deductible; a copay per day where none is entered; two options for the first visits.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> [problem.rule_id for problem in problems_of(plain_columns(1, deductible=500.0, moop=400.0), ["A"])]
    ['AVC-020']
    """
    # Options stand for both tiers: where tier 2 has no inpatient copay there is nothing to charge per day.
    is_blank = np.isnan(designs.copay[:, _INPATIENT]) & (tier == "")
    found = (
        (
            (designs.deductible > designs.moop).any(axis=1),
            "AVC-020",
            "the out-of-pocket limit is below the deductible",
            "moop",
            "raise the limit or lower the deductible; what counts toward one counts toward the other",
        ),
        (
            (designs.inpatient_per_day > 0) & is_blank,
            "AVC-021",
            "the inpatient copay is per day, and none is entered",
            "inpatient_copay_per_day",
            "enter the copay per day; 0 where there is none",
        ),
        (
            (designs.first_visits_free > 0) & (designs.first_visits_copay > 0),
            "AVC-023",
            "first visits are free and at the copay",
            "primary_care_first_n_visits_free",
            "keep one of the two options",
        ),
    )
    problems = []
    for broken, rule_id, what, column, remedy in found:
        rule = f"{rule_id}: actuarial value calculator of the year, input checks"
        for row in np.flatnonzero(broken).tolist():
            where = f"design {ids[row]}{tier}, {column}"
            problems.append(Problem(row, InputRefused(what, where=where, rule=rule, remedy=remedy)))
    if designs.tier2 is not None:
        used = np.flatnonzero(designs.tier1_share < 1)
        second = problems_of(designs.tier2.take(used), [ids[row] for row in used.tolist()], ", tier 2")
        problems += [Problem(int(used[problem.row]), problem.error) for problem in second]
    return problems


def refuse_impossible(designs: DesignColumns, ids: Sequence[str]) -> None:
    """Refuse designs whose parts contradict each other.

    Raises
    ------
    InputRefused
        The first of :func:`problems_of`; the message names the design.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> refuse_impossible(plain_columns(1, deductible=500.0, moop=400.0), ["A"])
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: the out-of-pocket limit is below the deductible [design A, moop]. ...
    """
    for problem in problems_of(designs, ids):
        raise problem.error


def doubts(designs: DesignColumns, *, plan_year: int, figures: Figures) -> dict[str, Flags]:
    """Return which designs are probably not what was meant, by a word for the doubt.

    Returns
    -------
    dict
        moop_above_limit (of ``rating/annual_cost_sharing_limits``; two limits: their sum), copay_above_moop (a copay
        that can never be charged in full), copay_implausible (several times the mean cost of what it is charged for:
        ``av/metal_rules``), share_below_half (a coinsurance that may be the enrollee's), copay_without_flags (a copay
        beside coinsurance and deductible: it works below the deductible only; a copay of 0 is none),
        copay_never_charged (one beside coinsurance that comes after the deductible, or where there is none),
        preventive_terms_unused (preventive care is free): of tier 2 as well where it is used. employer_money_undefined
        (beside two deductibles), days_without_copay_per_day (a number that has no effect), first_visits_copay_blank
        (first visits at a copay that is blank: worked as free).

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
    limits = _limits(designs, plan_year, figures)
    means = _mean_costs(plan_year, figures)
    times = dict(figures.rows(_METAL_RULES).select("rule", "number").rows())["plausible_copay_times_mean_cost"]
    found = _of_one_tier(designs, limits, times * means)
    found["employer_money_undefined"] = (designs.employer_money > 0) & (designs.deductible_type != INTEGRATED)
    found["days_without_copay_per_day"] = (designs.inpatient_max_days > 0) & (designs.inpatient_per_day == 0)
    found["first_visits_copay_blank"] = (designs.first_visits_copay > 0) & np.isnan(designs.copay[:, _PRIMARY_CARE])
    if designs.tier2 is not None:
        used = np.flatnonzero(designs.tier1_share < 1)
        for word, rows in _of_one_tier(designs.tier2.take(used), limits[used], times * means).items():
            found[word][used] |= rows
    figures.put_down(
        _METAL_RULES,
        "plausible_copay_times_mean_cost: our own",
        "flags",
        int(np.count_nonzero(found["copay_implausible"])),
    )
    return found


def _of_one_tier(designs: DesignColumns, limits: Floats, highest: Floats) -> dict[str, Flags]:
    is_charged, is_shared = designs.copay > 0, designs.subject_to_coinsurance > 0  # false where blank
    beside = is_charged & is_shared
    # With first visits at the copay, that is where the copay of primary care works.
    beside[:, _PRIMARY_CARE] &= designs.first_visits_copay == 0
    beside[:, _PREVENTIVE] = False
    is_late = designs.copay_after_deductible > 0
    is_odd = beside & (designs.subject_to_deductible > 0) & ~is_late
    is_never = beside & (is_late | np.repeat(designs.deductible == 0, _DOMAINS, axis=1))
    is_separate = designs.deductible_type == SEPARATE_MOOP
    limit_of_both = np.where(is_separate, designs.moop.sum(axis=1), designs.moop[:, 0])
    found = {
        "moop_above_limit": limit_of_both > limits,
        "copay_above_moop": (designs.copay > limit_of_both[:, None]).any(axis=1),
        "copay_implausible": (designs.copay > highest).any(axis=1),
        "share_below_half": doubts_of_shares(designs),
        "copay_without_flags": is_odd.any(axis=1),
        "copay_never_charged": is_never.any(axis=1),
        "preventive_terms_unused": _has_own_terms(designs)[:, _PREVENTIVE],
    }
    return {word: np.asarray(rows) for word, rows in found.items()}


def _has_own_terms(designs: DesignColumns) -> Flags:
    """Return what has a copay, or a coinsurance of its own that is not all, designs x 18."""
    is_partial = (designs.coinsurance < 1) & (designs.subject_to_coinsurance > 0)  # false where blank
    return np.asarray((designs.copay > 0) | is_partial)


def has_cost_sharing(designs: DesignColumns) -> Flags:
    """Return which designs let the enrollee pay something, in tier 2 as well where it is used.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> [has_cost_sharing(plain_columns(1, deductible=500.0, moop=limit)).item() for limit in (900.0, 0.0)]
    [True, False]
    """
    charges = (designs.deductible > 0).any(axis=1) | (designs.plan_coinsurance < 1).any(axis=1)
    charges |= np.delete(_has_own_terms(designs), _PREVENTIVE, axis=1).any(axis=1)
    charges &= (designs.moop > 0).any(axis=1)
    if designs.tier2 is not None:
        charges |= has_cost_sharing(designs.tier2) & (designs.tier1_share < 1)
    return np.asarray(charges)


def doubts_of_shares(designs: DesignColumns) -> Flags:
    """Return which designs have a coinsurance below one half: the enrollee's share, perhaps.

    Of a service's own coinsurance that is used; 0 is as doubtful as the rest: blank is another thing.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> doubts_of_shares(plain_columns(1, plan_coinsurance=0.2)).tolist()
    [True]
    """
    own = (designs.coinsurance < _HALF) & (designs.subject_to_coinsurance > 0)  # false where blank
    own[:, _PREVENTIVE] = False
    return np.asarray((designs.plan_coinsurance < _HALF).any(axis=1) | own.any(axis=1))


def _limits(designs: DesignColumns, plan_year: int, figures: Figures) -> Floats:
    """Return the year's limit of each design; a variant whose limit is not held has that of the plan."""
    rows = figures.rows(_LIMITS, plan_year)
    held = {limit: float(usd) for limit, usd in rows.select("limit", "self_only_usd").rows()}
    limits = np.full(designs.height, held[_STANDARD])
    own = np.full(designs.height, _STANDARD, dtype="U20")
    for variant, name in _LIMIT_OF_VARIANT.items():
        chosen = designs.csr_variant == variant
        if name in held and chosen.any():
            limits[chosen], own[chosen] = held[name], name
    is_separate = designs.deductible_type == SEPARATE_MOOP
    above = np.where(is_separate, designs.moop.sum(axis=1), designs.moop[:, 0]) > limits
    if above.any():
        used = np.array([np.count_nonzero(above & (own == name)) for name in rows["limit"].to_list()], np.int64)
        figures.took_part(_LIMITS, rows, ["plan_year", "limit"], used, "flags")
    return limits


def _mean_costs(plan_year: int, figures: Figures) -> Floats:
    """Return the mean cost of one visit, stay or script of each service, of the metal where it is highest."""
    algorithm = figures.rows(_SETS, plan_year)["algorithm"][0]
    if algorithm in _OLDER:  # whose tables lack some columns, and which know no copay
        return np.full(len(SERVICES), np.inf)
    return _mean_costs_of((figures.rows(_CONTINUANCE, plan_year), figures.rows(_COLUMNS)))


@remembered
def _mean_costs_of(tables: tuple[pl.DataFrame, ...]) -> Floats:
    continuance, columns = tables
    last = continuance.filter((continuance["table"] == "combined") & continuance["is_unlimited"])
    means = np.full(len(SERVICES), np.inf)
    charged = columns.filter(columns["charged"].is_in(["per_visit", "per_stay", "per_script"]))
    for place, service in enumerate(SERVICES):
        own = charged.filter(charged["service"] == service)
        cost, units = (last.select(own[c].to_list()).to_numpy() for c in ("cost_column", "frequency_column"))
        if place != _PREVENTIVE and last.height == len(TABLE_METALS):
            means[place] = np.nanmax(np.divide(cost, units, out=np.zeros_like(cost), where=units > 0))
    return np.where(means > 0, means, np.inf)
