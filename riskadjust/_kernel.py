"""Flat arrays in, one pass of the kernel over fixed chunks of enrollees, flat arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs._threads import map_chunks

if TYPE_CHECKING:
    from riskadjust._model import YearModel

__all__ = ["Enrollees", "KernelResult", "run_kernel"]

# The chunk never depends on the number of threads, so neither does any result.
CHUNK = 16_384
STATE_WORDS = 8
HCC_WORDS = 3
MISSING_DAY = -(2**31)


@dataclass(frozen=True)
class Enrollees:
    """What the kernel reads: a cell per enrollee, and the enrollee's stretch of the diagnosis arrays.

    `birthday` is the birthday in the benefit year and `day` a service date, both in days since 1970-01-01;
    `age_before` is the age in years before that birthday. `sex` is 1 male, 2 female. `drugs` holds the bits of the
    drug categories that the enrollee's codes map to.
    """

    age_before: np.ndarray
    birthday: np.ndarray
    age_last: np.ndarray
    months: np.ndarray
    sex: np.ndarray
    diagnosis_first: np.ndarray
    diagnosis_last: np.ndarray
    code_ids: np.ndarray
    days: np.ndarray
    drugs: np.ndarray

    @classmethod
    def without_codes(cls, *, sex: np.ndarray, age_last: np.ndarray, months: np.ndarray) -> Enrollees:
        """Return enrollees who have no diagnosis and no drug."""
        number = len(sex)
        return cls(
            age_before=np.zeros(number, np.int16),
            birthday=np.zeros(number, np.int32),
            age_last=age_last.astype(np.int16),
            months=months.astype(np.uint8),
            sex=sex.astype(np.uint8),
            diagnosis_first=np.zeros(number, np.int64),
            diagnosis_last=np.zeros(number, np.int64),
            code_ids=np.zeros(0, np.uint32),
            days=np.zeros(0, np.int32),
            drugs=np.zeros(number, np.uint64),
        )


@dataclass(frozen=True)
class KernelResult:
    """What the kernel writes: thousandths by metal, model, HCC count (-1: none), flags; statuses by diagnosis.

    `matched_rows`, `hccs` and `states` are empty unless asked for.
    """

    scores: np.ndarray
    models: np.ndarray
    hcc_counts: np.ndarray
    flags: np.ndarray
    statuses: np.ndarray
    matched_rows: np.ndarray
    hccs: np.ndarray
    states: np.ndarray


def run_kernel(
    model: YearModel, enrollees: Enrollees, *, with_states: bool = False, with_rows: bool = False
) -> KernelResult:
    """Return the scores of enrollees under the rules of a year.

    Parameters
    ----------
    model, enrollees
        Compiled rules and checked arrays; ages are 0 to 255, months 0 to 12, code ids those of the model.
    with_states : bool
        Keep the HCCs after the hierarchy and the final state of each enrollee, for lists and explanations.
    with_rows : bool
        Keep the crosswalk row that each diagnosis matched.
    """
    number, diagnoses = len(enrollees.sex), len(enrollees.code_ids)
    kept = number if with_states else 0
    result = KernelResult(
        scores=np.zeros((number, 5), np.int32),
        models=np.zeros(number, np.uint8),
        hcc_counts=np.zeros(number, np.int16),
        flags=np.zeros(number, np.uint8),
        statuses=np.zeros(diagnoses, np.uint8),
        matched_rows=np.zeros(diagnoses if with_rows else 0, np.int32),
        hccs=np.zeros((kept, HCC_WORDS), np.uint64),
        states=np.zeros((kept, STATE_WORDS), np.uint64),
    )

    def run(first: int) -> None:
        model.rules.score(
            first,
            min(first + CHUNK, number),
            enrollees.age_before,
            enrollees.birthday,
            enrollees.age_last,
            enrollees.months,
            enrollees.sex,
            enrollees.diagnosis_first,
            enrollees.diagnosis_last,
            enrollees.code_ids,
            enrollees.days,
            enrollees.drugs,
            result.scores,
            result.models,
            result.hcc_counts,
            result.flags,
            result.statuses,
            result.matched_rows,
            result.hccs,
            result.states,
        )

    map_chunks(run, range(0, number, CHUNK))
    return result
