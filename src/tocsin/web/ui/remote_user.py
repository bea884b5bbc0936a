"""The person that a proxy in front of Tocsin has authenticated."""

from aiohttp import web

from tocsin.kernel.client_address import CLIENT_ADDRESSES
from tocsin.web.settings import SETTINGS


def remote_user_of(request: web.Request) -> str:
    """Return the e-mail address that a trusted proxy states; empty if none does.

    Several headers are joined to a text that is no e-mail address, so that a client gains nothing from a proxy that
    keeps the client's header beside its own.
    """
    name = request.app[SETTINGS].remote_user_header
    if not name or not request.app[CLIENT_ADDRESSES].is_from_trusted_proxy(request):
        return ""
    return ", ".join(request.headers.getall(name, ())).strip()
