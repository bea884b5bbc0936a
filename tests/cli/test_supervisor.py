"""How soon a service that keeps dying is started again."""

import asyncio
import signal
from collections import deque

import pytest

from tocsin.cli import supervisor, up
from tocsin.cli.console import Reporter
from tocsin.cli.services import SERVICES, Endpoint
from tocsin.cli.supervisor import ServiceProcess
from tocsin.kernel import clock

AWAY_SECONDS = 5.0
"""A fault that is over keeps nothing away for longer."""


class Dying(ServiceProcess):
    """A service that becomes ready and is killed, each time after the next of *uptimes*."""

    def __init__(self, *uptimes: float) -> None:
        super().__init__(SERVICES[0], Endpoint(), Reporter(), {})
        self.pauses: list[float] = []
        self.now = 0.0
        self._uptimes = deque(uptimes)

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _run(self) -> int:
        if not self._uptimes:
            raise asyncio.CancelledError
        self.ready.set()
        self.now += self._uptimes.popleft()
        return -signal.SIGKILL


async def pauses_between(monkeypatch: pytest.MonkeyPatch, *uptimes: float) -> list[float]:
    service = Dying(*uptimes)
    monkeypatch.setattr(clock, "sleep", service.sleep)
    monkeypatch.setattr(clock, "monotonic", lambda: service.now)
    with pytest.raises(asyncio.CancelledError):
        await service.supervise()
    return service.pauses


async def test_however_often_a_service_dies_it_is_started_again_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = await pauses_between(monkeypatch, *[0.5] * 20)
    assert pauses == sorted(pauses)
    assert len(set(pauses)) > 1, "it backs off"
    assert max(pauses) <= AWAY_SECONDS


async def test_after_it_ran_for_a_while_the_back_off_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = await pauses_between(monkeypatch, 0.5, 0.5, 0.5, supervisor.STEADY_SECONDS + 1, 0.5)
    assert pauses[3:] == pauses[:2]


async def test_a_line_of_megabytes_is_cut_and_the_next_one_is_read() -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(b"short\n" + b"x" * 3_000_000 + b"\nnext\n" + b"y" * 100_000 + b"\nlast")
    stream.feed_eof()
    lines = [line async for line in supervisor.read_lines(stream)]
    assert lines == [
        b"short",
        b"x" * supervisor.MAX_LINE,
        b"next",
        b"y" * supervisor.MAX_LINE,
        b"last",
    ]


def test_the_database_is_started_again_soon() -> None:
    assert up.DATABASE_POLL_SECONDS + up.DATABASE_BACKOFF_SECONDS <= AWAY_SECONDS
