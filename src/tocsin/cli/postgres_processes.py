"""The processes of a PostgreSQL server, identified by their working directory: its data folder.

A process id alone identifies nothing: ids are reused, after a power cut all at once.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import psutil

from tocsin.kernel import clock

if TYPE_CHECKING:
    from pathlib import Path

END_SECONDS: Final = 1.0
"""How long processes may take to end after a signal."""
POLL_SECONDS: Final = 0.02


def read_pid(lock_file: Path, data: Path) -> int | None:
    """Return the process id in a server's lock file, or None if it is not a running server with its data in *data*."""
    try:
        process = psutil.Process(int(lock_file.read_bytes().split()[0]))
    except (FileNotFoundError, IndexError, ValueError, psutil.Error):  # a power cut can leave an empty file, or zeros
        return None
    return process.pid if _belongs_to(process, data) else None


async def end_leftovers(data: Path) -> None:
    """End the processes of a server that was killed.

    They would end by themselves, unless they are stopped or busy; until then they hold the server's shared memory, and
    PostgreSQL refuses to start.
    """
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for process in _processes_of(data):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        deadline = clock.monotonic() + END_SECONDS
        while _processes_of(data) and clock.monotonic() < deadline:
            await clock.sleep(POLL_SECONDS)


def _processes_of(data: Path) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _belongs_to(process, data)]


def _belongs_to(process: psutil.Process, data: Path) -> bool:
    try:
        return process.name() == "postgres" and process.cwd() == str(data)
    except psutil.Error:  # has ended, or belongs to another user
        return False
