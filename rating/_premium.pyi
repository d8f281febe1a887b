"""Types of the premium kernel; the arrays are described in ``_ext/premium.pyx``."""

import numpy as np
from numpy.typing import NDArray

def member_cents(
    plans: NDArray[np.uint32],
    areas: NDArray[np.uint16],
    ages: NDArray[np.uint16],
    tobacco: NDArray[np.uint8],
    units: NDArray[np.uint64],
    multipliers: NDArray[np.uint32],
    shift: int,
    added: int,
    watch: int,
    cents: NDArray[np.int64],
    unsure: NDArray[np.uint32],
) -> int: ...
def product_cents(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    divisor: int,
    added: int,
    cents: NDArray[np.int64],
) -> None: ...
def long_product_cents(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    divisor_high: int,
    divisor_low: int,
    added_high: int,
    added_low: int,
    cents: NDArray[np.int64],
) -> None: ...
def read_decimals(values: NDArray[np.float64], power: float, bound: float, numbers: NDArray[np.int64]) -> int: ...
