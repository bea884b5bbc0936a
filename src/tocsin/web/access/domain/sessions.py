"""A log-in."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from tocsin.contracts.accounts import Account


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session with its secret, which replaces the one that the client may have."""

    id: UUID
    account: Account
    secret: str = field(repr=False)
    expires_at: datetime
    """When it ends if it is not used; use postpones that, up to the longest time that a session lasts."""
