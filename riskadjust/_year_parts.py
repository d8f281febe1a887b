"""Smaller parts of a benefit year: hierarchies, months from days, cost-sharing factors; each checked as it is read."""

from __future__ import annotations

from collections.abc import Container
from typing import TYPE_CHECKING

from data_specs._units import to_scaled_integer
from riskadjust._program import DRUG_WORD, HCC_WORDS, state_words
from riskadjust._tables import YearTables, refuse

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

__all__ = ["FACTOR_DIGITS", "csr_factors", "days_to_months", "drug_drops", "hcc_drops"]

FACTOR_DIGITS = 4


def _closed_drops(
    frame: pl.DataFrame, parent_column: str, child_column: str, known: Container[str]
) -> dict[str, set[str]]:
    """Return what each parent sets to zero; refuse a list whose result would depend on the order of its rows."""
    rows = list(enumerate(frame.select(parent_column, child_column).rows()))
    rows = [(index, pair) for index, pair in rows if pair[1] is not None]
    drops: dict[str, set[str]] = {}
    for index, (parent, child) in rows:
        if parent not in known:
            raise refuse(
                frame, index, parent_column, f"{parent} is no HCC of the year", "every HCC stands in hcc_label"
            )
        if child == parent or child not in known:
            what = f"{parent} cannot drop {child}" if child != parent else f"{parent} cannot drop itself"
            raise refuse(frame, index, child_column, what, "another name of the year; a hierarchy has no circle")
        drops.setdefault(parent, set()).add(child)
    for index, (parent, child) in rows:
        beyond = drops.get(child, set()) - drops[parent]
        if beyond:
            rule = "the list is transitively closed and has no circle, so that order does not matter"
            what = f"{parent} drops {child} but not {min(beyond)}, which {child} drops"
            raise refuse(frame, index, child_column, what, rule)
    return drops


def hcc_drops(tables: YearTables, hcc_bits: dict[str, int]) -> np.ndarray:
    """Return the mask of HCCs that each HCC sets to zero."""
    import numpy as np

    out = np.zeros((64 * HCC_WORDS, HCC_WORDS), np.uint64)
    for parent, children in _closed_drops(tables["hcc_hierarchy"], "hcc", "drops_hcc", hcc_bits).items():
        out[hcc_bits[parent]] = state_words(sum(1 << hcc_bits[c] for c in children))[:HCC_WORDS]
    return out


def drug_drops(tables: YearTables, drugs: dict[str, int]) -> np.ndarray:
    """Return the mask of drug categories that each drug category sets to zero."""
    import numpy as np

    out = np.zeros(64, np.uint64)
    for parent, children in _closed_drops(tables["rxc_hierarchy"], "rxc", "drops_rxc", drugs).items():
        out[drugs[parent] - 64 * DRUG_WORD] = sum(1 << (drugs[c] - 64 * DRUG_WORD) for c in children)
    return out


def days_to_months(tables: YearTables) -> np.ndarray:
    """Return months by enrolled days, 0 to 366 (0 days: 0 months)."""
    import numpy as np

    frame = tables["enrollment_duration_months"].sort("days_min", maintain_order=True)
    months = np.zeros(367, np.uint8)
    next_day, next_month = 1, 1
    for index, (month, low, high) in enumerate(frame.select("enroll_months", "days_min", "days_max").rows()):
        if low != next_day or high < low or month != next_month:
            raise refuse(
                frame, index, "days_min", "the day ranges leave a hole or overlap", "months 1-12 cover days 1-366"
            )
        months[low : high + 1] = month
        next_day, next_month = high + 1, month + 1
    if next_day != 367 or next_month != 13:
        raise refuse(frame, frame.height - 1, "days_max", "the day ranges end early", "months 1-12 cover days 1-366")
    return months


def csr_factors(tables: YearTables) -> pl.DataFrame:
    """Return csr_variant, metal, csr_indicator, factor in ten-thousandths, uncertain; check its keys."""
    import polars as pl

    frame = tables["csr_factors"]
    pairs = frame.with_row_index("_index").filter(pl.col("hios_variant").is_not_null())
    twice = pairs.filter(pl.struct("hios_variant", "metal").is_duplicated())
    if twice.height:
        index = twice["_index"][-1]
        raise refuse(frame, index, "factor", "a variant and metal has two factors", "one factor for each pair")
    both = pairs.filter(pl.col("metal").n_unique().over("hios_variant") > 1)
    both = both.filter((pl.col("metal") == "any").any().over("hios_variant"))
    if both.height:
        index = both["_index"][-1]
        raise refuse(frame, index, "metal", "a variant has a factor for any metal and one for a metal", "either, or")
    nameless = frame.with_row_index("_index").filter(
        pl.col("hios_variant").is_null() & pl.col("csr_indicator").is_null()
    )
    if nameless.height:
        index = nameless["_index"][0]
        raise refuse(
            frame, index, "hios_variant", "the row has neither variant nor indicator", "one of them is its key"
        )
    by_indicator = frame.with_row_index("_index").drop_nulls("csr_indicator")
    spread = by_indicator.filter(pl.col("factor").n_unique().over("csr_indicator") > 1)
    if spread.height:
        index = spread["_index"][-1]
        raise refuse(frame, index, "factor", "an indicator has two factors", "one factor for each indicator of a year")
    scaled = [to_scaled_integer(repr(f), FACTOR_DIGITS) for f in frame["factor"].to_list()]
    return frame.select(
        pl.col("hios_variant").alias("csr_variant"),
        "metal",
        "csr_indicator",
        pl.Series("csr_factor_scaled", scaled, pl.Int64),
        ((pl.col("verification") == "uncertain") | pl.lit("csr_factors" in tables.carried)).alias("uncertain"),
    )
