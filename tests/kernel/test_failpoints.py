"""Failpoints: unarmed they do nothing; armed they fail once, as configured."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tocsin.kernel import clock
from tocsin.kernel.failpoints import POINTS, Failpoint, FaultInjectedError


@pytest.fixture
def point(monkeypatch: pytest.MonkeyPatch) -> Iterator[Failpoint]:
    monkeypatch.delenv("FAILPOINT", raising=False)
    yield Failpoint("test.step")
    POINTS.discard("test.step")


async def step(point: Failpoint, done: list[str]) -> None:
    async with point():
        done.append("done")


async def test_a_point_that_is_not_armed_does_nothing(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    await step(point, done)
    monkeypatch.setenv("FAILPOINT", "another.step:kill")
    await step(point, done)
    assert done == ["done", "done"]


async def test_raise_fails_before_the_step_and_once(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setenv("FAILPOINT", "test.step:raise")
    with pytest.raises(FaultInjectedError, match=r"test\.step"):
        await step(point, done)
    assert done == []
    await step(point, done)
    assert done == ["done"]


async def test_execute_then_raise_fails_after_the_step(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setenv("FAILPOINT", "test.step:execute_then_raise")
    with pytest.raises(FaultInjectedError):
        await step(point, done)
    assert done == ["done"]


async def test_sleep_delays_the_step(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def sleep(seconds: float) -> None:
        done.append(f"slept {seconds} s")

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setenv("FAILPOINT", "test.step:sleep")
    monkeypatch.setenv("FAILPOINT_SLEEP_SECONDS", "0.2")
    await step(point, done)
    assert done == ["slept 0.2 s", "done"]


def test_kill_ends_the_process_before_the_step() -> None:
    program = (
        "import asyncio; from tocsin.kernel.failpoints import Failpoint\n"
        "async def step():\n"
        "    async with Failpoint('test.step')(): print('done')\n"
        "asyncio.run(step())"
    )
    environment = {**os.environ, "FAILPOINT": "test.step:kill"}
    process = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=False)  # noqa: S603
    assert process.returncode == -signal.SIGKILL
    assert b"done" not in process.stdout


async def test_a_step_that_fails_by_itself_raises_its_own_error(
    point: Failpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILPOINT", "test.step:execute_then_raise")

    async def fail() -> None:
        async with point():
            raise LookupError

    with pytest.raises(LookupError):
        await fail()


async def test_an_unknown_kind_is_an_error(point: Failpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAILPOINT", "test.step:explode")
    with pytest.raises(ValueError, match="explode"):
        await step(point, [])


def test_a_failpoint_cannot_be_declared_twice(point: Failpoint) -> None:
    assert point.name in POINTS
    with pytest.raises(ValueError, match="declared twice"):
        Failpoint("test.step")


async def test_a_failpoint_can_be_passed_concurrently(point: Failpoint) -> None:
    done: list[str] = []
    await asyncio.gather(*(step(point, done) for _ in range(10)))
    assert len(done) == 10
