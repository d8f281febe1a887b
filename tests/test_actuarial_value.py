"""Actuarial values: published ones, the twin written down step by step, every option, and no silent number."""

import json
import random
from pathlib import Path

import av_plain
import av_plain_2015
import numpy as np
import polars as pl
import pytest

import rating
from data_specs import table
from data_specs.errors import InputRefused, SettingRefused
from rating._av_columns import SERVICES, TABLE_METALS, concatenated, plain_columns
from rating._av_mapping import columns_of_mappings

CASES = json.loads((Path(__file__).parent / "cases" / "av" / "av_cases.json").read_text(encoding="utf-8"))["cases"]
COPAYS_EXEMPT = {"subject_to_deductible": False, "subject_to_coinsurance": False}
LATER = {"subject_to_coinsurance": False, "copay_after_deductible": True}


def valued(plans, year=2026, **settings) -> pl.DataFrame:
    return rating.actuarial_value(plans, plan_year=year, settings=settings).designs


def av(plan, **settings):
    return valued(plan, **settings)["av"].item()


def integrated(deductible, moop, share, metal="silver", **rest):
    amounts = {"deductible": deductible, "plan_coinsurance": share, "moop": moop}
    return {"deductible_type": "integrated", "table_metal": metal, "services": {}, **amounts, **rest}


def two_deductibles(medical, drug, moop, shares=(0.8, 0.7), metal="silver", **rest):
    names = ("deductible_medical", "deductible_drug", "plan_coinsurance_medical", "plan_coinsurance_drug")
    kind = "separate_deductible_separate_moop" if isinstance(moop, tuple) else "separate_deductible_combined_moop"
    limits = dict(zip(("moop_medical", "moop_drug"), moop, strict=True)) if isinstance(moop, tuple) else {"moop": moop}
    amounts = dict(zip(names, (medical, drug, *shares), strict=True)) | limits
    return {"deductible_type": kind, "table_metal": metal, "services": {}, **amounts, **rest}


def exempt(copay):
    return {"copay": copay, **COPAYS_EXEMPT}


def standard(metal, deductible, moop, share, copays, later):
    """A plan of the federal standardized options of 2026: its copays by service, and those after the deductible."""
    services = {name: exempt(copay) for name, copay in copays.items()}
    services |= {name: {"copay": copay, **LATER} for name, copay in later.items()}
    return integrated(deductible, moop, share, metal, services=services)


def random_plan(draw: random.Random, features: int):
    """A design; features: 0 coinsurance only, 1 own coinsurance, 2 copays and exempt services, 3 options."""
    deductible = draw.choice([0, 250, 500, 1000, 1500, 2500, 4000, 6000, 7500, 9000])
    moops = [m for m in (1000, 2000, 3500, 5000, 7000, 8500, 9000, 10600) if m >= deductible]
    moop = deductible if draw.random() < 0.1 else draw.choice(moops)
    share = draw.choice([0, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    plan = integrated(deductible, moop, share, draw.choice(TABLE_METALS))
    for name in SERVICES:
        if draw.random() < 0.4 or name == "preventive":
            continue
        terms = plan["services"].setdefault(name, {})
        if features >= 1 and draw.random() < 0.5:
            terms["plan_coinsurance"] = draw.choice([0, 0.35, 0.55, 0.75, 0.85, 1.0, share])
        if features >= 2 and draw.random() < 0.5:
            terms["subject_to_deductible"] = False
        if features >= 2 and draw.random() < 0.6:
            terms |= {"copay": draw.choice([0, 5, 30, 100, 800]), "subject_to_coinsurance": draw.random() < 0.3}
            terms["copay_after_deductible"] = draw.random() < 0.3
    if features >= 3:
        plan["options"] = {
            "inpatient_copay_per_day": draw.random() < 0.5 and "copay" in plan["services"].get("inpatient", {}),
            "inpatient_copay_max_days": draw.choice([None, 1, 3, 10]),
            "snf_copay_per_day": draw.random() < 0.5,
            "specialty_drug_coinsurance_max_per_script": draw.choice([None, 0, 50, 500]),
        }
        kind = draw.choice(
            ["", "primary_care_first_n_visits_free", "primary_care_first_n_visits_copay_then_deductible"]
        )
        plan["options"] |= {kind: draw.randint(1, 10)} if kind else {}
    return plan


def random_pair(draw: random.Random, features: int):
    """A design with two deductibles, under one limit or two."""
    plan = random_plan(draw, features)
    own = {key: plan[key] for key in ("services", "options") if key in plan}
    drug = min(plan["moop"], draw.choice([0, 100, 250, 1000]))
    moop = (plan["moop"], max(drug, draw.choice([500, 2000]))) if draw.random() < 0.4 else plan["moop"]
    shares = (plan["plan_coinsurance"], draw.choice([0.5, 0.7, plan["plan_coinsurance"]]))
    return two_deductibles(plan["deductible"], drug, moop, shares, plan["table_metal"], **own)


# ---- values from outside ----


@pytest.mark.parametrize("year", sorted({case["av_year"] for case in CASES}))
@pytest.mark.every_case
def test_cases(year):
    cases = [case for case in CASES if case["av_year"] == year]
    found = valued([case["plan"] for case in cases], year)
    off = {
        case["id"]: value
        for case, value in zip(cases, found["av"], strict=True)
        if abs(value - case["expected"]["av"]) > case["expected"]["abs_tol"]
    }
    assert off == {}
    assert found["converged"].all()


def test_published_values_of_standardized_plans():
    """AVs that CMS published for plan year 2026, to the digits published; the silver one has copays after the
    deductible and ends in its loop, the gold one has a coinsurance range."""
    office = ("primary_care", "specialist", "mental_health_outpatient", "speech_therapy")
    office += ("occupational_physical_therapy", "generic", "preferred_brand")
    silver = dict(zip(office, (40, 80, 40, 40, 40, 20, 40), strict=True))
    gold = dict(zip(office, (30, 60, 30, 30, 30, 15, 30), strict=True))
    late = {"nonpreferred_brand": 80, "specialty_drug": 350}
    plans = [
        standard("silver", 6000, 8900, 0.6, silver, late),
        standard("gold", 2000, 8200, 0.75, gold | {"nonpreferred_brand": 60, "specialty_drug": 250}, {}),
    ]
    found = valued(plans)
    assert found["av"].to_list() == pytest.approx([0.700079495, 0.7803779227], abs=3e-9)
    assert found["metal_level"].to_list() == ["silver", "gold"]
    assert found["av_status"].to_list() == ["recomputed", "recomputed"]


# ---- the twin ----


def check_twin(plans, settings):
    rule = settings.get("separate_moop_rule", "scale_until_met")
    expected = [av_plain.actuarial_value(plan, rule=rule) for plan in plans]
    found = valued(plans, **settings)
    values = found["av"].to_list()
    assert [v is None for v in values] == [v is None for v in expected]
    assert [v or 0 for v in values] == pytest.approx([v or 0 for v in expected], abs=1e-11)
    assert found["converged"].to_list() == [v is not None for v in expected]
    return found


@pytest.mark.parametrize("features", range(4))
@pytest.mark.every_case
def test_twin_on_a_few_designs(features):
    draw = random.Random(features)
    check_twin([random_plan(draw, features) for _ in range(6)], {})
    rule = ("scale_until_met", "as_2017")[features % 2]
    check_twin([random_pair(draw, features) for _ in range(3)], {"separate_moop_rule": rule})


@pytest.mark.slow
@pytest.mark.parametrize("features", range(4))
@pytest.mark.parametrize("rule", ["scale_until_met", "as_2017"])
def test_twin_on_many_designs(features, rule):
    draw = random.Random(100 + features)
    check_twin([random_plan(draw, features) for _ in range(300)], {})
    found = check_twin([random_pair(draw, features) for _ in range(300)], {"separate_moop_rule": rule})
    flags = set(found["flags"].explode().drop_nulls())
    assert {"nested_deductibles", "separate_deductibles", "moop_within_deductible"} <= flags


@pytest.mark.parametrize("year", [2015, 2016])
@pytest.mark.every_case
def test_twin_of_the_older_calculators(year):
    draw = random.Random(year)
    plans = []
    for _ in range(12):
        moop = draw.choice([1000, 2500, 6350])
        medical = draw.choice([d for d in (0, 5, 250, 1000, 1250, 3505) if d <= moop])
        drug = draw.choice([d for d in (0, 10, 100, 400) if d + medical <= moop])
        shares = draw.choice([(0.5, 1), (0.7, 0.8), (1, 0.5), (0.9, 0.9)])
        plans += [two_deductibles(medical, drug, moop, shares), integrated(medical, moop, shares[0])]
    for plan in plans:
        del plan["table_metal"]
    found = valued(plans, year)
    expected = [av_plain_2015.actuarial_value(plan, year) for plan in plans]
    assert found["av"].to_list() == pytest.approx([value for value, _ in expected], abs=1e-12)
    assert found["table_metal"].to_list() == [metal for _, metal in expected]
    assert found["av_printed"].to_list() == found["av"].round({2015: 3, 2016: 4}[year]).to_list()


def test_the_older_calculators_refuse_what_they_are_not_held_for():
    plans = [
        integrated(500, 3500, 0.8, services={"generic": exempt(10)}),
        integrated(500, 3500, 0.8, options={"employer_hsa_hra": 100}),
        two_deductibles(500, 100, (2000, 1000)),
        integrated(500, 3500, 0.8, services={"generic": {"subject_to_deductible": True}}),
    ]
    found = valued(plans, 2015)
    assert found["av"].is_null().to_list() == [True, True, True, False]
    assert [("older_calculator_terms" in flags) for flags in found["flags"]] == [True, True, True, False]
    assert found["av_status"].to_list() == ["flagged", "flagged", "flagged", "recomputed"]


def test_a_draft_is_said_to_be_one():
    result = rating.actuarial_value(integrated(500, 1000, 0.9), plan_year=2016)
    assert result.designs["flags"].to_list() == [["draft_calculator", "no_matching_metal"]]
    assert "calculator of 2016 known as a draft only" in result.uncertain["what"].to_list()
    assert result.designs["av_status"].item() == "flagged"


# ---- exact statements ----


def test_statements_that_hold_whatever_the_design():
    full = integrated(0, 0, 0.7)
    assert av(full) == 1
    assert av(integrated(0, 5000, 1.0)) == pytest.approx(1, abs=1e-12)
    at_limit = [integrated(3000, 3000, share, services={"xray": {"plan_coinsurance": 0.3}}) for share in (0, 0.5, 1)]
    assert valued(at_limit)["av"].n_unique() == 1
    capped = {"specialty_drug_coinsurance_max_per_script": 1e6}
    plain = integrated(1000, 6000, 0.7)
    assert av({**plain, "options": capped}) == av(plain)
    per_stay = integrated(1000, 6000, 0.7, services={"inpatient": exempt(0)})
    assert av({**per_stay, "options": {"inpatient_copay_per_day": True}}) == av(per_stay)
    listed = {name: {"subject_to_deductible": True} for name in SERVICES}
    assert av({**plain, "services": listed}) == av(plain)


def test_coinsurance_of_zero_is_not_blank():
    blank, zero = (integrated(0, 9000, 0.8, services={"inpatient": {"plan_coinsurance": q}}) for q in (None, 0))
    assert av(blank) == av(integrated(0, 9000, 0.8))
    assert av(zero) < av(blank) - 0.02


def test_options_move_the_value_the_way_they_should():
    plain = integrated(1500, 7000, 0.7, services={"inpatient": exempt(400), "primary_care": {"copay": 40, **LATER}})

    def with_options(**options):
        return av({**plain, "options": options})

    days = [with_options(inpatient_copay_per_day=True, inpatient_copay_max_days=n) for n in (1, 3, 10, None)]
    assert days == sorted(days, reverse=True)
    assert len(set(days)) == 4
    assert days[0] > av(plain) > days[-1]
    free = [with_options(primary_care_first_n_visits_free=n) for n in (1, 3, 10)]
    copay = [with_options(primary_care_first_n_visits_copay_then_deductible=n) for n in (1, 3, 10)]
    assert av(plain) < free[0] < free[1] < free[2]
    assert all(c < f for c, f in zip(copay, free, strict=True))
    caps = [with_options(specialty_drug_coinsurance_max_per_script=cap) for cap in (0, 100, 1e6)]
    assert caps[0] > caps[1] > caps[2] == pytest.approx(av(plain), abs=2e-5)


def test_employer_money():
    hdhp = integrated(4000, 4000, 1.0, "bronze")
    base, some, all_of_it, more = (av({**hdhp, "options": {"employer_hsa_hra": m}}) for m in (0, 1000, 4000, 9000))
    assert base < some < all_of_it == more == pytest.approx(1, abs=1e-6)
    # T(z) N/C of the money on all enrollees, by hand: with D = M and no copays N/C is the share of spend that is no
    # preventive care at the spend x where 4,000 dollars of it count.
    cells = table("av/continuance", year=2026).filter(metal="bronze", table="combined").sort("row")
    limits, means = cells["spend_limit"][:-1].to_numpy(), cells["maxd_cost"][:-1].to_numpy()
    left = cells["prev_cost"][:-1].to_numpy() / np.maximum(sum_of_services(cells), 1e-12)
    x = 4000.0
    for _ in range(100):
        x = 4000 / (1 - np.interp(x, limits, left))
    counted = 1 - np.interp(x, limits, left)
    added = np.interp(1000 / counted, limits, means) * counted / cells["maxd_cost"][-1]
    assert some - base == pytest.approx(added, abs=2e-5)


def sum_of_services(cells):
    names = table("av/service_columns").filter(pl.col("charged").is_in(["per_visit", "per_stay", "per_script"]))
    whole = names.filter((pl.col("service") != "xray") | (pl.col("part") == "all"))["cost_column"]
    return sum(cells[c][:-1].to_numpy() for c in whole)


@pytest.mark.parametrize("key", ["tier1_utilization", "tier1_utili" + "sation"])
@pytest.mark.every_case
def test_two_tiers_blend_two_values(key):
    near, far = integrated(1000, 6000, 0.8), integrated(4000, 10000, 0.5)
    both = {**near, key: 0.7, "tier2": {"deductible": 4000, "moop": 10000, "plan_coinsurance": 0.5}}
    assert av(both) == pytest.approx(0.7 * av(near) + 0.3 * av(far), abs=1e-14)
    assert av({**near, key: 0.4, "tier2": {"moop": 6000}}) == pytest.approx(av(near), abs=1e-14)
    paid = {"employer_hsa_hra": 500}
    assert av({**both, "options": paid}) > av(both)


# ---- two deductibles ----


def test_two_deductibles_are_flagged():
    result = rating.actuarial_value(two_deductibles(4000, 300, 8000), plan_year=2026)
    row = result.designs.row(0, named=True)
    assert (row["flags"], row["av_status"]) == (["separate_deductibles"], "flagged")
    assert "two deductibles: no published value confirms the reading" in result.uncertain["what"].to_list()
    assert result.findings.filter(rule_id="AVC-054")["rows"].item() == 1
    stays = {name: exempt(10) for name in SERVICES if name not in ("inpatient", "skilled_nursing", "preventive")}
    only = two_deductibles(3000, 0, 8000, services=stays)
    assert "inpatient_deductible_only" in valued(only)["flags"].item()


def test_nested_deductibles_under_both_rules():
    """Copays leave less of the limit than both deductibles take: the default rule lets the value fall smoothly."""
    services = {name: exempt(80) for name in ("primary_care", "specialist", "generic", "preferred_brand")}
    plans = [two_deductibles(5800, 450, moop, services=services) for moop in range(5800, 8401, 100)]
    smooth, flat = (valued(plans, separate_moop_rule=rule) for rule in ("scale_until_met", "as_2017"))
    nested = [("nested_deductibles" in flags) for flags in smooth["flags"]]
    assert sum(nested) > 3
    assert nested == sorted(nested, reverse=True)
    assert nested == [("nested_deductibles" in flags) for flags in flat["flags"]]
    steps = smooth["av"].diff().drop_nulls()
    assert -0.004 < steps.min() < steps.max() < 2e-5
    assert flat["av"].head(sum(nested)).n_unique() == 1
    assert flat["av"][sum(nested) :].equals(smooth["av"][sum(nested) :])


# ---- never a silent number ----


def test_a_search_that_does_not_settle_has_no_value():
    services = {name: exempt(30) for name in SERVICES if name not in ("inpatient", "preventive")}
    plan = integrated(1000, 1000, 0.7, "bronze", services=services)
    result = rating.actuarial_value(plan, plan_year=2026)
    row = result.designs.row(0, named=True)
    assert (row["av"], row["converged"], row["in_range"], row["metal_level"]) == (None, False, False, None)
    assert "unsettled" in row["flags"]
    assert result.findings.filter(rule_id="AVC-050").select("severity", "rows").row(0) == ("error", 1)
    bisected = valued(plan, unsettled="bisect").row(0, named=True)
    assert 0.9 < bisected["av"] < 0.93
    assert (bisected["converged"], bisected["av_status"]) == (False, "flagged")
    assert "bisected" in bisected["flags"]
    assert "unsettled" not in bisected["flags"]
    for name in services:
        services[name] = exempt(60)
    assert av(plan, unsettled="bisect") is None  # the enrollee's share jumps past the limit: no spend meets it


def test_a_deductible_that_counts_nothing_is_reported():
    free = {name: {"subject_to_deductible": False} for name in SERVICES}
    found = valued(integrated(3000, 6000, 0.5, services=free)).row(0, named=True)
    assert found["av"] == 1
    assert {"deductible_counts_nothing", "moop_within_deductible"} <= set(found["flags"])
    assert found["av_status"] == "flagged"
    assert 0.6 < av(integrated(0, 6000, 0.5, services=free)) < 0.95


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"deductible": 1}, "'deductible_type' is missing"),
        ({**integrated(1, 2, 0.5), "oop": 3}, "'oop' is not known"),
        ({**integrated(1, 2, 0.5), "services": {"dental": {}}}, "'dental' is not known"),
        ({**integrated(1, 2, 0.5), "services": {"generic": {"copays": 1}}}, "'copays' is not known"),
        (integrated(-1, 2, 0.5), "out of range"),
        (integrated(1, 2, 20), "out of range"),
        (integrated(1, 2, 0.5, options={"inpatient_copay_max_days": 11}), "out of range"),
        (integrated(1, 2, 0.5, tier1_utilization=0.5), "two network tiers"),
        ([1], "cannot be read"),
    ],
)
@pytest.mark.every_case
def test_what_cannot_be_read_is_refused(plan, message):
    with pytest.raises(InputRefused, match=message):
        rating.actuarial_value(plan, plan_year=2026)


def test_settings():
    for name, value in (("unsettled", "guess"), ("legal_state", ""), ("legal_state", "repealed"), ("tolerance", 1)):
        with pytest.raises(SettingRefused):
            valued(integrated(1, 2, 0.5), **{name: value})
    shown = rating.actuarial_value(integrated(1, 2, 0.5), plan_year=2026, settings={"unsettled": "bisect"}).settings
    assert shown.filter(setting="unsettled").select("value", "source").row(0) == ("bisect", "given")


# ---- metals ----


def test_tables_are_found_by_the_value():
    plan = {**next(case["plan"] for case in CASES if case["id"] == "FED26-EB")}
    del plan["table_metal"]
    row = valued(plan).row(0, named=True)
    assert (row["table_metal"], row["metal_level"], row["in_range"]) == ("bronze", "expanded_bronze", True)
    assert row["av"] == pytest.approx(0.641164683, abs=1e-6)
    between = {**integrated(7000, 7000, 1.0)}
    del between["table_metal"]
    row = valued(between).row(0, named=True)
    tried = {metal: av(integrated(7000, 7000, 1.0, metal)) for metal in TABLE_METALS}
    ends = {"platinum": (0.88, 0.92), "gold": (0.78, 0.82), "silver": (0.68, 0.72), "bronze": (0.58, 0.62)}
    gaps = {metal: min(abs(tried[metal] - end) for end in ends[metal]) for metal in tried}
    assert row["table_metal"] == min(gaps, key=gaps.get)
    assert abs(row["distance_to_window"]) == pytest.approx(min(gaps.values()))
    assert (row["metal_level"], "no_matching_metal" in row["flags"]) == (None, True)


def test_windows_by_their_legal_state():
    plan = integrated(4500, 9000, 0.5, "silver", services={"primary_care": exempt(30)})
    in_force, stayed = (valued(plan, legal_state=s).row(0, named=True) for s in ("in_force", "stayed_2025_08_22"))
    assert in_force["av"] == stayed["av"]
    assert 0.66 < in_force["av"] < 0.68
    assert (in_force["in_range"], stayed["in_range"]) == (False, True)
    assert in_force["distance_to_window"] == pytest.approx(in_force["av"] - 0.68)


def test_variants_use_the_tables_they_resemble():
    columns = columns_of_mappings([integrated(500, 2000, 0.8)] * 4)
    variants = columns.with_changes(table_metal=np.full(4, -1, np.int8), csr_variant=np.array([4, 5, 6, 2], np.int8))
    found = valued(variants)
    assert found["table_metal"].to_list() == ["silver", "gold", "platinum", None]
    named = valued([integrated(500, 2000, 0.8, metal) for metal in ("silver", "gold", "platinum")])
    assert found["av"].to_list() == [*named["av"].to_list(), 1.0]
    assert found["distance_to_window"][1] == pytest.approx(found["av"][1] - 0.88)


# ---- columns ----


def test_columns_give_what_mappings_give_in_any_order_and_number_of_threads(monkeypatch):
    draw = random.Random(3)
    plans = [random_plan(draw, 3) for _ in range(40)]
    columns = concatenated([columns_of_mappings(plans)] * 30)  # more than a chunk
    monkeypatch.setenv("POOLWISE_THREADS", "1")
    one = valued(columns).drop("design_id")
    monkeypatch.setenv("POOLWISE_THREADS", "2")
    order = np.random.default_rng(1).permutation(columns.height)
    assert valued(columns.take(order)).drop("design_id").equals(one[order])
    assert one.head(40).equals(valued(plans).drop("design_id"))


def test_options_that_exclude_each_other_are_refused():
    both = {f"primary_care_first_n_visits_{kind}": 2 for kind in ("free", "copay_then_deductible")}
    with pytest.raises(InputRefused, match="exclude each other"):
        valued(integrated(1, 2, 0.5, options=both))
    twos = np.full(1, 2, np.uint8)
    with pytest.raises(InputRefused, match="both set"):
        valued(plain_columns(1).with_changes(first_visits_free=twos, first_visits_copay=twos))


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("copay", np.full((2, 18), -1.0)),
        ("copay", np.zeros((2, 17))),
        ("moop", np.full((2, 2), np.nan)),
        ("deductible", np.full((2, 2), np.inf)),
        ("first_visits_free", np.full(2, 11, np.uint8)),
        ("table_metal", np.full(2, 4, np.int8)),
        ("tier2", plain_columns(3)),
    ],
)
@pytest.mark.every_case
def test_columns_out_of_range_are_refused(name, array):
    with pytest.raises(InputRefused, match=name):
        rating.actuarial_value(plain_columns(2).with_changes(**{name: array}), plan_year=2026)
