"""The principal of a request, and the actor of its changes.

Routes declare the scope that they require (`routing`), `authentication` finds the principal, a middleware compares the
two, and handlers take the actor from the principal.
"""

from typing import Final

from aiohttp import web

from tocsin.kernel.principal import Principal, PrincipalKind, Scope

ACTOR_HEADER: Final = "X-Actor"
MAX_ACTOR: Final = 256
DEFAULT_ACTOR: Final = "api"
PRINCIPAL: Final = web.RequestKey("PRINCIPAL", Principal)


def open_principal(request: web.Request, scopes: frozenset[Scope]) -> Principal:
    """Return the principal of an unauthenticated request: the name in `X-Actor` and *scopes*."""
    return Principal(PrincipalKind.OPEN, _name_in(request), scopes)


def service_principal(request: web.Request) -> Principal:
    """Return the principal of a request that one of our services has signed: it acts for the person in `X-Actor`."""
    return Principal(PrincipalKind.SERVICE, _name_in(request), frozenset(Scope))


def _name_in(request: web.Request) -> str | None:
    given = request.headers.get(ACTOR_HEADER)
    if given is None:
        return None
    # aiohttp decodes bytes that are not UTF-8 as lone surrogates, which PostgreSQL does not store.
    return given.encode(errors="replace").decode().strip()[:MAX_ACTOR] or None


def actor_of(request: web.Request, reported: str | None = None) -> str:
    """Return the actor to record for the changes that *request* makes: the principal's name.

    *reported*, the `actor` of the body, replaces it if the principal may act for others.
    """
    principal = request[PRINCIPAL]
    if reported and principal.may_act_for_others:
        return reported
    return principal.name or DEFAULT_ACTOR
