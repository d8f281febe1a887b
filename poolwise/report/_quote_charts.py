"""Charts of a quote: premiums by age or family tier, and net premiums by income with every step as a step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from poolwise.report._charts import BLUE, INK, ORANGE, WIDTHS, Chart, in_both_widths, need_altair
from poolwise.report._quote_curves import BENCHMARK, WITH_CREDIT
from poolwise.report._quote_incomes import ABOVE_LIMIT, BELOW_LIMIT, MEDICAID

if TYPE_CHECKING:
    from poolwise.report._quote_curves import QuoteCurves
    from poolwise.report._quote_incomes import Jump

__all__ = ["Dot", "ages_chart", "incomes_chart", "tiers_chart"]

_OTHERS = ("#4c7a34", "#7a4f9a", "#8a6a0a")
_PALE, _SOFT = "#eef1f4", "#52606d"
_ZONES = {MEDICAID: ["Medicaid"], BELOW_LIMIT: ["no", "credit"], ABOVE_LIMIT: ["no", "credit"]}
_OLDEST, _TICKS = 64, (0, 14, 21, 30, 40, 50, 64)
_HEIGHT, _BESIDE = 260, 62  # pixels: of a plot, of what stands left of it
_ROOM = 1.18  # above the highest line, for the names of zones
_BAR, _TIER_NAMES, _AMOUNT = 17, 112, 78  # pixels: a bar and its gap, names of tiers, an amount at the end of a bar
_LETTER = 7  # pixels
_DOLLARS = "'$' + format(datum.value, ',.0f')"
_CROWDED = 600  # percent of the poverty line: a longer axis has fewer marks
_LEAST_SHOWN = 0.1  # of the height: a lower step has no room for its amount


@dataclass(frozen=True)
class Dot:
    """What the household pays for a plan at its own income: dollars a year, dollars a month."""

    plan_id: str
    income: Decimal
    net_premium: Decimal


def _colors(alt: Any, curves: QuoteCurves, names: Mapping[str, str], width: int, *, symbol: str) -> Any:
    """Return the colors of plans with their legend; a plan has the same color in all charts."""
    free = iter(_OTHERS)
    drawn = [p for p in curves.plans if p.plan_id in names]
    colors = [BLUE if BENCHMARK in p.roles else ORANGE if WITH_CREDIT in p.roles else next(free) for p in drawn]
    legend = alt.Legend(
        title=None,
        orient="top",
        columns=1 if width == WIDTHS["narrow"] else 2,
        symbolType=symbol,
        symbolStrokeWidth=3,
        labelLimit=0,
        columnPadding=24,
    )
    return alt.Scale(domain=[names[p.plan_id] for p in drawn], range=colors), legend


def _data(alt: Any, rows: list[dict[str, Any]]) -> Any:
    """Return rows as one text: the library copies a list, row by row, each time a layer is touched."""
    return alt.Data(values=json.dumps(rows), format=alt.DataFormat(type="json"))


def ages_chart(curves: QuoteCurves, names: Mapping[str, str]) -> Chart:
    """Return a line of rates over ages for each plan, a dashed one where tobacco costs more.

    `names` (plan_id -> name) says what each plan is called.
    """
    alt = need_altair()
    rows = []
    for plan_id, age, plain, tobacco in curves.ages.rows():
        line = {"plan": names[plan_id], "age": age}
        rows.append({**line, "kind": "without", "dollars": float(plain)})
        if tobacco is not None and tobacco != plain:
            rows.append({**line, "kind": "with", "dollars": float(tobacco)})
    own = [{"age": age} for age in sorted({min(age, _OLDEST) for age in curves.members["age"]})]

    def draw(width: int) -> Any:
        scale, legend = _colors(alt, curves, names, width, symbol="stroke")
        # The text below the chart says what is dashed: a second legend would make it wider than the page.
        dash = alt.StrokeDash(
            "kind:N", scale=alt.Scale(domain=["without", "with"], range=[[1, 0], [5, 4]]), legend=None
        )
        ages = alt.Axis(
            values=list(_TICKS),
            labelExpr=f"datum.value == {_OLDEST} ? '{_OLDEST}+' : format(datum.value, 'd')",
            ticks=False,
            grid=False,
            labelPadding=6,
        )
        dollars = alt.Axis(tickCount=5, domain=False, ticks=False, labelExpr=_DOLLARS, labelPadding=6)
        x = alt.X("age:Q", title="age", axis=ages, scale=alt.Scale(domain=[0, _OLDEST], nice=False))
        base = alt.Chart(_data(alt, rows)).encode(
            x=x,
            y=alt.Y("dollars:Q", title="rate a month", axis=dollars, scale=alt.Scale(zero=True)),
            color=alt.Color("plan:N", scale=scale, legend=legend),
            strokeDash=dash,
        )
        lines = base.mark_line(strokeWidth=2.2)
        of_household = alt.Chart(_data(alt, own)).mark_rule(color=_SOFT, strokeDash=[1, 3]).encode(x=x)
        return (of_household + lines).properties(width=width - _BESIDE, height=_HEIGHT)

    return in_both_widths(draw)


def tiers_chart(curves: QuoteCurves, names: Mapping[str, str]) -> Chart:
    """Return a bar for each family tier and plan, of states where age does not count."""
    alt = need_altair()
    tiers = list(dict.fromkeys(curves.tiers["tier"]))
    rows = [
        {"plan": names[p], "tier": t, "dollars": float(d), "text": f"${d:,.2f}"}
        for p, t, d in curves.tiers.select("plan_id", "tier", "premium_monthly").rows()
    ]
    plans = [names[p.plan_id] for p in curves.plans]
    most = max(row["dollars"] for row in rows)

    def draw(width: int) -> Any:
        plot = width - _TIER_NAMES
        scale, legend = _colors(alt, curves, names, width, symbol="square")
        labels = alt.Axis(
            ticks=False, domain=False, labelPadding=8, labelExpr="split(replace(datum.value, ' with', '|with'), '|')"
        )
        room = most / (1 - _AMOUNT / plot)
        base = alt.Chart(_data(alt, rows)).encode(
            y=alt.Y("tier:N", sort=tiers, title=None, axis=labels, scale=alt.Scale(paddingInner=0.3)),
            yOffset=alt.YOffset("plan:N", sort=plans),
            x=alt.X("dollars:Q", axis=None, scale=alt.Scale(domain=[0, room], nice=False)),
        )
        bars = base.mark_bar().encode(color=alt.Color("plan:N", scale=scale, legend=legend))
        text = base.mark_text(align="left", dx=5, color=INK, baseline="middle").encode(text="text:N")
        height = len(tiers) * max(_BAR * len(plans) * 1.4, 2.6 * _BAR)
        return (bars + text).properties(width=plot, height=height)

    return in_both_widths(draw)


def incomes_chart(curves: QuoteCurves, names: Mapping[str, str], own: list[Dot]) -> Chart:
    """Return net premiums over incomes; a step is a vertical line, a zone without a credit is shaded."""
    alt = need_altair()
    assert curves.poverty_line is not None
    line = float(curves.poverty_line)
    begin = max((float(z.end) for z in curves.zones if z.name == MEDICAID), default=0.0)
    columns = ("plan_id", "annual_income", "net_premium_monthly", "segment")
    points: list[dict[str, Any]] = [
        {"plan": names[p], "income": i, "dollars": float(d), "segment": f"{p} {s}"}
        for p, i, d, s in curves.incomes.select(columns).rows()
        if i >= begin
    ]
    jumps = [
        {"plan": names[j.plan_id], "income": j.income, "low": float(j.before), "high": float(j.after)}
        for j in curves.jumps
        if j.income >= begin
    ]
    dots: list[dict[str, Any]] = [
        {"plan": names[d.plan_id], "income": float(d.income), "dollars": float(d.net_premium)} for d in own
    ]
    last = float(max(curves.incomes["annual_income"]))
    dots = [d for d in dots if d["income"] <= last]
    top = _ROOM * max([p["dollars"] for p in points] + [d["dollars"] for d in dots] + [1.0])
    cliffs = [_amount_of(j, top) for j in curves.jumps if j.is_limit and j.income >= begin]

    def draw(width: int) -> Any:
        plot, is_narrow = width - _BESIDE, width == WIDTHS["narrow"]
        scale, legend = _colors(alt, curves, names, width, symbol="stroke")
        step = (200 if is_narrow else 100) * (2 if last > _CROWDED / 100 * line else 1)
        marks = [line * p / 100 for p in range(0, int(100 * last / line) + 1, step)]
        both = f"datum.value == 0 ? '$0' : [format(100 * datum.value / {line}, '.0f') + '%', {_DOLLARS}]"
        incomes = alt.Axis(values=marks, labelExpr=both, ticks=False, grid=False, labelPadding=6, titlePadding=8)
        title = "income a year (percent of the poverty line)"
        x = alt.X("income:Q", title=title, axis=incomes, scale=alt.Scale(domain=[0, last], nice=False))
        net = alt.Axis(tickCount=5, domain=False, ticks=False, labelExpr=_DOLLARS, labelPadding=6)
        net_title, height = "net premium a month", alt.Scale(domain=[0, top], nice=False)
        y = alt.Y("dollars:Q", title=net_title, axis=net, scale=height)
        color = alt.Color("plan:N", scale=scale, legend=legend)
        layers = _zone_layers(alt, curves, x, last, plot)
        layers.append(
            alt.Chart(_data(alt, points)).mark_line(strokeWidth=2.4).encode(x=x, y=y, color=color, detail="segment:N")
        )
        if jumps:
            rules = alt.Chart(_data(alt, jumps)).mark_rule(strokeWidth=2, strokeDash=[3, 3])
            layers.append(
                rules.encode(x=x, y=alt.Y("low:Q", title=net_title, axis=net, scale=height), y2="high:Q", color=color)
            )
        if dots:
            mark = alt.Chart(_data(alt, dots)).mark_point(filled=True, size=110, opacity=1, stroke="#fff")
            layers.append(mark.encode(x=x, y=y, color=color))
        for cliff in filter(None, cliffs[:1]):
            text = alt.Chart(_data(alt, [cliff])).mark_text(align="right", dx=-7, color=INK, lineHeight=14)
            layers.append(text.encode(x=x, y=y, text="text:N"))
        return alt.layer(*layers).properties(width=plot, height=_HEIGHT)

    return in_both_widths(draw)


def _amount_of(jump: Jump, top: float) -> dict[str, Any] | None:
    """Return what is written at the end of the credit: how much the household pays more, where there is room."""
    more, middle = jump.after - jump.before, float(jump.after + jump.before) / 2
    if float(more) < _LEAST_SHOWN * top:
        return None
    return {"income": jump.income, "dollars": middle, "text": [f"+${more:,.2f}", "a month"]}


def _zone_layers(alt: Any, curves: QuoteCurves, x: Any, last: float, plot: int) -> list[Any]:
    """Return shaded stretches of incomes with their names at the top, where these fit."""
    zones: list[dict[str, Any]] = [
        {"income": float(z.start), "end": min(float(z.end), last), "name": _ZONES[z.name]}
        for z in curves.zones
        if float(z.start) < last
    ]
    if not zones:
        return []
    named = [{**z, "income": (z["income"] + z["end"]) / 2} for z in zones if _fits(z, last, plot)]
    shades = alt.Chart(_data(alt, zones)).mark_rect(color=_PALE).encode(x=x, x2="end:Q")
    names = alt.Chart(_data(alt, named)).mark_text(baseline="top", color=_SOFT, lineHeight=14, dy=3)
    return [shades, names.encode(x=x, y=alt.value(0), text="name:N")]


def _fits(zone: dict[str, Any], last: float, plot: int) -> bool:
    wide = (zone["end"] - zone["income"]) / last * plot
    return bool(wide >= _LETTER * max(len(word) for word in zone["name"]))
