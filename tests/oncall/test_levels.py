"""Levels that are not acknowledged: each follows after the time-out, exactly once, on any replica."""

import asyncio
from collections import Counter
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from tests.oncall.conftest import OnCall, Replica, delivered, person
from tests.support.waiting import eventually
from tocsin.oncall.service.next_step import execute_due

SHORT = 0.3 / 60
"""A time-out of 0.3 seconds, in minutes."""
MAKE_OVERDUE = "UPDATE oncall.escalation SET next_action_at = tocsin.now() - interval '1 minute' WHERE incident_id = %s"
ROUNDS = 'tocsin_worker_ticks_total{outcome="ok",worker="escalations"}'


def overdue(oncall: OnCall) -> None:
    """Make every step due now."""
    oncall.rows("UPDATE oncall.escalation SET next_action_at = tocsin.now() WHERE stopped_at IS NULL")


@pytest.mark.slow
async def test_levels_that_are_not_acknowledged_follow_each_other_and_repeat(replica: Replica) -> None:
    oncall = await replica(escalation_timeout_minutes=SHORT)
    await oncall.team("Payments", person("Ada"), person("Bob", role="secondary"))
    incident_id = (await oncall.start())["incident_id"]
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) >= 5)
    await oncall.stop(incident_id)
    pages = oncall.notifications.paged(incident_id)
    assert pages[:5] == [
        (1, "Ada", "mock"),
        (2, "Bob", "mock"),
        (3, "Ada", "mock"),
        (3, "Bob", "mock"),
        (4, "Ada", "mock"),
    ]
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) >= 8)
    assert [kind for kind, _ in oncall.timeline.texts(incident_id)[:8]] == [
        "paged", "escalated", "paged", "escalated", "paged", "paged", "escalated", "paged",
    ]  # fmt: skip
    why = [text for kind, text in oncall.timeline.texts(incident_id) if kind == "escalated"]
    assert why[:3] == [
        "Escalated to level 2, secondary for Payments: not acknowledged within 0.3 s",
        "Escalated to level 3, everyone in Payments: not acknowledged within 0.3 s",
        "Escalated to level 1, primary for Payments: not acknowledged within 0.3 s",
    ]


async def test_a_step_is_executed_when_it_is_due_and_not_at_the_next_poll(replica: Replica) -> None:
    oncall = await replica(escalation_timeout_minutes=SHORT, poll_seconds=600)
    await oncall.team()
    incident_id = (await oncall.start())["incident_id"]
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) >= 2)
    pause = "extract(epoch FROM min(created_at) FILTER (WHERE step = 2) - min(created_at)) AS seconds"
    assert oncall.rows(f"SELECT {pause} FROM oncall.page")[0]["seconds"] >= 0.3


@pytest.mark.slow
async def test_a_replica_executes_steps_of_escalations_that_another_one_started(replica: Replica) -> None:
    one, other = await replica(escalation_timeout_minutes=1 / 60), await replica(poll_seconds=60)
    await one.team()
    before = (await other.metrics())[ROUNDS]
    incident_id = (await one.start())["incident_id"]

    async def has_looked() -> bool:
        return (await other.metrics())[ROUNDS] > before

    await eventually(has_looked)
    await one.client.close()
    await eventually(lambda: len(other.notifications.paged(incident_id)) >= 2)
    assert other.notifications.paged(incident_id)[:2] == [(1, "Ada", "mock"), (2, "Bob", "mock")]


async def test_steps_that_became_due_while_no_replica_ran_are_executed_at_start_up(replica: Replica) -> None:
    first = await replica()
    await first.team()
    incident_id = (await first.start())["incident_id"]
    await delivered(first, incident_id, (1, "Ada", "mock"))
    await first.client.close()
    overdue(first)
    await delivered(await replica(), incident_id, (1, "Ada", "mock"), (2, "Bob", "mock"))


async def test_an_empty_level_is_skipped_at_once(replica: Replica) -> None:
    oncall = await replica(escalation_timeout_minutes=SHORT)
    await oncall.team("Payments", person("Ada"), person("Bob"))
    started = await oncall.start()
    incident_id = started["incident_id"]
    assert (started["next_level"], sorted(started["next_people"])) == ("everyone", ["Ada", "Bob"])
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) >= 3)
    await oncall.stop(incident_id)
    assert [step for step, _, _ in oncall.notifications.paged(incident_id)[:3]] == [1, 2, 2]
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) >= 2)
    assert oncall.timeline.texts(incident_id)[1] == (
        "escalated",
        "Escalated to level 3, everyone in Payments: not acknowledged within 0.3 s; nobody is secondary",
    )


async def test_without_any_team_the_catch_all_is_paged_repeatedly_and_an_error_is_logged(
    replica: Replica, capsys: Any
) -> None:
    oncall = await replica(escalation_timeout_minutes=SHORT, default_team="Operations")
    started = await oncall.start(service="payments-api")
    incident_id = started["incident_id"]
    assert (started["team"], started["team_reason"]) == ("Operations", "no team exists")
    assert (started["level"], started["assigned_to"], started["next_level"]) == ("catch_all", None, "catch_all")
    await eventually(lambda: len(oncall.notifications.paged(incident_id)) >= 2)
    assert oncall.notifications.paged(incident_id)[:2] == [
        (1, "the catch-all contact", "mock"),
        (2, "the catch-all contact", "mock"),
    ]
    assert {page["recipient"] for page in oncall.notifications.pages.values()} == {"nobody-on-call"}
    await eventually(lambda: len(oncall.timeline.texts(incident_id)) >= 4)
    nobody = ("nobody_on_call", "Nobody is on call for Operations at any level: paging the catch-all contact")
    paged = ("paged", "Paged the catch-all contact by console: nobody is on call for Operations")
    assert oncall.timeline.texts(incident_id)[:4] == [nobody, paged, nobody, paged]
    assert (await oncall.metrics())['tocsin_oncall_catch_all_pages_total{reason="nobody_on_call"}'] >= 2
    assert "catch-all paged" in capsys.readouterr().out


async def test_a_team_created_later_is_paged_by_the_next_step(replica: Replica) -> None:
    oncall = await replica(default_team="Operations")
    incident_id = (await oncall.start(service="payments-api"))["incident_id"]
    await oncall.team("Operations", person("Ada"))
    overdue(oncall)
    await delivered(oncall, incident_id, (1, "the catch-all contact", "mock"), (2, "Ada", "mock"))


async def test_an_unreadable_schedule_pages_the_catch_all_and_delays_no_other_team(oncall: OnCall) -> None:
    for change in ("time_zone = 'Mars/Olympus'", 'members = \'[{"name": "Ada"}]\'', "members = '[]'"):
        await oncall.team(change)
        team_id = "(SELECT id FROM oncall.team WHERE name = %(team)s)"
        oncall.rows(f"UPDATE oncall.schedule SET {change} WHERE team_id = {team_id}", team=change)
        broken = await oncall.start(service=change)
        assert (broken["team"], broken["level"]) == (change, "catch_all")
    await oncall.team("Search", person("Sue"))
    assert (await oncall.start(service="Search"))["assigned_to"] == "Sue"


@pytest.mark.slow
async def test_replicas_that_compete_for_due_steps_execute_each_step_once(replica: Replica) -> None:
    replicas = [await replica(due_batch_size=3, poll_seconds=60) for _ in range(3)]
    await replicas[0].team("Payments", person("Ada"), person("Bob", role="secondary"))
    for number in range(27):
        await replicas[0].start(number=number)
    overdue(replicas[0])

    async def execute_all(oncall: OnCall) -> None:
        while await execute_due(oncall.deps) is True:
            continue

    await asyncio.gather(*(execute_all(oncall) for oncall in replicas for _ in range(3)))

    def steps() -> Counter[tuple[Any, ...]]:
        rows = replicas[0].rows(
            "SELECT step, next_level, next_action_at > tocsin.now() AS later FROM oncall.escalation"
        )
        return Counter(tuple(row.values()) for row in rows)

    await eventually(lambda: steps() == {(2, "everyone", True): 27})  # a replica's own loop may still be at work
    pages = replicas[0].rows("SELECT step, person, count(*) FROM oncall.page GROUP BY step, person ORDER BY step")
    assert pages == [{"step": 1, "person": "Ada", "count": 27}, {"step": 2, "person": "Bob", "count": 27}]
    await eventually(lambda: len(replicas[0].notifications.pages) == 54)


async def waits_for_lock(oncall: OnCall, table: str) -> None:
    """Wait until a session waits for a lock on *table*."""
    await eventually(
        lambda: oncall.rows(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = %(table)s::regclass"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            table=table,
        )
    )


async def test_a_stop_during_a_step_cancels_the_pages_of_the_step(replica: Replica) -> None:
    oncall = await replica(poll_seconds=60)
    await oncall.team()
    incident_id = (await oncall.start())["incident_id"]
    await delivered(oncall, incident_id, (1, "Ada", "mock"))
    oncall.notifications.gate.clear()  # deliveries of the step stay in flight
    with closing(psycopg2.connect(oncall.dsn)) as barrier, barrier.cursor() as cursor:
        cursor.execute("LOCK TABLE oncall.page IN SHARE MODE")
        overdue(oncall)
        step = asyncio.ensure_future(execute_due(oncall.deps))
        await waits_for_lock(oncall, "oncall.page")
        stop = asyncio.ensure_future(oncall.stop(incident_id))
        await eventually(lambda: oncall.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"))
        barrier.rollback()
        await step
        stopped = await stop
    assert (stopped["step"], stopped["stop_reason"], stopped["next_action_at"]) == (2, "acknowledged", None)
    assert [page["voided_at"] is None for page in stopped["pages"]] == [True, False]
    oncall.notifications.gate.set()


async def test_a_step_during_a_stop_is_not_executed(replica: Replica) -> None:
    oncall = await replica(poll_seconds=60)
    await oncall.team()
    incident_id = (await oncall.start())["incident_id"]
    await delivered(oncall, incident_id, (1, "Ada", "mock"))
    with closing(psycopg2.connect(oncall.dsn)) as barrier, barrier.cursor() as cursor:
        cursor.execute("LOCK TABLE oncall.page IN SHARE MODE")
        overdue(oncall)
        stop = asyncio.ensure_future(oncall.stop(incident_id))
        await waits_for_lock(oncall, "oncall.page")
        assert await execute_due(oncall.deps) is False
        barrier.rollback()
        stopped = await stop
    assert (stopped["step"], stopped["stop_reason"]) == (1, "acknowledged")


async def test_an_escalation_locked_by_a_frozen_replica_delays_no_other(replica: Replica) -> None:
    oncall = await replica(poll_seconds=0.05)
    await oncall.team()
    held, free = (await oncall.start())["incident_id"], (await oncall.start())["incident_id"]
    with closing(psycopg2.connect(oncall.dsn)) as frozen, frozen.cursor() as cursor:
        cursor.execute("SELECT FROM oncall.escalation WHERE incident_id = %s FOR UPDATE", (held,))
        oncall.rows("UPDATE oncall.escalation SET next_action_at = tocsin.now() WHERE incident_id = %(id)s", id=free)
        await delivered(oncall, free, (1, "Ada", "mock"), (2, "Bob", "mock"))
        frozen.rollback()
    overdue(oncall)
    await delivered(oncall, held, (1, "Ada", "mock"), (2, "Bob", "mock"))


async def test_a_due_step_locked_by_another_replica_causes_no_busy_loop(replica: Replica) -> None:
    oncall = await replica(poll_seconds=60)
    await oncall.team()
    held = (await oncall.start())["incident_id"]
    with closing(psycopg2.connect(oncall.dsn)) as frozen, frozen.cursor() as cursor:
        cursor.execute(MAKE_OVERDUE, (held,))
        frozen.commit()
        cursor.execute("SELECT FROM oncall.escalation WHERE incident_id = %s FOR UPDATE", (held,))
        assert await execute_due(oncall.deps) is False, "the worker waits for the next poll"
        frozen.rollback()


async def test_the_gauges_show_how_far_overdue_the_steps_are(replica: Replica) -> None:
    oncall = await replica(poll_seconds=60)
    await oncall.team()
    held = (await oncall.start())["incident_id"]
    with closing(psycopg2.connect(oncall.dsn)) as frozen, frozen.cursor() as cursor:
        cursor.execute(
            "UPDATE oncall.escalation SET next_action_at = tocsin.now() - interval '1 minute' WHERE incident_id = %s",
            (held,),
        )
        frozen.commit()
        cursor.execute("SELECT FROM oncall.escalation WHERE incident_id = %s FOR UPDATE", (held,))

        async def shown() -> bool:
            metrics = await oncall.metrics()
            return metrics["tocsin_oncall_overdue_steps"] == 1 and metrics["tocsin_oncall_due_oldest_seconds"] >= 60

        await eventually(shown)
        frozen.rollback()
    assert (await oncall.metrics())["tocsin_oncall_incidents_without_next_action"] == 0
