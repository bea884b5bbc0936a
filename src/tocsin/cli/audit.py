"""`tocsin audit`: who changed what, in a Tocsin that requires log-ins."""

from typing import Annotated

import typer

from tocsin.cli.accounts import find_account
from tocsin.cli.console import local_time, print_json, print_table, table
from tocsin.cli.gateway import DEFAULT_URL, Gateway, JSONOption, URLOption, call
from tocsin.contracts.audit import AuditAction, AuditEntry
from tocsin.contracts.model import Page
from tocsin.kernel.pagination import MAX_LIMIT


def audit(
    *,
    account: Annotated[str | None, typer.Option(help="Who made the change: e-mail address, name or id.")] = None,
    action: Annotated[AuditAction | None, typer.Option(help="What was done.", metavar="ACTION")] = None,
    changed: Annotated[
        str | None, typer.Option("--object", help="What was changed: its id, or the beginning of its name.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="How many entries.")] = 50,
    as_json: JSONOption = False,
    url: URLOption = DEFAULT_URL,
) -> None:
    """Print who changed what, newest first, as an admin."""

    async def query(gateway: Gateway) -> Page[AuditEntry]:
        known = None if account is None else (await find_account(gateway, account)).id
        given = {"account_id": known, "action": action, "object": changed}
        filters = {name: value for name, value in given.items() if value is not None}
        return await gateway.accounts.audit(limit=limit, **filters)

    found = call(url, query)
    if as_json:
        print_json(found)
        return
    rows = [
        (local_time(each.at), each.principal.name or "nobody known", each.address, each.action, _what(each))
        for each in found.items
    ]
    print_table(table(("when", "who", "from", "action", "what"), rows))


def _what(entry: AuditEntry) -> str:
    return entry.object.name if entry.count == 1 else f"{entry.object.name} ({entry.count} times)"
