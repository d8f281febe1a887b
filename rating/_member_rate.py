"""The premium of one enrollee: a product of decimal factors, rounded once to cents."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating._exact_columns import ExactColumn, cents_series, exact_column
from rating._premium_arrays import (
    ROUNDING_DIRECTIONS,
    ROUNDING_POINTS,
    need_below_bound,
    need_choice,
    rounded_cents,
    rounded_product,
)

if TYPE_CHECKING:
    import polars as pl

__all__ = ["member_rate", "rate_cents"]


def member_rate(
    base: Any,
    age_factor: Any,
    area_factor: Any,
    tobacco_factor: Any = 1,
    *,
    trend_factor: Any = 1,
    rounding_point: str = "member",
    rounding_direction: str = "nearest",
) -> Any:
    """Return the monthly premium of an enrollee, or of a column of enrollees.

    ``rate = round(base x trend_factor x area_factor x age_factor x tobacco_factor)`` to cents, half a cent up, once.

    Parameters
    ----------
    base : number, text, Decimal, Series, list or expression
        The plan base rate in dollars a month, unrounded: the rate of an enrollee whose age factor is 1.000 in an area
        whose factor is 1.000, without a tobacco load. It is not the age-21 rate everywhere.
    age_factor, area_factor : likewise
        Factor of the state's age curve (``rating/age_curves``), and the plan's factor of the rating area.
    tobacco_factor : likewise
        The plan's ratio for an enrollee who uses tobacco; 1 for everybody else.
    trend_factor : likewise
        Small group: the trend of the quarter in which the group's plan year starts. It multiplies the unrounded base.
    rounding_point : str
        ``member``: one rounding, of the whole product (default). ``base``: base x trend x area is rounded to cents
        first. ``nontobacco``: the rate without tobacco is rounded, then multiplied by the ratio and rounded again.
    rounding_direction : str
        ``nearest`` (half up, default), ``down`` or ``up``; holds for every rounding.

    Returns
    -------
    Decimal, Series of Decimal(18, 2), or expression
        A single Decimal where every argument is a single value; an expression where one is an expression.

    Raises
    ------
    InputRefused
        A value is absent, zero, negative or no decimal number, the columns differ in length, or a premium reaches a
        trillion dollars.
    SettingRefused
        A rounding setting has no such value.

    Notes
    -----
    Nothing passes through binary fractions: text and Decimal are taken digit by digit, a float as the shortest decimal
    text that names it. Source: 45 CFR 147.102(a), (c), (d).

    Examples
    --------
    312.47 x 1.278 = 399.33666, and for an enrollee who uses tobacco 399.33666 x 1.5 = 599.00499:

    >>> member_rate("312.47", "1.278", 1), member_rate("312.47", "1.278", 1, 1.5)
    (Decimal('399.34'), Decimal('599.00'))
    >>> member_rate("312.47", "1.278", 1, 1.5, rounding_point="nontobacco")
    Decimal('599.01')
    >>> import polars as pl
    >>> member_rate("333.33", pl.Series([1.004, 1.135]), "0.9995").to_list()
    [Decimal('334.50'), Decimal('378.14')]
    """
    import polars as pl

    need_choice("rounding_point", rounding_point, ROUNDING_POINTS)
    need_choice("rounding_direction", rounding_direction, ROUNDING_DIRECTIONS)
    given = {
        "base": base,
        "age_factor": age_factor,
        "area_factor": area_factor,
        "tobacco_factor": tobacco_factor,
        "trend_factor": trend_factor,
    }
    if any(isinstance(value, pl.Expr) for value in given.values()):
        return _as_expression(given, rounding_point, rounding_direction)
    columns = {name: exact_column(value, name) for name, value in given.items()}
    lengths = {name: column.length for name, column in columns.items() if not column.is_single}
    if len(set(lengths.values())) > 1:
        raise InputRefused(
            "the columns differ in length: " + ", ".join(f"{name} {length}" for name, length in lengths.items()),
            rule="a row is one enrollee; a single value holds for all rows",
            remedy="hand in columns of one length",
        )
    names = [str(value.name) for value in given.values() if isinstance(value, pl.Series)]
    cents = rate_cents(columns, rounding_point=rounding_point, rounding_direction=rounding_direction)
    if isinstance(cents, int):
        return Decimal(cents).scaleb(-2)
    return cents_series(cents, names[0] if names else "member_rate")


def rate_cents(columns: dict[str, ExactColumn], *, rounding_point: str, rounding_direction: str) -> Any:
    """Return premiums in whole cents: an array, or an int where every factor is a single number."""
    loaded = ["tobacco_factor"]
    first = {
        "member": list(columns),
        "base": ["base", "trend_factor", "area_factor"],
        "nontobacco": [name for name in columns if name not in loaded],
    }[rounding_point]
    cents = _rounded([columns[name] for name in first], rounding_direction)
    rest = [columns[name] for name in columns if name not in first]
    if not rest:
        return cents
    amount = ExactColumn.single(cents, 2) if isinstance(cents, int) else ExactColumn.of_rows(cents, 2)
    return _rounded([amount, *rest], rounding_direction)


def _rounded(factors: list[ExactColumn], direction: str) -> Any:
    if any(not factor.is_single for factor in factors):
        return rounded_product([f for f in factors if not _is_one(f)], direction)
    number, decimals = 1, 0
    for factor in factors:
        number, decimals = number * factor.distinct[0], decimals + factor.decimals
    need_below_bound(number, decimals)
    return rounded_cents(number, decimals, direction)


def _is_one(factor: ExactColumn) -> bool:
    return factor.is_single and factor.distinct == [1] and factor.decimals == 0


def _as_expression(given: dict[str, Any], rounding_point: str, rounding_direction: str) -> pl.Expr:
    import polars as pl

    expressions = {name: value for name, value in given.items() if isinstance(value, pl.Expr)}
    single = {name: value for name, value in given.items() if name not in expressions}
    if any(isinstance(value, (pl.Series, list, tuple)) for value in single.values()):
        raise InputRefused(
            "expressions and columns are mixed",
            rule="an expression is worked out within its own frame",
            remedy="hand in expressions and single values, or columns",
        )

    def worked_out(parts: Any) -> pl.Series:
        columns = dict(zip(expressions, parts, strict=True))
        rates = member_rate(**single, **columns, rounding_point=rounding_point, rounding_direction=rounding_direction)
        assert isinstance(rates, pl.Series)
        return rates

    return pl.map_batches(list(expressions.values()), worked_out, return_dtype=pl.Decimal(18, 2))
