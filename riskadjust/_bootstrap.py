"""How far chance alone may move the transfer of an issuer: policies drawn again with replacement, each draw settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs._declared import given_settings
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._draws import DrawResults, Pools, Strata, settle_draws
from riskadjust._plan_risk import PlanRisk, plan_risk_report
from riskadjust._plan_risk_settings import PlanRiskSettings
from riskadjust._policy_sums import ROW_KEYS, PolicySums, policy_sums
from riskadjust._transfers import Transfers, transfers

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Interval", "bootstrap_transfers"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

RESAMPLE_CHOICES = {
    "policies_of_pool": ["state", "risk_pool"],
    "policies_of_issuer": ["state", "risk_pool", "issuer_id"],
}
GCF_CHOICES = ("recomputed", "held")
MOST_DRAWS = 100_000
_POOL = ["state", "risk_pool"]
_ISSUER = [*_POOL, "issuer_id"]


@dataclass(frozen=True)
class Interval:
    """What resampling says of the transfers of one benefit year.

    Attributes
    ----------
    issuers, pools : DataFrame
        See :func:`bootstrap_transfers`.
    draws : DataFrame
        state, risk_pool, issuer_id, draw (from 1), billable_member_months, transfer: every draw of every issuer.
    transfers : Transfers
        The settlement without resampling.
    plan_risk : PlanRisk
        The plan averages it rests on, with their findings and rejected rows.
    warnings : tuple of str
        What a reader must know: draws that could not be settled, areas that kept their factor.
    settings : dict
        seed, draws, level, resample, geographic_cost_factors.
    benefit_year : int
        The year that was settled.
    """

    issuers: pl.DataFrame
    pools: pl.DataFrame
    draws: pl.DataFrame
    transfers: Transfers
    plan_risk: PlanRisk
    warnings: tuple[str, ...]
    settings: dict[str, Any]
    benefit_year: int

    def __repr__(self) -> str:
        return (
            f"Interval(benefit_year={self.benefit_year}, issuers={self.issuers.height}, "
            f"draws={self.settings['draws']}, level={self.settings['level']}, seed={self.settings['seed']}, "
            f"warnings={len(self.warnings)})"
        )


def bootstrap_transfers(
    scores: Any,
    enrollees: Any = None,
    spans: Any = None,
    plans: Any = None,
    *,
    benefit_year: int,
    seed: int,
    draws: int = 1000,
    level: float = 0.9,
    resample: str = "policies_of_pool",
    geographic_cost_factors: str = "recomputed",
    gcf: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> Interval:
    """Return an interval for the transfer of every issuer, from policies drawn again with replacement.

    A draw takes as many policies as there are, each any number of times, whole: all members, all plans, premium. Plan
    averages are added up again and the risk pools settled by the transfer formula. Over the draws d, for T_d the
    transfer of an issuer: ``lower, upper = quantiles (1 - level)/2 and (1 + level)/2 of T_d`` (percentile method,
    linear between draws); ``standard_error = sqrt(sum (T_d - mean)^2 / (draws - 1))``.

    Parameters
    ----------
    scores, enrollees, spans, plans
        As for :func:`riskadjust.plan_risk`. Or, alone and first, what :func:`riskadjust.plan_risk_report` returned.
    benefit_year : int
        The year whose figures are used.
    seed : int
        0 or more. The same seed gives the same numbers for any order of rows and any number of threads: draw d is made
        from (seed, d) alone, over sorted policies.
    draws : int
        How many, from 2.
    level : float
        Share of draws that the interval holds.
    resample : {"policies_of_pool", "policies_of_issuer"}
        From where a policy is drawn: its risk pool (default; issuers grow and shrink as in another year's market), or
        its issuer in the pool (the issuers keep their number of policies).
    geographic_cost_factors : {"recomputed", "held"}
        Whether each draw has factors of its own premiums (default), or those without a draw. Given ones (`gcf`) are
        held. An area whose draw holds no plan that sets the factor keeps the one it has; a warning counts them.
    gcf : DataFrame, optional
        As for :func:`riskadjust.plan_risk`.
    settings : mapping, optional
        As for :func:`riskadjust.plan_risk` and :func:`riskadjust.transfers`.

    Returns
    -------
    Interval
        ``.issuers``, sorted by state, risk_pool, issuer_id: policies, billable_member_months, transfer (Decimal, of
        :func:`riskadjust.transfers`), mean_of_draws, standard_error, lower, upper (dollars), transfer_pmpm, lower_pmpm,
        upper_pmpm (per billable member month, each draw by its own months), sign_change_share (share of draws in which
        the issuer pays instead of receiving, or the reverse, counted in cents; blank when its transfer is 0) and
        draws_used. ``.pools``: the same for received (sum of what issuers receive), average_premium, mean_risk Lbar and
        mean_allowable Rbar: value, name_lower, name_upper, name_standard_error.

    Raises
    ------
    InputRefused
        As for :func:`riskadjust.plan_risk` and :func:`riskadjust.transfers`.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    The interval holds chance in who enrolls and falls ill only: not claims that are still to come in, trend, audit
    results or a wrong forecast. Where few policies hold most of the risk, percentiles are too narrow. Source: B. Efron,
    Bootstrap methods (1979); the unit is the policy because its members share premium, plan and billing.

    Examples
    --------
    Forty policies of one person each; issuer 22222 has the higher scores. The members of a policy stay together.

    >>> import datetime, polars as pl
    >>> day, people = datetime.date, [f"E{i:02d}" for i in range(40)]
    >>> plan = ["11111GA0010001"] * 20 + ["22222GA0010001"] * 20
    >>> keys = {"enrollee_id": people, "plan_id": plan, "csr_variant": ["01"] * 40, "metal_level": ["silver"] * 40}
    >>> risk = [0.4 + 0.02 * i for i in range(40)]
    >>> scores = pl.DataFrame({**keys, "risk_score": risk, "csr_factor": [1.0] * 40, "csr_adjusted_score": risk})
    >>> enrollees = pl.DataFrame({"enrollee_id": people, "birth_date": [day(1985, 1, 1)] * 40, "sex": ["F"] * 40})
    >>> spans = pl.DataFrame({**keys, "span_start": [day(2024, 1, 1)] * 40, "span_end": [day(2024, 12, 31)] * 40,
    ...     "rating_area_id": ["1"] * 40, "premium_monthly": [400.0] * 40})
    >>> plans = pl.DataFrame({"plan_id": ["11111GA0010001", "22222GA0010001"], "issuer_id": ["11111", "22222"],
    ...     "state": ["GA"] * 2, "market": ["individual"] * 2, "metal_level": ["silver"] * 2})
    >>> interval = bootstrap_transfers(scores, enrollees, spans, plans, benefit_year=2024, seed=7, draws=200)
    >>> row = interval.issuers.row(1, named=True)
    >>> row["issuer_id"], row["policies"], row["lower"] < float(row["transfer"]) < row["upper"]
    ('22222', 20, True)
    """
    import polars as pl

    _check_choices(seed, draws, level, resample, geographic_cost_factors)
    of_plan_risk, of_transfers = _split(settings)
    report = _report(scores, enrollees, spans, plans, benefit_year, gcf, of_plan_risk)
    settled = transfers(report.plan_rows, benefit_year=benefit_year, settings=of_transfers)
    policies = policy_sums(report.lines)
    strata = Strata.of_starts(_starts(policies.policies, RESAMPLE_CHOICES[resample]))
    pools = _pools(policies, settled, report, geographic_cost_factors == "held")
    results = settle_draws(policies, strata, pools, seed=int(seed), draws=int(draws))
    numbers = policies.policies.group_by(_ISSUER).agg(pl.len().cast(pl.Int64).alias("policies"))
    return Interval(
        issuers=_issuer_frame(settled, numbers, results, level),
        pools=_pool_frame(settled, numbers, results, level),
        draws=_draw_frame(settled, results),
        transfers=settled,
        plan_risk=report,
        warnings=_warnings(results),
        settings={
            "seed": int(seed),
            "draws": int(draws),
            "level": float(level),
            "resample": resample,
            "geographic_cost_factors": geographic_cost_factors,
        },
        benefit_year=benefit_year,
    )


def _check_choices(seed: object, draws: object, level: object, resample: object, gcf: object) -> None:
    for name, value, choices in (
        ("resample", resample, tuple(RESAMPLE_CHOICES)),
        ("geographic_cost_factors", gcf, GCF_CHOICES),
    ):
        if value not in choices:
            raise SettingRefused(
                f"`{name}` cannot be {value!r}", remedy="choose one of " + ", ".join(map(repr, choices))
            )
    for name, value, least, most in (("seed", seed, 0, 2**128 - 1), ("draws", draws, 2, MOST_DRAWS)):
        is_whole = hasattr(value, "__index__") and not isinstance(value, bool)
        if not is_whole or not least <= value.__index__() <= most:  # type: ignore[attr-defined]
            raise SettingRefused(f"`{name}` cannot be {value!r}", rule=f"a whole number from {least} to {most}")
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise SettingRefused(f"`level` cannot be {level!r}", rule="a share between 0 and 1", remedy="90 percent is 0.9")


def _split(settings: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the settings of plan risk and those of the settlement; month rule and decimals belong to both."""
    given, own = given_settings(settings), PlanRiskSettings.names()
    both = {"month_rule", "gcf_decimals"}
    first = {k: v for k, v in given.items() if k in own}
    return first, {k: v for k, v in given.items() if k not in own or k in both}


def _report(
    scores: Any, enrollees: Any, spans: Any, plans: Any, benefit_year: int, gcf: Any, settings: dict[str, Any]
) -> PlanRisk:
    """Return the plan averages: those handed in, or made from scores, enrollees, spans and plans."""
    if not isinstance(scores, PlanRisk):
        missing = [n for n, v in (("enrollees", enrollees), ("spans", spans), ("plans", plans)) if v is None]
        if missing:
            raise InputRefused(
                "scores alone say nothing of policies",
                where=", ".join(missing),
                remedy="hand in scores, enrollees, spans and plans, or the result of plan_risk_report",
            )
        return plan_risk_report(scores, enrollees, spans, plans, benefit_year=benefit_year, settings=settings, gcf=gcf)
    if any(given is not None for given in (enrollees, spans, plans, gcf)) or settings:
        raise SettingRefused(
            "plan averages were handed in, and what they are made from as well",
            remedy="hand in the result of plan_risk_report alone, made with its own settings and gcf",
        )
    if scores.benefit_year != benefit_year:
        raise SettingRefused(
            f"the plan averages are of {scores.benefit_year}, not of {benefit_year}", remedy="use one benefit year"
        )
    return scores


def _starts(frame: pl.DataFrame, columns: list[str]) -> Integers:
    """Return where each run of rows of the same columns begins, and the number of rows."""
    import polars as pl

    run = frame.select(pl.struct(columns).rle_id()).to_series().to_numpy()
    return np.searchsorted(run, np.arange(int(run[-1]) + 2)).astype(np.int64)


def _pools(policies: PolicySums, settled: Transfers, report: PlanRisk, is_held: bool) -> Pools:
    """Return what stays as it is in every draw, row by row as the policies have them."""
    import polars as pl

    rows = policies.rows
    assert rows.select(ROW_KEYS).equals(settled.plans.select(ROW_KEYS))  # both are all plan rows, sorted by key
    areas = rows.select("state", "risk_pool", "rating_area_id").unique().sort(pl.all()).with_row_index("area")
    on = ["state", "risk_pool", "rating_area_id"]
    origin = report.areas.select(*on, "origin")
    numbered = rows.join(areas, on=on, how="left", maintain_order="left", validate="m:1").join(
        origin, on=on, how="left", maintain_order="left", validate="m:1"
    )
    of_pool = pl.when(pl.col("risk_pool") == "catastrophic").then(pl.lit("catastrophic")).otherwise(pl.lit("silver"))
    sets_gcf = pl.col("metal_level") == of_pool
    first = _starts(rows, _POOL)
    pools = settled.pools.select(_POOL).with_row_index("pool")
    area_pool = areas.join(pools, on=_POOL, how="left", maintain_order="left", validate="m:1")
    return Pools(
        av=settled.plans["av"].to_numpy(),
        idf=settled.plans["idf"].to_numpy(),
        gcf=settled.plans["gcf"].fill_null(float("nan")).to_numpy(),
        first=first,
        issuer_first=_starts(rows, _ISSUER),
        admin_cost_reduction=settled.pools["admin_cost_reduction"].to_numpy(),
        state_reduction=settled.pools["state_reduction"].to_numpy(),
        area=numbered["area"].cast(pl.Int64).to_numpy(),
        sets_gcf=numbered.select(sets_gcf).to_series().to_numpy(),
        area_pool=area_pool["pool"].cast(pl.Int64).to_numpy(),
        is_held=numbered.select((pl.col("origin") == "given") | pl.lit(is_held)).to_series().to_numpy(),
    )


# ------------------------------------------------------------------------------------------------ what the draws say


def _quantiles(draws: Floats, level: float) -> tuple[list[float | None], list[float | None], list[float | None]]:
    """Return lower and upper end and standard error of each column, over the draws that could be settled."""
    lower, upper, error = [], [], []
    for column in draws.T:
        used = column[np.isfinite(column)]
        ends = np.quantile(used, [(1 - level) / 2, (1 + level) / 2]) if len(used) else (None, None)
        lower.append(None if ends[0] is None else float(ends[0]))
        upper.append(None if ends[1] is None else float(ends[1]))
        error.append(float(np.std(used, ddof=1)) if len(used) > 1 else None)
    return lower, upper, error


def _issuer_frame(settled: Transfers, numbers: pl.DataFrame, results: DrawResults, level: float) -> pl.DataFrame:
    import polars as pl

    draws = results.issuer_transfer
    used = np.isfinite(draws)
    lower, upper, error = _quantiles(draws, level)
    with np.errstate(invalid="ignore", divide="ignore"):
        lower_pmpm, upper_pmpm, _ = _quantiles(draws / results.issuer_months, level)
        mean = np.where(used, draws, 0.0).sum(axis=0) / used.sum(axis=0)
    cents = (settled.issuers["transfer"] * 100).cast(pl.Int64).to_numpy()
    with np.errstate(invalid="ignore"):
        has_turned = (np.rint(draws * 100) * np.sign(cents)[None, :] < 0) & used
        share = has_turned.sum(axis=0) / used.sum(axis=0)
    floats = {
        "mean_of_draws": mean.tolist(),
        "standard_error": error,
        "lower": lower,
        "upper": upper,
    }
    kept = settled.issuers.select(*_ISSUER, "billable_member_months", "transfer", "transfer_pmpm")
    return (
        kept.join(numbers, on=_ISSUER, how="left", maintain_order="left", validate="1:1")
        .with_columns(
            *(pl.Series(name, values, dtype=pl.Float64).fill_nan(None) for name, values in floats.items()),
            pl.Series("lower_pmpm", lower_pmpm, dtype=pl.Float64),
            pl.Series("upper_pmpm", upper_pmpm, dtype=pl.Float64),
            pl.Series("sign_change_share", share).fill_nan(None).set(pl.Series(cents == 0), None),
            pl.Series("draws_used", used.sum(axis=0).astype(np.int64)),
        )
        .select(
            *_ISSUER,
            "policies",
            "billable_member_months",
            "transfer",
            *floats,
            "transfer_pmpm",
            "lower_pmpm",
            "upper_pmpm",
            "sign_change_share",
            "draws_used",
        )
    )


def _pool_frame(settled: Transfers, numbers: pl.DataFrame, results: DrawResults, level: float) -> pl.DataFrame:
    import polars as pl

    figures = {
        "received": results.pool_moved,
        "average_premium": results.pool_premium,
        "mean_risk": results.pool_risk,
        "mean_allowable": results.pool_allowable,
    }
    of_pool = numbers.group_by(_POOL).agg(pl.col("policies").sum())
    frame = settled.pools.select(*_POOL, "billable_member_months", *figures).join(
        of_pool, on=_POOL, how="left", maintain_order="left", validate="1:1"
    )
    columns = [*_POOL, "policies", "billable_member_months"]
    for name, draws in figures.items():
        ends = _quantiles(draws, level)
        words = [f"{name}_{word}" for word in ("lower", "upper", "standard_error")]
        frame = frame.with_columns(pl.Series(w, v, dtype=pl.Float64) for w, v in zip(words, ends, strict=True))
        columns += [name, *words]
    used = np.isfinite(results.pool_moved).sum(axis=0).astype(np.int64)
    return frame.with_columns(pl.Series("draws_used", used)).select(*columns, "draws_used")


def _draw_frame(settled: Transfers, results: DrawResults) -> pl.DataFrame:
    import polars as pl

    draws, issuers = results.issuer_transfer.shape
    return settled.issuers.select(_ISSUER)[np.repeat(np.arange(issuers), draws)].with_columns(
        pl.Series("draw", np.tile(np.arange(1, draws + 1), issuers)),
        pl.Series("billable_member_months", results.issuer_months.T.ravel()),
        pl.Series("transfer", results.issuer_transfer.T.ravel()).fill_nan(None),
    )


def _warnings(results: DrawResults) -> tuple[str, ...]:
    found = []
    unsettled = int((~np.isfinite(results.pool_moved)).any(axis=1).sum())
    if unsettled:
        found.append(
            f"{unsettled} draws hold a risk pool without months, risk or premium: they are left out of its figures"
        )
    held = int((results.areas_without_plan > 0).sum())
    if held:
        found.append(
            f"{held} draws hold a rating area without a plan that sets its geographic cost factor: it kept the factor "
            "that it has without a draw"
        )
    return tuple(found)
