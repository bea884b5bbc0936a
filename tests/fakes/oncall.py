"""A fake of the on-call service over real HTTP: it records requests and can be unavailable."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from aiohttp import web

from tocsin.contracts.escalations import (
    Escalation,
    Escalations,
    QueryRunning,
    RunningEscalations,
    StartedEscalation,
    StartEscalation,
    StopEscalation,
)
from tocsin.kernel.validation import parse_json

if TYPE_CHECKING:
    from tocsin.contracts.incidents import AppendTimelineEntry


class FakeOnCall:
    """Pages `person` of `team` for every incident."""

    def __init__(self) -> None:
        self.team = "platform"
        self.person: str | None = "Alice"
        self.status: int | None = None
        """The status code of every response, if set."""
        self.compares = True
        """Whether it can say which escalations are running, unlike the release before."""
        self._may_answer = asyncio.Event()
        self._may_answer.set()
        self.calls: list[tuple[str, UUID]] = []
        """Its calls in order: `start`, `stop`, `ask` or `compare`, with the incident."""
        self.starts: list[StartEscalation] = []
        self.stops: list[tuple[UUID, StopEscalation]] = []
        self.keys: list[str] = []
        self.request_ids: list[str] = []
        self.escalations: dict[UUID, Escalation] = {}
        self.timeline: list[AppendTimelineEntry] = []
        """What a start adds to the timeline of its incident."""

    def app(self) -> web.Application:
        """Return the application to serve."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/api/v1/escalations", self._start),
                web.get("/api/v1/escalations", self._list),
                web.post("/api/v1/escalations/running", self._running),
                web.post("/api/v1/escalations/{incident_id}/stop", self._stop),
            ]
        )
        return app

    def hold(self) -> None:
        """Accept requests without responding."""
        self._may_answer.clear()

    def release(self) -> None:
        """Respond again, first to held requests."""
        self._may_answer.set()

    def count(self, what: str, incident_id: UUID) -> int:
        """Return the number of calls *what* for an incident."""
        return self.calls.count((what, incident_id))

    async def _start(self, request: web.Request) -> web.Response:
        start = parse_json(await request.read(), StartEscalation)
        await self._received(request, "start", start.incident_id)

        def record() -> Escalation:
            assert request.query == {"timeline": "return"}
            self.starts.append(start)
            known = self.escalations.setdefault(start.incident_id, self.escalation(start.incident_id))
            if start.resume and known.stopped_at is not None:
                known = self.escalations[start.incident_id] = self.escalation(start.incident_id)
            return StartedEscalation(**vars(known), timeline=self.timeline)

        return self._answer(record)

    async def _stop(self, request: web.Request) -> web.Response:
        incident_id = UUID(request.match_info["incident_id"])
        stop = parse_json(await request.read(), StopEscalation)
        await self._received(request, "stop", incident_id)

        def record() -> Escalation:
            self.stops.append((incident_id, stop))
            known = self.escalations.get(incident_id) or self.escalation(incident_id)
            update = {"stopped_at": datetime.now(UTC), "stop_reason": stop.reason, "next_action_at": None}
            self.escalations[incident_id] = known.model_copy(update=update)
            return self.escalations[incident_id]

        return self._answer(record)

    async def _running(self, request: web.Request) -> web.Response:
        given = parse_json(await request.read(), QueryRunning)
        await self._received(request, "compare", given.incident_ids[0])
        if not self.compares:
            return web.json_response({"detail": "only GET"}, status=405)
        known = [self.escalations[item] for item in given.incident_ids if item in self.escalations]
        running = [item.incident_id for item in known if item.stopped_at is None]
        return self._answer(lambda: RunningEscalations(incident_ids=running))

    def stop_directly(self, incident_id: UUID) -> None:
        """Stop an escalation without incident management."""
        update = {"stopped_at": datetime.now(UTC), "stop_reason": "resolved", "next_action_at": None}
        self.escalations[incident_id] = self.escalations[incident_id].model_copy(update=update)

    async def _list(self, request: web.Request) -> web.Response:
        ids = [UUID(given) for given in request.query.getall("incident_id")]
        for incident_id in ids:
            await self._received(request, "ask", incident_id)
        return self._answer(
            lambda: Escalations(items=[self.escalations[item] for item in ids if item in self.escalations])
        )

    def escalation(self, incident_id: UUID) -> Escalation:
        """Return an escalation of this incident after its first step."""
        return Escalation(
            incident_id=incident_id,
            team=self.team,
            team_reason="the default team",
            assigned_to=self.person,
            step=1,
            level=None,
            next_level=None,
            next_people=[],
            next_action_at=datetime.now(UTC),
            timeout_seconds=300,
            stopped_at=None,
            stop_reason=None,
            pages=[],
        )

    async def _received(self, request: web.Request, what: str, incident_id: UUID) -> None:
        self.calls.append((what, incident_id))
        self.keys.append(request.headers.get("Idempotency-Key", ""))
        self.request_ids.append(request.headers.get("X-Request-ID", ""))
        await self._may_answer.wait()

    def _answer(self, record: Callable[[], Escalation | Escalations | RunningEscalations]) -> web.Response:
        if self.status is not None:
            return web.json_response({"detail": "the fake refuses"}, status=self.status)
        return web.Response(body=record().model_dump_json(), content_type="application/json")
