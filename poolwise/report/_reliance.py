"""The reliance page: what the person who signs a filing must know of data, methods, limits, and what to judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs import _registry
from poolwise.report._charts import need_altair
from poolwise.report._filing_exhibits import Exhibit, FilingExhibits, quantity_name
from poolwise.report._filing_page import NOT_CERTIFIED, shown_exhibit, table_names, tornado, whose
from poolwise.report._filing_plans import sensitivity_exhibit
from poolwise.report._page_parts import need_templates, render, source_lines
from poolwise.report._sheets import Column

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OPEN", "reliance_exhibit", "reliance_page"]

OPEN = ("open", "not confirmed", "not obtainable")  # words in the basis of a setting that is not settled
_UNSOURCED = ("", "assumption")  # what develop writes where no source is named
_INPUT = "input"
_PURPOSE = (
    "Purpose of the model: to work out the index rate of a single risk pool, plan rates and consumer rates under 45 "
    "CFR 156.80 and 147.102 from experience and assumptions, and to show where every number comes from."
)
_LIMITS = (
    "It does not choose assumptions. A trend, a credibility, a morbidity factor is worked out by the study that was "
    "asked for, or taken as it was handed in.",
    "Cell formulas of the federal template were not obtainable: its arithmetic is rebuilt from layout and "
    "instructions, and the points that stay open are settings, listed below with what was chosen.",
    "It projects no behavior: membership, and what risk adjustment will pay, are inputs.",
)
_TESTS = (
    "Tests: every release runs a constructed filing with published answers, filings drawn at random against a second, "
    "slower program written from the method alone, and seeded defects that the checks must find."
)
_FEW = 5
_COLUMNS = {"Standard": 10, "Subject": 36, "Kind": 15, "Text": 150}


def reliance_page(
    given: FilingExhibits,
    *,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    tables: Iterable[str] = (),
) -> str:
    """Return the HTML page for the person who signs: by standard of practice, what was done and what is left to judge.

    Parameters
    ----------
    given : FilingExhibits
        The filing, and the studies behind it; where a study is not there, the page says so.
    title, notes, links, tables
        As :func:`poolwise.report.filing_page` has them.

    Raises
    ------
    ExtraMissing
        When the packages of the extra ``reports`` are not installed.
    """
    need_templates()
    need_altair()
    exhibit = sensitivity_exhibit(given)
    settings = given.filing.settings
    is_open = _is_open()
    return render(
        "reliance.html",
        title=title,
        whose=whose(given),
        not_certified=NOT_CERTIFIED,
        notes=list(notes),
        links=dict(links or {}),
        standards=_standards(given),
        sensitivity=shown_exhibit(exhibit),
        tornado=tornado(exhibit),
        without_source=[name.replace("_", " ") for name in _without_source(given)],
        open_settings=settings.filter(is_open).to_dicts(),
        other_settings=settings.filter(~is_open).to_dicts(),
        uncertain=given.filing.uncertain.to_dicts(),
        findings=given.findings.filter(pl.col("severity") != "info").to_dicts(),
        sources=source_lines(sorted({*table_names(given), "filing/actuarial_standards", *tables})),
    )


def reliance_exhibit(given: FilingExhibits) -> Exhibit:
    """Return what the page says as rows of a sheet: standard, kind (what was done, to be judged), text."""
    rows = []
    for standard in _standards(given):
        rows += [(standard["standard"], standard["topic"], "what was done", fact) for fact in standard["facts"]]
        rows += [(standard["standard"], standard["topic"], "to be judged", point) for point in standard["points"]]
    return Exhibit(
        "reliance",
        "Reliance",
        NOT_CERTIFIED,
        (
            Column("Standard", width=10),
            Column("Subject", width=36),
            Column("Kind", width=15),
            Column("Text", width=150),
        ),
        rows,
    )


def _is_open() -> pl.Expr:
    words = pl.col("basis").str.to_lowercase()
    return pl.any_horizontal([words.str.contains(word, literal=True) for word in OPEN])


def _standards(given: FilingExhibits) -> list[dict[str, Any]]:
    """Return each standard with what was done under it, and what must still be judged."""
    points: dict[str, list[str]] = {}
    table = _registry.table("filing/reliance_points").sort("standard", "position")
    for standard, point in table.select("standard", "point").rows():
        points.setdefault(standard, []).append(point)
    columns = ("standard", "title", "topic")
    return [
        {
            **dict(zip(columns, row, strict=True)),
            "facts": _FACTS[row[0]](given) if row[0] in _FACTS else [],
            "points": points.get(row[0], []),
        }
        for row in _registry.table("filing/actuarial_standards").sort("position").select(columns).rows()
    ]


# ------------------------------------------------------------------------------------------------ what was done


def _filing_facts(given: FilingExhibits) -> list[str]:
    facts = []
    change = given.number("submission_rate_increase")
    if change is not None:
        facts.append(f"Proposed change of the submission, weighted by premium: {_percent(change)}.")
    ratio = given.number("priced_loss_ratio")
    if ratio is not None:
        facts.append(
            f"Loss ratio that the rates are worked out for, by the template's definition: {_percent(ratio)}. The "
            "federal medical loss ratio has other parts and is not this number."
        )
    short = given.number("fee_retention_shortfall_total")
    if short:
        facts.append(
            f"Exchange fee and retention are each taken of the whole premium, one after the other: together they fall "
            f"short by ${short:,.0f} unless the retention percentages allow for it."
        )
    counts = given.review.counts
    facts.append(
        f"Reviewer's checks run: {counts.height}. {_sum(counts, 'pass')} looks passed, {_sum(counts, 'finding')} found "
        f"something, {_sum(counts, 'not_applicable')} did not apply, {_sum(counts, 'not_evaluated')} could not be "
        "made. They are arithmetic: they do not say whether a rate is reasonable."
    )
    return facts


def _sum(counts: pl.DataFrame, column: str) -> int:
    return int(counts[column].sum())


def _data_facts(given: FilingExhibits) -> list[str]:
    facts = [_period(given)]
    study = given.experience
    if study is None:
        facts.append("No claims were handed in: the experience is the totals that the filing states, not checked here.")
    else:
        paid, selected = (float(study.categories[c].sum()) for c in ("allowed_paid_to_date", "allowed"))
        share = f", {1 - paid / selected:.2%} of it estimated" if selected else ""
        facts.append(
            f"Claims were handed in by month and category, completed here: ${selected:,.0f} of allowed claims{share}."
        )
        facts += [f"{row[1]:,} months of a category estimated by: {row[0]}." for row in _methods(study.months)]
    found = given.findings
    if found.height:
        counted = dict(found.group_by("severity").agg(pl.len()).rows())
        words = {"error": "errors", "warning": "warnings", "info": "remarks"}
        said = ", ".join(f"{counted[severity]} {word}" for severity, word in words.items() if severity in counted)
        facts.append(
            f"Checks of the data and assumptions put down {said}; errors refuse a run, so none is hidden here."
        )
    else:
        facts.append("Checks of the data and assumptions put nothing down.")
    without, all_of = len(_without_source(given)), _inputs(given).height
    facts.append(f"{without} of {all_of} numbers handed in for the market name no source; they are listed below.")
    return facts


def _period(given: FilingExhibits) -> str:
    header, months = given.filing.header, given.number("exp_member_months")
    start, end, through = (header.get(name) for name in ("exp_period_start", "exp_period_end", "claims_paid_through"))
    said = f"Experience of {start} to {end}" if start and end else "The experience period is not stated"
    paid = f", paid through {through}" if through else ", the last paid date is not stated"
    return f"{said}{paid}: {months:,.0f} member months." if months else f"{said}{paid}; no member months."


def _methods(months: pl.DataFrame) -> list[tuple[str, int]]:
    inside = months.filter(pl.col("in_period"), pl.col("basis") == "ehb_allowed", pl.col("selected") != 0)
    counted = inside.group_by("method").agg(pl.len().cast(pl.Int64)).sort("method")
    return [(method.replace("_", " "), number) for method, number in counted.rows()]


def _inputs(given: FilingExhibits) -> pl.DataFrame:
    market = given.filing.market
    return market.filter(pl.col("role") == _INPUT, pl.col("value").is_not_null())


def _without_source(given: FilingExhibits) -> list[str]:
    return _inputs(given).filter(pl.col("source").is_in(_UNSOURCED))["name"].to_list()


def _credibility_facts(given: FilingExhibits) -> list[str]:
    z, manual = given.number("credibility"), given.number("manual_ehb")
    facts = ["Credibility of the experience: not stated." if z is None else f"Credibility of the experience: {z:.4f}."]
    study = given.credibility
    if study is not None:
        rests = f", which rests on {study.source}" if study.source else "; what the standard rests on is not said"
        facts.append(
            f"By limited fluctuation: {study.exposure:,.0f} member months against a standard of "
            f"{study.full_standard:,.0f}{rests}."
        )
    else:
        facts.append(f"It was handed in ({_source(given, 'credibility')}); no standard was evaluated in this run.")
    if z is not None and z < 1:
        told = "none is given" if manual is None else f"${manual:,.2f} PMPM ({_source(given, 'manual_ehb')})"
        facts.append(f"The rest, {1 - z:.4f}, is the manual rate: {told}.")
    return facts


def _risk_facts(given: FilingExhibits) -> list[str]:
    facts = []
    allowed, paid = given.number("proj_risk_adjustment"), given.number("proj_risk_adjustment_paid")
    if allowed is not None:
        kind = "receipt" if allowed > 0 else "charge" if allowed < 0 else "no transfer"
        beside = f", ${paid:,.2f} on the paid basis" if paid is not None else "; the paid basis is not given"
        facts.append(
            f"Projected risk adjustment: ${allowed:,.2f} PMPM on the allowed basis{beside} ({kind}; "
            f"{_source(given, 'proj_risk_adjustment')})."
        )
    before = given.number("exp_risk_adjustment_pmpm")
    if before is not None:
        facts.append(f"Of the experience period: ${before:,.2f} PMPM.")
    morbidity, study = given.number("adj_morbidity"), given.morbidity
    if morbidity is not None:
        facts.append(f"Morbidity factor: {morbidity:.4f} ({_source(given, 'adj_morbidity')}).")
    if study is not None:
        facts.append(
            f"The study of risk scores gives {study.morbidity:.6f} for morbidity and {study.demographic:.6f} for "
            "demographics, before rounding."
        )
    return facts


def _value_facts(given: FilingExhibits) -> list[str]:
    plans = given.offered
    columns = [c for c in ("av_metal", "adj_av_cost_sharing") if c in plans.columns]
    facts = ["Actuarial values are inputs of this filing; they were not worked out in this run."]
    for column, what in (("av_metal", "Metal AV"), ("adj_av_cost_sharing", "Pricing AV with induced demand")):
        if column not in columns:
            continue
        held = plans.drop_nulls(column).sort(column)
        if held.height:
            facts.append(f"{what} of {held.height} plans: {held[column][0]:.4f} to {held[column][-1]:.4f}.")
        missing = plans.filter(pl.col(column).is_null())["plan_id"].to_list()
        if missing:
            facts.append(f"{what} is not given for {_listed(missing)}.")
    return facts


def _model_facts(given: FilingExhibits) -> list[str]:
    from data_specs._manifest import product_version

    facts = [f"Model and version: poolwise {product_version()}.", _PURPOSE, *_LIMITS, _TESTS]
    found = given.sensitivity.with_columns(
        pl.max_horizontal(pl.col("effect_down").abs(), pl.col("effect_up").abs()).alias("size")
    ).sort("size", "label", descending=[True, False], nulls_last=True)
    top = [f"{label} ({change})" for label, change in found.head(3).select("label", "change").rows()]
    if top:
        rate = quantity_name(given.rate or "rate")
        facts.append(f"The {rate} is most sensitive to: {'; '.join(top)}. All sensitivities are below.")
    open_ones = given.filing.settings.filter(_is_open())["setting"].to_list()
    facts.append(f"{len(open_ones)} settings rest on points that law and template leave open; they are listed below.")
    return facts


_FACTS: dict[str, Callable[[FilingExhibits], list[str]]] = {
    "ASOP 8": _filing_facts,
    "ASOP 23": _data_facts,
    "ASOP 25": _credibility_facts,
    "ASOP 45": _risk_facts,
    "ASOP 50": _value_facts,
    "ASOP 56": _model_facts,
}


def _source(given: FilingExhibits, name: str) -> str:
    entry = given.filing.ledger.get(name)
    if entry is None or entry.source in _UNSOURCED:
        return "no source named"
    return f"source: {entry.source}"


def _percent(share: Decimal) -> str:
    text = f"{abs(share):.2%}"
    return f"−{text}" if share < 0 and text != "0.00%" else text


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
