"""The experience of a filing: claims completed, split into essential health benefits and others, per member month."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from rating.filing._chain_ladder import ChainLadder, chain_ladder
from rating.filing._experience_cells import EHB, NON_EHB, Cell, CellKey, completed_cells
from rating.filing._experience_entries import experience_entries
from rating.filing._experience_input import PARTS, decimal_of, month_date
from rating.filing._experience_rows import EXPERIENCE, ExperienceRows, read_experience
from rating.filing._experience_sums import Sums, sum_of, summed
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import FilingFindings
from rating.filing._formulas import CATEGORIES, category_of
from rating.filing._ledger import MARKET, Entry
from rating.filing._low_completion import LowCompletion
from rating.filing._numbers import CONTEXT

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Experience", "experience"]

_TOLERANCE = 0.001  # rule EXP-011
_CENT = 100
_ZERO = Decimal(0)
_SETTINGS = ("development_months", "low_completion", "tail_factor")
_PLAN_COLUMNS = (
    "exp_member_months_plan",
    "exp_allowed",
    "exp_reinsurance",
    "exp_member_cost_sharing",
    "exp_incurred",
    "exp_risk_adjustment",
    "exp_premium",
)


@dataclass(frozen=True)
class Experience:
    """What a year of experience says; see :func:`experience`.

    Attributes
    ----------
    market : DataFrame
        Quantities of worksheet 1 and those behind them: name, category (null: all), value, unit, formula, role, source,
        note.
    categories : DataFrame
        benefit_category, is_ehb, allowed_paid_to_date, allowed_developed (by factors alone), allowed (the selected
        estimate), rebates, allowed_net, pmpm (of the net; null without member months).
    months : DataFrame
        benefit_category, incurred_month, basis (ehb_allowed, non_ehb_allowed, incurred), in_period, paid_to_date,
        completion, developed, selected, method (``chain_ladder``, ``given_factor``, ``trended_pmpm``,
        ``paid_to_date``), member_months, pmpm (of the selected estimate).
    plans : DataFrame
        plan_id, exp_member_months_plan, exp_allowed, exp_reinsurance, exp_member_cost_sharing, exp_incurred,
        exp_risk_adjustment, exp_premium; no row where the experience is not split by plan.
    ladder : ChainLadder or None
        The chain ladders, with a triangle: ``.factors``.
    findings : DataFrame
        rule_id, severity, where, message.
    settings : DataFrame
        setting, value, source, basis.
    period : tuple of date
        First day of the first and of the last month of the experience period.
    entries : tuple of Entry
        For the ledger: every quantity down to claims paid by category and month, and to the cells of the triangle.
    """

    market: pl.DataFrame
    categories: pl.DataFrame
    months: pl.DataFrame
    plans: pl.DataFrame
    ladder: ChainLadder | None
    findings: pl.DataFrame
    settings: pl.DataFrame
    period: tuple[date, date]
    entries: tuple[Entry, ...] = field(repr=False)

    def value(self, name: str, place: str = MARKET) -> Decimal | None:
        """Return a quantity by its name and place, exact; None where it is blank."""
        return next((e.value for e in self.entries if e.key == (name, place)), None)


def experience(
    experience: pl.DataFrame | pl.LazyFrame,
    *,
    triangle: pl.DataFrame | pl.LazyFrame | None = None,
    period: tuple[date, date] | None = None,
    plan_year: int | None = None,
    paid_through: date | None = None,
    annual_trend: Any = None,
    month_factors: Mapping[int, Any] | None = None,
    absent_cells: str = "refuse",
    settings: FilingSettings | Mapping[str, Any] | None = None,
) -> Experience:
    """Return the experience of worksheet 1: totals, and index rate by benefit category, from claims paid to date.

    ``ultimate = paid to date / completion`` by benefit category and incurred month, on the allowed and on the incurred
    basis; months of low completion take the trended PMPM of the complete months (see
    :func:`rating.filing.completion`). ``allowed = sum of ultimates - rebates``; ``ep_index_rate = EHB allowed / member
    months`` of all plans of the single risk pool; ``incurred = sum of ultimates - rebates - reinsurance``.

    Parameters
    ----------
    experience : DataFrame
        incurred_month (first day), benefit_category (of worksheet 1), is_ehb, member_months, allowed_paid_to_date,
        incurred_paid_to_date (paid by the plan, before reinsurance); a month and plan without claims has a row all the
        same, or its member months are not counted. Optional: plan_id (of all rows or of none);
        completion_factor (for categories that are not in the triangle); pharmacy_rebates (of the month, as they will
        be: they are not developed); premium, risk_adjustment, reinsurance (receipts positive): these and member_months
        belong to the month and plan, and are repeated in its rows or, but for member months, left blank in some;
        issuer_id, state, market (one each). Months outside of the period serve the rule for low completion only.
    triangle : DataFrame, optional
        See :func:`rating.filing.completion`. Its completion holds for both bases.
    period : tuple of date, optional
        First and last day of the experience period; by default the second calendar year before `plan_year` where there
        are rows of it, else the months of the frame, if they are of one year.
    plan_year : int, optional
        Year of the rates.
    paid_through, absent_cells
        As in :func:`rating.filing.completion`.
    annual_trend, month_factors
        For months of low completion, as in :func:`rating.filing.completion`.
    settings : mapping, optional
        ``development_months``, ``tail_factor``, ``low_completion`` of :class:`rating.filing.FilingSettings`.

    Returns
    -------
    Experience
        Sums in decimals of 34 digits, nothing rounded. Without member months, PMPM stay blank.

    Raises
    ------
    InputRefused
        Rules EXP-001 to EXP-005, EXP-007, EXP-013; those of the triangle.
    SettingRefused
        A setting cannot have its value; a month of low completion and no trend.

    Notes
    -----
    Sources: 45 CFR 156.80(d)(1)(i) (index rate: EHB claims of the single risk pool); URR instructions, worksheet 1;
    ASOP 23. ``.months`` of one basis is a series for :func:`rating.filing.trend_study` (claims="selected").

    Examples
    --------
    300 dollars paid, complete to 0.75, over 2 member months:

    >>> import polars as pl
    >>> from datetime import date
    >>> frame = pl.DataFrame({"incurred_month": [date(2025, 1, 1)], "benefit_category": ["professional"],
    ...     "is_ehb": [True], "member_months": [2], "allowed_paid_to_date": [300], "incurred_paid_to_date": [240],
    ...     "completion_factor": [0.75]})
    >>> found = experience(frame)
    >>> found.value("ep_index_rate_professional"), found.value("exp_incurred_claims_total")
    (Decimal('200'), Decimal('320'))
    """
    chosen = settings if isinstance(settings, FilingSettings) else FilingSettings.of(settings)
    findings = FilingFindings()
    rule = LowCompletion.of(chosen.low_completion, annual_trend, month_factors, CATEGORIES)
    rows = read_experience(experience, period, plan_year, findings)
    ladder = None
    if triangle is not None:
        ladder = chain_ladder(
            triangle,
            paid_through=paid_through,
            development_months=chosen.development_months,
            tail_factor=chosen.tail_factor,
            absent_cells=absent_cells,
            findings=findings,
        )
        _compare_paid(rows, ladder, findings)
    cells = completed_cells(rows, ladder, rule, findings)
    sums = summed(rows, cells, findings)
    entries = experience_entries(rows, cells, sums, ladder, rule.trend)
    return Experience(
        market=_market_frame(entries),
        categories=_category_frame(rows, cells, sums),
        months=_month_frame(rows, cells),
        plans=_plan_frame(rows, entries),
        ladder=ladder,
        findings=findings.frame(),
        settings=chosen.frame().filter(_is_of_experience()),
        period=(month_date(rows.first), month_date(rows.last)),
        entries=entries,
    )


def _is_of_experience() -> pl.Expr:
    import polars as pl

    return pl.col("setting").is_in(_SETTINGS)


def _compare_paid(rows: ExperienceRows, ladder: ChainLadder, findings: FilingFindings) -> None:
    """Put down categories whose triangle and experience do not hold the same claims."""
    for category in ladder.triangle.categories:
        if category not in CATEGORIES:
            continue
        claims = rows.claims.filter(category=CATEGORIES.index(category))
        by_month = [(m, ladder.paid(category, m)) for m in claims["month"].unique().to_list()]
        held = [m for m, paid in by_month if paid is not None]
        if not held:
            continue
        in_triangle = float(sum((paid for _, paid in by_month if paid is not None), Fraction(0)))
        same = claims.filter(_months_in(held))
        sums = [int(same[column].sum()) / _CENT for column in ("allowed", "incurred")]
        if all(abs(total - in_triangle) > _TOLERANCE * abs(total) for total in sums):
            said = f"triangle {in_triangle:.2f}, allowed {sums[0]:.2f}, incurred {sums[1]:.2f} dollars"
            findings.add("EXP-011", f"{EXPERIENCE}, {category}", said)


def _months_in(months: list[int]) -> pl.Expr:
    import polars as pl

    return pl.col("month").is_in(months)


# ------------------------------------------------------------------------------------------------ frames


def _market_frame(entries: tuple[Entry, ...]) -> pl.DataFrame:
    import polars as pl

    rows = [
        (
            e.name,
            category_of(e.name),
            None if e.value is None else float(e.value),
            e.unit,
            e.formula,
            e.role,
            e.source,
            e.note,
        )
        for e in entries
        if e.place == MARKET
    ]
    names = ("name", "category", "value", "unit", "formula", "role", "source", "note")
    schema = {name: pl.Float64 if name == "value" else pl.String for name in names}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _category_frame(rows: ExperienceRows, cells: Mapping[CellKey, Cell], sums: Sums) -> pl.DataFrame:
    import polars as pl

    lines: list[tuple[Any, ...]] = []
    for is_ehb, basis in ((True, EHB), (False, NON_EHB)):
        for category in CATEGORIES:
            held = [c for (b, k, m), c in cells.items() if (b, k) == (basis, category) and rows.first <= m <= rows.last]
            net = sums.net(basis, category)
            amounts = (
                sum_of(cell.paid for cell in held),
                None if any(cell.developed is None for cell in held) else sum_of(c.developed or _ZERO for c in held),
                sums.claims.get((basis, category), _ZERO),
                sums.rebates.get((is_ehb, category), _ZERO),
                net,
                CONTEXT.divide(net, sums.months) if sums.months else None,
            )
            lines.append((category, is_ehb, *(None if a is None else float(a) for a in amounts)))
    names = ("allowed_paid_to_date", "allowed_developed", "allowed", "rebates", "allowed_net", "pmpm")
    schema: dict[str, Any] = {"benefit_category": pl.String, "is_ehb": pl.Boolean}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(names, pl.Float64), orient="row")


def _month_frame(rows: ExperienceRows, cells: Mapping[CellKey, Cell]) -> pl.DataFrame:
    import polars as pl

    members: dict[int, int] = {}
    for month, parts in rows.plan_months.select("month", "member_months").rows():
        members[month] = members.get(month, 0) + parts
    lines: list[tuple[Any, ...]] = []
    for (basis, category, month), cell in cells.items():
        months = decimal_of(Fraction(members.get(month, 0), PARTS))
        pmpm = float(CONTEXT.divide(cell.selected, months)) if months else None
        developed = None if cell.developed is None else float(cell.developed)
        numbers = (float(cell.paid), float(cell.completion), developed, float(cell.selected))
        is_inside = rows.first <= month <= rows.last
        lines.append((category, month_date(month), basis, is_inside, *numbers, cell.method, float(months), pmpm))
    schema: dict[str, Any] = {"benefit_category": pl.String, "incurred_month": pl.Date, "basis": pl.String}
    schema |= {"in_period": pl.Boolean}
    schema |= dict.fromkeys(("paid_to_date", "completion", "developed", "selected"), pl.Float64)
    schema |= {"method": pl.String, "member_months": pl.Float64, "pmpm": pl.Float64}
    return pl.DataFrame(lines, schema=schema, orient="row").sort("benefit_category", "basis", "incurred_month")


def _plan_frame(rows: ExperienceRows, entries: tuple[Entry, ...]) -> pl.DataFrame:
    import polars as pl

    by_key = {e.key: e.value for e in entries}
    plans = sorted({place for name, place in by_key if name == _PLAN_COLUMNS[0]}) if rows.has_plans else []
    lines = []
    for plan in plans:
        values = [by_key.get((name, plan)) for name in _PLAN_COLUMNS]
        lines.append((plan, *(None if v is None else float(v) for v in values)))
    schema: dict[str, Any] = {"plan_id": pl.String} | dict.fromkeys(_PLAN_COLUMNS, pl.Float64)
    return pl.DataFrame(lines, schema=schema, orient="row")
