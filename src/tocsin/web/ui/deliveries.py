"""The delivery status of a message, below its incident and on its own."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.channels import CHANNELS
from tocsin.contracts.notifications import Attempt, AttemptOutcome, Notification, NotificationStatus
from tocsin.web.ui import format as fmt

OUTCOMES: Final = {
    NotificationStatus.QUEUED: ("wait", "clock", "Queued"),
    NotificationStatus.SENT: ("ok", "check", "Delivered"),
    NotificationStatus.FAILED: ("fail", "cross", "Failed"),
    NotificationStatus.CANCELLED: ("mute", "mute", "Cancelled"),
}
TENTHS_UNDER: Final = 10.0
"""Seconds; deliveries are expected to be fast."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message over one channel."""

    channel: str
    tone: str
    icon: str
    label: str
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One attempt to deliver a message."""

    at: datetime
    tone: str
    response: str
    """The provider's response, and how long it took."""


def delivery_of(message: Notification, at: datetime) -> Delivery:
    """Return the delivery status of *message*, as of *at*."""
    tone, icon, label = OUTCOMES[message.status]
    if message.status is NotificationStatus.QUEUED and message.attempts:
        tone, icon, label = "wait", "retry", "Retrying"
    return Delivery(CHANNELS.label(message.channel), tone, icon, label, _detail(message, at))


def attempt_of(attempt: Attempt) -> DeliveryAttempt:
    """Return how *attempt* ended."""
    tone = "good" if attempt.outcome is AttemptOutcome.SENT else "bad"
    code = f"{attempt.code} " if attempt.code and not attempt.answer.startswith(str(attempt.code)) else ""
    response = fmt.cut(code + attempt.answer, 400)
    return DeliveryAttempt(attempt.started_at, tone, f"{response}, after {latency(attempt.seconds)}")


def latency(seconds: float) -> str:
    """Format the time that a delivery took."""
    return fmt.duration(seconds, tenths_under=TENTHS_UNDER)


def _detail(message: Notification, at: datetime) -> str:
    if message.status is NotificationStatus.SENT and message.finished_at is not None:
        return f"in {latency(fmt.since(message.created_at, message.finished_at))} to {message.recipient}"
    if message.status is NotificationStatus.QUEUED and message.attempts:
        attempts = fmt.count(len(message.attempts), "attempt")
        due = message.next_attempt_at
        retry = f", next in {fmt.duration(fmt.since(at, due))}" if due else ""
        return f"{attempts}: {fmt.cut(message.attempts[-1].answer, 120)}{retry}"
    return fmt.cut(message.reason or f"to {message.recipient}", 160)
