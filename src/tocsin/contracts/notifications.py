"""What on-call and people exchange with notification-service."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from tocsin.contracts.model import Instant, Line, Model, Severity, Text
from tocsin.contracts.oncall import Address, Channel, mail_address


class NotificationKind(StrEnum):
    """Why a message goes out."""

    PAGE = "page"
    """Of an escalation: not sent any more once somebody has answered."""
    MESSAGE = "message"


class NotificationStatus(StrEnum):
    """How far a message has come."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    """A dead letter: redeliver it by hand."""
    VOIDED = "voided"
    """Somebody answered before it went out."""


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"


class IncidentBrief(Model):
    """What a page says of its incident."""

    number: int
    title: Text
    service: str
    severity: Severity
    created_at: Instant


class PageDetails(Model):
    """What only pages carry."""

    step: int
    level: str
    person: Line
    reason: Text
    """Why this person."""
    incident: IncidentBrief


class Notify(Model):
    """Deliver one message to one recipient over one channel."""

    incident_id: UUID
    channel: Channel
    recipient: Address
    message: Annotated[Text, StringConstraints(min_length=1, max_length=16_384)]
    kind: NotificationKind = NotificationKind.MESSAGE
    page: PageDetails | None = None
    notification_id: UUID | None = None
    """The delivery id. A repeat of the same one changes nothing."""

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse a page without its details, and a recipient that does not fit the channel."""
        if (self.kind is NotificationKind.PAGE) != (self.page is not None):
            msg = "`page` goes with kind \"page\", and only with it"
            raise ValueError(msg)
        if self.channel is Channel.EMAIL:
            mail_address(self.recipient)
        if self.channel is Channel.WEBHOOK and not self.recipient.startswith(("http://", "https://")):
            msg = "the recipient of a webhook is an http or https URL"
            raise ValueError(msg)
        return self


class NotificationQueued(Model):
    """The message is stored and will be delivered."""

    notification_id: UUID
    status: NotificationStatus


class Attempt(Model):
    """One try to deliver."""

    number: int
    outcome: AttemptOutcome
    code: int | None
    """The provider's answer code, where it has one."""
    answer: str
    started_at: Instant
    seconds: float


class Notification(Model):
    """A message and what became of it."""

    id: UUID
    incident_id: UUID
    kind: NotificationKind
    channel: Channel
    recipient: str
    person: str | None
    message: str
    status: NotificationStatus
    reason: str | None
    """Why it is where it is: the last error, or why it was voided."""
    attempts: Annotated[list[Attempt], Field(max_length=200)]
    next_attempt_at: Instant | None
    created_at: Instant
    finished_at: Instant | None


class VoidNotifications(Model):
    """Somebody answered: the pages for this incident that have not gone out must not."""

    incident_id: UUID
    reason: Text


class Voided(Model):
    """How many messages were stopped."""

    voided: int
