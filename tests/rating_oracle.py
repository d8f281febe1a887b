"""Slow, obvious twins of member rates, rate tables, the interval test and rating areas, in Decimal and Fraction."""

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import data_specs

EXACT = Context(prec=800)
WAYS = {"nearest": ROUND_HALF_UP, "down": ROUND_FLOOR, "up": ROUND_CEILING}
CENT = Decimal("0.01")


def decimal_of(value):
    """A number as the decimal that is written; a float as its shortest text."""
    return value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else str(value))


def cents(amount, direction):
    return amount.quantize(CENT, rounding=WAYS[direction], context=EXACT)


def product(*factors):
    total = Decimal(1)
    for factor in factors:
        total = EXACT.multiply(total, decimal_of(factor))
    return total


def member_rate(base, age, area, tobacco=1, *, trend=1, point="member", direction="nearest"):
    if point == "base":
        return cents(product(cents(product(base, trend, area), direction), age, tobacco), direction)
    if point == "nontobacco":
        return cents(product(cents(product(base, trend, area, age), direction), tobacco), direction)
    return cents(product(base, trend, area, age, tobacco), direction)


def curve(state, market, year):
    """Age -> factor, straight from the tables."""
    assigned = data_specs.table("rating/age_curve_assignment", year=year, state=state).rows(named=True)
    (curve_id,) = [row["curve_id"] for row in assigned if row["market"] == market]
    rows = data_specs.table("rating/age_curves").rows(named=True)
    return {row["age"]: Decimal(repr(row["factor"])) for row in rows if row["curve_id"] == curve_id}


def bands(year):
    """Label -> youngest age."""
    top = 14 if year >= 2018 else 20
    return {f"0-{top}": 0, **{str(age): age for age in range(top + 1, 64)}, "64+": 64}


def tiers(state, market):
    rows = data_specs.table("rating/family_tiers", state=state).rows(named=True)
    return {row["tier"]: Decimal(repr(row["multiplier"])) for row in rows if row["market"] == market}


def interval(rates, factors, *, direction="nearest", unit=Fraction(1, 100)):
    """Largest lower and smallest upper end of the bases that give the rates."""
    below, above = {"nearest": (unit / 2, unit / 2), "down": (Fraction(0), unit), "up": (unit, Fraction(0))}[direction]
    pairs = [(Fraction(rate), Fraction(factor)) for rate, factor in zip(rates, factors, strict=True)]
    return max((r - below) / f for r, f in pairs), min((r + above) / f for r, f in pairs)


def fewest_breaking(rates, factors):
    """How many rates must go so that one base explains the others: every lower end is tried."""
    most = 0
    for rate, factor in zip(rates, factors, strict=True):
        base = (Fraction(rate) - Fraction(1, 200)) / Fraction(factor)
        held = [
            Fraction(r) - Fraction(1, 200) <= base * Fraction(f) < Fraction(r) + Fraction(1, 200)
            for r, f in zip(rates, factors, strict=True)
        ]
        most = max(most, sum(held))
    return len(rates) - most


def possible_areas(address, rows):
    """Areas that fit an address, row by row of a map."""
    found = set()
    for row in rows:
        if row["state"] != address["state"]:
            continue
        county, zip3 = address.get("county_fips"), (address.get("zip_code") or "")[:3]
        if row["county_fips"] and county and row["county_fips"] != county:
            continue
        if row["zip3"] and zip3 and row["zip3"] != zip3:
            continue
        found.add(f"R-{row['state']}{row['rating_area']:03}")
    return sorted(found)
