"""Quotes of real places and bad input: rows counted by rule and set aside, whole inputs refused."""

from datetime import date

import polars as pl
import pytest
import quote_frames as made
from quote_frames import amounts, fired, quoted

from data_specs.errors import InputRefused, SettingRefused, TableMissing
from rating._quote import quote


def accounted(result):
    (row,) = result.counts.to_dicts()
    assert row["accepted"] + row["rejected"] == row["input"]
    return row["rejected"]


# ------------------------------------------------------------------------------------------------ places


PLACES = {"state": "TX", "rating_area_id": None}


def test_addresses_are_placed_by_the_map_named():
    rows = made.family(40, **PLACES, county_fips="48201")
    plans = [made.plan("a", area=f"R-TX{n:03d}") for n in range(1, 28)]
    result = quoted(rows, plans, settings={"area_map": 2023})
    assert result.households["rating_area_id"].to_list() == ["R-TX010"]
    assert result.uncertain["table"].to_list() == ["rating/rating_area_map"]
    with pytest.raises(TableMissing, match="2026"):
        quoted(rows, plans)


def test_unknown_county_is_counted():
    rows = [
        *made.family(40, household_id="a", **PLACES, county_fips="48999"),
        *made.family(40, household_id="b", **PLACES, county_fips="48201"),
    ]
    plans = [made.plan("a", area=f"R-TX{n:03d}") for n in range(1, 28)]
    result = quoted(rows, plans, settings={"area_map": 2023})
    assert result.households["household_id"].to_list() == ["b"]
    assert fired(result)["QTE-008"] == 1
    assert accounted(result) == 1


def test_a_zip_in_two_areas_is_refused_with_both():
    areas = pl.DataFrame({"zip_code": ["75001"] * 2, "state": ["TX"] * 2, "rating_area_id": [1, 2]})
    rows = made.family(40, 9, **PLACES, zip_code="75001")
    frame = made.frame(rows).drop("rating_area_id")
    result = quoted(frame, [made.plan("a")], areas=areas)
    assert result.households.height == 0
    assert fired(result) == {"QTE-009": 2}
    assert result.refused["households"]["possible_areas"].to_list() == ["R-TX001, R-TX002"] * 2


def test_service_areas_limit_what_is_on_sale():
    rows = made.family(40, county_fips="48201", annual_income="20000", tax_household_size=1)
    plans = [made.plan(p, f"{300 + n}") for n, p in enumerate("abc")]
    served = pl.DataFrame({"plan_id": ["a", "c"], "county_fips": ["48201"] * 2})
    result = quoted(rows, plans, service_areas=served)
    assert result.households["plan_id"].to_list() == ["a", "c"]
    assert result.households["benchmark_plan_id"].to_list() == ["c", "c"]


# ------------------------------------------------------------------------------------------------ bad input

GOOD = made.family(40, 38, 9, household_id="good", annual_income="50000", tax_household_size=3)
PLANS = [made.plan("a"), made.plan("b", "320")]


def bad(rows, rule, rejected, plans=PLANS, **options):
    """The good household is quoted as if alone, the bad one counted with its rule."""
    result = quoted([*GOOD, *rows], plans, **options)
    alone = quoted(GOOD, plans, **options)
    assert result.households.equals(alone.households)
    assert fired(result)[rule] >= 1
    assert accounted(result) == rejected
    assert set(result.refused["households"]["rule_id"]) <= {rule, "QTE-002"}


def with_cells(rows, place, **cells):
    return [row | (cells if i == place else {}) for i, row in enumerate(rows)]


TWO = made.family(40, 9, household_id="bad", annual_income="50000", tax_household_size=2)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (with_cells(TWO, 1, member_id=None), "QTE-001"),
        (with_cells(TWO, 1, member_id="00"), "QTE-001"),
        ([row | {"seeks_coverage": False} for row in TWO], "QTE-003"),
        (with_cells(TWO, 1, birth_date=None), "QTE-004"),
        (with_cells(TWO, 1, birth_date=date(2026, 1, 2)), "QTE-004"),
        (with_cells(TWO, 1, birth_date=date(1905, 1, 1)), "QTE-004"),
        (with_cells(TWO, 1, effective_date=date(2025, 12, 31)), "QTE-005"),
        (with_cells(TWO, 1, effective_date=date(2027, 1, 1)), "QTE-005"),
        ([row | {"effective_date": None} for row in TWO], "QTE-005"),
        (with_cells(TWO, 1, relationship="cousin"), "QTE-006"),
        (with_cells(TWO, 1, relationship="self"), "QTE-006"),
        (with_cells(TWO, 1, annual_income="50001"), "QTE-007"),
        (with_cells(TWO, 1, rating_area_id="R-TX002"), "QTE-007"),
        ([row | {"rating_area_id": "R-TX000"} for row in TWO], "QTE-008"),
        ([row | {"rating_area_id": "R-ZZ001"} for row in TWO], "QTE-008"),
        ([row | {"tax_household_size": 0} for row in TWO], "QTE-012"),
        ([row | {"tax_household_size": None} for row in TWO], "QTE-012"),
        ([row | {"plan_id": "nowhere"} for row in TWO], "QTE-019"),
        ([row | {"rating_area_id": "R-TX002"} for row in TWO], "QTE-020"),
    ],
)  # fmt: skip
def test_a_bad_household_is_set_aside_whole(rows, rule):
    bad(rows, rule, 2)


def test_rows_without_a_household_are_counted():
    bad([made.member(None, "1")], "QTE-001", 1)


def test_an_unreadable_income_is_counted():
    frame = made.frame([*GOOD, *TWO])
    broken = pl.when(pl.col("household_id") == "bad").then(pl.lit("much")).otherwise("annual_income")
    result = quoted(frame.with_columns(broken.alias("annual_income")), PLANS)
    assert fired(result)["QTE-011"] == 2
    assert accounted(result) == 2


def test_vermont_has_no_price_for_children_alone():
    rows = made.family(9, 7, rating_area_id="R-VT001")
    plans = [made.plan("a", area="R-VT001")]
    result = quoted(rows, plans)
    assert result.households.height == 0
    assert fired(result)["QTE-021"] == 2
    assert accounted(result) == 2


def test_a_negative_income_counts_as_zero():
    rows = made.family(40, annual_income="-5", tax_household_size=1)
    result = quoted(rows, PLANS)
    assert fired(result)["QTE-010"] == 1
    assert result.households["notes"].to_list() == ["income_below_limit"] * 2
    assert result.households["income_pct_of_poverty"].to_list() == [0, 0]


def test_tobacco_in_a_prohibited_state_is_counted_and_not_charged():
    plans = [made.plan("a", area="R-CA001")]
    rows = made.family(40, rating_area_id="R-CA001", tobacco_use=True)
    result = quoted(rows, plans)
    assert fired(result)["QTE-014"] == 1
    assert amounts(result) == ["383.40"]
    with pytest.raises(InputRefused, match="RATE-006"):
        quoted(rows, [made.plan("a", area="R-CA001", tobacco_ratio="1.1")])


@pytest.mark.slow
def test_tobacco_below_the_legal_age_is_counted():
    rows = made.family(20, tobacco_use=True)
    assert fired(quoted(rows, [made.plan("a", tobacco_ratio="1.5")]))["QTE-015"] == 1
    settings = {"tobacco_21_from": None}
    found = quoted(rows, [made.plan("a", tobacco_ratio="1.5")], settings=settings)
    assert amounts(found) == ["436.50"]


@pytest.mark.slow
def test_no_silver_plan_and_one_silver_plan():
    rows = made.family(40, annual_income="20000", tax_household_size=1)
    none = quoted(rows, [made.plan("g", metal_level="gold")])
    assert fired(none)["QTE-017"] == 1
    assert none.households["notes"].to_list() == ["no_benchmark"]
    assert amounts(none, "monthly_credit") == [None]
    one = quoted(rows, [made.plan("a"), made.plan("g", metal_level="gold")])
    assert fired(one)["QTE-018"] == 1
    assert amounts(one, "benchmark_monthly") == ["383.40"] * 2
    undetermined = quoted(rows, [made.plan("a")], settings={"single_silver": "undetermined"})
    assert amounts(undetermined, "benchmark_monthly") == [None]


def test_a_plan_without_a_rate_for_an_age_is_left_out_and_counted():
    rates = pl.DataFrame(
        {
            "plan_id": ["a", "a", "b"],
            "rating_area_id": ["R-TX001"] * 3,
            "age_band": ["40", "41", "41"],
            "individual_rate": ["300", "310", "305"],
            "metal_level": ["silver"] * 3,
        }
    )
    result = quote(made.frame(made.family(40)), rates=rates, plan_year=2026)
    assert result.households["plan_id"].to_list() == ["a"]
    assert fired(result)["QTE-022"] == 1


def test_rates_of_plans_that_are_not_listed_are_counted():
    rates = pl.DataFrame(PLANS).drop("metal_level", "ehb_pct_premium", "on_exchange", "children_charged_max")
    plans = pl.DataFrame({"plan_id": ["a"], "metal_level": ["silver"]})
    result = quoted(made.family(40), None, base_rates=rates, plans=plans)
    assert result.households["plan_id"].to_list() == ["a"]
    assert fired(result)["QTE-026"] == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"rates": pl.DataFrame({"plan_id": ["a"]})}, InputRefused),
        ({"base_rates": None}, InputRefused),
        ({"base_rates": pl.DataFrame([made.plan("a"), made.plan("a")])}, InputRefused),
        ({"base_rates": pl.DataFrame([made.plan("a", "0")])}, InputRefused),
        ({"base_rates": pl.DataFrame([made.plan("a", metal_level="tin")])}, InputRefused),
        ({"base_rates": pl.DataFrame([made.plan("a", tobacco_ratio="1.6")])}, InputRefused),
        ({"base_rates": pl.DataFrame([made.plan("a", trend_q1="1.1")])}, InputRefused),
        ({"settings": {"market": "large"}}, SettingRefused),
        ({"settings": {"area_map": "nearest"}}, SettingRefused),
        ({"plan_year": 2013}, TableMissing),
    ],
)
def test_whole_inputs_are_refused(options, error):
    with pytest.raises(error):
        quoted(GOOD, PLANS, **options)


def test_filed_tobacco_rates_above_the_ceiling_are_refused():
    rates = {"plan_id": ["a"], "rating_area_id": ["R-TX001"], "age_band": ["40"], "individual_rate": ["100.01"]}
    home = made.frame(made.family(40))
    quote(home, rates=pl.DataFrame(rates | {"individual_tobacco_rate": ["150.02"]}), plan_year=2026)
    with pytest.raises(InputRefused, match="RATE-006"):
        quote(home, rates=pl.DataFrame(rates | {"individual_tobacco_rate": ["150.04"]}), plan_year=2026)


def test_no_household_at_all():
    result = quoted(made.frame(GOOD).head(0), PLANS)
    assert result.households.height == result.members.height == 0
    assert result.counts["input"].to_list() == [0]
