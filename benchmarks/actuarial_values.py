"""Actuarial values: designs a second from columns, against the same method in plain Python.

Each benchmark checks its answer first: a published value, and some of the designs against the plain twin of the tests.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _clock
from benchmarks._sizes import SIZE
from rating._av_columns import TABLE_METALS

DESIGNS = {"small": 20_000, "large": 200_000}[SIZE]
PLAIN = 60  # designs that the twin is timed on: it takes milliseconds for each
PLAN_YEAR = 2026
TWIN = Path(__file__).resolve().parent.parent / "tests" / "av_oracle.py"
_CLOSE = 1e-9
_SEARCHED, _TARGET, _REACHED = 1_000, 0.70, 5e-6
_SERVICES = {"primary_care": (20, 60), "specialist": (40, 110), "generic": (5, 30), "emergency_room": (200, 700)}
# Made public by CMS for the expanded bronze standardized option of 2026.
_PUBLISHED_AV = 0.641164683
_OFFICE = {"primary_care": 50.0, "specialist": 100.0, "mental_health_outpatient": 50.0, "speech_therapy": 50.0}
_EXEMPT = {**_OFFICE, "occupational_physical_therapy": 50.0, "generic": 25.0}
_AFTER = {"preferred_brand": 50.0, "nonpreferred_brand": 100.0, "specialty_drug": 500.0}


def published_plan() -> dict[str, Any]:
    """Return the design whose actuarial value CMS published."""
    exempt = {"subject_to_deductible": False, "subject_to_coinsurance": False}
    after = {"subject_to_coinsurance": False, "copay_after_deductible": True}
    services = {name: {"copay": copay, **exempt} for name, copay in _EXEMPT.items()}
    services |= {name: {"copay": copay, **after} for name, copay in _AFTER.items()}
    amounts = {"deductible": 7500.0, "plan_coinsurance": 0.5, "moop": 10000.0}
    return {"deductible_type": "integrated", **amounts, "table_metal": "bronze", "services": services}


def made_up_columns(designs: int) -> Any:
    """Return designs with copays before the deductible on some services and coinsurance on the rest, as columns."""
    from rating._av_columns import SERVICES, plain_columns

    rng = np.random.default_rng(4)
    columns = plain_columns(designs)
    moop = rng.integers(60, 212, designs) * 50.0
    columns.moop[:] = moop[:, None]
    columns.deductible[:] = (np.round(moop * rng.uniform(0.1, 0.9, designs) / 50) * 50)[:, None]
    columns.plan_coinsurance[:] = (rng.integers(10, 19, designs) / 20)[:, None]
    for name, (low, high) in _SERVICES.items():
        place, has_copay = SERVICES.index(name), rng.random(designs) < 0.7
        columns.copay[has_copay, place] = rng.integers(low // 5, high // 5, designs)[has_copay] * 5.0
        columns.subject_to_deductible[has_copay, place] = 0
        columns.subject_to_coinsurance[has_copay, place] = 0
    columns.table_metal[:] = rng.integers(0, len(TABLE_METALS), designs)
    return columns


def mapping_of(columns: Any, row: int) -> dict[str, Any]:
    """Return one of these designs as the plain mapping."""
    from rating._av_columns import SERVICES

    off = {"subject_to_deductible": False, "subject_to_coinsurance": False}
    places = {name: SERVICES.index(name) for name in _SERVICES}
    copays = {name: float(columns.copay[row, place]) for name, place in places.items()}
    amounts = {name: float(getattr(columns, name)[row, 0]) for name in ("deductible", "plan_coinsurance", "moop")}
    return {
        "deductible_type": "integrated",
        **amounts,
        "table_metal": TABLE_METALS[columns.table_metal[row]],
        "services": {name: {"copay": copay, **off} for name, copay in copays.items() if copay == copay},
    }


def plain_twin() -> Callable[[dict[str, Any]], float | None]:
    """Return the twin of the tests: one design at a time, in plain Python."""
    spec = importlib.util.spec_from_file_location("av_oracle", TWIN)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault("av_oracle", importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)

    def value(plan: dict[str, Any]) -> float | None:
        try:
            found: float | None = module.value_on(plan, PLAN_YEAR, plan["table_metal"]).av
        except module.Unsettled:
            return None
        return found

    return value


class Designs:
    """Made-up designs, most of them with copays, each on the tables of a metal that it names."""

    timeout = 900

    def setup(self) -> None:
        import rating

        self.columns = made_up_columns(DESIGNS)
        self.plans = [mapping_of(self.columns, row) for row in range(PLAIN)]
        self.first = self.columns.take(slice(0, PLAIN))
        self.value = plain_twin()
        self.work = rating.actuarial_value
        self._check()

    def _check(self) -> None:
        published = self.work(published_plan(), plan_year=PLAN_YEAR).designs["av"][0]
        if abs(published - _PUBLISHED_AV) > _CLOSE * 10:
            raise AssertionError("a published actuarial value is not reproduced")
        ours = self.work(self.first, plan_year=PLAN_YEAR).designs["av"].to_list()
        for own, plan in zip(ours, self.plans, strict=True):
            plain = self.value(plan)
            if (own is None) != (plain is None) or (own is not None and abs(own - (plain or 0.0)) > _CLOSE):
                raise AssertionError("a design and its plain twin differ")

    def time_columns(self) -> None:
        self.work(self.columns, plan_year=PLAN_YEAR)

    def track_designs_per_second(self) -> float:
        """Return designs a second of :func:`rating.actuarial_value` from columns, each on one metal's tables."""
        return DESIGNS / _clock.typical(self.time_columns, rounds=3)

    def track_designs_per_second_metal_open(self) -> float:
        """Return the same where no design names a metal: up to four tables are tried for each."""
        open_ones = self.columns.with_changes(table_metal=np.full(DESIGNS, -1, np.int8))
        return DESIGNS / _clock.typical(lambda: self.work(open_ones, plan_year=PLAN_YEAR), rounds=3)

    def track_ratio_to_plain_python(self) -> float:
        """Return how many times as long the plain twin takes for a design; as many of ours as the columns hold."""
        plain = _clock.paired(self.time_columns, lambda: [self.value(plan) for plan in self.plans], 3)
        ratios = sorted((theirs / PLAIN) / (ours / DESIGNS) for ours, theirs in plain)
        return ratios[len(ratios) // 2]


class Levers:
    """A thousand designs on silver tables, each with the deductible looked for that makes it 70 percent."""

    timeout = 900

    def setup(self) -> None:
        import rating

        columns = made_up_columns(_SEARCHED)
        silver = np.full(_SEARCHED, TABLE_METALS.index("silver"), np.int8)
        self.columns, self.work = columns.with_changes(table_metal=silver), rating.solve_lever
        found = self._solved().designs
        is_reached = found["is_reached"].to_numpy()
        own = found["value"].fill_null(0.0).to_numpy()
        moved = self.columns.with_changes(deductible=np.repeat(own[:, None], 2, axis=1)).take(is_reached)
        av = rating.actuarial_value(moved, plan_year=PLAN_YEAR).designs["av"].to_numpy()
        if not is_reached.any() or np.abs(av - _TARGET).max() > _REACHED:
            raise AssertionError("a deductible that was found does not give its target")

    def _solved(self) -> Any:
        return self.work(self.columns, plan_year=PLAN_YEAR, lever="deductible", target_av=_TARGET)

    def track_seconds_of_1000_targets(self) -> float:
        return _clock.typical(self._solved, rounds=3)
