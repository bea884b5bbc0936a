"""Digests: one message that replaces many late pages.

After an outage all of a person's pages are due at once, and most of them are redundant. The pages to one recipient over
one channel that are older than STALE_SECONDS are sent as one message, which lists each unacknowledged incident.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

from tocsin.channels.message import Message
from tocsin.contracts.notifications import DigestEntry, NotificationKind
from tocsin.notifications.domain.leased_message import LeasedMessage

STALE_SECONDS: Final = 600.0
"""The age from which a page is stale; it begins when on-call creates the page."""
GATHER_SECONDS: Final = 5.0
"""How long a page that is stale on arrival is held back, so that other pages can join its digest."""
MAX_PAGES: Final = 1_000
"""The maximum number of stale pages that are leased in addition to the due ones."""
MAX_SHOWN: Final = 50
"""The maximum number of incidents in the text."""


def group_for_delivery(messages: Sequence[LeasedMessage]) -> list[list[LeasedMessage]]:
    """Return the groups of messages that are sent as one, newest first; most groups have a single message."""
    newest_first = sorted(messages, key=lambda message: message.created_at, reverse=True)
    groups: list[list[LeasedMessage]] = []
    stale: dict[tuple[str, str], list[LeasedMessage]] = {}
    for message in newest_first:
        if not is_stale(message):
            groups.append([message])
        elif (recipient := (message.channel, message.address)) in stale:
            stale[recipient].append(message)
        else:
            stale[recipient] = [message]
            groups.append(stale[recipient])
    return groups


def is_stale(message: LeasedMessage) -> bool:
    """Return whether *message* is a page so late that it belongs in a digest; a redelivered page never is."""
    return (
        message.kind is NotificationKind.PAGE
        and message.redelivered_at is None
        and message.late_seconds >= STALE_SECONDS
    )


def digest_id(group: Sequence[LeasedMessage]) -> UUID | None:
    """Return the delivery id of the digest for *group*; None for a single message, which has its own.

    The id is a hash of the pages' ids, so that a retry with the same pages is the same delivery.
    """
    if len(group) == 1:
        return None
    ids = b"".join(sorted(message.id.bytes for message in group))
    return UUID(bytes=hashlib.sha256(ids).digest()[:16])


def compose(group: Sequence[LeasedMessage], *, public_url: str | None) -> Message:
    """Return the message to send for *group*: its only message, or the digest of its pages."""
    newest, delivery_id = group[0].to_message(public_url), digest_id(group)
    if delivery_id is None:
        return newest
    entries = _entries(group)
    return replace(newest, delivery_id=delivery_id, text=_text(newest.text, entries, len(group)), digest=entries)


def _entries(group: Sequence[LeasedMessage]) -> list[DigestEntry]:
    pages: dict[UUID, list[LeasedMessage]] = {}
    for message in group:
        pages.setdefault(message.incident_id, []).append(message)
    return [
        DigestEntry(
            incident_id=incident_id, incident=found[0].page.incident, notification_ids=[page.id for page in found]
        )
        for incident_id, found in pages.items()
        if found[0].page is not None
    ]


def _text(newest: str, entries: Sequence[DigestEntry], pages: int) -> str:
    note = f"This message replaces {pages} pages that could not be sent in time."
    if len(entries) == 1:
        return f"{newest}\n\n{note}"
    lines = [
        f"#{entry.incident.number} {entry.incident.severity} in {entry.incident.service}: {entry.incident.title}"
        for entry in entries[:MAX_SHOWN]
    ]
    if len(entries) > MAX_SHOWN:
        lines.append(f"and {len(entries) - MAX_SHOWN} more")
    return "\n".join([f"{len(entries)} incidents are unacknowledged, the newest first.", note, "", *lines])
