"""Actuarial values attacked by a fresh reader: each test is a fault that was found, or a sentence that had no test."""

import random
from decimal import Decimal

import numpy as np
import plan_benefits_files as puf
import polars as pl
import pytest

import rating
from data_specs import table
from data_specs.errors import InputRefused, NotYetPublished, TableMissing
from rating._av_columns import SERVICES, plain_columns
from rating._av_mapping import columns_of_mappings
from rating._plan_benefits_typed import typed_designs

EXEMPT = {"subject_to_deductible": False, "subject_to_coinsurance": False}
PLAN = {
    "deductible_type": "integrated", "deductible": 2500, "plan_coinsurance": 0.75, "moop": 8000,
    "table_metal": "silver",
}  # fmt: skip
TWO = {
    "deductible_type": "separate_deductible_combined_moop", "deductible_medical": 3000, "deductible_drug": 300,
    "plan_coinsurance_medical": 0.8, "plan_coinsurance_drug": 0.7, "moop": 7000,
}  # fmt: skip


def valued(plans, year=2026, **settings) -> pl.DataFrame:
    return rating.actuarial_value(plans, plan_year=year, settings=settings).designs


def row_of(plan, year=2026, **settings):
    return valued([plan], year, **settings).row(0, named=True)


def av(plan, **settings):
    return valued(plan, **settings)["av"].item()


def doubtful(plan, **settings):
    """The flags of a design, with a value that is flagged."""
    row = row_of(plan, **settings)
    assert (row["av"] is None, row["av_status"]) == (False, "flagged")
    return row["flags"]


# ---- values of other kinds ----


def test_numbers_of_every_kind_are_numbers():
    wanted = row_of(PLAN)
    for kind in (Decimal, np.float64, np.float32, float):
        plan = {**PLAN, "deductible": kind(2500), "moop": kind(8000), "plan_coinsurance": kind(0.75)}
        assert row_of(plan) == wanted
    days = {**PLAN, "services": {"inpatient": {"copay": 100, **EXEMPT}}}
    for three in (3, 3.0, np.int8(3), Decimal(3)):
        options = {"inpatient_copay_per_day": True, "inpatient_copay_max_days": three}
        assert row_of({**days, "options": options})["av"] == row_of({**days, "options": {**options, **{
            "inpatient_copay_max_days": 3}}})["av"]  # fmt: skip
    money = pl.col("deductible", "moop").cast(pl.Decimal(18, 2))
    for frame in (pl.DataFrame([PLAN]), pl.DataFrame([{**PLAN, "design_id": "A"}])):
        assert valued(frame.with_columns(money))["av"].item() == wanted["av"]
    assert row_of({**PLAN, "csr_variant": np.int64(4)})["csr_variant"] == "04"


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        (Decimal("NaN"), "value_out_of_range"),
        (Decimal("Infinity"), "value_out_of_range"),
        (10**400, "value_out_of_range"),
        (np.complex64(3), "unreadable_value"),
        (np.timedelta64(5, "D"), "unreadable_value"),
        (np.bool_(True), "unreadable_value"),
        ("$1,000", "unreadable_value"),
        ("20%", "unreadable_value"),
        ([8000], "unreadable_value"),
        (float("nan"), "value_out_of_range"),
        (-0.01, "value_out_of_range"),
    ],
    ids=["no decimal", "no end", "huge", "complex", "time", "flag", "dollars", "percent", "list", "blank", "negative"],
)
def test_what_is_no_number_is_told(value, flag):
    for key in ("moop", "plan_coinsurance", "deductible"):
        row = row_of({**PLAN, key: value})
        assert (row["av"], row["flags"], row["converged"]) == (None, [flag], False)
    for change in ({"services": {"generic": {"copay": value}}}, {"options": {"employer_hsa_hra": value}}):
        assert row_of({**PLAN, **change})["flags"] == [flag]


def test_text_is_no_list_of_designs_and_a_list_may_be_empty():
    for nothing in ("", b"", "plan"):
        with pytest.raises(InputRefused, match="cannot be read from a"):
            valued(nothing)
    for empty in ([], (), pl.DataFrame(), pl.LazyFrame(), plain_columns(0)):
        assert valued(empty).height == 0
        assert valued(empty).schema == valued([PLAN]).schema


def test_json_that_says_a_key_twice_is_not_read():
    text = '{"deductible_type": "integrated", "deductible": 1, "plan_coinsurance": 1, "moop": 5000, "moop": 8000}'
    found = valued(pl.DataFrame({"plan": [text, text.replace('"moop": 5000, ', "")]}))
    assert found["flags"].list.contains("unreadable_value").to_list() == [True, False]


ROW = {**PLAN, "design_id": "A", "service": "generic", "copay": 10.0}
OTHER_KINDS = {
    "flag as amount": pl.lit(True).alias("deductible"),
    "date as amount": pl.date(1975, 1, 1).alias("deductible"),
    "list as amount": pl.concat_list(pl.lit(100.0)).alias("copay"),
    "struct as amount": pl.struct(a=pl.lit(100.0)).alias("copay"),
    "list as word": pl.concat_list(pl.lit("silver")).alias("table_metal"),
    "list as flag": pl.concat_list(pl.lit(True)).alias("subject_to_deductible"),
    "half a flag": pl.lit(0.5).alias("subject_to_deductible"),
    "half a variant": pl.lit(4.5).alias("csr_variant"),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_column_of_another_kind_gives_no_value(kind):
    row = valued(pl.DataFrame([ROW]).with_columns(OTHER_KINDS[kind])).row(0, named=True)
    assert (row["av"], row["av_status"], len(row["flags"])) == (None, "flagged", 1)


def test_categories_and_floats_of_a_workbook_are_read_as_what_they_say():
    frame = pl.DataFrame([{**ROW, "subject_to_deductible": False}])
    text = frame.with_columns(pl.col("deductible", "moop", "copay").cast(pl.String).cast(pl.Categorical))
    number = frame.with_columns(pl.lit(0.0).alias("subject_to_deductible"))
    assert valued(text)["av"].equals(valued(frame)["av"])
    assert valued(number)["av"].equals(valued(frame)["av"])
    # Numbers as ids are told apart, also those that are not whole.
    ids = pl.concat([frame, frame]).with_columns(design_id=pl.Series([1.2, 1.5]))
    assert valued(ids)["design_id"].to_list() == ["1.2", "1.5"]
    ids = pl.concat([frame, frame]).with_columns(design_id=pl.Series([7.0, 8.0]))
    assert valued(ids)["design_id"].to_list() == ["7", "8"]


# ---- columns and forms of the result ----


def test_columns_of_the_result_stand_beside_it():
    result = rating.actuarial_value([PLAN, {**PLAN, "moop": 1}], plan_year=2026)
    for name in ("av", "metal_level", "in_range", "av_status", "iterations"):
        assert getattr(result, name).equals(result.designs[name])


# ---- years ----


def test_a_year_with_windows_and_no_tables_says_which_years_are_held():
    with_windows = set(table("rating/metal_av_ranges")["plan_year"])
    held = set(table("av/table_sets")["av_year"])
    assert held < with_windows
    for year in sorted(with_windows - held):
        with pytest.raises((TableMissing, NotYetPublished), match="held: 2015-2016, 2026"):
            valued(PLAN, year)
        assert rating.metal_level(0.7, plan_year=year) == "silver"


WINDOWS = {
    **dict.fromkeys(range(2014, 2018), ((2, 2), None, None, (1, 1))),
    **dict.fromkeys(range(2018, 2023), ((4, 2), (4, 5), None, (1, 1))),
    **dict.fromkeys(range(2023, 2028), ((2, 2), (2, 5), (0, 2), (0, 1))),
}
STAYED = ((4, 2), (4, 5), (4, 2), (1, 1))


@pytest.mark.parametrize("year", WINDOWS)
def test_the_ends_of_every_window_of_every_year(year):
    """Points below and above the target: metals, expanded bronze, silver on the exchange, reduced cost sharing."""
    states = {"in_force": WINDOWS[year]} | ({"stayed_2025_08_22": STAYED} if year == 2026 else {})
    for state, (metals, expanded, on_exchange, reduced) in states.items():
        ends = [(level, 10 * points, metals, {}) for points, level in ((9, "platinum"), (8, "gold"), (6, "bronze"))]
        ends += [("silver", 70, metals, {"csr_variant": "00"})]
        ends += [("silver", 70, on_exchange or metals, {"csr_variant": "01"})]
        ends += (
            [("silver", 70, metals, {"csr_variant": "01", "market": "small_group"})] if on_exchange != (4, 2) else []
        )
        ends += [("silver", t, reduced, {"csr_variant": v}) for v, t in (("04", 73), ("05", 87), ("06", 94))]
        if expanded:
            ends += [("expanded_bronze", 60, expanded, {"is_expanded": True})]
        for level, target, (below, above), facts in ends:
            low, high = (target - below) / 100, (target + above) / 100
            known = {"plan_year": year, "settings": {"legal_state": state}, **facts}
            found = [rating.metal_level(value, **known) for value in (low - 1e-9, low, high, high + 1e-9)]
            inside = ["bronze" if level == "expanded_bronze" else level, level]
            assert found == [None, *inside, None], (state, level, facts)


# ---- sentences of the method ----


def test_a_plan_without_deductible_and_limit_pays_all_at_once():
    row = row_of({**PLAN, "deductible": 0, "moop": 0, "plan_coinsurance": 0.6})
    assert (row["av"], row["converged"]) == (1.0, True)


def test_amounts_above_the_last_limit_are_without_limit():
    """Nobody of the standard population spends more: only what preventive care costs is paid."""
    values = {av({**PLAN, "deductible": limit, "moop": limit}) for limit in (2_000_000, 2_000_001, 1_000_000_000)}
    last = table("av/continuance", year=2026).filter(metal="silver", table="combined", is_unlimited=True)
    assert len(values) == 1
    assert values.pop() == pytest.approx((last["prev_cost"] / last["maxd_cost"]).item(), rel=1e-6)


def test_a_coinsurance_that_is_entered_as_the_general_one_is_no_special_term():
    facility = {"outpatient_facility": {"copay": 400, "subject_to_coinsurance": False, "copay_after_deductible": True}}
    plain = av({**PLAN, "services": facility})
    assert av({**PLAN, "services": {**facility, "imaging": {"plan_coinsurance": 0.75}}}) == plain
    assert abs(av({**PLAN, "services": {**facility, "imaging": {"plan_coinsurance": 0.7500001}}}) - plain) > 1e-4


def test_the_general_coinsurance_that_counts_is_that_of_medical_care():
    """A medical service entered at the coinsurance of drugs has terms of its own, one entered at its own has none."""
    facility = {"outpatient_facility": {"copay": 400, "subject_to_coinsurance": False, "copay_after_deductible": True}}
    plain = av({**TWO, "services": facility, "table_metal": "silver"})
    own, drugs = (
        av({**TWO, "services": {**facility, "imaging": {"plan_coinsurance": share}}, "table_metal": "silver"})
        for share in (0.8, 0.7)
    )
    assert own == plain
    assert abs(drugs - plain) > 5e-5


def test_x_ray_with_terms_of_its_own_leaves_the_office_visits():
    """Its parts billed with visits follow those, so that their copay moves it, until it has terms of its own."""
    office = {"primary_care": {"copay": 30, **EXEMPT}, "specialist": {"copay": 60, **EXEMPT}}
    none, entered = (av({**PLAN, "services": {**office, "xray": terms}}) for terms in ({}, {"plan_coinsurance": 0.75}))
    assert none == entered
    assert abs(av({**PLAN, "services": {**office, "xray": {"plan_coinsurance": 0.7499999}}}) - none) > 5e-5


def test_days_of_a_stay_have_columns_of_their_own():
    inpatient = {**PLAN, "services": {"inpatient": {"copay": 400, **EXEMPT}}}
    values = [
        av({**inpatient, "options": {"inpatient_copay_per_day": True, "inpatient_copay_max_days": days}})
        for days in range(1, 11)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > av(inpatient)  # the column of one day lies below that of admissions
    assert values[-1] > av({**inpatient, "options": {"inpatient_copay_per_day": True}})


def test_employer_money_is_capped_by_the_deductible_of_tier_1_and_paid_after_the_blend():
    two = {**PLAN, "tier1_utilization": 0.6, "tier2": {"deductible": 6000}}
    given = [av({**two, "options": {"employer_hsa_hra": money}}) for money in (0, 1000, 2500, 2501, 9000)]
    assert given[0] == av(two) < given[1] < given[2] == given[3] == given[4]
    # The same money adds the same share whatever tier 2 is.
    other = {**two, "tier2": {"deductible": 4000}}
    assert av({**other, "options": {"employer_hsa_hra": 1000}}) - av(other) == pytest.approx(given[1] - given[0])


# ---- two tiers, two domains ----

EACH = {"deductible": 1000, "plan_coinsurance": 0.8, "moop": 1500, "table_metal": "gold"}


def cycling(without, copay, deductible, moop):
    copays = {name: {"copay": copay, **EXEMPT} for name in SERVICES if name not in (without, "preventive")}
    return {**PLAN, "deductible": deductible, "plan_coinsurance": 0.8, "moop": moop, "services": copays}


def test_one_tier_that_does_not_settle_is_told_whatever_became_of_the_other():
    """Bisection finds the spend of one of these designs and not that of the other."""
    jumps, found = cycling("imaging", 10, 500, 500), cycling("emergency_room", 60, 500, 500)
    assert row_of(jumps, unsettled="bisect")["flags"].count("unsettled") == 1
    assert row_of(found, unsettled="bisect")["flags"].count("bisected") == 1
    for first, second in ((jumps, found), (found, jumps)):
        tier2 = {key: second[key] for key in ("deductible", "moop", "services")}
        row = row_of({**first, "tier1_utilization": 0.5, "tier2": tier2}, unsettled="bisect")
        assert (row["av"], row["converged"], row["av_status"]) == (None, False, "flagged")
        assert {"unsettled", "bisected"} & set(row["flags"]) == {"unsettled"}
    # A tier that nobody uses does not matter.
    tier2 = {"deductible": PLAN["deductible"], "moop": PLAN["moop"], "plan_coinsurance": 0.75, "services": {}}
    row = row_of({**jumps, "tier1_utilization": 0, "tier2": tier2})
    assert (row["av"], row["converged"]) == (av(PLAN), True)


def test_two_deductibles_of_the_second_tier_are_two_deductibles():
    amounts = {key: value for key, value in TWO.items() if key != "table_metal"}
    plan = {**PLAN, "tier1_utilization": 0.7, "tier2": {**amounts, "deductible": None, "plan_coinsurance": None}}
    one = {key: value for key, value in plan.items() if key not in ("deductible", "plan_coinsurance")}
    with pytest.raises(InputRefused):  # tier 1 has one deductible, and says no amount of it
        valued(one)
    columns = columns_of_mappings([{**PLAN, "table_metal": "silver"}])
    columns = columns.with_changes(tier2=columns_of_mappings([TWO]), tier1_share=np.array([0.7]))
    row = valued(columns).row(0, named=True)
    assert ("separate_deductibles" in row["flags"], row["av_status"]) == (True, "flagged")
    assert "separate_deductibles" not in valued(columns.with_changes(tier1_share=np.ones(1)))["flags"].item()


def test_employer_money_is_of_the_plan():
    options = {"employer_hsa_hra": 500}
    plan = {**PLAN, "options": options, "tier1_utilization": 0.6, "tier2": {"deductible": 6000}}
    assert row_of({**plan, "tier2": {"deductible": 6000, "options": options}})["av"] == row_of(plan)["av"]
    assert row_of({**plan, "tier2": {"options": {"employer_hsa_hra": 900}}})["flags"] == ["tiers_incomplete"]
    own = {**PLAN, "design_id": "A", "tier1_utilization": 0.6}
    rows = [{**own, "tier": 1, "employer_hsa_hra": None}, {"design_id": "A", "tier": 2, "deductible": 6000}]
    for first, second, flags in ((500, None, None), (None, 500, None), (500, 900, ["rows_differ"])):
        told = pl.from_dicts(
            [{**rows[0], "employer_hsa_hra": first}, {**rows[1], "employer_hsa_hra": second}], infer_schema_length=None
        )
        row = valued(told).row(0, named=True)
        assert row["flags"] == flags if flags else row["av"] == row_of(plan)["av"]


# ---- designs that are probably not meant ----


def test_a_copay_that_is_never_charged_is_asked_about():
    late = {"copay": 30, "copay_after_deductible": True}
    plan = {**PLAN, "services": {"generic": late}}
    assert av(plan) == av({**PLAN, "services": {"generic": {"copay_after_deductible": True}}})
    assert "copay_never_charged" in doubtful(plan)
    charged = {**late, "subject_to_coinsurance": False}
    assert "copay_never_charged" not in row_of({**PLAN, "services": {"generic": charged}})["flags"]
    # Without a deductible there is nothing below it.
    exempt = {"copay": 30, "subject_to_deductible": False}
    assert "copay_never_charged" not in row_of({**PLAN, "services": {"generic": exempt}})["flags"]
    assert "copay_never_charged" in doubtful({**PLAN, "deductible": 0, "services": {"generic": exempt}})
    assert "copay_never_charged" in doubtful({**TWO, "deductible_drug": 0, "services": {"generic": exempt}})
    assert (
        "copay_never_charged" not in row_of({**TWO, "deductible_medical": 0, "services": {"generic": exempt}})["flags"]
    )
    first = {"services": {"primary_care": late}, "options": {"primary_care_first_n_visits_copay_then_deductible": 2}}
    assert "copay_never_charged" not in row_of({**PLAN, **first})["flags"]
    tier2 = {"tier1_utilization": 0.5, "tier2": {"services": {"generic": late}}}
    assert "copay_never_charged" in doubtful({**PLAN, **tier2})


def test_first_visits_at_a_copay_that_is_blank_are_asked_about():
    options = {"primary_care_first_n_visits_copay_then_deductible": 3}
    assert "first_visits_copay_blank" in doubtful({**PLAN, "options": options})
    zero = {**PLAN, "options": options, "services": {"primary_care": {"copay": 0}}}
    assert "first_visits_copay_blank" not in row_of(zero)["flags"]


def test_terms_of_preventive_care_change_nothing_and_are_told():
    plain = av(PLAN)
    for terms in ({"copay": 20, **EXEMPT}, {"plan_coinsurance": 0.5}, {"plan_coinsurance": 0}):
        plan = {**PLAN, "services": {"preventive": terms}}
        assert av(plan) == plain
        assert set(doubtful(plan)) == {"preventive_terms_unused", *row_of(PLAN)["flags"]}
    for terms in (EXEMPT, {"copay": 0}, {"plan_coinsurance": 1.0}, {"plan_coinsurance": 0, **EXEMPT}):
        assert "preventive_terms_unused" not in row_of({**PLAN, "services": {"preventive": terms}})["flags"]


def test_nothing_is_the_share_of_the_enrollee_or_of_the_plan():
    """A service's coinsurance of 0 is asked about like every share below one half; blank is not."""
    zero = {**PLAN, "services": {"imaging": {"plan_coinsurance": 0}}}
    assert "share_below_half" in doubtful(zero)
    assert "share_below_half" not in row_of(zero, coinsurance_is="plan")["flags"]
    assert "share_below_half" not in row_of({**PLAN, "services": {"imaging": {"plan_coinsurance": None}}})["flags"]
    unused = {"plan_coinsurance": 0, "copay": 10, **EXEMPT}
    assert "share_below_half" not in row_of({**PLAN, "services": {"generic": unused}})["flags"]


def test_a_variant_without_cost_sharing_that_has_some_is_told():
    free = {**PLAN, "csr_variant": "02"}
    assert "variant_has_cost_sharing" in doubtful(free)
    assert row_of(free)["av"] == 1.0
    none = {**free, "deductible": 0, "moop": 0, "plan_coinsurance": 1.0}
    assert (row_of(none)["flags"], row_of(none)["av_status"]) == ([], "recomputed")
    tier2 = {**none, "tier1_utilization": 0.5, "tier2": {"deductible": 100, "moop": 100}}
    assert "variant_has_cost_sharing" in doubtful(tier2)
    refused = row_of({**free, "moop": 1})
    assert (refused["av"], refused["flags"]) == (None, ["moop_below_deductible"])


# ---- the calculators of 2015 and 2016 ----


def test_the_older_calculators_never_pay_more_than_all():
    """Cents are rounded in the range: half a cent above all spend would be a value above 1."""
    plan = {**PLAN, "deductible": 0, "plan_coinsurance": 0.9999999, "moop": 1500, "table_metal": "bronze"}
    assert row_of(plan, 2015)["av"] == 1.0
    assert row_of({**plan, "moop": 100_000, "table_metal": "gold"}, 2016)["av"] == 1.0


def test_two_older_deductibles_above_one_limit_are_told():
    for year in (2015, 2016):
        nested = row_of({**TWO, "deductible_medical": 300, "moop": 400}, year)
        assert ("nested_deductibles" in nested["flags"], nested["av_status"]) == (True, "flagged")
        assert "nested_deductibles" not in row_of({**TWO, "deductible_medical": 300, "moop": 600}, year)["flags"]


def test_only_values_decide_which_terms_the_older_calculators_lack():
    base = {key: value for key, value in PLAN.items() if key != "table_metal"}
    wanted = row_of(base, 2015)["av"]
    same = {"imaging": {"plan_coinsurance": 0.75, "copay": 0}, "preventive": {"copay": 10, **EXEMPT}}
    assert row_of({**base, "services": same}, 2015)["av"] == wanted
    row = row_of({**base, "moop": 6000, "services": {"imaging": {"plan_coinsurance": 0.7}}}, 2015)
    assert (row["av"], row["flags"], row["converged"]) == (None, ["older_calculator_terms"], False)


# ---- plans of the exchange files ----


def test_a_specialty_cap_of_nothing_stays_one_in_a_typed_design():
    """With it specialty drugs cost the enrollee nothing above the deductible; employer money of nothing is none."""
    columns = columns_of_mappings([{**PLAN, "options": {"specialty_drug_coinsurance_max_per_script": 0}}])
    typed = typed_designs(columns, ["A"], ["99999XX0010001"], [None])
    assert dict(typed[0].options) == {"specialty_drug_coinsurance_max_per_script": 0.0}
    assert valued(typed)["av"].item() == valued(columns)["av"].item() > av(PLAN)


def test_eligible_bronze_plans_are_high_deductible_plans_until_the_law_changed():
    plan = puf.design(random.Random(3), tiers=False)
    plans, benefits = puf.files({"99999XX0010001-01": plan})
    plans = plans.with_columns(MetalLevel=pl.lit("Bronze"), IsHSAEligible=pl.lit("Yes"))
    for year, is_hdhp in ((2025, 1), (2026, 0)):
        own = pl.lit(str(year)).alias("BusinessYear")
        found = rating.designs_of_plan_benefits(plans.with_columns(own), benefits.with_columns(own))
        assert found.designs.is_hdhp.tolist() == [is_hdhp]
        assert ("hsa_says_nothing" in found.plans["notes"].item()) == (not is_hdhp)
        assert (found.uncertain.filter(table="av/metal_rules").height == 1) == (not is_hdhp)


# ---- order, threads, batches ----


@pytest.mark.slow
def test_thousands_of_designs_in_any_order_batch_and_number_of_threads(monkeypatch):
    draw = random.Random(11)
    plans = []
    for _ in range(2_000):
        plan = {**(TWO if draw.random() < 0.3 else PLAN), "table_metal": draw.choice((None, "gold", "bronze"))}
        plan["services"] = {
            name: {"copay": draw.choice((0, 10, 50)), "subject_to_deductible": draw.random() < 0.5}
            for name in draw.sample(SERVICES, 5)
        }
        plans.append(
            {**plan, "moop": draw.choice((-1, 4000, 6000, 9000)), "csr_variant": draw.choice((None, "01", "04"))}
        )
    whole = rating.actuarial_value(plans, plan_year=2026)
    values = whole.designs.drop("design_id")
    for threads in ("1", "3"):
        monkeypatch.setenv("POOLWISE_THREADS", threads)
        order = draw.sample(range(len(plans)), len(plans))
        again = rating.actuarial_value([plans[n] for n in order], plan_year=2026)
        assert again.designs.drop("design_id").equals(values[order])
        assert again.findings.equals(whole.findings)
        assert again.uncertain.equals(whole.uncertain)
        parts = [valued(plans[n : n + 37]).drop("design_id") for n in range(0, 370, 37)]
        assert pl.concat(parts).equals(values[:370])
