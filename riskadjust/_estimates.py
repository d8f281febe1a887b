"""An issuer's transfer from its own plans and the averages of the state, for rate filings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused, SettingRefused
from riskadjust import _estimate_frames as frames
from riskadjust._findings import Findings
from riskadjust._refusals import Refusals, number_columns, rule_text
from riskadjust._state_averages import (
    PROJECTION_FACTORS,
    StateAverages,
    interim_to_final,
    positive_number,
    state_averages,
)
from riskadjust._transfer_formula import settle
from riskadjust._transfer_rows import PLAN_COLUMNS, PlanTable, clean_keys, key_columns, plan_table, read_plan_rows
from riskadjust._transfer_settings import Parameters

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Estimate", "estimate_transfers"]

Floats = NDArray[np.float64]

PRODUCTS = (
    "Lbar and Rbar are products of the state's means (PLRS x IDF x GCF; AV x ARF x IDF x GCF), and the transfer "
    "formula takes means of products: the estimate is an approximation"
)


@dataclass(frozen=True)
class Estimate:
    """An estimate of an issuer's transfers. Positive: received; negative: paid.

    Attributes
    ----------
    plans, pools, total : DataFrame
        By plan row, by risk pool, and in all; see :func:`estimate_transfers`.
    averages : DataFrame
        [state,] risk_pool, figure, step, factor, value, source, verification: every published or assumed figure and
        every projection factor, in the order in which they were applied.
    sensitivities : DataFrame
        [state,] risk_pool, side (state or own plans), input, value, change, transfer_change (dollars),
        transfer_change_pmpm: what 1 percent more of one input does, everything else as it is.
    approximation : DataFrame or None
        With `market_rows`: how far products of means lie from means of products there, and what that does to the own
        plans.
    warnings : tuple of str
        What a reader of the figures must know; the first always says that they rest on products of means.
    findings, settings, uncertain : DataFrame
        As in :class:`riskadjust.Transfers`.
    benefit_year : int
        The year that is estimated.
    tables : list of str
        The tables of published figures that were used.
    """

    plans: pl.DataFrame
    pools: pl.DataFrame
    total: pl.DataFrame
    averages: pl.DataFrame
    sensitivities: pl.DataFrame
    approximation: pl.DataFrame | None
    warnings: tuple[str, ...]
    findings: pl.DataFrame
    settings: pl.DataFrame
    uncertain: pl.DataFrame
    benefit_year: int
    tables: list[str]

    def text(self) -> str:
        """Return the result in words: a line per risk pool, the total, and every warning."""
        return frames.result_text(self.benefit_year, self.pools, self.total, self.warnings)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return (
            f"Estimate(benefit_year={self.benefit_year}, plan rows={self.plans.height}, "
            f"risk pools={self.pools.height}, warnings={len(self.warnings)})"
        )


def estimate_transfers(
    plan_rows: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    averages: int | Mapping[str, Any] | pl.DataFrame | pl.LazyFrame | None = None,
    state: str | None = None,
    risk_pool: str | None = None,
    release: str | None = None,
    projection: Mapping[str, Any] | None = None,
    market_rows: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Estimate:
    """Return the transfers of an issuer's own plans, estimated from averages of the state.

    ``t = (L / Lbar - R / Rbar) P' (1 - q)`` dollars per billable member month, ``T = t b``; own ``L = r d g`` and
    ``R = a f d g``; of the state ``Lbar ~ mean PLRS x mean IDF x GCFbar``, ``Rbar ~ mean AV x mean ARF x mean IDF x
    GCFbar`` and P' the premium net of the administrative cost cut. The formula takes means of products, not products of
    means: the result says so, and measures the difference when the market is at hand.

    Parameters
    ----------
    plan_rows : DataFrame
        plan_id, metal_level, billable_member_months, plrs, arf, gcf of the own plans, as the issuer projects them.
        Optional: state, risk_pool (else the arguments), issuer_id, rating_area_id, av, idf, total_member_months (all
        members, billable or not), premium (not used) and any other column.
    benefit_year : int
        The year to estimate; its k, state reductions and user fee apply.
    averages : int, mapping or DataFrame, optional
        None: the published averages of the benefit year. A year: those of that earlier year. A mapping: assumed figures
        by their names in ``transfers/state_average_factors`` (state_avg_premium_pmpm, or
        state_avg_premium_net_admin_pmpm; avg_plrs, avg_arf, avg_av, avg_idf); those left out are read from the
        published row of its ``benefit_year``. A frame: a row per risk_pool (and state) with such columns.
    state, risk_pool : str, optional
        Of all rows, where the rows have no such column.
    release : {"final", "interim"}, optional
        Which report; by default the final one where both are held.
    projection : mapping, optional
        Declared factors (1.05 is 5 percent more; each is shown): ``premium_trend`` on P'; ``interim_to_final`` (or
        ``"published"``: the mean uplift of the year for which both reports are held), ``coding_growth``, ``morbidity``
        and ``market_mix_plrs`` on mean PLRS; ``market_mix_arf``, ``market_mix_av``, ``market_mix_idf`` on the others.
    market_rows : DataFrame, optional
        All plan rows of the same pools in some year, own ones included, as for :func:`riskadjust.transfers`.
    settings : mapping, optional
        ``mean_gcf``: GCFbar, 1 by default, a number, or ``"published"`` (mean of the published factors of the averages'
        year, weighted by member months); and the settings of :func:`riskadjust.transfers` that name a parameter.

    Returns
    -------
    Estimate
        ``.plans``: columns given, risk L, allowable R, transfer_pmpm (per billable member month), transfer_unrounded,
        transfer (Decimal), user_fee (Decimal, 0 or less), net (both), and per month of all members
        transfer_pmpm_total_members, net_pmpm_total_members: what enters the market-level index rate. ``.pools`` and
        ``.total``: the same, totals rounded once from unrounded sums.

    Raises
    ------
    InputRefused
        A plan row breaks rules TRF-001 to TRF-013 or TRF-070; market rows lack an own plan (TRF-071).
    SettingRefused
        Unknown factor, figure or setting, or a value it cannot have.
    TableMissing
        Averages of the year, pool or release are not held, or lack the mean IDF (interim report of 2016), and none is
        given.

    Notes
    -----
    Sources: 78 FR 15409 (2014 payment notice), 81 FR 94058 (2018 payment notice); state tables of the CMS summary
    reports. The state's averages already hold the own plans; a large issuer that changes its own risk changes them too.

    Examples
    --------
    Assumed averages: Lbar = 1.5 x 1.03, Rbar = 0.7 x 1.6 x 1.03, P' = 500. One silver plan with a score of 1.65 and the
    average rating factor: t = (1.65 / 1.5 - 1) x 500 = 50.

    >>> import polars as pl
    >>> own = pl.DataFrame({"plan_id": ["A"], "metal_level": ["silver"], "billable_member_months": [1000.0],
    ...     "total_member_months": [1040.0], "plrs": [1.65], "arf": [1.6], "gcf": [1.0]})
    >>> assumed = {"state_avg_premium_net_admin_pmpm": 500, "avg_plrs": 1.5, "avg_arf": 1.6, "avg_av": 0.7,
    ...     "avg_idf": 1.03}
    >>> estimate = estimate_transfers(own, benefit_year=2024, averages=assumed, risk_pool="individual")
    >>> estimate.total.select("transfer", "user_fee", "net").row(0)
    (Decimal('50000.00'), Decimal('-210.00'), Decimal('49790.00'))
    >>> round(estimate.total["net_pmpm_total_members"].item(), 2)
    47.88
    """
    mean_gcf, others = _mean_gcf(settings)
    parameters, findings = Parameters(others, benefit_year, "estimate_transfers"), Findings()
    declared = _projection(projection)
    if release not in (None, "final", "interim"):
        raise SettingRefused(f"`release` cannot be {release!r}", remedy="choose one of 'final', 'interim'")
    given, filled = _with_columns(plan_rows, state, risk_pool)
    table = plan_table(given, np.arange(given.height), parameters.benefit_year, findings)
    total_months = _total_member_months(table)
    cuts = [float(k or 0) for k in parameters.by_pool("admin_cost_reduction", table.pools)]
    kept = [1.0 - float(q) for q in parameters.state_reductions(table.pools)]
    fee_rates = parameters.by_pool("ra_user_fee_pmpm", table.pools, required=False)
    by_pool = _averages_by_pool(averages, table)
    of_state = [
        state_averages(pool, parameters.benefit_year, own, release, declared, mean_gcf, k)
        for pool, own, k in zip(table.pools, by_pool, cuts, strict=True)
    ]
    work = frames.Work(table, filled, total_months, of_state, np.array(kept), fee_rates)
    approximation = None if market_rows is None else _approximation(work, market_rows, parameters)
    _note_moves(work, parameters, cuts)
    return Estimate(
        plans=work.plan_frame(),
        pools=work.pool_frame(),
        total=work.total_frame(),
        averages=work.steps_frame(),
        sensitivities=work.sensitivities(),
        approximation=approximation,
        warnings=_warnings(work, parameters.benefit_year, declared, approximation),
        findings=_told(findings, filled),
        settings=_with_gcf(parameters.frame(), mean_gcf),
        uncertain=parameters.uncertain(),
        benefit_year=parameters.benefit_year,
        tables=work.tables(),
    )


def _mean_gcf(settings: Mapping[str, Any] | None) -> tuple[float | str, Mapping[str, Any] | None]:
    """Return GCFbar, and the settings without it."""
    if not isinstance(settings, Mapping) or "mean_gcf" not in settings:
        return 1.0, settings
    others = {k: v for k, v in settings.items() if k != "mean_gcf"}
    value = settings["mean_gcf"]
    return (value if value == "published" else positive_number(value, "mean_gcf")), others


def _with_gcf(settings: pl.DataFrame, mean_gcf: float | str) -> pl.DataFrame:
    import polars as pl

    is_default = mean_gcf == 1.0
    source = "default" if is_default else "given"
    line = pl.DataFrame([{"setting": "mean_gcf", "applies_to": "all", "value": str(mean_gcf), "source": source}])
    return pl.concat([settings, line], how="diagonal_relaxed").sort("setting", "applies_to")


def _projection(projection: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if projection is None:
        return {}
    if not isinstance(projection, Mapping):
        raise SettingRefused("projection is not a mapping", remedy='write it as {"premium_trend": 1.05}')
    unknown = [str(name) for name in projection if name not in PROJECTION_FACTORS]
    if unknown:
        raise SettingRefused(
            "no projection factor is called " + ", ".join(map(repr, sorted(unknown))),
            remedy="factors: " + ", ".join(PROJECTION_FACTORS),
        )
    return projection


def _with_columns(plan_rows: Any, state: str | None, risk_pool: str | None) -> tuple[pl.DataFrame, list[str]]:
    """Return own plan rows in the layout of a settlement, and the columns that were put in."""
    import polars as pl

    if isinstance(plan_rows, pl.LazyFrame):
        plan_rows = plan_rows.collect()
    if not isinstance(plan_rows, pl.DataFrame):
        return read_plan_rows(plan_rows), []  # refuses it
    for name, value in (("state", state), ("risk_pool", risk_pool)):
        if value is None:
            continue
        if name in plan_rows.columns:
            raise SettingRefused(
                f"`{name}` is said twice", where=f"plan_rows, column {name}", remedy="leave out the argument"
            )
        if not isinstance(value, str):
            raise SettingRefused(f"`{name}` is a {type(value).__name__}", rule="text", remedy="write it as text")
        plan_rows = plan_rows.with_columns(pl.lit(value).alias(name))
    if "risk_pool" not in plan_rows.columns:
        raise InputRefused(
            "the plan rows name no risk pool", where="plan_rows", remedy="add the column risk_pool, or say risk_pool="
        )
    # Neither the issuer nor the own premium enters the estimate; areas only where rows are told apart by them.
    absent = {"issuer_id": "own", "rating_area_id": "all", "premium": 0.0}
    filled = [c for c in absent if c not in plan_rows.columns and c in PLAN_COLUMNS]
    return read_plan_rows(plan_rows.with_columns(pl.lit(absent[c]).alias(c) for c in filled)), filled


def _total_member_months(table: PlanTable) -> Floats | None:
    if "total_member_months" not in table.frame.columns:
        return None
    total = number_columns(table.frame, "plan_rows", ["total_member_months"])["total_member_months"]
    refusals = Refusals("plan_rows", table.row)
    short = total < table.arrays.months * (1 - 1e-12)
    refusals.add("TRF-070", "total_member_months", ~np.isfinite(total) | short)
    refusals.check()
    return total


def _averages_by_pool(
    averages: int | Mapping[str, Any] | pl.DataFrame | pl.LazyFrame | None, table: PlanTable
) -> list[int | Mapping[str, Any] | None]:
    """Return what was said of each risk pool: one thing for all, or the row of a frame."""
    import polars as pl

    if isinstance(averages, pl.LazyFrame):
        averages = averages.collect()
    if not isinstance(averages, pl.DataFrame):
        return [averages] * len(table.pools)
    keys = [c for c in ("state", "risk_pool") if c in averages.columns]
    if "risk_pool" not in keys or ("state" in keys and "state" not in key_columns(table.frame)):
        raise InputRefused(
            "averages do not say which risk pool they are of",
            where="averages",
            rule="a frame of averages has the column risk_pool, and state where the plan rows have it",
            remedy="add the columns, or hand in a mapping",
        )
    averages = averages.with_columns(clean_keys(averages, keys))
    found: list[int | Mapping[str, Any] | None] = []
    for pool in table.pools:
        named = {"state": pool.state, "risk_pool": pool.risk_pool}
        rows = averages.filter(pl.all_horizontal([pl.col(k) == named[k] for k in keys]))
        if rows.height != 1:
            raise InputRefused(
                f"{rows.height} rows of averages are for the risk pool {pool}",
                where="averages",
                rule="one row per risk pool",
                remedy="add the row" if rows.height == 0 else "keep one row",
            )
        found.append(rows.drop(keys).row(0, named=True))
    return found


def _approximation(work: frames.Work, market_rows: Any, parameters: Parameters) -> pl.DataFrame:
    """Return what products of means do to the own plans in a market whose plan rows are all at hand."""
    given = read_plan_rows(market_rows)
    market = plan_table(given, np.arange(given.height), parameters.benefit_year, Findings())
    work.check_within(market)
    cuts = [float(k or 0) for k in parameters.by_pool("admin_cost_reduction", market.pools)]
    settled = settle(market.arrays, np.array(cuts))
    for pool, lbar, rbar in zip(market.pools, settled.mean_risk, settled.mean_allowable, strict=True):
        if not (lbar > 0 and rbar > 0):
            raise InputRefused(
                f"the risk pool {pool} has no average risk or rating",
                where="market_rows",
                rule=rule_text("TRF-012"),
                remedy="hand in all plan rows of the pool",
            )
    return work.approximation(market, settled)


def _note_moves(work: frames.Work, parameters: Parameters, cuts: list[float]) -> None:
    rows = np.diff(work.table.arrays.first).tolist()
    # The published net premium stands for the benefit year only because its cut is the same; a given one needs none.
    is_net_given = [state.steps[0].source == "assumed" for state in work.states]
    cut_rows = [n if k > 0 and not given else 0 for n, k, given in zip(rows, cuts, is_net_given, strict=True)]
    parameters.moved_pools("admin_cost_reduction", "estimated transfer of plan rows", cut_rows)
    parameters.moved_pools("ra_user_fee_pmpm", "user_fee of plan rows", rows)
    for pool, n, share in zip(work.table.pools, rows, work.kept_share.tolist(), strict=True):
        parameters.moved("state_reduction", "estimated transfer of plan rows", n if share < 1 else 0, str(pool))


def _told(findings: Findings, filled: list[str]) -> pl.DataFrame:
    """Return the findings; a premium that was not handed in is no premium of zero."""
    import polars as pl

    frame = findings.frame()
    return frame.filter(pl.col("rule_id") != "TRF-021") if "premium" in filled else frame


def _warnings(
    work: frames.Work, benefit_year: int, declared: Mapping[str, Any], approximation: pl.DataFrame | None
) -> tuple[str, ...]:
    """Return what a reader must know, the approximation first."""
    found = [PRODUCTS + frames.size_of_error(approximation)]
    for pool, state in zip(work.table.pools, work.states, strict=True):
        found += _about_averages(str(pool), pool.risk_pool, state, benefit_year, declared)
    if work.total_months is None:
        found.append("no total_member_months: amounts per month of all members are blank")
    if any(fee is None for fee in work.fee_rates):
        found.append(f"no user fee is held for {benefit_year}: fee and net are blank")
    if any(math.isclose(share, 0.0) for share in work.kept_share.tolist()):
        found.append("a state reduction of 100 percent leaves no transfer")
    return tuple(found)


def _about_averages(
    pool: str, risk_pool: str, state: StateAverages, benefit_year: int, declared: Mapping[str, Any]
) -> list[str]:
    found = []
    if state.release == "interim" and "interim_to_final" not in declared:
        factor, source = interim_to_final(risk_pool)
        found.append(
            f"{pool}: averages of the interim report of {state.year}, taken as they stand; final mean risk scores were "
            f"{100 * (factor - 1):.1f} percent higher ({source}): declare interim_to_final, a number or 'published'"
        )
    if state.year is not None and state.year < benefit_year and "premium_trend" not in declared:
        found.append(f"{pool}: premiums of {state.year} stand for {benefit_year}: no premium_trend was declared")
    return found
