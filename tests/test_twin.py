"""The product equals the slow twin bit for bit on generated populations, and its results do not depend on the way
the input is ordered, cut or spread over threads.

The default run takes 500 enrollees per model and benefit year, the slow run 10,000.
"""

import functools
import io
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import generate
import oracle
import polars as pl
import pytest

import riskadjust

YEARS = (2018, 2019, 2021, 2022, 2023, 2024, 2025, 2026)
KEY = ["enrollee_id", "plan_id", "csr_variant", "metal_level"]
EQUAL = ["model", "age_last", "enrollment_days", "enrollment_months", "hcc_count", "hccs", "rxcs", "variables"]
RULE_OF_STATUS = {
    "date_missing": "HCC-010",
    "date_outside_year": "MED-028",
    "before_birth": "HCC-011",
    "after_age_last": "HCC-012",
    "more_than_a_year_before_age_last": "HCC-013",
    "no_crosswalk_row": "HCC-020",
    "not_valid_in_fiscal_year": "HCC-021",
    "mce_age": "HCC-022",
    "mce_sex": "HCC-023",
    "no_branch": "HCC-024",
}
SETTINGS = [
    {"leap_birthday": "february_28", "duration_scope": "plan"},
    {"unknown_fiscal_year": "reject", "mce_sex_fourth_quarter": "none"},
    {"drug_list_release": "first", "adjusted_score_rounding": "three_decimals"},
]


@functools.cache
def everyone(benefit_year: int, size: int) -> generate.Population:
    """All three models in one population."""
    parts = [generate.population(benefit_year, model, size, 5) for model in oracle.MODELS]
    return generate.Population(*[pl.concat(frames) for frames in zip(*parts, strict=True)])


def records_by_enrollee(frame: pl.DataFrame) -> dict[str, list[dict[str, Any]]]:
    found = defaultdict(list)
    for row in frame.to_dicts():
        found[row["enrollee_id"]].append(row)
    return found


def twin(people: generate.Population, benefit_year: int, settings: dict | None = None) -> list[dict[str, Any]]:
    """What the twin makes of a population, sorted by key; every row carries the counted diagnosis statuses."""
    spans, diagnoses, drugs = (records_by_enrollee(frame) for frame in people[1:])
    rows = []
    for enrollee in people.enrollees.sort("enrollee_id").to_dicts():
        own = enrollee["enrollee_id"]
        scored = oracle.score_person(
            oracle.load_tables(benefit_year),
            birth_date=enrollee["birth_date"],
            sex=enrollee["sex"],
            spans=spans[own],
            diagnoses=diagnoses[own],
            drugs=drugs[own],
            settings=settings,
        )
        rows += [row | {"enrollee_id": own} for row in scored]
    return rows


def differences(expected: list[dict[str, Any]], scores: pl.DataFrame) -> list[str]:
    """Every cell in which the product differs from the twin."""
    found = scores.to_dicts()
    if [[row[name] for name in KEY] for row in expected] != [[row[name] for name in KEY] for row in found]:
        return [f"keys differ: {len(expected)} rows expected, {len(found)} found"]
    wrong = []
    for want, have in zip(expected, found, strict=True):
        pairs = [(name, want[name], have[name]) for name in EQUAL]
        pairs += [(metal, want["milli"][metal], round(have[f"score_{metal}"] * 1000)) for metal in oracle.METALS]
        pairs += [(f"score_{metal}", want[f"score_{metal}"], have[f"score_{metal}"]) for metal in oracle.METALS]
        # the twin's adjusted score is the double nearest to the exact product, so it is one number, not a range
        pairs += [(name, want[name], have[name]) for name in ("risk_score", "csr_factor", "csr_adjusted_score")]
        wrong += [f"{have['enrollee_id']} {name}: {a} in the twin, {b}" for name, a, b in pairs if a != b]
    return wrong


def refusals(counted: dict[str, int]) -> dict[str, int]:
    """Rule -> refused diagnoses. An unknown code with a bad age may stand under either rule, so those are one sum."""
    either = ("HCC-011", "HCC-012", "HCC-013", "HCC-020")
    found = {rule: rows for rule, rows in counted.items() if rule in RULE_OF_STATUS.values() and rule not in either}
    return found | {"unknown code or bad age": sum(counted.get(rule, 0) for rule in either)}


def twin_refusals(expected: list[dict[str, Any]]) -> dict[str, int]:
    """The same from the statuses of the twin, each enrollee once."""
    statuses = {row["enrollee_id"]: row["diagnosis_status"] for row in expected}
    counted = Counter(status for own in statuses.values() for status in own)
    return refusals({rule: counted[status] for status, rule in RULE_OF_STATUS.items() if counted[status]})


def check_population(people: generate.Population, benefit_year: int, settings: dict | None = None) -> None:
    result = riskadjust.score(*people, benefit_year=benefit_year, explain=True, settings=settings)
    expected = twin(people, benefit_year, settings)
    assert len(expected) >= people.enrollees.height
    wrong = differences(expected, result.scores)
    assert not wrong, f"{len(wrong)} cells differ, first: {wrong[:5]}"
    counts = result.counts
    assert (counts["accepted"] + counts["rejected"] == counts["input"]).all()
    if not settings:
        fired = dict(result.findings.filter(pl.col("table") == "diagnoses").select("rule_id", "rows").iter_rows())
        assert refusals(fired) == twin_refusals(expected)


@pytest.mark.every_case
@pytest.mark.parametrize("benefit_year", YEARS)
def test_twin(benefit_year):
    check_population(everyone(benefit_year, 500), benefit_year)


@pytest.mark.slow
@pytest.mark.parametrize("model", oracle.MODELS)
@pytest.mark.parametrize("benefit_year", YEARS)
def test_twin_of_ten_thousand(benefit_year, model):
    check_population(generate.population(benefit_year, model, 10_000, 2), benefit_year)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(settings))
@pytest.mark.parametrize("benefit_year", [pytest.param(2024, marks=pytest.mark.slow), 2026])
def test_twin_with_settings(benefit_year, settings):
    check_population(everyone(benefit_year, 80), benefit_year, settings)


@pytest.mark.parametrize("settings", [{}, {"person_scope": "enrollee"}, {"duration_scope": "plan"}], ids=str)
def test_twin_of_two_issuers_and_markets(settings):
    people = generate.population_of_two_scopes(2025, 100, 4)
    check_population(people, 2025, settings | {"leap_birthday": "march_1"})


@pytest.mark.parametrize("benefit_year", [2019, 2023, 2026])
def test_twin_of_given_ages(tmp_path, benefit_year):
    people = [one for model in oracle.MODELS for one in generate.people_of_given_ages(benefit_year, model, 25, 6)]
    generate.write_layout(tmp_path, people)
    result = riskadjust.score_diy(tmp_path, benefit_year=benefit_year, explain=True)
    expected = []
    for one in people:
        row = oracle.score_given_ages(
            oracle.load_tables(benefit_year),
            age_last=one["given"]["age_last"],
            months=one["given"]["enrollment_months"],
            metal=one["given"]["metal_level"],
            csr_indicator=one["given"]["csr_indicator"],
            **{name: one[name] for name in ("birth_date", "sex", "diagnoses", "drugs")},
        )
        expected.append(row | dict.fromkeys(("plan_id", "csr_variant", "enrollment_days")) | {"enrollee_id": one["id"]})
    without_spans = {"plan_id": None, "csr_variant": None, "enrollment_days": None}
    expected.sort(key=lambda row: row["enrollee_id"])
    wrong = differences(expected, result.scores.with_columns(**without_spans))
    assert not wrong, f"{len(wrong)} cells differ, first: {wrong[:5]}"


# ---- order, batches, threads ----


def frame_bytes(frame: pl.DataFrame) -> bytes:
    """The frame as the Parquet file a user gets; memory under nulls and the layout of text views are no result."""
    sink = io.BytesIO()
    frame.rechunk().write_parquet(sink)
    return sink.getvalue()


def result_bytes(people: generate.Population, benefit_year: int) -> dict[str, bytes]:
    result = riskadjust.score(*people, benefit_year=benefit_year, explain=True)
    named = {"scores": result.scores, "findings": result.findings, "counts": result.counts}
    named |= {f"rejected {table}": frame for table, frame in result.rejected.items()}
    return {name: frame_bytes(frame) for name, frame in named.items()} | {"uncertain": frame_bytes(result.uncertain)}


def shuffled(people: generate.Population, seed: int) -> generate.Population:
    frames = [frame.sample(fraction=1.0, shuffle=True, seed=seed + place) for place, frame in enumerate(people)]
    return generate.Population(*frames)


@pytest.mark.parametrize(("seed", "threads"), [(11, "1"), (12, "2")])
def test_shuffled_rows_give_the_same_bytes(monkeypatch, seed, threads):
    people = everyone(2025, 200)
    expected = result_bytes(people, 2025)
    monkeypatch.setenv("POOLWISE_THREADS", threads)
    assert result_bytes(shuffled(people, seed), 2025) == expected


@pytest.mark.parametrize("batch_size", [1, 37, 149])
def test_batches_give_the_same_bytes(batch_size):
    people = everyone(2023, 3 if batch_size == 1 else 50)
    whole = riskadjust.score(*people, benefit_year=2023, explain=True).scores
    ids = people.enrollees["enrollee_id"]
    parts = []
    for start in range(0, len(ids), batch_size):
        own = ids[start : start + batch_size]
        frames = [frame.filter(pl.col("enrollee_id").is_in(own.implode())) for frame in people]
        parts.append(riskadjust.score(*frames, benefit_year=2023, explain=True).scores)
    assert frame_bytes(pl.concat(parts).sort(KEY)) == frame_bytes(whole)


THREADED_RUN = """
import sys
import polars as pl
import riskadjust

folder = sys.argv[1]
names = ("enrollees", "spans", "diagnoses", "drugs")
frames = [pl.read_parquet(f"{folder}/{name}.parquet") for name in names]
result = riskadjust.score(*frames, benefit_year=2025, explain=True)
result.scores.write_parquet(f"{folder}/{sys.argv[2]}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_process_of_other_threads_gives_the_same_bytes(tmp_path: Path, threads):
    """The tests themselves run with as many threads as there are cores."""
    people = everyone(2025, 200)
    for name, frame in people._asdict().items():
        frame.write_parquet(tmp_path / f"{name}.parquet")
    riskadjust.score(*people, benefit_year=2025, explain=True).scores.write_parquet(tmp_path / "here")
    environment = os.environ | {"POOLWISE_THREADS": threads, "POLARS_MAX_THREADS": threads}
    command = [sys.executable, "-c", THREADED_RUN, str(tmp_path), "there"]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()
    assert pl.read_parquet(tmp_path / "there").height >= people.enrollees.height
