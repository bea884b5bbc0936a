"""What alert-ingestion refuses in closed mode is in the audit; it changes nothing on behalf of people."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.alerts.conftest import Start
from tests.fakes.audit import BEARER, FakeAudit, closed_mode
from tests.support.waiting import eventually
from tocsin.kernel import audit_refusals

ALERTS = "/api/v1/alerts"
ALERT = {"service": "checkout", "severity": "critical", "message": "p95 latency above 2 s"}


@pytest.fixture
async def audit() -> AsyncIterator[FakeAudit]:
    async with FakeAudit().serving() as peer:
        yield peer


async def test_refusals_arrive_at_the_web_service_once_it_is_there(
    start: Start, tmp_path: Path, audit: FakeAudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_refusals, "MINUTE", 0.2)
    service = await start(**closed_mode(tmp_path, "alerts", audit))
    made_up = {"Authorization": "Bearer tocsin_sat_canary"}
    await audit.stop()
    signature = {"Authorization": "Tocsin-Service canary"}
    for headers, status in ((signature, 401), ({}, 401), (made_up, 503)):
        async with service.client.post(ALERTS, json=ALERT, headers=headers) as response:
            assert response.status == status, await response.text()
    await audit.start()
    await eventually(lambda: audit.entries)
    async with service.client.post(ALERTS, json=ALERT, headers=BEARER) as response:
        assert response.status == 201, await response.text()
    assert [(action, name, after) for action, name, _, after in audit.told()] == [
        ("request.refused", f"POST {ALERTS}", {"status": 401})
    ]
    assert "canary" not in str([request.body for request in audit.requests if "audit" in request.path])
