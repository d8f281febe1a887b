"""Rules applied in order: what weight every member line keeps where it is, and what of it moves to which plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._mix_base import MixBase
from riskadjust._mix_households import totals
from riskadjust._mix_rules import Rule
from riskadjust._mix_segments import Segments

__all__ = ["RuleEffect", "Weights", "weights_of"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class RuleEffect:
    """What one rule did: enrollees and weighted member months it picked out, months that left or came, months moved."""

    enrollees: int
    months_before: float
    months_after: float
    months_moved: float


@dataclass(frozen=True)
class Weights:
    """The weights of one mix.

    Attributes
    ----------
    own : array of float
        Weight of each line on the plan where it is in the base; 1 throughout in the base itself.
    line, plan, weight : array
        Lines that are on other plans, by line and plan, without repeats; weights above 0.
    effects : list of RuleEffect
        What each rule did.
    """

    own: Floats
    line: Integers
    plan: Integers
    weight: Floats
    effects: list[RuleEffect]

    def of_lines(self) -> Floats:
        """Return the weight of each line on all plans together."""
        if len(self.line) == 0:
            return self.own
        return np.asarray(self.own + totals(self.line, self.weight, len(self.own)))


def weights_of(rules: list[Rule], segments: Segments, base: MixBase, plan_numbers: dict[str, int]) -> Weights:
    """Return the weights that the rules of one mix leave, applied in order.

    A rule acts on a line wherever the rules before it left it: what has moved is tested with the plan, the metal level
    and the variant that it moved to. A move takes the share `factor` of the months to the plan; those who are there
    already stay.

    Raises
    ------
    InputRefused
        A rule moves enrollees out of their state or market.
    """
    nobody = np.zeros(0, np.int64)
    own, line, plan, weight = np.ones(len(base.plan)), nobody, nobody, np.zeros(0)
    effects = []
    thirtieths = base.thirtieths
    for rule in rules:
        chosen = segments.of_lines(rule)
        moved = np.flatnonzero(segments.of_moved(rule, line, plan)) if len(line) else nobody
        here, there = own[chosen], weight[moved]
        before = (_sum(here * thirtieths[chosen]) + _sum(there * thirtieths[line[moved]])) / 30
        touched = _enrollees(base, chosen[here > 0], line[moved[there > 0]])
        gone = 0.0
        if rule.action == "scale":
            own[chosen] = here * rule.factor
            weight[moved] = there * rule.factor
        else:
            target = plan_numbers[rule.to_plan_id]
            _check_place(rule, base, target, chosen, line[moved])
            chosen = chosen[(base.plan[chosen] != target) & (here > 0)]
            moved = moved[(plan[moved] != target) & (there > 0)]
            arriving = np.concatenate([chosen, line[moved]])
            shares = np.concatenate([own[chosen], weight[moved]]) * rule.factor
            gone = _sum(shares * thirtieths[arriving]) / 30
            # 1 - 1 is exactly 0: whoever moves altogether is not there any more.
            own[chosen] *= 1.0 - rule.factor
            weight[moved] *= 1.0 - rule.factor
            own, line, plan, weight = _joined(base, target, (own, line, plan, weight), arriving, shares)
        after = before * rule.factor if rule.action == "scale" else before
        effects.append(RuleEffect(touched, before, after, gone))
    kept = weight > 0
    return Weights(own, line[kept], plan[kept], weight[kept], effects)


def _sum(values: Floats) -> float:
    # Not a dot product: its order of addition depends on the number of threads.
    return float(np.sum(values))


def _enrollees(base: MixBase, own: Integers, moved: Integers) -> int:
    there = np.zeros(int(base.enrollee.max(initial=-1)) + 1, bool)
    there[base.enrollee[own]] = True
    there[base.enrollee[moved]] = True
    return int(there.sum())


def _check_place(rule: Rule, base: MixBase, target: int, chosen: Integers, moved: Integers) -> None:
    """Refuse a move out of the plan's state or market."""
    is_home = base.place == base.place[target]
    away = sum(int((~is_home[base.plan[lines]]).sum()) for lines in (chosen, moved))
    if away:
        raise InputRefused(
            f"{away} lines of enrollees of another state or market would move to plan {rule.to_plan_id}",
            where=f"mixes, row {rule.rows[0]}",
            rule="enrollees move within their state and market",
            remedy="add a condition on state and market to the rule",
        )


def _joined(
    base: MixBase,
    target: int,
    cells: tuple[Floats, Integers, Integers, Floats],
    arriving: Integers,
    shares: Floats,
) -> tuple[Floats, Integers, Integers, Floats]:
    """Return the weights with what arrives at a plan added; who comes home is a line of its own plan again."""
    own, line, plan, weight = cells
    is_home = base.plan[arriving] == target
    np.add.at(own, arriving[is_home], shares[is_home])
    arriving, shares = arriving[~is_home], shares[~is_home]
    # Seldom does a line come twice: from two plans at once, or after it came before.
    met = np.zeros(len(own), np.int64)
    np.add.at(met, arriving, 1)
    met[line[plan == target]] += 1
    may_repeat = bool((met[arriving] > 1).any())
    line = np.concatenate([line, arriving])
    plan = np.concatenate([plan, np.full(len(arriving), target, np.int64)])
    weight = np.concatenate([weight, shares])
    if not may_repeat:
        return own, line, plan, weight
    number = len(base.place)
    keys, place = np.unique(line * number + plan, return_inverse=True)
    return own, keys // number, keys % number, totals(place, weight, len(keys))
