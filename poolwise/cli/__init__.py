"""The ``poolwise`` command: one file per command; what a command needs is imported when it runs."""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from data_specs.errors import PoolwiseError
from poolwise.cli import _av, _demo, _failsafes, _filing, _quote, _score, _tables, _transfers
from poolwise.cli._faults import INTERRUPTED, REFUSED, say_fault, say_refusal

__all__ = ["app", "main"]


class _Commands(TyperGroup):
    """The group of all commands: whatever goes wrong in one ends in plain words and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PoolwiseError as error:
            say_refusal(error)
            raise typer.Exit(REFUSED) from None
        except KeyboardInterrupt:
            sys.stderr.write("poolwise: interrupted; no new result was left\n")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of the output has gone (`| head`): nothing more can be said, and nothing is wrong.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except Exception as error:
            if os.environ.get("POOLWISE_DEBUG") or _is_usage(error):
                raise
            say_fault(error)
            raise typer.Exit(REFUSED) from None


def _is_usage(error: Exception) -> bool:
    """Return whether typer itself shall speak: usage errors and exits are its own exceptions."""
    return type(error).__module__.split(".")[0] in ("typer", "click")


app = typer.Typer(
    name="poolwise",
    cls=_Commands,
    help="Price ACA health plans and settle risk-adjustment money between issuers.",
    epilog="Exit codes: 0 fine, 1 findings (rows rejected), 2 refused, 3 partial.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(name="score")(_score.score_command)
app.command(name="transfers")(_transfers.transfers_command)
app.command(name="quote")(_quote.quote_command)
app.command(name="filing")(_filing.filing_command)
app.command(name="failsafes")(_failsafes.failsafes_command)
app.command(name="av")(_av.av_command)
app.command(name="demo")(_demo.demo_command)
app.add_typer(_tables.app, name="tables")


def _show_version(wanted: bool) -> None:
    if wanted:
        from data_specs._manifest import product_version

        typer.echo(f"poolwise {product_version()}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command with the arguments of the process."""
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show must not end the command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # So that a run that is told to stop takes its unfinished folder away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app()
