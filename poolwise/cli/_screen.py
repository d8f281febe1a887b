"""What a command shows: tables for people, one JSON document for programs, progress on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["json_document", "plural", "progress", "screen", "show_table"]

_WIDTH_OF_A_PIPE = 110


def screen() -> Console:
    """Return standard output for people; without colors and of a fixed width when it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=_WIDTH_OF_A_PIPE)
    return console


def show_table(
    console: Console,
    title: str,
    columns: Sequence[tuple[str, str]],
    rows: Sequence[Sequence[str]],
    *,
    total: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> None:
    """Show a table; `columns` are headings with ``left`` or ``right``, `total` a last row set apart."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    # Names and numbers are read as one piece, unless a name would push the other columns off the screen; what stands
    # between and after them may be folded.
    is_long = any(2 * len(row[0]) > console.width for row in rows)
    for place, (heading, side) in enumerate(columns):
        in_one_piece = side == "right" or (place == 0 and not is_long)
        table.add_column(heading, justify=side, no_wrap=in_one_piece)  # type: ignore[arg-type]
    for number, row in enumerate(rows):
        is_last = bool(total) and number == len(rows) - 1
        table.add_row(*row, end_section=is_last, style=styles[number] if styles else "")
    if total:
        table.add_row(*total)
    # The heading stands outside the table, which would fold it to its own width.
    if title:
        console.print(title, style="bold")
    console.print(table)
    console.print()


def json_document(document: dict[str, Any]) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, default=str) + "\n")


def plural(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> plural(1, "file"), plural(1200, "file")
    ('1 file', '1,200 files')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


@contextmanager
def progress(steps: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that names the step that begins; a bar on standard error shows it, on terminals only."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn("line"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("starting", total=steps)
        begun = 0

        def begin(step: str) -> None:
            nonlocal begun
            bar.update(task, description=f"{step:<28}", completed=begun)
            begun += 1

        yield begin
        bar.update(task, completed=steps)
