-- The number of incidents by status, without counting them: triggers append differences in the transaction of a change, also of
-- one by the previous release or by hand. The sum is the number; a worker replaces many differences by their sum.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE TABLE incidents.status_change (
    status text NOT NULL,
    change bigint NOT NULL
);

CREATE FUNCTION incidents.count_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents.status_change (status, change) SELECT status, count(*) FROM changed GROUP BY status;
    RETURN NULL;
END
$$;
CREATE FUNCTION incidents.count_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents.status_change (status, change) SELECT status, -count(*) FROM changed GROUP BY status;
    RETURN NULL;
END
$$;
CREATE FUNCTION incidents.count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents.status_change (status, change) VALUES (OLD.status, -1), (NEW.status, 1);
    RETURN NULL;
END
$$;
CREATE TRIGGER incident_inserted_count AFTER INSERT ON incidents.incident
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.count_inserted();
CREATE TRIGGER incident_deleted_count AFTER DELETE ON incidents.incident
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.count_deleted();
CREATE TRIGGER incident_changed_count AFTER UPDATE ON incidents.incident FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION incidents.count_changed();

-- The triggers above lock the table until this file is committed: no change is missed, and none is counted twice.
INSERT INTO incidents.status_change (status, change) SELECT status, count(*) FROM incidents.incident GROUP BY status;
