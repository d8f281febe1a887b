"""``poolwise failsafes``: reinsurance, corridors, loss ratios and audits, each where its table is in the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from data_specs.errors import InputRefused, NotYetPublished, PoolwiseError, SettingRefused, TableMissing
from poolwise.cli._options import AsJson, Form, Out, Overlays, finish
from poolwise.cli._score import parsed_settings, tables_in_use
from poolwise.cli._transfers import by_place

if TYPE_CHECKING:
    import polars as pl

    from poolwise.cli._failsafes_inputs import FailsafeInputs
    from poolwise.cli._failsafes_results import FailsafesOutcome
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["Asked", "failsafes_command", "run_programs"]

_STEPS = 16  # programs, writing, drawing, and a step for each table read


def failsafes_command(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder of claims (reinsurance), corridors, loss_ratio_years, audit tables, plan_rows: a program runs "
            "where its table is there (.csv or .parquet)."
        ),
    ],
    benefit_year: Annotated[int, typer.Option(metavar="YEAR", help="The year whose rules and figures are used.")],
    state: Annotated[
        str | None,
        typer.Option(metavar="XX", help="Reinsure under the program of this state, or under layers.csv as a what-if."),
    ] = None,
    issuer: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Whose year the page shows; without it the issuer with the most premium."),
    ] = None,
    out: Out = None,
    form: Annotated[Form, typer.Option("--format", help="File format of the results.")] = Form.parquet,
    tables: Overlays = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A declared setting or term of a program (budget, coinsurance, coinsurance@AREA, payout_rate, "
            "member_months, seed ...); may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the failsafes beside risk adjustment, and show what each does to one issuer's year.

    Reinsurance of large claims, risk corridors, loss ratio rebates and audits of the data, with a workbook whose
    formulas can be followed and a page to be shared.
    """
    asked = Asked(
        folder=folder,
        benefit_year=benefit_year,
        state=state,
        issuer=None if issuer is None else issuer.strip(),
        settings=by_place(parsed_settings(setting or (), allow_proposed=False)),
        form=form.value,
        options={
            "folder": str(folder),
            "state": state,
            "issuer": issuer,
            "format": form.value,
            "tables": [str(t) for t in tables or ()],
            "setting": list(setting or ()),
        },
    )
    with tables_in_use(tables or ()):
        outcome = _run(asked, out)
    finish("failsafes", outcome, out, as_json=as_json)


@dataclass(frozen=True)
class Asked:
    """What a run of the command was asked to do."""

    folder: Path
    benefit_year: int
    state: str | None = None
    issuer: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    form: str = "parquet"
    options: dict[str, Any] = field(default_factory=dict)


def _run(asked: Asked, out: Path | None) -> FailsafesOutcome:
    """Do the job: check the place of the results first, then run the programs, then publish."""
    from poolwise.cli._failsafes_inputs import read_inputs
    from poolwise.cli._failsafes_results import FailsafesOutcome
    from poolwise.cli._screen import progress

    with progress(_STEPS) as begin:

        def done() -> tuple[FailsafesOutcome, FailsafeInputs]:
            inputs = read_inputs(asked.folder, on_table=lambda table: begin(f"reading {table}"))
            run, left_out = run_programs(asked, inputs, begin)
            return FailsafesOutcome(run, asked.issuer, inputs.notes, left_out=left_out), inputs

        if out is None:
            return done()[0]
        from data_specs._manifest import publishing, writing

        with publishing(out, inputs=[asked.folder]) as staging:
            outcome, inputs = done()
            with writing(out):
                begin("writing")
                outcome.write(staging, asked.form)
                begin("drawing")
                outcome.draw(staging, f"Failsafes, benefit year {asked.benefit_year}")
                _describe(asked, outcome, inputs.files, staging)
        return outcome


def _describe(asked: Asked, outcome: FailsafesOutcome, files: Mapping[str, Path], folder: Path) -> None:
    from data_specs._manifest import describe_run, write_manifest

    run = describe_run(
        "failsafes",
        asked.options,
        benefit_year=asked.benefit_year,
        settings=outcome.run.settings_by_name(),
        inputs={path.name: path for path in files.values()},
        tables=outcome.run.tables,
        counts=outcome.counts,
        findings=outcome.findings,
        uncertain=outcome.uncertain,
    )
    write_manifest(folder, run)


# ------------------------------------------------------------------------------------------------ programs


def run_programs(
    asked: Asked, inputs: FailsafeInputs, begin: Callable[[str], None]
) -> tuple[Failsafes, dict[str, str]]:
    """Return what the programs of the folder give, and why those that lack figures of the year were left out.

    Raises
    ------
    PoolwiseError
        Bad input, an unknown setting, or no program that could be run.
    """
    from poolwise.cli._failsafes_inputs import in_files
    from poolwise.report._failsafes_year import Failsafes

    programs = _programs(inputs)
    shares = _shared_out(asked.settings, programs)
    run = Failsafes(asked.benefit_year, inputs=inputs.frames)
    lacking: dict[str, PoolwiseError] = {}
    for name in programs:
        begin(name.replace("_", " "))
        try:
            run = replace(run, **_RUNS[name](asked, inputs, run, shares[name]))
        except (TableMissing, NotYetPublished) as error:
            lacking[name] = error
        except InputRefused as error:
            raise in_files(error, name, inputs) from error
    if asked.state is not None and "reinsurance" not in programs:
        inputs.notes.append("--state was not used: the folder has no claims to be reinsured")
    if lacking and not any(True for _ in run.steps()):
        raise next(iter(lacking.values()))
    return run, {name: str(error) for name, error in lacking.items()}


def _programs(inputs: FailsafeInputs) -> list[str]:
    """Return the programs that the folder has tables for, in order of work."""
    tables = {"settlement": "plan_rows", "reinsurance": "claims", "risk_corridors": "corridors"}
    tables |= {"medical_loss_ratio": "loss_ratio_years"}
    found = [name for name, table in tables.items() if inputs.get(table) is not None]
    has_audit = any(inputs.get(table) is not None for table in ("audit_sample", "audit_counts"))
    return found + (["radv_adjustment"] if has_audit else [])


def _names() -> dict[str, set[str]]:
    """Return the settings of each program; those of transfers are known to the transfers themselves."""
    from riskadjust._corridors import CorridorSettings
    from riskadjust._loss_ratio_terms import LossRatioSettings
    from riskadjust._radv_settings import RadvTerms
    from riskadjust._reinsurance_program import ReinsuranceSettings

    return {
        "settlement": set(_OF_BOTH),
        "reinsurance": {*ReinsuranceSettings.names(), *_TERMS, *_OF_PREMIUM},
        "risk_corridors": set(CorridorSettings.names()),
        "medical_loss_ratio": set(LossRatioSettings.names()),
        "radv_adjustment": {*RadvTerms.names(), *_OF_DRAWS, _AUDIT_YEAR},
    }


_OF_BOTH = ("cents_balance", "hcrp_coinsurance", "hcrp_threshold")  # settings of transfers and of reinsurance
_TERMS = ("budget", "coinsurance")  # arguments of riskadjust.reinsurance
_AUDIT_YEAR = "audit_year"
_OF_DRAWS = ("seed", "draws", "level")  # of every interval
_OF_PREMIUM = {  # arguments of its premium_effect, and which of them are whole numbers or floats
    "member_months": str,
    "premium_pmpm": str,
    "paid_to_allowed": str,
    "fees_share_of_premium": str,
    "seed": int,
    "draws": int,
    "enrollees": int,
    "level": float,
}


def _shared_out(settings: Mapping[str, Any], programs: list[str]) -> dict[str, dict[str, Any]]:
    """Return the settings of each program that runs; one that two of them have goes to both.

    Raises
    ------
    SettingRefused
        No program that runs has a setting of that name; transfers refuse what they do not know by themselves.
    """
    names = _names()
    shares: dict[str, dict[str, Any]] = {name: {} for name in programs}
    for setting, value in settings.items():
        owners = [name for name in names if setting in names[name]]
        takers = [name for name in owners if name in shares]
        for name in takers:
            shares[name][setting] = value
        if takers:
            continue
        if "settlement" in shares and not owners:
            shares["settlement"][setting] = value
            continue
        known = ", ".join(sorted(set().union(*(names.get(name, set()) for name in programs))))
        whose = f"setting {setting!r} is of {owners[0].replace('_', ' ')}, which does not run here" if owners else ""
        raise SettingRefused(whose or f"no setting is called {setting!r}", remedy=f"settings: {known}")
    if "radv_adjustment" in shares:
        # Transfers are settled again with the error rates: alike but for these.
        of_transfers = {n: v for n, v in shares.get("settlement", {}).items() if not n.startswith("hcrp_")}
        shares["radv_adjustment"] = of_transfers | shares["radv_adjustment"]
    return shares


def _settle(asked: Asked, inputs: FailsafeInputs, _: Failsafes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the transfers of the plan rows, and the high-cost risk pool where claims can be placed in it."""
    from poolwise.cli._transfer_inputs import TransferInputs
    from poolwise.cli._transfers import Job, settle_tables
    from riskadjust._high_cost import is_held

    frames = {"plan_rows": inputs.frames["plan_rows"]}
    claims = inputs.get("claims")
    if claims is not None and is_held(asked.benefit_year) and {"plan_id", "risk_pool"} & set(claims.columns):
        frames["claims"] = claims
    job = Job(asked.folder, asked.benefit_year, settings=settings)
    return {"settlement": settle_tables(job, TransferInputs(frames, {}, inputs.notes), lambda _: None)}


def _reinsure(asked: Asked, inputs: FailsafeInputs, run: Failsafes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the reinsurance of the claims, what it was run with, and its effect on a premium where asked for."""
    from poolwise.cli._failsafes_inputs import given_layers, listed
    from riskadjust import reinsurance
    from riskadjust._findings import Findings
    from riskadjust._reinsurance_program import read_program
    from riskadjust._stabilizer_figures import whole_year

    has_high_cost = run.program("high_cost_risk_pool") is not None
    if has_high_cost and asked.state is None and inputs.get("layers") is None:
        inputs.notes.append(
            "claims were not reinsured, only placed in the high-cost risk pool: --state names a program"
        )
        return {}
    layers, conditions = inputs.get("layers"), inputs.get("condition_list")
    program = "transitional" if asked.state is None else "state"
    terms: dict[str, Any] = {
        "state": asked.state,
        "layers": None if layers is None else given_layers(layers),
        "coinsurance": settings.get("coinsurance"),
        "budget": settings.get("budget"),
        "settings": {n: v for n, v in settings.items() if n not in _TERMS and n not in _OF_PREMIUM},
    }
    result = reinsurance(
        inputs.frames["claims"],
        benefit_year=asked.benefit_year,
        program=program,
        condition_list=None if conditions is None else listed(conditions),
        enrollee_conditions=inputs.get("enrollee_conditions"),
        covered_life_years=inputs.get("covered_life_years"),
        **terms,
    )
    if layers is not None and asked.state is not None:
        inputs.notes.append(
            f"reinsurance under layers.csv is a what-if: no published program of {asked.state} was used"
        )
    has_audit = inputs.get("audit_sample") is not None
    of_premium = _premium_terms(settings, draws_serve_others=has_audit)
    return {
        "reinsurance": result,
        "terms": read_program(program, whole_year(asked.benefit_year), findings=Findings(), **terms),
        "effect": result.premium_effect(**of_premium) if of_premium else None,
    }


def _premium_terms(settings: Mapping[str, Any], *, draws_serve_others: bool) -> dict[str, Any]:
    """Return what the effect on a premium is asked for with; nothing where it was not asked for."""
    given = {name: settings[name] for name in _OF_PREMIUM if name in settings}
    if not given or (draws_serve_others and set(given) <= set(_OF_DRAWS)):
        return {}
    if missing := [name for name in ("member_months", "seed") if name not in given]:
        raise SettingRefused(
            f"the effect on a premium needs {' and '.join(missing)}",
            remedy="add --setting member_months=NUMBER --setting seed=NUMBER",
        )
    return _numbers(given)


def _numbers(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _as(_OF_PREMIUM[name], name, value) for name, value in given.items()}


def _as(kind: type, name: str, value: Any) -> Any:
    try:
        return kind(value)
    except (TypeError, ValueError):
        raise SettingRefused(
            f"setting {name!r} cannot be {value!r}", rule="a number", remedy="write it in digits"
        ) from None


def _corridors(asked: Asked, inputs: FailsafeInputs, run: Failsafes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the corridors of issuers; what their statement leaves open of this run's programs is filled in."""
    from poolwise.cli._failsafes_inputs import with_statement
    from riskadjust import risk_corridors

    rows = with_statement(inputs.frames["corridors"], "corridors", _received(asked, run), inputs.notes)
    result = risk_corridors(
        rows, benefit_year=asked.benefit_year, plans=inputs.get("corridor_plans"), settings=settings
    )
    return {"risk_corridors": result, "inputs": {**run.inputs, "corridors": rows}}


def _received(asked: Asked, run: Failsafes) -> dict[str, pl.DataFrame]:
    """Return what issuers received by the programs so far, by the name that statements have for it."""
    import polars as pl

    from poolwise.cli._failsafes_inputs import amounts_of_run

    reinsured = None if run.reinsurance is None else run.reinsurance.issuers
    if reinsured is not None and asked.state is not None and "state" not in reinsured.columns:
        # The program of a state pays for that state: it completes no statement of another one.
        reinsured = reinsured.with_columns(state=pl.lit(asked.state.strip().upper()))
    corridors = None if run.risk_corridors is None else _corridors_of_loss_ratios(run, asked.settings)
    return amounts_of_run(settlement=run.settlement, reinsured=reinsured, corridors=corridors)


def _corridors_of_loss_ratios(run: Failsafes, settings: Mapping[str, Any]) -> pl.DataFrame:
    """Return the corridors as a loss ratio has them: without an adjustment percentage (45 CFR 158.140(b)(4)(ii))."""
    import polars as pl

    from riskadjust import risk_corridors
    from riskadjust._corridors import CorridorSettings

    assert run.risk_corridors is not None
    if not (run.risk_corridors.issuers["adjustment_percentage"] != 0).any():
        return run.risk_corridors.issuers
    rows = run.inputs["corridors"].with_columns(adjustment_percentage=pl.lit(0.0))
    own = {n: v for n, v in settings.items() if n in CorridorSettings.names()}
    return risk_corridors(rows, benefit_year=run.benefit_year, settings=own).issuers


def _loss_ratio(asked: Asked, inputs: FailsafeInputs, run: Failsafes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return loss ratios and rebates; blanks of the reporting year are filled in from this run's programs."""
    from poolwise.cli._failsafes_inputs import with_statement
    from riskadjust import medical_loss_ratio

    name, year = "loss_ratio_years", asked.benefit_year
    rows = inputs.frames[name]
    if "year" in rows.columns:
        rows = with_statement(rows, name, _received(asked, run), inputs.notes, year=year)
    own = {n: _count(v) if n == "ratio_decimals" else v for n, v in settings.items()}
    result = medical_loss_ratio(rows, reporting_year=year, policies=inputs.get("loss_ratio_policies"), settings=own)
    return {"medical_loss_ratio": result, "inputs": {**run.inputs, name: rows}}


def _radv(asked: Asked, inputs: FailsafeInputs, _: Failsafes, settings: dict[str, Any]) -> dict[str, Any]:
    """Return what the audits say whose results move the transfers of the benefit year, and by how much."""
    from riskadjust import radv_adjustment

    own = {n: v for n, v in settings.items() if n not in _OF_DRAWS and n != _AUDIT_YEAR}
    result = radv_adjustment(
        _parts(inputs, "audit_", ("sample", "hccs", "counts", "issuers")),
        benefit_year=_audit_year(asked.benefit_year, settings),
        plan_rows=inputs.get("plan_rows"),
        national=_parts(inputs, "national_", ("counts", "groups", "statistics")) or None,
        averaged_with=inputs.get("averaged_error_rates"),
        settings=own,
    )
    drawn = _numbers({name: settings[name] for name in _OF_DRAWS if name in settings})
    if drawn and "seed" not in drawn:
        raise SettingRefused("the interval of an error rate needs a seed", remedy="add --setting seed=NUMBER")
    has_sample = inputs.get("audit_sample") is not None
    return {"radv_adjustment": result, "confidence": result.confidence(**drawn) if drawn and has_sample else None}


def _parts(inputs: FailsafeInputs, prefix: str, names: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    return {name: frame for name in names if (frame := inputs.get(prefix + name)) is not None}


def _audit_year(benefit_year: int, settings: Mapping[str, Any]) -> int:
    """Return the audited year whose results move the transfers of a benefit year: that year, or the one before."""
    from riskadjust._radv_settings import RadvTerms

    if _AUDIT_YEAR in settings:
        return int(_as(int, _AUDIT_YEAR, settings[_AUDIT_YEAR]))
    choice = {n: v for n, v in settings.items() if n == "results_applied_to"}
    moved = {}
    for year in (benefit_year, benefit_year - 1):
        try:
            moved[year] = RadvTerms(choice, year).transfer_year
        except InputRefused:
            continue  # no audits of that year; where there are of neither, the validation itself says so
    found = [year for year, transfer_year in moved.items() if transfer_year == benefit_year]
    if moved and not found:
        told = "; ".join(f"that of {year} moves {transfer_year}" for year, transfer_year in moved.items())
        raise InputRefused(
            f"no data validation moves the transfers of {benefit_year}: {told}",
            where="--benefit-year",
            rule="transfers/radv_parameters, results_applied_to",
            remedy="name the year whose transfers are moved, or give --setting results_applied_to=same_year",
        )
    return found[0] if found else benefit_year


def _count(value: Any) -> Any:
    return int(value) if isinstance(value, str) and value.isdecimal() else value


_RUNS: dict[str, Callable[..., dict[str, Any]]] = {
    "settlement": _settle,
    "reinsurance": _reinsure,
    "risk_corridors": _corridors,
    "medical_loss_ratio": _loss_ratio,
    "radv_adjustment": _radv,
}
