import asyncio

import pytest

from tests.fakes.upstream import FakeUpstream
from tests.web.conftest import Client
from tocsin.alerts.routes import ROUTES as ALERTS_ROUTES
from tocsin.incidents.routes import ROUTES as INCIDENTS_ROUTES
from tocsin.kernel.openapi import operation_of
from tocsin.kernel.routing import Route
from tocsin.notifications.routes import ROUTES as NOTIFICATIONS_ROUTES
from tocsin.oncall.routes import ROUTES as ONCALL_ROUTES

ID = "0199f6a2-7c31-7e0b-9d44-51c0a8be2f17"
ROUTES = [*ALERTS_ROUTES, *INCIDENTS_ROUTES, *ONCALL_ROUTES, *NOTIFICATIONS_ROUTES]


def is_internal(route: Route) -> bool:
    operation = operation_of(route.handler)
    return operation is not None and operation.internal


INTERNAL = [(route.method, route.path) for route in ROUTES if is_internal(route)]


def filled(path: str) -> str:
    """Put an id where the route has a parameter."""
    head, _, rest = path.partition("{")
    return head + ID + rest[rest.rfind("}") + 1 :] if rest else path


@pytest.mark.parametrize(("method", "path"), [(method, filled(path)) for method, path in INTERNAL])
async def test_internal_endpoints_are_not_found_from_outside(
    door: Client, upstream: FakeUpstream, method: str, path: str
) -> None:
    async with door.request(method, path, json={}) as answer:
        assert answer.status == 404
    assert not upstream.forwarded


def test_the_services_have_internal_endpoints_to_hide() -> None:
    assert len(INTERNAL) == 15


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/incidents/x/../correlate",
        "/api/v1/incidents/./correlate",
        "/api/v1/incidents//correlate",
        "/api/v1/incidents/x/%2e%2e/correlate",
        "/api/v1/incidents/x%2f..%2fcorrelate",
        "/api/v1/incidents/%63orrelate",
        "/api/v1/incidents/correlate/",
        "/api/v1/alerts/../incidents/correlate",
        "/api/v1/escalations/",
        "/api/v1/../v1/incidents/correlate",
        "/api/v1/incidents;x/correlate",
        "/api/v2/incidents",
        "/api/v1/unknown",
        "/api/v1",
    ],
)
async def test_no_spelling_of_a_path_reaches_an_internal_endpoint(
    door: Client, upstream: FakeUpstream, path: str
) -> None:
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    status = await reader.readline()
    writer.close()
    assert b" 404 " in status
    assert not upstream.forwarded


async def test_reads_at_the_paths_of_internal_endpoints_are_forwarded(door: Client) -> None:
    for path in (f"/api/v1/incidents/{ID}/timeline", "/api/v1/escalations", f"/api/v1/escalations/{ID}"):
        async with door.get(path) as answer:
            assert answer.status == 200
