"""Clients that leave every service: in the middle of any body, and while the service is suspended."""

import asyncio
import json
import re
import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest
from aiohttp import hdrs
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.conftest import Standing
from tests.support.fork_server import SERVICES
from tests.support.system import Replica
from tests.support.tcp_proxy import Streams
from tests.support.waiting import eventually
from tocsin.alerts.routes import integration_routes
from tocsin.incidents.routes import ROUTES as INCIDENTS
from tocsin.kernel.ids import new_id
from tocsin.notifications.routes import ROUTES as NOTIFICATIONS
from tocsin.oncall.routes import ROUTES as ONCALL
from tocsin.web.routes import ROUTES as WEB

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
ROUTES: Final = {
    "alerts": integration_routes(),
    "incidents": INCIDENTS,
    "oncall": ONCALL,
    "notifications": NOTIFICATIONS,
    "web": WEB,
}
FORWARDED: Final = ("/api/v1/alerts", "/api/v1/incidents", "/api/v1/schedules", "/api/v1/notify")
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"
STREAM: Final = "/api/v1/incidents/stream"
CLIENTS: Final = 20


def changes(service: str) -> Iterator[tuple[str, str, str]]:
    """Yield method, path and media type of every change that *service* accepts."""
    for route in ROUTES[service]:
        if route.method in {hdrs.METH_POST, hdrs.METH_PATCH, hdrs.METH_PUT}:
            path = re.sub(r"\{\w+(?::(?:(\w+)\||[^}]*)[^}]*)?\}", lambda found: found[1] or str(new_id()), route.path)
            yield route.method, path, FORM if service == "web" else JSON
    if service == "web":
        yield from ((hdrs.METH_POST, path, JSON) for path in FORWARDED)


async def open_request(replica: Replica, head: str) -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    writer.write(f"{head}\r\nHost: localhost\r\n\r\n".encode())
    await writer.drain()
    return reader, writer


async def metric(standing: Standing, replica: Replica, name: str, **labels: str) -> float:
    """Return the sum of a metric's samples with these labels."""
    async with standing.system.session.get(f"{replica.url}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


async def responses(standing: Standing, replica: Replica, status: int) -> float:
    return await metric(standing, replica, "tocsin_http_request_duration_seconds_count", status=str(status))


def logged(replica: Replica, before: str) -> list[dict[str, Any]]:
    """Return the lines that *replica* has logged since *before*, all of which are JSON."""
    return [json.loads(line) for line in replica.log.removeprefix(before).splitlines()]


@pytest.mark.parametrize("service", SERVICES)
async def test_whatever_route_a_client_leaves_within_its_body_is_one_line_and_no_error(
    standing: Standing, service: str
) -> None:
    replica = standing.system[service]
    before = {one: one.log for one in standing.system.everyone}
    sent = list(changes(service))
    signature = standing.system.signature("oncall", service)["Authorization"]
    for number, (method, path, media_type) in enumerate(sent, start=1):
        head = f"{method} {path} HTTP/1.1\r\nContent-Type: {media_type}\r\nContent-Length: 100\r\nExpect: 100-continue"
        head += f"\r\nIdempotency-Key: once\r\nAuthorization: {signature}"
        reader, writer = await open_request(replica, head)
        assert b" 100 " in await reader.readline(), path
        writer.write(b"{")
        writer.close()

        async def counted(number: int = number) -> bool:
            return await responses(standing, replica, 499) >= number

        await eventually(counted)
    assert await responses(standing, replica, 500) == await responses(standing, replica, 503) == 0
    lines = logged(replica, before[replica])
    requests = [line for line in lines if line["event"] == "request"]
    assert [(line["method"], line["path"]) for line in requests] == [(method, path) for method, path, _ in sent]
    assert {line["status"] for line in requests} == {499}
    for one in standing.system.everyone:
        assert "exception" not in one.log.removeprefix(before[one])


@pytest.mark.parametrize("service", ["incidents", "web"])
async def test_clients_of_streams_that_leave_a_suspended_service_are_not_logged(
    standing: Standing, service: str
) -> None:
    replica, hub = standing.system[service], standing.system["incidents"]
    before = {one: one.log for one in (replica, hub)}

    async def followers(number: int) -> bool:
        return await metric(standing, hub, "tocsin_incidents_stream_clients") == number

    head = f"GET {STREAM} HTTP/1.1"
    for pause in (False, True):
        streams = [await open_request(replica, head) for _ in range(CLIENTS)]
        await eventually(lambda: followers(CLIENTS))
        if pause:
            replica.send(signal.SIGSTOP)
            await eventually(lambda: replica.paused)
            for _ in range(CLIENTS):  # these connect and leave before the service sees them
                _, writer = await open_request(replica, head)
                writer.close()
        for _, writer in streams:
            writer.close()
        replica.send(signal.SIGCONT)
        await standing.system.send_alert({"service": "checkout", "severity": "low", "message": f"{service} {pause}"})
        await eventually(lambda: followers(0))
    await eventually(lambda: in_progress(standing, replica))
    for one, text in before.items():
        lines = logged(one, text)
        assert [line for line in lines if line["level"] in {"error", "critical"} or line["event"] == "request"] == []
        assert not any("stream" in line["event"] or "interrupted" in line["event"] for line in lines)
        assert "Error" not in one.log.removeprefix(text)


async def in_progress(standing: Standing, replica: Replica) -> bool:
    """Return whether only the scrape itself is in progress."""
    return await metric(standing, replica, "tocsin_http_requests_in_progress") == 1
