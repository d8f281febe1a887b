"""Declared settings of actuarial values: every open point of the calculator, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from data_specs.errors import SettingRefused
from rating._sourced_settings import SourcedSettings

__all__ = ["ActuarialValueSettings"]


@dataclass(frozen=True)
class ActuarialValueSettings(SourcedSettings):
    """How the open points of the calculator are taken, and which windows hold.

    Attributes
    ----------
    separate_moop_rule
        Two deductibles under one out-of-pocket limit that copays leave too little of. ``scale_until_met``: both
        deductibles are scaled down until they fit (default). ``as_2017``: the limit is taken to be met with them, as in
        the macro code of 2017, so that the value does not depend on it.
    unsettled
        A search that does not settle. ``null``: no value (default). ``bisect``: the spend is found by bisection, marked
        as our own value and not the calculator's.
    legal_state
        Which windows of ``rating/metal_av_ranges`` hold, by their ``legal_state``: ``in_force`` (default), or that of a
        rule that is stayed.
    coinsurance_is
        Whose share the coinsurances of the designs are: ``plan``, or ``enrollee``, which are turned round. ``not_said``
        (default): they are read as the plan's, and one below one half is flagged with the question.
    filed_tolerance
        Largest difference between a filed value and ours that is not flagged, a share of 1: the workbook shows two
        decimals of a percent (default 0.0005).
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "separate_moop_rule": ("scale_until_met", "as_2017"),
        "unsettled": ("null", "bisect"),
        "coinsurance_is": ("not_said", "plan", "enrollee"),
    }
    BASIS: ClassVar[dict[str, str]] = {
        "separate_moop_rule": "unresolved: no published value of two deductibles was found",
        "unsettled": "what the calculator shows then is not known",
        "legal_state": "45 CFR 156.140; rule of June 2025 stayed in August 2025",
        "coinsurance_is": "calculator of the year: coinsurance is the plan's share",
        "filed_tolerance": "design: ten times what two decimals of a percent leave open",
    }

    separate_moop_rule: str = "scale_until_met"
    unsettled: str = "null"
    legal_state: str = "in_force"
    coinsurance_is: str = "not_said"
    filed_tolerance: float = 0.0005

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name == "legal_state":
            if isinstance(value, str) and value:
                return value
            remedy = "write a legal_state of rating/metal_av_ranges"
        elif name == "filed_tolerance":
            if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1:
                return float(value)
            remedy = "write a share from 0 to 1"
        else:
            return super()._checked(name, value)
        raise SettingRefused(f"setting {name!r} cannot be {value!r}", remedy=remedy)
