"""A client that continuously sends alerts and reads incidents, without retries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector

from tests.support.containers.stack import Stack
from tocsin.kernel.tasks import create_task

SENDERS = 8


@dataclass(slots=True)
class Ledger:
    """The accepted alerts, their incidents, and the failed requests."""

    accepted: list[UUID] = field(default_factory=list)
    incidents: set[str] = field(default_factory=set)
    read: int = 0
    failed: list[str] = field(default_factory=list)


@asynccontextmanager
async def under_load(stack: Stack, service: str, *, fresh_connections: bool = False) -> AsyncIterator[Ledger]:
    """Send alerts of *service* and read from every service during the block."""
    ledger, stop = Ledger(), asyncio.Event()
    connector = TCPConnector(limit=0, force_close=fresh_connections)
    async with ClientSession(timeout=ClientTimeout(total=15), connector=connector) as session:
        work = [create_task(_send(session, stack, service, ledger, stop), name="sender") for _ in range(SENDERS)]
        work += [create_task(_read(session, stack, ledger, stop), name="reader") for _ in range(2)]
        try:
            yield ledger
        finally:
            stop.set()
            await asyncio.gather(*work)


async def _send(session: ClientSession, stack: Stack, service: str, ledger: Ledger, stop: asyncio.Event) -> None:
    body = {"service": service, "severity": "high", "message": "under load"}
    while not stop.is_set():
        try:
            async with session.post(f"{stack.url('alerts')}/api/v1/alerts", json=body) as response:
                answer = await response.json()
                if response.status >= 400:
                    ledger.failed.append(f"POST: {response.status} {answer}")
                    continue
        except (ClientError, TimeoutError, OSError) as exc:
            ledger.failed.append(f"POST: {exc!r}")
            continue
        ledger.accepted.append(UUID(answer["alert_id"]))
        if answer["incident_id"]:
            ledger.incidents.add(answer["incident_id"])


async def _read(session: ClientSession, stack: Stack, ledger: Ledger, stop: asyncio.Event) -> None:
    places = {
        "incidents": "/api/v1/incidents?limit=5",
        "oncall": "/api/v1/oncall/current?team=Payments",
        "notifications": "/api/v1/notifications?limit=5",
        "web": "/api/v1/incidents?limit=5",
    }
    while not stop.is_set():
        for service, path in places.items():
            try:
                async with session.get(stack.url(service) + path) as response:
                    text = await response.text()
                    if response.status >= 400:
                        ledger.failed.append(f"GET {service}: {response.status} {text}")
                    ledger.read += 1
            except (ClientError, TimeoutError, OSError) as exc:
                ledger.failed.append(f"GET {service}: {exc!r}")
