"""The `rating` tables, complete and as printed: age curves, family tiers, tobacco, rating areas."""

import itertools
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import data_specs
from data_specs._contract import read_text
from data_specs._registry import contracts
from data_specs.errors import TableMissing, TableRefused

FAMILY = "rating"
ROWS = {
    "affordability_percentages": 18,
    "age_curve_assignment": 204,
    "age_curves": 1_040,
    "annual_cost_sharing_limits": 41,
    "benchmark_premiums": 4_980,
    "csr_bands": 7,
    "family_tiers": 19,
    "federal_poverty_guidelines": 336,
    "federal_poverty_increments": 42,
    "hsa_hdhp_limits": 84,
    "individual_mandate_penalties": 46,
    "medicaid_adult_limits": 67,
    "metal_av_ranges": 122,
    "national_average_benchmark": 13,
    "premium_adjustment_and_employer_payments": 7,
    "ptc_applicable_percentages": 78,
    "ptc_income_limits": 14,
    "ptc_repayment_caps": 86,
    "quote_rules": 67,
    "rating_area_counts": 102,
    "rating_area_map": 6_169,
    "rating_rules": 8,  # seven as published, and our reading of a subscriber of 18 where no child-only tier exists
    "state_market_rules": 102,
    "tobacco_limits": 102,
}
YEARS = range(2014, 2027)
MARKETS = ("individual", "small_group")
# Printed decimals of published ratios and percentages.
DECIMALS = {
    ("age_curves", "factor"): 3,
    ("family_tiers", "multiplier"): 3,
    ("tobacco_limits", "max_ratio"): 2,
    ("ptc_applicable_percentages", "initial_pct"): 2,
    ("ptc_applicable_percentages", "final_pct"): 2,
    ("affordability_percentages", "percent"): 2,
    ("benchmark_premiums", "monthly_premium"): 2,
}


def table(name: str, **filters) -> pl.DataFrame:
    return data_specs.table(f"{FAMILY}/{name}", **filters)


def printed(name: str) -> pl.DataFrame:
    """The installed file of a table, every cell as the text it is."""
    contract = contracts()[f"{FAMILY}/{name}"]
    folder = Path(data_specs.__file__).parent / "tables" / FAMILY
    return read_text(folder / contract.revisions[-1]["file"])


def lookup(name: str, keys: list[str], value: str, **filters) -> dict:
    rows = table(name, **filters)
    return dict(zip(rows[keys[0]] if len(keys) == 1 else rows.select(keys).rows(), rows[value], strict=True))


def states() -> list[str]:
    return table("age_curve_assignment")["state"].unique().sort().to_list()


# ---- the family ----


def test_the_family_is_complete():
    assert {name: table(name).height for name in ROWS} == ROWS
    held = {name.partition("/")[2] for name in contracts() if name.startswith(f"{FAMILY}/")}
    assert held == set(ROWS)


@pytest.mark.parametrize("name", sorted(ROWS.keys() - {"quote_rules"}))
def test_marks(name):
    assert set(table(name)["verification"].unique()) <= {"verified", "single-source", "uncertain"}
    assert "status" not in table(name).columns


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_typed_number_is_the_printed_one(name):
    """No digit is lost on the way from the file to the frame."""
    text, typed = printed(name), table(name)
    numbers = [c.name for c in contracts()[f"{FAMILY}/{name}"].columns if c.type in ("int", "number")]
    for column in numbers:
        pairs = zip(text[column].to_list(), typed[column].to_list(), strict=True)
        assert all(Decimal(a) == Decimal(str(b)) for a, b in pairs if a is not None), column
        assert text[column].null_count() == typed[column].null_count()


@pytest.mark.parametrize(("name", "column"), sorted(DECIMALS))
def test_decimals_are_kept_as_printed(name, column):
    pattern = rf"^[0-9]+\.[0-9]{{{DECIMALS[name, column]}}}$"
    assert printed(name)[column].str.contains(pattern).all()


def test_no_figure_stands_twice():
    """No two tables of the catalog, whatever they call the year, give one value under one key."""
    same = {f"{kind}_year": "year" for kind in ("plan", "tax", "benefit", "calendar", "guideline", "as_of", "snapshot")}
    same |= {"metal": "metal_level"}
    bookkeeping = {"verification", "note", "source_key", "source_id", "release", "basis", "footnote", "cms_variable"}
    keyed: dict[tuple[str, ...], list[tuple[str, pl.DataFrame, set[str]]]] = {}
    for name, contract in contracts().items():
        key = tuple(sorted(same.get(k, k) for k in contract.key))
        frame = data_specs.table(name).rename({k: v for k, v in same.items() if k in contract.key})
        keyed.setdefault(key, []).append((name, frame, set(frame.columns) - set(key) - bookkeeping))
    compared = 0
    for key, group in keyed.items():
        for (one, first, values), (other, second, more) in itertools.combinations(group, 2):
            compared += 1
            for value in sorted(values & more):
                both = first.join(second, on=list(key), suffix="_other", nulls_equal=True)
                assert both.filter(pl.col(value) == pl.col(f"{value}_other")).height == 0, (one, other, value)
    assert compared >= 4
    # The amount of one person was printed beside the step, and is kept with the other household sizes only.
    assert table("federal_poverty_increments").columns[2:] == ["each_additional", "verification"]


# ---- age, tiers, tobacco ----


@pytest.mark.parametrize("year", YEARS)
def test_every_state_and_market_has_one_curve_or_tiers(year):
    assigned = table("age_curve_assignment", year=year)
    assert assigned["state"].n_unique() == 51
    assert sorted(assigned.select("state", "market").rows()) == sorted(itertools.product(states(), MARKETS))
    curves = table("age_curves", year=year)
    used = assigned.join(curves, on="curve_id", how="left")
    assert used["factor"].null_count() == 0  # the curve's own years cover the years it is assigned for
    assert used.height == 65 * 102
    flat = used.group_by("state", "market").agg(pl.col("factor").n_unique() == 1).filter("factor")
    tiers = table("family_tiers", year=year).filter(tier="one_adult").select("state", "market")
    assert sorted(flat.select("state", "market").rows()) == sorted(tiers.rows())
    assert used.filter((pl.col("market_right") != "both") & (pl.col("market") != pl.col("market_right"))).height == 0


def test_a_curve_has_every_age_once_and_rises():
    curves = table("age_curves")
    for (name,), rows in curves.group_by("curve_id"):
        assert sorted(rows["age"]) == list(range(65)), name
        factors = rows.sort("age")["factor"].to_list()
        assert factors == sorted(factors), name
        same_to = 14 if name == "FED_2018" else 20
        assert len(set(factors[: same_to + 1])) == 1, name
        assert rows.select("first_plan_year", "last_plan_year", "market").n_unique() == 1, name


def test_the_federal_curves():
    """Figures of the published curves: from 2018, and of the 2013 guidance, whose adults are the same."""
    factor = lookup("age_curves", ["curve_id", "age"], "factor")
    new = {0: 0.765, 14: 0.765, 15: 0.833, 16: 0.859, 17: 0.885, 18: 0.913, 19: 0.941, 20: 0.970, 21: 1.0, 24: 1.0}
    new |= {25: 1.004, 26: 1.024, 30: 1.135, 35: 1.222, 40: 1.278, 45: 1.444, 50: 1.786, 55: 2.230, 60: 2.714}
    new |= {63: 2.952, 64: 3.0}
    assert {age: factor["FED_2018", age] for age in new} == new
    assert {factor["FED_2014", age] for age in range(21)} == {0.635}
    assert all(factor["FED_2014", age] == factor["FED_2018", age] for age in range(21, 65))


def test_the_base_rate_is_not_the_rate_at_21_everywhere():
    factor = lookup("age_curves", ["curve_id", "age"], "factor")
    at_21 = {curve: factor[curve, 21] for curve, _ in factor if factor[curve, 21] != 1}
    assert at_21 == {"DC_2014": 0.727, "DC_2018": 0.727, "MA_2014": 1.183, "MA_2018": 1.183, "NJ_SG_2014": 1.25}


def test_no_curve_exceeds_the_ratio_of_its_state():
    cells = printed("age_curves").select("curve_id", "age", "factor").rows()
    factor = {(curve, int(age)): Decimal(text) for curve, age, text in cells}
    rules = printed("state_market_rules")
    limits = dict(zip(rules.select("state", "market").rows(), map(Decimal, rules["max_age_ratio"]), strict=True))
    assert {pair: float(limit) for pair, limit in limits.items() if limit not in (1, 3)} == {
        ("MA", "individual"): 2.0,
        ("MA", "small_group"): 2.0,
        ("NJ", "small_group"): 1.824,
    }
    for state, market, curve in table("age_curve_assignment").select("state", "market", "curve_id").rows():
        ratio = factor[curve, 64] / factor[curve, 21]
        assert ratio <= limits[state, market], (state, market, curve)
        assert limits[state, market] - ratio < Decimal("0.001")  # every state uses the room it gives
    assert Decimal(lookup("rating_rules", ["rule"], "value")["max_adult_age_ratio"]) == max(limits.values())


def test_curves_of_single_states():
    def curves(state, market, year):
        rows = table("age_curve_assignment", year=year, state=state).filter(market=market)
        return rows["curve_id"].item(), rows["verification"].item()

    assert curves("AL", "individual", 2017) == ("FED_2014", "verified")
    assert curves("AL", "individual", 2018) == ("AL_2018", "single-source")
    assert curves("NJ", "small_group", 2018) == ("NJ_SG_2014", "uncertain")
    assert curves("NJ", "individual", 2025) == ("FED_2018", "verified")
    assert curves("NY", "individual", 2025) == ("NY_FLAT", "verified")
    assert table("age_curves", year=2025).filter(curve_id="FED_2018").height == 65
    assert table("age_curves", year=2017).filter(curve_id="FED_2018").height == 0
    with pytest.raises(TableMissing, match=r"no rows for 2013.*held: 2014 and later"):
        table("age_curves", year=2013)


def test_family_tiers():
    tiers = ["one_adult", "two_adults", "one_adult_children", "two_adults_children"]
    rows = table("family_tiers", year=2025)
    for market in MARKETS:
        york, vermont = (
            dict(rows.filter(state=state, market=market).select("tier", "multiplier").rows()) for state in ("NY", "VT")
        )
        assert [york[tier] for tier in tiers] == [1.0, 2.0, 1.7, 2.85]
        assert [vermont[tier] for tier in tiers] == [1.0, 2.0, 1.93, 2.81]
        assert york["child_only"] == 0.412
        assert sorted(vermont) == sorted(tiers)
    option = table("family_tiers").filter(tier="age29_rider_multiplier")
    assert option.select("state", "market", "first_plan_year", "verification").rows() == [
        ("NY", "individual", 2023, "uncertain")
    ]
    assert "age29_rider_multiplier" not in table("family_tiers", year=2022)["tier"].to_list()


def test_tobacco():
    rows = table("tobacco_limits", year=2016)
    assert sorted(rows.select("state", "market").rows()) == sorted(itertools.product(states(), MARKETS))
    federal = next(
        float(v) for r, v in table("rating_rules").select("rule", "value").rows() if r == "max_tobacco_ratio"
    )
    assert set(rows.filter(rule="federal")["max_ratio"]) == {federal}
    assert set(rows.filter(rule="prohibited")["max_ratio"]) == {1.0}
    assert rows.filter(rule="limited")["max_ratio"].is_between(1, federal, closed="none").all()
    tiered = rows.filter(pl.col("state").is_in(["NY", "VT"]))
    assert set(tiered["rule"]) == {"prohibited"}
    with pytest.raises(TableMissing, match="held: 2016"):
        table("tobacco_limits", year=2025)


def test_state_rules_are_about_small_groups():
    rows = table("state_market_rules")
    flags = ["requires_average_enrollee_premium", "state_composite_method_flag", "small_employer_up_to_100"]
    for flag in flags:
        assert rows.filter(market="individual")[flag].null_count() == 51
        assert rows.filter(market="small_group")[flag].null_count() == 0
    large = rows.filter(pl.col("small_employer_up_to_100"))["state"].sort().to_list()
    assert large == ["CA", "CO", "NY", "VT"]


# ---- areas ----


@pytest.mark.parametrize("year", [2015, 2023])
def test_areas_of_the_map_are_those_counted(year):
    areas = table("rating_area_map", year=year).group_by("state")
    counted = areas.agg(pl.col("rating_area").n_unique().alias("n"), pl.col("rating_area").max().alias("top"))
    both = counted.join(table("rating_area_counts", year=year), on="state", how="full", coalesce=True)
    assert both.height == 51
    assert both.filter((pl.col("n") != pl.col("areas")) | (pl.col("top") != pl.col("highest_area_number"))).height == 0
    assert both["n"].null_count() == both["areas"].null_count() == 0


@pytest.mark.parametrize("year", [2015, 2023])
def test_a_county_is_in_one_area(year):
    rows = table("rating_area_map", year=year)
    by_county = rows.filter(basis="county")
    assert by_county["county_fips"].is_duplicated().any() is False
    assert by_county["zip3"].null_count() == by_county.height
    codes = rows.drop_nulls("county_fips").select("state", pl.col("county_fips").str.head(2)).unique()
    assert codes["state"].n_unique() == codes["county_fips"].n_unique() == codes.height
    by_zip = rows.filter(basis="zip3")
    assert by_zip.select("state", "zip3").is_duplicated().any() is False
    assert set(by_zip["county_fips"].drop_nulls()) == {"06037"}
    assert "06037" not in by_county["county_fips"].to_list()
    basis = {
        (True, True): "county+zip3",
        (True, False): "county",
        (False, True): "zip3",
    }
    for state, said in table("rating_area_counts", year=year).select("state", "basis").rows():
        found = basis[state in by_county["state"].implode().item(), state in by_zip["state"].implode().item()]
        assert ("county" if said == "msa_plus_one" else said) == found, state


def test_what_changed_between_the_maps():
    old, new = (table("rating_area_map", year=year).filter(basis="county") for year in (2015, 2023))
    both = old.join(new, on=["state", "county_fips"], suffix="_new")
    moved = both.filter(pl.col("rating_area") != pl.col("rating_area_new"))
    assert dict(moved["state"].value_counts().rows()) == {"TX": 209, "WA": 22, "SD": 6}
    assert old.join(new, on="county_fips", how="anti")["county_fips"].sort().to_list() == ["46113", "51515"]
    assert set(new.join(old, on="county_fips", how="anti")["state"]) == {"ID", "NE", "SD"}
    with pytest.raises(TableMissing, match="held: 2015, 2023"):
        table("rating_area_map", year=2025)


def test_areas_that_a_public_model_has_otherwise():
    areas = lookup("rating_area_map", ["county_name"], "rating_area", year=2023, state="CA")
    assert [areas[c] for c in ("Inyo", "Mono", "Orange", "Kings", "Tulare")] == [13, 13, 18, 11, 10]
    city = table("rating_area_map", year=2023, state="MO").filter(county_fips="29510")
    assert city["rating_area"].to_list() == [6]


# ---- tables of the reader's own ----


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("age_curves", {"factor": "6.35"}, "column factor: at most 4"),
        ("age_curves", {"age": "65"}, "column age: at most 64"),
        ("age_curves", {"age": "1"}, r"the key \(curve_id, age\) occurs once"),
        ("age_curve_assignment", {"last_plan_year": None}, r"a year has one row of \(state, market\)"),
        ("age_curve_assignment", {"market": "large_group"}, "column market: one of individual, small_group"),
        ("family_tiers", {"tier": "three_adults"}, "column tier: one of one_adult"),
        ("tobacco_limits", {"max_ratio": "1.51"}, "column max_ratio: at most 1.5"),
        ("tobacco_limits", {"state": "Alabama"}, "column state: must match"),
        ("rating_rules", {"value": "three"}, "column value: must match"),
        ("rating_area_map", {"rating_area": "0"}, "column rating_area: at least 1"),
        ("rating_area_map", {"zip3": "9950"}, "column zip3: must match"),
        ("federal_poverty_guidelines", {"household_size": "9"}, "column household_size: at most 8"),
        ("ptc_applicable_percentages", {"initial_pct": None}, "column initial_pct: a value is required"),
        ("ptc_repayment_caps", {"repayment_waived": "no"}, "column repayment_waived: the type is flag"),
        ("metal_av_ranges", {"legal_state": "gone"}, "column legal_state: must match"),
        ("medicaid_adult_limits", {"in_source_from": "2018-02-30"}, "column in_source_from: YYYY-MM-DD"),
        ("benchmark_premiums", {"verification": "single_source"}, "column verification: one of verified"),
    ],
)
def test_a_bad_table_is_refused(tmp_path, name, change, says):
    """The first row with one cell changed."""
    rows = printed(name)
    first = rows.head(1).with_columns(pl.lit(value, pl.String).alias(column) for column, value in change.items())
    pl.concat([first, rows.tail(-1)]).write_csv(tmp_path / f"{name}.csv")
    with pytest.raises(TableRefused, match=rf"{name}\.csv.*row \d+, column.*{says}|{name}\.csv.*row \d+, {says}"):
        data_specs.use(tmp_path)
