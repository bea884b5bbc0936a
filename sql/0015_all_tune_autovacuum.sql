-- By default a table is vacuumed when a fifth of it is dead and analyzed when a tenth has changed, which takes weeks for a
-- table with years of history. Here it is a fiftieth, and for the outboxes, whose rows are all short-lived, some hundred rows.
-- New partitions have the parameters of the default partition.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'alerts.request_first', 'alerts.request_default', 'alerts.alert_first', 'alerts.alert_default',
        'alerts.correlation_first', 'alerts.correlation_default', 'alerts.occurrence_first', 'alerts.occurrence_default',
        'incidents.incident', 'incidents.incident_alert_first', 'incidents.incident_alert_default', 'incidents.timeline',
        'oncall.escalation', 'notifications.notification', 'notifications.attempt'
    ] LOOP
        EXECUTE format(
            'ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,'
            ' autovacuum_analyze_scale_factor = 0.02)', name);
    END LOOP;
    FOREACH name IN ARRAY ARRAY[
        'alerts.open_alert', 'incidents.outbox', 'oncall.outbox', 'notifications.outbox', 'incidents.stale', 'oncall.stale',
        'incidents.status_change'
    ] LOOP
        EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500)', name);
    END LOOP;
END
$$;
-- Repeats of an alert update no indexed column: with room on the page they are HOT updates.
ALTER TABLE alerts.alert_first SET (fillfactor = 90);
ALTER TABLE alerts.alert_default SET (fillfactor = 90);
ALTER TABLE incidents.incident_alert_default SET (fillfactor = 90); -- as the first partition
