"""Prices: the member-rate kernel against DuckDB SQL, member rates from columns, a million households quoted.

Each benchmark checks its answer first: rates against exact SQL decimals, quotes against one household by hand.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import _clock
from benchmarks._sizes import SIZE

ROWS = {"small": 5_000_000, "large": 20_000_000}[SIZE]
HOUSEHOLDS = {"small": 100_000, "large": 1_000_000}[SIZE]
PLANS, AREAS = 300, 20
QUOTED_PLANS = 30


def _texts(low: int, high: int, count: int, decimals: int, rng: np.random.Generator) -> list[str]:
    return [f"{number / 10**decimals:.{decimals}f}" for number in rng.integers(low, high, count)]


class MemberRates:
    """base x area x age x tobacco ratio of each enrollee, rounded once to cents."""

    timeout = 600

    def setup(self) -> None:
        import duckdb

        from rating._exact_columns import exact_column
        from rating._premium_arrays import PremiumTable

        rng = np.random.default_rng(1)
        factors = {
            "base": _texts(2 * 10**6, 9 * 10**6, PLANS, 4, rng),
            "area": _texts(800, 1300, AREAS, 3, rng),
            "age": _texts(600, 3001, 65, 3, rng),
            "tobacco": ["1", "1.5", "1.2345"],
        }
        kinds = (np.uint32, np.uint16, np.uint16, np.uint8)
        positions = [
            rng.integers(0, len(v), ROWS).astype(kind) for v, kind in zip(factors.values(), kinds, strict=True)
        ]
        table = PremiumTable.of_factors(*(exact_column(values, name) for name, values in factors.items()))
        self.kernel = lambda: table.cents(*positions)
        numbers = {
            name: pl.Series(name, [float(value) for value in values]).gather(place)
            for (name, values), place in zip(factors.items(), positions, strict=True)
        }
        self.columns = [numbers[name] for name in ("base", "age", "area", "tobacco")]
        self.database = duckdb.connect()
        self.database.execute("set threads = 2")
        self.database.register("given", pl.DataFrame(numbers).to_arrow())
        self.database.execute(
            "create table factors as select base::decimal(9, 4) as base, area::decimal(5, 3) as area, "
            "age::decimal(5, 3) as age, tobacco::decimal(5, 4) as tobacco from given"
        )
        self.database.unregister("given")
        # Decimals are exact and slow, doubles fast and sometimes a cent off: the rival is the faster one.
        self.exact = "round(base * area * age * tobacco, 2)"
        self.query = "round(base::double * area::double * age::double * tobacco::double, 2)"
        self._check()

    def _check(self) -> None:
        exact = self.database.execute(f"select (100 * {self.exact})::bigint as cents from factors").fetchnumpy()
        if not np.array_equal(exact["cents"], self.kernel()):
            raise AssertionError("the kernel and exact SQL decimals differ")

    def _rival(self) -> None:
        self.database.execute(f"create or replace table rates as select {self.query} as rate from factors")

    def time_kernel(self) -> None:
        self.kernel()

    def track_rows_per_second(self) -> float:
        return ROWS / _clock.typical(self.kernel)

    def track_ratio_to_duckdb(self) -> float:
        """Return how many times as long SQL takes on doubles; it gets its factors joined beforehand."""
        return _clock.ratio(self.kernel, self._rival)

    def track_rows_per_second_from_columns(self) -> float:
        """Return rows a second of :func:`rating.member_rate` from four columns of floats."""
        import rating

        return ROWS / _clock.typical(lambda: rating.member_rate(*self.columns), rounds=3)


def made_up_households(households: int) -> pl.DataFrame:
    """Return households of one to four members in Texas, sorted; nobody's data."""
    rng = np.random.default_rng(2)
    size = rng.integers(1, 5, households)
    home = np.repeat(np.arange(households), size)
    place = np.arange(len(home)) - np.repeat(np.cumsum(size) - size, size)
    age = np.where(place < 2, rng.integers(21, 64, len(home)), rng.integers(0, 21, len(home)))
    day = np.datetime64("2025-06-30") - (age * 365.25).astype("timedelta64[D]")
    income = rng.integers(12_000, 150_000, households)
    return pl.DataFrame(
        {
            "household_id": pl.Series(home).cast(pl.String).str.zfill(8),
            "member_id": pl.Series(place).cast(pl.String),
            "birth_date": day,
            "tobacco_use": rng.random(len(home)) < 0.1,
            "rating_area_id": pl.Series([f"R-TX{area:03d}" for area in range(1, 28)]).gather(home % 27),
            "annual_income": np.repeat(income, size),
            "tax_household_size": np.repeat(size, size),
        }
    )


def made_up_plans() -> pl.DataFrame:
    """Return the base rates of 30 plans in 27 areas; nobody's figures."""
    rng = np.random.default_rng(3)
    metal = ["bronze", "silver", "silver", "silver", "gold"] * (QUOTED_PLANS // 5)
    base = [f"{number / 10_000:.4f}" for number in rng.integers(2_500_000, 5_000_000, QUOTED_PLANS)]
    plans = pl.DataFrame(
        {
            "plan_id": [f"1234{place % 5}TX{place:07d}" for place in range(QUOTED_PLANS)],
            "metal_level": metal,
            "base_rate": base,
            "tobacco_ratio": ["1.2"] * QUOTED_PLANS,
        }
    )
    areas = pl.DataFrame(
        {
            "rating_area_id": [f"R-TX{area:03d}" for area in range(1, 28)],
            "area_factor": [f"{0.85 + 0.013 * area:.3f}" for area in range(27)],
        }
    )
    return plans.join(areas, how="cross")


class Households:
    """Households quoted for every plan of their area, Parquet to Parquet, in bounded memory."""

    timeout = 1800

    def setup_cache(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="poolwise-bench-"))
        made_up_households(HOUSEHOLDS).write_parquet(folder / "households.parquet", row_group_size=100_000)
        return str(folder)

    def setup(self, _folder: str) -> None:
        import rating

        home = made_up_households(2_000)
        found = rating.quote(home, base_rates=made_up_plans(), plan_year=2026, with_members=True)
        assert found.members is not None
        sums = found.members.group_by("household_id", "plan_id").agg(pl.col("rate_monthly").sum())
        both = found.households.join(sums, on=["household_id", "plan_id"], validate="1:1")
        if both.height != found.households.height or not (both["premium_monthly"] == both["rate_monthly"]).all():
            raise AssertionError("a household's premium is not the sum of its members' rates")

    def _quoted(self, folder: str) -> Any:
        import rating

        target = Path(folder) / "quotes"
        shutil.rmtree(target, ignore_errors=True)
        return rating.quote_files(
            Path(folder) / "households.parquet", target, base_rates=made_up_plans(), plan_year=2026
        )

    def track_households_per_second(self, folder: str) -> float:
        return HOUSEHOLDS / _clock.seconds(lambda: self._quoted(folder))

    def peakmem_quote_files(self, folder: str) -> None:
        self._quoted(folder)
