"""The past of the demo data, written to the database: the API cannot open an incident in the past."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from tocsin.cli.demo.dataset import ACTOR, TEAMS, DemoIncident, PastIncident
from tocsin.cli.demo.store import open_database
from tocsin.contracts.incidents import EventType
from tocsin.kernel.db import Cursor, Database, execute, fetch_one, transaction
from tocsin.kernel.errors import TransactionConflictError

ATTEMPTS: Final = 5
"""Attempts at a transaction; services may lock the same rows."""
INSERT_INCIDENT: Final = """
    INSERT INTO incidents.incident (id, title, service, severity, status, team, assigned_to, created_at, updated_at,
                                    acknowledged_at, resolved_at, escalation_confirmed_at)
    SELECT %(id)s, %(title)s, %(service)s, %(severity)s, 'resolved', %(team)s, %(person)s, began, began + %(resolve)s,
           began + %(ack)s, began + %(resolve)s, began
    FROM (
        SELECT date_trunc('day', tocsin.now()) - %(days)s * interval '1 day' + %(hour)s * interval '1 hour'
    ) AS past (began)
    WHERE NOT EXISTS (SELECT FROM incidents.incident WHERE id = %(id)s)
    """
INSERT_TIMELINE: Final = """
    INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail, created_at)
    SELECT %(id)s, incident.id, %(event_type)s, %(actor)s, %(detail)s, created_at + %(after)s
    FROM incidents.incident WHERE incident.id = %(incident_id)s
    ON CONFLICT (id) DO NOTHING
    """
# Finds an incident before it is back-dated only: afterwards it is older than *ago*.
SELECT_RECENT: Final = """
    SELECT created_at AS opened_at, acknowledged_at, resolved_at FROM incidents.incident
    WHERE id = %(id)s AND created_at > tocsin.now() - %(ago)s FOR UPDATE
    """
OF_INCIDENT: Final = "incident_id = %(id)s"
TIMESTAMPS: Final = (
    ("incidents.incident", "id = %(id)s", ("created_at", "updated_at", "acknowledged_at", "resolved_at")),
    ("incidents.timeline", OF_INCIDENT, ("created_at",)),
    ("incidents.note", OF_INCIDENT, ("created_at",)),
    ("incidents.incident_alert", OF_INCIDENT, ("attached_at", "last_seen_at")),
    (
        "alerts.alert",
        "id IN (SELECT alert_id FROM alerts.correlation WHERE incident_id = %(id)s)",
        ("created_at", "last_seen_at"),
    ),
    ("alerts.correlation", OF_INCIDENT, ("created_at",)),
    ("oncall.escalation", OF_INCIDENT, ("created_at", "stopped_at")),
    ("oncall.page", OF_INCIDENT, ("created_at",)),
    ("notifications.notification", OF_INCIDENT, ("created_at", "first_tried_at", "finished_at")),
    (
        "notifications.attempt",
        "notification_id IN (SELECT id FROM notifications.notification WHERE incident_id = %(id)s)",
        ("started_at",),
    ),
)
"""Tables with rows of an incident, and their timestamps."""


async def add_history(dsn: str, history: Sequence[PastIncident]) -> None:
    """Add the incidents of *history* that are missing, with their timelines."""
    async with open_database(dsn) as database, transaction(database) as cur:
        for past in history:
            await _add(cur, past)


async def back_date(dsn: str, incident_id: UUID, demo: DemoIncident) -> None:
    """Set when an incident was opened, acknowledged and resolved, relative to now; a repeat is a no-op."""
    async with open_database(dsn) as database:
        for _ in range(ATTEMPTS):
            with suppress(TransactionConflictError):
                await _move(database, incident_id, demo)
                return


async def _move(database: Database, incident_id: UUID, demo: DemoIncident) -> None:
    async with transaction(database) as cur:
        before = await fetch_one(cur, SELECT_RECENT, id=incident_id, ago=demo.opened_ago)
        if before is None:
            return
        values = {
            **before,
            "id": incident_id,
            "opened": -demo.opened_ago,
            "acknowledged": demo.acknowledged_after - demo.opened_ago,
            "resolved": demo.resolved_after - demo.opened_ago,
        }
        for table, condition, columns in TIMESTAMPS:
            changes = ", ".join(f"{column} = {_moved(column)}" for column in columns)
            await execute(cur, f"UPDATE {table} SET {changes} WHERE {condition}", **values)  # noqa: S608 - from TIMESTAMPS


def _moved(column: str) -> str:
    """Return the SQL for a timestamp's new value, which depends on the change that it follows."""
    return f"""{column} + CASE
        WHEN {column} >= %(resolved_at)s THEN %(opened_at)s + %(resolved)s - %(resolved_at)s
        WHEN {column} >= %(acknowledged_at)s THEN %(opened_at)s + %(acknowledged)s - %(acknowledged_at)s
        ELSE %(opened)s END"""


async def _add(cur: Cursor, past: PastIncident) -> None:
    team = next(schedule for schedule in TEAMS if past.service in schedule.services)
    person = team.members[past.days_ago % 2].name
    ack, resolve = timedelta(minutes=past.ack_minutes), timedelta(minutes=past.resolve_minutes)
    await execute(
        cur,
        INSERT_INCIDENT,
        id=past.id,
        title=past.title,
        service=past.service,
        severity=past.severity,
        team=team.team,
        person=person,
        days=past.days_ago,
        hour=past.hour,
        ack=ack,
        resolve=resolve,
    )
    for event_type, actor, detail, after in (
        (EventType.CREATED, ACTOR, f"{past.title}.", timedelta()),
        (EventType.ACKNOWLEDGED, person, f"{person} acknowledged.", ack),
        (EventType.RESOLVED, person, f"{person} resolved.", resolve),
    ):
        await execute(
            cur,
            INSERT_TIMELINE,
            id=past.derived_id(event_type),
            incident_id=past.id,
            event_type=event_type,
            actor=actor,
            detail=detail,
            after=after,
        )
