"""Charts of an issuer's year: premium and claims, and the bridge over the failsafes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from poolwise.report._charts import BLUE, INK, ORANGE, WIDTHS, Chart, in_both_widths, need_altair
from poolwise.report._transfer_charts import short_dollars

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import IssuerYear

__all__ = ["bridge_chart", "signed_short"]

_SOFT, _PALE = "#7b8794", "#b8c4cf"
_ROW, _LETTER, _AMOUNT = 30, 6.6, 74  # pixels: a row, a letter of a label, an amount beside a bar
_NARROW = {
    "Premium less claims": "Before",
    "After all programs": "After",
    "High-cost risk pool": "High-cost pool",
    "Loss ratio rebate": "Rebate",
}


def signed_short(dollars: float) -> str:
    """Return an amount in three figures or so with its sign.

    Examples
    --------
    >>> signed_short(1_234_567), signed_short(-98_765.43), signed_short(0)
    ('+$1.23 M', '−$98.8 K', '$0')
    """
    text = short_dollars(dollars)
    return f"+{text}" if dollars > 0 and text != "$0" else text


def bridge_chart(year: IssuerYear) -> Chart:
    """Return what is left of the premium before the programs, what each adds (right) or takes (left), what is left.

    Where premium and claims are not both known the bridge begins at zero and shows the programs alone.
    """
    alt = need_altair()
    is_known = year.premium is not None and year.claims is not None
    rows: list[dict[str, Any]] = [_level("Premium less claims", float(year.before))] if is_known else []
    for line, before, after in year.levels():
        rows.append(_step(line.label, float(before), float(after)))
    rows.append(_level("After all programs", float(year.after)))
    low = min(min(r["low"], r["high"]) for r in rows)
    high = max(max(r["low"], r["high"]) for r in rows)

    def draw(width: int) -> Any:
        is_narrow = width == WIDTHS["narrow"]
        names = [_NARROW.get(r["label"], r["label"]) if is_narrow else r["label"] for r in rows]
        margin = round(18 + _LETTER * max(len(n) for n in names))
        plot = width - margin
        named = [
            row | {"name": name, "end": max(row["low"], row["high"])} for name, row in zip(names, rows, strict=True)
        ]
        room = ((high - low) or abs(high) or 1.0) * _AMOUNT / max(plot - _AMOUNT, 1)
        scale = alt.Scale(domain=[low, high + room], nice=False, zero=False)
        axis = alt.Axis(ticks=False, domain=False, labelPadding=8)
        base = alt.Chart(alt.Data(values=named)).encode(y=alt.Y("name:N", sort=names, title=None, axis=axis))
        x = alt.X("low:Q", axis=None, scale=scale)
        color = alt.condition("datum.amount < 0", alt.value(ORANGE), alt.value(BLUE))
        steps = base.transform_filter("datum.kind === 'step'").mark_bar(height={"band": 0.6})
        levels = base.transform_filter("datum.kind === 'level'").mark_bar(height={"band": 0.6}, color=_PALE)
        text = base.mark_text(align="left", dx=6, color=INK)
        layers = levels.encode(x=x, x2=alt.X2("high:Q")) + steps.encode(x=x, x2=alt.X2("high:Q"), color=color)
        if low < 0 < high or low == 0:
            zero = alt.Chart(alt.Data(values=[{}])).mark_rule(color=_SOFT).encode(x=alt.XDatum(0, axis=None))
            layers += zero
        layers += text.encode(x=alt.X("end:Q", axis=None), text=alt.Text("text:N"))
        return layers.properties(width=plot, height=_ROW * len(rows))

    return in_both_widths(draw)


def _level(label: str, dollars: float) -> dict[str, Any]:
    """Return a bar from zero: its length is the amount, so zero belongs to the axis."""
    text = short_dollars(dollars)
    return {"label": label, "kind": "level", "low": 0.0, "high": dollars, "amount": dollars, "text": text}


def _step(label: str, before: float, after: float) -> dict[str, Any]:
    amount = after - before
    return {
        "label": label,
        "kind": "step",
        "low": before,
        "high": after,
        "amount": amount,
        "text": signed_short(amount),
    }
