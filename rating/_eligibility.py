"""Who can have the premium tax credit: incomes by year, and what holds for each person of a household."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import TableMissing
from rating._figures import Figures, whole_year
from rating._frame_rows import FrameRows, collected, word_series
from rating._outcome import Outcome, outcome_of
from rating._poverty import LARGEST_SIZE, PovertyLines, income_percent
from rating._subsidy_settings import CreditSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "EMPLOYER_OFFERS",
    "ENROLLMENT_PERIODS",
    "IMMIGRATION_STATUSES",
    "OTHER_COVERAGES",
    "PERSON_REASONS",
    "CreditEligibility",
    "IncomeLimits",
    "Offers",
    "Persons",
    "affordable_hundredths",
    "affordable_offers",
    "credit_eligibility",
    "person_reasons",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

IMMIGRATION_STATUSES = (
    "citizen",
    "permanent_resident",
    "cuban_haitian_entrant",
    "freely_associated_state",
    "other_lawfully_present",
    "not_lawfully_present",
)
CITIZEN, OTHER_LAWFUL, NOT_LAWFUL = 0, 4, 5
ENROLLMENT_PERIODS = ("open", "special", "special_income_only")
INCOME_ONLY = 2
OTHER_COVERAGES = ("none", "medicaid", "chip", "medicare", "employer", "other")
EMPLOYER_OFFERS = ("none", "employee", "relative")
PERSON_REASONS = (
    "eligible",
    "not_enrolled",
    "not_lawfully_present",
    "status_not_listed",
    "other_coverage",
    "affordable_offer",
    "income_only_enrollment",
    "income_below_limit",
    "income_above_limit",
)
ELIGIBLE, NOT_ENROLLED, NOT_PRESENT, NOT_LISTED, COVERED, OFFERED, INCOME_ONLY_PERIOD, BELOW, ABOVE = range(9)

_LIMITS = "rating/ptc_income_limits"
_AFFORDABLE = "rating/affordability_percentages"
UNKNOWN_HOUSEHOLD, NO_MEMBERS, OFFER_WITHOUT_COST = "SUB-010", "SUB-011", "SUB-012"


@dataclass(frozen=True)
class IncomeLimits:
    """The incomes that can have the credit in one tax year.

    Attributes
    ----------
    lower_pct, upper_pct : int, int or None
        Percent of the poverty line, both inside; None: no upper limit.
    status_exception : bool
        Whether lawfully present people whom Medicaid refuses for their status can have it below `lower_pct`.
    """

    lower_pct: int
    upper_pct: int | None
    status_exception: bool
    _rows: pl.DataFrame

    @classmethod
    def of_year(cls, figures: Figures, tax_year: int) -> IncomeLimits:
        """Return the limits of a tax year (26 U.S.C. 36B(c)(1)).

        Examples
        --------
        >>> [IncomeLimits.of_year(Figures(), year).upper_pct for year in (2020, 2021, 2025, 2026)]
        [400, None, None, 400]
        """
        rows = figures.rows(_LIMITS, tax_year)
        row = rows.row(0, named=True)
        return cls(row["lower_fpl_pct"], row["upper_fpl_pct"], row["below_poverty_lawfully_present_exception"], rows)

    def is_below(self, percent: Integers) -> Flags:
        """Return whose income is under the limits."""
        return percent < self.lower_pct

    def is_above(self, percent: Integers) -> Flags:
        """Return whose income is over the limits."""
        return np.zeros(len(percent), bool) if self.upper_pct is None else percent > self.upper_pct

    def put_down(self, figures: Figures, number: int, moved: str) -> None:
        """Put down the row of the year where it is uncertain."""
        figures.took_part(_LIMITS, self._rows, ["tax_year"], np.array([number]), moved)


@dataclass(frozen=True)
class Offers:
    """Employers' offers, one entry per person.

    Attributes
    ----------
    whose : array of int
        Position in :data:`EMPLOYER_OFFERS`.
    self_only_cents, family_cents : array of int
        What the employee pays a year for the cheapest cover of the employee alone, and of the family.
    has_minimum_value : array of bool
        Whether the plan pays at least 60 percent.
    """

    whose: Integers
    self_only_cents: Integers
    family_cents: Integers
    has_minimum_value: Flags


def affordable_offers(offers: Offers, income_cents: Integers, percent_hundredths: int, *, by_family: bool) -> Flags:
    """Return whose offer is affordable and has minimum value, which bars the credit.

    ``cost <= percentage x household income``, unrounded; the cost is that of the employee alone for the employee, and
    for relatives that of family cover (`by_family`, since 2023) or, before, the employee's own.

    Notes
    -----
    Source: 26 U.S.C. 36B(c)(2)(C); 26 CFR 1.36B-2(c)(3).

    Examples
    --------
    9.96 percent of 50,000 dollars is 4,980 dollars: the employee's 4,980 is affordable, the relative's 4,980.01 not.

    >>> costs = np.array([498000, 498000]), np.array([900000, 498001])
    >>> offers = Offers(np.array([1, 2]), *costs, np.array([True, True]))
    >>> affordable_offers(offers, np.array([5_000_000] * 2), 996, by_family=True).tolist()
    [True, False]
    """
    is_relative = offers.whose == EMPLOYER_OFFERS.index("relative")
    cost = np.where(is_relative & by_family, offers.family_cents, offers.self_only_cents)
    fits = cost * 10_000 <= np.maximum(income_cents, 0) * percent_hundredths
    return np.asarray((offers.whose > 0) & offers.has_minimum_value & fits)


def affordable_hundredths(figures: Figures, year: int, measure: str, number: int, moved: str) -> int:
    """Return up to which share of income cover is affordable, in hundredths of a percent.

    Raises
    ------
    NotYetPublished, TableMissing
        The table does not hold the year or the measure.

    Examples
    --------
    >>> affordable_hundredths(Figures(), 2026, "employer_required_contribution_pct", 1, "is_credit_eligible")
    996
    """
    rows = figures.rows(_AFFORDABLE, year)
    rows = rows.filter(rows["measure"] == measure)
    if rows.height == 0:
        raise TableMissing(
            f"{_AFFORDABLE} has no {measure} of {year}",
            rule="a year is used only with its own published figures",
            remedy="choose another year, or supply the row (data_specs.use(folder))",
        )
    figures.took_part(_AFFORDABLE, rows, ["plan_year", "measure"], np.array([number]), moved)
    return int(Fraction(repr(rows["percent"][0])) * 100)


@dataclass(frozen=True)
class Persons:
    """What is known of persons, one entry each; words by their position in the tuples of this module."""

    is_enrolled: Flags
    immigration_status: Integers
    medicaid_refused_for_status: Flags
    other_coverage: Integers
    has_affordable_offer: Flags
    enrollment_period: Integers


def person_reasons(
    persons: Persons, percent: Integers, limits: IncomeLimits, tax_year: int, settings: CreditSettings
) -> Integers:
    """Return why each person has no credit, as a position in :data:`PERSON_REASONS` (0: eligible).

    The first rule that bars counts, in the order of that tuple.

    Parameters
    ----------
    persons : Persons
        The persons.
    percent : array of int
        Their household's income as a percentage of the poverty line.
    limits : IncomeLimits
        Of the year.
    tax_year : int
        The year of cover.
    settings : CreditSettings
        From which year the rules hold.
    """

    def holds(since: int | None) -> bool:
        return since is not None and tax_year >= since

    status = persons.immigration_status
    by_status = persons.medicaid_refused_for_status & (status != CITIZEN) & (status != NOT_LAWFUL)
    excepted = by_status & limits.status_exception
    bars = [
        (NOT_ENROLLED, ~persons.is_enrolled),
        (NOT_PRESENT, status == NOT_LAWFUL),
        (NOT_LISTED, (status == OTHER_LAWFUL) & holds(settings.narrower_lawful_status_from)),
        (COVERED, persons.other_coverage > 0),
        (OFFERED, persons.has_affordable_offer),
        (
            INCOME_ONLY_PERIOD,
            (persons.enrollment_period == INCOME_ONLY) & holds(settings.income_only_enrollment_bars_from),
        ),
        (BELOW, limits.is_below(percent) & ~excepted),
        (ABOVE, limits.is_above(percent)),
    ]
    reasons = np.zeros(len(percent), np.int64)
    for reason, barred in reversed(bars):
        reasons[barred] = reason
    return reasons


@dataclass(frozen=True)
class CreditEligibility(Outcome):
    """Who can have the credit.

    Attributes
    ----------
    members : DataFrame
        household_id, member_id, is_enrolled, is_credit_eligible, advance_allowed, reason (of
        :data:`PERSON_REASONS`). Sorted by household_id, member_id.
    households : DataFrame
        household_id, income_pct_of_poverty, enrolled_members, eligible_members, has_status_exception (eligible below
        the lower limit for their status), advance_allowed (for every eligible member). Sorted by household_id.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    tax_year : int
        The year of cover.
    """

    members: pl.DataFrame
    households: pl.DataFrame
    tax_year: int


def credit_eligibility(
    members: pl.DataFrame | pl.LazyFrame,
    households: pl.DataFrame | pl.LazyFrame,
    *,
    tax_year: int,
    settings: Mapping[str, Any] | CreditSettings | None = None,
) -> CreditEligibility:
    """Return which members of each household can have the premium tax credit in a year, and why the others cannot.

    Size and income of the household count everyone of the tax family; benchmark and premium count only the members
    found eligible here.

    Parameters
    ----------
    members : DataFrame
        A row per person: household_id, member_id (text). Optional, a blank or missing one counts as the first word:
        ``seeks_coverage`` and ``enrolled_through_exchange`` (true); ``immigration_status`` (citizen,
        permanent_resident, cuban_haitian_entrant, freely_associated_state, other_lawfully_present,
        not_lawfully_present); ``medicaid_refused_for_status`` (false); ``other_coverage`` (none, medicaid, chip,
        medicare, employer: enrolled in an employer's plan, other); ``employer_offer`` (none, employee, relative)
        with ``employer_self_only_annual`` and ``employer_family_annual`` (dollars the employee pays a year) and
        ``employer_minimum_value`` (true); ``enrollment_period`` (open, special, special_income_only);
        ``eligibility_verified`` (true).
    households : DataFrame
        A row per household: household_id, annual_income (dollars), tax_household_size (persons), state or region
        (contiguous, alaska, hawaii).
    tax_year : int
        The year of cover.
    settings : mapping, optional
        Years from which the rules of persons hold, see :class:`CreditSettings`.

    Raises
    ------
    InputRefused
        A column is missing or of another type.
    SettingRefused
        Unknown setting or value.
    NotYetPublished, TableMissing
        The year has no poverty guideline, income limits, or (with an offer) affordability percentage.

    Notes
    -----
    Source: 26 U.S.C. 36B(c); 26 CFR 1.36B-2; Public Law 119-21, sections 71301 to 71303 (from summaries).

    Examples
    --------
    A parent and a child who has CHIP, 2026, 50,000 dollars, three in the tax family: 187 percent.

    >>> import polars as pl
    >>> members = pl.DataFrame({"household_id": ["h", "h"], "member_id": ["1", "2"],
    ...     "other_coverage": ["none", "chip"]})
    >>> household = pl.DataFrame({"household_id": ["h"], "annual_income": [50000], "tax_household_size": [3],
    ...     "state": ["CA"]})
    >>> found = credit_eligibility(members, household, tax_year=2026)
    >>> found.members["reason"].to_list(), found.households["eligible_members"].to_list()
    (['eligible', 'other_coverage'], [1])
    """
    import polars as pl

    year, chosen = whole_year(tax_year, "tax_year"), CreditSettings.of(settings)
    figures, findings = Figures(), Findings()
    rows = FrameRows(collected(members, "members", ("household_id", "member_id")), "members", findings)
    rows.key(["household_id", "member_id"])
    by_family = chosen.family_offer_from is not None and year >= chosen.family_offer_from
    persons, offers, verified = _read_persons(rows, by_family)
    bad = rows.broken_households()
    income, percent, kept = _incomes(households, bad, year, figures, findings)
    limits = IncomeLimits.of_year(figures, year)
    rows.broken_with(bad)
    place = kept.join(
        rows.frame.select("household_id").with_row_index("_at"), on="household_id", how="right", maintain_order="right"
    )["_place"]
    rows.broken(UNKNOWN_HOUSEHOLD, place.is_null().to_numpy())
    home = place.fill_null(0).to_numpy().astype(np.int64)
    if not kept.height:
        income = percent = np.zeros(1, np.int64)
    persons = replace(persons, has_affordable_offer=_affordable(offers, income[home], year, by_family, figures))
    reasons = person_reasons(persons, percent[home], limits, year, chosen)
    needs_proof = chosen.verified_before_advance_from is not None and year >= chosen.verified_before_advance_from
    at = rows.keep(["household_id", "member_id"])
    found = rows.frame[at].select("household_id", "member_id")
    eligible = reasons == ELIGIBLE
    found = found.with_columns(
        pl.Series("is_enrolled", persons.is_enrolled[at]),
        pl.Series("is_credit_eligible", eligible[at]),
        pl.Series("advance_allowed", (eligible & (verified | (not needs_proof)))[at]),
        word_series("reason", PERSON_REASONS, reasons[at]),
        pl.Series("_excepted", (eligible & limits.is_below(percent[home]))[at]),
    )
    limits.put_down(figures, len(at), "is_credit_eligible")
    unverified = eligible & ~verified & needs_proof
    _put_down_settings(figures, chosen, reasons[at], unverified[at])
    by_household = _by_household(found, kept, percent)
    findings.note(NO_MEMBERS, "households", int((by_household["enrolled_members"] == 0).sum()))
    return CreditEligibility(
        found.drop("_excepted"),
        by_household,
        year,
        **outcome_of(findings, figures, chosen.frame()).parts(),
    )


def _put_down_settings(figures: Figures, settings: CreditSettings, reasons: Integers, unverified: Flags) -> None:
    """Put down the rules of persons that are known from summaries only, where they barred someone."""
    for name, barred, moved in (
        ("income_only_enrollment_bars_from", reasons == INCOME_ONLY_PERIOD, "is_credit_eligible"),
        ("narrower_lawful_status_from", reasons == NOT_LISTED, "is_credit_eligible"),
        ("verified_before_advance_from", unverified, "advance_allowed"),
    ):
        what = f"{name} {getattr(settings, name)}: {settings.BASIS[name]}"
        figures.put_down("settings", what, moved, int(barred.sum()))


def _incomes(
    households: Any, bad: pl.Series, year: int, figures: Figures, findings: Findings
) -> tuple[Integers, Integers, pl.DataFrame]:
    """Return income (cents) and percent of the poverty line of the households kept, and their ids with places.

    `bad` are households some of whose members cannot be used: they are set aside whole.
    """
    columns = ("household_id", "annual_income", "tax_household_size")
    rows = FrameRows(collected(households, "households", columns), "households", findings)
    rows.key(["household_id"])
    income = rows.income("annual_income")
    sizes = rows.whole("tax_household_size", 1, LARGEST_SIZE, rule_id="SUB-003")
    regions = rows.region()
    rows.broken_with(bad)
    at = rows.keep(["household_id"])
    lines = PovertyLines.of_year(figures, year - 1)
    lines.put_down(figures, regions[at], sizes[at], "is_credit_eligible")
    percent = income_percent(income.cents, lines.dollars(regions, sizes))
    kept = rows.frame[at].select("household_id").with_row_index("_place")
    return income.cents[at], percent[at], kept


def _read_persons(rows: FrameRows, by_family: bool) -> tuple[Persons, Offers, Flags]:
    """Return what is known of persons (offers not yet judged), their employers' offers, and who is verified."""
    status = rows.choice("immigration_status", IMMIGRATION_STATUSES, "citizen")
    whose = rows.choice("employer_offer", EMPLOYER_OFFERS, "none")
    self_only, family = rows.money("employer_self_only_annual"), rows.money("employer_family_annual")
    offers = Offers(whose, self_only.cents, family.cents, rows.flag("employer_minimum_value", True))
    needs_family = (whose == EMPLOYER_OFFERS.index("relative")) & by_family
    has_cost = np.where(needs_family, family.is_given, self_only.is_given)
    rows.broken(OFFER_WITHOUT_COST, (whose > 0) & ~has_cost)
    persons = Persons(
        is_enrolled=rows.flag("seeks_coverage", True) & rows.flag("enrolled_through_exchange", True),
        immigration_status=status,
        medicaid_refused_for_status=rows.flag("medicaid_refused_for_status", False),
        other_coverage=rows.choice("other_coverage", OTHER_COVERAGES, "none"),
        has_affordable_offer=np.zeros(rows.height, bool),
        enrollment_period=rows.choice("enrollment_period", ENROLLMENT_PERIODS, "open"),
    )
    return persons, offers, rows.flag("eligibility_verified", True)


def _affordable(offers: Offers, income: Integers, year: int, by_family: bool, figures: Figures) -> Flags:
    """Return whose employer's offer is affordable; the percentage of the year is asked for only where one is."""
    number = int((offers.whose > 0).sum())
    if not number:
        return np.zeros(len(income), bool)
    measure = "employer_required_contribution_pct"
    hundredths = affordable_hundredths(figures, year, measure, number, "is_credit_eligible")
    return affordable_offers(offers, income, hundredths, by_family=by_family)


def _by_household(members: pl.DataFrame, kept: pl.DataFrame, percent: Integers) -> pl.DataFrame:
    import polars as pl

    eligible = pl.col("is_credit_eligible")
    counts = members.group_by("household_id").agg(
        enrolled_members=pl.col("is_enrolled").sum().cast(pl.Int64),
        eligible_members=eligible.sum().cast(pl.Int64),
        has_status_exception=pl.col("_excepted").any(),
        advance_allowed=eligible.any() & (pl.col("advance_allowed") | ~eligible).all(),
    )
    whole = kept.select("household_id").with_columns(pl.Series("income_pct_of_poverty", percent[: kept.height]))
    joined = whole.join(counts, on="household_id", how="left", maintain_order="left", validate="1:1")
    return joined.with_columns(
        pl.col("enrolled_members", "eligible_members").fill_null(0),
        pl.col("has_status_exception", "advance_allowed").fill_null(False),
    )
