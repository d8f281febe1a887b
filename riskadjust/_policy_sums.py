"""Member lines added up by policy and plan row in whole numbers, to be added up again for policies that are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ROW_KEYS", "PlanSums", "PolicySums", "policy_sums"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

POOL_KEYS = ("state", "risk_pool")
ROW_KEYS = ("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id")
# Months in thirtieths, premium in cents x thirtieths, scores in ten-millionths (thousandths x ten-thousandths of the
# cost-sharing factor), rating factors in hundred-millionths (a family tier shared by three has no shorter decimal).
_DAYS, _CENTS, _SCORE, _MILLIONTHS, _FINER = 30, 100, 10**7, 10**6, 100
_LIMIT = 2.0**61
_AMOUNTS = ("months", "premium", "risk", "factor")


@dataclass(frozen=True, slots=True)
class PlanSums:
    """Sums of plan rows as floats, the last axis being the rows: the inputs of the transfer formula.

    Attributes
    ----------
    months, premium : array
        Billable member months; dollars.
    plrs, arf : array
        NaN where there are no billable months.
    """

    months: Floats
    premium: Floats
    plrs: Floats
    arf: Floats

    @classmethod
    def of_integers(cls, sums: Integers) -> PlanSums:
        """Return the sums of an integer array with the four columns of :class:`PolicySums` on its last axis."""
        thirtieths, premium, risk, factor = (sums[..., i] for i in range(4))
        with np.errstate(divide="ignore", invalid="ignore"):
            plrs = np.where(thirtieths > 0, risk / _SCORE / thirtieths, np.nan)
            arf = np.where(thirtieths > 0, factor / (_MILLIONTHS * _FINER) / thirtieths, np.nan)
        return cls(thirtieths / _DAYS, premium / (_DAYS * _CENTS), plrs, arf)


@dataclass(frozen=True, slots=True)
class PolicySums:
    """What every policy brings to every plan row.

    Attributes
    ----------
    rows : DataFrame
        Plan rows, sorted: state, risk_pool, issuer_id, plan_id, rating_area_id, metal_level.
    policies : DataFrame
        Policies, sorted: state, risk_pool, issuer_id, policy_id. A policy with plans in two pools is one of each.
    entry_policy : array
        The policy of each entry (a policy in a plan row), entries sorted by plan row.
    first : array
        Position of the first entry of each plan row, and the number of entries.
    amounts : array, 4 x entries
        Billable thirtieths of months, premium in cents x thirtieths, risk in thirtieths x ten-millionths of a score,
        rating factors in thirtieths x hundred-millionths.
    """

    rows: pl.DataFrame
    policies: pl.DataFrame
    entry_policy: Integers
    first: Integers
    amounts: Integers

    def sums(self, times: Integers | None = None) -> Integers:
        """Return the sums of the plan rows, rows x 4, each policy counted once or so many `times`."""
        found = np.empty((len(self.first) - 1, 4), np.int64)
        weights = None if times is None else times[self.entry_policy]
        for column, amounts in enumerate(self.amounts):
            weighed = amounts if weights is None else amounts * weights
            found[:, column] = np.add.reduceat(weighed, self.first[:-1])
        return found


def policy_sums(lines: pl.DataFrame) -> PolicySums:
    """Return what every policy of the lines of plan risk brings to every plan row, in whole numbers.

    Raises
    ------
    InputRefused
        Months, scores or premiums so large that they do not add up in 64 bits.
    """
    import polars as pl

    months = pl.col("month_thirtieths").cast(pl.Int64)
    billable_months = pl.when("billable").then(months).otherwise(0)
    score = pl.col("adjusted_score_ten_millionths").cast(pl.Int64)
    sharers = pl.col("rating_factor_shared_by").cast(pl.Int64)
    factor = (pl.col("rating_factor_millionths").cast(pl.Int64) * _FINER + sharers // 2) // sharers
    products = lines.select(
        *ROW_KEYS,
        "metal_level",
        "policy_id",
        billable_months.alias("months"),
        (pl.col("premium_cents").cast(pl.Int64) * months).alias("premium"),
        (score * months).alias("risk"),
        (factor * billable_months).alias("factor"),
    )
    _check_size(lines, products)
    entries = (
        products.group_by(*ROW_KEYS, "metal_level", "policy_id")
        .agg(pl.col(_AMOUNTS).sum())
        .sort(*ROW_KEYS, "metal_level", "policy_id")
    )
    rows = entries.select(*ROW_KEYS, "metal_level").unique(maintain_order=True)
    policy_keys = [*POOL_KEYS, "issuer_id", "policy_id"]
    policies = entries.select(policy_keys).unique().sort(policy_keys)
    numbered = entries.join(
        policies.with_row_index("policy"), on=policy_keys, how="left", maintain_order="left", validate="m:1"
    )
    row = entries.select(pl.struct(ROW_KEYS).rle_id()).to_series().to_numpy()
    first = np.searchsorted(row, np.arange(rows.height + 1)).astype(np.int64)
    amounts = np.stack([entries[c].to_numpy() for c in _AMOUNTS])
    return PolicySums(rows, policies, numbered["policy"].cast(pl.Int64).to_numpy(), first, amounts)


def _check_size(lines: pl.DataFrame, products: pl.DataFrame) -> None:
    """Refuse lines whose sums might leave 64 bits; checked on floats, which do not wrap."""
    months = lines["month_thirtieths"].to_numpy().astype(np.float64)
    largest = max(
        float(np.sum(months * lines[column].to_numpy().astype(np.float64))) * scale
        for column, scale in (
            ("premium_cents", 1),
            ("adjusted_score_ten_millionths", 1),
            ("rating_factor_millionths", _FINER),
        )
    )
    if largest > _LIMIT:
        raise InputRefused(
            f"the months, scores or premiums of {products.height} lines are too large to be added up exactly",
            where="spans, scores",
            rule="sums are kept in 64-bit whole numbers",
            remedy="check the units of premiums and scores",
        )
