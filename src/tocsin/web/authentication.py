"""Who makes a request of the web service in closed mode: whose session or token it has."""

from dataclasses import replace
from typing import Final

from aiohttp import web

from tocsin.kernel.authentication import BEARER, ClosedAuthenticator, Tokens, credentials_of
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.middlewares import SAFE_METHODS
from tocsin.kernel.principal import NOBODY, Principal
from tocsin.kernel.service_keys import SCHEME
from tocsin.web.access.domain.bearer_secrets import PROXY_SESSION
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.sessions import is_same_address
from tocsin.web.access.service import DEPS, Deps
from tocsin.web.access.service.identification import identify_session, identify_token
from tocsin.web.ui import session_cookie
from tocsin.web.ui.remote_user import remote_user_of

IDENTITY: Final = web.RequestKey("IDENTITY", Identity)
"""The account of the request, and its session or token."""


class SessionAuthenticator(ClosedAuthenticator):
    """Finds the principal of a request by its session or its token, else as every service does."""

    async def principal_of(self, request: web.Request) -> Principal:
        """Return the principal, NOBODY for a request that proves none; raises like that of every service.

        `Authorization` takes precedence: a browser sends none by itself. A proxy that authenticates people may send its
        own there, which is none of ours.
        """
        scheme, token = credentials_of(request)
        if scheme == BEARER:
            identity = await identify_token(request.app[DEPS], token)
        elif scheme == SCHEME or (scheme and not remote_user_of(request)):
            return await super().principal_of(request)
        else:
            identity = await _identify_by_session(request)
        if identity is None:
            return NOBODY
        request[IDENTITY] = identity
        return identity.principal

    def has_credential(self, request: web.Request) -> bool:
        """Return whether the request has a token, valid or not, or requests a change in a session.

        Other requests of a session do not count: a page that stays open after its end repeats them.
        """
        is_change = request.method not in SAFE_METHODS and bool(session_cookie.secret_of(request))
        return is_change or super().has_credential(request)


async def _identify_by_session(request: web.Request) -> Identity | None:
    """Return the identity of the session; None if a trusted proxy states another account than the session's."""
    secret, user = session_cookie.secret_of(request), remote_user_of(request)
    if not user and secret.startswith(PROXY_SESSION):
        return None
    identity = await identify_session(request.app[DEPS], secret)
    if identity is None or (user and not is_same_address(user, identity.email)):
        return None
    return replace(identity, by_proxy=secret.startswith(PROXY_SESSION))


class AccountTokens(Tokens):
    """The tokens of accounts, for services that ask whose a token is."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps

    async def identify(self, token: str) -> Principal | None:
        """Return the principal of *token*, None if it is not valid. Raise UnavailableError."""
        identity = await identify_token(self._deps, token)
        return None if identity is None else identity.principal


def identity_of(request: web.Request) -> Identity:
    """Return the account of the request. Raise NotFoundError for one of our services, which has none."""
    identity: Identity | None = request.get(IDENTITY)
    if identity is None:
        msg = "The caller has no account."
        raise NotFoundError(msg)
    return identity
