"""A web service that stores the audit, and knows one token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from tests.fakes.peer import FakePeer
from tocsin.cli.service_keys import KeyFolder
from tocsin.cli.services import SERVICES, WEB
from tocsin.contracts.audit import AuditEntry, RecordedEntries
from tocsin.kernel.principal import ON_BEHALF_OF, Principal, PrincipalKind, Scope
from tocsin.kernel.service_keys import ServiceKeys
from tocsin.kernel.settings import ProcessSettings
from tocsin.kernel.shared_time import SharedTime

PRIYA: Final = Principal(
    PrincipalKind.PERSON,
    "Priya Raman",
    frozenset(Scope) - {Scope.SERVICE},
    id=UUID("0199f6a2-7c31-7e0b-9d44-51c0a8be2f17"),
    credential_id=UUID("0199f6a2-7c31-7e0b-9d44-51c0a8be2f18"),
)
TOKEN: Final = "tocsin_pat_" + 43 * "a"
BEARER: Final = {"Authorization": f"Bearer {TOKEN}"}


class FakeAudit(FakePeer):
    """Keeps what it receives, each entry once."""

    def __init__(self) -> None:
        super().__init__([
            web.post("/api/v1/access/audit", self.store),
            web.post("/api/v1/access/introspect", self.introspect),
        ])  # fmt: skip
        self.entries: dict[UUID, AuditEntry] = {}
        self.received = 0

    async def store(self, request: web.Request) -> web.Response:
        given = RecordedEntries.model_validate_json(await request.read())
        new = {entry.id: entry for entry in given.entries if entry.id not in self.entries}
        self.entries |= new
        self.received += len(given.entries)
        return web.json_response({"stored": len(new)}, status=201)

    async def introspect(self, request: web.Request) -> web.Response:
        active = (await request.json())["token"] == TOKEN
        return web.json_response({"active": active, **(PRIYA.claims() if active else {"scopes": []})})

    def told(self) -> list[tuple[str, str, dict[str, Any] | None, dict[str, Any] | None]]:
        """Return the action, the name of the object, and what was before and after, oldest first."""
        return [
            (entry.action, entry.object.name, entry.before, entry.after)
            for entry in sorted(self.entries.values(), key=lambda entry: entry.id)
        ]


def closed_mode(folder: Path, service: str, audit: FakeAudit) -> Mapping[str, Any]:
    """Return the settings with which *service* runs in closed mode."""
    keys = KeyFolder(folder)
    keys.create_missing()
    [own] = [each for each in SERVICES if each.name == service]
    private = {"service_key": keys.private_key(own), "service_keys": keys.folder / "public"}
    return {"access": "closed", "web_ui_url": audit.url, **private}


def on_behalf(folder: Path, service: str, principal: Principal | None = PRIYA) -> Mapping[str, str]:
    """Return the headers of a call that the web service makes for *principal*, or without one for itself."""
    settings = ProcessSettings.model_validate({"service_key": KeyFolder(folder).private_key(WEB)})
    [audience] = [each.identity for each in SERVICES if each.name == service]
    token = ON_BEHALF_OF.set(principal)
    try:
        return ServiceKeys.of(settings, WEB.identity, SharedTime()).authorization(audience)
    finally:
        ON_BEHALF_OF.reset(token)
