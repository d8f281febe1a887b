"""Rate tables against the Decimal twin: age bands by year, tobacco, quarters, family tiers, and what is refused."""

import itertools
import random
from datetime import date
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
import rating_oracle as oracle

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused
from rating._factors import age_bands, rate_basis, rating_factors, tier_multiplier
from rating._rate_settings import RateSettings
from rating._rate_table import TIER_COLUMNS, rate_table

MARKETS = ("individual", "small_group")
YEARS = (2017, 2026)
PLAN = "12345{}0000001"
ONE_AREA = pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1"]})


def plans_of(state, bases, **more):
    ids = [f"12345{state}{i:07}" for i in range(1, len(bases) + 1)]
    return pl.DataFrame({"plan_id": ids, "base_rate": bases, **more})


def table_of(
    state, market="individual", year=2026, bases=("312.47",), areas=ONE_AREA, settings=None, ratios=None, **more
):
    return rate_table(
        plans_of(state, list(bases), **more),
        areas,
        state=state,
        market=market,
        plan_year=year,
        tobacco_ratios=ratios,
        settings=settings,
    )


# ---------------------------------------------------------------------------------------------------- ages


@pytest.mark.parametrize(("year", "top"), [(2014, 20), (2017, 20), (2018, 14), (2026, 14)])
def test_age_bands_of_a_year(year, top):
    bands = age_bands(year)
    assert bands.labels == (f"0-{top}", *map(str, range(top + 1, 64)), "64+")
    assert bands.ages.tolist() == [0, *range(top + 1, 65)]
    ages = [-1, 0, top, top + 1, 40, 63, 64, 65, 110]
    assert [bands.labels[i] for i in bands.of_ages(pl.Series(ages).to_numpy())] == [
        *[f"0-{top}"] * 3, str(top + 1), "40", "63", "64+", "64+", "64+"
    ]  # fmt: skip


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("year", YEARS)
def test_every_state_and_market_has_consistent_factors(year, step):
    states = data_specs.table("rating/state_market_rules")["state"].unique().sort().to_list()[::step]
    for state, market in itertools.product(states, MARKETS):
        factors = rating_factors(state, market, year)
        own = oracle.curve(state, market, year)
        assert [Fraction(n, 10**6) for n in factors.band_millionths.tolist()] == [
            Fraction(own[age]) for age in oracle.bands(year).values()
        ]
        assert own[64] <= own[21] * Decimal(factors.age_ratio_limit.numerator) / factors.age_ratio_limit.denominator


@pytest.mark.parametrize(
    ("state", "market", "year"),
    [
        ("TX", "individual", 2026),
        ("DC", "individual", 2015),
        ("MA", "individual", 2026),
        ("NJ", "small_group", 2014),
        ("MN", "small_group", 2018),
        ("UT", "individual", 2017),
    ],
)
@pytest.mark.parametrize("point", ["member", "base", "nontobacco"])
def test_rates_equal_the_twin(state, market, year, point):
    draw = random.Random(year)
    bases = ["312.47", "300", str(draw.random() * 500), str(Decimal(draw.randrange(10**9)).scaleb(-6) + 1)]
    areas = pl.DataFrame({"rating_area_id": ["Rating Area 2", f"R-{state}001"], "area_factor": ["0.9735", "1.1"]})
    direction = draw.choice(["nearest", "down", "up"])
    settings = {"rounding_point": point, "rounding_direction": direction}
    found = table_of(state, market, year, bases, areas, settings)
    curve, bands = oracle.curve(state, market, year), oracle.bands(year)
    expected = [
        (
            f"12345{state}{i:07}",
            area,
            label,
            oracle.member_rate(base, curve[age], factor, point=point, direction=direction),
        )
        for i, base in enumerate(bases, 1)
        for area, factor in ((f"R-{state}001", "1.1"), (f"R-{state}002", "0.9735"))
        for label, age in bands.items()
    ]
    assert found.select("plan_id", "rating_area_id", "age_band", "individual_rate").rows() == expected
    assert found["tobacco"].unique().to_list() == ["no_preference"]
    assert found["individual_tobacco_rate"].null_count() == found.height
    assert found["effective_date"].unique().to_list() == [date(year, 1, 1)]
    assert found["expiration_date"].unique().to_list() == [date(year, 12, 31)]


def test_older_is_never_cheaper_where_the_curve_never_falls():
    for state in ("TX", "UT", "MA", "OR"):
        curve = list(oracle.curve(state, "individual", 2026).values())
        assert curve[15:] == sorted(curve[15:])
        rates = table_of(state, bases=["287.339", "0.07"])
        for _, of_plan in rates.group_by("plan_id"):
            assert of_plan["individual_rate"].to_list() == sorted(of_plan["individual_rate"].to_list())


def test_the_base_is_not_the_rate_of_age_21_everywhere():
    rates = table_of("DC", bases=["400"])
    assert rates.filter(pl.col("age_band") == "21")["individual_rate"].item() == Decimal("290.80")
    rates = table_of("MA", bases=["400"])
    assert rates.filter(pl.col("age_band") == "21")["individual_rate"].item() == Decimal("473.20")


def test_the_curve_changes_between_2017_and_2018():
    by_band = {year: table_of("TX", year=year).select("age_band", "individual_rate") for year in (2017, 2018)}
    assert by_band[2017].row(0) == ("0-20", Decimal("198.42"))
    assert by_band[2018].row(0) == ("0-14", Decimal("239.04"))
    assert by_band[2017].height == 45
    assert by_band[2018].height == 51


# ---------------------------------------------------------------------------------------------------- tobacco


def test_tobacco_splits_the_plans_that_rate_it():
    rates = table_of("TX", bases=["312.47", "300", "250"], tobacco_ratio=["1.5", None, "1"])
    assert rates.group_by("plan_id").agg(pl.col("tobacco").unique()).sort("plan_id")["tobacco"].to_list() == [
        ["split"],
        ["no_preference"],
        ["no_preference"],
    ]
    curve = oracle.curve("TX", "individual", 2026)
    split = rates.filter(pl.col("tobacco") == "split")
    for label, age in oracle.bands(2026).items():
        ratio = "1.5" if age >= 21 else "1"
        row = split.filter(pl.col("age_band") == label).row(0, named=True)
        assert row["individual_tobacco_rate"] == oracle.member_rate("312.47", curve[age], 1, ratio)
    assert rates.filter(pl.col("tobacco") != "split")["individual_tobacco_rate"].null_count() == 2 * 51


@pytest.mark.parametrize(
    ("year", "settings", "age"),
    [
        (2026, None, 21),
        (2018, None, 18),
        (2026, {"tobacco_21_from": None}, 18),
        (2026, {"tobacco_21_from": None, "tobacco_from_age": 30}, 30),
        (2026, {"tobacco_from_age": 24}, 24),
    ],
)
def test_nobody_below_the_legal_age_is_loaded(year, settings, age):
    rates = table_of("TX", year=year, tobacco_ratio=[1.2], settings=settings)
    loaded = rates.filter(pl.col("individual_tobacco_rate") > pl.col("individual_rate"))["age_band"].to_list()
    assert loaded[0] == str(age)
    assert len(loaded) == 65 - age


def test_tobacco_ratios_by_age():
    ratios = pl.DataFrame(
        {"plan_id": [PLAN.format("TX")] * 3, "age_from": [40, 21, 55], "tobacco_ratio": ["1.25", "1.1", "1.499"]}
    )
    rates = table_of("TX", bases=["312.47", "300"], ratios=ratios)
    curve = oracle.curve("TX", "individual", 2026)
    for row in rates.filter(pl.col("plan_id") == PLAN.format("TX")).rows(named=True):
        age = oracle.bands(2026)[row["age_band"]]
        ratio = next(r for start, r in ((55, "1.499"), (40, "1.25"), (21, "1.1"), (0, "1")) if age >= start)
        assert row["individual_tobacco_rate"] == oracle.member_rate("312.47", curve[age], 1, ratio)
    assert rates.filter(pl.col("tobacco") == "split").height == 51


@pytest.mark.parametrize(
    ("state", "market", "ratio", "allowed"),
    [
        ("TX", "individual", "1.5", True),
        ("TX", "individual", "1.5001", False),
        ("AR", "individual", "1.2", True),
        ("AR", "individual", "1.21", False),
        ("KY", "small_group", "1.4", True),
        ("KY", "small_group", "1.41", False),
        ("CT", "individual", "1.5", True),
        ("CT", "small_group", "1.001", False),
        ("CA", "individual", "1.0001", False),
        ("CA", "individual", "1", True),
        ("NY", "individual", "1.1", False),
        ("TX", "individual", "0.99", False),
    ],
)
def test_ceiling_of_tobacco_ratios(state, market, ratio, allowed):
    if allowed:
        assert table_of(state, market, tobacco_ratio=[ratio]).height in (1, 51)
        return
    with pytest.raises(InputRefused, match="RATE-006"):
        table_of(state, market, tobacco_ratio=[ratio])


def test_tobacco_where_it_is_prohibited_says_so():
    with pytest.raises(InputRefused, match="tobacco may not be rated") as refused:
        table_of("CA", tobacco_ratio=["1.2"])
    assert "tobacco_limits" in str(refused.value)
    assert "row 1" in str(refused.value)


# ---------------------------------------------------------------------------------------------------- quarters, tiers


def test_quarterly_trend_multiplies_the_unrounded_base():
    rates = table_of(
        "TX",
        "small_group",
        bases=["312.474", "300"],
        trend_q1=[1, 1],
        trend_q2=["1.0201", "1.02"],
        trend_q4=["1.0612", "1.06"],
    )
    assert rates.height == 2 * 3 * 51
    dates = rates.select("effective_date", "expiration_date").unique().sort("effective_date").rows()
    assert dates == [
        (date(2026, 1, 1), date(2026, 3, 31)),
        (date(2026, 4, 1), date(2026, 6, 30)),
        (date(2026, 10, 1), date(2026, 12, 31)),
    ]
    curve = oracle.curve("TX", "small_group", 2026)
    for row in rates.filter(pl.col("plan_id") == PLAN.format("TX")).rows(named=True):
        trend = {1: "1", 4: "1.0201", 10: "1.0612"}[row["effective_date"].month]
        age = oracle.bands(2026)[row["age_band"]]
        assert row["individual_rate"] == oracle.member_rate("312.474", curve[age], 1, trend=trend)


def test_a_trend_in_the_individual_market_is_refused():
    with pytest.raises(InputRefused, match="individual rates are annual"):
        table_of("TX", trend_q1=[1])


@pytest.mark.parametrize("market", MARKETS)
@pytest.mark.parametrize("state", ["NY", "VT"])
def test_family_tiers_are_rounded_once(state, market):
    areas = pl.DataFrame({"rating_area_id": [1, 2], "area_factor": ["1", "1.04737"]})
    more = {"trend_q3": ["1.0333"]} if market == "small_group" else {}
    rates = table_of(state, market, bases=["842.1738"], areas=areas, **more)
    assert rates["age_band"].to_list() == ["family", "family"]
    multipliers = oracle.tiers(state, market)
    for row, area in zip(rates.rows(named=True), ("1", "1.04737"), strict=True):
        for column, tier in TIER_COLUMNS.items():
            expected = None
            if tier in multipliers:
                trend = more.get("trend_q3", ["1"])[0]
                expected = oracle.member_rate("842.1738", multipliers[tier], area, trend=trend)
            assert row[column] == expected, column
    assert (rates["child_only"].null_count() == 2) == (state == "VT")


def test_vermont_has_no_price_for_children_alone():
    vermont = rating_factors("VT", "individual", 2026)
    with pytest.raises(InputRefused, match="child_only"):
        tier_multiplier(vermont, "child_only")
    assert tier_multiplier(rating_factors("NY", "individual", 2026), "child_only") == Fraction("0.412")
    with pytest.raises(InputRefused, match="TX publishes no family tier"):
        tier_multiplier(rating_factors("TX", "individual", 2026), "one_adult")


def test_per_member_states_have_no_tier_columns_filled():
    rates = table_of("TX")
    assert rates.select(list(TIER_COLUMNS)[1:]).null_count().row(0) == (51,) * 8
    assert rates.columns == table_of("NY").columns


# ---------------------------------------------------------------------------------------------------- areas, order


def test_areas_of_each_plan():
    areas = pl.DataFrame(
        {
            "plan_id": ["12345TX0000002", "12345TX0000001", "12345TX0000002"],
            "rating_area_id": ["R-TX010", "3", "Rating Area 3"],
            "area_factor": [1.1, 0.9, 1.2],
        }
    )
    rates = table_of("TX", bases=["100", "200"], areas=areas).filter(pl.col("age_band") == "21")
    assert rates.select("plan_id", "rating_area_id", "individual_rate").rows() == [
        ("12345TX0000001", "R-TX003", Decimal("90.00")),
        ("12345TX0000002", "R-TX003", Decimal("240.00")),
        ("12345TX0000002", "R-TX010", Decimal("220.00")),
    ]


def test_same_bytes_for_any_order_of_rows(monkeypatch):
    draw = random.Random(8)
    plans = plans_of("TX", [draw.random() * 400 + 100 for _ in range(40)], tobacco_ratio=[1.5, 1.2] * 20)
    areas = pl.DataFrame({"rating_area_id": list(range(1, 28)), "area_factor": [1 + i / 100 for i in range(27)]})
    options = {"state": "TX", "market": "individual", "plan_year": 2026}
    first = rate_table(plans, areas, **options)
    monkeypatch.setenv("POOLWISE_THREADS", "1")
    other = rate_table(plans.sample(fraction=1, shuffle=True, seed=3).lazy(), areas.reverse(), **options)
    assert first.equals(other)
    assert first.select("plan_id", "rating_area_id", "effective_date", "age_band").is_unique().all()


@pytest.mark.parametrize(
    ("plans", "areas", "says"),
    [
        ({"base_rate": ["0"]}, {}, "base_rate.*zero"),
        ({"base_rate": [None]}, {}, "base_rate.*absent"),
        ({"base_rate": ["1e8"]}, {}, "a rate is too large"),
        ({"plan_id": [None]}, {}, "a plan has an id"),
        ({"plan_id": ["12345OK0000001"]}, {}, "characters 6-7"),
        ({"plan_id": ["A", "A"], "base_rate": [1, 2]}, {}, "RATE-002"),
        ({"plan_id": [1]}, {}, "FILE-002"),
        ({}, {"rating_area_id": ["0"]}, "no area 0"),
        ({}, {"rating_area_id": ["R-OK001"]}, "RATE-008"),
        ({}, {"rating_area_id": [None]}, "RATE-008"),
        ({}, {"rating_area_id": ["1", "R-TX001"], "area_factor": [1, 2]}, "RATE-002.*"),
        ({}, {"area_factor": [0]}, "area_factor.*zero"),
        ({}, {"plan_id": ["B"]}, "names one of the plans"),
        ({"plan_id": ["A", "B"], "base_rate": [1, 2]}, {"plan_id": ["A"]}, "RATE-001"),
        ({"tobacco_ratio": ["x"]}, {}, "tobacco_ratio.*plain decimal"),
    ],
)
def test_rows_that_cannot_be_priced(plans, areas, says):
    plan_frame = pl.DataFrame({"plan_id": ["A"], "base_rate": ["312.47"], **plans})
    area_frame = pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1"], **areas})
    with pytest.raises(InputRefused, match=says):
        rate_table(plan_frame, area_frame, state="TX", market="individual", plan_year=2026)


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ({"plan_id": ["B"]}, "belongs to one of the plans"),
        ({"age_from": [-1]}, "completed years"),
        ({"age_from": ["40"]}, "whole years"),
        ({"age_from": [17]}, "nobody below 21"),
        ({"tobacco_ratio": ["1.6"]}, "at most 1.5"),
        ({"plan_id": ["A", "A"], "age_from": [40, 40], "tobacco_ratio": ["1.1", "1.2"]}, "RATE-002"),
    ],
)
def test_tobacco_ratios_that_are_refused(ratios, says):
    frame = pl.DataFrame({"plan_id": ["A"], "age_from": [40], "tobacco_ratio": ["1.1"], **ratios})
    plans = pl.DataFrame({"plan_id": ["A"], "base_rate": ["312.47"]})
    options = {"state": "TX", "market": "individual", "plan_year": 2026}
    with pytest.raises(InputRefused, match=says):
        rate_table(plans, ONE_AREA, **options, tobacco_ratios=frame)


def test_ratios_in_two_places_are_refused():
    plans = pl.DataFrame({"plan_id": ["A"], "base_rate": ["312.47"], "tobacco_ratio": ["1.2"]})
    frame = pl.DataFrame({"plan_id": ["A"], "age_from": [40], "tobacco_ratio": ["1.1"]})
    with pytest.raises(InputRefused, match="in `plans` or in `tobacco_ratios`"):
        rate_table(plans, ONE_AREA, state="TX", market="individual", plan_year=2026, tobacco_ratios=frame)


@pytest.mark.parametrize("frame", [ONE_AREA.clear(), ONE_AREA.drop("area_factor"), None, "areas.csv"])
def test_frames_that_are_no_table_of_areas(frame):
    plans = pl.DataFrame({"plan_id": ["A"], "base_rate": ["312.47"]})
    with pytest.raises(InputRefused, match="areas"):
        rate_table(plans, frame, state="TX", market="individual", plan_year=2026)


def test_unknown_state_market_year_and_settings():
    with pytest.raises(TableMissing, match="XX"):
        table_of("XX")
    with pytest.raises(TableMissing, match="2013"):
        table_of("TX", year=2013)
    with pytest.raises(SettingRefused, match="market"):
        table_of("TX", "large_group")
    with pytest.raises(SettingRefused, match="plan_year"):
        table_of("TX", year="2026")
    with pytest.raises(SettingRefused, match="rounding"):
        table_of("TX", settings={"rounding": "member"})
    with pytest.raises(SettingRefused, match="tobacco_from_age"):
        RateSettings.of({"tobacco_from_age": "18"})


# ---------------------------------------------------------------------------------------------------- figures


def overlay(folder, name, change):
    frame = change(data_specs.table(f"rating/{name}"))
    (folder / "rating").mkdir(parents=True, exist_ok=True)
    flags = [column for column, kind in frame.schema.items() if kind == pl.Boolean]
    written = frame.with_columns(pl.col(flags).cast(pl.String))
    written.write_csv(folder / "rating" / f"{name}.csv")
    return data_specs.use(folder)


def test_a_new_curve_needs_no_code(tmp_path):
    """A made-up federal curve of 2040 with its own band of children, supplied as tables alone."""
    curves = data_specs.table("rating/age_curves").filter(pl.col("curve_id") == "FED_2018")
    new = curves.with_columns(
        pl.lit("FED_2040").alias("curve_id"),
        pl.lit(2040, dtype=curves.schema["first_plan_year"]).alias("first_plan_year"),
        pl.when(pl.col("age") <= 17).then(0.7).otherwise(pl.col("factor")).alias("factor"),
    )
    new_assignment = {"first_plan_year": 2040, "last_plan_year": None, "curve_id": "FED_2040"}

    def assigned(frame):
        is_tx = (pl.col("state") == "TX") & pl.col("last_plan_year").is_null()
        row = frame.filter(is_tx).with_columns(
            pl.lit(v, dtype=frame.schema[k]).alias(k) for k, v in new_assignment.items()
        )
        others = frame.with_columns(pl.col("last_plan_year").fill_null(2039))
        return pl.concat([others, row])

    with (
        overlay(tmp_path, "age_curves", lambda f: pl.concat([f, new])),
        overlay(tmp_path, "age_curve_assignment", assigned),
    ):
        rates = table_of("TX", year=2040, bases=["100"])
    assert rates["age_band"].to_list()[:2] == ["0-17", "18"]
    assert rates["individual_rate"].to_list()[:2] == [Decimal("70.00"), Decimal("91.30")]


@pytest.mark.parametrize(
    ("age", "factor", "says"),
    [(64, 3.2, "3.2000 times age 21"), (7, 0.7, "several factors within the band 0-14")],
)
def test_a_curve_that_breaks_its_rules_is_refused(tmp_path, age, factor, says):
    where = (pl.col("curve_id") == "UT_2018") & (pl.col("age") == age)

    def bent(frame):
        return frame.with_columns(pl.when(where).then(factor).otherwise("factor").alias("factor"))

    with overlay(tmp_path, "age_curves", bent), pytest.raises(TableRefused, match=says):
        table_of("UT")


def test_a_narrower_ratio_of_the_state_is_held_against_the_curve(tmp_path):
    def narrowed(frame):
        is_tx = (pl.col("state") == "TX") & (pl.col("market") == "individual")
        return frame.with_columns(pl.when(is_tx).then(2.0).otherwise("max_age_ratio").alias("max_age_ratio"))

    with overlay(tmp_path, "state_market_rules", narrowed):
        with pytest.raises(TableRefused, match="at most 2 "):
            table_of("TX")
        assert table_of("TX", "small_group").height == 51


def test_what_rates_rest_on():
    basis = rate_basis(state="NY", market="individual", plan_year=2026)
    rows = {row["figure"]: row for row in basis.rows(named=True)}
    assert rows["family tiers"]["is_uncertain"]
    assert "age29" in rows["family tiers"]["value"]
    assert rows["highest tobacco ratio"]["value"] == "1"
    assert rows["highest tobacco ratio"]["as_of_year"] == 2016
    assert rows["rounding_point"]["value"] == "member"
    same_year = rate_basis(state="TX", market="individual", plan_year=2016).filter(
        pl.col("source").str.starts_with("rating/")
    )
    assert same_year["is_uncertain"].to_list() == [False, False, False]
