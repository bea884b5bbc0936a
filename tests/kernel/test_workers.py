"""Background loops: they stop when told, never in mid-round, and pause when what they need is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.support.waiting import eventually
from tocsin.kernel import clock, tasks, workers
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.workers import WORKER_METRICS, Wakeup, WorkerMetrics, worker


class Rounds:
    """A tick that a test holds in its hand."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.answers: list[bool | float | Exception] = []
        """What the next rounds end in; then they find nothing."""
        self.request_ids: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.finished = 0

    async def tick(self, _app: web.Application) -> bool | float:
        self.at.append(clock.monotonic())
        self.request_ids.append(REQUEST_ID.get())
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        self.finished += 1
        return answer


@asynccontextmanager
async def running(
    tick: Callable[[web.Application], Awaitable[bool | float]], interval: float, wakeup: Wakeup | None = None
) -> AsyncIterator[CollectorRegistry]:
    app = web.Application()
    registry = CollectorRegistry()
    app[WORKER_METRICS] = WorkerMetrics.register(registry)
    app.cleanup_ctx.append(worker("rounds", tick, interval=interval, wakeup=wakeup))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        yield registry
    finally:
        await runner.cleanup()


def ticks(registry: CollectorRegistry, outcome: str) -> float | None:
    return registry.get_sample_value("tocsin_worker_ticks_total", {"worker": "rounds", "outcome": outcome})


async def test_a_round_comes_at_once_and_then_every_interval() -> None:
    rounds = Rounds()
    async with running(rounds.tick, 0.1):
        await eventually(lambda: len(rounds.at) == 4)
    gaps = [later - earlier for earlier, later in zip(rounds.at, rounds.at[1:], strict=False)]
    assert all(0.08 < gap < 0.3 for gap in gaps)
    assert len({round(gap, 4) for gap in gaps}) > 1


async def test_one_that_found_something_looks_again_at_once() -> None:
    rounds = Rounds()
    rounds.answers = [True, True, True]
    async with running(rounds.tick, 60):
        await eventually(lambda: rounds.finished == 4)


async def test_one_that_knows_when_it_must_look_again_does_so_then() -> None:
    rounds = Rounds()
    rounds.answers = [0.1]
    async with running(rounds.tick, 60):
        await eventually(lambda: rounds.finished == 2)
    assert 0.09 < rounds.at[1] - rounds.at[0] < 0.5


async def test_one_that_is_woken_looks_at_once() -> None:
    rounds, wakeup = Rounds(), Wakeup()
    async with running(rounds.tick, 60, wakeup):
        await eventually(lambda: rounds.finished == 1)
        wakeup.set()
        await eventually(lambda: rounds.finished == 2)


async def test_being_woken_in_mid_round_is_not_forgotten() -> None:
    rounds, wakeup = Rounds(), Wakeup()
    rounds.gate.clear()
    async with running(rounds.tick, 60, wakeup):
        await eventually(lambda: rounds.at)
        wakeup.set()
        rounds.gate.set()
        await eventually(lambda: rounds.finished == 2)


async def test_stopping_lets_the_round_finish() -> None:
    rounds = Rounds()
    rounds.gate.clear()
    async with running(rounds.tick, 60):
        await eventually(lambda: rounds.at)
        tasks.call_later(0.1, rounds.gate.set)
    assert rounds.finished == 1


async def test_stopping_does_not_wait_for_the_interval() -> None:
    rounds = Rounds()
    async with running(rounds.tick, 60):
        await eventually(lambda: rounds.finished == 1)
        started = clock.monotonic()
    assert clock.monotonic() - started < 1.0
    assert rounds.finished == 1


@pytest.mark.slow
async def test_stopping_does_not_wait_for_a_pause_after_an_error() -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("away") for _ in range(100)]
    async with running(rounds.tick, 60):
        await eventually(lambda: len(rounds.at) == 3)
        started = clock.monotonic()
    assert clock.monotonic() - started < 1.0


async def test_stopping_gives_up_a_round_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "STOP_SECONDS", 0.1)
    rounds = Rounds()
    rounds.gate.clear()
    with capture_logs() as logs:
        async with running(rounds.tick, 60):
            await eventually(lambda: rounds.at)
            started = clock.monotonic()
        assert clock.monotonic() - started < 1.0
    assert "worker did not stop in time" in [entry["event"] for entry in logs]
    assert rounds.finished == 0


@pytest.mark.slow
async def test_after_errors_it_pauses_longer_and_longer_even_when_woken() -> None:
    rounds, wakeup = Rounds(), Wakeup()
    rounds.answers = [UnavailableError("away") for _ in range(4)]
    async with running(rounds.tick, 60, wakeup):
        while len(rounds.at) < 4:
            wakeup.set()
            await clock.sleep(0.005)
    gaps = [later - earlier for earlier, later in zip(rounds.at, rounds.at[1:], strict=False)]
    assert gaps[0] > 0.15
    assert gaps[1] > 1.5 * gaps[0]
    assert gaps[2] > 1.5 * gaps[1]


async def test_no_pause_is_longer_than_the_interval() -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("away") for _ in range(6)]
    async with running(rounds.tick, 0.05):
        await eventually(lambda: rounds.finished >= 1)


async def test_rounds_are_counted_by_how_they_ended() -> None:
    rounds = Rounds()
    rounds.answers = [RuntimeError("a bug"), UnavailableError("away")]
    before = clock.now().timestamp()
    with capture_logs() as logs:
        async with running(rounds.tick, 0.02) as registry:
            assert ticks(registry, "ok") == 0
            assert ticks(registry, "error") == 0
            await eventually(lambda: rounds.finished >= 1)
            assert ticks(registry, "error") == 2
            await eventually(lambda: (ticks(registry, "ok") or 0) >= 1)
            success = registry.get_sample_value("tocsin_worker_last_success_timestamp_seconds", {"worker": "rounds"})
    assert success is not None
    assert before <= success <= clock.now().timestamp()
    levels = [entry["log_level"] for entry in logs if entry["event"] == "worker round failed"]
    assert levels == ["error", "warning"]


async def test_each_round_has_an_id_of_its_own() -> None:
    rounds = Rounds()
    rounds.answers = [True]
    async with running(rounds.tick, 60):
        await eventually(lambda: rounds.finished == 2)
    assert len(set(rounds.request_ids)) == 2
    assert all(request_id.startswith("rounds-") for request_id in rounds.request_ids)
