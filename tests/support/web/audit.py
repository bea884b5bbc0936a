"""The audit of the web service in tests: read it, and store entries as another service."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from tests.support.web.closed import signature_of_web
from tests.support.web.server import Client
from tocsin.kernel.ids import new_id

AUDIT: Final = "/api/v1/audit"


async def call(
    client: Client, method: str, path: str, body: Any = None, *, status: int = 200, headers: Mapping[str, str] = {}
) -> Any:
    """Call the API; return the JSON of the response, whose status is checked."""
    async with client.request(method, path, json=body, headers=dict(headers)) as response:
        assert response.status == status, await response.text()
        return await response.json()


def app_of(client: Client) -> web.Application:
    app: web.Application = client.server.app  # type: ignore[attr-defined]
    return app


async def entries(client: Client, admin: Mapping[str, str], query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await call(client, "GET", f"{AUDIT}?limit=200{query}", headers=admin))["items"]
    return found


def given_entry(**given: Any) -> dict[str, Any]:
    entry = {
        "id": str(new_id()),
        "at": "2026-11-02T03:04:05Z",
        "service": "incident-management",
        "action": "incident.acknowledge",
        "principal": {"kind": "person", "name": "Priya", "account_id": str(new_id())},
        "address": "192.0.2.1",
        "object": {"kind": "incident", "id": str(new_id()), "name": "#12 Checkout is down"},
        "before": {"status": "open"},
        "after": {"status": "acknowledged"},
        "request_id": "r-1",
    }
    return entry | given


async def store(client: Client, tmp_path: Path, *given: dict[str, Any]) -> int:
    signature = signature_of_web(tmp_path)
    body = {"entries": list(given)}
    outcome = await call(client, "POST", "/api/v1/access/audit", body, status=201, headers=signature)
    return int(outcome["stored"])
