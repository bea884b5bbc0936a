"""A client of alert-ingestion for tests."""

import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeAlias

from aiohttp import web
from aiohttp.test_utils import TestClient

from tests.support.postgres import run
from tocsin.integrations import INTEGRATIONS

Client: TypeAlias = TestClient[web.Request, web.Application]
ALERTS: Final = "/api/v1/alerts"
ALERTMANAGER: Final = "/api/v1/receivers/alertmanager"


def alert(**fields: Any) -> dict[str, Any]:
    """Return the body of an alert."""
    return {"service": "checkout", "severity": "high", "message": "Card payments fail", **fields}


def payload(integration: str, name: str) -> bytes:
    """Return the body of a captured request."""
    return next(payload.body for payload in INTEGRATIONS[integration].payloads if payload.name == name)


@dataclass(frozen=True, slots=True)
class Service:
    """One replica on the test's database."""

    client: Client
    dsn: str

    async def send(self, *, expect: int | None = 201, key: str | None = None, **fields: Any) -> dict[str, Any]:
        """POST an alert; return the response, whose status must be *expect*."""
        return await self.post(ALERTS, alert(**fields), expect=expect, key=key)

    async def post(self, path: str, body: Any, *, expect: int | None = 200, key: str | None = None) -> dict[str, Any]:
        """POST *body* (as JSON, bytes as they are); return the JSON of the response, whose status must be *expect*."""
        data = BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        headers = {"Content-Type": "application/json"} | ({} if key is None else {"Idempotency-Key": key})
        response = await self.client.post(path, data=data, headers=headers)
        return await self._checked(response, expect)

    async def get(self, path: str, *, expect: int | None = 200, **query: Any) -> dict[str, Any]:
        """GET *path*; return the JSON of the response, whose status must be *expect*."""
        return await self._checked(await self.client.get(path, params=query), expect)

    async def alert(self, alert_id: str) -> dict[str, Any]:
        """Return a stored alert."""
        return await self.get(f"{ALERTS}/{alert_id}")

    async def found(self, **query: Any) -> list[dict[str, Any]]:
        """Return the alerts on the first page."""
        items: list[dict[str, Any]] = (await self.get(ALERTS, **query))["items"]
        return items

    async def metric(self, sample: str) -> float:
        """Return one sample of /metrics, named with its labels as a scraper reads it."""
        text = await (await self.client.get("/metrics")).text()
        return float(next(line for line in text.splitlines() if line.startswith(sample + " ")).rpartition(" ")[2])

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        """Run a statement of the test's own."""
        return run(self.dsn, sql, params or None)

    @staticmethod
    async def _checked(response: Any, expect: int | None) -> dict[str, Any]:
        body: dict[str, Any] = await response.json()
        assert expect is None or response.status == expect, (response.status, body)
        return body
