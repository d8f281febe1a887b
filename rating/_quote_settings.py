"""Declared settings of household quotes: every open point, with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from data_specs.errors import SettingRefused
from rating._factors import MARKETS
from rating._premium_arrays import ROUNDING_DIRECTIONS, ROUNDING_POINTS
from rating._rate_settings import RateSettings
from rating._sourced_settings import SourcedSettings
from rating._subsidy_settings import BenchmarkSettings

__all__ = ["QuoteSettings"]

_EXACT = "exact"


@dataclass(frozen=True)
class QuoteSettings(SourcedSettings):
    """How households are quoted.

    Attributes
    ----------
    market
        ``individual`` (default) or ``small_group``: no credit, no cost-sharing variant; rates by quarter.
    area_map
        Which published map of rating areas places an address: ``exact`` (default): the map of the plan year, which
        must be held; or the year of a snapshot, named by the caller.
    tie, single_silver
        How the benchmark is found, see :class:`rating.BenchmarkSettings`.
    rounding_point, rounding_direction, tobacco_from_age, tobacco_21_from
        See :class:`rating.RateSettings`; the roundings hold for base rates, filed rates are rounded already.
    catastrophic_below_age
        A catastrophic plan is open to households all of whose covered members are younger at the start of the plan
        year (30), or who hold an exemption.
    catastrophic_hardship_from
        First plan year in which incomes without a credit (outside its limits) and incomes above the cost-sharing
        reductions count as a hardship exemption (2026); None: never.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "market": MARKETS,
        "tie": BenchmarkSettings.CHOICES["tie"],
        "single_silver": BenchmarkSettings.CHOICES["single_silver"],
        "rounding_point": ROUNDING_POINTS,
        "rounding_direction": ROUNDING_DIRECTIONS,
    }
    YEARS: ClassVar[tuple[str, ...]] = ("tobacco_21_from", "catastrophic_hardship_from")
    NUMBERS: ClassVar[tuple[str, ...]] = ("tobacco_from_age", "catastrophic_below_age")
    BASIS: ClassVar[dict[str, str]] = {
        "market": "45 CFR 147.102, 156.80",
        "area_map": "maps held: rating/rating_area_map; a year without a map is refused, never the nearest taken",
        "tie": BenchmarkSettings.BASIS["tie"],
        "single_silver": BenchmarkSettings.BASIS["single_silver"],
        **RateSettings.BASIS,
        "catastrophic_below_age": "42 U.S.C. 18022(e)(2); 45 CFR 155.305(h)",
        "catastrophic_hardship_from": "federal guidance of 4 September 2025; single source",
    }

    market: str = "individual"
    area_map: str | int = _EXACT
    tie: str = "plans"
    single_silver: str = "benchmark"
    rounding_point: str = "member"
    rounding_direction: str = "nearest"
    tobacco_from_age: int = 18
    tobacco_21_from: int | None = 2020
    catastrophic_below_age: int = 30
    catastrophic_hardship_from: int | None = 2026

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; the map of rating areas is a word or a year."""
        if name != "area_map":
            return super()._checked(name, value)
        if value == _EXACT or (hasattr(value, "__index__") and not isinstance(value, bool)):
            return value
        rule = "exact, or the year of a published map"
        raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule=rule, remedy="write 'exact' or 2023, say")

    @property
    def rates(self) -> RateSettings:
        """The settings of member rates among these.

        Examples
        --------
        >>> QuoteSettings.of({"rounding_direction": "down"}).rates.rounding_direction
        'down'
        """
        names = ("rounding_point", "rounding_direction", "tobacco_from_age", "tobacco_21_from")
        return RateSettings(**{name: getattr(self, name) for name in names})

    def hardship_by_income(self, plan_year: int) -> bool:
        """Return whether incomes without help count as a hardship exemption in a plan year."""
        return self.catastrophic_hardship_from is not None and plan_year >= self.catastrophic_hardship_from


Settings = Mapping[str, Any] | QuoteSettings | None
