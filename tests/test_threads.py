"""Work in chunks: every chunk once, the first error raised, and as many threads as were asked for."""

import pytest

from data_specs._threads import map_chunks, thread_count
from data_specs.errors import SettingRefused


@pytest.mark.parametrize("threads", ["1", "3"])
def test_every_chunk_is_worked_on_once(monkeypatch, threads):
    monkeypatch.setenv("POOLWISE_THREADS", threads)
    done = []
    map_chunks(done.append, range(0, 100, 7))
    map_chunks(done.append, range(0))
    assert sorted(done) == list(range(0, 100, 7))


@pytest.mark.parametrize("threads", ["1", "3"])
def test_the_first_error_is_raised(monkeypatch, threads):
    def run(start):
        if start >= 20:
            raise ValueError(start)

    monkeypatch.setenv("POOLWISE_THREADS", threads)
    with pytest.raises(ValueError, match=r"^20$"):
        map_chunks(run, range(0, 50, 10))


def test_how_many_threads(monkeypatch):
    monkeypatch.setenv("POOLWISE_THREADS", "5")
    assert thread_count() == 5
    monkeypatch.delenv("POOLWISE_THREADS")
    assert thread_count() >= 1
    for text in ("0", "-1", "two", "1.5"):
        monkeypatch.setenv("POOLWISE_THREADS", text)
        with pytest.raises(SettingRefused, match="POOLWISE_THREADS is not a whole number from 1"):
            thread_count()
