"""How long it takes until something happens: the imports, and the command's help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import _clock


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _command() -> str:
    folder = Path(sys.executable).parent
    for name in ("poolwise", "poolwise.exe"):
        if (folder / name).is_file():
            return str(folder / name)
    raise NotImplementedError("the poolwise command is not installed beside this Python")


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

    def time_poolwise_help(self) -> None:
        _run(_command(), "--help")

    def track_help_over_python(self) -> float:
        command = _command()
        return _clock.ratio(lambda: _run(sys.executable, "-c", ""), lambda: _run(command, "--help"), 9)

    track_help_over_python.unit = "times as long"  # type: ignore[attr-defined]
