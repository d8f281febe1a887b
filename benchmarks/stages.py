"""Print where the time of one ``riskadjust.score`` goes, step by step.

    python benchmarks/stages.py [ENROLLEES]

A million enrollees unless told otherwise, ten diagnoses each in no order, 30 % mapped. Times include what a step calls.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # behind the installed packages

from benchmarks import _data
from benchmarks.scoring import score

SMALLEST_SHARE = 0.02


def main(arguments: list[str]) -> None:
    year = _data.made_up_year(int(arguments[0]) if arguments else 1_000_000, mapped_share=0.3)
    score(year)
    begin, begin_processor = time.perf_counter(), time.process_time()
    score(year)
    seconds, processor = time.perf_counter() - begin, time.process_time() - begin_processor
    profile = cProfile.Profile()
    profile.runcall(score, year)
    print(f"{seconds:.2f} s, {processor / seconds:.2f} processors at work on average\n")
    print("| step | share | seconds |\n|---|---:|---:|")
    rows = []
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = Path(file)
        if path.parent.name == "riskadjust" and not name.startswith("<"):
            rows.append((cumulative, f"{path.stem}.{name}"))
    whole = max(row[0] for row in rows)
    for cumulative, name in sorted(rows, reverse=True):
        if cumulative >= SMALLEST_SHARE * whole:
            print(f"| `{name}` | {cumulative / whole:.0%} | {cumulative / whole * seconds:.2f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
