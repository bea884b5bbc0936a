"""Statements that take alerts in: `insert_batch` first, then, in the same transaction at its time, what has a key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from tocsin.alerts.domain import Entry, Firing, StoredAlert, fingerprint
from tocsin.alerts.repository.rows import document, stored_alert
from tocsin.contracts.alerts import AlertAction
from tocsin.integrations.integration import IngestResult
from tocsin.kernel.db import Cursor, fetch_all, fetch_one, required


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as it came."""

    id: UUID
    idempotency_key: str | None
    receiver: str
    content_type: str
    body: bytes
    trace_context: str | None = None


async def insert_batch(
    cur: Cursor, requests: Sequence[RequestRow], entries: Sequence[Entry], *, now: datetime | None, grace: float
) -> datetime:
    """Insert requests, and those of their alerts that can meet no open one; return the transaction's time.

    These are alerts without a key, and resolves without a fire, which are not told. Fails where a request is there
    already: it is the guard.
    """
    row = await fetch_one(
        cur,
        """
        WITH request AS (
            INSERT INTO alerts.request (id, idempotency_key, receiver, content_type, body, trace_context, created_at)
            SELECT id, idempotency_key, receiver, content_type, decode(body, 'hex'), trace_context,
                COALESCE(%(now)s, now())
            FROM json_to_recordset(%(requests)s) AS i (
                id uuid, idempotency_key text, receiver text, content_type text, body text, trace_context text)
        ), input AS MATERIALIZED (
            SELECT *, COALESCE(%(now)s, now()) AS at, status = 'resolved' AS resolved
            FROM json_to_recordset(%(alerts)s) AS i (
                id uuid, request_id uuid, service text, severity text, message text, labels jsonb, links jsonb,
                source text, receiver text, dedup_key text, fingerprint text, remark text, fired_at timestamptz,
                status text)
        ), alert AS (
            INSERT INTO alerts.alert (id, request_id, service, severity, message, labels, links, source, receiver,
                dedup_key, fingerprint, occurrences, remark, fired_at, created_at, last_seen_at, resolved_at)
            SELECT id, request_id, service, severity, message, labels, links, source, receiver, dedup_key, fingerprint,
                1, remark, fired_at, at, at, CASE WHEN resolved THEN at END
            FROM input
        ), correlation AS (
            INSERT INTO alerts.correlation (alert_id, action, told_version, created_at, changed_at, next_tell_at)
            SELECT id, CASE WHEN resolved THEN 'ignored' ELSE 'pending' END, CASE WHEN resolved THEN 1 ELSE 0 END,
                at, at, at + %(grace)s * interval '1 second'
            FROM input
        )
        SELECT COALESCE(%(now)s, now()) AS at
        """,
        requests=document([_request(request) for request in requests]),
        alerts=document([_alert(entry) for entry in entries]),
        now=now,
        grace=grace,
    )
    at: datetime = required(row)["at"]
    return at


async def upsert_firing(cur: Cursor, runs: Iterable[Firing], *, at: datetime, grace: float) -> dict[UUID, StoredAlert]:
    """Insert alerts with a key, or count them as repeats of the open one; return what each report met."""
    runs = list(runs)
    rows = await fetch_all(
        cur,
        """
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset(%(alerts)s) AS i (
                id uuid, request_id uuid, service text, severity text, message text, labels jsonb, links jsonb,
                source text, receiver text, dedup_key text, fingerprint text, occurrences integer, remark text,
                fired_at timestamptz)
        ), stored AS (
            INSERT INTO alerts.alert AS a (id, request_id, service, severity, message, labels, links, source, receiver,
                dedup_key, fingerprint, occurrences, remark, fired_at, created_at, last_seen_at)
            SELECT id, request_id, service, severity, message, labels, links, source, receiver, dedup_key, fingerprint,
                occurrences, remark, fired_at, %(at)s, %(at)s
            FROM input
            ON CONFLICT (dedup_key) WHERE resolved_at IS NULL AND dedup_key IS NOT NULL
            DO UPDATE SET request_id = EXCLUDED.request_id, occurrences = a.occurrences + EXCLUDED.occurrences,
                labels = EXCLUDED.labels, links = EXCLUDED.links, last_seen_at = EXCLUDED.last_seen_at
            RETURNING a.*
        ), correlated AS (
            INSERT INTO alerts.correlation AS c (alert_id, action, created_at, changed_at, next_tell_at)
            SELECT id, 'pending', %(at)s, %(at)s, %(at)s + %(grace)s * interval '1 second' FROM stored
            ON CONFLICT (alert_id) DO UPDATE SET version = c.version + 1, next_tell_at = EXCLUDED.next_tell_at,
                changed_at = CASE WHEN c.told_version = c.version THEN EXCLUDED.changed_at ELSE c.changed_at END
            RETURNING alert_id, incident_id, version
        ), met AS (
            INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
            SELECT r.id, stored.id, 'repeated', %(at)s
            FROM json_to_recordset(%(reports)s) AS r (id uuid, dedup_key text) JOIN stored USING (dedup_key)
            WHERE r.id <> stored.id
        )
        SELECT stored.*, incident_id, version FROM stored JOIN correlated ON alert_id = stored.id
        """,
        alerts=document([_firing(run) for run in runs]),
        reports=document(
            [{"id": entry.id, "dedup_key": entry.alert.dedup_key} for run in runs for entry in run.entries]
        ),
        at=at,
        grace=grace,
    )
    by_key = {row["dedup_key"]: stored_alert(row) for row in rows}
    return {entry.id: by_key[entry.alert.dedup_key] for run in runs for entry in run.entries}


async def resolve_open(cur: Cursor, entries: Iterable[Entry], *, at: datetime, grace: float) -> dict[UUID, StoredAlert]:
    """Resolve the open alerts of the entries' keys; return what each met. One that ended before it began met none."""
    rows = await fetch_all(
        cur,
        """
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset(%(entries)s) AS i (id uuid, dedup_key text, ended_at timestamptz)
        ), resolved AS (
            UPDATE alerts.alert AS a SET resolved_at = %(at)s, last_seen_at = %(at)s
            FROM input
            WHERE a.dedup_key = input.dedup_key AND a.resolved_at IS NULL
                AND (input.ended_at < a.fired_at) IS NOT TRUE
            RETURNING a.*, input.id AS report_id
        ), correlated AS (
            UPDATE alerts.correlation AS c
            SET version = c.version + 1, next_tell_at = %(at)s + %(grace)s * interval '1 second',
                changed_at = CASE WHEN c.told_version = c.version THEN %(at)s ELSE c.changed_at END
            FROM resolved WHERE c.alert_id = resolved.id
            RETURNING c.alert_id, c.incident_id, c.version
        ), met AS (
            INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
            SELECT report_id, id, 'resolved', %(at)s FROM resolved
        )
        SELECT resolved.*, incident_id, version FROM resolved JOIN correlated ON alert_id = resolved.id
        """,
        entries=document(
            [{"id": entry.id, "dedup_key": entry.alert.dedup_key, "ended_at": entry.alert.ends_at} for entry in entries]
        ),
        at=at,
        grace=grace,
    )
    return {row["report_id"]: stored_alert(row) for row in rows}


async def find_requests(cur: Cursor, requests: Sequence[RequestRow]) -> list[RequestRow | None]:
    """Return for each of *requests* the stored one that has its id, or its idempotency key."""
    rows = await fetch_all(
        cur,
        """
        SELECT id, idempotency_key, receiver, content_type, body FROM alerts.request
        WHERE id = ANY (%(ids)s::uuid[]) OR idempotency_key = ANY (%(keys)s::text[])
        """,
        ids=[request.id for request in requests],
        keys=[request.idempotency_key for request in requests if request.idempotency_key is not None],
    )
    found = [RequestRow(**{**row, "body": bytes(row["body"])}) for row in rows]
    by_id = {request.id: request for request in found}
    by_key = {request.idempotency_key: request for request in found if request.idempotency_key is not None}
    return [by_id.get(request.id) or by_key.get(request.idempotency_key or "") for request in requests]


async def find_receipts(cur: Cursor, report_ids: Sequence[UUID]) -> dict[UUID, IngestResult]:
    """Return what became of reports that were stored before."""
    rows = await fetch_all(
        cur,
        """
        SELECT r.id AS report_id, c.alert_id, c.incident_id,
            CASE WHEN c.action = 'pending' THEN c.action ELSE COALESCE(o.action, c.action) END AS action
        FROM unnest(%(ids)s::uuid[]) AS r (id)
        LEFT JOIN alerts.occurrence AS o ON o.id = r.id
        JOIN alerts.correlation AS c ON c.alert_id = COALESCE(o.alert_id, r.id)
        """,
        ids=list(report_ids),
    )
    return {
        row["report_id"]: IngestResult(row["alert_id"], row["incident_id"], AlertAction(row["action"])) for row in rows
    }


def _request(request: RequestRow) -> dict[str, Any]:
    return {
        "id": request.id,
        "idempotency_key": request.idempotency_key,
        "receiver": request.receiver,
        "content_type": request.content_type,
        "body": request.body.hex(),
        "trace_context": request.trace_context,
    }


def _alert(entry: Entry) -> dict[str, Any]:
    alert = entry.alert
    return {
        "id": entry.id,
        "request_id": entry.request_id,
        "service": alert.service,
        "severity": alert.severity,
        "message": alert.message,
        "labels": alert.labels,
        "links": alert.links,
        "source": alert.source,
        "receiver": entry.receiver,
        "dedup_key": alert.dedup_key,
        "fingerprint": fingerprint(alert.service, alert.severity, alert.message),
        "remark": alert.remark,
        "fired_at": alert.starts_at,
        "status": alert.status,
    }


def _firing(run: Firing) -> dict[str, Any]:
    newest = _alert(run.entries[-1])
    row = _alert(run.entries[0])
    return {
        **row,
        "request_id": newest["request_id"],
        "labels": newest["labels"],
        "links": newest["links"],
        "occurrences": len(run.entries),
    }
