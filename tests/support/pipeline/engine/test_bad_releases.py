"""Bad releases, each in its own way: the one before runs at the end, and the screen says why."""

from collections.abc import Mapping

import pytest

from tests.support.containers.load import under_load
from tests.support.containers.stack import beside
from tests.support.pipeline.engine.deployed import (
    ENDS_AT_ONCE,
    FAILS_UNDER_LOAD,
    NEVER_READY,
    PAGES_NOBODY,
    Deployed,
    layer,
)

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(
    ("tag", "poison", "reason", "last_line"),
    [
        ("pipeline-never-ready", NEVER_READY, "oncall-service is not ready", "broken on purpose: no database"),
        ("pipeline-ends", ENDS_AT_ONCE, "web-ui ends again and again", "broken on purpose: it ends"),
    ],
)
async def test_what_does_not_come_up_never_gets_a_request(
    system: Deployed, tag: str, poison: Mapping[str, str], reason: str, last_line: str
) -> None:
    await beside(layer, tag, poison)
    good = await system.versions()
    async with under_load(system, tag) as ledger:
        done = await beside(system.deploy, "up", tag)
    assert done.returncode == 10, done.stdout + done.stderr
    assert reason in done.stderr
    assert "the last lines of" in done.stderr
    assert last_line in done.stderr
    assert await system.versions() == good
    assert set(system.replicas().values()) == {"running"}
    assert ledger.failed == [], system.edge_says()
    for incident in ledger.incidents:
        await system.resolve(incident)


@pytest.mark.parametrize(
    ("tag", "poison", "reason", "last_line"),
    [
        ("pipeline-pages-nobody", PAGES_NOBODY, "the page is out", "broken on purpose: no page"),
        ("pipeline-fails", FAILS_UNDER_LOAD, "requests failed", "broken on purpose: under load"),
    ],
)
async def test_what_comes_up_and_does_not_do_its_work_is_found_and_gone_back_from(
    system: Deployed, tag: str, poison: Mapping[str, str], reason: str, last_line: str
) -> None:
    await beside(layer, tag, poison)
    good = await system.versions()
    assert (await beside(system.deploy, "up", tag)).returncode == 0
    found = await beside(system.deploy, "verify", tag)
    assert found.returncode == 42, found.stdout + found.stderr
    assert reason in found.stderr
    assert last_line in found.stderr
    assert (await beside(system.deploy, "rollback")).returncode == 10
    assert await system.versions() == good
