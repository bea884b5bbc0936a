"""The network address of the client of a request."""

from aiohttp import web


def client_address(request: web.Request) -> str:
    """Return the address of the client; empty if it is not known."""
    return request.remote or ""
