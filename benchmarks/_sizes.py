"""How large the benchmarks are: ``POOLWISE_BENCH_SIZE`` is ``small`` (minutes, the default) or ``large``."""

from __future__ import annotations

import os

SIZE = os.environ.get("POOLWISE_BENCH_SIZE", "small")
if SIZE not in ("small", "large"):
    raise ValueError("POOLWISE_BENCH_SIZE is small or large")

ENROLLEES = {"small": [100_000], "large": [1_000_000, 5_000_000]}[SIZE]
KERNEL_ENROLLEES = {"small": [200_000], "large": [1_000_000]}[SIZE]
RIVAL_PEOPLE = {"small": 1_000, "large": 4_000}[SIZE]  # hccpy takes about a millisecond for each
