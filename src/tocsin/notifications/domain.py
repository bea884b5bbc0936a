"""What a message is, and when it is worth another try: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tocsin.channels.message import Message, Outcome, storable
from tocsin.contracts.incidents import IncidentStates, IncidentStatus
from tocsin.contracts.notifications import (
    AttemptOutcome,
    NotificationKind,
    NotificationStatus,
    PageDetails,
)

MAX_RETRY_AFTER_SECONDS: Final = 120.0
"""A receiver that asks for a longer pause is asked again after this one: somebody waits for the page."""


@dataclass(frozen=True, slots=True)
class LeasedMessage:
    """A message that this process may send until its lease ends."""

    id: UUID
    incident_id: UUID
    kind: NotificationKind
    channel: str
    recipient: str
    address: str
    lane: str
    message: str
    page: PageDetails | None
    attempts: int
    """This attempt's number: nobody else has it."""
    tries: int
    """Attempts since the message was queued, or queued again by a person."""
    waited_seconds: float
    """Since the first of those tries, by the database's clock."""
    age_seconds: float
    """Since the message was accepted, by the database's clock."""
    late_seconds: float
    """Since on-call decided on it, or a person wanted it again, by the database's clock."""
    request_id: str
    trace_context: str | None
    created_at: datetime
    redelivered_at: datetime | None
    expires: float
    """When the lease ends, by this process's monotonic clock."""

    def to_send(self, public_url: str | None) -> Message:
        """Return what a channel must know."""
        return Message(
            delivery_id=self.id,
            incident_id=self.incident_id,
            kind=self.kind,
            address=self.address,
            text=self.message,
            page=self.page,
            created_at=self.created_at,
            attempt=self.attempts,
            request_id=self.request_id,
            public_url=public_url,
        )

    def addressee(self) -> str:
        """Return whom a sentence about this message names."""
        return f"{self.page.person} ({self.recipient})" if self.page is not None else self.recipient


def is_wanted(message: LeasedMessage, incidents: IncidentStates) -> bool:
    """Say whether a message is to go out, as far as *incidents* tells: a page is not, once somebody has answered.

    One that a person has sent again is, unless the answer came later than that.
    """
    state = incidents.states.get(message.incident_id, IncidentStatus.OPEN)
    if message.kind is not NotificationKind.PAGE or state is IncidentStatus.OPEN:
        return True
    if message.redelivered_at is None:
        return False
    answered_at = incidents.answered_at.get(message.incident_id)
    return answered_at is None or answered_at < message.redelivered_at


@dataclass(frozen=True, slots=True)
class Limits:
    """When to give a message up."""

    tries: int
    seconds: float
    """Since the first try."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a message after an attempt."""

    status: NotificationStatus
    reason: str | None
    delay: float | None
    """Seconds until the next attempt; None when there is none."""


def judge(outcome: Outcome, *, tries: int, waited_seconds: float, pause: float, limits: Limits) -> Verdict:
    """Decide after the attempt number *tries*, *waited_seconds* after the first, with *pause* as the next back-off."""
    if outcome.outcome is AttemptOutcome.SENT:
        return Verdict(NotificationStatus.SENT, None, None)
    if outcome.outcome is AttemptOutcome.FAILED:
        return Verdict(NotificationStatus.FAILED, outcome.answer, None)
    delay = max(pause, min(outcome.retry_after, MAX_RETRY_AFTER_SECONDS))
    if tries >= limits.tries or waited_seconds + delay > limits.seconds:
        reason = f"given up after {tries} {'try' if tries == 1 else 'tries'}; the last: {outcome.answer}"
        return Verdict(NotificationStatus.FAILED, storable(reason), None)
    return Verdict(NotificationStatus.QUEUED, outcome.answer, delay)


def leased(row: Mapping[str, Any], *, expires: float) -> LeasedMessage:
    """Read a leased row."""
    read = {
        "kind": NotificationKind(row["kind"]),
        "page": None if row["page"] is None else PageDetails.model_validate(row["page"]),
    }
    return LeasedMessage(**{**row, **read}, expires=expires)
