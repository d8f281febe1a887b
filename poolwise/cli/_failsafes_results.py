"""What a run of failsafes hands over: its tables as files, as a JSON document, on the screen, as workbook and page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import ExtraMissing, InputRefused, OutputRefused
from poolwise.cli._faults import FINDINGS, FINE, PARTIAL
from poolwise.cli._results import show_counts, show_findings, write_table
from poolwise.cli._screen import show_table
from poolwise.cli._transfer_results import SettlementOutcome, show_uncertain
from poolwise.report._failsafes_year import IssuerYear, issuer_year, issuers_of
from poolwise.report._transfer_figures import dollars

if TYPE_CHECKING:
    from rich.console import Console

    from poolwise.report._failsafes_year import Failsafes

__all__ = ["PAGE", "WORKBOOK", "FailsafesOutcome"]

PAGE, WORKBOOK = "failsafes.html", "failsafes.xlsx"
_MOST_ISSUERS = 12  # shown on a screen
# The frames of each program by the names of their files.
_FRAMES = {
    "reinsurance": {"issuers": "reinsurance_issuers", "totals": "reinsurance_totals"},
    "risk_corridors": {"issuers": "corridor_issuers", "plans": "corridor_plans", "totals": "corridor_totals"},
    "medical_loss_ratio": {"issuers": "loss_ratios", "years": "loss_ratio_years", "policies": "rebates"},
    "radv_adjustment": {
        "issuers": "radv_issuers",
        "groups": "radv_groups",
        "national": "radv_national",
        "hccs": "radv_hccs",
        "enrollees": "radv_enrollees",
        "transfers": "radv_transfers",
    },
}


class FailsafesOutcome:
    """A run of failsafes with all that is said about it.

    Parameters
    ----------
    run : Failsafes
        The programs.
    issuer : str, optional
        Whose year is shown; without it the issuer with the most premium.
    notes : sequence of str
        Remarks for the reader.
    left_out : mapping of str
        Programs that lack figures of the year, and what is lacking.

    Raises
    ------
    InputRefused
        No program concerns that issuer.
    """

    def __init__(
        self,
        run: Failsafes,
        issuer: str | None = None,
        notes: Sequence[str] = (),
        *,
        left_out: Mapping[str, str] | None = None,
    ) -> None:
        self.run, self.left_out = run, dict(left_out or {})
        self.notes = [*notes, *(f"{_words(name)} was left out: {why}" for name, why in self.left_out.items())]
        self.issuers = issuers_of(run)
        if issuer is not None and issuer not in self.issuers:
            raise InputRefused(
                "no program of this folder concerns the issuer",
                where="--issuer",
                rule="an issuer stands in the issuer_id of a table that is read",
                remedy=f"name one of the {len(self.issuers)} issuers, or leave --issuer out",
            )
        self.issuer = issuer or (self.issuers[0] if self.issuers else "")
        self.years = [issuer_year(run, name) for name in self.issuers]
        self.findings, self.counts, self.uncertain = run.findings, run.counts, run.uncertain

    @property
    def exit_code(self) -> int:
        """Return 3 when a program was left out, 1 when an error was found, else 0."""
        if self.left_out:
            return PARTIAL
        return FINDINGS if "error" in self.findings["severity"].to_list() else FINE

    @property
    def year(self) -> IssuerYear:
        """Return the year of the issuer that was asked for."""
        return next(year for year in self.years if year.issuer_id == self.issuer)

    # ---- files

    def frames(self) -> dict[str, pl.DataFrame]:
        """Return the result tables by the names of their files."""
        frames: dict[str, pl.DataFrame] = {"issuer_years": self.issuer_years()}
        if self.run.settlement is not None:
            own = SettlementOutcome(self.run.settlement).frames()
            frames |= own
        for program, names in _FRAMES.items():
            step = self.run.program(program)
            if step is not None:
                frames |= {file: frame for name, file in names.items() if (frame := getattr(step, name)).height}
        if self.run.reinsurance is not None:
            paid = self.run.reinsurance.enrollees.filter(pl.col("payment_before_proration") > 0)
            frames |= {"reinsurance_enrollees": paid} if paid.height else {}
        if self.run.effect is not None:
            frames |= {"premium_effects": self.run.effect.effects, "premium_effect_draws": self.run.effect.draws}
        if self.run.confidence is not None:
            frames |= {"radv_confidence": self.run.confidence.issuers}
        return frames

    def issuer_years(self) -> pl.DataFrame:
        """Return a row for each issuer and program: premium, claims, amount, before, after, loss ratio after it."""
        columns = (
            "issuer_id",
            "premium",
            "claims",
            "program",
            "amount",
            "before",
            "after",
            "loss_ratio_after",
            "source",
        )
        rows = []
        for year in self.years:
            for (line, before, after), ratio in zip(year.levels(), year.loss_ratios()[1:], strict=True):
                key = (year.issuer_id, year.premium, year.claims, line.program)
                rows.append((*key, line.amount, before, after, ratio, line.source))
        money = dict.fromkeys(("premium", "claims", "amount", "before", "after"), pl.Decimal(18, 2))
        schema: dict[str, Any] = dict.fromkeys(columns, pl.String) | money | {"loss_ratio_after": pl.Float64}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def write(self, folder: Path, form: str) -> None:
        """Write the tables into a folder; `form` (parquet, csv) is that of the results."""
        for name, frame in self.frames().items():
            write_table(frame, folder / f"{name}.{form}")
        lists = {"findings": self.findings, "counts": self.counts, "settings": self.run.settings}
        for name, frame in (lists | {"uncertain": self.uncertain}).items():
            write_table(frame, folder / f"{name}.csv")
        for table, rows in self.run.rejected.items():
            if rows.height:
                write_table(rows, folder / f"rejected_{table}.csv")

    def draw(
        self, folder: Path, title: str, *, notes: Sequence[str] = (), links: Mapping[str, str] | None = None
    ) -> bool:
        """Write workbook and page; what cannot be drawn is said in the notes. Return whether there is a page."""
        from poolwise.report import failsafes_page, write_failsafes_sheets

        remarks = [*notes, *self.notes]
        try:
            write_failsafes_sheets(folder / WORKBOOK, self.run, self.issuer, title=title, notes=remarks)
        except (ExtraMissing, OutputRefused) as error:
            self.notes.append(f"no workbook was written: {error}")
        try:
            page = failsafes_page(self.run, self.issuer, title=title, notes=remarks, links=links)
        except ExtraMissing as error:
            self.notes.append(f"no page was drawn: {error}")
            return False
        (folder / PAGE).write_text(page, encoding="utf-8", newline="\n")
        return True

    # ---- words

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document; amounts to the cent are text, so that no digit is lost."""
        programs: dict[str, Any] = {}
        for name, step in self.run.steps():
            parts = ("issuers", "totals", "groups", "national")
            programs[name] = {p: getattr(step, p).to_dicts() for p in parts if hasattr(step, p)}
        if self.run.effect is not None:
            programs["reinsurance"]["premium_effects"] = self.run.effect.effects.to_dicts()
        if self.run.confidence is not None:
            programs["radv_adjustment"]["confidence"] = self.run.confidence.issuers.to_dicts()
        return {
            "benefit_year": self.run.benefit_year,
            "issuer": self.issuer,
            "issuer_years": self.issuer_years().to_dicts(),
            "programs": programs,
            "left_out": self.left_out,
            "counts": self.counts.to_dicts(),
            "findings": self.findings.to_dicts(),
            "uncertain": self.uncertain.to_dicts(),
            "settings": self.run.settings.to_dicts(),
            "tables": self.run.tables,
            "notes": self.notes,
            "exit_code": self.exit_code,
        }

    def show(self, console: Console, *, is_brief: bool = False) -> None:
        """Show the run to a person; in brief the programs alone, without a year, rows read and uncertain figures."""
        for name, step in self.run.steps():
            if name in _SHOWN:
                _SHOWN[name](console, step)
        if self.run.effect is not None:
            _show_effect(console, self.run.effect)
        if not is_brief:
            _show_year(console, self.year)
            show_counts(console, self.counts)
            show_findings(console, self.findings)
            show_uncertain(console, self.uncertain)
        for note in self.notes:
            console.print(f"Note: {note}", soft_wrap=True)


def _words(name: str) -> str:
    return "transfers" if name == "settlement" else name.replace("_", " ")


def _show_reinsurance(console: Console, result: Any) -> None:
    (total,) = result.totals.to_dicts()
    title = f"Reinsurance ({total['program']}{' ' + total['state'] if total['state'] else ''}): "
    if total["proration"] < 1:
        asked = dollars(total["payment_before_proration"])
        title += f"{asked} asked for, {dollars(total['budget'])} there: each payment times {total['proration']:.6f}"
    else:
        title += f"{dollars(total['payment'])} paid"
    columns = [("issuer", "left"), ("enrollees", "right"), ("paid for", "right"), ("claims", "right")]
    amounts = [c for c in ("payment", "contribution", "net") if c in result.issuers.columns]
    columns += [(c, "right") for c in amounts]
    _show_issuers(
        console,
        title,
        columns,
        result.issuers,
        lambda row: [
            f"{row['enrollees']:,}",
            f"{row['enrollees_paid']:,}",
            dollars(row["plan_paid"]),
            *(dollars(row[c]) for c in amounts),
        ],
    )


def _show_effect(console: Console, effect: Any) -> None:
    columns = [("measure", "left"), ("value", "right"), ("lower", "right"), ("upper", "right")]
    rows = [
        [row["measure"].replace("_", " "), *(_plain(row[c], row["measure"]) for c in ("value", "lower", "upper"))]
        for row in effect.effects.rows(named=True)
    ]
    title = f"Effect on a premium, with {effect.settings['level']:.0%} of {effect.draws.height:,} draws of people"
    show_table(console, title, columns, rows)


def _plain(value: float | None, measure: str) -> str:
    if value is None:
        return "none"
    is_ratio = measure in ("share_of_claims", "proration", "premium_change")
    return format(value, ",.4f" if is_ratio else ",.2f").replace("-", "−")


def _show_corridors(console: Console, result: Any) -> None:
    columns = [("issuer", "left"), ("target G", "right"), ("costs C", "right"), ("C / G", "right"), ("band", "left")]
    columns += [("owed", "right"), ("paid", "right")]
    _show_issuers(
        console,
        f"Risk corridors of {result.benefit_year}; positive: received",
        columns,
        result.issuers,
        lambda row: [
            dollars(row["target_amount"]),
            dollars(row["allowable_costs"]),
            f"{row['ratio']:.4f}",
            row["band"].replace("_", " "),
            dollars(row["corridor"]),
            dollars(row["corridor_paid"]),
        ],
    )


def _show_loss_ratios(console: Console, result: Any) -> None:
    columns = [("issuer", "left"), ("ratio", "right"), ("credibility", "right"), ("MLR", "right")]
    columns += [("standard", "right"), ("rebate base", "right"), ("rebate", "right")]
    _show_issuers(
        console,
        f"Medical loss ratios of {result.reporting_year}; a rebate is paid by the issuer",
        columns,
        result.issuers,
        lambda row: [
            f"{row['preliminary_mlr']:.6f}",
            "none" if row["credibility"] == "not_credible" else f"{row['credibility_adjustment']:.6f}",
            f"{row['mlr']:.3f}",
            f"{row['standard']:.3f}",
            dollars(row["rebate_base"]),
            dollars(row["rebate"]),
        ],
    )


def _show_radv(console: Console, result: Any) -> None:
    columns = [("issuer", "left"), ("status", "left"), ("sampled", "right"), ("outlier groups", "right")]
    columns += [("error rate", "right"), ("adjustment", "right")]
    title = f"Data validation of {result.benefit_year}, which moves the transfers of {result.transfer_year}"
    _show_issuers(
        console,
        title,
        columns,
        result.issuers,
        lambda row: [
            _words(row["status"]),
            *("none" if row[c] is None else f"{row[c]:,}" for c in ("sampled_enrollees", "outlier_groups")),
            "none" if row["error_rate"] is None else f"{row['error_rate']:.6f}",
            dollars(row.get("adjustment")),
        ],
    )


def _show_issuers(console: Console, title: str, columns: Any, issuers: pl.DataFrame, cells: Any) -> None:
    keys = [c for c in ("state", "market", "issuer_id") if c in issuers.columns]
    shown = issuers.head(_MOST_ISSUERS).rows(named=True)
    rows = [[" ".join(str(row[k]) for k in keys), *cells(row)] for row in shown]
    show_table(console, title, columns, rows)
    if issuers.height > _MOST_ISSUERS:
        console.print(f"and {issuers.height - _MOST_ISSUERS:,} more, in the files and in --json\n")


def _show_year(console: Console, year: IssuerYear) -> None:
    columns = [("step", "left"), ("amount", "right"), ("left", "right"), ("claims / premium", "right")]
    ratios = [("none" if r is None else f"{r:.4f}") for r in year.loss_ratios()]
    rows = [["premium less claims", dollars(year.before), dollars(year.before), ratios[0]]]
    if year.premium is None or year.claims is None:
        rows = [["premium and claims are not both known", "", dollars(year.before), ratios[0]]]
    for (line, _, after), ratio in zip(year.levels(), ratios[1:], strict=True):
        rows.append([line.label.lower(), dollars(line.amount), dollars(after), ratio])
    known = f": premium {dollars(year.premium)}, claims {dollars(year.claims)}" if year.premium is not None else ""
    show_table(console, f"The year of issuer {year.issuer_id}{known}", columns, rows)


_SHOWN = {
    "reinsurance": _show_reinsurance,
    "risk_corridors": _show_corridors,
    "medical_loss_ratio": _show_loss_ratios,
    "radv_adjustment": _show_radv,
}
