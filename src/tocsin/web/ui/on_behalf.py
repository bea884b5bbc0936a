"""Call the other services on behalf of whoever makes the request."""

from aiohttp import web
from aiohttp.typedefs import Handler

from tocsin.kernel.principal import ON_BEHALF_OF
from tocsin.web.ui.preferences import account_of


@web.middleware
async def on_behalf_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the services know the account of the request; without one, the calls are the web service's own."""
    token = ON_BEHALF_OF.set(account_of(request))
    try:
        return await handler(request)
    finally:
        ON_BEHALF_OF.reset(token)  # one task serves every request of a connection
