"""Query strings of the lists of accounts, sessions and tokens, and of the audit."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from tocsin.contracts.accounts import AccountKind, Role
from tocsin.contracts.model import Instant, Text
from tocsin.kernel.pagination import ListQuery


class AccountsQuery(ListQuery):
    """Parameters of the list of accounts."""

    q: Annotated[Text, Field(min_length=1, max_length=256)] | None = None
    """A part of the name or the e-mail address."""
    kind: AccountKind | None = None
    role: Role | None = None


class SessionsQuery(ListQuery):
    """Parameters of the list of sessions."""


class TokensQuery(ListQuery):
    """Parameters of the list of tokens."""


class AuditQuery(ListQuery):
    """Parameters of the audit."""

    since: Instant | None = None
    until: Instant | None = None
    """Before this instant."""
    account_id: UUID | None = None
    """Who made the change."""
    action: Annotated[Text, Field(min_length=1, max_length=64)] | None = None
    kind: Annotated[Text, Field(min_length=1, max_length=32)] | None = None
    """The kind of the object that was changed."""
    object: Annotated[Text, Field(min_length=1, max_length=256)] | None = None
    """Its id, or the beginning of its name."""

    def filters(self) -> dict[str, Any]:
        """Return the filters as the statement's parameters."""
        special = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})
        beginning = None if self.object is None else f"{self.object.lower().translate(special)}%"
        return {**self.model_dump(exclude={"limit", "cursor"}), "beginning": beginning}
