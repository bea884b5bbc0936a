"""Calls to alert-ingestion."""

from uuid import UUID

from aiohttp import web

from tocsin.contracts.alerts import Alert, AlertAccepted, AlertDetail, AlertIn, AlertSummary
from tocsin.contracts.model import Page
from tocsin.contracts.services import ALERT_INGESTION
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import INTERACTIVE, Budget, ServiceClient

PEER = ALERT_INGESTION


class AlertsClient(ServiceClient):
    """A client of alert-ingestion."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def send(self, alert: AlertIn, *, idempotency_key: str) -> AlertAccepted:
        """Send one alert."""
        return await self.post("/api/v1/alerts", alert, AlertAccepted, idempotency_key=idempotency_key)

    async def find(self, alert_id: UUID, *, budget: Budget = INTERACTIVE) -> AlertDetail:
        """Return one alert with the request of its newest report."""
        return await self.get(f"/api/v1/alerts/{alert_id}", AlertDetail, budget=budget)

    async def list(self, *, budget: Budget = INTERACTIVE, **filters: object) -> Page[Alert]:
        """Return a page of alerts, newest first; *filters* are the list's query parameters."""
        return await self.get("/api/v1/alerts", Page[Alert], query=filters, budget=budget)

    async def summary(self, *, budget: Budget = INTERACTIVE, **window: object) -> AlertSummary:
        """Return the outcome of the alerts stored between `since` and `until`."""
        return await self.get("/api/v1/alerts/summary", AlertSummary, query=window, budget=budget)


ALERTS = web.AppKey("ALERTS", AlertsClient)
