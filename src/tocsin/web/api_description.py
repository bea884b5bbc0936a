"""The description of the API at the gateway: the descriptions of the four services, merged into one document."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from tocsin.clients.alerts import ALERTS
from tocsin.clients.incidents import INCIDENTS
from tocsin.clients.notifications import NOTIFICATIONS
from tocsin.clients.oncall import ONCALL
from tocsin.contracts.services import WEB_UI
from tocsin.kernel import clock, openapi, tasks
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget, ServiceClient
from tocsin.web import gateway
from tocsin.web.settings import SETTINGS

MAX_AGE_SECONDS: Final = 60.0
"""How long a document is reused: a service's description changes with its version only."""
MAX_PARTIAL_AGE_SECONDS: Final = 5.0
"""How long a document is reused that lacks the part of an unavailable service."""
REFERENCE: Final = re.compile(r'"#/components/schemas/([^"]+)"')
OVERVIEW: Final = (
    "Every operation that the gateway forwards, by service. The handbook shows [examples](/handbook/api.md). "
    "Errors are problem documents (RFC 9457)."
)


class ServiceDescription(BaseModel):
    """The parts of a service's OpenAPI document that are merged."""

    paths: dict[str, dict[str, dict[str, Any]]]
    components: dict[str, dict[str, Any]]


@dataclass(slots=True)
class ApiDescription:
    """The merged document, and when it expires."""

    _document: dict[str, Any] = field(default_factory=dict)
    _expires_at: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def document(self, app: web.Application) -> dict[str, Any]:
        """Return the document; concurrent requests share one query of the services."""
        async with self._lock:
            if not self._document or clock.monotonic() >= self._expires_at:
                clients: list[ServiceClient] = [app[ALERTS], app[INCIDENTS], app[ONCALL], app[NOTIFICATIONS]]
                budget = Budget(attempts=1, seconds=(wait := app[SETTINGS].part_seconds), attempt_seconds=wait)
                found = await tasks.gather(*(_describe(client, budget) for client in clients))
                self._document = _merged(
                    openapi.document(app), dict(zip([client.peer for client in clients], found, strict=True))
                )
                age = MAX_PARTIAL_AGE_SECONDS if None in found else MAX_AGE_SECONDS
                self._expires_at = clock.monotonic() + age
            return self._document


API_DESCRIPTION = web.AppKey("API_DESCRIPTION", ApiDescription)


async def get_openapi(request: web.Request) -> web.Response:
    """Return the OpenAPI document of everything that the gateway forwards."""
    return web.json_response(await request.app[API_DESCRIPTION].document(request.app))


async def _describe(client: ServiceClient, budget: Budget) -> ServiceDescription | None:
    try:
        return await client.get("/openapi.json", ServiceDescription, budget=budget)
    except (UpstreamError, RejectedError):
        return None


def _merged(own: dict[str, Any], parts: dict[str, ServiceDescription | None]) -> dict[str, Any]:
    """Merge *parts* into the gateway's *own* document, without what the gateway hides. None: unavailable."""
    paths: dict[str, dict[str, Any]] = {}
    schemas: dict[str, Any] = {}
    if own["paths"]:
        parts = parts | {WEB_UI: ServiceDescription.model_validate(own)}
    for peer, part in parts.items():
        if part is None:
            continue
        schemas |= part.components.get("schemas", {})
        for path, operations in part.paths.items():
            forwarded = {
                method: operation | {"tags": [peer]}
                for method, operation in operations.items()
                if "internal" not in operation["tags"] and not gateway.is_hidden(method.upper(), path)
            }
            paths |= {path: forwarded} if forwarded else {}
    notes = [
        f"**{peer} is unavailable: its operations are missing. Reload to try again.**"
        for peer, part in parts.items()
        if part is None
    ]
    return own | {
        "info": own["info"] | {"title": "Tocsin", "description": "\n\n".join([OVERVIEW, *notes])},
        "tags": [{"name": peer} for peer in parts],
        "paths": paths,
        "components": own["components"] | {"schemas": _used(paths, schemas)},
    }


def _used(paths: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Return those of *schemas* that *paths* refer to, directly or through another schema."""
    used: dict[str, Any] = {}
    pending = _references(paths)
    while pending:
        name = pending.pop()
        if name in schemas and name not in used:
            used[name] = schemas[name]
            pending |= _references(used[name])
    return dict(sorted(used.items()))


def _references(found: Any) -> set[str]:
    return set(REFERENCE.findall(json.dumps(found)))
