"""kill -9 at any moment: the next run settles, and the last good release runs alone."""

import asyncio
import os
from typing import Final

import pytest

from rollout.engine import Docker
from rollout.mover import TroubleError
from tests.support.containers.stack import beside, docker
from tests.support.pipeline.engine.deployed import ENDS_AT_ONCE, FIRST, Deployed, layer
from tocsin.kernel import randomness

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SEED: Final = int(os.environ.get("FAULT_SEED", "5"))
KILLS: Final = int(os.environ.get("PIPELINE_KILLS", "3"))
BAD: Final = 0.3
"""How many of the releases would not come up anyway."""
LATEST: Final = 25.0
"""Seconds: longer than most deploys take."""


@pytest.mark.parametrize("number", range(KILLS))
async def test_a_deploy_that_is_killed_is_settled_by_the_next_run(system: Deployed, number: int) -> None:
    randomness.seed(SEED + number)
    tag = await beside(layer, "pipeline-killed", ENDS_AT_ONCE if randomness.uniform(0, 1) < BAD else None)
    good = await system.versions()
    deploy = system.begin("up", tag)
    try:
        async with asyncio.timeout(randomness.uniform(0.5, LATEST)):
            await asyncio.to_thread(deploy.communicate)
    except TimeoutError:
        deploy.kill()
    await asyncio.to_thread(deploy.wait)
    settled = await beside(system.deploy, "settle")
    assert settled.returncode in {0, 10}, settled.stderr
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    services = [one["Config"]["Labels"]["com.docker.compose.service"] for one in system.everyone()]
    assert len(set(services)) == len(services), "each runs once"


async def test_what_a_killed_deploy_is_still_removing_may_be_gone_before_the_next_run_removes_it(
    system: Deployed,
) -> None:
    engine = Docker(system.project)
    made = docker("create", f"tocsin/web-ui:{FIRST}").strip()
    gone = "0" * 64
    await beside(engine.remove, {made, gone})
    assert made not in docker("ps", "--all", "--quiet", "--no-trunc")
    await beside(engine.remove, {made, gone})
    with pytest.raises(TroubleError, match="docker stop"):
        await beside(engine.remove, {"--unknown"})


async def test_a_deploy_that_is_interrupted_goes_back_by_itself(system: Deployed) -> None:
    tag = await beside(layer, "pipeline-interrupted")
    good = await system.versions()
    deploy = system.begin("up", tag)
    assert deploy.stdout
    while "start alert-ingestion" not in await asyncio.to_thread(deploy.stdout.readline):
        assert deploy.poll() is None, "it ended before it began"
    deploy.terminate()
    _, said = await asyncio.to_thread(deploy.communicate)
    assert deploy.returncode == 10, said
    assert "interrupted by SIGTERM" in said
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    assert (await beside(system.deploy, "settle")).returncode == 0
