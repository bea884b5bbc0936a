"""Processes of services, forked from one that has imported them: most of the work of their start is importing.

What `python -m` does otherwise is tested by `tocsin up`, and in containers.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from tests.support.waiting import AN_HOUR, eventually
from tocsin.kernel import randomness

SERVICES: Final = ("alerts", "incidents", "oncall", "notifications", "web")
ROOT: Final = Path(__file__).parents[2]
LARGEST_REQUEST: Final = 2**17


class ForkedProcess:
    """A process that the fork server has started, and which it collects."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid = pid
        self._ended = ended
        self._code: int | None = None

    @property
    def returncode(self) -> int | None:
        """The exit code, or the negative number of the signal that ended it; None while it runs."""
        if self._code is None:
            with suppress(BlockingIOError):
                self._code = int(os.read(self._ended, 16))
                os.close(self._ended)
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """Wait until it exits; return the exit code."""
        await eventually(lambda: self.returncode is not None, timeout=AN_HOUR)
        assert self._code is not None
        return self._code


class ForkServer:
    """A process that has imported the services and forks on request."""

    def __init__(self) -> None:
        self._requests, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._process = subprocess.Popen(  # noqa: S603
                (sys.executable, "-m", __name__, str(other.fileno())),
                pass_fds=[other.fileno()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
            )
        atexit.register(self._close)

    def start(self, module: str, environment: Mapping[str, str], log: BinaryIO) -> ForkedProcess:
        """Run *module* as `python -m` does, with *log* as both of its outputs."""
        ended, end = os.pipe()
        os.set_blocking(ended, False)
        request = json.dumps([module, os.getcwd(), dict(environment)]).encode()  # noqa: PTH109
        socket.send_fds(self._requests, [request], [log.fileno(), end])
        os.close(end)
        return ForkedProcess(int(self._requests.recv(16)), ended)

    def _close(self) -> None:
        self._requests.close()
        self._process.wait()


@functools.cache
def fork_server() -> ForkServer:
    """Return the server of this test worker, which ends with it."""
    return ForkServer()


def serve(requests: socket.socket) -> str | None:
    """Fork at each request: in the new process return the module that it is to run.

    Return None when the worker has exited, after killing what still runs.
    """
    ended: dict[int, int] = {}
    woken, wake = socket.socketpair()
    os.set_blocking(wake.fileno(), False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    while True:
        for ready in select.select((requests, woken), (), ())[0]:
            if ready is woken:
                woken.recv(4096)
                _report(ended)
                continue
            request, files, _, _ = socket.recv_fds(requests, LARGEST_REQUEST, 2)
            if not request:
                for pid in ended:
                    os.kill(pid, signal.SIGKILL)
                return None
            pid = os.fork()
            if not pid:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for inherited in (requests, woken, wake):
                    inherited.close()
                return _become(*json.loads(request), log=files[0], unused=[*files, *ended.values()])
            os.close(files[0])
            ended[pid] = files[1]
            requests.send(str(pid).encode())


def _report(ended: dict[int, int]) -> None:
    """Collect the processes that have exited, and report their exit codes."""
    while ended:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        end = ended.pop(pid)
        with suppress(BrokenPipeError):  # nobody waits for it
            os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(end)


def _become(module: str, directory: str, environment: dict[str, str], *, log: int, unused: list[int]) -> str:
    os.dup2(log, 1)
    os.dup2(log, 2)
    for file in unused:
        os.close(file)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    randomness.seed(int.from_bytes(os.urandom(8)))
    return module


if __name__ == "__main__":
    for service in SERVICES:
        importlib.import_module(f"tocsin.{service}.app")
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as control:
        chosen = serve(control)
    if chosen is not None:
        runpy.run_module(chosen, run_name="__main__", alter_sys=True)
