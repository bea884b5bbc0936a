"""A repeated request has no second effect."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.kernel.conftest import OpenDatabase
from tests.support.postgres import run
from tests.support.waiting import eventually
from tocsin.kernel import idempotency
from tocsin.kernel.db import DB, Database, transaction
from tocsin.kernel.errors import InvalidRequestError
from tocsin.kernel.idempotency import delete_expired, delete_expired_keys, replay
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics

FIRST = IdempotentRequest("k", "POST", "/x", b"{}", scope="open")


@pytest.fixture
def db(db_dsn: str, open_database: OpenDatabase) -> Database:
    return open_database(db_dsn, schema="incidents")


async def ask(db: Database, resource: UUID, request: IdempotentRequest | None = FIRST, **changes: Any) -> UUID | None:
    async with transaction(db) as cur:
        return await replay(cur, request and replace(request, **changes), resource)


async def test_a_repeat_gets_the_resource_of_the_first_request(db: Database) -> None:
    first = new_id()
    assert await ask(db, first) is None
    assert await ask(db, new_id()) == first
    assert await ask(db, new_id(), key="another") is None


async def test_two_scopes_may_use_the_same_key(db: Database) -> None:
    first, other = new_id(), new_id()
    assert await ask(db, first, scope="integration/1") is None
    assert await ask(db, other, scope="integration/2", body=b"{ }") is None
    assert await ask(db, new_id(), scope="integration/1") == first


async def test_a_request_without_a_key_is_never_a_repeat(db: Database) -> None:
    assert await ask(db, new_id(), None) is None
    assert await ask(db, new_id(), None) is None


@pytest.mark.parametrize("other", [{"method": "PATCH"}, {"path": "/y"}, {"body": b"{ }"}])
async def test_a_key_used_for_something_else_is_refused(db: Database, other: dict[str, Any]) -> None:
    await ask(db, new_id())
    with pytest.raises(InvalidRequestError) as caught:
        await ask(db, new_id(), **other)
    assert caught.value.errors[0]["pointer"] == "Idempotency-Key"


def test_method_path_and_body_are_hashed_separately() -> None:
    first, second, third = (
        IdempotentRequest("k", *parts, scope="open").digest()
        for parts in (("POST", "/x", b"y"), ("POST", "/xy", b""), ("POST/x", "y", b""))
    )
    assert first != second != third


async def test_of_many_concurrent_requests_exactly_one_is_the_first(db_dsn: str, open_database: OpenDatabase) -> None:
    db = open_database(db_dsn, schema="incidents", db_lock_timeout_seconds=10, db_statement_timeout_seconds=10)
    resources = [new_id() for _ in range(12)]
    answers = await asyncio.gather(*(ask(db, resource) for resource in resources))
    (winner,) = [resource for resource, answer in zip(resources, answers, strict=True) if answer is None]
    assert {answer for answer in answers if answer is not None} == {winner}


async def test_a_first_request_that_rolls_back_leaves_the_key_to_the_next(db: Database) -> None:
    async def roll_back() -> None:
        async with transaction(db) as cur:
            await replay(cur, FIRST, new_id())
            raise LookupError

    with pytest.raises(LookupError):
        await roll_back()
    assert await ask(db, new_id()) is None


async def test_a_key_is_free_again_after_a_day(db: Database, db_dsn: str) -> None:
    first = new_id()
    await ask(db, first)
    run(db_dsn, "UPDATE incidents.idempotency SET created_at = now() - interval '23 hours 59 minutes'")
    assert await ask(db, new_id()) == first
    run(db_dsn, "UPDATE incidents.idempotency SET created_at = now() - interval '24 hours 1 minute'")
    second = new_id()
    assert await ask(db, second, path="/other") is None
    assert await ask(db, new_id(), path="/other") == second


async def test_an_expired_key_that_a_request_uses_again_is_not_deleted(db: Database, db_dsn: str) -> None:
    await ask(db, new_id())
    run(db_dsn, "UPDATE incidents.idempotency SET created_at = now() - interval '25 hours'")
    again = new_id()
    async with transaction(db) as cur:
        assert await replay(cur, FIRST, again) is None
        assert not await delete_expired(db)
    assert await ask(db, new_id()) == again


async def test_old_keys_are_deleted(db: Database, db_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "SWEEP_SECONDS", 0.05)
    run(
        db_dsn,
        "INSERT INTO incidents.idempotency SELECT 'open', n::text, '', gen_random_uuid(),"
        "   now() - CASE WHEN n > 1 THEN interval '25 hours' ELSE interval '23 hours' END"
        " FROM generate_series(1, 1500) AS n",
    )
    app = web.Application()
    app[DB] = db
    app[WORKER_METRICS] = WorkerMetrics.register(CollectorRegistry())
    app.cleanup_ctx.append(delete_expired_keys())
    runner = web.AppRunner(app)
    await runner.setup()
    await eventually(lambda: [row["key"] for row in run(db_dsn, "SELECT key FROM incidents.idempotency")] == ["1"])
    await runner.cleanup()
