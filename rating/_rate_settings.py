"""Declared settings of member rates and rate tables: every open point, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rating._premium_arrays import ROUNDING_DIRECTIONS, ROUNDING_POINTS
from rating._sourced_settings import SourcedSettings

__all__ = ["RateSettings"]


@dataclass(frozen=True)
class RateSettings(SourcedSettings):
    """How a member's rate is rounded, and from which age a tobacco ratio may be charged.

    Attributes
    ----------
    rounding_point
        ``member``: one rounding of the whole product (default). ``base``: base x trend x area is rounded to cents
        first. ``nontobacco``: the rate without tobacco is rounded, then loaded and rounded again.
    rounding_direction
        ``nearest`` (half up, default), ``down`` or ``up``.
    tobacco_from_age
        Nobody younger is charged a tobacco ratio (18).
    tobacco_21_from
        First plan year in which nobody below 21 is charged one; None: never. The federal sales age became 21 in
        December 2019 (2020); which age issuers apply was not confirmed.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "rounding_point": ROUNDING_POINTS,
        "rounding_direction": ROUNDING_DIRECTIONS,
    }
    YEARS: ClassVar[tuple[str, ...]] = ("tobacco_21_from",)
    NUMBERS: ClassVar[tuple[str, ...]] = ("tobacco_from_age",)
    BASIS: ClassVar[dict[str, str]] = {
        "rounding_point": "filed rates of 2014-2017: an unrounded base rounded once explains most of them",
        "rounding_direction": "filed rates of 2014-2017: a few issuers cut off or round up",
        "tobacco_from_age": "45 CFR 147.102(a)(1)(iv): legal use of tobacco under federal and state law",
        "tobacco_21_from": "Public Law 116-94, general knowledge; not confirmed for rating",
    }

    rounding_point: str = "member"
    rounding_direction: str = "nearest"
    tobacco_from_age: int = 18
    tobacco_21_from: int | None = 2020

    def tobacco_age(self, plan_year: int) -> int:
        """Return from which age in completed years a tobacco ratio may be charged in a plan year.

        Examples
        --------
        >>> RateSettings().tobacco_age(2019), RateSettings().tobacco_age(2026)
        (18, 21)
        """
        raised = self.tobacco_21_from is not None and plan_year >= self.tobacco_21_from
        return max(self.tobacco_from_age, _RAISED) if raised else self.tobacco_from_age


_RAISED = 21  # the age in the setting's name
