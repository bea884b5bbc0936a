"""The view of one alert."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.alerts import AlertDetail
from tocsin.contracts.incidents import IncidentSummary
from tocsin.web.ui.alert_outcomes import AlertOutcome, alert_row
from tocsin.web.ui.outages import Outages

RAW_SHOWN: Final = 65_536
"""Characters of the raw request that are shown."""


@dataclass(frozen=True, slots=True)
class AlertData:
    """What the services returned."""

    at: datetime
    alert: AlertDetail
    incidents: Mapping[UUID, IncidentSummary]
    outages: Outages


@dataclass(frozen=True, slots=True)
class AlertView:
    """All that the page shows."""

    at: datetime
    alert: AlertDetail
    sender: str
    outcome: AlertOutcome
    raw: str | None
    """None once the request has been deleted."""
    cut: bool
    """Only the beginning of the request is shown."""
    outages: Outages


def alert_view(data: AlertData) -> AlertView:
    """Return the page's view of *data*."""
    row = alert_row(data.alert, data.incidents)
    request = data.alert.request
    return AlertView(
        at=data.at,
        alert=data.alert,
        sender=row.sender,
        outcome=row.outcome,
        raw=None if request is None else request.body[:RAW_SHOWN],
        cut=request is not None and len(request.body) > RAW_SHOWN,
        outages=data.outages,
    )
