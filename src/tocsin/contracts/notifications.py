"""What on-call and people exchange with notification-service."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import StringConstraints, model_validator

from tocsin.contracts.contact_types import Address, ChannelName
from tocsin.contracts.model import Instant, Line, Model, Severity, Text


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
    paged_at: Instant | None = None
    """When on-call decided on it."""


class Notify(Model):
    """Deliver one message to one recipient over one channel."""

    incident_id: UUID
    channel: ChannelName
    recipient: Address
    message: Annotated[Text, StringConstraints(min_length=1, max_length=16_384)]
    kind: NotificationKind = NotificationKind.MESSAGE
    page: PageDetails | None = None
    notification_id: UUID | None = None
    """The delivery id. A repeat of the same one changes nothing."""

    @model_validator(mode="after")
    def check(self) -> Self:
        """Refuse a page without its details."""
        if (self.kind is NotificationKind.PAGE) != (self.page is not None):
            msg = '`page` goes with kind "page", and only with it'
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
    channel: ChannelName
    recipient: str
    """Without the password that a URL may carry."""
    person: str | None
    message: str
    status: NotificationStatus
    reason: str | None
    """Why it is where it is: the last error, or why it was voided."""
    attempts: list[Attempt]
    """The newest 100."""
    next_attempt_at: Instant | None
    created_at: Instant
    finished_at: Instant | None
    digest_id: UUID | None = None
    """The delivery id under which it went out together with others, having waited for over ten minutes."""


class ChannelSummary(Model):
    """How the messages over one channel fared."""

    channel: ChannelName
    sent: int
    queued: int
    """Not finished yet, with those that are tried again."""
    retrying: int
    """Of the queued: tried before."""
    failed: int
    voided: int


class NotificationSummary(Model):
    """What became of the messages of a window."""

    by_channel: list[ChannelSummary]
    """Only channels that were used."""
    median_seconds: float | None
    """Within how long half of the delivered ones arrived; null where none did."""
    cut_at: Instant | None
    """Where there were more than 10,000: since when these, the newest, were queued. Null where all are counted."""


class VoidNotifications(Model):
    """Somebody answered: the pages for this incident that have not gone out must not."""

    incident_id: UUID
    reason: Text


class Voided(Model):
    """How many pages for the incident were stopped, by this and by earlier calls."""

    voided: int


class DigestEntry(Model):
    """One incident that a digest names."""

    incident_id: UUID
    incident: IncidentBrief
    notification_ids: list[UUID]
    """The pages for it that the digest stands for."""


class WebhookBody(Model):
    """What a webhook receives, by POST, the same bytes at every attempt.

    The headers `Idempotency-Key` and `X-Tocsin-Delivery` carry the delivery id, `X-Tocsin-Attempt` counts from 1. Only
    an answer of 2xx within 10 seconds counts as delivered; 429 and 5xx are tried again, after what `Retry-After` says;
    all others are final.
    """

    version: int = 1
    kind: NotificationKind
    delivery_id: UUID
    """The same at every attempt, and when a person sends it again: receive one id once."""
    incident_id: UUID
    message: str
    page: PageDetails | None
    """Null for a plain message."""
    incident_url: str | None
    """Where people answer; null where `PUBLIC_URL` is not set."""
    created_at: Instant
    digest: list[DigestEntry] | None = None
    """Null, but for pages that waited for over ten minutes: they go out as one, whose `message` names the incidents
    that still wait, and whose `page` is the newest."""
