"""From where a request comes: what the edge, a proxy and a service state is believed, and what others write is not."""

import base64
import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tests.kernel.test_service_keys import GOOD, PAIRS, folder, keys_of, signed
from tocsin.kernel import clock
from tocsin.kernel.app import base_app
from tocsin.kernel.client_address import HEADER, ClientAddresses, client_address
from tocsin.kernel.errors import ConfigurationError
from tocsin.kernel.ip_addresses import parse_address, parse_networks
from tocsin.kernel.principal import CLIENT_ADDRESS, ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.kernel.routing import get
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

__all__ = ["folder"]
ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))
EDGE_KEY = base64.b64encode(KEY).decode()
CLIENT = "203.0.113.9"
FORGED = "198.51.100.66"
ADA = Principal(PrincipalKind.PERSON, "Ada", frozenset({Scope.READ}))


def stated(address: str, key: bytes = KEY) -> str:
    """Return the header of an edge with *key*; the digits of HAProxy are upper-case."""
    return f"{address} {hmac.digest(key, address.encode(), 'sha256').hex().upper()}"


async def found(aiohttp_client: AiohttpClient, *headers: tuple[str, str], **settings: Any) -> str:
    """Return the address that a service with *settings* finds for a request with *headers*."""
    app = base_app(ProcessSettings.model_validate({"allow_open_network": True, **settings}), service="called")

    async def get_address(request: web.Request) -> web.Response:
        return web.Response(text=client_address(request))

    app.add_routes([get("/address", get_address, scope=Scope.PUBLIC)])
    client = await aiohttp_client(app)
    async with client.get("/address", headers=CIMultiDict(headers)) as response:
        assert response.status == 200
        return await response.text()


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("X-Forwarded-For", FORGED)],
        [("Forwarded", f"for={FORGED}")],
        [("X-Real-IP", FORGED)],
        [(HEADER, FORGED)],
        [(HEADER, stated(FORGED))],
    ],
)
async def test_without_an_edge_and_a_proxy_it_is_the_peer(
    aiohttp_client: AiohttpClient, headers: list[tuple[str, str]]
) -> None:
    assert await found(aiohttp_client, *headers) == "127.0.0.1"


async def test_the_edge_states_its_client(aiohttp_client: AiohttpClient) -> None:
    assert await found(aiohttp_client, (HEADER, stated(CLIENT)), edge_key=EDGE_KEY) == CLIENT
    assert await found(aiohttp_client, (HEADER, stated("2001:db8::7")), edge_key=EDGE_KEY) == "2001:db8::7"
    forwarded = ((HEADER, stated(CLIENT)), ("X-Forwarded-For", FORGED))
    assert await found(aiohttp_client, *forwarded, edge_key=EDGE_KEY) == CLIENT


@pytest.mark.parametrize(
    "headers",
    [
        [(HEADER, FORGED)],
        [(HEADER, f"{FORGED} ")],
        [(HEADER, f"{FORGED} {64 * '0'}")],
        [(HEADER, f"{FORGED} {64 * 'é'}")],
        [(HEADER, stated(FORGED, bytes(32)))],
        [(HEADER, stated(CLIENT).replace(CLIENT, FORGED))],
        [(HEADER, stated(CLIENT)), (HEADER, FORGED)],
        [(HEADER, stated("nowhere"))],
        [("X-Forwarded-For", FORGED)],
    ],
)
async def test_what_the_edge_did_not_sign_is_not_believed_not_even_from_a_trusted_address(
    aiohttp_client: AiohttpClient, headers: list[tuple[str, str]]
) -> None:
    # As with the edge of a release before this one, which forwards what its clients send.
    chain = [*headers, ("X-Forwarded-For", FORGED)]
    assert await found(aiohttp_client, *chain, edge_key=EDGE_KEY, trusted_proxies="127.0.0.1") == "127.0.0.1"


async def test_a_trusted_proxy_in_front_of_the_edge_or_of_a_service_states_its_client(
    aiohttp_client: AiohttpClient,
) -> None:
    chain = (("X-Forwarded-For", FORGED), ("X-Forwarded-For", f"{CLIENT}, 10.0.0.2"))
    trusted = "10.0.0.0/8,127.0.0.1"
    assert await found(aiohttp_client, *chain, trusted_proxies=trusted) == CLIENT
    behind_edge = (*chain, (HEADER, stated("10.0.0.3")))
    assert await found(aiohttp_client, *behind_edge, edge_key=EDGE_KEY, trusted_proxies=trusted) == CLIENT
    around_proxy = (*chain, (HEADER, stated(CLIENT)))
    assert await found(aiohttp_client, *around_proxy, edge_key=EDGE_KEY, trusted_proxies=trusted) == CLIENT


async def test_a_service_states_from_where_the_call_was_requested_that_it_forwards(
    aiohttp_client: AiohttpClient, folder: Path
) -> None:
    caller, service_keys = keys_of("caller", folder), {"service_keys": folder, "service_key": PAIRS["called"].private}
    for principal, address, expected in ((ADA, CLIENT, CLIENT), (ADA, "", "127.0.0.1"), (None, CLIENT, "127.0.0.1")):
        on_behalf, client = ON_BEHALF_OF.set(principal), CLIENT_ADDRESS.set(address)
        headers = list(caller.authorization("called").items())
        CLIENT_ADDRESS.reset(client)
        ON_BEHALF_OF.reset(on_behalf)
        assert await found(aiohttp_client, *headers, **service_keys) == expected
        through_edge = [*headers, (HEADER, stated("10.0.0.5"))]
        seen = await found(aiohttp_client, *through_edge, **service_keys, edge_key=EDGE_KEY)
        assert seen == (CLIENT if expected == CLIENT else "10.0.0.5")
    forged = [("Authorization", "Tocsin-Service a.b.c"), (HEADER, stated(CLIENT))]
    assert await found(aiohttp_client, *forged, **service_keys, edge_key=EDGE_KEY) == CLIENT


class _Request:
    """What is read of a request."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.headers = CIMultiDict(headers)
        self.remote = "10.0.0.1"


@given(st.dictionaries(st.sampled_from([HEADER, "X-Forwarded-For", "Authorization"]), st.text()))
def test_no_text_in_a_header_fails(written: Mapping[str, str]) -> None:
    keys = ServiceKeys("called", SharedTime())
    for edge_key in (b"", KEY):
        addresses = ClientAddresses(keys, edge_key=edge_key, trusted=parse_networks("10.0.0.0/8"))
        address = addresses.find(cast("web.Request", _Request(written)))
        assert parse_address(address) is not None


@pytest.mark.parametrize(
    ("claims", "client"),
    [
        ({}, ""),  # by a release before this one
        ({"client": "203.0.113.9"}, "203.0.113.9"),
        ({"client": "2001:DB8::0:7"}, "2001:db8::7"),
        ({"client": None}, ""),
        ({"client": ["203.0.113.9"]}, ""),
        ({"client": "nowhere"}, ""),
    ],
)
def test_a_signature_states_an_address_or_none(folder: Path, claims: dict[str, object], client: str) -> None:
    token = signed({**GOOD, "exp": int(clock.now().timestamp()) + 60, **claims})
    assert keys_of("called", folder).caller(token).client == client


def test_the_edge_adds_no_header_that_a_release_before_this_one_refuses() -> None:
    edge = (ROOT / "docker" / "edge" / "haproxy.cfg").read_text().lower()
    assert "forwardfor" not in edge
    assert not re.search(r"(set|add)-header\s+(x-forwarded-for|forwarded)\b", edge)
    assert f"del-header {HEADER.lower()}" in edge


@pytest.mark.parametrize("key", ["short", "c2hvcnQ=", "é", 44 * "*"])
def test_a_key_that_is_too_short_or_not_base64_stops_the_start(key: str) -> None:
    with pytest.raises(ConfigurationError, match="EDGE_KEY must have 32 random bytes"):
        base_app(ProcessSettings.model_validate({"edge_key": key}), service="called")
