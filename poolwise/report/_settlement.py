"""A settlement with all that was computed for it: one thing for the files, the screen, the workbook and the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    from riskadjust import HighCostRiskPool, Mixes, PlanRisk, Transfers

__all__ = ["Settlement", "Steps"]

_SETTINGS = ("setting", "applies_to", "value", "source", "table_row", "verification")
_COUNTED = {"lines": "member lines of plan risk"}
_SEVERITIES = ("error", "warning", "info")


class Steps:
    """Results of several steps of one run, with what they noticed, counted and used taken together."""

    def steps(self) -> Iterator[tuple[str, Any]]:
        """Yield the steps in order of work, each with its name; of a run without any: none."""
        yield from ()

    @property
    def findings(self) -> pl.DataFrame:
        """Return rule_id, table, severity, action, rows, condition, basis of all steps; the worst first."""
        # A step that reads what another has read finds the same again.
        found: pl.DataFrame = pl.concat([step.findings for _, step in self.steps()]).unique(
            ["rule_id", "table"], keep="first"
        )
        rank = pl.col("severity").replace_strict({s: i for i, s in enumerate(_SEVERITIES)}, default=len(_SEVERITIES))
        return found.sort(rank, "rule_id", "table")

    @property
    def counts(self) -> pl.DataFrame:
        """Return table, input, accepted, rejected of all tables that were read, in order of work."""
        counts: pl.DataFrame = pl.concat([step.counts for _, step in self.steps()])
        return counts.unique("table", keep="first", maintain_order=True)

    @property
    def rejected(self) -> dict[str, pl.DataFrame]:
        """Return the rows of each table that took no part, with their rule_id."""
        rejected: dict[str, pl.DataFrame] = {}
        for _, step in self.steps():
            # A step that refuses bad rows as a whole has none apart.
            for table, rows in getattr(step, "rejected", {}).items():
                rejected.setdefault(table, rows)
        return rejected

    @property
    def uncertain(self) -> pl.DataFrame:
        """Return table, what, moved, rows: the uncertain figures that moved a result, and how many rows of it."""
        schema = {"table": pl.String, "what": pl.String, "moved": pl.String, "rows": pl.Int64}
        parts = [pl.DataFrame(schema=schema)]
        for _, step in self.steps():
            found = step.uncertain
            if "moved" not in found.columns:
                # A step that counts rows of one kind names them in the heading: lines, enrollees.
                (counted,) = set(found.columns) - set(schema)
                words = _COUNTED.get(counted, counted.replace("_", " "))
                found = found.rename({counted: "rows"}).with_columns(pl.lit(words).alias("moved"))
            parts.append(found.select(pl.col(c).cast(t) for c, t in schema.items()))
        return pl.concat(parts).unique(["table", "what", "moved"], keep="first").sort("table", "what", "moved")

    @property
    def settings(self) -> pl.DataFrame:
        """Return setting, applies_to, value, source, table_row, verification of all that was used, by name."""
        parts = [pl.DataFrame(schema=dict.fromkeys(_SETTINGS, pl.String))]
        for name, step in self.steps():
            used = step.settings
            if isinstance(used, Mapping):
                values = {"setting": list(used), "applies_to": "all", "value": [_shown(v) for v in used.values()]}
                used = pl.DataFrame(values | {"source": name.replace("_", " ")})
            parts.append(used.select(pl.col(c).cast(pl.String) for c in _SETTINGS if c in used.columns))
        joined = pl.concat(parts, how="diagonal")
        # The step before the last word on a setting: what plan rows were made with stands with plan risk.
        return joined.unique(["setting", "applies_to"], keep="first").sort("setting", "applies_to")

    @property
    def tables(self) -> list[str]:
        """Return the tables of published figures that took part."""
        return sorted({table for _, step in self.steps() for table in step.tables})

    def settings_by_name(self) -> dict[str, str]:
        """Return the settings as a manifest has them: value by name, or by name and pool."""
        rows = self.settings.select("setting", "applies_to", "value").rows()
        return {name if where in (None, "all") else f"{name} ({where})": value for name, where, value in rows}


@dataclass(frozen=True)
class Settlement(Steps):
    """Transfers, and where they were computed the steps before and after them.

    Attributes
    ----------
    transfers : Transfers
        The settlement.
    plan_risk : PlanRisk, optional
        Where plan rows were made from scores.
    high_cost : HighCostRiskPool, optional
        Where claims were given.
    mixes : Mixes, optional
        Where mixes were asked for.
    """

    transfers: Transfers
    plan_risk: PlanRisk | None = None
    high_cost: HighCostRiskPool | None = None
    mixes: Mixes | None = None

    def steps(self) -> Iterator[tuple[str, Any]]:
        """Yield plan_risk, transfers, high_cost_risk_pool and mix, those that were computed."""
        named: dict[str, Any] = {"plan_risk": self.plan_risk, "transfers": self.transfers}
        named |= {"high_cost_risk_pool": self.high_cost, "mix": self.mixes}
        yield from ((name, step) for name, step in named.items() if step is not None)

    def mix_frames(self) -> dict[str, pl.DataFrame]:
        """Return the tables of the mixes by the names of their files; none where no mix was asked for."""
        if self.mixes is None:
            return {}
        own = self.mixes
        frames = {"mix_issuers": own.issuers, "mix_pools": own.pools, "mix_plans": own.plans}
        return frames | {"mix_enrollment": own.enrollment}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else str(value)
