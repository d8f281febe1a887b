"""Units and the rounding rules by name: thousandths, cents, completed years, days."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

__all__ = ["MILLI_PER_POINT", "half_up_div", "to_scaled_integer"]

MILLI_PER_POINT = 1000  # a risk score of 1.000 is 1,000 thousandths


def to_scaled_integer(text: str, digits: int) -> int:
    """Return a published decimal as an integer of `digits` decimals, rounded half up.

    Parameters
    ----------
    text : str
        The number as published, for example ``"0.287667"``.
    digits : int
        Decimals kept: 3 for risk scores, 2 for dollars, 4 for factors.

    Raises
    ------
    ValueError
        When the text is not a finite decimal number.

    Examples
    --------
    >>> to_scaled_integer("0.287667", 3), to_scaled_integer("-5.4035", 3)
    (288, -5404)
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("not a decimal number") from None
    if not number.is_finite():
        raise ValueError("not a finite number")
    return int(number.scaleb(digits).to_integral_value(rounding=ROUND_HALF_UP))


def half_up_div(numerator: int, denominator: int) -> int:
    """Return ``numerator / denominator`` rounded to an integer, halves away from zero.

    Examples
    --------
    >>> half_up_div(5, 2), half_up_div(-5, 2), half_up_div(4, 3)
    (3, -3, 1)
    """
    if denominator <= 0:
        raise ValueError("the denominator must be positive")
    quotient, rest = divmod(abs(numerator), denominator)
    quotient += 2 * rest >= denominator
    return quotient if numerator >= 0 else -quotient
