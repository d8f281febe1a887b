"""``poolwise tables``: which published figures are held, what they say, and how to add one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwise.cli._score import use_tables

if TYPE_CHECKING:
    import polars as pl

__all__ = ["app"]

app = typer.Typer(help="List, show and add tables of published figures.", rich_markup_mode=None)

_Overlays = Annotated[list[Path] | None, typer.Option(help="Folder of your own tables, on top of ours; may be repeated.")]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


@app.callback(invoke_without_command=True)
def list_tables(context: typer.Context, tables: _Overlays = None, as_json: _AsJson = False) -> None:
    """List the tables of published figures, or show or add one."""
    use_tables(tables or ())
    if context.invoked_subcommand is not None:
        return
    from data_specs import catalog
    from poolwise.cli._screen import json_document, new_table, screen

    held = catalog()
    if as_json:
        json_document({"command": "tables", "tables": held.to_dicts()})
        return
    columns = [("name", "left"), ("years", "left"), ("rows", "right"), ("supplied by", "left"), ("title", "left")]
    table = new_table("Tables of published figures", columns)
    for row in held.select("name", "years", "rows", "supplied_by", "title").rows():
        name, years, rows, supplier, title = row
        table.add_row(name, years, f"{rows:,}", supplier, title)
    console = screen()
    console.print(table)
    console.print("One of them: poolwise tables show NAME [--year YEAR]")


@app.command(name="show")
def show_table(
    name: Annotated[str, typer.Argument(help="Name as in the list, for example hhs_hcc/coefficients.")],
    year: Annotated[int | None, typer.Option(help="Only the rows of this year.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 20,
    tables: _Overlays = None,
    as_json: _AsJson = False,
) -> None:
    """Show a table: where it comes from, its columns with their units, its rows."""
    use_tables(tables or ())
    from data_specs import table
    from data_specs._registry import contracts, provenance
    from poolwise.cli._screen import json_document

    frame = table(name, year=year)
    contract = contracts()[name]
    if as_json:
        json_document(
            {
                "command": "tables show",
                "name": name,
                "title": contract.title,
                "source": contract.source,
                "sources": provenance([name]),
                "columns": [{"name": c.name, "type": c.type, "unit": c.unit, "about": c.about} for c in contract.columns],
                "rows": frame.to_dicts(),
            }
        )
        return
    _show_contract(contract)
    _show_rows(frame, rows, name, year)


def _show_contract(contract: Any) -> None:
    from poolwise.cli._screen import new_table, screen

    console = screen()
    console.print(f"{contract.full_name}: {contract.title}", style="bold")
    console.print(f"Source: {contract.source}")
    if contract.note:
        console.print(contract.note)
    console.print()
    table = new_table("Columns", [("column", "left"), ("type", "left"), ("unit", "left"), ("meaning", "left")])
    for column in contract.columns:
        key = " (key)" if column.name in contract.key else ""
        table.add_row(column.name + key, column.type, column.unit, column.about)
    console.print(table)


def _show_rows(frame: pl.DataFrame, rows: int, name: str, year: int | None) -> None:
    from poolwise.cli._screen import new_table, plural, screen

    numbers = {c for c, d in frame.schema.items() if d.is_numeric()}
    title = f"{plural(frame.height, 'row')}" + (f" of {year}" if year is not None else "")
    table = new_table(title, [(c, "right" if c in numbers else "left") for c in frame.columns])
    for row in frame.head(rows).rows():
        table.add_row(*("" if v is None else str(v) for v in row))
    console = screen()
    console.print(table)
    if frame.height > rows:
        console.print(f"{frame.height - rows:,} more: --rows N, or --json for all of {name}")


@app.command(name="add")
def add_command(
    folder: Annotated[Path, typer.Argument(help="Folder of tidy tables, one .csv or .parquet each.")],
    family: Annotated[str, typer.Option(help="The family they belong to, for example hhs_hcc.")],
    to: Annotated[Path, typer.Option(help="Your own folder of tables; afterwards --tables names it.")],
    as_json: _AsJson = False,
) -> None:
    """Check a folder of tables and add them, as new tables or new revisions, to a folder of your own."""
    from dataclasses import asdict

    from data_specs import add_tables
    from poolwise.cli._faults import FINDINGS, FINE
    from poolwise.cli._screen import json_document, new_table, screen

    added = add_tables(folder, family=family, to=to)
    years = _years_that_score(to) if family == "hhs_hcc" else []
    broken = [y for y in years if y["status"] == "contradictory"]
    code = FINDINGS if broken else FINE
    if as_json:
        document = {"command": "tables add", "to": str(to), "added": [asdict(a) for a in added], "years": years}
        json_document({**document, "exit_code": code})
        raise typer.Exit(code)
    columns = [("table", "left"), ("done", "left"), ("revision", "left"), ("rows", "right"), ("years", "left")]
    table = new_table(f"Added to {to}", columns)
    for one in added:
        table.add_row(one.name, one.action, one.revision, f"{one.rows:,}", one.years)
    console = screen()
    console.print(table)
    _show_years(console, years)
    console.print("Use them: poolwise score FOLDER --benefit-year YEAR --tables", end=" ")
    typer.echo(str(to))
    raise typer.Exit(code)


def _years_that_score(folder: Path) -> list[dict[str, Any]]:
    """Return benefit_year, status (scores, proposed, incomplete, contradictory) and what is wrong, for each year held."""
    from data_specs import table, use
    from data_specs.errors import NotYetPublished, TableMissing, TableRefused
    from riskadjust._model import compile_year
    from riskadjust._settings import ScoringSettings

    found = []
    with use(folder):
        for year in sorted(table("hhs_hcc/coefficients")["benefit_year"].unique().to_list()):
            status, what = "scores", ""
            try:
                compile_year(year, ScoringSettings())
            except NotYetPublished:
                status, what = "proposed", "scored with --allow-proposed only"
            except TableMissing as error:
                status, what = "incomplete", error.what
            except TableRefused as error:
                status, what = "contradictory", str(error)
            found.append({"benefit_year": year, "status": status, "what": what})
    return found


def _show_years(console: Any, years: list[dict[str, Any]]) -> None:
    from data_specs._registry import year_ranges

    scored = [y["benefit_year"] for y in years if y["status"] == "scores"]
    if years:
        console.print(f"Benefit years that can be scored with them: {year_ranges(scored) or 'none'}")
    for year in years:
        if year["status"] != "scores":
            style = "bold red" if year["status"] == "contradictory" else ""
            console.print(f"  {year['benefit_year']} {year['status']}: {year['what']}", style=style)
