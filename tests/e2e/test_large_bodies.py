"""Five of the largest payloads at once: memory stays within a container's limit, and none is lost."""

import asyncio
import json
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest
from aiohttp import ClientSession, ClientTimeout

from tests.support.postgres import run
from tests.support.system import System, running_system
from tocsin.kernel import clock

pytestmark = pytest.mark.slow
CONTAINER_MIB: Final = 256
"""The memory limit of a service in compose.yaml."""
BODIES: Final = 5
ALERTS: Final = 5_000
"""In each body of 7 MB."""


def payload(number: int) -> bytes:
    alerts = [
        {
            "labels": {"service": f"disk-{index % 20}", "severity": "low", "instance": f"{number}-{index}"},
            "annotations": {"summary": "the disk is full", "description": "x" * 1_250},
            "startsAt": "2026-01-01T00:00:00Z",
            "fingerprint": f"{number:x}-{index:x}",
        }
        for index in range(ALERTS)
    ]
    return json.dumps({"version": "4", "groupKey": "{}", "status": "firing", "alerts": alerts}).encode()


async def post_until_accepted(session: ClientSession, system: System, body: bytes) -> int:
    """Send *body* as Alertmanager does, again after each 503; return the number of refusals."""
    url = system.url("alerts") + "/api/v1/receivers/alertmanager"
    refusals = 0
    while True:
        async with session.post(url, data=BytesIO(body), headers={"Content-Type": "application/json"}) as response:
            if response.status == HTTPStatus.OK:
                return refusals
            assert response.status == HTTPStatus.SERVICE_UNAVAILABLE, await response.text()
            refusals += 1
            await clock.sleep(float(response.headers["Retry-After"]))


@pytest.mark.timeout(300)
async def test_payloads_that_do_not_fit_together_are_accepted_one_after_the_other(db_dsn: str, tmp_path: Path) -> None:
    bodies = [payload(number) for number in range(BODIES)]
    assert all(7_000_000 < len(body) < 8 * 1024 * 1024 for body in bodies)
    async with running_system(db_dsn, tmp_path, {}) as system, ClientSession(timeout=ClientTimeout(250)) as session:
        opened = await system.post(
            "incidents", "/api/v1/incidents", {"service": "checkout", "severity": "high", "title": "by hand"}
        )
        system["alerts"].reset_peak_memory()
        sending = asyncio.gather(*(post_until_accepted(session, system, body) for body in bodies))
        change = {"status": "acknowledged", "actor": "Ada"}
        acknowledged = await system.patch("incidents", f"/api/v1/incidents/{opened['id']}", change)
        assert acknowledged["status"] == "acknowledged"
        assert not sending.done()
        await sending
        assert system["alerts"].peak_memory_mib < CONTAINER_MIB
    assert run(db_dsn, "SELECT count(*) FROM alerts.alert") == [{"count": BODIES * ALERTS}]
    assert run(db_dsn, "SELECT count(*) FROM alerts.request") == [{"count": BODIES}]
