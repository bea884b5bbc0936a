"""Who makes a request of the web service in closed mode: whose session it has, else as in every service."""

from typing import Final

from aiohttp import web

from tocsin.kernel.authentication import ClosedAuthenticator, credentials_of
from tocsin.kernel.principal import NOBODY, Principal
from tocsin.web.access.service.identities import Identities
from tocsin.web.ui import session_cookie

IDENTITIES: Final = web.AppKey("IDENTITIES", Identities)


class SessionAuthenticator(ClosedAuthenticator):
    """Finds the principal of a request by its session."""

    async def principal_of(self, request: web.Request) -> Principal:
        """Return the principal, NOBODY for a request that proves none; raises like that of every service.

        `Authorization` takes precedence: a browser sends none by itself.
        """
        scheme, _ = credentials_of(request)
        if scheme:
            return await super().principal_of(request)
        secret = session_cookie.secret_of(request)
        identity = await request.app[IDENTITIES].of_session(secret) if secret else None
        return NOBODY if identity is None else identity.principal
