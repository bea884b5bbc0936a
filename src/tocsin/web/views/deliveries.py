"""How messages fared: under their incident, and each for itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tocsin.channels import CHANNELS
from tocsin.contracts.notifications import Attempt, AttemptOutcome, Notification, NotificationStatus
from tocsin.web.views import words

OUTCOMES: Final = {
    NotificationStatus.QUEUED: ("wait", "clock", "Queued"),
    NotificationStatus.SENT: ("ok", "check", "Delivered"),
    NotificationStatus.FAILED: ("fail", "cross", "Failed"),
    NotificationStatus.CANCELLED: ("mute", "mute", "Not sent"),
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message over one channel."""

    channel: str
    tone: str
    icon: str
    word: str
    detail: str


def delivery_of(message: Notification, at: datetime) -> Delivery:
    """Say how *message* fared, as of *at*."""
    tone, icon, word = OUTCOMES[message.status]
    if message.status is NotificationStatus.QUEUED and message.attempts:
        tone, icon, word = "wait", "retry", "Retrying"
    return Delivery(CHANNELS.label(message.channel), tone, icon, word, _detail(message, at))


def _detail(message: Notification, at: datetime) -> str:
    if message.status is NotificationStatus.SENT and message.finished_at is not None:
        return f"in {words.brief(words.since(message.created_at, message.finished_at))} to {message.recipient}"
    if message.status is NotificationStatus.QUEUED and message.attempts:
        tried = words.count(len(message.attempts), "attempt")
        soon = f", next in {words.lasting(words.since(at, message.next_attempt_at))}" if message.next_attempt_at else ""
        return f"{tried}: {words.cut(message.attempts[-1].answer, 120)}{soon}"
    return words.cut(message.reason or f"to {message.recipient}", 160)


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt."""

    at: datetime
    tone: str
    answer: str
    """What the provider said, and how long it took to."""


def try_of(attempt: Attempt) -> Try:
    """Say how *attempt* ended."""
    tone = "good" if attempt.outcome is AttemptOutcome.SENT else "bad"
    code = f"{attempt.code} " if attempt.code and not attempt.answer.startswith(str(attempt.code)) else ""
    answer = words.cut(code + attempt.answer, 400)
    return Try(attempt.started_at, tone, f"{answer}, after {words.brief(attempt.seconds)}")
