-- The tables that grow with every alert become the first partition of a partitioned table with their name, columns, indexes,
-- constraints and privileges. No row is read: the constraint of 0011 shows that they all belong there, and equal indexes are
-- attached. `…_default` takes the rows for which there is no partition; its storage parameters are those of new partitions.
SET lock_timeout = '1s';
SET statement_timeout = '900s';

DO $$
DECLARE
    parents  text[] := ARRAY['alerts.request', 'alerts.alert', 'alerts.correlation', 'alerts.occurrence', 'incidents.incident_alert'];
    parent   text;
    own_name text;
    key_name name;
    ends     text;
    indexes  text[];
    keys     text[];
    granted  record;
    renamed  record;
BEGIN
    PERFORM tocsin.lock_tables(array_to_string(parents, ', '));
    FOREACH parent IN ARRAY parents LOOP
        own_name := split_part(parent, '.', 2);
        SELECT a.attname, substring(pg_get_constraintdef(c.oid) FROM '''([0-9a-f-]+)''') INTO STRICT key_name, ends
        FROM pg_constraint AS c JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
        WHERE c.conrelid = parent::regclass AND c.conname = 'first_partition';
        -- Before the names are taken over: the definitions of the indexes, keys and foreign keys.
        SELECT COALESCE(array_agg(pg_get_indexdef(i.indexrelid)), '{}') INTO indexes
        FROM pg_index AS i WHERE i.indrelid = parent::regclass AND NOT i.indisprimary;
        SELECT array_agg(format('ALTER TABLE %s ADD CONSTRAINT %I %s', parent, conname, pg_get_constraintdef(oid))) INTO keys
        FROM pg_constraint WHERE conrelid = parent::regclass AND contype IN ('p', 'f');
        FOR renamed IN
            SELECT i.indexrelid::regclass AS index, left(c.relname, 50) || '_first' AS name
            FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = parent::regclass
        LOOP
            EXECUTE format('ALTER INDEX %s RENAME TO %I', renamed.index, renamed.name);
        END LOOP;
        EXECUTE format('ALTER TABLE %s RENAME TO %I', parent, own_name || '_first');
        EXECUTE format(
            'CREATE TABLE %s (LIKE %s_first INCLUDING ALL EXCLUDING INDEXES) PARTITION BY RANGE (%I)', parent, parent, key_name);
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT first_partition', parent);
        FOR i IN 1..cardinality(indexes) LOOP
            EXECUTE indexes[i];
        END LOOP;
        FOR i IN 1..cardinality(keys) LOOP
            EXECUTE keys[i];
        END LOOP;
        FOR granted IN
            SELECT acl.privilege_type AS privilege, acl.grantee::regrole AS role
            FROM pg_class AS c, aclexplode(c.relacl) AS acl
            WHERE c.oid = (parent || '_first')::regclass AND acl.grantee <> 0 AND acl.grantee <> c.relowner
        LOOP
            EXECUTE format('GRANT %s ON %s TO %s', granted.privilege, parent, granted.role);
        END LOOP;
        EXECUTE format('ALTER TABLE %s ATTACH PARTITION %s_first FOR VALUES FROM (MINVALUE) TO (%L)', parent, parent, ends);
        EXECUTE format('ALTER TABLE %s_first DROP CONSTRAINT first_partition', parent);
        EXECUTE format('CREATE TABLE %s_default PARTITION OF %s DEFAULT', parent, parent);
    END LOOP;
END
$$;
