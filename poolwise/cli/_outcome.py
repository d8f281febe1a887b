"""What every run over households or designs hands over besides its rows: lists as files, in JSON, on the screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import ExtraMissing
from poolwise.cli._results import write_table
from poolwise.cli._screen import show_table

if TYPE_CHECKING:
    from rich.console import Console

    from rating import Outcome, QuoteFiles

__all__ = ["RunOutcome"]

_KEYS = ["table", "what", "moved"]


class RunOutcome:
    """What a run says besides its rows.

    Parameters
    ----------
    result : rating.Outcome or rating.QuoteFiles
        What the run handed over.
    plan_year : int
        Its plan year.
    notes : sequence of str
        Further remarks for the reader.
    uncertain : DataFrame, optional
        Uncertain figures besides those of the result.
    """

    def __init__(
        self,
        result: Outcome | QuoteFiles,
        *,
        plan_year: int,
        notes: Sequence[str] = (),
        uncertain: pl.DataFrame | None = None,
    ) -> None:
        self.plan_year, self.tables = plan_year, result.tables
        self.findings, self.counts, self.settings = result.findings, result.counts, result.settings
        self.uncertain = result.uncertain if uncertain is None else _added(result.uncertain, uncertain)
        self.notes = list(notes)

    def settings_by_name(self) -> dict[str, str]:
        """Return every setting with the value used."""
        return dict(self.settings.select("setting", "value").rows())

    def write_lists(self, folder: Path) -> None:
        """Write findings, counts, settings and uncertain figures into a folder."""
        for name in ("findings", "counts", "settings", "uncertain"):
            write_table(getattr(self, name), folder / f"{name}.csv")

    def write_page(self, path: Path, draw: Callable[[], str]) -> None:
        """Write a page; where the extra that draws it is missing, say so and go on."""
        try:
            page = draw()
        except ExtraMissing as error:
            self.notes.append(f"no page was drawn: {error}")
            return
        path.write_text(page, encoding="utf-8", newline="\n")

    def lists(self, exit_code: int) -> dict[str, Any]:
        """Return the same, and all else that closes a JSON document."""
        return {
            **{n: getattr(self, n).to_dicts() for n in ("counts", "findings", "uncertain", "settings")},
            "tables": self.tables,
            "notes": self.notes,
            "exit_code": exit_code,
        }

    def show_end(self, console: Console) -> None:
        """Show uncertain figures, settings that were given, and notes."""
        if self.uncertain.height:
            columns = [("figure", "left"), ("moved", "left"), ("rows", "right")]
            rows = [[what, moved, f"{n:,}"] for what, moved, n in self.uncertain.select("what", "moved", "rows").rows()]
            show_table(console, "Uncertain figures that took part", columns, rows)
        given = self.settings.filter(pl.col("source") == "given")
        for name, value in given.select("setting", "value").rows():
            console.print(f"Setting: {name} = {value}")
        for note in self.notes:
            console.print(f"Note: {note}", soft_wrap=True)


def _added(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    both = pl.concat([one, other.select(one.columns)])
    return both.group_by(_KEYS).agg(pl.col("rows").sum()).select(one.columns).sort(_KEYS)
