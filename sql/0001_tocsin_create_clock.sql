-- The one clock: every statement and every column default says tocsin.now(). It is the database's clock, moved by
-- tocsin.clock_offset where a connection sets that: tests and simulations do, production never does.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA tocsin;

-- An offset, not an instant, so that time goes on. STABLE, and inlined into the statement: indexes are used as with
-- now(). nullif: after a COMMIT or RESET the setting of a connection that once set it is '', not null.
CREATE FUNCTION tocsin.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN now() + coalesce(nullif(current_setting('tocsin.clock_offset', true), '')::interval, interval '0');

GRANT USAGE ON SCHEMA tocsin TO PUBLIC;
