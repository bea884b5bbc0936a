"""Statements on the database that is measured."""

from contextlib import closing
from typing import Any

import psycopg2


def query(dsn: str, sql: str) -> tuple[Any, ...]:
    """Run one statement; return its first row, or an empty one."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(sql)
        return cursor.fetchone() or () if cursor.description else ()
