"""Whether a number of a filing follows from the other numbers filed: recomputed by its formula, with roundings."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, DivisionByZero, InvalidOperation

from rating.filing._formulas import OVER_MARKET, render_text
from rating.filing._ledger import MARKET, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import number_text
from rating.review._checks import FINDING, NOT_APPLICABLE, NOT_EVALUATED, PASS, Check, Result
from rating.review._review_input import ReviewInput

__all__ = ["absent", "agrees", "named", "reproduces", "unevaluated"]

_SHOWN = 3  # blanks that a message names


def reproduces(case: ReviewInput, check: Check, key: Key, model: FilingModel | None = None, under: str = "") -> Result:
    """Return whether the formula of a number gives it, from the numbers as filed.

    Parameters
    ----------
    case, check
        The filing, and the check with its threshold.
    key : (name, place)
        The number.
    model : FilingModel, optional
        The numbers with a formula in force that the filing may have been made under; default: the filing's own.
    under : str
        That formula in words, for the message.

    Returns
    -------
    Result
        ``not_evaluated`` when the number or a part of it is absent, a cell holds an error, or the formula divides by
        zero; ``not_applicable`` when nothing can be worked out and nothing is filed (a PMPM without member months).
        A sum that agrees without its absent terms passes; one that does not might with them, and is not evaluated.
    """
    model = model or case.model
    parts = model.inputs(*key)
    broken = [k for k in (key, *parts) if k in case.unreadable]
    if broken:
        return unevaluated(case, key, f"the cell holds an error: {named(broken)}")
    try:
        recomputed = model.computed(*key)
        blanks = [k for k in parts if model.value(*k) is None and not case.may_be_blank(k)]
    except (DivisionByZero, InvalidOperation):
        return unevaluated(case, key, "the formula divides by zero")
    filed = model.value(*key)
    if recomputed is None:
        return _nothing_to_compare(case, key, filed, blanks)
    if filed is None:
        return absent(case, key)
    roundings = _roundings(case, model, key, filed, parts, recomputed)
    # A blank times zero is zero whatever it is: only a blank that another number would change anything for counts.
    mattering = [k for k in blanks if model.changed({k: Decimal(1)}).computed(*key) != recomputed]
    formula = f" = {_with_numbers(model, key)}" + (f" ({under})" if under else "")
    return agrees(key, filed, recomputed, check.allowed(recomputed) + roundings, formula=formula, blanks=mattering)


def agrees(
    key: Key, filed: Decimal, recomputed: Decimal, allowed: Decimal, *, formula: str = "", blanks: Iterable[Key] = ()
) -> Result:
    """Return whether a filed number is as near to the recomputed one as is allowed; `blanks` were left out of it."""
    difference = filed - recomputed
    left_out = list(blanks)
    if abs(difference) <= allowed:
        return Result(PASS, *key, formula.strip(" ="), filed, recomputed, allowed)
    if left_out:
        return Result(NOT_EVALUATED, *key, f"absent: {named(left_out)}", filed, recomputed, allowed)
    message = (
        f"{named([key])} is {number_text(filed)}; recomputed {number_text(recomputed)}{formula}; "
        f"{number_text(abs(difference), 6)} apart, {number_text(allowed, 6)} allowed"
    )
    return Result(FINDING, *key, message, filed, recomputed, allowed)


def absent(case: ReviewInput, key: Key) -> Result:
    """Return the result of a check whose number is not there."""
    return unevaluated(case, key, f"absent: {named([key])}")


def unevaluated(case: ReviewInput, key: Key, why: str) -> Result:
    """Return the result of a check that could not look."""
    return Result(NOT_EVALUATED, *key, why, case.model.value(*key))


def named(keys: Iterable[Key]) -> str:
    """Return names with their places for a message; the first few of many.

    Examples
    --------
    >>> named([("exp_premium", "12345XX0010001"), ("exp_premium_total", "")])
    'exp_premium of 12345XX0010001, exp_premium_total'
    """
    texts = [f"{name} of {place}" if place else name for name, place in keys]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def _nothing_to_compare(case: ReviewInput, key: Key, filed: Decimal | None, blanks: list[Key]) -> Result:
    if blanks:
        return unevaluated(case, key, f"absent: {named(blanks)}")
    why = "nothing can be worked out: what it is divided by is zero or absent"
    if not filed:
        return Result(NOT_APPLICABLE, *key, why, filed)
    return Result(FINDING, *key, f"{named([key])} is {number_text(filed)}, but {why}", filed)


def _roundings(
    case: ReviewInput, model: FilingModel, key: Key, filed: Decimal, parts: tuple[Key, ...], recomputed: Decimal
) -> Decimal:
    """Return how far a filed number may be off because it, or a part of it, was rounded where it was computed."""
    total = case.rounding(key, filed)
    for part in parts:
        value = model.value(*part)
        if value is None:
            continue
        step = case.rounding(part, value)
        if step:
            moved = [model.changed({part: value + way}).computed(*key) for way in (step, -step)]
            total += max((abs(m - recomputed) for m in moved if m is not None), default=Decimal(0))
    return total


def _with_numbers(model: FilingModel, key: Key) -> str:
    """Return the formula of a number with the numbers in it; sums keep their names."""
    formula = model.formula(*key)
    if formula is None:
        return ""

    def shown(name: str, over: str) -> str:
        if over not in ("", OVER_MARKET):
            return name
        return number_text(model.value(name, MARKET if over == OVER_MARKET else key[1])) or "blank"

    return render_text(formula.tree, shown)
