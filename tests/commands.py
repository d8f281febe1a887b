"""Runs commands in this process, as their users would type them."""

import functools

import typer.main
import typer.testing

from poolwise.cli import app

# Building the tree of commands takes longer than most of them run, and it is the same every time.
typer.testing._get_command = functools.cache(typer.main.get_command)


def invoke(*arguments):
    """What a command printed, its exit code and, for a fault, the exception."""
    return typer.testing.CliRunner().invoke(app, [str(a) for a in arguments])


def run(*arguments, code=0):
    """What a command printed; it must end with this exit code."""
    result = invoke(*arguments)
    assert result.exit_code == code, result.output
    return result


def refused(*arguments):
    """The refusal as its parts: what, where, rule, to do."""
    result = run(*arguments, code=2)
    assert result.stdout == ""
    first, *rest = result.stderr.splitlines()
    assert first.startswith("poolwise: ")
    parts = {"what": first.removeprefix("poolwise: ")}
    parts.update((line.split(":")[0].strip(), line.split(":", 1)[1].strip()) for line in rest)
    assert set(parts) <= {"what", "where", "rule", "to do"}, result.stderr
    assert "to do" in parts, "a refusal says what the reader can do"
    return parts
