"""Lines on a descriptor that is full, stuck or gone: nobody waits, and what is dropped is counted.

A writer lives as long as its process, and so does its descriptor: the tests leave theirs open.
"""

import fcntl
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import line_writer
from tocsin.kernel.line_writer import LineWriter

LINE = b"x" * 99 + b"\n"


class Pipe:
    """A pipe, and a writer of lines into it."""

    def __init__(self) -> None:
        self.reader: int | None
        self.reader, self.descriptor = os.pipe()
        self.writer = LineWriter(self.descriptor)

    def read(self) -> bytes:
        assert self.reader is not None
        return os.read(self.reader, 2**20)

    def close(self) -> None:
        """Close the reader's end, if it is open."""
        if self.reader is not None:
            os.close(self.reader)
            self.reader = None

    def is_full(self) -> bool:
        return not select.select([], [self.descriptor], [], 0)[1]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    one = Pipe()
    yield one
    one.close()


async def stuck(pipe: Pipe) -> int:
    """Fill the pipe and the queue; return the number of lines that were not dropped."""
    while not pipe.is_full():
        pipe.writer.write(LINE)
    written = 0
    while not pipe.writer.dropped:
        pipe.writer.write(LINE)
        written += 1
    return written


def drain(pipe: Pipe, until: bytes) -> bytes:
    text = b""
    while until not in text:
        text += pipe.read()
    return text


def test_lines_are_written_in_order(pipe: Pipe) -> None:
    lines = [b"%d\n" % number for number in range(1_000)]
    for line in lines:
        pipe.writer.write(line)
    assert pipe.writer.flush(AN_HOUR)
    assert pipe.read() == b"".join(lines)


async def test_a_reader_that_stops_holds_nobody_up_and_later_sees_how_many_lines_are_missing(pipe: Pipe) -> None:
    await stuck(pipe)
    for _ in range(5):
        pipe.writer.write(LINE)
    assert not pipe.writer.flush(0.0)
    dropped = pipe.writer.dropped
    text = drain(pipe, until=b"dropped")
    *lines, notice = text.splitlines()
    assert {len(line) for line in lines} == {99}
    assert notice == b"%d lines were dropped: the output could not be written" % dropped
    pipe.writer.write(b"next\n")
    assert drain(pipe, until=b"next\n").endswith(b"next\n")
    assert pipe.writer.dropped == dropped


async def test_what_waits_is_bounded_in_lines_and_in_bytes(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_writer, "MAX_LINES", 10)
    assert await stuck(pipe) <= 11
    monkeypatch.setattr(line_writer, "MAX_LINES", 10_000)
    monkeypatch.setattr(line_writer, "MAX_BYTES", 10)
    dropped = pipe.writer.dropped
    pipe.writer.write(LINE)
    assert pipe.writer.dropped == dropped + 1


def test_on_a_full_disk_every_line_is_dropped_and_counted() -> None:
    writer = LineWriter(os.open("/dev/full", os.O_WRONLY))
    for _ in range(5):
        writer.write(LINE)
    assert writer.flush(AN_HOUR)
    assert writer.dropped == 5


def test_a_disk_with_space_again_gets_the_number_of_dropped_lines_without_waiting_for_another_line(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    done = run(
        "import resource, signal, threading\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "reported, notice = threading.Event(), STANDARD_OUTPUT.notice\n"
        "def report(number):\n"
        "    reported.set()\n"
        "    return notice(number)\n"
        "STANDARD_OUTPUT.notice = report\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "STANDARD_OUTPUT.write(b'first\\n')\n"
        "STANDARD_OUTPUT.flush(60)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))\n"
        "STANDARD_OUTPUT.write(b'second\\n')\n"  # four bytes of it fit
        "STANDARD_OUTPUT.flush(60)\n"
        "assert STANDARD_OUTPUT.dropped == 1\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "assert reported.wait(60)\n"
        "STANDARD_OUTPUT.write(b'third\\n')\n",
        output=log,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert log.read_bytes() == b"first\nseco\n1 lines were dropped: the output could not be written\nthird\n"


def test_a_reader_that_is_gone_is_no_error(pipe: Pipe) -> None:
    pipe.close()
    pipe.writer.write(LINE)
    assert pipe.writer.flush(AN_HOUR)
    assert pipe.writer.dropped == 1


async def test_a_descriptor_that_another_process_made_non_blocking_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.descriptor, False)
    fcntl.fcntl(pipe.descriptor, fcntl.F_SETPIPE_SZ, 4096)
    for _ in range(1_000):
        pipe.writer.write(LINE)
    await eventually(pipe.is_full)
    text = b""
    while len(text) < 1_000 * len(LINE):
        text += pipe.read()
    assert text == 1_000 * LINE
    assert pipe.writer.dropped == 0


def test_a_closed_descriptor_drops_every_line() -> None:
    writer = LineWriter(None)
    writer.write(LINE)
    assert writer.flush(AN_HOUR)
    assert writer.dropped == 1


def run(program: str, *, closed: bool = False, output: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run *program*, its standard output closed, or a file, or returned."""
    text = "import gc, os, sys\nfrom tocsin.kernel.line_writer import STANDARD_OUTPUT\n" + program
    command = [sys.executable, "-c", text]
    if closed:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    with output.open("wb") if output is not None else nullcontext(subprocess.PIPE) as stdout:
        return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False)  # noqa: S603


def test_a_process_that_fails_writes_its_last_lines() -> None:
    done = run("STANDARD_OUTPUT.write(b'last\\n')\n1 / 0")
    assert (done.returncode, done.stdout) == (1, b"last\n")
    assert b"ZeroDivisionError" in done.stderr


def test_a_forked_process_writes_its_own_lines_only() -> None:
    done = run(
        "STANDARD_OUTPUT.write(b'parent\\n')\n"
        "STANDARD_OUTPUT.flush(60)\n"
        "if os.fork() == 0:\n"
        "    STANDARD_OUTPUT.write(b'child\\n')\n"
        "    sys.exit()\n"
        "os.wait()\n"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"parent\nchild\n", b"")


def test_a_line_written_by_the_garbage_collector_within_another_is_no_deadlock() -> None:
    done = run(
        "class Noisy:\n"
        "    def __del__(self):\n"
        "        STANDARD_OUTPUT.write(b'collected\\n')\n"
        "gc.set_threshold(1)\n"
        "for _ in range(500):\n"
        "    noisy = Noisy()\n"
        "    noisy.itself = noisy\n"
        "    STANDARD_OUTPUT.write(b'line\\n')\n"
        "gc.collect()\n"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"line\n") == 500
    assert done.stdout.count(b"collected\n") >= 499


def test_a_process_started_without_standard_output_never_writes_into_another_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    program = f"file = open({str(file)!r}, 'wb')\nassert file.fileno() == 1\nSTANDARD_OUTPUT.write(b'line\\n')"
    done = run(program, closed=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert file.read_bytes() == b""
