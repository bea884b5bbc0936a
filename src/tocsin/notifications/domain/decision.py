"""Decisions: whether to send a message, and whether to retry it after an attempt."""

from dataclasses import dataclass
from typing import Final

from tocsin.channels.message import Outcome, storable
from tocsin.contracts.incidents import IncidentStates, IncidentStatus
from tocsin.contracts.notifications import AttemptOutcome, NotificationKind, NotificationStatus
from tocsin.notifications.domain.leased_message import LeasedMessage

MAX_RETRY_AFTER_SECONDS: Final = 120.0
"""A longer Retry-After is reduced to this, because a page is urgent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a message is given up, and fails."""

    tries: int
    """After this many attempts."""
    seconds: float
    """If the next attempt would begin later than this after the first one."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The status of a message after an attempt."""

    status: NotificationStatus
    reason: str | None
    delay: float | None
    """Seconds until the next attempt; None if there is none."""


def is_needed(message: LeasedMessage, incidents: IncidentStates) -> bool:
    """Return whether to send *message*: not if it is a page of an incident that has been acknowledged.

    For a redelivered page, only an acknowledgement after the redelivery counts. An incident that is missing in
    *incidents* counts as open.
    """
    state = incidents.states.get(message.incident_id, IncidentStatus.OPEN)
    if message.kind is not NotificationKind.PAGE or state is IncidentStatus.OPEN:
        return True
    if message.redelivered_at is None:
        return False
    answered_at = incidents.answered_at.get(message.incident_id)
    return answered_at is None or answered_at < message.redelivered_at


def decide(outcome: Outcome, *, tries: int, waited_seconds: float, pause: float, limits: Limits) -> Decision:
    """Return the status after attempt number *tries*, which ended *waited_seconds* after the first one began.

    *pause* is the back-off before the next attempt, in seconds.
    """
    if outcome.outcome is AttemptOutcome.SENT:
        return Decision(NotificationStatus.SENT, None, None)
    if outcome.outcome is AttemptOutcome.FAILED:
        return Decision(NotificationStatus.FAILED, outcome.detail, None)
    delay = max(pause, min(outcome.retry_after, MAX_RETRY_AFTER_SECONDS))
    if tries >= limits.tries or waited_seconds + delay > limits.seconds:
        reason = f"given up after {tries} {'try' if tries == 1 else 'tries'}; the last: {outcome.detail}"
        return Decision(NotificationStatus.FAILED, storable(reason), None)
    return Decision(NotificationStatus.QUEUED, outcome.detail, delay)
