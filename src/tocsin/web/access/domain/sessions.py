"""A log-in."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from tocsin.contracts.accounts import Account


class LogInMethod(StrEnum):
    """How somebody proved who they are."""

    PASSWORD = "password"  # noqa: S105 - the name of the method
    LINK = "link"
    """By the link with which a password is chosen."""
    PASSKEY = "passkey"
    OIDC = "oidc"
    PROXY = "proxy"
    """By the header of a trusted proxy."""


def is_same_address(stated: str, email: str | None) -> bool:
    """Return whether a proxy *stated* the e-mail address of an account, whatever the case of its letters."""
    return email is not None and stated.lower() == email.lower()


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with its secret, which replaces the one that the client may have."""

    id: UUID
    account: Account
    secret: str = field(repr=False)
    expires_at: datetime
    """When it ends if it is not used; use postpones that, up to the longest time that a session lasts."""
