"""Slow and obvious twin of benchmarks, tax credits, reconciliation, variants, Medicaid and penalties.

One household at a time, in Fraction and Decimal, from the printed files. Shares nothing with the product but the files.
"""

import csv
import functools
import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import data_specs

FOLDER = Path(data_specs.__file__).parent / "tables" / "rating"
REGIONS = {"AK": "alaska", "HI": "hawaii"}


@functools.cache
def printed(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def half_up(number: Fraction) -> int:
    """Whole number, halves away from zero."""
    whole = math.floor(abs(number) + Fraction(1, 2))
    return whole if number >= 0 else -whole


def cents(number: object) -> Fraction:
    """Dollars rounded to cents, halves away from zero."""
    return Fraction(half_up(Fraction(str(number) if isinstance(number, float | Decimal) else number) * 100), 100)


def dollars(number: object) -> Fraction:
    return Fraction(half_up(Fraction(number)))


# ---- poverty line, percentage, contribution


@functools.cache
def poverty_line(guideline_year: int, region: str, size: int) -> Fraction:
    found = {
        int(r["household_size"]): int(r["annual_amount"])
        for r in printed("federal_poverty_guidelines")
        if r["guideline_year"] == str(guideline_year) and r["region"] == region
    }
    if size in found:
        return Fraction(found[size])
    (step,) = (
        int(r["each_additional"])
        for r in printed("federal_poverty_increments")
        if r["guideline_year"] == str(guideline_year) and r["region"] == region
    )
    return Fraction(found[max(found)] + (size - max(found)) * step)


def percent_of_poverty(income: Fraction, line: Fraction) -> int:
    ratio = 100 * max(income, Fraction(0)) / line
    return 401 if ratio > 400 else math.floor(ratio)


@functools.cache
def applicable_pct(year: int, percent: int) -> Fraction | None:
    """Percent of income; None where the year has none."""
    for row in printed("ptc_applicable_percentages"):
        if row["tax_year"] != str(year):
            continue
        start = int(row["fpl_pct_from"])
        first, last = Fraction(row["initial_pct"]), Fraction(row["final_pct"])
        if row["fpl_pct_to"] == "":
            if percent >= start:
                return Fraction(half_up(first * 100), 100)
            continue
        end = int(row["fpl_pct_to"])
        if start <= percent < end or (percent == end and row["upper_bound_inclusive"] == "true"):
            return Fraction(half_up((first + (last - first) * Fraction(percent - start, end - start)) * 100), 100)
    return None


@functools.cache
def limits(year: int) -> dict[str, str]:
    (row,) = (r for r in printed("ptc_income_limits") if r["tax_year"] == str(year))
    return row


def contributions(year: int, income: Fraction, percent: int) -> tuple[Fraction | None, Fraction | None]:
    pct = applicable_pct(year, percent)
    if pct is None:
        return None, None
    annual = dollars(max(income, Fraction(0)) * pct / 100)
    return annual, dollars(annual / 12)


def income_fits(year: int, percent: int, below_allowed: bool) -> bool:
    row = limits(year)
    if percent < int(row["lower_fpl_pct"]) and not below_allowed:
        return False
    if row["upper_fpl_pct"] and percent > int(row["upper_fpl_pct"]):
        return False
    return applicable_pct(year, percent) is not None


# ---- credit


def credit(year: int, home: dict) -> dict:
    """The credit of a household; amounts are Fractions, None where there is none or it is not known."""
    income = max(cents(home["annual_income"]), Fraction(0))
    line = poverty_line(year - 1, home["region"], home["tax_household_size"])
    percent = percent_of_poverty(income, line)
    annual, monthly = contributions(year, income, percent)
    exception = home.get("has_status_exception", False)
    exception = exception and limits(year)["below_poverty_lawfully_present_exception"] == "true"
    may = (
        home.get("files_return", True)
        and not home.get("is_dependent", False)
        and (home.get("filing_status") != "separate" or home.get("separate_return_excepted", False))
        and home.get("eligible_members", 1) > 0
        and income_fits(year, percent, exception)
    )
    benchmark, premium = home.get("benchmark_monthly"), home.get("premium_monthly")
    found = {"poverty_line": line, "percent": percent, "annual_contribution": annual, "monthly_contribution": monthly}
    if may and benchmark is None:
        return found | {"monthly_credit": None, "annual_credit": None, "advance": None, "net": None}
    counted = None
    if premium is not None:
        counted = cents(cents(premium) * Fraction(str(home.get("ehb_pct_premium", 1))))
        others = cents(home.get("other_members_benchmark_monthly") or 0)
        if others > 0:
            own = cents(benchmark or 0)
            counted = cents(counted * own / (own + others))
    monthly_amount = annual_amount = Fraction(0)
    if may:
        own = cents(benchmark)
        monthly_amount = max(own - monthly, Fraction(0))
        annual_amount = max(12 * own - annual, Fraction(0))
        if counted is not None:
            monthly_amount = min(monthly_amount, counted)
            annual_amount = min(annual_amount, 12 * counted)
    months = home.get("months", 12)
    wanted = home.get("advance_monthly")
    advance = monthly_amount if wanted is None else min(monthly_amount, cents(wanted))
    if not home.get("advance_allowed", True):
        advance = Fraction(0)
    return found | {
        "monthly_credit": monthly_amount,
        "annual_credit": annual_amount if months == 12 else months * monthly_amount,
        "advance": advance,
        "net": None if premium is None else max(cents(premium) - advance, Fraction(0)),
    }


# ---- reconciliation


@functools.cache
def repayment_cap(year: int, percent: int, filing: str) -> tuple[Fraction | None, bool]:
    """The cap (None: none), and whether the year is waived."""
    for row in printed("ptc_repayment_caps"):
        if row["tax_year"] != str(year) or row["filing"] not in (filing, "any"):
            continue
        if int(row["fpl_pct_from"]) <= percent and (not row["fpl_pct_below"] or percent < int(row["fpl_pct_below"])):
            return (Fraction(row["cap_usd"]) if row["cap_usd"] else None), row["repayment_waived"] == "true"
    raise AssertionError((year, percent, filing))


def reconcile(year: int, home: dict, months: list[dict]) -> dict:
    """A year of cover month by month: premium (None: no plan limits), benchmark, advance, is_eligible."""
    income = max(cents(home["annual_income"]), Fraction(0))
    line = poverty_line(year - 1, home["region"], home["tax_household_size"])
    percent = percent_of_poverty(income, line)
    annual, monthly = contributions(year, income, percent)
    advance = sum((cents(m["advance"]) for m in months), Fraction(0))
    may = income_fits(year, percent, below_allowed=advance > 0)

    def counted(month: dict) -> Fraction | None:
        if month["premium"] is None:
            return None
        return cents(cents(month["premium"]) * Fraction(str(month.get("ehb", 1))))

    alike = len(months) == 12 and all(m["is_eligible"] for m in months)
    alike = alike and len({(counted(m), cents(m["benchmark"])) for m in months}) == 1
    due = Fraction(0)
    if may and alike:
        due = max(sum((cents(m["benchmark"]) for m in months), Fraction(0)) - annual, Fraction(0))
        if counted(months[0]) is not None:
            due = min(due, sum((counted(m) for m in months), Fraction(0)))
    elif may:
        for month in months:
            if not month["is_eligible"]:
                continue
            one = max(cents(month["benchmark"]) - monthly, Fraction(0))
            due += one if counted(month) is None else min(one, counted(month))
    excess = max(advance - due, Fraction(0))
    cap, waived = repayment_cap(year, percent, home["filing"])
    repaid = Fraction(0) if waived else excess if cap is None else min(excess, cap)
    return {"percent": percent, "credit": due, "net": max(due - advance, Fraction(0)), "repayment": repaid}


# ---- variant, Medicaid


def variant(
    percent: int, *, silver: bool, has_credit: bool, tribal: bool, catastrophic: bool, on_exchange: bool
) -> str:
    if not on_exchange:
        return "00"
    if tribal and not catastrophic:
        zero = percent <= 300 and (percent >= 100 or has_credit)
        return "02" if zero else "03"
    if not silver or not has_credit:
        return "01"
    for row in printed("csr_bands"):
        if row["basis"] != "income":
            continue
        low, high = int(row["fpl_pct_from"]), int(row["fpl_pct_to"])
        if low < percent <= high or (low == 100 and percent <= 150):
            return row["hios_variant"]
    return "01"


def medicaid(state: str, on: str, income: Fraction, line: Fraction) -> bool | None:
    """Whether an adult has Medicaid by income; None: no limit is held for the day. `on` is YYYY-MM-DD."""
    rows = [r for r in printed("medicaid_adult_limits") if r["state"] == state and r["in_source_from"] <= on]
    if not rows:
        return None
    limit = max(rows, key=lambda r: r["in_source_from"])["limit_fpl_pct"]
    return bool(limit) and 100 * income <= Fraction(limit) * line


# ---- penalty


def penalty(
    figures: dict[str, str],
    adults: list[int],
    children: list[int],
    income: Fraction,
    threshold: Fraction,
    multiple: int,
) -> Fraction:
    adult, child = Fraction(figures["flat_adult_usd"]), Fraction(figures["flat_child_usd"])
    pct = Fraction(figures["income_pct_over_filing_threshold"])
    total = cap = Fraction(0)
    bronze = figures.get("national_average_bronze_monthly_per_person_usd")
    for grown, young in zip(adults, children, strict=True):
        if grown + young == 0:
            continue
        flat = min(multiple * adult, grown * adult + young * child)
        total += max(flat, pct / 100 * max(income - threshold, Fraction(0))) / 12
        cap += Fraction(bronze or 0) * min(grown + young, 5)
    return cents(min(total, cap) if bronze else total)


def mandate(jurisdiction: str, year: int) -> dict[str, str]:
    return {
        r["measure"]: r["value"]
        for r in printed("individual_mandate_penalties")
        if r["jurisdiction"] == jurisdiction
        and int(r["first_year"]) <= year
        and (not r["last_year"] or year <= int(r["last_year"]))
    }


# ---- benchmark


def policy_premium(rate_at: dict[int, Fraction], ages: list[int], most_children: int = 3) -> Fraction | None:
    """Sum of member rates: everyone of 21 and more, and the oldest children below."""
    grown = [a for a in ages if a >= 21]
    young = sorted((a for a in ages if a < 21), reverse=True)[:most_children]
    rates = [rate_at.get(min(a, 64)) for a in grown + young]
    return None if None in rates else sum(rates, Fraction(0))


def second(premiums: list[Fraction], tie: str, single_silver: str) -> Fraction | None:
    ordered = sorted(premiums) if tie == "plans" else sorted(set(premiums))
    if not ordered:
        return None
    if len(ordered) == 1:
        return ordered[0] if single_silver == "benchmark" else None
    return ordered[1]
