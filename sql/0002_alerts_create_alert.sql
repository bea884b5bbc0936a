-- Requests, their alerts, and the state of the alerts' correlation. All ids are UUIDv7, so that the large tables can be
-- partitioned by ranges of their primary key; small tables hold the keys that must be unique across partitions.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA alerts;

-- A request as received, stored once for all its alerts. The first alert has the id of the request, each further one the
-- next higher id, so that a retried commit finds the same rows and is a no-op.
CREATE TABLE alerts.request (
    id             uuid PRIMARY KEY,
    integration_id uuid NOT NULL,
    integration    text NOT NULL,
    content_type   text NOT NULL,
    body           bytea NOT NULL,
    -- The W3C `traceparent` of the request; null if tracing is off.
    trace_context  text,
    created_at     timestamptz NOT NULL DEFAULT tocsin.now()
);

-- A request with an Idempotency-Key: a hash of the request, and its id. Never deleted: a sender may retry for longer than
-- any other client.
CREATE TABLE alerts.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);

-- An alert as its sender reported it. Correlation updates another table, because an update here would write to every
-- index; a repeat updates no indexed column.
CREATE TABLE alerts.alert (
    id             uuid PRIMARY KEY,
    request_id     uuid NOT NULL,
    service        text NOT NULL,
    severity       text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    message        text NOT NULL,
    labels         jsonb NOT NULL,
    links          jsonb NOT NULL,
    source         text,
    integration_id uuid NOT NULL,
    integration    text NOT NULL,
    dedup_key      text,
    fingerprint    text NOT NULL,
    occurrences    integer NOT NULL CHECK (occurrences > 0),
    remark         text,
    fired_at       timestamptz,
    created_at     timestamptz NOT NULL DEFAULT tocsin.now(),
    last_seen_at   timestamptz NOT NULL DEFAULT tocsin.now(),
    resolved_at    timestamptz
);
CREATE INDEX alert_created_at_id_idx ON alerts.alert (created_at DESC, id DESC);
CREATE INDEX alert_service_created_at_id_idx ON alerts.alert (service, created_at DESC, id DESC);
CREATE INDEX alert_severity_created_at_id_idx ON alerts.alert (severity, created_at DESC, id DESC);
CREATE INDEX alert_integration_created_at_id_idx ON alerts.alert (integration, created_at DESC, id DESC);
CREATE INDEX alert_fingerprint_created_at_id_idx ON alerts.alert (fingerprint, created_at DESC, id DESC);
CREATE INDEX alert_resolved_idx ON alerts.alert (created_at DESC, id DESC) WHERE resolved_at IS NOT NULL;
-- New entries go to a pending list. The INSERT that fills it merges it: a short list limits how long that takes.
CREATE INDEX alert_message_idx ON alerts.alert USING gin (to_tsvector('simple', message)) WITH (gin_pending_list_limit = 256);

-- The one open alert of each key. Its row is locked while the alert changes, and deleted when it is resolved.
CREATE TABLE alerts.open_alert (
    integration_id uuid NOT NULL,
    service        text NOT NULL,
    dedup_key      text NOT NULL,
    alert_id       uuid NOT NULL,
    PRIMARY KEY (integration_id, service, dedup_key)
);

-- The incident of an alert, and its version that was forwarded to incident management: one narrow row per alert.
-- `version` is raised by every change that has to be forwarded; forwarded_version is the newest that was confirmed.
-- (No foreign keys here: they would cost each alert as much as two more indexes.)
CREATE TABLE alerts.correlation (
    alert_id          uuid PRIMARY KEY,
    incident_id       uuid,
    action            text NOT NULL,
    version           integer NOT NULL DEFAULT 1,
    forwarded_version integer NOT NULL DEFAULT 0 CHECK (forwarded_version <= version),
    -- As in alerts.alert, for reading an incident's alerts in order of creation.
    created_at        timestamptz NOT NULL,
    -- The time of the oldest change that has not been forwarded.
    changed_at        timestamptz NOT NULL,
    -- Until then a replica is forwarding it; after that it is overdue.
    next_forward_at   timestamptz NOT NULL
);
CREATE INDEX correlation_unforwarded_idx ON alerts.correlation (next_forward_at) WHERE forwarded_version < version;
CREATE INDEX correlation_incident_id_created_at_alert_id_idx
    ON alerts.correlation (incident_id, created_at DESC, alert_id DESC) WHERE incident_id IS NOT NULL;
-- The rare actions. Nearly all alerts of a storm are attached, and none of those is in this index.
CREATE INDEX correlation_action_created_at_alert_id_idx ON alerts.correlation (action, created_at DESC, alert_id DESC)
    WHERE action IN ('new_incident', 'ignored');

-- A report that updated an open alert instead of creating one: the alert, and whether it was repeated or resolved.
CREATE TABLE alerts.occurrence (
    id         uuid PRIMARY KEY,
    alert_id   uuid NOT NULL,
    action     text NOT NULL,
    created_at timestamptz NOT NULL
);
