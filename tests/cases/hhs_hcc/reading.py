"""The example cases of this folder as plain dicts, ready for the twin and for the product.

A case has id, benefit_year, birth_date, sex, spans, diagnoses, drugs, settings, given (do-it-yourself layout only),
uncertain, and expected: one dict per plan, variant and metal level with `milli` (thousandths per metal) and the rest
under the names of the output columns.
"""

import functools
import tomllib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

FOLDER = Path(__file__).parent
METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")
TABLES = ("enrollees", "spans", "diagnoses", "drugs", "expected")
WHOLE = ("benefit_year", "age_last", "enrollment_days", "enrollment_months", "hcc_count")
DATES = ("birth_date", "span_start", "span_end", "service_date")
LISTS = ("hccs", "rxcs", "variables")
# Known without reading a case: what a test run collects must cost nothing. The years are those of `synthetic`, which
# `hand` has too; the worked cases know 2018 besides.
YEARS = (2019, 2021, 2022, 2023, 2024, 2025, 2026)
TOPICS = sorted(path.stem for path in (FOLDER / "worked").glob("*.toml"))


def milli(score: Any) -> int:
    """Whole thousandths of a score of at most three decimals."""
    return round(float(score) * 1000)


def expected_row(row: dict[str, Any]) -> dict[str, Any]:
    """One expected row in the common form."""
    scores = row.get("scores") or {metal: row[f"score_{metal}"] for metal in METALS}
    factor, adjusted = row.get("csr_factor"), row.get("csr_adjusted_score")
    names = ("plan_id", "csr_variant", "metal_level", "model", *WHOLE[1:], *LISTS)
    return {name: row.get(name) for name in names} | {
        "milli": {metal: milli(scores[metal]) for metal in METALS},
        "risk_milli": milli(row["risk_score"]),
        "csr_factor": None if factor is None else float(factor),
        "csr_adjusted_score": None if adjusted is None else float(adjusted),
    }


def cases_of_frames(read: Callable[[str], pl.DataFrame], key: str) -> list[dict[str, Any]]:
    """Cases whose inputs and results stand in five tables."""
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {name: defaultdict(list) for name in TABLES}
    for name in TABLES:
        for row in read(name).to_dicts():
            grouped[name][row.pop(key)].append(row)
    cases = []
    for case_id, (enrollee,) in grouped["enrollees"].items():
        (result,) = grouped["expected"][case_id]
        (span,) = grouped["spans"][case_id]
        result |= {"plan_id": span["plan_id"], "csr_variant": span["csr_variant"]}
        cases.append(
            {"id": case_id, "settings": {}, "given": None, "uncertain": result.get("uncertain") or ""}
            | {name: enrollee[name] for name in ("benefit_year", "birth_date", "sex")}
            | {name: grouped[name][case_id] for name in ("spans", "diagnoses", "drugs")}
            | {"expected": [expected_row(result)]}
        )
    return cases


def read_csv(path: Path) -> pl.DataFrame:
    """A CSV table of the folder `hand`; lists are separated by blanks, an empty list is an empty cell."""
    frame = pl.read_csv(path, infer_schema=False)
    return frame.with_columns(
        *[pl.col(name).cast(pl.Int64) for name in WHOLE if name in frame.columns],
        *[pl.col(name).str.to_date() for name in DATES if name in frame.columns],
        *[pl.col(name).fill_null("").str.extract_all(r"\S+").list.sort() for name in LISTS if name in frame.columns],
    )


@functools.cache
def hand() -> list[dict[str, Any]]:
    """Enrollees scored by hand, with every variable."""
    return cases_of_frames(lambda name: read_csv(FOLDER / "hand" / f"{name}.csv"), "enrollee_id")


@functools.cache
def hand_contributions() -> dict[str, dict[str, dict[str, int]]]:
    """Case -> variable -> thousandths per metal, of the cases scored by hand."""
    found: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for row in read_csv(FOLDER / "hand" / "contributions.csv").to_dicts():
        found[row["enrollee_id"]][row["variable"]] = {metal: milli(row[metal]) for metal in METALS}
    return dict(found)


@functools.cache
def synthetic() -> list[dict[str, Any]]:
    """Drawn enrollees with independently computed results."""
    return cases_of_frames(lambda name: pl.read_parquet(FOLDER / "synthetic" / f"{name}.parquet"), "enrollee_id")


def worked() -> list[dict[str, Any]]:
    """The cases worked from the rules, of every topic."""
    return [case for topic in TOPICS for case in worked_of(topic)]


@functools.cache
def worked_of(topic: str) -> list[dict[str, Any]]:
    """The cases worked from the rules on one topic: of one file in the folder `worked`."""
    cases = tomllib.loads((FOLDER / "worked" / f"{topic}.toml").read_text(encoding="utf-8"))["case"]
    for case in cases:
        case.setdefault("spans", [])
        case |= {"settings": case.get("settings", {}), "given": case.get("given"), "uncertain": ""}
        case["expected"] = sorted(
            (expected_row(row) for row in case["expected"]),
            key=lambda row: (row["plan_id"] or "", row["csr_variant"] or "", row["metal_level"]),
        )
    return cases


def differences(expected: dict[str, Any], row: dict[str, Any]) -> list[str]:
    """What one result row says otherwise than the expected row: column, expected, found."""
    wrong = []
    for column, value in expected.items():
        if column == "enrollment_days" and value is None:
            continue
        found = row[column]
        is_money_like = column == "csr_adjusted_score" and value is not None and found is not None
        # expected adjusted scores are printed with six decimals
        if found != value and not (is_money_like and abs(found - value) < 1e-6):
            wrong.append(f"{column}: expected {value}, found {found}")
    return wrong


def all_differences(case: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    """The differences of all rows of a case, each with the case id."""
    if len(rows) != len(case["expected"]):
        return [f"{case['id']}: expected {len(case['expected'])} rows, found {len(rows)}"]
    pairs = zip(case["expected"], rows, strict=True)
    return [f"{case['id']}: {text}" for expected, row in pairs for text in differences(expected, row)]


def by_year(cases: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Cases by benefit year."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for case in cases:
        found[case["benefit_year"]].append(case)
    return dict(sorted(found.items()))
