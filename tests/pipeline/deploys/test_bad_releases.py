"""Bad releases: the deploy is rolled back and reports the error."""

from collections.abc import Mapping

import pytest

from tests.support.containers.load import under_load
from tests.support.containers.stack import beside
from tests.support.pipeline.deployed_system import (
    EXITS_IMMEDIATELY,
    FAILS_UNDER_LOAD,
    NEVER_PAGES,
    NEVER_READY,
    DeployedSystem,
    layer,
)

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.sample("deploys", 2),
]


@pytest.mark.parametrize(
    ("tag", "defects", "reason", "last_line"),
    [
        ("pipeline-never-ready", NEVER_READY, "oncall-service is not ready", "broken on purpose: no database"),
        ("pipeline-exits", EXITS_IMMEDIATELY, "web-ui is in a crash loop", "broken on purpose: it exits"),
    ],
)
async def test_a_release_that_never_becomes_ready_never_receives_a_request(
    system: DeployedSystem, tag: str, defects: Mapping[str, str], reason: str, last_line: str
) -> None:
    await beside(layer, tag, defects)
    good = await system.versions()
    async with under_load(system, tag) as ledger:
        done = await beside(system.deploy, "up", tag)
    assert done.returncode == 10, done.stdout + done.stderr
    assert reason in done.stderr
    assert "the last lines of" in done.stderr
    assert last_line in done.stderr
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    assert ledger.failed == [], system.edge_log()
    for incident in ledger.incidents:
        await system.resolve(incident)


@pytest.mark.parametrize(
    ("tag", "defects", "reason", "last_line"),
    [
        ("pipeline-never-pages", NEVER_PAGES, "the page is sent", "broken on purpose: no page"),
        ("pipeline-fails", FAILS_UNDER_LOAD, "requests failed", "broken on purpose: under load"),
    ],
)
async def test_a_ready_release_that_does_not_work_fails_its_verification_and_is_rolled_back(
    system: DeployedSystem, tag: str, defects: Mapping[str, str], reason: str, last_line: str
) -> None:
    await beside(layer, tag, defects)
    good = await system.versions()
    assert (await beside(system.deploy, "up", tag)).returncode == 0
    found = await beside(system.deploy, "verify", tag)
    assert found.returncode == 42, found.stdout + found.stderr
    assert reason in found.stderr
    assert last_line in found.stderr
    assert (await beside(system.deploy, "rollback")).returncode == 10
    assert await system.versions() == good
