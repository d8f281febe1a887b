"""The premium tax credit of a tax year against the advance payments: net credit, or what is repaid, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating._contribution import NO_PERCENTAGE, Contributions, annual_contribution, monthly_contribution
from rating._credit import CREDIT_REASONS, FILING_STATUSES, SEPARATE, credit_reasons
from rating._credit_amounts import annual_credit, monthly_credit
from rating._figures import Figures, whole_year
from rating._frame_rows import FrameRows, collected, word_series
from rating._money import LARGEST_ANNUAL, LARGEST_MONTHLY, money_frame, money_series
from rating._outcome import Outcome, outcome_of
from rating._poverty import LARGEST_SIZE, PovertyLines
from rating._reconcile_months import MONTHS, CoverMonths, Statements, annual_totals, cover_months, read_statements
from rating._repayment import FILINGS, NO_CAP, REPAYMENT_REASONS, RepaymentRules
from rating._subsidy_settings import ReconcileSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BASES", "Reconciliations", "YearCredits", "reconcile", "year_credits"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

BASES = ("annual", "monthly", "annual_totals")
ALIKE, BY_MONTH, GIVEN_TOTALS = range(3)
CREDIT, NO_BENCHMARK, COVERED = CREDIT_REASONS.index("credit"), CREDIT_REASONS.index("no_benchmark"), 8
BELOW = CREDIT_REASONS.index("income_below_limit")
SEPARATED, DEPENDENT = CREDIT_REASONS.index("separate_return"), CREDIT_REASONS.index("dependent_of_another")
NO_COVER, NO_ADVANCE = "SUB-061", "SUB-062"


@dataclass(frozen=True)
class Reconciliations(Outcome):
    """The reconciliations of one tax year.

    Attributes
    ----------
    households, months, notices : DataFrame
        See :func:`reconcile`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    tax_year : int
        The tax year.
    """

    households: pl.DataFrame
    months: pl.DataFrame
    notices: pl.DataFrame
    tax_year: int


@dataclass(frozen=True)
class TaxReturns:
    """The tax households, in the order of household_id; one entry each.

    Attributes
    ----------
    ids : DataFrame
        household_id.
    income, sizes, regions : array of int
        Cents, persons, position of the poverty region.
    filing : array of int
        Position in ``_repayment.FILINGS``.
    filing_bar : array of int
        Rule of the return that bars a credit, as a position in ``_credit.CREDIT_REASONS``; 0: none.
    status_exception : array of bool
        Credit below the lower income limit for immigration status.
    on_estimate : array of bool
        Whether an advance was paid on an estimate of at least the lower limit (blank: assumed where one was paid).
    has_on_estimate : array of bool
        Whether that was said.
    estimated_income, estimated_sizes : array of int
        What the exchange estimated; the final figures where it is not said.
    has_estimate : array of bool
        Whether either was said.
    totals : dict
        Annual premium, benchmark and advance as handed in: cents and whether given.
    """

    ids: pl.DataFrame
    income: Integers
    sizes: Integers
    regions: Integers
    filing: Integers
    filing_bar: Integers
    status_exception: Flags
    on_estimate: Flags
    has_on_estimate: Flags
    estimated_income: Integers
    estimated_sizes: Integers
    has_estimate: Flags
    totals: dict[str, tuple[Integers, Flags]]


def read_returns(rows: FrameRows, statements: Statements | None) -> TaxReturns:
    """Return the tax households that are used; one with a statement that cannot be used is set aside."""
    rows.key(["household_id"])
    income, estimated = rows.income("annual_income"), rows.income("estimated_income", required=False)
    sizes = rows.whole("tax_household_size", 1, LARGEST_SIZE, rule_id="SUB-003")
    estimated_sizes = rows.whole("estimated_household_size", 0, LARGEST_SIZE, rule_id="SUB-003", default=0)
    regions = rows.region()
    has_status = "filing_status" in rows.frame.columns
    if has_status:
        status = rows.choice("filing_status", FILING_STATUSES, None)
        filing = np.where(status == FILING_STATUSES.index("single"), 0, 1)
    else:
        status = np.zeros(rows.height, np.int64)
        filing = rows.choice("filing", FILINGS, None)
    bar = np.zeros(rows.height, np.int64)
    bar[(status == SEPARATE) & ~rows.flag("separate_return_excepted", False)] = SEPARATED
    bar[rows.flag("is_dependent", False)] = DEPENDENT
    on_estimate, status_exception = rows.flag("advance_on_estimate", True), rows.flag("has_status_exception", False)
    said = np.zeros(rows.height, bool)
    if "advance_on_estimate" in rows.frame.columns:
        said = rows.frame["advance_on_estimate"].is_not_null().to_numpy()
    totals = {name: rows.money(f"annual_{name}") for name in ("premium", "benchmark", "advance")}
    if statements is not None:
        rows.broken_with(statements.broken_households)
    at = rows.keep(["household_id"])
    return TaxReturns(
        rows.frame[at].select("household_id"),
        income.cents[at],
        sizes[at],
        regions[at],
        filing[at],
        bar[at],
        status_exception[at],
        on_estimate[at],
        said[at],
        np.where(estimated.is_given, estimated.cents, income.cents)[at],
        np.where(estimated_sizes > 0, estimated_sizes, sizes)[at],
        (estimated.is_given | (estimated_sizes > 0))[at],
        {name: (money.cents[at], money.is_given[at]) for name, money in totals.items()},
    )


@dataclass(frozen=True)
class YearCredits:
    """The credit of each household for a year, and how it came about; one entry each.

    Attributes
    ----------
    line, percent, hundredths, annual, monthly : array of int
        Poverty line (dollars), percent of it, applicable percentage (hundredths of a percent), contributions (dollars).
    basis : array of int
        Position in :data:`BASES`.
    by_month : array of int, households x 12
        Credit of each month in cents, to be used where the basis is monthly.
    cents : array of int
        Credit of the year.
    is_known : array of bool
        False where a benchmark is missing.
    reasons : array of int
        Position in ``_credit.CREDIT_REASONS``.
    """

    line: Integers
    percent: Integers
    hundredths: Integers
    annual: Integers
    monthly: Integers
    basis: Integers
    by_month: Integers
    cents: Integers
    is_known: Flags
    reasons: Integers


def year_credits(
    income: Integers,
    sizes: Integers,
    regions: Integers,
    months: CoverMonths,
    totals: dict[str, tuple[Integers, Flags]],
    *,
    filing_bar: Integers,
    below_limit_allowed: Flags,
    schedule: Contributions,
    lines: PovertyLines,
) -> YearCredits:
    """Return the credit of a year of each household.

    ``sum over months of min(E, max(0, B - M))``; for twelve months alike, or where only annual totals are given,
    ``min(annual E, max(0, annual B - A))``.

    Parameters
    ----------
    income, sizes, regions : array of int
        Of the tax household.
    months : CoverMonths
        What it had in each month; no covered month: the annual totals count.
    totals : dict
        Annual premium and benchmark as handed in: cents and whether given.
    filing_bar, below_limit_allowed : array
        See ``_credit.credit_reasons``.
    schedule, lines
        Of the tax year.
    """
    line = lines.dollars(regions, sizes)
    percent, hundredths, annual = annual_contribution(income, line, schedule)
    monthly = monthly_contribution(annual)
    has_months = months.is_covered.any(axis=1)
    reasons = credit_reasons(
        percent,
        hundredths,
        schedule,
        filing_bar=filing_bar,
        has_eligible=np.asarray(months.is_eligible.any(axis=1) | ~has_months),
        below_limit_allowed=below_limit_allowed,
    )
    basis = np.where(has_months, np.where(months.are_alike, ALIKE, BY_MONTH), GIVEN_TOTALS)
    limit = np.where(months.has_premium, months.premium, LARGEST_MONTHLY)
    by_month = monthly_credit(months.benchmark, monthly[:, None], limit)
    by_month[~months.is_eligible] = 0
    whole_benchmark = np.where(basis == ALIKE, months.benchmark.sum(axis=1), totals["benchmark"][0])
    whole_limit = np.where(totals["premium"][1], totals["premium"][0], LARGEST_ANNUAL)
    whole_limit = np.where(basis == ALIKE, limit.sum(axis=1), whole_limit)
    whole = annual_credit(whole_benchmark, annual, whole_limit)
    cents = np.where(basis == BY_MONTH, by_month.sum(axis=1), whole)
    lacks_month = (months.is_eligible & ~months.has_benchmark).any(axis=1)
    lacks = np.where(basis == GIVEN_TOTALS, ~totals["benchmark"][1], lacks_month)
    is_barred = reasons > 0
    cents[is_barred] = 0
    by_month[is_barred] = 0
    is_known = is_barred | ~lacks
    reasons[~is_known] = NO_BENCHMARK
    reasons[(reasons == CREDIT) & (cents == 0)] = COVERED
    return YearCredits(line, percent, hundredths, annual, monthly, basis, by_month, cents, is_known, reasons)


def reconcile(
    returns: pl.DataFrame | pl.LazyFrame,
    months: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    tax_year: int,
    allocations: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | ReconcileSettings | None = None,
) -> Reconciliations:
    """Return the premium tax credit of a tax year against the advance payments, to the cent, and why they differ.

    Credit by month ``min(E, max(0, B - M))``, or on annual totals when the twelve months are alike; ``net credit =
    max(0, credit - advance)``; excess advance is repaid up to the cap of year, income and filing; nothing is repaid for
    2020; from 2026 there is no cap. E premium for essential health benefits, B benchmark, M monthly contribution.

    Parameters
    ----------
    returns : DataFrame
        A row per tax household: ``household_id`` (text), ``annual_income`` (dollars), ``tax_household_size``, ``state``
        or ``region``, and ``filing_status`` (single, head_of_household, joint, surviving_spouse, separate) or
        ``filing`` (single, other). Optional: ``annual_premium``, ``annual_benchmark``, ``annual_advance`` (dollars;
        used where no month is handed in), ``separate_return_excepted``, ``is_dependent``, ``has_status_exception``
        (false), ``advance_on_estimate`` (an advance was paid on an estimate of at least 100 percent: the credit is due
        below it; blank: assumed where one was paid), ``estimated_income`` and ``estimated_household_size`` (what the
        exchange reckoned with: for the notice).
    months : DataFrame, optional
        A row per household and covered month (statement 1095-A): ``household_id``, ``month`` (1 to 12),
        ``premium_monthly`` (blank: no plan limits the credit), ``benchmark_monthly``, ``advance_monthly`` (dollars;
        blank: not known). Optional: ``policy_id`` (several policies add up), ``ehb_pct_premium`` (ratio, 1),
        ``is_eligible`` (members could have the credit; true; beside such a policy one of others adds its advance
        alone), ``estimated_premium_monthly`` and ``estimated_benchmark_monthly`` (what the exchange reckoned with).
    tax_year : int
        The tax year: 2014 to 2026.
    allocations : DataFrame, optional
        Policies shared by tax households: ``policy_id``, ``household_id``, ``allocation_share`` (0 to 1), optionally
        ``first_month``, ``last_month``. Premium, benchmark and advance are divided alike, each to the cent.
    settings : mapping, optional
        ``several_benchmarks``, see :class:`rating.ReconcileSettings`.

    Returns
    -------
    Reconciliations
        ``households``, sorted by household_id: poverty_line, income_pct_of_poverty, applicable_pct (percent),
        annual_contribution, monthly_contribution, basis (of :data:`BASES`), annual_premium, annual_benchmark,
        annual_advance, annual_credit, net_credit, excess_advance, repayment_cap (where there is an excess and a cap),
        repayment, not_repaid, reason (of the credit), repayment_reason. Amounts Decimal(18, 2), blank where not known.
        ``months``: household_id, month, premium, benchmark, contribution, credit, advance (contribution and credit
        blank where the year counts as a whole). ``notices``: household_id, step, item, before, after,
        unit, contribution_before, contribution_after (dollars a year), effect (dollars, positive: to the household's
        favor), why. The effects add up to net_credit - repayment.

    Raises
    ------
    InputRefused
        A column is missing or of another type; allocations of more than the whole.
    NotYetPublished, TableMissing
        A table does not hold the year.

    Notes
    -----
    The alternative computation for the year of marriage is not made. Source: 26 U.S.C. 36B(f); 26 CFR 1.36B-4; Form
    8962; Public Law 117-2, section 9662; Public Law 119-21.

    Examples
    --------
    2026, three persons, 40,000 dollars: 150 percent, 4.19 percent of income. There is no cap.

    >>> import polars as pl
    >>> home = pl.DataFrame({"household_id": ["h"], "annual_income": [40000], "tax_household_size": [3],
    ...     "region": ["contiguous"], "filing": ["other"], "annual_premium": [10800], "annual_benchmark": [11760],
    ...     "annual_advance": [10800]})
    >>> row = reconcile(home, tax_year=2026).households.row(0, named=True)
    >>> str(row["annual_credit"]), str(row["repayment"]), row["repayment_reason"]
    ('10084.00', '716.00', 'no_cap_in_year')
    """
    from rating._notice import notices

    year, chosen = whole_year(tax_year, "tax_year"), ReconcileSettings.of(settings)
    figures, findings = Figures(), Findings()
    schedule, caps = Contributions.of_year(figures, year), RepaymentRules.of_year(figures, year)
    lines = PovertyLines.of_year(figures, year - 1)
    columns = ("household_id", "annual_income", "tax_household_size")
    statements = None if months is None else read_statements(months, allocations, findings)
    given = read_returns(FrameRows(collected(returns, "returns", columns), "returns", findings), statements)
    actual, estimated = _months(statements, given, chosen, findings)
    totals = _totals(given, actual)
    advance, has_advance = totals["advance"]
    assumed = np.where(given.has_on_estimate, given.on_estimate, advance > 0)
    allowed = assumed | (given.status_exception & schedule.limits.status_exception)

    def credits_of(income: Integers, sizes: Integers, cover: CoverMonths, bar: Integers) -> YearCredits:
        return year_credits(
            income,
            sizes,
            given.regions,
            cover,
            given.totals,
            filing_bar=bar,
            below_limit_allowed=allowed,
            schedule=schedule,
            lines=lines,
        )

    found = credits_of(given.income, given.sizes, actual, given.filing_bar)
    # Below the lower limit the credit hangs on whether an advance was paid.
    hangs = (found.reasons == BELOW) & ~given.has_on_estimate & ~has_advance
    found = replace(found, is_known=found.is_known & ~hangs)
    settled = _settle(found, advance, has_advance, given.filing, caps)
    lines.put_down(figures, given.regions, given.sizes, "income_pct_of_poverty")
    schedule.put_down(figures, found.percent, "applicable_pct")
    excess = np.where(settled.is_known, settled.excess, 0)
    caps.put_down(figures, excess, found.percent, given.filing, "repayment")
    _note(found, has_advance, actual, given, findings)
    told = notices(given, actual, estimated, found, settled, credits_of)
    return Reconciliations(
        _household_frame(given, totals, found, settled),
        _month_frame(given, actual, found),
        told,
        year,
        **outcome_of(findings, figures, chosen.frame()).parts(),
    )


def _months(
    statements: Statements | None, given: TaxReturns, settings: ReconcileSettings, findings: Findings
) -> tuple[CoverMonths, CoverMonths | None]:
    if statements is not None:
        return cover_months(statements, given.ids, settings.several_benchmarks, findings)
    shape = (given.ids.height, MONTHS)
    nothing, never = np.zeros(shape, np.int64), np.zeros(shape, bool)
    return CoverMonths(never, never, nothing, never, nothing, never, nothing, never), None


def _totals(given: TaxReturns, months: CoverMonths) -> dict[str, tuple[Integers, Flags]]:
    """Return annual premium, benchmark and advance: of the months where there are any, else as handed in."""
    has_months = months.is_covered.any(axis=1)
    of_months = annual_totals(months)
    return {
        name: (np.where(has_months, of_months[name][0], cents), np.where(has_months, of_months[name][1], is_given))
        for name, (cents, is_given) in given.totals.items()
    }


@dataclass(frozen=True)
class Settled:
    """Credit against advance; one entry per household, amounts in cents."""

    advance: Integers
    net_credit: Integers
    excess: Integers
    repayment: Integers
    cap: Integers
    why: Integers
    is_known: Flags


def _settle(
    found: YearCredits, advance: Integers, has_advance: Flags, filing: Integers, caps: RepaymentRules
) -> Settled:
    excess = np.maximum(advance - found.cents, 0)
    repayment, cap, why = caps.repaid(excess, found.percent, filing)
    net = np.maximum(found.cents - advance, 0)
    return Settled(advance, net, excess, repayment, cap, why, found.is_known & has_advance)


def _note(found: YearCredits, has_advance: Flags, months: CoverMonths, given: TaxReturns, findings: Findings) -> None:
    nothing = ~months.is_covered.any(axis=1) & ~given.totals["benchmark"][1] & ~given.totals["premium"][1]
    findings.note(NO_COVER, "returns", int(nothing.sum()))
    findings.note(NO_ADVANCE, "returns", int((~has_advance).sum()))
    findings.note("SUB-020", "returns", int((~found.is_known & ~nothing).sum()))


def _household_frame(
    given: TaxReturns, totals: dict[str, tuple[Integers, Flags]], found: YearCredits, settled: Settled
) -> pl.DataFrame:
    import polars as pl

    has_percentage = found.hundredths != NO_PERCENTAGE
    known = settled.is_known
    return given.ids.with_columns(
        money_series("poverty_line", 100 * found.line),
        pl.Series("income_pct_of_poverty", found.percent),
        money_series("applicable_pct", found.hundredths, has_percentage).cast(pl.Decimal(5, 2)),
        money_series("annual_contribution", 100 * found.annual, has_percentage),
        money_series("monthly_contribution", 100 * found.monthly, has_percentage),
        word_series("basis", BASES, found.basis),
        *(money_series(f"annual_{name}", *totals[name]) for name in ("premium", "benchmark", "advance")),
        money_series("annual_credit", found.cents, found.is_known),
        money_series("net_credit", settled.net_credit, known),
        money_series("excess_advance", settled.excess, known),
        money_series("repayment_cap", settled.cap, known & (settled.excess > 0) & (settled.cap != NO_CAP)),
        money_series("repayment", settled.repayment, known),
        money_series("not_repaid", settled.excess - settled.repayment, known),
        word_series("reason", CREDIT_REASONS, found.reasons),
        word_series("repayment_reason", REPAYMENT_REASONS, settled.why).set(~pl.Series(known), None),
    )


def _month_frame(given: TaxReturns, months: CoverMonths, found: YearCredits) -> pl.DataFrame:
    """Return the covered months; contribution and credit are blank where the year counts as a whole."""
    import polars as pl

    home, month = np.nonzero(months.is_covered)
    is_monthly = found.basis[home] == BY_MONTH
    has_percentage = found.hundredths[home] != NO_PERCENTAGE
    known = (found.is_known[home] & is_monthly) & (
        months.has_benchmark | ~months.is_eligible | (found.reasons > 0)[:, None]
    )[home, month]

    def cells(name: str, amounts: Integers, is_given: Flags) -> pl.Series:
        return pl.Series(name, amounts[home, month]).set(~pl.Series(is_given[home, month]), None)

    frame = pl.DataFrame(
        [
            given.ids["household_id"].gather(home),
            pl.Series("month", month + 1),
            cells("premium", months.premium, months.has_premium),
            cells("benchmark", months.benchmark, months.has_benchmark),
            pl.Series("contribution", 100 * found.monthly[home]).set(~pl.Series(has_percentage & is_monthly), None),
            pl.Series("credit", found.by_month[home, month]).set(~pl.Series(known), None),
            cells("advance", months.advance, months.has_advance),
        ]
    )
    return money_frame(frame, ["premium", "benchmark", "contribution", "credit", "advance"])
