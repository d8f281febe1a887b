"""The projected risk adjustment of a filing, from a settlement or an estimate of transfers."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating.filing._numbers import CONTEXT, exact, number_text

if TYPE_CHECKING:
    from riskadjust import Estimate, Transfers

__all__ = ["risk_adjustment_pmpm"]


def risk_adjustment_pmpm(
    settled: Transfers | Estimate,
    *,
    member_months: Any,
    issuer_id: str | None = None,
    net_of_user_fee: bool = False,
) -> dict[str, Any]:
    """Return the assumption ``proj_risk_adjustment_paid``: transfers per projected member month, a receipt positive.

    ``transfers / member months``, over all enrollees, charged or not: worksheet 1 divides by those, the transfer
    formula by billable ones. It is on the paid basis; :func:`rating.filing.develop` brings it to the allowed one.

    Parameters
    ----------
    settled : Transfers or Estimate
        Of :func:`riskadjust.transfers` (then with `issuer_id`) or :func:`riskadjust.estimate_transfers`: of the single
        risk pool's plans, and of the projected year.
    member_months : number
        The projected member months that the transfers are for.
    issuer_id : str, optional
        Whose transfers, of a settlement of several issuers.
    net_of_user_fee : bool
        Whether the user fee of risk adjustment is taken off. Not (default) where plans have it in ``pct_taxes_fees``:
        counted in both places, it would be charged twice.

    Returns
    -------
    dict
        ``value`` (Decimal, USD PMPM), ``source``, ``note``.

    Raises
    ------
    InputRefused
        The issuer is not in the settlement or has no transfer; no user fee is held for the year; no member months.

    Notes
    -----
    Source: 45 CFR 156.80(d)(1): the index rate is adjusted for expected risk adjustment. Whether its user fee stands in
    this line or in taxes and fees differs between filings.

    Examples
    --------
    >>> import polars as pl
    >>> from riskadjust import estimate_transfers
    >>> own = pl.DataFrame({"plan_id": ["A"], "metal_level": ["silver"], "billable_member_months": [1000.0],
    ...     "plrs": [1.65], "arf": [1.6], "gcf": [1.0]})
    >>> averages = {"state_avg_premium_net_admin_pmpm": 500, "avg_plrs": 1.5, "avg_arf": 1.6, "avg_av": 0.7,
    ...     "avg_idf": 1.03}
    >>> estimate = estimate_transfers(own, benefit_year=2024, averages=averages, risk_pool="individual")
    >>> found = risk_adjustment_pmpm(estimate, member_months=1040)
    >>> round(found["value"], 4), found["source"]
    (Decimal('48.0769'), 'estimated transfers of 2024: 50000.00 USD')
    """
    months = exact(member_months, "member_months")
    if months <= 0:
        raise InputRefused("there are no member months", where="member_months", remedy="give the projected ones")
    is_estimate = not hasattr(settled, "issuers")
    frame = settled.total if is_estimate else settled.issuers  # type: ignore[union-attr]
    if not is_estimate:
        frame = frame.filter(frame["issuer_id"] == str(issuer_id))
    columns = ["transfer", "user_fee"] if net_of_user_fee else ["transfer"]
    amounts = [amount for column in columns for amount in frame[column].to_list()]
    if not amounts or None in amounts:
        raise InputRefused(
            "no transfer, or no user fee, is settled for the issuer",
            where="columns " + ", ".join(columns),
            rule="absent is not zero",
            remedy="name an issuer of the settlement in issuer_id; without a user fee leave net_of_user_fee out",
        )
    total = sum(amounts, Decimal(0))
    kind = ("estimated" if is_estimate else "settled") + " transfers" + (" less user fees" if net_of_user_fee else "")
    return {
        "value": CONTEXT.divide(total, months),
        "source": f"{kind} of {settled.benefit_year}: {number_text(total, 18)} USD",
        "note": f"over {number_text(months)} member months, paid basis",
    }
