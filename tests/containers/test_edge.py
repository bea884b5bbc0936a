"""The edge: its limits, a replica that fails, and slow clients."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import pytest
from aiohttp import ClientError, ClientTimeout

from tests.support.containers.stack import ADDRESS, TAG, Stack, beside, docker, iptables
from tests.support.ports import free_port
from tests.support.waiting import eventually
from tocsin.kernel import clock, tasks
from tocsin.kernel.ids import new_id
from tocsin.kernel.tasks import create_task

ALERT = {"service": "edge", "severity": "low", "message": "through the edge"}
DRIPS = 250
DIES_ONCE = """
import http.server, os
died = False
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        print("took", self.headers["Idempotency-Key"], self.headers["X-Request-ID"], flush=True)
        global died
        if not died:
            died = True
            self.connection.close(); self.close_connection = True; self.wfile = open(os.devnull, "wb")
            return
        self.send_response(201); self.send_header("Content-Length", "0"); self.end_headers()
http.server.ThreadingHTTPServer(("", 8001), Handler).serve_forever()
"""

pytestmark = pytest.mark.sample("edge", 4)


async def answer_to(stack: Stack, beginning: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes; return the status and the problem document of the edge's response."""
    reader, writer = await asyncio.open_connection(ADDRESS, stack.ports["alert-ingestion"])
    writer.write(beginning)
    async with tasks.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        body = await reader.readexactly(int(length[1])) if length else b""
    writer.close()
    assert b"content-type: application/problem+json" in head.lower()
    return int(head.split()[1]), json.loads(body)


@pytest.mark.parametrize(
    ("status", "beginning"),
    [
        (
            413,
            b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\nContent-Length: 17000000\r\n\r\n"
            + b"x" * 40_000,
        ),
        (
            431,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\n"
            + b"X-Padding: %s\r\n" % (b"x" * 4_000) * 5
            + b"\r\n",
        ),
        (400, b"GET / HTTP/1.1\r\nX-Request-ID: mine\r\n\r\n"),
        (421, b"GET / HTTP/1.1\r\nHost: evil.example\r\nX-Request-ID: mine\r\n\r\n"),
        (421, b"GET /health HTTP/1.1\r\nHost: localhost.evil.example:8001\r\nX-Request-ID: mine\r\n\r\n"),
        (408, b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: mine\r\nContent-Length: 99\r\n\r\nhalf"),
    ],
    ids=["body", "headers", "no host", "foreign host", "foreign host of health", "slow"],
)
async def test_errors_of_the_edge_are_problem_documents_like_those_of_the_services(
    stack: Stack, status: int, beginning: bytes
) -> None:
    answered, problem = await answer_to(stack, beginning)
    assert (answered, problem["status"], problem["request_id"]) == (status, status, "mine")
    assert problem["type"].startswith("urn:tocsin:problem:")
    assert problem["detail"]


@pytest.mark.parametrize(
    ("hosts", "status"),
    [(("localhost", "localhost"), 200), (("localhost", "evil.example"), 400), (("localhost, localhost",), 400)],
)
async def test_of_equal_host_headers_one_is_forwarded_and_different_ones_are_refused(
    stack: Stack, hosts: Sequence[str], status: int
) -> None:
    reader, writer = await asyncio.open_connection(ADDRESS, stack.ports["alert-ingestion"])
    headers = "".join(f"Host: {host}\r\n" for host in hosts)
    writer.write(f"GET /health HTTP/1.1\r\n{headers}\r\n".encode())
    async with tasks.timeout(20):
        # A service refuses a request with two Host headers.
        assert int((await reader.readline()).split()[1]) == status
    writer.close()


async def test_a_request_id_is_created_logged_and_returned(stack: Stack) -> None:
    async with stack.session.post(f"{stack.url('alerts')}/api/v1/alerts", json={}) as response:
        assert response.status == 422, "a request that succeeds is not logged by default"
        made = response.headers["X-Request-ID"]
    await eventually(lambda: made in stack.compose("logs", "alert-ingestion"))
    given = str(new_id())
    async with stack.session.get(f"{stack.url('web')}/health/ready", headers={"X-Request-ID": given}) as response:
        assert response.headers["X-Request-ID"] == given


async def test_without_a_replica_the_edge_returns_503_with_retry_after(stack: Stack) -> None:
    (container,) = stack.containers("notification-service")
    url = f"{stack.url('notifications')}/api/v1/notifications"
    await beside(docker, "pause", container)
    try:

        async def refused() -> str:
            # Until the health check fails, a request waits for the paused replica.
            try:
                async with stack.session.get(url, timeout=ClientTimeout(total=1)) as response:
                    assert (response.status, response.headers.get("Retry-After")) == (503, "1")
                    return await response.text()
            except TimeoutError:
                return ""

        assert json.loads(await eventually(refused, timeout=30))["title"] == "Unavailable"
    finally:
        await beside(docker, "unpause", container)
    await stack.ready("notifications")


@asynccontextmanager
async def edge_before(program: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Run the edge with two replicas that execute *program*; yield its address and the replicas."""
    name, port = f"tocsin-test-edge-{new_id().hex[-8:]}", free_port(ADDRESS)
    made: list[str] = []
    await beside(docker, "network", "create", name)
    try:
        for _ in range(2):
            replica = ("--network", name, "--network-alias", "alert-ingestion", "--entrypoint", "python")
            made.append(
                (await beside(docker, "run", "--detach", *replica, f"tocsin/migrate:{TAG}", "-c", program)).strip()
            )
        publish = ("--network", name, "--publish", f"{ADDRESS}:{port}:8001")
        made.append((await beside(docker, "run", "--detach", *publish, f"tocsin/edge:{TAG}")).strip())
        yield f"http://{ADDRESS}:{port}", made[:2]
    finally:
        if made:
            await beside(docker, "rm", "--force", "--volumes", *made)
        await beside(docker, "network", "rm", name)


@pytest.mark.parametrize("key", [None, "the-callers-own"])
async def test_a_post_to_a_dying_replica_is_retried_with_the_same_key(stack: Stack, key: str | None) -> None:
    async with edge_before(DIES_ONCE) as (url, replicas):

        async def ready() -> bool:
            try:
                async with stack.session.get(f"{url}/health") as response:
                    return response.status == 200
            except ClientError:
                return False

        await eventually(ready, timeout=20, every=0.2)
        headers = {"Idempotency-Key": key} if key else {}
        async with stack.session.post(f"{url}/api/v1/alerts", json=ALERT, headers=headers) as response:
            assert response.status == 201
        taken = [line.split()[1:] for replica in replicas for line in docker("logs", replica).splitlines()]
    keys, ids = {one[0] for one in taken}, {one[1] for one in taken}
    assert (len(taken), len(keys), len(ids)) == (3, 1, 1)  # each replica failed once
    assert keys == {key} or key is None


async def test_slow_clients_delay_no_other_request_and_are_disconnected(stack: Stack) -> None:
    stop, cut_off = asyncio.Event(), Counter[bytes]()

    async def drip(beginning: bytes) -> None:
        while not stop.is_set():
            reader, writer = await asyncio.open_connection(ADDRESS, stack.ports["alert-ingestion"])
            writer.write(beginning)
            answer = create_task(reader.readline(), name="answer")
            while not answer.done():
                writer.write(b"x")
                await clock.sleep(0.5)  # the slowness that the edge must cut off
            writer.close()
            cut_off[(await answer).partition(b" ")[2][:3]] += 1

    header = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    body = b"POST /api/v1/alerts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n"
    async with tasks.task_group() as dripping:
        for beginning in (header, body) * DRIPS:
            dripping.create_task(drip(beginning))
        await eventually(lambda: cut_off.total() > DRIPS, timeout=60)
        for _ in range(5):
            await stack.post("alerts", "/api/v1/alerts", ALERT)
        stop.set()
    assert set(cut_off) == {b"408"}


async def test_an_unresponsive_name_server_blocks_no_service(stack: Stack) -> None:
    (container,), (database,) = stack.containers("alert-ingestion"), stack.containers("database")
    pid = docker("inspect", "--format", "{{.State.Pid}}", container).strip()
    rule = ("OUTPUT", "--protocol", "udp", "--destination", "127.0.0.11", "--jump", "DROP")
    await beside(iptables, pid, "--insert", *rule)
    try:
        await beside(docker, "restart", database)
        answers = [float(await beside(docker, "exec", container, "python", "-c", ASK_ITSELF)) for _ in range(9)]
        # libpq's own name resolution would block the process for a second at each attempt to connect.
        assert median(answers) < 0.8
    finally:
        await beside(iptables, pid, "--delete", *rule)
    await stack.ready()


ASK_ITSELF = """
import time, urllib.request
started = time.monotonic()
urllib.request.urlopen("http://127.0.0.1:8001/health", timeout=5).read()
print(time.monotonic() - started)
"""
