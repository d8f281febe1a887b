"""Claims of enrollees in their plans, brought to the member lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust._findings import Findings
from riskadjust._mix_base import MixBase
from riskadjust._mix_rules import collected

if TYPE_CHECKING:
    import polars as pl

__all__ = ["claims_of_lines"]

Floats = NDArray[np.float64]

_TABLE = "costs"
_KEY = ("enrollee_id", "plan_id", "csr_variant")
_CENTS = 100


def claims_of_lines(costs: Any, base: MixBase, findings: Findings) -> Floats:
    """Return the claims of every line in dollars: those of enrollee, plan and variant, spread over its months.

    Rows of one enrollee, plan and variant add up. Rows that are no amount (MIX-010), or that belong to nobody with an
    accepted span (MIX-009), are refused and counted.

    Raises
    ------
    InputRefused
        A column is missing or of a wrong type.
    """
    import polars as pl

    given = collected(costs, _TABLE, (*_KEY, "plan_paid"))
    findings.table(_TABLE, given.height)
    paid = given["plan_paid"]
    if not (paid.dtype.is_numeric() or paid.dtype == pl.Null):
        raise InputRefused(
            f"column 'plan_paid' is {paid.dtype}, not a number",
            where=f"{_TABLE}, column plan_paid",
            rule="FILE-002: a required column has its declared type",
            remedy="use dollars of the benefit year, as decimals or numbers",
        )
    dollars = paid.cast(pl.Float64).fill_null(float("nan")).to_numpy()
    with np.errstate(invalid="ignore"):
        is_amount = (dollars >= 0) & (dollars < 1e12)
    key, wanted = _keys(given, base)
    is_known = np.isin(key, wanted)
    findings.refuse("MIX-010", _TABLE, given[np.flatnonzero(~is_amount)])
    findings.refuse("MIX-009", _TABLE, given[np.flatnonzero(is_amount & ~is_known)])
    used = is_amount & is_known
    # In cents: whole numbers add up alike in any order.
    cents = np.rint(np.where(used, dollars, 0.0) * _CENTS)
    keys, of_line = np.unique(wanted, return_inverse=True)
    at = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    total = np.bincount(at[used], cents[used], len(keys)) / _CENTS
    months = np.bincount(of_line, base.thirtieths, len(keys))
    return np.asarray(total[of_line] * base.thirtieths / months[of_line])


def _keys(given: pl.DataFrame, base: MixBase) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return enrollee, plan and variant as one number, of the rows of costs (-1: not among the lines) and of lines."""
    import polars as pl

    texts = {c: _frames.text_column(given, _TABLE, c).str.strip_chars() for c in _KEY}
    own = pl.DataFrame(texts).with_columns(pl.col("plan_id").str.replace("-", "").str.slice(0, 14))
    lines = base.member.lines.select(_KEY)
    numbered = lines.unique().sort(_KEY).with_row_index("number")

    def numbers(frame: pl.DataFrame) -> NDArray[np.int64]:
        found = frame.join(numbered, on=list(_KEY), how="left", nulls_equal=True, maintain_order="left")["number"]
        return found.cast(pl.Int64).fill_null(-1).to_numpy()

    return numbers(own), numbers(lines)
