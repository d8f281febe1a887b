"""What a settlement hands over: its tables as files, as a JSON document, on the screen, as workbook and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import ExtraMissing, OutputRefused
from poolwise.cli._faults import FINDINGS, FINE
from poolwise.cli._results import show_counts, show_findings, write_table
from poolwise.cli._screen import show_table
from poolwise.report._transfer_figures import PoolFigures, dollars, mix_table, pool_figures

if TYPE_CHECKING:
    from rich.console import Console

    from poolwise.report._settlement import Settlement

__all__ = ["PAGE", "WORKBOOK", "SettlementOutcome", "show_uncertain"]

PAGE, WORKBOOK = "transfers.html", "transfers.xlsx"
_MOST_MIXES = 3
_MOST_POOLS = 8  # more than that are shown by their totals


class SettlementOutcome:
    """A settlement with all that is said about it.

    Parameters
    ----------
    settlement : Settlement
        Transfers, and what else the run computed.
    notes : sequence of str
        Remarks for the reader.
    """

    def __init__(self, settlement: Settlement, notes: Sequence[str] = ()) -> None:
        self.settlement, self.notes = settlement, list(notes)
        self.pools = pool_figures(settlement.transfers)
        self.findings, self.counts = settlement.findings, settlement.counts
        self.uncertain, self.settings = settlement.uncertain, settlement.settings

    @property
    def exit_code(self) -> int:
        """Return 1 when an error was found, else 0."""
        return FINDINGS if "error" in self.findings["severity"].to_list() else FINE

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the result tables by the names of their files."""
        own = self.settlement
        result = own.transfers
        frames: dict[str, pl.DataFrame] = {}
        if own.plan_risk is not None:
            frames |= {"plan_rows": own.plan_risk.plan_rows, "area_factors": own.plan_risk.areas}
        frames |= {"plan_transfers": result.plans, "issuer_transfers": result.issuers, "risk_pools": result.pools}
        optional = {"default_charge_amounts": result.default_charges, "zero_month_plans": result.zero_month_plans}
        frames |= {name: frame for name, frame in optional.items() if frame.height}
        if own.high_cost is not None:
            frames |= {"high_cost_issuers": own.high_cost.issuers, "high_cost_pools": own.high_cost.pools}
            frames |= {"high_cost_enrollees": own.high_cost.enrollees} if own.high_cost.enrollees.height else {}
        return frames | own.mix_frames()

    def write(self, folder: Path, form: str) -> None:
        """Write the tables into a folder; `form` (parquet, csv) is that of the results."""
        for name, frame in self.frames().items():
            write_table(frame, folder / f"{name}.{form}")
        for name in ("findings", "counts", "settings", "uncertain"):
            write_table(getattr(self, name), folder / f"{name}.csv")
        for table, rows in self.settlement.rejected.items():
            if rows.height:
                write_table(rows, folder / f"rejected_{table}.csv")

    def draw(
        self, folder: Path, title: str, *, notes: Sequence[str] = (), links: Mapping[str, str] | None = None
    ) -> bool:
        """Write workbook and page; what cannot be drawn is said in the notes. Return whether there is a page."""
        from poolwise.report import transfers_page
        from poolwise.report._workbook import write_workbook

        remarks = [*notes, *self.notes]
        try:
            write_workbook(folder / WORKBOOK, self.settlement, title=title, notes=remarks)
        except (ExtraMissing, OutputRefused) as error:
            self.notes.append(f"no workbook was written: {error}")
        try:
            page = transfers_page(self.settlement, title=title, notes=remarks, links=links)
        except ExtraMissing as error:
            self.notes.append(f"no page was drawn: {error}")
            return False
        (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")
        return True

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document; amounts to the cent are text, so that no digit is lost."""
        own = self.settlement
        high_cost = None
        if own.high_cost is not None:
            high_cost = {"pools": own.high_cost.pools.to_dicts(), "issuers": own.high_cost.issuers.to_dicts()}
        mixes = None
        if own.mixes is not None:
            mixes = {"issuers": own.mixes.issuers.to_dicts(), "risk_pools": own.mixes.pools.to_dicts()}
        return {
            "benefit_year": own.transfers.benefit_year,
            "risk_pools": own.transfers.pools.to_dicts(),
            "issuers": own.transfers.issuers.to_dicts(),
            "high_cost": high_cost,
            "mixes": mixes,
            "counts": self.counts.to_dicts(),
            "findings": self.findings.to_dicts(),
            "uncertain": self.uncertain.to_dicts(),
            "settings": self.settings.to_dicts(),
            "tables": own.tables,
            "notes": self.notes,
            "exit_code": self.exit_code,
        }

    def show(self, console: Console, *, is_brief: bool = False) -> None:
        """Show the run to a person; in brief without rows read, uncertain figures and settings."""
        if len(self.pools) > _MOST_POOLS:
            _show_pools(console, self.pools)
        else:
            for pool in self.pools:
                _show_pool(console, pool)
        if self.settlement.high_cost is not None:
            _show_high_cost(console, self.settlement.high_cost.issuers)
        for pool in self.pools if len(self.pools) <= _MOST_POOLS else ():
            _show_mixes(console, self.settlement, pool)
        if not is_brief:
            show_counts(console, self.counts)
        show_findings(console, self.findings)
        if not is_brief:
            show_uncertain(console, self.uncertain)
            _show_settings(console, self.settings)
        for note in self.notes:
            console.print(f"Note: {note}", soft_wrap=True)


def _show_pool(console: Console, pool: PoolFigures) -> None:
    row = pool.row
    title = (
        f"Risk pool {pool.name}: average premium {row['average_premium']:,.2f} per billable member month, "
        f"{row['net_average_premium']:,.2f} after the cut of {float(row['admin_cost_reduction']):.0%}"
    )
    if row["state_reduction"]:
        title += f"; transfers reduced by {float(row['state_reduction']):.0%}"
    amount = "transfer and charge" if pool.has_charges else "transfer"
    columns = [("issuer", "left"), *((c, "right") for c in ("months", "premium", "avg score", amount, "a month"))]
    rows = [
        [
            issuer.issuer_id,
            f"{issuer.months:,.1f}",
            dollars(issuer.premium),
            _number(issuer.average_score, ".4f"),
            dollars(issuer.transfer),
            dollars(issuer.per_month),
        ]
        for issuer in pool.issuers
    ]
    total = ["all", f"{row['billable_member_months']:,.1f}", dollars(row["premium"])]
    total += [_number(pool.average_score, ".4f"), dollars(pool.residual), ""]
    styles = ["yellow" if issuer.transfer < 0 else "" for issuer in pool.issuers]
    show_table(console, title, columns, rows, total=total, styles=styles)


def _show_pools(console: Console, pools: Sequence[PoolFigures]) -> None:
    columns = [("risk pool", "left")]
    columns += [(c, "right") for c in ("issuers", "months", "avg premium", "avg score", "received", "residual")]
    rows = [
        [
            pool.name,
            f"{len(pool.issuers):,}",
            f"{pool.row['billable_member_months']:,.1f}",
            dollars(pool.row["average_premium"]),
            _number(pool.average_score, ".4f"),
            dollars(sum(max(i.transfer, i.transfer * 0) for i in pool.issuers)),
            dollars(pool.residual),
        ]
        for pool in pools
    ]
    show_table(console, "Risk pools (their issuers are in the files and in --json)", columns, rows)


def _show_high_cost(console: Console, issuers: pl.DataFrame) -> None:
    if issuers["enrollees_above"].sum() == 0:
        console.print("High-cost risk pool: nobody is above the threshold, nothing is paid or charged.\n")
        return
    columns = [("national pool", "left"), ("issuer", "left")]
    columns += [(c, "right") for c in ("premium", "enrollees above", "payment", "charge", "net")]
    names = ["high_cost_risk_pool", *[c for c in ("state",) if c in issuers.columns], "issuer_id"]
    rows = [
        [
            row["high_cost_risk_pool"].replace("_", " "),
            " ".join(row[n] for n in names[1:]),
            dollars(row["premium"]),
            f"{row['enrollees_above']:,}",
            *(dollars(row[c]) for c in ("payment", "charge", "net")),
        ]
        for row in issuers.rows(named=True)
    ]
    show_table(console, "High-cost risk pool, as if these issuers were the nation", columns, rows)


def _show_mixes(console: Console, settlement: Settlement, pool: PoolFigures) -> None:
    mixes, rows = mix_table(settlement, pool)
    headings = ["as it is", *(m.replace("_", " ") for m in mixes)]
    # As many mixes side by side as a terminal holds; the transfers as they are stand with each of them.
    for start in range(1, len(headings), _MOST_MIXES):
        places = [0, *range(start, min(start + _MOST_MIXES, len(headings)))]
        columns = [("issuer", "left"), *((headings[i], "right") for i in places)]
        shown = [[issuer, *(dollars(amounts[i]) for i in places)] for issuer, amounts in rows]
        show_table(console, f"Risk pool {pool.name} under other mixes: transfers", columns, shown)


def show_uncertain(console: Console, uncertain: pl.DataFrame) -> None:
    """Show the uncertain figures that moved a result, and how many rows of it."""
    if uncertain.height == 0:
        console.print("No figure marked uncertain moved the result.")
        return
    columns = [("figure", "left"), ("moved", "left"), ("rows", "right")]
    rows = [[row["what"], row["moved"], f"{row['rows']:,}"] for row in uncertain.rows(named=True)]
    show_table(console, "Uncertain figures that moved the result", columns, rows)


def _show_settings(console: Console, settings: pl.DataFrame) -> None:
    columns = [("setting", "left"), ("for", "left"), ("value", "right"), ("from", "left")]
    rows = [[row[c] or "" for c in ("setting", "applies_to", "value", "source")] for row in settings.rows(named=True)]
    show_table(console, "Settings used", columns, rows)


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)
