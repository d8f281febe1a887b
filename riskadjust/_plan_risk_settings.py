"""Declared settings of plan risk: open points of the published rules, by name, with their defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from data_specs._policy import LEAP_BIRTHDAYS, MONTH_RULES
from data_specs.errors import SettingRefused

__all__ = ["PlanRiskSettings"]

_CHOICES = {"month_rule": MONTH_RULES, "leap_birthday": LEAP_BIRTHDAYS}
_COUNTS = {
    "family_tier_billable_children": (0, 99, False),
    "gcf_decimals": (0, 12, True),
    "max_billable_children_under_21_per_family": (0, 99, True),
}


@dataclass(frozen=True)
class PlanRiskSettings:
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
    """

    family_tier_billable_children: int = 1
    gcf_decimals: int | None = None
    leap_birthday: str = "march_1"
    max_billable_children_under_21_per_family: int | None = None
    month_rule: str = "days_over_30"

    @classmethod
    def of(cls, settings: Mapping[str, Any] | PlanRiskSettings | None) -> PlanRiskSettings:
        """Return settings from a mapping of some of the names.

        Raises
        ------
        SettingRefused
            Unknown name or value.

        Examples
        --------
        >>> PlanRiskSettings.of({"month_rule": "full_month_one"}).month_rule
        'full_month_one'
        """
        if isinstance(settings, PlanRiskSettings):
            return settings
        if settings is not None and not isinstance(settings, Mapping):
            raise SettingRefused("settings are not a mapping", remedy='write them as {"name": value}')
        given = dict(settings or {})
        names = [f.name for f in fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise SettingRefused(f"no setting is called {name!r}", remedy="settings: " + ", ".join(names))
            _check_value(name, value)
        return cls(**given)

    def as_dict(self) -> dict[str, Any]:
        """Return every setting with the value used."""
        return asdict(self)


def _check_value(name: str, value: object) -> None:
    if name in _CHOICES:
        if value not in _CHOICES[name]:
            shown = ", ".join(repr(c) for c in _CHOICES[name])
            raise SettingRefused(f"setting {name!r} cannot be {value!r}", remedy=f"choose one of {shown}")
        return
    low, high, may_be_none = _COUNTS[name]
    if value is None and may_be_none:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        alternative = ", or None" if may_be_none else ""
        raise SettingRefused(
            f"setting {name!r} cannot be {value!r}", remedy=f"give a whole number from {low} to {high}{alternative}"
        )
