"""What the processes of a running Tocsin use: processor time and memory."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from bench.processes import Running
from tocsin.cli.services import SERVICES


def processes(running: Running) -> Iterator[tuple[str, psutil.Process]]:
    """Yield every process with its name: a service's, `supervisor` or `postgres`."""
    yield "supervisor", psutil.Process(running.pid)
    names = {service.module: service.name for service in SERVICES}
    for process in psutil.Process(running.pid).children(recursive=True):
        with suppress(psutil.Error):
            for word in names.keys() & set(process.cmdline()):
                yield names[word], process
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.name() == "postgres" and process.cwd().startswith(str(running.data)):
                yield "postgres", process


def cpu_seconds(running: Running) -> dict[str, float]:
    """Return the processor time since the start, in seconds, by process name."""
    used: dict[str, float] = {}
    for name, process in processes(running):
        with suppress(psutil.Error):
            times = process.cpu_times()
            used[name] = used.get(name, 0.0) + times.user + times.system
    return used


def used_between(before: dict[str, float], after: dict[str, float]) -> float:
    """Return the processor time of all processes between two calls of `cpu_seconds`."""
    return sum(after.values()) - sum(before.values())


def memory_mb(running: Running) -> dict[str, float]:
    """Return the resident memory of each service in megabytes."""
    return {name: process.memory_info().rss / 1024 / 1024 for name, process in processes(running) if name != "postgres"}


def reset_peak_memory(running: Running) -> None:
    """Begin anew to measure what `peak_memory_mb` returns."""
    for name, process in processes(running):
        if name != "postgres":
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mb(running: Running) -> dict[str, float]:
    """Return the largest resident memory of each service since `reset_peak_memory`, in megabytes."""
    found = {}
    for name, process in processes(running):
        if name != "postgres":
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            found[name] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    return found
