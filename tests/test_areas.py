"""The rating area of an address: by county, by three-digit ZIP, by both; what is not determined is listed."""

import os
import random
from pathlib import Path

import polars as pl
import pytest
import rating_oracle as oracle

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from rating._areas import map_year, rating_area

ADDRESS = ("state", "county_fips", "zip_code")


def frame_of(*rows):
    return pl.DataFrame(rows, schema=dict.fromkeys(ADDRESS, pl.String), orient="row")


def area_of(state, county=None, zip_code=None, *, snapshot=2023, **options):
    address = {"state": state, "county_fips": county, "zip_code": zip_code}
    return rating_area(address, plan_year=snapshot, **options)


@pytest.mark.parametrize(
    ("state", "county", "zip_code", "snapshot", "expected"),
    [
        ("TX", "48113", None, 2023, "R-TX008"),
        ("TX", "48113", "75001-1234", 2015, "R-TX008"),
        ("AK", None, "99501", 2023, "R-AK001"),
        ("AK", "02020", "996", 2023, "R-AK002"),  # the county says nothing there
        ("MA", None, "021301234", 2015, "R-MA005"),
        ("CA", "06037", "90012", 2023, "R-CA016"),
        ("CA", "06037", "90601", 2023, "R-CA015"),
        ("CA", "06059", "90601", 2023, "R-CA018"),  # Orange shares the prefix: the county decides
        ("CA", "06027", None, 2023, "R-CA013"),  # Inyo
        ("DC", None, None, 2023, "R-DC001"),  # one area
        ("VT", None, "05401", 2015, "R-VT001"),
        (None, "48113", None, 2023, "R-TX008"),  # the county says the state
        (" tx ", " 48113 ", "", 2023, "R-TX008"),
        ("MO", "29510", None, 2023, "R-MO006"),
        ("ID", None, "83201", 2015, "R-ID001"),
        ("ID", "16001", "83201", 2023, "R-ID003"),  # by county since
        ("NE", None, "680", 2015, "R-NE001"),
    ],
)
def test_addresses_with_one_area(state, county, zip_code, snapshot, expected):
    assert area_of(state, county, zip_code, snapshot=snapshot) == expected
    found = rating_area(frame_of((state, county, zip_code)), plan_year=snapshot)
    assert found["rating_area_id"].to_list() == [expected]
    assert found["possible_rating_areas"].to_list() == [[expected]]
    assert found["reason"].to_list() == [None]


@pytest.mark.parametrize(
    ("state", "county", "zip_code", "reason", "possible"),
    [
        ("CA", "06037", None, "ambiguous", ["R-CA015", "R-CA016"]),
        ("CA", "06037", "n/a", "ambiguous", ["R-CA015", "R-CA016"]),
        ("AK", "02020", None, "ambiguous", ["R-AK001", "R-AK002", "R-AK003"]),
        ("ME", None, "04401", "ambiguous", ["R-ME001", "R-ME002", "R-ME003", "R-ME004"]),
        ("CA", None, "90012", "ambiguous", [f"R-CA{n:03}" for n in range(1, 20) if n != 15]),
        ("TX", "48999", None, "unknown_county", []),
        ("TX", "8113", None, "unknown_county", []),
        ("TX", "06037", "90012", "county_of_another_state", []),
        ("MA", None, "90012", "unknown_zip", []),
        ("CA", "06037", "94101", "unknown_zip", []),
        ("PR", "72001", "00601", "unknown_state", []),
        (None, None, "75001", "unknown_state", []),
        ("CT", "09110", None, "unknown_county", []),  # a planning region: the map has the eight counties
    ],
)
def test_addresses_without_one_area(state, county, zip_code, reason, possible):
    found = rating_area(frame_of((state, county, zip_code)), plan_year=2023)
    assert found.select("rating_area_id", "reason", "possible_rating_areas").row(0) == (None, reason, possible)
    with pytest.raises(InputRefused) as refused:
        area_of(state, county, zip_code)
    assert all(area in str(refused.value) for area in possible)
    assert "none is assumed" in str(refused.value)


def test_random_addresses_equal_the_twin():
    draw = random.Random(6)
    for snapshot in (2015, 2023):
        rows = data_specs.table("rating/rating_area_map", year=snapshot).rows(named=True)
        of_state = {}
        for row in rows:
            of_state.setdefault(row["state"], []).append(row)
        addresses = []
        for _ in range(150):
            state = draw.choice(list(of_state))
            row = draw.choice(of_state[draw.choice([state, state, state, "CA", "TX"])])
            zip3 = draw.choice([row["zip3"], draw.choice(of_state["CA"][-40:])["zip3"], "902", None])
            zip_code = None if zip3 is None else zip3 + draw.choice(["", "12", "12-3456", "123456"])
            addresses.append((state, draw.choice([row["county_fips"], None]), zip_code))
        found = rating_area(frame_of(*addresses), plan_year=snapshot)
        for address, row in zip(addresses, found.rows(named=True), strict=True):
            expected = oracle.possible_areas(dict(zip(ADDRESS, address, strict=True)), rows)
            if row["reason"] == "county_of_another_state":
                expected = []  # the twin does not look at the state of a county where the ZIP decides
            assert row["possible_rating_areas"] == expected
            assert row["rating_area_id"] == (expected[0] if len(expected) == 1 else None)
        assert set(found["reason"].to_list()) >= {None, "ambiguous", "county_of_another_state"}


@pytest.mark.parametrize("snapshot", [2015, 2023])
def test_every_row_of_the_map_finds_itself(snapshot):
    rows = data_specs.table("rating/rating_area_map", year=snapshot)
    found = rating_area(rows.rename({"zip3": "zip_code"}), plan_year=snapshot)
    expected = rows.select(pl.format("R-{}{}", "state", pl.col("rating_area").cast(pl.String).str.zfill(3)))
    assert found["rating_area_id"].to_list() == expected.to_series().to_list()


# ---------------------------------------------------------------------------------------------------- ZIP and counties

ZIP_COUNTIES = pl.DataFrame(
    {
        "zip_code": ["75001", "75001", "04429", "04429", "90012", "02130", "03087", "03087"],
        "county_fips": ["48113", "48085", "23019", "23009", "06037", "25025", "33015", "25009"],
    }
)


@pytest.mark.parametrize(
    ("state", "zip_code", "expected"),
    [
        ("TX", "75001", "R-TX008"),  # two counties of one area
        ("TX", "75001-4321", "R-TX008"),
        ("CA", "90012", "R-CA016"),
        ("MA", "02130", "R-MA005"),
        ("NH", "03087", "R-NH001"),  # the ZIP crosses into Massachusetts
    ],
)
def test_counties_of_a_zip(state, zip_code, expected):
    assert area_of(state, None, zip_code, zip_counties=ZIP_COUNTIES) == expected


def test_a_zip_in_two_areas_lists_them():
    with pytest.raises(InputRefused, match="R-ME003, R-ME004"):
        area_of("ME", None, "04429", snapshot=2015, zip_counties=ZIP_COUNTIES)
    assert area_of("ME", "23019", "04429", snapshot=2015, zip_counties=ZIP_COUNTIES) == "R-ME003"
    addresses = frame_of(("ME", None, "04429"), ("TX", None, "75001"), ("TX", None, "79901"), ("ME", "23009", "04429"))
    found = rating_area(addresses, plan_year=2015, zip_counties=ZIP_COUNTIES)
    assert found["zip_code"].to_list() == ["04429", "75001", "79901", "04429"]
    assert found["rating_area_id"].to_list() == [None, "R-TX008", None, "R-ME004"]
    assert found["reason"].to_list() == ["ambiguous", None, "ambiguous", None]
    assert found["possible_rating_areas"].list.len().to_list() == [2, 1, 26, 1]


# ---------------------------------------------------------------------------------------------------- years of the map


def test_no_map_is_never_the_nearest_one():
    with pytest.raises(TableMissing, match="no map of rating areas is held for 2026"):
        area_of("TX", "48113", snapshot=2026)
    found = rating_area(frame_of(("TX", "48113", None)), plan_year=2026, area_map=2023)
    assert found.select("rating_area_id", "area_map_year", "is_uncertain").row(0) == ("R-TX008", 2023, True)
    found = rating_area(frame_of(("TX", "48113", None)), plan_year=2023, area_map=2023)
    assert found.select("area_map_year", "is_uncertain").row(0) == (2023, False)
    with pytest.raises(TableMissing, match="2020"):
        area_of("TX", "48113", area_map=2020)


def test_the_years_differ():
    changed = [
        county
        for county in ("48085", "48113", "48201", "48453", "48005")
        if area_of("TX", county, snapshot=2015) != area_of("TX", county, snapshot=2023)
    ]
    assert changed == ["48005"]


@pytest.mark.parametrize("area_map", ["nearest", 2023.0, True, None, "20 23"])
def test_what_is_no_setting(area_map):
    with pytest.raises(SettingRefused, match="area_map"):
        area_of("TX", "48113", area_map=area_map)
    with pytest.raises(SettingRefused, match="plan_year"):
        map_year("2026")


# ---------------------------------------------------------------------------------------------------- frames


def test_rows_keep_their_order_and_columns():
    draw = random.Random(7)
    rows = [
        ("TX", "48113", None, "a"),
        ("CA", "06037", "90012", "b"),
        ("XX", None, None, "c"),
        ("CA", None, None, "d"),
    ] * 30
    draw.shuffle(rows)
    frame = pl.DataFrame(rows, schema=[*ADDRESS, "household_id"], orient="row")
    found = rating_area(frame.lazy(), plan_year=2023)
    assert found.select(frame.columns).equals(frame)
    expected = {"a": "R-TX008", "b": "R-CA016", "c": None, "d": None}
    assert found["rating_area_id"].to_list() == [expected[row[-1]] for row in rows]
    again = rating_area(found, plan_year=2023)  # columns of an earlier look-up are replaced
    assert again.equals(found)


def test_columns_that_may_be_missing_and_those_that_may_not():
    assert rating_area(pl.DataFrame({"state": ["DC", "TX"]}), plan_year=2023)["reason"].to_list() == [None, "ambiguous"]
    assert rating_area(frame_of().clear(), plan_year=2023).height == 0
    with pytest.raises(InputRefused, match="state"):
        rating_area(pl.DataFrame({"zip_code": ["75001"]}), plan_year=2023)
    with pytest.raises(InputRefused, match="leading zeros"):
        rating_area(pl.DataFrame({"state": ["CA"], "county_fips": [6037]}), plan_year=2023)


def test_zip_codes_of_the_public_exercise():
    samples = os.environ.get("POOLWISE_SAMPLES")
    if not samples:
        pytest.skip("POOLWISE_SAMPLES does not name the folder of public sample files")
    zips = pl.read_parquet(Path(samples) / "benchmark_exercise" / "benchmark_exercise_zips.parquet")
    assert zips.height == 51_541
    found = rating_area(zips.rename({"zip5": "zip_code"}), plan_year=2015)
    own = pl.format("R-{}{}", "state", pl.col("rating_area").cast(pl.String).str.zfill(3))
    states = set(data_specs.table("rating/rating_area_map", year=2015)["state"].to_list())
    for_us = found.filter(pl.col("state").is_in(states))
    assert for_us.select(own.alias("own"))["own"].to_list() == for_us["rating_area_id"].to_list()
    assert found.filter(~pl.col("state").is_in(states))["reason"].unique().to_list() == ["unknown_state"]
    # The same ZIPs without their county: the areas of all counties of the ZIP, none guessed.
    alone = zips.select("state", zip_code="zip5").unique().sort("state", "zip_code")
    asked = rating_area(alone, plan_year=2015, zip_counties=zips.select("county_fips", zip_code="zip5"))
    areas = zips.with_columns(own.alias("own")).group_by("state", zip_code="zip5").agg(pl.col("own").unique().sort())
    joined = asked.join(areas, on=["state", "zip_code"], validate="1:1", maintain_order="left")
    within = joined.filter(pl.col("state").is_in(states))
    assert within["possible_rating_areas"].to_list() == within["own"].to_list()
