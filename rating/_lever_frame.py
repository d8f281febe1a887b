"""What was found of levers, as a frame: a row per design and lever, and the rules that fired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating import _lever_search as search
from rating._av_columns import TABLE_METALS
from rating._frame_rows import word_series
from rating._lever_ground import Aim, Ground
from rating._lever_solve import Solved
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["lever_frame", "note"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_RULES, _TABLE = "av/design_rules", "designs"
# Words of av/design_rules. Those of a search stand in its own order; the first, reached, is none.
_OF_SEARCH = (
    None,
    "lever_jump",
    "lever_unsettled",
    "lever_without_effect",
    "lever_unreachable",
    "lever_without_value",
)
_OTHERS = ("lever_not_in_design", "lever_without_room", "lever_lost_by_rounding", "lever_other_tables")
_WORDS: tuple[Any, ...] = (*_OF_SEARCH, *_OTHERS)
_NOT_IN_DESIGN, _WITHOUT_ROOM, _LOST, _OTHER_TABLES = range(len(_OF_SEARCH), len(_WORDS))
_AS_VALUED = ("metal_level", "in_range", "window", "flags")


def lever_frame(ground: Ground, aim: Aim, solved: Sequence[Solved], *, has_every_design: bool) -> pl.DataFrame:
    """Return a row per design and lever, designs in their order.

    Where every design has a row, those that were not searched have one without a value; `solved` is of one lever then.
    """
    import polars as pl

    frame = pl.concat(_part(ground, aim, one) for one in solved)
    if not has_every_design:
        # A stable order: levers in theirs within each design.
        return frame.sort("_row", maintain_order=True).drop("_row")
    every = pl.DataFrame({"_row": np.arange(len(ground.read.ids)), "design_id": ground.read.ids})
    frame = every.join(frame.drop("design_id"), on="_row", how="left", maintain_order="left", validate="1:1")
    blank = frame["lever"].is_null()
    handle = solved[0].levers
    said = {"lever": handle.lever.name, "service": handle.service, "tier": str(handle.tier)}
    given = {"is_reached": False, "in_range": False, "solutions": 0, "evaluations": 0, "values_without_av": 0}
    return frame.drop("_row").with_columns(
        *(pl.lit(word, dtype=pl.String).alias(name) for name, word in said.items()),
        *(pl.col(name).fill_null(value) for name, value in given.items()),
        pl.when(pl.lit(blank)).then(pl.lit(_OF_SEARCH[search.NO_VALUE])).otherwise("reason").alias("reason"),
    )


def _part(ground: Ground, aim: Aim, one: Solved) -> pl.DataFrame:
    import polars as pl

    rows, found = one.rows, one.found
    designs = one.levers.set(ground.columns.take(rows), one.value)
    then = ground.valued(designs)
    difference, target = _difference(ground, aim, one, designs)
    reason = _reasons(ground, aim, one, then)
    ids = pl.Series("design_id", ground.read.ids, dtype=pl.String).gather(rows)

    def numbers(name: str, values: Floats) -> pl.Series:
        return pl.Series(name, np.where(np.isfinite(values), values, np.nan), nan_to_null=True)

    def same(name: str, word: str | None) -> pl.Series:
        return pl.Series(name, [word], dtype=pl.String).new_from_index(0, len(rows))

    return pl.DataFrame(
        [
            pl.Series("_row", rows.astype(np.int64)),
            ids,
            same("lever", one.levers.lever.name),
            same("service", one.levers.service),
            same("tier", str(one.levers.tier)),
            numbers("target_av", target),
            word_series("table_metal", TABLE_METALS, one.metal.astype(np.int64)),
            numbers("present_value", np.where(one.is_in, one.present, np.nan)),
            numbers("present_av", one.present_av),
            numbers("value", one.value),
            numbers("av", one.av),
            numbers("difference", difference),
            pl.Series("is_reached", reason == search.REACHED),
            word_series("reason", _WORDS, reason),
            numbers("exact_value", found.value),
            pl.Series("solutions", found.solutions),
            numbers("jump_value", found.jump[0]),
            numbers("jump_av_below", found.jump[1]),
            numbers("jump_av_above", found.jump[2]),
            numbers("lowest_value", np.where(one.has_room, one.low, np.nan)),
            numbers("highest_value", np.where(one.has_room, one.high, np.nan)),
            pl.Series("evaluations", found.tried),
            pl.Series("values_without_av", found.without_av),
            *(then[name] for name in _AS_VALUED),
        ]
    )


def _difference(ground: Ground, aim: Aim, one: Solved, designs: Any) -> tuple[Floats, Floats]:
    """Return how far the AV lies from its target, or from the window at that value of the lever; and the target."""
    if aim.target is not None:
        target = aim.target[one.rows]
        return one.av - target, target
    at = np.arange(len(one.rows)), one.metal
    low, high = (ends[at] for ends in ground.held.of_designs(designs))
    outside = np.where(one.av < low, one.av - low, np.where(one.av > high, one.av - high, 0.0 * one.av))
    return outside, np.full(len(one.rows), np.nan)


def _reasons(ground: Ground, aim: Aim, one: Solved, then: pl.DataFrame) -> NDArray[np.int64]:
    reason = one.found.reason.astype(np.int64)
    reason[one.is_lost] = _LOST
    if aim.target is None:
        stands = then["in_range"].to_numpy()
    else:
        with np.errstate(invalid="ignore"):
            stands = np.abs(then["av_recomputed"].to_numpy() - one.av) <= ground.settings.tolerance
    reason[(reason == search.REACHED) & ~stands] = _OTHER_TABLES
    reason[~one.has_room] = _WITHOUT_ROOM
    reason[~one.is_in] = _NOT_IN_DESIGN
    return reason


def note(ground: Ground, frame: pl.DataFrame) -> dict[str, Any]:
    """Return what is to be said beside the frame: findings of designs and levers, uncertain figures, settings."""
    import polars as pl

    rule_of = dict(ground.figures.rows(_RULES).select("flag", "rule_id").rows())
    findings = Findings()
    for word, count in frame["reason"].drop_nulls().value_counts().rows():
        findings.note(rule_of[word], _TABLE, count)
    present = ground.present
    return {
        "findings": pl.concat([present.findings, findings.frame()]).sort("rule_id", "table"),
        "uncertain": pl.concat([present.uncertain, ground.figures.uncertain()]).sort("table", "what", "moved"),
        "tables": sorted({*present.tables, *ground.figures.tables}),
        "settings": ground.settings.frame(),
    }
