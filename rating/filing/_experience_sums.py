"""Completed claims of the experience period added up: by benefit category and basis, and by plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from rating.filing._experience_cells import BASES, EHB, INCURRED, NON_EHB, Cell, CellKey
from rating.filing._experience_input import PARTS, decimal_of
from rating.filing._experience_rows import EXPERIENCE, ExperienceRows
from rating.filing._findings import FilingFindings
from rating.filing._formulas import CATEGORIES
from rating.filing._numbers import CONTEXT

__all__ = ["OF_PLAN", "Sums", "sum_of", "summed"]

OF_PLAN = ("premium", "risk_adjustment", "reinsurance")
_DRUGS = "prescription_drug"
_ZERO = Decimal(0)


@dataclass(frozen=True)
class Sums:
    """Sums over the experience period, in dollars and member months.

    Attributes
    ----------
    claims : dict of Decimal
        (basis, benefit category) -> selected estimates.
    rebates : dict of Decimal
        (is_ehb, benefit category) -> pharmacy rebates.
    claims_of_plan, paid_of_plan : dict of Decimal
        (basis, plan) -> selected estimates; claims paid to date.
    rebates_of_plan : dict of Decimal
        By plan.
    months, months_of_plan : Decimal, dict of Decimal
        Member months.
    given, given_of_plan : dict of Decimal or None
        Of each name of :data:`OF_PLAN`, and (name, plan): None where it is not given for every month and plan.
    """

    claims: dict[tuple[str, str], Decimal]
    rebates: dict[tuple[bool, str], Decimal]
    claims_of_plan: dict[tuple[str, str], Decimal]
    paid_of_plan: dict[tuple[str, str], Decimal]
    rebates_of_plan: dict[str, Decimal]
    months: Decimal
    months_of_plan: dict[str, Decimal]
    given: dict[str, Decimal | None]
    given_of_plan: dict[tuple[str, str], Decimal | None]

    def net(self, basis: str, category: str) -> Decimal:
        """Return the claims of a basis and category after rebates."""
        rebates = [self.rebates.get((basis == EHB, category), _ZERO)]
        if basis == INCURRED:
            rebates = [self.rebates.get((is_ehb, category), _ZERO) for is_ehb in (True, False)]
        return CONTEXT.subtract(self.claims.get((basis, category), _ZERO), sum_of(rebates))


def sum_of(values: Iterable[Decimal]) -> Decimal:
    """Return the sum of decimals, to 34 digits."""
    total = _ZERO
    for value in values:
        total = CONTEXT.add(total, value)
    return total


def summed(rows: ExperienceRows, cells: Mapping[CellKey, Cell], findings: FilingFindings) -> Sums:
    """Return the sums over the experience period, and put down what is odd about them."""
    claims: dict[tuple[str, str], Decimal] = {}
    of_plan: dict[tuple[str, str], Decimal] = {}
    paid: dict[tuple[str, str], Decimal] = {}
    for (basis, category, month), cell in cells.items():
        if rows.first <= month <= rows.last:
            claims[basis, category] = CONTEXT.add(claims.get((basis, category), _ZERO), cell.selected)
            for sums, cells_of in ((of_plan, cell.selected_of_plan), (paid, cell.paid_of_plan)):
                for plan, amount in cells_of.items():
                    sums[basis, plan] = CONTEXT.add(sums.get((basis, plan), _ZERO), amount)
    rebates, rebates_of_plan = _rebates(rows)
    months = _months(rows)
    given, given_of_plan = _given(rows, findings)
    found = Sums(claims, rebates, of_plan, paid, rebates_of_plan, sum_of(months.values()), months, given, given_of_plan)
    _check(found, findings)
    return found


def _rebates(rows: ExperienceRows) -> tuple[dict[tuple[bool, str], Decimal], dict[str, Decimal]]:
    import polars as pl

    inside = rows.claims.filter(pl.col("month").is_between(rows.first, rows.last), pl.col("rebates") != 0)
    by_category = inside.group_by("is_ehb", "category").agg(pl.col("rebates").sum()).sort("is_ehb", "category")
    by_plan = inside.group_by("plan_id").agg(pl.col("rebates").sum()).sort("plan_id")
    return (
        {(is_ehb, CATEGORIES[place]): Decimal(cents).scaleb(-2) for is_ehb, place, cents in by_category.rows()},
        {plan: Decimal(cents).scaleb(-2) for plan, cents in by_plan.rows()},
    )


def _months(rows: ExperienceRows) -> dict[str, Decimal]:
    import polars as pl

    inside = rows.plan_months.filter(pl.col("month").is_between(rows.first, rows.last))
    by_plan = inside.group_by("plan_id").agg(pl.col("member_months").sum()).sort("plan_id")
    return {plan: decimal_of(Fraction(parts, PARTS)) for plan, parts in by_plan.rows()}


def _given(
    rows: ExperienceRows, findings: FilingFindings
) -> tuple[dict[str, Decimal | None], dict[tuple[str, str], Decimal | None]]:
    """Return premium, risk adjustment and reinsurance, in all and by plan."""
    import polars as pl

    inside = rows.plan_months.filter(pl.col("month").is_between(rows.first, rows.last))
    given: dict[str, Decimal | None] = {}
    of_plan: dict[tuple[str, str], Decimal | None] = {}
    for name in OF_PLAN:
        by_plan = inside.group_by("plan_id").agg(pl.col(name).sum(), pl.col(name).null_count().alias("blank"))
        for plan, cents, blank in by_plan.sort("plan_id").select("plan_id", name, "blank").rows():
            of_plan[name, plan] = None if blank else Decimal(cents).scaleb(-2)
        blanks = inside[name].null_count()
        given[name] = None if blanks else Decimal(int(inside[name].sum())).scaleb(-2)
        if 0 < blanks < inside.height:
            said = f"blank for {blanks} of {inside.height} months and plans"
            findings.add("EXP-010", f"{EXPERIENCE}, column {name}", said)
    if given["reinsurance"] is None and inside["reinsurance"].null_count() == inside.height:
        findings.add("EXP-017", EXPERIENCE, "no column reinsurance")
    return given, of_plan


def _check(sums: Sums, findings: FilingFindings) -> None:
    if sums.months == 0:
        findings.add("EXP-009", EXPERIENCE, "zero member months")
    for (is_ehb, category), rebates in sums.rebates.items():
        claims = sums.claims.get((EHB if is_ehb else NON_EHB, category), _ZERO)
        if category != _DRUGS or rebates < 0 or rebates > claims:
            findings.add("EXP-014", f"{EXPERIENCE}, {category}", f"rebates {rebates:f}, claims {claims:.2f}")
    allowed = sum_of(sums.net(basis, c) for basis in (EHB, NON_EHB) for c in CATEGORIES)
    incurred = sum_of(sums.net(INCURRED, c) for c in CATEGORIES)
    if incurred > allowed:
        findings.add("EXP-015", EXPERIENCE, f"incurred {incurred:.2f}, allowed {allowed:.2f} dollars")
    for basis in BASES:
        for category in CATEGORIES:
            if sums.net(basis, category) < 0:
                said = f"{basis} {sums.net(basis, category):.2f} dollars"
                findings.add("EXP-016", f"{EXPERIENCE}, {category}", said)
