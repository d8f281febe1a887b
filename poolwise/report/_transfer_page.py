"""One page of a settlement, complete in itself: who pays, who receives, and what other mixes would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from poolwise.report import _transfer_charts as charts
from poolwise.report._charts import Chart, need_altair
from poolwise.report._page_parts import HIDDEN, count_lines, finding_lines, need_templates, render, source_lines
from poolwise.report._suppression import SMALLEST_SHOWN
from poolwise.report._transfer_figures import (
    IssuerLine,
    PoolFigures,
    dollars,
    hidden_issuers,
    is_too_small,
    pool_figures,
)
from poolwise.report._transfer_sections import high_cost_section, mixes_section

if TYPE_CHECKING:
    from poolwise.report._settlement import Settlement

__all__ = ["transfers_page"]

_MOST_CHARTS = 4  # each takes some tenths of a second to draw
_FEWEST_BARS = 3  # of two issuers one pays what the other receives
_MOST_BARS = 40
_MOST_OPEN_TABLES = 6
# Tables whose rows are no people: their numbers are shown however small.
_NOT_PEOPLE = frozenset({"plan_rows", "plans", "premiums", "default_charges", "radv_error_rates", "gcf", "mixes"})


def transfers_page(
    settlement: Settlement, *, title: str, notes: Sequence[str] = (), links: Mapping[str, str] | None = None
) -> str:
    """Return the HTML page of a settlement: what the money did, a chart and a table for each pool, mixes, sources.

    Issuers that may have fewer than 11 people are not shown, nor what would reveal them by subtraction.

    Parameters
    ----------
    settlement : Settlement
        Transfers, and what else the run computed.
    title : str
        Heading of the page; without a date, so that equal runs give equal pages.
    notes : sequence of str
        Remarks under the heading.
    links : mapping of str, optional
        Pages of the same run: text -> address relative to this page.

    Raises
    ------
    ExtraMissing
        When the packages of the extra ``reports`` are not installed.
    """
    need_templates()
    need_altair()
    result = settlement.transfers
    pools = pool_figures(result)
    shown = [p for p in pools if not is_too_small(p)]
    told_apart = [p for p in shown if len(_shown(p)) >= _FEWEST_BARS]
    drawn = told_apart if len(told_apart) <= _MOST_CHARTS else []
    return render(
        "transfers.html",
        title=title,
        benefit_year=result.benefit_year,
        notes=list(notes),
        links=dict(links or {}),
        told=told(shown),
        figures=_figures(shown),
        pools=[_pool(p, p in drawn) for p in shown],
        most_open=_MOST_OPEN_TABLES,
        overview=_overview_chart(shown) if told_apart and not drawn else None,
        too_small=len(pools) - len(shown),
        smallest=SMALLEST_SHOWN,
        high_cost=high_cost_section(settlement),
        mixes=mixes_section(settlement, shown, drawn),
        counts=count_lines(settlement.counts, not_people=_NOT_PEOPLE),
        findings=finding_lines(settlement.findings, not_people=_NOT_PEOPLE),
        uncertain=settlement.uncertain.to_dicts(),
        settings=settlement.settings.to_dicts(),
        sources=source_lines(settlement.tables),
    )


def told(pools: Sequence[PoolFigures]) -> list[str]:
    """Return what the money did, in two sentences or so, about issuers that are shown."""
    lines = [(pool, line) for pool in pools for line in _shown(pool)]
    moved = sum((max(line.transfer, Decimal(0)) for _, line in lines), Decimal(0))
    if not lines:
        return ["There are too few people here to tell who pays and who receives."]
    issuers = {(pool.state, line.issuer_id) for pool, line in lines}
    where = f"the {pools[0].name} risk pool" if len(pools) == 1 else f"{len(pools)} risk pools"
    between = f"between {len(issuers)} issuers" if len(issuers) > 1 else "to or from its one issuer"
    if moved == 0:
        return [f"In {where} no money moves {between}."]
    paying = sum(line.transfer < 0 for _, line in lines)
    receiving = sum(line.transfer > 0 for _, line in lines)
    first = (
        f"In {where} {charts.short_dollars(float(moved))} moves {between}: {receiving} receive, because their "
        f"enrollees carry more risk than metal levels, ages and areas account for, and {paying} pay."
    )
    if len(pools) > 1:
        first = (
            f"In {where} {charts.short_dollars(float(moved))} moves {between}, from those whose enrollees carry less "
            "risk than metal levels, ages and areas account for to those whose enrollees carry more."
        )
    most = max(lines, key=lambda x: (x[1].transfer, x[1].issuer_id))
    least = min(lines, key=lambda x: (x[1].transfer, x[1].issuer_id))
    parts = []
    if most[1].transfer > 0:
        parts.append(f"issuer {_told(most, len(pools) > 1)} receives the most, {_amount(most[1])}")
    if least[1].transfer < 0:
        parts.append(f"issuer {_told(least, len(pools) > 1)} pays the most, {_amount(least[1])}")
    second = "; ".join(parts) + "."
    return [first, second[0].upper() + second[1:]]


def _told(found: tuple[PoolFigures, IssuerLine], name_pool: bool) -> str:
    pool, line = found
    return f"{line.issuer_id} ({pool.name})" if name_pool else line.issuer_id


def _amount(line: IssuerLine) -> str:
    amount = charts.short_dollars(abs(float(line.transfer)))
    return amount if line.per_month is None else f"{amount} (${abs(line.per_month):,.2f} per billable member month)"


def _shown(pool: PoolFigures) -> list[IssuerLine]:
    hidden = hidden_issuers(pool.issuers)
    return [line for line, is_hidden in zip(pool.issuers, hidden, strict=True) if not is_hidden]


def _figures(pools: Sequence[PoolFigures]) -> list[dict[str, str]]:
    """Return the figures under the heading; of all pools that are shown together."""
    if not pools:
        return []
    months = sum(p.row["billable_member_months"] for p in pools)
    premium = sum(float(p.row["premium"]) for p in pools)
    received = sum((max(i.transfer, Decimal(0)) for p in pools for i in p.issuers), Decimal(0))
    issuers = {(p.state, i.issuer_id) for p in pools for i in p.issuers}
    share = float(received) / premium if premium else 0.0
    figures = [
        (charts.short_dollars(float(received)), "received"),
        (f"{share:.1%}", "of premium"),
        (str(len(issuers)), "issuers"),
        (f"{months:,.0f}", "billable member months"),
        (f"${premium / months:,.2f}", "average premium per month"),
    ]
    return [{"number": number, "what": what} for number, what in figures]


def _pool(pool: PoolFigures, is_drawn: bool) -> dict[str, Any]:
    hidden = hidden_issuers(pool.issuers)
    row = pool.row
    lines = [_cells(line, is_hidden) for line, is_hidden in zip(pool.issuers, hidden, strict=True)]
    total = {
        "issuer": "all",
        "months": f"{row['billable_member_months']:,.1f}",
        "premium": f"{float(row['premium']):,.0f}",
        "score": _number(pool.average_score, ".3f"),
        "transfer": dollars(pool.residual),
    }
    bars = [charts.Bar(i.issuer_id, float(i.transfer)) for i in _shown(pool)]
    return {
        "name": pool.name,
        "amount": "Transfer and default charge" if pool.has_charges else "Transfer",
        "issuers": lines,
        "total": total,
        "has_hidden": any(hidden),
        "average_premium": f"{row['average_premium']:,.2f}",
        "net_premium": f"{row['net_average_premium']:,.2f}",
        "cut": f"{float(row['admin_cost_reduction']):.0%}",
        "reduction": f"{float(row['state_reduction']):.0%}" if row["state_reduction"] else "",
        "chart": charts.transfers_chart(_most(bars)) if is_drawn and bars else None,
        "left_out": max(len(bars) - _MOST_BARS, 0),
    }


def _most(bars: list[charts.Bar]) -> list[charts.Bar]:
    """Return the bars of the largest amounts, in the order given."""
    kept = sorted(bars, key=lambda b: (-abs(b.dollars), b.issuer))[:_MOST_BARS]
    return [b for b in bars if b in kept]


def _cells(line: IssuerLine, is_hidden: bool) -> dict[str, str]:
    figures = {
        "months": f"{line.months:,.1f}",
        "premium": _number(line.premium, ",.0f"),
        "score": _number(line.average_score, ".3f"),
        "transfer": dollars(line.transfer),
        "per_month": dollars(line.per_month),
    }
    return {"issuer": line.issuer_id} | (dict.fromkeys(figures, HIDDEN) if is_hidden else figures)


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)


def _overview_chart(pools: Sequence[PoolFigures]) -> Chart | None:
    """Return one chart of the largest amounts of all pools, where there are too many pools for one each."""
    bars = [
        charts.Bar(f"{line.issuer_id} {pool.name}", float(line.transfer)) for pool in pools for line in _shown(pool)
    ]
    bars.sort(key=lambda b: (-b.dollars, b.issuer))
    return charts.transfers_chart(_most(bars)) if bars else None
