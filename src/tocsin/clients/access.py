"""Query the web service for the account of a token, and send it entries of the audit."""

import json
from typing import Final

from aiohttp import web

from tocsin.contracts.audit import EntriesStored
from tocsin.contracts.introspection import MAX_TOKEN, Introspect, Introspection
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.app import REGISTRY, with_clients
from tocsin.kernel.audit_entry import Entry
from tocsin.kernel.audit_queue import AUDIT_METRICS, AuditMetrics, audit_worker
from tocsin.kernel.audit_refusals import refusals_worker
from tocsin.kernel.authentication import TOKENS, RememberedTokens, Tokens
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.http_client import INTERACTIVE, ONCE, ServiceClient
from tocsin.kernel.ids import new_id
from tocsin.kernel.principal import Principal
from tocsin.kernel.service_settings import ServiceSettings

PEER = WEB_UI


class AccessClient(ServiceClient, Tokens):
    """A client of the web service's accounts."""

    async def identify(self, token: str) -> Principal | None:
        """Return the principal of *token*, None if it is not valid. Raise UpstreamError, RejectedError."""
        if len(token) > MAX_TOKEN or not token.isascii():
            return None
        body, key = Introspect(token=token), str(new_id())
        found = await self.post(
            "/api/v1/access/introspect", body, Introspection, idempotency_key=key, budget=INTERACTIVE
        )
        if not found.active or found.kind is None:
            return None
        return Principal.from_claims(found.model_dump(mode="json"))

    async def store_audit(self, entries: list[Entry]) -> None:
        """Store *entries* in the audit; entries that it already has are ignored. Raise UpstreamError, RejectedError."""
        body = json.dumps({"entries": entries}, ensure_ascii=False).encode()
        await self.post("/api/v1/access/audit", body, EntriesStored, idempotency_key=str(new_id()), budget=ONCE)


ACCESS: Final = web.AppKey("ACCESS", AccessClient)


def with_tokens(app: web.Application, settings: ServiceSettings) -> None:
    """Let *app* accept tokens of accounts, and report what it refuses, if its mode is closed."""
    if settings.access == "closed":
        app[ACCESS] = client = AccessClient(settings.web_ui_url, app[CLIENT_METRICS], peer=PEER)
        app[TOKENS] = RememberedTokens(client)
        with_clients(app, client)
        app.cleanup_ctx.append(refusals_worker(_store_audit))


def with_audit(app: web.Application, settings: ServiceSettings) -> None:
    """Deliver the entries of `audit_queue` while *app* runs, if its mode is closed. Call it after `with_tokens`."""
    app[AUDIT_METRICS] = AuditMetrics.register(app[REGISTRY])
    if settings.access == "closed":
        app.cleanup_ctx.append(audit_worker(_store_audit, interval=settings.poll_seconds))


async def _store_audit(app: web.Application, entries: list[Entry]) -> None:
    await app[ACCESS].store_audit(entries)
