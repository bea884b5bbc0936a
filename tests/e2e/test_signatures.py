"""Services that do not know each other's keys lose nothing, and go on once they do."""

from pathlib import Path

import pytest

from tests.support.e2e.system import World
from tests.support.postgres import run
from tests.support.system import System
from tests.support.waiting import eventually
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES

pytestmark = pytest.mark.slow
ALERT = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}
UNSIGNED = {"SERVICE_KEY_FILE": "", "SERVICE_KEYS": ""}
"""As a release before signatures: it neither signs nor checks."""


def foreign_keys(folder: Path, service: str) -> dict[str, str]:
    """Return the keys of another installation."""
    keys = KeyFolder(folder)
    keys.create_missing()
    return keys.environment(next(each for each in SERVICES if each.name == service))


async def test_a_page_waits_until_the_keys_are_right(system: System, world: World, db_dsn: str, tmp_path: Path) -> None:
    await system["oncall"].stop()
    await system["oncall"].start(until_ready=True, **foreign_keys(tmp_path / "other", "oncall"))
    alert = await system.send_alert(ALERT)

    def refused() -> bool:
        return "refuses the calls of this service" in system["incidents"].log

    await eventually(refused)
    rows = run(db_dsn, "SELECT parked_at FROM incidents.outbox WHERE done_at IS NULL")
    assert rows
    assert all(row["parked_at"] is None for row in rows), rows
    assert world.pages_for(alert["incident_id"]) == []

    await system["oncall"].stop()
    await system["oncall"].start()
    await world.first_page(alert["incident_id"])


@pytest.mark.parametrize("service", ["incidents", "oncall", "web"])
async def test_a_release_that_signs_nothing_works_with_this_one(system: System, world: World, service: str) -> None:
    await system[service].stop()
    await system[service].start(until_ready=True, **UNSIGNED)
    alert = await system.send_alert({**ALERT, "service": service}, to="web")
    await world.first_page(alert["incident_id"])
    await system.patch("web", f"/api/v1/incidents/{alert['incident_id']}", {"status": "acknowledged"})
    async with system.session.get(f"{system.url('web')}/incidents/{alert['incident_id']}") as page:
        assert page.status == 200
