"""Charts of actuarial values: the value along the deductible with the windows of the metals, and what it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolwise.report._charts import BLUE, INK, ORANGE, WIDTHS, Chart, in_both_widths, need_altair

if TYPE_CHECKING:
    from poolwise.report._av_curves import Anatomy, Band, DeductibleCurve

__all__ = ["anatomy_chart", "deductible_chart"]

_PALE, _OWN, _SOFT = "#eef1f4", "#d3e3ef", "#52606d"
_PLAN, _ENROLLEE = "#b5cfe1", "#efc0b2"
_HEIGHT, _BESIDE = 230, 62  # pixels: of a plot, of what stands left of it
_TALLER = 280
_DOLLARS = "'$' + format(datum.value, ',.0f')"
_PERCENT = "format(100 * datum.value, '.0f') + '%'"
_MARGIN = 0.012  # above and below what is drawn, as a share of all spend
_LEAST_BAND = 0.006  # a lower strip of a window has no room for its name
_BAR_FROM, _BAR_TO = 1.05, {"wide": 1.16, "narrow": 1.26}  # the bar of all spend, in widths of the plot before it
_RIGHT = 0.6  # of the plot: what stands further right has its name on the left


def deductible_chart(curve: DeductibleCurve) -> Chart:
    """Return the value of a design along its deductible, the windows shaded, the design itself marked."""
    alt = need_altair()
    values = [p["av"] for p in curve.points]
    own = next((band for band in curve.bands if band.is_own), None)
    seen = [*values, *([] if own is None else [own.low, own.high]), curve.av]
    low, high = max(0.0, min(seen) - _MARGIN), min(1.0, max(seen) + _MARGIN)
    last, end = curve.points[-1]["deductible"], curve.points[-1]["av"]
    strips = [strip for band in curve.bands if (strip := _strip(band, low, high, end))]
    dots = [{"deductible": curve.deductible, "av": curve.av, "what": "now"}]
    dots += [] if curve.lever is None else [{"deductible": curve.lever[0], "av": curve.lever[1], "what": "lever"}]

    def draw(width: int) -> Any:
        dollars = alt.Axis(
            values=_marks(last, 4 if width == WIDTHS["narrow"] else 8),
            ticks=False,
            grid=False,
            labelPadding=6,
            labelExpr=_DOLLARS,
        )
        x = alt.X("deductible:Q", title=curve.axis, axis=dollars, scale=alt.Scale(domain=[0, last], nice=False))
        percent = alt.Axis(tickCount=6, domain=False, ticks=False, labelExpr=_PERCENT, labelPadding=6)
        scale = alt.Scale(domain=[low, high], nice=False, zero=False)
        y = alt.Y("av:Q", title="actuarial value", axis=percent, scale=scale)
        layers = _band_layers(alt, strips, scale, percent)
        line = alt.Chart(alt.Data(values=curve.points)).mark_line(strokeWidth=2.4, color=BLUE)
        layers.append(line.encode(x=x, y=y, detail="segment:N"))
        layers += _dot_layers(alt, dots, x, y, last)
        return alt.layer(*layers).properties(width=width - _BESIDE, height=_HEIGHT)

    return in_both_widths(draw)


def _strip(band: Band, low: float, high: float, last: float) -> dict[str, Any] | None:
    """Return the part of a window that is seen, as data; None where none is. `last` is where the line ends."""
    begin, end = max(band.low, low), min(band.high, high)
    if end <= begin:
        return None
    return {
        "av": begin,
        "end": end,
        "middle": (begin + end) / 2,
        "name": band.name if end - begin >= _LEAST_BAND else "",
        "color": _OWN if band.is_own else _PALE,
        "side": "left" if begin <= last <= end else "right",
    }


def _band_layers(alt: Any, strips: list[dict[str, Any]], scale: Any, axis: Any) -> list[Any]:
    if not strips:
        return []
    data = alt.Data(values=strips)
    color = alt.Color("color:N", scale=None, legend=None)
    shades = (
        alt.Chart(data)
        .mark_rect()
        .encode(y=alt.Y("av:Q", title="actuarial value", axis=axis, scale=scale), y2="end:Q", color=color)
    )
    layers = [shades]
    for side, place, shift in (("left", 0, 6), ("right", "width", -6)):
        names = alt.Chart(data).transform_filter(alt.datum.side == side)
        names = names.mark_text(align=side, baseline="middle", color=_SOFT, dx=shift)
        layers.append(names.encode(x=alt.value(place), y=alt.Y("middle:Q", scale=scale), text="name:N"))
    return layers


def _dot_layers(alt: Any, dots: list[dict[str, Any]], x: Any, y: Any, last: float) -> list[Any]:
    """Return the design as it is, filled, and as the lever would have it, hollow, each with its value."""
    layers = []
    for dot in dots:
        # The line falls: there is room to the right above it, and to the left below it.
        is_now, is_left = dot["what"] == "now", dot["deductible"] > _RIGHT * last
        text = f"${dot['deductible']:,.0f}: {dot['av']:.2%}"
        data = alt.Chart(alt.Data(values=[dot | {"text": text}])).encode(x=x, y=y)
        mark = {"filled": True, "color": ORANGE} if is_now else {"filled": False, "color": ORANGE, "strokeWidth": 2.4}
        layers.append(data.mark_point(size=90, opacity=1, **mark))
        place = {"align": "right", "dx": -9, "dy": 12} if is_left else {"align": "left", "dx": 9, "dy": -10}
        layers.append(data.mark_text(color=INK, **place).encode(text="text:N"))
    return layers


def anatomy_chart(anatomy: Anatomy) -> Chart:
    """Return the continuance curve under a plain design: what enrollees pay of each dollar spent, and what the plan."""
    alt = need_altair()
    last = anatomy.points[-1]["spend"]
    areas = []
    for point in anatomy.points:
        areas.append({"spend": point["spend"], "from": 0.0, "to": point["enrollee"], "who": _ENROLLEE})
        areas.append({"spend": point["spend"], "from": point["enrollee"], "to": point["share"], "who": _PLAN})
    bar = [
        {"from": 0.0, "to": anatomy.enrollee_share, "who": _ENROLLEE, "text": f"{anatomy.enrollee_share:.0%}"},
        {"from": anatomy.enrollee_share, "to": 1.0, "who": _PLAN, "text": f"{1 - anatomy.enrollee_share:.0%}"},
    ]
    rules = [rule for rule in _rules(anatomy) if rule["spend"] <= last]

    def draw(width: int) -> Any:
        is_narrow = width == WIDTHS["narrow"]
        end = _BAR_TO["narrow" if is_narrow else "wide"] * last
        parts = [{**part, "spend": _BAR_FROM * last, "end": end, "middle": _middle(part)} for part in bar]
        ticks = alt.Axis(
            values=_marks(last, 4 if is_narrow else 8),
            ticks=False,
            grid=False,
            labelPadding=6,
            labelExpr=_DOLLARS,
        )
        title = "spend of an enrollee in the year" + ("" if is_narrow else " (bar: all spend)")
        x = alt.X("spend:Q", title=title, axis=ticks, scale=alt.Scale(domain=[0, end], nice=False))
        percent = alt.Axis(tickCount=6, domain=False, ticks=False, labelExpr=_PERCENT, labelPadding=6)
        scale = alt.Scale(domain=[0, 1], nice=False)
        low = alt.Y("from:Q", title="share of all spend", axis=percent, scale=scale)
        color = alt.Color("who:N", scale=None, legend=None)
        shades = (
            alt.Chart(alt.Data(values=areas)).mark_area().encode(x=x, y=low, y2="to:Q", color=color, detail="who:N")
        )
        line = alt.Chart(alt.Data(values=anatomy.points)).mark_line(color=BLUE, strokeWidth=2.4)
        curve = line.encode(x=x, y=alt.Y("share:Q", title="share of all spend", axis=percent, scale=scale))
        bars = alt.Chart(alt.Data(values=parts)).encode(x=x)
        whole = bars.mark_rect().encode(x2="end:Q", y=low, y2="to:Q", color=color)
        named = bars.encode(x=alt.X("center:Q"), y=alt.Y("middle:Q", scale=scale), text="text:N")
        named = named.transform_calculate(center="(datum.spend + datum.end) / 2").mark_text(color=INK)
        layers = [shades, curve, whole, named, *_rule_layers(alt, rules, x, scale, _RIGHT * last)]
        return alt.layer(*layers).properties(width=width - _BESIDE, height=_TALLER)

    return in_both_widths(draw)


def _middle(part: dict[str, Any]) -> float:
    return float(part["from"] + part["to"]) / 2


def _rules(anatomy: Anatomy) -> list[dict[str, Any]]:
    """Return the upright lines: where the deductible is met, where the limit is reached."""
    met = {"spend": anatomy.deductible, "text": ["deductible met", f"${anatomy.deductible:,.0f}"]}
    if anatomy.spend_at_limit <= anatomy.deductible:
        return [{**met, "text": ["deductible and", "limit met", f"${anatomy.deductible:,.0f}"]}]
    return [met, {"spend": anatomy.spend_at_limit, "text": ["limit reached", f"${anatomy.spend_at_limit:,.0f}"]}]


def _rule_layers(alt: Any, rules: list[dict[str, Any]], x: Any, scale: Any, right: float) -> list[Any]:
    layers = []
    for place, rule in enumerate(rules):
        # One name lower than the other: on a narrow page they meet.
        is_right = rule["spend"] > right
        data = alt.Chart(alt.Data(values=[rule])).encode(x=x)
        name = data.mark_text(
            align="right" if is_right else "left", baseline="top", dx=-5 if is_right else 5, color=_SOFT, lineHeight=14
        )
        layers.append(data.mark_rule(color=_SOFT, strokeDash=[3, 3]))
        layers.append(name.encode(y=alt.Y(datum=0.98 - 0.12 * place, scale=scale), text="text:N"))
    return layers


def _marks(last: float, most: int) -> list[float]:
    """Return round dollars from 0 for an axis, `most` of them or a few less.

    Examples
    --------
    >>> _marks(9_000.0, 4)
    [0.0, 5000.0]
    """
    steps = (250.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0)
    step = next((step for step in steps if last / step < most), 50_000.0)
    return [step * place for place in range(int(last / step) + 1)]
