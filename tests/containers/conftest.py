"""The system in containers, started once for all tests, and the people whom it pages."""

import inspect
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import ClientSession, ClientTimeout

from tests.support.containers.stack import GRAFANA, ROOT, USER_OF, DockerError, Stack, beside, docker, labelled
from tests.support.e2e.system import World, open_world
from tests.support.system import QUICK
from tocsin.kernel.ids import new_id

CALM = {"LEASE_SECONDS": "5", "CORRELATE_TIMEOUT_SECONDS": "2"}
"""Longer than the delays of a busy machine, on which an expired lease would send a page twice."""
LEFT_OUT: list[str] = []
"""What was not tested, with the reason."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in LEFT_OUT:
        terminalreporter.write_line(f"not tested: {line}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # All tests share the system, and hence an event loop.
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.function):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def world() -> AsyncIterator[World]:
    """People who can be paged, and the pages that they received."""
    async with open_world() as people:
        yield people


@pytest.fixture(scope="session")
def images() -> list[str]:
    """Build the images, unless they are given; return their names without the prefix."""
    if "TOCSIN_TEST_TAG" in os.environ:
        return list(USER_OF)
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    stack = Stack("tocsin-build", {"REVISION": revision.stdout.strip(), "CREATED": "2026-01-01T00:00:00Z"})
    stack.compose("build", "--quiet", *USER_OF)
    try:
        if not docker("image", "ls", "--quiet", GRAFANA):
            docker("pull", "--quiet", GRAFANA)
        stack.compose("build", "--quiet", "grafana")
    except DockerError as error:
        LEFT_OUT.append(f"Grafana: its image cannot be built here ({str(error).strip()[-200:]})")
        return list(USER_OF)
    return [*USER_OF, "grafana"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(images: list[str], world: World) -> AsyncIterator[Stack]:  # noqa: ARG001 - the images must exist
    """The whole system, with a team of people in `world`."""
    async with running(Stack(f"tocsin-test-{new_id().hex[-8:]}", {**QUICK, **CALM, **world.environment})) as stack:
        await stack.post("oncall", "/api/v1/schedules", world.team)
        yield stack


@asynccontextmanager
async def running(stack: Stack) -> AsyncIterator[Stack]:
    """Start *stack*, and remove it after the block."""
    try:
        await beside(stack.up)
        async with ClientSession(timeout=ClientTimeout(total=10)) as stack.session:
            yield stack
    finally:
        await beside(stack.down)
    assert {kind: labelled(kind, stack.project) for kind in ("container", "volume", "network")} == {
        "container": [],
        "volume": [],
        "network": [],
    }


@asynccontextmanager
async def alertmanager(stack: Stack) -> AsyncIterator[None]:
    """Run the real Alertmanager of the profile, whose only receiver is the system."""
    profile = ("--profile", "alertmanager")
    await beside(stack.compose, *profile, "up", "--detach", "--wait", "--no-deps", "--no-build", "alertmanager")
    try:
        yield
    finally:
        await beside(stack.compose, *profile, "rm", "--force", "--stop", "--volumes", "alertmanager")
