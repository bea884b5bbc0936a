-- Who may log in, and by what they prove who they are. Secrets are stored as SHA-256 of 256 random bits, passwords as Argon2id.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA access;

CREATE TABLE access.account (
    id            uuid PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('person', 'service')),
    name          text NOT NULL,
    -- By which a person logs in. A service account logs in by its tokens only.
    email         text,
    role          text NOT NULL CHECK (role IN ('sender', 'viewer', 'responder', 'admin')),
    -- Null until the person has chosen a password.
    password_hash text,
    -- The person of the on-call schedules whose account it is.
    person_id     uuid,
    -- Incremented by each change: the second of two concurrent changes gets a 412.
    version       integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT tocsin.now(),
    disabled_at   timestamptz,
    CHECK ((kind = 'person') = (email IS NOT NULL)),
    CHECK (kind = 'person' OR (password_hash IS NULL AND person_id IS NULL)),
    CHECK (kind = 'service' OR role <> 'sender')
);
CREATE UNIQUE INDEX account_email_key ON access.account (lower(email));
CREATE UNIQUE INDEX account_person_id_key ON access.account (person_id);
CREATE INDEX account_created_at_id_idx ON access.account (created_at DESC, id DESC);

-- Log-ins in browsers.
CREATE TABLE access.session (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES access.account (id) ON DELETE CASCADE,
    secret_hash  bytea NOT NULL UNIQUE,
    -- From where it began, to recognise it in the list.
    address      text NOT NULL,
    user_agent   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT tocsin.now(),
    last_used_at timestamptz NOT NULL DEFAULT tocsin.now(),
    expires_at   timestamptz NOT NULL
);
CREATE INDEX session_account_id_created_at_id_idx ON access.session (account_id, created_at DESC, id DESC);
CREATE INDEX session_expires_at_idx ON access.session (expires_at);

CREATE TABLE access.token (
    id           uuid PRIMARY KEY,
    account_id   uuid NOT NULL REFERENCES access.account (id) ON DELETE CASCADE,
    name         text NOT NULL,
    secret_hash  bytea NOT NULL UNIQUE,
    -- The first characters of the token, to recognise it by.
    prefix       text NOT NULL,
    -- At most what the account's role allows at the time of use; null for all of it.
    scopes       text[],
    created_at   timestamptz NOT NULL DEFAULT tocsin.now(),
    last_used_at timestamptz,
    expires_at   timestamptz
);
CREATE INDEX token_account_id_created_at_id_idx ON access.token (account_id, created_at DESC, id DESC);
CREATE INDEX token_expires_at_idx ON access.token (expires_at);

-- Links that work once: the first admin's, and those with which people choose a password.
CREATE TABLE access.link (
    id          uuid PRIMARY KEY,
    -- Null for the link of the first admin, whose account it creates.
    account_id  uuid REFERENCES access.account (id) ON DELETE CASCADE,
    secret_hash bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    expires_at  timestamptz NOT NULL
);
-- One valid link for each purpose: a new one replaces it.
CREATE UNIQUE INDEX link_account_id_key ON access.link (account_id) NULLS NOT DISTINCT;
CREATE INDEX link_expires_at_idx ON access.link (expires_at);

-- Failed log-ins of the last minutes, by account and by address of the client, for all replicas.
CREATE TABLE access.throttle (
    key        text PRIMARY KEY,
    failures   integer NOT NULL,
    -- When counting begins anew.
    expires_at timestamptz NOT NULL
);
CREATE INDEX throttle_expires_at_idx ON access.throttle (expires_at);

CREATE TABLE access.idempotency (
    scope       text NOT NULL,
    key         text NOT NULL,
    body_hash   bytea NOT NULL,
    resource_id uuid NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT tocsin.now(),
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_created_at_idx ON access.idempotency (created_at);

-- The role of the web service, as for the other services.
DO $$
BEGIN
    IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE NOTICE 'user % may not create roles: the services share this user', current_user;
        RETURN;
    END IF;
    BEGIN
        CREATE ROLE tocsin_access NOLOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    GRANT USAGE ON SCHEMA access TO tocsin_access;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA access TO tocsin_access;
    ALTER DEFAULT PRIVILEGES IN SCHEMA access GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tocsin_access;
END
$$;
