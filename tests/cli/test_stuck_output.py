"""`tocsin up` whose output is full, or has a reader that has stopped or is gone: it runs, and Ctrl-C ends it."""

import os
import select
import signal
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.support.cli.processes import tocsin_up

pytestmark = pytest.mark.slow


def full_disk(stack: ExitStack) -> int:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    stack.callback(os.close, descriptor)
    return descriptor


def stopped_reader(stack: ExitStack) -> int:
    """Return a full pipe that nobody reads."""
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    stack.callback(os.close, writer)
    while select.select([], [writer], [], 0)[1]:
        os.write(writer, b"x" * select.PIPE_BUF)
    return writer


def gone_reader(stack: ExitStack) -> int:
    reader, writer = os.pipe()
    os.close(reader)
    stack.callback(os.close, writer)
    return writer


@pytest.mark.sample("outputs that cannot be written", 2)
@pytest.mark.parametrize("output", [full_disk, stopped_reader, gone_reader])
@pytest.mark.parametrize("arguments", [(), ("--json",)])
async def test_an_output_that_cannot_be_written_ends_and_stops_nothing(
    db_dsn: str, output: Callable[[ExitStack], int], arguments: tuple[str, ...]
) -> None:
    with ExitStack() as stack:
        async with tocsin_up(*arguments, stdout=output(stack), DATABASE_URL=db_dsn, LOG_LEVEL="DEBUG") as up:
            await up.is_ready()
            services = up.services()
            assert len(services) == 5
            services["oncall"].kill()
            await up.is_ready()
            up.signal(signal.SIGINT)
            assert await up.wait_for_exit() == 0
    assert "Traceback" not in up.output
