"""What a message is, and when it is worth another try: pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

from tocsin.contracts.incidents import IncidentStates, IncidentStatus
from tocsin.contracts.notifications import (
    AttemptOutcome,
    DigestEntry,
    NotificationKind,
    NotificationStatus,
    PageDetails,
)
from tocsin.contracts.oncall import Channel

MAX_ANSWER_BYTES: Final = 2_048
"""How much of a provider's answer is kept."""
MAX_RETRY_AFTER_SECONDS: Final = 120.0
"""A receiver that asks for a longer pause is asked again after this one: somebody waits for the page."""
MAX_HOST: Final = 253
"""Characters of a host's name that tell lanes apart; the longest that DNS knows (RFC 1035)."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
HIDDEN: Final = "***"


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a channel sends it."""

    delivery_id: UUID
    """The same at every attempt."""
    incident_id: UUID
    kind: NotificationKind
    address: str
    text: str
    page: PageDetails | None
    created_at: datetime
    attempt: int
    digest: Sequence[DigestEntry] = ()
    """The incidents that it names; empty where it is about one alone."""

    def incident_url(self, public_url: str | None) -> str | None:
        """Return where the incident, or the newest, is looked at and answered; None where that address is not known."""
        return None if public_url is None else f"{public_url}/incidents/{self.incident_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended."""

    outcome: AttemptOutcome
    answer: str
    """What the provider said, at most MAX_ANSWER_BYTES of it, or what kept us from asking."""
    code: int | None = None
    """The provider's answer code, where it has one."""
    retry_after: float = 0.0
    """Seconds for which the provider asks to be left alone."""

    @classmethod
    def sent(cls, answer: str, code: int | None = None) -> "Outcome":
        """Say that the provider has taken the message."""
        return cls(AttemptOutcome.SENT, kept(answer), code)

    @classmethod
    def retry(cls, answer: str, code: int | None = None, retry_after: float = 0.0) -> "Outcome":
        """Say that it did not work this time; another try may succeed."""
        return cls(AttemptOutcome.RETRY, kept(answer), code, retry_after)

    @classmethod
    def failed(cls, answer: str, code: int | None = None) -> "Outcome":
        """Say that another try would end the same way."""
        return cls(AttemptOutcome.FAILED, kept(answer), code)


@dataclass(frozen=True, slots=True)
class LeasedMessage:
    """A message that this process may send until its lease ends."""

    id: UUID
    incident_id: UUID
    kind: NotificationKind
    channel: Channel
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

    def to_send(self) -> Message:
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
        return Verdict(NotificationStatus.FAILED, kept(reason), None)
    return Verdict(NotificationStatus.QUEUED, outcome.answer, delay)


def lane_of(channel: Channel, address: str) -> str:
    """Return what must share its slots: a channel's messages, and of webhooks those to one host and port."""
    if channel is not Channel.WEBHOOK:
        return channel.value
    parts = urlsplit(address)
    port = parts.port or DEFAULT_PORTS[parts.scheme]
    return f"{channel.value} {(parts.hostname or '')[:MAX_HOST]}:{port}"


def shown(address: str) -> str:
    """Return *address* without the credentials that a URL may carry."""
    if not address.startswith(("http://", "https://")) or "@" not in address:
        return address
    parts = urlsplit(address)
    _, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{HIDDEN}@{host}")) if at else address


def one_line(text: str, limit: int) -> str:
    """Return *text* on one line of at most *limit* characters, with nothing in it that a terminal or a header obeys."""
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def kept(answer: str) -> str:
    """Return the beginning of *answer* that is kept. PostgreSQL stores neither NUL nor half a character."""
    clean = answer.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean.encode(errors="replace")[:MAX_ANSWER_BYTES].decode(errors="ignore")


def leased(row: Mapping[str, Any], *, expires: float) -> LeasedMessage:
    """Read a leased row."""
    read = {
        "kind": NotificationKind(row["kind"]),
        "channel": Channel(row["channel"]),
        "page": None if row["page"] is None else PageDetails.model_validate(row["page"]),
    }
    return LeasedMessage(**{**row, **read}, expires=expires)
