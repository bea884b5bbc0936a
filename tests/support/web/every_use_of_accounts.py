"""Every use case of accounts, with the rights of their role."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Final

from argon2 import PasswordHasher
from psycopg2.extensions import make_dsn

from tests.support.kernel.quick_settings import quick_settings
from tests.support.waiting import PATIENT
from tests.support.web.authenticator import ORIGIN, Device
from tocsin.contracts.accounts import AccountIn, AccountKind, ChangeAccount, Role, TokenIn
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.audit import CALLER, Caller
from tocsin.kernel.db import Database
from tocsin.kernel.errors import ThrottledError, UnauthenticatedError
from tocsin.kernel.idempotent_request import IdempotentRequest
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import Keyset
from tocsin.kernel.principal import Principal, PrincipalKind
from tocsin.web.access.domain.openid import ExternalIdentity, Flow
from tocsin.web.access.domain.sessions import NewSession
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.access.queries import AccountsQuery, AuditQuery, SessionsQuery, TokensQuery
from tocsin.web.access.service import (
    Deps,
    accounts,
    audit,
    housekeeping,
    identification,
    links,
    login,
    oidc,
    passkey_login,
    passkeys,
    sessions,
    tokens,
)
from tocsin.web.access.service.passwords import Passwords
from tocsin.web.settings import Settings

PASSWORDS: Final = ("kelp-orbit-violet-17", "quartz-ferry-lemon-88")
FROM: Final = {"address": "192.0.2.7", "user_agent": "Firefox"}
ADMIN: Final = Principal(PrincipalKind.PERSON, "Ada", frozenset(), id=new_id())
REQUEST: Final = IdempotentRequest("k", "POST", "/api/v1/accounts", b"{}", scope="person/1")


class Provider(OpenIDProvider):
    """A provider that gets no request; the URL of a log-in is its state."""

    def __init__(self) -> None:
        """It has no settings and makes no request."""

    async def authorization_url(self, flow: Flow, *, select_account: bool) -> str:  # noqa: ARG002 - overrides
        """Return the state."""
        return flow.state


async def use_accounts(dsn: str) -> None:
    """Run every use case once.

    A session, a token, a link, a challenge, a count and an idempotency key remain, and one of each of what a log-in by
    the provider stores.
    """
    settings = quick_settings(make_dsn(dsn, options="-c role=tocsin_access"), **PATIENT)
    db = Database(settings.database_config(), schema="access")
    known = CALLER.set(Caller(ADMIN, FROM["address"], WEB_UI))
    try:
        await _use(
            Deps(db, Settings.model_validate({"login_failures_per_minute": 1, "public_url": ORIGIN})),
            PasswordHasher(1, 8, 1),
        )
    finally:
        CALLER.reset(known)
        await db.close()


async def _use(real: Deps, cheap: PasswordHasher) -> None:
    deps = Deps(real.db, real.settings, Passwords(cheap))
    setup = await links.create_setup_link(deps)
    ada = await links.redeem_setup_link(deps, setup.secret or "", "Ada", "ada@example.org", PASSWORDS[0], **FROM)
    created = await accounts.create_account(deps, AccountIn(name="Bob", email="bob@example.org"), request=REQUEST)
    assert created.account
    link = await links.create_link(deps, created.account.id)
    bob = await links.redeem_link(deps, link.secret or "", PASSWORDS[0], **FROM)
    page = Keyset(bob.expires_at, new_id()).encode()
    for query in (AccountsQuery(), AccountsQuery(q="b", kind=AccountKind.PERSON, role=Role.ADMIN, cursor=page)):
        await accounts.list_accounts(deps, query)
    bob = await _use_sessions(deps, bob, page)
    await _use_tokens(deps, bob, page)
    await _use_passkeys(deps, bob)
    await passkeys.remove_passkeys(deps, ada.account.id)
    change = ChangeAccount(role=Role.ADMIN, person_id=new_id())
    await accounts.change_account(deps, bob.account.id, change, version=None)
    await accounts.change_account(deps, ada.account.id, ChangeAccount(disabled=True), version=None)
    renewing = Deps(deps.db, deps.settings, Passwords(PasswordHasher(2, 8, 1)))
    await login.log_in(renewing, "bob@example.org", PASSWORDS[1], **FROM)
    for _ in range(2):
        with suppress(UnauthenticatedError, ThrottledError):
            await login.log_in(deps, "bob@example.org", "wrong", **FROM)
    await _use_provider(deps)
    await housekeeping.delete_expired(deps)
    await _use_audit(deps, page)


async def _use_audit(deps: Deps, page: str) -> None:
    [entry] = (await audit.list_entries(deps, AuditQuery(limit=1))).items
    await audit.store(deps, [entry.model_dump(mode="json")])
    until, since = entry.at, entry.at - timedelta(days=7)
    for query in (
        AuditQuery(since=since, until=until, cursor=page),
        AuditQuery(account_id=new_id()),
        AuditQuery(action="account.create", cursor=page),
        AuditQuery(kind="account", since=since),
        AuditQuery(object="no such thing"),
    ):
        await audit.list_entries(deps, query)
    await housekeeping.delete_old_entries(deps)


async def _use_provider(deps: Deps) -> None:
    deps = replace(deps, provider=Provider())
    person = ExternalIdentity("https://id.example", "bob", "bob@example.org", "Bob", frozenset())
    begun = [await oidc.begin(deps, return_to="/", browser="", address=FROM["address"]) for _ in range(2)]
    taken = await oidc.take(deps, state=begun[0].url, browser=begun[0].browser)
    session = await oidc.log_in(deps, person, taken, **FROM)
    identity = await identification.identify_session(deps, session.secret)
    assert identity
    await oidc.list_links(deps, identity.account_id)
    await oidc.unlink(deps, identity, person.issuer)
    await oidc.log_in(deps, person, taken, **FROM)


async def _use_sessions(deps: Deps, bob: NewSession, page: str) -> NewSession:
    deps.db.set_clock_offset(timedelta(minutes=2))
    identity = await identification.identify_session(deps, bob.secret)  # which records its use
    assert identity
    other = await login.log_in(deps, "bob@example.org", PASSWORDS[0], **FROM)
    for query in (SessionsQuery(), SessionsQuery(cursor=page)):
        await sessions.list_sessions(deps, identity, query)
    await sessions.end_session(deps, identity, other.id)
    await sessions.end_other_sessions(deps, identity)
    return await login.change_password(deps, identity, *PASSWORDS, address=FROM["address"])


async def _use_tokens(deps: Deps, bob: NewSession, page: str) -> None:
    identity = await identification.identify_session(deps, bob.secret)
    assert identity
    given = TokenIn(name="laptop", scopes=["read"], expires_in_days=30)
    kept, revoked = [await tokens.create_personal_token(deps, identity, given, request=None) for _ in range(2)]
    await identification.identify_token(deps, kept.token or "")
    for query in (TokensQuery(), TokensQuery(cursor=page)):
        await tokens.list_tokens(deps, identity.account_id, query)
    await tokens.revoke_token(deps, identity.account_id, revoked.id)


async def _use_passkeys(deps: Deps, bob: NewSession) -> None:
    identity = await identification.identify_session(deps, bob.secret)
    assert identity
    device = Device()
    for name, each in (("phone", Device()), ("key", device)):
        begun = await passkeys.begin_adding(deps, identity, PASSWORDS[1], address=FROM["address"])
        await passkeys.add_passkey(deps, identity, name, each.create(begun.options), secret=begun.secret)
    await passkey_login.begin_log_in(deps, address=FROM["address"])  # which is not finished
    challenge = await passkey_login.begin_log_in(deps, address=FROM["address"])
    await passkey_login.log_in(deps, device.get(challenge.options), secret=challenge.secret, **FROM)
    await passkeys.remove_passkey(deps, identity, (await passkeys.list_passkeys(deps, identity.account_id))[0].id)
