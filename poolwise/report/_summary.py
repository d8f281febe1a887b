"""Scores in a few numbers: the figures that the command prints and the page shows."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["age_labels", "by_age_and_sex", "by_model_and_metal", "by_score", "in_reading_order", "overall"]

_MODELS = ("adult", "child", "infant")
_TABLES = ("enrollees", "enrollment_spans", "diagnoses", "drugs")
_METALS = ("platinum", "gold", "silver", "expanded_bronze", "bronze", "catastrophic")
# Digits that hold every score exactly: thousandths, and thousandths times a factor of four decimals.
_SCORE_UNIT, _ADJUSTED_UNIT = 1_000, 10_000_000
_SCORE_BANDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_AGE_BANDS = (2, 10, 21, 30, 40, 50, 60)


def by_model_and_metal(scores: pl.DataFrame) -> pl.DataFrame:
    """Return a line per model and metal level.

    Parameters
    ----------
    scores : DataFrame
        ``Scores.scores`` of a run with explain=True.

    Returns
    -------
    DataFrame
        model, metal_level, people (different enrollees), mean_risk_score and mean_csr_adjusted_score (plain means over
        the lines of scores, in risk-score units; lines without an adjusted score take no part in the second),
        share_with_hcc (of the lines; 0 to 1), mean_enrollment_months. Sums are taken in integers, so that order does
        not matter.
    """
    ranks = pl.struct(
        _rank("model", _MODELS),
        _rank("metal_level", _METALS),
    )
    return scores.group_by("model", "metal_level").agg(*_figures()).sort(ranks)


def overall(scores: pl.DataFrame) -> pl.DataFrame:
    """Return the figures of :func:`by_model_and_metal` over all lines: one row."""
    return scores.select(pl.lit("all").alias("model"), pl.lit("all").alias("metal_level"), *_figures()).head(1)


def by_score(scores: pl.DataFrame) -> pl.DataFrame:
    """Return band and lines: how many lines of scores lie in each band of risk_score, lower bounds included."""
    labels = _band_labels(_SCORE_BANDS, ".2f", " to ")
    found = _counted(scores.select(_band("risk_score", _SCORE_BANDS, labels)))
    return _in_order(labels, found).with_columns(pl.col("lines").fill_null(0))


def by_age_and_sex(scores: pl.DataFrame, sexes: pl.DataFrame) -> pl.DataFrame:
    """Return band, sex, people and mean_risk_score; `sexes` has enrollee_id and sex (M, F)."""
    labels = age_labels()
    own = scores.join(sexes, on="enrollee_id", how="inner", validate="m:1")
    return (
        own.with_columns(_band("age_last", _AGE_BANDS, labels))
        .group_by("band", "sex")
        .agg(pl.col("enrollee_id").n_unique().alias("people"), _mean("risk_score", _SCORE_UNIT, "mean_risk_score"))
        .sort(_rank("band", labels), "sex")
    )


def _figures() -> list[pl.Expr]:
    return [
        pl.col("enrollee_id").n_unique().cast(pl.Int64).alias("people"),
        _mean("risk_score", _SCORE_UNIT, "mean_risk_score"),
        _mean("csr_adjusted_score", _ADJUSTED_UNIT, "mean_csr_adjusted_score"),
        ((pl.col("hccs").list.len() > 0).cast(pl.Int64).sum() / pl.len()).alias("share_with_hcc"),
        (pl.col("enrollment_months").cast(pl.Int64).sum() / pl.len()).alias("mean_enrollment_months"),
    ]


def _mean(column: str, unit: int, name: str) -> pl.Expr:
    whole = (pl.col(column) * unit).round().cast(pl.Int64)
    # A count is 32 bits wide and would wrap when multiplied.
    return (whole.sum() / (pl.col(column).count().cast(pl.Int64) * unit)).fill_nan(None).alias(name)


def _rank(column: str, order: Sequence[str]) -> pl.Expr:
    return pl.col(column).replace_strict({name: i for i, name in enumerate(order)}, default=len(order)).alias(column)


def _band(column: str, bounds: Sequence[float], labels: Sequence[str]) -> pl.Expr:
    band = pl.lit(labels[0])
    for bound, label in zip(bounds, labels[1:], strict=True):
        band = pl.when(pl.col(column) >= bound).then(pl.lit(label)).otherwise(band)
    return band.alias("band")


def _band_labels(bounds: Sequence[float], form: str, between: str) -> list[str]:
    shown = [format(b, form).rstrip("0").rstrip(".") for b in bounds]
    middle = [low + between + high for low, high in pairwise(shown)]
    return [f"under {shown[0]}", *middle, f"{shown[-1]} and more"]


def in_reading_order(counts: pl.DataFrame) -> pl.DataFrame:
    """Return counts of tables as one reads them: enrollees first."""
    return counts.sort(_rank("table", _TABLES), "table")


def age_labels() -> list[str]:
    """Return the names of the age bands, youngest first."""
    starts = (0, *_AGE_BANDS)
    middle = [f"{low}-{high - 1}" for low, high in pairwise(starts)]
    return [*middle, f"{starts[-1]}+"]


def _counted(bands: pl.DataFrame) -> pl.DataFrame:
    return bands.group_by("band").agg(pl.len().cast(pl.Int64).alias("lines"))


def _in_order(labels: Sequence[str], found: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame({"band": labels}).join(found, on="band", how="left", maintain_order="left", validate="1:1")
