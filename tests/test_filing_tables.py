"""The `filing` tables of rate filings and their review: complete, as printed, and no fact of another table."""

import re
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

import data_specs
from data_specs._contract import read_text
from data_specs._registry import contracts

ROWS = {
    "exchange_user_fees": 25,
    "hios_id_grammar": 12,
    "printed_decimals": 4,
    "review_thresholds": 7,
    "reviewer_checks": 78,
    "urrt_fields": 120,
}
CATEGORIES = {
    "inpatient_hospital": "Inpatient Hospital",
    "outpatient_hospital": "Outpatient Hospital",
    "professional": "Professional",
    "other_medical": "Other Medical",
    "capitation": "Capitation",
    "prescription_drug": "Prescription Drug",
}


def table(name: str, **filters) -> pl.DataFrame:
    return data_specs.table(f"filing/{name}", **filters)


def printed(name: str) -> pl.DataFrame:
    """The installed file of a table, every cell as the text it is."""
    folder = Path(data_specs.__file__).parent / "tables" / "filing"
    return read_text(folder / contracts()[f"filing/{name}"].revisions[-1]["file"])


def test_the_tables_are_complete():
    assert {name: table(name).height for name in ROWS} == ROWS


# ---- the template ----


def test_lines_of_the_template():
    fields = table("urrt_fields")
    assert fields["position"].to_list() == list(range(1, 121))
    assert fields.group_by("worksheet").len().sort("worksheet").rows() == [(1, 69), (2, 49), (3, 2)]
    # Read again in template v8.2: 1.1 to 1.13, 2.8, 2.12 to 2.23 and 3.2 to 3.15.
    numbers = [*(f"1.{n}" for n in range(1, 14)), "2.8", "2.12", "2.13", "2.14", "2.15-2.23"]
    numbers += [f"3.{n}" for n in range(2, 16)]
    assert fields["field_no"].drop_nulls().to_list() == numbers
    assert fields.filter(pl.col("field_no_status") == "verified")["field_no"].to_list() == numbers


def test_every_benefit_category_has_its_six_lines_in_order():
    projections = table("urrt_fields").filter(pl.col("section") == "II projections")
    wanted = []
    for category, label in CATEGORIES.items():
        names = ["ep_index_rate", "trend_y1_cost", "trend_y1_util", "trend_y2_cost", "trend_y2_util", "trended_ehb"]
        wanted += [(f"{name}_{category}", label) for name in names]
    rows = projections.head(36).select("our_column", pl.col("field_name").str.split(" - ").list.first()).rows()
    assert rows == wanted
    products = projections.head(36).filter(pl.col("role") == "computed")["formula"].to_list()
    assert products == ["*".join(name for name, _ in wanted[at : at + 5]) for at in range(0, 36, 6)]


def test_what_is_computed_has_a_formula_and_the_mark_of_it():
    fields = table("urrt_fields")
    computed = pl.col("role") != "input"
    assert fields.filter(computed & pl.col("formula").is_null()).height == 0
    marks = dict(fields.filter(computed).select("our_column", "verification").rows())
    assert marks["market_adjusted_index_rate"] in ("uncertain", "verified")  # computed on worksheet 1, copied on 2
    assert marks["calibrated_plan_adjusted_index_rate"] == "verified"
    uncertain = {name for name, mark in marks.items() if mark == "uncertain"}
    assert {"exp_incurred", "proj_incurred", "product_rate_increase", "submission_rate_increase"} <= uncertain


# ---- the checks ----


def test_checks_are_numbered_and_each_has_its_place():
    checks = table("reviewer_checks")
    assert checks["check_id"].to_list() == [f"RV-{n:03}" for n in range(1, 79)]
    assert sorted(checks["cause_order"]) == list(range(1, 79))
    assert set(checks["outcome"]) == {"fail", "question", "flag"}


@pytest.mark.parametrize(
    ("cause", "consequence"),
    [
        ("RV-013", "RV-012"),  # a change in percent also spoils the mean
        ("RV-009", "RV-001"),  # wrong member months also spoil every PMPM
        ("RV-045", "RV-003"),
        ("RV-003", "RV-004"),
        ("RV-004", "RV-005"),
        ("RV-059", "RV-006"),
        ("RV-006", "RV-007"),
        *((f"RV-{n:03}", "RV-007") for n in (40, 42, 65, 69, 70, 71, 73, 74, 75)),
        ("RV-007", "RV-008"),
        *((f"RV-{n:03}", "RV-008") for n in (28, 29, 30)),
        *((f"RV-{n:03}", "RV-023") for n in (8, 18, 19, 20, 21)),
        ("RV-007", "RV-011"),
        ("RV-017", "RV-012"),
    ],
)
def test_a_cause_stands_before_what_follows_from_it(cause, consequence):
    place = dict(table("reviewer_checks").select("check_id", "cause_order").rows())
    assert place[cause] < place[consequence]


def test_a_threshold_is_the_number_that_is_written():
    """`threshold` is the text of the source; the number to compute with must be in it."""
    written = dict(table("reviewer_checks").select("check_id", "threshold").rows())
    rules = printed("review_check_rules").filter(pl.col("kind").is_in(["abs", "rel"]))
    assert rules.height >= 12
    for check_id, measure, kind, value in rules.rows():
        found = re.search(rf"\b{kind} ([0-9.]+(?:e-?[0-9]+)?)", written[check_id])
        assert measure == "difference"
        assert found is not None
        assert Decimal(found[1]) == Decimal(value), check_id
    bounds = printed("review_check_rules").filter(pl.col("check_id") == "RV-013", pl.col("measure") == "rate_change")
    assert bounds.select("kind", "value").rows() == [("min", "-0.5"), ("max", "1")]  # "abs(rate change) > 1 or < -0.5"


# ---- fees, thresholds, ids ----


def test_user_fees_by_year():
    fees = printed("exchange_user_fees")
    by_type = dict(fees.group_by("exchange_type").agg(pl.col("plan_year").sort()).rows())
    assert by_type == {"FFE": [str(y) for y in range(2014, 2028)], "SBE-FP": [str(y) for y in range(2017, 2028)]}
    wanted = {("2014", "FFE"): "0.035", ("2026", "FFE"): "0.025", ("2027", "FFE"): "0.019", ("2027", "SBE-FP"): "0.015"}
    held = {(year, kind): fee for year, kind, fee in fees.select(fees.columns[:3]).rows()}
    assert {key: held[key] for key in wanted} == wanted
    assert all(held[year, "SBE-FP"] < fee for (year, kind), fee in held.items() if kind == "FFE" and year > "2016")


def test_the_review_threshold_by_year():
    for year, value in {2011: 0.10, 2018: 0.10, 2019: 0.15, 2027: 0.15}.items():
        thresholds = table("review_thresholds", year=year)
        assert thresholds.filter(pl.col("key") == "rate_increase_review")["value"].to_list() == [value]


def test_thresholds_of_other_tables_are_left_there():
    """Ratios and billed children stand in rating/rating_rules, loss ratios in transfers/mlr_tables."""
    keys = set(table("review_thresholds")["key"])
    elsewhere = {"age_ratio_max_adult", "tobacco_ratio_max", "billable_children_under_21_max"}
    elsewhere |= {"mlr_standard", "mlr_full_credibility_life_years", "mlr_min_credibility_life_years"}
    assert not keys & elsewhere
    rules = dict(data_specs.table("rating/rating_rules").select("rule", "value").rows())
    held = [rules[f"max_{kind}"] for kind in ("adult_age_ratio", "tobacco_ratio")]
    assert [*held, rules["children_charged_per_policy_max"]] == ["3.0", "1.5", "3"]
    ratios = data_specs.table("transfers/mlr_tables").filter(pl.col("table") == "standard")
    assert dict(ratios.select("key", "value").rows()) == {
        "individual": "0.80",
        "small_group": "0.80",
        "large_group": "0.85",
    }


def test_each_id_has_the_shape_of_its_example():
    for row in table("hios_id_grammar").to_dicts():
        assert re.fullmatch(row["pattern"], row["example"]), row["identifier"]
        assert row["length"] in (None, len(row["example"])), row["identifier"]
