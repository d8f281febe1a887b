"""The calculators of 2015 and of the draft of 2016: no loop over spend, but a search that guards the limit.

Symbols: ``T``, ``p``, ``d`` mean cost of enrollees capped at a spend, its preventive part, its drug part, all of the
combined table (``T_med``, ``p_med``, ``T_rx``: of the other two); ``T_inf`` and so on their last rows; ``D``
deductible, ``M`` out-of-pocket limit, ``q`` the plan's coinsurance, ``_m`` medical, ``_r`` drugs; ``y`` the spend at
which the limit is met. Source: ports of the calculators of 2015 and 2016 (draft).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rating._av_columns import INTEGRATED, NOT_SAID, SEPARATE_MOOP, SERVICES, TABLE_METALS, DesignColumns
from rating._av_tables import COMBINED, DRUG, MEDICAL, Calculator, place_in, value_at

__all__ = ["is_beyond_older", "older_values"]

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

_PREVENTIVE, _FIRST_DRUG = SERVICES.index("preventive"), SERVICES.index("generic")
_METAL_RULES = ("platinum_above", "gold_above", "silver_above")
_PLATINUM, _BRONZE = TABLE_METALS.index("platinum"), TABLE_METALS.index("bronze")


def is_beyond_older(designs: DesignColumns) -> NDArray[np.bool_]:
    """Return which designs have terms that the older calculators' port does not cover.

    It covers deductibles, coinsurance and one out-of-pocket limit: no terms of a single service, no option, no tier.
    Preventive care has no terms, and a coinsurance that is the general one is none of its own.
    """
    general = np.repeat(designs.plan_coinsurance, (_FIRST_DRUG, len(SERVICES) - _FIRST_DRUG), axis=1)
    has_terms = (designs.subject_to_deductible == 0) | (designs.subject_to_coinsurance == 0)
    has_terms |= (designs.copay_after_deductible == 1) | (designs.copay > 0)
    has_terms |= ~np.isnan(designs.coinsurance) & (designs.coinsurance != general)
    has_terms[:, _PREVENTIVE] = False
    options = (
        designs.inpatient_per_day,
        designs.skilled_nursing_per_day,
        designs.inpatient_max_days,
        designs.first_visits_free,
        designs.first_visits_copay,
        designs.employer_money,
    )
    has_option = np.any([option > 0 for option in options], axis=0) | ~np.isnan(designs.specialty_cap)
    return np.asarray(
        has_terms.any(axis=1) | has_option | (designs.tier1_share < 1) | (designs.deductible_type == SEPARATE_MOOP)
    )


def older_values(designs: DesignColumns, tables: Calculator) -> tuple[Floats, NDArray[np.int32], NDArray[np.int8]]:
    """Return actuarial values, evaluations made and the metal of the tables they stand on.

    Where a design does not say its metal, it is worked on platinum tables and then, unless it comes out platinum, on
    those of the metal it comes out at.

    Parameters
    ----------
    designs : DesignColumns
        Without terms that :func:`is_beyond_older` finds.
    tables : Calculator
        Of algorithm 2015 or 2016.
    """
    metal = np.where(designs.table_metal == NOT_SAID, _PLATINUM, designs.table_metal).astype(np.int8)
    av, trials = _on_tables(designs, metal, tables)
    first = np.full(designs.height, _BRONZE, np.int8)
    for code, rule in reversed(list(enumerate(_METAL_RULES))):
        first[av > tables.numbers[rule]] = code
    again = np.flatnonzero((designs.table_metal == NOT_SAID) & (first != metal))
    metal[again] = first[again]
    second = _on_tables(designs.take(again), metal[again], tables)
    av[again] = second[0]
    trials[again] += second[1]
    # Cents in the range are rounded, which may lift full cover by half a cent over everything.
    return np.minimum(av, 1.0), trials, metal


def _on_tables(designs: DesignColumns, metal: NDArray[np.int8], tables: Calculator) -> tuple[Floats, NDArray[np.int32]]:
    av = np.zeros(designs.height)
    trials = np.ones(designs.height, np.int32)
    for code in range(len(TABLE_METALS)):
        one = np.flatnonzero((metal == code) & (designs.deductible_type == INTEGRATED))
        two = np.flatnonzero((metal == code) & (designs.deductible_type != INTEGRATED))
        curves = _Curves.of(tables, code)
        if len(one):
            av[one] = _integrated(designs.take(one), curves, tables)
        if len(two):
            search = _Separate(designs.take(two), curves, tables)
            av[two] = search.value()
            trials[two] = search.trials
    return av, trials


@dataclass(frozen=True)
class _Curves:
    """One metal's tables by spend."""

    spend: Floats
    total: Floats
    preventive: Floats
    drugs: Floats
    medical_total: Floats
    medical_preventive: Floats
    drug_total: Floats

    @classmethod
    def of(cls, tables: Calculator, metal: int) -> _Curves:
        return cls(
            tables.spend,
            tables.means[COMBINED, metal],
            tables.preventive[COMBINED, metal],
            tables.drugs[COMBINED, metal],
            tables.means[MEDICAL, metal],
            tables.preventive[MEDICAL, metal],
            tables.means[DRUG, metal],
        )

    def at(self, spend: Floats, *columns: Floats) -> list[Floats]:
        """Return columns at some spends."""
        place = place_in(self.spend, spend)
        return [value_at(column, place) for column in columns]

    def inverse(self, total: Floats) -> Floats:
        """Return the spend at which the mean cost of the combined table is so much."""
        low, part = place_in(self.total, total)
        high = np.minimum(low + 1, len(self.spend) - 1)
        step = np.where(part > 0, self.spend[high], 0.0) - np.where(part > 0, self.spend[low], 0.0)
        return np.asarray(self.spend[low] + np.where(part > 0, part * step, 0.0))


def _spend_at_limit(moop: Floats, deductible: Floats, share: Floats) -> Floats:
    """Return ``(M - D) / (1 - e) + D``, or ``D`` where ``e = 1``."""
    is_all = share >= 1
    return np.where(is_all, deductible, (moop - deductible) / np.where(is_all, 1.0, 1 - share) + deductible)


def _integrated(designs: DesignColumns, curves: _Curves, tables: Calculator) -> Floats:
    """Return the values of designs with one deductible.

    ``AV = [p(D) + round(q (T(y) - T(D) - p(y) + p(D)) + p(y) - p(D), 2) + T_inf - T(y)] / T_inf``; ``e = q`` in 2015,
    ``e = ((T_inf - p_inf) q + p_inf) / T_inf`` in 2016.
    """
    deductible, moop, q = designs.deductible[:, 0], designs.moop[:, 0], designs.plan_coinsurance[:, 0]
    everything, prevention = curves.total[-1], curves.preventive[-1]
    share = q if tables.algorithm == "2015" else ((everything - prevention) * q + prevention) / everything
    limit = _spend_at_limit(moop, deductible, share)
    total_d, preventive_d = curves.at(deductible, curves.total, curves.preventive)
    total_y, preventive_y = curves.at(limit, curves.total, curves.preventive)
    rise = preventive_y - preventive_d
    in_range = np.round(q * (total_y - total_d - rise) + rise, 2)
    return np.asarray((preventive_d + in_range + everything - total_y) / everything)


class _Separate:
    """Designs of one metal with two deductibles under one limit, and the search for the floor of ``y``.

    The floor keeps a lower deductible from lowering the value: ``y`` never falls below the ``y`` of a trial deductible
    that had a lower value.
    """

    def __init__(self, designs: DesignColumns, curves: _Curves, tables: Calculator) -> None:
        self.curves = curves
        self.numbers = tables.numbers
        self.is_2015 = tables.algorithm == "2015"
        self.medical, self.drug = designs.deductible[:, 0], designs.deductible[:, 1]
        self.moop = designs.moop[:, 0]
        self.q_medical, self.q_drug = designs.plan_coinsurance[:, 0], designs.plan_coinsurance[:, 1]
        self.share = self.q_medical if self.is_2015 else self._blended_share()
        self.floor = np.zeros(designs.height)
        self.best = np.zeros(designs.height)
        self.trials = np.zeros(designs.height, np.int32)

    def _blended_share(self) -> Floats:
        """Return ``((T_inf - p_inf - v) q_m + v q_r + p_inf) / T_inf``, ``v`` all drug cost."""
        everything, prevention = self.curves.total[-1], self.curves.preventive[-1]
        drugs = self.curves.drugs[-1] + self.numbers["unclassified_drug_cost"]
        blended = (everything - prevention - drugs) * self.q_medical + drugs * self.q_drug + prevention
        return np.asarray(blended / everything)

    def value(self) -> Floats:
        """Return the values, floors found first."""
        if self.is_2015:
            self._search_2015(is_medical=True)
            self._search_2015(is_medical=False)
        else:
            self._search_2016()
        rows = np.arange(len(self.moop))
        return self._evaluate(rows, self.medical, self.drug)[0]

    def _evaluate(self, rows: Rows, medical: Floats, drug: Floats) -> tuple[Floats, Floats]:
        """Return value and ``y`` of some designs at these deductibles, with the floors found so far."""
        curves, everything = self.curves, self.curves.total[-1]
        limit = _spend_at_limit(self.moop[rows], medical + drug, self.share[rows])
        limit = np.maximum(limit, self.floor[rows])
        total_y, preventive_y, drugs_y = curves.at(limit, curves.total, curves.preventive, curves.drugs)
        total_m, preventive_m = curves.at(medical, curves.medical_total, curves.medical_preventive)
        (total_r,) = curves.at(drug, curves.drug_total)
        if self.is_2015:
            (preventive_d,) = curves.at(medical, curves.preventive)
            (drugs_r,) = curves.at(drug, curves.drugs)
            rise = preventive_y - preventive_d
            care = self.q_medical[rows] * (total_y - rise - (drugs_y - drugs_r) - total_m)
            in_range = care + self.q_drug[rows] * np.maximum(0.0, drugs_y - total_r) + rise
        else:
            met = curves.inverse(total_m + total_r)
            preventive_d, drugs_d = curves.at(met, curves.preventive, curves.drugs)
            rise = preventive_y - preventive_d
            care = self.share[rows] * (total_y - rise - drugs_y - total_m)
            in_range = care + self.q_drug[rows] * (drugs_y - drugs_d) + rise
        self.trials[rows] += 1
        return (preventive_m + np.round(in_range, 2) + everything - total_y) / everything, limit

    def _try(self, rows: Rows, medical: Floats, drug: Floats) -> NDArray[np.bool_]:
        """Evaluate; where the value falls below the lowest so far, take it and its ``y`` as floor. Return where."""
        value, limit = self._evaluate(rows, medical, drug)
        is_lower = value < self.best[rows]
        lower = rows[is_lower]
        self.floor[lower], self.best[lower] = limit[is_lower], value[is_lower]
        return is_lower

    def _search_2015(self, *, is_medical: bool) -> None:
        """Lower one deductible step by step, past values that do not fall in leaps."""
        step = self.numbers["floor_step"]
        rows = np.arange(len(self.moop))
        self.best, _ = self._evaluate(rows, self.medical, self.drug)
        trial = (self.medical if is_medical else self.drug) - step
        rows = rows[trial > 0]
        while len(rows):
            pair = (trial[rows], self.drug[rows]) if is_medical else (self.medical[rows], trial[rows])
            is_lower = self._try(rows, *pair)
            trial[rows] -= np.where(is_lower, step, self.numbers["floor_leap"] - step)
            rows = rows[trial[rows] > 0]

    def _search_2016(self) -> None:
        """Lower the medical deductible while the value falls, then by one leap; from there the drug deductible."""
        step, leap = self.numbers["floor_step"], self.numbers["floor_leap"]
        everyone = np.arange(len(self.moop))
        self.best, _ = self._evaluate(everyone, self.medical, self.drug)
        trial = np.maximum(0.0, self.medical - step)
        rows = everyone[trial > 0]
        while len(rows):
            is_lower = self._try(rows, trial[rows], self.drug[rows])
            stops = rows[~is_lower]
            trial[stops] = np.where(trial[stops] >= leap, trial[stops] - (leap - step), 0.0)
            rows = rows[is_lower]
            trial[rows] = np.maximum(0.0, trial[rows] - step)
            rows = rows[trial[rows] > 0]
        rows = everyone[self.medical > 0]
        self._try(rows, trial[rows], self.drug[rows])

        medical = trial
        self.best, _ = self._evaluate(everyone, medical, self.drug)
        trial = np.maximum(0.0, self.drug - step)
        rows = everyone[trial > 0]
        while len(rows):
            rows = rows[self._try(rows, medical[rows], trial[rows])]
            trial[rows] = np.maximum(0.0, trial[rows] - step)
            reached = rows[trial[rows] == 0]
            self._try(reached, medical[reached], trial[reached])
            rows = rows[trial[rows] > 0]
