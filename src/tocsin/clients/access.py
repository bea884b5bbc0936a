"""Ask the web service whose token it is that a caller sent."""

from aiohttp import web

from tocsin.contracts.introspection import MAX_TOKEN, Introspect, Introspection
from tocsin.contracts.services import WEB_UI
from tocsin.kernel.app import with_clients
from tocsin.kernel.authentication import TOKENS, RememberedTokens, Tokens
from tocsin.kernel.client_metrics import CLIENT_METRICS
from tocsin.kernel.http_client import INTERACTIVE, ServiceClient
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


def with_tokens(app: web.Application, settings: ServiceSettings) -> None:
    """Let *app* accept tokens of accounts, if its mode is closed."""
    if settings.access == "closed":
        client = AccessClient(settings.web_ui_url, app[CLIENT_METRICS], peer=PEER)
        app[TOKENS] = RememberedTokens(client)
        with_clients(app, client)
