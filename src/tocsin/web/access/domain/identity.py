"""Who makes a request, as a session or a token has proved it, and what they may do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from tocsin.contracts.accounts import AccountKind, Role
from tocsin.kernel.principal import Principal, PrincipalKind, Scope

EVERYONE: Final = frozenset({Scope.PUBLIC, Scope.FORWARD})
"""The scopes of every role and every token."""
SCOPES: Final[dict[Role, frozenset[Scope]]] = {
    Role.SENDER: EVERYONE | {Scope.SEND},
    Role.VIEWER: EVERYONE | {Scope.READ},
    Role.RESPONDER: EVERYONE | {Scope.SEND, Scope.READ, Scope.RESPOND, Scope.MANAGE},
    Role.ADMIN: frozenset(Scope) - {Scope.SERVICE},
}

KINDS: Final = {AccountKind.PERSON: PrincipalKind.PERSON, AccountKind.SERVICE: PrincipalKind.ACCOUNT}


@dataclass(frozen=True, slots=True)
class Identity:
    """An account, and the session or the token by which it was identified."""

    account_id: UUID
    kind: AccountKind
    name: str
    email: str | None
    role: Role
    scopes: frozenset[Scope]
    person_id: UUID | None
    session_id: UUID | None = None
    token_id: UUID | None = None
    by_proxy: bool = False
    """Whether a trusted proxy began the session, which is valid only while the proxy states the person."""

    @property
    def principal(self) -> Principal:
        """The principal of a request of this identity."""
        credential = self.session_id or self.token_id
        return Principal(
            KINDS[self.kind], self.name, self.scopes, self.account_id, self.person_id, credential_id=credential
        )


def token_scopes(role: Role, scopes: Iterable[str] | None) -> frozenset[Scope]:
    """Return the scopes of a token of an account with *role*: at most the role's, all of them if *scopes* is None.

    Names that this release does not know give nothing.
    """
    if scopes is None:
        return SCOPES[role]
    return SCOPES[role] & (EVERYONE | {Scope(name) for name in scopes if name in set(Scope)})


def beyond(role: Role, scopes: Iterable[str]) -> dict[int, str]:
    """Return the positions and names of those *scopes* that a token of an account with *role* cannot have."""
    return {position: name for position, name in enumerate(scopes) if name not in SCOPES[role]}
