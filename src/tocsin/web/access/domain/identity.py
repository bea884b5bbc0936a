"""Whose session or token it is."""

from dataclasses import dataclass
from uuid import UUID

from tocsin.contracts.accounts import AccountKind, Role
from tocsin.kernel.principal import Principal, PrincipalKind, Scope


@dataclass(frozen=True, slots=True)
class Identity:
    """An account, with what this session or token of it may do."""

    account_id: UUID
    kind: AccountKind
    name: str
    email: str | None
    role: Role
    person_id: UUID | None
    scopes: frozenset[Scope]
    credential_id: UUID
    """The session or the token."""

    @property
    def principal(self) -> Principal:
        """Return the principal of its requests."""
        kind = PrincipalKind.PERSON if self.kind is AccountKind.PERSON else PrincipalKind.ACCOUNT
        return Principal(kind, self.name, self.scopes, self.account_id, self.credential_id)
