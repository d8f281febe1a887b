"""Scoring files in batches: the same results as in memory, for any batch size, and after an interruption."""

from datetime import date

import polars as pl
import pytest

import riskadjust
from data_specs import synthetic_market
from data_specs.errors import InputRefused, OutputRefused, SettingRefused
from riskadjust import _stream

YEAR = 2025


@pytest.fixture(scope="module")
def market():
    tables = synthetic_market("VT", enrollees=400, seed=5, benefit_year=YEAR)
    nobody = tables["diagnoses"].head(3).with_columns(pl.Series("enrollee_id", ["AAA", "SYN-00000007x", None]))
    tables["diagnoses"] = pl.concat([tables["diagnoses"], nobody])
    return {n: tables[n].sort("enrollee_id", maintain_order=True) for n in ("enrollees", "spans", "diagnoses", "drugs")}


@pytest.fixture
def files(market, tmp_path):
    paths = {}
    for name, frame in market.items():
        paths[name] = tmp_path / f"{name}.parquet"
        frame.write_parquet(paths[name], row_group_size=97)
    return paths


def parts(folder):
    return pl.read_parquet(sorted((folder / "scores").glob("*.parquet")))


@pytest.mark.parametrize("batch", [37, 133, 190, 399, 400, 5000])
def test_same_results_for_any_batch(market, files, tmp_path, batch, monkeypatch):
    monkeypatch.setattr(_stream, "_SLICE_ROWS", 211)
    if batch == 190:
        files = {n: p for n, p in files.items() if n != "drugs"}
    whole = riskadjust.score(
        market["enrollees"],
        market["spans"],
        market["diagnoses"],
        market["drugs"] if "drugs" in files else None,
        benefit_year=YEAR,
        explain=True,
    )
    streamed = riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, explain=True, batch_enrollees=batch)
    assert parts(tmp_path / "out").equals(whole.scores)
    assert streamed.rows == whole.scores.height
    assert streamed.findings.equals(whole.findings)
    assert streamed.counts.equals(whole.counts)
    refused = pl.read_parquet(sorted((tmp_path / "out" / "rejected").glob("diagnoses-*.parquet")))
    assert refused.height == whole.rejected["diagnoses"].height


def test_a_run_goes_on_where_it_stopped(files, tmp_path, monkeypatch):
    calls = []
    real = _stream.score

    def counted(*frames, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*frames, **options)

    monkeypatch.setattr(_stream, "score", counted)
    options = {"benefit_year": YEAR, "batch_enrollees": 100}
    with pytest.raises(KeyboardInterrupt):
        riskadjust.score_files(files, tmp_path / "out", **options)
    done = []
    after = riskadjust.score_files(
        files, tmp_path / "out", **options, on_batch=lambda n, total: done.append((n, total))
    )
    assert len(calls) == 5  # two batches, the interrupted one, and the two that were left
    assert done[-1] == (400, 400)
    monkeypatch.setattr(_stream, "score", real)
    fresh = riskadjust.score_files(files, tmp_path / "fresh", **options)
    assert parts(tmp_path / "out").equals(parts(tmp_path / "fresh"))
    assert after.findings.equals(fresh.findings)


def test_parts_of_another_run_are_removed(files, tmp_path):
    riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, batch_enrollees=200)
    riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, batch_enrollees=400)
    assert len(list((tmp_path / "out" / "scores").iterdir())) == 1


def test_a_folder_with_other_files_is_left_alone(files, tmp_path):
    (tmp_path / "mine" / "scores").mkdir(parents=True)
    (tmp_path / "mine" / "scores" / "letter.txt").write_text("dear reader")
    with pytest.raises(OutputRefused, match="not of such a run"):
        riskadjust.score_files(files, tmp_path / "mine", benefit_year=YEAR)
    assert (tmp_path / "mine" / "scores" / "letter.txt").exists()


def test_unsorted_files_are_refused(market, files, tmp_path):
    assert _stream.sorted_by_enrollee(files["diagnoses"])
    market["diagnoses"].reverse().write_parquet(files["diagnoses"])
    assert not _stream.sorted_by_enrollee(files["diagnoses"])
    with pytest.raises(InputRefused, match="not sorted by enrollee_id"):
        riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR)


def test_a_repeated_enrollee_across_a_batch_border_is_refused(market, files, tmp_path):
    twice = pl.concat([market["enrollees"].head(100), market["enrollees"].slice(99)])
    twice.write_parquet(files["enrollees"])
    with pytest.raises(InputRefused, match="share an enrollee_id"):
        riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, batch_enrollees=100)


def test_bad_calls_are_refused(files, tmp_path):
    with pytest.raises(SettingRefused):
        riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, batch_enrollees=0)
    with pytest.raises(InputRefused, match="diagnoses file is missing"):
        riskadjust.score_files({n: files[n] for n in ("enrollees", "spans")}, tmp_path / "out", benefit_year=YEAR)
    files["drugs"].write_text("not a table")
    with pytest.raises(InputRefused, match="cannot be read"):
        riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR)
    none = {"enrollee_id": [], "birth_date": [], "sex": []}
    schema = {"enrollee_id": pl.String, "birth_date": pl.Date, "sex": pl.String}
    pl.DataFrame(none, schema=schema).write_parquet(files["enrollees"])
    files.pop("drugs")
    with pytest.raises(InputRefused, match="no rows"):
        riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR)


@pytest.mark.slow
def test_ids_that_are_null_at_a_border(market, files, tmp_path):
    blank = market["enrollees"].head(2).with_columns(pl.lit(None, dtype=pl.String).alias("enrollee_id"))
    people = pl.concat([blank, market["enrollees"].head(5)])
    people = people.with_columns(pl.lit(date(1980, 5, 5)).alias("birth_date"))
    people.write_parquet(files["enrollees"])
    result = riskadjust.score_files(files, tmp_path / "out", benefit_year=YEAR, batch_enrollees=1)
    assert result.counts.row(by_predicate=pl.col("table") == "enrollees") == ("enrollees", 7, 5, 2)
