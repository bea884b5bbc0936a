"""Every statement of the services, explained over a long history: none reads a growing table from end to end."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import closing
from typing import Any, Final
from uuid import UUID

import psycopg2
import pytest
from aiohttp import ClientSession

from tests.support import sampling
from tests.support.e2e.system import open_world
from tests.support.history import multiply
from tests.support.kernel.every_use import Services, use_everything
from tests.support.kernel.recorded_statements import Recorder, Statement, written_statements
from tests.support.otlp import collecting
from tests.support.partitions import add_partitions, in_days
from tests.support.postgres import run
from tocsin.incidents.service import analytics
from tocsin.kernel.tracing import TRACING
from tocsin.migrate import migrate

pytestmark = pytest.mark.slow
ROWS: Final = sampling.rows(50_000, 100_000)


BOUNDED: Final = {
    "alerts/repository/forwarding.py:_link",
    "alerts/repository/forwarding.py:postpone",
    "alerts/repository/queries.py:find_alert",
    "incidents/repository/correlation.py:insert_moved",
    "incidents/repository/correlation.py:lock_known",
    "incidents/repository/correlation.py:update_links",
}
"""Functions whose statements are about known alerts: only their partitions are planned."""


def explained(dsn: str, statements: list[Statement]) -> Iterator[tuple[Statement, dict[str, Any]]]:
    """Yield each statement with each node of its plan."""
    for options in {statement.options for statement in statements}:
        with closing(psycopg2.connect(dsn, options=options)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            for statement in statements:
                if statement.options == options:
                    cursor.execute(f"EXPLAIN (VERBOSE, FORMAT JSON) {statement.literal}")
                    ((plan,),) = cursor.fetchall()
                    yield from ((statement, node) for node in nodes(plan[0]["Plan"]))


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield *plan* and all below it."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def reads_nearly_all(node: dict[str, Any], whole_indexes: set[str]) -> bool:
    """Tell whether a step reads a table from end to end, or follows an index through it in search of a few rows."""
    if node["Node Type"] == "Seq Scan":
        return True
    in_search = "Index Cond" not in node and "Filter" in node and node["Plan Rows"] < ROWS / 100
    return node.get("Index Name") in whole_indexes and in_search


@pytest.fixture
async def tracing(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Some statements run only with tracing."""
    async with collecting() as collector:
        for name, value in collector.environment.items():
            monkeypatch.setenv(name, value)
        TRACING.start(service="everything", version="0", instance="test")
        yield
        await asyncio.to_thread(TRACING.stop, 5)


@pytest.fixture
def partitioned_dsn(empty_dsn: str) -> str:
    """A database that is 200 days old, so that alerts have a partition for each four weeks of them."""
    migrate(in_days(empty_dsn, -200))
    for schema in ("alerts", "incidents"):
        add_partitions(empty_dsn, schema)
    return empty_dsn


def relations_of(dsn: str, tables: Iterable[str]) -> set[str]:
    """Return the tables without partitions, and the partitions of the others that have more than some rows."""
    names = run(
        dsn,
        """
        SELECT relnamespace::regnamespace || '.' || relname AS name
        FROM unnest(%(tables)s::regclass[]) AS root
        LEFT JOIN LATERAL pg_partition_tree(root) AS tree ON isleaf
        JOIN pg_class AS c ON c.oid = COALESCE(relid, root)
        WHERE relid IS NULL OR reltuples > %(rows)s
        """,
        {"tables": list(tables), "rows": ROWS / 100},
    )
    return {row["name"] for row in names}


@pytest.mark.usefixtures("tracing")
async def test_no_statement_reads_a_growing_table_from_end_to_end(
    partitioned_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    db_dsn = partitioned_dsn
    monkeypatch.setattr(analytics, "EXACT_INCIDENTS", 0)  # a summary of any incident is that of many
    recorder = Recorder(monkeypatch)
    async with open_world() as world, ClientSession() as session:
        await use_everything(Services(db_dsn, world.environment), session, world)

    seen = {statement.template for statement in recorder.statements}
    unseen = [f"{place}: {text}" for place, text in written_statements() if text not in seen]
    assert not unseen, "\n".join(["statements that were not run:", *unseen])

    run(db_dsn, "UPDATE incidents.incident_alert SET resolved_at = attached_at")  # what can change is not kept
    every_id = {"starts": UUID(int=0), "ends": UUID(int=2**128 - 1)}
    run(db_dsn, "SELECT * FROM incidents.keep_alerts(%(starts)s, %(ends)s, %(starts)s)", every_id)
    rows = multiply(db_dsn, rows=ROWS)
    assert {table: count for table, count in rows.items() if count < ROWS} == {}
    whole = run(db_dsn, "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indpred IS NULL")
    whole_indexes = {index["name"].rpartition(".")[2] for index in whole}
    unbounded = {
        statement.place
        for statement, node in explained(db_dsn, recorder.statements)
        if statement.place in BOUNDED and str(node.get("Relation Name")).endswith("_default")
    }
    assert not unbounded, "statements that are planned for every partition"
    growing = relations_of(db_dsn, rows)
    assert len(growing) >= len(rows) + 15
    bad = {
        f"{statement.place} goes through {node['Schema']}.{node['Relation Name']}: {statement.template}"
        for statement, node in explained(db_dsn, recorder.statements)
        if f"{node.get('Schema')}.{node.get('Relation Name')}" in growing and reads_nearly_all(node, whole_indexes)
    }
    assert not bad, "\n".join(sorted(bad))
