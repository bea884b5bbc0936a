-- The W3C trace context (`traceparent`) of what a row goes on with: null where nobody traces.
SET lock_timeout = '2s';
SET statement_timeout = '60s';

ALTER TABLE alerts.request ADD COLUMN trace_context text;
ALTER TABLE incidents.outbox ADD COLUMN trace_context text;
ALTER TABLE oncall.outbox ADD COLUMN trace_context text;
ALTER TABLE oncall.escalation ADD COLUMN trace_context text;
ALTER TABLE notifications.outbox ADD COLUMN trace_context text;
ALTER TABLE notifications.notification ADD COLUMN trace_context text;
