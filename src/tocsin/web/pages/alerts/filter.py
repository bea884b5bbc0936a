"""The filters of the list of alerts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.model import Severity
from tocsin.web.ui.filters import SPANS, PageFilter, SearchText, Since


class AlertFilter(PageFilter):
    """Which alerts are shown."""

    path = "/alerts"

    q: SearchText = ""
    action: AlertAction | None = None
    status: AlertStatus | None = None
    severity: Severity | None = None
    service: SearchText = ""
    integration: SearchText = ""
    """The name of the sender's integration."""
    incident: UUID | None = None
    """All its alerts, whatever their age."""
    since: Since = Since.DAY

    def begin(self, at: datetime) -> datetime:
        """Return the start of the window that ends at *at*."""
        return at - SPANS[self.since]

    def parameters(self, at: datetime) -> dict[str, Any]:
        """Return the query parameters of alert ingestion's list, as of *at*."""
        return {
            "q": self.q or None,
            "action": self.action,
            "status": self.status,
            "severity": self.severity,
            "service": self.service or None,
            "integration": self.integration or None,
            "incident_id": self.incident,
            "since": None if self.incident else self.begin(at).isoformat(),
            "cursor": self.cursor,
        }
