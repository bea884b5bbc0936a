-- Up to which decision an incident's pages are cancelled: an escalation that was stopped by mistake pages again afterwards.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Null cancels every page, also later ones.
ALTER TABLE notifications.cancellation ADD COLUMN paged_until timestamptz;
