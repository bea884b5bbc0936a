"""Who sends a request and what they may do.

There is no log-in yet: every request comes from the open principal, who names themselves. This module is where that
changes: routes name the scope that they need (`routing`), a middleware sets the principal, and handlers take the actor
from it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiohttp import web

ACTOR_HEADER: Final = "X-Actor"
MAX_ACTOR: Final = 256
DEFAULT_ACTOR: Final = "api"


class Scope(StrEnum):
    """What a route needs, from the least to the most; each route has exactly one."""

    PUBLIC = "public"
    """Nothing: health, API documentation, static files."""
    METRICS = "metrics"
    """To scrape metrics."""
    FORWARD = "forward"
    """To reach the gateway: the forwarded route's own scope decides."""
    SEND = "send"
    """To send alerts; nothing can be read with it."""
    READ = "read"
    """To read everything but contact addresses and raw alert requests."""
    RESPOND = "respond"
    """To open and change incidents, escalate, redeliver."""
    MANAGE = "manage"
    """To change a team: its people, schedules, policy, services."""
    ADMIN = "admin"
    """To change accounts, integrations, keys, settings."""
    SERVICE = "service"
    """To call what our own services call of each other."""


class PrincipalKind(StrEnum):
    """How a principal proved who they are."""

    OPEN = "open"
    """Not at all: whoever reaches the address."""
    PERSON = "person"
    LINK = "link"
    """By the token of a message."""
    SENDER = "sender"
    """By an integration's key."""
    SERVICE = "service"
    """By the signature of one of our services."""
    ACCOUNT = "account"
    """By a service account's token."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request."""

    kind: PrincipalKind
    name: str | None
    """How people call them; None for an open principal who gave no name."""
    scopes: frozenset[Scope]

    @property
    def key_scope(self) -> str:
        """Return the scope of their idempotency keys: two principals may use the same key."""
        return self.kind if self.kind is PrincipalKind.OPEN else f"{self.kind}/{self.name}"

    @property
    def may_act_for_others(self) -> bool:
        """Say whether a body may name somebody else as the actor: a service reports what a person did."""
        return self.kind in {PrincipalKind.OPEN, PrincipalKind.SERVICE}


PRINCIPAL: Final = web.RequestKey("PRINCIPAL", Principal)


def open_principal(request: web.Request) -> Principal:
    """Return the principal of a request without proof of identity, with the name in `X-Actor` and every scope."""
    # aiohttp decodes bytes that are not UTF-8 as lone surrogates, which PostgreSQL does not store.
    name = request.headers.get(ACTOR_HEADER, "").encode(errors="replace").decode().strip()[:MAX_ACTOR]
    return Principal(PrincipalKind.OPEN, name or None, frozenset(Scope))


def actor_of(request: web.Request, reported: str | None = None) -> str:
    """Return the name under which *request* changes something: the principal's.

    *reported* is the `actor` of the body, which counts only for principals who may act for others.
    """
    principal = request[PRINCIPAL]
    if reported and principal.may_act_for_others:
        return reported
    return principal.name or DEFAULT_ACTOR
