-- The list of what is not resolved, newest first: as many entries as there is work, whatever the history's size.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Not CONCURRENTLY: that waits for every older snapshot, so also for the migrators that wait for this one to end. Changes of
-- incidents wait for one read of the table instead, about half a second for a million; alerts come in meanwhile.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX incident_unresolved_created_at_id_idx ON incidents.incident (created_at DESC, id DESC)
    WHERE status <> 'resolved';
