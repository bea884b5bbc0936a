"""kill -9 at any moment: the next run settles, and only the good release is running."""

import asyncio
import os
from typing import Final

import pytest

from rollout.docker import Docker
from rollout.errors import RolloutError
from tests.support.containers.stack import beside, docker
from tests.support.pipeline.deployed_system import EXITS_IMMEDIATELY, FIRST, DeployedSystem, layer
from tests.support.sampling import commit
from tocsin.kernel import randomness, tasks

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sample("deploys", 2),
]

SEED: Final = int(os.environ.get("FAULT_SEED") or commit() or "0", 16)
KILLS: Final = int(os.environ.get("PIPELINE_KILLS", "3"))
BAD: Final = 0.3
"""The share of releases that would fail anyway."""
LATEST: Final = 25.0
"""Seconds; longer than most deploys take."""


@pytest.mark.parametrize("number", range(KILLS))
async def test_a_deploy_that_is_killed_is_settled_by_the_next_run(system: DeployedSystem, number: int) -> None:
    randomness.seed(SEED + number)
    tag = await beside(layer, "pipeline-killed", EXITS_IMMEDIATELY if randomness.uniform(0, 1) < BAD else None)
    good = await system.versions()
    deploy = system.begin("up", tag)
    try:
        async with tasks.timeout(randomness.uniform(0.5, LATEST)):
            await asyncio.to_thread(deploy.communicate)
    except TimeoutError:
        deploy.kill()
    await asyncio.to_thread(deploy.wait)
    settled = await beside(system.deploy, "settle")
    assert settled.returncode in {0, 10}, settled.stderr
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    services = [one["Config"]["Labels"]["com.docker.compose.service"] for one in system.all_containers()]
    assert len(set(services)) == len(services), "each is running once"


async def test_containers_that_a_killed_deploy_is_still_removing_are_not_an_error(system: DeployedSystem) -> None:
    engine = Docker(system.project)
    made = docker("create", f"tocsin/web-ui:{FIRST}").strip()
    gone = "0" * 64
    await beside(engine.remove, {made, gone})
    assert made not in docker("ps", "--all", "--quiet", "--no-trunc")
    await beside(engine.remove, {made, gone})
    with pytest.raises(RolloutError, match="docker stop"):
        await beside(engine.remove, {"--unknown"})


async def test_an_interrupted_deploy_rolls_back(system: DeployedSystem) -> None:
    tag = await beside(layer, "pipeline-interrupted")
    good = await system.versions()
    deploy = system.begin("up", tag)
    assert deploy.stdout
    while "start alert-ingestion" not in await asyncio.to_thread(deploy.stdout.readline):
        assert deploy.poll() is None, "it exited before it started a service"
    deploy.terminate()
    _, errors = await asyncio.to_thread(deploy.communicate)
    assert deploy.returncode == 10, errors
    assert "interrupted by SIGTERM" in errors
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    assert (await beside(system.deploy, "settle")).returncode == 0
