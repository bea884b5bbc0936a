-- The incidents %(first)s to %(last)s of %(incidents)s, with their pages. They are spread evenly over 455 days, so that four in five
-- lie in the last 364, and over 12 teams and 200 services, some much noisier than others. One in a thousand is in progress.
SET session_replication_role = replica; -- no triggers: the roll-up has to find these incidents by itself, like old ones
WITH drawn AS MATERIALIZED (
    SELECT number, uuidv7(opened_at - now()) AS id, opened_at, (200 * random() ^ 3)::int AS service, random() AS luck,
           opened_at + make_interval(secs => 20 * exp(3 * random() + random())) AS answered_at,
           make_interval(secs => 60 * exp(4 * random() + random())) AS repair
    FROM (SELECT number, now() - number * (interval '455 days' / %(incidents)s) AS opened_at
          FROM generate_series(%(first)s, %(last)s) AS number) AS spread),
incident AS (
    INSERT INTO incidents.incident
        (id, title, service, severity, status, team, assigned_to, created_at, updated_at, acknowledged_at, resolved_at,
         escalation_confirmed_at, alert_count)
    SELECT id, 'Checkout returns 5xx on host ' || number, 'service-' || service,
           (ARRAY['critical', 'high', 'high', 'medium', 'medium', 'medium', 'low', 'low'])[1 + (8 * luck)::int %% 8],
           CASE WHEN number %% 1000 = 0 THEN 'in_progress' ELSE 'resolved' END, 'team-' || service %% 12,
           'person-' || service %% 36, opened_at, answered_at + repair, answered_at,
           CASE WHEN number %% 1000 <> 0 THEN answered_at + repair END, opened_at, %(alerts)s
    FROM drawn),
escalation AS (
    INSERT INTO oncall.escalation
        (incident_id, incident, team, team_reason, step, level, timeout_seconds, stopped_at, stop_reason, stopped_by, created_at)
    SELECT id, jsonb_build_object('service', 'service-' || service, 'created_at', opened_at), 'team-' || service %% 12, 'bench',
           1, 'primary', 300, answered_at, 'acknowledged', 'bench', opened_at
    FROM drawn)
INSERT INTO oncall.page (id, incident_id, team, step, level, person, channel, address, reason, created_at)
SELECT gen_random_uuid(), id, 'team-' || service %% 12, step, (ARRAY['primary', 'secondary'])[step],
       'person-' || (service + 12 * step) %% 36, 'mock', 'bench', 'bench', opened_at + (step - 1) * interval '5 minutes'
FROM drawn, generate_series(1, CASE WHEN luck > 0.85 THEN 2 ELSE 1 END) AS step;
