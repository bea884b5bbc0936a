"""An HTTP client of incident management for tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from tocsin.contracts.incidents import Incident
from tocsin.incidents.service import DEPS, Deps
from tocsin.kernel.clock import now
from tocsin.kernel.ids import new_id

NOW = "2026-11-21T10:00:00Z"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its body."""

    status: int
    body: Any
    headers: Mapping[str, str]


class Api:
    """One replica, over HTTP."""

    def __init__(self, client: TestClient[web.Request, web.Application]) -> None:
        self.client = client

    @property
    def deps(self) -> Deps:
        """The dependencies of its use cases."""
        return self.client.app[DEPS]

    def set_clock(self, instant: datetime) -> None:
        """Set the replica's clock to *instant*; it goes on from there."""
        self.deps.db.set_clock_offset(instant - now())

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send *body* as JSON and return the response; header names are given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, json=body, headers=named) as response:
            return await _read(response)

    async def get(self, path: str, **query: Any) -> Answer:
        """GET *path*; a list repeats its parameter."""
        pairs = [
            (name, str(item))
            for name, value in query.items()
            for item in (value if isinstance(value, list) else [value])
        ]
        async with self.client.get(path, params=pairs) as response:
            return await _read(response)

    async def open(self, **given: Any) -> Incident:
        """Open an incident by hand."""
        body = {"title": "Checkout answers 5xx", "service": "checkout", "severity": "high"} | given
        answer = await self.ask("POST", "/api/v1/incidents", body)
        assert answer.status == 201, answer.body
        return Incident.model_validate(answer.body)

    async def show(self, incident: UUID | str | int) -> Incident:
        """Return an incident."""
        answer = await self.get(f"/api/v1/incidents/{incident}")
        assert answer.status == 200, answer.body
        return Incident.model_validate(answer.body)

    async def change(self, incident: UUID | str | int, **given: Any) -> Incident:
        """Change an incident; expect success."""
        answer = await self.ask("PATCH", f"/api/v1/incidents/{incident}", given)
        assert answer.status == 200, answer.body
        return Incident.model_validate(answer.body)

    async def correlate(self, *alerts: dict[str, Any]) -> list[dict[str, Any]]:
        """Correlate alerts, again while the service is overloaded, as alert-ingestion does; return the results."""
        answer = await self.ask("POST", "/api/v1/incidents/correlate", {"alerts": alerts})
        while answer.status == 503 and answer.body["type"] == "urn:tocsin:problem:overloaded":
            answer = await self.ask("POST", "/api/v1/incidents/correlate", {"alerts": alerts})
        assert answer.status == 200, answer.body
        results: list[dict[str, Any]] = answer.body["results"]
        return results

    async def metric(self, sample: str) -> float | None:
        """Return the value of a sample such as `incidents_total{status="open"}`."""
        async with self.client.get("/metrics") as response:
            lines = (await response.text()).splitlines()
        values = [line.rsplit(" ", 1)[1] for line in lines if line.startswith(f"{sample} ")]
        return float(values[0]) if values else None


def alert(alert_id: UUID | None = None, **given: Any) -> dict[str, Any]:
    """Return the state of a firing alert, as ingestion reports it."""
    return {
        "alert_id": str(alert_id or new_id()),
        "version": 1,
        "status": "firing",
        "service": "checkout",
        "severity": "high",
        "message": "HighErrorRate: checkout answers 5xx",
        "labels": {"job": "checkout"},
        "source": "alertmanager",
        "dedup_key": None,
        "occurrences": 1,
        "remark": None,
        "fired_at": NOW,
        "last_seen_at": NOW,
    } | given


async def _read(response: ClientResponse) -> Answer:
    body = await response.json(content_type=None) if response.content_type.endswith("json") else await response.text()
    return Answer(response.status, body, response.headers)
