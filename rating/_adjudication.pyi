"""Types of the adjudication kernel; the arrays are described in ``_ext/adjudication.pyx``."""

import numpy as np
from numpy.typing import NDArray

def adjudicate_enrollees(
    first: NDArray[np.int64],
    groups: NDArray[np.int32],
    services: NDArray[np.uint8],
    allowed: NDArray[np.int64],
    units: NDArray[np.int32],
    days: NDArray[np.int32],
    tiers: NDArray[np.uint8],
    stays: NDArray[np.int32],
    flags: NDArray[np.uint8],
    amounts: NDArray[np.int64],
    counts: NDArray[np.int32],
    limits: NDArray[np.int64],
    joined: NDArray[np.uint8],
    apart: NDArray[np.uint8],
    employer: NDArray[np.int64],
    domains: NDArray[np.uint8],
    rules: int,
    owed: NDArray[np.int64],
    counted: NDArray[np.int64],
    sums: NDArray[np.int64],
    people: NDArray[np.int64],
    lines: NDArray[np.int64],
) -> None: ...
