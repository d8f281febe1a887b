"""Made-up plans, written as the public exchange files write them; the terms they stand for are kept beside them."""

import random

import polars as pl

from rating._av_columns import SERVICES

BENEFITS = {
    "emergency_room": "Emergency Room Services",
    "inpatient": "Inpatient Hospital Services (e.g., Hospital Stay)",
    "primary_care": "Primary Care Visit to Treat an Injury or Illness",
    "specialist": "Specialist Visit",
    "mental_health_outpatient": "Mental/Behavioral Health Outpatient Services",
    "imaging": "Imaging (CT/PET Scans, MRIs)",
    "speech_therapy": "Rehabilitative Speech Therapy",
    "occupational_physical_therapy": "Rehabilitative Occupational and Rehabilitative Physical Therapy",
    "preventive": "Preventive Care/Screening/Immunization",
    "laboratory": "Laboratory Outpatient and Professional Services",
    "xray": "X-rays and Diagnostic Imaging",
    "skilled_nursing": "Skilled Nursing Facility",
    "outpatient_facility": "Outpatient Facility Fee (e.g., Ambulatory Surgery Center)",
    "outpatient_surgery_professional": "Outpatient Surgery Physician/Surgical Services",
    "generic": "Generic Drugs",
    "preferred_brand": "Preferred Brand Drugs",
    "nonpreferred_brand": "Non-Preferred Brand Drugs",
    "specialty_drug": "Specialty Drugs",
}
CHARGED = [service for service in SERVICES if service != "preventive"]
STAYS = {"inpatient": "inpatient_copay_per_day", "skilled_nursing": "snf_copay_per_day"}
LEVELS = ("Platinum", "Gold", "Silver", "Bronze", "Expanded Bronze", "Catastrophic")
VARIATIONS = {
    "00": "Standard {} Off Exchange Plan",
    "01": "Standard {} On Exchange Plan",
    "02": "Zero Cost Sharing Plan Variation",
    "03": "Limited Cost Sharing Plan Variation",
    "04": "73% AV Level Silver Plan",
    "05": "87% AV Level Silver Plan",
    "06": "94% AV Level Silver Plan",
}
NOT = "Not Applicable"


def terms(rng: random.Random) -> dict:
    """Terms that the files and the calculator both know, as the mapping of a design writes them."""
    kind = rng.randrange(8)
    subject = rng.random() < 0.7
    if kind < 4:
        return {"subject_to_deductible": subject, "plan_coinsurance": (100 - rng.randrange(1, 101)) / 100}
    if kind == 4:
        return {"subject_to_deductible": subject, "plan_coinsurance": 1.0}
    copay = {"copay": rng.randrange(1, 200_000) / 100, "subject_to_deductible": kind != 5}
    if kind == 7:
        return {**copay, "plan_coinsurance": 0.75}
    return {**copay, "subject_to_coinsurance": False, "copay_after_deductible": kind == 6 and rng.random() < 0.5}


def texts(said: dict, per: str = "") -> tuple[str, str]:
    """Terms as the texts of copay and coinsurance; `per` is the unit of a copay."""
    copay, share = said.get("copay", 0), said.get("plan_coinsurance")
    subject, coinsured = said.get("subject_to_deductible", True), said.get("subject_to_coinsurance", True)
    percent = "" if share is None else f"{100 - 100 * share:.2f}%"
    if not copay and share == 1:
        return ("No Charge after deductible" if subject else "No Charge"), NOT
    if not copay:
        return NOT, percent + (" Coinsurance after deductible" if subject else "")
    when = " after deductible" if said.get("copay_after_deductible") else " with deductible" if subject else ""
    wording = f" Copay{per}{when}" if per or when else ""
    return f"${copay:,.2f}{wording}", f"{percent} Coinsurance after deductible" if coinsured and percent else NOT


def tier(rng: random.Random, kind: str) -> dict:
    """Amounts of one network tier."""
    limit = rng.randrange(1_000, 10_600, 50)

    def amounts(domain: str) -> dict:
        return {
            f"deductible{domain}": float(rng.randrange(0, limit + 1, 25)),
            f"plan_coinsurance{domain}": rng.randrange(50, 101) / 100,
        }

    if kind == "integrated":
        return {**amounts(""), "moop": float(limit)}
    both = {**amounts("_medical"), **amounts("_drug")}
    if kind.endswith("combined_moop"):
        return {**both, "moop": float(limit)}
    return {**both, "moop_medical": float(limit), "moop_drug": float(limit)}


def design(rng: random.Random, *, tiers: bool | None = None) -> dict:
    """A design with everything that the files can say."""
    kind = rng.choice(("integrated",) * 3 + ("separate_deductible_combined_moop", "separate_deductible_separate_moop"))
    options = {}
    services = {service: terms(rng) for service in CHARGED}
    for service, option in STAYS.items():
        if services[service].get("copay") and rng.random() < 0.5:
            options[option] = True
    if options.get("inpatient_copay_per_day") and rng.random() < 0.5:
        options["inpatient_copay_max_days"] = rng.randrange(1, 11)
    first = rng.random()
    if first < 0.2:
        options["primary_care_first_n_visits_free"] = rng.randrange(1, 11)
    elif first < 0.4:
        options["primary_care_first_n_visits_copay_then_deductible"] = rng.randrange(1, 11)
        services["primary_care"] = {"copay": 35.5, "plan_coinsurance": rng.choice((0.6, 0.85))}
    if rng.random() < 0.2:
        options["specialty_drug_coinsurance_max_per_script"] = float(rng.choice((150, 250, 1000)))
    if rng.random() < 0.1:
        options["employer_hsa_hra"] = 500.0
    plan = {"deductible_type": kind, **tier(rng, kind), "services": services, "options": options}
    if rng.random() < 0.25 if tiers is None else tiers:
        second = {service: terms(rng) for service in CHARGED}
        for service in STAYS:  # per day or per stay in both
            second[service] = {"subject_to_deductible": True, "plan_coinsurance": 0.6}
        if first >= 0.2:
            second["primary_care"] = services["primary_care"]
        whole = (*STAYS.values(), "inpatient_copay_max_days", "employer_hsa_hra")
        kept = {name: value for name, value in options.items() if name not in whole}
        plan |= {"tier1_utilization": rng.choice((0.01, 0.07, 0.29, 0.44, 0.57, 0.85)), "tier2": {}}
        plan["tier2"] = {**tier(rng, kind), "services": second, "options": kept}
    return plan


def dollars(amount: float) -> str:
    return f"${amount:,.0f} " if amount == int(amount) else f"${amount:,.2f}"


def plan_cells(plan: dict, plan_id: str = "99999XX0010001-01", level: str = "Silver") -> dict:
    """The row of Plan Attributes."""
    kind, options = plan["deductible_type"], plan.get("options", {})
    cells = {
        "BusinessYear": "2026",
        "PlanId": plan_id,
        "StandardComponentId": plan_id[:14],
        "MarketCoverage": "Individual",
        "DentalOnlyPlan": "No",
        "MetalLevel": level,
        "CSRVariationType": VARIATIONS[plan_id[-2:]].format(level.split()[-1]),
        "UniquePlanDesign": "No",
        "MedicalDrugDeductiblesIntegrated": "Yes" if kind == "integrated" else "No",
        "MedicalDrugMaximumOutofPocketIntegrated": "No" if kind.endswith("separate_moop") else "Yes",
        "MultipleInNetworkTiers": "Yes" if "tier2" in plan else "No",
        "FirstTierUtilization": "100%",
        "SecondTierUtilization": "",
        "SpecialtyDrugMaximumCoinsurance": "",
        "InpatientCopaymentMaximumDays": str(options.get("inpatient_copay_max_days", 0)),
        "BeginPrimaryCareCostSharingAfterNumberOfVisits": str(options.get("primary_care_first_n_visits_free", 0)),
        "BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays": str(
            options.get("primary_care_first_n_visits_copay_then_deductible", 0)
        ),
        "IsHSAEligible": "No",
        "HSAOrHRAEmployerContribution": "Yes" if "employer_hsa_hra" in options else "No",
        "HSAOrHRAEmployerContributionAmount": "",
        "AVCalculatorOutputNumber": "0.7",
        "IssuerActuarialValue": "",
    }
    if "employer_hsa_hra" in options:
        cells["HSAOrHRAEmployerContributionAmount"] = dollars(options["employer_hsa_hra"])
    if cap := options.get("specialty_drug_coinsurance_max_per_script"):
        cells["SpecialtyDrugMaximumCoinsurance"] = dollars(cap)
    if "tier2" in plan:
        first = round(100 * plan["tier1_utilization"])
        cells |= {"FirstTierUtilization": f"{first}%", "SecondTierUtilization": f"{100 - first}%"}
    for number, own in ((1, plan), (2, plan.get("tier2", {}))):
        for prefix, domain in (("TEHB", ""), ("MEHB", "_medical"), ("DEHB", "_drug")):
            if f"deductible{domain}" in own:
                cells[f"{prefix}DedInnTier{number}Individual"] = dollars(own[f"deductible{domain}"])
                share = 100 - 100 * own[f"plan_coinsurance{domain}"]
                cells[f"{prefix}DedInnTier{number}Coinsurance"] = f"{share:.2f}%"
            if f"moop{domain}" in own:
                cells[f"{prefix}InnTier{number}IndividualMOOP"] = dollars(own[f"moop{domain}"])
    return cells


def benefit_cells(plan: dict, plan_id: str = "99999XX0010001-01") -> list[dict]:
    """The rows of Benefits and Cost Sharing."""
    rows = []
    for service, name in BENEFITS.items():
        row = {"BusinessYear": "2026", "PlanId": plan_id, "BenefitName": name, "IsCovered": "Covered"}
        for number, own in ((1, plan), (2, plan.get("tier2", {}))):
            said = own.get("services", {}).get(service)
            copay = coinsurance = NOT if number == 1 else ""
            if service == "preventive" and own:
                copay, coinsurance = "No Charge", "0.00%"
            elif said:
                first = "primary_care_first_n_visits_copay_then_deductible" in plan.get("options", {})
                copay, coinsurance = texts(said, unit(service, own))
                if first and service == "primary_care":
                    copay = f"${said['copay']:.2f}"  # the first visits; then deductible and coinsurance
            row |= {f"CopayInnTier{number}": copay, f"CoinsInnTier{number}": coinsurance}
        rows.append(row)
    return rows


def unit(service: str, plan: dict) -> str:
    if service not in STAYS:
        return ""
    return " per Day" if plan.get("options", {}).get(STAYS[service]) else " per Stay"


def files(plans: dict[str, dict]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both files of some designs, by plan id with the variant."""
    attributes = pl.from_dicts([plan_cells(p, i) for i, p in plans.items()], infer_schema_length=None)
    benefits = [row for i, plan in plans.items() for row in benefit_cells(plan, i)]
    return attributes, pl.from_dicts(benefits, infer_schema_length=None)
