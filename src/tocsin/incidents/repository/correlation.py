"""Correlation: a batch of a thousand alerts is a handful of statements, each over the whole batch."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from pydantic_core import to_json

from tocsin.contracts.alerts import AlertAction
from tocsin.contracts.model import Severity
from tocsin.incidents.domain.correlation import Link, LinkWrite, Slot, Touched, description_of
from tocsin.kernel.db import Cursor, execute, fetch_all


async def lock_slots(cur: Cursor, slots: Collection[Slot], *, seconds: float) -> None:
    """Lock the slots in key order, making those that are new; the transaction waits *seconds* for each lock."""
    await execute(
        cur,
        """
        SET LOCAL lock_timeout = %(milliseconds)s;
        INSERT INTO incidents.slot (service, severity)
        SELECT service, severity FROM unnest(%(services)s::text[], %(severities)s::text[]) AS slot (service, severity)
        ORDER BY service, severity
        -- A row in conflict is locked before WHERE is asked: the lock is all that is wanted, not a new row version.
        ON CONFLICT (service, severity) DO UPDATE SET service = EXCLUDED.service WHERE false
        """,
        services=[service for service, _ in slots],
        severities=[severity.value for _, severity in slots],
        milliseconds=round(seconds * 1000),
    )


async def lock_free_slots(cur: Cursor, slots: Collection[Slot], *, seconds: float) -> set[Slot]:
    """Lock those of the slots that nobody holds, making those that are new, and return them."""
    rows = await fetch_all(
        cur,
        """
        SET LOCAL lock_timeout = %(milliseconds)s;
        INSERT INTO incidents.slot (service, severity)
        SELECT service, severity FROM unnest(%(services)s::text[], %(severities)s::text[]) AS slot (service, severity)
        ORDER BY service, severity
        ON CONFLICT (service, severity) DO NOTHING;
        SELECT service, severity FROM incidents.slot
        WHERE (service, severity) IN (SELECT * FROM unnest(%(services)s::text[], %(severities)s::text[]))
        ORDER BY service, severity
        FOR NO KEY UPDATE SKIP LOCKED
        """,
        services=[service for service, _ in slots],
        severities=[severity.value for _, severity in slots],
        milliseconds=round(seconds * 1000),
    )
    return {(row["service"], Severity(row["severity"])) for row in rows}


async def select_links(cur: Cursor, alert_ids: Sequence[UUID]) -> dict[UUID, Link]:
    """Return what is known of *alert_ids*."""
    rows = await fetch_all(
        cur,
        """
        SELECT alert_id, incident_id, version, attached_version, action, resolved_at IS NOT NULL AS resolved
        FROM incidents.incident_alert WHERE alert_id = ANY(%(alert_ids)s::uuid[])
        """,
        alert_ids=[str(alert_id) for alert_id in alert_ids],
    )
    return {row["alert_id"]: Link(**row | {"action": AlertAction(row["action"])}) for row in rows}


async def find_candidates(
    cur: Cursor, slots: Collection[Slot], *, now: datetime | None, window: timedelta
) -> tuple[dict[Slot, UUID], datetime]:
    """Return for each slot the newest incident that a new alert may join, and the database's time."""
    rows = await fetch_all(
        cur,
        """
        SELECT slot.service, slot.severity, newest.id, COALESCE(%(now)s, now()) AS now
        FROM unnest(%(services)s::text[], %(severities)s::text[]) AS slot (service, severity)
        LEFT JOIN LATERAL (
            SELECT incident.id FROM incidents.incident
            WHERE incident.service = slot.service AND incident.severity = slot.severity
              AND incident.status <> 'resolved'
              AND incident.created_at >= COALESCE(%(now)s, now()) - %(window)s
            ORDER BY incident.created_at DESC, incident.id DESC
            LIMIT 1) AS newest ON true
        """,
        services=[service for service, _ in slots],
        severities=[severity.value for _, severity in slots],
        now=now,
        window=window,
    )
    found = {(row["service"], Severity(row["severity"])): row["id"] for row in rows if row["id"] is not None}
    return found, rows[0]["now"]


async def insert_opened(cur: Cursor, opened: Sequence[Touched]) -> dict[UUID, int]:
    """Insert the incidents that a batch opens; return their numbers."""
    rows = await fetch_all(
        cur,
        """
        INSERT INTO incidents.incident
            (id, title, description, service, severity, status, alert_count, firing_count, version, created_at,
             updated_at, acknowledged_at, resolved_at)
        SELECT id, title, description, service, severity, status, alerts, firing, version, created_at, created_at,
               ended_at, ended_at
        FROM unnest(%(ids)s::uuid[], %(titles)s::text[], %(descriptions)s::text[], %(services)s::text[],
                    %(severities)s::text[], %(statuses)s::text[], %(alerts)s::int[], %(firing)s::int[],
                    %(versions)s::int[], %(created)s::timestamptz[], %(ended)s::timestamptz[])
            WITH ORDINALITY AS opened (id, title, description, service, severity, status, alerts, firing, version,
                                       created_at, ended_at, position)
        ORDER BY position
        RETURNING id, number
        """,
        ids=[item.incident.id for item in opened],
        titles=[item.incident.title for item in opened],
        descriptions=[description_of(item.attached[0]) for item in opened],
        services=[item.incident.service for item in opened],
        severities=[item.incident.severity.value for item in opened],
        statuses=[(item.step or item.incident).status.value for item in opened],
        alerts=[item.alerts for item in opened],
        firing=[item.firing for item in opened],
        versions=[item.incident.version for item in opened],
        created=[item.incident.created_at for item in opened],
        ended=[item.step and item.step.resolved_at for item in opened],
    )
    return {row["id"]: row["number"] for row in rows}


async def update_counts(cur: Cursor, changed: Sequence[Touched], *, now: datetime | None) -> None:
    """Count the batch's alerts on the incidents that were there, and resolve those that resolve themselves."""
    await execute(
        cur,
        """
        UPDATE incidents.incident AS i
        SET alert_count = i.alert_count + change.alerts,
            firing_count = i.firing_count + change.firing,
            status = COALESCE(change.status, i.status),
            acknowledged_at = COALESCE(change.acknowledged_at, i.acknowledged_at),
            resolved_at = COALESCE(change.resolved_at, i.resolved_at),
            version = i.version + (change.status IS NOT NULL)::int,
            updated_at = GREATEST(i.updated_at, COALESCE(%(now)s, now()))
        FROM unnest(%(ids)s::uuid[], %(alerts)s::int[], %(firing)s::int[], %(statuses)s::text[],
                    %(acknowledged)s::timestamptz[], %(resolved)s::timestamptz[])
            AS change (id, alerts, firing, status, acknowledged_at, resolved_at)
        WHERE i.id = change.id
        """,
        ids=[item.incident.id for item in changed],
        alerts=[item.alerts for item in changed],
        firing=[item.firing for item in changed],
        statuses=[item.step and item.step.status.value for item in changed],
        acknowledged=[item.step and item.step.acknowledged_at for item in changed],
        resolved=[item.step and item.step.resolved_at for item in changed],
        now=now,
    )


async def insert_links(cur: Cursor, links: Sequence[LinkWrite], *, now: datetime | None) -> None:
    """Insert alerts that were not known. One that is there after all fails the batch: its teller repeats it."""
    await execute(
        cur,
        """
        INSERT INTO incidents.incident_alert
            (alert_id, incident_id, version, attached_version, service, severity, message, source, labels, dedup_key,
             occurrences, action, attached_at, last_seen_at, resolved_at)
        SELECT alert_id, incident_id, version, attached_version, service, severity, message, source, labels, dedup_key,
               occurrences, action, COALESCE(%(now)s, now()), last_seen_at,
               CASE WHEN status = 'resolved' THEN COALESCE(%(now)s, now()) END
        FROM json_to_recordset(%(links)s::json)
            AS link (alert_id uuid, incident_id uuid, version int, attached_version int, service text, severity text,
                     message text, source text, labels jsonb, dedup_key text, occurrences int, action text, status text,
                     last_seen_at timestamptz)
        """,
        links=_as_json(links),
        now=now,
    )


async def update_links(cur: Cursor, links: Sequence[LinkWrite], *, now: datetime | None) -> None:
    """Bring alerts that were known up to date, and move those that belong to another incident now."""
    await execute(
        cur,
        """
        UPDATE incidents.incident_alert AS known
        SET incident_id = link.incident_id,
            version = link.version,
            attached_version = link.attached_version,
            message = link.message,
            source = link.source,
            labels = link.labels,
            dedup_key = link.dedup_key,
            occurrences = link.occurrences,
            action = link.action,
            attached_at = CASE WHEN link.moved THEN COALESCE(%(now)s, now()) ELSE known.attached_at END,
            last_seen_at = link.last_seen_at,
            resolved_at = CASE WHEN link.status = 'resolved' THEN COALESCE(known.resolved_at, %(now)s, now()) END
        FROM json_to_recordset(%(links)s::json)
            AS link (alert_id uuid, incident_id uuid, version int, attached_version int, message text, source text,
                     labels jsonb, dedup_key text, occurrences int, action text, status text, last_seen_at timestamptz,
                     moved boolean)
        WHERE known.alert_id = link.alert_id
        """,
        links=_as_json(links),
        now=now,
    )


def _as_json(links: Sequence[LinkWrite]) -> str:
    """Return the rows as one parameter: the driver quotes one long text faster than thousands of short ones."""
    rows = [
        vars(link.alert)
        | {
            "incident_id": link.incident_id,
            "attached_version": link.attached_version,
            "action": link.action,
            "moved": link.moved,
        }
        for link in links
    ]
    return to_json(rows).decode()
