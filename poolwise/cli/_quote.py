"""``poolwise quote``: what a household pays for each plan, and why; one from options, or a file of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_specs.errors import InputRefused, SettingRefused
from poolwise.cli._options import AsJson, Form, Out, Overlays, finish
from poolwise.cli._quote_household import Asked
from poolwise.cli._score import parsed_settings, tables_in_use

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._quote_inputs import RateInputs
    from poolwise.cli._quote_results import ManyHouseholds, OneHousehold

__all__ = ["quote_command"]

_MOST_IN_MEMORY = 1_000_000  # members x plans of the rating area with most plans
_STEPS = 7
_ONE = "one household from options"


def quote_command(
    rates: Annotated[
        Path,
        typer.Argument(
            help="Folder of rates (or base_rates, area_factors) and, where there are any, plans, areas, "
            "service_areas, zip_counties, households (.csv or .parquet); one file of rates; or a result of poolwise "
            "demo."
        ),
    ],
    plan_year: Annotated[int, typer.Option(metavar="YEAR", help="The year in which coverage begins.")],
    person: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AGE|BIRTH DATE[,...]",
            help="A member: 45, or 1981-03-02; with commas spouse, child, other, tobacco, not-covered, no-credit. "
            "May be repeated.",
        ),
    ] = None,
    state: Annotated[str | None, typer.Option(metavar="OH", help="State of the residence.")] = None,
    county: Annotated[
        str | None, typer.Option(metavar="39061|NAME", help="County: FIPS code, or name within the state.")
    ] = None,
    zip_code: Annotated[str | None, typer.Option("--zip", metavar="45202", help="ZIP code of the residence.")] = None,
    rating_area: Annotated[
        str | None, typer.Option(metavar="R-OH004|4", help="The rating area itself, where it is known.")
    ] = None,
    income: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="Household income of the year; without it no tax credit.")
    ] = None,
    tax_household: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Persons of the tax household; by default the people named.")
    ] = None,
    effective: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="Day on which coverage begins; by default 1 January.")
    ] = None,
    tribal: Annotated[bool, typer.Option("--tribal", help="All are members of federally recognized tribes.")] = False,
    exempt: Annotated[
        bool, typer.Option("--exempt", help="A hardship or affordability exemption opens catastrophic plans.")
    ] = False,
    status_exception: Annotated[
        bool,
        typer.Option("--status-exception", help="Medicaid refuses the household for its immigration status."),
    ] = False,
    plan: Annotated[
        list[str] | None, typer.Option(metavar="PLAN_ID", help="Show this plan only; may be repeated.")
    ] = None,
    households: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Quote the households of a file (.csv or .parquet), a row per member."),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="With a file: also write where each number comes from.")
    ] = False,
    members: Annotated[
        bool | None,
        typer.Option("--members/--no-members", help="Write the rate of each member; not by default in batches."),
    ] = None,
    batch: Annotated[
        bool,
        typer.Option("--batch", help="Quote in batches of bounded memory; large files are, in any case."),
    ] = False,
    out: Out = None,
    form: Annotated[Form, typer.Option("--format", help="File format of the results.")] = Form.parquet,
    tables: Overlays = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A declared setting, such as area_map=2023, tie=premiums, market=small_group; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Quote households: gross premium, tax credit, net premium and cost-sharing variant of every plan of their area.

    One household is told by options, anonymously; the plans come cheapest first, with an explanation of each number.
    Many come from a file. At tax time the credit is settled: rating.reconcile, in Python.
    """
    asked = Asked(
        people=tuple(person or ()),
        state=state,
        county=county,
        zip_code=zip_code,
        rating_area=rating_area,
        income=income,
        tax_household=tax_household,
        effective=effective,
        tribal=tribal,
        exempt=exempt,
        status_exception=status_exception,
    )
    given = {name: read_value(value) for name, value in parsed_settings(setting or (), allow_proposed=False).items()}
    job = Job(
        rates=rates,
        plan_year=plan_year,
        asked=asked,
        households=households,
        plan_ids=tuple(plan or ()),
        explain=explain,
        members=members,
        batch=batch,
        settings=given,
        form=form.value,
        options={
            "rates": str(rates),
            "plan_year": plan_year,
            # Who was quoted is nobody's business: a manifest tells that it was one household, not which.
            "households": _ONE if asked.people else None if households is None else str(households),
            "plan": list(plan or ()),
            "explain": explain,
            "members": members,
            "batch": batch,
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
            "setting": list(setting or ()),
        },
    )
    _check_asked(job)
    with tables_in_use(tables or ()):
        outcome = _run(job, out)
    finish("quote", outcome, out, as_json=as_json)


@dataclass(frozen=True)
class Job:
    """What a run of the command was asked to do."""

    rates: Path
    plan_year: int
    asked: Asked
    households: Path | None
    plan_ids: tuple[str, ...] = ()
    explain: bool = False
    members: bool | None = None
    batch: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    form: str = "parquet"
    options: dict[str, Any] = field(default_factory=dict)


def read_value(value: Any) -> Any:
    """Return the value of a setting: a whole number, none, or the text.

    Examples
    --------
    >>> read_value("2023"), read_value("none"), read_value("premiums")
    (2023, None, 'premiums')
    """
    if not isinstance(value, str):
        return value
    if value.lower() == "none":
        return None
    return int(value) if value.isdecimal() else value


def _check_asked(job: Job) -> None:
    asked = job.asked
    if asked.people and job.households is not None:
        raise typer.BadParameter("people are named, and a file of households too", param_hint="--households")
    if not asked.people and asked.details:
        raise typer.BadParameter("nobody is named who should be quoted", param_hint="--person")
    if not asked.people and job.plan_ids:
        raise typer.BadParameter("households of a file name their plans in its column plan_id", param_hint="--plan")
    for name, is_given in (("--batch", job.batch), ("--explain", job.explain), ("--members", job.members is not None)):
        if asked.people and is_given:
            raise typer.BadParameter("this goes with a file of households", param_hint=name)
    if job.batch and job.explain:
        raise typer.BadParameter("explanations are for some households, not for batches", param_hint="--explain")
    if job.batch and job.form != "parquet":
        raise typer.BadParameter("batches are written as Parquet", param_hint="--format")


def _run(job: Job, out: Path | None) -> OneHousehold | ManyHouseholds:
    """Do the job: check the place of the results first, then quote, then publish."""
    from poolwise.cli._quote_inputs import read_rates
    from poolwise.cli._screen import progress
    from rating import QuoteSettings

    with progress(_STEPS) as begin:
        begin("settings")
        # Before anything is read: a setting that is not known need not wait for a large file.
        QuoteSettings.of(job.settings)
        if out is None:
            begin("reading rates")
            return _quoted(job, read_rates(job.rates), None, begin)
        from data_specs._manifest import publishing, writing

        # Where else the run turns out to read from is known later; publishing looks at the list again before it does.
        sources = [job.rates, *filter(None, [job.households])]
        with publishing(out, inputs=sources) as staging:
            begin("reading rates")
            inputs = read_rates(job.rates)
            sources.extend(inputs.files.values())
            outcome = _quoted(job, inputs, staging, begin)
            begin("writing")
            with writing(out):
                outcome.write(staging, job.form)
                _describe(job, outcome, inputs, staging)
        return outcome


def _describe(job: Job, outcome: OneHousehold | ManyHouseholds, inputs: RateInputs, folder: Path) -> None:
    from data_specs._manifest import describe_run, write_manifest

    files = {path.name: path for path in inputs.files.values()}
    place = None if job.asked.people else job.households or inputs.households
    run = describe_run(
        "quote",
        job.options,
        benefit_year=job.plan_year,
        settings=outcome.settings_by_name(),
        inputs=files if place is None else files | {place.name: place},
        tables=outcome.tables,
        counts=outcome.counts,
        findings=outcome.findings,
        uncertain=outcome.uncertain,
    )
    write_manifest(folder, run)


def _quoted(
    job: Job, inputs: RateInputs, staging: Path | None, begin: Callable[[str], None]
) -> OneHousehold | ManyHouseholds:
    if job.asked.people:
        return _quote_one(job, inputs, staging, begin)
    place = job.households or inputs.households
    if place is None:
        raise SettingRefused(
            "nobody is named who should be quoted",
            where=str(job.rates),
            rule="a household is told by --person, or its members stand in a file",
            remedy="add --person 45 --state OH --county 39061, say; or --households FILE",
        )
    outcome = _quote_many(job, inputs, place, staging, begin)
    if staging is not None:
        begin("drawing")
        outcome.draw(staging)
    return outcome


# ------------------------------------------------------------------------------------------------ one household


def _quote_one(job: Job, inputs: RateInputs, staging: Path | None, begin: Callable[[str], None]) -> OneHousehold:
    from poolwise.cli._quote_household import household_frame, medicaid_note, refuse_unquoted
    from poolwise.cli._quote_inputs import areas_sold
    from poolwise.cli._quote_places import county_code, possible_places
    from poolwise.cli._quote_results import OneHousehold
    from rating import shop
    from rating._areas import map_year

    asked = job.asked
    if not (asked.state or asked.county or asked.zip_code or asked.rating_area):
        raise SettingRefused(
            "the household has no place",
            where="--state, --county, --zip, --rating-area",
            rule="a quote is for the residence (45 CFR 147.102(b))",
            remedy="add --state OH --county 39061, say, or --rating-area",
        )
    begin("the household")
    code = county_code(asked.county, asked.state)
    household = household_frame(replace(asked, county=code), job.plan_year)
    placed, uncertain = _placed(job, inputs, household.lazy())
    frame = placed.collect()
    begin("quoting")
    options = {**inputs.on_sale(), "settings": job.settings}
    shopping = shop(frame, plan_year=job.plan_year, **options)
    refused = shopping.refused.get("households")
    snapshot = map_year(job.plan_year, job.settings.get("area_map", "exact"))
    possible = possible_places(refused, inputs.frames.get("areas"), snapshot)
    refuse_unquoted(shopping.findings, refused, possible, areas_sold(inputs))
    offered = set(shopping.offers["plan_id"].to_list())
    missing = [p for p in job.plan_ids if p not in offered]
    if missing and len(missing) == len(job.plan_ids):
        raise InputRefused(
            "no plan that was asked for is offered to the household",
            where="--plan",
            rule="QTE-019 (45 CFR 155.1055): a plan is sold in its service area; catastrophic ones not to everybody",
            remedy="leave --plan out to see every plan that is",
        )
    notes = _notes_on_one(asked, inputs)
    if dict(shopping.settings.select("setting", "value").rows())["market"] == "individual":
        notes += medicaid_note(asked, shopping.offers["rating_area_id"][0][2:4], job.plan_year)
    if missing:
        notes.append(f"not offered to the household: {', '.join(missing)}")
    outcome = OneHousehold(
        shopping,
        plan_ids=[p for p in job.plan_ids if p in offered],
        missing=len(missing),
        notes=notes,
        uncertain=uncertain,
    )
    if staging is not None:
        begin("drawing")
        outcome.draw(staging, frame, options)
    return outcome


def _notes_on_one(asked: Asked, inputs: RateInputs) -> list[str]:
    notes = list(inputs.notes)
    if asked.income is not None and asked.tax_household is None:
        named = "person" if len(asked.people) == 1 else f"{len(asked.people)} people"
        notes.append(f"the tax household was taken to be the {named} named (--tax-household says otherwise)")
    if asked.income is None and asked.tax_household is not None:
        notes.append("--tax-household says nothing without --income")
    return notes


def _placed(job: Job, inputs: RateInputs, households: pl.LazyFrame) -> tuple[pl.LazyFrame, pl.DataFrame]:
    """Return households with what their ZIP says, where the folder tells the counties of ZIPs."""
    import polars as pl

    from poolwise.cli._quote_places import with_zip_counties

    zip_counties = inputs.frames.get("zip_counties")
    if zip_counties is None or "zip_code" not in households.collect_schema():
        schema = {"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64}
        return households, pl.DataFrame(schema=schema)
    return with_zip_counties(
        households,
        zip_counties,
        plan_year=job.plan_year,
        area_map=job.settings.get("area_map", "exact"),
        areas=inputs.frames.get("areas"),
    )


# ------------------------------------------------------------------------------------------------ many households


def _quote_many(
    job: Job, inputs: RateInputs, place: Path, staging: Path | None, begin: Callable[[str], None]
) -> ManyHouseholds:
    from poolwise.cli._quote_inputs import count_rows, most_plans, reading, scan_households
    from poolwise.cli._quote_results import ManyHouseholds
    from rating import quote, shop

    begin("reading households")
    scan, is_changed = scan_households(place, job.plan_year)
    rows = count_rows(place)
    is_large = rows * most_plans(inputs) > _MOST_IN_MEMORY
    options = {**inputs.on_sale(), "plan_year": job.plan_year, "settings": job.settings}
    if job.batch or (is_large and not job.explain):
        return _quote_batches(job, inputs, place, (scan, is_changed), options, staging, begin)
    with reading(place):
        households, uncertain = _placed(job, inputs, scan)
        frame = households.collect()
    begin("quoting")
    result = quote(frame, with_members=job.members is not False, **options)
    explanation = shop(frame, **options).explanation if job.explain else None
    return ManyHouseholds(result, explanation=explanation, notes=inputs.notes, uncertain=uncertain)


def _quote_batches(
    job: Job,
    inputs: RateInputs,
    place: Path,
    scanned: tuple[pl.LazyFrame, bool],
    options: dict[str, Any],
    staging: Path | None,
    begin: Callable[[str], None],
) -> ManyHouseholds:
    """Quote in bounded memory; what is no Parquet file, or needs a column more, is written as one first."""
    from poolwise.cli._quote_inputs import reading
    from poolwise.cli._quote_results import ManyHouseholds
    from rating import quote_files

    if staging is None:
        raise SettingRefused(
            "so many quotes need a place",
            where=str(place),
            rule="batches are written as they are done, not kept in memory",
            remedy="add --out DIR",
        )
    if job.form != "parquet":
        raise SettingRefused(
            "batches are written as Parquet",
            where="--format",
            rule=f"more than {_MOST_IN_MEMORY:,} quotes are made in batches",
            remedy="leave --format out",
        )
    scan, is_changed = scanned
    with reading(place):
        households, uncertain = _placed(job, inputs, scan)
    with _as_parquet(place, households, is_changed or "zip_counties" in inputs.frames) as path:
        begin("quoting")
        try:
            result = quote_files(
                path,
                staging,
                with_members=bool(job.members),
                on_batch=lambda done, total: begin(f"quoting: {done / total:.0%}"),
                **options,
            )
        except InputRefused as error:
            # The reader knows his own file, not the one that was made of it.
            where = error.where.replace(str(path), str(place))
            raise InputRefused(error.what, where=where, rule=error.rule, remedy=error.remedy) from None
    return ManyHouseholds(result, notes=inputs.notes, uncertain=uncertain)


@contextmanager
def _as_parquet(place: Path, households: pl.LazyFrame, is_changed: bool) -> Iterator[Path]:
    if not is_changed:
        yield place
        return
    import tempfile

    from poolwise.cli._quote_inputs import reading

    with tempfile.TemporaryDirectory(prefix="poolwise-quote-") as folder:
        path = Path(folder) / "households.parquet"
        with reading(place):
            households.sink_parquet(path)
        yield path
