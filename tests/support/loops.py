"""The event loop that services run on, for the tests of services: each test has one of its own."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

from tests.support.sampling import ALL, seed


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests of the database driver on both loops in a complete run: services use uvloop, commands asyncio's own."""
    if item.path.name.startswith("test_db_") and seed() == ALL:
        return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
    return {"uvloop": uvloop.new_event_loop}
