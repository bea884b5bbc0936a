import asyncio
import socket
from contextlib import closing

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import connection, make_dsn
from structlog.testing import capture_logs

from tests.incidents.conftest import Query, StartReplica
from tests.support.incidents.api import Api
from tests.support.incidents.sse import PATH, PATIENCE, Received, follow
from tests.support.waiting import eventually
from tocsin.contracts.incident_events import IncidentEvent
from tocsin.contracts.incidents import Incident
from tocsin.incidents.domain.stream_position import StreamPosition
from tocsin.kernel import tasks

INSERT = """
    INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail)
    SELECT gen_random_uuid(), id, 'paged', 'test', %(detail)s FROM incidents.incident
"""


def details(events: list[Received]) -> list[str]:
    return [event.data["detail"] for event in events]


async def opened(api: Api) -> Incident:
    """Open an incident; streams that begin from now on begin after it.

    An event is sent once no older transaction runs, and other databases of the server may have one.
    """
    incident = await api.open()
    async with follow(api, "0-0") as (stream, _):
        await stream.take(2)
    return incident


async def rounds(api: Api) -> float:
    """Return how often the hub has looked."""
    return await api.metric('tocsin_worker_ticks_total{outcome="ok",worker="incident_stream"}') or 0.0


async def look_twice(api: Api) -> None:
    """Wait until the hub has looked at the database at least once from begin to end."""
    before = await rounds(api)

    async def looked() -> bool:
        return await rounds(api) >= before + 2

    await eventually(looked)


async def test_every_change_is_an_event_with_the_fields_of_a_list(api: Api) -> None:
    async with follow(api) as (stream, ready):
        assert (ready.event, ready.data) == ("ready", {})
        assert stream.response.headers["X-Request-ID"]
        incident = await api.open()
        await api.change(incident.id, status="acknowledged", actor="priya")
        events = await stream.take(3)
    assert {event.event for event in events} == {"incident"}
    assert [event.data["event_type"] for event in events] == ["created", "assigned", "acknowledged"]
    last = IncidentEvent.model_validate(events[-1].data)
    assert last == IncidentEvent(
        incident_id=incident.id,
        number=incident.number,
        event_type=last.event_type,
        title=incident.title,
        service="checkout",
        severity=incident.severity,
        status="acknowledged",
        actor="priya",
        detail="Acknowledged.",
        created_at=last.created_at,
    )
    positions = [StreamPosition.parse(event.id) for event in (ready, *events)]
    assert positions == sorted(set(positions))


async def test_a_change_on_one_replica_reaches_the_clients_of_another_at_once(start_replica: StartReplica) -> None:
    here, there = await start_replica(stream_poll_seconds=3600), await start_replica(stream_poll_seconds=3600)
    async with follow(there) as (stream, _):
        incident = await here.open()
        assert [event.data["incident_id"] for event in await stream.take(2)] == [str(incident.id)] * 2


@pytest.mark.slow
async def test_a_client_resumes_on_any_replica_with_nothing_missed_and_nothing_doubled(
    start_replica: StartReplica,
) -> None:
    replicas = [await start_replica(), await start_replica()]
    incident = await replicas[0].open()
    async with follow(replicas[0], "0-0") as (stream, _):
        seen = await stream.take(2)
    for number in range(30):
        await replicas[number % 2].change(incident.id, notes=f"note {number}")
        async with follow(replicas[(number + 1) % 2], seen[-1].id) as (stream, ready):
            assert ready.id == seen[-1].id
            seen += await stream.take(1)
    assert details(seen[2:]) == [f"note {number}" for number in range(30)]
    async with follow(replicas[1], "0-0") as (stream, _):
        assert await stream.take(32) == seen, "the same from the beginning"


async def test_a_reconnect_after_silence_resumes_at_the_streams_position(api: Api) -> None:
    incident = await opened(api)
    async with follow(api) as (_, ready):
        pass
    await api.change(incident.id, notes="while nobody looked")
    async with follow(api, ready.id) as (stream, _):
        assert details(await stream.take(1)) == ["while nobody looked"]


@pytest.mark.slow
async def test_an_older_transaction_that_commits_later_is_not_skipped(
    api: Api, second_connection: connection, query: Query
) -> None:
    incident = await opened(api)
    async with follow(api) as (stream, _):
        with second_connection.cursor() as cursor:
            cursor.execute(INSERT, {"detail": "drawn first, committed last"})
            await api.change(incident.id, notes="drawn last, committed first")
            await look_twice(api)
            second_connection.commit()
        assert details(await stream.take(2)) == ["drawn first, committed last", "drawn last, committed first"]
        # And with the sequence the other way round: the older transaction draws the higher number.
        with second_connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()")
            await api.change(incident.id, notes="younger transaction, lower number")
            await look_twice(api)
            cursor.execute(INSERT, {"detail": "older transaction, higher number"})
            await look_twice(api)
            second_connection.commit()
        last = await stream.take(2)
    assert details(last) == ["older transaction, higher number", "younger transaction, lower number"]
    assert [StreamPosition.parse(event.id).seq for event in last] == [
        row["seq"] for row in query("SELECT seq FROM incidents.timeline ORDER BY xid DESC, seq DESC LIMIT 2")
    ][::-1]


async def test_a_transaction_of_another_database_of_the_server_delays_nothing(api: Api, db_dsn: str) -> None:
    with closing(psycopg2.connect(make_dsn(db_dsn, dbname="postgres"))) as elsewhere, elsewhere.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()")
        async with follow(api) as (stream, _):
            incident = await api.open()
            await api.change(incident.id, notes="while it runs")
            assert details(await stream.take(3))[-1] == "while it runs"


async def test_a_rolled_back_change_is_never_sent(api: Api, second_connection: connection) -> None:
    incident = await opened(api)
    async with follow(api) as (stream, _):
        with second_connection.cursor() as cursor:
            cursor.execute(INSERT, {"detail": "never happened"})
            await api.change(incident.id, notes="happened")
            second_connection.rollback()
        assert details(await stream.take(1)) == ["happened"]


@pytest.mark.slow
async def test_a_client_further_behind_than_the_buffer_is_served_from_the_database(
    start_replica: StartReplica, query: Query
) -> None:
    api = await start_replica(stream_buffer=2)
    await opened(api)
    async with follow(api) as (live, _), follow(api, "0-0") as (behind, _):
        query(
            "INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail) "
            "SELECT gen_random_uuid(), incident.id, 'paged', 'test', n::text "
            "FROM incidents.incident, generate_series(1, 1200) AS n"
        )
        expected = [str(number) for number in range(1, 1201)]
        assert details(await live.take(1200)) == expected
        assert details(await behind.take(1202))[2:] == expected


@pytest.mark.slow
async def test_a_client_that_does_not_read_is_disconnected_and_delays_no_other(
    start_replica: StartReplica, query: Query
) -> None:
    api = await start_replica(stream_send_seconds=0.3)
    await opened(api)
    server = api.client.server
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)  # noqa: FBT003
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, (server.host, server.port))
        await loop.sock_sendall(deaf, f"GET {PATH} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with follow(api) as (stream, _):

            async def clients() -> float | None:
                return await api.metric("tocsin_incidents_stream_clients")

            async def both() -> bool:
                return await clients() == 2

            await eventually(both)
            query(
                "INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail) "
                "SELECT gen_random_uuid(), incident.id, 'paged', 'test', repeat('x', 10000) "
                "FROM incidents.incident, generate_series(1, 2000) AS n"
            )
            assert len(await stream.take(2000)) == 2000

            async def one() -> bool:
                return await clients() == 1

            await eventually(one)


async def test_an_idle_stream_sends_heartbeats(start_replica: StartReplica) -> None:
    api = await start_replica(stream_ping_seconds=0.05)
    async with follow(api) as (stream, _):
        assert (await stream.line()).startswith(": ping")


async def test_streams_end_promptly_when_the_process_stops(api: Api) -> None:
    async with follow(api) as (stream, _), tasks.timeout(PATIENCE):
        closing = asyncio.ensure_future(api.client.server.close())
        assert not await stream.line()
        await closing


async def test_a_stream_outlives_the_loss_of_every_database_connection(api: Api, query: Query) -> None:
    incident = await opened(api)
    async with follow(api) as (stream, _):
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'tocsin-incidents' AND datname = current_database()"
        )

        async def noted() -> bool:
            answer = await api.ask("PATCH", f"/api/v1/incidents/{incident.id}", {"notes": "back"}, Idempotency_Key="k")
            return answer.status == 200

        await eventually(noted)
        assert details(await stream.take(1)) == ["back"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["raise", "execute_then_raise"])
async def test_a_read_that_fails_costs_a_client_nothing(api: Api, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    incident = await opened(api)
    async with follow(api) as (stream, _):
        for number in range(3):
            monkeypatch.setenv("FAILPOINT", "")
            await look_twice(api)
            monkeypatch.setenv("FAILPOINT", f"incidents.read_stream:{kind}")
            await api.change(incident.id, notes=f"note {number}")
        assert details(await stream.take(3)) == ["note 0", "note 1", "note 2"]


async def test_a_stream_resumes_from_its_query_parameter_unless_a_newer_header_is_given(api: Api) -> None:
    incident = await api.open()
    await api.change(incident.id, status="acknowledged")
    async with follow(api, "0-0") as (stream, _):
        events = await stream.take(3)
    async with follow(api, query=f"?last_event_id={events[0].id}") as (stream, ready):
        assert ready.id == events[0].id
        assert await stream.take(2) == events[1:]
    async with follow(api, events[1].id, query=f"?last_event_id={events[0].id}") as (stream, _):
        assert await stream.take(1) == events[2:]
    refused = await api.ask("GET", f"{PATH}?last_event_id=1")
    assert (refused.status, refused.body["errors"][0]["pointer"]) == (422, "last_event_id")


async def test_an_invalid_event_id_is_refused(api: Api) -> None:
    for given_id in ("nonsense", "1", "-1-2", "1-2-3", f"{2**64}-1", f"1-{2**63}", "½-2"):
        answer = await api.ask("GET", PATH, Last_Event_ID=given_id)
        assert answer.status == 422, given_id
        assert answer.body["errors"][0]["pointer"] == "Last-Event-ID"


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**63 - 1))
def test_a_position_survives_serialisation(xid: int, seq: int) -> None:
    assert StreamPosition.parse(str(StreamPosition(xid, seq))) == StreamPosition(xid, seq)


async def test_a_stream_that_its_client_closes_is_a_success_and_logs_nothing(api: Api) -> None:
    succeeded = f'tocsin_http_request_duration_seconds_count{{method="GET",route="{PATH}",status="200"}}'

    async def counted() -> float | None:
        return await api.metric(succeeded)

    with capture_logs() as lines:
        async with follow(api):
            pass
        await eventually(counted)
    assert [line for line in lines if line.get("route") == PATH] == []
