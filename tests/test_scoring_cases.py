"""The product against results worked without it: by hand, drawn and computed elsewhere, and from the rules."""

from collections import defaultdict
from typing import Any

import generate
import polars as pl
import pytest
from cases.hhs_hcc import reading

import riskadjust


def population_of(cases: list[dict[str, Any]]) -> generate.Population:
    """The four frames of some cases, the case id as the enrollee id."""
    records: dict[str, list[dict[str, Any]]] = {name: [] for name in generate.SCHEMAS}
    for case in cases:
        own = {"enrollee_id": case["id"]}
        records["enrollees"].append(own | {"birth_date": case["birth_date"], "sex": case["sex"]})
        for name in ("spans", "diagnoses", "drugs"):
            columns = [*generate.SCHEMAS[name], *generate.SCOPE_COLUMNS]
            records[name] += [own | {key: row[key] for key in columns if key in row} for row in case[name]]
    return generate.frames(records, with_scope=any("issuer_id" in span for case in cases for span in case["spans"]))


def result_rows(scores: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """Enrollee -> result rows, with the scores as whole thousandths."""
    found = defaultdict(list)
    for row in scores.to_dicts():
        row["milli"] = {metal: reading.milli(row[f"score_{metal}"]) for metal in reading.METALS}
        row["risk_milli"] = reading.milli(row["risk_score"])
        found[row["enrollee_id"]].append(row)
    return found


def scored_differences(cases: list[dict[str, Any]]) -> list[str]:
    """The differences of some cases, scored in one call per benefit year, settings and kind of input."""
    batches = defaultdict(list)
    for case in cases:
        with_scope = any("issuer_id" in span for span in case["spans"])
        batches[case["benefit_year"], tuple(sorted(case["settings"].items())), with_scope].append(case)
    wrong = []
    for (benefit_year, settings, _), batch in batches.items():
        frames = population_of(batch)
        result = riskadjust.score(*frames, benefit_year=benefit_year, explain=True, settings=dict(settings) or None)
        rows = result_rows(result.scores)
        wrong += [text for case in batch for text in reading.all_differences(case, rows[case["id"]])]
    return wrong


def plan_cases() -> list[dict[str, Any]]:
    """The worked cases with spans."""
    return [case for case in reading.worked() if case["given"] is None]


@pytest.mark.every_case
@pytest.mark.parametrize("benefit_year", reading.YEARS)
def test_hand_and_synthetic_cases(benefit_year):
    cases = [*reading.hand(), *reading.synthetic()]
    cases = [case for case in reading.by_year(cases)[benefit_year] if not case["uncertain"]]
    assert scored_differences(cases) == []


@pytest.mark.parametrize("topic", [topic for topic in reading.TOPICS if topic != "given_ages"])
def test_worked_cases(topic):
    cases = [case for case in reading.worked_of(topic) if case["given"] is None]
    assert cases
    assert scored_differences(cases) == []


@pytest.mark.parametrize("number", range(0, 240, 40))
def test_worked_case_scored_alone(number):
    assert scored_differences([plan_cases()[number]]) == []


@pytest.mark.parametrize("as_tables", [False, True])
@pytest.mark.parametrize("benefit_year", [2019, 2024, 2025])
def test_given_ages(tmp_path, benefit_year, as_tables):
    cases = [case for case in reading.worked() if case["given"] and case["benefit_year"] == benefit_year]
    assert cases
    generate.write_layout(tmp_path, cases)
    source = riskadjust.read_diy(tmp_path) if as_tables else tmp_path
    result = riskadjust.score_diy(source, benefit_year=benefit_year, explain=True)
    rows = result_rows(result.scores.with_columns(plan_id=None, csr_variant=None))
    assert [text for case in cases for text in reading.all_differences(case, rows[case["id"]])] == []


def test_two_issuers_without_issuer_columns_are_not_scored():
    case = next(case for case in plan_cases() if case["title"] == "Two issuers, records carry issuer and market")
    frames = population_of([case])
    bare = [frame.drop("issuer_id", "market", strict=False) for frame in frames]
    result = riskadjust.score(*bare, benefit_year=2025)
    assert result.scores.height == 0
    assert "HCC-005" in result.findings["rule_id"].to_list()
    assert (result.counts["accepted"] + result.counts["rejected"] == result.counts["input"]).all()
    together = riskadjust.score(*bare, benefit_year=2025, settings={"person_scope": "enrollee"})
    assert together.scores.height == 2


def test_a_pair_without_a_published_factor_is_a_finding():
    case = next(case for case in plan_cases() if case["title"] == "94% variant on gold")
    result = riskadjust.score(*population_of([case]), benefit_year=2025)
    assert result.scores["csr_adjusted_score"].to_list() == [None]
    assert result.scores["risk_score"].null_count() == 0
    assert "HCC-004" in result.findings["rule_id"].to_list()
