"""One page of a scoring run, complete in itself: it asks nothing of the network and can be mailed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report import _charts, _summary
from poolwise.report._page_parts import HIDDEN, count_lines, finding_lines, need_templates, render, source_lines
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells, shown_count

if TYPE_CHECKING:
    from riskadjust import Scores

__all__ = ["summary_page"]


def summary_page(
    result: Scores,
    *,
    title: str,
    sexes: pl.DataFrame,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page of a scoring run: a table by model and metal, two charts, findings, sources.

    Groups of fewer than 11 people are not shown, nor what would reveal them by subtraction.

    Parameters
    ----------
    result : Scores
        Of a run with explain=True.
    title : str
        Heading of the page; without a date, so that equal runs give equal pages.
    sexes : DataFrame
        enrollee_id, sex (M, F, 1 or 2), as the input has them.
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
    return render(
        "summary.html",
        title=title,
        benefit_year=result.benefit_year,
        notes=list(notes),
        links=dict(links or {}),
        groups=_groups(result.scores),
        total=_total(result.scores),
        smallest=SMALLEST_SHOWN,
        too_few=f"Too few people to show: groups of fewer than {SMALLEST_SHOWN} stay hidden.",
        scores_chart=_score_chart(result.scores),
        ages_chart=_age_chart(result.scores, sexes),
        counts=count_lines(_summary.in_reading_order(result.counts)),
        findings=finding_lines(result.findings),
        uncertain=[{**u, "enrollees": shown_count(u["enrollees"])} for u in result.uncertain.to_dicts()],
        settings=sorted(result.settings.items()),
        sources=source_lines(result.tables),
    )


def _groups(scores: pl.DataFrame) -> list[dict[str, str]]:
    summary = _summary.by_model_and_metal(scores)
    if scores["enrollee_id"].n_unique() < SMALLEST_SHOWN:
        return []  # which groups there are would tell who the few are
    hidden = hidden_cells(summary["people"].to_list())
    return [_cells(row, is_hidden) for row, is_hidden in zip(summary.rows(named=True), hidden, strict=True)]


def _total(scores: pl.DataFrame) -> dict[str, str] | None:
    total = _summary.overall(scores)
    if total.height == 0:
        return None
    return _cells(total.row(0, named=True), 0 < total["people"][0] < SMALLEST_SHOWN)


def _cells(row: dict[str, Any], is_hidden: bool) -> dict[str, str]:
    cells = {"model": row["model"], "metal": str(row["metal_level"]).replace("_", " ")}
    figures = {
        "people": format(row["people"], ","),
        "score": _number(row["mean_risk_score"], ".3f"),
        "adjusted": _number(row["mean_csr_adjusted_score"], ".3f"),
        "with_hcc": _number(row["share_with_hcc"], ".1%"),
        "months": _number(row["mean_enrollment_months"], ".1f"),
    }
    with_hcc = round((row["share_with_hcc"] or 0) * row["people"])
    if 0 < with_hcc < SMALLEST_SHOWN:
        figures["with_hcc"] = HIDDEN
    return cells | (dict.fromkeys(figures, HIDDEN) if is_hidden else figures)


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)


def _score_chart(scores: pl.DataFrame) -> _charts.Chart | None:
    """Return the chart of scores, or None when every band that holds anybody stays hidden."""
    bands = _summary.by_score(scores)
    hidden = pl.Series(hidden_cells(bands["lines"].to_list()))
    if bands.filter(~hidden)["lines"].sum() == 0:
        return None
    share = pl.col("lines") / bands["lines"].sum()
    return _charts.score_chart(bands.select("band", pl.when(~hidden).then(share).alias("share")))


def _age_chart(scores: pl.DataFrame, sexes: pl.DataFrame) -> _charts.Chart | None:
    """Return the chart of ages, or None when every group of age and sex stays hidden."""
    plain = sexes.select(
        "enrollee_id",
        pl.col("sex").cast(pl.String).str.strip_chars().str.to_uppercase().replace({"1": "M", "2": "F"}),
    )
    means = _summary.by_age_and_sex(scores, plain).filter(pl.col("people") >= SMALLEST_SHOWN)
    return _charts.age_chart(means, _summary.age_labels()) if means.height else None
