"""The functions that add and drop partitions."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Final
from uuid import UUID

import psycopg2
import pytest

from tests.support.partitions import TABLES, add_partitions, in_days, old_id, partition_of, partitions, store_alert
from tests.support.postgres import run
from tocsin.kernel.ids import new_id

MANY_OCCURRENCES: Final = """
    INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
    SELECT tocsin.id_at(tocsin.now() - n * interval '1 ms'), tocsin.id_at(tocsin.now()), 'repeated', tocsin.now()
    FROM generate_series(1, 20001) AS n
    """
FIRST_PARTITION: Final = "SELECT ends FROM tocsin.partitions('alerts.alert'::regclass) ORDER BY ends LIMIT 1"


def test_partitions_reach_five_weeks_ahead_and_rows_without_one_are_moved_into_it(db_dsn: str) -> None:
    assert add_partitions(db_dsn, "alerts") == []
    later = in_days(db_dsn, 100)
    late, later_still = old_id(later, days=30), old_id(later, days=-300)
    store_alert(later, late)
    store_alert(later, later_still)
    assert partition_of(db_dsn, "alerts.alert", "id", late) == "alerts.alert_default"
    added = add_partitions(later, "alerts")
    assert len(added) == len(set(added)) > 10
    for table, key in list(TABLES.items())[:3]:
        found = partition_of(db_dsn, table, key, late)
        assert found is not None
        assert found in added
        assert partition_of(db_dsn, table, key, later_still) == f"{table}_default"
    counted = run(db_dsn, "SELECT * FROM alerts.count_default_rows() WHERE default_rows > 0")
    assert {row["name"]: row["default_rows"] for row in counted} == {
        "alerts.request": 1,
        "alerts.alert": 1,
        "alerts.correlation": 1,
    }


def test_many_rows_without_a_partition_stay_where_they_are_and_the_next_day_has_one(db_dsn: str) -> None:
    later = in_days(db_dsn, 100)
    run(later, MANY_OCCURRENCES)
    assert add_partitions(later, "alerts")
    in_default = run(db_dsn, "SELECT count(*) AS rows FROM alerts.occurrence_default")
    assert in_default == [{"rows": 20_001}]
    tomorrow = old_id(later, days=-1.5)
    run(db_dsn, "INSERT INTO alerts.occurrence VALUES (%(id)s, %(id)s, 'repeated', now())", {"id": tomorrow})
    assert partition_of(db_dsn, "alerts.occurrence", "id", tomorrow) != "alerts.occurrence_default"


def test_eight_replicas_at_once_add_each_partition_once(db_dsn: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = [
            name for names in pool.map(add_partitions, [in_days(db_dsn, 100)] * 8, ["alerts"] * 8) for name in names
        ]
    assert len(added) == len(set(added)) > 10
    add_partitions(in_days(db_dsn, 100), "alerts")
    assert partitions(db_dsn, "alerts.alert")[1:] == sorted(partitions(db_dsn, "alerts.alert")[1:])


@pytest.mark.parametrize("schema", ["alerts", "incidents"])
def test_a_services_role_adds_and_drops_partitions_of_its_own_schema(db_dsn: str, schema: str) -> None:
    with closing(psycopg2.connect(in_days(db_dsn, 200))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(f"SET ROLE tocsin_{schema}")
        cursor.execute(f"SELECT {schema}.add_partition()")
        assert cursor.fetchone() != (None,)
        cursor.execute(f"SELECT {schema}.drop_alerts(starts, ends, 90) FROM {schema}.find_expired(90)")
        assert set(cursor.fetchall()) == {({"alerts": 3, "incidents": 1}[schema],)}
        other = {"alerts": "incidents", "incidents": "alerts"}[schema]
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(f"SELECT {other}.add_partition()")


def expired(dsn: str, schema: str) -> list[tuple[UUID, UUID]]:
    return [(row["starts"], row["ends"]) for row in run(dsn, f"SELECT * FROM {schema}.find_expired(90)")]


def drop(dsn: str, schema: str, starts: UUID, ends: UUID) -> int:
    sql = f"SELECT {schema}.drop_alerts(%(starts)s, %(ends)s, 90) AS dropped"
    dropped: int = run(dsn, sql, {"starts": starts, "ends": ends})[0]["dropped"]
    return dropped


@pytest.mark.parametrize(("key", "forwarded"), [("disk", True), (None, False)])
def test_a_partition_with_an_open_or_unforwarded_alert_is_kept(
    db_dsn: str, key: str | None, *, forwarded: bool
) -> None:
    alert_id = new_id()
    store_alert(db_dsn, alert_id, key=key, forwarded=forwarded)
    later = in_days(db_dsn, 200)
    assert expired(later, "alerts") == []
    (first,) = [(UUID(int=0), row["ends"]) for row in run(db_dsn, FIRST_PARTITION)]
    assert drop(later, "alerts", *first) == 0
    assert partition_of(db_dsn, "alerts.alert", "id", alert_id) == "alerts.alert_first"
    run(db_dsn, "DELETE FROM alerts.open_alert")
    run(db_dsn, "UPDATE alerts.correlation SET forwarded_version = version")
    assert expired(later, "alerts") == [first]
    assert drop(later, "alerts", *first) == 3
    assert partition_of(db_dsn, "alerts.alert", "id", alert_id) is None


def test_a_partition_with_rows_of_the_retention_is_refused(db_dsn: str) -> None:
    (first,) = run(db_dsn, FIRST_PARTITION)
    for days in (90, 0):
        with pytest.raises(psycopg2.errors.RaiseException, match="has rows of the last"):
            run(
                in_days(db_dsn, 60),
                "SELECT alerts.drop_alerts(%(starts)s, %(ends)s, %(days)s)",
                {"starts": UUID(int=0), "ends": first["ends"], "days": days},
            )


def test_dropping_gives_up_soon_when_a_long_transaction_reads(db_dsn: str) -> None:
    later = in_days(db_dsn, 200)
    (first,) = expired(later, "alerts")
    with closing(psycopg2.connect(db_dsn)) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM alerts.alert")
        with pytest.raises(psycopg2.errors.LockNotAvailable):
            drop(later, "alerts", *first)
        store_alert(db_dsn, new_id())
    assert drop(later, "alerts", *first) == 3


def test_every_partition_has_the_storage_parameters_of_its_table(db_dsn: str) -> None:
    later = in_days(db_dsn, 100)
    add_partitions(later, "alerts")
    add_partitions(later, "incidents")
    rows = run(
        db_dsn,
        """
        SELECT inhparent::regclass::text AS name, array_agg(DISTINCT options) AS options
        FROM pg_inherits JOIN pg_class AS c ON c.oid = inhrelid,
            LATERAL (SELECT string_agg(o, ' ' ORDER BY o) AS options FROM unnest(reloptions) AS o) AS sorted
        WHERE c.relkind = 'r' GROUP BY 1
        """,
    )
    assert {row["name"] for row in rows} == set(TABLES)
    for row in rows:
        (options,) = row["options"]
        assert "autovacuum_vacuum_scale_factor=0.02" in options
        assert ("fillfactor=90" in options) == (row["name"] in {"alerts.alert", "incidents.incident_alert"})
