-- The clock of all statements and column defaults: the database's time plus tocsin.clock_offset, which only the
-- connections of tests and simulations set.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

CREATE SCHEMA tocsin;

-- An offset and not an instant, so that time advances. STABLE, and inlined into the statement, so that indexes are used
-- as with now(). nullif: once a connection has set the offset, a COMMIT or RESET leaves '' and not null.
CREATE FUNCTION tocsin.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
RETURN now() + coalesce(nullif(current_setting('tocsin.clock_offset', true), '')::interval, interval '0');

GRANT USAGE ON SCHEMA tocsin TO PUBLIC;
