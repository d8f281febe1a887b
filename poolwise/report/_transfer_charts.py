"""Charts of transfers: who pays and who receives, and the same under each enrollee mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from poolwise.report._charts import BLUE, INK, ORANGE, WIDTHS, Chart, in_both_widths, need_altair

__all__ = ["MOST_MIXES", "Bar", "MixPoint", "mixes_chart", "short_dollars", "transfers_chart"]

_SOFT, _PALE = "#7b8794", "#d9dfe5"
_ROW, _LETTER, _LABEL = 26, 7, 66  # pixels: a row, a letter of a name, an amount at the end of a bar
# Told apart by shape as well as by color: in print, and by readers who see few colors.
_MIX_COLORS = ("#c8553d", "#2f6690", "#588b3b", "#7a4f9a", "#b8860b", "#1f2933")
_MIX_SHAPES = ("circle", "diamond", "triangle-up", "square", "triangle-down", "cross")
MOST_MIXES = len(_MIX_COLORS)
# The axis of amounts, in the drawing language's own words: -$1.5M.
_DOLLARS = "(datum.value < 0 ? '−$' : '$') + replace(format(abs(datum.value), '.3~s'), 'G', 'B')"


@dataclass(frozen=True)
class Bar:
    """The amount of one issuer, dollars; positive is received."""

    issuer: str
    dollars: float


@dataclass(frozen=True)
class MixPoint:
    """The amount of one issuer under one mix, dollars."""

    mix: str
    issuer: str
    dollars: float


def short_dollars(dollars: float) -> str:
    """Return an amount in three figures or so, with a true minus sign.

    Examples
    --------
    >>> short_dollars(-1_234_567), short_dollars(98_765.43), short_dollars(12.3), short_dollars(2.5e9)
    ('−$1.23 M', '$98.8 K', '$12', '$2.50 B')
    """
    sign, size = "−" if dollars < 0 else "", abs(dollars)
    for unit, letter in ((1e9, " B"), (1e6, " M"), (1e3, " K")):
        if size >= 0.9995 * unit:
            scaled = size / unit
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{sign}${scaled:,.{digits}f}{letter}"
    return f"{sign if size >= 0.5 else ''}${size:,.0f}"


def transfers_chart(bars: Sequence[Bar]) -> Chart:
    """Return a bar for each issuer, receiving to the right and paying to the left, in the order given."""
    alt = need_altair()

    def draw(width: int) -> Any:
        names = _labels([b.issuer for b in bars], width)
        rows = [
            {"issuer": n, "dollars": b.dollars, "text": short_dollars(b.dollars)}
            for n, b in zip(names, bars, strict=True)
        ]
        plot = width - _margin(names)
        base = alt.Chart(alt.Data(values=rows)).encode(
            y=_issuers(alt, names),
            x=alt.X("dollars:Q", axis=None, scale=_scale(alt, [b.dollars for b in bars], _LABEL / plot)),
        )
        color = alt.condition("datum.dollars < 0", alt.value(ORANGE), alt.value(BLUE))
        marks = base.mark_bar(height={"band": 0.68}).encode(color=color)
        received = base.transform_filter("datum.dollars >= 0").mark_text(align="left", dx=5, color=INK)
        paid = base.transform_filter("datum.dollars < 0").mark_text(align="right", dx=-5, color=INK)
        zero = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_SOFT).encode(x=alt.XDatum(0, axis=None))
        layers = marks + zero + received.encode(text="text:N") + paid.encode(text="text:N")
        return layers.properties(width=plot, height=_ROW * len(rows))

    return in_both_widths(draw)


def mixes_chart(base: Sequence[Bar], points: Sequence[MixPoint]) -> Chart:
    """Return the base as a pale bar for each issuer and a mark for each mix; at most six mixes are told apart."""
    alt = need_altair()
    mixes = list(dict.fromkeys(p.mix for p in points))[:MOST_MIXES]
    drawn = [p for p in points if p.mix in mixes]

    def draw(width: int) -> Any:
        narrow = width == WIDTHS["narrow"]
        names = _labels([b.issuer for b in base], width)
        label = dict(zip((b.issuer for b in base), names, strict=True))
        bars = [{"issuer": label[b.issuer], "dollars": b.dollars} for b in base]
        marks = [{"issuer": label[p.issuer], "dollars": p.dollars, "mix": p.mix} for p in drawn]
        axis = alt.Axis(
            tickCount=3 if narrow else 6, domain=False, ticks=False, title=None, labelExpr=_DOLLARS, labelPadding=6
        )
        y, scale = _issuers(alt, names), _scale(alt, [b.dollars for b in base] + [p.dollars for p in drawn], 0.04)
        x = alt.X("dollars:Q", axis=axis, scale=scale)
        legend = alt.Legend(title=None, orient="top", columns=1 if narrow else 3, symbolSize=80, labelLimit=0)
        color = alt.Scale(domain=mixes, range=list(_MIX_COLORS[: len(mixes)]))
        shape = alt.Scale(domain=mixes, range=list(_MIX_SHAPES[: len(mixes)]))
        pale = alt.Chart(alt.Data(values=bars)).mark_bar(color=_PALE, height={"band": 0.72}).encode(y=y, x=x)
        zero = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_SOFT).encode(x=alt.XDatum(0, axis=axis))
        dots = alt.Chart(alt.Data(values=marks)).mark_point(filled=True, size=74, opacity=1)
        dots = dots.encode(
            y=y,
            x=x,
            color=alt.Color("mix:N", scale=color, legend=legend),
            shape=alt.Shape("mix:N", scale=shape, legend=legend),
        )
        return (pale + zero + dots).properties(width=width - _margin(names), height=_ROW * len(bars))

    return in_both_widths(draw)


def _issuers(alt: Any, names: list[str]) -> Any:
    axis = alt.Axis(ticks=False, domain=False, labelPadding=8)
    return alt.Y("issuer:N", sort=names, title=None, axis=axis)


def _scale(alt: Any, dollars: Sequence[float], room: float) -> Any:
    """Return a scale that holds zero, with `room` (a share of its length) beyond each side that has a bar."""
    low, high = min(0.0, *dollars), max(0.0, *dollars)
    sides = (low < 0) + (high > 0 or low == high)
    beyond = ((high - low) or 1.0) * room / (1 - sides * room)
    domain = [low - beyond if low < 0 else low, high + beyond if high > 0 or low == high else high]
    return alt.Scale(domain=domain, nice=False)


def _labels(issuers: Sequence[str], width: int) -> list[str]:
    """Return names short enough for the axis, no two alike: rows of one name would be drawn over each other."""
    most = 14 if width == WIDTHS["narrow"] else 24
    labels: list[str] = []
    for name in issuers:
        short = name if len(name) <= most else name[: most - 1] + "…"
        number = 1
        while short in labels:
            number += 1
            short = f"{name[: most - 5]}… ({number})"
        labels.append(short)
    return labels


def _margin(names: Sequence[str]) -> int:
    return 20 + _LETTER * max((len(n) for n in names), default=0)
