"""Medical loss ratios and rebates worked plainly, one issuer and one policy at a time, in exact fractions."""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

BASE = [
    (1_000, Fraction(83, 1000)),
    (2_500, Fraction(52, 1000)),
    (5_000, Fraction(37, 1000)),
    (10_000, Fraction(26, 1000)),
    (25_000, Fraction(16, 1000)),
    (50_000, Fraction(12, 1000)),
    (75_000, Fraction(0)),
]
DEDUCTIBLE = [(2_500, Fraction(1164, 1000)), (5_000, Fraction(1402, 1000)), (10_000, Fraction(1736, 1000))]
FEDERAL = {"individual": Fraction(4, 5), "small_group": Fraction(4, 5), "large_group": Fraction(17, 20)}
NEW_YORK = {"individual": Fraction(41, 50), "small_group": Fraction(41, 50)}


def on_line(points: list[tuple[int, Fraction]], x: Fraction) -> Fraction:
    """The height of a broken line, flat beyond its last point."""
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 <= x <= x1:
            return y0 * (x1 - x) / (x1 - x0) + y1 * (x - x0) / (x1 - x0)
    return points[-1][1]


def standard(state: str, market: str) -> Fraction:
    """The standard of a state and market; a merged one has that of its markets."""
    own = "individual" if market == "merged" else market
    return max(FEDERAL[own], NEW_YORK.get(own, Fraction(0)) if state == "NY" else Fraction(0))


def rounded(number: Fraction, decimals: int) -> Fraction:
    """A number to so many decimals, halves away from zero."""
    scale = 10**decimals
    whole = int(abs(number) * scale + Fraction(1, 2))
    return Fraction(whole if number >= 0 else -whole, scale)


def credibility(life_years: Fraction, deductible: Fraction | None) -> tuple[Fraction, Fraction | None]:
    """Base and deductible factor of a ratio."""
    base = Fraction(0) if life_years < 1_000 or life_years >= 75_000 else on_line(BASE, life_years)
    if deductible is None:
        return base, None
    return base, Fraction(1) if deductible < 2_500 else on_line(DEDUCTIBLE, deductible)


def loss_ratio(
    rows: list[dict[str, Any]], year: int, target: Fraction, *, low_years: str = "reported"
) -> dict[str, Any]:
    """One issuer's ratio and rebate; `rows` are its years (markets that are merged: several rows of a year).

    ``low_years``: ``reported`` looks back over five years of rows, ``single_year`` at each of three years, ``off``.
    """
    taken = [row for row in rows if year - 2 <= row["year"] <= year]
    base, factor = credibility(*_exposure(taken))
    life_years = _exposure(taken)[0]
    plain = ratio(taken)
    addition = Fraction(0)
    if 1_000 <= life_years < 75_000:
        assert factor is not None
        addition = base * factor
        if low_years != "off" and _all_low(rows, year, target, low_years):
            addition = Fraction(0)
    result = rounded(plain + addition, 3)
    last = [row for row in rows if row["year"] == year]
    money = sum((row["premium"] - row["taxes_and_fees"] for row in last), Fraction(0))
    owed = max(Fraction(0), target - result) * money if life_years >= 1_000 else Fraction(0)
    return {
        "preliminary_mlr": plain,
        "base_credibility": base,
        "deductible_factor": factor,
        "credibility_adjustment": addition,
        "mlr": result,
        "rebate": rounded(owed, 2),
    }


def ratio(rows: list[dict[str, Any]]) -> Fraction:
    """Claims and quality less what was received, over premium less taxes and fees."""
    top = bottom = Fraction(0)
    for row in rows:
        top += row["incurred_claims"] + row["quality_improvement"] - row["net_risk_adjustment_received"]
        top -= row.get("reinsurance_received", 0) + row.get("net_corridor_received", 0)
        bottom += row["premium"] - row["taxes_and_fees"]
    return top / bottom


def _exposure(rows: list[dict[str, Any]]) -> tuple[Fraction, Fraction | None]:
    lives = sum((row["life_years"] for row in rows), Fraction(0))
    dollars = sum((row["life_years"] * row["average_deductible"] for row in rows), Fraction(0))
    return lives, dollars / lives if lives else None


def _all_low(rows: list[dict[str, Any]], year: int, target: Fraction, how: str) -> bool:
    for y in (year, year - 1, year - 2):
        own = [row for row in rows if row["year"] == y]
        if not own or _exposure(own)[0] < 1_000:
            return False
        if how == "single_year":
            if ratio(own) >= target:
                return False
            continue
        three = [row for row in rows if y - 2 <= row["year"] <= y]
        if len({row["year"] for row in three}) < 3 or ratio(three) >= target:
            return False
    return True


def rebates(cents: int, policies: list[tuple[Fraction, int, int]]) -> list[int]:
    """The cents of each policy: (premium, least cents that are paid to it, how many people share it)."""
    premium = sum((p for p, _, _ in policies), Fraction(0))
    owed = apportioned(cents, [p / premium for p, _, _ in policies])
    kept = [own >= least for own, (_, least, _) in zip(owed, policies, strict=True)]
    if not any(kept):
        return [0] * len(policies)
    pot = sum(own for own, is_kept in zip(owed, kept, strict=True) if not is_kept)
    people = sum(n for (_, _, n), is_kept in zip(policies, kept, strict=True) if is_kept)
    parts = [Fraction(n, people) if is_kept else Fraction(0) for (_, _, n), is_kept in zip(policies, kept, strict=True)]
    more = apportioned(pot, parts)
    return [own + m if is_kept else 0 for own, m, is_kept in zip(owed, more, kept, strict=True)]


def apportioned(cents: int, shares: list[Fraction]) -> list[int]:
    """Cents by share, the missing ones one each to those that rounding cost most; ties in order."""
    found = [int(cents * share + Fraction(1, 2)) for share in shares]
    while sum(found) != cents:
        step = 1 if sum(found) < cents else -1
        lost = [step * (cents * share - have) for share, have in zip(shares, found, strict=True)]
        found[lost.index(max(lost))] += step
    return found


def money(dollars: Fraction) -> Decimal:
    """Exact dollars of whole cents as a decimal."""
    return (Decimal(dollars.numerator) / Decimal(dollars.denominator)).quantize(Decimal("0.01"), ROUND_HALF_UP)
