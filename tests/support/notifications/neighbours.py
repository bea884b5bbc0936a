"""Incident management and on-call, as notification-service sees them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from aiohttp import web

from tocsin.kernel import clock
from tocsin.kernel.ids import new_id


@dataclass(slots=True)
class Neighbours:
    """What was asked and told, and what to answer."""

    states: dict[str, str] = field(default_factory=dict)
    """By incident; one that is not here is open."""
    unknown: bool = False
    """Whether no incident is known at all."""
    status: int = 200
    """What questions for states are answered with."""
    failures: int = 0
    """How many questions are answered 503 first."""
    delay: float = 0.0
    """Seconds before they are answered."""
    answered_at: dict[str, str] = field(default_factory=dict)
    """When somebody answered, where that is told."""
    asked: list[list[str]] = field(default_factory=list)
    timeline: list[tuple[str, Any]] = field(default_factory=list)
    failed: list[tuple[str, Any]] = field(default_factory=list)

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
        """Say how incidents stand."""
        ids = (await request.json())["incident_ids"]
        self.asked.append(ids)
        await clock.sleep(self.delay)
        if self.failures:
            self.failures -= 1
            return web.json_response({"detail": "as told"}, status=503)
        if self.status != 200:
            return web.json_response({"detail": "as told"}, status=self.status)
        states = {} if self.unknown else {incident: self.states.get(incident, "open") for incident in ids}
        return web.json_response({"states": states, "answered_at": self.answered_at})

    async def post_timeline(self, request: web.Request) -> web.Response:
        """Take an entry."""
        if self.unknown:
            return web.json_response({"detail": "there is no such incident"}, status=404)
        entry = await request.json()
        self.timeline.append((request.match_info["id"], entry))
        kept = {key: entry[key] for key in ("event_type", "actor", "detail", "data")}
        return web.json_response({"id": str(new_id()), "created_at": datetime.now(UTC).isoformat(), **kept})

    async def post_delivery_failed(self, request: web.Request) -> web.Response:
        """Hear that a page will never arrive."""
        self.failed.append((request.match_info["id"], await request.json()))
        return web.json_response({"detail": "there is no such escalation"}, status=404)

    def told(self, incident_id: UUID | str) -> list[str]:
        """Return the types of the entries of an incident's timeline."""
        return [entry["event_type"] for incident, entry in self.timeline if incident == str(incident_id)]
