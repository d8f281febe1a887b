"""The search for the value of a lever: scan its range, look again where the goal is nearly met, close in on crossings.

Nothing is taken to be monotone. A goal is a gap that is zero or more where the value counts as inside; a crossing is a
pair of neighboring values of the lever of which one is inside and the other is not. It is closed in on by false
position and halving, for all designs at once, until the gap is gone or the pair is one step of the calculator apart:
what remains then is a jump of the actuarial value and not a root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["REASONS", "Found", "Goals", "Task", "look"]

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Rows = NDArray[np.int64]

REASONS = ("reached", "jump", "unsettled", "without_effect", "unreachable", "no_value")
REACHED, JUMP, UNSETTLED, WITHOUT_EFFECT, UNREACHABLE, NO_VALUE = range(len(REASONS))

_FINE = 1e-10  # share: a gap as small is none
_NARROW = 1e-12  # of the range: a pair as narrow is one value
_FLAT = 1e-12  # share: values as near to each other are one
_MOST_STEPS = 160
_PROLONGED = 4.0  # cells of a scan over which a slope is taken to go on
_ZOOM = 16  # values looked at on each side of a near miss
_ZOOMS = 3  # times that the surroundings of the nearest value are looked at


@dataclass(frozen=True)
class Goals:
    """What is to be met: a target, or the window between two ends that may differ by value of the lever.

    Attributes
    ----------
    target : float64, designs
        NaN in the search for a window.
    is_window : bool
        Which of the two.
    tolerance : float
        How near to a target counts as reached.
    """

    target: Floats
    is_window: bool
    tolerance: float

    def gaps(self, rows: Rows, av: Floats, low: Floats, high: Floats) -> Floats:
        """Return the gap of each goal, goals x values."""
        return np.stack([av - low, high - av]) if self.is_window else (av - self.target[rows])[None]

    def miss(self, gaps: Floats) -> Floats:
        """Return how far a value is from being a solution; at most 0 where it is one."""
        return np.asarray(-gaps.min(axis=0) if self.is_window else np.abs(gaps[0]))

    def is_met(self, gaps: Floats) -> Flags:
        """Return which values are solutions."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.miss(gaps) <= self.most)

    @property
    def most(self) -> float:
        """The largest miss of a solution."""
        return 0.0 if self.is_window else self.tolerance


@dataclass(frozen=True)
class Task:
    """A search: ``evaluate(rows, values)`` returns the AV and the ends of the window of designs at a lever's values."""

    evaluate: Callable[[Rows, Floats], tuple[Floats, Floats, Floats]]
    goals: Goals
    present: Floats
    low: Floats
    high: Floats
    bend: float
    points: int
    is_whole: bool = False


@dataclass
class Found:
    """What was found of each design.

    Attributes
    ----------
    value, av : float64
        The solution nearest to the present value, of two equally near the smaller; without one the value whose AV comes
        nearest to the goal. NaN: no value of the lever has an AV.
    reason : int8
        Position in :data:`REASONS`.
    solutions : int64
        Crossings that are solutions, or 1 where the goal is met without one.
    jump : float64, 3
        Where the nearest jump across the goal lies, and the AV on its left and right; NaN without one.
    tried, without_av : int64
        Values of the lever looked at, and those that have no AV.
    """

    value: Floats
    av: Floats
    reason: NDArray[np.int8]
    solutions: Rows
    jump: Floats
    tried: Rows
    without_av: Rows


@dataclass
class _Run:
    """Ascending values of the lever of some designs, designs x values, with their gaps (goals x designs x values)."""

    rows: Rows
    x: Floats
    av: Floats
    gaps: Floats


@dataclass
class _Pairs:
    """Crossings: of which design and goal; left and right their values, AVs, gaps and misses, 2 x pairs."""

    rows: Rows
    goal: Rows
    x: Floats
    av: Floats
    gap: Floats
    miss: Floats
    is_broken: Flags  # a value between has no AV

    def inner(self, is_window: bool) -> Rows:
        """Return which end a solution is: of a window that within, of a target the nearer."""
        if is_window:
            return np.where(self.gap[0] >= 0, 0, 1)
        return np.asarray(self.miss.argmin(axis=0))


def look(task: Task) -> Found:
    """Return what is found of each design; a result depends on nothing but its own design.

    Examples
    --------
    A value that falls to 0.6 and rises again meets 0.65 twice; the solution nearer to 0.9 is the second:

    >>> def evaluate(rows, x):
    ...     return 0.6 + (x - 0.5) ** 2, np.zeros(len(x)), np.ones(len(x))
    >>> one = np.ones(1)
    >>> task = Task(evaluate, Goals(0.65 * one, False, 1e-9), 0.9 * one, 0 * one, one, 0.0, 8)
    >>> found = look(task)
    >>> found.value.round(6).tolist(), found.solutions.tolist(), REASONS[found.reason[0]]
    ([0.723607], [2], 'reached')
    """
    search = _Search(task)
    search.scan()
    if not task.is_whole:
        search.near_misses()
        search.close_in()
        for _ in range(_ZOOMS):
            search.around_nearest()
            search.close_in()
    return search.found()


class _Search:
    """The state of one search."""

    def __init__(self, task: Task) -> None:
        n = len(task.low)
        self.task, self.n = task, n
        self.runs: list[_Run] = []
        self.open: list[_Run] = []  # runs whose crossings have not been closed in on
        self.closed: list[_Pairs] = []
        self.tried, self.without_av = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.is_met = np.zeros(n, bool)

    def at(self, rows: Rows, x: Floats) -> tuple[Floats, Floats]:
        """Return AV and gaps at some values, in their shape."""
        flat = np.broadcast_to(rows[:, None], x.shape).ravel() if x.ndim == 2 else rows
        av, low, high = self.task.evaluate(flat, x.ravel())
        self.tried += np.bincount(flat, minlength=self.n)
        self.without_av += np.bincount(flat[np.isnan(av)], minlength=self.n)
        gaps = self.task.goals.gaps(flat, av, low, high)
        return av.reshape(x.shape), gaps.reshape(-1, *x.shape)

    def add(self, rows: Rows, x: Floats) -> None:
        if len(rows):
            run = _Run(rows, x, *self.at(rows, x))
            self.runs.append(run)
            self.open.append(run)
            self.is_met[rows] |= self.task.goals.is_met(run.gaps).any(axis=1)

    def scan(self) -> None:
        task, rows = self.task, np.arange(self.n)
        width = (task.high - task.low)[:, None]
        if task.is_whole:
            steps = int(width.max(initial=0)) + 1
            self.add(rows, task.low[:, None] + np.minimum(np.arange(steps), width))
            return
        even = np.arange(task.points + 1) / task.points
        x = task.low[:, None] + width * (even * (1 - task.bend) + even * even * task.bend)
        x[:, -1] = task.high
        own = np.clip(np.nan_to_num(task.present, nan=np.inf), task.low, task.high)
        self.add(rows, np.sort(np.column_stack([x, own]), axis=1))

    def near_misses(self) -> None:
        """Look between neighbors on one side of the goal where the other side is likely."""
        run = self.runs[0]
        width = np.diff(run.x, axis=1)
        parts = []
        for gap in run.gaps:
            with np.errstate(invalid="ignore"):
                # Inside a window there is nothing to be looked for.
                is_one_side = (gap[:, 1:] < 0) & (gap[:, :-1] < 0)
                if not self.task.goals.is_window:
                    is_one_side |= (gap[:, 1:] > 0) & (gap[:, :-1] > 0)
                cells = np.argwhere(is_one_side & _is_passed(gap, width))
                turns = np.argwhere(is_one_side[:, 1:] & is_one_side[:, :-1] & _is_turn(gap))
            parts += [np.column_stack([cells, cells[:, 1] + 1]), np.column_stack([turns, turns[:, 1] + 2])]
        places = np.unique(np.concatenate(parts), axis=0)
        self.zoom(run, places[:, 0], places[:, 1], places[:, 2])

    def around_nearest(self) -> None:
        """Look around the value that comes nearest, for the designs without a solution."""
        if self.is_met.all():
            return
        parts = []
        for number, run in enumerate(self.runs):
            miss = np.where(np.isnan(run.av), np.inf, self.task.goals.miss(run.gaps))
            column = miss.argmin(axis=1)
            line = np.arange(len(column))
            parts.append((run.rows, miss[line, column], np.full(len(line), number), line, column))
        rows, misses, runs, lines, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
        first = _first_of(rows, misses, runs, lines)
        first = first[~self.is_met[rows[first]] & np.isfinite(misses[first])]
        for number, run in enumerate(list(self.runs)):
            here = first[runs[first] == number]
            last = run.x.shape[1] - 1
            self.zoom(run, lines[here], np.maximum(columns[here] - 1, 0), np.minimum(columns[here] + 1, last))

    def zoom(self, run: _Run, line: Rows, first: Rows, last: Rows) -> None:
        """Look at values between two of a run."""
        low, high = run.x[line, first], run.x[line, last]
        wide = high - low > _NARROW * (1 + self.task.high[run.rows[line]])
        line, low, high = line[wide], low[wide], high[wide]
        steps = np.arange(2 * _ZOOM + 1) / (2 * _ZOOM)
        self.add(run.rows[line], low[:, None] + (high - low)[:, None] * steps)

    def close_in(self) -> None:
        """Close in on the crossings of the runs not yet looked at."""
        for run in self.open:
            miss = self.task.goals.miss(run.gaps)
            for goal, gap in enumerate(run.gaps):
                with np.errstate(invalid="ignore"):
                    inside = gap >= 0
                crosses = (inside[:, 1:] != inside[:, :-1]) & ~np.isnan(gap[:, 1:]) & ~np.isnan(gap[:, :-1])
                line, column = np.nonzero(crosses)
                if len(line) == 0:
                    continue
                ends = line, np.stack([column, column + 1])
                goals = np.full(len(line), goal, np.int64)
                pairs = _Pairs(
                    run.rows[line], goals, run.x[ends], run.av[ends], gap[ends], miss[ends], np.zeros(len(line), bool)
                )
                self.narrow(pairs)
                self.closed.append(pairs)
                self.is_met[pairs.rows[self.are_met(pairs)]] = True
        self.open = []

    def narrow(self, pairs: _Pairs) -> None:
        """Move the ends of the pairs together, in place; a pair with a value between that has no AV is left."""
        goals = self.task.goals
        weight = pairs.gap.copy()
        last = np.full(len(pairs.rows), -1)
        narrow = _NARROW * (1 + self.task.high[pairs.rows])
        for step in range(_MOST_STEPS):
            is_fine = (pairs.gap[pairs.inner(goals.is_window), np.arange(len(last))]) <= _FINE
            if not goals.is_window:
                is_fine = pairs.miss.min(axis=0) <= _FINE
            at = np.flatnonzero(~is_fine & (pairs.x[1] - pairs.x[0] > narrow) & ~pairs.is_broken)
            if len(at) == 0:
                return
            left, right = pairs.x[:, at]
            middle = (left + right) / 2
            x = left + (right - left) * weight[0, at] / (weight[0, at] - weight[1, at])
            # Every third step halves, so that a jump costs no more than a few roots.
            x = middle if step % 3 == 2 else np.where((x > left) & (x < right), x, middle)
            av, gaps = self.at(pairs.rows[at], x)
            gap = gaps[pairs.goal[at], np.arange(len(at))]
            has = ~np.isnan(gap)
            pairs.is_broken[at] = ~has
            side = np.where((gap >= 0) == (pairs.gap[0, at] >= 0), 0, 1)[has]
            at = at[has]
            pairs.x[side, at], pairs.av[side, at] = x[has], av[has]
            pairs.gap[side, at], pairs.miss[side, at] = gap[has], goals.miss(gaps[:, has])
            weight[side, at] = gap[has]
            again = last[at] == side  # the other end has stayed: it is given half the weight
            weight[1 - side[again], at[again]] /= 2
            last[at] = side

    def are_met(self, pairs: _Pairs) -> Flags:
        """Return which crossings are solutions."""
        goals = self.task.goals
        inner = pairs.miss[pairs.inner(goals.is_window), np.arange(len(pairs.rows))]
        return np.asarray(inner <= goals.most) & ~pairs.is_broken

    # ---- what was found

    def found(self) -> Found:
        own = np.clip(np.nan_to_num(self.task.present, nan=np.inf), self.task.low, self.task.high)
        rows, x, av, miss = self.all_values()
        value, at_value, least = (np.full(self.n, np.nan) for _ in range(3))
        first = _first_of(rows, miss, np.abs(x - own[rows]), x)
        value[rows[first]], at_value[rows[first]], least[rows[first]] = x[first], av[first], miss[first]
        solutions, chosen = self.solutions(rows, x, av, miss, own)
        value[chosen[0]], at_value[chosen[0]] = chosen[1:]
        jump = self.jumps()
        reason = np.full(self.n, UNREACHABLE, np.int8)
        reason[self.is_flat()] = WITHOUT_EFFECT
        reason[np.isnan(least)] = NO_VALUE
        reason[self.is_hidden()] = UNSETTLED
        reason[~np.isnan(jump[0])] = JUMP
        reason[solutions > 0] = REACHED
        return Found(value, at_value, reason, solutions, jump, self.tried, self.without_av)

    def all_values(self) -> tuple[Rows, Floats, Floats, Floats]:
        """Return every value that has an AV: of which design, where, its AV and its miss."""
        parts = [
            (np.repeat(run.rows, run.x.shape[1]), run.x, run.av, self.task.goals.miss(run.gaps)) for run in self.runs
        ] + [(np.tile(pairs.rows, 2), pairs.x, pairs.av, pairs.miss) for pairs in self.closed]
        rows, x, av, miss = (np.concatenate([part[k].ravel() for part in parts]) for k in range(4))
        has = ~np.isnan(av)
        return rows[has], x[has], av[has], miss[has]

    def solutions(
        self, rows: Rows, x: Floats, av: Floats, miss: Floats, own: Floats
    ) -> tuple[Rows, tuple[Rows, Floats, Floats]]:
        """Return how many solutions each design has, and the one nearest to its present value.

        Crossings come first; a value that meets the goal without one counts where there is none, at the present value,
        and within a window.
        """
        parts = []
        for pairs in self.closed:
            met = np.flatnonzero(self.are_met(pairs))
            ends = pairs.inner(self.task.goals.is_window)[met], met
            parts.append((pairs.rows[met], pairs.x[ends], pairs.av[ends]))
        count = np.zeros(self.n, np.int64)
        if parts:
            places = np.unique(
                np.stack([np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])]), axis=1
            )
            count = np.bincount(places[0].astype(np.int64), minlength=self.n)
        is_met = miss <= self.task.goals.most
        if not self.task.goals.is_window:
            is_met &= (count[rows] == 0) | (x == own[rows])
        parts.append((rows[is_met], x[is_met], av[is_met]))
        row, at, value = (np.concatenate([part[k] for part in parts]) for k in range(3))
        count[row] = np.maximum(count[row], 1)
        first = _first_of(row, np.abs(at - own[row]), at)
        return count, (row[first], at[first], value[first])

    def jumps(self) -> Floats:
        """Return the jump across the goal that comes nearest to it: where, and the AV on its left and right."""
        found = np.full((3, self.n), np.nan)
        parts = []
        for pairs in self.closed:
            is_jump = ~self.are_met(pairs) & ~pairs.is_broken
            ends = pairs.inner(self.task.goals.is_window), np.arange(len(pairs.rows))
            parts.append([pairs.rows[is_jump], pairs.miss.min(axis=0)[is_jump], pairs.x[ends][is_jump]])
            parts[-1] += [pairs.av[0, is_jump], pairs.av[1, is_jump]]
        if parts:
            rows, miss, *rest = (np.concatenate(column) for column in zip(*parts, strict=True))
            first = _first_of(rows, miss, rest[0])
            found[:, rows[first]] = [column[first] for column in rest]
        return found

    def is_flat(self) -> Flags:
        """Return where no value of the lever that was scanned changes the AV."""
        av = self.runs[0].av
        return np.asarray(np.nanmax(av, axis=1, initial=-np.inf) - np.nanmin(av, axis=1, initial=np.inf) <= _FLAT)

    def is_hidden(self) -> Flags:
        """Return where the goal may be met among values that have no AV."""
        hidden = np.zeros(self.n, bool)
        for pairs in self.closed:
            hidden[pairs.rows[pairs.is_broken]] = True
        run = self.runs[0]
        for gap in run.gaps:
            has = ~np.isnan(gap)
            before = np.maximum.accumulate(np.where(has, np.arange(gap.shape[1]), -1), axis=1)[:, :-1]
            with np.errstate(invalid="ignore"):
                inside = gap >= 0
            at_before = np.take_along_axis(inside, np.maximum(before, 0), axis=1)
            hidden[run.rows] |= (has[:, 1:] & (before >= 0) & (at_before != inside[:, 1:]) & ~has[:, :-1]).any(axis=1)
        return hidden


def _is_passed(gap: Floats, width: Floats) -> Flags:
    """Return between which neighbors a gap closes when it goes on as it came, from the left or from the right."""
    step = np.diff(gap, axis=1)
    passed = np.zeros(step.shape, bool)
    start = gap[:, 1:-1]  # between the cell whose slope goes on and the one it goes on into
    for into, of, way in ((np.s_[:, 1:], np.s_[:, :-1], 1), (np.s_[:, :-1], np.s_[:, 1:], -1)):
        cells = np.minimum(width[into] / np.where(width[of] > 0, width[of], np.inf), _PROLONGED)
        passed[into] |= (start + way * step[of] * cells) * start <= 0
    return passed


def _is_turn(gap: Floats) -> Flags:
    """Return at which values a gap stops closing, no farther from the goal than it moved on one side."""
    left, middle, right = (np.abs(gap[:, k : gap.shape[1] - 2 + k]) for k in range(3))
    is_least = (middle <= left) & (middle <= right)
    return np.asarray(is_least & (middle <= np.maximum(left - middle, right - middle)))


def _first_of(rows: Rows, *keys: NDArray[Any]) -> Rows:
    """Return the position of each row's first entry by some keys, the most important first."""
    order = np.lexsort((*reversed(keys), rows))
    is_first = np.append(np.ones(min(len(rows), 1), bool), np.diff(rows[order]) > 0)
    return np.asarray(order[is_first], np.int64)
