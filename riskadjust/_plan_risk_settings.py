"""Declared settings of plan risk: open points of the published rules, by name, with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from data_specs._declared import Declared
from data_specs._policy import LEAP_BIRTHDAYS, MONTH_RULES
from data_specs.errors import SettingRefused

__all__ = ["PlanRiskSettings"]

# Whole numbers: the least, the most, and whether there may be none.
_COUNTS = {
    "family_tier_billable_children": (0, 99, False),
    "gcf_decimals": (0, 12, True),
    "max_billable_children_under_21_per_family": (0, 99, True),
}


@dataclass(frozen=True)
class PlanRiskSettings(Declared):
    """The settings of one run of plan risk; :meth:`of` reads them from a mapping.

    Attributes
    ----------
    family_tier_billable_children
        How many children of a policy are billable in family-tier states (New York, Vermont): 1. General knowledge; the
        level of the published averages agrees with it.
    gcf_decimals
        Decimals to which a computed geographic cost factor is rounded, half away from zero; None: not rounded
        (default). HHS published three decimals for 2018-2021 and full precision for 2022-2024. A given factor is
        never rounded.
    leap_birthday
        Birthday of someone born on 29 February in common years: ``march_1`` (default) or ``february_28``.
    max_billable_children_under_21_per_family
        How many children under 21 of a policy are billable where members are rated one by one; None: the figure of
        ``transfers/program_parameters`` for the benefit year (default).
    month_rule
        Member months: ``days_over_30`` (default), covered days / 30; or ``full_month_one``, a calendar month covered in
        full counts 1, a partial one its days / 30 and at most 1. Premium accrues on the same measure.

    Examples
    --------
    >>> PlanRiskSettings.of({"month_rule": "full_month_one"}).month_rule
    'full_month_one'
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {"month_rule": MONTH_RULES, "leap_birthday": LEAP_BIRTHDAYS}

    family_tier_billable_children: int = 1
    gcf_decimals: int | None = None
    leap_birthday: str = "march_1"
    max_billable_children_under_21_per_family: int | None = None
    month_rule: str = "days_over_30"

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; counts are whole numbers within their bounds."""
        if name not in _COUNTS:
            return super()._checked(name, value)
        low, high, may_be_none = _COUNTS[name]
        if value is None and may_be_none:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            alternative = ", or None" if may_be_none else ""
            raise SettingRefused(
                f"setting {name!r} cannot be {value!r}", remedy=f"give a whole number from {low} to {high}{alternative}"
            )
        return value
