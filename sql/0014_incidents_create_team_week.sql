-- The days of teams added up by ISO week: what a page about a year reads instead of seven times as many rows. Triggers keep it,
-- since also a replica of the version before writes days, and knows nothing of these weeks.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

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
-- Before the weeks are filled: whoever writes days waits from here on, and then adds to them.
CREATE TRIGGER team_day_inserted AFTER INSERT ON incidents.team_day
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.add_up_changed_weeks();
CREATE TRIGGER team_day_deleted AFTER DELETE ON incidents.team_day
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION incidents.add_up_changed_weeks();

DO $$
BEGIN
    PERFORM incidents.add_up_weeks(ARRAY(SELECT DISTINCT date_trunc('week', day::timestamp)::date FROM incidents.team_day));
END
$$;
