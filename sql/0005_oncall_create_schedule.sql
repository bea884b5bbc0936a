-- Teams, their on-call schedules, and the escalations that page them.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA oncall;

CREATE TABLE oncall.team (
    id         uuid PRIMARY KEY,
    name       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT tocsin.now()
);

-- A service, by the name that senders use, and the team that owns it.
CREATE TABLE oncall.service (
    name    text PRIMARY KEY,
    team_id uuid NOT NULL REFERENCES oncall.team (id) ON DELETE CASCADE
);
CREATE INDEX service_team_id_idx ON oncall.service (team_id);

CREATE TABLE oncall.schedule (
    id            uuid PRIMARY KEY,
    team_id       uuid NOT NULL REFERENCES oncall.team (id) ON DELETE CASCADE,
    rotation_type text NOT NULL,
    members       jsonb NOT NULL,
    time_zone     text NOT NULL,
    -- Local time at which a shift of the first member begins; every handoff is computed from it.
    anchor        timestamp NOT NULL,
    -- Incremented by each change: the second of two concurrent changes gets a 412.
    version       integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX schedule_team_id_idx ON oncall.schedule (team_id);
CREATE INDEX schedule_created_at_id_idx ON oncall.schedule (created_at DESC, id DESC);

-- One per incident. A running one has a next action with a time, a stopped one a reason: there is no third state.
CREATE TABLE oncall.escalation (
    incident_id     uuid PRIMARY KEY,
    -- The incident as it was at the start. Null if a stop has arrived before the start.
    incident        jsonb,
    team            text,
    team_reason     text,
    assigned_to     text,
    step            integer NOT NULL DEFAULT 0,
    level           text,
    next_level      text NOT NULL DEFAULT 'primary',
    timeout_seconds double precision NOT NULL CHECK (timeout_seconds > 0),
    next_action_at  timestamptz,
    stopped_at      timestamptz,
    stop_reason     text,
    stopped_by      text,
    trace_context   text,
    created_at      timestamptz NOT NULL DEFAULT tocsin.now(),
    CHECK ((next_action_at IS NULL) = (stopped_at IS NOT NULL)),
    CHECK ((stop_reason IS NULL) = (stopped_at IS NULL)),
    CHECK (stopped_at IS NOT NULL OR incident IS NOT NULL),
    CHECK ((incident IS NULL) = (team IS NULL)),
    CHECK ((incident IS NULL) = (team_reason IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX escalation_due_idx ON oncall.escalation (next_action_at) WHERE stopped_at IS NULL;

-- One message to one person over one channel. Its id is also the id of the notification. The key starts with incident_id, a
-- UUIDv7, so that the table can be partitioned by ranges of it.
CREATE TABLE oncall.page (
    id           uuid NOT NULL,
    incident_id  uuid NOT NULL REFERENCES oncall.escalation (incident_id) ON DELETE CASCADE,
    -- The team that was paged: the incident may be assigned to another one later.
    team         text NOT NULL,
    step         integer NOT NULL,
    level        text NOT NULL,
    person       text NOT NULL,
    channel      text NOT NULL,
    address      text NOT NULL,
    reason       text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT tocsin.now(),
    cancelled_at timestamptz,
    failed_at    timestamptz,
    failure      text,
    PRIMARY KEY (incident_id, id)
);
-- A digest, because an address may be longer than an index entry.
CREATE UNIQUE INDEX page_incident_id_step_person_channel_address_key
    ON oncall.page (incident_id, step, person, channel, md5(address));

-- Requests to other services, written in the transaction of the change that causes them. `id` is assigned while the parent
-- row is locked, so that it orders the rows of one key.
CREATE TABLE oncall.outbox (
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
CREATE INDEX outbox_due_idx ON oncall.outbox (next_attempt_at) WHERE done_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_key_id_idx ON oncall.outbox (key, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done_at_idx ON oncall.outbox (done_at) WHERE done_at IS NOT NULL;

-- Requests with an Idempotency-Key: a hash of each request, and the resource that a retry returns.
CREATE TABLE oncall.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created_at_idx ON oncall.idempotency (created_at);
