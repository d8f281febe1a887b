"""The second-lowest-cost silver plan: places, ties, families, shares, fallback; the twin and a public exercise."""

import collections
import datetime as dt
import os
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import subsidy_oracle as oracle

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing
from rating._benchmark import second_lowest_cost_silver
from rating._second_lowest import NOT_OFFERED, second_lowest

BANDS = ["0-14", *map(str, range(15, 64)), "64+"]


def benchmark(households, rates=None, plans=None, *, plan_year=2026, **options):
    return second_lowest_cost_silver(households, rates, plans, plan_year=plan_year, **options)


def one_member(amounts: dict[str, str], metal: str = "silver", area: str = "1", state: str = "TX") -> pl.DataFrame:
    """Rates of one reference member."""
    return pl.DataFrame({"plan_id": list(amounts), "individual_rate": list(amounts.values())}).with_columns(
        metal_level=pl.lit(metal), rating_area_id=pl.lit(area), state=pl.lit(state)
    )


def home(household_id: str = "h", area: str | None = "1", state: str = "TX") -> pl.DataFrame:
    return pl.DataFrame(
        {"household_id": [household_id], "state": [state], "rating_area_id": [area]},
        schema_overrides={"rating_area_id": pl.String},
    )


def family(*ages: int, **columns) -> pl.DataFrame:
    frame = pl.DataFrame({"household_id": ["h"] * len(ages), "age": ages, "state": ["TX"] * len(ages)})
    columns = {"rating_area_id": "1", "member_id": [str(i) for i in range(len(ages))]} | columns
    return frame.with_columns(
        **{name: pl.Series(v) if isinstance(v, list) else pl.lit(v) for name, v in columns.items()}
    )


def by_age(plan_id: str, rate_at, **columns) -> pl.DataFrame:
    """Rates of a plan at every age band; `rate_at` takes the lowest age of the band."""
    ages = [0, *range(15, 65)]
    frame = pl.DataFrame({"age_band": BANDS, "individual_rate": [str(rate_at(age)) for age in ages]})
    columns = {"plan_id": plan_id, "metal_level": "silver", "rating_area_id": "1", "state": "TX"} | columns
    return frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


def flat(plan_id: str, amount: str, **columns) -> pl.DataFrame:
    return by_age(plan_id, lambda _age: amount, **columns)


def amount(result) -> str | None:
    value = result.households["benchmark_monthly"].item()
    return None if value is None else str(value)


# ---- ranking


@pytest.mark.parametrize(
    ("amounts", "plans", "premiums"),
    [
        ({"a": "300", "b": "280", "c": "310"}, "300.00", "300.00"),
        ({"a": "280", "b": "280", "c": "310"}, "280.00", "310.00"),
        ({"a": "280", "b": "300", "c": "300"}, "300.00", "300.00"),
        ({"a": "280", "b": "280", "c": "280"}, "280.00", "280.00"),  # one premium: the single-silver rule
        ({"a": "280"}, "280.00", "280.00"),
    ],
)
def test_both_readings_of_a_tie(amounts, plans, premiums):
    for tie, expected, other in (("plans", plans, premiums), ("premiums", premiums, plans)):
        result = benchmark(home(), one_member(amounts), settings={"tie": tie})
        assert amount(result) == expected
        row = result.households.row(0, named=True)
        assert (row["tie"], str(row["other_reading_monthly"])) == (tie, other)
        assert str(row["lowest_monthly"]) == f"{min(map(int, amounts.values()))}.00"
        assert result.settings.filter(setting="tie")["value"].item() == tie
        # Where the two readings differ, the unresolved choice is listed with the uncertain figures.
        listed = result.uncertain.select("table", "moved", "rows").rows()
        assert listed == ([] if plans == premiums else [("settings", "benchmark_monthly", 1)])


def test_default_counts_plans():
    result = benchmark(home(), one_member({"a": "280", "b": "280", "c": "310"}))
    assert amount(result) == "280.00"
    assert result.households.select("tie", "benchmark_plan_id", "silver_plans", "reason").row(0) == (
        "plans",
        "b",
        3,
        "determined",
    )


def test_single_silver_plan():
    rates = one_member({"a": "280"})
    assert amount(benchmark(home(), rates)) == "280.00"
    result = benchmark(home(), rates, settings={"single_silver": "undetermined"})
    assert amount(result) is None
    assert result.households["reason"].item() == "single_silver"
    assert ("SUB-045", 1) in result.findings.select("rule_id", "rows").rows()
    # Two plans at one premium are a single one only where equal premiums count once.
    tied = one_member({"a": "280", "b": "280"})
    assert amount(benchmark(home(), tied, settings={"single_silver": "undetermined"})) == "280.00"
    both = {"single_silver": "undetermined", "tie": "premiums"}
    assert amount(benchmark(home(), tied, settings=both)) is None


@pytest.mark.slow
def test_no_silver_plan_and_its_proxy():
    rates = one_member({"a": "280"}, metal="bronze")
    result = benchmark(home(), rates)
    assert amount(result) is None
    assert result.households.select("reason", "source", "silver_plans").row(0) == ("no_silver", None, 0)
    proxied = benchmark(home().with_columns(proxy_benchmark_monthly=pl.lit("333.33")), rates)
    assert amount(proxied) == "333.33"
    assert proxied.households.select("reason", "source").row(0) == ("determined", "proxy")
    # A proxy is not used where there is a silver plan.
    silver = benchmark(home().with_columns(proxy_benchmark_monthly=pl.lit("333.33")), one_member({"a": "280"}))
    assert amount(silver) == "280.00"


def test_only_silver_on_the_exchange_counts():
    rates = one_member({"a": "100", "b": "200", "c": "300", "d": "400"}).drop("metal_level")
    plans = pl.DataFrame(
        {
            "plan_id": ["a", "b", "c", "d"],
            "metal_level": ["gold", "Silver", "silver", "silver"],
            "on_exchange": [True, False, True, None],
        }
    )
    assert amount(benchmark(home(), rates, plans)) == "400.00"
    unlisted = benchmark(home(), rates, plans.filter(pl.col("plan_id") != "c"))
    assert amount(unlisted) == "400.00"
    assert ("SUB-047", 1) in unlisted.findings.select("rule_id", "rows").rows()


def test_ehb_share_decides_the_order():
    """400 x 0.9 = 360 and 380 x 0.987 = 375.06: without the shares the second would be 400."""
    rates = one_member({"a": "400", "b": "380"}).drop("metal_level")
    plans = pl.DataFrame({"plan_id": ["a", "b"], "metal_level": ["silver"] * 2, "ehb_pct_premium": [0.9, 0.987]})
    result = benchmark(home(), rates, plans)
    assert (amount(result), str(result.households["lowest_monthly"].item())) == ("375.06", "360.00")


def test_rates_of_other_years_and_markets_do_not_count():
    rates = pl.concat(
        [
            one_member({"a": "300", "b": "310"}),
            one_member({"c": "100"}).with_columns(market=pl.lit("small_group")),
            one_member({"d": "100"}).with_columns(plan_year=pl.lit(2025)),
            one_member({"e": "100"}).with_columns(expiration_date=pl.lit(dt.date(2025, 12, 31))),
            one_member({"f": "100"}).with_columns(effective_date=pl.lit(dt.date(2026, 4, 1))),
        ],
        how="diagonal",
    ).with_columns(pl.col("market").fill_null("individual"), pl.col("plan_year").fill_null(2026))
    assert amount(benchmark(home(), rates)) == "310.00"


def test_second_lowest_agrees_with_sorting():
    random = np.random.default_rng(1)
    premiums = random.integers(1, 5, (3000, 6))
    premiums = np.where(random.random(premiums.shape) < 0.4, NOT_OFFERED + 3, premiums)
    found = second_lowest(premiums)
    for i, row in enumerate(premiums.tolist()):
        real = [Fraction(v) for v in row if v < NOT_OFFERED]
        for tie, cents, plan in (
            ("plans", found.by_plans, found.by_plans_plan),
            ("premiums", found.by_premiums, found.by_premiums_plan),
        ):
            expected = oracle.second(real, tie, "undetermined")
            assert (None if cents[i] == NOT_OFFERED else cents[i]) == expected
            assert plan[i] == -1 if expected is None else row[plan[i]] == expected
        assert found.offered[i] == len(real)


# ---- families


def test_members_are_added():
    rates = pl.concat([by_age("a", lambda age: 200 + age), by_age("b", lambda age: 210 + age), flat("c", "500")])
    # 45, 22, 19, 17, 12, 8: the 22-year-old is charged and not one of the three; the 8-year-old is free.
    ages = (45, 22, 19, 17, 12, 8)
    expected = sum(210 + (0 if age < 15 else age) for age in ages[:5])
    assert amount(benchmark(family(*ages), rates)) == f"{expected}.00"


@pytest.mark.parametrize(
    ("age", "rate"),
    [(0, 300), (14, 300), (15, 315), (20, 320), (21, 321), (63, 363), (64, 364), (65, 364), (99, 364)],
)
def test_ages_at_the_edges(age, rate):
    rates = pl.concat([by_age("a", lambda a: 300 + (a if a >= 15 else 0)), flat("b", "1")])
    assert amount(benchmark(family(age), rates)) == f"{rate}.00"


@pytest.mark.parametrize(
    ("last", "age", "rate"),
    [
        ("64 65+", 64, "364"),
        ("64 65+", 65, "400"),
        ("64 65+", 90, "400"),
        ("64", 64, "364"),
        ("64", 70, "364"),
        ("60-64", 70, "364"),
        ("64+", 65, "364"),
    ],
)
def test_bands_of_the_oldest(last, age, rate):
    """Files of the first years rate 64 apart from 65 and over; a file that ends at 64 rates older people as 64."""
    bands = last.replace("65+", "65 and over").split(" ", 1)
    rows = [("a", "1", "TX", band, {"65 and over": "400"}.get(band, "364")) for band in bands]
    columns = ["plan_id", "rating_area_id", "state", "age_band", "individual_rate"]
    rates = pl.DataFrame(rows, schema=columns, orient="row")
    rates = rates.with_columns(metal_level=pl.lit("silver"))
    assert amount(benchmark(family(age), pl.concat([rates, rates.with_columns(plan_id=pl.lit("b"))]))) == f"{rate}.00"


def test_issuer_that_charges_one_child():
    """a: 300 + 100 (one child of three); b: 300 + 3 x 50; c: far above."""
    rates = pl.concat(
        [
            by_age("a", lambda age: 100 if age < 21 else 300, children_charged_max=1),
            by_age("b", lambda age: 50 if age < 21 else 300, children_charged_max=3),
            flat("c", "999", children_charged_max=3),
        ]
    )
    result = benchmark(family(40, 3, 2, 1), rates)
    assert (str(result.households["lowest_monthly"].item()), amount(result)) == ("400.00", "450.00")


@pytest.mark.slow
def test_the_second_plan_can_differ_by_age():
    rates = pl.concat([by_age("a", lambda age: 100 + 5 * age), flat("b", "250"), flat("c", "260")])
    plans = [benchmark(family(age), rates).households["benchmark_plan_id"].item() for age in (21, 31, 60)]
    assert plans == ["b", "a", "c"]


def test_only_eligible_members_count():
    rates = pl.concat([flat("a", "100"), flat("b", "110")])
    members = family(40, 38, 70, seeks_coverage=[True, True, False], credit_eligible=[True, False, True])
    result = benchmark(members, rates)
    assert (amount(result), result.households["members"].item()) == ("110.00", 1)
    nobody = benchmark(members.with_columns(credit_eligible=False), rates)
    assert nobody.households.select("benchmark_monthly", "members", "reason").row(0) == (None, 0, "no_eligible_member")


def test_birth_dates_count_on_the_effective_date():
    """The birthday is the day after the effective date."""
    rates = pl.concat([by_age("a", lambda age: 300 + age), flat("b", "1")])
    members = family(0).drop("age").with_columns(birth_date=pl.date(1996, 3, 2), effective_date=pl.date(2026, 3, 1))
    assert amount(benchmark(members, rates)) == "329.00"
    later = members.with_columns(effective_date=pl.date(2026, 3, 2))
    assert amount(benchmark(later, rates)) == "330.00"
    assert amount(benchmark(members.drop("effective_date"), rates)) == "329.00"


def test_members_in_two_places_need_two_policies():
    rates = pl.concat(
        [flat("a", "100"), flat("b", "110"), flat("c", "200", rating_area_id="2"), flat("d", "230", rating_area_id="2")]
    )
    members = family(40, 19).with_columns(rating_area_id=pl.Series(["1", "2"]))
    row = benchmark(members, rates).households.row(0, named=True)
    assert (str(row["benchmark_monthly"]), row["policies"], row["members"]) == ("340.00", 2, 2)
    assert (row["rating_area_id"], row["benchmark_plan_id"], str(row["lowest_monthly"])) == (None, None, "300.00")
    # One of them has no silver plan: the sum is not known.
    broken = benchmark(members, rates.filter(pl.col("rating_area_id") == "1")).households.row(0, named=True)
    assert (broken["benchmark_monthly"], broken["reason"]) == (None, "no_silver")


def test_policies_that_the_caller_divides():
    """Five children under one policy: three are charged; divided, all five."""
    rates = pl.concat([flat("a", "100"), flat("b", "110")])
    members = family(40, 9, 8, 7, 6, 5)
    assert amount(benchmark(members, rates)) == "440.00"
    divided = members.with_columns(policy=pl.Series(["x", "x", "x", "x", "y", "y"]))
    assert amount(benchmark(divided, rates)) == "660.00"


def test_a_plan_without_a_rate_for_an_age_is_not_offered():
    rates = pl.concat([flat("a", "100").filter(pl.col("age_band") != "40"), flat("b", "110"), flat("c", "120")])
    assert amount(benchmark(family(40), rates)) == "120.00"
    assert amount(benchmark(family(41), rates)) == "110.00"


# ---- family tiers


def tier_rates(state: str, *amounts: str, **columns) -> pl.DataFrame:
    frame = pl.DataFrame({"plan_id": [f"p{i}" for i in range(len(amounts))], "individual_rate": amounts})
    columns = {"state": state, "rating_area_id": "1", "metal_level": "silver", "age_band": "family"} | columns
    return frame.with_columns(**{name: pl.lit(value) for name, value in columns.items()})


@pytest.mark.parametrize(
    ("state", "ages", "relationships", "expected"),
    [
        ("NY", [30], ["self"], "760.00"),
        ("NY", [40, 39], ["self", "spouse"], "1520.00"),
        ("NY", [40, 39, 10, 8, 6], ["self", "spouse", "child", "child", "child"], "2166.00"),
        ("NY", [40, 39, 10, 70], ["self", "spouse", "child", "other"], "2926.00"),  # a grandparent is one more adult
        ("NY", [45, 26], ["self", "child"], "1356.60"),  # 1.7 x 1.05
        ("NY", [10], ["self"], "313.12"),  # child only, 0.412
        ("VT", [40, 10, 8], ["self", "child", "child"], "1466.80"),
        ("VT", [40, 27], ["self", "child"], "1520.00"),  # no option there: 27 is an adult
    ],
)
def test_family_tiers(state, ages, relationships, expected):
    members = family(*ages, relationship=relationships).with_columns(state=pl.lit(state))
    result = benchmark(members, tier_rates(state, "1", "760"))
    assert amount(result) == expected
    option = state == "NY" and 26 in ages
    assert result.uncertain["table"].to_list() == (["rating/family_tiers", "rating/rating_rules"] if option else [])


@pytest.mark.slow
def test_filed_tier_rates_are_looked_up():
    members = family(40, 39, 10, relationship=["self", "spouse", "child"]).with_columns(state=pl.lit("NY"))
    rates = tier_rates("NY", "1", "760", couple="1520", couple_one_dependent="2166.01", couple_two_dependents="2170")
    rates = rates.filter(pl.col("plan_id") == "p1")
    assert amount(benchmark(members, rates)) == "2166.01"
    two = family(40, 39, 10, 9, relationship=["self", "spouse", "child", "child"]).with_columns(state=pl.lit("NY"))
    assert amount(benchmark(two, rates)) == "2170.00"
    with_parent = family(40, 39, 10, 70, relationship=["self", "spouse", "child", "other"]).with_columns(
        state=pl.lit("NY")
    )
    assert amount(benchmark(with_parent, rates)) == "2926.01"


def test_young_subscriber_in_vermont_is_an_adult_and_marked():
    """The age of 18 from which a subscriber is an adult where no child-only tier is published is uncertain."""
    members = family(19, relationship=["self"]).with_columns(state=pl.lit("VT"))
    result = benchmark(members, tier_rates("VT", "700", "760"))
    assert amount(result) == "760.00"
    assert result.uncertain.rows() == [("rating/rating_rules", "adult_subscriber_age", "benchmark_monthly", 1)]


def test_child_only_in_vermont_has_no_tier():
    members = family(10, relationship=["self"]).with_columns(state=pl.lit("VT"))
    result = benchmark(members, tier_rates("VT", "700", "760"))
    assert result.households.select("benchmark_monthly", "reason").row(0) == (None, "tier_not_published")
    assert ("SUB-046", 1) in result.findings.select("rule_id", "rows").rows()


# ---- places


AREAS = pl.DataFrame(
    {
        "zip_code": ["00001", "00002", "00002", "00003", "00003", "00004", "00004"],
        "county_fips": ["48001", "48001", "48003", "48003", "48005", "48003", "35001"],
        "state": ["TX", "TX", "TX", "TX", "TX", "TX", "NM"],
        "rating_area_id": ["1", "1", "1", "1", "2", "1", "1"],
    }
)


def placed(**columns) -> pl.DataFrame:
    return pl.DataFrame({"household_id": ["h"]} | {name: [value] for name, value in columns.items()})


@pytest.mark.parametrize(
    ("columns", "area", "possible", "reason"),
    [
        ({"zip_code": "00001"}, "R-TX001", None, "determined"),
        ({"zip_code": "00002"}, "R-TX001", None, "determined"),  # two counties of one area
        ({"zip_code": "00003"}, None, ["R-TX001", "R-TX002"], "ambiguous_area"),
        ({"zip_code": "00003", "county_fips": "48003"}, "R-TX001", None, "determined"),
        ({"zip_code": "00004"}, None, ["R-NM001", "R-TX001"], "ambiguous_area"),
        ({"zip_code": "00004", "state": "TX"}, "R-TX001", None, "determined"),
        ({"zip_code": "99999"}, None, None, "unknown_area"),
        ({"zip_code": None, "county_fips": "48001"}, "R-TX001", None, "determined"),
        ({"county_fips": "48001", "zip_code": "00004"}, None, None, "unknown_area"),  # they do not go together
    ],
)
def test_place_in_several_areas_is_never_guessed(columns, area, possible, reason):
    rates = pl.concat([one_member({"a": "300", "b": "310"}), one_member({"c": "100", "d": "120"}, area="2")])
    frame = placed(**columns)
    frame = frame.with_columns(pl.col(pl.Null).cast(pl.String))
    result = benchmark(frame, rates, areas=AREAS)
    row = result.households.row(0, named=True)
    assert (row["rating_area_id"], row["possible_areas"], row["reason"]) == (area, possible, reason)
    assert row["benchmark_monthly"] == (Decimal("310.00") if reason == "determined" else None)


def test_areas_as_the_map_of_the_product_returns_them():
    """A null area with several possible ones is ambiguous; without, unknown."""
    frame = pl.DataFrame(
        {
            "household_id": ["a", "b", "c"],
            "rating_area_id": [None, None, "R-TX001"],
            "possible_rating_areas": [["R-TX001", "R-TX002"], [], ["R-TX001"]],
        }
    )
    found = benchmark(frame, one_member({"a": "300", "b": "310"})).households
    assert found["reason"].to_list() == ["ambiguous_area", "unknown_area", "determined"]
    assert found["possible_areas"].to_list() == [["R-TX001", "R-TX002"], None, None]


def test_area_0_and_areas_of_another_state():
    for area in ("0", "R-NM001", "somewhere"):
        assert (
            benchmark(home(area=area), one_member({"a": "3", "b": "4"})).households["reason"].item() == "unknown_area"
        )
    with pytest.raises(InputRefused, match="RATE-008"):
        benchmark(home(), one_member({"a": "3"}, area="0"))


def test_plans_serve_counties_and_zips():
    rates = one_member({"a": "300", "b": "310", "c": "320", "d": "330"})
    served = pl.DataFrame(
        {
            "plan_id": ["a", "b", "c", "c", "d"],
            "county_fips": ["48001", "48001", "48001", "48003", "48003"],
            "zip_code": [None, "00009", None, None, None],
        }
    )
    frame = pl.DataFrame(
        {
            "household_id": ["1", "2", "3", "4", "5"],
            "rating_area_id": ["R-TX001"] * 5,
            "county_fips": ["48001", "48001", "48003", "48005", None],
            "zip_code": ["00001", "00009", "00001", "00001", "00001"],
        }
    )
    found = benchmark(frame, rates, service_areas=served).households
    assert found["benchmark_monthly"].to_list() == [
        Decimal(v) if v else None for v in ("320", "310", "330", None, None)
    ]
    assert found["reason"].to_list() == ["determined", "determined", "determined", "no_silver", "unknown_county"]
    no_zip = benchmark(frame[:1].with_columns(zip_code=pl.lit(None, pl.String)), rates, service_areas=served)
    assert no_zip.households["reason"].item() == "unknown_county"


# ---- without rates


def test_published_benchmark_by_age():
    """Texas area 8, 2026: the amount at age 0 (factor 0.765) x 1.135 / 0.765 at 30, to the cent."""
    rows = data_specs.table("rating/benchmark_premiums", year=2026, state="TX")
    base = rows.filter(benchmark="second_lowest_silver", rating_area=8)["monthly_premium"].item()
    expected = oracle.cents(Fraction(str(base)) / Fraction("0.765") * Fraction("1.135"))
    result = benchmark(family(30, rating_area_id="8"))
    assert Fraction(result.households["benchmark_monthly"].item()) == expected
    both = benchmark(family(30, 14, rating_area_id="8"))
    assert Fraction(both.households["benchmark_monthly"].item()) == expected + Fraction(str(base))
    row = result.households.row(0, named=True)
    assert (row["source"], row["benchmark_plan_id"], row["silver_plans"]) == ("rating/benchmark_premiums", None, None)


@pytest.mark.slow
def test_areas_that_the_table_lacks_or_numbers_otherwise():
    def reason(state, area, **settings):
        members = family(30, rating_area_id=area).with_columns(state=pl.lit(state))
        result = benchmark(members, settings=settings)
        return result.households["reason"].item()

    assert reason("FL", "22") == "area_not_held"
    for state in ("ID", "ME", "WA"):
        assert reason(state, "1") == "areas_numbered_otherwise"
        assert reason(state, "1", area_numbers="table") == "determined"


def test_years_without_a_published_benchmark():
    with pytest.raises(TableMissing, match="2017"):
        benchmark(family(30), plan_year=2017)
    with pytest.raises(LookupError, match="benchmark_premiums of 2027"):
        benchmark(family(30), plan_year=2027)


# ---- the twin


def test_agrees_with_the_twin():
    random = np.random.default_rng(12)
    plan_ids = [f"p{i}" for i in range(7)]
    rate_at = {
        (area, plan): {age: Fraction(int(random.integers(10, 40)) * (1 + age // 21)) for age in range(65)}
        for area in (1, 2)
        for plan in plan_ids[: 3 + 2 * area]
    }
    lines = []
    for (area, plan), rates in rate_at.items():
        for age in range(65):
            rates[age] = rates[0] if age < 15 else rates[age]
        lines += [
            (plan, str(area), "TX", band, str(rates[min(int(band.split("-")[0].rstrip("+")), 64)])) for band in BANDS
        ]
    rates = pl.DataFrame(
        lines, schema=["plan_id", "rating_area_id", "state", "age_band", "individual_rate"], orient="row"
    )
    rates = rates.with_columns(metal_level=pl.lit("silver"))
    homes = {
        f"{i:04d}": (int(random.integers(1, 3)), random.integers(0, 80, random.integers(1, 8)).tolist())
        for i in range(100)
    }
    members = pl.DataFrame(
        [(h, f"{h}-{n}", age, str(area)) for h, (area, ages) in homes.items() for n, age in enumerate(ages)],
        schema=["household_id", "member_id", "age", "rating_area_id"],
        orient="row",
    ).with_columns(state=pl.lit("TX"))
    for tie in ("plans", "premiums"):
        for single in ("benchmark", "undetermined"):
            found = benchmark(members, rates, settings={"tie": tie, "single_silver": single}).households
            for row in found.to_dicts():
                area, ages = homes[row["household_id"]]
                premiums = [oracle.policy_premium(r, ages) for (a, _), r in rate_at.items() if a == area]
                expected = oracle.second(premiums, tie, single)
                value = row["benchmark_monthly"]
                assert (None if value is None else Fraction(value)) == expected
    shuffled = benchmark(
        members.sample(fraction=1, shuffle=True, seed=3), rates.sample(fraction=1, shuffle=True, seed=4)
    ).households
    assert shuffled.equals(benchmark(members, rates).households)


@pytest.mark.slow
def test_parts_do_not_change_the_result(monkeypatch):
    from rating import _policy_premiums

    rates = pl.concat([by_age(p, lambda age, k=k: 100 + k * age) for k, p in enumerate("abcd")])
    members = pl.concat([family(*range(i, 60, 11)).with_columns(household_id=pl.lit(f"{i}")) for i in range(10)])
    whole = benchmark(members, rates).households
    monkeypatch.setattr(_policy_premiums, "CELLS", 7)
    assert benchmark(members, rates).households.equals(whole)


# ---- bad input


@pytest.mark.parametrize(
    ("columns", "rule"),
    [
        ({"household_id": None}, "SUB-001"),
        ({"age": None}, "SUB-040"),
        ({"age": -1}, "SUB-040"),
        ({"age": 121}, "SUB-040"),
        ({"relationship": "neighbor"}, "SUB-009"),
        ({"proxy_benchmark_monthly": "-5"}, "SUB-006"),
    ],
)
def test_bad_members_are_set_aside(columns, rule):
    rates = pl.concat([flat("a", "100"), flat("b", "110")])
    bad = family(30).with_columns(**{n: pl.lit(v) for n, v in columns.items()})
    good = family(40).with_columns(household_id=pl.lit("good"))
    result = benchmark(pl.concat([good, bad], how="diagonal_relaxed"), rates)
    assert result.households["household_id"].to_list() == ["good"]
    assert result.findings.select("rule_id", "rows").rows() == [(rule, 1)]
    assert result.counts.rows() == [("households", 2, 1, 1)]


def test_bad_dates():
    rates = pl.concat([flat("a", "100"), flat("b", "110")])
    members = (
        family(0, 0, 0, 0)
        .drop("age")
        .with_columns(
            birth_date=pl.Series(["1990-01-01", "not known", "2027-01-01", "1990-01-01"]),
            effective_date=pl.Series(["2026-01-01", "2026-01-01", "2026-06-01", "2025-06-01"]),
        )
    )
    result = benchmark(members, rates)
    assert result.findings.select("rule_id", "rows").rows() == [("SUB-013", 1), ("SUB-040", 2), ("SUB-041", 1)]
    assert result.counts.rows() == [("households", 4, 0, 4)]
    assert result.households.is_empty()  # the benchmark of one of the four would be that of another family


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda r: r.with_columns(individual_rate=pl.lit("0")), "RATE-003"),
        (lambda r: r.with_columns(individual_rate=pl.lit("-1")), "RATE-003"),
        (lambda r: r.with_columns(individual_rate=pl.lit("free")), "RATE-003"),
        (lambda r: r.with_columns(age_band=pl.lit("old")), "age_band"),
        (lambda r: r.with_columns(age_band=pl.lit("30")), "two rates"),
        (lambda r: pl.concat([r, r]), "two rates"),
        (lambda r: r.drop("age_band"), "households have ages"),
        (lambda r: r.drop("metal_level"), "metal_level"),
        (lambda r: r.drop("state"), "RATE-008"),
        (lambda r: r.with_columns(ehb_pct_premium=pl.lit(98.7)), "ehb_pct_premium"),
        (lambda r: r.with_columns(children_charged_max=pl.lit(0)), "children_charged_max"),
    ],
)
def test_rates_that_cannot_be_used(change, match):
    with pytest.raises(InputRefused, match=match):
        benchmark(family(30), change(flat("a", "100")))


def test_households_that_cannot_be_used():
    rates = one_member({"a": "300"})
    with pytest.raises(InputRefused, match="household_id"):
        benchmark(home().drop("household_id"), rates)
    with pytest.raises(InputRefused, match="rating area"):
        benchmark(home().drop("rating_area_id"), rates)
    with pytest.raises(InputRefused, match="place column"):
        benchmark(home().drop("rating_area_id", "state"), rates, areas=AREAS)
    with pytest.raises(InputRefused, match="households no ages"):
        benchmark(home(), flat("a", "100"))
    with pytest.raises(SettingRefused, match="tie"):
        benchmark(home(), rates, settings={"tie": "either"})
    double = benchmark(pl.concat([home(), home(), home("x")]), rates)
    assert double.households["household_id"].to_list() == ["x"]


# ---- a public exercise


def test_benchmark_exercise():
    """The second-lowest silver rate for any ZIP of the exercise, blank where it lies in several areas."""
    samples = os.environ.get("POOLWISE_SAMPLES")
    if not samples:
        pytest.skip("POOLWISE_SAMPLES does not name the folder of public sample files")
    folder = Path(samples) / "benchmark_exercise"
    rates = pl.read_parquet(folder / "benchmark_exercise_plans.parquet").select(
        pl.col("plan_ref").cast(pl.String).alias("plan_id"),
        "state",
        pl.col("rating_area").alias("rating_area_id"),
        pl.col("metal").alias("metal_level"),
        pl.col("monthly_rate").alias("individual_rate"),
    )
    zips = pl.read_parquet(folder / "benchmark_exercise_zips.parquet")
    areas = zips.rename({"zip5": "zip_code", "rating_area": "rating_area_id"})
    homes = areas.select(pl.col("zip_code").alias("household_id"), "zip_code").unique()
    silver = collections.defaultdict(list)
    for state, area, rate in (
        rates.filter(metal_level="silver").select("state", "rating_area_id", "individual_rate").rows()
    ):
        silver[state, area].append(oracle.cents(Decimal(repr(rate))))  # a few have more decimals
    possible = collections.defaultdict(set)
    for zip_code, state, area in areas.select("zip_code", "state", "rating_area_id").rows():
        possible[zip_code].add((state, area))
    assert (areas.height, len(possible)) == (51_541, 38_804)
    determined = {}
    for tie in ("plans", "premiums"):
        settings = {"tie": tie, "single_silver": "undetermined"}
        result = benchmark(homes, rates, areas=areas, settings=settings, plan_year=2018)
        found = dict(result.households.select("household_id", "benchmark_monthly").rows())
        for zip_code, places in possible.items():
            expected = None
            if len(places) == 1:
                expected = oracle.second(silver[next(iter(places))], tie, "undetermined")
            value = found[zip_code]
            assert (None if value is None else Fraction(value)) == expected, zip_code
        # Row for row of the ZIP list: every row of an ambiguous ZIP is blank.
        rows = zips.join(result.households, left_on="zip5", right_on="household_id", how="left", validate="m:1")
        assert rows.height == 51_541
        determined[tie] = rows["benchmark_monthly"].is_not_null().sum()
        assert rows.filter(pl.col("possible_areas").list.len() > 1)["benchmark_monthly"].null_count() == (
            rows.filter(reason="ambiguous_area").height
        )
    assert determined["plans"] == determined["premiums"] > 25_000
