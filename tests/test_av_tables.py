"""The `av` tables: complete, consistent in themselves, and ready for a year that is not installed."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import data_specs
import rating
from data_specs._registry import contracts
from data_specs.errors import NotYetPublished, TableMissing, TableRefused
from rating._av_columns import SERVICES, TABLE_METALS
from rating._av_tables import COMBINED, DOMAINS, LAYOUT, calculator
from rating._figures import Figures

CASES = Path(__file__).parent / "cases" / "av"
ROWS = {
    "calculator_moop_limits": 4,
    "calculator_rules": 18,
    "continuance": 4_008,
    "continuance_columns": 100,
    "service_columns": 48,
    "service_lines": 18,
    "table_sets": 3,
    "variant_tables": 7,
}
KEYS = ["av_year", "metal", "table", "row", "spend_limit", "is_unlimited", "verification"]
PLAN = json.loads((CASES / "av_cases.json").read_text(encoding="utf-8"))["cases"][0]["plan"]


def table(name: str, **filters) -> pl.DataFrame:
    return data_specs.table(f"av/{name}", **filters)


def cells(year: int, metal: str, domain: str) -> pl.DataFrame:
    return table("continuance", year=year).filter(metal=metal, table=domain).sort("row")


def grids(year: int):
    return [(metal, domain, cells(year, metal, domain)) for metal in TABLE_METALS for domain in DOMAINS]


def test_the_family_is_complete():
    assert {name: table(name).height for name in ROWS} == ROWS
    heights = {2015: 84, 2016: 84, 2026: 166}
    for year, height in heights.items():
        assert {grid.height for *_, grid in grids(year)} == {height}


def test_last_rows_are_the_totals_written_down_apart():
    totals = pl.read_csv(CASES / "table_totals.csv")
    assert totals.height == 36
    last = table("continuance").filter(pl.col("is_unlimited"))
    both = totals.join(last, on=["av_year", "metal", "table"])
    assert both.height == 36
    assert both.filter((pl.col("mean_annual_cost") - pl.col("maxd_cost")).abs() > 6e-7).height == 0


def test_capped_means_of_2026_rebuild_from_the_distribution():
    for _, _, grid in grids(2026):
        share = grid["pct_enrollees"].to_numpy()
        bucket = grid["bucket_cost"].fill_null(0.0).to_numpy()
        limit = grid["spend_limit"].fill_null(0.0).to_numpy()
        assert abs(share.sum() - 1) < 1e-9
        above = 1 - np.cumsum(share)
        above[-1] = 0.0
        rebuilt = np.cumsum(share * bucket) + limit * above
        mean = grid["maxd_cost"].to_numpy()
        # Shares are printed to some ten decimals, and a row multiplies what is left of them by its limit.
        assert (np.abs(rebuilt - mean) <= 1e-9 * limit + 1e-8 * mean).all()


def test_services_of_2026_add_up_in_the_last_row():
    names = table("service_columns")
    whole = names.filter(pl.col("charged").is_in(["per_visit", "per_stay", "per_script"]))
    whole = whole.filter(~((pl.col("service") == "xray") & (pl.col("part") != "all")))["cost_column"].to_list()
    for metal in TABLE_METALS:
        medical, drug, combined = (cells(2026, metal, domain) for domain in ("medical", "drug", "combined"))
        assert sum(combined[c][-1] for c in whole) == pytest.approx(combined["maxd_cost"][-1], abs=1e-6)
        parts = medical["maxd_cost"][-1] + drug["maxd_cost"][-1]
        assert parts == pytest.approx(combined["maxd_cost"][-1], abs=1e-6)
        xray = [combined[f"xray_{part}_cost"] for part in ("pc", "sp", "uncl")]
        assert (sum(xray) - combined["xray_cost"]).abs().max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("year", [2015, 2016])
def test_columns_of_the_older_tables_rise(year):
    """They are parts of a capped mean; the source lets some fall by fractions of a cent."""
    for _, domain, grid in grids(year):
        for column in set(grid.columns) - set(KEYS):
            values = grid[column].drop_nulls()
            if column == "enrollees":
                assert (values.diff().drop_nulls() <= 0).all()
            elif len(values):
                assert (values.diff().drop_nulls() > -0.005).all(), (domain, column)


def test_the_dictionary_says_which_table_has_which_column():
    known = table("continuance_columns")
    held = table("continuance").columns
    assert known["column"].to_list() == [c for c in held if c not in KEYS]
    about = {c.name: c.about for c in contracts()["av/continuance"].columns}
    assert dict(known.select("column", "meaning").rows()) == {c: about[c] for c in known["column"]}
    for year, flag in ((2015, "in_2015_2016"), (2016, "in_2015_2016"), (2026, "in_2026")):
        for _, domain, grid in grids(year):
            has = {c for c in known["column"] if grid[c].null_count() < grid.height}
            assert has == set(known.filter(pl.col(flag), pl.col(f"in_{domain}"))["column"]), (year, domain)


def test_services_are_those_of_a_design():
    assert tuple(table("service_lines").sort("position")["service"]) == SERVICES
    named = table("service_columns").sort("position").select("service", "part", "charged").rows()
    assert tuple(named) == LAYOUT


def test_facts_of_other_families_are_not_repeated():
    """Windows, legal limits, targets of variants and induced demand have their owners."""
    facts = {"target_av_pct", "de_minimis_low", "self_only_usd", "induced_demand_factor", "fpl_pct_from"}
    ours = {c.name for name, contract in contracts().items() if name.startswith("av/") for c in contract.columns}
    assert ours & facts == set()
    legal = data_specs.table("rating/annual_cost_sharing_limits").filter(limit="standard")
    both = table("calculator_moop_limits").join(legal, on="plan_year")
    differ = both.filter(pl.col("moop_limit_usd") != pl.col("self_only_usd"))
    assert sorted(differ["plan_year"]) == [2018, 2020]


def test_a_year_without_tables_names_those_that_exist():
    with pytest.raises(TableMissing, match="2015-2016, 2026"):
        rating.actuarial_value(PLAN, plan_year=2020)
    with pytest.raises(NotYetPublished, match="2027 is not published"):
        rating.actuarial_value(PLAN, plan_year=2027)


def own_year(folder: Path, year: int = 2027, **changes) -> Path:
    """A folder with small tables of a year made from those of 2026: three rows and the last, then the changes."""
    frame = table("continuance", year=2026).filter((pl.col("row") < 3) | pl.col("is_unlimited"))
    small = {"av_year": pl.lit(year), "row": pl.col("row").clip(0, 3)}
    frame = frame.with_columns(**small).with_columns(**changes)
    (folder / "av").mkdir(parents=True)
    frame.write_csv(folder / "av" / "continuance.csv")
    sets = table("table_sets", year=2026).with_columns(pl.lit(year).alias("av_year"))
    sets.write_csv(folder / "av" / "table_sets.csv")
    return folder


def test_a_new_year_needs_tables_only(tmp_path):
    plan = {**PLAN, "deductible": 50.0, "moop": 150.0}
    values, means = [], []
    for factor in (1.0, 1.25):
        with data_specs.use(own_year(tmp_path / str(factor), maxd_cost=pl.col("maxd_cost") * factor)):
            values += [rating.actuarial_value(plan, plan_year=2027).designs["av"].item()]
            means += [calculator(2027, Figures()).means[COMBINED, TABLE_METALS.index("bronze"), -1]]
    assert means == pytest.approx([5190.4814664, 1.25 * 5190.4814664])
    # Every dollar of the value is read from maxd_cost, but for the search: all of it is a ratio.
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    with pytest.raises(NotYetPublished):
        rating.actuarial_value(plan, plan_year=2027)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"er_cost": pl.when(pl.col("row") != 2).then(pl.col("er_cost"))}, "'er_cost' has blanks in table platinum"),
        ({"row": pl.col("row") + (pl.col("row") == 3).cast(pl.Int64)}, "has not the rows 0 to 3"),
        ({"maxd_cost": pl.col("maxd_cost") * (pl.col("row") != 2).cast(pl.Int64)}, "maxd_cost falls"),
        ({"spend_limit": pl.col("spend_limit") + (pl.col("metal") == "gold").cast(pl.Int64)}, "spend limits differ"),
    ],
)
def test_tables_that_do_not_fit_are_refused(tmp_path, changes, message):
    with data_specs.use(own_year(tmp_path, **changes)), pytest.raises(TableRefused, match=message):
        rating.actuarial_value(PLAN, plan_year=2027)
