"""How a pool's money moves when it grows by one member month of an enrollee segment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._findings import Findings
from riskadjust._marginal_formula import Added, Moves, PoolShares, moves, pool_shares
from riskadjust._refusals import collected, number_columns, rule_text
from riskadjust._transfer_formula import PlanArrays
from riskadjust._transfer_rows import PLAN_KEYS, PlanTable, clean_keys, key_columns, plan_table, read_plan_rows
from riskadjust._transfer_settings import Parameters

if TYPE_CHECKING:
    import polars as pl

__all__ = ["marginal_revenue", "marginal_transfers"]

TABLE = "segments"
SEGMENT_COLUMNS = (
    "risk_pool",
    "plan_id",
    "rating_area_id",
    "segment",
    "adjusted_score",
    "rating_factor",
    "premium_per_member_month",
    "billable",
)
GCF_CHOICES = ("held", "moves")
_NUMBERS = ("adjusted_score", "rating_factor", "premium_per_member_month", "months")
_TERMS = ("premium_term", "risk_term", "rating_term", "geography_term")

Floats = NDArray[np.float64]


def marginal_transfers(
    plan_rows: pl.DataFrame | pl.LazyFrame,
    segments: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    geographic_cost_factors: str = "held",
    settings: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return how the transfer of every issuer moves per added member month of each enrollee segment.

    With ``A = b r d g`` and ``C = b a f d g`` of a plan row the pool's months cancel out of the transfer formula:
    ``T_I = S (A_I / sum A - C_I / sum C)``, ``S = (1 - k) (1 - q) sum PREM``. One member month of a segment in plan j
    of issuer J adds its premium p to ``sum PREM``, ``dA = score x d_j g_j`` to A and, when billable,
    ``dC = a_j x rating factor x d_j g_j`` to C. The derivative of T_I is exactly ::

        premium_term     S (p / sum PREM) (alpha_I - gamma_I)                alpha_I = A_I / sum A
        risk_term        S (dA / sum A) ([I = J] - alpha_I)                  gamma_I = C_I / sum C
        rating_term     -S (dC / sum C) ([I = J] - gamma_I)
        geography_term   S e ((alpha_Ik - alpha_I alpha_k) - (gamma_Ik - gamma_I gamma_k))

    The last one is 0 while the geographic cost factors are held. With ``"moves"`` the factor of the month's area k
    changes by ``e = du_k / sum_k u - db_k / sum_k b`` against all others, ``u = PREM / f`` of the plans that set it
    (silver plans; catastrophic ones in their pool); a change of all factors alike moves nothing.

    Parameters
    ----------
    plan_rows : DataFrame
        All plan rows of the pools, as for :func:`riskadjust.transfers`. A plan still to be sold stands there with 0
        months, its metal level and its gcf.
    segments : DataFrame
        [state,] risk_pool, [issuer_id,] plan_id, rating_area_id: the plan row that grows; segment (text);
        adjusted_score (risk score in the plan's metal level, after the cost-sharing factor); rating_factor (age or tier
        factor; may be blank when not billable); premium_per_member_month (dollars); billable (Boolean); optional:
        months (member months of the segment, 1 if not given). Other columns are dropped.
    benefit_year : int
        The year of the parameters k and q.
    geographic_cost_factors : {"held", "moves"}
        Whether the factors stay as given (default) or follow the premiums that set them.
    settings : mapping, optional
        As for :func:`riskadjust.transfers`; ``admin_cost_reduction`` and ``state_reduction`` are read.

    Returns
    -------
    DataFrame
        A row per segment and issuer of its pool, sorted: [state,] risk_pool, issuer_id, plan_id, rating_area_id,
        segment (whose month is added); transfer_issuer_id (whose transfer moves); months; transfer_per_member_month and
        its parts premium_term, risk_term, rating_term, geography_term (dollars per added member month; positive: that
        issuer receives more or pays less); transfer (dollars, times months). Over the issuers of a pool each sums to 0.
        Over all members of a pool ``transfer`` of an issuer sums to its transfer, because the formula is homogeneous: a
        pool grown by 1 percent throughout moves 1 percent more money.

    Raises
    ------
    InputRefused
        A plan row breaks its rules; a segment lacks a value, names no plan row, or stands twice.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Sources: 78 FR 15409 (2014 payment notice) and 81 FR 94058 (2018 payment notice) for the formula; the derivative is
    ours. It holds for small changes; for large ones use :func:`riskadjust.mix`.

    Examples
    --------
    Two silver plans, premium 400 a month in both, no administrative cost cut (2016). Plan A: 12,000 months of score
    1.2; plan B: 8,000 of 0.9; ``sum PREM`` is 8,000,000 and their risk is 14,400 : 7,200. A month of score 3.0 and the
    average rating factor in plan A brings by its premium 8,000,000 x 400/8,000,000 x (2/3 - 3/5) = 26.67, by its risk
    8,000,000 x 3.0/21,600 x (1 - 2/3) = 370.37, by its rating factor -8,000,000 x 1.5/30,000 x (1 - 3/5) = -160.

    >>> import polars as pl
    >>> plan_rows = pl.DataFrame({"risk_pool": "individual", "issuer_id": ["11111", "22222"], "plan_id": ["A", "B"],
    ...     "rating_area_id": "1", "metal_level": "silver", "billable_member_months": [12000, 8000],
    ...     "premium": [4_800_000, 3_200_000], "plrs": [1.2, 0.9], "arf": 1.5, "gcf": 1.0})
    >>> segments = pl.DataFrame({"risk_pool": ["individual"], "plan_id": ["A"], "rating_area_id": ["1"],
    ...     "segment": ["diabetes, 45-54"], "adjusted_score": [3.0], "rating_factor": [1.5],
    ...     "premium_per_member_month": [400.0], "billable": [True]})
    >>> moved = marginal_transfers(plan_rows, segments, benefit_year=2016)
    >>> [[round(x, 2) for x in row] for row in moved.select("premium_term", "risk_term", "rating_term").rows()]
    [[26.67, 370.37, -160.0], [-26.67, -370.37, 160.0]]
    """
    import polars as pl

    run = _Run.of(plan_rows, segments, benefit_year, geographic_cost_factors, settings, "marginal_transfers")
    pools, rows, issuers, terms = [], [], [], []
    for pool, chosen in run.by_pool():
        first, last = np.searchsorted(run.table.issuer_pool, [pool, pool + 1])
        found = run.moves(pool, chosen)
        pools.append(np.repeat(chosen, last - first))
        issuers.append(np.tile(np.arange(first, last), len(chosen)))
        rows.append(np.repeat(run.plan[chosen], last - first))
        terms.append(np.stack([found.premium, found.risk, found.rating, found.geography]).reshape(4, -1))
    position, by_cause = np.concatenate(pools), np.concatenate(terms, axis=1)
    months = run.months[position]
    total = by_cause.sum(axis=0)
    return (
        run.table.frame.select(run.keys)[np.concatenate(rows)]
        .with_columns(
            run.segments["segment"].gather(position),
            run.table.issuers["issuer_id"].gather(np.concatenate(issuers)).alias("transfer_issuer_id"),
            pl.Series("months", months),
            pl.Series("transfer_per_member_month", total),
            *(pl.Series(name, by_cause[i]) for i, name in enumerate(_TERMS)),
            pl.Series("transfer", total * months),
        )
        .sort([*run.keys, "segment", "transfer_issuer_id"])
    )


def marginal_revenue(
    plan_rows: pl.DataFrame | pl.LazyFrame,
    segments: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    geographic_cost_factors: str = "held",
    settings: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return what one more member month of each segment brings its own issuer: premium plus marginal transfer.

    ``revenue = premium + dT_J / d(month)``, J being the issuer of the segment's plan; compare it with the claims
    expected of the segment. Rows may be any cells, such as age x condition.

    Parameters
    ----------
    plan_rows, segments, benefit_year, geographic_cost_factors, settings
        As for :func:`marginal_transfers`; the setting ``ra_user_fee_pmpm`` is read too. Other columns of `segments` are
        kept, for example the claims expected.

    Returns
    -------
    DataFrame
        A row per segment, sorted by its key: the columns of `segments` (issuer_id filled in), months, then
        transfer_per_member_month with premium_term, risk_term, rating_term, geography_term; revenue_per_member_month
        (premium and transfer) and user_fee_per_member_month (0 or less; 0 for a month that is not billable; blank when
        no rate is held for the year). Dollars per member month.

    Raises
    ------
    InputRefused, SettingRefused
        As for :func:`marginal_transfers`.

    Examples
    --------
    Plan A has three quarters of the pool's months, and both plans have the pool's average risk and age. One more month
    with a score of 2.2: at 60 (rating factor 2.714) the premium already pays for more than that, and the transfer falls
    a little; at 25 (rating factor 1.004) it rises. By hand, with S = 0.86 x 18,000,000: risk S x 2.2/60,000 x (1 - 3/4)
    = 141.90; rating at 25 -S x 1.004/64,000 x (1 - 3/4) = -60.71; together 81.19. Average plans have no premium term.

    >>> import polars as pl
    >>> plan_rows = pl.DataFrame({"risk_pool": "individual", "issuer_id": ["11111", "22222"], "plan_id": ["A", "B"],
    ...     "rating_area_id": "1", "metal_level": "silver", "billable_member_months": [30000, 10000],
    ...     "premium": [13_500_000, 4_500_000], "plrs": 1.5, "arf": 1.6, "gcf": 1.0})
    >>> cells = pl.DataFrame({"risk_pool": "individual", "plan_id": "A", "rating_area_id": "1",
    ...     "segment": ["60, heart", "25, heart"], "adjusted_score": 2.2, "rating_factor": [2.714, 1.004],
    ...     "premium_per_member_month": [763.31, 282.38], "billable": True, "expected_claims": [650.0, 640.0]})
    >>> revenue = marginal_revenue(plan_rows, cells, benefit_year=2024)
    >>> [[round(x, 2) for x in row] for row in
    ...  revenue.select("expected_claims", "transfer_per_member_month", "revenue_per_member_month").rows()]
    [[640.0, 81.19, 363.57], [650.0, -22.21, 741.1]]
    """
    import polars as pl

    run = _Run.of(plan_rows, segments, benefit_year, geographic_cost_factors, settings, "marginal_revenue")
    terms = np.zeros((4, len(run.plan)))
    for pool, chosen in run.by_pool():
        found = run.moves(pool, chosen)
        own = run.issuer[chosen] - np.searchsorted(run.table.issuer_pool, pool)
        at = (np.arange(len(chosen)), own)
        terms[:, chosen] = [found.premium[at], found.risk[at], found.rating[at], found.geography[at]]
    total = terms.sum(axis=0)
    fees = run.parameters.by_pool("ra_user_fee_pmpm", run.table.pools, required=False)
    fee_of_pool = [None if fee is None else -float(fee) for fee in fees]
    fee = [fee_of_pool[pool] for pool in run.pool.tolist()]
    kept = [c for c in run.segments.columns if c not in run.keys and c != "months"]
    keyed = pl.concat([run.table.frame.select(run.keys)[run.plan], run.segments.select(kept)], how="horizontal")
    return keyed.with_columns(
        pl.Series("months", run.months),
        pl.Series("transfer_per_member_month", total),
        *(pl.Series(name, terms[i]) for i, name in enumerate(_TERMS)),
        pl.Series("revenue_per_member_month", run.premium + total),
        pl.when("billable")
        .then(pl.Series("fee", fee, dtype=pl.Float64))
        .otherwise(0.0)
        .alias("user_fee_per_member_month"),
    ).sort([*run.keys, "segment"])


@dataclass(frozen=True)
class _Run:
    """Checked plan rows and segments side by side; the arrays have one entry per segment."""

    table: PlanTable
    parameters: Parameters
    kept_share: Floats
    gcf_moves: bool
    segments: pl.DataFrame
    plan: NDArray[np.int64]
    pool: NDArray[np.int64]
    issuer: NDArray[np.int64]
    score: Floats
    rating_factor: Floats
    premium: Floats
    months: Floats
    is_billable: NDArray[np.bool_]

    @classmethod
    def of(
        cls,
        plan_rows: Any,
        segments: Any,
        benefit_year: int,
        geographic_cost_factors: str,
        settings: Mapping[str, Any] | None,
        reader: str,
    ) -> _Run:
        """Return a run whose inputs have been checked."""
        if geographic_cost_factors not in GCF_CHOICES:
            raise SettingRefused(
                f"`geographic_cost_factors` cannot be {geographic_cost_factors!r}",
                remedy="choose one of " + ", ".join(map(repr, GCF_CHOICES)),
            )
        parameters = Parameters(settings, benefit_year, reader)
        given = read_plan_rows(plan_rows)
        table = plan_table(given, np.arange(given.height), parameters.benefit_year, Findings())
        cuts = parameters.by_pool("admin_cost_reduction", table.pools)
        reductions = parameters.state_reductions(table.pools)
        kept = [(1 - float(k or 0)) * (1 - float(q)) for k, q in zip(cuts, reductions, strict=True)]
        frame = _read_segments(segments, table)
        plan = _plan_of_segments(frame, table)
        numbers = number_columns(frame, TABLE, _NUMBERS)
        run = cls(
            table=table,
            parameters=parameters,
            kept_share=np.array(kept),
            gcf_moves=geographic_cost_factors == "moves",
            segments=frame,
            plan=plan,
            pool=np.searchsorted(table.arrays.first, plan, side="right") - 1,
            issuer=np.searchsorted(table.issuer_first, plan, side="right") - 1,
            score=numbers["adjusted_score"],
            rating_factor=numbers["rating_factor"],
            premium=numbers["premium_per_member_month"],
            months=numbers["months"],
            is_billable=frame["billable"].fill_null(False).to_numpy(),
        )
        run._check_values()
        return run

    @property
    def keys(self) -> list[str]:
        """The columns that name a plan row."""
        return [*(c for c in ("state",) if c in self.table.frame.columns), *PLAN_KEYS]

    def by_pool(self) -> list[tuple[int, NDArray[np.int64]]]:
        """Return each risk pool that has segments, with their positions."""
        return [(pool, np.flatnonzero(self.pool == pool)) for pool in sorted(set(self.pool.tolist()))]

    def moves(self, pool: int, chosen: NDArray[np.int64]) -> Moves:
        """Return the derivative for some segments of one pool."""
        table = self.table
        a, b = table.arrays.first[pool : pool + 2]
        fields = {name: getattr(table.arrays, name)[a:b] for name in PlanArrays.__dataclass_fields__}
        plans = PlanArrays(**{**fields, "first": np.array([0, b - a])})
        issuer = np.searchsorted(table.issuer_first, np.arange(a, b), side="right") - 1
        issuer -= issuer[0]
        area = table.frame["rating_area_id"][int(a) : int(b)].rank("dense").to_numpy().astype(np.int64) - 1
        level = table.frame["metal_level"][int(a) : int(b)].str.strip_chars().str.to_lowercase()
        sets_gcf = level.is_in(["silver", "catastrophic"]).to_numpy()
        shares = pool_shares(plans, issuer, area, sets_gcf, float(self.kept_share[pool]))
        if not (shares.premium > 0 and shares.risk > 0 and shares.allowable > 0):
            rule_id = "TRF-012" if (plans.months > 0).any() else "TRF-011"
            raise InputRefused(
                f"the risk pool {table.pools[pool]} cannot be settled",
                where="plan_rows",
                rule=rule_text(rule_id),
                remedy="hand in all plan rows of the pool",
            )
        added = self._added(plans, shares, issuer, area, sets_gcf, chosen, self.plan[chosen] - a)
        return moves(shares, added, gcf_moves=self.gcf_moves)

    def _added(
        self,
        plans: PlanArrays,
        shares: PoolShares,
        issuer: NDArray[np.int64],
        area: NDArray[np.int64],
        sets_gcf: NDArray[np.bool_],
        chosen: NDArray[np.int64],
        j: NDArray[np.int64],
    ) -> Added:
        billable = self.is_billable[chosen]
        factor = np.where(billable, self.rating_factor[chosen], 0.0)
        common = plans.idf[j] * plans.gcf[j]
        standard = np.zeros(len(j))
        sets = sets_gcf[j] if self.gcf_moves else np.zeros(len(j), bool)
        if sets.any():
            self._check_areas(shares, area[j], sets, chosen)
            standard[sets] = _standard_premium_added(
                plans, j[sets], self.premium[chosen][sets], factor[sets], billable[sets]
            )
        return Added(
            issuer=issuer[j],
            area=area[j],
            risk=self.score[chosen] * common,
            allowable=plans.av[j] * factor * common,
            premium=self.premium[chosen],
            standard_premium=standard,
            standard_months=(sets & billable).astype(np.float64),
        )

    def _check_areas(
        self, shares: PoolShares, area: NDArray[np.int64], sets: NDArray[np.bool_], chosen: NDArray[np.int64]
    ) -> None:
        """Refuse segments of areas whose factor no premium sets so far: there is nothing that could move."""
        broken = np.zeros(len(self.plan), bool)
        broken[chosen] = sets & ~((shares.standard_premium[area] > 0) & (shares.standard_months[area] > 0))
        _refuse("TRF-067", "rating_area_id", broken, 'use geographic_cost_factors="held"')

    def _check_values(self) -> None:
        def outside(values: Floats) -> NDArray[np.bool_]:
            return ~(np.isfinite(values) & (values >= 0))

        mend = "mend the segment"
        _refuse("TRF-062", "adjusted_score", outside(self.score), mend)
        _refuse("TRF-062", "premium_per_member_month", outside(self.premium), mend)
        _refuse("TRF-062", "months", outside(self.months), mend)
        needed = self.is_billable | ~np.isnan(self.rating_factor)
        factor_wrong = needed & (outside(self.rating_factor) | (self.rating_factor == 0))
        _refuse("TRF-063", "rating_factor", factor_wrong, mend)
        _refuse("TRF-062", "billable", self.segments["billable"].is_null().to_numpy(), mend)
        is_new = ~self.table.has_months[self.plan]
        no_factor = is_new & np.isnan(self.table.arrays.gcf[self.plan])
        _refuse("TRF-065", "rating_area_id", no_factor, "give the plan row its gcf")
        _refuse("TRF-066", "billable", is_new & ~self.is_billable, "add its billable members first")


def _standard_premium_added(
    plans: PlanArrays, j: NDArray[np.int64], premium: Floats, factor: Floats, billable: NDArray[np.bool_]
) -> Floats:
    """Return by how much ``PREM / f = PREM b / sum(b f)`` of plan j grows with the month."""
    months, arf = plans.months[j], plans.arf[j]
    is_new = months == 0
    with np.errstate(divide="ignore", invalid="ignore"):
        average = plans.premium[j] / months
        grown = premium / arf + np.where(billable, average / arf * (1.0 - factor / arf), 0.0)
        alone = premium / factor
    return np.where(is_new, alone, grown)


def _read_segments(given: Any, table: PlanTable) -> pl.DataFrame:
    """Return segments collected, ids as text, with a column months."""
    import polars as pl

    pool_keys = key_columns(table.frame)
    frame = collected(given, TABLE, (*pool_keys, *(c for c in SEGMENT_COLUMNS if c not in pool_keys)))
    if "state" in frame.columns and "state" not in pool_keys:
        raise InputRefused(
            "segments name a state, and the plan rows do not",
            where="plan_rows",
            remedy="add the column state to the plan rows, or drop it from the segments",
        )
    if frame["billable"].dtype != pl.Boolean:
        raise InputRefused(
            f"column 'billable' is {frame['billable'].dtype}, not Boolean",
            where=f"{TABLE}, column billable",
            rule="FILE-002: a required column has its declared type",
            remedy="use true and false",
        )
    ids = [c for c in (*pool_keys, "issuer_id", "plan_id", "rating_area_id", "segment") if c in frame.columns]
    frame = frame.with_columns(_frames.text_column(frame, TABLE, c) for c in ids)
    frame = frame.with_columns(clean_keys(frame, ids))
    if "months" not in frame.columns:
        frame = frame.with_columns(pl.lit(1.0).alias("months"))
    blank = frame.select(pl.any_horizontal(pl.col(ids).is_null())).to_series().to_numpy()
    _refuse("TRF-060", " + ".join(ids), blank, "fill in the key")
    _refuse("TRF-061", " + ".join(ids), frame.select(ids).is_duplicated().to_numpy(), "name segments apart")
    return frame


def _plan_of_segments(frame: pl.DataFrame, table: PlanTable) -> NDArray[np.int64]:
    """Return the plan row of each segment."""
    import polars as pl

    on = [c for c in ("state", *PLAN_KEYS) if c in frame.columns and c in table.frame.columns]
    named = table.frame.select(*on, pl.int_range(pl.len(), dtype=pl.Int64).alias("_plan"))
    found = frame.select(*on, pl.int_range(pl.len()).alias("_segment")).join(
        named, on=on, how="left", maintain_order="left_right"
    )
    several = found["_segment"].is_duplicated()
    ambiguous = np.isin(np.arange(frame.height), found.filter(several)["_segment"].to_numpy())
    _refuse("TRF-064", " + ".join(on), ambiguous, "add issuer_id to the segments")
    missing = found["_plan"].is_null().to_numpy()
    _refuse("TRF-064", " + ".join(on), missing, "add the plan row (with 0 months if the plan is new)")
    return found["_plan"].to_numpy()


def _refuse(rule_id: str, column: str, broken: NDArray[np.bool_], remedy: str) -> None:
    """Refuse segments if any of them breaks a rule."""
    rows = (np.flatnonzero(broken) + 1).tolist()
    if not rows:
        return
    shown = ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
    raise InputRefused(
        f"{len(rows)} row{'s' if len(rows) > 1 else ''} of segments cannot be used",
        where=f"{TABLE} (first row is 1): column {column}, row{'s' if len(rows) > 1 else ''} {shown}",
        rule=rule_text(rule_id),
        remedy=remedy,
    )
