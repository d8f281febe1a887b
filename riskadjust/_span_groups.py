"""Spans as arrays: repeats and overlaps taken out, issuers and markets told apart, days summed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings

__all__ = ["Spans", "in_order", "lines", "scopes", "units", "without_overlaps"]


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

    issuers = spans.variants["plan_id"].str.slice(0, 5)
    given = [c for c in ("issuer_id", "market") if c in source.columns]
    if not given:
        # The plan says the issuer: the work is done once a plan, not once a span.
        table = pl.DataFrame({"issuer_id": issuers, "market": pl.Series([None] * len(issuers), dtype=pl.String)})
        numbers, pairs = _numbered_rows(table.select(columns))
        return numbers[spans.variant], pairs
    issuer = issuers.gather(spans.variant)
    texts = {c: source[c].cast(pl.String).gather(spans.row) for c in given}
    pair = pl.DataFrame(
        {
            "issuer_id": texts.get("issuer_id", issuer).fill_null(issuer),
            "market": texts.get("market", pl.repeat(None, len(issuer), dtype=pl.String, eager=True)),
        }
    )
    return _numbered_rows(pair.select(columns))


def _numbered_rows(pair: pl.DataFrame) -> tuple[np.ndarray, pl.DataFrame]:
    import polars as pl

    table = pair.unique().sort(pair.columns)
    numbered = table.with_columns(pl.int_range(pl.len()).alias("_number"))
    number = pair.join(numbered, on=pair.columns, how="left", nulls_equal=True, maintain_order="left")["_number"]
    return number.to_numpy(), table


def in_order(spans: Spans) -> Spans:
    """Return the spans by owner and first day; the last keys fix which of two equal spans comes first."""
    step = spans.owner[1:] - spans.owner[:-1]
    if (step > 0).all():
        return spans
    same_day = (step == 0) & (spans.start[1:] <= spans.start[:-1])
    if not ((step < 0) | same_day).any():
        return spans
    return spans.take(np.lexsort((spans.variant, spans.end, spans.start, spans.owner)))


def without_overlaps(spans: Spans, source: pl.DataFrame, findings: Findings, person_scope: str) -> Spans:
    """Return the spans (in order) without exact repeats (SPAN-005) and without those that share a day (SPAN-006).

    Overlapping spans of one enrollee in one issuer and market are all set aside: which one is right is not ours to
    guess. Spans in different issuers may overlap.
    """
    group = spans.owner
    touching = _touching(spans, group)
    if not touching.any():
        return spans
    if person_scope == "issuer_market":
        number, pairs = _issuer_market(spans, source, ("issuer_id", "market"))
        group = spans.owner * pairs.height + number
        order = np.argsort(group, kind="stable")
        spans, group = spans.take(order), group[order]
        touching = _touching(spans, group)
    repeated, overlapping = _repeats_and_overlaps(spans, group, np.unique(group[1:][touching]))
    findings.refuse("SPAN-005", "enrollment_spans", source[spans.row[np.flatnonzero(repeated)]])
    findings.refuse("SPAN-006", "enrollment_spans", source[spans.row[np.flatnonzero(overlapping)]])
    return in_order(spans.take(~(repeated | overlapping)))


def _touching(spans: Spans, group: np.ndarray) -> np.ndarray:
    touching: np.ndarray = (group[1:] == group[:-1]) & (spans.start[1:] <= spans.end[:-1])
    return touching


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

    An enrollee with spans of two issuers or markets needs diagnoses and drugs that say which (`carried` columns);
    without them the spans are set aside (HCC-005).
    """
    import polars as pl

    shared = np.flatnonzero(spans.owner[1:] == spans.owner[:-1])
    if person_scope == "enrollee" or len(shared) == 0:
        return _scoped_by_owner(spans)
    number, _ = _issuer_market(spans, source, ("issuer_id", "market"))
    split_owners = np.unique(spans.owner[shared[number[shared] != number[shared + 1]]])
    if len(split_owners) == 0:
        return _scoped_by_owner(spans)
    told, told_table = _issuer_market(spans, source, carried) if carried else (np.zeros_like(number), None)
    # Untold: two issuers or markets of one enrollee that the carried columns do not tell apart.
    doubtful = np.isin(spans.owner, split_owners)
    real = _distinct_pairs(spans.owner[doubtful], number[doubtful])
    untold = real[0][real[1] > _distinct_pairs(spans.owner[doubtful], told[doubtful])[1]]
    if len(untold):
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


def _distinct_pairs(owner: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the owners, and how many different numbers each has."""
    pairs = np.unique(np.stack([owner, number], axis=1), axis=0)
    return np.unique(pairs[:, 0], return_counts=True)


def _scoped_by_owner(spans: Spans) -> tuple[Spans, np.ndarray, None]:
    """Return the spans (in order of their owners) with a scope for each owner."""
    begins = np.append(True, spans.owner[1:] != spans.owner[:-1])[: len(spans.owner)]
    return replace(spans, scope=np.cumsum(begins) - 1), spans.owner[begins], None


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
    length = spans.end.astype(np.int64) - spans.start + 1
    if not by_plan and _counts_up(span_unit):
        return unit_scope, span_unit, length, spans.end.astype(np.int64)
    if len(span_unit) == 0:
        return unit_scope, span_unit, length, length
    order = slice(None) if (span_unit[1:] >= span_unit[:-1]).all() else np.argsort(span_unit, kind="stable")
    ordered = span_unit[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    days = np.add.reduceat(length[order], begins)
    last_day = np.maximum.reduceat(spans.end[order].astype(np.int64), begins)
    return unit_scope, span_unit, days, last_day


def _counts_up(numbers: np.ndarray) -> bool:
    return bool((numbers[1:] > numbers[:-1]).all())


def lines(spans: Spans, span_unit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit and plan variant of every pair that occurs, in order."""
    if _counts_up(span_unit):
        return span_unit, spans.variant
    width = max(spans.variants.height, 1)
    keys = np.sort(span_unit.astype(np.int64) * width + spans.variant)
    unit, variant = np.divmod(keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]], width)
    return unit, variant
