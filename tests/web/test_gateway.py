import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import pytest
from aiohttp import ClientPayloadError
from yarl import URL

from tests.fakes.upstream import FakeUpstream
from tests.support.waiting import eventually
from tests.web.conftest import Client, StartWeb
from tocsin.kernel import clock, tasks
from tocsin.web.gateway import GATEWAY

ID = "0199f6a2-7c31-7e0b-9d44-51c0a8be2f17"
OWNERS = {
    "alert_ingestion_url": ["/api/v1/alerts", f"/api/v1/alerts/{ID}", "/api/v1/receivers/alertmanager"],
    "incident_management_url": ["/api/v1/incidents", "/api/v1/incidents/stats/summary", f"/api/v1/incidents/{ID}"],
    "oncall_service_url": ["/api/v1/schedules", "/api/v1/oncall/current", "/api/v1/escalate", "/api/v1/escalations"],
    "notification_service_url": ["/api/v1/notify", "/api/v1/notifications", f"/api/v1/notifications/{ID}/redeliver"],
}


@pytest.mark.parametrize(("owner", "path"), [(owner, path) for owner, paths in OWNERS.items() for path in paths])
async def test_each_path_goes_to_the_service_that_owns_it(
    start_web: StartWeb, upstream: FakeUpstream, owner: str, path: str
) -> None:
    nobody = dict.fromkeys(OWNERS, "http://127.0.0.1:9")
    client = await start_web(**nobody | {owner: upstream.url})
    async with client.get(path) as answer:
        assert (answer.status, await answer.json()) == (200, {"path": path, "size": 0})


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD"])
async def test_method_query_body_and_headers_go_through(door: Client, upstream: FakeUpstream, method: str) -> None:
    body = None if method in {"GET", "HEAD"} else b'{"a": "\xc3\xa9"}'
    url = URL(f"{door.make_url('/')}api/v1/incidents/a%20b?q=%C3%A9%2B+x&limit=2", encoded=True)
    given = {"Idempotency-Key": "k1", "If-Match": '"3"', "Content-Type": "application/json", "X-Actor": "ann"}
    async with door.session.request(method, url, data=body, headers=given) as answer:
        assert answer.status == 200
        assert answer.headers["X-From"] == "upstream"
    (request,) = upstream.forwarded
    assert request["method"] == method
    assert request["path"] == "/api/v1/incidents/a%20b?q=%C3%A9%2B+x&limit=2"
    assert request["body"] == (body or b"")
    assert given.items() <= request["headers"].items()


async def test_the_request_id_is_passed_on_and_returned(door: Client, upstream: FakeUpstream) -> None:
    async with door.get("/api/v1/alerts", headers={"X-Request-ID": "night-1"}) as answer:
        assert answer.headers.getall("X-Request-ID") == ["night-1"]
    async with door.get("/api/v1/alerts") as answer:
        made = answer.headers["X-Request-ID"]
    assert [request["headers"]["X-Request-ID"] for request in upstream.forwarded] == ["night-1", made]


async def test_hop_by_hop_and_forwarding_headers_are_dropped(door: Client, upstream: FakeUpstream) -> None:
    given = {
        "Connection": "keep-alive, X-Private",
        "X-Private": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic eDp5",
        "X-Forwarded-For": "10.0.0.1",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=10.0.0.1",
        "Tocsin-Client-Address": "10.0.0.1",
        "Cookie": "tocsin_actor=ann",
        "Sec-Fetch-Site": "same-origin",
        "Origin": f"http://{door.host}:{door.port}",
    }
    async with door.get("/api/v1/alerts", headers=given) as answer:
        assert "X-Secret-Hop" not in answer.headers
        assert "Keep-Alive" not in answer.headers
        assert answer.headers["Retry-After"] == "7"
    received = upstream.forwarded[0]["headers"]
    assert not (given.keys() - {"Connection"}) & received.keys()
    assert received["Host"] == upstream.url.removeprefix("http://")


@pytest.mark.parametrize("status", [201, 202, 304, 409, 412, 422, 500])
async def test_the_service_s_status_is_returned(door: Client, status: int) -> None:
    async with door.get("/api/v1/incidents", headers={"X-Answer": str(status)}) as answer:
        assert answer.status == status


async def test_a_compressed_response_stays_compressed(door: Client) -> None:
    async with door.get("/api/v1/incidents/packed", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert await answer.json() == {"long": "x" * 5_000}


async def test_no_header_is_added_to_the_caller_s(door: Client, upstream: FakeUpstream) -> None:
    reader, writer = await asyncio.open_connection(door.host, door.port)
    writer.write(b"GET /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b" 200 " in await reader.readline()
    writer.close()
    assert upstream.forwarded[0]["headers"].keys() == {"Host", "X-Request-ID"}


async def test_an_upload_streams_before_it_is_whole(door: Client, upstream: FakeUpstream) -> None:
    async def half_then_wait() -> AsyncIterator[bytes]:
        yield b"x" * 1_000
        async with tasks.timeout(5):
            await upstream.received.wait()
        yield b"y" * 1_000

    async with door.post("/api/v1/alerts/upload", data=half_then_wait()) as answer:
        assert await answer.json() == {"size": 2_000}


@pytest.mark.parametrize("size", [8 * 1024 * 1024, 8 * 1024 * 1024 + 1])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_of_eight_mebibytes_goes_through_and_a_byte_more_does_not(
    door: Client, size: int, *, chunked: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 65_536):
            yield b"x" * min(65_536, size - start)

    body = pieces() if chunked else BytesIO(b"x" * size)
    async with door.post("/api/v1/alerts/upload", data=body) as answer:
        body = await answer.json()
    if size <= 8 * 1024 * 1024:
        assert body == {"size": size}
    else:
        assert (answer.status, body["type"]) == (413, "urn:tocsin:problem:too-large")


async def test_events_pass_one_by_one_as_they_come(door: Client, upstream: FakeUpstream) -> None:
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "7-3"}
    async with door.get("/api/v1/incidents/stream", headers=headers) as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["X-Last"] == "7-3"
        for number in range(3):
            upstream.lines.put_nowait(b"data: %d\n\n" % number)
            assert await answer.content.readuntil(b"\n\n") == b"data: %d\n\n" % number
        upstream.lines.put_nowait(b"")
        assert await answer.content.read() == b""


async def test_a_disconnected_reader_ends_the_upstream_request(door: Client, upstream: FakeUpstream) -> None:
    async with door.get("/api/v1/incidents/stream") as answer:
        upstream.lines.put_nowait(b"data: 1\n\n")
        await answer.content.readuntil(b"\n\n")

    def let_go() -> bool:
        upstream.lines.put_nowait(b": ping\n\n")
        return upstream.streams == 0

    await eventually(let_go, every=0.05)


async def test_a_reader_that_stops_reading_is_disconnected(door: Client) -> None:
    reader, writer = await asyncio.open_connection(door.host, door.port, limit=1_024)
    writer.write(b"GET /api/v1/alerts/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert door.app is not None
    streams = door.app[GATEWAY].streams
    await eventually(lambda: streams)
    await eventually(lambda: not streams)
    assert len(await reader.read()) < 20_000_000
    writer.close()


async def test_streams_end_when_the_process_stops(door: Client, upstream: FakeUpstream) -> None:
    async with door.get("/api/v1/incidents/stream") as answer:
        upstream.lines.put_nowait(b"data: 1\n\n")
        await answer.content.readuntil(b"\n\n")
        assert door.app is not None
        async with tasks.timeout(1):
            await door.app.shutdown()
            with pytest.raises(ClientPayloadError):
                await answer.content.read()


@pytest.mark.parametrize(
    ("owner", "peer", "path"),
    [
        ("alert_ingestion_url", "alert-ingestion", "/api/v1/alerts"),
        ("incident_management_url", "incident-management", "/api/v1/incidents"),
        ("oncall_service_url", "oncall-service", "/api/v1/oncall/current"),
        ("notification_service_url", "notification-service", "/api/v1/notifications"),
    ],
)
async def test_an_unavailable_service_is_named_with_retry_after(
    start_web: StartWeb, owner: str, peer: str, path: str
) -> None:
    client = await start_web(**{owner: "http://127.0.0.1:9"})
    async with client.post(path, json={}) as answer:
        problem = await answer.json()
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        assert int(answer.headers["Retry-After"]) >= 1
    assert peer in problem["detail"]
    assert problem["request_id"] == answer.headers["X-Request-ID"]


async def test_a_recovered_service_is_used_again(door: Client, upstream: FakeUpstream) -> None:
    await upstream.stop()
    async with door.get("/api/v1/alerts") as answer:
        assert answer.status == 503
    await upstream.start()
    async with door.get("/api/v1/alerts") as answer:
        assert answer.status == 200


async def test_a_silent_service_times_out(door: Client, upstream: FakeUpstream) -> None:
    upstream.gate.clear()
    async with tasks.timeout(3), door.get("/api/v1/alerts") as answer:
        assert answer.status == 503
        assert "alert-ingestion does not respond in time" in (await answer.json())["detail"]


async def test_a_frozen_service_is_a_503_although_streams_may_be_silent_for_longer(
    start_web: StartWeb, upstream: FakeUpstream
) -> None:
    client = await start_web(incident_management_url=upstream.url, gateway_response_seconds=0.3)
    upstream.gate.clear()
    async with tasks.timeout(3), client.get("/api/v1/incidents") as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert "incident-management does not respond in time" in (await answer.json())["detail"]


async def test_a_slow_upload_is_not_cut_off_while_it_sends(start_web: StartWeb, upstream: FakeUpstream) -> None:
    client = await start_web(incident_management_url=upstream.url, gateway_response_seconds=0.3)

    # Slower than the limit as a whole, and never between two chunks: this is what the gateway must allow.
    async def slowly() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" "
            await clock.sleep(0.1)
        yield b"{}"

    async with client.post("/api/v1/incidents", data=slowly()) as answer:
        assert answer.status == 200


async def test_an_interrupted_response_does_not_end_as_if_complete(door: Client) -> None:
    async with door.get("/api/v1/incidents/breaks") as answer:
        assert answer.status == 200
        with pytest.raises(ClientPayloadError):
            await answer.read()


async def test_a_page_of_a_configured_origin_may_call_and_read(start_web: StartWeb, upstream: FakeUpstream) -> None:
    client = await start_web(cors_origins="https://wall.example", incident_management_url=upstream.url)
    origin = {"Origin": "https://wall.example", "Sec-Fetch-Site": "cross-site"}
    async with client.post("/api/v1/incidents", json={}, headers=origin) as answer:
        assert answer.status == 200
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["https://wall.example"]


async def test_a_stream_beyond_the_bound_is_refused_and_everything_else_is_served(
    start_web: StartWeb, upstream: FakeUpstream
) -> None:
    client = await start_web(incident_management_url=upstream.url, max_streams=1)
    async with client.get("/api/v1/incidents/stream"):
        async with client.get("/api/v1/incidents/stream") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert "MAX_STREAMS" in (await refused.json())["detail"]
        async with client.patch(f"/api/v1/incidents/{ID}", json={"status": "acknowledged"}) as answer:
            assert answer.status == 200

    async def is_admitted() -> bool:
        upstream.lines.put_nowait(b": ping\n\n")  # a client that has left is noticed at the next write
        async with client.get("/api/v1/incidents/stream") as response:
            return response.status == 200

    await eventually(is_admitted)
