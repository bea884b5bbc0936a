"""The timeline entries of a correlated batch: at most one of each type per incident, however many alerts it has."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from tocsin.contracts.incidents import AlertState, EventType
from tocsin.contracts.services import ALERT_INGESTION, AUTO_RESOLVE
from tocsin.incidents.domain.changes import status_entry
from tocsin.incidents.domain.correlation import IncidentDelta
from tocsin.incidents.domain.incident import NewTimelineEntry, excerpt

MAX_NAMES: Final = 3
"""The maximum number of senders, remarks or incident numbers in an entry's text."""
MAX_IDS: Final = 20
"""The maximum number of alert ids in an entry's data."""


def timeline_entries(delta: IncidentDelta, window: timedelta) -> Iterator[NewTimelineEntry]:
    """Yield the entries for one incident, oldest first."""
    incident = delta.incident
    if delta.attached:
        if delta.opened:
            event_type, detail = EventType.CREATED, _opened(delta, window)
        else:
            event_type = EventType.ALERT_ATTACHED
            detail = f"{_counted(delta.attached)} attached: same service and severity."
        remarks = _distinct(alert.remark for alert in delta.attached)
        detail = " ".join([detail, *map(_sentence, remarks)])
        yield NewTimelineEntry(incident.id, event_type, ALERT_INGESTION, detail, _data(delta.attached, remarks))
    if delta.recovered:
        left = f"{delta.firing_left} still firing" if delta.firing_left else "none is firing any more"
        detail = f"{_counted(delta.recovered)} resolved by the sender; {left}."
        data = _data(delta.recovered, [])
        yield NewTimelineEntry(incident.id, EventType.ALERT_RESOLVED, ALERT_INGESTION, detail, data)
    if delta.moved_away:
        detail = f"{_counted(delta.moved_away)} moved to another incident: still firing after this one was resolved."
        yield NewTimelineEntry(incident.id, EventType.ALERT_MOVED, ALERT_INGESTION, detail, _data(delta.moved_away, []))
    if delta.transition is not None:
        reason = "Resolved automatically: each of its alerts has been resolved by its sender."
        yield status_entry(incident, delta.transition, actor=AUTO_RESOLVE, detail=reason)


def _opened(delta: IncidentDelta, window: timedelta) -> str:
    incident = delta.incident
    if delta.continues:
        numbers = ", ".join(f"#{number}" for number in sorted(delta.continues)[:MAX_NAMES])
        reason = f"still firing after {numbers} was resolved"
    else:
        minutes = f"{window.total_seconds() / 60:g}"
        reason = f"no unresolved {incident.severity} incident of {incident.service} within {minutes} min"
    return f"Opened by {_counted(delta.attached)}: {reason}."


def _counted(alerts: Sequence[AlertState]) -> str:
    """Return text such as `3 alerts from alertmanager`."""
    sources = _distinct(alert.source for alert in alerts)
    senders = f" from {', '.join(excerpt(source, 60) for source in sources)}" if sources else ""
    return f"{len(alerts)} alert{'s' if len(alerts) > 1 else ''}{senders}"


def _data(alerts: Sequence[AlertState], remarks: Sequence[str]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "alerts": len(alerts),
        "alert_ids": [str(alert.alert_id) for alert in alerts[:MAX_IDS]],
        "message": excerpt(alerts[0].message),
    }
    return data | {"remarks": list(remarks)} if remarks else data


def _distinct(texts: Iterator[str | None]) -> list[str]:
    return list(dict.fromkeys(text for text in texts if text))[:MAX_NAMES]


def _sentence(remark: str) -> str:
    text = excerpt(remark, 300)
    return text if text.endswith((".", "…")) else f"{text}."
