"""Query strings of the lists of accounts, sessions and tokens."""

from typing import Annotated

from pydantic import Field

from tocsin.contracts.accounts import AccountKind, Role
from tocsin.contracts.model import Text
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
