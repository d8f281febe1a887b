"""Transfers in a few numbers: the figures that the command prints and the page shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._suppression import SMALLEST_SHOWN, hidden_cells

if TYPE_CHECKING:
    from poolwise.report._settlement import Settlement
    from riskadjust import Transfers

__all__ = [
    "IssuerLine",
    "PoolFigures",
    "dollars",
    "hidden_issuers",
    "is_too_small",
    "mix_table",
    "of_pool",
    "pool_figures",
    "pool_keys",
    "pool_name",
]

_BASE = "base"
# What an issuer receives or pays in all, the last word first.
_AMOUNTS = ("transfer_and_share", "default_charge", "transfer")
# Days of the longest year over 30: the most months that one person can have.
_MOST_MONTHS_OF_A_PERSON = 12.2


@dataclass(frozen=True)
class IssuerLine:
    """One issuer in one risk pool.

    Attributes
    ----------
    issuer_id : str
        As the plan rows have it.
    months : float
        Billable member months.
    premium : float or None
        Dollars earned; None where a charged issuer's was not given.
    average_score : float or None
        Plan liability risk scores, as settled, weighted by billable member months.
    transfer : Decimal
        Dollars; positive is received. With its share of default charges, or the charge itself, where there are any.
    per_month : float or None
        Dollars per billable member month.
    """

    issuer_id: str
    months: float
    premium: float | None
    average_score: float | None
    transfer: Decimal
    per_month: float | None


@dataclass(frozen=True)
class PoolFigures:
    """One risk pool: its row of ``Transfers.pools`` and its issuers, those that receive most first."""

    state: str | None
    risk_pool: str
    row: dict[str, Any]
    issuers: list[IssuerLine]
    average_score: float | None

    @property
    def residual(self) -> Decimal:
        """Return what the issuers' amounts sum to: the cents that rounding leaves over."""
        amount: Decimal = self.row.get("residual_with_shares", self.row["residual"])
        return amount

    @property
    def has_charges(self) -> bool:
        """Return whether an issuer of the pool has a default charge."""
        return bool(self.row.get("default_charges"))

    @property
    def name(self) -> str:
        """Return the name of the pool as people say it."""
        return pool_name(self.state, self.risk_pool)


def pool_keys(frame: pl.DataFrame) -> list[str]:
    """Return the columns that name a risk pool in a frame: state where it is given, and risk_pool."""
    return [c for c in ("state", "risk_pool") if c in frame.columns]


def pool_name(state: str | None, risk_pool: str) -> str:
    """Return the name of a pool in words.

    Examples
    --------
    >>> pool_name("OH", "small_group"), pool_name(None, "Pool 7")
    ('OH small group', 'Pool 7')
    """
    return " ".join(filter(None, (state, risk_pool.replace("_", " "))))


def pool_figures(result: Transfers) -> list[PoolFigures]:
    """Return the risk pools of a settlement with their issuers: by state, the largest first."""
    keys = pool_keys(result.pools)
    scores = _average_scores(result.plans, [*keys, "issuer_id"])
    pool_scores = _average_scores(result.plans, keys)
    issuers: dict[tuple[str | None, ...], list[IssuerLine]] = {}
    for row in result.issuers.rows(named=True):
        key = tuple(row[k] for k in keys)
        amount = next(row[c] for c in _AMOUNTS if row.get(c) is not None)
        line = IssuerLine(
            issuer_id=row["issuer_id"],
            months=row["billable_member_months"],
            premium=row["premium"],
            average_score=scores.get((*key, row["issuer_id"])),
            transfer=amount,
            per_month=float(amount) / row["billable_member_months"] if row["billable_member_months"] else None,
        )
        issuers.setdefault(key, []).append(line)
    pools = [
        PoolFigures(
            state=row.get("state"),
            risk_pool=row["risk_pool"],
            row=row,
            issuers=sorted(issuers.get(key, []), key=lambda i: (-i.transfer, i.issuer_id)),
            average_score=pool_scores.get(key),
        )
        for row in result.pools.rows(named=True)
        for key in [tuple(row[k] for k in keys)]
    ]
    return sorted(pools, key=lambda p: (p.state or "", -p.row["billable_member_months"], p.risk_pool))


def _average_scores(plans: pl.DataFrame, keys: Sequence[str]) -> dict[tuple[Any, ...], float]:
    """Return the mean risk score by key, weighted by months; sums are correctly rounded, so that order is nothing."""
    months, products = _grouped(plans, keys)
    return {key: math.fsum(products[key]) / math.fsum(months[key]) for key in months if math.fsum(months[key]) > 0}


def _grouped(plans: pl.DataFrame, keys: Sequence[str]) -> tuple[dict[Any, list[float]], dict[Any, list[float]]]:
    columns = [*keys, "billable_member_months", "plrs_adjusted"]
    months: dict[Any, list[float]] = {}
    products: dict[Any, list[float]] = {}
    for *key, month, score in plans.select(columns).rows():
        months.setdefault(tuple(key), []).append(float(month))
        products.setdefault(tuple(key), []).append(float(month) * float(score) if month else 0.0)
    return months, products


def of_pool(frame: pl.DataFrame, pool: PoolFigures) -> pl.DataFrame:
    """Return the rows of a frame that belong to a risk pool."""
    if "state" in frame.columns:
        frame = frame.filter(pl.col("state") == pool.state)
    return frame.filter(pl.col("risk_pool") == pool.risk_pool)


def mix_table(
    settlement: Settlement, pool: PoolFigures, chosen: Sequence[str] | None = None
) -> tuple[list[str], list[tuple[str, list[Decimal | None]]]]:
    """Return the mixes, and for each issuer of a pool its transfer as it is and under each of them.

    Issuers stand in the order of the pool; one that only a mix brings in comes last. None: the mix leaves the pool
    unsettled, or the issuer out of it. Without `chosen` all mixes are taken.
    """
    if settlement.mixes is None:
        return [], []
    rows = of_pool(settlement.mixes.issuers, pool)
    amounts: dict[tuple[str, str], Decimal | None] = {
        (mix, issuer): amount for mix, issuer, amount in rows.select("mix", "issuer_id", "transfer").rows()
    }
    mixes = [m for m in dict.fromkeys(rows["mix"].to_list()) if m != _BASE and (chosen is None or m in chosen)]
    known = [i.issuer_id for i in pool.issuers]
    issuers = known + [i for i in dict.fromkeys(issuer for _, issuer in amounts) if i not in known]
    return mixes, [(issuer, [amounts.get((mix, issuer)) for mix in (_BASE, *mixes)]) for issuer in issuers]


def hidden_issuers(issuers: Iterable[IssuerLine]) -> list[bool]:
    """Return which issuers of a pool a page that is shared does not show, in the order given.

    Months stand in for people, whom plan rows do not count: an issuer with M member months has at least M / 12.2
    people. Issuers that may have fewer than 11 people are hidden, and what would reveal them by subtraction: transfers
    of a pool sum to zero.
    """
    return hidden_cells([_people_at_least(i.months) for i in issuers])


def is_too_small(pool: PoolFigures) -> bool:
    """Return whether a pool as a whole may hold fewer than 11 people."""
    return _people_at_least(pool.row["billable_member_months"]) < SMALLEST_SHOWN


def _people_at_least(months: float) -> int:
    return math.ceil(months / _MOST_MONTHS_OF_A_PERSON)


def dollars(amount: Decimal | float | None) -> str:
    """Return an amount to the cent, with a true minus sign.

    Examples
    --------
    >>> dollars(Decimal("-1234.5")), dollars(None)
    ('−1,234.50', 'none')
    """
    if amount is None:
        return "none"
    text = f"{abs(amount):,.2f}"
    return f"−{text}" if amount < 0 and text.strip("0.,") else text
