"""Texts as numbers: every text keeps its own number, whatever its length, chunk and neighbors."""

import random

import polars as pl
import pytest

from riskadjust import _distinct
from riskadjust._distinct import distinct_texts, numbers_among


def column(rng):
    letters = "abé中 "
    pool = [None, "", " "]
    pool += ["".join(rng.choice(letters) for _ in range(rng.randint(0, 30))) for _ in range(rng.choice([1, 5, 400]))]
    texts = [rng.choice(pool) for _ in range(rng.choice([0, 1, 5, 200, 1000]))]
    series = pl.Series("x", texts, dtype=pl.String)
    if rng.random() < 0.5:
        series = pl.concat([series, series.slice(2)])
    return (series.slice(3) if rng.random() < 0.3 else series), pool


@pytest.mark.parametrize("seed", range(60))
def test_numbers_stand_for_their_texts(seed, monkeypatch):
    rng = random.Random(seed)
    monkeypatch.setattr(_distinct, "_CHUNK", rng.choice([7, 64, 1 << 20]))
    monkeypatch.setattr(_distinct, "_FIRST_TABLE", rng.choice([4, 16, 1 << 16]))
    texts, pool = column(rng)
    distinct, numbers = distinct_texts(texts)
    assert distinct.gather(numbers).to_list() == texts.to_list()
    known = pl.Series(sorted({t for t in pool if t is not None and rng.random() < 0.6}), dtype=pl.String)
    place = {t: i for i, t in enumerate(known)}
    assert numbers_among(texts, known, 10**6).tolist() == [place.get(t, 10**6) for t in texts]
