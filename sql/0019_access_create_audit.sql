-- Who changed what, in closed mode. Entries are added, and deleted once they are past the retention; none is ever changed.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE TABLE access.audit (
    -- Made where the change was made: an entry that is delivered twice is stored once.
    id             uuid PRIMARY KEY,
    created_at     timestamptz NOT NULL DEFAULT tocsin.now(),
    service        text NOT NULL,
    action         text NOT NULL,
    -- Who, as they were called then. The account may be gone.
    principal_kind text NOT NULL,
    principal_name text,
    account_id     uuid,
    -- Their session or token.
    credential_id  uuid,
    address        text NOT NULL,
    object_kind    text NOT NULL,
    object_id      text NOT NULL,
    object_name    text NOT NULL,
    -- The changed fields only, without secrets and contact addresses.
    before         jsonb,
    after          jsonb,
    -- Refusals of a minute are one entry.
    count          integer NOT NULL DEFAULT 1,
    request_id     text NOT NULL
);
CREATE INDEX audit_created_at_id_idx ON access.audit (created_at DESC, id DESC);
CREATE INDEX audit_account_id_created_at_id_idx ON access.audit (account_id, created_at DESC, id DESC);
CREATE INDEX audit_action_created_at_id_idx ON access.audit (action, created_at DESC, id DESC);
CREATE INDEX audit_object_kind_created_at_id_idx ON access.audit (object_kind, created_at DESC, id DESC);
CREATE INDEX audit_object_id_created_at_id_idx ON access.audit (object_id, created_at DESC, id DESC);
CREATE INDEX audit_object_name_idx ON access.audit (lower(object_name) text_pattern_ops);

-- By the true time: a session could move that of tocsin.now(). Also for the owner of the table, whom all services share
-- where no roles can be created.
CREATE FUNCTION access.keep_audit() RETURNS trigger LANGUAGE plpgsql SET tocsin.clock_offset = '' AS $$
BEGIN
    IF TG_OP = 'UPDATE' OR OLD.created_at > tocsin.now() - interval '30 days' THEN
        RAISE 'entries of the audit are not changed, and not deleted within 30 days';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER audit_keep BEFORE UPDATE OR DELETE ON access.audit FOR EACH ROW EXECUTE FUNCTION access.keep_audit();

-- Deletes a batch of the entries that are older than some days; the web service's role may delete no others. Returns how many.
CREATE FUNCTION access.delete_expired_audit(days integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET tocsin.clock_offset = '' AS $$
    WITH deleted AS (
        DELETE FROM access.audit WHERE id = ANY (ARRAY(
            SELECT id FROM access.audit WHERE created_at <= tocsin.now() - make_interval(days => GREATEST(days, 30))
            ORDER BY created_at LIMIT 1000 FOR UPDATE SKIP LOCKED))
        RETURNING 1)
    SELECT count(*)::integer FROM deleted
$$;

-- Entries of the other services until the web service has stored them. Not in their outboxes: however many wait there while
-- the web service is away, no page waits behind them, and no alarm of undelivered pages counts them.
CREATE TABLE incidents.audit_queue (
    id         uuid PRIMARY KEY,
    entry      jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT tocsin.now()
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
CREATE TABLE oncall.audit_queue (
    id         uuid PRIMARY KEY,
    entry      jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT tocsin.now()
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
CREATE TABLE notifications.audit_queue (
    id         uuid PRIMARY KEY,
    entry      jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT tocsin.now()
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'tocsin_access') THEN
        REVOKE UPDATE, DELETE, TRUNCATE ON access.audit FROM tocsin_access;
    END IF;
END
$$;
