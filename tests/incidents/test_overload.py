"""More batches of alerts than can be correlated: people do not wait behind them."""

import asyncio

import pytest

from tests.incidents.conftest import StartReplica
from tests.support.incidents.api import alert
from tests.support.table_lock import locked
from tocsin.incidents.service import correlation
from tocsin.kernel.tasks import create_task


async def test_an_incident_is_acknowledged_while_more_batches_arrive_than_there_are_connections(
    start_replica: StartReplica, db_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correlation, "SLOT_SECONDS", 0.1)
    api = await start_replica(db_pool_size=4, correlate_concurrency=100)
    incident = await api.open()
    async with locked(db_dsn, "incidents.correlation_key") as lock:
        slow = [create_task(api.correlate(alert(service=f"slow-{number}")), name="slow") for number in range(2)]
        await lock.waited(2)
        path = "/api/v1/incidents/correlate"
        refused = await asyncio.gather(*(api.ask("POST", path, {"alerts": [alert()]}) for _ in range(4)))
        assert {(answer.status, answer.headers["Retry-After"]) for answer in refused} == {(503, "1")}
        assert {answer.body["type"] for answer in refused} == {"urn:tocsin:problem:overloaded"}
        acknowledged = await api.change(incident.id, status="acknowledged")
        assert acknowledged.acknowledged_at is not None
    assert [len(results) for results in await asyncio.gather(*slow)] == [1, 1]
    assert len(await api.correlate(alert())) == 1
