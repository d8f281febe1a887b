"""Declared settings of benchmarks, tax credits, reconciliation and penalties: every open point, with its default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from data_specs.errors import SettingRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["BenchmarkSettings", "CreditSettings", "MedicaidSettings", "PenaltySettings", "ReconcileSettings"]

S = TypeVar("S", bound="_Declared")
_PL_119_21 = "Public Law 119-21, known from summaries"


@dataclass(frozen=True)
class _Declared:
    """Settings by name; :meth:`of` reads them from a mapping."""

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {}
    YEARS: ClassVar[tuple[str, ...]] = ()
    NUMBERS: ClassVar[tuple[str, ...]] = ()
    BASIS: ClassVar[dict[str, str]] = {}

    @classmethod
    def of(cls: type[S], settings: Mapping[str, Any] | S | None) -> S:
        """Return settings from a mapping of some of the names.

        Raises
        ------
        SettingRefused
            Unknown name or value.

        Examples
        --------
        >>> BenchmarkSettings.of({"tie": "premiums"}).tie
        'premiums'
        """
        if isinstance(settings, cls):
            return settings
        if settings is not None and not isinstance(settings, Mapping):
            raise SettingRefused("settings are not a mapping", remedy='write them as {"name": value}')
        given = dict(settings or {})
        names = [f.name for f in fields(cls)]
        for name, value in given.items():
            if name not in names:
                raise SettingRefused(f"no setting is called {name!r}", remedy="settings: " + ", ".join(names))
            cls._check(name, value)
        return cls(**given)

    @classmethod
    def _check(cls, name: str, value: Any) -> None:
        if name in cls.CHOICES:
            if not isinstance(value, str) or value not in cls.CHOICES[name]:
                shown = ", ".join(repr(c) for c in cls.CHOICES[name])
                raise SettingRefused(f"setting {name!r} cannot be {value!r}", remedy=f"choose one of {shown}")
            return
        is_whole = hasattr(value, "__index__") and not isinstance(value, bool)
        if value is None and name in cls.YEARS:
            return
        if not is_whole or int(value) < 0:
            kind = "a year, or None for never" if name in cls.YEARS else "a whole number, zero or more"
            raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule=kind, remedy=f"write {kind}")

    def frame(self) -> pl.DataFrame:
        """Return setting, value, source (given: differs from the default), basis of every setting."""
        import polars as pl

        default = asdict(type(self)())
        lines = [
            (name, str(value), "default" if value == default[name] else "given", self.BASIS.get(name, ""))
            for name, value in asdict(self).items()
        ]
        return pl.DataFrame(
            lines, schema=dict.fromkeys(("setting", "value", "source", "basis"), pl.String), orient="row"
        )


@dataclass(frozen=True)
class BenchmarkSettings(_Declared):
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
class CreditSettings(_Declared):
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
class MedicaidSettings(_Declared):
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
class PenaltySettings(_Declared):
    """Figures of the mandates' penalties that no table holds.

    Attributes
    ----------
    short_gap_below_months
        The first unbroken gap of a year that is shorter is exempt (3); 0: none is.
    bronze_cap_persons
        At most so many persons count in the cap at the average bronze premium (5).
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ("short_gap_below_months", "bronze_cap_persons")
    BASIS: ClassVar[dict[str, str]] = {
        "short_gap_below_months": "26 U.S.C. 5000A(e)(4), general knowledge; states alike",
        "bronze_cap_persons": "26 CFR 1.5000A-4, general knowledge",
    }

    short_gap_below_months: int = 3
    bronze_cap_persons: int = 5


@dataclass(frozen=True)
class ReconcileSettings(_Declared):
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
