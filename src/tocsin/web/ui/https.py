"""Pages of a web service that has a certificate of its own: over https only, and remembered by browsers."""

from http import HTTPStatus
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from tocsin.web.settings import SETTINGS

STRICT_TRANSPORT_SECURITY: Final = "max-age=31536000"


@web.middleware
async def https_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Redirect a browser that opens a page over plain HTTP, where its log-in does not work. Programs go on."""
    is_page = request.method in {hdrs.METH_GET, hdrs.METH_HEAD} and not request.path.startswith("/api/")
    if request.secure or not is_page or "text/html" not in request.headers.get(hdrs.ACCEPT, ""):
        return await handler(request)
    location = f"{request.app[SETTINGS].public_url}{request.rel_url}"
    return web.Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={hdrs.LOCATION: location})


async def add_strict_transport_security(request: web.Request, response: web.StreamResponse) -> None:
    """Let browsers use https only for this host (RFC 6797)."""
    if request.secure:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
