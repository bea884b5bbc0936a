"""The wire models of accounts, their sessions and their tokens."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from tocsin.contracts.contact_types import Email
from tocsin.contracts.model import Instant, Line, Model

MIN_PASSWORD = 12
MAX_PASSWORD = 1_000
Password = Annotated[str, Field(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]


class AccountKind(StrEnum):
    """Who uses an account."""

    PERSON = "person"
    SERVICE = "service"
    """A program, which has tokens, but no log-in."""


class Role(StrEnum):
    """What an account may do, for every team."""

    SENDER = "sender"
    """Send alerts, and read nothing; for service accounts."""
    VIEWER = "viewer"
    """Read everything except contact addresses and raw alert requests."""
    RESPONDER = "responder"
    """Handle the incidents of every team."""
    ADMIN = "admin"
    """Do everything."""


class AccountIn(Model):
    """A new account. That of a person has an e-mail address, and gets a link to choose a password."""

    kind: AccountKind = AccountKind.PERSON
    name: Line
    email: Email | None = None
    """Unique, whatever the case of its letters."""
    role: Role = Role.RESPONDER
    person_id: UUID | None = None
    """The person of the on-call schedules whose account it is."""


class ChangeAccount(Model):
    """Changes of an account; what is left out stays as it is."""

    name: Line | None = None
    email: Email | None = None
    role: Role | None = None
    person_id: UUID | None = None
    disabled: bool | None = None
    """A disabled account cannot be used; its sessions end."""


class Account(Model):
    """An account."""

    id: UUID
    kind: AccountKind
    name: str
    email: str | None
    role: Role
    person_id: UUID | None
    has_password: bool
    version: int
    """Incremented by each change."""
    created_at: Instant
    disabled_at: Instant | None


class InvitedAccount(Account):
    """A new account, or one with a new link."""

    link: str | None
    """The link with which its person chooses a password; it works once, until it expires. Shown only here."""


class Session(Model):
    """A log-in in a browser."""

    id: UUID
    address: str
    user_agent: str
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
    current: bool
    """Whether it is the one that makes this request."""


class TokenIn(Model):
    """A new token."""

    name: Line
    scopes: list[str] | None = None
    """What it may do, of what the account may; all of it by default."""
    expires_in_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    """Without it, the token does not expire."""


class Token(Model):
    """A token of an account, without its secret."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str] | None
    created_at: Instant
    last_used_at: Instant | None
    expires_at: Instant | None


class CreatedToken(Token):
    """A new token with its secret, which is shown only here."""

    token: str


class LogIn(Model):
    """Proof of an account, in exchange for a token."""

    email: Email
    password: Annotated[str, Field(max_length=MAX_PASSWORD)]
    token: Line
    """The name of the new token."""


class OwnAccount(Account):
    """The account of the caller, and what this caller may do with it."""

    scopes: list[str]


class SetupLink(Model):
    """A link with which the account of the first admin is created."""

    url: str
    expires_at: Instant
