"""State payment transfers: checked plan rows -> the formula -> cents of plans, issuers and risk pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs.errors import InputRefused
from riskadjust._default_charge import DefaultCharges, charge, read_charged, without_charged
from riskadjust._error_rates import error_rates
from riskadjust._findings import Findings
from riskadjust._refusals import LARGEST, Refusals, rule_text
from riskadjust._settled import Settled
from riskadjust._transfer_amounts import Rounding, shared_charges
from riskadjust._transfer_exact import ExactPools, settle_near_zero, slack
from riskadjust._transfer_formula import Settlement, settle
from riskadjust._transfer_frames import Shared, Work, issuer_frame, plan_frame, pool_frame
from riskadjust._transfer_rows import (
    MERGED_TABLE,
    METAL_TABLE,
    TABLE,
    PlanTable,
    key_columns,
    plan_table,
    read_plan_rows,
)
from riskadjust._transfer_settings import PARAMETER_TABLE, Parameters

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Transfers", "transfers"]


@dataclass(frozen=True, kw_only=True)
class Transfers(Settled):
    """The settlement of one benefit year, and all that was noticed on the way. Positive: received; negative: paid.

    Attributes
    ----------
    plans : DataFrame
        See :func:`transfers`.
    issuers, pools : DataFrame
        Totals, see :func:`transfers`.
    default_charges : DataFrame
        One row per charged issuer: months, premium, average_premium, share_of_average_premium, charge_pmpm, basis and
        default_charge; no rows where none was asked for.
    zero_month_plans : DataFrame
        The keys of plan rows without billable member months: out of every mean, transfer 0.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year : int
        The year that was settled.
    """

    plans: pl.DataFrame
    issuers: pl.DataFrame
    pools: pl.DataFrame
    default_charges: pl.DataFrame
    zero_month_plans: pl.DataFrame
    benefit_year: int

    def __repr__(self) -> str:
        return (
            f"Transfers(benefit_year={self.benefit_year}, plans={self.plans.height}, issuers={self.issuers.height}, "
            f"pools={self.pools.height}, findings={self.findings.height}, uncertain={self.uncertain.height})"
        )

    def market_totals(self) -> pl.DataFrame:
        """Return state, market, issuer_id, transfer: the risk pools of one market added, as issuer reports show it.

        The individual market is the metal pool and the catastrophic pool. Amounts are the rounded ones of the pools.
        Pools whose market is not known are left out.
        """
        import polars as pl

        keys = [c for c in ("state", "risk_pool") if c in self.issuers.columns]
        columns = [*[c for c in ("state",) if c in keys], "market", "issuer_id"]
        market = self.pools.select(*keys, "market")
        return (
            self.issuers.join(market, on=keys, how="left", validate="m:1", maintain_order="left")
            .filter(pl.col("market").is_not_null(), pl.col("transfer").is_not_null())
            .group_by(columns)
            .agg(pl.col("transfer").sum().cast(pl.Decimal(18, 2)))
            .sort(columns)
        )


def transfers(
    plan_rows: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    settings: Mapping[str, Any] | None = None,
    radv_error_rates: Mapping[str, Any] | pl.DataFrame | pl.LazyFrame | None = None,
    default_charges: pl.DataFrame | pl.LazyFrame | None = None,
) -> Transfers:
    """Return the state payment transfer of every plan, issuer and risk pool of a benefit year, to the cent.

    For the plan rows i of a risk pool: ``B = sum b``; ``P = sum PREM / B``; ``P' = P (1 - k)``; ``L = r d g``;
    ``R = a f d g``; ``Lbar = sum b L / B``; ``Rbar = sum b R / B``;
    ``t = (L / Lbar - R / Rbar) P' (1 - q)`` dollars per billable member month; ``T = t b`` dollars. b billable member
    months, PREM premium, r plan liability risk score, f allowable rating factor, a metal value, d induced demand
    factor, g geographic cost factor, k administrative cost reduction, q state reduction. A pool's T sum to zero.

    Parameters
    ----------
    plan_rows : DataFrame
        A row per risk_pool, issuer_id, plan_id and rating_area_id (text; and state where that column is given), with
        metal_level, billable_member_months, premium (dollars, before any tax credit, on the same month measure),
        plrs, arf, gcf. Optional: av and idf (blank: those of the metal level; expanded bronze settles as bronze),
        state, market (individual, small_group). A pool is a state and a risk_pool. Further columns are kept; blanks
        around keys are cut off.
    benefit_year : int
        The year whose parameters are used.
    settings : mapping, optional
        ``issuer_rounding``: ``unrounded_plans`` (default: issuers are sums of unrounded plans, rounded once) or
        ``rounded_plans``. ``cents_balance``: ``off`` (default: the residual stands with the pool) or
        ``largest_remainder`` (the missing cents go, one each, to the issuers whose rounding moved them furthest the
        other way). ``default_charge_source``: ``given`` or ``plans_at_hand``; ``default_charge_small_issuer``:
        ``off`` or ``premium_share``. ``month_rule`` and ``gcf_decimals`` are put down, and change nothing here. Any
        parameter by its name in ``transfers/program_parameters``, and ``state_reduction`` and
        ``default_charge_share``; ``riskadjust._transfer_settings.Parameters`` says which can differ by state and pool.
    radv_error_rates : mapping or DataFrame, optional
        issuer_id -> error rate e, or columns issuer_id, error_rate [, state, risk_pool]: ``r' = r (1 - e)`` before
        anything else, and the whole pool is settled with it.
    default_charges : DataFrame, optional
        risk_pool, issuer_id [, state], billable_member_months, and as needed premium, charge_pmpm D,
        share_of_average_premium p, takes_premium_share. ``charge = D b`` with ``D = P p``. Plan rows of these issuers
        in that pool are left out of every mean; the charge goes to the others by ``b L / sum b L``.

    Returns
    -------
    Transfers
        ``.plans``, sorted by key: the columns given, radv_error_rate, plrs_adjusted, risk L, allowable R, mean_risk,
        mean_allowable, average_premium P, net_average_premium P', risk_term L/Lbar, allowable_term R/Rbar,
        state_reduction q, transfer_pmpm t (blank without months), transfer_unrounded, transfer (Decimal), user_fee;
        with default charges default_charge_share_unrounded, default_charge_share, transfer_and_share (rounded once).
        ``.issuers``: months, premium, transfer, transfer_pmpm, user_fee, and where they apply default_charge,
        default_charge_share, transfer_and_share, payable_now and withheld (sequestration: timing of payments, not
        their size). ``.pools``: market, counts, B, premium, P, k, P', Lbar, Rbar, q, transfers_unrounded, received
        and residual (sum of the rounded issuers).

    Raises
    ------
    InputRefused
        Rows that break a rule TRF-001 to TRF-013 or TRF-030 to TRF-041, all named; a pool without months or with an
        average of zero.
    SettingRefused
        Unknown setting or value.
    TableMissing
        The year's parameters are neither held nor given.

    Notes
    -----
    Sources: 78 FR 15409 (2014 payment notice), 81 FR 94058 (2018 payment notice, k = 0.14), 45 CFR 153.320(d) (state
    reductions), 153.610(f) (user fee), 153.740(b) (default charge), 153.350 (validation). HHS's own rounding is not
    published. The user fee is due where HHS runs the program: for a state that ran its own, give
    ``ra_user_fee_pmpm = {state: 0}``.

    Examples
    --------
    Two silver plans that differ in risk alone: P = 400, Lbar = 1.08 x 1.03, t = (1.20 / 1.08 - 1) 400 = 44.44.

    >>> import polars as pl, riskadjust
    >>> rows = pl.DataFrame({"risk_pool": ["individual"] * 2, "issuer_id": ["11111", "22222"],
    ...     "plan_id": ["A", "B"], "rating_area_id": ["1", "1"], "metal_level": ["silver"] * 2,
    ...     "billable_member_months": [12000, 8000], "premium": [4_800_000, 3_200_000], "plrs": [1.2, 0.9],
    ...     "arf": [1.5, 1.5], "gcf": [1.0, 1.0]})
    >>> result = riskadjust.transfers(rows, benefit_year=2016)
    >>> [str(amount) for amount in result.issuers["transfer"]]
    ['533333.33', '-533333.33']
    """
    parameters, findings = Parameters(settings, benefit_year, "transfers"), Findings()
    rows = read_plan_rows(plan_rows)
    findings.table(TABLE, rows.height)
    position = np.arange(rows.height)
    charged = None if default_charges is None else read_charged(default_charges, rows)
    if charged is not None:
        rows, position = without_charged(rows, charged, findings)
        if rows.height == 0:
            raise InputRefused("no plan row is left to settle", where=TABLE, rule=rule_text("TRF-033"))
    table = plan_table(rows, position, parameters.benefit_year, findings)
    rates = error_rates(radv_error_rates, table, findings)
    work = _settled(table, rates, parameters)
    charges = None
    if charged is not None:
        charges = charge(charged, table, work.settlement, work.exact, parameters, findings)
    return _result(work, charges, parameters, findings)


def _settled(table: PlanTable, rates: list[Fraction | None], parameters: Parameters) -> Work:
    cuts = [k or Fraction(0) for k in parameters.by_pool("admin_cost_reduction", table.pools)]
    state_cuts = parameters.state_reductions(table.pools)
    kept = np.array([1.0 if e is None else float(1 - e) for e in rates])
    arrays = replace(table.arrays, plrs=table.arrays.plrs * kept)
    k, q = np.array([float(x) for x in cuts]), np.array([float(x) for x in state_cuts])
    settlement = settle(arrays, k, q)
    _check_pools(table, settlement)
    exact = ExactPools(table.arrays, rates, cuts, state_cuts)
    near = slack(arrays, settlement, k, q)
    settle_near_zero(settlement, near, exact)
    rounding = Rounding(
        table,
        parameters.choice("issuer_rounding") == "rounded_plans",
        parameters.choice("cents_balance") == "largest_remainder",
    )
    amounts = rounding.transfers(settlement.amount, near, exact)
    return Work(table, rates, arrays.plrs, settlement, exact, rounding, amounts, k, q)


def _check_pools(table: PlanTable, settlement: Settlement) -> None:
    """Refuse risk pools that have no months, or an average of which no transfer can be made."""
    refusals = Refusals(TABLE, table.row)
    counts = np.diff(table.arrays.first)
    empty = ~(settlement.pool_months > 0)
    averages = (
        ("premium", settlement.average_premium),
        ("plrs", settlement.mean_risk),
        ("arf", settlement.mean_allowable),
    )
    broken = [("TRF-011", "billable_member_months", empty)]
    broken += [("TRF-012", c, ~empty & ~((mean > 0) & (mean < LARGEST**2))) for c, mean in averages]
    for rule_id, column, pools in broken:
        names = [str(table.pools[i]) for i in np.flatnonzero(pools)[:3]]
        about = f" (risk pool {', '.join(names)}{' ...' if pools.sum() > 3 else ''})"
        refusals.add(rule_id, column, np.repeat(pools, counts), about)
    is_sound = ~np.logical_or.reduce([pools for _, _, pools in broken])
    too_large = ~(np.abs(settlement.amount) < LARGEST)
    refusals.add("TRF-012", "premium", too_large & np.repeat(is_sound, counts))
    refusals.check()


def _result(work: Work, charges: DefaultCharges | None, parameters: Parameters, findings: Findings) -> Transfers:
    table = work.table
    parameters.record_month_rule_and_decimals()
    shared = None
    if charges is not None:
        shared = Shared(charges, *shared_charges(work.rounding, work.amounts, work.exact, charges.pool_cents))
    fee_rates = parameters.by_pool("ra_user_fee_pmpm", table.pools, required=False)
    withheld = parameters.sequestration()
    issuers = issuer_frame(work, shared, fee_rates, withheld)
    _note_moves(work, issuers, parameters, findings)
    keys = [c for c in table.frame.columns if c in ("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id")]
    none = table.issuers.clear()
    return Transfers(
        plans=plan_frame(work, shared, fee_rates),
        issuers=issuers,
        pools=pool_frame(work, shared),
        default_charges=none if charges is None else charges.frame,
        zero_month_plans=table.frame.filter(~table.has_months).select(keys),
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        settings=parameters.frame(),
        uncertain=_uncertain(table, parameters),
        tables=sorted({PARAMETER_TABLE, METAL_TABLE, MERGED_TABLE}),
        benefit_year=parameters.benefit_year,
    )


def _uncertain(table: PlanTable, parameters: Parameters) -> pl.DataFrame:
    import polars as pl

    found = parameters.uncertain()
    lines = [(METAL_TABLE, level, "risk and allowable of plan rows", n) for level, n in table.uncertain_metals.items()]
    return pl.concat([found, pl.DataFrame(lines, schema=found.schema, orient="row")]) if lines else found


def _note_moves(work: Work, issuers: pl.DataFrame, parameters: Parameters, findings: Findings) -> None:
    """Put down which parameters moved what: one that is 0, or acts on nothing, moved nothing."""
    table = work.table
    counts = np.diff(table.arrays.first)
    moving = np.add.reduceat((work.amounts.plans != 0).astype(np.int64), table.arrays.first[:-1])
    rows = np.where(work.admin_cost_reduction > 0, moving, 0).tolist()
    parameters.moved_pools("admin_cost_reduction", "transfer of plan rows", rows)
    for pool, q, n in zip(table.pools, work.state_reduction.tolist(), moving.tolist(), strict=True):
        parameters.moved("state_reduction", "transfer of plan rows", n if q else 0, str(pool))
    names = {str(pool): i for i, pool in enumerate(table.pools)}
    fees = [0] * len(names)
    pool_of = zip(*(issuers[c].to_list() for c in key_columns(issuers)), strict=True)
    for name, fee in zip(pool_of, (issuers["user_fee"] != 0).to_list(), strict=True):
        fees[names[" ".join(name)]] += bool(fee)
    parameters.moved_pools("ra_user_fee_pmpm", "user_fee of issuers", fees)
    last = parameters.last_year_of_state_reductions()
    if last is not None and parameters.benefit_year > last:
        findings.note("TRF-026", TABLE, int(counts[work.state_reduction > 0].sum()))
