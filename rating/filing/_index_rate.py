"""Steps 1 to 6: from experience totals to the market adjusted index rate.

1 PMPM of the experience; 2 index rate of the experience period; 3 trended, 4 adjusted EHB claims; 5 projected index
rate, a blend with the manual rate; 6 market adjusted index rate: less reinsurance and risk adjustment on an allowed
basis, then the exchange user fee. The expressions are rows of ``filing/urrt_formulas``; here is what they need first: a
new issuer's zeros, the fee's basis, and what must be there. Source: 45 CFR 156.80(d)(1).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import numpy as np

from data_specs.errors import InputRefused
from rating.filing._credibility import credibility
from rating.filing._draft import Draft
from rating.filing._filing_input import check_limits, is_within
from rating.filing._findings import refusal
from rating.filing._formulas import CATEGORIES, category_of
from rating.filing._ledger import MARKET, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import exact, number_text

__all__ = [
    "CALIBRATIONS",
    "EXCHANGE_TYPES",
    "check_index_rate",
    "check_market",
    "check_trends",
    "give_credibility",
    "give_exchange_fee",
    "give_no_experience",
    "missing_of_market",
]

FEE_TABLE = "filing/exchange_user_fees"
EXCHANGE_TYPES = ("FFE", "SBE-FP", "SBE")
_NONE = "no experience: no member months"
CALIBRATIONS = ("calib_age", "calib_geo", "calib_tobacco")
_FAR_TREND = Decimal("0.5")  # rule PRC-027


def give_no_experience(draft: Draft) -> bool:
    """Give a new issuer the zeros of its experience; return whether there is experience.

    With zero member months the PMPM of step 1 stay blank, steps 2 to 4 are 0, credibility is 0, and the manual rate is
    the projected index rate.

    Raises
    ------
    InputRefused
        The member months of the experience are not given; they are zero, and claims or credibility are not.
    """
    months = draft.value("exp_member_months")
    if months is None:
        raise refusal(
            "PRC-004",
            "exp_member_months: no value",
            "assumptions",
            "hand in experience, or exp_member_months itself; a new issuer writes 0",
        )
    if months > 0:
        return True
    for name in (*(f"ep_index_rate_{category}" for category in CATEGORIES), "credibility"):
        if draft.value(name):
            raise refusal("PRC-013", f"{name} is not zero", "assumptions", "without member months it is 0 or left out")
        if not draft.has(name):
            draft.give(name, 0, _NONE)
    return False


def give_credibility(draft: Draft) -> None:
    """Give the credibility by the declared standard, where there is one; a given credibility wins and says so."""
    full, months = draft.chosen.full_credibility_member_months, draft.value("exp_member_months")
    if full is None or months is None:
        return
    found = credibility(months, full_standard=full, source="setting full_credibility_member_months")
    for entry in found.entries(draft.chosen.factor_decimals):
        draft.offer(entry)


def give_exchange_fee(draft: Draft, exchange_type: str | None) -> None:
    """Give the published exchange user fee, and see that the fee's basis is clear.

    ``exchange_fee_pct`` is effective: no share is applied to it again. The published fee is charged on premium sold
    through the exchange only, so it needs the projected on-exchange share of premium, which is never assumed.

    Raises
    ------
    InputRefused
        No fee is given; a published fee comes without the on-exchange share; the type of exchange is not known.
    """
    if exchange_type is not None and exchange_type not in EXCHANGE_TYPES:
        raise refusal(
            "PRC-014", "exchange_type is not known", "assumptions, exchange_type", "one of " + ", ".join(EXCHANGE_TYPES)
        )
    if draft.chosen.user_fee_convention == "amount":
        if not draft.has("exchange_fee_pmpm"):
            raise refusal(
                "PRC-014", "exchange_fee_pmpm: no value", "assumptions", "the convention `amount` takes dollars PMPM"
            )
        if draft.has("exchange_fee_pct") or draft.has("published_exchange_fee_pct") or exchange_type:
            draft.findings.add("PRC-015", "assumptions", "a fee in percent is not used under the convention `amount`")
        return
    if draft.has("exchange_fee_pmpm"):
        said = f"exchange_fee_pmpm is not used under the convention `{draft.chosen.user_fee_convention}`"
        draft.findings.add("PRC-015", "assumptions", said)
    if draft.has("exchange_fee_pct"):
        if draft.has("on_exchange_premium_share"):
            draft.findings.add("PRC-015", "assumptions", "exchange_fee_pct is effective: no share is applied to it")
        if draft.has("published_exchange_fee_pct") or exchange_type:
            said = "the published fee is not used: exchange_fee_pct, the effective one, is given"
            draft.findings.add("PRC-015", "assumptions", said)
    else:
        _give_published(draft, exchange_type)


def _give_published(draft: Draft, exchange_type: str | None) -> None:
    if not draft.has("published_exchange_fee_pct"):
        if exchange_type is None or exchange_type not in EXCHANGE_TYPES[:2]:
            raise refusal(
                "PRC-014",
                "there is no exchange user fee",
                "assumptions",
                "give exchange_fee_pct (effective; 0 where nothing is sold through an exchange), or "
                "published_exchange_fee_pct or exchange_type (FFE, SBE-FP) with on_exchange_premium_share",
            )
        _give_from_table(draft, exchange_type)
    if not draft.has("on_exchange_premium_share"):
        raise refusal(
            "PRC-014",
            "on_exchange_premium_share: no value",
            "assumptions",
            "the published fee is charged on premium sold through the exchange: give the projected share, 1 only "
            "where all of it is",
        )


def _give_from_table(draft: Draft, exchange_type: str) -> None:
    year = draft.identity.plan_year
    rows = draft.figures.rows(FEE_TABLE, year)
    row = rows.filter(rows["exchange_type"] == exchange_type)
    if row.height == 0:
        raise InputRefused(
            f"no fee of {exchange_type} is held for {year}",
            where=FEE_TABLE,
            rule="a published fee is never guessed",
            remedy="give published_exchange_fee_pct",
        )
    draft.figures.took_part(FEE_TABLE, row, ["plan_year", "exchange_type"], np.array([1]), "market_adjusted_index_rate")
    fee = exact(row["fee_pct_of_premium"][0], "fee_pct_of_premium")
    draft.give("published_exchange_fee_pct", fee, f"{FEE_TABLE}, {year}, {exchange_type}", note=str(row["source"][0]))


def missing_of_market(draft: Draft, model: FilingModel, has_experience: bool) -> list[str]:
    """Return the quantities of the market that must have a value and have none."""
    missing = []
    for name in model.formulas.names("market"):
        quantity = model.formulas.quantity(name, "market")
        assert quantity is not None
        is_needed = quantity.needed == "always" or (quantity.needed == "experience" and has_experience)
        category = category_of(name)
        if category and name.startswith("trend_"):  # a category without claims needs no trend
            is_needed = is_needed and model.value(f"ep_index_rate_{category}") != 0
        if is_needed and model.value(name) is None:
            missing.append(name)
    credibility = model.value("credibility")
    if credibility is not None and credibility < 1 and model.value("manual_ehb") is None:
        missing.append("manual_ehb")
    paid = [n for n in ("reinsurance", "risk_adjustment") if f"proj_{n}" in missing and draft.has(f"proj_{n}_paid")]
    return [*missing, "paid_to_allowed_ratio"] if paid else missing


def check_market(draft: Draft, model: FilingModel) -> None:
    """Refuse what a rate cannot rest on: a fee of all of premium, results of formulas outside of their limits.

    Raises
    ------
    InputRefused
        A number that follows from others, and that a rate follows from, is outside of its limits; the fee is one.
    """
    fee = model.value("exchange_fee_pct")
    if fee is not None and fee >= 1:
        raise refusal("PRC-014", "exchange_fee_pct is one or more", "assumptions", "write a fraction: 0.025")
    behind: dict[Key, None] = {}
    _collect(model, [("market_adjusted_index_rate", MARKET), *((name, MARKET) for name in CALIBRATIONS)], behind)
    for name in model.formulas.names("market"):
        quantity = model.formulas.quantity(name, "market")
        if quantity is None or not quantity.limits or (name, MARKET) in model.given:
            continue
        where = f"{name} = {model.with_numbers(name)}"
        if (name, MARKET) in behind:
            value = model.value(name)
            if value is not None:
                check_limits(name, quantity.limits, value, where)
        elif not is_within(quantity.limits, model.value(name)):
            draft.findings.add("PRC-028", where, "outside of its limits; no rate rests on it")


def _collect(model: FilingModel, keys: Iterable[Key], found: dict[Key, None]) -> None:
    """Put down numbers and all that they are worked out from, up to what is given."""
    for key in keys:
        if key not in found:
            found[key] = None
            _collect(model, () if key in model.given else model.inputs(*key), found)


def check_trends(draft: Draft) -> None:
    """Put down trend factors so far from 1 that a rate may stand where a factor belongs."""
    for (name, place), entry in draft.entries.items():
        is_trend = place == MARKET and name.startswith("trend_y")
        if is_trend and entry.value is not None and abs(entry.value - 1) > _FAR_TREND:
            said = f"{number_text(entry.value)}: a factor is 1 plus the trend"
            draft.findings.add("PRC-027", f"assumptions, {name}", said)


def check_index_rate(draft: Draft, model: FilingModel) -> None:
    """Refuse a market adjusted index rate that prices nothing; say which basis the adjustments stand on.

    Raises
    ------
    InputRefused
        It is zero or negative.
    """
    rate = model.value("market_adjusted_index_rate")
    if rate is None or rate <= 0:
        raise refusal(
            "PRC-016",
            f"the market adjusted index rate is {number_text(rate) or 'blank'}",
            "step 6: market_adjusted_index_rate",
            "check the signs: a receipt of risk adjustment is positive and lowers the rate",
        )
    ratio = model.value("paid_to_allowed_ratio")
    for name in ("proj_reinsurance", "proj_risk_adjustment"):
        value = model.value(name)
        if value and ratio is None:
            said = f"{name} is taken as given on the allowed basis; without paid_to_allowed_ratio the paid one is blank"
            draft.findings.add("PRC-017", "market", said)
        if draft.has(name) and draft.has(f"{name}_paid"):
            _check_basis(draft, model, name, value)


def _check_basis(draft: Draft, model: FilingModel, name: str, value: Any) -> None:
    follows = model.computed(name)
    if follows is not None and value is not None and abs(follows - value) > Decimal("0.005"):
        said = f"{name} {number_text(value)}; paid basis / paid-to-allowed ratio is {number_text(follows)}"
        draft.findings.add("PRC-018", "market", said)
