"""The states of an incident, and what MTTA and MTTR are measured between."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.contracts.incidents import IncidentStatus
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.kernel.errors import ConflictError

ALLOWED: Final[Mapping[IncidentStatus, tuple[IncidentStatus, ...]]] = {
    IncidentStatus.OPEN: (IncidentStatus.ACKNOWLEDGED, IncidentStatus.IN_PROGRESS, IncidentStatus.RESOLVED),
    IncidentStatus.ACKNOWLEDGED: (IncidentStatus.IN_PROGRESS, IncidentStatus.RESOLVED),
    IncidentStatus.IN_PROGRESS: (IncidentStatus.RESOLVED,),
    IncidentStatus.RESOLVED: (),
}
"""From each state, where it may go."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of state, with the times it sets."""

    status: IncidentStatus
    acknowledged_at: datetime
    resolved_at: datetime | None
    mtta_seconds: float | None
    """Set by the first step out of `open` alone."""
    mttr_seconds: float | None
    """Set by the step to `resolved` alone."""

    @property
    def stops_paging(self) -> bool:
        """Say whether on-call must be told."""
        return self.mtta_seconds is not None or self.mttr_seconds is not None


def take_step(incident: StoredIncident, target: IncidentStatus, now: datetime) -> Step | None:
    """Return the step to *target*; None where the incident is there already.

    Raise ConflictError, which names the state and what is allowed from it, where the step is not.
    """
    if target is incident.status:
        return None
    if target not in ALLOWED[incident.status]:
        allowed = " or ".join(ALLOWED[incident.status])
        ways = f"from there it can go to {allowed}" if allowed else "that is the end"
        msg = f"Incident #{incident.number} is {incident.status}; {ways}. Nothing was changed."
        raise ConflictError(msg)
    # A transaction's clock stands still while it waits for a lock that a later one held.
    at = max(now, incident.created_at, incident.acknowledged_at or incident.created_at)
    first, last = incident.acknowledged_at is None, target is IncidentStatus.RESOLVED
    took = (at - incident.created_at).total_seconds()
    return Step(
        status=target,
        acknowledged_at=incident.acknowledged_at or at,
        resolved_at=at if last else None,
        mtta_seconds=took if first else None,
        mttr_seconds=took if last else None,
    )
