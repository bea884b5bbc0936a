-- Incidents by the time of their resolution, for the filter `resolved_since`.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE INDEX incident_resolved_at_idx ON incidents.incident (resolved_at) WHERE resolved_at IS NOT NULL;
