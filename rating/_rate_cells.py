"""Filed rates as they arrive, arranged: a row per plan and area, a column per age band or family tier."""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs._policy import TIERS
from data_specs.errors import InputRefused
from rating._exact_columns import exact_column
from rating._frame_rows import collected
from rating._rate_input import area_names, refuse_rows
from rating._rate_intervals import ABSENT
from rating._rate_table import FAMILY_BAND, TIER_COLUMNS

if TYPE_CHECKING:
    import polars as pl

    from rating._exact_columns import ExactColumn
    from rating._factors import RatingFactors

__all__ = ["BASE_DECIMALS", "FiledRates", "filed_rates"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_TABLE = "rates"
BASE_DECIMALS = 8  # ends of bases are given to so many decimals of a dollar
_OLDER = "65+"
_MOST_DECIMALS = 6
_WORD = 2**63


@dataclass(frozen=True, slots=True)
class FiledRates:
    """Rates by group (plan, area and effective date) and cell (age band or family tier).

    Attributes
    ----------
    groups : DataFrame
        ``plan_id``, ``rating_area_id`` and, where given, ``effective_date``; sorted.
    labels : tuple of str
        Names of the cells.
    factors : array of int
        Age factor or tier multiplier of each cell x ``factor_scale``.
    factor_scale : int
        What a factor of 1.000 is.
    rates, tobacco_rates : array of int
        Groups by cells, in units of ``10**-decimals`` dollars; :data:`ABSENT` where there is none.
    decimals : int
        Decimals of the whole numbers, 2 or more.
    area_factors : list of (int, int), optional
        Area factor of each group as a whole number and its decimals; None where they are not given.
    """

    groups: pl.DataFrame
    labels: tuple[str, ...]
    factors: Integers
    factor_scale: int
    rates: Integers
    tobacco_rates: Integers
    decimals: int
    area_factors: list[tuple[int, int]] | None

    @property
    def present(self) -> Flags:
        """Where a rate is filed."""
        return np.asarray(self.rates != ABSENT)


def filed_rates(frame: Any, factors: RatingFactors) -> FiledRates:
    """Return filed rates arranged by group and cell.

    Raises
    ------
    InputRefused
        A column is missing, an age band or area is unknown, a rate is missing, not positive or stands twice.
    """
    rates = collected(frame, _TABLE, ("plan_id", "rating_area_id", "age_band", "individual_rate"))
    if rates.height == 0:
        raise InputRefused("the table has no rows", where=_TABLE, rule="FILE-002", remedy="check the file or query")
    keys = _keys(rates, factors)
    order = keys.drop("line").columns
    groups = keys.select(order).unique().sort(order)
    group = keys.join(groups.with_row_index("group"), on=order, how="left", maintain_order="left", validate="m:1")
    at = group["group"].to_numpy().astype(np.int64)
    bands = _bands(rates)
    labels, millionths = _cells(factors, splits_the_oldest=bool((bands == _OLDER).any()))
    common = gcd(*millionths.tolist(), 1_000_000)
    plain, tobacco, decimals = _matrices(rates, bands, labels, at, groups.height, factors)
    area_factors = _area_factors(rates, at, groups.height)
    scaled = millionths // common
    largest, loaded = 2 * int(plain.max()), 2 * max(int(tobacco.max()), 0)
    finest = 10 ** (BASE_DECIMALS - decimals) * (1_000_000 // common)
    if max(largest, loaded) * max(int(scaled.max()), finest) >= _WORD or loaded * largest >= _WORD:
        raise InputRefused(
            "a rate is too large, or has too many decimals",
            where=f"{_TABLE}, column individual_rate",
            rule="rates x age factors must fit 64 bits to be compared exactly",
            remedy="check the decimal point; hand in rates as filed, in dollars",
        )
    return FiledRates(groups, labels, scaled, 1_000_000 // common, plain, tobacco, decimals, area_factors)


def _keys(rates: pl.DataFrame, factors: RatingFactors) -> pl.DataFrame:
    import polars as pl

    ids = _frames.text_column(rates, _TABLE, "plan_id").str.strip_chars()
    refuse_rows(_TABLE, "plan_id", ids.is_null() | (ids == ""), "a rate belongs to a plan")
    keys = pl.DataFrame({"plan_id": ids, "rating_area_id": area_names(rates, _TABLE, factors)})
    if "effective_date" in rates.columns:
        dates = _frames.date_column(rates, _TABLE, "effective_date").alias("effective_date")
        refuse_rows(_TABLE, "effective_date", dates.is_null(), "RATE-007: a date, YYYY-MM-DD")
        keys = keys.with_columns(dates)
    return keys.with_row_index("line")


def _bands(rates: pl.DataFrame) -> pl.Series:
    """Return the age bands as a rate table names them."""
    words = _frames.text_column(rates, _TABLE, "age_band").str.strip_chars().str.to_lowercase()
    return words.str.replace(r"\s*(?:and (?:over|older))$", "+").str.replace(r"^family option$", FAMILY_BAND)


def _cells(factors: RatingFactors, *, splits_the_oldest: bool) -> tuple[tuple[str, ...], Integers]:
    """Return the names of the cells of a rate table of the state, and their factors in millionths.

    Tables of the first years rate 64 apart from 65 and over; the age curve has one factor for both.
    """
    if factors.tiers is None:
        labels, millionths = factors.bands.labels, factors.band_millionths
        if not splits_the_oldest:
            return labels, millionths
        return (*labels[:-1], labels[-1].removesuffix("+"), _OLDER), np.append(millionths, millionths[-1])
    multipliers = dict(zip(TIERS, factors.tiers.millionths.tolist(), strict=True))
    found = {column: multipliers[tier] for column, tier in TIER_COLUMNS.items() if multipliers[tier]}
    return tuple(found), np.array(list(found.values()), np.int64)


def _matrices(
    rates: pl.DataFrame,
    bands: pl.Series,
    labels: tuple[str, ...],
    group: Integers,
    groups: int,
    factors: RatingFactors,
) -> tuple[Integers, Integers, int]:
    """Return rates without and with tobacco by group and cell, and their decimals."""
    import polars as pl

    allowed = [FAMILY_BAND] if factors.tiers is not None else list(labels)
    year = f"{factors.state}, {factors.plan_year}"
    rule = f"RATE-001: age bands of {year} are {allowed[0]}" + (f" to {allowed[-1]}" if len(allowed) > 1 else "")
    refuse_rows(_TABLE, "age_band", ~bands.is_in(allowed).fill_null(False), rule)
    if factors.tiers is not None:
        columns = [name for name in labels if name in rates.columns]
        cells = [np.full(rates.height, labels.index(name)) for name in columns]
    else:
        columns = ["individual_rate"]
        place = bands.replace_strict(list(labels), range(len(labels)), return_dtype=pl.Int64)
        cells = [place.to_numpy()]
    refuse_rows(_TABLE, "individual_rate", rates["individual_rate"].is_null(), "RATE-003: a rate is filed")
    if "individual_tobacco_rate" in rates.columns and factors.tiers is None:
        columns.append("individual_tobacco_rate")
    read = [_amounts(rates, name) for name in columns]
    decimals = max(2, *(column.decimals for _, column in read))
    if decimals > _MOST_DECIMALS:
        rule = f"filed rates have at most {_MOST_DECIMALS} decimals"
        raise InputRefused("a rate has too many decimals", where=_TABLE, rule=rule, remedy="hand in rates as filed")
    plain = np.full((groups, len(labels)), ABSENT, np.int64)
    tobacco = plain.copy()
    key = group * len(labels) + (0 if factors.tiers is not None else cells[0])
    double = pl.Series((np.bincount(key) > 1)[key])
    refuse_rows(_TABLE, "age_band", double, "RATE-002: one rate for a plan, area, date and age band")
    for name, (rows, column) in zip(columns, read, strict=True):
        target = tobacco if name == "individual_tobacco_rate" else plain
        cell = cells[0] if name == "individual_tobacco_rate" else cells[columns.index(name)]
        target[group[rows], cell[rows]] = column.words(decimals)
    return plain, tobacco, decimals


def _amounts(rates: pl.DataFrame, name: str) -> tuple[Integers, ExactColumn]:
    """Return the rows of a column that hold a rate, and these rates."""
    series = rates[name]
    rows = np.flatnonzero(series.is_not_null().to_numpy())
    try:
        return rows, exact_column(series.gather(rows).alias(name), f"{_TABLE}, {name}")
    except InputRefused as refused:
        raise InputRefused(
            refused.what,
            where=refused.where,
            rule="RATE-003: a rate is an amount above zero",
            remedy="mend these rows",
        ) from None


def _area_factors(rates: pl.DataFrame, group: Integers, groups: int) -> list[tuple[int, int]] | None:
    """Return the area factor of each group; a group has one."""
    import polars as pl

    if "area_factor" not in rates.columns or rates["area_factor"].dtype == pl.Null:
        return None
    column = exact_column(rates["area_factor"], f"{_TABLE}, area_factor")
    numbers = column.words(column.decimals)
    of_group = np.zeros(groups, np.int64)
    of_group[group] = numbers
    differs = pl.Series(of_group[group] != numbers)
    refuse_rows(_TABLE, "area_factor", differs, "a plan has one factor in an area")
    return [(number, column.decimals) for number in of_group.tolist()]
