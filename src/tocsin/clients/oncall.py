"""Calls to oncall-service."""

from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from tocsin.contracts.model import Page
from tocsin.contracts.oncall import (
    DeliveryFailed,
    Escalate,
    Escalation,
    Escalations,
    OnCall,
    Schedule,
    ScheduleIn,
    StartEscalation,
    StopEscalation,
    Upcoming,
)
from tocsin.contracts.overview import OnCallOverview
from tocsin.kernel.http_client import INTERACTIVE, ONCE, Budget, ClientMetrics, ServiceClient

PEER = "oncall-service"


class OnCallClient(ServiceClient):
    """A client of oncall-service."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def start(
        self, escalation: StartEscalation | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> Escalation:
        """Page for an incident until somebody answers; learn who is paged."""
        return await self.post(
            "/api/v1/escalations", escalation, Escalation, idempotency_key=idempotency_key, budget=budget
        )

    async def stop(
        self, incident_id: UUID, stop: StopEscalation | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> Escalation:
        """Page no more for an incident, even if its start has not arrived yet."""
        path = f"/api/v1/escalations/{incident_id}/stop"
        return await self.post(path, stop, Escalation, idempotency_key=idempotency_key, budget=budget)

    async def delivery_failed(
        self, incident_id: UUID, failure: DeliveryFailed | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> Escalation:
        """Report a page that will never arrive."""
        path = f"/api/v1/escalations/{incident_id}/delivery-failed"
        return await self.post(path, failure, Escalation, idempotency_key=idempotency_key, budget=budget)

    async def escalate(self, escalate: Escalate, *, idempotency_key: str) -> Escalation:
        """Page the next level now, or another team."""
        return await self.post("/api/v1/escalate", escalate, Escalation, idempotency_key=idempotency_key)

    async def escalations(self, incident_ids: Sequence[UUID], *, budget: Budget = INTERACTIVE) -> Escalations:
        """Return how far the paging for each incident has come."""
        return await self.get(
            "/api/v1/escalations", Escalations, query={"incident_id": list(incident_ids)}, budget=budget
        )

    async def current(self, team: str, *, budget: Budget = INTERACTIVE, **query: object) -> OnCall:
        """Return who is on call for a team, now or `at` another instant."""
        return await self.get("/api/v1/oncall/current", OnCall, query={"team": team, **query}, budget=budget)

    async def upcoming(self, team: str, *, days: int, budget: Budget = INTERACTIVE, **query: object) -> Upcoming:
        """Return a team's shifts, from now on or `since` another instant."""
        asked = {"team": team, "days": days, **query}
        return await self.get("/api/v1/oncall/upcoming", Upcoming, query=asked, budget=budget)

    async def schedules(self, *, budget: Budget = INTERACTIVE, **page: object) -> Page[Schedule]:
        """Return a page of schedules."""
        return await self.get("/api/v1/schedules", Page[Schedule], query=page, budget=budget)

    async def create_schedule(self, schedule: ScheduleIn, *, idempotency_key: str) -> Schedule:
        """Create a team's schedule."""
        return await self.post("/api/v1/schedules", schedule, Schedule, idempotency_key=idempotency_key)

    async def schedule(self, schedule_id: UUID | str, *, budget: Budget = INTERACTIVE) -> Schedule:
        """Return one schedule."""
        return await self.get(f"/api/v1/schedules/{schedule_id}", Schedule, budget=budget)

    async def replace_schedule(self, schedule_id: UUID | str, schedule: ScheduleIn, *, version: int) -> Schedule:
        """Change a team's schedule, unless somebody did since *version*."""
        headers = {"If-Match": f'"{version}"'}
        return await self.put(f"/api/v1/schedules/{schedule_id}", schedule, Schedule, headers=headers)

    async def overview(self, *, budget: Budget = INTERACTIVE, **asked: object) -> OnCallOverview:
        """Return what being on call was like between `since` and `until`, for a `team`."""
        return await self.get("/api/v1/oncall/overview", OnCallOverview, query=asked, budget=budget)


ONCALL = web.AppKey("ONCALL", OnCallClient)
