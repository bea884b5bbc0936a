"""Each service logs in to PostgreSQL as its own role, which can access its own schema only."""

from contextlib import closing

import psycopg2
import pytest

from tests.support.containers.stack import Stack
from tests.support.postgres import run

SCHEMAS = ["alerts", "incidents", "oncall", "notifications", "access"]


async def test_each_service_is_logged_in_as_its_own_role(stack: Stack) -> None:
    roles = {row["usename"] for row in run(stack.dsn(), "SELECT DISTINCT usename FROM pg_stat_activity")}
    assert {f"tocsin_{schema}" for schema in SCHEMAS} <= roles


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_a_service_can_neither_read_nor_change_what_belongs_to_another(stack: Stack, schema: str) -> None:
    tables = run(
        stack.dsn(), "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(%(all)s)", {"all": SCHEMAS}
    )
    assert {table["schemaname"] for table in tables} == set(SCHEMAS)
    with closing(psycopg2.connect(stack.dsn(f"tocsin_{schema}"))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for table in tables:
            name = f"{table['schemaname']}.{table['tablename']}"
            if table["schemaname"] == schema:
                cursor.execute(f"SELECT count(*) FROM {name}")
                continue
            for statement in (f"SELECT count(*) FROM {name}", f"DELETE FROM {name}", f"TRUNCATE {name}"):
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(statement)
        for statement in (
            f"CREATE TABLE {schema}.more (id int)",
            "SET ROLE tocsin",
            "CREATE ROLE more",
            "COPY pg_class TO PROGRAM 'cat'",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(statement)


async def test_a_role_needs_its_password(stack: Stack) -> None:
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(f"{stack.dsn('tocsin_alerts')} password=guessed").close()


async def test_the_database_keeps_what_it_confirms(stack: Stack) -> None:
    settings = run(
        stack.dsn(),
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')",
    )
    assert {row["name"]: row["setting"] for row in settings} == dict.fromkeys(
        ("fsync", "synchronous_commit", "full_page_writes"), "on"
    )
