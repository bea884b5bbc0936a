"""The target of a request: what the gateway and the pages do with a URL in the request line."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from tests.fakes.upstream import FakeUpstream
from tests.web.conftest import Client
from tocsin.web.gateway import upstream_url

OTHERS = ["evil.example", "evil.example:80", "incidents.evil.example"]


async def send(client: Client, line: str, *headers: str) -> tuple[int, str]:
    """Send a request with this method and target; return the status and the head and body of the response."""
    reader, writer = await asyncio.open_connection(client.host, client.port)
    lines = "".join(f"{header}\r\n" for header in ("Host: localhost", *headers, "Connection: close"))
    writer.write(f"{line} HTTP/1.1\r\n{lines}\r\n".encode())
    response = (await reader.read()).decode()
    writer.close()
    return int(response.split()[1]), response


@pytest.mark.parametrize("authority", ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]:8080", "LOCALHOST."])
async def test_a_url_in_the_request_line_is_forwarded_by_its_path_and_query(
    door: Client, upstream: FakeUpstream, authority: str
) -> None:
    target = f"http://{authority}/api/v1/incidents/a%20b?q=%C3%A9%2B+x&limit=2"
    status, _ = await send(door, f"GET {target}", "Authorization: Bearer t")
    assert status == 200
    (request,) = upstream.forwarded
    assert request["path"] == "/api/v1/incidents/a%20b?q=%C3%A9%2B+x&limit=2"
    assert request["headers"]["Authorization"] == "Bearer t"
    assert request["headers"]["Host"] == upstream.url.removeprefix("http://")


@pytest.mark.parametrize("host", OTHERS)
async def test_a_url_with_a_foreign_host_is_refused(door: Client, upstream: FakeUpstream, host: str) -> None:
    assert (await send(door, f"GET http://{host}/api/v1/incidents"))[0] == 421
    assert (await send(door, f"GET http://localhost@{host}/api/v1/incidents"))[0] == 400
    assert not upstream.forwarded


@pytest.mark.parametrize(
    "line",
    [
        "GET //evil.example/api/v1/incidents",
        "GET http://localhost//evil.example/api/v1/incidents",
        "GET http://localhost/..//evil.example/api/v1/incidents",
        "GET /http://evil.example/api/v1/incidents",
        "POST http://localhost/api/v1/incidents/correlate",
        "POST http://localhost/api/v1/incidents/x/../correlate",
        "OPTIONS *",
        "CONNECT localhost:443",
    ],
)
async def test_no_other_target_is_forwarded(door: Client, upstream: FakeUpstream, line: str) -> None:
    status, response = await send(door, line)
    assert status == 404
    assert "application/problem+json" in response
    assert not upstream.forwarded


@given(
    base=st.sampled_from(["http://incidents", "http://incidents:8002", "https://[::1]", "http://incidents/prefix"]),
    scheme=st.sampled_from(["http", "https", "evil"]),
    authority=st.sampled_from([*OTHERS, "a@evil.example", "a:b@evil.example:1", "localhost"]),
    path=st.sampled_from(["", "/", "/api/v1/incidents", "//evil.example/x", "/@evil.example"]),
    query=st.sampled_from(["", "?", "?a=//evil.example", "?a=@b"]),
)
def test_the_address_of_a_service_does_not_depend_on_the_url_in_the_request_line(
    base: str, scheme: str, authority: str, path: str, query: str
) -> None:
    target = URL(f"{scheme}://{authority}{path}{query}", encoded=True).relative()
    assert upstream_url(base, target).origin() == URL(base).origin()


PAGES = ["/", "/incidents?q=a", "/nowhere", "//evil.example/x"]


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_has_no_link_to_the_host_in_the_request_line(client: Client, path: str) -> None:
    _, page = await send(client, f"GET http://127.0.0.9:81{path}", "Accept: text/html")
    assert "127.0.0.9" not in page
    assert 'href="//' not in page
    assert 'action="//' not in page


async def test_a_redirect_leads_to_a_path(client: Client) -> None:
    status, response = await send(client, "GET http://127.0.0.9:81/metrics", "Accept: text/html")
    assert status == 303
    assert "\r\nLocation: /analytics\r\n" in response
