"""A process with nothing but the kernel's own and two handlers, for tests that stop it or send it nonsense."""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from tocsin.kernel import clock, requests
from tocsin.kernel.app import base_app
from tocsin.kernel.auth import Scope
from tocsin.kernel.routing import get, post
from tocsin.kernel.server import serve
from tocsin.kernel.settings import ProcessSettings


async def get_slow(request: web.Request) -> web.Response:
    """Answer after as many seconds as the path says."""
    await clock.sleep(float(request.match_info["seconds"]))
    return web.Response(text="finished")


async def post_size(request: web.Request) -> web.Response:
    """Say how long the body is."""
    return web.Response(text=str(len(await requests.read_body(request))))


async def stuck(_app: web.Application) -> AsyncIterator[None]:
    """Take as long to stop as STUCK_SECONDS says."""
    yield
    await clock.sleep(float(os.environ.get("STUCK_SECONDS", "0")))


def create_app(settings: ProcessSettings) -> web.Application:
    app = base_app(settings, service="edge")
    app.add_routes([get("/slow/{seconds}", get_slow, scope=Scope.READ), post("/size", post_size, scope=Scope.READ)])
    app.cleanup_ctx.append(stuck)
    return app


if __name__ == "__main__":
    serve(create_app, ProcessSettings)
