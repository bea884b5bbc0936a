"""A message that this process may send until its lease ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.channels.message import Message
from tocsin.contracts.contact_types import masked
from tocsin.contracts.notifications import NotificationKind, PageDetails


@dataclass(frozen=True, slots=True)
class LeasedMessage:
    """A leased row. Ages are measured by the database's clock."""

    id: UUID
    incident_id: UUID
    kind: NotificationKind
    channel: str
    recipient: str
    """The address without its secret."""
    address: str
    rate_limit_key: str
    message: str
    page: PageDetails | None
    attempts: int
    """The number of this attempt; no other attempt at this message has it."""
    tries: int
    """Attempts since the message was queued or redelivered, including this one."""
    waited_seconds: float
    """Since the first of these attempts began."""
    age_seconds: float
    """Since the message was accepted or redelivered."""
    late_seconds: float
    """Since on-call created the page, or the message was redelivered."""
    request_id: str
    trace_context: str | None
    created_at: datetime
    redelivered_at: datetime | None
    expires: float
    """When the lease ends, by this process's monotonic clock."""

    @classmethod
    def from_row(cls, row: Mapping[str, Any], *, expires: float) -> "LeasedMessage":
        """Return the message in *row*."""
        page = None if row["page"] is None else PageDetails.model_validate(row["page"])
        return cls(**{**row, "kind": NotificationKind(row["kind"]), "page": page}, expires=expires)

    def to_message(self, public_url: str | None) -> Message:
        """Return the message for the channel."""
        return Message(
            delivery_id=self.id,
            incident_id=self.incident_id,
            kind=self.kind,
            address=self.address,
            text=self.message,
            page=self.page,
            created_at=self.created_at,
            attempt=self.attempts,
            request_id=self.request_id,
            public_url=public_url,
        )

    def addressee(self) -> str:
        """Return the recipient for use within a sentence, which is copied to other services: masked for everybody."""
        address = masked(self.address)
        return f"{self.page.person} ({address})" if self.page is not None else address
