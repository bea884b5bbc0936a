"""What a list page is asked for in its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from tocsin.channels import RegisteredName
from tocsin.contracts.alerts import AlertAction, AlertStatus
from tocsin.contracts.incidents import IncidentStatus
from tocsin.contracts.model import Severity, Text
from tocsin.contracts.notifications import NotificationStatus
from tocsin.kernel.errors import FieldError, InvalidRequestError
from tocsin.kernel.pagination import PageCursor

Words = Annotated[Text, StringConstraints(strip_whitespace=True, max_length=256)]
ME: Final = "me"
"""Stands in an address for whoever looks at it."""


class Since(StrEnum):
    """How far back a list goes."""

    HOUR = "1h"
    THREE_HOURS = "3h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"


SPANS: Final = {
    Since.HOUR: timedelta(hours=1),
    Since.THREE_HOURS: timedelta(hours=3),
    Since.DAY: timedelta(hours=24),
    Since.WEEK: timedelta(days=7),
    Since.MONTH: timedelta(days=30),
}


class PageFilter(BaseModel):
    """A page's filters. What an address leaves out, or leaves empty, is the default."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    path: ClassVar[str]

    cursor: PageCursor | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Self:
        """Read the query of an address. Raise InvalidRequestError where it says what cannot be."""
        given = {name: value for name, value in query.items() if value.strip()}
        try:
            return cls.model_validate(given)
        except ValidationError as exc:
            errors: list[FieldError] = [
                {"pointer": f"?{item['loc'][0]}", "detail": item["msg"]} for item in exc.errors(include_url=False)
            ]
            msg = "The address asks for something that this list does not have."
            raise InvalidRequestError(errors, msg) from exc

    @classmethod
    def of_address(cls, address: str) -> Self:
        """Read the filters of a page's whole address, as a form sends it back. Raise InvalidRequestError."""
        return cls.read(dict(parse_qsl(urlsplit(address).query)))

    @property
    def address(self) -> str:
        """The page's address: one way to write each filter, defaults left out."""
        query = self.query
        return f"{self.path}?{query}" if query else self.path

    @property
    def query(self) -> str:
        """What stands after the question mark."""
        return urlencode(self.model_dump(mode="json", exclude_defaults=True))

    def but(self, **changed: Any) -> Self:
        """Return the first page of the same list with other filters."""
        return self.model_copy(update={"cursor": None, **changed})


class Stage(StrEnum):
    """Which incidents, by their state."""

    UNRESOLVED = "unresolved"
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    ANY = "any"


STATUSES: Final = {
    Stage.UNRESOLVED: [IncidentStatus.OPEN, IncidentStatus.ACKNOWLEDGED, IncidentStatus.IN_PROGRESS],
    Stage.OPEN: [IncidentStatus.OPEN],
    Stage.ACKNOWLEDGED: [IncidentStatus.ACKNOWLEDGED],
    Stage.IN_PROGRESS: [IncidentStatus.IN_PROGRESS],
    Stage.RESOLVED: [IncidentStatus.RESOLVED],
    Stage.ANY: [],
}


class IncidentFilter(PageFilter):
    """Which incidents are shown."""

    path = "/incidents"

    q: Words = ""
    status: Stage = Stage.UNRESOLVED
    severity: Severity | None = None
    team: Words = ""
    service: Words = ""
    assigned: Words = ""
    """A name, or `me`."""
    since: Since | None = None

    def asked(self, at: datetime, me: str) -> dict[str, Any]:
        """Return the parameters of the services' list, for *me* who looks *at* this time."""
        return {
            "q": self.q or None,
            "status": STATUSES[self.status],
            "severity": self.severity,
            "team": self.team or None,
            "service": self.service or None,
            "assigned_to": (me if self.assigned == ME else self.assigned) or None,
            "since": (at - SPANS[self.since]).isoformat() if self.since else None,
            "cursor": self.cursor,
        }


@dataclass(frozen=True, slots=True)
class SavedFilter:
    """A filter and what its owner calls it."""

    name: str
    filter: IncidentFilter


class Fate(StrEnum):
    """Which alerts, by what became of them."""

    NEW = "new"
    ATTACHED = "attached"
    WAITING = "waiting"
    IGNORED = "ignored"


ACTIONS: Final = {
    Fate.NEW: AlertAction.NEW_INCIDENT,
    Fate.ATTACHED: AlertAction.ATTACHED,
    Fate.WAITING: AlertAction.PENDING,
    Fate.IGNORED: AlertAction.IGNORED,
}


class AlertFilter(PageFilter):
    """Which alerts are shown."""

    path = "/alerts"

    q: Words = ""
    fate: Fate | None = None
    status: AlertStatus | None = None
    severity: Severity | None = None
    service: Words = ""
    incident: UUID | None = None
    """Its alerts, of any time."""
    since: Since = Since.DAY

    def begin(self, at: datetime) -> datetime:
        """Return when the window begins that ends *at* this time."""
        return at - SPANS[self.since]

    def asked(self, at: datetime) -> dict[str, Any]:
        """Return the parameters of the service's list for who looks *at* this time."""
        return {
            "q": self.q or None,
            "action": ACTIONS[self.fate] if self.fate else None,
            "status": self.status,
            "severity": self.severity,
            "service": self.service or None,
            "incident_id": self.incident,
            "since": None if self.incident else self.begin(at).isoformat(),
            "cursor": self.cursor,
        }


class MessageFilter(PageFilter):
    """Which messages are shown."""

    path = "/notifications"

    q: Words = ""
    """A person's name, or an incident's number."""
    channel: RegisteredName | None = None
    status: NotificationStatus | None = None

    def asked(self) -> dict[str, Any]:
        """Return the parameters of the service's list."""
        return {"person": self.q or None, "channel": self.channel, "status": self.status, "cursor": self.cursor}
