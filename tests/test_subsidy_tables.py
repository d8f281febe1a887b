"""The `rating` tables of subsidies, metal levels and limits: what they say fits together, and what was published."""

import itertools
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import data_specs
from data_specs._contract import read_text
from data_specs._registry import contracts
from data_specs.errors import TableMissing

YEARS = range(2014, 2027)
INDEXED_YEARS = (2014, 2015, 2016, 2017, 2018, 2019, 2020, 2026)


def table(name: str, **filters) -> pl.DataFrame:
    return data_specs.table(f"rating/{name}", **filters)


def printed(name: str) -> pl.DataFrame:
    """The installed file of a table, every cell as the text it is."""
    folder = Path(data_specs.__file__).parent / "tables" / "rating"
    return read_text(folder / contracts()[f"rating/{name}"].revisions[-1]["file"])


# ---- benchmarks ----


def test_benchmark_premiums():
    rows = table("benchmark_premiums")
    silver = rows.filter(benchmark="second_lowest_silver")
    assert dict(silver.group_by("plan_year").len().rows()) == dict.fromkeys(range(2018, 2027), 498)
    assert set(rows.filter(benchmark="lowest_bronze")["plan_year"]) == {2026}
    adult = rows.filter(pl.col("state").is_in(["NY", "VT"]))
    assert set(adult["reference_member"]) == {"adult"}
    others = rows.join(adult, on=["state"], how="anti")
    assert set(others.filter(benchmark="second_lowest_silver")["reference_member"]) == {"age_0"}
    assert set(others.filter(benchmark="lowest_bronze")["reference_member"]) == {"disputed"}
    assert rows["monthly_premium"].round(0).eq(rows["monthly_premium"]).all()


def test_the_level_of_the_bronze_rows_is_disputed():
    rows = table("benchmark_premiums", year=2026).filter(~pl.col("state").is_in(["NY", "VT"]))
    silver, bronze = (rows.filter(benchmark=name) for name in ("second_lowest_silver", "lowest_bronze"))
    both = bronze.join(silver, on=["state", "rating_area"], suffix="_silver", validate="1:1")
    assert both.height == 489
    assert both.filter(pl.col("monthly_premium") > pl.col("monthly_premium_silver")).height == 172
    at_0 = table("age_curve_assignment", year=2026).filter(market="individual")
    at_0 = at_0.join(table("age_curves").filter(age=0), on="curve_id").select("state", "factor")
    as_base = both.join(at_0, on="state").with_columns(pl.col("monthly_premium_silver") / pl.col("factor"))
    ratio = as_base["monthly_premium"] / as_base["monthly_premium_silver"]
    assert ratio.max() <= 1
    assert ratio.mean() == pytest.approx(0.74, abs=0.005)


def test_areas_of_the_benchmarks():
    """Where the area numbers are not those of the map, exactly the known states differ."""
    benchmark = table("benchmark_premiums").select("state", "rating_area").unique()
    mapped = table("rating_area_map", year=2023).select("state", "rating_area").unique()
    assert set(benchmark.join(mapped, on=["state", "rating_area"], how="anti")["state"]) == {"ID", "ME"}
    absent = mapped.join(benchmark, on=["state", "rating_area"], how="anti").filter(pl.col("state") != "WA")
    assert sorted(absent.rows()) == [("FL", 22), ("SC", 9), ("SC", 19)]


# ---- income, credit, poverty line ----


def test_poverty_guidelines_follow_their_step():
    rows = table("federal_poverty_guidelines").sort("region", "guideline_year", "household_size")
    assert (rows["coverage_year_used_for"] - rows["guideline_year"]).unique().to_list() == [1]
    per_household = rows.group_by("region", "guideline_year").agg(pl.col("household_size"))
    assert {tuple(sizes) for sizes in per_household["household_size"]} == {tuple(range(1, 9))}
    assert per_household.height == 3 * 14
    step = pl.col("annual_amount").diff().over("region", "guideline_year").alias("step")
    steps = rows.with_columns(step).drop_nulls("step")
    both = steps.join(table("federal_poverty_increments"), on=["region", "guideline_year"], validate="m:1")
    assert both.height == 3 * 14 * 7
    uneven = both.filter(pl.col("step") != pl.col("each_additional"))
    assert set(uneven["guideline_year"]) == {2016}
    assert set(uneven["region"]) == {"alaska", "contiguous", "hawaii"}


def test_poverty_guidelines_of_single_years():
    rows = table("federal_poverty_guidelines")
    amount = {
        row[:3]: row[3] for row in rows.select("guideline_year", "region", "household_size", "annual_amount").rows()
    }
    contiguous = {year: amount[year, "contiguous", 1] for year in (2015, 2019, 2020, 2023, 2024, 2025)}
    assert contiguous == {2015: 11_770, 2019: 12_490, 2020: 12_760, 2023: 14_580, 2024: 15_060, 2025: 15_650}
    of_2016 = [amount[2016, "contiguous", size] for size in range(1, 9)]
    assert of_2016 == [11_880, 16_020, 20_160, 24_300, 28_440, 32_580, 36_730, 40_890]
    assert amount[2018, "hawaii", 2] - amount[2018, "hawaii", 1] == 4_970
    for (year, region, size), usd in amount.items():
        assert usd <= amount[year, {"contiguous": "hawaii"}.get(region, "alaska"), size]


@pytest.mark.parametrize("year", YEARS)
def test_bands_of_the_applicable_percentage_meet(year):
    rows = table("ptc_applicable_percentages", year=year).sort("fpl_pct_from")
    bands = rows.select("fpl_pct_from", "fpl_pct_to", "initial_pct", "final_pct").rows()
    assert bands[0][0] == 0
    for (_, end, _, last), (start, _, first, _) in itertools.pairwise(bands):
        assert end == start
        assert last == first or (start == 133 and first > last)
    assert all(first <= last for *_, first, last in bands)
    top = table("ptc_income_limits", year=year).row(0, named=True)
    assert bands[-1][1] == top["upper_fpl_pct"]
    inclusive = rows["upper_bound_inclusive"].to_list()
    assert inclusive == [False] * (len(bands) - 1) + [year in INDEXED_YEARS]
    assert (top["upper_fpl_pct"] is None) == (2021 <= year <= 2025)
    assert set(rows["basis"]) == {"statutory_indexed" if year in INDEXED_YEARS else "enhanced_2021_2025"}


@pytest.mark.parametrize("year", INDEXED_YEARS)
def test_indexed_percentages_fit_one_growth(year):
    """Six figures of the statute times one ratio, each rounded to 0.01 percent; the highest is the employers' too."""
    statute = [Decimal(v) for v in ("2.0", "3.0", "4.0", "6.3", "8.05", "9.5")]
    rows = printed("ptc_applicable_percentages").filter(tax_year=str(year))
    figures = sorted({Decimal(v) for column in ("initial_pct", "final_pct") for v in rows[column]})
    assert len(figures) == 6
    half = Decimal("0.005")
    lowest = max((figure - half) / base for figure, base in zip(figures, statute, strict=True))
    highest = min((figure + half) / base for figure, base in zip(figures, statute, strict=True))
    assert lowest < highest
    employer = table("affordability_percentages", year=year).filter(measure="employer_required_contribution_pct")
    assert Decimal(str(employer["percent"].item())) == figures[-1]


def test_affordability_has_every_year():
    rows = table("affordability_percentages")
    years = {m: sorted(r["plan_year"]) for (m,), r in rows.group_by("measure")}
    assert years["employer_required_contribution_pct"] == list(YEARS)
    assert years["mandate_affordability_exemption_pct"] == list(range(2014, 2019))


@pytest.mark.parametrize("year", range(2014, 2028))
def test_repayment_caps(year):
    rows = table("ptc_repayment_caps", year=year)
    assert set(rows["repayment_waived"]) == {year == 2020}
    open_bands = rows.filter(pl.col("cap_usd").is_null())
    assert open_bands.select("fpl_pct_from", "fpl_pct_below", "filing").rows() == [
        (0 if year >= 2026 else 400, None, "any")
    ]
    capped = {filing: rows.filter(filing=filing).sort("fpl_pct_from") for filing in ("single", "other")}
    if year >= 2026:
        assert rows.height == 1
        return
    for found in capped.values():
        assert found.select("fpl_pct_from", "fpl_pct_below").rows() == [(0, 200), (200, 300), (300, 400)]
        assert found["cap_usd"].is_sorted()
    # The statute gives the larger amount and halves it, for those who file alone.
    assert (capped["single"]["cap_usd"] * 2).equals(capped["other"]["cap_usd"])


# ---- metal levels and limits ----


@pytest.mark.parametrize("year", range(2014, 2028))
def test_ranges_of_actuarial_value(year):
    rows = table("metal_av_ranges", year=year)
    force = rows.filter(legal_state="in_force")
    targets = dict(force.filter(variant="standard").select("metal_level", "target_av_pct").rows())
    assert targets == {"bronze": 60, "silver": 70, "gold": 80, "platinum": 90}
    assert ("expanded_bronze" in force["variant"].to_list()) == (year >= 2018)
    assert ("on_exchange_individual_silver" in force["variant"].to_list()) == (year >= 2023)
    income = table("csr_bands").filter(basis="income")["target_av_pct"].to_list()
    variants = dict(force.filter(pl.col("variant").str.starts_with("csr_")).select("variant", "target_av_pct").rows())
    assert variants == {f"csr_{target}": target for target in income}
    stayed = rows.filter(legal_state="stayed_2025_08_22")
    assert stayed.height == (force.height if year == 2026 else 0)


def test_cost_sharing_variants():
    rows = table("csr_bands")
    assert rows["hios_variant"].sort().to_list() == [f"0{n}" for n in range(7)]
    income = rows.filter(basis="income").sort("fpl_pct_from")
    assert income.select("fpl_pct_from", "fpl_pct_to", "target_av_pct", "hios_variant").rows() == [
        (100, 150, 94, "06"),
        (150, 200, 87, "05"),
        (200, 250, 73, "04"),
    ]
    known = data_specs.table("hhs_hcc/csr_factors", year=2026).drop_nulls("hios_variant")["hios_variant"].unique()
    assert set(rows["hios_variant"]) - {"00", "01"} <= set(known)


def test_limits_on_cost_sharing():
    rows = table("annual_cost_sharing_limits")
    assert (rows["self_only_usd"] * 2).equals(rows["other_than_self_only_usd"])
    assert (rows["self_only_usd"] % 50).unique().to_list() == [0]
    per_year = {(y, limit): usd for y, limit, usd in rows.select("plan_year", "limit", "self_only_usd").rows()}
    assert sorted(y for y, limit in per_year if limit == "standard") == list(range(2014, 2028))
    for year in YEARS:
        assert per_year[year, "csr_94_87"] < per_year[year, "csr_73"] < per_year[year, "standard"]
    assert (per_year[2026, "standard"], per_year[2026, "standard_superseded"]) == (10_600, 10_150)


def test_figures_of_2027_follow_from_the_premium_adjustment():
    found = {
        (int(y), m): Decimal(v)
        for y, m, v in printed("premium_adjustment_and_employer_payments")
        .select("plan_year", "measure", "value")
        .rows()
    }
    adjustment = found[2027, "premium_adjustment_percentage"]
    assert found[2027, "esrp_a_annual_usd"] == 2000 * adjustment // 10 * 10
    assert found[2027, "esrp_b_annual_usd"] == 3000 * adjustment // 10 * 10
    limits = table("annual_cost_sharing_limits", year=2027).filter(limit="standard")
    assert limits["self_only_usd"].item() == 6350 * adjustment // 50 * 50


def test_health_savings_accounts():
    for (year,), rows in table("hsa_hdhp_limits").group_by("calendar_year"):
        usd = {(m, c): v for m, c, v in rows.select("measure", "coverage", "usd").rows()}
        assert len(usd) == 6, year
        for measure in ("hdhp_min_deductible", "hdhp_max_out_of_pocket"):
            assert usd[measure, "family"] == 2 * usd[measure, "self_only"], (year, measure)
        assert usd["hdhp_min_deductible", "self_only"] < usd["hdhp_max_out_of_pocket", "self_only"]


# ---- mandates, Medicaid ----


def test_penalties_hold_from_year_to_year():
    def held(state: str, year: int) -> dict[str, float]:
        rows = table("individual_mandate_penalties", state=state, year=year)
        return dict(rows.select("measure", "value").rows())

    assert held("US", 2016)["flat_adult_usd"] == 695
    assert held("US", 2016)["income_pct_over_filing_threshold"] == 2.5
    assert held("US", 2019) == held("US", 2026) == {"flat_adult_usd": 0}
    assert held("CA", 2020)["flat_adult_usd"] == 750
    assert held("CA", 2024)["flat_adult_usd"] == 900
    assert held("CA", 2025)["flat_adult_usd"] == 950
    assert held("RI", 2026) == held("DC", 2019) == held("NJ", 2019)
    assert held("MA", 2014) == {"mandate_in_force": 1}
    for year in (2021, 2022, 2023):  # not read, so not carried
        with pytest.raises(TableMissing, match="no row for state 'CA'"):
            held("CA", year)
    rows = table("individual_mandate_penalties").pivot("measure", index=["jurisdiction", "first_year"], values="value")
    flat = rows.drop_nulls("flat_child_usd")
    assert (flat["flat_child_usd"] * 2).equals(flat["flat_adult_usd"].rename("flat_child_usd"))


def test_medicaid_limits():
    rows = table("medicaid_adult_limits")
    assert (
        sorted(rows.filter(pl.col("in_source_from") == pl.date(2018, 1, 1))["state"])
        == table("age_curve_assignment")["state"].unique().sort().to_list()
    )
    assert set(rows.filter(expansion_adult_group="no")["limit_fpl_pct"]) == {None}
    assert rows.filter(pl.col("expansion_adult_group") != "no")["limit_fpl_pct"].null_count() == 0
    assert set(rows.filter(verification="uncertain")["state"]) == {"ID", "ME", "NE", "UT", "VA"}
    district = table("medicaid_adult_limits", state="DC").sort("in_source_from")
    assert district["limit_fpl_pct"].to_list() == [215, 138]
