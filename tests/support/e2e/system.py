"""The people who are paged: receivers of webhooks that record what they received and when."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from aiohttp import web
from bench.receiver import listening, own_address

from tests.support.waiting import eventually
from tocsin.kernel import clock

PRIMARY, SECONDARY = "Priya Raman", "Carol Mensah"


@dataclass(frozen=True, slots=True)
class Received:
    """One page as it reached a person."""

    at: float
    delivery_id: str
    person: str
    incident_id: UUID
    body: Mapping[str, Any]


@dataclass(slots=True)
class World:
    """A team of two, each reached by webhook."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """Services for which the primary's receiver returns 410, which is final."""

    @property
    def environment(self) -> dict[str, str]:
        """The settings by which the services reach these people."""
        return {"WEBHOOK_ALLOWED_NETWORKS": f"{own_address()}/32", "DEFAULT_TEAM": "Payments"}

    @property
    def team(self) -> dict[str, Any]:
        """Payments, which owns checkout and cart."""

        def member(name: str, role: str, path: str) -> dict[str, Any]:
            return {
                "name": name,
                "email": f"{path}@halyard.example",
                "role": role,
                "contacts": [{"channel": "webhook", "address": f"{self.url}/{path}"}],
            }

        members = [member(PRIMARY, "primary", "priya"), member(SECONDARY, "secondary", "carol")]
        return {"team": "Payments", "rotation_type": "weekly", "members": members, "services": ["checkout", "cart"]}

    def pages_for(self, incident_id: str) -> list[Received]:
        """Return what was received for an incident, in order."""
        return [page for page in self.received if str(page.incident_id) == incident_id]

    def pages_of(self, service: str) -> list[Received]:
        """Return what was received for incidents of a service, in order."""
        return [page for page in self.received if page.body["page"]["incident"]["service"] == service]

    async def first_page(self, incident_id: str, *, seconds: float = 60.0) -> Received:
        """Wait for the first page for an incident."""
        return (await eventually(lambda: self.pages_for(incident_id), timeout=seconds))[0]

    async def take(self, request: web.Request) -> web.Response:
        """Receive a page."""
        now = clock.monotonic()
        body = await request.json()
        person = PRIMARY if request.path.endswith("priya") else SECONDARY
        if person == PRIMARY and body["page"]["incident"]["service"] in self.refused:
            return web.Response(status=410)
        self.received.append(Received(now, request.headers["Idempotency-Key"], person, UUID(body["incident_id"]), body))
        return web.Response(status=204)


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Yield people whose receivers listen on this machine's own address: pages never go to loopback."""
    world = World()
    async with listening(world.take) as world.url:
        yield world
