from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.support.kernel.quick_settings import quick_settings
from tocsin.kernel.db import Database, autocommit, fetch_one, required, transaction

DAY = timedelta(days=1)


@pytest.fixture
async def db(db_dsn: str) -> AsyncIterator[Database]:
    database = Database(quick_settings(db_dsn).database_config(), schema="alerts")
    yield database
    await database.close()


async def offset(db: Database) -> timedelta:
    async with autocommit(db) as cur:
        row = required(await fetch_one(cur, "SELECT tocsin.now() - now() AS offset"))  # tocsin.now() is what is tested
    result: timedelta = row["offset"]
    return result


async def test_the_clock_is_the_servers_unless_it_is_moved(db: Database) -> None:
    assert await offset(db) == timedelta()


async def test_moving_the_clock_reaches_present_and_later_connections(db: Database) -> None:
    async with autocommit(db):
        db.set_clock_offset(-3 * DAY)
        assert await offset(db) == -3 * DAY  # a second connection, made after the move
    assert await offset(db) == -3 * DAY  # the first one, made before it
    db.set_clock_offset(timedelta())
    assert await offset(db) == timedelta()


async def test_a_moved_clock_stays_moved_after_a_rollback(db: Database) -> None:
    db.set_clock_offset(DAY)
    message = "roll back"
    with pytest.raises(RuntimeError, match=message):
        async with transaction(db):
            raise RuntimeError(message)
    assert await offset(db) == DAY


async def test_a_column_default_follows_the_moved_clock(db: Database) -> None:
    db.set_clock_offset(DAY)
    async with transaction(db) as cur:
        row = await fetch_one(
            cur,
            """
            INSERT INTO alerts.occurrence (id, alert_id, action, created_at)
            VALUES (gen_random_uuid(), gen_random_uuid(), 'repeated', tocsin.now())
            RETURNING created_at - now() AS offset
            """,
        )
    assert required(row)["offset"] == DAY
