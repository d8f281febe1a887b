"""Clean input frames of scoring, rows to spoil them with, and the accounts every run is held to.

Accepted + rejected = input for each table, and the rejected frames hold exactly the rows that were set aside.
"""

import datetime
from collections import Counter
from typing import Any

import polars as pl

import riskadjust

YEAR = 2025
DAY = datetime.date
FIRST, LAST = DAY(YEAR, 1, 1), DAY(YEAR, 12, 31)
PLAN = "12345XX0010001"
TABLES = ("enrollees", "enrollment_spans", "diagnoses", "drugs")
SCHEMAS: dict[str, dict[str, Any]] = {
    "enrollees": {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String},
    "enrollment_spans": {
        "enrollee_id": pl.String,
        "plan_id": pl.String,
        "csr_variant": pl.String,
        "metal_level": pl.String,
        "span_start": pl.Date,
        "span_end": pl.Date,
    },
    "diagnoses": {"enrollee_id": pl.String, "diagnosis_code": pl.String, "service_date": pl.Date},
    "drugs": {"enrollee_id": pl.String, "code_type": pl.String, "code": pl.String, "service_date": pl.Date},
}
PATTERN: dict[str, dict[str, Any]] = {
    "enrollees": {"birth_date": DAY(1980, 3, 10), "sex": "M"},
    "enrollment_spans": {
        "plan_id": PLAN,
        "csr_variant": "01",
        "metal_level": "silver",
        "span_start": FIRST,
        "span_end": LAST,
    },
    "diagnoses": {"diagnosis_code": "E1169", "service_date": DAY(YEAR, 6, 15)},
    "drugs": {"code_type": "ndc", "code": "00003196401", "service_date": DAY(YEAR, 6, 15)},
}
CLEAN = {
    "clean-woman": (DAY(1970, 5, 5), "F"),
    "clean-boy": (DAY(2015, 5, 5), "M"),
    "clean-girl": (DAY(2025, 2, 2), "F"),
}

Frames = dict[str, pl.DataFrame]


def rows_of(table: str, ids: list[Any], **columns: list[Any]) -> pl.DataFrame:
    """Rows of a table, one per id, like the pattern but for some columns."""
    values = {c: [v] * len(ids) for c, v in PATTERN[table].items()} | columns
    frame = pl.DataFrame({"enrollee_id": pl.Series(ids, dtype=pl.String), **values}, strict=False)
    return frame.with_columns(pl.col(c).cast(t) for c, t in SCHEMAS[table].items() if frame.schema[c] == pl.Null)


def clean_frames() -> Frames:
    births, sexes = zip(*CLEAN.values(), strict=True)
    ids = list(CLEAN)
    frames = {table: rows_of(table, ids) for table in TABLES}
    frames["enrollees"] = rows_of("enrollees", ids, birth_date=list(births), sex=list(sexes))
    starts = [max(FIRST, birth) for birth in births]
    frames["enrollment_spans"] = rows_of("enrollment_spans", ids, span_start=starts)
    return frames


def with_rows(**added: pl.DataFrame) -> Frames:
    """The clean frames with more rows, the new ones first so that row numbers differ from a run without them."""
    return {t: pl.concat([added[t], f], how="vertical_relaxed") if t in added else f for t, f in clean_frames().items()}


def score(frames: Frames, year: int = YEAR, **options: Any) -> riskadjust.Scores:
    return riskadjust.score(*(frames.get(t) for t in TABLES), benefit_year=year, **options)


def rejected(result: riskadjust.Scores, table: str) -> pl.DataFrame:
    return result.rejected.get(table, pl.DataFrame(schema={**SCHEMAS[table], "rule_id": pl.String}))


def check_accounts(result: riskadjust.Scores, frames: dict[str, Any]) -> None:
    """Accepted + rejected = input, and the rejected rows are rows of the input with a rule that was counted."""
    fired = {(r, t): n for r, t, n in result.findings.select("rule_id", "table", "rows").rows()}
    assert sorted(result.counts["table"]) == sorted(t for t in frames if frames[t] is not None)
    for table, came, accepted, set_aside in result.counts.rows():
        frame = frames[table].lazy().collect()
        gone = rejected(result, table)
        assert came == frame.height == accepted + set_aside
        assert accepted >= 0
        assert gone.height == set_aside
        left = Counter(map(repr, frame.rows()))
        left.subtract(map(repr, gone.drop("rule_id").rows()))
        assert min(left.values(), default=0) >= 0, f"{table}: a rejected row is not a row of the input"
        for rule_id, number in gone["rule_id"].value_counts().rows():
            assert fired[rule_id, table] == number
    assert result.findings.null_count().select("severity", "action", "condition").row(0) == (0, 0, 0)
    assert result.scores["risk_score"].null_count() == 0


def check_set_aside(result: riskadjust.Scores, table: str, expected: pl.DataFrame) -> None:
    """Check that exactly the rows of `expected` (with their rule_id) were set aside."""
    gone = rejected(result, table).select(expected.columns)
    assert sorted(map(repr, gone.rows())) == sorted(map(repr, expected.rows()))


def check_others_unmoved(result: riskadjust.Scores) -> None:
    """Check that the clean enrollees score as they do alone."""
    alone = score(clean_frames()).scores
    assert result.scores.filter(pl.col("enrollee_id").is_in(list(CLEAN))).equals(alone)


def check_nothing_told(error: BaseException, secrets: list[Any]) -> None:
    """Check that no value of an enrollee stands in a message."""
    text = str(error)
    for secret in secrets:
        assert str(secret) not in text
