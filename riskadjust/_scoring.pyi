"""Types of the scoring kernel; the arrays are described in ``_ext/scoring.pyx``."""

import numpy as np
from numpy.typing import NDArray

class Rules:
    def __init__(
        self,
        *,
        codes: NDArray[np.uint8],
        code_first: NDArray[np.uint32],
        crosswalk: NDArray[np.uint8],
        hcc_drops: NDArray[np.uint64],
        drug_drops: NDArray[np.uint64],
        model_by_age: NDArray[np.uint8],
        model_payment: NDArray[np.uint64],
        model_uses_drugs: NDArray[np.uint8],
        model_age_bit: NDArray[np.uint16],
        model_first_instruction: NDArray[np.int32],
        model_count_fact: NDArray[np.int32],
        instructions: NDArray[np.int32],
        instruction_masks: NDArray[np.uint64],
        zero_masks: NDArray[np.uint64],
        clauses: NDArray[np.int32],
        terms: NDArray[np.int32],
        term_masks: NDArray[np.uint64],
        coefficients: NDArray[np.int32],
        first_day: int,
        second_window_day: int,
        last_day: int,
    ) -> None: ...
    def set_memo(self, memo: NDArray[np.int32]) -> None: ...
    def score(
        self,
        first: int,
        last: int,
        age_before: NDArray[np.int16],
        birthday: NDArray[np.int32],
        age_last: NDArray[np.int16],
        months: NDArray[np.uint8],
        sex: NDArray[np.uint8],
        diagnosis_first: NDArray[np.int64],
        diagnosis_last: NDArray[np.int64],
        codes: NDArray[np.uint32],
        days: NDArray[np.int32],
        drugs: NDArray[np.uint64],
        scores: NDArray[np.int32],
        models: NDArray[np.uint8],
        hcc_counts: NDArray[np.int16],
        flags: NDArray[np.uint8],
        statuses: NDArray[np.uint8],
        matched_rows: NDArray[np.int32],
        hccs: NDArray[np.uint64],
        states: NDArray[np.uint64],
    ) -> None: ...
