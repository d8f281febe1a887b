"""How far chance in the sample alone may move an error rate: people drawn again with replacement, within strata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._threads import map_chunks
from riskadjust._draw_choices import check_draws
from riskadjust._draws import DRAWS_AT_ONCE, Strata

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._radv_rates import IssuerRates, OutlierRule
    from riskadjust._radv_scores import ErrorRates, SampleArrays

__all__ = ["RadvBasis", "RadvConfidence", "confidence_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RadvConfidence:
    """What resampling says of error rates; see :meth:`riskadjust.RadvAdjustment.confidence`.

    Attributes
    ----------
    issuers : DataFrame
        Key, sampled_enrollees, error_rate, mean_of_draws, standard_error, lower, upper, outlier_share,
        linearized_standard_error.
    warnings : tuple of str
        What a reader must know: strata with one sampled enrollee.
    settings : dict
        seed, draws, level.
    """

    issuers: pl.DataFrame
    warnings: tuple[str, ...]
    settings: dict[str, Any]

    def __repr__(self) -> str:
        return f"RadvConfidence(issuers={self.issuers.height}, seed={self.settings['seed']})"


@dataclass(frozen=True)
class RadvBasis:
    """What a validation leaves for drawing its samples again."""

    keys: tuple[str, ...]
    sample: pl.DataFrame
    arrays: SampleArrays
    rates: IssuerRates
    errors: ErrorRates
    rule: OutlierRule
    scaling: float


@dataclass(frozen=True)
class _People:
    """The sample sorted by issuer and stratum: a row of `terms` holds what a draw adds up."""

    order: Integers
    first: Integers  # of the strata
    issuer_first: Integers
    issuer_of_stratum: Integers
    terms: Floats  # w S, then by group w S share, submitted, found


def confidence_of(basis: RadvBasis, *, seed: int, draws: int, level: float) -> RadvConfidence:
    """Return intervals of the error rates; see :meth:`riskadjust.RadvAdjustment.confidence`."""
    import polars as pl

    check_draws(seed, draws, level)
    arrays = basis.arrays
    settings = {"seed": int(seed), "draws": int(draws), "level": float(level)}
    people = _people(basis)
    rates, is_outlier = _draw(basis, people, int(seed), int(draws))
    linear = _linearized(basis, people)
    ends = [(1 - level) / 2, (1 + level) / 2]
    lines = []
    for i, issuer in enumerate(arrays.issuers):
        drawn = rates[:, i]
        lower, upper = np.quantile(drawn, ends).tolist()
        size = int(arrays.first[i + 1] - arrays.first[i])
        figures = (float(basis.errors.rates[issuer]), float(drawn.mean()), float(drawn.std(ddof=1)), lower, upper)
        lines.append((*issuer, size, *figures, float(is_outlier[:, i].mean()), float(linear[i])))
    floats = ("error_rate", "mean_of_draws", "standard_error", "lower", "upper", "outlier_share")
    schema: dict[str, Any] = dict.fromkeys(basis.keys, pl.String) | {"sampled_enrollees": pl.Int64}
    schema |= dict.fromkeys((*floats, "linearized_standard_error"), pl.Float64)
    return RadvConfidence(pl.DataFrame(lines, schema=schema, orient="row"), _warnings(people), settings)


def _people(basis: RadvBasis) -> _People:
    import polars as pl

    arrays, sample = basis.arrays, basis.sample
    by_stratum = sample.select(*basis.keys, "stratum").with_row_index("_at").sort(*basis.keys, "stratum", "_at")
    order = by_stratum["_at"].cast(pl.Int64).to_numpy()
    run = by_stratum.select(pl.struct(*basis.keys, "stratum").rle_id()).to_series().to_numpy()
    strata = int(run[-1]) + 1 if len(run) else 0
    first = np.searchsorted(run, np.arange(strata + 1)).astype(np.int64)
    weighted = (sample["stratum_weight"].to_numpy() * arrays.score)[:, None]
    terms = np.hstack([weighted, weighted * arrays.shares, arrays.submitted, arrays.found])[order]
    of_stratum = np.searchsorted(arrays.first, first[:-1], side="right") - 1
    return _People(order, first, arrays.first, of_stratum, np.ascontiguousarray(terms))


def _draw(basis: RadvBasis, people: _People, seed: int, draws: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the error rate of each issuer in each draw, and whether any of its groups is an outlier there."""
    issuers = len(people.issuer_first) - 1
    groups = len(basis.rates.nations)
    strata = Strata.of_starts(people.first)
    rates, is_outlier = np.zeros((draws, issuers)), np.zeros((draws, issuers), bool)

    def run(start: int) -> None:
        for draw in range(start, min(start + DRAWS_AT_ONCE, draws)):
            times = strata.times(seed, draw).astype(np.float64)
            sums = np.add.reduceat(times[:, None] * people.terms, people.issuer_first[:-1], axis=0)
            weighted, shared, submitted, found = np.split(sums, [1, 1 + groups, 1 + 2 * groups], axis=1)
            factors, outliers = _factors(basis, submitted, found)
            with np.errstate(invalid="ignore", divide="ignore"):
                rate = basis.scaling * np.sum(shared * factors, axis=1) / weighted[:, 0]
            rates[draw] = np.where(weighted[:, 0] > 0, rate, 0.0)
            is_outlier[draw] = outliers.any(axis=1)

    if issuers:
        map_chunks(run, range(0, draws, DRAWS_AT_ONCE))
    return rates, is_outlier


def _factors(basis: RadvBasis, submitted: Floats, found: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return adjustment factors and outliers by issuer and group, as :class:`OutlierRule` has them, in doubles."""
    rule, nations = basis.rule, basis.rates.nations
    mean = np.array([np.nan if n is None else float(n.mean) for n in nations])
    deviation = np.array([np.nan if n is None else float(n.deviation) for n in nations])
    inner, outer = float(rule.inner), float(rule.outer)
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(submitted > 0, 1.0 - found / submitted, np.nan)
    distance = rate - mean
    is_outlier = (np.abs(distance) > inner * deviation) & (submitted >= float(rule.least))
    below = (rate < 0) & ((rate < mean) | (rule.constraint == "any_outlier")) & (rule.constraint != "none")
    used = np.where(below, 0.0, rate) - mean

    def slid(away: Floats) -> Floats:
        size = np.abs(away)
        slope = outer / (outer - inner) if outer > inner else 0.0
        part = np.sign(away) * slope * (size - inner * deviation)
        return np.where(size <= inner * deviation, 0.0, np.where(size >= outer * deviation, away, part))

    if rule.constrains_first:
        factor = slid(used)
    else:
        with np.errstate(invalid="ignore", divide="ignore"):
            factor = np.where(below, slid(distance) / distance * used, slid(distance))
    return np.where(is_outlier, factor, 0.0), is_outlier


def _linearized(basis: RadvBasis, people: _People) -> Floats:
    """Return the standard error of each error rate with its group adjustments held, by linearizing the ratio.

    ``u = w S (adj - R)``; ``var = sum over strata of n / (n - 1) sum (u - mean u)^2 / (sum w S)^2``.
    """
    arrays = basis.arrays
    weighted = people.terms[:, 0]
    adjustment = np.array([float(basis.errors.adjustments.get(at, 0)) for at in people.order.tolist()])
    sizes = np.diff(people.issuer_first)
    rate = np.array([float(basis.errors.rates[i]) for i in arrays.issuers])
    error = weighted * (basis.scaling * adjustment - np.repeat(rate, sizes))
    variance = np.zeros(len(sizes))
    for stratum, (start, stop) in enumerate(zip(people.first[:-1].tolist(), people.first[1:].tolist(), strict=True)):
        if stop - start > 1:
            own = error[start:stop]
            spread = float(np.sum((own - own.mean()) ** 2))
            variance[people.issuer_of_stratum[stratum]] += (stop - start) / (stop - start - 1) * spread
    total = np.add.reduceat(weighted, people.issuer_first[:-1]) if len(sizes) else np.zeros(0)
    return np.sqrt(variance) / total


def _warnings(people: _People) -> tuple[str, ...]:
    alone = int((np.diff(people.first) == 1).sum())
    if not alone:
        return ()
    return (f"{alone} strata have one sampled enrollee: nothing is seen of how people in them differ",)
