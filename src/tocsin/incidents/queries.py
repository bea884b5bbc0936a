"""The query strings of incident management."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Instant, Line, SeverityIn, Text
from tocsin.contracts.overview import Grain
from tocsin.kernel.pagination import MAX_LIMIT, ListQuery

MAX_IDS = 100
"""Per request: twice as many would exceed the limit of a request line."""


class NoQuery(BaseModel):
    """No parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class IncidentQuery(ListQuery):
    """Filters of the list of incidents. `id`, `status` and `severity` may be repeated and match any of their values."""

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
    q: Annotated[Text, StringConstraints(min_length=1, max_length=256)] | None = None
    """Words of title, service and description, in web search syntax: quotes, `or`, `-`."""


class CountsQuery(NoQuery):
    """Whose incidents are counted; by default everyone's."""

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
    """Where a stream resumes."""

    last_event_id: str | None = None
    """Like the header `Last-Event-ID`, which a browser's `EventSource` cannot set on its first request."""
