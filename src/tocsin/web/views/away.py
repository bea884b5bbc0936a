"""What a page says of services that do not answer: which, since when, and what still works."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.clients import alerts, incidents, notifications, oncall

AGAIN: Final = timedelta(seconds=10)
"""As `static/live.js` does it."""
CAPABILITIES: Final = (
    ("Alerts come in", alerts.PEER),
    ("Incidents open", incidents.PEER),
    ("Acknowledge, resolve, notes", incidents.PEER),
    ("Escalations go on", oncall.PEER),
    ("Who is on call", oncall.PEER),
    ("Pages are delivered", notifications.PEER),
)
NAMES: Final = {
    alerts.PEER: "alert ingestion",
    incidents.PEER: "incident management",
    oncall.PEER: "the on-call service",
    notifications.PEER: "the notification service",
}
MEANINGS: Final = {
    alerts.PEER: "New alerts are refused, and their senders try again. What came in before goes on as it should.",
    incidents.PEER: "Alerts are still taken, and become incidents when it is back. Pages under way go on.",
    oncall.PEER: "Pages already handed over are sent. Escalations wait and go on by themselves when it is back.",
    notifications.PEER: "Pages queue and go out by themselves when it is back. Until then, call each other.",
}


@dataclass(frozen=True, slots=True)
class Away:
    """One service that does not answer."""

    name: str
    since: datetime
    """When this process first found it so."""
    meaning: str


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that people count on, and whether it works now."""

    name: str
    works: bool


@dataclass(frozen=True, slots=True)
class Degraded:
    """The state of the services that a page asked."""

    away: list[Away]
    capabilities: list[Capability]
    again_at: datetime
    """When an open page asks again."""


def degraded(away: Mapping[str, datetime], asked: Collection[str], at: datetime) -> Degraded:
    """Say what *away* (service, since when) means at *at*; what depends on a service not *asked* is left out."""
    return Degraded(
        [Away(NAMES[peer], since, MEANINGS[peer]) for peer, since in sorted(away.items())],
        [Capability(name, peer not in away) for name, peer in CAPABILITIES if peer in asked],
        at + AGAIN,
    )
