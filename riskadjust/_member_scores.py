"""Scores joined to covered spans: enrollee, plan, variant and metal level decide which score a span has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust import _enrollment
from riskadjust._distinct import numbers_among
from riskadjust._member_spans import CoveredSpans
from riskadjust._plan_table import frame_of
from riskadjust._score import Scores

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from riskadjust._findings import Findings

    Integers = NDArray[np.int64]
    Flags = NDArray[np.bool_]

__all__ = ["ADJUSTED_DIGITS", "SpanScores", "score_frame", "span_scores"]

TABLE = "scores"
KEY = ("enrollee_id", "plan_id", "csr_variant", "metal_level")
FIGURES = ("risk_score", "csr_factor", "csr_adjusted_score")
ADJUSTED_DIGITS = 7  # thousandths of a score times ten-thousandths of a cost-sharing factor
_HIGHEST_SCORE = 1e6  # sums of months x scores then stay inside 64 bits
_ROUNDED_PRODUCT = 0.0005 + 1e-9  # the product may have been rounded to three decimals


@dataclass(frozen=True)
class SpanScores:
    """The score of each covered span; those without one are set aside."""

    thousandths: Integers
    csr_factor: NDArray[np.float64]
    adjusted: Integers


def span_scores(
    given: pl.DataFrame,
    people: pl.DataFrame,
    covered: CoveredSpans,
    source: pl.DataFrame,
    findings: Findings,
) -> SpanScores:
    """Return the score of each covered span, in thousandths and (adjusted) in units of 1e-7.

    Parameters
    ----------
    given : DataFrame
        See :func:`score_frame`.

    Raises
    ------
    InputRefused
        A figure has a wrong type, or there are two scores of one enrollee in one plan variant.
    """
    findings.table(TABLE, given.height)
    figures = _figures(given)
    usable = _usable(given, figures, findings)
    key, is_known = _keys(given, people, covered)
    findings.note("PLR-003", TABLE, int((usable & ~_is_used(key, is_known, covered)).sum()))
    rows = np.flatnonzero(usable & is_known)
    rows = rows[np.argsort(key[rows], kind="stable")]
    ordered = key[rows]
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    if len(twice):
        raise InputRefused(
            f"{len(twice)} rows repeat the key of another row",
            where=f"scores, first at row {int(rows[twice + 1].min()) + 1}",
            rule="one score for each " + " x ".join(KEY),
            remedy="hand in the scores of one run",
        )
    wanted = _span_key(covered)
    at = np.searchsorted(ordered, wanted)
    has_score = at < len(ordered)
    has_score[has_score] = ordered[at[has_score]] == wanted[has_score]
    covered.refuse("PLR-010", ~has_score, source, findings)
    row = rows[at[has_score]]

    def spread(values: NDArray[np.float64], unit: int) -> Integers:
        out = np.zeros(len(wanted), np.int64)
        out[has_score] = np.rint(values[row] * unit).astype(np.int64)
        return out

    factor = np.full(len(wanted), np.nan)
    factor[has_score] = figures["csr_factor"][row]
    adjusted = spread(figures["csr_adjusted_score"], 10**ADJUSTED_DIGITS)
    return SpanScores(spread(figures["risk_score"], 1000), factor, adjusted)


def score_frame(scores: Any, benefit_year: int) -> pl.DataFrame:
    """Return the scores as a frame: enrollee_id, plan_id, csr_variant, metal_level, and their three figures.

    Raises
    ------
    InputRefused
        A column is missing, an id is no text, or a run of scores is of another benefit year.
    """
    if isinstance(scores, Scores):
        if scores.benefit_year != benefit_year:
            raise InputRefused(
                f"the scores are of benefit year {scores.benefit_year}, not {benefit_year}",
                where=TABLE,
                remedy="score and settle the same benefit year",
            )
        scores = scores.scores
    frame = frame_of(scores, TABLE, (*KEY, *FIGURES))
    for column in KEY:
        _frames.text_column(frame, TABLE, column)
    return frame


def _figures(given: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    """Return the figures as floats; what is missing is NaN."""
    import polars as pl

    found = {}
    for column in FIGURES:
        series = given[column]
        if not (series.dtype.is_numeric() or series.dtype == pl.Null):
            raise InputRefused(
                f"column {column!r} is {series.dtype}, not a number",
                where=f"scores, column {column}",
                rule="FILE-002: a required column has its declared type",
                remedy="hand in the scores as riskadjust.score returns them",
            )
        found[column] = series.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return found


def _usable(given: pl.DataFrame, figures: dict[str, NDArray[np.float64]], findings: Findings) -> Flags:
    """Return the rows whose figures can be used; refuse the others."""
    risk, factor, adjusted = (figures[c] for c in FIGURES)
    with np.errstate(invalid="ignore"):
        milli = risk * 1000
        is_score = (risk >= 0) & (risk < _HIGHEST_SCORE) & (np.abs(milli - np.rint(milli)) < 1e-6 + milli * 1e-12)
        is_product = (factor > 0) & (np.abs(adjusted - risk * factor) <= _ROUNDED_PRODUCT + risk * 1e-12)
        is_product &= adjusted < _HIGHEST_SCORE
    findings.refuse("PLR-001", TABLE, given[np.flatnonzero(~is_score)])
    findings.refuse("PLR-002", TABLE, given[np.flatnonzero(is_score & ~is_product)])
    return np.asarray(is_score & is_product)


def _keys(given: pl.DataFrame, people: pl.DataFrame, covered: CoveredSpans) -> tuple[Integers, Flags]:
    """Return each score's enrollee and plan variant as one number, and where both are known here."""
    import polars as pl

    nobody = people.height
    owner = numbers_among(_frames.text_column(given, TABLE, "enrollee_id"), people["enrollee_id"], nobody)
    number, _, variants = _enrollment.variant_index(given)
    known = covered.spans.variants.with_row_index("known")
    found = variants.join(known, on=list(KEY[1:]), how="left", nulls_equal=True, maintain_order="left", validate="m:1")
    at = np.append(found["known"].cast(pl.Int64).fill_null(-1).to_numpy(), -1)[number]
    is_known = (owner != nobody) & (at >= 0)
    return owner.astype(np.int64) * max(known.height, 1) + np.maximum(at, 0), is_known


def _span_key(covered: CoveredSpans) -> Integers:
    spans = covered.spans
    return np.asarray(spans.owner * max(spans.variants.height, 1) + spans.variant)


def _is_used(key: Integers, is_known: Flags, covered: CoveredSpans) -> Flags:
    """Return which scores some span asks for."""
    wanted = np.sort(_span_key(covered))
    if len(wanted) == 0:
        return np.zeros(len(key), bool)
    at = np.minimum(np.searchsorted(wanted, key), len(wanted) - 1)
    return np.asarray(is_known & (wanted[at] == key))
