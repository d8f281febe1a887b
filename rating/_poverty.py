"""The poverty line of a household, and its income as a percentage of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import TableRefused
from rating._figures import Figures

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HIGHEST_PERCENT", "REGIONS", "PovertyLines", "income_percent", "regions_of_states"]

Integers = NDArray[np.int64]

REGIONS = ("contiguous", "alaska", "hawaii")
HIGHEST_PERCENT = 401  # any income above 400 percent, as the form has it (Form 8962, worksheet 2)
LARGEST_SIZE = 1000

_GUIDELINES = "rating/federal_poverty_guidelines"
_INCREMENTS = "rating/federal_poverty_increments"


@dataclass(frozen=True)
class PovertyLines:
    """The guidelines of one year: rows of the two tables, and where each stands.

    Attributes
    ----------
    guideline_year : int
        The year in which they were published.
    """

    guideline_year: int
    _guidelines: pl.DataFrame
    _increments: pl.DataFrame
    _row: Integers
    _dollars: Integers
    _step_row: Integers
    _step: Integers

    @classmethod
    def of_year(cls, figures: Figures, guideline_year: int) -> PovertyLines:
        """Return the guidelines published in a year. The credit of a year uses those of the year before.

        Raises
        ------
        NotYetPublished, TableMissing
            None are held for that year.
        TableRefused
            A region or size is missing.

        Examples
        --------
        >>> lines = PovertyLines.of_year(Figures(), 2025)
        >>> lines.dollars(np.array([0, 0, 1]), np.array([1, 10, 2])).tolist()
        [15650, 65150, 26430]
        """
        guidelines = figures.rows(_GUIDELINES, guideline_year)
        increments = figures.rows(_INCREMENTS, guideline_year)
        largest = int(guidelines["household_size"].max())  # type: ignore[arg-type]
        row = np.full((len(REGIONS), largest + 1), -1, np.int64)
        for i, (region, size) in enumerate(guidelines.select("region", "household_size").rows()):
            row[REGIONS.index(region), size] = i
        step_row = np.full(len(REGIONS), -1, np.int64)
        for i, region in enumerate(increments["region"].to_list()):
            step_row[REGIONS.index(region)] = i
        if (row[:, 1:] < 0).any() or (step_row < 0).any():
            raise TableRefused(
                f"the guidelines of {guideline_year} leave out a region or a size",
                where=f"{_GUIDELINES}, {_INCREMENTS}",
                rule="every region has sizes 1 to the largest, and a step",
                remedy="add the missing rows; a poverty line is never guessed",
            )
        amounts = guidelines["annual_amount"].to_numpy().astype(np.int64)
        steps = increments["each_additional"].to_numpy().astype(np.int64)
        return cls(guideline_year, guidelines, increments, row, amounts[row], step_row, steps[step_row])

    def dollars(self, regions: Integers, sizes: Integers) -> Integers:
        """Return poverty lines in whole dollars a year.

        ``line = guideline of the region and size``; above the largest printed size (8) ``+ step`` for each further
        person. Sizes are looked up, not built from the step: those of 2016 are uneven.

        Parameters
        ----------
        regions : array of int
            Position in :data:`REGIONS`.
        sizes : array of int
            Persons of the tax household, 1 or more.
        """
        largest = self._dollars.shape[1] - 1
        line = self._dollars[regions, np.minimum(sizes, largest)]
        return np.asarray(line + np.maximum(sizes - largest, 0) * self._step[regions])

    def put_down(self, figures: Figures, regions: Integers, sizes: Integers, moved: str) -> None:
        """Put down the uncertain rows that these households used."""
        largest = self._dollars.shape[1] - 1
        used = np.bincount(self._row[regions, np.minimum(sizes, largest)], minlength=self._guidelines.height)
        figures.took_part(_GUIDELINES, self._guidelines, ["guideline_year", "region", "household_size"], used, moved)
        beyond = self._step_row[regions[sizes > largest]]
        used = np.bincount(beyond, minlength=self._increments.height)
        figures.took_part(_INCREMENTS, self._increments, ["guideline_year", "region"], used, moved)


def income_percent(income_cents: Integers, line_dollars: Integers) -> Integers:
    """Return incomes as a whole percentage of the poverty line: truncated, and 401 for anything above 400.

    ``percent = floor(100 x income / line)``; negative incomes count as zero.

    Parameters
    ----------
    income_cents : array of int
        Household income (modified adjusted gross income of everyone required to file) in cents.
    line_dollars : array of int
        The poverty line in dollars.

    Examples
    --------
    290.47 percent is 290; 400 percent and one cent is 401; so is 512 percent:

    >>> income_percent(np.array([4545856, 6260001, 8012800, -5]), np.array([15650] * 4)).tolist()
    [290, 401, 401, 0]
    """
    income = np.maximum(income_cents, 0)
    # Cents over dollars are hundredths of the line: percent.
    percent = np.minimum(income // line_dollars, HIGHEST_PERCENT)
    above = income > (HIGHEST_PERCENT - 1) * line_dollars
    return np.where(above, HIGHEST_PERCENT, percent)


def regions_of_states(states: pl.Series) -> pl.Series:
    """Return the position of each state's region in :data:`REGIONS`; null where no guideline is published for it.

    Examples
    --------
    >>> import polars as pl
    >>> regions_of_states(pl.Series(["TX", "AK", "HI", "DC", "PR"])).to_list()
    [0, 1, 2, 0, None]
    """
    import polars as pl

    from data_specs import _registry

    known = _registry.rows("rating/age_curve_assignment")["state"].unique().to_list()
    region = {state: REGIONS.index({"AK": "alaska", "HI": "hawaii"}.get(state, "contiguous")) for state in known}
    keys = pl.Series(list(region), dtype=pl.String)
    values = pl.Series(list(region.values()), dtype=pl.Int64)
    return states.cast(pl.String).str.to_uppercase().replace_strict(keys, values, default=None, return_dtype=pl.Int64)
