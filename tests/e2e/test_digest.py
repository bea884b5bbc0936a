"""An hour without notification-service: what a person hears when it is back."""

import asyncio
from pathlib import Path

import pytest

from tests.support.e2e.system import PRIMARY, World
from tests.support.postgres import run
from tests.support.system import running_system
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
WAITING = "FROM oncall.outbox WHERE kind = 'page' AND done_at IS NULL"
AN_HOUR_PASSES = """
    UPDATE oncall.outbox
    SET body = convert_to(jsonb_set(page, '{page,paged_at}',
        to_jsonb((page #>> '{page,paged_at}')::timestamptz - interval '1 hour'))::text, 'UTF8')
    FROM (SELECT id, convert_from(body, 'UTF8')::jsonb FROM oncall.outbox WHERE kind = 'page') AS page (id, page)
    WHERE outbox.id = page.id
"""


async def test_after_an_outage_a_person_gets_one_message_that_names_the_unacknowledged_incidents(
    db_dsn: str, tmp_path: Path, world: World
) -> None:
    patient = {**world.environment, "ESCALATION_TIMEOUT_MINUTES": "30"}
    async with running_system(db_dsn, tmp_path, patient) as system:
        await system.post("oncall", "/api/v1/schedules", world.team)
        await system["notifications"].stop()
        alerts = [{"service": f"s{n}", "severity": "high", "message": f"m{n}"} for n in range(9)]
        stored = await asyncio.gather(*(system.send_alert(alert) for alert in alerts))
        opened = [alert["incident_id"] for alert in stored]
        await eventually(lambda: run(db_dsn, f"SELECT count(*) {WAITING}") == [{"count": 9}])
        await system.patch("incidents", f"/api/v1/incidents/{opened[0]}", {"status": "resolved"})
        run(db_dsn, AN_HOUR_PASSES)
        await system["notifications"].start()
        await eventually(lambda: not run(db_dsn, f"SELECT 1 {WAITING}"))
        ended = "SELECT 1 FROM notifications.notification WHERE status = 'queued'"
        await eventually(lambda: world.received and not run(db_dsn, ended))
    [page] = world.received
    assert page.person == PRIMARY
    assert {entry["incident_id"] for entry in page.body["digest"]} == set(opened[1:])
