"""Types of the grouping kernel; the arrays are described in ``_ext/grouping.pyx``."""

import numpy as np
from numpy.typing import NDArray

def group_rows(owners: NDArray[np.uint32], first: NDArray[np.int64], order: NDArray[np.uint32]) -> int: ...
def union_masks(owners: NDArray[np.uint32], masks: NDArray[np.uint64], out: NDArray[np.uint64]) -> None: ...
def list_bits(
    words: NDArray[np.uint64],
    ids: NDArray[np.uint16],
    kinds: NDArray[np.uint8],
    first: NDArray[np.int64],
    out: NDArray[np.uint16],
) -> int: ...
