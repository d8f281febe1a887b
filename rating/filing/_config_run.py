"""A filing from its document: inputs read, studies run, the filing developed; and the same with something changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating._rate_settings import RateSettings
from rating.filing._config import FilingConfig
from rating.filing._config_pricing import priced
from rating.filing._config_studies import Reader, Studies, run_studies
from rating.filing._develop import develop
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import FilingFindings
from rating.filing._formulas import Formulas
from rating.filing._ledger import MARKET, Entry
from rating.filing._numbers import CONTEXT, exact
from rating.filing._reinsurance_recovery import claims_of_the_plan_year, reinsurance_pmpm
from rating.filing._risk_adjustment import risk_adjustment_pmpm

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from rating.filing._filing import Filing

__all__ = ["FilingRun", "run_config"]

_IDENTITY = ("issuer_id", "state", "market", "plan_year")
_POOLS = {"individual": ("individual", "catastrophic", "merged"), "small_group": ("small_group", "merged")}
_TERMINATED = "terminated"
_REINSURED_MARKET = "individual"


@dataclass(frozen=True)
class FilingRun:
    """A filing with the studies it rests on; see :func:`run_config`.

    Attributes
    ----------
    config : FilingConfig
        What it was asked to be.
    filing : Filing
        Its findings are those of the studies too.
    studies : Studies
        Experience, trend and the others.
    prior : Filing or None
        The filing in force, where the document names one.
    """

    config: FilingConfig
    filing: Filing
    studies: Studies
    prior: Filing | None = None


@dataclass(frozen=True)
class _Studied:
    """What :func:`develop` takes as experience: entries of the ledger, findings, and the period."""

    entries: tuple[Entry, ...]
    period: tuple[date, date]
    findings: FilingFindings = field(default_factory=FilingFindings)


def run_config(
    config: FilingConfig,
    *,
    reader: Reader | None = None,
    prior: Filing | None = None,
    begin: Callable[[str], None] = lambda _: None,
) -> FilingRun:
    """Return the filing that a document asks for, with its studies.

    Parameters
    ----------
    config : FilingConfig
        Of :func:`rating.filing._config.read_config`.
    reader : Reader, optional
        Of an earlier run: files are not read again.
    prior : Filing, optional
        An earlier filing; of an earlier plan year, its rates are the current ones.
    begin : function, optional
        Called with the name of each step before it begins.

    Raises
    ------
    InputRefused, SettingRefused, TableMissing
        As the studies and :func:`rating.filing.develop`.
    """
    reader = reader or Reader()
    header = dict(config.section("filing"))
    identity = {name: header.pop(name) for name in _IDENTITY}
    given = _settings(config)
    # Before anything is read: a setting that cannot be need not wait for a large file.
    RateSettings.of({name: given[name] for name in given if name in RateSettings.names()})
    chosen = FilingSettings.of({name: given[name] for name in given if name in FilingSettings.names()})
    studies = run_studies(config, reader, chosen, begin)
    begin("risk adjustment and reinsurance")
    entries = (
        *studies.entries,
        *_risk_adjustment(config, reader, studies),
        *_reinsurance(config, reader, studies),
    )
    begin("pricing values")
    pricing = priced(config, reader, reader.read(config.section("inputs")["plans"]))
    begin("rates")
    assumptions = pricing.assumptions(dict(config.section("assumptions")))
    experience = None
    if studies.experience is not None:
        experience = _Studied(entries, studies.experience.period)
    else:
        assumptions = _filled(assumptions, entries)
    is_earlier = prior is not None and (prior.header.get("plan_year") or 0) < identity["plan_year"]
    filing = develop(
        experience,
        assumptions,
        _plans(config, pricing.plans),
        **identity,
        areas=reader.read(config.section("inputs")["areas"]),
        mix=reader.optional(config, "mix"),
        variants=reader.optional(config, "variants"),
        header=header,
        current=reader.optional(config, "current"),
        prior=prior if is_earlier else None,
        settings=given,
    )
    findings = FilingFindings()
    for part in (studies.findings, pricing.findings, filing.findings):
        findings.extend(part)
    return FilingRun(config, replace(pricing.explained(filing), findings=findings.frame()), studies, prior)


def _settings(config: FilingConfig) -> dict[str, Any]:
    """Return the settings of a document; a text ``none`` is None, which TOML cannot write, unless it is a choice."""
    choices = {**FilingSettings.CHOICES, **RateSettings.CHOICES}
    return {
        name: None if value == "none" and value not in choices.get(name, ()) else value
        for name, value in config.section("settings").items()
    }


def _filled(assumptions: Mapping[str, Any], entries: Sequence[Entry]) -> dict[str, Any]:
    """Return assumptions with those of studies where none is given: a filing without experience of its own."""
    quantities = Formulas.of(FilingSettings().as_dict())
    found = dict(assumptions)
    for entry in entries:
        is_wanted = entry.place == MARKET and quantities.quantity(entry.name, "market") is not None
        if is_wanted and entry.name not in found:
            found[entry.name] = {"value": entry.value, "source": entry.source or entry.formula, "note": entry.note}
    return found


def _plans(config: FilingConfig, plans: pl.DataFrame) -> pl.DataFrame:
    """Return the plans, with what a what-if puts in the place of their columns."""
    import polars as pl

    for (name, plan), value in config.plan_changes.items():
        rows = pl.col("plan_id") == plan if plan else pl.col("plan_category").str.to_lowercase() != _TERMINATED
        old = pl.col(name).cast(pl.String) if name in plans.columns else pl.lit(None, dtype=pl.String)
        plans = plans.with_columns(pl.when(rows).then(pl.lit(str(value))).otherwise(old).alias(name))
    return plans


def _risk_adjustment(config: FilingConfig, reader: Reader, studies: Studies) -> list[Entry]:
    """Return the projected risk adjustment from a file of transfers, per member month and on the paid basis."""
    given = config.section("risk_adjustment")
    if not given:
        return []
    frame = _transfers(config, reader)
    months = _months(config, "risk_adjustment", studies)
    issuer = config.section("filing")["issuer_id"]
    settled: Any = SimpleNamespace(issuers=frame, benefit_year=given["benefit_year"])
    found = risk_adjustment_pmpm(
        settled, member_months=months, issuer_id=issuer, net_of_user_fee=given.get("net_of_user_fee", False)
    )
    factor = exact(given.get("factor", 1), "factor")
    notes = [found["note"], *([f"times {factor}, to the plan year"] if factor != 1 else [])]
    value = CONTEXT.multiply(found["value"], factor)
    return [_given("proj_risk_adjustment_paid", value, given, found["source"], notes)]


def _given(name: str, value: Decimal, given: Mapping[str, Any], source: str, notes: Sequence[str]) -> Entry:
    """Return the entry of an amount per member month, with what the document says of it."""
    source = "; ".join(part for part in (given.get("source", ""), source) if part)
    note = "; ".join(part for part in (*notes, given.get("note", "")) if part)
    return Entry(name, MARKET, value, "usd_pmpm", source=source, note=note)


def _months(config: FilingConfig, section: str, studies: Studies) -> Decimal:
    """Return the member months that amounts are spread over: those of the document, or of the experience."""
    months = config.section(section).get("member_months")
    if months is None and studies.experience is not None:
        months = studies.experience.value("exp_member_months")
    if months is None:
        raise InputRefused(
            "the member months that the amount is spread over are not known",
            where=f"{config.path}, [{section}]",
            remedy="add member_months",
        )
    return exact(months, "member_months")


def _reinsurance(config: FilingConfig, reader: Reader, studies: Studies) -> list[Entry]:
    """Return the projected reinsurance from a claim list: a published program of the state, or a layer of one's own."""
    given = config.section("reinsurance")
    if not given:
        return []
    from riskadjust import reinsurance

    own = config.section("filing")
    if own["market"] != _REINSURED_MARKET:
        raise InputRefused(
            f"there is no reinsurance of the market {own['market']!r}",
            where=f"{config.path}, [reinsurance]",
            rule="45 CFR 153.230 and programs under section 1332 pay for plans of the individual market",
            remedy="take [reinsurance] out; give proj_reinsurance_paid where another program pays",
        )
    factor = exact(given.get("factor", 1), "factor")
    parts = [given.get(name) for name in ("attachment", "cap", "coinsurance")]
    if (parts[0] is None or parts[2] is None) and parts != [None] * 3:
        raise InputRefused(
            "a layer lacks its attachment or its coinsurance",
            where=f"{config.path}, [reinsurance]",
            rule="absent is not zero",
            remedy="write attachment and coinsurance (cap where there is one), or none: the published layer",
        )
    reinsured = reinsurance(
        claims_of_the_plan_year(reader.read(given["claims"]), issuer_id=own["issuer_id"], factor=factor),
        benefit_year=given["terms_of_year"],
        program="state",
        state=own["state"],
        layers=None if parts[0] is None else [tuple(parts)],
        budget=given.get("budget"),
    )
    months = _months(config, "reinsurance", studies)
    found = reinsurance_pmpm(reinsured, member_months=months, issuer_id=own["issuer_id"], seed=given.get("seed"))
    notes = [found["note"], *([f"claims times {factor}, to the plan year"] if factor != 1 else [])]
    if given["terms_of_year"] != own["plan_year"]:
        notes.append(f"layer as of {given['terms_of_year']}")
    return [_given("proj_reinsurance_paid", found["value"], given, found["source"], notes)]


def _transfers(config: FilingConfig, reader: Reader) -> pl.DataFrame:
    """Return transfers of the filing's issuer, market and state: issuer_id, transfer and user_fee in dollars.

    Raises
    ------
    InputRefused
        The file has no column transfer, or cells that are no amounts.
    """
    import polars as pl

    from data_specs import _frames
    from rating._money import money_series, read_money

    path = config.section("risk_adjustment")["transfers"]
    frame = reader.read(path)
    _frames.need_columns(frame, "transfers", ("transfer",), where=str(path))
    own = config.section("filing")
    if "issuer_id" not in frame.columns:
        frame = frame.with_columns(pl.lit(own["issuer_id"]).alias("issuer_id"))
    frame = frame.filter(pl.col("issuer_id").cast(pl.String) == own["issuer_id"])
    if "state" in frame.columns:
        frame = frame.filter(pl.col("state") == own["state"])
    if "risk_pool" in frame.columns:
        pools = _POOLS.get(own["market"], ())
        frame = frame.filter(pl.col("risk_pool").is_in(pools))
    amounts = []
    for column in ("transfer", "user_fee"):
        if column in frame.columns:
            found = read_money(frame, "transfers", column)
            if found.is_unreadable.any():
                raise InputRefused(
                    f"column {column!r} has cells that are no amounts", where=str(path), remedy="write plain numbers"
                )
            amounts.append(money_series(column, found.cents, found.is_given))
    return frame.select("issuer_id").with_columns(amounts)
