"""The workbook of failsafes: a sheet for each program, with formulas from terms to cents, and an issuer's year."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._failsafes_corridor_sheets import corridor_sheets
from poolwise.report._failsafes_grid import Cell, Grid
from poolwise.report._failsafes_loss_ratio_sheets import loss_ratio_sheets
from poolwise.report._failsafes_radv_sheets import radv_sheets
from poolwise.report._failsafes_reinsurance_sheets import reinsurance_sheets
from poolwise.report._failsafes_year import PROGRAMS, issuer_year
from poolwise.report._sheets import Column, Workbook
from poolwise.report._workbook import write_frame

if TYPE_CHECKING:
    from poolwise.report._failsafes_year import Failsafes

__all__ = ["write_failsafes_sheets"]

YEAR = "Year"
_WHY = {
    "What this is": "The failsafes beside risk adjustment for one benefit year, worked out step by step, and what each "
    "of them does to one issuer's year.",
    "Reading the amounts": "Positive is received, negative is paid. Dollars.",
    "Formulas": "The sheets of programs calculate from their terms and the rows that were read: a cell shows our value "
    "until the program recalculates it. Our sums are exact, those of the program may differ in the last digits.",
    "Not for sharing": "Small groups are not hidden here, as they are on the page.",
}
_EXPLAINED = {
    YEAR: "Premium less claims, and what each program adds or takes: every line follows from the one before.",
    "Transfers": "State payment transfers of the plan rows, as the workbook of poolwise transfers works them out.",
    "High-cost risk pool": "Payments for enrollees above the threshold, and the charge on premium that pays for them; "
    "here as if these issuers were the nation.",
    "Effect on a premium": "With an interval from people drawn again with replacement.",
    "Findings": "What was noticed in the rows, by rule; rejected rows stand in files of their own.",
    "Rows read": "Accepted and rejected rows add up to the rows read.",
    "Settings": "Every setting, term and published figure that was used, by program, and where it came from.",
    "Uncertain figures": "Figures marked uncertain that moved a result.",
    "Sources": "The tables of published figures that took part.",
}


def write_failsafes_sheets(path: Path, run: Failsafes, issuer: str, *, title: str, notes: Sequence[str] = ()) -> None:
    """Write the workbook of a run of failsafes.

    Read me, Year (of one issuer), a sheet or more for each program, then Findings, Rows read, Settings, Uncertain
    figures and Sources. Small groups are not hidden.

    Parameters
    ----------
    path : Path
        The file, ending in .xlsx.
    run : Failsafes
        The programs.
    issuer : str
        Whose year is shown.
    title : str
        On the first sheet and at the foot of printed pages.
    notes : sequence of str
        Remarks for the first sheet.

    Raises
    ------
    ExtraMissing
        When the package of the extra ``excel`` is not installed.
    """
    programs: dict[str, list[tuple[Grid, str, tuple[str, ...]]]] = {}
    if run.reinsurance is not None:
        programs["reinsurance"] = reinsurance_sheets(run)
    if run.risk_corridors is not None:
        programs["risk_corridors"] = corridor_sheets(run)
    if run.medical_loss_ratio is not None:
        programs["medical_loss_ratio"] = loss_ratio_sheets(run)
    if run.radv_adjustment is not None:
        programs["radv_adjustment"] = radv_sheets(run)
    year = _year_grid(run, issuer, programs)
    before, after = _plain_before(run), _plain_after(run)
    with Workbook(path, title) as workbook:
        grids = [(year, _EXPLAINED[YEAR], ()), *(sheet for sheets in programs.values() for sheet in sheets)]
        lines = [*_WHY.items(), *(("Note", note) for note in notes), ("", ""), ("Sheets", "")]
        lines += [(year.sheet, _EXPLAINED[YEAR]), *((name, _EXPLAINED[name]) for name in before)]
        lines += [(grid.sheet, why) for grid, why, _ in grids[1:]]
        effect_name = ["Effect on a premium"] if run.effect is not None else []
        lines += [(name, _EXPLAINED[name]) for name in (*effect_name, *after)]
        workbook.sheet("Read me").text(title, [("Benefit year", str(run.benefit_year)), *lines])
        year.write(workbook.sheet(YEAR), f"The year of issuer {issuer}", _EXPLAINED[YEAR])
        for name, frame in before.items():
            write_frame(workbook.sheet(name), frame, _EXPLAINED[name])
        for grid, why, total in grids[1:]:
            grid.write(workbook.sheet(grid.sheet), grid.sheet, why, keys=1, total=total)
        if run.effect is not None:
            effect = _effect_grid(run.effect.effects)
            effect.write(workbook.sheet(effect.sheet), effect.sheet, _EXPLAINED[effect.sheet])
        for name, frame in after.items():
            write_frame(workbook.sheet(name), frame, _EXPLAINED[name])


def _effect_grid(effects: pl.DataFrame) -> Grid:
    columns = ("value", "lower", "upper", "standard_error")
    cells = [Cell("measure", Column("Measure", "text", "", 26))]
    cells += [Cell(c, Column(c.replace("_", " ").capitalize(), "unrounded")) for c in columns]
    return Grid("Effect on a premium", cells, effects.rows(named=True))


def _year_grid(run: Failsafes, issuer: str, programs: dict[str, Any]) -> Grid:
    """Return the year of an issuer, its amounts pointing at the sheets of the programs."""
    year = issuer_year(run, issuer)
    ratios = year.loss_ratios()
    is_known = year.premium is not None and year.claims is not None
    left = year.before if is_known else None
    rows: list[dict[str, Any]] = [
        {"step": "Premium", "amount": year.premium, "after": None, "ratio": None, "source": year.source},
        {"step": "Claims", "amount": _less(year.claims), "after": left, "ratio": ratios[0], "source": ""},
    ]
    for (line, _, after), ratio in zip(year.levels(), ratios[1:], strict=True):
        rows.append(
            {
                "step": line.label,
                "program": line.program,
                "amount": line.amount,
                "after": after,
                "ratio": ratio,
                "source": line.source,
            }
        )
    premium = None if year.premium is None else "$C$6"

    def amount(_: int, row: Any) -> str | None:
        return _pointer(run, issuer, row.get("program", ""), programs)

    def left_after(number: int, _: Any) -> str | None:
        if number == 0:
            return None
        return "$C$6+{amount}" if number == 1 else f"D{5 + number}+{{amount}}"

    def ratio_of(number: int, _: Any) -> str | None:
        return None if premium is None or number == 0 else f"({premium}-{{after}})/{premium}"

    cells = [
        Cell("step", Column("Step", "text", "", 24)),
        Cell("source", Column("Where it stands", "text", "", 54)),
        Cell("amount", Column("Amount", "dollars", "positive: received"), amount),
        Cell("after", Column("Left after it", "dollars", "of premium, before expenses"), left_after),
        Cell(
            "ratio", Column("Claims / premium", "factor", "claims less all that was received, over premium"), ratio_of
        ),
    ]
    return Grid(YEAR, cells, rows)


def _less(amount: Any) -> Any:
    return None if amount is None else -amount


def _pointer(run: Failsafes, issuer: str, program: str, programs: dict[str, Any]) -> str | None:
    """Return the cells of an issuer on the sheet of a program, added; None where the program has no such sheet."""
    if program not in programs:
        return None
    grid = programs[program][-1][0]
    step = run.program(program)
    names = (step.transfers if program == "radv_adjustment" else step.issuers)["issuer_id"].to_list()
    column, sign = _COLUMN_OF_ISSUERS[program]
    places = [grid.at(column, number) for number, name in enumerate(names) if name == issuer]
    return sign + "+".join(places) if len(places) == 1 else f"{sign}({'+'.join(places)})" if places else None


# The column of an issuer's amount on the last sheet of a program, which has a row for each issuer, and its sign.
_COLUMN_OF_ISSUERS = {
    "reinsurance": ("amount", ""),
    "risk_corridors": ("paid", ""),
    "medical_loss_ratio": ("rebate", "-"),
    "radv_adjustment": ("adjustment", ""),
}


def _plain_before(run: Failsafes) -> dict[str, pl.DataFrame]:
    """Return the sheets of programs whose arithmetic stands in another workbook."""
    if run.settlement is None:
        return {}
    frames = {"Transfers": run.settlement.transfers.issuers}
    if run.settlement.high_cost is not None:
        frames["High-cost risk pool"] = run.settlement.high_cost.issuers
    return frames


def _plain_after(run: Failsafes) -> dict[str, pl.DataFrame]:
    from poolwise.report._page_parts import source_lines

    frames = {"Findings": run.findings, "Rows read": run.counts}
    frames["Settings"] = run.settings.with_columns(pl.col("program").replace(PROGRAMS))
    return frames | {"Uncertain figures": run.uncertain, "Sources": pl.DataFrame(source_lines(run.tables))}
