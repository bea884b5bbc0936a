"""Query strings of oncall-service."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from tocsin.contracts.model import Line, Text
from tocsin.contracts.oncall import CalendarInstant
from tocsin.kernel.pagination import ListQuery

MAX_INCIDENTS: Final = 150
"""So many ids fit into a request line, also of a replica of the release before, which accepts 8,190 bytes."""


class StartQuery(BaseModel):
    """Parameters of `POST /api/v1/escalations`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    timeline: Literal["report", "return"] = "report"
    """Whether what the first step adds to the incident's timeline is reported to incident-management, or returned."""


class CurrentQuery(BaseModel):
    """Parameters of `GET /api/v1/oncall/current`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Line
    at: CalendarInstant | None = None
    """By default now; in the years 1970 to 2999."""


class UpcomingQuery(BaseModel):
    """Parameters of `GET /api/v1/oncall/upcoming`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Line
    days: Annotated[int, Field(ge=1, le=366)] = 14
    since: CalendarInstant | None = None
    """By default now; in the years 1970 to 2999."""


class OverviewQuery(BaseModel):
    """Parameters of `GET /api/v1/oncall/overview`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: CalendarInstant | None = None
    until: CalendarInstant | None = None
    team: Line | None = None


class PeopleQuery(ListQuery):
    """Parameters of `GET /api/v1/people`."""

    q: Annotated[Text, Field(min_length=1, max_length=256)] | None = None
    """A part of the name, or, for callers who may see every e-mail address, of the address."""
    team: Line | None = None


class TeamsQuery(ListQuery):
    """Parameters of `GET /api/v1/teams`."""


class BoardQuery(ListQuery):
    """How many teams a board shows, and the incidents whose escalations it shows."""

    incident_id: Annotated[list[UUID], Field(default_factory=list, max_length=MAX_INCIDENTS)]


class EscalationsQuery(BaseModel):
    """Parameters of `GET /api/v1/escalations`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident_id: Annotated[list[UUID], Field(min_length=1, max_length=MAX_INCIDENTS)]
