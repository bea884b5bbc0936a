"""Rows that a newer release wrote: every service with an outbox sends their bytes as they are."""

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final, TypeAlias

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient, AiohttpServer
from prometheus_client import CollectorRegistry

from tests.support.notifications.api import INCIDENT, page
from tests.support.postgres import run
from tests.support.waiting import PATIENT, eventually
from tocsin.contracts.escalations import DeliveryFailed, StartEscalation, StopEscalation
from tocsin.contracts.incidents import AppendTimelineEntry
from tocsin.contracts.model import Model
from tocsin.contracts.notifications import CancelPages, Notify
from tocsin.incidents.app import create_app as create_incidents
from tocsin.incidents.settings import Settings as IncidentsSettings
from tocsin.kernel.app import REGISTRY
from tocsin.kernel.ids import new_id
from tocsin.notifications.app import create_app as create_notifications
from tocsin.notifications.settings import Settings as NotificationsSettings
from tocsin.oncall.app import create_app as create_oncall
from tocsin.oncall.settings import Settings as OnCallSettings

Create: TypeAlias = Callable[[Any], web.Application]
Rows: TypeAlias = dict[str, tuple[str, type[Model], dict[str, Any]]]
"""By kind: the key, the model of the body in this release, and what it requires."""
INCIDENT_ID: Final = str(new_id())
PAGE: Final = page("https://hooks.example/priya")
ENTRY: Final = {"event_key": "k", "event_type": "paged", "actor": "on-call", "detail": "Priya was paged."}
TIMELINE: Final = (INCIDENT_ID, AppendTimelineEntry, ENTRY)
INCIDENTS: Final[Rows] = {
    "start_escalation": (INCIDENT_ID, StartEscalation, {"incident_id": INCIDENT_ID, **INCIDENT}),
    "stop_escalation": (str(new_id()), StopEscalation, {"reason": "acknowledged", "actor": "Priya Raman"}),
}
ONCALL: Final[Rows] = {
    "page": (PAGE["notification_id"], Notify, PAGE),
    "timeline": TIMELINE,
    "cancel_pages": (str(new_id()), CancelPages, {"incident_id": INCIDENT_ID, "reason": "acknowledged"}),
}
NOTIFICATIONS: Final[Rows] = {
    "timeline": TIMELINE,
    "delivery_failed": (f"{new_id()}/1", DeliveryFailed, {"notification_id": PAGE["notification_id"]}),
}


@pytest.mark.parametrize(
    ("schema", "create", "settings", "rows"),
    [
        ("incidents", create_incidents, IncidentsSettings, INCIDENTS),
        ("oncall", create_oncall, OnCallSettings, ONCALL),
        ("notifications", create_notifications, NotificationsSettings, NOTIFICATIONS),
    ],
)
async def test_a_row_of_a_newer_release_is_sent_byte_for_byte_at_each_attempt(
    *,
    schema: str,
    create: Create,
    settings: Any,
    rows: Rows,
    db_dsn: str,
    aiohttp_server: AiohttpServer,
    aiohttp_client: AiohttpClient,
) -> None:
    received: dict[str, list[bytes]] = defaultdict(list)

    async def unavailable(request: web.Request) -> web.Response:
        received[request.headers.get("Idempotency-Key", "")].append(await request.read())
        return web.Response(status=503)

    peer = web.Application()
    peer.router.add_route("*", "/{path:.*}", unavailable)
    url = str((await aiohttp_server(peer)).make_url("/"))
    urls = dict.fromkeys(("incident_management_url", "oncall_service_url", "notification_service_url"), url)
    stored: dict[str, bytes] = {}
    for kind, (key, model, body) in rows.items():
        model.model_validate(body)
        # No serialiser of this release writes such white space, or this field.
        stored[message_id := str(new_id())] = json.dumps({"added": "x", **body}, indent=3).encode()
        row = {"id": message_id, "kind": kind, "key": key, "body": stored[message_id]}
        run(
            db_dsn,
            f"INSERT INTO {schema}.outbox (message_id, kind, key, body, request_id)"
            " VALUES (%(id)s, %(kind)s, %(key)s, %(body)s, 'newer')",
            row,
        )
    quick = {"retry_min_seconds": 0.02, "retry_max_seconds": 0.05, "poll_seconds": 0.1}
    app = create(settings.model_validate({"database_url": db_dsn, **PATIENT, **quick, **urls}))
    assert kinds(app[REGISTRY]) == rows.keys()
    await aiohttp_client(app)
    await eventually(lambda: all(len(received[message_id]) > 1 for message_id in stored))
    assert {message_id: set(received[message_id]) for message_id in stored} == {
        message_id: {body} for message_id, body in stored.items()
    }


def kinds(registry: CollectorRegistry) -> set[str]:
    """Return the kinds of rows that the outbox of an application delivers."""
    samples = (sample for metric in registry.collect() for sample in metric.samples)
    return {sample.labels["kind"] for sample in samples if sample.name == "tocsin_outbox_deliveries_total"}
