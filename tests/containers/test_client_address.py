"""The address of a client behind the edge: its own for each client, and never what a client writes."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.support.containers.stack import SERVICES, TAG, Stack, beside, docker, inspect
from tests.support.waiting import eventually
from tocsin.kernel.ids import new_id

FORGED = "198.51.100.66"
LIMIT = 30
"""ADDRESS_FAILURES_PER_MINUTE, by default."""
CLAIMS = {
    "Tocsin-Client-Address": f"{FORGED} {64 * '0'}",
    "X-Real-IP": FORGED,
    "True-Client-IP": FORGED,
}
"""Headers that no mode refuses."""
SEND = """
import json, sys, urllib.error, urllib.request
for url, headers, body in json.loads(sys.argv[1]):
    data = body.encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers})
    try:
        print(urllib.request.urlopen(request, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(error.code)
    except OSError:
        print(0)
"""
Call = tuple[str, dict[str, str], str | None]

pytestmark = pytest.mark.sample("edge", 4)


class Client:
    """A container with an address of its own on the network of the edge."""

    def __init__(self, container: str, network: str) -> None:
        self._container = container
        self.address = str(inspect(container)[0]["NetworkSettings"]["Networks"][network]["IPAddress"])

    async def send(self, *calls: Call) -> list[int]:
        """Send requests one after the other; return the status of each response, 0 for none."""
        program = ("exec", self._container, "python", "-c", SEND, json.dumps(calls))
        return [int(line) for line in (await beside(docker, *program)).split()]


@asynccontextmanager
async def clients(stack: Stack, number: int) -> AsyncIterator[Sequence[Client]]:
    """Run *number* clients of the edge of *stack*."""
    network = f"{stack.project}_tocsin"
    sleeper = ("--network", network, "--entrypoint", "sleep", f"{stack.prefix}/migrate:{TAG}", "600")
    run = ("run", "--detach", "--init", *sleeper)
    made = [(await beside(docker, *run)).strip() for _ in range(number)]
    try:
        yield [Client(container, network) for container in made]
    finally:
        await beside(docker, "rm", "--force", *made)


def log_in(**headers: str) -> Call:
    """Return a log-in that fails, to an account of its own."""
    body = {"email": f"{new_id()}@example.org", "password": "not the password", "token": "x"}
    return "http://edge:8080/api/v1/login", headers, json.dumps(body)


async def remotes(stack: Stack, service: str, path: str) -> list[str]:
    """Return the addresses in the log lines of requests for *path*."""

    def logged() -> list[dict[str, Any]]:
        lines = stack.compose("logs", "--no-log-prefix", service).splitlines()
        events = (json.loads(line[line.index("{") :]) for line in lines if path in line)
        return [event for event in events if event.get("path") == path]

    return [str(event["remote"]) for event in await eventually(logged, timeout=20)]


async def test_clients_behind_the_edge_have_a_limit_of_log_ins_each_and_cannot_choose_their_address(
    images: list[str],
) -> None:
    assert "edge" in images
    stack = Stack(f"tocsin-test-{new_id().hex[-8:]}", {"ACCESS": "closed"})
    try:
        # The other services take no part in a log-in.
        await beside(stack.compose, "up", "--detach", "--wait", "--no-build", "web-ui", "database")
        await beside(stack.compose, "run", "--rm", "--no-deps", "--no-TTY", "migrate")
        await beside(stack.compose, "up", "--detach", "--no-build", "--no-deps", "edge")
        async with clients(stack, 2) as (first, second):

            async def is_ready() -> bool:
                return await first.send(("http://edge:8080/health/ready", {}, None)) == [200]

            await eventually(is_ready, timeout=60, every=0.5)
            assert await first.send(*(log_in() for _ in range(LIMIT)), log_in()) == [401] * LIMIT + [429]
            forged = {**CLAIMS, "X-Forwarded-For": second.address, "Forwarded": f"for={second.address}"}
            assert await first.send(log_in(**forged)) == [429]
            assert await second.send(log_in(), log_in(**forged)) == [401, 401]
            assert set(await remotes(stack, "web-ui", "/api/v1/login")) == {first.address, second.address}

            # The first one becomes a proxy of the company: its own entry counts, and what its client wrote does not.
            again = ("up", "--detach", "--no-build", "--no-deps", "web-ui", "edge")
            await beside(stack.compose, *again, TRUSTED_PROXIES=first.address)
            await eventually(is_ready, timeout=60, every=0.5)
            behind, forged["X-Forwarded-For"] = "203.0.113.9", f"{FORGED}, 203.0.113.9"
            assert await first.send(log_in(**forged)) == [401]
            assert await second.send(log_in(**forged)) == [401]
            assert (await remotes(stack, "web-ui", "/api/v1/login"))[-2:] == [behind, second.address]
    finally:
        await beside(stack.down)


async def test_at_every_port_a_forged_address_is_ignored_and_in_open_mode_a_proxy_is_refused(stack: Stack) -> None:
    ports = {service: f"http://edge:{8080 if service == 'web' else 8001 + n}" for n, service in enumerate(SERVICES)}
    path = f"/nowhere-{new_id()}"
    async with clients(stack, 1) as (client,):
        for service, url in ports.items():
            proxied = [(url + path, {name: FORGED}, None) for name in ("X-Forwarded-For", "Forwarded")]
            assert await client.send((url + path, CLAIMS, None), *proxied) == [404, 403, 403]
            assert set(await remotes(stack, SERVICES[service], path)) == {client.address}
