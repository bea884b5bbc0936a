-- What the services' workers call to add partitions and to drop those past the retention. The roles of the services own no
-- table: the functions of their schemas run as its owner. A lock that is not free within 200 ms is left for the next call.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE FUNCTION tocsin.partitions(parent regclass) RETURNS TABLE (partition regclass, starts uuid, ends uuid)
LANGUAGE sql STABLE AS $$
    SELECT c.oid::regclass,
           COALESCE(substring(bound FROM 'FROM \(''([0-9a-f-]+)''\)')::uuid, '00000000-0000-0000-0000-000000000000'),
           substring(bound FROM 'TO \(''([0-9a-f-]+)''\)')::uuid
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
    WHERE i.inhparent = parent AND bound <> 'DEFAULT'
$$;

-- Adds the next partition, of some weeks, of a table that does not reach five weeks ahead, and moves into it the rows that the
-- default partition has of that time. If they are too many to be moved while inserts wait, they stay there, and the partition
-- begins tomorrow. Returns its name; null if there is nothing to do, or another replica does it.
CREATE FUNCTION tocsin.add_partition(parent text, weeks integer) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    key_name   name;
    starts     uuid;
    ends       uuid;
    partition  text;
    parameters text;
    in_default integer;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtextextended(parent, 0)) THEN
        RETURN NULL;
    END IF;
    SELECT p.ends INTO starts FROM tocsin.partitions(parent::regclass) AS p ORDER BY p.ends DESC LIMIT 1;
    starts := COALESCE(starts, tocsin.id_at(tocsin.week_of(tocsin.now()))); -- all others have been dropped
    IF starts >= tocsin.id_at(tocsin.now() + interval '5 weeks') THEN
        RETURN NULL;
    END IF;
    SELECT a.attname INTO STRICT key_name
    FROM pg_partitioned_table AS p JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = parent::regclass;
    ends := tocsin.id_at(tocsin.time_of(starts) + make_interval(weeks => weeks));
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s_default WHERE %I >= %L AND %I < %L LIMIT 20001) AS found',
                   parent, key_name, starts, key_name, ends) INTO in_default;
    IF in_default > 20000 THEN
        starts := GREATEST(starts, tocsin.id_at(date_trunc('day', tocsin.now(), 'UTC') + interval '1 day'));
        ends := GREATEST(ends, tocsin.id_at(tocsin.time_of(starts) + make_interval(weeks => weeks)));
    END IF;
    partition := parent || to_char(tocsin.time_of(starts) AT TIME ZONE 'UTC', '_YYYYMMDD');
    SELECT array_to_string(reloptions, ', ') INTO parameters FROM pg_class WHERE oid = (parent || '_default')::regclass;
    -- Attached instead of created in its place: rows are read and inserted while a partition is attached.
    EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING ALL)', partition, parent);
    IF parameters IS NOT NULL THEN
        EXECUTE format('ALTER TABLE %s SET (%s)', partition, parameters);
    END IF;
    EXECUTE format('LOCK TABLE %s_default IN ACCESS EXCLUSIVE MODE', parent);
    EXECUTE format(
        'WITH moved AS (DELETE FROM %s_default WHERE %I >= %L AND %I < %L RETURNING *) INSERT INTO %s SELECT * FROM moved',
        parent, key_name, starts, key_name, ends, partition);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', parent, partition, starts, ends);
    RETURN partition;
END
$$;

-- Drops the partitions of some tables that end at an id, if all of their rows are older than some days. A DROP locks the
-- tables for a moment; the files are deleted after that. Returns how many it dropped.
CREATE FUNCTION tocsin.drop_partitions(ends uuid, days integer, VARIADIC parents text[]) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    dropped regclass;
    number  integer := 0;
BEGIN
    IF days < 1 OR ends > tocsin.id_at(tocsin.now() - make_interval(days => days)) THEN
        RAISE 'the partition that ends at % has rows of the last % days', tocsin.time_of(ends), days;
    END IF;
    FOR dropped IN
        SELECT p.partition FROM unnest(parents) AS parent, tocsin.partitions(parent::regclass) AS p
        WHERE p.ends = drop_partitions.ends
    LOOP
        EXECUTE format('DROP TABLE %s', dropped);
        number := number + 1;
    END LOOP;
    RETURN number;
END
$$;

-- Rows of the default partitions, at most 10,000 of each.
CREATE FUNCTION tocsin.count_default_rows(VARIADIC parents text[]) RETURNS TABLE (name text, default_rows integer)
LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOREACH name IN ARRAY parents LOOP
        EXECUTE format('SELECT count(*) FROM (SELECT FROM %s_default LIMIT 10000) AS found', name) INTO default_rows;
        RETURN NEXT;
    END LOOP;
END
$$;

-- alert-ingestion ---------------------------------------------------------------------------------------------------------
CREATE FUNCTION alerts.add_partition() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
    -- Four weeks of alerts: more partitions would make every list slower to plan. Requests are only looked up by their id.
    SELECT COALESCE(tocsin.add_partition('alerts.request', 1), tocsin.add_partition('alerts.alert', 4),
                    tocsin.add_partition('alerts.correlation', 4), tocsin.add_partition('alerts.occurrence', 4))
$$;
CREATE FUNCTION alerts.count_default_rows() RETURNS TABLE (name text, default_rows integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM tocsin.count_default_rows('alerts.request', 'alerts.alert', 'alerts.correlation', 'alerts.occurrence')
$$;

-- Whether an alert of these ids is open, or not forwarded.
CREATE FUNCTION alerts.is_in_use(starts uuid, ends uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM alerts.open_alert WHERE alert_id >= starts AND alert_id < ends)
        OR EXISTS (SELECT FROM alerts.correlation
                   WHERE alert_id >= starts AND alert_id < ends AND forwarded_version < version)
$$;

-- The partitions of alerts whose rows are all older than some days and of which none is in use, oldest first.
CREATE FUNCTION alerts.find_expired(days integer) RETURNS TABLE (starts uuid, ends uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.starts, p.ends FROM tocsin.partitions('alerts.alert') AS p
    WHERE p.ends <= tocsin.id_at(tocsin.now() - make_interval(days => days)) AND NOT alerts.is_in_use(p.starts, p.ends)
    ORDER BY p.ends
$$;

CREATE FUNCTION alerts.drop_alerts(starts uuid, ends uuid, days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    LOCK TABLE ONLY alerts.alert, ONLY alerts.correlation, ONLY alerts.occurrence IN ACCESS EXCLUSIVE MODE;
    IF alerts.is_in_use(starts, ends) THEN
        RETURN 0;
    END IF;
    RETURN tocsin.drop_partitions(ends, days, 'alerts.alert', 'alerts.correlation', 'alerts.occurrence');
END
$$;

-- Drops the oldest partition of raw requests that is past the retention; returns how many it dropped.
CREATE FUNCTION alerts.drop_requests(days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
    expired uuid;
BEGIN
    SELECT p.ends INTO expired FROM tocsin.partitions('alerts.request') AS p
    WHERE p.ends <= tocsin.id_at(tocsin.now() - make_interval(days => days))
        AND NOT EXISTS (SELECT FROM alerts.correlation
                        WHERE alert_id >= p.starts AND alert_id < p.ends AND forwarded_version < version)
    ORDER BY p.ends LIMIT 1;
    IF expired IS NULL THEN
        RETURN 0;
    END IF;
    RETURN tocsin.drop_partitions(expired, days, 'alerts.request');
END
$$;

-- Deletes up to 1,000 rows of each default partition that are past the retention; returns how many.
CREATE FUNCTION alerts.delete_expired_default_rows(alert_days integer, request_days integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH alert AS MATERIALIZED (
        SELECT c.alert_id AS id FROM alerts.correlation_default AS c
        WHERE c.alert_id < tocsin.id_at(tocsin.now() - make_interval(days => alert_days)) AND c.forwarded_version = c.version
            AND NOT EXISTS (SELECT FROM alerts.open_alert AS o WHERE o.alert_id = c.alert_id)
        LIMIT 1000
    ), deleted_alert AS (
        DELETE FROM alerts.alert_default WHERE id IN (SELECT id FROM alert) RETURNING 1
    ), deleted_correlation AS (
        DELETE FROM alerts.correlation_default WHERE alert_id IN (SELECT id FROM alert) RETURNING 1
    ), deleted_occurrence AS (
        DELETE FROM alerts.occurrence_default WHERE id IN (
            SELECT id FROM alerts.occurrence_default
            WHERE id < tocsin.id_at(tocsin.now() - make_interval(days => alert_days)) LIMIT 1000) RETURNING 1
    ), deleted_request AS (
        DELETE FROM alerts.request_default WHERE id IN (
            SELECT id FROM alerts.request_default
            WHERE id < tocsin.id_at(tocsin.now() - make_interval(days => request_days)) LIMIT 1000) RETURNING 1
    )
    SELECT ((SELECT count(*) FROM deleted_alert) + (SELECT count(*) FROM deleted_correlation)
        + (SELECT count(*) FROM deleted_occurrence) + (SELECT count(*) FROM deleted_request))::integer
$$;

-- incident-management -----------------------------------------------------------------------------------------------------
-- The first and the last alert of an incident in each partition that was dropped.
CREATE TABLE incidents.kept_alert (
    incident_id  uuid NOT NULL REFERENCES incidents.incident (id) ON DELETE CASCADE,
    alert_id     uuid NOT NULL,
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

CREATE FUNCTION incidents.add_partition() RETURNS text
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
    SELECT tocsin.add_partition('incidents.incident_alert', 4)
$$;
CREATE FUNCTION incidents.count_default_rows() RETURNS TABLE (name text, default_rows integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM tocsin.count_default_rows('incidents.incident_alert')
$$;

-- Whether an alert of these ids belongs to an unresolved incident: a look-up for each unresolved incident, of which there are
-- few, instead of each alert.
CREATE FUNCTION incidents.has_unresolved(starts uuid, ends uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM incidents.incident AS i
        CROSS JOIN LATERAL (
            SELECT FROM incidents.incident_alert AS a
            WHERE a.incident_id = i.id AND a.alert_id >= starts AND a.alert_id < ends LIMIT 1) AS found
        WHERE i.status <> 'resolved')
$$;

CREATE FUNCTION incidents.find_expired(days integer) RETURNS TABLE (starts uuid, ends uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT p.starts, p.ends FROM tocsin.partitions('incidents.incident_alert') AS p
    WHERE p.ends <= tocsin.id_at(tocsin.now() - make_interval(days => days)) AND NOT incidents.has_unresolved(p.starts, p.ends)
    ORDER BY p.ends
$$;

-- Copies the first and the last alert of these ids of the next 1,000 incidents. Returns the id of the last of these incidents, or
-- null if there is none, and whether one of their alerts can still change, because its sender may repeat or resolve it: then
-- nothing is copied.
CREATE FUNCTION incidents.keep_alerts(starts uuid, ends uuid, after uuid) RETURNS TABLE (last_incident_id uuid, is_open boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH RECURSIVE next AS (
        (SELECT incident_id FROM incidents.incident_alert
         WHERE incident_id > after AND alert_id >= starts AND alert_id < ends ORDER BY incident_id LIMIT 1)
        UNION ALL
        SELECT (SELECT a.incident_id FROM incidents.incident_alert AS a
                WHERE a.incident_id > next.incident_id AND a.alert_id >= starts AND a.alert_id < ends
                ORDER BY a.incident_id LIMIT 1)
        FROM next WHERE next.incident_id IS NOT NULL
    ), chunk AS MATERIALIZED (
        SELECT incident_id FROM next WHERE incident_id IS NOT NULL LIMIT 1000
    ), found AS MATERIALIZED (
        SELECT EXISTS (
            SELECT FROM chunk CROSS JOIN LATERAL (
                SELECT FROM incidents.incident_alert AS a
                WHERE a.incident_id = chunk.incident_id AND a.alert_id >= starts AND a.alert_id < ends
                    AND a.dedup_key IS NOT NULL AND a.resolved_at IS NULL LIMIT 1) AS changing) AS is_open
    ), copied AS (
        INSERT INTO incidents.kept_alert (incident_id, alert_id, service, severity, message, source, labels, dedup_key,
                                          occurrences, attached_at, last_seen_at, resolved_at)
        SELECT kept.incident_id, alert_id, service, severity, message, source, labels, dedup_key, occurrences, attached_at,
               last_seen_at, resolved_at
        FROM chunk CROSS JOIN LATERAL (
            (SELECT * FROM incidents.incident_alert AS a
             WHERE a.incident_id = chunk.incident_id AND a.alert_id >= starts AND a.alert_id < ends
             ORDER BY a.attached_at, a.alert_id LIMIT 1)
            UNION ALL
            (SELECT * FROM incidents.incident_alert AS a
             WHERE a.incident_id = chunk.incident_id AND a.alert_id >= starts AND a.alert_id < ends
             ORDER BY a.attached_at DESC, a.alert_id DESC LIMIT 1)) AS kept
        WHERE NOT (SELECT is_open FROM found)
        ON CONFLICT (incident_id, alert_id) DO NOTHING
    )
    SELECT (SELECT incident_id FROM chunk ORDER BY incident_id DESC LIMIT 1), is_open FROM found
$$;

-- Under the lock, whether one of the incidents was reopened. The alerts themselves cannot change any more.
CREATE FUNCTION incidents.drop_alerts(starts uuid, ends uuid, days integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
BEGIN
    LOCK TABLE ONLY incidents.incident_alert IN ACCESS EXCLUSIVE MODE;
    IF incidents.has_unresolved(starts, ends) THEN
        RETURN 0;
    END IF;
    RETURN tocsin.drop_partitions(ends, days, 'incidents.incident_alert');
END
$$;

CREATE FUNCTION incidents.delete_expired_default_rows(days integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH deleted AS (
        DELETE FROM incidents.incident_alert_default WHERE alert_id IN (
            SELECT a.alert_id FROM incidents.incident_alert_default AS a JOIN incidents.incident AS i ON i.id = a.incident_id
            WHERE a.alert_id < tocsin.id_at(tocsin.now() - make_interval(days => days)) AND i.status = 'resolved'
                AND (a.dedup_key IS NULL OR a.resolved_at IS NOT NULL)
            LIMIT 1000)
        RETURNING 1)
    SELECT count(*)::integer FROM deleted
$$;
