"""A full disk, volumes of other versions, a failing demo: nothing is lost, and the cause is logged."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.containers.conftest import CALM, running
from tests.support.containers.load import under_load
from tests.support.containers.stack import ROOT, SERVICES, DockerError, Stack, beside, docker
from tests.support.e2e.invariants import healed
from tests.support.e2e.system import World
from tests.support.postgres import run
from tests.support.system import QUICK
from tests.support.waiting import eventually
from tocsin.cli.demo.dataset import DEMO_INCIDENTS, HISTORY, TEAMS
from tocsin.kernel.ids import new_id

REQUIRE = ROOT / "docker/require-compose"
SMALL_DISK = Path(__file__).parent / "compose.small-disk.yaml"
NO_DEMO = {"DEMO": "0"}
ALERT = {"service": "surroundings", "severity": "high", "message": "still there"}
EARLIER = len([*(ROOT / "sql").glob("*.sql")]) - 1
"""The number of files in the schema of an earlier release."""
LATER = "9999_incidents_add_colour"
WITH_OTHER_FILES = """
import pathlib, shutil, sys, tempfile
from tocsin import migrate
many, name, text = int(sys.argv[1]), sys.argv[2], sys.stdin.read()
own = pathlib.Path(tempfile.mkdtemp())
for path in sorted(migrate.sql_folder().glob("*.sql"))[:many]:
    shutil.copy(path, own)
if text:
    (own / f"{name}.sql").write_text(text)
migrate.sql_folder = lambda: own
migrate.main()
"""
"""The migration of another release: with the first files of this one, and one of its own."""
COUNTS = """
    SELECT (SELECT count(*) FROM incidents.incident) AS incidents, (SELECT count(*) FROM alerts.alert) AS alerts,
           (SELECT count(*) FROM oncall.schedule) AS schedules, (SELECT count(*) FROM incidents.note) AS notes
    """

pytestmark = pytest.mark.sample("long container tests", 1, unit="surroundings")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def small(images: list[str], world: World) -> AsyncIterator[Stack]:  # noqa: ARG001 - they must be there
    """A system after its first start, with the demo data, on a disk of 320 MB."""
    environment = {**QUICK, **CALM, **world.environment, "DEMO": "1"}
    async with running(Stack(f"tocsin-test-{new_id().hex[-8:]}", environment, SMALL_DISK)) as stack:
        yield stack


async def test_only_the_first_start_adds_the_demo_data_which_can_be_removed(small: Stack) -> None:
    (first,) = run(small.dsn(), COUNTS)
    assert (first["incidents"], first["schedules"]) == (len(DEMO_INCIDENTS) + len(HISTORY), len(TEAMS))
    await beside(small.up)
    assert run(small.dsn(), COUNTS) == [first]
    await beside(small.compose, "run", "--rm", "-T", "demo", "remove")
    assert run(small.dsn(), COUNTS) == [dict.fromkeys(first, 0)]


async def test_a_failing_demo_is_named_and_does_not_block_the_start(small: Stack, tmp_path: Path) -> None:
    fails = tmp_path / "compose.fails.yaml"
    fails.write_text("services: {demo: {command: [no-such-command]}}")
    await beside(small.compose, "rm", "--force", "--stop", "prometheus", "demo")
    with pytest.raises(DockerError, match=r"demo.* didn't complete successfully"):
        await beside(small.up, COMPOSE_FILE=f"{small.environment['COMPOSE_FILE']}:{fails}")
    assert len(small.containers("prometheus")) == 1


async def test_a_database_of_an_earlier_release_is_migrated_with_its_data(small: Stack, world: World) -> None:
    services = [name for name in SERVICES.values() if name != "web-ui"]
    await beside(small.compose, "stop", *services)
    run(small.dsn(), "DROP SCHEMA access, alerts, incidents, oncall, notifications, tocsin, migrations CASCADE")
    output = await beside(migrate_with, small, EARLIER)
    assert f"({EARLIER} applied)" in output
    old = str(new_id())
    run(
        small.dsn(),
        """
        INSERT INTO incidents.incident (id, title, service, severity, status, created_at, acknowledged_at, resolved_at)
        VALUES (%(id)s, 'before the upgrade', 'old', 'low', 'resolved', now() - interval '2 d', now() - interval '47 h',
                now() - interval '46 h')
        """,
        {"id": old},
    )
    await beside(small.up, **NO_DEMO)
    await small.ready()
    found = await small.get("incidents", f"/api/v1/incidents/{old}")
    assert (found["title"], found["mtta_seconds"]) == ("before the upgrade", 3600)
    await everything_works(small, world)


async def test_services_of_an_earlier_release_work_with_a_later_schema_which_is_named(
    small: Stack, world: World
) -> None:
    text = """
        SET lock_timeout = '2s';
        ALTER TABLE incidents.incident ADD COLUMN colour text NOT NULL DEFAULT 'red';
        ALTER TABLE alerts.alert ADD COLUMN weight integer;
        CREATE TABLE oncall.later (id uuid PRIMARY KEY);
        """
    assert f"applied {LATER}" in await beside(migrate_with, small, 1_000, text)
    # An operator starts these images again, and does nothing else.
    await beside(small.compose, "up", "--detach", "--wait", "--no-build", "--force-recreate", *SERVICES.values())
    assert f"the schema is of a later release ({LATER})" in small.compose("logs", "migrate")
    await small.ready()
    await everything_works(small, world)


def migrate_with(stack: Stack, many: int, text: str = "") -> str:
    """Run the migrator as it is in another release."""
    command = ("run", "--rm", "--no-deps", "-T", "--entrypoint", "python", "migrate", "-c", WITH_OTHER_FILES)
    return docker("compose", *command, str(many), LATER, environment=stack.environment, stdin=text)


async def everything_works(stack: Stack, world: World) -> None:
    """Alert, page and resolve once."""
    schedules = await stack.get("oncall", "/api/v1/schedules")
    if not schedules["items"]:
        await stack.post("oncall", "/api/v1/schedules", world.team)
    alert = await stack.send_alert({**ALERT, "service": str(new_id())})
    await world.first_page(alert["incident_id"])
    await stack.resolve(alert["incident_id"])


async def test_a_full_disk_is_logged_loses_no_accepted_alert_and_ends_with_free_space(small: Stack) -> None:
    async with under_load(small, "full") as ledger:
        await eventually(lambda: len(ledger.accepted) > 50, timeout=60)
        # A fresh WAL segment: then a statement fails first, not the whole server.
        run(small.dsn(), "SELECT pg_switch_wal()")
        before = len(ledger.accepted)
        await eventually(lambda: len(ledger.accepted) > before, timeout=60)
        await beside(small.execute, "keeper", "sh", "-c", FILL)
        refused = await eventually(lambda: refusal(small), timeout=120, every=0.2)
        assert refused == "1"
        await eventually(lambda: "No space left on device" in small.compose("logs", "database"), timeout=60, every=1)
        await beside(small.execute, "keeper", "rm", "/keep/ballast")
        before = len(ledger.accepted)
        await eventually(lambda: len(ledger.accepted) > before + 50, timeout=120)
    assert [line for line in ledger.failed if " 503 " not in line] == []
    assert "disk is full" in small.compose("logs", *SERVICES.values())
    dsn = small.dsn()
    # A refused alert may have been stored nevertheless, so that only the accepted ones are checked.
    await healed(dsn, accepted=ledger.accepted, service="none", seconds=60)
    for incident in ledger.incidents:
        await small.resolve(incident)


FILL = "fallocate --length $(($(df --output=avail --block-size=1 /keep | tail -1) - 200000)) /keep/ballast"


async def refusal(stack: Stack) -> str:
    """Return Retry-After once an alert is refused."""
    async with stack.session.post(f"{stack.url('alerts')}/api/v1/alerts", json=ALERT) as response:
        return response.headers["Retry-After"] if response.status == 503 else ""


@pytest.mark.parametrize(
    ("version", "error"),
    [("2.25.9", "Docker Compose 2.25.9 is too old: 2.26"), ("", "2.26 or newer"), ("v2.26.0", ""), ("5.0.1", "")],
)
def test_an_old_compose_is_refused(tmp_path: Path, version: str, error: str) -> None:
    other = tmp_path / "docker"
    other.write_text(f"#!/bin/sh\n[ -n '{version}' ] && echo '{version}'\n")
    other.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run([REQUIRE], env={"PATH": path}, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode == 0) == (error == "")
    assert error in done.stderr


async def test_a_data_folder_of_another_postgresql_is_named(small: Stack) -> None:
    up: tuple[Any, ...] = (small.compose, "up", "--detach", "--wait", "--no-build", "--no-deps", "database")
    await beside(small.compose, "stop", "database")
    await beside(small.execute, "keeper", "sh", "-c", "echo 16 > /keep/PG_VERSION")
    with pytest.raises(DockerError, match="database"):
        await beside(*up)
    assert "initialized by PostgreSQL version 16, which is not compatible with" in small.compose("logs", "database")
    await beside(small.execute, "keeper", "sh", "-c", "echo 17 > /keep/PG_VERSION")
    await beside(*up)
    await small.ready()
