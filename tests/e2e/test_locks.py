"""A lock of any table delays pages, and only while it is held."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import ClientError

from tests.e2e.conftest import Standing
from tests.support import sampling
from tests.support.e2e.system import open_world
from tests.support.postgres import run
from tests.support.system import running_system
from tests.support.table_lock import locked
from tests.support.waiting import AN_HOUR, eventually
from tocsin.alerts.settings import Settings
from tocsin.kernel import workers
from tocsin.kernel.tasks import create_task

pytestmark = pytest.mark.slow
SCHEMAS = ["alerts", "incidents", "notifications", "oncall"]
FAILED_TRIES = 8
"""Waits for a lock after which every back-off of these quick services is at its maximum."""
TABLES = 8
"""How many tables a push draws."""
ON_THEIR_WAY = 6
"""Alerts that were sent just before a lock."""


@pytest.fixture
async def standing(db_dsn: str, tmp_path: Path) -> AsyncIterator[Standing]:
    """A system in which whatever waits for the end of a lease waits for ever."""
    brief = {
        "LEASE_SECONDS": str(AN_HOUR),
        "DB_LOCK_TIMEOUT_SECONDS": "0.1",
        "FORWARD_GRACE_SECONDS": "0.1",
        "BREAKER_SECONDS": "0.1",
        "ESCALATION_TIMEOUT_MINUTES": "60",
    }
    async with open_world() as world, running_system(db_dsn, tmp_path, {**world.environment, **brief}) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        yield Standing(system, world, db_dsn)


@pytest.mark.timeout(600)
async def test_pages_are_delivered_once_after_a_lock_of_any_table(standing: Standing) -> None:
    tables = [
        f"{row['schemaname']}.{row['tablename']}"
        for row in run(
            standing.dsn,
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%(schemas)s) ORDER BY 1, 2",
            {"schemas": SCHEMAS},
        )
    ]
    assert {"alerts.correlation", "incidents.outbox", "oncall.escalation", "notifications.notification"} <= set(tables)
    for table in sorted(sampling.drawn(tables, TABLES, sampling.seed())):
        await lock_and_release(standing, table)


async def lock_and_release(standing: Standing, table: str) -> None:
    """Lock *table* while alerts are on their way, until it has delayed them all it can; then expect each page once."""
    world = standing.world
    during = [f"during-{number}-{table}" for number in range(ON_THEIR_WAY)]
    senders = [create_task(send(standing, service), name="sender") for service in during]
    async with locked(standing.dsn, table) as lock:

        async def delayed_or_delivered() -> bool:
            waits = await asyncio.to_thread(lock.waits)
            return waits >= FAILED_TRIES or all(world.pages_of(service) for service in during)

        await eventually(delayed_or_delivered)
    after = f"after-{table}"
    await asyncio.gather(*senders, send(standing, after))
    await eventually(lambda: all(world.pages_of(service) for service in (*during, after)))
    for service in (*during, after):
        (page,) = world.pages_of(service)
        await standing.system.patch("incidents", f"/api/v1/incidents/{page.incident_id}", {"status": "resolved"})


async def send(standing: Standing, service: str) -> None:
    """Send an alert until it is accepted, as a sender does."""
    body = {"service": service, "severity": "critical", "message": "answers 5xx for 7.4 % of requests"}
    url = standing.system["alerts"].url + "/api/v1/alerts"

    async def accepted() -> bool:
        try:
            async with standing.system.session.post(
                url, json=body, headers={"Idempotency-Key": f"key-{service}"}
            ) as response:
                return response.status < 300
        except (ClientError, TimeoutError):
            return False

    await eventually(accepted)


def test_the_longest_back_off_ends_within_five_seconds() -> None:
    settings = Settings.model_validate({"database_url": "postgresql:///tocsin"})
    assert settings.retry_max_seconds < 5
    assert workers.MAX_PAUSE_SECONDS < 5
    assert settings.forward_grace_seconds + settings.poll_seconds < 5
    assert 2 * settings.poll_seconds < 5
