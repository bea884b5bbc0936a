"""The filters of the list of messages."""

from typing import Any

from tocsin.channels import RegisteredName
from tocsin.contracts.notifications import NotificationStatus
from tocsin.web.ui.filters import PageFilter, SearchText


class MessageFilter(PageFilter):
    """Which messages are shown."""

    path = "/notifications"

    q: SearchText = ""
    """A person's name, or an incident's number."""
    channel: RegisteredName | None = None
    status: NotificationStatus | None = None

    def parameters(self) -> dict[str, Any]:
        """Return the query parameters of the notification service's list."""
        return {"person": self.q or None, "channel": self.channel, "status": self.status, "cursor": self.cursor}
