"""Spans as arrays: repeats and overlaps taken out, issuers and markets told apart, days summed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings

__all__ = ["Spans", "scopes", "units", "without_overlaps"]


@dataclass(frozen=True)
class Spans:
    """Usable spans: row of the input, owner (accepted enrollee), plan variant, first and last day, scope.

    `variants` is the table that `variant` points into.
    """

    row: np.ndarray
    owner: np.ndarray
    variant: np.ndarray
    start: np.ndarray
    end: np.ndarray
    variants: pl.DataFrame
    scope: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> Spans:
        """Return some of the spans, by mask or by number."""
        scope = None if self.scope is None else self.scope[chosen]
        picked = {n: getattr(self, n)[chosen] for n in ("row", "owner", "variant", "start", "end")}
        return replace(self, **picked, scope=scope)


def _issuer_market(spans: Spans, source: pl.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, pl.DataFrame]:
    """Return the number of each span's issuer and market, and the table of those pairs."""
    import polars as pl

    issuer = spans.variants["plan_id"].str.slice(0, 5).gather(spans.variant)
    given = {}
    for column in ("issuer_id", "market"):
        if column in source.columns:
            given[column] = source[column].cast(pl.String).gather(spans.row)
    pair = pl.DataFrame(
        {
            "issuer_id": given.get("issuer_id", issuer).fill_null(issuer),
            "market": given.get("market", pl.repeat(None, len(issuer), dtype=pl.String, eager=True)),
        }
    ).select(columns)
    table = pair.unique().sort(columns)
    numbered = table.with_columns(pl.int_range(pl.len()).alias("_number"))
    number = pair.join(numbered, on=list(columns), how="left", nulls_equal=True, maintain_order="left")["_number"]
    return number.to_numpy(), table


def without_overlaps(spans: Spans, source: pl.DataFrame, findings: Findings, person_scope: str) -> Spans:
    """Return the spans without exact repeats (SPAN-005) and without those that share a day (SPAN-006).

    Overlapping spans of one enrollee in one issuer and market are all set aside: which one is right is not ours to
    guess. Spans in different issuers may overlap.
    """
    if len(spans.owner) < 2:
        return spans
    group = spans.owner
    if person_scope == "issuer_market" and _several_issuers_or_markets(spans, source):
        number, table = _issuer_market(spans, source, ("issuer_id", "market"))
        group = spans.owner * table.height + number
    # The last keys make the order, and so which of two equal spans is kept, the same for any order of rows.
    order = np.lexsort((spans.variant, spans.end, spans.start, group)) if _unsorted(group, spans.start) else None
    if order is not None:
        spans, group = spans.take(order), group[order]
    same = group[1:] == group[:-1]
    touching = same & (spans.start[1:] <= spans.end[:-1])
    if not touching.any():
        return spans
    repeated, overlapping = _repeats_and_overlaps(spans, group, np.unique(group[1:][touching]))
    table = "enrollment_spans"
    findings.refuse("SPAN-005", table, source[spans.row[np.flatnonzero(repeated)]])
    findings.refuse("SPAN-006", table, source[spans.row[np.flatnonzero(overlapping)]])
    return spans.take(~(repeated | overlapping))


def _unsorted(group: np.ndarray, start: np.ndarray) -> bool:
    step = group[1:] - group[:-1]
    return bool(((step < 0) | ((step == 0) & (start[1:] < start[:-1]))).any())


def _several_issuers_or_markets(spans: Spans, source: pl.DataFrame) -> bool:
    if "issuer_id" in source.columns or "market" in source.columns:
        return True
    return spans.variants["plan_id"].str.slice(0, 5).n_unique() > 1


def _repeats_and_overlaps(spans: Spans, group: np.ndarray, troubled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    repeated = np.zeros(len(group), bool)
    overlapping = np.zeros(len(group), bool)
    first = np.searchsorted(group, troubled, "left")
    last = np.searchsorted(group, troubled, "right")
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        kept: list[int] = []
        seen: set[tuple[int, int, int]] = set()
        for i in range(low, high):
            key = (int(spans.variant[i]), int(spans.start[i]), int(spans.end[i]))
            if key in seen:
                repeated[i] = True
                continue
            seen.add(key)
            for j in kept:
                if spans.start[i] <= spans.end[j]:
                    overlapping[i] = overlapping[j] = True
            kept.append(i)
    return repeated, overlapping


def scopes(
    spans: Spans, source: pl.DataFrame, findings: Findings, person_scope: str, carried: tuple[str, ...]
) -> tuple[Spans, np.ndarray, pl.DataFrame | None]:
    """Return the spans with their scope, the owner of each scope, and each scope's issuer and market if they matter.

    An enrollee with spans of two issuers or markets needs diagnoses and drugs that say which (`carried` columns); without
    them the spans are set aside (HCC-005).
    """
    import polars as pl

    if person_scope == "enrollee" or not _several_issuers_or_markets(spans, source):
        return _scoped_by_owner(spans)
    columns = ("issuer_id", "market")
    number, table = _issuer_market(spans, source, columns)
    pairs = np.unique(np.stack([spans.owner, number], axis=1), axis=0) if len(number) else np.zeros((0, 2), int)
    owners, several = np.unique(pairs[:, 0], return_counts=True)
    split_owners = owners[several > 1]
    if len(split_owners) == 0:
        return _scoped_by_owner(spans)
    told, told_table = _issuer_market(spans, source, carried) if carried else (np.zeros_like(number), None)
    # Untold: two issuers or markets of one enrollee that the carried columns do not tell apart.
    told_pairs = np.unique(np.stack([spans.owner, told], axis=1), axis=0)
    told_owners, told_number = np.unique(told_pairs[:, 0], return_counts=True)
    number_told = dict(zip(told_owners.tolist(), told_number.tolist(), strict=True))
    number_real = dict(zip(owners.tolist(), several.tolist(), strict=True))
    untold = [o for o in split_owners.tolist() if number_told[o] < number_real[o]]
    if untold:
        bad = np.isin(spans.owner, untold)
        findings.refuse("HCC-005", "enrollment_spans", source[spans.row[np.flatnonzero(bad)]])
        spans, told = spans.take(~bad), told[~bad]
    if told_table is None or told_table.height < 2:
        return _scoped_by_owner(spans)
    combined = spans.owner * told_table.height + told
    keys, scope = np.unique(combined, return_inverse=True)
    owner, pair = np.divmod(keys, told_table.height)
    scope_keys = told_table[pair].with_columns(
        pl.Series("owner", owner, pl.UInt32), pl.int_range(pl.len(), dtype=pl.UInt32).alias("scope")
    )
    return replace(spans, scope=scope), owner, scope_keys


def _scoped_by_owner(spans: Spans) -> tuple[Spans, np.ndarray, None]:
    owner, scope = np.unique(spans.owner, return_inverse=True)
    return replace(spans, scope=scope), owner, None


def units(spans: Spans, by_plan: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return each unit's scope, each span's unit, and each unit's enrolled days (both ends counted) and last day."""
    assert spans.scope is not None
    if by_plan:
        plans = spans.variants["plan_id"].rle_id().to_numpy().astype(np.int64)
        number = int(plans.max(initial=-1)) + 1
        keys, span_unit = np.unique(spans.scope * number + plans[spans.variant], return_inverse=True)
        unit_scope = keys // max(number, 1)
    else:
        span_unit = spans.scope
        unit_scope = np.arange(int(span_unit.max(initial=-1)) + 1)
    days = np.zeros(len(unit_scope), np.int64)
    np.add.at(days, span_unit, spans.end.astype(np.int64) - spans.start + 1)
    last_day = np.full(len(unit_scope), -(2**31), np.int64)
    np.maximum.at(last_day, span_unit, spans.end)
    return unit_scope, span_unit, days, last_day
