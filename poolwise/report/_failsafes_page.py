"""One page of failsafes, complete in itself: an issuer's year before and after each program, and how each works."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from poolwise.report._charts import need_altair
from poolwise.report._failsafes_charts import bridge_chart, signed_short
from poolwise.report._failsafes_sections import program_sections
from poolwise.report._failsafes_year import IssuerYear, shown_year
from poolwise.report._page_parts import count_lines, finding_lines, need_templates, render, source_lines
from poolwise.report._suppression import SMALLEST_SHOWN
from poolwise.report._transfer_charts import short_dollars
from poolwise.report._transfer_figures import dollars

if TYPE_CHECKING:
    import polars as pl

    from poolwise.report._failsafes_year import Failsafes

__all__ = ["failsafes_page"]

# Tables whose rows tell of people: their small numbers are not shown. Those of other tables are, however small.
_PEOPLE = frozenset({"claims", "enrollee_conditions", "sample", "hccs"})


def failsafes_page(
    run: Failsafes,
    issuer: str,
    *,
    title: str,
    notes: Sequence[str] = (),
    links: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML page of failsafes: the year of one issuer as a bridge and a table, a section for each program.

    What would tell of fewer than 11 people is not shown, nor what would reveal it by subtraction.

    Parameters
    ----------
    run : Failsafes
        The programs.
    issuer : str
        Whose year is shown.
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
    year = shown_year(run, issuer)
    counts = run.counts
    return render(
        "failsafes.html",
        title=title,
        benefit_year=run.benefit_year,
        issuer=issuer,
        notes=list(notes),
        links=dict(links or {}),
        told=told(year),
        figures=[] if year.is_too_small else _key_figures(year),
        chart=bridge_chart(year) if year.lines and not year.is_too_small else None,
        lines=[] if year.is_too_small else _lines(year),
        hidden_why=year.hidden,
        is_too_small=year.is_too_small,
        smallest=SMALLEST_SHOWN,
        sections=program_sections(run, issuer),
        counts=count_lines(counts, not_people=_not_people(counts)),
        findings=finding_lines(run.findings, not_people=_not_people(run.findings)),
        uncertain=run.uncertain.to_dicts(),
        sources=source_lines(run.tables),
    )


def _not_people(frame: pl.DataFrame) -> list[str]:
    """Return the tables whose rows are no people; the name of a program may stand before that of a table."""
    return [name for name in frame["table"].to_list() if name.rpartition(": ")[2] not in _PEOPLE]


def told(year: IssuerYear) -> list[str]:
    """Return what the programs do to the year, in a sentence or two."""
    if year.is_too_small:
        return [f"Issuer {year.issuer_id} may have fewer than {SMALLEST_SHOWN} people: its year is not shown."]
    moved = [line for line in year.lines if line.amount]
    if not moved:
        return [f"No program moves money of issuer {year.issuer_id}."]
    parts = [f"{line.label.lower()} {signed_short(float(line.amount))}" for line in moved]
    first = f"For issuer {year.issuer_id}: " + ", ".join(parts) + "."
    ratios = year.loss_ratios()
    if ratios[0] is None or ratios[-1] is None:
        return [first]
    second = (
        f"Of each dollar of premium {ratios[0]:.1%} goes to claims before the programs, {ratios[-1]:.1%} after them; "
        f"{short_dollars(float(year.after))} are left for expenses and margin."
        if year.after >= 0
        else f"Claims take {ratios[0]:.1%} of premium before the programs and {ratios[-1]:.1%} after them: "
        f"{short_dollars(abs(float(year.after)))} more than there is."
    )
    return [first, second]


def _key_figures(year: IssuerYear) -> list[dict[str, str]]:
    found = []
    for amount, what in ((year.premium, "premium"), (year.claims, "claims")):
        if amount is not None:
            found.append({"number": short_dollars(float(amount)), "what": what})
    change = float(year.after - year.before)
    found.append({"number": signed_short(change), "what": "from all programs together"})
    if year.premium and year.claims is not None:
        found.append({"number": f"{float(change) / float(year.premium):+.1%}".replace("-", "−"), "what": "of premium"})
    return found


def _lines(year: IssuerYear) -> list[dict[str, Any]]:
    """Return the table under the bridge: step, amount, what is left, claims over premium, where it stands."""
    ratios = [("" if r is None else f"{r:.1%}") for r in year.loss_ratios()]
    lines = []
    if year.premium is not None:
        lines.append(_line("Premium", dollars(year.premium), "", "", year.source))
    if year.claims is not None:
        left = dollars(year.before) if year.premium is not None else ""
        label = "Claims less what is kept back" if year.hidden.count("taken off") else "Claims"
        lines.append(_line(label, dollars(-year.claims), left, ratios[0], ""))
    for (line, _, after), ratio in zip(year.levels(), ratios[1:], strict=True):
        lines.append(_line(line.label, dollars(line.amount), dollars(after), ratio, line.source))
    return lines


def _line(label: str, amount: str, after: str, ratio: str, source: str) -> dict[str, Any]:
    return {"label": label, "amount": amount, "after": after, "ratio": ratio, "source": source.replace("_", " ")}
