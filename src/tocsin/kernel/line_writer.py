"""Lines of text on standard output and standard error, written by a thread.

Writing a line never waits for a disk or a reader, and never fails: lines wait in a queue, and those that do not fit
into it, or cannot be written, are dropped and counted.
"""

import atexit
import os
import select
import sys
import threading
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Final, TextIO

from tocsin.kernel import clock

MAX_LINES: Final = 10_000
"""How many lines may wait to be written."""
MAX_BYTES: Final = 1_048_576
"""How many bytes may wait to be written, besides as many that are being written."""
NOTICE_SECONDS: Final = 1.0
"""How often writing the number of dropped lines is tried."""
EXIT_SECONDS: Final = 1.0
"""How long an exit waits for lines to be written."""


def _dropped_notice(number: int) -> bytes:
    return b"%d lines were dropped: the output could not be written\n" % number


class LineWriter:
    """Writes lines to a file descriptor; its thread starts with the first line of a process, forked or not."""

    notice: Callable[[int], bytes]
    """Returns the line that is written about the number of dropped lines as soon as writing works again."""

    def __init__(self, descriptor: int | None) -> None:
        """*descriptor* is None if it is closed: every line is dropped then."""
        self.notice = _dropped_notice
        self._descriptor = descriptor
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush, EXIT_SECONDS)

    def _reset(self) -> None:
        self.dropped = 0
        """How many lines this process has dropped."""
        self._condition = threading.Condition()  # reentrant: the garbage collector may log at any time
        self._lines: list[bytes] = []
        self._bytes = 0
        self._writing = False
        self._torn = False
        """Whether the last line was written in part."""
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Queue *line*, which ends with a line feed."""
        with self._condition:
            if len(self._lines) >= MAX_LINES or self._bytes + len(line) > MAX_BYTES:
                self.dropped += 1
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._condition.notify_all()
            if self._thread is None:
                self._start()

    def flush(self, seconds: float) -> bool:
        """Wait at most *seconds* until every queued line is written or dropped; return whether it is."""
        with self._condition:
            return self._condition.wait_for(lambda: self._thread is None or not (self._lines or self._writing), seconds)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="line-writer", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no further thread is allowed, or the interpreter exits; the next line tries again
            self._thread = None

    def _run(self) -> None:
        reported = 0
        while True:
            with self._condition:
                self._writing = False
                self._condition.notify_all()
                while not self._lines:
                    waited = self._condition.wait(NOTICE_SECONDS if self.dropped > reported else None)
                    if not waited and self.dropped > reported:
                        break
                lines, self._lines, self._bytes = self._lines, [], 0
                dropped = self.dropped
                self._writing = True
            lost = self._write_all(lines)
            with self._condition:
                self.dropped += lost
            if not lost and dropped > reported and not self._write_all([self.notice(dropped - reported)]):
                reported = dropped

    def _write_all(self, lines: list[bytes]) -> int:
        """Return how many of *lines* could not be written."""
        if self._torn and lines:
            lines = [b"\n" + lines[0], *lines[1:]]
        left = memoryview(b"".join(lines))
        size = len(left)
        try:
            while left:
                left = left[self._write_some(left) :]
        except OSError:  # no space, no reader, or no such descriptor
            written = size - len(left)
            ends = [0, *accumulate(map(len, lines))]
            last = bisect_right(ends, written) - 1
            if written:
                self._torn = written > ends[last]
            return len(lines) - last
        self._torn = self._torn and not lines
        return 0

    def _write_some(self, data: memoryview) -> int:
        if self._descriptor is None:
            raise OSError
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:  # another process has made the terminal or pipe non-blocking
            select.select([], [self._descriptor], [])
            return 0


def _descriptor(stream: TextIO | None) -> int | None:
    # The number of a closed stream may belong to another file by now.
    return None if stream is None else stream.fileno()


STANDARD_OUTPUT: Final = LineWriter(_descriptor(sys.__stdout__))
STANDARD_ERROR: Final = LineWriter(_descriptor(sys.__stderr__))


def flush(seconds: float) -> None:
    """Wait at most *seconds* until what is queued for either output is written or dropped."""
    ends_at = clock.monotonic() + seconds
    for writer in (STANDARD_OUTPUT, STANDARD_ERROR):
        writer.flush(max(0.0, ends_at - clock.monotonic()))
