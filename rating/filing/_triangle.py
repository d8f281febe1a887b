"""A triangle of paid claims as it arrives: checked, and added up to cumulative cents by category, month and lag."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating.filing._experience_input import collected, dollars, month_text, months_column
from rating.filing._findings import FilingFindings, listed, refusal, refuse_rows

__all__ = ["TRIANGLE", "Triangle", "read_triangle"]

TRIANGLE = "triangle"
_COLUMNS = ("incurred_month", "paid_month", "benefit_category", "paid_amount")
_ABSENT_CELLS = ("refuse", "zero")
_MOST_MONTHS = 600  # a span of dates beyond it is a slip of the year


@dataclass(frozen=True)
class Triangle:
    """Cumulative cents by benefit category, incurred month and lag; cells after the last paid month are not used.

    Attributes
    ----------
    categories : tuple of str
        In alphabetical order.
    months : range
        Incurred months, counted from year 0.
    last_paid : int
        Last paid month.
    cumulative : array of int64
        [category, incurred month, lag].
    """

    categories: tuple[str, ...]
    months: range
    last_paid: int
    cumulative: NDArray[np.int64]

    @property
    def lags(self) -> int:
        """Return how many lags there are: from 0 to that of the first incurred month."""
        return self.last_paid - self.months[0] + 1

    def reached(self, lag: int) -> range:
        """Return the places of the incurred months that have reached a lag."""
        return range(min(self.lags - lag, len(self.months)))


def read_triangle(given: Any, paid_through: date | None, absent_cells: str, findings: FilingFindings) -> Triangle:
    """Return a triangle of incremental payments as cumulative claims.

    Raises
    ------
    InputRefused
        Rules TRI-001, TRI-002, TRI-003; cumulative claims of a whole category below zero (TRI-005).
    SettingRefused
        `absent_cells` or `paid_through` cannot have this value.
    """
    if absent_cells not in _ABSENT_CELLS:
        raise SettingRefused(
            f"setting 'absent_cells' cannot be {absent_cells!r}", remedy="choose one of 'refuse', 'zero'"
        )
    frame = collected(given, TRIANGLE, _COLUMNS)
    incurred = months_column(frame, TRIANGLE, "incurred_month", "TRI-001")
    paid = months_column(frame, TRIANGLE, "paid_month", "TRI-001")
    refuse_rows("TRI-001", TRIANGLE, "paid_month", paid < incurred, "paid before it was incurred", "check the months")
    text = _frames.text_column(frame, TRIANGLE, "benefit_category").str.strip_chars()
    blank = (text.is_null() | (text == "").fill_null(True)).to_numpy()
    refuse_rows("TRI-001", TRIANGLE, "benefit_category", blank, "the category is blank", "name it")
    cents, _ = dollars(frame, TRIANGLE, "paid_amount", "TRI-001")
    last = _last_paid(paid, paid_through, findings)
    kept = paid <= last
    if not kept.any():
        raise refusal("TRI-001", "nothing is left up to paid_through", TRIANGLE, "name a later paid_through")
    categories = tuple(sorted(text.filter(kept).unique().to_list()))
    code = text.replace_strict(list(categories), range(len(categories)), default=0).to_numpy().astype(np.int64)
    first, final = int(incurred[kept].min()), int(incurred[kept].max())
    months, lags = range(first, final + 1), last - first + 1
    if lags > _MOST_MONTHS:
        raise refusal("TRI-001", f"the triangle spans {lags} months", TRIANGLE, "check the years of the dates")
    place = (code * len(months) + incurred - first) * lags + paid - incurred
    place, amount = place[kept], cents[kept]
    count = np.bincount(place, minlength=len(categories) * len(months) * lags)
    double = np.zeros(len(kept), bool)
    double[np.flatnonzero(kept)] = count[place] > 1
    refuse_rows("TRI-002", TRIANGLE, "paid_amount", double, "a cell stands in several rows", "add its rows up first")
    cells = np.zeros(len(count), np.int64)
    cells[place] = amount
    shape = (len(categories), len(months), lags)
    triangle = Triangle(categories, months, last, np.cumsum(cells.reshape(shape), axis=2))
    _check_holes(triangle, (count > 0).reshape(shape), absent_cells, findings)
    _check_falls(triangle, cells.reshape(shape), findings)
    return triangle


def _last_paid(paid: NDArray[np.int64], paid_through: date | None, findings: FilingFindings) -> int:
    if paid_through is None:
        return int(paid.max())
    if not isinstance(paid_through, date):
        raise SettingRefused("paid_through is no date", remedy="hand in a date of the last paid month")
    last = paid_through.year * 12 + paid_through.month - 1
    later = int(np.count_nonzero(paid > last))
    if later:
        findings.add("TRI-012", TRIANGLE, f"{later} rows paid after {month_text(last)} are left out")
    if last > int(paid.max()):
        raise refusal(
            "TRI-003",
            f"nothing is paid after {month_text(int(paid.max()))}, before paid_through",
            TRIANGLE,
            "leave paid_through out, or hand in the rows of the later months",
        )
    return last


def _seen(triangle: Triangle) -> NDArray[np.bool_]:
    """Return which cells lie at or before the last paid month."""
    lag = np.arange(triangle.lags)[None, :]
    reached = triangle.last_paid - np.array(triangle.months)[:, None]
    return np.broadcast_to(lag <= reached, triangle.cumulative.shape)


def _places(triangle: Triangle, broken: NDArray[np.bool_]) -> str:
    category, row, lag = np.nonzero(broken)
    words = [
        f"{triangle.categories[c]} incurred {month_text(triangle.months[i])} paid {month_text(triangle.months[i] + k)}"
        for c, i, k in zip(category.tolist(), row.tolist(), lag.tolist(), strict=True)
    ]
    return listed(words)


def _check_holes(triangle: Triangle, held: NDArray[np.bool_], absent_cells: str, findings: FilingFindings) -> None:
    absent = _seen(triangle) & ~held
    if not absent.any():
        return
    if absent_cells == "refuse":
        raise refusal(
            "TRI-003",
            f"{np.count_nonzero(absent)} cells have no row",
            f"{TRIANGLE}, {_places(triangle, absent)}",
            "write a row of 0.00 where nothing was paid; if rows were left out for that, absent_cells='zero'",
        )
    findings.add("TRI-016", f"{TRIANGLE}, {_places(triangle, absent)}", "no row: taken as nothing paid")


def _check_falls(triangle: Triangle, cells: NDArray[np.int64], findings: FilingFindings) -> None:
    falls = (cells < 0) & _seen(triangle)
    if falls.any():
        findings.add("TRI-013", f"{TRIANGLE}, {_places(triangle, falls)}", "negative payments: cumulative claims fall")
    below = (triangle.cumulative < 0) & _seen(triangle)
    if below.any():
        findings.add("TRI-014", f"{TRIANGLE}, {_places(triangle, below)}", "more was taken back than had been paid")
