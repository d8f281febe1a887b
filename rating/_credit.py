"""The premium tax credit of households: contribution, monthly and annual credit, advance and net premium."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating._contribution import NO_PERCENTAGE, Contributions, annual_contribution, monthly_contribution
from rating._credit_amounts import annual_credit, apportioned, ehb_part, monthly_credit
from rating._eligibility import CreditEligibility, credit_eligibility
from rating._figures import Figures, whole_year
from rating._frame_rows import FrameRows, collected, word_series
from rating._money import LARGEST_MONTHLY, money_frame
from rating._outcome import Outcome, outcome_of
from rating._poverty import LARGEST_SIZE, PovertyLines
from rating._subsidy_settings import CreditSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CREDIT_REASONS", "FILING_STATUSES", "Credits", "credit_reasons", "premium_tax_credit"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

FILING_STATUSES = ("single", "head_of_household", "joint", "surviving_spouse", "separate")
SEPARATE = 4
CREDIT_REASONS = (
    "credit",
    "no_tax_return",
    "dependent_of_another",
    "separate_return",
    "income_below_limit",
    "income_above_limit",
    "no_eligible_member",
    "no_benchmark",
    "contribution_covers_benchmark",
)
CREDIT, NO_RETURN, DEPENDENT, SEPARATED, BELOW, ABOVE, NOBODY, NO_BENCHMARK, COVERED = range(9)
NO_BENCHMARK_RULE, ADVANCE_CUT = "SUB-020", "SUB-021"


@dataclass(frozen=True)
class Credits(Outcome):
    """The premium tax credits of one tax year.

    Attributes
    ----------
    households : DataFrame
        See :func:`premium_tax_credit`.
    members : DataFrame or None
        Who is eligible and why not, where members were handed in; see :class:`rating.CreditEligibility`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    tax_year : int
        The year of cover.
    """

    households: pl.DataFrame
    members: pl.DataFrame | None
    tax_year: int


def premium_tax_credit(
    households: pl.DataFrame | pl.LazyFrame,
    members: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    tax_year: int,
    settings: Mapping[str, Any] | CreditSettings | None = None,
) -> Credits:
    """Return the premium tax credit of each household for a year of cover, to the cent.

    ``p = floor(100 x income / poverty line)``, 401 above 400; ``A = income x percentage(p)`` in whole dollars;
    ``M = A / 12`` in whole dollars; ``monthly credit = min(E, max(0, B - M))`` and, for twelve months alike,
    ``annual credit = min(12 E, max(0, 12 B - A))``; for fewer months ``months x monthly credit``. B monthly benchmark
    of the coverage family, E premium for essential health benefits of its members. All roundings half up.

    Parameters
    ----------
    households : DataFrame
        A row per household_id (text): ``annual_income`` (dollars a year; everyone required to file; a negative total
        counts as zero), ``tax_household_size`` (persons), ``state`` or ``region`` (contiguous, alaska, hawaii),
        ``benchmark_monthly`` (dollars; blank: undetermined, and so is the credit). Optional: ``premium_monthly`` (gross
        premium of the plan, with tobacco load; blank: no plan limits the credit), ``ehb_pct_premium`` (ratio, 1),
        ``other_members_benchmark_monthly`` (benchmark of members of the same policy without a credit: the premium is
        apportioned), ``months`` (1 to 12, all alike; 12), ``eligible_members`` (persons), ``files_return`` (true),
        ``filing_status`` (single, head_of_household, joint, surviving_spouse, separate), ``separate_return_excepted``
        (domestic abuse or abandonment; false), ``is_dependent`` (of another taxpayer; false),
        ``has_status_exception`` (false), ``advance_monthly`` (dollars wanted; blank: as much as possible),
        ``advance_allowed`` (true).
    members : DataFrame, optional
        Persons, as in :func:`credit_eligibility`: decides ``eligible_members``, ``has_status_exception`` and
        ``advance_allowed``. The benchmark handed in must be that of the eligible members.
    tax_year : int
        The year of cover: 2014 to 2026; the percentages of 2027 are not published.
    settings : mapping, optional
        Years from which the rules of persons hold, see :class:`rating.CreditSettings`.

    Returns
    -------
    Credits
        ``households``, sorted by household_id: poverty_line (dollars a year), income_pct_of_poverty (whole percent,
        truncated), applicable_pct (percent of income; blank: the year has none for that income), annual_contribution,
        monthly_contribution (dollars; blank likewise), benchmark_monthly, premium_monthly, ehb_premium_monthly,
        premium_counted_monthly (the eligible members' part of it), credit_before_plan_monthly, monthly_credit, months,
        annual_credit, annual_basis (annual: twelve months alike; monthly), advance_monthly, net_premium_monthly (gross
        premium less advance), reason (of :data:`CREDIT_REASONS`). Amounts Decimal(18, 2).

    Raises
    ------
    InputRefused
        A column is missing or of another type. Bad rows are refused one by one and counted.
    NotYetPublished, TableMissing
        A table does not hold the year.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Source: 26 U.S.C. 36B; 26 CFR 1.36B-1 to 1.36B-3; Form 8962 and its instructions. The non-EHB part of a premium is
    always paid by the enrollee.

    Examples
    --------
    2024, one person with 30,000 dollars: 205 percent, 2.20 percent of income, 660 dollars a year and 55 a month.

    >>> import polars as pl
    >>> household = pl.DataFrame({"household_id": ["h"], "annual_income": [30000], "tax_household_size": [1],
    ...     "state": ["TX"], "benchmark_monthly": ["455.00"], "premium_monthly": ["420.00"]})
    >>> row = premium_tax_credit(household, tax_year=2024).households.row(0, named=True)
    >>> row["income_pct_of_poverty"], str(row["applicable_pct"]), str(row["annual_contribution"])
    (205, '2.20', '660.00')
    >>> str(row["monthly_credit"]), str(row["annual_credit"]), str(row["net_premium_monthly"])
    ('400.00', '4800.00', '20.00')
    """
    year, chosen = whole_year(tax_year, "tax_year"), CreditSettings.of(settings)
    figures, findings = Figures(), Findings()
    schedule = Contributions.of_year(figures, year)
    lines = PovertyLines.of_year(figures, year - 1)
    persons = None if members is None else credit_eligibility(members, households, tax_year=year, settings=chosen)
    frame = collected(households, "households", ("household_id", "annual_income", "tax_household_size"))
    given = _read(FrameRows(frame, "households", findings), persons)
    result = _credits(given, schedule, lines)
    _put_down(given, result, schedule, lines, figures, findings)
    outcome = outcome_of(findings, figures, chosen.frame())
    if persons is None:
        return Credits(_frame(given, result), None, year, **outcome.parts())
    return Credits(_frame(given, result), persons.members, year, **_with_members(outcome, persons).parts())


def _with_members(outcome: Outcome, persons: CreditEligibility) -> Outcome:
    """Return what was said of the households and of their members."""
    import polars as pl

    of_members = pl.col("table") == "members"
    noticed = persons.findings.filter(of_members | (pl.col("rule_id") == "SUB-011"))
    return replace(
        outcome,
        findings=pl.concat([outcome.findings, noticed]),
        counts=pl.concat([outcome.counts, persons.counts.filter(of_members)]),
        uncertain=pl.concat([outcome.uncertain, persons.uncertain]).unique(maintain_order=True),
        refused=outcome.refused | {name: rows for name, rows in persons.refused.items() if name == "members"},
        tables=sorted({*outcome.tables, *persons.tables}),
    )


@dataclass(frozen=True)
class _Households:
    """The rows that are used, in the order of household_id."""

    ids: pl.Series
    income: Integers
    sizes: Integers
    regions: Integers
    benchmark: Integers
    has_benchmark: Flags
    premium: Integers
    has_premium: Flags
    ehb_share: Integers
    others_benchmark: Integers
    months: Integers
    filing_bar: Integers
    has_eligible: Flags
    below_limit_allowed: Flags
    wanted: Integers
    has_wanted: Flags
    advance_allowed: Flags


def _read(rows: FrameRows, persons: CreditEligibility | None) -> _Households:
    rows.key(["household_id"])
    income = rows.income("annual_income")
    columns: dict[str, Any] = {
        "income": income.cents,
        "sizes": rows.whole("tax_household_size", 1, LARGEST_SIZE, rule_id="SUB-003"),
        "regions": rows.region(),
    }
    benchmark = rows.money("benchmark_monthly", monthly=True)
    premium = rows.money("premium_monthly", monthly=True)
    wanted = rows.money("advance_monthly", monthly=True)
    columns |= {"benchmark": benchmark.cents, "has_benchmark": benchmark.is_given}
    columns |= {"premium": premium.cents, "has_premium": premium.is_given}
    columns |= {"wanted": wanted.cents, "has_wanted": wanted.is_given}
    columns["ehb_share"] = rows.share("ehb_pct_premium")[0]
    columns["others_benchmark"] = rows.money("other_members_benchmark_monthly", monthly=True).cents
    columns["months"] = rows.whole("months", 1, 12, default=12)
    columns["filing_bar"] = _filing_bars(rows)
    columns["has_eligible"] = rows.whole("eligible_members", 0, LARGEST_SIZE, default=1) > 0
    columns["below_limit_allowed"] = rows.flag("has_status_exception", False)
    columns["advance_allowed"] = rows.flag("advance_allowed", True)
    if persons is not None:
        columns |= _from_persons(rows, persons)
        if "members" in persons.refused:
            rows.broken_with(persons.refused["members"]["household_id"].drop_nulls().unique())
    at = rows.keep(["household_id"])
    rows.note(NO_BENCHMARK_RULE, ~benchmark.is_given[at])
    return _Households(rows.frame["household_id"][at], **{name: array[at] for name, array in columns.items()})


def _filing_bars(rows: FrameRows) -> Integers:
    """Return which rule of the tax return bars a credit (0: none), as a position in :data:`CREDIT_REASONS`."""
    status = rows.choice("filing_status", FILING_STATUSES, "single")
    bar = np.zeros(rows.height, np.int64)
    bar[(status == SEPARATE) & ~rows.flag("separate_return_excepted", False)] = SEPARATED
    bar[rows.flag("is_dependent", False)] = DEPENDENT
    bar[~rows.flag("files_return", True)] = NO_RETURN
    return bar


def _from_persons(rows: FrameRows, persons: CreditEligibility) -> dict[str, Flags]:
    import polars as pl

    joined = rows.frame.select("household_id").join(
        persons.households, on="household_id", how="left", maintain_order="left"
    )
    return {
        "has_eligible": (joined["eligible_members"].fill_null(0) > 0).to_numpy(),
        "below_limit_allowed": joined["has_status_exception"].fill_null(False).to_numpy(),
        "advance_allowed": joined.select(pl.col("advance_allowed").fill_null(False)).to_series().to_numpy(),
    }


@dataclass(frozen=True)
class _Result:
    line: Integers
    percent: Integers
    hundredths: Integers
    annual: Integers
    monthly: Integers
    ehb_premium: Integers
    counted: Integers
    before_plan: Integers
    credit: Integers
    annual_credit: Integers
    advance: Integers
    net: Integers
    reasons: Integers
    is_known: Flags


def credit_reasons(
    percent: Integers,
    hundredths: Integers,
    schedule: Contributions,
    *,
    filing_bar: Integers,
    has_eligible: Flags,
    below_limit_allowed: Flags,
) -> Integers:
    """Return why a household has no credit before any amount is looked at, as positions in :data:`CREDIT_REASONS`.

    The first rule that bars counts, in the order of that tuple; 0 where none does.
    """
    reasons = np.zeros(len(percent), np.int64)
    reasons[~has_eligible] = NOBODY
    reasons[schedule.limits.is_above(percent) | (hundredths == NO_PERCENTAGE)] = ABOVE
    reasons[schedule.limits.is_below(percent) & ~below_limit_allowed] = BELOW
    return np.where(filing_bar > 0, filing_bar, reasons)


def _credits(given: _Households, schedule: Contributions, lines: PovertyLines) -> _Result:
    line = lines.dollars(given.regions, given.sizes)
    percent, hundredths, annual = annual_contribution(given.income, line, schedule)
    monthly = monthly_contribution(annual)
    reasons = credit_reasons(
        percent,
        hundredths,
        schedule,
        filing_bar=given.filing_bar,
        has_eligible=given.has_eligible,
        below_limit_allowed=given.below_limit_allowed & schedule.limits.status_exception,
    )
    is_barred = reasons > 0
    ehb_premium = ehb_part(given.premium, given.ehb_share)
    counted = apportioned(ehb_premium, given.benchmark, given.others_benchmark)
    limit = np.where(given.has_premium, counted, LARGEST_MONTHLY)
    before_plan = np.where(is_barred, 0, monthly_credit(given.benchmark, monthly, LARGEST_MONTHLY))
    credit = np.minimum(before_plan, limit)
    whole_year_credit = np.where(is_barred, 0, annual_credit(12 * given.benchmark, annual, 12 * limit))
    by_year = np.where(given.months == 12, whole_year_credit, given.months * credit)
    is_known = is_barred | given.has_benchmark
    reasons[~is_known] = NO_BENCHMARK
    reasons[(reasons == CREDIT) & (before_plan == 0) & (by_year == 0)] = COVERED
    advance = np.minimum(credit, np.where(given.has_wanted, given.wanted, LARGEST_MONTHLY))
    advance[~given.advance_allowed] = 0
    return _Result(
        line,
        percent,
        hundredths,
        annual,
        monthly,
        ehb_premium,
        counted,
        before_plan,
        credit,
        by_year,
        advance,
        np.maximum(given.premium - advance, 0),
        reasons,
        is_known,
    )


def _put_down(
    given: _Households,
    result: _Result,
    schedule: Contributions,
    lines: PovertyLines,
    figures: Figures,
    findings: Findings,
) -> None:
    """Put down the uncertain figures that took part, and what was noticed."""
    lines.put_down(figures, given.regions, given.sizes, "income_pct_of_poverty")
    schedule.put_down(figures, result.percent, "applicable_pct")
    cut = given.has_wanted & result.is_known & (given.wanted > result.advance)
    findings.note(ADVANCE_CUT, "households", int(cut.sum()))


def _frame(given: _Households, result: _Result) -> pl.DataFrame:
    import polars as pl

    has_percentage = result.hundredths != NO_PERCENTAGE
    known, paid = result.is_known, result.is_known & given.has_premium
    amounts: dict[str, tuple[Integers, Flags | None]] = {
        "poverty_line": (100 * result.line, None),
        "annual_contribution": (100 * result.annual, has_percentage),
        "monthly_contribution": (100 * result.monthly, has_percentage),
        "benchmark_monthly": (given.benchmark, given.has_benchmark),
        "premium_monthly": (given.premium, given.has_premium),
        "ehb_premium_monthly": (result.ehb_premium, given.has_premium),
        "premium_counted_monthly": (
            result.counted,
            given.has_premium & (given.has_benchmark | (given.others_benchmark == 0)),
        ),
        "credit_before_plan_monthly": (result.before_plan, known),
        "monthly_credit": (result.credit, known),
        "annual_credit": (result.annual_credit, known),
        "advance_monthly": (result.advance, known),
        "net_premium_monthly": (result.net, paid),
    }
    frame = pl.DataFrame(
        [given.ids.alias("household_id")]
        + [_nullable(name, cents, is_given) for name, (cents, is_given) in amounts.items()]
        + [
            pl.Series("income_pct_of_poverty", result.percent),
            _nullable("applicable_pct", result.hundredths, has_percentage),
            pl.Series("months", given.months),
            word_series("annual_basis", ("monthly", "annual"), (given.months == 12).astype(np.int64)),
            word_series("reason", CREDIT_REASONS, result.reasons),
        ]
    )
    # Hundredths of a percent are read like cents: two decimals.
    frame = money_frame(frame, [*amounts, "applicable_pct"]).with_columns(
        pl.col("applicable_pct").cast(pl.Decimal(5, 2))
    )
    return frame.select(
        "household_id",
        "poverty_line",
        "income_pct_of_poverty",
        "applicable_pct",
        "annual_contribution",
        "monthly_contribution",
        "benchmark_monthly",
        "premium_monthly",
        "ehb_premium_monthly",
        "premium_counted_monthly",
        "credit_before_plan_monthly",
        "monthly_credit",
        "months",
        "annual_credit",
        "annual_basis",
        "advance_monthly",
        "net_premium_monthly",
        "reason",
    )


def _nullable(name: str, values: Integers, is_given: Flags | None) -> pl.Series:
    import polars as pl

    series = pl.Series(name, values)
    return series if is_given is None else series.set(~pl.Series(is_given), None)
