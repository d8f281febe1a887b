"""Times of two ways to the same answer, taken in turn, so that a machine whose speed drifts is fair to both."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

Action = Callable[[], object]


def seconds(action: Action) -> float:
    gc.collect()
    begin = time.perf_counter()
    action()
    return time.perf_counter() - begin


def paired(ours: Action, rival: Action, rounds: int) -> list[tuple[float, float]]:
    """Return the seconds of both in each round, after one round that does not count."""
    ours(), rival()
    return [(seconds(ours), seconds(rival)) for _ in range(rounds)]


def ratio(ours: Action, rival: Action, rounds: int = 5) -> float:
    """Return how many times as long the rival takes: the median over rounds of two neighboring runs."""
    return statistics.median(b / a for a, b in paired(ours, rival, rounds))


def typical(action: Action, rounds: int = 5) -> float:
    """Return the median seconds of an action, after one run that does not count."""
    action()
    return statistics.median(seconds(action) for _ in range(rounds))
