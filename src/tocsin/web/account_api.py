"""The API of accounts, sessions and tokens, in closed mode."""

from http import HTTPStatus
from uuid import UUID

from aiohttp import web

from tocsin.contracts.accounts import (
    Account,
    AccountIn,
    ChangeAccount,
    CreatedToken,
    InvitedAccount,
    LogIn,
    OwnAccount,
    SetupLink,
    Token,
    TokenIn,
)
from tocsin.contracts.introspection import Introspect, Introspection
from tocsin.contracts.model import Page
from tocsin.kernel.auth import PRINCIPAL
from tocsin.kernel.errors import NotFoundError
from tocsin.kernel.openapi import describes
from tocsin.kernel.pagination import ListQuery
from tocsin.kernel.requests import idempotent_request, if_match, parse_body, parse_query, path_uuid
from tocsin.kernel.responses import respond
from tocsin.web.access.service import DEPS, accounts, links, log_in, tokens
from tocsin.web.authentication import IDENTITIES

KEY = ("Idempotency-Key",)
NO_STORE = {"Cache-Control": "no-store"}


@describes(
    {HTTPStatus.CREATED: CreatedToken}, body=LogIn, problems=(HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
)
async def post_login(request: web.Request) -> web.Response:
    """Create a token of the account with an e-mail address and a password."""
    given = await parse_body(request, LogIn)
    deps = request.app[DEPS]
    account_id = await log_in.prove_password(deps, given.email, given.password, address=request.remote or "")
    created = await tokens.create_token(deps, account_id, TokenIn(name=given.token))
    return respond(created, status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(OwnAccount)
async def get_own_account(request: web.Request) -> web.Response:
    """Return the account of the caller, and what this caller may do with it."""
    account = await accounts.get_account(request.app[DEPS], own_id(request))
    return respond(OwnAccount(**account.model_dump(), scopes=sorted(request[PRINCIPAL].scopes)))


@describes(Page[Account], query=ListQuery)
async def list_accounts(request: web.Request) -> web.Response:
    """List the accounts, newest first."""
    return respond(await accounts.list_accounts(request.app[DEPS], parse_query(request, ListQuery)))


@describes({HTTPStatus.CREATED: InvitedAccount}, body=AccountIn, problems=(HTTPStatus.CONFLICT,), headers=KEY)
async def post_account(request: web.Request) -> web.Response:
    """Add an account: of a person, with a link to choose a password, or of a program, which gets tokens.

    409 if another account has the e-mail address or belongs to the same person.
    """
    given = await parse_body(request, AccountIn)
    added = await accounts.add_account(request.app[DEPS], given, request=await idempotent_request(request))
    return respond(added, status=HTTPStatus.CREATED, headers=NO_STORE)


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
    invited = await accounts.invite_again(request.app[DEPS], path_uuid(request, "account_id"))
    return respond(invited, headers=NO_STORE)


@describes(Page[Token], query=ListQuery, problems=(HTTPStatus.NOT_FOUND,))
async def list_tokens(request: web.Request) -> web.Response:
    """List the tokens of an account, newest first."""
    return respond(await tokens.list_tokens(request.app[DEPS], _owner(request), parse_query(request, ListQuery)))


@describes({HTTPStatus.CREATED: CreatedToken}, body=TokenIn, problems=(HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN))
async def post_token(request: web.Request) -> web.Response:
    """Create a token of an account; the response alone has its secret.

    It may do at most what the account may, and at most what the caller may.
    """
    given = await parse_body(request, TokenIn)
    creator = request[PRINCIPAL].scopes
    created = await tokens.create_token(request.app[DEPS], _owner(request), given, creator=creator)
    return respond(created, status=HTTPStatus.CREATED, headers=NO_STORE)


@describes(Token, problems=(HTTPStatus.NOT_FOUND,))
async def delete_token(request: web.Request) -> web.Response:
    """Revoke a token: within 30 seconds it is valid nowhere."""
    token_id = path_uuid(request, "token_id")
    return respond(await tokens.revoke_token(request.app[DEPS], _owner(request), token_id))


@describes(Introspection, body=Introspect, internal=True)
async def post_introspection(request: web.Request) -> web.Response:
    """Return whose token a service has been sent."""
    given = await parse_body(request, Introspect)
    found = await request.app[IDENTITIES].identify(given.token)
    if found is None:
        return respond(Introspection(active=False), headers=NO_STORE)
    body = Introspection(active=True, kind=found.kind, name=found.name, id=found.id, scopes=sorted(found.scopes))
    return respond(body, headers=NO_STORE)


@describes(SetupLink, problems=(HTTPStatus.CONFLICT,), internal=True)
async def post_setup_link(request: web.Request) -> web.Response:
    """Create the link with which the account of the first admin is created; the one before stops working."""
    return respond(await links.create_setup_link(request.app[DEPS]), headers=NO_STORE)


def own_id(request: web.Request) -> UUID:
    """Return the account of the caller. Raise NotFoundError for one of our services, which has none."""
    account_id = request[PRINCIPAL].id
    if account_id is None:
        msg = "The caller has no account."
        raise NotFoundError(msg)
    return account_id


def _owner(request: web.Request) -> UUID:
    """Return the account that the path names, else that of the caller."""
    return path_uuid(request, "account_id") if "account_id" in request.match_info else own_id(request)
