"""Statements that store requests and their alerts: `insert_batch` first, then, in its transaction, alerts with a key.

An insert without a conflict clause fails if its request, or its idempotency key, is stored already. This makes it safe
to retry a batch.
"""

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from tocsin.alerts.domain import AlertReport, FiringRun, IncomingRequest, OpenAlertKey, StoredAlert, fingerprint
from tocsin.alerts.repository.mapping import document, stored_alert
from tocsin.contracts.alerts import AlertAction
from tocsin.integrations.integration import IngestResult
from tocsin.kernel.db import Cursor, defer, fetch_all, fetch_one, required
from tocsin.kernel.prepared import PreparedStatement

_INSERT_BATCH: Final = PreparedStatement(
    "insert_batch",
    """
    WITH request AS (
        INSERT INTO alerts.request (id, integration_id, integration, content_type, body, trace_context, created_at)
        SELECT id, integration_id, integration, content_type, decode(body, 'base64'), trace_context, tocsin.now()
        FROM json_to_recordset(%(requests)s) AS i (
            id uuid, integration_id uuid, integration text, content_type text, body text, trace_context text)
    ), idempotency AS (
        INSERT INTO alerts.idempotency (scope, key, body_hash, resource_id, created_at)
        SELECT scope, key, decode(digest, 'hex'), request_id, tocsin.now()
        FROM json_to_recordset(%(keys)s) AS i (scope text, key text, digest text, request_id uuid)
    ), input AS MATERIALIZED (
        SELECT *, tocsin.now() AS at, status = 'resolved' AS resolved
        FROM json_to_recordset(%(alerts)s) AS i (
            id uuid, request_id uuid, service text, severity text, message text, labels jsonb, links jsonb,
            source text, integration_id uuid, integration text, dedup_key text, fingerprint text, remark text,
            fired_at timestamptz, status text)
    ), alert AS (
        INSERT INTO alerts.alert (id, request_id, service, severity, message, labels, links, source, integration_id,
            integration, dedup_key, fingerprint, occurrences, remark, fired_at, created_at, last_seen_at,
            resolved_at)
        SELECT id, request_id, service, severity, message, labels, links, source, integration_id, integration,
            dedup_key, fingerprint, 1, remark, fired_at, at, at, CASE WHEN resolved THEN at END
        FROM input
    ), correlation AS (
        INSERT INTO alerts.correlation (alert_id, action, forwarded_version, created_at, changed_at,
            next_forward_at)
        SELECT id, CASE WHEN resolved THEN 'ignored' ELSE 'pending' END, CASE WHEN resolved THEN 1 ELSE 0 END,
            at, at, at + %(grace)s * interval '1 second'
        FROM input
    )
    SELECT tocsin.now() AS at
    """,
    requests="json",
    keys="json",
    alerts="json",
    grace="float8",
)


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """The id of a stored request and the digest of its content."""

    id: UUID
    digest: bytes | None
    """None if it was found by its id instead of its idempotency key."""


async def insert_batch(
    cur: Cursor, requests: Sequence[IncomingRequest], reports: Sequence[AlertReport], *, grace: float
) -> datetime:
    """Insert requests, and those of their reports that cannot update an open alert; return the transaction's time.

    These are firing reports without a key, whose forwarding is overdue after *grace* seconds, and resolves without an
    open alert, which are not forwarded.
    """
    row = await fetch_one(cur, _INSERT_BATCH, **_batch(requests, reports, grace=grace))
    at: datetime = required(row)["at"]
    return at


async def insert_requests(cur: Cursor, requests: Sequence[IncomingRequest]) -> None:
    """Insert requests whose reports are all written by other statements. This is deferred: the next one raises."""
    await defer(cur, _INSERT_BATCH, **_batch(requests, (), grace=0.0))


async def upsert_firing(cur: Cursor, runs: Iterable[FiringRun], *, grace: float) -> dict[UUID, StoredAlert]:
    """Insert alerts with a key, or count occurrences of the open alert; return the alert of each report.

    The row of open_alert is locked first, so that one transaction at a time changes the alert of a key.
    """
    runs = list(runs)
    rows = await fetch_all(
        cur,
        """
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset(%(alerts)s) AS i (
                id uuid, request_id uuid, service text, severity text, message text, labels jsonb, links jsonb,
                source text, integration_id uuid, integration text, dedup_key text, fingerprint text,
                occurrences integer, remark text, fired_at timestamptz)
        ), opened AS (
            INSERT INTO alerts.open_alert AS o (integration_id, service, dedup_key, alert_id)
            SELECT integration_id, service, dedup_key, id FROM input
            ON CONFLICT (integration_id, service, dedup_key) DO UPDATE SET alert_id = o.alert_id
            RETURNING integration_id, service, dedup_key, alert_id
        ), stored AS (
            INSERT INTO alerts.alert AS a (id, request_id, service, severity, message, labels, links, source,
                integration_id, integration, dedup_key, fingerprint, occurrences, remark, fired_at, created_at,
                last_seen_at)
            SELECT opened.alert_id, request_id, input.service, severity, message, labels, links, source,
                input.integration_id, integration, input.dedup_key, fingerprint, occurrences, remark, fired_at,
                tocsin.now(), tocsin.now()
            FROM input JOIN opened USING (integration_id, service, dedup_key)
            ON CONFLICT (id) DO UPDATE SET request_id = EXCLUDED.request_id,
                occurrences = a.occurrences + EXCLUDED.occurrences,
                labels = EXCLUDED.labels, links = EXCLUDED.links, last_seen_at = EXCLUDED.last_seen_at
            RETURNING a.*
        ), correlated AS (
            INSERT INTO alerts.correlation AS c (alert_id, action, created_at, changed_at, next_forward_at)
            SELECT id, 'pending', tocsin.now(), tocsin.now(), tocsin.now() + %(grace)s * interval '1 second'
            FROM stored
            ON CONFLICT (alert_id) DO UPDATE SET version = c.version + 1, next_forward_at = EXCLUDED.next_forward_at,
                changed_at = CASE WHEN c.forwarded_version = c.version THEN EXCLUDED.changed_at ELSE c.changed_at END
            RETURNING alert_id, incident_id, version
        ), occurred AS (
            INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
            SELECT r.id, opened.alert_id, 'repeated', tocsin.now()
            FROM json_to_recordset(%(reports)s) AS r (id uuid, integration_id uuid, service text, dedup_key text)
            JOIN opened USING (integration_id, service, dedup_key)
            WHERE r.id <> opened.alert_id
        )
        SELECT stored.*, incident_id, version FROM stored JOIN correlated ON alert_id = stored.id
        """,
        alerts=document([_firing(run) for run in runs]),
        reports=document([_keyed(report) for run in runs for report in run.reports]),
        grace=grace,
    )
    by_key = {OpenAlertKey(row["integration_id"], row["service"], row["dedup_key"]): stored_alert(row) for row in rows}
    return {report.id: by_key[report.key] for run in runs for report in run.reports}


async def resolve_open(cur: Cursor, reports: Iterable[AlertReport], *, grace: float) -> dict[UUID, StoredAlert]:
    """Resolve the open alerts of the reports' keys; return the alert of each report that resolved one.

    A report that ended before the open alert started resolves nothing.
    """
    rows = await fetch_all(
        cur,
        """
        WITH input AS MATERIALIZED (
            SELECT * FROM json_to_recordset(%(reports)s) AS i (
                id uuid, integration_id uuid, service text, dedup_key text, ended_at timestamptz)
        ), closed AS (
            DELETE FROM alerts.open_alert AS o
            USING input, alerts.alert AS a
            WHERE o.integration_id = input.integration_id AND o.service = input.service
                AND o.dedup_key = input.dedup_key AND a.id = o.alert_id
                AND (input.ended_at < a.fired_at) IS NOT TRUE
            RETURNING o.alert_id, input.id AS report_id
        ), resolved AS (
            UPDATE alerts.alert AS a SET resolved_at = tocsin.now(), last_seen_at = tocsin.now()
            FROM closed WHERE a.id = closed.alert_id
            RETURNING a.*, closed.report_id
        ), correlated AS (
            UPDATE alerts.correlation AS c
            SET version = c.version + 1, next_forward_at = tocsin.now() + %(grace)s * interval '1 second',
                changed_at = CASE WHEN c.forwarded_version = c.version THEN tocsin.now() ELSE c.changed_at END
            FROM closed WHERE c.alert_id = closed.alert_id
            RETURNING c.alert_id, c.incident_id, c.version
        ), occurred AS (
            INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
            SELECT report_id, alert_id, 'resolved', tocsin.now() FROM closed
        )
        SELECT resolved.*, incident_id, version FROM resolved JOIN correlated ON alert_id = resolved.id
        """,
        reports=document([{**_keyed(report), "ended_at": report.alert.ends_at} for report in reports]),
        grace=grace,
    )
    return {row["report_id"]: stored_alert(row) for row in rows}


async def find_requests(cur: Cursor, requests: Sequence[IncomingRequest]) -> list[StoredRequest | None]:
    """Return for each of *requests* the stored request with its id, or with its idempotency key."""
    keys = [request.idempotent for request in requests if request.idempotent is not None]
    rows = await fetch_all(
        cur,
        """
        SELECT id, NULL AS scope, NULL AS key, NULL AS digest FROM alerts.request WHERE id = ANY (%(ids)s::uuid[])
        UNION ALL
        SELECT resource_id, scope, key, body_hash FROM alerts.idempotency
        WHERE (scope, key) IN (SELECT * FROM unnest(%(scopes)s::text[], %(keys)s::text[]))
        """,
        ids=[request.id for request in requests],
        scopes=[key.scope for key in keys],
        keys=[key.key for key in keys],
    )
    by_id = {row["id"]: StoredRequest(row["id"], None) for row in rows if row["key"] is None}
    by_key: dict[tuple[str, str] | None, StoredRequest] = {
        (row["scope"], row["key"]): StoredRequest(row["id"], bytes(row["digest"]))
        for row in rows
        if row["key"] is not None
    }
    return [by_id.get(request.id) or by_key.get(_scoped_key(request)) for request in requests]


async def find_results(cur: Cursor, report_ids: Sequence[UUID]) -> dict[UUID, IngestResult]:
    """Return the outcome of stored reports, by their id; after the retention it is not known any more (`pending`)."""
    rows = await fetch_all(
        cur,
        """
        SELECT r.id AS report_id, COALESCE(o.alert_id, r.id) AS alert_id, c.incident_id,
            CASE WHEN c.action = 'pending' THEN c.action ELSE COALESCE(o.action, c.action, 'pending') END AS action
        FROM unnest(%(ids)s::uuid[]) AS r (id)
        LEFT JOIN alerts.occurrence AS o ON o.id = r.id
        LEFT JOIN alerts.correlation AS c ON c.alert_id = COALESCE(o.alert_id, r.id)
        """,
        ids=list(report_ids),
    )
    return {
        row["report_id"]: IngestResult(row["alert_id"], row["incident_id"], AlertAction(row["action"])) for row in rows
    }


def _scoped_key(request: IncomingRequest) -> tuple[str, str] | None:
    return None if request.idempotent is None else (request.idempotent.scope, request.idempotent.key)


def _batch(requests: Sequence[IncomingRequest], reports: Sequence[AlertReport], *, grace: float) -> dict[str, Any]:
    return {
        "requests": document([_request(request) for request in requests]),
        "keys": document(
            [
                {
                    "scope": request.idempotent.scope,
                    "key": request.idempotent.key,
                    "digest": request.idempotent.digest().hex(),
                    "request_id": request.id,
                }
                for request in requests
                if request.idempotent is not None
            ]
        ),
        "alerts": document([_alert(report) for report in reports]),
        "grace": grace,
    }


def _request(request: IncomingRequest) -> dict[str, Any]:
    return {
        "id": request.id,
        "integration_id": request.integration_id,
        "integration": request.integration,
        "content_type": request.content_type,
        "body": b64encode(request.body).decode(),
        "trace_context": request.trace_context,
    }


def _keyed(report: AlertReport) -> dict[str, Any]:
    return {"id": report.id, **report.key._asdict()}


def _alert(report: AlertReport) -> dict[str, Any]:
    alert = report.alert
    return {
        "id": report.id,
        "request_id": report.request_id,
        "service": alert.service,
        "severity": alert.severity,
        "message": alert.message,
        "labels": alert.labels,
        "links": alert.links,
        "source": alert.source,
        "integration_id": report.integration_id,
        "integration": report.integration,
        "dedup_key": alert.dedup_key,
        "fingerprint": fingerprint(alert.service, alert.severity, alert.message),
        "remark": alert.remark,
        "fired_at": alert.starts_at,
        "status": alert.status,
    }


def _firing(run: FiringRun) -> dict[str, Any]:
    newest = _alert(run.reports[-1])
    row = _alert(run.reports[0])
    return {
        **row,
        "request_id": newest["request_id"],
        "labels": newest["labels"],
        "links": newest["links"],
        "occurrences": len(run.reports),
    }
