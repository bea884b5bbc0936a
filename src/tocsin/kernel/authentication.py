"""Find the principal of a request.

In open mode, that is one of our services, by its signature, or the open principal, who may do everything but call the
endpoints for services. In closed mode, it is a service, the principal for whom the web service makes a signed call, or
the account of a token; else nobody.
"""

import hashlib
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import hdrs, web

from tocsin.kernel import clock
from tocsin.kernel.auth import PRINCIPAL, open_principal, service_principal
from tocsin.kernel.errors import ConfigurationError, UnavailableError
from tocsin.kernel.principal import NOBODY, UNCHECKED, UNSIGNED, Principal, PrincipalKind, Scope
from tocsin.kernel.service_keys import SCHEME, ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.tasks import cancel, create_task

BEARER: Final = "Bearer"
"""The authentication scheme of tokens (RFC 6750)."""
FRESH_SECONDS: Final = 25.0
"""How long a service relies on what it was told about a token. A revoked one works, with a stream, for at most 30 s."""
STALE_SECONDS: Final = 300.0
"""How long it does while the web service is unavailable: acknowledging must go on."""
STREAM_CHECK_SECONDS: Final = 4.0
"""How often the log-in of an open stream is checked: a stream ends at most five seconds after its log-in."""
MAX_TOKENS: Final = 1_000
"""Tokens that a process remembers, valid or not."""


class Authenticator:
    """Finds the principal of a request in open mode: whoever reaches it may do everything but act as a service."""

    def __init__(self, keys: ServiceKeys) -> None:
        self._keys = keys

    async def principal_of(self, request: web.Request) -> Principal:
        """Return the principal. Raise UnauthenticatedError if the request has a signature that is not valid."""
        scheme, token = credentials_of(request)
        if not self._keys.checks:
            return open_principal(request, UNCHECKED)
        if scheme != SCHEME:
            return open_principal(request, UNSIGNED)
        self._keys.caller(token)
        return service_principal(request)

    def has_credential(self, request: web.Request) -> bool:
        """Return whether the request claims to be somebody's, valid or not."""
        return bool(credentials_of(request)[0])


class ClosedAuthenticator(Authenticator):
    """Finds the principal of a request in closed mode: a caller proves who it is by a signature or a token."""

    async def principal_of(self, request: web.Request) -> Principal:
        """Return the principal, NOBODY for a request that proves none.

        Raise UnauthenticatedError if a signature is not valid, UnavailableError if a token cannot be checked.
        """
        scheme, token = credentials_of(request)
        if scheme == SCHEME:
            return self._keys.caller(token).on_behalf_of or service_principal(request)
        if scheme == BEARER:
            return await request.app[TOKENS].identify(token) or NOBODY
        return NOBODY


AUTHENTICATOR: Final = web.AppKey("AUTHENTICATOR", Authenticator)


def authenticator(settings: ProcessSettings, keys: ServiceKeys) -> Authenticator:
    """Return the authenticator of the mode. Raise ConfigurationError if the keys that it requires are missing."""
    given = {settings.service_key is not None, settings.service_keys is not None}
    if len(given) > 1:
        msg = "Set both SERVICE_KEY and SERVICE_KEYS, or neither: with one alone, calls between services are refused."
        raise ConfigurationError(msg)
    if settings.access == "open":
        return Authenticator(keys)
    if False in given:
        msg = (
            "ACCESS is closed, which requires SERVICE_KEY and SERVICE_KEYS: the services know each other by their keys."
        )
        raise ConfigurationError(msg)
    return ClosedAuthenticator(keys)


@asynccontextmanager
async def ending_with_log_in(request: web.Request, scope: Scope) -> AsyncIterator[None]:
    """Abort the connection of *request* in this block once its log-in or token has ended, or lost *scope*.

    A signed call is the business of the service that makes it.
    """
    if request[PRINCIPAL].kind is PrincipalKind.OPEN or credentials_of(request)[0] == SCHEME:
        yield
        return
    watch = create_task(_abort_at_log_out(request, scope), name="log-in of a stream")
    try:
        yield
    finally:
        await cancel(watch)


async def _abort_at_log_out(request: web.Request, scope: Scope) -> None:
    while request.transport is not None:
        await clock.sleep(STREAM_CHECK_SECONDS)
        try:
            principal = await request.app[AUTHENTICATOR].principal_of(request)
        except UnavailableError:
            continue  # whoever was logged in stays so until that can be checked
        if scope not in principal.scopes and request.transport is not None:
            request.transport.abort()


def credentials_of(request: web.Request) -> tuple[str, str]:
    """Return the scheme and the credentials of `Authorization` (RFC 9110, section 11.4); both are empty without it."""
    scheme, _, credentials = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return next((known for known in (BEARER, SCHEME) if known.lower() == scheme.lower()), scheme), credentials.strip()


class Tokens(ABC):
    """The tokens of accounts."""

    @abstractmethod
    async def identify(self, token: str) -> Principal | None:
        """Return the principal of *token*, None if it is not valid. Raise UnavailableError if that is not known."""


TOKENS: Final = web.AppKey("TOKENS", Tokens)


class RememberedTokens(Tokens):
    """What the web service said about tokens, for `FRESH_SECONDS`, or while it is unavailable for `STALE_SECONDS`."""

    def __init__(self, source: Tokens) -> None:
        self._source = source
        self._known: OrderedDict[bytes, tuple[float, Principal | None]] = OrderedDict()

    async def identify(self, token: str) -> Principal | None:
        """Return the principal of *token*, None if it is not valid. Raise UnavailableError if that is not known."""
        key = hashlib.sha256(token.encode(errors="replace")).digest()
        now = clock.monotonic()
        asked_at, principal = self._known.get(key, (now - STALE_SECONDS, None))
        if now - asked_at < FRESH_SECONDS:
            return principal
        try:
            principal = await self._source.identify(token)
        except UnavailableError:
            if now - asked_at < STALE_SECONDS and principal is not None:
                return principal
            raise
        self._known[key] = now, principal
        self._known.move_to_end(key)
        if len(self._known) > MAX_TOKENS:
            self._known.popitem(last=False)
        return principal
