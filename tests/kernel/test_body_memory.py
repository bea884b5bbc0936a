"""Bodies are admitted by the memory that they need: they wait their turn, and after a while are refused with 503."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any, Final

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import clock
from tocsin.kernel.app import REGISTRY, base_app
from tocsin.kernel.body_memory import MIB, SMALL_BODY, MemoryPool
from tocsin.kernel.principal import Scope
from tocsin.kernel.requests import read_body
from tocsin.kernel.routing import post
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.tasks import cancel, create_task

PATH: Final = "/api/v1/things"
LARGE: Final = b" " * MIB
"""Of the smallest memory, 16 MiB, one such body may be handled at a time, and four may arrive."""
POOLS: Final = ("small", "arriving", "large")


class Held:
    """A server whose handlers wait, once they have read the body, until they are released."""

    def __init__(self, **settings: Any) -> None:
        values = {"body_memory_mib": 16, "body_wait_seconds": 60.0, **settings}
        self.app = base_app(ProcessSettings.model_validate(values), service="edge")
        self.app.add_routes([post(PATH, self.handle, scope=Scope.READ)])
        self.client = TestClient(TestServer(self.app))
        self.released = asyncio.Event()
        self.read = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Held"]:
        """Serve; at the end of the block, expect that no memory is held."""
        async with self.client:
            yield self
            self.released.set()
            await eventually(lambda: not any(self.sample("held_bytes", pool) for pool in POOLS))

    async def handle(self, request: web.Request) -> web.Response:
        body = await read_body(request, limit=8 * MIB)
        self.read += 1
        await self.released.wait()
        return web.json_response({"bytes": len(body)})

    def send(self, data: Any) -> asyncio.Task[ClientResponse]:
        async def sending() -> ClientResponse:
            response = await self.client.post(PATH, data=BytesIO(data) if isinstance(data, bytes) else data)
            await response.read()
            return response

        return create_task(sending(), name="sending")

    def sample(self, name: str, pool: str) -> float:
        return self.app[REGISTRY].get_sample_value(f"tocsin_body_memory_{name}", {"pool": pool}) or 0.0

    async def open(self, declared: int, sent: bytes) -> asyncio.StreamWriter:
        """Send the first bytes of a body by a connection of its own."""
        _, writer = await asyncio.open_connection(self.client.host, self.client.port)
        head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {declared}\r\n\r\n"
        writer.write(head.encode() + sent)
        await writer.drain()
        return writer


async def test_a_body_that_does_not_fit_waits_until_another_has_been_handled() -> None:
    async with Held().running() as held:
        sending = [held.send(LARGE), held.send(LARGE)]
        await eventually(lambda: held.sample("waiting", "large") == 1)
        assert held.read == 1
        held.released.set()
        assert [(await task).status for task in sending] == [200, 200]
        assert held.sample("refused_total", "large") == 0


async def test_a_body_that_waits_too_long_is_refused_with_the_time_to_come_again() -> None:
    async with Held(body_wait_seconds=0.1).running() as held:
        first = held.send(LARGE)
        await eventually(lambda: held.read == 1)
        refused = await held.send(LARGE)
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        problem = await refused.json()
        assert problem["type"] == "urn:tocsin:problem:overloaded"
        assert "16 MiB" in problem["detail"]
        assert held.sample("refused_total", "large") == 1
        held.released.set()
        assert (await first).status == 200
        assert (await held.send(LARGE)).status == 200


async def test_a_small_body_does_not_wait_behind_large_ones() -> None:
    async with Held().running() as held:
        large = [held.send(LARGE) for _ in range(3)]
        await eventually(lambda: held.sample("waiting", "large") == 2)
        small = held.send(b"{}")
        await eventually(lambda: held.read == 2)
        held.released.set()
        assert (await small).status == 200
        assert [(await task).status for task in large] == [200] * 3


async def test_small_bodies_are_bounded_as_well() -> None:
    async with Held(body_wait_seconds=0.1).running() as held:
        answers = [held.send(b" " * SMALL_BODY) for _ in range(30)]
        await eventually(lambda: held.sample("refused_total", "small") > 0)
        held.released.set()
        assert {(await task).status for task in answers} == {200, 503}


async def test_a_body_that_needs_more_than_everything_is_handled_alone() -> None:
    async with Held().running() as held:
        sending = [held.send(b"[" + b"1," * 500_000 + b"1]")]
        await eventually(lambda: held.read == 1)
        assert held.sample("held_bytes", "large") > held.sample("limit_bytes", "large")
        sending.append(held.send(LARGE))
        await eventually(lambda: held.sample("waiting", "large") == 1)
        held.released.set()
        assert [(await task).status for task in sending] == [200, 200]


async def test_chunked_bodies_take_the_memory_of_the_largest_that_may_arrive() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * SMALL_BODY

    async with Held().running() as held:
        sending = [held.send(chunks()), held.send(chunks())]
        await eventually(lambda: held.sample("waiting", "arriving") == 1)
        held.released.set()
        assert [(await task).status for task in sending] == [200, 200]


async def test_clients_that_announce_much_and_send_little_hold_nothing() -> None:
    async with Held().running() as held:
        slow = [await held.open(8 * MIB, b" " * 1_000) for _ in range(20)]
        large = held.send(LARGE)
        await eventually(lambda: held.read == 1)
        held.released.set()
        assert (await large).status == 200
        for writer in slow:
            writer.close()


async def test_a_body_that_stops_arriving_leaves_its_place_to_those_that_wait() -> None:
    async with Held(body_wait_seconds=4.0).running() as held:
        stuck = await held.open(8 * MIB, LARGE)
        await eventually(lambda: held.sample("held_bytes", "arriving") > 0)
        held.released.set()
        large = held.send(LARGE)
        await eventually(lambda: held.sample("waiting", "arriving") == 1)
        assert (await large).status == 200
        stuck.close()


@pytest.mark.parametrize("pool", ["arriving", "large"])
async def test_a_client_that_leaves_gives_back_what_it_holds_or_waits_for(pool: str) -> None:
    async with Held().running() as held:
        size = (4 if pool == "arriving" else 1) * MIB
        first = held.send(b" " * size)
        await eventually(lambda: held.read == 1)
        leaving = held.send(b" " * size)
        await eventually(lambda: held.sample("waiting", pool) == 1)
        await cancel(leaving)
        held.released.set()
        assert (await first).status == 200


sizes = st.integers(1, 40)


@given(st.lists(st.one_of(sizes, st.sampled_from([0, -1])), max_size=60))
async def test_a_pool_lends_in_order_and_never_more_than_it_has_to_more_than_one(steps: list[int]) -> None:
    """A positive step takes so much; 0 gives the oldest loan back; -1 cancels the oldest that waits."""
    pool = MemoryPool(30)
    asked: list[tuple[int, asyncio.Task[None]]] = []
    for step in steps:
        granted = [(size, task) for size, task in asked if task.done()]
        pending = [(size, task) for size, task in asked if not task.done()]
        if step > 0:
            asked.append((step, create_task(pool.take(step, seconds=AN_HOUR), name="take")))
        elif step == 0 and granted:
            pool.give_back(granted[0][0])
            asked.remove(granted[0])
        elif step == -1 and pending:
            await cancel(pending[0][1])
            asked.remove(pending[0])
        await settle()
        done = [task.done() for _, task in asked]
        assert done == sorted(done, reverse=True), "first come, first served"
        held = [size for size, task in asked if task.done()]
        assert pool.held == sum(held)
        assert pool.held <= pool.capacity or len(held) == 1
        assert pool.waiting == len(asked) - len(held)
        following = next((size for size, task in asked if not task.done()), None)
        assert following is None or (held and pool.held + following > pool.capacity), "what fits is lent"
    await cancel(*(task for _, task in asked))


async def settle() -> None:
    """Let every task run that can."""
    for _ in range(4):
        await clock.sleep(0)
