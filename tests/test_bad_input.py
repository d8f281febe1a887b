"""Enrollees and spans that scoring cannot use: each row is set aside by its rule, and nobody else's score moves."""

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
    check_accounts,
    check_nothing_told,
    check_others_unmoved,
    check_set_aside,
    clean_frames,
    rejected,
    rows_of,
    score,
    with_rows,
)

from data_specs.errors import InputRefused


def test_the_clean_frames_are_clean():
    frames = clean_frames()
    result = score(frames)
    check_accounts(result, frames)
    assert result.scores.height == len(CLEAN)
    assert result.rejected == {}
    assert sorted(result.scores["model"]) == ["adult", "child", "infant"]


# ---- enrollees ----

BAD_ENROLLEES: dict[str, tuple[Any, str | None, str]] = {
    "sex-unknown": (DAY(1980, 1, 1), "U", "MEM-007"),
    "sex-unknown-low": (DAY(1980, 1, 1), " u ", "MEM-007"),
    "sex-other": (DAY(1980, 1, 1), "X", "MEM-006"),
    "sex-word": (DAY(1980, 1, 1), "male", "MEM-006"),
    "sex-number": (DAY(1980, 1, 1), "3", "MEM-006"),
    "sex-blank": (DAY(1980, 1, 1), "", "MEM-006"),
    "sex-null": (DAY(1980, 1, 1), None, "MEM-006"),
    "birth-null": (None, "M", "MEM-004"),
    "birth-after-year": (DAY(YEAR + 1, 1, 1), "M", "MEM-004"),
    "birth-far-ahead": (DAY(9999, 12, 31), "M", "MEM-004"),
    "too-old": (DAY(YEAR - 121, 1, 1), "F", "MEM-005"),
    "year-one": (DAY(1, 1, 1), "F", "MEM-005"),
}


def test_unusable_enrollees():
    ids = list(BAD_ENROLLEES)
    births, sexes, rules = (list(column) for column in zip(*BAD_ENROLLEES.values(), strict=True))
    bad = {t: rows_of(t, ids) for t in TABLES} | {"enrollees": rows_of("enrollees", ids, birth_date=births, sex=sexes)}
    frames = with_rows(**bad)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollees", bad["enrollees"].with_columns(rule_id=pl.Series(rules)))
    assert set(result.scores["enrollee_id"]) == set(CLEAN)
    check_others_unmoved(result)
    # An unusable enrollee takes along spans, diagnoses and drugs; the spans of one too old say why themselves.
    too_old = [i for i, rule in zip(ids, rules, strict=True) if rule == "MEM-005"]
    gone = rejected(result, "enrollment_spans")
    assert set(gone["enrollee_id"]) == set(ids)
    assert gone["rule_id"].unique().sort().to_list() == ["HCC-002", "MEM-005"]
    assert gone.filter(rule_id="MEM-005")["enrollee_id"].to_list() == too_old
    for table, rule in (("diagnoses", "HCC-014"), ("drugs", "HCC-030")):
        orphans = rejected(result, table).filter(rule_id=rule)
        assert set(ids) <= set(orphans["enrollee_id"])


def test_ids_that_are_none():
    bad = rows_of("enrollees", [None, "", "   "])
    frames = with_rows(enrollees=bad, diagnoses=rows_of("diagnoses", [None, ""]), drugs=rows_of("drugs", [None]))
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollees", bad.with_columns(rule_id=pl.lit("MEM-001")))
    assert rejected(result, "diagnoses")["rule_id"].to_list() == ["HCC-014"] * 2
    assert rejected(result, "drugs")["rule_id"].to_list() == ["HCC-030"]
    check_others_unmoved(result)


def test_sex_in_other_spellings():
    spelled = {"m": "m", "M-blank": " M ", "1": "1", "f": "f", "2": "2"}
    ids = list(spelled)
    frames = {t: rows_of(t, ids) for t in TABLES} | {"enrollees": rows_of("enrollees", ids, sex=list(spelled.values()))}
    result = score(frames, explain=True)
    check_accounts(result, frames)
    bands = dict(result.scores.select("enrollee_id", pl.col("variables").list.join(" ")).rows())
    assert all(("MAGE_LAST_45_49" in bands[i]) == (i[0] in "mM1") for i in ids)
    assert all(("FAGE_LAST_45_49" in bands[i]) == (i[0] in "f2") for i in ids)


def test_coverage_that_ends_before_birth():
    ids = ["unborn", "born-later"]
    births = rows_of("enrollees", ids, birth_date=[DAY(YEAR, 12, 1), DAY(YEAR, 3, 1)])
    spans = rows_of("enrollment_spans", ids, span_end=[DAY(YEAR, 5, 31), LAST])
    frames = with_rows(enrollees=births, enrollment_spans=spans)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollees", births.head(1).with_columns(rule_id=pl.lit("HCC-040")))
    assert result.findings.filter(rule_id="MEM-011")["rows"].item() == 1  # the other begins before birth: noticed
    assert result.scores.filter(enrollee_id="born-later")["age_last"].item() == 0


def test_an_enrollee_without_spans():
    frames = with_rows(**{t: rows_of(t, ["uncovered"]) for t in TABLES if t != "enrollment_spans"})
    result = score(frames)
    check_accounts(result, frames)
    for table, rule in (("enrollees", "HCC-001"), ("diagnoses", "HCC-014"), ("drugs", "HCC-030")):
        check_set_aside(result, table, rows_of(table, ["uncovered"]).with_columns(rule_id=pl.lit(rule)))
    check_others_unmoved(result)


@pytest.mark.parametrize("second", [{}, {"sex": ["F"]}, {"birth_date": [DAY(1981, 1, 1)]}])
def test_an_id_twice_refuses_the_run(second):
    twice = pl.concat([rows_of("enrollees", ["secret-7"]), rows_of("enrollees", ["secret-7"], **second)])
    with pytest.raises(InputRefused, match=r"2 rows share an enrollee_id.*MEM-002, MEM-003") as caught:
        score(with_rows(enrollees=twice))
    check_nothing_told(caught.value, ["secret-7"])


def test_nobody_is_usable():
    frames = {t: rows_of(t, ["a", "b"]) for t in TABLES}
    frames["enrollees"] = rows_of("enrollees", ["a", "b"], sex=["U", "X"])
    result = score(frames, explain=True)
    check_accounts(result, frames)
    assert result.scores.height == 0
    assert result.counts["accepted"].to_list() == [0, 0, 0, 0]


# ---- spans ----

BAD_SPANS: dict[str, tuple[dict[str, Any], str]] = {
    "no-start": ({"span_start": None}, "SPAN-002"),
    "no-end": ({"span_end": None}, "SPAN-002"),
    "end-first": ({"span_start": DAY(YEAR, 6, 2), "span_end": DAY(YEAR, 6, 1)}, "SPAN-001"),
    "year-before": ({"span_start": DAY(YEAR - 1, 1, 1), "span_end": DAY(YEAR - 1, 12, 31)}, "SPAN-003"),
    "year-after": ({"span_start": DAY(YEAR + 1, 1, 1), "span_end": DAY(YEAR + 1, 12, 31)}, "SPAN-003"),
    "plan-short": ({"plan_id": "12345XX001000"}, "SPAN-009"),
    "plan-15": ({"plan_id": "12345XX00100010"}, "SPAN-009"),
    "plan-low": ({"plan_id": "12345xx0010001"}, "SPAN-009"),
    "plan-letters": ({"plan_id": "1234AXX0010001"}, "SPAN-009"),
    "plan-number": ({"plan_id": "12345110010001"}, "SPAN-009"),
    "plan-blank": ({"plan_id": ""}, "SPAN-009"),
    "plan-null": ({"plan_id": None}, "SPAN-009"),
    "variant-of-16": ({"plan_id": PLAN + "06"}, "HCC-007"),
    "variant-of-17": ({"plan_id": PLAN + "-02"}, "HCC-007"),
    "variant-letters": ({"csr_variant": "zz"}, "HCC-006"),
    "variant-three": ({"csr_variant": "001"}, "HCC-006"),
    "variant-sign": ({"csr_variant": "-"}, "HCC-006"),
    "metal-unknown": ({"metal_level": "tin"}, "PLAN-002"),
    "metal-blank": ({"metal_level": ""}, "PLAN-002"),
    "metal-null": ({"metal_level": None}, "PLAN-002"),
}


def test_unusable_spans():
    ids = list(BAD_SPANS)
    changed = [PATTERN["enrollment_spans"] | change for change, _ in BAD_SPANS.values()]
    columns = {c: [row[c] for row in changed] for c in PATTERN["enrollment_spans"]}
    bad = {t: rows_of(t, ids) for t in TABLES} | {"enrollment_spans": rows_of("enrollment_spans", ids, **columns)}
    frames = with_rows(**bad)
    result = score(frames)
    check_accounts(result, frames)
    rules = pl.Series([rule for _, rule in BAD_SPANS.values()])
    check_set_aside(result, "enrollment_spans", bad["enrollment_spans"].with_columns(rule_id=rules))
    for table, rule in (("enrollees", "HCC-001"), ("diagnoses", "HCC-014"), ("drugs", "HCC-030")):
        check_set_aside(result, table, bad[table].with_columns(rule_id=pl.lit(rule)))
    check_others_unmoved(result)


def test_a_bad_span_beside_a_good_one():
    ids = ["two-spans"] * 2
    spans = rows_of("enrollment_spans", ids, metal_level=["tin", "silver"], span_start=[FIRST, DAY(YEAR, 7, 1)])
    added = {t: rows_of(t, ["two-spans"]) for t in TABLES if t != "enrollment_spans"}
    frames = with_rows(**added, enrollment_spans=spans)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollment_spans", spans.head(1).with_columns(rule_id=pl.lit("PLAN-002")))
    assert result.scores.filter(enrollee_id="two-spans")["enrollment_days"].item() == 184


def test_spans_of_unknown_enrollees():
    spans = rows_of("enrollment_spans", ["nobody", None, ""])
    frames = with_rows(enrollment_spans=spans)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollment_spans", spans.with_columns(rule_id=pl.lit("HCC-002")))
    check_others_unmoved(result)


def test_spans_across_the_year_end_are_cut():
    ids = ["before", "after", "both"]
    starts = [DAY(YEAR - 1, 12, 1), DAY(YEAR, 12, 1), DAY(1, 1, 1)]
    ends = [DAY(YEAR, 1, 31), DAY(YEAR + 1, 1, 31), DAY(9999, 12, 31)]
    frames = with_rows(
        enrollees=rows_of("enrollees", ids),
        enrollment_spans=rows_of("enrollment_spans", ids, span_start=starts, span_end=ends),
    )
    result = score(frames)
    check_accounts(result, frames)
    days = dict(result.scores.select("enrollee_id", "enrollment_days").rows())
    assert [days[i] for i in ids] == [31, 31, 365]
    assert result.findings.filter(rule_id="SPAN-004").select("rows", "table").row(0) == (3, "enrollment_spans")
    assert result.rejected == {}


def test_repeated_and_overlapping_spans():
    span = ["repeated", "repeated", "repeated", "overlap", "overlap", "touch", "touch", "inside", "inside", "inside"]
    june, july = DAY(YEAR, 6, 30), DAY(YEAR, 7, 1)
    starts = [FIRST, FIRST, FIRST, FIRST, june, FIRST, july, FIRST, DAY(YEAR, 3, 1), DAY(YEAR, 9, 1)]
    ends = [LAST, LAST, LAST, june, LAST, june, LAST, june, DAY(YEAR, 3, 31), LAST]
    ids = ["repeated", "overlap", "touch", "inside"]
    spans = rows_of("enrollment_spans", span, span_start=starts, span_end=ends)
    frames = with_rows(enrollees=rows_of("enrollees", ids), enrollment_spans=spans)
    result = score(frames)
    check_accounts(result, frames)
    expected = pl.concat(
        [
            spans[:2].with_columns(rule_id=pl.lit("SPAN-005")),  # one of three equal spans is kept
            spans[3:5].with_columns(rule_id=pl.lit("SPAN-006")),  # one day in common: both are set aside
            spans[7:9].with_columns(rule_id=pl.lit("SPAN-006")),  # the third span of this enrollee stays
        ]
    )
    check_set_aside(result, "enrollment_spans", expected)
    check_set_aside(result, "enrollees", rows_of("enrollees", ["overlap"]).with_columns(rule_id=pl.lit("HCC-001")))
    days = dict(result.scores.select("enrollee_id", "enrollment_days").rows())
    assert (days["repeated"], days["touch"], days["inside"]) == (365, 365, 122)


def test_equal_days_in_two_variants_overlap():
    spans = rows_of("enrollment_spans", ["v", "v"], csr_variant=["01", "06"])
    frames = with_rows(enrollees=rows_of("enrollees", ["v"]), enrollment_spans=spans)
    result = score(frames)
    check_accounts(result, frames)
    check_set_aside(result, "enrollment_spans", spans.with_columns(rule_id=pl.lit("SPAN-006")))


@pytest.mark.parametrize("plan_id", [PLAN, PLAN + "06", PLAN + "-06", f" {PLAN} ", f"{PLAN}06 "])
@pytest.mark.parametrize("variant", ["06", "6", " 06", "", "  ", None])
def test_plan_ids_of_14_16_and_17_characters(plan_id, variant):
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["enrollment_spans"] = rows_of("enrollment_spans", ["a"], plan_id=[plan_id], csr_variant=[variant])
    result = score(frames)
    check_accounts(result, frames)
    row = result.scores.row(0, named=True)
    is_known = bool((variant or "").strip()) or len(plan_id.strip()) > len(PLAN)
    assert row["plan_id"] == PLAN
    assert row["csr_variant"] == ("06" if is_known else None)
    assert row["csr_factor"] == (1.12 if is_known else 1.0)  # a blank variant is "no CSR or unknown"
    assert ("HCC-003" in result.findings["rule_id"].to_list()) == (not is_known)


@pytest.mark.parametrize(
    ("variant", "metal_level"),
    [
        ("06", "gold"),
        ("04", "bronze"),
        ("02", "catastrophic"),
        ("03", "catastrophic"),
        ("99", "silver"),
        ("07", "silver"),
    ],
)
def test_a_variant_without_a_factor_has_no_adjusted_score(variant, metal_level):
    frames = with_rows(
        enrollees=rows_of("enrollees", ["a"]),
        enrollment_spans=rows_of("enrollment_spans", ["a"], csr_variant=[variant], metal_level=[metal_level]),
    )
    result = score(frames)
    check_accounts(result, frames)
    row = result.scores.filter(enrollee_id="a").row(0, named=True)
    assert row["risk_score"] > 0
    assert row["csr_factor"] is row["csr_adjusted_score"] is None
    assert result.findings.filter(rule_id="HCC-004")["rows"].item() == 1
    check_others_unmoved(result)


@pytest.mark.parametrize(
    ("spelled", "metal_level"),
    [
        ("Silver", "silver"),
        (" GOLD ", "gold"),
        ("Expanded Bronze", "expanded_bronze"),
        ("expanded-bronze", "expanded_bronze"),
    ],
)
def test_metal_levels_in_other_spellings(spelled, metal_level):
    frames = {t: rows_of(t, ["a"]) for t in TABLES}
    frames["enrollment_spans"] = rows_of("enrollment_spans", ["a"], metal_level=[spelled])
    assert score(frames).scores["metal_level"].to_list() == [metal_level]
