"""Default charges: what an issuer pays whose data cannot be used, and who receives it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust._cents import as_money, cents_of, exact, exact_on_grid
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns
from riskadjust._transfer_exact import ExactPools
from riskadjust._transfer_rows import clean_keys, key_columns

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._transfer_formula import Settlement
    from riskadjust._transfer_rows import PlanTable
    from riskadjust._transfer_settings import Parameters

__all__ = ["Charged", "DefaultCharges", "charge", "read_charged", "without_charged"]

TABLE = "default_charges"
_COLUMNS = ("risk_pool", "issuer_id", "billable_member_months")
_OPTIONAL = ("premium", "charge_pmpm", "share_of_average_premium")


@dataclass(frozen=True)
class Charged:
    """The issuers to be charged, sorted by [state,] risk_pool, issuer_id; numbers NaN where not given."""

    keys: pl.DataFrame
    row: np.ndarray
    months: np.ndarray
    premium: np.ndarray
    charge_pmpm: np.ndarray
    share: np.ndarray
    takes_premium_share: list[bool | None]


@dataclass(frozen=True)
class DefaultCharges:
    """The charges of one run.

    Attributes
    ----------
    frame : DataFrame
        [state,] risk_pool, issuer_id, billable_member_months, premium, average_premium, share_of_average_premium,
        charge_pmpm, basis, default_charge (Decimal, below zero: it is paid).
    pools : list of int
        The number of the risk pool of each row.
    pool_cents : dict
        Number of the risk pool -> what its other issuers receive, in cents.
    """

    frame: pl.DataFrame
    pools: list[int]
    pool_cents: dict[int, int]


def read_charged(given: Any, plans: pl.DataFrame) -> Charged:
    """Return the issuers to be charged, checked.

    Raises
    ------
    InputRefused
        Rules TRF-030 to TRF-032 and TRF-037, a missing column, or risk pools named otherwise than in the plan rows.
    """
    columns = [*key_columns(plans), "issuer_id"]
    frame = collected(given, TABLE, (*[c for c in columns if c not in _COLUMNS], *_COLUMNS))
    keys = frame.select(_frames.text_column(frame, TABLE, c) for c in columns)
    keys = keys.with_columns(clean_keys(keys, columns))
    order = keys.select(_order(columns)).to_series().to_numpy().astype(np.int64)
    frame, keys = frame[order], keys[order]
    refusals = Refusals(TABLE, order)
    for column in columns:
        refusals.add("TRF-030", column, (keys[column].is_null() | (keys[column] == "")).fill_null(True).to_numpy())
    refusals.add("TRF-030", " + ".join(columns), keys.is_duplicated().to_numpy())
    months = number_columns(frame, TABLE, ["billable_member_months"])["billable_member_months"]
    refusals.add("TRF-031", "billable_member_months", ~((months >= 0) & (months < LARGEST)))
    numbers = {}
    for column, rule_id in zip(_OPTIONAL, ("TRF-032", "TRF-037", "TRF-037"), strict=True):
        values = np.full(frame.height, np.nan)
        if column in frame.columns:
            values = number_columns(frame, TABLE, [column])[column]
            refusals.add(
                rule_id, column, frame[column].is_not_null().to_numpy() & ~((values >= 0) & (values < LARGEST))
            )
        numbers[column] = values
    takes = _booleans(frame, "takes_premium_share")
    refusals.check()
    return Charged(
        keys, order, months, numbers["premium"], numbers["charge_pmpm"], numbers["share_of_average_premium"], takes
    )


def _order(columns: list[str]) -> pl.Expr:
    import polars as pl

    return pl.arg_sort_by(columns, nulls_last=True, maintain_order=True)


def _booleans(frame: pl.DataFrame, column: str) -> list[bool | None]:
    import polars as pl

    if column not in frame.columns:
        return [None] * frame.height
    if frame[column].dtype not in (pl.Boolean, pl.Null):
        raise InputRefused(
            f"column {column!r} is {frame[column].dtype}, not true or false",
            where=f"{TABLE}, column {column}",
            rule="FILE-002: a required column has its declared type",
            remedy="cast it to Boolean",
        )
    return frame[column].to_list()


def without_charged(plans: pl.DataFrame, charged: Charged, findings: Findings) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the plan rows of the other issuers and where they stood; those of charged issuers are counted out."""
    import polars as pl

    columns = charged.keys.columns
    is_out = plans.select(pl.struct(columns).is_in(charged.keys.to_struct().implode()).alias("out")).to_series()
    findings.refuse("TRF-028", "plan_rows", plans.filter(is_out))
    return plans.filter(~is_out), np.flatnonzero(~is_out.to_numpy())


def charge(
    charged: Charged,
    table: PlanTable,
    settled: Settlement,
    pools: ExactPools,
    parameters: Parameters,
    findings: Findings,
) -> DefaultCharges:
    """Return the default charge of each charged issuer.

    ``charge = D b``, ``D = P p``: P the average premium of the risk pool, p the share that the national percentile
    of absolute plan transfers per member month has of it. D comes from charge_pmpm, else p from
    share_of_average_premium, else from the setting ``default_charge_share``, else, where
    ``default_charge_source = plans_at_hand``, from the plans of this run. A small issuer that takes it pays
    ``rate x premium`` instead. Rounded to cents, halves away from zero.

    Notes
    -----
    Source: 45 CFR 153.740(b); payment notices 2015-2017.
    """
    findings.table(TABLE, charged.keys.height)
    numbers = {(p.state, p.risk_pool): i for i, p in enumerate(table.pools)}
    names = charged.keys.select(key_columns(charged.keys)).rows()
    pool = [numbers.get(name if len(name) == 2 else (None, *name), -1) for name in names]
    refusals = Refusals(TABLE, charged.row)
    refusals.add("TRF-033", "risk_pool", np.array(pool) < 0)
    refusals.check()
    small = _small_issuers(charged, table, parameters, refusals)
    shares = _shares(charged, small, pool, table, settled, parameters, findings)
    by_share = [
        s is None and math.isnan(d) and not is_small
        for s, d, is_small in zip(shares, charged.charge_pmpm.tolist(), small, strict=True)
    ]
    refusals.add("TRF-034", "share_of_average_premium", np.array(by_share))
    refusals.check()
    rate = parameters.required("default_charge_small_issuer_rate") if any(small) else Fraction(0)
    lines, pool_cents = [], dict.fromkeys(pool, 0)
    for i, number in enumerate(pool):
        average = pools.pool(number).average_premium
        if small[i]:
            basis, monthly, share = "share of own premium", None, None
            amount = rate * exact_on_grid(charged.premium[i], 3000)
        else:
            basis, monthly, share = _monthly(charged, i, shares[i], average)
            amount = monthly * exact_on_grid(charged.months[i], 30)
        cents = cents_of(amount)
        pool_cents[number] += cents
        lines.append((average, share, monthly, basis, -cents))
    for name in ("default_charge_small_issuer_bmm", "default_charge_small_issuer_rate"):
        parameters.moved(name, "default_charge", sum(small))
    return DefaultCharges(_frame(charged, lines), pool, pool_cents)


def _monthly(
    charged: Charged, i: int, share: Fraction | None, average: Fraction
) -> tuple[str, Fraction, Fraction | None]:
    if not math.isnan(charged.charge_pmpm[i]):
        return "charge_pmpm given", exact(charged.charge_pmpm[i]), None
    assert share is not None
    given = not math.isnan(charged.share[i])
    basis = "share of the average premium, " + ("given with the issuer" if given else "of the settings")
    return basis, average * share, share


def _small_issuers(charged: Charged, table: PlanTable, parameters: Parameters, refusals: Refusals) -> list[bool]:
    """Return who pays a share of its own premium: small over the whole state, and takes it."""
    by_setting = parameters.choice("default_charge_small_issuer") == "premium_share"
    wanted = [by_setting if takes is None else takes for takes in charged.takes_premium_share]
    if not any(wanted):
        return wanted
    limit = parameters.required("default_charge_small_issuer_bmm")
    columns = [c for c in ("state", "issuer_id") if c in charged.keys.columns]
    months: dict[tuple[str, ...], Fraction] = {}
    own = charged.keys.select(columns).rows()
    others = table.frame.select(columns).rows()
    given = [*charged.months.tolist(), *table.arrays.months.tolist()]
    for issuer, b in zip([*own, *others], given, strict=True):
        months[issuer] = months.get(issuer, Fraction(0)) + exact_on_grid(b, 30)
    is_small = [months[issuer] <= limit for issuer in own]
    too_large = [takes is True and not s for takes, s in zip(charged.takes_premium_share, is_small, strict=True)]
    refusals.add("TRF-035", "takes_premium_share", np.array(too_large))
    small = [w and s for w, s in zip(wanted, is_small, strict=True)]
    refusals.add("TRF-032", "premium", np.array(small) & np.isnan(charged.premium))
    refusals.check()
    return small


def _shares(
    charged: Charged,
    small: list[bool],
    pool: list[int],
    table: PlanTable,
    settled: Settlement,
    parameters: Parameters,
    findings: Findings,
) -> list[Fraction | None]:
    """Return p of each issuer, None where nothing says it."""
    own = [None if math.isnan(p) else exact(p) for p in charged.share.tolist()]
    source = parameters.choice("default_charge_source")
    of_setting = parameters.by_pool("default_charge_share", table.pools, required=False)
    shares = [p if p is not None else of_setting[number] for p, number in zip(own, pool, strict=True)]
    open_ = [i for i, p in enumerate(shares) if p is None and not small[i] and math.isnan(charged.charge_pmpm[i])]
    if source == "given" or not open_:
        return shares
    share = exact(percentile_share(table, settled, parameters.required("default_charge_percentile")))
    parameters.moved("default_charge_percentile", "default_charge", len(open_))
    findings.note("TRF-036", TABLE, len(open_))
    return [share if i in open_ else p for i, p in enumerate(shares)]


def percentile_share(table: PlanTable, settled: Settlement, percentile: Fraction) -> float:
    """Return the percentile of absolute plan transfers per member month as a share of their pool's average premium.

    The smallest share that at least so many of the plans with months do not exceed (each plan row counts once).
    """
    counts = np.diff(table.arrays.first)
    present = table.has_months
    shares = np.sort(np.abs(settled.per_member_month / np.repeat(settled.average_premium, counts))[present])
    rank = math.ceil(percentile * len(shares))
    return float(shares[max(rank, 1) - 1])


def _frame(charged: Charged, lines: list[tuple[Any, ...]]) -> pl.DataFrame:
    import polars as pl

    average, share, monthly, basis, cents = (list(column) for column in zip(*lines, strict=True))

    def floats(name: str, values: list[Fraction | None]) -> pl.Series:
        return pl.Series(name, [None if v is None else float(v) for v in values], dtype=pl.Float64)

    frame = charged.keys.with_columns(
        pl.Series("billable_member_months", charged.months),
        pl.Series("premium", charged.premium, nan_to_null=True),
        floats("average_premium", average),
        floats("share_of_average_premium", share),
        floats("charge_pmpm", monthly),
        pl.Series("basis", basis, dtype=pl.String),
        pl.Series("default_charge", cents, dtype=pl.Int64),
    )
    return as_money(frame, "default_charge")
