"""Types of the text kernel; the arrays are described in ``_ext/encoding.pyx``."""

import numpy as np
from numpy.typing import NDArray

def number_texts(
    views: NDArray[np.uint8],
    buffers: NDArray[np.uint64],
    slot_row: NDArray[np.uint32],
    slot_tag: NDArray[np.uint32],
    numbers: NDArray[np.uint32],
    first_rows: NDArray[np.uint32],
) -> int: ...
def index_texts(
    views: NDArray[np.uint8],
    buffers: NDArray[np.uint64],
    slot_row: NDArray[np.uint32],
    slot_tag: NDArray[np.uint32],
) -> None: ...
def find_texts(
    views: NDArray[np.uint8],
    buffers: NDArray[np.uint64],
    known_views: NDArray[np.uint8],
    known_buffers: NDArray[np.uint64],
    slot_row: NDArray[np.uint32],
    slot_tag: NDArray[np.uint32],
    absent: int,
    out: NDArray[np.uint32],
) -> None: ...
def number_words(
    views: NDArray[np.uint8],
    slots: NDArray[np.uint64],
    numbers: NDArray[np.uint32],
    first_rows: NDArray[np.uint32],
) -> int: ...
def index_keys(
    views: NDArray[np.uint8],
    buffers: NDArray[np.uint64],
    keys: NDArray[np.uint64],
    slots: NDArray[np.uint64],
) -> bool: ...
def find_keys(
    views: NDArray[np.uint8],
    buffers: NDArray[np.uint64],
    known: NDArray[np.uint64],
    slots: NDArray[np.uint64],
    absent: int,
    out: NDArray[np.uint32],
) -> None: ...
