"""What lists can be asked for."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from tocsin.contracts.model import Instant, Text
from tocsin.contracts.notifications import NotificationStatus
from tocsin.contracts.oncall import Channel
from tocsin.kernel.pagination import ListQuery
from tocsin.notifications.domain import shown


class NotificationQuery(ListQuery):
    """Filters of the list of messages."""

    incident_id: UUID | None = None
    channel: Channel | None = None
    status: NotificationStatus | None = None
    recipient: str | None = None
    person: Text | None = None
    """Whom a page is for."""

    def filters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {
            "incident_id": self.incident_id,
            "channel": self.channel and self.channel.value,
            "status": self.status and self.status.value,
            "recipient": self.recipient and shown(self.recipient.replace("\0", "")),
            "person": self.person,
            **self.after(),
        }


class SummaryQuery(BaseModel):
    """The window of a summary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    """Queued at or after; by default the last 24 hours."""
