"""Declared settings of benchmarks, tax credits, reconciliation and penalties: every open point, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from rating._sourced_settings import SourcedSettings

__all__ = ["BenchmarkSettings", "CreditSettings", "MedicaidSettings", "PenaltySettings", "ReconcileSettings"]

_PL_119_21 = "Public Law 119-21, known from summaries"


@dataclass(frozen=True)
class BenchmarkSettings(SourcedSettings):
    """How the second-lowest-cost silver plan is found.

    Attributes
    ----------
    tie
        ``plans``: two plans at the lowest premium are first and second (default). ``premiums``: equal premiums count
        once. No text of the official reading was found; results name the reading and the amount under the other one.
    single_silver
        Where one silver plan (or one premium, under ``premiums``) is offered: ``benchmark``: it is the benchmark
        (default), or ``undetermined``: none.
    area_numbers
        How the rating areas handed in are numbered, where benchmarks come from ``rating/benchmark_premiums``:
        ``map``: as in the published maps, so that the states that the table numbers otherwise (ID, ME, WA) are
        undetermined (default), or ``table``: as in that table.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "tie": ("plans", "premiums"),
        "single_silver": ("benchmark", "undetermined"),
        "area_numbers": ("map", "table"),
    }
    BASIS: ClassVar[dict[str, str]] = {
        "tie": "26 CFR 1.36B-3(f); unresolved: the official reading was not found",
        "single_silver": "26 CFR 1.36B-3(f)(6), general knowledge",
        "area_numbers": "note of rating/benchmark_premiums",
    }

    tie: str = "plans"
    single_silver: str = "benchmark"
    area_numbers: str = "map"


@dataclass(frozen=True)
class CreditSettings(SourcedSettings):
    """From which year rules of persons hold; None: never.

    Attributes
    ----------
    income_only_enrollment_bars_from
        First year without a credit for an enrollment in a special period that rests on income alone.
    narrower_lawful_status_from
        First year in which, among lawfully present people, only permanent residents, Cuban and Haitian entrants and
        citizens of the freely associated states can have the credit.
    verified_before_advance_from
        First year without an advance before eligibility is verified.
    family_offer_from
        First year in which an employer's offer to a relative is measured by the cost of family cover (before: by that
        of the employee alone).
    """

    YEARS: ClassVar[tuple[str, ...]] = (
        "income_only_enrollment_bars_from",
        "narrower_lawful_status_from",
        "verified_before_advance_from",
        "family_offer_from",
    )
    BASIS: ClassVar[dict[str, str]] = {
        "income_only_enrollment_bars_from": _PL_119_21,
        "narrower_lawful_status_from": _PL_119_21,
        "verified_before_advance_from": _PL_119_21,
        "family_offer_from": "26 CFR 1.36B-2(c)(3)(v) as amended for 2023",
    }

    income_only_enrollment_bars_from: int | None = 2026
    narrower_lawful_status_from: int | None = 2027
    verified_before_advance_from: int | None = 2028
    family_offer_from: int | None = 2023


@dataclass(frozen=True)
class MedicaidSettings(SourcedSettings):
    """Which poverty guideline Medicaid is measured by.

    Attributes
    ----------
    guideline_year
        Year of the guideline current at the application; None (default): the year of the application date. Guidelines
        come out in the course of January: for a day before that, name the year before.
    """

    YEARS: ClassVar[tuple[str, ...]] = ("guideline_year",)
    BASIS: ClassVar[dict[str, str]] = {"guideline_year": "42 CFR 435.603: the guideline current at application"}

    guideline_year: int | None = None


@dataclass(frozen=True)
class PenaltySettings(SourcedSettings):
    """Figures of the mandates' penalties that no table holds.

    Attributes
    ----------
    short_gap_below_months
        Of the unbroken gaps of a year that are shorter the first is exempt (3; California exempts three months: 4);
        0: none is.
    bronze_cap_persons
        At most so many persons count in the cap at the average bronze premium (5).
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("short_gap_below_months", "bronze_cap_persons")
    BASIS: ClassVar[dict[str, str]] = {
        "short_gap_below_months": "26 U.S.C. 5000A(e)(4), general knowledge; 18 CCR 26000.61023: up to three months",
        "bronze_cap_persons": "26 CFR 1.5000A-4, general knowledge",
    }

    short_gap_below_months: int = 3
    bronze_cap_persons: int = 5


@dataclass(frozen=True)
class ReconcileSettings(SourcedSettings):
    """How statements of several policies of one household and month are put together.

    Attributes
    ----------
    several_benchmarks
        ``sum``: the benchmarks of the policies add up, as where one policy may not cover the family (default).
        ``same_on_each``: each statement repeats the benchmark of the whole family; it counts once.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {"several_benchmarks": ("sum", "same_on_each")}
    BASIS: ClassVar[dict[str, str]] = {"several_benchmarks": "26 CFR 1.36B-3(f)(4); instructions of Form 8962"}

    several_benchmarks: str = "sum"
