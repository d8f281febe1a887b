"""How long it takes until something happens: the imports, and the command's help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from asv_runner.benchmarks.mark import SkipNotImplemented

from benchmarks import _clock


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _command() -> str:
    folder = Path(sys.executable).parent
    for name in ("poolwise", "poolwise.exe"):
        if (folder / name).is_file():
            return str(folder / name)
    raise SkipNotImplemented("the poolwise command is not installed beside this Python")


_ONE_SCORE = """
import datetime, polars as pl, riskadjust
day = datetime.date
enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [day(1980, 3, 10)], "sex": ["M"]})
spans = pl.DataFrame({"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["01"],
    "metal_level": ["silver"], "span_start": [day(2025, 1, 1)], "span_end": [day(2025, 12, 31)]})
diagnoses = pl.DataFrame({"enrollee_id": ["A"], "diagnosis_code": ["E1169"], "service_date": [day(2025, 6, 15)]})
result = riskadjust.score(enrollees, spans, diagnoses, benefit_year=2025)
assert result.scores["risk_score"].to_list() == [0.336]
"""


class Start:
    """Whole processes, files already in the system's cache."""

    number, repeat = 1, 10

    def setup(self) -> None:
        self.check = subprocess.run(
            [sys.executable, "-c", "import riskadjust; print(riskadjust.score.__name__)"],
            check=True,
            capture_output=True,
            text=True,
        )
        if self.check.stdout.strip() != "score":
            raise AssertionError("riskadjust does not import")

    def time_python(self) -> None:
        _run(sys.executable, "-c", "")

    def time_import_riskadjust(self) -> None:
        _run(sys.executable, "-c", "import riskadjust")

    def time_import_polars(self) -> None:
        _run(sys.executable, "-c", "import polars")

    def time_first_score(self) -> None:
        """One enrollee: the imports, reading and checking the year's tables, compiling its rules."""
        _run(sys.executable, "-c", _ONE_SCORE)

    def time_poolwise_help(self) -> None:
        _run(_command(), "--help")

    def track_help_over_python(self) -> float:
        command = _command()
        return _clock.ratio(lambda: _run(sys.executable, "-c", ""), lambda: _run(command, "--help"), 9)

    track_help_over_python.unit = "times as long"  # type: ignore[attr-defined]
