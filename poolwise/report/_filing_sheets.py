"""The exhibits of a rate filing as sheets of a workbook."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data_specs.errors import OutputRefused
from poolwise.report._filing_exhibits import FilingExhibits, studies
from poolwise.report._filing_page import NOT_CERTIFIED, whose
from poolwise.report._filing_plans import plan_exhibits, records, sensitivity_exhibit, trace_exhibit
from poolwise.report._reliance import reliance_exhibit
from poolwise.report._sheets import MOST_ROWS, Workbook

__all__ = ["write_filing_sheets"]

_ABOUT = {
    "What this is": "The exhibits of a rate filing in order of work, from claims to consumer rates. The template "
    "itself is a workbook of its own, with live formulas; these are its numbers and the studies behind them.",
    "Reading the numbers": "PMPM: dollars per member month. Factors and ratios are of one. A blank cell is absent or "
    "not defined, never zero.",
    "Where a number comes from": "Sheet One rate traced walks one rate back; sheet Ledger has every number with "
    "formula, inputs, source and note.",
}


def write_filing_sheets(path: Path, given: FilingExhibits, *, title: str, notes: Sequence[str] = ()) -> None:
    """Write the exhibits of a filing as a workbook, a sheet each.

    The sheets are those of the page, then reliance, findings, settings, uncertain figures and the ledger; exhibits of
    studies that are not there, or without rows, are left out.

    Parameters
    ----------
    path : Path
        The file, ending in .xlsx.
    given : FilingExhibits
        The filing, and the studies behind it.
    title : str
        On the first sheet and at the foot of printed pages.
    notes : sequence of str
        Remarks for the first sheet.

    Raises
    ------
    ExtraMissing
        When the package of the extra ``excel`` is not installed.
    OutputRefused
        More rows than a sheet can hold.
    """
    trace = trace_exhibit(given)
    found = [*studies(given), *plan_exhibits(given), sensitivity_exhibit(given), *([trace] if trace else [])]
    found = [exhibit for exhibit in (*found, reliance_exhibit(given), *records(given)) if exhibit.rows]
    for exhibit in found:
        if len(exhibit.rows) > MOST_ROWS:
            raise OutputRefused(
                f"a sheet cannot hold the {len(exhibit.rows):,} rows of {exhibit.title!r}",
                where=str(path),
                rule=f"the file format ends at {MOST_ROWS:,} rows",
                remedy="use the ledger of the filing as a frame",
            )
    with Workbook(path, title) as workbook:
        lines = [("Filing", whose(given)), ("", ""), ("Not a certification", NOT_CERTIFIED), *_ABOUT.items()]
        lines += [("Note", note) for note in notes]
        lines += [("", ""), ("Sheets", ""), *((exhibit.title, exhibit.explanation) for exhibit in found)]
        workbook.sheet("Read me").text(title, lines)
        for exhibit in found:
            workbook.sheet(exhibit.title).table(
                exhibit.title, exhibit.explanation, exhibit.columns, exhibit.rows, total=exhibit.total
            )
