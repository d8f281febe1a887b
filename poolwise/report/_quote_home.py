"""The one household of a page, ready to be quoted again at other ages and incomes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from data_specs import _frames
from rating._frame_rows import collected
from rating._households import COLUMNS
from rating._money import read_money

if TYPE_CHECKING:
    from rating import Shopping

__all__ = ["Home", "born"]

_PLACE = ("state", "county_fips", "zip_code", "rating_area_id")


@dataclass(frozen=True)
class Home:
    """One household, with what its copies need.

    Attributes
    ----------
    frame : DataFrame
        Its rows, without the plan it may have asked for.
    place : dict
        The cells that say where it lives.
    area : str
        Rating area (R-XX999).
    plan_year : int
        In which policies take effect.
    is_individual : bool
        Whether the market is the individual one.
    effective_date : date
        From which the policy holds.
    income : Decimal or None
        Dollars a year.
    size : int
        Of the tax household; the number of members where `is_size_given` is false.
    """

    frame: pl.DataFrame
    place: dict[str, Any]
    area: str
    plan_year: int
    is_individual: bool
    effective_date: date
    income: Decimal | None
    size: int
    is_size_given: bool

    @classmethod
    def of(cls, households: Any, household_id: str, shopping: Shopping) -> Home:
        """Return one of some households that were quoted."""
        frame = collected(households, "households", COLUMNS)
        frame = frame.filter(pl.col("household_id") == household_id)
        # Every plan is drawn, also where one was asked for.
        frame = frame.drop("plan_id", strict=False)
        place = {c: _first(frame, c) for c in _PLACE}
        size = _first(frame, "tax_household_size")
        market = dict(shopping.settings.select("setting", "value").rows())["market"]
        return cls(
            frame,
            {c: value for c, value in place.items() if value is not None},
            shopping.offers["rating_area_id"][0],
            shopping.plan_year,
            market == "individual",
            _effective_date(frame, shopping.plan_year),
            _income(frame),
            frame.height if size is None else int(size),
            size is not None,
        )

    def copies(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows of made-up people with the place of this household."""
        return rows.with_columns(pl.lit(value).alias(name) for name, value in self.place.items())

    def answers(self) -> pl.DataFrame:
        """Return member_id, tobacco_use and credit_eligible of each member, with what a blank stands for."""
        defaults = {"tobacco_use": False, "credit_eligible": True}
        given = [c for c in defaults if c in self.frame.columns]
        return self.frame.select(
            "member_id",
            *(pl.col(c).cast(pl.Boolean).fill_null(defaults[c]) for c in given),
            *(pl.lit(value).alias(c) for c, value in defaults.items() if c not in given),
        )

    @property
    def state(self) -> str:
        """Two letters."""
        return self.area[2:4]

    @property
    def is_excepted(self) -> bool:
        """Whether Medicaid refuses all of them for their status."""
        if "has_status_exception" not in self.frame.columns:
            return False
        said = self.frame["has_status_exception"].drop_nulls()
        return len(said) > 0 and bool(said.all())


def _first(frame: pl.DataFrame, column: str) -> Any:
    """Return the cell of a household, which stands in one of its rows or in all."""
    given = frame[column].drop_nulls() if column in frame.columns else pl.Series([])
    return given[0] if len(given) else None


def _income(frame: pl.DataFrame) -> Decimal | None:
    if "annual_income" not in frame.columns:
        return None
    found = read_money(frame, "households", "annual_income")
    given = found.cents[found.is_given]
    return Decimal(int(given[0])).scaleb(-2) if len(given) else None


def _effective_date(frame: pl.DataFrame, plan_year: int) -> date:
    if "effective_date" in frame.columns:
        first = _frames.date_column(frame, "households", "effective_date").min()
        if isinstance(first, date):
            return first
    return date(plan_year, 1, 1)


def born(age: int, on: date) -> date:
    """Return a birth date of somebody who is of an age on a day.

    Examples
    --------
    >>> born(40, date(2026, 1, 1)), born(1, date(2024, 2, 29))
    (datetime.date(1986, 1, 1), datetime.date(2023, 2, 28))
    """
    day = 28 if (on.month, on.day) == (2, 29) else on.day
    return date(on.year - age, on.month, day)
