"""Pages: one message to one person over one channel."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from tocsin.contracts.escalations import EscalationPage
from tocsin.kernel.db import Cursor, defer, execute, fetch_all, fetch_one, required
from tocsin.kernel.prepared import PreparedStatement
from tocsin.oncall.domain.escalation import StoredPage

PAGES_SHOWN: Final = 200
"""The maximum number of pages of one escalation in a response."""
_INSERT_PAGES: Final = PreparedStatement(
    "insert_pages",
    """
    INSERT INTO oncall.page (id, incident_id, team, step, level, person, channel, address, reason)
    SELECT * FROM unnest(%(ids)s::uuid[], %(incident_ids)s::uuid[], %(teams)s::text[], %(steps)s::integer[],
        %(levels)s::text[], %(persons)s::text[], %(channels)s::text[], %(addresses)s::text[], %(reasons)s::text[])
    """,
    ids="uuid[]",
    incident_ids="uuid[]",
    teams="text[]",
    steps="integer[]",
    levels="text[]",
    persons="text[]",
    channels="text[]",
    addresses="text[]",
    reasons="text[]",
)


async def insert_pages(cur: Cursor, pages: Sequence[StoredPage]) -> None:
    """Insert *pages* with one statement, which is deferred."""
    await defer(
        cur,
        _INSERT_PAGES,
        ids=[page.id for page in pages],
        incident_ids=[page.incident_id for page in pages],
        teams=[page.team for page in pages],
        steps=[page.step for page in pages],
        levels=[page.level.value for page in pages],
        persons=[page.person for page in pages],
        channels=[page.channel for page in pages],
        addresses=[page.address for page in pages],
        reasons=[page.reason for page in pages],
    )


async def find_pages(cur: Cursor, incident_ids: Sequence[UUID]) -> dict[UUID, list[EscalationPage]]:
    """Return the newest pages of each incident, oldest first."""
    rows = await fetch_all(
        cur,
        """
        SELECT wanted.incident_id, page.notification_id, page.team, page.step, page.level, page.person, page.channel,
               page.reason, page.created_at, page.voided_at, page.failed_at, page.failure
        FROM unnest(%(ids)s::uuid[]) AS wanted (incident_id)
        CROSS JOIN LATERAL (
            SELECT id AS notification_id, team, step, level, person, channel, reason, created_at,
                   cancelled_at AS voided_at, failed_at, failure
            FROM oncall.page WHERE incident_id = wanted.incident_id ORDER BY step DESC, id DESC LIMIT %(limit)s) AS page
        ORDER BY page.step, page.notification_id
        """,
        ids=list(incident_ids),
        limit=PAGES_SHOWN,
    )
    found: dict[UUID, list[EscalationPage]] = {}
    for row in rows:
        found.setdefault(row["incident_id"], []).append(EscalationPage.model_validate(row))
    return found


async def latest_page_at(cur: Cursor, incident_id: UUID) -> datetime:
    """Return the time of an incident's latest page or of its stop, whichever is later.

    A stop that waited for a step to finish began, and is dated, before it.
    """
    row = await fetch_one(
        cur,
        """
        SELECT GREATEST(e.stopped_at, max(page.created_at)) AS at
        FROM oncall.escalation AS e LEFT JOIN oncall.page USING (incident_id)
        WHERE e.incident_id = %(incident_id)s GROUP BY e.incident_id
        """,
        incident_id=incident_id,
    )
    at: datetime = required(row)["at"]
    return at


async def cancel_unsent_pages(cur: Cursor, *, incident_id: UUID) -> int:
    """Cancel an incident's pages that notification-service has not received yet. Return their number."""
    return await execute(
        cur,
        """
        WITH unsent AS (
            UPDATE outbox SET done_at = tocsin.now()
            WHERE done_at IS NULL AND message_id IN (SELECT id FROM oncall.page WHERE incident_id = %(incident_id)s)
            RETURNING message_id)
        UPDATE oncall.page SET cancelled_at = tocsin.now()
        FROM unsent WHERE incident_id = %(incident_id)s AND id = unsent.message_id
        """,
        incident_id=incident_id,
    )


async def mark_failed(cur: Cursor, *, page_id: UUID, incident_id: UUID, failure: str) -> int | None:
    """Record that a page cannot be delivered. Return its step, or None if that was recorded before.

    Raise NotFoundError if the incident has no such page.
    """
    row = await fetch_one(
        cur,
        """
        UPDATE oncall.page SET failed_at = tocsin.now(), failure = %(failure)s
        WHERE id = %(page_id)s AND incident_id = %(incident_id)s AND failed_at IS NULL
        RETURNING step
        """,
        page_id=page_id,
        incident_id=incident_id,
        failure=failure,
    )
    if row is not None:
        step: int = row["step"]
        return step
    known = await fetch_one(
        cur,
        "SELECT 1 FROM oncall.page WHERE id = %(page_id)s AND incident_id = %(incident_id)s",
        page_id=page_id,
        incident_id=incident_id,
    )
    required(known, f"Incident {incident_id} has no page {page_id}.")
    return None


async def has_deliverable_page(cur: Cursor, *, incident_id: UUID, step: int) -> bool:
    """Return whether the step has a page that has not failed."""
    row = await fetch_one(
        cur,
        """
        SELECT 1 FROM oncall.page WHERE incident_id = %(incident_id)s AND step = %(step)s AND failed_at IS NULL LIMIT 1
        """,
        incident_id=incident_id,
        step=step,
    )
    return row is not None
