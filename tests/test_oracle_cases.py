"""The slow twin against results worked without it: by hand, drawn and computed elsewhere, and from the rules."""

from datetime import date
from typing import Any

import oracle
import pytest
from cases.hhs_hcc import reading


def twin_rows(case: dict[str, Any]) -> list[dict[str, Any]]:
    """What the twin makes of a case; spans with a plan, or the given ages of the do-it-yourself layout."""
    tables = oracle.load_tables(case["benefit_year"])
    person = {name: case[name] for name in ("birth_date", "sex", "diagnoses", "drugs", "settings")}
    given = case["given"]
    if given is None:
        return oracle.score_person(tables, spans=case["spans"], **person)
    row = oracle.score_given_ages(
        tables,
        age_last=given["age_last"],
        months=given["enrollment_months"],
        metal=given["metal_level"],
        csr_indicator=given["csr_indicator"],
        **person,
    )
    return [row | {"plan_id": None, "csr_variant": None}]


@pytest.mark.parametrize("benefit_year", reading.YEARS)
def test_hand_cases(benefit_year):
    for case in reading.by_year(reading.hand())[benefit_year]:
        rows = twin_rows(case)
        assert reading.all_differences(case, rows) == []
        assert rows[0]["contributions"] == reading.hand_contributions()[case["id"]], case["id"]


@pytest.mark.parametrize("topic", reading.TOPICS)
def test_worked_cases(topic):
    cases = reading.worked_of(topic)
    assert [text for case in cases for text in reading.all_differences(case, twin_rows(case))] == []


@pytest.mark.parametrize("benefit_year", reading.YEARS)
def test_synthetic_cases(benefit_year):
    cases = [case for case in reading.by_year(reading.synthetic())[benefit_year] if not case["uncertain"]]
    assert len(cases) > 100
    assert [text for case in cases for text in reading.all_differences(case, twin_rows(case))] == []


def test_the_cases_cover_the_models_and_years():
    worked = reading.worked()
    assert len({case["id"] for case in worked}) == len(worked) > 200
    covered = {(case["benefit_year"], row["model"]) for case in worked for row in case["expected"]}
    assert {year for year, _ in covered} == {2018, *reading.YEARS}
    assert set(reading.YEARS) == set(reading.by_year(reading.synthetic())) == set(reading.by_year(reading.hand()))
    assert {model for _, model in covered} == set(oracle.MODELS)


def test_a_wrong_expectation_is_noticed():
    case = reading.hand()[0]
    spoiled = case | {"expected": [case["expected"][0] | {"risk_milli": 1}]}
    assert len(reading.all_differences(spoiled, twin_rows(case))) == 1
    assert len(reading.all_differences(case | {"expected": []}, twin_rows(case))) == 1


STATUS_CASES = [
    ("A419", "2025-06-15", "accepted"),
    ("ZZZ99", "2025-06-15", "no_crosswalk_row"),
    ("A419", None, "date_missing"),
    ("A419", "2024-12-31", "date_outside_year"),
    ("A419", "2025-02-09", "before_birth"),
    ("G35", "2025-10-01", "not_valid_in_fiscal_year"),
    ("K7030", "2025-06-15", "mce_age"),
    ("F200", "2025-06-15", "no_branch"),
]


@pytest.mark.parametrize(("code", "day", "status"), STATUS_CASES)
def test_status_of_a_diagnosis_of_an_infant_of_2025(code, day, status):
    service_date = None if day is None else date.fromisoformat(day)
    (row,) = oracle.score_person(
        oracle.load_tables(2025),
        birth_date=date(2025, 2, 10),
        sex="F",
        spans=[
            {"plan_id": "12345XX0010001", "csr_variant": "01", "metal_level": "silver"}
            | {"span_start": date(2025, 2, 10), "span_end": date(2025, 12, 31)}
        ],
        diagnoses=[{"diagnosis_code": code, "service_date": service_date}],
        drugs=[],
    )
    assert row["diagnosis_status"] == [status]
