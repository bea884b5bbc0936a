-- %(alerts)s alerts for each incident after %(after)s until %(until)s: requests, alerts, correlations and links. In three of
-- five the sender has resolved the alert.
SET session_replication_role = replica;
WITH chunk AS MATERIALIZED (
    SELECT id, service, severity, created_at, resolved_at FROM incidents.incident
    WHERE id > %(after)s::uuid AND id <= %(until)s::uuid ORDER BY id),
drawn AS MATERIALIZED (
    SELECT uuidv7(chunk.created_at + n * interval '7 seconds' - now()) AS alert_id, chunk.id AS incident_id, service, severity,
           chunk.created_at + n * interval '7 seconds' AS fired_at, CASE WHEN n > 1 THEN resolved_at END AS recovered_at, n,
           'request latency above ' || 100 + (900 * random())::int || ' ms on instance ' || (1000000 * random())::int AS message,
           jsonb_build_object('instance', '10.0.0.' || (250 * random())::int || ':9100', 'region', 'eu-central') AS labels
    FROM chunk, generate_series(0, %(alerts)s - 1) AS n),
request AS (
    INSERT INTO alerts.request (id, integration_id, integration, content_type, body, created_at)
    SELECT alert_id, '00000000-0000-7000-8000-000000000001', 'generic', 'application/json',
           convert_to(jsonb_build_object('service', service, 'message', message, 'labels', labels)::text, 'UTF8'), fired_at
    FROM drawn),
alert AS (
    INSERT INTO alerts.alert (id, request_id, service, severity, message, labels, links, source, integration_id, integration,
                              fingerprint, occurrences, created_at, last_seen_at, resolved_at)
    SELECT alert_id, alert_id, service, severity, message, labels, '[]', 'bench', '00000000-0000-7000-8000-000000000001',
           'generic', md5(message), 1, fired_at, fired_at, recovered_at
    FROM drawn),
correlation AS (
    INSERT INTO alerts.correlation (alert_id, incident_id, action, forwarded_version, created_at, changed_at, next_forward_at)
    SELECT alert_id, incident_id, CASE WHEN n = 0 THEN 'new_incident' ELSE 'attached_to_existing_incident' END, 1, fired_at,
           fired_at, fired_at
    FROM drawn)
INSERT INTO incidents.incident_alert (alert_id, incident_id, version, attached_version, service, severity, message, source,
                                      labels, occurrences, action, attached_at, last_seen_at, resolved_at)
SELECT alert_id, incident_id, 1, 1, service, severity, message, 'bench', labels, 1,
       CASE WHEN n = 0 THEN 'new_incident' ELSE 'attached_to_existing_incident' END, fired_at, fired_at, recovered_at
FROM drawn;
