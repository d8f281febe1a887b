"""Frames that scoring cannot use as a whole, and those it can although they look unusual."""

import datetime

import polars as pl
import pytest
from cases.bad_input.frames import (
    CLEAN,
    DAY,
    FIRST,
    SCHEMAS,
    TABLES,
    Frames,
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

from data_specs.errors import InputRefused, PoolwiseError, SettingRefused


@pytest.mark.parametrize(("table", "column"), [(t, c) for t in TABLES for c in SCHEMAS[t]])
def test_a_missing_column_is_refused(table, column):
    frames = clean_frames()
    frames[table] = frames[table].drop(column)
    with pytest.raises(InputRefused, match=rf"missing column '{column}' \[{table}\].*FILE-002.*To do") as caught:
        score(frames)
    check_nothing_told(caught.value, [*CLEAN, *(birth for birth, _ in CLEAN.values())])


WRONG_TYPES: list[tuple[str, pl.Series]] = [
    ("text", pl.Series([1, 2, 3])),
    ("text", pl.Series([1.5, 2.5, 3.5])),
    ("text", pl.Series([True, False, True])),
    ("text", pl.Series([FIRST] * 3)),
    ("text", pl.Series([b"a", b"b", b"c"])),
    ("text", pl.Series([["a"], ["b"], ["c"]])),
    ("text", pl.Series([{"a": 1}] * 3)),
    ("date", pl.Series([20250615] * 3)),
    ("date", pl.Series([20250615.0] * 3)),
    ("date", pl.Series([True, False, True])),
    ("date", pl.Series([datetime.time(1)] * 3)),
    ("date", pl.Series([datetime.timedelta(1)] * 3)),
    ("date", pl.Series([[FIRST]] * 3)),
]


@pytest.mark.parametrize(("kind", "values"), WRONG_TYPES, ids=lambda v: v if isinstance(v, str) else str(v.dtype))
def test_a_wrong_type_is_refused(kind, values):
    for table in TABLES:
        for column, dtype in SCHEMAS[table].items():
            if (dtype == pl.Date) != (kind == "date"):
                continue
            frames = clean_frames()
            frames[table] = frames[table].with_columns(values.alias(column))
            with pytest.raises(InputRefused, match=rf"column '{column}' is .*\[{table}, column {column}\].*FILE-002"):
                score(frames)


def test_an_empty_enrollee_table_is_refused():
    frames = clean_frames()
    with pytest.raises(InputRefused, match=r"no rows \[enrollees\].*FILE-002"):
        score(frames | {"enrollees": frames["enrollees"].clear()})
    with pytest.raises(InputRefused, match="missing column"):
        score(frames | {"enrollees": pl.DataFrame()})


@pytest.mark.slow
@pytest.mark.parametrize("is_typed", [True, False])
def test_empty_tables_beside_the_enrollees(is_typed):
    frames = clean_frames()
    empty = {t: frames[t].clear() if is_typed else pl.DataFrame(schema=frames[t].columns) for t in TABLES}
    some = {"enrollees": frames["enrollees"], "enrollment_spans": frames["enrollment_spans"]}
    result = score(some | {t: empty[t] for t in ("diagnoses", "drugs")}, explain=True)
    check_accounts(result, some | {t: empty[t] for t in ("diagnoses", "drugs")})
    assert result.scores["hccs"].list.len().sum() == 0
    nobody = {"enrollees": frames["enrollees"]} | {t: empty[t] for t in TABLES[1:]}
    result = score(nobody, explain=True)
    check_accounts(result, nobody)
    assert result.scores.height == 0
    assert rejected(result, "enrollees")["rule_id"].to_list() == ["HCC-001"] * len(CLEAN)


def test_no_drugs_at_all():
    frames = {t: f for t, f in clean_frames().items() if t != "drugs"}
    result = score(frames)
    check_accounts(result, frames)
    assert result.scores.height == len(CLEAN)


@pytest.mark.parametrize("thing", [None, {}, [], "enrollees.csv", 5])
def test_something_that_is_no_frame_is_refused(thing):
    for table in TABLES:
        if table == "drugs" and thing is None:
            continue
        with pytest.raises(InputRefused, match=rf"\[{table}\]"):
            score(clean_frames() | {table: thing})


@pytest.mark.parametrize("settings", [{"durations": "plan"}, {"duration_scope": "year"}, {"person_scope": None}])
def test_an_unknown_setting_is_refused(settings):
    with pytest.raises(SettingRefused, match="To do: "):
        score(clean_frames(), settings=settings)


def test_lazy_frames_score_the_same():
    frames = with_rows(enrollees=rows_of("enrollees", ["odd"], sex=["X"]))
    lazy = {t: f.lazy() for t, f in frames.items()}
    eager, late = score(frames, explain=True), score(lazy, explain=True)
    check_accounts(late, lazy)
    assert late.scores.equals(eager.scores)
    assert late.rejected["enrollees"].equals(eager.rejected["enrollees"])


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum([*CLEAN, "odd"])], ids=str)
def test_ids_as_categories(dtype):
    frames = with_rows(enrollees=rows_of("enrollees", ["odd"], sex=["X"]), diagnoses=rows_of("diagnoses", ["odd"]))
    own = {t: f.with_columns(pl.col("enrollee_id").cast(dtype)) for t, f in frames.items()}
    own["enrollment_spans"] = own["enrollment_spans"].head(2)
    result = score(own)
    check_accounts(result, own)
    assert rejected(result, "enrollees")["rule_id"].to_list().count("HCC-001") == 1
    assert result.scores.height == 2


@pytest.mark.parametrize(
    "as_given",
    [
        lambda c: pl.col(c).dt.strftime("%Y-%m-%d"),
        lambda c: pl.col(c).dt.strftime("%Y%m%d"),
        lambda c: " " + pl.col(c).dt.strftime("%Y%m%d") + " ",
        lambda c: pl.col(c).cast(pl.Datetime("us")),
        lambda c: pl.col(c).cast(pl.Datetime("ns")).dt.replace_time_zone("America/New_York"),
    ],
    ids=["iso", "compact", "blanks", "datetime", "time-zone"],
)
def test_dates_in_other_forms(as_given):
    frames = clean_frames()
    dates = {t: [c for c, dtype in SCHEMAS[t].items() if dtype == pl.Date] for t in TABLES}
    own = {t: f.with_columns(as_given(c).alias(c) for c in dates[t]) for t, f in frames.items()}
    result = score(own)
    check_accounts(result, own)
    assert result.scores.equals(score(frames).scores)


@pytest.mark.parametrize(
    "text", ["2025-02-29", "20251301", "06/15/2025", "15.06.2025", "0", "2025", "", "June", "45823"]
)
def test_texts_that_are_no_dates(text):
    frames = clean_frames()
    dates = {"enrollees": "MEM-004", "enrollment_spans": "SPAN-002", "diagnoses": "HCC-010", "drugs": "HCC-031"}
    for table, rule in dates.items():
        column = [c for c, dtype in SCHEMAS[table].items() if dtype == pl.Date][-1]
        own = frames | {table: frames[table].with_columns(pl.lit(text).alias(column))}
        result = score(own)
        check_accounts(result, own)
        check_set_aside(result, table, own[table].with_columns(rule_id=pl.lit(rule)))


@pytest.mark.slow
@pytest.mark.parametrize("is_typed", [True, False])
def test_nulls_everywhere(is_typed):
    def nulls(table: str) -> pl.DataFrame:
        columns = SCHEMAS[table].items()
        return pl.DataFrame({c: pl.Series([None, None], dtype=t if is_typed else pl.Null) for c, t in columns})

    rules = dict(zip(TABLES, ("MEM-001", "SPAN-002", "HCC-014", "HCC-030"), strict=True))
    everywhere = {t: nulls(t) for t in TABLES}
    result = score(everywhere, explain=True)
    check_accounts(result, everywhere)
    for table, rule in rules.items():
        assert rejected(result, table)["rule_id"].to_list() == [rule] * 2
    for table, rule in rules.items():  # one table of nulls beside usable ones
        frames = clean_frames() | {table: nulls(table)}
        result = score(frames)
        check_accounts(result, frames)
        assert rejected(result, table)["rule_id"].to_list() == [rule] * 2
        frames = with_rows(**{table: nulls(table).cast(SCHEMAS[table])})
        result = score(frames)
        check_accounts(result, frames)
        check_others_unmoved(result)


def test_further_columns_stay_with_the_rejected_rows():
    more = {"note": ["why"], "amounts": [[1, 2]], "rule": ["own"], "owner": [7]}
    bad = rows_of("enrollees", ["odd"], sex=["X"], **more)
    frames = clean_frames()
    clean = frames["enrollees"].with_columns(
        note=pl.lit("x"), amounts=pl.lit([3], dtype=pl.List(pl.Int64)), rule=pl.lit("y"), owner=pl.lit(1, pl.Int64)
    )
    frames["enrollees"] = pl.concat([clean, bad])
    result = score(frames)
    check_accounts(result, frames)
    row = rejected(result, "enrollees").row(0, named=True)
    assert {c: row[c] for c in more} == {c: v[0] for c, v in more.items()}


def test_an_error_names_no_value_of_an_enrollee():
    secrets = ["secret-id-77", "1987-06-05", "F32A", "99999001122"]
    frames = {
        "enrollees": rows_of("enrollees", ["secret-id-77"] * 2, birth_date=[DAY(1987, 6, 5)] * 2),
        "enrollment_spans": rows_of("enrollment_spans", ["secret-id-77"]),
        "diagnoses": rows_of("diagnoses", ["secret-id-77"], diagnosis_code=["F32A"]),
        "drugs": rows_of("drugs", ["secret-id-77"], code=["99999001122"]),
    }
    broken: list[Frames] = [frames]
    single = frames | {"enrollees": frames["enrollees"].head(1)}
    for table in TABLES:
        broken.append(single | {table: single[table].drop("enrollee_id")})
        for column in SCHEMAS[table]:
            listed = single[table].with_columns(pl.concat_list(pl.col(column).cast(pl.String)).alias(column))
            broken.append(single | {table: listed})
    for case in broken:
        with pytest.raises(PoolwiseError) as caught:
            score(case)
        check_nothing_told(caught.value, secrets)
    result = score(single | {"enrollees": single["enrollees"].with_columns(sex=pl.lit("U"))})
    told = repr(result) + result.findings.write_csv() + result.counts.write_csv()
    assert not any(secret in told for secret in secrets)
