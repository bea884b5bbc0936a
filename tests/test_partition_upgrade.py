"""An upgrade of a database in use to partitions."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg2
import pytest
from psycopg2.extras import register_uuid

from tests.support.partitions import LINK, STORE, TABLES, open_incident, partition_of
from tests.support.postgres import run
from tocsin import migrate as migrator
from tocsin.kernel.ids import new_id
from tocsin.migrate import migrate, sql_folder

register_uuid()  # type: ignore[no-untyped-call]

DEFINITIONS: Final = """
    SELECT indexrelid::regclass::text AS name,
           replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') AS definition
    FROM pg_index WHERE indrelid = ANY(%(tables)s::regclass[])
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE conrelid = ANY(%(tables)s::regclass[])
    UNION ALL
    SELECT attrelid::regclass || ' ' || attname || ' ' || attnum,
           format_type(atttypid, atttypmod) || ' ' || attnotnull || ' ' || COALESCE(pg_get_expr(adbin, adrelid), '')
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = ANY(%(tables)s::regclass[]) AND attnum > 0
    UNION ALL
    SELECT oid::regclass::text, relacl::text FROM pg_class WHERE oid = ANY(%(tables)s::regclass[])
    ORDER BY 1, 2
    """
FILL: Final = """
    INSERT INTO alerts.correlation (alert_id, incident_id, action, forwarded_version, created_at, changed_at,
        next_forward_at)
    SELECT (lpad(to_hex((EXTRACT(epoch FROM now()) * 1000)::bigint - n), 12, '0') || repeat('0', 20))::uuid,
        gen_random_uuid(), 'new_incident', 1, now(), now(), now()
    FROM generate_series(1, 20000) AS n
    """
ALL_LINKS: Final = "SELECT * FROM alerts.correlation ORDER BY alert_id"
# As the services prepare their inserts: the plan was made for the table that becomes a partition.
PREPARE_STORE: Final = "PREPARE store AS " + (
    STORE.replace("%(id)s", "$1::uuid").replace("%(key)s", "NULL::text").replace("%(forwarded)s", "0")
)


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch, empty_dsn: str, tmp_path: Path) -> str:
    """A database of the release before: without partitions, with some rows."""
    for path in sql_folder().glob("*.sql"):
        if path.name < "0011":
            shutil.copy(path, tmp_path)
    with monkeypatch.context() as release:
        release.setattr(migrator, "sql_folder", lambda: tmp_path)
        migrate(empty_dsn)
    run(empty_dsn, FILL)
    return empty_dsn


class Writer(threading.Thread):
    """Stores, links and updates alerts as the release before does, one statement a transaction, until it is stopped."""

    def __init__(self, dsn: str, incident_id: UUID) -> None:
        super().__init__()
        self._dsn = dsn
        self._incident_id = incident_id
        self._changed = threading.Condition()
        self.stopping = False
        self.stored: list[UUID] = []

    def run(self) -> None:
        # The time-outs of a service: a statement that waits longer fails, and the test with it.
        options = "-c statement_timeout=5000 -c lock_timeout=2000"
        with closing(psycopg2.connect(self._dsn, options=options)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(PREPARE_STORE)
            while not self.stopping:
                alert_id = new_id()
                cursor.execute("EXECUTE store (%s)", (alert_id,))
                cursor.execute(LINK, {"id": alert_id, "incident_id": self._incident_id, "key": None})
                cursor.execute(
                    "UPDATE alerts.correlation SET incident_id = %s, forwarded_version = 1 WHERE alert_id = %s",
                    (self._incident_id, alert_id),
                )
                cursor.execute("UPDATE alerts.alert SET occurrences = 2 WHERE id = %s", (alert_id,))
                with self._changed:
                    self.stored.append(alert_id)
                    self._changed.notify_all()

    def wait_for(self, more: int) -> None:
        """Return when *more* alerts have been stored; fail if that takes too long, as when the thread has failed."""
        wanted = len(self.stored) + more
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.stored) >= wanted, timeout=20)


@contextmanager
def writing(dsn: str, incident_id: UUID) -> Iterator[Writer]:
    """Run a writer during the block."""
    writer = Writer(dsn, incident_id)
    writer.start()
    yield writer
    writer.stopping = True
    writer.join()


def definitions(dsn: str) -> list[dict[str, Any]]:
    return run(dsn, DEFINITIONS, {"tables": list(TABLES)})


def test_a_database_in_use_is_partitioned_while_the_release_before_goes_on_writing(before: str) -> None:
    incident_id = new_id()
    open_incident(before, incident_id, resolved=False)
    history = run(before, ALL_LINKS)
    structure = definitions(before)
    with writing(before, incident_id) as writer:
        writer.wait_for(20)
        assert "0013_all_attach_first_partition" in migrate(before)
        writer.wait_for(20)
    stored = [{"id": alert_id} for alert_id in sorted(writer.stored)]
    assert run(before, "SELECT id FROM alerts.request ORDER BY id") == stored
    assert run(before, "SELECT id FROM alerts.alert WHERE occurrences = 2 ORDER BY id") == stored
    assert run(before, "SELECT alert_id AS id FROM incidents.incident_alert ORDER BY alert_id") == stored
    links = run(before, ALL_LINKS)
    assert links[: len(history)] == history
    assert [{"id": row["alert_id"]} for row in links[len(history) :] if row["incident_id"] == incident_id] == stored
    assert definitions(before) == structure
    for table, key in TABLES.items():
        assert partition_of(before, table, key, writer.stored[0]) in {None, f"{table}_first"}


def test_an_upgrade_waits_for_a_long_transaction_without_holding_up_the_writers(before: str) -> None:
    incident_id = new_id()
    open_incident(before, incident_id, resolved=False)
    with writing(before, incident_id) as writer, ThreadPoolExecutor(1) as pool:
        with closing(psycopg2.connect(before)) as reader, reader.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM alerts.occurrence")
            upgrade = pool.submit(migrate, before)
            writer.wait_for(1_000)
            assert not upgrade.done()
        assert "0013_all_attach_first_partition" in upgrade.result(timeout=30)


def test_an_id_of_the_future_does_not_prevent_the_upgrade(before: str) -> None:
    future = UUID("0fffffff-0000-7000-8000-000000000000")
    sql = STORE.replace("%(id)s", f"'{future}'::uuid")
    run(before, sql, {"key": None, "forwarded": 1})
    migrate(before)
    assert partition_of(before, "alerts.alert", "id", future) == "alerts.alert_first"
