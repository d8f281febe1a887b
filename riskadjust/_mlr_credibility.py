"""The credibility addition of the medical loss ratio: base factor by life-years times factor by average deductible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _registry
from data_specs._remembered import remembered
from data_specs.errors import InputRefused, TableRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CREDIBILITY_TABLE", "MlrCredibility", "life_years", "mlr_credibility"]

CREDIBILITY_TABLE = "transfers/mlr_tables"
NOT_CREDIBLE, PARTLY_CREDIBLE, FULLY_CREDIBLE = "not_credible", "partly_credible", "fully_credible"
_MONTHS_PER_YEAR = 12
_MOST_DIGITS = 40


@dataclass(frozen=True)
class MlrCredibility:
    """The credibility of one medical loss ratio; see :func:`mlr_credibility`.

    Attributes
    ----------
    status : str
        ``not_credible`` (no ratio is tested, no rebate is due), ``partly_credible`` or ``fully_credible``.
    life_years : Fraction
        Life-years of the years taken together.
    base_factor : Fraction
        0 unless partly credible.
    average_deductible : Fraction or None
        Dollars per person, as given.
    deductible_factor : Fraction or None
        None without an average deductible.
    addition : Fraction or None
        What is added to the ratio; None when it depends on a deductible that was not given.
    uncertain : tuple of str
        Rows of the table that are marked uncertain and moved the addition.
    """

    status: str
    life_years: Fraction
    base_factor: Fraction
    average_deductible: Fraction | None
    deductible_factor: Fraction | None
    addition: Fraction | None
    uncertain: tuple[str, ...]


@dataclass(frozen=True)
class _Ladder:
    """Factors at rising keys: straight lines between, flat above the last, a value of its own below the first."""

    table: str
    keys: tuple[Fraction, ...]
    factors: tuple[Fraction, ...]
    below: Fraction | None
    marks: tuple[str, ...]
    mark_below: str

    def at(self, key: Fraction) -> tuple[Fraction | None, list[str]]:
        """Return the factor, and the rows marked uncertain that it rests on."""
        if key < self.keys[0]:
            return self.below, self._uncertain([("<", self.mark_below)], [self.keys[0]])
        if key >= self.keys[-1]:
            return self.factors[-1], self._uncertain([("", self.marks[-1])], [self.keys[-1]])
        place = max(i for i, k in enumerate(self.keys) if k <= key)
        (low, high), (a, b) = self.keys[place : place + 2], self.factors[place : place + 2]
        used = slice(place, place + 1 + (key > low))
        rows = self._uncertain([("", mark) for mark in self.marks[used]], self.keys[used])
        return a + (b - a) * (key - low) / (high - low), rows

    def _uncertain(self, marks: Sequence[tuple[str, str]], keys: Sequence[Fraction]) -> list[str]:
        return [f"{self.table} {s}{k}" for (s, mark), k in zip(marks, keys, strict=True) if mark == "uncertain"]


def mlr_credibility(
    years_of_life: Any, *, average_deductible: Any = None, figures: pl.DataFrame | None = None
) -> MlrCredibility:
    """Return the credibility addition of a medical loss ratio.

    ``addition = base(life-years) x deductible factor(average deductible per person)``. Below the first life-years of
    the table (1,000) the ratio is not credible: base and addition are 0 and the standard is presumed met; from the last
    (75,000) it is fully credible: 0 too. Between, straight lines. The deductible factor is 1 below 2,500 dollars, then
    as the table has it, with straight lines between and flat above: read literally, it jumps at 2,500.

    Parameters
    ----------
    years_of_life : number
        Life-years (member months / 12, see :func:`life_years`) of all years of the ratio.
    average_deductible : number, optional
        Dollars per person. Without it a partly credible ratio has no deductible factor and no addition: absent is
        not zero.
    figures : DataFrame, optional
        In place of ``transfers/mlr_tables``: table, key, value, verification.

    Returns
    -------
    MlrCredibility
        Exact fractions; nothing is rounded.

    Raises
    ------
    InputRefused
        Life-years or deductible are no number, or below zero.
    TableRefused
        The table's keys do not rise from a row for what lies below.

    Notes
    -----
    Source: 45 CFR 158.230 to 158.232, Tables 1 (base, verified) and 2 (deductible, from general knowledge).

    Examples
    --------
    Halfway from 1,000 (0.083) to 2,500 (0.052) life-years, and a deductible of 2,500 dollars:

    >>> found = mlr_credibility(1750, average_deductible=2500)
    >>> float(found.base_factor), float(found.deductible_factor), float(found.addition)
    (0.0675, 1.164, 0.07857)
    >>> mlr_credibility(999).status, mlr_credibility(75_000).status, mlr_credibility(3000).addition is None
    ('not_credible', 'fully_credible', True)
    """
    years = _exact(years_of_life, "life-years")
    deductible = None if average_deductible is None else _exact(average_deductible, "average deductible")
    tables = (_registry.rows(CREDIBILITY_TABLE) if figures is None else figures,)
    base, rests_on = _ladder(tables, "base_credibility").at(years)
    factor, rests_on_too = (None, []) if deductible is None else _ladder(tables, "deductible_factor").at(deductible)
    if not base:
        status = NOT_CREDIBLE if base is None else FULLY_CREDIBLE
        return MlrCredibility(status, years, Fraction(0), deductible, factor, Fraction(0), tuple(rests_on))
    addition = None if factor is None else base * factor
    uncertain = (*rests_on, *(rests_on_too if factor != 1 else ()))
    return MlrCredibility(PARTLY_CREDIBLE, years, base, deductible, factor, addition, uncertain)


def life_years(member_months: Any) -> Fraction:
    """Return life-years: member months / 12 (45 CFR 158.231).

    Examples
    --------
    >>> life_years(21_000)
    Fraction(1750, 1)
    """
    return _exact(member_months, "member months") / _MONTHS_PER_YEAR


def _exact(value: Any, name: str) -> Fraction:
    """Return a number as the decimal that is written; a float as its shortest text."""
    is_number = isinstance(value, (int, float, str, Decimal, Fraction, np.integer, np.floating))
    try:
        number = None if isinstance(value, bool) or not is_number else _fraction(value)
    except (ValueError, InvalidOperation, OverflowError):
        number = None
    if number is None or number < 0:
        raise InputRefused(
            f"{name} is not a number, zero or more",
            where=name,
            rule="45 CFR 158.231, 158.232",
            remedy="hand in life-years as a number; the average deductible in dollars per person, or leave it out",
        )
    return number


def _fraction(value: Any) -> Fraction:
    if isinstance(value, Fraction):
        return value
    number = Decimal(str(value).strip())
    if number and abs(number.adjusted()) > _MOST_DIGITS:  # its fraction would fill the memory
        raise ValueError("out of range")
    return Fraction(number)


@remembered
def _ladder(tables: tuple[pl.DataFrame], table: str) -> _Ladder:
    """Return one of the two tables in the order of its keys."""
    rows = tables[0].filter(table=table).select("key", "value", "verification").rows()
    try:
        below = [(_fraction(k[1:]), value, mark) for k, value, mark in rows if k.startswith("<")]
        steps = sorted((_fraction(k), _fraction(v), mark) for k, v, mark in rows if not k.startswith("<"))
        (first, low, low_mark) = below[0]
        value = None if low == "no credibility" else _fraction(low)
        fits = len(below) == 1 and first == steps[0][0] and all(a[0] < b[0] for a, b in pairwise(steps))
    except (IndexError, ValueError, InvalidOperation, OverflowError):
        fits = False
    if not fits:
        raise TableRefused(
            f"{table} is no table of rising keys",
            where=f"{CREDIBILITY_TABLE}, table {table}",
            rule="one row '<x' for what lies below, then x and higher keys, each once, with a decimal factor",
            remedy="mend the table that was supplied",
        )
    keys, factors, marks = zip(*steps, strict=True)
    return _Ladder(table, keys, factors, value, marks, low_mark)
