"""Numbers of a filing: decimals of 34 digits, read as they were written; nothing is rounded on the way."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any

import numpy as np

from data_specs.errors import InputRefused

__all__ = ["CONTEXT", "DIGITS", "exact", "exact_or_blank", "number_text", "rounded"]

DIGITS = 34
CONTEXT = Context(prec=DIGITS, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
_LONGEST = 60  # characters of a number as text; beyond, it is no figure of a filing
_PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")


def exact(value: Any, name: str) -> Decimal:
    """Return one number as the decimal that is written; a float as its shortest text.

    Parameters
    ----------
    value : Decimal, int, text or float
        ``"0.0250"``, ``24.6``.
    name : str
        What messages call it.

    Raises
    ------
    InputRefused
        It is absent, no plain decimal number, or not finite.

    Examples
    --------
    >>> exact(0.1, "trend"), exact("1.0450", "trend"), exact(12, "member months")
    (Decimal('0.1'), Decimal('1.0450'), Decimal('12'))
    >>> exact("1,000", "member months")
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: member months is not a plain decimal number ...
    """
    if isinstance(value, Decimal):
        if value.is_finite():
            return CONTEXT.plus(value) if len(value.as_tuple().digits) > DIGITS else value
        raise _refused(name, "is not a finite number")
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, str, np.integer, np.floating)):
        raise _refused(name, "is absent" if value is None else f"is a {type(value).__name__}, not a number")
    text = str(value).strip()
    if len(text) > _LONGEST or not _PLAIN.fullmatch(text):
        raise _refused(name, "is not a plain decimal number")
    return CONTEXT.create_decimal(text)


def exact_or_blank(value: Any, name: str) -> Decimal | None:
    """Return a number as :func:`exact` does, or None for a blank: None, or a text without characters.

    Examples
    --------
    >>> exact_or_blank(None, "av_metal"), exact_or_blank(" ", "av_metal"), exact_or_blank("0", "av_metal")
    (None, None, Decimal('0'))
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return exact(value, name)


def rounded(value: Decimal, decimals: int) -> Decimal:
    """Return a number to so many decimals, halves away from zero.

    Examples
    --------
    >>> rounded(Decimal("1.04565"), 4), rounded(Decimal("-0.00005"), 4)
    (Decimal('1.0457'), Decimal('-0.0001'))
    """
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=CONTEXT)


def number_text(value: Decimal | None, digits: int = 12) -> str:
    """Return a number for a reader: at most so many significant digits, no exponent; "" for a blank.

    Examples
    --------
    >>> number_text(Decimal("601.7848114145228934")), number_text(Decimal("126000")), number_text(None)
    ('601.784811415', '126000', '')
    """
    if value is None:
        return ""
    shown = value if len(value.as_tuple().digits) <= digits else Context(prec=digits).plus(value)
    return f"{shown:f}"


def _refused(name: str, what: str) -> InputRefused:
    return InputRefused(
        f"{name} {what}",
        where=name,
        rule="a figure of a filing is a finite decimal number; absent is not zero, and left out or None",
        remedy="write digits, a sign and one point: 1.045, not 104.5% or $1.05",
    )
