"""Run one service until it is told to stop, then stop it well: readiness off, finish, flush, exit."""

import asyncio
import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Final, TypeVar

import structlog
import uvloop
from aiohttp import web

from tocsin.kernel import clock, logs
from tocsin.kernel.health import READINESS, SERVICE
from tocsin.kernel.settings import ProcessSettings, load

S = TypeVar("S", bound=ProcessSettings)
log = structlog.get_logger(__name__)
FINISH_SECONDS: Final = 3.0
"""How long requests in flight may still take after the listening socket has closed."""


def serve(create_app: Callable[[S], web.Application], settings_type: type[S]) -> None:
    """Read the settings, run the service, exit with 0 after SIGTERM or SIGINT."""
    settings = load(settings_type)
    app = create_app(settings)
    logs.configure(service=app[SERVICE], level=settings.log_level, instance=settings.instance)
    try:
        uvloop.run(_run(app, settings))
    except OSError as exc:
        if exc.errno not in {errno.EADDRINUSE, errno.EACCES, errno.EADDRNOTAVAIL}:
            raise
        sys.stderr.write(
            f"{app[SERVICE]} cannot listen on {settings.bind_address}:{settings.port} ({os.strerror(exc.errno)}). "
            "Stop what uses the port, or set PORT to another.\n"
        )
        raise SystemExit(1) from exc


async def _run(app: web.Application, settings: ProcessSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=FINISH_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.bind_address, settings.port, backlog=1024)
        await site.start()
        log.info("listening", addresses=[f"{address[0]}:{address[1]}" for address in runner.addresses])
        await stop.wait()
        log.info("stopping")
        app[READINESS].stopping = True
        await clock.sleep(settings.drain_seconds)
    finally:
        await runner.cleanup()
    log.info("stopped")
