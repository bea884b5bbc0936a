"""Every statement of the services, explained over a long history: none reads a growing table from end to end."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Any, Final

import psycopg2
import pytest
from aiohttp import ClientSession

from tests.support import sampling
from tests.support.e2e.system import open_world
from tests.support.history import multiply
from tests.support.kernel.every_use import Services, use_everything
from tests.support.kernel.recorded_statements import Recorder, Statement, written_statements
from tests.support.otlp import collecting
from tests.support.postgres import run
from tocsin.incidents.service import analytics
from tocsin.kernel.tracing import TRACING

pytestmark = pytest.mark.slow
ROWS: Final = sampling.rows(50_000, 100_000)


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


@pytest.mark.usefixtures("tracing")
async def test_no_statement_reads_a_growing_table_from_end_to_end(db_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(analytics, "EXACT_INCIDENTS", 0)  # a summary of any incident is that of many
    recorder = Recorder(monkeypatch)
    async with open_world() as world, ClientSession() as session:
        await use_everything(Services(db_dsn, world.environment), session, world)

    seen = {statement.template for statement in recorder.statements}
    unseen = [f"{place}: {text}" for place, text in written_statements() if text not in seen]
    assert not unseen, "\n".join(["statements that were not run:", *unseen])

    rows = multiply(db_dsn, rows=ROWS)
    assert {table: count for table, count in rows.items() if count < ROWS} == {}
    whole = run(db_dsn, "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indpred IS NULL")
    whole_indexes = {index["name"].rpartition(".")[2] for index in whole}
    bad = {
        f"{statement.place} goes through {node['Schema']}.{node['Relation Name']}: {statement.template}"
        for statement, node in explained(db_dsn, recorder.statements)
        if f"{node.get('Schema')}.{node.get('Relation Name')}" in rows and reads_nearly_all(node, whole_indexes)
    }
    assert not bad, "\n".join(sorted(bad))
