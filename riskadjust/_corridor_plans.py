"""The risk corridor amounts of issuers shared over their plans by premium, to the cent."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from riskadjust._cents import as_money, balanced, cents_of, exact
from riskadjust._findings import Findings
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ISSUERS", "ISSUER_KEYS", "Owed", "keyed_frame", "plan_frame"]

ISSUERS, PLANS = "issuers", "plans"
ISSUER_KEYS = ("state", "market", "issuer_id")


def keyed_frame(given: Any, table: str, columns: tuple[str, ...], keys: tuple[str, ...], rule_id: str) -> pl.DataFrame:
    """Return a frame whose key columns are text without blanks around, each key once."""
    import polars as pl

    frame = collected(given, table, (*keys, *columns)).select(pl.exclude("^_.*$"))
    frame = frame.with_columns(_frames.text_column(frame, table, c).str.strip_chars() for c in keys)
    refusals = Refusals(table)
    for column in keys:
        refusals.add(rule_id, column, frame.select(pl.col(column).fill_null("") == "").to_series().to_numpy())
    refusals.add(rule_id, " + ".join(keys), frame.select(keys).is_duplicated().to_numpy())
    refusals.check()
    return frame


@dataclass(frozen=True)
class Owed:
    """What each issuer is owed and paid, in their order, with its premium."""

    owed: list[Fraction]
    paid: list[Fraction]
    premium: list[Fraction | None]


def plan_frame(given: Any, issuers: pl.DataFrame, owed: Owed, findings: Findings) -> pl.DataFrame:
    """Return the amounts of issuers shared over their plans by premium, each to the cent; no rows without plans."""
    import polars as pl

    keys = tuple(c for c in ISSUER_KEYS if c in issuers.columns)
    money = ("premium", "corridor", "corridor_paid")
    schema: dict[str, Any] = dict.fromkeys((*keys, "plan_id"), pl.String) | dict.fromkeys(money, pl.Int64)
    if given is None:
        return as_money(pl.DataFrame(schema=schema), *money)
    frame = keyed_frame(given, PLANS, ("premium",), (*keys, "plan_id"), "COR-007")
    frame = frame.with_row_index("_row").sort(*keys, "plan_id")
    findings.table(PLANS, frame.height)
    place = {key: i for i, key in enumerate(issuers.select(keys).rows())}
    rows_of: dict[int, list[int]] = {}
    of_plan = [place.get(key, -1) for key in frame.select(keys).rows()]
    for row, issuer in enumerate(of_plan):
        rows_of.setdefault(issuer, []).append(row)
    premium = _plan_premiums(frame, np.array(of_plan), rows_of)
    findings.note("COR-024", ISSUERS, len(place) - len(rows_of))
    sums = {issuer: sum((premium[r] for r in rows), Fraction(0)) for issuer, rows in rows_of.items()}
    findings.note("COR-023", PLANS, sum(total != owed.premium[i] for i, total in sums.items()))
    cents: dict[str, list[int]] = {c: [0] * frame.height for c in money}
    cents["premium"] = [cents_of(p) for p in premium]
    for issuer, rows in rows_of.items():
        shares = [premium[row] / sums[issuer] for row in rows]
        for column, amount in (("corridor", owed.owed[issuer]), ("corridor_paid", owed.paid[issuer])):
            for row, part in zip(rows, _shared(shares, amount), strict=True):
                cents[column][row] = part
    found = frame.select(*keys, "plan_id").with_columns(pl.Series(c, v, dtype=pl.Int64) for c, v in cents.items())
    return as_money(found, *money)


def _plan_premiums(frame: pl.DataFrame, of_plan: np.ndarray, rows_of: dict[int, list[int]]) -> list[Fraction]:
    refusals = Refusals(PLANS, frame["_row"].to_numpy().astype(np.int64))
    refusals.add("COR-007", "issuer_id", of_plan < 0)
    values = number_columns(frame, PLANS, ["premium"])["premium"]
    refusals.add("COR-008", "premium", ~((values >= 0) & (values < LARGEST)))
    for issuer, rows in rows_of.items():
        if issuer >= 0:
            refusals.add("COR-008", "premium", (of_plan == issuer) & ~(np.nansum(values[rows]) > 0))
    refusals.check()
    return [exact(v) for v in values.tolist()]


def _shared(shares: list[Fraction], amount: Fraction) -> list[int]:
    """Return the cents of each plan; they add to those of the issuer."""
    parts = [share * amount for share in shares]
    floats = [float(part) for part in parts]
    slack = 1e-15 * abs(float(amount))
    return balanced([cents_of(p) for p in parts], floats, slack, lambda: parts, cents_of(amount))
