-- A person's pages, newest first.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Not CONCURRENTLY: that waits for every older snapshot, so also for the migrators that wait for this one to end. Messages
-- wait for one read of the table instead, about a second for a million; what is queued goes out after it.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX notification_person_created_at_id_idx
    ON notifications.notification ((page ->> 'person'), created_at DESC, id DESC);
