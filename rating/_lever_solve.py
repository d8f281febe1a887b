"""One lever moved on some designs: the search block by block, and the value found rounded to a step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rating import _lever_search as search
from rating._av_columns import DesignColumns
from rating._lever_ground import Aim, Ground
from rating._lever_terms import DAYS, Levers

__all__ = ["Solved", "solve"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]
Rows = NDArray[np.int64]

_BLOCK = 512  # designs searched at a time; what is found of one depends on no other


@dataclass(frozen=True)
class Solved:
    """What was found of some designs of a ground; arrays by design.

    Attributes
    ----------
    levers : Levers
        What was moved.
    rows : int64
        The designs, as positions in the ground.
    metal : int8
        Of the tables that each was worked on.
    is_in, has_room : bool
        The design has the term that is moved; a value is left between its bounds.
    present, present_av, low, high : float64
        The lever now, the AV with it, and the bounds.
    found : Found
        Of the designs that have room.
    value, av : float64
        The lever and the AV, after rounding.
    is_lost : bool
        The window is reached by the value found and not by it rounded.
    """

    levers: Levers
    rows: Rows
    metal: Codes
    is_in: Flags
    has_room: Flags
    present: Floats
    present_av: Floats
    low: Floats
    high: Floats
    found: search.Found
    value: Floats
    av: Floats
    is_lost: Flags


def solve(ground: Ground, levers: Levers, rows: Rows, aim: Aim, bounds: tuple[float, float] | None = None) -> Solved:
    """Return what is found of some designs of a ground; `aim` is that of all its designs."""
    columns, metal, own = ground.columns.take(rows), ground.metals(aim)[rows], aim.of(rows)
    is_in, present = levers.is_in(columns), levers.present(columns)
    limit = ground.limits(rows) if levers.lever.array == "moop" else np.full(len(rows), np.inf)
    low, high = levers.bounds(columns, limit, bounds)
    has_room = is_in & (low <= high)
    found = _nothing(len(rows))

    def task(at: Rows) -> search.Task:
        return _task(ground, levers, columns.take(at), metal[at], own.of(at), low[at], high[at])

    at = np.flatnonzero(has_room)
    for start in range(0, len(at), _BLOCK):
        block = at[start : start + _BLOCK]
        _fill(found, block, search.look(task(block)))
    value, av, is_lost = found.value.copy(), found.av.copy(), np.zeros(len(rows), bool)
    step = ground.settings.round_to
    if step is not None and levers.lever.unit != DAYS:
        moved = np.flatnonzero(~np.isnan(value) & (value != present))
        value[moved], av[moved], is_met = _rounded(task(moved), value[moved], av[moved], step)
        is_lost[moved] = (own.target is None) & (found.reason[moved] == search.REACHED) & ~is_met
    present_av = ground.values(columns, metal)
    return Solved(levers, rows, metal, is_in, has_room, present, present_av, low, high, found, value, av, is_lost)


def _task(
    ground: Ground, levers: Levers, columns: DesignColumns, metal: Codes, aim: Aim, low: Floats, high: Floats
) -> search.Task:
    def evaluate(rows: Rows, x: Floats) -> tuple[Floats, Floats, Floats]:
        trial, own = levers.set(columns.take(rows), x), metal[rows]
        av = ground.values(trial, own)
        if aim.target is not None:
            return av, av, av
        ends = ground.held.of_designs(trial)
        at = np.arange(len(rows)), own
        return av, ends[0][at], ends[1][at]

    target = np.full(columns.height, np.nan) if aim.target is None else aim.target
    return search.Task(
        evaluate=evaluate,
        goals=search.Goals(target, aim.target is None, ground.settings.tolerance),
        present=levers.present(columns),
        low=low,
        high=high,
        bend=levers.lever.bend,
        points=ground.settings.scan_points,
        is_whole=levers.lever.unit == DAYS,
    )


def _nothing(number: int) -> search.Found:
    return search.Found(
        value=np.full(number, np.nan),
        av=np.full(number, np.nan),
        reason=np.full(number, search.NO_VALUE, np.int8),
        solutions=np.zeros(number, np.int64),
        jump=np.full((3, number), np.nan),
        tried=np.zeros(number, np.int64),
        without_av=np.zeros(number, np.int64),
    )


def _fill(found: search.Found, at: Rows, part: search.Found) -> None:
    for name in ("value", "av", "reason", "solutions", "jump", "tried", "without_av"):
        getattr(found, name)[..., at] = getattr(part, name)


def _rounded(task: search.Task, value: Floats, av: Floats, step: float) -> tuple[Floats, Floats, Flags]:
    """Return, of the steps around each value, the one that misses less (then the nearer), its AV, and if it is met.

    A value with no step between its bounds, or none with an AV, stays.
    """
    # A step such as 0.001 is no binary number: a division by 1000 gives the decimal that is meant.
    parts = round(1 / step) if step < 1 and abs(round(1 / step) * step - 1) < 1e-9 else None
    count = value * parts if parts else value / step
    near = np.rint(count)
    is_step = np.abs(count - near) < 1e-9 * np.maximum(1.0, near)
    ends = np.where(is_step, near, np.stack([np.floor(count), np.ceil(count)]))
    tried = ends / parts if parts else ends * step
    rows = np.arange(len(value))
    worked, misses = np.full((2, len(value)), np.nan), np.full((2, len(value)), np.inf)
    for side in (0, 1):
        at = rows[(tried[side] >= task.low) & (tried[side] <= task.high)]
        own, *window = task.evaluate(at, tried[side, at])
        miss = task.goals.miss(task.goals.gaps(at, own, *window))
        worked[side, at] = own
        misses[side, at] = np.where(np.isnan(miss), np.inf, np.maximum(miss, 0.0))
    nearer = (misses[1] < misses[0]) | ((misses[1] == misses[0]) & (tried[1] - value < value - tried[0]))
    side = nearer.astype(np.int64)
    stays = np.isinf(misses[side, rows])
    is_met = ~stays & (misses[side, rows] <= task.goals.most)
    return np.where(stays, value, tried[side, rows]), np.where(stays, av, worked[side, rows]), is_met
