"""What the pages of quotes say in words: a household without its ids, plans, amounts, reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import data_specs
from poolwise.report._quote_curves import BENCHMARK, CHEAPEST, OF_METAL, WITH_CREDIT

if TYPE_CHECKING:
    from poolwise.report._quote_curves import QuoteCurves, ShownPlan

__all__ = [
    "NOT_KNOWN",
    "OUTCOMES",
    "count_of",
    "household_sentences",
    "item_amount",
    "item_name",
    "metal",
    "plan_name",
    "set_in_type",
    "usd",
    "variant_names",
]

NOT_KNOWN = "not known"
# What the notes of a quote mean for a household, in the order in which pages list them.
OUTCOMES = {
    "credit": "premium tax credit",
    "contribution_covers_benchmark": "no credit: the contribution covers the benchmark",
    "income_above_limit": "no credit: income above the limit",
    "income_below_limit": "no credit: income below the limit",
    "no_eligible_member": "no credit: nobody covered is eligible",
    "small_group": "no credit in the small-group market",
    "no_benchmark": "credit not known: no benchmark plan",
    "income_not_given": "credit not known: no income given",
    "percentages_not_published": "credit not known: the percentages of the year are not published",
}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_ABOVE_ALL = 401  # how a quote says: more than 400 percent
_VARIANTS = {
    "tribal_zero_cost_sharing": "no cost sharing",
    "tribal_limited_cost_sharing": "limited",
    "standard_on_exchange": "standard",
    "off_exchange": "off exchange",
}
_ITEMS = {
    "income_pct_of_poverty": "Income, percent of the poverty line",
    "applicable_pct": "Applicable percentage of income",
    "monthly_contribution": "Contribution a month",
    "benchmark_monthly": "Benchmark premium",
    "member_rate": "Rate",
    "premium_monthly": "Premium",
    "monthly_credit": "Credit",
    "net_premium_monthly": "Net premium",
    "csr_variant": "Cost-sharing variant",
}
_PERCENTS, _PLAIN = ("income_pct_of_poverty", "applicable_pct"), ("csr_variant",)


def usd(amount: Decimal | None, *, cents: bool = True) -> str:
    """Return an amount of dollars as text.

    Examples
    --------
    >>> usd(Decimal("1234.5")), usd(Decimal("52000.00"), cents=False), usd(Decimal("52000.40"), cents=False), usd(None)
    ('$1,234.50', '$52,000', '$52,000.40', 'not known')
    """
    if amount is None:
        return NOT_KNOWN
    return f"${amount:,.0f}" if not cents and amount == amount.to_integral_value() else f"${amount:,.2f}"


def count_of(number: int, one: str, many: str = "") -> str:
    """Return a number of things, small ones in words.

    Examples
    --------
    >>> count_of(1, "plan"), count_of(2, "child", "children"), count_of(42, "plan")
    ('one plan', 'two children', '42 plans')
    """
    said = _NUMBERS[number] if number < len(_NUMBERS) else f"{number:,}"
    return f"{said} {one if number == 1 else many or one + 's'}"


def metal(level: str | None) -> str:
    """Return a metal level in words."""
    return NOT_KNOWN if level is None else level.replace("_", " ")


def plan_name(plan: ShownPlan) -> str:
    """Return what a plan is called in charts and headings.

    Examples
    --------
    >>> from poolwise.report._quote_curves import ShownPlan
    >>> plan_name(ShownPlan("b", "silver", ("cheapest", "benchmark")))
    'cheapest and benchmark, silver (b)'
    >>> plan_name(ShownPlan("g", "gold", (OF_METAL,)))
    'cheapest gold (g)'
    """
    if OF_METAL in plan.roles:
        return f"cheapest {metal(plan.metal_level)} ({plan.plan_id})"
    cheapest = CHEAPEST if CHEAPEST in plan.roles else WITH_CREDIT
    roles = " and ".join(r for r in (cheapest, BENCHMARK) if r in plan.roles)
    # A longer name would make the legend wider than a telephone.
    is_long = plan.metal_level is None or roles == WITH_CREDIT
    level = "" if is_long else f", {metal(plan.metal_level)}"
    return f"{roles}{level} ({plan.plan_id})"


def variant_names() -> dict[str, str]:
    """Return what each cost-sharing variant means for the plan: its actuarial value, or in words.

    Examples
    --------
    >>> variant_names()["05"], variant_names()["01"]
    ('87% (05)', 'standard (01)')
    """
    rows = data_specs.table("rating/csr_bands").select("basis", "target_av_pct", "hios_variant").rows()
    return {code: f"{_VARIANTS.get(basis, f'{value}%')} ({code})" for basis, value, code in rows}


def item_name(item: str) -> str:
    """Return what a number of an explanation is called."""
    return _ITEMS[item]


def item_amount(item: str, amount: str | None) -> str:
    """Return the amount of an explanation's line.

    Examples
    --------
    >>> item_amount("premium_monthly", "1367.64"), item_amount("applicable_pct", "4.72")
    ('$1,367.64', '4.72%')
    >>> item_amount("income_pct_of_poverty", "401"), item_amount("monthly_credit", None)
    ('over 400%', 'not known')
    """
    if amount is None:
        return NOT_KNOWN
    if item in _PLAIN:
        return amount
    if item in _PERCENTS:
        return _percent(int(amount)) if item == _PERCENTS[0] else f"{amount}%"
    return usd(Decimal(amount))


def _percent(whole: int) -> str:
    return f"over {_ABOVE_ALL - 1}%" if whole >= _ABOVE_ALL else f"{whole}%"


def set_in_type(how: str) -> str:
    """Return the words of an explanation as they are printed: signs of arithmetic, thousands set apart.

    Examples
    --------
    >>> set_in_type("52000.00 x 4.72 percent = 2454 a year in whole dollars; / 12 in whole dollars")
    '52,000.00 × 4.72 percent = 2,454 a year in whole dollars; ÷ 12 in whole dollars'
    >>> set_in_type("income at 401 percent of the poverty line, expanded_bronze plan")
    'income at more than 400 percent of the poverty line, expanded bronze plan'
    >>> set_in_type("1367.64 - 1079.31"), set_in_type("guideline of 2025"), set_in_type("floor(100 x 9.50 / 15650)")
    ('1,367.64 − 1,079.31', 'guideline of 2025', 'floor(100 × 9.50 ÷ 15,650)')
    """
    # Years have four digits too: a whole number of four is an amount only where one is worked out.
    amounts = r"(?<![\w.])\d{4,}\.\d\d(?![\w.])|(?<= = )\d{4,}(?= a year)|(?<= / )\d{4,}(?=\))"
    how = how.replace(f" {_ABOVE_ALL} percent", f" more than {_ABOVE_ALL - 1} percent")
    said = re.sub(amounts, lambda found: f"{Decimal(found[0]):,}", how)
    said = re.sub(r"(?<=[a-z])_(?=[a-z])", " ", said)  # metal levels and tiers, as the tables write them
    for plain, set_sign in ((" x ", " × "), (" - ", " − "), (" / ", " ÷ "), ("; / ", "; ÷ ")):
        said = said.replace(plain, set_sign)
    return said


# ------------------------------------------------------------------------------------------------ the household


def household_sentences(curves: QuoteCurves, area: str, percent: int | None) -> list[str]:
    """Return the household in words: ages, place, tobacco, income; no id and no birth date."""
    members = curves.members.rows(named=True)
    number = len(members)
    on = curves.effective_date
    day = f"{_MONTHS[on.month - 1]} {on.day}, {on.year}"
    people = count_of(number, "person", "people")
    ages = _listed([str(m["age"]) for m in members])
    sentences = [
        f"{people[0].upper()}{people[1:]}, {ages} years old on {day}, in rating area {int(area[4:])} of {area[2:4]}."
    ]
    others = curves.members_in_all - number
    if others:
        sentences.append(f"{_subject(others, number + others)} {'does' if others == 1 else 'do'} not seek coverage.")
    smokers = sum(m["tobacco_use"] for m in members)
    if smokers:
        sentences.append(f"{_subject(smokers, number)} {'uses' if smokers == 1 else 'use'} tobacco.")
    without = sum(not m["credit_eligible"] for m in members)
    if without:
        sentences.append(f"{_subject(without, number)} cannot have the credit.")
    if curves.income is not None:
        sentences.append(_income(curves, percent))
    return sentences


def _income(curves: QuoteCurves, percent: int | None) -> str:
    said = f"Income: {usd(curves.income, cents=False)} a year"
    if percent is None:
        return f"{said}."
    share = "more than 400" if percent >= _ABOVE_ALL else f"{percent}"
    size = count_of(curves.tax_household_size, "person", "people")
    line = "" if curves.poverty_line is None else f" of {usd(curves.poverty_line, cents=False)}"
    return f"{said}, {share} percent of the poverty line{line} for a tax household of {size}."


def _subject(some: int, of: int) -> str:
    if some == of:
        return "All of them" if of > 1 else "The person"
    said = _NUMBERS[some] if some < len(_NUMBERS) else str(some)
    return f"{said[0].upper()}{said[1:]} of them"


def _listed(words: Sequence[Any]) -> str:
    return str(words[0]) if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
