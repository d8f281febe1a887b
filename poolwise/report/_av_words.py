"""What screens and pages say of actuarial values in words: percents, windows, doubts, and what is verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from rating._av_columns import DesignColumns
    from rating._av_windows import Windows

__all__ = [
    "NOT_FEDERAL",
    "Evidence",
    "Window",
    "distance_words",
    "evidence",
    "flag_words",
    "legal_words",
    "lever_reason",
    "lever_value",
    "lever_words",
    "percent",
    "plan_amount",
    "window_words",
    "windows_in_words",
    "windows_of",
]

NOT_FEDERAL = (
    "This is not the federal actuarial value calculator: it follows the published method on the published tables. A "
    "filing attaches the output of the federal one."
)
_NO_VALUE = "none"
_WIDER, _STANDARD = "expanded_bronze", "standard"
_SMALLEST = 0.005  # percentage points: below it two decimals would say 0.00
_SAID = ("no_matching_metal", "desired_metal_missed")
_SHARES = ("plan_coinsurance", "service_coinsurance")


@dataclass(frozen=True)
class Window:
    """The window that a design is held to: metal, variant of it, ends as shares of 1."""

    metal: str
    variant: str
    low: float
    high: float

    @property
    def name(self) -> str:
        """Its name in words."""
        if self.variant == _STANDARD:
            return self.metal
        return "expanded bronze" if self.variant == _WIDER else f"{self.metal}, {self.variant.replace('_', ' ')}"


def percent(av: float | None) -> str:
    """Return a value as the calculator shows it: percent, two decimals.

    Examples
    --------
    >>> percent(0.641164683), percent(None)
    ('64.12%', 'none')
    """
    return _NO_VALUE if av is None else f"{av:.2%}"


def distance_words(distance: float | None) -> str:
    """Return how far a value lies from its window, in percentage points; empty within.

    Examples
    --------
    >>> distance_words(0.0319), distance_words(-0.00000123), distance_words(0.0)
    ('3.19 above', '0.00012 below', '')
    """
    if not distance:
        return ""
    points = 100 * abs(distance)
    number = f"{points:.2f}" if points >= _SMALLEST else f"{points:.2g}"
    return f"{number} {'above' if distance > 0 else 'below'}"


def legal_words(legal_state: str) -> str:
    """Return a legal state in words.

    Examples
    --------
    >>> legal_words("in_force"), legal_words("stayed_2025_08_22")
    ('in force', 'stayed 2025-08-22')
    """
    words, _, date = legal_state.partition("_2")
    return " ".join(filter(None, [words.replace("_", " "), f"2{date}".replace("_", "-") if date else ""]))


def window_words(window: Window | None) -> str:
    """Return a window: its name and its ends.

    Examples
    --------
    >>> window_words(Window("bronze", "expanded_bronze", 0.58, 0.65))
    'expanded bronze 58-65%'
    """
    if window is None:
        return ""
    low, high = (f"{100 * end:.4f}".rstrip("0").rstrip(".") for end in (window.low, window.high))
    return f"{window.name} {low}-{high}%"


def flag_words(flags: Sequence[str]) -> str:
    """Return flags as words, one after the other, without those that metal and distance say already.

    Examples
    --------
    >>> flag_words(["moop_within_deductible", "no_matching_metal"])
    'limit within deductible'
    """
    return "; ".join(flag.replace("moop", "limit").replace("_", " ") for flag in flags if flag not in _SAID)


def windows_of(found: pl.DataFrame, held: Windows) -> list[Window | None]:
    """Return the window that each design of ``ActuarialValues.designs`` is held to."""
    windows: list[Window | None] = []
    for table_metal, variant in found.select("table_metal", "window").rows():
        # The variants of the silver plan have their windows whatever the tables.
        key = "silver" if str(variant).startswith("csr_") else table_metal, variant
        windows.append(Window(*key, *held.bounds[key]) if key in held.bounds else None)
    return windows


def windows_in_words(found: pl.DataFrame, plan_year: int, legal_state: str) -> list[str]:
    """Return the window of each design in words."""
    from rating._av_windows import windows
    from rating._figures import Figures

    held = windows(plan_year, legal_state, Figures())
    return [window_words(window) for window in windows_of(found, held)]


def lever_words(lever: str) -> str:
    """Return a lever in words.

    Examples
    --------
    >>> lever_words("moop"), lever_words("copay:primary_care"), lever_words("deductible_medical")
    ('out-of-pocket limit', 'copay, primary care', 'deductible, medical')
    """
    if not lever:
        return "no single lever does"
    name, _, service = lever.partition(":")
    head, _, domain = name.partition("_") if name.startswith(("deductible_", "moop_")) else (name, "", "")
    if name.startswith("plan_coinsurance_"):
        head, domain = "plan_coinsurance", name.removeprefix("plan_coinsurance_")
    head = {"moop": "out-of-pocket limit"}.get(head, head.replace("_", " "))
    return ", ".join(filter(None, [head, domain, service.replace("_", " ")]))


def lever_reason(reason: str | None) -> str:
    """Return why a lever does not do what was asked; empty where it does.

    Examples
    --------
    >>> lever_reason("lever_unreachable"), lever_reason(None)
    ('unreachable', '')
    """
    return "" if reason is None else reason.removeprefix("lever_").replace("_", " ")


def lever_value(lever: str, value: float | None) -> str:
    """Return the value of a lever: dollars, or a share as a percentage.

    Examples
    --------
    >>> lever_value("deductible", 3412.5), lever_value("plan_coinsurance", 0.725), lever_value("moop", 9000.0)
    ('$3,412.50', '72.5%', '$9,000')
    """
    if value is None:
        return _NO_VALUE
    if "max_days" in lever:
        return f"{value:.0f}"
    if lever.partition(":")[0].startswith(_SHARES):
        return f"{100 * value:.4f}".rstrip("0").rstrip(".") + "%"
    return f"${value:,.2f}".removesuffix(".00")


# ------------------------------------------------------------------------------------------------ verified or not


@dataclass(frozen=True)
class Evidence:
    """One part of the method, what speaks for it, how far that goes, and how many designs of a run rest on it."""

    part: str
    status: str
    why: str
    designs: int


_OLDER, _SEPARATE, _DRAFT = "older_reading", "separate_deductibles", "draft_calculator"
_NOT_PLAIN = {_OLDER, _SEPARATE, _DRAFT, "older_calculator_terms", "bisected"}


def evidence(found: pl.DataFrame, algorithm: str) -> list[Evidence]:
    """Return what of the calculator is verified and what is not, with the designs of a run that rest on it.

    Parameters
    ----------
    found : DataFrame
        ``ActuarialValues.designs``.
    algorithm : str
        Of the plan year, by ``av/table_sets``.
    """
    flags = [set(words) for words in found["flags"].to_list()]
    valued = found["av"].is_not_null().to_numpy()

    def count(is_one: Any) -> int:
        return int(np.count_nonzero(valued & np.array([bool(is_one(words)) for words in flags], bool)))

    if algorithm in ("2015", "2016"):
        draft = " The calculator of 2016 is held as a draft only." if algorithm == "2016" else ""
        return [
            Evidence(
                f"The calculator of {algorithm}",
                "one source",
                f"28 of 28 published test values of a public port are reproduced, not the workbook itself.{draft}",
                count(lambda _: True),
            )
        ]
    return [
        Evidence(
            "One deductible and one limit: exempt copays, copays after the deductible, coinsurance, a limit reached "
            "within the deductible",
            "verified",
            "three values that CMS published for plans of 2026 (bronze, silver, gold) are reproduced within 3e-9",
            count(lambda words: not words & _NOT_PLAIN),
        ),
        Evidence(
            "The continuance tables",
            "verified",
            "shares add up to 1, means follow from shares, services add up to totals, medical and drug to both",
            count(lambda _: True),
        ),
        Evidence(
            "Copays per day, first visits, a cap for specialty drugs, employer money, two network tiers",
            "one source",
            "read from the macro code of 2017; no published value of a later year was found",
            count(lambda words: _OLDER in words),
        ),
        Evidence(
            "Separate medical and drug deductibles",
            "uncertain",
            "the code of 2017 gives absurd values on the tables of 2026 unless one step is scaled; no published value "
            "was found",
            count(lambda words: _SEPARATE in words),
        ),
        Evidence(
            "A search that does not settle, worked by bisection",
            "our own",
            "what the federal calculator shows then is not known",
            count(lambda words: "bisected" in words),
        ),
    ]


def plan_amount(designs: DesignColumns, row: int, name: str) -> str:
    """Return an amount of a design in dollars, two where there are two.

    Examples
    --------
    >>> from rating._av_columns import plain_columns
    >>> plan_amount(plain_columns(1, deductible=7500.0), 0, "deductible")
    '$7,500'
    """
    medical, drug = (float(amount) for amount in getattr(designs, name)[row])
    first = f"${medical:,.0f}"
    return first if medical == drug else f"{first} / ${drug:,.0f}"
