"""A kill of any container loses nothing and leaves no work unfinished."""

from functools import partial

import pytest

from tests.support.containers.faults import ALL_SERVICES, kill, survive
from tests.support.containers.stack import Stack, beside, docker
from tests.support.e2e.system import World
from tests.support.waiting import eventually

KILL_THE_SERVICE = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    if path.parent.name != "1" and path.read_bytes().startswith(b"python\\0-m\\0tocsin."):
        os.kill(int(path.parent.name), 9)
"""


@pytest.mark.sample("container nights", 2)
@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_killing_a_container_loses_nothing(stack: Stack, world: World, service: str) -> None:
    assert await survive(stack, world, f"kill-{service}", partial(kill, service, 1.0)) == {}


async def test_a_service_that_exits_is_restarted(stack: Stack) -> None:
    (container,) = stack.containers("web-ui")
    before = docker("inspect", "--format", "{{.RestartCount}}", container)
    await beside(docker, "exec", container, "python", "-c", KILL_THE_SERVICE)
    await eventually(lambda: docker("inspect", "--format", "{{.RestartCount}}", container) != before, timeout=20)
    await stack.ready("web")
