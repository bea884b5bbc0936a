"""Query strings of notification-service."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from tocsin.channels import CHANNELS, RegisteredName
from tocsin.contracts.model import Instant, Text
from tocsin.contracts.notifications import NotificationStatus
from tocsin.kernel.pagination import MAX_LIMIT, ListQuery


class NotificationQuery(ListQuery):
    """Filters of the list of messages."""

    incident_id: UUID | None = None
    channel: RegisteredName | None = None
    status: NotificationStatus | None = None
    recipient: str | None = None
    """The address; its secret part is ignored."""
    person: Text | None = None
    """The person who is paged."""

    def filters(self) -> dict[str, Any]:
        """Return the parameters of the statement."""
        return {
            "incident_id": self.incident_id,
            "channel": self.channel,
            "status": self.status and self.status.value,
            "recipient": self.recipient and CHANNELS.shown_address(self.recipient.replace("\0", "")),
            "person": self.person,
            **self.after(),
        }


class BoardQuery(BaseModel):
    """How much a board shows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50


class SummaryQuery(BaseModel):
    """The window of a summary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    """Queued at this time or later; by default in the last 24 hours."""
