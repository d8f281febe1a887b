"""What a filing hands over: workbook, rates, ledger and checks as files, a JSON document, and what a person sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import typer

from data_specs.errors import ExtraMissing, OutputRefused
from poolwise.cli._faults import FINDINGS, FINE
from poolwise.cli._filing_screen import show_filing, show_trace
from poolwise.cli._results import write_table

if TYPE_CHECKING:
    from rich.console import Console

    from poolwise.report import FilingExhibits
    from rating.filing import Bridge, Trace
    from rating.filing._config_changes import Change
    from rating.filing._config_run import FilingRun
    from rating.review import Review

__all__ = ["PAGE", "RELIANCE", "WORKBOOK", "FilingOutcome"]

WORKBOOK, RATES_TEMPLATE, EXHIBITS = "urrt.xlsx", "rates_template", "exhibits.xlsx"
PAGE, RELIANCE = "filing.html", "reliance.html"
_FAIL = "fail"
# Tables that every filing rests on; those of a figure in the ledger are named there.
_ALWAYS = (
    "filing/bridge_groups",
    "filing/bridge_steps",
    "filing/experience_rules",
    "filing/pricing_rules",
    "filing/review_check_rules",
    "filing/review_thresholds",
    "filing/reviewer_checks",
    "filing/urrt_fields",
    "filing/urrt_formulas",
    "rating/age_curve_assignment",
    "rating/age_curves",
    "rating/tobacco_limits",
)
_COUNTED = ("rule_id", "table", "severity", "action", "rows")


class FilingOutcome:
    """A filing with all that is said about it.

    Parameters
    ----------
    run : FilingRun
        The filing and its studies.
    review : Review
        The checks.
    bridges : mapping of Bridge
        ``prior``: from the earlier filing; ``what_if``: to the changed one.
    changed : FilingRun, optional
        The filing with the changes that were asked for.
    wanted : sequence of Change
        Those changes.
    traces : mapping of Trace
        By what was asked for.
    """

    def __init__(
        self,
        run: FilingRun,
        review: Review,
        *,
        bridges: Mapping[str, Bridge] | None = None,
        changed: FilingRun | None = None,
        wanted: Sequence[Change] = (),
        traces: Mapping[str, Trace] | None = None,
    ) -> None:
        self.run, self.review, self.changed = run, review, changed
        self.bridges, self.traces = dict(bridges or {}), dict(traces or {})
        self.words = ", ".join(change.words for change in wanted)
        self.notes: list[str] = []

    @property
    def exit_code(self) -> int:
        """Return 1 when something is wrong (an error, or a check that fails), else 0."""
        errors = "error" in self.run.filing.findings["severity"].to_list()
        return FINDINGS if errors or _FAIL in self.review.findings["outcome"].to_list() else FINE

    @property
    def tables(self) -> list[str]:
        """Tables of published figures that took part."""
        from data_specs import catalog

        held = catalog()["name"].to_list()
        sources = set(self.run.filing.ledger.frame()["source"].to_list())
        named = {name for name in held if any(source.startswith(name) for source in sources)}
        return sorted({*(name for name in _ALWAYS if name in held), *named})

    def counted_findings(self) -> pl.DataFrame:
        """Return findings and failed checks as a manifest keeps them: how often each."""
        own = self.run.filing.findings.select(
            "rule_id", pl.lit("filing").alias("table"), "severity", pl.lit("report").alias("action")
        )
        checks = self.review.findings.select(
            pl.col("check_id").alias("rule_id"),
            pl.lit("review").alias("table"),
            pl.col("outcome").alias("severity"),
            pl.lit("report").alias("action"),
        )
        keys = list(_COUNTED[:-1])
        return pl.concat([own, checks]).group_by(keys).agg(pl.len().alias("rows")).select(_COUNTED).sort(keys)

    # -------------------------------------------------------------------------------------------- files

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the result tables by the names of their files."""
        filing = self.run.filing
        frames = {"rates": filing.rates, "ledger": filing.ledger.frame()}
        if self.changed is not None:
            frames["what_if_rates"] = self.changed.filing.rates
        return frames

    def lists(self) -> dict[str, pl.DataFrame]:
        """Return the smaller tables, always written as CSV."""
        filing, studies = self.run.filing, self.run.studies
        lists = {
            "market": filing.market,
            "plans": filing.plans,
            "products": filing.products,
            "findings": filing.findings,
            "checks": self.review.counts,
            "check_findings": self.review.findings,
            "settings": filing.settings,
            "uncertain": filing.uncertain,
        }
        if filing.variants.height:
            lists["membership"] = filing.variants
        if studies.experience is not None and studies.experience.ladder is not None:
            lists["completion"] = studies.experience.ladder.factors
        if studies.trend is not None:
            lists["trend"] = studies.trend.trends
        if self.changed is not None:
            lists["what_if_market"] = self.changed.filing.market
            lists["what_if_plans"] = self.changed.filing.plans
        lists |= {f"bridge_{name}": bridge.steps for name, bridge in self.bridges.items()}
        return lists

    def write(self, folder: Path, form: str) -> None:
        """Write workbook, templates and tables into a folder; `form` (parquet, csv) is that of rates and ledger."""
        filing = self.run.filing
        for name, frame in self.frames().items():
            write_table(frame, folder / f"{name}.{form}")
        for name, frame in self.lists().items():
            write_table(frame, folder / f"{name}.csv")
        for number, trace in enumerate(self.traces.values(), 1):
            write_table(trace.frame, folder / f"trace_{number}.csv")
        filing.write_rates_template(folder / f"{RATES_TEMPLATE}.csv")
        try:
            filing.write_workbook(folder / WORKBOOK)
            filing.write_rates_template(folder / f"{RATES_TEMPLATE}.xlsx")
        except ExtraMissing as error:
            self.notes.append(f"no workbook was written: {error}")

    def draw(self, folder: Path, *, notes: Sequence[str] = ()) -> list[str]:
        """Draw exhibits, as sheets and as a page, and the reliance page; what cannot be drawn is said in the notes.

        Return the names of the pages.
        """
        from poolwise.report import filing_page, reliance_page, write_filing_sheets

        given, remarks = self.exhibits(), [*notes, *self.notes]
        header = self.run.filing.header
        title = f"Rate filing of issuer {header['issuer_id']}, {header['state']}, plan year {header['plan_year']}"
        try:
            write_filing_sheets(folder / EXHIBITS, given, title=title, notes=remarks)
        except (ExtraMissing, OutputRefused) as error:
            self.notes.append(f"no workbook of exhibits was written: {error}")
        links = {PAGE: {"What the person who signs relies on": RELIANCE}, RELIANCE: {"The exhibits": PAGE}}
        pages = {}
        try:
            for name, drawing in ((PAGE, filing_page), (RELIANCE, reliance_page)):
                pages[name] = drawing(given, title=title, notes=remarks, links=links[name], tables=self.tables)
        except ExtraMissing as error:
            self.notes.append(f"no page was drawn: {error}")
            return []
        for name, page in pages.items():
            (folder / name).write_text(page, encoding="utf-8", newline="\n")
        return list(pages)

    def exhibits(self) -> FilingExhibits:
        """Return the filing with its studies, as pages and sheets take it."""
        from poolwise.report import FilingExhibits

        studies = self.run.studies
        return FilingExhibits(
            self.run.filing,
            experience=studies.experience,
            trend=studies.trend,
            credibility=studies.credibility,
            morbidity=studies.morbidity,
            bridge=self.bridges.get("prior"),
            reviewed=self.review,
        )

    # -------------------------------------------------------------------------------------------- words

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document; rates to the cent are text, so that no digit is lost."""
        filing = self.run.filing
        document: dict[str, Any] = {
            "header": filing.header,
            "market": filing.market.select("name", "category", "value", "unit", "source", "note").to_dicts(),
            "plans": filing.plans.to_dicts(),
            "products": filing.products.to_dicts(),
            "rates": filing.rates.height,
            "checks": self.review.counts.to_dicts(),
            "check_findings": self.review.findings.to_dicts(),
            "findings": filing.findings.to_dicts(),
            "bridges": {name: bridge_document(bridge) for name, bridge in self.bridges.items()},
            "what_if": self.words or None,
            "traces": {text: trace.frame.to_dicts() for text, trace in self.traces.items()},
            "uncertain": filing.uncertain.to_dicts(),
            "settings": filing.settings.to_dicts(),
            "tables": self.tables,
            "notes": self.notes,
            "exit_code": self.exit_code,
        }
        return document

    def show(self, console: Console, *, is_brief: bool = False) -> None:
        """Show the run to a person; in brief without trend, uncertain figures and settings."""
        show_filing(console, self, is_brief=is_brief)

    def echo_traces(self, depth: int) -> None:
        """Print traces down to a depth; not wrapped, because their lines are read as formulas."""
        for trace in self.traces.values():
            typer.echo(show_trace(trace, depth))


def bridge_document(bridge: Bridge) -> dict[str, Any]:
    """Return a bridge as part of a JSON document."""
    return {
        "target": bridge.target,
        "old": str(bridge.old),
        "new": str(bridge.new),
        "change": str(bridge.change),
        "order": bridge.order,
        "steps": bridge.steps.to_dicts(),
    }
