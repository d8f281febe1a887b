"""Bad input in the published do-it-yourself layout: rows are set aside by rule, files and tables refused."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import riskadjust
from data_specs.errors import InputRefused

YEAR = 2025
PERSON: dict[str, str | None] = {
    "SEX": "1",
    "DOB": "19800310",
    "AGE_LAST": "45",
    "METAL": "silver",
    "CSR_INDICATOR": "1",
    "ENROLDURATION": "12",
}
DIAGNOSIS: dict[str, str | None] = {"DIAG": "E1169", "DIAGNOSIS_SERVICE_DATE": "20250615", "AGE_AT_DIAGNOSIS": "45"}
Tables = dict[str, pl.DataFrame]


def rows_of(pattern: dict[str, str | None], changes: dict[str | None, dict[str, Any]]) -> pl.DataFrame:
    """One row per id, like the pattern but for the changes of that id."""
    rows = [{"ENROLID": enrolid} | pattern | change for enrolid, change in changes.items()]
    return pl.DataFrame(rows, schema=dict.fromkeys(["ENROLID", *pattern], pl.String))


def tables_of(changes: dict[str | None, dict[str, Any]]) -> Tables:
    """All four tables, with persons changed and one diagnosis and drug of each."""
    same: dict[str | None, dict[str, Any]] = {enrolid: {} for enrolid in changes}
    return {
        "person": rows_of(PERSON, changes),
        "diagnosis": rows_of(DIAGNOSIS, same),
        "ndc": rows_of({"NDC": "00003196401"}, same),
        "hcpcs": rows_of({"HCPCS": "J0202"}, same),
    }


def check_accounts(result: riskadjust.Scores, tables: Tables) -> None:
    """Accepted + rejected = input; NDC and HCPCS rows are one table of drugs."""
    heights = {name: frame.height for name, frame in tables.items()}
    drugs = heights.get("ndc", 0) + heights.get("hcpcs", 0)
    expected = {"enrollees": heights["person"], "diagnoses": heights["diagnosis"], "drugs": drugs}
    counts = {table: numbers for table, *numbers in result.counts.rows()}
    for table, came in expected.items():
        if table == "drugs" and not {"ndc", "hcpcs"} & set(tables):
            continue
        given, accepted, set_aside = counts[table]
        gone = result.rejected[table].height if table in result.rejected else 0
        assert (given, set_aside) == (came, gone)
        assert accepted + set_aside == given
        assert accepted >= 0


def check_set_aside(result: riskadjust.Scores, rules: dict[str | None, str]) -> None:
    gone = result.rejected["enrollees"].select("ENROLID", "rule_id").rows()
    assert sorted(map(repr, gone)) == sorted(map(repr, rules.items()))


BAD_PERSONS: dict[str, tuple[dict[str, Any], str]] = {
    "sex-3": ({"SEX": "3"}, "MEM-006"),
    "sex-u": ({"SEX": "U"}, "MEM-006"),
    "sex-decimal": ({"SEX": "1.0"}, "MEM-006"),
    "sex-null": ({"SEX": None}, "MEM-006"),
    "birth-null": ({"DOB": None}, "MEM-004"),
    "birth-month-13": ({"DOB": "19801310"}, "MEM-004"),
    "birth-year-only": ({"DOB": "1980"}, "MEM-004"),
    "birth-after-year": ({"DOB": "20260101"}, "MEM-004"),
    "age-negative": ({"AGE_LAST": "-1"}, "HCC-040"),
    "age-half": ({"AGE_LAST": "45.5"}, "HCC-040"),
    "age-word": ({"AGE_LAST": "adult"}, "HCC-040"),
    "age-long": ({"AGE_LAST": "00045"}, "HCC-040"),
    "age-null": ({"AGE_LAST": None}, "HCC-040"),
    "age-121": ({"AGE_LAST": "121"}, "MEM-005"),
    "age-999": ({"AGE_LAST": "999"}, "MEM-005"),
    "metal-letter": ({"METAL": "s"}, "HCC-041"),
    "metal-expanded": ({"METAL": "expanded_bronze"}, "HCC-041"),
    "metal-null": ({"METAL": None}, "HCC-041"),
    "csr-0": ({"CSR_INDICATOR": "0"}, "HCC-042"),
    "csr-12": ({"CSR_INDICATOR": "12"}, "HCC-042"),
    "csr-word": ({"CSR_INDICATOR": "none"}, "HCC-042"),
    "csr-null": ({"CSR_INDICATOR": None}, "HCC-042"),
    "months-0": ({"ENROLDURATION": "0"}, "HCC-043"),
    "months-13": ({"ENROLDURATION": "13"}, "HCC-043"),
    "months-half": ({"ENROLDURATION": "6.5"}, "HCC-043"),
    "months-negative": ({"ENROLDURATION": "-1"}, "HCC-043"),
    "months-null": ({"ENROLDURATION": None}, "HCC-043"),
}


def test_unusable_persons():
    tables = tables_of({enrolid: change for enrolid, (change, _) in BAD_PERSONS.items()} | {"clean": {}})
    result = riskadjust.score_diy(tables, benefit_year=YEAR)
    check_accounts(result, tables)
    check_set_aside(result, {enrolid: rule for enrolid, (_, rule) in BAD_PERSONS.items()})
    assert result.scores["enrollee_id"].to_list() == ["clean"]
    alone = riskadjust.score_diy(tables_of({"clean": {}}), benefit_year=YEAR)
    assert result.scores.equals(alone.scores)
    # What an unusable person leaves behind belongs to nobody.
    assert result.rejected["diagnoses"]["rule_id"].to_list() == ["HCC-014"] * len(BAD_PERSONS)
    assert result.rejected["drugs"]["rule_id"].to_list() == ["HCC-030"] * 2 * len(BAD_PERSONS)


def test_ids_that_are_none():
    tables = tables_of({None: {}, "": {}, "clean": {}})
    result = riskadjust.score_diy(tables, benefit_year=YEAR)
    check_accounts(result, tables)
    check_set_aside(result, {None: "MEM-001", "": "MEM-001"})
    assert result.scores["enrollee_id"].to_list() == ["clean"]


@pytest.mark.parametrize(
    "change",
    [
        {"SEX": "M"},
        {"SEX": "m"},
        {"DOB": "1980-03-10"},
        {"AGE_LAST": "45.0"},
        {"AGE_LAST": "045"},
        {"METAL": "Silver"},
        {"METAL": " silver "},
        {"CSR_INDICATOR": "1.0"},
        {"ENROLDURATION": "12.00"},
    ],
    ids=str,
)
def test_other_spellings_score_the_same(change):
    plain = riskadjust.score_diy(tables_of({"a": {}}), benefit_year=YEAR)
    other = riskadjust.score_diy(tables_of({"a": change}), benefit_year=YEAR)
    check_accounts(other, tables_of({"a": change}))
    assert other.scores.equals(plain.scores)


BAD_DIAGNOSES: dict[str, tuple[dict[str, Any], str]] = {
    "code-word": ({"DIAG": "DIABETES"}, "MED-013"),
    "code-icd9": ({"DIAG": "25000"}, "MED-013"),
    "code-null": ({"DIAG": None}, "MED-013"),
    "date-null": ({"DIAGNOSIS_SERVICE_DATE": None}, "HCC-010"),
    "date-30-february": ({"DIAGNOSIS_SERVICE_DATE": "20250230"}, "HCC-010"),
    "date-zero": ({"DIAGNOSIS_SERVICE_DATE": "0"}, "HCC-010"),
    "date-before-year": ({"DIAGNOSIS_SERVICE_DATE": "20241231"}, "MED-028"),
    "date-after-year": ({"DIAGNOSIS_SERVICE_DATE": "20260101"}, "MED-028"),
    "nobody": ({}, "HCC-014"),
}


def test_unusable_diagnoses():
    tables = tables_of({enrolid: {} for enrolid in BAD_DIAGNOSES if enrolid != "nobody"})
    tables["diagnosis"] = rows_of(DIAGNOSIS, {enrolid: change for enrolid, (change, _) in BAD_DIAGNOSES.items()})
    result = riskadjust.score_diy(tables, benefit_year=YEAR, explain=True)
    check_accounts(result, tables)
    gone = dict(result.rejected["diagnoses"].select("enrollee_id", "rule_id").rows())
    assert gone == {enrolid: rule for enrolid, (_, rule) in BAD_DIAGNOSES.items()}
    assert result.scores["hccs"].list.len().sum() == 0


def test_ages_that_do_not_fit_the_date():
    ages = {"before": "44", "at": "45", "a-year": "46", "two-years": "47"}
    tables = tables_of({name: {"AGE_LAST": age} for name, age in ages.items()})
    result = riskadjust.score_diy(tables, benefit_year=YEAR)
    check_accounts(result, tables)
    gone = dict(result.rejected["diagnoses"].select("enrollee_id", "rule_id").rows())
    assert gone == {"before": "HCC-012", "two-years": "HCC-013"}


def test_given_ages_at_diagnosis_are_checked_not_used():
    tables = tables_of({"a": {}, "b": {}, "c": {}})
    given = {"a": {"AGE_AT_DIAGNOSIS": "12"}, "b": {"AGE_AT_DIAGNOSIS": None}, "c": {}}
    tables["diagnosis"] = rows_of(DIAGNOSIS, given)
    result = riskadjust.score_diy(tables, benefit_year=YEAR)
    assert result.findings.filter(rule_id="HCC-045")["rows"].item() == 1
    assert result.scores["risk_score"].n_unique() == 1


def test_an_indicator_that_does_not_fit_the_metal_is_noticed():
    tables = tables_of({"gold-of-bronze": {"METAL": "bronze", "CSR_INDICATOR": "8"}, "fits": {}})
    result = riskadjust.score_diy(tables, benefit_year=YEAR)
    assert result.findings.filter(rule_id="HCC-044")["rows"].item() == 1
    assert result.scores.filter(metal_level="bronze")["csr_factor"].item() == 1.39


def test_an_id_twice_refuses_the_run():
    tables = tables_of({"secret-7": {}})
    tables["person"] = pl.concat([tables["person"]] * 2)
    with pytest.raises(InputRefused, match="2 rows share an ENROLID") as caught:
        riskadjust.score_diy(tables, benefit_year=YEAR)
    assert "secret-7" not in str(caught.value)


@pytest.mark.parametrize("table", ["person", "diagnosis", "ndc", "hcpcs"])
def test_a_missing_column_is_refused(table):
    for column in tables_of({"a": {}})[table].columns:
        tables = tables_of({"a": {}})
        tables[table] = tables[table].drop(column)
        if column == "AGE_AT_DIAGNOSIS":
            assert riskadjust.score_diy(tables, benefit_year=YEAR).scores.height == 1
            continue
        with pytest.raises(InputRefused, match=f"missing column {column}.*FILE-002"):
            riskadjust.score_diy(tables, benefit_year=YEAR)


def test_a_missing_table_is_refused():
    tables = tables_of({"a": {}})
    for table in ("person", "diagnosis"):
        rest = {name: frame for name, frame in tables.items() if name != table}
        with pytest.raises(InputRefused, match=f"the {table} table is missing"):
            riskadjust.score_diy(rest, benefit_year=YEAR)
    with pytest.raises(InputRefused, match="no DIY table is called 'claims'"):
        riskadjust.score_diy(tables | {"claims": tables["person"]}, benefit_year=YEAR)
    with pytest.raises(InputRefused, match="person is a list"):
        riskadjust.score_diy(tables | {"person": []}, benefit_year=YEAR)


def test_empty_tables():
    tables = tables_of({"a": {}})
    with pytest.raises(InputRefused, match="no rows"):
        riskadjust.score_diy(tables | {"person": tables["person"].clear()}, benefit_year=YEAR)
    empty = {"person": tables["person"]} | {n: tables[n].clear() for n in ("diagnosis", "ndc", "hcpcs")}
    result = riskadjust.score_diy(empty, benefit_year=YEAR, explain=True)
    check_accounts(result, empty)
    assert result.scores.height == 1
    assert result.rejected == {}


def test_nulls_everywhere():
    tables = {
        name: frame.select(pl.lit(None).alias(c) for c in frame.columns) for name, frame in tables_of({"a": {}}).items()
    }
    result = riskadjust.score_diy(tables, benefit_year=YEAR, explain=True)
    check_accounts(result, tables)
    assert result.scores.height == 0
    assert result.rejected["enrollees"]["rule_id"].to_list() == ["MEM-001"]


def test_columns_of_whole_numbers_and_lazy_frames():
    tables = tables_of({"7": {}, "8": {"AGE_LAST": "30"}})
    numbers = ("ENROLID", "SEX", "DOB", "AGE_LAST", "CSR_INDICATOR", "ENROLDURATION", "DIAGNOSIS_SERVICE_DATE")
    typed = {
        name: frame.lazy().with_columns(pl.col(c).cast(pl.Int64) for c in frame.columns if c in numbers)
        for name, frame in tables.items()
    }
    expected = riskadjust.score_diy(tables, benefit_year=YEAR)
    assert riskadjust.score_diy(typed, benefit_year=YEAR).scores.equals(expected.scores)


# ---- folders and files ----


def folder_of(path: Path, **files: bytes) -> Path:
    """A folder with a usable PERSON.csv and DIAG.csv, except for the files given."""
    tables = tables_of({"a": {}})
    usable = {"PERSON.csv": tables["person"], "DIAG.csv": tables["diagnosis"]}
    for name, frame in usable.items():
        (path / name).write_bytes(frame.write_csv().encode())
    for name, content in files.items():
        (path / name.replace("_", ".")).write_bytes(content)
    return path


def test_a_usable_folder(tmp_path):
    assert riskadjust.score_diy(folder_of(tmp_path), benefit_year=YEAR).scores.height == 1


PERSON_CSV = tables_of({"secret-7": {}})["person"].write_csv().encode()
BAD_FILES = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\n\n", "cannot be read as a table"),
    "no-rows": (PERSON_CSV.split(b"\n")[0] + b"\n", "no rows"),
    "not-utf-8": (PERSON_CSV.replace(b"secret", b"s\xe9cret"), "cannot be read as a table.*FILE-007"),
    "utf-16": (PERSON_CSV.decode().encode("utf-16"), "FILE-002"),
    "semicolons": (PERSON_CSV.replace(b",", b";"), "missing column ENROLID"),
    "too-many-cells": (PERSON_CSV.replace(b",12\n", b",12,13,14\n"), "cannot be read as a table"),
    "open-quotation": (PERSON_CSV.replace(b"secret", b'"secret'), "cannot be read as a table"),
    "no-header": (PERSON_CSV.split(b"\n", 1)[1], "missing column"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_bad_file_is_refused(tmp_path, kind):
    content, words = BAD_FILES[kind]
    with pytest.raises(InputRefused, match=words) as caught:
        riskadjust.score_diy(folder_of(tmp_path, PERSON_csv=content), benefit_year=YEAR)
    assert "PERSON" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("change", [b"\r\n", b"bom"], ids=["line-ends", "byte-order-mark"])
def test_harmless_differences_of_a_file(tmp_path, change):
    content = b"\xef\xbb\xbf" + PERSON_CSV if change == b"bom" else PERSON_CSV.replace(b"\n", change)
    result = riskadjust.score_diy(folder_of(tmp_path, PERSON_csv=content), benefit_year=YEAR)
    assert result.scores["enrollee_id"].to_list() == ["secret-7"]


def test_folders_that_are_none(tmp_path):
    with pytest.raises(InputRefused, match="does not exist"):
        riskadjust.score_diy(tmp_path / "nowhere", benefit_year=YEAR)
    with pytest.raises(InputRefused, match="the person table is missing"):
        riskadjust.score_diy(tmp_path, benefit_year=YEAR)
    folder_of(tmp_path, person_parquet=b"")
    with pytest.raises(InputRefused, match="two files hold the person table"):
        riskadjust.score_diy(tmp_path, benefit_year=YEAR)
