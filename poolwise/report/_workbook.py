"""The workbook of a settlement: a sheet for each step of the work, with live formulas from plan rows to cents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from data_specs.errors import OutputRefused
from poolwise.report._settlement_sheets import Ledger, given_columns
from poolwise.report._sheets import MOST_ROWS, Column, Sheet, Workbook

if TYPE_CHECKING:
    from poolwise.report._settlement import Settlement

__all__ = ["write_frame", "write_workbook"]

_SEEN, _WIDEST = 1_000, 70  # rows that a column's width is taken from; letters
_MONEY = ("premium", "transfer", "payment", "charge_unrounded", "change", "net", "paid", "pmpm")
_FACTORS = frozenset({"plrs", "arf", "av", "idf", "gcf"})
_EXPLAINED = {
    "Plan risk": "Plan rows as they went into the settlement; change a figure here and the sheets after it follow.",
    "Geographic cost factors": "The factor of each rating area within its risk pool.",
    "Pools": "The averages of each risk pool and both denominators of the formula, from the rows of the sheet Plans.",
    "Plans": "t = (L / mean L - R / mean R) P' (1 - q); T = t b. A row per plan and rating area.",
    "Issuers": "The plan amounts of an issuer added before they are rounded, unless the settings say otherwise.",
    "High-cost risk pool": "Payments for enrollees above the threshold, and the charge on premium that pays for them.",
    "High-cost pools": "The two national pools: payments, premium, charge rate.",
    "Mixes, issuers": "Transfers of every issuer under every mix, with the change against the base split by cause.",
    "Mixes, pools": "Pool averages under every mix.",
    "Mixes, plans": "Plan averages and transfers under every mix.",
    "Mixes, enrollment": "Whom each rule of a mix picks out, before and after it; rule 0 is the mix as a whole.",
    "Findings": "What was noticed in the rows, by rule; rejected rows stand in files of their own.",
    "Rows read": "Accepted and rejected rows add up to the rows read.",
    "Settings": "Every setting and published parameter that was used, and where it came from.",
    "Uncertain figures": "Figures marked uncertain that moved a result.",
    "Sources": "The tables of published figures that took part.",
}
_WHY = {
    "What this is": "The state payment transfers of risk adjustment of one benefit year, worked out step by step. The "
    "sheets stand in order of work.",
    "Reading the amounts": "Positive is received, negative is paid. Dollars; months are billable member months.",
    "Formulas": "Pools, Plans and Issuers calculate: a cell shows our value until the program recalculates it. Our "
    "sums are exact, those of the program may differ in the last digits, not in cents.",
    "Not for sharing": "Small groups are not hidden here, as they are on the page.",
}


def write_workbook(path: Path, settlement: Settlement, *, title: str, notes: Sequence[str] = ()) -> None:
    """Write the workbook of a settlement.

    The sheets stand in order of work: Read me, Plan risk, Geographic cost factors, Pools, Plans, Issuers, then the
    high-cost risk pool and mixes where there are any, Findings and Settings. Pools, Plans and Issuers hold formulas,
    with our values in the cells until a program recalculates them. Small groups are not hidden.

    Parameters
    ----------
    path : Path
        The file, ending in .xlsx.
    settlement : Settlement
        Transfers, and what else the run computed.
    title : str
        On the first sheet and at the foot of printed pages.
    notes : sequence of str
        Remarks for the first sheet.

    Raises
    ------
    ExtraMissing
        When the package of the extra ``excel`` is not installed.
    OutputRefused
        More plan rows than a sheet can hold.
    """
    result = settlement.transfers
    if result.plans.height > MOST_ROWS:
        raise OutputRefused(
            f"a sheet cannot hold {result.plans.height:,} plan rows",
            where=str(path),
            rule=f"the file format ends at {MOST_ROWS:,} rows",
            remedy="use the Parquet or CSV files",
        )
    rounding = result.settings.filter(pl.col("setting") == "issuer_rounding")["value"].to_list()
    ledger = Ledger(result.plans, result.issuers, result.pools, rounds_plans=rounding == ["rounded_plans"])
    before, after = _frames_before(settlement), _frames_after(settlement)
    with Workbook(path, title) as workbook:
        lines = [*_WHY.items(), *(("Note", note) for note in notes)]
        names = [*before, *_CALCULATING, *after]
        lines += [("", ""), ("Sheets", ""), *((name, _EXPLAINED[name]) for name in names)]
        workbook.sheet("Read me").text(title, [("Benefit year", str(result.benefit_year)), *lines])
        for name, frame in before.items():
            write_frame(workbook.sheet(name), frame, _EXPLAINED[name])
        for name in _CALCULATING:
            columns, rows, keys = ledger.table(name)
            workbook.sheet(name).table(name, _EXPLAINED[name], columns, rows, keys=keys)
        for name, frame in after.items():
            write_frame(workbook.sheet(name), frame, _EXPLAINED[name])


_CALCULATING = ("Pools", "Plans", "Issuers")


def _frames_before(settlement: Settlement) -> dict[str, pl.DataFrame]:
    """Return the sheets of what the settlement starts from."""
    plans = settlement.transfers.plans
    if settlement.plan_risk is not None:
        areas = settlement.plan_risk.areas
    else:
        keys = [c for c in ("state", "risk_pool", "rating_area_id", "gcf") if c in plans.columns]
        areas = plans.select(keys).unique().sort(keys)
    return {"Plan risk": plans.select(given_columns(plans)), "Geographic cost factors": areas}


def _frames_after(settlement: Settlement) -> dict[str, pl.DataFrame]:
    """Return the sheets of what follows the settlement, those that have rows."""
    from poolwise.report._page_parts import source_lines

    frames: dict[str, pl.DataFrame] = {}
    if settlement.high_cost is not None:
        frames["High-cost pools"] = settlement.high_cost.pools
        frames["High-cost risk pool"] = settlement.high_cost.issuers
    if settlement.mixes is not None:
        frames |= {name.replace("mix_", "Mixes, "): frame for name, frame in settlement.mix_frames().items()}
    frames["Findings"] = settlement.findings
    frames["Rows read"] = settlement.counts
    frames["Settings"] = settlement.settings
    frames["Uncertain figures"] = settlement.uncertain
    frames["Sources"] = pl.DataFrame(source_lines(settlement.tables))
    return frames


def write_frame(sheet: Sheet, frame: pl.DataFrame, explanation: str) -> None:
    """Write a frame as it is; lists as text, what does not fit on a sheet left out and said."""
    if frame.height > MOST_ROWS:
        explanation += f" Only the first {MOST_ROWS:,} rows; the files have all {frame.height:,}."
    nested = [c for c, t in frame.schema.items() if t.is_nested()]
    plain = frame.head(MOST_ROWS).with_columns(pl.col(c).cast(pl.List(pl.String)).list.join(" ") for c in nested)
    columns = [Column(c.replace("_", " "), _kind(c, t), "", _width(plain[c])) for c, t in plain.schema.items()]
    sheet.table(sheet.name, explanation, columns, plain.rows(), keys=1)


def _width(column: pl.Series) -> int:
    """Return how wide a column of text must be, in letters; 0 leaves it to the kind of the column."""
    longest = column.head(_SEEN).str.len_chars().max() if column.dtype == pl.String else None
    return min(max(longest + 2, 10), _WIDEST) if isinstance(longest, int) else 0


def _kind(name: str, dtype: pl.DataType) -> str:
    if name in _FACTORS:
        return "mean"
    if "months" in name and dtype.is_numeric():
        return "months"
    if dtype.is_integer():
        return "count"
    if dtype.is_decimal() or (dtype.is_float() and any(word in name for word in _MONEY)):
        return "dollars"
    return "mean" if dtype.is_float() else "text"
