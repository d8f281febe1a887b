"""Declared settings of enrollee mixes, by name, with their defaults; those of plan risk and transfers go with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from data_specs._declared import Declared, given_settings
from data_specs.errors import SettingRefused
from riskadjust._plan_risk_settings import PlanRiskSettings
from riskadjust._transfer_settings import Parameters, exact_number

__all__ = ["MixSettings", "settings_of"]

_IN_BOTH = ("gcf_decimals", "month_rule")  # of plan risk, and put down by the settlement


@dataclass(frozen=True)
class MixSettings(Declared):
    """The settings of mixes; :func:`riskadjust.mix` takes those of plan risk and transfers in the same mapping.

    Attributes
    ----------
    csr_after_move
        The cost-sharing factor of one who moved: ``by_metal`` (default) that of the enrollee's variant where the year
        publishes one for the new metal level, else that of variant 01 (variants 04 to 06 off silver, 02 and 03 on
        catastrophic plans); or ``kept``, the enrollee's own factor as it was.
    gcf_rule
        Geographic cost factors: ``recomputed`` (default) from the silver premiums of each mix where the base computed
        them, or ``held`` as in the base. Factors that were given are always held.
    moved_claims
        Claims of one who moved: ``metal_value`` (default) times the ratio of the two metal levels' value x induced
        demand factor, or ``kept`` as they were.
    retention_share
        Part of the required premium that is not for claims, transfer and user fee; 0 (default) to below 1.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "csr_after_move": ("by_metal", "kept"),
        "gcf_rule": ("recomputed", "held"),
        "moved_claims": ("metal_value", "kept"),
    }

    csr_after_move: str = "by_metal"
    gcf_rule: str = "recomputed"
    moved_claims: str = "metal_value"
    retention_share: float = 0.0

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; the retention is a share below 1."""
        if name != "retention_share":
            return super()._checked(name, value)
        share = exact_number(value, name)
        if not 0 <= share < Fraction(1):
            raise SettingRefused(f"setting {name!r} cannot be {value!r}", remedy="give 0 or more, and less than 1")
        return float(share)


def settings_of(
    settings: Mapping[str, Any] | None, benefit_year: int
) -> tuple[MixSettings, PlanRiskSettings, Parameters]:
    """Return the settings of mixes, of plan risk and of the settlement, from one mapping.

    Raises
    ------
    SettingRefused
        Unknown name or value.
    """
    given = given_settings(settings)
    names, plan_names = set(MixSettings.names()), set(PlanRiskSettings.names())
    own = {name: value for name, value in given.items() if name in names}
    of_plans = {name: value for name, value in given.items() if name in plan_names}
    others = {n: v for n, v in given.items() if n in _IN_BOTH or n not in names | plan_names}
    return MixSettings.of(own), PlanRiskSettings.of(of_plans), Parameters(others, benefit_year, "mix")
