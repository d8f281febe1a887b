"""The slow, obvious twin of the data validation: plain loops in exact fractions, written from the published steps.

`adjusted` takes samples as dicts and gives group adjustments, error rates and the cents that transfers move by;
`random_audit` draws the samples of a market. Square roots are taken to 80 digits and everything else is exact.
"""

import random
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import transfers_oracle

NOTHING = Fraction(0)
NAMES = ("low", "medium", "high")
# audit year -> outlier rule, negative rates, Super HCCs: as the payment notices have them.
ERAS: dict[int, dict[str, Any]] = {
    2017: {"rule": "static", "negative": "none", "unit": "hcc", "least": 0},
    2018: {"rule": "static", "negative": "none", "unit": "hcc", "least": 0},
    2019: {"rule": "slide", "negative": "negative", "unit": "adult_group", "least": 30},
    2020: {"rule": "slide", "negative": "negative", "unit": "adult_group", "least": 30},
    2021: {"rule": "slide", "negative": "any", "unit": "model_group", "least": 30},
    2023: {"rule": "slide", "negative": "any", "unit": "model_group", "least": 30},
}


def root(number: Fraction) -> Fraction:
    """The square root to 80 digits."""
    with localcontext() as context:
        context.prec = 80
        return Fraction((Decimal(number.numerator) / Decimal(number.denominator)).sqrt())


def unit_of(hcc: str, model: str, groups: dict[str, dict[str, str]], kind: str) -> tuple[str, str, str]:
    """What is counted: an HCC, or all HCCs of one coefficient group; led by what orders ties."""
    if kind == "hcc":
        return (hcc, "", hcc)
    of_model = "adult" if kind == "adult_group" else model
    shown = "" if kind == "adult_group" else model
    name = groups.get(of_model, {}).get(hcc)
    if name is None:
        return (hcc, shown, hcc)
    first = min(h for h, g in groups[of_model].items() if g == name)
    return (first, shown, name)


def thirds(counts: dict[Any, list[int]]) -> dict[Any, int]:
    """The group of every unit that was submitted at all: sorted by failure rate, cut by the middle of its count."""
    ranked = sorted(
        (u for u, (e, _) in counts.items() if e > 0), key=lambda u: (1 - Fraction(counts[u][1], counts[u][0]), u)
    )
    total = sum(counts[u][0] for u in ranked)
    found, before = {}, 0
    for unit in ranked:
        own = counts[unit][0]
        middle = Fraction(2 * before + own, 2)
        found[unit] = 0 if middle < Fraction(total, 3) else 1 if middle < Fraction(2 * total, 3) else 2
        before += own
    return found


def factor(x: Fraction, m: Fraction, s: Fraction, submitted: int, era: dict[str, Any]) -> tuple[bool, Fraction]:
    """Whether a rate is an outlier, and the adjustment factor of its group."""
    if era["rule"] == "static":
        is_outlier = abs(x - m) > Fraction("1.96") * s
        return is_outlier, x - m if is_outlier else NOTHING
    inner, outer = Fraction("1.645"), Fraction(3)
    if abs(x - m) <= inner * s or submitted < era["least"]:
        return False, NOTHING
    if x < 0 and (era["negative"] == "any" or (era["negative"] == "negative" and x < m)):
        x = NOTHING
    if abs(x - m) <= inner * s:
        return True, NOTHING
    if abs(x - m) >= outer * s:
        return True, x - m
    z = (x - m) / s
    sign = 1 if z > 0 else -1
    return True, sign * (3 / (3 - inner)) * (abs(z) - inner) * s


def adjusted(people: list[dict[str, Any]], groups: dict[str, dict[str, str]], year: int) -> dict[str, Any]:
    """Steps 1 to 5 for all issuers. A person: issuer, model, weight, score, hccs {hcc: (submitted, found, part)}."""
    era = ERAS[year]
    is_once = era["unit"] == "model_group"
    national: dict[Any, list[int]] = {}
    of_issuer: dict[str, dict[Any, list[int]]] = {}
    sampled: dict[str, list[dict[str, Any]]] = {}
    for person in people:
        sampled.setdefault(person["issuer"], []).append(person)
        mine = of_issuer.setdefault(person["issuer"], {})
        seen: dict[Any, list[int]] = {}
        for hcc, (submitted, found, _) in person["hccs"].items():
            tally = seen.setdefault(unit_of(hcc, person["model"], groups, era["unit"]), [0, 0])
            tally[0] += submitted
            tally[1] += found
        for unit, (e, v) in seen.items():
            for counts in (national.setdefault(unit, [0, 0]), mine.setdefault(unit, [0, 0])):
                counts[0] += min(e, 1) if is_once else e
                counts[1] += min(v, 1) if is_once else v
    group_of = thirds(national)
    edge = {i: [0, 0, 0] for i in of_issuer}
    seen_by_audit = {i: [0, 0, 0] for i in of_issuer}
    for issuer, units in of_issuer.items():
        for unit, (e, v) in units.items():
            if unit in group_of:
                edge[issuer][group_of[unit]] += e
                seen_by_audit[issuer][group_of[unit]] += v
    means, deviations = [], []
    factors: dict[str, list[Fraction]] = {i: [] for i in of_issuer}
    flags: dict[str, list[bool]] = {i: [] for i in of_issuer}
    for g in range(3):
        total = sum(edge[i][g] for i in of_issuer)
        m = 1 - Fraction(sum(seen_by_audit[i][g] for i in of_issuer), total) if total else NOTHING
        square = NOTHING
        for i in of_issuer:
            if edge[i][g]:
                x = 1 - Fraction(seen_by_audit[i][g], edge[i][g])
                square += edge[i][g] * (x - m) ** 2
        s = root(square / total) if total else NOTHING
        means.append(m)
        deviations.append(s)
        for i in of_issuer:
            if edge[i][g] == 0:
                flag, a = False, NOTHING
            else:
                flag, a = factor(1 - Fraction(seen_by_audit[i][g], edge[i][g]), m, s, edge[i][g], era)
            flags[i].append(flag)
            factors[i].append(a)
    rates = {}
    for issuer in of_issuer:
        before = after = NOTHING
        for person in sampled[issuer]:
            top = bottom = NOTHING
            for hcc, (submitted, _, part) in person["hccs"].items():
                if submitted:
                    g = group_of[unit_of(hcc, person["model"], groups, era["unit"])]
                    top += part * factors[issuer][g]
                    bottom += part
            share = top / bottom if bottom else NOTHING
            before += person["weight"] * person["score"]
            after += person["weight"] * person["score"] * (1 - share)
        rates[issuer] = 1 - after / before
    return {
        "groups": group_of,
        "means": means,
        "deviations": deviations,
        "factors": factors,
        "flags": flags,
        "rates": rates,
    }


def moved_cents(rows: list[dict[str, Any]], rates: dict[str, Fraction], k: Fraction) -> dict[Any, tuple[int, int]]:
    """Cents of every issuer and pool before and after: the whole market settled twice."""
    plain = transfers_oracle.settle(transfers_oracle.exact_pools(rows, k))["issuer_cents"]
    with_rates = [row | {"error_rate": rates.get(row["issuer_id"], NOTHING)} for row in rows]
    after = transfers_oracle.settle(transfers_oracle.exact_pools(with_rates, k))["issuer_cents"]
    return {key: (plain[key], after[key]) for key in plain}


def random_audit(
    seed: int, issuers: int, enrollees: int, hccs: list[str], *, infants: list[str] | None = None
) -> list[dict[str, Any]]:
    """The samples of a market: issuers differ in how much of what they submit is found."""
    draw = random.Random(seed)
    common = {hcc: draw.random() ** 2 for hcc in hccs}
    hard = {hcc: draw.uniform(0.0, 0.35) for hcc in hccs}
    people = []
    for number in range(issuers):
        care = draw.choice([0.0, 0.0, 0.0, 0.05, 0.25, -0.15, -0.4])
        weights = [Fraction(draw.randint(100, 90_000), 100) for _ in range(4)]
        for person in range(enrollees):
            model = draw.choice(["adult", "adult", "adult", "child"])
            stratum = draw.randrange(4)
            carried = {}
            for hcc in draw.choices(hccs, [common[h] for h in hccs], k=draw.choice([0, 0, 1, 1, 2, 3, 5])):
                missing = draw.random() < min(0.95, max(0.0, hard[hcc] + care))
                extra = draw.random() < max(0.02, -care)
                if extra and draw.random() < 0.6:
                    carried[hcc] = (0, 1, NOTHING)
                else:
                    carried[hcc] = (1, 0 if missing else 1, Fraction(draw.randint(0, 9000), 1000))
            demographic = Fraction(draw.randint(80, 900), 1000)
            score = demographic + sum((p for e, _, p in carried.values() if e), NOTHING)
            people.append(
                {
                    "issuer": f"{10000 + number}",
                    "enrollee": f"{number:03d}-{person:04d}",
                    "model": model,
                    "stratum": str(stratum),
                    "weight": weights[stratum],
                    "score": score,
                    "hccs": carried,
                }
            )
    if infants:
        for person in people[:: max(1, len(people) // 40)]:
            person["model"] = "infant"
            kept = {h: c for h, c in person["hccs"].items() if h in infants}
            person["hccs"] = kept
    return people
