"""Error rates of the data validation (HHS-RADV), one per issuer, or per issuer, state and risk pool."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._cents import exact
from riskadjust._refusals import Refusals, collected, number_columns, rule_text
from riskadjust._transfer_rows import clean_keys
from riskadjust._transfer_settings import exact_number

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._transfer_rows import PlanTable

__all__ = ["error_rates"]

TABLE = "radv_error_rates"


def error_rates(given: Any, table: PlanTable, findings: Findings) -> list[Fraction | None]:
    """Return the error rate of each plan row, None where its issuer has none.

    Parameters
    ----------
    given : mapping, DataFrame or None
        issuer_id -> error rate, or a frame with issuer_id, error_rate and, as needed, state and risk_pool.

    Raises
    ------
    InputRefused
        Rules TRF-040 and TRF-041, or a state where the plan rows have none.
    """
    if given is None:
        return [None] * table.frame.height
    columns, rates = _of_mapping(given) if isinstance(given, Mapping) else _of_frame(given, table.frame)
    findings.table(TABLE, len(rates))
    counts = np.diff(table.issuer_first).tolist()
    found: list[Fraction | None] = []
    used = set()
    for key, count in zip(table.issuers.select(columns).rows(), counts, strict=True):
        used.add(key)
        found += [rates.get(key)] * count
    findings.note("TRF-042", TABLE, len(set(rates) - used))
    return found


def _of_mapping(given: Mapping[Any, Any]) -> tuple[list[str], dict[tuple[str, ...], Fraction]]:
    rates: dict[tuple[str, ...], Fraction] = {}
    for issuer, value in given.items():
        if not isinstance(issuer, str) or not issuer.strip() or (issuer.strip(),) in rates:
            raise InputRefused(
                f"an error rate is keyed by {issuer!r}",
                where=TABLE,
                rule=rule_text("TRF-040"),
                remedy="key by issuer_id as text, or hand in a frame with issuer_id, state, risk_pool, error_rate",
            )
        try:
            rate = exact_number(value, "error_rate")
        except SettingRefused:
            rate = Fraction(2)
        if rate > 1:
            raise InputRefused(
                f"the error rate of issuer {issuer} cannot be used",
                where=f"{TABLE}, key {issuer}",
                rule=rule_text("TRF-041"),
                remedy="5 percent is 0.05; leave out an issuer that has no rate",
            )
        rates[(issuer.strip(),)] = rate
    return ["issuer_id"], rates


def _of_frame(given: Any, plans: pl.DataFrame) -> tuple[list[str], dict[tuple[str, ...], Fraction]]:
    frame = collected(given, TABLE, ("issuer_id", "error_rate"))
    columns: list[str] = [c for c in ("state", "risk_pool", "issuer_id") if c in frame.columns]
    if "state" in columns and "state" not in plans.columns:
        raise InputRefused(
            "error rates by state for plan rows without a state",
            where=f"{TABLE}, column state",
            remedy="add the column state to the plan rows, or leave it out here",
        )
    keys = frame.select(_frames.text_column(frame, TABLE, c) for c in columns)
    keys = keys.with_columns(clean_keys(keys, columns))
    refusals = Refusals(TABLE)
    for column in keys:
        refusals.add("TRF-040", column.name, (column.is_null() | (column == "")).fill_null(True).to_numpy())
    refusals.add("TRF-040", " + ".join(columns), keys.is_duplicated().to_numpy())
    values = number_columns(frame, TABLE, ["error_rate"])["error_rate"]
    refusals.add("TRF-041", "error_rate", ~(np.isfinite(values) & (values <= 1)))
    refusals.check()
    return columns, dict(zip(keys.rows(), map(exact, values.tolist()), strict=True))
