-- Pages that waited for long go out together: under which delivery id.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

ALTER TABLE notifications.notification ADD COLUMN digest_id uuid;
