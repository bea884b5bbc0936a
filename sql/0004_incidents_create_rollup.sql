-- What the incidents of a day come to, so that a year of them is a few thousand rows. A worker keeps it; the triggers leave
-- it a trail in the transaction of each change, whoever makes it: also a replica of the version before, also by hand.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- A day of the UTC calendar on which incidents of a service were opened, and whose figures are out of date.
CREATE TABLE incidents.stale (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    day       date NOT NULL,
    service   text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT tocsin.now()
);

-- One row: its lock makes one replica the worker; from `history_before` on everything has been marked once.
CREATE TABLE incidents.rollup (
    single         boolean PRIMARY KEY DEFAULT true CHECK (single),
    history_before timestamptz NOT NULL DEFAULT 'infinity'
);
INSERT INTO incidents.rollup DEFAULT VALUES;

-- Counts, and the sums of seconds of what has ended. A histogram is one number, eight decimal digits for each of its bins, so
-- that sum() merges histograms. The team is empty while it is not known.
CREATE TABLE incidents.service_day (
    day                   date NOT NULL,
    service               text NOT NULL,
    team                  text NOT NULL,
    severity              text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents             bigint NOT NULL,
    answered              bigint NOT NULL,
    answer_seconds        double precision NOT NULL,
    answer_histogram      numeric NOT NULL,
    resolved              bigint NOT NULL,
    resolve_seconds       double precision NOT NULL,
    resolve_histogram     numeric NOT NULL,
    acknowledged_seconds  double precision NOT NULL,
    in_progress_seconds   double precision NOT NULL,
    PRIMARY KEY (day, service, team, severity)
);

-- The same without the services, and, by ISO week, without the severities: what a page about a year adds up.
CREATE TABLE incidents.team_day (
    day                   date NOT NULL,
    team                  text NOT NULL,
    severity              text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents             bigint NOT NULL,
    answered              bigint NOT NULL,
    answer_seconds        double precision NOT NULL,
    answer_histogram      numeric NOT NULL,
    resolved              bigint NOT NULL,
    resolve_seconds       double precision NOT NULL,
    resolve_histogram     numeric NOT NULL,
    acknowledged_seconds  double precision NOT NULL,
    in_progress_seconds   double precision NOT NULL,
    PRIMARY KEY (day, team, severity)
);
CREATE TABLE incidents.service_week (
    week                  date NOT NULL,
    service               text NOT NULL,
    team                  text NOT NULL,
    incidents             bigint NOT NULL,
    answered              bigint NOT NULL,
    answer_seconds        double precision NOT NULL,
    answer_histogram      numeric NOT NULL,
    resolved              bigint NOT NULL,
    resolve_seconds       double precision NOT NULL,
    resolve_histogram     numeric NOT NULL,
    PRIMARY KEY (week, service, team) INCLUDE (incidents)
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
-- By row, with a condition: a batch of alerts counts on many incidents and changes nothing that is summed up.
CREATE TRIGGER incident_changed AFTER UPDATE ON incidents.incident FOR EACH ROW
    WHEN ((OLD.status, OLD.severity, OLD.service, OLD.team, OLD.created_at, OLD.acknowledged_at, OLD.resolved_at)
          IS DISTINCT FROM
          (NEW.status, NEW.severity, NEW.service, NEW.team, NEW.created_at, NEW.acknowledged_at, NEW.resolved_at))
    EXECUTE FUNCTION incidents.mark_stale_row();

-- The days of teams added up by ISO week: what a page about a year reads instead of seven times as many rows. Triggers keep it,
-- since also a replica of the version before writes days, and knows nothing of these weeks.
CREATE TABLE incidents.team_week (
    week                  date NOT NULL,
    team                  text NOT NULL,
    severity              text NOT NULL CHECK (severity IN ('critical', 'high', 'medium', 'low')),
    incidents             bigint NOT NULL,
    answered              bigint NOT NULL,
    answer_seconds        double precision NOT NULL,
    answer_histogram      numeric NOT NULL,
    resolved              bigint NOT NULL,
    resolve_seconds       double precision NOT NULL,
    resolve_histogram     numeric NOT NULL,
    acknowledged_seconds  double precision NOT NULL,
    in_progress_seconds   double precision NOT NULL,
    PRIMARY KEY (week, team, severity)
);

CREATE FUNCTION incidents.add_up_weeks(weeks date[]) RETURNS void LANGUAGE sql AS $$
    DELETE FROM incidents.team_week WHERE week = ANY (weeks);
    INSERT INTO incidents.team_week
        (week, team, severity, incidents, answered, answer_seconds, answer_histogram,
         resolved, resolve_seconds, resolve_histogram, acknowledged_seconds, in_progress_seconds)
    SELECT asked.week, team, severity, sum(incidents), sum(answered), sum(answer_seconds), sum(answer_histogram),
           sum(resolved), sum(resolve_seconds), sum(resolve_histogram),
           sum(acknowledged_seconds), sum(in_progress_seconds)
    FROM unnest(weeks) AS asked (week)
    JOIN incidents.team_day ON day >= asked.week AND day < asked.week + 7
    GROUP BY asked.week, team, severity;
$$;
CREATE FUNCTION incidents.add_up_changed_weeks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM incidents.add_up_weeks(ARRAY(SELECT DISTINCT date_trunc('week', day::timestamp)::date FROM changed));
    RETURN NULL;
END
$$;
CREATE TRIGGER team_day_inserted AFTER INSERT ON incidents.team_day
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.add_up_changed_weeks();
CREATE TRIGGER team_day_deleted AFTER DELETE ON incidents.team_day
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.add_up_changed_weeks();
