-- no transaction
-- Checks the rows of the first partitions, five million in some ten seconds, while they are read and written.
SET lock_timeout = '2s';
SET statement_timeout = '7200s';
ALTER TABLE alerts.request VALIDATE CONSTRAINT first_partition;
ALTER TABLE alerts.alert VALIDATE CONSTRAINT first_partition;
ALTER TABLE alerts.correlation VALIDATE CONSTRAINT first_partition;
ALTER TABLE alerts.occurrence VALIDATE CONSTRAINT first_partition;
ALTER TABLE incidents.incident_alert VALIDATE CONSTRAINT first_partition;
