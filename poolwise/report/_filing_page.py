"""The page of a rate filing, complete in itself: the exhibits of an actuarial memorandum, in tables and charts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs import _registry
from poolwise.report import _filing_charts as charts
from poolwise.report._charts import Chart, need_altair
from poolwise.report._filing_chain import chain_steps
from poolwise.report._filing_exhibits import (
    Exhibit,
    FilingExhibits,
    category_name,
    category_rank,
    quantity_name,
    studies,
)
from poolwise.report._filing_plans import plan_exhibits, sensitivity_exhibit, trace_exhibit
from poolwise.report._page_parts import HIDDEN, need_templates, render, source_lines

if TYPE_CHECKING:
    from rating.filing import Bridge

__all__ = ["NOT_CERTIFIED", "filing_page", "shown_exhibit", "table_names", "whose"]

NOT_CERTIFIED = (
    "These are exhibits, not a certification: no opinion is given here, and none follows from a check that passed."
)
_FOLDED_ABOVE = 16  # rows; longer tables are folded
_NARROWEST_BAND = 0.01
_MOST_BANDS = 14
_PMPM = "pmpm"
_MOST_PANELS = 6
_SHORT, _SENTENCE = 18, 34  # letters
_FORMS = {"count": ",.0f", "months": ",.0f", "factor": ".4f", "mean": ",.6f", "percent": ".1%", "dollars": ",.2f"}
_FORMS["unrounded"] = ",.6f"
_TABLES = ("filing/urrt_formulas", "filing/bridge_groups", "filing/reviewer_checks", "filing/review_check_rules")


def filing_page(
    given: FilingExhibits,
    *,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    tables: Iterable[str] = (),
) -> str:
    """Return the HTML page of a rate filing: experience, trend, index rate, bridge, plans, checks, one rate traced.

    A filing is public and says nothing of single enrollees, so nothing is suppressed.

    Parameters
    ----------
    given : FilingExhibits
        The filing, and the studies behind it; sections of studies that are not there are left out.
    title : str
        Heading of the page; without a date, so that equal runs give equal pages.
    notes : sequence of str
        Remarks under the heading.
    links : mapping of str, optional
        Pages of the same run (the reliance page, say): text -> address relative to this page.
    tables : iterable of str
        Further tables of published figures that took part.

    Raises
    ------
    ExtraMissing
        When the packages of the extra ``reports`` are not installed.
    """
    need_templates()
    need_altair()
    found = {exhibit.key: exhibit for exhibit in (*studies(given), *plan_exhibits(given))}
    found["sensitivity"] = sensitivity_exhibit(given)
    trace = trace_exhibit(given)
    if trace is not None:
        found["trace"] = trace
    return render(
        "filing.html",
        title=title,
        whose=whose(given),
        not_certified=NOT_CERTIFIED,
        notes=list(notes),
        links=dict(links or {}),
        told=_told(given),
        figures=_figures(given),
        exhibits={key: shown_exhibit(exhibit) for key, exhibit in found.items()},
        charts=_charts(given, found),
        findings=given.findings.to_dicts(),
        uncertain=given.filing.uncertain.to_dicts(),
        settings=given.filing.settings.to_dicts(),
        sources=source_lines(sorted({*table_names(given), *tables})),
    )


def whose(given: FilingExhibits) -> str:
    """Return whose filing it is, in a line."""
    header = given.filing.header
    name = header.get("company_legal_name") or f"Issuer {header.get('issuer_id')}"
    market = str(header.get("market") or "").replace("_", " ")
    return f"{name}, {header.get('state')}, {market} market, rates of {header.get('plan_year')}."


def table_names(given: FilingExhibits) -> set[str]:
    """Return the tables of published figures that a filing rests on, as far as they are known here."""
    known = _registry.contracts()
    of_sources = {str(source) for source in given.filing.uncertain["table"].to_list()}
    return {name for name in (*_TABLES, *of_sources) if name in known}


# ------------------------------------------------------------------------------------------------ in words


def _told(given: FilingExhibits) -> list[str]:
    """Return what the filing asks for, and what moved it."""
    told = []
    change, plans = given.number("submission_rate_increase"), given.offered
    if change is not None and "cumulative_rate_change" in plans.columns:
        held = plans.filter(pl.col("rate_change_weight").fill_null(0) > 0)["cumulative_rate_change"].drop_nulls()
        ends = f", from {_percent(held.min())} to {_percent(held.max())}" if len(held) > 1 else ""
        of = "plan" if len(held) == 1 else "plans"
        told.append(f"Rates change by {_percent(float(change))} on average over {len(held)} renewing {of}{ends}.")
    mean, months = given.number("mean_premium_pmpm"), given.number("proj_member_months")
    if mean is not None:
        over = f" over {months:,.0f} projected member months" if months else ""
        told.append(f"The mean premium of all plans is ${mean:,.2f} a member month{over}.")
    if given.bridge is not None and given.bridge.change:
        told.append(_moved(given.bridge))
    return told


def _moved(bridge: Bridge) -> str:
    """Return the largest steps of a bridge in a sentence."""
    largest = bridge.steps.filter(pl.col("amount").abs() >= _NARROWEST_BAND / 2)
    largest = largest.sort(pl.col("amount").abs(), "step", descending=[True, False]).head(3)
    named = [f"{label} ({_signed(amount)})" for label, amount in largest.select("label", "amount").rows()]
    if not named:
        return f"Against the filing in force {quantity_name(bridge.target)} does not move by a cent."
    said = f"{_signed(float(bridge.change))} against the filing in force; most of it is "
    return f"{said}{', '.join(named)}."


def _signed(amount: float) -> str:
    # A line is not broken between the sign and the amount.
    return charts.signed_dollars(amount).replace("−", "−\u2060")


def _figures(given: FilingExhibits) -> list[dict[str, str]]:
    known: list[tuple[str, Any, str]] = [
        ("index rate of the experience", given.number("ep_index_rate_total"), "$,.2f"),
        ("projected index rate", given.number("projected_index_rate"), "$,.2f"),
        ("market adjusted index rate", given.number("market_adjusted_index_rate"), "$,.2f"),
        ("mean premium", given.number("mean_premium_pmpm"), "$,.2f"),
        ("change", given.number("submission_rate_increase"), ".1%"),
        ("loss ratio as priced", given.number("priced_loss_ratio"), ".1%"),
        ("plans offered", given.offered.height, ",d"),
    ]
    lines = []
    for what, number, form in known:
        if number is None:
            continue
        text = _percent(float(number)) if form.endswith("%") else format(number, form.removeprefix("$"))
        lines.append({"number": f"${text}" if form.startswith("$") else text, "what": what})
    return lines


def _percent(share: Any) -> str:
    if share is None:
        return "not known"
    text = f"{abs(share):.1%}"
    return f"−{text}" if share < 0 and text != "0.0%" else text


# ------------------------------------------------------------------------------------------------ tables as text


def shown_exhibit(exhibit: Exhibit) -> dict[str, Any]:
    """Return an exhibit as the templates show it: cells as text, each with the class of its column."""
    kinds = [_text_kind(exhibit, place) for place in range(len(exhibit.columns))]
    rows = [_cells(exhibit, row, kinds) for row in exhibit.rows]
    return {
        "title": exhibit.title,
        "explanation": exhibit.explanation,
        "headings": [(column.heading, "" if column.kind == "text" else "n") for column in exhibit.columns],
        "rows": rows,
        "total": _total_cells(exhibit) if exhibit.total else [],
        "folded": len(rows) > _FOLDED_ABOVE,
    }


def _text_kind(exhibit: Exhibit, place: int) -> str:
    """Return the class of a column of text: short ones stay in one line, sentences are given room."""
    longest = max((len(str(row[place] or "")) for row in exhibit.rows), default=0)
    return "rule" if longest <= _SHORT else "what" if longest > _SENTENCE else ""


def _cells(exhibit: Exhibit, row: Sequence[Any], kinds: Sequence[str]) -> list[tuple[str, str]]:
    cells = []
    for value, column, kind in zip(row, exhibit.columns, kinds, strict=True):
        shown = kind if column.kind == "text" else "n hidden" if value is None else "n"
        cells.append((_cell(value, column.kind), shown))
    return cells


def _total_cells(exhibit: Exhibit) -> list[tuple[str, str]]:
    """Return the last row: what has no total is left empty there."""
    return [
        ("" if value is None else _cell(value, column.kind), "" if column.kind == "text" else "n")
        for value, column in zip(exhibit.total, exhibit.columns, strict=True)
    ]


def _cell(value: Any, kind: str) -> str:
    if value is None:
        return "" if kind == "text" else HIDDEN
    if isinstance(value, str) or kind == "text":
        return str(value)
    text = format(abs(value), _FORMS[kind])
    return f"−{text}" if value < 0 and text.strip("0.,%") else text


# ------------------------------------------------------------------------------------------------ charts


def _charts(given: FilingExhibits, found: Mapping[str, Exhibit]) -> dict[str, Chart | None]:
    drawn: dict[str, Chart | None] = dict.fromkeys(
        ("completion", "trend", "chain", "bridge", "changes", "ages", "areas", "membership", "sensitivity")
    )
    if "completion" in found and found["completion"].rows:
        drawn["completion"] = charts.completion_chart([(row[0], row[2], row[3]) for row in found["completion"].rows])
    if given.trend is not None:
        drawn["trend"] = _trend_chart(given)
    drawn["chain"] = _chain_chart(given)
    if given.bridge is not None and "bridge" in found:
        drawn["bridge"] = _bridge_chart(given.bridge)
    drawn["changes"] = _changes_chart(given, found["changes"])
    drawn["ages"] = _ages_chart(found["ages"]) if "ages" in found else None
    drawn["areas"] = _areas_chart(found["areas"]) if "areas" in found else None
    held = [(row[0], row[3], f"{row[3]:,.0f} ({row[4]:.0%})") for row in found["membership"].rows if row[4] is not None]
    if held:
        drawn["membership"] = charts.bars_chart([(n, v) for n, v, _ in held], [text for _, _, text in held])
    drawn["sensitivity"] = tornado(found["sensitivity"])
    return drawn


def tornado(exhibit: Exhibit) -> Chart | None:
    """Return the chart of a sensitivity exhibit: assumptions that move the rate by a cent or more."""
    spans = [
        charts.Span(f"{row[0]}, {row[1]}", row[3], row[4])
        for row in exhibit.rows
        if any(abs(effect or 0) >= _NARROWEST_BAND / 2 for effect in row[3:5])
    ]
    return charts.tornado_chart(spans) if spans else None


def _trend_chart(given: FilingExhibits) -> Chart | None:
    assert given.trend is not None
    own = given.trend.months.filter(pl.col("measure") == _PMPM).sort(category_rank(), maintain_order=True)
    categories = own["benefit_category"].unique(maintain_order=True).to_list()[:_MOST_PANELS]
    columns = ("benefit_category", "incurred_month", "normalized", "fitted", "rolling_12")
    months = [
        charts.Fitted(category_name(row[0]), *row[1:])
        for row in own.filter(pl.col("benefit_category").is_in(categories)).select(columns).rows()
    ]
    return charts.trend_chart(months) if months else None


def _chain_chart(given: FilingExhibits) -> Chart | None:
    steps = [step for step in chain_steps(given) if step.pmpm is not None]
    if len(steps) < 2 or not steps[0].pmpm:
        return None
    amounts = [(step.label, float(step.pmpm or 0)) for step in steps]
    return _waterfall(amounts[0], amounts[1:], ("Mean premium of all plans", amounts[-1][1]))


def _bridge_chart(bridge: Bridge) -> Chart | None:
    after = float(bridge.old)
    amounts = []
    for label, amount, cumulative in bridge.steps.select("label", "amount", "cumulative").rows():
        if abs(amount) >= _NARROWEST_BAND / 2:
            amounts.append((label, cumulative))
    if not amounts:
        return None
    return _waterfall(("Filing in force", after), amounts, ("This filing", float(bridge.new)))


def _waterfall(start: tuple[str, float], steps: Sequence[tuple[str, float]], end: tuple[str, float]) -> Chart:
    levels = [start, *steps]
    moves = [charts.Move(start[0], start[1], start[1], is_level=True)]
    moves += [
        charts.Move(after[0], before[1], after[1])
        for before, after in pairwise(levels)
        if abs(after[1] - before[1]) >= _NARROWEST_BAND / 2
    ]
    return charts.waterfall_chart([*moves, charts.Move(end[0], end[1], end[1], is_level=True)])


def _changes_chart(given: FilingExhibits, exhibit: Exhibit) -> Chart | None:
    """Return the histogram of plans' changes, weighted by premium; None where there is nothing to weigh."""
    held = [(float(row[3]), float(row[4])) for row in exhibit.rows if row[3] is not None and row[4]]
    if not held:
        return None
    whole = math.fsum(weight for _, weight in held)
    spread = max(change for change, _ in held) - min(change for change, _ in held)
    step = _NARROWEST_BAND
    while spread / step > _MOST_BANDS:
        step *= 2
    bands: dict[int, list[float]] = {}
    for change, weight in held:
        bands.setdefault(math.floor(round(change / step, 9)), []).append(weight)
    shares = [(n * step, (n + 1) * step, math.fsum(w) / whole) for n, w in sorted(bands.items())]
    mean = given.number("submission_rate_increase")
    return charts.changes_chart(shares, None if mean is None else float(mean), _threshold(given))


def _threshold(given: FilingExhibits) -> float | None:
    """Return the increase from which rates are reviewed (45 CFR 154.200), of the plan year; None: none is held."""
    year = int(given.filing.header.get("plan_year") or 0)
    rows = _registry.table("filing/review_thresholds").filter(pl.col("key") == "rate_increase_review")
    in_force = (pl.col("first_plan_year") <= year) & (pl.col("last_plan_year").fill_null(year) >= year)
    values = rows.filter(in_force)["value"].to_list()
    return float(values[0]) if values else None


def _ages_chart(exhibit: Exhibit) -> Chart | None:
    months: dict[int, tuple[float, float]] = {}
    for label, charged, factor, held in exhibit.rows:
        age = "".join(c for c in str(label).split("-")[-1] if c.isdigit())
        if not age or factor is None or charged != "yes":
            continue
        known = months.get(int(age), (float(factor), 0.0))
        months[int(age)] = (known[0], known[1] + float(held or 0))
    levels = [(age, *pair) for age, pair in sorted(months.items())]
    return charts.ages_chart(levels) if len(levels) > 1 else None


def _areas_chart(exhibit: Exhibit) -> Chart | None:
    held = [(area, float(factor)) for area, plan, factor, _ in exhibit.rows if plan == "all" and factor is not None]
    return charts.factors_chart(held) if len(held) > 1 else None
