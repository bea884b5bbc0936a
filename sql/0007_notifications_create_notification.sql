-- Messages to people, and every attempt to deliver them.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA notifications;

CREATE TABLE notifications.notification (
    id              uuid PRIMARY KEY,
    incident_id     uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('page', 'message')),
    channel         text NOT NULL,
    -- For display and search: the address without its secret.
    recipient       text NOT NULL,
    address         text NOT NULL,
    -- The channel, or the channel, a space and a part of the address. The concurrent sends of one key are limited.
    rate_limit_key  text NOT NULL,
    message         text NOT NULL,
    page            jsonb,
    status          text NOT NULL DEFAULT 'queued' CHECK (status IN ('queued', 'sent', 'failed', 'voided')),
    reason          text,
    -- Numbers the attempts, and fences those whose lease has expired.
    attempts        integer NOT NULL DEFAULT 0,
    -- Attempts since the last redelivery, which count against the limit.
    tries           integer NOT NULL DEFAULT 0,
    request_id      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT tocsin.now(),
    first_tried_at  timestamptz,
    next_attempt_at timestamptz DEFAULT tocsin.now(),
    redelivered_at  timestamptz,
    finished_at     timestamptz,
    -- The delivery id of the digest in which a late page was sent.
    digest_id       uuid,
    trace_context   text,
    CHECK ((status = 'queued') = (next_attempt_at IS NOT NULL)),
    CHECK ((status = 'queued') = (finished_at IS NULL)),
    CHECK ((kind = 'page') = (page IS NOT NULL)),
    CHECK ((tries = 0) = (first_tried_at IS NULL))
) WITH (fillfactor = 80);
-- 'page' sorts after 'message': descending, pages come first.
CREATE INDEX notification_queued_idx
    ON notifications.notification (rate_limit_key, kind DESC, created_at DESC, next_attempt_at)
    WHERE status = 'queued';
CREATE INDEX notification_queued_incident_id_idx ON notifications.notification (incident_id) WHERE status = 'queued';
CREATE INDEX notification_failed_idx ON notifications.notification (channel) WHERE status = 'failed';
CREATE INDEX notification_created_at_id_idx ON notifications.notification (created_at DESC, id DESC);
CREATE INDEX notification_incident_id_created_at_id_idx ON notifications.notification (incident_id, created_at DESC, id DESC);
CREATE INDEX notification_status_created_at_id_idx ON notifications.notification (status, created_at DESC, id DESC);
CREATE INDEX notification_channel_created_at_id_idx ON notifications.notification (channel, created_at DESC, id DESC);
-- A person's pages, newest first.
CREATE INDEX notification_person_created_at_id_idx
    ON notifications.notification ((page ->> 'person'), created_at DESC, id DESC);
-- Hashed: a URL may be longer than an index row.
CREATE INDEX notification_recipient_created_at_id_idx
    ON notifications.notification (md5(recipient), created_at DESC, id DESC);

CREATE TABLE notifications.attempt (
    notification_id uuid NOT NULL REFERENCES notifications.notification (id) ON DELETE CASCADE,
    number          integer NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('sent', 'retry', 'failed')),
    code            integer,
    answer          text NOT NULL,
    started_at      timestamptz NOT NULL,
    seconds         double precision NOT NULL CHECK (seconds >= 0),
    PRIMARY KEY (notification_id, number)
);

-- Incidents whose pages are cancelled: a delayed page that arrives later is not sent.
CREATE TABLE notifications.cancellation (
    incident_id uuid PRIMARY KEY,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now()
);
CREATE INDEX cancellation_created_at_idx ON notifications.cancellation (created_at);

-- Requests to other services, written in the transaction of the change that causes them. `id` is assigned while the
-- parent row is locked, so that it orders the rows of one key.
CREATE TABLE notifications.outbox (
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
CREATE INDEX outbox_due_idx ON notifications.outbox (next_attempt_at) WHERE done_at IS NULL AND parked_at IS NULL;
CREATE INDEX outbox_key_id_idx ON notifications.outbox (key, id) WHERE done_at IS NULL;
CREATE INDEX outbox_done_at_idx ON notifications.outbox (done_at) WHERE done_at IS NOT NULL;

-- POST and PATCH requests with an Idempotency-Key: a hash of the request, and the resource that it created or changed.
CREATE TABLE notifications.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created_at_idx ON notifications.idempotency (created_at);
