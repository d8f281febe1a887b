"""The data validation: bad input is refused with its rule, settings and tables are checked."""

from typing import Any

import polars as pl
import pytest
from radv_markets import audit, carriers, plan_rows, statistics

import data_specs
from data_specs.errors import InputRefused, SettingRefused, TableMissing, TableRefused
from riskadjust import radv_adjustment
from riskadjust._radv_settings import RadvTerms

GOOD = audit(carriers("11111", "HCC008", both=3, lost=1))


def spoiled(table: str, column: str, value: Any) -> dict[str, pl.DataFrame]:
    frame = GOOD[table]
    values = [value, *frame[column].to_list()[1:]]
    return GOOD | {table: frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))}


@pytest.mark.parametrize(
    ("table", "column", "value", "rule"),
    [
        ("sample", "issuer_id", " ", "RDV-001"),
        ("sample", "enrollee_id", None, "RDV-001"),
        ("sample", "enrollee_id", "HCC008 both 1", "RDV-001"),
        ("sample", "stratum", None, "RDV-002"),
        ("sample", "stratum", "", "RDV-002"),
        ("sample", "stratum_weight", 0.0, "RDV-003"),
        ("sample", "stratum_weight", -1.0, "RDV-003"),
        ("sample", "stratum_weight", None, "RDV-003"),
        ("sample", "stratum_weight", float("inf"), "RDV-003"),
        ("sample", "stratum_weight", 7.0, "RDV-003"),
        ("sample", "risk_score", None, "RDV-004"),
        ("sample", "risk_score", -0.1, "RDV-004"),
        ("sample", "risk_score", float("nan"), "RDV-004"),
        ("sample", "model", "elder", "RDV-005"),
        ("sample", "model", None, "RDV-005"),
        ("hccs", "hcc", " ", "RDV-006"),
        ("hccs", "enrollee_id", "nobody", "RDV-007"),
        ("hccs", "hcc", "HCC999", "RDV-008"),
        ("hccs", "hcc", "diabetes", "RDV-008"),
        ("hccs", "hcc", "HCC028", "RDV-008"),
        ("hccs", "is_found", None, "RDV-009"),
        ("hccs", "is_submitted", None, "RDV-009"),
        ("hccs", "hcc_score", None, "RDV-010"),
        ("hccs", "hcc_score", -0.5, "RDV-010"),
        ("hccs", "hcc_score", float("nan"), "RDV-010"),
    ],
)
def test_bad_rows_are_refused(table, column, value, rule):
    frames = spoiled(table, column, value)
    if (table, column) == ("sample", "enrollee_id") and value:
        frames["sample"] = pl.concat([frames["sample"], frames["sample"][:1]])
    with pytest.raises(InputRefused, match=rule) as refused:
        radv_adjustment(frames, benefit_year=2021)
    assert "nobody" not in str(refused.value)


def test_an_hcc_stands_once_whatever_its_spelling():
    again = GOOD["hccs"][:1].with_columns(hcc=pl.lit("8"))
    with pytest.raises(InputRefused, match="RDV-006"):
        radv_adjustment(GOOD | {"hccs": pl.concat([GOOD["hccs"], again])}, benefit_year=2018)


def test_columns_and_frames_that_are_missing():
    for column in ("stratum", "risk_score", "stratum_weight"):
        with pytest.raises(InputRefused, match=column):
            radv_adjustment(GOOD | {"sample": GOOD["sample"].drop(column)}, benefit_year=2018)
    with pytest.raises(InputRefused, match="RDV-005"):
        radv_adjustment(GOOD | {"sample": GOOD["sample"].drop("model")}, benefit_year=2021)
    assert radv_adjustment(GOOD | {"sample": GOOD["sample"].drop("model")}, benefit_year=2018)
    for frames in ({}, {"sample": GOOD["sample"]}, {"people": GOOD["sample"]}, None, {"sample": 1, "hccs": 2}):
        with pytest.raises(InputRefused):
            radv_adjustment(frames, benefit_year=2018)
    text = GOOD["hccs"].with_columns(is_found=pl.lit("yes"))
    with pytest.raises(InputRefused, match="true or false"):
        radv_adjustment(GOOD | {"hccs": text}, benefit_year=2018)


def test_nothing_submitted_or_no_score():
    nobody = GOOD["hccs"].with_columns(is_submitted=False, hcc_score=None)
    for hccs in (nobody, GOOD["hccs"].clear()):
        with pytest.raises(InputRefused, match="RDV-018"):
            radv_adjustment(GOOD | {"hccs": hccs}, benefit_year=2018)
    with pytest.raises(InputRefused, match="RDV-017"):
        radv_adjustment(GOOD | {"sample": GOOD["sample"].with_columns(risk_score=0.0)}, benefit_year=2018)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"submitted_hccs": 201}, "RDV-013"),
        ({"found_hccs": 201}, "RDV-013"),
        ({"found_hccs": -1}, "RDV-011"),
        ({"found_hccs": 1.5}, "RDV-011"),
        ({"submitted_hccs": None}, "RDV-011"),
        ({"issuer_id": ""}, "RDV-011"),
        ({"hcc": "HCC999"}, "RDV-008"),
    ],
)
def test_bad_counts_are_refused(changes, rule):
    row = {"issuer_id": "11111", "hcc": "HCC008", "submitted_hccs": 10, "found_hccs": 12} | changes
    rest = {"issuer_id": "22222", "hcc": "HCC008", "submitted_hccs": 10, "found_hccs": 12}
    with pytest.raises(InputRefused, match=rule):
        radv_adjustment({"counts": pl.DataFrame([row, rest], strict=False)}, benefit_year=2018)


def test_more_found_than_submitted_up_to_the_people_of_the_sample():
    counts = pl.DataFrame({"issuer_id": ["11111"], "hcc": ["HCC008"], "submitted_hccs": [10], "found_hccs": [200]})
    assert radv_adjustment({"counts": counts}, benefit_year=2018).groups["failure_rate"][1] == -19
    small = pl.DataFrame({"issuer_id": ["11111"], "sample_size": [199]})
    with pytest.raises(InputRefused, match="RDV-013"):
        radv_adjustment({"counts": counts, "issuers": small}, benefit_year=2018)
    with pytest.raises(InputRefused, match="RDV-013"):
        radv_adjustment({"counts": counts}, benefit_year=2018, settings={"default_sample_size": 50})


@pytest.mark.parametrize(
    "columns",
    [
        {"issuer_id": ["11111", "11111"]},
        {"issuer_id": [""]},
        {"issuer_id": ["11111"], "is_exiting": pl.Series([None], dtype=pl.Boolean)},
        {"issuer_id": ["11111"], "billable_member_months": [-1.0]},
        {"issuer_id": ["11111"], "premium": [float("nan")]},
    ],
)
def test_bad_issuers_are_refused(columns):
    with pytest.raises(InputRefused, match="RDV-014"):
        radv_adjustment(GOOD | {"issuers": pl.DataFrame(columns)}, benefit_year=2018)


@pytest.mark.parametrize(
    "national",
    [
        {"statistics": statistics(0.1, -0.1)},
        {"statistics": statistics(float("nan"), 0.1)},
        {"statistics": statistics(1.1, 0.1)},
        {"statistics": statistics(0.1, 0.1, ("low", "high"))},
        {"statistics": statistics(0.1, 0.1, ("low", "middle", "high"))},
        {"statistics": statistics(0.1, 0.1, ("low", "low", "high"))},
        {"groups": pl.DataFrame({"hcc": ["HCC008"], "group": ["lowest"]})},
        {"groups": pl.DataFrame({"hcc": ["HCC001"], "group": ["low"]})},
        {"counts": pl.DataFrame({"hcc": ["HCC001"], "submitted_hccs": [5], "found_hccs": [5]})},
    ],
)
def test_bad_national_figures_are_refused(national):
    with pytest.raises(InputRefused, match="RDV-015"):
        radv_adjustment(GOOD, benefit_year=2018, national=national)


def test_one_unit_in_two_groups_is_refused():
    groups = pl.DataFrame({"hcc": ["HCC008", "HCC019", "HCC021"], "group": ["low", "low", "high"]})
    with pytest.raises(InputRefused, match="two groups"):
        radv_adjustment(GOOD, benefit_year=2019, national={"groups": groups})
    assert radv_adjustment(GOOD, benefit_year=2018, national={"groups": groups})
    with pytest.raises(InputRefused, match="mapping of frames"):
        radv_adjustment(GOOD, benefit_year=2018, national={"means": groups})


@pytest.mark.parametrize("year", [2014, 2015, 2016, 2027])
def test_a_year_without_error_rates_is_refused(year):
    with pytest.raises(InputRefused, match="RDV-016"):
        radv_adjustment(GOOD, benefit_year=year)


def test_settings_are_checked():
    for settings in (
        {"group_cut": "middle"},
        {"no_such": 1},
        {"slide_outer_z": 1},
        {"slide_inner_z": -1},
        {"outlier_z_static": 2},  # no term of 2021
        {"failure_rate_groups": 2.5},
        {"failure_rate_groups": 0},
        {"error_rate_scaling_factor": -1},
        {"error_rate_scaling_factor": "much"},
    ):
        with pytest.raises(SettingRefused):
            radv_adjustment(GOOD, benefit_year=2021, settings=settings)
    with pytest.raises(SettingRefused, match="no setting is called"):
        radv_adjustment(GOOD, benefit_year=2021, plan_rows=plan_rows("11111", "2"), settings={"no_such": 1})
    with pytest.raises(TableMissing):
        radv_adjustment(GOOD, benefit_year=2017, settings={"super_hcc": "sorting"})
    two = radv_adjustment(GOOD, benefit_year=2021, settings={"failure_rate_groups": 2})
    assert two.national["group"].to_list() == ["group_1", "group_2"]


def test_a_year_that_is_added_as_data(tmp_path):
    """Terms that are carried to 2027 serve the audits of 2027; wording that is not known is refused."""
    own = data_specs.table("transfers/radv_parameters")
    last = pl.col("last_audit_year")
    later = own.with_columns(pl.when(last == 2026).then(2027).otherwise(last).alias("last_audit_year"))
    later.write_csv(tmp_path / "radv_parameters.csv")
    with data_specs.use(tmp_path):
        assert radv_adjustment(GOOD, benefit_year=2027, settings={"super_hcc": "none"}).transfer_year == 2027
    for parameter in ("results_applied_to", "negative_rate_constraint"):
        odd = pl.col("parameter") == parameter
        other = own.with_columns(pl.when(odd).then(pl.lit("as it was")).otherwise("value").alias("value"))
        other.write_csv(tmp_path / "radv_parameters.csv")
        with data_specs.use(tmp_path), pytest.raises(TableRefused, match=parameter):
            RadvTerms(None, 2021)
