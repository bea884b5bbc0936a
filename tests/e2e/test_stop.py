"""A service that stops waits for nobody: not for requests, a receiver, other services or the database."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import ClientSession
from bench.receiver import own_address

from tests.fakes.receiver import answers, answers_when, open_receiver
from tests.support.e2e.system import PRIMARY
from tests.support.fork_server import SERVICES
from tests.support.system import Replica, System
from tests.support.tcp_proxy import Streams, Way, proxied_database
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow
DAY: Final = "86400"
NO_LIMITS: Final = dict.fromkeys(
    (
        "ASK_STATE_SECONDS",
        "COMMIT_PATIENCE_SECONDS",
        "CORRELATE_LOCK_SECONDS",
        "CORRELATE_TIMEOUT_SECONDS",
        "DB_CONNECT_TIMEOUT_SECONDS",
        "DB_LOCK_TIMEOUT_SECONDS",
        "DB_STATEMENT_TIMEOUT_SECONDS",
        "GATEWAY_CONNECT_SECONDS",
        "GATEWAY_RESPONSE_SECONDS",
        "GATEWAY_SILENCE_SECONDS",
        "GATEWAY_WRITE_SECONDS",
        "LEASE_SECONDS",
        "STREAM_SEND_SECONDS",
    ),
    DAY,
)
"""Waits of a day: only the limits of the stop end them. Together these take less than five seconds, which
tests/kernel/test_server.py checks without a clock, as a busy machine makes a clock useless."""
CHANGES: Final = {
    "alerts": "/api/v1/alerts",
    "incidents": "/api/v1/incidents",
    "oncall": "/api/v1/schedules",
    "notifications": "/api/v1/notify",
    "web": "/api/v1/incidents",
}


async def test_each_service_ends_while_requests_a_receiver_and_the_database_still_hang(
    db_dsn: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(open_receiver())
        receiver.behaves = answers_when(released := asyncio.Event(), answers(204))
        people = {"WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32", "SEND_TIMEOUT_SECONDS": "60000"}
        system = System(db_dsn, tmp_path, {**NO_LIMITS, **people})
        system.session = await stack.enter_async_context(ClientSession())
        replicas = [system.add(service) for service in SERVICES]
        databases = []
        for replica in replicas:
            stack.push_async_callback(replica.kill)
            database, dsn = await stack.enter_async_context(proxied_database(db_dsn))
            await replica.start(DATABASE_URL=dsn)
            databases += [database] if replica.service != "web" else []
        await system.post("oncall", "/api/v1/schedules", team(receiver.url))
        await system.post("alerts", "/api/v1/alerts", {"service": "stop", "severity": "high", "message": "hangs"})
        await eventually(lambda: receiver.received)
        requests = [await hanging_request(replica) for replica in replicas]
        for database in databases:
            database.drop()
        await eventually(lambda: all(database.held[Way.UP] for database in databases))

        assert await asyncio.gather(*(replica.stop() for replica in replicas)) == [0] * 5
        assert not released.is_set()
        # Each of these waits takes 3.5 seconds; a second one would be too many.
        waits = {replica.service: replica.log.count("did not stop in time") for replica in replicas}
        assert all(number <= 1 for number in waits.values()), waits
        for _, writer in requests:
            writer.close()


async def hanging_request(replica: Replica) -> Streams:
    """Send a request without its body; return when its handler waits for it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    writer.write(f"POST {CHANGES[replica.service]} HTTP/1.1\r\n{head}".encode())
    assert b" 100 " in await reader.readline()
    return reader, writer


def team(url: str) -> dict[str, Any]:
    """Return a team of one, reached at *url*."""
    contacts = [{"channel": "webhook", "address": url}]
    member = {"name": PRIMARY, "email": "priya@halyard.example", "role": "primary", "contacts": contacts}
    return {"team": "Payments", "rotation_type": "weekly", "members": [member], "services": ["stop"]}
