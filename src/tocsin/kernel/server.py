"""Run one service until SIGTERM, then shut down gracefully: readiness off, finish requests, flush traces, exit."""

import asyncio
import gc
import os
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
import uvloop
from aiohttp import web

from tocsin.kernel import build_info, clock, line_writer, logs, tasks
from tocsin.kernel.connections import CONNECTIONS
from tocsin.kernel.errors import ConfigurationError
from tocsin.kernel.health import READINESS, SERVICE
from tocsin.kernel.loopback import loopback_of
from tocsin.kernel.network_exposure import start_refusal
from tocsin.kernel.settings import ProcessSettings, load
from tocsin.kernel.tasks import create_task
from tocsin.kernel.tls import TLS_LISTENER
from tocsin.kernel.tracing import TRACING

S = TypeVar("S", bound=ProcessSettings)
log = structlog.get_logger(__name__)
MAX_REQUEST_LINE: Final = 16_384
"""Bytes of the first line of a request: as many as the edge allows; a list of incidents may name a hundred ids."""
FINISH_SECONDS: Final = 3.0
"""How long requests in flight may take after the listening socket has closed."""
GC_THRESHOLDS: Final = (20_000, 20, 50)
"""A request in flight has some hundred objects and hardly any reference cycle. At Python's default of one collection
per 700 new objects, the collector would traverse them many times a second: an eighth of the CPU time under load."""
CLEANUP_SECONDS: Final = 4.5
"""How long requests, workers and connections may take to end."""
FLUSH_SECONDS: Final = 1.0
"""How long exporting the last spans may take, within SHUTDOWN_SECONDS."""
SHUTDOWN_SECONDS: Final = 4.8
"""How long cleanup and flush may take together. A supervisor kills the process after five seconds."""
LAST_LINES_SECONDS: Final = 0.15
"""How long writing the last log lines may take if SHUTDOWN_SECONDS are over; else for the rest of these, at most a
second."""


def serve(create_app: Callable[[S], web.Application], settings_type: type[S]) -> None:
    """Read the settings, run the service, exit with 0 after SIGTERM or SIGINT.

    Exit with 78 (EX_CONFIG) and a line for each setting that is wrong or would let other machines in.
    """
    settings = load(settings_type)
    if refusal := start_refusal(settings):
        sys.stderr.write(refusal + "\n")
        raise SystemExit(os.EX_CONFIG)
    try:
        app = create_app(settings)
    except ConfigurationError as exc:
        sys.stderr.write(f"{exc}\n")
        raise SystemExit(os.EX_CONFIG) from exc
    instance = settings.instance or f"{socket.gethostname()}:{os.getpid()}"
    logs.configure(service=app[SERVICE], level=settings.log_level, instance=instance)
    try:
        TRACING.start(service=app[SERVICE], version=build_info.VERSION, instance=instance)
    except ValueError as exc:
        sys.stderr.write(f"The OTEL_ variables are not valid: {exc}\n")
        raise SystemExit(os.EX_CONFIG) from exc
    try:
        uvloop.run(_run(app, settings))
    except _CannotListenError as exc:
        sys.stderr.write(
            f"{app[SERVICE]} cannot listen on {exc}. "
            "Stop what uses the port, or set PORT, TLS_PORT or BIND_ADDRESS to another.\n"
        )
        raise SystemExit(1) from exc


class _CannotListenError(Exception):
    """The address is in use, or this machine does not have it."""


def _listeners(app: web.Application, settings: ProcessSettings) -> list[tuple[str, int, ssl.SSLContext | None]]:
    """Return the addresses and ports to listen on. With TLS, plain HTTP does not leave this machine."""
    tls = app.get(TLS_LISTENER)
    if tls is None:
        return [(settings.bind_address, settings.port, None)]
    return [
        (loopback_of(settings.bind_address), settings.port, None),
        (settings.bind_address, tls.port, tls.context),
    ]


async def _listen(
    app: web.Application, server: web.Server, address: str, port: int, tls: ssl.SSLContext | None
) -> asyncio.Server:
    try:
        return await app[CONNECTIONS].listen(server, address, port, tls=tls)
    except OSError as exc:
        # uvloop's message is long; for a name that does not resolve, errno is negative.
        reason = os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror
        msg = f"{address}:{port} ({reason})"
        raise _CannotListenError(msg) from exc


async def _run(app: web.Application, settings: ProcessSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # aiohttp waits for the time-out twice; a request that hangs must leave the workers time to stop.
    # By default it decompresses bodies: an invalid one closes the connection without notice, which fails the next
    # request that a proxy sends over it.
    runner = web.AppRunner(
        app,
        access_log=None,
        auto_decompress=False,
        keepalive_timeout=settings.idle_timeout_seconds,
        max_line_size=MAX_REQUEST_LINE,
        shutdown_timeout=FINISH_SECONDS / 2,
    )
    try:
        await runner.setup()
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # full collections skip objects that live as long as the process
        assert runner.server is not None  # noqa: S101 # since setup
        listening = [
            await _listen(app, runner.server, address, port, tls) for address, port, tls in _listeners(app, settings)
        ]
        addresses = [listener.getsockname() for each in listening for listener in each.sockets]
        log.info("listening", addresses=[f"{address[0]}:{address[1]}" for address in addresses])
        await stop.wait()
        log.info("stopping")
        app[READINESS].stopping = True
        await clock.sleep(settings.drain_seconds)
        for each in listening:
            each.close()
    finally:
        exit_at = clock.monotonic() + SHUTDOWN_SECONDS
        # Not a time limit: aiohttp catches a cancellation, and goes on with the next cleanup.
        cleanup = create_task(runner.cleanup(), name="cleanup")
        finished, _ = await tasks.wait({cleanup}, seconds=CLEANUP_SECONDS)
        if finished:
            await cleanup
        else:
            log.warning("stopped before all work was finished; interrupted work is retried when its lease ends")
        if TRACING.on:
            await asyncio.to_thread(TRACING.stop, min(FLUSH_SECONDS, max(0.0, exit_at - clock.monotonic())))
    log.info("stopped")
    line_writer.flush(max(LAST_LINES_SECONDS, min(1.0, exit_at - clock.monotonic())))
    # The interpreter would wait for unfinished tasks, and for threads that look up a name.
    os._exit(os.EX_OK)
