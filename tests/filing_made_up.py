"""Made-up rate filings as plain data (see filing_oracle), and as the arguments of `rating.filing.develop`."""

import random
from decimal import Decimal

import polars as pl
from filing_oracle import CATEGORIES

from rating.filing import develop

METALS = ("bronze", "expanded_bronze", "silver", "gold", "platinum", "catastrophic")
BAND_14 = "0-14"


def text(draw, low, high, decimals):
    """A number between two, as text with so many decimals."""
    return str(Decimal(draw.randint(round(low * 10**decimals), round(high * 10**decimals))).scaleb(-decimals))


def random_case(seed):
    """A filing drawn at random: any state's rules, all settings, new issuers, plans that end."""
    draw = random.Random(seed)
    market = draw.choice(["individual", "individual", "small_group"])
    state = draw.choice(["XX", "TX", "TX", "UT", "DC", "OR", "NY", "VT"])
    case = {"state": state, "market": market, "plan_year": draw.choice([2018, 2026, 2027]), "settings": {}}
    if state == "XX":
        case["settings"]["rules_of_state"] = "TX"
    settings = case["settings"]
    for name, choices in {
        "user_fee_convention": ("gross_up", "add_on", "amount"),
        "csr_sign": ("plus", "minus"),
        "csr_load": ("given", "none", "all_silver", "on_exchange_silver"),
        "calibration_method": ("mean_factor", "nearest_age"),
        "calibration_decimals": (None, None, 4),
        "rate_change_definition": ("premium", "calibrated_rate", "plan_adjusted_index_rate"),
        "rate_change_weight": ("premium", "current_premium", "projected_premium", "projected_member_months"),
        "factor_decimals": (4, 6),
    }.items():
        if draw.random() < 0.6:
            settings[name] = draw.choice(choices)
    case["assumptions"] = _assumptions(draw, case)
    case["plans"] = _plans(draw, case)
    case["areas"] = [
        {"rating_area_id": f"R-{state}{i:03}", "area_factor": text(draw, 0.7, 1.4, 4)}
        for i in range(1, draw.randint(1, 3) + 1)
    ]
    case["mix"] = _mix(draw, case)
    case["variants"] = _variants(draw, case)
    return case


def _assumptions(draw, case):
    found = {"exp_member_months": draw.choice(["0", text(draw, 100, 1e6, 0), text(draw, 100, 1e6, 2)])}
    has_experience = found["exp_member_months"] != "0"
    if has_experience:
        for name in ("allowed_claims", "reinsurance", "incurred_claims", "risk_adjustment", "premium"):
            if draw.random() < 0.8:
                found[f"exp_{name}_total"] = text(draw, -1e5 if name == "risk_adjustment" else 0, 1e8, 2)
        for category in CATEGORIES:
            found[f"ep_index_rate_{category}"] = draw.choice(["0", text(draw, 1, 200, 2), text(draw, 1, 200, 6)])
            if found[f"ep_index_rate_{category}"] != "0" or draw.random() < 0.5:
                for year in "12":
                    for part in ("cost", "util"):
                        found[f"trend_y{year}_{part}_{category}"] = text(draw, 0.95, 1.12, draw.choice([3, 4]))
        found["ep_index_rate_professional"] = text(draw, 150, 400, 2)
        for year in "12":
            for part in ("cost", "util"):
                found[f"trend_y{year}_{part}_professional"] = text(draw, 0.95, 1.12, 3)
        for part in ("morbidity", "demographic", "plan_design", "other"):
            found[f"adj_{part}"] = text(draw, 0.9, 1.1, 4)
        found["credibility"] = draw.choice(["1", "0", text(draw, 0, 1, 4)])
    if found.get("credibility", "0") != "1" or draw.random() < 0.3:
        found["manual_ehb"] = text(draw, 300, 700, 2)
    paid = draw.random() < 0.4
    for name, low in (("proj_reinsurance", 0), ("proj_risk_adjustment", -60)):
        found[name + ("_paid" if paid else "")] = draw.choice(["0", text(draw, low, 60, 2)])
    if paid:
        found["paid_to_allowed_ratio"] = text(draw, 0.6, 0.95, 4)
    if case["settings"].get("user_fee_convention") == "amount":
        found["exchange_fee_pmpm"] = text(draw, 0, 20, 2)
    elif draw.random() < 0.5:
        found["exchange_fee_pct"] = text(draw, 0, 0.05, 4)
    else:
        found |= {
            "published_exchange_fee_pct": text(draw, 0, 0.05, 4),
            "on_exchange_premium_share": text(draw, 0, 1, 4),
        }
    if case["market"] == "small_group" and draw.random() < 0.7:
        found["quarterly_trend"] = text(draw, 0.99, 1.04, 4)
        if draw.random() < 0.5:
            case["settings"]["quarterly_rate_basis"] = "year_average"
            found |= {f"quarter_share_{i}": share for i, share in enumerate((".4", ".25", ".2", ".15"), 1)}
    return found


def _plans(draw, case):
    plans = []
    ratio = draw.choice([None, "1", text(draw, 1, 1.2, 3)]) if case["state"] in ("XX", "TX") else None
    case["tobacco_ratio"] = ratio
    for i in range(1, draw.randint(1, 6) + 1):
        plan = {
            "plan_id": f"12345{case['state']}{draw.randint(1, 2):03}{i:04}",
            "metal_level": draw.choice(METALS),
            "plan_category": draw.choice(["renewing", "renewing", "new", "terminated"]) if i > 1 else "renewing",
            "on_exchange": draw.choice(["yes", "no"]),
        }
        for name, decimals in (("exp_premium", 2), ("current_premium_pmpm", 2), ("renewal_premium_pmpm", 2)):
            if draw.random() < 0.8:
                plan[name] = text(draw, 100, 900, decimals)
        for name in ("current_calibrated_rate", "current_plan_adjusted_index_rate"):
            if draw.random() < 0.8:
                plan[name] = text(draw, 100, 900, 2)
        plan["current_enrollment"] = text(draw, 0, 5000, 0)
        if plan["plan_category"] != "terminated":
            plan |= _offered(draw, plan, ratio)
        plans.append(plan)
    offered = [plan["plan_id"] for plan in plans if plan["plan_category"] != "terminated"]
    for plan in plans:
        if plan["plan_category"] == "terminated" and draw.random() < 0.5:
            plan["crosswalk_plan_id"] = draw.choice(offered)
    return plans


def _offered(draw, plan, ratio):
    found = {"adj_csr_load": text(draw, 1, 1.3, 4), "adj_network": text(draw, 0.8, 1.1, 4)}
    found |= {"adj_non_ehb": text(draw, 1, 1.02, 4), "pct_admin": text(draw, 0.05, 0.3, 4)}
    found |= {"pct_taxes_fees": text(draw, 0, 0.05, 4), "pct_profit_risk": text(draw, -0.02, 0.05, 4)}
    if draw.random() < 0.7:
        found["adj_av_cost_sharing"] = text(draw, 0.5, 1.1, 4)
    else:
        found |= {"av_pricing": text(draw, 0.5, 0.95, 4), "induced_demand": text(draw, 0.95, 1.15, 4)}
    if plan["metal_level"] == "catastrophic" or draw.random() < 0.3:
        found["adj_catastrophic"] = text(draw, 0.7, 1, 2)
    if draw.random() < 0.7:
        found["proj_member_months_plan"] = draw.choice(["0", text(draw, 1, 90000, 0), text(draw, 1, 90000, 4)])
    else:
        found["enrollment_change"] = text(draw, 0, 1.5, 3)
    if draw.random() < 0.6:
        found |= {
            f"proj_{n}": text(draw, 0, 1e7, 2) for n in ("allowed", "reinsurance_plan", "member_cost_sharing", "csr")
        }
        found["proj_risk_adjustment_plan"] = text(draw, -1e6, 1e6, 2)
    if ratio is not None:
        found["tobacco_ratio"] = ratio
    return found


def _mix(draw, case):
    rows = []

    def add(kind, level, billable="Y", **more):
        rows.append(
            {"kind": kind, "level": level, "billable": billable, "member_months": text(draw, 1, 9000, 1), **more}
        )

    if case["state"] in ("NY", "VT"):
        for level in ("one_adult", "two_adults", "one_adult_children", "two_adults_children"):
            add("tier", level, contract_months=text(draw, 1, 4000, 1))
    else:
        for level in sorted({BAND_14, "64+", *(str(draw.randint(15, 63)) for _ in range(4))}):
            add("age", level)
        add("age", "10", "N")
    for area in case["areas"]:
        add("area", area["rating_area_id"])
    if case["tobacco_ratio"] is not None:
        add("tobacco", "N", factor="1")
        add("tobacco", "Y", factor=case["tobacco_ratio"])
    return sorted(rows, key=lambda row: (row["kind"], row["level"], row["billable"]))


def _variants(draw, case):
    rows = []
    for plan in case["plans"]:
        if plan["metal_level"] == "silver" and plan["plan_category"] != "terminated":
            parts = [draw.randint(0, 50) for _ in range(3)]
            shares = [*(Decimal(part).scaleb(-3) for part in parts)]
            standard = "01" if plan["on_exchange"] == "yes" else "00"
            for code, share in zip((standard, "04", "06"), (1 - sum(shares[1:]), *shares[1:]), strict=True):
                rows.append(
                    {
                        "plan_id": plan["plan_id"],
                        "csr_variant": code,
                        "share": str(share),
                        "paid_to_allowed": text(draw, 0.6, 0.95, 3),
                        "induced_demand": text(draw, 1, 1.2, 3),
                    }
                )
    return rows


def frame(rows):
    columns = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame({c: pl.Series([row.get(c) for row in rows], dtype=pl.String) for c in columns})


def filing_of(case, **changes):
    """What `develop` makes of a case."""
    return develop(
        None,
        case["assumptions"],
        frame(case["plans"]),
        **{
            "plan_year": case["plan_year"],
            "state": case["state"],
            "market": case["market"],
            "issuer_id": "12345",
            "areas": frame(case["areas"]),
            "mix": frame(case["mix"]),
            "variants": frame(case["variants"]) if case["variants"] else None,
            "settings": case["settings"],
            **changes,
        },
    )


def rates_of(filing):
    """(plan, area, quarter, band, Y or N) -> rate."""
    found = {}
    for row in filing.rates.to_dicts():
        key = (row["plan_id"], row["rating_area_id"], row["effective_date"].month // 3 + 1, row["age_band"])
        found[*key, "N"] = row["individual_rate"]
        if row["tobacco"] == "split":
            found[*key, "Y"] = row["individual_tobacco_rate"]
    return found
