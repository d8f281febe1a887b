"""The slow, obvious twin of transfers: plain loops in exact fractions, written from the rules, no code of the product.

`settle` takes plan rows as dicts of exact numbers and gives exact amounts and cents; `random_market` draws rows.
"""

import random
from collections import defaultdict
from fractions import Fraction
from typing import Any

METAL = {
    "catastrophic": (Fraction("0.57"), Fraction("1.00")),
    "bronze": (Fraction("0.60"), Fraction("1.00")),
    "expanded_bronze": (Fraction("0.60"), Fraction("1.00")),
    "silver": (Fraction("0.70"), Fraction("1.03")),
    "gold": (Fraction("0.80"), Fraction("1.08")),
    "platinum": (Fraction("0.90"), Fraction("1.15")),
}
KEY = ("state", "risk_pool", "issuer_id", "plan_id", "rating_area_id")
NOTHING = Fraction(0)


def cents(dollars: Fraction) -> int:
    """Whole cents, halves away from zero."""
    size = int(abs(dollars) * 100 + Fraction(1, 2))
    return size if dollars >= 0 else -size


def pools_of(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in sorted(rows, key=lambda r: [r[k] for k in KEY]):
        found[row["state"], row["risk_pool"]].append(row)
    return found


def settle_pool(rows: list[dict[str, Any]], k: Fraction, q: Fraction) -> list[Fraction]:
    """The exact transfer of each row of one pool, section by section of the formula."""
    months = premium = risk_sum = allowable_sum = NOTHING
    parts = []
    for row in rows:
        b = row["billable_member_months"]
        if b == 0:
            parts.append((NOTHING, NOTHING))
            continue
        av, idf = METAL[row["metal_level"]]
        risk = row["plrs"] * (1 - row.get("error_rate", NOTHING)) * idf * row["gcf"]
        allowable = av * row["arf"] * idf * row["gcf"]
        parts.append((risk, allowable))
        months += b
        premium += row["premium"]
        risk_sum += b * risk
        allowable_sum += b * allowable
    net = premium / months * (1 - k)
    amounts = []
    for row, (risk, allowable) in zip(rows, parts, strict=True):
        b = row["billable_member_months"]
        t = (risk / (risk_sum / months) - allowable / (allowable_sum / months)) * net if b else NOTHING
        amounts.append(t * (1 - q) * b)
    return amounts


def exact_pools(rows: list[dict[str, Any]], k: Fraction, q: Fraction = NOTHING) -> list[tuple[Any, Any, Any]]:
    """Each pool with its rows in order and their exact transfers."""
    return [(pool, members, settle_pool(members, k, q)) for pool, members in pools_of(rows).items()]


def settle(
    pools: list[tuple[Any, Any, Any]],
    *,
    issuer_rounding: str = "unrounded_plans",
    cents_balance: str = "off",
    charges: dict[tuple[str, str, str], int] | None = None,
) -> dict[str, Any]:
    """Exact amounts and cents of :func:`exact_pools`; `charges`: (state, risk_pool, issuer_id) -> charge in cents."""
    plan_exact, plan_cents, issuer_cents, both_cents = {}, {}, {}, {}
    for pool, members, amounts in pools:
        charge = Fraction(sum(c for key, c in (charges or {}).items() if key[:2] == pool), 100)
        weights = [
            r["billable_member_months"]
            * r["plrs"]
            * METAL[r["metal_level"]][1]
            * r["gcf"]
            * (1 - r.get("error_rate", NOTHING))
            if r["billable_member_months"]
            else NOTHING
            for r in members
        ]
        both = [t + charge * w / sum(weights, NOTHING) for t, w in zip(amounts, weights, strict=True)]
        for row, t in zip(members, amounts, strict=True):
            key = tuple(row[c] for c in KEY)
            plan_exact[key], plan_cents[key] = t, cents(t)
        issuer_cents |= issuers(pool, members, amounts, issuer_rounding, cents_balance, 0)
        both_cents |= issuers(pool, members, both, issuer_rounding, cents_balance, int(charge * 100))
    return {"plan_exact": plan_exact, "plan_cents": plan_cents, "issuer_cents": issuer_cents, "both_cents": both_cents}


def issuers(
    pool: tuple[str, str],
    members: list[dict[str, Any]],
    amounts: list[Fraction],
    issuer_rounding: str,
    cents_balance: str,
    total: int,
) -> dict[tuple[str, str, str], int]:
    """The cents of each issuer of one pool."""
    exact: dict[str, Fraction] = defaultdict(Fraction)
    rounded: dict[str, int] = defaultdict(int)
    months: dict[str, Fraction] = defaultdict(Fraction)
    for row, t in zip(members, amounts, strict=True):
        exact[row["issuer_id"]] += t
        rounded[row["issuer_id"]] += cents(t)
        months[row["issuer_id"]] += row["billable_member_months"]
    present = sorted(i for i in exact if months[i] > 0)
    of_plans = issuer_rounding == "rounded_plans" and len(present) > 1
    found = {i: rounded[i] if of_plans else cents(exact[i]) for i in exact}
    if cents_balance == "largest_remainder":
        missing = total - sum(found[i] for i in present)
        step = 1 if missing > 0 else -1
        # Whom rounding moved furthest against the step comes first; a stable sort keeps issuer ids in order.
        queue = sorted(present, key=lambda i: step * (found[i] - exact[i] * 100))
        for turn in range(abs(missing)):
            found[queue[turn % len(queue)]] += step
    return {(*pool, i): found[i] for i in exact}


def random_market(seed: int, name: str) -> list[dict[str, Any]]:
    """The plan rows of one made-up risk pool, in no order; numbers are exact decimals and thirtieths."""
    draw = random.Random(seed)
    catastrophic = draw.random() < 0.1
    pool = "catastrophic" if catastrophic else draw.choice(["individual", "small_group", "merged", "any text"])
    metals = ["catastrophic"] if catastrophic else [m for m in METAL if m != "catastrophic"]
    areas = [str(a) for a in range(1, draw.randint(1, 4) + 1)]
    gcf = {area: Fraction(draw.randint(850, 1200), 1000) for area in areas}
    scale = draw.choice([30, 900, 40_000, 3_000_000])  # thirtieths
    rows = []
    for issuer in range(draw.randint(1, 6)):
        for plan in range(draw.randint(1, 3)):
            metal = draw.choice(metals)
            for area in draw.sample(areas, draw.randint(1, len(areas))):
                thirtieths = 0 if draw.random() < 0.05 else draw.randint(1, scale)
                rows.append(
                    {
                        "state": name,
                        "risk_pool": pool,
                        "issuer_id": f"{10000 + issuer}",
                        "plan_id": f"{10000 + issuer}XX{plan:07d}",
                        "rating_area_id": area,
                        "metal_level": metal,
                        "billable_member_months": Fraction(thirtieths, 30),
                        "premium": Fraction(thirtieths * draw.randint(15_000, 90_000) // 30, 100),
                        "plrs": Fraction(draw.randint(200, 4000), 1000),
                        "arf": Fraction(draw.randint(1000, 2200), 1000),
                        "gcf": gcf[area],
                    }
                )
    if not any(row["billable_member_months"] for row in rows):
        rows[0] |= {"billable_member_months": Fraction(1), "premium": Fraction(400)}
    if not any(row["premium"] for row in rows):
        rows[0] |= {"billable_member_months": Fraction(7, 30), "premium": Fraction("93.34")}
    draw.shuffle(rows)
    return rows
