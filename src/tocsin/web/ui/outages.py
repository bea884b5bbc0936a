"""Unavailable services as a page shows them: which, since when, and what still works."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tocsin.clients import alerts, incidents, notifications, oncall

RETRY_AFTER: Final = timedelta(seconds=10)
"""The same as in `static/live.js`."""
CAPABILITIES: Final = (
    ("Receiving alerts", alerts.PEER),
    ("Opening incidents", incidents.PEER),
    ("Acknowledge, resolve, notes", incidents.PEER),
    ("Escalations", oncall.PEER),
    ("Who is on call", oncall.PEER),
    ("Delivering pages", notifications.PEER),
)
NAMES: Final = {
    alerts.PEER: "alert ingestion",
    incidents.PEER: "incident management",
    oncall.PEER: "the on-call service",
    notifications.PEER: "the notification service",
}
IMPACTS: Final = {
    alerts.PEER: "New alerts are rejected, and their senders retry. Alerts received before are processed as usual.",
    incidents.PEER: "Alerts are still accepted, and become incidents when it is back. Pages in progress continue.",
    oncall.PEER: "Pages already queued are sent. Escalations pause, and continue by themselves when it is back.",
    notifications.PEER: "Pages are queued, and sent by themselves when it is back. Until then, call each other.",
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
    """When an open page loads again."""


def outages_of(since: Mapping[str, datetime], requested: Collection[str], at: datetime) -> Outages:
    """Describe the services that are unavailable *since* then, and the capabilities of all that were *requested*."""
    return Outages(
        [Outage(NAMES[peer], begin, IMPACTS[peer]) for peer, begin in sorted(since.items())],
        [Capability(name, peer not in since) for name, peer in CAPABILITIES if peer in requested],
        at + RETRY_AFTER,
    )
