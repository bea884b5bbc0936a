"""A client of notification-service for tests."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import eventually
from tocsin.kernel.db import DB
from tocsin.kernel.ids import new_id

INCIDENT = {
    "number": 2481,
    "title": "Payments fail",
    "service": "checkout",
    "severity": "critical",
    "created_at": "2026-11-21T10:00:00Z",
}


def message(recipient: str, *, channel: str = "webhook", **fields: Any) -> dict[str, Any]:
    """Return a plain message for a new incident."""
    given = {"incident_id": str(new_id()), "channel": channel, "recipient": recipient, "message": "Payments fail"}
    return {**given, **fields}


def page(recipient: str, **fields: Any) -> dict[str, Any]:
    """Return a page for a new incident, under a delivery id of its own."""
    details = {
        "step": 1,
        "level": "primary",
        "person": "Priya Raman",
        "reason": "primary of Payments this week",
        "incident": INCIDENT,
    }
    given = {"kind": "page", "page": details, "notification_id": str(new_id())}
    return message(recipient, **{**given, **fields})


@dataclass(frozen=True, slots=True)
class Service:
    """A client of one replica."""

    client: TestClient[web.Request, web.Application]

    async def post(self, path: str, body: Any = None, **headers: str) -> ClientResponse:
        """POST *body*."""
        return await self.client.post(path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def notify(self, body: dict[str, Any]) -> str:
        """Queue a message that must be accepted; return its id."""
        response = await self.post("/api/v1/notify", body)
        answer = await response.json()
        assert response.status == 202, answer
        return str(answer["notification_id"])

    async def find(self, notification_id: str | UUID) -> dict[str, Any]:
        """Return one message."""
        response = await self.client.get(f"/api/v1/notifications/{notification_id}")
        assert response.status == 200
        found: dict[str, Any] = await response.json()
        return found

    async def listed(self, **query: Any) -> list[dict[str, Any]]:
        """Return the first page of messages."""
        response = await self.client.get("/api/v1/notifications", params=query)
        answer = await response.json()
        assert response.status == 200, answer
        items: list[dict[str, Any]] = answer["items"]
        return items

    async def ended(self, notification_id: str) -> dict[str, Any]:
        """Wait until a message is no longer queued, and return it."""
        return await self._once(notification_id, lambda found: found["status"] != "queued")

    async def tried(self, notification_id: str, *, times: int = 1) -> dict[str, Any]:
        """Wait until so many attempts to send a message have been recorded, and return the message."""
        return await self._once(notification_id, lambda found: len(found["attempts"]) >= times)

    async def _once(self, notification_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async def held() -> bool:
            return holds(await self.find(notification_id))

        await eventually(held)
        return await self.find(notification_id)

    def move_clock(self, offset: timedelta) -> None:
        """Move the service's clock by *offset* from the server's."""
        app = self.client.app
        assert app is not None
        app[DB].set_clock_offset(offset)

    async def metric(self, name: str, **labels: str) -> float:
        """Return a sample's value."""
        text = await (await self.client.get("/metrics")).text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and all(sample.labels.get(key) == value for key, value in labels.items()):
                    return sample.value
        msg = f"no sample {name}{labels}"
        raise LookupError(msg)
