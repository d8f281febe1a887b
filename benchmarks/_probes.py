"""What the machine itself can do, measured in the same process."""

from __future__ import annotations

import numpy as np

_BLOCK = 16_384


class Gather:
    """Reads an array of 32-bit codes and gathers a 64-bit word for each from a table of crosswalk size.

    Block by block into a buffer that stays in the cache, with numpy's ``take`` on one thread: no result is written to
    memory, nothing is decided. It is the least that any scoring of those codes has to do.
    """

    def __init__(self, codes: np.ndarray, entries: int) -> None:
        self._codes = codes
        self._table = np.arange(entries, dtype=np.uint64)
        self._buffer = np.empty(_BLOCK, np.uint64)
        if int(codes.max(initial=0)) >= entries:
            raise ValueError("a code lies outside the table")
        self.run(_BLOCK)
        if not np.array_equal(self._buffer[: min(_BLOCK, len(codes))], codes[:_BLOCK]):
            raise AssertionError("the probe does not gather what it should")

    def run(self, codes: int | None = None) -> None:
        """Gather all of the codes, or so many of them."""
        for begin in range(0, len(self._codes) if codes is None else codes, _BLOCK):
            block = self._codes[begin : begin + _BLOCK]
            np.take(self._table, block, out=self._buffer[: len(block)], mode="clip")
