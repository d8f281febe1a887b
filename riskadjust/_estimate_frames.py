"""The frames and the words of an estimate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._cents import as_money, cents_of, exact, exact_on_grid, month_sums, sums
from riskadjust._refusals import rule_text
from riskadjust._state_averages import AREA_TABLE, AVERAGES_TABLE, NET, StateAverages
from riskadjust._transfer_formula import PlanArrays, Settlement
from riskadjust._transfer_rows import METAL_TABLE, PLAN_KEYS, PlanTable, key_columns
from riskadjust._transfer_settings import PARAMETER_TABLE

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Work", "result_text", "size_of_error"]

Floats = NDArray[np.float64]

CHANGE = 0.01
_STATE_INPUTS = (NET, "avg_plrs", "avg_arf", "avg_av", "avg_idf", "mean_gcf")
_OWN_INPUTS = {"plrs": "plrs", "arf": "arf", "gcf": "gcf", "billable_member_months": "months"}


@dataclass(frozen=True)
class Work:
    """Own plan rows and the averages of their pools.

    Attributes
    ----------
    table : PlanTable
        Own plan rows.
    filled : list of str
        Columns that the rows did not have.
    total_months : array, optional
        Months of all members, by row.
    states : list of StateAverages
        By pool.
    kept_share : array
        ``1 - q`` by pool.
    fee_rates : list
        Dollars per billable member month by pool; None: not held.
    """

    table: PlanTable
    filled: list[str]
    total_months: Floats | None
    states: list[StateAverages]
    kept_share: Floats
    fee_rates: list[Fraction | None]

    # ---- amounts

    def amounts(
        self,
        plans: PlanArrays | None = None,
        mean_risk: Floats | None = None,
        mean_allowable: Floats | None = None,
        net: Floats | None = None,
    ) -> Floats:
        """Return the unrounded transfer of every own row; what is not given is that of the estimate."""
        plans = self.table.arrays if plans is None else plans
        lbar = self.of_states("mean_risk") if mean_risk is None else mean_risk
        rbar = self.of_states("mean_allowable") if mean_allowable is None else mean_allowable
        premium = self.of_states("net_premium") if net is None else net
        counts = np.diff(plans.first)
        present = plans.months > 0
        common = np.where(present, plans.idf * plans.gcf, 0.0)
        risk = np.where(present, plans.plrs, 0.0) * common / np.repeat(lbar, counts)
        allowable = np.where(present, plans.av * plans.arf, 0.0) * common / np.repeat(rbar, counts)
        found: Floats = (risk - allowable) * np.repeat(premium * self.kept_share, counts) * plans.months
        return found

    def of_states(self, name: str) -> Floats:
        """Return a property of the averages of each pool."""
        return np.array([getattr(state, name) for state in self.states])

    # ---- frames

    def plan_frame(self) -> pl.DataFrame:
        """Return the rows given with their amounts."""
        import polars as pl

        plans = self.table.arrays
        common = plans.idf * plans.gcf
        present = pl.Series(self.table.has_months)
        kept = self.table.frame.drop(self.filled).with_columns(
            pl.Series("av", plans.av),
            pl.Series("idf", plans.idf),
            pl.Series("risk", plans.plrs * common).set(~present, None),
            pl.Series("allowable", plans.av * plans.arf * common).set(~present, None),
        )
        rows = np.arange(len(plans.months) + 1)
        return pl.concat([kept, self._amount_frame(rows, is_total=False)], how="horizontal")

    def pool_frame(self) -> pl.DataFrame:
        """Return the totals of each risk pool with its averages."""
        import polars as pl

        table = self.table
        named = table.frame.select(key_columns(table.frame))[table.arrays.first[:-1]].with_columns(
            pl.Series("plan_rows", np.diff(table.arrays.first)),
            pl.Series("billable_member_months", month_sums(table.arrays.months, table.arrays.first)),
            pl.Series("net_average_premium", self.of_states("net_premium")),
            pl.Series("mean_risk", self.of_states("mean_risk")),
            pl.Series("mean_allowable", self.of_states("mean_allowable")),
        )
        return pl.concat([named, self._amount_frame(table.arrays.first, is_total=True)], how="horizontal")

    def total_frame(self) -> pl.DataFrame:
        """Return one row: all own plans."""
        import polars as pl

        months = self.table.arrays.months
        edges = np.array([0, len(months)])
        named = pl.DataFrame({"plan_rows": [len(months)], "billable_member_months": month_sums(months, edges)})
        return pl.concat([named, self._amount_frame(edges, is_total=True)], how="horizontal")

    def _amount_frame(self, edges: NDArray[np.int64], *, is_total: bool) -> pl.DataFrame:
        """Return the amounts of runs of rows, rounded once from unrounded sums."""
        import polars as pl

        billable = month_sums(self.table.arrays.months, edges)
        transfer = sums(self.amounts(), edges).tolist()
        fees = self._fee_sums(edges)
        cents = [cents_of(exact(t)) for t in transfer]
        fee_cents = [None if fee is None else cents_of(fee) for fee in fees]
        net_cents = [None if fee is None else c + fee for c, fee in zip(cents, fee_cents, strict=True)]
        net = [None if fee is None else t + float(fee) for t, fee in zip(transfer, fees, strict=True)]
        columns = [
            pl.Series("transfer_pmpm", _per(transfer, billable), dtype=pl.Float64),
            pl.Series("transfer_unrounded", transfer, dtype=pl.Float64),
            pl.Series("transfer", cents, dtype=pl.Int64),
            pl.Series("user_fee", fee_cents, dtype=pl.Int64),
            pl.Series("net", net_cents, dtype=pl.Int64),
        ]
        everyone = np.zeros(len(billable)) if self.total_months is None else sums(self.total_months, edges)
        if is_total and self.total_months is not None:
            columns.append(pl.Series("total_member_months", everyone))
        columns += [
            pl.Series("transfer_pmpm_total_members", _per(transfer, everyone), dtype=pl.Float64),
            pl.Series("net_pmpm_total_members", _per(net, everyone), dtype=pl.Float64),
        ]
        return as_money(pl.DataFrame(columns), "transfer", "user_fee", "net")

    def _fee_sums(self, edges: NDArray[np.int64]) -> list[Fraction | None]:
        """Return the exact user fee of runs of rows, 0 or less; None where a rate is not held."""
        counts = np.diff(self.table.arrays.first).tolist()
        months = [exact_on_grid(b, 30) for b in self.table.arrays.months.tolist()]
        rates = [rate for rate, n in zip(self.fee_rates, counts, strict=True) for _ in range(n)]
        found: list[Fraction | None] = []
        for a, b in pairwise(edges.tolist()):
            run = [-rate * m for rate, m in zip(rates[a:b], months[a:b], strict=True) if rate is not None]
            found.append(sum(run, Fraction(0)) if len(run) == b - a else None)
        return found

    def steps_frame(self) -> pl.DataFrame:
        """Return every step of every figure."""
        import polars as pl

        lines = [{**self._pool_key(i), **vars(step)} for i, state in enumerate(self.states) for step in state.steps]
        schema = {
            **dict.fromkeys(key_columns(self.table.frame), pl.String),
            "figure": pl.String,
            "step": pl.String,
            "factor": pl.Float64,
            "value": pl.Float64,
            "source": pl.String,
            "verification": pl.String,
        }
        return pl.DataFrame(lines, schema=schema)

    def _pool_key(self, pool: int) -> dict[str, str | None]:
        name = self.table.pools[pool]
        return {k: getattr(name, k) for k in key_columns(self.table.frame)}

    def sensitivities(self) -> pl.DataFrame:
        """Return what 1 percent more of each input does to the transfer of each pool."""
        import polars as pl

        plans, first = self.table.arrays, self.table.arrays.first
        months = sums(plans.months, first)
        base = sums(self.amounts(), first)
        lines = []
        for name in _STATE_INPUTS:
            changed = sums(self._amounts_with(name), first)
            values = [state.values[name] for state in self.states]
            lines += self._lines("state", name, values, changed - base, months)
        for name, attribute in _OWN_INPUTS.items():
            more = {a: getattr(plans, a) for a in PlanArrays.__dataclass_fields__}
            more[attribute] = more[attribute] * (1 + CHANGE)
            changed = sums(self.amounts(PlanArrays(**more)), first)
            own = getattr(plans, attribute)
            if attribute == "months":
                means = months
            else:
                with np.errstate(invalid="ignore", divide="ignore"):
                    means = sums(np.where(plans.months > 0, plans.months * own, 0.0), first) / months
            lines += self._lines("own plans", name, means.tolist(), changed - base, months)
        return (
            pl.DataFrame(lines)
            .with_columns(pl.col("value", "transfer_change_pmpm").fill_nan(None))
            .sort(key_columns(self.table.frame), maintain_order=True)
        )

    def _amounts_with(self, name: str) -> Floats:
        """Return the transfer of every own row with one figure of the state 1 percent higher."""
        raised = [StateAverages({**state.values, name: state.values[name] * (1 + CHANGE)}) for state in self.states]
        return self.amounts(
            mean_risk=np.array([s.mean_risk for s in raised]),
            mean_allowable=np.array([s.mean_allowable for s in raised]),
            net=np.array([s.net_premium for s in raised]),
        )

    def _lines(
        self, side: str, name: str, values: Sequence[float], change: Floats, months: Floats
    ) -> list[dict[str, object]]:
        return [
            {
                **self._pool_key(i),
                "side": side,
                "input": name,
                "value": float(values[i]),
                "change": CHANGE,
                "transfer_change": float(change[i]),
                "transfer_change_pmpm": float(change[i] / months[i]) if months[i] > 0 else math.nan,
            }
            for i in range(len(self.states))
        ]

    # ---- beside the market

    def check_within(self, market: PlanTable) -> None:
        """Refuse a market that names its pools otherwise, or lacks a row of the own plans."""
        pool_keys = key_columns(self.table.frame)
        if pool_keys != key_columns(market.frame):
            raise InputRefused(
                "the plan rows name a state and the market rows do not, or the reverse",
                where="market_rows",
                rule="both name a risk pool alike",
                remedy="add the column state to both, or to none",
            )
        keys = [c for c in (*pool_keys, *PLAN_KEYS[1:]) if c not in self.filled]
        missing = self.table.frame.join(market.frame, on=keys, how="anti").height
        if missing:
            raise InputRefused(
                f"{missing} plan rows of the estimate are not among those of the market",
                where="market_rows",
                rule=rule_text("TRF-071"),
                remedy="hand in all plan rows of the risk pools, the own ones included",
            )

    def approximation(self, market: PlanTable, settled: Settlement) -> pl.DataFrame:
        """Return, by pool, means of products and products of means of a market, and the own transfer under both."""
        import polars as pl

        position = {(p.state, p.risk_pool): i for i, p in enumerate(market.pools)}
        at = [position[p.state, p.risk_pool] for p in self.table.pools]
        gcf = np.array([state.values["mean_gcf"] for state in self.states])
        means = {name: _weighted_mean(market.arrays, name)[at] for name in ("plrs", "arf", "av", "idf")}
        lbar, rbar = settled.mean_risk[at], settled.mean_allowable[at]
        risk, allowable = means["plrs"] * means["idf"] * gcf, means["av"] * means["arf"] * means["idf"] * gcf
        net = settled.net_premium[at]
        first = self.table.arrays.first
        months = sums(self.table.arrays.months, first)
        true = sums(self.amounts(None, lbar, rbar, net), first)
        approximate = sums(self.amounts(None, risk, allowable, net), first)
        with np.errstate(invalid="ignore", divide="ignore"):
            per_month = (approximate - true) / months
        keys = self.table.frame.select(key_columns(self.table.frame))[first[:-1]]
        return keys.with_columns(
            pl.Series("mean_of_products_risk", lbar),
            pl.Series("product_of_means_risk", risk),
            pl.Series("relative_error_risk", risk / lbar - 1),
            pl.Series("mean_of_products_allowable", rbar),
            pl.Series("product_of_means_allowable", allowable),
            pl.Series("relative_error_allowable", allowable / rbar - 1),
            pl.Series("own_transfer_exact", true),
            pl.Series("own_transfer_of_means", approximate),
            pl.Series("error", approximate - true),
            pl.Series("error_pmpm", per_month).fill_nan(None),
        )

    def tables(self) -> list[str]:
        """Return the names of the tables that were read."""
        read = {PARAMETER_TABLE, METAL_TABLE}
        for state in self.states:
            sources = " ".join(step.source for step in state.steps)
            read.update(name for name in (AVERAGES_TABLE, AREA_TABLE) if name in sources)
        return sorted(read)


def _weighted_mean(plans: PlanArrays, name: str) -> Floats:
    present = plans.months > 0
    weighed = np.where(present, plans.months * getattr(plans, name), 0.0)
    return sums(weighed, plans.first) / sums(plans.months, plans.first)


def _per(dollars: Sequence[float | None], months: Floats) -> list[float | None]:
    return [None if d is None or not m > 0 else d / m for d, m in zip(dollars, months.tolist(), strict=True)]


def size_of_error(approximation: pl.DataFrame | None) -> str:
    """Return the measured size of the error as the end of a sentence."""
    if approximation is None:
        return "; hand in market_rows to measure by how much"
    parts = []
    for row in approximation.to_dicts():
        name = " ".join(str(row[k]) for k in ("state", "risk_pool") if row.get(k))
        per_month = "" if row["error_pmpm"] is None else f" ({row['error_pmpm']:+,.2f} per billable member month)"
        parts.append(
            f"{name} {row['error']:+,.2f} dollars{per_month}, Lbar {100 * row['relative_error_risk']:+.2f} percent, "
            f"Rbar {100 * row['relative_error_allowable']:+.2f} percent"
        )
    return ". Measured on the market at hand: " + "; ".join(parts)


def result_text(benefit_year: int, pools: pl.DataFrame, total: pl.DataFrame, warnings: Sequence[str]) -> str:
    """Return an estimate in words."""
    lines = [f"Estimated state payment transfers, benefit year {benefit_year} (positive: received, negative: paid)"]
    for row in pools.to_dicts():
        name = " ".join(str(row[k]) for k in ("state", "risk_pool") if row.get(k))
        lines.append(f"  {name}: {_amounts_text(row)}")
    lines.append(f"  total: {_amounts_text(total.row(0, named=True))}")
    return "\n".join([*lines, *(f"Warning: {w}." for w in warnings)])


def _amounts_text(row: dict[str, object]) -> str:
    def dollars(name: str) -> str:
        value = row[name]
        return "not known" if value is None else f"{value:,.2f}" if isinstance(value, Decimal | float) else str(value)

    return (
        f"transfer {dollars('transfer')} dollars, {dollars('transfer_pmpm')} per billable member month, "
        f"{dollars('transfer_pmpm_total_members')} per month of all members; user fee {dollars('user_fee')}; "
        f"net {dollars('net')}"
    )
