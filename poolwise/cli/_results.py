"""What a scoring run hands over: its tables as files, as a JSON document, and on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import OutputRefused
from poolwise.cli._faults import FINDINGS, FINE, PARTIAL
from poolwise.cli._screen import new_table, plural
from poolwise.report import _summary

if TYPE_CHECKING:
    from rich.console import Console

    from riskadjust import Scores

__all__ = ["Outcome", "diy_explanation", "show_explanation"]

_LISTS = ("hccs", "rxcs", "variables")
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
        self.summary = _summary.by_model_and_metal(result.scores)
        self.total = _summary.overall(result.scores)
        if result.scores.height == 0:
            self.notes.append("nobody was scored: see the findings, and whether the benefit year is the right one")

    @property
    def exit_code(self) -> int:
        """Return 3 when part of the task was left, 1 when rows were rejected for errors or nobody was scored, else 0."""
        if self.partial:
            return PARTIAL
        has_errors = "error" in self.result.findings["severity"].to_list()
        return FINDINGS if has_errors or self.result.scores.height == 0 else FINE

    def write(self, folder: Path, form: str) -> None:
        """Write the tables of the run into a folder; `form` (parquet, csv) is that of scores and explanation."""
        try:
            _write(self.scores, folder / f"scores.{form}")
            if self.explanation is not None:
                _write(self.explanation, folder / f"explanation.{form}")
            _write(self.result.findings, folder / "findings.csv")
            _write(self.result.counts, folder / "counts.csv")
            _write(self.summary, folder / "summary.csv")
            for table, rows in self.result.rejected.items():
                if rows.height:
                    _write(rows, folder / f"rejected_{table}.csv")
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise OutputRefused(
                f"the results cannot be written: {reason}", where=str(folder.parent), remedy="free space, or write elsewhere"
            ) from None

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document, without the scores of people that were not asked for by name."""
        result = self.result
        document: dict[str, Any] = {
            "benefit_year": result.benefit_year,
            "summary": self.summary.to_dicts(),
            "total": self.total.to_dicts()[0] if self.total.height else None,
            "counts": result.counts.to_dicts(),
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
        _show_counts(console, self.result.counts)
        _show_findings(console, self.result.findings)
        _show_uncertain(console, self.result.uncertain)
        for note in self.notes:
            console.print(f"Note: {note}")


def diy_explanation(scores: pl.DataFrame, benefit_year: int) -> pl.DataFrame:
    """Return every variable of every score of the DIY layout with the coefficient of the own metal level."""
    from data_specs import table

    metals = ("platinum", "gold", "silver", "bronze", "catastrophic")
    coefficients = (
        table("hhs_hcc/coefficients", year=benefit_year)
        .select("model", pl.col("cms_variable").alias("variable"), *metals)
        .unpivot(metals, index=["model", "variable"], variable_name="metal_level", value_name="coefficient")
    )
    keys = ["enrollee_id", "metal_level", "csr_indicator"]
    lines = scores.select(*keys, "model", pl.col("variables").alias("variable")).explode("variable", empty_as_null=False)
    return (
        lines.join(
            coefficients,
            on=["model", "variable", "metal_level"],
            how="left",
            maintain_order="left",
            validate="m:1",
        )
        .select(*keys, "variable", "coefficient")
        .sort(*keys, "variable")
    )


def _write(frame: pl.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        frame.write_parquet(path, compression="zstd")
        return
    frame.select(_as_text(c, d) for c, d in frame.schema.items()).write_csv(path, line_terminator="\n")


def _as_text(column: str, dtype: pl.DataType) -> pl.Expr:
    """Return a column as CSV can hold it: lists joined by spaces, evidence by semicolons."""
    whole = pl.col(column)
    if not dtype.is_nested():
        return whole
    if isinstance(dtype, pl.List) and not dtype.inner.is_nested():  # type: ignore[attr-defined]
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
    result = outcome.result
    table = new_table(f"HHS-HCC risk scores, benefit year {result.benefit_year}", _HEADINGS)
    last = outcome.summary.height - 1
    for number, row in enumerate(outcome.summary.rows()):
        table.add_row(*_summary_cells(row), end_section=number == last)
    for row in outcome.total.rows():
        table.add_row(*_summary_cells(row))
    console.print(table)


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


def _show_counts(console: Console, counts: pl.DataFrame) -> None:
    table = new_table("Rows", [("table", "left"), ("input", "right"), ("accepted", "right"), ("rejected", "right")])
    for name, *numbers in counts.rows():
        table.add_row(name, *(f"{n:,}" for n in numbers))
    console.print(table)


def _show_findings(console: Console, findings: pl.DataFrame) -> None:
    if findings.height == 0:
        console.print("No findings.")
        return
    columns = [("rule", "left"), ("severity", "left"), ("table", "left"), ("rows", "right"), ("what", "left")]
    table = new_table("Findings", columns)
    styles = {"error": "bold red", "warning": "yellow"}
    for row in findings.select("rule_id", "severity", "table", "rows", "condition").rows():
        rule, severity, name, rows, condition = row
        table.add_row(rule, severity, name, f"{rows:,}", condition, style=styles.get(severity, ""))
    console.print(table)


def _show_uncertain(console: Console, uncertain: pl.DataFrame) -> None:
    if uncertain.height == 0:
        console.print("No figure marked uncertain took part.")
        return
    table = new_table("Uncertain figures that took part", [("scores", "right"), ("figure", "left"), ("table", "left")])
    for name, what, number in uncertain.select("table", "what", "enrollees").rows():
        table.add_row(f"{number:,}", what, name)
    console.print(table)


def show_explanation(console: Console, explanation: pl.DataFrame) -> None:
    """Show the scores of some enrollees taken apart, a table for each line of scores."""
    shown = ("variable", "coefficient", "evidence", "metal_level")
    keys = [c for c in explanation.columns if c not in shown]
    for lines in explanation.partition_by([*keys, "metal_level"], maintain_order=True):
        first = lines.row(0, named=True)
        parts = [str(first[k]) for k in keys if first[k] is not None]
        columns = [("variable", "left"), ("coefficient", "right"), ("caused by", "left")]
        with_evidence = "evidence" in lines.columns
        table = new_table("  ".join([*parts, first["metal_level"]]), columns if with_evidence else columns[:2])
        for line in lines.rows(named=True):
            cells = [line["variable"], f"{line['coefficient']:.3f}"]
            table.add_row(*cells, *([_evidence(line["evidence"])] if with_evidence else []))
        total = sum(round(c * 1000) for c in lines["coefficient"].to_list()) / 1000
        table.add_section()
        table.add_row("risk score", f"{total:.3f}")
        console.print(table)


def _evidence(events: list[dict[str, Any]]) -> str:
    shown = [" ".join(str(v) for v in event.values() if v is not None) for event in events[:4]]
    more = len(events) - len(shown)
    return "; ".join(shown) + (f"; and {plural(more, 'more code')}" if more > 0 else "")
