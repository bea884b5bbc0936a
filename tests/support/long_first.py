"""Long tests first: at the end of a run no worker waits for another that has just begun one.

With `--dist worksteal` each worker begins with an equal part of the list, and goes on with the end of another's part.
"""

import os
from itertools import groupby, islice

import pytest


@pytest.hookimpl(trylast=True)  # after tests were left out
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin the part of each worker with slow tests, those of a file together."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = arranged(items, workers) if workers > 1 else items


def arranged(items: list[pytest.Item], workers: int) -> list[pytest.Item]:
    """Return *items* with slow ones at the beginning of each of as many equal parts as there are *workers*."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    files = [[*group] for _, group in groupby(slow, key=lambda item: item.path)]
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for file in sorted(files, key=len, reverse=True):
        min(parts, key=len).extend(file)
    rest = iter([item for item in items if not item.get_closest_marker("slow")])
    left = len(items)
    for number, part in enumerate(parts):
        part.extend(islice(rest, max(0, left // (workers - number) - len(part))))
        left -= len(part)
    return [item for part in (*parts, rest) for item in part]
