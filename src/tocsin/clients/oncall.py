"""Calls to oncall-service."""

from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from tocsin.contracts.boards import OnCallBoard, OnCallListing
from tocsin.contracts.escalations import (
    DeliveryFailed,
    Escalate,
    Escalation,
    Escalations,
    QueryRunning,
    RunningEscalations,
    StartedEscalation,
    StartEscalation,
    StopEscalation,
)
from tocsin.contracts.model import Page
from tocsin.contracts.oncall import OnCall, Schedule, ScheduleIn, Upcoming
from tocsin.contracts.overview import OnCallOverview
from tocsin.contracts.people import Person
from tocsin.contracts.services import ONCALL_SERVICE
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import INTERACTIVE, ONCE, Budget, ServiceClient

PEER = ONCALL_SERVICE


class OnCallClient(ServiceClient):
    """A client of oncall-service."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def start(
        self, escalation: StartEscalation | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> StartedEscalation:
        """Start paging for an incident; return who is paged, and what the caller adds to the incident's timeline."""
        return await self.post(
            "/api/v1/escalations",
            escalation,
            StartedEscalation,
            query={"timeline": "return"},
            idempotency_key=idempotency_key,
            budget=budget,
        )

    async def stop(
        self, incident_id: UUID, stop: StopEscalation | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> Escalation:
        """Stop paging for an incident, also before its start has arrived."""
        path = f"/api/v1/escalations/{incident_id}/stop"
        return await self.post(path, stop, Escalation, idempotency_key=idempotency_key, budget=budget)

    async def delivery_failed(
        self, incident_id: UUID, failure: DeliveryFailed | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> Escalation:
        """Report that a page cannot be delivered."""
        path = f"/api/v1/escalations/{incident_id}/delivery-failed"
        return await self.post(path, failure, Escalation, idempotency_key=idempotency_key, budget=budget)

    async def escalate(self, escalate: Escalate, *, idempotency_key: str) -> Escalation:
        """Page the next level now, or the first level of another team."""
        return await self.post("/api/v1/escalate", escalate, Escalation, idempotency_key=idempotency_key)

    async def escalations(self, incident_ids: Sequence[UUID], *, budget: Budget = INTERACTIVE) -> Escalations:
        """Return the escalations of the incidents, without incidents that have none."""
        return await self.get(
            "/api/v1/escalations", Escalations, query={"incident_id": list(incident_ids)}, budget=budget
        )

    async def running(
        self, incident_ids: Sequence[UUID], *, idempotency_key: str, budget: Budget = ONCE
    ) -> RunningEscalations:
        """Return those of the incidents whose escalation is running."""
        body = QueryRunning(incident_ids=list(incident_ids))
        path = "/api/v1/escalations/running"
        return await self.post(path, body, RunningEscalations, idempotency_key=idempotency_key, budget=budget)

    async def board(self, incident_ids: Sequence[UUID], *, limit: int, budget: Budget) -> OnCallBoard:
        """Return who is on call in the newest *limit* teams, and the escalations of the incidents."""
        query = {"incident_id": list(incident_ids), "limit": limit}
        return await self.get("/api/v1/oncall/board", OnCallBoard, query=query, budget=budget)

    async def listing(self, incident_ids: Sequence[UUID], *, limit: int, budget: Budget) -> OnCallListing:
        """Return the newest *limit* schedules, and the escalations of the incidents."""
        query = {"incident_id": list(incident_ids), "limit": limit}
        return await self.get("/api/v1/oncall/listing", OnCallListing, query=query, budget=budget)

    async def current(self, team: str, *, budget: Budget = INTERACTIVE, **query: object) -> OnCall:
        """Return who is on call for a team, now or `at` another instant."""
        return await self.get("/api/v1/oncall/current", OnCall, query={"team": team, **query}, budget=budget)

    async def upcoming(self, team: str, *, days: int, budget: Budget = INTERACTIVE, **query: object) -> Upcoming:
        """Return a team's shifts from now on, or from `since` on."""
        parameters = {"team": team, "days": days, **query}
        return await self.get("/api/v1/oncall/upcoming", Upcoming, query=parameters, budget=budget)

    async def schedules(self, *, budget: Budget = INTERACTIVE, **page: object) -> Page[Schedule]:
        """Return a page of schedules."""
        return await self.get("/api/v1/schedules", Page[Schedule], query=page, budget=budget)

    async def create_schedule(self, schedule: ScheduleIn, *, idempotency_key: str) -> Schedule:
        """Create a team's schedule."""
        return await self.post("/api/v1/schedules", schedule, Schedule, idempotency_key=idempotency_key)

    async def schedule(self, schedule_id: UUID | str, *, budget: Budget = INTERACTIVE) -> Schedule:
        """Return a schedule."""
        return await self.get(f"/api/v1/schedules/{schedule_id}", Schedule, budget=budget)

    async def replace_schedule(self, schedule_id: UUID | str, schedule: ScheduleIn, *, version: int) -> Schedule:
        """Replace a team's schedule if it is still at *version*."""
        headers = {"If-Match": f'"{version}"'}
        return await self.put(f"/api/v1/schedules/{schedule_id}", schedule, Schedule, headers=headers)

    async def people(self, *, budget: Budget = INTERACTIVE, **page: object) -> Page[Person]:
        """Return a page of people."""
        return await self.get("/api/v1/people", Page[Person], query=page, budget=budget)

    async def overview(self, *, budget: Budget = INTERACTIVE, **query: object) -> OnCallOverview:
        """Return the pager load between `since` and `until`, for all teams or one `team`."""
        return await self.get("/api/v1/oncall/overview", OnCallOverview, query=query, budget=budget)


ONCALL = web.AppKey("ONCALL", OnCallClient)
