"""What each role may do."""

from collections.abc import Iterable, Mapping
from typing import Final

from tocsin.contracts.accounts import Role
from tocsin.kernel.principal import Scope

EVERYONE: Final = frozenset({Scope.PUBLIC, Scope.FORWARD})
"""Who may use the gateway is decided by the service that it forwards to."""
SCOPES_OF: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.SENDER: EVERYONE | {Scope.SEND},
    Role.VIEWER: EVERYONE | {Scope.READ},
    Role.RESPONDER: EVERYONE | {Scope.READ, Scope.RESPOND, Scope.SEND},
    Role.ADMIN: frozenset(Scope) - {Scope.SERVICE},
}
GRANTABLE: Final = (Scope.SEND, Scope.READ, Scope.RESPOND, Scope.MANAGE, Scope.METRICS, Scope.ADMIN)
"""The scopes that a token can be limited to, from least to most privileged."""


def scopes_of(role: Role, limit: Iterable[str] | None = None) -> frozenset[Scope]:
    """Return what an account with *role* may do; of that, a token may do what is in its *limit*."""
    scopes = SCOPES_OF[role]
    return scopes if limit is None else scopes & (EVERYONE | frozenset(Scope(name) for name in limit))
