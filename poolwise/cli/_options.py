"""Options that several commands have, and how a command says its last word."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol

import typer

__all__ = ["AsJson", "Form", "Out", "Overlays", "finish"]


class Form(StrEnum):
    """File format of result tables."""

    parquet = "parquet"
    csv = "csv"


Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Folder for the results; an earlier result is replaced as a whole.")
]
Overlays = Annotated[
    list[Path] | None, typer.Option(metavar="DIR", help="Folder of your own tables, on top of ours; may be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


class Shown(Protocol):
    """What a run came to, on the screen and as a document."""

    @property
    def exit_code(self) -> int:
        """Return the code that the command ends with."""

    def document(self) -> dict[str, Any]:
        """Return all of it for `--json`."""

    def show(self, console: Any) -> None:
        """Print it."""


def finish(command: str, outcome: Shown, out: Path | None, *, as_json: bool) -> NoReturn:
    """Print the outcome of a command, name the folder of its results, and end with its exit code.

    Raises
    ------
    typer.Exit
        Always.
    """
    from poolwise.cli._screen import json_document, screen

    if as_json:
        json_document({"command": command, "out": None if out is None else str(out), **outcome.document()})
    else:
        outcome.show(screen())
        if out is not None:
            # Not wrapped by the console: a path is copied as one piece.
            typer.echo(f"Results: {out}")
    raise typer.Exit(outcome.exit_code)
