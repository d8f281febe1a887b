"""Declared settings that say what each of them rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from data_specs._declared import Declared
from data_specs.errors import SettingRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SourcedSettings"]


@dataclass(frozen=True)
class SourcedSettings(Declared):
    """Declared settings with years and whole numbers among them, and the basis of each in ``BASIS``.

    ``YEARS`` names settings that are a year, or None for never; ``NUMBERS`` those that are a whole number.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class GapSettings(SourcedSettings):
    ...     NUMBERS = ("short_gap_below_months",)
    ...     BASIS = {"short_gap_below_months": "26 U.S.C. 5000A(e)(4)"}
    ...     short_gap_below_months: int = 3
    >>> GapSettings.of({"short_gap_below_months": 2}).frame().row(0)
    ('short_gap_below_months', '2', 'given', '26 U.S.C. 5000A(e)(4)')
    """

    YEARS: ClassVar[tuple[str, ...]] = ()
    NUMBERS: ClassVar[tuple[str, ...]] = ()
    BASIS: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; years and whole numbers are checked here, see :class:`Declared`."""
        if name in cls.YEARS:
            return value if value is None else _whole(name, value, "a year, or None for never")
        if name in cls.NUMBERS:
            return _whole(name, value, "a whole number, zero or more")
        return super()._checked(name, value)

    def frame(self) -> pl.DataFrame:
        """Return setting, value, source (given: differs from the default), basis of every setting."""
        import polars as pl

        default = type(self)().as_dict()
        lines = [
            (name, str(value), "default" if value == default[name] else "given", self.BASIS.get(name, ""))
            for name, value in self.as_dict().items()
        ]
        return pl.DataFrame(
            lines, schema=dict.fromkeys(("setting", "value", "source", "basis"), pl.String), orient="row"
        )


def _whole(name: str, value: Any, kind: str) -> Any:
    if hasattr(value, "__index__") and not isinstance(value, bool) and int(value) >= 0:
        return value
    raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule=kind, remedy=f"write {kind}")
