"""Query strings of incident management."""

from dataclasses import dataclass
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tocsin.contracts.incidents import IncidentSort, IncidentStatus
from tocsin.contracts.model import Instant, Line, Severity, SeverityIn, Text
from tocsin.contracts.overview import Grain
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.pagination import MAX_LIMIT, Keyset, ListQuery

MAX_IDS = 100
"""The maximum number of ids in one request: twice as many would exceed the limit of a request line."""


class NoQuery(BaseModel):
    """No parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class IncidentCursor:
    """The position after a page of incidents, with the severity if the list is sorted by severity."""

    severity: Severity | None
    keyset: str

    def encode(self) -> str:
        """Return an opaque cursor."""
        return f"{self.severity}.{self.keyset}" if self.severity else self.keyset

    @classmethod
    def decode(cls, cursor: str) -> Self:
        """Parse a cursor. Raise ValueError if it is not a cursor of this list."""
        given, _, keyset = cursor.rpartition(".")
        severity = next((severity for severity in Severity if severity == given), None)
        Keyset.decode(keyset if severity else cursor)
        return cls(severity, keyset if severity else cursor)


def _checked(cursor: str) -> str:
    return IncidentCursor.decode(cursor).encode()


class IncidentQuery(ListQuery):
    """Filters of the list of incidents. `id`, `status` and `severity` may be repeated and match any of their values."""

    sort: IncidentSort = IncidentSort.NEWEST
    """`newest` first, or by `severity` and then newest first."""
    cursor: Annotated[str, AfterValidator(_checked)] | None = None
    """The `next_cursor` of the previous page."""
    id: Annotated[list[UUID], Field(default_factory=list, max_length=MAX_IDS)]
    status: Annotated[list[IncidentStatus], Field(default_factory=list)]
    severity: Annotated[list[SeverityIn], Field(default_factory=list)]
    service: Text | None = None
    assigned_to: Text | None = None
    team: Text | None = None
    since: Instant | None = None
    """Created at this time or later."""
    until: Instant | None = None
    """Created before this time."""
    resolved_since: Instant | None = None
    """Resolved at this time or later."""
    q: Annotated[Text, StringConstraints(min_length=1, max_length=256)] | None = None
    """Words of title, service and description, in web search syntax: quotes, `or`, `-`."""

    def after(self) -> dict[str, Any]:
        """Return the keyset's parameters, and `after_severity` if the list is sorted by severity.

        Raise InvalidRequestError if the cursor belongs to a list in another order.
        """
        cursor = IncidentCursor.decode(self.cursor) if self.cursor else None
        by_severity = self.sort is IncidentSort.SEVERITY
        if cursor is not None and (cursor.severity is not None) != by_severity:
            detail = f"This is not a cursor of a list sorted by {self.sort}; use `next_cursor` of the previous page."
            raise InvalidRequestError([{"pointer": "?cursor", "detail": detail}])
        page = ListQuery(limit=self.limit, cursor=cursor and cursor.keyset)
        return page.after() | ({"after_severity": cursor and cursor.severity} if by_severity else {})


class ListingQuery(IncidentQuery):
    """Filters of the list of incidents, and the person whose unresolved incidents are counted."""

    counted_for: Text | None = None


class ViewQuery(NoQuery):
    """How many resolved incidents of the same service are shown beside an incident."""

    resolved: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 10


class AlertRange(NoQuery):
    """The ids of a partition of alerts."""

    starts: UUID
    """The lowest id."""
    ends: UUID
    """Higher than the highest id."""


class BoardQuery(NoQuery):
    """How much a board shows."""

    open_limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = MAX_LIMIT
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    """Of each other state."""
    resolved_since: Instant
    """Incidents resolved at this time or later."""
    days_since: Instant
    """The first day of the daily times."""


class CountsQuery(NoQuery):
    """The assignee whose incidents are counted; by default all incidents."""

    assigned_to: Text | None = None


class TimelineQuery(NoQuery):
    """A page of a timeline."""

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    """The `next_cursor` of the previous page."""


class StatsQuery(NoQuery):
    """The window of a summary: incidents created in it are included."""

    since: Instant | None = None
    until: Instant | None = None


class OverviewQuery(NoQuery):
    """The window of an overview, extended to whole days or weeks: incidents created in it are included."""

    since: Instant | None = None
    until: Instant | None = None
    by: Grain | None = None
    """By default `day` up to 92 days, otherwise `week`."""
    team: Line | None = None


class StreamQuery(NoQuery):
    """The position at which a stream resumes."""

    last_event_id: str | None = None
    """Like the header `Last-Event-ID`, which a browser's `EventSource` cannot set on its first request."""
