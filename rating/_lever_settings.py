"""Declared settings of the search for a lever."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from data_specs.errors import SettingRefused
from rating._av_settings import ActuarialValueSettings

__all__ = ["LeverSettings"]

_RANGES: dict[str, tuple[float, float, str]] = {
    "tolerance": (1e-10, 1e-2, "a share from 1e-10 to 0.01"),
    "round_to": (1e-6, 1e4, "None, or a step: 1 (dollar), 0.01 (cent), 0.001 (a tenth of a percent)"),
}
_SCAN = (4, 1024)


@dataclass(frozen=True)
class LeverSettings(ActuarialValueSettings):
    """How a lever is looked for, and how the actuarial value is worked meanwhile.

    Attributes
    ----------
    tolerance
        How near to the target an actuarial value must come to count as reached (default 0.00001, a thousandth of a
        percentage point). The calculator's own loops stop early: its value steps as a lever moves, and cannot take
        every value. Of some 40,000 crossings of random targets, all but one in two hundred were met to 1e-10; the
        others lay in steps whose nearer side was at most 1e-5 away. Wider ones are jumps of the method itself.
    scan_points
        Intervals into which the range of a lever is cut before roots are looked for. Two roots within one interval are
        found only where the values around it point to them.
    round_to
        Step that the lever is rounded to: None (default), or 1 for whole dollars, 0.01 for cents, 0.001 for tenths of a
        percent. Of the two steps around the value found, that which keeps the window or comes nearer to the target.
    """

    BASIS: ClassVar[dict[str, str]] = {
        **ActuarialValueSettings.BASIS,
        "tolerance": "our own: measured size of the steps that the calculator's stop rule leaves",
        "scan_points": "our own",
        "round_to": "our own",
    }

    tolerance: float = 1e-5
    scan_points: int = 64
    round_to: float | None = None

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        if name == "scan_points":
            if hasattr(value, "__index__") and not isinstance(value, bool) and _SCAN[0] <= int(value) <= _SCAN[1]:
                return int(value)
            raise _refused(name, value, f"a whole number from {_SCAN[0]} to {_SCAN[1]}")
        if name not in _RANGES:
            return super()._checked(name, value)
        if name == "round_to" and value is None:
            return None
        low, high, what = _RANGES[name]
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        raise _refused(name, value, what)

    def of_values(self) -> dict[str, Any]:
        """Return those settings that an actuarial value takes.

        Examples
        --------
        >>> "tolerance" in LeverSettings().of_values()
        False
        """
        return {name: value for name, value in self.as_dict().items() if name in ActuarialValueSettings.names()}


def _refused(name: str, value: Any, what: str) -> SettingRefused:
    return SettingRefused(f"setting {name!r} cannot be {value!r}", rule=what, remedy=f"write {what}")
