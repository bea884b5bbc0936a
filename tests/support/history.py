"""Multiply a few rows into years of history, for the query plans of a large database."""

from collections.abc import Iterator
from contextlib import closing
from typing import Final

import psycopg2

from tests.support.postgres import run

SCHEMAS: Final = ["access", "alerts", "incidents", "oncall", "notifications"]
BOUNDED: Final = {
    "access.account",
    "access.link",
    "access.passkey",
    "incidents.correlation_key",
    "incidents.rollup",
    "incidents.stale",
    "incidents.status_change",
    "oncall.rollup",
    "oncall.stale",
} | {
    "oncall.membership",
    "oncall.person",
    "oncall.schedule",
    "oncall.service",
    "oncall.team",
}
"""Tables whose size does not depend on the length of the history: a row per person, team, service or pending task."""
OVER: Final = {
    "incidents.incident": "status = 'resolved'",
    "notifications.notification": "status <> 'queued'",
    "oncall.escalation": "stopped_at IS NOT NULL",
    "incidents.outbox": "done_at IS NOT NULL",
    "notifications.outbox": "done_at IS NOT NULL",
    "oncall.outbox": "done_at IS NOT NULL",
    "alerts.correlation": "forwarded_version = version",
}
"""One row in two hundred is of something that is not finished."""
STEP: Final = {"outbox": "1 second", "audit_queue": "1 second", "idempotency": "1 second", "cancellation": "10 seconds"}
"""How far apart the copies are in tables whose old rows are deleted; in the others, 20 minutes: two years in all."""
SPREAD: Final = {"service", "team", "assigned_to", "person", "recipient", "address", "rate_limit_key", "fingerprint"}
"""Columns that have some hundred values rather than the few of the rows copied."""
WORDS: Final = {"title", "message"}
"""Columns in which nearly every row has a word that no other has: a host, a number, an id."""
COLUMNS: Final = """
    SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
           EXISTS (SELECT FROM pg_index WHERE indrelid = a.attrelid AND indisunique AND a.attnum = ANY(indkey))
               AS in_unique,
           EXISTS (SELECT FROM pg_constraint WHERE conrelid = a.attrelid AND contype = 'c' AND a.attnum = ANY(conkey))
               AS enumerated
    FROM pg_attribute AS a
    WHERE a.attrelid = %(table)s::regclass AND a.attnum > 0 AND NOT a.attisdropped
      AND a.attgenerated = '' AND a.attidentity = ''
    """


def growing_tables(dsn: str) -> list[str]:
    """Return the tables, with their schema, that have more rows the longer Tocsin runs; no partitions of them."""
    tables = run(
        dsn,
        """
        SELECT relnamespace::regnamespace || '.' || relname AS name FROM pg_class
        WHERE relnamespace::regnamespace::text = ANY(%(schemas)s) AND relkind IN ('r', 'p') AND NOT relispartition
        """,
        {"schemas": SCHEMAS},
    )
    return sorted({table["name"] for table in tables} - BOUNDED)


def multiply(dsn: str, *, rows: int) -> dict[str, int]:
    """Copy the rows of each growing table, ever further into the past, until it has *rows*; return how many it has.

    Ids are changed alike in tables with the same step, so that the copies belong together as their originals do.
    """
    # As a replica: the copies of a parent need not be there before those of its children.
    with closing(psycopg2.connect(dsn, options="-c session_replication_role=replica")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for table in growing_tables(dsn):
                over = OVER.get(table, "true")
                cursor.execute(_copies(dsn, table, where=over, rows=rows))
                cursor.execute(_copies(dsn, table, where=f"NOT ({over})", rows=rows // 200))
            cursor.execute("VACUUM (ANALYZE)")
    return {table: run(dsn, f"SELECT count(*) FROM {table}")[0]["count"] for table in growing_tables(dsn)}


def _copies(dsn: str, table: str, *, where: str, rows: int) -> str:
    names, values = zip(*_copied(dsn, table), strict=True)
    return (
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {table} AS row,"
        f" generate_series(1, (SELECT ceil({rows}.0 / NULLIF(count(*), 0)) FROM {table} WHERE {where})) AS n"
        f" WHERE {where}"
    )


def _copied(dsn: str, table: str) -> Iterator[tuple[str, str]]:
    step = STEP.get(table.partition(".")[2], "20 minutes")
    for column in run(dsn, COLUMNS, {"table": table}):
        name = column["name"]
        if column["type"] == "uuid":
            yield name, _earlier_id(f"row.{name}", step)
        elif column["type"] == "bytea" and column["in_unique"]:
            yield name, f"sha256(row.{name} || n::text::bytea)"
        elif column["type"].startswith("timestamp"):
            yield name, f"row.{name} - n * interval '{step}'"
        elif column["type"] == "date":
            yield name, f"row.{name} - (n / 10)::int"
        elif column["type"] == "text" and column["in_unique"] and not column["enumerated"]:
            yield name, f"row.{name} || '-' || n"
        elif name in WORDS:
            yield name, f"row.{name} || ' ' || md5(n::text)"
        elif name in SPREAD:
            yield name, f"row.{name} || '-' || n % 200"
        else:
            yield name, f"row.{name}"


def _earlier_id(column: str, step: str) -> str:
    """Return an id of its own for each copy, n steps earlier, so that it belongs to the partition of that time."""
    return (
        f"overlay(md5({column} || '-' || n) PLACING left(replace(tocsin.id_at(GREATEST("
        f"tocsin.time_of({column}) - n * interval '{step}', to_timestamp(0)))::text, '-', ''), 12) FROM 1)::uuid"
    )
