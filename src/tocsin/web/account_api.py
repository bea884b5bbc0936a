"""The API of accounts, sessions and tokens, in closed mode."""

from http import HTTPStatus

from aiohttp import web

from tocsin.contracts.accounts import (
    Account,
    AccountIn,
    ChangeAccount,
    CreatedToken,
    InvitedAccount,
    LogIn,
    OwnAccount,
    Passkey,
    SetupLink,
    Token,
    TokenIn,
)
from tocsin.contracts.introspection import Introspect, Introspection
from tocsin.contracts.model import Page
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.authentication import TOKENS
from tocsin.kernel.openapi import describes
from tocsin.kernel.requests import idempotent_request, if_match, parse_body, parse_query, path_uuid
from tocsin.kernel.responses import respond
from tocsin.web.access.domain.links import NewLink
from tocsin.web.access.queries import AccountsQuery, TokensQuery
from tocsin.web.access.service import DEPS, accounts, links, login, passkeys, tokens
from tocsin.web.authentication import identity_of
from tocsin.web.ui.account_links import address_of
from tocsin.web.ui.session_cookie import client_of

KEY = ("Idempotency-Key",)
NO_STORE = {"Cache-Control": "no-store"}


@describes(
    {HTTPStatus.CREATED: CreatedToken},
    body=LogIn,
    problems=(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS),
)
async def post_login(request: web.Request) -> web.Response:
    """Create a token of the account with an e-mail address and a password."""
    given = await parse_body(request, LogIn)
    deps = request.app[DEPS]
    session = await login.log_in(deps, given.email, given.password, **client_of(request))
    created = await tokens.exchange_session(deps, session, TokenIn(name=given.token))
    return respond(created, status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(OwnAccount)
async def get_own_account(request: web.Request) -> web.Response:
    """Return the account of the caller, and what this caller may do with it."""
    account = await accounts.get_account(request.app[DEPS], identity_of(request).account_id)
    return respond(OwnAccount(**account.model_dump(), scopes=sorted(request[PRINCIPAL].scopes)))


@describes(Page[Account], query=AccountsQuery)
async def list_accounts(request: web.Request) -> web.Response:
    """List the accounts, newest first."""
    return respond(await accounts.list_accounts(request.app[DEPS], parse_query(request, AccountsQuery)))


@describes({HTTPStatus.CREATED: InvitedAccount}, body=AccountIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_account(request: web.Request) -> web.Response:
    """Add an account: of a person, with a link to choose a password, or of a program, which gets tokens.

    409 if another account has the e-mail address or belongs to the same person.
    """
    given = await parse_body(request, AccountIn)
    added = await accounts.create_account(request.app[DEPS], given, request=await idempotent_request(request))
    return respond(invited(request.app, added), status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(Account, problems=(HTTPStatus.NOT_FOUND,))
async def get_account(request: web.Request) -> web.Response:
    """Return an account."""
    return respond(await accounts.get_account(request.app[DEPS], path_uuid(request, "account_id")))


@describes(
    Account,
    body=ChangeAccount,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
    headers=("If-Match",),
)
async def patch_account(request: web.Request) -> web.Response:
    """Change an account. A new role ends its sessions, and disabling makes it unusable at once.

    409 if no admin would be left who can log in. With `If-Match`, 412 unless it names the current `version`.
    """
    account_id, version = path_uuid(request, "account_id"), if_match(request)
    change = await parse_body(request, ChangeAccount)
    return respond(await accounts.change_account(request.app[DEPS], account_id, change, version=version))


@describes(InvitedAccount, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def post_account_link(request: web.Request) -> web.Response:
    """Create a new link with which the account's person chooses a password; the one before stops working."""
    link = await links.create_link(request.app[DEPS], path_uuid(request, "account_id"))
    return respond(invited(request.app, link), headers=NO_STORE)


@describes(Page[Token], query=TokensQuery)
async def list_own_tokens(request: web.Request) -> web.Response:
    """List the tokens of the caller's account, newest first."""
    query = parse_query(request, TokensQuery)
    return respond(await tokens.list_tokens(request.app[DEPS], identity_of(request).account_id, query))


@describes({HTTPStatus.CREATED: CreatedToken}, body=TokenIn, headers=KEY)
async def post_own_token(request: web.Request) -> web.Response:
    """Create a token of the caller's account; the response alone has its secret.

    This requires a session: with a token, it could be a way to more scopes than that has.
    """
    given = await parse_body(request, TokenIn)
    retry = await idempotent_request(request)
    created = await tokens.create_personal_token(request.app[DEPS], identity_of(request), given, request=retry)
    return respond(created, status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(Token, problems=(HTTPStatus.NOT_FOUND,))
async def delete_own_token(request: web.Request) -> web.Response:
    """Revoke a token of the caller's account: within 30 seconds it is valid nowhere."""
    token_id = path_uuid(request, "token_id")
    return respond(await tokens.revoke_token(request.app[DEPS], identity_of(request).account_id, token_id))


@describes(Page[Passkey])
async def list_own_passkeys(request: web.Request) -> web.Response:
    """List the passkeys of the caller's account, newest first: all of them, on one page."""
    found = await passkeys.list_passkeys(request.app[DEPS], identity_of(request).account_id)
    return respond(Page[Passkey](items=found, next_cursor=None))


@describes(Passkey, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_own_passkey(request: web.Request) -> web.Response:
    """Remove a passkey of the caller's account; this requires a session. 409 if it is the only way to log in."""
    passkey_id = path_uuid(request, "passkey_id")
    return respond(await passkeys.remove_passkey(request.app[DEPS], identity_of(request), passkey_id))


@describes(Account, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
async def delete_passkeys(request: web.Request) -> web.Response:
    """Remove every passkey of an account and end its sessions, as after a loss. 409 if no admin could log in."""
    return respond(await passkeys.remove_passkeys(request.app[DEPS], path_uuid(request, "account_id")))


@describes(Page[Token], query=TokensQuery, problems=(HTTPStatus.NOT_FOUND,))
async def list_tokens(request: web.Request) -> web.Response:
    """List the tokens of an account, newest first."""
    query = parse_query(request, TokensQuery)
    return respond(await tokens.list_tokens(request.app[DEPS], path_uuid(request, "account_id"), query))


@describes(
    {HTTPStatus.CREATED: CreatedToken},
    body=TokenIn,
    problems=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    headers=KEY,
)
async def post_token(request: web.Request) -> web.Response:
    """Create a token of a program's account; the response alone has its secret. 409 if the account is a person's."""
    account_id, given = path_uuid(request, "account_id"), await parse_body(request, TokenIn)
    retry = await idempotent_request(request)
    created = await tokens.create_service_token(request.app[DEPS], account_id, given, request=retry)
    return respond(created, status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(Token, problems=(HTTPStatus.NOT_FOUND,))
async def delete_token(request: web.Request) -> web.Response:
    """Revoke a token of an account: within 30 seconds it is valid nowhere."""
    account_id, token_id = path_uuid(request, "account_id"), path_uuid(request, "token_id")
    return respond(await tokens.revoke_token(request.app[DEPS], account_id, token_id))


@describes(Introspection, body=Introspect, internal=True)
async def post_introspection(request: web.Request) -> web.Response:
    """Return whose token a service has been sent."""
    given = await parse_body(request, Introspect)
    found = await request.app[TOKENS].identify(given.token)
    if found is None:
        return respond(Introspection(active=False), headers=NO_STORE)
    body = Introspection.model_validate({"active": True, **found.claims()})
    return respond(body, headers=NO_STORE)


@describes(SetupLink, problems=(HTTPStatus.CONFLICT,), internal=True)
async def post_setup_link(request: web.Request) -> web.Response:
    """Create the link with which the account of the first admin is created; the one before stops working."""
    link = await links.create_setup_link(request.app[DEPS])
    body = SetupLink.model_validate({"url": address_of(request.app, link), "expires_at": link.expires_at})
    return respond(body, headers=NO_STORE)


def invited(app: web.Application, link: NewLink) -> InvitedAccount:
    """Return an account with its link."""
    assert link.account is not None  # noqa: S101 - only the link of the first admin has no account
    return InvitedAccount(
        **link.account.model_dump(), link=address_of(app, link) or None, link_expires_at=link.expires_at, note=link.note
    )
