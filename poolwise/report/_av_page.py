"""The page of actuarial values, complete in itself: every design, its window, its curve, and what is verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from poolwise.report._av_charts import anatomy_chart, deductible_chart
from poolwise.report._av_curves import Anatomy, DeductibleCurve, anatomy_of, bands_of, deductible_curves
from poolwise.report._av_words import (
    NOT_FEDERAL,
    Window,
    distance_words,
    evidence,
    flag_words,
    legal_words,
    lever_value,
    lever_words,
    percent,
    plan_amount,
    window_words,
    windows_of,
)
from poolwise.report._charts import need_altair
from poolwise.report._page_parts import finding_lines, need_templates, render, source_lines
from poolwise.report._quote_words import metal

if TYPE_CHECKING:
    import polars as pl

    from rating import ActuarialValues
    from rating._av_columns import DesignColumns

__all__ = ["av_page"]

_MOST_OPEN, _MOST_SHOWN, _MOST_DRAWN = 25, 200, 6
_DEDUCTIBLES = ("deductible", "deductible_medical")
_OF_VALUES = ("separate_moop_rule", "unsettled", "legal_state")  # settings that a value depends on
_LEVER_NOTE = (
    "found by a search of its whole range, because the value need not fall steadily along it. Of several values that "
    "would do, the nearest to the present one."
)


def av_page(
    result: ActuarialValues,
    designs: DesignColumns,
    *,
    plan_year: int,
    title: str,
    levers: pl.DataFrame | None = None,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page of actuarial values: results, levers, values along the deductible, the curve behind them.

    Parameters
    ----------
    result : ActuarialValues
        Of `designs`.
    designs : DesignColumns
        The designs, in the order of the result.
    plan_year : int
        Of the result.
    title : str
        Heading of the page; without a date, so that equal runs give equal pages.
    levers : DataFrame, optional
        design_id, lever, value_now, value, av: what would bring designs into their windows.
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
    settings = dict(result.settings.select("setting", "value").rows())
    legal_state = settings["legal_state"]
    held, algorithm = _rules_of(plan_year, legal_state)
    windows = windows_of(result.designs, held)
    drawn = _drawn(result.designs)
    curves = deductible_curves(
        drawn,
        designs,
        result.designs,
        bands={row: _bands(held, windows[row]) for row in drawn},
        levers=_deductible_levers(result.designs, levers),
        plan_year=plan_year,
        settings={name: settings[name] for name in _OF_VALUES},
    )
    anatomy = _anatomy(designs, result.designs, drawn, plan_year)
    every = frozenset(result.findings["table"])
    return render(
        "av.html",
        title=title,
        plan_year=plan_year,
        legal_state=legal_words(legal_state),
        not_federal=NOT_FEDERAL,
        notes=list(notes),
        links=dict(links or {}),
        told=_told(result.designs, levers),
        figures=_figures(result.designs),
        designs=_rows(result.designs, designs, windows),
        most_open=_MOST_OPEN,
        most_shown=_MOST_SHOWN,
        levers=[] if levers is None else _lever_rows(levers),
        lever_note=_LEVER_NOTE,
        curves=[{"design": c.design_id, "chart": deductible_chart(c), "caption": _caption(c)} for c in curves],
        not_drawn=max(result.designs["table_metal"].count() - len(curves), 0),
        anatomy=None if anatomy is None else {"chart": anatomy_chart(anatomy), "caption": _anatomy_caption(anatomy)},
        evidence=evidence(result.designs, algorithm),
        findings=finding_lines(result.findings, not_people=every),
        uncertain=result.uncertain.select("table", "what", "moved").unique().sort("table", "what", "moved").to_dicts(),
        settings=result.settings.to_dicts(),
        sources=source_lines(sorted({*result.tables, "av/continuance"})),
    )


def _rules_of(plan_year: int, legal_state: str) -> tuple[Any, str]:
    """Return the windows of a year and the algorithm of its calculator."""
    from rating._av_windows import windows
    from rating._figures import Figures

    figures = Figures()
    algorithm = str(figures.rows("av/table_sets", plan_year)["algorithm"][0])
    return windows(plan_year, legal_state, figures), algorithm


def _bands(held: Any, window: Window | None) -> Any:
    return bands_of(held, None, "") if window is None else bands_of(held, window.metal, window.variant)


def _drawn(found: pl.DataFrame) -> list[int]:
    """Return the designs that are drawn: those that miss their window first."""
    order = sorted(range(found.height), key=lambda row: (found["in_range"][row], row))
    can = (found["av_recomputed"].is_not_null() & found["table_metal"].is_not_null()).to_list()
    return [row for row in order if can[row]][:_MOST_DRAWN]


def _deductible_levers(found: pl.DataFrame, levers: pl.DataFrame | None) -> dict[int, tuple[float, float]]:
    """Return the deductible that would bring a design into its window, by position."""
    if levers is None:
        return {}
    place = {design: row for row, design in enumerate(found["design_id"])}
    own = levers.filter(levers["lever"].is_in(_DEDUCTIBLES) & levers["av"].is_not_null())
    return {place[design]: (value, av) for design, value, av in own.select("design_id", "value", "av").rows()}


# ------------------------------------------------------------------------------------------------ words


def _told(found: pl.DataFrame, levers: pl.DataFrame | None) -> list[str]:
    """Return what a reader in a hurry needs."""
    number, fit = found.height, int(found["in_range"].sum())
    if number == 1:
        row = found.row(0, named=True)
        if row["av"] is None:
            return ["The design has no value: the findings say why."]
        said = f"The plan pays {percent(row['av'])} of the standard population's cost"
        if row["in_range"]:
            return [f"{said}: {metal(row['metal_level'])}."]
        off = distance_words(row["distance_to_window"])
        return [f"{said}, {off.replace(' ', ' percentage points ')} its window." if off else f"{said}."]
    lines = [f"{fit:,} of {number:,} designs {'lies' if fit == 1 else 'lie'} in the window of a metal."]
    if levers is not None and levers.height:
        helped = levers.filter(levers["av"].is_not_null())["design_id"].n_unique()
        lines.append(f"{helped} of the others would with one lever moved.")
    return lines


def _figures(found: pl.DataFrame) -> list[dict[str, str]]:
    known, fit = found["av"].count(), int(found["in_range"].sum())
    flagged = int((found["av_status"] == "flagged").sum())
    shown = [
        (found.height, "designs"),
        (fit, "in their window"),
        (known - fit, "outside"),
        (found.height - known, "without a value"),
        (flagged, "flagged"),
    ]
    return [{"number": f"{number:,}", "what": what} for number, what in shown if number or what == "designs"]


def _rows(found: pl.DataFrame, designs: DesignColumns, windows: Sequence[Window | None]) -> list[dict[str, Any]]:
    return [
        {
            "design": row["design_id"],
            "av": percent(row["av"]),
            "status": row["av_status"],
            "metal": "none" if row["metal_level"] is None else metal(row["metal_level"]),
            "window": window_words(windows[place]),
            "distance": distance_words(row["distance_to_window"]),
            "deductible": plan_amount(designs, place, "deductible"),
            "moop": plan_amount(designs, place, "moop"),
            "flags": flag_words(row["flags"]),
            "is_missed": not row["in_range"],
        }
        for place, row in enumerate(found.rows(named=True))
    ]


def _lever_rows(levers: pl.DataFrame) -> list[dict[str, str]]:
    return [
        {
            "design": row["design_id"],
            "lever": lever_words(row["lever"]),
            "now": "" if row["av"] is None else lever_value(row["lever"], row["value_now"]),
            "then": "" if row["av"] is None else lever_value(row["lever"], row["value"]),
            "av": "" if row["av"] is None else percent(row["av"]),
        }
        for row in levers.rows(named=True)
    ]


def _caption(curve: DeductibleCurve) -> str:
    lines = ["Filled: the design as it is."]
    if curve.lever is not None:
        lines.append("Hollow: the deductible that would bring it into its window.")
    lines.append("Shaded: windows of the metals, its own darker.")
    if len({point["segment"] for point in curve.points}) > 1:
        lines.append("Where the line breaks, another metal's tables are used, or there is no value.")
    points = curve.points
    flat = [p["deductible"] for p in points if abs(p["av"] - points[-1]["av"]) < 1e-9]
    if len(flat) > 1 and flat[0] < points[-1]["deductible"]:
        lines.append(
            f"Flat from about ${flat[0]:,.0f} on: the out-of-pocket limit is reached within the deductible, and "
            "a higher one changes nothing."
        )
    elif any(after["av"] > before["av"] + 1e-5 for before, after in pairwise(points)):
        lines.append("Where the line rises, a higher deductible raises the value: so does the calculator's.")
    return " ".join(lines)


def _anatomy(designs: DesignColumns, found: pl.DataFrame, drawn: Sequence[int], plan_year: int) -> Anatomy | None:
    """Return the picture of the first design drawn that has one deductible, as if all services were alike."""
    from rating._av_columns import INTEGRATED

    rows = [row for row in drawn if designs.deductible_type[row] == INTEGRATED and found["table_metal"][row]]
    if not rows:
        return None
    row = rows[0]
    amounts = {name: float(getattr(designs, name)[row, 0]) for name in ("deductible", "plan_coinsurance", "moop")}
    return anatomy_of(metal=found["table_metal"][row], **amounts, plan_year=plan_year)


def _anatomy_caption(anatomy: Anatomy) -> str:
    below, share = np.round(100 * (1 - anatomy.enrollee_share), 1), np.round(100 * anatomy.plan_coinsurance, 1)
    return (
        f"The line is the continuance curve of the {anatomy.metal} population: the share of all spend that lies below "
        "an amount, each enrollee's spend cut there. Red: paid by enrollees; blue: by the plan. Drawn for a plan that "
        f"treats all services alike, with a deductible of ${anatomy.deductible:,.0f} and {share:g}% paid by the plan "
        f"beyond it: it pays {below:g}% of all. Copays, services before the deductible and preventive care make the "
        "difference to the value above."
    )
