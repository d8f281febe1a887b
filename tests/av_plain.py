"""The calculator of 2026, written down step by step: slow, and to be read beside the rules."""

import math
from bisect import bisect_right
from functools import cache

import data_specs

MEDICAL_SPLIT = {
    "mental_health_outpatient": "mhsud",
    "imaging": "img",
    "speech_therapy": "st",
    "occupational_physical_therapy": "otpt",
    "laboratory": "lab",
}
DRUGS = {
    "generic": "generic",
    "preferred_brand": "pref",
    "nonpreferred_brand": "nonpref",
    "specialty_drug": "specialty",
}
DEFAULTS = {"subject_to_deductible": True, "subject_to_coinsurance": True, "copay_after_deductible": False}


@cache
def table(metal, domain):
    frame = data_specs.table("av/continuance", year=2026)
    frame = frame.filter(frame["metal"] == metal, frame["table"] == domain).sort("row")
    return {name: frame[name].to_list() for name in frame.columns}


def finder(column, amount):
    """Row and fraction; amounts above the last limit use the unlimited row."""
    finite = column[:-1]
    if amount > finite[-1]:
        return len(finite), 0.0
    row = bisect_right(finite, amount) - 1
    if finite[row] == amount:
        return row, 0.0
    return row, (amount - finite[row]) / (finite[row + 1] - finite[row])


def at(cells, column, place):
    row, part = place
    first = cells[column][row]
    return first if part == 0 else first + part * (cells[column][row + 1] - first)


def terms_of(plan, service):
    given = plan.get("services", {}).get(service, {})
    found = {**DEFAULTS, **given}
    found["copay"] = given.get("copay") or 0.0
    if given.get("plan_coinsurance") is None:
        found["plan_coinsurance"] = general(plan, "drug" if service in DRUGS else "medical")
    return found


def general(plan, domain):
    return plan["plan_coinsurance"] if "plan_coinsurance" in plan else plan[f"plan_coinsurance_{domain}"]


def is_special(plan, service):
    t = terms_of(plan, service)
    plain = t["subject_to_deductible"] and t["subject_to_coinsurance"] and t["copay"] == 0
    return not (plain and t["plan_coinsurance"] == general(plan, "medical"))


def line(cost, frequency, terms, **changed):
    """Cost and frequency as columns with signs; below: (counts, copay); above: (coinsured, copay, share, cap)."""
    counts = terms["subject_to_deductible"] or terms["copay_after_deductible"]
    below = 0.0 if terms["copay_after_deductible"] else terms["copay"]
    found = {"cost": cost, "freq": frequency, "counts": counts, "below": below, "cap": None}
    found |= {"coinsured": terms["subject_to_coinsurance"], "above": terms["copay"], "q": terms["plan_coinsurance"]}
    return found | changed


def lines_of(plan):
    options = plan.get("options", {})
    covered = {"counts": False, "below": 0.0, "coinsured": False, "above": 0.0}

    def own(service):
        return terms_of(plan, service)

    def plain(stem, service, unit="freq", **changed):
        return line([(1, f"{stem}_cost")], [(1, f"{stem}_{unit}")], own(service), **changed)

    days = options.get("inpatient_copay_max_days")
    stays = "admits" if not options.get("inpatient_copay_per_day") else f"days_max{days}" if days else "days"
    lines = [plain("er", "emergency_room"), plain("ip", "inpatient", stays), plain("sp", "specialist")]
    lines += [plain("prev", "preventive", **covered)]
    nursing = "days" if options.get("snf_copay_per_day") else "stays"
    lines += [plain("snf", "skilled_nursing", nursing)]

    free = options.get("primary_care_first_n_visits_free")
    at_copay = options.get("primary_care_first_n_visits_copay_then_deductible")
    visits = free or at_copay
    copay = own("primary_care")["copay"] if at_copay else 0.0
    early = {"counts": False, "below": copay, "coinsured": False, "above": copay}
    if visits:
        for_first = [[(1, f"pc_{kind}"), (-1, f"pc_gt{visits}_{kind}")] for kind in ("cost", "freq")]
        lines += [line(*for_first, own("primary_care"), **early)]
        lines += [plain(f"pc_gt{visits}", "primary_care", **({"below": 0.0} if at_copay else {}))]
    else:
        lines += [plain("pc", "primary_care")]
    if is_special(plan, "xray"):
        lines += [plain("xray", "xray")]
    else:
        before = {"counts": False, "below": copay} if visits else {}
        lines += [plain("xray_pc", "primary_care", **before), plain("xray_sp", "specialist")]
        lines += [plain("xray_uncl", "xray")]
    for service, stem in MEDICAL_SPLIT.items():
        for part, whole in (("opfac", "outpatient_facility"), ("opprof", "outpatient_surgery_professional")):
            takes = is_special(plan, whole) and not is_special(plan, service)
            lines += [plain(f"{stem}_{part}", whole if takes else service)]
    lines += [plain("uncl_opfac", "outpatient_facility"), plain("uncl_opprof", "outpatient_surgery_professional")]
    for service, stem in DRUGS.items():
        cap = options.get("specialty_drug_coinsurance_max_per_script") if service == "specialty_drug" else None
        lines += [plain(f"rx_{stem}", service, "scripts", cap=cap)]
    return lines


def amounts(cells, one, place):
    return tuple(sum(sign * at(cells, c, place) for sign, c in one[kind]) for kind in ("cost", "freq"))


def below(cells, lines, x):
    """Counts, plan, copays at a spend."""
    place = finder(cells["spend_limit"], x)
    n = p = k = 0.0
    for one in lines:
        c, f = amounts(cells, one, place)
        copay = min(c, f * one["below"])
        k += copay
        if one["counts"]:
            n += c - copay
        else:
            p += c - copay
    return n, p, k


def meet(cells, lines, target):
    r, x = 1.0, 0.0
    for i in range(200):
        x = target / r if r else x
        n, p, k = below(cells, lines, x)
        a = n / (n + p + k) if n + p + k else 1.0
        if abs(r - a) < 1e-4:
            break
        w = math.exp(-i / 5)
        r = a * w + (r + a) / 2 * (1 - w)
    return x, n, p, k


def mean(cells, x):
    return at(cells, "maxd_cost", finder(cells["spend_limit"], x))


def share_of(part, n, p, k):
    return part / (n + p + k) if n + p + k else 0.0


def actuarial_value(plan, *, rule="scale_until_met"):
    """The value, or None where the search does not settle."""
    medical, drug, combined = (table(plan["table_metal"], domain) for domain in ("medical", "drug", "combined"))
    lines = lines_of(plan)
    if plan["deductible_type"] == "integrated":
        paid = numerator(combined, lines, plan["deductible"], plan["moop"])
        return None if paid is None else min(1.0, paid / combined["maxd_cost"][-1])
    kinds = (medical, lines[: -len(DRUGS)], "medical"), (drug, lines[-len(DRUGS) :], "drug")
    if plan["deductible_type"] == "separate_deductible_combined_moop":
        return one_limit(plan, combined, kinds, rule)
    paid = [numerator(c, own, plan[f"deductible_{d}"], plan[f"moop_{d}"]) for c, own, d in kinds]
    return None if None in paid else min(1.0, sum(paid) / sum(c["maxd_cost"][-1] for c, _, _ in kinds))


def one_limit(plan, combined, kinds, rule):
    total = combined["maxd_cost"][-1]

    def met(factor):
        """Plan's money and mean below both deductibles; deductible and limit left on the combined table."""
        paid = reached = entered = 0.0
        left = plan["moop"]
        for cells, lines, domain in kinds:
            deductible = plan[f"deductible_{domain}"] * factor
            x, n, p, k = meet(cells, lines, deductible)
            paid += mean(cells, x) * share_of(p, n, p, k)
            reached += mean(cells, x)
            entered += mean(cells, deductible)
            left -= x * share_of(k, n, p, k)
        return paid, reached, inverse(combined, entered), left

    paid, reached, deductible, left = met(1.0)
    if left < deductible:
        if rule == "scale_until_met":
            low, high = 0.0, 1.0
            for _ in range(200):
                factor = (low + high) / 2
                paid, reached, deductible, left = met(factor)
                if abs(left - deductible) < 1e-4:
                    break
                low, high = (low, factor) if left < deductible else (factor, high)
            else:
                return None
        return min(1.0, (paid + total - reached) / total)
    start = [e * c["maxd_cost"][-1] for c, lines, _ in kinds for e in (starting_share(c, lines),)]
    start = min(1.0, sum(start) / sum(c["maxd_cost"][-1] for c, _, _ in kinds))
    x = inverse(combined, reached)
    e, y = coinsurance_range(combined, [one for _, lines, _ in kinds for one in lines], x, deductible, left, start)
    return min(1.0, (paid + e * (mean(combined, y) - mean(combined, x)) + total - mean(combined, y)) / total)


def inverse(cells, amount):
    """The spend of a mean cost, linear between rows."""
    means, spends = cells["maxd_cost"], cells["spend_limit"]
    row = max(i for i, m in enumerate(means) if m <= amount)
    if means[row] == amount:
        return spends[row]
    return spends[row] + (amount - means[row]) / (means[row + 1] - means[row]) * (spends[row + 1] - spends[row])


def numerator(cells, lines, deductible, moop):
    """What the plan pays on the mean, with one deductible and one limit; None where the search does not settle."""
    total = cells["maxd_cost"][-1]

    def own_part(x, n, p, k):
        return x * (1 - share_of(p, n, p, k))

    x, n, p, k = meet(cells, lines, deductible)
    if deductible == moop or own_part(x, n, p, k) > moop or (x > 0 and n == 0 and p + k > 0):
        target = deductible
        for _ in range(200):
            if target == 0 or (n + k == 0 and p > 0):
                break
            target *= min(max(1 + (moop - own_part(x, n, p, k)) / (2 * target), 0.25), 2)
            x, n, p, k = meet(cells, lines, target)
            if abs(own_part(x, n, p, k) - moop) < 1e-4:
                break
        else:
            return None
        if n + k == 0 and p > 0:
            return total
        return mean(cells, x) * share_of(p, n, p, k) + total - mean(cells, x)
    limit = max(deductible, moop - x * round(share_of(k, n, p, k), 5))
    e, y = coinsurance_range(cells, lines, x, deductible, limit, min(1.0, starting_share(cells, lines)))
    return mean(cells, x) * share_of(p, n, p, k) + e * (mean(cells, y) - mean(cells, x)) + total - mean(cells, y)


def starting_share(cells, lines):
    last = (len(cells["row"]) - 1, 0.0)
    pairs = [(one, *amounts(cells, one, last)) for one in lines]
    shares = [one["q"] * c if one["coinsured"] else max(0.0, c - f * one["above"]) for one, c, f in pairs]
    return sum(shares) / cells["maxd_cost"][-1]


def plan_part(one, c, f):
    if not one["coinsured"]:
        return max(0.0, c - f * one["above"])
    return one["q"] * c if one["cap"] is None else max(one["q"] * c, c - one["cap"] * f)


def coinsurance_range(cells, lines, x, deductible, limit, e):
    here = [amounts(cells, one, finder(cells["spend_limit"], x)) for one in lines]
    y = x
    if limit == x:
        return e, x
    for i in range(200):
        y = x + (limit - deductible) / (1 - e) if e < 1 else x
        plan = member = 0.0
        for one, (c0, f0) in zip(lines, here, strict=True):
            c1, f1 = amounts(cells, one, finder(cells["spend_limit"], y))
            part = plan_part(one, c1, f1) - plan_part(one, c0, f0)
            plan += part
            member += c1 - c0 - part
        a = plan / (plan + member) if plan + member else 1.0
        w, before = math.exp(-i / 5), e
        e = a * w + (e + a) / 2 * (1 - w)
        if abs(before - a) < 1e-4:
            return e, y
    return min(before, e), y
