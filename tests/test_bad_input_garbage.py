"""Frames of random garbage: scoring answers with balanced accounts or one clear refusal, and never with a crash."""

import datetime
from typing import Any

import polars as pl
import pytest
from cases.bad_input.frames import PLAN, SCHEMAS, TABLES, check_accounts, check_nothing_told, score
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_specs.errors import PoolwiseError

DAY = datetime.date
IDS = ["person-one", "person-two", "person-three", "person-one ", "PERSON-ONE"]
USABLE: dict[str, list[Any]] = {
    "enrollee_id": IDS,
    "birth_date": [DAY(1980, 3, 10), DAY(2024, 2, 29), DAY(2025, 6, 15), DAY(2010, 12, 31)],
    "sex": ["M", "F", "1", "2", "f"],
    "plan_id": [PLAN, "12345XX0020001", "54321YY0010001", PLAN + "01", PLAN + "-06"],
    "csr_variant": ["01", "06", "02", "", "1"],
    "metal_level": ["silver", "Gold", "expanded_bronze", "catastrophic"],
    "span_start": [DAY(2025, 1, 1), DAY(2025, 6, 1), DAY(2024, 7, 1)],
    "span_end": [DAY(2025, 12, 31), DAY(2025, 5, 31), DAY(2026, 6, 30)],
    "service_date": [DAY(2025, 6, 15), DAY(2025, 10, 1), DAY(2025, 1, 1)],
    "diagnosis_code": ["E11.69", "a419", "P07.01", "E1052", "O80", "Z3800", "F34.81", "C50911"],
    "code_type": ["ndc", "hcpcs", "NDC"],
    "code": ["00003196401", "0003-1964-01", "J0202", "3196401", "0000319640"],
}
UNUSABLE_DATES = [DAY(1, 1, 1), DAY(1900, 1, 1), DAY(2024, 12, 31), DAY(2026, 1, 1), DAY(9999, 12, 31)]
UNUSABLE_TEXTS = ["", " ", "...", "-", "--", "U", "tin", "zz", "é", "日本", "\x00", "a,b", "2025-02-30", "None", "NaN"]
OTHER_TYPES = (pl.Int64, pl.Float64, pl.Boolean, pl.Binary, pl.Time, pl.Duration("us"), pl.List(pl.String), pl.UInt8)
EASY = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def columns(draw: Any, name: str, dtype: Any, height: int) -> pl.Series:
    """A column that is mostly usable, sometimes garbage of its type, seldom of another type."""
    is_date = dtype == pl.Date
    usable = st.sampled_from(USABLE[name])
    texts = st.one_of(st.sampled_from(UNUSABLE_TEXTS), st.text(max_size=8))
    spoiled = st.sampled_from(UNUSABLE_DATES) if is_date else texts
    cells = st.one_of(usable, usable, usable, st.none(), spoiled)
    values = draw(st.lists(cells, min_size=height, max_size=height))
    column = pl.Series(name, values, dtype=dtype)
    form = draw(st.sampled_from([*"......", "text", "other", "null", "category"]))
    if form == "text" and is_date:
        return column.dt.strftime(draw(st.sampled_from(["%Y-%m-%d", " %Y%m%d ", "%d.%m.%Y", "%Y-%m-%dT00:00:00"])))
    if form == "text" and not is_date:
        return column.fill_null("x")
    if form == "null":
        return pl.Series(name, [None] * height, dtype=pl.Null)
    if form == "category":
        return column.cast(pl.Datetime("us")) if is_date else column.cast(pl.Categorical)
    if form == "other" and draw(st.booleans()):
        return pl.Series(name, [None] * height, dtype=draw(st.sampled_from(OTHER_TYPES)))
    return column


@st.composite
def tables(draw: Any, table: str) -> pl.DataFrame | pl.LazyFrame | None:
    """A table of some rows; now and then a column is missing, there are more, or the table is lazy or left out."""
    if table == "drugs" and draw(st.integers(0, 4)) == 0:
        return None
    height = draw(st.integers(1 if table == "enrollees" else 0, 6))
    if table == "enrollees":
        ids = draw(st.lists(st.sampled_from([*IDS, None, "", " "]), min_size=1, max_size=5, unique=True))
        height = len(ids)
    frame = pl.DataFrame([draw(columns(name, dtype, height)) for name, dtype in SCHEMAS[table].items()])
    if table == "enrollees" and frame.schema["enrollee_id"] == pl.String:
        frame = frame.with_columns(pl.Series("enrollee_id", ids, dtype=pl.String))
    odd = draw(st.integers(0, 19))
    if odd == 0:
        frame = frame.drop(draw(st.sampled_from(frame.columns)))
    if odd in (1, 2, 3) and table != "enrollees":
        issuers = st.lists(st.sampled_from(["12345", "54321", None]), min_size=height, max_size=height)
        frame = frame.with_columns(pl.Series("issuer_id", draw(issuers), dtype=pl.String))
    if odd == 4:
        frame = frame.with_columns(owner=pl.lit(1), rule=pl.lit("x"), listed=pl.lit([1], dtype=pl.List(pl.Int64)))
    return frame.lazy() if odd == 5 else frame


def check(frames: dict[str, Any], options: dict[str, Any]) -> None:
    try:
        result = score(frames, **options)
    except PoolwiseError as error:
        check_nothing_told(error, IDS[:3])
        return
    check_accounts(result, frames)
    key = result.scores.select("enrollee_id", "plan_id", "csr_variant", "metal_level")
    assert not key.is_duplicated().any()
    assert set(result.scores["enrollee_id"]) <= set(frames["enrollees"].lazy().collect()["enrollee_id"].cast(pl.String))


MARKETS = st.fixed_dictionaries({table: tables(table) for table in TABLES})
OPTIONS = st.fixed_dictionaries(
    {
        "explain": st.booleans(),
        "settings": st.sampled_from([None, None, {"duration_scope": "plan"}, {"person_scope": "enrollee"}]),
    }
)


@settings(EASY, max_examples=25)
@given(MARKETS, OPTIONS)
def test_garbage(frames, options):
    check(frames, options)


@pytest.mark.slow
@settings(EASY, max_examples=2_000)
@given(MARKETS, OPTIONS)
def test_much_garbage(frames, options):
    check(frames, options)
