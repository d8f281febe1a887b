"""What a household's income means for its quote: contribution, eligibility, cost-sharing variant, benchmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import NotYetPublished, TableMissing
from rating._assistance import CATASTROPHIC, METAL_LEVELS, SILVER, VariantRules
from rating._contribution import NO_PERCENTAGE, Contributions, annual_contribution, monthly_contribution
from rating._credit import CREDIT, CREDIT_REASONS, credit_reasons
from rating._figures import Figures
from rating._households import Homes
from rating._poverty import PovertyLines
from rating._quote_settings import QuoteSettings
from rating._second_lowest import NOT_OFFERED, second_lowest

__all__ = ["NOTES", "NO_VARIANT", "Benchmark", "HomeCredit", "benchmark_of", "home_credit"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

NOTES = (
    *CREDIT_REASONS,
    "income_not_given",
    "percentages_not_published",
    "small_group",
    "off_exchange",
    "catastrophic",
    "metal_level_not_given",
)
NO_INCOME, NOT_PUBLISHED, SMALL_GROUP, OFF_EXCHANGE, NO_CREDIT_METAL, UNKNOWN_METAL = range(
    len(CREDIT_REASONS), len(NOTES)
)
NO_VARIANT = -1
CLASSES = ("other", "silver", "catastrophic", "off_exchange", "unknown")
OTHER_METAL, SILVER_METAL, CATASTROPHIC_METAL, OUTSIDE, UNSAID = range(len(CLASSES))


@dataclass(frozen=True)
class HomeCredit:
    """What is known of households before any premium; one entry each.

    Attributes
    ----------
    line, percent, hundredths, annual, monthly : array of int
        Poverty line in dollars, income as a whole percentage of it (-1: no income given), applicable percentage in
        hundredths of a percent, contribution in dollars a year and a month (-1: none).
    note : array of int
        Position in :data:`NOTES`; 0: the credit is the benchmark less the contribution.
    is_known : array of bool
        Whether the credit follows from the figures at hand (it may be zero).
    variant : array of int, classes of plans x households
        Row of the variant in `rules`; :data:`NO_VARIANT` where the income is not given.
    opens_catastrophic : array of bool
        Whether a catastrophic plan is open to the household.
    """

    line: Integers
    percent: Integers
    hundredths: Integers
    annual: Integers
    monthly: Integers
    note: Integers
    is_known: Flags
    variant: Integers
    rules: VariantRules
    opens_catastrophic: Flags


def home_credit(homes: Homes, plan_year: int, settings: QuoteSettings, figures: Figures) -> HomeCredit:
    """Return what incomes mean for households.

    A year whose guidelines or percentages are not published leaves the credit unknown; premiums stand all the same.
    """
    number = len(homes.income)
    persons = np.bincount(homes.covered.policy, minlength=number)
    eligible = np.bincount(homes.covered.policy[homes.is_eligible], minlength=number)
    line, percent, hundredths, annual, monthly = (np.full(number, NO_PERCENTAGE, np.int64) for _ in range(5))
    note = np.full(number, NO_INCOME if settings.market == "individual" else SMALL_GROUP, np.int64)
    rules = VariantRules.read(figures)
    variant = np.full((len(CLASSES), number), NO_VARIANT, np.int64)
    variant[OUTSIDE] = rules.off_exchange
    opens = homes.is_young | homes.is_exempt
    if settings.market == "small_group":
        variant[:] = rules.off_exchange
        return HomeCredit(
            line, percent, hundredths, annual, monthly, note, np.zeros(number, bool), variant, rules, opens
        )
    at = np.flatnonzero(homes.has_income)
    schedule = lines = None
    try:
        schedule, lines = Contributions.of_year(figures, plan_year), PovertyLines.of_year(figures, plan_year - 1)
    except (NotYetPublished, TableMissing):
        note[at] = NOT_PUBLISHED
    if schedule is not None and lines is not None and len(at):
        line[at] = lines.dollars(homes.region[at], homes.size[at])
        percent[at], hundredths[at], annual[at] = annual_contribution(homes.income[at], line[at], schedule)
        monthly[at] = monthly_contribution(annual[at])
        note[at] = credit_reasons(
            percent[at],
            hundredths[at],
            schedule,
            filing_bar=np.zeros(len(at), np.int64),
            has_eligible=eligible[at] > 0,
            below_limit_allowed=homes.has_status_exception[at] & schedule.limits.status_exception,
        )
        lines.put_down(figures, homes.region[at], homes.size[at], "monthly_credit")
        schedule.put_down(figures, percent[at], "monthly_credit")
        # One policy has one variant: of members who differ, those without reductions decide (45 CFR 155.305(g)(3)).
        has_credit = (note[at] == CREDIT) & (eligible[at] == persons[at])
        for place, metal in ((OTHER_METAL, METAL_LEVELS.index("gold")), (SILVER_METAL, SILVER)):
            variant[place, at] = rules.positions(
                percent[at],
                np.full(len(at), metal),
                has_credit=has_credit,
                is_tribal=homes.is_tribal[at],
                on_exchange=np.ones(len(at), bool),
            )
        if settings.hardship_by_income(plan_year):
            no_help = schedule.limits.is_below(percent) | schedule.limits.is_above(percent)
            no_help |= rules.by_income[np.maximum(percent, 0)] < 0
            opens = opens | (no_help & homes.has_income)
    variant[CATASTROPHIC_METAL] = rules.standard
    is_known = homes.has_income & (note != NOT_PUBLISHED)
    return HomeCredit(line, percent, hundredths, annual, monthly, note, is_known, variant, rules, opens)


def plan_classes(metal: Integers, on_exchange: Flags) -> Integers:
    """Return the class of each plan, as the variants go."""
    found = np.full(len(metal), OTHER_METAL, np.int64)
    found[metal == SILVER] = SILVER_METAL
    found[metal == CATASTROPHIC] = CATASTROPHIC_METAL
    found[metal < 0] = UNSAID
    found[~on_exchange] = OUTSIDE
    return found


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The second-lowest silver premium of some households: cents, column of the plan, and what was noticed.

    `cents` is :data:`NOT_OFFERED` and `plan` -1 where there is none.
    """

    cents: Integers
    plan: Integers
    is_missing: Flags
    is_single: Flags


def benchmark_of(premiums: Integers, settings: QuoteSettings) -> Benchmark:
    """Return the benchmark among premiums of silver plans (for essential health benefits), households x plans.

    Examples
    --------
    >>> found = benchmark_of(np.array([[30000, 28000, 28000], [NOT_OFFERED, 31000, NOT_OFFERED]]), QuoteSettings())
    >>> found.cents.tolist(), found.plan.tolist(), found.is_single.tolist()
    ([28000, 31000], [2, 1], [False, True])
    """
    found = second_lowest(premiums)
    cents, plan = found.by_plans, found.by_plans_plan
    if settings.tie == "premiums":
        cents, plan = found.by_premiums, found.by_premiums_plan
    is_missing = found.lowest >= NOT_OFFERED
    is_single = ~is_missing & (cents >= NOT_OFFERED)
    if settings.single_silver == "benchmark":
        cents, plan = np.where(is_single, found.lowest, cents), np.where(is_single, found.lowest_plan, plan)
    return Benchmark(cents, plan, is_missing, is_single)
