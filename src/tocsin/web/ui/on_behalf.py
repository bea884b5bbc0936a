"""Call the other services on behalf of whoever makes the request."""

from aiohttp import web
from aiohttp.typedefs import Handler

from tocsin.kernel.client_address import client_address
from tocsin.kernel.principal import CLIENT_ADDRESS, ON_BEHALF_OF
from tocsin.web.ui.preferences import account_of


@web.middleware
async def on_behalf_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """State the account of the request and its client's address in calls of services; without one, they are our own."""
    account = account_of(request)
    if account is None:
        return await handler(request)
    principal, client = ON_BEHALF_OF.set(account), CLIENT_ADDRESS.set(client_address(request))
    try:
        return await handler(request)
    finally:
        CLIENT_ADDRESS.reset(client)
        ON_BEHALF_OF.reset(principal)  # one task serves every request of a connection
