"""Alerts of a given age in the partitioned tables, and what is in them."""

from typing import Final
from uuid import UUID

from psycopg2.extensions import make_dsn

from tests.support.postgres import run

TABLES: Final = {
    "alerts.request": "id",
    "alerts.alert": "id",
    "alerts.correlation": "alert_id",
    "alerts.occurrence": "id",
    "incidents.incident_alert": "alert_id",
}
"""The partitioned tables, with their keys."""
STORE: Final = """
    WITH request AS (
        INSERT INTO alerts.request (id, integration_id, integration, content_type, body)
        SELECT %(id)s, %(id)s, 'generic', 'application/json', '{}'
    ), alert AS (
        INSERT INTO alerts.alert (id, request_id, service, severity, message, labels, links, integration_id,
            integration, dedup_key, fingerprint, occurrences, created_at)
        SELECT %(id)s, %(id)s, 'shop', 'high', 'slow', '{}', '[]', %(id)s, 'generic', %(key)s, 'f', 1,
            tocsin.now()
    ), open_alert AS (
        INSERT INTO alerts.open_alert (integration_id, service, dedup_key, alert_id)
        SELECT %(id)s, 'shop', %(key)s, %(id)s WHERE %(key)s IS NOT NULL
    )
    INSERT INTO alerts.correlation (alert_id, action, forwarded_version, created_at, changed_at, next_forward_at)
    SELECT %(id)s, 'new_incident', %(forwarded)s, tocsin.now(), tocsin.now(), tocsin.now()
    """
LINK: Final = """
    INSERT INTO incidents.incident_alert (alert_id, incident_id, version, attached_version, service, severity, message,
        labels, dedup_key, occurrences, action, attached_at, last_seen_at)
    SELECT %(id)s, %(incident_id)s, 1, 1, 'shop', 'high', 'slow', '{}', %(key)s, 1, 'new_incident',
        tocsin.now(), tocsin.now()
    """
OPEN_INCIDENT: Final = """
    INSERT INTO incidents.incident (id, title, service, severity, status, alert_count, acknowledged_at, resolved_at)
    SELECT %(id)s, 'slow', 'shop', 'high', CASE WHEN %(resolved)s THEN 'resolved' ELSE 'open' END, %(alerts)s,
        CASE WHEN %(resolved)s THEN tocsin.now() END, CASE WHEN %(resolved)s THEN tocsin.now() END
    """


def in_days(dsn: str, days: float) -> str:
    """Return an address of the same database, for connections whose clock is *days* ahead."""
    return make_dsn(dsn, options=f"-c tocsin.clock_offset={days}days")


def old_id(dsn: str, *, days: float, number: int = 0) -> UUID:
    """Return an id of *days* ago, higher with a higher *number*."""
    (row,) = run(
        dsn,
        "SELECT tocsin.id_at(tocsin.now() - %(days)s * interval '1 day' + %(number)s * interval '1 ms') AS id",
        {"days": days, "number": number},
    )
    found: UUID = row["id"]
    return found


def store_alert(dsn: str, alert_id: UUID, *, key: str | None = None, forwarded: bool = True) -> None:
    """Insert an alert with its request; it is open if it has a deduplication key."""
    run(dsn, STORE, {"id": alert_id, "key": key, "forwarded": int(forwarded)})


def link_alert(dsn: str, alert_id: UUID, incident_id: UUID, *, key: str | None = None) -> None:
    """Link an alert to an incident."""
    run(dsn, LINK, {"id": alert_id, "incident_id": incident_id, "key": key})


def open_incident(dsn: str, incident_id: UUID, *, resolved: bool, alerts: int = 1) -> None:
    """Insert an incident."""
    run(dsn, OPEN_INCIDENT, {"id": incident_id, "resolved": resolved, "alerts": alerts})


def add_partitions(dsn: str, schema: str) -> list[str]:
    """Add partitions until there is nothing to do; return their names."""
    added = []
    while name := run(dsn, f"SELECT {schema}.add_partition() AS name")[0]["name"]:
        added.append(name)
    return added


def partitions(dsn: str, table: str) -> list[str]:
    """Return the names of a table's partitions, oldest first, without the default one."""
    sql = "SELECT partition::text AS name FROM tocsin.partitions(%(table)s::regclass) ORDER BY ends"
    return [row["name"] for row in run(dsn, sql, {"table": table})]


def partition_of(dsn: str, table: str, key: str, value: UUID) -> str | None:
    """Return the partition in which a row is, or None."""
    rows = run(dsn, f"SELECT tableoid::regclass::text AS name FROM {table} WHERE {key} = %(value)s", {"value": value})
    return rows[0]["name"] if rows else None
