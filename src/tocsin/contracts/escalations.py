"""The wire models of escalations: who is paged for an incident, and in which order."""

from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from tocsin.contracts.contact_types import ChannelName, Reported
from tocsin.contracts.incidents import AppendTimelineEntry
from tocsin.contracts.model import Instant, Line, Model, Severity, Text

CATCH_ALL_PERSON: Final = "the catch-all contact"
"""The person of a page to the catch-all contact."""


class Level(StrEnum):
    """A level of an escalation: the people whom one step pages."""

    PRIMARY = "primary"
    SECONDARY = "secondary"
    EVERYONE = "everyone"
    CATCH_ALL = "catch_all"
    """The catch-all contact: nobody is on call, or no page could be delivered."""


class StartEscalation(Model):
    """Start paging for an incident."""

    incident_id: UUID
    number: int
    title: Text
    service: Line
    severity: Severity
    created_at: Instant
    resume: bool = False
    """Whether to page again, at the next level, if paging has been stopped."""


class StopEscalation(Model):
    """Stop paging for an incident."""

    reason: Annotated[str, StringConstraints(pattern=r"^(acknowledged|in_progress|resolved)$")]
    actor: Line


class DeliveryFailed(Model):
    """A page failed permanently."""

    notification_id: UUID
    detail: Text = ""


class Escalate(Model):
    """Page the next level now, or another team."""

    incident_id: UUID
    team: Line | None = None
    reason: Annotated[Text, Field(max_length=1_024)] | None = None
    actor: Line | None = None


class EscalationPage(Model):
    """One message to one person over one channel."""

    notification_id: UUID
    team: str | None = None
    """The team that was paged; null in responses of the previous release."""
    step: int
    level: Level
    person: str
    channel: ChannelName
    reason: str
    """Why this person was paged: the level and the shift."""
    created_at: Instant
    voided_at: Instant | None
    """When it was cancelled, because paging stopped before it was sent."""
    failed_at: Instant | None
    failure: Reported | None


class Escalation(Model):
    """The paging for an incident: the steps so far and the next one."""

    incident_id: UUID
    team: str | None
    """Null if a stop has arrived before the start."""
    team_reason: str | None
    assigned_to: str | None
    """The first person who was paged; null if that was the catch-all."""
    step: int
    """The number of steps executed; it keeps counting when the levels repeat."""
    level: Level | None
    """The level of the latest step."""
    next_level: Level | None
    next_people: list[str]
    next_action_at: Instant | None
    timeout_seconds: float
    stopped_at: Instant | None
    stop_reason: str | None
    pages: list[EscalationPage]
    """The newest 200, oldest first."""


class StartedEscalation(Escalation):
    """An escalation that has just been started."""

    timeline: list[AppendTimelineEntry] = []
    """What its first step adds to the incident's timeline; empty if it was reported to incident-management."""


class QueryRunning(Model):
    """Query for which incidents somebody is paged."""

    incident_ids: Annotated[list[UUID], Field(max_length=1_000, fail_fast=True)]


class RunningEscalations(Model):
    """The incidents whose escalation is running: paging has started and has not been stopped."""

    incident_ids: list[UUID]


class Escalations(Model):
    """The escalations of several incidents, without incidents that have none."""

    items: list[Escalation]
