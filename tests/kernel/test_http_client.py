"""Calls to another service: what is sent, and how responses are read."""

import gzip

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.support.kernel.scripted_peer import THREE, Answer, Peer, status
from tocsin.kernel import clock, http_client
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.errors import RejectedError, UpstreamError
from tocsin.kernel.http_client import Budget, ServiceClient
from tocsin.kernel.ids import new_id
from tocsin.kernel.request_id import NO_REQUEST, REQUEST_ID


async def test_an_error_without_a_problem_document_is_not_of_the_service_and_is_retried(
    client: ServiceClient, peer: Peer
) -> None:
    async def broken(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="Bad status line", status=400)

    peer.script = [broken, status(200)]
    assert await client.get("/x", Answer, budget=THREE) == Answer(word="ok")
    peer.script = [broken]
    with pytest.raises(UpstreamError, match="peer returns 400 without a problem document"):
        await client.get("/x", Answer, budget=THREE)


async def test_a_long_reason_is_truncated(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(422, detail="x" * 1_000_000)]
    with pytest.raises(RejectedError) as caught:
        await client.get("/x", Answer, budget=THREE)
    assert len(str(caught.value)) == 1_000


async def test_a_response_that_never_ends_times_out(client: ServiceClient, peer: Peer) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await clock.sleep(0)

    peer.script = [drip]
    with pytest.raises(UpstreamError, match="does not respond in time"):
        await client.get("/x", Answer, budget=Budget(attempts=1, seconds=5, attempt_seconds=0.2))


async def test_a_response_that_is_too_large_is_not_read(
    client: ServiceClient, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "MAX_RESPONSE", 100_000)

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 10_000)

    peer.script = [flood]
    with pytest.raises(UpstreamError, match="response that is too large"):
        await client.get("/x", Answer, budget=Budget(attempts=1, seconds=5, attempt_seconds=5))


async def test_no_compression_is_requested_and_no_body_is_decompressed(client: ServiceClient, peer: Peer) -> None:
    async def bomb(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=gzip.compress(b'{"word":"ok"}'), headers={"Content-Encoding": "gzip"})

    peer.script = [bomb]
    with pytest.raises(UpstreamError, match="cannot be parsed"):
        await client.get("/x", Answer, budget=THREE)
    assert peer.headers[0]["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"word": 1}', b"\xff\xfe", b"<html>"])
async def test_a_response_that_cannot_be_parsed_is_the_peers_failure(
    client: ServiceClient, peer: Peer, body: bytes
) -> None:
    async def garbage(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    peer.script = [garbage]
    with pytest.raises(UpstreamError, match="cannot be parsed"):
        await client.get("/x", Answer, budget=THREE)


async def test_a_redirect_is_not_followed(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(302, Location="/elsewhere")]
    assert await client.get("/x", Answer, budget=THREE) == Answer(word="ok")
    assert len(peer.at) == 1


async def test_the_request_id_is_sent(client: ServiceClient, peer: Peer) -> None:
    peer.script = [status(503), status(200)]
    REQUEST_ID.set("from-the-caller")
    await client.get("/x", Answer, budget=THREE)
    assert [headers["X-Request-ID"] for headers in peer.headers] == ["from-the-caller"] * 2


async def test_outside_of_a_request_a_new_request_id_is_sent(client: ServiceClient, peer: Peer) -> None:
    REQUEST_ID.set(NO_REQUEST)
    await client.get("/x", Answer, budget=THREE)
    assert len(peer.headers[0]["X-Request-ID"]) == 36


async def test_unset_query_parameters_are_omitted_and_lists_repeat_their_name(
    client: ServiceClient, peer: Peer
) -> None:
    await client.get("/x", Answer, query={"a": None, "b": [1, 2], "c": "ä&"}, budget=THREE)
    assert peer.queries == ["b=1&b=2&c=%C3%A4%26"]


async def test_a_patch_sends_only_the_fields_that_were_set_and_a_post_sends_all(
    client: ServiceClient, peer: Peer
) -> None:
    await client.patch("/x", Answer(word="w"), Answer, idempotency_key="k", headers={"If-Match": '"3"'}, budget=THREE)
    await client.post("/x", Answer(word="w"), Answer, idempotency_key="k", budget=THREE)
    assert peer.bodies == [b'{"word":"w"}', b'{"word":"w","number":null}']
    assert peer.headers[0]["If-Match"] == '"3"'
    assert peer.headers[0]["Content-Type"] == "application/json"


async def test_using_a_client_outside_its_context_is_an_error(registry: CollectorRegistry) -> None:
    client = ServiceClient("http://127.0.0.1:1", ClientMetrics.register(registry), peer="peer")
    with pytest.raises(RuntimeError, match="outside its context"):
        await client.get(f"/{new_id()}", Answer, budget=THREE)
