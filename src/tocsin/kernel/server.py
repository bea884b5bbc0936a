"""Run one service until it is told to stop, then stop it well: readiness off, finish, flush, exit."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
import uvloop
from aiohttp import web

from tocsin.kernel import build_info, clock, logs, tasks
from tocsin.kernel.health import READINESS, SERVICE
from tocsin.kernel.settings import ProcessSettings, load
from tocsin.kernel.tracing import TRACING

S = TypeVar("S", bound=ProcessSettings)
log = structlog.get_logger(__name__)
FINISH_SECONDS: Final = 3.0
"""How long requests in flight may still take after the listening socket has closed."""
GC_THRESHOLDS: Final = (20_000, 20, 50)
"""Every request in flight holds some hundred objects, and next to no cycle: Python's 700 new objects between two
collections would have the collector walk them all many times a second, an eighth of ingestion's work under load."""
EXIT_SECONDS: Final = 4.5
"""How long everything may still take then: requests, workers, connections."""
SPANS_SECONDS: Final = 1.0
"""How long sending the last spans may take, within LAST_SECONDS."""
LAST_SECONDS: Final = 4.8
"""How long all of it may take. A supervisor kills after five seconds."""


def serve(create_app: Callable[[S], web.Application], settings_type: type[S]) -> None:
    """Read the settings, run the service, exit with 0 after SIGTERM or SIGINT."""
    settings = load(settings_type)
    app = create_app(settings)
    instance = settings.instance or f"{socket.gethostname()}:{os.getpid()}"
    logs.configure(service=app[SERVICE], level=settings.log_level, instance=instance)
    try:
        TRACING.start(service=app[SERVICE], version=build_info.VERSION, instance=instance)
    except ValueError as exc:
        sys.stderr.write(f"Traces cannot be sent as the OTEL_ variables say: {exc}\n")
        raise SystemExit(os.EX_CONFIG) from exc
    try:
        uvloop.run(_run(app, settings))
    except _CannotListenError as exc:
        sys.stderr.write(
            f"{app[SERVICE]} cannot listen on {settings.bind_address}:{settings.port} ({exc}). "
            "Stop what uses the port, or set PORT or BIND_ADDRESS to another.\n"
        )
        raise SystemExit(1) from exc


class _CannotListenError(Exception):
    """The address is taken, or is none of this machine's."""


async def _run(app: web.Application, settings: ProcessSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # aiohttp waits this long twice; one request that hangs must leave the workers their time to stop.
    # And left to itself it unpacks bodies: one that cannot be unpacked ends the connection unannounced, which fails the
    # next request that a proxy sends over it.
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=FINISH_SECONDS / 2)
    try:
        await runner.setup()
        gc.collect()
        gc.set_threshold(*GC_THRESHOLDS)
        gc.freeze()  # what lives as long as the process need not be looked at in every full collection
        site = web.TCPSite(runner, settings.bind_address, settings.port, backlog=1024)
        try:
            await site.start()
        except OSError as exc:
            # uvloop's own text is long; a name that does not resolve has a number below zero.
            raise _CannotListenError(os.strerror(exc.errno) if exc.errno and exc.errno > 0 else exc.strerror) from exc
        log.info("listening", addresses=[f"{address[0]}:{address[1]}" for address in runner.addresses])
        await stop.wait()
        log.info("stopping")
        app[READINESS].stopping = True
        await clock.sleep(settings.drain_seconds)
    finally:
        exit_at = clock.monotonic() + LAST_SECONDS
        try:
            async with tasks.timeout(EXIT_SECONDS):
                await runner.cleanup()
        except TimeoutError:
            log.warning("stopped before all work was finished; what was cut off comes back when its lease ends")
        if TRACING.on:
            await asyncio.to_thread(TRACING.stop, min(SPANS_SECONDS, max(0.0, exit_at - clock.monotonic())))
    log.info("stopped")
