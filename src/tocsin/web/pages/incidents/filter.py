"""The filters of the list of incidents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator

from tocsin.contracts.incidents import IncidentSort, IncidentStatus
from tocsin.contracts.model import Severity
from tocsin.kernel.pagination import Keyset
from tocsin.web.ui.filters import SPANS, PageFilter, SearchText, Since

ME: Final = "me"
"""The visitor, in an address."""


class StatusFilter(StrEnum):
    """Which incidents, by status."""

    UNRESOLVED = "unresolved"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    ANY = "any"


STATUSES: Final = {
    StatusFilter.UNRESOLVED: [IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED, IncidentStatus.IN_PROGRESS],
    StatusFilter.OPEN: [IncidentStatus.OPEN],
    StatusFilter.ACKNOWLEDGED: [IncidentStatus.ACKNOWLEDGED],
    StatusFilter.IN_PROGRESS: [IncidentStatus.IN_PROGRESS],
    StatusFilter.RESOLVED: [IncidentStatus.RESOLVED],
    StatusFilter.ANY: [],
}


def _checked(cursor: str) -> str:
    Keyset.decode(cursor.rpartition(".")[2])
    return cursor


class IncidentFilter(PageFilter):
    """Which incidents are shown, and in which order."""

    path = "/incidents"

    cursor: Annotated[str, AfterValidator(_checked)] | None = None
    """Of a list by severity: the severity, a dot, and the position in it."""
    q: SearchText = ""
    status: StatusFilter = StatusFilter.UNRESOLVED
    severity: Severity | None = None
    team: SearchText = ""
    service: SearchText = ""
    assigned: SearchText = ""
    """A name, or `me`."""
    since: Since | None = None
    sort: IncidentSort = IncidentSort.SEVERITY

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Parse the query of an address; with the cursor of another order it is the list's first page."""
        chosen = super().read(query)
        by_severity = chosen.sort is IncidentSort.SEVERITY
        return chosen.with_filters() if chosen.cursor and ("." in chosen.cursor) != by_severity else chosen

    def parameters(self, at: datetime, me: str) -> dict[str, Any]:
        """Return the query parameters of incident management's list, for the visitor *me*, as of *at*."""
        return {
            "q": self.q or None,
            "status": STATUSES[self.status],
            "severity": self.severity,
            "team": self.team or None,
            "service": self.service or None,
            "assigned_to": (me if self.assigned == ME else self.assigned) or None,
            "since": (at - SPANS[self.since]).isoformat() if self.since else None,
            "sort": self.sort,
            "cursor": self.cursor,
        }


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A named filter."""

    name: str
    filter: IncidentFilter
