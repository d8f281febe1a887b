"""Claims paid to date completed month by month: by chain ladder or a given factor, or by the trended PMPM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from rating.filing._chain_ladder import ChainLadder
from rating.filing._experience_input import PARTS, decimal_of, month_text, run_of_months
from rating.filing._experience_rows import EXPERIENCE, ExperienceRows
from rating.filing._findings import FilingFindings, refusal
from rating.filing._formulas import CATEGORIES
from rating.filing._low_completion import CHAIN_LADDER, GIVEN, PAID, TRENDED, LowCompletion
from rating.filing._numbers import CONTEXT

__all__ = ["BASES", "EHB", "INCURRED", "NON_EHB", "Cell", "CellKey", "cell_place", "completed_cells"]

EHB, NON_EHB, INCURRED = "ehb_allowed", "non_ehb_allowed", "incurred"
BASES = (EHB, NON_EHB, INCURRED)
_FAR = Fraction(1, 50)  # rule EXP-012
_ZERO = Decimal(0)

CellKey = tuple[str, str, int]  # basis, benefit category, month from year 0
Line = tuple[str, int, str | None]  # plan, cents, text of the given factor


@dataclass
class Cell:
    """One basis, benefit category and incurred month.

    Attributes
    ----------
    paid : Decimal
        Paid to date, dollars.
    completion : Decimal
        Share that is paid; 0 where nothing was paid by this lag in any month.
    developed : Decimal or None
        Paid over completion; None where completion is 0.
    selected : Decimal
        The estimate that is used.
    method : str
        ``chain_ladder``, ``given_factor``, ``trended_pmpm``, or ``paid_to_date`` (no enrollees to estimate from).
    paid_of_plan, selected_of_plan : dict of Decimal
        The same by plan.
    estimated_from : tuple of int
        The complete months behind a trended PMPM.
    """

    paid: Decimal
    completion: Decimal
    developed: Decimal | None
    selected: Decimal
    method: str
    paid_of_plan: dict[str, Decimal] = field(default_factory=dict)
    selected_of_plan: dict[str, Decimal] = field(default_factory=dict)
    estimated_from: tuple[int, ...] = ()


def completed_cells(
    rows: ExperienceRows, chain: ChainLadder | None, rule: LowCompletion, findings: FilingFindings
) -> dict[CellKey, Cell]:
    """Return every cell of the experience, months outside of the experience period too, in the order of their keys.

    Raises
    ------
    InputRefused
        A cell has claims and no completion (EXP-013), or nothing to estimate it from (TRI-007, TRI-011).
    SettingRefused
        A month is of low completion, and no trend is given.
    """
    cells = _developed_cells(rows, chain, findings)
    months = _months(rows)
    for basis in BASES:
        for category in CATEGORIES:
            line = {m: cell for (b, c, m), cell in cells.items() if (b, c) == (basis, category)}
            low = [m for m, cell in line.items() if rule.holds(cell.completion, cell.developed)]
            inside = [m for m in low if rows.first <= m <= rows.last]
            if inside:
                complete = {m: Fraction(cell.selected) for m, cell in line.items() if m not in low}
                estimates = rule.estimates(category, inside, complete, months.total, EXPERIENCE)
                _replace(line, estimates, tuple(m for m in complete if months.total.get(m)))
                said = f"trended PMPM: {run_of_months(inside)}"
                findings.add("TRI-004", f"{EXPERIENCE}, {category}", said)
    for (_, _, month), cell in cells.items():
        _share_out(cell, months.of_plan.get(month, {}))
    return cells


@dataclass(frozen=True)
class _Months:
    """Member months by month, and by plan within it."""

    total: dict[int, Fraction]
    of_plan: dict[int, dict[str, Fraction]]


def _months(rows: ExperienceRows) -> _Months:
    total: dict[int, Fraction] = {}
    of_plan: dict[int, dict[str, Fraction]] = {}
    for month, plan, parts in rows.plan_months.select("month", "plan_id", "member_months").rows():
        number = Fraction(parts, PARTS)
        total[month] = total.get(month, Fraction(0)) + number
        of_plan.setdefault(month, {})[plan] = number
    return _Months(total, of_plan)


def _developed_cells(rows: ExperienceRows, chain: ChainLadder | None, findings: FilingFindings) -> dict[CellKey, Cell]:
    """Return the cells with the chain ladder, or the given factors where a category is not in the triangle."""
    import polars as pl

    picked = {
        EHB: rows.claims.filter("is_ehb").rename({"allowed": "cents"}),
        NON_EHB: rows.claims.filter(~pl.col("is_ehb")).rename({"allowed": "cents"}),
        INCURRED: rows.claims.rename({"incurred": "cents"}),
    }
    keys = ["category", "month", "plan_id", "completion"]
    cells: dict[CellKey, Cell] = {}
    unlike: dict[str, set[int]] = {}
    far: dict[str, set[int]] = {}
    for basis, claims in picked.items():
        summed = claims.group_by(keys).agg(pl.col("cents").sum()).sort(keys)
        grouped: dict[tuple[int, int], list[Line]] = {}
        for category, month, plan, text, cents in summed.rows():
            grouped.setdefault((category, month), []).append((plan, cents, text))
        for (category, month), lines in grouped.items():
            name = CATEGORIES[category]
            cells[basis, name, month] = _cell(name, month, lines, chain)
            texts = {text for _, _, text in lines if text is not None}
            if chain is None and len(texts) > 1:
                unlike.setdefault(name, set()).add(month)
            if chain is not None and name in chain.developments:
                share = Fraction(cells[basis, name, month].completion)
                if any(abs(Fraction(Decimal(text)) - share) > _FAR * share for text in texts):
                    far.setdefault(name, set()).add(month)
    for name, months in sorted(unlike.items()):
        findings.add("EXP-019", f"{EXPERIENCE}, {name}", run_of_months(sorted(months)))
    for name, months in sorted(far.items()):
        findings.add("EXP-012", f"{EXPERIENCE}, {name}", f"the chain ladder is used: {run_of_months(sorted(months))}")
    return cells


def _cell(category: str, month: int, lines: list[Line], chain: ChainLadder | None) -> Cell:
    """Return one cell with its claims by plan developed; the method of low completion comes later."""
    paid: dict[str, Decimal] = {}
    developed: dict[str, Decimal] = {}
    ladder = chain if chain is not None and category in chain.developments else None
    to_ultimate = None if ladder is None else ladder.to_ultimate(category, month)
    for plan, cents, text in lines:
        amount = Decimal(cents).scaleb(-2)
        if ladder is not None:
            full = amount if to_ultimate is None else CONTEXT.multiply(amount, to_ultimate)
        elif text is not None:
            full = CONTEXT.divide(amount, Decimal(text))
        elif cents == 0:
            full = amount
        else:
            raise refusal(
                "EXP-013",
                f"claims of {category} have no completion",
                f"{EXPERIENCE}, {month_text(month)}",
                "add the category to the triangle, or completion_factor to the rows (1 where claims are complete)",
            )
        paid[plan] = CONTEXT.add(paid.get(plan, _ZERO), amount)
        developed[plan] = CONTEXT.add(developed.get(plan, _ZERO), full)
    total, full = _sum(paid), _sum(developed)
    if ladder is not None:
        completion = _ZERO if to_ultimate is None else CONTEXT.divide(Decimal(1), to_ultimate)
    else:
        completion = _given(lines, total, full)
    has_no_bound = ladder is not None and to_ultimate is None
    method = GIVEN if ladder is None else CHAIN_LADDER
    return Cell(total, completion, None if has_no_bound else full, full, method, paid, developed)


def _given(lines: list[Line], total: Decimal, full: Decimal) -> Decimal:
    """Return the given factor of a cell: that of its rows, or where they differ paid over developed claims."""
    texts = {text for _, _, text in lines if text is not None}
    if len(texts) == 1:
        return Decimal(texts.pop())
    implied = CONTEXT.divide(total, full) if full else _ZERO
    return implied if 0 < implied <= 1 else min(map(Decimal, texts), default=Decimal(1))


def _sum(values: Mapping[str, Decimal]) -> Decimal:
    total = _ZERO
    for value in values.values():
        total = CONTEXT.add(total, value)
    return total


def _replace(line: dict[int, Cell], estimates: Mapping[int, Decimal | None], base: tuple[int, ...]) -> None:
    """Put the trended PMPM of the complete months in the place of the estimates of months of low completion."""
    for month, estimate in estimates.items():
        cell = line[month]
        cell.selected, cell.method = (cell.paid, PAID) if estimate is None else (estimate, TRENDED)
        cell.estimated_from = () if estimate is None else base


def _share_out(cell: Cell, months: Mapping[str, Fraction]) -> None:
    """Give plans their part of a month that was estimated for all of them: by member months."""
    if cell.method == PAID:
        cell.selected_of_plan = dict(cell.paid_of_plan)
    if cell.method == TRENDED:
        total = decimal_of(sum(months.values(), Fraction(0)))
        shares = {plan: CONTEXT.divide(decimal_of(n), total) for plan, n in months.items()}
        cell.selected_of_plan = {plan: CONTEXT.multiply(cell.selected, share) for plan, share in shares.items()}


def cell_place(category: str, month: int) -> str:
    """Return the place of a cell in the ledger: ``professional 2025-03``."""
    return f"{category} {month_text(month)}"
