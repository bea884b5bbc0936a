"""Calls to notification-service."""

from uuid import UUID

from aiohttp import web

from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    Notification,
    NotificationQueued,
    NotificationSummary,
    Notify,
    Voided,
    VoidNotifications,
)
from tocsin.kernel.http_client import INTERACTIVE, ONCE, Budget, ClientMetrics, ServiceClient

PEER = "notification-service"


class NotificationsClient(ServiceClient):
    """A client of notification-service."""

    def __init__(self, base_url: str, metrics: ClientMetrics) -> None:
        super().__init__(base_url, metrics, peer=PEER)

    async def notify(
        self, message: Notify | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> NotificationQueued:
        """Queue one message to one recipient."""
        return await self.post(
            "/api/v1/notify", message, NotificationQueued, idempotency_key=idempotency_key, budget=budget
        )

    async def void(self, void: VoidNotifications | bytes, *, idempotency_key: str, budget: Budget = ONCE) -> Voided:
        """Stop an incident's pages that have not gone out."""
        return await self.post(
            "/api/v1/notifications/void", void, Voided, idempotency_key=idempotency_key, budget=budget
        )

    async def list(self, *, budget: Budget = INTERACTIVE, **filters: object) -> Page[Notification]:
        """Return a page of messages, newest first; *filters* are the list's query parameters."""
        return await self.get("/api/v1/notifications", Page[Notification], query=filters, budget=budget)

    async def summary(self, *, budget: Budget = INTERACTIVE, **window: object) -> NotificationSummary:
        """Return what became of the messages since `since`."""
        return await self.get("/api/v1/notifications/summary", NotificationSummary, query=window, budget=budget)

    async def redeliver(self, notification_id: UUID, *, idempotency_key: str) -> NotificationQueued:
        """Send a message again that was given up."""
        path = f"/api/v1/notifications/{notification_id}/redeliver"
        return await self.post(path, b"", NotificationQueued, idempotency_key=idempotency_key)


NOTIFICATIONS = web.AppKey("NOTIFICATIONS", NotificationsClient)
