"""Deliberately bad tables: every one is refused with its file, row, column and rule, and nothing else is refused."""

import contextlib
import datetime
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from cases.bad_tables import year_tables

import data_specs
import riskadjust
from data_specs import _registry
from data_specs.errors import TableMissing, TableRefused

SOURCE_YEAR = 2026
ERRORS = {"TableMissing": TableMissing, "TableRefused": TableRefused}
FIRST_LINE = 2  # a text editor counts the header as line 1
CASES = tomllib.loads((Path(year_tables.__file__).parent / "cases.toml").read_text(encoding="utf-8"))["case"]


@pytest.fixture(scope="module")
def correct(tmp_path_factory) -> Iterator[Path]:
    """The folder of the correct tables, in use while this module runs."""
    folder = year_tables.write_set(tmp_path_factory.mktemp("correct"), year_tables.year_set(SOURCE_YEAR))
    with data_specs.use(folder):
        yield folder


def score_one_enrollee() -> riskadjust.Scores:
    """A man of 50 with complicated diabetes, silver, the whole made-up year."""
    day = datetime.date
    year = year_tables.BENEFIT_YEAR
    enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [day(year - 50, 6, 1)], "sex": ["M"]})
    spans = pl.DataFrame(
        {"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["06"], "metal_level": ["silver"]}
        | {"span_start": [day(year, 1, 1)], "span_end": [day(year, 12, 31)]}
    )
    diagnoses = pl.DataFrame({"enrollee_id": ["A"], "diagnosis_code": ["E11.69"], "service_date": [day(year, 3, 1)]})
    return riskadjust.score(enrollees, spans, diagnoses, benefit_year=year)


def matches(where: dict[str, str]) -> pl.Expr:
    return pl.all_horizontal(
        (pl.col(column).is_null() if value == "" else pl.col(column) == value).fill_null(False)
        for column, value in where.items()
    )


def picked(frame: pl.DataFrame, where: dict[str, str]) -> list[int]:
    rows = frame.select(matches(where).arg_true()).to_series().to_list()
    assert rows, f"no row has {where}"
    return rows


def changed_table(frame: pl.DataFrame, case: dict[str, Any]) -> tuple[pl.DataFrame, list[int]]:
    """The table with the change of the case, and the numbers of the changed rows."""
    change, where = case["change"], case.get("where", {})
    to = {column: value or None for column, value in case.get("to", {}).items()}
    if change == "set":
        rows = picked(frame, where)
        chosen = pl.int_range(pl.len()).is_in(rows)
        return frame.with_columns(
            pl.when(chosen).then(pl.lit(value, pl.String)).otherwise(pl.col(column)).alias(column)
            for column, value in to.items()
        ), rows
    if change == "add":
        added = frame[picked(frame, where)[:1]].with_columns(pl.lit(v, pl.String).alias(c) for c, v in to.items())
        return pl.concat([frame, added]), [frame.height]
    if change == "drop":
        gone = picked(frame, where)
        return frame.filter(~pl.int_range(pl.len()).is_in(gone)), []
    if change == "drop_column":
        return frame.drop(case["column"]), []
    if change == "add_column":
        return frame.with_columns(pl.lit("x").alias(case["column"])), []
    assert change == "rename_column", change
    return frame.rename(to), []


def write_bad_table(folder: Path, case: dict[str, Any]) -> list[int]:
    """Rows that were changed; the folder then holds the bad table alone."""
    home = folder / "hhs_hcc"
    home.mkdir(parents=True, exist_ok=True)
    path = home / f"{case['table']}.csv"
    if case["change"] == "file":
        path.write_bytes(bytes.fromhex(case["hex"]) if "hex" in case else case["text"].encode())
        return []
    frame, rows = changed_table(year_tables.rows_of(case["table"], SOURCE_YEAR), case)
    frame.write_csv(path)
    return rows


def expected_rows(folder: Path, case: dict[str, Any], changed: list[int]) -> list[int] | None:
    """The lines of the file that the message may name; None when the fault is not in one row."""
    row = case.get("row", "changed")
    if row == "none":
        return None
    if isinstance(row, int):
        return [row]
    if row == "changed":
        return [number + FIRST_LINE for number in changed]
    where = {column: value for column, value in row.items() if column != "table"}
    path = folder / "hhs_hcc" / f"{row['table']}.csv"
    frame = pl.read_csv(path, infer_schema=False)
    return [number + FIRST_LINE for number in picked(frame, where)]


def refusal(correct: Path, folder: Path, case: dict[str, Any]) -> tuple[Exception, list[int] | None]:
    """The error of scoring with the bad table, and the lines it may name."""
    bad = folder / "bad"
    is_whole = case["change"] == "remove" or case.get("in_place", False)
    if is_whole:
        others = {n: f for n, f in year_tables.year_set(SOURCE_YEAR).items() if n != case["table"]}
        year_tables.write_set(bad, others)
    changed = [] if case["change"] == "remove" else write_bad_table(bad, case)
    row = case.get("row")
    is_elsewhere = isinstance(row, dict) and row["table"] != case["table"]
    lines = expected_rows(correct if is_elsewhere and not is_whole else bad, case, changed)
    beneath = without_overlays() if is_whole else contextlib.nullcontext()
    with beneath, pytest.raises(ERRORS[case.get("error", "TableRefused")]) as caught:
        score_with(bad)
    return caught.value, lines


@contextlib.contextmanager
def without_overlays() -> Iterator[None]:
    """Take every folder out of use for a while."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_registry, "_used", [])
        yield


def score_with(folder: Path) -> None:
    with data_specs.use(folder):
        score_one_enrollee()


def test_the_unchanged_tables_score(correct):
    result = score_one_enrollee()
    assert result.scores.height == 1
    assert result.scores["risk_score"].item() > 0
    with without_overlays(), pytest.raises(TableMissing, match=str(year_tables.BENEFIT_YEAR)):
        score_one_enrollee()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_bad_table(correct, tmp_path, case):
    error, lines = refusal(correct, tmp_path, case)
    message = str(error)
    for words in (case.get("file", f"{case['table']}.csv"), case.get("column", ""), *case["says"]):
        assert words in message
    if lines is not None:
        named = [int(number) for number in re.findall(r"row (\d+), column", message)]
        assert named
        assert set(named) <= set(lines)
        if case.get("column"):
            assert re.search(rf"row \d+, column {case['column']}\b", message)
    assert "To do: " in message


@pytest.mark.parametrize("case", CASES[-3:], ids=lambda case: case["name"].replace(" ", "-"))
def test_a_refused_table_leaves_nothing_behind(correct, tmp_path, case):
    before = score_one_enrollee().scores
    refusal(correct, tmp_path, case)
    assert score_one_enrollee().scores.equals(before)


def too_many(table: str, number: int) -> pl.DataFrame:
    """The table with more rows than a year can hold: HCCs, drug categories, variables or counts."""
    frame = year_tables.rows_of(table, SOURCE_YEAR)
    if table == "hcc_label":
        new = [{"hcc": f"HCC{400 + n}"} for n in range(number)]
        (pattern,) = frame.filter(hcc="HCC001").to_dicts()
    elif table == "rxc_hierarchy":
        new = [{"rxc": f"RXC_{20 + n}"} for n in range(number)]
        (pattern,) = frame.filter(rxc="RXC_01").to_dicts()
    else:
        new = [{"variable": f"MORE_{n}", "in_score": "false"} for n in range(number)]
        is_count = number < 100
        (pattern,) = frame.filter(model="adult", member="ANY_GROUP" if is_count else "HCC142").head(1).to_dicts()
    return pl.concat([frame, pl.DataFrame([pattern | change for change in new], schema=frame.schema)])


@pytest.mark.parametrize(
    ("table", "number", "says"),
    [
        ("hcc_label", 60, "too many HCCs.*at most 192"),
        ("rxc_hierarchy", 60, "too many drug categories.*at most 64"),
        ("model_variables", 250, "the adult model has too many variables.*at most 256"),
        ("model_variables", 5, "too many counts.*at most five"),
    ],
)
def test_more_than_a_year_can_hold(correct, tmp_path, table, number, says):
    year_tables.write_set(tmp_path, {table: too_many(table, number)})
    with pytest.raises(TableRefused, match=says):
        score_with(tmp_path)


def test_the_cases_are_many_and_differ():
    assert len({case["name"] for case in CASES}) == len(CASES) >= 40
    assert {case["table"] for case in CASES} == set(year_tables.TABLES)
