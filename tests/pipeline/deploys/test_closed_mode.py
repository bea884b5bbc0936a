"""A deploy of a system with log-ins: the pipeline proves who it is by a token of its own."""

from pathlib import Path

import pytest

from tests.support.containers.stack import beside
from tests.support.pipeline.deployed_system import FIRST, DeployedSystem, build
from tests.support.system import QUICK
from tocsin.kernel.ids import new_id

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.sample("deploys", 2)
async def test_a_release_with_log_ins_is_verified(tmp_path: Path) -> None:
    await beside(build)
    closed = DeployedSystem(f"tocsin-closed-{new_id().hex[-8:]}", tmp_path, {**QUICK, "ACCESS": "closed"})
    try:
        await beside(closed.release, FIRST)
        assert closed.verified["failed"] == 0
        assert closed.verified["paged_seconds"] < 15
    finally:
        await beside(closed.tear_down)
