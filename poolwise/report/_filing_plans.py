"""The exhibits of a filing's plans: rates, changes, calibration, membership, retention, checks, and the ledger."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._filing_exhibits import Exhibit, FilingExhibits, quantity_name
from poolwise.report._sheets import Column
from rating._assistance import METAL_LEVELS

if TYPE_CHECKING:
    from rating.filing import Trace

__all__ = ["metal_name", "plan_exhibits", "records", "sensitivity_exhibit", "trace_exhibit"]

_RETENTION = {"pct_admin": "Administrative expense", "pct_taxes_fees": "Taxes and fees"}
_RETENTION["pct_profit_risk"] = "Profit and risk load"
_RATIOS = {
    "exp_loss_ratio": "Experience period",
    "proj_loss_ratio": "Projection, as filed by plan",
    "priced_loss_ratio": "Projection, as priced",
}
_DEEPEST = 4  # levels of the excerpt of a trace
_MOST_LINES = 60
_PRICED_AGE = 21


def plan_exhibits(given: FilingExhibits) -> list[Exhibit]:
    """Return the exhibits of plans, in the order of the memorandum; those that there are."""
    found = [_plan_rates(given), _plan_factors(given), _changes(given), _calibration(given)]
    mix = given.filing.mix
    if mix.height:
        found += [_ages(mix)] if set(mix["kind"]) & {"age", "tier"} else []
    if given.filing.areas.height:
        found.append(_areas(given))
    found += [_membership(given), *([_variants(given)] if given.filing.variants.height else [])]
    return [*found, _retention(given), _loss_ratios(given), _checks(given), _review_findings(given)]


def metal_name(metal: str | None) -> str:
    """Return a metal level for a reader.

    Examples
    --------
    >>> metal_name("expanded_bronze"), metal_name(None)
    ('Expanded bronze', 'Not given')
    """
    words = (metal or "not given").replace("_", " ")
    return words[0].upper() + words[1:]


# ------------------------------------------------------------------------------------------------ rates


def _plan_rates(given: FilingExhibits) -> Exhibit:
    columns = {
        "proj_member_months_plan": Column("Member months", "count", width=13),
        "plan_factor": Column("Plan factors", "factor", width=12),
        "retention": Column("Retention", "percent", width=10),
        "plan_adjusted_index_rate": Column("Index rate, $", "dollars", width=12),
        "calibrated_plan_adjusted_index_rate": Column("Age-21 rate, $", "dollars", width=12),
    }
    rows = _by_plan(given, columns)
    total = ("All plans", "", _sum(row[2] for row in rows), None, None, given.number("mean_premium_pmpm"), None)
    return Exhibit(
        "plan_rates",
        "Plan rates",
        "Worksheet 2, section III, offered plans: the market adjusted index rate times the plan's factors, over one "
        "less retention; then calibrated to age 21, an area of factor 1, no tobacco.",
        (Column("Plan", width=17), Column("Metal level", width=16), *columns.values()),
        rows,
        total,
    )


def _plan_factors(given: FilingExhibits) -> Exhibit:
    columns = {
        "av_metal": Column("Metal AV", "factor"),
        "adj_av_cost_sharing": Column("AV, cost sharing", "factor"),
        "adj_csr_load": Column("CSR load", "factor"),
        "adj_network": Column("Network", "factor"),
        "adj_non_ehb": Column("Beyond EHB", "factor"),
        "adj_catastrophic": Column("Catastr.", "factor"),
    }
    return Exhibit(
        "plan_factors",
        "Plan factors",
        "What plans may differ by (45 CFR 156.80(d)(2)); the metal AV classifies a plan and does not price it.",
        (Column("Plan", width=17), Column("Metal level", width=16), *columns.values()),
        _by_plan(given, columns),
    )


def _by_plan(given: FilingExhibits, columns: Iterable[str]) -> list[tuple[Any, ...]]:
    names = list(columns)
    return [
        (row["plan_id"], metal_name(row.get("metal_level")), *(row.get(name) for name in names))
        for row in given.offered.rows(named=True)
    ]


def _changes(given: FilingExhibits) -> Exhibit:
    rows: list[tuple[Any, ...]] = []
    for row in given.offered.rows(named=True):
        change, weight = row.get("cumulative_rate_change"), row.get("rate_change_weight")
        kind = str(row.get("plan_category") or "")
        rows.append((row["plan_id"], row.get("product_id"), kind, change, weight))
    whole = _sum(row[4] for row in rows)
    rows = [(*row, row[4] / whole if row[4] is not None and whole else None) for row in rows]
    names = {p: f"Product {p}" for p in given.filing.products["product_id"].to_list()}
    for product, change in given.filing.products.select("product_id", "product_rate_increase").rows():
        rows.append((names[product], product, "", change, None, None))
    formula = given.filing.model.formulas.get("cumulative_rate_change", "plan")
    by = "" if formula is None else f" A plan's change, where it is not given, follows the setting {formula.setting}."
    return Exhibit(
        "changes",
        "Rate changes",
        f"Changes of plans with the weights of their means (45 CFR 154.200).{by}",
        (
            Column("Plan or product", width=24),
            Column("Product", width=13),
            Column("Kind", width=11),
            Column("Change", "percent"),
            Column("Weight", "count", width=15),
            Column("Share", "percent"),
        ),
        rows,
        ("Submission", "", "", given.number("submission_rate_increase"), whole, None),
    )


def _calibration(given: FilingExhibits) -> Exhibit:
    names = {
        "age": ("Age", "mean_age_factor", "calib_age"),
        "area": ("Area", "mean_area_factor", "calib_geo"),
        "tobacco": ("Tobacco", "mean_tobacco_factor", "calib_tobacco"),
    }
    rows = [(label, given.number(mean), given.number(calib)) for label, mean, calib in names.values()]
    product: float | None = 1.0
    for row in rows:
        product = None if row[2] is None or product is None else product * float(row[2])
    return Exhibit(
        "calibration",
        "Calibration",
        "Worksheet 2, 3.12 to 3.14: one over the mean factor of the projected membership, children who are not charged "
        "counted with 0. Blank mean: the calibration factor was handed in.",
        (Column("", width=14), Column("Mean factor", "factor", width=14), Column("Calibration", "factor", width=14)),
        rows,
        ("Together", None, product),
    )


def _ages(mix: pl.DataFrame) -> Exhibit:
    held = mix.filter(pl.col("kind").is_in(["age", "tier"]))
    rows = [
        (level if kind == "age" else level.replace("_", " "), "yes" if billable == "Y" else "no", factor, months)
        for kind, level, billable, factor, months in held.select(
            "kind", "level", "billable", "factor", "member_months"
        ).rows()
    ]
    return Exhibit(
        "ages",
        "Age factors",
        "The curve (or family tiers) of the state, and the projected membership that calibrates it.",
        (
            Column("Age or tier", width=22),
            Column("Charged", width=9),
            Column("Factor", "factor"),
            Column("Member months", "count", width=15),
        ),
        rows,
        ("All", "", None, _sum(row[3] for row in rows)),
    )


def _areas(given: FilingExhibits) -> Exhibit:
    areas = given.filing.areas
    by_plan = "plan_id" in areas.columns
    rows = []
    for row in areas.rows(named=True):
        months = given.number("area_member_months", row["rating_area_id"])
        rows.append((row["rating_area_id"], row.get("plan_id") or "all", row["area_factor"], months))
    return Exhibit(
        "areas",
        "Area factors",
        "Worksheet 3, and the projected membership that calibrates it."
        + (" Factors differ by plan: the member months are those of the area." if by_plan else ""),
        (
            Column("Rating area", width=13),
            Column("Plan", width=17),
            Column("Factor", "factor"),
            Column("Member months", "count", width=15),
        ),
        rows,
    )


# ------------------------------------------------------------------------------------------------ membership


def _membership(given: FilingExhibits) -> Exhibit:
    held: dict[str, list[dict[str, Any]]] = {}
    for row in given.offered.rows(named=True):
        held.setdefault(row.get("metal_level") or "", []).append(row)
    known = (*METAL_LEVELS, "")
    rows: list[tuple[Any, ...]] = []
    for metal in (*(m for m in known if m in held), *(m for m in held if m not in known)):
        plans = held[metal]
        months = _sum(plan.get("proj_member_months_plan") for plan in plans)
        now = _sum(plan.get("current_enrollment") for plan in plans)
        rows.append((metal_name(metal), len(plans), now, months))
    whole = _sum(row[3] for row in rows)
    rows = [(*row, row[3] / whole if row[3] is not None and whole else None) for row in rows]
    return Exhibit(
        "membership",
        "Membership by metal level",
        "Current enrollment and projected member months of offered plans.",
        (
            Column("Metal level", width=18),
            Column("Plans", "count"),
            Column("Current enrollees", "count", width=16),
            Column("Projected months", "count", width=16),
            Column("Share", "percent"),
        ),
        rows,
        ("All", sum(row[1] for row in rows), _sum(row[2] for row in rows), whole, None),
    )


def _variants(given: FilingExhibits) -> Exhibit:
    rows = given.filing.variants.select("plan_id", "csr_variant", "member_months").rows()
    return Exhibit(
        "variants",
        "Membership by variant",
        "Projected member months by plan and cost-sharing variant.",
        (Column("Plan", width=17), Column("Variant", width=9), Column("Member months", "count", width=15)),
        rows,
    )


def _retention(given: FilingExhibits) -> Exhibit:
    premium = given.number("mean_premium_pmpm")
    rows = []
    for name, label in {**_RETENTION, "retention": "Retention"}.items():
        pairs = [(row.get(name), row.get("proj_premium")) for row in given.offered.rows(named=True)]
        held = [(float(share), float(weight)) for share, weight in pairs if share is not None and weight]
        whole = math.fsum(weight for _, weight in held)
        mean = math.fsum(share * weight for share, weight in held) / whole if whole else None
        shares = [share for share, _ in pairs if share is not None]
        ends = (min(shares), max(shares)) if shares else (None, None)
        rows.append((label, *ends, mean, mean * float(premium) if mean is not None and premium is not None else None))
    fee = given.number("exchange_fee_pct")
    rows.append(("Exchange user fee, effective", fee, fee, fee, None))
    return Exhibit(
        "retention",
        "Retention",
        "Shares of premium over offered plans; the mean is weighted by projected premium. The user fee is taken in "
        "step 6, before retention.",
        (
            Column("", width=30),
            Column("Lowest", "percent"),
            Column("Highest", "percent"),
            Column("Mean", "percent"),
            Column("PMPM, $", "dollars"),
        ),
        rows,
    )


def _loss_ratios(given: FilingExhibits) -> Exhibit:
    rows = [(label, given.number(name)) for name, label in _RATIOS.items()]
    return Exhibit(
        "loss_ratios",
        "Loss ratios",
        "Incurred claims over premium and risk adjustment, the template's definition. It is not the federal medical "
        "loss ratio, which has quality improvement, taxes and credibility in it.",
        (Column("", width=34), Column("Loss ratio", "percent", width=12)),
        rows,
    )


# ------------------------------------------------------------------------------------------------ checks


def _checks(given: FilingExhibits) -> Exhibit:
    counts = given.review.counts
    rows = [
        (row["check_id"], row["what_is_checked"], row["result"].replace("_", " "), *(row[r] for r in _RESULTS))
        for row in counts.rows(named=True)
    ]
    return Exhibit(
        "checks",
        "Checks",
        "Reviewer's checks that are computed here. Each look has one of four results, and all are counted: silence is "
        "not a pass.",
        (
            Column("Check", width=9),
            Column("What is checked", width=52),
            Column("Result", width=15),
            *(Column(result.replace("_", " ").capitalize(), "count", width=13) for result in _RESULTS),
        ),
        rows,
        ("All", "", "", *(int(counts[result].sum()) for result in _RESULTS)),
    )


_RESULTS = ("pass", "finding", "not_applicable", "not_evaluated")


def _review_findings(given: FilingExhibits) -> Exhibit:
    columns = ("check_id", "outcome", "name", "place", "filed", "recomputed", "threshold", "message")
    return Exhibit(
        "review_findings",
        "Check findings",
        "What the checks found, causes before consequences.",
        (
            Column("Check", width=9),
            Column("Outcome", width=10),
            Column("Quantity", width=34),
            Column("Place", width=17),
            Column("Filed", "mean", width=14),
            Column("Recomputed", "mean", width=14),
            Column("Allowed", "mean", width=12),
            Column("Message", width=60),
        ),
        given.review.findings.select(columns).rows(),
    )


def sensitivity_exhibit(given: FilingExhibits) -> Exhibit:
    """Return how the rate moves with each assumption, the largest effects first."""
    columns = ("label", "change", "value", "effect_down", "effect_up", "ratio_down", "ratio_up")
    rows = sorted(given.sensitivity.select(columns).rows(), key=lambda row: -_size(row[3:5]))
    return Exhibit(
        "sensitivity",
        "Sensitivity",
        f"The {quantity_name(given.rate or 'rate')} with one assumption changed, all else as it is; evaluated again, "
        "not estimated. Effects of several changes are not their sum. Blank: the change is not possible, or the "
        "assumption is not one number.",
        (
            Column("Assumption", width=44),
            Column("Change", width=16),
            Column("As it is", "factor"),
            Column("Less: $ PMPM", "dollars", width=13),
            Column("More: $ PMPM", "dollars", width=13),
            Column("Less", "percent"),
            Column("More", "percent"),
        ),
        rows,
    )


def _size(effects: Iterable[float | None]) -> float:
    return max((abs(effect) for effect in effects if effect is not None), default=0.0)


# ------------------------------------------------------------------------------------------------ where numbers are


def trace_of(given: FilingExhibits) -> tuple[Trace | None, str]:
    """Return how a consumer rate of the largest plan came about (or the mean premium), and what was asked for."""
    filing = given.filing
    if filing.rates.height:
        offered = filing.rates.select("plan_id", "rating_area_id").unique().sort("plan_id", "rating_area_id").rows()
        plan, area = max(offered, key=lambda place: given.number("proj_member_months_plan", place[0]) or Decimal(0))
        asked = f'filing.trace("rate", "{plan}", "{area}", {_PRICED_AGE})'
        return filing.trace("rate", plan, area, _PRICED_AGE), asked
    if filing.model.value("mean_premium_pmpm") is None:
        return None, ""
    return filing.trace("mean_premium_pmpm"), 'filing.trace("mean_premium_pmpm")'


def trace_exhibit(given: FilingExhibits) -> Exhibit | None:
    """Return the top of the ledger: one rate and what it was worked out from, the first levels."""
    trace, asked = trace_of(given)
    if trace is None:
        return None
    shown = trace.frame.filter(pl.col("depth") <= _DEEPEST)
    columns = ("depth", "name", "place", "value", "unit", "formula", "source", "note")
    lines = shown.head(_MOST_LINES).select(columns).rows()
    rows = [("· " * row[0] + row[1].replace("_", " "), *row[2:]) for row in lines]
    left = trace.frame.height - len(rows)
    said = f" {left} further lines, down to what was handed in, are in the ledger." if left else ""
    return Exhibit(
        "trace",
        "One rate traced",
        f"{asked}: each line is worked out from those indented under it.{said}",
        (
            Column("Quantity", width=46),
            Column("Place", width=26),
            Column("Value", "mean", width=18),
            Column("Unit", width=13),
            Column("Formula", width=60),
            Column("Source", width=50),
            Column("Note", width=50),
        ),
        rows,
    )


def records(given: FilingExhibits) -> list[Exhibit]:
    """Return what a reader looks things up in: findings, settings, uncertain figures, and the whole ledger."""
    filing = given.filing
    ledger = filing.ledger.frame().with_columns(pl.col("inputs").list.join("; "))
    text = {"name": 40, "place": 26, "exact": 24, "formula": 60, "inputs": 60, "source": 50, "note": 50}
    frames = {
        ("findings", "Findings", "What was noticed in data and assumptions."): given.findings,
        ("settings", "Settings", "How open points of law and template were read, with what each rests on."): (
            filing.settings
        ),
        ("uncertain", "Uncertain figures", "Published figures that are marked uncertain and took part."): (
            filing.uncertain
        ),
        ("ledger", "Ledger", "Every number with its formula, inputs, source and note; exact is the number as text."): (
            ledger
        ),
    }
    found = []
    for (key, title, explanation), frame in frames.items():
        columns = tuple(
            Column(name.replace("_", " "), _kind(dtype), width=text.get(name, 24 if dtype == pl.String else 14))
            for name, dtype in frame.schema.items()
        )
        found.append(Exhibit(key, title, explanation, columns, frame.rows()))
    return found


def _kind(dtype: pl.DataType) -> str:
    return "text" if dtype == pl.String else "count" if dtype.is_integer() else "mean"


def _sum(values: Iterable[Any]) -> float | None:
    held = [float(value) for value in values if value is not None]
    return math.fsum(held) if held else None
