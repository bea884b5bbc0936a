"""Services that do not know each other's keys lose nothing, and go on once they do."""

from pathlib import Path

import pytest

from tests.support.e2e.system import World
from tests.support.postgres import run
from tests.support.system import WITHOUT_KEYS, System
from tests.support.waiting import eventually
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES

pytestmark = pytest.mark.slow
ALERT = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}


def foreign_keys(folder: Path, service: str) -> dict[str, str]:
    """Return the keys of another installation."""
    keys = KeyFolder(folder)
    keys.create_missing()
    return keys.environment(next(each for each in SERVICES if each.name == service))


@pytest.mark.parametrize("keys", ["foreign", "none"])
async def test_a_page_waits_until_the_keys_are_right(
    system: System, world: World, db_dsn: str, tmp_path: Path, keys: str
) -> None:
    service = "oncall" if keys == "foreign" else "incidents"
    wrong = WITHOUT_KEYS if keys == "none" else foreign_keys(tmp_path / "other", service)
    await system[service].stop()
    await system[service].start(until_ready=True, **wrong)
    alert = await system.send_alert(ALERT)

    def is_refused() -> bool:
        return "refuses the calls of this service" in system["incidents"].log

    await eventually(is_refused)
    rows = run(db_dsn, "SELECT parked_at FROM incidents.outbox WHERE done_at IS NULL")
    assert rows
    assert all(row["parked_at"] is None for row in rows), rows
    assert world.pages_for(alert["incident_id"]) == []

    await system[service].stop()
    await system[service].start()
    await world.first_page(alert["incident_id"])
