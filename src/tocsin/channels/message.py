"""A message as a channel sends it, and how an attempt to send it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.notifications import AttemptOutcome, DigestEntry, NotificationKind, PageDetails

MAX_ANSWER_BYTES: Final = 2_048
"""How much of a provider's response is stored."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address."""

    delivery_id: UUID
    """The same at every attempt."""
    incident_id: UUID
    kind: NotificationKind
    address: str
    text: str
    page: PageDetails | None
    created_at: datetime
    attempt: int
    """Counted from 1."""
    request_id: str = ""
    digest: Sequence[DigestEntry] = ()
    """The incidents that it names; empty where it is about one alone."""
    public_url: str | None = None
    """Where people open the web pages."""

    @property
    def incident_url(self) -> str | None:
        """The page of the incident, or of a digest's newest; None where `PUBLIC_URL` is not set."""
        return None if self.public_url is None else f"{self.public_url}/incidents/{self.incident_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended."""

    outcome: AttemptOutcome
    answer: str
    """The provider's response, at most MAX_ANSWER_BYTES of it, or why no request was made."""
    code: int | None = None
    """The provider's status code, where it has one."""
    retry_after: float = 0.0
    """Seconds before which the provider wants no further attempt."""

    @classmethod
    def sent(cls, answer: str, code: int | None = None) -> "Outcome":
        """Return the outcome of a message that the provider accepted."""
        return cls(AttemptOutcome.SENT, storable(answer), code)

    @classmethod
    def retry(cls, answer: str, code: int | None = None, retry_after: float = 0.0) -> "Outcome":
        """Return the outcome of a failure that another attempt may not meet."""
        return cls(AttemptOutcome.RETRY, storable(answer), code, retry_after)

    @classmethod
    def failed(cls, answer: str, code: int | None = None) -> "Outcome":
        """Return the outcome of a failure that every further attempt would meet."""
        return cls(AttemptOutcome.FAILED, storable(answer), code)


def storable(answer: str) -> str:
    """Return the first MAX_ANSWER_BYTES of *answer* as PostgreSQL stores them: no NUL, no half character."""
    clean = answer.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean.encode(errors="replace")[:MAX_ANSWER_BYTES].decode(errors="ignore")


def one_line(text: str, limit: int) -> str:
    """Return *text* as one line of at most *limit* characters, without control characters."""
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
