"""Levers: dense scans by the slow twin, several roots, jumps, goals out of reach, every lever, rounding, windows."""

import copy

import av_oracle as slow
import numpy as np
import pytest
from av_designs import KINDS, designs

import rating
from data_specs.errors import InputRefused, NotYetPublished, SettingRefused
from rating._av_columns import SERVICES
from rating._av_inputs import read_designs
from rating._lever_search import REASONS, Goals, Task, look
from rating._lever_terms import LEVERS, lever_named

TOLERANCE = 1e-5
EXEMPT = {"subject_to_deductible": False}
OPTIONS = ("employer_hsa_hra", "specialty_drug_coinsurance_max_per_script", "inpatient_copay_max_days")
# A higher deductible brings the services below it that are paid in full: the value falls, then rises.
DEAR = ("inpatient", "outpatient_facility", "specialty_drug", "emergency_room")


def integrated(deductible=1000, moop=8000, share=0.7, metal="silver", **rest):
    amounts = {"deductible": deductible, "plan_coinsurance": share, "moop": moop}
    return {"deductible_type": "integrated", "table_metal": metal, **amounts, **rest}


def two_deductibles(**amounts):
    given = {"deductible_medical": 1000, "deductible_drug": 200, "moop_medical": 6000, "moop_drug": 2000}
    shares = {"plan_coinsurance_medical": 0.7, "plan_coinsurance_drug": 0.6}
    kind = "separate_deductible_separate_moop"
    return {"deductible_type": kind, "table_metal": "silver", **given, **shares, **amounts}


TURNS = integrated(services={name: {**EXEMPT, "plan_coinsurance": 0.6} for name in DEAR})
COPAYS = integrated(
    services={
        "primary_care": {"copay": 30, **EXEMPT, "subject_to_coinsurance": False},
        "generic": {"copay": 10, **EXEMPT, "subject_to_coinsurance": False},
        "inpatient": {"copay": 500, "subject_to_coinsurance": False, "copay_after_deductible": True},
        "outpatient_facility": {"plan_coinsurance": 0.62},
    },
    options={
        "inpatient_copay_per_day": True,
        "inpatient_copay_max_days": 4,
        "specialty_drug_coinsurance_max_per_script": 250,
        "employer_hsa_hra": 300,
    },
)


def moved(plan, lever, value, service=None):
    """The mapping with another value of a lever."""
    plan = copy.deepcopy(plan)
    if service is not None:
        terms = plan.setdefault("services", {}).setdefault(service, {})
        terms["copay" if lever == "copay" else "plan_coinsurance"] = value
    elif lever in OPTIONS:
        plan.setdefault("options", {})[lever] = int(value) if lever.endswith("days") else value
    else:
        plan[lever] = value
    return plan


def solved(plans, lever="deductible", target=0.7, year=2026, **rest):
    settings = rest.pop("settings", None)
    aim = {"into_window": True} if target is None else {"target_av": target}
    return rating.solve_lever(plans, plan_year=year, lever=lever, settings=settings, **aim, **rest).designs


def row(plan, *args, **rest):
    return solved(plan, *args, **rest).row(0, named=True)


def av(plans):
    return rating.actuarial_value(plans, plan_year=2026).designs["av"].to_list()


def twin(plan):
    return slow.value_on(plan, 2026, plan["table_metal"]).av


# ---- against dense scans


def scanned(plan, lever, values, target, service=None):
    """The stretches between neighboring values in which the slow twin's value passes the target."""
    gaps = [twin(moved(plan, lever, float(value), service)) - target for value in values]
    return [(low, high) for low, high, a, b in zip(values, values[1:], gaps, gaps[1:], strict=False) if a * b < 0]


def check_scan(plan, lever, values, target, service=None):
    found = row(plan, lever, target, service=service, bounds=(float(values[0]), float(values[-1])))
    wanted = scanned(plan, lever, values, target, service)
    assert wanted
    assert found["is_reached"]
    assert found["solutions"] == len(wanted)
    now = found["present_value"]
    nearest = min(wanted, key=lambda ends: min(abs(end - now) for end in ends))
    assert nearest[0] <= found["value"] <= nearest[1]
    assert twin(moved(plan, lever, found["value"], service)) == pytest.approx(target, abs=1e-9)


def test_a_scan_by_the_twin_finds_the_same():
    check_scan(integrated(), "deductible", range(2600, 4000, 100), 0.7)


SCANS = {
    "coinsurance only": (integrated(), "deductible", range(0, 8001), 0.7, None),
    "value that turns": (TURNS, "deductible", range(5000, 8001), 0.6883, None),
    "copays": (COPAYS, "moop", range(1000, 9001, 5), 0.82, None),
    "copay": (COPAYS, "copay", range(0, 301), 0.79, "primary_care"),
    "separate": (two_deductibles(), "deductible_medical", range(0, 6001, 5), 0.75, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SCANS)
def test_every_dollar_scanned_by_the_twin(name):
    check_scan(*SCANS[name])


def check_reachable(kind, count, lever, service=None, seed=3):
    """Of a value that the AV is known to have somewhere, the search finds a place; random targets, none missed."""
    plans = designs(kind, count, seed)
    handle = lever_named(lever, service, 1)
    columns = read_designs(plans).columns
    low, high = handle.bounds(columns, np.full(count, 10_600.0))
    somewhere = low + (high - low) * np.random.default_rng(seed).random(count) ** 2
    there = rating.actuarial_value(handle.set(columns, somewhere), plan_year=2026).designs["av"].to_numpy()
    has = handle.is_in(columns) & (low < high) & ~np.isnan(there)
    assert has.any()
    found = solved([plan for plan, own in zip(plans, has, strict=True) if own], lever, there[has], service=service)
    assert found["is_reached"].all(), found.filter(~found["is_reached"])
    assert found["difference"].abs().max() <= TOLERANCE
    now = handle.set(columns.take(has), found["value"].to_numpy())
    again = rating.actuarial_value(now, plan_year=2026).designs["av"]
    assert again.equals(found["av"], check_names=False)


REACHABLE = [
    *((kind, lever, None) for kind in KINDS for lever in ("deductible", "moop", "plan_coinsurance")),
    *((kind, "copay", "primary_care") for kind in KINDS),
    *((kind, "service_coinsurance", "outpatient_facility") for kind in KINDS),
    *(("separate", f"{name}_{domain}", None) for name in ("deductible", "moop") for domain in ("medical", "drug")),
]
REACHABLE = [each for each in REACHABLE if each[0] != "mostly_exempt_copays"]
REACHABLE = [
    each for each in REACHABLE if each[:2] not in (("separate", "deductible"), ("separate", "plan_coinsurance"))
]


def test_values_known_to_be_reachable():
    check_reachable("anything", 30, "deductible")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "lever", "service"), REACHABLE)
def test_values_known_to_be_reachable_of_two_thousand_designs(kind, lever, service):
    check_reachable(kind, 2000, lever, service, seed=8)


# ---- what does not fall steadily


def test_two_roots_and_the_nearer_is_taken():
    low, high = (row({**TURNS, "deductible": now}, target=0.6883) for now in (5000, 8000))
    assert low["solutions"] == high["solutions"] == 2
    assert low["value"] < 7500 < high["value"]
    assert [low["av"], high["av"]] == pytest.approx([0.6883] * 2, abs=1e-9)
    assert twin({**TURNS, "deductible": high["value"]}) == pytest.approx(0.6883, abs=1e-9)


def test_a_narrow_dip_between_the_points_of_a_coarse_scan_is_found():
    least = min(av([{**TURNS, "deductible": amount} for amount in range(7000, 8000, 10)]))
    found = row(TURNS, target=least + 2e-6, settings={"scan_points": 4})
    assert (found["is_reached"], found["solutions"]) == (True, 2)


def test_a_jump_is_no_solution():
    """A deductible that applies to nothing: 0 and one cent are two plans."""
    plan = integrated(2000, services=dict.fromkeys(SERVICES, EXEMPT))
    found = row(plan, target=0.9)
    assert (found["is_reached"], found["reason"], found["solutions"]) == (False, "lever_jump", 0)
    assert found["jump_value"] == pytest.approx(0, abs=1e-6)
    assert found["jump_av_below"] == pytest.approx(av({**plan, "deductible": 0})[0], abs=1e-12)
    assert found["jump_av_above"] == 1
    assert found["av"] in (found["jump_av_below"], found["jump_av_above"])


def task(function, target, present=0.9, low=0.0, high=1.0, points=16, tolerance=1e-9):
    one = np.ones(1)

    def evaluate(rows, x):
        values = function(x)
        return values, values, values

    goals = Goals(target * one, False, tolerance)
    return look(Task(evaluate, goals, present * one, low * one, high * one, 0.0, points))


def test_a_step_converges_to_a_jump():
    found = task(lambda x: np.where(x < 0.377, 0.5, 0.7), 0.6)
    assert REASONS[found.reason[0]] == "jump"
    assert found.jump[:, 0].tolist() == pytest.approx([0.377, 0.5, 0.7])
    assert found.solutions[0] == 0


def test_a_step_within_the_tolerance_is_a_solution():
    found = task(lambda x: 0.5 + 0.1 * x + np.where(x < 0.5, 0, 8e-6), 0.550004, tolerance=1e-5)
    assert REASONS[found.reason[0]] == "reached"
    assert abs(found.av[0] - 0.550004) <= 4.1e-6


def test_all_roots_of_a_wave_are_counted():
    found = task(lambda x: 0.5 + 0.1 * np.sin(20 * x), 0.53, present=0.33, points=64)
    roots = np.arcsin(0.3)
    roots = np.array([(k * np.pi + (-1) ** k * roots) / 20 for k in range(7)])
    assert found.solutions[0] == ((roots >= 0) & (roots <= 1)).sum()
    assert found.value[0] == pytest.approx(roots[np.abs(roots - 0.33).argmin()], abs=1e-8)


def test_values_without_av_make_no_solution():
    gone = task(lambda x: np.where(np.abs(x - 0.5) < 0.2, np.nan, x), 0.5)
    assert REASONS[gone.reason[0]] == "unsettled"
    assert gone.without_av[0] > 0
    assert gone.value[0] == pytest.approx(0.3, abs=0.03)
    beside = task(lambda x: np.where(np.abs(x - 0.5) < 0.2, np.nan, x), 0.8)
    assert REASONS[beside.reason[0]] == "reached"
    nothing = task(lambda x: np.full(len(x), np.nan), 0.5)
    assert REASONS[nothing.reason[0]] == "no_value"
    assert np.isnan(nothing.value[0])


def test_a_target_out_of_reach_tells_the_nearest():
    found = row(integrated(), target=0.95)
    assert (found["is_reached"], found["reason"], found["value"]) == (False, "lever_unreachable", 0)
    assert found["av"] == pytest.approx(twin(integrated(0)), abs=1e-12)
    assert found["difference"] == pytest.approx(found["av"] - 0.95)
    dip = row(TURNS, target=0.68)
    amounts = [{**TURNS, "deductible": amount} for amount in range(7000, 8000, 5)]
    assert dip["av"] <= min(av(amounts)) + 1e-7
    assert 7000 < dip["value"] < 8000


def test_a_lever_without_effect():
    assert row(integrated(8000), "plan_coinsurance")["reason"] == "lever_without_effect"


def test_the_present_value_stands_where_it_does():
    plan = integrated(3271.5284)
    found = row(plan)
    assert found["is_reached"]
    assert found["value"] == found["present_value"] == 3271.5284
    assert abs(found["difference"]) <= TOLERANCE


# ---- every lever

LEVER_CASES = [
    (COPAYS, "deductible", None, 2500),
    (COPAYS, "moop", None, 5000),
    (COPAYS, "plan_coinsurance", None, 0.5),
    (COPAYS, "copay", "primary_care", 60),
    (COPAYS, "copay", "generic", 25),
    (COPAYS, "service_coinsurance", "outpatient_facility", 0.5),
    (COPAYS, "employer_hsa_hra", None, 700),
    (COPAYS, "specialty_drug_coinsurance_max_per_script", None, 90),
    (COPAYS, "inpatient_copay_max_days", None, 2),
    (two_deductibles(), "deductible_medical", None, 2000),
    (two_deductibles(), "deductible_drug", None, 700),
    (two_deductibles(), "moop_medical", None, 4000),
    (two_deductibles(), "moop_drug", None, 1200),
    (two_deductibles(), "plan_coinsurance_medical", None, 0.9),
    (two_deductibles(), "plan_coinsurance_drug", None, 0.9),
]


def test_there_is_a_case_of_every_lever():
    assert {lever for _, lever, _, _ in LEVER_CASES} == set(LEVERS)


@pytest.mark.every_case
@pytest.mark.parametrize(
    ("plan", "lever", "service", "value"), LEVER_CASES, ids=[f"{c[1]} {c[2] or ''}" for c in LEVER_CASES]
)
def test_each_lever_finds_its_value_again(plan, lever, service, value):
    target = twin(moved(plan, lever, value, service))
    found = row(plan, lever, target, service=service)
    assert found["is_reached"]
    assert found["solutions"] == 1
    assert found["value"] == pytest.approx(value, rel=1e-4)
    assert (found["lever"], found["service"]) == (lever, service)
    assert twin(moved(plan, lever, found["value"], service)) == pytest.approx(target, abs=1e-9)
    assert found["present_av"] == pytest.approx(twin(plan), abs=1e-9)


def test_days_are_whole_numbers():
    target = (
        twin(moved(COPAYS, "inpatient_copay_max_days", 2)) + twin(moved(COPAYS, "inpatient_copay_max_days", 3))
    ) / 2
    found = row(COPAYS, "inpatient_copay_max_days", target)
    assert not found["is_reached"]
    assert found["value"] in (2, 3)
    assert found["evaluations"] == 10


def test_a_design_without_the_term_says_so():
    plans = [integrated(), two_deductibles()]
    found = solved(plans, "deductible_drug")
    assert found["reason"].to_list()[0] == "lever_not_in_design"
    assert found["value"].to_list()[0] is None
    assert found["highest_value"].to_list()[1] == 2000
    assert solved(integrated(), "inpatient_copay_max_days")["reason"].item() == "lever_not_in_design"
    assert solved(integrated(), tier=2)["reason"].item() == "lever_not_in_design"


def test_two_tiers():
    plan = {**integrated(500), "tier1_utilization": 0.6, "tier2": {"deductible": 4000, "plan_coinsurance": 0.5}}
    target = av({**plan, "deductible": 1500})[0]
    assert row(plan, target=target)["value"] == pytest.approx(1500, rel=1e-6)
    target = av({**plan, "tier2": {**plan["tier2"], "deductible": 2500}})[0]
    second = row(plan, target=target, tier=2)
    assert second["value"] == pytest.approx(2500, rel=1e-6)
    assert second["present_value"] == 4000
    both = {**plan, "deductible": 1800, "tier2": {**plan["tier2"], "deductible": 1800}}
    assert row(plan, target=av(both)[0], tier="both")["value"] == pytest.approx(1800, rel=1e-6)


def test_one_limit_bounds_both_deductibles():
    plan = two_deductibles(deductible_drug=1500)
    plan |= {"deductible_type": "separate_deductible_combined_moop", "moop": 6000}
    plan = {key: value for key, value in plan.items() if key not in ("moop_medical", "moop_drug")}
    found = row(plan, "deductible_medical", 0.75)
    assert found["highest_value"] == 4500
    assert twin({**plan, "deductible_medical": found["value"]}) == pytest.approx(0.75, abs=1e-9)
    assert row(plan, "moop", 0.7)["lowest_value"] == 2500


# ---- bounds, rounding, tables, refusals


def test_bounds():
    assert row(integrated(), "moop")["highest_value"] == 10_600  # the limit of 2026
    assert row(integrated(), "moop", 0.66)["is_reached"] is False
    beyond = row(integrated(), "moop", 0.66, bounds=(0, 20_000))
    assert (beyond["lowest_value"], beyond["highest_value"]) == (1000, 20_000)
    assert row(integrated(), bounds=(0, 3000))["value"] == 3000
    assert row(integrated(), bounds=(9000, 9500))["reason"] == "lever_without_room"


@pytest.mark.parametrize("step", [1, 50, 0.01])
def test_rounded_values(step):
    exact = row(integrated())["value"]
    found = row(integrated(), settings={"round_to": step})
    assert found["exact_value"] == exact
    count = found["value"] / step
    assert count == pytest.approx(round(count), abs=1e-6)
    around = [np.floor(exact / step) * step, np.ceil(exact / step) * step]
    gaps = [abs(value - 0.7) for value in av([integrated(float(amount)) for amount in around])]
    assert abs(found["difference"]) == pytest.approx(min(gaps), abs=1e-12)
    assert found["in_range"]


def test_rounded_shares_are_the_decimals_meant():
    found = row(integrated(), "plan_coinsurance", settings={"round_to": 0.001})
    assert found["value"] == round(found["value"], 3)


def test_rounding_keeps_the_window():
    plan = integrated(6000, 8000, 0.6)
    exact = row(plan, target=None)
    found = row(plan, target=None, settings={"round_to": 100})
    assert exact["in_range"]
    assert exact["av"] == pytest.approx(0.68, abs=1e-9)
    assert found["in_range"]
    assert found["value"] == np.floor(exact["value"] / 100) * 100
    assert row(plan, target=None, settings={"round_to": 5000})["reason"] == "lever_lost_by_rounding"


def test_a_design_in_its_window_stays_as_it_is():
    found = row(integrated(3300), target=None)
    assert (found["is_reached"], found["value"], found["difference"]) == (True, 3300, 0)


def test_the_window_is_entered_at_its_nearer_end():
    high = row(integrated(500), target=None)
    assert high["av"] == pytest.approx(0.72, abs=1e-9)
    assert high["av"] <= 0.72
    assert (high["metal_level"], high["window"], high["in_range"]) == ("silver", "standard", True)


def test_where_no_metal_is_named_the_target_says_the_tables():
    plan = integrated()
    del plan["table_metal"]
    found = solved([plan, plan], target=[0.7, 0.8])
    assert found["table_metal"].to_list() == ["silver", "gold"]
    assert found["is_reached"].all()
    wanted = twin({**plan, "table_metal": "silver", "deductible": found["value"].to_list()[0]})
    assert wanted == pytest.approx(0.7, abs=1e-9)


def test_the_desired_metal_says_the_window():
    """Its value lies in the window of gold now, and its deductible is sought for silver."""
    plan = {**integrated(1500, 6000, 0.8), "desired_metal": "silver"}
    del plan["table_metal"]
    assert rating.actuarial_value(plan, plan_year=2026).designs["metal_level"].item() == "gold"
    found = row(plan, target=None)
    assert (found["table_metal"], found["metal_level"], found["is_reached"]) == ("silver", "silver", True)
    assert found["value"] > 1500


def test_a_variant_is_worked_on_its_own_table():
    plan = {**integrated(), "csr_variant": "05"}
    del plan["table_metal"]
    found = row(plan, "moop", None)
    assert (found["table_metal"], found["window"]) == ("gold", "csr_87")
    assert found["highest_value"] < 10_600
    assert row({**plan, "csr_variant": "02"})["reason"] == "lever_without_value"


def test_refused_designs_have_their_row():
    found = rating.solve_lever(
        [integrated(9000), integrated(), integrated(typo=1)], plan_year=2026, lever="deductible", target_av=0.7
    )
    assert found.designs["reason"].to_list() == ["lever_without_value", None, "lever_without_value"]
    assert found.designs["design_id"].to_list() == ["1", "2", "3"]
    assert found.refused["designs"].height == 2
    assert {"AVC-020", "AVC-124"} <= set(found.findings["rule_id"])
    with pytest.raises(InputRefused):
        solved(integrated(9000))


def test_a_coinsurance_given_as_the_enrollees_is_turned_once():
    turned = solved(integrated(share=0.3), settings={"coinsurance_is": "enrollee"})
    assert turned["value"].item() == row(integrated())["value"]


def test_a_search_that_does_not_settle_is_told():
    plans = designs("mostly_exempt_copays", 40, 5)
    found = solved(plans, "moop", 0.7)
    assert found["values_without_av"].max() > 0
    reached = found.filter(found["is_reached"])
    assert (reached["av"] - 0.7).abs().max() <= TOLERANCE
    assert found.filter(found["av"].is_null())["reason"].unique().to_list() in ([], ["lever_without_value"])


def test_the_calculators_of_2015_and_2016():
    plan = {"deductible_type": "integrated", "deductible": 1000, "plan_coinsurance": 0.7, "moop": 6000}
    for year in (2015, 2016):
        found = row(plan, year=year)
        again = {**plan, "deductible": found["value"]}
        assert found["is_reached"]
        assert rating.actuarial_value(again, plan_year=year).designs["av"].item() == pytest.approx(0.7, abs=TOLERANCE)


def test_rows_depend_on_nothing_but_their_design(monkeypatch):
    plans = [plan for kind in KINDS for plan in designs(kind, 2, 4)]
    whole = solved(plans, "moop", 0.7)
    order = np.random.default_rng(1).permutation(len(plans))
    mixed = solved([plans[place] for place in order], "moop", 0.7)
    assert mixed.drop("design_id").equals(whole[order].drop("design_id"))
    monkeypatch.setattr("rating._lever_solve._BLOCK", 3)
    monkeypatch.setenv("POOLWISE_THREADS", "1")
    assert solved(plans, "moop", 0.7).equals(whole)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"lever": "deductable"}, "no lever"),
        ({"lever": "copay"}, "service"),
        ({"lever": "copay", "service": "preventive"}, "preventive"),
        ({"service": "generic"}, "leave `service` out"),
        ({"tier": 3}, "tier"),
        ({"target_av": None}, "into_window"),
        ({"into_window": True}, "into_window"),
        ({"target_av": 70}, "target_av"),
        ({"target_av": [0.7, 0.8]}, "2 values for 1"),
        ({"target_av": "high"}, "target_av"),
        ({"bounds": (500, 100)}, "bounds"),
        ({"bounds": 5}, "bounds"),
        ({"settings": {"tolerance": 0}}, "tolerance"),
        ({"settings": {"round_to": True}}, "round_to"),
        ({"settings": {"scan_points": 2}}, "scan_points"),
        ({"settings": {"damping": 2}}, "damping"),
    ],
)
@pytest.mark.every_case
def test_what_cannot_be_asked_for(changed, word):
    with pytest.raises(SettingRefused, match=word):
        rating.solve_lever(integrated(), **{"plan_year": 2026, "lever": "deductible", "target_av": 0.7, **changed})


def test_a_year_without_tables():
    with pytest.raises(NotYetPublished):
        solved(integrated(), year=2030)


# ---- which levers would do


def test_levers_into_the_window():
    plans = [integrated(3300), COPAYS | {"deductible": 100, "name": "rich"}, integrated(9000)]
    result = rating.levers_into_window(plans, plan_year=2026)
    found = result.designs
    assert found["design_id"].unique().to_list() == ["rich"]
    assert found.select("lever", "service").rows()[:5] == [
        ("deductible", None),
        ("moop", None),
        ("plan_coinsurance", None),
        ("copay", "inpatient"),
        ("copay", "primary_care"),
    ]
    assert found["is_reached"].any()
    assert not found["is_reached"].all()
    for line in found.filter(found["is_reached"]).rows(named=True):
        then = moved(plans[1], line["lever"], line["value"], line["service"])
        then.pop("name")
        assert 0.68 <= twin(then) <= 0.72
        assert line["in_range"]
        alone = row(plans[1], line["lever"], None, service=line["service"])
        assert alone["value"] == line["value"]
    assert result.refused["designs"].height == 1


def test_nothing_to_bring_in():
    found = rating.levers_into_window(integrated(3300), plan_year=2026).designs
    assert found.height == 0
    assert "is_reached" in found.columns


def test_the_outcome_tells_settings_and_findings():
    result = rating.solve_lever(integrated(), plan_year=2026, lever="deductible", target_av=0.95)
    told = dict(result.settings.select("setting", "value").rows())
    assert (told["tolerance"], told["scan_points"], told["round_to"]) == ("1e-05", "64", "None")
    assert "AVC-123" in result.findings["rule_id"].to_list()
    assert "rating/metal_av_ranges" in result.tables
