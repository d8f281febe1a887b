"""Declared settings: the open points of published rules, by name, each with its default and with what it may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from data_specs.errors import SettingRefused

__all__ = ["Declared", "check_choice", "given_settings"]


@dataclass(frozen=True)
class Declared:
    """The base of settings that are read by name; a frozen dataclass whose fields have their defaults.

    ``CHOICES`` lists what a setting may be, the default first. A setting of another kind is checked by the class it
    belongs to, in ``_checked``.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class RoundingSettings(Declared):
    ...     CHOICES = {"direction": ("nearest", "down")}
    ...     direction: str = "nearest"
    >>> RoundingSettings.of({"direction": "down"}).as_dict()
    {'direction': 'down'}
    >>> RoundingSettings.of({"direction": "up"})
    Traceback (most recent call last):
    data_specs.errors.SettingRefused: setting 'direction' cannot be 'up'...choose one of 'nearest', 'down'
    """

    CHOICES: ClassVar[Mapping[str, tuple[Any, ...]]] = {}

    @classmethod
    def of(cls, settings: Mapping[str, Any] | Self | None) -> Self:
        """Return settings from a mapping of some of the names.

        Raises
        ------
        SettingRefused
            Unknown name or value.
        """
        given = settings.as_dict() if isinstance(settings, cls) else given_settings(settings)
        names = cls.names()
        for name, value in given.items():
            if name not in names:
                raise SettingRefused(f"no setting is called {name!r}", remedy="settings: " + ", ".join(names))
            given[name] = cls._checked(name, value)
        return cls(**given)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the settings, in their order."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept, or refuse it; a class with settings of another kind adds to this.

        Raises
        ------
        SettingRefused
            The setting cannot have this value.
        """
        if name not in cls.CHOICES:
            raise TypeError(f"{cls.__name__} does not say what its setting {name!r} may be")
        return check_choice(name, value, cls.CHOICES[name])

    def as_dict(self) -> dict[str, Any]:
        """Return every setting with the value used."""
        return asdict(self)


def given_settings(settings: object) -> dict[str, Any]:
    """Return settings that were handed in as a dict of their own; None: none.

    Raises
    ------
    SettingRefused
        They are no mapping.
    """
    if settings is None:
        return {}
    if not isinstance(settings, Mapping):
        raise SettingRefused("settings are not a mapping", remedy='write them as {"name": value}')
    return dict(settings)


def check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return a value that is one of the choices of a setting.

    Raises
    ------
    SettingRefused
        It is none of them.
    """
    # Whether a column, an expression or an array equals a choice has no single answer.
    if isinstance(value, str | int | float | np.generic) and value in choices:
        return value
    shown = ", ".join(repr(choice) for choice in choices)
    raise SettingRefused(f"setting {name!r} cannot be {value!r}", remedy=f"choose one of {shown}")
