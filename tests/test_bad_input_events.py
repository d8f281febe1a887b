"""Diagnoses and drugs that scoring cannot use, and people under two issuers: each row is set aside by its rule."""

from typing import Any

import polars as pl
import pytest
from cases.bad_input.frames import (
    CLEAN,
    DAY,
    FIRST,
    LAST,
    PATTERN,
    PLAN,
    TABLES,
    YEAR,
    Frames,
    check_accounts,
    check_others_unmoved,
    check_set_aside,
    rows_of,
    score,
    with_rows,
)

# ---- two issuers or markets ----


def two_issuers(**columns: list[Any]) -> Frames:
    spans = rows_of(
        "enrollment_spans",
        ["moved", "moved"],
        plan_id=[PLAN, "54321YY0020001"],
        span_start=[FIRST, DAY(YEAR, 7, 1)],
        span_end=[DAY(YEAR, 6, 30), LAST],
    )
    events = {
        "diagnoses": rows_of("diagnoses", ["moved", "moved"], diagnosis_code=["E1169", "B20"], **columns),
        "drugs": rows_of("drugs", ["moved", "moved"], **columns),
    }
    return {"enrollees": rows_of("enrollees", ["moved"]), "enrollment_spans": spans} | events


def test_two_issuers_without_issuer_columns():
    frames = two_issuers()
    result = score(frames)
    check_accounts(result, frames)
    assert result.scores.height == 0
    check_set_aside(result, "enrollment_spans", frames["enrollment_spans"].with_columns(rule_id=pl.lit("HCC-005")))
    check_set_aside(result, "enrollees", frames["enrollees"].with_columns(rule_id=pl.lit("HCC-001")))
    check_set_aside(result, "diagnoses", frames["diagnoses"].with_columns(rule_id=pl.lit("HCC-014")))
    check_set_aside(result, "drugs", frames["drugs"].with_columns(rule_id=pl.lit("HCC-030")))


def test_two_issuers_without_issuer_columns_leave_others_alone():
    own = two_issuers()
    frames = with_rows(**own)
    result = score(frames)
    check_accounts(result, frames)
    assert set(result.scores["enrollee_id"]) == set(CLEAN)
    check_others_unmoved(result)


def test_two_issuers_with_issuer_columns():
    frames = two_issuers(issuer_id=["12345", "54321"])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    assert result.rejected == {}
    rows = {row["plan_id"]: row for row in result.scores.to_dicts()}
    assert [rows[p]["hccs"] for p in (PLAN, "54321YY0020001")] == [["020"], ["001"]]
    assert [rows[p]["enrollment_days"] for p in (PLAN, "54321YY0020001")] == [181, 184]


def test_events_of_an_unknown_issuer():
    frames = two_issuers(issuer_id=["99999", None])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    check_set_aside(result, "diagnoses", frames["diagnoses"].with_columns(rule_id=pl.lit("HCC-014")))
    check_set_aside(result, "drugs", frames["drugs"].with_columns(rule_id=pl.lit("HCC-030")))
    assert result.scores["hccs"].to_list() == [[], []]


def test_two_issuers_taken_as_one_person():
    frames = two_issuers()
    result = score(frames, explain=True, settings={"person_scope": "enrollee"})
    check_accounts(result, frames)
    assert result.scores["hccs"].to_list() == [["001", "020"]] * 2
    assert result.scores["enrollment_days"].to_list() == [365, 365]


# ---- diagnoses ----

BAD_DIAGNOSES: dict[str, tuple[dict[str, Any], str]] = {
    "malformed-word": ({"diagnosis_code": "DIABETES"}, "MED-013"),
    "malformed-short": ({"diagnosis_code": "E1"}, "MED-013"),
    "malformed-icd9": ({"diagnosis_code": "250.00"}, "MED-013"),
    "malformed-blank": ({"diagnosis_code": ""}, "MED-013"),
    "malformed-dots": ({"diagnosis_code": "..."}, "MED-013"),
    "malformed-inside": ({"diagnosis_code": "E11 69"}, "MED-013"),
    "malformed-mark": ({"diagnosis_code": "E11.69!"}, "MED-013"),
    "malformed-accent": ({"diagnosis_code": "É11.69"}, "MED-013"),
    "malformed-null": ({"diagnosis_code": None}, "MED-013"),
    "date-null": ({"service_date": None}, "HCC-010"),
    "date-before-year": ({"service_date": DAY(YEAR - 1, 12, 31)}, "MED-028"),
    "date-after-year": ({"service_date": DAY(YEAR + 1, 1, 1)}, "MED-028"),
    "date-year-one": ({"service_date": DAY(1, 1, 1)}, "MED-028"),
}


def test_unusable_diagnoses():
    ids = list(BAD_DIAGNOSES)
    changed = [PATTERN["diagnoses"] | change for change, _ in BAD_DIAGNOSES.values()]
    bad = rows_of("diagnoses", ids, **{c: [row[c] for row in changed] for c in PATTERN["diagnoses"]})
    frames = with_rows(
        enrollees=rows_of("enrollees", ids), enrollment_spans=rows_of("enrollment_spans", ids), diagnoses=bad
    )
    result = score(frames, explain=True)
    check_accounts(result, frames)
    rules = pl.Series([rule for _, rule in BAD_DIAGNOSES.values()])
    check_set_aside(result, "diagnoses", bad.with_columns(rule_id=rules))
    own = result.scores.filter(pl.col("enrollee_id").is_in(ids))
    assert own.height == len(ids)  # a bad diagnosis costs no enrollee
    assert own["hccs"].list.len().sum() == 0
    check_others_unmoved(score(frames))


def test_diagnoses_of_unknown_enrollees():
    bad = rows_of("diagnoses", ["nobody", "clean-woman ", "CLEAN-WOMAN", None, ""])
    frames = with_rows(diagnoses=bad)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "diagnoses", bad.with_columns(rule_id=pl.lit("HCC-014")))


def test_diagnoses_before_birth_and_at_another_age():
    births = {"newborn": DAY(YEAR, 6, 15), "left-early": DAY(1980, 6, 1)}
    ids = list(births)
    spans = rows_of("enrollment_spans", ids, span_start=[DAY(YEAR, 6, 15), FIRST], span_end=[LAST, DAY(YEAR, 2, 28)])
    diagnoses = rows_of(
        "diagnoses",
        ["newborn", "newborn", "left-early", "left-early"],
        service_date=[DAY(YEAR, 6, 14), DAY(YEAR, 6, 15), DAY(YEAR, 5, 31), DAY(YEAR, 6, 1)],
    )
    frames = with_rows(
        enrollees=rows_of("enrollees", ids, birth_date=list(births.values())),
        enrollment_spans=spans,
        diagnoses=diagnoses,
    )
    result = score(frames)
    check_accounts(result, frames)
    expected = diagnoses[[0, 3]].with_columns(rule_id=pl.Series(["HCC-011", "HCC-012"]))
    check_set_aside(result, "diagnoses", expected)


@pytest.mark.parametrize("spelled", ["E11.69", "e1169", " E1169 ", "e11.69", "E1.1.6.9"])
def test_diagnosis_codes_in_other_spellings(spelled):
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["diagnoses"] = rows_of("diagnoses", ["a"], diagnosis_code=[spelled])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    assert result.scores["hccs"].to_list() == [["020"]]
    assert result.findings.filter(rule_id="MED-015")["rows"].item() == 1


def test_a_code_is_never_matched_by_its_beginning():
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["diagnoses"] = rows_of("diagnoses", ["a", "a"], diagnosis_code=["E116", "E11699"])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    assert result.scores["hccs"].to_list() == [[]]
    assert result.findings.filter(rule_id="HCC-020")["rows"].item() == 2
    assert result.rejected == {}


# ---- drugs ----

BAD_DRUGS: dict[str, tuple[dict[str, Any], str]] = {
    "type-other": ({"code_type": "rx"}, "HCC-033"),
    "type-blank": ({"code_type": ""}, "HCC-033"),
    "type-null": ({"code_type": None}, "HCC-033"),
    "ndc-ten": ({"code": "0003196401"}, "RX-003"),
    "ndc-nine": ({"code": "003196401"}, "RX-001"),
    "ndc-twelve": ({"code": "000031964011"}, "RX-001"),
    "ndc-word": ({"code": "aspirin"}, "RX-001"),
    "ndc-hyphen-long": ({"code": "000003-1964-01"}, "RX-001"),
    "ndc-blank": ({"code": ""}, "RX-001"),
    "ndc-null": ({"code": None}, "RX-001"),
    "hcpcs-four": ({"code_type": "hcpcs", "code": "J020"}, "HCC-035"),
    "hcpcs-mark": ({"code_type": "hcpcs", "code": "J02.2"}, "HCC-035"),
    "hcpcs-ndc": ({"code_type": "hcpcs"}, "HCC-035"),
    "hcpcs-null": ({"code_type": "hcpcs", "code": None}, "HCC-035"),
    "date-null": ({"service_date": None}, "HCC-031"),
    "date-before-year": ({"service_date": DAY(YEAR - 1, 12, 31)}, "HCC-032"),
    "date-after-year": ({"service_date": DAY(YEAR + 1, 1, 1)}, "HCC-032"),
}


def test_unusable_drugs():
    ids = list(BAD_DRUGS)
    changed = [PATTERN["drugs"] | change for change, _ in BAD_DRUGS.values()]
    bad = rows_of("drugs", ids, **{c: [row[c] for row in changed] for c in PATTERN["drugs"]})
    frames = with_rows(
        enrollees=rows_of("enrollees", ids), enrollment_spans=rows_of("enrollment_spans", ids), drugs=bad
    )
    result = score(frames, explain=True)
    check_accounts(result, frames)
    check_set_aside(result, "drugs", bad.with_columns(rule_id=pl.Series([rule for _, rule in BAD_DRUGS.values()])))
    own = result.scores.filter(pl.col("enrollee_id").is_in(ids))
    assert own.height == len(ids)
    assert own["rxcs"].list.len().sum() == 0


def test_drugs_of_unknown_enrollees():
    bad = rows_of("drugs", ["nobody", None, ""])
    frames = with_rows(drugs=bad)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "drugs", bad.with_columns(rule_id=pl.lit("HCC-030")))


@pytest.mark.parametrize("spelled", ["00003196401", " 00003196401 ", "00003-1964-01", "0003-1964-01", "00003-1964-1"])
def test_drug_codes_in_other_spellings(spelled):
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["drugs"] = rows_of("drugs", ["a"], code=[spelled], code_type=[" NDC "])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    assert result.scores["rxcs"].to_list() == [["01"]]


def test_unmapped_drug_codes_are_counted_and_kept():
    codes = ["99999999999", "J9999"]
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["drugs"] = rows_of("drugs", ["a", "a"], code=codes, code_type=["ndc", "hcpcs"])
    result = score(frames)
    check_accounts(result, frames)
    assert result.findings.filter(rule_id="HCC-034")["rows"].item() == 2
    assert result.rejected == {}
