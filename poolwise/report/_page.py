"""One page of a scoring run, complete in itself: it asks nothing of the network and can be mailed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs.errors import ExtraMissing
from poolwise.report import _charts, _summary
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells, shown_count

if TYPE_CHECKING:
    from riskadjust import Scores

__all__ = ["summary_page"]

_HIDDEN = "–"


def summary_page(result: Scores, *, title: str, sexes: pl.DataFrame, notes: Sequence[str] = ()) -> str:
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

    Raises
    ------
    ExtraMissing
        When the packages of the extra ``reports`` are not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise ExtraMissing(
            "the page needs jinja2, which is not installed", remedy="pip install 'poolwise[reports]'"
        ) from None
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    source = files("poolwise.report").joinpath("templates/summary.html").read_text(encoding="utf-8")
    page = environment.from_string(source).render(
        title=title,
        benefit_year=result.benefit_year,
        notes=list(notes),
        groups=_groups(result.scores),
        total=_total(result.scores),
        smallest=SMALLEST_SHOWN,
        hidden=_HIDDEN,
        too_few=f"Too few people to show: groups of fewer than {SMALLEST_SHOWN} stay hidden.",
        scores_chart=_score_chart(result.scores),
        ages_chart=_age_chart(result.scores, sexes),
        counts=_counts(_summary.in_reading_order(result.counts)),
        findings=_findings(result.findings),
        uncertain=[{**u, "enrollees": shown_count(u["enrollees"])} for u in result.uncertain.to_dicts()],
        settings=sorted(result.settings.items()),
        sources=_sources(result.tables),
        version=_version(),
    )
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"


def _version() -> str:
    from data_specs._manifest import product_version

    return product_version()


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
        figures["with_hcc"] = _HIDDEN
    return cells | (dict.fromkeys(figures, _HIDDEN) if is_hidden else figures)


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


def _counts(counts: pl.DataFrame) -> list[dict[str, str]]:
    lines = []
    for row in counts.rows(named=True):
        parts = {c: row[c] for c in ("accepted", "rejected")}
        has_few = any(0 < n < SMALLEST_SHOWN for n in parts.values())
        # A small number follows from what was read and the other one, which is therefore hidden too.
        shown = {c: _HIDDEN if has_few and n >= SMALLEST_SHOWN else shown_count(n) for c, n in parts.items()}
        lines.append({"table": row["table"].replace("_", " "), "input": shown_count(row["input"]), **shown})
    return lines


def _findings(findings: pl.DataFrame) -> list[dict[str, str]]:
    columns = ("rule_id", "severity", "table", "rows", "condition")
    lines = findings.select(columns).rows(named=True)
    return [{**r, "rows": shown_count(r["rows"]), "table": r["table"].replace("_", " ")} for r in lines]


def _sources(tables: Sequence[str]) -> list[dict[str, str]]:
    from data_specs._registry import contracts, provenance

    known = contracts()
    return [
        {
            "table": used["table"],
            "title": known[used["table"]].title,
            "source": known[used["table"]].source,
            "revision": used["revision"],
            "supplied_by": used["supplied_by"],
        }
        for used in provenance(list(tables))
    ]
