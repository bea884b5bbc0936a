-- A role per service that can access only its own schema, if the connecting user may create roles. On an embedded or a
-- small managed PostgreSQL it may not, and every service connects as that user.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

DO $$
DECLARE
    schema_name text;
    role_name   text;
BEGIN
    IF NOT (SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        RAISE NOTICE 'user % may not create roles: the services share this user', current_user;
        RETURN;
    END IF;
    FOREACH schema_name IN ARRAY ARRAY['alerts', 'incidents', 'oncall', 'notifications'] LOOP
        role_name := 'tocsin_' || schema_name;
        -- Roles belong to the cluster, not to this database: a migration of another database may create it concurrently.
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', schema_name, role_name);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I', schema_name, role_name);
        EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO %I', schema_name, role_name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', schema_name, role_name);
        EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE ON SEQUENCES TO %I', schema_name, role_name);
    END LOOP;
END
$$;
