"""``poolwise score``: the risk scores of a folder of enrollees, diagnoses and drugs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_specs.errors import SettingRefused
from poolwise.cli._options import AsJson, Form, Out, Overlays

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._results import Outcome
    from riskadjust import Scores

__all__ = ["parsed_settings", "score_command", "tables_in_use"]

# Rules, scoring, explaining, writing, and a step for each table read.
_STEPS_OF_DIY, _STEPS_OF_TABLES = 5, 9


def score_command(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder in the DIY layout (PERSON.csv, DIAG.csv ...) or of tables (enrollees.csv ...)."),
    ],
    benefit_year: Annotated[int, typer.Option(metavar="YEAR", help="The year whose published tables are used.")],
    out: Out = None,
    explain: Annotated[bool, typer.Option("--explain", help="Take the scores apart, variable by variable.")] = False,
    enrollee_id: Annotated[
        list[str] | None,
        typer.Option("--id", metavar="ENROLLEE_ID", help="Explain this enrollee only, on the screen; may be repeated."),
    ] = None,
    page: Annotated[
        bool, typer.Option("--page", help="Also write summary.html, to be shared, into the folder.")
    ] = False,
    form: Annotated[Form, typer.Option("--format", help="File format of scores and explanation.")] = Form.parquet,
    tables: Overlays = None,
    setting: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="A declared setting; may be repeated.")
    ] = None,
    allow_proposed: Annotated[
        bool, typer.Option("--allow-proposed", help="Score a year whose coefficients are a proposed rule.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Score a year of enrollees (HHS-HCC).

    Every score can be taken apart, down to the codes that caused it. Rows that cannot be used are counted, by rule, and
    written out.
    """
    from poolwise.cli._screen import json_document, screen

    job = Job(
        folder=folder,
        benefit_year=benefit_year,
        settings=parsed_settings(setting or (), allow_proposed),
        explain=explain or bool(enrollee_id),
        enrollee_ids=tuple(enrollee_id or ()),
        form=form.value,
        page=page,
        options={
            "folder": str(folder),
            "explain": explain,
            "page": page,
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
            "setting": list(setting or ()),
            "allow_proposed": allow_proposed,
        },
    )
    _check_asked(job, out)
    with tables_in_use(tables or ()):
        outcome = _run(job, out)
    if as_json:
        json_document({"command": "score", **_placed(out), **outcome.document(), **_explained(job, outcome)})
    else:
        _show(screen(), job, outcome, out)
    raise typer.Exit(outcome.exit_code)


@dataclass(frozen=True)
class Job:
    """What a run of the command was asked to do."""

    folder: Path
    benefit_year: int
    settings: dict[str, Any]
    explain: bool = False
    enrollee_ids: tuple[str, ...] = ()
    form: str = "parquet"
    page: bool = False
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Scored:
    """A scored folder: the result, its files, and what else the run needs from the input."""

    result: Scores
    files: dict[str, Path]
    explanation: pl.DataFrame | None
    sexes: pl.DataFrame
    notes: list[str]


@contextmanager
def tables_in_use(folders: Sequence[Path]) -> Iterator[None]:
    """Put folders of the user's own tables on top of the installed ones, the last one uppermost."""
    with ExitStack() as stack:
        if folders:
            from data_specs import use

            for folder in folders:
                stack.enter_context(use(folder))
        yield


def parsed_settings(given: Sequence[str], allow_proposed: bool) -> dict[str, Any]:
    """Return settings from ``name=value`` texts.

    Raises
    ------
    SettingRefused
        No ``=``, or a name given twice. Unknown names and values are refused by the scores.

    Examples
    --------
    >>> parsed_settings(["duration_scope=plan"], allow_proposed=True)
    {'duration_scope': 'plan', 'allow_proposed': True}
    """
    settings: dict[str, Any] = {}
    for text in given:
        name, mark, value = (part.strip() for part in text.partition("="))
        if not mark or not name:
            raise SettingRefused(f"setting {text!r} has no value", remedy="write it as name=value")
        if name in settings:
            raise SettingRefused(f"setting {name!r} is given twice", remedy="give it once")
        settings[name] = {"true": True, "false": False}.get(value.lower(), value)
    if allow_proposed:
        settings["allow_proposed"] = True
    return settings


def _check_asked(job: Job, out: Path | None) -> None:
    if job.explain and not job.enrollee_ids and out is None:
        raise typer.BadParameter(
            "--explain needs --out DIR (everybody, into a file) or --id (these, on the screen)", param_hint="--explain"
        )
    if job.page and out is None:
        raise typer.BadParameter("--page needs --out DIR", param_hint="--page")


def _run(job: Job, out: Path | None) -> Outcome:
    """Do the job: check the place of the results first, then score, then publish."""
    from data_specs.formats.folder import is_diy_folder
    from poolwise.cli._screen import progress

    is_diy = is_diy_folder(job.folder)
    with progress(_STEPS_OF_DIY if is_diy else _STEPS_OF_TABLES) as begin:
        if out is None:
            return _outcome(job, _score_folder(job, is_diy, begin))
        from data_specs._manifest import publishing, writing

        with publishing(out, inputs=[job.folder]) as staging:
            scored = _score_folder(job, is_diy, begin)
            outcome = _outcome(job, scored)
            begin("writing")
            with writing(out):
                outcome.write(staging, job.form)
                if job.page:
                    _draw(job, scored, outcome, staging)
                _describe(job, scored, staging)
        return outcome


def _describe(job: Job, scored: Scored, folder: Path) -> None:
    from data_specs._manifest import describe_run, write_manifest

    result = scored.result
    run = describe_run(
        "score",
        job.options,
        benefit_year=job.benefit_year,
        settings=result.settings,
        inputs={path.name: path for path in scored.files.values()},
        tables=result.tables,
        counts=result.counts,
        findings=result.findings,
        uncertain=result.uncertain,
    )
    write_manifest(folder, run)


def _score_folder(job: Job, is_diy: bool, begin: Callable[[str], None]) -> Scored:
    from riskadjust._model import compile_year
    from riskadjust._settings import ScoringSettings

    begin(f"rules of {job.benefit_year}")
    # Before anything is read: a year that is not held, or an unknown setting, need not wait for a large file.
    compile_year(job.benefit_year, ScoringSettings.of(job.settings))
    return _score_diy(job, begin) if is_diy else _score_tables(job, begin)


def _score_diy(job: Job, begin: Callable[[str], None]) -> Scored:
    import polars as pl

    from data_specs.formats import diy
    from riskadjust import explain_diy, score_diy

    begin("reading")
    tables = diy.read_diy(job.folder)
    begin("scoring")
    result = score_diy(tables, benefit_year=job.benefit_year, explain=True, settings=job.settings)
    explanation = None
    if job.explain:
        begin("explaining")
        known = set(result.scores["enrollee_id"].to_list())
        chosen = [i for i in job.enrollee_ids if i in known] if job.enrollee_ids else None
        explanation = explain_diy(tables, benefit_year=job.benefit_year, enrollee_ids=chosen, settings=job.settings)
    files = {path.stem: path for path in diy.diy_files(job.folder).values()}
    sexes = tables.person.select(pl.col("ENROLID").alias("enrollee_id"), pl.col("SEX").alias("sex"))
    notes = [] if tables.ndc is not None or tables.hcpcs is not None else [_no_drugs("NDC or HCPCS")]
    return Scored(result, files, explanation, sexes, notes)


def _score_tables(job: Job, begin: Callable[[str], None]) -> Scored:
    from data_specs.formats.folder import read_folder
    from riskadjust import explain, score

    tables = read_folder(job.folder, benefit_year=job.benefit_year, on_table=lambda table: begin(f"reading {table}"))
    frames = (tables.enrollees, tables.spans, tables.diagnoses, tables.drugs)
    begin("scoring")
    result = score(*frames, benefit_year=job.benefit_year, explain=True, settings=job.settings)
    explanation = None
    if job.explain:
        begin("explaining")
        explanation = explain(
            *frames, benefit_year=job.benefit_year, enrollee_ids=job.enrollee_ids or None, settings=job.settings
        )
    notes = [] if tables.drugs is not None else [_no_drugs("drugs")]
    if tables.not_read:
        notes.append(f"not read, because no input table has these names: {', '.join(tables.not_read)}")
    return Scored(result, tables.files, explanation, tables.enrollees.select("enrollee_id", "sex"), notes)


def _no_drugs(table: str) -> str:
    return f"the folder has no {table} table: no score holds a prescription drug category"


def _outcome(job: Job, scored: Scored) -> Outcome:
    from poolwise.cli._results import Outcome

    notes, partial = list(scored.notes), False
    if scored.explanation is not None and job.enrollee_ids:
        missing = len(set(job.enrollee_ids) - set(scored.explanation["enrollee_id"].to_list()))
        if missing:
            partial = True
            notes.append(f"ids to explain that have no score: {missing} of {len(set(job.enrollee_ids))}")
    return Outcome(scored.result, explain=job.explain, explanation=scored.explanation, notes=notes, partial=partial)


def _draw(job: Job, scored: Scored, outcome: Outcome, folder: Path) -> None:
    """Draw the page; where the extra that draws it is missing, say so and go on."""
    from data_specs.errors import ExtraMissing
    from poolwise.report import summary_page

    try:
        page = summary_page(
            scored.result,
            title=f"Risk scores, benefit year {job.benefit_year}",
            sexes=scored.sexes,
            notes=outcome.notes,
        )
    except ExtraMissing as error:
        outcome.notes.append(f"no page was drawn: {error}")
        return
    (folder / "summary.html").write_text(page, encoding="utf-8", newline="\n")


def _placed(out: Path | None) -> dict[str, Any]:
    return {"out": None if out is None else str(out)}


def _explained(job: Job, outcome: Outcome) -> dict[str, Any]:
    if not job.enrollee_ids or outcome.explanation is None:
        return {}
    return {"explanation": outcome.explanation.to_dicts()}


def _show(console: Any, job: Job, outcome: Outcome, out: Path | None) -> None:
    from poolwise.cli._results import show_explanation

    outcome.show(console)
    if job.enrollee_ids and outcome.explanation is not None:
        show_explanation(console, outcome.explanation)
    if out is not None:
        # Not wrapped by the console: a path is copied as one piece.
        typer.echo(f"Results: {out}")
