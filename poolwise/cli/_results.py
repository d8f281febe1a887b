"""What a scoring run hands over: its tables as files, as a JSON document, and on the screen."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.cli._faults import FINDINGS, FINE, PARTIAL
from poolwise.cli._screen import plural, show_table
from poolwise.report import _summary

if TYPE_CHECKING:
    from rich.console import Console

    from riskadjust import Scores

__all__ = ["Outcome", "show_counts", "show_explanation", "show_findings", "write_table"]

_LISTS = ("hccs", "rxcs", "variables")
_MOST_CODES = 6
_HEADINGS = (
    ("model", "left"),
    ("metal", "left"),
    ("people", "right"),
    ("mean score", "right"),
    ("CSR-adjusted", "right"),
    ("with HCC", "right"),
    ("months", "right"),
)


class Outcome:
    """A scoring run with all that is said about it.

    Parameters
    ----------
    result : Scores
        Of a run with explain=True.
    explain : bool
        Whether the lists hccs, rxcs and variables were asked for.
    explanation : DataFrame, optional
        Scores taken apart.
    notes : list of str
        Further remarks for the reader.
    partial : bool
        Whether part of what was asked for could not be done.
    """

    def __init__(
        self,
        result: Scores,
        *,
        explain: bool,
        explanation: pl.DataFrame | None = None,
        notes: list[str] | None = None,
        partial: bool = False,
    ) -> None:
        self.result, self.explanation, self.partial = result, explanation, partial
        self.scores = result.scores if explain else result.scores.drop(_LISTS)
        self.notes = list(notes or ())
        self.counts = _summary.in_reading_order(result.counts)
        self.summary = _summary.by_model_and_metal(result.scores)
        self.total = _summary.overall(result.scores)
        if result.scores.height == 0:
            self.notes.append("nobody was scored: see the findings, and whether the benefit year is the right one")

    @property
    def exit_code(self) -> int:
        """Return 3 when part of the task was left, 1 when an error was found or nobody was scored, else 0."""
        if self.partial:
            return PARTIAL
        has_errors = "error" in self.result.findings["severity"].to_list()
        return FINDINGS if has_errors or self.result.scores.height == 0 else FINE

    def write(self, folder: Path, form: str) -> None:
        """Write the tables of the run into a folder; `form` (parquet, csv) is that of scores and explanation."""
        write_table(self.scores, folder / f"scores.{form}")
        if self.explanation is not None:
            write_table(self.explanation, folder / f"explanation.{form}")
        write_table(self.result.findings, folder / "findings.csv")
        write_table(self.counts, folder / "counts.csv")
        write_table(self.summary, folder / "summary.csv")
        for table, rows in self.result.rejected.items():
            if rows.height:
                write_table(rows, folder / f"rejected_{table}.csv")

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document, without the scores of people that were not asked for by name."""
        result = self.result
        document: dict[str, Any] = {
            "benefit_year": result.benefit_year,
            "summary": self.summary.to_dicts(),
            "total": self.total.to_dicts()[0] if self.total.height else None,
            "counts": self.counts.to_dicts(),
            "findings": result.findings.to_dicts(),
            "uncertain": result.uncertain.to_dicts(),
            "settings": result.settings,
            "tables": result.tables,
            "notes": self.notes,
            "exit_code": self.exit_code,
        }
        return document

    def show(self, console: Console) -> None:
        """Show the run to a person."""
        _show_summary(console, self)
        show_counts(console, self.counts)
        show_findings(console, self.result.findings)
        _show_uncertain(console, self.result.uncertain)
        for note in self.notes:
            console.print(f"Note: {note}")


def write_table(frame: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet or CSV, as the ending of the path says; lists become text in CSV."""
    if path.suffix == ".parquet":
        frame.write_parquet(path, compression="zstd")
        return
    frame.select(_as_text(c, d) for c, d in frame.schema.items()).write_csv(path, line_terminator="\n")


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as CSV can hold it: lists joined by spaces, evidence by semicolons."""
    whole = pl.col(column)
    if not dtype.is_nested():
        return whole
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():
        return whole.cast(pl.List(pl.String)).list.join(" ")
    if isinstance(dtype, pl.List) and isinstance(dtype.inner, pl.Struct):
        parts = pl.concat_str(
            [pl.element().struct.field(f.name).cast(pl.String) for f in dtype.inner.fields],
            separator=" ",
            ignore_nulls=True,
        )
        return whole.list.eval(parts).list.join("; ")
    return pl.struct(whole).struct.json_encode().alias(column)


def _show_summary(console: Console, outcome: Outcome) -> None:
    title = f"HHS-HCC risk scores, benefit year {outcome.result.benefit_year}"
    rows = [_summary_cells(row) for row in outcome.summary.rows()]
    total = _summary_cells(outcome.total.row(0)) if rows else []
    show_table(console, title, _HEADINGS, rows, total=total)


def _summary_cells(row: tuple[Any, ...]) -> list[str]:
    model, metal, people, score, adjusted, share, months = row
    return [
        str(model),
        str(metal).replace("_", " "),
        f"{people:,}",
        _number(score, ".3f"),
        _number(adjusted, ".3f"),
        _number(share, ".1%"),
        _number(months, ".1f"),
    ]


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)


def show_counts(console: Console, counts: pl.DataFrame) -> None:
    """Show how many rows of each table were read, accepted and rejected."""
    columns = [("table", "left"), ("input", "right"), ("accepted", "right"), ("rejected", "right")]
    rows = [[name, *(f"{n:,}" for n in numbers)] for name, *numbers in counts.rows()]
    show_table(console, "Rows", columns, rows)


def show_findings(console: Console, findings: pl.DataFrame) -> None:
    """Show the rules that fired, errors first to the eye."""
    if findings.height == 0:
        console.print("No findings.")
        return
    columns = [("rule", "left"), ("severity", "left"), ("table", "left"), ("rows", "right"), ("what", "left")]
    found = findings.select("rule_id", "severity", "table", "rows", "condition").rows()
    rows = [[rule, severity, table, f"{number:,}", what] for rule, severity, table, number, what in found]
    styles = {"error": "bold red", "warning": "yellow"}
    show_table(console, "Findings", columns, rows, styles=[styles.get(row[1], "") for row in rows])


def _show_uncertain(console: Console, uncertain: pl.DataFrame) -> None:
    if uncertain.height == 0:
        console.print("No figure marked uncertain took part.")
        return
    columns = [("scores", "right"), ("figure", "left"), ("table", "left")]
    rows = [[f"{number:,}", what, table] for table, what, number in uncertain.rows()]
    show_table(console, "Uncertain figures that took part", columns, rows)


def show_explanation(console: Console, explanation: pl.DataFrame) -> None:
    """Show the scores of some enrollees taken apart, a table for each line of scores."""
    shown = ("variable", "coefficient", "evidence", "metal_level")
    keys = [c for c in explanation.columns if c not in shown]
    columns = [("variable", "left"), ("coefficient", "right"), ("caused by", "left")]
    columns = columns if "evidence" in explanation.columns else columns[:2]
    for lines in explanation.partition_by([*keys, "metal_level"], maintain_order=True):
        first = lines.row(0, named=True)
        title = "  ".join(str(first[k]) for k in (*keys, "metal_level") if first[k] is not None)
        rows = [_explained(line)[: len(columns)] for line in lines.rows(named=True)]
        total = math.fsum(lines["coefficient"].to_list())
        show_table(console, title, columns, rows, total=["risk score", f"{total:.3f}"])


def _explained(line: dict[str, Any]) -> list[str]:
    return [line["variable"], f"{line['coefficient']:.3f}", _evidence(line.get("evidence", []))]


def _evidence(events: list[dict[str, Any]]) -> str:
    """Return the codes of sorted events, each with its first date and how many more there are."""
    by_code: dict[str, list[Any]] = {}
    for event in events:
        by_code.setdefault(event["code"], []).append(event["service_date"])
    shown = []
    for code, dates in list(by_code.items())[:_MOST_CODES]:
        more = f" (+{len(dates) - 1})" if len(dates) > 1 else ""
        shown.append(" ".join([code, *(str(d) for d in dates[:1] if d is not None)]) + more)
    rest = len(by_code) - len(shown)
    return "; ".join(shown) + (f"; and {plural(rest, 'more code')}" if rest > 0 else "")
