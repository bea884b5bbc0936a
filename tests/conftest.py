"""Fixtures of every test: a migrated database of its own on a real PostgreSQL."""

import gc
import signal
from collections.abc import Iterator

import pytest
import structlog

from tests.support.postgres import Server, any_server
from tocsin.kernel import workers
from tocsin.migrate import migrate

pytest_plugins = [
    "tests.support.sampling",
    "tests.support.hypothesis_profiles",
    "tests.support.timeouts",
    "tests.support.long_first",
]


def pytest_configure() -> None:
    gc.disable()  # until everything is collected, which stays until the end
    # Ended by `timeout` or a CI runner, fixtures must be torn down as on Ctrl-C: one of them is a PostgreSQL.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # By default a traceback shows every frame's variables, for which a test that fails on purpose takes a second.
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], renderer])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure no coverage in slow tests, but those of the command: the fast ones run nearly every line."""
    for item in items:
        if item.get_closest_marker("slow") and "cli" not in item.path.parts:
            item.add_marker(pytest.mark.no_cover)


def pytest_collection_finish() -> None:
    # Searching what was collected for garbage takes a tenth of the time of the fast tests.
    gc.collect()
    gc.enable()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _restless() -> None:
    """Let loops in this process not rest, so that what a test has not caused to happen does not happen later."""
    workers.REST_FACTOR = 0.0


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """The PostgreSQL of this run, or of this worker of it."""
    with any_server() as server:
        yield server


@pytest.fixture(scope="session")
def template_db(postgres: Server) -> Iterator[str]:
    """A migrated database without connections: cloning it takes some 25 ms."""
    name = postgres.create()
    migrate(postgres.dsn(name))
    yield name
    postgres.drop(name)


@pytest.fixture
def empty_dsn(postgres: Server) -> Iterator[str]:
    """The address of an empty database of this test's own."""
    name = postgres.create()
    yield postgres.dsn(name)
    postgres.drop(name)


@pytest.fixture
def db_dsn(postgres: Server, template_db: str) -> Iterator[str]:
    """The address of a migrated, otherwise empty database of this test's own."""
    name = postgres.create(template=template_db)
    yield postgres.dsn(name)
    postgres.drop(name)
