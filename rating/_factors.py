"""What prices a member in a state, market and year: age curve or family tiers, age bands, ceilings; all checked."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _registry
from data_specs._policy import AgeCurve, FamilyTiers, age_curve, family_tiers
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused
from rating._figures import whole_year
from rating._rate_settings import RateSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

__all__ = ["MARKETS", "AgeBands", "RatingFactors", "age_bands", "rate_basis", "rating_factors", "tier_multiplier"]

Integers = NDArray[np.int64]

MARKETS = ("individual", "small_group")
MILLIONTHS = 1_000_000
_REFERENCE_AGE = 21  # the ratio of ages is oldest over 21: rating/rating_rules, max_adult_age_ratio
_FEDERAL = "FED_"


@dataclass(frozen=True, slots=True)
class AgeBands:
    """The age bands of a plan year's rate tables.

    Attributes
    ----------
    labels : tuple of str
        ``0-14``, ``15``, ... ``63``, ``64+`` from 2018; ``0-20``, ``21``, ... before.
    ages : array of int
        The youngest age of each band, in completed years.
    """

    labels: tuple[str, ...]
    ages: Integers

    def of_ages(self, ages: Integers) -> Integers:
        """Return the position of the band of each age."""
        return np.searchsorted(self.ages, np.maximum(ages, 0), "right") - 1


@dataclass(frozen=True, slots=True)
class RatingFactors:
    """The published factors and ceilings of one state, market and plan year.

    Attributes
    ----------
    curve : AgeCurve
        Factor by age; flat in states with family tiers.
    tiers : FamilyTiers or None
        Multipliers of the family tiers, in New York and Vermont.
    bands : AgeBands
        Of the plan year.
    band_millionths : array of int
        Factor x 1,000,000 of each band.
    tobacco_ceiling : Fraction
        Highest ratio of a tobacco user's rate to the rate without; 1 where tobacco may not be rated.
    tobacco_age : int
        From this age a ratio may be charged.
    age_ratio_limit : Fraction
        Highest ratio of the oldest adults' rate to that of age 21.
    as_of : dict of str to int
        The year in which the tables of state rules were read.
    """

    state: str
    market: str
    plan_year: int
    curve: AgeCurve
    tiers: FamilyTiers | None
    bands: AgeBands
    band_millionths: Integers
    tobacco_ceiling: Fraction
    tobacco_age: int
    age_ratio_limit: Fraction
    as_of: dict[str, int]


def rating_factors(
    state: str, market: str, plan_year: int, settings: Mapping[str, Any] | RateSettings | None = None
) -> RatingFactors:
    """Return the factors that price members in a state, market and plan year.

    The curve is the one that ``rating/age_curve_assignment`` names; it must be one factor within the band of children,
    and its oldest age over age 21 within the state's ratio.

    Raises
    ------
    SettingRefused
        The market is neither ``individual`` nor ``small_group``.
    TableMissing
        No curve, tobacco ceiling or age ratio is held for the state, market and year.
    TableRefused
        The curve breaks the ratio, or differs within the band of children.

    Examples
    --------
    >>> factors = rating_factors("AR", "individual", 2026)
    >>> factors.curve.curve_id, factors.tobacco_ceiling, factors.bands.labels[:2]
    ('FED_2018', Fraction(6, 5), ('0-14', '15'))
    """
    chosen = RateSettings.of(settings)
    year = whole_year(plan_year, "plan_year")
    if market not in MARKETS:
        raise SettingRefused(f"market cannot be {market!r}", remedy="choose individual or small_group")
    curve = age_curve(state, market, year)
    tiers = family_tiers(state, market, year)
    bands = age_bands(year)
    ceiling, tobacco_read = _ceiling("rating/tobacco_limits", "max_ratio", "max_tobacco_ratio", state, market, year)
    ratio, ratio_read = _ceiling(
        "rating/state_market_rules", "max_age_ratio", "max_adult_age_ratio", state, market, year
    )
    _check_curve(curve, bands, ratio, f"{state}, {market}, {year}")
    return RatingFactors(
        state,
        market,
        year,
        curve,
        tiers,
        bands,
        curve.at(bands.ages),
        ceiling,
        chosen.tobacco_age(year),
        ratio,
        {"rating/tobacco_limits": tobacco_read, "rating/state_market_rules": ratio_read},
    )


def age_bands(plan_year: int) -> AgeBands:
    """Return the age bands in which rates of a plan year are filed.

    Children share a band up to the last age at which the federal curve of the year has one factor: 20 before 2018,
    14 from 2018 (45 CFR 147.102(d)). The last age of the curve stands for that age and older.

    Examples
    --------
    >>> age_bands(2017).labels[:2], age_bands(2018).labels[:2], age_bands(2018).labels[-1], len(age_bands(2018).ages)
    (('0-20', '21'), ('0-14', '15'), '64+', 51)
    """
    assigned = _registry.rows("rating/age_curve_assignment", year=plan_year)
    federal = sorted({curve for curve in assigned["curve_id"].to_list() if curve.startswith(_FEDERAL)})
    if len(federal) != 1:
        raise TableMissing(
            f"{len(federal)} federal age curves are assigned in {plan_year}",
            where="rating/age_curve_assignment, column curve_id",
            rule="the federal curve of a year (FED_...) says which ages of children share a band",
            remedy="assign one federal curve to the states that use it",
        )
    row = assigned.filter(assigned["curve_id"] == federal[0])
    factors = age_curve(row["state"][0], row["market"][0], plan_year).millionths
    last = len(factors) - 1
    top = int(np.flatnonzero(factors != factors[0])[0]) - 1
    singles = range(top + 1, last)
    labels = (f"0-{top}", *(str(age) for age in singles), f"{last}+")
    return AgeBands(labels, np.array([0, *singles, last], np.int64))


def _ceiling(table: str, column: str, rule: str, state: str, market: str, year: int) -> tuple[Fraction, int]:
    """Return the lower of the state's and the federal ceiling, and the year in which the state's was read."""
    frame = _registry.rows(table)
    frame = frame.filter((frame["state"] == state) & (frame["market"] == market)).sort("as_of_year")
    if frame.height == 0:
        raise TableMissing(
            f"no row for {state}, {market}", where=f"{table}, column {column}", remedy="supply the state's row"
        )
    earlier = frame.filter(frame["as_of_year"] <= year)
    row = earlier.tail(1) if earlier.height else frame.head(1)
    federal = _registry.rows("rating/rating_rules")
    federal = federal.filter(federal["rule"] == rule)
    if federal.height == 0:
        raise TableMissing(f"no row for {rule}", where="rating/rating_rules, column rule", remedy="add the row")
    ratio = min(Fraction(repr(row[column][0])), Fraction(federal["value"][0]))
    return ratio, int(row["as_of_year"][0])


def _check_curve(curve: AgeCurve, bands: AgeBands, limit: Fraction, where: str) -> None:
    children = curve.millionths[: int(bands.ages[1])]
    if (children != children[0]).any():
        raise TableRefused(
            f"curve {curve.curve_id} has several factors within the band {bands.labels[0]}",
            where=f"rating/age_curves ({where})",
            rule="ages of one band have one rate (45 CFR 147.102(d))",
            remedy="mend the curve or its assignment",
        )
    oldest, reference = (Fraction(int(curve.at(np.array(age)))) for age in (len(curve.millionths) - 1, _REFERENCE_AGE))
    if oldest > limit * reference:
        raise TableRefused(
            f"curve {curve.curve_id} rates the oldest adults at {float(oldest / reference):.4f} times age 21",
            where=f"rating/age_curves ({where})",
            rule=f"at most {float(limit):g} (45 CFR 147.102(a)(1)(iii); rating/state_market_rules)",
            remedy="mend the curve, its assignment or the state's ratio",
        )


def tier_multiplier(factors: RatingFactors, tier: str) -> Fraction:
    """Return the multiplier of a family tier.

    Raises
    ------
    InputRefused
        The state publishes no such tier: Vermont has none for a policy that covers only children.

    Examples
    --------
    >>> tier_multiplier(rating_factors("VT", "individual", 2026), "one_adult_children")
    Fraction(193, 100)
    >>> tier_multiplier(rating_factors("VT", "individual", 2026), "child_only")
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: VT publishes no family tier child_only ...
    """
    from data_specs._policy import TIERS

    found = 0 if factors.tiers is None or tier not in TIERS else int(factors.tiers.millionths[TIERS.index(tier)])
    if not found:
        raise InputRefused(
            f"{factors.state} publishes no family tier {tier}",
            where="rating/family_tiers",
            rule="a tier without a published multiplier has no price; none is assumed",
            remedy="quote a policy with an adult, or supply the tier's multiplier",
        )
    return Fraction(found, MILLIONTHS)


def rate_basis(
    *, state: str, market: str, plan_year: int, settings: Mapping[str, Any] | RateSettings | None = None
) -> pl.DataFrame:
    """Return what member rates of a state, market and plan year rest on: the published figures and the settings.

    Parameters
    ----------
    state, market, plan_year
        As in :func:`rating.rate_table`.
    settings : mapping, optional
        See :class:`RateSettings`.

    Returns
    -------
    DataFrame
        ``figure``, ``value``, ``source`` (table, or "setting"), ``as_of_year`` (when a table of state rules was read),
        ``is_uncertain`` (marked so, or read in another year than the plan year).

    Examples
    --------
    >>> basis = rate_basis(state="NJ", market="small_group", plan_year=2026)
    >>> basis.row(0)
    ('age curve', 'NJ_SG_2014', 'rating/age_curve_assignment', None, True)
    """
    import polars as pl

    chosen = RateSettings.of(settings)
    factors = rating_factors(state, market, plan_year, chosen)
    year = factors.plan_year
    lines: list[tuple[str, str, str, int | None, bool]] = [
        ("age curve", factors.curve.curve_id, "rating/age_curve_assignment", None, factors.curve.is_uncertain)
    ]
    if factors.tiers is not None:
        marked = ", ".join(factors.tiers.uncertain)
        said = "published tiers" + (f"; uncertain: {marked}" if marked else "")
        lines.append(("family tiers", said, "rating/family_tiers", None, bool(marked)))
    for figure, ratio, table in (
        ("highest tobacco ratio", factors.tobacco_ceiling, "rating/tobacco_limits"),
        ("highest age ratio", factors.age_ratio_limit, "rating/state_market_rules"),
    ):
        read = factors.as_of[table]
        lines.append((figure, f"{float(ratio):g}", table, read, read != year))
    lines.append(("tobacco charged from age", str(factors.tobacco_age), "setting", None, True))
    lines += [(name, str(getattr(chosen, name)), "setting", None, False) for name in _ROUNDING]
    schema = ("figure", "value", "source", "as_of_year", "is_uncertain")
    return pl.DataFrame(lines, schema=schema, orient="row")


_ROUNDING = ("rounding_point", "rounding_direction")
