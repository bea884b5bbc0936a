"""A time limit for every test, by pytest-timeout: a test that hangs fails with the stacks of all threads."""

from pathlib import Path
from typing import Final

import pytest

SECONDS: Final = 120.0
SLOW_SECONDS: Final = 300.0
CONTAINER_SECONDS: Final = 900.0
"""Includes building the images and starting the system, for the first test."""
CONTAINERS: Final = {"containers", "deploys", "commits"}
"""Folders whose tests run the system in containers."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "timeout(seconds): the time limit of a test; see tests/support/timeouts.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(limit(item.path, slow=item.get_closest_marker("slow") is not None)))


def limit(path: Path, *, slow: bool) -> float:
    """Return the default limit of a test in *path*, in seconds."""
    if CONTAINERS & set(path.parts):
        return CONTAINER_SECONDS
    return SLOW_SECONDS if slow else SECONDS
