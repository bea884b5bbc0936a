"""Who uses Tocsin, as a proxy in front of it has authenticated them."""

from aiohttp import web

from tocsin.kernel.client_address import CLIENT_ADDRESSES
from tocsin.web.settings import SETTINGS


def remote_user_of(request: web.Request) -> str:
    """Return the e-mail address that a trusted proxy states; empty if none does.

    Two headers are one that is no e-mail address: a proxy that adds its own to that of its client does not help it.
    """
    name = request.app[SETTINGS].remote_user_header
    if not name or not request.app[CLIENT_ADDRESSES].is_from_trusted_proxy(request):
        return ""
    return ", ".join(request.headers.getall(name, ())).strip()
