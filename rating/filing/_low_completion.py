"""Months of low completion: the trended PMPM of the complete months in the place of a developed estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from data_specs.errors import SettingRefused
from rating.filing._experience_input import by_category, decimal_of, growth, run_of_months
from rating.filing._findings import refusal
from rating.filing._numbers import CONTEXT, exact

__all__ = ["CHAIN_LADDER", "GIVEN", "PAID", "TRENDED", "LowCompletion", "season_factors", "trended_pmpm"]

# How an estimate of ultimate claims came about.
CHAIN_LADDER, GIVEN, TRENDED, PAID = "chain_ladder", "given_factor", "trended_pmpm", "paid_to_date"
_ONE = Decimal(1)


@dataclass(frozen=True)
class LowCompletion:
    """The rule: below which completion it holds (0: never), the trend of each category, the season.

    Attributes
    ----------
    below : Decimal
        0 to below 1.
    trend : dict of Decimal or None
        Annual trend by benefit category; None where none is given.
    season : dict of Decimal
        Factor of each calendar month, 1 to 12.
    """

    below: Decimal
    trend: Mapping[str, Decimal | None]
    season: Mapping[int, Decimal]

    @classmethod
    def of(cls, below: Any, trend: Any, season: Mapping[int, Any] | None, categories: Sequence[str]) -> LowCompletion:
        """Return the rule from what was handed in.

        Raises
        ------
        SettingRefused
            `below` is outside 0 to below 1; trend or season cannot be.
        """
        bound = exact(below, "low_completion")
        if not 0 <= bound < 1:
            raise SettingRefused("setting 'low_completion' is outside 0 to below 1", remedy="0 turns the rule off")
        trends = by_category(trend, "annual_trend", categories)
        if min((t for t in trends.values() if t is not None), default=Decimal(0)) <= -1:
            raise SettingRefused("annual_trend is not above -1", remedy="write 0.06 for 6 percent a year")
        return cls(bound, trends, season_factors(season))

    def holds(self, completion: Decimal | Fraction, developed: Decimal | Fraction | None) -> bool:
        """Return whether a month takes the trended PMPM: completion is low, or no factor develops it."""
        return developed is None or completion < self.below

    def estimates(
        self,
        category: str,
        low: Iterable[int],
        complete: Mapping[int, Fraction],
        members: Mapping[int, Fraction] | None,
        table: str,
    ) -> dict[int, Decimal | None]:
        """Return the estimates of the months of low completion of a category; None: it had no enrollees.

        Raises
        ------
        InputRefused
            The rule is off, and nothing develops these months (TRI-007); member months are absent, or no complete
            month has any (TRI-011).
        SettingRefused
            The category has no trend, or there are no member months at all.
        """
        months = sorted(low)
        where = f"{table}, {category}, {run_of_months(months)}"
        if self.below == 0:
            what = "nothing was paid for these months by now, so no factor develops them"
            raise refusal("TRI-007", what, where, "turn the rule on: low_completion=0.6, say, and annual_trend")
        trend = self.trend[category]
        if trend is None or members is None:
            raise SettingRefused(
                f"completion of {category} is below {self.below} in {len(months)} months, and their estimate needs "
                + ("a trend" if members is not None else "member months"),
                where=where,
                rule="months of low completion take the trended PMPM of the complete months",
                remedy="give annual_trend (0 for none; a filing takes it from trend_y1_cost and trend_y1_util of the "
                "category) and member months, or low_completion=0 for the factors alone",
            )
        absent = sorted({*months, *complete} - set(members))
        base = {m: u for m, u in complete.items() if members.get(m)}
        if absent or not base:
            what = f"no member months of {run_of_months(absent)}" if absent else "no complete month with enrollees"
            raise refusal("TRI-011", what, where, "hand in the months that are absent, or set low_completion=0")
        weights = {m: members[m] for m in base}
        return {
            m: CONTEXT.multiply(decimal_of(members[m]), trended_pmpm(base, weights, m, trend, self.season))
            if members[m]
            else None
            for m in months
        }


def season_factors(given: Mapping[int, Any] | None) -> dict[int, Decimal]:
    """Return the factor of each calendar month, 1 to 12; 1 where there is no seasonality.

    Raises
    ------
    SettingRefused
        Not twelve factors above zero.
    """
    if given is None:
        return dict.fromkeys(range(1, 13), _ONE)
    factors = {k: exact(v, f"month factor {k}") for k, v in dict(given).items()}
    if set(factors) != set(range(1, 13)) or min(factors.values()) <= 0:
        raise SettingRefused(
            "month_factors are not twelve factors above zero", remedy="write 1 (January) to 12 -> factor, with mean 1"
        )
    return factors


def trended_pmpm(
    claims: Mapping[int, Fraction],
    members: Mapping[int, Fraction],
    month: int,
    annual_trend: Decimal,
    season: Mapping[int, Decimal],
) -> Decimal:
    """Return the PMPM of complete months, trended to a month: ``s(m) sum U(j) / s(j) (1+g)^((m-j)/12) / sum M(j)``.

    Months are counted from year 0; `claims` U and `members` M (member months) have the same ones.

    Examples
    --------
    >>> trended_pmpm({24: Fraction(100)}, {24: Fraction(10)}, 36, Decimal("0.06"), season_factors(None))
    Decimal('10.60')
    """
    total = Decimal(0)
    for j, ultimate in sorted(claims.items()):
        even = CONTEXT.divide(decimal_of(ultimate), season[j % 12 + 1])
        total = CONTEXT.add(total, CONTEXT.multiply(even, growth(annual_trend, month - j)))
    pmpm = CONTEXT.divide(total, decimal_of(sum(members.values(), Fraction(0))))
    return CONTEXT.multiply(pmpm, season[month % 12 + 1])
