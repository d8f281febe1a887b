"""How much of excess advance payments is repaid: caps by year, income and filing, and the year without repayment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import TableRefused
from rating._figures import Figures
from rating._poverty import HIGHEST_PERCENT

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FILINGS", "REPAYMENT_REASONS", "RepaymentRules"]

Integers = NDArray[np.int64]

FILINGS = ("single", "other")
REPAYMENT_REASONS = ("no_excess", "below_cap", "capped", "no_cap_at_income", "no_cap_in_year", "waived")
NO_EXCESS, BELOW_CAP, CAPPED, NO_CAP_AT_INCOME, NO_CAP_IN_YEAR, WAIVED = range(6)
NO_CAP = -1
_TABLE = "rating/ptc_repayment_caps"


@dataclass(frozen=True)
class RepaymentRules:
    """The caps of one tax year.

    Attributes
    ----------
    cap_cents : array of int, filings x percent 0 to 401
        The cap; :data:`NO_CAP`: none.
    is_waived : bool
        Whether nothing is repaid in this year.
    """

    cap_cents: Integers
    is_waived: bool
    _rows: pl.DataFrame
    _row: Integers

    @classmethod
    def of_year(cls, figures: Figures, tax_year: int) -> RepaymentRules:
        """Return the caps of a tax year; bands hold from their lower end, inside, to their upper end, not inside.

        Raises
        ------
        NotYetPublished, TableMissing
            The table does not hold the year.
        TableRefused
            An income or filing has no row.

        Examples
        --------
        >>> rules = RepaymentRules.of_year(Figures(), 2024)
        >>> rules.cap_cents[:, [199, 200, 399, 400]].tolist()
        [[37500, 95000, 157500, -1], [75000, 190000, 315000, -1]]
        >>> RepaymentRules.of_year(Figures(), 2020).is_waived
        True
        """
        rows = figures.rows(_TABLE, tax_year)
        row = np.full((len(FILINGS), HIGHEST_PERCENT + 1), -1, np.int64)
        for i, band in enumerate(rows.to_dicts()):
            filings = range(len(FILINGS)) if band["filing"] == "any" else [FILINGS.index(band["filing"])]
            end = HIGHEST_PERCENT + 1 if band["fpl_pct_below"] is None else band["fpl_pct_below"]
            for filing in filings:
                row[filing, band["fpl_pct_from"] : end] = i
        if (row < 0).any():
            raise TableRefused(
                f"the repayment caps of {tax_year} leave out an income or filing",
                where=_TABLE,
                rule="every income has a cap or a row that says there is none",
                remedy="add the missing rows",
            )
        caps = rows["cap_usd"].fill_null(NO_CAP).to_numpy().astype(np.int64)
        cents = np.where(caps == NO_CAP, NO_CAP, 100 * caps)
        return cls(cents[row], bool(rows["repayment_waived"].any()), rows, row)

    def repaid(self, excess: Integers, percent: Integers, filing: Integers) -> tuple[Integers, Integers, Integers]:
        """Return repayment, the cap that was looked at (:data:`NO_CAP`: none), and why.

        ``repayment = min(excess, cap)``, all of it without a cap, nothing in a year without repayment.

        Parameters
        ----------
        excess : array of int
            Advance payments above the credit, in cents.
        percent : array of int
            Income in whole percent of the poverty line.
        filing : array of int
            Position in :data:`FILINGS`.

        Examples
        --------
        >>> rules = RepaymentRules.of_year(Figures(), 2024)
        >>> [a.tolist() for a in rules.repaid(np.array([100_000, 100_000]), np.array([205, 401]), np.array([0, 0]))]
        [[95000, 100000], [95000, -1], [2, 3]]
        """
        cap = self.cap_cents[filing, percent]
        has_cap = cap != NO_CAP
        repayment = np.where(has_cap, np.minimum(excess, cap), excess)
        no_cap = NO_CAP_AT_INCOME if (self.cap_cents != NO_CAP).any() else NO_CAP_IN_YEAR
        why = np.where(~has_cap, no_cap, np.where(excess > cap, CAPPED, BELOW_CAP))
        if self.is_waived:
            repayment, why = np.zeros_like(repayment), np.full_like(why, WAIVED)
        return repayment, cap, np.where(excess > 0, why, NO_EXCESS)

    def put_down(self, figures: Figures, excess: Integers, percent: Integers, filing: Integers, moved: str) -> None:
        """Put down the uncertain rows that decided a repayment."""
        used = np.bincount(self._row[filing, percent][excess > 0], minlength=self._rows.height)
        figures.took_part(_TABLE, self._rows, ["tax_year", "fpl_pct_from", "filing"], used, moved)
