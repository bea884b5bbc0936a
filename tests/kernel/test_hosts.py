"""The Host check of every service."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiohttp.pytest_plugin import AiohttpClient
from pydantic import ValidationError

from tests.kernel.conftest import EdgeClient
from tocsin.kernel.app import base_app
from tocsin.kernel.settings import ProcessSettings, describe

StartThings = Callable[..., Awaitable[EdgeClient]]


@pytest.fixture
def start_things(aiohttp_client: AiohttpClient) -> StartThings:
    """Start a service called `things` with settings of the test's own."""

    async def start(**settings: Any) -> EdgeClient:
        return await aiohttp_client(base_app(ProcessSettings.model_validate(settings), service="things"))

    return start


@pytest.fixture
async def things(start_things: StartThings) -> EdgeClient:
    return await start_things()


async def status_for(
    client: EdgeClient,
    *hosts: str,
    target: str = "/health",
    version: str = "1.1",
    method: str = "GET",
    headers: Sequence[str] = (),
) -> int:
    """Return the status of a request with these `Host` headers."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    lines = "".join(f"{line}\r\n" for line in [*(f"Host: {host}" for host in hosts), *headers, "Connection: close"])
    writer.write(f"{method} {target} HTTP/{version}\r\n{lines}\r\n".encode())
    status = (await reader.readline()).split()[1]
    writer.close()
    return int(status)


ALLOWED = [
    *("localhost", "localhost:8080", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:8080"),
    *("10.0.0.7", "192.168.7.20:8080", "[fd00::1]"),
    *("things", "things:8001", "edge", "edge:8002"),
]
FOREIGN = [
    *("evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "xlocalhost"),
    *("localhost@evil.example", "evil.example@localhost", "localhost,evil.example", "localhost evil.example"),
    *("", "[::1", "[evil]", "localhost:80:80", "others", "1.2.3", "0x7f.1", "[::1].evil.example"),
]

NOT_IN_URLS = {"", "[::1", "[evil]", "[::1].evil.example", "localhost:80:80"}
HOSTS_OF_URLS = [host for host in FOREIGN if not set(host) & set("@, ") and host not in NOT_IN_URLS]
"""Of these, those that a URL can have."""


@pytest.mark.parametrize(("host", "status"), [(host, 200) for host in ALLOWED] + [(host, 421) for host in FOREIGN])
async def test_a_foreign_host_is_refused(things: EdgeClient, host: str, status: int) -> None:
    assert await status_for(things, host) == status


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/metrics", "/openapi.json", "/docs", "/nowhere"])
async def test_the_host_is_checked_for_every_path(things: EdgeClient, path: str) -> None:
    assert await status_for(things, "evil.example", target=path) == 421


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("hosts", [(), ("localhost", "localhost"), ("localhost", "evil.example")])
async def test_a_request_has_exactly_one_host(things: EdgeClient, hosts: tuple[str, ...], version: str) -> None:
    assert await status_for(things, *hosts, version=version) == 400


@pytest.mark.parametrize(
    ("host", "status"), [(host, 200) for host in ALLOWED] + [(host, 421) for host in HOSTS_OF_URLS]
)
async def test_the_host_in_the_request_line_is_checked_like_the_header(
    things: EdgeClient, host: str, status: int
) -> None:
    assert await status_for(things, host, target=f"http://{host}/health") == status


async def test_the_host_in_the_request_line_replaces_the_header(things: EdgeClient) -> None:
    assert await status_for(things, "localhost", target="http://evil.example/health") == 421
    assert await status_for(things, "evil.example", target="http://localhost/health") == 200
    assert await status_for(things, target="http://localhost/health") == 400


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("HTTPS://localhost/health?x=1#y", 200),
        ("http://localhost//health", 404),
        ("http://localhost", 404),
        ("http://evil.example?localhost/health", 421),
        ("http://evil.example#localhost/health", 400),
        ("http://localhost@evil.example/health", 400),
        ("http://evil.example@localhost/health", 400),
        ("http://a:b@localhost/health", 400),
        ("ftp://localhost/health", 400),
        ("http:///health", 400),
        ("http:localhost/health", 400),
        ("http://localhost:99999/health", 400),
        ("*", 400),
        ("evil.example:443", 400),
        ("//evil.example/health", 404),
        ("//localhost/health", 404),
        ("/http://localhost/health", 404),
    ],
)
async def test_only_a_path_or_an_http_url_is_a_target(things: EdgeClient, target: str, status: int) -> None:
    assert await status_for(things, "localhost", target=target) == status


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("OPTIONS *", "localhost", 404),
        ("OPTIONS *", "evil.example", 421),
        ("OPTIONS http://localhost/health", "localhost", 405),
        ("OPTIONS http://evil.example/health", "localhost", 421),
        ("CONNECT localhost:443", "localhost", 404),
        ("CONNECT evil.example:443", "localhost", 421),
        ("CONNECT a@localhost:443", "localhost", 421),
    ],
)
async def test_no_other_form_of_a_target_succeeds(things: EdgeClient, target: str, host: str, status: int) -> None:
    method, _, rest = target.partition(" ")
    assert await status_for(things, host, target=rest, method=method) == status


async def test_the_origin_of_a_change_is_compared_with_the_host_in_the_request_line(things: EdgeClient) -> None:
    for origin, status in (("http://localhost:8001", 405), ("http://localhost", 403), ("http://evil.example", 403)):
        headers = (f"Origin: {origin}",)
        target = "http://localhost:8001/health"
        assert await status_for(things, "evil.example", target=target, method="POST", headers=headers) == status


async def test_configured_names_are_allowed_and_no_others(start_things: StartThings) -> None:
    client = await start_things(
        allowed_hosts="Tocsin.Example,[fd00::7]", public_url="https://pager.example:8443/", bind_address="my-host"
    )
    for host in ("tocsin.example", "pager.example", "pager.example:8443", "my-host", "localhost"):
        assert await status_for(client, host) == 200
    for host in ("x.tocsin.example", "x.pager.example", "evil.example"):
        assert await status_for(client, host) == 421


async def test_a_star_allows_any_name(start_things: StartThings) -> None:
    assert await status_for(await start_things(allowed_hosts="*"), "anything.example") == 200


async def test_the_refusal_is_a_problem_document_with_a_remedy(things: EdgeClient) -> None:
    async with things.get("/health", headers={"Host": "tocsin.lan"}) as response:
        assert response.status == 421
        problem = await response.json()
    assert problem["type"] == "urn:tocsin:problem:misdirected-request"
    assert "'tocsin.lan'" in problem["detail"]
    assert "ALLOWED_HOSTS" in problem["detail"]


@pytest.mark.parametrize("value", ["a b", "a,,b", "https://x", "x:80", ","])
def test_invalid_names_stop_the_start_with_one_line(value: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ProcessSettings.model_validate({"allowed_hosts": value})
    assert describe(caught.value, ProcessSettings).startswith(f"ALLOWED_HOSTS is {value!r}, which is not allowed")
