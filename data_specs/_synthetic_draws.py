"""Deterministic draws for made-up data: a stream of its own for every named step.

A step that is added, or draws more, changes no other step, because each stream is seeded with the market's seed and the
name of its step alone. Only the raw bits of NumPy's PCG64 are used: NumPy guarantees them for every platform and
release, which it does not for the methods of ``Generator``. The arithmetic on top is multiplication, comparison and
truncation, which IEEE 754 fixes to the last bit; there is no logarithm, power or normal deviate, whose last digit may
differ between systems.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Draws", "Stream"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Draws:
    """The streams of one market.

    Parameters
    ----------
    seed : int
        Not negative.
    scope : str
        What else tells this market from others of the same seed: its state, and small group from individual.

    Examples
    --------
    >>> ages = Draws(7, "NY").stream("ages").below(100, 3).tolist()
    >>> ages == Draws(7, "NY").stream("ages").below(100, 3).tolist()
    True
    >>> ages == Draws(7, "NY").stream("sexes").below(100, 3).tolist()
    False
    """

    def __init__(self, seed: int, scope: str) -> None:
        self._seed = seed
        self._scope = scope

    def stream(self, step: str) -> Stream:
        """Return the stream of a named step, from its beginning."""
        digest = hashlib.sha256(f"{self._scope}/{step}".encode()).digest()
        return Stream(np.random.PCG64(np.random.SeedSequence([self._seed, int.from_bytes(digest[:16], "big")])))


class Stream:
    """Draws of one step, in the order in which they are asked for."""

    def __init__(self, bits: np.random.PCG64) -> None:
        self._bits = bits

    def unit(self, count: int) -> Reals:
        """Return numbers spread evenly over 0 (included) to 1 (excluded), of 53 random bits each."""
        raw = np.asarray(self._bits.random_raw(count), dtype=np.uint64)
        np.right_shift(raw, 11, out=raw)
        return raw.astype(np.float64) * 2.0**-53

    def chance(self, probability: float | Reals, count: int) -> Flags:
        """Return a flag per draw, true with the given probability (0 never, 1 always)."""
        return np.asarray(self.unit(count) < probability)

    def below(self, bound: int | NDArray[Any], count: int) -> Integers:
        """Return whole numbers from 0 to below the bound, one bound for all draws or one per draw."""
        return (self.unit(count) * bound).astype(np.int64)

    def pick(self, weights: Sequence[int], count: int) -> Integers:
        """Return positions in `weights`, each drawn in proportion to its whole-numbered weight."""
        return self.pick_by(np.zeros(count, dtype=np.int64), [weights])

    def pick_by(self, rows: Integers, weights: Sequence[Sequence[int]] | Integers) -> Integers:
        """Return a column of `weights` per entry of `rows`, drawn in proportion to the weights of that row.

        Parameters
        ----------
        rows : array
            The row of `weights` that holds for each draw.
        weights : rows of whole numbers
            At least one weight above zero in each row that is used.
        """
        table = np.asarray(weights, dtype=np.int64)
        totals = table.sum(axis=1)
        # The rows are laid end to end on one line of whole numbers, so that one search serves them all.
        starts = np.cumsum(totals) - totals
        edges = (np.cumsum(table, axis=1) + starts[:, None]).ravel()
        position = starts[rows] + self.below(totals[rows], len(rows))
        return np.asarray(np.searchsorted(edges, position, side="right") - rows * table.shape[1])
