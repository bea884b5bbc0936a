"""Remove the demo data from the database; there is no API that deletes incidents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tocsin.cli.demo.dataset import EMAIL_DOMAIN, KEY_PREFIX, PEOPLE, SERVICES, TEAM_NAMES
from tocsin.cli.demo.store import open_database
from tocsin.contracts.oncall import DRILL_TEAM
from tocsin.kernel import clock
from tocsin.kernel.db import Cursor, Database, execute, fetch_all, transaction
from tocsin.kernel.errors import TransactionConflictError

SETTLE_SECONDS: Final = 1.0
"""The pause between two rounds: longer than a service takes to process one message."""

# Parents first: rows that a service adds to a deleted parent meanwhile are deleted in the next round.
DELETES: Final = (
    "DELETE FROM incidents.incident WHERE id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM incidents.correlation_key WHERE service = ANY(%(services)s)",
    "DELETE FROM oncall.escalation WHERE incident_id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM oncall.team WHERE name = ANY(%(teams)s)",
    """
    DELETE FROM oncall.person
    WHERE split_part(email, '@', 2) = %(domain)s
      AND NOT EXISTS (SELECT FROM oncall.membership WHERE person_id = person.id)
    """,
    "DELETE FROM notifications.notification WHERE incident_id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM notifications.cancellation WHERE incident_id = ANY(%(incidents)s::uuid[])",
    """
    DELETE FROM alerts.request
    WHERE id IN (SELECT resource_id FROM alerts.idempotency WHERE starts_with(key, %(prefix)s))
        OR id IN (SELECT request_id FROM alerts.alert WHERE service = ANY(%(services)s))
        OR id IN (SELECT o.id FROM alerts.occurrence o JOIN alerts.alert a ON a.id = o.alert_id
                  WHERE a.service = ANY(%(services)s))
    """,
    *(
        f"DELETE FROM alerts.{table} WHERE alert_id IN (SELECT id FROM alerts.alert WHERE service = ANY(%(services)s))"  # noqa: S608
        for table in ("occurrence", "correlation", "open_alert")
    ),
    "DELETE FROM alerts.alert WHERE service = ANY(%(services)s)",
    *(
        f"""
        DELETE FROM {schema}.outbox
        WHERE split_part(key, '/', 1) = ANY(%(incidents)s) OR key = ANY(%(parts)s)
            OR convert_from(body, 'UTF8')::jsonb ->> 'incident_id' = ANY(%(incidents)s)
        """  # noqa: S608 - the schemas are constants
        for schema in ("incidents", "oncall", "notifications")
    ),
    *(
        f"""
        DELETE FROM {schema}.idempotency
        WHERE starts_with(key, %(prefix)s) OR resource_id::text = ANY(%(incidents)s::text[] || %(parts)s::text[])
        """  # noqa: S608
        for schema in ("alerts", "incidents", "oncall", "notifications")
    ),
)
# Incidents of other services that a demo team or demo person was assigned to. On-call would have chosen the new team.
REASSIGNMENTS: Final = (
    """
    UPDATE oncall.escalation AS e
    SET team = CASE WHEN team = ANY(%(teams)s) THEN coalesce(
            (SELECT t.name FROM oncall.service AS s JOIN oncall.team AS t ON t.id = s.team_id
             WHERE s.name = e.incident ->> 'service'),
            (SELECT name FROM oncall.team WHERE name <> %(drill)s ORDER BY created_at, id LIMIT 1),
            'default') ELSE team END,
        team_reason = CASE WHEN team = ANY(%(teams)s) THEN 'the demo team was removed' ELSE team_reason END,
        assigned_to = CASE WHEN assigned_to = ANY(%(people)s) THEN NULL ELSE assigned_to END
    WHERE team = ANY(%(teams)s) OR assigned_to = ANY(%(people)s)
    """,
    """
    UPDATE incidents.incident
    SET team = CASE WHEN team = ANY(%(teams)s)
            THEN (SELECT team FROM oncall.escalation WHERE incident_id = incident.id) ELSE team END,
        assigned_to = CASE WHEN assigned_to = ANY(%(people)s) THEN NULL ELSE assigned_to END
    WHERE team = ANY(%(teams)s) OR assigned_to = ANY(%(people)s)
    """,
    # Marks the incidents, so that their pager load is computed again.
    """
    WITH removed AS (DELETE FROM oncall.page WHERE person = ANY(%(people)s) RETURNING incident_id)
    INSERT INTO oncall.stale (incident_id) SELECT DISTINCT incident_id FROM removed
    """,
    """
    UPDATE oncall.page SET team = escalation.team
    FROM oncall.escalation WHERE escalation.incident_id = page.incident_id AND page.team = ANY(%(teams)s)
    """,
    "DELETE FROM notifications.notification WHERE page ->> 'person' = ANY(%(people)s)",
)


@dataclass(slots=True)
class DemoIds:
    """Ids of demo incidents, and of their timeline entries, pages and messages."""

    incidents: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)


async def remove(dsn: str) -> int:
    """Delete the demo data in every schema; return how many incidents it had.

    Services may be running, and add rows meanwhile: the deletion is repeated, after a pause, until it finds nothing.
    """
    ids = DemoIds()
    async with open_database(dsn) as database:
        while await _remove_once(database, ids):
            await clock.sleep(SETTLE_SECONDS)
    return len(ids.incidents)


async def _remove_once(database: Database, ids: DemoIds) -> bool:
    """Delete the rows that exist; return whether there may be more."""
    try:
        async with transaction(database) as cur:
            values = await _values(cur, ids)
            return sum([await execute(cur, statement, **values) for statement in (*DELETES, *REASSIGNMENTS)]) > 0
    except TransactionConflictError:
        return True  # a service changed the same rows


async def _values(cur: Cursor, ids: DemoIds) -> Mapping[str, object]:
    """Add what is found in the database of the demo incidents to *ids*; return the statements' parameters."""
    found = await fetch_all(
        cur,
        "SELECT id::text FROM incidents.incident WHERE service = ANY(%(services)s)",
        services=list(SERVICES),
    )
    ids.incidents |= {row["id"] for row in found}
    parts = await fetch_all(
        cur,
        """
        SELECT id::text FROM oncall.page WHERE incident_id = ANY(%(incidents)s::uuid[])
        UNION SELECT id::text FROM incidents.timeline WHERE incident_id = ANY(%(incidents)s::uuid[])
        UNION SELECT id::text FROM notifications.notification WHERE incident_id = ANY(%(incidents)s::uuid[])
        """,
        incidents=list(ids.incidents),
    )
    ids.parts |= {row["id"] for row in parts}
    return {
        "services": list(SERVICES),
        "teams": list(TEAM_NAMES),
        "people": list(PEOPLE),
        "domain": EMAIL_DOMAIN,
        "drill": DRILL_TEAM,
        "prefix": KEY_PREFIX,
        "incidents": list(ids.incidents),
        "parts": list(ids.parts),
    }
