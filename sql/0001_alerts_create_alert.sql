-- Alerts as their senders told them. A request is stored once, however many alerts it brought; it is also what makes a
-- repeated POST with the same Idempotency-Key, or a retried commit, change nothing.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA alerts;

CREATE TABLE alerts.request (
    id              uuid PRIMARY KEY,
    idempotency_key text,
    receiver        text NOT NULL,
    content_type    text NOT NULL,
    body            bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX request_idempotency_key_key ON alerts.request (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE alerts.alert (
    id            uuid PRIMARY KEY,
    request_id    uuid NOT NULL,
    position      integer NOT NULL,
    service       text NOT NULL,
    severity      text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    message       text NOT NULL,
    labels        jsonb NOT NULL,
    links         jsonb NOT NULL,
    source        text,
    receiver      text NOT NULL,
    dedup_key     text,
    fingerprint   text NOT NULL,
    occurrences   integer NOT NULL DEFAULT 1 CHECK (occurrences > 0),
    remark        text,
    incident_id   uuid,
    action        text NOT NULL DEFAULT 'pending'
        CHECK (action IN ('pending', 'new_incident', 'attached_to_existing_incident', 'repeated', 'resolved', 'ignored')),
    -- Raised by every change that incident management must know; told_version is what it has confirmed.
    version       integer NOT NULL DEFAULT 1,
    told_version  integer NOT NULL DEFAULT 0 CHECK (told_version <= version),
    fired_at      timestamptz,
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at   timestamptz
) WITH (fillfactor = 85);
CREATE UNIQUE INDEX alert_dedup_key_key ON alerts.alert (dedup_key) WHERE resolved_at IS NULL AND dedup_key IS NOT NULL;
CREATE INDEX alert_untold_idx ON alerts.alert (last_seen_at) WHERE told_version < version;
CREATE INDEX alert_created_at_id_idx ON alerts.alert (created_at DESC, id DESC);
CREATE INDEX alert_service_created_at_id_idx ON alerts.alert (service, created_at DESC, id DESC);
CREATE INDEX alert_incident_id_created_at_id_idx ON alerts.alert (incident_id, created_at DESC, id DESC);
