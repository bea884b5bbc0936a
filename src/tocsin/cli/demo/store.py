"""What the demo world does directly in the database, because no API does it: a past, and an end without a trace."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from tocsin.cli.demo.dataset import ACTOR, KEY_PREFIX, SERVICES, TEAM_NAMES, TEAMS, PastIncident
from tocsin.contracts.incidents import EventType
from tocsin.kernel import clock
from tocsin.kernel.db import (
    Cursor,
    Database,
    execute,
    fetch_all,
    fetch_one,
    required,
    transaction,
)
from tocsin.kernel.errors import TransactionConflictError
from tocsin.kernel.settings import ServiceSettings

STATEMENT_SECONDS: Final = 60.0
ADDED: Final = "The demo data is there: everything in it is called Demo."
NOT_ADDED: Final = "No demo data was added: this system has data of its own."
SETTLE_SECONDS: Final = 1.0
"""Longer than a service takes over one message."""

# Incidents begin now when they come through the API. These are rows as it would have left them, had they begun then.
INSERT_PAST: Final = """
    INSERT INTO incidents.incident (id, title, service, severity, status, team, assigned_to, created_at, updated_at,
                                    acknowledged_at, resolved_at, escalation_confirmed_at)
    SELECT %(id)s, %(title)s, %(service)s, %(severity)s, 'resolved', %(team)s, %(person)s, began, began + %(resolve)s,
           began + %(ack)s, began + %(resolve)s, began
    FROM (SELECT date_trunc('day', now()) - %(days)s * interval '1 day' + %(hour)s * interval '1 hour') AS past (began)
    WHERE NOT EXISTS (SELECT FROM incidents.incident WHERE id = %(id)s)
    """
INSERT_TIMELINE: Final = """
    INSERT INTO incidents.timeline (id, incident_id, event_type, actor, detail, created_at)
    SELECT %(id)s, incident.id, %(event_type)s, %(actor)s, %(detail)s, created_at + %(after)s
    FROM incidents.incident WHERE incident.id = %(incident_id)s
    ON CONFLICT (id) DO NOTHING
    """
# A statement a table, parents first: what a service adds meanwhile to a parent that is gone is found by the next round.
DELETES: Final = (
    "DELETE FROM incidents.incident WHERE id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM incidents.correlation_key WHERE service = ANY(%(services)s)",
    "DELETE FROM oncall.escalation WHERE incident_id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM oncall.team WHERE name = ANY(%(teams)s)",
    "DELETE FROM notifications.notification WHERE incident_id = ANY(%(incidents)s::uuid[])",
    "DELETE FROM notifications.answered WHERE incident_id = ANY(%(incidents)s::uuid[])",
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
        """  # noqa: S608 - the schemas' names are right here
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


@dataclass(slots=True)
class Traces:
    """The ids under which the demo world left something: incidents, their timelines, the messages about them."""

    incidents: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class ExistingData:
    """Where the demo world would be played."""

    demo_teams: int
    own_teams: int
    incidents: bool

    @property
    def is_free(self) -> bool:
        """Whether the demo is there already, or nothing at all: it is not mixed into somebody's work."""
        return self.demo_teams > 0 or not (self.own_teams or self.incidents)


async def inspect(dsn: str) -> ExistingData:
    """Look what is there, before any service runs."""
    async with _database(dsn) as database, transaction(database) as cur:
        row = await fetch_one(
            cur,
            """
            SELECT count(*) FILTER (WHERE name = ANY(%(teams)s)) AS demo_teams,
                   count(*) FILTER (WHERE name <> ALL(%(teams)s)) AS own_teams,
                   EXISTS (SELECT FROM incidents.incident) AS incidents
            FROM oncall.team
            """,
            teams=list(TEAM_NAMES),
        )
    return ExistingData(**required(row))


async def add_history(dsn: str, history: Sequence[PastIncident]) -> None:
    """Add the incidents of *history* that are missing, with their timelines."""
    async with _database(dsn) as database, transaction(database) as cur:
        for past in history:
            await _add(cur, past)


async def remove(dsn: str) -> int:
    """Delete everything that carries a name of the demo world, in every schema; return how many incidents that were.

    Services may run meanwhile: what one of them was just writing or sending is deleted by a later round. Rounds follow
    until one finds nothing although the services had time.
    """
    traces = Traces()
    async with _database(dsn) as database:
        quiet = False
        while not quiet:
            quiet = not await _delete_round(database, traces)
            if not quiet:
                await clock.sleep(SETTLE_SECONDS)
    return len(traces.incidents)


async def _delete_round(database: Database, traces: Traces) -> bool:
    """Delete what is there now; return whether there was something."""
    try:
        async with transaction(database) as cur:
            names = await _names(cur, traces)
            return sum([await execute(cur, statement, **names) for statement in DELETES]) > 0
    except TransactionConflictError:
        return True  # a service was at the same rows


async def _names(cur: Cursor, traces: Traces) -> Mapping[str, object]:
    """Add what is there now to *traces*; return all by which the demo world is known."""
    found = await fetch_all(
        cur,
        "SELECT id::text FROM incidents.incident WHERE service = ANY(%(services)s)",
        services=list(SERVICES),
    )
    traces.incidents |= {row["id"] for row in found}
    parts = await fetch_all(
        cur,
        """
        SELECT id::text FROM oncall.page WHERE incident_id = ANY(%(incidents)s::uuid[])
        UNION SELECT id::text FROM incidents.timeline WHERE incident_id = ANY(%(incidents)s::uuid[])
        UNION SELECT id::text FROM notifications.notification WHERE incident_id = ANY(%(incidents)s::uuid[])
        """,
        incidents=list(traces.incidents),
    )
    traces.parts |= {row["id"] for row in parts}
    return {
        "services": list(SERVICES),
        "teams": list(TEAM_NAMES),
        "prefix": KEY_PREFIX,
        "incidents": list(traces.incidents),
        "parts": list(traces.parts),
    }


async def _add(cur: Cursor, past: PastIncident) -> None:
    team = next(schedule for schedule in TEAMS if past.service in schedule.services)
    person = team.members[past.days_ago % 2].name
    ack, resolve = timedelta(minutes=past.ack_minutes), timedelta(minutes=past.resolve_minutes)
    await execute(
        cur,
        INSERT_PAST,
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


@asynccontextmanager
async def _database(dsn: str) -> AsyncIterator[Database]:
    settings = ServiceSettings.model_validate({"database_url": dsn, "db_statement_timeout_seconds": STATEMENT_SECONDS})
    database = Database(settings.database_config(), schema="incidents")
    try:
        yield database
    finally:
        await database.close()
