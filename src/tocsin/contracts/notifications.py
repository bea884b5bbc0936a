"""The wire models of notification-service, and the body of a webhook."""

from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import StringConstraints, model_validator

from tocsin.contracts.contact_types import ChannelName, Recipient, Reported, ShownAddress
from tocsin.contracts.model import Instant, Line, Model, Severity, Text


class NotificationKind(StrEnum):
    """Why a message is sent."""

    PAGE = "page"
    """A page of an escalation: cancelled when the incident is acknowledged or resolved."""
    MESSAGE = "message"


class NotificationStatus(StrEnum):
    """The state of a message."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    """A dead letter: it can be redelivered."""
    CANCELLED = "voided"
    """The incident was acknowledged or resolved before the page was sent. It can be redelivered, too."""


class AttemptOutcome(StrEnum):
    """How one attempt ended."""

    SENT = "sent"
    RETRY = "retry"
    FAILED = "failed"


class IncidentBrief(Model):
    """An incident, as a page describes it."""

    number: int
    title: Text
    service: Text
    severity: Severity
    created_at: Instant


class PageDetails(Model):
    """Details that only pages have."""

    step: int
    level: Text
    person: Line
    reason: Text
    """Why this person is paged."""
    incident: IncidentBrief
    paged_at: Instant | None = None
    """When on-call decided to page."""


class Notify(Model):
    """Deliver one message to one recipient over one channel."""

    incident_id: UUID
    channel: ChannelName
    recipient: Recipient
    message: Annotated[Text, StringConstraints(min_length=1, max_length=16_384)]
    kind: NotificationKind = NotificationKind.MESSAGE
    page: PageDetails | None = None
    notification_id: UUID | None = None
    """The delivery id. A repeat with the same id is a no-op."""

    @model_validator(mode="after")
    def check(self) -> Self:
        """Require `page` for pages, and reject it for other messages."""
        if (self.kind is NotificationKind.PAGE) != (self.page is not None):
            msg = '`page` is required for kind "page" and not allowed otherwise'
            raise ValueError(msg)
        return self


class NotificationQueued(Model):
    """The message is stored and will be delivered."""

    notification_id: UUID
    status: NotificationStatus


class Attempt(Model):
    """One attempt to deliver a message."""

    number: int
    outcome: AttemptOutcome
    code: int | None
    """The provider's status code, if it has one."""
    answer: Reported
    started_at: Instant
    seconds: float


class Notification(Model):
    """A message and its attempts."""

    id: UUID
    incident_id: UUID
    kind: NotificationKind
    channel: ChannelName
    recipient: ShownAddress
    """The address, without the password of a URL."""
    person: str | None
    message: str
    status: NotificationStatus
    reason: Reported | None
    """Why it has this status: the last error, or why it was cancelled."""
    attempts: list[Attempt]
    """The newest 100."""
    next_attempt_at: Instant | None
    created_at: Instant
    finished_at: Instant | None
    digest_id: UUID | None = None
    """The delivery id of the digest in which it was sent, together with others that were over ten minutes late."""


class ChannelSummary(Model):
    """The messages over one channel, by status."""

    channel: ChannelName
    sent: int
    queued: int
    """Not finished yet, retries included."""
    retrying: int
    """Queued messages that have been tried."""
    failed: int
    voided: int


class NotificationSummary(Model):
    """The messages of a window, by channel and status."""

    by_channel: list[ChannelSummary]
    """Channels that were used."""
    median_seconds: float | None
    """The median time to delivery; null if nothing was delivered."""
    cut_at: Instant | None
    """Only the newest 10,000 messages are counted: when the oldest of them was queued; null if there are fewer."""


class CancelPages(Model):
    """Cancel the pages of an incident that have not been sent."""

    incident_id: UUID
    reason: Text
    paged_until: Instant | None = None
    """Cancel those decided until this instant: paging may be resumed after it. Null cancels all, also later ones."""


class PagesCancelled(Model):
    """The number of the incident's cancelled pages, by this call and earlier ones."""

    voided: int


class DigestEntry(Model):
    """One incident that a digest names."""

    incident_id: UUID
    incident: IncidentBrief
    notification_ids: list[UUID]
    """The pages for it that the digest replaces."""


class WebhookBody(Model):
    """The body that a webhook receives by POST, the same bytes at every attempt.

    The headers `Idempotency-Key` and `X-Tocsin-Delivery` carry the delivery id, `X-Tocsin-Attempt` counts from 1. A
    status of 2xx within 10 seconds means delivered; 429 and 5xx are retried, after `Retry-After` if given; every other
    status is final.
    """

    version: int = 1
    kind: NotificationKind
    delivery_id: UUID
    """The same at every attempt and redelivery: process each id once."""
    incident_id: UUID
    message: str
    page: PageDetails | None
    """Null for a plain message."""
    incident_url: str | None
    """The page on which to acknowledge; null if `PUBLIC_URL` is not set."""
    created_at: Instant
    digest: list[DigestEntry] | None = None
    """Two or more pages to a recipient that are over ten minutes late are sent as one digest: its `message` names up to
    50 unacknowledged incidents, its `page` is the newest. Null otherwise."""
