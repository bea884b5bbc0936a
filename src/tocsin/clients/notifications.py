"""Calls to notification-service."""

from uuid import UUID

from aiohttp import web

from tocsin.contracts.boards import MessageBoard
from tocsin.contracts.model import Page
from tocsin.contracts.notifications import (
    CancelPages,
    Notification,
    NotificationQueued,
    NotificationSummary,
    Notify,
    PagesCancelled,
)
from tocsin.contracts.services import NOTIFICATION_SERVICE
from tocsin.kernel.client_metrics import ClientMetrics
from tocsin.kernel.http_client import INTERACTIVE, ONCE, Budget, ServiceClient

PEER = NOTIFICATION_SERVICE


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

    async def cancel_pages(
        self, command: CancelPages | bytes, *, idempotency_key: str, budget: Budget = ONCE
    ) -> PagesCancelled:
        """Cancel an incident's pages that have not been sent."""
        return await self.post(
            "/api/v1/notifications/void", command, PagesCancelled, idempotency_key=idempotency_key, budget=budget
        )

    async def list(self, *, budget: Budget = INTERACTIVE, **filters: object) -> Page[Notification]:
        """Return a page of messages, newest first; *filters* are the list's query parameters."""
        return await self.get("/api/v1/notifications", Page[Notification], query=filters, budget=budget)

    async def board(self, *, limit: int, budget: Budget) -> MessageBoard:
        """Return the newest *limit* messages, and the newest ones that failed."""
        return await self.get("/api/v1/notifications/board", MessageBoard, query={"limit": limit}, budget=budget)

    async def summary(self, *, budget: Budget = INTERACTIVE, **window: object) -> NotificationSummary:
        """Return the number of messages queued since `since`, by channel and status."""
        return await self.get("/api/v1/notifications/summary", NotificationSummary, query=window, budget=budget)

    async def redeliver(self, notification_id: UUID, *, idempotency_key: str) -> NotificationQueued:
        """Send a failed or cancelled message again."""
        path = f"/api/v1/notifications/{notification_id}/redeliver"
        return await self.post(path, b"", NotificationQueued, idempotency_key=idempotency_key)


NOTIFICATIONS = web.AppKey("NOTIFICATIONS", NotificationsClient)
