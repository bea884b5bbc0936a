"""The view of the form that opens an incident."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.contracts.model import Page, Severity
from tocsin.contracts.oncall import Schedule
from tocsin.kernel.errors import FieldError
from tocsin.web.ui.cached import Cached
from tocsin.web.ui.conflict import Rejection
from tocsin.web.ui.outages import Outages

FIELDS: Final = ("title", "service", "severity", "description")


@dataclass(frozen=True, slots=True)
class NewIncidentData:
    """What the services returned."""

    at: datetime
    schedules: Cached[Page[Schedule]]
    outages: Outages


@dataclass(frozen=True, slots=True)
class NewIncidentView:
    """All that the page shows."""

    at: datetime
    values: Mapping[str, str]
    errors: Mapping[str, str]
    """By field."""
    rejection: Rejection | None
    services: Sequence[str]
    severities: Sequence[Severity]
    no_team: bool
    """Whether it is known that no team has a schedule: the catch-all contact is paged."""
    outages: Outages


def new_incident_view(
    data: NewIncidentData,
    given: Mapping[str, str],
    *,
    errors: Sequence[FieldError] = (),
    rejection: Rejection | None = None,
) -> NewIncidentView:
    """Build the form filled with what was *given*, beside the services that the teams own."""
    schedules = data.schedules.value.items if data.schedules.value else []
    owned = {service for schedule in schedules for service in schedule.services}
    return NewIncidentView(
        at=data.at,
        values={name: given.get(name, "") for name in FIELDS},
        errors={error["pointer"]: error["detail"] for error in errors},
        rejection=rejection,
        services=sorted(owned, key=str.casefold),
        severities=list(Severity),
        no_team=data.schedules.value is not None and not schedules,
        outages=data.outages,
    )
