"""The wire models of accounts, their sessions and their tokens."""

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from tocsin.contracts.contact_types import Email
from tocsin.contracts.model import Instant, Line, Model

MIN_PASSWORD = 12
MAX_PASSWORD = 1_000


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
    """Read everything but accounts, contact addresses and raw alert requests."""
    RESPONDER = "responder"
    """Handle the incidents of every team, and change the teams of which the person is a manager."""
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

    @model_validator(mode="after")
    def check(self) -> Self:
        """Check what a person's account has and a program's has not."""
        person = self.kind is AccountKind.PERSON
        if person and self.email is None:
            msg = "a person's account needs an email"
        elif person and self.role is Role.SENDER:
            msg = "the role sender is for accounts of the kind service"
        elif not person and (self.email is not None or self.person_id is not None):
            msg = "an account of the kind service has neither an email nor a person_id"
        else:
            return self
        raise ValueError(msg)


class ChangeAccount(Model):
    """Changes of an account; what is left out stays as it is."""

    name: Line | None = None
    email: Email | None = None
    """The account's link, if it has one, ends: it went to the address before."""
    role: Role | None = None
    """Another role ends the account's sessions; its tokens have at most the scopes of the new role from then on."""
    person_id: UUID | None = None
    """null separates the account from the person."""
    disabled: bool | None = None
    """A disabled account cannot be used; its sessions and its link end. Its tokens work again once it is enabled."""


class Account(Model):
    """An account."""

    id: UUID
    kind: AccountKind
    name: str
    email: str | None
    role: Role
    person_id: UUID | None
    has_password: bool
    is_linked: bool = False
    """Whether its person can log in by an OpenID provider."""
    passkeys: int = 0
    """How many passkeys it has."""
    version: int
    """Incremented by each change."""
    created_at: Instant
    disabled_at: Instant | None

    @property
    def has_log_in(self) -> bool:
        """Whether its person can log in without an OpenID provider."""
        return self.has_password or self.passkeys > 0

    @property
    def state(self) -> Literal["active", "invited", "disabled"]:
        """An account is invited until its person can log in."""
        if self.disabled_at is not None:
            return "disabled"
        return "active" if self.kind is AccountKind.SERVICE or self.has_log_in or self.is_linked else "invited"


class InvitedAccount(Account):
    """A new account, or one with a new link."""

    link: Annotated[str | None, Field(repr=False)]
    """The link with which its person chooses a password; it works once, until it expires. Shown only here. Null for a
    program's account, and in the response to a repeated request."""
    link_expires_at: Instant | None
    note: str | None = None
    """Why there is no link, in the response to a repeated request."""


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

    token: Annotated[str | None, Field(repr=False)]
    """Null in the response to a repeated request."""
    note: str | None = None
    """Why there is no secret, in the response to a repeated request."""


class PasskeyIn(Model):
    """A new passkey."""

    name: Line


class Passkey(Model):
    """A passkey of an account."""

    id: UUID
    name: str
    created_at: Instant
    last_used_at: Instant | None
    """Null until somebody has logged in with it."""


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

    url: Annotated[str, Field(repr=False)]
    expires_at: Instant
