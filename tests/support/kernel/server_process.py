"""A process with the kernel's routes and two more, for tests that stop it or send it invalid requests."""

import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import structlog
from aiohttp import web

from tests.support.waiting import eventually
from tocsin.kernel import clock, requests
from tocsin.kernel.app import base_app
from tocsin.kernel.health import READINESS
from tocsin.kernel.principal import Scope
from tocsin.kernel.routing import get, post
from tocsin.kernel.server import serve
from tocsin.kernel.settings import ProcessSettings


async def get_after_stop(request: web.Request) -> web.Response:
    """Respond as many seconds after the process begins to stop as the path says."""
    structlog.get_logger(__name__).info("in flight")
    await eventually(lambda: request.app[READINESS].stopping)
    await clock.sleep(float(request.match_info["seconds"]))
    return web.Response(text="finished")


async def post_size(request: web.Request) -> web.Response:
    """Return the size of the body."""
    return web.Response(text=str(len(await requests.read_body(request))))


async def stuck(_app: web.Application) -> AsyncIterator[None]:
    """Delay the stop by STUCK_SECONDS."""
    yield
    await clock.sleep(float(os.environ.get("STUCK_SECONDS", "0")))


async def stuck_thread(_app: web.Application) -> AsyncIterator[None]:
    """Leave a thread behind that never ends, like the lookup of a name."""
    ThreadPoolExecutor(1).submit(threading.Event().wait)
    yield


def create_app(settings: ProcessSettings) -> web.Application:
    app = base_app(settings, service="edge")
    routes = [
        get("/after-stop/{seconds}", get_after_stop, scope=Scope.READ),
        post("/size", post_size, scope=Scope.READ),
    ]
    app.add_routes(routes)
    app.cleanup_ctx.extend([stuck] * 3)
    if "STUCK_THREAD" in os.environ:
        app.cleanup_ctx.append(stuck_thread)
    return app


if __name__ == "__main__":
    serve(create_app, ProcessSettings)
