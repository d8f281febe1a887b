"""Designs from the public exchange files: every text form, what is refused and why, and nothing guessed."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from plan_benefits_files import BENEFITS, LEVELS, NOT, VARIATIONS, benefit_cells, design, files, plan_cells

import data_specs
import rating
from data_specs.errors import InputRefused, TableMissing
from rating._av_columns import METAL_LEVELS, SERVICES, DesignColumns
from rating._av_mapping import columns_of_mappings

CASES = Path(__file__).parent / "cases" / "av" / "av_cases.json"
RULES = data_specs.table("av/design_rules")
ID = "99999XX0010001-01"
PLAIN = {"deductible_type": "integrated", "deductible": 5000.0, "plan_coinsurance": 0.6, "moop": 8000.0}
PLAIN["services"] = {s: {"plan_coinsurance": 0.6} for s in BENEFITS if s != "preventive"}
# Of the plan as a whole: the mapping of a design says these otherwise, or not at all.
ELSEWHERE = ("tier2", "csr_variant", "desired_metal", "market", "filed_av", "is_hdhp")


@dataclass
class Reading:
    """What was read of one plan."""

    plan: dict
    designs: DesignColumns | None
    problems: pl.DataFrame

    @property
    def told(self):
        return self.plan["reasons"], self.plan["notes"]


def read_all(cases):
    """The reading of each case, all in one call: columns of the plan and texts of benefits that are replaced."""
    plans, rows = [], []
    for number, (attributes, benefits, *design_of) in enumerate(cases):
        plan, plan_id = (design_of or [PLAIN])[0], f"99999XX{number:07d}-01"
        own = {BENEFITS[service]: cells for service, cells in benefits.items()}
        plans.append(plan_cells(plan, plan_id) | attributes)
        rows += [row | own.get(row["BenefitName"], {}) for row in benefit_cells(plan, plan_id)]
    found = rating.designs_of_plan_benefits(*(pl.from_dicts(of, infer_schema_length=None) for of in (plans, rows)))
    assert found.plans.height == len(plans)
    read = []
    for plan in found.plans.to_dicts():
        assert plan["suffices"] == (plan["reasons"] == []) == (plan["design"] is not None)
        design_of_plan = None if plan["design"] is None else found.designs.take([plan["design"]])
        if plan["suffices"]:
            assert found.design_ids[plan["design"]] == f"{plan['plan_id']}-{plan['csr_variant']}"
        read.append(Reading(plan, design_of_plan, found.problems.filter(plan_id=plan["plan_id"])))
    return read


def read(attributes=None, benefits=None, plan=PLAIN):
    return read_all([(attributes or {}, benefits or {}, plan)])[0]


def texts_of(service, copay, share):
    return {service: {"CopayInnTier1": copay, "CoinsInnTier1": share}}


def same_terms(found, wanted):
    for name, array in vars(wanted).items():
        if name in ELSEWHERE:
            continue
        own = getattr(found, name)
        if name == "copay":  # a copay of 0 and none are written alike
            own, array = np.nan_to_num(own), np.nan_to_num(array)
        np.testing.assert_array_equal(own, array, err_msg=name)


def test_designs_come_back_as_they_were_written():
    rng = random.Random(5)
    plans = {f"99999XX001{number:04d}-01": design(rng) for number in range(300)}
    found = rating.designs_of_plan_benefits(*files(plans))
    assert found.plans["suffices"].all()
    assert found.design_ids == list(plans)
    wanted = columns_of_mappings(list(plans.values()))
    same_terms(found.designs, wanted)
    two = np.flatnonzero(wanted.tier1_share < 1)
    assert len(two) > 40
    same_terms(found.designs.tier2.take(two), wanted.tier2.take(two))
    typed = found.typed()
    again = columns_of_mappings([one.mapping() for one in typed])
    for name, array in vars(found.designs).items():
        if name != "tier2":
            np.testing.assert_array_equal(getattr(again, name), array, err_msg=name)
    same_terms(again.tier2.take(two), found.designs.tier2.take(two))
    assert [one.name for one in typed] == list(plans)
    values = rating.actuarial_value(typed[:3], plan_year=2026).designs
    assert set(values["design_id"]) == set(list(plans)[:3])
    assert {one.filed_source for one in typed} == {"Plan Attributes PUF, AVCalculatorOutputNumber"}
    assert set(found.problems["flag"]) == {"copay_within_deductible", "exempt_coinsurance", "days_unused"}


def test_the_standardized_plan_has_its_published_value():
    """Texts of a federal standardized plan; its value is published in the same files."""
    case = json.loads(CASES.read_text(encoding="utf-8"))["cases"][0]
    assert case["id"] == "FED26-EB"
    exempt = {"primary_care": 50, "mental_health_outpatient": 50, "speech_therapy": 50, "specialist": 100}
    exempt |= {"occupational_physical_therapy": 50, "generic": 25}
    after = {"preferred_brand": 50, "nonpreferred_brand": 100, "specialty_drug": 500}
    texts = dict.fromkeys(BENEFITS, ("", "50.00% Coinsurance after deductible"))
    texts |= {service: (f"${copay}.00", NOT) for service, copay in exempt.items()}
    texts |= {service: (f"${copay}.00 Copay after deductible", NOT) for service, copay in after.items()}
    texts["preventive"] = ("No Charge", "No Charge")
    found = read(
        {
            "MetalLevel": "Expanded Bronze",
            "TEHBDedInnTier1Individual": "$7,500 ",
            "TEHBDedInnTier1Coinsurance": "50.00%",
            "TEHBInnTier1IndividualMOOP": "$10,000 ",
            "AVCalculatorOutputNumber": "0.641164683",
        },
        {s: {"CopayInnTier1": copay, "CoinsInnTier1": share} for s, (copay, share) in texts.items()},
    )
    assert found.told == ([], [])
    assert [found.plan[name] for name in ("filed_av", "filed_by", "metal_level")] == [
        0.641164683,
        "calculator",
        "expanded_bronze",
    ]
    value = rating.actuarial_value(found.designs, plan_year=2026).designs["av"].item()
    assert abs(value - found.plan["filed_av"]) < 1e-6


# texts of copay and coinsurance -> STD, STC, CAD, copay, plan's share
FORMS = {
    ("$30.00", NOT): (0, 0, 0, 30.0, None),
    ("$30", ""): (0, 0, 0, 30.0, None),
    ("$1,030.50 Copay", "No Charge"): (0, 0, 0, 1030.5, None),
    ("$30.00 Copay", "0.00%"): (0, 0, 0, 30.0, None),
    ("$30.00 Copay after deductible", NOT): (1, 0, 1, 30.0, None),
    ("$30.00 copay  AFTER Deductible", "No Charge after deductible"): (1, 0, 1, 30.0, None),
    ("$30.00 Copay after deductible", "0.00% Coinsurance after deductible"): (1, 0, 1, 30.0, None),
    ("$30.00 Copay with deductible", NOT): (1, 0, 0, 30.0, None),
    ("$30.00 Copay before deductible", NOT): (1, 0, 0, 30.0, None),
    ("$30.00 Copay with deductible", "20.00% Coinsurance after deductible"): (1, 1, 0, 30.0, 0.8),
    ("$30.00 Copay before deductible", "20.00% Coinsurance after deductible"): (1, 1, 0, 30.0, 0.8),
    (NOT, "20.00% Coinsurance after deductible"): (1, 1, 0, 0.0, 0.8),
    ("No Charge", "20% Coinsurance after deductible"): (1, 1, 0, 0.0, 0.8),
    ("$0.00", "20.00% Coinsurance after deductible"): (1, 1, 0, 0.0, 0.8),
    ("No Charge after deductible", "35.50% Coinsurance after deductible"): (1, 1, 0, 0.0, 0.645),
    (NOT, "20.00%"): (0, 1, 0, 0.0, 0.8),
    ("$0.00", "20.00% Coinsurance"): (0, 1, 0, 0.0, 0.8),
    (NOT, "100.00%"): (0, 1, 0, 0.0, 0.0),
    (NOT, "100.00% Coinsurance after deductible"): (1, 1, 0, 0.0, 0.0),
    ("No Charge", NOT): (0, 1, 0, 0.0, 1.0),
    ("No Charge", "No Charge"): (0, 1, 0, 0.0, 1.0),
    (NOT, "0.00%"): (0, 1, 0, 0.0, 1.0),
    ("No Charge after deductible", NOT): (1, 1, 0, 0.0, 1.0),
    (NOT, "No Charge after deductible"): (1, 1, 0, 0.0, 1.0),
    ("No Charge", "No Charge after deductible"): (1, 1, 0, 0.0, 1.0),
    ("$0.00 Copay after deductible", "0.00%"): (1, 1, 0, 0.0, 1.0),
}


def of_service(found, service):
    place = SERVICES.index(service)
    names = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible", "copay", "coinsurance")
    *flags, copay, share = (getattr(found.designs, name)[0, place] for name in names)
    return (*flags, np.nan_to_num(copay), None if np.isnan(share) else share)


def test_every_form_of_text():
    found = read_all([({}, texts_of("specialist", *texts)) for texts in FORMS])
    for (texts, wanted), one in zip(FORMS.items(), found, strict=True):
        assert one.plan["reasons"] == [], texts
        assert of_service(one, "specialist") == wanted, texts


STAYS = {
    "$500.00 Copay per Stay": (False, (0, 0, 0, 500.0, None)),
    "$500.00 Copay per Day": (True, (0, 0, 0, 500.0, None)),
    "$500.00 Copay per Day after deductible": (True, (1, 0, 1, 500.0, None)),
    "$500.00 Copay per Stay with deductible": (False, (1, 0, 0, 500.0, None)),
    "$500.00 Copay per Day before deductible": (True, (1, 0, 0, 500.0, None)),
}


def test_copays_of_stays():
    for service, option in (("inpatient", "inpatient_per_day"), ("skilled_nursing", "skilled_nursing_per_day")):
        *found, plain = read_all([({}, texts_of(service, text, NOT)) for text in (*STAYS, "$500.00")])
        for (text, (per_day, wanted)), one in zip(STAYS.items(), found, strict=True):
            assert one.plan["reasons"] == [], text
            assert (bool(getattr(one.designs, option)[0]), of_service(one, service)) == (per_day, wanted), text
        assert plain.told == (["copay_unit_not_said"], [])


# texts of copay and coinsurance of a specialist -> why the plan has no design
UNREADABLE = {
    ("$30.00 Copay", "20.00% Coinsurance after deductible"): "copay_and_coinsurance",
    ("$30.00 Copay", "20.00%"): "copay_and_coinsurance",
    ("$30.00 Copay after deductible", "20.00% Coinsurance after deductible"): "copay_and_coinsurance",
    ("$30.00 Copay with deductible", "20.00%"): "copay_and_coinsurance",
    ("$30.00", "No Charge after deductible"): "deductible_unclear",
    ("No Charge after deductible", "20.00%"): "deductible_unclear",
    (NOT, NOT): "cost_sharing_not_said",
    ("", ""): "cost_sharing_not_said",
    ("20.00%", NOT): "cost_sharing_not_read",
    ("30.00", NOT): "cost_sharing_not_read",
    (NOT, "$30.00"): "cost_sharing_not_read",
    (NOT, "120.00%"): "cost_sharing_not_read",
    (NOT, "-20.00%"): "cost_sharing_not_read",
    (NOT, "0.2"): "cost_sharing_not_read",
    ("$-30.00", NOT): "cost_sharing_not_read",
    ("$3,0.00", NOT): "cost_sharing_not_read",
    ("$30.00 Copay, waived if admitted", NOT): "cost_sharing_not_read",
    ("$30.00 to $60.00", NOT): "cost_sharing_not_read",
    ("See plan", NOT): "cost_sharing_not_read",
    (NOT, "20.00% Coinsurance with deductible"): "cost_sharing_not_read",
    ("$30.00 Copay per Day", NOT): "copay_unit_unexpected",
    ("$30.00 Copay per Stay after deductible", NOT): "copay_unit_unexpected",
}


def test_what_the_calculator_has_no_terms_for_has_no_design():
    found = read_all([({}, texts_of("specialist", *texts)) for texts in UNREADABLE])
    for (texts, reason), one in zip(UNREADABLE.items(), found, strict=True):
        assert one.told == ([reason], []), texts
        line = one.problems.select("benefit_name", "text", "flag", "severity").row(0)
        assert line == ("Specialist Visit", " | ".join(texts), reason, "error")


# changed columns of the plan attributes -> why there is no design
BROKEN = [
    ({"UniquePlanDesign": "Yes"}, "unique_design"),
    ({"AVCalculatorOutputNumber": "", "IssuerActuarialValue": "70.88%"}, "certified_by_actuary"),
    ({"DentalOnlyPlan": "Yes", "MetalLevel": "High", "TEHBDedInnTier1Individual": ""}, "dental_plan"),
    ({"MetalLevel": "Low"}, "dental_plan"),
    ({"MetalLevel": "Copper"}, "metal_not_read"),
    ({"MetalLevel": ""}, "metal_not_read"),
    ({"MedicalDrugDeductiblesIntegrated": ""}, "integration_not_said"),
    ({"MedicalDrugMaximumOutofPocketIntegrated": "maybe"}, "integration_not_said"),
    ({"TEHBDedInnTier1Individual": "about $5"}, "amount_not_read"),
    ({"TEHBDedInnTier1Individual": "5000"}, "amount_not_read"),
    ({"TEHBDedInnTier1Individual": "$10000 per group"}, "amount_not_read"),
    ({"TEHBInnTier1IndividualMOOP": NOT}, "amount_not_said"),
    ({"TEHBDedInnTier1Individual": "per person not applicable | per group not applicable"}, "amount_not_said"),
    ({"TEHBDedInnTier1Coinsurance": ""}, "amount_not_said"),
    ({"TEHBDedInnTier1Coinsurance": "$40"}, "amount_not_read"),
    ({"TEHBDedInnTier1Individual": "$8,001"}, "moop_below_deductible"),
    ({"FirstTierUtilization": "85%"}, "tier_shares_disagree"),
    ({"MultipleInNetworkTiers": "Yes", "FirstTierUtilization": "85%"}, "tier_shares_disagree"),
    (
        {"MultipleInNetworkTiers": "Yes", "FirstTierUtilization": "85%", "SecondTierUtilization": "25%"},
        "tier_shares_disagree",
    ),
    ({"InpatientCopaymentMaximumDays": "11"}, "option_not_read"),
    ({"InpatientCopaymentMaximumDays": "2.5"}, "option_not_read"),
    ({"BeginPrimaryCareCostSharingAfterNumberOfVisits": "three"}, "option_not_read"),
    ({"SpecialtyDrugMaximumCoinsurance": "$0"}, "option_not_read"),
    ({"SpecialtyDrugMaximumCoinsurance": "20%"}, "option_not_read"),
    ({"HSAOrHRAEmployerContributionAmount": "$500"}, "option_not_read"),
    ({"HSAOrHRAEmployerContribution": "Yes"}, "employer_amount_not_said"),
    ({"CSRVariationType": "87% AV Level Silver Plan"}, "variant_differs"),
    ({"BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays": "3"}, "first_visits_unclear"),
]


BOTH_VISITS = {
    "BeginPrimaryCareCostSharingAfterNumberOfVisits": "2",
    "BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays": "3",
}
TWO_LIMITS = {
    "MedicalDrugMaximumOutofPocketIntegrated": "No",
    "MEHBInnTier1IndividualMOOP": "$8,000",
    "DEHBInnTier1IndividualMOOP": "$6,000",
}
BROKEN += [(BOTH_VISITS, "first_visits_twice"), (TWO_LIMITS, "one_deductible_two_moops")]


def test_plans_without_a_design_say_why():
    found = read_all([(cells, {}) for cells, _ in BROKEN])
    for (cells, reason), one in zip(BROKEN, found, strict=True):
        assert (one.plan["reasons"], one.designs) == ([reason], None), cells


# changed columns of a benefit -> why there is no design
KEPT_OUT = [
    ("imaging", {"IsCovered": "Not Covered"}, "service_not_covered"),
    ("imaging", {"IsCovered": ""}, "service_not_covered"),
    ("imaging", {"BenefitName": "Imaging"}, "service_not_listed"),
    ("imaging", {"IsExclFromInnMOOP": "Yes"}, "excluded_from_moop"),
    ("imaging", {"IsSubjToDedTier1": "No"}, "deductible_disagrees"),
    ("preventive", {"CopayInnTier1": "$20.00"}, "preventive_charged"),
    ("preventive", {"CopayInnTier1": "No Charge after deductible"}, "preventive_charged"),
]


def test_benefits_that_keep_a_plan_from_a_design():
    plain = {service: {"IsExclFromInnMOOP": "No", "IsSubjToDedTier1": ""} for service in BENEFITS}
    found = read_all([({}, plain | {service: plain[service] | cells}) for service, cells, _ in KEPT_OUT])
    for (_, cells, reason), one in zip(KEPT_OUT, found, strict=True):
        assert one.told == ([reason], []), cells


def test_a_flag_of_the_first_years_may_agree():
    assert read({}, {service: {"IsSubjToDedTier1": "Yes"} for service in BENEFITS}).told == ([], [])


# changes that leave the design and are told: plan, benefits, note
TOLD = [
    ({"UniquePlanDesign": ""}, {}, "unique_design_not_said"),
    ({"AVCalculatorOutputNumber": "70.5"}, {}, "filed_value_not_read"),
    ({"InpatientCopaymentMaximumDays": "3"}, {}, "days_unused"),
    ({"MultipleInNetworkTiers": "Yes"}, {}, "second_tier_unused"),
    ({"MetalLevel": "Bronze", "IsHSAEligible": "Yes"}, {}, "hsa_says_nothing"),
    ({"TEHBDedInnTier1Individual": "$5000 per person | $10000 per group"}, {}, "per_person_amount"),
    ({"TEHBInnTier1IndividualMOOP": NOT, "TEHBCombInnOonIndividualMOOP": "$8,000"}, {}, "combined_network_amount"),
    ({}, {"imaging": {"CoinsInnTier1": "40.00%"}}, "exempt_coinsurance"),
    ({}, {"skilled_nursing": {"QuantLimitOnSvc": "Yes"}}, "benefit_limited"),
    ({}, {"imaging": {"CopayInnTier1": "$9 Copay with deductible"}}, "copay_within_deductible"),
    ({}, {"imaging": {"CopayInnTier1": "$9 Copay before deductible", "CoinsInnTier1": ""}}, "copay_before_deductible"),
]


def test_what_a_design_leaves_out_is_told():
    found = read_all([(cells, benefits) for cells, benefits, _ in TOLD])
    for (cells, benefits, note), one in zip(TOLD, found, strict=True):
        assert one.told == ([], [note]), (cells, benefits)
        assert one.designs.deductible.tolist() == [[5000.0, 5000.0]]
        assert one.designs.moop.tolist() == [[8000.0, 8000.0]]


def test_parts_of_a_wider_service_are_compared_with_what_is_read():
    told = {"": [], "10.00%": ["part_differs"], "not covered": []}
    plans, rows = [], []
    for number, text in enumerate(told):
        plan_id = f"99999XX{number:07d}-01"
        own = benefit_cells(PLAIN, plan_id)
        part = own[0] | {"BenefitName": "Substance Abuse Disorder Outpatient Services"}
        cells = {"CoinsInnTier1": text} if "%" in text else {"IsCovered": "Not Covered"} if text else {}
        plans.append(plan_cells(PLAIN, plan_id))
        rows += [*own, part | cells]
    found = rating.designs_of_plan_benefits(pl.from_dicts(plans), pl.from_dicts(rows))
    assert found.plans["notes"].to_list() == list(told.values())
    assert found.designs.height == len(told)


def test_first_visits_at_a_copay_need_what_comes_after():
    option = {"BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays": "3"}
    after = ("25.00% Coinsurance after deductible", "No Charge after deductible", NOT)
    then, free, alone = read_all([(option, texts_of("primary_care", "$30.00", text)) for text in after])
    assert of_service(then, "primary_care") == (1, 1, 0, 30.0, 0.75)
    assert then.designs.first_visits_copay.tolist() == [3]
    assert of_service(free, "primary_care") == (1, 1, 0, 30.0, 1.0)
    assert alone.plan["reasons"] == ["first_visits_unclear"]


def test_two_tiers_need_both_texts():
    plan = design(random.Random(3), tiers=True)
    no_text = {"generic": {"CopayInnTier2": "", "CoinsInnTier2": ""}}
    no_share = {"TEHBDedInnTier2Coinsurance": "", "MEHBDedInnTier2Coinsurance": ""}
    found = read_all([({}, {}, plan), ({}, no_text, plan), (no_share, {}, plan)])
    assert [one.plan["reasons"] for one in found] == [[], ["tier_not_said"], ["amount_not_said"]]


@pytest.mark.parametrize("form", ["{}-{}", "{}{}", "{}"])
def test_variants_and_their_names(form):
    """The id may say the variant or not; CSRVariationType says it as well."""
    plans = {variant: f"99999XX001000{variant[1]}" for variant in VARIATIONS}
    attributes = [
        plan_cells(PLAIN, f"{plan}-{v}") | {"PlanId": form.format(plan, v).lower()} for v, plan in plans.items()
    ]
    rows = [row | {"PlanId": form.format(p, v)} for v, p in plans.items() for row in benefit_cells(PLAIN)]
    found = rating.designs_of_plan_benefits(pl.from_dicts(attributes), pl.from_dicts(rows))
    assert found.design_ids == [f"{plan}-{variant}" for variant, plan in plans.items()]
    assert found.designs.csr_variant.tolist() == [int(variant) for variant in plans]


def test_a_variant_without_cost_sharing_is_worth_all_of_it():
    plan_id = "99999XX0010001-02"
    free = {
        "TEHBDedInnTier1Individual": "$0 ",
        "TEHBInnTier1IndividualMOOP": "$0 ",
        "TEHBDedInnTier1Coinsurance": "0.00%",
    }
    free |= {"AVCalculatorOutputNumber": "1"}
    rows = [row | {"CopayInnTier1": "No Charge", "CoinsInnTier1": NOT} for row in benefit_cells(PLAIN, plan_id)]
    found = rating.designs_of_plan_benefits(pl.from_dicts([plan_cells(PLAIN, plan_id) | free]), pl.from_dicts(rows))
    assert found.plans.select("suffices", "filed_av").row(0) == (True, 1.0)
    assert rating.actuarial_value(found.designs, plan_year=2026).designs["av"].item() == 1.0


def test_variants_that_are_not_known():
    plan, rows = plan_cells(PLAIN, ID), benefit_cells(PLAIN, ID)
    nothing = plan | {"PlanId": ID[:14], "CSRVariationType": "some other plan"}
    own = plan | {"PlanId": "99999XX0010002-31", "CSRVariationType": "some other plan"}
    rows = [row | {"PlanId": p["PlanId"]} for p in (nothing, own) for row in rows]
    found = rating.designs_of_plan_benefits(pl.from_dicts([nothing, own]), pl.from_dicts(rows)).plans
    assert found.select("csr_variant", "reasons", "notes").rows() == [
        (None, ["variant_not_said"], []),
        ("31", [], ["variant_without_rule"]),
    ]


def test_metal_levels_markets_and_filed_values():
    levels = [{"MetalLevel": level, "MarketCoverage": "SHOP (Small Group)", "CSRVariationType": ""} for level in LEVELS]
    gold = {"MetalLevel": "Gold", "IsHSAEligible": "Yes", "CSRVariationType": ""}
    filed = [{"IssuerActuarialValue": "71%"}, {"AVCalculatorOutputNumber": "0"}, {"AVCalculatorOutputNumber": "70.25%"}]
    *found, high, both, none, percent = read_all([(cells, {}) for cells in (*levels, gold, *filed)])
    for level, one in zip(LEVELS, found, strict=True):
        word = level.lower().replace(" ", "_")
        assert (one.plan["metal_level"], one.plan["market"]) == (word, "small_group")
        assert one.designs.desired_metal.tolist() == [METAL_LEVELS.index(word)]
        assert one.designs.is_hdhp.tolist() == [0]
    assert high.designs.is_hdhp.tolist() == [1]
    assert (both.plan["filed_av"], both.plan["filed_by"]) == (0.7, "calculator")
    assert (none.plan["filed_av"], none.plan["filed_by"], np.isnan(none.designs.filed_av).all()) == (None, None, True)
    assert percent.designs.filed_av.tolist() == [0.7025]


def test_the_order_of_rows_and_the_writing_of_heads_change_nothing():
    rng = random.Random(11)
    plans = {f"99999XX001{number:04d}-0{number % 4}": design(rng) for number in range(40)}
    attributes, benefits = files(plans)
    plain = rating.designs_of_plan_benefits(attributes, benefits)
    attributes = attributes.sample(fraction=1.0, shuffle=True, seed=1).rename(str.upper)
    benefits = pl.concat([benefits, benefits.head(50)]).sample(fraction=1.0, shuffle=True, seed=2)
    benefits = benefits.with_columns(pl.col("BenefitName").str.to_uppercase(), pl.col("PlanId") + " ")
    mixed = rating.designs_of_plan_benefits(attributes.lazy(), benefits.lazy())
    assert mixed.plans.equals(plain.plans)
    assert mixed.problems.drop("text").equals(plain.problems.drop("text"))
    for name, array in vars(plain.designs).items():
        if name != "tier2":
            np.testing.assert_array_equal(getattr(mixed.designs, name), array, err_msg=name)


def test_numbers_that_a_reader_of_csv_made_are_read():
    plan = plan_cells(PLAIN, ID) | {"InpatientCopaymentMaximumDays": 0, "AVCalculatorOutputNumber": 0.7}
    plan |= {"BusinessYear": 2026, "DentalOnlyPlan": False, "SecondTierUtilization": None}
    found = rating.designs_of_plan_benefits(pl.DataFrame([plan]), pl.from_dicts(benefit_cells(PLAIN)), plan_year=2026)
    assert found.plans.select("suffices", "filed_av").row(0) == (True, 0.7)


def test_rows_that_contradict_each_other():
    plan, rows = plan_cells(PLAIN, ID), benefit_cells(PLAIN, ID)
    other = rows[3] | {"CoinsInnTier1": "10.00%"}
    found = rating.designs_of_plan_benefits(pl.from_dicts([plan]), pl.from_dicts([*rows, other]))
    assert found.plans["reasons"].to_list() == [["benefit_twice"]]
    dearer = plan | {"TEHBInnTier1IndividualMOOP": "$9,000"}
    found = rating.designs_of_plan_benefits(pl.from_dicts([plan, dearer, plan]), pl.from_dicts(rows))
    assert found.plans["reasons"].to_list() == [["plan_twice"]]
    elsewhere = plan | {"FormularyId": "other"}
    found = rating.designs_of_plan_benefits(pl.from_dicts([elsewhere, plan | {"FormularyId": ""}]), pl.from_dicts(rows))
    assert found.plans["reasons"].to_list() == [[]]


def test_rows_without_a_plan_are_counted():
    plan, rows = plan_cells(PLAIN, ID), benefit_cells(PLAIN, ID)
    loose = [
        rows[0] | {"PlanId": ID[:14] + "-05"},
        rows[0] | {"PlanId": "88888XX0010001-01"},
        rows[0] | {"PlanId": "x"},
    ]
    found = rating.designs_of_plan_benefits(pl.from_dicts([plan, plan | {"PlanId": "X"}]), pl.from_dicts(rows + loose))
    assert found.counts.row(0) == ("plans", 2, 1, 1)
    assert found.findings.select("rule_id", "table", "rows").rows() == [
        ("AVC-200", "benefits", 1),
        ("AVC-200", "plans", 1),
        ("AVC-253", "benefits", 2),
    ]


def test_years_are_chosen():
    attributes = pl.from_dicts([plan_cells(PLAIN, ID), plan_cells(PLAIN, ID) | {"BusinessYear": "2025"}])
    benefits = pl.from_dicts(benefit_cells(PLAIN))
    with pytest.raises(InputRefused, match="several years: 2025, 2026"):
        rating.designs_of_plan_benefits(attributes, benefits)
    assert rating.designs_of_plan_benefits(attributes, benefits, plan_year=2026).designs.height == 1
    with pytest.raises(TableMissing, match="2024 are not in the file"):
        rating.designs_of_plan_benefits(attributes, benefits, plan_year=2024)
    with pytest.raises(InputRefused, match="a year cannot be read"):
        rating.designs_of_plan_benefits(attributes, benefits.with_columns(BusinessYear=pl.lit("soon")), plan_year=2026)


def test_files_that_are_none_are_refused():
    attributes, benefits = files({ID: PLAIN})
    with pytest.raises(InputRefused, match="missing column 'UniquePlanDesign'"):
        rating.designs_of_plan_benefits(attributes.drop("UniquePlanDesign"), benefits)
    with pytest.raises(InputRefused, match="missing column 'CopayInnTier1'"):
        rating.designs_of_plan_benefits(attributes, benefits.drop("CopayInnTier1"))
    with pytest.raises(InputRefused, match="'MetalLevel' stands twice"):
        rating.designs_of_plan_benefits(attributes.with_columns(pl.lit("Gold").alias("Metal Level")), benefits)
    with pytest.raises(InputRefused, match="leading zeros count"):
        rating.designs_of_plan_benefits(attributes.with_columns(PlanId=pl.lit(7)), benefits)
    with pytest.raises(InputRefused, match="plans is a dict"):
        rating.designs_of_plan_benefits({}, benefits)
    nothing = rating.designs_of_plan_benefits(attributes.clear(), benefits)
    assert (nothing.plans.height, nothing.designs.height, nothing.problems.height) == (0, 0, 0)
    without = rating.designs_of_plan_benefits(attributes, benefits.clear())
    assert without.plans["reasons"].to_list() == [["service_not_listed"]]
    assert without.problems["benefit_name"].n_unique() == len(SERVICES) - 1  # preventive care is the same everywhere


def test_benefit_names_cover_the_services_once():
    names = data_specs.table("av/benefit_names")
    whole = names.filter(pl.col("fit") != "part")
    assert dict(whole.select("service", "benefit_name").rows()) == BENEFITS
    assert whole.height == len(SERVICES)
    assert set(names["service"]) <= set(SERVICES)
    assert names["position"].to_list() == list(range(1, names.height + 1))


def test_every_word_has_its_rule_and_every_rule_its_test():
    reasons = {reason for _, reason in BROKEN} | set(UNREADABLE.values()) | {reason for *_, reason in KEPT_OUT}
    told = reasons | {note for *_, note in TOLD}
    told |= {"tier_not_said", "part_differs", "copay_unit_not_said", "variant_not_said", "variant_without_rule"}
    told |= {"benefit_twice", "plan_twice", "plan_id_not_read", "benefit_without_plan"}
    own = RULES.filter(pl.col("rule_id").str.starts_with("AVC-2"))
    shared = {"variant_differs", "moop_below_deductible", "first_visits_twice"}
    assert set(own["flag"]) == told - shared
    assert shared <= set(RULES["flag"])
    blocking = set(RULES.filter(pl.col("severity") == "error")["flag"])
    assert reasons <= blocking
    assert not {note for *_, note in TOLD} & blocking
