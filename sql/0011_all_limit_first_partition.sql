-- The tables that grow with every alert are partitioned by ranges of their UUIDv7 key, that is by time. Their rows
-- become the first partition, which ends at least five weeks from now: until 0013 is applied, later ids are refused. This file
-- limits the ids, 0012 checks the rows while more are written, 0013 partitions the tables.
SET lock_timeout = '1s';
SET statement_timeout = '900s';

-- The lowest id of an instant, and the instant of such an id.
CREATE FUNCTION tocsin.id_at(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (lpad(to_hex((EXTRACT(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;
CREATE FUNCTION tocsin.time_of(id uuid) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0);

-- Monday, 00:00 UTC, of the week of an instant.
CREATE FUNCTION tocsin.week_of(at timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN date_trunc('week', at, 'UTC');

-- Locks tables exclusively, all or none. The first lock lets writers continue, and an autovacuum in progress is cancelled
-- for it; behind the second they wait for a second at most, and then continue until the next try.
CREATE FUNCTION tocsin.lock_tables(tables text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    FOR attempt IN 1..60 LOOP
        BEGIN
            PERFORM set_config('lock_timeout', '5s', true);
            EXECUTE format('LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE', tables);
            PERFORM set_config('lock_timeout', '900ms', true); -- below deadlock_timeout: no writer is aborted
            EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', tables);
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            PERFORM pg_sleep(1);
        END;
    END LOOP;
    RAISE 'no lock on % within 60 tries: end the long transactions in pg_stat_activity', tables;
END
$$;

DO $$
DECLARE
    tables  text[] := ARRAY['alerts.request', 'alerts.alert', 'alerts.correlation', 'alerts.occurrence', 'incidents.incident_alert'];
    keys    text[] := ARRAY['id', 'id', 'alert_id', 'id', 'alert_id'];
    highest uuid;
    ends    timestamptz := tocsin.week_of(tocsin.now()) + interval '6 weeks';
BEGIN
    PERFORM tocsin.lock_tables(array_to_string(tables, ', '));
    -- A process whose clock was wrong may have created ids of the future.
    FOR i IN 1..cardinality(tables) LOOP
        EXECUTE format('SELECT %I FROM %s ORDER BY 1 DESC LIMIT 1', keys[i], tables[i]) INTO highest;
        ends := GREATEST(ends, tocsin.week_of(tocsin.time_of(highest)) + interval '1 week');
    END LOOP;
    FOR i IN 1..cardinality(tables) LOOP
        EXECUTE format('ALTER TABLE %s ADD CONSTRAINT first_partition CHECK (%I < %L) NOT VALID', tables[i], keys[i], tocsin.id_at(ends));
    END LOOP;
END
$$;
