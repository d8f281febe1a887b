"""``poolwise av``: the actuarial value of plan designs, their metal, and what would bring one into its window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poolwise.cli._options import AsJson, Form, Out, Overlays, finish
from poolwise.cli._score import parsed_settings, tables_in_use

if TYPE_CHECKING:
    from poolwise.cli._av_results import ValueOutcome

__all__ = ["av_command"]

_STEPS = 7


class Metal(StrEnum):
    """Metal levels that a design may be meant to have."""

    platinum = "platinum"
    gold = "gold"
    silver = "silver"
    bronze = "bronze"
    expanded_bronze = "expanded_bronze"
    catastrophic = "catastrophic"


def av_command(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Designs: JSON (a mapping, a list, or a document with designs or cases), a design table (.csv, "
            ".parquet, .xlsx; a row per plan and service), or the two Plans & Benefits public use files.",
        ),
    ],
    plan_year: Annotated[int, typer.Option(metavar="YEAR", help="Whose tables, method and windows are used.")],
    metal: Annotated[
        Metal | None, typer.Option(help="The metal level that designs are meant to have which name none.")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Also look for the value of --lever that gives this value: 0.70, say."),
    ] = None,
    lever: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="What is moved: deductible, moop, plan_coinsurance, copay:primary_care, say."
        ),
    ] = None,
    out: Out = None,
    form: Annotated[Form, typer.Option("--format", help="File format of designs and levers.")] = Form.parquet,
    tables: Overlays = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A declared setting, such as legal_state=stayed_2025_08_22, unsettled=bisect, "
            "coinsurance_is=enrollee; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Work out actuarial values: which metal a design is, how far it misses, and what would bring it in.

    Not the federal calculator: its method on its tables, for work before a filing; the filing attaches the output of
    that one. Exit code 1: a design has no value or misses its window.
    """
    if (target is None) != (lever is None):
        raise typer.BadParameter("a target needs a lever, and a lever a target", param_hint="--target, --lever")
    job = Job(
        files=tuple(files),
        plan_year=plan_year,
        metal=None if metal is None else metal.value,
        target=target,
        lever=lever,
        settings={
            name: read_setting(value) for name, value in parsed_settings(setting or (), allow_proposed=False).items()
        },
        form=form.value,
        options={
            "files": [str(place) for place in files],
            "plan_year": plan_year,
            "metal": None if metal is None else metal.value,
            "target": target,
            "lever": lever,
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
            "setting": list(setting or ()),
        },
    )
    with tables_in_use(tables or ()):
        outcome = _run(job, out)
    finish("av", outcome, out, as_json=as_json)


@dataclass(frozen=True)
class Job:
    """What a run of the command was asked to do."""

    files: tuple[Path, ...]
    plan_year: int
    metal: str | None = None
    target: float | None = None
    lever: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    form: str = "parquet"
    options: dict[str, Any] = field(default_factory=dict)


def read_setting(value: Any) -> Any:
    """Return the value of a setting: a number, none, or the text.

    Examples
    --------
    >>> read_setting("0.001"), read_setting("none"), read_setting("bisect")
    (0.001, None, 'bisect')
    """
    if not isinstance(value, str):
        return value
    if value.lower() == "none":
        return None
    try:
        return int(value) if value.isdecimal() else float(value)
    except ValueError:
        return value


def _run(job: Job, out: Path | None) -> ValueOutcome:
    """Do the job: check the place of the results first, then value, then publish."""
    from poolwise.cli._screen import progress

    with progress(_STEPS) as begin:
        if out is None:
            return _work(job, begin)
        from data_specs._manifest import publishing, writing

        with publishing(out, inputs=list(job.files)) as staging:
            outcome = _work(job, begin)
            begin("drawing")
            outcome.draw(staging)
            begin("writing")
            with writing(out):
                outcome.write(staging, job.form)
                _describe(job, outcome, staging)
        return outcome


def _describe(job: Job, outcome: ValueOutcome, folder: Path) -> None:
    from data_specs._manifest import describe_run, write_manifest

    names = [place.name for place in job.files]
    files = {place.name if names.count(place.name) == 1 else place.as_posix(): place for place in job.files}
    run = describe_run(
        "av",
        job.options,
        benefit_year=job.plan_year,
        settings=outcome.settings_by_name(),
        inputs=files,
        tables=outcome.tables,
        counts=outcome.counts,
        findings=outcome.findings,
        uncertain=outcome.uncertain,
    )
    write_manifest(folder, run)


def _work(job: Job, begin: Callable[[str], None]) -> ValueOutcome:
    from poolwise.cli._av_levers import MOST_SUGGESTED, check_lever, solved, suggested
    from poolwise.cli._av_results import Target, ValueOutcome
    from poolwise.cli._av_work import valued
    from rating import ActuarialValueSettings, LeverSettings

    # Before anything is read: what cannot be asked need not wait for a large file.
    chosen = LeverSettings.of(job.settings)
    if job.lever is not None and job.target is not None:
        check_lever(job.lever, job.target)
    of_values = {name: value for name, value in job.settings.items() if name in ActuarialValueSettings.names()}
    found = valued(job.files, plan_year=job.plan_year, metal=job.metal, settings=of_values, begin=begin)
    asked: dict[str, Any] = {"plan_year": job.plan_year, "settings": job.settings}
    begin("looking for levers")
    target = None
    if job.lever is not None and job.target is not None:
        target = Target(job.target, job.lever, solved(found, lever=job.lever, target_av=job.target, **asked))
    missed = int((~found.result.designs["in_range"] & found.result.designs["window"].is_not_null()).sum())
    more = [f"levers were looked for in the first {MOST_SUGGESTED} of {missed:,} designs that miss their window"]
    return ValueOutcome(
        found.result,
        found.designs,
        plan_year=job.plan_year,
        levers=suggested(found, **asked),
        target=target,
        left_out=found.left_out,
        notes=[*found.notes, *(more if missed > MOST_SUGGESTED else [])],
        lists=found.lists,
        settings=chosen.frame(),
    )
