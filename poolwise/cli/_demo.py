"""``poolwise demo``: the main job on a made-up market, from input tables to a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._results import Outcome
    from riskadjust import Scores

__all__ = ["demo_command"]

_STATE, _BENEFIT_YEAR = "NY", 2025
_MOST_VARIABLES = 7
_PAGE = "summary.html"


def demo_command(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("poolwise-demo"),
    enrollees: Annotated[int, typer.Option(metavar="NUMBER", help="How many people the market has.")] = 20_000,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Another seed, another market.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")] = False,
) -> None:
    """Score a made-up market and draw a page.

    Leaves a folder with the inputs, the scores, some of them taken apart, the findings and summary.html.
    """
    from data_specs._manifest import describe_run, publishing, write_manifest, writing
    from poolwise.cli._screen import json_document, progress, screen

    with progress(4) as begin, publishing(out) as staging, writing(out):
        begin("making up a market")
        market, files = _written_market(staging, enrollees, seed)
        begin("scoring")
        outcome = _scored(market)
        begin("writing")
        outcome.write(staging, "parquet")
        begin("drawing")
        has_page = _draw(outcome, market, staging)
        result = outcome.result
        run = describe_run(
            "demo",
            {"enrollees": enrollees, "seed": seed},
            benefit_year=_BENEFIT_YEAR,
            settings=result.settings,
            inputs=files,
            tables=result.tables,
            counts=result.counts,
            findings=result.findings,
            uncertain=result.uncertain,
        )
        write_manifest(staging, run)
    page = out / _PAGE if has_page else None
    if as_json:
        place = {"out": str(out), "page": None if page is None else str(page)}
        json_document({"command": "demo", **place, **outcome.document()})
    else:
        _show(screen(), outcome, out, page)
    raise typer.Exit(outcome.exit_code)


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


def _draw(outcome: Outcome, market: dict[str, pl.DataFrame], folder: Path) -> bool:
    from data_specs.errors import ExtraMissing
    from poolwise.report import summary_page

    notes = ["Nobody in this market exists: people, coverage and illness are made up, and stand for no state."]
    try:
        page = summary_page(
            outcome.result,
            title=f"Risk scores of a made-up market, benefit year {_BENEFIT_YEAR}",
            sexes=market["enrollees"].select("enrollee_id", "sex"),
            notes=notes,
        )
    except ExtraMissing as error:
        outcome.notes.append(f"no page was drawn: {error}")
        return False
    (folder / _PAGE).write_text(page, encoding="utf-8", newline="\n")
    return True


def _show(console: Any, outcome: Outcome, out: Path, page: Path | None) -> None:
    import polars as pl

    from poolwise.cli._results import show_explanation

    outcome.show(console)
    if outcome.explanation is not None and outcome.explanation.height:
        first = _telling(outcome.result)[0]
        console.print("A score taken apart:")
        show_explanation(console, outcome.explanation.filter(pl.col("enrollee_id") == first))
    # Not wrapped by the console: paths and commands are copied as one piece.
    typer.echo(f"Results: {out}")
    typer.echo(f"Again:   poolwise score {out / 'inputs'} --benefit-year {_BENEFIT_YEAR}")
    if page is not None:
        typer.echo(f"Page:    {page}")
