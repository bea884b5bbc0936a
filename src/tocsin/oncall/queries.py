"""Query parameters of the lists and questions."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from tocsin.contracts.model import Line
from tocsin.contracts.oncall import CalendarInstant


class CurrentQuery(BaseModel):
    """Who is on call for a team."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Line
    at: CalendarInstant | None = None
    """Another instant than now, in the years 1970 to 2999."""


class UpcomingQuery(BaseModel):
    """A team's coming turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    team: Line
    days: Annotated[int, Field(ge=1, le=366)] = 14
    since: CalendarInstant | None = None
    """Another instant than now, in the years 1970 to 2999."""


class OverviewQuery(BaseModel):
    """The days that an overview is of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: CalendarInstant | None = None
    until: CalendarInstant | None = None
    team: Line | None = None


class EscalationsQuery(BaseModel):
    """The escalations of many incidents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident_id: Annotated[list[UUID], Field(min_length=1, max_length=150)]
    """As many as the request line has room for: 8,190 bytes in aiohttp."""
