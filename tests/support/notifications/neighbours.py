"""Fakes of incident-management and oncall-service."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiohttp import web

from tocsin.kernel.ids import new_id


@dataclass(slots=True)
class Neighbours:
    """The requests that arrived, and what to respond."""

    states: dict[str, str] = field(default_factory=dict)
    """By incident; an incident that is missing is open."""
    unknown: bool = False
    """Whether no incident is known at all."""
    status: int = 200
    """The status of responses to requests for states."""
    failures: int = 0
    """How many requests for states get a 503 first."""
    silent: bool = False
    """Whether requests for states get no response."""
    responds: asyncio.Event = field(default_factory=asyncio.Event)
    """Requests for states wait until it is set."""
    answered_at: dict[str, str] = field(default_factory=dict)
    """When incidents were acknowledged, by incident."""
    state_requests: list[list[str]] = field(default_factory=list)
    """The incidents of each request for states."""
    timeline: list[tuple[str, Any]] = field(default_factory=list)
    failed: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.responds.set()

    def app(self) -> web.Application:
        """Return both services as one application."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/api/v1/incidents/states", self.post_states),
                web.post("/api/v1/incidents/{id}/timeline", self.post_timeline),
                web.post("/api/v1/escalations/{id}/delivery-failed", self.post_delivery_failed),
            ]
        )
        return app

    async def post_states(self, request: web.Request) -> web.Response:
        """Return the states of incidents."""
        ids = (await request.json())["incident_ids"]
        self.state_requests.append(ids)
        await self.responds.wait()
        if self.silent:
            await asyncio.Event().wait()
        if self.failures:
            self.failures -= 1
            return web.json_response({"detail": "as scripted"}, status=503)
        if self.status != 200:
            return web.json_response({"detail": "as scripted"}, status=self.status)
        states = {} if self.unknown else {incident: self.states.get(incident, "open") for incident in ids}
        return web.json_response({"states": states, "answered_at": self.answered_at})

    async def post_timeline(self, request: web.Request) -> web.Response:
        """Accept an entry."""
        if self.unknown:
            return web.json_response({"detail": "there is no such incident"}, status=404)
        entry = await request.json()
        self.timeline.append((request.match_info["id"], entry))
        kept = {key: entry[key] for key in ("event_type", "actor", "detail", "data")}
        return web.json_response({"id": str(new_id()), "created_at": datetime.now(UTC).isoformat(), **kept})

    async def post_delivery_failed(self, request: web.Request) -> web.Response:
        """Accept the report of a failed page."""
        self.failed.append((request.match_info["id"], await request.json()))
        return web.json_response({"detail": "there is no such escalation"}, status=404)

    def timeline_types(self, incident_id: UUID | str) -> list[str]:
        """Return the types of the entries of an incident's timeline."""
        return [entry["event_type"] for incident, entry in self.timeline if incident == str(incident_id)]
