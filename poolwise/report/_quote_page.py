"""The page of one household's quote, complete in itself: every plan, every number explained, the cliff drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report import _quote_charts as charts
from poolwise.report._charts import need_altair
from poolwise.report._page_parts import count_lines, finding_lines, need_templates, render, source_lines
from poolwise.report._quote_curves import BENCHMARK, OF_METAL, quote_curves
from poolwise.report._quote_incomes import ABOVE_LIMIT, MEDICAID
from poolwise.report._quote_words import (
    NOT_KNOWN,
    OUTCOMES,
    count_of,
    household_sentences,
    item_amount,
    item_name,
    metal,
    plan_name,
    set_in_type,
    usd,
    variant_names,
)

if TYPE_CHECKING:
    from poolwise.report._quote_curves import QuoteCurves, ShownPlan
    from rating import Shopping

__all__ = ["quote_page"]

_MOST_OPEN = 25  # plans; the rest of a long list is folded
_MONTHS = 12
_WITH_CONTRIBUTION = {"credit", "contribution_covers_benchmark"}  # notes of a quote


def quote_page(
    households: pl.DataFrame | pl.LazyFrame,
    shopping: Shopping,
    *,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
    **options: Any,
) -> str:
    """Return the HTML page of one household: its plans, how their numbers arise, premiums by age and by income.

    The page tells ages, place and income of the household, so it is for the household and whoever advises it; no id
    and no birth date stands on it.

    Parameters
    ----------
    households : DataFrame
        What `shopping` came of.
    shopping : Shopping
        Of one household, or of one that could not be quoted: then the page says why. With ``explain=True`` the numbers
        are explained.
    title : str
        Heading of the page; without a date, so that equal runs give equal pages.
    notes : sequence of str
        Remarks under the heading.
    links : mapping of str, optional
        Pages of the same run: text -> address relative to this page.
    **options
        The rates, plans, places and settings of `shopping`, by the names of :func:`quote_curves`.

    Raises
    ------
    ExtraMissing
        When the packages of the extra ``reports`` are not installed.
    InputRefused
        `shopping` offers plans to several households.
    """
    need_templates()
    need_altair()
    curves = quote_curves(households, shopping, **options) if shopping.offers.height else None
    every = frozenset({*shopping.counts["table"], *shopping.findings["table"]})
    uncertain, tables = shopping.uncertain.select("table", "what", "moved"), set(shopping.tables)
    if curves is not None:
        uncertain, tables = pl.concat([uncertain, curves.uncertain]), tables | set(curves.tables)
    return render(
        "quote.html",
        title=title,
        plan_year=shopping.plan_year,
        market=dict(shopping.settings.select("setting", "value").rows())["market"].replace("_", "-"),
        notes=list(notes),
        links=dict(links or {}),
        not_known=NOT_KNOWN,
        **_of_household(shopping, curves),
        counts=count_lines(shopping.counts, not_people=every),
        findings=finding_lines(shopping.findings, not_people=every),
        uncertain=uncertain.unique().sort(uncertain.columns).to_dicts(),
        settings=shopping.settings.to_dicts(),
        sources=source_lines(sorted(tables)),
    )


def _of_household(shopping: Shopping, curves: QuoteCurves | None) -> dict[str, Any]:
    """Return what the page says of the household and its plans."""
    if curves is None:
        nothing: dict[str, Any] = dict.fromkeys(("rates_chart", "net_chart"))
        lists = ("household", "figures", "plans", "of_household", "of_plans", "about_net")
        told = ["No plan can be quoted: the findings say why.", *_areas_asked(shopping)]
        return {**nothing, **{name: [] for name in lists}, "told": told, "most_open": _MOST_OPEN, "has_tiers": False}
    first = shopping.offers.row(0, named=True)
    names = {p.plan_id: plan_name(p) for p in curves.plans}
    of_household, of_plans = _explained(shopping, curves, names)
    return {
        "household": household_sentences(curves, first["rating_area_id"], first["income_pct_of_poverty"]),
        "told": [_cheapest(shopping), *_medicaid(curves, first["rating_area_id"][2:4]), *_cliff(curves)],
        "figures": _figures(shopping),
        "plans": _plans(shopping),
        "most_open": _MOST_OPEN,
        "of_household": of_household,
        "of_plans": of_plans,
        "has_tiers": curves.tiers.height > 0,
        "rates_chart": charts.tiers_chart(curves, names) if curves.tiers.height else charts.ages_chart(curves, names),
        "net_chart": _net_chart(shopping, curves, names),
        "about_net": _about_net(shopping, curves),
    }


def _areas_asked(shopping: Shopping) -> list[str]:
    """Return which rating areas an address may be in, where it is in several."""
    lines = []
    for rows in shopping.refused.values():
        if "possible_areas" in rows.columns:
            lines += [
                f"The address may be in {areas}." for areas in rows["possible_areas"].drop_nulls().unique().sort()
            ]
    return lines


# ------------------------------------------------------------------------------------------------ in words


def _cheapest(shopping: Shopping) -> str:
    """Return what the cheapest plan and the benchmark cost."""
    offers = shopping.offers
    first = offers.row(0, named=True)
    said = f"The cheapest of {count_of(offers.height, 'plan')}" if offers.height > 1 else "The plan"
    said += f" ({metal(first['metal_level'])})" if first["metal_level"] is not None else ""
    said += f" costs {_costs(first)}"
    if first["monthly_credit"]:
        said += f", after a credit of {usd(first['monthly_credit'])} on a premium of {usd(first['premium_monthly'])}"
    benchmark = offers.filter(pl.col("plan_id") == pl.col("benchmark_plan_id"))
    if benchmark.height and first["plan_id"] != first["benchmark_plan_id"]:
        said += f". The benchmark plan costs {_costs(benchmark.row(0, named=True))}"
    # A catastrophic plan says that it is one; the household's own reason stands with the others.
    reasons = [OUTCOMES[note] for note in offers["notes"] if note in OUTCOMES and note != "credit"]
    return f"{said}. {reasons[0][0].upper()}{reasons[0][1:]}." if reasons else f"{said}."


def _costs(offer: dict[str, Any]) -> str:
    net = offer["net_premium_monthly"]
    return f"{usd(offer['premium_monthly'])} a month before any credit" if net is None else f"{usd(net)} a month"


def _cliff(curves: QuoteCurves) -> list[str]:
    """Return what the end of the credit costs, in the years and for the incomes that have one."""
    shown = {p.plan_id: p for p in curves.plans}
    ends = [j for j in curves.jumps if j.is_limit]
    for jump in sorted(ends, key=lambda j: BENCHMARK not in shown[j.plan_id].roles):
        more = jump.after - jump.before
        role = BENCHMARK if BENCHMARK in shown[jump.plan_id].roles else shown[jump.plan_id].roles[0]
        return [
            f"The credit ends above {usd(Decimal(jump.income), cents=False)} a year ({jump.percent} percent of the "
            f"poverty line): with one dollar more the {role} plan costs {usd(jump.after)} instead of "
            f"{usd(jump.before)} a month, {usd(_MONTHS * more)} more in a year."
        ]
    return []


def _medicaid(curves: QuoteCurves, state: str) -> list[str]:
    """Return what the income means besides the credit."""
    if curves.outcome == "medicaid":
        return [
            f"At this income adults have Medicaid in {state}, and then no credit; the numbers below are those of "
            "people whom Medicaid does not take."
        ]
    if curves.outcome == "below_poverty":
        return [f"At this income there is no credit, and {state} has no Medicaid for adults without children."]
    return []


def _figures(shopping: Shopping) -> list[dict[str, str]]:
    """Return the figures under the heading; a lowest or highest one only where all of them are known."""
    offers = shopping.offers
    first = offers.row(0, named=True)
    known = []
    if offers["monthly_credit"].null_count() == 0:
        known.append((usd(first["net_premium_monthly"]), "lowest net premium a month"))
        highest = offers["monthly_credit"].max()
        known += [(usd(highest), "highest credit a month")] if isinstance(highest, Decimal) and highest else []
    if first["benchmark_monthly"] is not None:
        known.append((usd(first["benchmark_monthly"]), "benchmark premium"))
    if set(offers["notes"]) & _WITH_CONTRIBUTION and first["monthly_contribution"] is not None:
        known.append((usd(first["monthly_contribution"]), "contribution a month"))
    known.append((str(offers.height), "plans on sale here" if offers.height > 1 else "plan quoted"))
    return [{"number": number, "what": what} for number, what in known]


# ------------------------------------------------------------------------------------------------ tables


def _plans(shopping: Shopping) -> list[dict[str, Any]]:
    variants = variant_names()
    return [
        {
            "place": row["place"],
            "plan": row["plan_id"],
            "is_benchmark": row["plan_id"] == row["benchmark_plan_id"],
            "metal": metal(row["metal_level"]),
            "premium": usd(row["premium_monthly"]),
            "credit": usd(row["monthly_credit"]),
            "net": usd(row["net_premium_monthly"]),
            "variant": variants.get(row["csr_variant"], NOT_KNOWN),
        }
        for row in shopping.offers.rows(named=True)
    ]


def _explained(
    shopping: Shopping, curves: QuoteCurves, names: Mapping[str, str]
) -> tuple[list[dict[str, str]], list[dict[str, Any]]]:
    """Return the lines that hold for every plan, and those of the cheapest plans and of the benchmark."""
    if shopping.explanation is None:
        return [], []
    ages = dict(curves.members.select("member_id", "age").rows())
    lines = shopping.explanation.sort("step", "member_id", nulls_last=True, maintain_order=True)
    of_household = [_line(row, ages) for row in lines.filter(pl.col("plan_id").is_null()).rows(named=True)]
    of_plans = []
    for plan in _chosen(curves):
        rows = lines.filter(pl.col("plan_id") == plan.plan_id).rows(named=True)
        if rows:
            of_plans.append({"name": names[plan.plan_id], "lines": [_line(row, ages) for row in rows]})
    return of_household, of_plans


def _chosen(curves: QuoteCurves) -> list[ShownPlan]:
    return [p for p in curves.plans if OF_METAL not in p.roles]


def _line(row: dict[str, Any], ages: Mapping[str, int]) -> dict[str, str]:
    name = item_name(row["item"])
    if row["member_id"] is not None:
        name += f" at age {ages[row['member_id']]}"
    return {
        "item": name,
        "amount": item_amount(row["item"], row["amount"]),
        "how": set_in_type(row["how"] or ""),
        "source": row["source"],
    }


# ------------------------------------------------------------------------------------------------ incomes


def _net_chart(shopping: Shopping, curves: QuoteCurves, names: Mapping[str, str]) -> Any:
    drawn = {p: names[p] for p in curves.incomes["plan_id"].unique().sort()}
    if not drawn:
        return None
    paid = shopping.offers.filter(pl.col("plan_id").is_in(list(drawn)) & pl.col("net_premium_monthly").is_not_null())
    own = []
    if curves.income is not None:
        pairs = paid.select("plan_id", "net_premium_monthly").rows()
        own = [charts.Dot(plan_id, curves.income, net) for plan_id, net in pairs]
    return charts.incomes_chart(curves, drawn, own)


def _about_net(shopping: Shopping, curves: QuoteCurves) -> list[str]:
    """Return the remarks below the lines by income."""
    if curves.incomes.height == 0:
        return []
    lines = []
    last = max(curves.incomes["annual_income"])
    if curves.income is None:
        size = count_of(curves.tax_household_size, "person", "people")
        given = "" if curves.is_size_given else ", as many as the household has members"
        lines.append(f"No income was given; the lines are those of a tax household of {size}{given}.")
    elif curves.income <= last:
        lines.append("The dots are this household.")
    else:
        lines.append("The income of this household lies beyond the chart.")
    if any(j.is_limit for j in curves.jumps):
        lines.append("The vertical step at the limit of the credit is real: it lies within one dollar of income.")
    elif any(z.name == ABOVE_LIMIT for z in curves.zones):
        lines.append("There is no step at the limit of the credit: the contribution covers the benchmark before it.")
    else:
        lines.append(f"In {shopping.plan_year} the credit has no upper limit of income: it fades out without a step.")
    if not curves.is_medicaid_known:
        lines.append(f"Which incomes have Medicaid instead is not known here for {shopping.plan_year}.")
    if any(z.name == MEDICAID for z in curves.zones):
        lines.append("Medicaid: the limit of adults without children; that of children and parents may be higher.")
    return lines
