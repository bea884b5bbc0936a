-- Alerts as their senders told them. A request is stored once, however many alerts it brought; it is also what makes a
-- repeated POST with the same Idempotency-Key, or a retried commit, change nothing: the ids of its alerts follow from
-- its own (the first has the same, each further one the next higher).
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA alerts;

CREATE TABLE alerts.request (
    id              uuid PRIMARY KEY,
    idempotency_key text,
    receiver        text NOT NULL,
    content_type    text NOT NULL,
    body            bytea NOT NULL,
    -- The W3C `traceparent` of the request: null where tracing is off.
    trace_context   text,
    created_at      timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE UNIQUE INDEX request_idempotency_key_key ON alerts.request (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What the sender said. Nothing here changes when the alert is correlated, or else it would pay for each index twice; a
-- repeat changes no indexed column either.
CREATE TABLE alerts.alert (
    id            uuid PRIMARY KEY,
    request_id    uuid NOT NULL,
    service       text NOT NULL,
    severity      text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    message       text NOT NULL,
    labels        jsonb NOT NULL,
    links         jsonb NOT NULL,
    source        text,
    receiver      text NOT NULL,
    dedup_key     text,
    fingerprint   text NOT NULL,
    occurrences   integer NOT NULL CHECK (occurrences > 0),
    remark        text,
    fired_at      timestamptz,
    created_at    timestamptz NOT NULL DEFAULT tocsin.now(),
    last_seen_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    resolved_at   timestamptz
);
CREATE UNIQUE INDEX alert_dedup_key_key ON alerts.alert (dedup_key) WHERE resolved_at IS NULL AND dedup_key IS NOT NULL;
CREATE INDEX alert_created_at_id_idx ON alerts.alert (created_at DESC, id DESC);
CREATE INDEX alert_service_created_at_id_idx ON alerts.alert (service, created_at DESC, id DESC);
CREATE INDEX alert_severity_created_at_id_idx ON alerts.alert (severity, created_at DESC, id DESC);
CREATE INDEX alert_fingerprint_created_at_id_idx ON alerts.alert (fingerprint, created_at DESC, id DESC);
CREATE INDEX alert_resolved_idx ON alerts.alert (created_at DESC, id DESC) WHERE resolved_at IS NOT NULL;
-- New entries wait in a list that some INSERT merges when it is full: a short one, so that no sender waits long for that.
CREATE INDEX alert_message_idx ON alerts.alert USING gin (to_tsvector('simple', message)) WITH (gin_pending_list_limit = 256);

-- Where an alert belongs, and what incident management knows of it: one narrow row for each alert, so that correlating
-- it does not rewrite what its sender said. `version` rises with every change that incident management must be told;
-- told_version is what it has confirmed. (No foreign keys here: they would cost each alert as much as two more indexes.)
CREATE TABLE alerts.correlation (
    alert_id     uuid PRIMARY KEY,
    incident_id  uuid,
    action       text NOT NULL CHECK (action IN
        ('pending', 'new_incident', 'attached_to_existing_incident', 'repeated', 'resolved', 'ignored')),
    version      integer NOT NULL DEFAULT 1,
    told_version integer NOT NULL DEFAULT 0 CHECK (told_version <= version),
    -- The alert's own, so that an incident's alerts can be read in their order.
    created_at   timestamptz NOT NULL,
    -- Since when there is something to tell.
    changed_at   timestamptz NOT NULL,
    -- Until then whoever took the alert in, or a sweeper, is about to tell it.
    next_tell_at timestamptz NOT NULL
);
CREATE INDEX correlation_untold_idx ON alerts.correlation (next_tell_at) WHERE told_version < version;
CREATE INDEX correlation_incident_id_created_at_alert_id_idx
    ON alerts.correlation (incident_id, created_at DESC, alert_id DESC) WHERE incident_id IS NOT NULL;
-- What few alerts become, newest first. Nearly all alerts of a storm are attached, and none of those is in here.
CREATE INDEX correlation_action_created_at_alert_id_idx ON alerts.correlation (action, created_at DESC, alert_id DESC)
    WHERE action IN ('new_incident', 'ignored');

-- A report that did not make an alert of its own, since one of its key was open: which one it met, and what it did.
CREATE TABLE alerts.occurrence (
    id         uuid PRIMARY KEY,
    alert_id   uuid NOT NULL,
    action     text NOT NULL CHECK (action IN ('repeated', 'resolved')),
    created_at timestamptz NOT NULL
);
