"""Links that work once."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tocsin.contracts.accounts import Account
from tocsin.kernel.errors import NotFoundError

INVALID: Final = (
    "This link does not work: it was used, has expired or was replaced by a newer one. If you have chosen a password"
    " with it, log in; otherwise ask an admin for a new link."
)
NO_LINK: Final = (
    "An earlier request with the same Idempotency-Key created the account; its response had the link, which is shown"
    " only once. If it was lost, create a new link for the account."
)


class LinkError(NotFoundError):
    """A link that is unknown, used, replaced or expired."""

    code = "link-not-valid"

    def __init__(self) -> None:
        super().__init__(INVALID)


@dataclass(frozen=True, slots=True)
class Link:
    """A link that can be used: that of *account*'s person, or the one that creates the first admin."""

    account: Account | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NewLink:
    """An account with its new link, if it got one. The link of the first admin has no account yet."""

    account: Account | None
    secret: str | None = field(repr=False)
    expires_at: datetime | None
    note: str | None = None
    """Why there is no secret."""
