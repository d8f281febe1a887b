"""Published amounts of issuers, added up: what a market fails to net to zero by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_specs import _registry
from data_specs.errors import TableMissing
from riskadjust._cents import as_money

if TYPE_CHECKING:
    import polars as pl

__all__ = ["published_residuals"]

_TABLE = "transfers/issuer_transfers_2014_2016"
_MARKETS = {
    "ra_transfer_individual_incl_catastrophic": "individual",
    "ra_transfer_small_group": "small_group",
}


def published_residuals(benefit_year: int | None = None) -> pl.DataFrame:
    """Return what the published transfers of each state and market sum to: ``residual = sum of T`` over its issuers.

    The individual market holds the catastrophic pool too. Amounts that net to zero but for cents show that HHS rounds
    below the issuer.

    Parameters
    ----------
    benefit_year : int, optional
        2014, 2015 or 2016; all of them by default.

    Returns
    -------
    DataFrame
        benefit_year, state, market (individual, small_group), issuers (that have an amount, a zero included), received
        (sum of the positive amounts, dollars), residual (dollars). Sorted by these. States and markets where no issuer
        has an amount (Massachusetts, which ran its own program) have no row.

    Raises
    ------
    TableMissing
        No issuer amounts of that year are held.

    Notes
    -----
    Source: CMS, summary reports on transitional reinsurance payments and permanent risk adjustment transfers, 2014
    (updated), 2015 (updated) and 2016.

    Examples
    --------
    >>> import riskadjust
    >>> residuals = riskadjust.published_residuals()["residual"]
    >>> str(residuals.min()), str(residuals.max())
    ('-0.49', '0.38')
    """
    import polars as pl

    rows = _registry.rows(_TABLE, year=benefit_year).filter(
        pl.col("amount_type").is_in(list(_MARKETS)), pl.col("amount_usd").is_not_null()
    )
    if rows.height == 0:
        raise TableMissing(f"no amounts are held for benefit year {benefit_year}", where=_TABLE)
    # Published to the cent: the float is the nearest to a whole number of cents, and those add exactly.
    cents = (pl.col("amount_usd") * 100).round().cast(pl.Int64)
    market = pl.col("amount_type").replace_strict(_MARKETS, return_dtype=pl.String)
    sums = (
        rows.with_columns(cents.alias("cents"), market.alias("market"))
        .group_by("benefit_year", "state", "market")
        .agg(
            pl.len().cast(pl.Int64).alias("issuers"),
            pl.col("cents").clip(lower_bound=0).sum().alias("received"),
            pl.col("cents").sum().alias("residual"),
        )
        .sort("benefit_year", "state", "market")
    )
    return as_money(sums, "received", "residual")
