"""``poolwise transfers``: who pays whom, from scores or plan rows to cents."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_specs.errors import InputRefused, SettingRefused
from poolwise.cli._options import AsJson, Form, Out, Overlays, finish
from poolwise.cli._score import parsed_settings, tables_in_use

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._transfer_inputs import TransferInputs
    from poolwise.cli._transfer_results import SettlementOutcome
    from poolwise.report._settlement import Settlement
    from riskadjust import HighCostRiskPool, Transfers

__all__ = ["Job", "settle_tables", "transfers_command"]

# Rules, plan risk, settling, mixes, writing, drawing, and a step for each table read.
_STEPS = 14
_PUBLISHED = "published"
_AT = "@"


def transfers_command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of plan_rows, or of scores, enrollees, spans and plans (.csv or .parquet); also a result of "
            "poolwise score or demo."
        ),
    ],
    benefit_year: Annotated[int, typer.Option(metavar="YEAR", help="The year whose published figures are used.")],
    out: Out = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|NAME",
            help="What if other people were enrolled: a file of mixes, or one that ships, as "
            "issuer_exits:issuer_id=12345; may be repeated.",
        ),
    ] = None,
    gcf: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|published",
            help="Geographic cost factors to be used as they stand, instead of computed ones.",
        ),
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="File format of the results.")] = Form.parquet,
    tables: Overlays = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A declared setting or parameter; for one state or risk pool NAME@AL/small_group=VALUE; may be "
            "repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Settle risk adjustment: state payment transfers between issuers.

    Every step is kept: plan averages, pool means, transfers of plans and issuers to the cent, with a workbook whose
    formulas can be followed and a page to be shared.
    """
    job = Job(
        folder=folder,
        benefit_year=benefit_year,
        settings=by_place(parsed_settings(setting or (), allow_proposed=False)),
        mixes=tuple(mix or ()),
        gcf=gcf,
        form=form.value,
        options={
            "folder": str(folder),
            "mix": list(mix or ()),
            "gcf": gcf,
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
            "setting": list(setting or ()),
        },
    )
    with tables_in_use(tables or ()):
        outcome = _run(job, out)
    finish("transfers", outcome, out, as_json=as_json)


@dataclass(frozen=True)
class Job:
    """What a run of the command was asked to do."""

    folder: Path
    benefit_year: int
    settings: dict[str, Any] = field(default_factory=dict)
    mixes: tuple[str, ...] = ()
    gcf: str | None = None
    form: str = "parquet"
    options: dict[str, Any] = field(default_factory=dict)


def by_place(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of single states or risk pools gathered by their name.

    Raises
    ------
    SettingRefused
        A name is given once for all and once for one place.

    Examples
    --------
    >>> by_place({"state_reduction@AL": "0.5", "state_reduction@GA": "0.1", "month_rule": "days_over_30"})
    {'state_reduction': {'AL': '0.5', 'GA': '0.1'}, 'month_rule': 'days_over_30'}
    """
    gathered: dict[str, Any] = {}
    for text, value in settings.items():
        name, mark, place = (part.strip() for part in text.partition(_AT))
        if not mark:
            if name in gathered:
                raise SettingRefused(f"setting {name!r} is given for all and for one place", remedy="give one of them")
            gathered[name] = value
            continue
        if not isinstance(gathered.setdefault(name, {}), dict):
            raise SettingRefused(f"setting {name!r} is given for all and for one place", remedy="give one of them")
        gathered[name][place] = value
    return gathered


def _run(job: Job, out: Path | None) -> SettlementOutcome:
    """Do the job: check the place of the results first, then settle, then publish."""
    from poolwise.cli._screen import progress
    from poolwise.cli._transfer_results import SettlementOutcome

    with progress(_STEPS) as begin:
        if out is None:
            settlement, inputs = _settle_folder(job, begin)
            return SettlementOutcome(settlement, inputs.notes)
        from data_specs._manifest import publishing, writing

        # Where else the run turns out to read from is known later; publishing looks at the list again before it does.
        sources = [job.folder]
        with publishing(out, inputs=sources) as staging:
            settlement, inputs = _settle_folder(job, begin)
            sources.extend(inputs.files.values())
            outcome = SettlementOutcome(settlement, inputs.notes)
            with writing(out):
                begin("writing")
                outcome.write(staging, job.form)
                begin("drawing")
                outcome.draw(staging, f"Risk adjustment transfers, benefit year {job.benefit_year}")
                describe(job, outcome, inputs.files, staging)
        return outcome


def describe(job: Job, outcome: SettlementOutcome, files: Mapping[str, Path], folder: Path) -> None:
    """Write the manifest of a result folder."""
    from data_specs._manifest import describe_run, write_manifest

    run = describe_run(
        "transfers",
        job.options,
        benefit_year=job.benefit_year,
        settings=outcome.settlement.settings_by_name(),
        inputs={path.name: path for path in files.values()},
        tables=outcome.settlement.tables,
        counts=outcome.counts,
        findings=outcome.findings,
        uncertain=outcome.uncertain,
    )
    write_manifest(folder, run)


def _settle_folder(job: Job, begin: Callable[[str], None]) -> tuple[Settlement, TransferInputs]:
    from poolwise.cli._transfer_inputs import read_inputs, read_table
    from riskadjust._transfer_settings import Parameters

    begin(f"figures of {job.benefit_year}")
    # Before anything is read: a setting that is not known need not wait for a large file.
    Parameters(_shared_out(job, has_plan_rows=False, has_claims=False).transfers, job.benefit_year, "transfers")
    inputs = read_inputs(job.folder, benefit_year=job.benefit_year, on_table=lambda table: begin(f"reading {table}"))
    if job.gcf is not None and inputs.has_plan_rows:
        raise SettingRefused("--gcf says how plan rows are made, and they are made", remedy="put it into their gcf")
    if job.gcf is not None and job.gcf != _PUBLISHED:
        path = _file(job.gcf, "--gcf")
        inputs.frames["gcf"], inputs.files["gcf"] = read_table(path, "gcf"), path
    for text in job.mixes:
        if _is_file(text):
            path = _file(text, "--mix")
            inputs.files[f"mix {path}"] = path
    return settle_tables(job, inputs, begin), inputs


def settle_tables(job: Job, inputs: TransferInputs, begin: Callable[[str], None]) -> Settlement:
    """Return the settlement of the tables that were read, with all that was asked for."""
    from poolwise.report._settlement import Settlement
    from riskadjust import mix, plan_risk_report, transfers

    claims = inputs.get("claims")
    if claims is None:
        claims = inputs.get("costs")
    shares = _shared_out(job, has_plan_rows=inputs.has_plan_rows, has_claims=claims is not None)
    factors = _published_factors(job.benefit_year) if job.gcf == _PUBLISHED else inputs.get("gcf")
    scores, enrollees, spans, plans = (inputs.get(t) for t in ("scores", "enrollees", "spans", "plans"))
    plan_risk = None
    if not inputs.has_plan_rows:
        begin("plan averages")
        plan_risk = plan_risk_report(
            scores,
            enrollees,
            spans,
            plans,
            benefit_year=job.benefit_year,
            settings=shares.plan_risk,
            gcf=factors,
        )
    begin("settling")
    result = transfers(
        inputs.frames["plan_rows"] if plan_risk is None else plan_risk.plan_rows,
        benefit_year=job.benefit_year,
        settings=shares.transfers,
        radv_error_rates=inputs.get("radv_error_rates"),
        default_charges=inputs.get("default_charges"),
    )
    high_cost = None if claims is None else _high_cost(job, inputs, claims, result, shares.high_cost)
    mixes = None
    if job.mixes:
        if plan_risk is None:
            raise InputRefused(
                "mixes need scores, enrollees, spans and plans: plan rows do not tell who is enrolled",
                where=str(job.folder),
                remedy="settle from the scores, or leave --mix out",
            )
        begin("mixes")
        mixes = mix(
            scores,
            enrollees,
            spans,
            plans,
            mix_rules(job.mixes, plan_risk.plan_rows),
            benefit_year=job.benefit_year,
            costs=inputs.get("costs"),
            gcf=factors,
            settings=shares.mix,
        )
        if any(inputs.get(t) is not None for t in ("radv_error_rates", "default_charges")):
            inputs.notes.append("mixes are settled without error rates of data validation and without default charges")
    return Settlement(result, plan_risk, high_cost, mixes)


def _published_factors(benefit_year: int) -> pl.DataFrame:
    """Return the published factors of a year, the final ones where there are both."""
    import polars as pl

    from data_specs import table

    factors = table("transfers/geographic_cost_factors", year=benefit_year)
    best = pl.col("release").min().over("state", "risk_pool")  # final comes before interim
    return factors.filter(pl.col("release") == best).select(
        "state", "risk_pool", pl.col("rating_area").cast(pl.String).alias("rating_area_id"), "gcf"
    )


@dataclass(frozen=True)
class _Shares:
    """The settings of each step."""

    plan_risk: dict[str, Any]
    transfers: dict[str, Any]
    high_cost: dict[str, Any]
    mix: dict[str, Any]


def _shared_out(job: Job, *, has_plan_rows: bool, has_claims: bool) -> _Shares:
    """Return the settings of each step; what no step knows goes to the transfers, which refuse it by name.

    Raises
    ------
    SettingRefused
        A setting of plan risk where plan rows are ready, or a value that plan risk cannot have.
    """
    from riskadjust import PlanRiskSettings
    from riskadjust._mix_settings import MixSettings

    of_plan_risk = set(PlanRiskSettings.names())
    of_mix = set(MixSettings.names()) if job.mixes else set()
    both = {"month_rule", "gcf_decimals"}
    if has_plan_rows and (idle := sorted(job.settings.keys() & (of_plan_risk - both))):
        raise SettingRefused(
            f"setting {idle[0]!r} says how plan rows are made, and they are made",
            remedy="leave it out, or settle from scores, enrollees, spans and plans",
        )
    words = ("month_rule", "leap_birthday")
    own = {n: v if n in words else _count(v) for n, v in job.settings.items() if n in of_plan_risk}
    PlanRiskSettings.of(own)
    claims = {n: v for n, v in job.settings.items() if n.startswith("hcrp_") and has_claims}
    mix = {n: v for n, v in job.settings.items() if n in of_mix}
    left = {n: v for n, v in job.settings.items() if n not in claims and n not in mix}
    transfers = {n: v for n, v in left.items() if n in both or n not in of_plan_risk}
    return _Shares(own, transfers, claims, mix | transfers | own)


def _count(value: Any) -> Any:
    """Return a whole number or none from text; what is neither is left for the refusal."""
    text = str(value).strip().lower()
    if text == "none":
        return None
    return int(text) if text.isdecimal() else value


# ------------------------------------------------------------------------------------------------ high-cost risk pool


def _high_cost(
    job: Job, inputs: TransferInputs, claims: pl.DataFrame, result: Transfers, settings: dict[str, Any]
) -> HighCostRiskPool | None:
    """Return the high-cost risk pools as if these issuers were the nation; None for a year that had none."""
    from riskadjust._high_cost import high_cost_risk_pool, is_held

    if not is_held(job.benefit_year) and "hcrp_threshold" not in settings:
        inputs.notes.append(f"no high-cost risk pool is held for benefit year {job.benefit_year}: claims were not used")
        return None
    unknown = result.issuers["premium"].null_count()
    if unknown:
        raise InputRefused(
            f"the premium of {unknown} issuer{'s' if unknown > 1 else ''} with a default charge is not known: the "
            "high-cost risk pool charges it too",
            where="default_charges, column premium",
            rule="TRF-053",
            remedy="add the premium, or take the claims away",
        )
    placed = _placed(claims, result, inputs)
    return high_cost_risk_pool(placed, result.issuers, benefit_year=job.benefit_year, settings=settings)


def _placed(claims: pl.DataFrame, result: Transfers, inputs: TransferInputs) -> pl.DataFrame:
    """Return claims with issuer and risk pool: those given, else those of the plan."""
    import polars as pl

    keys = [c for c in ("state", "risk_pool", "issuer_id") if c in result.plans.columns]
    missing = [c for c in keys if c not in claims.columns]
    if not missing or "plan_id" not in claims.columns:
        return claims
    places = result.plans.select(pl.col("plan_id").alias("_plan"), *missing).unique()
    if places["_plan"].is_duplicated().any():
        raise InputRefused(
            "a plan stands in several risk pools: its claims do not say which",
            where="claims",
            remedy=f"add the columns {', '.join(missing)} to the claims",
        )
    known = claims.with_columns(pl.col("plan_id").cast(pl.String).str.strip_chars().alias("_plan"))
    # Plans of 14 characters are meant where 16 and 17 with their variant are written.
    short = (
        pl.when(pl.col("_plan").is_in(places["_plan"].implode()))
        .then("_plan")
        .otherwise(pl.col("_plan").str.slice(0, 14))
    )
    joined = known.with_columns(short.alias("_plan")).join(
        places, on="_plan", how="left", validate="m:1", maintain_order="left"
    )
    lost = joined[missing[-1]].null_count()
    if lost:
        inputs.notes.append(f"claims of plans that were not settled, left out of the high-cost risk pool: {lost:,}")
    return joined.filter(pl.col(missing[-1]).is_not_null()).drop("_plan")


# ------------------------------------------------------------------------------------------------ mixes


def _is_file(text: str) -> bool:
    return Path(text).suffix.lower() in (".csv", ".parquet")


def _file(text: str, option: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise InputRefused(f"the file of {option} does not exist", where=text, remedy="name a CSV or Parquet file")
    return path


def named(text: str) -> tuple[str, dict[str, str]]:
    """Return the name of a mix that ships and its parameters.

    Examples
    --------
    >>> named("issuer_exits:issuer_id=12345"), named("mandate_repeal")
    (('issuer_exits', {'issuer_id': '12345'}), ('mandate_repeal', {}))
    """
    name, _, rest = text.partition(":")
    parameters = {}
    for part in filter(None, rest.split(",")):
        parameter, mark, value = (p.strip() for p in part.partition("="))
        if not mark:
            raise SettingRefused(f"parameter {part!r} of mix {name!r} has no value", remedy="write name=value")
        parameters[parameter] = value
    return name.strip(), parameters


def mix_rules(mixes: Sequence[str], plan_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rules of mixes: files, and names of those that ship."""
    import polars as pl

    from poolwise.cli._transfer_inputs import read_table
    from riskadjust import named_mix

    parts = []
    for text in mixes:
        if _is_file(text):
            parts.append(read_table(Path(text), "mixes"))
        else:
            name, parameters = named(text)
            parts.append(named_mix(name, plan_rows=plan_rows, **parameters))
    return pl.concat(parts, how="diagonal_relaxed")
