-- Pager load: figures per day on who was paged, when, and how far escalations went. Triggers mark the incidents that have
-- changed, a worker recomputes their contribution.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Incidents whose contribution must be recomputed.
CREATE TABLE oncall.stale (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident_id uuid NOT NULL,
    marked_at   timestamptz NOT NULL DEFAULT tocsin.now()
);

-- A single row. Its lock elects the one replica that does the roll-up; incidents from `history_from` on have been marked.
CREATE TABLE oncall.rollup (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    history_from   uuid DEFAULT 'ffffffff-ffff-ffff-ffff-ffffffffffff',
    history_before timestamptz
);
INSERT INTO oncall.rollup DEFAULT VALUES;

-- What each incident has contributed to pager_load, so that it can be subtracted, also after the incident was deleted.
CREATE TABLE oncall.pager_load_contribution (
    incident_id uuid PRIMARY KEY,
    parts       jsonb NOT NULL
);

-- person: interruptions per person, by the team's day from 07:00 to 07:00; service, service_week: incidents by the UTC day or
-- ISO week in which they were opened; outcome: incidents by highest level (name) and end of the paging (detail).
CREATE TABLE oncall.pager_load (
    kind     text NOT NULL,
    day      date NOT NULL,
    team     text NOT NULL,
    name     text NOT NULL,
    detail   text NOT NULL,
    total    bigint NOT NULL,
    at_night bigint NOT NULL,
    PRIMARY KEY (kind, day, team, name, detail) INCLUDE (total, at_night)
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
    WHEN ((OLD.cancelled_at, OLD.failed_at) IS DISTINCT FROM (NEW.cancelled_at, NEW.failed_at))
    EXECUTE FUNCTION oncall.mark_stale_row();
