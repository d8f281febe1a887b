"""Arithmetic checks RV-001 to RV-013: whether the computed numbers of a filing follow from the others, as filed.

Each check is one function of the filing and its row of ``filing/reviewer_checks``, and gives a result for every number
it looks at. What is recomputed comes from ``filing/urrt_formulas``, the formulas that a filing is developed with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rating.filing._filing_settings import FilingSettings
from rating.filing._formulas import CATEGORIES
from rating.filing._ledger import MARKET, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import number_text
from rating.review._checks import FINDING, NOT_APPLICABLE, NOT_EVALUATED, PASS, Check, CheckFunction, Result
from rating.review._reproduce import absent, agrees, named, reproduces, unevaluated
from rating.review._review_input import ReviewInput

__all__ = ["ARITHMETIC"]

_INDEX_RATE = "market_adjusted_index_rate"
_CHANGE, _WEIGHT = "cumulative_rate_change", "rate_change_weight"
# Premium volumes a filing may weight its rate changes by; which of them the template takes is open.
_PREMIUMS = ("current_premium", "experience_premium", "projected_premium")
# Worksheet 1 total -> the column of worksheet 2 that adds up to it.
_EXPERIENCE = {
    "exp_allowed_claims_total": "exp_allowed",
    "exp_incurred_claims_total": "exp_incurred",
    "exp_premium_total": "exp_premium",
    "exp_risk_adjustment_total": "exp_risk_adjustment",
    "exp_member_months": "exp_member_months_plan",
}


def pmpm_is_total_over_member_months(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-001: each PMPM of the experience is its total over member months, on worksheet 1 and by plan."""
    for grain, months in (("market", "exp_member_months"), ("plan", "exp_member_months_plan")):
        names = [n for n in case.model.formulas.names(grain) if n.startswith("exp_") and n.endswith("_pmpm")]
        for place in case.places(grain):
            has_none = case.model.value(months, place) == 0
            for name in names:
                if has_none and not case.model.value(name, place):
                    yield Result(NOT_APPLICABLE, name, place, f"no member months: {months} is 0")
                else:
                    yield reproduces(case, check, (name, place))


def categories_add_up_to_the_index_rate(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-002: the experience period index rates of the benefit categories sum to the total."""
    yield reproduces(case, check, ("ep_index_rate_total", MARKET))


def trended_claims_follow_from_trends(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-003: index rate x four trend factors by category, and the sum over categories."""
    for name in (*CATEGORIES, "total"):
        yield reproduces(case, check, (f"trended_ehb_{name}", MARKET))


def adjusted_claims_follow_from_factors(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-004: trended claims x morbidity x demographic shift x plan design x other."""
    yield reproduces(case, check, ("adjusted_trended_ehb", MARKET))


def projected_index_rate_is_the_blend(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-005: credibility x adjusted experience + (1 - credibility) x manual rate."""
    yield reproduces(case, check, ("projected_index_rate", MARKET))


def market_rate_follows_from_a_fee_convention(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-006: projected index rate less reinsurance and risk adjustment, and the user fee by a convention.

    The convention is the declared one. A workbook that was read declares none: any of them will do, and the message
    says which one the filing reproduces. Worksheet 2 copies the number for every plan.
    """
    key = (_INDEX_RATE, MARKET)
    declared = case.filing.chosen.user_fee_convention
    tried = {}
    for convention in FilingSettings.CHOICES["user_fee_convention"]:
        model = case.under({"user_fee_convention": convention}, _INDEX_RATE, "market")
        if model is not None:
            tried[convention] = reproduces(case, check, key, model, convention)
    held = [convention for convention, result in tried.items() if result.result == PASS]
    if not case.is_read and declared in tried:
        yield _with_remark(tried[declared], _reproduced(held))
    else:
        yield _with_remark(_best(tried), _reproduced(held))
    for plan in case.places("plan"):
        copy = (_INDEX_RATE, plan)
        if (copy in case.filing.ledger or copy in case.unreadable) and plan not in case.terminated:
            yield _copied(case, check, key, plan)


def plan_rate_follows_from_plan_factors(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-007: market adjusted index rate x plan factors / (1 - retention), field 3.11 of every plan."""
    yield from _of_offered_plans(case, check, "plan_adjusted_index_rate")


def calibrated_rate_follows_from_calibration(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-008: 3.11 x 3.12 x 3.13 x 3.14 is 3.15; the zero of a terminated plan is not evaluated."""
    yield from _of_offered_plans(case, check, "calibrated_plan_adjusted_index_rate")


def experience_of_plans_adds_up(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-009: allowed, incurred, premium, risk adjustment and member months of worksheet 2 sum to worksheet 1."""
    for total, column in _EXPERIENCE.items():
        key = (total, MARKET)
        parts = [(column, plan) for plan in case.places("plan")]
        broken = [k for k in (key, *parts) if k in case.unreadable]
        filed = case.model.value(*key)
        given = [value for value in (case.model.value(*part) for part in parts) if value is not None]
        if broken:
            yield unevaluated(case, key, f"the cell holds an error: {named(broken)}")
        elif not filed and not given and all(case.may_be_blank(part) for part in parts):
            yield Result(NOT_APPLICABLE, *key, "no experience: every plan is new", filed)
        elif filed is None:
            yield absent(case, key)
        elif not given:
            yield unevaluated(case, key, f"absent: {column} of every plan")
        else:
            blanks = [k for k in parts if case.model.value(*k) is None and not case.may_be_blank(k)]
            plans = sum(given, Decimal(0))
            formula = f" = sum over plans of {column}"
            yield agrees(key, filed, plans, check.allowed(plans), formula=formula, blanks=blanks)


def projected_member_months_add_up(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-010: projected member months of the plans sum to worksheet 1."""
    yield reproduces(case, check, ("proj_member_months", MARKET))


def projected_premium_is_rate_times_months(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-011: plan adjusted index rate x projected member months is the projected premium of every plan."""
    yield from _of_offered_plans(case, check, "proj_premium")


def rate_changes_are_weighted_means(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-012: rate change of products and of the submission, from those of the plans weighted by premium.

    The weight is the declared one. A workbook that was read declares none: any premium volume will do, with new and
    terminated plans or without; outside of the range of its plans' changes a mean cannot be under any.
    """
    targets = [("product_rate_increase", product) for product in case.places("product")]
    for key in (*targets, ("submission_rate_increase", MARKET)):
        if not case.is_read:
            yield reproduces(case, check, key)
            continue
        tried = {words: reproduces(case, check, key, model, words) for words, model in _weightings(case)}
        is_complete = all(result.result != NOT_EVALUATED for result in tried.values())
        yield _best(tried) if is_complete else _by_range(case, check, key, tried)


def shares_are_fractions(case: ReviewInput, check: Check) -> Iterator[Result]:
    """RV-013: rate changes and shares of one are not stored in percent."""
    for name, grain, measure in _SHARES:
        low, high = check.bounds(measure)
        for place in case.places(grain):
            key = (name, place)
            value = case.model.value(*key)
            if key in case.unreadable:
                yield unevaluated(case, key, f"the cell holds an error: {named([key])}")
            elif value is None:
                reason = _why_none(case, name, place)
                yield Result(NOT_APPLICABLE, name, place, reason) if reason else absent(case, key)
            elif high is not None and value > high:
                yield _in_percent(key, value, high, "above")
            elif low is not None and value < low:
                yield _in_percent(key, value, low, "below")
            else:
                yield Result(PASS, name, place, filed=value)


_SHARES = (
    ("submission_rate_increase", "market", "rate_change"),
    ("product_rate_increase", "product", "rate_change"),
    (_CHANGE, "plan", "rate_change"),
    ("credibility", "market", "ratio"),
    ("exchange_fee_pct", "market", "ratio"),
    ("av_metal", "plan", "ratio"),
    ("pct_admin", "plan", "ratio"),
    ("pct_taxes_fees", "plan", "ratio"),
    ("pct_profit_risk", "plan", "ratio"),
)


def _why_none(case: ReviewInput, name: str, place: str) -> str:
    """Return why a filing has no such share there, or "": it is missing."""
    if name == "av_metal" and place in case.catastrophic:
        return "a catastrophic plan has no metal value"
    if place in case.terminated:
        return "a terminated plan has no rates"
    plans = (place,) if place in case.places("plan") else case.model.places.of("plan", place)
    if name.endswith(("_rate_increase", _CHANGE)) and case.new.union(case.terminated).issuperset(plans):
        return "no plan had a rate before and has one now"
    return ""


def _of_offered_plans(case: ReviewInput, check: Check, name: str) -> Iterator[Result]:
    for plan in case.places("plan"):
        if plan in case.terminated:
            yield unevaluated(case, (name, plan), "a terminated plan has no rates")
        else:
            yield reproduces(case, check, (name, plan))


def _copied(case: ReviewInput, check: Check, key: Key, plan: str) -> Result:
    """Return whether worksheet 2 repeats a number of worksheet 1 for a plan."""
    there, copy = case.model.value(*key), (key[0], plan)
    here = case.model.value(*copy)
    broken = [k for k in (key, copy) if k in case.unreadable]
    if broken:
        return unevaluated(case, copy, f"the cell holds an error: {named(broken)}")
    if there is None or here is None:
        return absent(case, key if there is None else copy)
    roundings = case.rounding(key, here) + case.rounding(key, there)
    return agrees(copy, here, there, check.allowed(there) + roundings, formula=" as on worksheet 1")


def _reproduced(conventions: list[str]) -> str:
    return "reproduces under " + " and ".join(conventions) if conventions else "reproduces under no convention"


def _with_remark(result: Result, remark: str) -> Result:
    if result.result == NOT_EVALUATED:
        return result
    message = remark if result.result == PASS else f"{result.message}; {remark}"
    return Result(result.result, result.name, result.place, message, result.filed, result.recomputed, result.threshold)


def _best(tried: Mapping[str, Result]) -> Result:
    """Return the result of formulas of which one must hold: a pass, else the nearest miss, else why none was seen."""
    passed = [result for result in tried.values() if result.result == PASS]
    missed = [result for result in tried.values() if result.result == FINDING]
    if passed:
        return passed[0]
    unseen = Result(NOT_EVALUATED, message="no formula is held for it")
    return min(missed, key=_distance) if missed else next(iter(tried.values()), unseen)


def _distance(result: Result) -> Decimal:
    if result.filed is None or result.recomputed is None:
        return Decimal("Infinity")
    return abs(result.filed - result.recomputed)


def _weightings(case: ReviewInput) -> Iterator[tuple[str, FilingModel]]:
    """Yield the numbers under each premium volume: of all plans, and of those that are neither new nor terminated."""
    plans = case.places("plan")
    others = dict.fromkeys(((_WEIGHT, plan) for plan in plans if plan in case.new | case.terminated), Decimal(0))
    for weight in _PREMIUMS:
        model = case.under({_WEIGHT: weight}, _WEIGHT, "plan")
        if model is None:
            continue
        for plan in plans:
            model.given.pop((_WEIGHT, plan), None)
        yield f"weighted by {weight}", model
        if others:
            yield f"weighted by {weight}, renewing plans", model.changed(others)


def _by_range(case: ReviewInput, check: Check, key: Key, tried: Mapping[str, Result]) -> Result:
    """Return the result where some weights are absent: no weights bring a mean outside of the range of its terms."""
    best = _best(tried)
    if best.result == PASS:
        return best
    plans = case.model.places.of("plan", key[1])
    changes = [value for value in (case.model.value(_CHANGE, plan) for plan in plans) if value is not None]
    filed = case.model.value(*key)
    why_not = next(result for result in tried.values() if result.result == NOT_EVALUATED)
    if filed is None or len(changes) < len(plans):
        return why_not
    nearest = max(min(filed, max(changes)), min(changes))
    allowed = check.allowed(nearest) + case.rounding(key, filed)
    outside = agrees(key, filed, nearest, allowed, formula=" at most, whatever the weights")
    return outside if outside.result == FINDING else why_not


def _in_percent(key: Key, value: Decimal, bound: Decimal, side: str) -> Result:
    message = f"{named([key])} is {number_text(value)}, {side} {bound:f}: a percentage where a share of one belongs?"
    return Result(FINDING, *key, message, value, None, bound)


ARITHMETIC: Mapping[str, CheckFunction] = {
    "RV-001": pmpm_is_total_over_member_months,
    "RV-002": categories_add_up_to_the_index_rate,
    "RV-003": trended_claims_follow_from_trends,
    "RV-004": adjusted_claims_follow_from_factors,
    "RV-005": projected_index_rate_is_the_blend,
    "RV-006": market_rate_follows_from_a_fee_convention,
    "RV-007": plan_rate_follows_from_plan_factors,
    "RV-008": calibrated_rate_follows_from_calibration,
    "RV-009": experience_of_plans_adds_up,
    "RV-010": projected_member_months_add_up,
    "RV-011": projected_premium_is_rate_times_months,
    "RV-012": rate_changes_are_weighted_means,
    "RV-013": shares_are_fractions,
}
