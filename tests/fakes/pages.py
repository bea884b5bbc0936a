"""A fake of incident management, as far as the web pages use it."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from aiohttp import web

from tests.fakes.answers import answer, asked_for, newest_page, refuse, severest_page
from tests.fakes.peer import FakePeer
from tests.fakes.summaries import summary_of
from tocsin.contracts.boards import DailyTimes, IncidentBoard, IncidentListing, IncidentView
from tocsin.contracts.incident_events import IncidentEvent
from tocsin.contracts.incidents import (
    ChangeIncident,
    EventType,
    Incident,
    IncidentCounts,
    IncidentStatus,
    IncidentSummary,
    Note,
    OpenIncident,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.overview import StatsOverview  # noqa: TC001 - beside what is needed at run time
from tocsin.kernel.ids import new_id

EVENT_OF = {
    IncidentStatus.ACKNOWLEDGED: EventType.ACKNOWLEDGED,
    IncidentStatus.IN_PROGRESS: EventType.STATUS_CHANGED,
    IncidentStatus.RESOLVED: EventType.RESOLVED,
}


LONG_AGO = "2000-01-01T00:00:00+00:00"


class FakeIncidents(FakePeer):
    """Stores incidents, changes their status by the rules, and publishes events."""

    def __init__(self) -> None:
        super().__init__(
            [
                web.get("/api/v1/incidents", self._list),
                web.post("/api/v1/incidents", self._open),
                web.get("/api/v1/incidents/counts", self._counts),
                web.get("/api/v1/incidents/board", self._board),
                web.get("/api/v1/incidents/listing", self._listing),
                web.get("/api/v1/incidents/stats/overview", self._overview),
                web.get("/api/v1/incidents/stats/summary", self._summary),
                web.get("/api/v1/incidents/stream", self._stream),
                web.get("/api/v1/incidents/{ref}", self._find),
                web.get("/api/v1/incidents/{ref}/view", self._view),
                web.get("/api/v1/incidents/{ref}/timeline", self._timeline),
                web.patch("/api/v1/incidents/{ref}", self._change),
            ]
        )
        self.incidents: dict[int, Incident] = {}
        self.days: list[DailyTimes] = []
        self.overview: StatsOverview | None = None
        self.overviews: list[dict[str, str]] = []
        """The queries of every overview request."""
        self.changes: list[tuple[int, ChangeIncident]] = []
        self.lists = 0
        """The number of requests for the incidents of Now: one per page and refresh."""
        self.resumed: list[str] = []
        """The event ids from which streams were resumed."""
        self._published: list[bytes] = []
        self.older: dict[str, list[TimelineEntry]] = {}
        """Older timeline entries, by cursor."""
        self._opened: dict[str, Incident] = {}
        self._readers: list[asyncio.Queue[bytes]] = []
        self._serial = count(1)

    @property
    def readers(self) -> int:
        """The number of open streams."""
        return len(self._readers)

    def add(self, incident: Incident, *, streamed: bool = True) -> Incident:
        """Store *incident* and publish an event."""
        self.incidents[incident.number] = incident
        self.publish(incident, EventType.CREATED, "alert-ingestion", streamed=streamed)
        return incident

    def publish(self, incident: Incident, event_type: EventType, actor: str, *, streamed: bool = True) -> None:
        """Publish one event; unless *streamed*, the open streams are dead without anyone noticing."""
        event = IncidentEvent(
            incident_id=incident.id,
            number=incident.number,
            event_type=event_type,
            title=incident.title,
            service=incident.service,
            severity=incident.severity,
            status=incident.status,
            actor=actor,
            detail="",
            created_at=datetime.now(UTC),
        )
        text = f"event: incident\nid: 1-{next(self._serial)}\ndata: {event.model_dump_json()}\n\n"
        self._published.append(text.encode())
        for reader in self._readers if streamed else ():
            reader.put_nowait(self._published[-1])

    def change(self, number: int, status: IncidentStatus, actor: str, *, streamed: bool = True) -> Incident:
        """Change the status of an incident; publish an event only if *streamed*."""
        readers = self._readers
        if not streamed:
            self._readers = []
        try:
            return self._apply(self.incidents[number], ChangeIncident(status=status, actor=actor))
        finally:
            self._readers = readers

    def cut_streams(self) -> None:
        """End every stream."""
        for reader in self._readers:
            reader.put_nowait(b"")

    def found(self, ref: str) -> Incident | None:
        """Return an incident by number or id."""
        return next((item for item in self.incidents.values() if ref in {str(item.number), str(item.id)}), None)

    async def _list(self, request: web.Request) -> web.Response:
        return answer(self._page(request))

    async def _summary(self, _request: web.Request) -> web.Response:
        return answer(summary_of(self.days))

    async def _listing(self, request: web.Request) -> web.Response:
        me = request.query.get("counted_for")
        own = self._count(item for item in self.incidents.values() if item.assigned_to == me) if me else None
        counts = self._count(self.incidents.values())
        return answer(IncidentListing(page=self._page(request), counts=counts, own_counts=own or IncidentCounts()))

    async def _board(self, request: web.Request) -> web.Response:
        self.lists += 1
        since = datetime.fromisoformat(request.query["resolved_since"])
        limits = {IncidentStatus.OPEN: int(request.query["open_limit"])}
        pages = {
            status.value: newest_page(
                request,
                Page[IncidentSummary],
                [
                    IncidentSummary(**item.model_dump())
                    for item in self.incidents.values()
                    if item.status is status
                    and (status is not IncidentStatus.RESOLVED or (item.resolved_at or item.updated_at) >= since)
                ],
                limit=limits.get(status, int(request.query["limit"])),
            )
            for status in IncidentStatus
        }
        return answer(IncidentBoard(**pages, days=self.days))

    async def _view(self, request: web.Request) -> web.Response:
        incident = self.found(request.match_info["ref"])
        if incident is None:
            return refuse(404, f"There is no incident {request.match_info['ref']}.")
        same_service = [
            IncidentSummary(**item.model_dump())
            for item in self.incidents.values()
            if item.service == incident.service and item.status is IncidentStatus.RESOLVED
        ]
        limit = int(request.query["resolved"])
        resolved = newest_page(request, Page[IncidentSummary], same_service, limit=limit)
        return answer(IncidentView(incident=incident, resolved=resolved, counts=self._count(self.incidents.values())))

    def _page(self, request: web.Request) -> Page[IncidentSummary]:
        query = request.query
        shown = [
            item
            for item in self.incidents.values()
            if asked_for(request, item, "id", "status", "severity", "service", "team", "assigned_to")
            and query.get("q", "").lower() in f"{item.title} {item.service} {item.description}".lower()
            and item.created_at >= datetime.fromisoformat(query.get("since", LONG_AGO))
            and (item.resolved_at or item.updated_at) >= datetime.fromisoformat(query.get("resolved_since", LONG_AGO))
        ]
        ordered = severest_page if query.get("sort") == "severity" else newest_page
        summaries = [IncidentSummary(**item.model_dump()) for item in shown]
        return ordered(request, Page[IncidentSummary], summaries, limit=int(query.get("limit", "50")))

    async def _counts(self, request: web.Request) -> web.Response:
        return answer(self._count(item for item in self.incidents.values() if asked_for(request, item, "assigned_to")))

    @staticmethod
    def _count(items: Iterable[Incident]) -> IncidentCounts:
        standing = Counter(item.status for item in items)
        return IncidentCounts(
            open=standing[IncidentStatus.OPEN],
            acknowledged=standing[IncidentStatus.ACKNOWLEDGED],
            in_progress=standing[IncidentStatus.IN_PROGRESS],
        )

    async def _open(self, request: web.Request) -> web.Response:
        given = OpenIncident.model_validate(await request.json())
        key = request.headers["Idempotency-Key"]
        known = self._opened.get(key)
        if known is None:
            now, number = datetime.now(UTC), max(self.incidents, default=0) + 1
            entry = TimelineEntry(
                id=new_id(),
                event_type=EventType.CREATED,
                actor=given.actor or "api",
                detail="Opened by hand.",
                data={},
                created_at=now,
            )
            known = Incident(
                **dict.fromkeys(Incident.model_fields)
                | given.model_dump(exclude={"actor"})
                | {"id": new_id(), "number": number, "status": IncidentStatus.OPEN, "version": 1, "created_at": now}
                | {"updated_at": now, "alert_count": 0, "firing_count": 0, "alerts": [], "alerts_total": 0, "notes": []}
                | {"timeline": [entry], "moved_alerts": []}
            )
            self._opened[key] = self.add(known)
        return answer(known)

    async def _overview(self, request: web.Request) -> web.Response:
        self.overviews.append(dict(request.query))
        return answer(self.overview) if self.overview else refuse(503, "Not now.")

    async def _timeline(self, request: web.Request) -> web.Response:
        found = self.older.get(request.query["cursor"])
        return refuse(404, "There is no such page.") if found is None else answer(Page[TimelineEntry](items=found))

    async def _find(self, request: web.Request) -> web.Response:
        incident = self.found(request.match_info["ref"])
        return answer(incident) if incident else refuse(404, f"There is no incident {request.match_info['ref']}.")

    async def _change(self, request: web.Request) -> web.Response:
        incident = self.found(request.match_info["ref"])
        change = ChangeIncident.model_validate(await request.json())
        if incident is None:
            return refuse(404, "There is no such incident.")
        if change.status and list(IncidentStatus).index(change.status) < list(IncidentStatus).index(incident.status):
            return refuse(409, f"Incident {incident.number} is already {incident.status}; nothing was changed.")
        self.changes.append((incident.number, change))
        return answer(self._apply(incident, change))

    def _apply(self, incident: Incident, change: ChangeIncident) -> Incident:
        now, actor = datetime.now(UTC), change.actor or "api"
        update: dict[str, Any] = {"timeline": list(incident.timeline), "notes": list(incident.notes)}
        event = EventType.NOTE_ADDED

        def entry(event_type: EventType, detail: str, **data: str) -> None:
            made = TimelineEntry(
                id=new_id(), event_type=event_type, actor=actor, detail=detail, data=data, created_at=now
            )
            update["timeline"].insert(0, made)

        if change.notes:
            note = Note(id=new_id(), text=change.notes, author=actor, created_at=now)
            update["notes"].append(note)
            entry(event, change.notes[:40], note_id=str(note.id))
        if change.status and change.status is not incident.status:
            event = EVENT_OF[change.status]
            update |= {"status": change.status, "acknowledged_at": incident.acknowledged_at or now}
            seconds = (now - incident.created_at).total_seconds()
            update["mtta_seconds"] = incident.mtta_seconds or seconds
            if change.status is IncidentStatus.RESOLVED:
                update |= {"resolved_at": now, "mttr_seconds": seconds}
            entry(event, f"{change.status.value.capitalize()}.")
        changed = incident.model_copy(update=update)
        self.incidents[incident.number] = changed
        self.publish(changed, event, actor)
        return changed

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        given = request.query.get("last_event_id")
        known = len(self._published)
        if given is not None:
            self.resumed.append(given)
            known = int(given.removeprefix("1-"))
        for missed in self._published[known:]:
            queue.put_nowait(missed)
        self._readers.append(queue)
        try:
            await response.write(f"event: ready\nid: 1-{known}\ndata: {{}}\n\n".encode())
            while chunk := await queue.get():
                await response.write(chunk)
        finally:
            self._readers.remove(queue)
        return response
