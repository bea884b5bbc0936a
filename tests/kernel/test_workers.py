"""Background loops: they stop on request, never within a round, and pause after errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import clock, workers
from tocsin.kernel.errors import UnavailableError
from tocsin.kernel.request_id import REQUEST_ID
from tocsin.kernel.workers import WORKER_METRICS, Retries, Wakeup, WorkerMetrics, worker


class Rounds:
    """A tick that a test controls, and the waits between the rounds."""

    def __init__(self) -> None:
        self.started = 0
        self.waits: list[float] = []
        """The seconds of each wait between two rounds, where `skip_waits` makes them pass."""
        self.rests: list[float] = []
        """The seconds of the rest after each successful round, likewise."""
        self.answers: list[bool | float | Exception] = []
        """The results of the next rounds; then they find nothing."""
        self.request_ids: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.finished = 0

    async def tick(self, _app: web.Application) -> bool | float:
        self.started += 1
        self.request_ids.append(REQUEST_ID.get())
        await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        self.finished += 1
        return answer

    def skip_waits(self, monkeypatch: pytest.MonkeyPatch, rounds: int) -> None:
        """Skip the waits of the first *rounds*; the wait after that ends only by its event."""

        async def wait(event: asyncio.Event, seconds: float) -> None:
            self.waits.append(seconds)
            if len(self.waits) >= rounds:
                await event.wait()

        async def rest(_stop: asyncio.Event, seconds: float) -> None:
            self.rests.append(seconds)

        monkeypatch.setattr("tocsin.kernel.workers._wait", wait)
        monkeypatch.setattr("tocsin.kernel.workers._rest", rest)


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


async def test_a_round_runs_immediately_and_then_every_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.skip_waits(monkeypatch, 20)
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: len(rounds.waits) == 20)
    assert all(0.9 * AN_HOUR <= seconds <= AN_HOUR for seconds in rounds.waits)
    assert len(set(rounds.waits)) > 1


async def test_an_interval_passes_by_the_clock() -> None:
    rounds = Rounds()
    async with running(rounds.tick, 0.01):
        await eventually(lambda: rounds.finished >= 3)


async def test_a_round_that_found_something_is_followed_by_another_immediately() -> None:
    rounds = Rounds()
    rounds.answers = [True, True, True]
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: rounds.finished == 4)


async def test_a_round_can_return_when_the_next_one_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.answers = [0.1]
    rounds.skip_waits(monkeypatch, 2)
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: rounds.finished == 2)
    assert rounds.waits[0] == 0.1


async def test_a_loop_rests_for_a_multiple_of_its_round_so_that_a_round_answers_many_wake_ups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds, now = Rounds(), [0.0]
    rounds.answers = [False, False, True, 1.0]
    rounds.skip_waits(monkeypatch, 4)
    durations = [0.002, 0.01, 30.0, 60.0, 0.0]

    async def tick(app: web.Application) -> bool | float:
        now[0] += durations[rounds.finished]
        return await rounds.tick(app)

    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    monkeypatch.setattr(workers, "REST_FACTOR", 4.0)
    async with running(tick, AN_HOUR):
        await eventually(lambda: rounds.finished == 5 and len(rounds.waits) == 4)
    assert rounds.rests == pytest.approx([0.008, 0.04, workers.MAX_REST_SECONDS, 0]), "none where more is to do"


async def test_stopping_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "REST_FACTOR", float("inf"))
    monkeypatch.setattr(workers, "MAX_REST_SECONDS", AN_HOUR)
    rounds = Rounds()
    with capture_logs() as logs:
        async with running(rounds.tick, 0.01):
            await eventually(lambda: rounds.finished == 1)
    assert logs == [], "a worker that does not stop in time is logged, and cancelled"


async def test_a_wake_up_starts_a_round_immediately() -> None:
    rounds, wakeup = Rounds(), Wakeup()
    async with running(rounds.tick, AN_HOUR, wakeup):
        await eventually(lambda: rounds.finished == 1)
        wakeup.set()
        await eventually(lambda: rounds.finished == 2)


async def test_a_wake_up_during_a_round_is_not_lost() -> None:
    rounds, wakeup = Rounds(), Wakeup()
    rounds.gate.clear()
    async with running(rounds.tick, AN_HOUR, wakeup):
        await eventually(lambda: rounds.started)
        wakeup.set()
        rounds.gate.set()
        await eventually(lambda: rounds.finished == 2)


async def test_stopping_lets_the_round_finish() -> None:
    rounds = Rounds()
    rounds.gate.clear()
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: rounds.started)
        asyncio.get_running_loop().call_later(0.1, rounds.gate.set)
    assert rounds.finished == 1


async def test_stopping_does_not_wait_for_the_interval() -> None:
    rounds = Rounds()
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: rounds.finished == 1)
    assert rounds.finished == 1


async def test_stopping_does_not_wait_for_a_pause_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("down") for _ in range(100)]
    rounds.skip_waits(monkeypatch, 3)
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: len(rounds.waits) == 3)
    assert rounds.started == 3


async def test_stopping_cancels_a_round_that_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "STOP_SECONDS", 0.1)
    rounds = Rounds()
    rounds.gate.clear()
    with capture_logs() as logs:
        async with running(rounds.tick, AN_HOUR):
            await eventually(lambda: rounds.started)
    assert "worker did not stop in time" in [entry["event"] for entry in logs]
    assert rounds.finished == 0


async def test_pauses_after_errors_double(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("down") for _ in range(4)]
    rounds.skip_waits(monkeypatch, 4)
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: len(rounds.waits) == 4)
    assert all(0.9 * full <= wait <= 1.1 * full for full, wait in zip((0.2, 0.4, 0.8, 1.6), rounds.waits, strict=True))


async def test_a_wake_up_does_not_end_a_pause_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, wakeup = Rounds(), Wakeup()
    rounds.answers = [UnavailableError("down")]
    rounds.skip_waits(monkeypatch, 1)
    async with running(rounds.tick, AN_HOUR, wakeup):
        await eventually(lambda: rounds.waits)
        wakeup.set()
        for _ in range(10):
            await clock.sleep(0)
        assert rounds.started == 1


async def test_no_pause_is_longer_than_the_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("down") for _ in range(12)]
    rounds.skip_waits(monkeypatch, 12)
    async with running(rounds.tick, 3):
        await eventually(lambda: len(rounds.waits) == 12)
    assert 2.7 <= max(rounds.waits) <= 3.3


async def test_a_loop_with_a_long_interval_also_continues_soon_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds = Rounds()
    rounds.answers = [UnavailableError("down") for _ in range(12)]
    rounds.skip_waits(monkeypatch, 12)
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: len(rounds.waits) == 12)
    assert max(rounds.waits) <= 5


async def test_rounds_are_counted_by_outcome() -> None:
    rounds = Rounds()
    rounds.answers = [RuntimeError("a bug"), UnavailableError("down")]
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
    levels = [entry["log_level"] for entry in logs if entry["event"] == "background loop failed"]
    assert levels == ["error", "warning"]


async def test_each_round_has_an_id_of_its_own() -> None:
    rounds = Rounds()
    rounds.answers = [True]
    async with running(rounds.tick, AN_HOUR):
        await eventually(lambda: rounds.finished == 2)
    assert len(set(rounds.request_ids)) == 2
    assert all(request_id.startswith("rounds-") for request_id in rounds.request_ids)


def test_a_retry_is_kept_until_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    retries = Retries()
    assert retries.seconds_left() is False
    retries.add(2.0)
    retries.add(0.5)
    now = 100.499  # a timer that fired a millisecond early
    retries.drop_due()
    assert retries.seconds_left() == pytest.approx(0.001)
    now = 100.5
    retries.drop_due()
    assert retries.seconds_left() == pytest.approx(1.5)
