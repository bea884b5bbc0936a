"""oncall-service on its own database, with fakes for the two services it calls."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pytest_aiohttp.plugin import AiohttpClient

from tests.fakes.notifications import FakeNotifications
from tests.fakes.timeline import FakeTimeline
from tests.support.loops import pytest_asyncio_loop_factories  # noqa: F401 - pytest looks for it here
from tests.support.postgres import run
from tests.support.waiting import PATIENT, eventually
from tocsin.kernel.ids import new_id
from tocsin.oncall.app import create_app
from tocsin.oncall.service import DEPS, Deps
from tocsin.oncall.settings import Settings

Client: TypeAlias = TestClient[web.Request, web.Application]
QUICK = {
    **PATIENT,
    "poll_seconds": 0.2,
    "retry_min_seconds": 0.02,
    "retry_max_seconds": 0.1,
    "gauge_seconds": 0.1,
}


@dataclass(frozen=True, slots=True)
class OnCall:
    """A replica with its fakes and its database."""

    client: Client
    notifications: FakeNotifications
    timeline: FakeTimeline
    dsn: str

    @property
    def deps(self) -> Deps:
        """What the use cases of this replica work with."""
        return self.client.server.app[DEPS]  # type: ignore[attr-defined,no-any-return]

    async def post(self, path: str, body: Any, *, status: int | None = None, key: str | None = None) -> Any:
        """POST *body*; return the JSON of the response, whose status must be *status* (default: any success)."""
        headers = {} if key is None else {"Idempotency-Key": key}
        response = await self.client.post(path, json=body, headers=headers)
        return await self._checked(response, status)

    async def get(self, path: str, *, status: int | None = None, **query: Any) -> Any:
        """GET *path*; return the JSON of the response, whose status must be *status* (default: any success)."""
        response = await self.client.get(path, params=query)
        return await self._checked(response, status)

    async def put(self, schedule_id: str, body: Any, *, version: int | None = None, status: int | None = None) -> Any:
        """Replace a schedule that is at *version*; return the JSON of the response."""
        headers = {} if version is None else {"If-Match": f'"{version}"'}
        response = await self.client.put(f"/api/v1/schedules/{schedule_id}", json=body, headers=headers)
        return await self._checked(response, status)

    async def _checked(self, response: Any, status: int | None) -> Any:
        body = await response.json()
        assert (response.status == status) if status else response.ok, (response.status, body)
        return body

    async def team(self, name: str = "Payments", *members: dict[str, Any], **more: Any) -> Any:
        """Create a weekly team, by default of one primary and one secondary."""
        people = list(members) or [person("Ada"), person("Bob", role="secondary")]
        body = {"team": name, "rotation_type": "weekly", "members": people, **more}
        return await self.post("/api/v1/schedules", body, status=201)

    async def start(self, incident_id: str | None = None, *, service: str = "Payments", number: int = 2481) -> Any:
        """Start the escalation of an incident."""
        return await self.post("/api/v1/escalations", start_of(incident_id or str(new_id()), service, number))

    async def stop(self, incident_id: str, reason: str = "acknowledged") -> Any:
        """Stop an incident's escalation."""
        return await self.post(f"/api/v1/escalations/{incident_id}/stop", {"reason": reason, "actor": "Ada"})

    async def metrics(self) -> dict[str, float]:
        """Return the metrics by sample name with labels."""
        text = await (await self.client.get("/metrics")).text()
        samples = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Run a statement on the database."""
        return run(self.dsn, sql, params)


def person(name: str, role: str = "primary", **more: Any) -> dict[str, Any]:
    return {"name": name, "email": f"{name.lower().replace(' ', '.')}@example.net", "role": role, **more}


def start_of(incident_id: str, service: str = "Payments", number: int = 2481) -> dict[str, Any]:
    return {
        "incident_id": incident_id,
        "number": number,
        "title": "Card payments fail",
        "service": service,
        "severity": "critical",
        "created_at": "2026-10-22T01:12:20Z",
    }


async def delivered(oncall: OnCall, incident_id: str, *pages: tuple[int, str, str]) -> None:
    """Wait until exactly these pages (step, person, channel) of an incident have reached notification-service."""
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) >= len(pages))
    assert oncall.notifications.paged(incident_id) == sorted(pages)


async def reported(oncall: OnCall, incident_id: str, *entries: tuple[str, str]) -> None:
    """Wait until exactly these entries (type, text) of an incident have reached the timeline, in this order."""
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) >= len(entries))
    assert oncall.timeline.texts(incident_id) == list(entries)


async def metric(oncall: OnCall, name: str, value: float) -> None:
    """Wait until a metric has a value."""

    async def shown() -> bool:
        return (await oncall.metrics()).get(name) == value

    await eventually(shown)


@pytest.fixture
async def notifications() -> AsyncIterator[FakeNotifications]:
    async with FakeNotifications().serving() as peer:
        yield peer


@pytest.fixture
async def timeline() -> AsyncIterator[FakeTimeline]:
    async with FakeTimeline().serving() as peer:
        yield peer


Replica: TypeAlias = Callable[..., Awaitable[OnCall]]


@pytest.fixture
def replica(
    db_dsn: str, notifications: FakeNotifications, timeline: FakeTimeline, aiohttp_client: AiohttpClient
) -> Replica:
    """Start replicas with given settings; they share the database and the fakes."""

    async def build(**settings: Any) -> OnCall:
        values = {
            "database_url": db_dsn,
            "incident_management_url": timeline.url,
            "notification_service_url": notifications.url,
            **QUICK,
            **settings,
        }
        client = await aiohttp_client(create_app(Settings.model_validate(values)))
        return OnCall(client, notifications, timeline, db_dsn)

    return build


@pytest.fixture
async def oncall(replica: Replica) -> OnCall:
    """A replica with the default time-out, so that no second step becomes due."""
    return await replica()
