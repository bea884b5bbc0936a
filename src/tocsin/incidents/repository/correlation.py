"""Correlation: a constant number of statements for a batch, however many alerts it has, in two or three round trips."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

from tocsin.contracts.model import Severity
from tocsin.incidents.domain.correlation import (
    AlertLink,
    AlertLinkUpdate,
    CorrelationKey,
    IncidentDelta,
    KnownState,
    description_of,
)
from tocsin.incidents.domain.incident import StoredIncident
from tocsin.kernel.db import Cursor, defer, fetch_all, fetch_one, required
from tocsin.kernel.prepared import PreparedStatement

_INSERT_LINKS: Final = PreparedStatement(
    "insert_links",
    """
    INSERT INTO incidents.incident_alert
        (alert_id, incident_id, version, attached_version, service, severity, message, source, labels, dedup_key,
         occurrences, action, attached_at, last_seen_at, resolved_at)
    SELECT alert_id, incident_id, version, attached_version, service, severity, message, source, labels, dedup_key,
           occurrences, action, tocsin.now(), last_seen_at, CASE WHEN status = 'resolved' THEN tocsin.now() END
    FROM json_to_recordset(%(links)s::json)
        AS link (alert_id uuid, incident_id uuid, version int, attached_version int, service text, severity text,
                 message text, source text, labels jsonb, dedup_key text, occurrences int, action text, status text,
                 last_seen_at timestamptz)
    """,
    links="json",
)

# One document, because a statement has one result. The rule checks the locked state of a joinable incident again.
_LOCK_KNOWN: Final = """
    WITH link AS (
        SELECT alert_id, incident_id, version, attached_version, action, resolved_at IS NOT NULL AS resolved
        FROM incidents.incident_alert WHERE alert_id = ANY(%(alert_ids)s::uuid[])
    ), joinable AS (
        SELECT key.service, key.severity, newest.id AS incident_id
        FROM unnest(%(services)s::text[], %(severities)s::text[]) AS key (service, severity)
        CROSS JOIN LATERAL (
            SELECT incident.id FROM incidents.incident
            WHERE incident.service = key.service AND incident.severity = key.severity
              AND incident.status <> 'resolved'
              AND incident.created_at >= tocsin.now() - %(window)s
            ORDER BY incident.created_at DESC, incident.id DESC
            LIMIT 1) AS newest
    ), incident AS (
        SELECT id, number, title, service, severity, status, assigned_to, firing_count, created_at, acknowledged_at,
               resolved_at, version
        FROM incidents.incident
        WHERE id = ANY(ARRAY(SELECT incident_id FROM link UNION SELECT incident_id FROM joinable))
        ORDER BY id
        FOR NO KEY UPDATE
    )
    SELECT json_build_object(
        'now', tocsin.now(),
        'links', COALESCE((SELECT json_agg(link) FROM link), '[]'),
        'joinable', COALESCE((SELECT json_agg(json_build_array(service, severity, incident_id)) FROM joinable), '[]'),
        'incidents', COALESCE((SELECT json_agg(incident) FROM incident), '[]'))::text AS known
"""
_LOCK_FREE_KNOWN: Final = _LOCK_KNOWN.replace("FOR NO KEY UPDATE", "FOR NO KEY UPDATE SKIP LOCKED")


@dataclass(frozen=True, slots=True)
class _Known:
    now: datetime
    links: list[AlertLink]
    joinable: list[tuple[str, Severity, UUID]]
    incidents: list[StoredIncident]


_KNOWN: Final = TypeAdapter(_Known)


async def lock_correlation_keys(cur: Cursor, keys: Collection[CorrelationKey], *, seconds: float) -> None:
    """Lock the keys in one order, which avoids deadlocks, and insert new ones; wait at most *seconds* for each lock.

    This is deferred: the next statement raises LockTimeoutError.
    """
    await defer(
        cur,
        """
        SET LOCAL lock_timeout = %(milliseconds)s;
        INSERT INTO incidents.correlation_key (service, severity)
        SELECT service, severity FROM unnest(%(services)s::text[], %(severities)s::text[]) AS key (service, severity)
        ORDER BY service, severity
        -- ON CONFLICT locks the existing row before it evaluates WHERE, and WHERE false avoids a new row version.
        ON CONFLICT (service, severity) DO UPDATE SET service = EXCLUDED.service WHERE false
        """,
        services=[service for service, _ in keys],
        severities=[severity.value for _, severity in keys],
        milliseconds=round(seconds * 1000),
    )


async def lock_free_correlation_keys(
    cur: Cursor, keys: Collection[CorrelationKey], *, seconds: float
) -> set[CorrelationKey]:
    """Lock and return the keys that no other transaction has locked; insert new ones."""
    rows = await fetch_all(
        cur,
        """
        SET LOCAL lock_timeout = %(milliseconds)s;
        INSERT INTO incidents.correlation_key (service, severity)
        SELECT service, severity FROM unnest(%(services)s::text[], %(severities)s::text[]) AS key (service, severity)
        ORDER BY service, severity
        ON CONFLICT (service, severity) DO NOTHING;
        SELECT service, severity FROM incidents.correlation_key
        WHERE (service, severity) IN (SELECT * FROM unnest(%(services)s::text[], %(severities)s::text[]))
        ORDER BY service, severity
        FOR NO KEY UPDATE SKIP LOCKED
        """,
        services=[service for service, _ in keys],
        severities=[severity.value for _, severity in keys],
        milliseconds=round(seconds * 1000),
    )
    return {(row["service"], Severity(row["severity"])) for row in rows}


async def lock_known(
    cur: Cursor, keys: Collection[CorrelationKey], alert_ids: Sequence[UUID], *, window: timedelta, free_only: bool
) -> KnownState:
    """Return what is known of alerts and keys; lock its incidents, in the order of their ids to avoid deadlocks.

    With *free_only*, incidents that another transaction has locked are left out of `incidents`.
    """
    row = await fetch_one(
        cur,
        _LOCK_FREE_KNOWN if free_only else _LOCK_KNOWN,
        alert_ids=list(alert_ids),
        services=[service for service, _ in keys],
        severities=[severity.value for _, severity in keys],
        window=window,
    )
    known = _KNOWN.validate_json(required(row)["known"])
    return KnownState(
        now=known.now,
        links={link.alert_id: link for link in known.links},
        joinable={(service, severity): incident_id for service, severity, incident_id in known.joinable},
        incidents={incident.id: incident for incident in known.incidents},
    )


async def insert_incidents(cur: Cursor, opened: Sequence[IncidentDelta]) -> dict[UUID, int]:
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
        ids=[delta.incident.id for delta in opened],
        titles=[delta.incident.title for delta in opened],
        descriptions=[description_of(delta.attached[0]) for delta in opened],
        services=[delta.incident.service for delta in opened],
        severities=[delta.incident.severity.value for delta in opened],
        statuses=[(delta.transition or delta.incident).status.value for delta in opened],
        alerts=[delta.alerts for delta in opened],
        firing=[delta.firing for delta in opened],
        versions=[delta.incident.version for delta in opened],
        created=[delta.incident.created_at for delta in opened],
        ended=[delta.transition and delta.transition.resolved_at for delta in opened],
    )
    return {row["id"]: row["number"] for row in rows}


async def update_counts(cur: Cursor, changed: Sequence[IncidentDelta]) -> None:
    """Update the alert counts of existing incidents, and resolve those with an automatic resolution."""
    await defer(
        cur,
        """
        UPDATE incidents.incident AS i
        SET alert_count = i.alert_count + change.alerts,
            firing_count = i.firing_count + change.firing,
            status = COALESCE(change.status, i.status),
            acknowledged_at = COALESCE(change.acknowledged_at, i.acknowledged_at),
            resolved_at = COALESCE(change.resolved_at, i.resolved_at),
            version = i.version + (change.status IS NOT NULL)::int,
            updated_at = GREATEST(i.updated_at, tocsin.now())
        FROM unnest(%(ids)s::uuid[], %(alerts)s::int[], %(firing)s::int[], %(statuses)s::text[],
                    %(acknowledged)s::timestamptz[], %(resolved)s::timestamptz[])
            AS change (id, alerts, firing, status, acknowledged_at, resolved_at)
        WHERE i.id = change.id
        """,
        ids=[delta.incident.id for delta in changed],
        alerts=[delta.alerts for delta in changed],
        firing=[delta.firing for delta in changed],
        statuses=[delta.transition and delta.transition.status.value for delta in changed],
        acknowledged=[delta.transition and delta.transition.acknowledged_at for delta in changed],
        resolved=[delta.transition and delta.transition.resolved_at for delta in changed],
    )


async def insert_links(cur: Cursor, links: Sequence[AlertLinkUpdate]) -> None:
    """Insert the links of new alerts. A duplicate fails the batch, which the sender then retries."""
    await defer(cur, _INSERT_LINKS, links=_as_json(links))


async def insert_moved(cur: Cursor, moves: Mapping[UUID, UUID]) -> None:
    """Copy the links of alerts that move to another incident, before they are updated.

    If an alert moves from the same incident again, its newer state replaces the older one.
    """
    await defer(
        cur,
        """
        INSERT INTO incidents.moved_alert
            (incident_id, alert_id, moved_to, moved_at, service, severity, message, source, labels, dedup_key,
             occurrences, attached_at, last_seen_at, resolved_at)
        SELECT known.incident_id, alert_id, move.incident_id, tocsin.now(), service, severity, message, source, labels,
               dedup_key, occurrences, attached_at, last_seen_at, resolved_at
        FROM unnest(%(alert_ids)s::uuid[], %(incident_ids)s::uuid[]) AS move (alert_id, incident_id)
        JOIN incidents.incident_alert AS known USING (alert_id)
        WHERE known.alert_id BETWEEN %(first)s AND %(last)s -- for the planner: only their partitions
        ON CONFLICT (incident_id, alert_id) DO UPDATE
        SET moved_to = EXCLUDED.moved_to,
            moved_at = EXCLUDED.moved_at,
            message = EXCLUDED.message,
            source = EXCLUDED.source,
            labels = EXCLUDED.labels,
            dedup_key = EXCLUDED.dedup_key,
            occurrences = EXCLUDED.occurrences,
            attached_at = EXCLUDED.attached_at,
            last_seen_at = EXCLUDED.last_seen_at,
            resolved_at = EXCLUDED.resolved_at
        """,
        alert_ids=list(moves),
        incident_ids=list(moves.values()),
        first=min(moves),
        last=max(moves),
    )


async def update_links(cur: Cursor, links: Sequence[AlertLinkUpdate]) -> None:
    """Update the links of known alerts, and move those that now belong to another incident."""
    await defer(
        cur,
        """
        WITH link AS MATERIALIZED (
            SELECT * FROM json_to_recordset(%(links)s::json)
                AS link (alert_id uuid, incident_id uuid, version int, attached_version int, message text, source text,
                         labels jsonb, dedup_key text, occurrences int, action text, status text,
                         last_seen_at timestamptz, moved boolean))
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
            attached_at = CASE WHEN link.moved THEN tocsin.now() ELSE known.attached_at END,
            last_seen_at = link.last_seen_at,
            resolved_at = CASE WHEN link.status = 'resolved' THEN COALESCE(known.resolved_at, tocsin.now()) END
        FROM link
        WHERE known.alert_id = link.alert_id
            -- Limit the rows and the partitions that are read: the planner expects any number of rows in a document.
            AND known.alert_id = ANY (ARRAY(SELECT alert_id FROM link))
            AND known.alert_id BETWEEN %(first)s AND %(last)s
        """,
        links=_as_json(links),
        first=min(link.alert.alert_id for link in links),
        last=max(link.alert.alert_id for link in links),
    )


def _as_json(links: Sequence[AlertLinkUpdate]) -> str:
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
