-- What paging came to, by day: how far it went, whom it reached and when. Kept as the figures of incidents are: triggers leave
-- a trail, a worker follows it.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- An incident whose paging has changed since it was counted.
CREATE TABLE oncall.stale (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid NOT NULL,
    marked_at   timestamptz NOT NULL DEFAULT tocsin.now()
);

-- One row: its lock makes one replica the worker; from `history_from` on everything has been marked once.
CREATE TABLE oncall.rollup (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    history_from   uuid DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    history_before timestamptz
);
INSERT INTO oncall.rollup DEFAULT VALUES;

-- What of an incident is in the tally, so that it can be taken out again: also once the incident is gone.
CREATE TABLE oncall.counted (
    incident_id uuid PRIMARY KEY,
    parts       jsonb NOT NULL
);

-- person: pages that reached a person, by the team's day from 07:00 to 07:00; service, service_week: incidents, by the UTC day
-- or ISO week in which they were opened; outcome: the same by furthest level (name) and end (detail).
CREATE TABLE oncall.tally (
    kind     text NOT NULL CHECK (kind IN ('person', 'service', 'service_week', 'outcome')),
    day      date NOT NULL,
    team     text NOT NULL,
    name     text NOT NULL,
    detail   text NOT NULL,
    number   bigint NOT NULL,
    at_night bigint NOT NULL,
    PRIMARY KEY (kind, day, team, name, detail) INCLUDE (number, at_night)
);

CREATE FUNCTION oncall.mark_stale_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO oncall.stale (incident_id) SELECT DISTINCT incident_id FROM changed;
    RETURN NULL;
END
$$;
CREATE FUNCTION oncall.mark_stale_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO oncall.stale (incident_id) VALUES (NEW.incident_id);
    RETURN NULL;
END
$$;
CREATE TRIGGER escalation_inserted AFTER INSERT ON oncall.escalation
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION oncall.mark_stale_rows();
CREATE TRIGGER escalation_deleted AFTER DELETE ON oncall.escalation
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION oncall.mark_stale_rows();
CREATE TRIGGER escalation_changed AFTER UPDATE ON oncall.escalation FOR EACH ROW
    WHEN ((OLD.incident, OLD.team, OLD.level, OLD.stop_reason) IS DISTINCT FROM
          (NEW.incident, NEW.team, NEW.level, NEW.stop_reason))
    EXECUTE FUNCTION oncall.mark_stale_row();
CREATE TRIGGER page_inserted AFTER INSERT ON oncall.page
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION oncall.mark_stale_rows();
CREATE TRIGGER page_changed AFTER UPDATE ON oncall.page FOR EACH ROW
    WHEN ((OLD.voided_at, OLD.failed_at) IS DISTINCT FROM (NEW.voided_at, NEW.failed_at))
    EXECUTE FUNCTION oncall.mark_stale_row();
