"""Frames of random garbage: scoring answers with balanced accounts or one clear refusal, and never with a crash."""

import datetime
import random
from collections import Counter
from typing import Any

import polars as pl
import pytest
from cases.bad_input.frames import PLAN, SCHEMAS, TABLES, check_accounts, check_nothing_told, score

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
LETTERS = [*map(chr, range(128)), *"\x85\xa0\xdf\u0130\u0663\u200b\u2028\ufeff\uff21\U0001f9ea"]


def text(draw: random.Random) -> str:
    return "".join(draw.choices(LETTERS, k=draw.randrange(9)))


def cell(draw: random.Random, name: str, is_date: bool, badness: float) -> Any:
    """A value that is usable or, as often as `badness` says, missing or garbage of its type."""
    if draw.random() >= badness:
        return draw.choice(USABLE[name])
    spoiled = draw.choice(UNUSABLE_DATES) if is_date else draw.choice([draw.choice(UNUSABLE_TEXTS), text(draw)])
    return draw.choice([None, spoiled])


def column(draw: random.Random, name: str, dtype: Any, height: int, badness: float) -> pl.Series:
    """A column that is mostly of its type, in a bad market sometimes of another."""
    is_date = dtype == pl.Date
    made = pl.Series(name, [cell(draw, name, is_date, badness) for _ in range(height)], dtype=dtype)
    if draw.random() >= badness:
        return made
    form = draw.choice(["text", "other", "null", "category"])
    if form == "text" and is_date:
        return made.dt.strftime(draw.choice(["%Y-%m-%d", " %Y%m%d ", "%d.%m.%Y", "%Y-%m-%dT00:00:00"]))
    if form == "text":
        return made.fill_null("x")
    if form == "category":
        return made.cast(pl.Datetime("us")) if is_date else made.cast(pl.Categorical)
    return pl.Series(name, [None] * height, dtype=pl.Null if form == "null" else draw.choice(OTHER_TYPES))


def table_of(draw: random.Random, table: str, badness: float) -> pl.DataFrame | pl.LazyFrame | None:
    """A table of some rows; now and then a column is missing, there are more, or the table is lazy or left out."""
    if table == "drugs" and draw.random() < 0.2:
        return None
    ids = draw.sample(IDS if draw.random() >= badness else [*IDS, None, "", " "], k=draw.randint(1, 5))
    height = len(ids) if table == "enrollees" else draw.randint(0, 6)
    frame = pl.DataFrame([column(draw, name, dtype, height, badness) for name, dtype in SCHEMAS[table].items()])
    if table == "enrollees" and frame.schema["enrollee_id"] == pl.String:
        frame = frame.with_columns(pl.Series("enrollee_id", ids, dtype=pl.String))
    odd = draw.randrange(20)
    if odd == 0:
        frame = frame.drop(draw.choice(frame.columns))
    if odd in (1, 2, 3) and table != "enrollees":
        issuers = draw.choices(["12345", "54321", None], k=height)
        frame = frame.with_columns(pl.Series("issuer_id", issuers, dtype=pl.String))
    if odd == 4:
        frame = frame.with_columns(owner=pl.lit(1), rule=pl.lit("x"), listed=pl.lit([1], dtype=pl.List(pl.Int64)))
    return frame.lazy() if odd == 5 else frame


def check(frames: dict[str, Any], options: dict[str, Any]) -> str:
    """Score, hold the answer to its promises, and return which answer it was."""
    try:
        result = score(frames, **options)
    except PoolwiseError as error:
        check_nothing_told(error, IDS[:3])
        return "refused"
    check_accounts(result, frames)
    key = result.scores.select("enrollee_id", "plan_id", "csr_variant", "metal_level")
    assert not key.is_duplicated().any()
    assert set(result.scores["enrollee_id"]) <= set(frames["enrollees"].lazy().collect()["enrollee_id"].cast(pl.String))
    return "scored" if result.scores.height else "nobody scored"


@pytest.mark.parametrize("seeds", [range(50), pytest.param(range(50, 2_000), marks=pytest.mark.slow)], ids=str)
def test_garbage(seeds):
    ends = Counter()
    for seed in seeds:
        draw = random.Random(seed)
        badness = draw.choice([0.0, 0.05, 0.3])
        frames = {table: table_of(draw, table, badness) for table in TABLES}
        settings = draw.choice([None, None, {"duration_scope": "plan"}, {"person_scope": "enrollee"}])
        ends[check(frames, {"explain": draw.random() < 0.5, "settings": settings})] += 1
    # Neither is garbage so bad that nothing is ever scored, nor so good that nothing is refused.
    assert min(ends["scored"], ends["nobody scored"], ends["refused"]) > len(seeds) / 8, ends
