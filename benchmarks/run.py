"""Run the benchmarks in this environment and print the report: what ``make bench`` does.

    python benchmarks/run.py [options of "asv run", say --bench Kernel]

``POOLWISE_BENCH_SIZE=large`` takes 1 and 5 million enrollees (half an hour, 16 GB); the default takes a few minutes.
Results are kept under ``.asv/results`` for the commit at hand; what changed since it was committed is not noticed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MACHINE = "local"  # results name no host


def main(arguments: list[str]) -> int:
    """Return the exit code of asv: 0 when every benchmark ran."""
    asv = [sys.executable, "-m", "asv"]
    config = ["--config", str(HERE / "asv.conf.json")]
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=HERE, check=True, capture_output=True, text=True)
    known = subprocess.run([*asv, "machine", "--yes", "--machine", MACHINE, *config], capture_output=True, check=False)
    if known.returncode:
        sys.stderr.buffer.write(known.stdout + known.stderr)
        return known.returncode
    command = [*asv, "run", *config, "--machine", MACHINE, "--python", "same", "--show-stderr"]
    # Spawned, not forked: a process forked from one whose Polars threads run may hang.
    command += ["--launch-method", "spawn", "--set-commit-hash", commit.stdout.strip(), *arguments]
    code = subprocess.run(command, check=False, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode
    subprocess.run([sys.executable, str(HERE / "report.py")], check=False)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
