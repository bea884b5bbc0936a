-- Incidents: what alerts are correlated into, what people answer, and what MTTA and MTTR are measured on.
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
    -- Alerts that their sender has not resolved; one without a deduplication key never is. At 0 the incident may resolve itself.
    firing_count      integer NOT NULL DEFAULT 0 CHECK (firing_count >= 0),
    -- Raised by what people edit, not by alerts: If-Match compares it.
    version           integer NOT NULL DEFAULT 1,
    created_at        timestamptz NOT NULL DEFAULT tocsin.now(),
    updated_at        timestamptz NOT NULL DEFAULT tocsin.now(),
    acknowledged_at   timestamptz,
    resolved_at       timestamptz,
    -- When on-call confirmed that it pages for this incident; reconciled while null.
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
-- As many entries as there is work, whatever the history's size.
CREATE INDEX incident_unresolved_created_at_id_idx ON incidents.incident (created_at DESC, id DESC)
    WHERE status <> 'resolved';
CREATE INDEX incident_unconfirmed_idx ON incidents.incident (created_at)
    WHERE acknowledged_at IS NULL AND escalation_confirmed_at IS NULL;
CREATE INDEX incident_search_idx ON incidents.incident USING gin (search);

-- A row per service and severity: locking it is what makes two replicas agree. It points at nothing; the incident that
-- a new alert joins is looked up under the lock, in incident_unresolved_idx, which holds as many entries as there is work.
CREATE TABLE incidents.slot (
    service  text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    PRIMARY KEY (service, severity)
);

-- Which incident an alert belongs to, with the alert as ingestion last told it. One alert, one incident.
CREATE TABLE incidents.incident_alert (
    alert_id     uuid PRIMARY KEY,
    incident_id  uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    version      integer NOT NULL,
    -- The version that was told when the alert came to this incident: a repeat of it gets the same answer.
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
);
CREATE INDEX incident_alert_incident_id_attached_at_idx
    ON incidents.incident_alert (incident_id, attached_at DESC, alert_id DESC);

CREATE TABLE incidents.note (
    id          uuid PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    text        text NOT NULL,
    author      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX note_incident_id_created_at_idx ON incidents.note (incident_id, created_at, id);

-- Append-only. It is also the log that the stream reads: (xid, seq) below the oldest running transaction is a prefix
-- that never changes, which seq alone is not, since sequence numbers are not drawn in commit order.
CREATE TABLE incidents.timeline (
    id          uuid PRIMARY KEY,
    incident_id uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    event_type  text NOT NULL CHECK (event_type IN ('created', 'alert_attached', 'alert_resolved', 'alert_moved',
        'assigned', 'paged', 'escalated', 'nobody_on_call', 'delivered', 'delivery_failed', 'acknowledged',
        'status_changed', 'severity_changed', 'title_changed', 'note_added', 'resolved')),
    event_key   text,
    actor       text NOT NULL,
    detail      text NOT NULL,
    data        jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX timeline_incident_id_seq_idx ON incidents.timeline (incident_id, seq DESC);
CREATE UNIQUE INDEX timeline_incident_id_event_key_key ON incidents.timeline (incident_id, event_key) WHERE event_key IS NOT NULL;
CREATE INDEX timeline_xid_seq_idx ON incidents.timeline (xid, seq);

-- What must be told to another service: written in the transaction of the change it tells of. `id` is drawn while the
-- parent row is locked, so that it orders the rows of one key.
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
    -- The W3C `traceparent` that the delivery goes on with: null where tracing is off.
    trace_context   text
);
CREATE INDEX outbox_due_idx ON incidents.outbox (next_attempt_at) WHERE done_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_key_id_idx ON incidents.outbox (key, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done_at_idx ON incidents.outbox (done_at) WHERE done_at IS NOT NULL;

-- A POST or PATCH that carried an Idempotency-Key: what it asked, and the resource that answers for it.
CREATE TABLE incidents.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created_at_idx ON incidents.idempotency (created_at);
