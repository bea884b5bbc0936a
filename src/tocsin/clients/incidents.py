"""Calls to incident-management."""

from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from tocsin.contracts.boards import IncidentBoard, IncidentListing, IncidentView
from tocsin.contracts.incidents import (
    AlertsInUse,
    AppendTimelineEntry,
    ChangeIncident,
    CorrelateAlerts,
    Correlations,
    Incident,
    IncidentCounts,
    IncidentStates,
    IncidentSummary,
    OpenIncident,
    QueryStates,
    StatsSummary,
    TimelineEntry,
)
from tocsin.contracts.model import Page
from tocsin.contracts.overview import StatsOverview
from tocsin.contracts.services import INCIDENT_MANAGEMENT
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import INTERACTIVE, ONCE, Budget, ServiceClient

PEER = INCIDENT_MANAGEMENT


class IncidentsClient(ServiceClient):
    """A client of incident-management."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def correlate(self, batch: CorrelateAlerts | bytes, *, idempotency_key: str, budget: Budget) -> Correlations:
        """Correlate a batch of alerts, given as a model or its JSON; return each one's incident."""
        path = "/api/v1/incidents/correlate"
        return await self.post(path, batch, Correlations, idempotency_key=idempotency_key, budget=budget)

    async def alerts_in_use(self, starts: UUID, ends: UUID, *, budget: Budget) -> AlertsInUse:
        """Return whether an alert with an id from *starts* on and below *ends* belongs to an unresolved incident."""
        query = {"starts": starts, "ends": ends}
        return await self.get("/api/v1/incidents/alerts-in-use", AlertsInUse, query=query, budget=budget)

    async def states(self, incident_ids: Sequence[UUID], *, idempotency_key: str, budget: Budget) -> IncidentStates:
        """Return the states of incidents."""
        body = QueryStates(incident_ids=list(incident_ids))
        path = "/api/v1/incidents/states"
        return await self.post(path, body, IncidentStates, idempotency_key=idempotency_key, budget=budget)

    async def append_timeline(
        self, incident_id: UUID, entry: AppendTimelineEntry | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> TimelineEntry:
        """Append to an incident's timeline; a repeated event key has no effect."""
        path = f"/api/v1/incidents/{incident_id}/timeline"
        return await self.post(path, entry, TimelineEntry, idempotency_key=idempotency_key, budget=budget)

    async def open(self, incident: OpenIncident, *, idempotency_key: str) -> Incident:
        """Open an incident by hand."""
        return await self.post("/api/v1/incidents", incident, Incident, idempotency_key=idempotency_key)

    async def change(
        self, incident: UUID | str, change: ChangeIncident, *, idempotency_key: str, version: int | None = None
    ) -> Incident:
        """Change an incident, by id or number; with *version*, only if that is still its version."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        path = f"/api/v1/incidents/{incident}"
        return await self.patch(path, change, Incident, idempotency_key=idempotency_key, headers=headers)

    async def find(self, incident: UUID | str, *, budget: Budget = INTERACTIVE) -> Incident:
        """Return an incident, by id or number."""
        return await self.get(f"/api/v1/incidents/{incident}", Incident, budget=budget)

    async def timeline(
        self, incident: UUID | str, *, budget: Budget = INTERACTIVE, **page: object
    ) -> Page[TimelineEntry]:
        """Return a page of an incident's timeline, newest first."""
        return await self.get(f"/api/v1/incidents/{incident}/timeline", Page[TimelineEntry], query=page, budget=budget)

    async def list(self, *, budget: Budget = INTERACTIVE, **filters: object) -> Page[IncidentSummary]:
        """Return a page of incidents; *filters* are the list's query parameters."""
        return await self.get("/api/v1/incidents", Page[IncidentSummary], query=filters, budget=budget)

    async def counts(self, *, assigned_to: str | None = None, budget: Budget = INTERACTIVE) -> IncidentCounts:
        """Count the unresolved incidents of one assignee, or of all."""
        query = {"assigned_to": assigned_to}
        return await self.get("/api/v1/incidents/counts", IncidentCounts, query=query, budget=budget)

    async def board(self, *, budget: Budget, **query: object) -> IncidentBoard:
        """Return the newest incidents of each state, and the times of the last days."""
        return await self.get("/api/v1/incidents/board", IncidentBoard, query=query, budget=budget)

    async def listing(self, *, budget: Budget, **filters: object) -> IncidentListing:
        """Return a page of incidents as `list` does, and count the unresolved ones, also `counted_for` a person."""
        return await self.get("/api/v1/incidents/listing", IncidentListing, query=filters, budget=budget)

    async def view(self, incident: UUID | str, *, resolved: int, budget: Budget) -> IncidentView:
        """Return an incident, by id or number, with the newest *resolved* ones of its service."""
        query = {"resolved": resolved}
        return await self.get(f"/api/v1/incidents/{incident}/view", IncidentView, query=query, budget=budget)

    async def summary(self, *, budget: Budget = INTERACTIVE, **window: object) -> StatsSummary:
        """Return the summary of the incidents created between `since` and `until`."""
        return await self.get("/api/v1/incidents/stats/summary", StatsSummary, query=window, budget=budget)

    async def overview(self, *, budget: Budget = INTERACTIVE, **filters: object) -> StatsOverview:
        """Return the figures between `since` and `until`, `by` day or week, for a `team`."""
        return await self.get("/api/v1/incidents/stats/overview", StatsOverview, query=filters, budget=budget)


INCIDENTS = web.AppKey("INCIDENTS", IncidentsClient)
