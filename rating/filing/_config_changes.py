"""Changes to a filing's document: a trend, a quantity, a setting, a column of the plans; and the document with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import SettingRefused
from rating._rate_settings import RateSettings
from rating.filing._config import FilingConfig, nearest
from rating.filing._filing_settings import FilingSettings
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._numbers import CONTEXT, exact

if TYPE_CHECKING:
    from rating.filing._filing import Filing

__all__ = ["Change", "read_changes", "with_changes"]

TREND = "trend"
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)")
_SOURCE = "what-if"
_OFFERED = ("new", "renewing")


@dataclass(frozen=True)
class Change:
    """One change: what, where (a plan, or ""), and the value as it was written."""

    name: str
    place: str
    text: str

    @property
    def words(self) -> str:
        """Return it as it is written on a command line."""
        return f"{self.name}{'@' if self.place else ''}{self.place}={self.text}"


def read_changes(texts: Sequence[str]) -> tuple[Change, ...]:
    """Return changes from texts ``NAME=VALUE`` or ``NAME@PLAN=VALUE``.

    Raises
    ------
    SettingRefused
        There is no value, or the same is changed twice.

    Examples
    --------
    >>> read_changes(["trend=0.07", "pct_admin@12345TX0010001=0.11"])[1].place
    '12345TX0010001'
    """
    found: list[Change] = []
    for text in texts:
        left, mark, value = (part.strip() for part in text.partition("="))
        name, _, place = (part.strip() for part in left.partition("@"))
        if not mark or not name or not value:
            raise SettingRefused(f"what-if {text!r} has no value", remedy="write NAME=VALUE, such as trend=0.07")
        if any((name, place) == (other.name, other.place) for other in found):
            raise SettingRefused(f"what-if {left!r} is given twice", remedy="give it once")
        found.append(Change(name, place, value))
    return tuple(found)


def with_changes(config: FilingConfig, filing: Filing | None, wanted: Sequence[Change]) -> FilingConfig:
    """Return a filing's document with changes.

    ``trend`` (or ``trend.professional``) is the annual trend of claims: both years' utilization factors stay as they
    are in the filing, and the cost factors become ``(1 + trend) / utilization factor``. Any quantity of the market or
    of the plans and any setting is called by its name; ``table.key`` is a key of the document.

    Parameters
    ----------
    config : FilingConfig
        The document.
    filing : Filing or None
        What it gives without the changes; None: names and values are looked at, as far as that can be, before anything
        is worked out.
    wanted : sequence of Change
        Of :func:`read_changes`.

    Raises
    ------
    SettingRefused
        A name is not known (the nearest one is said), a plan is not offered, or a value is of another kind.

    Notes
    -----
    :func:`rating.filing.what_if` changes a filing; here the document changes, and whatever studies and settings it
    names are worked out again.
    """
    for change in wanted:
        config = _changed(config, filing, change)
    return config


def _changed(config: FilingConfig, filing: Filing | None, change: Change) -> FilingConfig:
    formulas = Formulas.of((FilingSettings() if filing is None else filing.chosen).as_dict())
    categories = _categories_of(change.name)
    if categories:
        _refuse_place(change)
        return _with_trend(config, filing, categories, _number(change))
    if formulas.quantity(change.name, "plan") is not None and (
        change.place or formulas.quantity(change.name, "market") is None
    ):
        return _with_plans(config, filing, change)
    _refuse_place(change)
    is_quantity = formulas.quantity(change.name, "market") is not None
    # `csr_load` is both: a number is the load, a word the way to it.
    is_setting = change.name in (*FilingSettings.names(), *RateSettings.names())
    if is_quantity and (_NUMBER.fullmatch(change.text) or not is_setting):
        return _assuming(config, {change.name: _number(change)})
    if is_setting:
        return config.changed("settings", change.name, _value(change.text))
    section, _, key = change.name.rpartition(".")
    if section in config.sections:
        return config.changed(section, key, _value(change.text))
    raise _unknown(change, formulas)


def _categories_of(name: str) -> tuple[str, ...]:
    """Return the benefit categories whose trend a name means; none where it means something else."""
    if name == TREND:
        return CATEGORIES
    category = name.removeprefix(f"{TREND}.")
    return (category,) if category in CATEGORIES and category != name else ()


def _with_trend(config: FilingConfig, filing: Filing | None, categories: Sequence[str], trend: Decimal) -> FilingConfig:
    if trend <= -1:
        raise SettingRefused("a trend is above -1", remedy="write 0.07 for 7 percent a year")
    if filing is None:
        return config
    given: dict[str, Decimal] = {}
    for category in categories:
        for year in ("y1", "y2"):
            use = filing.value(f"trend_{year}_util", category=category)
            if use is None:  # a category without claims has no trend
                continue
            cost = CONTEXT.divide(CONTEXT.add(Decimal(1), trend), use)
            given[f"trend_{year}_cost_{category}"] = cost
            given[f"trend_{year}_util_{category}"] = use
    if not given:
        raise SettingRefused("the filing has no trend to change", remedy="change manual_ehb, or another quantity")
    return _assuming(config, given)


def _with_plans(config: FilingConfig, filing: Filing | None, change: Change) -> FilingConfig:
    held = {**config.plan_changes, (change.name, change.place): _number(change)}
    if filing is None:
        return replace(config, plan_changes=held)
    offered = filing.plans.filter(filing.plans["plan_category"].is_in(_OFFERED))["plan_id"].to_list()
    if change.place and change.place not in offered:
        near = nearest(change.place, offered)
        raise SettingRefused(
            f"what-if {change.words!r}: the filing offers no plan {change.place!r}",
            remedy=f"did you mean {near!r}?" if near else "plans are " + ", ".join(offered),
        )
    return replace(config, plan_changes=held)


def _assuming(config: FilingConfig, given: dict[str, Decimal]) -> FilingConfig:
    for name, value in given.items():
        config = config.changed("assumptions", name, {"value": value, "source": _SOURCE})
    return config


def _refuse_place(change: Change) -> None:
    if change.place:
        raise SettingRefused(
            f"what-if {change.words!r}: {change.name} is no quantity of a plan", remedy="leave @ and the plan out"
        )


def _number(change: Change) -> Decimal:
    if not _NUMBER.fullmatch(change.text):
        raise SettingRefused(
            f"what-if {change.words!r}: the value is no plain number",
            rule="fractions are of one",
            remedy="write 0.07, not 7%",
        )
    return exact(change.text, change.name)


def _value(text: str) -> Any:
    """Return a value as TOML would have it."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.isdecimal():
        return int(text)
    return Decimal(text) if _NUMBER.fullmatch(text) else text


def _unknown(change: Change, formulas: Formulas) -> SettingRefused:
    known = [TREND, *(f"{TREND}.{c}" for c in CATEGORIES), *formulas.names("market"), *formulas.names("plan")]
    known += [*FilingSettings.names(), *RateSettings.names()]
    near = nearest(change.name, known)
    return SettingRefused(
        f"what-if {change.words!r}: nothing is called {change.name!r}",
        rule="trend, a quantity of filing/urrt_formulas, a setting, or table.key of the document",
        remedy=f"did you mean {near!r}?" if near else "see the market and plans of the filing",
    )
