"""The data of a notice: from the advance that was paid to the credit that is due, one change at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rating._contribution import NO_PERCENTAGE
from rating._frame_rows import word_series
from rating._money import money_frame
from rating._reconcile_months import CoverMonths, annual_totals
from rating._repayment import BELOW_CAP, CAPPED, NO_CAP_AT_INCOME, NO_CAP_IN_YEAR, WAIVED

if TYPE_CHECKING:
    import polars as pl

    from rating._reconcile import Settled, TaxReturns, YearCredits

__all__ = ["ITEMS", "WHY", "notices"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

ITEMS = ("advance", "coverage", "household_size", "income", "eligibility", "repayment_limit")
UNITS = ("usd", "usd", "persons", "usd", "usd", "usd")
WHY = {
    "advance": "the advance paid was not the credit on what the exchange reckoned with",
    "coverage": "plan, benchmark or months of cover were not those reckoned with",
    "household_size": "the tax household was of another size: another poverty line",
    "income": "household income was not the estimate: another contribution",
    "eligibility": "the tax return bars the credit, or does not give one below the lower income limit",
}
LIMITS = {
    BELOW_CAP: "the excess is below the cap and repaid in full",
    CAPPED: "the excess is repaid up to the cap for income and filing",
    NO_CAP_AT_INCOME: "at 400 percent of the poverty line and more there is no cap",
    NO_CAP_IN_YEAR: "tax years after 2025 have no cap at any income",
    WAIVED: "nothing is repaid for 2020",
}

CreditsOf = Callable[[Integers, Integers, CoverMonths, Integers], "YearCredits"]


@dataclass(frozen=True)
class _Step:
    """One line of every notice: amounts before and after (cents, or persons x 100), and its effect in cents."""

    item: int
    before: Integers
    after: Integers
    effect: Integers
    contribution_before: Integers
    contribution_after: Integers
    why: Integers


def notices(
    given: TaxReturns,
    actual: CoverMonths,
    estimated: CoverMonths | None,
    found: YearCredits,
    settled: Settled,
    credits_of: CreditsOf,
) -> pl.DataFrame:
    """Return the lines of the notices, household by household.

    The credit is worked out anew after each change, in the order of :data:`ITEMS`: what the exchange reckoned with,
    then the cover as it was, the size, the income, the rules of the tax return; last the limit on repayment. Lines in
    which nothing changed are left out. Effects add up to ``net credit - repayment``.
    """
    no_bar = np.zeros(len(given.income), np.int64)
    reckoned = estimated if estimated is not None else actual
    stages = [
        credits_of(given.estimated_income, given.estimated_sizes, reckoned, no_bar),
        credits_of(given.estimated_income, given.estimated_sizes, actual, no_bar),
        credits_of(given.estimated_income, given.sizes, actual, no_bar),
        credits_of(given.income, given.sizes, actual, no_bar),
        found,
    ]
    annual = [np.where(s.hundredths == NO_PERCENTAGE, NO_PERCENTAGE, 100 * s.annual) for s in stages]
    cents = [s.cents for s in stages]
    benchmarks = [annual_totals(cover)["benchmark"][0] for cover in (reckoned, actual)]
    pairs = [
        (cents[0], settled.advance),
        (benchmarks[0], benchmarks[1]),
        (100 * given.estimated_sizes, 100 * given.sizes),
        (given.estimated_income, given.income),
        (cents[3], cents[4]),
    ]
    steps = [_Step(0, *pairs[0], cents[0] - settled.advance, annual[0], annual[0], np.zeros_like(no_bar))]
    for item in range(1, 5):
        effect = cents[item] - cents[item - 1]
        steps.append(_Step(item, *pairs[item], effect, annual[item - 1], annual[item], np.full_like(no_bar, item)))
    forgiven = settled.excess - settled.repayment
    limit = np.array([len(WHY), *range(len(WHY), len(WHY) + len(LIMITS))])[settled.why]
    steps.append(_Step(5, settled.excess, settled.repayment, forgiven, annual[4], annual[4], limit))
    all_known = settled.is_known & np.all([s.is_known for s in stages], axis=0)
    return _frame(given, steps, all_known, settled.excess > 0)


def _frame(given: TaxReturns, steps: list[_Step], known: Flags, has_excess: Flags) -> pl.DataFrame:
    import polars as pl

    parts = []
    for number, step in enumerate(steps, 1):
        is_limit = ITEMS[step.item] == "repayment_limit"
        changed = has_excess if is_limit else (step.before != step.after) | (step.effect != 0)
        rows = np.flatnonzero(known & changed)
        contributions = {
            name: pl.Series(name, amounts[rows]).set(pl.Series(amounts[rows] == NO_PERCENTAGE), None)
            for name, amounts in (
                ("contribution_before", step.contribution_before),
                ("contribution_after", step.contribution_after),
            )
        }
        parts.append(
            pl.DataFrame(
                [
                    given.ids["household_id"].gather(rows),
                    pl.Series("step", np.full(len(rows), number, np.int64)),
                    word_series("item", ITEMS, np.full(len(rows), step.item, np.int64)),
                    pl.Series("before", step.before[rows]),
                    pl.Series("after", step.after[rows]),
                    word_series("unit", UNITS, np.full(len(rows), step.item, np.int64)),
                    *contributions.values(),
                    pl.Series("effect", step.effect[rows]),
                    word_series("why", [*WHY.values(), *LIMITS.values()], step.why[rows]),
                ]
            )
        )
    frame = money_frame(pl.concat(parts), ["before", "after", "contribution_before", "contribution_after", "effect"])
    return frame.sort("household_id", "step")
