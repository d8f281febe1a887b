"""Designs as they are written: typed objects, a table of one row per plan and service, and what is refused or asked."""

import random
import re

import numpy as np
import polars as pl
import pytest
from av_designs import KINDS, designs

from data_specs.errors import InputRefused, SettingRefused
from rating import actuarial_value
from rating._av_columns import SERVICES, DesignColumns, plain_columns
from rating._av_designs import Design, ServiceTerms, columns_of_design_table
from rating._av_doubts import doubts, refuse_impossible
from rating._av_mapping import columns_of_mappings
from rating._figures import Figures

NAMES = {"plan_coinsurance": "service_coinsurance"}
WRITTEN = [kind for kind in KINDS if kind != "two_tiers"]  # the table has one tier


def rows_of(plan, design_id, *, repeat):
    """A design as the rows of a table; what is said of the plan stands on every row, or on the first only."""
    own = {key: value for key, value in plan.items() if key not in ("services", "options")} | plan.get("options", {})
    listed = plan["services"] or {None: {}}
    rows = []
    for number, (service, terms) in enumerate(listed.items()):
        said = own if repeat or number == 0 else {}
        rows.append(
            {"design_id": design_id, **said, "service": service, **{NAMES.get(k, k): v for k, v in terms.items()}}
        )
    return rows


def table_of(plans, **how):
    return pl.from_dicts(
        [row for n, plan in enumerate(plans) for row in rows_of(plan, f"D{n}", **how)], infer_schema_length=None
    )


def same(one: DesignColumns, other: DesignColumns):
    for name, array in vars(one).items():
        if name != "tier2":
            np.testing.assert_array_equal(array, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.every_case
def test_a_table_gives_what_mappings_give(repeat, as_text):
    plans = [plan for kind in WRITTEN for plan in designs(kind, 6, seed=21)]
    frame = table_of(plans, repeat=repeat)
    if as_text:
        flags = pl.col(pl.Boolean)
        frame = frame.with_columns(pl.when(flags).then(pl.lit("Yes")).when(~flags).then(pl.lit(" no ")).name.keep())
        frame = frame.select(pl.all().cast(pl.String))
    ids, columns = columns_of_design_table(frame.lazy(), coinsurance_is="plan")
    assert ids == [f"D{n}" for n in range(len(plans))]
    same(columns, columns_of_mappings(plans))
    found = actuarial_value(columns, plan_year=2026).designs["av"]
    assert found.equals(actuarial_value(plans, plan_year=2026).designs["av"])


def test_rows_may_come_in_any_order():
    plans = [plan for kind in WRITTEN for plan in designs(kind, 3, seed=22)]
    frame = table_of(plans, repeat=True)
    turned = frame[random.Random(1).sample(range(frame.height), frame.height)]
    ids, columns = columns_of_design_table(turned, coinsurance_is="plan")
    wanted = columns_of_mappings(plans).take(np.array([int(name[1:]) for name in ids]))
    same(columns, wanted)


def test_a_typed_design_is_its_mapping():
    office = ServiceTerms(copay=30, subject_to_deductible=False, subject_to_coinsurance=False)
    design = Design(
        deductible=2500, moop=8000, plan_coinsurance=0.7, table_metal="silver", services={"primary_care": office}
    )
    plan = {
        "deductible_type": "integrated",
        "deductible": 2500,
        "moop": 8000,
        "plan_coinsurance": 0.7,
        "table_metal": "silver",
        "services": {"primary_care": {"copay": 30, "subject_to_deductible": False, "subject_to_coinsurance": False}},
    }
    same(columns_of_mappings([design.mapping()]), columns_of_mappings([plan]))


def test_a_typed_design_says_what_the_mapping_says_of_the_plan():
    facts = {"plan_id": "12345AZ0010001", "csr_variant": "04", "market": "individual", "desired_metal": "silver"}
    facts |= {"is_hdhp": True, "filed_av": 0.73, "filed_source": "attachment 3", "tier1_utilization": 0.8}
    far = ServiceTerms(copay=50, subject_to_deductible=False)
    design = Design(deductible=1, moop=2, plan_coinsurance=0.7, tier2={"services": {"xray": far}}, **facts)
    mapping = design.mapping()
    assert {key: mapping[key] for key in facts} == facts
    columns = columns_of_mappings([mapping])
    assert columns.tier2.copay[0, SERVICES.index("xray")] == 50
    codes = (columns.csr_variant, columns.market, columns.desired_metal, columns.is_hdhp, columns.filed_av)
    assert [code.item() for code in codes] == [4, 0, 2, 1, 0.73]


PLAN = {"design_id": "A", "deductible": 1000, "moop": 5000, "plan_coinsurance": 0.8}
BAD = {
    "unknown service": ({"service": "generics"}, "did you mean 'generic'"),
    "unknown column": ({"copays": 10}, "did you mean 'copay'"),
    "terms of no service": ({"copay": 10}, "beside no service"),
    "limit below deductible": ({"moop": 900}, "limit is below the deductible"),
    "share in percent": ({"plan_coinsurance": "80%"}, "no number in range"),
    "share above one": ({"plan_coinsurance": 80}, "no number in range"),
    "enrollee's share": ({"plan_coinsurance": 0.2}, "coinsurance_is='enrollee'"),
    "negative copay": ({"service": "generic", "copay": -1}, "no number in range"),
    "flag of another kind": ({"service": "generic", "subject_to_deductible": "maybe"}, "no yes or no"),
    "missing amount": ({"moop": None}, "an amount is missing"),
    "amount of another type": ({"deductible_drug": 100}, "no such amount"),
    "two tiers without a share": ({"tier1_utilization": 0.8}, "both the share of tier 1 and rows of tier 2"),
    "unknown tier": ({"tier": "3"}, "neither 1 nor 2"),
    "unknown variant": ({"csr_variant": "silver"}, "a variant is not known"),
    "unknown market": ({"market": "large_group"}, "'large_group' is not known"),
    "unknown type": ({"deductible_type": "one"}, "'one' is not known"),
    "unknown metal": ({"table_metal": "tin"}, "'tin' is not known"),
    "eleven days": ({"inpatient_copay_max_days": 11}, "no whole number from 1 to 10"),
    "copay per day that is blank": ({"inpatient_copay_per_day": True}, "none is entered"),
    "two options of first visits": (
        {"primary_care_first_n_visits_free": 2, "primary_care_first_n_visits_copay_then_deductible": 2},
        "free and at the copay",
    ),
    "no id": ({"design_id": " "}, "no design_id"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
@pytest.mark.every_case
def test_a_bad_row_is_refused(change, message):
    with pytest.raises(InputRefused, match=re.escape(message)):
        columns_of_design_table(pl.DataFrame([PLAN | change]))


def test_rows_that_contradict_each_other_are_refused():
    with pytest.raises(InputRefused, match="rows of one design differ"):
        columns_of_design_table(pl.DataFrame([PLAN, {**PLAN, "moop": 6000}]))
    twice = {**PLAN, "service": "generic", "subject_to_deductible": False}
    with pytest.raises(InputRefused, match="listed twice"):
        columns_of_design_table(pl.DataFrame([twice, twice]))
    with pytest.raises(SettingRefused, match="coinsurance_is"):
        columns_of_design_table(pl.DataFrame([PLAN]), coinsurance_is="member")


def test_the_enrollees_share_is_turned_round_and_blank_is_not_nothing():
    rows = [
        {**PLAN, "plan_coinsurance": 0.2, "service": name, "service_coinsurance": share}
        for name, share in (("imaging", 0.0), ("generic", None))
    ]
    _, columns = columns_of_design_table(pl.DataFrame(rows), coinsurance_is="enrollee")
    assert columns.plan_coinsurance[0].tolist() == [0.8, 0.8]
    assert columns.coinsurance[0, SERVICES.index("imaging")] == 1.0
    assert np.isnan(columns.coinsurance[0, SERVICES.index("generic")])


def test_doubts_are_told_apart():
    columns = plain_columns(5, deductible=1000.0, plan_coinsurance=0.8, moop=9000.0)
    columns.moop[1] = 10_700.0
    columns.csr_variant[2] = 5  # whose limit is lower
    columns.plan_coinsurance[3] = 0.2
    columns.copay[4, SERVICES.index("specialist")] = 9_500.0
    columns.inpatient_max_days[0] = 3
    found = {word: rows.tolist() for word, rows in doubts(columns, plan_year=2026, figures=Figures()).items()}
    assert found == {
        "moop_above_limit": [False, True, True, False, False],
        "share_below_half": [False, False, False, True, False],
        "copay_above_moop": [False, False, False, False, True],
        "copay_implausible": [False, False, False, False, True],
        "copay_without_flags": [False, False, False, False, True],
        "employer_money_undefined": [False] * 5,
        "days_without_copay_per_day": [True, False, False, False, False],
        "copay_never_charged": [False] * 5,
        "first_visits_copay_blank": [False] * 5,
        "preventive_terms_unused": [False] * 5,
    }


def test_the_second_tier_is_looked_at_where_it_is_used():
    columns = plain_columns(2, deductible=1000.0, moop=9000.0)
    poor = plain_columns(2, deductible=1000.0, moop=500.0)
    refuse_impossible(columns.with_changes(tier2=poor), ["A", "B"])
    share = np.array([1.0, 0.8])
    with pytest.raises(InputRefused, match="design B, tier 2"):
        refuse_impossible(columns.with_changes(tier2=poor, tier1_share=share), ["A", "B"])
