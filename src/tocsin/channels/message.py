"""A message for a channel to send, and the outcome of an attempt to send it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.contact_types import masked_in
from tocsin.contracts.notifications import AttemptOutcome, DigestEntry, NotificationKind, PageDetails

MAX_DETAIL_BYTES: Final = 2_048
"""How much of a provider's response is stored."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one address."""

    delivery_id: UUID
    """The same for every attempt."""
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
    """The incidents of a digest; empty if the message is about one incident."""
    public_url: str | None = None
    """Base URL of the web pages."""

    @property
    def incident_url(self) -> str | None:
        """URL of the incident, or of a digest's newest incident; None if `PUBLIC_URL` is not set."""
        return None if self.public_url is None else f"{self.public_url}/incidents/{self.incident_id}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt."""

    outcome: AttemptOutcome
    detail: str
    """The first MAX_DETAIL_BYTES of the provider's response, or why there is none."""
    code: int | None = None
    """The provider's status code, if any."""
    retry_after: float = 0.0
    """The seconds that the provider requests between this attempt and the next one."""

    def without(self, address: str) -> "Outcome":
        """Return this outcome with *address* masked in its detail, which is logged, and shown to others."""
        return replace(self, detail=storable(masked_in(self.detail, address)))

    @classmethod
    def sent(cls, detail: str, code: int | None = None) -> "Outcome":
        """Return the outcome of a message that the provider accepted."""
        return cls(AttemptOutcome.SENT, storable(detail), code)

    @classmethod
    def retry(cls, detail: str, code: int | None = None, retry_after: float = 0.0) -> "Outcome":
        """Return the outcome of a temporary failure."""
        return cls(AttemptOutcome.RETRY, storable(detail), code, retry_after)

    @classmethod
    def failed(cls, detail: str, code: int | None = None) -> "Outcome":
        """Return the outcome of a permanent failure."""
        return cls(AttemptOutcome.FAILED, storable(detail), code)


def storable(text: str) -> str:
    """Return *text*, cut to MAX_DETAIL_BYTES, without what PostgreSQL rejects: NUL and incomplete characters."""
    clean = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return clean.encode(errors="replace")[:MAX_DETAIL_BYTES].decode(errors="ignore")


def one_line(text: str, limit: int) -> str:
    """Return *text* as one line of at most *limit* characters, without control characters."""
    line = "".join(char if char.isprintable() else " " for char in text[: 4 * limit])
    line = " ".join(line.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
