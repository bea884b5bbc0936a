-- What few alerts become, newest first. Nearly all alerts of a storm are attached, and none of those is in here.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Not CONCURRENTLY: that waits for every older snapshot, so also for the migrators that wait for this one to end. Alerts
-- wait for one read of a narrow table instead, about half a second for a million; their senders are answered after it.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX correlation_action_created_at_alert_id_idx ON alerts.correlation (action, created_at DESC, alert_id DESC)
    WHERE action IN ('new_incident', 'ignored');
