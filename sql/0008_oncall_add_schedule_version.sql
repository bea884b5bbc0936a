-- Two people who change a schedule at the same time: the second is told.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

ALTER TABLE oncall.schedule ADD COLUMN version integer NOT NULL DEFAULT 1;
