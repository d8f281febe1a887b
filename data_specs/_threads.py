"""Work in chunks over the threads at hand; what the chunks are never depends on how many threads there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from data_specs.errors import SettingRefused

__all__ = ["map_chunks", "thread_count"]


def thread_count() -> int:
    """Return how many threads kernels use: ``POOLWISE_THREADS``, or the processors at hand."""
    text = os.environ.get("POOLWISE_THREADS", "")
    if not text:
        return os.cpu_count() or 1
    if not text.isdigit() or int(text) < 1:
        raise SettingRefused("POOLWISE_THREADS is not a whole number from 1", remedy="unset it, or set 1, 2, ...")
    return int(text)


def map_chunks(run: Callable[[int], object], starts: range) -> None:
    """Call `run` for each start, over the threads at hand; the first error is raised."""
    threads = min(thread_count(), len(starts))
    if threads <= 1:
        for start in starts:
            run(start)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(run, starts):
            pass
