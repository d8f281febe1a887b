"""What actuarial values hand over: tables as files, one JSON document, a page, and what a person sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.cli._av_levers import reached
from poolwise.cli._faults import FINDINGS, FINE, PARTIAL
from poolwise.cli._outcome import RunOutcome
from poolwise.cli._results import show_counts, show_findings, write_table
from poolwise.cli._screen import plural, show_table
from poolwise.report._av_words import (
    NOT_FEDERAL,
    distance_words,
    flag_words,
    legal_words,
    lever_reason,
    lever_value,
    lever_words,
    percent,
    windows_in_words,
)
from poolwise.report._quote_words import metal

if TYPE_CHECKING:
    from rich.console import Console

    from rating import ActuarialValues, SolvedLevers
    from rating._av_columns import DesignColumns

__all__ = ["LEVERS", "PAGE", "Target", "ValueOutcome"]

PAGE = "av.html"
_MOST_ROWS = 100  # on the screen
LEVERS = {
    "design_id": pl.String,
    "lever": pl.String,
    "value_now": pl.Float64,
    "value": pl.Float64,
    "av": pl.Float64,
    "reason": pl.String,
}


@dataclass(frozen=True)
class Target:
    """A value that was asked for, the lever that is to reach it, and what came of it."""

    target_av: float
    lever: str
    solved: SolvedLevers


class ValueOutcome(RunOutcome):
    """Actuarial values with all that is said about them.

    Parameters
    ----------
    result : ActuarialValues
        Of the designs.
    designs : DesignColumns
        The designs, in the order of the result.
    plan_year : int
        Of the result.
    levers : SolvedLevers, optional
        What would bring designs into their windows.
    target : Target, optional
        A value that was asked for.
    left_out : int
        Designs of another year.
    notes : sequence of str
        Further remarks.
    lists : mapping of DataFrame, optional
        What else is said of the designs, by the name of its file.
    settings : DataFrame, optional
        Every setting used, where that is more than those of the values.
    """

    def __init__(
        self,
        result: ActuarialValues,
        designs: DesignColumns,
        *,
        plan_year: int,
        levers: SolvedLevers | None = None,
        target: Target | None = None,
        left_out: int = 0,
        notes: Sequence[str] = (),
        lists: Mapping[str, pl.DataFrame] | None = None,
        settings: pl.DataFrame | None = None,
    ) -> None:
        super().__init__(result, plan_year=plan_year, notes=[NOT_FEDERAL, *notes])
        self.result, self.designs, self.target = result, designs, target
        self.found_levers = None if levers is None else levers.designs
        self.levers = pl.DataFrame(schema=LEVERS) if levers is None else reached(levers.designs)
        self.settings = self.settings if settings is None else settings
        for run in [levers, *([] if target is None else [target.solved])]:
            self.tables = self.tables if run is None else sorted({*self.tables, *run.tables})
        if target is not None:
            self.findings = pl.concat([self.findings, _of_levers(target.solved.findings)]).sort("rule_id", "table")
        self._left_out, self._lists = left_out, dict(lists or {})

    @property
    def exit_code(self) -> int:
        """Return 3 when part of the task was left, 1 when a design has no value or misses its window, else 0."""
        missed = self.target is not None and not self.target.solved.designs["is_reached"].all()
        if self._left_out or missed:
            return PARTIAL
        has_errors = "error" in self.findings["severity"].to_list()
        return FINDINGS if has_errors or not self.result.designs["in_range"].all() else FINE

    def write(self, folder: Path, form: str) -> None:
        """Write the tables into a folder; `form` (parquet, csv) is that of designs and levers."""
        write_table(self.result.designs, folder / f"designs.{form}")
        if self.found_levers is not None:
            write_table(self.found_levers, folder / f"levers.{form}")
        if self.target is not None:
            write_table(self.target.solved.designs, folder / f"solved.{form}")
        for name, rows in self.result.refused.items():
            if rows.height:
                write_table(rows, folder / f"rejected_{name}.csv")
        for name, rows in self._lists.items():
            write_table(rows, folder / f"{name}.csv")
        self.write_lists(folder)

    def draw(self, folder: Path) -> None:
        """Write the page."""
        from poolwise.report import av_page

        number = self.result.designs.height
        title = f"Actuarial value of {plural(number, 'design')}, plan year {self.plan_year}"
        self.write_page(
            folder / PAGE,
            lambda: av_page(
                self.result,
                self.designs,
                plan_year=self.plan_year,
                title=title,
                levers=self.levers,
                # The page says in its own place that it is not the federal calculator.
                notes=[note for note in self.notes if note != NOT_FEDERAL],
            ),
        )

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document."""
        target = self.target
        return {
            "plan_year": self.plan_year,
            "designs": self.result.designs.to_dicts(),
            "levers": self.levers.to_dicts(),
            "target_av": None if target is None else target.target_av,
            "lever": None if target is None else target.lever,
            "solved": [] if target is None else target.solved.designs.to_dicts(),
            "refused": {name: rows.to_dicts() for name, rows in self.result.refused.items()},
            **self.lists(self.exit_code),
        }

    def show(self, console: Console) -> None:
        """Show the run to a person."""
        self._show_designs(console)
        self._show_refused(console)
        self._show_levers(console)
        self._show_target(console)
        if self.counts["rejected"].sum():
            show_counts(console, self.counts)
        show_findings(console, self.findings)
        self.show_end(console)

    def _show_designs(self, console: Console) -> None:
        found, settings = self.result.designs, self.settings_by_name()
        windows = windows_in_words(found, self.plan_year, settings["legal_state"])
        state = legal_words(settings["legal_state"])
        title = f"Actuarial value of {plural(found.height, 'design')}, plan year {self.plan_year}; windows {state}"
        sides = {"AV": "right", "points off": "right", "passes": "right"}
        names = ("design", "AV", "metal", "window", "points off", "status", "passes", "flags")
        rows = [
            [
                row["design_id"],
                percent(row["av"]),
                "none" if row["metal_level"] is None else metal(row["metal_level"]),
                # Under the name of its own metal the ends are enough.
                window.removeprefix(f"{metal(row['metal_level'])} ") if row["metal_level"] else window,
                distance_words(row["distance_to_window"]),
                row["av_status"],
                f"{row['iterations']:,}",
                flag_words(row["flags"]),
            ]
            for row, window in zip(found.head(_MOST_ROWS).rows(named=True), windows, strict=False)
        ]
        styles = ["" if fits else "yellow" for fits in found["in_range"].head(_MOST_ROWS)]
        show_table(console, title, [(name, sides.get(name, "left")) for name in names], rows, styles=styles)
        if found.height > _MOST_ROWS:
            console.print(f"... and {found.height - _MOST_ROWS:,} more; --out DIR writes them all.\n")

    def _show_refused(self, console: Console) -> None:
        refused = self.result.refused.get("designs")
        if refused is None or not refused.height:
            return
        columns = [("design", "left"), ("why it has no value", "left"), ("where", "left"), ("to do", "left")]
        rows = [list(row) for row in refused.select("design_id", "what", "where", "remedy").head(_MOST_ROWS).rows()]
        show_table(console, "Designs without a value", columns, rows)

    def _show_levers(self, console: Console) -> None:
        if not self.levers.height:
            return
        columns = [("design", "left"), ("lever", "left"), ("now", "right"), ("then", "right"), ("AV then", "right")]
        rows = [
            [
                row["design_id"],
                lever_words(row["lever"]),
                "" if row["av"] is None else lever_value(row["lever"], row["value_now"]),
                "" if row["av"] is None else lever_value(row["lever"], row["value"]),
                "" if row["av"] is None else percent(row["av"]),
            ]
            for row in self.levers.head(_MOST_ROWS).rows(named=True)
        ]
        show_table(console, "What would bring a design into its window, one lever at a time", columns, rows)

    def _show_target(self, console: Console) -> None:
        if self.target is None:
            return
        lever = self.target.lever
        title = f"The {lever_words(lever)} at which the value is {percent(self.target.target_av)}"
        columns = [("design", "left"), (lever_words(lever), "right"), ("AV", "right"), ("not reached because", "left")]
        rows = [
            [
                row["design_id"],
                lever_value(lever, row["value"]),
                percent(row["av"]),
                lever_reason(row["reason"]),
            ]
            for row in self.target.solved.designs.head(_MOST_ROWS).rows(named=True)
        ]
        show_table(console, title, columns, rows)


def _of_levers(findings: pl.DataFrame) -> pl.DataFrame:
    """Return the findings about a search; those about the designs are known."""
    from data_specs import table

    rules = table("av/design_rules")
    own = rules.filter(rules["flag"].str.starts_with("lever_"))["rule_id"].to_list()
    return findings.filter(pl.col("rule_id").is_in(own))
