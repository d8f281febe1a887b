"""``poolwise demo``: the main job on a made-up market, from input tables to scores, money and pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwise.cli._options import AsJson

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._failsafes_results import FailsafesOutcome
    from poolwise.cli._filing_results import FilingOutcome
    from poolwise.cli._results import Outcome
    from poolwise.cli._transfer_results import SettlementOutcome
    from riskadjust import Scores

__all__ = ["demo_command"]

_STATE, _BENEFIT_YEAR = "OH", 2025
_MOST_VARIABLES = 7
_PAGE = "summary.html"
_TRANSFERS = "transfers"  # the folder of the tables of the settlement
_FILED = "filed"  # the folder of the results of the filing
_REINSURED = "reinsured"  # the folder of the results of the failsafes
_FICTION = (
    "Nobody in this market exists: people, coverage, illness, prices and costs are made up, and stand for no state."
)


def demo_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("poolwise-demo"),
    enrollees: Annotated[int, typer.Option(metavar="NUMBER", help="How many people the market has.")] = 20_000,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Another seed, another market.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Score a made-up market, settle it between its issuers, reinsure it, let the largest of them file rates.

    Leaves a folder with the inputs, the scores, some of them taken apart, the transfers, also under other mixes of
    enrollees, the findings, a workbook, summary.html and transfers.html, rates that can be quoted, a state reinsurance
    program as a what-if (failsafes/ and reinsured/), and a rate filing with its inputs (filing/) and results (filed/);
    the pages of both are drawn by the commands that are printed at the end.
    """
    from data_specs._manifest import publishing, writing
    from poolwise.cli._demo_rates import write_rates
    from poolwise.cli._screen import json_document, progress, screen

    with progress(17) as begin, publishing(out) as staging, writing(out):
        begin("making up a market")
        market, files = _written_market(staging, enrollees, seed)
        begin("scoring")
        scored = _scored(market)
        settled = _settled(scored, market, begin)
        begin("writing")
        scored.write(staging, "parquet")
        (staging / _TRANSFERS).mkdir()
        settled.write(staging / _TRANSFERS, "parquet")
        used = write_rates(market, staging, _STATE, _BENEFIT_YEAR)
        reinsured = _reinsured(market, settled, seed, staging, begin)
        filed = _filed(market, settled, seed, staging, begin)
        begin("drawing")
        pages = _drawn(scored, settled, market, staging)
        used += [*reinsured.run.tables, *([] if filed is None else filed.tables)]
        _describe(scored, settled, {"enrollees": enrollees, "seed": seed}, files, used, staging)
    places = [out / page for page in pages]
    if as_json:
        place = {"out": str(out), "pages": [str(p) for p in places]}
        filing = None if filed is None else filed.document()
        parts = {"transfers": settled.document(), "failsafes": reinsured.document(), "filing": filing}
        json_document({"command": "demo", **place, **scored.document(), **parts})
    else:
        _show(screen(), scored, settled, reinsured, filed, _mixes(market["spans"]), out, places)
    raise typer.Exit(max(o.exit_code for o in (scored, settled, reinsured, filed) if o is not None))


def _written_market(folder: Path, enrollees: int, seed: int) -> tuple[dict[str, pl.DataFrame], dict[str, Path]]:
    from data_specs import synthetic_market

    market = synthetic_market(_STATE, enrollees=enrollees, seed=seed, benefit_year=_BENEFIT_YEAR)
    (folder / "inputs").mkdir()
    files = {}
    for table, frame in market.items():
        path = folder / "inputs" / f"{table}.parquet"
        frame.write_parquet(path, compression="zstd")
        files[f"inputs/{table}.parquet"] = path
    return market, files


def _scored(market: dict[str, pl.DataFrame]) -> Outcome:
    from poolwise.cli._results import Outcome
    from riskadjust import explain, score

    frames = (market["enrollees"], market["spans"], market["diagnoses"], market["drugs"])
    result = score(*frames, benefit_year=_BENEFIT_YEAR, explain=True)
    explanation = explain(*frames, benefit_year=_BENEFIT_YEAR, enrollee_ids=_telling(result))
    return Outcome(result, explain=True, explanation=explanation)


def _telling(result: Scores) -> list[str]:
    """Return enrollees whose scores show something: the ones with the most variables, a model at a time."""
    import polars as pl

    one_line = result.scores.filter(~pl.col("enrollee_id").is_duplicated())
    length = pl.col("variables").list.len()
    told = one_line.filter(length <= _MOST_VARIABLES).sort(length, "enrollee_id", descending=[True, False])
    by_model = told.group_by("model", maintain_order=True).head(2).sort("model", maintain_order=True)
    return by_model["enrollee_id"].to_list()


def _settled(scored: Outcome, market: dict[str, pl.DataFrame], begin: Callable[[str], None]) -> SettlementOutcome:
    from poolwise.cli._transfer_inputs import TransferInputs
    from poolwise.cli._transfer_results import SettlementOutcome
    from poolwise.cli._transfers import Job, settle_tables

    frames = {"scores": scored.result.scores} | {t: market[t] for t in ("enrollees", "spans", "plans", "costs")}
    inputs = TransferInputs(frames, {})
    settlement = settle_tables(Job(Path(), _BENEFIT_YEAR, mixes=_mixes(market["spans"])), inputs, begin)
    return SettlementOutcome(settlement, inputs.notes)


def _mixes(spans: pl.DataFrame) -> tuple[str, ...]:
    """Return the mixes that are shown: one changes the whole market, one what its largest issuer attracts."""
    largest = spans["issuer_id"].value_counts(sort=True).sort("count", "issuer_id", descending=[True, False])
    return "healthy_young_leave", f"issuer_attracts_condition:issuer_id={largest['issuer_id'][0]}"


def _reinsured(
    market: dict[str, pl.DataFrame], settled: SettlementOutcome, seed: int, folder: Path, begin: Callable[[str], None]
) -> FailsafesOutcome:
    """Reinsure the market under a state program as a what-if, and write its inputs and results."""
    from poolwise.cli._demo_failsafes import reinsured_market

    risk = settled.settlement.plan_risk
    assert risk is not None
    reinsured = reinsured_market(
        market, risk.plan_rows, folder, state=_STATE, benefit_year=_BENEFIT_YEAR, seed=seed, begin=begin
    )
    (folder / _REINSURED).mkdir()
    reinsured.write(folder / _REINSURED, "parquet")
    return reinsured


def _filed(
    market: dict[str, pl.DataFrame], settled: SettlementOutcome, seed: int, folder: Path, begin: Callable[[str], None]
) -> FilingOutcome | None:
    """Let the market's largest issuer file, and write its inputs and results; None where it has too few enrollees."""
    from data_specs.errors import InputRefused
    from poolwise.cli._demo_filing import FOLDER, filing_inputs, write_filing
    from poolwise.cli._filing import Asked, work_out
    from rating.filing._config import read_config

    begin("a year of claims")
    tables, document = filing_inputs(market, settled.settlement.transfers.plans, seed=seed)
    place = write_filing(folder / FOLDER, tables, document)
    try:
        filed = work_out(read_config(place), Asked(), begin=begin)
    except InputRefused as error:
        # A market of a few hundred people has months, plans or levels without anybody.
        settled.notes.append(f"the largest issuer is too small to file: {error.what}")
        return None
    (folder / _FILED).mkdir()
    filed.write(folder / _FILED, "parquet")
    return filed


def _drawn(scored: Outcome, settled: SettlementOutcome, market: dict[str, pl.DataFrame], folder: Path) -> list[str]:
    """Draw pages and workbook, and return the names of the pages; where the extra is missing, say so and go on."""
    from data_specs.errors import ExtraMissing
    from poolwise.cli._transfer_results import PAGE
    from poolwise.report import summary_page

    title = f"of a made-up market, benefit year {_BENEFIT_YEAR}"
    has_transfers = settled.draw(
        folder, f"Transfers {title}", notes=[_FICTION], links={"The risk scores of this market": _PAGE}
    )
    try:
        page = summary_page(
            scored.result,
            title=f"Risk scores {title}",
            sexes=market["enrollees"].select("enrollee_id", "sex"),
            notes=[_FICTION],
            links={"The transfers of this market": PAGE} if has_transfers else None,
        )
    except ExtraMissing as error:
        scored.notes.append(f"no page was drawn: {error}")
        return []
    (folder / _PAGE).write_text(page, encoding="utf-8", newline="\n")
    return [_PAGE, PAGE]


def _describe(
    scored: Outcome,
    settled: SettlementOutcome,
    options: dict[str, Any],
    files: dict[str, Path],
    tables: list[str],
    folder: Path,
) -> None:
    import polars as pl

    from data_specs._manifest import describe_run, write_manifest

    result, settlement = scored.result, settled.settlement
    run = describe_run(
        "demo",
        options,
        benefit_year=_BENEFIT_YEAR,
        settings=result.settings | settlement.settings_by_name(),
        inputs=files,
        tables=sorted({*result.tables, *settlement.tables, *tables}),
        counts=pl.concat([result.counts, settled.counts]).unique("table", keep="first", maintain_order=True),
        findings=pl.concat([result.findings, settled.findings]).unique(["rule_id", "table"], maintain_order=True),
        uncertain=pl.concat([result.uncertain, settled.uncertain], how="diagonal"),
    )
    write_manifest(folder, run)


def _show(
    console: Any,
    scored: Outcome,
    settled: SettlementOutcome,
    reinsured: FailsafesOutcome,
    filed: FilingOutcome | None,
    mixes: tuple[str, ...],
    out: Path,
    pages: list[Path],
) -> None:
    import polars as pl

    from poolwise.cli._demo_failsafes import FOLDER as FAILSAFES
    from poolwise.cli._demo_filing import FOLDER
    from poolwise.cli._demo_rates import HOUSEHOLD
    from poolwise.cli._results import show_explanation

    scored.show(console)
    if scored.explanation is not None and scored.explanation.height:
        first = _telling(scored.result)[0]
        console.print("A score taken apart:")
        show_explanation(console, scored.explanation.filter(pl.col("enrollee_id") == first))
    settled.show(console, is_brief=True)
    reinsured.show(console, is_brief=True)
    if filed is not None:
        filed.show(console, is_brief=True)
    asked = "".join(f" --mix {mix}" for mix in mixes)
    # Not wrapped by the console: paths and commands are copied as one piece.
    typer.echo(f"Results: {out}")
    typer.echo(f"Again:   poolwise score {out / 'inputs'} --benefit-year {_BENEFIT_YEAR} --explain --out scored")
    typer.echo(f"         poolwise transfers {out} --benefit-year {_BENEFIT_YEAR}{asked}")
    typer.echo(f"         poolwise quote {out} --plan-year {_BENEFIT_YEAR} {HOUSEHOLD}")
    year_and_state = f"--benefit-year {_BENEFIT_YEAR} --state {_STATE}"
    typer.echo(f"         poolwise failsafes {out / FAILSAFES} {year_and_state} --out reinsured")
    if filed is not None:
        typer.echo(f"         poolwise filing {out / FOLDER} --what-if trend=0.09 --out filed")
    for page in pages:
        typer.echo(f"Page:    {page}")
