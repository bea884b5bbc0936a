"""The states of an incident and the transitions between them, from whose times MTTA and MTTR are computed."""

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
"""The transitions allowed from each state."""


@dataclass(frozen=True, slots=True)
class StateTransition:
    """A change of state and the times it sets."""

    status: IncidentStatus
    acknowledged_at: datetime
    resolved_at: datetime | None
    mtta_seconds: float | None
    """Set only by the first transition out of `open`."""
    mttr_seconds: float | None
    """Set only by the transition to `resolved`."""

    @property
    def stops_paging(self) -> bool:
        """Return whether on-call must stop the escalation."""
        return self.mtta_seconds is not None or self.mttr_seconds is not None


def plan_transition(incident: StoredIncident, target: IncidentStatus, now: datetime) -> StateTransition | None:
    """Return the transition to *target*, or None if that is the current state.

    Raise ConflictError, which names the state and the allowed targets, if the transition is not allowed.
    """
    if target is incident.status:
        return None
    if target not in ALLOWED[incident.status]:
        allowed = " or ".join(ALLOWED[incident.status])
        targets = f"from there it can change to {allowed}" if allowed else "that state is final"
        msg = f"Incident #{incident.number} is {incident.status}; {targets}. Nothing was changed."
        raise ConflictError(msg)
    # tocsin.now() is fixed when a transaction begins; after waiting for the row's lock it can be behind the holder's.
    at = max(now, incident.created_at, incident.acknowledged_at or incident.created_at)
    first, last = incident.acknowledged_at is None, target is IncidentStatus.RESOLVED
    elapsed = (at - incident.created_at).total_seconds()
    return StateTransition(
        status=target,
        acknowledged_at=incident.acknowledged_at or at,
        resolved_at=at if last else None,
        mtta_seconds=elapsed if first else None,
        mttr_seconds=elapsed if last else None,
    )
