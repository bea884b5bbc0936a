"""Unavailable services as a page shows them: which, since when, and what still works."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.contracts.services import ALERT_INGESTION, INCIDENT_MANAGEMENT, NOTIFICATION_SERVICE, ONCALL_SERVICE

RETRY_AFTER: Final = timedelta(seconds=4)
"""The same as in `static/live.js`."""
CAPABILITIES: Final = (
    ("Receiving alerts", ALERT_INGESTION),
    ("Opening incidents", INCIDENT_MANAGEMENT),
    ("Acknowledge, resolve, notes", INCIDENT_MANAGEMENT),
    ("Escalations", ONCALL_SERVICE),
    ("Who is on call", ONCALL_SERVICE),
    ("Delivering pages", NOTIFICATION_SERVICE),
)
NAMES: Final = {
    ALERT_INGESTION: "alert ingestion",
    INCIDENT_MANAGEMENT: "incident management",
    ONCALL_SERVICE: "the on-call service",
    NOTIFICATION_SERVICE: "the notification service",
}
IMPACTS: Final = {
    ALERT_INGESTION: "New alerts are rejected, and their senders retry. Alerts received before are processed as usual.",
    INCIDENT_MANAGEMENT: "Alerts are accepted, and become incidents once it is back. Escalations in progress continue.",
    ONCALL_SERVICE: "Pages already queued are still sent. Escalations pause, and continue when it is back.",
    NOTIFICATION_SERVICE: "Pages are queued, and sent when it is back. Until then, call each other.",
}


@dataclass(frozen=True, slots=True)
class Outage:
    """One service that is unavailable."""

    name: str
    since: datetime
    """When this process first noticed."""
    impact: str


@dataclass(frozen=True, slots=True)
class Capability:
    """Something that people rely on, and whether it works now."""

    name: str
    works: bool


@dataclass(frozen=True, slots=True)
class Outages:
    """The state of the services that a page is loaded from."""

    services: list[Outage]
    capabilities: list[Capability]
    retry_at: datetime
    """When an open page reloads."""


def outages_of(since: Mapping[str, datetime], requested: Collection[str], at: datetime) -> Outages:
    """Describe the unavailable services in *since*, and the capabilities that the *requested* services provide."""
    return Outages(
        [Outage(NAMES[peer], begin, IMPACTS[peer]) for peer, begin in sorted(since.items())],
        [Capability(name, peer not in since) for name, peer in CAPABILITIES if peer in requested],
        at + RETRY_AFTER,
    )
