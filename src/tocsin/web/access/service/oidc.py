"""Log in by the company's OpenID provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn
from uuid import UUID

import structlog
from pydantic import ValidationError

from tocsin.contracts.accounts import Account, AccountIn, Role
from tocsin.contracts.audit import AuditAction
from tocsin.kernel.client_network import network_of
from tocsin.kernel.db import Cursor, autocommit, transaction
from tocsin.kernel.errors import ConflictError, ForbiddenError, NotFoundError
from tocsin.kernel.failpoints import Failpoint
from tocsin.kernel.ids import new_id
from tocsin.web.access.domain.bearer_secrets import digest_of_given
from tocsin.web.access.domain.identity import Identity
from tocsin.web.access.domain.openid import (
    NO_ACCOUNT,
    NO_ROLE,
    NOT_BEGUN,
    NOT_CONFIRMED,
    ExternalIdentity,
    Flow,
    LogInRefusedError,
    ProviderLink,
    has_domain,
    new_flow,
    strongest_role,
)
from tocsin.web.access.domain.sessions import LogInMethod, NewSession
from tocsin.web.access.provider.openid import OpenIDProvider
from tocsin.web.access.repository import accounts, external_identities, sessions, throttle
from tocsin.web.access.repository.external_identities import TakenFlow
from tocsin.web.access.service import Deps, audit
from tocsin.web.access.service.accounts import require_an_admin
from tocsin.web.access.service.login import count_attempt
from tocsin.web.access.service.sessions import begin_session
from tocsin.web.settings import roles_of_groups

log = structlog.get_logger(__name__)
BEGIN: Final = Failpoint("access.begin_oidc")
LOG_IN: Final = Failpoint("access.log_in_oidc")
UNLINK: Final = Failpoint("access.unlink_oidc")
NOT_CONFIGURED: Final = "No OpenID provider is configured here. Log in with a password."


@dataclass(frozen=True, slots=True)
class Begun:
    """A log-in that goes on at the provider."""

    url: str = field(repr=False)
    browser: str = field(repr=False)
    """The secret that the browser keeps until it comes back."""


async def begin(deps: Deps, *, return_to: str, browser: str, address: str, select_account: bool = False) -> Begun:
    """Begin a log-in. *browser* is the secret that the browser has from an earlier one; empty without one.

    Each is counted until it is completed, so that nobody fills the table or burdens the provider. Raise NotFoundError
    without a provider; ThrottledError after too many; ProviderError if it is unavailable.
    """
    provider = _provider_of(deps)
    flow = new_flow(browser)
    async with BEGIN(), transaction(deps.db) as cur:
        limit = deps.settings.address_failures_per_minute
        count = await count_attempt(cur, "oidc", network_of(address), limit=limit)
        await external_identities.insert_flow(cur, flow, return_to=return_to, count=count)
    return Begun(await provider.authorization_url(flow, select_account=select_account), flow.browser)


async def take(deps: Deps, *, state: str, browser: str) -> TakenFlow:
    """Return the log-in that comes back from the provider, once. Raise NotFoundError; LogInRefusedError."""
    _provider_of(deps)
    taken = None
    if digest_of_given(state) and digest_of_given(browser):
        async with autocommit(deps.db) as cur:
            taken = await external_identities.take_flow(cur, Flow(browser, state))
    if taken is None:
        raise LogInRefusedError(NOT_BEGUN)
    return taken


async def complete(
    deps: Deps, taken: TakenFlow, response: Mapping[str, str], *, address: str, user_agent: str
) -> NewSession:
    """Begin a session of the person that the provider's *response* is about.

    Raise ProviderError if the provider is unavailable or its response is wrong; LogInRefusedError if it refuses, or if
    no account can be used.
    """
    identity = await _provider_of(deps).identify(taken.flow, response)
    return await log_in(deps, identity, taken, address=address, user_agent=user_agent)


async def log_in(
    deps: Deps, identity: ExternalIdentity, taken: TakenFlow, *, address: str, user_agent: str
) -> NewSession:
    """Begin a session of the account of a person of the provider: the linked one, or one by the e-mail address.

    Raise LogInRefusedError.
    """
    roles = roles_of_groups(deps.settings.oidc_roles)
    role = strongest_role(identity.groups, roles)
    if roles and role is None:
        _refuse("no group with a role", NO_ROLE)
    async with LOG_IN(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await _linked_account(cur, identity) or await _created_account(cur, deps, identity, role)
        if role is not None and role is not account.role:
            await _set_role(cur, account, role)
        session = await begin_session(
            cur, deps, account.id, method=LogInMethod.OIDC, address=address, user_agent=user_agent
        )
        await throttle.give_back(cur, [taken.count])
    deps.seen.forget_account(account.id)
    return session


async def list_links(deps: Deps, account_id: UUID) -> list[ProviderLink]:
    """Return the providers by which an account can log in, also those of earlier settings."""
    async with autocommit(deps.db) as cur:
        return await external_identities.list_links(cur, account_id)


async def unlink(deps: Deps, identity: Identity, issuer: str) -> None:
    """Unlink one's account from a provider.

    Raise ForbiddenError without a session; ConflictError if the account has neither a password nor a passkey, with
    which its person could log in afterwards; NotFoundError if it is not linked.
    """
    if identity.session_id is None:
        msg = "Log in to unlink the account: a token cannot."
        raise ForbiddenError(msg)
    async with UNLINK(), transaction(deps.db) as cur:
        await accounts.lock_accounts(cur)
        account = await accounts.get_account(cur, identity.account_id)
        if not account.has_log_in:
            msg = "Not unlinked: without a password or a passkey, you could not log in. Ask an admin for a link."
            raise ConflictError(msg)
        if not await external_identities.delete_link(cur, account.id, issuer=issuer):
            msg = "This account is not linked to this provider. It may have been unlinked already."
            raise NotFoundError(msg)
        await audit.record(cur, AuditAction.PROVIDER_UNLINK, audit.about(account), before={"issuer": issuer})
    log.info("account unlinked", account_id=str(account.id), issuer=issuer)


def _provider_of(deps: Deps) -> OpenIDProvider:
    if deps.provider is None:
        raise NotFoundError(NOT_CONFIGURED)
    return deps.provider


async def _linked_account(cur: Cursor, identity: ExternalIdentity) -> Account | None:
    """Return the account that is linked to the person, or is now because it has their e-mail address.

    None if there is none. Raise LogInRefusedError if it cannot be used.
    """
    account_id = await external_identities.find_account_id(cur, issuer=identity.issuer, subject=identity.subject)
    if account_id is not None:
        account = await accounts.get_account(cur, account_id)
        if account.disabled_at is not None:
            _refuse("the account is disabled", NO_ACCOUNT, account)
        return account
    if identity.email is None:
        _refuse("no confirmed e-mail address", NOT_CONFIRMED)
    found = await accounts.find_account(cur, email=identity.email)
    if found is not None:
        if found.disabled_at is not None:
            _refuse("the account is disabled", NO_ACCOUNT, found)
        await _link(cur, found, identity)
    return found


async def _created_account(cur: Cursor, deps: Deps, identity: ExternalIdentity, role: Role | None) -> Account:
    """Create the account of a person who has none, if the settings allow it. Raise LogInRefusedError."""
    domains = [domain for domain in deps.settings.oidc_create_accounts_from.split(",") if domain]
    if identity.email is None or not has_domain(identity.email, domains):
        _refuse("no account has the e-mail address", NO_ACCOUNT)
    account_id = new_id()
    name = identity.name or identity.email.partition("@")[0]
    try:
        given = AccountIn(name=name, email=identity.email, role=role or Role.VIEWER)
    except ValidationError:
        _refuse("no account can have this name", NO_ACCOUNT)
    await accounts.insert_account(cur, account_id, given)
    account = await accounts.get_account(cur, account_id)
    by, after = audit.principal_of(account), audit.fields_of(account)
    await audit.record(cur, AuditAction.ACCOUNT_CREATE, audit.about(account), after=after, by=by)
    log.info("account created", account_id=str(account_id), kind=account.kind, role=account.role)
    await _link(cur, account, identity)
    return account


async def _link(cur: Cursor, account: Account, identity: ExternalIdentity) -> None:
    linked = await external_identities.insert_link(
        cur, issuer=identity.issuer, subject=identity.subject, account_id=account.id
    )
    if not linked:
        _refuse("the account is linked to another person of the provider", NO_ACCOUNT, account)
    by, after = audit.principal_of(account), {"issuer": identity.issuer, "subject": identity.subject}
    await audit.record(cur, AuditAction.PROVIDER_LINK, audit.about(account), after=after, by=by)
    log.info("account linked", account_id=str(account.id), issuer=identity.issuer, subject=identity.subject)


async def _set_role(cur: Cursor, account: Account, role: Role) -> None:
    """Set the role that the groups give, which ends the sessions; the last admin who can log in stays one."""
    wanted = account.model_copy(update={"role": role})
    try:
        await require_an_admin(cur, account, wanted, disabled=False)
    except ConflictError:
        log.warning("role kept: the last admin", account_id=str(account.id), role=role)
        return
    await accounts.update_account(cur, wanted, disabled=False)
    await sessions.delete_sessions(cur, account.id)
    await audit.record(
        cur,
        AuditAction.ACCOUNT_CHANGE,
        audit.about(account),
        before=audit.fields_of(account),
        after=audit.fields_of(wanted),
        by=audit.principal_of(account),
    )
    log.info("account changed", account_id=str(account.id), role=role, disabled=False)


def _refuse(reason: str, message: str, account: Account | None = None) -> NoReturn:
    audit.refuse_log_in(audit.about(account) if account else None, reason)
    log.info("log-in refused", reason=reason, account_id=str(account.id) if account else None)
    raise LogInRefusedError(message)
