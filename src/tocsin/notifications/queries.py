"""What lists can be asked for."""

from typing import Any
from uuid import UUID

from tocsin.contracts.notifications import NotificationStatus
from tocsin.contracts.oncall import Channel
from tocsin.kernel.paging import ListQuery
from tocsin.notifications.domain import shown


class NotificationQuery(ListQuery):
    """Filters of the list of messages."""

    incident_id: UUID | None = None
    channel: Channel | None = None
    status: NotificationStatus | None = None
    recipient: str | None = None

    def filters(self) -> dict[str, Any]:
        """Return the statement's parameters."""
        return {
            "incident_id": self.incident_id,
            "channel": self.channel and self.channel.value,
            "status": self.status and self.status.value,
            "recipient": self.recipient and shown(self.recipient.replace("\0", "")),
            **self.after(),
        }
