"""A seeded sample of long tests for each push: `@pytest.mark.sample("fault nights", 2)` runs two of all of that name.

Tests with the same `unit`, such as a module whose tests build on each other, are drawn together.

TEST_SAMPLE names the seed, by default the commit, so that a run can be repeated and each commit draws anew; `all` runs
everything, as `make test-all` does.
"""

import functools
import hashlib
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Final

import pytest

ALL: Final = "all"


@functools.cache
def seed() -> str:
    """Return the seed of this run."""
    return os.environ.get("TEST_SAMPLE") or commit() or "0"


def rows(sampled: int, whole: int) -> int:
    """Return how much data a test uses: *sampled*, or *whole* in a run of everything."""
    return whole if seed() == ALL else sampled


def drawn(names: list[str], size: int, seed: str) -> set[str]:
    """Return *size* of *names*, the same for the same *seed* whatever their order."""
    if seed == ALL or size >= len(names):
        return set(names)
    return set(sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())[:size])


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--draw", type=int, metavar="N", help="run a seeded draw of N of the selected tests")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sample(name, size, unit=None): a seeded draw of all tests of that name; see TEST_SAMPLE"
    )


def pytest_report_header() -> str:
    return f"sample: TEST_SAMPLE={seed()}"


@pytest.hookimpl(trylast=True)  # after -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect what was not drawn."""
    if any("::" in argument for argument in config.args):
        return  # selected by name
    groups: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    sizes: dict[str, int] = {}
    for item in items:
        if marker := item.get_closest_marker("sample"):
            name, sizes[name] = marker.args
            groups[name][marker.kwargs.get("unit", item.nodeid)].append(item.nodeid)
    left_out = {
        nodeid
        for name, units in groups.items()
        for unit in units.keys() - drawn([*units], sizes[name], seed())
        for nodeid in units[unit]
    }
    if number := config.getoption("--draw"):
        every = {item.nodeid for item in items} - left_out
        left_out |= every - drawn(sorted(every), number, seed())
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]


def commit() -> str:
    """Return the short name of the commit that is checked out."""
    root = Path(__file__).parents[2]
    command = ("git", "rev-parse", "--short", "HEAD")
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603
