"""What has expired is deleted, in batches."""

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from tests.support.waiting import eventually
from tests.support.web.authenticator import ORIGIN
from tests.web.access.conftest import Access, OpenAccess
from tests.web.access.test_oidc import begin, with_provider
from tocsin.contracts.accounts import TokenIn
from tocsin.kernel.errors import UnauthenticatedError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.workers import WORKER_METRICS, WorkerMetrics
from tocsin.web.access import worker
from tocsin.web.access.repository import housekeeping as statements
from tocsin.web.access.service import DEPS, housekeeping, links, passkey_login, tokens

TABLES = ("session", "token", "link", "challenge", "throttle", "oidc_flow", "idempotency")


@pytest.fixture
def access(open_access: OpenAccess) -> Access:
    return open_access(public_url=ORIGIN)


def counts(access: Access) -> dict[str, int]:
    return {table: access.rows(f"SELECT count(*) FROM access.{table}")[0]["count"] for table in TABLES}


async def fill(access: Access) -> None:
    """Put a row into each table that expires within 90 days, and a token that does not."""
    bob = await access.identity(await access.person("Bob"))
    request = IdempotentRequest("k", "POST", "/", b"", scope="person/1")
    for days in (90, None):
        given = TokenIn(name="laptop", expires_in_days=days)
        await tokens.create_personal_token(access.deps, bob, given, request=request if days else None)
    await links.create_link(access.deps, bob.account_id)
    with pytest.raises(UnauthenticatedError):
        await access.log_in("bob@example.org", "wrong")
    await begin(with_provider(access))
    await passkey_login.begin_log_in(access.deps, address="192.0.2.7")


async def test_only_what_has_expired_is_deleted(access: Access) -> None:
    await fill(access)
    before = {
        "session": 1,
        "token": 2,
        "link": 1,
        "challenge": 1,
        "throttle": 4,
        "oidc_flow": 1,
        "idempotency": 1,
    }
    assert counts(access) == before
    await housekeeping.delete_expired(access.deps)
    assert counts(access) == before
    access.after(days=91)
    await housekeeping.delete_expired(access.deps)
    assert counts(access) == {name: int(name == "token") for name in TABLES}
    assert not await housekeeping.delete_expired(access.deps)


async def test_a_batch_is_bounded_and_tells_that_there_is_more(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    await access.person("Bob")
    access.rows(
        "INSERT INTO access.throttle SELECT 'account ' || n, 1, tocsin.now() - n * interval '1 s'"
        " FROM generate_series(1, 25) AS n"
    )
    monkeypatch.setattr(statements, "BATCH", 10)
    more = [await housekeeping.delete_expired(access.deps) for _ in range(3)]
    assert more == [True, True, False]
    assert counts(access)["throttle"] == 0


async def test_the_worker_deletes_while_the_application_runs(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(access)
    access.after(days=91)
    monkeypatch.setattr(worker, "SWEEP_SECONDS", 0.05)
    app = web.Application()
    app[DEPS] = access.deps
    app[WORKER_METRICS] = WorkerMetrics.register(CollectorRegistry())
    app.cleanup_ctx.extend(worker.workers(app))
    runner = web.AppRunner(app)
    await runner.setup()
    await eventually(lambda: sum(counts(access).values()) == 1)
    await runner.cleanup()
