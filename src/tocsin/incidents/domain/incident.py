"""An incident's row, and a timeline entry before it is written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tocsin.contracts.incidents import EventType, IncidentStatus
from tocsin.contracts.model import Severity

MAX_DETAIL: Final = 1_000
"""Characters of user-supplied text that a timeline entry's detail repeats."""


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """The columns of an incident's row that decisions depend on."""

    id: UUID
    number: int
    title: str
    service: str
    severity: Severity
    status: IncidentStatus
    assigned_to: str | None
    firing_count: int
    created_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    version: int


@dataclass(frozen=True, slots=True)
class NewTimelineEntry:
    """A timeline entry to insert, which gets its id and time then."""

    incident_id: UUID
    event_type: EventType
    actor: str
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)
    event_key: str | None = None
    """If the incident has an entry with this key already, this one is left out."""


def excerpt(text: str, limit: int = MAX_DETAIL) -> str:
    """Return *text*, cut to *limit* characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
