"""The interval test of filed rates: against the Fraction twin, on made-up filings, and on the public sample."""

import os
import random
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rating_oracle as oracle

from data_specs.errors import InputRefused
from rating._rate_check import check_rates
from rating._rate_table import rate_table

TX = {"state": "TX", "market": "individual", "plan_year": 2026}


def filing(rates, plan="A", area="1", **more):
    rows = {"plan_id": plan, "rating_area_id": area, "age_band": list(rates), "individual_rate": list(rates.values())}
    return pl.DataFrame({**rows, **more})


def rated(base, state="TX", year=2026, **options):
    """Every band's rate of a base, by the twin."""
    curve = oracle.curve(state, "individual", year)
    return {label: oracle.member_rate(base, curve[age], 1, **options) for label, age in oracle.bands(year).items()}


def only(frame):
    assert frame.height == 1
    return frame.row(0, named=True)


@pytest.mark.parametrize("filings", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_random_filings_equal_the_twin(filings):
    draw = random.Random(1)
    curve = oracle.curve("TX", "individual", 2026)
    bands = oracle.bands(2026)
    frames, expected = [], {}
    for number in range(filings):
        labels = draw.sample(list(bands), draw.choice([2, 3, 7, 20, 51]))
        base = Decimal(draw.randrange(10**7, 9 * 10**7)).scaleb(-5)
        way = draw.choice(["nearest", "nearest", "down", "up"])
        rates = {label: oracle.member_rate(base, curve[bands[label]], 1, direction=way) for label in labels}
        for label in draw.sample(labels, draw.choice([0, 0, 1, 2])):
            rates[label] += draw.choice([Decimal("0.01"), Decimal("-0.02"), Decimal("1.99")])
        plan = f"P{number:03}"
        frames.append(filing(rates, plan))
        expected[plan] = rates
    found = check_rates(pl.concat(frames), **TX)
    assert found["plan_id"].to_list() == sorted(expected)
    ways = Counter()
    for row in found.rows(named=True):
        rates = expected[row["plan_id"]]
        factors = [curve[bands[label]] for label in rates]
        ends = {way: oracle.interval(rates.values(), factors, direction=way) for way in ("nearest", "down", "up")}
        fits = [way for way, (low, high) in ends.items() if low < high]
        assert row["explained"] == ("nearest" in fits)
        assert row["direction"] == (fits[0] if fits else None)
        low, high = ends[fits[0] if fits else "nearest"]
        assert abs(Fraction(row["base_low"]) - low) < Fraction(1, 10**8) <= Fraction(1, 10**7)
        assert Fraction(row["base_low"]) >= low
        assert Fraction(row["base_high"]) <= high
        assert high - Fraction(row["base_high"]) < Fraction(1, 10**8)
        breaking = 0 if fits else oracle.fewest_breaking(rates.values(), factors)
        assert len(row["breaking_age_bands"]) == breaking
        left = {label: rate for label, rate in rates.items() if label not in row["breaking_age_bands"]}
        if not fits:
            low, high = oracle.interval(left.values(), [curve[bands[label]] for label in left])
            assert low < high  # the others have one base
            assert row["largest_difference"] > 0
        assert row["filed_rates"] == len(rates)
        assert row["missing_age_bands"] == [label for label in bands if label not in rates]
        ways[row["direction"]] += 1
    assert set(ways) == {"nearest", "down", "up", None}


@pytest.mark.slow
def test_counts_against_the_rate_of_age_21():
    draw = random.Random(2)
    frames, expected = [], []
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    for number in range(15):
        rates = rated(Decimal(draw.randrange(10**7, 9 * 10**7)).scaleb(-5))
        if number % 3 == 0:
            rates = {label: rate for label, rate in rates.items() if bands[label] > 26}
        reference = "21" if "21" in rates else "27"
        exact = {
            label: Fraction(rates[reference]) * Fraction(curve[bands[label]]) / Fraction(curve[bands[reference]])
            for label in rates
        }
        distance = [
            abs(Fraction(rates[label]) - Fraction((200 * exact[label] + 1) // 2, 100))
            for label in rates
            if label != reference
        ]
        frames.append(filing(rates, f"P{number:03}"))
        expected.append((len(distance), distance.count(0), sum(d <= Fraction(1, 100) for d in distance)))
    found = check_rates(pl.concat(frames), **TX)
    assert found.select("compared_rates", "equal_rates", "rates_within_one_cent").rows() == expected
    assert any(equal < compared for compared, equal, _ in expected)


def test_an_own_rate_table_is_explained():
    draw = random.Random(3)
    bases = [draw.random() * 500 + 100 for _ in range(30)]
    plans = pl.DataFrame({"plan_id": [f"P{i:02}" for i in range(30)], "base_rate": bases, "tobacco_ratio": [1.5] * 30})
    areas = pl.DataFrame({"rating_area_id": [1, 2, 3], "area_factor": ["0.9", "1", "1.1234"]})
    table = rate_table(plans, areas, **TX).join(
        areas.with_columns(pl.format("R-TX00{}", "rating_area_id").alias("rating_area_id")), on="rating_area_id"
    )
    found = check_rates(table, **TX)
    assert found.height == 90
    assert "effective_date" in found.columns
    assert found["explained"].all()
    assert found["rounding"].unique().to_list() == ["member"]
    assert found["plan_rounding"].unique().to_list() == ["member"]
    assert found["tobacco_rounding"].unique().to_list() == ["member"]
    assert found["age_ratio_allowed"].all()
    assert found["tobacco_ratio_allowed"].all()
    for row in found.rows(named=True):
        area = {"R-TX001": Fraction("0.9"), "R-TX002": Fraction(1), "R-TX003": Fraction("1.1234")}[
            row["rating_area_id"]
        ]
        base = Fraction(repr(bases[int(row["plan_id"][1:])])) * area
        assert Fraction(row["base_low"]) - Fraction(1, 10**8) <= base <= Fraction(row["base_high"]) + Fraction(1, 10**8)


# ---------------------------------------------------------------------------------------------------- half-open ends


def test_intervals_are_half_open():
    """312.475 gives 312.48 at factor 1.000: the upper end of 312.47 does not belong to its interval."""
    two = {"21": "312.47", "22": "312.48"}
    found = only(check_rates(filing(two), **TX))
    assert not found["explained"]  # [312.465, 312.475) and [312.475, 312.485) only touch
    assert found["base_low"] == found["base_high"] == Decimal("312.475")
    assert found["breaking_age_bands"] == ["22"]
    assert found["largest_difference"] == Decimal("0.01")
    # Cut off: [312.47, 312.48) and [312.48, 312.49); rounded up likewise.
    assert found["direction"] is None


@pytest.mark.parametrize(("way", "base"), [("down", "312.479"), ("up", "312.471")])
def test_truncation_and_rounding_up_are_told_apart(way, base):
    found = only(check_rates(filing(rated(base, direction=way)), **TX))
    assert not found["explained"]
    assert found["direction"] == way
    assert found["breaking_age_bands"] == []
    assert found["rounding"] == "member"


# ---------------------------------------------------------------------------------------------------- roundings


def test_whole_dollars_are_judged_to_the_dollar():
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    whole = {
        label: str((Decimal("312.47") * curve[age]).quantize(Decimal(1), "ROUND_HALF_UP"))
        for label, age in bands.items()
    }
    found = only(check_rates(filing(whole), **TX))
    assert found["whole_dollar"]
    assert found["explained"]
    whole["40"] = str(int(whole["40"]) + 2)
    found = only(check_rates(filing(whole), **TX))
    assert found["breaking_age_bands"] == ["40"]
    assert found["largest_difference"] == Decimal(2)
    one_cent_off = {**whole, "40": "399.01"}
    assert not only(check_rates(filing(one_cent_off), **TX))["whole_dollar"]
    assert not only(check_rates(filing({"21": "300"}), **TX))["whole_dollar"]


@pytest.mark.slow
def test_more_decimals_are_judged_to_the_last():
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    fine = {
        label: str((Decimal("312.47391") * curve[age]).quantize(Decimal("0.0001"), "ROUND_HALF_UP"))
        for label, age in bands.items()
    }
    found = only(check_rates(filing(fine), **TX))
    assert found["explained"]
    fine["50"] = str(Decimal(fine["50"]) + Decimal("0.0002"))
    found = only(check_rates(filing(fine), **TX))
    assert found["breaking_age_bands"] == ["50"]
    assert found["largest_difference"] == Decimal("0.01")  # a fraction of a cent is shown as one


def test_rates_rounded_before_the_area_factor():
    for base, area in (("233.21", "1.137"), ("411.018", "0.873")):
        before = rated(base)
        after = {label: oracle.member_rate(rate, 1, area) for label, rate in before.items()}
        found = only(check_rates(filing(after, area_factor=area), **TX))
        assert not found["explained"]
        assert found["rounding"] == "area_last"
        without = only(check_rates(filing(after), **TX))
        assert without["rounding"] == "second_rounding"


@pytest.mark.slow
def test_a_curve_that_was_based_on_another_age():
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    rebased = {
        label: (curve[age] / curve[64]).quantize(Decimal("0.001"), "ROUND_HALF_UP") for label, age in bands.items()
    }
    rates = {label: oracle.member_rate("1037.41", factor, 1) for label, factor in rebased.items()}
    found = only(check_rates(filing(rates), **TX))
    assert not found["explained"]
    assert found["rounding"] == "rebased_curve"
    assert found["largest_difference"] > Decimal("0.05")


def test_a_misfiled_age_is_named():
    rates = rated("287.339")
    rates["33"] += Decimal("1.99")
    found = only(check_rates(filing(rates), **TX))
    assert found["breaking_age_bands"] == ["33"]
    assert found["largest_difference"] == Decimal("1.99")
    assert found["rounding"] is None


def areas_of(base, factors, point):
    frames = []
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    for number, area in enumerate(factors, 1):
        rates = {label: oracle.member_rate(base, curve[age], area, point=point) for label, age in bands.items()}
        frames.append(filing(rates, area=str(number), area_factor=area))
    return pl.concat(frames)


@pytest.mark.slow
def test_base_times_area_rounded_first_shows_across_areas():
    factors = [str(Decimal(9000 + 37 * i).scaleb(-4)) for i in range(20)]
    single = check_rates(areas_of("287.3391", factors, "member"), **TX)
    assert single["plan_rounding"].unique().to_list() == ["member"]
    rounded = check_rates(areas_of("287.3391", factors, "base"), **TX)
    assert rounded["explained"].all()  # area by area nothing can be seen
    assert rounded["plan_rounding"].unique().to_list() == ["base"]
    other = areas_of("287.3391", factors, "member").with_columns(
        pl.when(pl.col("rating_area_id") == "3").then(pl.lit("0.95")).otherwise("area_factor").alias("area_factor")
    )
    assert check_rates(other, **TX)["plan_rounding"].unique().to_list() == [None]


def test_tobacco_loaded_before_or_after_rounding():
    curve, bands = oracle.curve("TX", "individual", 2026), oracle.bands(2026)
    for point in ("member", "nontobacco"):
        loads = {
            label: oracle.member_rate("287.3391", curve[age], 1, "1.333" if age >= 21 else 1, point=point)
            for label, age in bands.items()
        }
        frame = filing(rated("287.3391"), individual_tobacco_rate=list(loads.values()))
        found = only(check_rates(frame, **TX))
        assert found["tobacco_rounding"] == point
        assert found["tobacco_ratio_allowed"]


@pytest.mark.parametrize(
    ("state", "ratio", "allowed"),
    [("TX", "1.5", True), ("TX", "1.51", False), ("AR", "1.3", False), ("CA", "1.1", False)],
)
def test_tobacco_above_the_ceiling(state, ratio, allowed):
    rates = rated("287.3391", state)
    loads = [oracle.member_rate(rate, 1, 1, ratio) for rate in rates.values()]
    frame = filing(rates, individual_tobacco_rate=loads)
    found = only(check_rates(frame, state=state, market="individual", plan_year=2026))
    assert found["tobacco_ratio_allowed"] is allowed
    assert only(check_rates(filing(rates), **TX))["tobacco_ratio_allowed"] is None


def test_tables_of_the_first_years_rate_64_apart():
    rates = rated("287.339")
    oldest = rates.pop("64+")
    found = only(check_rates(filing(rates | {"64": oldest, "65 and over": oldest}), **TX))
    assert (found["explained"], found["missing_age_bands"], found["age_ratio_allowed"]) == (True, [], True)
    found = only(check_rates(filing(rates | {"64": oldest, "65 and over": oldest + 1}), **TX))
    assert (found["breaking_age_bands"], found["largest_difference"]) == (["65+"], 1)
    assert only(check_rates(filing(rates | {"64 and over": oldest}), **TX))["missing_age_bands"] == []


@pytest.mark.slow
def test_age_ratio():
    rates = rated("287.3391")
    assert only(check_rates(filing(rates), **TX))["age_ratio_allowed"]
    rates["64+"] += Decimal("0.03")
    assert not only(check_rates(filing(rates), **TX))["age_ratio_allowed"]
    del rates["64+"]
    assert only(check_rates(filing(rates), **TX))["age_ratio_allowed"] is None


@pytest.mark.parametrize("state", ["NY", "VT"])
def test_family_tiers_stand_for_ages(state):
    plans = pl.DataFrame({"plan_id": ["A", "B"], "base_rate": ["842.1738", "611.0449"]})
    areas = pl.DataFrame({"rating_area_id": [1], "area_factor": [1]})
    where = {"state": state, "market": "individual", "plan_year": 2026}
    table = rate_table(plans, areas, **where)
    found = check_rates(table, **where)
    assert found["explained"].to_list() == [True, True]
    wrong = table.with_columns(pl.col("couple") + Decimal("0.05"))
    found = check_rates(wrong, **where)
    assert found["breaking_age_bands"].to_list() == [["couple"], ["couple"]]
    assert found["age_ratio_allowed"].null_count() == 2


@pytest.mark.slow
def test_same_result_for_any_order():
    draw = random.Random(4)
    frame = pl.concat([filing(rated(draw.random() * 300 + 100), f"P{i}", str(i % 3 + 1)) for i in range(20)])
    first = check_rates(frame, **TX)
    assert first.equals(check_rates(frame.sample(fraction=1, shuffle=True, seed=1).lazy(), **TX))


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"age_band": ["21", "20-30"]}, "RATE-001.*0-14 to 64"),
        ({"age_band": ["0-20", "21"]}, "RATE-001"),
        ({"age_band": ["21", None]}, "RATE-001"),
        ({"age_band": ["21", "21"]}, "RATE-002"),
        ({"individual_rate": ["312.47", None]}, "RATE-003"),
        ({"individual_rate": ["312.47", "0"]}, "RATE-003"),
        ({"individual_rate": ["312.47", "-1"]}, "RATE-003"),
        ({"individual_rate": ["312.47", "1.00000001"]}, "too many decimals"),
        ({"individual_rate": ["312.47", "99999999999"]}, "too large"),
        ({"rating_area_id": ["0", "1"]}, "no area 0"),
        ({"plan_id": ["A", ""]}, "belongs to a plan"),
        ({"effective_date": ["2026-01-01", "1/1/2026"]}, "RATE-007"),
        ({"area_factor": ["1", "1.1"]}, "one factor in an area"),
    ],
)
def test_filings_that_cannot_be_read(change, says):
    frame = pl.DataFrame(
        {
            "plan_id": ["A"] * 2,
            "rating_area_id": ["1"] * 2,
            "age_band": ["21", "40"],
            "individual_rate": ["312.47", "399.34"],
        }
        | change
    )
    with pytest.raises(InputRefused, match=says):
        check_rates(frame, **TX)


def test_a_missing_column_and_no_rows():
    with pytest.raises(InputRefused, match="age_band"):
        check_rates(filing({"21": "1"}).drop("age_band"), **TX)
    with pytest.raises(InputRefused, match="no rows"):
        check_rates(filing({"21": "1"}).clear(), **TX)


# ---------------------------------------------------------------------------------------------------- filed rates


@pytest.fixture(scope="module")
def samples():
    folder = os.environ.get("POOLWISE_SAMPLES")
    if not folder:
        pytest.skip("POOLWISE_SAMPLES does not name the folder of public sample files")
    return Path(folder) / "filed_rates"


def sample(samples, name):
    return pl.read_csv(samples / name, infer_schema=False)


# Plan-areas filed in cents: how many; rates compared, equal, within a cent; explained, also when cut off or rounded up.
SHARES = {
    "federal exchange 2014": (192, 1152, 820, 1088, 163, 171),
    "UT 2014": (30, 180, 106, 155, 7, 7),
    "NM 2015": (14, 84, 61, 83, 14, 14),
    "NM 2016": (14, 84, 68, 83, 11, 14),
    "NV 2015": (14, 84, 77, 84, 14, 14),
    "NV 2016": (14, 84, 66, 77, 12, 12),
    "OR 2015": (5, 30, 14, 25, 3, 3),
    "OR 2016": (3, 18, 16, 18, 3, 3),
    "ID 2017": (13, 78, 68, 78, 12, 13),
    "RI 2017": (17, 748, 748, 748, 17, 17),
    "HI 2016": (21, 210, 127, 210, 13, 14),
    "DC 2014-2017": (59, 118, 68, 118, 59, 59),
}


def filing_of(year, state):
    if state == "DC":
        return "DC 2014-2017"
    return "federal exchange 2014" if year == "2014" and state != "UT" else f"{state} {year}"


def test_shares_of_the_filed_rates(samples):
    rates = sample(samples, "filed_member_rates.csv").rename(
        {"plan_ref": "plan_id", "rating_area": "rating_area_id", "monthly_rate": "individual_rate"}
    )
    shares, whole = {}, 0
    for (year, state), of_state in rates.group_by("plan_year", "state"):
        found = check_rates(of_state, state=state, market="individual", plan_year=int(year))
        marks = of_state.group_by("plan_id", number="rating_area_id").agg(pl.col("whole_dollar_plan").first())
        marked = found.with_columns(number=pl.col("rating_area_id").str.slice(4).cast(pl.Int64).cast(pl.String))
        marked = marked.join(marks, on=["plan_id", "number"], validate="1:1")
        assert (marked["whole_dollar"] == (marked["whole_dollar_plan"] == "yes")).all()
        whole += int(found["whole_dollar"].sum())
        cents = found.filter(~pl.col("whole_dollar"))
        counts = cents.select("compared_rates", "equal_rates", "rates_within_one_cent").sum().row(0)
        explained = (int(cents["explained"].sum()), cents["direction"].len() - cents["direction"].null_count())
        before = shares.get(filing_of(year, state), (0,) * 6)
        shares[filing_of(year, state)] = tuple(
            a + b for a, b in zip(before, (cents.height, *counts, *explained), strict=True)
        )
        # What breaks a filing is said, with a difference of at least a cent.
        broken = cents.filter(pl.col("direction").is_null())
        assert (broken["breaking_age_bands"].list.len() > 0).all()
        assert (broken["largest_difference"] > 0).all()
    assert shares == SHARES
    assert whole == 39


def test_household_rates_are_sums_of_member_rates(samples):
    households = sample(samples, "filed_family_rates.csv")
    assert households.height == 1456
    money = ["adult_rate", "child_rate", "monthly_rate"]
    rows = households.with_columns(pl.col(money).cast(pl.Decimal(18, 2))).rows(named=True)
    shapes = Counter()
    for row in rows:
        adults, children = shape_of(row["household"])
        charged = min(children, int(row["children_charged_max"]))
        assert row["monthly_rate"] == adults * row["adult_rate"] + charged * row["child_rate"], row["household"]
        shapes[row["household"]] += 1
    assert len(shapes) > 4


def shape_of(household):
    words = household.split("_")
    adults = 2 if words[0] in ("two", "couple") else 1
    numbers = {"1": 1, "2": 2, "3plus": 3, "one": 1, "two": 2, "three": 3}
    children = [numbers[word] for word in words[1:] if word in numbers]
    return adults, children[0] if children else 0


def test_vermont_tier_rates(samples):
    tiers = sample(samples, "filed_tier_rates_vt.csv")
    assert tiers.height == 232
    columns = {
        "one_adult": "individual_rate",
        "two_adults": "couple",
        "one_adult_children": "subscriber_one_dependent",
        "two_adults_children": "couple_one_dependent",
    }
    wide = tiers.with_columns(pl.col("tier").replace_strict(columns)).pivot(
        "tier", index=["plan_year", "plan_ref"], values="monthly_rate"
    )
    equal = plans = 0
    for (year,), of_year in wide.group_by("plan_year"):
        frame = of_year.select(
            pl.col("plan_ref").alias("plan_id"),
            pl.lit("1").alias("rating_area_id"),
            pl.lit("family").alias("age_band"),
            *columns.values(),
        )
        found = check_rates(frame, state="VT", market="individual", plan_year=int(year))
        assert (found["equal_rates"] == 3).all()
        equal += int(found["equal_rates"].sum())
        plans += found.height
        again = rate_table(
            frame.select("plan_id", pl.col("individual_rate").alias("base_rate")),
            pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1"]}),
            state="VT",
            market="individual",
            plan_year=int(year),
        )
        filed = frame.sort("plan_id").select(pl.col(columns.values()).cast(pl.Decimal(10, 2)))
        assert again.select(columns.values()).equals(filed)
    assert plans + equal == 232


def test_large_filings_keep_their_exactness():
    """Ends far apart in size are compared as fractions: rates near the bound of 64 bits."""
    rates = {"21": "9999999.99", "64+": "29999999.97"}
    found = only(check_rates(filing(rates), **TX))
    assert found["explained"]
    low, high = oracle.interval([Decimal(r) for r in rates.values()], [Decimal(1), Decimal(3)])
    assert Fraction(found["base_low"]) >= low
    assert Fraction(found["base_high"]) <= high
    assert np.isclose(float(found["base_low"]), float(low))
