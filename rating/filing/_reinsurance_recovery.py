"""The projected reinsurance of a filing, from a program's payments for a claim list."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from rating._money import money_series, portion, read_money
from rating.filing._numbers import CONTEXT, exact, number_text

if TYPE_CHECKING:
    import polars as pl

    from riskadjust import Reinsurance

__all__ = ["claims_of_the_plan_year", "reinsurance_pmpm"]

_MICRO = 1_000_000
_DRAWS = 1000
_IDS = ("enrollee_id", "issuer_id", "rating_area_id")


def reinsurance_pmpm(
    reinsured: Reinsurance,
    *,
    member_months: Any,
    issuer_id: str | None = None,
    seed: int | None = None,
    draws: int = _DRAWS,
) -> dict[str, Any]:
    """Return the assumption ``proj_reinsurance_paid``: payments per projected member month, a receipt positive.

    ``payments / member months``, on the paid basis; :func:`rating.filing.develop` brings it to the allowed one.

    Parameters
    ----------
    reinsured : Reinsurance
        Of :func:`riskadjust.reinsurance`, over claims of the plan year: layers do not move with trend.
    member_months : number
        Those that the claims are for, of people without claims too.
    issuer_id : str, optional
        Whose payments, where the claims of several issuers were handed in.
    seed : int, optional
        With it the note holds the interval in which nine of ten draws of as many people lie.
    draws : int
        How many, 1,000 without it.

    Returns
    -------
    dict
        ``value`` (Decimal, USD PMPM), ``source``, ``note``.

    Raises
    ------
    InputRefused
        No payment of the issuer is there, or no member months.

    Notes
    -----
    Source: 45 CFR 156.80(d)(1) (market-wide adjustments to the index rate); programs of states under section 1332.

    Examples
    --------
    >>> import polars as pl
    >>> from riskadjust import reinsurance
    >>> claims = pl.DataFrame({"issuer_id": ["1", "1"], "enrollee_id": ["a", "b"], "plan_paid": [80_000, 500]})
    >>> paid = reinsurance(claims, benefit_year=2025, program="state", state="OH", layers=[(50_000, 250_000, 0.5)])
    >>> found = reinsurance_pmpm(paid, member_months=24)
    >>> found["value"], found["source"]
    (Decimal('625.00'), 'state reinsurance of OH, terms of 2025: 15000.00 USD')
    """
    months = exact(member_months, "member_months")
    if months <= 0:
        raise InputRefused("there are no member months", where="member_months", remedy="give the projected ones")
    issuers = reinsured.issuers
    if issuer_id is not None:
        issuers = issuers.filter(issuers["issuer_id"] == issuer_id)
    if issuers.height == 0:
        raise InputRefused(
            "no claims of the issuer were reinsured",
            where="claims, column issuer_id",
            rule="absent is not zero",
            remedy="name an issuer of the claims, or leave issuer_id out",
        )
    total = sum(issuers["payment"].to_list(), Decimal(0))
    row = reinsured.totals.row(0, named=True)
    of_state = f"state reinsurance of {row['state']}" if row.get("state") else "transitional reinsurance"
    notes = [f"over {number_text(months)} member months, paid basis"]
    if row["proration"] < 1:
        notes.append(f"payments scaled to the budget by {row['proration']:.6f}")
    if seed is not None:
        notes.append(_interval(reinsured, months, issuer_id, seed, draws))
    return {
        "value": CONTEXT.divide(total, months),
        "source": f"{of_state}, terms of {reinsured.benefit_year}: {number_text(total, 18)} USD",
        "note": "; ".join(notes),
    }


def _interval(reinsured: Reinsurance, months: Decimal, issuer_id: str | None, seed: int, draws: int) -> str:
    import polars as pl

    effect = reinsured.premium_effect(member_months=months, seed=seed, draws=draws, issuer_id=issuer_id)
    row = effect.effects.row(by_predicate=pl.col("measure") == "recovery_pmpm", named=True)
    ends = f"{row['lower']:.2f} to {row['upper']:.2f}"
    return f"{ends} in nine of ten draws of as many people (seed {seed}, {draws} draws)"


def claims_of_the_plan_year(claims: pl.DataFrame, *, issuer_id: str, factor: Any = 1) -> pl.DataFrame:
    """Return a claim list with issuer_id, and plan_paid (dollars, half up to the cent) times a factor.

    Raises
    ------
    InputRefused
        A column is missing, an amount is blank or none, or the factor is not above zero.

    Examples
    --------
    >>> import polars as pl
    >>> list_of_claims = pl.DataFrame({"enrollee_id": ["a"], "plan_paid": ["100.01"]})
    >>> claims_of_the_plan_year(list_of_claims, issuer_id="1", factor="1.07")["plan_paid"].to_list()
    [Decimal('107.01')]
    """
    import polars as pl

    _frames.need_columns(claims, "claims", ("enrollee_id", "plan_paid"))
    times = Fraction(exact(factor, "factor"))
    if not 0 < times < _MICRO:
        raise InputRefused("the factor is not above zero", where="factor", remedy="write 1.07 for 7 percent more")
    money = read_money(claims, "claims", "plan_paid")
    if money.is_unreadable.any() or not money.is_given.all():
        raise InputRefused(
            "plan_paid is blank or no amount",
            where="claims, column plan_paid",
            rule="absent is not zero",
            remedy="write dollars as plain numbers; 0.00 where nothing was paid",
        )
    micro = round(times * _MICRO)
    cents = portion(money.cents, np.full(claims.height, micro, np.int64), _MICRO)
    names = {name: _frames.text_column(claims, "claims", name) for name in _IDS if name in claims.columns}
    found = claims.with_columns(*names.values(), money_series("plan_paid", cents))
    return found if "issuer_id" in names else found.with_columns(pl.lit(issuer_id).alias("issuer_id"))
