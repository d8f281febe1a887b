"""Layers of reinsurance: which part of an enrollee's claims is paid, and the exact payment of many enrollees."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_specs._units import half_up_div
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._refusals import LARGEST, rule_text
from riskadjust._transfer_settings import exact_number

__all__ = ["MICRO", "HighCostTerms", "Layer", "Payments", "payments_of", "read_layers"]

Integers = NDArray[np.int64]
MICRO = 1_000_000  # claims are added in millionths of a dollar, so that their order changes nothing
_CENT = 100
_EACH = "(from, to, share) in dollars and as a fraction; to is None where the layer has no end"


@dataclass(frozen=True)
class Layer:
    """Dollars of claims from ``start`` to ``stop`` (None: no end), of which ``share`` is paid."""

    start: Fraction
    stop: Fraction | None
    share: Fraction


@dataclass(frozen=True)
class HighCostTerms:
    """What the high-cost risk pool pays of an enrollee's claims: ``share`` of what lies above ``threshold``."""

    threshold: Fraction
    share: Fraction


def read_layers(given: Any, name: str = "layers") -> tuple[Layer, ...]:
    """Return layers given as (from, to, share), after checking them.

    Raises
    ------
    InputRefused
        Rules REI-004 to REI-006.

    Examples
    --------
    >>> read_layers([(40_000, 250_000, "0.8"), (250_000, None, 1)])[1].share
    Fraction(1, 1)
    """
    if isinstance(given, str) or not isinstance(given, Iterable) or not (layers := list(given)):
        raise _refused("REI-004", name, "there is no layer")
    found = [_layer(each, f"{name}, layer {number}") for number, each in enumerate(layers, 1)]
    for number, (low, high) in enumerate(pairwise(found), 1):
        if low.stop is None or low.stop > high.start:
            raise _refused("REI-005", f"{name}, layers {number} and {number + 1}", "one layer reaches into the next")
    return tuple(found)


def _layer(given: Any, where: str) -> Layer:
    if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != 3:
        raise _refused("REI-004", where, f"a layer is not {_EACH}")
    start, share = _number(given[0], where), _number(given[2], where)
    stop = None if given[1] is None else _number(given[1], where)
    if start < 0 or (stop is not None and stop <= start):
        raise _refused("REI-004", where, "the layer runs backwards, or holds nothing")
    if any((bound * _CENT).denominator != 1 or bound >= LARGEST for bound in (start, stop or Fraction(0))):
        raise _refused("REI-004", where, "a bound is not in whole cents, or not below 1e15")
    if not 0 <= share <= 1:
        raise _refused("REI-006", where, "the coinsurance cannot be")
    return Layer(start, stop, share)


def _number(given: Any, where: str) -> Fraction:
    try:
        return exact_number(given, "layers")
    except SettingRefused:
        raise _refused("REI-004", where, f"{given!r} is no number") from None


def _refused(rule_id: str, where: str, what: str) -> InputRefused:
    return InputRefused(what, where=where, rule=rule_text(rule_id), remedy=f"write each layer as {_EACH}, rising")


@dataclass(frozen=True)
class Payments:
    """Payments before proration: enrollee `position[i]` is paid ``units[i] / per_dollar`` dollars, above zero."""

    position: Integers
    units: list[int]
    per_dollar: int

    def dollars(self, scale: Fraction = Fraction(1)) -> list[float]:
        """Return the payments times a scale, each correctly rounded to a float."""
        up, down = scale.numerator, self.per_dollar * scale.denominator
        return [unit * up / down for unit in self.units]

    def cents(self, scale: Fraction = Fraction(1)) -> list[int]:
        """Return the payments times a scale in whole cents, halves away from zero."""
        up, down = 100 * scale.numerator, self.per_dollar * scale.denominator
        return [half_up_div(unit * up, down) for unit in self.units]

    def exactly(self, position: int, scale: Fraction) -> Fraction:
        """Return one payment times a scale."""
        return Fraction(self.units[position], self.per_dollar) * scale

    def total(self) -> Fraction:
        """Return their exact sum."""
        return Fraction(sum(self.units), self.per_dollar)


def payments_of(
    micro: Integers,
    of_terms: Integers,
    terms: Sequence[tuple[Layer, ...]],
    *,
    high_cost: HighCostTerms | None = None,
    factor: Fraction = Fraction(1),
) -> Payments:
    """Return the exact payments of enrollees.

    Parameters
    ----------
    micro : array of int
        Claims of each enrollee in millionths of a dollar.
    of_terms : array of int
        Which of `terms` holds for the enrollee; -1: not reinsured.
    terms : sequence of layers
        By area, or one for all.
    high_cost : HighCostTerms, optional
        What the high-cost risk pool paid is taken off the claims first.
    factor : Fraction
        Multiplies every payment.

    Examples
    --------
    >>> claims = np.array([100_000 * MICRO, 10 * MICRO])
    >>> found = payments_of(claims, np.array([0, 0]), [read_layers([(45_000, 250_000, "0.8")])])
    >>> found.position.tolist(), found.dollars()
    ([0], [44000.0])
    """
    shares = math.lcm(*(layer.share.denominator for layers in terms for layer in layers))
    fine = high_cost.share.denominator if high_cost else 1
    per_dollar = MICRO * fine * shares * factor.denominator
    positions, units = [], []
    for number, layers in enumerate(terms):
        lowest = int(layers[0].start * MICRO)
        at = np.flatnonzero((of_terms == number) & (micro > lowest))
        claims = _after_high_cost(micro[at], high_cost, fine)
        paid: Any = np.zeros(len(at), dtype=object)
        for layer in layers:
            start, rate = int(layer.start * MICRO * fine), int(layer.share * shares) * factor.numerator
            end = claims if layer.stop is None else np.minimum(claims, int(layer.stop * MICRO * fine))
            paid = paid + np.maximum(end - start, 0) * rate
        is_paid = np.array([unit > 0 for unit in paid], dtype=bool)
        positions.append(at[is_paid])
        units.extend(paid[is_paid].tolist())
    position = np.concatenate(positions)
    order = np.argsort(position)
    return Payments(position[order], [units[i] for i in order.tolist()], per_dollar)


def _after_high_cost(micro: Integers, high_cost: HighCostTerms | None, fine: int) -> Any:
    """Return claims as whole Python numbers of 1 / (MICRO x fine) dollars, less what the high-cost risk pool paid."""
    claims: Any = micro.astype(object)
    if high_cost is None:
        return claims
    threshold = int(high_cost.threshold * MICRO)
    return claims * fine - np.maximum(claims - threshold, 0) * high_cost.share.numerator
