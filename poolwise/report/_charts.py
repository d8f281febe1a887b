"""Charts as SVG text, drawn without a browser; each in a wide and a narrow form for page and telephone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_specs.errors import ExtraMissing

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Chart", "age_chart", "in_both_widths", "need_altair", "score_chart"]

WIDTHS = {"wide": 680, "narrow": 340}
INK, BLUE, ORANGE, _GRID = "#1f2933", "#2f6690", "#c8553d", "#e4e7eb"
_FONT = "Helvetica, Arial, sans-serif"
_STYLE: dict[str, dict[str, Any]] = {
    "view": {"stroke": None},
    "axis": {
        "labelFont": _FONT,
        "titleFont": _FONT,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelColor": INK,
        "titleColor": INK,
        "gridColor": _GRID,
        "domainColor": _GRID,
        "labelLimit": 0,
    },
    "legend": {"labelFont": _FONT, "labelFontSize": 12, "labelColor": INK},
    "text": {"font": _FONT, "fontSize": 12},
}


@dataclass(frozen=True)
class Chart:
    """One chart in its two widths, as SVG."""

    wide: str
    narrow: str


def need_altair() -> Any:
    """Return the library that charts are described with, or refuse with what to install."""
    try:
        import altair
        import vl_convert  # noqa: F401 - altair draws with it
    except ImportError as error:
        raise ExtraMissing(
            f"the page needs {error.name}, which is not installed", remedy="pip install 'poolwise[reports]'"
        ) from None
    return altair


def score_chart(shares: pl.DataFrame) -> Chart:
    """Return a bar for each band of scores: columns band, share (0 to 1, null where it is not shown)."""
    alt = need_altair()
    bands = shares["band"].to_list()
    # An axis of its own for three rows of figures would say less than the figure at each bar.
    rows = [{"band": b, "share": s, "text": _percent(s)} for b, s in shares.select("band", "share").rows()]

    def draw(width: int) -> Any:
        base = alt.Chart(alt.Data(values=rows)).encode(
            y=alt.Y("band:N", sort=bands, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8)),
        )
        bars = base.mark_bar(color=BLUE, height={"band": 0.72}).encode(
            x=alt.X("share:Q", axis=None, scale=alt.Scale(domain=[0, _top(shares["share"])]))
        )
        text = base.mark_text(align="left", dx=5, color=INK).encode(x="share:Q", text="text:N")
        hidden = base.transform_filter("datum.share === null")
        hidden = hidden.mark_text(align="left", dx=5, color="#7b8794").encode(
            x=alt.datum(0), text=alt.value("not shown")
        )
        return (bars + text + hidden).properties(width=width - 110, height=24 * len(bands))

    return in_both_widths(draw)


def age_chart(means: pl.DataFrame, bands: list[str]) -> Chart:
    """Return a line for each sex over the age bands: columns band, sex, mean_risk_score."""
    alt = need_altair()
    names = {"F": "women and girls", "M": "men and boys"}
    rows = [
        {"band": b, "sex": names[s], "mean": m} for b, s, m in means.select("band", "sex", "mean_risk_score").rows()
    ]

    def draw(width: int) -> Any:
        sex = alt.Color(
            "sex:N",
            scale=alt.Scale(domain=list(names.values()), range=[ORANGE, BLUE]),
            legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3, labelLimit=0),
        )
        ages = alt.Axis(labelAngle=0 if width == WIDTHS["wide"] else -45, ticks=False)
        base = alt.Chart(alt.Data(values=rows)).encode(
            x=alt.X("band:N", scale=alt.Scale(domain=bands), title="age on the last enrolled day", axis=ages),
            y=alt.Y("mean:Q", title="mean risk score", axis=alt.Axis(tickCount=5, domain=False, ticks=False)),
            color=sex,
        )
        lines = base.mark_line(strokeWidth=2.5)
        points = base.mark_point(filled=True, size=46, opacity=1)
        return (lines + points).properties(width=width - 60, height=230)

    return in_both_widths(draw)


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return f"{share:.1%}" if share >= 0.001 or share == 0 else "under 0.1%"


def _top(shares: pl.Series) -> float:
    # Room for the figure at the end of the longest bar.
    most = shares.max()
    return 1.15 * most if isinstance(most, float) and most > 0 else 1.0


def in_both_widths(draw: Any) -> Chart:
    """Return the chart that a function draws for a width in pixels."""
    return Chart(**{name: _svg(draw(width)) for name, width in WIDTHS.items()})


def _svg(chart: Any) -> str:
    import vl_convert

    altair = need_altair()
    # Saving through altair checks every part against a schema first, which takes longer than the drawing; and each of
    # its configure methods would copy the chart with its data.
    specification = chart.to_dict(validate=False)
    known = specification.setdefault("config", {})
    for part, style in _STYLE.items():
        known[part] = known.get(part, {}) | style
    version = "_".join(altair.SCHEMA_VERSION.split(".")[:2])
    svg: str = vl_convert.vegalite_to_svg(specification, vl_version=version)
    return svg
