"""The edge with a certificate, and URLs in the request line."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.containers.stack import ADDRESS, TAG, Stack, beside, docker
from tests.support.ports import free_port
from tests.support.waiting import eventually

pytestmark = pytest.mark.sample("edge", 4)


@asynccontextmanager
async def edge_with_certificate(folder: Path, **environment: str) -> AsyncIterator[dict[int, int]]:
    """Run an edge with a certificate and without replicas; yield the published port of each of its ports."""
    pem = folder / "tls.pem"
    command = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    await beside(run, ["openssl", *command, "-keyout", str(pem), "-out", str(folder / "certificate.pem")])
    pem.write_text(pem.read_text() + (folder / "certificate.pem").read_text())
    pem.chmod(0o644)  # it is copied with its mode, and read by user 99
    ports = {inside: free_port(ADDRESS) for inside in (8001, 8080, 8443)}
    published = [f"--publish={ADDRESS}:{port}:{inside}" for inside, port in ports.items()]
    given = [f"--env={name}={value}" for name, value in {"TLS_CERTIFICATE": "/run/tls.pem", **environment}.items()]
    edge = (await beside(docker, "create", *published, *given, f"tocsin/edge:{TAG}")).strip()
    try:
        await beside(docker, "cp", "--quiet", str(pem), f"{edge}:/run/tls.pem")
        await beside(docker, "start", edge)
        yield ports
    finally:
        await beside(docker, "rm", "--force", "--volumes", edge)


def run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603


async def head_of(
    port: int, target: str, *, host: str, method: str = "GET", tls: bool = False
) -> tuple[int, dict[str, str]]:
    """Return the status and the headers of a response, in lower case, once the edge listens."""
    request = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async def response() -> bytes:
        try:
            reader, writer = await asyncio.open_connection(ADDRESS, port, ssl=unverified() if tls else None)
        except OSError:
            return b""
        writer.write(request.encode())
        try:
            return await reader.read()
        except OSError:
            return b""  # Docker's proxy accepts connections before the edge does
        finally:
            writer.close()

    head = (await eventually(response, timeout=20, every=0.2)).partition(b"\r\n\r\n")[0]
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines)


def unverified() -> ssl.SSLContext:
    """Return a context that accepts the test's own certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize(
    ("public_url", "origin"),
    [
        ("https://pager.example.net:9443/", "https://pager.example.net:9443"),
        ("HTTPS://pager.example.net", "https://pager.example.net"),
        ("http://localhost:8080", "https://localhost:8444"),
    ],
)
async def test_with_a_certificate_plain_http_is_redirected_and_https_is_remembered(
    images: list[str], tmp_path: Path, public_url: str, origin: str
) -> None:
    assert "edge" in images
    hsts, target = "strict-transport-security", "/incidents?q=a%20b&x=//c"
    async with edge_with_certificate(tmp_path, PUBLIC_URL=public_url, TLS_PORT="8444") as ports:
        for port, method, path in (
            (8080, "GET", target),
            (8080, "POST", "/api/v1/alerts"),
            (8001, "POST", "/api/v1/alerts?x"),
        ):
            status, headers = await head_of(ports[port], path, host="localhost:1", method=method)
            assert (status, headers["location"]) == (308, f"{origin}{path}")
            assert hsts not in headers
        # There is no replica.
        for port, path, host in (
            (8080, "/", "edge:8080"),
            (8001, "/api/v1/alerts", "edge"),
            (8001, "/health", "localhost"),
        ):
            assert (await head_of(ports[port], path, host=host))[0] == 503
        for path, host, expected in (
            ("/", "localhost", 503),
            ("/api/v1/alerts", "localhost", 503),
            ("/", "evil.example", 421),
        ):
            status, headers = await head_of(ports[8443], path, host=host, tls=True)
            assert (status, headers[hsts]) == (expected, "max-age=31536000")
        assert (await head_of(ports[8080], "/", host="evil.example"))[0] == 421


async def test_a_url_in_the_request_line_goes_to_the_service_if_its_host_is_ours(stack: Stack) -> None:
    for target, host, status in (
        ("http://localhost:1/health", "localhost:1", 200),
        ("http://localhost:1/health", "localhost", 400),
        ("http://evil.example/health", "localhost", 400),
        ("http://evil.example/health", "evil.example", 421),
    ):
        for service in ("web-ui", "alert-ingestion"):
            assert (await head_of(stack.ports[service], target, host=host))[0] == status, (target, host)
