"""Invariants that hold once every fault has healed: each query lists the rows that violate one."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from tests.support.postgres import run
from tests.support.waiting import NotYet, eventually

BROKEN: Final = {
    "an accepted alert is lost": """
        SELECT accepted AS id FROM unnest(%(accepted)s::uuid[]) AS accepted
        WHERE NOT EXISTS (SELECT FROM alerts.alert JOIN alerts.correlation ON alert_id = id WHERE id = accepted)""",
    "an alert is stored that was not sent": """
        SELECT id FROM alerts.alert WHERE service LIKE %(service)s AND NOT id = ANY (%(accepted)s::uuid[])""",
    "an alert was never correlated": """
        SELECT alert_id AS id FROM alerts.correlation
        WHERE forwarded_version < version OR (incident_id IS NULL AND action <> 'ignored')""",
    "an open alert and its key disagree": """
        SELECT COALESCE(a.id, o.alert_id) AS id
        FROM (SELECT * FROM alerts.alert WHERE resolved_at IS NULL AND dedup_key IS NOT NULL) AS a
        FULL JOIN alerts.open_alert AS o ON o.alert_id = a.id
        WHERE (a.integration_id, a.service, a.dedup_key)
            IS DISTINCT FROM (o.integration_id, o.service, o.dedup_key)""",
    "ingestion and incident management disagree": """
        SELECT alert_id AS id
        FROM alerts.correlation AS theirs FULL JOIN incidents.incident_alert AS ours USING (alert_id)
        WHERE theirs.incident_id IS DISTINCT FROM ours.incident_id""",
    "an incident has wrong counts of alerts": """
        SELECT i.id FROM incidents.incident AS i
        WHERE i.alert_count <> (SELECT count(*) FROM incidents.incident_alert WHERE incident_id = i.id)
           OR i.firing_count <> (SELECT count(*) FROM incidents.incident_alert
                                 WHERE incident_id = i.id AND resolved_at IS NULL)""",
    "an unacknowledged incident has no next action": """
        SELECT i.id FROM incidents.incident AS i LEFT JOIN oncall.escalation AS e ON e.incident_id = i.id
        WHERE i.acknowledged_at IS NULL AND (e.incident_id IS NULL
           OR (e.next_action_at IS NULL AND e.stop_reason IS NULL) OR e.next_action_at < now() - interval '5 s')""",
    "an acknowledged incident still escalates": """
        SELECT i.id FROM incidents.incident AS i JOIN oncall.escalation AS e ON e.incident_id = i.id
        WHERE i.acknowledged_at IS NOT NULL AND e.stopped_at IS NULL""",
    "a page was never queued for delivery": """
        SELECT p.id FROM oncall.page AS p LEFT JOIN notifications.notification AS n ON n.id = p.id
        WHERE n.id IS NULL AND p.cancelled_at IS NULL""",
    "a message was neither sent nor given up": """
        SELECT id FROM notifications.notification
        WHERE status = 'queued' AND next_attempt_at < now() - interval '5 s'""",
    "an incident is missing in the figures of its day": """
        SELECT day || ' ' || service AS id
        FROM (SELECT (created_at AT TIME ZONE 'UTC')::date AS day, service, COALESCE(team, '') AS team, severity,
                     count(*) AS incidents, count(acknowledged_at) AS acknowledged, count(resolved_at) AS resolved
              FROM incidents.incident GROUP BY 1, 2, 3, 4) AS truth
        FULL JOIN incidents.service_day AS kept USING (day, service, team, severity)
        WHERE (truth.incidents, truth.acknowledged, truth.resolved)
              IS DISTINCT FROM (kept.incidents, kept.acknowledged, kept.resolved)
        UNION ALL
        SELECT 'by team' WHERE (SELECT sum(incidents) FROM incidents.team_day)
            IS DISTINCT FROM (SELECT sum(incidents) FROM incidents.service_day)
        UNION ALL
        SELECT 'by team and week' WHERE (SELECT sum(incidents) FROM incidents.team_week)
            IS DISTINCT FROM (SELECT sum(incidents) FROM incidents.service_day)
        UNION ALL
        SELECT 'by week' WHERE (SELECT sum(incidents) FROM incidents.service_week)
            IS DISTINCT FROM (SELECT sum(incidents) FROM incidents.service_day)""",
    "an escalation is missing in the pager load": """
        SELECT e.incident_id AS id
        FROM oncall.escalation AS e LEFT JOIN oncall.pager_load_contribution AS c USING (incident_id)
        WHERE (e.incident IS NOT NULL) <> (c.incident_id IS NOT NULL)
        UNION ALL
        SELECT NULL WHERE (SELECT COALESCE(sum(total), 0) FROM oncall.pager_load WHERE kind = 'outcome')
            <> (SELECT count(*) FROM oncall.escalation WHERE incident IS NOT NULL)""",
    "an outbox message is not done": """
        SELECT concat_ws(' ', kind, message_id, CASE WHEN parked_at IS NOT NULL THEN 'parked' END, last_error) AS id
        FROM (SELECT * FROM incidents.outbox UNION ALL SELECT * FROM oncall.outbox
              UNION ALL SELECT * FROM notifications.outbox) AS outbox
        WHERE done_at IS NULL""",
    "a transaction is left open": """
        SELECT pid AS id FROM pg_stat_activity
        WHERE datname = current_database() AND state LIKE 'idle in transaction%%'
          AND state_change < now() - interval '2 s'""",
}


def broken(dsn: str, *, accepted: Iterable[UUID], service: str) -> dict[str, list[str]]:
    """Return the violated invariants with ids; *accepted* alerts got a 2xx for *service* (a LIKE pattern)."""
    parameters = {"accepted": list(map(str, accepted)), "service": service}
    found = {name: [str(row["id"]) for row in run(dsn, sql, parameters)] for name, sql in BROKEN.items()}
    return {name: ids for name, ids in found.items() if ids}


async def healed(dsn: str, *, accepted: Iterable[UUID], service: str, seconds: float = 120.0) -> None:
    """Wait until every invariant holds at one moment; after *seconds* fail with those that do not."""
    ids = list(accepted)

    def is_healed() -> NotYet | bool:
        found = broken(dsn, accepted=ids, service=service)
        return NotYet(found) if found else True

    await eventually(is_healed, timeout=seconds, every=0.2)
