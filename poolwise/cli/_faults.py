"""What a command says when it cannot go on: plain words on standard error, never a traceback."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

from data_specs.errors import PoolwiseError

__all__ = ["FINDINGS", "FINE", "INTERRUPTED", "PARTIAL", "REFUSED", "say_fault", "say_refusal"]

FINE, FINDINGS, REFUSED, PARTIAL = 0, 1, 2, 3
INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


def say_refusal(error: PoolwiseError) -> None:
    """Print the parts of a refusal, a line each."""
    lines = [f"poolwise: {error.what}"]
    parts = (("where", error.where), ("rule", error.rule), ("to do", error.remedy))
    lines += [f"  {name + ':':<7}{text}" for name, text in parts if text]
    sys.stderr.write("\n".join(lines) + "\n")


def say_fault(error: Exception) -> None:
    """Print one line about an exception nobody foresaw, and where the details are."""
    try:
        details = str(_write_details(error))
    except OSError:
        details = "nowhere, because no file could be written"
    sys.stderr.write(
        f"poolwise: this is a fault of poolwise, not of your data ({type(error).__name__}); details were written to "
        f"{details}; POOLWISE_DEBUG=1 shows them in full\n"
    )


def _write_details(error: Exception) -> Path:
    """Write what a developer needs. The text of the exception is left out: it may quote a value of a person."""
    from data_specs._manifest import product_version

    frames = "".join(traceback.format_tb(error.__traceback__))
    kinds = []
    cause: BaseException | None = error
    while cause is not None:
        kinds.append(f"{type(cause).__module__}.{type(cause).__qualname__}")
        cause = cause.__cause__ or cause.__context__
    options = [a.split("=")[0] for a in sys.argv[1:] if a.startswith("-")]
    text = (
        f"poolwise {product_version()}, Python {platform.python_version()}, {platform.platform()}\n"
        f"options given: {' '.join(options)}\n"
        f"{' <- '.join(kinds)} (its text is left out: it may quote data; POOLWISE_DEBUG=1 shows it)\n{frames}"
    )
    handle, name = tempfile.mkstemp(prefix="poolwise-fault-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(text)
    return Path(name)
