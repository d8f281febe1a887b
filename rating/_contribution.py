"""What a household is expected to contribute to its premium: applicable percentage, annual and monthly amount."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import TableRefused
from rating._eligibility import IncomeLimits
from rating._figures import Figures
from rating._money import half_up
from rating._poverty import HIGHEST_PERCENT, income_percent

if TYPE_CHECKING:
    import polars as pl

__all__ = ["NO_PERCENTAGE", "Contributions", "annual_contribution", "monthly_contribution"]

Integers = NDArray[np.int64]

NO_PERCENTAGE = -1  # absent, not 0: 0 would mean a free benchmark
_MILLION = 1_000_000
_PERCENTAGES = "rating/ptc_applicable_percentages"


@dataclass(frozen=True)
class Contributions:
    """The schedule of one tax year.

    Attributes
    ----------
    tax_year : int
        Its year.
    limits : IncomeLimits
        The incomes that can have the credit.
    hundredths : array of int
        Applicable percentage in hundredths of a percent, by whole percent of the poverty line 0 to 401;
        :data:`NO_PERCENTAGE` where there is none.

    Examples
    --------
    >>> schedule = Contributions.of_year(Figures(), 2026)
    >>> schedule.hundredths[[100, 132, 133, 150, 199, 300, 400, 401]].tolist()
    [210, 210, 314, 419, 655, 996, 996, -1]
    """

    tax_year: int
    limits: IncomeLimits
    hundredths: Integers
    _rows: pl.DataFrame
    _row: Integers

    @classmethod
    def of_year(cls, figures: Figures, tax_year: int) -> Contributions:
        """Return the schedule of a tax year.

        Within a band from ``a`` to ``b`` percent of the poverty line the percentage goes in a straight line from
        ``first`` to ``last`` and is rounded to 0.01 percent, half up. Lower ends are inside.

        Raises
        ------
        NotYetPublished, TableMissing
            The tables do not hold the year (the percentages of 2027 are not published).
        """
        limits = IncomeLimits.of_year(figures, tax_year)
        rows = figures.rows(_PERCENTAGES, tax_year).sort("fpl_pct_from")
        hundredths = np.full(HIGHEST_PERCENT + 1, NO_PERCENTAGE, np.int64)
        row = np.full(HIGHEST_PERCENT + 1, -1, np.int64)
        for i, band in enumerate(rows.to_dicts()):
            end = HIGHEST_PERCENT if band["fpl_pct_to"] is None else band["fpl_pct_to"]
            stop = end + 1 if band["fpl_pct_to"] is None or band["upper_bound_inclusive"] else end
            inside = np.arange(band["fpl_pct_from"], min(stop, HIGHEST_PERCENT + 1))
            hundredths[inside] = _on_line(band, inside)
            row[inside] = i
        return cls(tax_year, limits, hundredths, rows, row)

    def put_down(self, figures: Figures, percent: Integers, moved: str) -> None:
        """Put down the uncertain rows that these households used."""
        rows = self._row[percent]
        used = np.bincount(rows[rows >= 0], minlength=self._rows.height)
        figures.took_part(_PERCENTAGES, self._rows, ["tax_year", "fpl_pct_from"], used, moved)
        self.limits.put_down(figures, len(percent), moved)


def _on_line(band: dict[str, Any], percent: Integers) -> Integers:
    """Return the percentages at points of a band, in hundredths of a percent, half up."""
    first, last = (int(Fraction(repr(band[name])) * _MILLION) for name in ("initial_pct", "final_pct"))
    if band["fpl_pct_to"] is None:
        if first != last:
            raise TableRefused(
                "an open band has two percentages",
                where=f"{band['_file']}, row {band['_row']}, column final_pct",
                rule="a line needs an end",
                remedy="mend the row; figures are never guessed",
            )
        return half_up(np.full(len(percent), first), _MILLION // 100)
    width = band["fpl_pct_to"] - band["fpl_pct_from"]
    value = first * width + (last - first) * (percent - band["fpl_pct_from"])
    return half_up(value, width * (_MILLION // 100))


def annual_contribution(
    income_cents: Integers, line_dollars: Integers, schedule: Contributions
) -> tuple[Integers, Integers, Integers]:
    """Return percentage of the poverty line, applicable percentage and annual contribution.

    ``contribution = income x applicable percentage``, rounded to whole dollars, half up.

    Parameters
    ----------
    income_cents, line_dollars : array of int
        Household income in cents, poverty line in dollars.
    schedule : Contributions
        Of the tax year.

    Returns
    -------
    tuple of array of int
        Percent of the poverty line (0 to 401); hundredths of a percent of income; whole dollars a year. The last two
        are :data:`NO_PERCENTAGE` where the year has no percentage for that income.

    Notes
    -----
    Source: 26 U.S.C. 36B(b)(2), (3); 26 CFR 1.36B-3(g); Form 8962, lines 5 to 8a.

    Examples
    --------
    2024, 30,000 dollars, one person: 205 percent, 2.20 percent of income, 660 dollars:

    >>> schedule = Contributions.of_year(Figures(), 2024)
    >>> [a.tolist() for a in annual_contribution(np.array([3_000_000]), np.array([14580]), schedule)]
    [[205], [220], [660]]
    """
    percent = income_percent(income_cents, line_dollars)
    hundredths = schedule.hundredths[percent]
    return percent, hundredths, contribution_dollars(income_cents, hundredths)


def contribution_dollars(income_cents: Integers, hundredths: Integers) -> Integers:
    """Return income x percentage in whole dollars, half up; :data:`NO_PERCENTAGE` where there is none.

    Examples
    --------
    >>> contribution_dollars(np.array([5_000, 2_500_000]), np.array([100, -1])).tolist()
    [1, -1]
    """
    # Cents x hundredths of a percent are millionths of a dollar.
    dollars = half_up(np.maximum(income_cents, 0) * np.maximum(hundredths, 0), 1_000_000)
    return np.where(hundredths == NO_PERCENTAGE, NO_PERCENTAGE, dollars)


def monthly_contribution(annual_dollars: Integers) -> Integers:
    """Return ``annual contribution / 12`` in whole dollars, half up; :data:`NO_PERCENTAGE` where there is none.

    Examples
    --------
    >>> monthly_contribution(np.array([660, 6570, 18, -1])).tolist()
    [55, 548, 2, -1]
    """
    return np.where(annual_dollars == NO_PERCENTAGE, NO_PERCENTAGE, half_up(np.maximum(annual_dollars, 0), 12))
