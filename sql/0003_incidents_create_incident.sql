-- Incidents, the alerts correlated into them, their notes and their timeline.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA incidents;

CREATE TABLE incidents.incident (
    id                uuid PRIMARY KEY,
    number            bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    title             text NOT NULL,
    description       text,
    service           text NOT NULL,
    severity          text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    status            text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'acknowledged', 'in_progress', 'resolved')),
    team              text,
    assigned_to       text,
    alert_count       integer NOT NULL DEFAULT 0,
    -- Alerts that their sender has not resolved; without a deduplication key it cannot. At 0 the incident can auto-resolve.
    firing_count      integer NOT NULL DEFAULT 0 CHECK (firing_count >= 0),
    -- Incremented by people's changes, not by alerts: If-Match compares it.
    version           integer NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT tocsin.now(),
    updated_at        timestamptz NOT NULL DEFAULT tocsin.now(),
    acknowledged_at   timestamptz,
    resolved_at       timestamptz,
    -- When on-call confirmed the escalation; reconciled while null.
    escalation_confirmed_at timestamptz,
    search            tsvector GENERATED ALWAYS AS
        (to_tsvector('simple', left(title, 1000) || ' ' || service || ' ' || left(coalesce(description, ''), 100000))) STORED,
    CHECK ((status = 'open') = (acknowledged_at IS NULL)),
    CHECK ((status = 'resolved') = (resolved_at IS NOT NULL)),
    CHECK (acknowledged_at >= created_at),
    CHECK (resolved_at >= created_at)
) WITH (fillfactor = 80);
CREATE INDEX incident_created_at_id_idx ON incidents.incident (created_at DESC, id DESC);
CREATE INDEX incident_status_created_at_id_idx ON incidents.incident (status, created_at DESC, id DESC);
CREATE INDEX incident_service_created_at_id_idx ON incidents.incident (service, created_at DESC, id DESC);
CREATE INDEX incident_severity_created_at_id_idx ON incidents.incident (severity, created_at DESC, id DESC);
CREATE INDEX incident_assigned_to_created_at_id_idx ON incidents.incident (assigned_to, created_at DESC, id DESC);
CREATE INDEX incident_team_created_at_id_idx ON incidents.incident (team, created_at DESC, id DESC);
CREATE INDEX incident_unresolved_idx ON incidents.incident (service, severity, created_at DESC, id DESC)
    WHERE status <> 'resolved';
-- Partial: its size does not grow with the history.
CREATE INDEX incident_unresolved_created_at_id_idx ON incidents.incident (created_at DESC, id DESC)
    WHERE status <> 'resolved';
CREATE INDEX incident_unconfirmed_idx ON incidents.incident (created_at)
    WHERE acknowledged_at IS NULL AND escalation_confirmed_at IS NULL;
CREATE INDEX incident_search_idx ON incidents.incident USING gin (search);

-- Locked by correlation, so that two replicas do not open two incidents of one service and severity. The incident that an
-- alert joins is looked up under the lock.
CREATE TABLE incidents.correlation_key (
    service  text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    PRIMARY KEY (service, severity)
);

-- The alert as ingestion last reported it, and its one incident.
CREATE TABLE incidents.incident_alert (
    alert_id     uuid PRIMARY KEY,
    incident_id  uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    version      integer NOT NULL,
    -- The alert's version when it was attached: a retry of it gets the same result.
    attached_version integer NOT NULL,
    service      text NOT NULL,
    severity     text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    message      text NOT NULL,
    source       text,
    labels       jsonb NOT NULL,
    dedup_key    text,
    occurrences  integer NOT NULL,
    action       text NOT NULL CHECK (action IN ('new_incident', 'attached_to_existing_incident')),
    attached_at  timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at  timestamptz
) WITH (fillfactor = 90); -- repeats update no indexed column: with room on the page they are HOT updates
CREATE INDEX incident_alert_incident_id_attached_at_idx
    ON incidents.incident_alert (incident_id, attached_at DESC, alert_id DESC);

-- A copy of an alert that moved from a resolved incident to another one, for the details of the resolved one.
CREATE TABLE incidents.moved_alert (
    incident_id  uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    alert_id     uuid NOT NULL,
    moved_to     uuid NOT NULL,
    moved_at     timestamptz NOT NULL,
    service      text NOT NULL,
    severity     text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    message      text NOT NULL,
    source       text,
    labels       jsonb NOT NULL,
    dedup_key    text,
    occurrences  integer NOT NULL,
    attached_at  timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    resolved_at  timestamptz,
    PRIMARY KEY (incident_id, alert_id)
);
CREATE INDEX moved_alert_incident_id_moved_at_idx
    ON incidents.moved_alert (incident_id, moved_at DESC, alert_id DESC);

CREATE TABLE incidents.note (
    id          uuid PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    text        text NOT NULL,
    author      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX note_incident_id_created_at_idx ON incidents.note (incident_id, created_at, id);

-- Append-only. The stream of changes reads it in the order of (xid, seq), below the oldest running transaction: no row can be
-- added there any more. The order of seq alone is not stable, since sequence numbers are not assigned in commit order.
CREATE TABLE incidents.timeline (
    id          uuid PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_type  text NOT NULL,
    event_key   text,
    actor       text NOT NULL,
    detail      text NOT NULL,
    data        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX timeline_incident_id_seq_idx ON incidents.timeline (incident_id, seq DESC);
CREATE UNIQUE INDEX timeline_incident_id_event_key_key ON incidents.timeline (incident_id, event_key) WHERE event_key IS NOT NULL;
CREATE INDEX timeline_xid_seq_idx ON incidents.timeline (xid, seq);

-- Messages to other services, inserted in the transaction of the change that they report. `id` is assigned while the incident is
-- locked, so that it orders the messages of one key.
CREATE TABLE incidents.outbox (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id      uuid NOT NULL UNIQUE,
    kind            text NOT NULL,
    key             text NOT NULL,
    body            bytea NOT NULL,
    request_id      text NOT NULL,
    attempts        integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT tocsin.now(),
    next_attempt_at timestamptz NOT NULL DEFAULT tocsin.now(),
    done_at         timestamptz,
    parked_at       timestamptz,
    last_error      text,
    -- The W3C `traceparent` that the delivery continues; null if tracing is off.
    trace_context   text
);
CREATE INDEX outbox_due_idx ON incidents.outbox (next_attempt_at) WHERE done_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_key_id_idx ON incidents.outbox (key, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done_at_idx ON incidents.outbox (done_at) WHERE done_at IS NOT NULL;

-- Requests with an Idempotency-Key, and the resource from which their response is rebuilt.
CREATE TABLE incidents.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created_at_idx ON incidents.idempotency (created_at);
