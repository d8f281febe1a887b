"""Types of the actuarial value kernel; the arrays are described in ``_ext/continuance.pyx``."""

import numpy as np
from numpy.typing import NDArray

class Continuance:
    def __init__(
        self,
        *,
        spend: NDArray[np.float64],
        means: NDArray[np.float64],
        cells: NDArray[np.float64],
        damping: NDArray[np.float64],
        tolerance: float,
        lowest_step: float,
        highest_step: float,
        share_power: float,
        even_rows: int,
    ) -> None: ...
    def values(
        self,
        bisect: bool,
        scale_nested: bool,
        metal: NDArray[np.uint8],
        deductible_type: NDArray[np.uint8],
        deductible: NDArray[np.float64],
        plan_coinsurance: NDArray[np.float64],
        moop: NDArray[np.float64],
        subject_to_deductible: NDArray[np.uint8],
        subject_to_coinsurance: NDArray[np.uint8],
        copay_after_deductible: NDArray[np.uint8],
        copay: NDArray[np.float64],
        coinsurance: NDArray[np.float64],
        options: NDArray[np.uint8],
        specialty_cap: NDArray[np.float64],
        values: NDArray[np.float64],
        counted: NDArray[np.float64],
        passes: NDArray[np.int32],
        state: NDArray[np.uint8],
    ) -> None: ...
