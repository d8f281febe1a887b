"""Steps of the validation that concern issuers: failure rates by group, national mean and deviation, adjustments."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from riskadjust._radv_groups import group_names

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._radv_groups import National
    from riskadjust._radv_settings import RadvTerms

__all__ = [
    "ROOT_DIGITS",
    "GroupRate",
    "IssuerRates",
    "Nation",
    "OutlierRule",
    "group_frame",
    "issuer_rates",
    "national_frame",
    "square_root",
]

ROOT_DIGITS = 60
_ZERO = Fraction(0)
_Issuer = tuple[str, ...]


def square_root(number: Fraction) -> Fraction:
    """Return the square root to 60 digits, the last rounded half to even: the same on every machine.

    Examples
    --------
    >>> square_root(Fraction(9, 4)), float(square_root(Fraction(2)))
    (Fraction(3, 2), 1.4142135623730951)
    """
    context = Context(prec=ROOT_DIGITS)
    return Fraction(context.sqrt(context.divide(Decimal(number.numerator), Decimal(number.denominator))))


@dataclass(frozen=True)
class Nation:
    """Mean and standard deviation of the failure rates of one group; None without submitted HCCs.

    Attributes
    ----------
    variance : Fraction
        The square of `deviation` before it was rounded: what an outlier is compared with.
    """

    mean: Fraction
    deviation: Fraction
    variance: Fraction
    is_given: bool


@dataclass(frozen=True)
class OutlierRule:
    """When a rate is an outlier, and what adjustment factor follows.

    ``z = (x - m) / s``. Static: an outlier beyond ``|z| = outer``, ``A = x - m``. Sliding: an outlier beyond `inner`;
    ``A = x - m`` from `outer` on, and between ``A = sign(z) outer / (outer - inner) (|z| - inner) s``. An outlier with
    fewer than `least` HCCs is none. Where `constraint` says so, an outlier below zero is taken as 0.

    Examples
    --------
    >>> rule = OutlierRule(Fraction("1.645"), Fraction(3), Fraction(30), "negative_outliers", True)
    >>> nation = Nation(Fraction("0.1"), Fraction("0.04"), Fraction("0.0016"), True)
    >>> [float(round(rule.adjust(Fraction(x), 50, nation).adjustment, 9)) for x in ("0.16", "0.18", "0.25")]
    [0.0, 0.031439114, 0.15]
    """

    inner: Fraction
    outer: Fraction
    least: Fraction
    constraint: str
    constrains_first: bool

    @classmethod
    def of(cls, terms: RadvTerms) -> OutlierRule:
        """Return the rule of an audit year."""
        constrains_first = terms.chosen.constraint_order == "before_slide"
        return cls(terms.inner_z, terms.outer_z, terms.least_hccs, terms.constraint, constrains_first)

    def is_constrained(self, rate: Fraction, mean: Fraction) -> bool:
        """Return whether the rate of an outlier is set to 0."""
        return rate < 0 and (
            self.constraint == "any_outlier" or (self.constraint == "negative_outliers" and rate < mean)
        )

    def slid(self, distance: Fraction, nation: Nation) -> Fraction:
        """Return what the slide makes of a distance from the mean; exact but for the digits of the root."""
        square = distance**2
        if square <= self.inner**2 * nation.variance:
            return _ZERO
        if square >= self.outer**2 * nation.variance:
            return distance
        size = self.outer / (self.outer - self.inner) * (abs(distance) - self.inner * nation.deviation)
        return size if distance > 0 else -size

    def adjust(self, rate: Fraction, submitted: int, nation: Nation) -> GroupRate:
        """Return the rate of an issuer in a group with its adjustment factor."""
        distance = rate - nation.mean
        is_beyond = distance**2 > self.inner**2 * nation.variance
        if not is_beyond or submitted < self.least:
            return GroupRate(rate, is_beyond, False, rate, _ZERO)
        used = _ZERO if self.is_constrained(rate, nation.mean) else rate
        if self.constrains_first or used == rate:
            adjustment = self.slid(used - nation.mean, nation)
        else:
            adjustment = self.slid(distance, nation) / distance * (used - nation.mean)
        return GroupRate(rate, is_beyond, True, used, adjustment)


@dataclass(frozen=True)
class GroupRate:
    """The failure rate of an issuer in a group, what was made of it, and the adjustment factor."""

    rate: Fraction
    is_beyond: bool
    is_outlier: bool
    constrained: Fraction
    adjustment: Fraction


@dataclass(frozen=True)
class IssuerRates:
    """Counts and rates of all issuers, sorted by key, and the nation's figures, by group.

    Attributes
    ----------
    submitted, found : dict
        Issuer -> counts by group.
    rates : dict
        Issuer -> rate by group; None where it submitted nothing.
    nations : list
        Mean and deviation by group; None where nobody submitted anything.
    """

    submitted: dict[_Issuer, list[int]]
    found: dict[_Issuer, list[int]]
    rates: dict[_Issuer, list[GroupRate | None]]
    nations: list[Nation | None]

    def factors(self, issuer: _Issuer) -> list[Fraction]:
        """Return the adjustment factor of an issuer in each group; 0 where it has no rate."""
        return [_ZERO if r is None else r.adjustment for r in self.rates.get(issuer, [])]


def issuer_rates(
    counts: pl.DataFrame, issuers: list[_Issuer], national: National, terms: RadvTerms, findings: Findings
) -> IssuerRates:
    """Return the failure rates of issuers in each group, and which are outliers.

    ``x = 1 - sum found / sum submitted`` of the issuer's HCCs in a group; ``m = 1 - sum found / sum submitted`` of all;
    ``s^2 = sum submitted (x - m)^2 / sum submitted``, times n / (n - 1) for n issuers where the setting
    ``deviation_form`` is ``sample``.
    """
    submitted = {issuer: [0] * terms.groups for issuer in issuers}
    found = {issuer: [0] * terms.groups for issuer in issuers}
    for *key, unit, e, v in counts.rows():
        group = national.group_of.get(unit)
        if group is not None:
            submitted[tuple(key)][group] += e
            found[tuple(key)][group] += v
    is_sample = terms.chosen.deviation_form == "sample"
    nations = [_nation(submitted, found, group, national, is_sample) for group in range(terms.groups)]
    rule, rates = OutlierRule.of(terms), {}
    for issuer in issuers:
        rates[issuer] = [
            rule.adjust(1 - Fraction(v, e), e, nation) if e and nation is not None else None
            for e, v, nation in zip(submitted[issuer], found[issuer], nations, strict=True)
        ]
    result = IssuerRates(submitted, found, rates, nations)
    _note(result, terms, findings)
    return result


def _nation(
    submitted: dict[_Issuer, list[int]],
    found: dict[_Issuer, list[int]],
    group: int,
    national: National,
    is_sample: bool,
) -> Nation | None:
    if group in national.given:
        mean, deviation = national.given[group]
        return Nation(mean, deviation, deviation**2, True)
    total = sum(counts[group] for counts in submitted.values())
    if total == 0:
        return None
    mean = 1 - Fraction(sum(counts[group] for counts in found.values()), total)
    squares = _ZERO
    for issuer, counts in submitted.items():
        if counts[group]:
            squares += counts[group] * (1 - Fraction(found[issuer][group], counts[group]) - mean) ** 2
    variance = squares / total
    issuers = sum(counts[group] > 0 for counts in submitted.values())
    if is_sample and issuers > 1:
        variance *= Fraction(issuers, issuers - 1)
    return Nation(mean, square_root(variance), variance, False)


def _note(result: IssuerRates, terms: RadvTerms, findings: Findings) -> None:
    rates = [r for of_issuer in result.rates.values() for r in of_issuer if r is not None]
    constrained = sum(r.constrained != r.rate for r in rates)
    spared = sum(r.is_beyond and not r.is_outlier for r in rates)
    findings.note("RDV-037", "issuers", constrained)
    findings.note("RDV-038", "issuers", spared)
    unrated = sum(
        v > 0 and e == 0
        for issuer in result.rates
        for e, v in zip(result.submitted[issuer], result.found[issuer], strict=True)
    )
    findings.note("RDV-047", "issuers", unrated)
    terms.outliers_moved(sum(r.adjustment != 0 for r in rates), constrained, spared)


def group_frame(result: IssuerRates, keys: tuple[str, ...]) -> pl.DataFrame:
    """Return a row per issuer and group: counts, failure rate, deviation z, outlier, rate used, adjustment."""
    import polars as pl

    lines: list[tuple[object, ...]] = []
    for issuer, rates in result.rates.items():
        names = group_names(len(rates))
        for group, rate in enumerate(rates):
            line: tuple[object, ...] = (*issuer, names[group], result.submitted[issuer][group])
            line += (result.found[issuer][group],)
            nation = result.nations[group]
            if rate is None or nation is None:
                lines.append((*line, None, None, False, None, 0.0))
                continue
            z = float((rate.rate - nation.mean) / nation.deviation) if nation.deviation else None
            used, factor = float(rate.constrained), float(rate.adjustment)
            lines.append((*line, float(rate.rate), z, rate.is_outlier, used, factor))
    schema = dict.fromkeys((*keys, "group"), pl.String) | {
        "submitted_hccs": pl.Int64,
        "found_hccs": pl.Int64,
        "failure_rate": pl.Float64,
        "deviation": pl.Float64,
        "is_outlier": pl.Boolean,
        "constrained_failure_rate": pl.Float64,
        "group_adjustment": pl.Float64,
    }
    return pl.DataFrame(lines, schema=schema, orient="row")


def national_frame(result: IssuerRates, national: National) -> pl.DataFrame:
    """Return a row per group: units, issuers with a rate, counts, mean, standard deviation, outliers, source."""
    import polars as pl

    names = group_names(len(result.nations))
    lines = []
    for group, nation in enumerate(result.nations):
        rates = [r[group] for r in result.rates.values()]
        submitted = sum(counts[group] for counts in result.submitted.values())
        lines.append(
            {
                "group": names[group],
                "hccs": sum(g == group for g in national.group_of.values()),
                "issuers": sum(r is not None for r in rates),
                "submitted_hccs": submitted,
                "found_hccs": sum(counts[group] for counts in result.found.values()),
                "mean_failure_rate": None if nation is None else float(nation.mean),
                "standard_deviation": None if nation is None else float(nation.deviation),
                "outliers": sum(r is not None and r.is_outlier for r in rates),
                "source": "given" if nation is not None and nation.is_given else "issuers at hand",
            }
        )
    floats = ("mean_failure_rate", "standard_deviation")
    return pl.DataFrame(lines, schema_overrides=dict.fromkeys(floats, pl.Float64))
