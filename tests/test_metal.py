"""Metal levels: windows by year, market and variant, what expanded bronze needs, and which tables stand."""

import polars as pl
import pytest

import rating
from data_specs import table
from data_specs.errors import InputRefused, NotYetPublished, SettingRefused, TableMissing
from rating._av_columns import SERVICES, TABLE_METALS

EXEMPT = {"subject_to_deductible": False, "subject_to_coinsurance": False}
BRONZE = {"deductible_type": "integrated", "deductible": 7300, "plan_coinsurance": 1.0, "moop": 7300}
# In no window but that of expanded bronze where nothing makes it one.
BETWEEN = {**BRONZE, "deductible": 8000, "moop": 8000, "table_metal": "bronze"}
SILVER = {"deductible_type": "integrated", "deductible": 4300, "plan_coinsurance": 0.6, "moop": 8800}
STANDARD_ID = "12345AZ0010001"


def rows_of(*plans, year=2026, **settings):
    return rating.actuarial_value(list(plans), plan_year=year, settings=settings).designs.rows(named=True)


def row_of(plan, **settings):
    return rows_of(plan, **settings)[0]


def silver_at(target, **facts):
    """A silver plan, on silver tables, whose value is the target to within 1e-4; found by bisection on its limit."""
    low, high = 4300.0, 10_600.0
    for _ in range(40):
        middle = (low + high) / 2
        row = row_of({**SILVER, "moop": middle, "table_metal": "silver"})
        low, high = (middle, high) if row["av"] > target else (low, middle)
    assert row["av"] == pytest.approx(target, abs=1e-4)
    return {**SILVER, "moop": middle, "table_metal": "silver", **facts}


# ---- expanded bronze ----

QUALIFIES = {
    "a copay before the deductible": {"services": {"generic": {"copay": 20, **EXEMPT}}},
    "three visits": {"options": {"primary_care_first_n_visits_free": 3}},
    "three visits at a copay": {
        "services": {"primary_care": {"copay": 90}},
        "options": {"primary_care_first_n_visits_copay_then_deductible": 3},
    },
    "a high-deductible health plan": {"is_hdhp": True},
}
DOES_NOT = {
    "nothing": {},
    "a service that is not major": {"services": {"speech_therapy": {"copay": 20, **EXEMPT}}},
    "two visits": {"options": {"primary_care_first_n_visits_free": 2}},
    "after the deductible": {
        "services": {
            "generic": {"copay": 5, "subject_to_coinsurance": False, "copay_after_deductible": True}
        }
    },
    "exempt and paid by the enrollee": {
        "services": {"speech_therapy": {"subject_to_deductible": False, "plan_coinsurance": 0}}
    },
}  # fmt: skip


@pytest.mark.parametrize("what", QUALIFIES)
def test_expanded_bronze_has_the_wider_window(what):
    row = row_of({**BETWEEN, **QUALIFIES[what]})
    assert 0.62 < row["av"] <= 0.65
    assert (row["metal_level"], row["window"], row["in_range"]) == ("expanded_bronze", "expanded_bronze", True)
    assert row["distance_to_window"] == 0


@pytest.mark.parametrize("what", DOES_NOT)
def test_a_bronze_plan_without_the_conditions_has_not(what):
    row = row_of({**BETWEEN, **DOES_NOT[what]})
    assert 0.62 < row["av"] <= 0.65
    assert (row["metal_level"], row["window"], row["in_range"]) == (None, "standard", False)
    assert {"expanded_bronze_not_met", "no_matching_metal"} <= set(row["flags"])
    assert row["distance_to_window"] == pytest.approx(row["av"] - 0.62)


def test_a_bronze_plan_that_could_be_expanded_is_bronze_while_its_value_is():
    dear = {**BETWEEN, "deductible": 9900, "moop": 9900, "is_hdhp": True}
    row = row_of(dear)
    assert 0.58 < row["av"] < 0.62
    assert (row["metal_level"], row["window"]) == ("bronze", "standard")


def test_without_a_deductible_every_service_is_covered_before_it():
    plan = {**BRONZE, "deductible": 0, "moop": 10_600, "plan_coinsurance": 0.2, "table_metal": "bronze"}
    row = row_of(plan, coinsurance_is="plan")
    assert (row["metal_level"], row["window"]) == ("expanded_bronze", "expanded_bronze"), row["av"]


def test_a_high_deductible_health_plan_has_its_amounts():
    held = table("rating/hsa_hdhp_limits", year=2026).filter(coverage="self_only")
    limits = dict(held.select("measure", "usd").rows())
    lowest, highest = limits["hdhp_min_deductible"], limits["hdhp_max_out_of_pocket"]

    def is_odd(deductible, moop, **rest):
        plan = {**BRONZE, "deductible": deductible, "moop": moop, "is_hdhp": True, **rest}
        return "hdhp_conditions" in row_of(plan)["flags"]

    assert [is_odd(lowest, highest), is_odd(lowest - 1, highest), is_odd(lowest, highest + 1)] == [False, True, True]
    assert is_odd(lowest, highest, services={"speech_therapy": EXEMPT})
    assert is_odd(lowest, highest, options={"primary_care_first_n_visits_free": 1})


# ---- silver ----


def test_the_window_on_the_exchange():
    low, high = silver_at(0.69), silver_at(0.71)
    for plan, sold, expected in (
        (low, {}, ("silver", "standard")),
        (low, {"csr_variant": "00"}, ("silver", "standard")),
        (low, {"csr_variant": "01"}, (None, "on_exchange_individual_silver")),
        (low, {"csr_variant": "03", "market": "individual"}, (None, "on_exchange_individual_silver")),
        (low, {"csr_variant": "01", "market": "small_group"}, ("silver", "standard")),
        (high, {"csr_variant": "01"}, ("silver", "on_exchange_individual_silver")),
    ):
        row = row_of({**plan, **sold})
        assert (row["metal_level"], row["window"]) == expected
    flagged = ["off_exchange_silver_only" in row_of({**low, **sold})["flags"] for sold in ({}, {"csr_variant": "00"})]
    assert flagged == [True, False]
    assert "off_exchange_silver_only" not in row_of(high)["flags"]
    assert "off_exchange_silver_only" not in row_of({**low, "market": "small_group"})["flags"]


def test_a_variant_is_two_points_above_its_plan():
    base = silver_at(0.715, plan_id=STANDARD_ID, csr_variant="01")
    near, far = (silver_at(av, plan_id=STANDARD_ID, csr_variant="04") for av in (0.7305, 0.7396))
    assert "variant_too_close" in rows_of(base, near)[1]["flags"]
    assert "variant_too_close" in rows_of(near, base)[0]["flags"]
    assert "variant_too_close" not in rows_of(base, far)[1]["flags"]
    assert "variant_too_close" not in rows_of({**base, "plan_id": "12345AZ0010002"}, near)[1]["flags"]
    # Where the plan is listed as sold on and off the exchange, the one on the exchange is meant.
    off = silver_at(0.70, plan_id=STANDARD_ID, csr_variant="00")
    assert "variant_too_close" in rows_of(off, near, base)[1]["flags"]
    assert "variant_too_close" not in rows_of(off, near)[1]["flags"]
    result = rating.actuarial_value([base, near], plan_year=2026)
    assert result.findings.filter(rule_id="AVC-102")["rows"].item() == 1
    assert result.designs["av_status"].to_list() == ["recomputed", "recomputed"]


def test_variants_have_windows_of_their_own():
    plan = {**SILVER, "deductible": 0, "plan_coinsurance": 0.9, "moop": 1500, "csr_variant": "06"}
    row = row_of(plan)
    assert (row["table_metal"], row["window"]) == ("platinum", "csr_94")
    assert row["in_range"] == (0.94 <= row["av"] <= 0.95)
    for target, level in ((0.735, "silver"), (0.725, None), (0.745, None)):
        assert row_of(silver_at(target, csr_variant="04"))["metal_level"] == level
    row = row_of({**SILVER, "csr_variant": "02", "desired_metal": "gold"})
    assert (row["av"], row["metal_level"], row["in_range"], row["window"]) == (1.0, "gold", True, None)


# ---- which tables ----


def test_a_named_table_is_used_whatever_comes_out_and_a_desired_metal_gives_way_once():
    plan = {**SILVER, "deductible": 3000, "plan_coinsurance": 1.0, "moop": 3000}
    fixed = {metal: row_of({**plan, "table_metal": metal}) for metal in TABLE_METALS}
    assert fixed["silver"]["av"] == pytest.approx(0.7983207, abs=1e-6)
    assert "no_matching_metal" in fixed["silver"]["flags"]
    row = row_of({**plan, "desired_metal": "silver"})
    assert (row["table_metal"], row["av"]) == ("gold", fixed["gold"]["av"])
    assert {"other_metal_tables", "desired_metal_missed"} <= set(row["flags"])
    assert row["iterations"] == fixed["silver"]["iterations"] + fixed["gold"]["iterations"]
    assert row["in_range"] == (0.78 <= row["av"] <= 0.82)
    assert row["av_status"] == "recomputed"
    # A desired metal that is met, and one that no other window takes over.
    row = row_of({**BRONZE, "desired_metal": "bronze", "deductible": 9900, "moop": 9900})
    assert (row["metal_level"], row["table_metal"], row["flags"]) == ("bronze", "bronze", ["moop_within_deductible"])
    row = row_of({**plan, "deductible": 1500, "moop": 1500, "desired_metal": "silver"})
    assert (row["table_metal"], row["metal_level"]) == ("silver", None)
    assert {"desired_metal_missed", "no_matching_metal"} <= set(row["flags"])
    assert "other_metal_tables" not in row["flags"]


def test_the_second_value_stands_also_where_it_lies_in_no_window():
    """On gold tables the value lies in the window of silver, on silver tables in none."""
    found = []
    for deductible in range(6500, 8000, 250):
        plan = {**SILVER, "deductible": deductible, "plan_coinsurance": 1.0, "moop": deductible}
        gold, silver = (row_of({**plan, "table_metal": metal}) for metal in ("gold", "silver"))
        if 0.68 <= gold["av"] <= 0.72 and not silver["in_range"]:
            found.append((row_of({**plan, "desired_metal": "gold"}), silver))
    assert found
    for row, silver in found:
        assert (row["av"], row["table_metal"], row["metal_level"]) == (silver["av"], "silver", None)
        assert {"other_metal_tables", "no_matching_metal", "desired_metal_missed"} <= set(row["flags"])


def test_a_desired_expanded_bronze_plan_is_worked_on_bronze_tables():
    row = row_of({**BETWEEN, "table_metal": None, "desired_metal": "expanded_bronze", "is_hdhp": True})
    assert (row["table_metal"], row["metal_level"]) == ("bronze", "expanded_bronze")
    assert "desired_metal_missed" not in row["flags"]


# ---- catastrophic plans ----


def test_a_catastrophic_plan_has_conditions_and_no_window():
    limit = dict(table("rating/annual_cost_sharing_limits", year=2026).select("limit", "self_only_usd").rows())
    limit = limit["standard"]
    plan = {**BRONZE, "deductible": limit, "moop": limit, "desired_metal": "catastrophic"}
    visits = {"options": {"primary_care_first_n_visits_free": 3}}
    row = row_of({**plan, **visits})
    assert (row["metal_level"], row["in_range"], row["window"]) == ("catastrophic", True, None)
    assert (row["distance_to_window"], row["table_metal"]) == (None, "bronze")
    assert "catastrophic_on_bronze_tables" in row["flags"]
    bad = (
        plan,
        {**plan, "options": {"primary_care_first_n_visits_free": 2}},
        {**plan, **visits, "deductible": limit - 1},
        {**plan, **visits, "moop": limit - 1, "deductible": limit - 1},
        {**plan, **visits, "services": {"generic": {"copay": 10, **EXEMPT}}},
    )
    for one in bad:
        row = row_of(one)
        assert (row["metal_level"], row["in_range"], "not_catastrophic" in row["flags"]) == (None, False, True)


# ---- windows and their years ----


def test_results_say_which_windows_they_are_held_to():
    plan = silver_at(0.67)
    now, stayed = (row_of(plan, legal_state=state) for state in ("in_force", "stayed_2025_08_22"))
    assert [row["legal_state"] for row in (now, stayed)] == ["in_force", "stayed_2025_08_22"]
    assert [row["in_range"] for row in (now, stayed)] == [False, True]
    assert [row["distance_to_window"] for row in (now, stayed)] == [pytest.approx(now["av"] - 0.68), 0]
    result = rating.actuarial_value(plan, plan_year=2026)
    assert "row" in result.uncertain.filter(table="rating/metal_av_ranges")["what"].item()


LEVELS = [
    (0.90, 2026, {}, "platinum"),
    (0.82, 2026, {}, "gold"),
    (0.8200001, 2026, {}, None),
    (0.66, 2026, {}, None),
    (0.66, 2020, {}, "silver"),
    (0.66, 2026, {"settings": {"legal_state": "stayed_2025_08_22"}}, "silver"),
    (0.69, 2026, {"csr_variant": "01"}, None),
    (0.69, 2026, {"csr_variant": "01", "market": "small_group"}, "silver"),
    (0.69, 2022, {"csr_variant": "01"}, "silver"),
    (0.735, 2026, {"csr_variant": "04"}, "silver"),
    (0.735, 2026, {}, None),
    (0.64, 2026, {"is_expanded": True}, "expanded_bronze"),
    (0.61, 2026, {"is_expanded": True}, "bronze"),
    (0.64, 2026, {}, None),
    (0.64, 2016, {"is_expanded": True}, None),
]


@pytest.mark.parametrize(("av", "year", "facts", "level"), LEVELS)
def test_the_level_of_a_value(av, year, facts, level):
    assert rating.metal_level(av, plan_year=year, **facts) == level


def test_a_level_of_what_is_none_is_refused():
    for av, facts in ((70, {}), ("0.7", {}), (True, {}), (0.7, {"market": "large"}), (0.7, {"csr_variant": "4"})):
        with pytest.raises(InputRefused):
            rating.metal_level(av, plan_year=2026, **facts)
    with pytest.raises(SettingRefused):
        rating.metal_level(0.7, plan_year=2026, settings={"legal_state": "repealed"})
    with pytest.raises(NotYetPublished):
        rating.metal_level(0.7, plan_year=2031)
    with pytest.raises(TableMissing):
        rating.metal_level(0.7, plan_year=2010)


def test_every_flag_of_a_result_is_a_rule():
    known = set(table("av/design_rules")["flag"])
    assert table("av/design_rules")["flag"].is_unique().all()
    plans = [{**BETWEEN, **facts} for facts in (*QUALIFIES.values(), *DOES_NOT.values())]
    result = rating.actuarial_value(plans, plan_year=2026)
    flags = result.designs["flags"].explode().drop_nulls()
    assert set(flags) <= known
    words = dict(table("av/design_rules").select("rule_id", "flag").rows())
    counted = {words[rule_id]: rows for rule_id, rows in result.findings.select("rule_id", "rows").rows()}
    assert counted == dict(flags.value_counts().rows())


def test_major_services_are_charged_ones():
    lines = table("av/service_lines")
    assert tuple(lines.sort("position")["service"]) == SERVICES
    assert "preventive" not in set(lines.filter(pl.col("is_major"))["service"])
