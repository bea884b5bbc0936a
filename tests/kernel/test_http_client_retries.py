"""Calls to another service that fail: what is retried, how often, for how long."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.support.kernel.fake_clock import FakeClock
from tests.support.kernel.scripted_peer import THREE, Answer, Peer, never, open_client, retries, status
from tests.support.tcp_proxy import Way, proxied_port
from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import clock
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget, ServiceClient
from tocsin.kernel.retry_after import retry_seconds
from tocsin.kernel.tasks import create_task


@pytest.fixture
def fake_clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    fake.install(monkeypatch, ["tocsin.kernel.http_client.clock", "tenacity.time"])
    return fake


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_a_temporary_failure_is_retried_with_the_same_key(
    client: ServiceClient, peer: Peer, registry: CollectorRegistry, code: int
) -> None:
    peer.script = [status(code), status(code), status(200)]
    answer = await client.post("/x", Answer(word="sent"), Answer, idempotency_key="k", budget=THREE)
    assert answer == Answer(word="ok")
    assert [headers["Idempotency-Key"] for headers in peer.headers] == ["k"] * 3
    assert len(set(peer.bodies)) == 1
    assert retries(registry, "status") == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 412, 413, 422])
async def test_a_rejection_is_not_retried(client: ServiceClient, peer: Peer, code: int) -> None:
    peer.script = [status(code, detail="Because.")]
    with pytest.raises(RejectedError, match=r"^Because\.$") as caught:
        await client.get("/x", Answer, budget=THREE)
    assert caught.value.status == code
    assert len(peer.at) == 1


async def test_attempts_are_bounded(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503)]
    with pytest.raises(UpstreamError, match="peer returns 503"):
        await client.get("/x", Answer, budget=THREE)
    assert len(peer.at) == 3


async def test_a_budget_of_one_attempt_allows_no_retry(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503)]
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=Budget(attempts=1, seconds=5.0, attempt_seconds=5.0))
    assert len(peer.at) == 1


async def test_time_is_bounded_over_all_attempts(client: ServiceClient, peer: Peer, fake_clock: FakeClock) -> None:
    async def slow(_request: web.Request) -> web.StreamResponse:
        fake_clock.seconds += 25
        return web.json_response({}, status=503)

    peer.script = [slow]
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=Budget(attempts=1_000, seconds=60, attempt_seconds=50))
    assert 60 <= fake_clock.seconds < 60 + 25, "no attempt starts after the budget's time"
    assert len(peer.at) == 3


async def test_the_last_attempt_has_only_the_time_that_is_left(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503, Retry_After="0"), never]
    with pytest.raises(UpstreamError, match="in time"):
        await client.get("/x", Answer, budget=Budget(attempts=2, seconds=2.0, attempt_seconds=AN_HOUR))


async def test_a_silent_peer_times_out(client: ServiceClient, peer: Peer, registry: CollectorRegistry) -> None:
    peer.script = [never]
    with pytest.raises(UpstreamError, match="does not respond in time"):
        await client.get("/x", Answer, budget=Budget(attempts=2, seconds=5, attempt_seconds=0.1))
    assert retries(registry, "timeout") == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 banana OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"",
    ],
)
async def test_a_response_that_is_not_http_is_retried_and_then_an_error(
    registry: CollectorRegistry, answer: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_client(port, registry) as client:
            with pytest.raises(UpstreamError):
                await client.get("/x", Answer, budget=Budget(attempts=2, seconds=5, attempt_seconds=2))
    assert retries(registry, "protocol") + retries(registry, "connection") == 1


async def test_a_refused_connection_is_retried(port: int, registry: CollectorRegistry) -> None:
    async with proxied_port(port) as proxy:
        await proxy.stop()
        async with open_client(proxy.port, registry) as client:
            calling = create_task(client.get("/x", Answer, budget=Budget(1_000, 60, 20)), name="calling")
            await eventually(lambda: retries(registry, "connection"))
            await proxy.start()
            assert await calling == Answer(word="ok")


async def test_a_request_whose_response_is_lost_is_retried_with_the_same_key(
    port: int, peer: Peer, registry: CollectorRegistry
) -> None:
    async with proxied_port(port) as proxy:
        proxy.drop(Way.DOWN)
        async with open_client(proxy.port, registry) as client:
            calling = create_task(
                client.post("/x", b"{}", Answer, idempotency_key="one", budget=Budget(50, 60, 0.3)), name="calling"
            )
            await eventually(lambda: retries(registry, "timeout"))
            proxy.heal()
            assert await calling == Answer(word="ok")
    assert len(peer.headers) >= 2
    assert {headers["Idempotency-Key"] for headers in peer.headers} == {"one"}


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_a_retry_waits_for_retry_after(
    client: ServiceClient, peer: Peer, fake_clock: FakeClock, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    now = datetime(2026, 11, 21, 10, tzinfo=UTC)
    monkeypatch.setattr(clock, "now", lambda: now)
    requested = "2" if form == "seconds" else format_datetime(now + timedelta(seconds=2), usegmt=True)
    peer.script = [status(429, Retry_After=requested), status(200)]
    await client.get("/x", Answer, budget=THREE)
    assert fake_clock.slept == [2.0]


@pytest.mark.parametrize("requested", ["5", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_retry_after_beyond_the_budget_ends_the_call(
    client: ServiceClient, peer: Peer, fake_clock: FakeClock, requested: str
) -> None:
    peer.script = [status(503, Retry_After=requested)]
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=THREE)
    assert fake_clock.slept == []
    assert len(peer.at) == 1


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{1,12}", fullmatch=True))
@example("Sat, 21 Nov 2026 10:00:00 GMT")
@example("Sat, 21 Nov 2026 10:00:00")
@example("Sat, 99 Nov 99999 10:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 GMT")
@example("9" * 5_000)
@example("²")
def test_any_retry_after_gives_a_wait_between_zero_and_a_day(text: str) -> None:
    assert 0.0 <= retry_seconds(text) <= 86_400.0


async def test_waits_grow_and_are_jittered(client: ServiceClient, peer: Peer, fake_clock: FakeClock) -> None:
    peer.script = [status(503)]
    for _ in range(20):
        with pytest.raises(UpstreamError):
            await client.get("/x", Answer, budget=Budget(attempts=5, seconds=AN_HOUR, attempt_seconds=AN_HOUR))
    firsts, lasts = fake_clock.slept[::4], fake_clock.slept[3::4]
    assert max(firsts) < 0.1 < max(lasts) < 1.0
    assert len(set(firsts)) > 1


async def test_attempts_are_measured_by_outcome(client: ServiceClient, peer: Peer, registry: CollectorRegistry) -> None:
    peer.script = [status(503), status(200), status(404, detail="No.")]
    await client.get("/x", Answer, budget=THREE)
    with pytest.raises(RejectedError):
        await client.get("/x", Answer, budget=THREE)
    for outcome in ("status", "ok", "rejected"):
        labels = {"peer": "peer", "outcome": outcome}
        assert registry.get_sample_value("tocsin_client_request_duration_seconds_count", labels) == 1


async def test_a_cancelled_call_ends_at_once(client: ServiceClient, peer: Peer, registry: CollectorRegistry) -> None:
    peer.script = [never]
    calling = create_task(client.get("/x", Answer, budget=THREE), name="calling")
    await eventually(lambda: peer.at)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    labels = {"peer": "peer", "outcome": "cancelled"}
    assert registry.get_sample_value("tocsin_client_request_duration_seconds_count", labels) == 1
