"""Around every request: an id, one line in the log, one measurement, and what other sites may read."""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from tests.kernel.conftest import EdgeClient
from tests.support.kernel import bare_app as edge_routes
from tests.support.waiting import eventually
from tocsin.kernel import logs
from tocsin.kernel.app import REGISTRY, base_app
from tocsin.kernel.request_id import NO_REQUEST, valid_or_new
from tocsin.kernel.settings import ProcessSettings

FRIEND = "https://status.example.org"


async def request_id_of(client: EdgeClient, given_id: str | None) -> str:
    headers = {} if given_id is None else {"X-Request-ID": given_id}
    async with client.get("/health", headers=headers) as response:
        return response.headers["X-Request-ID"]


@pytest.mark.parametrize("given_id", ["a", "x" * 128, "4bf92f35-77b3.4d:a3/ce+9=@_"])
async def test_the_request_id_of_the_caller_is_kept(edge: EdgeClient, given_id: str) -> None:
    assert await request_id_of(edge, given_id) == given_id


@pytest.mark.parametrize("given_id", [None, "", "x" * 129, "a b", "a\tb", "<script>", "é", "a;b", "a,b", "-"])
async def test_an_unsafe_request_id_is_replaced(edge: EdgeClient, given_id: str | None) -> None:
    replaced = await request_id_of(edge, given_id)
    assert replaced != given_id
    assert len(replaced) == 36


@given(st.text())
def test_every_request_id_that_is_accepted_is_safe(text: str) -> None:
    chosen = valid_or_new(text)
    assert chosen.isascii()
    assert chosen.isprintable()
    assert 1 <= len(chosen) <= 128
    assert chosen != NO_REQUEST
    assert not set(chosen) & set(" \r\n\t\"'<>;,\\")


async def test_a_line_break_in_a_request_id_adds_no_header(edge: EdgeClient) -> None:
    for break_ in (b"\r\n", b"\n", b"\r", b"\x00"):
        reader, writer = await asyncio.open_connection(edge.host, edge.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
        writer.write(b"X-Request-ID: a" + break_ + b"Set-Cookie: stolen=1\r\n")
        writer.write(b"Connection: close\r\n\r\n")
        head = (await reader.read()).partition(b"\r\n\r\n")[0]
        writer.close()
        assert b"Set-Cookie" not in head


async def test_a_streamed_response_has_the_request_id(edge: EdgeClient) -> None:
    async with edge.get("/stream", headers={"X-Request-ID": "r-1"}) as response:
        assert response.headers["X-Request-ID"] == "r-1"


async def test_a_request_that_fails_is_logged_in_one_line(edge: EdgeClient) -> None:
    with capture_logs() as lines:
        async with edge.get("/api/v1/things/nothing?token=hunter2") as response:
            assert response.status == HTTPStatus.NOT_FOUND
        await eventually(lambda: lines)
    (line,) = [entry for entry in lines if entry["event"] == "request"]
    assert line["method"] == "GET"
    assert line["route"] == "/api/v1/things/{thing_id}"
    assert line["path"] == "/api/v1/things/nothing"
    assert line["status"] == 404
    assert 0 <= line["seconds"] < 5
    assert line["remote"] == "127.0.0.1"
    assert "hunter2" not in str(line)


async def test_a_request_that_succeeds_is_logged_at_debug(edge: EdgeClient) -> None:
    with capture_logs() as lines:
        async with edge.get("/api/v1/things") as response:
            assert response.status == HTTPStatus.OK
        await eventually(lambda: lines)
    assert [(entry["status"], entry["log_level"]) for entry in lines] == [(200, "debug")]


async def test_probes_are_logged_only_when_they_fail(edge: EdgeClient) -> None:
    with capture_logs() as lines:
        for path in ("/health", "/health/ready", "/metrics"):
            async with edge.get(path) as response:
                assert response.status == HTTPStatus.OK
        async with edge.post("/health") as response:
            assert response.status == HTTPStatus.METHOD_NOT_ALLOWED
        await eventually(lambda: lines)
    assert [entry["status"] for entry in lines] == [405]


def count(client: EdgeClient, **labels: str) -> float:
    return client.app[REGISTRY].get_sample_value("tocsin_http_request_duration_seconds_count", labels) or 0.0


async def test_requests_are_measured_by_template_and_never_by_path(edge: EdgeClient) -> None:
    for number in range(30):
        async with edge.get(f"/nowhere/{number}") as response:
            assert response.status == HTTPStatus.NOT_FOUND
        async with edge.get(f"/api/v1/things/{number}") as response:
            assert response.status == HTTPStatus.NOT_FOUND
        async with edge.request("PROPFIND", "/nowhere") as response:
            assert response.status == HTTPStatus.NOT_FOUND
    assert count(edge, method="GET", route="unmatched", status="404") == 30
    assert count(edge, method="GET", route="/api/v1/things/{thing_id}", status="404") == 30
    assert count(edge, method="other", route="unmatched", status="404") == 30
    async with edge.get("/metrics") as response:
        series = [line for line in (await response.text()).splitlines() if "duration_seconds_count{" in line]
    assert len(series) == 3


async def test_bytes_that_are_not_http_are_logged_in_one_line_without_a_traceback(
    edge: EdgeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    logging.getLogger("aiohttp.server").addFilter(logs.lower_errors_of_clients)
    try:
        reader, writer = await asyncio.open_connection(edge.host, edge.port)
        writer.write(b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n")
        assert b" 400 Bad Request" in await reader.read()
        writer.close()
    finally:
        logging.getLogger("aiohttp.server").removeFilter(logs.lower_errors_of_clients)
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.exc_info is None


async def test_requests_in_progress_are_counted(edge: EdgeClient) -> None:
    async with edge.get("/metrics") as response:
        assert "tocsin_http_requests_in_progress 1.0" in await response.text()


@pytest.fixture
async def friendly(aiohttp_client: AiohttpClient) -> EdgeClient:
    app = base_app(ProcessSettings.model_validate({"cors_origins": f"{FRIEND},http://other"}), service="edge")
    app.add_routes(edge_routes.ROUTES)
    return await aiohttp_client(app)


@pytest.mark.parametrize("path", ["/health", "/stream", "/nowhere", "/errors/bug", "/errors/redirect"])
async def test_a_page_of_a_configured_origin_may_read_every_response(friendly: EdgeClient, path: str) -> None:
    async with friendly.get(path, headers={"Origin": FRIEND}, allow_redirects=False) as response:
        assert response.headers["Access-Control-Allow-Origin"] == FRIEND
        assert "Origin" in response.headers["Vary"]


async def test_a_preflight_request_of_a_configured_origin_succeeds(friendly: EdgeClient) -> None:
    headers = {"Origin": FRIEND, "Access-Control-Request-Method": "PATCH"}
    async with friendly.options("/api/v1/things", headers=headers) as response:
        assert response.status == HTTPStatus.NO_CONTENT
        assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
        assert "Idempotency-Key" in response.headers["Access-Control-Allow-Headers"]
        assert response.headers["Access-Control-Allow-Origin"] == FRIEND


@pytest.mark.parametrize("origin", ["https://evil.example", "null", FRIEND + ".evil.example", FRIEND.upper(), ""])
async def test_any_other_origin_may_read_nothing(friendly: EdgeClient, edge: EdgeClient, origin: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for client in (friendly, edge):
        async with client.get("/health", headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        async with client.options("/api/v1/things", headers=headers) as response:
            assert response.status == HTTPStatus.METHOD_NOT_ALLOWED
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_by_default_no_page_of_another_origin_may_read(edge: EdgeClient) -> None:
    async with edge.get("/health", headers={"Origin": FRIEND}) as response:
        given_headers: Any = response.headers
        assert "Access-Control-Allow-Origin" not in given_headers
        assert "Vary" not in given_headers


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_change_requested_by_a_page_of_another_site_is_refused(edge: EdgeClient, method: str) -> None:
    plain = {"Content-Type": "text/plain"}  # what a page may send without asking first
    origins = ("https://evil.example", "null", "http://[::1", "http://", "")
    for header in ({"Sec-Fetch-Site": "cross-site"}, *({"Origin": origin} for origin in origins)):
        async with edge.request(method, "/api/v1/things", data=b'{"name": "x"}', headers=plain | header) as response:
            assert response.status == HTTPStatus.FORBIDDEN
            assert response.content_type == "application/problem+json"


async def test_a_change_requested_by_a_page_of_a_configured_origin_is_made(friendly: EdgeClient) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site"}
    async with friendly.post("/api/v1/things", json={"name": "x"}, headers=headers) as response:
        assert response.status == HTTPStatus.CREATED
