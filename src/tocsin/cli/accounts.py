"""`tocsin login`, `accounts`, `tokens` and `setup-link`: who may use a Tocsin that requires log-ins."""

import os
import sys
from typing import Annotated, Final
from uuid import UUID

import typer
from pydantic import ValidationError

from tocsin.cli import credentials
from tocsin.cli.console import OUT, PROGRAM, CommandError, local_time, print_json, print_table, table
from tocsin.cli.database import DataOption
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, call, check_url, usage_error
from tocsin.contracts.accounts import (
    Account,
    AccountIn,
    AccountKind,
    ChangeAccount,
    CreatedToken,
    InvitedAccount,
    LogIn,
    Role,
    Token,
    TokenIn,
)
from tocsin.contracts.model import Page
from tocsin.kernel.ids import new_id
from tocsin.kernel.pagination import MAX_LIMIT

accounts = typer.Typer(no_args_is_help=True, help="List, add and change accounts, as an admin.")
tokens = typer.Typer(no_args_is_help=True, help="List, create and revoke the tokens of an account.")
LOGIN_NAME: Final = "Command line"
"""The name of the token that `tocsin login` creates."""
AccountArgument = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's e-mail address, name or id.")]
OwnerOption = Annotated[
    str | None,
    typer.Option("--account", metavar="ACCOUNT", help="Another account, as an admin.", show_default="your own"),
]
ScopeOption = Annotated[
    list[str] | None,
    typer.Option(help="What it may do; can be repeated.", show_default="all that the account may"),
]
DaysOption = Annotated[int | None, typer.Option(min=1, max=3650, help="Days until it expires.", show_default="never")]


def login(*, url: URLOption = DEFAULT_URL) -> None:
    """Get a token by e-mail address and password, or keep a token from standard input, for the other commands."""
    if sys.stdin.isatty():
        email = typer.prompt("E-mail", err=True)
        password = typer.prompt("Password", hide_input=True, err=True)
        given = LogIn.model_construct(email=email, password=password, token=LOGIN_NAME)
        created = call(url, lambda gateway: gateway.accounts.log_in(given, idempotency_key=str(new_id())))
        new = _secret_of(created)
    else:
        new = sys.stdin.read().strip()
        if not new.isascii() or not new:
            msg = "there is no token on standard input"
            raise CommandError(msg, f"Create one on {check_url(url)}/account, or run this command on a terminal.")
    own = call(url, lambda gateway: gateway.accounts.own(), token=new)
    credentials.keep(new)
    OUT.print(f"You are {own.name} ({own.role}). The token is kept in {credentials.path()}.", markup=False)


def logout() -> None:
    """Forget the token that `tocsin login` has kept."""
    known = credentials.forget()
    OUT.print("The token is forgotten here. It stays valid until you revoke it." if known else "There is no token.")


@accounts.command("list")
def list_accounts(*, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """List the accounts, newest first."""
    found = call(url, lambda gateway: gateway.accounts.list(limit=MAX_LIMIT))
    if as_json:
        print_json(found)
        return
    rows = [(each.name, each.email, each.role, each.state, str(each.id)) for each in found.items]
    print_table(table(("name", "e-mail", "role", "state", "id"), rows))


@accounts.command()
def add(
    *,
    name: Annotated[str, typer.Argument(help="The name that is shown beside what the account does.")],
    email: Annotated[str | None, typer.Option(help="E-mail address of a person, who logs in with it.")] = None,
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.RESPONDER,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Add the account of a person, or without --email of a program."""
    kind = AccountKind.SERVICE if email is None else AccountKind.PERSON
    try:
        wanted = AccountIn(kind=kind, name=name, email=email, role=role)
    except ValidationError as exc:
        raise usage_error(exc) from exc
    added = call(url, lambda gateway: gateway.accounts.add(wanted, idempotency_key=str(new_id())))
    if as_json:
        print_json(added)
    elif kind is AccountKind.PERSON:
        _print_link(added)
    else:
        OUT.print(f"Added {added.name}. Its token: {PROGRAM} tokens create --account {added.id} NAME", markup=False)


@accounts.command()
def change(
    *,
    account: AccountArgument,
    name: Annotated[str | None, typer.Option(help="Its new name.")] = None,
    email: Annotated[str | None, typer.Option(help="Its new e-mail address.")] = None,
    role: Annotated[Role | None, typer.Option(help="Its new role.")] = None,
    disabled: Annotated[bool | None, typer.Option("--disable/--enable", help="Whether it can be used.")] = None,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Change an account."""
    given = {"name": name, "email": email, "role": role, "disabled": disabled}
    try:
        wanted = ChangeAccount.model_validate({field: value for field, value in given.items() if value is not None})
    except ValidationError as exc:
        raise usage_error(exc) from exc

    async def apply(gateway: Gateway) -> Account:
        found = await find_account(gateway, account)
        return await gateway.accounts.change(found.id, wanted, idempotency_key=str(new_id()))

    changed = call(url, apply)
    if as_json:
        print_json(changed)
    else:
        state = "disabled" if changed.disabled_at else changed.role
        OUT.print(f"{changed.name} is changed ({state}).", markup=False)


@accounts.command()
def link(*, account: AccountArgument, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """Create a new link with which the account's person chooses a password; the one before stops working."""

    async def replace(gateway: Gateway) -> InvitedAccount:
        found = await find_account(gateway, account)
        return await gateway.accounts.new_link(found.id, idempotency_key=str(new_id()))

    replaced = call(url, replace)
    if as_json:
        print_json(replaced)
    else:
        _print_link(replaced)


@tokens.command("list")
def list_tokens(*, account: OwnerOption = None, as_json: JSONOption = False, url: URLOption = DEFAULT_URL) -> None:
    """List the tokens of an account, newest first."""

    async def query(gateway: Gateway) -> Page[Token]:
        return await gateway.accounts.tokens(await _owner(gateway, account), limit=MAX_LIMIT)

    found = call(url, query)
    if as_json:
        print_json(found)
        return
    rows = [_row(token) for token in found.items]
    print_table(table(("name", "token", "may", "last used", "expires", "id"), rows))


@tokens.command()
def create(
    *,
    name: Annotated[str, typer.Argument(help="What will use it.")],
    account: OwnerOption = None,
    scope: ScopeOption = None,
    days: DaysOption = None,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Create and print a token of a program's account: it is shown only now. Your own: on the page Your account."""
    try:
        wanted = TokenIn(name=name, scopes=scope or None, expires_in_days=days)
    except ValidationError as exc:
        raise usage_error(exc) from exc

    async def apply(gateway: Gateway) -> CreatedToken:
        owner = await _owner(gateway, account)
        return await gateway.accounts.create_token(wanted, owner, idempotency_key=str(new_id()))

    OUT.print(_secret_of(call(url, apply)), markup=False, soft_wrap=True)


@tokens.command()
def revoke(
    *,
    token: Annotated[UUID, typer.Argument(help="The token's id, as `tokens list` shows it.")],
    account: OwnerOption = None,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Revoke a token: within 30 seconds it is valid nowhere."""

    async def apply(gateway: Gateway) -> Token:
        return await gateway.accounts.revoke_token(token, await _owner(gateway, account))

    OUT.print(f"Revoked {call(url, apply).name}.", markup=False)


def setup_link(*, data: DataOption, url: URLOption = DEFAULT_URL) -> None:
    """Create the link with which the first admin's account is created; the one before stops working."""
    command = (sys.executable, "-m", "tocsin.cli.setup_link", check_url(url), str(data))
    os.execv(sys.executable, command)  # noqa: S606 - without a shell


async def find_account(gateway: Gateway, account: str) -> Account:
    """Return the account with that id, e-mail address or name. Raise CommandError if there is not exactly one."""
    page = await gateway.accounts.list(limit=MAX_LIMIT)
    known = list(page.items)
    while page.next_cursor is not None:
        page = await gateway.accounts.list(limit=MAX_LIMIT, cursor=page.next_cursor)
        known += page.items
    wanted = account.casefold()
    found = [each for each in known if wanted in {str(each.id), each.name.casefold(), (each.email or "").casefold()}]
    if len(found) != 1:
        msg = f"{'several accounts have' if found else 'no account has'} the e-mail address, name or id {account!r}"
        raise CommandError(msg, f"To list them: {PROGRAM} accounts list")
    return found[0]


async def _owner(gateway: Gateway, account: str | None) -> UUID | None:
    return None if account is None else (await find_account(gateway, account)).id


def _secret_of(created: CreatedToken) -> str:
    """Return the secret of a token. Raise CommandError if only an earlier response had it, which was lost."""
    if created.token is None:
        msg = "the response with the token was lost"
        raise CommandError(msg, f"Revoke it, and create another one: {PROGRAM} tokens revoke {created.id}")
    return created.token


def _row(token: Token) -> tuple[str, ...]:
    may = "all that the account may" if token.scopes is None else ", ".join(token.scopes)
    used, expires = (local_time(at) if at else "never" for at in (token.last_used_at, token.expires_at))
    return token.name, f"{token.prefix}…", may, used, expires, str(token.id)


def _print_link(account: InvitedAccount) -> None:
    OUT.print(f"{account.name} chooses a password here; the link works once and is shown only now:", markup=False)
    OUT.print(account.link, markup=False, soft_wrap=True)
