"""Types of the text kernel; the arrays are described in ``_ext/encoding.pyx``."""

import numpy as np
from numpy.typing import NDArray

def number_texts(
    views: NDArray[np.uint64],
    seen: NDArray[np.uint64],
    seen_number: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    first_rows: NDArray[np.uint32],
) -> int: ...
