"""Quotes of many households in a few numbers, part by part: a household lies in one part, no part needs the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

from poolwise.report._quote_words import OUTCOMES

if TYPE_CHECKING:
    from rating import QuoteFiles, Quotes, Shopping

__all__ = ["AMOUNTS", "QuotesFigures", "band_labels", "mean_dollars", "quotes_figures"]

AMOUNTS = ("benchmark", "credit", "net")
_COLUMNS = (
    "household_id",
    "plan_id",
    "metal_level",
    "benchmark_monthly",
    "benchmark_plan_id",
    "monthly_credit",
    "net_premium_monthly",
    "csr_variant",
    "notes",
)
# Dollars a month; lower ends are inside, and nothing is a band of its own.
_BANDS = (50, 100, 200, 300, 500, 750, 1_000, 1_500)
_UNKNOWN = ("no_benchmark", "income_not_given", "percentages_not_published")
_OTHER = "no plan on the exchange"
_CENT = Decimal("0.01")


@dataclass(frozen=True)
class QuotesFigures:
    """What many households pay.

    Attributes
    ----------
    households, quotes : int
        Households with a quote; households x plans.
    outcomes : DataFrame
        outcome, households, then of `AMOUNTS` the sum (cents) and the number of households that know it (`_known`):
        the benchmark; the highest credit among the plans; the net premium of the plan that is cheapest after it.
    bands : DataFrame
        band, cheapest, benchmark: households by the net premium of their cheapest plan, and of the benchmark plan.
    variants : DataFrame
        csr_variant, households: of the silver plans on the exchange.
    """

    households: int
    quotes: int
    outcomes: pl.DataFrame
    bands: pl.DataFrame
    variants: pl.DataFrame


def quotes_figures(result: Quotes | Shopping | QuoteFiles) -> QuotesFigures:
    """Return the figures of a run, whatever its size: one part of the quotes is in memory at a time."""
    outcomes, bands, variants, quotes = [], [], [], 0
    for part in _parts(result):
        homes = _by_household(part)
        quotes += part.height
        sums = [pl.col(c).sum().alias(c) for c in AMOUNTS]
        known = [pl.col(c).count().cast(pl.Int64).alias(f"{c}_known") for c in AMOUNTS]
        number = pl.len().cast(pl.Int64).alias("households")
        outcomes.append(homes.group_by("outcome").agg(number, *sums, *known))
        variants.append(homes.drop_nulls("csr_variant").group_by("csr_variant").agg(number))
        for column in ("net", "benchmark_net"):
            found = homes.drop_nulls(column).group_by(_band(column).alias("band")).agg(number)
            bands.append(found.with_columns(pl.lit(column).alias("of")))
    by_outcome = _added(outcomes, ["outcome"])
    order = {name: place for place, name in enumerate(_outcome_names())}
    by_outcome = by_outcome.sort(pl.col("outcome").replace_strict(order, return_dtype=pl.Int64))
    return QuotesFigures(
        int(by_outcome["households"].sum()),
        quotes,
        by_outcome,
        _bands(_added(bands, ["of", "band"])),
        _added(variants, ["csr_variant"]).sort("csr_variant"),
    )


def band_labels() -> list[str]:
    """Return the names of the bands of net premiums.

    Examples
    --------
    >>> band_labels()[:3], band_labels()[-1]
    (['$0', 'under $50', '$50 to $100'], '$1,500 and more')
    """
    between = [f"${low:,} to ${high:,}" for low, high in pairwise(_BANDS)]
    return ["$0", f"under ${_BANDS[0]}", *between, f"${_BANDS[-1]:,} and more"]


def mean_dollars(cents: int, number: int) -> Decimal:
    """Return the mean of an exact sum, to the cent.

    Examples
    --------
    >>> mean_dollars(1001, 2)
    Decimal('5.01')
    """
    return (Decimal(cents) / number / 100).quantize(_CENT, ROUND_HALF_UP)


def _parts(result: Quotes | Shopping | QuoteFiles) -> Iterator[pl.DataFrame]:
    if hasattr(result, "folder"):
        for path in sorted((result.folder / "quotes").glob("part-*.parquet")):
            yield pl.read_parquet(path, columns=list(_COLUMNS))
        return
    frame = result.offers if hasattr(result, "offers") else result.households
    yield frame.select(_COLUMNS)


def _outcome_names() -> list[str]:
    return [*OUTCOMES.values(), _OTHER]


def _by_household(quotes: pl.DataFrame) -> pl.DataFrame:
    """Return outcome, benchmark, credit, net, benchmark_net (cents; null: not known) and csr_variant by household."""
    money = ("benchmark_monthly", "monthly_credit", "net_premium_monthly")
    cents = {c: (pl.col(c).cast(pl.Decimal(38, 2)) * 100).cast(pl.Int64) for c in money}
    # Notes of plans (catastrophic, sold elsewhere) say nothing of the household unless it has no others.
    rank = pl.col("notes").replace_strict(
        list(OUTCOMES), list(range(len(OUTCOMES))), default=len(OUTCOMES), return_dtype=pl.Int64
    )
    is_benchmark = pl.col("plan_id") == pl.col("benchmark_plan_id")
    is_silver = (pl.col("metal_level") == "silver") & (pl.col("notes") != "off_exchange")
    # Catastrophic plans have no credit, known or not: they alone do not tell what such a household pays.
    unknown = [place for place, note in enumerate(OUTCOMES) if note in _UNKNOWN]
    homes = quotes.group_by("household_id").agg(
        rank.min().alias("rank"),
        cents["benchmark_monthly"].max().alias("benchmark"),
        cents["monthly_credit"].max().alias("credit"),
        cents["net_premium_monthly"].min().alias("net"),
        cents["net_premium_monthly"].filter(is_benchmark).min().alias("benchmark_net"),
        pl.col("csr_variant").filter(is_silver).min().alias("csr_variant"),
    )
    names = _outcome_names()
    named = pl.col("rank").replace_strict(list(range(len(names))), names, return_dtype=pl.String).alias("outcome")
    known = (pl.when(~pl.col("rank").is_in(unknown)).then(c).alias(c) for c in ("credit", "net", "benchmark_net"))
    return homes.select(named, "benchmark", *known, "csr_variant")


def _band(column: str) -> pl.Expr:
    """Return the place of a net premium among the bands."""
    above = [(pl.col(column) >= 100 * edge).cast(pl.Int64) for edge in _BANDS]
    return pl.sum_horizontal((pl.col(column) > 0).cast(pl.Int64), *above)


def _bands(counted: pl.DataFrame) -> pl.DataFrame:
    labels = band_labels()
    columns = {"cheapest": "net", "benchmark": "benchmark_net"}
    found = {(of, band): number for of, band, number in counted.select("of", "band", "households").rows()}
    counts = {name: [found.get((of, place), 0) for place in range(len(labels))] for name, of in columns.items()}
    return pl.DataFrame({"band": labels, **counts}, schema_overrides=dict.fromkeys(columns, pl.Int64))


def _added(parts: list[pl.DataFrame], keys: list[str]) -> pl.DataFrame:
    return pl.concat(parts).group_by(keys).agg(pl.exclude(keys).sum())
