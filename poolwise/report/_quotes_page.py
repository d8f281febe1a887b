"""The page of many households' quotes, complete in itself: who has a credit, what they pay; small groups hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._charts import Chart, need_altair, score_chart
from poolwise.report._page_parts import HIDDEN, count_lines, finding_lines, need_templates, render, source_lines
from poolwise.report._quote_words import NOT_KNOWN, OUTCOMES, usd, variant_names
from poolwise.report._quotes_figures import AMOUNTS, QuotesFigures, mean_dollars, quotes_figures
from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells

if TYPE_CHECKING:
    from rating import QuoteFiles, Quotes, Shopping

__all__ = ["quotes_page"]

# Tables whose rows are no people: their numbers are shown however small.
_NOT_PEOPLE = frozenset({"rates", "base_rates", "plans", "areas", "service_areas"})


def quotes_page(
    result: Quotes | Shopping | QuoteFiles,
    *,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page of many households: counts by outcome, what the cheapest and the benchmark plan cost.

    Groups of fewer than 11 households are not shown, nor what would reveal them by subtraction.

    Parameters
    ----------
    result : Quotes, Shopping or QuoteFiles
        Of :func:`rating.quote`, :func:`rating.shop` or :func:`rating.quote_files`; files are read part by part.
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
    found = quotes_figures(result)
    is_shown = found.households >= SMALLEST_SHOWN
    return render(
        "quotes.html",
        title=title,
        plan_year=result.plan_year,
        notes=list(notes),
        links=dict(links or {}),
        told=_told(found) if is_shown else ["There are too few households here to show what they pay."],
        figures=_figures(found) if is_shown else [],
        outcomes=_outcomes(found) if is_shown else [],
        total=_cells(_total(found), False) if is_shown else None,
        cheapest=_chart(found, "cheapest") if is_shown else None,
        benchmark=_chart(found, "benchmark") if is_shown else None,
        variants=_variants(found) if is_shown else [],
        smallest=SMALLEST_SHOWN,
        counts=count_lines(result.counts, not_people=_NOT_PEOPLE),
        findings=finding_lines(result.findings, not_people=_NOT_PEOPLE),
        uncertain=result.uncertain.select("table", "what", "moved").to_dicts(),
        settings=result.settings.to_dicts(),
        sources=source_lines(result.tables),
    )


def _total(found: QuotesFigures) -> dict[str, Any]:
    sums = found.outcomes.drop("outcome").sum().row(0, named=True)
    return {"outcome": "all", **sums}


def _shown_outcomes(found: QuotesFigures) -> list[tuple[dict[str, Any], bool]]:
    hidden = hidden_cells(found.outcomes["households"].to_list())
    return list(zip(found.outcomes.rows(named=True), hidden, strict=True))


def _outcomes(found: QuotesFigures) -> list[dict[str, str]]:
    return [_cells(row, is_hidden) for row, is_hidden in _shown_outcomes(found)]


def _cells(row: dict[str, Any], is_hidden: bool) -> dict[str, str]:
    figures = {"households": f"{row['households']:,}"} | {name: _mean(row, name) for name in AMOUNTS}
    return {"outcome": row["outcome"]} | (dict.fromkeys(figures, HIDDEN) if is_hidden else figures)


def _mean(row: dict[str, Any], name: str) -> str:
    """Return the mean over the households that know an amount; hidden where they, or those that do not, are few."""
    known = row[f"{name}_known"]
    if known == 0:
        return NOT_KNOWN
    if known < SMALLEST_SHOWN or 0 < row["households"] - known < SMALLEST_SHOWN:
        return HIDDEN
    return usd(mean_dollars(row[name], known))


def _told(found: QuotesFigures) -> list[str]:
    """Return how many have a credit and what the cheapest plan costs, where that tells of nobody."""
    lines = []
    for row, is_hidden in _shown_outcomes(found):
        if row["outcome"] == OUTCOMES["credit"] and not is_hidden:
            share = row["households"] / found.households
            lines.append(
                f"Of {found.households:,} households {row['households']:,} ({share:.1%}) can have a premium tax credit."
            )
    total = _total(found)
    net = _mean(total, "net")
    if net not in (HIDDEN, NOT_KNOWN):
        lines.append(f"The cheapest plan costs a household {net} a month on average, after the credit.")
    return lines or [f"Quotes for {found.households:,} households."]


def _figures(found: QuotesFigures) -> list[dict[str, str]]:
    total = _total(found)
    known = [
        (f"{found.households:,}", "households quoted"),
        (f"{found.quotes:,}", "quotes, households by plans"),
        (_mean(total, "credit"), "mean highest credit a month"),
        (_mean(total, "net"), "mean net premium, cheapest plan"),
    ]
    return [{"number": number, "what": what} for number, what in known if number not in (HIDDEN, NOT_KNOWN)]


def _chart(found: QuotesFigures, column: str) -> Chart | None:
    """Return the chart of net premiums, or None when it would show fewer than half of the households."""
    hidden = pl.Series(hidden_cells(found.bands[column].to_list()))
    shown, everybody = found.bands.filter(~hidden)[column].sum(), found.bands[column].sum()
    if everybody == 0 or 2 * shown < everybody:
        return None
    share = pl.col(column) / everybody
    return score_chart(found.bands.select("band", pl.when(~hidden).then(share).alias("share")))


def _variants(found: QuotesFigures) -> list[dict[str, str]]:
    names = variant_names()
    hidden = hidden_cells(found.variants["households"].to_list())
    return [
        {"variant": names.get(code, code), "households": HIDDEN if is_hidden else f"{number:,}"}
        for (code, number), is_hidden in zip(found.variants.rows(), hidden, strict=True)
    ]
