-- Incidents by the time of their resolution, for the filter `resolved_since`.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

-- Not concurrently, which waits for the other migrators, who wait for this one. A million incidents take a second, during
-- which changes wait.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX incident_resolved_at_idx ON incidents.incident (resolved_at) WHERE resolved_at IS NOT NULL;
