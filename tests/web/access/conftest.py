"""The accounts of the web service on a database of the test's own, with hashes that cost nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from aiohttp import web
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

from tests.fakes.openid_provider import CLIENT_ID, CLIENT_SECRET, FakeOpenIDProvider
from tests.support.kernel.quick_settings import quick_settings
from tests.support.postgres import run
from tests.support.waiting import PATIENT
from tocsin.contracts.accounts import Account, AccountIn, AccountKind, Role
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.db import Database
from tocsin.kernel.shared_time import SharedTime
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.access.service import Deps, accounts, identification, links, login
from tocsin.web.access.service.passwords import Passwords
from tocsin.web.settings import Settings

PASSWORD = "kelp-orbit-violet-17"  # noqa: S105 - that of every account here
FROM = {"address": "192.0.2.7", "user_agent": "Firefox on a phone"}
Arm: TypeAlias = Callable[[str], None]
Connect: TypeAlias = Callable[..., Awaitable[OpenIDProvider]]


@dataclass
class CountingHasher:
    """An Argon2 hasher that does little work, and counts it."""

    hasher: PasswordHasher
    hashed: int = 0
    verified: int = 0

    def hash(self, password: bytes, /) -> str:
        self.hashed += 1
        return self.hasher.hash(password)

    def verify(self, encoded: str, password: bytes, /) -> bool:
        self.verified += 1
        return self.hasher.verify(encoded, password)

    def check_needs_rehash(self, encoded: str, /) -> bool:
        return self.hasher.check_needs_rehash(encoded)


@dataclass
class Access:
    """One replica: its dependencies, and shortcuts to use them."""

    deps: Deps
    dsn: str
    hasher: CountingHasher

    async def first_admin(self, email: str = "ada@example.org") -> NewSession:
        link = await links.create_setup_link(self.deps)
        assert link.secret
        return await links.redeem_setup_link(self.deps, link.secret, "Ada", email, PASSWORD, **FROM)

    async def person(self, name: str = "Bob", role: Role = Role.RESPONDER, **given: Any) -> NewSession:
        """Invite a person, who chooses the password."""
        invited = AccountIn(name=name, email=f"{name.lower()}@example.org", role=role, **given)
        link = await accounts.create_account(self.deps, invited, request=None)
        assert link.secret
        return await links.redeem_link(self.deps, link.secret, PASSWORD, **FROM)

    async def program(self, role: Role = Role.SENDER) -> Account:
        given = AccountIn(kind=AccountKind.SERVICE, name="pipeline", role=role)
        created = (await accounts.create_account(self.deps, given, request=None)).account
        assert created
        return created

    async def log_in(self, email: str, password: str = PASSWORD, *, address: str = FROM["address"]) -> NewSession:
        return await login.log_in(self.deps, email, password, address=address, user_agent=FROM["user_agent"])

    async def identity(self, session: NewSession) -> Identity:
        found = await identification.identify_session(self.deps, session.secret)
        assert found
        return found

    async def is_valid(self, session: NewSession) -> bool:
        return await identification.identify_session(self.deps, session.secret) is not None

    def after(self, **time: float) -> None:
        """Let time pass, for the database."""
        self.deps.db.set_clock_offset(self.deps.db.clock_offset + timedelta(**time))

    def rows(self, sql: str, **params: Any) -> list[dict[str, Any]]:
        return run(self.dsn, sql, params)


OpenAccess: TypeAlias = Callable[..., Access]


@pytest_asyncio.fixture(loop_scope="session")
async def open_access(db_dsn: str) -> AsyncIterator[OpenAccess]:
    """Open replicas on the same database, with the given settings."""
    async with AsyncExitStack() as stack:

        def open_one(*, dsn: str = db_dsn, hasher: PasswordHasher | None = None, **given: Any) -> Access:
            db = Database(quick_settings(dsn, **{**PATIENT, "db_pool_size": 12}).database_config(), schema="access")
            stack.push_async_callback(db.close)
            counting = CountingHasher(hasher or PasswordHasher(1, 8, 1))
            return Access(Deps(db, Settings.model_validate(given), Passwords(counting)), db_dsn, counting)

        yield open_one


@pytest.fixture
def access(open_access: OpenAccess) -> Access:
    return open_access()


@pytest.fixture
def arm(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """Arm a failpoint for one failure."""
    return lambda point: monkeypatch.setenv("FAILPOINT", point)


@pytest_asyncio.fixture(loop_scope="session")
async def fake() -> AsyncIterator[FakeOpenIDProvider]:
    async with FakeOpenIDProvider(redirect_uri="https://tocsin.example/login/oidc/callback").serving() as serving:
        yield serving


@pytest.fixture
def shared_time() -> SharedTime:
    return SharedTime()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest_asyncio.fixture(loop_scope="session")
async def connect(
    fake: FakeOpenIDProvider, shared_time: SharedTime, registry: CollectorRegistry
) -> AsyncIterator[Connect]:
    """Connect to the fake provider, with the given settings."""
    opened = []
    metrics = ClientMetrics.register(registry)

    async def connected(**given: Any) -> OpenIDProvider:
        settings = {
            "access": "closed",
            "public_url": "https://tocsin.example",
            "oidc_issuer": fake.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
        }
        provider = OpenIDProvider(Settings.model_validate(settings | given), shared_time, metrics)
        opened.append(provider.context(web.Application()))
        await anext(opened[-1])
        return provider

    yield connected
    for context in opened:
        assert await anext(context, "closed") == "closed"


@pytest_asyncio.fixture(loop_scope="session")
async def provider(connect: Connect) -> OpenIDProvider:
    return await connect()
