"""Re-adjudication: a year of claims, ten lines an enrollee, under twenty designs; sorted and unsorted files.

The answer is checked first: under each design plan and enrollee pay what is allowed, for every enrollee; a design
without sharing pays everything, one without benefits nothing.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import _clock
from benchmarks._sizes import SIZE

ENROLLEES = {"small": 100_000, "large": 1_000_000}[SIZE]
LINES, DESIGNS = 10, 20
_ORDERS = ("by enrollee", "no order")
_OFFICE = {"subject_to_deductible": False, "subject_to_coinsurance": False}


def made_up_claims(enrollees: int, *, is_sorted: bool) -> pl.DataFrame:
    """Return ten lines an enrollee of 2026 over all services, log-normal amounts; nobody's data."""
    from rating._av_columns import SERVICES

    rng, rows = np.random.default_rng(4), enrollees * LINES
    who = np.repeat(np.arange(enrollees), LINES)
    day = np.sort(rng.integers(0, 365, (enrollees, LINES)), axis=1).ravel()
    order = np.arange(rows) if is_sorted else rng.permutation(rows)
    ids = pl.Series("enrollee_id", np.arange(enrollees)).cast(pl.String).str.zfill(10)
    first = (date(2026, 1, 1) - date(1970, 1, 1)).days
    cents = np.exp(rng.normal(9.5, 1.2, rows)).astype(np.int64)
    return pl.DataFrame(
        [
            ids.gather(who[order]),
            pl.Series("service", list(SERVICES)).gather(rng.integers(0, len(SERVICES), rows)),
            pl.Series("service_date", (first + day[order]).astype(np.int32)).cast(pl.Date),
            pl.Series("allowed", cents).cast(pl.Decimal(18, 2)) / 100,
        ]
    ).with_columns(pl.col("allowed").cast(pl.Decimal(18, 2)))


def made_up_designs() -> list[dict[str, Any]]:
    """Return twenty designs: rising deductibles, with and without copays, stays and drug terms."""
    found = []
    for place in range(DESIGNS):
        services = {
            "primary_care": {"copay": 20 + place, **_OFFICE},
            "inpatient": {"copay": 400, "subject_to_coinsurance": False},
            "generic": {"copay": 10, **_OFFICE},
            "specialty_drug": {"copay_after_deductible": True, "subject_to_coinsurance": False, "copay": 200},
        }
        options = {"inpatient_copay_per_day": True, "inpatient_copay_max_days": 5}
        found.append(
            {
                **{"name": f"design {place:02}", "deductible_type": "integrated", "deductible": 400 * place},
                **{"plan_coinsurance": 0.9 - 0.02 * place, "moop": 9000},
                **({"services": services, "options": options} if place % 2 else {}),
            }
        )
    return found


class Adjudications:
    """Claims from Parquet under twenty designs."""

    timeout = 1800
    params = (list(_ORDERS),)
    param_names = ("order",)

    def setup_cache(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="poolwise-bench-"))
        for order in _ORDERS:
            claims = made_up_claims(ENROLLEES, is_sorted=order == _ORDERS[0])
            claims.write_parquet(folder / f"{order}.parquet")
        return str(folder)

    def setup(self, _folder: str, _order: str) -> None:
        import rating

        claims = made_up_claims(2_000, is_sorted=False)
        free = {"name": "free", "deductible_type": "integrated", "deductible": 0, "plan_coinsurance": 1, "moop": 0}
        none = {**free, "name": "none", "plan_coinsurance": 0, "moop": 10**6}
        found = rating.adjudicate(claims, [*made_up_designs(), free, none], by_enrollee=True)
        assert found.enrollees is not None
        if not (found.enrollees["plan_paid"] + found.enrollees["enrollee_paid"] == found.enrollees["allowed"]).all():
            raise AssertionError("plan and enrollee do not pay what is allowed")
        paid = dict(found.plan_liability.select("design_id", "plan_paid").rows())
        allowed = found.plan_liability["allowed"][0]
        preventive = claims.filter(service="preventive")["allowed"].sum()
        if paid["free"] != allowed or paid["none"] != preventive:
            raise AssertionError("full cover does not pay everything, or none pays more than preventive care")

    def _adjudicated(self, folder: str, order: str) -> Any:
        import rating

        claims = pl.read_parquet(Path(folder) / f"{order}.parquet")
        return rating.adjudicate(claims, made_up_designs(), plan_year=2026)

    def time_adjudicate(self, folder: str, order: str) -> None:
        self._adjudicated(folder, order)

    def track_line_designs_per_second(self, folder: str, order: str) -> float:
        """Return lines x designs a second, reading and sorting included."""
        seconds = _clock.seconds(lambda: self._adjudicated(folder, order))
        return ENROLLEES * LINES * DESIGNS / seconds

    def peakmem_adjudicate(self, folder: str, order: str) -> None:
        self._adjudicated(folder, order)
