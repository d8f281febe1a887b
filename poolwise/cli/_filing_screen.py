"""A filing on the screen: the chain to the index rate, the plans, what moved, and what the checks say."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.cli._screen import plural, show_table

if TYPE_CHECKING:
    from rich.console import Console

    from poolwise.cli._filing_results import FilingOutcome
    from rating.filing import Bridge, Filing, Trace

__all__ = ["show_filing", "show_trace"]

_CATEGORIES = (
    "inpatient_hospital",
    "outpatient_hospital",
    "professional",
    "other_medical",
    "capitation",
    "prescription_drug",
)
# Step, quantity, in words; those that are blank are left out.
_CHAIN = (
    ("1", "exp_allowed_claims_pmpm", "allowed claims"),
    ("1", "exp_incurred_claims_pmpm", "incurred claims"),
    ("1", "exp_premium_pmpm", "premium"),
    ("1", "exp_risk_adjustment_pmpm", "risk adjustment"),
    ("2", "ep_index_rate_total", "index rate of the experience period"),
    ("3", "trended_ehb_total", "trended over two years"),
    ("4", "adjusted_trended_ehb", "adjusted"),
    ("5", "manual_ehb", "manual rate"),
    ("5", "projected_index_rate", "projected index rate"),
    ("6", "proj_reinsurance", "reinsurance, allowed basis"),
    ("6", "proj_risk_adjustment", "risk adjustment, allowed basis"),
    ("6", "market_adjusted_index_rate", "market adjusted index rate"),
    ("7", "mean_premium_pmpm", "mean plan adjusted index rate (premium)"),
)
_ADJUSTMENTS = (
    ("adj_morbidity", "morbidity"),
    ("adj_demographic", "demographic"),
    ("adj_plan_design", "plan design"),
    ("adj_other", "other"),
)
_STYLES = {"error": "bold red", "fail": "bold red", "warning": "yellow", "question": "yellow"}
_MOST_PLANS = 40
_MOST_FINDINGS = 12
_HALF_A_CENT = 0.005


def show_filing(console: Console, outcome: FilingOutcome, *, is_brief: bool = False) -> None:
    """Show a filing to a person; in brief without trend, findings, uncertain figures and settings."""
    filing = outcome.run.filing
    header = filing.header
    title = " ".join(
        str(part)
        for part in (f"Issuer {header['issuer_id']}, {header['state']}", header["market"].replace("_", " "), "market,")
    )
    console.print(f"{title} plan year {header['plan_year']}", style="bold")
    console.print()
    _show_chain(console, filing)
    if not is_brief:
        _show_trend(console, filing)
    _show_plans(console, filing)
    for name, bridge in outcome.bridges.items():
        _show_bridge(console, bridge, outcome.words if name == "what_if" else "")
    _show_checks(console, outcome)
    if not is_brief:
        _show_findings(console, filing.findings)
        _show_end(console, outcome)
    for note in outcome.notes:
        console.print(f"Note: {note}", soft_wrap=True)


def _show_chain(console: Console, filing: Filing) -> None:
    how = {
        "exp_allowed_claims_pmpm": f"{_count(filing, 'exp_member_months')} member months",
        "trended_ehb_total": _annual(filing),
        "adjusted_trended_ehb": ", ".join(
            f"{label} {_plain(filing, name)}" for name, label in _ADJUSTMENTS if filing.value(name) is not None
        ),
        "projected_index_rate": f"credibility {_plain(filing, 'credibility')}",
        "market_adjusted_index_rate": _fee(filing),
        "mean_premium_pmpm": f"{_count(filing, 'proj_member_months')} projected member months",
    }
    rows = [
        [step, label, _dollars(filing.value(name)), how.get(name, "")]
        for step, name, label in _CHAIN
        if filing.value(name) is not None
    ]
    columns = [("step", "left"), ("dollars per member month", "left"), ("amount", "right"), ("", "left")]
    show_table(console, "From experience to the index rate", columns, rows)


def _annual(filing: Filing) -> str:
    """Return the trend of all categories as one annual rate."""
    old, new = filing.value("ep_index_rate_total"), filing.value("trended_ehb_total")
    return f"{(new / old).sqrt() - 1:.2%} a year" if old and new else ""


def _fee(filing: Filing) -> str:
    fee, amount = filing.value("exchange_fee_pct"), filing.value("exchange_fee_pmpm")
    if filing.chosen.user_fee_convention == "amount" and amount is not None:
        return f"exchange user fee {amount:,.2f}"
    return "" if fee is None else f"exchange user fee {fee:.2%}"


def _show_trend(console: Console, filing: Filing) -> None:
    rows = []
    for category in _CATEGORIES:
        parts = [filing.value(f"trend_{y}_{k}", category=category) for y in ("y1", "y2") for k in ("cost", "util")]
        rate = filing.value("ep_index_rate", category=category)
        if not rate or None in parts:
            continue
        entry = filing.ledger.get(f"trend_y1_cost_{category}", "")
        one, two = (parts[i] * parts[i + 1] for i in (0, 2))  # type: ignore[operator]
        rows.append(
            [
                category.replace("_", " "),
                _dollars(rate),
                *(f"{p - 1:.2%}" for p in parts[:2] if p is not None),
                f"{one - 1:.2%}",
                f"{two - 1:.2%}",
                "" if entry is None else entry.source.partition(",")[0],
            ]
        )
    if rows:
        columns = [("category", "left"), ("index rate", "right"), ("cost", "right"), ("use", "right")]
        columns += [("year 1", "right"), ("year 2", "right"), ("from", "left")]
        show_table(console, "Trend", columns, rows)


def _show_plans(console: Console, filing: Filing) -> None:
    columns = [("plan", "left"), ("metal", "left"), ("member months", "right"), ("AV x CSR", "right")]
    columns += [("retention", "right"), ("plan index", "right"), ("calibrated", "right"), ("change", "right")]
    rows, styles = [], []
    for row in filing.plans.head(_MOST_PLANS).rows(named=True):
        is_renewing = row["plan_category"] == "renewing"
        load = (row["adj_av_cost_sharing"] or 0) * (row["adj_csr_load"] or 1)
        rows.append(
            [
                row["plan_id"],
                str(row["metal_level"]).replace("_", " "),
                _cell(row["proj_member_months_plan"], ",.0f"),
                f"{load:.4f}" if load else "",
                _cell(row["retention"], ".2%"),
                _cell(row["plan_adjusted_index_rate"], ",.2f"),
                _cell(row["calibrated_plan_adjusted_index_rate"], ",.2f"),
                row["plan_category"] if not is_renewing else _cell(row["cumulative_rate_change"], "+.2%"),
            ]
        )
        styles.append("dim" if row["plan_category"] == "terminated" else "")
    change = filing.value("submission_rate_increase")
    total = ["all", "", _count(filing, "proj_member_months"), "", "", _dollars(filing.value("mean_premium_pmpm")), ""]
    total.append("" if change is None else f"{change:+.2%}")
    show_table(console, "Plans", columns, rows, total=total, styles=styles)
    if filing.plans.height > _MOST_PLANS:
        console.print(f"{plural(filing.plans.height - _MOST_PLANS, 'more plan')} in plans.csv.\n")
    areas = filing.areas["rating_area_id"].n_unique()
    console.print(
        f"{plural(filing.rates.height, 'consumer rate')}: "
        f"{plural(filing.rates['plan_id'].n_unique(), 'plan')}, {plural(areas, 'rating area')}. Calibration: age "
        f"{_plain(filing, 'calib_age')}, area {_plain(filing, 'calib_geo')}, tobacco {_plain(filing, 'calib_tobacco')}."
        f"{_loss_ratio(filing)}"
        "\n",
        soft_wrap=True,
    )


def _loss_ratio(filing: Filing) -> str:
    ratio = filing.value("priced_loss_ratio")
    return "" if ratio is None else f" Loss ratio that the rates are worked out for: {ratio:.1%}."


def _show_bridge(console: Console, bridge: Bridge, words: str) -> None:
    title = f"What if {words}" if words else "What moved since the earlier filing"
    seen = bridge.steps.filter(pl.col("amount").abs() >= _HALF_A_CENT)
    rows = [["before", "", _dollars(bridge.old), ""]]
    rows += [
        [label, f"{amount:+,.2f}", _dollars(after), "" if share is None else f"{share:+.2%}"]
        for label, amount, after, share in seen.select("label", "amount", "cumulative", "ratio_to_old").rows()
    ]
    if len(rows) == 1:
        console.print(f"{title}: nothing moves the mean premium, {_dollars(bridge.old)}, by a cent.\n")
        return
    change = bridge.change / bridge.old if bridge.old else None
    total = ["after", f"{bridge.change:+,.2f}", _dollars(bridge.new), "" if change is None else f"{change:+.2%}"]
    columns = [("mean premium per member month", "left"), ("moves", "right"), ("to", "right"), ("of it", "right")]
    show_table(console, title, columns, rows, total=total)


def _show_checks(console: Console, outcome: FilingOutcome) -> None:
    counts = outcome.review.counts
    words = ", ".join(
        f"{int(counts[result].sum()):,} {result.replace('_', ' ')}"
        for result in ("pass", "finding", "not_applicable", "not_evaluated")
    )
    console.print(f"Checks of a reviewer: {counts.height} run on each number they look at: {words}.", soft_wrap=True)
    found = outcome.review.findings
    if found.height:
        rows = [
            [r["check_id"], r["outcome"], " ".join(filter(None, [r["name"], r["place"]])), r["message"] or ""]
            for r in found.head(_MOST_FINDINGS).rows(named=True)
        ]
        columns = [("check", "left"), ("outcome", "left"), ("number", "left"), ("what", "left")]
        show_table(console, "", columns, rows, styles=[_STYLES.get(row[1], "") for row in rows])
    console.print()


def _show_findings(console: Console, findings: pl.DataFrame) -> None:
    if findings.height == 0:
        console.print("No findings.")
        return
    order = pl.col("severity").replace_strict({"error": 0, "warning": 1, "info": 2}, default=3, return_dtype=pl.Int64)
    shown = findings.sort(order, "rule_id", "where", maintain_order=True)
    rows = [list(row) for row in shown.head(_MOST_FINDINGS).select("rule_id", "severity", "where", "message").rows()]
    columns = [("rule", "left"), ("severity", "left"), ("where", "left"), ("what", "left")]
    show_table(console, "Findings", columns, rows, styles=[_STYLES.get(row[1], "") for row in rows])
    if findings.height > _MOST_FINDINGS:
        console.print(f"{plural(findings.height - _MOST_FINDINGS, 'more finding')} in findings.csv.\n")


def _show_end(console: Console, outcome: FilingOutcome) -> None:
    filing = outcome.run.filing
    if filing.uncertain.height:
        columns = [("figure", "left"), ("moved", "left")]
        rows = [[what, moved] for what, moved in filing.uncertain.select("what", "moved").unique().sort("what").rows()]
        show_table(console, "Uncertain figures that took part", columns, rows)
    given = filing.settings.filter(pl.col("source") == "given")
    for name, value in given.select("setting", "value").rows():
        console.print(f"Setting: {name} = {value}")


def show_trace(trace: Trace, depth: int) -> str:
    """Return a trace as text, down to a depth; how many lines lie deeper is said."""
    lines = str(trace).splitlines()
    depths = trace.frame["depth"].to_list()
    kept = [line for line, at in zip(lines, depths, strict=True) if at <= depth]
    deeper = len(lines) - len(kept)
    if deeper:
        kept.append(f"({plural(deeper, 'line')} deeper, down to the claims: --depth, or the trace in --out)")
    return "\n".join(kept) + "\n"


# ------------------------------------------------------------------------------------------------ numbers


def _dollars(value: Decimal | float | None) -> str:
    return "" if value is None else f"{value:,.2f}"


def _cell(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)


def _count(filing: Filing, name: str) -> str:
    return _cell(filing.value(name), ",.0f")


def _plain(filing: Filing, name: str) -> str:
    """Return a factor with as many decimals as it has, four at most."""
    value = filing.value(name)
    return "" if value is None else f"{value:.4f}".rstrip("0").rstrip(".")
