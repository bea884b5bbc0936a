"""Who makes a request, and what they may do."""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self
from uuid import UUID


class Scope(StrEnum):
    """A permission, from least to most privileged. Each route requires exactly one."""

    PUBLIC = "public"
    """No permission: health, API documentation, static files."""
    METRICS = "metrics"
    """Scrape metrics."""
    FORWARD = "forward"
    """Use the gateway; the service that it forwards to checks the scope of its own route."""
    SEND = "send"
    """Send alerts, but read nothing."""
    READ = "read"
    """Read everything but accounts; contact addresses are masked, and raw alert requests need `respond`."""
    RESPOND = "respond"
    """Open and change incidents, escalate, redeliver messages, and read raw alert requests."""
    MANAGE = "manage"
    """Change the people, schedules and services of the teams of which one is a manager, and read their addresses."""
    ADMIN = "admin"
    """Change every team, accounts, integrations, keys and settings, and read every address."""
    SERVICE = "service"
    """Call the internal endpoints of our services."""


class PrincipalKind(StrEnum):
    """How a principal was authenticated."""

    OPEN = "open"
    """Not authenticated, which is not required either."""
    NOBODY = "nobody"
    """Not authenticated, although that is required."""
    PERSON = "person"
    LINK = "link"
    """By the token in a message's link."""
    SENDER = "sender"
    """By an integration's key."""
    SERVICE = "service"
    """By the signature of one of our services."""
    ACCOUNT = "account"
    """By a service account's token."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The identity behind a request."""

    kind: PrincipalKind
    name: str | None
    """The display name; None if an open principal gave none."""
    scopes: frozenset[Scope]
    id: UUID | None = None
    """The account; None for principals without one."""
    person_id: UUID | None = None
    """The person of the on-call schedules whose account it is."""
    credential_id: UUID | None = None
    """The session or the token by which the principal was authenticated."""

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any]) -> Self:
        """Return the principal of *claims*, which another release with more or fewer scopes may have made.

        Raise KeyError, TypeError or ValueError if *claims* are not those of a principal.
        """
        known_scopes, known_kinds = set(Scope), set(PrincipalKind)
        kind = PrincipalKind(claims["kind"]) if claims["kind"] in known_kinds else PrincipalKind.ACCOUNT
        scopes = frozenset(Scope(scope) for scope in claims["scopes"] if scope in known_scopes)
        ids = {name: UUID(claims[name]) for name in ("id", "person_id", "credential_id") if claims.get(name)}
        return cls(kind, claims["name"], scopes, **ids)

    def claims(self) -> dict[str, Any]:
        """Return what another service must know of this principal, for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "scopes": sorted(self.scopes),
            **{
                name: str(value) if value else None
                for name, value in (
                    ("id", self.id),
                    ("person_id", self.person_id),
                    ("credential_id", self.credential_id),
                )
            },
        }

    @property
    def key_scope(self) -> str:
        """Return the namespace of the principal's idempotency keys: two principals may use the same key.

        Services share that of open principals: a process without keys signs nothing.
        """
        shared = self.kind in {PrincipalKind.OPEN, PrincipalKind.SERVICE}
        return PrincipalKind.OPEN if shared else f"{self.kind}/{self.id or self.name}"

    @property
    def may_act_for_others(self) -> bool:
        """Return whether a body may name another actor: a service reports what a person did."""
        return self.kind in {PrincipalKind.OPEN, PrincipalKind.SERVICE}


UNCHECKED: Final = frozenset(Scope)
"""The scopes of a request to a process that has no keys to check the signatures of services with."""
UNSIGNED: Final = UNCHECKED - {Scope.SERVICE}
"""The scopes of a request without a signature in open mode."""
NOBODY: Final = Principal(PrincipalKind.NOBODY, None, frozenset({Scope.PUBLIC}))
ON_BEHALF_OF: Final[ContextVar[Principal | None]] = ContextVar("ON_BEHALF_OF", default=None)
"""For whom the web service calls the other services at present; None for itself."""
CLIENT_ADDRESS: Final[ContextVar[str]] = ContextVar("CLIENT_ADDRESS", default="")
"""From where the principal of ON_BEHALF_OF made the request; empty if that is not known."""
