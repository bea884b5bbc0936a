-- The roll-up: figures of incidents by service, team, and day or week, so that a year is a few thousand rows. Triggers mark stale
-- figures in the transaction of a change, also of one by the previous release or by hand; a worker refreshes them.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- A service's figures of a UTC day that are out of date.
CREATE TABLE incidents.stale (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day       date NOT NULL,
    service   text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT tocsin.now()
);

-- One row: its lock admits one worker at a time. Every incident from `history_before` on has been marked once.
CREATE TABLE incidents.rollup (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    history_before timestamptz NOT NULL DEFAULT 'infinity'
);
INSERT INTO incidents.rollup DEFAULT VALUES;

-- Counts of incidents, and sums of seconds over those acknowledged or resolved. A histogram is one number with eight decimal
-- digits per bin, so that sum() merges histograms. An unknown team is ''.
CREATE TABLE incidents.service_day (
    day                       date NOT NULL,
    service                   text NOT NULL,
    team                      text NOT NULL,
    severity                  text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents                 bigint NOT NULL,
    acknowledged              bigint NOT NULL,
    acknowledgement_seconds   double precision NOT NULL,
    acknowledgement_histogram numeric NOT NULL,
    resolved                  bigint NOT NULL,
    resolution_seconds        double precision NOT NULL,
    resolution_histogram      numeric NOT NULL,
    acknowledged_seconds      double precision NOT NULL,
    in_progress_seconds       double precision NOT NULL,
    PRIMARY KEY (day, service, team, severity)
);

-- The same summed up by team, and by ISO week for pages about a year.
CREATE TABLE incidents.team_day (
    day                       date NOT NULL,
    team                      text NOT NULL,
    severity                  text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents                 bigint NOT NULL,
    acknowledged              bigint NOT NULL,
    acknowledgement_seconds   double precision NOT NULL,
    acknowledgement_histogram numeric NOT NULL,
    resolved                  bigint NOT NULL,
    resolution_seconds        double precision NOT NULL,
    resolution_histogram      numeric NOT NULL,
    acknowledged_seconds      double precision NOT NULL,
    in_progress_seconds       double precision NOT NULL,
    PRIMARY KEY (day, team, severity)
);
CREATE TABLE incidents.service_week (
    week                      date NOT NULL,
    service                   text NOT NULL,
    team                      text NOT NULL,
    incidents                 bigint NOT NULL,
    acknowledged              bigint NOT NULL,
    acknowledgement_seconds   double precision NOT NULL,
    acknowledgement_histogram numeric NOT NULL,
    resolved                  bigint NOT NULL,
    resolution_seconds        double precision NOT NULL,
    resolution_histogram      numeric NOT NULL,
    PRIMARY KEY (week, service, team) INCLUDE (incidents)
);
CREATE TABLE incidents.team_week (
    week                      date NOT NULL,
    team                      text NOT NULL,
    severity                  text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents                 bigint NOT NULL,
    acknowledged              bigint NOT NULL,
    acknowledgement_seconds   double precision NOT NULL,
    acknowledgement_histogram numeric NOT NULL,
    resolved                  bigint NOT NULL,
    resolution_seconds        double precision NOT NULL,
    resolution_histogram      numeric NOT NULL,
    acknowledged_seconds      double precision NOT NULL,
    in_progress_seconds       double precision NOT NULL,
    PRIMARY KEY (week, team, severity)
);

CREATE FUNCTION incidents.mark_stale_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents.stale (day, service)
    SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date, service FROM changed;
    RETURN NULL;
END
$$;
CREATE FUNCTION incidents.mark_stale_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO incidents.stale (day, service)
    VALUES ((OLD.created_at AT TIME ZONE 'UTC')::date, OLD.service)
    UNION
    VALUES ((NEW.created_at AT TIME ZONE 'UTC')::date, NEW.service);
    RETURN NULL;
END
$$;
CREATE TRIGGER incident_inserted AFTER INSERT ON incidents.incident
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.mark_stale_rows();
CREATE TRIGGER incident_deleted AFTER DELETE ON incidents.incident
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.mark_stale_rows();
-- Per row with a condition, since correlation updates the alert counts of many incidents, which no figure depends on.
CREATE TRIGGER incident_changed AFTER UPDATE ON incidents.incident FOR EACH ROW
    WHEN ((OLD.status, OLD.severity, OLD.service, OLD.team, OLD.created_at, OLD.acknowledged_at, OLD.resolved_at)
          IS DISTINCT FROM
          (NEW.status, NEW.severity, NEW.service, NEW.team, NEW.created_at, NEW.acknowledged_at, NEW.resolved_at))
    EXECUTE FUNCTION incidents.mark_stale_row();
