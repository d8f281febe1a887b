"""Which tests the default run takes.

It has to stay short, so of a test with many cases it takes a part, always the same one; the slow run takes the others.
"""

import zlib
from collections import defaultdict

import pytest

MANY_CASES = 8  # of a test with up to so many cases, all are in the default run
SHARE = 4  # of more, every fourth


@pytest.hookimpl(tryfirst=True)  # before the selection by marker
def pytest_collection_modifyitems(items):
    cases = defaultdict(list)
    for item in items:
        if "slow" not in item.keywords:
            cases[item.nodeid.partition("[")[0]].append(item)
    for several in cases.values():
        if len(several) > MANY_CASES:
            in_order = sorted(several, key=lambda item: (zlib.crc32(item.name.encode()), item.name))
            for item in in_order[-(-len(several) // SHARE) :]:
                item.add_marker(pytest.mark.slow)
