"""What the timeline says of a batch: at most one entry of a kind per incident, however many alerts it brought."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

from tocsin.contracts.incidents import AlertState, EventType
from tocsin.incidents.domain.changes import status_entry
from tocsin.incidents.domain.correlation import Touched
from tocsin.incidents.domain.incident import Entry, excerpt

ACTOR: Final = "alert-ingestion"
AUTO_RESOLVE: Final = "auto-resolve"
NAMED: Final = 3
"""How many senders or remarks an entry spells out."""
MAX_IDS: Final = 20
"""How many alerts an entry names by id."""


def roll_up(item: Touched, window: timedelta) -> Iterator[Entry]:
    """Yield what a batch did to one incident, in the order in which a reader wants it."""
    incident = item.incident
    if item.attached:
        if item.opened:
            event_type, detail = EventType.CREATED, _opened(item, window)
        else:
            event_type = EventType.ALERT_ATTACHED
            detail = f"{_counted(item.attached)} attached: same service and severity."
        remarks = _distinct(alert.remark for alert in item.attached)
        yield Entry(
            incident.id, event_type, ACTOR, " ".join([detail, *map(_sentence, remarks)]), _data(item.attached, remarks)
        )
    if item.recovered:
        left = f"{item.firing_left} still firing" if item.firing_left else "none is firing any more"
        detail = f"{_counted(item.recovered)} resolved by the sender; {left}."
        yield Entry(incident.id, EventType.ALERT_RESOLVED, ACTOR, detail, _data(item.recovered, []))
    if item.moved_away:
        detail = f"{_counted(item.moved_away)} moved to another incident: still firing after this one was resolved."
        yield Entry(incident.id, EventType.ALERT_MOVED, ACTOR, detail, _data(item.moved_away, []))
    if item.step is not None:
        reason = "Resolved by itself: each of its alerts has been resolved by its sender."
        yield status_entry(incident, item.step, actor=AUTO_RESOLVE, detail=reason)


def _opened(item: Touched, window: timedelta) -> str:
    minutes = f"{window.total_seconds() / 60:g}"
    incident = item.incident
    if item.continues:
        numbers = ", ".join(f"#{number}" for number in sorted(item.continues)[:NAMED])
        why = f"still firing after {numbers} was resolved"
    else:
        why = f"no unresolved {incident.severity} incident of {incident.service} within {minutes} min"
    return f"Opened by {_counted(item.attached)}: {why}."


def _counted(alerts: Sequence[AlertState]) -> str:
    """Return such as `3 alerts from alertmanager`."""
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
    return list(dict.fromkeys(text for text in texts if text))[:NAMED]


def _sentence(remark: str) -> str:
    text = excerpt(remark, 300)
    return text if text.endswith((".", "…")) else f"{text}."
