"""Charts of a rate filing: waterfalls, sensitivity, completion, trend fit, rate changes, factors, membership."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from poolwise.report._charts import BLUE, INK, ORANGE, WIDTHS, Chart, in_both_widths, need_altair

__all__ = [
    "Fitted",
    "Move",
    "Span",
    "ages_chart",
    "bars_chart",
    "changes_chart",
    "completion_chart",
    "factors_chart",
    "signed_dollars",
    "tornado_chart",
    "trend_chart",
    "waterfall_chart",
]

_SOFT, _PALE = "#52606d", "#cbd2d9"
_LETTER, _LINE = 6.4, 15  # pixels: a letter of a label, a line of it
_ROW, _MORE = 26, 12  # pixels: a row, what each further line of its label adds
_AMOUNT = 70  # pixels: an amount at the end of a bar
_MOST = {"wide": 38, "narrow": 17}  # letters in a line of a label
_PERCENT = "format(datum.value, '.0%')"


@dataclass(frozen=True)
class Move:
    """One step of a waterfall: the amount before and after it; a level has both alike."""

    label: str
    before: float
    after: float
    is_level: bool = False


@dataclass(frozen=True)
class Span:
    """One assumption of a tornado: the effect of less and of more of it; None where it cannot be changed so."""

    label: str
    less: float | None
    more: float | None


@dataclass(frozen=True)
class Fitted:
    """One month of a trend study."""

    category: str
    month: date
    normalized: float | None
    fitted: float | None
    rolling_12: float | None


def signed_dollars(amount: float, *, decimals: int = 2) -> str:
    """Return an amount with its sign, as labels of steps have it.

    Examples
    --------
    >>> signed_dollars(3.194), signed_dollars(-0.001), signed_dollars(-12.5)
    ('+$3.19', '$0.00', '−$12.50')
    """
    text = f"{abs(amount):,.{decimals}f}"
    sign = "" if not text.strip("0.,") else "−" if amount < 0 else "+"
    return f"{sign}${text}"


# ------------------------------------------------------------------------------------------------ amounts in rows


def waterfall_chart(moves: Sequence[Move]) -> Chart:
    """Return levels as marks and steps between them as floating bars, from top to bottom.

    The axis does not begin at zero: what counts is how far each step goes, and levels are marks, not bars.
    """
    alt = need_altair()
    low = min(min(m.before, m.after) for m in moves)
    high = max(max(m.before, m.after) for m in moves)

    def draw(width: int) -> Any:
        names, labels, margin, row = _row_labels([m.label for m in moves], width)
        plot = width - margin
        rows = [_move_row(name, move) for name, move in zip(names, moves, strict=True)]
        domain = _domain(low, high, _AMOUNT / plot, both=False)
        base = alt.Chart(alt.Data(values=rows)).encode(y=_rows(alt, names))
        x = alt.X("low:Q", axis=None, scale=alt.Scale(domain=domain, nice=False, zero=False))
        color = alt.condition("datum.amount < 0", alt.value(BLUE), alt.value(ORANGE))
        bars = base.transform_filter("!datum.is_level").mark_bar(height={"band": 0.62})
        bars = bars.encode(x=x, x2=alt.X2("high:Q"), color=color)
        levels = base.transform_filter("datum.is_level").mark_tick(color=INK, thickness=3, height={"band": 0.8})
        text = base.mark_text(align="left", dx=7, color=INK).encode(
            x=alt.X("high:Q", axis=None), text=alt.Text("text:N")
        )
        layers = _named_rows(alt, names, labels) + bars + levels.encode(x=x) + text
        return layers.properties(width=plot, height=row * len(rows))

    return in_both_widths(draw)


def _move_row(name: str, move: Move) -> dict[str, Any]:
    amount = move.after - move.before
    text = f"${move.after:,.2f}" if move.is_level else signed_dollars(amount)
    ends = {"low": min(move.before, move.after), "high": max(move.before, move.after), "after": move.after}
    return {"row": name, "amount": amount, "is_level": move.is_level, "text": text, **ends}


def tornado_chart(spans: Sequence[Span]) -> Chart:
    """Return the effect of less and of more of each assumption, to the left and right of the rate as it is."""
    alt = need_altair()
    rows_of = {"less": "less of it", "more": "more of it"}
    effects = [effect for span in spans for effect in (span.less, span.more) if effect is not None]

    def draw(width: int) -> Any:
        names, labels, margin, row = _row_labels([s.label for s in spans], width)
        plot = width - margin
        rows: list[dict[str, Any]] = [
            {"row": name, "kind": kind, "effect": effect, "text": signed_dollars(effect)}
            for name, span in zip(names, spans, strict=True)
            for kind, effect in ((rows_of["less"], span.less), (rows_of["more"], span.more))
            if effect is not None
        ]
        scale = alt.Scale(domain=_domain(min(0, *effects), max(0, *effects), _AMOUNT / plot), nice=False)
        base = alt.Chart(alt.Data(values=rows)).encode(y=_rows(alt, names), x=alt.X("effect:Q", axis=None, scale=scale))
        color = alt.Color(
            "kind:N",
            scale=alt.Scale(domain=list(rows_of.values()), range=[BLUE, ORANGE]),
            legend=alt.Legend(title=None, orient="top", symbolType="square"),
        )
        bars = base.mark_bar(height={"band": 0.62}).encode(color=color)
        right = base.transform_filter("datum.effect >= 0").mark_text(align="left", dx=5, color=INK)
        left = base.transform_filter("datum.effect < 0").mark_text(align="right", dx=-5, color=INK)
        zero = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_SOFT).encode(x=alt.XDatum(0, axis=None))
        layers = (
            _named_rows(alt, names, labels)
            + bars
            + zero
            + right.encode(text=alt.Text("text:N"))
            + left.encode(text=alt.Text("text:N"))
        )
        return layers.properties(width=plot, height=row * len(names))

    return in_both_widths(draw)


def bars_chart(bars: Sequence[tuple[str, float]], texts: Sequence[str]) -> Chart:
    """Return a bar for each name, with its text at the end."""
    alt = need_altair()
    values = [value for _, value in bars]

    def draw(width: int) -> Any:
        names, labels, margin, row = _row_labels([label for label, _ in bars], width)
        plot = width - margin
        rows = [{"row": n, "value": v, "text": t} for n, v, t in zip(names, values, texts, strict=True)]
        scale = alt.Scale(domain=_domain(0.0, max(*values, 0.0), 1.3 * _AMOUNT / plot, both=False), nice=False)
        base = alt.Chart(alt.Data(values=rows)).encode(y=_rows(alt, names), x=alt.X("value:Q", axis=None, scale=scale))
        layers = _named_rows(alt, names, labels) + base.mark_bar(color=BLUE, height={"band": 0.62})
        layers += base.mark_text(align="left", dx=7, color=INK).encode(text=alt.Text("text:N"))
        return layers.properties(width=plot, height=row * len(rows))

    return in_both_widths(draw)


def factors_chart(factors: Sequence[tuple[str, float]]) -> Chart:
    """Return a point for each factor at the end of a line from 1, where zero would say nothing."""
    alt = need_altair()
    less = [factor - 1 for _, factor in factors]

    def draw(width: int) -> Any:
        names, labels, margin, row = _row_labels([label for label, _ in factors], width)
        plot = width - margin
        rows = [
            {"row": name, "factor": factor, "text": f"{factor:.4f}"}
            for name, (_, factor) in zip(names, factors, strict=True)
        ]
        low, high = _domain(min(*less, 0.0), max(*less, 0.0), 0.9 * _AMOUNT / plot)
        scale = alt.Scale(domain=[1 + low, 1 + high], nice=False, zero=False)
        base = alt.Chart(alt.Data(values=rows)).encode(y=_rows(alt, names), x=alt.X("factor:Q", axis=None, scale=scale))
        one = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_PALE).encode(x=alt.XDatum(1, axis=None))
        lines = base.mark_rule(color=BLUE, strokeWidth=2).encode(x2=alt.X2Datum(1))
        points = base.mark_point(filled=True, size=70, color=BLUE, opacity=1)
        right = base.transform_filter("datum.factor >= 1").mark_text(align="left", dx=9, color=INK)
        left = base.transform_filter("datum.factor < 1").mark_text(align="right", dx=-9, color=INK)
        layers = _named_rows(alt, names, labels) + one + lines + points
        layers += right.encode(text=alt.Text("text:N")) + left.encode(text=alt.Text("text:N"))
        return layers.properties(width=plot, height=row * len(rows))

    return in_both_widths(draw)


def _rows(alt: Any, names: Sequence[str]) -> Any:
    return alt.Y("row:N", sort=list(names), title=None, axis=None)


def _named_rows(alt: Any, names: Sequence[str], labels: Sequence[str]) -> Any:
    """Return the labels of rows, in the middle of each however many lines they have."""
    layers = []
    for lines in sorted({label.count("|") for label in labels}):
        rows = [{"row": n, "label": label} for n, label in zip(names, labels, strict=True) if label.count("|") == lines]
        marks = alt.Chart(alt.Data(values=rows)).mark_text(
            align="right", baseline="middle", dx=-8, dy=-lines * _LINE / 2, lineBreak="|", lineHeight=_LINE, color=INK
        )
        layers.append(marks.encode(y=_rows(alt, names), x=alt.value(0), text=alt.Text("label:N")))
    return alt.layer(*layers)


def _row_labels(texts: Sequence[str], width: int) -> tuple[list[str], list[str], int, int]:
    """Return names of rows (no two alike), their labels broken into lines, the margin they need, height of a row."""
    most = _MOST["narrow" if width == WIDTHS["narrow"] else "wide"]
    labels = [_broken(text, most) for text in texts]
    longest = max((len(line) for label in labels for line in label.split("|")), default=0)
    lines = max((label.count("|") + 1 for label in labels), default=1)
    return [f"r{i:03}" for i in range(len(texts))], labels, round(24 + _LETTER * longest), _ROW + _MORE * (lines - 1)


def _broken(text: str, most: int) -> str:
    """Return a text in lines of so many letters, apart by a bar, broken at blanks.

    Examples
    --------
    >>> _broken("Plans that enter and leave", 17)
    'Plans that enter|and leave'
    """
    lines = [""]
    for word in text.replace("|", "/").split():
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= most or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    return "|".join(lines)


def _domain(low: float, high: float, room: float, *, both: bool = True) -> list[float]:
    """Return a domain with `room` (a share of its length) beyond the right side, or beyond each used side."""
    sides = (low < 0) + (high > 0) if both else 1
    spread = (high - low) or abs(high) or 1.0
    beyond = spread * room / max(1 - sides * room, 0.1)
    begin = low - (beyond if both and low < 0 else 0.02 * spread if not both and low else 0.0)
    return [begin, high + (beyond if not both or high > 0 else 0.0)]


# ------------------------------------------------------------------------------------------------ months


def completion_chart(months: Sequence[tuple[str, float, float]]) -> Chart:
    """Return a bar for each month: claims paid, and what is estimated to come; month, paid, selected dollars."""
    alt = need_altair()
    kinds = {"paid": "paid to date", "to come": "estimated to come"}
    rows = [
        {"month": month, "kind": kinds[kind], "dollars": dollars, "order": order}
        for month, paid, selected in months
        for order, (kind, dollars) in enumerate((("paid", paid), ("to come", max(selected - paid, 0.0))))
    ]

    def draw(width: int) -> Any:
        color = alt.Color(
            "kind:N",
            scale=alt.Scale(domain=list(kinds.values()), range=[BLUE, ORANGE]),
            legend=alt.Legend(title=None, orient="top", symbolType="square", labelLimit=0),
        )
        dollars = alt.Axis(tickCount=4, domain=False, ticks=False, labelExpr="'$' + format(datum.value, '.2~s')")
        chart = alt.Chart(alt.Data(values=rows)).mark_bar()
        return chart.encode(
            x=alt.X("month:N", title=None, axis=alt.Axis(labelAngle=-45, ticks=False)),
            y=alt.Y("dollars:Q", title="allowed claims", stack=True, axis=dollars),
            color=color,
            order=alt.Order("order:Q"),
        ).properties(width=width - 60, height=200)

    return in_both_widths(draw)


def trend_chart(months: Sequence[Fitted]) -> Chart:
    """Return a panel for each category: normalized months, the fit, and the mean of twelve months."""
    alt = need_altair()
    categories = list(dict.fromkeys(m.category for m in months))
    rows = [
        {
            "category": m.category,
            "month": m.month.isoformat(),
            "normalized": m.normalized,
            "fitted": m.fitted,
            "rolling": m.rolling_12,
        }
        for m in months
    ]
    kinds = {"normalized": "months, normalized", "fitted": "fit with month effects", "rolling": "mean of 12 months"}

    def draw(width: int) -> Any:
        narrow = width == WIDTHS["narrow"]
        columns = 1 if narrow or len(categories) == 1 else 2
        plot = (width - 50 * columns - 16 * (columns - 1)) // columns
        scale = alt.Scale(domain=list(kinds.values()), range=[_SOFT, BLUE, ORANGE])
        legend = alt.Legend(title=None, orient="top", direction="vertical" if narrow else "horizontal", labelLimit=0)

        def layer(chart: Any, field: str) -> Any:
            kind = alt.Color("kind:N", scale=scale, legend=legend)
            years = alt.Axis(format="%Y", tickCount={"interval": "year", "step": 1}, ticks=False, grid=False)
            dollars = alt.Axis(tickCount=4, domain=False, ticks=False, labelExpr="'$' + format(datum.value, ',.3~r')")
            # The zero would flatten what the panel is for.
            y = alt.Y(f"{field}:Q", title=None, axis=dollars, scale=alt.Scale(zero=False, nice=True))
            named = chart.transform_filter(f"datum.{field} !== null").transform_calculate(kind=f"'{kinds[field]}'")
            return named.encode(x=alt.X("month:T", title=None, axis=years), y=y, color=kind)

        base = alt.Chart()
        layers = (
            layer(base.mark_point(filled=True, size=16, opacity=0.75), "normalized")
            + layer(base.mark_line(strokeWidth=1.4), "fitted")
            + layer(base.mark_line(strokeWidth=2.6), "rolling")
        ).properties(width=plot, height=150)
        header = alt.Header(title=None, labelFontSize=12, labelAnchor="start", labelColor=INK, labelPadding=4)
        facet = alt.Facet("category:N", sort=categories, header=header)
        panels = layers.facet(facet, columns=columns, data=alt.Data(values=rows)).resolve_scale(y="independent")
        return panels.configure_facet(spacing=16)

    return in_both_widths(draw)


# ------------------------------------------------------------------------------------------------ rates


def changes_chart(shares: Sequence[tuple[float, float, float]], mean: float | None, trigger: float | None) -> Chart:
    """Return a bar for each band of rate changes: low, high, share of premium; the mean and the threshold as lines."""
    alt = need_altair()
    rows = [{"low": low, "high": high, "share": share} for low, high, share in shares]
    marks: list[dict[str, Any]] = [
        {"at": at, "what": what} for at, what in ((mean, "mean"), (trigger, "review")) if at is not None
    ]
    ends = [low for low, _, _ in shares] + [high for _, high, _ in shares] + [m["at"] for m in marks]
    step = shares[0][1] - shares[0][0]

    def draw(width: int) -> Any:
        domain = [math.floor(min(*ends, 0) / step) * step, (math.floor(max(*ends, 0) / step) + 1) * step]
        axis = alt.Axis(labelExpr=_PERCENT, tickCount=8 if width == WIDTHS["wide"] else 5, ticks=False, grid=False)
        x = alt.X("low:Q", title="change of a plan", scale=alt.Scale(domain=domain, nice=False), axis=axis)
        axis_y = alt.Axis(labelExpr=_PERCENT, tickCount=4, domain=False, ticks=False)
        # Room above the highest bar for the names of the lines.
        top = alt.Scale(domain=[0, 1.16 * max(share for _, _, share in shares)], nice=False)
        y = alt.Y("share:Q", title="share of premium", axis=axis_y, scale=top)
        bars = (
            alt.Chart(alt.Data(values=rows))
            .mark_bar(color=BLUE, binSpacing=1)
            .encode(x=x, x2=alt.X2("high:Q"), y=y, y2=alt.datum(0))
        )
        base = alt.Chart(alt.Data(values=marks)).encode(x=alt.X("at:Q"))
        lines = base.mark_rule(color=ORANGE, strokeWidth=1.6, strokeDash=[5, 3])
        names = base.mark_text(align="left", dx=4, dy=4, baseline="top", color=ORANGE)
        return (bars + lines + names.encode(y=alt.value(0), text=alt.Text("what:N"))).properties(
            width=width - 60, height=200
        )

    return in_both_widths(draw)


def ages_chart(levels: Sequence[tuple[int, float, float]]) -> Chart:
    """Return the age curve as a line, and projected member months as bars below: age, factor, member months."""
    alt = need_altair()
    rows = [{"age": age, "factor": factor, "months": months} for age, factor, months in levels]

    def draw(width: int) -> Any:
        ages = alt.Axis(ticks=False, grid=False, tickCount=8, format="d")
        last = max(age for age, _, _ in levels)
        scale = alt.Scale(domain=[0, max(last, 64)], nice=False)
        base = alt.Chart(alt.Data(values=rows))
        axis = alt.Axis(tickCount=4, domain=False, ticks=False, minExtent=40)
        x = alt.X("age:Q", title=None, scale=scale, axis=alt.Axis(labels=False, ticks=False, grid=False))
        line = base.mark_line(color=BLUE, strokeWidth=2.5).encode(x=x, y=alt.Y("factor:Q", title="factor", axis=axis))
        points = base.mark_point(color=BLUE, filled=True, size=34, opacity=1).encode(
            x=x, y=alt.Y("factor:Q", title="factor", axis=axis)
        )
        months = alt.Axis(tickCount=3, domain=False, ticks=False, minExtent=40, labelExpr="format(datum.value, '.2~s')")
        size = max(2, min(9, (width - 80) // 70))
        bars = base.mark_bar(color=_PALE, size=size).encode(
            x=alt.X("age:Q", title="age", scale=scale, axis=ages),
            y=alt.Y("months:Q", title="months", axis=months),
        )
        upper = (line + points).properties(width=width - 70, height=150)
        return alt.vconcat(upper, bars.properties(width=width - 70, height=70), spacing=6)

    return in_both_widths(draw)
