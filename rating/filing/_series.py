"""Monthly series of claims as they arrive, and their PMPM on an even calendar."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating.filing._experience_input import (
    PARTS,
    collected,
    days_of_month,
    dollars,
    month_date,
    months_column,
    quantities,
)
from rating.filing._findings import refuse_rows

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ALL", "DAY_BASES", "INDICES", "SERIES", "MonthlySeries", "calendar_pmpm", "day_factors", "read_series"]

Integers = NDArray[np.int64]

SERIES = "monthly_series"
ALL = "all"  # the one category of a series without categories
INDICES = ("demographic_index", "area_index", "benefit_index")
DAY_BASES = ("calendar", "weekdays", "given", "none")
WORKING_DAYS = "working_days"
_YEAR = Fraction(36525, 100)  # days of a mean year
_MONTHS = 12
_WEEK, _WEEKDAYS = 7, 5
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


@dataclass(frozen=True)
class MonthlySeries:
    """One category's months, in order; exact numbers.

    Attributes
    ----------
    category : str
        ``"all"`` where the frame has no categories.
    months : list of int
        Counted from year 0.
    member_months, claims : list of Fraction
        Claims in dollars.
    services : list of Fraction or None
        Number of services.
    indices : dict of list of Fraction
        By name, those of :data:`INDICES` that the frame has.
    working_days : list of Fraction or None
        As given.
    """

    category: str
    months: list[int]
    member_months: list[Fraction]
    claims: list[Fraction]
    services: list[Fraction] | None
    indices: dict[str, list[Fraction]]
    working_days: list[Fraction] | None

    def holes(self) -> list[int]:
        """Return the months between the first and the last that are not there."""
        held = set(self.months)
        return [m for m in range(self.months[0], self.months[-1] + 1) if m not in held]


def read_series(given: Any, claims: str) -> list[MonthlySeries]:
    """Return the series of a frame, by category in alphabetical order.

    Raises
    ------
    InputRefused
        Rule SER-001.
    """
    frame = collected(given, SERIES, ("incurred_month", "member_months", claims))
    months = months_column(frame, SERIES, "incurred_month", "SER-001")
    category = _categories(frame)
    keys = np.stack([category[1], months])
    order = np.lexsort(keys[::-1])
    same = (keys[:, order][:, 1:] == keys[:, order][:, :-1]).all(axis=0)
    double = np.zeros(len(months), bool)
    double[order[1:][same]] = True
    refuse_rows("SER-001", SERIES, "incurred_month", double, "a month stands twice", "add its rows up first")
    member = _parts(frame, "member_months")
    cents, _ = dollars(frame, SERIES, claims, "SER-001")
    optional = {c: _parts(frame, c, above_zero=c in INDICES) for c in _OPTIONAL if c in frame.columns}
    found = []
    for place, name in enumerate(category[0]):
        rows = order[category[1][order] == place]
        extra = {c: [parts[i] for i in rows.tolist()] for c, parts in optional.items()}
        found.append(
            MonthlySeries(
                category=name,
                months=months[rows].tolist(),
                member_months=[member[i] for i in rows.tolist()],
                claims=[Fraction(int(c), 100) for c in cents[rows]],
                services=extra.get("services"),
                indices={c: extra[c] for c in INDICES if c in extra},
                working_days=extra.get(WORKING_DAYS),
            )
        )
    return found


_OPTIONAL = (*INDICES, "services", WORKING_DAYS)


def _parts(frame: pl.DataFrame, column: str, *, above_zero: bool = False) -> list[Fraction]:
    return [Fraction(int(p), PARTS) for p in quantities(frame, SERIES, column, "SER-001", above_zero=above_zero)]


def _categories(frame: pl.DataFrame) -> tuple[list[str], Integers]:
    """Return the categories, and the place of each row's among them."""
    if "benefit_category" not in frame.columns:
        return [ALL], np.zeros(frame.height, np.int64)
    text = _frames.text_column(frame, SERIES, "benefit_category").str.strip_chars()
    blank = (text.is_null() | (text == "").fill_null(True)).to_numpy()
    refuse_rows("SER-001", SERIES, "benefit_category", blank, "the category is blank", "name it")
    names = sorted(text.unique().to_list())
    return names, text.replace_strict(names, range(len(names))).to_numpy().astype(np.int64)


def day_factors(series: MonthlySeries, day_basis: str) -> list[Fraction]:
    """Return what each month's PMPM is multiplied with so that all months have the same days.

    ``calendar``: 365.25 / 12 over the days of the month (29 in February of a leap year); ``weekdays``: 365.25 / 12 x
    5 / 7 over its Mondays to Fridays; ``given``: the mean of `working_days` over those of the month; ``none``: 1.

    Raises
    ------
    SettingRefused
        No such basis, or no working days for ``given``.

    Examples
    --------
    >>> series = MonthlySeries("all", [2024 * 12 + 1], [Fraction(1)], [Fraction(1)], None, {}, None)
    >>> float(day_factors(series, "calendar")[0]) == 365.25 / 12 / 29
    True
    >>> 365.25 / 12 * 5 / 7 / float(day_factors(series, "weekdays")[0])
    21.0
    """
    if day_basis not in DAY_BASES:
        shown = ", ".join(repr(b) for b in DAY_BASES)
        raise SettingRefused(f"setting 'day_basis' cannot be {day_basis!r}", remedy=f"choose one of {shown}")
    if day_basis == "none":
        return [Fraction(1)] * len(series.months)
    months = np.array(series.months, np.int64)
    if day_basis == "calendar":
        return [_YEAR / _MONTHS / int(days) for days in days_of_month(months)]
    if day_basis == "weekdays":
        return [_YEAR / _MONTHS * Fraction(_WEEKDAYS, _WEEK) / int(days) for days in _weekdays(months)]
    if series.working_days is None or min(series.working_days) <= 0:
        raise SettingRefused(
            "day_basis 'given' needs the working days of every month, above zero",
            where=f"{SERIES}, column {WORKING_DAYS}",
            remedy="add the column, or choose 'calendar' or 'weekdays'",
        )
    mean = sum(series.working_days, Fraction(0)) / len(series.working_days)
    return [mean / days for days in series.working_days]


def _weekdays(months: Integers) -> Integers:
    first = (months - 1970 * _MONTHS).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    found = np.zeros(len(months), np.int64)
    for day in range(31):
        weekday = (first + day + _EPOCH_WEEKDAY) % _WEEK
        found += (weekday < _WEEKDAYS) & (day < days_of_month(months))
    return found


def calendar_pmpm(
    series: pl.DataFrame | pl.LazyFrame, *, claims: str = "allowed", day_basis: str = "calendar"
) -> pl.DataFrame:
    """Return PMPM by month, as it is and on an even calendar.

    ``pmpm = claims / member months``; ``normalized = pmpm / days x 365.25 / 12``, so that February and the leap day
    make no trend; with working days d, ``pmpm / d x mean d``. To be used on allowed claims: deductibles make paid PMPM
    rise within the year.

    Parameters
    ----------
    series : DataFrame
        incurred_month (first day), member_months, the column of claims in dollars; optional benefit_category and
        working_days.
    claims : str
        Column of claims.
    day_basis : {"calendar", "weekdays", "given", "none"}
        Days of the month, its Mondays to Fridays, the column working_days, or no normalization.

    Returns
    -------
    DataFrame
        benefit_category (``all`` without one), incurred_month, member_months, claims, pmpm, day_factor, normalized_pmpm
        (null without member months); sorted.

    Raises
    ------
    InputRefused
        Rule SER-001.
    SettingRefused
        No such basis, or no working days.

    Notes
    -----
    Source: actuarial practice of trend studies (45 CFR 154.301(a)(3)(i), (4)(i)).

    Examples
    --------
    >>> import polars as pl
    >>> from datetime import date
    >>> months = pl.DataFrame({"incurred_month": [date(2024, 2, 1), date(2025, 2, 1)], "member_months": [10, 10],
    ...     "allowed": [2900, 2800]})
    >>> calendar_pmpm(months).select("pmpm", "normalized_pmpm").rows()
    [(290.0, 304.375), (280.0, 304.375)]
    """
    import polars as pl

    lines: list[tuple[Any, ...]] = []
    for one in read_series(series, claims):
        factors = day_factors(one, day_basis)
        for month, n, c, factor in zip(one.months, one.member_months, one.claims, factors, strict=True):
            pmpm = c / n if n else None
            even = None if pmpm is None else float(pmpm * factor)
            shown = None if pmpm is None else float(pmpm)
            lines.append((one.category, month_date(month), float(n), float(c), shown, float(factor), even))
    numbers = ("member_months", "claims", "pmpm", "day_factor", "normalized_pmpm")
    schema: dict[str, Any] = {"benefit_category": pl.String, "incurred_month": pl.Date}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(numbers, pl.Float64), orient="row")
