"""Query strings of alert-ingestion."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.model import Instant, Severity, Text
from tocsin.kernel.pagination import ListQuery


class AlertQuery(ListQuery):
    """Filters of the list of alerts, combined with AND."""

    service: Text | None = None
    severity: Severity | None = None
    integration: Text | None = None
    """The integration that accepted it, such as `alertmanager`."""
    status: AlertStatus | None = None
    incident_id: UUID | None = None
    action: AlertAction | None = None
    """The outcome of correlation. `repeated` and `resolved`, which are outcomes of later reports, match no alert."""
    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    since: Instant | None = None
    """Stored at or after."""
    until: Instant | None = None
    """Stored before."""
    q: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=256)] | None = None
    """Words of the message; "a phrase", or, -not."""


class SummaryQuery(BaseModel):
    """The time window of a summary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Instant | None = None
    """Stored at or after; by default the last 24 hours."""
    until: Instant | None = None
    """Stored before."""
