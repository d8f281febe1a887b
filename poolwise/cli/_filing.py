"""``poolwise filing``: from experience and assumptions to a rate table, its workbook, and what a signer must know."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_specs.errors import InputRefused, SettingRefused
from poolwise.cli._options import AsJson, Form, Out, Overlays
from poolwise.cli._score import tables_in_use

if TYPE_CHECKING:
    from poolwise.cli._filing_results import FilingOutcome
    from rating.filing import Filing
    from rating.filing._config import FilingConfig
    from rating.filing._config_run import FilingRun
    from rating.filing._config_studies import Reader

__all__ = ["Asked", "Job", "filing_command", "trace_arguments", "work_out"]

_STEPS = 10
_WORKBOOK = "urrt.xlsx"
_TOBACCO = "tobacco"
_RATE = "rate"


def filing_command(
    config: Annotated[
        Path,
        typer.Argument(
            help="The TOML file that names inputs and assumptions, or the folder that holds it as filing.toml."
        ),
    ],
    out: Out = None,
    what_if: Annotated[
        list[str] | None,
        typer.Option(
            "--what-if",
            metavar="NAME=VALUE",
            help="Work the filing out again with this changed and show what it moves: trend=0.07, adj_morbidity=1.03, "
            "pct_admin=0.11 (pct_admin@PLAN_ID=0.11), a setting, or table.key of the file; several hold together.",
        ),
    ] = None,
    prior: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|DIR", help="An earlier filing, a workbook or a result folder: show what moved since then."
        ),
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            metavar="rate,PLAN,AREA,AGE[,tobacco]|NAME[,PLAN]",
            help="Walk a rate, or any number by its name, back to claims; may be repeated.",
        ),
    ] = None,
    depth: Annotated[int, typer.Option(metavar="NUMBER", min=1, help="How deep a trace is shown on the screen.")] = 6,
    form: Annotated[Form, typer.Option("--format", help="File format of rates and ledger.")] = Form.parquet,
    tables: Overlays = None,
    as_json: AsJson = False,
) -> None:
    """Work out a rate filing from one TOML file.

    Completes the experience, trends and adjusts it to the index rate, prices the plans, calibrates them and makes the
    rate table. Leaves the rate review template as a workbook with live formulas, the exchange's rates table, a ledger
    in which every number can be walked back, the checks of a reviewer, exhibits, and a reliance page. Exhibits, never a
    certification.
    """
    from poolwise.cli._screen import json_document, screen

    job = Job(
        config=config,
        asked=Asked(tuple(what_if or ()), prior, tuple(trace or ()), depth),
        form=form.value,
        options={
            "config": str(config),
            "what_if": list(what_if or ()),
            "prior": None if prior is None else str(prior),
            "trace": list(trace or ()),
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
        },
    )
    with tables_in_use(tables or ()):
        outcome = _run(job, out)
    if as_json:
        json_document({"command": "filing", "out": None if out is None else str(out), **outcome.document()})
    else:
        outcome.show(screen())
        outcome.echo_traces(depth)
        if out is not None:
            # Not wrapped by the console: a path is copied as one piece.
            typer.echo(f"Results: {out}")
    raise typer.Exit(outcome.exit_code)


@dataclass(frozen=True)
class Asked:
    """What is asked of a filing beside itself."""

    what_if: tuple[str, ...] = ()
    prior: Path | None = None
    traces: tuple[str, ...] = ()
    depth: int = 6


@dataclass(frozen=True)
class Job:
    """What a run of the command was asked to do."""

    config: Path
    asked: Asked = field(default_factory=Asked)
    form: str = "parquet"
    options: dict[str, Any] = field(default_factory=dict)


def _run(job: Job, out: Path | None) -> FilingOutcome:
    """Do the job: check the place of the results first, then work out, then publish."""
    from poolwise.cli._screen import progress
    from rating.filing._config import read_config
    from rating.filing._config_changes import read_changes, with_changes

    wanted = read_changes(job.asked.what_if)
    for text in job.asked.traces:
        trace_arguments(text)
    with progress(_STEPS) as begin:
        begin("reading the document")
        config = read_config(job.config)
        # Before any table is read: what cannot be asked need not wait for a large file.
        with_changes(config, None, wanted)
        if out is None:
            return work_out(config, job.asked, wanted, begin)
        from data_specs._manifest import publishing, writing

        sources = [job.config, *config.files.values(), *filter(None, [job.asked.prior])]
        with publishing(out, inputs=sources) as staging:
            outcome = work_out(config, job.asked, wanted, begin)
            with writing(out):
                begin("writing")
                outcome.write(staging, job.form)
                begin("drawing")
                outcome.draw(staging)
                describe(job, outcome, staging)
        return outcome


def describe(job: Job, outcome: FilingOutcome, folder: Path) -> None:
    """Write the manifest of a result folder."""
    from data_specs._manifest import describe_run, write_manifest

    config = outcome.run.config
    home = config.path.parent
    files = {config.path.name: config.path}
    for key, place in config.files.items():
        # Two folders may each have a plans.csv: what lies elsewhere is told apart by its key.
        if place.is_file():
            files[place.relative_to(home).as_posix() if place.is_relative_to(home) else f"{key}: {place.name}"] = place
    prior = None if job.asked.prior is None else workbook_of(job.asked.prior)
    run = describe_run(
        "filing",
        job.options,
        benefit_year=outcome.run.filing.header["plan_year"],
        settings=dict(outcome.run.filing.settings.select("setting", "value").rows()),
        inputs=files | ({f"--prior: {prior.name}": prior} if prior else {}),
        tables=outcome.tables,
        findings=outcome.counted_findings(),
        uncertain=outcome.run.filing.uncertain,
    )
    write_manifest(folder, run)


def work_out(
    config: FilingConfig, asked: Asked, wanted: Sequence[Any] = (), begin: Callable[[str], None] = lambda _: None
) -> FilingOutcome:
    """Return a filing with all that was asked of it: the earlier one, the changed one, bridges, checks, traces."""
    from poolwise.cli._filing_results import FilingOutcome
    from rating.filing import bridge
    from rating.filing._config_run import run_config
    from rating.filing._config_studies import Reader
    from rating.review import run

    reader = Reader()
    earlier = asked.prior or config.section("inputs").get("prior")
    before = None
    if earlier is not None:
        begin("reading the earlier filing")
        before = _earlier(earlier)
    worked = run_config(config, reader=reader, prior=before, begin=begin)
    traces = {text: worked.filing.trace(**trace_arguments(text)) for text in asked.traces}
    bridges, changed = {}, None
    if before is not None:
        bridges["prior"] = bridge(before, worked.filing)
    if wanted:
        begin("what if")
        changed = _changed(config, worked, wanted, reader)
        bridges["what_if"] = bridge(worked.filing, changed.filing)
    begin("checking")
    review = run(worked.filing, prior=before)
    return FilingOutcome(worked, review, bridges=bridges, changed=changed, wanted=wanted, traces=traces)


def _changed(config: FilingConfig, worked: FilingRun, wanted: Sequence[Any], reader: Reader) -> FilingRun:
    from rating.filing._config_changes import with_changes
    from rating.filing._config_run import run_config

    return run_config(with_changes(config, worked.filing, wanted), reader=reader, prior=worked.prior)


# ------------------------------------------------------------------------------------------------ earlier filings


def workbook_of(place: Path) -> Path:
    """Return the workbook of an earlier filing: the file itself, or the one of a result folder.

    Raises
    ------
    InputRefused
        There is none.
    """
    path = place / _WORKBOOK if place.is_dir() else place
    if path.is_file():
        return path
    raise InputRefused(
        "the earlier filing is not there" if not place.exists() else "the folder is no result of poolwise filing",
        where=str(place),
        rule=f"an earlier filing is a workbook, or a result folder with {_WORKBOOK}",
        remedy="name one of them",
    )


def _earlier(place: Path) -> Filing:
    from rating.filing import read_workbook

    return read_workbook(workbook_of(place))


# ------------------------------------------------------------------------------------------------ traces


def trace_arguments(text: str) -> dict[str, Any]:
    """Return the arguments of a trace from ``rate,PLAN,AREA,AGE[,tobacco]`` or ``NAME[,PLAN]``.

    Raises
    ------
    SettingRefused
        It is neither.

    Examples
    --------
    >>> trace_arguments("rate,12345TX0010001,2,64+,tobacco")
    {'name': 'rate', 'plan': '12345TX0010001', 'area': '2', 'age': 64, 'tobacco': True}
    >>> trace_arguments("market_adjusted_index_rate")
    {'name': 'market_adjusted_index_rate', 'plan': None}
    """
    name, *rest = (part.strip() for part in text.split(","))
    if name != _RATE:
        if not name or len(rest) > 1:
            raise _no_trace(text)
        return {"name": name, "plan": rest[0] if rest else None}
    # An age, or a band by its first: 45, 0-14, 64+.
    age = rest[2].partition("-")[0].rstrip("+") if len(rest) in (3, 4) else ""
    if not age.isdecimal() or rest[3:] not in ([], [_TOBACCO]):
        raise _no_trace(text)
    return {"name": name, "plan": rest[0], "area": rest[1], "age": int(age), "tobacco": len(rest) == 4}


def _no_trace(text: str) -> SettingRefused:
    return SettingRefused(
        f"--trace {text!r} names no number",
        rule="rate,PLAN,AREA,AGE, with ,tobacco behind it for tobacco users; or a name, and a plan where it is one's",
        remedy="write --trace rate,12345TX0010001,1,45 or --trace market_adjusted_index_rate, say",
    )
