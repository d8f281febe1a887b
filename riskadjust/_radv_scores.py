"""Steps of the validation that concern people: adjusted scores of the sample, and the error rate of each issuer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._cents import exact
from riskadjust._refusals import rule_text

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._radv_audit import Audit
    from riskadjust._radv_groups import National, Units
    from riskadjust._radv_rates import IssuerRates

__all__ = ["SampleArrays", "enrollee_frame", "error_rates_of", "sample_arrays", "scaled_integers"]

_ZERO = Fraction(0)
_MOST_DECIMALS = 9
_LARGEST_SURE = 1e15  # a whole number of so many digits over a power of ten is the only decimal of its double
_Issuer = tuple[str, ...]


@dataclass(frozen=True)
class SampleArrays:
    """The sample side by side, in the order of its rows: what adjusting it again needs.

    Attributes
    ----------
    issuers : list
        Sampled issuers, sorted.
    first : array
        Position of the first person of each issuer, and the number of people.
    weighted : list of int
        Stratum weight times risk score of each person, on one scale.
    score : array
        Risk score of each person.
    parts : dict
        Person -> HCC score parts by group, of those who have any, on the scale `part_scale`.
    part_scale : int
        Parts of one.
    shares : array, people x groups
        The share of each group in a person's HCC parts; 0 without parts.
    submitted, found : array, people x groups
        HCCs of each person, as they are counted.
    """

    issuers: list[_Issuer]
    first: NDArray[np.int64]
    weighted: list[int]
    score: NDArray[np.float64]
    parts: dict[int, list[int]]
    part_scale: int
    shares: NDArray[np.float64]
    submitted: NDArray[np.int64]
    found: NDArray[np.int64]

    def sizes(self) -> dict[_Issuer, int]:
        """Return the number of sampled people of each issuer."""
        return dict(zip(self.issuers, np.diff(self.first).tolist(), strict=True))


def scaled_integers(values: NDArray[np.float64]) -> tuple[list[int], int]:
    """Return numbers as whole numbers of one scale, exactly as their shortest decimals, and the scale.

    Examples
    --------
    >>> scaled_integers(np.array([1.5, 0.125])), scaled_integers(np.array([1e-12, 2.0]))
    (([1500, 125], 1000), ([1, 2000000000000], 1000000000000))
    """
    for decimals in range(_MOST_DECIMALS + 1):
        scale = 10**decimals
        whole = np.rint(values * scale)
        if ((whole / scale == values) & (np.abs(whole) < _LARGEST_SURE)).all():
            return whole.astype(np.int64).tolist(), scale
    fractions = [exact(v) for v in values.tolist()]
    scale = math.lcm(*(f.denominator for f in fractions))
    return [f.numerator * (scale // f.denominator) for f in fractions], scale


def sample_arrays(
    audit: Audit, units: Units, national: National, groups: int, *, once: bool, findings: Findings
) -> SampleArrays:
    """Return the sample as arrays.

    Raises
    ------
    InputRefused
        Rule RDV-017.
    """
    import polars as pl

    sample, keys = audit.sample, audit.keys
    issuer_rows = sample.select(keys)
    issuers = sorted(set(issuer_rows.rows()))
    run = issuer_rows.select(pl.struct(keys).rle_id()).to_series().to_numpy() if sample.height else np.array([], int)
    first = np.searchsorted(run, np.arange(len(issuers) + 1)).astype(np.int64)
    person = sample.select(*keys, "enrollee_id").with_row_index("person")
    hccs = units.joined(audit.hccs).join(
        person, on=[*keys, "enrollee_id"], how="left", maintain_order="left", validate="m:1"
    )
    submitted, found = (np.zeros((sample.height, groups), np.int64) for _ in range(2))
    parts: dict[int, list[int]] = {}
    seen: set[tuple[int, int, bool]] = set()
    columns = ("person", "unit", "is_submitted", "is_found")
    units_of_score, part_scale = scaled_integers(hccs["hcc_score"].to_numpy())
    for (at, unit, is_submitted, is_found), part in zip(hccs.select(columns).rows(), units_of_score, strict=True):
        group = national.group_of.get(unit)
        if group is None:
            continue
        for flag, counts in ((is_submitted, submitted), (is_found, found)):
            if flag and not (once and (at, unit, counts is found) in seen):
                counts[at, group] += 1
                seen.add((at, unit, counts is found))
        if is_submitted:
            parts.setdefault(at, [0] * groups)[group] += part
    weight, _ = scaled_integers(sample["stratum_weight"].to_numpy())
    score, score_scale = scaled_integers(sample["risk_score"].to_numpy())
    _check_scores(issuers, first, score)
    sums = {at: sum(mine) for at, mine in parts.items()}
    findings.note("RDV-031", "sample", sum(total == 0 for total in sums.values()))
    findings.note("RDV-032", "sample", sum(h * score_scale > score[at] * part_scale for at, h in sums.items()))
    parts = {at: mine for at, mine in parts.items() if sums[at]}
    shares = np.zeros((sample.height, groups))
    for at, mine in parts.items():
        shares[at] = [p / sums[at] for p in mine]
    weighted = [w * s for w, s in zip(weight, score, strict=True)]
    scores = sample["risk_score"].to_numpy()
    return SampleArrays(issuers, first, weighted, scores, parts, part_scale, shares, submitted, found)


def _check_scores(issuers: list[_Issuer], first: NDArray[np.int64], score: list[int]) -> None:
    without = [i for i, (a, b) in zip(issuers, pairwise(first.tolist()), strict=True) if not any(score[a:b])]
    if without:
        raise InputRefused(
            f"{len(without)} issuers have no risk score above zero",
            where="sample, issuer " + ", ".join(" ".join(i) for i in without[:3]),
            rule=rule_text("RDV-017"),
            remedy="check the column risk_score",
        )


def adjustments_of(arrays: SampleArrays, factors: list[Fraction], people: range) -> dict[int, Fraction]:
    """Return the adjustment of each person of an issuer that has one: ``sum h A / sum h`` over the HCC parts h."""
    found = {}
    for at in people:
        mine = arrays.parts.get(at)
        if mine is not None:
            top = sum((h * a for h, a in zip(mine, factors, strict=True)), _ZERO)
            if top:
                found[at] = top / sum(mine)
    return found


@dataclass(frozen=True)
class ErrorRates:
    """The error rate of each sampled issuer, exactly, and the adjustment of each person that has one."""

    rates: dict[_Issuer, Fraction]
    adjustments: dict[int, Fraction]


def error_rates_of(arrays: SampleArrays, rates: IssuerRates, scaling: Fraction) -> ErrorRates:
    """Return the error rate of each sampled issuer: ``scaling (1 - sum w S (1 - adj) / sum w S)``."""
    error: dict[_Issuer, Fraction] = {}
    adjustments: dict[int, Fraction] = {}
    for issuer, (start, stop) in zip(arrays.issuers, pairwise(arrays.first.tolist()), strict=True):
        people, factors = range(start, stop), rates.factors(issuer)
        mine = adjustments_of(arrays, factors, people) if any(factors) else {}
        adjustments |= mine
        moved = sum((arrays.weighted[at] * adj for at, adj in mine.items()), _ZERO)
        error[issuer] = scaling * moved / sum(arrays.weighted[start:stop])
    return ErrorRates(error, adjustments)


def enrollee_frame(audit: Audit, arrays: SampleArrays, errors: ErrorRates) -> pl.DataFrame:
    """Return the sample with the sum of HCC parts, the adjustment and the adjusted score of each person."""
    import polars as pl

    hcc_score, adjustment = (np.zeros(audit.sample.height) for _ in range(2))
    adjusted = arrays.score.copy()
    for at, mine in arrays.parts.items():
        hcc_score[at] = sum(mine) / arrays.part_scale
    for at, adj in errors.adjustments.items():
        adjustment[at] = float(adj)
        adjusted[at] = float(exact(float(arrays.score[at])) * (1 - adj))
    floats = {"hcc_score": hcc_score, "adjustment": adjustment, "adjusted_risk_score": adjusted}
    kept = audit.sample.select(*audit.keys, "enrollee_id", "stratum", "stratum_weight", "risk_score")
    return kept.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in floats.items())
