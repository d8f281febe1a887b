"""Anonymous shopping: every plan of the area, cheapest first after the credit, and where each number comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rating._outcome import Outcome
from rating._quote import Prepared
from rating._quote_explained import explanation_frame
from rating._quote_settings import QuoteSettings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Shopping", "shop"]


@dataclass(frozen=True)
class Shopping(Outcome):
    """The plans that each household can choose from.

    Attributes
    ----------
    offers : DataFrame
        See :func:`shop`.
    explanation : DataFrame or None
        household_id, plan_id (blank: holds for every plan), member_id, step, item (the column of `offers`, or
        member_rate), amount (text), how, source (table or rule); sorted by the first four. None where it was not
        asked for.
    findings, counts, settings, uncertain, refused, tables
        As in :class:`rating.Quotes`.
    plan_year : int
        The plan year.
    """

    offers: pl.DataFrame
    explanation: pl.DataFrame | None
    plan_year: int


def shop(
    households: pl.DataFrame | pl.LazyFrame,
    *,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    base_rates: pl.DataFrame | pl.LazyFrame | None = None,
    plan_year: int,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    areas: pl.DataFrame | pl.LazyFrame | None = None,
    service_areas: pl.DataFrame | pl.LazyFrame | None = None,
    explain: bool = True,
    settings: Mapping[str, Any] | QuoteSettings | None = None,
) -> Shopping:
    """Return every plan of each household's area in the order of what the household would pay.

    No name and no account is needed: ages, place and, for the credit, income and size of the tax household.

    Parameters
    ----------
    households, rates, base_rates, plan_year, plans, areas, service_areas, settings
        As in :func:`rating.quote`.
    explain : bool
        Whether each number is explained; for one household or some. Leave it out for millions.

    Returns
    -------
    Shopping
        ``offers``: the columns of ``Quotes.households`` and ``place`` (1: cheapest), sorted by household_id,
        net_premium_monthly (premium_monthly where the credit is not known), premium_monthly, plan_id.

    Raises
    ------
    InputRefused, TableMissing, SettingRefused
        As in :func:`rating.quote`.

    Examples
    --------
    >>> import polars as pl
    >>> home = pl.DataFrame({"household_id": ["h"], "member_id": ["1"], "birth_date": ["1985-06-30"],
    ...     "rating_area_id": ["R-TX001"], "annual_income": [31300], "tax_household_size": [1]})
    >>> base = pl.DataFrame({"plan_id": ["a", "b", "c"], "rating_area_id": ["R-TX001"] * 3,
    ...     "base_rate": ["312.47", "330", "250"], "metal_level": ["silver", "silver", "bronze"]})
    >>> shopping = shop(home, base_rates=base, plan_year=2026)
    >>> shopping.offers.select("place", "plan_id", pl.col("net_premium_monthly").cast(pl.String)).rows()
    [(1, 'c', '69.76'), (2, 'a', '149.60'), (3, 'b', '172.00')]
    >>> lines = shopping.explanation.filter(pl.col("item").is_in(["monthly_contribution", "monthly_credit"]))
    >>> print(*lines.head(2)["how"].to_list(), sep=chr(10))
    31300.00 x 6.60 percent = 2066 a year in whole dollars; / 12 in whole dollars
    smaller of the premium for essential health benefits 399.34 and benchmark 421.74 - contribution 172.00
    """
    import polars as pl

    prepared = Prepared.of(
        rates, base_rates, plans, plan_year=plan_year, areas=areas, service_areas=service_areas, settings=settings
    )
    work, findings = prepared.worked(households)
    quotes = prepared.as_quotes(work, findings, with_members=explain)
    pays = pl.coalesce("net_premium_monthly", "premium_monthly")
    ordered = quotes.households.with_columns(pays.alias("_pays")).sort(
        "household_id", "_pays", "premium_monthly", "plan_id"
    )
    is_first = (pl.col("household_id") != pl.col("household_id").shift(1)).fill_null(True)
    line = pl.int_range(pl.len(), dtype=pl.Int64)
    first = pl.when(is_first).then(line).forward_fill()
    offers = ordered.drop("_pays").select("household_id", (line - first + 1).alias("place"), pl.exclude("household_id"))
    explanation = explanation_frame(work, quotes) if explain else None
    return Shopping(offers, explanation, quotes.plan_year, **quotes.parts())
