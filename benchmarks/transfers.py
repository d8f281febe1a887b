"""Money between insurers: transfers of every state, enrollee mixes, intervals.

Each benchmark checks its answer first: transfers against the same formula in DuckDB SQL, a mix against the base.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from benchmarks import _clock

BENEFIT_YEAR = 2024
POOLS = 150
ROWS = 5_000
DRAWS = 1_000
ENROLLEES = 100_000
MIXES = 1_000

_SQL = """
with metal(metal_level, a, d) as (values ('platinum', 0.9, 1.15), ('gold', 0.8, 1.08), ('silver', 0.7, 1.03),
                                         ('bronze', 0.6, 1.0)),
terms as (select rows.*, billable_member_months as b, plrs * d * gcf as risk, a * arf * d * gcf as allowable
          from rows join metal using (metal_level)),
pools as (select risk_pool, sum(premium) / sum(b) * 0.86 as net, sum(b * risk) / sum(b) as mean_risk,
                 sum(b * allowable) / sum(b) as mean_allowable from terms group by risk_pool)
select risk_pool, issuer_id, plan_id, (risk / mean_risk - allowable / mean_allowable) * net * b as transfer
from terms join pools using (risk_pool) order by risk_pool, issuer_id, plan_id
"""


def made_up_rows(rows: int = ROWS, pools: int = POOLS) -> pl.DataFrame:
    """Return plan rows of as many risk pools as the states have; nobody's figures."""
    rng = np.random.default_rng(1)
    place = np.arange(rows)
    months = (rng.lognormal(8, 1.5, rows).round(1) + 0.1).round(1)  # one decimal, as written in a file
    return pl.DataFrame(
        {
            "risk_pool": [f"pool {p:03d}" for p in place % pools],
            "issuer_id": [f"{10_000 + p // pools % 9:05d}" for p in place],
            "plan_id": [f"plan {p:05d}" for p in place],
            "rating_area_id": "1",
            "metal_level": rng.choice(["platinum", "gold", "silver", "bronze"], rows),
            "billable_member_months": months,
            "premium": (months * rng.normal(550, 60, rows)).round(2),
            "plrs": rng.lognormal(0.2, 0.3, rows).round(4),
            "arf": rng.normal(1.5, 0.1, rows).round(4),
            "gcf": rng.normal(1.0, 0.05, rows).round(3),
        }
    )


class EveryState:
    """``riskadjust.transfers`` of 5,000 plan rows in 150 risk pools, checked, exact to the cent."""

    timeout = 300

    def setup(self) -> None:
        import duckdb

        import riskadjust

        self.rows = made_up_rows()
        self.database = duckdb.connect()
        self.database.execute("set threads = 2")
        self.database.register("rows", self.rows.to_arrow())
        self.settle = lambda: riskadjust.transfers(self.rows, benefit_year=BENEFIT_YEAR)
        self.query = lambda: pl.from_arrow(self.database.execute(_SQL).to_arrow_table())
        ours = self.settle().plans.sort("risk_pool", "issuer_id", "plan_id")["transfer"].cast(pl.Float64)
        worst = (ours - self.query()["transfer"]).abs().max()
        if worst > 0.006:
            raise AssertionError(f"transfers differ by {worst} dollars")

    def time_transfers(self) -> None:
        self.settle()

    def track_milliseconds(self) -> float:
        return _clock.typical(self.settle) * 1000

    def track_ratio_to_duckdb(self) -> float:
        """Return how many times as long the bare formula takes in SQL; ours also checks, rounds and explains."""
        return _clock.ratio(self.settle, self.query)


class Market:
    """A made-up market of 100,000 enrollees, scored once."""

    timeout = 900

    def setup_cache(self) -> dict[str, Any]:
        import data_specs
        import riskadjust

        tables = data_specs.synthetic_market("OH", enrollees=ENROLLEES, seed=1, benefit_year=2025)
        scored = riskadjust.score(
            tables["enrollees"],
            tables["spans"],
            tables["diagnoses"],
            tables["drugs"],
            benefit_year=2025,
            explain=True,
        )
        return {"scores": scored.scores, **{name: tables[name] for name in ("enrollees", "spans", "plans")}}

    def track_seconds_of_plan_risk(self, market: dict[str, Any]) -> float:
        import riskadjust

        frames = [market[name] for name in ("scores", "enrollees", "spans", "plans")]
        return _clock.typical(lambda: riskadjust.plan_risk(*frames, benefit_year=2025), rounds=3)

    def track_seconds_of_1000_draws(self, market: dict[str, Any]) -> float:
        import riskadjust

        frames = [market[name] for name in ("scores", "enrollees", "spans", "plans")]
        return _clock.seconds(lambda: riskadjust.bootstrap_transfers(*frames, benefit_year=2025, seed=1, draws=DRAWS))

    def track_seconds_of_1000_mixes(self, market: dict[str, Any]) -> float:
        import riskadjust

        frames = [market[name] for name in ("scores", "enrollees", "spans", "plans")]
        mixes = many_mixes()
        found: list[Any] = []
        taken = _clock.seconds(lambda: found.append(riskadjust.mix(*frames, mixes, benefit_year=2025)))
        if found[0].issuers["mix"].n_unique() != MIXES + 1:
            raise AssertionError("a mix is missing")
        return taken


def many_mixes(number: int = MIXES) -> pl.DataFrame:
    """Return mixes that scale the young and the ill by factors that differ from mix to mix."""
    place = range(number)
    return pl.DataFrame(
        {
            "mix": [f"mix {p:04d}" for p in place for _ in range(2)],
            "column": [name for _ in place for name in ("age_last", "risk_score")],
            "operator": [sign for _ in place for sign in ("<=", ">=")],
            "value": [value for p in place for value in (str(20 + p % 30), str(1 + p % 5))],
            "action": "scale",
            "factor": [factor for p in place for factor in (0.5 + p / number / 2, 1 + p / number)],
            "to_plan_id": pl.Series([None] * (2 * number), dtype=pl.String),
        }
    )
