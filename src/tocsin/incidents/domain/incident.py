"""An incident as it is stored, and what its timeline is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tocsin.contracts.incidents import EventType, IncidentStatus
from tocsin.contracts.model import Severity

MAX_DETAIL: Final = 1_000
"""Characters of a timeline entry's detail that repeat somebody's text."""


@dataclass(frozen=True, slots=True)
class StoredIncident:
    """An incident's row, as far as decisions need it."""

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
class Entry:
    """A timeline entry to be written."""

    incident_id: UUID
    event_type: EventType
    actor: str
    detail: str
    data: Mapping[str, Any] = field(default_factory=dict)


def excerpt(text: str, limit: int = MAX_DETAIL) -> str:
    """Return *text* with an ellipsis where it is longer than *limit* characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
