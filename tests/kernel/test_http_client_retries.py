"""Calls to another service that fail: what is tried again, how often, how long."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.support.kernel.scripted_peer import THREE, Answer, Peer, never, open_client, retries, status
from tests.support.tcp_proxy import Proxy, Way, proxied_port
from tocsin.kernel import clock
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget, ServiceClient
from tocsin.kernel.retry_after import retry_seconds
from tocsin.kernel.tasks import create_task


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_what_may_pass_is_tried_again_with_the_same_key(
    client: ServiceClient, peer: Peer, registry: CollectorRegistry, code: int
) -> None:
    peer.script = [status(code), status(code), status(200)]
    answer = await client.post("/x", Answer(word="sent"), Answer, idempotency_key="k", budget=THREE)
    assert answer == Answer(word="ok")
    assert [headers["Idempotency-Key"] for headers in peer.headers] == ["k"] * 3
    assert len(set(peer.bodies)) == 1
    assert retries(registry, "status") == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 412, 413, 422])
async def test_what_will_not_pass_is_not_tried_again(client: ServiceClient, peer: Peer, code: int) -> None:
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


async def test_one_attempt_means_one(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503)]
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=Budget(attempts=1, seconds=5.0, attempt_seconds=5.0))
    assert len(peer.at) == 1


@pytest.mark.slow
async def test_time_is_bounded_over_all_attempts(client: ServiceClient, peer: Peer) -> None:
    async def slow(_request: web.Request) -> web.StreamResponse:
        await clock.sleep(0.25)
        return web.json_response({}, status=503)

    peer.script = [slow]
    started = clock.monotonic()
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=Budget(attempts=1_000, seconds=0.6, attempt_seconds=0.5))
    assert clock.monotonic() - started < 0.9
    assert 2 <= len(peer.at) <= 3


async def test_the_last_attempt_is_not_given_more_time_than_is_left(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503, Retry_After="0"), never]
    started = clock.monotonic()
    with pytest.raises(UpstreamError, match="in time"):
        await client.get("/x", Answer, budget=Budget(attempts=2, seconds=0.5, attempt_seconds=30))
    assert clock.monotonic() - started < 1.0


async def test_a_peer_that_does_not_answer_is_given_up(
    client: ServiceClient, peer: Peer, registry: CollectorRegistry
) -> None:
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
async def test_what_is_not_http_is_tried_again_and_then_told(registry: CollectorRegistry, answer: bytes) -> None:
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


async def test_a_peer_that_is_away_is_tried_again(port: int, registry: CollectorRegistry) -> None:
    async with proxied_port(port) as proxy:
        await proxy.go_away()
        async with open_client(proxy.port, registry) as client:
            calling = create_task(client.get("/x", Answer, budget=Budget(50, 10, 2)), name="calling")
            while not retries(registry, "connection"):
                await clock.sleep(0.01)
            await proxy.come_back()
            assert await calling == Answer(word="ok")


async def test_an_answer_lost_on_its_way_is_asked_for_again_under_the_same_key(
    port: int, peer: Peer, registry: CollectorRegistry
) -> None:
    async with proxied_port(port) as proxy:
        proxy.drop(Way.DOWN)
        async with open_client(proxy.port, registry) as client:
            calling = create_task(
                client.post("/x", b"{}", Answer, idempotency_key="one", budget=Budget(2, 10, 0.3)), name="calling"
            )
            await heal_after_first(proxy, peer)
            assert await calling == Answer(word="ok")
    assert [headers["Idempotency-Key"] for headers in peer.headers] == ["one", "one"]


@pytest.mark.slow
@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_waited_for(client: ServiceClient, peer: Peer, form: str) -> None:
    # A date has whole seconds only: this one is at least one ahead.
    wish = "1" if form == "seconds" else format_datetime(clock.now() + timedelta(seconds=2), usegmt=True)
    peer.script = [status(429, Retry_After=wish), status(200)]
    await client.get("/x", Answer, budget=THREE)
    assert peer.at[1] - peer.at[0] >= 0.95


@pytest.mark.parametrize("asked", ["5", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_retry_after_beyond_the_budget_ends_it_at_once(client: ServiceClient, peer: Peer, asked: str) -> None:
    peer.script = [status(503, Retry_After=asked)]
    started = clock.monotonic()
    with pytest.raises(UpstreamError):
        await client.get("/x", Answer, budget=THREE)
    assert clock.monotonic() - started < 1.0
    assert len(peer.at) == 1


@given(st.text(max_size=40) | st.from_regex(r"[0-9]{1,12}", fullmatch=True))
@example("Sat, 21 Nov 2026 10:00:00 GMT")
@example("Sat, 21 Nov 2026 10:00:00")
@example("Sat, 99 Nov 99999 10:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 GMT")
@example("9" * 5_000)
@example("²")
def test_no_retry_after_makes_a_wait_that_is_none(text: str) -> None:
    assert 0.0 <= retry_seconds(text) <= 86_400.0


async def test_waits_grow_and_are_jittered(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503)]
    firsts = []
    for _ in range(6):
        peer.at.clear()
        with pytest.raises(UpstreamError):
            await client.get("/x", Answer, budget=Budget(attempts=2, seconds=5, attempt_seconds=2))
        firsts.append(peer.at[1] - peer.at[0])
    assert max(firsts) < 1.0
    assert len({round(wait, 4) for wait in firsts}) > 1


async def test_each_attempt_is_measured_by_how_it_ended(
    client: ServiceClient, peer: Peer, registry: CollectorRegistry
) -> None:
    peer.script = [status(503), status(200), status(404, detail="No.")]
    await client.get("/x", Answer, budget=THREE)
    with pytest.raises(RejectedError):
        await client.get("/x", Answer, budget=THREE)
    for outcome in ("status", "ok", "rejected"):
        labels = {"peer": "peer", "outcome": outcome}
        assert registry.get_sample_value("tocsin_client_request_duration_seconds_count", labels) == 1


async def test_a_call_that_is_cancelled_ends_at_once(
    client: ServiceClient, peer: Peer, registry: CollectorRegistry
) -> None:
    peer.script = [never]
    calling = create_task(client.get("/x", Answer, budget=THREE), name="calling")
    while not peer.at:
        await clock.sleep(0.01)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    labels = {"peer": "peer", "outcome": "cancelled"}
    assert registry.get_sample_value("tocsin_client_request_duration_seconds_count", labels) == 1


async def heal_after_first(proxy: Proxy, peer: Peer) -> None:
    while not peer.at:
        await clock.sleep(0.01)
    await clock.sleep(0.3)
    proxy.heal()
