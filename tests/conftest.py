"""Which tests the default run takes, and what it may cost.

`make test` is run after every change, so it has a budget: 75 seconds of processor time in all, 40 on the clock of two
quiet cores (`/usr/bin/time make test` shows both, `make test ARGS=--durations=60` where they go). A fourth of it goes
into reading the tests and into the slow twin of the score. A new part of the product gets 3 seconds of processor time:

- a test takes under 0.1 s; one that takes more than 0.3 s says in the default run what no cheaper one says, or is slow;
- what many tests look at is made once, in a fixture of module scope, and small: what a rule does is seen on a handful
  of rows, that it does so on thousands is a case of its own, marked slow;
- commands run in the process of the test (`commands.run`); only what belongs to a process of its own gets one;
- pages are drawn where pages are looked at, elsewhere the fixture `without_pages` keeps them out;
- nothing is read or computed when a test file is imported but the names of its cases.

Of a test with several cases the default run takes an eighth, at most four, and of a file no more than ten tests,
always the same ones; the slow run takes the others, so that both together leave nothing out. `every_case` marks a test
whose cases all belong to the default run: what must hold of every year, or what each case says of something else.
"""

import gc
import zlib
from collections import defaultdict

import pytest

SHARE, MOST = 8, 4  # one case in so many is in the default run, and no more than so many of one test
MOST_OF_FILE = 10  # tests of one file in the default run


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    # What collecting makes stays to the end: looking through it for garbage, then and later, takes seconds.
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(50_000, 20, 20)
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before the selection by marker
def pytest_collection_modifyitems(items):
    by_test, by_file = defaultdict(list), defaultdict(list)
    for item in _shared(items):
        by_test[item.nodeid.partition("[")[0]].append(item)
    for several in by_test.values():
        _leave_to_the_slow_run(several, min(MOST, -(-len(several) // SHARE)))
    for item in _shared(items):
        by_file[item.nodeid.partition("::")[0]].append(item)
    for several in by_file.values():
        _leave_to_the_slow_run(several, MOST_OF_FILE)


def _shared(items):
    return [item for item in items if "slow" not in item.keywords and "every_case" not in item.keywords]


def _leave_to_the_slow_run(several, most):
    for item in sorted(several, key=lambda item: (zlib.crc32(item.name.encode()), item.name))[most:]:
        item.add_marker(pytest.mark.slow)


@pytest.fixture
def plain_terminal(monkeypatch):
    """No setting of the machine changes what a command does."""
    for name in ("POOLWISE_DEBUG", "POOLWISE_TABLES", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_pages(monkeypatch):
    """Pages and workbooks of settlements are left out: drawing them takes longer than all the rest of a command."""
    monkeypatch.setattr("poolwise.cli._transfer_results.SettlementOutcome.draw", lambda *_, **__: False)


@pytest.fixture
def undrawn_charts(monkeypatch):
    """A chart is described and not drawn: how it looks is no matter of a command."""
    monkeypatch.setattr(
        "poolwise.report._charts._svg", lambda chart: f"<svg>{len(chart.to_dict(validate=False))}</svg>"
    )
