import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from tests.alerts.conftest import QUICK_GRACE, Start
from tests.fakes.incidents import FakeIncidents
from tests.support.alerts.api import ALERTMANAGER, ALERTS, Service, alert
from tests.support.postgres import Server, run
from tests.support.waiting import eventually
from tocsin.kernel.failpoints import FailpointKind
from tocsin.kernel.tasks import create_task, wait

BATCHES = "tocsin_alerts_batch_size_count"


@contextmanager
def locked(service: Service) -> Iterator[None]:
    """Keep every commit waiting, so that what arrives meanwhile goes into one batch."""
    with closing(psycopg2.connect(service.dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE alerts.request IN EXCLUSIVE MODE")
        yield
        connection.rollback()


async def commit_waits(service: Service) -> None:
    """Wait until a commit waits for the lock, for which a background worker may wait as well."""
    await eventually(
        lambda: service.rows(
            """
            SELECT 1 FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ 'insert_batch'
            """
        )
    )


async def in_one_batch(service: Service, *bodies: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Send *bodies* so that one transaction stores them all; return status and answer of each."""

    async def post(body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        response = await service.client.post(ALERTS, json=body)
        return response.status, await response.json()

    with locked(service):
        first = create_task(post(alert(message="first")), name="first")
        await commit_waits(service)
        tasks = [create_task(post(body), name="later") for body in bodies]
        await eventually(lambda: waits(service, len(bodies)))
    await first
    return await asyncio.gather(*tasks)


async def waits(service: Service, number: int) -> bool:
    return await service.metric("tocsin_alerts_waiting_requests") == number


async def test_requests_during_a_commit_are_stored_by_the_next(service: Service, incidents: FakeIncidents) -> None:
    answers = await in_one_batch(service, *(alert(message=f"{number}") for number in range(60)))
    assert {status for status, _ in answers} == {201}
    assert await service.metric(BATCHES) == 2
    assert len({answer["alert_id"] for _, answer in answers}) == 60
    assert len(incidents.received) == 61


async def test_one_alert_that_the_database_refuses_fails_alone(service: Service) -> None:
    service.rows("ALTER TABLE alerts.alert ADD CHECK (message <> 'poison')")
    bodies = [alert(message="poison" if number == 37 else f"{number}") for number in range(100)]
    answers = await in_one_batch(service, *bodies)
    statuses = [status for status, _ in answers]
    assert statuses[37] == 422
    assert answers[37][1]["errors"] == [{"pointer": "#", "detail": "The database cannot store this."}]
    assert statuses[:37] + statuses[38:] == [201] * 99
    assert service.rows("SELECT count(*) FROM alerts.alert") == [{"count": 100}]
    assert service.rows("SELECT count(*) FROM alerts.request") == [{"count": 100}]


async def test_an_error_of_the_schema_is_500_and_never_422(service: Service) -> None:
    service.rows("ALTER TABLE alerts.alert RENAME COLUMN remark TO note")
    answers = await in_one_batch(service, alert(), alert())
    assert [status for status, _ in answers] == [500, 500]
    service.rows("ALTER TABLE alerts.alert RENAME COLUMN note TO remark")
    await service.send()


async def test_reports_of_one_key_in_one_batch_are_one_alert(service: Service, incidents: FakeIncidents) -> None:
    fires = [alert(dedup_key="disk", labels={"n": str(number)}) for number in range(20)]
    answers = await in_one_batch(service, *fires, alert(dedup_key="disk", status="resolved"), alert(dedup_key="disk"))
    assert {status for status, _ in answers} == {201}
    ids = {answer["alert_id"] for _, answer in answers}
    rows = service.rows("SELECT id::text, occurrences, resolved_at FROM alerts.alert WHERE dedup_key = 'disk'")
    assert {row["id"] for row in rows} == ids
    assert sum(row["occurrences"] for row in rows) == 21
    assert await service.metric(BATCHES) == 2
    assert len(incidents.batches) == 2


async def test_of_a_firing_and_a_resolved_report_in_one_batch_the_last_state_is_forwarded(
    service: Service, incidents: FakeIncidents
) -> None:
    both = ({"status": status, "fingerprint": "f", "labels": {"service": "a"}} for status in ("firing", "resolved"))
    group = {"alerts": list(both)}
    await service.post(ALERTMANAGER, group)
    (state,) = incidents.received
    assert (state.status, state.version) == ("resolved", 2)
    assert state.fired_at is not None


async def test_a_commit_with_an_unknown_outcome_stores_nothing_twice(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await start(**QUICK_GRACE)
    monkeypatch.setenv("FAILPOINT", f"alerts.commit:{FailpointKind.EXECUTE_THEN_RAISE}")
    answers = await asyncio.gather(*(service.send(expect=None, dedup_key=f"{number % 3}") for number in range(9)))
    assert {answer["alert_id"] for answer in answers} == {
        row["id"] for row in service.rows("SELECT id::text FROM alerts.alert")
    }
    assert service.rows("SELECT count(*), sum(occurrences) AS seen FROM alerts.alert") == [{"count": 3, "seen": 9}]
    assert service.rows("SELECT count(*) FROM alerts.request") == [{"count": 9}]
    assert await service.metric('alerts_received_total{severity="high"}') == 9
    await eventually(lambda: not service.rows("SELECT 1 FROM alerts.correlation WHERE forwarded_version < version"))


@pytest.mark.slow
async def test_a_backend_killed_during_a_commit_loses_and_duplicates_nothing(service: Service) -> None:
    terminate = """
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'tocsin-alerts'
    """
    sending = asyncio.gather(*(service.send(expect=None, message=f"{number}") for number in range(300)))
    for _ in range(20):
        service.rows(terminate)
        await wait({sending}, seconds=0.02)
    accepted = {answer["alert_id"] for answer in await sending}
    stored = [row["id"] for row in service.rows("SELECT id::text FROM alerts.alert")]
    assert accepted == set(stored)
    assert len(stored) == 300
    assert len(service.rows("SELECT DISTINCT message FROM alerts.alert")) == len(stored)


async def test_deadlocks_between_replicas_lose_and_duplicate_nothing(start: Start) -> None:
    replicas = [await start(), await start()]
    keys = [f"{number}" for number in range(8)]

    def group(order: list[str]) -> dict[str, Any]:
        return {"alerts": [{"fingerprint": key, "labels": {"service": "a"}} for key in order]}

    for _ in range(10):
        await asyncio.gather(
            *(replicas[number % 2].post(ALERTMANAGER, group(keys[:: 1 if number % 2 else -1])) for number in range(8))
        )
    assert replicas[0].rows("SELECT count(*), sum(occurrences) AS seen FROM alerts.alert") == [
        {"count": 8, "seen": 640}
    ]
    assert replicas[0].rows("SELECT count(*) FROM alerts.open_alert") == [{"count": 8}]


@pytest.fixture
def admin_dsn(postgres: Server) -> str:
    return postgres.dsn("postgres")


@pytest.mark.slow
async def test_without_its_database_it_responds_503_and_accepts_the_next_try(start: Start, admin_dsn: str) -> None:
    service = await start(commit_patience_seconds=0.3)
    await service.send()
    name = service.rows("SELECT current_database() AS name")[0]["name"]
    run(admin_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    run(admin_dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s", {"name": name})
    response = await service.client.post(ALERTS, json=alert())
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert (await response.json())["type"] == "urn:tocsin:problem:database-unavailable"
    run(admin_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await service.send()
    assert service.rows("SELECT count(*) FROM alerts.alert") == [{"count": 2}]


@pytest.mark.slow
async def test_an_outage_shorter_than_the_commit_patience_is_not_noticed(service: Service, admin_dsn: str) -> None:
    await service.send()
    name = service.rows("SELECT current_database() AS name")[0]["name"]
    run(admin_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    run(admin_dsn, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %(name)s", {"name": name})
    sending = create_task(service.send(), name="sending")
    await wait({sending}, seconds=0.5)
    assert not sending.done()
    run(admin_dsn, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert (await sending)["status"] == "correlated"


async def test_requests_beyond_the_memory_for_them_are_refused(start: Start) -> None:
    service = await start(body_memory_mib=16, body_wait_seconds=0.1)
    with locked(service):
        tasks = [create_task(service.send(expect=None, message="m" * 60_000), name="sending") for _ in range(20)]
        done, _ = await wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        assert all("16 MiB" in task.result()["detail"] for task in done)
    answers = await asyncio.gather(*tasks)
    stored = service.rows("SELECT count(*) FROM alerts.alert")[0]["count"]
    assert stored == sum("alert_id" in answer for answer in answers) >= 2


async def test_a_stopping_replica_stores_pending_requests_and_responds(service: Service) -> None:
    with locked(service):
        sending = create_task(service.send(), name="sending")
        await commit_waits(service)
        stopping = create_task(service.client.server.close(), name="stopping")
        await wait({stopping}, seconds=0.1)
    answer = await sending
    await stopping
    assert service.rows("SELECT incident_id::text FROM alerts.correlation") == [{"incident_id": answer["incident_id"]}]
