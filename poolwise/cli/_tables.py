"""``poolwise tables``: which published figures are held, what they say, and how to add one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwise.cli._options import AsJson, Overlays
from poolwise.cli._score import tables_in_use

if TYPE_CHECKING:
    import polars as pl

__all__ = ["app"]

app = typer.Typer(help="List, show and add tables of published figures.", rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def list_tables(context: typer.Context, tables: Overlays = None, as_json: AsJson = False) -> None:
    """List the tables of published figures, or show or add one."""
    # For as long as the command runs, `show` included.
    context.call_on_close(_entered(tables_in_use(tables or ())))
    if context.invoked_subcommand is not None:
        return
    from data_specs import catalog
    from poolwise.cli._screen import json_document, screen, show_table

    held = catalog()
    if as_json:
        json_document({"command": "tables", "tables": held.to_dicts()})
        return
    columns = [("name", "left"), ("years", "left"), ("rows", "right"), ("supplied by", "left"), ("title", "left")]
    console = screen()
    # A family at a time: one long name would narrow the columns of all of them.
    families: dict[str, list[list[str]]] = {}
    for name, years, number, supplier, title in held.select("name", "years", "rows", "supplied_by", "title").rows():
        families.setdefault(name.partition("/")[0], []).append([name, years, f"{number:,}", supplier, title])
    for family, rows in families.items():
        show_table(console, f"Tables of published figures: {family}", columns, rows)
    console.print("One of them: poolwise tables show NAME [--year YEAR]")


def _entered(block: AbstractContextManager[None]) -> Callable[[], None]:
    """Enter a block and return what leaves it."""
    stack = ExitStack()
    stack.enter_context(block)
    return stack.close


@app.command(name="show")
def show_table(
    name: Annotated[str, typer.Argument(help="Name as in the list, for example hhs_hcc/coefficients.")],
    year: Annotated[int | None, typer.Option(metavar="YEAR", help="Only the rows of this year.")] = None,
    rows: Annotated[int, typer.Option(min=1, help="How many rows to show.")] = 10,
    tables: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Show a table: where it comes from, its columns with their units, its rows."""
    from data_specs import table
    from data_specs._registry import contracts, provenance
    from poolwise.cli._screen import json_document

    with tables_in_use(tables or ()):
        frame, contract, sources = table(name, year=year), contracts()[name], provenance([name])
    if as_json:
        json_document(
            {
                "command": "tables show",
                "name": name,
                "title": contract.title,
                "source": contract.source,
                "sources": sources,
                "columns": [
                    {"name": c.name, "type": c.type, "unit": c.unit, "about": c.about} for c in contract.columns
                ],
                "rows": frame.to_dicts(),
            }
        )
        return
    _show_contract(contract)
    _show_rows(frame, rows, name, year)


def _show_contract(contract: Any) -> None:
    from poolwise.cli._screen import screen, show_table

    console = screen()
    console.print(f"{contract.full_name}: {contract.title}", style="bold")
    console.print(f"Source: {contract.source}")
    if contract.note:
        console.print(contract.note)
    console.print()
    columns = [("column", "left"), ("type", "left"), ("unit", "left"), ("meaning", "left")]
    rows = [[c.name + (" (key)" if c.name in contract.key else ""), c.type, c.unit, c.about] for c in contract.columns]
    show_table(console, "Columns", columns, rows)


def _show_rows(frame: pl.DataFrame, rows: int, name: str, year: int | None) -> None:
    from poolwise.cli._screen import plural, screen, show_table

    numbers = {c for c, d in frame.schema.items() if d.is_numeric()}
    title = plural(frame.height, "row") + (f" of {year}" if year is not None else "")
    columns = [(c, "right" if c in numbers else "left") for c in frame.columns]
    cells = [["" if v is None else str(v) for v in row] for row in frame.head(rows).rows()]
    console = screen()
    if _width(frame.columns, cells) <= console.width:
        show_table(console, title, columns, cells)
    else:
        console.print(title, style="bold")
        for number, row in enumerate(cells, 1):
            filled = [[c, v] for c, v in zip(frame.columns, row, strict=True) if v]
            show_table(console, "", [(f"row {number}", "left"), ("", "left")], filled)
    if frame.height > rows:
        console.print(f"{frame.height - rows:,} more: --rows N, or --json for all of {name}")


def _width(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> int:
    """Return how many characters a line needs when no cell is folded."""
    widths = [max(len(c) for c in column) for column in zip(columns, *cells, strict=True)]
    return sum(widths) + 3 * (len(columns) - 1)


@app.command(name="add")
def add_command(
    folder: Annotated[Path, typer.Argument(help="Folder of tidy tables, one .csv or .parquet each.")],
    family: Annotated[str, typer.Option(metavar="NAME", help="The family they belong to, for example hhs_hcc.")],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Your own folder of tables; afterwards --tables names it.")],
    as_json: AsJson = False,
) -> None:
    """Check a folder of tables and add them, as new tables or new revisions, to a folder of your own."""
    from dataclasses import asdict

    from data_specs import add_tables
    from poolwise.cli._faults import FINDINGS, FINE
    from poolwise.cli._screen import json_document, screen, show_table

    added = add_tables(folder, family=family, to=to)
    years = _years_that_score(to, [a.years for a in added]) if family == "hhs_hcc" else []
    broken = [y for y in years if y["status"] == "contradictory"]
    code = FINDINGS if broken else FINE
    if as_json:
        document = {"command": "tables add", "to": str(to), "added": [asdict(a) for a in added], "years": years}
        json_document({**document, "exit_code": code})
        raise typer.Exit(code)
    columns = [("table", "left"), ("done", "left"), ("revision", "left"), ("rows", "right"), ("years", "left")]
    console = screen()
    rows = [[one.name, one.action, one.revision, f"{one.rows:,}", one.years] for one in added]
    show_table(console, f"Added to {to}", columns, rows)
    _show_years(console, years)
    # Not wrapped by the console: a command is copied as one piece.
    typer.echo(f"Use them: poolwise score FOLDER --benefit-year YEAR --tables {to}")
    raise typer.Exit(code)


def _years_that_score(folder: Path, spans: Sequence[str]) -> list[dict[str, Any]]:
    """Return benefit_year, status (scores, proposed, incomplete, contradictory) and what is wrong, year by year.

    `spans` are the years of the added tables, as ``2018-2019, 2021``; a table without years concerns all of them.
    """
    from data_specs import table, use

    with use(folder):
        held = set(table("hhs_hcc/coefficients")["benefit_year"].unique().to_list())
        concerned = held if "" in spans else {year for span in spans for year in _years_in(span)}
        # The rules of a year look into the code table of the next one.
        concerned |= {year - 1 for year in concerned} & held
        return [{"benefit_year": year, **_compiled(year, allow_proposed=False)} for year in sorted(concerned)]


def _years_in(span: str) -> list[int]:
    """Return the years of a text.

    Examples
    --------
    >>> _years_in("2018-2020, 2022")
    [2018, 2019, 2020, 2022]
    """
    runs = [run.split("-") for run in span.split(", ")]
    return [year for run in runs for year in range(int(run[0]), int(run[-1]) + 1)]


def _compiled(year: int, *, allow_proposed: bool) -> dict[str, str]:
    """Return whether the tables of a year work together, and what is wrong where they do not."""
    from data_specs.errors import NotYetPublished, TableMissing, TableRefused
    from riskadjust._model import compile_year
    from riskadjust._settings import ScoringSettings

    try:
        compile_year(year, ScoringSettings(allow_proposed=allow_proposed))
    except NotYetPublished:
        found = _compiled(year, allow_proposed=True)
        return {"status": "proposed", "what": "scored with --allow-proposed only"} if not found["what"] else found
    except TableMissing as error:
        return {"status": "incomplete", "what": error.what.partition(": ")[2]}
    except TableRefused as error:
        return {"status": "contradictory", "what": str(error)}
    return {"status": "scores", "what": ""}


def _show_years(console: Any, years: list[dict[str, Any]]) -> None:
    from data_specs._registry import year_ranges
    from poolwise.cli._screen import show_table

    if not years:
        return
    scored = [y["benefit_year"] for y in years if y["status"] == "scores"]
    rows = [[str(y["benefit_year"]), y["status"], y["what"]] for y in years if y["status"] != "scores"]
    console.print(f"Benefit years that can be scored with them: {year_ranges(scored) or 'none'}")
    if rows:
        columns = [("year", "left"), ("status", "left"), ("what", "left")]
        styles = ["bold red" if row[1] == "contradictory" else "" for row in rows]
        show_table(console, "Other years", columns, rows, styles=styles)
