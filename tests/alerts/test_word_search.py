"""Searching alerts for words reads few alerts, whether or not the words are rare or the statistics are known."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.alerts.api import Service
from tests.support.history import multiply
from tests.support.postgres import run
from tocsin.alerts.queries import AlertQuery
from tocsin.alerts.repository import queries

pytestmark = pytest.mark.slow
ROWS = 30_000
SEARCHED = 1_000
STATEMENTS = {"newest": queries._LIST_NEWEST_WITH_WORDS, "all": queries._LIST_ALL_WITH_WORDS}  # noqa: SLF001 - explained


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield *plan* and all below it."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)


def rows_read(dsn: str, statement: str, words: str) -> int:
    """Return how many alerts a search reads."""
    query = AlertQuery(q=words)
    params = {**query.model_dump(exclude={"limit", "cursor"}), **query.after(), "searched": SEARCHED}
    ((plan,),) = (row.values() for row in run(dsn, f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", params))
    return sum(
        round((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"])
        for node in nodes(plan[0]["Plan"])
        if node.get("Relation Name") == "alert"
    )


async def test_a_search_reads_few_alerts(service: Service, db_dsn: str) -> None:
    for number in range(3):
        await service.send(message=f"latency above {number} s")
    await service.send(message="one heliotrope among them")
    await service.send(message="the newest one")
    multiply(db_dsn, rows=ROWS)
    for statistics in ("as they are", "of the words unknown"):
        if statistics != "as they are":
            run(db_dsn, "DELETE FROM pg_statistic WHERE starelid = 'alerts.alert_message_idx'::regclass")
        for words in ("zanzibar", "latency zanzibar", "latency -above"):
            assert rows_read(db_dsn, STATEMENTS["newest"], words) <= SEARCHED
            assert rows_read(db_dsn, STATEMENTS["all"], words) <= 1, (statistics, words)
        assert rows_read(db_dsn, STATEMENTS["newest"], "latency") <= SEARCHED


async def test_a_word_is_found_among_the_newest_alerts_and_beyond_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queries, "SEARCHED_NEWEST", 2)
    rare = await service.send(message="one heliotrope")
    common = [await service.send(message=f"latency {number}") for number in range(4)]
    assert [item["id"] for item in await service.found(q="heliotrope")] == [rare["alert_id"]]
    ids = [item["alert_id"] for item in reversed(common)]
    assert [item["id"] for item in await service.found(q="latency")] == ids
    assert [item["id"] for item in await service.found(q="latency", limit=1)] == ids[:1]
    assert await service.found(q="zanzibar") == []
